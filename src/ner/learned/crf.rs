//! A linear-chain conditional random field (Lafferty, McCallum and Pereira 2001) over the tags: the best sequence, the probability of a
//! span, the likelihood of a sequence and its gradient.
//!
//! Sums over sequences run in probabilities that are scaled at each step, so that no logarithm stands inside.

use super::tags::{Place, Span, may_end, may_follow, may_start, tag};

/// The scores between tags; those that no sequence of spans allows count as impossible, whatever their number.
#[derive(Debug, Clone, PartialEq)]
pub struct Crf {
    pub tags: usize,
    /// Of the first tag and of the last: `[2 * tags]`.
    pub ends: Vec<f32>,
    /// `[tags * tags]`: row by row the tag before.
    pub between: Vec<f32>,
}

/// Below this a score counts as this: what is impossible by the numbers stays a little possible, so that no sum is 0.
const LEAST: f64 = -200.0;

/// What the sums over all sequences of one text are.
struct Sums<'a> {
    crf: &'a Crf,
    scores: &'a [f32],
    units: usize,
    /// `exp(score)`, each unit's scaled by its greatest.
    emitted: Vec<f64>,
    /// `exp(between)`, 0 where impossible.
    moved: Vec<f64>,
    /// Probability of the tags up to a unit, each unit's scaled to the sum 1.
    forward: Vec<f64>,
    /// Of the tags after it, scaled alike.
    backward: Vec<f64>,
    /// Logarithm of the sum over all sequences.
    log_total: f64,
    /// Logarithm of the scale of each unit.
    scales: Vec<f64>,
}

impl Crf {
    fn start(&self, tag: usize) -> Option<f32> {
        may_start(tag).then(|| self.ends[tag])
    }

    fn end(&self, tag: usize) -> Option<f32> {
        may_end(tag).then(|| self.ends[self.tags + tag])
    }

    fn step(&self, before: usize, after: usize) -> Option<f32> {
        may_follow(before, after).then(|| self.between[before * self.tags + after])
    }

    /// The best sequence for `scores` `[units * tags]`.
    pub fn best(&self, scores: &[f32]) -> Vec<usize> {
        let tags = self.tags;
        let units = scores.len() / tags;
        if units == 0 {
            return Vec::new();
        }
        let allowed: Vec<Vec<usize>> = (0..tags).map(|after| (0..tags).filter(|&before| may_follow(before, after)).collect()).collect();
        let mut best: Vec<f32> = (0..tags).map(|t| self.start(t).map_or(f32::NEG_INFINITY, |s| s + scores[t])).collect();
        let mut from: Vec<Vec<usize>> = Vec::with_capacity(units);
        for row in scores.chunks_exact(tags).skip(1) {
            let mut next = vec![f32::NEG_INFINITY; tags];
            let mut origin = vec![0; tags];
            for after in 0..tags {
                for &before in &allowed[after] {
                    let score = best[before] + self.between[before * tags + after];
                    if score > next[after] {
                        (next[after], origin[after]) = (score, before);
                    }
                }
                next[after] += row[after];
            }
            best = next;
            from.push(origin);
        }
        let last = (0..tags).filter_map(|t| Some((t, best[t] + self.end(t)?)));
        let mut at = last.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(t, _)| t);
        let mut path = vec![at];
        for origin in from.iter().rev() {
            at = origin[at];
            path.push(at);
        }
        path.reverse();
        path
    }

    /// The probability of each span, over all sequences, for `scores` `[units * tags]`.
    pub fn probabilities(&self, scores: &[f32], spans: &[Span]) -> Vec<f32> {
        if spans.is_empty() || scores.is_empty() {
            return vec![0.0; spans.len()];
        }
        let sums = Sums::of(self, scores);
        spans.iter().map(|span| sums.log_probability(span).exp().min(1.0) as f32).collect()
    }

    /// Minus the logarithm of the probability of a sequence, in nats.
    pub fn loss(&self, scores: &[f32], sequence: &[usize]) -> f64 {
        if sequence.is_empty() { 0.0 } else { Sums::of(self, scores).loss(sequence) }
    }

    /// As [`Self::loss`], and its gradient, times `factor`, added for the scores, for [`Self::ends`] and for [`Self::between`].
    pub fn gradient(&self, scores: &[f32], sequence: &[usize], factor: f64, [of_scores, of_ends, of_between]: [&mut [f32]; 3]) {
        let (tags, units) = (self.tags, sequence.len());
        if units == 0 {
            return;
        }
        let sums = Sums::of(self, scores);
        let add = |to: &mut f32, expected: f64, observed: bool| *to += (factor * (expected - f64::from(u8::from(observed)))) as f32;
        for unit in 0..units {
            let at = |t: usize| unit * tags + t;
            let total: f64 = (0..tags).map(|t| sums.forward[at(t)] * sums.backward[at(t)]).sum();
            for t in 0..tags {
                let p = sums.forward[at(t)] * sums.backward[at(t)] / total;
                add(&mut of_scores[at(t)], p, sequence[unit] == t);
                if unit == 0 {
                    add(&mut of_ends[t], p, sequence[unit] == t);
                }
                if unit + 1 == units {
                    add(&mut of_ends[tags + t], p, sequence[unit] == t);
                }
            }
            if unit + 1 == units {
                break;
            }
            let later: Vec<f64> = (0..tags).map(|t| sums.emitted[at(t) + tags] * sums.backward[at(t) + tags]).collect();
            let pair = |before: usize, after: usize| sums.forward[at(before)] * sums.moved[before * tags + after] * later[after];
            let total: f64 = (0..tags).flat_map(|b| (0..tags).map(move |a| (b, a))).map(|(b, a)| pair(b, a)).sum();
            for before in 0..tags {
                for after in 0..tags {
                    let p = pair(before, after) / total;
                    let observed = sequence[unit] == before && sequence[unit + 1] == after;
                    if p > 0.0 || observed {
                        add(&mut of_between[before * tags + after], p, observed);
                    }
                }
            }
        }
    }
}

impl<'a> Sums<'a> {
    fn of(crf: &'a Crf, scores: &'a [f32]) -> Self {
        let tags = crf.tags;
        let units = scores.len() / tags;
        let mut log_total = 0.0;
        let mut emitted = Vec::with_capacity(scores.len());
        let mut scales = Vec::with_capacity(units);
        for row in scores.chunks_exact(tags) {
            let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            emitted.extend(row.iter().map(|&s| f64::from(s - max).max(LEAST).exp()));
            scales.push(f64::from(max));
        }
        let exp = |score: Option<f32>| score.map_or(0.0, |s| f64::from(s).exp());
        let moved: Vec<f64> = (0..tags * tags).map(|i| exp(crf.step(i / tags, i % tags))).collect();
        let mut forward = vec![0.0; units * tags];
        for unit in 0..units {
            let (before, rest) = forward.split_at_mut(unit * tags);
            let row = &mut rest[..tags];
            if unit == 0 {
                row.iter_mut().enumerate().for_each(|(t, to)| *to = exp(crf.start(t)));
            } else {
                let before = &before[(unit - 1) * tags..];
                for (p, moved) in before.iter().zip(moved.chunks_exact(tags)).filter(|(p, _)| **p > 0.0) {
                    row.iter_mut().zip(moved).for_each(|(to, m)| *to += p * m);
                }
            }
            row.iter_mut().zip(&emitted[unit * tags..]).for_each(|(to, e)| *to *= e);
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|p| *p /= sum);
            scales[unit] += sum.ln();
            log_total += scales[unit];
        }
        let mut backward = vec![0.0; units * tags];
        for unit in (0..units).rev() {
            let (rest, after) = backward.split_at_mut((unit + 1) * tags);
            let row = &mut rest[unit * tags..];
            if unit + 1 == units {
                row.iter_mut().enumerate().for_each(|(t, to)| *to = exp(crf.end(t)));
            } else {
                let later: Vec<f64> = after.iter().zip(&emitted[(unit + 1) * tags..]).map(|(b, e)| b * e).take(tags).collect();
                for (to, moved) in row.iter_mut().zip(moved.chunks_exact(tags)) {
                    *to = moved.iter().zip(&later).map(|(m, l)| m * l).sum();
                }
                // The same scale as forwards, so that the two together give the total.
                let scale: f64 = row.iter().sum();
                row.iter_mut().for_each(|p| *p /= scale);
            }
        }
        if units > 0 {
            let last = (units - 1) * tags;
            log_total += (0..tags).map(|t| forward[last + t] * exp(crf.end(t))).sum::<f64>().ln();
        }
        Sums { crf, scores, units, emitted, moved, forward, backward, log_total, scales }
    }

    fn loss(&self, sequence: &[usize]) -> f64 {
        let tags = self.crf.tags;
        let own: f64 = sequence.iter().enumerate().map(|(unit, &t)| f64::from(self.scores[unit * tags + t])).sum();
        let steps: f64 = sequence.windows(2).map(|w| f64::from(self.crf.step(w[0], w[1]).unwrap_or(LEAST as f32))).sum();
        let first = sequence.first().and_then(|&t| self.crf.start(t)).unwrap_or(LEAST as f32);
        let last = sequence.last().and_then(|&t| self.crf.end(t)).unwrap_or(LEAST as f32);
        self.log_total - own - steps - f64::from(first) - f64::from(last)
    }

    /// Of all sequences with this very span: one way leads through it.
    fn log_probability(&self, span: &Span) -> f64 {
        let tags = self.crf.tags;
        let tag_at = |unit: usize| tag(span.kind, Place::of(unit, &span.units));
        let at = |unit: usize| unit * tags + tag_at(unit);
        // Both sides are scaled by unit: the ratio to the whole is taken at the span's own last unit.
        let last = span.units.end - 1;
        let mut inside = self.forward[at(span.units.start)].ln();
        for unit in span.units.clone().skip(1) {
            let step = self.crf.step(tag_at(unit - 1), tag_at(unit)).unwrap_or(LEAST as f32);
            inside += f64::from(step) + f64::from(self.scores[at(unit)]).max(LEAST) - self.scales[unit];
        }
        let whole: f64 = (0..tags).map(|t| self.forward[last * tags + t] * self.backward[last * tags + t]).sum();
        debug_assert!(last < self.units);
        inside + self.backward[at(last)].ln() - whole.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tags::{count, spans_of, tags_of};
    use super::*;

    /// Numbers without a pattern, from -1 to 1.
    fn numbers(n: usize, seed: u64) -> Vec<f32> {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
        let next = |_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f32 / (1u64 << 30) as f32 - 1.0
        };
        (0..n).map(next).collect()
    }

    const TYPES: usize = 2;
    const UNITS: usize = 4;

    fn crf() -> Crf {
        let tags = count(TYPES);
        Crf { tags, ends: numbers(2 * tags, 1), between: numbers(tags * tags, 2) }
    }

    /// Every sequence that is possible, with its score.
    fn all(crf: &Crf, scores: &[f32]) -> Vec<(Vec<usize>, f64)> {
        let tags = crf.tags;
        (0..tags.pow(UNITS as u32))
            .filter_map(|code| {
                let sequence: Vec<usize> = (0..UNITS).map(|u| code / tags.pow(u as u32) % tags).collect();
                let mut score = crf.start(sequence[0])? + crf.end(sequence[UNITS - 1])?;
                for w in sequence.windows(2) {
                    score += crf.step(w[0], w[1])?;
                }
                score += sequence.iter().enumerate().map(|(u, &t)| scores[u * tags + t]).sum::<f32>();
                Some((sequence, f64::from(score)))
            })
            .collect()
    }

    #[test]
    fn best_sums_and_spans_are_those_of_all_sequences_counted() {
        let crf = crf();
        let scores: Vec<f32> = numbers(UNITS * crf.tags, 3).into_iter().map(|s| 3.0 * s).collect();
        let all = all(&crf, &scores);
        let total: f64 = all.iter().map(|(_, s)| s.exp()).sum();
        let best = all.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
        assert_eq!(crf.best(&scores), best.0);
        assert!((crf.loss(&scores, &best.0) - (total.ln() - best.1)).abs() < 1e-6);
        for span in
            [Span { units: 0..1, kind: 0 }, Span { units: 1..4, kind: 1 }, Span { units: 2..4, kind: 0 }, Span { units: 1..3, kind: 1 }]
        {
            let with: f64 = all.iter().filter(|(s, _)| spans_of(s).contains(&span)).map(|(_, s)| s.exp()).sum();
            let got = f64::from(crf.probabilities(&scores, std::slice::from_ref(&span))[0]);
            assert!((got - with / total).abs() < 1e-5, "{span:?}: {got} and {}", with / total);
        }
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        let crf = crf();
        let scores = numbers(UNITS * crf.tags, 4);
        let sequence = tags_of(&[Span { units: 1..3, kind: 1 }], UNITS);
        let mut gradients = [vec![0.0; scores.len()], vec![0.0; crf.ends.len()], vec![0.0; crf.between.len()]];
        let [a, b, c] = &mut gradients;
        crf.gradient(&scores, &sequence, 1.0, [a, b, c]);
        let h = 1e-2f32;
        let slope = |change: &dyn Fn(f32) -> f64| (change(h) - change(-h)) / f64::from(2.0 * h);
        for i in 0..scores.len() {
            let with = |d: f32| {
                let mut moved = scores.clone();
                moved[i] += d;
                crf.loss(&moved, &sequence)
            };
            assert!((slope(&with) - f64::from(gradients[0][i])).abs() < 1e-3);
        }
        for (which, gradient) in [(1, &gradients[1]), (2, &gradients[2])] {
            for (i, gradient) in gradient.iter().enumerate() {
                let with = |d: f32| {
                    let mut moved = crf.clone();
                    if which == 1 {
                        moved.ends[i] += d
                    } else {
                        moved.between[i] += d
                    }
                    moved.loss(&scores, &sequence)
                };
                assert!((slope(&with) - f64::from(*gradient)).abs() < 1e-3, "{which} {i}");
            }
        }
    }

    #[test]
    fn extreme_scores_stay_numbers_and_no_text_is_no_error() {
        let crf = crf();
        let mut scores = vec![-1e6; 3 * crf.tags];
        scores[0] = 1e6;
        let spans = [Span { units: 0..3, kind: 0 }];
        assert!(crf.probabilities(&scores, &spans)[0].is_finite() && crf.loss(&scores, &[0, 0, 0]).is_finite());
        assert_eq!((crf.best(&[]), crf.loss(&[], &[]), crf.probabilities(&[], &[])), (vec![], 0.0, vec![]));
    }
}
