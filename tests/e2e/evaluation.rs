//! `eval`: a report folder of a classifier, and two of them compared.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::{folder, run};

/// Some of the shipped messages as a labelled set, one under a label that no model knows.
fn messages(dir: &Path) -> String {
    let path = dir.join("rows.jsonl");
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/intents/test.jsonl")).expect("the corpus");
    let mut rows: Vec<&str> = text.lines().take(40).collect();
    let stranger = r#"{"text": "<script>alert(1)</script> who are you", "intent": "of_another_shop", "lang": "en"}"#;
    rows.push(stranger);
    fs::write(&path, rows.join("\n")).expect("a file");
    path.display().to_string()
}

#[test]
fn the_classifier_is_measured_in_words_in_json_and_in_a_folder() {
    let dir = folder();
    let (data, out) = (messages(dir.path()), dir.path().join("report"));
    let done = run(&["eval", "intents", "--data", &data, "--out", &out.display().to_string()]).expect(0);
    assert!(done.out.starts_with("# Intent classifier intent@") && done.out.contains("| all | 41 |"), "{}", done.out);
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    assert_eq!(read("report.md").trim_end(), done.out.trim_end());
    assert_eq!(read("predictions.jsonl").lines().count(), 41);
    let html = read("report.html");
    assert!(html.starts_with("<!doctype html>") && html.ends_with("</html>") && !html.contains("<script"), "{} bytes", html.len());
    assert_eq!(fs::read_dir(&out).expect("a folder").count(), 4, "nothing else is left");

    let metrics: Value = serde_json::from_str(&read("metrics.json")).expect("JSON");
    assert_eq!((&metrics["n"], &metrics["unknown_labels"]), (&Value::from(41), &Value::from(1)));
    assert_eq!(metrics["scores"]["all"]["n"], 41);
    let goals: Vec<_> = metrics["scores"]["all"]["thresholds"].as_array().expect("thresholds").iter().map(|t| t["goal"].clone()).collect();
    assert_eq!(goals, [0.9, 0.95]);
    let printed = run(&["eval", "intents", "--data", &data, "--json"]).expect(0).out;
    assert_eq!(serde_json::from_str::<Value>(&printed).expect("JSON"), metrics);

    let missing = run(&["eval", "intents", "--data", "/nowhere/test.jsonl"]).expect(1);
    assert!(missing.err.contains("/nowhere/test.jsonl"), "{}", missing.err);
    let inside = out.join("report.md").join("deeper").display().to_string();
    let unwritable = run(&["eval", "intents", "--data", &data, "--out", &inside]).expect(1);
    assert!(unwritable.err.contains(&inside), "{}", unwritable.err);
}

#[test]
fn two_reports_are_compared_row_by_row() {
    let dir = folder();
    let path = |name: &str| dir.path().join(name).display().to_string();
    let row = |i: usize, right: bool| {
        let (predicted, lang) = (if right { "stock" } else { "price" }, if i.is_multiple_of(2) { "zh" } else { "en" });
        format!(
            r#"{{"text":"message {i}","lang":"{lang}","label":"stock","predicted":"{predicted}","confidence":0.8,"probability_of_label":0.2,"alternatives":[],"out_of_scope":0.0,"path":"fast","evidence":[],"brier":0.1}}"#
        )
    };
    let write = |name: &str, right: &dyn Fn(usize) -> bool| {
        let rows: Vec<String> = (0..400).map(|i| row(i, right(i))).collect();
        fs::write(path(name), rows.join("\n")).expect("a file");
    };
    write("a.jsonl", &|i| i >= 40);
    write("b.jsonl", &|i| i != 399);
    write("c.jsonl", &|i| i >= 40 && i != 399);
    fs::create_dir(path("b")).expect("a folder");
    fs::rename(path("b.jsonl"), dir.path().join("b/predictions.jsonl")).expect("a file");

    let done = run(&["eval", "compare", &path("a.jsonl"), &path("b")]).expect(0).out;
    assert!(done.contains("B is better by 9.8 points of accuracy (95 % interval ") && done.contains("p < 0.001, n = 400): real"), "{done}");
    assert!(done.contains("Right in B alone: 40, 10 of them") && done.contains("Right in A alone: 1\n"), "{done}");
    let json = run(&["eval", "compare", "--json", &path("b"), &path("a.jsonl")]).expect(0).out;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["verdict"]["outcome"], &json["scores"]["zh"]["mcnemar"]["only_a"]), (&Value::from("a_better"), &Value::from(20)));
    assert_eq!(json["only_a"].as_array().map(Vec::len), Some(40));
    let luck = run(&["eval", "compare", &path("a.jsonl"), &path("c.jsonl")]).expect(0).out;
    assert!(
        luck.contains("no difference that these 400 rows could show (A is ahead by 0.3 points") && luck.contains("at least ~"),
        "{luck}"
    );

    fs::write(path("short.jsonl"), row(0, true)).expect("a file");
    run(&["eval", "compare", &path("a.jsonl"), &path("short.jsonl")])
        .expect(1)
        .expect_error("A has 400 rows and B has 1", "the same messages");
    fs::write(path("other.jsonl"), row(7, true)).expect("a file");
    let other = run(&["eval", "compare", &path("short.jsonl"), &path("other.jsonl")]).expect(1);
    other.expect_error("row 1 is not the same in both", "eval intents --data");
    run(&["eval", "compare", &path("a.jsonl"), "datasets/intents/test.jsonl"])
        .expect(1)
        .expect_error("test.jsonl, line 1", "predictions.jsonl");
    run(&["eval", "compare", &path("a.jsonl"), "/nowhere"]).expect(1).expect_error("/nowhere", "eval intents --out");
}
