//! Names of the catalogue that a stretch of a message comes close to without being one: misspelt, of another character with the same
//! sound, cut short, with a word more.
//!
//! A name's vector has a number for each of its pieces: Chinese characters, pairs of neighbouring sounds (pinyin) or letters, runs of
//! three letters. Pieces count by their rarity among the names; vectors have length 1. The nearest name by cosine is found through
//! lists of the names that hold a piece, so that its cost goes with the message and hardly with the catalogue.

use std::hash::{Hash, Hasher};
use std::ops::Range;

use pinyin::ToPinyin;
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use super::learned::units::{Form, Unit};
use super::{Candidate, Voice};
use crate::domain::EntityType;
use crate::text::{Normalized, is_han};

/// Cosine from which a name counts as near, and from which as nearer and nearest.
const LEVELS: [f32; 3] = [0.5, 0.64, 0.78];
/// From here on it is the name itself but for what is no letter: that is the gazetteer's to see where the borders are the same.
const SAME: f32 = 0.9999;
/// Units of a stretch.
const LONGEST: usize = 6;
/// Units of a message that are looked at; the encoder reads no more either.
const READ: usize = 512;
/// A piece of more names tells none of them.
const COMMON: usize = 500;

/// Kinds whose names are looked for: those that lexicon and patterns cannot know.
const KINDS: [EntityType; 3] = [EntityType::Brand, EntityType::Product, EntityType::Model];

#[derive(Debug, Clone, Default)]
pub(super) struct NearNames {
    kinds: Vec<EntityType>,
    /// The names that hold a piece, with its share of their vectors; empty for a common one.
    lists: FxHashMap<u64, Vec<(u32, f32)>>,
}

impl NearNames {
    /// Of normalised names; those of other kinds, and those too short to be misspelt, are left out.
    pub fn build<'a>(names: impl Iterator<Item = (EntityType, &'a str)>) -> Self {
        let mut seen = FxHashSet::default();
        let mut kinds = Vec::new();
        let mut lists: FxHashMap<u64, Vec<(u32, f32)>> = FxHashMap::default();
        for (kind, name) in names {
            let signs: Vec<Sign> = signs(name).collect();
            if !KINDS.contains(&kind) || !is_long_enough(&signs) || !seen.insert((kind, name)) {
                continue;
            }
            for piece in pieces(&signs) {
                lists.entry(piece).or_default().push((kinds.len() as u32, 0.0));
            }
            kinds.push(kind);
        }
        let mut squares = vec![0.0f32; kinds.len()];
        for list in lists.values_mut() {
            if list.len() > COMMON {
                *list = Vec::new();
            }
            let weight = rarity(kinds.len(), list.len());
            for entry in list {
                entry.1 = weight;
                squares[entry.0 as usize] += weight * weight;
            }
        }
        for entry in lists.values_mut().flatten() {
            entry.1 /= squares[entry.0 as usize].sqrt();
        }
        NearNames { kinds, lists }
    }

    /// Adds the stretches of a message that are near a name: of each type those that come closest, none overlapping.
    pub fn find(&self, normalized: &Normalized, units: &[Unit], candidates: &mut Vec<Candidate>) {
        if self.kinds.is_empty() {
            return;
        }
        let units = &units[..units.len().min(READ)];
        let mut near: Vec<(EntityType, Range<usize>, f32)> = Vec::new();
        let mut cosines = vec![0.0f32; self.kinds.len()];
        for first in 0..units.len() {
            for stretch in stretches(&normalized.text, units, first) {
                let range = units[stretch.start].range.start..units[stretch.end - 1].range.end;
                for (kind, cosine) in self.nearest(&normalized.text[range.clone()], &mut cosines) {
                    near.push((kind, range.clone(), cosine));
                }
            }
        }
        near.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.1.start.cmp(&b.1.start)).then(b.1.end.cmp(&a.1.end)).then(a.0.cmp(&b.0)));
        let mut kept: Vec<(EntityType, Range<usize>)> = Vec::new();
        let exact = candidates.len();
        for (kind, range, cosine) in near {
            if kept.iter().any(|k| k.0 == kind && k.1.start < range.end && range.start < k.1.end) {
                continue;
            }
            let is_name = |c: &Candidate| c.voice == Voice::Catalogue && c.kind == Some(kind) && c.range == range;
            if !(cosine >= SAME && candidates[..exact].iter().any(is_name)) {
                let level = LEVELS.iter().filter(|from| cosine >= **from).count() - 1;
                candidates.push(Candidate { range: range.clone(), kind: Some(kind), voice: Voice::NEAR[level], value: None });
            }
            kept.push((kind, range));
        }
    }

    /// The greatest cosine of each type with a name near enough. `cosines` has a zero for each name, before and after.
    fn nearest(&self, text: &str, cosines: &mut [f32]) -> Vec<(EntityType, f32)> {
        let signs: Vec<Sign> = signs(text).collect();
        if !is_long_enough(&signs) {
            return Vec::new();
        }
        let mut square = 0.0;
        let mut touched: Vec<u32> = Vec::new();
        for piece in pieces(&signs) {
            let list = self.lists.get(&piece);
            // A piece of no name is as rare as can be: what is foreign makes a stretch unlike all of them.
            let weight = rarity(self.kinds.len(), list.map_or(1, Vec::len));
            square += weight * weight;
            for &(name, share) in list.into_iter().flatten() {
                let cosine = &mut cosines[name as usize];
                if *cosine == 0.0 {
                    touched.push(name);
                }
                *cosine += weight * share;
            }
        }
        let mut best: Vec<(EntityType, f32)> = Vec::new();
        for name in touched {
            let (kind, cosine) = (self.kinds[name as usize], std::mem::take(&mut cosines[name as usize]) / square.sqrt());
            match best.iter_mut().find(|b| b.0 == kind) {
                _ if cosine < LEVELS[0] => {}
                Some(b) => b.1 = b.1.max(cosine),
                None => best.push((kind, cosine)),
            }
        }
        best
    }
}

/// Weight of a piece that so many of the names hold; none of a common one.
fn rarity(names: usize, holding: usize) -> f32 {
    if holding == 0 { 0.0 } else { (1.0 + names as f32 / holding as f32).ln() }
}

/// The stretches from a unit on that a name could be: they begin and end with a word, and no sign but `-`, `'`, `&`, `.` is in them.
fn stretches<'a>(text: &str, units: &'a [Unit], first: usize) -> impl Iterator<Item = Range<usize>> + use<'a> {
    let is_word = |at: usize| units[at].form != Form::Sign;
    let joins = |u: &Unit| u.form != Form::Sign || ["-", "'", "&", "."].contains(&&text[u.range.clone()]);
    let inside = units[first..].iter().take(LONGEST).take_while(|u| joins(u)).count();
    (first + 1..=first + inside).map(move |end| first..end).filter(move |s| is_word(s.start) && is_word(s.end - 1))
}

/// What stands for a letter: a Chinese character by its sound, everything else by itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Sign {
    Border,
    Letter(char),
    Sound(char, &'static str),
}

impl Sign {
    fn heard(self) -> (char, &'static str) {
        match self {
            Sign::Border => ('\0', ""),
            Sign::Letter(c) => (c, ""),
            Sign::Sound(_, sound) => ('\0', sound),
        }
    }
}

fn signs(text: &str) -> impl Iterator<Item = Sign> {
    let sign = |c: char| match c.to_pinyin() {
        Some(sound) if is_han(c) => Sign::Sound(c, sound.plain()),
        _ => Sign::Letter(c),
    };
    text.chars().filter(|c| c.is_alphanumeric()).map(sign)
}

/// Two Chinese characters, or four letters of which not all are digits.
fn is_long_enough(signs: &[Sign]) -> bool {
    let characters = signs.iter().filter(|s| matches!(s, Sign::Sound(..))).count();
    let letters = signs.iter().any(|s| !matches!(s, Sign::Letter(c) if c.is_ascii_digit()));
    signs.len() >= 2 && letters && 2 * characters + (signs.len() - characters) >= 4
}

/// The distinct pieces of a name, by their hashes.
fn pieces(signs: &[Sign]) -> FxHashSet<u64> {
    let hash = |piece: &dyn Fn(&mut FxHasher)| {
        let mut hasher = FxHasher::default();
        piece(&mut hasher);
        hasher.finish()
    };
    let mut found = FxHashSet::default();
    let at = |i: usize| i.checked_sub(1).and_then(|i| signs.get(i)).copied().unwrap_or(Sign::Border);
    for i in 0..=signs.len() {
        let (before, own, after) = (at(i), at(i + 1), at(i + 2));
        found.insert(hash(&|h| (before.heard(), own.heard()).hash(h)));
        match own {
            Sign::Sound(c, _) => drop(found.insert(hash(&|h| c.hash(h)))),
            Sign::Letter(_) if i < signs.len() => drop(found.insert(hash(&|h| (before.heard(), own.heard(), after.heard()).hash(h)))),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ner::learned::units::units;
    use crate::text::normalize;

    fn found(names: &[(EntityType, &str)], text: &str) -> Vec<(String, EntityType, usize)> {
        let near = NearNames::build(names.iter().copied());
        let normalized = normalize(text);
        let mut candidates = Vec::new();
        near.find(&normalized, &units(&normalized), &mut candidates);
        let level = |c: &Candidate| Voice::NEAR.iter().position(|v| *v == c.voice).unwrap();
        candidates.iter().map(|c| (normalized.text[c.range.clone()].to_owned(), c.kind.unwrap(), level(c))).collect()
    }

    const NAMES: [(EntityType, &str); 5] = [
        (EntityType::Brand, "云朵家"),
        (EntityType::Brand, "veloz"),
        (EntityType::Model, "aero runner pro"),
        (EntityType::Product, "羽绒服"),
        (EntityType::Size, "加大码数"),
    ];

    #[test]
    fn a_misspelt_name_is_near() {
        let one = |text: &str, kind| -> Vec<(String, EntityType)> {
            let names = found(&NAMES, text).into_iter().map(|f| (f.0, f.1));
            names.filter(|f| f.1 == kind).collect()
        };
        use EntityType::*;
        assert_eq!(one("云躲家的被子", Brand), [("云躲家".to_owned(), Brand)]);
        assert_eq!(one("my Velos broke", Brand), [("velos".to_owned(), Brand)]);
        assert_eq!(one("the aerorunner pro, please", Model), [("aerorunner pro".to_owned(), Model)]);
        assert_eq!(one("羽荣服", Product), [("羽荣服".to_owned(), Product)]);
    }

    #[test]
    fn what_is_far_is_none() {
        for text in ["", "今天天气不错", "where is my parcel", "12345", "!!! 😀", "加大马数"] {
            assert_eq!(found(&NAMES, text), [], "{text}");
        }
        assert_eq!(found(&[], "云朵家"), []);
    }
}
