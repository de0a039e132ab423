//! From how likely each word is to one word.

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// How words are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// 0 takes the likeliest word, always.
    pub temperature: f32,
    /// Words are drawn from the likeliest that hold this share together.
    pub top_p: f32,
    pub seed: u64,
}

impl Sampling {
    /// The likeliest word, always.
    pub const GREEDY: Sampling = Sampling { temperature: 0.0, top_p: 1.0, seed: 0 };
}

/// Draws the words of one answer: the same seed draws the same words.
pub(super) struct Sampler {
    sampling: Sampling,
    random: ChaCha8Rng,
}

impl Sampler {
    pub(super) fn new(sampling: Sampling) -> Self {
        Sampler { sampling, random: ChaCha8Rng::seed_from_u64(sampling.seed) }
    }

    /// A word's number; `None` where the logits are not numbers, as a broken model's are.
    pub(super) fn draw(&mut self, logits: &[f32]) -> Option<u32> {
        let (best, most) = logits.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
        if !most.is_finite() || logits.iter().any(|l| l.is_nan()) {
            return None;
        }
        let Sampling { temperature, top_p, .. } = self.sampling;
        if temperature <= 0.0 {
            return Some(best as u32);
        }
        let mut shares: Vec<(usize, f32)> = logits.iter().map(|l| ((l - most) / temperature).exp()).enumerate().collect();
        let all: f32 = shares.iter().map(|s| s.1).sum();
        // Words of less than a thousandth of the best one's share are not worth sorting: together they are drawn never or hardly.
        shares.retain(|s| s.1 >= 1e-3);
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        let mut held = 0.0;
        let kept = shares.iter().position(|s| {
            held += s.1 / all;
            held >= top_p
        });
        shares.truncate(kept.map_or(shares.len(), |k| k + 1));
        let mut at = self.random.random::<f32>() * shares.iter().map(|s| s.1).sum::<f32>();
        let drawn = shares.iter().find(|s| {
            at -= s.1;
            at <= 0.0
        });
        Some(drawn.unwrap_or(&shares[0]).0 as u32)
    }
}

/// The share of each of `ids`, among them.
pub(super) fn among(logits: &[f32], ids: &[u32]) -> Vec<f32> {
    let chosen: Vec<f32> = ids.iter().map(|&id| logits.get(id as usize).copied().unwrap_or(f32::NEG_INFINITY)).collect();
    let most = chosen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shares: Vec<f32> = chosen.iter().map(|l| (l - most).exp()).collect();
    let sum: f32 = shares.iter().sum();
    shares.into_iter().map(|s| s / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greedy_takes_the_likeliest_and_a_seed_draws_the_same_words() {
        let logits = [0.0, 3.0, 2.9, -5.0];
        assert_eq!(Sampler::new(Sampling::GREEDY).draw(&logits), Some(1));
        let warm = Sampling { temperature: 1.0, top_p: 0.99, seed: 5 };
        let drawn = |seed| {
            let mut sampler = Sampler::new(Sampling { seed, ..warm });
            (0..40).map(|_| sampler.draw(&logits).unwrap()).collect::<Vec<u32>>()
        };
        assert_eq!(drawn(5), drawn(5));
        assert_ne!(drawn(5), drawn(6));
        assert!(drawn(5).contains(&1) && drawn(5).contains(&2) && !drawn(5).contains(&3));
        let mut narrow = Sampler::new(Sampling { top_p: 0.1, ..warm });
        assert!((0..40).all(|_| narrow.draw(&logits) == Some(1)));
    }

    #[test]
    fn logits_that_are_no_numbers_draw_nothing() {
        assert_eq!(Sampler::new(Sampling::GREEDY).draw(&[1.0, f32::NAN]), None);
        assert_eq!(Sampler::new(Sampling::GREEDY).draw(&[]), None);
    }

    #[test]
    fn shares_among_choices_sum_to_one() {
        let shares = among(&[1.0, 2.0, 2.0, 9.0], &[1, 2]);
        assert!((shares[0] - 0.5).abs() < 1e-6 && (shares[1] - 0.5).abs() < 1e-6);
    }
}
