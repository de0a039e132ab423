use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::super::contract::{DIM, contract, point, rebuild_contract, terms};
use super::super::{IndexStamp, Point, Query, RetrieveError, TicketIndex};
use super::{EXACT_UP_TO, EdgeIndex, LOG_FILES, shard};
use crate::domain::SearchFilter;

const X: [f32; DIM] = [1.0, 0.0, 0.0, 0.0];

fn stamp() -> IndexStamp {
    IndexStamp { encoder: "test@1".to_owned(), dim: DIM, text_version: 1 }
}

fn open(dir: &Path) -> EdgeIndex {
    EdgeIndex::open(dir, &stamp()).unwrap()
}

/// Points that lie on an arc, each a little farther from [`X`] than the one before; the first ten by steps that 8 bits can tell apart.
fn arc(numbers: std::ops::Range<usize>) -> Vec<Point> {
    let place = |i: usize| (if i < 10 { 0.1 * i as f32 } else { 1.1 + i as f32 * 1.9e-4 }).sin_cos();
    numbers.map(|i| point(&format!("T-{i}"), [place(i).1, place(i).0, 0.0, 0.0], &format!("refund number{i}"))).collect()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[test]
fn keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    contract(&open(dir.path()));
    rebuild_contract(Arc::new(open(dir.path())), false);
}

#[test]
fn reopening_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("made/when/missing");
    let index = open(&path);
    index.upsert(&arc(0..100)).unwrap();
    index.delete(&["T-7".to_owned()]).unwrap();
    let filter = SearchFilter { lang: Some(crate::domain::Lang::En), ..SearchFilter::default() };
    let words = terms("refund number9");
    let query = Query { dense: Some(&X), terms: &words, limit: 10, filter: &filter };
    let ids = |index: &EdgeIndex| index.query(&query).unwrap().hits.into_iter().map(|hit| hit.id).collect::<Vec<_>>();
    let before = ids(&index);
    assert_eq!(before.len(), 10);
    drop(index);

    let index = open(&path);
    assert_eq!(index.count().unwrap(), 99);
    assert_eq!(ids(&index), before);
    // Writes after a reopening are newer than those before it.
    index.upsert(&[point("T-9", X, "parcel")]).unwrap();
    assert!(index.query_lexical(&terms("number9"), 1, &filter).unwrap().is_empty());
    assert_eq!(index.count().unwrap(), 99);
    let mut kept: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    kept.sort();
    assert_eq!(kept, ["lock", "shard", "stamp.json"], "nothing else stays");
}

#[test]
fn what_a_returned_write_did_is_on_disk() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(&dir.path().join("live"));
    index.upsert(&arc(0..50)).unwrap();
    index.delete(&["T-3".to_owned()]).unwrap();
    // The copy is what a process that dies now would leave: nothing was closed.
    copy(&dir.path().join("live"), &dir.path().join("copy"));
    let found = open(&dir.path().join("copy"));
    assert_eq!(found.count().unwrap(), 49);
    assert_eq!(found.query_dense(&X, 1, &SearchFilter::default()).unwrap()[0].0, "T-0");
    assert_eq!(found.query_lexical(&terms("number49"), 1, &SearchFilter::default()).unwrap()[0].0, "T-49");
}

/// Not a test by itself: `a_killed_process_loses_nothing_acknowledged` runs it in a process of its own.
#[test]
#[ignore = "writes until it is killed"]
fn writer_that_is_killed() {
    let Some(dir) = std::env::var_os("FENZHEN_TEST_KILLED_INDEX") else { return };
    let index = open(Path::new(&dir));
    for start in (0..).step_by(500) {
        index.upsert(&arc(start..start + 500)).unwrap();
        println!("acknowledged {}", start + 500);
    }
}

#[test]
fn a_killed_process_loses_nothing_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let (_, name) = module_path!().split_once("::").unwrap();
    // Twice over one directory; the second time past the building of a graph.
    for wanted in [3, 24] {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("{name}::writer_that_is_killed"), "--ignored", "--nocapture"])
            .env("FENZHEN_TEST_KILLED_INDEX", dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines().map(Result::unwrap);
        let acknowledged = lines.filter_map(|line| line.strip_prefix("acknowledged ")?.parse::<usize>().ok()).nth(wanted - 1).unwrap();
        writer.kill().unwrap();
        writer.wait().unwrap();

        let index = open(dir.path());
        let kept: std::collections::HashSet<String> = index.digests().unwrap().into_iter().map(|(id, _)| id).collect();
        assert!((0..acknowledged).all(|i| kept.contains(&format!("T-{i}"))));
        index.upsert(&arc(0..1)).unwrap();
        assert_eq!(index.query_dense(&X, 1, &SearchFilter::default()).unwrap()[0].0, "T-0");
    }
}

#[test]
fn past_the_threshold_a_graph_still_finds_replaces_and_forgets() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    index.upsert(&arc(0..EXACT_UP_TO + 500)).unwrap();
    assert!(index.engine("count", |shard| Ok(shard.info().segments_count)).unwrap() > 1, "a graph was built");
    let all = SearchFilter::default();
    let nearest = |index: &EdgeIndex| index.query_dense(&X, 3, &all).unwrap().into_iter().map(|hit| hit.0).collect::<Vec<_>>();
    assert_eq!(nearest(&index), ["T-0", "T-1", "T-2"]);

    // Points in the graph's segment move when they are replaced, and take none of their old terms along.
    index.upsert(&[point("T-0", [0.0, 0.0, 1.0, 0.0], "?!")]).unwrap();
    index.delete(&["T-1".to_owned()]).unwrap();
    assert_eq!(nearest(&index), ["T-2", "T-3", "T-4"]);
    assert!(index.query_lexical(&terms("number0"), 1, &all).unwrap().is_empty());
    assert_eq!(index.query_lexical(&terms("number2"), 1, &all).unwrap()[0].0, "T-2");
    assert_eq!(index.count().unwrap(), EXACT_UP_TO + 499);
    drop(index);
    let index = open(dir.path());
    assert_eq!(nearest(&index), ["T-2", "T-3", "T-4"]);
    assert_eq!(index.count().unwrap(), EXACT_UP_TO + 499);
}

#[test]
fn the_log_is_trimmed_and_writes_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let config = shard::config(DIM, 4096);
    let index = EdgeIndex::open_with(dir.path(), &stamp(), config.clone()).unwrap();
    let folder = shard::folder(dir.path());
    for i in 0..3 * LOG_FILES {
        index.upsert(&arc(20 * i..20 * (i + 1))).unwrap();
        assert!(shard::full_log_files(&folder).len() <= LOG_FILES);
    }
    let points = 60 * LOG_FILES;
    index.delete(&["T-0".to_owned()]).unwrap();
    assert_eq!(index.count().unwrap(), points - 1);
    drop(index);
    let index = EdgeIndex::open_with(dir.path(), &stamp(), config).unwrap();
    assert_eq!(shard::full_log_files(&folder).len(), 1);
    index.upsert(&[point("T-1", [0.0, 1.0, 0.0, 0.0], "parcel")]).unwrap();
    assert_eq!(index.count().unwrap(), points - 1);
    assert_eq!(index.query_dense(&X, 1, &SearchFilter::default()).unwrap()[0].0, "T-2", "newer than every trimmed record");
}

#[test]
fn searches_run_while_points_are_written_and_the_index_is_cleared() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let words = terms("refund");
                let all = SearchFilter::default();
                while !done.load(Ordering::Relaxed) {
                    let hits = index.query(&Query { dense: Some(&X), terms: &words, limit: 5, filter: &all }).unwrap().hits;
                    assert!(hits.iter().all(|hit| hit.cosine.is_some() && hit.lexical.is_some()));
                }
            });
        }
        for round in 0..3 {
            for batch in 0..5 {
                index.upsert(&arc(100 * batch..100 * (batch + 1))).unwrap();
                index.delete(&[format!("T-{}", 100 * batch)]).unwrap();
            }
            assert_eq!(index.count().unwrap(), 495, "round {round}");
            index.clear().unwrap();
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn one_index_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let index = open(dir.path());
    let error = EdgeIndex::open(dir.path(), &stamp()).unwrap_err();
    assert!(matches!(error, RetrieveError::Locked { .. }), "{error}");
    assert!(matches!(EdgeIndex::rebuild(dir.path(), &stamp()), Err(RetrieveError::Locked { .. })));
    drop(index);
    open(dir.path());
}

#[test]
fn an_unusable_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.join("index"), file] {
        let error = EdgeIndex::open(&path, &stamp()).unwrap_err();
        assert!(matches!(error, RetrieveError::Directory { .. }), "{error}");
        assert!(error.to_string().contains(path.to_str().unwrap()) && error.to_string().contains("write"), "{error}");
    }
}

#[test]
fn another_stamp_is_refused_until_the_index_is_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).upsert(&arc(0..3)).unwrap();
    let other = IndexStamp { encoder: "test@2".to_owned(), dim: DIM + 1, text_version: 1 };
    assert!(matches!(EdgeIndex::open(dir.path(), &other), Err(RetrieveError::OtherStamp { .. })));
    assert_eq!(open(dir.path()).count().unwrap(), 3, "a refusal changes nothing");

    let index = EdgeIndex::rebuild(dir.path(), &other).unwrap();
    assert_eq!(index.count().unwrap(), 0);
    drop(index);
    assert!(matches!(EdgeIndex::open(dir.path(), &stamp()), Err(RetrieveError::OtherStamp { .. })));
    EdgeIndex::open(dir.path(), &other).unwrap();
}

#[test]
fn a_broken_index_says_so_and_can_be_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).upsert(&arc(0..3)).unwrap();
    for segment in fs::read_dir(dir.path().join("shard/segments")).unwrap().map(Result::unwrap) {
        fs::write(segment.path().join("segment.json"), "{ torn").unwrap();
    }
    let error = EdgeIndex::open(dir.path(), &stamp()).unwrap_err();
    assert!(matches!(error, RetrieveError::Corrupt { .. }) && error.to_string().contains("rebuild"), "{error}");

    fs::remove_file(dir.path().join("stamp.json")).unwrap();
    assert!(matches!(EdgeIndex::open(dir.path(), &stamp()), Err(RetrieveError::Corrupt { .. })));
    assert_eq!(EdgeIndex::rebuild(dir.path(), &stamp()).unwrap().count().unwrap(), 0);
}

#[test]
fn a_death_while_the_index_was_made_or_cleared_leaves_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    stamp().write(dir.path()).unwrap();
    fs::create_dir_all(dir.path().join("shard.new/wal")).unwrap();
    fs::create_dir_all(dir.path().join("shard.old/wal")).unwrap();
    assert_eq!(open(dir.path()).count().unwrap(), 0);
    assert!(!dir.path().join("shard.new").exists() && !dir.path().join("shard.old").exists());
}
