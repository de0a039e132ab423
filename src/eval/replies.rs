//! What automatic replies are worth: how often the machine answers by itself, and how often it should not have.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::bootstrap::quantile;
use super::percent;
use crate::classify::clopper_pearson_lower;
use crate::corpus::{ReplyKind, ReplyRow};
use crate::domain::{Action, Reason};

/// A row of the suite with what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct ReplyOutcome {
    #[serde(flatten)]
    pub row: ReplyRow,
    pub action: Action,
    pub reasons: Vec<Reason>,
    /// Articles that the reply, or the suggestion, is from.
    pub sources: Vec<String>,
    /// Calibrated probability that the reply is right.
    pub confidence: f32,
    pub ms: f64,
}

impl ReplyOutcome {
    fn is_sent(&self) -> bool {
        self.action == Action::AutoReply
    }

    /// Whether its reply answers the message, were it sent.
    fn would_be_right(&self) -> bool {
        !self.sources.is_empty() && self.sources.iter().all(|id| self.row.articles.contains(id))
    }
}

/// Of the messages of a kind.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct KindFigures {
    pub n: usize,
    pub sent: usize,
    pub suggested: usize,
    pub handed_over: usize,
}

/// A threshold on the confidence: what it would send of the answerable and unanswerable messages, whatever else the gate looks at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RiskPoint {
    /// The precision that is just held.
    pub precision: f64,
    /// Share of the answerable messages that are answered rightly.
    pub coverage: f64,
    pub threshold: f32,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplyMetrics {
    pub n: usize,
    /// Answered by the machine alone, and rightly so.
    pub sent: usize,
    pub right: usize,
    /// `right / sent`, and the lower end of its one-sided 95 % Clopper-Pearson interval; none where nothing was sent.
    pub precision: Option<f64>,
    pub precision_from: Option<f64>,
    /// Answerable messages that were answered rightly, of all answerable ones.
    pub coverage: f64,
    /// Messages that got a wrong reply, of all.
    pub wrong_rate: f64,
    pub kinds: BTreeMap<&'static str, KindFigures>,
    pub languages: BTreeMap<&'static str, KindFigures>,
    /// Messages for humans (policy, human) that the machine answered.
    pub leaked: usize,
    pub reasons: BTreeMap<&'static str, usize>,
    pub curve: Vec<RiskPoint>,
    /// p50 and p99.
    pub ms: [f64; 2],
}

/// Precisions of the curve.
const PRECISIONS: [f64; 5] = [0.99, 0.97, 0.95, 0.9, 0.8];

impl ReplyMetrics {
    pub fn of(outcomes: &[ReplyOutcome]) -> Self {
        let mut kinds: BTreeMap<&'static str, KindFigures> = BTreeMap::new();
        let mut languages: BTreeMap<&'static str, KindFigures> = BTreeMap::new();
        let mut reasons: BTreeMap<&'static str, usize> = BTreeMap::new();
        for outcome in outcomes {
            for figures in [kinds.entry(outcome.row.kind.as_str()).or_default(), languages.entry(outcome.row.lang.as_str()).or_default()] {
                figures.n += 1;
                match outcome.action {
                    Action::AutoReply => figures.sent += 1,
                    Action::Suggest => figures.suggested += 1,
                    Action::Handoff => figures.handed_over += 1,
                }
            }
            for reason in &outcome.reasons {
                *reasons.entry(reason.as_str()).or_default() += 1;
            }
        }
        let of = |kind: ReplyKind| outcomes.iter().filter(move |o| o.row.kind == kind);
        let sent = outcomes.iter().filter(|o| o.is_sent()).count();
        let right = outcomes.iter().filter(|o| o.is_sent() && o.would_be_right()).count();
        let answerable = of(ReplyKind::Answerable).count().max(1) as f64;
        let mut times: Vec<f64> = outcomes.iter().map(|o| o.ms).collect();
        times.sort_by(f64::total_cmp);
        ReplyMetrics {
            n: outcomes.len(),
            sent,
            right,
            precision: (sent > 0).then(|| right as f64 / sent as f64),
            precision_from: (sent > 0).then(|| clopper_pearson_lower(right, sent, 0.95)),
            coverage: right as f64 / answerable,
            wrong_rate: (sent - right) as f64 / outcomes.len().max(1) as f64,
            kinds,
            languages,
            leaked: of(ReplyKind::Policy).chain(of(ReplyKind::Human)).filter(|o| o.is_sent()).count(),
            reasons,
            curve: curve(outcomes),
            ms: [0.5, 0.99].map(|q| quantile(&times, q)),
        }
    }

    /// For people.
    pub fn show(&self) -> String {
        let mut out = format!("messages            {}\nanswered by itself  {}", self.n, self.sent);
        if let (Some(precision), Some(from)) = (self.precision, self.precision_from) {
            let _ = write!(out, ", right {} ({}; at least {} with 95 % confidence)", self.right, percent(precision), percent(from));
        }
        let _ = write!(
            out,
            "\nanswerable covered  {}\nwrong replies       {} of all messages\nfor humans, but sent {}\n\n{:14}{:>6}{:>8}{:>12}{:>13}\n",
            percent(self.coverage),
            percent(self.wrong_rate),
            self.leaked,
            "",
            "n",
            "sent",
            "suggested",
            "handed over"
        );
        for (name, k) in self.kinds.iter().chain(&self.languages) {
            let _ = writeln!(out, "{name:14}{:>6}{:>8}{:>12}{:>13}", k.n, k.sent, k.suggested, k.handed_over);
        }
        let _ = writeln!(out, "\nreasons: {}", self.reasons.iter().map(|(r, n)| format!("{r} {n}")).collect::<Vec<_>>().join(", "));
        let _ = writeln!(out, "\nrisk and coverage, by the confidence alone (answerable and unanswerable messages)");
        for point in &self.curve {
            let _ =
                writeln!(out, "  {:>6} right: covers {:>6} from {:.3}", percent(point.precision), percent(point.coverage), point.threshold);
        }
        let _ = write!(out, "\np50 {:.1} ms, p99 {:.1} ms", self.ms[0], self.ms[1]);
        out
    }
}

/// The lowest threshold that holds each precision on these very messages.
fn curve(outcomes: &[ReplyOutcome]) -> Vec<RiskPoint> {
    let asked = |o: &&ReplyOutcome| matches!(o.row.kind, ReplyKind::Answerable | ReplyKind::Unanswerable);
    let mut ranked: Vec<(f32, bool)> = outcomes.iter().filter(asked).map(|o| (o.confidence, o.would_be_right())).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
    let answerable = outcomes.iter().filter(|o| o.row.kind == ReplyKind::Answerable).count().max(1) as f64;
    let held = |goal: f64| {
        let (mut right, mut best) = (0, None);
        for (i, &(confidence, is_right)) in ranked.iter().enumerate() {
            right += usize::from(is_right);
            // Equal confidences are sent together or not at all.
            let last = ranked.get(i + 1).is_none_or(|next| next.0 < confidence);
            if last && right as f64 >= goal * (i + 1) as f64 {
                best = Some(RiskPoint { precision: goal, coverage: right as f64 / answerable, threshold: confidence });
            }
        }
        best
    };
    PRECISIONS.into_iter().filter_map(held).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Lang;

    fn outcome(kind: ReplyKind, article: &str, source: &str, action: Action, confidence: f32) -> ReplyOutcome {
        let list = |id: &str| if id.is_empty() { vec![] } else { vec![id.to_owned()] };
        ReplyOutcome {
            row: ReplyRow {
                id: "r".into(),
                lang: Lang::Zh,
                kind,
                text: "x".into(),
                articles: list(article),
                near: None,
                note: String::new(),
            },
            action,
            reasons: if action == Action::Handoff { vec![Reason::MissingKnowledge] } else { vec![] },
            sources: list(source),
            confidence,
            ms: 1.0,
        }
    }

    #[test]
    fn a_reply_is_right_only_from_an_article_of_the_row() {
        let outcomes = [
            outcome(ReplyKind::Answerable, "a", "a", Action::AutoReply, 0.9),
            outcome(ReplyKind::Answerable, "a", "b", Action::AutoReply, 0.8),
            outcome(ReplyKind::Answerable, "a", "a", Action::Suggest, 0.7),
            outcome(ReplyKind::Unanswerable, "", "a", Action::AutoReply, 0.6),
            outcome(ReplyKind::Policy, "", "", Action::Handoff, 0.0),
            outcome(ReplyKind::Human, "", "a", Action::AutoReply, 0.5),
        ];
        let metrics = ReplyMetrics::of(&outcomes);
        assert_eq!((metrics.sent, metrics.right, metrics.leaked), (4, 1, 1));
        assert_eq!(metrics.precision, Some(0.25));
        assert!((metrics.coverage - 1.0 / 3.0).abs() < 1e-9 && (metrics.wrong_rate - 0.5).abs() < 1e-9);
        assert_eq!(metrics.reasons, BTreeMap::from([("missing_knowledge", 1)]));
        // Of 0.9 (right), 0.8 (wrong), 0.7 (right), 0.6 (wrong) only the first alone holds 99 %.
        assert!((metrics.curve[0].coverage - 1.0 / 3.0).abs() < 1e-9 && metrics.curve[0].threshold == 0.9);
        assert!(metrics.show().contains("answerable"));
    }

    #[test]
    fn nothing_sent_has_no_precision() {
        let metrics = ReplyMetrics::of(&[outcome(ReplyKind::Unanswerable, "", "a", Action::Suggest, 0.3)]);
        assert_eq!((metrics.precision, metrics.coverage), (None, 0.0));
        assert_eq!(ReplyMetrics::of(&[]).n, 0);
    }
}
