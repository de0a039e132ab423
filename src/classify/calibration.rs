//! From scores to probabilities that are true.

use serde::{Deserialize, Serialize};

use super::metrics::argmax;
use super::search::minimise;
use crate::domain::Lang;

/// How scores become probabilities. The parts are fitted one after the other on held-out rows; each further part is kept only where
/// five-fold cross-validation says that it makes unseen rows more probable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    pub zh: [f64; 2],
    pub en: [f64; 2],
    /// A factor and an offset a label (vector scaling), after the temperature.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector: Option<VectorScaling>,
    /// Of the greatest probability, last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isotonic: Option<Isotonic>,
}

impl Default for Calibration {
    fn default() -> Self {
        Calibration { zh: [0.0; 2], en: [0.0; 2], vector: None, isotonic: None }
    }
}

/// `factor * score + offset`, label by label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VectorScaling {
    pub factor: Vec<f64>,
    pub offset: Vec<f64>,
}

/// A rising line through points, for the greatest probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Isotonic {
    pub points: Vec<(f64, f64)>,
}

/// One held-out row.
#[derive(Debug, Clone, PartialEq)]
pub struct CalibrationRow {
    /// Of all labels, up to an additive constant.
    pub scores: Vec<f64>,
    /// Sparse features that the text has.
    pub features: usize,
    pub lang: Lang,
    /// The right one.
    pub label: usize,
}

/// Which parts were tried, and the cross-validated negative log-likelihood of each.
pub type Tried = Vec<(&'static str, f64)>;

impl Calibration {
    /// Probabilities of a row's scores.
    pub fn probabilities(&self, scores: &[f64], lang: Lang, features: usize) -> Vec<f64> {
        let mut p = match &self.vector {
            None => softmax(scores, self.temperature(lang, features)),
            Some(vector) => softmax(&vector.apply(&tempered(scores, self.temperature(lang, features))), 1.0),
        };
        if let Some(isotonic) = &self.isotonic {
            isotonic.apply(&mut p);
        }
        p
    }

    /// `ln T = a + b ln(1 + features)`, a and b by language (Guo et al. 2017, with one slope more: naive Bayes counts overlapping
    /// features as independent, so it is the more overconfident the longer a text is).
    fn temperature(&self, lang: Lang, features: usize) -> f64 {
        let [a, b] = match lang {
            Lang::Zh => self.zh,
            Lang::En => self.en,
        };
        (a + b * (features as f64).ln_1p()).exp()
    }

    /// Fits on held-out rows and chooses the parts. A language without rows takes the other's temperature.
    pub fn fit(rows: &[CalibrationRow]) -> (Self, Tried) {
        let kinds: [(&str, bool, bool); 4] = [
            ("temperature", false, false),
            ("temperature and isotonic", false, true),
            ("vector", true, false),
            ("vector and isotonic", true, true),
        ];
        if rows.len() < FOLDS * 20 {
            return (Self::fit_parts(rows, false, false), vec![]);
        }
        let cross = |vector: bool, isotonic: bool| -> f64 {
            let of_fold = |fold: usize| -> f64 {
                let part = |keep: bool| -> Vec<CalibrationRow> {
                    rows.iter().enumerate().filter(|(i, _)| (i % FOLDS == fold) != keep).map(|(_, r)| r.clone()).collect()
                };
                let fitted = Self::fit_parts(&part(true), vector, isotonic);
                part(false).iter().map(|r| fitted.loss(r)).sum()
            };
            (0..FOLDS).map(of_fold).sum::<f64>() / rows.len() as f64
        };
        // Two numbers a label want rows to be fitted on.
        let labels = rows[0].scores.len();
        let kinds = kinds.into_iter().filter(|k| !k.1 || rows.len() >= ROWS_A_LABEL * labels);
        let tried: Vec<(&str, bool, bool, f64)> = kinds.map(|(name, v, i)| (name, v, i, cross(v, i))).collect();
        let simplest = tried[0].3;
        // A part more must be worth it: a hundredth of a nat is noise.
        let best = tried.iter().min_by(|a, b| a.3.total_cmp(&b.3)).filter(|b| b.3 < simplest - 0.005).unwrap_or(&tried[0]);
        (Self::fit_parts(rows, best.1, best.2), tried.iter().map(|t| (t.0, t.3)).collect())
    }

    fn fit_parts(rows: &[CalibrationRow], vector: bool, isotonic: bool) -> Self {
        let mut out = Calibration::default();
        out.fit_temperatures(rows);
        if vector {
            out.vector = Some(VectorScaling::fit(rows, &out));
        }
        if isotonic {
            let outcomes: Vec<(f64, bool)> = rows
                .iter()
                .map(|r| {
                    let p = out.probabilities(&r.scores, r.lang, r.features);
                    let best = argmax(&p);
                    (p[best], best == r.label)
                })
                .collect();
            out.isotonic = Some(Isotonic::fit(&outcomes));
        }
        out
    }

    fn fit_temperatures(&mut self, rows: &[CalibrationRow]) {
        let of = |lang: Lang| rows.iter().filter(|r| r.lang == lang).collect::<Vec<_>>();
        let (zh, en) = (of(Lang::Zh), of(Lang::En));
        let (fitted_zh, fitted_en) = (fit_temperature(&zh), fit_temperature(&en));
        self.zh = fitted_zh.or(fitted_en).unwrap_or_default();
        self.en = fitted_en.or(fitted_zh).unwrap_or_default();
    }

    fn loss(&self, row: &CalibrationRow) -> f64 {
        -self.probabilities(&row.scores, row.lang, row.features)[row.label].max(1e-12).ln()
    }
}

/// Held-out rows a label from which on vector scaling is tried.
const ROWS_A_LABEL: usize = 50;

/// Folds in which the parts are compared.
const FOLDS: usize = 5;

/// Rows of a language below which it gets no temperature of its own.
const FEW: usize = 30;

fn fit_temperature(rows: &[&CalibrationRow]) -> Option<[f64; 2]> {
    if rows.len() < FEW {
        return None;
    }
    let loss = |[a, b]: [f64; 2]| -> f64 {
        let of = |r: &&CalibrationRow| -log_softmax_of(&r.scores, (a + b * (r.features as f64).ln_1p()).exp(), r.label);
        rows.iter().map(of).sum::<f64>() / rows.len() as f64
    };
    // Started from the best constant temperature, since the valley is narrow and long.
    let grid = (-60..=30).step_by(3).map(|i| [f64::from(i) * 0.1, 0.0]);
    let start = grid.min_by(|x, y| loss(*x).total_cmp(&loss(*y))).unwrap_or_default();
    Some(minimise(start, 0.3, loss))
}

fn log_softmax_of(scores: &[f64], temperature: f64, label: usize) -> f64 {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    (scores[label] - max) / temperature - scores.iter().map(|s| ((s - max) / temperature).exp()).sum::<f64>().ln()
}

/// Probabilities of scores at a temperature.
pub fn softmax(scores: &[f64], temperature: f64) -> Vec<f64> {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exp: Vec<f64> = scores.iter().map(|s| ((s - max) / temperature).exp()).collect();
    let sum: f64 = exp.iter().sum();
    exp.into_iter().map(|e| e / sum).collect()
}

impl VectorScaling {
    fn apply(&self, scores: &[f64]) -> Vec<f64> {
        scores.iter().zip(&self.factor).zip(&self.offset).map(|((s, f), o)| s * f + o).collect()
    }

    /// Gradient descent (Adagrad) on the log-likelihood of tempered scores, held near the identity by a penalty as strong as one row
    /// a label, since a label has few held-out rows.
    fn fit(rows: &[CalibrationRow], at: &Calibration) -> Self {
        let labels = rows.first().map_or(0, |r| r.scores.len());
        let n = rows.len().max(1) as f64;
        let penalty = labels as f64 / n;
        let tempered: Vec<Vec<f64>> = rows.iter().map(|r| tempered(&r.scores, at.temperature(r.lang, r.features))).collect();
        // Factors, then offsets.
        let mut values: Vec<f64> = (0..2 * labels).map(|i| if i < labels { 1.0 } else { 0.0 }).collect();
        let mut squares = vec![1e-8; 2 * labels];
        let rest = values.clone();
        for _ in 0..STEPS {
            let mut gradient: Vec<f64> = values.iter().zip(&rest).map(|(v, r)| penalty * (v - r)).collect();
            for (row, z) in rows.iter().zip(&tempered) {
                let scaled: Vec<f64> = (0..labels).map(|i| values[i] * z[i] + values[labels + i]).collect();
                for (label, p) in softmax(&scaled, 1.0).into_iter().enumerate() {
                    let error = (p - f64::from(u8::from(label == row.label))) / n;
                    gradient[label] += error * z[label];
                    gradient[labels + label] += error;
                }
            }
            for ((value, g), square) in values.iter_mut().zip(gradient).zip(&mut squares) {
                *square += g * g;
                *value -= RATE * g / square.sqrt();
            }
        }
        let offset = values.split_off(labels);
        VectorScaling { factor: values, offset }
    }
}

const STEPS: usize = 60;
const RATE: f64 = 0.05;

/// Scores less their greatest, over the temperature.
fn tempered(scores: &[f64], temperature: f64) -> Vec<f64> {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores.iter().map(|s| (s - max) / temperature).collect()
}

impl Isotonic {
    /// Pools adjacent violators (Zadrozny and Elkan 2002), blocks of at least 30 rows, and draws a line through the blocks' middles.
    fn fit(outcomes: &[(f64, bool)]) -> Self {
        let mut sorted = outcomes.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        // Mean claimed, mean true, rows.
        let mut blocks: Vec<(f64, f64, f64)> = Vec::new();
        for chunk in sorted.chunks(30) {
            let n = chunk.len() as f64;
            let claimed = chunk.iter().map(|o| o.0).sum::<f64>() / n;
            let right = chunk.iter().filter(|o| o.1).count() as f64 / n;
            blocks.push((claimed, right, n));
            while let [.., a, b] = blocks.as_slice()
                && a.1 > b.1
            {
                let n = a.2 + b.2;
                let merged = ((a.0 * a.2 + b.0 * b.2) / n, (a.1 * a.2 + b.1 * b.2) / n, n);
                blocks.truncate(blocks.len() - 2);
                blocks.push(merged);
            }
        }
        let mut points = vec![(0.0, 0.0)];
        // One row more of each kind: no block is certain.
        points.extend(blocks.into_iter().map(|(x, right, n)| (x, (right * n + 0.5) / (n + 1.0))));
        points.push((1.0, points.last().map_or(1.0, |p| p.1).max(0.999)));
        Isotonic { points }
    }

    fn value(&self, p: f64) -> f64 {
        let at = self.points.partition_point(|&(x, _)| x < p).clamp(1, self.points.len() - 1);
        let ((x0, y0), (x1, y1)) = (self.points[at - 1], self.points[at]);
        if x1 > x0 { y0 + (y1 - y0) * ((p - x0) / (x1 - x0)).clamp(0.0, 1.0) } else { y1 }
    }

    /// Sets the greatest probability and spreads the rest as it was; the greatest stays the greatest.
    fn apply(&self, p: &mut [f64]) {
        let best = argmax(p);
        let runner_up = p.iter().enumerate().filter(|(i, _)| *i != best).map(|(_, v)| *v).fold(0.0, f64::max);
        let rest = 1.0 - p[best];
        if rest <= 0.0 {
            return;
        }
        // At v for the best, the runner-up gets (1 - v) of its share of the rest.
        let least = (runner_up / rest) / (1.0 + runner_up / rest);
        // A hair above it: a tie would be the first label's.
        let value = self.value(p[best]).clamp((least + 1e-9).min(1.0), 1.0);
        let factor = (1.0 - value) / rest;
        for (i, v) in p.iter_mut().enumerate() {
            *v = if i == best { value } else { *v * factor };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(scores: Vec<f64>, label: usize) -> CalibrationRow {
        CalibrationRow { scores, features: 5, lang: Lang::Zh, label }
    }

    #[test]
    fn overconfident_scores_are_cooled_to_their_accuracy() {
        // 7 of 10 right, always claimed with a margin of 10 nats.
        let rows: Vec<CalibrationRow> = (0..200).map(|i| row(vec![10.0, 0.0], usize::from(i % 10 >= 7))).collect();
        let (c, tried) = Calibration::fit(&rows);
        for lang in Lang::ALL {
            let p = c.probabilities(&[10.0, 0.0], lang, 5)[0];
            assert!((p - 0.7).abs() < 0.02, "{p}");
        }
        assert_eq!(tried.len(), 4);
        assert_eq!(c.isotonic, None, "a temperature is enough here");
    }

    #[test]
    fn a_label_that_claims_too_much_is_put_in_its_place() {
        // Label 0 always claims 2 nats more than it deserves: no temperature can mend that.
        let rows: Vec<CalibrationRow> = (0..600)
            .map(|i| (i % 3, f64::from((i % 7) as u8) * 0.2))
            .map(|(label, x)| row((0..3).map(|l| if l == label { 1.5 + x } else { 0.0 } + if l == 0 { 2.0 } else { 0.0 }).collect(), label))
            .collect();
        let (c, _) = Calibration::fit(&rows);
        let right = rows.iter().filter(|r| argmax(&c.probabilities(&r.scores, r.lang, 5)) == r.label).count();
        assert_eq!(right, rows.len());
    }

    #[test]
    fn isotonic_keeps_a_distribution_and_its_winner() {
        let isotonic = Isotonic::fit(&(0..300).map(|i| (f64::from(i) / 300.0, i % 3 == 0)).collect::<Vec<_>>());
        for p in [[0.5, 0.3, 0.2], [0.98, 0.01, 0.01], [0.34, 0.33, 0.33]] {
            let mut q = p;
            isotonic.apply(&mut q);
            assert!((q.iter().sum::<f64>() - 1.0).abs() < 1e-12 && argmax(&q) == 0, "{q:?}");
        }
        let mut sure = [1.0, 0.0];
        isotonic.apply(&mut sure);
        assert_eq!(sure, [1.0, 0.0]);
    }
}
