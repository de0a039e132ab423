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
    /// Rows outside of all labels in the set; where there are some, how well the detector tells them from the others.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub outside: usize,
    #[serde(default, skip_serializing_if = "is_nought")]
    pub scope_auroc: f64,
    /// Share of them found when 5 % of the others are rejected.
    #[serde(default, skip_serializing_if = "is_nought")]
    pub scope_recall_5: f64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
fn is_zero(n: &usize) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
fn is_nought(v: &f64) -> bool {
    *v == 0.0
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

/// Risk at `points` equal steps of coverage, the surest answers first; a set with fewer rows has a point a row.
pub fn risk_coverage(outcomes: &[Outcome], points: usize) -> Vec<RiskPoint> {
    let mut sorted = outcomes.to_vec();
    sorted.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut wrong = 0;
    let mut curve = Vec::new();
    for (at, &(threshold, right)) in sorted.iter().enumerate() {
        wrong += usize::from(!right);
        let n = at + 1;
        // The row that completes a step.
        if n * points / sorted.len() > at * points / sorted.len() {
            curve.push(RiskPoint { coverage: n as f64 / sorted.len() as f64, risk: wrong as f64 / n as f64, threshold });
        }
    }
    curve
}

/// Area under the ROC curve: the probability that a row outside gets a greater value than one inside, ties counting half.
/// 0.5 where one of the two is empty.
pub fn auroc(inside: &[f64], outside: &[f64]) -> f64 {
    if inside.is_empty() || outside.is_empty() {
        return 0.5;
    }
    let mut all: Vec<(f64, bool)> = inside.iter().map(|&v| (v, false)).chain(outside.iter().map(|&v| (v, true))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut wins) = (0.0, 0.0);
    for tied in all.chunk_by(|a, b| a.0 == b.0) {
        let of_outside = tied.iter().filter(|t| t.1).count() as f64;
        let of_inside = tied.len() as f64 - of_outside;
        wins += of_outside * (below + of_inside / 2.0);
        below += of_inside;
    }
    wins / (inside.len() as f64 * outside.len() as f64)
}

/// Share of the rows outside that are found when at most `share` of those inside are rejected, and the value from which on.
pub fn recall_at_false_rejection(inside: &[f64], outside: &[f64], share: f64) -> (f64, f64) {
    let mut sorted = inside.to_vec();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let allowed = (inside.len() as f64 * share) as usize;
    let threshold = sorted.get(allowed).copied().unwrap_or(f64::NEG_INFINITY);
    let found = outside.iter().filter(|v| **v > threshold).count();
    (found as f64 / outside.len().max(1) as f64, threshold)
}

/// Two-sided 95 % quantile of the normal distribution.
pub const Z_95: f64 = 1.959_963_984_540_054;

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
            macro_f1: macro_f1(
                distributions.first().map_or(0, Vec::len),
                labels.iter().copied().zip(distributions.iter().map(|d| argmax(d))),
            ),
            ece: expected_calibration_error(&outcomes, 15),
            brier,
            coverage_at_95: answered.len() as f64 / n,
            precision_at_95: answered.iter().filter(|o| o.1).count() as f64 / answered.len().max(1) as f64,
            outside: 0,
            scope_auroc: 0.0,
            scope_recall_5: 0.0,
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

/// How often a label was right, said and both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LabelCounts {
    /// Rows of the label that were predicted as it.
    pub hit: usize,
    /// Rows predicted as the label.
    pub said: usize,
    /// Rows of the label.
    pub is: usize,
}

impl LabelCounts {
    /// `None` where the label was never said.
    pub fn precision(self) -> Option<f64> {
        (self.said > 0).then(|| self.hit as f64 / self.said as f64)
    }

    /// `None` where no row has the label.
    pub fn recall(self) -> Option<f64> {
        (self.is > 0).then(|| self.hit as f64 / self.is as f64)
    }

    /// Harmonic mean of precision and recall; 0 where nothing was hit.
    pub fn f1(self) -> f64 {
        2.0 * self.hit as f64 / (self.said + self.is).max(1) as f64
    }
}

/// Counts of `labels` labels over pairs of (label, predicted).
pub fn label_counts(labels: usize, pairs: impl Iterator<Item = (usize, usize)>) -> Vec<LabelCounts> {
    let mut counts = vec![LabelCounts::default(); labels];
    for (label, predicted) in pairs {
        counts[label].is += 1;
        counts[predicted].said += 1;
        counts[label].hit += usize::from(label == predicted);
    }
    counts
}

/// Mean F1 of the labels that occur, over pairs of (label, predicted).
pub fn macro_f1(labels: usize, pairs: impl Iterator<Item = (usize, usize)>) -> f64 {
    let counts = label_counts(labels, pairs);
    let present = counts.iter().filter(|c| c.is > 0);
    present.clone().map(|c| c.f1()).sum::<f64>() / present.count().max(1) as f64
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
    fn outside_is_found_by_rank() {
        assert_eq!(auroc(&[0.1, 0.2], &[0.3, 0.4]), 1.0);
        assert_eq!(auroc(&[0.1, 0.3], &[0.3]), 0.75);
        assert_eq!(auroc(&[], &[0.3]), 0.5);
        let inside: Vec<f64> = (0..100).map(|i| f64::from(i) / 100.0).collect();
        assert_eq!(recall_at_false_rejection(&inside, &[0.5, 0.945, 0.97, 0.99], 0.05), (0.75, 0.94));
    }

    #[test]
    fn risk_grows_with_coverage_in_as_many_steps_as_asked_for() {
        let outcomes = [(0.9, true), (0.5, false), (0.8, true), (0.6, false)];
        let points = |steps| risk_coverage(&outcomes, steps).iter().map(|p| (p.coverage, p.risk, p.threshold)).collect::<Vec<_>>();
        assert_eq!(points(2), [(0.5, 0.0, 0.8), (1.0, 0.5, 0.5)]);
        assert_eq!(points(100).len(), 4);
        assert_eq!(points(3), [(0.5, 0.0, 0.8), (0.75, 1.0 / 3.0, 0.6), (1.0, 0.5, 0.5)]);
        assert!(risk_coverage(&[], 10).is_empty());
    }

    #[test]
    fn calibration_error_is_zero_for_the_honest_and_large_for_the_boaster() {
        let honest: Vec<Outcome> = (0..100).map(|i| (0.75, i % 4 != 0)).collect();
        assert!(expected_calibration_error(&honest, 15) < 1e-12);
        let boaster: Vec<Outcome> = (0..100).map(|i| (0.99, i % 2 == 0)).collect();
        assert!((expected_calibration_error(&boaster, 15) - 0.49).abs() < 1e-9);
    }
}
