//! Documents that are generated from the code, as they were last agreed on.

use std::fs;

use crate::support::root;

#[track_caller]
fn assert_snapshot(name: &str, now: &str) {
    let path = root().join("docs").join(name);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::create_dir_all(root().join("docs")).and_then(|()| fs::write(&path, now)).expect("the snapshot is written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let first = kept.lines().zip(now.lines()).position(|(a, b)| a != b).unwrap_or(kept.lines().count().min(now.lines().count()));
    assert!(
        kept == now,
        "docs/{name} is not what the code says, from line {} on:\n  kept: {}\n  now:  {}\nWhere the change is meant, write it: UPDATE_SNAPSHOTS=1 cargo test --release --test it snapshots",
        first + 1,
        kept.lines().nth(first).unwrap_or("(nothing)"),
        now.lines().nth(first).unwrap_or("(nothing)"),
    );
}

#[test]
fn the_api_is_the_documented_one() {
    let document = fenzhen::http::openapi().to_pretty_json().expect("a document");
    assert_snapshot("openapi.json", &(document + "\n"));
}

#[test]
fn the_error_codes_are_the_documented_ones() {
    assert_snapshot("errors.md", &fenzhen::http::error_documentation());
}
