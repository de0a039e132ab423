//! The classifier on disk: a folder of `model.json`, `vocabulary.txt`, `weights.safetensors`, `README.md` (the card) and, where the
//! encoder has a share, `examples.jsonl` and `branch.gguf`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use super::cascade::{Cascade, Dense};
use super::dense::{Examples, Head};
use super::linear::SparseModel;
use super::metrics::Scores;
use super::scope::ScopeDetector;
use super::threshold::Threshold;
use super::vectorizer::Vectorizer;
use crate::text::{FeatureConfig, TEXT_VERSION};

/// Name of the shipped artefact; its folder is `models/intent`.
pub const SHIPPED_NAME: &str = "intent";

/// Its `model.json`.
pub const SHIPPED_META: &[u8] = include_bytes!("../../models/intent/model.json");
/// Its card.
pub const SHIPPED_CARD: &str = include_str!("../../models/intent/README.md");

const META: &str = "model.json";
const VOCABULARY: &str = "vocabulary.txt";
const WEIGHTS: &str = "weights.safetensors";
const EXAMPLES: &str = "examples.jsonl";
const BRANCH: &str = "branch.gguf";
const CARD: &str = "README.md";

/// The files that the program was built with.
const SHIPPED: [(&str, &[u8]); 5] = [
    (META, SHIPPED_META),
    (VOCABULARY, include_bytes!("../../models/intent/vocabulary.txt")),
    (WEIGHTS, include_bytes!("../../models/intent/weights.safetensors")),
    (EXAMPLES, include_bytes!("../../models/intent/examples.jsonl")),
    (BRANCH, include_bytes!("../../models/intent/branch.gguf")),
];

/// Everything about an artefact but its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    pub name: String,
    /// [`TEXT_VERSION`] that made it; another is refused.
    pub text_version: u32,
    pub labels: Vec<String>,
    /// The category of each label.
    pub categories: Vec<String>,
    /// The label that means "none of these".
    pub out_of_scope: String,
    pub features: FeatureConfig,
    /// Counts of features enter as `1 + ln(count)`.
    pub sublinear: bool,
    /// sha256 of the training, validation and taxonomy files.
    pub data_hash: String,
    /// The whole recipe, with what was set on the command line.
    pub recipe: serde_json::Value,
    /// By the sparse terms alone.
    pub fast: PathMeta,
    /// With the encoder; absent where the classifier does without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<PathMeta>,
    /// Set and path (`test.full`, `valid.fast.zh`) to scores, of the calibrated model.
    pub scores: BTreeMap<String, Scores>,
}

/// What was fitted on held-out rows for one way of answering.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathMeta {
    /// Of the sparse scores and of the encoder's, in their sum.
    pub shares: [f64; 2],
    pub calibration: Calibration,
    /// Strictest last.
    pub thresholds: Vec<Threshold>,
    /// Of single intents, where the recipe asks for them; an intent whose held-out rows are too few for one takes the model's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub intents: BTreeMap<String, Vec<Threshold>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<ScopeDetector>,
}

impl PathMeta {
    /// The probability from which on an answer with this intent has a precision.
    pub fn threshold(&self, intent: &str, precision: f64) -> Option<f64> {
        let own = self.intents.get(intent).and_then(|t| Threshold::at_least(t, precision));
        own.or_else(|| Threshold::at_least(&self.thresholds, precision))
    }

    /// The weighted sum of the sparse scores and the encoder's.
    pub fn combine(&self, sparse: &[f64], dense: &[f64]) -> Vec<f64> {
        sparse.iter().zip(dense).map(|(s, d)| self.shares[0] * s + self.shares[1] * d).collect()
    }
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

pub(super) fn broken(file: &'static str) -> impl Fn(&dyn std::fmt::Display) -> ArtefactError {
    move |why| ArtefactError::Broken { file, why: why.to_string() }
}

#[derive(Serialize, Deserialize)]
struct ExampleRow<'a> {
    text: Cow<'a, str>,
    label: usize,
}

/// Reads a file of an artefact; `None` where there is no such file.
type Read<'a> = &'a dyn Fn(&'static str) -> Result<Option<Cow<'static, [u8]>>, ArtefactError>;

impl Cascade {
    /// The classifier that the program was built with.
    ///
    /// # Errors
    /// When the shipped files are broken or of another text version, which a test excludes.
    pub fn shipped() -> Result<Self, ArtefactError> {
        Self::parse(&|name| Ok(SHIPPED.iter().find(|f| f.0 == name && !f.1.is_empty()).map(|f| Cow::Borrowed(f.1))))
    }

    /// Reads an artefact's folder.
    ///
    /// # Errors
    /// Missing or broken files, another text version.
    pub fn load(dir: &Path) -> Result<Self, ArtefactError> {
        Self::parse(&|name| {
            let path = dir.join(name);
            match fs::read(&path) {
                Ok(bytes) => Ok(Some(Cow::Owned(bytes))),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound && [EXAMPLES, BRANCH].contains(&name) => Ok(None),
                Err(source) => Err(ArtefactError::Io { path, source }),
            }
        })
    }

    fn parse(read: Read<'_>) -> Result<Self, ArtefactError> {
        let needed = |name: &'static str| read(name)?.ok_or_else(|| broken(name)(&"it is missing"));
        let meta: serde_json::Value = serde_json::from_slice(&needed(META)?).map_err(|e| broken(META)(&e))?;
        // Before the shape is looked at: an older program's has another.
        let found = meta["text_version"].as_u64().ok_or_else(|| broken(META)(&"it has no text_version"))? as u32;
        if found != TEXT_VERSION {
            return Err(ArtefactError::TextVersion { found, wanted: TEXT_VERSION });
        }
        let meta: Meta = serde_json::from_value(meta).map_err(|e| broken(META)(&e))?;
        let vocabulary = needed(VOCABULARY)?;
        let vocabulary = std::str::from_utf8(&vocabulary).map_err(|e| broken(VOCABULARY)(&e))?;
        let vocabulary: Vec<Box<str>> = vocabulary.lines().map(Into::into).collect();
        let tensors = candle_core::safetensors::load_buffer(&needed(WEIGHTS)?, &Device::Cpu).map_err(|e| broken(WEIGHTS)(&e))?;
        let numbers = |name: &str, want: usize| numbers(&tensors, name, want);
        let (features, labels) = (vocabulary.len(), meta.labels.len());
        if labels == 0 || meta.categories.len() != labels {
            return Err(broken(META)(&"labels and categories do not match"));
        }
        let (idf, bias, weights) = (numbers("idf", features)?, numbers("bias", labels)?, numbers("weights", features * labels)?);
        let vectorizer = Vectorizer::from_parts(meta.features.clone(), vocabulary, idf, meta.sublinear);
        let dense = if meta.full.is_some() { Some(read_dense(read, &tensors, labels)?) } else { None };
        Ok(Cascade::new(meta, SparseModel { vectorizer, weights, bias }, dense))
    }

    /// Writes an artefact: into a new folder beside `dir`, which then takes its place, so that a reader never sees half of one.
    ///
    /// # Errors
    /// The disk's.
    pub fn save(&self, dir: &Path, card: &str) -> Result<(), ArtefactError> {
        let fresh = dir.with_extension("new");
        let old = dir.with_extension("old");
        for leftover in [&fresh, &old].into_iter().filter(|p| p.exists()) {
            fs::remove_dir_all(leftover).map_err(io(leftover))?;
        }
        fs::create_dir_all(&fresh).map_err(io(&fresh))?;
        let written = self.write(&fresh, card);
        if written.is_err() {
            // A full disk must not stay full of the half that fitted.
            let _ = fs::remove_dir_all(&fresh);
        }
        written?;
        if dir.exists() {
            fs::rename(dir, &old).map_err(io(dir))?;
        }
        fs::rename(&fresh, dir).map_err(io(dir))?;
        if old.exists() {
            fs::remove_dir_all(&old).map_err(io(&old))?;
        }
        Ok(())
    }

    fn write(&self, dir: &Path, card: &str) -> Result<(), ArtefactError> {
        let put = |name: &str, bytes: &[u8]| {
            let path = dir.join(name);
            fs::write(&path, bytes).map_err(io(&path))
        };
        let json = serde_json::to_string_pretty(&self.meta).map_err(|e| broken(META)(&e))?;
        put(META, (json + "\n").as_bytes())?;
        put(VOCABULARY, (self.sparse.vectorizer.vocabulary.join("\n") + "\n").as_bytes())?;
        put(CARD, card.as_bytes())?;
        if let Some(dense) = &self.dense {
            let rows = dense.examples.texts.iter().zip(&dense.examples.labels);
            let rows = rows.map(|(text, &label)| serde_json::to_string(&ExampleRow { text: Cow::Borrowed(text), label }));
            let rows = rows.collect::<Result<Vec<_>, _>>().map_err(|e| broken(EXAMPLES)(&e))?;
            put(EXAMPLES, (rows.join("\n") + "\n").as_bytes())?;
            if let Some(branch) = &dense.branch {
                put(BRANCH, branch)?;
            }
        }
        let tensors = self.tensors().map_err(|e| broken(WEIGHTS)(&e))?;
        let bytes = safetensors_bytes(&tensors).map_err(|e| broken(WEIGHTS)(&e))?;
        put(WEIGHTS, &bytes)
    }

    fn tensors(&self) -> candle_core::Result<HashMap<String, Tensor>> {
        let labels = self.sparse.labels();
        let tensor = |values: &[f32], shape: &[usize]| Tensor::from_slice(values, shape, &Device::Cpu);
        let features = self.sparse.vectorizer.idf.len();
        let mut tensors = HashMap::from([
            ("idf".to_owned(), tensor(&self.sparse.vectorizer.idf, &[features])?),
            ("bias".to_owned(), tensor(&self.sparse.bias, &[labels])?),
            ("weights".to_owned(), tensor(&self.sparse.weights, &[features, labels])?.to_dtype(DType::F16)?),
        ]);
        if let Some(Dense { head, examples, .. }) = &self.dense {
            let dimension = head.dimension();
            let bytes: Vec<u8> = examples.vectors.iter().map(|v| (i16::from(*v) + 128) as u8).collect();
            tensors.insert("head.weight".to_owned(), tensor(&head.weight, &[labels, dimension])?);
            tensors.insert("head.bias".to_owned(), tensor(&head.bias, &[labels])?);
            tensors.insert("centroids".to_owned(), tensor(&examples.centroids, &[labels, dimension])?);
            tensors.insert("examples".to_owned(), Tensor::from_vec(bytes, (examples.texts.len(), dimension), &Device::Cpu)?);
        }
        Ok(tensors)
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> ArtefactError + use<> {
    let path = path.to_owned();
    move |source| ArtefactError::Io { path, source }
}

/// In the order of their names, so that the same numbers are the same bytes.
fn safetensors_bytes(tensors: &HashMap<String, Tensor>) -> candle_core::Result<Vec<u8>> {
    let file = tempfile::NamedTempFile::new()?;
    candle_core::safetensors::save(tensors, file.path())?;
    Ok(fs::read(file.path())?)
}

fn numbers(tensors: &HashMap<String, Tensor>, name: &str, want: usize) -> Result<Vec<f32>, ArtefactError> {
    let tensor = tensors.get(name).ok_or_else(|| broken(WEIGHTS)(&format!("no {name}")))?;
    let values = tensor.to_dtype(DType::F32).and_then(|t| t.flatten_all()?.to_vec1::<f32>()).map_err(|e| broken(WEIGHTS)(&e))?;
    if values.len() != want || values.iter().any(|v| !v.is_finite()) {
        return Err(broken(WEIGHTS)(&format!("{name} has {} numbers, {want} finite ones are needed", values.len())));
    }
    Ok(values)
}

fn read_dense(read: Read<'_>, tensors: &HashMap<String, Tensor>, labels: usize) -> Result<Dense, ArtefactError> {
    let dimension = tensors.get("head.weight").and_then(|t| t.dims().last().copied()).ok_or_else(|| broken(WEIGHTS)(&"no head.weight"))?;
    let numbers = |name: &str, want: usize| numbers(tensors, name, want);
    let head = Head { weight: numbers("head.weight", labels * dimension)?, bias: numbers("head.bias", labels)? };
    let file = read(EXAMPLES)?.ok_or_else(|| broken(EXAMPLES)(&"it is missing"))?;
    let file = std::str::from_utf8(&file).map_err(|e| broken(EXAMPLES)(&e))?;
    let mut examples = Examples { centroids: numbers("centroids", labels * dimension)?, ..Examples::default() };
    for line in file.lines().filter(|l| !l.is_empty()) {
        let row: ExampleRow<'_> = serde_json::from_str(line).map_err(|e| broken(EXAMPLES)(&e))?;
        examples.texts.push(row.text.into_owned());
        examples.labels.push(row.label);
    }
    let vectors = numbers("examples", examples.texts.len() * dimension)?;
    examples.vectors = vectors.into_iter().map(|v| (v as i16 - 128).clamp(-127, 127) as i8).collect();
    examples.check(labels, dimension)?;
    let branch = read(BRANCH)?.map(|b| std::sync::Arc::from(b.into_owned()));
    Ok(Dense { head, examples, branch })
}
