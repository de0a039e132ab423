//! The figures of an evaluation, all from predictions. `metrics.json` is this struct.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::classify::{
    Outcome, RiskPoint, Threshold, Z_95, expected_calibration_error, label_counts, macro_f1, risk_coverage, wilson_lower_bound,
};
use crate::corpus::OUT_OF_SCOPE;
use crate::domain::{Lang, Path};
use crate::eval::bootstrap::{Interval, resample};
use crate::eval::prediction::{Prediction, indexed};

/// Bins of the calibration error and of the reliability diagram.
pub const BINS: usize = 15;
/// Bins of the confidence histogram.
pub const BARS: usize = 20;
/// Points of the risk-coverage curve.
const CURVE: usize = 100;
/// Draws behind the interval of an accuracy.
const RESAMPLES: usize = 2000;
const SEED: u64 = 1;
/// Rows of the shop's own intents that a detector may reject.
const FALSE_REJECTION: f64 = 0.05;

/// Whence the predictions come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Name and version of the model.
    pub model: String,
    /// Path of the labelled rows.
    pub data: String,
    /// Day of the measurement, `2026-01-31`.
    pub date: String,
    /// The model's own, chosen on validation.
    pub thresholds: Vec<Threshold>,
    /// The labels that the model can say.
    pub labels: Vec<String>,
}

/// Everything that a report says but its words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    pub model: String,
    pub data: String,
    pub date: String,
    pub n: usize,
    /// Rows whose label the model cannot say: they are counted, and wrong.
    pub unknown_labels: usize,
    /// `all`, and each language that occurs.
    pub scores: BTreeMap<String, Figures>,
    /// `fast`, `full`: the rows that each part of the classifier answered.
    pub paths: BTreeMap<String, Figures>,
    /// `null` where rows in scope or out of it are missing.
    pub out_of_scope: Option<Detection>,
    pub reliability: Vec<Bin>,
    pub histogram: Vec<Bar>,
    pub risk_coverage: Vec<RiskPoint>,
    /// Area under the risk-coverage curve: the mean risk over all coverages (Geifman et al. 2019).
    pub aurc: f64,
    /// The weakest first.
    pub intents: Vec<IntentRow>,
    pub matrix: Matrix,
}

/// Figures of one set of rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    pub n: usize,
    pub accuracy: f64,
    /// 95 %, by the bootstrap.
    pub accuracy_interval: Interval,
    /// Mean F1 of the labels that occur.
    pub macro_f1: f64,
    /// Expected calibration error, 15 bins of equal width.
    pub ece: f64,
    pub brier: f64,
    pub thresholds: Vec<AtThreshold>,
}

/// What a threshold that was chosen for a precision does on these rows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AtThreshold {
    /// The precision it was chosen for.
    pub goal: f64,
    /// `null`: none held the goal on validation, so nothing is answered.
    pub threshold: Option<f64>,
    /// Rows with at least its probability.
    pub answered: usize,
    pub coverage: f64,
    /// `null` where nothing is answered.
    pub precision: Option<f64>,
    /// 95 %, Wilson's score interval.
    pub precision_interval: Option<Interval>,
}

/// How well the out-of-scope probability tells strangers from the shop's own.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    pub in_scope: usize,
    pub out_of_scope: usize,
    /// Chance that a row out of scope has the greater probability; ties count half.
    pub auroc: f64,
    /// Share of the rows out of scope found by the smallest threshold that rejects at most 5 % of the others, on these very rows.
    pub recall_at_5_percent_false_rejection: f64,
    /// That threshold; `null` where even the greatest probability rejects more.
    pub threshold: Option<f64>,
}

/// A bin of the reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    pub from: f64,
    pub to: f64,
    pub n: usize,
    /// Means of the bin; `null` where it is empty.
    pub confidence: Option<f64>,
    pub accuracy: Option<f64>,
    /// 95 %, Wilson's score interval of the accuracy.
    pub interval: Option<Interval>,
}

/// A bar of the confidence histogram.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    pub from: f64,
    pub to: f64,
    pub right: usize,
    pub wrong: usize,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntentRow {
    pub intent: String,
    /// Rows of the intent.
    pub n: usize,
    /// Rows predicted as it.
    pub said: usize,
    /// `null` where it was never said.
    pub precision: Option<f64>,
    /// `null` where no row has it.
    pub recall: Option<f64>,
    pub f1: f64,
    /// What its rows were most often taken for, and how often.
    pub mistaken_for: Option<(String, usize)>,
}

/// The confusion matrix without its zeros.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Matrix {
    /// Sorted; of rows and of predictions.
    pub labels: Vec<String>,
    /// (index of the label, of the prediction, rows, the first row), sorted.
    pub cells: Vec<(usize, usize, usize, usize)>,
}

impl Matrix {
    /// The cells off the diagonal, the fullest first.
    pub fn confusions(&self) -> Vec<(usize, usize, usize, usize)> {
        let mut wrong: Vec<_> = self.cells.iter().copied().filter(|c| c.0 != c.1).collect();
        wrong.sort_by_key(|&(label, predicted, n, _)| (std::cmp::Reverse(n), label, predicted));
        wrong
    }
}

/// Wilson's interval of a share, 95 %.
pub fn wilson(right: usize, n: usize) -> Interval {
    Interval { low: wilson_lower_bound(right, n, Z_95), high: 1.0 - wilson_lower_bound(n - right, n, Z_95) }
}

impl Metrics {
    pub fn of(header: &Header, predictions: &[Prediction]) -> Self {
        let part = |keep: &dyn Fn(&Prediction) -> bool| {
            let rows: Vec<&Prediction> = predictions.iter().filter(|p| keep(p)).collect();
            (!rows.is_empty()).then(|| Figures::of(&rows, &header.thresholds))
        };
        let named = |name: &str, figures: Option<Figures>| figures.map(|f| (name.to_owned(), f));
        let languages = Lang::ALL.iter().filter_map(|&lang| named(lang.as_str(), part(&|p| p.lang == lang)));
        let paths = [("fast", Path::Fast), ("full", Path::Full)];
        let outcomes: Vec<Outcome> = predictions.iter().map(Prediction::outcome).collect();
        let every_row = risk_coverage(&outcomes, outcomes.len());
        let matrix = matrix(predictions);
        Metrics {
            model: header.model.clone(),
            data: header.data.clone(),
            date: header.date.clone(),
            n: predictions.len(),
            unknown_labels: predictions.iter().filter(|p| !header.labels.contains(&p.label)).count(),
            scores: named("all", part(&|_| true)).into_iter().chain(languages).collect(),
            paths: paths.iter().filter_map(|&(name, path)| named(name, part(&|p| p.path == path))).collect(),
            out_of_scope: detection(predictions),
            reliability: reliability(&outcomes),
            histogram: histogram(&outcomes),
            risk_coverage: risk_coverage(&outcomes, CURVE),
            aurc: every_row.iter().map(|p| p.risk).sum::<f64>() / every_row.len().max(1) as f64,
            intents: intents(predictions, &matrix),
            matrix,
        }
    }
}

impl Figures {
    fn of(rows: &[&Prediction], thresholds: &[Threshold]) -> Self {
        let outcomes: Vec<Outcome> = rows.iter().map(|p| p.outcome()).collect();
        let n = rows.len().max(1) as f64;
        let accuracy = |drawn: &[usize]| drawn.iter().filter(|&&i| outcomes[i].1).count() as f64 / n;
        let (labels, pairs) = indexed(rows.iter().copied());
        Figures {
            n: rows.len(),
            accuracy: outcomes.iter().filter(|o| o.1).count() as f64 / n,
            accuracy_interval: Interval::of(resample(rows.len(), RESAMPLES, SEED, accuracy)),
            macro_f1: macro_f1(labels.len(), pairs.into_iter()),
            ece: expected_calibration_error(&outcomes, BINS),
            brier: rows.iter().map(|p| p.brier).sum::<f64>() / n,
            thresholds: thresholds.iter().map(|t| AtThreshold::of(t, &outcomes)).collect(),
        }
    }
}

impl AtThreshold {
    fn of(threshold: &Threshold, outcomes: &[Outcome]) -> Self {
        let given = outcomes.iter().filter(|o| threshold.threshold.is_some_and(|t| o.0 >= t));
        let (answered, right) = (given.clone().count(), given.filter(|o| o.1).count());
        AtThreshold {
            goal: threshold.precision,
            threshold: threshold.threshold,
            answered,
            coverage: answered as f64 / outcomes.len().max(1) as f64,
            precision: (answered > 0).then(|| right as f64 / answered as f64),
            precision_interval: (answered > 0).then(|| wilson(right, answered)),
        }
    }
}

/// Where a probability falls among bins of equal width.
fn bin_of(p: f64, bins: usize) -> usize {
    ((p * bins as f64) as usize).min(bins - 1)
}

fn reliability(outcomes: &[Outcome]) -> Vec<Bin> {
    let mut rows = vec![Vec::new(); BINS];
    outcomes.iter().for_each(|o| rows[bin_of(o.0, BINS)].push(*o));
    let bin = |(at, rows): (usize, &Vec<Outcome>)| {
        let (n, right) = (rows.len(), rows.iter().filter(|o| o.1).count());
        let filled = |value: f64| (n > 0).then_some(value);
        Bin {
            from: at as f64 / BINS as f64,
            to: (at + 1) as f64 / BINS as f64,
            n,
            confidence: filled(rows.iter().map(|o| o.0).sum::<f64>() / n as f64),
            accuracy: filled(right as f64 / n as f64),
            interval: (n > 0).then(|| wilson(right, n)),
        }
    };
    rows.iter().enumerate().map(bin).collect()
}

fn histogram(outcomes: &[Outcome]) -> Vec<Bar> {
    let bar = |at: usize| Bar { from: at as f64 / BARS as f64, to: (at + 1) as f64 / BARS as f64, right: 0, wrong: 0 };
    let mut bars: Vec<Bar> = (0..BARS).map(bar).collect();
    for &(p, right) in outcomes {
        let bar = &mut bars[bin_of(p, BARS)];
        *(if right { &mut bar.right } else { &mut bar.wrong }) += 1;
    }
    bars
}

fn matrix(predictions: &[Prediction]) -> Matrix {
    let (labels, pairs) = indexed(predictions.iter());
    let mut cells: BTreeMap<(usize, usize), (usize, usize)> = BTreeMap::new();
    for (row, pair) in pairs.into_iter().enumerate() {
        cells.entry(pair).or_insert((0, row)).0 += 1;
    }
    Matrix {
        labels: labels.into_iter().map(str::to_owned).collect(),
        cells: cells.into_iter().map(|((label, predicted), (n, first))| (label, predicted, n, first)).collect(),
    }
}

fn intents(predictions: &[Prediction], matrix: &Matrix) -> Vec<IntentRow> {
    let counts = label_counts(matrix.labels.len(), indexed(predictions.iter()).1.into_iter());
    let confusions = matrix.confusions();
    let row = |(at, intent): (usize, &String)| {
        let c = counts[at];
        let mistaken_for = confusions.iter().find(|m| m.0 == at).map(|m| (matrix.labels[m.1].clone(), m.2));
        let (precision, recall, f1) = (c.precision(), c.recall(), c.f1());
        IntentRow { intent: intent.clone(), n: c.is, said: c.said, precision, recall, f1, mistaken_for }
    };
    let mut rows: Vec<IntentRow> = matrix.labels.iter().enumerate().map(row).collect();
    rows.sort_by(|a, b| a.f1.total_cmp(&b.f1).then_with(|| a.intent.cmp(&b.intent)));
    rows
}

fn detection(predictions: &[Prediction]) -> Option<Detection> {
    let mut scores: Vec<(f64, bool)> = predictions.iter().map(|p| (p.out_of_scope, p.label == OUT_OF_SCOPE)).collect();
    scores.sort_by(|a, b| b.0.total_cmp(&a.0));
    let strangers = scores.iter().filter(|s| s.1).count();
    let own = scores.len() - strangers;
    if strangers == 0 || own == 0 {
        return None;
    }
    let (mut found, mut rejected, mut area) = (0, 0, 0.0);
    let mut best = (0, None);
    for tied in scores.chunk_by(|a, b| a.0 == b.0) {
        let new = tied.iter().filter(|s| s.1).count();
        // The shop's own rows of this score lie below all strangers found before, and beside the new ones.
        area += (tied.len() - new) as f64 * (found as f64 + new as f64 / 2.0);
        found += new;
        rejected += tied.len() - new;
        if rejected as f64 <= FALSE_REJECTION * own as f64 {
            best = (found, Some(tied[0].0));
        }
    }
    Some(Detection {
        in_scope: own,
        out_of_scope: strangers,
        auroc: area / (own as f64 * strangers as f64),
        recall_at_5_percent_false_rejection: best.0 as f64 / strangers as f64,
        threshold: best.1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::prediction::samples::prediction;

    fn header() -> Header {
        let threshold = |precision, threshold| Threshold { precision, threshold, coverage: 0.5 };
        Header {
            model: "intent@1".into(),
            data: "test.jsonl".into(),
            date: "2026-01-31".into(),
            thresholds: vec![threshold(0.9, Some(0.6)), threshold(0.95, None)],
            labels: ["a", "b", "out_of_scope"].map(String::from).to_vec(),
        }
    }

    fn rows() -> Vec<Prediction> {
        vec![
            prediction("运费", "a", "a", 0.9),
            prediction("运费多少", "a", "b", 0.6),
            prediction("how much", "b", "b", 0.7),
            Prediction { path: Path::Full, ..prediction("hello", "stranger", "b", 0.55) },
        ]
    }

    #[test]
    fn figures_of_four_rows() {
        let m = Metrics::of(&header(), &rows());
        assert_eq!((m.n, m.unknown_labels), (4, 1));
        let all = &m.scores["all"];
        assert_eq!((all.n, all.accuracy), (4, 0.5));
        // a: 1 of 1 said, 1 of 2 found; b: 1 of 3 said, 1 of 1 found; stranger: never.
        assert!((all.macro_f1 - (2.0 / 3.0 + 0.5 + 0.0) / 3.0).abs() < 1e-12);
        // Bins of 1/15: 0.9 in [13/15, 14/15), 0.6 in [9/15, 10/15), 0.7 in [10/15, 11/15), 0.55 in [8/15, 9/15).
        assert!((all.ece - (0.1 + 0.6 + 0.3 + 0.55) / 4.0).abs() < 1e-12);
        assert!((all.brier - (2.0 * 0.01 + 2.0 * 0.36 + 2.0 * 0.09 + 2.0 * 0.3025) / 4.0).abs() < 1e-12);
        assert!(all.accuracy_interval.low < 0.5 && all.accuracy_interval.high > 0.5, "{:?}", all.accuracy_interval);
        let [at_90, at_95] = all.thresholds[..] else { panic!("two thresholds") };
        assert_eq!((at_90.goal, at_90.answered, at_90.coverage, at_90.precision), (0.9, 3, 0.75, Some(2.0 / 3.0)));
        assert_eq!((at_95.answered, at_95.coverage, at_95.precision), (0, 0.0, None));
        assert_eq!((m.scores["zh"].n, m.scores["zh"].accuracy, m.scores["en"].accuracy), (2, 0.5, 0.5));
        assert_eq!((m.paths["fast"].n, m.paths["full"].n, m.paths["full"].accuracy), (3, 1, 0.0));
        assert_eq!(m.out_of_scope, None, "no row is out of scope");
        // Risks at each row: 0, 0 (0.7 is right), 1/3, 2/4.
        assert!((m.aurc - (1.0 / 3.0 + 0.5) / 4.0).abs() < 1e-12);
    }

    #[test]
    fn intents_and_confusions_of_four_rows() {
        let m = Metrics::of(&header(), &rows());
        let row = |name: &str| m.intents.iter().find(|r| r.intent == name).unwrap();
        let b = row("b");
        assert_eq!((b.n, b.said, b.precision, b.recall, b.f1), (1, 3, Some(1.0 / 3.0), Some(1.0), 0.5));
        assert_eq!(b.mistaken_for, None);
        assert_eq!((row("stranger").precision, row("stranger").recall), (None, Some(0.0)));
        assert_eq!(row("a").mistaken_for, Some(("b".to_owned(), 1)));
        let order: Vec<&str> = m.intents.iter().map(|r| r.intent.as_str()).collect();
        assert_eq!(order, ["stranger", "b", "a"], "the weakest first");
        assert_eq!(m.matrix.labels, ["a", "b", "stranger"]);
        assert_eq!(m.matrix.cells, [(0, 0, 1, 0), (0, 1, 1, 1), (1, 1, 1, 2), (2, 1, 1, 3)]);
        assert_eq!(m.matrix.confusions(), [(0, 1, 1, 1), (2, 1, 1, 3)]);
    }

    #[test]
    fn bins_hold_their_rows_and_the_ends_belong_to_the_outer_ones() {
        let outcomes = [(0.0, false), (1.0, true), (1.0, false), (0.5, true)];
        let bins = reliability(&outcomes);
        assert_eq!(bins.iter().map(|b| b.n).collect::<Vec<_>>(), [1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2]);
        assert_eq!((bins[14].confidence, bins[14].accuracy, bins[1].accuracy), (Some(1.0), Some(0.5), None));
        // Wilson, 1 of 2: (0.5 + z²/4 ± z * sqrt(0.25/2 + z²/16)) / (1 + z²/2)
        let interval = bins[14].interval.unwrap();
        assert!((interval.low - 0.0945).abs() < 1e-4 && (interval.high - 0.9055).abs() < 1e-4, "{interval:?}");
        let bars = histogram(&outcomes);
        assert_eq!((bars[0].wrong, bars[19].right, bars[19].wrong, bars[10].right), (1, 1, 1, 1));
    }

    #[test]
    fn the_detector_is_measured_by_the_order_of_its_scores() {
        let scored = |score: f64, label: &str| Prediction { out_of_scope: score, ..prediction("x", label, "a", 0.9) };
        // Strangers at 0.9 and 0.4; own rows at 0.4, 0.3, 0.2: of 6 pairs 5 are in order and one is tied.
        let few = [scored(0.9, OUT_OF_SCOPE), scored(0.4, OUT_OF_SCOPE), scored(0.4, "a"), scored(0.3, "a"), scored(0.2, "b")];
        let found = detection(&few).unwrap();
        assert!((found.auroc - 5.5 / 6.0).abs() < 1e-12);
        assert_eq!((found.in_scope, found.out_of_scope), (3, 2));
        // One of three own rows is more than 5 %: only the stranger above them is found.
        assert_eq!((found.recall_at_5_percent_false_rejection, found.threshold), (0.5, Some(0.9)));
        // One of twenty is exactly 5 %.
        let own = (0..20).map(|i| scored(f64::from(i) / 100.0, "a"));
        let many: Vec<Prediction> = own.chain([0.185, 0.18, 0.05].map(|s| scored(s, OUT_OF_SCOPE))).collect();
        let found = detection(&many).unwrap();
        assert_eq!((found.recall_at_5_percent_false_rejection, found.threshold), (1.0 / 3.0, Some(0.185)));
        assert!(detection(&few[2..]).is_none() && detection(&few[..2]).is_none());
    }

    #[test]
    fn metrics_survive_their_file() {
        let m = Metrics::of(&header(), &rows());
        let read: Metrics = serde_json::from_str(&serde_json::to_string(&m).unwrap()).unwrap();
        assert_eq!((&read.matrix, read.unknown_labels, &read.intents[0]), (&m.matrix, 1, &m.intents[0]));
        assert!((read.scores["all"].ece - m.scores["all"].ece).abs() < 1e-12);
    }
}
