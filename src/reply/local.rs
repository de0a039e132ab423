//! A GGUF model in process: one thread behind a bounded queue, which keeps the heads of the last prompts.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc as channel};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::decoder::{Cache, Decoder};
use super::sampling::{Sampler, among};
use super::vocabulary::Vocabulary;
use super::{Finish, GenerateError, GenerateFuture, Generation, Generator, Request};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalConfig {
    /// Requests that may wait; one more is refused.
    pub queue: usize,
    /// Threads of one product.
    pub threads: usize,
    /// Tokens of prompt and answer together.
    pub context: usize,
    /// Prompts whose heads are kept.
    pub heads: usize,
}

enum Job {
    Write { request: Request, stream: Option<mpsc::Sender<String>>, answer: oneshot::Sender<Result<Generation, GenerateError>> },
    Choose { request: Request, choices: Vec<String>, answer: oneshot::Sender<Result<Vec<f32>, GenerateError>> },
}

/// A handle to the generator's thread, which ends when the last handle is dropped.
pub struct LocalGenerator {
    name: String,
    jobs: channel::SyncSender<Job>,
    waiting: Arc<AtomicUsize>,
    config: LocalConfig,
}

impl LocalGenerator {
    /// Reads a model; `name` is for answers and records.
    ///
    /// # Errors
    /// [`GenerateError::Model`], with what to do, for a file that is missing, cut off, foreign or unknown.
    pub fn start(name: &str, path: &Path, config: LocalConfig) -> Result<Self, GenerateError> {
        let said = |e: &dyn std::fmt::Display| GenerateError::Model(format!("{}: {e}", path.display()));
        let (decoder, content) = Decoder::load(path, config.threads, config.context).map_err(|e| said(&e))?;
        let vocabulary = Vocabulary::read(&content).map_err(|e| said(&e))?;
        let (jobs, queue) = channel::sync_channel(config.queue.max(1));
        let waiting = Arc::new(AtomicUsize::new(0));
        let engine = Engine { decoder, vocabulary, heads: Vec::new(), most_heads: config.heads };
        let count = Arc::clone(&waiting);
        std::thread::Builder::new().name("generator".into()).spawn(move || run(engine, &queue, &count)).map_err(|e| said(&e))?;
        Ok(LocalGenerator { name: name.to_owned(), jobs, waiting, config })
    }

    /// Requests that wait now.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    async fn ask<T>(&self, deadline: Instant, job: Job, answer: oneshot::Receiver<Result<T, GenerateError>>) -> Result<T, GenerateError> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.jobs.try_send(job).map_err(|e| {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            match e {
                channel::TrySendError::Full(_) => GenerateError::Overloaded { capacity: self.config.queue },
                channel::TrySendError::Disconnected(_) => GenerateError::Stopped,
            }
        })?;
        match tokio::time::timeout_at(deadline.into(), answer).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_)) => Err(GenerateError::Stopped),
            Err(_) => Err(GenerateError::Timeout),
        }
    }
}

impl Generator for LocalGenerator {
    fn name(&self) -> &str {
        &self.name
    }

    fn generate(&self, request: Request, stream: Option<mpsc::Sender<String>>) -> GenerateFuture<'_, Generation> {
        let (answer, receiver) = oneshot::channel();
        Box::pin(self.ask(request.deadline, Job::Write { request, stream, answer }, receiver))
    }

    fn choose(&self, request: Request, choices: Vec<String>) -> GenerateFuture<'_, Vec<f32>> {
        let (answer, receiver) = oneshot::channel();
        Box::pin(self.ask(request.deadline, Job::Choose { request, choices, answer }, receiver))
    }
}

fn run(mut engine: Engine, queue: &channel::Receiver<Job>, waiting: &AtomicUsize) {
    while let Ok(job) = queue.recv() {
        waiting.fetch_sub(1, Ordering::Relaxed);
        // Callers who have gone are skipped, and do not want to know.
        match job {
            Job::Write { request, stream, answer } if !answer.is_closed() => {
                let done = engine.write(&request, stream.as_ref(), &|| !answer.is_closed());
                let _ = answer.send(done);
            }
            Job::Choose { request, choices, answer } if !answer.is_closed() => {
                let done = engine.choose(&request, &choices, &|| !answer.is_closed());
                let _ = answer.send(done);
            }
            Job::Write { .. } | Job::Choose { .. } => {}
        }
    }
}

/// What the thread owns.
struct Engine {
    decoder: Decoder,
    vocabulary: Vocabulary,
    /// Of the last prompts, the newest first.
    heads: Vec<Cache>,
    most_heads: usize,
}

/// A prompt that the model has read.
struct Begun {
    cache: Cache,
    logits: Vec<f32>,
    prompt_tokens: usize,
    cached_tokens: usize,
}

impl Engine {
    /// Reads a prompt, as far as no kept head holds it already.
    fn begin(&mut self, request: &Request, wanted: &dyn Fn() -> bool) -> Result<Begun, GenerateError> {
        let tokens = self.vocabulary.prompt(&request.turns)?;
        let most = self.decoder.context().saturating_sub(request.max_tokens);
        if tokens.len() > most {
            return Err(GenerateError::TooLong { tokens: tokens.len(), most });
        }
        // The last token is always read: its logits are wanted.
        let shared = |cache: &Cache| cache.shared(&tokens).min(tokens.len().saturating_sub(1));
        let kept = self.heads.iter().enumerate().map(|(i, cache)| (shared(cache), i)).max();
        let mut cache = match kept {
            Some((n, i)) if n > 0 => self.heads[i].head(n),
            _ => Cache::default(),
        };
        let cached_tokens = cache.len();
        let go_on = || Instant::now() < request.deadline && wanted();
        let logits = self.decoder.forward(&tokens[cached_tokens..], &mut cache, &go_on);
        let logits = logits.map_err(|e| GenerateError::Model(e.to_string()))?.ok_or(GenerateError::Timeout)?;
        self.keep(&cache);
        Ok(Begun { cache, logits, prompt_tokens: tokens.len(), cached_tokens })
    }

    /// Keeps a prompt for those that begin alike, in the place of those that it begins with.
    fn keep(&mut self, cache: &Cache) {
        self.heads.retain(|old| !old.begins(cache));
        self.heads.insert(0, cache.clone());
        self.heads.truncate(self.most_heads);
    }

    fn write(
        &mut self,
        request: &Request,
        stream: Option<&mpsc::Sender<String>>,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Generation, GenerateError> {
        let start = Instant::now();
        let Begun { mut cache, mut logits, prompt_tokens, cached_tokens } = self.begin(request, wanted)?;
        let mut sampler = Sampler::new(request.sampling);
        let mut writer = self.vocabulary.writer();
        let mut generated_tokens = 0;
        let mut first_token = Duration::ZERO;
        let mut told = 0;
        let go_on = || Instant::now() < request.deadline && wanted();
        let finish = loop {
            let token =
                sampler.draw(&logits).ok_or_else(|| GenerateError::Model("it answers no numbers (NaN): the file is broken".into()))?;
            if generated_tokens == 0 {
                first_token = start.elapsed();
            }
            generated_tokens += 1;
            if self.vocabulary.ends(token) {
                break Finish::Stop;
            }
            writer.push(token)?;
            if let Some(at) = request.stop.iter().filter_map(|s| writer.text.find(s.as_str())).min() {
                writer.text.truncate(at);
                break Finish::Stop;
            }
            told = tell(stream, &writer.text, told, &request.stop)?;
            if generated_tokens >= request.max_tokens {
                break Finish::Length;
            }
            logits = match self.decoder.forward(&[token], &mut cache, &go_on) {
                Ok(Some(logits)) => logits,
                Ok(None) => return Err(GenerateError::Timeout),
                Err(e) => return Err(GenerateError::Model(e.to_string())),
            };
        };
        tell(stream, &writer.text, told, &[])?;
        Ok(Generation { text: writer.text, finish, prompt_tokens, cached_tokens, generated_tokens, first_token, total: start.elapsed() })
    }

    fn choose(&mut self, request: &Request, choices: &[String], wanted: &dyn Fn() -> bool) -> Result<Vec<f32>, GenerateError> {
        let ids = choices.iter().map(|c| self.vocabulary.first(c)).collect::<Result<Vec<_>, _>>()?;
        let begun = self.begin(request, wanted)?;
        let shares = among(&begun.logits, &ids);
        if shares.iter().any(|s| !s.is_finite()) {
            return Err(GenerateError::Model("it answers no numbers (NaN): the file is broken".into()));
        }
        Ok(shares)
    }
}

/// Sends what is new of a text, but for an end that may become a stop; answers how far it was sent.
fn tell(stream: Option<&mpsc::Sender<String>>, text: &str, told: usize, stops: &[String]) -> Result<usize, GenerateError> {
    let Some(stream) = stream else { return Ok(told) };
    let begins = |at: usize| stops.iter().any(|s| s.starts_with(&text[at..]));
    let end = text.char_indices().map(|(at, _)| at).skip_while(|&at| at < told).find(|&at| begins(at)).unwrap_or(text.len());
    if end <= told {
        return Ok(told);
    }
    // Who has gone wants no more; who is slow gets all of it at the end.
    match stream.try_send(text[told..end].to_owned()) {
        Ok(()) => Ok(end),
        Err(mpsc::error::TrySendError::Full(_)) => Ok(told),
        Err(mpsc::error::TrySendError::Closed(_)) => Err(GenerateError::Stopped),
    }
}
