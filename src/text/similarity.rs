//! How much of their spelling two texts share.

use super::normalize::normalize;

/// Share of common trigrams from which on two texts count as the same one.
///
/// 0.6 lets "how do I pay" and "how can I pay you" pass and holds "where is my parcel" and "where is my parcel??" back.
pub const NEAR_DUPLICATE: f64 = 0.6;

/// Hashes of the character trigrams of a text without marks and spaces, ascending, each once; a shorter text is one gram.
pub fn trigrams(text: &str) -> Vec<u64> {
    let chars: Vec<char> = normalize(text).text.chars().filter(|c| c.is_alphanumeric()).collect();
    // 21 bits hold any char: three of them are the trigram itself.
    let hash = |gram: &[char]| gram.iter().fold(0u64, |h, &c| (h << 21) ^ u64::from(u32::from(c)));
    let mut grams: Vec<u64> = if chars.len() < 3 { vec![hash(&chars)] } else { chars.windows(3).map(hash).collect() };
    grams.sort_unstable();
    grams.dedup();
    grams
}

/// Share of what two ascending sets have in common (Jaccard), in [0, 1].
pub fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    let (mut i, mut j, mut common) = (0, 0, 0usize);
    while i < a.len() && j < b.len() {
        match a[i].cmp(&b[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => (i, j, common) = (i + 1, j + 1, common + 1),
        }
    }
    common as f64 / (a.len() + b.len() - common).max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(a: &str, b: &str) -> f64 {
        jaccard(&trigrams(a), &trigrams(b))
    }

    #[test]
    fn spelling_is_compared_without_marks_width_and_case() {
        assert_eq!(share("Where is my parcel?!", "where is ＭＹ parcel"), 1.0);
        assert!(share("where is my parcel", "where is my parcel now") >= NEAR_DUPLICATE);
        assert!(share("how do I pay", "how can I pay you") < NEAR_DUPLICATE);
        assert_eq!(share("还没发货", "where is it"), 0.0);
        assert_eq!((share("", ""), share("a", "a"), share("a", "b")), (1.0, 1.0, 0.0));
        // abc bcd of abc bcd cde.
        assert!((share("abcd", "abcde") - 2.0 / 3.0).abs() < 1e-12);
    }
}
