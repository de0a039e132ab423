//! `training/intent.toml`: everything that decides what a classifier becomes.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::corpus::OUT_OF_SCOPE;
use crate::embed::tuning::TuningParameters;
use crate::text::FeatureConfig;
use crate::train::TrainError;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassifierRecipe {
    pub name: String,
    /// Folder of the artefact, relative to the recipe.
    pub out: PathBuf,
    /// All randomness comes from it.
    #[serde(default)]
    pub seed: u64,
    pub data: DataPaths,
    #[serde(default)]
    pub features: FeatureConfig,
    #[serde(default)]
    pub sparse: SparseParameters,
    #[serde(default)]
    pub encoder: EncoderParameters,
    #[serde(default)]
    pub calibration: CalibrationParameters,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataPaths {
    /// JSON Lines of `{"text", "intent", "lang"}`: one file or a list.
    pub train: Files,
    /// Held-out rows for the mixture, the calibration, the thresholds and the detector. Without them, the training rows are held
    /// out in parts, [`Self::folds`] of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid: Option<Files>,
    /// Scored at the end, and used for nothing else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<Files>,
    /// Labels, their order and their categories; without it, the labels of the training rows in the alphabet's order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taxonomy: Option<PathBuf>,
    /// The label of what belongs to none of the others. Rows that carry it train the detector; they train a label, too, where the
    /// training set has some.
    #[serde(default = "out_of_scope")]
    pub out_of_scope: String,
    #[serde(default = "five")]
    pub folds: usize,
    /// How many of the parts are held out, each at the price of one more training: more give more held-out rows.
    #[serde(default = "two")]
    pub held_folds: usize,
}

fn out_of_scope() -> String {
    OUT_OF_SCOPE.to_owned()
}

fn five() -> usize {
    5
}

fn two() -> usize {
    2
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Files {
    One(PathBuf),
    Many(Vec<PathBuf>),
}

impl Files {
    pub fn under(&self, base: &Path) -> Vec<PathBuf> {
        match self {
            Files::One(path) => vec![base.join(path)],
            Files::Many(paths) => paths.iter().map(|p| base.join(p)).collect(),
        }
    }
}

/// The sparse models: naive Bayes and a linear support vector machine on the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SparseParameters {
    /// Added to each feature's sum in naive Bayes (Lidstone smoothing).
    pub alpha: f64,
    /// Features of fewer training messages are left out.
    pub min_df: usize,
    /// Cost of a violated margin in the support vector machine; more fits the training rows closer.
    pub c: f64,
    /// Counts enter as `1 + ln(count)`.
    pub sublinear: bool,
}

impl Default for SparseParameters {
    fn default() -> Self {
        SparseParameters { alpha: 0.05, min_df: 2, c: 0.5, sublinear: true }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EncoderKind {
    /// Sparse terms only.
    None,
    /// A linear head on the pretrained sentence vectors: minutes.
    Frozen,
    /// The encoder's top layers tuned for these labels: the best, and a quarter of an hour.
    Branch,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EncoderParameters {
    pub kind: EncoderKind,
    /// L2 penalty of the head on frozen vectors.
    pub penalty: f64,
    /// Training examples of each label that are kept to explain answers and to tell what is outside.
    pub examples: usize,
    pub tuning: TuningParameters,
}

impl Default for EncoderParameters {
    fn default() -> Self {
        EncoderParameters { kind: EncoderKind::Branch, penalty: 0.1, examples: 24, tuning: TuningParameters::default() }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CalibrationParameters {
    /// Precisions for which thresholds are chosen.
    pub precisions: Vec<f64>,
    /// Of the lower bound of the precision (Clopper-Pearson, one-sided).
    pub confidence: f64,
    /// Choose thresholds for single intents, too; worth it from a few hundred held-out rows an intent.
    pub per_intent: bool,
}

impl Default for CalibrationParameters {
    fn default() -> Self {
        CalibrationParameters { precisions: vec![0.7, 0.8, 0.9, 0.95, 0.98], confidence: 0.9, per_intent: false }
    }
}

impl ClassifierRecipe {
    /// # Errors
    /// The first number that is out of range, with what it may be.
    pub fn check(&self) -> Result<(), TrainError> {
        let fault = |text: String| Err(TrainError::Data(text));
        let positive = [("sparse.alpha", self.sparse.alpha), ("sparse.c", self.sparse.c), ("encoder.penalty", self.encoder.penalty)];
        if let Some((name, value)) = positive.into_iter().find(|(_, v)| !(*v > 0.0 && v.is_finite())) {
            return fault(format!("{name} is {value}: it must be above 0"));
        }
        if let Some(p) = self.calibration.precisions.iter().find(|p| !(0.0..1.0).contains(*p)) {
            return fault(format!("calibration.precisions holds {p}: precisions lie in [0, 1)"));
        }
        if !(0.5..1.0).contains(&self.calibration.confidence) {
            return fault(format!("calibration.confidence is {}: it lies in [0.5, 1)", self.calibration.confidence));
        }
        if self.data.valid.is_none() && self.data.folds < 2 {
            return fault(format!("data.folds is {}: without data.valid at least 2 are needed", self.data.folds));
        }
        if self.name.is_empty() || !self.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            return fault(format!("name is {:?}: use letters, digits, - and _", self.name));
        }
        match self.encoder.tuning.fault() {
            Some(text) => fault(format!("encoder.tuning.{text}")),
            None => Ok(()),
        }
    }
}
