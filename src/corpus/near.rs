//! Texts that are nearly the same: all pairs of a corpus whose character trigrams overlap.
//!
//! An exact set-similarity join with prefix and length filters (Bayardo, Ma and Srikant, "Scaling up all pairs similarity
//! search", 2007): of two sets that overlap enough, the rarest members of one meet those of the other, so that only rare
//! trigrams are looked up. Time grows with the number of pairs that share a rare trigram, not with all pairs.

use rustc_hash::FxHashMap;

use crate::text::trigrams;

/// Share of common character trigrams above which two texts count as the same text (Jaccard), as a fraction: 0.6.
///
/// It lets "how do I pay" and "how can I pay" pass and holds "where is my parcel" and "where is my parcel??" back.
const NEAR: (usize, usize) = (3, 5);

/// Texts to compare, each with what its owner knows it by; bounded in number and size, and so in time and memory.
#[derive(Debug)]
pub(super) struct Texts<T> {
    pub all: Vec<(T, String)>,
    bytes: usize,
}

impl<T> Default for Texts<T> {
    fn default() -> Self {
        Self { all: Vec::new(), bytes: 0 }
    }
}

impl<T> Texts<T> {
    /// Why there can be too many.
    pub const LIMIT: &str = "more than 300,000 different texts, or more than 64 MiB of them";

    /// Whether there was room for one more.
    pub fn push(&mut self, tag: T, text: String) -> bool {
        self.bytes += text.len();
        let room = self.all.len() < 300_000 && self.bytes <= 64 << 20;
        if room {
            self.all.push((tag, text));
        }
        room
    }
}

/// Calls `found` with every pair of texts that are nearly the same, once a pair, in no order that means anything.
///
/// `wanted` is asked first, and may spare the comparison; `state` is what both work on. Texts that are equal are a pair too.
pub(super) fn near_pairs<S>(
    texts: &[impl AsRef<str>],
    state: &mut S,
    wanted: impl Fn(&mut S, usize, usize) -> bool,
    mut found: impl FnMut(&mut S, usize, usize),
) {
    let sets = Sets::new(texts);
    let (num, den) = NEAR;
    let mut by_size: Vec<u32> = (0..texts.len() as u32).collect();
    by_size.sort_by_key(|&t| sets.of(t).len());
    // Texts by trigram, in order of size; those that have become too short for all that follow lie before `begin`.
    let mut index: Vec<Postings> = vec![Postings::default(); sets.kinds];
    let mut met: Vec<u32> = vec![u32::MAX; texts.len()];
    let mut candidates = Vec::new();
    for &this in &by_size {
        let grams = sets.of(this);
        let size = grams.len();
        let shortest = (num * size).div_ceil(den);
        candidates.clear();
        for (at, &gram) in grams[..size - shortest + 1].iter().enumerate() {
            let postings = &mut index[gram as usize];
            while postings.texts.get(postings.begin).is_some_and(|&(other, _)| sets.of(other).len() < shortest) {
                postings.begin += 1;
            }
            for &(other, other_at) in &postings.texts[postings.begin..] {
                // What can still be common, from here on, is what is left of the shorter rest.
                let rest = (size - at).min(sets.of(other).len() - other_at as usize);
                if met[other as usize] != this && rest >= overlap(size, sets.of(other).len()) {
                    met[other as usize] = this;
                    candidates.push(other);
                }
            }
        }
        for &other in &candidates {
            let (a, b) = (this.min(other) as usize, this.max(other) as usize);
            if wanted(state, a, b) && enough_common(grams, sets.of(other)) {
                found(state, a, b);
            }
        }
        // Those that follow are no smaller, which asks more of what is common: fewer trigrams need be known.
        let known = size - (2 * num * size).div_ceil(num + den) + 1;
        for (at, &gram) in grams[..known].iter().enumerate() {
            index[gram as usize].texts.push((this, at as u32));
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Postings {
    begin: usize,
    /// Text, and where in its set the trigram stands.
    texts: Vec<(u32, u32)>,
}

/// Members that two sets of these sizes must have in common.
fn overlap(a: usize, b: usize) -> usize {
    (NEAR.0 * (a + b)).div_ceil(NEAR.0 + NEAR.1)
}

/// Whether two sorted sets have so much in common.
fn enough_common(a: &[u32], b: &[u32]) -> bool {
    let needed = overlap(a.len(), b.len());
    let (mut i, mut j, mut common) = (0, 0, 0);
    while common < needed {
        if common + (a.len() - i).min(b.len() - j) < needed {
            return false;
        }
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => (i, j, common) = (i + 1, j + 1, common + 1),
        }
    }
    true
}

/// The trigrams of all texts, as numbers that rise with frequency; a text's are sorted, so its rarest come first.
struct Sets {
    all: Vec<u32>,
    ends: Vec<usize>,
    kinds: usize,
}

impl Sets {
    fn new(texts: &[impl AsRef<str>]) -> Self {
        let mut numbers: FxHashMap<u64, u32> = FxHashMap::default();
        let mut counts: Vec<u32> = Vec::new();
        let (mut all, mut ends) = (Vec::new(), Vec::with_capacity(texts.len()));
        for text in texts {
            for gram in trigrams(text.as_ref()) {
                let number = *numbers.entry(gram).or_insert_with(|| {
                    counts.push(0);
                    counts.len() as u32 - 1
                });
                counts[number as usize] += 1;
                all.push(number);
            }
            ends.push(all.len());
        }
        let mut order: Vec<u32> = (0..counts.len() as u32).collect();
        order.sort_by_key(|&n| (counts[n as usize], n));
        let mut rank = vec![0; counts.len()];
        for (r, &n) in order.iter().enumerate() {
            rank[n as usize] = r as u32;
        }
        all.iter_mut().for_each(|n| *n = rank[*n as usize]);
        let mut sets = Self { all, ends, kinds: counts.len() };
        for text in 0..texts.len() as u32 {
            let range = sets.range(text);
            sets.all[range].sort_unstable();
        }
        sets
    }

    fn range(&self, text: u32) -> std::ops::Range<usize> {
        let at = text as usize;
        at.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[at]
    }

    fn of(&self, text: u32) -> &[u32] {
        &self.all[self.range(text)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(texts: &[String]) -> Vec<(usize, usize)> {
        let mut out = Vec::new();
        near_pairs(texts, &mut out, |_, _, _| true, |out, a, b| out.push((a, b)));
        out.sort_unstable();
        out
    }

    fn all_pairs(texts: &[String]) -> Vec<(usize, usize)> {
        let grams: Vec<Vec<u64>> = texts.iter().map(|t| trigrams(t)).collect();
        let mut out = Vec::new();
        for b in 0..texts.len() {
            for a in 0..b {
                let common = grams[a].iter().filter(|g| grams[b].contains(g)).count();
                let union = grams[a].len() + grams[b].len() - common;
                if NEAR.1 * common >= NEAR.0 * union {
                    out.push((a, b));
                }
            }
        }
        out.sort_unstable();
        out
    }

    #[test]
    fn near_texts_meet_and_others_do_not() {
        let texts = ["where is my parcel", "how do I pay", "where is my parcel??", "how can I pay", "还没发货", "還沒發貨!", "", "…"];
        let texts = texts.map(str::to_owned);
        assert_eq!(pairs(&texts), [(0, 2), (4, 5), (6, 7)]);
        assert_eq!(pairs(&[]), []);
    }

    proptest! {
        #[test]
        fn no_pair_is_missed_and_none_made_up(texts in prop::collection::vec("[ab]{0,9}|[a-d]{3,30}|[ab我你]{1,12}", 0..40)) {
            prop_assert_eq!(pairs(&texts), all_pairs(&texts));
        }

        #[test]
        fn edited_texts_are_found_as_by_brute_force(base in "[a-f ]{20,60}", cuts in prop::collection::vec((0usize..60, 0usize..20), 1..25)) {
            let chars: Vec<char> = base.chars().collect();
            let mut texts = vec![base.clone()];
            for (at, len) in cuts {
                let at = at.min(chars.len());
                let end = (at + len).min(chars.len());
                texts.push(chars[..at].iter().chain(&chars[end..]).collect());
            }
            prop_assert_eq!(pairs(&texts), all_pairs(&texts));
        }
    }
}
