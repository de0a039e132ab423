use std::fs;

use super::*;
use crate::corpus::{read_jsonl, read_taxonomy};

/// Imports files given by name and content.
fn import_all(files: &[(&str, &[u8])], options: &ImportOptions) -> Result<(Summary, Vec<Example>), String> {
    let dir = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> = files
        .iter()
        .map(|(name, content)| {
            let path = dir.path().join(name);
            fs::write(&path, content).unwrap();
            path
        })
        .collect();
    let target = dir.path().join("out.jsonl");
    let mut out = Beside::create(&target).unwrap();
    let summary = import(&paths, options, &mut out, &|_| ())
        .map_err(|e| format!("{e} | {}", e.hint().unwrap_or_default()).replace(&format!("{}/", dir.path().display()), ""))?;
    out.finish().unwrap();
    Ok((summary, read_jsonl(&target).unwrap()))
}

fn options() -> ImportOptions {
    ImportOptions::default()
}

#[track_caller]
fn taken(name: &str, content: impl AsRef<[u8]>, options: &ImportOptions) -> Vec<(String, String, Lang)> {
    let (_, rows) = import_all(&[(name, content.as_ref())], options).unwrap();
    rows.into_iter().map(|r| (r.text, r.intent, r.lang)).collect()
}

#[track_caller]
fn check(name: &str, content: impl AsRef<[u8]>, options: &ImportOptions, expect: &[(&str, &str)]) {
    let rows = taken(name, content, options);
    let rows: Vec<(&str, &str)> = rows.iter().map(|(text, intent, _)| (text.as_str(), intent.as_str())).collect();
    assert_eq!(rows, expect, "{name}");
}

#[track_caller]
fn refused(name: &str, content: impl AsRef<[u8]>, options: &ImportOptions, said: &[&str]) {
    let error = import_all(&[(name, content.as_ref())], options).map(|(s, _)| s.rows).unwrap_err();
    for said in said {
        assert!(error.contains(said), "{said:?} is missing in: {error}");
    }
}

const TWO: &[(&str, &str)] = &[("where is it", "tracking"), ("退钱", "refund")];

#[test]
fn tables_are_read_whatever_their_marks_breaks_and_names() {
    let o = options();
    check("a.csv", "text,intent\nwhere is it,tracking\n退钱,refund\n", &o, TWO);
    check("a.csv", "\u{feff}Label,Utterance\r\ntracking,where is it\r\nrefund,退钱\r\n", &o, TWO);
    check("a.csv", "id,text,category\r1,where is it,tracking\r2,退钱,refund", &o, TWO);
    check("a.tsv", "where is it\ttracking\n退钱\trefund", &ImportOptions { no_header: true, ..options() }, TWO);
    check("a.txt", "text\tintent\nwhere is it\ttracking\n\n退钱\trefund\n", &o, TWO);
    let by = |text: &str, intent: &str| ImportOptions { text: Some(text.into()), intent: Some(intent.into()), ..options() };
    check("a.csv", "a;b\nwhere is it;tracking\n退钱;refund", &ImportOptions { delimiter: Some(b';'), ..by("a", "2") }, TWO);
    check("a.csv", "tracking,x,where is it\nrefund,y,退钱", &ImportOptions { no_header: true, ..by("3", "1") }, TWO);
    check("q.csv", "text,intent\n\"a \"\"b\"\",\nc\",x\n\n\" d\" ,y\n".replace(" ,", ","), &o, &[("a \"b\",\nc", "x"), ("d", "y")]);
    check("q.tsv", "text\tintent\n\"hello\" he said\tx\n", &ImportOptions { no_quotes: true, ..options() }, &[("\"hello\" he said", "x")]);
}

#[test]
fn broken_tables_are_refused_with_their_line_and_what_to_do() {
    let o = options();
    refused("a.csv", "", &o, &["a.csv: the file is empty"]);
    refused("a.csv", "\n\n", &o, &["holds no rows"]);
    refused("a.csv", "text,intent\n", &o, &["no row could be taken"]);
    refused("a.csv", "id,body,kind\n1,x,y", &o, &["line 1", "no column", "\"id\", \"body\", \"kind\"", "--text COLUMN", "--no-header"]);
    refused("a.csv", "id;body\n1;x", &o, &["one column only", "--delimiter"]);
    let missing = ImportOptions { intent: Some("lable".into()), ..options() };
    refused("a.csv", "text,label\nx,y", &missing, &["no column \"lable\"", "\"label\"", "--intent"]);
    refused("a.csv", "text,text,intent\na,b,c", &o, &["columns 1 and 2 are both called \"text\"", "by its number"]);
    let same = ImportOptions { text: Some("intent".into()), ..options() };
    refused("a.csv", "text,intent\na,b", &same, &["both column 2"]);
    refused("a.csv", "text,intent\na,b\n\nc,d,e\n", &o, &["a.csv, line 4: 3 fields, and the first row has 2", "quotes"]);
    refused(
        "a.csv",
        "text,intent\n\"a\nb\",x\n\"never closed,y\nz,w\n",
        &o,
        &["line 4: the quote that opens here is never closed", "--no-quotes"],
    );
    refused("a.csv", "text,intent\n\"a \"quoted\" word\",x\n", &o, &["line 2: text after the end of a quoted field", "(\"\")"]);
    refused("a.csv", "text,intent\na, \"b\"\n", &o, &["line 2: a space before a quoted field"]);
    refused(
        "a.csv",
        b"text,intent\nok,x\nok,y\n\xc4\xe3\xba\xc3,z\n",
        &o,
        &["line 4: field 1: byte 1 (0xC4) is not UTF-8", "iconv -f GB18030"],
    );
    refused("a.csv", b"\xff\xfet\0e\0", &o, &["UTF-16", "iconv -f UTF-16"]);
    let long = format!("text,intent\n\"{},x\n", "a\n".repeat(1 << 20));
    refused("a.csv", &long, &o, &["line 2: the quote that opens here is not closed within 1 MiB"]);
    refused("a.csv", format!("text,intent\nok,x\n{}", "a".repeat(3 << 20)), &o, &["line 3: the row is longer than 1 MiB"]);
}

#[test]
fn json_lines_are_read_by_name_and_path_and_broken_ones_refused() {
    let o = options();
    check(
        "a.jsonl",
        "\u{feff}{\"text\":\"where is it\",\"label\":\"tracking\"}\r\n\r\n{\"label\":\"refund\",\"text\":\"退钱\",\"x\":[1]}",
        &o,
        TWO,
    );
    let nested = ImportOptions { text: Some("message.body".into()), intent: Some("tags.0".into()), ..options() };
    refused(
        "a.jsonl",
        "{\"message\":{\"body\":\"x\"},\"tags\":[\"a\"]}",
        &nested,
        &["line 1: no field \"tags.0\"", "\"message\", \"tags\""],
    );
    let nested = ImportOptions { text: Some("message.body".into()), intent: Some("meta.kind".into()), ..options() };
    check("a.jsonl", "{\"message\":{\"body\":\"x y\"},\"meta\":{\"kind\":3}}", &nested, &[("x y", "3")]);
    let object = ImportOptions { text: Some("message".into()), ..options() };
    refused(
        "a.jsonl",
        "{\"message\":{\"body\":\"x\"},\"intent\":\"a\"}",
        &object,
        &["\"message\" is an object", "--text message.NAME", "body"],
    );
    refused("a.jsonl", "{\"text\":\"a\",\"intent\":[\"a\",\"b\"]}", &o, &["line 1: the field \"intent\" is a list of 2"]);
    refused("a.jsonl", "{\"text\":\"a\",\"intent\":\"b\"}\n{\"text\":\"a\"}", &o, &["line 2: no field \"intent\"; there are \"text\""]);
    refused("a.jsonl", "{\"text\":\"a\",\"intent\":\"b\"}\n{\"text\":", &o, &["line 2: no JSON", "column 8"]);
    refused("a.json", "[{\"text\":\"a\",\"intent\":\"b\"}]", &o, &["one JSON array", "jq -c '.[]'"]);
    refused("a.json", "{\n \"text\": \"a\"\n}", &o, &["neither one object a line nor Rasa", "jq -c ."]);
    refused("a.jsonl", b"{\"text\":\"\xff\",\"intent\":\"b\"}", &o, &["line 1: byte 10 (0xFF) is not UTF-8"]);
}

#[test]
fn fasttext_lines_have_one_label_or_the_first() {
    check("train.txt", "__label__tracking where is it\n__label__refund 退钱\r\n", &options(), TWO);
    let several = "__label__tracking where is it\n__label__refund __label__money 退钱\n";
    refused("train.txt", several, &options(), &["train.txt, line 2: 2 labels", "--first-label"]);
    let first = ImportOptions { first_label: true, ..options() };
    let (summary, rows) = import_all(&[("train.txt", several.as_bytes())], &first).unwrap();
    assert_eq!((summary.more_labels, rows[1].intent.as_str()), (1, "refund"));
    let columns = ImportOptions { text: Some("1".into()), ..options() };
    refused("train.txt", several, &columns, &["has no columns", "leave --text"]);
}

const RASA: &str = "version: \"3.1\"
responses:
  utter:
  - text: \"- hello\"
nlu:
- synonym: red
  examples: |
    - crimson
- intent: find/colour
  examples: |
    - do you have it in [red](color)?
    - [大红](color:red) 的有吗

    - crimson
    - a [red]{\"entity\": \"color\", \"value\": \"RED\"} and [blue][{\"entity\": \"color\"}, {\"entity\": \"mood\"}] one
    - - two
- intent: true
  examples:
  - text: |
      hey there
      you
    metadata: {a: b}
  - plain
- intent: empty
- lookup: x
  examples: |
    - y
";

#[test]
fn rasa_examples_lose_their_marks_and_keep_their_lines() {
    let (summary, rows) = import_all(&[("nlu.yml", RASA.as_bytes())], &options()).unwrap();
    let found: Vec<(&str, &str)> = rows.iter().map(|r| (r.text.as_str(), r.intent.as_str())).collect();
    assert_eq!(
        found,
        [
            ("do you have it in red?", "find/colour"),
            ("大红 的有吗", "find/colour"),
            ("crimson", "find/colour"),
            ("a red and blue one", "find/colour"),
            ("- two", "find/colour"),
            ("hey there\nyou", "true"),
            ("plain", "true"),
        ]
    );
    assert_eq!((summary.marks, summary.labels["find/colour"].1.line, summary.labels["true"].1.line), (4, 11, 20));
    let empty = &summary.dropped[&Dropped::EmptyText];
    assert_eq!((empty.count, empty.first[0].line), (1, 24));
    let crlf = RASA.replace('\n', "\r\n");
    assert_eq!(import_all(&[("nlu.yml", crlf.as_bytes())], &options()).unwrap().1, rows);
}

#[test]
fn broken_rasa_files_are_refused_with_their_line() {
    let o = options();
    let nlu = |rest: &str| format!("version: \"3.1\"\nnlu:\n{rest}");
    refused("a.yml", nlu("- intent: a\n  examples: |\n    - x\n    y\n"), &o, &["a.yml, line 6", "beginning with `-`", "examples: |"]);
    refused("a.yml", nlu("- intent: a\n  examples: >\n    - x\n    - y\n"), &o, &["no line of its own", "examples: |"]);
    refused("a.yml", nlu("- intent: a\n\texamples: |\n"), &o, &["line 4: no YAML"]);
    refused("domain.yml", "version: \"3.1\"\nintents:\n- a\n", &o, &["no `nlu:` section", "data/nlu.yml"]);
    refused("a.yml", nlu("- intent: a\n  examples:\n  - [1]\n"), &o, &["an example that has no text"]);
    refused("a.md", "## intent:greet\n- hey\n", &o, &["Rasa 1", "rasa data convert"]);
}

#[test]
fn rasa_json_is_read_with_its_lines() {
    let json = r#"{"rasa_nlu_data": {
  "regex_features": [{"name": "zip", "pattern": "[0-9]{5}"}],
  "common_examples": [
    {"text": "where is it", "intent": "tracking", "entities": []},
    {
      "intent": "refund", "entities": [{"start": 0, "end": 1, "value": "退", "entity": "verb"}],
      "text": "\u9000\u94b1"
    },
    {"text": "no intent"}
  ]}}"#;
    let (summary, rows) = import_all(&[("nlu.json", json.as_bytes())], &options()).unwrap();
    assert_eq!(rows.iter().map(|r| (r.text.as_str(), r.intent.as_str())).collect::<Vec<_>>(), TWO);
    assert_eq!((summary.marks, summary.labels["refund"].1.line, summary.dropped[&Dropped::NoLabel].first[0].line), (1, 7, 9));
    refused("nlu.json", "{\"rasa_nlu_data\": {\n\"x\": 1}}", &options(), &["line 2: missing field `common_examples`"]);
}

#[test]
fn languages_come_from_a_column_a_word_or_the_letters() {
    let lang = |content: &str, o: &ImportOptions| taken("a.csv", content, o).into_iter().map(|r| r.2).collect::<Vec<_>>();
    assert_eq!(lang("text,intent\n还没发货,x\nwhere,x\n???,x", &options()), [Lang::Zh, Lang::En, Lang::Zh]);
    assert_eq!(lang("text,intent,lang\nwhere,x,zh-CN\nhere,x,\nthere,x,English", &options()), [Lang::Zh, Lang::En, Lang::En]);
    let said = |lang: &str| ImportOptions { lang: Some(lang.into()), ..options() };
    assert_eq!(lang("text,intent,lang\nwhere,x,fr", &said("auto")), [Lang::En]);
    assert_eq!(lang("text,intent,lang\nwhere,x,fr", &said("zh")), [Lang::Zh]);
    assert_eq!(lang("text,intent,l\nwhere,x,zh", &said("l")), [Lang::Zh]);
    refused("a.csv", "text,intent,lang\nok,x,en\noù,x,fr", &options(), &["line 3: the language is \"fr\"", "--lang auto"]);
    refused("a.csv", "text,intent\nok,x", &said("language"), &["no column \"language\"", "--lang"]);
}

#[test]
fn labels_are_mapped_checked_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("taxonomy.toml");
    fs::write(&path, "version = 1\n[[category]]\nid = 'c'\nintents = [{ id = 'a', zh = '', en = '' }, { id = 'b', zh = '', en = '' }]")
        .unwrap();
    let labels: BTreeSet<String> = read_taxonomy(&path).unwrap().intents().map(|(id, _)| id.to_owned()).collect();
    let checked = ImportOptions { labels: Some(labels), ..options() };
    let csv = "text,intent\nx,A\ny,B\nz,B\nw,a\n";
    refused(
        "f.csv",
        csv,
        &checked,
        &["2 labels are not in the taxonomy", "\"A\" (1 rows, first f.csv:2)", "\"B\" (2 rows, first f.csv:3)", "--map"],
    );
    let mapped = ImportOptions { map: [("A", "a"), ("B", "a")].map(|(o, n)| (o.into(), n.into())).into(), ..checked.clone() };
    let (summary, rows) = import_all(&[("f.csv", csv.as_bytes())], &mapped).unwrap();
    assert!(rows.iter().all(|r| r.intent == "a"));
    assert_eq!(summary.empty_classes, ["b"]);
    let (summary, _) = import_all(&[("f.csv", csv.as_bytes())], &options()).unwrap();
    assert_eq!(summary.look_alikes, [["A", "a"]]);
    let many: String = (0..=MAX_LABELS).map(|i| format!("x{i},y{i}\n")).collect();
    refused("f.csv", format!("text,intent\n{many}"), &options(), &["line 10002: more than 10000 different labels", "--intent"]);
}

#[test]
fn what_is_left_out_or_doubtful_is_counted_and_named() {
    let files: &[(&str, &[u8])] = &[
        ("a.csv", "text,intent\nwhere is it,a\n \u{200b},a\nx,\nWhere  is it,a\n".as_bytes()),
        ("b.jsonl", b"{\"text\":\"where is it\",\"intent\":\"b\"}\n{\"text\":null,\"intent\":\"b\"}\n{\"text\":\"y\",\"intent\":\"b\"}"),
    ];
    let (kept, rows) = import_all(files, &options()).unwrap();
    assert_eq!((kept.rows, kept.repeated, rows.len()), (4, 1, 4));
    let options = ImportOptions { drop_duplicates: true, map: [("old".to_owned(), "new".to_owned())].into(), ..options() };
    let (summary, rows) = import_all(files, &options).unwrap();
    assert_eq!((summary.rows, rows.len()), (3, 3));
    let dropped: Vec<(Dropped, u64, String)> = summary
        .dropped
        .iter()
        .map(|(&why, t)| (why, t.count, t.first.iter().map(|p| p.line.to_string()).collect::<Vec<_>>().join(" ")))
        .collect();
    assert_eq!(dropped, [(Dropped::EmptyText, 2, "3 2".into()), (Dropped::NoLabel, 1, "4".into()), (Dropped::Duplicate, 1, "5".into())]);
    let clash = &summary.clashes.first[0];
    assert_eq!((summary.clashes.count, clash.here.0.line, clash.before.0.line), (1, 1, 2));
    assert_eq!((clash.here.1.as_str(), clash.before.1.as_str()), ("b", "a"));
    assert_eq!(summary.unused_maps, ["old"]);
    assert_eq!(summary.files.iter().map(|f| f.1).collect::<Vec<_>>(), [Format::Csv, Format::Jsonl]);
}

#[test]
fn a_format_that_cannot_be_told_is_asked_for() {
    refused("a.txt", "just words\nand more\n", &options(), &["cannot be told", "--format csv, tsv, jsonl, fasttext or rasa"]);
    assert_eq!(by_content("__label__a x"), Ok(Format::Fasttext));
    assert_eq!(by_content("\n{\"a\": 1}\n{\"a\": 2}"), Ok(Format::Jsonl));
    assert_eq!(by_content("# c\nnlu:\n- intent: a"), Ok(Format::Rasa));
    assert_eq!(by_content("a,b\n"), Ok(Format::Csv));
    for format in Format::ALL {
        assert_eq!(format.as_str().parse(), Ok(format));
    }
}
