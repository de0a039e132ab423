//! CSV and its relatives (RFC 4180): columns by the names of their header, a record an article.
//!
//! The crate `csv` takes broken quotes as they come, and a quote that never closes would swallow the rest of the file. So records are
//! told apart here, where the line of each is known and a broken one can be left behind; the crate reads the fields.

use super::document::Document;
use super::fields;
use super::gather::Gather;
use crate::domain::{Article, Audience};

/// The columns that are known, each by its names, the likelier first.
const QUESTION: &[&str] = &["question", "title", "问题", "标题", "問題", "標題"];
const ANSWER: &[&str] = &["answer", "body", "content", "答案", "内容", "回答", "正文", "內容"];
const ID: &[&str] = &["id", "编号", "編號"];
const LANG: &[&str] = &["lang", "language", "locale", "语言", "語言"];
const CATEGORY: &[&str] = &["category", "分类", "类别", "分類"];
const INTENT: &[&str] = &["intent", "意图", "意圖"];
const AUDIENCE: &[&str] = &["audience", "受众", "可见范围"];
const VALID_FROM: &[&str] = &["valid_from", "生效时间", "生效日期"];
const VALID_UNTIL: &[&str] = &["valid_until", "失效时间", "失效日期"];

/// Bytes that are read again behind quotes that never close; beyond, the file is given up.
const MOST_AGAIN: usize = 64 << 20;

pub(super) fn read(document: &Document, gather: &mut Gather) {
    let delimiter = delimiter(document);
    let mut records = Records { text: document.text, at: 0, line: 1, again: 0, delimiter };
    let header = loop {
        match records.next() {
            Some((_, Ok(fields))) if fields.iter().all(|f| f.trim().is_empty()) => {}
            Some((_, Ok(fields))) => break fields,
            Some((line, Err(why))) => return gather.skip(document.at_line(line), why),
            None => return gather.skip(document.place.clone(), "the file is empty: check the program that should have written it"),
        }
    };
    let columns = match Columns::of(&header) {
        Ok(columns) => columns,
        Err(why) => return gather.skip(document.place.clone(), why),
    };
    for (line, record) in records {
        let article = match record {
            Ok(fields) if fields.iter().all(|f| f.trim().is_empty()) => continue,
            Ok(fields) if fields.len() != header.len() => {
                let (has, wants) = (fields.len(), header.len());
                Err(format!("the row has {has} fields, and the header {wants}: put fields that hold a comma or a line break into quotes"))
            }
            Ok(fields) => columns.article(&fields, document, gather),
            Err(why) => Err(why),
        };
        gather.take_or_skip(document.at_line(line), document, article);
    }
}

/// Tabs where the name says so, else what parts the header most often.
fn delimiter(document: &Document) -> u8 {
    if matches!(document.ending.as_deref(), Some("tsv" | "tab")) {
        return b'\t';
    }
    let header = document.text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |delimiter: u8| header.bytes().filter(|&b| b == delimiter).count();
    // Of equals the last wins.
    [b'\t', b';', b','].into_iter().max_by_key(|&d| count(d)).unwrap_or(b',')
}

struct Columns {
    question: usize,
    answer: usize,
    id: Option<usize>,
    lang: Option<usize>,
    category: Option<usize>,
    intent: Option<usize>,
    audience: Option<usize>,
    valid_from: Option<usize>,
    valid_until: Option<usize>,
}

impl Columns {
    fn of(header: &[String]) -> Result<Self, String> {
        let names: Vec<String> = header.iter().map(|name| name.trim().to_lowercase()).collect();
        let find = |wanted: &[&str]| wanted.iter().find_map(|name| names.iter().position(|n| n == name));
        let need = |wanted: &[&str]| {
            let there = header.iter().take(20).map(|n| format!("{:?}", n.trim())).collect::<Vec<_>>().join(", ");
            let missing = || format!("no column is called {}; the header has {there}: name one of them so", wanted[..4].join(", "));
            find(wanted).ok_or_else(missing)
        };
        Ok(Columns {
            question: need(QUESTION)?,
            answer: need(ANSWER)?,
            id: find(ID),
            lang: find(LANG),
            category: find(CATEGORY),
            intent: find(INTENT),
            audience: find(AUDIENCE),
            valid_from: find(VALID_FROM),
            valid_until: find(VALID_UNTIL),
        })
    }

    fn article(&self, row: &[String], document: &Document, gather: &Gather) -> Result<Article, String> {
        let at = |column: usize| row.get(column).map_or("", |field| field.trim());
        let get = |column: Option<usize>| column.map(at).filter(|field| !field.is_empty());
        let question = at(self.question).split_whitespace().collect::<Vec<_>>().join(" ");
        let answer = at(self.answer).replace("\r\n", "\n").replace('\r', "\n");
        let lang = fields::lang_or_detect(get(self.lang), &format!("{question}\n{answer}"), gather.options.lang)?;
        // By what it asks, not by its line: the same at the next import, whatever is inserted above.
        let id = get(self.id).map_or_else(|| fields::id_of(&format!("{}-{}", document.stem(), fields::hash(&question))), str::to_owned);
        let mut article = Article::new(&id, lang, &question, &answer);
        article.category = get(self.category).map(str::to_owned);
        article.intent = get(self.intent).map(str::to_owned);
        article.audience = get(self.audience).map_or(Ok(Audience::Customer), fields::audience)?;
        article.valid_from = get(self.valid_from).map(fields::time);
        article.valid_until = get(self.valid_until).map(fields::time);
        Ok(article)
    }
}

/// The records of a text, each with the line that it begins in.
struct Records<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    again: usize,
    delimiter: u8,
}

/// Where a record ends, and the next begins; or why it does not, and where its broken line ends.
enum End {
    At(usize, usize),
    Broken(String, usize),
}

impl Records<'_> {
    fn end(&self) -> End {
        let bytes = self.text.as_bytes();
        let (mut field_start, mut quoted, mut closed, mut opened) = (true, false, false, self.line);
        let mut line = self.line;
        for at in self.at..bytes.len() {
            let byte = bytes[at];
            let line_break = byte == b'\n' || (byte == b'\r' && bytes.get(at + 1) != Some(&b'\n'));
            match byte {
                b'"' if quoted => (quoted, closed) = (false, true),
                _ if quoted => {}
                // Two quotes are one, inside.
                b'"' if closed => (quoted, closed) = (true, false),
                b'"' if field_start => (quoted, field_start, opened) = (true, false, line),
                _ if line_break => return End::At(at, at + 1),
                b'\r' => {}
                _ if byte == self.delimiter => (field_start, closed) = (true, false),
                _ if closed => {
                    let why = format!(
                        "text follows the end of a quoted field (its quote opens in line {opened}): a quote inside a quoted field is written twice (\"\")"
                    );
                    let next = bytes[at..].iter().position(|&b| b == b'\n').map_or(bytes.len(), |n| at + n + 1);
                    return End::Broken(why, next);
                }
                _ => field_start = false,
            }
            line += usize::from(line_break);
        }
        if quoted {
            let next = bytes[self.at..].iter().position(|&b| b == b'\n').map_or(bytes.len(), |n| self.at + n + 1);
            return End::Broken(format!("the quote that opens in line {opened} never closes: close it, or write it twice (\"\")"), next);
        }
        End::At(bytes.len(), bytes.len())
    }

    fn fields(&self, record: &str) -> Result<Vec<String>, String> {
        let mut reader = csv::ReaderBuilder::new();
        reader.has_headers(false).flexible(true).delimiter(self.delimiter).buffer_capacity(record.len().max(16));
        let mut fields = csv::StringRecord::new();
        // Of what stands in memory and has whole quotes the crate can refuse nothing.
        reader.from_reader(record.as_bytes()).read_record(&mut fields).map_err(|e| format!("the row cannot be read: {e}"))?;
        Ok(fields.iter().map(str::to_owned).collect())
    }
}

impl Iterator for Records<'_> {
    type Item = (usize, Result<Vec<String>, String>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.text.len() {
            return None;
        }
        let begins = self.line;
        let (next, record) = match self.end() {
            End::At(end, next) => (next, self.fields(&self.text[self.at..end])),
            End::Broken(why, next) => {
                self.again += self.text.len() - next;
                if self.again > MOST_AGAIN {
                    (self.text.len(), Err(format!("{why}; the rest of the file has as many such quotes, and was not read")))
                } else {
                    (next, Err(why))
                }
            }
        };
        let passed = &self.text.as_bytes()[self.at..next];
        self.line += passed.iter().filter(|&&b| b == b'\n').count();
        // Old Mac files break their lines with \r alone.
        self.line += passed.windows(2).filter(|w| w[0] == b'\r' && w[1] != b'\n').count() + usize::from(passed.last() == Some(&b'\r'));
        self.at = next;
        Some((begins, record))
    }
}
