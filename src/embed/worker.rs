//! The encoder's threads, behind one bounded queue, batching by tokens.
//!
//! A thread a core, and each forward pass on one core. candle would spread one pass over all cores by a pool of threads that spin at a
//! barrier after each product: 5 ms instead of 8 for a lone message on two idle cores, and half a second when another process wants a
//! core too. So the program starts with `CANDLE_NUM_THREADS=1` (see `cli::main`), and texts, not products, are what runs side by side.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rayon::prelude::*;
use tokio::sync::{mpsc, oneshot};

use super::bert::{Encoder, Tokens};
use super::layer::States;
use super::{Branch, EncodeError, EncodeFuture, Encoded, Role, SentenceEncoder, TokenStates, Wanted};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerConfig {
    /// Texts that may wait; one more is refused.
    pub queue: usize,
    /// Tokens of one forward pass, about: the text that passes the limit is still in.
    pub batch_tokens: usize,
    /// How long a caller waits for its vector.
    pub timeout: Duration,
}

struct Job {
    tokens: Tokens,
    /// Where the tokens stand, if their states are wanted.
    offsets: Vec<(u32, u32)>,
    wanted: Wanted,
    answer: oneshot::Sender<Result<Encoded, EncodeError>>,
}

/// What the threads run.
struct Engine {
    encoder: Encoder,
    /// Makes the vectors that texts are compared by; without it the pretrained layers do.
    comparing: Option<Branch>,
}

impl Engine {
    /// The states of which the vectors that texts are compared by are the means.
    fn comparing(&self, states: &States) -> Result<States, EncodeError> {
        Ok(self.comparing.as_ref().map_or_else(|| self.encoder.through(states), |branch| branch.through(states))?)
    }
}

/// A handle to the encoder's threads; clones share them. They end when the last handle is dropped.
#[derive(Clone)]
pub struct EncoderWorker {
    name: Arc<str>,
    engine: Arc<Engine>,
    jobs: mpsc::Sender<Job>,
    config: WorkerConfig,
}

impl EncoderWorker {
    /// `name` is the model's, for answers and stamps; `comparing` makes the vectors that texts are compared by, in the place of the
    /// pretrained layers.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(name: &str, encoder: Encoder, comparing: Option<Branch>, config: WorkerConfig) -> Result<Self, EncodeError> {
        let engine = Arc::new(Engine { encoder, comparing });
        let (jobs, queue) = mpsc::channel(config.queue.max(1));
        let worker = EncoderWorker { name: name.into(), engine: Arc::clone(&engine), jobs, config };
        let queue = Arc::new(Mutex::new(queue));
        // As many as rayon would use: RAYON_NUM_THREADS bounds both.
        let threads = rayon::current_num_threads().max(1);
        for number in 0..threads {
            let share = Share { queue: Arc::clone(&queue), threads, batch_tokens: config.batch_tokens };
            let engine = Arc::clone(&engine);
            std::thread::Builder::new()
                .name(format!("encoder-{number}"))
                .spawn(move || run(&engine, &share))
                .map_err(|e| EncodeError::Model(e.to_string()))?;
        }
        Ok(worker)
    }

    /// Texts that wait now.
    pub fn waiting(&self) -> usize {
        self.jobs.max_capacity() - self.jobs.capacity()
    }

    fn submit(&self, text: &str, role: Role, wanted: Wanted) -> Result<oneshot::Receiver<Result<Encoded, EncodeError>>, EncodeError> {
        let tokens = self.engine.encoder.tokenize(text, role)?;
        let offsets = if wanted.tokens.is_some() { self.engine.encoder.offsets(text, role)? } else { Vec::new() };
        let (answer, receiver) = oneshot::channel();
        self.jobs.try_send(Job { tokens, offsets, wanted, answer }).map_err(|e| match e {
            mpsc::error::TrySendError::Full(_) => EncodeError::Overloaded { capacity: self.config.queue },
            mpsc::error::TrySendError::Closed(_) => EncodeError::Stopped,
        })?;
        Ok(receiver)
    }
}

impl SentenceEncoder for EncoderWorker {
    fn name(&self) -> &str {
        &self.name
    }

    fn dimension(&self) -> usize {
        self.engine.encoder.dimension()
    }

    /// [`EncodeError::Overloaded`] comes at once when the queue is full.
    fn encode<'a>(&'a self, text: &'a str, role: Role, wanted: Wanted) -> EncodeFuture<'a> {
        Box::pin(async move {
            let answer = self.submit(text, role, wanted)?;
            match tokio::time::timeout(self.config.timeout, answer).await {
                Ok(Ok(encoded)) => encoded,
                Ok(Err(_)) => Err(EncodeError::Stopped),
                Err(_) => Err(EncodeError::Timeout),
            }
        })
    }

    fn encode_bulk(&self, texts: &[String], role: Role) -> Result<Vec<Vec<f32>>, EncodeError> {
        self.bulk(texts, role, States::pooled)
    }

    fn aligned_bulk(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EncodeError> {
        self.bulk(texts, Role::Passage, States::words)
    }
}

impl EncoderWorker {
    /// What `take` takes of the states that texts are compared by, of many texts.
    fn bulk<T: Clone + Default + Send>(
        &self,
        texts: &[String],
        role: Role,
        take: impl Fn(&States) -> candle_core::Result<Vec<T>> + Sync,
    ) -> Result<Vec<T>, EncodeError> {
        // The branch was trained with one role for both sides.
        let role = if self.engine.comparing.is_some() { Role::Query } else { role };
        let tokens = texts.iter().map(|t| self.engine.encoder.tokenize(t, role)).collect::<Result<Vec<_>, _>>()?;
        let mut order: Vec<usize> = (0..tokens.len()).collect();
        order.sort_by_key(|&i| tokens[i].len());
        let parts = batches(&order, |&i| tokens[i].len(), self.config.batch_tokens);
        let taken = parts.par_iter().map(|part| {
            let states = self.engine.encoder.trunk(&part.iter().map(|&i| tokens[i].clone()).collect::<Vec<_>>())?;
            Ok::<_, EncodeError>(take(&self.engine.comparing(&states)?)?)
        });
        let taken: Vec<Vec<T>> = taken.collect::<Result<_, _>>()?;
        let mut out = vec![T::default(); tokens.len()];
        for (&i, one) in parts.into_iter().flatten().zip(taken.into_iter().flatten()) {
            out[i] = one;
        }
        Ok(out)
    }
}

/// What a thread has of the queue.
struct Share {
    queue: Arc<Mutex<mpsc::Receiver<Job>>>,
    threads: usize,
    batch_tokens: usize,
}

impl Share {
    /// Waits for a job and takes this thread's part of those that wait with it; `None` when the last handle is gone.
    fn next_batch(&self) -> Option<Vec<Job>> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let first = queue.blocking_recv()?;
        // Whoever came in while the threads were busy is in this batch, as far as the tokens go, less what the other threads can take.
        let most = (1 + queue.len()).div_ceil(self.threads);
        let mut tokens = first.tokens.len();
        let mut batch = vec![first];
        while batch.len() < most && tokens < self.batch_tokens {
            let Ok(next) = queue.try_recv() else { break };
            tokens += next.tokens.len();
            batch.push(next);
        }
        Some(batch)
    }
}

fn run(engine: &Engine, share: &Share) {
    while let Some(mut batch) = share.next_batch() {
        // Callers who have gone are skipped.
        batch.retain(|job| !job.answer.is_closed());
        let input: Vec<Tokens> = batch.iter_mut().map(|job| std::mem::take(&mut job.tokens)).collect();
        let wanted: Vec<&Wanted> = batch.iter().map(|job| &job.wanted).collect();
        match encode(engine, &input, &wanted) {
            Ok(encoded) => {
                for (job, mut encoded) in batch.into_iter().zip(encoded) {
                    if let Some(tokens) = &mut encoded.tokens {
                        tokens.offsets = job.offsets;
                    }
                    // A caller who has gone meanwhile does not want to know.
                    let _ = job.answer.send(Ok(encoded));
                }
            }
            Err(e) => {
                for job in batch {
                    let _ = job.answer.send(Err(e.clone()));
                }
            }
        }
    }
}

/// One pass of the trunk for all texts, and on top of it what each wants.
fn encode(engine: &Engine, batch: &[Tokens], wanted: &[&Wanted]) -> Result<Vec<Encoded>, EncodeError> {
    if batch.is_empty() {
        return Ok(Vec::new());
    }
    let states = engine.encoder.trunk(batch)?;
    let mut out = vec![Encoded::default(); batch.len()];
    let who = |wants: &dyn Fn(&Wanted) -> bool| (0..batch.len()).filter(|&i| wants(wanted[i])).collect::<Vec<usize>>();
    let rows = who(&|w| w.sentence);
    if !rows.is_empty() {
        for (&row, vector) in rows.iter().zip(engine.encoder.sentences(&states.only(&rows)?)?) {
            out[row].sentence = Some(vector);
        }
    }
    let rows = who(&|w| w.compared || w.aligned);
    if !rows.is_empty() {
        let top = engine.comparing(&states.only(&rows)?)?;
        let mut words = if rows.iter().any(|&row| wanted[row].aligned) { top.words()?.into_iter() } else { Vec::new().into_iter() };
        for (&row, vector) in rows.iter().zip(top.pooled()?) {
            out[row].compared = wanted[row].compared.then_some(vector);
            out[row].aligned = words.next().filter(|_| wanted[row].aligned);
        }
    }
    for branch in distinct(wanted.iter().filter_map(|w| w.branch.as_ref())) {
        let rows = rows_of(wanted, |w| w.branch.as_ref(), branch);
        for (&row, vector) in rows.iter().zip(branch.pooled(&states.only(&rows)?)?) {
            out[row].branch = Some(vector);
        }
    }
    for branch in distinct(wanted.iter().filter_map(|w| w.tokens.as_ref())) {
        let rows = rows_of(wanted, |w| w.tokens.as_ref(), branch);
        for (&row, states) in rows.iter().zip(branch.token_states(&states.only(&rows)?)?) {
            out[row].tokens = Some(TokenStates { states, width: branch.dimension(), offsets: Vec::new() });
        }
    }
    Ok(out)
}

/// Each branch once. Most often one; two while a new model takes the place of an old one, or a challenger runs beside the champion.
fn distinct<'a>(branches: impl Iterator<Item = &'a Arc<Branch>>) -> Vec<&'a Arc<Branch>> {
    let mut out: Vec<&Arc<Branch>> = Vec::new();
    for branch in branches {
        if !out.iter().any(|b| Arc::ptr_eq(b, branch)) {
            out.push(branch);
        }
    }
    out
}

/// The texts that want a branch.
fn rows_of(wanted: &[&Wanted], of: impl Fn(&Wanted) -> Option<&Arc<Branch>>, branch: &Arc<Branch>) -> Vec<usize> {
    (0..wanted.len()).filter(|&i| of(wanted[i]).is_some_and(|b| Arc::ptr_eq(b, branch))).collect()
}

/// Cuts a list into runs whose sizes sum to at most `limit`; one larger item is a run alone.
fn batches<T>(items: &[T], size: impl Fn(&T) -> usize, limit: usize) -> Vec<&[T]> {
    let mut out = Vec::new();
    let (mut start, mut sum) = (0, 0);
    for (at, item) in items.iter().enumerate() {
        if at > start && sum + size(item) > limit {
            out.push(&items[start..at]);
            (start, sum) = (at, 0);
        }
        sum += size(item);
    }
    if start < items.len() {
        out.push(&items[start..]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_hold_everything_in_order_within_the_limit() {
        let items = [5, 1, 1, 9, 2, 2];
        let cut = batches(&items, |&n| n, 7);
        assert_eq!(cut, [&[5, 1, 1][..], &[9], &[2, 2]]);
        assert!(batches(&[] as &[usize], |&n| n, 7).is_empty());
    }
}
