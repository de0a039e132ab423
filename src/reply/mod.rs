//! Replies in words of one's own: what writes them, and what checks that every word has a source.
//!
//! [`Generator`] has two engines: [`LocalGenerator`], a GGUF model in process, and [`ServedGenerator`], any server that speaks OpenAI's
//! chat protocol. None at all is the default: replies are then the article's own words.

pub mod decoder;
mod local;
mod sampling;
mod served;
mod vocabulary;

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

pub use local::{LocalConfig, LocalGenerator};
pub use sampling::Sampling;
pub use served::{ServedGenerator, ServedGeneratorSettings};

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Speaker {
    System,
    User,
    Assistant,
}

/// One turn of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub speaker: Speaker,
    pub text: String,
}

impl Turn {
    pub fn new(speaker: Speaker, text: impl Into<String>) -> Self {
        Turn { speaker, text: text.into() }
    }
}

/// What is wanted of a generator. Put what many prompts share first: a prompt's head that was seen before is not computed again.
#[derive(Debug, Clone)]
pub struct Request {
    pub turns: Vec<Turn>,
    /// Tokens of the answer at most.
    pub max_tokens: usize,
    pub sampling: Sampling,
    /// The answer ends before any of these.
    pub stop: Vec<String>,
    /// No answer after this.
    pub deadline: Instant,
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model said all, or a stop was met.
    Stop,
    /// `max_tokens` were reached.
    Length,
}

/// An answer. Counts are in the model's own tokens; a server that does not tell them leaves 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Generation {
    pub text: String,
    pub finish: Finish,
    pub prompt_tokens: usize,
    /// Of the prompt's, those that a kept head already held.
    pub cached_tokens: usize,
    pub generated_tokens: usize,
    pub first_token: Duration,
    pub total: Duration,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    #[error("the generator's queue is full ({capacity} waiting)")]
    Overloaded { capacity: usize },
    #[error("the generator did not answer in time")]
    Timeout,
    #[error("the generator has stopped")]
    Stopped,
    #[error("the prompt has {tokens} tokens, and {most} fit: raise reply.context, or send less evidence")]
    TooLong { tokens: usize, most: usize },
    /// Too many faults lately: it is not asked for a while.
    #[error("the generator failed several times and is left alone for {seconds} s")]
    Resting { seconds: u64 },
    #[error("the generator failed: {0}")]
    Model(String),
}

pub type GenerateFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = Result<T, GenerateError>> + Send + 'a>>;

/// Anything that goes on with a conversation.
pub trait Generator: Send + Sync {
    /// For the answer's `generator` and the records.
    fn name(&self) -> &str;

    /// Writes an answer. What is written goes into `stream` piece by piece, too; a piece that finds nobody there ends the work.
    ///
    /// # Errors
    /// See [`GenerateError`]; at the deadline it is [`GenerateError::Timeout`], whatever was written.
    fn generate(&self, request: Request, stream: Option<mpsc::Sender<String>>) -> GenerateFuture<'_, Generation>;

    /// How likely the answer begins with each of `choices`, among them: a judgement without writing a word.
    ///
    /// # Errors
    /// See [`GenerateError`].
    fn choose(&self, request: Request, choices: Vec<String>) -> GenerateFuture<'_, Vec<f32>>;
}
