//! Multinomial naive Bayes on sparse rows.
//!
//! linfa-bayes 0.8 fits the same model, but takes a dense matrix, prints it to standard error from a leftover `dbg!`, and keeps its
//! numbers private, so that they had to be read back from its JSON: seconds and gigabytes for what is a sum and a logarithm. It can
//! come back behind this function when it takes sparse rows.

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
    /// Fits rows of non-negative values; `labels` hold `0..classes`. `alpha` is added to each feature's sum (Lidstone).
    ///
    /// # Errors
    /// When a label has no row, or `alpha` is not above 0.
    pub fn fit(rows: &[&SparseRow], labels: &[usize], classes: usize, features: usize, alpha: f64) -> Result<Self, String> {
        if !(alpha > 0.0 && alpha.is_finite()) {
            return Err(format!("naive Bayes' alpha is {alpha}: it must be above 0"));
        }
        let mut sums = vec![vec![alpha; features]; classes];
        let mut counts = vec![0usize; classes];
        for (row, &label) in rows.iter().zip(labels) {
            counts[label] += 1;
            for &(column, value) in *row {
                sums[label][column as usize] += f64::from(value);
            }
        }
        if let Some(empty) = counts.iter().position(|&n| n == 0) {
            return Err(format!("label number {empty} has no training row"));
        }
        for of_label in &mut sums {
            let total = of_label.iter().sum::<f64>().ln();
            of_label.iter_mut().for_each(|s| *s = s.ln() - total);
        }
        let total = rows.len() as f64;
        let log_prior = counts.iter().map(|&n| (n as f64 / total).ln()).collect();
        Ok(NaiveBayes { log_prior, log_likelihood: sums })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn log_probabilities_are_the_smoothed_relative_sums() {
        let rows = [vec![(0, 2.0)], vec![(0, 1.0), (1, 1.0)], vec![(1, 3.0)]];
        let rows: Vec<&SparseRow> = rows.iter().collect();
        let nb = NaiveBayes::fit(&rows, &[0, 0, 1], 2, 2, 1.0).unwrap();
        // Label 0: sums 3 and 1, with alpha 4 of 6 and 2 of 6; label 1: 0 and 3, 1 of 5 and 4 of 5.
        for (label, column, want) in [(0, 0, 4.0 / 6.0), (0, 1, 2.0 / 6.0), (1, 0, 1.0 / 5.0), (1, 1, 4.0 / 5.0)] {
            assert!((nb.log_likelihood[label][column] - f64::ln(want)).abs() < 1e-12);
        }
        assert!((nb.log_prior[0] - f64::ln(2.0 / 3.0)).abs() < 1e-12);
    }

    #[test]
    fn a_label_without_rows_and_a_bad_alpha_are_errors() {
        assert!(NaiveBayes::fit(&[&vec![(0, 1.0)]], &[0], 2, 1, 1.0).is_err());
        assert!(NaiveBayes::fit(&[&vec![(0, 1.0)]], &[0], 1, 1, 0.0).is_err());
    }
}
