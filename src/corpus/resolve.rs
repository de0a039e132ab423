//! Messages with the SKUs that they mean.

use serde::{Deserialize, Serialize};

use crate::domain::{Lang, ResolveMatch};

/// A message, how many entries fit it, and which.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResolveRow {
    pub text: String,
    pub lang: Lang,
    pub expect: ResolveMatch,
    /// Empty for `none`.
    pub skus: Vec<String>,
    /// What would decide, what differs, or what was hard.
    #[serde(default)]
    pub note: Option<String>,
}

impl ResolveRow {
    /// Whether an answer is right: `one` that SKU, `several` only SKUs that fit, `none` none.
    pub fn is_right(&self, matched: ResolveMatch, skus: &[String]) -> bool {
        self.expect == matched
            && match matched {
                ResolveMatch::One => skus == self.skus,
                ResolveMatch::Several => skus.iter().all(|s| self.skus.contains(s)),
                ResolveMatch::None => true,
            }
    }

    /// Whether an answer names a SKU that does not fit what the customer said.
    pub fn is_contradicted(&self, skus: &[String]) -> bool {
        skus.iter().any(|s| !self.skus.contains(s))
    }
}
