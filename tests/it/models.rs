//! The model cache: what is missing, changed or of another converter is told apart, each with what to do.

use std::fs;
use std::path::Path;

use fenzhen::models::{CONVERTER_VERSION, ModelError, ModelStore, State};
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// A cache with a model of one small file.
fn cache(converter: u32) -> (TempDir, ModelStore) {
    let dir = tempfile::tempdir().expect("a folder");
    let store = ModelStore::new(dir.path());
    let bytes = b"weights that were converted";
    fs::create_dir_all(store.dir("toy")).expect("a folder");
    fs::write(store.dir("toy").join("encoder.gguf"), bytes).expect("a file");
    let hash: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    let installed = json!({ "id": "toy", "converter": converter, "sources": { "weights": "here" }, "files": { "encoder.gguf": hash } });
    fs::write(store.dir("toy").join("installed.json"), installed.to_string()).expect("a file");
    (dir, store)
}

#[test]
fn a_whole_model_is_ready() {
    let (_dir, store) = cache(CONVERTER_VERSION);
    assert_eq!(store.state("toy"), State::Ready);
    assert!(store.verify("toy").expect("it is whole").1.files.contains_key("encoder.gguf"));
}

#[test]
fn a_missing_model_is_named_with_its_folder_and_how_to_fetch_it() {
    let store = ModelStore::new(Path::new("/nowhere/cache"));
    let error = store.verify("toy").expect_err("there is none");
    assert!(matches!(&error, ModelError::Missing { id, dir } if id == "toy" && dir == Path::new("/nowhere/cache/toy")), "{error:?}");
    assert!(error.hint().contains("fenzhen models pull"));
    assert!(error.to_string().contains("/nowhere/cache/toy"), "{error}");
    assert_eq!(store.state("toy"), State::Missing);
}

#[test]
fn a_half_finished_pull_is_no_model() {
    let (_dir, store) = cache(CONVERTER_VERSION);
    fs::remove_file(store.dir("toy").join("installed.json")).expect("it is there");
    assert_eq!(store.state("toy"), State::Missing);
    fs::write(store.dir("toy").join("installed.json"), "{\"id\": \"to").expect("a file");
    assert_eq!(store.state("toy"), State::Missing);
}

#[test]
fn a_flipped_byte_or_a_lost_file_is_damage() {
    let (_dir, store) = cache(CONVERTER_VERSION);
    let path = store.dir("toy").join("encoder.gguf");
    let mut bytes = fs::read(&path).expect("it is there");
    bytes[3] ^= 1;
    fs::write(&path, bytes).expect("a file");
    let error = store.verify("toy").expect_err("it was changed");
    assert!(matches!(&error, ModelError::Damaged { file, .. } if file == "encoder.gguf"), "{error:?}");
    assert!(error.hint().contains("fenzhen models pull"));
    assert_eq!(store.state("toy"), State::Damaged);
    fs::remove_file(&path).expect("it is there");
    assert!(matches!(store.verify("toy"), Err(ModelError::Damaged { .. })));
}

#[test]
fn a_model_of_another_converter_is_outdated() {
    let (_dir, store) = cache(CONVERTER_VERSION + 1);
    let error = store.verify("toy").expect_err("another converter");
    assert!(
        matches!(error, ModelError::OtherConverter { found, wanted: CONVERTER_VERSION, .. } if found == CONVERTER_VERSION + 1),
        "{error:?}"
    );
    assert!(error.hint().contains("fenzhen models pull"));
    assert_eq!(store.state("toy"), State::Outdated);
}

#[test]
fn an_unknown_model_is_answered_with_where_the_names_are() {
    let manifest = fenzhen::models::Manifest::shipped().expect("the shipped manifest");
    let error = manifest.get("no-such").expect_err("there is none");
    assert!(matches!(error, ModelError::Unknown(_)) && error.hint().contains("models list"), "{error}");
}
