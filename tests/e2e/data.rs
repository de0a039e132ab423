//! `fenzhen data import|split|validate|export`: files in, files out, and what is said about bad ones.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{Done, fenzhen, folder, run, signal, until, wait};

/// A folder to run the commands in.
struct Bench {
    dir: TempDir,
}

impl Bench {
    fn new(files: &[(&str, &[u8])]) -> Self {
        let dir = folder();
        for (name, content) in files {
            fs::write(dir.path().join(name), content).expect("a file");
        }
        Self { dir }
    }

    /// Runs `fenzhen data ...`; words that name a file of the folder, or one to be written there, come with its path.
    fn data(&self, words: &str) -> Done {
        let path = |word: &str| self.path(word).display().to_string();
        let is_file = |word: &&str| word.contains('.') && !word.starts_with('-') && !word.starts_with('/') && word.parse::<f64>().is_err();
        let words: Vec<String> = words.split(' ').map(|word| if is_file(&word) { path(word) } else { word.to_owned() }).collect();
        run(&[&["data"][..], &words.iter().map(String::as_str).collect::<Vec<_>>()].concat())
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name.trim_start_matches("./"))
    }

    fn rows(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(name)).expect("a file");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.dir.path())
            .expect("a folder")
            .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }
}

/// Texts that share nothing but their label.
fn corpus(rows: usize) -> String {
    let word = |n: usize| ["coat", "lamp", "phone", "kettle", "scarf", "chair", "radio", "bike", "mug", "tent"][n % 10];
    let line = |i: usize| {
        let (text, intent) = if i.is_multiple_of(2) {
            (format!("{} {} {} arrives when", i * 7919, word(i / 2), word(i / 7)), "shipping_time")
        } else {
            (format!("refund {} for {} {}", word(i / 3), i * 104_729, word(i / 5)), "refund_request")
        };
        format!("{}\n", serde_json::json!({ "text": text, "intent": intent, "lang": "en", "customer": format!("c{}", i % 50) }))
    };
    (0..rows).map(line).collect()
}

#[test]
fn files_of_many_kinds_become_one_corpus() {
    let nlu = "version: \"3.1\"\nnlu:\n- intent: colour\n  examples: |\n    - a [red](color) one?\n    - [大红](color) 的有吗\n";
    let bench = Bench::new(&[
        (
            "a.csv",
            "\u{feff}id,Utterance,label\r\n1,where is it,track\r\n2,\"退钱, 快\",Refund\r\n3,,track\r\n4,Where is  it,track\r\n".as_bytes(),
        ),
        ("b.txt", b"__label__track has it been sent\n__label__refund where is it\n"),
        ("nlu.yml", nlu.as_bytes()),
    ]);
    let done = bench.data("import a.csv b.txt nlu.yml --out all.jsonl --drop-duplicates --map Refund=refund --map no=thing").expect(0);
    let rows = bench.rows("all.jsonl");
    let found: Vec<(&str, &str, &str)> =
        rows.iter().map(|r| ["text", "intent", "lang"].map(|k| r[k].as_str().unwrap_or_default())).map(|[a, b, c]| (a, b, c)).collect();
    assert_eq!(
        found,
        [
            ("where is it", "track", "en"),
            ("退钱, 快", "refund", "zh"),
            ("has it been sent", "track", "en"),
            ("where is it", "refund", "en"),
            ("a red one?", "colour", "en"),
            ("大红 的有吗", "colour", "zh"),
        ]
    );
    for said in [
        "6 rows",
        "(fasttext)",
        "en 4",
        "1 rows with an empty text",
        "a.csv:4",
        "1 rows that repeat",
        "a.csv:5",
        "2 entity marks",
        "another label",
        "b.txt:2",
        "labels of --map that no row has: no",
    ] {
        assert!(done.out.contains(said), "{said} in {}", done.out);
    }
    assert_eq!(bench.names(), ["a.csv", "all.jsonl", "b.txt", "nlu.yml"], "nothing else is left");
}

#[test]
fn bad_files_are_refused_with_their_line_and_what_to_do_and_nothing_is_written() {
    let bench = Bench::new(&[
        ("empty.csv", b""),
        ("broken.csv", b"text,intent\nok,a\n\"never closed,b\nx,y\n"),
        ("gbk.csv", b"text,intent\n\xcd\xcb\xc7\xae,refund\n"),
        ("other.csv", b"body,kind\nx,y\n"),
        ("nested.jsonl", b"{\"text\":{\"body\":\"x\"},\"intent\":\"a\"}\n"),
        ("several.txt", b"__label__a __label__b x\n"),
        ("labels.csv", b"text,intent\nx,order_status\ny,Bestellung\n"),
        ("out.jsonl", b"precious"),
    ]);
    for (words, error, hint) in [
        ("empty.csv", "the file is empty", "check the path"),
        ("broken.csv", "broken.csv, line 3: the quote that opens here is never closed", "--no-quotes"),
        ("gbk.csv", "line 2: field 1: byte 1 (0xCD) is not UTF-8", "iconv -f GB18030"),
        ("other.csv", "no column has a usual name", "--text COLUMN"),
        ("other.csv --text body --intent label", "no column \"label\"; the columns are \"body\", \"kind\"", "--intent"),
        ("nested.jsonl", "line 1: the field \"text\" is an object", "--text text.NAME"),
        ("several.txt", "line 1: 2 labels", "--first-label"),
    ] {
        bench.data(&format!("import {words} --out out.jsonl")).expect(1).expect_error(error, hint);
    }
    let taxonomy = concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/taxonomy.toml");
    let done = bench.data(&format!("import labels.csv --out out.jsonl --labels-from {taxonomy}")).expect(1);
    done.expect_error("\"Bestellung\" (1 rows, first", "--map");
    bench.data(&format!("import labels.csv --out out.jsonl --labels-from {taxonomy} --map Bestellung=order_status")).expect(0);
    fs::write(bench.path("out.jsonl"), "precious").expect("a file");
    bench.data("import labels.csv --out no/where.jsonl").expect(1).expect_error("its folder does not exist", "mkdir");
    bench.data("import labels.csv --out out.jsonl --map a").expect(2);
    bench.data("import labels.csv --out out.jsonl --map a=b --map a=c").expect(1).expect_error("renames \"a\" twice", "leave one");
    bench.data("import labels.csv --out out.jsonl --format xls").expect(2);
    let missing = bench.data("import missing.csv --out out.jsonl").expect(1);
    assert!(missing.err.contains("missing.csv"), "{}", missing.err);
    assert_eq!(fs::read_to_string(bench.path("out.jsonl")).expect("a file"), "precious");
    assert!(!bench.names().iter().any(|name| name.ends_with(".part")), "{:?}", bench.names());
}

#[test]
fn a_killed_import_leaves_the_old_file_and_the_next_one_succeeds() {
    let bench = Bench::new(&[("out.jsonl", b"precious"), ("small.csv", b"text,intent\na b,x\n")]);
    let (input, out) = (bench.path("endless"), bench.path("out.jsonl"));
    let made = std::process::Command::new("mkfifo").arg(&input).status().expect("mkfifo");
    assert!(made.success());
    let arguments = ["data", "import", &input.display().to_string(), "--format", "csv", "--out", &out.display().to_string()];
    let mut child = fenzhen(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut pipe = fs::OpenOptions::new().write(true).open(&input).expect("the pipe");
    pipe.write_all(b"text,intent\n").expect("it reads");
    let part = bench.path("out.jsonl.part");
    let mut n = 0;
    until(|| {
        n += 1;
        pipe.write_all(format!("row {n} of many,x\n").repeat(500).as_bytes()).expect("it reads");
        fs::metadata(&part).is_ok_and(|m| m.len() > 0).then_some(())
    })
    .expect("it writes");
    bench.data("import small.csv --out out.jsonl").expect(1).expect_error("another program is writing it", "--out");
    signal(&child, "KILL");
    wait(&mut child);
    assert_eq!(fs::read_to_string(&out).expect("a file"), "precious");
    assert!(part.exists());
    bench.data("import small.csv --out out.jsonl").expect(0);
    assert_eq!(bench.rows("out.jsonl").len(), 1);
    assert!(!part.exists());
}

#[test]
fn a_split_is_stratified_repeatable_and_keeps_groups_together() {
    let bench = Bench::new(&[
        ("all.jsonl", corpus(400).as_bytes()),
        ("tiny.jsonl", (corpus(40) + "{\"text\":\"退货\",\"intent\":\"return\",\"lang\":\"zh\"}\n").as_bytes()),
    ]);
    let parts = |dir: &str| ["train", "valid", "test"].map(|part| bench.rows(&format!("{dir}/{part}.jsonl")));
    bench.data("split all.jsonl --out ./one. --valid 0.2").expect(0);
    bench.data("split all.jsonl --out ./two. --valid 0.2").expect(0);
    bench.data("split all.jsonl --out ./three. --valid 0.2 --seed 2").expect(0);
    let one = parts("one.");
    assert_eq!(one.each_ref().map(Vec::len), [280, 80, 40]);
    assert_eq!(one.each_ref().map(|part| part.iter().filter(|r| r["intent"] == "refund_request").count()), [140, 40, 20]);
    assert_eq!(one, parts("two."));
    assert_ne!(one, parts("three."));

    bench.data("split all.jsonl --out ./grouped. --group customer").expect(0);
    let customers = parts("grouped.").map(|part| part.iter().map(|r| r["customer"].to_string()).collect::<std::collections::BTreeSet<_>>());
    assert!(customers[0].is_disjoint(&customers[1]) && customers[0].is_disjoint(&customers[2]) && customers[1].is_disjoint(&customers[2]));
    assert_eq!(customers.iter().map(|c| c.len()).sum::<usize>(), 50);

    let small = bench.data("split tiny.jsonl --out ./small. --by-near-duplicates").expect(0);
    assert!(small.out.contains("1 labels have too few rows") && small.out.contains("return (zh) 1"), "{}", small.out);
    bench.data("split all.jsonl --out ./x. --valid 0.6 --test 0.5").expect(1).expect_error("leave nothing to train on", "--valid");
    bench.data("split all.jsonl --out ./x. --group client").expect(1).expect_error("line 1: no field \"client\"", "--group");
    assert!(!bench.path("x.").exists());
    // What was split can be trained on: rows may carry more than training reads.
    bench.data("validate ./grouped.").expect(0);
}

#[test]
fn labelled_files_are_judged_with_their_lines() {
    let bad = "{\"text\":\"\",\"intent\":\"order_status\",\"lang\":\"en\"}\n{\"intent\":\"order_status\"}\n{\"text\":\"where is it\",\"intent\":\"nonsense\",\"lang\":\"zh\"}\n";
    let sound =
        "{\"text\":\"where is it\",\"intent\":\"a\",\"lang\":\"en\"}\n{\"text\":\"has it left\",\"intent\":\"a\",\"lang\":\"en\"}\n";
    let clash =
        "{\"text\":\"Where is it\",\"intent\":\"b\",\"lang\":\"en\"}\n{\"text\":\"refund me now\",\"intent\":\"b\",\"lang\":\"en\"}\n";
    let bench = Bench::new(&[
        ("bad.jsonl", bad.as_bytes()),
        ("sound.jsonl", sound.as_bytes()),
        ("clash.jsonl", (sound.to_owned() + clash).as_bytes()),
        ("gbk.jsonl", b"{\"text\":\"\xcd\xcb\",\"intent\":\"a\",\"lang\":\"zh\"}\n"),
        ("raw.csv", b"text,intent\na,b\n"),
    ]);
    let taxonomy = concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/taxonomy.toml");
    let done = bench.data(&format!("validate bad.jsonl --labels-from {taxonomy} --show 2")).expect(1);
    for said in [
        "bad.jsonl:1: an empty text",
        "bad.jsonl:2: missing field `text`",
        "bad.jsonl:3: the label \"nonsense\"",
        "looks like en",
        "more of this kind (empty_class)",
    ] {
        assert!(done.out.contains(said), "{said} in {}", done.out);
    }
    bench.data("validate sound.jsonl --strict").expect(0);
    let clash = bench.data("validate clash.jsonl").expect(0);
    assert!(clash.out.contains("clash.jsonl:3: \"Where is it\" is b here and a at"), "{}", clash.out);
    bench.data("validate clash.jsonl --strict").expect(1);
    let leak = bench.data("validate sound.jsonl clash.jsonl --json").expect(1);
    let report: Value = serde_json::from_str(&leak.out).expect("JSON");
    assert_eq!((&report["ok"], &report["errors"]), (&Value::Bool(false), &3.into()));
    let kinds: Vec<&str> =
        report["corpora"][0]["findings"].as_array().expect("findings").iter().filter_map(|f| f["kind"].as_str()).collect();
    assert!(kinds.contains(&"leak") && kinds.contains(&"two_labels") && kinds.contains(&"one_file_only"), "{kinds:?}");
    let gbk = bench.data("validate gbk.jsonl").expect(1);
    assert!(gbk.out.contains("gbk.jsonl:1: byte 10 (0xCD) is not UTF-8"), "{}", gbk.out);
    bench.data("validate raw.csv").expect(1).expect_error("labelled rows are JSON Lines", "fenzhen data import");
    let shipped: Value = serde_json::from_str(&run(&["data", "validate", "--json"]).expect(0).out).expect("JSON");
    assert_eq!(shipped["corpora"].as_array().map(Vec::len), Some(7));
}

#[test]
fn the_shipped_corpus_goes_out_in_every_format_and_comes_back() {
    let bench = Bench::new(&[]);
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/intents/test.jsonl");
    let key = |r: &Value| (r["intent"].to_string(), r["text"].to_string());
    let read = |path: &Path| -> Vec<(String, String)> {
        let text = fs::read_to_string(path).expect("a file");
        let mut rows: Vec<_> = text.lines().map(|line| key(&serde_json::from_str(line).expect("JSON"))).collect();
        rows.sort();
        rows
    };
    for format in ["csv", "tsv", "jsonl", "fasttext", "rasa"] {
        bench.data(&format!("export {shipped} --format {format} --out ./file.")).expect(0);
        bench.data(&format!("import ./file. --out again.jsonl --format {format}")).expect(0);
        assert_eq!(read(&bench.path("again.jsonl")), read(Path::new(shipped)), "{format}");
    }
    bench.data(&format!("export {shipped} --format xml --out ./file.")).expect(2);
    fs::write(bench.path("odd.jsonl"), "{\"text\":\"a [b](c)\",\"intent\":\"two words\",\"lang\":\"en\"}\n").expect("a file");
    bench
        .data("export odd.jsonl --format rasa --out ./odd.yml")
        .expect(1)
        .expect_error("odd.jsonl, line 1: Rasa would read an entity", "take the row out");
    bench
        .data("export odd.jsonl --format fasttext --out ./odd.txt")
        .expect(1)
        .expect_error("line 1: fastText's labels have no spaces", "--map");
    assert!(!bench.path("odd.yml").exists());
}
