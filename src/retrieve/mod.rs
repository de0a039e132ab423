//! Retrieval: which past tickets are like a message, by meaning (dense vectors) and by words (BM25), fused by rank.
//!
//! *Job.* Keeps one point a ticket behind [`TicketIndex`] and answers searches over them. [`EdgeIndex`] is the embedded engine,
//! [`QdrantIndex`] and [`ElasticIndex`] are servers, [`CombinedIndex`] takes vectors from one and words from another.
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

mod combined;
#[cfg(test)]
mod contract;
mod edge;
mod elastic;
mod fusion;
mod layout;
mod qdrant;
mod remote;
mod slots;
mod sparse;
mod stamp;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use combined::CombinedIndex;
pub use edge::EdgeIndex;
pub use elastic::{ElasticIndex, ElasticSettings};
pub use qdrant::{QdrantIndex, QdrantSettings};
pub use stamp::IndexStamp;

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::{Lang, SearchFilter, SearchPart, TicketState};

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
    /// Of what the point was made of: another digest, and it has to be made again.
    pub digest: i64,
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

/// What a search brought, as far as the engines answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// Best first.
    pub hits: Vec<Hit>,
    /// What was asked for and not answered: the hits lack its scores.
    pub missing: Vec<SearchPart>,
}

/// How an engine is.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Health {
    pub engine: &'static str,
    /// Its folder or address.
    pub place: String,
    pub version: String,
    pub points: usize,
}

/// A rebuild under way.
pub struct Rebuild {
    /// What is to be filled. A server's holds what an interrupted rebuild left there.
    pub index: Arc<dyn TicketIndex>,
    /// Lets searches go to what was filled.
    pub finish: Box<dyn FnOnce() -> Result<(), RetrieveError> + Send>,
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
    #[error("the index {place} was built with {found}, and {wanted} is wanted; rebuild it with `fenzhen index build`")]
    OtherStamp { place: String, found: String, wanted: String },
    #[error("the index in {dir} cannot be read ({detail}); rebuild it from the stored tickets")]
    Corrupt { dir: PathBuf, detail: String },
    #[error("{what} has {found} dimensions and the index {expected}; encode it with the encoder that the index was built with")]
    Dimension { what: String, expected: usize, found: usize },
    #[error("{what} holds a number that is not finite; it was refused, as it could never be found, so encode the text again")]
    NotFinite { what: String },
    #[error("{engine} at {place} failed to {action}: {detail}; {hint}")]
    Remote { engine: &'static str, place: String, action: &'static str, detail: String, hint: &'static str },
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

    /// The ids of all points with their digests, in no order: what `index verify` holds against the store.
    fn digests(&self) -> Result<Vec<(String, i64)>, RetrieveError>;

    /// The vectors of these points, L2-normalised; ids that the index does not hold are left out.
    fn vectors(&self, ids: &[String]) -> Result<Vec<(String, Vec<f32>)>, RetrieveError>;

    /// Removes every point. Durable when it returns.
    fn clear(&self) -> Result<(), RetrieveError>;

    /// Brings the index into its best shape for searching; call it after a bulk load. May take minutes for millions of points;
    /// searches go on meanwhile. Nothing is lost without it: writes are durable by themselves.
    fn flush(&self) -> Result<(), RetrieveError>;

    /// Whether it answers, and how much it holds; a row for each engine that it stands on.
    fn health(&self) -> Result<Vec<Health>, RetrieveError>;

    /// Puts a copy aside from which the index can be restored: the embedded engine into the folder, which must be empty or missing, a
    /// server where it keeps its own. Answers where it lies, for people.
    fn snapshot(&self, to: &Path) -> Result<String, RetrieveError>;

    /// Begins to build the index anew. The embedded engine is emptied; a server's index goes on answering until the new one is whole.
    fn begin_rebuild(self: Arc<Self>) -> Result<Rebuild, RetrieveError>;

    /// Whether both halves of a search are asked at once, each on a thread of its own: worth it where they wait for different servers.
    fn asks_side_by_side(&self) -> bool {
        false
    }

    /// The tickets most like the query: both lists, fused by reciprocal rank, each hit with both scores. A half that fails is named, and
    /// the other one answers.
    ///
    /// # Errors
    /// A vector that does not fit; every half that was asked failed.
    fn query(&self, query: &Query) -> Result<Found, RetrieveError> {
        if query.limit == 0 {
            return Ok(Found::default());
        }
        // Deeper than the answer, so that a ticket that is fair in both lists can pass one that is good in one only.
        let candidates = query.limit.saturating_mul(4).max(50);
        let dense = || query.dense.map(|vector| self.query_dense(vector, candidates, query.filter));
        let lexical = || (!query.terms.is_empty()).then(|| self.query_lexical(query.terms, candidates, query.filter));
        let (dense, lexical) = if self.asks_side_by_side() {
            std::thread::scope(|scope| {
                let dense = scope.spawn(dense);
                let lexical = lexical();
                let died = || Some(Err(RetrieveError::Engine { action: "search", detail: "its thread died".to_owned() }));
                (dense.join().unwrap_or_else(|_| died()), lexical)
            })
        } else {
            (dense(), lexical())
        };

        let mut missing = Missing::default();
        let dense = missing.without(SearchPart::Dense, dense)?;
        let lexical = missing.without(SearchPart::Lexical, lexical)?;
        let rankings: Vec<Vec<&str>> =
            [&dense, &lexical].into_iter().flatten().map(|list| list.iter().map(|(id, _)| id.as_str()).collect()).collect();
        if rankings.is_empty() {
            return missing.nothing_left();
        }
        let mut fused = fusion::fuse(&rankings);
        fused.truncate(query.limit);

        let cosines = match (query.dense, dense) {
            (Some(vector), Some(list)) => {
                missing.without(SearchPart::Dense, Some(complete(list, &fused, |ids| self.cosines(vector, ids))))?
            }
            _ => None,
        };
        let lexicals = match lexical {
            Some(list) => {
                missing.without(SearchPart::Lexical, Some(complete(list, &fused, |ids| self.lexical_scores(query.terms, ids))))?
            }
            None => None,
        };
        // A point that was removed since the lists were made has no scores any more and is left out.
        let hit = |(id, score): Scored| {
            let cosine = match &cosines {
                Some(scores) => Some(*scores.get(&id)?),
                None => None,
            };
            let lexical = lexicals.as_ref().map(|scores| scores.get(&id).copied().unwrap_or(0.0));
            Some(Hit { id, score, cosine, lexical })
        };
        Ok(Found { hits: fused.into_iter().filter_map(hit).collect(), missing: missing.parts })
    }
}

/// Halves that did not answer.
#[derive(Default)]
struct Missing {
    parts: Vec<SearchPart>,
    why: Option<RetrieveError>,
}

impl Missing {
    /// The answer, or a note that it is missing. What is wrong with the question is no fault of an engine and goes back.
    fn without<T>(&mut self, part: SearchPart, answer: Option<Result<T, RetrieveError>>) -> Result<Option<T>, RetrieveError> {
        match answer.transpose() {
            Ok(answer) => Ok(answer),
            Err(e @ (RetrieveError::Dimension { .. } | RetrieveError::NotFinite { .. })) => Err(e),
            Err(e) => {
                tracing::warn!(error = %e, ?part, "half of a search failed");
                self.parts.push(part);
                self.why = Some(e);
                Ok(None)
            }
        }
    }

    fn nothing_left(self) -> Result<Found, RetrieveError> {
        self.why.map_or_else(|| Ok(Found::default()), Err)
    }
}

/// Whether a vector is of the index's dimension and of numbers.
fn check_vector(what: impl Fn() -> String, vector: &[f32], dim: usize) -> Result<(), RetrieveError> {
    if vector.len() != dim {
        return Err(RetrieveError::Dimension { what: what(), expected: dim, found: vector.len() });
    }
    if vector.iter().any(|x| !x.is_finite()) {
        return Err(RetrieveError::NotFinite { what: what() });
    }
    Ok(())
}

/// Best first; equal scores, which engines leave in any order, by id.
fn ordered(mut scored: Vec<Scored>) -> Vec<Scored> {
    scored.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    scored
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
