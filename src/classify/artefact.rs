//! The classifier on disk: a folder of `model.json`, `vocabulary.txt`, `weights.safetensors` and `README.md` (the card).

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use super::metrics::Scores;
use super::sparse::{Fitted, SparseClassifier};
use super::vectorizer::Vectorizer;
use crate::text::{FeatureConfig, TEXT_VERSION};

/// Name of the shipped artefact; its folder is `models/intent`.
pub const SHIPPED_NAME: &str = "intent";

const SHIPPED_META: &[u8] = include_bytes!("../../models/intent/model.json");
const SHIPPED_VOCABULARY: &[u8] = include_bytes!("../../models/intent/vocabulary.txt");
const SHIPPED_WEIGHTS: &[u8] = include_bytes!("../../models/intent/weights.safetensors");

const META: &str = "model.json";
const VOCABULARY: &str = "vocabulary.txt";
const WEIGHTS: &str = "weights.safetensors";
const CARD: &str = "README.md";

/// Everything about an artefact but its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    pub name: String,
    pub algorithm: String,
    /// [`TEXT_VERSION`] that made it; another is refused.
    pub text_version: u32,
    pub labels: Vec<String>,
    /// The category of each label.
    pub categories: Vec<String>,
    /// The label that means "none of these".
    pub out_of_scope: String,
    pub features: FeatureConfig,
    pub alpha: f64,
    pub min_df: usize,
    pub calibration: Calibration,
    /// Chosen on validation, strictest last.
    pub thresholds: Vec<Threshold>,
    /// sha256 of the training, validation and taxonomy files.
    pub data_hash: String,
    /// Set name to scores, of the calibrated model.
    pub scores: std::collections::BTreeMap<String, Scores>,
}

/// The probability from which on answers had a precision on validation data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    pub precision: f64,
    /// `None`: no threshold held it.
    pub threshold: Option<f64>,
    /// Share of validation rows above it.
    pub coverage: f64,
}

#[derive(Debug, thiserror::Error)]
pub enum ArtefactError {
    #[error("{}: {source}", .path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the classifier's {file} is broken: {why}")]
    Broken { file: &'static str, why: String },
    #[error(
        "the classifier was made by version {found} of the text pipeline, this program has version {wanted}; train it again: `fenzhen train classifier training/intent.toml`"
    )]
    TextVersion { found: u32, wanted: u32 },
}

fn broken(file: &'static str) -> impl Fn(&dyn std::fmt::Display) -> ArtefactError {
    move |why| ArtefactError::Broken { file, why: why.to_string() }
}

impl SparseClassifier {
    /// The classifier that the program was built with.
    ///
    /// # Errors
    /// When the shipped files are broken or of another text version, which a test excludes.
    pub fn shipped() -> Result<Self, ArtefactError> {
        Self::parse(SHIPPED_META, SHIPPED_VOCABULARY, SHIPPED_WEIGHTS)
    }

    /// Reads an artefact's folder.
    ///
    /// # Errors
    /// Missing or broken files, another text version.
    pub fn load(dir: &Path) -> Result<Self, ArtefactError> {
        let read = |name: &str| {
            let path = dir.join(name);
            fs::read(&path).map_err(|source| ArtefactError::Io { path, source })
        };
        Self::parse(&read(META)?, &read(VOCABULARY)?, &read(WEIGHTS)?)
    }

    fn parse(meta: &[u8], vocabulary: &[u8], weights: &[u8]) -> Result<Self, ArtefactError> {
        let meta: Meta = serde_json::from_slice(meta).map_err(|e| broken(META)(&e))?;
        if meta.text_version != TEXT_VERSION {
            return Err(ArtefactError::TextVersion { found: meta.text_version, wanted: TEXT_VERSION });
        }
        let vocabulary = std::str::from_utf8(vocabulary).map_err(|e| broken(VOCABULARY)(&e))?;
        let vocabulary: Vec<Box<str>> = vocabulary.lines().map(Into::into).collect();
        let tensors = candle_core::safetensors::load_buffer(weights, &Device::Cpu).map_err(|e| broken(WEIGHTS)(&e))?;
        let numbers = |name: &str, want: usize| -> Result<Vec<f32>, ArtefactError> {
            let tensor = tensors.get(name).ok_or_else(|| broken(WEIGHTS)(&format!("no {name}")))?;
            let values = tensor.to_dtype(DType::F32).and_then(|t| t.flatten_all()?.to_vec1::<f32>()).map_err(|e| broken(WEIGHTS)(&e))?;
            if values.len() != want || values.iter().any(|v| !v.is_finite()) {
                return Err(broken(WEIGHTS)(&format!("{name} has {} numbers, {want} finite ones are needed", values.len())));
            }
            Ok(values)
        };
        let (features, labels) = (vocabulary.len(), meta.labels.len());
        if labels == 0 || meta.categories.len() != labels {
            return Err(broken(META)(&"labels and categories do not match"));
        }
        let (idf, prior, weights) = (numbers("idf", features)?, numbers("prior", labels)?, numbers("weights", features * labels)?);
        let vectorizer = Vectorizer::from_parts(meta.features.clone(), vocabulary, idf);
        Ok(SparseClassifier::new(Fitted { vectorizer, weights, prior }, meta))
    }

    /// Writes an artefact: into a new folder beside `dir`, which then takes its place, so that a reader never sees half of one.
    ///
    /// # Errors
    /// The disk's.
    pub fn save(&self, dir: &Path, card: &str) -> Result<(), ArtefactError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| ArtefactError::Io { path, source }
        };
        let fresh = dir.with_extension("new");
        let old = dir.with_extension("old");
        for leftover in [&fresh, &old].into_iter().filter(|p| p.exists()) {
            fs::remove_dir_all(leftover).map_err(io(leftover))?;
        }
        fs::create_dir_all(&fresh).map_err(io(&fresh))?;
        let mut json = serde_json::to_string_pretty(&self.meta).map_err(|e| broken(META)(&e))?;
        json.push('\n');
        let mut vocabulary = self.fitted.vectorizer.vocabulary.join("\n");
        vocabulary.push('\n');
        for (name, text) in [(META, json.as_str()), (VOCABULARY, &vocabulary), (CARD, card)] {
            let path = fresh.join(name);
            fs::write(&path, text).map_err(io(&path))?;
        }
        let labels = self.fitted.labels();
        let tensor = |values: &[f32], shape: &[usize]| Tensor::from_slice(values, shape, &Device::Cpu);
        let weights = || -> candle_core::Result<()> {
            let tensors = HashMap::from([
                ("idf".to_owned(), tensor(&self.fitted.vectorizer.idf, &[self.fitted.vectorizer.idf.len()])?),
                ("prior".to_owned(), tensor(&self.fitted.prior, &[labels])?),
                ("weights".to_owned(), tensor(&self.fitted.weights, &[self.fitted.weights.len() / labels, labels])?.to_dtype(DType::F16)?),
            ]);
            candle_core::safetensors::save(&tensors, fresh.join(WEIGHTS))
        };
        weights().map_err(|e| broken(WEIGHTS)(&e))?;
        if dir.exists() {
            fs::rename(dir, &old).map_err(io(dir))?;
        }
        fs::rename(&fresh, dir).map_err(io(dir))?;
        if old.exists() {
            fs::remove_dir_all(&old).map_err(io(&old))?;
        }
        Ok(())
    }
}
