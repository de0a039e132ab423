//! The shipped classifier is what its recipe makes, and what is no classifier for this program is refused.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use fenzhen::classify::{ArtefactError, SparseClassifier};
use fenzhen::text::TEXT_VERSION;
use fenzhen::train::{ClassifierRecipe, card, read_recipe, train_classifier};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::root;

const FILES: [&str; 4] = ["model.json", "vocabulary.txt", "weights.safetensors", "README.md"];

/// A copy of the shipped artefact, to be spoiled.
fn copy() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for file in FILES {
        fs::copy(root().join("models/intent").join(file), dir.path().join(file)).expect(file);
    }
    dir
}

fn refused(dir: &Path) -> String {
    match SparseClassifier::load(dir) {
        Ok(_) => panic!("it was taken"),
        Err(error) => error.to_string(),
    }
}

fn change_weights(dir: &Path, change: impl FnOnce(&mut HashMap<String, Tensor>)) {
    let path = dir.join("weights.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).expect("the weights");
    change(&mut tensors);
    candle_core::safetensors::save(&tensors, &path).expect("the weights");
}

#[test]
fn training_by_the_shipped_recipe_gives_the_shipped_files_bit_for_bit() {
    let recipe: ClassifierRecipe = read_recipe(&root().join("training/intent.toml"), &[]).expect("the recipe");
    let classifier = train_classifier(&recipe, &root().join("training"), &mut |_| ()).expect("it trains");
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("intent");
    classifier.save(&out, &card(&classifier)).expect("it is saved");
    for file in FILES {
        let read = |dir: &Path| fs::read(dir.join(file)).expect(file);
        let (made, shipped) = (read(&out), read(&root().join("models/intent")));
        assert!(made == shipped, "{file} differs from models/intent: make it with `fenzhen train classifier training/intent.toml`");
    }
    assert_eq!(fs::read_dir(&out).expect("a folder").count(), FILES.len());
}

#[test]
fn a_saved_artefact_is_loaded_as_it_was_and_replaces_the_one_before() {
    let dir = copy();
    let classifier = SparseClassifier::load(dir.path()).expect("the copy");
    let out = dir.path().join("again");
    for _ in 0..2 {
        classifier.save(&out, "# card\n").expect("it is saved");
        assert!(SparseClassifier::load(&out).expect("what was saved") == classifier);
    }
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), FILES.len() + 1, "nothing is left beside it");
}

#[test]
fn an_artefact_of_another_text_version_is_refused_with_what_to_do() {
    let dir = copy();
    let path = dir.path().join("model.json");
    let mut meta: Value = serde_json::from_slice(&fs::read(&path).expect("model.json")).expect("JSON");
    meta["text_version"] = (TEXT_VERSION + 1).into();
    fs::write(&path, meta.to_string()).expect("model.json");
    let error = SparseClassifier::load(dir.path()).err();
    assert!(matches!(error, Some(ArtefactError::TextVersion { found, wanted: TEXT_VERSION }) if found == TEXT_VERSION + 1), "{error:?}");
    assert!(refused(dir.path()).contains("fenzhen train classifier"));
}

#[test]
fn weights_that_are_not_finite_or_too_few_are_refused() {
    let dir = copy();
    change_weights(dir.path(), |tensors| {
        let prior = tensors["prior"].to_dtype(DType::F32).and_then(|t| t.to_vec1::<f32>()).expect("the prior");
        let mut spoiled = prior.clone();
        spoiled[0] = f32::NAN;
        tensors.insert("prior".into(), Tensor::from_slice(&spoiled, prior.len(), &Device::Cpu).expect("a tensor"));
    });
    let error = refused(dir.path());
    assert!(error.contains("weights.safetensors") && error.contains("prior") && error.contains("finite"), "{error}");

    let dir = copy();
    change_weights(dir.path(), |tensors| {
        let rows = tensors["weights"].dims()[0];
        let short = tensors["weights"].narrow(0, 0, rows - 1).and_then(|t| t.contiguous()).expect("a tensor");
        tensors.insert("weights".into(), short);
    });
    assert!(refused(dir.path()).contains("weights has"), "{}", refused(dir.path()));

    let dir = copy();
    change_weights(dir.path(), |tensors| {
        tensors.remove("idf");
    });
    assert!(refused(dir.path()).contains("no idf"));
}

#[test]
fn broken_and_missing_files_are_named() {
    for file in &FILES[..3] {
        let dir = copy();
        let path = dir.path().join(file);
        let bytes = fs::read(&path).expect(file);
        fs::write(&path, &bytes[..bytes.len() / 2]).expect(file);
        let error = refused(dir.path());
        assert!(error.contains(if *file == "model.json" { "model.json is broken" } else { "is broken" }), "{file}: {error}");
        fs::remove_file(&path).expect(file);
        assert!(refused(dir.path()).contains(file));
    }
}

#[test]
fn a_file_cut_in_its_labels_is_refused() {
    let dir = copy();
    let path = dir.path().join("model.json");
    let mut meta: Value = serde_json::from_slice(&fs::read(&path).expect("model.json")).expect("JSON");
    meta["categories"].as_array_mut().expect("categories").pop();
    fs::write(&path, meta.to_string()).expect("model.json");
    assert!(refused(dir.path()).contains("labels and categories"));
    meta["surprise"] = true.into();
    fs::write(&path, meta.to_string()).expect("model.json");
    assert!(refused(dir.path()).contains("surprise"));
}

#[test]
fn an_artefact_without_the_seat_of_its_calibration_is_refused() {
    let dir = copy();
    let path = dir.path().join("model.json");
    let mut meta: Value = serde_json::from_slice(&fs::read(&path).expect("model.json")).expect("JSON");
    meta.as_object_mut().expect("an object").remove("calibration");
    fs::write(&path, meta.to_string()).expect("model.json");
    assert!(refused(dir.path()).contains("calibration"));
}
