//! What is known of a unit before the encoder is asked: its form, its words, and which stretches the catalogue, the lexicon and the
//! patterns see around it.
//!
//! Each feature is a row of a matrix; a unit's rows are added up. The fixed rows know a stretch by who saw it, its type and the unit's
//! place in it, never by its words: so a name that enters the catalogue today is read as those that were there while training.

use rustc_hash::{FxHashMap, FxHashSet};

use super::tags::Place;
use super::units::{Form, Unit};
use crate::domain::EntityType;
use crate::ner::{Candidate, Voice};

/// Types that a stretch may have; all others (dates, amounts, identifiers) are one, and a shield is one.
const KINDS: [EntityType; 8] = EntityType::OF_PRODUCTS;

const VOICES: usize = 3 + Voice::NEAR.len();
const PLACES: usize = 4;
const STRETCHES: usize = VOICES * (KINDS.len() + 2) * PLACES;
/// Forms: Chinese, digits, sign; letters in lower case, with a capital, all capitals, mixed.
const FORMS: usize = 7;
/// Before the unit: white space; whether the unit begins, and ends, a token of the encoder.
const MARKS: usize = 3;

/// Rows that need no vocabulary.
pub const FIXED: usize = STRETCHES + FORMS + MARKS;

fn stretch_row(voice: Voice, kind: Option<EntityType>, place: Place) -> u32 {
    let kind = match kind {
        None => KINDS.len() + 1,
        Some(kind) => KINDS.iter().position(|k| *k == kind).unwrap_or(KINDS.len()),
    };
    (((voice as usize) * (KINDS.len() + 2) + kind) * PLACES + place as usize) as u32
}

fn form_row(unit: &Unit, original: &[char]) -> u32 {
    let form = match unit.form {
        Form::Han => 0,
        Form::Digits => 1,
        Form::Sign => 2,
        Form::Letters => {
            let chars = original.get(unit.origin.0 as usize..unit.origin.1 as usize).unwrap_or_default();
            let upper = chars.iter().filter(|c| c.is_uppercase()).count();
            match upper {
                0 => 3,
                n if n == chars.len() => 5,
                1 if chars.first().is_some_and(|c| c.is_uppercase()) => 4,
                _ => 6,
            }
        }
    };
    (STRETCHES + form) as u32
}

/// The fixed rows of each unit.
///
/// `tokens` are the encoder's, as of [`super::units::tokens_of`]; empty where it is not asked.
pub fn fixed_rows<'a>(
    original: &str,
    units: &[Unit],
    candidates: impl IntoIterator<Item = &'a Candidate>,
    tokens: &[(u32, u32)],
) -> Vec<Vec<u32>> {
    let chars: Vec<char> = original.chars().collect();
    let mut rows: Vec<Vec<u32>> = units.iter().map(|u| vec![form_row(u, &chars)]).collect();
    for (at, (row, unit)) in rows.iter_mut().zip(units).enumerate() {
        let mark = |number: usize| (STRETCHES + FORMS + number) as u32;
        if unit.spaced {
            row.push(mark(0));
        }
        if let Some(own) = tokens.get(at).filter(|t| t.0 < t.1) {
            if at.checked_sub(1).and_then(|b| tokens.get(b)).is_none_or(|before| before.1 <= own.0) {
                row.push(mark(1));
            }
            if tokens.get(at + 1).is_none_or(|after| own.1 <= after.0) {
                row.push(mark(2));
            }
        }
    }
    let mut seen = FxHashSet::default();
    for candidate in candidates {
        // Borders inside a unit are nothing that a tag could follow.
        let first = units.partition_point(|u| u.range.start < candidate.range.start);
        let last = units.partition_point(|u| u.range.end <= candidate.range.end);
        let fits = first < last
            && units.get(first).is_some_and(|u| u.range.start == candidate.range.start)
            && units[last - 1].range.end == candidate.range.end;
        if fits {
            for (at, to) in rows.iter_mut().enumerate().take(last).skip(first) {
                let row = stretch_row(candidate.voice, candidate.kind, Place::of(at, &(first..last)));
                if seen.insert((at, row)) {
                    to.push(row);
                }
            }
        }
    }
    rows
}

/// The words of a unit: itself, with its neighbours, and its beginning and end.
pub fn terms(text: &str, units: &[Unit], at: usize, mut each: impl FnMut(&str)) {
    let word = |i: usize| match units.get(i) {
        // Which digits they are says little; how many says much.
        Some(u) if u.form == Form::Digits => &"0000000"[..u.range.len().min(7)],
        Some(u) => &text[u.range.clone()],
        None => "",
    };
    let own = word(at);
    let mut term = String::with_capacity(24);
    let mut tell = |prefix: &str, parts: [&str; 2]| {
        term.clear();
        term.push_str(prefix);
        term.push_str(parts[0]);
        term.push('\u{1f}');
        term.push_str(parts[1]);
        each(&term);
    };
    tell("w", [own, ""]);
    tell("b", [if at > 0 { word(at - 1) } else { "^" }, own]);
    tell("a", [own, if at + 1 < units.len() { word(at + 1) } else { "$" }]);
    if units[at].form == Form::Letters {
        for n in [2, 3] {
            if let Some((cut, _)) = own.char_indices().rev().nth(n - 1).filter(|(cut, _)| *cut > 0) {
                tell("e", [&own[cut..], ""]);
            }
        }
        if let Some((cut, _)) = own.char_indices().nth(3) {
            tell("s", [&own[..cut], ""]);
        }
    }
}

/// Terms with rows of their own, which follow the fixed ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vocabulary {
    terms: Vec<Box<str>>,
    rows: FxHashMap<Box<str>, u32>,
}

impl Vocabulary {
    pub fn new(terms: Vec<Box<str>>) -> Self {
        let rows = terms.iter().zip(FIXED as u32..).map(|(t, row)| (t.clone(), row)).collect();
        Vocabulary { terms, rows }
    }

    pub fn terms(&self) -> &[Box<str>] {
        &self.terms
    }

    /// Rows of the matrix in all.
    pub fn rows(&self) -> usize {
        FIXED + self.terms.len()
    }

    /// Adds the rows of the known terms to those of each unit.
    pub fn add_rows(&self, text: &str, units: &[Unit], rows: &mut [Vec<u32>]) {
        for (at, to) in rows.iter_mut().enumerate() {
            terms(text, units, at, |term| to.extend(self.rows.get(term)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::CatalogueItem;
    use crate::ner::GazetteerTagger;
    use crate::ner::learned::units::units;
    use crate::text::normalize;

    fn rows(items: &[CatalogueItem], text: &str) -> Vec<Vec<u32>> {
        let normalized = normalize(text);
        let tagger = GazetteerTagger::build(items).unwrap();
        let units = units(&normalized);
        fixed_rows(text, &units, &tagger.candidates(text, &normalized, &units), &[])
    }

    #[test]
    fn a_name_of_the_catalogue_is_known_by_its_place_and_not_by_its_words() {
        let of = |brand: &str| [CatalogueItem { sku: "1".into(), title: "t".into(), brand: brand.into(), ..CatalogueItem::default() }];
        let (known, other) = (rows(&of("Veloz"), "the Veloz one"), rows(&of("Karpa"), "the Karpa one"));
        assert_eq!(known, other);
        assert!(known[1].contains(&stretch_row(Voice::Catalogue, Some(EntityType::Brand), Place::Single)));
        assert_ne!(rows(&[], "the Veloz one"), known);
    }

    #[test]
    fn digits_are_told_by_their_number() {
        let normalized = normalize("250ml");
        let mut found = Vec::new();
        terms(&normalized.text, &units(&normalized), 0, |t| found.push(t.to_owned()));
        assert_eq!(found, ["w000\u{1f}", "b^\u{1f}000", "a000\u{1f}ml"]);
    }
}
