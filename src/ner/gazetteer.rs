//! All names at once: the shop's catalogue over the general lexicon, found in one pass whatever their number.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::learned::units::Unit;
use super::lexicon::{Lexicon, Sense, plural, singular};
use super::near::NearNames;
use super::patterns::{canonical_size, canonical_specs, end_with_time};
use super::{Candidate, NerError, Source, Span, stands_alone};
use crate::domain::{CatalogueItem, EntityType};
use crate::text::{Normalized, is_han, normalize};

/// Names and what they name. Immutable: a changed catalogue is a new gazetteer, swapped in by the owner.
#[derive(Debug, Clone)]
pub struct Gazetteer {
    automaton: AhoCorasick,
    /// One a pattern of the automaton.
    entries: Vec<Entry>,
    near: NearNames,
}

#[derive(Debug, Clone)]
struct Entry {
    sense: Sense,
    source: Source,
}

impl Gazetteer {
    /// Builds from a catalogue; time and memory go with the distinct names, not with the items. Empty and unusable names
    /// (a single character, digits alone) are skipped.
    ///
    /// # Errors
    /// When the names are too many for one automaton (billions of characters).
    pub fn build(items: &[CatalogueItem], lexicon: &Lexicon) -> Result<Self, NerError> {
        let mut entries: HashMap<String, Entry> = lexicon
            .terms()
            .map(|(term, sense)| {
                let source = if sense.kind.is_none() { Source::Shield } else { Source::Lexicon };
                (term.to_owned(), Entry { sense: sense.clone(), source })
            })
            .collect();
        let named = catalogue_terms(items, lexicon);
        let near = NearNames::build(named.iter().filter_map(|(term, sense)| Some((sense.kind?, term.as_str()))));
        for (term, sense) in named {
            match entries.get_mut(&term) {
                Some(entry) if entry.source == Source::Shield => {}
                // Two kinds from the catalogue: the first of the types has it, whatever the order of the items.
                Some(entry) if entry.source == Source::Catalogue && entry.sense.kind <= sense.kind => {}
                Some(entry) => *entry = Entry { sense: Sense { head: entry.sense.head, ..sense }, source: Source::Catalogue },
                None => {
                    entries.insert(term, Entry { sense, source: Source::Catalogue });
                }
            }
        }
        let (terms, entries): (Vec<String>, Vec<Entry>) = entries.into_iter().unzip();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&terms)
            .map_err(|e| NerError::TooManyTerms(e.to_string()))?;
        Ok(Gazetteer { automaton, entries, near })
    }

    /// Number of distinct terms.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds what is near a name, after what is one.
    pub(super) fn near(&self, normalized: &Normalized, units: &[Unit], candidates: &mut Vec<Candidate>) {
        self.near.find(normalized, units, candidates);
    }

    /// Adds every name of a normalised text, overlapping ones too: which of them stay is for the merge.
    pub(super) fn find(&self, text: &str, spans: &mut Vec<Span>) {
        for m in self.automaton.find_overlapping_iter(text) {
            let Entry { sense, source } = &self.entries[m.pattern()];
            let mut range: Range<usize> = m.range();
            if !stands_alone(text, range.clone()) {
                continue;
            }
            if sense.kind == Some(EntityType::Date) {
                range.end = end_with_time(text, range.end);
            }
            spans.push(Span { range, kind: sense.kind, source: *source, value: sense.value.clone(), head: sense.head });
        }
    }
}

/// The head noun of an item in Chinese: its product, or the last part of its category.
pub(super) fn head_noun(item: &CatalogueItem) -> &str {
    if item.product.is_empty() { item.category.rsplit('/').next().unwrap_or_default() } else { &item.product }
}

/// The parts of an attribute that names several things (`黑色/白色`).
pub(super) fn parts(raw: &str) -> impl Iterator<Item = &str> {
    raw.split(['/', '、', ',', '，', ';', '；', '|']).map(str::trim).filter(|part| !part.is_empty())
}

/// Every distinct name of the catalogue, normalised, in all the spellings that are looked for.
fn catalogue_terms(items: &[CatalogueItem], lexicon: &Lexicon) -> Vec<(String, Sense)> {
    let mut seen: HashSet<(EntityType, &str)> = HashSet::new();
    let mut terms = Vec::new();
    for item in items {
        let attributes = item.attributes.iter().filter_map(|(key, raw)| Some((attribute_kind(key)?, raw.as_str())));
        let names = [
            (EntityType::Brand, item.brand.as_str()),
            (EntityType::Brand, item.brand_en.as_str()),
            (EntityType::Product, head_noun(item)),
            (EntityType::Product, item.product_en.as_str()),
        ];
        for (kind, raw) in names.into_iter().chain(attributes) {
            if !seen.insert((kind, raw)) {
                continue;
            }
            for part in parts(raw) {
                add_term(&mut terms, kind, part, item, lexicon);
            }
        }
    }
    terms
}

pub(super) fn attribute_kind(key: &str) -> Option<EntityType> {
    match key {
        "color" => Some(EntityType::Color),
        "size" => Some(EntityType::Size),
        "flavor" => Some(EntityType::Flavor),
        "material" => Some(EntityType::Material),
        "spec" => Some(EntityType::Spec),
        "model" => Some(EntityType::Model),
        _ => None,
    }
}

fn add_term(terms: &mut Vec<(String, Sense)>, kind: EntityType, raw: &str, item: &CatalogueItem, lexicon: &Lexicon) {
    let term = normalize(raw).text;
    if !is_usable(kind, &term) {
        return;
    }
    let value = match kind {
        EntityType::Brand if item.brand.is_empty() => Some(item.brand_en.clone()),
        EntityType::Brand => Some(item.brand.clone()),
        EntityType::Color | EntityType::Size | EntityType::Flavor | EntityType::Material => lexicon.family(kind, &term).map(str::to_owned),
        EntityType::Spec => canonical_specs(raw).into_iter().next(),
        _ => None,
    };
    let mut push = |term: String| terms.push((term, Sense::of(kind, value.clone())));
    let latin = !term.contains(is_han);
    if latin && kind == EntityType::Product {
        push(plural(&term).unwrap_or_else(|| term.clone()));
        // `running shoe` is no other thing than `running shoes`; `short` is none at all.
        if term.contains([' ', '-']) {
            push(singular(&term));
        }
    }
    if latin && kind == EntityType::Model && term.contains([' ', '-']) {
        push(term.replace([' ', '-'], ""));
        push(term.replace('-', " "));
    }
    push(term);
}

/// What cannot be looked for in a message: what the patterns read better, and what is found everywhere.
fn is_usable(kind: EntityType, term: &str) -> bool {
    let chars = term.chars().count();
    let digits = term.chars().filter(char::is_ascii_digit).count();
    match kind {
        _ if chars < 2 || digits == chars => false,
        EntityType::Size => canonical_size(term).is_none() && (chars > 3 || term.contains(is_han)),
        // `2人`, `4层`: as often something else.
        EntityType::Spec => chars > 2 || digits == 0,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(json: &str) -> CatalogueItem {
        serde_json::from_str(json).unwrap()
    }

    fn kinds(items: &[CatalogueItem], text: &str) -> Vec<(String, Option<EntityType>)> {
        let gazetteer = Gazetteer::build(items, &Lexicon::parse(EMPTY).unwrap()).unwrap();
        let mut spans = Vec::new();
        gazetteer.find(text, &mut spans);
        spans.sort_by_key(|s| (s.range.start, s.range.end));
        spans.into_iter().map(|s| (text[s.range].to_owned(), s.kind)).collect()
    }

    const EMPTY: &str = "shield = ['红包']\nhead = []\nproduct = {}\ncolor = {}\ncolor_base = {}\nmaterial = {}\nflavor = {}\nflavor_word = {}\nsize = {}\ndate = {}";

    #[test]
    fn names_of_the_catalogue_are_found_alone_only() {
        let items = [item(
            r#"{"sku":"1","title":"t","brand":"云朵家","brand_en":"Veloz","product":"跑鞋","product_en":"running shoes","attributes":{"model":"Air 2"}}"#,
        )];
        use EntityType::*;
        let name = |text: &str, kind| (text.to_owned(), Some(kind));
        assert_eq!(kinds(&items, "云朵家的跑鞋"), [name("云朵家", Brand), name("跑鞋", Product)]);
        assert_eq!(kinds(&items, "my veloz running shoe"), [name("veloz", Brand), name("running shoe", Product)]);
        assert_eq!(kinds(&items, "velozity air 20 air2 chair 2"), [name("air2", Model)]);
    }

    #[test]
    fn broken_rows_are_skipped_and_shields_hold() {
        let items = [
            item(r#"{"sku":"","title":"","product":"包","attributes":{"size":"M","spec":"2人","color":"黑色/白色","model":"12"}}"#),
            item(r#"{"sku":"2","title":"","category":"服饰/红包"}"#),
        ];
        let color = |text: &str| (text.to_owned(), Some(EntityType::Color));
        assert_eq!(kinds(&items, "红包m 2人 黑色12白色包"), [("红包".to_owned(), None), color("黑色"), color("白色")]);
    }

    #[test]
    fn the_last_part_of_the_category_stands_in_for_the_product() {
        let items = [item(r#"{"sku":"1","title":"t","category":"户外/帐篷"}"#)];
        assert_eq!(kinds(&items, "帐篷"), [("帐篷".to_owned(), Some(EntityType::Product))]);
    }
}
