//! From recorded messages and feedback to training rows, lists and a drift report.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::program::{Running, folder, run};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn rows(path: &Path) -> Vec<Value> {
    fs::read_to_string(path).expect("a file").lines().map(json).collect()
}

/// Messages of validation: they are like those trained on, and were not.
fn messages(count: usize) -> Vec<String> {
    let rows = rows(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/intents/valid.jsonl")));
    // From all over the file, which is sorted by intent.
    let step = rows.len() / count;
    rows.iter().step_by(step).take(count).map(|row| row["text"].as_str().expect("a text").to_owned()).collect()
}

/// Has messages triaged and kept; answers the triages.
fn record(service: &Running, texts: &[String]) -> Vec<Value> {
    let items: Vec<Value> = texts.iter().map(|text| json!({ "text": text, "mode": "fast", "record": true })).collect();
    let (status, body) = service.try_send("POST", "/v1/triage/batch", &json!({ "items": items }).to_string()).expect("an answer");
    assert_eq!(status, 200, "{body:#}");
    body["items"].as_array().expect("items").clone()
}

#[track_caller]
fn say(service: &Running, body: Value) {
    let (status, answer) = service.try_send("POST", "/v1/feedback", &body.to_string()).expect("an answer");
    assert_eq!(status, 201, "{answer:#}");
}

#[test]
fn feedback_becomes_training_rows_while_the_service_runs() {
    let dir = folder();
    let (data, out) = (dir.path().join("shop"), dir.path().join("feedback.jsonl"));
    let service = Running::start(&data, &[]);
    let texts = ["还没发货", "where is my refund", "还没发货 ", "发票怎么开", "hello there"].map(str::to_owned);
    let triages = record(&service, &texts);
    let id = |at: usize| triages[at]["id"].clone();
    say(&service, json!({ "triage_id": id(0), "outcome": "accepted" }));
    say(&service, json!({ "triage_id": id(1), "outcome": "rejected" }));
    say(&service, json!({ "triage_id": id(1), "outcome": "rejected", "intent": "refund_status" }));
    say(&service, json!({ "triage_id": id(2), "outcome": "edited", "intent": "complaint" }));
    say(&service, json!({ "triage_id": id(3), "outcome": "rejected" }));

    let (data_text, out_text) = (data.display().to_string(), out.display().to_string());
    let export = |more: &[&str]| run(&[&["data", "export", "--feedback", "--data", &data_text, "--out", &out_text], more].concat());
    let told = export(&[]).expect(0).out;
    let expected = [
        json!({ "text": "where is my refund", "intent": "refund_status", "lang": "en" }),
        // Two labels, once each: the last one counts.
        json!({ "text": "还没发货", "intent": "complaint", "lang": "zh" }),
    ];
    let mut written = rows(&out);
    written.sort_by_key(|row| row["lang"].to_string());
    assert_eq!(written, expected);
    for part in ["2 rows", "1 rejected without a label", "different labels", "complaint 1"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let only = export(&["--outcome", "accepted,rejected"]).expect(0).out;
    assert!(only.contains("1 of another outcome"), "{only}");
    assert_eq!(
        rows(&out).iter().find(|row| row["lang"] == "zh").map(|row| row["intent"].clone()),
        Some(triages[0]["intent"]["id"].clone())
    );

    // What would write nothing leaves the file alone.
    let before = fs::read(&out).expect("the file");
    export(&["--since", "2999-01-01"]).expect(1).expect_error("nothing to export", "/v1/feedback");
    assert_eq!(fs::read(&out).expect("the file"), before);
    assert!(export(&["--since", "yesterday"]).expect(2).err.contains("2026-01-31"));
    assert!(export(&["--outcome", "maybe"]).expect(2).err.contains("accepted, edited and rejected"));
    let nowhere = run(&["data", "export", "--feedback", "--data", &data_text, "--out", "/nowhere/rows.jsonl"]).expect(1);
    assert!(nowhere.err.contains("/nowhere/rows.jsonl"), "{}", nowhere.err);
    // Nothing is left beside it, and the rows can be trained on.
    assert_eq!(
        fs::read_dir(dir.path())
            .expect("a folder")
            .filter(|e| e.as_ref().is_ok_and(|e| e.path().extension().is_some_and(|x| x == "part")))
            .count(),
        0
    );
    service.stop();
}

#[test]
fn informative_messages_are_listed_and_those_with_feedback_are_not() {
    let dir = folder();
    let data = dir.path().join("shop");
    let service = Running::start(&data, &[]);
    let mut texts = messages(120);
    texts.extend(vec!["xylofon quargel wobblet fjord".to_owned(); 5]);
    let triages = record(&service, &texts);
    let (data_text, out) = (data.display().to_string(), dir.path().join("label.jsonl"));
    let list = |more: &[&str]| run(&[&["data", "informative", "--data", &data_text, "--no-encoder"], more].concat());

    let listed = json(&list(&["--json", "--count", "20"]).expect(0).out);
    let listed = listed.as_array().expect("a list");
    assert_eq!(listed.len(), 20);
    let scores: Vec<f64> = listed.iter().map(|row| row["score"].as_f64().expect("a score")).collect();
    assert!(scores.windows(2).all(|w| w[0] >= w[1]), "{scores:?}");
    let odd: Vec<&Value> = listed.iter().filter(|row| row["text"] == texts[120]).collect();
    assert_eq!(odd.len(), 1, "copies stand once: {listed:#?}");
    assert_eq!((&odd[0]["copies"], &odd[0]["novelty"]), (&json!(5), &json!(1.0)));
    assert!(odd[0]["why"].to_string().contains("xylofon"), "{}", odd[0]);
    // Those listed are doubted more than those that are not.
    let confidence = |row: &Value| row["guess"]["confidence"].as_f64().expect("a confidence");
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let of_all: Vec<f64> = triages.iter().map(|t| t["intent"]["confidence"].as_f64().expect("a confidence")).collect();
    assert!(mean(&listed.iter().map(confidence).collect::<Vec<_>>()) < mean(&of_all) - 0.1);

    let first = listed[0]["triage_id"].clone();
    say(&service, json!({ "triage_id": first, "outcome": "accepted" }));
    let told = list(&["--count", "20", "--out", &out.display().to_string()]).expect(0).out;
    assert!(told.contains("20 of 124 messages"), "{told}");
    assert!(rows(&out).iter().all(|row| row["triage_id"] != first), "it has its label");
    let people = list(&["--count", "3"]).expect(0).out;
    assert_eq!(people.lines().count(), 1 + 2 * 3, "{people}");
    list(&["--since", "2999-01-01"]).expect(1).expect_error("no recorded message", "\"record\": true");
    list(&["--count", "0"]).expect(2);
    let with_vectors = run(&["data", "informative", "--data", &data_text, "--json", "--count", "5"]).expect(0);
    assert_eq!(json(&with_vectors.out).as_array().map(Vec::len), Some(5));
    service.stop();
    let nowhere = dir.path().join("nothing");
    let missing = run(&["data", "informative", "--data", &nowhere.display().to_string()]).expect(1);
    missing.expect_error("no records", "--data");
    assert!(!nowhere.exists(), "looking makes no folder");
}

#[test]
fn messages_of_the_same_kind_are_stable_and_others_have_drifted() {
    let dir = folder();
    let data = dir.path().join("shop");
    let service = Running::start(&data, &[]);
    record(&service, &messages(300));
    let data_text = data.display().to_string();
    let drift = |more: &[&str]| run(&[&["data", "drift", "--data", &data_text], more].concat());
    let report = json(&drift(&["--no-encoder", "--json"]).expect(0).out);
    assert_eq!((&report["messages"], &report["training_messages"].as_u64().is_some_and(|n| n > 5000)), (&json!(300), &true));
    for part in ["vocabulary", "confidence"] {
        assert_eq!(report[part]["verdict"], "stable", "{part}: {:#}", report[part]);
    }
    // The training set is English by two thirds, validation by two fifths.
    for part in ["labels", "languages"] {
        assert_ne!(report[part]["verdict"], "drifted", "{part}: {:#}", report[part]);
    }
    assert_eq!(report["embedding"], Value::Null);
    assert!(report["skipped"].to_string().contains("sentence vectors"), "{}", report["skipped"]);

    let strange: Vec<String> =
        (0..300).map(|i| format!("wobblet firmware flashes error {i} after quargel reset of the gizmodrome")).collect();
    record(&service, &strange);
    service.stop();
    let people = drift(&["--sample", "150"]).expect(0).out;
    assert!(people.starts_with("# Drift: drifted"), "{people}");
    for part in ["wobblet", "| vocabulary | drifted", "nearest training message", "Mean vectors", "below the policy's confidence"] {
        assert!(people.contains(part), "{part} in {people}");
    }
    let alone = dir.path().join("train.jsonl");
    fs::write(&alone, "{\"text\":\"货呢\",\"intent\":\"logistics_status\",\"lang\":\"zh\"}\n").expect("a file");
    let few = json(&drift(&["--no-encoder", "--json", "--against", &alone.display().to_string()]).expect(0).out);
    assert_eq!((&few["verdict"], &few["confidence"]), (&json!("too_few"), &Value::Null));
    assert!(few["skipped"].to_string().contains("--valid"), "{}", few["skipped"]);
    drift(&["--since", "2999-01-01"]).expect(1).expect_error("no recorded message", "\"record\": true");
    assert!(drift(&["--against", "/nowhere/train.jsonl"]).expect(1).err.contains("/nowhere/train.jsonl"));
}

#[test]
fn rows_with_a_wrong_label_are_suspects() {
    let dir = folder();
    let (path, out) = (dir.path().join("train.jsonl"), dir.path().join("suspects.jsonl"));
    let mut text = String::new();
    for i in 0..30 {
        for (intent, words) in
            [("invoice", "please send the invoice for my last order"), ("size_advice", "which size fits me at this height")]
        {
            // Two of the invoices call themselves sizes.
            let label = if intent == "invoice" && i < 2 { "size_advice" } else { intent };
            text += &format!(
                "{{\"text\":\"{words} {}\",\"intent\":\"{label}\",\"lang\":\"en\"}}\n",
                ["now", "today", "soon"][i % 3].repeat(i / 3 + 1)
            );
        }
    }
    fs::write(&path, &text).expect("a file");
    let path_text = path.display().to_string();
    let suspects = |more: &[&str]| run(&[&["data", "suspects", &path_text], more].concat());
    let report = json(&suspects(&["--json"]).expect(0).out);
    assert_eq!((&report["rows"], &report["found"]), (&json!(60), &json!(2)), "{report:#}");
    let mut found: Vec<u64> = report["suspects"].as_array().expect("a list").iter().map(|s| s["row"].as_u64().expect("a row")).collect();
    found.sort_unstable();
    assert_eq!(found, [1, 3]);
    assert_eq!((&report["suspects"][0]["given"], &report["suspects"][0]["likely"]), (&json!("size_advice"), &json!("invoice")));
    suspects(&["--count", "1", "--out", &out.display().to_string()]).expect(0);
    assert_eq!(rows(&out).len(), 1);
    let people = suspects(&["--folds", "3"]).expect(0).out;
    assert!(people.contains("60 rows") && people.contains("rather invoice"), "{people}");

    suspects(&["--folds", "1"]).expect(2);
    for (rows, said) in [("", "holds no row"), ("{\"text\":\"a\",\"intent\":\"x\",\"lang\":\"en\"}\n", "one label"), ("{\n", "line 1")] {
        fs::write(&path, rows).expect("a file");
        assert!(suspects(&[]).expect(1).err.contains(said), "{said}");
    }
    assert!(run(&["data", "suspects", "/nowhere/rows.jsonl"]).expect(1).err.contains("/nowhere/rows.jsonl"));
}
