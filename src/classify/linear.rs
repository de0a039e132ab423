//! The sparse model for serving: a weight row for each feature, added up.

use super::naive_bayes::NaiveBayes;
use super::svm::LinearSvm;
use super::vectorizer::{SparseRow, Vectorizer};
use crate::domain::Evidence;

/// One linear model over TF-IDF rows.
///
/// Naive Bayes and the support vector machine are both linear in the same row, so their weighted sum is one matrix: two models at the
/// price of one. Each feature's mean over the labels is taken off, which changes no probability and makes a weight read as "speaks
/// for" (above 0) or "against".
#[derive(Debug, Clone, PartialEq)]
pub struct SparseModel {
    pub vectorizer: Vectorizer,
    /// `[features * labels]`, feature by feature. Kept in half precision in the artefact, hence rounded to it here already.
    pub weights: Vec<f32>,
    /// `[labels]`
    pub bias: Vec<f32>,
}

/// Terms shown as evidence.
const EVIDENCE: usize = 5;

impl SparseModel {
    /// The sum of `shares[0]` of naive Bayes and `shares[1]` of the support vector machine.
    pub fn merged(vectorizer: Vectorizer, bayes: &NaiveBayes, svm: &LinearSvm, shares: [f64; 2]) -> Self {
        let labels = bayes.log_prior.len();
        let mut weights = Vec::with_capacity(vectorizer.vocabulary.len() * labels);
        let mut row = vec![0.0; labels];
        for column in 0..vectorizer.vocabulary.len() {
            for (label, sum) in row.iter_mut().enumerate() {
                *sum = shares[0] * bayes.log_likelihood[label][column] + shares[1] * f64::from(svm.weights[label][column]);
            }
            let mean = row.iter().sum::<f64>() / labels as f64;
            weights.extend(row.iter().map(|s| half::f16::from_f64(s - mean).to_f32()));
        }
        let bias = bayes.log_prior.iter().zip(&svm.bias).map(|(p, b)| (shares[0] * p + shares[1] * f64::from(*b)) as f32).collect();
        SparseModel { vectorizer, weights, bias }
    }

    pub fn labels(&self) -> usize {
        self.bias.len()
    }

    /// Scores of all labels for a row of the vectorizer.
    pub fn scores(&self, row: &SparseRow) -> Vec<f64> {
        let mut sums = self.bias.clone();
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

    /// The terms of a row that spoke most for a label: words before character n-grams, since people read words.
    pub fn evidence(&self, row: &SparseRow, label: usize) -> Vec<Evidence> {
        let vectorizer = &self.vectorizer;
        let mut out: Vec<Evidence> = Vec::new();
        for of_grams in [false, true] {
            if out.len() == EVIDENCE {
                break;
            }
            let mut terms: Vec<(f32, &str)> = row
                .iter()
                .filter(|(column, _)| vectorizer.grams.contains(column) == of_grams)
                .map(|&(column, value)| (value * self.weights_of(column)[label], column))
                .filter(|(weight, _)| *weight > 0.0)
                .map(|(weight, column)| (weight, vectorizer.vocabulary[column as usize].get(2..).unwrap_or_default()))
                // Marks and folded digits count, but tell a reader nothing.
                .filter(|(_, term)| term.chars().any(char::is_alphabetic))
                .collect();
            terms.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
            for (weight, term) in terms {
                // A pair of words says what its words say, and a single Chinese word is also a character n-gram.
                if out.len() < EVIDENCE && !out.iter().any(|e| e.term.contains(term)) {
                    out.push(Evidence { term: term.to_owned(), weight });
                }
            }
        }
        out.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        out
    }
}
