//! Teaching a branch its task: the layers above the trunk and a head on them.
//!
//! The trunk's states are computed once ([`Cached`]), by the arithmetic that serves, so that training sees what serving will. [`fit`]
//! trains the layers under any [`Head`]; [`tune`] does with a linear head over labels. Each batch is cut in two parts that run side by
//! side, each on one core: candle's single operations are too small to be worth spreading. Gradients are added in a fixed order, and
//! all randomness comes from the seed and the place, so that the same recipe gives the same bits, interrupted or not.

mod adamw;
mod cached;
mod head;
mod labels;
mod network;
pub mod ops;
mod run;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use cached::Cached;
pub use head::{Batch, Head, Noise};
pub use labels::{Labelled, Tuned, Tuning, tune};
pub use run::{Checkpoint, Fit, Fitted, TuningNews, fit};

/// How a branch is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TuningParameters {
    pub epochs: usize,
    /// Texts a step.
    pub batch: usize,
    /// Peak of the layers' learning rate: it rises over the warm-up and falls to 0 in a line.
    pub learning_rate: f64,
    /// The same of the head.
    pub head_learning_rate: f64,
    /// Share of the steps that warm up.
    pub warmup: f64,
    pub weight_decay: f64,
    /// Share of the target that is spread over all labels.
    pub label_smoothing: f64,
    /// Share of numbers dropped after attention, feed-forward and pooling.
    pub dropout: f64,
    /// Share of tokens blanked.
    pub token_dropout: f64,
    /// Share of the last steps whose weights are averaged; 0 takes the last.
    pub averaging: f64,
    /// Stop when the score on the validation set has not risen for so many epochs; 0 never stops.
    pub patience: usize,
    /// Trainings, each with a randomness of its own, whose weights are averaged.
    pub runs: usize,
}

impl Default for TuningParameters {
    fn default() -> Self {
        TuningParameters {
            epochs: 10,
            batch: 32,
            learning_rate: 1.5e-4,
            head_learning_rate: 1e-3,
            warmup: 0.1,
            weight_decay: 0.01,
            label_smoothing: 0.1,
            dropout: 0.1,
            token_dropout: 0.0,
            averaging: 0.3,
            patience: 0,
            runs: 1,
        }
    }
}

impl TuningParameters {
    /// What is out of range, if anything.
    pub fn fault(&self) -> Option<String> {
        let share = |name: &str, v: f64| (!(0.0..1.0).contains(&v)).then(|| format!("{name} is {v}: it lies in [0, 1)"));
        let positive = |name: &str, v: f64| (!(v > 0.0 && v.is_finite())).then(|| format!("{name} is {v}: it must be above 0"));
        (self.epochs == 0)
            .then(|| "epochs is 0: at least one is needed".to_owned())
            .or_else(|| (self.runs == 0).then(|| "runs is 0: at least one is needed".to_owned()))
            .or_else(|| (self.batch < 2).then(|| format!("batch is {}: at least 2", self.batch)))
            .or_else(|| positive("learning_rate", self.learning_rate))
            .or_else(|| positive("head_learning_rate", self.head_learning_rate))
            .or_else(|| share("warmup", self.warmup))
            .or_else(|| share("weight_decay", self.weight_decay))
            .or_else(|| share("label_smoothing", self.label_smoothing))
            .or_else(|| share("dropout", self.dropout))
            .or_else(|| share("token_dropout", self.token_dropout))
            .or_else(|| share("averaging", self.averaging))
    }
}
