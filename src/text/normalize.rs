//! One spelling for what reads the same: NFKC, lower case, simplified characters for matching, white space folded.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::canonical_combining_class;

/// A normalised text with the way back to the text that it came from.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Normalized {
    /// NFKC, lower case, traditional characters as simplified ones, runs of white space as one space, no control
    /// or zero-width characters, trimmed.
    pub text: String,
    /// For each char of `text`: the code points `start..end` of the original that it came from.
    origin: Vec<(u32, u32)>,
}

impl Normalized {
    /// The code-point range of the original that the byte range of `text` came from.
    ///
    /// Returns `None` for an empty range or one that does not lie on char borders.
    pub fn to_original(&self, bytes: std::ops::Range<usize>) -> Option<(usize, usize)> {
        let before = self.text.get(..bytes.start)?.chars().count();
        let inside = self.text.get(bytes)?.chars().count();
        let chars = self.origin.get(before..before + inside)?;
        Some((chars.first()?.0 as usize, chars.last()?.1 as usize))
    }

    /// Each char of `text`: its bytes there, and the code points of the original that it came from.
    pub fn places(&self) -> impl Iterator<Item = (std::ops::Range<usize>, std::ops::Range<usize>)> {
        let chars = self.text.char_indices().zip(&self.origin);
        chars.map(|((at, c), origin)| (at..at + c.len_utf8(), origin.0 as usize..origin.1 as usize))
    }

    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

/// Normalises a text; see [`Normalized::text`].
///
/// NFKC works on a base character with the combining marks that follow it, so that each char knows where it came from.
/// Simplified characters stand one for one (crate `fast2s`), hence no offset moves.
pub fn normalize(original: &str) -> Normalized {
    let mut text = String::with_capacity(original.len());
    let mut origin = Vec::with_capacity(original.len() / 2);
    let mut push = |c: char, span: (u32, u32)| {
        if c.is_whitespace() {
            // Leading space is dropped, a run becomes one.
            if !text.is_empty() && !text.ends_with(' ') {
                text.push(' ');
                origin.push(span);
            }
        } else if !c.is_control() && !is_invisible(c) {
            text.push(c);
            origin.push(span);
        }
    };

    let mut chars = original.chars().enumerate().peekable();
    let mut cluster = String::new();
    while let Some((at, c)) = chars.next() {
        let start = at as u32;
        let plain = matches!(c, '\u{4e00}'..='\u{9fff}') || c.is_ascii();
        let followed = chars.peek().is_some_and(|&(_, next)| !next.is_ascii() && canonical_combining_class(next) != 0);
        if plain && !followed {
            push(c.to_ascii_lowercase(), (start, start + 1));
            continue;
        }
        cluster.clear();
        cluster.push(c);
        let mut end = start + 1;
        while let Some((_, mark)) = chars.next_if(|&(_, next)| canonical_combining_class(next) != 0) {
            cluster.push(mark);
            end += 1;
        }
        for lower in cluster.nfkc().flat_map(char::to_lowercase) {
            push(lower, (start, end));
        }
    }
    if text.ends_with(' ') {
        text.pop();
        origin.pop();
    }
    if text.chars().any(is_han) {
        text = fast2s::convert(&text);
    }
    debug_assert_eq!(text.chars().count(), origin.len());
    Normalized { text, origin }
}

/// Zero-width and direction marks, variation selectors, the byte order mark: seen by nobody, and in the way of matching.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}'
        | '\u{feff}' | '\u{fe00}'..='\u{fe0f}')
}

/// Whether a char is a Chinese character.
pub fn is_han(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}' | '\u{3400}'..='\u{4dbf}' | '\u{3007}' | '\u{20000}'..='\u{2fa1f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(original: &str, expect: &str) {
        assert_eq!(normalize(original).text, expect);
    }

    #[test]
    fn width_case_space_and_traditional_characters_are_folded() {
        check("  ＡＢＣ１２３　Ｈｅｌｌｏ  ", "abc123 hello");
        check("還沒發貨，訂單號：１２", "还没发货,订单号:12");
        check("a\u{200b}b\u{feff}\r\n\tc", "ab c");
        check("①㎏ﬁ", "1kgfi");
        check("", "");
        check(" \u{3000}\n", "");
    }

    #[test]
    fn a_span_leads_back_to_the_original() {
        let original = "買的  ＸＬ码é羽絨服";
        let n = normalize(original);
        let at = n.text.find("xl").unwrap();
        assert_eq!(n.to_original(at..at + 2), Some((4, 6)));
        let at = n.text.find("羽绒服").unwrap();
        let (s, e) = n.to_original(at..at + 9).unwrap();
        assert_eq!(original.chars().skip(s).take(e - s).collect::<String>(), "羽絨服");
    }

    proptest! {
        #[test]
        fn every_span_lies_inside_the_original_and_moves_forward(original in "\\PC{0,60}") {
            let n = normalize(&original);
            let len = original.chars().count() as u32;
            prop_assert_eq!(n.text.chars().count(), n.origin.len());
            prop_assert!(n.origin.iter().all(|&(s, e)| s < e && e <= len));
            prop_assert!(n.origin.windows(2).all(|w| w[0].0 <= w[1].0));
        }

        #[test]
        fn normalising_twice_changes_nothing(original in "\\PC{0,40}") {
            let once = normalize(&original).text;
            prop_assert_eq!(&normalize(&once).text, &once);
        }
    }
}
