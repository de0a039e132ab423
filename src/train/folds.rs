//! What a classifier says of rows that it was not trained on: k-fold cross-validation with the sparse classifier.

use std::collections::HashMap;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::TrainError;
use crate::classify::{Calibration, CalibrationRow, NaiveBayes, SparseRow, Vectorizer};
use crate::domain::Lang;
use crate::text::{FeatureConfig, Features};

/// A row to be judged by the others.
#[derive(Debug, Clone, PartialEq)]
pub struct FoldRow {
    /// Normalised.
    pub text: String,
    pub lang: Lang,
    /// Number of its label.
    pub label: usize,
}

/// How the classifier of each fold is fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct FoldParameters {
    pub features: FeatureConfig,
    pub alpha: f64,
    pub min_df: usize,
}

/// The distribution over `0..classes` that each row was given by a classifier fitted on the folds without it, calibrated on all rows.
/// A row whose label no other fold holds cannot be judged: its distribution is empty.
///
/// Every label is dealt evenly over the folds, and rows of one text go together, since one of them would give the other's label away.
/// The same rows and seed give the same answer. `tell` is called after each fold.
///
/// # Errors
/// Fewer than two folds, or a fit that fails.
pub fn out_of_fold(
    rows: &[FoldRow],
    classes: usize,
    parameters: &FoldParameters,
    folds: usize,
    seed: u64,
    tell: &mut dyn FnMut(),
) -> Result<Vec<Vec<f64>>, TrainError> {
    if folds < 2 {
        return Err(TrainError::Data(format!("{folds} folds: there must be at least 2")));
    }
    let fold_of = deal(rows, classes, folds, seed);
    let mut scored: Vec<Option<(Vec<f64>, usize)>> = vec![None; rows.len()];
    for fold in 0..folds {
        let (inside, outside): (Vec<usize>, Vec<usize>) = (0..rows.len()).partition(|&i| fold_of[i] == fold);
        if !inside.is_empty() && !outside.is_empty() {
            score(rows, &inside, &outside, classes, parameters, &mut scored)?;
        }
        tell();
    }
    let judged = |(row, s): (&FoldRow, &Option<(Vec<f64>, usize)>)| {
        let (scores, features) = s.clone()?;
        Some(CalibrationRow { scores, features, lang: row.lang, label: row.label })
    };
    let (calibration, _) = Calibration::fit(&rows.iter().zip(&scored).filter_map(judged).collect::<Vec<_>>());
    let distribution = |(row, scored): (&FoldRow, Option<(Vec<f64>, usize)>)| match scored {
        Some((scores, features)) => calibration.probabilities(&scores, row.lang, features),
        None => Vec::new(),
    };
    Ok(rows.iter().zip(scored).map(distribution).collect())
}

/// The fold of each row.
fn deal(rows: &[FoldRow], classes: usize, folds: usize, seed: u64) -> Vec<usize> {
    let mut by_text: HashMap<&str, usize> = HashMap::new();
    // Texts by the label of their first row, each with its rows.
    let mut texts: Vec<Vec<usize>> = Vec::new();
    let mut by_label: Vec<Vec<usize>> = vec![Vec::new(); classes];
    for (at, row) in rows.iter().enumerate() {
        let text = *by_text.entry(&row.text).or_insert_with(|| {
            texts.push(Vec::new());
            by_label[row.label].push(texts.len() - 1);
            texts.len() - 1
        });
        texts[text].push(at);
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut fold_of = vec![0; rows.len()];
    // Counted on over the labels, so that small labels do not all begin with the first fold.
    let mut next = 0;
    for label in &mut by_label {
        label.shuffle(&mut random);
        for &text in label.iter() {
            for &row in &texts[text] {
                fold_of[row] = next % folds;
            }
            next += 1;
        }
    }
    fold_of
}

/// Fits on `outside` and scores `inside`. Labels that `outside` does not hold score minus infinity.
fn score(
    rows: &[FoldRow],
    inside: &[usize],
    outside: &[usize],
    classes: usize,
    parameters: &FoldParameters,
    scored: &mut [Option<(Vec<f64>, usize)>],
) -> Result<(), TrainError> {
    let mut known: Vec<usize> = outside.iter().map(|&i| rows[i].label).collect();
    known.sort_unstable();
    known.dedup();
    let number: HashMap<usize, usize> = known.iter().enumerate().map(|(number, &label)| (label, number)).collect();
    let vectorizer = Vectorizer::fit(parameters.features.clone(), outside.iter().map(|&i| rows[i].text.as_str()), parameters.min_df, false);
    if vectorizer.vocabulary.is_empty() {
        return Err(TrainError::Data(format!(
            "no term occurs in {} rows: there are too few rows to judge one by another",
            parameters.min_df
        )));
    }
    let mut scratch = Features::default();
    let mut row_of = |i: usize| vectorizer.transform(&mut scratch, &rows[i].text);
    let training: Vec<SparseRow> = outside.iter().map(|&i| row_of(i)).collect();
    let held_out: Vec<SparseRow> = inside.iter().map(|&i| row_of(i)).collect();
    let labels: Vec<usize> = outside.iter().map(|&i| number[&rows[i].label]).collect();
    let training: Vec<&SparseRow> = training.iter().collect();
    let model = NaiveBayes::fit(&training, &labels, known.len(), vectorizer.vocabulary.len(), parameters.alpha).map_err(TrainError::Fit)?;
    for (&i, row) in inside.iter().zip(&held_out) {
        if number.contains_key(&rows[i].label) {
            let mut scores = vec![f64::NEG_INFINITY; classes];
            for (number, &label) in known.iter().enumerate() {
                let likelihood = &model.log_likelihood[number];
                let evidence = row.iter().map(|&(column, value)| f64::from(value) * likelihood[column as usize]);
                scores[label] = model.log_prior[number] + evidence.sum::<f64>();
            }
            scored[i] = Some((scores, row.len()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> FoldParameters {
        FoldParameters { features: FeatureConfig::default(), alpha: 0.1, min_df: 1 }
    }

    fn row(text: &str, label: usize) -> FoldRow {
        FoldRow { text: text.into(), lang: Lang::En, label }
    }

    #[test]
    fn labels_are_dealt_evenly_and_rows_of_one_text_go_together() {
        let mut rows: Vec<FoldRow> = (0..60).map(|i| row(&format!("text number {i}"), usize::from(i % 3 == 0))).collect();
        rows.push(row("text number 7", 1));
        let fold_of = deal(&rows, 2, 5, 3);
        assert_eq!(fold_of[60], fold_of[7]);
        for fold in 0..5 {
            let of = |label| (0..60).filter(|&i| fold_of[i] == fold && rows[i].label == label).count();
            assert_eq!((of(0), of(1)), (8, 4));
        }
        assert_eq!(deal(&rows, 2, 5, 3), fold_of, "a seed deals once");
        assert_ne!(deal(&rows, 2, 5, 4), fold_of);
    }

    #[test]
    fn a_row_is_judged_by_the_others_and_one_of_its_kind_not_at_all() {
        let parcels = ["where is my parcel", "my parcel is late", "parcel not here yet", "is the parcel lost"];
        let refunds = ["I want a refund", "refund my money", "when is my refund paid", "no refund yet"];
        let mut rows: Vec<FoldRow> = parcels.iter().map(|t| row(t, 0)).chain(refunds.iter().map(|t| row(t, 1))).collect();
        rows.push(row("the refund of the refund", 0));
        rows.push(row("something else", 2));
        let mut told = 0;
        let judged = out_of_fold(&rows, 3, &parameters(), 4, 0, &mut || told += 1).unwrap();
        assert_eq!(told, 4);
        assert!(judged[..9].iter().all(|d| (d.iter().sum::<f64>() - 1.0).abs() < 1e-9));
        assert!(judged[8][1] > 0.5, "it was not told its own label: {:?}", judged[8]);
        assert_eq!(judged[9], [0.0; 0]);
        assert!(out_of_fold(&rows, 3, &parameters(), 1, 0, &mut || ()).is_err());
        assert_eq!(out_of_fold(&[], 3, &parameters(), 4, 0, &mut || ()).unwrap(), [[0.0; 0]; 0]);
    }
}
