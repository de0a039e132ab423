//! Vectors from one engine, words from another.

use std::path::Path;
use std::sync::Arc;

use super::{Health, Point, Rebuild, RetrieveError, Scored, TicketIndex};
use crate::domain::SearchFilter;

/// A [`TicketIndex`] of two: every write goes to both, each half of a search to one. What one of them lacks, the other answers.
pub struct CombinedIndex {
    dense: Arc<dyn TicketIndex>,
    lexical: Arc<dyn TicketIndex>,
}

impl CombinedIndex {
    pub fn new(dense: Arc<dyn TicketIndex>, lexical: Arc<dyn TicketIndex>) -> Self {
        CombinedIndex { dense, lexical }
    }

    fn both(&self, each: impl Fn(&dyn TicketIndex) -> Result<(), RetrieveError>) -> Result<(), RetrieveError> {
        each(self.dense.as_ref())?;
        each(self.lexical.as_ref())
    }
}

impl TicketIndex for CombinedIndex {
    fn upsert(&self, points: &[Point]) -> Result<(), RetrieveError> {
        self.both(|index| index.upsert(points))
    }

    fn delete(&self, ids: &[String]) -> Result<(), RetrieveError> {
        self.both(|index| index.delete(ids))
    }

    fn query_dense(&self, vector: &[f32], limit: usize, filter: &SearchFilter) -> Result<Vec<Scored>, RetrieveError> {
        self.dense.query_dense(vector, limit, filter)
    }

    fn query_lexical(&self, terms: &[String], limit: usize, filter: &SearchFilter) -> Result<Vec<Scored>, RetrieveError> {
        self.lexical.query_lexical(terms, limit, filter)
    }

    fn cosines(&self, vector: &[f32], ids: &[String]) -> Result<Vec<Scored>, RetrieveError> {
        self.dense.cosines(vector, ids)
    }

    fn lexical_scores(&self, terms: &[String], ids: &[String]) -> Result<Vec<Scored>, RetrieveError> {
        self.lexical.lexical_scores(terms, ids)
    }

    /// Of the vectors; `index verify` holds both against the records.
    fn count(&self) -> Result<usize, RetrieveError> {
        self.dense.count()
    }

    /// Of both: a point that only one of them holds, or holds otherwise, has a digest that is nobody's.
    fn digests(&self) -> Result<Vec<(String, i64)>, RetrieveError> {
        let mut digests: std::collections::HashMap<String, i64> = self.dense.digests()?.into_iter().collect();
        let mut alone: std::collections::HashSet<String> = digests.keys().cloned().collect();
        for (id, digest) in self.lexical.digests()? {
            alone.remove(&id);
            let known = digests.entry(id).or_default();
            if *known != digest {
                *known = 0;
            }
        }
        digests.iter_mut().filter(|(id, _)| alone.contains(*id)).for_each(|(_, digest)| *digest = 0);
        Ok(digests.into_iter().collect())
    }

    fn vectors(&self, ids: &[String]) -> Result<Vec<(String, Vec<f32>)>, RetrieveError> {
        self.dense.vectors(ids)
    }

    fn clear(&self) -> Result<(), RetrieveError> {
        self.both(|index| index.clear())
    }

    fn flush(&self) -> Result<(), RetrieveError> {
        self.both(|index| index.flush())
    }

    fn health(&self) -> Result<Vec<Health>, RetrieveError> {
        Ok(self.dense.health()?.into_iter().chain(self.lexical.health()?).collect())
    }

    fn snapshot(&self, to: &Path) -> Result<String, RetrieveError> {
        Ok(format!("{}, and {}", self.dense.snapshot(&to.join("dense"))?, self.lexical.snapshot(&to.join("lexical"))?))
    }

    fn begin_rebuild(self: Arc<Self>) -> Result<Rebuild, RetrieveError> {
        let (dense, lexical) = (Arc::clone(&self.dense).begin_rebuild()?, Arc::clone(&self.lexical).begin_rebuild()?);
        let index = Arc::new(CombinedIndex::new(dense.index, lexical.index));
        let finish = move || {
            (dense.finish)()?;
            (lexical.finish)()
        };
        Ok(Rebuild { index, finish: Box::new(finish) })
    }

    fn asks_side_by_side(&self) -> bool {
        true
    }
}
