//! What does the customer want? Text to a calibrated distribution over intents.
//!
//! A [`Cascade`] has two paths. The fast one adds up weights of TF-IDF features: naive Bayes and a linear support vector machine,
//! merged into one matrix; microseconds. The full one adds a linear head over the encoder's vector, most often that of a branch tuned
//! for the job. How much each part counts was learned on held-out rows, never on training fits, and each path has its own
//! calibration, thresholds and out-of-scope detector. This room knows no encoder: vectors come in as numbers, and a branch is a file
//! that somebody else runs.

mod artefact;
mod calibration;
mod cascade;
mod dense;
mod linear;
mod metrics;
mod naive_bayes;
mod scope;
mod search;
mod svm;
mod threshold;
mod vectorizer;

use std::sync::Arc;

pub use artefact::{Meta, PathMeta, SHIPPED_CARD, SHIPPED_META, SHIPPED_NAME};
pub use calibration::{Calibration, CalibrationRow, Tried, softmax};
pub use cascade::{Cascade, Dense, Judgement};
pub use dense::{Examples, Head};
pub use linear::SparseModel;
pub use metrics::{
    LabelCounts, Outcome, RiskPoint, Scores, Z_95, argmax, auroc, expected_calibration_error, label_counts, macro_f1, outcomes,
    recall_at_false_rejection, risk_coverage, wilson_lower_bound,
};
pub use naive_bayes::NaiveBayes;
pub use scope::{ScopeDetector, ScopeSignals};
pub use search::minimise;
pub use svm::LinearSvm;
pub use threshold::{Threshold, clopper_pearson_lower, threshold_for_precision};
pub use vectorizer::{SparseRow, Vectorizer};

use crate::domain::{Intent, Lang};
use crate::text::Normalized;

/// Which vector a classifier's full path wants of a text.
#[derive(Debug, Clone, PartialEq)]
pub enum Encoding {
    /// It has no full path.
    None,
    /// The plain sentence vector.
    Sentence,
    /// That of the branch in this file.
    Branch(Arc<[u8]>),
}

/// Anything that tells the intent of a message.
pub trait Classifier: Send + Sync {
    /// `top` runners-up at most; never fails: a text without a known term gets the labels' prior. Without `vector` (of what
    /// [`Self::encoding`] asks for) the fast path answers.
    fn classify(&self, text: &Normalized, lang: Lang, vector: Option<&[f32]>, top: usize) -> Intent;

    fn encoding(&self) -> Encoding;

    /// Every label that it can answer with.
    fn labels(&self) -> &[String];

    /// Name and version for the answer's `models`.
    fn version(&self) -> &str;

    /// The smallest probability at which at least `precision` of the held-out rows above it were right, with confidence, on the path
    /// that `intent` came by; `None` where no such threshold was found at training.
    fn threshold(&self, intent: &Intent, precision: f64) -> Option<f32>;
}
