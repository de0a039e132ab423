//! What is known of each search hit: the same features at training and at serving, from one place.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::decide::MatchFeatures;
use crate::domain::{Article, Intent, TicketRecord, TicketState};
use crate::retrieve::Hit;

/// In which a ticket's recency falls to 1 / e.
const DAYS: f64 = 90.0;

/// What a record itself says of how far it may be trusted.
#[derive(Default)]
pub struct Known<'a> {
    intent: Option<&'a str>,
    recency: f64,
    solved: f64,
    alignment: f64,
}

impl<'a> Known<'a> {
    /// Of a ticket, as it is seen at a time.
    pub fn of_ticket(ticket: &'a TicketRecord, now: OffsetDateTime) -> Self {
        let created = ticket.created_at.as_deref().and_then(|time| OffsetDateTime::parse(time, &Rfc3339).ok());
        let recency = created.map_or(0.0, |time| (-(now - time).abs().as_seconds_f64() / 86_400.0 / DAYS).exp());
        let noted = ticket.resolution.as_ref().is_some_and(|note| !note.trim().is_empty());
        let solved = match ticket.state {
            Some(TicketState::Resolved) if noted => 1.0,
            Some(TicketState::Resolved | TicketState::Closed) => 0.5,
            _ => 0.0,
        };
        Known { intent: ticket.intent.as_deref(), recency, solved, alignment: 0.0 }
    }

    /// Of an article whose tokens were laid beside the message's.
    pub fn of_article(article: &'a Article, alignment: f64) -> Self {
        Known { intent: article.intent.as_deref(), alignment, ..Known::default() }
    }
}

/// The features of hits whose records say nothing of themselves, for a message whose intent nobody told; and how they align with it.
pub fn features_alone(hits: &[Hit], alignments: &[f64]) -> Vec<MatchFeatures> {
    let known = |(hit, &alignment)| (hit, Known { alignment, ..Known::default() });
    features(&hits.iter().zip(alignments).map(known).collect::<Vec<_>>(), |_| 0.0)
}

/// The features of each hit of one search.
pub fn features_of(hits: &[(&Hit, Known<'_>)], intent: &Intent) -> Vec<MatchFeatures> {
    features(hits, |id| {
        let others = intent.alternatives.iter().map(|a| (a.id.as_str(), a.confidence));
        others.chain([(intent.id.as_str(), intent.confidence)]).find(|s| s.0 == id).map_or(0.0, |s| f64::from(s.1))
    })
}

fn features(hits: &[(&Hit, Known<'_>)], of_intent: impl Fn(&str) -> f64) -> Vec<MatchFeatures> {
    let cosines: Vec<f64> = hits.iter().map(|(h, _)| f64::from(h.cosine.unwrap_or(0.0))).collect();
    let lexical: Vec<f64> = hits.iter().map(|(h, _)| f64::from(h.lexical.unwrap_or(0.0)).ln_1p()).collect();
    let aligned: Vec<f64> = hits.iter().map(|(_, known)| known.alignment).collect();
    let recency = hits.iter().map(|(_, known)| known.recency).sum::<f64>() / hits.len().max(1) as f64;
    (0..hits.len())
        .map(|i| MatchFeatures {
            cosine: cosines[i],
            margin: cosines[i] - best_other(&cosines, i),
            lexical: lexical[i],
            lexical_margin: lexical[i] - best_other(&lexical, i),
            intent: hits[i].1.intent.map_or(0.0, &of_intent),
            recency: hits[i].1.recency - recency,
            solved: hits[i].1.solved,
            alignment: aligned[i],
            alignment_margin: aligned[i] - best_other(&aligned, i),
        })
        .collect()
}

/// The greatest value but the `i`th; the `i`th itself where it is alone.
fn best_other(values: &[f64], i: usize) -> f64 {
    let others = values.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, v)| *v);
    others.max_by(f64::total_cmp).unwrap_or(values[i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{IntentScore, Path};

    #[test]
    fn features_compare_a_hit_with_the_best_other() {
        let hit = |cosine, lexical| Hit { id: "x".into(), score: 1.0, cosine: Some(cosine), lexical };
        let intent = Intent {
            id: "stock".into(),
            category: "product".into(),
            confidence: 0.7,
            alternatives: vec![IntentScore { id: "price".into(), confidence: 0.2 }],
            out_of_scope: 0.0,
            path: Path::Fast,
            evidence: vec![],
            neighbours: vec![],
        };
        let now = OffsetDateTime::from_unix_timestamp(1_790_000_000).unwrap();
        let ticket = |intent: &str, days: i64, state, note: Option<&str>| TicketRecord {
            id: "x".into(),
            text: "x".into(),
            lang: None,
            intent: Some(intent.into()),
            state: Some(state),
            resolution: note.map(str::to_owned),
            created_at: (now - time::Duration::days(days)).format(&Rfc3339).ok(),
        };
        let (fresh, old) = (ticket("price", 0, TicketState::Resolved, Some("reset")), ticket("invoice", 90, TicketState::Open, None));
        let known = |ticket| Known::of_ticket(ticket, now);
        let f = features_of(&[(&hit(0.9, Some(1.0)), known(&fresh)), (&hit(0.8, None), known(&old))], &intent);
        assert!((f[0].margin - 0.1).abs() < 1e-6 && (f[1].margin + 0.1).abs() < 1e-6);
        assert!((f[0].lexical - 2f64.ln()).abs() < 1e-9 && f[1].lexical == 0.0 && f[1].lexical_margin < 0.0);
        let half = (1.0 - (-1f64).exp()) / 2.0;
        assert!((f[0].recency - half).abs() < 1e-9 && (f[1].recency + half).abs() < 1e-9, "against the mean of the answer");
        assert_eq!((f[0].solved, f[1].solved), (1.0, 0.0));
        assert!((f[0].intent - 0.2).abs() < 1e-6 && f[1].intent == 0.0);
    }
}
