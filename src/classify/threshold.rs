//! From which probability on may an answer stand alone?

use serde::{Deserialize, Serialize};
use statrs::distribution::{Beta, ContinuousCDF};

use super::metrics::Outcome;

/// The probability from which on answers had a precision on held-out rows, with confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    pub precision: f64,
    /// `None`: no threshold held it.
    pub threshold: Option<f64>,
    /// Share of held-out rows above it.
    pub coverage: f64,
}

impl Threshold {
    /// Chooses a threshold for each precision; strictest last.
    pub fn choose(outcomes: &[Outcome], precisions: &[f64], confidence: f64) -> Vec<Self> {
        let mut precisions = precisions.to_vec();
        precisions.sort_by(f64::total_cmp);
        let one = |precision: f64| {
            let threshold = threshold_for_precision(outcomes, precision, confidence);
            let above = outcomes.iter().filter(|o| threshold.is_some_and(|t| o.0 >= t)).count();
            Threshold { precision, threshold, coverage: above as f64 / outcomes.len().max(1) as f64 }
        };
        precisions.into_iter().map(one).collect()
    }

    /// The one that answers for a precision: asked for more than was fitted for, the next stricter one.
    pub fn at_least(thresholds: &[Self], precision: f64) -> Option<f64> {
        let fit = thresholds.iter().filter(|t| t.precision >= precision - 1e-9);
        fit.min_by(|a, b| a.precision.total_cmp(&b.precision)).and_then(|t| t.threshold)
    }
}

/// The smallest threshold above which the answers' precision is at least `precision`, by the lower end of its Clopper-Pearson
/// interval (one-sided, at `confidence`); `None` where no threshold holds that.
///
/// Thresholds are tried from the strictest to the loosest at every hundredth of coverage, and the search ends at the first that
/// fails after one has held: fixed-sequence testing, so that looking at many does not spoil the confidence (Angelopoulos et al.
/// 2021, "Learn then Test").
pub fn threshold_for_precision(outcomes: &[Outcome], precision: f64, confidence: f64) -> Option<f64> {
    let mut sorted = outcomes.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let step = (sorted.len() / 100).max(1);
    let mut right = 0;
    let mut found = None;
    for (at, outcome) in sorted.iter().enumerate() {
        right += usize::from(outcome.1);
        let n = at + 1;
        let tied = sorted.get(n).is_some_and(|next| next.0 == outcome.0);
        if tied || (n % step != 0 && n != sorted.len()) {
            continue;
        }
        if clopper_pearson_lower(right, n, confidence) >= precision {
            found = Some(outcome.0);
        } else if found.is_some() {
            break;
        }
    }
    found
}

/// Lower end of the one-sided Clopper-Pearson interval for `right` of `n` (Clopper and Pearson 1934).
pub fn clopper_pearson_lower(right: usize, n: usize, confidence: f64) -> f64 {
    if right == 0 {
        return 0.0;
    }
    Beta::new(right as f64, (n - right) as f64 + 1.0).map_or(0.0, |b| b.inverse_cdf(1.0 - confidence))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_the_textbook_one() {
        // All of n right: the lower end is alpha^(1/n).
        assert!((clopper_pearson_lower(45, 45, 0.9) - 0.1f64.powf(1.0 / 45.0)).abs() < 1e-9);
        // 8 of 10 at one-sided 95 %: 0.4931 (R: binom.test(8, 10, alternative = "greater")).
        assert!((clopper_pearson_lower(8, 10, 0.95) - 0.4931).abs() < 1e-3);
        assert_eq!(clopper_pearson_lower(0, 10, 0.9), 0.0);
    }

    #[test]
    fn a_threshold_holds_its_precision_with_confidence_or_is_none() {
        let outcomes: Vec<Outcome> = (0..1000).map(|i| (1.0 - f64::from(i) / 1000.0, i < 500 || i % 2 == 0)).collect();
        let t = threshold_for_precision(&outcomes, 0.95, 0.9).unwrap();
        let above: Vec<_> = outcomes.iter().filter(|o| o.0 >= t).collect();
        let precision = above.iter().filter(|o| o.1).count() as f64 / above.len() as f64;
        assert!((0.95..0.98).contains(&precision), "{precision}");
        assert_eq!(threshold_for_precision(&[(0.9, true), (0.8, true)], 0.95, 0.9), None);
        assert_eq!(threshold_for_precision(&[], 0.5, 0.9), None);
    }

    #[test]
    fn the_next_stricter_threshold_answers() {
        let t = |precision: f64, threshold| Threshold { precision, threshold, coverage: 0.5 };
        let all = [t(0.8, Some(0.6)), t(0.95, Some(0.9)), t(0.98, None)];
        assert_eq!(Threshold::at_least(&all, 0.9), Some(0.9));
        assert_eq!(Threshold::at_least(&all, 0.97), None);
    }
}
