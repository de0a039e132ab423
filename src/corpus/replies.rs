//! Messages that say what a machine may answer by itself, and with which article.

use serde::{Deserialize, Serialize};

use crate::domain::Lang;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplyKind {
    /// An article answers it as it stands.
    Answerable,
    /// Looks like an article's question, and no article holds what is asked.
    Unanswerable,
    /// Belongs to a human whatever the articles say.
    Policy,
    /// Asks for a human.
    Human,
    /// Tries to make the machine misbehave.
    Injection,
}

impl ReplyKind {
    pub const ALL: [ReplyKind; 5] =
        [ReplyKind::Answerable, ReplyKind::Unanswerable, ReplyKind::Policy, ReplyKind::Human, ReplyKind::Injection];

    pub fn as_str(self) -> &'static str {
        match self {
            ReplyKind::Answerable => "answerable",
            ReplyKind::Unanswerable => "unanswerable",
            ReplyKind::Policy => "policy",
            ReplyKind::Human => "human",
            ReplyKind::Injection => "injection",
        }
    }
}

/// A message of the suite of replies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplyRow {
    pub id: String,
    pub lang: Lang,
    pub kind: ReplyKind,
    pub text: String,
    /// Each of them answers it; empty unless it is answerable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub articles: Vec<String>,
    /// The article that only seems to answer it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub near: Option<String>,
    /// What is missing, the topic, or the attack.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// Whether an article of [`super::AskedRow`]'s file answers a message.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswersRow {
    pub article: String,
    pub lang: Lang,
    pub answers: bool,
    /// How it asks, or why the article does not answer.
    pub kind: String,
    pub text: String,
}
