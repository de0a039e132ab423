//! How sure an answer is: a logistic model over a few features of how it came about, fitted by `fenzhen train linking`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::text::TEXT_VERSION;

const SHIPPED: &[u8] = include_bytes!("../../../models/linking/linking.json");

/// How an answer came about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// 1 where one entry fits.
    pub one: f64,
    /// 1 where none does.
    pub none: f64,
    /// Share of the named kinds that the entries carry.
    pub carried: f64,
    /// Kinds named, at most five.
    pub named: f64,
    /// `ln` of the number of entries that fit.
    pub survivors: f64,
    /// 1 where the product's name was found as it is written.
    pub exact: f64,
    /// 1 where a softer hint narrowed the entries: words of titles, loose numbers, `the big one`.
    pub softly: f64,
    /// Share of the message that was not read.
    pub unread: f64,
    /// Other products that are named, at most three.
    pub others: f64,
}

impl Evidence {
    pub const NAMES: [&'static str; 9] = ["one", "none", "carried", "named", "survivors", "exact", "softly", "unread", "others"];

    pub fn to_array(self) -> [f64; 9] {
        [self.one, self.none, self.carried, self.named, self.survivors, self.exact, self.softly, self.unread, self.others]
    }
}

/// A fitted logistic model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkingModel {
    /// In the order of [`Evidence::NAMES`].
    pub weights: [f64; 9],
    pub bias: f64,
}

impl LinkingModel {
    /// Every answer is as probable as not: before training.
    pub fn untrained() -> Self {
        LinkingModel { weights: [0.0; 9], bias: 0.0 }
    }

    /// Probability in [0, 1] that the answer is right.
    pub fn probability(&self, evidence: &Evidence) -> f32 {
        let z = self.bias + evidence.to_array().iter().zip(self.weights).map(|(x, w)| x * w).sum::<f64>();
        (1.0 / (1.0 + (-z).exp())) as f32
    }
}

/// How good the answers are on a set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkingScores {
    pub n: usize,
    /// Share of the rows answered as they should be.
    pub right: f64,
    /// Expected calibration error, 10 bins; on the fitted set out of fold.
    pub ece: f64,
}

/// What `fenzhen train linking` makes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkingArtefact {
    pub name: String,
    pub text_version: u32,
    pub model: LinkingModel,
    pub scores: BTreeMap<String, LinkingScores>,
    pub data_hash: String,
}

#[derive(Debug, thiserror::Error)]
pub enum LinkingError {
    #[error("the linking's artefact is broken: {0}")]
    Broken(#[from] serde_json::Error),
    #[error("the linking was fitted on version {found} of the text pipeline, this program has version {wanted}")]
    TextVersion { found: u32, wanted: u32 },
}

impl LinkingArtefact {
    /// The artefact that the program was built with.
    ///
    /// # Errors
    /// When it is broken or of another text version, which a test excludes.
    pub fn shipped() -> Result<Self, LinkingError> {
        Self::parse(SHIPPED)
    }

    /// # Errors
    /// Broken JSON, another text version.
    pub fn parse(json: &[u8]) -> Result<Self, LinkingError> {
        let artefact: Self = serde_json::from_slice(json)?;
        if artefact.text_version != TEXT_VERSION {
            return Err(LinkingError::TextVersion { found: artefact.text_version, wanted: TEXT_VERSION });
        }
        Ok(artefact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_artefact_is_of_this_version() {
        LinkingArtefact::shipped().unwrap();
        assert!(LinkingArtefact::parse(b"{}").is_err());
    }
}
