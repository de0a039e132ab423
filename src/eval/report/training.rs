//! What training more, or on other parts, tells: points of a learning curve, folds of a cross-validation.

use serde::{Deserialize, Serialize};

use crate::eval::bootstrap::Interval;

/// A model trained on part of the rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    pub train_rows: usize,
    pub accuracy: f64,
    /// 95 %.
    pub interval: Interval,
}

/// A model trained without a fold, measured on it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fold {
    pub train_rows: usize,
    /// Rows of the fold.
    pub n: usize,
    pub accuracy: f64,
    pub macro_f1: f64,
    pub ece: f64,
}

/// Mean and standard deviation over folds of accuracy, macro-F1 and ECE; the deviation of a sample, 0 for one fold.
pub(super) fn spread(folds: &[Fold]) -> [(f64, f64); 3] {
    let count = folds.len().max(1) as f64;
    [|f: &Fold| f.accuracy, |f: &Fold| f.macro_f1, |f: &Fold| f.ece].map(|of| {
        let mean = folds.iter().map(of).sum::<f64>() / count;
        let squares: f64 = folds.iter().map(|f| (of(f) - mean).powi(2)).sum();
        (mean, (squares / (count - 1.0).max(1.0)).sqrt())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_have_a_mean_and_a_deviation() {
        let fold = |accuracy| Fold { train_rows: 80, n: 20, accuracy, macro_f1: 0.5, ece: 0.1 };
        let [(mean, deviation), f1, _] = spread(&[fold(0.6), fold(0.8), fold(0.7)]);
        assert!((mean - 0.7).abs() < 1e-12 && (deviation - 0.1).abs() < 1e-12);
        assert_eq!(f1, (0.5, 0.0));
        assert_eq!(spread(&[fold(0.6)])[0], (0.6, 0.0));
    }
}
