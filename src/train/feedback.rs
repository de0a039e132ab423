//! Agents' feedback as training rows.

use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::corpus::Example;
use crate::domain::Outcome;
use crate::store::Judged;
use crate::text::normalize;

/// Messages with the labels that agents confirmed or gave, one row a text.
#[derive(Debug, Default)]
pub struct Harvest {
    /// Normalised text to its place in `texts`.
    places: FxHashMap<String, usize>,
    texts: Vec<Labelled>,
    report: HarvestReport,
}

#[derive(Debug)]
struct Labelled {
    row: Example,
    /// Label, how often it was given, when last (the running number of the word).
    labels: Vec<(String, usize, usize)>,
}

/// What became of the feedback.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct HarvestReport {
    /// Triages with feedback.
    pub judged: usize,
    /// Training rows: different texts.
    pub rows: usize,
    /// Rejected, and no agent said what would have been right.
    pub without_label: usize,
    /// Texts that came more than once, beyond their first time.
    pub repeated: usize,
    pub conflicts: Vec<Conflict>,
}

/// A text that agents gave different labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conflict {
    pub text: String,
    /// The label that was given most often, of several the one given last.
    pub kept: String,
    /// Labels and how often they were given, most often first.
    pub labels: Vec<(String, usize)>,
}

impl Harvest {
    /// Takes the last word on a triage: the label that the agent gave, else the triage's own where its reply was sent.
    pub fn add(&mut self, judged: &Judged) {
        self.report.judged += 1;
        let triage = &judged.triage;
        let label = match (&judged.feedback.intent, judged.feedback.outcome) {
            (Some(intent), _) => intent,
            (None, Outcome::Accepted | Outcome::Edited) => &triage.intent.id,
            (None, Outcome::Rejected) => {
                self.report.without_label += 1;
                return;
            }
        };
        let place = *self.places.entry(normalize(&triage.text).text).or_insert_with(|| {
            let row = Example { text: triage.text.clone(), intent: String::new(), lang: triage.lang };
            self.texts.push(Labelled { row, labels: Vec::new() });
            self.texts.len() - 1
        });
        let labels = &mut self.texts[place].labels;
        self.report.repeated += usize::from(!labels.is_empty());
        match labels.iter_mut().find(|l| l.0 == *label) {
            Some(known) => (known.1, known.2) = (known.1 + 1, self.report.judged),
            None => labels.push((label.clone(), 1, self.report.judged)),
        }
    }

    /// The rows in the order in which their texts came first.
    pub fn finish(self) -> (Vec<Example>, HarvestReport) {
        let mut report = self.report;
        let mut rows = Vec::with_capacity(self.texts.len());
        for Labelled { mut row, mut labels } in self.texts {
            labels.sort_by(|a, b| b.1.cmp(&a.1).then(b.2.cmp(&a.2)));
            let Some(best) = labels.first() else { continue };
            row.intent = best.0.clone();
            if labels.len() > 1 {
                let labels: Vec<(String, usize)> = labels.into_iter().map(|l| (l.0, l.1)).collect();
                report.conflicts.push(Conflict { text: row.text.clone(), kept: row.intent.clone(), labels });
            }
            rows.push(row);
        }
        report.rows = rows.len();
        (rows, report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{IntentScore, Lang};
    use crate::store::{Feedback, RecordedTriage};

    fn judged(text: &str, own: &str, outcome: Outcome, intent: Option<&str>) -> Judged {
        Judged {
            seq: 0,
            created_at: String::new(),
            feedback: Feedback { outcome, intent: intent.map(str::to_owned), reply: None },
            triage: RecordedTriage {
                id: String::new(),
                created_at: String::new(),
                text: text.into(),
                lang: Lang::Zh,
                intent: IntentScore { id: own.into(), confidence: 0.5 },
            },
        }
    }

    fn harvest(rows: &[Judged]) -> (Vec<(String, String)>, HarvestReport) {
        let mut harvest = Harvest::default();
        rows.iter().for_each(|row| harvest.add(row));
        let (rows, report) = harvest.finish();
        (rows.into_iter().map(|r| (r.text, r.intent)).collect(), report)
    }

    fn pair(text: &str, intent: &str) -> (String, String) {
        (text.into(), intent.into())
    }

    #[test]
    fn an_agents_label_wins_and_a_rejection_without_one_tells_nothing() {
        let (rows, report) = harvest(&[
            judged("a", "own", Outcome::Accepted, None),
            judged("b", "own", Outcome::Edited, None),
            judged("c", "own", Outcome::Edited, Some("given")),
            judged("d", "own", Outcome::Rejected, Some("given")),
            judged("e", "own", Outcome::Rejected, None),
        ]);
        assert_eq!(rows, [pair("a", "own"), pair("b", "own"), pair("c", "given"), pair("d", "given")]);
        assert_eq!(report, HarvestReport { judged: 5, rows: 4, without_label: 1, repeated: 0, conflicts: vec![] });
    }

    #[test]
    fn of_one_text_the_commonest_label_is_kept_then_the_last_and_the_conflict_is_told() {
        let accepted = |text: &str, own: &str| judged(text, own, Outcome::Accepted, None);
        let (rows, report) = harvest(&[
            accepted("货呢", "x"),
            accepted("货呢 ", "y"),
            accepted("a", "x"),
            accepted("Ａ", "x"),
            accepted("b", "y"),
            accepted("B", "x"),
            accepted("b", "y"),
        ]);
        assert_eq!(rows, [pair("货呢", "y"), pair("a", "x"), pair("b", "y")]);
        assert_eq!((report.repeated, report.conflicts.len()), (4, 2));
        let labels = vec![("y".to_owned(), 2), ("x".to_owned(), 1)];
        assert_eq!(report.conflicts[1], Conflict { text: "b".into(), kept: "y".into(), labels });
    }
}
