//! What does the customer want? Sparse terms to a calibrated distribution over intents.
//!
//! TF-IDF features, multinomial naive Bayes (fitted by linfa-bayes), one temperature a language fitted on validation data. A
//! fitted [`SparseClassifier`] is immutable and shared by all threads; classifying takes no lock and no I/O.

mod artefact;
mod calibration;
mod metrics;
mod naive_bayes;
mod sparse;
mod vectorizer;

pub use artefact::{ArtefactError, Meta, SHIPPED_NAME, Threshold};
pub use calibration::{Calibration, softmax};
pub use metrics::{
    RiskPoint, Scores, argmax, expected_calibration_error, outcomes, risk_coverage, threshold_for_precision, wilson_lower_bound,
};
pub use naive_bayes::NaiveBayes;
pub use sparse::{Fitted, SparseClassifier};
pub use vectorizer::{SparseRow, Vectorizer};

use crate::domain::{Evidence, Intent, Lang};
use crate::text::Normalized;

/// Anything that tells the intent of a message.
pub trait Classifier: Send + Sync {
    /// `top` runners-up at most; never fails: a text without a known term gets the labels' prior.
    fn classify(&self, text: &Normalized, lang: Lang, top: usize) -> Intent;

    /// Name and version for the answer's `models`.
    fn version(&self) -> &str;

    /// The smallest probability at which at least `precision` of the validation rows above it were right, with confidence;
    /// `None` where no such threshold was found at training.
    fn threshold(&self, precision: f64) -> Option<f32>;
}

/// A scored label distribution before it is dressed for the API.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// Probability of each label, in the artefact's order; sums to 1.
    pub probabilities: Vec<f32>,
    pub evidence: Vec<Evidence>,
}
