//! What the registry promises, on folders made up for it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const TEXT_VERSION: u64 = 1;

fn model(accuracy: f64) -> Value {
    json!({"name": "intent", "text_version": TEXT_VERSION, "data_hash": "abcdef", "alpha": 0.1, "scores": {"test": {"accuracy": accuracy, "ece": 0.03}}})
}

/// An artefact of a card and some weights.
fn artefact(dir: &Path, name: &str, card: &Value) -> PathBuf {
    let folder = dir.join(name);
    fs::create_dir_all(folder.join("parts")).unwrap();
    fs::write(folder.join("model.json"), card.to_string()).unwrap();
    fs::write(folder.join("weights.bin"), name.repeat(1000)).unwrap();
    fs::write(folder.join("parts/more.bin"), "more").unwrap();
    fs::write(folder.join("README.md"), format!("# card of {name}\n")).unwrap();
    folder
}

fn shipped() -> Shipped {
    let card = Card::parse(model(0.5).to_string().as_bytes()).unwrap();
    Shipped { card, origin: "built in".into(), readme: "# shipped\n".into() }
}

/// A registry with `n` versions over the shipped one.
fn registry(n: u32) -> (TempDir, Registry) {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::open(dir.path().join("models")).with_shipped(shipped());
    for i in 1..=n {
        let folder = artefact(dir.path(), &format!("a{i}"), &model(0.5 + f64::from(i) / 100.0));
        assert_eq!(registry.register("intent", &folder).unwrap(), i);
    }
    (dir, registry)
}

/// As the program's: another text version is refused.
fn loads(artefact: &Artefact) -> Result<(), String> {
    let card = Card::read(&artefact.path).map_err(|e| e.to_string())?;
    if u64::from(card.text_version) == TEXT_VERSION { Ok(()) } else { Err(format!("text version {}", card.text_version)) }
}

fn promoted(registry: &Registry, n: u32) {
    registry.promote("intent", &n.to_string(), &loads).unwrap();
}

fn champion(registry: &Registry) -> Version {
    registry.version_of("intent", CHAMPION).unwrap()
}

fn names_in(dir: &Path) -> Vec<String> {
    let mut names = entries(dir).unwrap();
    names.sort();
    names
}

#[test]
fn a_registered_version_is_a_copy_that_does_not_change() {
    let (dir, registry) = registry(1);
    let source = dir.path().join("a1");
    fs::write(source.join("weights.bin"), "trained again").unwrap();
    let version = registry.resolve("intent", "1").unwrap().unwrap();
    assert_eq!((version.version, version.kind.as_str(), version.to_string().as_str()), (1, CLASSIFIER, "intent@1"));
    assert_eq!(fs::read_to_string(version.path.join("weights.bin")).unwrap(), "a1".repeat(1000));
    assert_eq!(fs::read_to_string(version.path.join("parts/more.bin")).unwrap(), "more");
    for file in ["weights.bin", "model.json", "manifest.json", "parts/more.bin"] {
        let mode = fs::metadata(version.path.join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o222, 0, "{file} may be written to");
    }
    registry.verify("intent", 1).unwrap();
    assert_eq!(registry.register("intent", &source).unwrap(), 2, "the same folder again is another version");
    assert_eq!(registry.register("intent", &version.path).unwrap(), 3, "a version can be registered again");
    registry.verify("intent", 3).unwrap();
    assert_eq!(names_in(&registry.path("intent", 3)), names_in(&registry.path("intent", 1)));
}

#[test]
fn every_change_to_a_version_is_found() {
    type Spoil = fn(&Path);
    let spoils: [(&str, Spoil); 4] = [
        ("weights.bin", |p| fs::write(p.join("weights.bin"), "a1".repeat(999) + "xx").unwrap()),
        ("parts/more.bin", |p| fs::remove_file(p.join("parts/more.bin")).unwrap()),
        ("extra", |p| fs::write(p.join("extra"), "").unwrap()),
        ("manifest.json", |p| fs::write(p.join("manifest.json"), "{").unwrap()),
    ];
    for (file, spoil) in spoils {
        let (_dir, registry) = registry(1);
        let path = registry.path("intent", 1);
        for name in ["weights.bin", "manifest.json"] {
            fs::set_permissions(path.join(name), fs::Permissions::from_mode(0o644)).unwrap();
        }
        spoil(&path);
        let error = registry.verify("intent", 1).unwrap_err();
        assert!(matches!(&error, RegistryError::Damaged { file: f, version: 1, .. } if f == file), "{file}: {error}");
        let refused = registry.promote("intent", "1", &loads).unwrap_err();
        assert!(matches!(refused, RegistryError::Damaged { .. }) && refused.hint().contains("import"), "{refused}");
        assert_eq!(champion(&registry), Version::Shipped, "nothing moved");
    }
}

#[test]
fn trainings_that_register_at_once_all_get_a_number_of_their_own() {
    let (dir, registry) = registry(0);
    let mut numbers: Vec<u32> = std::thread::scope(|scope| {
        let (registry, dir) = (&registry, dir.path());
        let threads: Vec<_> = (0..8)
            .map(|t| {
                scope.spawn(move || {
                    let folder = artefact(dir, &format!("t{t}"), &model(0.6));
                    (0..4).map(|_| registry.register("intent", &folder).unwrap()).collect::<Vec<_>>()
                })
            })
            .collect();
        threads.into_iter().flat_map(|t| t.join().unwrap()).collect()
    });
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=32).collect::<Vec<_>>());
    for n in numbers {
        registry.verify("intent", n).unwrap();
    }
    assert_eq!(names_in(&dir.path().join("models/intent/versions")).len(), 32, "and nothing else is left");
}

#[test]
fn aliases_move_whole_while_others_read_and_move_them() {
    let (_dir, registry) = registry(3);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (registry, done) = (&registry, &done);
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(move || {
                    let mut reads = 0;
                    while !done.load(Ordering::Relaxed) {
                        let aliases = registry.aliases("intent").unwrap();
                        // The history and the alias are of one moment.
                        let last = aliases.history.iter().rfind(|m| m.alias == CHAMPION).and_then(|m| m.version);
                        assert_eq!(aliases.champion(), last.unwrap_or(Version::Shipped));
                        reads += 1;
                    }
                    reads
                })
            })
            .collect();
        let writers: Vec<_> = (1..=3u32)
            .map(|n| {
                scope.spawn(move || {
                    for _ in 0..10 {
                        promoted(registry, n);
                        registry.alias("intent", CHALLENGER, Some(&n.to_string()), &loads).unwrap();
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|w| w.join().unwrap());
        done.store(true, Ordering::Relaxed);
        assert!(readers.into_iter().all(|r| r.join().unwrap() > 0));
    });
    let aliases = registry.aliases("intent").unwrap();
    assert_eq!(aliases.history.len(), 60, "no move was lost");
}

#[test]
fn what_a_crash_left_is_no_version_and_is_swept_away() {
    let (dir, registry) = registry(1);
    let versions = dir.path().join("models/intent/versions");
    for name in [".new-dead", ".old-7", "x2", "02"] {
        fs::create_dir(versions.join(name)).unwrap();
        fs::write(versions.join(name).join("weights.bin"), "half").unwrap();
    }
    fs::write(dir.path().join("models/intent/aliases.json.new"), "{\"alia").unwrap();
    fs::create_dir(versions.join(".new-alive")).unwrap();
    let alive = File::open(versions.join(".new-alive")).unwrap();
    alive.lock().unwrap();

    assert_eq!(registry.versions("intent").unwrap(), [1]);
    promoted(&registry, 1);
    let swept = registry.gc(5, true).unwrap();
    assert_eq!(swept, [Removed { name: "intent".into(), version: None, bytes: 8 }], "gc tells of it");
    assert_eq!(registry.register("intent", &dir.path().join("a1")).unwrap(), 2);
    assert_eq!(names_in(&versions), [".new-alive", "02", "1", "2", "x2"], "another program's copy and what is not ours stay");
    drop(alive);
    registry.gc(5, false).unwrap();
    assert!(!versions.join(".new-alive").exists());
}

#[test]
fn what_is_no_artefact_is_refused_and_leaves_nothing() {
    let (dir, registry) = registry(0);
    let refuse = |folder: &Path, said: &str| {
        let error = registry.register("intent", folder).unwrap_err();
        assert!(error.to_string().contains(said), "{said} in {error}");
        assert!(!error.hint().is_empty());
        assert_eq!(names_in(&dir.path().join("models/intent/versions")), [""; 0], "{said}: something is left");
    };
    refuse(&dir.path().join("nowhere"), "nowhere");
    fs::write(dir.path().join("file"), "x").unwrap();
    refuse(&dir.path().join("file"), "no folder");
    fs::create_dir(dir.path().join("empty")).unwrap();
    refuse(&dir.path().join("empty"), "no model.json");
    fs::create_dir_all(dir.path().join("odd/model.json")).unwrap();
    refuse(&dir.path().join("odd"), "is no file");
    let other = json!({"name": "ner", "text_version": 1, "data_hash": "a", "scores": {}});
    refuse(&artefact(dir.path(), "other", &other), "\"ner\", not \"intent\"");
    refuse(&artefact(dir.path(), "bare", &json!({"name": "intent"})), "text_version");
    let linked = artefact(dir.path(), "linked", &model(0.6));
    std::os::unix::fs::symlink("/etc", linked.join("etc")).unwrap();
    refuse(&linked, "neither a file nor a folder");
    let dangling = artefact(dir.path(), "dangling", &model(0.6));
    std::os::unix::fs::symlink("/nowhere/at/all", dangling.join("zz")).unwrap();
    refuse(&dangling, "zz");
    for name in ["", "Intent", "../x", "a/b", "1a", ".hidden", &"x".repeat(65)] {
        assert!(matches!(registry.register(name, &dangling), Err(RegistryError::BadName(_))), "{name:?}");
    }
    assert_eq!(names_in(&dir.path().join("models")), ["intent"]);
}

#[test]
fn a_model_of_another_text_version_is_refused_before_anything_moves() {
    let (dir, registry) = registry(1);
    promoted(&registry, 1);
    let mut other = model(0.9);
    other["text_version"] = (TEXT_VERSION + 1).into();
    let n = registry.register("intent", &artefact(dir.path(), "other", &other)).unwrap();
    let before = registry.aliases("intent").unwrap();
    for alias in [CHAMPION, CHALLENGER] {
        let error = registry.alias("intent", alias, Some(&n.to_string()), &loads).unwrap_err();
        assert!(matches!(&error, RegistryError::Refused { why, .. } if why == "text version 2"), "{error}");
        assert!(error.to_string().contains("intent@2") && error.hint().contains("nothing was changed"));
    }
    assert_eq!(registry.aliases("intent").unwrap(), before);
}

#[test]
fn words_mean_numbers_aliases_and_the_shipped_model() {
    let (_dir, registry) = registry(2);
    let version = |what: &str| registry.version_of("intent", what);
    assert_eq!(version("champion").unwrap(), Version::Shipped);
    assert!(registry.resolve("intent", "champion").unwrap().is_none());
    assert!(matches!(version("challenger"), Err(RegistryError::UnknownAlias { .. })));
    let moved = registry.promote("intent", "2", &loads).unwrap();
    assert_eq!((moved.before, moved.now), (Some(Version::Shipped), Some(Version::Number(2))));
    let moved = registry.alias("intent", CHALLENGER, Some("champion"), &loads).unwrap();
    assert_eq!((moved.before, moved.now), (None, Some(Version::Number(2))), "an alias of an alias is its version");
    registry.alias("intent", "before-sale", Some("1"), &loads).unwrap();
    assert_eq!(version("before-sale").unwrap(), Version::Number(1));
    registry.alias("intent", "before-sale", None, &loads).unwrap();
    assert!(matches!(registry.alias("intent", "before-sale", None, &loads), Err(RegistryError::UnknownAlias { .. })));
    for (what, said) in [("3", "it has 1, 2"), ("0", "no alias"), ("no-such", "no alias \"no-such\"")] {
        assert!(version(what).unwrap_err().to_string().contains(said), "{what}");
    }
    assert!(registry.version_of("other", "1").unwrap_err().to_string().contains("there is intent"));
    for alias in ["shipped", "7", "Champion", "", "a b"] {
        assert!(matches!(registry.alias("intent", alias, Some("1"), &loads), Err(RegistryError::BadAlias(_))), "{alias:?}");
    }
    let moved = registry.promote("intent", "shipped", &loads).unwrap();
    assert_eq!((moved.before, moved.now), (Some(Version::Number(2)), Some(Version::Shipped)));
    assert!(registry.resolve("intent", CHAMPION).unwrap().is_none());
}

#[test]
fn a_rollback_leads_back_step_by_step_and_then_says_so() {
    let (_dir, registry) = registry(3);
    assert!(matches!(registry.rollback("intent", &loads), Err(RegistryError::NothingBefore(_))));
    for n in [1, 3, 2] {
        promoted(&registry, n);
    }
    for expected in [Version::Number(3), Version::Number(1), Version::Shipped] {
        let before = champion(&registry);
        let moved = registry.rollback("intent", &loads).unwrap();
        assert_eq!((moved.before, moved.now), (Some(before), Some(expected)));
        assert_eq!(champion(&registry), expected);
    }
    let error = registry.rollback("intent", &loads).unwrap_err();
    assert!(matches!(error, RegistryError::NothingBefore(_)) && error.hint().contains("intent@VERSION"), "{error}");

    promoted(&registry, 1);
    promoted(&registry, 2);
    let error = registry.rollback("intent", &|_| Err("it is spoilt".into())).unwrap_err();
    assert!(error.to_string().contains("intent@1 cannot be used: it is spoilt"), "{error}");
    assert_eq!(champion(&registry), Version::Number(2));
}

#[test]
fn gc_keeps_the_newest_the_named_and_the_one_to_go_back_to() {
    let (dir, registry) = registry(8);
    for n in [1, 2, 3] {
        promoted(&registry, n);
    }
    registry.alias("intent", "pinned", Some("5"), &loads).unwrap();
    let told = registry.gc(1, true).unwrap();
    assert_eq!(registry.versions("intent").unwrap().len(), 8, "a dry run removes nothing");
    let removed = registry.gc(1, false).unwrap();
    assert_eq!(told, removed);
    assert_eq!(removed.iter().map(|r| r.version).collect::<Vec<_>>(), [Some(7), Some(6), Some(4), Some(1)]);
    assert!(removed.iter().all(|r| r.bytes > 2000), "{removed:?}");
    assert_eq!(registry.versions("intent").unwrap(), [2, 3, 5, 8]);
    assert_eq!(registry.rollback("intent", &loads).unwrap().now, Some(Version::Number(2)));
    assert_eq!(registry.rollback("intent", &loads).unwrap().now, Some(Version::Shipped), "what was removed is passed over");
    assert!(registry.gc(8, false).unwrap().is_empty());

    registry.gc(0, false).unwrap();
    assert_eq!(registry.versions("intent").unwrap(), [5]);
    assert_eq!(registry.register("intent", &dir.path().join("a1")).unwrap(), 9, "no number is given twice");
}

#[test]
fn a_list_shows_everything_and_is_not_stopped_by_a_broken_version() {
    let (_dir, registry) = registry(2);
    promoted(&registry, 1);
    let path = registry.path("intent", 2).join("model.json");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, "{").unwrap();
    let list = registry.list().unwrap();
    assert_eq!(list.len(), 1);
    let versions: Vec<(Version, bool)> = list[0].versions.iter().map(|v| (v.version, v.fault.is_some())).collect();
    assert_eq!(versions, [(Version::Number(2), true), (Version::Number(1), false), (Version::Shipped, false)]);
    let good = &list[0].versions[1];
    assert_eq!((good.scores["test"]["accuracy"], good.text_version, good.data_hash.as_str()), (0.51, 1, "abcdef"));
    assert!(good.registered_at.as_ref().is_some_and(|at| at.ends_with('Z')) && good.bytes > 2000);
    assert_eq!(list[0].aliases, BTreeMap::from([(CHAMPION.to_owned(), Version::Number(1))]));
    assert!(registry.promote("intent", "2", &loads).is_err());

    let shown = registry.show("intent", CHAMPION).unwrap();
    assert_eq!((shown.card.as_str(), shown.aliases.as_slice()), ("# card of a1\n", &[CHAMPION.to_owned()][..]));
    assert_eq!(registry.show("intent", "shipped").unwrap().place, "built in");
    let diff = registry.diff(("intent", "shipped"), ("intent", "champion")).unwrap();
    assert_eq!((diff.a.as_str(), diff.b.as_str(), diff.changed.len()), ("intent@shipped", "intent@1", 0));
    assert!((diff.scores[0].difference.unwrap() - 0.01).abs() < 1e-9);
}

#[test]
fn a_broken_aliases_file_is_named_and_nothing_is_overwritten() {
    let (dir, registry) = registry(1);
    let path = dir.path().join("models/intent/aliases.json");
    for text in ["{\"aliases\": {\"champion\"", "{\"aliases\": {\"champion\": 0}}", "{\"surprise\": 1}", "42"] {
        fs::write(&path, text).unwrap();
        for error in [registry.promote("intent", "1", &loads).unwrap_err(), registry.list().unwrap_err()] {
            assert!(matches!(&error, RegistryError::Broken { path: p, .. } if *p == path), "{error}");
            assert!(error.hint().contains("aliases.json"));
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
}

#[test]
fn an_empty_registry_holds_the_shipped_model_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("models");
    let bare = Registry::open(&root);
    assert!(bare.list().unwrap().is_empty() && bare.gc(0, false).unwrap().is_empty());
    assert!(bare.promote("intent", "1", &loads).unwrap_err().to_string().contains("there is none yet"));
    let over = Registry::open(&root).with_shipped(shipped());
    assert_eq!(over.names().unwrap(), ["intent"]);
    assert!(over.promote("intent", "1", &loads).unwrap_err().to_string().contains("none in the registry yet"));
    assert!(!root.exists(), "looking makes no folder");
    over.promote("intent", "shipped", &loads).unwrap();
}

#[test]
fn notes_are_kept_beside_the_aliases() {
    let (dir, registry) = registry(0);
    assert_eq!(registry.read_note::<Value>("intent", "shadow.json").unwrap(), None);
    registry.write_note("intent", "shadow.json", &json!({"n": 1})).unwrap();
    assert_eq!(registry.read_note::<Value>("intent", "shadow.json").unwrap(), Some(json!({"n": 1})));
    fs::write(dir.path().join("models/intent/shadow.json"), "{").unwrap();
    assert!(matches!(registry.read_note::<Value>("intent", "shadow.json"), Err(RegistryError::Broken { .. })));
}
