//! One thread that owns the encoder, behind a bounded queue, batching by tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::bert::{Encoder, Tokens};
use super::{EncodeError, EncodeFuture, Role, SentenceEncoder};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerConfig {
    /// Texts that may wait; one more is refused.
    pub queue: usize,
    /// Tokens of one forward pass, padding aside. One longer text is a batch alone.
    pub batch_tokens: usize,
    /// How long a caller waits for its vector.
    pub timeout: Duration,
}

struct Job {
    tokens: Tokens,
    answer: oneshot::Sender<Result<Vec<f32>, EncodeError>>,
}

/// A handle to the encoder's thread; clones share it. The thread ends when the last handle is dropped.
#[derive(Clone)]
pub struct EncoderWorker {
    name: Arc<str>,
    encoder: Arc<Encoder>,
    jobs: mpsc::Sender<Job>,
    waiting: Arc<AtomicUsize>,
    config: WorkerConfig,
}

impl EncoderWorker {
    /// `name` is the model's, for answers and stamps.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(name: &str, encoder: Encoder, config: WorkerConfig) -> Result<Self, EncodeError> {
        let encoder = Arc::new(encoder);
        let (jobs, queue) = mpsc::channel(config.queue.max(1));
        let waiting = Arc::new(AtomicUsize::new(0));
        let worker = EncoderWorker { name: name.into(), encoder: Arc::clone(&encoder), jobs, waiting: Arc::clone(&waiting), config };
        std::thread::Builder::new()
            .name("encoder".into())
            .spawn(move || run(&encoder, queue, &waiting, config.batch_tokens))
            .map_err(|e| EncodeError::Model(e.to_string()))?;
        Ok(worker)
    }

    /// Texts that wait now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn submit(&self, text: &str, role: Role) -> Result<oneshot::Receiver<Result<Vec<f32>, EncodeError>>, EncodeError> {
        let tokens = self.encoder.tokenize(text, role)?;
        let (answer, receiver) = oneshot::channel();
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.jobs.try_send(Job { tokens, answer }).map_err(|e| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            match e {
                mpsc::error::TrySendError::Full(_) => EncodeError::Overloaded { capacity: self.config.queue },
                mpsc::error::TrySendError::Closed(_) => EncodeError::Stopped,
            }
        })?;
        Ok(receiver)
    }
}

impl SentenceEncoder for EncoderWorker {
    fn name(&self) -> &str {
        &self.name
    }

    fn dimension(&self) -> usize {
        self.encoder.dimension()
    }

    /// [`EncodeError::Overloaded`] comes at once when the queue is full.
    fn encode<'a>(&'a self, text: &'a str, role: Role) -> EncodeFuture<'a> {
        Box::pin(async move {
            let answer = self.submit(text, role)?;
            match tokio::time::timeout(self.config.timeout, answer).await {
                Ok(Ok(vector)) => vector,
                Ok(Err(_)) => Err(EncodeError::Stopped),
                Err(_) => Err(EncodeError::Timeout),
            }
        })
    }

    fn encode_bulk(&self, texts: &[String], role: Role) -> Result<Vec<Vec<f32>>, EncodeError> {
        let tokens = texts.iter().map(|t| self.encoder.tokenize(t, role)).collect::<Result<Vec<_>, _>>()?;
        let mut order: Vec<usize> = (0..tokens.len()).collect();
        order.sort_by_key(|&i| tokens[i].len());
        let mut vectors = vec![Vec::new(); tokens.len()];
        for batch in batches(&order, |&i| tokens[i].len(), self.config.batch_tokens) {
            let input: Vec<Tokens> = batch.iter().map(|&i| tokens[i].clone()).collect();
            for (&i, vector) in batch.iter().zip(self.encoder.encode(&input)?) {
                vectors[i] = vector;
            }
        }
        Ok(vectors)
    }
}

fn run(encoder: &Encoder, mut queue: mpsc::Receiver<Job>, waiting: &AtomicUsize, batch_tokens: usize) {
    let mut held = None;
    while let Some(first) = held.take().or_else(|| queue.blocking_recv()) {
        // Whoever came in while the last batch ran is in this one, as far as the tokens go.
        let mut tokens = first.tokens.len();
        let mut batch = vec![first];
        while let Ok(next) = queue.try_recv() {
            if next.answer.is_closed() {
                waiting.fetch_sub(1, Ordering::Relaxed);
                continue;
            }
            if tokens + next.tokens.len() > batch_tokens {
                held = Some(next);
                break;
            }
            tokens += next.tokens.len();
            batch.push(next);
        }
        waiting.fetch_sub(batch.len(), Ordering::Relaxed);
        batch.retain(|job| !job.answer.is_closed());
        let input: Vec<Tokens> = batch.iter_mut().map(|job| std::mem::take(&mut job.tokens)).collect();
        match encoder.encode(&input) {
            Ok(vectors) => {
                for (job, vector) in batch.into_iter().zip(vectors) {
                    // A caller who has gone meanwhile does not want to know.
                    let _ = job.answer.send(Ok(vector));
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
