//! What an agent did with a triage.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What became of the reply that the machine proposed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Sent as it was.
    Accepted,
    /// Sent with changes.
    Edited,
    /// Not sent.
    Rejected,
}

impl Outcome {
    pub const ALL: [Outcome; 3] = [Outcome::Accepted, Outcome::Edited, Outcome::Rejected];

    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Accepted => "accepted",
            Outcome::Edited => "edited",
            Outcome::Rejected => "rejected",
        }
    }
}

impl std::str::FromStr for Outcome {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let known = Outcome::ALL.into_iter().find(|o| o.as_str() == s);
        known.ok_or_else(|| format!("unknown outcome {s:?}: accepted, edited and rejected are known"))
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
