//! From scores to probabilities that are true.

use serde::{Deserialize, Serialize};

use crate::domain::Lang;

/// A temperature for each language that depends on how much evidence a text holds:
/// `ln T = a + b ln(1 + features)`. Fitted by the likelihood of validation rows (Guo et al. 2017, with one slope more:
/// naive Bayes counts overlapping features as independent, so it is the more overconfident the longer a text is).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    pub zh: [f64; 2],
    pub en: [f64; 2],
}

impl Default for Calibration {
    fn default() -> Self {
        Calibration { zh: [0.0; 2], en: [0.0; 2] }
    }
}

/// One validation row: scores of all labels (any additive constant), number of features, right label.
pub type CalibrationRow = (Vec<f64>, usize, usize);

impl Calibration {
    pub fn temperature(&self, lang: Lang, features: usize) -> f64 {
        let [a, b] = match lang {
            Lang::Zh => self.zh,
            Lang::En => self.en,
        };
        temperature([a, b], features)
    }

    /// Fits both languages; one without rows keeps temperature 1.
    pub fn fit(rows: impl Fn(Lang) -> Vec<CalibrationRow>) -> Self {
        Calibration { zh: fit(&rows(Lang::Zh)), en: fit(&rows(Lang::En)) }
    }
}

fn temperature([a, b]: [f64; 2], features: usize) -> f64 {
    (a + b * (features as f64).ln_1p()).exp()
}

/// Minimises the mean negative log-likelihood by a search over the plane that halves its step until it is below 1e-4: two
/// numbers, a smooth function, and the same answer every time.
fn fit(rows: &[CalibrationRow]) -> [f64; 2] {
    if rows.is_empty() {
        return [0.0; 2];
    }
    let loss = |p: [f64; 2]| -> f64 {
        rows.iter().map(|(scores, features, label)| -softmax(scores, temperature(p, *features))[*label].max(1e-12).ln()).sum::<f64>()
            / rows.len() as f64
    };
    // Started from the best constant temperature, since the valley is narrow and long.
    let grid = (-60..=30).map(|i| [f64::from(i) * 0.1, 0.0]);
    let mut best = grid.map(|p| (loss(p), p)).min_by(|x, y| x.0.total_cmp(&y.0)).unwrap_or((f64::INFINITY, [0.0; 2]));
    let mut step = 0.5;
    while step > 1e-4 {
        let moves = [(1.0, 0.0), (-1.0, 0.0), (0.0, 0.3), (0.0, -0.3), (1.0, -0.3), (-1.0, 0.3)];
        let tried = moves.map(|(da, db)| [best.1[0] + step * da, best.1[1] + step * db]).map(|p| (loss(p), p));
        let better = tried.into_iter().min_by(|x, y| x.0.total_cmp(&y.0)).filter(|t| t.0 < best.0 - 1e-12);
        match better {
            Some(found) => best = found,
            None => step /= 2.0,
        }
    }
    best.1
}

/// Probabilities of scores at a temperature.
pub fn softmax(scores: &[f64], temperature: f64) -> Vec<f64> {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exp: Vec<f64> = scores.iter().map(|s| ((s - max) / temperature).exp()).collect();
    let sum: f64 = exp.iter().sum();
    exp.into_iter().map(|e| e / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overconfident_scores_are_cooled_to_their_accuracy() {
        // 7 of 10 right, always claimed with a margin of 10 nats.
        let rows: Vec<CalibrationRow> = (0..100).map(|i| (vec![10.0, 0.0], 5, usize::from(i % 10 >= 7))).collect();
        let c = Calibration::fit(|lang| if lang == Lang::Zh { rows.clone() } else { vec![] });
        let p = softmax(&[10.0, 0.0], c.temperature(Lang::Zh, 5))[0];
        assert!((p - 0.7).abs() < 0.01, "{p}");
        assert_eq!(c.en, [0.0, 0.0]);
    }
}
