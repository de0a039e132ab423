//! A linear support vector machine on sparse rows, one label against the rest.
//!
//! linfa-svm takes dense matrices; a corpus of a hundred thousand terms would be gigabytes of zeros. So this is dual coordinate
//! descent for the squared hinge loss, as Hsieh et al. (ICML 2008, "A dual coordinate descent method for large-scale linear SVM")
//! describe it: a row is touched at its own terms only. The optimum is that of scikit-learn's `LinearSVC` with the same `C`.

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;

use super::vectorizer::SparseRow;

/// Fitted hyperplanes.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearSvm {
    /// `[labels][features]`
    pub weights: Vec<Vec<f32>>,
    /// `[labels]`
    pub bias: Vec<f32>,
}

/// Passes over the rows at most; the largest violation of the optimality conditions is below [`TOLERANCE`] long before.
const MAX_PASSES: usize = 200;
const TOLERANCE: f64 = 0.05;

impl LinearSvm {
    /// Fits one hyperplane a label, side by side; `labels` hold `0..classes`. The same rows and seed give the same bits.
    ///
    /// # Errors
    /// When `c` is not above 0.
    pub fn fit(rows: &[&SparseRow], labels: &[usize], classes: usize, features: usize, c: f64, seed: u64) -> Result<Self, String> {
        if !(c > 0.0 && c.is_finite()) {
            return Err(format!("the SVM's C is {c}: it must be above 0"));
        }
        // The bias is one more feature of value 1.
        let norms: Vec<f64> = rows.iter().map(|r| 1.0 + r.iter().map(|(_, v)| f64::from(v * v)).sum::<f64>()).collect();
        let planes = (0..classes).into_par_iter().map(|class| plane(rows, labels, class, features, c, seed, &norms));
        let (weights, bias) = planes.collect::<Vec<_>>().into_iter().unzip();
        Ok(LinearSvm { weights, bias })
    }
}

fn plane(rows: &[&SparseRow], labels: &[usize], class: usize, features: usize, c: f64, seed: u64, norms: &[f64]) -> (Vec<f32>, f32) {
    let mut w = vec![0.0f64; features];
    let mut bias = 0.0f64;
    let mut alpha = vec![0.0f64; rows.len()];
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ (class as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let ridge = 0.5 / c;
    for _ in 0..MAX_PASSES {
        order.shuffle(&mut random);
        let mut worst = 0.0f64;
        for &i in &order {
            let y = if labels[i] == class { 1.0 } else { -1.0 };
            let margin = bias + rows[i].iter().map(|&(f, v)| w[f as usize] * f64::from(v)).sum::<f64>();
            let gradient = y * margin - 1.0 + ridge * alpha[i];
            let projected = if alpha[i] == 0.0 { gradient.min(0.0) } else { gradient };
            worst = worst.max(projected.abs());
            if projected.abs() > 1e-12 {
                let fresh = (alpha[i] - gradient / (norms[i] + ridge)).max(0.0);
                let step = (fresh - alpha[i]) * y;
                alpha[i] = fresh;
                bias += step;
                for &(f, v) in rows[i] {
                    w[f as usize] += step * f64::from(v);
                }
            }
        }
        if worst < TOLERANCE {
            break;
        }
    }
    (w.into_iter().map(|v| v as f32).collect(), bias as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> (Vec<SparseRow>, Vec<usize>) {
        let rows = (0..60).map(|i| vec![(i % 3, 0.9), (3 + i % 5, 0.3)]).collect();
        (rows, (0..60).map(|i| (i % 3) as usize).collect())
    }

    #[test]
    fn separates_what_is_separable_and_repeats_itself() {
        let (rows, labels) = rows();
        let rows: Vec<&SparseRow> = rows.iter().collect();
        let fit = || LinearSvm::fit(&rows, &labels, 3, 8, 1.0, 5).unwrap();
        let svm = fit();
        for (row, label) in rows.iter().zip(&labels) {
            let score = |class: usize| svm.bias[class] + row.iter().map(|&(f, v)| svm.weights[class][f as usize] * v).sum::<f32>();
            assert!((0..3).all(|class| (score(class) > 0.0) == (class == *label)));
        }
        assert_eq!(svm, fit());
    }

    #[test]
    fn the_optimum_is_that_of_the_primal_problem() {
        // One feature, two rows: the squared hinge has a closed form to hold it against.
        // min 1/2 (w^2 + b^2) + C [(1 - (w + b))^2 + (1 + (b - w))^2] over w, b: by symmetry b = 0 and w = 4C / (1 + 4C).
        let rows = [vec![(0, 1.0)], vec![(0, -1.0)]];
        let rows: Vec<&SparseRow> = rows.iter().collect();
        let svm = LinearSvm::fit(&rows, &[0, 1], 2, 1, 0.7, 1).unwrap();
        let want = 4.0 * 0.7 / (1.0 + 4.0 * 0.7);
        assert!((svm.weights[0][0] - want as f32).abs() < 0.02, "{} not {want}", svm.weights[0][0]);
        assert!(svm.bias[0].abs() < 0.02);
    }

    #[test]
    fn a_bad_penalty_is_refused() {
        assert!(LinearSvm::fit(&[], &[], 1, 1, f64::NAN, 1).unwrap_err().contains("above 0"));
    }
}
