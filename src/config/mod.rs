//! The configuration: `default.toml` < file < environment < flags, checked as a whole.
//!
//! `default.toml` is the schema: its keys are the keys there are, its values say their types, its order is the order in which
//! they are shown. [`Config::load`] reports every fault of every source at once and remembers where each value came from. This
//! module reads one file and what it is handed; it never reads or writes the process's environment, and knows no other room:
//! a module takes its own section's struct. Nothing here is shared or changes after loading, so there is nothing to lock.

mod fault;
mod layers;
mod rules;
mod show;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer};
use toml::{Table, Value};

pub use fault::{ConfigError, Fault, Source};

/// The configuration's own documentation: every key with its default and what it means.
pub const DEFAULT: &str = include_str!("default.toml");

/// Every section.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub server: Server,
    pub auth: Auth,
    pub data: Data,
    pub models: Models,
    pub encoder: Encoder,
    pub classifier: Classifier,
    pub gate: Gate,
    pub retrieve: Retrieve,
    pub log: Log,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub listen: SocketAddr,
    pub max_body_mb: usize,
    pub max_text_chars: usize,
    pub max_batch: usize,
    /// Requests worked on at once.
    pub concurrency: usize,
    pub request_timeout_ms: u64,
    pub drain_timeout_ms: u64,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// SHA-256 of each key that is let in, 64 lower-case hex digits. Empty: no key is known.
    pub api_key_sha256: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    pub dir: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Models {
    /// Never empty: resolved while loading.
    pub cache: PathBuf,
    /// Never empty: resolved while loading.
    pub registry: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Encoder {
    pub model: String,
    /// Of the vectors that texts are compared by. `None`: the shipped one.
    #[serde(deserialize_with = "none_if_empty")]
    pub comparing: Option<PathBuf>,
    /// Empty: none.
    pub served_url: String,
    pub served_model: String,
    pub served_api_key: String,
    pub served_query_prefix: String,
    pub served_passage_prefix: String,
    pub arithmetic: Arithmetic,
    /// Texts that may wait.
    pub queue: usize,
    pub batch_tokens: usize,
    pub timeout_ms: u64,
}

/// How the encoder multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arithmetic {
    Auto,
    Int8,
    Blocks,
    Float,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classifier {
    /// `None`: the shipped one.
    #[serde(deserialize_with = "none_if_empty")]
    pub artefact: Option<PathBuf>,
    /// For requests that name none.
    pub mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Fast,
    Full,
    Auto,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// `None`: the shipped one.
    #[serde(deserialize_with = "none_if_empty")]
    pub policy: Option<PathBuf>,
    /// `None`: the shipped one.
    #[serde(deserialize_with = "none_if_empty")]
    pub artefact: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retrieve {
    pub similar: usize,
    pub articles: usize,
    pub dense: Engine,
    pub lexical: Engine,
    pub deadline_ms: u64,
    pub prefix: String,
    pub qdrant_url: String,
    pub qdrant_api_key: String,
    pub qdrant_shards: u32,
    pub qdrant_replicas: u32,
    pub qdrant_quantize: bool,
    pub qdrant_on_disk: bool,
    pub elastic_url: String,
    pub elastic_api_key: String,
    pub elastic_user: String,
    pub elastic_password: String,
    pub elastic_shards: u32,
    pub elastic_replicas: u32,
    pub elastic_repository: String,
}

/// Where an index is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// In process.
    Edge,
    Qdrant,
    Elasticsearch,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// A filter as `tracing` understands it: a level, or levels by module.
    pub level: String,
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

/// A configuration and where it comes from.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub config: Config,
    /// `section.key` to the source of its value, for every key.
    pub sources: BTreeMap<String, Source>,
    values: BTreeMap<String, Value>,
}

impl Config {
    /// Merges the sources and checks the result.
    ///
    /// `env` is the environment (other variables are passed over); `flags` are `("section.key", "value")`.
    ///
    /// # Errors
    /// Every unknown key, wrong type and value out of range of every source, and a file that cannot be read.
    pub fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        flags: &[(String, String)],
    ) -> Result<Loaded, ConfigError> {
        let env: BTreeMap<String, String> = env.collect();
        let mut layers = layers::Layers::defaults()?;
        if let Some(path) = file {
            layers.file(path);
        }
        layers.environment(&env);
        layers.flags(flags);
        layers.check();
        layers.derive(&env);
        let (values, sources, faults) = layers.into_parts();
        if !faults.is_empty() {
            return Err(ConfigError { faults });
        }
        // The rules are at least as strict as the types, so a fault here is one of this program's tables.
        let config = nested(&values).try_into().map_err(|e: toml::de::Error| Fault::new("", Source::Default, e.message()))?;
        Ok(Loaded { config, sources, values })
    }
}

impl Loaded {
    /// The configuration in force as TOML; a comment names the source of each value that is not the default. Hashes of keys
    /// are shortened: the text may be pasted into a report, and is not fit to be a configuration again where it has some.
    pub fn show(&self) -> String {
        show::show(&self.values, &self.sources)
    }
}

/// `section.key` to a table a section.
fn nested(values: &BTreeMap<String, Value>) -> Table {
    let mut root = Table::new();
    for (name, value) in values {
        if let Some((section, key)) = name.split_once('.') {
            let section = root.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(table) = section {
                table.insert(key.to_owned(), value.clone());
            }
        }
    }
    root
}

fn none_if_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok((!text.is_empty()).then(|| text.into()))
}
