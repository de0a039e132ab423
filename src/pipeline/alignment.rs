//! A second look at the articles that a search found: late interaction (Khattab and Zaharia 2020, arXiv:2004.12832).
//!
//! One vector a text says what it is about. Whether an article speaks of each thing that is asked shows only token by token: for each token
//! of the message the nearest of the article's, by the states that the compared vectors are the means of. The articles' states are kept
//! in 8 bits, so that a search costs their products alone.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2};
use quick_cache::sync::Cache;
use sha2::{Digest, Sha256};

use super::{PipelineError, blocking};
use crate::embed::SentenceEncoder;

/// Pieces of articles whose states are kept, about 40 KB each. A piece that is not kept is read while the message waits, about 10 ms on one core:
/// a larger knowledge base is slower where its rarer articles are found.
pub const KEPT: usize = 2000;

/// Lays messages beside the articles that were found for them.
pub struct Alignment {
    encoder: Arc<dyn SentenceEncoder>,
    /// By the digest of the text, so that a changed article is another one.
    kept: Arc<Cache<[u8; 32], Arc<Passage>>>,
}

/// States of a text's tokens in 8 bits, a scale for each token.
struct Passage {
    rows: Vec<i8>,
    scales: Vec<f32>,
}

impl Passage {
    fn new(states: &[f32], width: usize) -> Self {
        let most = |row: &[f32]| row.iter().fold(f32::MIN_POSITIVE, |most, v| most.max(v.abs()));
        let scales: Vec<f32> = states.chunks_exact(width).map(|row| most(row) / 127.0).collect();
        let rows = states.chunks_exact(width).zip(&scales).flat_map(|(row, scale)| row.iter().map(move |v| (v / scale).round() as i8));
        Passage { rows: rows.collect(), scales }
    }

    /// `[tokens, width]`.
    fn states(&self, width: usize) -> Array2<f32> {
        let mut states = Array2::zeros((self.scales.len(), width));
        for ((mut to, from), scale) in states.rows_mut().into_iter().zip(self.rows.chunks_exact(width)).zip(&self.scales) {
            to.iter_mut().zip(from).for_each(|(to, v)| *to = f32::from(*v) * scale);
        }
        states
    }
}

impl Alignment {
    pub fn new(encoder: Arc<dyn SentenceEncoder>) -> Self {
        Alignment { encoder, kept: Arc::new(Cache::new(KEPT)) }
    }

    /// For each passage the mean, over the tokens of a message, of the cosine with the passage's nearest token; 0 where one of them has none.
    /// The message's states are those of [`Encoded::aligned`](crate::embed::Encoded::aligned).
    ///
    /// # Errors
    /// The encoder's.
    pub async fn of(&self, message: &Arc<[f32]>, passages: Vec<String>) -> Result<Vec<f64>, PipelineError> {
        let (encoder, kept, message) = (Arc::clone(&self.encoder), Arc::clone(&self.kept), Arc::clone(message));
        blocking(move || {
            let width = encoder.aligned_dimension();
            let keys: Vec<[u8; 32]> = passages.iter().map(|text| Sha256::digest(text).into()).collect();
            let mut states: Vec<Option<Arc<Passage>>> = keys.iter().map(|key| kept.get(key)).collect();
            let missing: Vec<usize> = (0..states.len()).filter(|&i| states[i].is_none()).collect();
            let texts: Vec<String> = missing.iter().map(|&i| passages[i].clone()).collect();
            for (i, rows) in missing.into_iter().zip(encoder.aligned_bulk(&texts)?) {
                let passage = Arc::new(Passage::new(&rows, width));
                kept.insert(keys[i], Arc::clone(&passage));
                states[i] = Some(passage);
            }
            let tokens = message.len() / width.max(1);
            let Ok(message) = ArrayView2::from_shape((tokens, width), &message) else { return Ok(vec![0.0; states.len()]) };
            Ok(states.into_iter().map(|passage| passage.map_or(0.0, |p| nearest(&message, &p.states(width)))).collect())
        })
        .await?
    }
}

fn nearest(message: &ArrayView2<'_, f32>, passage: &Array2<f32>) -> f64 {
    if message.nrows() == 0 || passage.nrows() == 0 {
        return 0.0;
    }
    let cosines = message.dot(&passage.t());
    let best = cosines.rows().into_iter().map(|row| f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max)));
    best.sum::<f64>() / message.nrows() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_of_the_message_takes_its_nearest() {
        let message = [1.0, 0.0, 0.0, 1.0];
        let passage = Passage::new(&[0.6, 0.8, -1.0, 0.0, 0.0, 1.0], 2).states(2);
        let message = ArrayView2::from_shape((2, 2), &message).unwrap();
        // 0.6 for the first, 1 for the second.
        assert!((nearest(&message, &passage) - 0.8).abs() < 0.01);
        assert_eq!(nearest(&message, &Array2::zeros((0, 2))), 0.0);
        assert_eq!(nearest(&ArrayView2::from_shape((0, 2), &[]).unwrap(), &passage), 0.0);
    }
}
