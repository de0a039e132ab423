//! Catalogues of other systems: CSV with a header, a JSON array, or JSON Lines, with faults that name the row and say what to do.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use serde_json::Value;

use super::CorpusError;
use crate::domain::CatalogueItem;

/// What a file holds, and what is wrong with it.
#[derive(Debug, Default)]
pub struct CatalogueFile {
    /// The sound rows.
    pub items: Vec<CatalogueItem>,
    /// Rows that cannot be taken.
    pub faults: Vec<RowFault>,
    /// What can be taken and is perhaps not meant.
    pub warnings: Vec<String>,
}

/// One row that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFault {
    /// From 1: the line of JSON Lines and CSV, the place in an array.
    pub line: usize,
    /// What is wrong and what to do.
    pub why: String,
}

/// Heads of columns, in the spellings of common exports, for each field.
const COLUMNS: [(&str, &[&str]); 17] = [
    (
        "sku",
        &[
            "sku",
            "id",
            "sku_id",
            "skuid",
            "item_id",
            "product_id",
            "variant_sku",
            "code",
            "商品编码",
            "货号",
            "编号",
            "商品编号",
            "商家编码",
            "款号",
        ],
    ),
    ("title", &["title", "name", "product_name", "商品名称", "名称", "标题", "商品标题", "品名"]),
    ("title_en", &["title_en", "name_en", "english_title", "英文标题", "英文名称"]),
    ("brand", &["brand", "vendor", "品牌"]),
    ("brand_en", &["brand_en", "英文品牌", "品牌英文"]),
    ("category", &["category", "product_type", "类目", "分类", "品类", "类别"]),
    ("product", &["product", "noun", "产品", "品种"]),
    ("product_en", &["product_en"]),
    ("price", &["price", "variant_price", "价格", "售价", "单价"]),
    ("color", &["color", "colour", "颜色", "颜色分类"]),
    ("size", &["size", "尺码", "尺寸", "码数"]),
    ("flavor", &["flavor", "flavour", "scent", "口味", "香味", "香型"]),
    ("material", &["material", "材质", "面料"]),
    ("spec", &["spec", "specification", "规格", "净含量", "容量"]),
    ("model", &["model", "型号"]),
    ("compatible_with", &["compatible_with", "compatible", "适配", "适用", "兼容"]),
    ("replaces", &["replaces", "替代", "取代"]),
];

/// Reads a catalogue. `columns` names fields for heads that are not known: `[("款号", "sku")]`.
///
/// # Errors
/// An unreadable file, a header without SKU or title, a JSON that is no array. Broken rows are no error but [`CatalogueFile::faults`].
pub fn read_catalogue(path: &Path, columns: &[(String, String)]) -> Result<CatalogueFile, CorpusError> {
    let bytes = std::fs::read(path).map_err(|source| CorpusError::Io { path: path.to_owned(), source })?;
    let input = |why: String, hint: &str| CorpusError::Input { path: path.to_owned(), line: None, why, hint: hint.to_owned() };
    let text = std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes))
        .map_err(|e| input(format!("byte {} is not UTF-8", e.valid_up_to()), "Save the file as UTF-8; Excel calls it \"CSV UTF-8\"."))?;
    let mut file = CatalogueFile::default();
    let mut rows: Vec<(usize, CatalogueItem)> = Vec::new();
    let name = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
    match text.trim_start().chars().next() {
        None => {}
        Some('[') => {
            let values: Vec<Value> = serde_json::from_str(text).map_err(|e| {
                input(format!("it begins like a JSON array and is none: {e}"), "Mend the JSON there, or write one object a line.")
            })?;
            for (at, value) in values.into_iter().enumerate() {
                file.take(at + 1, serde_json::from_value(value), &mut rows);
            }
        }
        Some('{') if name != "csv" => {
            for (at, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
                file.take(at + 1, serde_json::from_str(line), &mut rows);
            }
        }
        Some(_) => table(text, columns, &input, &mut file, &mut rows)?,
    }
    file.judge(rows);
    Ok(file)
}

impl CatalogueFile {
    fn take(&mut self, line: usize, row: Result<CatalogueItem, serde_json::Error>, rows: &mut Vec<(usize, CatalogueItem)>) {
        match row {
            Ok(item) => rows.push((line, item)),
            Err(e) => {
                let why = e.to_string();
                let hint = if why.contains("unknown field") {
                    ": put it under `attributes`, or leave it out"
                } else {
                    ": every row wants `sku` and `title`, and texts as texts"
                };
                self.faults.push(RowFault { line, why: why + hint });
            }
        }
    }

    /// Sorts rows into sound and broken, and looks at the whole.
    fn judge(&mut self, rows: Vec<(usize, CatalogueItem)>) {
        let mut first: HashMap<String, usize> = HashMap::new();
        let mut titles: HashMap<String, (usize, String)> = HashMap::new();
        for (line, item) in rows {
            if let Err(why) = item.check() {
                self.faults.push(RowFault { line, why });
                continue;
            }
            if let Some(before) = first.get(&item.sku) {
                self.faults.push(RowFault { line, why: format!("SKU {:?} stands in row {before} already: keep one of the two", item.sku) });
                continue;
            }
            first.insert(item.sku.clone(), line);
            if let Some((before, sku)) = titles.get(&item.title) {
                self.warnings.push(format!(
                    "rows {before} and {line}: {sku:?} and {:?} have the same title; customers cannot tell them apart by it",
                    item.sku
                ));
            } else {
                titles.insert(item.title.clone(), (line, item.sku.clone()));
            }
            self.items.push(item);
        }
        let known: HashSet<&str> = self.items.iter().map(|i| i.sku.as_str()).collect();
        for item in &self.items {
            if let Some(old) = item.replaces.as_deref().filter(|old| !known.contains(old)) {
                self.warnings.push(format!("{:?} replaces {old:?}, which is not in the file", item.sku));
            }
            if item.product.is_empty() && item.product_en.is_empty() && item.category.is_empty() {
                self.warnings.push(format!("{:?} has neither product nor category: only its title tells what it is", item.sku));
            }
        }
        self.faults.sort_by_key(|f| f.line);
    }
}

fn table(
    text: &str,
    columns: &[(String, String)],
    input: &dyn Fn(String, &str) -> CorpusError,
    file: &mut CatalogueFile,
    rows: &mut Vec<(usize, CatalogueItem)>,
) -> Result<(), CorpusError> {
    let first = text.lines().next().unwrap_or_default();
    let delimiter = [b',', b'\t', b';'].into_iter().max_by_key(|d| first.bytes().filter(|b| b == d).count()).unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let head = reader.headers().map_err(|e| input(e.to_string(), "The first line names the columns."))?.clone();
    let known = |name: &str| {
        let plain = name.trim().to_lowercase().replace(' ', "_");
        let mapped = columns.iter().find(|(from, _)| from.trim() == name.trim()).map(|(_, to)| to.clone());
        mapped.or_else(|| COLUMNS.iter().find(|(_, names)| names.contains(&plain.as_str())).map(|(field, _)| (*field).to_owned()))
    };
    let fields: Vec<(String, Option<String>)> = head.iter().map(|name| (name.to_owned(), known(name))).collect();
    for wanted in ["sku", "title"] {
        if !fields.iter().any(|(_, field)| field.as_deref() == Some(wanted)) {
            let shown: Vec<&str> = head.iter().collect();
            return Err(input(
                format!("no column is the {wanted}: the header has {}", shown.join(", ")),
                &format!("Name it: --map COLUMN={wanted}"),
            ));
        }
    }
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(e) => {
                let line = e.position().map_or(0, |p| p.line() as usize);
                file.faults.push(RowFault { line, why: format!("{e}: check the quotes of this line") });
                continue;
            }
        };
        let line = record.position().map_or(0, |p| p.line() as usize);
        if record.iter().all(str::is_empty) {
            continue;
        }
        if record.len() > fields.len() {
            file.faults.push(RowFault {
                line,
                why: format!("{} cells under {} heads: quote the cell that holds the delimiter", record.len(), fields.len()),
            });
            continue;
        }
        match item_of(&fields, &record) {
            Ok(item) => rows.push((line, item)),
            Err(why) => file.faults.push(RowFault { line, why }),
        }
    }
    Ok(())
}

fn item_of(fields: &[(String, Option<String>)], record: &csv::StringRecord) -> Result<CatalogueItem, String> {
    let mut item = CatalogueItem::new("", "");
    for ((head, field), cell) in fields.iter().zip(record).filter(|(_, cell)| !cell.is_empty()) {
        let text = cell.to_owned();
        match field.as_deref() {
            Some("sku") => item.sku = text,
            Some("title") => item.title = text,
            Some("title_en") => item.title_en = text,
            Some("brand") => item.brand = text,
            Some("brand_en") => item.brand_en = text,
            Some("category") => item.category = text.replace('>', "/"),
            Some("product") => item.product = text,
            Some("product_en") => item.product_en = text,
            Some("price") => {
                let plain = cell.trim_start_matches(['¥', '￥', '$', '€', '£']).replace(',', "");
                item.price = Some(plain.trim().parse().map_err(|_| format!("the price {cell:?} is no number: write 39.90"))?);
            }
            Some("compatible_with") => {
                item.compatible_with = cell.split(['|', ';', '；']).map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect()
            }
            Some("replaces") => item.replaces = Some(text),
            Some(attribute) => put(&mut item.attributes, attribute.trim_start_matches("attributes."), text),
            None => put(&mut item.attributes, head.trim_start_matches("attributes."), text),
        }
    }
    Ok(item)
}

fn put(attributes: &mut BTreeMap<String, String>, key: &str, value: String) {
    attributes.insert(key.to_owned(), value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<CatalogueFile, CorpusError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        read_catalogue(&path, &[("Nummer".into(), "sku".into())])
    }

    #[test]
    fn three_forms_hold_one_catalogue() {
        let csv = "商品编码,标题,颜色,价格,适配\nA1,粉色羽绒服,粉色,\"¥1,299\",iPhone 15|B2\n";
        let json = r#"[{"sku":"A1","title":"粉色羽绒服","attributes":{"color":"粉色"},"price":1299,"compatible_with":["iPhone 15","B2"]}]"#;
        let lines = json.trim_matches(['[', ']']);
        let items: Vec<_> =
            [("a.csv", csv), ("a.json", json), ("a.jsonl", lines)].into_iter().map(|(n, t)| read(n, t).unwrap().items).collect();
        assert!(items[0].len() == 1 && items[0] == items[1] && items[1] == items[2], "{items:?}");
        assert_eq!(read("n.csv", "Nummer;title\n7;Tee\n").unwrap().items[0].sku, "7");
    }

    #[test]
    fn broken_rows_are_named_with_what_to_do() {
        let file = read("a.csv", "sku,title,price\nA,tee,much\n,tee,1\nA,tee,1\nA,tee two,1\nB,x,1,2\n").unwrap();
        let faults: Vec<(usize, bool)> = file.faults.iter().map(|f| (f.line, f.why.contains(':') || f.why.contains("id"))).collect();
        assert_eq!(faults, [(2, true), (3, true), (5, true), (6, true)], "{:?}", file.faults);
        assert_eq!(file.items.len(), 1);
        let error = read("b.csv", "a,b\n1,2\n").unwrap_err();
        assert!(error.to_string().contains("sku") && error.hint().is_some_and(|h| h.contains("--map")));
        assert!(read("c.json", "[{").is_err());
        let lines = read("d.jsonl", "{\"sku\":\"A\",\"title\":\"t\",\"color\":\"red\"}\n").unwrap();
        assert!(lines.faults[0].why.contains("attributes"), "{:?}", lines.faults);
        assert!(read("e.csv", "").unwrap().items.is_empty());
    }
}
