//! The nouns of the trade: plain data that every other room speaks in.
//!
//! Nothing here does I/O, reads a clock or knows an engine. The serialised form of these types is the wire form of the
//! HTTP API (`docs/api.md`), so a rename here is a breaking change there.

mod feedback;
mod knowledge;
mod models;
mod products;
mod triage;

pub use feedback::Outcome;
pub use knowledge::{
    Article, ArticleFault, ArticleUse, ArticleVersion, Attachment, Audience, CatalogueItem, Draft, DraftState, SearchFilter, TicketRecord,
    TicketState, UseCounts, check_id,
};
pub use models::{Disagreement, MeanConfidence, ModelScores, Moved, ShadowPair, ShadowReport, TrainedModel, TrainedVersion, Version};
pub use products::{Candidate, Item, Relations, Resolution, ResolveMatch, Variant};
pub use triage::{
    Action, Decision, Entity, EntityType, Evidence, Intent, IntentScore, Neighbour, Path, Product, Reason, Reply, ScoredArticle,
    ScoredTicket, SearchPart, Timings, Triage, Versions,
};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A language that the service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    Zh,
    En,
}

impl Lang {
    pub const ALL: [Lang; 2] = [Lang::Zh, Lang::En];

    pub fn as_str(self) -> &'static str {
        match self {
            Lang::Zh => "zh",
            Lang::En => "en",
        }
    }
}

impl std::str::FromStr for Lang {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "zh" => Ok(Lang::Zh),
            "en" => Ok(Lang::En),
            other => Err(format!("unknown language {other:?}: zh and en are known")),
        }
    }
}

impl std::fmt::Display for Lang {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much work a caller wants done for a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The sparse classifier and the patterns only: microseconds, no encoder, no search.
    Fast,
    /// Everything.
    Full,
    /// Searches as `full` does, but asks the encoder for the intent only where the sparse terms do not settle it.
    #[default]
    Auto,
}
