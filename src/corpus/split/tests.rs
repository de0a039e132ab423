use std::collections::{BTreeSet, HashMap};
use std::fs;

use proptest::prelude::*;

use super::*;
use crate::corpus::{Example, read_jsonl};

fn options() -> SplitOptions {
    SplitOptions { valid: 0.1, test: 0.1, seed: 1, group: None, near_duplicates: false }
}

fn row(text: &str, intent: &str, lang: &str) -> String {
    serde_json::json!({ "text": text, "intent": intent, "lang": lang }).to_string()
}

/// Splits the lines and gives back the lines of each part.
fn split_lines(lines: &[String], options: &SplitOptions) -> Result<(SplitSummary, [Vec<String>; 3]), String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("all.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    let out = dir.path().join("new/parts");
    let summary = split(&file, &out, options, &|_| ()).map_err(|e| format!("{e} | {}", e.hint().unwrap_or_default()))?;
    let read = |part: &str| fs::read_to_string(out.join(format!("{part}.jsonl"))).unwrap_or_default().lines().map(str::to_owned).collect();
    Ok((summary, PARTS.map(read)))
}

fn corpus(kinds: &[(&str, &str, usize)]) -> Vec<String> {
    let of = |&(intent, lang, n): &(&str, &str, usize)| {
        (0..n).map(move |i| row(&format!("{intent} {lang} {i}"), intent, lang)).collect::<Vec<_>>()
    };
    kinds.iter().flat_map(of).collect()
}

fn count(lines: &[String], intent: &str, lang: &str) -> usize {
    let rows = lines.iter().map(|line| serde_json::from_str::<Example>(line).unwrap());
    rows.filter(|r| r.intent == intent && r.lang.as_str() == lang).count()
}

#[test]
fn intents_and_languages_keep_their_shares_and_small_ones_stay_in_train() {
    let lines = corpus(&[("a", "zh", 200), ("a", "en", 50), ("b", "zh", 33), ("c", "en", 5), ("d", "en", 4), ("e", "zh", 1)]);
    let (summary, [train, valid, test]) = split_lines(&lines, &options()).unwrap();
    for part in [&valid, &test] {
        let counts = [("a", "zh"), ("a", "en"), ("b", "zh"), ("c", "en"), ("d", "en"), ("e", "zh")].map(|(i, l)| count(part, i, l));
        assert_eq!(counts[..2], [20, 5]);
        assert!((3..=4).contains(&counts[2]), "{counts:?}");
        assert_eq!(counts[3..], [1, 0, 0]);
    }
    assert_eq!(train.len() + valid.len() + test.len(), lines.len());
    let small: Vec<(&str, u64)> = summary.too_small.iter().map(|s| (s.intent.as_str(), s.rows)).collect();
    assert_eq!(small, [("d", 4), ("e", 1)]);
    assert_eq!(summary.parts.iter().map(|p| p.rows as usize).collect::<Vec<_>>(), [train.len(), valid.len(), test.len()]);
    assert_eq!((summary.parts[0].labels, summary.parts[1].labels, summary.groups, summary.largest_group), (5, 3, lines.len(), 1));
}

#[test]
fn rounding_neither_starves_nor_feeds_a_part() {
    let kinds: Vec<(String, usize)> = (0..40).map(|i| (format!("i{i}"), 14)).collect();
    let kinds: Vec<(&str, &str, usize)> = kinds.iter().map(|(name, n)| (name.as_str(), "en", *n)).collect();
    let (_, [_, valid, test]) = split_lines(&corpus(&kinds), &options()).unwrap();
    assert_eq!((valid.len(), test.len()), (56, 56));
    // Shares that nearly use everything up leave each intent something to learn from.
    let greedy = SplitOptions { valid: 0.45, test: 0.45, ..options() };
    let (_, [train, valid, test]) = split_lines(&corpus(&[("a", "en", 5), ("b", "en", 7)]), &greedy).unwrap();
    assert!(count(&train, "a", "en") >= 1 && count(&train, "b", "en") >= 1 && !valid.is_empty() && !test.is_empty());
}

#[test]
fn the_same_rows_and_seed_make_the_same_parts_in_any_order() {
    let mut lines = corpus(&[("b", "zh", 60), ("a", "en", 61), ("c", "en", 15)]);
    let sets = |lines: &[String], seed| -> [BTreeSet<String>; 3] {
        let (_, parts) = split_lines(lines, &SplitOptions { seed, ..options() }).unwrap();
        parts.map(|part| part.into_iter().collect())
    };
    let first = sets(&lines, 7);
    lines.reverse();
    lines.rotate_left(31);
    assert_eq!(sets(&lines, 7), first);
    assert_ne!(sets(&lines, 8), first);
}

#[test]
fn groups_and_equal_texts_stay_together_and_unknown_fields_are_kept() {
    let line = |i: usize| {
        serde_json::json!({ "text": format!("text {}", i % 190), "intent": if i.is_multiple_of(2) { "a" } else { "b" }, "lang": "en", "customer": i % 40, "id": format!("r{i}") }).to_string()
    };
    let lines: Vec<String> = (0..400).map(line).collect();
    let grouped = SplitOptions { group: Some("customer".into()), ..options() };
    let (summary, parts) = split_lines(&lines, &grouped).unwrap();
    assert!(summary.groups < 40, "{summary:?}");
    let mut part_of: HashMap<String, usize> = HashMap::new();
    for (at, part) in parts.iter().enumerate() {
        for json in part {
            assert!(lines.contains(json), "a row is written as it was");
            let row: Value = serde_json::from_str(json).unwrap();
            assert!(serde_json::from_str::<Example>(json).is_ok(), "training reads it");
            for key in [row["customer"].to_string(), row["text"].to_string()] {
                assert_eq!(*part_of.entry(key).or_insert(at), at, "{json}");
            }
        }
    }
    let sizes = parts.map(|p| p.len());
    assert!(sizes[1] >= 20 && sizes[2] >= 20 && sizes[0] >= 280, "{sizes:?}");
}

#[test]
fn near_duplicates_stay_together() {
    let name = [
        "red coat",
        "blue shirt",
        "wool scarf",
        "garden chair",
        "desk lamp",
        "phone case",
        "running shoes",
        "tea kettle",
        "rain jacket",
        "door handle",
    ];
    let lines: Vec<String> = (0..200)
        .map(|i| row(&format!("when will my order of the {} be here {}", name[i % 10], ["", "!", "??", "please"][i % 4]), "a", "en"))
        .collect();
    let near = SplitOptions { near_duplicates: true, ..options() };
    let (summary, parts) = split_lines(&lines, &near).unwrap();
    assert!(summary.groups <= 10, "{summary:?}");
    for name in name {
        assert_eq!(parts.iter().filter(|part| part.iter().any(|line| line.contains(name))).count(), 1, "{name}");
    }
}

#[test]
fn what_cannot_be_split_is_refused_and_nothing_is_written() {
    let lines = corpus(&[("a", "en", 20)]);
    let refused = |lines: &[String], options: SplitOptions, said: &str| {
        let error = split_lines(lines, &options).unwrap_err();
        assert!(error.contains(said), "{said} in {error}");
    };
    refused(&lines, SplitOptions { valid: 0.5, test: 0.5, ..options() }, "leave nothing to train on");
    refused(&lines, SplitOptions { valid: -0.1, ..options() }, "leave nothing to train on");
    refused(&lines, SplitOptions { group: Some("customer".into()), ..options() }, "line 1: no field \"customer\"");
    refused(&lines, SplitOptions { group: Some("intent".into()), ..options() }, "cannot be grouped by");
    refused(&["{\"text\":\"x\"}".into()], options(), "line 1: missing field `intent`");
    refused(&[], options(), "empty");
    refused(&["  ".into()], options(), "holds no rows");

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("train.jsonl");
    fs::write(&file, lines.join("\n")).unwrap();
    let error = |options: &SplitOptions| split(&file, dir.path(), options, &|_| ()).unwrap_err().to_string();
    assert!(error(&options()).contains("would overwrite"));
    let other = dir.path().join("out");
    split(&file, &other, &options(), &|_| ()).unwrap();
    let error = split(&file, &other, &SplitOptions { valid: 0.0, ..options() }, &|_| ()).unwrap_err().to_string();
    assert!(error.contains("valid.jsonl: is left from another split"), "{error}");
    assert_eq!(fs::read_dir(&other).unwrap().count(), 3);
    assert_eq!(read_jsonl::<Example>(&other.join("test.jsonl")).unwrap().len(), 2);
}

proptest! {
    // Each case writes files durably, which takes its time.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_row_is_in_one_part_and_quotas_hold(sizes in prop::collection::vec(1usize..60, 1..6), valid in 0.0f64..0.45, test in 0.0f64..0.45, seed: u64) {
        let names = ["a", "b", "c", "d", "e"];
        let kinds: Vec<(&str, &str, usize)> = names.iter().zip(&sizes).map(|(name, &n)| (*name, "en", n)).collect();
        let lines = corpus(&kinds);
        let (summary, parts) = split_lines(&lines, &SplitOptions { valid, test, seed, ..options() }).unwrap();
        let mut all: Vec<String> = parts.concat();
        all.sort();
        let mut expect = lines.clone();
        expect.sort();
        prop_assert_eq!(all, expect);
        for (name, _, n) in kinds {
            prop_assert!(count(&parts[0], name, "en") >= 1);
            let small = summary.too_small.iter().any(|s| s.intent == name);
            for (part, share) in [(1, valid), (2, test)] {
                let got = count(&parts[part], name, "en") as f64;
                prop_assert!(if small { got == 0.0 } else { (got - share * n as f64).abs() <= 1.0 + 1e-9 }, "{} {} {}", name, got, share * n as f64);
            }
        }
    }
}
