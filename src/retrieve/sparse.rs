//! Terms to sparse vectors: BM25 split so that a vector engine can carry it.
//!
//! BM25 (Robertson and Zaragoza, 2009, "The Probabilistic Relevance Framework") is a sum over the query's terms of
//! `idf(term) * saturation(term in document)`. The saturation is the document's weight and is made here; the query's weight
//! is 1 a distinct term; the engine multiplies by the IDF, which it alone can know. Their dot product is the BM25 score.

use std::collections::BTreeMap;

/// How soon repeats of a term stop to count.
pub(super) const K1: f32 = 1.2;
/// How much a long text is marked down.
pub(super) const B: f32 = 0.75;
/// Terms that a text is taken to hold on average: a ticket of one or two sentences, Chinese (words and pairs of characters) or
/// English. Fixed and not measured, so that the weights of a point never depend on what else is in the index or on the order
/// of upserts; an average that is off only turns `B` a little up or down, alike for all.
pub(super) const AVERAGE_TERMS: f32 = 24.0;

/// Sparse vector of a text to be found: BM25 saturation of each distinct term, in (0, 2.2).
///
/// Indices are unique and ascending; where two terms share an index (32 bits: about one pair in a vocabulary of 100,000), their
/// weights add up. No terms give no entries.
pub fn document(terms: &[String]) -> Vec<(u32, f32)> {
    let norm = K1 * (1.0 - B + B * terms.len() as f32 / AVERAGE_TERMS);
    let mut counts: BTreeMap<&str, f32> = BTreeMap::new();
    for term in terms {
        *counts.entry(term).or_default() += 1.0;
    }
    add_up(counts.into_iter().map(|(term, count)| (term, count * (K1 + 1.0) / (count + norm))))
}

/// Sparse vector of a search: 1 a distinct term. Indices as in [`document`].
pub fn query(terms: &[String]) -> Vec<(u32, f32)> {
    let distinct: BTreeMap<&str, f32> = terms.iter().map(|term| (term.as_str(), 1.0)).collect();
    add_up(distinct.into_iter())
}

fn add_up<'a>(weights: impl Iterator<Item = (&'a str, f32)>) -> Vec<(u32, f32)> {
    let mut by_index: BTreeMap<u32, f32> = BTreeMap::new();
    for (term, weight) in weights {
        *by_index.entry(index_of(term)).or_default() += weight;
    }
    by_index.into_iter().collect()
}

/// FNV-1a, 32 bits, over the UTF-8 bytes. It is kept in indexes on disk, so it may never change with a compiler or a library.
fn index_of(term: &str) -> u32 {
    term.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn terms(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn hash_is_the_published_fnv_1a() {
        // Test vectors of draft-eastlake-fnv.
        assert_eq!(index_of(""), 0x811c_9dc5);
        assert_eq!(index_of("a"), 0xe40c_292c);
        assert_eq!(index_of("foobar"), 0xbf9c_f968);
    }

    #[test]
    fn repeats_saturate() {
        let weight = |times: usize| document(&vec!["退款".to_owned(); times])[0].1;
        assert!(weight(1) < weight(2) && weight(2) < weight(8));
        assert!(weight(2) - weight(1) > weight(8) - weight(7));
        assert!(weight(8) < K1 + 1.0);
    }

    #[test]
    fn a_term_weighs_less_in_a_longer_text() {
        let mut long = terms(&["refund"]);
        long.extend((0..40).map(|i| format!("word{i}")));
        let refund = index_of("refund");
        let in_long = document(&long).into_iter().find(|entry| entry.0 == refund).map(|entry| entry.1);
        assert!(in_long < Some(document(&terms(&["refund"]))[0].1));
    }

    #[test]
    fn a_query_counts_each_term_once() {
        assert_eq!(query(&terms(&["refund", "refund"])), [(index_of("refund"), 1.0)]);
        assert!(query(&[]).is_empty() && document(&[]).is_empty());
    }

    #[test]
    fn terms_that_collide_add_up() {
        // Two words known to share their FNV-1a hash.
        assert_eq!(index_of("costarring"), index_of("liquid"));
        assert_eq!(query(&terms(&["costarring", "liquid"])), [(index_of("liquid"), 2.0)]);
    }

    proptest! {
        #[test]
        fn indices_ascend_and_order_of_terms_is_nothing(mut words in proptest::collection::vec("[a-z退款]{1,4}", 0..60)) {
            let made = document(&words);
            prop_assert!(made.windows(2).all(|pair| pair[0].0 < pair[1].0));
            prop_assert!(made.iter().all(|entry| entry.1.is_finite() && entry.1 > 0.0));
            words.reverse();
            prop_assert_eq!(document(&words), made);
        }
    }
}
