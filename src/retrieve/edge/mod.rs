//! The embedded engine: qdrant-edge, in process, in one directory.
//!
//! What the engine (0.7.2) leaves to its user, and where it is done here:
//! - It writes a log ahead but never replays or trims it. So every write ends with a flush of its segments (about 10 ms), and
//!   old files of the log are removed while the shard is closed ([`shard::trim_log`]).
//! - `flush` and `drop` panic where the disk fails or another write is under way. So writes queue at one mutex, and every call
//!   into the engine turns a panic into an error ([`shard::guarded`]).
//! - It writes through memory maps, so a full disk would kill the process (SIGBUS). So the room that a write or a graph may
//!   take is asked for beforehand in the ordinary way ([`shard::check_room`]).
//! - It never optimises by itself. Up to [`EXACT_UP_TO`] changed points, or [`SHARE`] of all, a search compares with each of them, exactly;
//!   the write that reaches the number builds graphs and takes longer. A rebuild does it once, at its end.
//! - Replacing a point keeps vectors that the new one lacks. So each point carries both vectors, if need be an empty one.

mod convert;
mod shard;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use qdrant_edge::{CountRequest, EdgeConfig, EdgeShard, OperationResult, SearchRequest, UpdateOperation};

use super::layout::Among;
use super::stamp::{self, IndexStamp};
use super::{Health, Point, Rebuild, RetrieveError, Scored, TicketIndex, check_vector, ordered};
use crate::domain::SearchFilter;

/// Points that are searched one by one; where there are more, a graph (HNSW) is built over them.
const EXACT_UP_TO: usize = 10_000;
/// Share of the points that may be without a graph where there are many: merging them into the large one takes as long however few they are.
const SHARE: usize = 8;
/// Points that go to the engine as one operation: bounds the memory and the disk that its log record takes.
const BATCH: usize = 1_000;
/// Hits of one search at most: the engine takes memory for as many as are asked for.
const MOST_HITS: usize = 10_000;
/// Size of a file of the log.
const LOG_FILE_BYTES: usize = 16 * 1024 * 1024;
/// Full files of the log at which it is trimmed: 512 MiB, some 200,000 points of 384 dimensions.
const LOG_FILES: usize = 32;

/// A [`TicketIndex`] in a directory, for one process at a time.
///
/// A write takes about 10 ms and 0.2 ms a point of 384 dimensions; after every 10,000 changed points one builds a graph and
/// takes some seconds (100,000 points: up to 15 s on two cores), in which searches go on and other writes wait.
#[derive(Debug)]
pub struct EdgeIndex {
    dir: PathBuf,
    dim: usize,
    config: EdgeConfig,
    /// `None` only where the shard could not be opened again after it had been closed.
    shard: RwLock<Option<EdgeShard>>,
    /// Points changed since the engine last optimised. Held through every write.
    changed: Mutex<usize>,
    /// A rebuild is under way: graphs are built at its end.
    filling: AtomicBool,
    /// The lock on the directory, given up with the index; declared after `shard`, so that the shard is closed first.
    _lock: File,
}

impl EdgeIndex {
    /// Opens the index in `dir`, or makes an empty one; a directory that is missing is made.
    ///
    /// # Errors
    /// [`RetrieveError::Directory`], [`RetrieveError::Locked`]; [`RetrieveError::OtherStamp`] where it was built with another
    /// stamp and [`RetrieveError::Corrupt`] where it cannot be read: for these two, [`EdgeIndex::rebuild`] and fill it again.
    pub fn open(dir: &Path, stamp: &IndexStamp) -> Result<Self, RetrieveError> {
        Self::open_with(dir, stamp, shard::config(stamp.dim, LOG_FILE_BYTES))
    }

    fn open_with(dir: &Path, stamp: &IndexStamp, config: EdgeConfig) -> Result<Self, RetrieveError> {
        let lock = shard::lock(dir)?;
        let exists = shard::folder(dir).exists();
        if !stamp.check(dir)? {
            if exists {
                return Err(RetrieveError::Corrupt { dir: dir.to_owned(), detail: "its stamp.json is missing".to_owned() });
            }
            stamp.write(dir).map_err(|source| shard::unusable(dir, source))?;
        }
        if !exists {
            shard::create(dir, &config)?;
        }
        let shard = shard::load(dir, &config)?;
        Ok(Self {
            dir: dir.to_owned(),
            dim: stamp.dim,
            config,
            shard: RwLock::new(Some(shard)),
            changed: Mutex::new(0),
            filling: AtomicBool::new(false),
            _lock: lock,
        })
    }

    /// Opens an empty index in `dir`, whatever index was there.
    ///
    /// # Errors
    /// [`RetrieveError::Directory`], [`RetrieveError::Locked`], [`RetrieveError::Engine`].
    pub fn rebuild(dir: &Path, stamp: &IndexStamp) -> Result<Self, RetrieveError> {
        let lock = shard::lock(dir)?;
        // First the shard: a stamp without a shard is an empty index, a shard without a stamp a fault.
        shard::discard(dir)?;
        stamp::remove(dir).map_err(|source| shard::unusable(dir, source))?;
        drop(lock);
        Self::open(dir, stamp)
    }

    /// Calls the engine while the shard stays open.
    fn engine<T>(&self, action: &'static str, call: impl FnOnce(&EdgeShard) -> OperationResult<T>) -> Result<T, RetrieveError> {
        let shard = self.shard.read().unwrap_or_else(PoisonError::into_inner);
        let Some(shard) = shard.as_ref() else {
            return Err(RetrieveError::Engine { action, detail: "the index failed to reopen earlier, so restart".to_owned() });
        };
        shard::guarded(|| call(shard)).map_err(|detail| RetrieveError::Engine { action, detail })
    }

    /// Applies operations, each with the number of points that it changes, and makes them durable.
    fn write(&self, operations: impl Iterator<Item = (usize, OperationResult<UpdateOperation>)>) -> Result<(), RetrieveError> {
        let mut pending = self.writer();
        for (points, operation) in operations {
            shard::check_room(&self.dir, shard::room_to_write(points, self.dim))?;
            *pending += points;
            self.engine("write", |shard| shard.update(operation?))?;
        }
        self.engine("flush", |shard| {
            shard.flush();
            Ok(())
        })?;
        if *pending >= EXACT_UP_TO
            && !self.filling.load(Ordering::Acquire)
            && *pending >= self.engine("count", |shard| Ok(shard.info().points_count))? / SHARE
            && let Err(error) = self.optimize(&mut pending)
        {
            // The points are written and found all the same, so this is no failure of the write.
            tracing::warn!(%error, dir = %self.dir.display(), "the index was not optimised: searches are right but slower");
        }
        if shard::full_log_files(&shard::folder(&self.dir)).len() >= LOG_FILES {
            self.reopen(|| Ok(()))?;
        }
        Ok(())
    }

    /// Builds and merges graphs, and gives back the room of removed points.
    fn optimize(&self, pending: &mut usize) -> Result<(), RetrieveError> {
        *pending = 0;
        let points = self.engine("optimize", |shard| Ok(shard.info().points_count))?;
        shard::check_room(&self.dir, shard::room_to_optimize(points, self.dim))?;
        self.engine("optimize", |shard| {
            if shard.optimize()? {
                shard.flush();
            }
            Ok(())
        })
    }

    /// Closes the shard, lets `change` work on its folder, and opens it with its log trimmed. Searches wait meanwhile.
    fn reopen(&self, change: impl FnOnce() -> Result<(), RetrieveError>) -> Result<(), RetrieveError> {
        let mut slot = self.shard.write().unwrap_or_else(PoisonError::into_inner);
        let open = slot.take();
        shard::guarded(|| {
            drop(open);
            Ok(())
        })
        .map_err(|detail| RetrieveError::Engine { action: "close", detail })?;
        change()?;
        *slot = Some(shard::load(&self.dir, &self.config)?);
        Ok(())
    }

    fn writer(&self) -> MutexGuard<'_, usize> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn search_dense(&self, vector: &[f32], limit: usize, among: &Among) -> Result<Vec<Scored>, RetrieveError> {
        check_vector(|| "the query's vector".to_owned(), vector, self.dim)?;
        if limit == 0 {
            return Ok(Vec::new());
        }
        // Optimised segments hold 8-bit copies, however few points there are. Named points are compared exactly anyway.
        let few = matches!(among, Among::All(_)) && self.engine("count", |shard| Ok(shard.info().points_count))? <= EXACT_UP_TO;
        let mut scored = self.search(|| convert::dense_search(vector, limit, among, few))?;
        // Rounding takes a cosine a little past its bounds.
        scored.iter_mut().for_each(|hit| hit.1 = hit.1.clamp(-1.0, 1.0));
        Ok(scored)
    }

    fn search_lexical(&self, terms: &[String], limit: usize, among: &Among) -> Result<Vec<Scored>, RetrieveError> {
        if terms.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let mut scored = self.search(|| convert::lexical_search(terms, limit, among))?;
        // A term that nearly every point holds weighs a little below nothing while replaced points are still counted.
        scored.iter_mut().for_each(|hit| hit.1 = hit.1.max(0.0));
        Ok(scored)
    }

    fn search(&self, request: impl FnOnce() -> OperationResult<SearchRequest>) -> Result<Vec<Scored>, RetrieveError> {
        let scored = self.engine("search", |shard| {
            let found = shard.search(request()?)?;
            found
                .into_iter()
                .map(|point| Ok((convert::external_id(point.payload.as_ref())?, point.score)))
                .collect::<OperationResult<Vec<_>>>()
        })?;
        Ok(ordered(scored))
    }
}

impl TicketIndex for EdgeIndex {
    fn upsert(&self, points: &[Point]) -> Result<(), RetrieveError> {
        for point in points {
            check_vector(|| format!("the vector of ticket {}", point.id), &point.dense, self.dim)?;
        }
        if points.is_empty() {
            return Ok(());
        }
        self.write(points.chunks(BATCH).map(|batch| (batch.len(), convert::upsert(batch))))
    }

    fn delete(&self, ids: &[String]) -> Result<(), RetrieveError> {
        if ids.is_empty() {
            return Ok(());
        }
        self.write(ids.chunks(BATCH).map(|batch| (batch.len(), Ok(convert::delete(batch)))))
    }

    fn query_dense(&self, vector: &[f32], limit: usize, filter: &SearchFilter) -> Result<Vec<Scored>, RetrieveError> {
        self.search_dense(vector, limit.min(MOST_HITS), &Among::All(filter))
    }

    fn query_lexical(&self, terms: &[String], limit: usize, filter: &SearchFilter) -> Result<Vec<Scored>, RetrieveError> {
        self.search_lexical(terms, limit.min(MOST_HITS), &Among::All(filter))
    }

    fn cosines(&self, vector: &[f32], ids: &[String]) -> Result<Vec<Scored>, RetrieveError> {
        self.search_dense(vector, ids.len(), &Among::Ids(ids))
    }

    fn lexical_scores(&self, terms: &[String], ids: &[String]) -> Result<Vec<Scored>, RetrieveError> {
        self.search_lexical(terms, ids.len(), &Among::Ids(ids))
    }

    fn count(&self) -> Result<usize, RetrieveError> {
        self.engine("count", |shard| shard.count(CountRequest { filter: None, exact: true }))
    }

    fn digests(&self) -> Result<Vec<(String, i64)>, RetrieveError> {
        let mut digests = Vec::new();
        let mut offset = None;
        loop {
            let next = self.engine("list the points", |shard| {
                let (page, next) = shard.scroll(convert::page(offset)?)?;
                for point in page {
                    digests.push((convert::external_id(point.payload.as_ref())?, convert::digest(point.payload.as_ref())));
                }
                Ok(next)
            })?;
            if next.is_none() {
                return Ok(digests);
            }
            offset = next;
        }
    }

    fn vectors(&self, ids: &[String]) -> Result<Vec<(String, Vec<f32>)>, RetrieveError> {
        self.engine("read vectors", |shard| {
            let (ids, payload, vector) = convert::points(ids)?;
            let found = shard.retrieve(&ids, Some(payload), Some(vector))?;
            found.into_iter().map(|p| Ok((convert::external_id(p.payload.as_ref())?, convert::dense_of(p.vector)?))).collect()
        })
    }

    fn health(&self) -> Result<Vec<Health>, RetrieveError> {
        let version = "0.7.2".to_owned();
        Ok(vec![Health { engine: "edge", place: self.dir.display().to_string(), version, points: self.count()? }])
    }

    fn snapshot(&self, to: &Path) -> Result<String, RetrieveError> {
        let mut pending = self.writer();
        self.optimize(&mut pending)?;
        shard::copy(&self.dir, to)?;
        Ok(to.display().to_string())
    }

    fn begin_rebuild(self: Arc<Self>) -> Result<Rebuild, RetrieveError> {
        self.clear()?;
        self.filling.store(true, Ordering::Release);
        let filled = Arc::clone(&self);
        let finish = move || {
            filled.filling.store(false, Ordering::Release);
            filled.flush()
        };
        Ok(Rebuild { index: self, finish: Box::new(finish) })
    }

    fn clear(&self) -> Result<(), RetrieveError> {
        let mut pending = self.writer();
        *pending = 0;
        self.reopen(|| {
            shard::discard(&self.dir)?;
            shard::create(&self.dir, &self.config)
        })
    }

    fn flush(&self) -> Result<(), RetrieveError> {
        self.optimize(&mut self.writer())
    }
}
