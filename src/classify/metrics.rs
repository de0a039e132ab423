//! How good is a classifier, and how honest are its probabilities?

use serde::{Deserialize, Serialize};

/// Scores of a labelled set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    pub n: usize,
    pub accuracy: f64,
    /// Mean over the labels that occur of the F1 score.
    pub macro_f1: f64,
    /// Expected calibration error of the most probable label, 15 bins of equal width (Naeini et al. 2015).
    pub ece: f64,
    /// Mean over rows of the squared distance between the distribution and the truth (Brier 1950).
    pub brier: f64,
    /// Share of rows answered, and right among them, at the threshold chosen on validation for 95 % precision.
    pub coverage_at_95: f64,
    pub precision_at_95: f64,
}

/// A prediction: probability of the most probable label, whether it was right.
pub type Outcome = (f64, bool);

/// Mean distance between confidence and accuracy over `bins` bins of equal width, weighted by rows.
pub fn expected_calibration_error(outcomes: &[Outcome], bins: usize) -> f64 {
    let mut sums = vec![(0.0, 0usize, 0usize); bins];
    for &(p, right) in outcomes {
        let bin = ((p * bins as f64) as usize).min(bins - 1);
        sums[bin].0 += p;
        sums[bin].1 += usize::from(right);
        sums[bin].2 += 1;
    }
    sums.iter().map(|&(p, right, _)| (p - right as f64).abs()).sum::<f64>() / outcomes.len().max(1) as f64
}

/// One point of the risk-coverage curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RiskPoint {
    pub coverage: f64,
    /// Share of wrong answers among those given.
    pub risk: f64,
    pub threshold: f64,
}

/// Risk at each tenth of coverage, the surest answers first.
pub fn risk_coverage(outcomes: &[Outcome]) -> Vec<RiskPoint> {
    let mut sorted = outcomes.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    (1..=10)
        .filter_map(|tenth| {
            let n = (sorted.len() * tenth).div_ceil(10);
            let threshold = sorted.get(n.checked_sub(1)?)?.0;
            let wrong = sorted[..n].iter().filter(|o| !o.1).count();
            Some(RiskPoint { coverage: n as f64 / sorted.len() as f64, risk: wrong as f64 / n as f64, threshold })
        })
        .collect()
}

/// The smallest threshold above which the answers' precision is at least `precision`, by the lower end of Wilson's interval
/// (one-sided 90 %); `None` where no threshold holds that.
pub fn threshold_for_precision(outcomes: &[Outcome], precision: f64) -> Option<f64> {
    let mut sorted = outcomes.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut right = 0;
    let mut found = None;
    for (at, outcome) in sorted.iter().enumerate() {
        right += usize::from(outcome.1);
        let tied = sorted.get(at + 1).is_some_and(|next| next.0 == outcome.0);
        if !tied && wilson_lower_bound(right, at + 1, Z_90) >= precision {
            found = Some(outcome.0);
        }
    }
    found
}

/// One-sided 90 % quantile of the normal distribution.
const Z_90: f64 = 1.281_551_565_544_6;

/// Lower end of Wilson's score interval for `right` of `n`.
pub fn wilson_lower_bound(right: usize, n: usize, z: f64) -> f64 {
    if n == 0 {
        return 0.0;
    }
    let (n, p) = (n as f64, right as f64 / n as f64);
    let centre = p + z * z / (2.0 * n);
    let spread = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    (centre - spread) / (1.0 + z * z / n)
}

impl Scores {
    /// From distributions over labels and the right ones; `threshold_95` as chosen on validation.
    pub fn of(distributions: &[Vec<f64>], labels: &[usize], threshold_95: Option<f64>) -> Self {
        let outcomes = outcomes(distributions, labels);
        let n = labels.len().max(1) as f64;
        let brier = distributions
            .iter()
            .zip(labels)
            .map(|(d, &label)| d.iter().enumerate().map(|(i, p)| (p - f64::from(u8::from(i == label))).powi(2)).sum::<f64>())
            .sum::<f64>()
            / n;
        let answered: Vec<&Outcome> = outcomes.iter().filter(|o| threshold_95.is_some_and(|t| o.0 >= t)).collect();
        Scores {
            n: labels.len(),
            accuracy: outcomes.iter().filter(|o| o.1).count() as f64 / n,
            macro_f1: macro_f1(distributions, labels),
            ece: expected_calibration_error(&outcomes, 15),
            brier,
            coverage_at_95: answered.len() as f64 / n,
            precision_at_95: answered.iter().filter(|o| o.1).count() as f64 / answered.len().max(1) as f64,
        }
    }
}

/// The most probable label of each row, with its probability and whether it is right.
pub fn outcomes(distributions: &[Vec<f64>], labels: &[usize]) -> Vec<Outcome> {
    distributions.iter().zip(labels).map(|(d, &label)| (d[argmax(d)], argmax(d) == label)).collect()
}

/// The first index of the greatest value.
pub fn argmax(values: &[f64]) -> usize {
    values.iter().enumerate().fold(0, |best, (i, v)| if *v > values[best] { i } else { best })
}

fn macro_f1(distributions: &[Vec<f64>], labels: &[usize]) -> f64 {
    let classes = distributions.first().map_or(0, Vec::len);
    let mut counts = vec![(0usize, 0usize, 0usize); classes];
    for (d, &label) in distributions.iter().zip(labels) {
        let predicted = argmax(d);
        counts[predicted].1 += 1;
        counts[label].2 += 1;
        counts[label].0 += usize::from(predicted == label);
    }
    let present: Vec<f64> = counts.iter().filter(|c| c.2 > 0).map(|&(hit, said, is)| 2.0 * hit as f64 / (said + is) as f64).collect();
    present.iter().sum::<f64>() / present.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_small_set() {
        let d = vec![vec![0.9, 0.1], vec![0.6, 0.4], vec![0.3, 0.7], vec![0.2, 0.8]];
        let s = Scores::of(&d, &[0, 1, 1, 1], Some(0.65));
        assert_eq!((s.n, s.accuracy, s.coverage_at_95, s.precision_at_95), (4, 0.75, 0.75, 1.0));
        assert!((s.macro_f1 - (2.0 / 3.0 + 0.8) / 2.0).abs() < 1e-12);
        assert!((s.brier - (0.02 + 0.72 + 0.18 + 0.08) / 4.0).abs() < 1e-12);
    }

    #[test]
    fn a_threshold_holds_its_precision_with_confidence_or_is_none() {
        let outcomes: Vec<Outcome> = (0..1000).map(|i| (1.0 - f64::from(i) / 1000.0, i < 500 || i % 2 == 0)).collect();
        let t = threshold_for_precision(&outcomes, 0.95).unwrap();
        let above: Vec<_> = outcomes.iter().filter(|o| o.0 >= t).collect();
        let precision = above.iter().filter(|o| o.1).count() as f64 / above.len() as f64;
        assert!((0.95..0.98).contains(&precision), "{precision}");
        assert_eq!(threshold_for_precision(&[(0.9, true), (0.8, true)], 0.95), None);
    }

    #[test]
    fn calibration_error_is_zero_for_the_honest_and_large_for_the_boaster() {
        let honest: Vec<Outcome> = (0..100).map(|i| (0.75, i % 4 != 0)).collect();
        assert!(expected_calibration_error(&honest, 15) < 1e-12);
        let boaster: Vec<Outcome> = (0..100).map(|i| (0.99, i % 2 == 0)).collect();
        assert!((expected_calibration_error(&boaster, 15) - 0.49).abs() < 1e-9);
    }
}
