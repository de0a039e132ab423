//! Corpora: reading them with errors that name the line, and judging them before anything is trained on them.
//!
//! Bringing data in from other formats, splitting it, taking it out again. A broken row is never skipped in silence: reading stops with
//! its line, validation lists them all. Files are read as streams and written beside their place, so that size and a sudden end do no harm.

mod alike;
mod annotate;
mod beside;
mod catalogue;
mod export;
mod import;
mod near;
mod repeats;
mod replies;
mod resolve;
mod source;
mod split;
mod tagged;
mod validate;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::{CatalogueItem, Lang, TicketRecord, TicketState};

pub use alike::{AlikeRow, AskedRow, CauseRow};
pub use annotate::{Command, HELP as ANNOTATE_HELP, product_types};
pub use beside::Beside;
pub use catalogue::{CatalogueFile, RowFault, read_catalogue};
pub use export::{Exported, export};
pub use import::{Clash, Dropped, Format, ImportOptions, Summary, Tally, import};
pub use replies::{AnswersRow, ReplyKind, ReplyRow};
pub use resolve::ResolveRow;
pub use source::Tick;
pub use split::{PARTS, Part, SplitOptions, SplitSummary, TooSmall, split};
pub use tagged::{TaggedRow, TaggedSpan, read_tagged};
pub use validate::{
    Finding, Kind, Report, Severity, validate_alike, validate_catalogue, validate_intents, validate_knowledge, validate_labelled,
    validate_replies, validate_tagged, validate_tickets,
};

/// One labelled utterance. A row may carry more (an id, a group to split by), which training does not read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    pub text: String,
    pub intent: String,
    pub lang: Lang,
}

/// A customer's message and the article that answers it, or none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArticleQuery {
    pub text: String,
    pub lang: Lang,
    pub article: Option<String>,
}

/// A past ticket of the corpus; `cause` groups the tickets that share a problem.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusTicket {
    pub id: String,
    pub lang: Lang,
    pub cause: String,
    pub intent: String,
    pub state: TicketState,
    pub created_at: String,
    pub subject: String,
    pub body: String,
    pub resolution: String,
}

impl CorpusTicket {
    /// As the index knows it: subject and body are one text.
    pub fn into_record(self) -> TicketRecord {
        TicketRecord {
            text: format!("{}\n{}", self.subject, self.body),
            id: self.id,
            lang: Some(self.lang),
            intent: Some(self.intent),
            state: Some(self.state),
            resolution: Some(self.resolution),
            created_at: Some(self.created_at),
        }
    }
}

/// The intents and their categories, `datasets/taxonomy.toml`.
#[derive(Debug, Clone, Deserialize)]
pub struct Taxonomy {
    pub version: u32,
    pub category: Vec<Category>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Category {
    pub id: String,
    pub intents: Vec<TaxonomyIntent>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct TaxonomyIntent {
    pub id: String,
    pub zh: String,
    pub en: String,
}

/// The label of what a shop's support does not answer.
pub const OUT_OF_SCOPE: &str = "out_of_scope";

impl Taxonomy {
    /// Every intent with its category, in the file's order.
    pub fn intents(&self) -> impl Iterator<Item = (&str, &str)> {
        self.category.iter().flat_map(|c| c.intents.iter().map(|i| (i.id.as_str(), c.id.as_str())))
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    #[error("{}: {source}", .path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{}, line {line}: {why}", .path.display())]
    Row { path: PathBuf, line: usize, why: String },
    #[error("{}: {why}", .path.display())]
    Toml { path: PathBuf, why: String },
    /// Data from outside that cannot be used as it is, with what to do about it.
    #[error("{}{}: {why}", .path.display(), .line.map(|n| format!(", line {n}")).unwrap_or_default())]
    Input { path: PathBuf, line: Option<usize>, why: String, hint: String },
}

impl CorpusError {
    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            CorpusError::Input { hint, .. } => Some(hint),
            _ => None,
        }
    }
}

/// A line of a file, shown as `file:line`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub path: Arc<Path>,
    pub line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// The beginning of a text, in quotes, for a message.
fn excerpt(text: &str) -> String {
    const SHOWN: usize = 60;
    let cut = text.char_indices().nth(SHOWN).map_or(text, |(at, _)| &text[..at]);
    if cut.len() < text.len() { format!("{cut:?}…") } else { format!("{text:?}") }
}

/// What is wrong with a line of JSON, without the line number that the parser counts for itself.
fn json_fault(e: &serde_json::Error) -> String {
    let text = e.to_string();
    let why = text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why);
    if e.column() > 0 { format!("{why} (column {})", e.column()) } else { why.to_owned() }
}

/// A row of a labelled file with whatever else it carries.
#[derive(Debug, Deserialize)]
struct LabelledRow {
    text: String,
    intent: String,
    lang: Lang,
    #[serde(flatten)]
    more: serde_json::Map<String, serde_json::Value>,
}

impl LabelledRow {
    /// # Errors
    /// What is no JSON object with the strings `text` and `intent` and the `lang` zh or en, with what to do.
    fn parse(source: &source::Source, line: usize, json: &str) -> Result<Self, CorpusError> {
        serde_json::from_str(json).map_err(|e| {
            let hint = "a row is {\"text\": \"...\", \"intent\": \"...\", \"lang\": \"zh\" or \"en\"}; other data becomes such rows by `fenzhen data import`";
            source.fault(Some(line), json_fault(&e), hint)
        })
    }
}

/// Rows of a JSON Lines file; blank lines are skipped.
///
/// # Errors
/// The first row that is not UTF-8, not JSON or not of the shape of `T`, with its line.
pub fn read_jsonl<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, CorpusError> {
    let io = |source| CorpusError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    let mut rows = Vec::new();
    for (at, line) in BufReader::new(file).lines().enumerate() {
        let fault = |why: String| CorpusError::Row { path: path.to_owned(), line: at + 1, why };
        let line = line.map_err(|e| fault(e.to_string()))?;
        if !line.trim().is_empty() {
            rows.push(serde_json::from_str(&line).map_err(|e| fault(e.to_string()))?);
        }
    }
    Ok(rows)
}

/// # Errors
/// When the file cannot be read or is not a taxonomy.
pub fn read_taxonomy(path: &Path) -> Result<Taxonomy, CorpusError> {
    let text = std::fs::read_to_string(path).map_err(|source| CorpusError::Io { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|e| CorpusError::Toml { path: path.to_owned(), why: e.message().to_owned() })
}

/// The sha256 of the files' bytes one after the other, in hexadecimal: tells whether two models saw the same data.
///
/// # Errors
/// When a file cannot be read.
pub fn data_hash(paths: &[&Path]) -> Result<String, CorpusError> {
    let mut hasher = Sha256::new();
    for path in paths {
        hasher.update(std::fs::read(path).map_err(|source| CorpusError::Io { path: path.to_path_buf(), source })?);
    }
    Ok(hasher.finalize().iter().map(|b| format!("{b:02x}")).collect())
}

/// The corpora that the program ships with, for `--demo` and for tests.
pub mod shipped {
    use super::*;
    use crate::domain::Article;

    const ARTICLES: &str = include_str!("../../datasets/articles/articles.jsonl");
    const TICKETS: &str = include_str!("../../datasets/tickets/tickets.jsonl");
    const CATALOGUE: &str = include_str!("../../datasets/catalogue/catalogue.jsonl");

    fn rows<T: DeserializeOwned>(text: &str) -> Vec<T> {
        // The validation test reads every row of these files; a broken one cannot be shipped.
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    pub fn articles() -> Vec<Article> {
        rows(ARTICLES)
    }

    pub fn tickets() -> Vec<TicketRecord> {
        rows::<CorpusTicket>(TICKETS).into_iter().map(CorpusTicket::into_record).collect()
    }

    pub fn catalogue() -> Vec<CatalogueItem> {
        rows(CATALOGUE)
    }
}
