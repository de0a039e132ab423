//! The search at the desk: articles and past tickets for what an agent types, each with why it was found.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use utoipa::ToSchema;

use super::knowledge::piece;
use super::{Match, Pipeline, PipelineError, blocking, milliseconds};
use crate::domain::{Article, Audience, Lang, SearchFilter, SearchPart, TicketRecord, TicketState};
use crate::retrieve::RetrieveError;
use crate::text::{excerpt, marks, normalize, search_terms};

/// What is searched.
#[derive(Debug, Clone, Copy)]
pub struct DeskQuery<'a> {
    pub text: &'a str,
    pub articles: bool,
    pub tickets: bool,
    /// Of what is found; both where it is absent.
    pub lang: Option<Lang>,
    pub limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeskKind {
    Article,
    Ticket,
}

/// One thing that was found.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeskHit {
    pub kind: DeskKind,
    pub id: String,
    /// The article's question; the first line of a ticket.
    pub title: String,
    /// A window of the article's answer or of the rest of the ticket, around the first match.
    pub excerpt: String,
    pub lang: Option<Lang>,
    pub intent: Option<String>,
    /// Of a ticket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<TicketState>,
    /// How a ticket was solved.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// Of an article.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// Rank score in (0, 1], comparable within one answer.
    pub score: f32,
    /// Calibrated probability that it answers, or is the same problem.
    pub confidence: f32,
    /// Code points `[start, end)` of the title that hold terms of the query.
    pub title_marks: Vec<(usize, usize)>,
    /// As `title_marks`, of the excerpt.
    pub excerpt_marks: Vec<(usize, usize)>,
    pub why: Why,
}

/// Why something was found.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Why {
    /// Likeness of meaning, in [-1, 1]; comparable within one encoder. `null` where that half of the search did not answer.
    pub cosine: Option<f32>,
    /// Terms of the query that it holds.
    pub terms: Vec<String>,
    /// Probability that the query has the intent that it is labelled with; 0 where it has none.
    pub intent: f64,
}

/// What a search brought.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DeskAnswer {
    /// Surest first.
    pub items: Vec<DeskHit>,
    /// Halves of the search that did not answer.
    pub degraded: Vec<SearchPart>,
    pub took_ms: f64,
}

/// Code points of an excerpt.
const EXCERPT: usize = 160;

impl Pipeline {
    /// Searches for an agent.
    ///
    /// # Errors
    /// Overload, or a part that failed.
    pub async fn search_desk(&self, query: &DeskQuery<'_>) -> Result<DeskAnswer, PipelineError> {
        let begin = std::time::Instant::now();
        let read = self.read(query.text, None).await?;
        let terms = telling(search_terms(&read.clean.text));
        let (mut best, mut degraded) = (Vec::new(), Vec::new());
        if query.articles {
            let found = self.match_articles(&read.clean, read.compared.clone(), &read.aligned, &read.intent).await?;
            degraded.extend(found.missing);
            let wanted = found.found.into_iter().filter(|m| query.lang.is_none_or(|lang| m.record.lang == lang));
            best.extend(wanted.map(|m| (self.gate.article.probability(&m.features), Either::Article(m))));
        }
        if query.tickets {
            let filter = SearchFilter { lang: query.lang, ..SearchFilter::default() };
            let found = self.match_tickets(&read.clean, read.compared, &read.intent, filter, query.limit).await?;
            degraded.extend(found.missing);
            best.extend(found.found.into_iter().map(|m| (self.gate.ticket.probability(&m.features), Either::Ticket(m))));
        }
        best.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.id().cmp(b.1.id())));
        best.truncate(query.limit);
        let items = best.into_iter().map(|(confidence, found)| match found {
            Either::Article(m) => article_hit(m, confidence, &terms),
            Either::Ticket(m) => ticket_hit(m, confidence, &terms),
        });
        let items = items.collect();
        degraded.sort();
        degraded.dedup();
        Ok(DeskAnswer { items, degraded, took_ms: milliseconds(begin) })
    }
}

/// An article that asks what another one asks.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Duplicate {
    pub id: String,
    pub of: String,
    /// Calibrated probability that both are about the same.
    pub confidence: f32,
}

/// Articles that are looked at for duplicates, of one import.
const COMPARED: usize = 1_000;

impl Pipeline {
    /// Which of these articles say what another one of the same language says; of a pair the later id is named.
    ///
    /// # Errors
    /// The index's or the store's.
    pub async fn duplicates(&self, ids: &[String]) -> Result<Vec<Duplicate>, PipelineError> {
        let ids = ids[..ids.len().min(COMPARED)].to_vec();
        let (index, articles) = (Arc::clone(&self.articles), self.store.articles_of(&ids).await?);
        let near = blocking(move || {
            let vectors: HashMap<String, Vec<f32>> = index.vectors(&ids)?.into_iter().collect();
            let of = |article: &Article| {
                let filter = SearchFilter { lang: Some(article.lang), ..SearchFilter::default() };
                let vector = vectors.get(&article.id)?;
                Some(index.query_dense(vector, 5, &filter).map(|found| (article.id.clone(), found)))
            };
            articles.iter().filter_map(of).collect::<Result<Vec<_>, RetrieveError>>()
        })
        .await??;
        let mut duplicates: Vec<Duplicate> = Vec::new();
        for (id, found) in near {
            let others = found.into_iter().filter(|(other, _)| piece::record(other) != id);
            let Some((other, cosine)) = others.max_by(|a, b| a.1.total_cmp(&b.1)).filter(|(_, cosine)| self.same(*cosine)) else {
                continue;
            };
            let other = piece::record(&other).to_owned();
            let (of, id) = if id < other { (id, other) } else { (other, id) };
            if !duplicates.iter().any(|d| d.id == id && d.of == of) {
                duplicates.push(Duplicate { id, of, confidence: self.probability_of_same(cosine) });
            }
        }
        Ok(duplicates)
    }
}

/// What a search for an agent found, before it is made ready to be shown.
enum Either {
    Article(Match<Article>),
    Ticket(Match<TicketRecord>),
}

impl Either {
    fn id(&self) -> &str {
        match self {
            Either::Article(m) => &m.record.id,
            Either::Ticket(m) => &m.record.id,
        }
    }
}

fn article_hit(found: Match<Article>, confidence: f32, terms: &[String]) -> DeskHit {
    let (hit, article) = (found.hit, found.record);
    let (title_marks, excerpt, excerpt_marks) = shown(&article.question, &article.answer, terms);
    let why = why(hit.cosine, &[&article.question, &article.answer], terms, found.features.intent);
    DeskHit {
        kind: DeskKind::Article,
        id: article.id,
        title: article.question,
        excerpt,
        lang: Some(article.lang),
        intent: article.intent,
        state: None,
        resolution: None,
        created_at: None,
        category: article.category,
        audience: Some(article.audience),
        score: hit.score,
        confidence,
        title_marks,
        excerpt_marks,
        why,
    }
}

fn ticket_hit(found: Match<TicketRecord>, confidence: f32, terms: &[String]) -> DeskHit {
    let (hit, ticket) = (found.hit, found.record);
    let (title, body) = ticket.text.split_once('\n').unwrap_or((&ticket.text, ""));
    let (title_marks, excerpt, excerpt_marks) = shown(title, body, terms);
    let why = why(hit.cosine, &[&ticket.text, ticket.resolution.as_deref().unwrap_or_default()], terms, found.features.intent);
    DeskHit {
        kind: DeskKind::Ticket,
        title: title.to_owned(),
        excerpt,
        id: ticket.id,
        lang: ticket.lang,
        intent: ticket.intent,
        state: ticket.state,
        resolution: ticket.resolution,
        created_at: ticket.created_at,
        category: None,
        audience: None,
        score: hit.score,
        confidence,
        title_marks,
        excerpt_marks,
        why,
    }
}

type Marks = Vec<(usize, usize)>;

fn shown(title: &str, body: &str, terms: &[String]) -> (Marks, String, Marks) {
    let (window, inside) = excerpt(body, &marks(&normalize(body), terms), EXCERPT);
    (marks(&normalize(title), terms), window, inside)
}

fn why(cosine: Option<f32>, texts: &[&str], terms: &[String], intent: f64) -> Why {
    let held: std::collections::HashSet<String> = texts.iter().flat_map(|text| search_terms(&normalize(text).text)).collect();
    Why { cosine, terms: terms.iter().filter(|term| held.contains(*term)).cloned().collect(), intent }
}

/// Terms worth showing, each once: single characters stand in half of all texts, and are shown only where there is nothing else.
fn telling(mut terms: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::HashSet::new();
    terms.retain(|term| seen.insert(term.clone()));
    let longer = |term: &String| term.chars().nth(1).is_some();
    if terms.iter().any(longer) {
        terms.retain(longer);
    }
    terms
}
