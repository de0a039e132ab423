//! Is this anything that we answer at all?

use serde::{Deserialize, Serialize};

use super::metrics::argmax;

/// What speaks for a message being outside of the labels: a fixed list of numbers, by name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScopeSignals {
    /// Log-odds of the greatest probability.
    pub confidence: f64,
    /// Logarithm of the sum of the exponentials of the scores, their energy (Liu et al. 2020).
    pub energy: f64,
    /// Distance between the two best scores.
    pub margin: f64,
    /// Log-odds of the label that means "none of these"; 0 where there is none.
    pub label: f64,
    /// Mean cosine to the three nearest training examples; 0 on the fast path.
    pub nearest: f64,
    /// Cosine to the predicted label's mean vector; 0 on the fast path.
    pub centroid: f64,
    /// `ln(1 + features)`: how much the sparse model knows of the text.
    pub known: f64,
}

impl ScopeSignals {
    pub const NAMES: [&str; 7] = ["confidence", "energy", "margin", "label", "nearest", "centroid", "known"];

    /// The signals that scores and probabilities hold; the encoder's are 0.
    pub fn of(scores: &[f64], probabilities: &[f64], outside: Option<usize>, features: usize) -> Self {
        let best = argmax(scores);
        let max = scores[best];
        let second = scores.iter().enumerate().filter(|(i, _)| *i != best).map(|(_, s)| *s).fold(f64::NEG_INFINITY, f64::max);
        let margin = if second.is_finite() { max - second } else { 0.0 };
        ScopeSignals {
            confidence: log_odds(probabilities[argmax(probabilities)]),
            energy: max + scores.iter().map(|s| (s - max).exp()).sum::<f64>().ln(),
            margin,
            label: outside.map_or(0.0, |i| log_odds(probabilities[i])),
            nearest: 0.0,
            centroid: 0.0,
            known: (features as f64).ln_1p(),
        }
    }

    pub fn values(&self) -> [f64; 7] {
        [self.confidence, self.energy, self.margin, self.label, self.nearest, self.centroid, self.known]
    }
}

fn log_odds(p: f64) -> f64 {
    let p = p.clamp(1e-6, 1.0 - 1e-6);
    (p / (1.0 - p)).ln()
}

/// A logistic model over the signals, fitted on held-out rows inside and outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScopeDetector {
    /// Mean and deviation of each signal on held-out rows.
    pub mean: [f64; 7],
    pub deviation: [f64; 7],
    pub weight: [f64; 7],
    pub bias: f64,
    /// The probability above which 5 % of the held-out rows inside lie.
    pub threshold_5: f64,
    /// On the held-out rows.
    pub auroc: f64,
    pub recall_5: f64,
}

impl ScopeDetector {
    /// Probability that a message is outside.
    pub fn probability(&self, signals: &ScopeSignals) -> f64 {
        let z = signals.values().iter().enumerate().map(|(i, v)| self.weight[i] * (v - self.mean[i]) / self.deviation[i]).sum::<f64>();
        1.0 / (1.0 + (-(z + self.bias)).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_of_a_sure_and_an_unsure_row() {
        let sure = ScopeSignals::of(&[9.0, 1.0], &[0.999, 0.001], Some(1), 12);
        let unsure = ScopeSignals::of(&[1.0, 0.9], &[0.52, 0.48], Some(1), 1);
        assert!(sure.confidence > unsure.confidence && sure.energy > unsure.energy && sure.margin > unsure.margin);
        assert!(sure.label < unsure.label && sure.known > unsure.known);
        assert_eq!(ScopeSignals::of(&[1.0], &[1.0], None, 0).margin, 0.0);
    }
}
