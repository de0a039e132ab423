//! How good would it be? Cross-validation and the learning curve of a recipe.

use std::collections::BTreeMap;

use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::data::{Corpus, Fold};
use super::recipe::ClassifierRecipe;
use super::{News, Tell, train_classifier};
use crate::classify::Scores;
use crate::train::{TrainError, TrainingEncoder, Workplace};

/// What one training of a study reached on rows that it had not seen.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct StudyPoint {
    pub train_rows: usize,
    /// `fast`, `full`, and each by language.
    pub scores: BTreeMap<String, Scores>,
}

/// Trains in each fold on the others; the validation set, where there is one, is held out in no fold.
///
/// # Errors
/// Those of the training.
pub fn cross_validate(
    recipe: &ClassifierRecipe,
    corpus: &Corpus,
    folds: usize,
    encoder: Option<&TrainingEncoder>,
    workplace: &Workplace,
    tell: Tell<'_>,
) -> Result<Vec<StudyPoint>, TrainError> {
    let mut out = Vec::new();
    for (number, fold) in corpus.cross_folds(folds, recipe.seed).iter().enumerate() {
        tell(News::Step(&format!("cross-validation: fold {} of {folds}", number + 1)));
        out.push(point(recipe, corpus, fold, &format!("cross-{number}-of-{folds}"), encoder, workplace, tell)?);
    }
    Ok(out)
}

/// Trains on growing shares of the training rows, each holding the one before it, and scores each on the same held-out rows: the
/// validation set, or a fifth of the training rows.
///
/// # Errors
/// Those of the training.
pub fn learning_curve(
    recipe: &ClassifierRecipe,
    corpus: &Corpus,
    shares: &[f64],
    encoder: Option<&TrainingEncoder>,
    workplace: &Workplace,
    tell: Tell<'_>,
) -> Result<Vec<StudyPoint>, TrainError> {
    let Fold { mut fit, held } = corpus.folds(5, recipe.seed).swap_remove(0);
    fit.shuffle(&mut ChaCha8Rng::seed_from_u64(recipe.seed));
    let mut out = Vec::new();
    for share in shares {
        let part = first_of_each(corpus, &fit, *share);
        tell(News::Step(&format!("learning curve: {} training rows", part.len())));
        let fold = Fold { fit: part, held: held.clone() };
        out.push(point(recipe, corpus, &fold, &format!("curve-{}", fold.fit.len()), encoder, workplace, tell)?);
    }
    Ok(out)
}

/// A share of each label's rows, at least two of each.
fn first_of_each(corpus: &Corpus, rows: &[usize], share: f64) -> Vec<usize> {
    let mut totals: BTreeMap<Option<usize>, usize> = BTreeMap::new();
    rows.iter().for_each(|&r| *totals.entry(corpus.rows.labels[r]).or_default() += 1);
    let mut taken: BTreeMap<Option<usize>, usize> = BTreeMap::new();
    let keep = |r: &&usize| {
        let label = corpus.rows.labels[**r];
        let taken = taken.entry(label).or_default();
        *taken += 1;
        *taken <= ((totals[&label] as f64 * share).ceil() as usize).max(2)
    };
    let mut part: Vec<usize> = rows.iter().filter(keep).copied().collect();
    part.sort_unstable();
    part
}

fn point(
    recipe: &ClassifierRecipe,
    corpus: &Corpus,
    fold: &Fold,
    name: &str,
    encoder: Option<&TrainingEncoder>,
    workplace: &Workplace,
    tell: Tell<'_>,
) -> Result<StudyPoint, TrainError> {
    let part = Corpus { train: fold.fit.clone(), valid: fold.held.clone(), test: vec![], ..corpus.clone() };
    let classifier = train_classifier(recipe, &part, encoder, &workplace.part(name), tell)?;
    let scores = classifier.meta().scores.iter().filter_map(|(n, s)| Some((n.strip_prefix("held.")?.to_owned(), *s))).collect();
    Ok(StudyPoint { train_rows: fold.fit.len(), scores })
}
