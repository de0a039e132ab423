//! Retrieval: which past tickets are like a message, by meaning (dense vectors) and by words (BM25), fused by rank.
//!
//! *Job.* Keeps one point a ticket behind [`TicketIndex`] and answers searches over them; [`EdgeIndex`] is the embedded engine.
//! The index is derived data: everything in it can be made again from the store, so a fault here is answered with "rebuild".
//!
//! *Never.* It does not encode or segment text (vectors and terms come in ready), keeps no text and no personal data beyond the
//! ticket's id, and makes no probability of a score: scores order one answer and are calibrated elsewhere.
//!
//! *Concurrency.* Every method is synchronous and may wait for the disk: call it from a blocking thread. Searches run side by
//! side, and while points are written; writes go one after the other.
//!
//! *Failure.* A write that returns `Ok` is searchable and on disk. One that returns an error may have been done in part; every
//! write is idempotent, so repeat it. A search that fails changes nothing.

#[cfg(test)]
mod contract;
mod edge;
mod fusion;
mod sparse;
mod stamp;

use std::collections::HashMap;
use std::path::PathBuf;

pub use edge::EdgeIndex;
pub use stamp::IndexStamp;

use crate::domain::{Lang, SearchFilter, TicketState};

/// A past ticket as the index keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The ticket's id; a point with the same id replaces this one whole.
    pub id: String,
    /// Sentence vector, L2-normalised, of the index's dimension.
    pub dense: Vec<f32>,
    /// From [`crate::text::search_terms`]; repeats count.
    pub terms: Vec<String>,
    pub lang: Lang,
    pub intent: Option<String>,
    pub state: Option<TicketState>,
}

/// What to search for; a part that is absent or empty is not asked.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// Sentence vector, L2-normalised, of the index's dimension.
    pub dense: Option<&'a [f32]>,
    /// From [`crate::text::search_terms`].
    pub terms: &'a [String],
    /// Hits wanted at most; 0 gives none.
    pub limit: usize,
    pub filter: &'a SearchFilter,
}

/// A ticket that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Hit {
    pub id: String,
    /// Fused rank score in (0, 1], 1 for the first of every list that was asked: comparable within one answer only.
    pub score: f32,
    /// Cosine to the query's vector in [-1, 1]; `None` where the query has none.
    pub cosine: Option<f32>,
    /// BM25 score, at least 0 and 0 where no term is shared; `None` where the query has no terms.
    pub lexical: Option<f32>,
}

/// An id with its cosine or its BM25 score.
pub type Scored = (String, f32);

/// Why the index did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RetrieveError {
    #[error("cannot use {path} for the index: {source}; it must be a directory that this user may write to, with room on its disk")]
    Directory { path: PathBuf, source: std::io::Error },
    #[error("the index in {dir} is already open; stop the other process, or give this one a directory of its own")]
    Locked { dir: PathBuf },
    #[error("the index in {dir} was built with {found}, and {wanted} is wanted; rebuild it from the stored tickets")]
    OtherStamp { dir: PathBuf, found: String, wanted: String },
    #[error("the index in {dir} cannot be read ({detail}); rebuild it from the stored tickets")]
    Corrupt { dir: PathBuf, detail: String },
    #[error("{what} has {found} dimensions and the index {expected}; encode it with the encoder that the index was built with")]
    Dimension { what: String, expected: usize, found: usize },
    #[error("{what} holds a number that is not finite; it was refused, as it could never be found, so encode the text again")]
    NotFinite { what: String },
    #[error("the search engine failed to {action}: {detail}; the call may be repeated, and if it fails again the index rebuilt")]
    Engine { action: &'static str, detail: String },
}

/// An engine that keeps points and finds them again.
///
/// Every method is synchronous: call it from a blocking thread. Lists come back best first. Nothing found, an unknown id, an
/// empty batch, no terms and a limit of 0 are no errors; a limit beyond 10,000 may be answered with 10,000.
pub trait TicketIndex: Send + Sync {
    /// Adds points, or replaces those with the same ids; of two with one id in a batch the last holds.
    ///
    /// All are checked before any is written. Searchable and durable when it returns.
    ///
    /// # Errors
    /// [`RetrieveError::Dimension`] and [`RetrieveError::NotFinite`] for a vector that does not fit; [`RetrieveError::Engine`].
    fn upsert(&self, points: &[Point]) -> Result<(), RetrieveError>;

    /// Removes points. Durable when it returns.
    fn delete(&self, ids: &[String]) -> Result<(), RetrieveError>;

    /// The nearest points by cosine, in [-1, 1].
    ///
    /// # Errors
    /// As [`TicketIndex::upsert`], for the query's vector.
    fn query_dense(&self, vector: &[f32], limit: usize, filter: &SearchFilter) -> Result<Vec<Scored>, RetrieveError>;

    /// The points that share terms, by BM25.
    fn query_lexical(&self, terms: &[String], limit: usize, filter: &SearchFilter) -> Result<Vec<Scored>, RetrieveError>;

    /// The cosines of these points; ids that the index does not hold are left out.
    ///
    /// # Errors
    /// As [`TicketIndex::query_dense`].
    fn cosines(&self, vector: &[f32], ids: &[String]) -> Result<Vec<Scored>, RetrieveError>;

    /// The BM25 scores of these points; those that share no term are left out.
    fn lexical_scores(&self, terms: &[String], ids: &[String]) -> Result<Vec<Scored>, RetrieveError>;

    /// How many points there are.
    fn count(&self) -> Result<usize, RetrieveError>;

    /// The ids of all points, in no order: what `index verify` holds against the store.
    fn ids(&self) -> Result<Vec<String>, RetrieveError>;

    /// Removes every point. Durable when it returns.
    fn clear(&self) -> Result<(), RetrieveError>;

    /// Brings the index into its best shape for searching; call it after a bulk load. May take minutes for millions of points;
    /// searches go on meanwhile. Nothing is lost without it: writes are durable by themselves.
    fn flush(&self) -> Result<(), RetrieveError>;

    /// The tickets most like the query: both lists, fused by reciprocal rank, each hit with both scores.
    ///
    /// # Errors
    /// As [`TicketIndex::query_dense`].
    fn query(&self, query: &Query) -> Result<Vec<Hit>, RetrieveError> {
        if query.limit == 0 {
            return Ok(Vec::new());
        }
        // Deeper than the answer, so that a ticket that is fair in both lists can pass one that is good in one only.
        let candidates = query.limit.saturating_mul(4).max(50);
        let dense = query.dense.map(|vector| self.query_dense(vector, candidates, query.filter)).transpose()?;
        let lexical = if query.terms.is_empty() { None } else { Some(self.query_lexical(query.terms, candidates, query.filter)?) };

        let rankings: Vec<Vec<&str>> =
            [&dense, &lexical].into_iter().flatten().map(|list| list.iter().map(|(id, _)| id.as_str()).collect()).collect();
        let mut fused = fusion::fuse(&rankings);
        fused.truncate(query.limit);

        let cosines = match (query.dense, dense) {
            (Some(vector), Some(list)) => Some(complete(list, &fused, |ids| self.cosines(vector, ids))?),
            _ => None,
        };
        let lexicals = lexical.map(|list| complete(list, &fused, |ids| self.lexical_scores(query.terms, ids))).transpose()?;
        // A point that was removed since the lists were made has no scores any more and is left out.
        let hit = |(id, score): Scored| {
            let cosine = match &cosines {
                Some(scores) => Some(*scores.get(&id)?),
                None => None,
            };
            let lexical = lexicals.as_ref().map(|scores| scores.get(&id).copied().unwrap_or(0.0));
            Some(Hit { id, score, cosine, lexical })
        };
        Ok(fused.into_iter().filter_map(hit).collect())
    }
}

/// The scores of a list, and of those of `wanted` that are not in it, which `look_up` knows.
fn complete(
    list: Vec<Scored>,
    wanted: &[Scored],
    look_up: impl FnOnce(&[String]) -> Result<Vec<Scored>, RetrieveError>,
) -> Result<HashMap<String, f32>, RetrieveError> {
    let mut scores: HashMap<String, f32> = list.into_iter().collect();
    let missing: Vec<String> = wanted.iter().map(|(id, _)| id).filter(|id| !scores.contains_key(*id)).cloned().collect();
    if !missing.is_empty() {
        scores.extend(look_up(&missing)?);
    }
    Ok(scores)
}
