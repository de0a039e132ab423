//! Trained models as people and programs see them: versions, aliases, scores, and what a challenger would have said.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::{IntentScore, Lang};

/// A version of a trained model: a number of the registry, or `shipped` for the one that the program was built with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "VersionForm", into = "VersionForm")]
pub enum Version {
    Shipped,
    Number(u32),
}

/// On the wire: `4`, `"4"` or `"shipped"`; always written as a number or `"shipped"`.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
enum VersionForm {
    Number(u32),
    Word(String),
}

const SHIPPED: &str = "shipped";

impl std::str::FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // `+4` and `04` read as numbers, but name no folder.
        let number = text.parse::<u32>().ok().filter(|n| *n > 0 && n.to_string() == text);
        match number {
            Some(n) => Ok(Version::Number(n)),
            None if text == SHIPPED => Ok(Version::Shipped),
            None => Err(format!("{text:?} is no version: write a number from 1, or shipped")),
        }
    }
}

impl TryFrom<VersionForm> for Version {
    type Error = String;

    fn try_from(form: VersionForm) -> Result<Self, String> {
        match form {
            VersionForm::Number(n) => n.to_string().parse(),
            VersionForm::Word(word) => word.parse(),
        }
    }
}

impl From<Version> for VersionForm {
    fn from(version: Version) -> Self {
        match version {
            Version::Shipped => VersionForm::Word(SHIPPED.into()),
            Version::Number(n) => VersionForm::Number(n),
        }
    }
}

impl PartialSchema for Version {
    fn schema() -> RefOr<Schema> {
        VersionForm::schema()
    }
}

impl ToSchema for Version {}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Version::Shipped => f.write_str(SHIPPED),
            Version::Number(n) => write!(f, "{n}"),
        }
    }
}

/// Figures of a model by set, then by name: `test` → `accuracy` → 0.93.
pub type ModelScores = BTreeMap<String, BTreeMap<String, f64>>;

/// A model of the registry with its versions, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TrainedModel {
    pub name: String,
    /// Alias to version. `champion` is always named: where it was never moved it is `shipped`.
    pub aliases: BTreeMap<String, Version>,
    pub versions: Vec<TrainedVersion>,
}

/// One version; it never changes.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TrainedVersion {
    pub version: Version,
    /// `classifier` and the like.
    pub kind: String,
    /// Of the text pipeline that made it; another than the program's cannot be served.
    pub text_version: u32,
    /// sha256 of the training data.
    pub data_hash: String,
    pub scores: ModelScores,
    /// RFC 3339 UTC; absent for the shipped version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registered_at: Option<String>,
    /// Bytes on disk.
    pub bytes: u64,
    /// Why it cannot be read, where it cannot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Where an alias was and is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Moved {
    /// Of the model.
    pub name: String,
    pub alias: String,
    /// `null`: nowhere.
    pub before: Option<Version>,
    pub now: Option<Version>,
}

/// What the challenger would have said to the messages that the champion answered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShadowReport {
    /// Names and versions, as an answer's `models` has them.
    pub champion: String,
    pub challenger: String,
    /// Since when this pair has been compared, RFC 3339 UTC.
    pub since: String,
    /// Messages that both have judged.
    pub messages: u64,
    pub agreed: u64,
    pub disagreed: u64,
    /// Messages that the challenger was not asked about, since it was busy.
    pub dropped: u64,
    /// Share of `messages` in [0, 1]; `null` before the first one.
    pub agreement: Option<f64>,
    pub mean_confidence: MeanConfidence,
    /// Disagreements by what each said, most frequent first.
    pub pairs: Vec<ShadowPair>,
    /// The last ones, newest first.
    pub disagreements: Vec<Disagreement>,
}

/// Over all messages of the report; 0 before the first one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MeanConfidence {
    pub champion: f64,
    pub challenger: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShadowPair {
    pub champion: String,
    pub challenger: String,
    pub n: u64,
}

/// A message to which the two said different things.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Disagreement {
    pub text: String,
    pub lang: Lang,
    pub champion: IntentScore,
    pub challenger: IntentScore,
    /// RFC 3339 UTC.
    pub at: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_a_number_or_shipped_and_nothing_else() {
        for (text, json, version) in [("4", "4", Version::Number(4)), ("shipped", "\"shipped\"", Version::Shipped)] {
            assert_eq!((text.parse(), version.to_string().as_str()), (Ok(version), text));
            assert_eq!(serde_json::to_string(&version).unwrap(), json);
            assert_eq!(serde_json::from_str::<Version>(json).unwrap(), version);
        }
        assert_eq!(serde_json::from_str::<Version>("\"7\"").unwrap(), Version::Number(7));
        for wrong in ["0", "04", "+4", "-1", "", "Shipped", "4294967296", "../1"] {
            assert!(wrong.parse::<Version>().is_err_and(|e| e.contains("no version")), "{wrong}");
        }
        assert!(serde_json::from_str::<Version>("0").is_err() && serde_json::from_str::<Version>("1.5").is_err());
    }
}
