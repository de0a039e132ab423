//! Multinomial naive Bayes, fitted by linfa-bayes.

use linfa::prelude::*;
use linfa_bayes::MultinomialNb;
use ndarray::{Array1, Array2};

use super::vectorizer::SparseRow;

/// Fitted log-probabilities.
#[derive(Debug, Clone, PartialEq)]
pub struct NaiveBayes {
    /// `ln P(label)`, from the labels' frequencies.
    pub log_prior: Vec<f64>,
    /// `ln P(feature | label)`, label by label: `[labels][features]`.
    pub log_likelihood: Vec<Vec<f64>>,
}

impl NaiveBayes {
    /// Fits `labels.len()` rows of non-negative values; `labels` hold `0..classes`.
    ///
    /// linfa-bayes takes dense matrices, and a corpus of sparse rows would be gigabytes of zeros. The sufficient statistics of
    /// the model are each label's column sums, so it is given one summed row a label: the same feature probabilities. The prior
    /// it then sees (one row each) is replaced by the real one.
    ///
    /// # Errors
    /// When a label has no row, or linfa refuses.
    pub fn fit(rows: &[SparseRow], labels: &[usize], classes: usize, features: usize, alpha: f64) -> Result<Self, String> {
        let mut sums = Array2::<f64>::zeros((classes, features));
        let mut counts = vec![0usize; classes];
        for (row, &label) in rows.iter().zip(labels) {
            counts[label] += 1;
            for &(column, value) in row {
                sums[[label, column as usize]] += f64::from(value);
            }
        }
        if let Some(empty) = counts.iter().position(|&n| n == 0) {
            return Err(format!("label number {empty} has no training row"));
        }
        let targets = Array1::from_iter(0..classes);
        // linfa-bayes 0.8 has a `dbg!` left in its fit, and would print every number of the model. Where nothing can be silenced (no
        // standard error), there is nobody to be disturbed.
        let silence = gag::Gag::stderr().ok();
        let model = MultinomialNb::<f64, usize>::params().alpha(alpha).fit(&Dataset::new(sums, targets)).map_err(|e| e.to_string())?;
        drop(silence);
        // The fitted numbers are private to linfa; its serialised form is the way to them.
        let json = serde_json::to_value(&model).map_err(|e| e.to_string())?;
        let log_likelihood = (0..classes)
            .map(|label| {
                let values = json["class_info"][label.to_string()]["feature_log_prob"]["data"].as_array();
                let values = values.ok_or("linfa-bayes serialises its model in another way than it did")?;
                values.iter().map(|v| v.as_f64().ok_or("a log-probability is no number")).collect::<Result<Vec<f64>, _>>()
            })
            .collect::<Result<Vec<_>, _>>()?;
        let total = rows.len() as f64;
        let log_prior = counts.iter().map(|&n| (n as f64 / total).ln()).collect();
        Ok(NaiveBayes { log_prior, log_likelihood })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_probabilities_are_the_smoothed_relative_sums() {
        let rows = vec![vec![(0, 2.0)], vec![(0, 1.0), (1, 1.0)], vec![(1, 3.0)]];
        let nb = NaiveBayes::fit(&rows, &[0, 0, 1], 2, 2, 1.0).unwrap();
        // Label 0: sums 3 and 1, with alpha 4 of 6 and 2 of 6; label 1: 0 and 3, 1 of 5 and 4 of 5.
        for (label, column, want) in [(0, 0, 4.0 / 6.0), (0, 1, 2.0 / 6.0), (1, 0, 1.0 / 5.0), (1, 1, 4.0 / 5.0)] {
            assert!((nb.log_likelihood[label][column] - f64::ln(want)).abs() < 1e-12);
        }
        assert!((nb.log_prior[0] - f64::ln(2.0 / 3.0)).abs() < 1e-12);
    }

    #[test]
    fn a_label_without_rows_is_an_error() {
        assert!(NaiveBayes::fit(&[vec![(0, 1.0)]], &[0], 2, 1, 1.0).is_err());
    }
}
