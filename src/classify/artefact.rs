//! The classifier on disk: a folder of `model.json`, `vocabulary.txt`, `weights.safetensors`, `README.md` (the card) and, where the
//! encoder has a share, `examples.jsonl` and `branch.gguf`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

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
use crate::artefact::{self, ArtefactError, CARD, Kind, META, Numbers, Read, WEIGHTS};
use crate::text::FeatureConfig;

pub(super) const KIND: Kind = Kind { noun: "classifier", train: "fenzhen train classifier training/intent.toml" };

/// Name of the shipped artefact; its folder is `models/intent`.
pub const SHIPPED_NAME: &str = "intent";

/// Its `model.json`.
pub const SHIPPED_META: &[u8] = include_bytes!("../../models/intent/model.json");
/// Its card.
pub const SHIPPED_CARD: &str = include_str!("../../models/intent/README.md");

const VOCABULARY: &str = "vocabulary.txt";
const EXAMPLES: &str = "examples.jsonl";
const BRANCH: &str = "branch.gguf";

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
    /// [`crate::text::TEXT_VERSION`] that made it; another is refused.
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

#[derive(Serialize, Deserialize)]
struct ExampleRow<'a> {
    text: Cow<'a, str>,
    label: usize,
}

impl Cascade {
    /// The classifier that the program was built with.
    ///
    /// # Errors
    /// When the shipped files are broken or of another text version, which a test excludes.
    pub fn shipped() -> Result<Self, ArtefactError> {
        Self::parse(&artefact::built_in(&SHIPPED))
    }

    /// Reads an artefact's folder.
    ///
    /// # Errors
    /// Missing or broken files, another text version.
    pub fn load(dir: &Path) -> Result<Self, ArtefactError> {
        Self::parse(&artefact::folder(dir))
    }

    fn parse(files: Read<'_>) -> Result<Self, ArtefactError> {
        let meta: Meta = KIND.meta(files)?;
        let vocabulary = KIND.lines(files, VOCABULARY)?;
        let numbers = Numbers::read(KIND, files)?;
        let (features, labels) = (vocabulary.len(), meta.labels.len());
        if labels == 0 || meta.categories.len() != labels {
            return Err(KIND.broken(META)(&"labels and categories do not match"));
        }
        let (idf, bias) = (numbers.get("idf", features)?, numbers.get("bias", labels)?);
        let weights = numbers.get("weights", features * labels)?;
        let vectorizer = Vectorizer::from_parts(meta.features.clone(), vocabulary, idf, meta.sublinear);
        let dense = if meta.full.is_some() { Some(read_dense(files, &numbers, labels)?) } else { None };
        Ok(Cascade::new(meta, SparseModel { vectorizer, weights, bias }, dense))
    }

    /// Writes an artefact, whole or not at all.
    ///
    /// # Errors
    /// The disk's.
    pub fn save(&self, dir: &Path, card: &str) -> Result<(), ArtefactError> {
        artefact::replace(dir, |fresh| self.write(fresh, card))
    }

    fn write(&self, dir: &Path, card: &str) -> Result<(), ArtefactError> {
        let put = |name: &str, bytes: &[u8]| artefact::put(dir, name, bytes);
        let json = serde_json::to_string_pretty(&self.meta).map_err(|e| KIND.broken(META)(&e))?;
        put(META, (json + "\n").as_bytes())?;
        put(VOCABULARY, (self.sparse.vectorizer.vocabulary.join("\n") + "\n").as_bytes())?;
        put(CARD, card.as_bytes())?;
        if let Some(dense) = &self.dense {
            let rows = dense.examples.texts.iter().zip(&dense.examples.labels);
            let rows = rows.map(|(text, &label)| serde_json::to_string(&ExampleRow { text: Cow::Borrowed(text), label }));
            let rows = rows.collect::<Result<Vec<_>, _>>().map_err(|e| KIND.broken(EXAMPLES)(&e))?;
            put(EXAMPLES, (rows.join("\n") + "\n").as_bytes())?;
            if let Some(branch) = &dense.branch {
                put(BRANCH, branch)?;
            }
        }
        let bytes = self.tensors().and_then(|tensors| artefact::safetensors(&tensors));
        put(WEIGHTS, &bytes.map_err(|e| KIND.broken(WEIGHTS)(&e))?)
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

fn read_dense(files: Read<'_>, numbers: &Numbers, labels: usize) -> Result<Dense, ArtefactError> {
    let dimension = numbers.width("head.weight").ok_or_else(|| KIND.broken(WEIGHTS)(&"no head.weight"))?;
    let head = Head { weight: numbers.get("head.weight", labels * dimension)?, bias: numbers.get("head.bias", labels)? };
    let mut examples = Examples { centroids: numbers.get("centroids", labels * dimension)?, ..Examples::default() };
    for line in KIND.lines(files, EXAMPLES)?.iter().filter(|l| !l.is_empty()) {
        let row: ExampleRow<'_> = serde_json::from_str(line).map_err(|e| KIND.broken(EXAMPLES)(&e))?;
        examples.texts.push(row.text.into_owned());
        examples.labels.push(row.label);
    }
    let vectors = numbers.get("examples", examples.texts.len() * dimension)?;
    examples.vectors = vectors.into_iter().map(|v| (v as i16 - 128).clamp(-127, 127) as i8).collect();
    examples.check(labels, dimension)?;
    let branch = files(BRANCH)?.map(|b| std::sync::Arc::from(b.into_owned()));
    Ok(Dense { head, examples, branch })
}
