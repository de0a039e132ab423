//! From search scores to the probability that a hit is right: a logistic model over a few features, fitted by `fenzhen train gate`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::text::TEXT_VERSION;

const SHIPPED: &[u8] = include_bytes!("../../models/gate/gate.json");

/// What is known of one candidate of one search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct MatchFeatures {
    /// Cosine of the vectors.
    pub cosine: f64,
    /// Cosine less that of the best other candidate.
    pub margin: f64,
    /// `ln(1 + BM25 score)`, 0 where the terms did not meet.
    pub lexical: f64,
    /// As `margin`, of `lexical`.
    pub lexical_margin: f64,
    /// Probability that the classifier gives the candidate's intent; 0 where it has none.
    pub intent: f64,
    /// `exp(-age / 90 days)` of a ticket, in [0, 1], less its mean over the candidates; 0 for articles.
    pub recency: f64,
    /// How well a ticket ended: 1 resolved with a note of how, half without one or closed unanswered, else 0; 0 for articles.
    pub solved: f64,
    /// Mean over the message's tokens of the cosine with the article's nearest token (late interaction); 0 for tickets.
    pub alignment: f64,
    /// As `margin`, of `alignment`.
    pub alignment_margin: f64,
}

impl MatchFeatures {
    pub const COUNT: usize = 9;

    pub const NAMES: [&'static str; Self::COUNT] =
        ["cosine", "margin", "lexical", "lexical_margin", "intent", "recency", "solved", "alignment", "alignment_margin"];

    pub fn to_array(self) -> [f64; Self::COUNT] {
        [
            self.cosine,
            self.margin,
            self.lexical,
            self.lexical_margin,
            self.intent,
            self.recency,
            self.solved,
            self.alignment,
            self.alignment_margin,
        ]
    }
}

/// A fitted logistic model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchModel {
    /// In the order of [`MatchFeatures::NAMES`].
    pub weights: [f64; MatchFeatures::COUNT],
    pub bias: f64,
}

impl MatchModel {
    /// Nothing is right.
    fn never() -> Self {
        MatchModel { weights: [0.0; MatchFeatures::COUNT], bias: -100.0 }
    }

    /// Probability in [0, 1] that the candidate is right.
    pub fn probability(&self, features: &MatchFeatures) -> f32 {
        let z = self.bias + features.to_array().iter().zip(self.weights).map(|(x, w)| x * w).sum::<f64>();
        (1.0 / (1.0 + (-z).exp())) as f32
    }
}

/// How good a search and its probabilities are on a set of queries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MatchScores {
    /// Queries, and those that have an answer.
    pub n: usize,
    pub answerable: usize,
    /// Of the answerable: the right one first; among the first three.
    pub first: f64,
    pub first_three: f64,
    /// Expected calibration error of the first candidate's probability, 15 bins, over all queries.
    pub ece: f64,
    /// At the threshold for 95 % precision: share of queries above it, and right among them.
    pub auto_coverage: f64,
    pub auto_precision: f64,
}

/// What `fenzhen train gate` makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateArtefact {
    pub name: String,
    pub text_version: u32,
    /// The encoder whose cosines these are.
    pub encoder: String,
    pub article: MatchModel,
    pub ticket: MatchModel,
    /// Whether two tickets tell the same problem, from their cosine alone: where tickets are compared with one another, and not searched.
    #[serde(default = "MatchModel::never")]
    pub same: MatchModel,
    /// Precision goal of a reply, in per cent, to the probability from which on it held on validation.
    pub reply_thresholds: BTreeMap<u32, Option<f64>>,
    pub scores: BTreeMap<String, MatchScores>,
    pub data_hash: String,
}

#[derive(Debug, thiserror::Error)]
pub enum GateError {
    #[error("the gate's artefact is broken: {0}")]
    Broken(#[from] serde_json::Error),
    #[error("the gate was fitted on version {found} of the text pipeline, this program has version {wanted}")]
    TextVersion { found: u32, wanted: u32 },
}

impl GateArtefact {
    /// The artefact that the program was built with.
    ///
    /// # Errors
    /// When it is broken or of another text version, which a test excludes.
    pub fn shipped() -> Result<Self, GateError> {
        Self::parse(SHIPPED)
    }

    /// # Errors
    /// Broken JSON, another text version.
    pub fn parse(json: &[u8]) -> Result<Self, GateError> {
        let artefact: Self = serde_json::from_slice(json)?;
        if artefact.text_version != TEXT_VERSION {
            return Err(GateError::TextVersion { found: artefact.text_version, wanted: TEXT_VERSION });
        }
        Ok(artefact)
    }

    /// A gate before its training: every hit is as probable as not, and no threshold lets anything pass.
    pub fn untrained() -> Self {
        let model = MatchModel { weights: [0.0; MatchFeatures::COUNT], bias: 0.0 };
        GateArtefact {
            name: "untrained".into(),
            text_version: TEXT_VERSION,
            encoder: String::new(),
            article: model.clone(),
            ticket: model,
            same: MatchModel::never(),
            reply_thresholds: BTreeMap::new(),
            scores: BTreeMap::new(),
            data_hash: String::new(),
        }
    }

    /// Whether its thresholds hold for the vectors of an encoder; one that knows nothing fits all.
    pub fn fits(&self, encoder: &str) -> bool {
        self.encoder.is_empty() || self.encoder == encoder
    }

    /// The same probabilities to order by, and nothing that lets a reply pass.
    pub fn without_thresholds(self) -> Self {
        GateArtefact { reply_thresholds: BTreeMap::new(), same: MatchModel::never(), ..self }
    }

    pub fn version(&self) -> String {
        format!("{}@{}", self.name, self.data_hash.get(..8).unwrap_or_default())
    }

    /// The probability from which on replies had at least this precision; a goal that was not fitted is answered by the next stricter one.
    pub fn reply_threshold(&self, precision: f64) -> Option<f32> {
        let goal = (precision * 100.0).ceil() as u32;
        self.reply_thresholds.range(goal..).next().and_then(|(_, t)| *t).map(|t| t as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_follow_the_logistic_function_and_thresholds_are_never_laxer_than_asked() {
        let model = MatchModel { weights: [2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], bias: -1.0 };
        assert!((model.probability(&MatchFeatures { cosine: 0.5, ..Default::default() }) - 0.5).abs() < 1e-6);
        let thresholds = BTreeMap::from([(50, Some(0.3)), (90, Some(0.8)), (95, None)]);
        let artefact = GateArtefact { reply_thresholds: thresholds, ..GateArtefact::untrained() };
        assert_eq!(artefact.reply_threshold(0.5), Some(0.3));
        assert_eq!(artefact.reply_threshold(0.6), Some(0.8));
        assert_eq!(artefact.reply_threshold(0.93), None);
        assert_eq!(artefact.reply_threshold(0.99), None);
    }
}
