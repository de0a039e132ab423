//! What is learned on held-out rows: how much each model counts, calibration, thresholds, the detector.

use std::collections::BTreeMap;

use linfa::prelude::*;
use linfa_logistic::LogisticRegression;
use ndarray::{Array1, Array2};

use super::recipe::CalibrationParameters;
use crate::classify::{
    Calibration, CalibrationRow, Dense, PathMeta, ScopeDetector, ScopeSignals, Threshold, argmax, auroc, minimise, outcomes,
    recall_at_false_rejection,
};
use crate::domain::Lang;
use crate::train::TrainError;

/// What the models that have not seen a row say of it.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldRow {
    pub row: usize,
    pub lang: Lang,
    /// `None`: outside of all labels.
    pub label: Option<usize>,
    pub features: usize,
    /// Of naive Bayes and the support vector machine.
    pub sparse: [Vec<f64>; 2],
    pub encoded: Option<HeldVector>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct HeldVector {
    /// Of the head.
    pub scores: Vec<f64>,
    /// See [`ScopeSignals`].
    pub nearest: f64,
    /// Cosine to each label's mean vector.
    pub centroids: Vec<f64>,
}

impl HeldVector {
    pub fn of(dense: &Dense, vector: &[f32], labels: usize) -> Self {
        let nothing = ScopeSignals::of(&[0.0], &[1.0], None, 0);
        let nearest = dense.signals(nothing, 0, vector).nearest;
        let centroids = (0..labels).map(|l| dense.examples.centroid(l, vector)).collect();
        HeldVector { scores: dense.head.scores(vector), nearest, centroids }
    }
}

/// A path fitted on held-out rows, and what it says of them.
pub struct FittedPath {
    pub meta: PathMeta,
    /// Of the held-out rows, in their order.
    pub probabilities: Vec<Vec<f64>>,
    pub out_of_scope: Vec<f64>,
}

/// Weights of two models' scores that make the right labels most probable.
pub fn fit_shares<'a>(rows: impl Iterator<Item = (&'a [f64], &'a [f64], usize)> + Clone) -> [f64; 2] {
    let loss = |[a, b]: [f64; 2]| {
        let (a, b) = (a.exp(), b.exp());
        let one = |(x, y, label): (&[f64], &[f64], usize)| {
            let score = |i: usize| a * x[i] + b * y[i];
            let max = (0..x.len()).map(score).fold(f64::NEG_INFINITY, f64::max);
            max + (0..x.len()).map(|i| (score(i) - max).exp()).sum::<f64>().ln() - score(label)
        };
        let (sum, n) = rows.clone().fold((0.0, 0usize), |(sum, n), row| (sum + one(row), n + 1));
        // Hardly a penalty: it keeps a share that does not matter from running away.
        sum / n.max(1) as f64 + 1e-5 * (a.ln().powi(2) + b.ln().powi(2))
    };
    minimise([0.0, 0.0], 1.0, loss).map(f64::exp)
}

/// Held-out rows and what is asked of them.
pub struct HeldOut<'a> {
    pub rows: &'a [HeldRow],
    pub labels: &'a [String],
    /// The label that means "none of these".
    pub outside: Option<usize>,
    pub parameters: &'a CalibrationParameters,
}

impl HeldOut<'_> {
    /// Fits a path on its scores of the rows.
    ///
    /// # Errors
    /// When a fit fails.
    pub fn fit_path(&self, scores: &[Vec<f64>], shares: [f64; 2], with_vectors: bool) -> Result<FittedPath, TrainError> {
        let HeldOut { rows: held, labels, outside, parameters } = *self;
        let row = |(h, s): (&HeldRow, &Vec<f64>)| {
            h.label.map(|label| CalibrationRow { scores: s.clone(), features: h.features, lang: h.lang, label })
        };
        let rows: Vec<CalibrationRow> = held.iter().zip(scores).filter_map(row).collect();
        let (calibration, _) = Calibration::fit(&rows);
        let probabilities: Vec<Vec<f64>> = held.iter().zip(scores).map(|(h, s)| calibration.probabilities(s, h.lang, h.features)).collect();
        let labelled: Vec<usize> = (0..held.len()).filter(|&i| held[i].label.is_some()).collect();
        let found = outcomes(
            &labelled.iter().map(|&i| probabilities[i].clone()).collect::<Vec<_>>(),
            &labelled.iter().filter_map(|&i| held[i].label).collect::<Vec<_>>(),
        );
        let thresholds = Threshold::choose(&found, &parameters.precisions, parameters.confidence);
        let mut intents = BTreeMap::new();
        if parameters.per_intent {
            for (number, name) in labels.iter().enumerate() {
                let of_intent: Vec<(f64, bool)> =
                    labelled.iter().zip(&found).filter(|(i, _)| argmax(&probabilities[**i]) == number).map(|(_, o)| *o).collect();
                intents.insert(name.clone(), Threshold::choose(&of_intent, &parameters.precisions, parameters.confidence));
            }
        }
        let signals: Vec<ScopeSignals> = held
            .iter()
            .zip(scores)
            .zip(&probabilities)
            .map(|((h, s), p)| {
                let plain = ScopeSignals::of(s, p, outside, h.features);
                match &h.encoded {
                    Some(v) if with_vectors => ScopeSignals { nearest: v.nearest, centroid: v.centroids[argmax(p)], ..plain },
                    _ => plain,
                }
            })
            .collect();
        let is_outside: Vec<bool> = held.iter().map(|h| h.label.is_none() || h.label == outside).collect();
        let scope = fit_scope(&signals, &is_outside)?;
        let out_of_scope = (0..held.len())
            .map(|i| match (&scope, outside) {
                (Some(detector), _) => detector.probability(&signals[i]),
                (None, Some(label)) => probabilities[i][label],
                (None, None) => 0.0,
            })
            .collect();
        Ok(FittedPath { meta: PathMeta { shares, calibration, thresholds, intents, scope }, probabilities, out_of_scope })
    }
}

/// Rows outside below which no detector is fitted.
const FEW: usize = 20;

/// L2 penalty of the detector, on signals of unit deviation.
const PENALTY: f64 = 1.0;

/// A logistic model (linfa-logistic) over standardised signals; `None` without enough rows outside.
fn fit_scope(signals: &[ScopeSignals], outside: &[bool]) -> Result<Option<ScopeDetector>, TrainError> {
    let count = outside.iter().filter(|o| **o).count();
    if count < FEW || outside.len() - count < FEW {
        return Ok(None);
    }
    let values: Vec<[f64; 7]> = signals.iter().map(ScopeSignals::values).collect();
    let n = values.len() as f64;
    let mean: [f64; 7] = std::array::from_fn(|j| values.iter().map(|v| v[j]).sum::<f64>() / n);
    // A signal that never varies tells nothing.
    let deviation: [f64; 7] =
        std::array::from_fn(|j| (values.iter().map(|v| (v[j] - mean[j]).powi(2)).sum::<f64>() / n).sqrt()).map(|d: f64| d.max(1e-9));
    let rows = Array2::from_shape_fn((values.len(), 7), |(i, j)| (values[i][j] - mean[j]) / deviation[j]);
    let model = LogisticRegression::default()
        .alpha(PENALTY)
        .max_iterations(500)
        .fit(&Dataset::new(rows, Array1::from_vec(outside.to_vec())))
        .map_err(|e| TrainError::Fit(e.to_string()))?;
    // linfa's coefficients speak for the class that it calls positive.
    let sign = if model.labels().pos.class { 1.0 } else { -1.0 };
    let weight = std::array::from_fn(|j| sign * model.params()[j]);
    let bias = sign * model.intercept();
    let mut detector = ScopeDetector { mean, deviation, weight, bias, threshold_5: 0.0, auroc: 0.0, recall_5: 0.0 };
    let split = |which: bool| -> Vec<f64> {
        signals.iter().zip(outside).filter(|(_, o)| **o == which).map(|(s, _)| detector.probability(s)).collect()
    };
    let (inside, of_outside) = (split(false), split(true));
    (detector.recall_5, detector.threshold_5) = recall_at_false_rejection(&inside, &of_outside, 0.05);
    detector.auroc = auroc(&inside, &of_outside);
    Ok(Some(detector))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_model_gets_the_greater_share() {
        // The first is right always, the second half of the time.
        let good: Vec<Vec<f64>> = (0..40).map(|i| if i % 2 == 0 { vec![1.0, 0.0] } else { vec![0.0, 1.0] }).collect();
        let bad: Vec<Vec<f64>> = (0..40).map(|i| if i % 4 < 2 { vec![1.0, 0.0] } else { vec![0.0, 1.0] }).collect();
        let rows = (0..40).map(|i| (good[i].as_slice(), bad[i].as_slice(), i % 2));
        let [a, b] = fit_shares(rows);
        assert!(a > 10.0 * b, "{a} {b}");
    }

    #[test]
    fn the_detector_learns_which_signals_tell() {
        let signal = |confidence: f64, known: f64| ScopeSignals {
            confidence,
            energy: 0.0,
            margin: 0.0,
            label: 0.0,
            nearest: 0.0,
            centroid: 0.0,
            known,
        };
        let signals: Vec<ScopeSignals> =
            (0..200).map(|i| signal(if i % 2 == 0 { 3.0 } else { -1.0 } + f64::from(i % 7) * 0.1, f64::from(i % 5))).collect();
        let outside: Vec<bool> = (0..200).map(|i| i % 2 == 1).collect();
        let detector = fit_scope(&signals, &outside).unwrap().unwrap();
        assert_eq!((detector.auroc, detector.recall_5), (1.0, 1.0));
        assert!(detector.probability(&signals[1]) > 0.9 && detector.probability(&signals[0]) < 0.1);
        assert!(fit_scope(&signals[..10], &outside[..10]).unwrap().is_none());
    }
}
