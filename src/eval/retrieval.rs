//! Figures of comparing texts: does a text find what means the same, and are pairs that do told from pairs that do not?

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use crate::numeric::dot;

/// Texts as somebody compares them.
pub enum Space {
    /// Vectors of length 1.
    Dense(Vec<Vec<f32>>),
    /// Sorted terms with their weights, of length 1.
    Sparse(Vec<Vec<(u32, f32)>>),
}

impl Space {
    /// Characters in runs of two to four, weighted by inverse document frequency: the baseline that needs no model.
    pub fn characters(texts: &[String]) -> Space {
        let mut numbers: FxHashMap<String, u32> = FxHashMap::default();
        let mut documents: Vec<u32> = Vec::new();
        let mut rows: Vec<Vec<(u32, f32)>> = Vec::with_capacity(texts.len());
        for text in texts {
            let chars: Vec<char> = text.to_lowercase().chars().collect();
            let mut counts: FxHashMap<u32, f32> = FxHashMap::default();
            for n in 2..=4 {
                for gram in chars.windows(n) {
                    let next = numbers.len() as u32;
                    let number = *numbers.entry(gram.iter().collect()).or_insert(next);
                    *counts.entry(number).or_default() += 1.0;
                }
            }
            documents.resize(numbers.len(), 0);
            counts.keys().for_each(|&t| documents[t as usize] += 1);
            let mut row: Vec<(u32, f32)> = counts.into_iter().collect();
            row.sort_unstable_by_key(|t| t.0);
            rows.push(row);
        }
        for row in &mut rows {
            for (term, weight) in row.iter_mut() {
                *weight *= ((1 + texts.len()) as f32 / (1 + documents[*term as usize]) as f32).ln() + 1.0;
            }
            let norm = row.iter().map(|t| t.1 * t.1).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
            row.iter_mut().for_each(|t| t.1 /= norm);
        }
        Space::Sparse(rows)
    }

    /// Cosine of two of the texts.
    pub fn cosine(&self, a: usize, b: usize) -> f32 {
        match self {
            Space::Dense(rows) => dot(&rows[a], &rows[b]),
            Space::Sparse(rows) => {
                let (mut sum, mut rest) = (0.0, rows[b].as_slice());
                for &(term, weight) in &rows[a] {
                    rest = &rest[rest.partition_point(|t| t.0 < term)..];
                    if let Some(&(_, other)) = rest.first().filter(|t| t.0 == term) {
                        sum += weight * other;
                    }
                }
                sum
            }
        }
    }
}

/// For each query the place of its first right candidate, from 0; `None` where it has no right one. Candidates are texts of the space;
/// `counts` says which of them are any for a query.
pub fn places(
    space: &Space,
    queries: &[usize],
    candidates: &[usize],
    counts: impl Fn(usize, usize) -> bool + Sync,
    right: impl Fn(usize, usize) -> bool + Sync,
) -> Vec<Option<usize>> {
    let place = |&query: &usize| {
        let others = || candidates.iter().copied().filter(|&c| counts(query, c));
        let best = others().filter(|&c| right(query, c)).map(|c| space.cosine(query, c)).max_by(f32::total_cmp)?;
        // Of equals, the wrong ones come first: nothing is won by ties.
        Some(others().filter(|&c| !right(query, c) && space.cosine(query, c) >= best).count())
    };
    queries.par_iter().map(place).collect()
}

/// Share of the places below `k`, of those that there are.
pub fn recall(places: &[Option<usize>], k: usize) -> f64 {
    let there: Vec<usize> = places.iter().flatten().copied().collect();
    there.iter().filter(|p| **p < k).count() as f64 / there.len().max(1) as f64
}

/// Probability that a pair that means the same scores above one that does not; ties count half.
pub fn pair_auc(scores: &[(f32, bool)]) -> f64 {
    let mut sorted = scores.to_vec();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (same, other) = (sorted.iter().filter(|s| s.1).count(), sorted.iter().filter(|s| !s.1).count());
    let (mut won, mut below) = (0.0, 0.0);
    for ties in sorted.chunk_by(|a, b| a.0 == b.0) {
        let same = ties.iter().filter(|s| s.1).count() as f64;
        let other = ties.len() as f64 - same;
        won += same * (below + other / 2.0);
        below += other;
    }
    won / (same as f64 * other as f64).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_of_a_group_is_found_and_ties_do_not_help() {
        let space = Space::Dense(vec![vec![1.0, 0.0], vec![0.8, 0.6], vec![0.0, 1.0], vec![0.8, 0.6]]);
        let group = [0, 0, 1, 1];
        let found = places(&space, &[0, 1, 2], &[0, 1, 2, 3], |a, b| a != b, |a, b| group[a] == group[b]);
        assert_eq!(found, [Some(1), Some(1), Some(1)]);
        assert_eq!((recall(&found, 1), recall(&found, 2)), (0.0, 1.0));
        assert_eq!(places(&space, &[0], &[2, 3], |_, _| true, |a, b| group[a] == group[b]), [None]);
    }

    #[test]
    fn pairs_are_told_apart_by_their_order_alone() {
        assert_eq!(pair_auc(&[(0.9, true), (0.8, true), (0.1, false)]), 1.0);
        assert_eq!(pair_auc(&[(0.5, true), (0.5, false)]), 0.5);
        assert_eq!(pair_auc(&[(0.1, true), (0.5, false)]), 0.0);
    }

    #[test]
    fn shared_characters_make_texts_alike() {
        let texts = ["退款没到账", "退款还没到账", "where is it", ""].map(String::from);
        let space = Space::characters(&texts);
        assert!(space.cosine(0, 1) > 0.1 && space.cosine(0, 2) == 0.0 && space.cosine(0, 3) == 0.0);
        assert!((space.cosine(2, 2) - 1.0).abs() < 1e-5);
    }
}
