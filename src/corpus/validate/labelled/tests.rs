use std::fs;

use super::*;
use crate::corpus::Severity;

/// Judges files given by name and content.
fn judge(files: &[(&str, &[u8])], taxonomy: Option<&str>, cap: usize) -> Report {
    let dir = tempfile::tempdir().unwrap();
    let write = |(name, content): &(&str, &[u8])| {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let paths: Vec<PathBuf> = files.iter().map(write).collect();
    let taxonomy: Option<Taxonomy> = taxonomy.map(|labels| {
        let intents: Vec<String> = labels.split(' ').map(|l| format!("{{ id = '{l}', zh = '', en = '' }}")).collect();
        toml::from_str(&format!("version = 1\n[[category]]\nid = 'c'\nintents = [{}]", intents.join(", "))).unwrap()
    });
    validate_labelled(&paths, taxonomy.as_ref(), cap, &|_| ()).unwrap()
}

fn row(text: &str, intent: &str, lang: &str) -> String {
    serde_json::json!({ "text": text, "intent": intent, "lang": lang }).to_string() + "\n"
}

fn sound() -> String {
    ["where is my parcel", "has it been sent", "when does it come", "which carrier has it"].map(|t| row(t, "a", "en")).concat()
        + &["I want my money back", "please refund the coat", "return it, thank you"].map(|t| row(t, "b", "en")).concat()
}

/// The places and messages of a kind.
fn of(report: &Report, kind: Kind) -> Vec<String> {
    let show = |p: &Place| format!("{}:{} ", p.path.file_name().unwrap_or_default().to_string_lossy(), p.line);
    let listed = report.findings.iter().filter(|f| f.kind == kind);
    listed.map(|f| f.place.as_ref().map(show).unwrap_or_default() + &f.message).collect()
}

#[track_caller]
fn expect(report: &Report, kind: Kind, said: &[&[&str]]) {
    let found = of(report, kind);
    assert_eq!(found.len(), said.len(), "{kind:?}: {found:#?}");
    for (found, said) in found.iter().zip(said) {
        for said in *said {
            assert!(found.contains(said), "{said:?} in {found:?}");
        }
    }
}

#[test]
fn a_sound_corpus_has_no_findings() {
    let report = judge(&[("train.jsonl", sound().as_bytes())], Some("a b"), 10);
    assert_eq!(report.findings, []);
    assert_eq!((report.errors(), report.warnings(), report.sizes.values().sum::<usize>()), (0, 0, 7));
}

#[test]
fn broken_rows_are_all_listed_with_their_lines() {
    let broken = [
        sound().as_bytes(),
        b"{\"text\": \"x\"}\n\n[1]\n{\"text\": \"\xff\", \"intent\": \"a\", \"lang\": \"en\"}\n{\"text\":\"x y z\",\"intent\":\"a\",\"lang\":\"fr\"}\n{\"text\":{\"a\":1},\"intent\":\"a\",\"lang\":\"en\"}\n",
        row(" \u{200b}", "a", "en").as_bytes(),
        row("fine but new", "zzz", "en").as_bytes(),
        row("also of it", "zzz", "en").as_bytes(),
        row("without a label", " ", "en").as_bytes(),
    ]
    .concat();
    let report = judge(&[("t.jsonl", &broken)], Some("a b c"), 10);
    let schema = [
        &["t.jsonl:8 missing field `intent`"][..],
        &["t.jsonl:10", "expected"],
        &["t.jsonl:11 byte 11 (0xFF) is not UTF-8"],
        &["t.jsonl:12 unknown variant `fr`"],
        &["t.jsonl:13 invalid type: map"],
        &["t.jsonl:17 an empty label"],
    ];
    expect(&report, Kind::Schema, &schema);
    expect(&report, Kind::EmptyText, &[&["t.jsonl:14", "\"a\""]]);
    expect(&report, Kind::UnknownLabel, &[&["t.jsonl:15", "\"zzz\""], &["t.jsonl:16"]]);
    expect(&report, Kind::EmptyClass, &[&["\"c\" of the taxonomy has no example"]]);
    assert_eq!(report.errors(), 9);
}

#[test]
fn duplicates_are_told_by_what_they_do() {
    let train =
        sound() + &row("WHERE is my  parcel", "a", "en") + &row("I want my money back", "a", "en") + &row("has it been sent??", "b", "en");
    let test =
        row("when does it come", "a", "en") + &row("please refund the coat!", "b", "en") + &row("something else entirely", "b", "en");
    let report = judge(&[("train.jsonl", train.as_bytes()), ("test.jsonl", test.as_bytes())], None, 10);
    expect(&report, Kind::Repeated, &[&["train.jsonl:8", "repeats line 1"]]);
    expect(&report, Kind::TwoLabels, &[&["train.jsonl:9", "is a here and b at", "train.jsonl:5"]]);
    expect(&report, Kind::Leak, &[&["test.jsonl:1", "train.jsonl:3 too"]]);
    expect(&report, Kind::NearLeak, &[&["test.jsonl:2", "is nearly \"please refund the coat\" at", "train.jsonl:6"]]);
    expect(&report, Kind::NearTwoLabels, &[&["train.jsonl:10", "\"has it been sent??\" is b", "train.jsonl:2 is a"]]);
    assert_eq!((report.errors(), report.warnings()), (1, 4), "{:#?}", report.findings);
}

#[test]
fn labels_that_cannot_be_learnt_or_measured_are_named() {
    let many: String = (0..120).map(|i| row(&format!("{} number {i} of {}", "x".repeat(i), i * i), "big", "en")).collect();
    let train = sound()
        + &many
        + &row("the only one", "single", "en")
        + &row("a first thing", "small", "en")
        + &row("the second of it", "small", "en")
        + &row("quite unlike", "Big", "en");
    let test = row("completely different words", "a", "en")
        + &row("nothing in common here", "b", "en")
        + &row("never seen in training", "new", "en")
        + &row("12", "big", "en");
    let report = judge(&[("train.jsonl", train.as_bytes()), ("test.jsonl", test.as_bytes())], None, 10);
    expect(&report, Kind::SingleExample, &[&["train.jsonl:128", "single"], &["train.jsonl:131", "Big"], &["test.jsonl:3", "new"]]);
    expect(&report, Kind::Imbalance, &[&["train.jsonl:129", "\"small\" has 2 rows, and \"big\" has 121"]]);
    expect(
        &report,
        Kind::OneFileOnly,
        &[&["single"], &["small", "train.jsonl only (2 rows)"], &["Big"], &["new", "test.jsonl only (1 rows)"]],
    );
    expect(&report, Kind::LookAlikeLabels, &[&["\"big\" and \"Big\""]]);
    assert_eq!(report.errors(), 0);
}

#[test]
fn doubtful_texts_are_named_and_long_lists_are_counted() {
    let doubtful = sound() + &row("还没发货呢", "a", "en") + &row("my cafÃ© order", "b", "en") + &row(&"word ".repeat(500), "b", "en");
    let fields = doubtful + "{\"text\":\"one more thing\",\"intent\":\"a\",\"lang\":\"en\",\"id\":1}\n";
    let report = judge(&[("t.jsonl", fields.as_bytes())], None, 10);
    expect(&report, Kind::Language, &[&["t.jsonl:8", "is said to be en and looks like zh"]]);
    expect(&report, Kind::Encoding, &[&["t.jsonl:9", "which is \"é\" in UTF-8"]]);
    expect(&report, Kind::LongText, &[&["t.jsonl:10", "2500 characters"]]);
    assert!(
        report.notes.len() == 1 && report.notes[0].contains("\"id\" (1 rows") && report.notes[0].contains("t.jsonl:11"),
        "{:?}",
        report.notes
    );
    let repeated = sound() + &row("the same again", "a", "en").repeat(9);
    let report = judge(&[("t.jsonl", repeated.as_bytes())], None, 3);
    assert_eq!((of(&report, Kind::Repeated).len(), report.more[&Kind::Repeated], report.count(Severity::Warning)), (3, 5, 8));
}
