//! What the trunk makes of the texts of a training, computed once.

use candle_core::{Device, Tensor};
use half::f16;
use rayon::prelude::*;

use super::super::layer::States;
use super::super::{EncodeError, Encoder, Role};
use super::ops;

/// The trunk's states of many texts, in half precision: 768 bytes a token for e5-small.
pub struct Cached {
    states: Vec<f16>,
    /// Where each text's tokens begin, and the end of the last.
    starts: Vec<usize>,
    pub(super) hidden: usize,
}

/// Tokens of one forward pass of the trunk.
const BATCH_TOKENS: usize = 1024;

impl Cached {
    /// Texts without states, for a head that does without the encoder.
    pub fn blank(texts: usize) -> Self {
        Cached { states: Vec::new(), starts: vec![0; texts + 1], hidden: 0 }
    }

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

    pub(super) fn length(&self, text: usize) -> usize {
        self.starts[text + 1] - self.starts[text]
    }

    pub(super) fn states(&self, text: usize) -> &[f16] {
        &self.states[self.starts[text] * self.hidden..self.starts[text + 1] * self.hidden]
    }

    /// Vectors that `top` makes of the states of the cached texts `rows`, in their order.
    ///
    /// # Errors
    /// Those of `top`.
    pub fn vectors(
        &self,
        rows: &[usize],
        top: impl Fn(&States) -> std::result::Result<Vec<Vec<f32>>, EncodeError> + Sync,
    ) -> std::result::Result<Vec<Vec<f32>>, EncodeError> {
        let parts: Vec<Vec<Vec<f32>>> = rows.par_chunks(32).map(|part| top(&self.gather(part)?)).collect::<std::result::Result<_, _>>()?;
        Ok(parts.into_iter().flatten().collect())
    }

    fn gather(&self, rows: &[usize]) -> candle_core::Result<States> {
        let lengths: Vec<usize> = rows.iter().map(|&r| self.length(r)).collect();
        let values: Vec<f32> = rows.iter().flat_map(|&r| self.states(r)).map(|v| v.to_f32()).collect();
        let rows = Tensor::from_vec(values, (lengths.iter().sum::<usize>(), self.hidden), &Device::Cpu)?;
        Ok(States { rows, lengths })
    }
}
