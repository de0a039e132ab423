//! The tagged rows of a recipe, and what the tagger sees of them under a catalogue.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};

use pinyin::ToPinyin;
use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::TaggerRecipe;
use super::recipe::TaggedFiles;
use crate::corpus::{CorpusError, TaggedRow, data_hash, read_tagged};
use crate::domain::{CatalogueItem, EntityType};
use crate::ner::learned::features::{Vocabulary, fixed_rows, terms};
use crate::ner::learned::tags::{Span, tags_of};
use crate::ner::learned::units::{Unit, units, units_of};
use crate::ner::{Gazetteer, GazetteerTagger, Lexicon};
use crate::text::{Normalized, is_han, normalize};
use crate::train::{Files, TrainError};

/// Without validation rows, each so many-th training row is one.
const HELD: usize = 10;

/// A row, read.
pub struct TaggerRow {
    pub row: TaggedRow,
    pub normalized: Normalized,
    pub units: Vec<Unit>,
    /// Of the units; spans whose borders lie inside a unit have none.
    pub tags: Vec<usize>,
}

/// The rows of all splits, end to end.
pub struct TaggerCorpus {
    pub rows: Vec<TaggerRow>,
    pub train: Range<usize>,
    pub valid: Range<usize>,
    pub test: Range<usize>,
    pub hash: String,
    /// Spans of training rows that no sequence of tags can tell.
    pub lost: usize,
}

impl TaggerCorpus {
    /// Reads the files of a recipe, whose paths are relative to `base`.
    ///
    /// # Errors
    /// Unreadable or broken files, no training row, no span of a type that is asked for.
    pub fn read(recipe: &TaggerRecipe, base: &Path) -> Result<Self, TrainError> {
        let read = |files: Option<&Files>| -> Result<Vec<TaggerRow>, CorpusError> {
            let mut rows = Vec::new();
            for path in files.map(|f| f.under(base)).unwrap_or_default() {
                for mut row in read_tagged(&path)? {
                    row.entities.retain(|e| recipe.types.contains(&e.kind));
                    rows.push(TaggerRow::of(row, &recipe.types));
                }
            }
            Ok(rows)
        };
        let TaggedFiles { train, valid, test } = &recipe.data;
        let hashed: Vec<PathBuf> = std::iter::once(train).chain(valid).flat_map(|f| f.under(base)).collect();
        let hash = data_hash(&hashed.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
        let (mut rows, mut held, test) = (read(Some(train))?, read(valid.as_ref())?, read(test.as_ref())?);
        if valid.is_none() {
            let parts: Vec<(usize, TaggerRow)> = rows.into_iter().enumerate().collect();
            let (own, part): (Vec<_>, Vec<_>) = parts.into_iter().partition(|(number, _)| number % HELD != HELD - 1);
            rows = own.into_iter().map(|r| r.1).collect();
            held = part.into_iter().map(|r| r.1).collect();
        }
        let lost = rows.iter().map(|row| row.lost(&recipe.types)).sum();
        let train = 0..rows.len();
        let valid = train.end..train.end + held.len();
        let test_range = valid.end..valid.end + test.len();
        rows.extend(held);
        rows.extend(test);
        let test = test_range;
        if train.is_empty() || valid.is_empty() {
            return Err(TrainError::Data("data.train and data.valid need at least one row each".into()));
        }
        let found: BTreeSet<&str> = rows[train.clone()].iter().flat_map(|r| r.row.entities.iter().map(|e| e.kind.as_str())).collect();
        if let Some(missing) = recipe.types.iter().find(|t| !found.contains(t.as_str())) {
            return Err(TrainError::Data(format!("no training row has a span of type {missing:?}: leave it out of `types`, or add some")));
        }
        Ok(TaggerCorpus { rows, train, valid, test, hash, lost })
    }

    /// Words of the training rows with at least `min_count` units, in the order of the alphabet.
    pub fn vocabulary(&self, min_count: usize) -> Vocabulary {
        let mut counts: FxHashMap<String, usize> = FxHashMap::default();
        for row in &self.rows[self.train.clone()] {
            for at in 0..row.units.len() {
                terms(&row.normalized.text, &row.units, at, |term| match counts.get_mut(term) {
                    Some(count) => *count += 1,
                    None => drop(counts.insert(term.to_owned(), 1)),
                });
            }
        }
        // A line a term in its file.
        let kept = counts.into_iter().filter(|(term, n)| *n >= min_count && !term.contains(['\n', '\r']));
        let mut terms: Vec<Box<str>> = kept.map(|(term, _)| term.into()).collect();
        terms.sort_unstable();
        Vocabulary::new(terms)
    }

    /// The features of all rows under a catalogue, `tokens` being their units'; `near` says whether its near names are seen.
    ///
    /// # Errors
    /// The lexicon's or the automaton's.
    pub fn features(
        &self,
        catalogue: &[CatalogueItem],
        near: bool,
        vocabulary: &Vocabulary,
        tokens: &[Vec<(u32, u32)>],
    ) -> Result<Features, TrainError> {
        let gazetteer = gazetteer(catalogue)?;
        let of = |(row, tokens): (&TaggerRow, &Vec<(u32, u32)>)| {
            let candidates = gazetteer.candidates(&row.row.text, &row.normalized, &row.units);
            let read = candidates.iter().filter(|c| near || !c.voice.is_near());
            let mut rows = fixed_rows(&row.row.text, &row.units, read, tokens);
            vocabulary.add_rows(&row.normalized.text, &row.units, &mut rows);
            rows
        };
        Ok(self.rows.par_iter().zip(tokens).map(of).collect())
    }
}

/// For each text and unit the rows of its features.
pub type Features = Vec<Vec<Vec<u32>>>;

/// A gazetteer over a catalogue and the shipped lexicon.
///
/// # Errors
/// The lexicon's or the automaton's.
pub fn gazetteer(catalogue: &[CatalogueItem]) -> Result<GazetteerTagger, TrainError> {
    let lexicon = Lexicon::shipped().map_err(|e| TrainError::Fit(e.to_string()))?;
    Ok(GazetteerTagger::new(Gazetteer::build(catalogue, &lexicon).map_err(|e| TrainError::Fit(e.to_string()))?))
}

impl TaggerRow {
    fn of(row: TaggedRow, types: &[String]) -> Self {
        let normalized = normalize(&row.text);
        let units = units(&normalized);
        let mut row = TaggerRow { row, normalized, units, tags: Vec::new() };
        row.tags = tags_of(&row.spans(types), row.units.len());
        row
    }

    /// The spans that begin and end at units, of the types that are learned.
    pub fn spans(&self, types: &[String]) -> Vec<Span> {
        let span = |e: &crate::corpus::TaggedSpan| {
            let kind = types.iter().position(|t| *t == e.kind)?;
            Some(Span { units: units_of(&self.units, e.start, e.end)?, kind })
        };
        self.row.entities.iter().filter_map(span).collect()
    }

    fn lost(&self, types: &[String]) -> usize {
        self.row.entities.len() - self.spans(types).len()
    }
}

/// A distinct name with its type.
pub type Name = (EntityType, String);

/// The distinct names that rows mark, in the order of the alphabet.
pub fn names<'a>(rows: impl Iterator<Item = &'a TaggerRow>) -> Vec<Name> {
    let names: BTreeSet<(&str, &str)> = rows.flat_map(|r| r.row.entities.iter().map(|e| (e.kind.as_str(), e.text.as_str()))).collect();
    names.into_iter().filter_map(|(k, text)| Some((EntityType::named(k)?, text.to_owned()))).collect()
}

/// A catalogue in which a share of the names stands, and `slips` of those with a slip; picked by the seed.
pub fn invented(names: &[Name], share: f64, slips: f64, seed: u64) -> Vec<CatalogueItem> {
    let mut order: Vec<&Name> = names.iter().collect();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    order.shuffle(&mut rng);
    order.truncate((names.len() as f64 * share).round() as usize);
    let mut slip = |name: &Name| if slips > 0.0 && rng.random_bool(slips) { with_slip(name, names, &mut rng) } else { name.clone() };
    order.into_iter().map(&mut slip).enumerate().map(|(number, name)| item(number, &name)).collect()
}

/// A name as somebody misspells it: another character with the same sound, or one letter more, less, or at another place. Names that a
/// slip would make another are as they were.
fn with_slip((kind, text): &Name, names: &[Name], rng: &mut ChaCha8Rng) -> Name {
    let mut chars: Vec<char> = text.chars().collect();
    let at = rng.random_range(0..chars.len().max(1));
    let letters = chars.iter().filter(|c| c.is_ascii_alphabetic()).count();
    match chars.get(at) {
        Some(&c) if is_han(c) && chars.len() >= 2 => {
            let sound = |c: char| c.to_pinyin().map(|p| p.plain());
            let all = names.iter().flat_map(|n| n.1.chars());
            let alike: BTreeSet<char> = all.filter(|o| is_han(*o) && *o != c && sound(*o) == sound(c)).collect();
            match alike.iter().nth(rng.random_range(0..alike.len().max(1))) {
                Some(other) => chars[at] = *other,
                None if chars.len() >= 4 => drop(chars.remove(at)),
                None => {}
            }
        }
        Some(c) if c.is_ascii_alphabetic() && letters >= 5 => match rng.random_range(0..3) {
            0 if chars.get(at + 1).is_some_and(|n| n.is_ascii_alphabetic() && n != c) => chars.swap(at, at + 1),
            1 => drop(chars.remove(at)),
            _ => chars.insert(at, *c),
        },
        _ => {}
    }
    (*kind, chars.into_iter().collect())
}

fn item(number: usize, (kind, text): &Name) -> CatalogueItem {
    let mut item = CatalogueItem { sku: format!("N{number}"), title: text.clone(), ..CatalogueItem::default() };
    match kind {
        EntityType::Brand => item.brand = text.clone(),
        EntityType::Product => item.product = text.clone(),
        kind => drop(item.attributes.insert(kind.as_str().to_lowercase(), text.clone())),
    }
    item
}
