//! The search over features and regularisation of the sparse models, within a time.

use std::time::{Duration, Instant};

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::data::{Corpus, Fold};
use super::held::fit_shares;
use super::recipe::{ClassifierRecipe, SparseParameters};
use super::sparse::{SparseFit, SparseSettings};
use crate::classify::argmax;
use crate::text::FeatureConfig;
use crate::train::TrainError;

/// A setting that was tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    pub settings: SparseSettings,
    /// Of held-out rows, with the models joined as they will be.
    pub accuracy: f64,
    /// Mean negative log-likelihood of the right labels, in nats: what is minimised.
    pub loss: f64,
}

/// Tries settings until the time is over, the recipe's own first, so that the best is never worse than it. The order of the trials is
/// the seed's; how many there are is the machine's, so the winner belongs into the recipe (`settings_of` prints it).
///
/// # Errors
/// When the recipe's own settings cannot be fitted.
pub fn autotune(
    recipe: &ClassifierRecipe,
    corpus: &Corpus,
    budget: Duration,
    tell: &mut dyn FnMut(&Trial, usize),
) -> Result<Trial, TrainError> {
    let begin = Instant::now();
    let fold = corpus.folds(recipe.data.folds.max(2), recipe.seed).swap_remove(0);
    let mut best = attempt(SparseSettings::of(recipe), corpus, &fold)?;
    tell(&best, 1);
    let mut random = ChaCha8Rng::seed_from_u64(recipe.seed);
    let mut tried = 1;
    let mut longest = begin.elapsed();
    // One more trial must fit into the time that is left.
    while begin.elapsed() + longest < budget {
        let start = Instant::now();
        let settings = if tried % 2 == 1 { anywhere(&mut random, recipe.seed) } else { nearby(&best.settings, &mut random) };
        tried += 1;
        // Some settings leave no feature at all: a bad trial, not the end.
        if let Ok(trial) = attempt(settings, corpus, &fold)
            && trial.loss < best.loss
        {
            best = trial;
            tell(&best, tried);
        }
        longest = longest.max(start.elapsed());
    }
    Ok(best)
}

fn attempt(settings: SparseSettings, corpus: &Corpus, fold: &Fold) -> Result<Trial, TrainError> {
    let fitted = SparseFit::fit(&settings, corpus, &fold.fit)?;
    let held: Vec<usize> = fold.held.iter().copied().filter(|&r| corpus.rows.labels[r].is_some()).collect();
    let labels = corpus.labels_of(&held);
    let scores = fitted.scores(corpus, &held);
    let rows = || scores.iter().zip(&labels).map(|((_, s), &label)| (s[0].as_slice(), s[1].as_slice(), label));
    let [a, b] = fit_shares(rows());
    let (mut right, mut loss) = (0, 0.0);
    for (x, y, label) in rows() {
        let joined: Vec<f64> = x.iter().zip(y).map(|(x, y)| a * x + b * y).collect();
        right += usize::from(argmax(&joined) == label);
        let max = joined.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        loss += max + joined.iter().map(|s| (s - max).exp()).sum::<f64>().ln() - joined[label];
    }
    let n = labels.len().max(1) as f64;
    Ok(Trial { settings, accuracy: right as f64 / n, loss: loss / n })
}

/// A number whose logarithm is even between two ends.
fn even_in_logarithm(random: &mut ChaCha8Rng, from: f64, to: f64) -> f64 {
    let value = (from.ln() + random.random::<f64>() * (to.ln() - from.ln())).exp();
    // Two digits are enough, and can be typed.
    let digit = 10f64.powf(value.log10().floor() - 1.0);
    (value / digit).round() * digit
}

fn anywhere(random: &mut ChaCha8Rng, seed: u64) -> SparseSettings {
    let (latin_ngram_min, latin_ngram_max) = [(2, 4), (2, 5), (3, 5), (3, 6), (1, 4), (0, 0)][random.random_range(0..6)];
    let features = FeatureConfig {
        word_pairs: random.random_bool(0.7),
        han_ngram_min: 1,
        han_ngram_max: random.random_range(1..=3),
        latin_ngram_min,
        latin_ngram_max,
    };
    let parameters = SparseParameters {
        alpha: even_in_logarithm(random, 0.003, 1.0),
        min_df: random.random_range(1..=3),
        c: even_in_logarithm(random, 0.05, 5.0),
        sublinear: random.random_bool(0.7),
    };
    SparseSettings { features, parameters, seed }
}

/// The settings with one of them drawn anew.
fn nearby(settings: &SparseSettings, random: &mut ChaCha8Rng) -> SparseSettings {
    let other = anywhere(random, settings.seed);
    let mut out = settings.clone();
    match random.random_range(0..6) {
        0 => out.parameters.alpha = other.parameters.alpha,
        1 => out.parameters.c = other.parameters.c,
        2 => out.parameters.min_df = other.parameters.min_df,
        3 => out.parameters.sublinear = other.parameters.sublinear,
        4 => out.features.han_ngram_max = other.features.han_ngram_max,
        _ => {
            (out.features.latin_ngram_min, out.features.latin_ngram_max) = (other.features.latin_ngram_min, other.features.latin_ngram_max);
            out.features.word_pairs = other.features.word_pairs;
        }
    }
    out
}

/// The settings as the command line takes them.
pub fn settings_of(settings: &SparseSettings) -> Vec<String> {
    let SparseSettings { features: f, parameters: p, .. } = settings;
    [
        format!("sparse.alpha={}", p.alpha),
        format!("sparse.c={}", p.c),
        format!("sparse.min_df={}", p.min_df),
        format!("sparse.sublinear={}", p.sublinear),
        format!("features.word_pairs={}", f.word_pairs),
        format!("features.han_ngram_max={}", f.han_ngram_max),
        format!("features.latin_ngram_min={}", f.latin_ngram_min),
        format!("features.latin_ngram_max={}", f.latin_ngram_max),
    ]
    .to_vec()
}
