//! Reciprocal-rank fusion: one ranking out of several whose scores cannot be compared.
//!
//! Cormack, Clarke and Büttcher, 2009, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods".
//! Pure: ranks in, ranks out.

use std::collections::HashMap;

/// The paper's constant: how little the very first places count above the next ones.
const K: f32 = 60.0;

/// Fuses rankings (best first, each id at most once a ranking) into one, best first.
///
/// An id's score is the sum of `1 / (K + rank)` over the rankings that hold it, ranks from 1, divided by what the first of all
/// rankings gets: in (0, 1], and 1 for an id that is first everywhere. An empty ranking counts as one that found nothing. Equal
/// scores stand in the order of their ids, so the answer never depends on chance.
pub fn fuse(rankings: &[Vec<&str>]) -> Vec<(String, f32)> {
    let best = rankings.len() as f32 / (K + 1.0);
    let mut sums: HashMap<&str, f32> = HashMap::new();
    for ranking in rankings {
        for (rank, id) in ranking.iter().enumerate() {
            *sums.entry(id).or_default() += 1.0 / (K + 1.0 + rank as f32);
        }
    }
    let mut fused: Vec<(String, f32)> = sums.into_iter().map(|(id, sum)| (id.to_owned(), (sum / best).min(1.0))).collect();
    fused.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    fused
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(fused: &[(String, f32)]) -> Vec<&str> {
        fused.iter().map(|(id, _)| id.as_str()).collect()
    }

    #[test]
    fn first_everywhere_scores_one() {
        assert_eq!(fuse(&[vec!["a", "b"], vec!["a", "c"]])[0], ("a".to_owned(), 1.0));
        assert_eq!(fuse(&[vec!["a"]]), [("a".to_owned(), 1.0)]);
    }

    #[test]
    fn found_twice_beats_found_once_higher_up() {
        assert_eq!(order(&fuse(&[vec!["x", "both"], vec!["y", "both"]])), ["both", "x", "y"]);
    }

    #[test]
    fn ties_stand_in_the_order_of_ids() {
        assert_eq!(order(&fuse(&[vec!["b"], vec!["a"]])), ["a", "b"]);
        assert_eq!(order(&fuse(&[vec!["a"], vec!["b"]])), ["a", "b"]);
    }

    #[test]
    fn an_empty_ranking_found_nothing() {
        let fused = fuse(&[vec!["a", "b"], vec![]]);
        assert_eq!(order(&fused), ["a", "b"]);
        assert_eq!(fused[0].1, 0.5);
        assert!(fuse(&[]).is_empty() && fuse(&[vec![], vec![]]).is_empty());
    }
}
