//! The shop's rules for the gate, in TOML.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::domain::{Action, Lang, Reason};
use crate::text::WordList;

const SHIPPED: &str = include_str!("policy.toml");

/// A policy that was read and checked.
#[derive(Debug, Clone)]
pub struct Policy {
    pub languages: Vec<Lang>,
    /// Probability in [0, 1].
    pub out_of_scope: f32,
    pub precision: Precisions,
    pub sensitive: WordList,
    name: String,
    number: u32,
    intents: BTreeMap<String, IntentRule>,
}

#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Precisions {
    pub intent: f64,
    pub auto_reply: f64,
    pub suggest: f64,
}

/// The most that may be done for an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntentRule {
    pub at_most: Action,
    pub reason: Reason,
}

#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("the policy is broken: {0}")]
    Toml(#[from] toml::de::Error),
    #[error("the policy's {key} is {value}: it must lie in [0, 1]")]
    Range { key: &'static str, value: f64 },
    #[error("the policy's sensitive words: {0}")]
    Words(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    version: u32,
    languages: Vec<Lang>,
    out_of_scope: f32,
    precision: Precisions,
    sensitive: Sensitive,
    #[serde(default)]
    intents: BTreeMap<String, IntentRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sensitive {
    words: Vec<String>,
}

impl Policy {
    /// The policy that the program was built with.
    ///
    /// # Errors
    /// Never in a released build: a test reads it.
    pub fn shipped() -> Result<Self, PolicyError> {
        Self::parse(SHIPPED)
    }

    /// # Errors
    /// Bad TOML (with its line), unknown keys, numbers out of range.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let file: File = toml::from_str(text)?;
        let p = file.precision;
        let numbers = [
            ("out_of_scope", f64::from(file.out_of_scope)),
            ("precision.intent", p.intent),
            ("precision.auto_reply", p.auto_reply),
            ("precision.suggest", p.suggest),
        ];
        if let Some((key, value)) = numbers.into_iter().find(|n| !(0.0..=1.0).contains(&n.1)) {
            return Err(PolicyError::Range { key, value });
        }
        Ok(Policy {
            languages: file.languages,
            out_of_scope: file.out_of_scope,
            precision: p,
            sensitive: WordList::new(file.sensitive.words).map_err(PolicyError::Words)?,
            name: file.name,
            number: file.version,
            intents: file.intents,
        })
    }

    pub fn rule(&self, intent: &str) -> Option<&IntentRule> {
        self.intents.get(intent)
    }

    /// `name@version`.
    pub fn version(&self) -> String {
        format!("{}@{}", self.name, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_policy_is_whole_and_faults_are_named() {
        let policy = Policy::shipped().unwrap();
        assert_eq!(policy.version(), "default@1");
        assert!(policy.sensitive.find("我要退款").is_some());
        for (from, to, expect) in [
            ("intent = 0.9", "intent = 1.9", "precision.intent"),
            ("version = 1", "version = 1\ncolour = 2", "colour"),
            ("\"zh\", \"en\"", "\"zh\", \"fr\"", "fr"),
            ("at_most = \"handoff\"", "at_most = \"never\"", "never"),
        ] {
            let text = SHIPPED.replacen(from, to, 1);
            assert!(Policy::parse(&text).unwrap_err().to_string().contains(expect), "{to}");
        }
    }
}
