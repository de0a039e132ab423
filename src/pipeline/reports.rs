//! What the traffic says of the knowledge base: questions that nothing answers, articles that no longer serve, and bursts of one problem.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;
use statrs::distribution::{DiscreteCDF, Poisson};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

use super::cluster::cluster;
use super::{Asked, Knowledge, Pipeline, PipelineError, blocking};
use crate::decide::MatchFeatures;
use crate::domain::{Article, Lang, SearchFilter, TicketRecord, TicketState};
use crate::embed::Role;
use crate::numeric::dot;
use crate::store::Unanswered;

/// Questions that one problem asks and no article answers.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Gap {
    /// Of the most typical question's triage.
    pub id: String,
    pub n: usize,
    pub lang: Lang,
    /// Of most of them.
    pub intent: Option<String>,
    /// The most typical question.
    pub title: String,
    pub first_at: String,
    pub last_at: String,
    /// The most typical first.
    pub questions: Vec<GapQuestion>,
    pub nearest: Option<Nearest>,
    /// From how agents solved such problems, where they did.
    pub proposal: Option<Proposal>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GapQuestion {
    pub triage_id: String,
    pub text: String,
    pub created_at: String,
}

/// The article that came nearest, and did not answer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Nearest {
    pub article_id: String,
    pub question: String,
    pub confidence: f32,
}

/// An article to begin from: the agents' own words, which nobody has made fit for customers yet.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Proposal {
    pub article: Article,
    /// Where the words are from.
    pub tickets: Vec<String>,
}

/// An article that should be looked at.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Stale {
    pub article_id: String,
    pub question: String,
    pub lang: Lang,
    pub reasons: Vec<StaleReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<String>,
    pub shown: u64,
    pub replied: u64,
    pub success_rate: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum StaleReason {
    /// No longer in force.
    Expired,
    /// Within a month.
    ExpiresSoon,
    /// Shown with no recorded message of the time asked about, though there were messages.
    Unused,
    /// Agents rejected most of the replies that were its words.
    Rejected,
    /// The article that it translates was changed later.
    TranslationBehind,
}

/// Tickets of one problem that came in together.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Incident {
    /// Of the most typical ticket.
    pub id: String,
    pub n: usize,
    pub lang: Option<Lang>,
    pub intent: Option<String>,
    /// The most typical ticket.
    pub title: String,
    pub first_at: String,
    pub last_at: String,
    /// So many at once are not chance.
    pub burst: bool,
    /// How many of this problem such a time brought on average before.
    pub expected: f64,
    /// The most typical first.
    pub tickets: Vec<IncidentTicket>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct IncidentTicket {
    pub ticket_id: String,
    pub text: String,
    pub created_at: String,
    pub state: Option<TicketState>,
    /// Calibrated probability that it is the most typical ticket's problem.
    pub confidence: f32,
}

/// Messages and tickets looked at, newest first: what a report can be made of in seconds.
const MOST: u32 = 1_000;
/// Listed with a gap or an incident.
const LISTED: usize = 50;
/// Past solutions that a proposal is made of, at most.
const SOLUTIONS: usize = 3;
/// Tickets like an incident that are looked for in its past.
const HISTORY: usize = 200;
/// How long before an incident its usual number is measured, in multiples of its own time.
const BEFORE: i32 = 14;
/// Chance of as many tickets of a problem by accident, below which they are a burst.
const CHANCE: f64 = 1e-3;
/// Tickets that make an incident, at least.
const TOGETHER: usize = 3;
/// Judged replies from which on the share of rejected ones means something.
const JUDGED: u64 = 3;

impl Pipeline {
    /// Recorded questions of the last days that no article answered, by problem, the most asked first.
    ///
    /// # Errors
    /// The store's, the encoder's or the index's.
    pub async fn gaps(&self, days: u32, limit: usize, now: OffsetDateTime) -> Result<Vec<Gap>, PipelineError> {
        let asked = self.store.unanswered(&before(now, Duration::days(i64::from(days))), MOST).await?;
        let vectors = self.vectors_of(&asked).await?;
        let mut gaps = Vec::new();
        for lang in Lang::ALL {
            let of_lang: Vec<usize> = (0..asked.len()).filter(|&i| asked[i].lang == lang).collect();
            let seen: Vec<&[f32]> = of_lang.iter().map(|&i| &*vectors[i]).collect();
            let groups = cluster(&seen, |cosine| self.same(cosine));
            gaps.extend(groups.into_iter().map(|group| group.into_iter().map(|i| of_lang[i]).collect::<Vec<_>>()));
        }
        gaps.sort_by_key(|group| std::cmp::Reverse(group.len()));
        gaps.truncate(limit);
        let mut out = Vec::with_capacity(gaps.len());
        for group in gaps {
            out.push(self.gap(&group, &asked).await?);
        }
        Ok(out)
    }

    /// Of each question; the last report's are still known, since the next one looks at almost the same questions.
    async fn vectors_of(&self, asked: &[Unanswered]) -> Result<Vec<Arc<[f32]>>, PipelineError> {
        let known = self.asked.load_full();
        let (ids, texts): (Vec<&String>, Vec<String>) =
            asked.iter().filter(|q| !known.contains_key(&q.triage_id)).map(|q| (&q.triage_id, q.text.clone())).unzip();
        let encoder = Arc::clone(&self.encoder);
        let fresh = blocking(move || encoder.encode_bulk(&texts, Role::Query)).await??;
        let mut now: Asked = ids.into_iter().cloned().zip(fresh.into_iter().map(Arc::from)).collect();
        now.extend(asked.iter().filter_map(|q| Some((q.triage_id.clone(), Arc::clone(known.get(&q.triage_id)?)))));
        let vectors = asked.iter().filter_map(|q| now.get(&q.triage_id).map(Arc::clone)).collect();
        self.asked.store(Arc::new(now));
        Ok(vectors)
    }

    async fn gap(&self, group: &[usize], asked: &[Unanswered]) -> Result<Gap, PipelineError> {
        let central = &asked[group[0]];
        let mut nearest = None;
        if let Some((id, confidence)) = &central.nearest
            && let Some(article) = self.store.article(id).await?
        {
            nearest = Some(Nearest { article_id: article.id, question: article.question, confidence: *confidence });
        }
        let times = group.iter().map(|&i| asked[i].created_at.as_str());
        let question = |&i: &usize| GapQuestion {
            triage_id: asked[i].triage_id.clone(),
            text: asked[i].text.clone(),
            created_at: asked[i].created_at.clone(),
        };
        Ok(Gap {
            id: central.triage_id.clone(),
            n: group.len(),
            lang: central.lang,
            intent: commonest(group.iter().filter_map(|&i| asked[i].intent.as_deref())),
            title: central.text.clone(),
            first_at: times.clone().min().unwrap_or_default().to_owned(),
            last_at: times.max().unwrap_or_default().to_owned(),
            questions: group.iter().take(LISTED).map(question).collect(),
            nearest,
            proposal: self.proposal(central).await?,
        })
    }

    /// How such a problem was solved before.
    async fn proposal(&self, asked: &Unanswered) -> Result<Option<Proposal>, PipelineError> {
        let solved = SearchFilter { lang: Some(asked.lang), state: Some(TicketState::Resolved), ..SearchFilter::default() };
        let read = self.read(&asked.text, Some(asked.lang)).await?;
        let found = self.match_tickets(&read.clean, read.compared, &read.intent, solved, SOLUTIONS).await?.found;
        // By the cosine alone whether it is the same problem: several tickets of one problem take each other's margin away.
        let same = found.into_iter().filter(|m| self.same(m.hit.cosine.unwrap_or(0.0)));
        let mut solved: Vec<(f32, TicketRecord)> = same.map(|m| (self.gate.ticket.probability(&m.features), m.record)).collect();
        solved.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.id.cmp(&b.1.id)));
        solved.retain(|(_, ticket)| ticket.resolution.as_ref().is_some_and(|r| !r.trim().is_empty()));
        solved.truncate(SOLUTIONS);
        if solved.is_empty() {
            return Ok(None);
        }
        let words: Vec<&str> = solved.iter().filter_map(|(_, t)| t.resolution.as_deref()).collect();
        let id = format!("kb-{}", asked.triage_id.to_lowercase());
        let article = Article { intent: asked.intent.clone(), ..Article::new(&id, asked.lang, asked.text.trim(), &words.join("\n\n")) };
        Ok(Some(Proposal { article, tickets: solved.iter().map(|(_, t)| t.id.clone()).collect() }))
    }

    /// Articles that have expired or soon will, that nobody is shown, that agents reject, that lag behind what they translate.
    ///
    /// # Errors
    /// The store's.
    pub async fn stale(&self, days: u32, now: OffsetDateTime) -> Result<Vec<Stale>, PipelineError> {
        let articles = self.store.all_articles().await?;
        let uses: HashMap<String, _> =
            self.store.all_article_uses(&before(now, Duration::days(i64::from(days)))).await?.into_iter().collect();
        let changed: HashMap<String, String> = self.store.article_changes().await?.into_iter().collect();
        let mut stale = Vec::new();
        for article in articles {
            let counts = uses.get(&article.id).copied().unwrap_or_default();
            let behind =
                article.translation_of.as_ref().and_then(|of| changed.get(of)).zip(changed.get(&article.id)).is_some_and(|(a, b)| a > b);
            let judged = counts.accepted + counts.edited + counts.rejected;
            let reasons: Vec<StaleReason> = [
                (StaleReason::Expired, expires(&article, now)),
                (StaleReason::ExpiresSoon, !expires(&article, now) && expires(&article, now + Duration::days(30))),
                (StaleReason::Rejected, judged >= JUDGED && 2 * counts.rejected > judged),
                (StaleReason::TranslationBehind, behind),
                (StaleReason::Unused, counts.shown == 0 && !uses.is_empty()),
            ]
            .into_iter()
            .filter_map(|(reason, holds)| holds.then_some(reason))
            .collect();
            if !reasons.is_empty() {
                stale.push(Stale {
                    article_id: article.id,
                    question: article.question,
                    lang: article.lang,
                    reasons,
                    valid_until: article.valid_until,
                    shown: counts.shown,
                    replied: counts.replied,
                    success_rate: counts.success_rate(),
                });
            }
        }
        Ok(stale)
    }

    /// Tickets of the last hours that tell one problem, the most first, and whether they are more than such a time usually brings.
    ///
    /// # Errors
    /// The store's or the index's.
    pub async fn incidents(&self, tickets: &Knowledge, hours: u32, now: OffsetDateTime) -> Result<Vec<Incident>, PipelineError> {
        let window = Duration::hours(i64::from(hours));
        let since = before(now, window);
        let recent = self.store.tickets_since(&since, MOST).await?;
        let (index, ids) = (Arc::clone(tickets.index()), recent.iter().map(|t| t.id.clone()).collect::<Vec<_>>());
        let vectors: HashMap<String, Vec<f32>> = blocking(move || index.vectors(&ids)).await??.into_iter().collect();
        // A ticket that the index has not taken up yet waits for the next report.
        let known: Vec<(&TicketRecord, &[f32])> = recent.iter().filter_map(|t| Some((t, vectors.get(&t.id)?.as_slice()))).collect();
        let seen: Vec<&[f32]> = known.iter().map(|k| k.1).collect();
        let mut incidents = Vec::new();
        for group in cluster(&seen, |cosine| self.same(cosine)).into_iter().filter(|g| g.len() >= TOGETHER) {
            let members: Vec<(&TicketRecord, &[f32])> = group.into_iter().map(|i| known[i]).collect();
            let usual = self.usual(tickets, members[0].1, &since, window, now).await?;
            incidents.push(self.incident(&members, usual));
        }
        Ok(incidents)
    }

    /// How many tickets of a problem the window brought on average in the time before.
    async fn usual(
        &self,
        tickets: &Knowledge,
        vector: &[f32],
        since: &str,
        window: Duration,
        now: OffsetDateTime,
    ) -> Result<f64, PipelineError> {
        let (index, vector) = (Arc::clone(tickets.index()), vector.to_vec());
        let like = blocking(move || index.query_dense(&vector, HISTORY, &SearchFilter::default())).await??;
        let ids: Vec<String> = like.into_iter().filter(|(_, cosine)| self.same(*cosine)).map(|(id, _)| id).collect();
        let from = before(now, window * (BEFORE + 1));
        let earlier = self.store.tickets(&ids).await?.into_iter().filter_map(|t| t.created_at);
        let earlier = earlier.filter(|time| time.as_str() >= from.as_str() && time.as_str() < since).count();
        Ok(earlier as f64 / f64::from(BEFORE))
    }

    fn incident(&self, members: &[(&TicketRecord, &[f32])], usual: f64) -> Incident {
        let (central, centre) = members[0];
        let times = || members.iter().filter_map(|(t, _)| t.created_at.as_deref());
        // A problem that was never seen is taken to come once in the time that was looked at.
        let rate = usual.max(1.0 / f64::from(BEFORE));
        let burst = Poisson::new(rate).is_ok_and(|usual| usual.sf(members.len() as u64 - 1) < CHANCE);
        let ticket = |(ticket, vector): &(&TicketRecord, &[f32])| IncidentTicket {
            ticket_id: ticket.id.clone(),
            text: ticket.text.clone(),
            created_at: ticket.created_at.clone().unwrap_or_default(),
            state: ticket.state,
            confidence: self.probability_of_same(dot(vector, centre)),
        };
        Incident {
            id: central.id.clone(),
            n: members.len(),
            lang: central.lang,
            intent: commonest(members.iter().filter_map(|(t, _)| t.intent.as_deref())),
            title: central.text.clone(),
            first_at: times().min().unwrap_or_default().to_owned(),
            last_at: times().max().unwrap_or_default().to_owned(),
            burst,
            expected: usual,
            tickets: members.iter().take(LISTED).map(ticket).collect(),
        }
    }

    pub(super) fn probability_of_same(&self, cosine: f32) -> f32 {
        self.gate.same.probability(&MatchFeatures { cosine: f64::from(cosine), ..MatchFeatures::default() })
    }

    pub(super) fn same(&self, cosine: f32) -> bool {
        self.probability_of_same(cosine) >= 0.5
    }
}

/// The beginning of a time in UTC, which sorts as the times of the records do.
fn before(now: OffsetDateTime, span: Duration) -> String {
    let then = now.checked_sub(span).unwrap_or(OffsetDateTime::UNIX_EPOCH).to_offset(time::UtcOffset::UTC);
    then.format(&Rfc3339).map(|text| text[..19].to_owned()).unwrap_or_default()
}

fn expires(article: &Article, at: OffsetDateTime) -> bool {
    let until = article.valid_until.as_deref().and_then(|t| OffsetDateTime::parse(t, &Rfc3339).ok());
    until.is_some_and(|until| until <= at)
}

fn commonest<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    names.for_each(|name| *counts.entry(name).or_default() += 1);
    counts.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(a.0))).map(|(name, _)| name.to_owned())
}
