//! How every engine keeps a point and searches: names, keys, the graph. One place, so that all find alike.

use sha2::{Digest, Sha256};

use crate::domain::SearchFilter;

/// Name of the sentence vector.
pub(super) const DENSE: &str = "dense";
/// Name of the terms, or of their vector.
pub(super) const TERMS: &str = "terms";
pub(super) const ID: &str = "id";
pub(super) const DIGEST: &str = "digest";
pub(super) const LANG: &str = "lang";
pub(super) const INTENT: &str = "intent";
pub(super) const STATE: &str = "state";

/// Links of a point in the graph, and breadth of the search for them. Twice the embedded engine's default: with that, a graph whose points
/// had all been replaced lost one in seven of the true nearest ten, with this none. Building takes half as long again.
pub(super) const GRAPH_LINKS: usize = 32;
pub(super) const GRAPH_BUILDING: usize = 200;
/// Breadth of a search in the graph. With that graph it found all of the true nearest ten among 40,000 noisy vectors of 384 dimensions, also
/// after each of them had been replaced.
pub(super) const GRAPH_BREADTH: usize = 128;
/// Candidates by 8-bit vectors, as a multiple of the hits, that the whole vectors rank.
pub(super) const OVERSAMPLING: f64 = 2.0;

/// Which points a search looks at.
pub(super) enum Among<'a> {
    /// All that the filter lets through.
    All(&'a SearchFilter),
    /// These only, each compared exactly.
    Ids(&'a [String]),
}

/// What a filter wants of which field.
pub(super) fn restrictions(wanted: &SearchFilter) -> impl Iterator<Item = (&'static str, &str)> {
    let fields = [
        (LANG, wanted.lang.map(|lang| lang.as_str())),
        (INTENT, wanted.intent.as_deref()),
        (STATE, wanted.state.map(|state| state.as_str())),
    ];
    fields.into_iter().filter_map(|(field, value)| Some((field, value?)))
}

/// The key by which engines know a point, since they take no text of any length: the first half of the id's SHA-256.
pub(super) fn key(id: &str) -> [u8; 16] {
    let digest: [u8; 32] = Sha256::digest(id).into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}

/// The key as the text of a UUID.
pub(super) fn uuid(id: &str) -> String {
    let hex: String = key(id).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_stable_and_of_the_right_form() {
        // SHA-256 of "abc" begins ba7816bf 8f01cfea 414140de 5dae2223.
        assert_eq!(uuid("abc"), "ba7816bf-8f01-cfea-4141-40de5dae2223");
    }
}
