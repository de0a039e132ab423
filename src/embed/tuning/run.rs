//! The training itself: batches, gradients, the optimiser's steps, and what an interrupted one goes on from.

use std::collections::HashMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use candle_core::{Device, Result, Tensor, Var};
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;

use super::super::EncodeError;
use super::super::branch::Branch;
use super::adamw::AdamW;
use super::network::{Network, Padded};
use super::{Batch, Cached, Head, Noise, TuningParameters};

/// What training tells while it runs.
#[derive(Debug, Clone, Copy)]
pub enum TuningNews {
    /// A step was made: its number, steps in all, loss.
    Step { step: usize, steps: usize, loss: f32 },
    /// An epoch is done; the head's score on the validation set, where there is one.
    Epoch { epoch: usize, score: Option<f64> },
    /// Training goes on from a checkpoint after this epoch.
    Resumed { epoch: usize },
}

/// Where training writes what it needs to go on after an interruption, and for which run: another run's checkpoint is not taken up.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub file: PathBuf,
    pub run: String,
}

/// Layers and a head to be trained.
#[derive(Clone, Copy)]
pub struct Fit<'a> {
    /// The encoder's weights (GGUF), whose layers above the trunk are tuned; `None` trains the head alone.
    pub weights: Option<&'a Path>,
    pub set: &'a Cached,
    /// Rows of the set.
    pub train: &'a [usize],
    /// Rows of the set, watched after each epoch; may be none.
    pub valid: &'a [usize],
    pub parameters: &'a TuningParameters,
    pub seed: u64,
    pub checkpoint: Option<&'a Checkpoint>,
}

/// What was learned.
pub struct Fitted {
    /// The layers: a file for [`Branch::parse`]; empty where there are none.
    pub branch: Vec<u8>,
    /// The head's variables under their names.
    pub head: Vec<(String, Tensor)>,
    /// On the validation rows after each epoch; empty without them.
    pub scores: Vec<f64>,
}

/// Parts of a batch that run side by side. Fixed, so that the sums are the same on every machine.
const PARTS: usize = 2;

/// Texts of a piece of a part whose texts are of any length.
const PIECE: usize = 12;

/// Steps between two values that are averaged.
const AVERAGE_EVERY: usize = 4;

/// Trains.
///
/// # Errors
/// An unreadable encoder, a full disk at a checkpoint, candle's.
pub fn fit(job: Fit<'_>, head: &dyn Head, news: &mut dyn FnMut(TuningNews)) -> std::result::Result<Fitted, EncodeError> {
    let Fit { parameters, checkpoint, valid, .. } = job;
    let mut run = Run::start(job, head)?;
    let mut scores = Vec::new();
    let mut first = 0;
    if let Some(found) = checkpoint.map(|c| run.resume(c)).transpose()?.flatten() {
        (first, scores) = found;
        news(TuningNews::Resumed { epoch: first });
    }
    for epoch in first..parameters.epochs {
        if parameters.patience > 0 && stalled(&scores, parameters.patience) {
            break;
        }
        run.epoch(epoch, news)?;
        let score = if valid.is_empty() { None } else { Some(run.score(valid)?) };
        scores.extend(score);
        news(TuningNews::Epoch { epoch, score });
        if let Some(checkpoint) = checkpoint.filter(|_| epoch + 1 < parameters.epochs) {
            run.save(checkpoint, epoch + 1, &scores)?;
        }
    }
    let fitted = run.finish(scores)?;
    if let Some(checkpoint) = checkpoint.filter(|c| c.file.exists()) {
        std::fs::remove_file(&checkpoint.file).map_err(candle_core::Error::from)?;
    }
    Ok(fitted)
}

pub(super) fn stalled(scores: &[f64], patience: usize) -> bool {
    let best = scores.iter().enumerate().fold((0, f64::NEG_INFINITY), |b, (i, &a)| if a > b.1 { (i, a) } else { b }).0;
    scores.len() > best + patience
}

struct Run<'a> {
    job: Fit<'a>,
    head: &'a dyn Head,
    network: Network,
    optimizer: AdamW,
    steps: usize,
    /// Whether the head puts its batches together.
    mixed: bool,
}

impl<'a> Run<'a> {
    fn start(job: Fit<'a>, head: &'a dyn Head) -> Result<Self> {
        let network = Network::new(job.weights, head)?;
        let optimizer = AdamW::new(&network.variables, job.parameters.weight_decay as f32);
        let mixed = head.batches(&mut place(job.seed, 0, usize::MAX, 0)).is_some();
        let mut run = Run { job, head, network, optimizer, steps: 0, mixed };
        run.steps = job.parameters.epochs * run.batches(0).len();
        Ok(run)
    }

    /// Rows of the training set in batches of texts of similar length, in an order of their own each epoch.
    fn batches(&self, epoch: usize) -> Vec<Vec<usize>> {
        let mut random = place(self.job.seed, epoch, usize::MAX, 0);
        if let Some(batches) = self.head.batches(&mut random) {
            return batches;
        }
        let batch = self.job.parameters.batch;
        let mut rows = self.job.train.to_vec();
        rows.shuffle(&mut random);
        // Sorted by length within a stretch of the shuffled list: little padding, and still other neighbours each time.
        for stretch in rows.chunks_mut(batch * 16) {
            stretch.sort_by_key(|&r| self.job.set.length(r));
        }
        let mut batches: Vec<Vec<usize>> = rows.chunks(batch).map(<[usize]>::to_vec).collect();
        batches.shuffle(&mut random);
        batches
    }

    fn epoch(&mut self, epoch: usize, news: &mut dyn FnMut(TuningNews)) -> Result<()> {
        let parameters = self.job.parameters;
        let averaged_from = self.steps - (self.steps as f64 * parameters.averaging) as usize;
        for (number, batch) in self.batches(epoch).into_iter().enumerate() {
            let (loss, gradients) = self.gradients(&batch, epoch, number)?;
            let factor = self.schedule();
            let [rate, head] = [parameters.learning_rate, parameters.head_learning_rate].map(|r| (r * factor) as f32);
            self.optimizer.step(&self.network.variables, &gradients, |name| if name.starts_with("head.") { head } else { rate })?;
            let step = self.optimizer.step;
            if step > averaged_from && (step.is_multiple_of(AVERAGE_EVERY) || step == self.steps) {
                self.optimizer.average(&self.network.variables)?;
            }
            news(TuningNews::Step { step, steps: self.steps, loss });
        }
        Ok(())
    }

    /// Share of the peak learning rate at the next step.
    fn schedule(&self) -> f64 {
        let (step, steps) = (self.optimizer.step as f64 + 1.0, self.steps as f64);
        let warm = (steps * self.job.parameters.warmup).max(1.0);
        if step < warm { step / warm } else { ((steps - step) / (steps - warm).max(1.0)).max(0.0) }
    }

    /// Mean loss of a batch, and its gradient for each variable.
    fn gradients(&self, batch: &[usize], epoch: usize, number: usize) -> Result<(f32, Vec<Tensor>)> {
        let byte = |share: f64| (share * 256.0).round() as u8;
        let part = |part: usize, rows: &[usize]| -> Result<(f32, Vec<Tensor>)> {
            let mut noise = Noise {
                random: place(self.job.seed, epoch, number, part),
                drop_below: byte(self.job.parameters.dropout),
                tokens_below: byte(self.job.parameters.token_dropout),
                epoch,
            };
            let pieces = self.pieces(rows);
            let mut states = Vec::with_capacity(pieces.len());
            for rows in &pieces {
                states.push(self.network.forward(Padded::of(self.job.set, rows)?, rows, Some(&mut noise))?);
            }
            let loss = self.head.loss(&states, batch.len(), &mut noise)?;
            let gradients = loss.backward()?;
            let of = |(name, v): &(String, Var)| match gradients.get(v) {
                Some(g) => g.contiguous(),
                None => candle_core::bail!("{name} has no gradient"),
            };
            Ok((loss.to_scalar()?, self.network.variables.iter().map(of).collect::<Result<_>>()?))
        };
        let parts: Vec<(usize, &[usize])> = batch.chunks(batch.len().div_ceil(PARTS)).enumerate().collect();
        let mut done = parts.into_par_iter().map(|(i, rows)| part(i, rows)).collect::<Result<Vec<_>>>()?;
        let (mut loss, mut sums) = done.remove(0);
        for (more, gradients) in done {
            loss += more;
            sums = sums.into_par_iter().zip(gradients).map(|(a, b)| a + b).collect::<Result<_>>()?;
        }
        Ok((loss, sums))
    }

    /// The texts of one loss as they are run: those of a head's own batches sorted by length, so that little of it is padding.
    fn pieces(&self, rows: &[usize]) -> Vec<Vec<usize>> {
        if !self.mixed {
            return vec![rows.to_vec()];
        }
        let mut rows = rows.to_vec();
        rows.sort_by_key(|&r| self.job.set.length(r));
        rows.chunks(PIECE).map(<[usize]>::to_vec).collect()
    }

    fn score(&self, rows: &[usize]) -> Result<f64> {
        let measured = each_batch(&self.network, self.job.set, rows, &|batch| self.head.measure(batch))?;
        Ok(self.head.score(rows, &measured))
    }

    fn finish(self, scores: Vec<f64>) -> Result<Fitted> {
        let Run { network, optimizer, .. } = self;
        let value = |(i, (name, v)): (usize, &(String, Var))| {
            let averaged = || Tensor::from_slice(&optimizer.means[i], v.shape(), &Device::Cpu);
            Ok((name.clone(), if optimizer.averaged > 0 { averaged()? } else { v.as_detached_tensor() }))
        };
        let mut tensors: Vec<(String, Tensor)> = network.variables.iter().enumerate().map(value).collect::<Result<_>>()?;
        let head = tensors.split_off(tensors.len() - network.head().len());
        let mut branch = Cursor::new(Vec::new());
        if !tensors.is_empty() {
            Branch::write(network.dimensions, &tensors, &mut branch)?;
        }
        Ok(Fitted { branch: branch.into_inner(), head, scores })
    }

    /// Everything that the next epoch depends on, in one file that is there whole or not at all.
    fn save(&self, checkpoint: &Checkpoint, epoch: usize, scores: &[f64]) -> Result<()> {
        let mut tensors = HashMap::new();
        for (i, (name, v)) in self.network.variables.iter().enumerate() {
            let [first, second] = &self.optimizer.moments[i];
            tensors.insert(format!("value.{name}"), v.as_detached_tensor());
            for (kind, values) in [("first", first), ("second", second), ("mean", &self.optimizer.means[i])] {
                tensors.insert(format!("{kind}.{name}"), Tensor::from_slice(values, values.len(), &Device::Cpu)?);
            }
        }
        let bytes = |text: &str| Tensor::from_slice(text.as_bytes(), text.len(), &Device::Cpu);
        tensors.insert("run".into(), bytes(&checkpoint.run)?);
        let counts = [epoch, self.optimizer.step, self.optimizer.averaged].map(|n| n as i64);
        tensors.insert("counts".into(), Tensor::from_slice(&counts, 3, &Device::Cpu)?);
        tensors.insert("scores".into(), Tensor::from_slice(scores, scores.len(), &Device::Cpu)?);
        let fresh = checkpoint.file.with_extension("new");
        candle_core::safetensors::save(&tensors, &fresh)?;
        Ok(std::fs::rename(&fresh, &checkpoint.file)?)
    }

    /// Takes up a checkpoint of the same run; answers how many epochs are done and their scores.
    fn resume(&mut self, checkpoint: &Checkpoint) -> Result<Option<(usize, Vec<f64>)>> {
        if !checkpoint.file.exists() {
            return Ok(None);
        }
        let tensors = candle_core::safetensors::load(&checkpoint.file, &Device::Cpu)?;
        let get = |name: &str| tensors.get(name).ok_or_else(|| candle_core::Error::Msg(format!("the checkpoint has no {name}")));
        if get("run")?.to_vec1::<u8>()? != checkpoint.run.as_bytes() {
            return Ok(None);
        }
        for (i, (name, v)) in self.network.variables.iter().enumerate() {
            v.set(get(&format!("value.{name}"))?)?;
            self.optimizer.moments[i] = [get(&format!("first.{name}"))?.to_vec1()?, get(&format!("second.{name}"))?.to_vec1()?];
            self.optimizer.means[i] = get(&format!("mean.{name}"))?.to_vec1()?;
        }
        let counts = get("counts")?.to_vec1::<i64>()?;
        let [epoch, step, averaged] = counts[..] else { candle_core::bail!("the checkpoint's counts are not three") };
        (self.optimizer.step, self.optimizer.averaged) = (step as usize, averaged as usize);
        Ok(Some((epoch as usize, get("scores")?.to_vec1()?)))
    }
}

/// What `of` makes of each of some rows, asked a batch at a time, without noise; in the order of the rows.
pub(super) fn each_batch<T: Send + Clone + Default>(
    network: &Network,
    set: &Cached,
    rows: &[usize],
    of: &(dyn Fn(&Batch<'_>) -> Result<Vec<T>> + Sync),
) -> Result<Vec<T>> {
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&i| set.length(rows[i]));
    let parts = order.par_chunks(32).map(|part| {
        let rows: Vec<usize> = part.iter().map(|&i| rows[i]).collect();
        of(&network.forward(Padded::of(set, &rows)?, &rows, None)?)
    });
    let parts: Vec<Vec<T>> = parts.collect::<Result<_>>()?;
    let mut out = vec![T::default(); rows.len()];
    for (&i, value) in order.iter().zip(parts.into_iter().flatten()) {
        out[i] = value;
    }
    Ok(out)
}

/// Randomness of one place in the training.
pub(super) fn place(seed: u64, epoch: usize, batch: usize, part: usize) -> ChaCha8Rng {
    let mut bytes = [0u8; 32];
    for (to, n) in bytes.chunks_exact_mut(8).zip([seed, epoch as u64, batch as u64, part as u64]) {
        to.copy_from_slice(&n.to_le_bytes());
    }
    ChaCha8Rng::from_seed(bytes)
}
