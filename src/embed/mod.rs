//! Sentences to vectors: the multilingual-e5-small encoder on candle, and the worker that batches for it.
//!
//! [`Encoder`] is the forward pass: pure, synchronous, one batch at a time. [`EncoderWorker`] owns one on a thread of its own,
//! behind a bounded queue: when the queue is full the caller gets [`EncodeError::Overloaded`] at once. Callers who have gone
//! are skipped. A failed batch fails its own callers and nothing else.

mod bert;
mod branch;
pub mod comparing;
mod layer;
mod linear;
mod served;
pub mod tuning;
mod worker;

use std::sync::Arc;

pub use bert::{Encoder, Tokens};
pub use branch::Branch;
pub use layer::States;
pub use linear::Arithmetic;
pub use served::{ServedEncoder, ServedSettings};
pub use worker::{EncoderWorker, WorkerConfig};

/// What a text is for: e5 was trained with a word before each text that tells questions from what answers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Query,
    Passage,
}

impl Role {
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Role::Query => "query: ",
            Role::Passage => "passage: ",
        }
    }
}

/// Which vectors are wanted of a text; each branch more costs a quarter of a pass, the trunk is run once for all.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The sentence vector as it was pretrained.
    pub sentence: bool,
    /// The vector that texts are compared by: of the branch that was trained for it, where there is one.
    pub compared: bool,
    /// The states of the single tokens that this vector is the mean of.
    pub aligned: bool,
    /// The vector of a task's branch.
    pub branch: Option<Arc<Branch>>,
    /// The states that a task's branch makes of the single tokens.
    pub tokens: Option<Arc<Branch>>,
}

impl Wanted {
    /// The sentence vector alone.
    pub fn sentence() -> Self {
        Wanted { sentence: true, ..Wanted::default() }
    }

    /// The vector that texts are compared by, alone.
    pub fn compared() -> Self {
        Wanted { compared: true, ..Wanted::default() }
    }
}

/// What was wanted of one text; the vectors are of length 1.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Encoded {
    pub sentence: Option<Vec<f32>>,
    pub compared: Option<Vec<f32>>,
    /// Row after row, [`SentenceEncoder::aligned_dimension`] numbers of length 1 a token; none for the special tokens and the prefix, but for the colon of `query: `.
    pub aligned: Option<Vec<f32>>,
    pub branch: Option<Vec<f32>>,
    pub tokens: Option<TokenStates>,
}

/// The tokens of a text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TokenStates {
    /// Row after row, `width` numbers a token.
    pub states: Vec<f32>,
    pub width: usize,
    /// As of [`Encoder::offsets`].
    pub offsets: Vec<(u32, u32)>,
}

/// Anything that turns texts into vectors of length 1.
pub trait SentenceEncoder: Send + Sync {
    /// For the answer's `models` and the index's stamp: also of the branch that texts are compared by.
    fn name(&self) -> &str;

    /// Numbers in a vector.
    fn dimension(&self) -> usize;

    /// One text, batched with whoever else asks now.
    ///
    /// # Errors
    /// See [`EncodeError`].
    fn encode<'a>(&'a self, text: &'a str, role: Role, wanted: Wanted) -> EncodeFuture<'a>;

    /// Vectors that texts are compared by, of many, in order, for indexing: synchronous, on the caller's thread, beside the queue.
    ///
    /// # Errors
    /// See [`EncodeError`].
    fn encode_bulk(&self, texts: &[String], role: Role) -> Result<Vec<Vec<f32>>, EncodeError>;

    /// Numbers in a row of [`Encoded::aligned`].
    fn aligned_dimension(&self) -> usize {
        self.dimension()
    }

    /// As [`Encoded::aligned`], of many texts of an index, on the caller's thread.
    ///
    /// # Errors
    /// See [`EncodeError`].
    fn aligned_bulk(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, EncodeError>;
}

pub type EncodeFuture<'a> = std::pin::Pin<Box<dyn Future<Output = Result<Encoded, EncodeError>> + Send + 'a>>;

/// Why no vector came back.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EncodeError {
    /// The queue is full: come back in a moment.
    #[error("the encoder's queue is full ({capacity} waiting)")]
    Overloaded { capacity: usize },
    #[error("the encoder has stopped")]
    Stopped,
    #[error("the encoder did not answer in time")]
    Timeout,
    #[error("the encoder failed: {0}")]
    Model(String),
}

impl From<candle_core::Error> for EncodeError {
    fn from(e: candle_core::Error) -> Self {
        EncodeError::Model(e.to_string())
    }
}
