//! The way of one message, written as one readable sequence, and the shop's knowledge kept in step with its index.
//!
//! [`Pipeline::triage`] cleans, understands, retrieves, drafts and decides (steps 3 to 7 of the house plan). It holds the engines by
//! their traits and knows none of them. It never writes; [`Knowledge`] does: records first, then the index.
//!
//! Any number of messages run side by side. A part that fails or is late lowers the decision (`tool_failure`) and is logged; only an
//! overload is an error to the caller, who can come again.

mod alignment;
mod cluster;
mod desk;
mod evidence;
mod follow;
mod intents;
mod knowledge;
mod lineup;
mod reports;
mod shadow;
mod tagger;

pub use alignment::{Alignment, alignment};
use evidence::Known;
pub use evidence::features_alone;

pub use desk::{DeskAnswer, DeskHit, DeskKind, DeskQuery, Duplicate, Why};
pub use follow::{FollowError, Follower, Loader, SHADOW_FILE};
pub use intents::{IntentModel, ReadText};
pub use knowledge::{Difference, IndexProgress, Knowledge, KnowledgeError, Rebuilt, Synced};
pub use lineup::{Lineup, Seats};
pub use reports::{Gap, GapQuestion, Incident, IncidentTicket, Nearest, Proposal, Stale, StaleReason};
pub use shadow::Shadow;
pub use tagger::{Tagger, TaggerFollower};

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use time::OffsetDateTime;

use crate::decide::{self, GateArtefact, MatchFeatures, Policy, Signals, Thresholds, decide};
use crate::domain::{
    Action, Article, Audience, CatalogueItem, Entity, Intent, Lang, Mode, Product, Reply, ScoredArticle, ScoredTicket, SearchFilter,
    SearchPart, TicketRecord, Timings, Triage, Versions,
};
use crate::embed::{EncodeError, Role, SentenceEncoder, Wanted};
use crate::ner::{EntityTagger, Gazetteer, GazetteerTagger, Lexicon, Linker, NerError};
use crate::retrieve::{Found, Hit, Query, RetrieveError, TicketIndex};
use crate::store::{Store, StoreError};
use crate::text::{Normalized, detect, normalize, search_terms};

/// One message to be triaged.
#[derive(Debug, Clone, PartialEq)]
pub struct Message<'a> {
    pub text: &'a str,
    /// `None`: found out.
    pub lang: Option<Lang>,
    pub mode: Mode,
    /// Similar tickets wanted.
    pub top_k: usize,
}

/// What the shop sells, as the tagger and the product search know it; replaced whole when the catalogue changes.
pub struct Shelf {
    pub tagger: GazetteerTagger,
    pub lexicon: Lexicon,
    pub products: Linker,
}

impl Shelf {
    /// From a catalogue, which may be empty. One to two seconds for 100,000 SKUs: call it from a blocking thread.
    ///
    /// # Errors
    /// The lexicon's or the automaton's; see [`NerError`].
    pub fn stock(items: &[CatalogueItem]) -> Result<Self, NerError> {
        let lexicon = Lexicon::shipped()?;
        let tagger = GazetteerTagger::new(Gazetteer::build(items, &lexicon)?);
        let products = Linker::build(items, &lexicon)?;
        Ok(Shelf { tagger, lexicon, products })
    }
}

/// Why there is no triage.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// Try again in a moment.
    #[error("too much to do: {0}")]
    Overloaded(EncodeError),
    #[error(transparent)]
    Encode(EncodeError),
    #[error(transparent)]
    Retrieve(#[from] RetrieveError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a worker thread died")]
    Worker,
}

impl From<EncodeError> for PipelineError {
    fn from(e: EncodeError) -> Self {
        match e {
            EncodeError::Overloaded { .. } => PipelineError::Overloaded(e),
            other => PipelineError::Encode(other),
        }
    }
}

/// The engines in their places. Cheap to share; everything that can change while serving is behind a swap.
pub struct Pipeline {
    /// Who tells the intents; kept at the registry's aliases by a [`Follower`].
    pub lineup: Arc<Lineup>,
    /// Who tells the entities where the encoder is asked; kept at the aliases by a [`TaggerFollower`].
    pub tagger: Arc<ArcSwap<Tagger>>,
    pub encoder: Arc<dyn SentenceEncoder>,
    pub tickets: Arc<dyn TicketIndex>,
    pub articles: Arc<dyn TicketIndex>,
    pub alignment: Alignment,
    pub store: Store,
    pub shelf: ArcSwap<Shelf>,
    pub policy: ArcSwap<Policy>,
    pub gate: GateArtefact,
    /// Articles shown.
    pub article_count: usize,
    /// What the last report of gaps was made of.
    pub asked: ArcSwap<Asked>,
}

/// Vectors of unanswered questions by their triage's id.
pub type Asked = HashMap<String, Arc<[f32]>>;

/// Runners-up of the intent that an answer names.
pub const ALTERNATIVES: usize = 4;

/// A message after the first look, before anything was searched.
struct Understood {
    /// Who told the intent, for the whole way of the message.
    seats: Arc<Seats>,
    lang: Lang,
    clean: Normalized,
    intent: Intent,
    entities: Vec<Entity>,
    /// Version of who told them.
    ner: String,
    products: Vec<Product>,
}

/// A record that a search found, with what is known of the match.
#[derive(Debug, Clone)]
pub struct Match<R> {
    pub record: R,
    pub hit: Hit,
    pub features: MatchFeatures,
}

/// What the search brought.
#[derive(Default)]
struct Brought {
    similar: Vec<ScoredTicket>,
    articles: Vec<ScoredArticle>,
    reply: Option<Reply>,
    /// Halves of the searches that did not answer.
    degraded: Vec<SearchPart>,
}

/// Records that a search found, and what of it did not answer.
pub struct Matches<R> {
    /// Best rank first.
    pub found: Vec<Match<R>>,
    pub missing: Vec<SearchPart>,
}

impl Pipeline {
    /// The whole way of one message.
    ///
    /// # Errors
    /// [`PipelineError::Overloaded`] only; every other fault is answered with a hand-off.
    pub async fn triage(&self, message: &Message<'_>) -> Result<Triage, PipelineError> {
        let begin = Instant::now();
        let mut timing = Timings::default();
        let mut understood = self.understand(message, &mut timing);
        let (found, knowledge) = match message.mode {
            Mode::Fast => (Brought::default(), decide::Knowledge::NotAsked),
            Mode::Full | Mode::Auto => match self.retrieve(message, &mut understood, &mut timing).await {
                Ok(found) => {
                    let best = found.reply.as_ref().map_or(0.0, |r| r.confidence);
                    (found, decide::Knowledge::Best(best))
                }
                Err(PipelineError::Overloaded(e)) => return Err(PipelineError::Overloaded(e)),
                Err(e) => {
                    tracing::error!(error = %e, "retrieval failed; the message goes to a human");
                    (Brought::default(), decide::Knowledge::Failed)
                }
            },
        };
        let stage = Instant::now();
        let decision = self.decide(&understood, knowledge, !found.degraded.is_empty());
        timing.decide = milliseconds(stage);
        timing.total = milliseconds(begin);
        // Here, and not where the intent was found: a message that is refused comes again.
        understood.seats.observe(message.text, understood.lang, &understood.intent);
        let asked = message.mode != Mode::Fast;
        let models = Versions { ner: understood.ner, ..self.versions(&understood.seats, asked) };
        let mut intent = understood.intent;
        intent.alternatives.truncate(ALTERNATIVES);
        Ok(Triage {
            id: ulid::Ulid::new().to_string(),
            lang: understood.lang,
            mode: if asked { Mode::Full } else { Mode::Fast },
            intent,
            entities: understood.entities,
            products: understood.products,
            similar: found.similar,
            articles: found.articles,
            reply: found.reply.filter(|_| decision.action != Action::Handoff),
            decision,
            degraded: found.degraded,
            models,
            timing_ms: timing,
        })
    }

    /// Past tickets like a text.
    ///
    /// # Errors
    /// Overload, or a part that failed.
    pub async fn similar(&self, text: &str, top_k: usize, filter: SearchFilter) -> Result<Vec<ScoredTicket>, PipelineError> {
        let read = self.read(text, None).await?;
        let matches = self.match_tickets(&read.clean, read.compared, &read.intent, filter, top_k).await?;
        Ok(self.ticket_rows(matches.found, top_k))
    }

    /// Past tickets with the features of their match, best rank first: at least [`DEPTH`] where there are as many.
    ///
    /// `intent` holds all labels.
    ///
    /// # Errors
    /// The index's or the store's.
    pub async fn match_tickets(
        &self,
        clean: &Normalized,
        vector: Arc<[f32]>,
        intent: &Intent,
        filter: SearchFilter,
        limit: usize,
    ) -> Result<Matches<TicketRecord>, PipelineError> {
        let Found { hits, missing } = self.search(&self.tickets, clean, vector, filter, limit).await?;
        let records = self.store.tickets(&hits.iter().map(|h| h.id.clone()).collect::<Vec<_>>()).await?;
        let now = OffsetDateTime::now_utc();
        Ok(Matches { found: matches(hits, records, intent, |t| &t.id, |t| Known::of_ticket(t, now)), missing })
    }

    /// As [`Self::match_tickets`], of the knowledge base: articles that are in force, each by its best piece, and laid beside the message token by
    /// token. `aligned` are the states of the message's tokens.
    ///
    /// # Errors
    /// The index's or the store's.
    pub async fn match_articles(
        &self,
        clean: &Normalized,
        vector: Arc<[f32]>,
        aligned: &Arc<[f32]>,
        intent: &Intent,
    ) -> Result<Matches<Article>, PipelineError> {
        let Found { hits, missing } = self.search(&self.articles, clean, vector, SearchFilter::default(), self.article_count).await?;
        // Each by its best piece, whose id goes with the record: its words are laid beside the message's.
        let mut piece_of: HashMap<String, String> = HashMap::new();
        let mut best: Vec<Hit> = Vec::new();
        for hit in hits {
            let id = knowledge::piece::record(&hit.id).to_owned();
            if !piece_of.contains_key(&id) {
                piece_of.insert(id.clone(), hit.id.clone());
                best.push(Hit { id, ..hit });
            }
        }
        let now = OffsetDateTime::now_utc();
        let mut records = self.store.articles_of(&best.iter().map(|h| h.id.clone()).collect::<Vec<_>>()).await?;
        records.retain(|article| article.in_force(now));
        let text = |article: &Article| knowledge::piece_text(article, piece_of.get(&article.id));
        let alignments = self.alignment.of(aligned, records.iter().map(text).collect()).await?;
        let alignments: HashMap<String, f64> = records.iter().map(|a| a.id.clone()).zip(alignments).collect();
        let known = |a: &Article| alignments.get(&a.id).copied().unwrap_or_default();
        Ok(Matches { found: matches(best, records, intent, |a| &a.id, |a| Known::of_article(a, known(a))), missing })
    }

    /// Reads the articles, as many as are kept, so that the first searches need not wait for it.
    ///
    /// # Errors
    /// The encoder's or the store's.
    pub async fn warm_up(&self) -> Result<(), PipelineError> {
        let articles = self.store.all_articles().await?;
        let texts: Vec<String> = articles.iter().flat_map(knowledge::pieces).map(|piece| piece.1).take(alignment::KEPT).collect();
        for part in texts.chunks(32) {
            self.alignment.of(&Arc::default(), part.to_vec()).await?;
        }
        Ok(())
    }

    async fn search(
        &self,
        index: &Arc<dyn TicketIndex>,
        clean: &Normalized,
        vector: Arc<[f32]>,
        filter: SearchFilter,
        limit: usize,
    ) -> Result<Found, PipelineError> {
        if limit == 0 {
            return Ok(Found::default());
        }
        let (index, terms) = (Arc::clone(index), search_terms(&clean.text));
        Ok(blocking(move || index.query(&Query { dense: Some(&vector), terms: &terms, limit: limit.max(DEPTH), filter: &filter }))
            .await??)
    }

    /// Versions of everything that has a say.
    pub fn versions(&self, seats: &Seats, with_encoder: bool) -> Versions {
        Versions {
            classifier: seats.champion().version().to_owned(),
            ner: self.tagger.load().version().to_owned(),
            encoder: with_encoder.then(|| self.encoder.name().to_owned()),
            gate: self.gate.version(),
        }
    }

    fn understand(&self, message: &Message<'_>, timing: &mut Timings) -> Understood {
        let stage = Instant::now();
        let seats = self.lineup.seats();
        let clean = normalize(message.text);
        let lang = message.lang.unwrap_or_else(|| language(&clean));
        // All labels: retrieval wants the probability of each candidate's intent.
        let intent = seats.champion().fast(&clean, lang);
        timing.classify = milliseconds(stage);
        let stage = Instant::now();
        let shelf = self.shelf.load();
        let entities = shelf.tagger.tag(message.text, &clean);
        let products = shelf.products.products(message.text, &clean, &entities);
        timing.entities = milliseconds(stage);
        let ner = shelf.tagger.version().to_owned();
        Understood { seats, lang, clean, intent, entities, ner, products }
    }

    async fn retrieve(&self, message: &Message<'_>, understood: &mut Understood, timing: &mut Timings) -> Result<Brought, PipelineError> {
        let stage = Instant::now();
        let seats = Arc::clone(&understood.seats);
        let model = seats.champion();
        let settled = message.mode == Mode::Auto && model.settles(&understood.intent, self.policy.load().precision.intent);
        let wanted = if settled { Wanted { aligned: true, ..Wanted::compared() } } else { model.wanted_and_compared() };
        let tagger = self.tagger.load_full();
        let wanted = Wanted { tokens: tagger.branch().cloned(), ..wanted };
        let encoded = self.encoder.encode(message.text, Role::Query, wanted).await?;
        if !settled {
            understood.intent = model.full(&understood.clean, understood.lang, &encoded);
        }
        timing.encode = Some(milliseconds(stage));

        let stage = Instant::now();
        let shelf = self.shelf.load_full();
        understood.entities = tagger.tag(message.text, &understood.clean, &shelf, encoded.tokens.as_ref());
        tagger.version().clone_into(&mut understood.ner);
        timing.entities += milliseconds(stage);

        let stage = Instant::now();
        let vector: Arc<[f32]> = encoded.compared.unwrap_or_default().into();
        let aligned: Arc<[f32]> = encoded.aligned.unwrap_or_default().into();
        let (tickets, articles) = tokio::try_join!(
            self.match_tickets(&understood.clean, Arc::clone(&vector), &understood.intent, SearchFilter::default(), message.top_k),
            self.match_articles(&understood.clean, vector, &aligned, &understood.intent),
        )?;
        let mut degraded = [tickets.missing, articles.missing].concat();
        degraded.sort();
        degraded.dedup();
        let similar = self.ticket_rows(tickets.found, message.top_k);
        let (articles, reply) = self.article_rows(articles.found);
        timing.retrieve = Some(milliseconds(stage));
        Ok(Brought { similar, articles, reply, degraded })
    }

    fn decide(&self, understood: &Understood, knowledge: decide::Knowledge, degraded: bool) -> crate::domain::Decision {
        let policy = self.policy.load();
        let thresholds = Thresholds {
            intent: understood.seats.champion().classifier.threshold(&understood.intent, policy.precision.intent),
            auto_reply: self.gate.reply_threshold(policy.precision.auto_reply),
            suggest: self.gate.reply_threshold(policy.precision.suggest),
        };
        let signals = Signals {
            lang: understood.lang,
            intent: &understood.intent,
            sensitive: policy.sensitive.find(&understood.clean.text),
            knowledge,
            degraded,
        };
        decide(&signals, &policy, &thresholds)
    }

    fn ticket_rows(&self, matches: Vec<Match<TicketRecord>>, limit: usize) -> Vec<ScoredTicket> {
        let row = |m: Match<TicketRecord>| ScoredTicket {
            confidence: self.gate.ticket.probability(&m.features),
            score: m.hit.score,
            ticket_id: m.record.id,
            text: m.record.text,
            intent: m.record.intent,
            resolution: m.record.resolution,
        };
        let mut rows: Vec<ScoredTicket> = matches.into_iter().map(row).collect();
        rows.sort_by(|a, b| b.confidence.total_cmp(&a.confidence).then_with(|| a.ticket_id.cmp(&b.ticket_id)));
        rows.truncate(limit);
        rows
    }

    /// Articles, surest first, and the own words of the best one that customers may read as the draft of a reply.
    fn article_rows(&self, matches: Vec<Match<Article>>) -> (Vec<ScoredArticle>, Option<Reply>) {
        let row = |m: Match<Article>| {
            let confidence = self.gate.article.probability(&m.features);
            let scored = ScoredArticle { article_id: m.record.id, question: m.record.question, score: m.hit.score, confidence };
            (scored, (m.record.audience == Audience::Customer).then_some(m.record.answer))
        };
        let mut rows: Vec<(ScoredArticle, Option<String>)> = matches.into_iter().map(row).collect();
        rows.sort_by(|a, b| b.0.confidence.total_cmp(&a.0.confidence).then_with(|| a.0.article_id.cmp(&b.0.article_id)));
        let reply = rows.iter().find_map(|(row, answer)| {
            answer.clone().map(|text| Reply {
                text,
                sources: vec![row.article_id.clone()],
                confidence: row.confidence,
                generator: "article".into(),
            })
        });
        rows.truncate(self.article_count);
        (rows.into_iter().map(|r| r.0).collect(), reply)
    }
}

/// Hits looked at, whatever the number shown: the features compare a hit with the others, so they must not depend on it.
pub const DEPTH: usize = 30;

/// Puts hits and records together; a record that was deleted since the index answered is left out.
fn matches<R>(hits: Vec<Hit>, records: Vec<R>, intent: &Intent, id: impl Fn(&R) -> &str, known: impl Fn(&R) -> Known<'_>) -> Vec<Match<R>> {
    let mut by_id: HashMap<String, R> = records.into_iter().map(|r| (id(&r).to_owned(), r)).collect();
    let found: Vec<(Hit, R)> = hits.into_iter().filter_map(|h| by_id.remove(&h.id).map(|r| (h, r))).collect();
    let seen: Vec<(&Hit, Known<'_>)> = found.iter().map(|(hit, record)| (hit, known(record))).collect();
    let features = evidence::features_of(&seen, intent);
    found.into_iter().zip(features).map(|((hit, record), features)| Match { record, hit, features }).collect()
}

/// The features of tickets among themselves, after some were taken out, as they were at a time.
pub fn features_again(matches: &[Match<TicketRecord>], intent: &Intent, now: OffsetDateTime) -> Vec<MatchFeatures> {
    evidence::features_of(&matches.iter().map(|m| (&m.hit, Known::of_ticket(&m.record, now))).collect::<Vec<_>>(), intent)
}

/// The language of a text; Chinese where it tells nothing (`???`), since that is where most customers write from.
fn language(clean: &Normalized) -> Lang {
    detect(&clean.text).unwrap_or(Lang::Zh)
}

fn milliseconds(since: Instant) -> f64 {
    (since.elapsed().as_secs_f64() * 1e6).round() / 1e3
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, PipelineError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| PipelineError::Worker)
}
