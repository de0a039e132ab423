//! How far could a figure be off by the luck of the rows? Rows are drawn anew with replacement, many times, and the figure is taken
//! each time (Efron 1979; percentile intervals).

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// A range that holds a figure with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Interval {
    /// The middle 95 % of `values`; a point where there is one value, NaN where there is none.
    pub fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Interval { low: quantile(&values, 0.025), high: quantile(&values, 0.975) }
    }

    pub fn contains(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// Of sorted values, between neighbours in a straight line; not a number where there are none.
pub(super) fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let at = q * last as f64;
    let (below, above) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    below + (above - below) * at.fract()
}

/// The figure of `resamples` draws of `rows` rows out of `rows`. Each draw has its own stream of the generator, so that the result
/// depends on the seed and never on the number of threads.
pub fn resample<T: Send>(rows: usize, resamples: usize, seed: u64, figure: impl Fn(&[usize]) -> T + Sync) -> Vec<T> {
    let draw = |drawn: &mut Vec<usize>, at: usize| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(at as u64);
        drawn.clear();
        drawn.extend((0..rows).map(|_| random.random_range(0..rows)));
        figure(drawn)
    };
    (0..resamples).into_par_iter().map_init(|| Vec::with_capacity(rows), draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(Interval::of(vec![7.0]), Interval { low: 7.0, high: 7.0 });
        // 0.025 and 0.975 of the way from 0 to 200.
        assert_eq!(Interval::of((0..=200).rev().map(f64::from).collect()), Interval { low: 5.0, high: 195.0 });
        assert!(Interval::of(vec![]).low.is_nan());
    }

    #[test]
    fn a_share_of_a_thousand_rows_has_the_interval_of_theory() {
        let share = |drawn: &[usize]| drawn.iter().filter(|&&i| i < 700).count() as f64 / drawn.len() as f64;
        let found = Interval::of(resample(1000, 4000, 7, share));
        // 1.96 * sqrt(0.7 * 0.3 / 1000) = 0.0284
        assert!((found.low - 0.6716).abs() < 0.003 && (found.high - 0.7284).abs() < 0.003, "{found:?}");
        assert_eq!(found, Interval::of(resample(1000, 4000, 7, share)), "the seed decides");
        assert_ne!(found, Interval::of(resample(1000, 4000, 8, share)));
    }
}
