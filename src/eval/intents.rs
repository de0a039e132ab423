//! How good is the intent classifier?

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use crate::classify::{RiskPoint, Scores, SparseClassifier, argmax, outcomes, risk_coverage};
use crate::corpus::Example;
use crate::domain::Lang;
use crate::text::normalize;

/// Figures of one set.
#[derive(Debug, Clone, Serialize)]
pub struct IntentReport {
    pub classifier: String,
    /// `all`, `zh`, `en`.
    pub scores: BTreeMap<String, Scores>,
    pub intents: Vec<IntentRow>,
    /// Most frequent first.
    pub confusions: Vec<Confusion>,
    pub risk_coverage: Vec<RiskPoint>,
    /// Ten bins: mean confidence, accuracy, rows.
    pub reliability: Vec<(f64, f64, usize)>,
    /// Rows whose label the classifier does not know.
    pub unknown_labels: usize,
}

#[derive(Debug, Clone, Serialize)]
pub struct IntentRow {
    pub intent: String,
    pub n: usize,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Confusion {
    pub label: String,
    pub predicted: String,
    pub n: usize,
    /// One of the messages.
    pub example: String,
}

/// Holds a classifier against labelled messages.
pub fn evaluate_intents(classifier: &SparseClassifier, examples: &[Example]) -> IntentReport {
    let meta = classifier.meta();
    let index: HashMap<&str, usize> = meta.labels.iter().enumerate().map(|(i, l)| (l.as_str(), i)).collect();
    let known: Vec<(&Example, usize)> = examples.iter().filter_map(|e| Some((e, *index.get(e.intent.as_str())?))).collect();
    let distributions: Vec<Vec<f64>> = known.iter().map(|(e, _)| classifier.distribution(&normalize(&e.text).text, e.lang)).collect();
    let labels: Vec<usize> = known.iter().map(|k| k.1).collect();
    let at_95 = meta.thresholds.iter().find(|t| t.precision >= 0.95).and_then(|t| t.threshold);

    let part = |keep: &dyn Fn(Lang) -> bool| {
        let rows: Vec<usize> = (0..known.len()).filter(|&i| keep(known[i].0.lang)).collect();
        let d: Vec<Vec<f64>> = rows.iter().map(|&i| distributions[i].clone()).collect();
        Scores::of(&d, &rows.iter().map(|&i| labels[i]).collect::<Vec<_>>(), at_95)
    };
    let mut scores = BTreeMap::from([("all".to_owned(), part(&|_| true))]);
    for lang in Lang::ALL {
        scores.insert(lang.to_string(), part(&|l| l == lang));
    }

    let mut counts = vec![(0usize, 0usize, 0usize); meta.labels.len()];
    let mut pairs: BTreeMap<(usize, usize), (usize, &str)> = BTreeMap::new();
    for ((example, label), d) in known.iter().zip(&distributions) {
        let predicted = argmax(d);
        counts[*label].2 += 1;
        counts[predicted].1 += 1;
        if predicted == *label {
            counts[predicted].0 += 1;
        } else {
            pairs.entry((*label, predicted)).or_insert((0, &example.text)).0 += 1;
        }
    }
    let ratio = |a: usize, b: usize| if b == 0 { 0.0 } else { a as f64 / b as f64 };
    let intents = counts.iter().enumerate().filter(|c| c.1.2 > 0);
    let intents = intents.map(|(i, &(hit, said, n))| IntentRow {
        intent: meta.labels[i].clone(),
        n,
        precision: ratio(hit, said),
        recall: ratio(hit, n),
        f1: ratio(2 * hit, said + n),
    });
    let mut confusions: Vec<Confusion> = pairs
        .into_iter()
        .map(|((l, p), (n, example))| Confusion {
            label: meta.labels[l].clone(),
            predicted: meta.labels[p].clone(),
            n,
            example: example.to_owned(),
        })
        .collect();
    confusions.sort_by(|a, b| b.n.cmp(&a.n).then_with(|| (&a.label, &a.predicted).cmp(&(&b.label, &b.predicted))));

    let found = outcomes(&distributions, &labels);
    IntentReport {
        classifier: crate::classify::Classifier::version(classifier).to_owned(),
        scores,
        intents: intents.collect(),
        confusions,
        risk_coverage: risk_coverage(&found),
        reliability: reliability(&found),
        unknown_labels: examples.len() - known.len(),
    }
}

fn reliability(outcomes: &[(f64, bool)]) -> Vec<(f64, f64, usize)> {
    (0..10)
        .map(|bin| {
            let rows: Vec<_> = outcomes.iter().filter(|o| ((o.0 * 10.0) as usize).min(9) == bin).collect();
            let n = rows.len().max(1) as f64;
            (rows.iter().map(|o| o.0).sum::<f64>() / n, rows.iter().filter(|o| o.1).count() as f64 / n, rows.len())
        })
        .collect()
}

impl IntentReport {
    /// The report for people.
    pub fn markdown(&self) -> String {
        let percent = |x: f64| format!("{:.1} %", 100.0 * x);
        let mut out = format!(
            "# Intent classifier {}\n\n| set | n | accuracy | macro-F1 | ECE (15 bins) | Brier | coverage at the 95 % threshold | precision there |\n\
             |---|---|---|---|---|---|---|---|\n",
            self.classifier
        );
        for (name, s) in &self.scores {
            out += &format!(
                "| {name} | {} | {} | {} | {:.3} | {:.3} | {} | {} |\n",
                s.n,
                percent(s.accuracy),
                percent(s.macro_f1),
                s.ece,
                s.brier,
                percent(s.coverage_at_95),
                percent(s.precision_at_95)
            );
        }
        if self.unknown_labels > 0 {
            out += &format!("\n{} rows carry a label that the classifier does not know; they are not counted.\n", self.unknown_labels);
        }
        out += "\n## Risk and coverage\n\nAnswering only the surest share of the messages, how many answers are wrong.\n\n| coverage | risk | probability from |\n|---|---|---|\n";
        for p in &self.risk_coverage {
            out += &format!("| {} | {} | {:.3} |\n", percent(p.coverage), percent(p.risk), p.threshold);
        }
        out += "\n## Reliability\n\n| mean confidence | accuracy | rows |\n|---|---|---|\n";
        for (confidence, accuracy, n) in self.reliability.iter().filter(|r| r.2 > 0) {
            out += &format!("| {} | {} | {n} |\n", percent(*confidence), percent(*accuracy));
        }
        out += "\n## Intents\n\n| intent | n | precision | recall | F1 |\n|---|---|---|---|---|\n";
        for row in &self.intents {
            out +=
                &format!("| {} | {} | {} | {} | {} |\n", row.intent, row.n, percent(row.precision), percent(row.recall), percent(row.f1));
        }
        out += "\n## Confusions\n\n| label | predicted | times | for example |\n|---|---|---|---|\n";
        for c in self.confusions.iter().take(25) {
            out += &format!("| {} | {} | {} | {} |\n", c.label, c.predicted, c.n, c.example.replace('|', "\\|").replace('\n', " "));
        }
        out
    }
}
