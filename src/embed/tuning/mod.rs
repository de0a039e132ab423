//! Teaching a branch its task: the layers above the trunk and a linear head, by cross-entropy.
//!
//! The trunk's states are computed once ([`Cached`]), by the arithmetic that serves, so that training sees what serving will. Each
//! batch is cut in two parts that run side by side, each on one core: candle's single operations are too small to be worth
//! spreading. Gradients are added in a fixed order, and all randomness comes from the seed and the place, so that the same
//! recipe gives the same bits, interrupted or not.

mod adamw;
mod network;
mod ops;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use candle_core::{Device, Result, Tensor, Var};
use half::f16;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::adamw::AdamW;
use self::network::{Network, Noise, Padded};
use super::branch::Branch;
use super::{EncodeError, Encoder, Role};

/// How a branch is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TuningParameters {
    pub epochs: usize,
    /// Texts a step.
    pub batch: usize,
    /// Peak of the layers' learning rate: it rises over the warm-up and falls to 0 in a line.
    pub learning_rate: f64,
    /// The same of the head, which starts from the labels' mean vectors.
    pub head_learning_rate: f64,
    /// Share of the steps that warm up.
    pub warmup: f64,
    pub weight_decay: f64,
    /// Share of the target that is spread over all labels.
    pub label_smoothing: f64,
    /// Share of numbers dropped after attention, feed-forward and pooling.
    pub dropout: f64,
    /// Share of tokens blanked.
    pub token_dropout: f64,
    /// Share of the last steps whose weights are averaged; 0 takes the last.
    pub averaging: f64,
    /// Stop when the validation accuracy has not risen for so many epochs; 0 never stops.
    pub patience: usize,
    /// Trainings, each with a randomness of its own, whose weights are averaged.
    pub runs: usize,
}

impl Default for TuningParameters {
    fn default() -> Self {
        TuningParameters {
            epochs: 10,
            batch: 32,
            learning_rate: 1.5e-4,
            head_learning_rate: 1e-3,
            warmup: 0.1,
            weight_decay: 0.01,
            label_smoothing: 0.1,
            dropout: 0.1,
            token_dropout: 0.0,
            averaging: 0.3,
            patience: 0,
            runs: 1,
        }
    }
}

impl TuningParameters {
    /// What is out of range, if anything.
    pub fn fault(&self) -> Option<String> {
        let share = |name: &str, v: f64| (!(0.0..1.0).contains(&v)).then(|| format!("{name} is {v}: it lies in [0, 1)"));
        let positive = |name: &str, v: f64| (!(v > 0.0 && v.is_finite())).then(|| format!("{name} is {v}: it must be above 0"));
        (self.epochs == 0)
            .then(|| "epochs is 0: at least one is needed".to_owned())
            .or_else(|| (self.runs == 0).then(|| "runs is 0: at least one is needed".to_owned()))
            .or_else(|| (self.batch < 2).then(|| format!("batch is {}: at least 2", self.batch)))
            .or_else(|| positive("learning_rate", self.learning_rate))
            .or_else(|| positive("head_learning_rate", self.head_learning_rate))
            .or_else(|| share("warmup", self.warmup))
            .or_else(|| share("weight_decay", self.weight_decay))
            .or_else(|| share("label_smoothing", self.label_smoothing))
            .or_else(|| share("dropout", self.dropout))
            .or_else(|| share("token_dropout", self.token_dropout))
            .or_else(|| share("averaging", self.averaging))
    }
}

/// The trunk's states of many texts, in half precision: 768 bytes a token for e5-small.
pub struct Cached {
    states: Vec<f16>,
    /// Where each text's tokens begin, and the end of the last.
    starts: Vec<usize>,
    hidden: usize,
}

/// Tokens of one forward pass of the trunk.
const BATCH_TOKENS: usize = 1024;

impl Cached {
    /// Runs the trunk over all texts, on all cores; `done` is told of each batch how many texts it held.
    ///
    /// # Errors
    /// The encoder's.
    pub fn of(encoder: &Encoder, texts: &[String], role: Role, done: &(dyn Fn(usize) + Sync)) -> std::result::Result<Self, EncodeError> {
        let tokens = texts.iter().map(|t| encoder.tokenize(t, role)).collect::<std::result::Result<Vec<_>, _>>()?;
        let hidden = encoder.dimension();
        let mut starts = vec![0];
        starts.extend(tokens.iter().scan(0, |sum, t| {
            *sum += t.len();
            Some(*sum)
        }));
        let mut states = vec![f16::ZERO; starts[texts.len()] * hidden];
        // Batches are runs of the list, each with its own stretch of the memory.
        let mut parts = Vec::new();
        let (mut rest, mut from) = (states.as_mut_slice(), 0);
        while from < tokens.len() {
            let to = (from + 1..=tokens.len()).take_while(|&to| starts[to] - starts[from] <= BATCH_TOKENS).last().unwrap_or(from + 1);
            let (part, later) = rest.split_at_mut((starts[to] - starts[from]) * hidden);
            parts.push((from..to, part));
            (rest, from) = (later, to);
        }
        parts.into_par_iter().try_for_each(|(range, part)| {
            let rows = encoder.trunk(&tokens[range.clone()])?.rows.flatten_all()?;
            ops::with_slice(&rows, |values| {
                part.iter_mut().zip(values).for_each(|(to, from)| *to = f16::from_f32(*from));
                Ok(())
            })?;
            done(range.len());
            Ok::<_, EncodeError>(())
        })?;
        Ok(Cached { states, starts, hidden })
    }

    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn length(&self, text: usize) -> usize {
        self.starts[text + 1] - self.starts[text]
    }

    fn states(&self, text: usize) -> &[f16] {
        &self.states[self.starts[text] * self.hidden..self.starts[text + 1] * self.hidden]
    }

    /// Vectors that `top` makes of the states of the cached texts `rows`, in their order.
    ///
    /// # Errors
    /// Those of `top`.
    pub fn vectors(
        &self,
        rows: &[usize],
        top: impl Fn(&super::States) -> std::result::Result<Vec<Vec<f32>>, EncodeError> + Sync,
    ) -> std::result::Result<Vec<Vec<f32>>, EncodeError> {
        let parts: Vec<Vec<Vec<f32>>> = rows.par_chunks(32).map(|part| top(&self.gather(part)?)).collect::<std::result::Result<_, _>>()?;
        Ok(parts.into_iter().flatten().collect())
    }

    fn gather(&self, rows: &[usize]) -> Result<super::States> {
        let lengths: Vec<usize> = rows.iter().map(|&r| self.length(r)).collect();
        let values: Vec<f32> = rows.iter().flat_map(|&r| self.states(r)).map(|v| v.to_f32()).collect();
        let rows = Tensor::from_vec(values, (lengths.iter().sum::<usize>(), self.hidden), &Device::Cpu)?;
        Ok(super::States { rows, lengths })
    }
}

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

/// What training tells while it runs.
#[derive(Debug, Clone, Copy)]
pub enum TuningNews {
    /// A step was made: its number, steps in all, loss.
    Step { step: usize, steps: usize, loss: f32 },
    /// An epoch is done; accuracy on the validation set, where there is one.
    Epoch { epoch: usize, accuracy: Option<f64> },
    /// Training goes on from a checkpoint after this epoch.
    Resumed { epoch: usize },
}

/// Where training writes what it needs to go on after an interruption, and for which run: another run's checkpoint is not taken up.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub file: PathBuf,
    pub run: String,
}

/// Parts of a batch that run side by side. Fixed, so that the sums are the same on every machine.
const PARTS: usize = 2;

/// A branch to be trained.
#[derive(Clone, Copy)]
pub struct Tuning<'a> {
    /// The encoder's weights (GGUF).
    pub weights: &'a Path,
    pub train: Labelled<'a>,
    /// Watched after each epoch.
    pub valid: Option<Labelled<'a>>,
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
    let Tuning { valid, parameters, checkpoint, .. } = job;
    let mut run = Run::start(job)?;
    let mut accuracies = Vec::new();
    let mut first = 0;
    if let Some(found) = checkpoint.map(|c| run.resume(c)).transpose()?.flatten() {
        (first, accuracies) = found;
        news(TuningNews::Resumed { epoch: first });
    }
    for epoch in first..parameters.epochs {
        if parameters.patience > 0 && stalled(&accuracies, parameters.patience) {
            break;
        }
        run.epoch(epoch, news)?;
        let accuracy = valid.map(|v| run.accuracy(v)).transpose()?;
        accuracies.extend(accuracy);
        news(TuningNews::Epoch { epoch, accuracy });
        if let Some(checkpoint) = checkpoint.filter(|_| epoch + 1 < parameters.epochs) {
            run.save(checkpoint, epoch + 1, &accuracies)?;
        }
    }
    let tuned = run.finish(accuracies)?;
    if let Some(checkpoint) = checkpoint.filter(|c| c.file.exists()) {
        std::fs::remove_file(&checkpoint.file).map_err(candle_core::Error::from)?;
    }
    Ok(tuned)
}

fn stalled(accuracies: &[f64], patience: usize) -> bool {
    let best = accuracies.iter().enumerate().fold((0, f64::NEG_INFINITY), |b, (i, &a)| if a > b.1 { (i, a) } else { b }).0;
    accuracies.len() > best + patience
}

struct Run<'a> {
    network: Network,
    optimizer: AdamW,
    train: Labelled<'a>,
    parameters: &'a TuningParameters,
    seed: u64,
    steps: usize,
    classes: usize,
}

impl<'a> Run<'a> {
    fn start(Tuning { weights, train, classes, parameters, seed, .. }: Tuning<'a>) -> Result<Self> {
        let network = Network::pretrained(weights, classes)?;
        let optimizer = AdamW::new(&network.variables, parameters.weight_decay as f32);
        let steps = parameters.epochs * train.rows.len().div_ceil(parameters.batch);
        let run = Run { network, optimizer, train, parameters, seed, steps, classes };
        run.start_head()?;
        Ok(run)
    }

    /// The head starts as the nearest of the labels' mean vectors, which is already right for most texts.
    fn start_head(&self) -> Result<()> {
        let hidden = self.network.dimensions.hidden;
        let vectors = self.pooled(self.train)?;
        let mut means = vec![vec![0.0f32; hidden]; self.classes];
        let mut counts = vec![0usize; self.classes];
        let mut all = vec![0.0f32; hidden];
        for (vector, &row) in vectors.chunks_exact(hidden).zip(self.train.rows) {
            let label = self.train.labels[row];
            counts[label] += 1;
            for ((mean, all), v) in means[label].iter_mut().zip(&mut all).zip(vector) {
                *mean += v;
                *all += v / self.train.rows.len() as f32;
            }
        }
        let (mut weight, mut bias) = (Vec::with_capacity(self.classes * hidden), Vec::with_capacity(self.classes));
        for (mean, &n) in means.iter().zip(&counts) {
            let direction: Vec<f32> = mean.iter().zip(&all).map(|(m, a)| if n > 0 { m / n as f32 - a } else { 0.0 }).collect();
            // Logits of a few nats: sure enough to start from, soft enough to be moved.
            let norm = direction.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-6);
            let scale = START_NORM / norm;
            bias.push(-direction.iter().zip(&all).map(|(d, a)| d * scale * a).sum::<f32>());
            weight.extend(direction.into_iter().map(|d| d * scale));
        }
        let [.., (_, w), (_, b)] = self.network.variables.as_slice() else { candle_core::bail!("a network without a head") };
        w.set(&Tensor::from_vec(weight, (self.classes, hidden), &Device::Cpu)?)?;
        b.set(&Tensor::from_vec(bias, self.classes, &Device::Cpu)?)
    }

    /// Rows of the training set in batches of texts of similar length, in an order of their own each epoch.
    fn batches(&self, epoch: usize) -> Vec<Vec<usize>> {
        let mut random = place(self.seed, epoch, usize::MAX, 0);
        let mut rows = self.train.rows.to_vec();
        rows.shuffle(&mut random);
        // Sorted by length within a stretch of the shuffled list: little padding, and still other neighbours each time.
        for stretch in rows.chunks_mut(self.parameters.batch * 16) {
            stretch.sort_by_key(|&r| self.train.set.length(r));
        }
        let mut batches: Vec<Vec<usize>> = rows.chunks(self.parameters.batch).map(<[usize]>::to_vec).collect();
        batches.shuffle(&mut random);
        batches
    }

    fn epoch(&mut self, epoch: usize, news: &mut dyn FnMut(TuningNews)) -> Result<()> {
        let averaged_from = self.steps - (self.steps as f64 * self.parameters.averaging) as usize;
        for (number, batch) in self.batches(epoch).into_iter().enumerate() {
            let (loss, gradients) = self.gradients(&batch, epoch, number)?;
            let factor = self.schedule();
            let [rate, head] = [self.parameters.learning_rate, self.parameters.head_learning_rate].map(|r| (r * factor) as f32);
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
        let warm = (steps * self.parameters.warmup).max(1.0);
        if step < warm { step / warm } else { ((steps - step) / (steps - warm).max(1.0)).max(0.0) }
    }

    /// Mean loss of a batch, and its gradient for each variable.
    fn gradients(&self, batch: &[usize], epoch: usize, number: usize) -> Result<(f32, Vec<Tensor>)> {
        let part = |part: usize, rows: &[usize]| -> Result<(f32, Vec<Tensor>)> {
            let byte = |share: f64| (share * 256.0).round() as u8;
            let mut noise = Noise {
                random: place(self.seed, epoch, number, part),
                drop_below: byte(self.parameters.dropout),
                tokens_below: byte(self.parameters.token_dropout),
            };
            let padded = Padded::of(self.train.set, rows)?;
            let pooled = self.network.pooled(&padded, Some(&mut noise))?;
            let logits = self.network.head(&pooled, Some(&mut noise))?;
            let labels = rows.iter().map(|&r| self.train.labels[r] as u32).collect();
            let loss = logits.apply_op1(ops::CrossEntropy {
                labels,
                smoothing: self.parameters.label_smoothing as f32,
                divisor: batch.len() as f32,
            })?;
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

    /// Vectors of length [`Network::scale`], row after row.
    fn pooled(&self, of: Labelled<'_>) -> Result<Vec<f32>> {
        let mut order: Vec<usize> = (0..of.rows.len()).collect();
        order.sort_by_key(|&i| of.set.length(of.rows[i]));
        let hidden = self.network.dimensions.hidden;
        let parts = order.par_chunks(32).map(|part| {
            let rows: Vec<usize> = part.iter().map(|&i| of.rows[i]).collect();
            self.network.pooled(&Padded::of(of.set, &rows)?, None)?.detach().flatten_all()?.to_vec1::<f32>()
        });
        let parts: Vec<Vec<f32>> = parts.collect::<Result<_>>()?;
        let mut vectors = vec![0.0; of.rows.len() * hidden];
        for (&i, vector) in order.iter().zip(parts.iter().flat_map(|p| p.chunks_exact(hidden))) {
            vectors[i * hidden..][..hidden].copy_from_slice(vector);
        }
        Ok(vectors)
    }

    fn accuracy(&self, of: Labelled<'_>) -> Result<f64> {
        let hidden = self.network.dimensions.hidden;
        let vectors = Tensor::from_vec(self.pooled(of)?, (of.rows.len(), hidden), &Device::Cpu)?;
        let found = self.network.head(&vectors, None)?.argmax(1)?.to_vec1::<u32>()?;
        let right = found.iter().zip(of.rows).filter(|(f, r)| **f as usize == of.labels[**r]).count();
        Ok(right as f64 / of.rows.len().max(1) as f64)
    }

    fn finish(self, accuracies: Vec<f64>) -> Result<Tuned> {
        let Run { network, optimizer, .. } = self;
        let value = |(i, (name, v)): (usize, &(String, Var))| {
            let averaged = || Tensor::from_slice(&optimizer.means[i], v.shape(), &Device::Cpu);
            Ok((name.clone(), if optimizer.averaged > 0 { averaged()? } else { v.as_detached_tensor() }))
        };
        let mut tensors: Vec<(String, Tensor)> = network.variables.iter().enumerate().map(value).collect::<Result<_>>()?;
        let head = tensors.split_off(tensors.len() - 2);
        let mut branch = Cursor::new(Vec::new());
        Branch::write(network.dimensions, &tensors, &mut branch)?;
        let weight = (&head[0].1 * f64::from(network.scale()))?.flatten_all()?.to_vec1()?;
        Ok(Tuned { branch: branch.into_inner(), weight, bias: head[1].1.to_vec1()?, accuracies })
    }

    /// Everything that the next epoch depends on, in one file that is there whole or not at all.
    fn save(&self, checkpoint: &Checkpoint, epoch: usize, accuracies: &[f64]) -> Result<()> {
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
        tensors.insert("accuracies".into(), Tensor::from_slice(accuracies, accuracies.len(), &Device::Cpu)?);
        let fresh = checkpoint.file.with_extension("new");
        candle_core::safetensors::save(&tensors, &fresh)?;
        Ok(std::fs::rename(&fresh, &checkpoint.file)?)
    }

    /// Takes up a checkpoint of the same run; answers how many epochs are done and their accuracies.
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
        Ok(Some((epoch as usize, get("accuracies")?.to_vec1()?)))
    }
}

/// Norm of a label's weights at the start, for vectors whose numbers are about 1.
const START_NORM: f32 = 1.0;

/// Steps between two values that are averaged.
const AVERAGE_EVERY: usize = 4;

/// Randomness of one place in the training.
fn place(seed: u64, epoch: usize, batch: usize, part: usize) -> ChaCha8Rng {
    let mut bytes = [0u8; 32];
    for (to, n) in bytes.chunks_exact_mut(8).zip([seed, epoch as u64, batch as u64, part as u64]) {
        to.copy_from_slice(&n.to_le_bytes());
    }
    ChaCha8Rng::from_seed(bytes)
}
