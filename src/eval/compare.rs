//! Two classifiers on the same rows: is one better, or was it luck?
//!
//! Rows are paired. The difference of accuracy is tested by McNemar's exact test, which looks only at the rows where one is right and the
//! other wrong; intervals of the differences come from a bootstrap that draws the same rows for both.

use std::collections::BTreeMap;

use serde::Serialize;
use statrs::distribution::{Binomial, DiscreteCDF};

use super::bootstrap::{Interval, resample};
use super::format::{p_value, points, short, thousands};
use super::prediction::{Prediction, indexed};
use super::report::BINS;
use crate::classify::{Outcome, Z_95, expected_calibration_error, macro_f1};
use crate::domain::Lang;

const RESAMPLES: usize = 10_000;
const SEED: u64 = 1;
/// A difference is called real below this probability of its being luck.
const LUCK: f64 = 0.05;
/// One-sided 80 % quantile of the normal distribution: the power that a sample is sized for.
const Z_80: f64 = 0.841_621_233_572_914;

/// What `eval compare` says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    pub verdict: Verdict,
    pub resamples: usize,
    pub seed: u64,
    /// `all`, and each language that occurs.
    pub scores: BTreeMap<String, Differences>,
    /// Rows that only A got right.
    pub only_a: Vec<Disagreement>,
    pub only_b: Vec<Disagreement>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    pub outcome: Outcomes,
    pub sentence: String,
    /// Rows like these that would show a difference of this size four times in five; `null` where it is shown, or none is to be seen.
    pub rows_needed: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcomes {
    ABetter,
    BBetter,
    NoDifference,
}

/// Both on one set of rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Differences {
    pub n: usize,
    pub accuracy: Difference,
    pub macro_f1: Difference,
    /// 15 bins; smaller is better.
    pub ece: Difference,
    pub mcnemar: McNemar,
}

/// A figure of both, and B's less A's with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    pub a: f64,
    pub b: f64,
    pub difference: f64,
    pub interval: Interval,
}

/// McNemar's exact test (1947; exact as the two-sided sign test of the discordant rows).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct McNemar {
    /// Rows that only A got right.
    pub only_a: usize,
    pub only_b: usize,
    /// Chance of so uneven a split, were both equally good.
    pub p: f64,
}

/// A row that one got right and the other wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Disagreement {
    /// From 1.
    pub row: usize,
    pub text: String,
    pub lang: Lang,
    pub label: String,
    /// What the one that was wrong said, and how sure it was.
    pub wrong: String,
    pub confidence: f64,
}

#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    #[error("A has {} rows and B has {}: predictions are compared on the same rows only", thousands(*.a), thousands(*.b))]
    Lengths { a: usize, b: usize },
    #[error("row {row} is not the same in both: A has {a}, B has {b}")]
    Row { row: usize, a: String, b: String },
    #[error("there is no row to compare on")]
    Empty,
}

/// Holds B against A.
///
/// # Errors
/// When text, language and label of the rows are not the same in the same order.
pub fn compare(a: &[Prediction], b: &[Prediction]) -> Result<Comparison, CompareError> {
    let same = |a: &Prediction, b: &Prediction| a.text == b.text && a.lang == b.lang && a.label == b.label;
    if a.is_empty() && b.is_empty() {
        return Err(CompareError::Empty);
    }
    if let Some(row) = a.iter().zip(b).position(|(a, b)| !same(a, b)) {
        let name = |p: &Prediction| format!("{:?} ({}, {})", short(&p.text, 60), p.lang, p.label);
        return Err(CompareError::Row { row: row + 1, a: name(&a[row]), b: name(&b[row]) });
    }
    if a.len() != b.len() {
        return Err(CompareError::Lengths { a: a.len(), b: b.len() });
    }
    let pairs: Vec<(&Prediction, &Prediction)> = a.iter().zip(b).collect();
    let all = Differences::of(&pairs);
    let verdict = Verdict::of(&all);
    let mut scores = BTreeMap::from([("all".to_owned(), all)]);
    for lang in Lang::ALL {
        let part: Vec<_> = pairs.iter().copied().filter(|p| p.0.lang == lang).collect();
        if !part.is_empty() {
            scores.insert(lang.to_string(), Differences::of(&part));
        }
    }
    Ok(Comparison { verdict, resamples: RESAMPLES, seed: SEED, scores, only_a: disagreements(a, b), only_b: disagreements(b, a) })
}

/// Rows that only the first got right, the other's most confident errors first.
fn disagreements(right: &[Prediction], wrong: &[Prediction]) -> Vec<Disagreement> {
    let rows = right.iter().zip(wrong).enumerate().filter(|(_, (r, w))| r.right() && !w.right());
    let mut rows: Vec<Disagreement> = rows
        .map(|(at, (_, w))| Disagreement {
            row: at + 1,
            text: w.text.clone(),
            lang: w.lang,
            label: w.label.clone(),
            wrong: w.predicted.clone(),
            confidence: w.confidence,
        })
        .collect();
    rows.sort_by(|x, y| y.confidence.total_cmp(&x.confidence));
    rows
}

/// Accuracy, macro-F1, ECE.
type Figures = [f64; 3];

impl Differences {
    fn of(rows: &[(&Prediction, &Prediction)]) -> Self {
        let n = rows.len();
        let (labels, pairs) = indexed(rows.iter().map(|p| p.0).chain(rows.iter().map(|p| p.1)));
        let outcomes: Vec<Outcome> = rows.iter().map(|p| p.0.outcome()).chain(rows.iter().map(|p| p.1.outcome())).collect();
        // A's rows lie before B's.
        let figures = |drawn: &[usize], offset: usize| -> Figures {
            let drawn_outcomes: Vec<Outcome> = drawn.iter().map(|i| outcomes[i + offset]).collect();
            let accuracy = drawn_outcomes.iter().filter(|o| o.1).count() as f64 / n as f64;
            let macro_f1 = macro_f1(labels.len(), drawn.iter().map(|i| pairs[i + offset]));
            [accuracy, macro_f1, expected_calibration_error(&drawn_outcomes, BINS)]
        };
        let both = |drawn: &[usize]| (figures(drawn, 0), figures(drawn, n));
        let every_row: Vec<usize> = (0..n).collect();
        let (of_a, of_b) = both(&every_row);
        let differences: Vec<Figures> = resample(n, RESAMPLES, SEED, |drawn| {
            let (a, b) = both(drawn);
            std::array::from_fn(|i| b[i] - a[i])
        });
        let difference = |i: usize| Difference {
            a: of_a[i],
            b: of_b[i],
            difference: of_b[i] - of_a[i],
            interval: Interval::of(differences.iter().map(|d| d[i]).collect()),
        };
        let only_a = (0..n).filter(|&i| outcomes[i].1 && !outcomes[i + n].1).count();
        let only_b = (0..n).filter(|&i| !outcomes[i].1 && outcomes[i + n].1).count();
        Differences { n, accuracy: difference(0), macro_f1: difference(1), ece: difference(2), mcnemar: McNemar::of(only_a, only_b) }
    }
}

impl McNemar {
    fn of(only_a: usize, only_b: usize) -> Self {
        let discordant = (only_a + only_b) as u64;
        // Never fails for a probability of one half.
        let tail = Binomial::new(0.5, discordant).map_or(1.0, |fair| fair.cdf(only_a.min(only_b) as u64));
        McNemar { only_a, only_b, p: (2.0 * tail).min(1.0) }
    }
}

impl Verdict {
    fn of(all: &Differences) -> Self {
        let (n, test, found) = (all.n, all.mcnemar, all.accuracy);
        let rows = thousands(n);
        let ahead = if found.difference > 0.0 { "B" } else { "A" };
        // Seen from the one that is ahead.
        let (by, low, high) = if found.difference > 0.0 {
            (found.difference, found.interval.low, found.interval.high)
        } else {
            (-found.difference, -found.interval.high, -found.interval.low)
        };
        let evidence = format!("95 % interval {} to {}, {}", points(low), points(high), p_value(test.p));
        if test.p < LUCK && !found.interval.contains(0.0) {
            let outcome = if ahead == "B" { Outcomes::BBetter } else { Outcomes::ABetter };
            let sentence = format!("{ahead} is better by {} points of accuracy ({evidence}, n = {rows}): real", points(by));
            return Verdict { outcome, sentence, rows_needed: None };
        }
        let rows_needed = rows_needed(test, n);
        let sentence = match rows_needed {
            Some(needed) => format!(
                "no difference that these {rows} rows could show ({ahead} is ahead by {} points, {evidence}); at least ~{} rows are needed \
                 to see a difference of this size",
                points(by),
                thousands(needed)
            ),
            None if test.only_a == 0 => format!("no difference: A and B are right on the same rows (n = {rows})"),
            None => format!("no difference: A and B are right equally often, on {} rows each alone (n = {rows})", thousands(test.only_a)),
        };
        Verdict { outcome: Outcomes::NoDifference, sentence, rows_needed }
    }
}

/// Rows at which McNemar's test would see the difference found with 80 % power (Connor 1987), to two digits; `None` where there is none.
fn rows_needed(test: McNemar, n: usize) -> Option<usize> {
    if test.only_a == test.only_b {
        return None;
    }
    let discordant = (test.only_a + test.only_b) as f64 / n as f64;
    let difference = test.only_a.abs_diff(test.only_b) as f64 / n as f64;
    let root = Z_95 * discordant.sqrt() + Z_80 * (discordant - difference * difference).max(0.0).sqrt();
    let needed = (root / difference).powi(2).max(n as f64 + 1.0);
    let unit = 10f64.powf(needed.log10().floor() - 1.0).max(1.0);
    Some(((needed / unit).ceil() * unit) as usize)
}

#[cfg(test)]
mod tests {
    use super::super::prediction::samples::prediction;
    use super::*;

    /// A set where `only_a` and `only_b` rows are got right by one alone; the rest by both.
    fn sets(n: usize, only_a: usize, only_b: usize) -> (Vec<Prediction>, Vec<Prediction>) {
        let row = |i: usize, right: bool| {
            let text = if i.is_multiple_of(2) { format!("message {i}") } else { format!("消息{i}") };
            prediction(&text, "a", if right { "a" } else { "b" }, 0.8)
        };
        let a = (0..n).map(|i| row(i, !(only_a..only_a + only_b).contains(&i))).collect();
        let b = (0..n).map(|i| row(i, i >= only_a)).collect();
        (a, b)
    }

    #[test]
    fn the_exact_test_agrees_with_the_binomial_by_hand() {
        assert_eq!(McNemar::of(0, 0).p, 1.0);
        assert_eq!(McNemar::of(4, 4).p, 1.0);
        // 2 * (1 + 10) / 2^10
        assert!((McNemar::of(1, 9).p - 22.0 / 1024.0).abs() < 1e-9);
        assert!((McNemar::of(9, 1).p - 22.0 / 1024.0).abs() < 1e-9);
        // 2 / 2^6
        assert!((McNemar::of(0, 6).p - 1.0 / 32.0).abs() < 1e-9);
        assert!(McNemar::of(40_000, 41_000).p < 0.001);
    }

    #[test]
    fn a_large_difference_is_real_whichever_way_it_points() {
        let (a, b) = sets(1000, 10, 50);
        let found = compare(&a, &b).unwrap();
        assert_eq!((found.verdict.outcome, found.verdict.rows_needed), (Outcomes::BBetter, None));
        assert!(
            found.verdict.sentence.starts_with("B is better by 4.0 points of accuracy (95 % interval 2."),
            "{}",
            found.verdict.sentence
        );
        assert!(found.verdict.sentence.ends_with("p < 0.001, n = 1,000): real"), "{}", found.verdict.sentence);
        let all = &found.scores["all"];
        assert!((all.accuracy.difference - 0.04).abs() < 1e-12 && all.accuracy.a == 0.95 && all.accuracy.b == 0.99);
        // sqrt((0.06 - 0.04²) / 1000) = 0.00764: the interval of theory is 0.025 to 0.055.
        assert!((all.accuracy.interval.low - 0.025).abs() < 0.002 && (all.accuracy.interval.high - 0.055).abs() < 0.002);
        // One label occurs, said in 950 and 990 of 1000 rows: F1 = 2 * hit / (said + n).
        assert!((all.macro_f1.a - 1900.0 / 1950.0).abs() < 1e-12 && (all.macro_f1.b - 1980.0 / 1990.0).abs() < 1e-12);
        assert!((all.ece.a - 0.15).abs() < 1e-9 && (all.ece.b - 0.19).abs() < 1e-9, "confidence is 0.8 everywhere");
        assert_eq!((found.only_a.len(), found.only_b.len()), (10, 50));
        assert_eq!((found.only_b[0].row, found.only_b[0].wrong.as_str()), (11, "b"));
        assert_eq!((found.scores["zh"].n, found.scores["zh"].mcnemar.only_b), (500, 25));

        let turned = compare(&b, &a).unwrap();
        assert_eq!(turned.verdict.outcome, Outcomes::ABetter);
        assert!(
            turned.verdict.sentence.starts_with("A is better by 4.0 points of accuracy (95 % interval 2."),
            "{}",
            turned.verdict.sentence
        );
    }

    #[test]
    fn what_few_rows_cannot_show_is_said_with_the_rows_it_takes() {
        let (a, b) = sets(300, 8, 12);
        let verdict = compare(&a, &b).unwrap().verdict;
        assert_eq!(verdict.outcome, Outcomes::NoDifference);
        // psi = 1/15, d = 1/75: ((1.96 * 0.2582 + 0.8416 * 0.25786) / 0.013333)² = 2939.7
        assert_eq!(verdict.rows_needed, Some(3000));
        let said = &verdict.sentence;
        assert!(said.starts_with("no difference that these 300 rows could show (B is ahead by 1.3 points, 95 % interval -"), "{said}");
        assert!(said.ends_with("p = 0.50); at least ~3,000 rows are needed to see a difference of this size"), "{said}");
    }

    #[test]
    fn equal_ones_are_equal() {
        let (a, b) = sets(50, 3, 3);
        let verdict = compare(&a, &b).unwrap().verdict;
        assert_eq!((verdict.outcome, verdict.rows_needed), (Outcomes::NoDifference, None));
        assert_eq!(verdict.sentence, "no difference: A and B are right equally often, on 3 rows each alone (n = 50)");
        let same = compare(&a, &a).unwrap();
        assert_eq!(same.verdict.sentence, "no difference: A and B are right on the same rows (n = 50)");
        assert_eq!(same.scores["all"].ece.interval, Interval { low: 0.0, high: 0.0 });
    }

    #[test]
    fn other_rows_are_refused_by_name() {
        let (a, mut b) = sets(10, 1, 1);
        assert!(matches!(compare(&a, &b[..9]), Err(CompareError::Lengths { a: 10, b: 9 })));
        b[4].label = "c".into();
        let said = compare(&a, &b).unwrap_err().to_string();
        assert_eq!(said, "row 5 is not the same in both: A has \"message 4\" (en, a), B has \"message 4\" (en, c)");
        assert!(matches!(compare(&[], &[]), Err(CompareError::Empty)));
    }
}
