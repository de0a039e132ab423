//! What gets a tag: single Chinese characters, runs of letters, runs of digits, and every other sign by itself.

use std::ops::Range;

use crate::text::{Normalized, is_han};

/// The form of a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Han,
    Letters,
    Digits,
    Sign,
}

/// A stretch of the text that is never cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    pub form: Form,
    /// Bytes of the normalised text.
    pub range: Range<usize>,
    /// Code points `start..end` of the original.
    pub origin: (u32, u32),
    /// Whether white space stands before it.
    pub spaced: bool,
}

fn form(c: char) -> Form {
    match c {
        _ if is_han(c) => Form::Han,
        _ if c.is_numeric() => Form::Digits,
        // Scripts that set their words apart by spaces.
        _ if c.is_alphabetic() && c < '\u{2e80}' => Form::Letters,
        _ => Form::Sign,
    }
}

/// The units of a text, in order; white space is none.
pub fn units(normalized: &Normalized) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::with_capacity(normalized.text.len() / 3);
    let mut spaced = true;
    for (c, (range, origin)) in normalized.text.chars().zip(normalized.places()) {
        if c == ' ' {
            spaced = true;
            continue;
        }
        let form = form(c);
        let origin = (origin.start as u32, origin.end as u32);
        match units.last_mut() {
            Some(last) if !spaced && last.form == form && matches!(form, Form::Letters | Form::Digits) => {
                last.range.end = range.end;
                last.origin.1 = origin.1;
            }
            _ => units.push(Unit { form, range, origin, spaced }),
        }
        spaced = false;
    }
    units
}

/// The units of a span of the original, if it begins and ends at borders of units.
pub fn units_of(units: &[Unit], start: usize, end: usize) -> Option<Range<usize>> {
    let first = units.iter().position(|u| u.origin.0 as usize == start)?;
    let last = units.iter().rposition(|u| u.origin.1 as usize == end)?;
    (first <= last).then_some(first..last + 1)
}

/// For each unit the tokens `from..to` that overlap it, by the tokens' code points of the original; empty where the tokens were cut off
/// before it.
pub fn tokens_of(units: &[Unit], offsets: &[(u32, u32)]) -> Vec<(u32, u32)> {
    // Tokens without text (the prefix, the special ones) stand at the ends; the others move forward.
    let real: Vec<(u32, (u32, u32))> = (0..).zip(offsets.iter().copied()).filter(|(_, (start, end))| start < end).collect();
    let mut from = 0;
    let of_unit = |unit: &Unit| {
        while real.get(from).is_some_and(|(_, (_, end))| *end <= unit.origin.0) {
            from += 1;
        }
        let inside = real[from..].iter().take_while(|(_, (start, _))| *start < unit.origin.1);
        inside.fold(None, |range: Option<(u32, u32)>, (token, _)| Some((range.map_or(*token, |r| r.0), token + 1))).unwrap_or_default()
    };
    units.iter().map(of_unit).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::normalize;

    fn texts(original: &str) -> Vec<String> {
        let normalized = normalize(original);
        units(&normalized).into_iter().map(|u| normalized.text[u.range].to_owned()).collect()
    }

    #[test]
    fn chinese_is_cut_by_characters_and_the_rest_by_runs() {
        assert_eq!(texts("ＸＬ码羽绒服 2x250ml, Men's"), ["xl", "码", "羽", "绒", "服", "2", "x", "250", "ml", ",", "men", "'", "s"]);
        assert_eq!(texts(" \u{200b} "), [""; 0]);
    }

    #[test]
    fn tokens_are_found_by_their_place() {
        let normalized = normalize("粉色XL羽绒服");
        let units = units(&normalized);
        // `query: ` and the first special token have no text; 羽绒 is one token; the last is cut off.
        let offsets = [(0, 0), (0, 0), (0, 1), (1, 2), (2, 4), (4, 6), (0, 0)];
        assert_eq!(tokens_of(&units, &offsets), [(2, 3), (3, 4), (4, 5), (5, 6), (5, 6), (0, 0)]);
        assert_eq!(units_of(&units, 2, 4), Some(2..3));
        assert_eq!(units_of(&units, 3, 4), None);
    }

    proptest! {
        #[test]
        fn a_units_slice_of_the_original_normalises_to_it(original in "\\PC{0,40}") {
            let normalized = normalize(&original);
            let chars: Vec<char> = original.chars().collect();
            for unit in units(&normalized) {
                let (start, end) = (unit.origin.0 as usize, unit.origin.1 as usize);
                prop_assert!(start < end && end <= chars.len());
                let slice: String = chars[start..end].iter().collect();
                prop_assert!(normalize(&slice).text.contains(&normalized.text[unit.range.clone()]));
            }
        }
    }
}
