//! The shop's knowledge: records in the store, vectors and terms in the index, kept in step.
//!
//! The store is the truth. Each change writes the record and an outbox row in one transaction; then the outbox is worked off into
//! the index, and only then the caller hears that it is done. A crash between the two is mended at the next start or change.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::{PipelineError, blocking};
use crate::domain::{Article, Lang, TicketRecord};
use crate::embed::{Role, SentenceEncoder};
use crate::retrieve::{Point, TicketIndex};
use crate::store::{IndexKind, IndexOp, Store};
use crate::text::{detect, normalize, search_terms};

pub type KnowledgeError = PipelineError;

/// Told how many of how many entries were indexed.
pub type IndexProgress<'a> = &'a (dyn Fn(usize, usize) + Send + Sync);

/// What a run over the outbox did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Synced {
    pub upserted: usize,
    pub deleted: usize,
}

/// One kind of knowledge with its index. Changes of one kind go one after the other.
pub struct Knowledge {
    kind: IndexKind,
    store: Store,
    encoder: Arc<dyn SentenceEncoder>,
    index: Arc<dyn TicketIndex>,
    writing: Mutex<()>,
}

/// Entries encoded and written at a time: enough to fill batches, few enough to show progress and bound memory.
const CHUNK: u32 = 128;

impl Knowledge {
    pub fn new(kind: IndexKind, store: Store, encoder: Arc<dyn SentenceEncoder>, index: Arc<dyn TicketIndex>) -> Self {
        Knowledge { kind, store, encoder, index, writing: Mutex::new(()) }
    }

    pub fn index(&self) -> &Arc<dyn TicketIndex> {
        &self.index
    }

    /// Works the outbox off; when it returns, everything stored before the call can be found.
    ///
    /// # Errors
    /// The store's, the encoder's or the index's; what is left stays in the outbox for the next call.
    pub async fn sync(&self, progress: Option<IndexProgress<'_>>) -> Result<Synced, KnowledgeError> {
        let _one_at_a_time = self.writing.lock().await;
        let mut done = Synced::default();
        let mut seen = 0;
        loop {
            let jobs = self.store.index_backlog(self.kind, CHUNK).await?;
            let Some(last) = jobs.last().map(|j| j.seq) else { break };
            seen += jobs.len();
            let (upserts, deletes): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|j| j.op == IndexOp::Upsert);
            let mut upserts: Vec<String> = upserts.into_iter().map(|j| j.id).collect();
            upserts.sort();
            upserts.dedup();
            let entries = self.entries(&upserts).await?;
            // A record deleted after its upsert was noted is no longer there: it leaves the index, whatever the order of the notes.
            let mut gone: Vec<String> = deletes.into_iter().map(|j| j.id).chain(upserts).collect();
            gone.retain(|id| !entries.iter().any(|e| e.id == *id));
            // One deleted and put again has its upsert noted later, so that a delete may not win over a record that stands.
            let standing = self.entries(&gone).await?;
            gone.retain(|id| !standing.iter().any(|e| e.id == *id));
            done.upserted += entries.len();
            done.deleted += gone.len();
            self.write(entries, gone).await?;
            self.store.index_done(self.kind, last).await?;
            if let Some(progress) = progress {
                let left = self.store.index_backlog(self.kind, u32::MAX).await?.len();
                progress(seen, seen + left);
            }
        }
        Ok(done)
    }

    /// Builds the index anew from the store.
    ///
    /// # Errors
    /// As [`Knowledge::sync`]; the index is then partly built, and another call mends it.
    pub async fn rebuild(&self, progress: Option<IndexProgress<'_>>) -> Result<usize, KnowledgeError> {
        let _one_at_a_time = self.writing.lock().await;
        let index = Arc::clone(&self.index);
        blocking(move || index.clear()).await??;
        let ids = self.all_ids().await?;
        let mut done = 0;
        for chunk in ids.chunks(CHUNK as usize) {
            let entries = self.entries(chunk).await?;
            done += chunk.len();
            self.write(entries, Vec::new()).await?;
            if let Some(progress) = progress {
                progress(done, ids.len());
            }
        }
        let index = Arc::clone(&self.index);
        blocking(move || index.flush()).await??;
        Ok(done)
    }

    /// Ids that the store has and the index has not, and the other way round.
    ///
    /// # Errors
    /// The store's or the index's.
    pub async fn difference(&self) -> Result<(Vec<String>, Vec<String>), KnowledgeError> {
        let stored = self.all_ids().await?;
        let index = Arc::clone(&self.index);
        let indexed = blocking(move || index.ids()).await??;
        let minus = |a: &[String], b: &[String]| {
            let b: std::collections::HashSet<&String> = b.iter().collect();
            a.iter().filter(|id| !b.contains(id)).cloned().collect::<Vec<_>>()
        };
        Ok((minus(&stored, &indexed), minus(&indexed, &stored)))
    }

    async fn all_ids(&self) -> Result<Vec<String>, KnowledgeError> {
        match self.kind {
            IndexKind::Article => Ok(self.store.all_articles().await?.into_iter().map(|a| a.id).collect()),
            IndexKind::Ticket => {
                let mut ids: Vec<String> = Vec::new();
                loop {
                    let page = self.store.tickets_after(ids.last().map(String::as_str), 1000).await?;
                    if page.is_empty() {
                        return Ok(ids);
                    }
                    ids.extend(page.into_iter().map(|t| t.id));
                }
            }
        }
    }

    async fn entries(&self, ids: &[String]) -> Result<Vec<Entry>, KnowledgeError> {
        match self.kind {
            IndexKind::Ticket => Ok(self.store.tickets(ids).await?.into_iter().map(Entry::from).collect()),
            IndexKind::Article => {
                let mut entries = Vec::with_capacity(ids.len());
                for id in ids {
                    entries.extend(self.store.article(id).await?.map(Entry::from));
                }
                Ok(entries)
            }
        }
    }

    async fn write(&self, entries: Vec<Entry>, gone: Vec<String>) -> Result<(), KnowledgeError> {
        let (encoder, index) = (Arc::clone(&self.encoder), Arc::clone(&self.index));
        blocking(move || {
            index.delete(&gone)?;
            let texts: Vec<String> = entries.iter().map(|e| e.text.clone()).collect();
            let vectors = encoder.encode_bulk(&texts, Role::Passage)?;
            let points: Vec<Point> = entries.into_iter().zip(vectors).map(|(e, dense)| e.into_point(dense)).collect();
            index.upsert(&points)?;
            Ok(())
        })
        .await?
    }
}

/// A record as the index wants it, before it is encoded.
struct Entry {
    id: String,
    text: String,
    lang: Lang,
    intent: Option<String>,
    state: Option<crate::domain::TicketState>,
}

impl Entry {
    fn into_point(self, dense: Vec<f32>) -> Point {
        Point {
            terms: search_terms(&normalize(&self.text).text),
            id: self.id,
            dense,
            lang: self.lang,
            intent: self.intent,
            state: self.state,
        }
    }
}

impl From<TicketRecord> for Entry {
    fn from(t: TicketRecord) -> Self {
        let lang = t.lang.or_else(|| detect(&t.text)).unwrap_or(Lang::Zh);
        Entry { id: t.id, text: t.text, lang, intent: t.intent, state: t.state }
    }
}

impl From<Article> for Entry {
    fn from(a: Article) -> Self {
        // The question alone is too short for lexical search, the answer alone buries what is asked.
        Entry { id: a.id, text: format!("{}\n{}", a.question, a.answer), lang: a.lang, intent: a.intent, state: None }
    }
}
