//! The shop's knowledge: records in the store, vectors and terms in the index, kept in step.
//!
//! The store is the truth. Each change writes the record and an outbox row in one transaction; then the outbox is worked off into
//! the index, and only then the caller hears that it is done. A crash between the two is mended at the next start or change, and so is
//! an index that was away. A long article is several points of the index ([`crate::knowledge::chunks`]).

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::{PipelineError, blocking};
use crate::domain::{Article, Lang, TicketRecord, TicketState};
use crate::embed::{Role, SentenceEncoder};
use crate::knowledge::{chunks, ticket_text};
use crate::retrieve::{Point, Rebuild, TicketIndex};
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
/// How often the outbox is looked into for what an index did not take.
const KEEP_UP: Duration = Duration::from_secs(5);

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
        self.work_off(progress).await
    }

    /// As [`Self::sync`], now and then, for as long as it is polled: what a server did not take while it was away follows when it is back.
    pub async fn keep_up(self: Arc<Self>) {
        let mut tick = tokio::time::interval(KEEP_UP);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            match self.sync(None).await {
                Ok(done) if done == Synced::default() => {}
                Ok(done) => tracing::info!(upserted = done.upserted, deleted = done.deleted, "the index caught up with the records"),
                Err(error) => tracing::warn!(%error, "the index could not follow the records; it is tried again"),
            }
        }
    }

    async fn work_off(&self, progress: Option<IndexProgress<'_>>) -> Result<Synced, KnowledgeError> {
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
            let mut gone: Vec<String> = deletes.into_iter().map(|j| j.id).chain(upserts.iter().cloned()).collect();
            gone.retain(|id| !entries.iter().any(|e| e.id == *id));
            // One deleted and put again has its upsert noted later, so that a delete may not win over a record that stands.
            let standing = self.entries(&gone).await?;
            gone.retain(|id| !standing.iter().any(|e| e.id == *id));
            done.upserted += entries.iter().filter(|e| piece::is_first(&e.id)).count();
            done.deleted += gone.len();
            gone.extend(self.pieces_left(&upserts, &gone, &entries).await?);
            self.write(&self.index, entries, gone).await?;
            self.store.index_done(self.kind, last).await?;
            if let Some(progress) = progress {
                let left = self.store.index_backlog(self.kind, u32::MAX).await?.len();
                progress(seen, seen + left);
            }
        }
        Ok(done)
    }

    /// Pieces of these records in the index that the records no longer have: a shorter article has fewer.
    async fn pieces_left(&self, changed: &[String], gone: &[String], entries: &[Entry]) -> Result<Vec<String>, KnowledgeError> {
        if self.kind == IndexKind::Ticket {
            return Ok(Vec::new());
        }
        let index = Arc::clone(&self.index);
        let held = blocking(move || index.digests()).await??;
        let records: HashSet<&str> = changed.iter().chain(gone).map(String::as_str).collect();
        let kept: HashSet<&str> = entries.iter().map(|e| e.id.as_str()).collect();
        let left = held.into_iter().map(|(id, _)| id).filter(|id| records.contains(piece::record(id)) && !kept.contains(id.as_str()));
        Ok(left.collect())
    }

    /// Builds the index anew from the store; what `from` holds of it is copied and not encoded again. A server's index goes on answering
    /// meanwhile, and what an interrupted rebuild left there is gone on with.
    ///
    /// # Errors
    /// As [`Knowledge::sync`]; another call goes on.
    pub async fn rebuild(
        &self,
        from: Option<Arc<dyn TicketIndex>>,
        progress: Option<IndexProgress<'_>>,
    ) -> Result<Rebuilt, KnowledgeError> {
        let _one_at_a_time = self.writing.lock().await;
        let index = Arc::clone(&self.index);
        let source = from.clone();
        let (Rebuild { index: next, finish }, known) = blocking(move || {
            let known: HashMap<String, i64> = source.map_or_else(|| Ok(Vec::new()), |s| s.digests())?.into_iter().collect();
            Ok::<_, KnowledgeError>((index.begin_rebuild()?, known))
        })
        .await??;
        let (reading, mut done) = (Arc::clone(&next), Rebuilt::default());
        let mut held: HashMap<String, i64> = blocking(move || reading.digests()).await??.into_iter().collect();
        let ids = self.all_ids().await?;
        for chunk in ids.chunks(CHUNK as usize) {
            let mut entries = self.entries(chunk).await?;
            done.entries += chunk.len();
            entries.retain(|entry| held.remove(&entry.id) != Some(entry.digest));
            let (copied, encoded): (Vec<_>, Vec<_>) = entries.into_iter().partition(|e| known.get(&e.id) == Some(&e.digest));
            let (copied, mut lost) = self.copy(from.as_ref(), copied).await?;
            done.copied += copied.len();
            lost.extend(encoded);
            done.encoded += lost.len();
            let writing = Arc::clone(&next);
            blocking(move || writing.upsert(&copied)).await??;
            self.write(&next, lost, Vec::new()).await?;
            if let Some(progress) = progress {
                progress(done.entries, ids.len());
            }
        }
        let extra: Vec<String> = held.into_keys().collect();
        blocking(move || {
            next.delete(&extra)?;
            next.flush()?;
            finish()
        })
        .await??;
        // What was changed by another process meanwhile went to the index that has just been replaced.
        let difference = self.compare().await?;
        if !difference.is_none() {
            let stale: Vec<String> = difference.missing.into_iter().chain(difference.stale).collect();
            let records: BTreeSet<String> = stale.iter().map(|id| piece::record(id).to_owned()).collect();
            let entries = self.entries(&records.into_iter().collect::<Vec<_>>()).await?;
            self.write(&self.index, entries, difference.extra).await?;
        }
        Ok(done)
    }

    /// The points of entries whose vectors another index holds, and the entries whose vectors it has lost.
    async fn copy(&self, from: Option<&Arc<dyn TicketIndex>>, entries: Vec<Entry>) -> Result<(Vec<Point>, Vec<Entry>), KnowledgeError> {
        let Some(from) = from.cloned().filter(|_| !entries.is_empty()) else { return Ok((Vec::new(), entries)) };
        let ids: Vec<String> = entries.iter().map(|e| e.id.clone()).collect();
        let mut vectors: HashMap<String, Vec<f32>> = blocking(move || from.vectors(&ids)).await??.into_iter().collect();
        let (mut points, mut lost) = (Vec::with_capacity(entries.len()), Vec::new());
        for entry in entries {
            match vectors.remove(&entry.id) {
                Some(vector) => points.push(entry.into_point(vector)),
                None => lost.push(entry),
            }
        }
        Ok((points, lost))
    }

    /// What the index lacks of the records, holds otherwise, and holds beyond them.
    ///
    /// # Errors
    /// The store's or the index's.
    pub async fn difference(&self) -> Result<Difference, KnowledgeError> {
        let _one_at_a_time = self.writing.lock().await;
        self.compare().await
    }

    async fn compare(&self) -> Result<Difference, KnowledgeError> {
        let index = Arc::clone(&self.index);
        let mut held: HashMap<String, i64> = blocking(move || index.digests()).await??.into_iter().collect();
        let mut difference = Difference::default();
        for chunk in self.all_ids().await?.chunks(CHUNK as usize) {
            for entry in self.entries(chunk).await? {
                match held.remove(&entry.id) {
                    None => difference.missing.push(entry.id),
                    Some(digest) if digest != entry.digest => difference.stale.push(entry.id),
                    Some(_) => {}
                }
            }
        }
        difference.extra = held.into_keys().collect();
        Ok(difference)
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
            IndexKind::Ticket => Ok(self.store.tickets(ids).await?.into_iter().map(Entry::of_ticket).collect()),
            IndexKind::Article => Ok(self.store.articles_of(ids).await?.iter().flat_map(Entry::of_article).collect()),
        }
    }

    async fn write(&self, index: &Arc<dyn TicketIndex>, entries: Vec<Entry>, gone: Vec<String>) -> Result<(), KnowledgeError> {
        let (encoder, index) = (Arc::clone(&self.encoder), Arc::clone(index));
        blocking(move || {
            index.delete(&gone)?;
            let texts: Vec<String> = entries.iter().map(|e| e.read.clone()).collect();
            let vectors = encoder.encode_bulk(&texts, Role::Passage)?;
            let points: Vec<Point> = entries.into_iter().zip(vectors).map(|(e, dense)| e.into_point(dense)).collect();
            index.upsert(&points)?;
            Ok(())
        })
        .await?
    }
}

/// How a rebuild went, in records; those copied and encoded in points.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rebuilt {
    pub entries: usize,
    pub copied: usize,
    pub encoded: usize,
}

/// Where index and records differ: ids of points.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    pub missing: Vec<String>,
    /// Held, but made of another text, language, intent or state.
    pub stale: Vec<String>,
    pub extra: Vec<String>,
}

impl Difference {
    pub fn is_none(&self) -> bool {
        self.missing.is_empty() && self.stale.is_empty() && self.extra.is_empty()
    }
}

/// A record, or a piece of one, as the index wants it, before it is encoded.
struct Entry {
    id: String,
    /// What is segmented into terms.
    words: String,
    /// What is encoded.
    read: String,
    lang: Lang,
    intent: Option<String>,
    state: Option<TicketState>,
    digest: i64,
}

impl Entry {
    fn new(id: String, words: String, read: String, lang: Lang, intent: Option<String>, state: Option<TicketState>) -> Self {
        let parts = [words.as_str(), lang.as_str(), intent.as_deref().unwrap_or_default(), state.map_or("", TicketState::as_str)];
        let digest = parts.iter().fold(Sha256::new(), |sum, part| sum.chain_update((part.len() as u64).to_le_bytes()).chain_update(part));
        let digest: [u8; 32] = digest.finalize().into();
        let [a, b, c, d, e, f, g, h, ..] = digest;
        Entry { id, words, read, lang, intent, state, digest: i64::from_le_bytes([a, b, c, d, e, f, g, h]) }
    }

    fn of_ticket(t: TicketRecord) -> Self {
        let lang = t.lang.or_else(|| detect(&t.text)).unwrap_or(Lang::Zh);
        let read = ticket_text(&t.text, t.resolution.as_deref());
        let words = t.resolution.map_or(t.text.clone(), |note| format!("{}\n{note}", t.text));
        Entry::new(t.id, words, read, lang, t.intent, t.state)
    }

    fn of_article(article: &Article) -> Vec<Self> {
        let entry = |(id, text): (String, String)| Entry::new(id, text.clone(), text, article.lang, article.intent.clone(), None);
        pieces(article).map(entry).collect()
    }

    fn into_point(self, dense: Vec<f32>) -> Point {
        Point {
            terms: search_terms(&normalize(&self.words).text),
            id: self.id,
            dense,
            lang: self.lang,
            intent: self.intent,
            state: self.state,
            digest: self.digest,
        }
    }
}

/// The pieces of an article: their ids and texts.
pub(super) fn pieces(article: &Article) -> impl Iterator<Item = (String, String)> {
    chunks(article).into_iter().enumerate().map(|(n, chunk)| (piece::id(&article.id, n), chunk.text))
}

/// The text of a piece of an article; of its first where there is no such piece any more.
pub(super) fn piece_text(article: &Article, id: Option<&String>) -> String {
    let mut pieces: Vec<(String, String)> = pieces(article).collect();
    let at = pieces.iter().position(|piece| Some(&piece.0) == id).unwrap_or(0);
    if pieces.is_empty() { String::new() } else { pieces.swap_remove(at).1 }
}

/// Ids of the pieces of a record: the first has the record's own.
pub(super) mod piece {
    /// No id of a record holds a control character.
    const MARK: char = '\u{1f}';

    pub fn id(record: &str, n: usize) -> String {
        if n == 0 { record.to_owned() } else { format!("{record}{MARK}{n}") }
    }

    pub fn record(id: &str) -> &str {
        id.split_once(MARK).map_or(id, |(record, _)| record)
    }

    pub fn is_first(id: &str) -> bool {
        !id.contains(MARK)
    }
}
