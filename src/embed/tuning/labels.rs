//! A linear head over labels on the texts' mean vectors, by cross-entropy.

use std::collections::HashMap;
use std::io::Cursor;
use std::path::Path;

use candle_core::{Device, Result, Tensor};

use super::super::EncodeError;
use super::super::branch::Branch;
use super::network::{Network, affine};
use super::ops::{CrossEntropy, Pool};
use super::run::{Checkpoint, Fit, TuningNews, each_batch, fit};
use super::{Batch, Cached, Head, Noise, TuningParameters};

/// Some rows of a set, with their labels' numbers.
#[derive(Clone, Copy)]
pub struct Labelled<'a> {
    pub set: &'a Cached,
    pub rows: &'a [usize],
    /// Of every row of the set.
    pub labels: &'a [usize],
}

/// A trained branch with its head.
#[derive(Debug, Clone, PartialEq)]
pub struct Tuned {
    /// The layers: a file for [`Branch::parse`].
    pub branch: Vec<u8>,
    /// `[labels * hidden]`, label by label, for vectors of length 1.
    pub weight: Vec<f32>,
    /// `[labels]`
    pub bias: Vec<f32>,
    /// Validation accuracy after each epoch; empty without a validation set.
    pub accuracies: Vec<f64>,
}

impl Tuned {
    /// One branch and head with the mean of the weights of several, which started from the same ones.
    ///
    /// # Errors
    /// When the branches differ in shape, or there are none.
    pub fn mean(runs: &[Tuned]) -> std::result::Result<Self, EncodeError> {
        let share = 1.0 / runs.len() as f64;
        let mut branches = runs.iter().map(|r| Branch::tensors(&r.branch));
        let Some((dimensions, mut tensors)) = branches.next().transpose()? else {
            return Err(candle_core::Error::Msg("no branch to take the mean of".into()).into());
        };
        for branch in branches {
            for ((name, sum), (other, more)) in tensors.iter_mut().zip(branch?.1) {
                if *name != other {
                    return Err(candle_core::Error::Msg(format!("{name} meets {other}")).into());
                }
                *sum = (&*sum + more)?;
            }
        }
        let tensors = tensors.into_iter().map(|(name, sum)| Ok((name, (sum * share)?))).collect::<Result<Vec<_>>>()?;
        let mut branch = Cursor::new(Vec::new());
        Branch::write(dimensions, &tensors, &mut branch)?;
        let mean = |of: fn(&Tuned) -> &Vec<f32>| {
            (0..of(&runs[0]).len()).map(|i| (runs.iter().map(|r| f64::from(of(r)[i])).sum::<f64>() * share) as f32).collect()
        };
        Ok(Tuned {
            branch: branch.into_inner(),
            weight: mean(|r| &r.weight),
            bias: mean(|r| &r.bias),
            accuracies: runs[0].accuracies.clone(),
        })
    }

    /// Keeps a finished branch for a later run of the same recipe.
    ///
    /// # Errors
    /// The disk's.
    pub fn save(&self, checkpoint: &Checkpoint) -> std::result::Result<(), EncodeError> {
        let bytes = |b: &[u8]| Tensor::from_slice(b, b.len(), &Device::Cpu);
        let tensors = HashMap::from([
            ("run".to_owned(), bytes(checkpoint.run.as_bytes())?),
            ("branch".to_owned(), bytes(&self.branch)?),
            ("weight".to_owned(), Tensor::from_slice(&self.weight, self.weight.len(), &Device::Cpu)?),
            ("bias".to_owned(), Tensor::from_slice(&self.bias, self.bias.len(), &Device::Cpu)?),
            ("accuracies".to_owned(), Tensor::from_slice(&self.accuracies, self.accuracies.len(), &Device::Cpu)?),
        ]);
        let fresh = checkpoint.file.with_extension("new");
        candle_core::safetensors::save(&tensors, &fresh)?;
        Ok(std::fs::rename(&fresh, &checkpoint.file).map_err(candle_core::Error::from)?)
    }

    /// What [`Self::save`] kept, if it was of this run.
    ///
    /// # Errors
    /// An unreadable file.
    pub fn load(checkpoint: &Checkpoint) -> std::result::Result<Option<Self>, EncodeError> {
        if !checkpoint.file.exists() {
            return Ok(None);
        }
        let tensors = candle_core::safetensors::load(&checkpoint.file, &Device::Cpu)?;
        let get = |name: &str| tensors.get(name).ok_or_else(|| candle_core::Error::Msg(format!("the checkpoint has no {name}")));
        if get("run")?.to_vec1::<u8>()? != checkpoint.run.as_bytes() {
            return Ok(None);
        }
        let (branch, accuracies) = (get("branch")?.to_vec1()?, get("accuracies")?.to_vec1()?);
        Ok(Some(Tuned { branch, weight: get("weight")?.to_vec1()?, bias: get("bias")?.to_vec1()?, accuracies }))
    }
}

/// A branch to be trained.
#[derive(Clone, Copy)]
pub struct Tuning<'a> {
    /// The encoder's weights (GGUF).
    pub weights: &'a Path,
    pub train: Labelled<'a>,
    /// Rows of the same set, watched after each epoch; may be none.
    pub valid: &'a [usize],
    /// Number of labels.
    pub classes: usize,
    pub parameters: &'a TuningParameters,
    pub seed: u64,
    pub checkpoint: Option<&'a Checkpoint>,
}

/// Tunes the layers above the trunk on a labelled set.
///
/// # Errors
/// An unreadable encoder, a full disk at a checkpoint, candle's.
pub fn tune(job: Tuning<'_>, news: &mut dyn FnMut(TuningNews)) -> std::result::Result<Tuned, EncodeError> {
    let Tuning { weights, train, valid, parameters, seed, checkpoint, .. } = job;
    let head = LabelHead::start(&job)?;
    let fitted = fit(Fit { weights: Some(weights), set: train.set, train: train.rows, valid, parameters, seed, checkpoint }, &head, news)?;
    let [(_, weight), (_, bias)] = fitted.head.as_slice() else {
        return Err(candle_core::Error::Msg("the head has two variables".into()).into());
    };
    let weight = (weight * f64::from(scale(weight.dim(1)?)))?.flatten_all()?.to_vec1()?;
    Ok(Tuned { branch: fitted.branch, weight, bias: bias.to_vec1()?, accuracies: fitted.scores })
}

/// Vectors are scaled to this length before the head: the square root of their dimension, so that a number is about 1.
fn scale(hidden: usize) -> f32 {
    (hidden as f32).sqrt()
}

/// Norm of a label's weights at the start, for vectors whose numbers are about 1.
const START_NORM: f32 = 1.0;

/// The mean over a text's tokens, and a score a label.
struct LabelHead<'a> {
    /// Of every row of the set.
    labels: &'a [usize],
    smoothing: f32,
    /// First values: `[labels, hidden]`, `[labels]`.
    weight: Tensor,
    bias: Tensor,
}

impl Head for LabelHead<'_> {
    fn variables(&self, _: usize) -> Result<Vec<(String, Tensor)>> {
        Ok(vec![("head.weight".to_owned(), self.weight.clone()), ("head.bias".to_owned(), self.bias.clone())])
    }

    fn loss(&self, batches: &[Batch<'_>], texts: usize, noise: &mut Noise) -> Result<Tensor> {
        let [batch] = batches else { candle_core::bail!("labels come in one batch") };
        let logits = logits(&noise.drop(&pooled(batch)?)?, batch)?;
        let labels = batch.rows.iter().map(|&r| self.labels[r] as u32).collect();
        logits.apply_op1(CrossEntropy { labels, smoothing: self.smoothing, divisor: texts as f32 })
    }

    fn measure(&self, batch: &Batch<'_>) -> Result<Vec<Vec<f32>>> {
        let found = logits(&pooled(batch)?, batch)?.argmax(1)?.to_vec1::<u32>()?;
        let right = |(f, r): (&u32, &usize)| f32::from(u8::from(*f as usize == self.labels[*r]));
        Ok(found.iter().zip(batch.rows).map(|pair| vec![right(pair), 1.0]).collect())
    }
}

/// Vectors `[texts, hidden]` of length [`scale`].
fn pooled(batch: &Batch<'_>) -> Result<Tensor> {
    let scale = scale(batch.states.dim(1)?);
    batch.states.apply_op1(Pool { lengths: batch.lengths.clone(), scale })
}

fn logits(pooled: &Tensor, batch: &Batch<'_>) -> Result<Tensor> {
    let [(_, weight), (_, bias)] = batch.variables else { candle_core::bail!("the head has two variables") };
    affine(pooled, weight, bias)
}

impl<'a> LabelHead<'a> {
    /// Starts as the nearest of the labels' mean vectors, which is already right for most texts.
    fn start(job: &Tuning<'a>) -> Result<Self> {
        let Tuning { weights, train, classes, parameters, .. } = *job;
        let network = Network::new(Some(weights), &Bare)?;
        let hidden = network.dimensions.hidden;
        let mut means = vec![vec![0.0f32; hidden]; classes];
        let mut counts = vec![0usize; classes];
        let mut all = vec![0.0f32; hidden];
        let vectors = each_batch(&network, train.set, train.rows, &|batch| pooled(batch)?.detach().to_vec2::<f32>())?;
        for (vector, &row) in vectors.iter().zip(train.rows) {
            let label = train.labels[row];
            counts[label] += 1;
            for ((mean, all), v) in means[label].iter_mut().zip(&mut all).zip(vector) {
                *mean += v;
                *all += v / train.rows.len() as f32;
            }
        }
        let (mut weight, mut bias) = (Vec::with_capacity(classes * hidden), Vec::with_capacity(classes));
        for (mean, &n) in means.iter().zip(&counts) {
            let direction: Vec<f32> = mean.iter().zip(&all).map(|(m, a)| if n > 0 { m / n as f32 - a } else { 0.0 }).collect();
            // Logits of a few nats: sure enough to start from, soft enough to be moved.
            let norm = direction.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-6);
            let scale = START_NORM / norm;
            bias.push(-direction.iter().zip(&all).map(|(d, a)| d * scale * a).sum::<f32>());
            weight.extend(direction.into_iter().map(|d| d * scale));
        }
        Ok(LabelHead {
            labels: train.labels,
            smoothing: parameters.label_smoothing as f32,
            weight: Tensor::from_vec(weight, (classes, hidden), &Device::Cpu)?,
            bias: Tensor::from_vec(bias, classes, &Device::Cpu)?,
        })
    }
}

/// No head: the pretrained layers as they are.
struct Bare;

impl Head for Bare {
    fn variables(&self, _: usize) -> Result<Vec<(String, Tensor)>> {
        Ok(Vec::new())
    }

    fn loss(&self, _: &[Batch<'_>], _: usize, _: &mut Noise) -> Result<Tensor> {
        candle_core::bail!("nothing is learned without a head")
    }

    fn measure(&self, _: &Batch<'_>) -> Result<Vec<Vec<f32>>> {
        candle_core::bail!("nothing is measured without a head")
    }
}
