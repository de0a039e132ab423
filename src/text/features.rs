//! Sparse features of a message: words, pairs of words, character n-grams, identifiers by kind.

use serde::{Deserialize, Serialize};

use super::identifiers::{IdentifierKind, find_identifiers};
use super::normalize::is_han;
use super::segment::{cut, runs};

/// Which features a recipe asks for. Lengths in characters; 0 for `*_max` leaves the family out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureConfig {
    /// Pairs of neighbouring words.
    pub word_pairs: bool,
    /// Chinese character n-grams inside a run.
    pub han_ngram_min: usize,
    pub han_ngram_max: usize,
    /// Letter n-grams inside a word that is padded by `_` on both sides.
    pub latin_ngram_min: usize,
    pub latin_ngram_max: usize,
}

impl Default for FeatureConfig {
    fn default() -> Self {
        FeatureConfig { word_pairs: true, han_ngram_min: 1, han_ngram_max: 3, latin_ngram_min: 3, latin_ngram_max: 5 }
    }
}

/// Buffers of [`for_each_feature`], to be kept by who calls it often.
#[derive(Debug, Default)]
pub struct Features {
    buffer: String,
    previous: String,
    chars: Vec<char>,
}

/// Calls `f` with every feature of a normalised text, repeated as often as it occurs.
///
/// A feature is one letter for its family (`w` word, `b` pair, `c` characters, `p` identifier), a colon, and the term. Digits
/// are folded to `0`, so that `250ml` and `300ml` are one feature.
pub fn for_each_feature(scratch: &mut Features, config: &FeatureConfig, normalized: &str, f: &mut impl FnMut(&str)) {
    scratch.previous.clear();
    let mut at = 0;
    for id in find_identifiers(normalized) {
        features_of_gap(scratch, config, &normalized[at..id.start], f);
        f(match id.kind {
            IdentifierKind::Url => "p:url",
            IdentifierKind::Email => "p:email",
            IdentifierKind::Phone => "p:phone",
            IdentifierKind::OrderId => "p:order",
            IdentifierKind::TrackingNo => "p:tracking",
        });
        scratch.previous.clear();
        at = id.end;
    }
    features_of_gap(scratch, config, &normalized[at..], f);
}

fn features_of_gap(scratch: &mut Features, config: &FeatureConfig, text: &str, f: &mut impl FnMut(&str)) {
    // Marks that carry a mood are words of their own.
    for (mark, feature) in [('?', "w:?"), ('!', "w:!")] {
        if text.contains(mark) {
            f(feature);
        }
    }
    for c in text.chars().filter(|&c| is_pictograph(c)) {
        set(&mut scratch.buffer, 'w', [c]);
        f(&scratch.buffer);
    }
    let mut cut_words = Vec::new();
    runs(text, |run, han| {
        scratch.chars.clear();
        if han {
            cut_words.clear();
            cut(run, &mut cut_words);
            for w in &cut_words {
                word(scratch, config, w.chars(), f);
            }
            scratch.chars.extend(run.chars());
            ngrams(scratch, config.han_ngram_min, config.han_ngram_max, f);
        } else {
            word(scratch, config, fold_digits(run), f);
            scratch.chars.push('_');
            scratch.chars.extend(fold_digits(run));
            scratch.chars.push('_');
            ngrams(scratch, config.latin_ngram_min, config.latin_ngram_max, f);
        }
    });
}

fn set(buffer: &mut String, family: char, chars: impl IntoIterator<Item = char>) {
    buffer.clear();
    buffer.push(family);
    buffer.push(':');
    buffer.extend(chars);
}

fn word(scratch: &mut Features, config: &FeatureConfig, chars: impl Iterator<Item = char>, f: &mut impl FnMut(&str)) {
    set(&mut scratch.buffer, 'w', chars);
    f(&scratch.buffer);
    if !config.word_pairs {
        return;
    }
    let end = scratch.previous.len();
    scratch.previous.push(' ');
    scratch.previous.push_str(&scratch.buffer[2..]);
    if end > 0 {
        f(&scratch.previous);
    }
    scratch.previous.clear();
    scratch.previous.push_str("b:");
    scratch.previous.push_str(&scratch.buffer[2..]);
}

fn ngrams(scratch: &mut Features, min: usize, max: usize, f: &mut impl FnMut(&str)) {
    for n in min.max(1)..=max {
        for gram in scratch.chars.windows(n) {
            set(&mut scratch.buffer, 'c', gram.iter().copied());
            f(&scratch.buffer);
        }
    }
}

/// Runs of digits of any length become one `0`.
fn fold_digits(run: &str) -> impl Iterator<Item = char> {
    let mut before = false;
    run.chars().filter_map(move |c| {
        let digit = c.is_numeric();
        let keep = !(digit && before);
        before = digit;
        keep.then_some(if digit { '0' } else { c })
    })
}

fn is_pictograph(c: char) -> bool {
    !is_han(c) && matches!(c, '\u{1f300}'..='\u{1faff}' | '\u{2600}'..='\u{27bf}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(text: &str) -> Vec<String> {
        let mut out = Vec::new();
        let text = crate::text::normalize(text).text;
        for_each_feature(&mut Features::default(), &FeatureConfig::default(), &text, &mut |f| out.push(f.to_owned()));
        out
    }

    #[test]
    fn chinese_gives_words_pairs_and_characters() {
        let f = features("还没发货?");
        for expect in ["w:发货", "b:没 发货", "c:发", "c:发货", "c:没发货", "w:?"] {
            assert!(f.iter().any(|x| x == expect), "{expect} is missing in {f:?}");
        }
    }

    #[test]
    fn english_gives_words_pairs_and_padded_ngrams() {
        let f = features("Where's my Parcel 😡");
        for expect in ["w:parcel", "b:my parcel", "c:_par", "c:rcel_", "w:😡"] {
            assert!(f.iter().any(|x| x == expect), "{expect} is missing in {f:?}");
        }
    }

    #[test]
    fn identifiers_are_seen_by_their_kind_only() {
        let f = features("订单2026110512345678的250ml");
        assert!(f.contains(&"p:order".to_owned()) && f.contains(&"w:0ml".to_owned()), "{f:?}");
        assert!(!f.iter().any(|x| x.contains("2026")), "{f:?}");
    }
}
