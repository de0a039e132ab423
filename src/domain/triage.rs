//! What comes out of the triage of one message.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Lang, Mode};

/// A complete triage: what was understood, what is like it, what could be answered and what shall be done.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Triage {
    /// ULID.
    pub id: String,
    pub lang: Lang,
    pub mode: Mode,
    pub intent: Intent,
    pub entities: Vec<Entity>,
    pub products: Vec<Product>,
    pub similar: Vec<ScoredTicket>,
    pub articles: Vec<ScoredArticle>,
    /// `null` when there is nothing fit to say.
    pub reply: Option<Reply>,
    pub decision: Decision,
    /// Halves of the search that did not answer in time: the decision is no more than a suggestion then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub degraded: Vec<SearchPart>,
    pub models: Versions,
    pub timing_ms: Timings,
}

/// Half of a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SearchPart {
    /// By meaning: vectors.
    Dense,
    /// By words: BM25.
    Lexical,
}

/// The intent of a message with its calibrated probability.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Intent {
    pub id: String,
    pub category: String,
    /// Calibrated probability in [0, 1] that `id` is right.
    pub confidence: f32,
    pub alternatives: Vec<IntentScore>,
    /// Calibrated probability in [0, 1] that no intent of the shop fits.
    pub out_of_scope: f32,
    pub path: Path,
    /// The terms that spoke for `id`, strongest first.
    pub evidence: Vec<Evidence>,
    /// On the full path: the training examples nearest to the message, for `id` and against it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub neighbours: Vec<Neighbour>,
}

/// A training example near the message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Neighbour {
    pub text: String,
    /// Its label.
    pub intent: String,
    /// Cosine in the classifier's own space, in [-1, 1]; comparable within one model only.
    pub similarity: f32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IntentScore {
    pub id: String,
    pub confidence: f32,
}

/// Which part of the classifier answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Path {
    /// Sparse terms only.
    Fast,
    /// With the sentence encoder.
    Full,
}

impl Path {
    pub fn as_str(self) -> &'static str {
        match self {
            Path::Fast => "fast",
            Path::Full => "full",
        }
    }
}

/// A term of the message and how much it spoke for the intent, in nats of log-odds against the mean of the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    pub term: String,
    pub weight: f32,
}

/// A span of the message that names something.
///
/// Offsets count Unicode code points of the text as it was sent; `end` is exclusive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Entity {
    #[serde(rename = "type")]
    pub kind: EntityType,
    pub text: String,
    pub start: usize,
    pub end: usize,
    /// In [0, 1]. Patterns and catalogue entries answer with the precision measured for their type.
    pub confidence: f32,
    /// The normalised value, where there is one: `pink`, `250ml`, `39.90 CNY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EntityType {
    Product,
    Brand,
    Model,
    Color,
    Size,
    Flavor,
    Material,
    Spec,
    OrderId,
    TrackingNo,
    Phone,
    Email,
    Amount,
    Date,
}

impl EntityType {
    /// Those that tell a product: the tagger's.
    pub const OF_PRODUCTS: [EntityType; 8] = [
        EntityType::Product,
        EntityType::Brand,
        EntityType::Model,
        EntityType::Color,
        EntityType::Size,
        EntityType::Flavor,
        EntityType::Material,
        EntityType::Spec,
    ];

    pub const ALL: [EntityType; 14] = [
        EntityType::Product,
        EntityType::Brand,
        EntityType::Model,
        EntityType::Color,
        EntityType::Size,
        EntityType::Flavor,
        EntityType::Material,
        EntityType::Spec,
        EntityType::OrderId,
        EntityType::TrackingNo,
        EntityType::Phone,
        EntityType::Email,
        EntityType::Amount,
        EntityType::Date,
    ];

    /// The type with this name on the wire.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            EntityType::Product => "PRODUCT",
            EntityType::Brand => "BRAND",
            EntityType::Model => "MODEL",
            EntityType::Color => "COLOR",
            EntityType::Size => "SIZE",
            EntityType::Flavor => "FLAVOR",
            EntityType::Material => "MATERIAL",
            EntityType::Spec => "SPEC",
            EntityType::OrderId => "ORDER_ID",
            EntityType::TrackingNo => "TRACKING_NO",
            EntityType::Phone => "PHONE",
            EntityType::Email => "EMAIL",
            EntityType::Amount => "AMOUNT",
            EntityType::Date => "DATE",
        }
    }
}

/// A catalogue entry that the message seems to speak of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Product {
    pub sku: String,
    pub title: String,
    /// Probability in [0, 1] that this entry is the one meant; where several fit, each has its share.
    pub confidence: f32,
}

/// A past ticket like the message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScoredTicket {
    pub ticket_id: String,
    pub text: String,
    /// Fused rank score in [0, 1]: comparable within one answer only.
    pub score: f32,
    /// Calibrated probability that it is about the same problem.
    pub confidence: f32,
    pub intent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<String>,
}

/// An article of the knowledge base that may answer the message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScoredArticle {
    pub article_id: String,
    pub question: String,
    /// Fused rank score in [0, 1]: comparable within one answer only.
    pub score: f32,
    /// Calibrated probability that it answers the message.
    pub confidence: f32,
}

/// What could be said to the customer, and from which sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reply {
    pub text: String,
    /// Ids of the articles that the text stands in.
    pub sources: Vec<String>,
    pub confidence: f32,
    /// Who wrote it: `article` is the article's own words.
    pub generator: String,
}

/// What shall be done with the message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    pub action: Action,
    /// Never empty for a hand-off.
    pub reasons: Vec<Reason>,
    /// Calibrated probability that the reply is right; 0 where there is none.
    pub confidence: f32,
    /// Name and version of the policy that decided.
    pub policy: String,
}

/// From least to most automation, so that "a fault never raises automation" is an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Handoff,
    Suggest,
    AutoReply,
}

impl Action {
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Handoff => "handoff",
            Action::Suggest => "suggest",
            Action::AutoReply => "auto_reply",
        }
    }
}

/// Why a human is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    CustomerRequest,
    SensitiveTopic,
    LowConfidence,
    MissingKnowledge,
    OutOfScope,
    PolicyRestriction,
    ToolFailure,
}

impl Reason {
    /// Every reason with what it means: the one table that code and documentation share.
    pub const TABLE: [(Reason, &'static str, &'static str); 7] = [
        (Reason::CustomerRequest, "customer_request", "The customer asks for a human."),
        (Reason::SensitiveTopic, "sensitive_topic", "The message holds a word or an intent that the policy leaves to humans."),
        (Reason::LowConfidence, "low_confidence", "The intent or the answer is less probable than the policy's precision asks."),
        (Reason::MissingKnowledge, "missing_knowledge", "No article answers the message."),
        (Reason::OutOfScope, "out_of_scope", "The message is nothing that the shop's support answers."),
        (Reason::PolicyRestriction, "policy_restriction", "The policy does not let the machine answer here (intent, language, channel)."),
        (Reason::ToolFailure, "tool_failure", "A part (encoder, index, store) failed or was too slow; automation was lowered."),
    ];

    pub fn as_str(self) -> &'static str {
        Self::TABLE.iter().find(|row| row.0 == self).map_or("", |row| row.1)
    }
}

/// The versions of everything that had a say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Versions {
    pub classifier: String,
    pub ner: String,
    /// `null` where the encoder was not asked.
    pub encoder: Option<String>,
    pub gate: String,
}

/// Milliseconds spent a stage; a stage that did not run is absent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Timings {
    pub classify: f64,
    pub entities: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encode: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retrieve: Option<f64>,
    pub decide: f64,
    pub total: f64,
}
