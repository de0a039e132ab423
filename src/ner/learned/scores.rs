//! Figures of spans found against spans that are there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How many were found, are there, and are both: the same start, end and type.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub right: usize,
    pub found: usize,
    pub there: usize,
}

impl Counts {
    pub fn add(&mut self, other: Counts) {
        self.right += other.right;
        self.found += other.found;
        self.there += other.there;
    }

    pub fn precision(&self) -> f64 {
        ratio(self.right, self.found)
    }

    pub fn recall(&self) -> f64 {
        ratio(self.right, self.there)
    }

    pub fn f1(&self) -> f64 {
        ratio(2 * self.right, self.found + self.there)
    }
}

fn ratio(a: usize, b: usize) -> f64 {
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}

/// A span of a text, in whatever units both sides count, with its type.
pub type Place = (usize, usize, String);

/// Of a set of texts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SpanScores {
    /// Texts.
    pub n: usize,
    pub precision: f64,
    pub recall: f64,
    pub f1: f64,
    /// Expected calibration error of the found spans' probabilities (15 bins); 0 where there are none.
    pub ece: f64,
    pub counts: Counts,
    pub types: BTreeMap<String, Counts>,
}

/// Counts text by text.
#[derive(Debug, Clone, Default)]
pub struct SpanTally {
    scores: SpanScores,
    /// Probability and truth of each found span.
    judged: Vec<(f32, bool)>,
}

impl SpanTally {
    /// Takes one text's spans in, and each found one's probability.
    pub fn add(&mut self, there: &[Place], found: &[(Place, f32)]) {
        self.scores.n += 1;
        for place in there {
            self.scores.types.entry(place.2.clone()).or_default().there += 1;
        }
        for (place, probability) in found {
            let counts = self.scores.types.entry(place.2.clone()).or_default();
            let right = there.contains(place);
            counts.found += 1;
            counts.right += usize::from(right);
            self.judged.push((*probability, right));
        }
    }

    pub fn scores(mut self) -> SpanScores {
        let mut all = Counts::default();
        self.scores.types.values().for_each(|c| all.add(*c));
        self.scores.ece = ece(&self.judged);
        SpanScores { precision: all.precision(), recall: all.recall(), f1: all.f1(), counts: all, ..self.scores }
    }
}

/// Mean gap of probability and share of right ones, by fifteen bins of equal width.
fn ece(judged: &[(f32, bool)]) -> f64 {
    const BINS: usize = 15;
    let mut bins = [(0.0f64, 0usize); BINS];
    for &(p, right) in judged {
        let bin = &mut bins[((f64::from(p) * BINS as f64) as usize).min(BINS - 1)];
        bin.0 += f64::from(p) - f64::from(u8::from(right));
        bin.1 += 1;
    }
    bins.iter().map(|b| b.0.abs()).sum::<f64>() / judged.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_counts_when_its_borders_and_its_type_are_right() {
        let place = |s, e, t: &str| (s, e, t.to_owned());
        let mut tally = SpanTally::default();
        tally.add(&[place(0, 2, "COLOR"), place(3, 6, "PRODUCT")], &[(place(0, 2, "COLOR"), 1.0), (place(3, 5, "PRODUCT"), 0.5)]);
        tally.add(&[], &[]);
        let scores = tally.scores();
        assert_eq!((scores.n, scores.counts), (2, Counts { right: 1, found: 2, there: 2 }));
        assert!((scores.f1 - 0.5).abs() < 1e-9 && (scores.ece - 0.25).abs() < 1e-9);
        assert_eq!(scores.types["COLOR"].f1(), 1.0);
    }
}
