//! The encoder's share of the training: vectors of all rows for a fold, by frozen layers or a branch tuned on the fold.

use std::collections::BTreeMap;
use std::sync::Arc;

use linfa::prelude::*;
use linfa_logistic::MultiLogisticRegression;
use ndarray::{Array1, Array2};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::data::{Corpus, Fold};
use super::recipe::{ClassifierRecipe, EncoderKind};
use crate::classify::{Dense, Examples, Head};
use crate::embed::tuning::{Cached, Labelled, Tuned, Tuning, tune};
use crate::embed::{Arithmetic, Branch};
use crate::train::workplace::tell_tuning;
use crate::train::{News, Tell, TrainError, TrainingEncoder, Workplace};

/// The states of all rows of a corpus, and what turns them into a fold's vectors.
pub struct EncoderStage<'a> {
    pub encoder: &'a TrainingEncoder,
    cached: Cached,
    corpus: &'a Corpus,
    recipe: &'a ClassifierRecipe,
    workplace: &'a Workplace,
}

/// A fitted head, and the vectors that it stands on, of every row of the corpus that was asked for.
pub struct FoldVectors {
    pub dense: Dense,
    pub vectors: BTreeMap<usize, Vec<f32>>,
}

impl<'a> EncoderStage<'a> {
    /// Runs the trunk over all rows.
    ///
    /// # Errors
    /// The encoder's.
    pub fn start(
        encoder: &'a TrainingEncoder,
        corpus: &'a Corpus,
        recipe: &'a ClassifierRecipe,
        workplace: &'a Workplace,
        tell: Tell<'_>,
    ) -> Result<Self, TrainError> {
        let cached = encoder.states(&corpus.rows.texts, tell)?;
        Ok(EncoderStage { encoder, cached, corpus, recipe, workplace })
    }

    /// Fits on `fold.fit`; answers the vectors of its rows and of `also`.
    ///
    /// # Errors
    /// The encoder's, linfa's, the disk's.
    pub fn fit(&self, fold: &Fold, also: &[usize], name: &str, tell: Tell<'_>) -> Result<FoldVectors, TrainError> {
        // Rows outside of all labels have none to learn.
        let fit: Vec<usize> = fold.fit.iter().copied().filter(|&r| self.corpus.rows.labels[r].is_some()).collect();
        let mut wanted: Vec<usize> = fit.iter().chain(&fold.held).chain(also).copied().collect();
        wanted.sort_unstable();
        wanted.dedup();
        let (head, branch, vectors) = match self.recipe.encoder.kind {
            EncoderKind::Branch => {
                let tuned = self.tuned(&fit, &fold.held, name, tell)?;
                let branch = Branch::parse(&tuned.branch, Arithmetic::Float)?;
                tell(News::Step("vectors of the tuned branch"));
                let vectors = self.cached.vectors(&wanted, |states| branch.pooled(states))?;
                (Head { weight: tuned.weight, bias: tuned.bias }, Some(Arc::from(tuned.branch)), vectors)
            }
            _ => {
                tell(News::Step("sentence vectors"));
                let vectors = self.cached.vectors(&wanted, |states| self.encoder.encoder.sentences(states))?;
                tell(News::Step("fit the head"));
                let of_fit: Vec<&[f32]> =
                    wanted.iter().zip(&vectors).filter(|(r, _)| fit.binary_search(r).is_ok()).map(|(_, v)| v.as_slice()).collect();
                (frozen_head(&of_fit, &self.corpus.labels_of(&fit), self.corpus.labels.len(), self.recipe.encoder.penalty)?, None, vectors)
            }
        };
        let vectors: BTreeMap<usize, Vec<f32>> = wanted.into_iter().zip(vectors).collect();
        let examples = self.examples(&fit, &vectors);
        Ok(FoldVectors { dense: Dense { head, examples, branch }, vectors })
    }

    fn tuned(&self, fit: &[usize], held: &[usize], name: &str, tell: Tell<'_>) -> Result<Tuned, TrainError> {
        let first = self.tuned_once(fit, held, name, self.recipe.seed, tell)?;
        let more = (1..self.recipe.encoder.tuning.runs).map(|run| {
            tell(News::Step("another run"));
            self.tuned_once(fit, held, &format!("{name}-{run}"), self.recipe.seed.wrapping_add(run as u64), tell)
        });
        let mut runs = vec![first];
        for run in more {
            runs.push(run?);
        }
        if runs.len() == 1 { Ok(runs.remove(0)) } else { Ok(Tuned::mean(&runs)?) }
    }

    fn tuned_once(&self, fit: &[usize], held: &[usize], name: &str, seed: u64, tell: Tell<'_>) -> Result<Tuned, TrainError> {
        let finished = self.workplace.checkpoint(name, "done");
        if let Some(tuned) = Tuned::load(&finished)? {
            tell(News::Step("a branch that an interrupted training finished is taken up"));
            return Ok(tuned);
        }
        // Rows outside have no label that could be right or wrong.
        let labels: Vec<usize> = self.corpus.rows.labels.iter().map(|l| l.unwrap_or(usize::MAX)).collect();
        let watched: Vec<usize> = held.iter().copied().filter(|&r| labels[r] != usize::MAX).collect();
        let train = Labelled { set: &self.cached, rows: fit, labels: &labels };
        let parameters = &self.recipe.encoder.tuning;
        let job = Tuning {
            weights: &self.encoder.weights,
            train,
            valid: &watched,
            classes: self.corpus.labels.len(),
            parameters,
            seed,
            checkpoint: Some(&self.workplace.checkpoint(name, "checkpoint")),
        };
        let tuned = tune(job, &mut |news| tell_tuning(tell, parameters.epochs, news))?;
        tuned.save(&finished)?;
        Ok(tuned)
    }

    /// The same number of each label where there are as many, chosen by the seed, and the labels' mean vectors over all rows.
    fn examples(&self, fit: &[usize], vectors: &BTreeMap<usize, Vec<f32>>) -> Examples {
        let dimension = self.encoder.encoder.dimension();
        let labels = self.corpus.labels.len();
        let mut shuffled = fit.to_vec();
        shuffled.shuffle(&mut ChaCha8Rng::seed_from_u64(self.recipe.seed));
        let mut examples = Examples { centroids: vec![0.0; labels * dimension], ..Examples::default() };
        let mut counts = vec![0usize; labels];
        for row in shuffled {
            let (Some(label), Some(vector)) = (self.corpus.rows.labels[row], vectors.get(&row)) else { continue };
            for (sum, v) in examples.centroids[label * dimension..][..dimension].iter_mut().zip(vector) {
                *sum += v;
            }
            counts[label] += 1;
            if counts[label] <= self.recipe.encoder.examples {
                examples.texts.push(self.corpus.rows.texts[row].clone());
                examples.labels.push(label);
                examples.vectors.extend(Examples::rounded(vector));
            }
        }
        for mean in examples.centroids.chunks_exact_mut(dimension) {
            let norm = mean.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
            mean.iter_mut().for_each(|v| *v /= norm);
        }
        examples
    }
}

/// Multinomial logistic regression (linfa-logistic, L-BFGS) on vectors of length 1.
///
/// e5's vectors crowd in one corner of the sphere: they are centred and stretched to unit deviation, and the head is folded back.
fn frozen_head(vectors: &[&[f32]], labels: &[usize], classes: usize, penalty: f64) -> Result<Head, TrainError> {
    let dimension = vectors.first().map_or(0, |v| v.len());
    let n = vectors.len().max(1) as f64;
    let mut mean = vec![0.0; dimension];
    vectors.iter().for_each(|v| mean.iter_mut().zip(*v).for_each(|(m, x)| *m += f64::from(*x) / n));
    let spread = vectors.iter().map(|v| mean.iter().zip(*v).map(|(m, x)| (f64::from(*x) - m).powi(2)).sum::<f64>()).sum::<f64>();
    let scale = 1.0 / (spread / (n * dimension as f64)).sqrt().max(1e-9);
    let rows = Array2::from_shape_fn((vectors.len(), dimension), |(i, j)| (f64::from(vectors[i][j]) - mean[j]) * scale);
    let model = MultiLogisticRegression::default()
        .alpha(penalty * n / 100.0)
        .max_iterations(200)
        .gradient_tolerance(1e-4)
        .fit(&Dataset::new(rows, Array1::from_vec(labels.to_vec())))
        .map_err(|e| TrainError::Fit(e.to_string()))?;
    let mut head = Head { weight: vec![0.0; classes * dimension], bias: vec![f32::MIN / 4.0; classes] };
    for (at, &label) in model.classes().iter().enumerate() {
        let mut bias = model.intercept()[at];
        for ((to, w), mean) in head.weight[label * dimension..].iter_mut().zip(model.params().column(at)).zip(&mean) {
            *to = (w * scale) as f32;
            bias -= w * scale * mean;
        }
        head.bias[label] = bias as f32;
    }
    Ok(head)
}
