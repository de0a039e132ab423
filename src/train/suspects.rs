//! Which rows of a training set are likely to have the wrong label?
//!
//! Confident learning (Northcutt, Jiang and Chuang, 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels"): each row
//! is judged by classifiers that did not see it. A label claims a row when its probability reaches what rows of that label reach on
//! the average, so that a label that is hard to tell needs less than an easy one. A row that another label claims more strongly than
//! its own is a suspect.

use std::collections::HashMap;

use serde::Serialize;

use super::TrainError;
use super::folds::{FoldParameters, FoldRow, out_of_fold};
use crate::corpus::Example;
use crate::text::normalize;

/// A row whose label is likely to be wrong.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suspect {
    /// Number of the row, from 0.
    pub row: usize,
    pub text: String,
    pub given: String,
    /// The label that claims the row.
    pub likely: String,
    /// Out-of-fold probabilities of the two.
    pub given_probability: f64,
    pub likely_probability: f64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SuspectReport {
    pub rows: usize,
    /// Rows whose label no other row has: nothing can judge them.
    pub unjudged: usize,
    /// Share of the judged rows that had the given label as the most probable one.
    pub agreement: f64,
    /// Most suspect first: by the probability of the given label, least first.
    pub suspects: Vec<Suspect>,
}

/// Judges every row by the others; see [`out_of_fold`].
///
/// # Errors
/// Those of [`out_of_fold`], and a set with fewer than two labels.
pub fn suspects(
    rows: &[Example],
    parameters: &FoldParameters,
    folds: usize,
    seed: u64,
    tell: &mut dyn FnMut(),
) -> Result<SuspectReport, TrainError> {
    let mut names: Vec<&str> = rows.iter().map(|r| r.intent.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() < 2 {
        return Err(TrainError::Data(format!("{} labels: one label cannot be mistaken for another", names.len())));
    }
    let number: HashMap<&str, usize> = names.iter().enumerate().map(|(i, n)| (*n, i)).collect();
    let fold_row = |r: &Example| FoldRow { text: normalize(&r.text).text, lang: r.lang, label: number[r.intent.as_str()] };
    let fold_rows: Vec<FoldRow> = rows.iter().map(fold_row).collect();
    let judged = out_of_fold(&fold_rows, names.len(), parameters, folds, seed, tell)?;
    let given: Vec<usize> = fold_rows.iter().map(|r| r.label).collect();
    let unjudged = judged.iter().filter(|d| d.is_empty()).count();
    let agreed = judged.iter().zip(&given).filter(|(d, g)| !d.is_empty() && crate::classify::argmax(d) == **g).count();
    let mut suspects: Vec<Suspect> = claimed(&judged, &given)
        .into_iter()
        .map(|(row, likely)| Suspect {
            row,
            text: rows[row].text.clone(),
            given: rows[row].intent.clone(),
            likely: names[likely].to_owned(),
            given_probability: judged[row][given[row]],
            likely_probability: judged[row][likely],
        })
        .collect();
    // The paper's "self-confidence". Its other ranking, by the margin to the likely label, was worse here: of 1,325 rows of
    // datasets/intents (labels before "i") with a tenth of the labels flipped, 88 % of the first 50 were flipped ones by this ranking and
    // 69 % by that one, the mean of five draws.
    suspects.sort_by(|a, b| a.given_probability.total_cmp(&b.given_probability).then(a.row.cmp(&b.row)));
    let agreement = agreed as f64 / (rows.len() - unjudged).max(1) as f64;
    Ok(SuspectReport { rows: rows.len(), unjudged, agreement, suspects })
}

/// Rows that a label other than the given one claims, with that label.
fn claimed(judged: &[Vec<f64>], given: &[usize]) -> Vec<(usize, usize)> {
    let classes = judged.iter().map(Vec::len).max().unwrap_or(0);
    let mut sums = vec![(0.0, 0usize); classes];
    for (distribution, &label) in judged.iter().zip(given).filter(|(d, _)| !d.is_empty()) {
        sums[label].0 += distribution[label];
        sums[label].1 += 1;
    }
    // Nothing is known of a label without a judged row: it claims nothing.
    let usual: Vec<f64> = sums.iter().map(|&(sum, n)| if n == 0 { f64::INFINITY } else { sum / n as f64 }).collect();
    let claim = |(row, distribution): (usize, &Vec<f64>)| {
        let claims = (0..distribution.len()).filter(|&j| distribution[j] >= usual[j]);
        let strongest = claims.max_by(|&a, &b| distribution[a].total_cmp(&distribution[b]).then(b.cmp(&a)))?;
        (strongest != given[row]).then_some((row, strongest))
    };
    judged.iter().enumerate().filter_map(claim).collect()
}

#[cfg(test)]
mod tests {
    use rand::Rng;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::corpus::read_jsonl;
    use crate::text::FeatureConfig;

    fn parameters() -> FoldParameters {
        FoldParameters { features: FeatureConfig { han_ngram_max: 2, ..Default::default() }, alpha: 0.02, min_df: 2 }
    }

    #[test]
    fn a_label_claims_what_reaches_its_usual_probability() {
        // Label 0 is easy (0.9 on the average), label 1 hard (0.5).
        let judged = vec![vec![0.9, 0.1], vec![0.9, 0.1], vec![0.4, 0.6], vec![0.6, 0.4], vec![0.95, 0.05], vec![]];
        // The fourth is more probably 0, but that is no claim: rows of label 0 are surer of themselves. The fifth is claimed.
        assert_eq!(claimed(&judged, &[0, 0, 1, 1, 1, 0]), [(4, 0)]);
        assert_eq!(claimed(&[], &[]), []);
    }

    /// Flips a tenth of the labels; answers the rows that were flipped.
    fn flip(rows: &mut [Example], seed: u64) -> Vec<usize> {
        let mut names: Vec<String> = rows.iter().map(|r| r.intent.clone()).collect();
        names.sort();
        names.dedup();
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut flipped = Vec::new();
        for (at, row) in rows.iter_mut().enumerate() {
            if random.random_bool(0.1) {
                let others: Vec<&String> = names.iter().filter(|n| **n != row.intent).collect();
                row.intent = others[random.random_range(0..others.len())].clone();
                flipped.push(at);
            }
        }
        flipped
    }

    #[test]
    fn most_of_the_first_fifty_are_rows_whose_label_was_flipped() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/intents/train.jsonl");
        let mut rows: Vec<Example> = read_jsonl(&path).unwrap();
        // A part, so that the test is quick, and not the part on which the ranking was chosen.
        rows.retain(|r| ("p".."s").contains(&r.intent.as_str()));
        let flipped = flip(&mut rows, 11);
        let report = suspects(&rows, &parameters(), 5, 11, &mut || ()).unwrap();
        let precision = |top: usize| {
            let listed = &report.suspects[..top.min(report.suspects.len())];
            listed.iter().filter(|s| flipped.contains(&s.row)).count() as f64 / top as f64
        };
        let (at_50, at_flipped) = (precision(50), precision(flipped.len()));
        println!("{} rows, {} flipped: precision {at_50:.2} at 50, {at_flipped:.2} at as many", rows.len(), flipped.len());
        // Measured: 0.72 and 0.44. Deeper in the list the rows that the sparse classifier gets wrong by itself outnumber the flipped ones.
        assert!(at_50 > 0.6 && at_flipped > 0.4, "{at_50} {at_flipped}");
    }

    #[test]
    fn one_label_alone_is_refused() {
        let rows = [Example { text: "a".into(), intent: "x".into(), lang: crate::domain::Lang::En }];
        assert!(suspects(&rows, &parameters(), 5, 0, &mut || ()).unwrap_err().to_string().contains("1 labels"));
    }
}
