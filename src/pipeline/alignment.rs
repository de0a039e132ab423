//! A second look at the articles that a search found: late interaction (Khattab and Zaharia 2020, arXiv:2004.12832).
//!
//! One vector a text says what it is about. Whether an article speaks of each thing that is asked shows only token by token: for each token
//! of the message the nearest of the article's, by the states that the compared vectors are the means of. The articles' states are kept
//! in 8 bits, so that a search costs their products alone.

use std::sync::Arc;

use ndarray::ArrayView2;
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

    /// Row after row.
    fn states(&self, width: usize) -> Vec<f32> {
        let rows = self.rows.chunks_exact(width).zip(&self.scales);
        rows.flat_map(|(row, scale)| row.iter().map(move |v| f32::from(*v) * scale)).collect()
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
            Ok(states.into_iter().map(|passage| passage.map_or(0.0, |p| alignment(&message, &p.states(width), width))).collect())
        })
        .await?
    }
}

/// The mean, over the tokens of a message, of the cosine with a passage's nearest token; 0 where one of them has none. Both are rows of `width`
/// numbers and of length 1.
pub fn alignment(message: &[f32], passage: &[f32], width: usize) -> f64 {
    let (Some(message), Some(passage)) = (rows(message, width), rows(passage, width)) else { return 0.0 };
    let cosines = message.dot(&passage.t());
    let best = cosines.rows().into_iter().map(|row| f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max)));
    best.sum::<f64>() / message.nrows() as f64
}

fn rows(states: &[f32], width: usize) -> Option<ArrayView2<'_, f32>> {
    ArrayView2::from_shape((states.len() / width.max(1), width), states).ok().filter(|rows| !rows.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_of_the_message_takes_its_nearest() {
        let message = [1.0, 0.0, 0.0, 1.0];
        let passage = Passage::new(&[0.6, 0.8, -1.0, 0.0, 0.0, 1.0], 2).states(2);
        // 0.6 for the first, 1 for the second.
        assert!((alignment(&message, &passage, 2) - 0.8).abs() < 0.01);
        assert_eq!((alignment(&message, &[], 2), alignment(&[], &passage, 2), alignment(&[], &[], 0)), (0.0, 0.0, 0.0));
    }
}
