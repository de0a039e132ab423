//! The serving classifier: a weight row for each feature, added up.

use std::cell::RefCell;

use super::artefact::Meta;
use super::calibration::softmax;
use super::metrics::argmax;
use super::naive_bayes::NaiveBayes;
use super::vectorizer::{SparseRow, Vectorizer};
use super::{Classifier, Distribution};
use crate::domain::{Evidence, Intent, IntentScore, Lang, Path};
use crate::text::{Features, Normalized};

/// Weights for serving: naive Bayes with each feature's mean over the labels taken off, which changes no probability and makes a
/// weight read as "speaks for" (above 0) or "against".
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    pub vectorizer: Vectorizer,
    /// `[features * labels]`, feature by feature. Kept in half precision in the artefact, hence rounded to it here already.
    pub weights: Vec<f32>,
    /// `[labels]`.
    pub prior: Vec<f32>,
}

impl Fitted {
    pub fn new(vectorizer: Vectorizer, model: &NaiveBayes) -> Self {
        let labels = model.log_prior.len();
        let mut weights = Vec::with_capacity(vectorizer.vocabulary.len() * labels);
        for column in 0..vectorizer.vocabulary.len() {
            let mean = model.log_likelihood.iter().map(|l| l[column]).sum::<f64>() / labels as f64;
            weights.extend(model.log_likelihood.iter().map(|l| half::f16::from_f64(l[column] - mean).to_f32()));
        }
        Fitted { vectorizer, weights, prior: model.log_prior.iter().map(|&p| p as f32).collect() }
    }

    pub fn labels(&self) -> usize {
        self.prior.len()
    }

    /// Scores of all labels for a row of the vectorizer.
    pub fn scores(&self, row: &SparseRow) -> Vec<f64> {
        let mut sums = self.prior.clone();
        for &(column, value) in row {
            for (sum, weight) in sums.iter_mut().zip(self.weights_of(column)) {
                *sum += value * weight;
            }
        }
        sums.into_iter().map(f64::from).collect()
    }

    fn weights_of(&self, column: u32) -> &[f32] {
        let labels = self.labels();
        &self.weights[column as usize * labels..][..labels]
    }
}

thread_local! {
    static SCRATCH: RefCell<Features> = RefCell::default();
}

/// A classifier from an artefact.
#[derive(Debug, Clone, PartialEq)]
pub struct SparseClassifier {
    pub(super) fitted: Fitted,
    pub(super) meta: Meta,
    pub(super) version: String,
}

/// Terms shown as evidence.
const EVIDENCE: usize = 5;

impl SparseClassifier {
    pub fn new(fitted: Fitted, meta: Meta) -> Self {
        let version = format!("{}@{}", meta.name, &meta.data_hash.get(..8).unwrap_or_default());
        SparseClassifier { fitted, meta, version }
    }

    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    pub fn fitted(&self) -> &Fitted {
        &self.fitted
    }

    /// The row of a normalised text.
    pub fn row(&self, normalized: &str) -> SparseRow {
        SCRATCH.with_borrow_mut(|scratch| self.fitted.vectorizer.transform(scratch, normalized))
    }

    /// Calibrated probabilities of all labels, in the order of [`Meta::labels`].
    pub fn distribution(&self, normalized: &str, lang: Lang) -> Vec<f64> {
        self.probabilities(&self.row(normalized), lang)
    }

    fn probabilities(&self, row: &SparseRow, lang: Lang) -> Vec<f64> {
        softmax(&self.fitted.scores(row), self.meta.calibration.temperature(lang, row.len()))
    }

    /// The terms of a row that spoke most for a label: words before character n-grams, since people read words.
    fn evidence(&self, row: &SparseRow, label: usize) -> Vec<Evidence> {
        let mut terms: Vec<(bool, f32, &str)> = row
            .iter()
            .map(|&(column, value)| {
                let (family, term) = self.fitted.vectorizer.vocabulary[column as usize].split_once(':').unwrap_or_default();
                (family == "c", value * self.fitted.weights_of(column)[label], term)
            })
            // Marks and folded digits count, but tell a reader nothing.
            .filter(|t| t.1 > 0.0 && t.2.chars().any(char::is_alphabetic))
            .collect();
        terms.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(b.2)));
        let mut out: Vec<Evidence> = Vec::new();
        for (_, weight, term) in terms {
            if out.len() == EVIDENCE {
                break;
            }
            // A pair of words says what its words say, and a single Chinese word is also a character n-gram.
            if !out.iter().any(|e| e.term.contains(term)) {
                out.push(Evidence { term: term.to_owned(), weight });
            }
        }
        out.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        out
    }

    /// Distribution and evidence of the most probable label.
    pub fn explain(&self, text: &Normalized, lang: Lang) -> Distribution {
        let row = self.row(&text.text);
        let probabilities = self.probabilities(&row, lang);
        let evidence = self.evidence(&row, argmax(&probabilities));
        Distribution { probabilities: probabilities.into_iter().map(|p| p as f32).collect(), evidence }
    }
}

impl Classifier for SparseClassifier {
    fn classify(&self, text: &Normalized, lang: Lang, top: usize) -> Intent {
        let Distribution { probabilities, evidence } = self.explain(text, lang);
        let mut order: Vec<usize> = (0..probabilities.len()).collect();
        order.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]).then(a.cmp(&b)));
        let named = |i: usize| IntentScore { id: self.meta.labels[i].clone(), confidence: probabilities[i] };
        let best = order[0];
        let out_of_scope = self.meta.labels.iter().position(|l| *l == self.meta.out_of_scope).map_or(0.0, |i| probabilities[i]);
        Intent {
            id: self.meta.labels[best].clone(),
            category: self.meta.categories[best].clone(),
            confidence: probabilities[best],
            alternatives: order.iter().skip(1).take(top).map(|&i| named(i)).collect(),
            out_of_scope,
            path: Path::Fast,
            evidence,
        }
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn threshold(&self, precision: f64) -> Option<f32> {
        // Asked for more than was fitted: the next stricter one answers.
        let fit =
            self.meta.thresholds.iter().filter(|t| t.precision >= precision - 1e-9).min_by(|a, b| a.precision.total_cmp(&b.precision));
        fit.and_then(|t| t.threshold).map(|t| t as f32)
    }
}
