//! The shipped classifier is what its recipe makes, and what is no classifier for this program is refused.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use fenzhen::artefact::ArtefactError;
use fenzhen::classify::Cascade;
use fenzhen::text::TEXT_VERSION;
use fenzhen::train::{ClassifierRecipe, Corpus, Workplace, card, read_recipe, train_classifier};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::root;

const FILES: [&str; 6] = ["model.json", "vocabulary.txt", "weights.safetensors", "examples.jsonl", "branch.gguf", "README.md"];

/// A copy of the shipped artefact, to be spoiled.
fn copy() -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for file in FILES {
        fs::copy(root().join("models/intent").join(file), dir.path().join(file)).expect(file);
    }
    dir
}

fn refused(dir: &Path) -> String {
    match Cascade::load(dir) {
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

/// The shipped recipe without its branch, which takes a quarter of an hour.
fn train_sparse(out: &Path) -> Cascade {
    let recipe: ClassifierRecipe = read_recipe(&root().join("training/intent.toml"), &["encoder.kind=none".into()]).expect("the recipe");
    let corpus = Corpus::read(&recipe, &root().join("training")).expect("the corpora");
    let workplace = Workplace::open(out, String::new()).expect("a workplace");
    let classifier = train_classifier(&recipe, &corpus, None, &workplace, &|_| ()).expect("it trains");
    workplace.close();
    classifier.save(out, &card(&classifier, None)).expect("it is saved");
    classifier
}

#[test]
fn the_shipped_classifier_is_what_its_recipe_makes() {
    let folder = tempfile::tempdir().expect("a folder");
    let outs = ["one", "two"].map(|name| folder.path().join(name));
    let [made, again] = outs.each_ref().map(|out| train_sparse(out));
    assert!(made == again, "the same recipe gives the same model");
    for file in ["model.json", "vocabulary.txt", "weights.safetensors", "README.md"] {
        let [one, two] = outs.each_ref().map(|out| fs::read(out.join(file)).expect(file));
        assert!(one == two, "{file} is the same, bit for bit");
    }
    // As it was written and read, since JSON rounds a last digit now and then.
    let made = Cascade::load(&outs[0]).expect("what was saved");
    // The sparse share does not depend on the encoder's, so it can be held against what is shipped.
    let shipped = Cascade::shipped().expect("the shipped classifier");
    let hint = "make models/intent anew with `make train`";
    assert!(shipped.meta().data_hash == made.meta().data_hash, "the corpora are others than those it was trained on: {hint}");
    assert!(shipped.sparse() == made.sparse() && shipped.meta().fast == made.meta().fast, "its sparse share differs: {hint}");
    let mut recipe: ClassifierRecipe = read_recipe(&root().join("training/intent.toml"), &[]).expect("the recipe");
    recipe.check().expect("a sound recipe");
    assert_eq!(shipped.meta().recipe, serde_json::to_value(&recipe).expect("JSON"), "{hint}");
    recipe.seed += 1;
    assert_ne!(shipped.meta().recipe, serde_json::to_value(&recipe).expect("JSON"));
}

#[test]
fn two_trainings_in_one_place_do_not_meet() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("intent");
    let first = Workplace::open(&out, "a".into()).expect("a workplace");
    let error = Workplace::open(&out, "a".into()).err().expect("it is taken").to_string();
    assert!(error.contains("another training") && error.contains("--out"), "{error}");
    first.close();
    Workplace::open(&out, "a".into()).expect("it is free again").close();
    assert!(!out.with_extension("training").exists());
}

#[test]
fn a_saved_artefact_is_loaded_as_it_was_and_replaces_the_one_before() {
    let dir = copy();
    let classifier = Cascade::load(dir.path()).expect("the copy");
    let out = dir.path().join("again");
    for _ in 0..2 {
        classifier.save(&out, "# card\n").expect("it is saved");
        assert!(Cascade::load(&out).expect("what was saved") == classifier);
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
    let error = Cascade::load(dir.path()).err();
    assert!(
        matches!(error, Some(ArtefactError::TextVersion { found, wanted: TEXT_VERSION, .. }) if found == TEXT_VERSION + 1),
        "{error:?}"
    );
    assert!(refused(dir.path()).contains("fenzhen train classifier"));
}

#[test]
fn weights_that_are_not_finite_or_too_few_are_refused() {
    let dir = copy();
    change_weights(dir.path(), |tensors| {
        let bias = tensors["bias"].to_dtype(DType::F32).and_then(|t| t.to_vec1::<f32>()).expect("the bias");
        let mut spoiled = bias.clone();
        spoiled[0] = f32::NAN;
        tensors.insert("bias".into(), Tensor::from_slice(&spoiled, bias.len(), &Device::Cpu).expect("a tensor"));
    });
    let error = refused(dir.path());
    assert!(error.contains("weights.safetensors") && error.contains("bias") && error.contains("finite"), "{error}");

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
    for file in &FILES[..4] {
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
    meta["fast"].as_object_mut().expect("an object").remove("calibration");
    fs::write(&path, meta.to_string()).expect("model.json");
    assert!(refused(dir.path()).contains("calibration"));
}
