//! The training of the vectors that texts are compared by: the encoder's top layers, so that what means the same is near and what only
//! shares its words is not.

mod data;
mod recipe;
#[cfg(test)]
mod tests;

pub use data::RetrievalCorpus;
pub use recipe::RetrievalRecipe;

use std::collections::BTreeMap;

use candle_core::{Result, Tensor};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use self::recipe::RetrievalParameters;
use super::workplace::tell_tuning;
use super::{News, Tell, TrainError, TrainingEncoder, Workplace};
use crate::embed::comparing::{Comparing, ComparingMeta, HitScores};
use crate::embed::tuning::ops::{Contrast, Pool};
use crate::embed::tuning::{Batch, Fit, Head, Noise, fit};
use crate::embed::{Arithmetic, Branch};
use crate::numeric::dot;
use crate::text::TEXT_VERSION;

/// Trains the branch on a corpus read by [`RetrievalCorpus::read`].
///
/// # Errors
/// A recipe that cannot be trained, the disk's, candle's.
pub fn train_retrieval(
    recipe: &RetrievalRecipe,
    corpus: &RetrievalCorpus,
    encoder: &TrainingEncoder,
    workplace: &Workplace,
    tell: Tell<'_>,
) -> std::result::Result<Comparing, TrainError> {
    recipe.check()?;
    for source in &corpus.sources {
        let (groups, held) = (source.groups.len(), source.families[source.held..].iter().map(Vec::len).sum::<usize>());
        tell(News::Step(&format!("{}: {groups} groups in {} families, {held} groups held out", source.name, source.families.len())));
    }
    let RetrievalParameters { part, texts, .. } = recipe.model;
    if corpus.parts(part, texts, &mut ChaCha8Rng::seed_from_u64(recipe.seed)).len() < 2 {
        return Err(TrainError::Data(format!("an epoch has no two parts of {part} texts of one kind: add groups, or lower model.part")));
    }
    let cached = encoder.states(&corpus.texts, tell)?;
    let head = ContrastHead { corpus, parameters: &recipe.model };
    let (train, held) = (corpus.rows(false), corpus.rows(true));
    let pretrained = cached.vectors(&held, |states| encoder.encoder.sentences(states))?;
    let mut scores = BTreeMap::new();
    scores.extend(corpus.scores(&held, &pretrained).into_iter().map(|(name, s)| (format!("{name}.pretrained"), s)));
    tell(News::Step(&format!(
        "before: {:.1} % of the held-out texts find their group among three",
        100.0 * overall(corpus, &held, &pretrained)
    )));
    let job = Fit {
        weights: Some(&encoder.weights),
        set: &cached,
        train: &train,
        valid: &held,
        parameters: &recipe.tuning,
        seed: recipe.seed,
        checkpoint: Some(&workplace.checkpoint("retrieval", "checkpoint")),
    };
    let fitted = fit(job, &head, &mut |news| tell_tuning(tell, recipe.tuning.epochs, news))?;
    let file = Branch::blend(&fitted.branch, &encoder.weights, recipe.model.blend)?;
    let branch = Branch::parse(&file, Arithmetic::Float)?;
    let tuned = cached.vectors(&held, |states| branch.pooled(states))?;
    scores.extend(corpus.scores(&held, &tuned));
    let meta = ComparingMeta {
        kind: crate::embed::comparing::KIND_NAME.to_owned(),
        name: recipe.name.clone(),
        text_version: TEXT_VERSION,
        encoder: encoder.name.clone(),
        data_hash: corpus.hash.clone(),
        recipe: serde_json::to_value(recipe).map_err(|e| TrainError::Fit(e.to_string()))?,
        scores,
    };
    Ok(Comparing::new(meta, file.into()))
}

/// No head of its own: the mean over the tokens is the vector.
struct ContrastHead<'a> {
    corpus: &'a RetrievalCorpus,
    parameters: &'a RetrievalParameters,
}

impl Head for ContrastHead<'_> {
    fn variables(&self, _: usize) -> Result<Vec<(String, Tensor)>> {
        Ok(Vec::new())
    }

    fn loss(&self, batches: &[Batch<'_>], texts: usize, _: &mut Noise) -> Result<Tensor> {
        let vectors = Tensor::cat(&batches.iter().map(pooled).collect::<Result<Vec<_>>>()?, 0)?;
        let groups = batches.iter().flat_map(|b| b.rows).map(|&r| self.corpus.group[r]).collect();
        let contrast = Contrast { groups, temperature: self.parameters.temperature, divisor: texts as f32 };
        vectors.matmul(&vectors.t()?)?.apply_op1(contrast)
    }

    fn measure(&self, batch: &Batch<'_>) -> Result<Vec<Vec<f32>>> {
        pooled(batch)?.to_vec2()
    }

    fn score(&self, rows: &[usize], measured: &[Vec<f32>]) -> f64 {
        overall(self.corpus, rows, measured)
    }

    fn batches(&self, random: &mut ChaCha8Rng) -> Option<Vec<Vec<usize>>> {
        let RetrievalParameters { part, texts, .. } = *self.parameters;
        let parts = self.corpus.parts(part, texts, random);
        Some(parts.chunks_exact(2).map(<[Vec<usize>]>::concat).collect())
    }
}

/// Vectors of length 1.
fn pooled(batch: &Batch<'_>) -> Result<Tensor> {
    batch.states.apply_op1(Pool { lengths: batch.lengths.clone(), scale: 1.0 })
}

/// Mean over the sources of how many texts find one of their group among the nearest three.
fn overall(corpus: &RetrievalCorpus, rows: &[usize], vectors: &[Vec<f32>]) -> f64 {
    let scores = corpus.scores(rows, vectors);
    scores.values().map(|s| s.at_3).sum::<f64>() / scores.len().max(1) as f64
}

impl RetrievalCorpus {
    /// By source, for each text of `rows` with another one in its group: whether that is the nearest of the source's rows, or among
    /// three.
    fn scores(&self, rows: &[usize], vectors: &[Vec<f32>]) -> BTreeMap<String, HitScores> {
        let place: BTreeMap<usize, usize> = rows.iter().copied().zip(0..).collect();
        let mut out = BTreeMap::new();
        for (source, members) in self.sources.iter().zip(&self.members) {
            let own: Vec<usize> = members.iter().flatten().filter_map(|text| place.get(text).copied()).collect();
            let mut hits = HitScores::default();
            for &query in &own {
                let alike = |other: usize| other != query && self.group[rows[other]] == self.group[rows[query]];
                if !own.iter().any(|&o| alike(o)) {
                    continue;
                }
                let mut near: Vec<(f32, usize)> =
                    own.iter().filter(|o| **o != query).map(|&o| (dot(&vectors[query], &vectors[o]), o)).collect();
                near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
                hits.add(near.iter().take(3).position(|n| alike(n.1)));
            }
            if hits.n > 0 {
                out.insert(source.name.to_owned(), hits.mean());
            }
        }
        out
    }
}
