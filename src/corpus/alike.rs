//! Texts that mean the same, and others that only share their words: what retrieval is trained on.

use serde::Deserialize;

use crate::domain::Lang;

/// Tickets of one cause.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CauseRow {
    pub cause: String,
    pub lang: Lang,
    pub intent: String,
    /// Another cause that shares its words.
    #[serde(default)]
    pub near: Option<String>,
    pub texts: Vec<String>,
    /// What agents noted when they closed such tickets.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// An article and what is asked of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedRow {
    pub id: String,
    pub lang: Lang,
    pub intent: String,
    pub question: String,
    pub answer: String,
    /// Another article that shares its words.
    #[serde(default)]
    pub near: Option<String>,
    pub asked: Vec<String>,
}

/// Questions that want the same answer, and such that share their words and want another.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlikeRow {
    pub id: String,
    pub lang: Lang,
    #[serde(default)]
    pub answer: Option<String>,
    pub same: Vec<String>,
    pub unlike: Vec<String>,
}
