//! What stands on the layers while they are trained.

use candle_core::{Device, Result, Tensor, Var};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

use super::ops::Dropout;

/// Some texts with the states that the layers have made of them.
pub struct Batch<'a> {
    /// `[texts * n, hidden]`, each text padded to `n` tokens; what stands in the padding means nothing.
    pub states: Tensor,
    pub n: usize,
    /// Real tokens of each text.
    pub lengths: Vec<usize>,
    /// Which rows of the set the texts are.
    pub rows: &'a [usize],
    /// The head's variables, in the order of [`Head::variables`].
    pub variables: &'a [(String, Var)],
}

/// A task: what is learned on top of the layers, by which loss, and how it is measured.
pub trait Head: Sync {
    /// Names, which begin with `head.`, and first values of the variables, for states of `hidden` numbers a token.
    ///
    /// # Errors
    /// candle's.
    fn variables(&self, hidden: usize) -> Result<Vec<(String, Tensor)>>;

    /// The sum of the texts' losses over `texts`, the number of the whole batch of which these may be a part: a scalar. They come in one
    /// batch, or in several where [`Self::batches`] has put together texts of any length.
    ///
    /// # Errors
    /// candle's.
    fn loss(&self, batches: &[Batch<'_>], texts: usize, noise: &mut Noise) -> Result<Tensor>;

    /// What the score is taken from, for each text of a batch.
    ///
    /// # Errors
    /// candle's.
    fn measure(&self, batch: &Batch<'_>) -> Result<Vec<Vec<f32>>>;

    /// The score of some rows of the set of which that was measured; else two numbers each, whose sums' ratio it is.
    fn score(&self, _rows: &[usize], measured: &[Vec<f32>]) -> f64 {
        let sum = |i: usize| measured.iter().map(|m| f64::from(m[i])).sum::<f64>();
        let of = sum(1);
        if of > 0.0 { sum(0) / of } else { 0.0 }
    }

    /// The batches of an epoch, for a head whose loss is about texts that stand together; each is cut in the middle. `None`: texts of
    /// similar length, in any order.
    fn batches(&self, _random: &mut ChaCha8Rng) -> Option<Vec<Vec<usize>>> {
        None
    }
}

/// Random numbers for one part of one batch; the same for the same seed and place.
pub struct Noise {
    pub random: ChaCha8Rng,
    /// Of 256 numbers, how many are dropped.
    pub(super) drop_below: u8,
    /// Of 256 tokens, how many are blanked.
    pub(super) tokens_below: u8,
    /// The epoch, for a head whose rows come in several readings.
    pub epoch: usize,
}

impl Noise {
    /// Drops single numbers.
    ///
    /// # Errors
    /// candle's.
    pub fn drop(&mut self, x: &Tensor) -> Result<Tensor> {
        if self.drop_below == 0 {
            return Ok(x.clone());
        }
        let mut bytes = vec![0; x.elem_count()];
        self.random.fill_bytes(&mut bytes);
        x.apply_op1(Dropout { bytes, drop_below: self.drop_below })
    }

    /// Sets whole tokens of `[tokens, hidden]` to 0: a message still says the same without one of its words.
    pub(super) fn tokens(&mut self, x: &Tensor) -> Result<Tensor> {
        if self.tokens_below == 0 {
            return Ok(x.clone());
        }
        let (tokens, hidden) = x.dims2()?;
        let mut bytes = vec![0; tokens];
        self.random.fill_bytes(&mut bytes);
        let keep: Vec<f32> = bytes.into_iter().map(|b| if b >= self.tokens_below { 1.0 } else { 0.0 }).collect();
        x.broadcast_mul(&Tensor::from_vec(keep, (tokens, 1), &Device::Cpu)?)?.reshape((tokens, hidden))
    }
}
