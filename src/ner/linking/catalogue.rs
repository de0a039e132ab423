//! The catalogue prepared for linking: facts, names, and an index of the words of its titles.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::Kind;
use super::aliases::aliases;
use super::terms::{Collector, Sense, Vocabulary, latin_words};
use super::values::{Quantity, Size, quantities};
use super::words::Words;
use crate::domain::{CatalogueItem, EntityType};
use crate::ner::NerError;
use crate::ner::gazetteer::{head_noun, parts};
use crate::ner::lexicon::{Lexicon, endings, singular};
use crate::ner::patterns::canonical_size;
use crate::text::{is_han, normalize};

/// What an item says under one kind. Equal facts of two items are one.
#[derive(Debug, Clone)]
pub(crate) struct Fact {
    pub kind: Kind,
    /// As the catalogue writes it, for people.
    pub shown: String,
    /// Normalised, in all known languages.
    pub terms: Vec<String>,
    pub rows: Vec<u32>,
    pub families: Vec<String>,
    pub quantities: Vec<Quantity>,
    pub size: Option<Size>,
}

#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub sku: Box<str>,
    pub title: Box<str>,
    /// Items of one brand and product: variants of one another.
    pub line: u32,
    pub facts: Box<[u32]>,
    /// Amounts of the title that no attribute holds.
    pub quantities: Box<[Quantity]>,
    /// Value of each contrast that its titles name.
    pub contrasts: Box<[(u8, u8)]>,
    /// Whether its model is that of something else, which it fits: ear tips for Air 2 Pro.
    pub accessory: bool,
}

/// A catalogue under search. Immutable.
pub(crate) struct Index {
    pub items: Vec<Item>,
    pub facts: Vec<Fact>,
    /// Items by fact.
    pub by_fact: Vec<Vec<u32>>,
    /// Items by a product's whole name, and by the wider names that end it.
    pub by_name: HashMap<String, Vec<u32>>,
    pub by_ending: HashMap<String, Vec<u32>>,
    pub by_sku: HashMap<String, u32>,
    pub lines: Vec<Vec<u32>>,
    /// Items by hashed word or pair of Chinese characters of their titles.
    grams: FxHashMap<u64, Vec<u32>>,
    pub vocabulary: Vocabulary,
    pub lexicon: Lexicon,
}

/// Hashed pairs of Chinese characters and Latin words of a normalised text, sorted, each once.
pub(crate) fn grams(text: &str) -> Vec<u64> {
    use std::hash::{Hash, Hasher};
    let hash = |piece: &dyn Fn(&mut rustc_hash::FxHasher)| {
        let mut hasher = rustc_hash::FxHasher::default();
        piece(&mut hasher);
        hasher.finish()
    };
    let mut out = Vec::new();
    let mut before: Option<char> = None;
    for c in text.chars() {
        if let (Some(a), true) = (before, is_han(c)) {
            out.push(hash(&|h| (a, c).hash(h)));
        }
        before = is_han(c).then_some(c);
    }
    for (_, word) in latin_words(text).filter(|(_, w)| w.len() > 2 && !COMMON.contains(w) && !w.bytes().all(|b| b.is_ascii_digit())) {
        let one = singular(word);
        out.push(hash(&|h| one.as_str().hash(h)));
    }
    out.sort_unstable();
    out.dedup();
    out
}

/// English words that say nothing of a thing.
pub(super) const COMMON: &[&str] = &[
    "pair", "pairs", "box", "bag", "bags", "case", "bottle", "would", "could", "there", "their", "about", "again", "after", "before",
    "which", "these", "those", "other", "where", "while", "never", "always", "order", "ordered", "received", "please", "return", "refund",
    "broken", "problem", "price", "stock", "again", "help", "need", "want", "much", "many", "been", "just", "like", "only", "than", "then",
    "they", "them", "colour", "color", "version", "model", "type", "kind", "link", "the", "and", "for", "with", "one", "you", "your",
    "not", "but", "size", "have", "has", "had", "was", "are", "this", "that", "from", "set", "pack", "can", "will", "how", "what", "when",
    "where", "did", "does", "get", "got", "out", "all", "any", "new", "old", "its", "too", "off", "still", "after", "way", "piece",
    "pieces", "persons", "women", "men", "adult", "large", "small", "down", "over", "long", "short", "light", "time", "day", "days",
    "daily", "smart", "high", "low", "hot", "rich", "true", "original",
];

/// Canonical names of products by what the catalogue writes; exports repeat themselves.
#[derive(Default)]
struct Names<'a>(HashMap<&'a str, Vec<String>>);

impl<'a> Names<'a> {
    fn of(&mut self, raw: &'a str, words: &Words) -> &[String] {
        self.0.entry(raw).or_insert_with(|| parts(raw).map(|p| words.canonical(&normalize(p).text)).filter(|n| !n.is_empty()).collect())
    }
}

/// What the titles of an item say.
struct Told {
    titles: [String; 2],
    products: Vec<String>,
    quantities: Vec<Quantity>,
    contrasts: Box<[(u8, u8)]>,
    accessory: bool,
    grams: Vec<u64>,
}

impl Told {
    fn by(item: &CatalogueItem, vocabulary: &Vocabulary, words: &Words) -> Told {
        let titles = [normalize(&item.title).text, normalize(&item.title_en).text];
        let mut products = Vec::new();
        for title in &titles {
            // What it comes with or is for is not what it is.
            let end = [" with ", " for ", "适用", "自带", "赠", "送"].iter().filter_map(|w| title.find(w)).min().unwrap_or(title.len());
            for sense in vocabulary.find(&title[..end]).iter().flat_map(|h| vocabulary.senses(h)) {
                if let Sense::Product(name) = sense {
                    products.push(name.clone());
                }
            }
        }
        let mut grams: Vec<u64> = titles.iter().flat_map(|t| grams(t)).collect();
        grams.sort_unstable();
        grams.dedup();
        Told {
            products,
            quantities: titles.iter().flat_map(|t| measured(t)).collect(),
            contrasts: contrasts(&titles, words),
            accessory: is_accessory(item, &titles),
            grams,
            titles,
        }
    }
}

pub(super) struct Facts<'a> {
    pub words: &'a Words,
    pub lexicon: &'a Lexicon,
    pub facts: Vec<Fact>,
    known: HashMap<(Kind, String), u32>,
}

impl Facts<'_> {
    fn of(&mut self, kind: Kind, raw: &[&str]) -> u32 {
        let key = (kind, raw.join("\u{1}"));
        if let Some(&at) = self.known.get(&key) {
            return at;
        }
        let mut fact =
            Fact { kind, shown: raw[0].to_owned(), terms: vec![], rows: vec![], families: vec![], quantities: vec![], size: None };
        for part in raw.iter().flat_map(|raw| if kind == Kind::Spec { vec![*raw] } else { parts(raw).collect() }) {
            let term = normalize(part).text;
            match kind {
                Kind::Spec => fact.quantities.extend(measured(&term)),
                Kind::Size => {
                    let canonical = canonical_size(&term).or_else(|| self.words.size_words.get(&term).cloned());
                    fact.size =
                        canonical.or_else(|| self.lexicon.family(EntityType::Size, &term).map(str::to_owned)).map(|c| Size::read(&c));
                }
                _ => {}
            }
            self.put(&mut fact, term);
        }
        self.facts.push(fact);
        let at = (self.facts.len() - 1) as u32;
        self.known.insert(key, at);
        at
    }

    fn put(&self, fact: &mut Fact, term: String) {
        let spelt = if fact.kind == Kind::Model { term.replace([' ', '-'], "") } else { term };
        if spelt.is_empty() || fact.terms.contains(&spelt) {
            return;
        }
        fact.rows.extend(self.words.rows(fact.kind, &spelt));
        if let Some(family) = fact.kind.entity().and_then(|kind| self.lexicon.family(kind, &spelt)) {
            fact.families.push(family.to_owned());
        }
        fact.terms.push(spelt);
    }
}

/// Amounts of a catalogue's text; `高枕` has none, and of `2-4人` all are meant.
fn measured(text: &str) -> Vec<Quantity> {
    quantities(text).0.into_iter().map(|f| f.quantity).collect()
}

/// Whether a title says of its model that this is what the item is for.
fn is_accessory(item: &CatalogueItem, [title, title_en]: &[String; 2]) -> bool {
    let Some(model) = item.attributes.get("model").map(|m| normalize(m).text).filter(|m| !m.is_empty()) else { return false };
    let behind = |at: usize| title[at + model.len()..].trim_start().starts_with(['适', '专']);
    title.match_indices(&model).any(|m| behind(m.0)) || title_en.contains(&format!(" for {model}"))
}

/// Items whose titles are read at once.
const PART: usize = 4096;

impl Index {
    /// From a catalogue, which may be empty or broken: items without a SKU or a title are skipped, of two with one SKU the last stays.
    pub(crate) fn build(catalogue: &[CatalogueItem], lexicon: &Lexicon, words: &Words) -> Result<Index, NerError> {
        let mut last: BTreeMap<&str, &CatalogueItem> = BTreeMap::new();
        for item in catalogue.iter().filter(|i| !i.sku.trim().is_empty() && !i.title.trim().is_empty()) {
            last.insert(&item.sku, item);
        }
        let rows: Vec<&CatalogueItem> = last.into_values().collect();
        let mut facts = Facts { words, lexicon, facts: Vec::new(), known: HashMap::new() };
        let mut of_items: Vec<Vec<u32>> = rows.iter().map(|item| attribute_facts(item, &mut facts)).collect();
        for (fact, alias) in aliases(&rows, &of_items, &facts) {
            let mut changed = facts.facts[fact as usize].clone();
            facts.put(&mut changed, alias);
            facts.facts[fact as usize] = changed;
        }
        let vocabulary = vocabulary(&rows, &of_items, &facts)?;

        let mut index = Index {
            items: Vec::with_capacity(rows.len()),
            facts: Vec::new(),
            by_fact: Vec::new(),
            by_name: HashMap::new(),
            by_ending: HashMap::new(),
            by_sku: HashMap::new(),
            lines: Vec::new(),
            grams: FxHashMap::default(),
            vocabulary,
            lexicon: lexicon.clone(),
        };
        let mut lines: HashMap<(String, String), u32> = HashMap::new();
        let mut names = Names::default();
        // In parts, so that what was read of a large catalogue is never held at once.
        for (part, items) in rows.chunks(PART).enumerate() {
            let told: Vec<Told> = items.par_iter().map(|item| Told::by(item, &index.vocabulary, words)).collect();
            for (within, (item, told)) in items.iter().zip(told).enumerate() {
                let at = part * PART + within;
                let mut of_item = std::mem::take(&mut of_items[at]);
                if item.attributes.is_empty() {
                    of_item.extend(title_facts(&told.titles[0], &index.vocabulary, &mut facts));
                }
                let mut named = told.products;
                for raw in [item.product.as_str(), item.product_en.as_str()].into_iter().chain(item.category.split('/')) {
                    named.extend_from_slice(names.of(raw, words));
                }
                named.sort();
                named.dedup();
                let head = names.of(head_noun(item), words).first().or(named.first()).cloned().unwrap_or_default();
                of_item.push(facts.of(Kind::Product, &[head.as_str()]));
                index.post(at as u32, &named, &told.grams);
                let brand = if item.brand.is_empty() { &item.brand_en } else { &item.brand };
                let next = lines.len() as u32;
                let line = *lines.entry((brand.trim().to_lowercase(), head)).or_insert(next);
                if line as usize == index.lines.len() {
                    index.lines.push(Vec::new());
                }
                index.lines[line as usize].push(at as u32);
                index.by_sku.insert(item.sku.clone(), at as u32);
                index.items.push(Item {
                    sku: item.sku.as_str().into(),
                    title: item.title.as_str().into(),
                    line,
                    quantities: not_held(told.quantities, &of_item, &facts.facts),
                    contrasts: told.contrasts,
                    accessory: told.accessory,
                    facts: of_item.into(),
                });
            }
        }
        index.facts = facts.facts;
        index.by_fact = vec![Vec::new(); index.facts.len()];
        for (at, item) in index.items.iter().enumerate() {
            for &fact in &item.facts {
                index.by_fact[fact as usize].push(at as u32);
            }
        }
        Ok(index)
    }

    fn post(&mut self, at: u32, named: &[String], grams: &[u64]) {
        let add = |map: &mut HashMap<String, Vec<u32>>, key: &str| {
            let items = match map.get_mut(key) {
                Some(items) => items,
                None => map.entry(key.to_owned()).or_default(),
            };
            if items.last() != Some(&at) {
                items.push(at);
            }
        };
        for name in named {
            add(&mut self.by_name, name);
            for ending in endings(name).skip(1) {
                add(&mut self.by_ending, ending);
            }
        }
        for &gram in grams {
            self.grams.entry(gram).or_default().push(at);
        }
    }

    /// Items that hold a gram.
    pub(crate) fn with_gram(&self, gram: u64) -> &[u32] {
        self.grams.get(&gram).map_or(&[], Vec::as_slice)
    }

    /// The first fact of a kind that an item has.
    pub(crate) fn fact_of(&self, item: u32, kind: Kind) -> Option<&Fact> {
        self.items[item as usize].facts.iter().map(|&f| &self.facts[f as usize]).find(|f| f.kind == kind)
    }
}

fn attribute_facts(item: &CatalogueItem, facts: &mut Facts) -> Vec<u32> {
    let mut out: Vec<u32> = item
        .attributes
        .iter()
        .filter(|(_, raw)| !raw.trim().is_empty())
        .filter_map(|(key, raw)| Some(facts.of(Kind::of_attribute(key)?, &[raw.as_str()])))
        .collect();
    let brands: Vec<&str> = [item.brand.as_str(), item.brand_en.as_str()].into_iter().filter(|b| !b.trim().is_empty()).collect();
    if !brands.is_empty() {
        out.push(facts.of(Kind::Brand, &brands));
    }
    out
}

/// Facts that a title tells where an export has no attributes.
fn title_facts(title: &str, vocabulary: &Vocabulary, facts: &mut Facts) -> Vec<u32> {
    let mut told: BTreeMap<Kind, Vec<String>> = BTreeMap::new();
    for hit in vocabulary.find(title) {
        for sense in vocabulary.senses(&hit) {
            if let Sense::Value(kind, term) = sense {
                told.entry(*kind).or_default().push(term.clone());
            }
        }
    }
    for word in title.split(' ') {
        told.extend(canonical_size(word).map(|_| (Kind::Size, vec![word.to_owned()])));
    }
    told.into_iter().map(|(kind, terms)| facts.of(kind, &terms.iter().map(String::as_str).collect::<Vec<_>>())).collect()
}

/// Amounts of the titles, without those that an attribute holds.
fn not_held(mut told: Vec<Quantity>, of_item: &[u32], facts: &[Fact]) -> Box<[Quantity]> {
    let held = |q: &Quantity| of_item.iter().any(|&f| facts[f as usize].quantities.contains(q));
    told.retain(|q| !held(q));
    told.sort();
    told.dedup();
    told.into()
}

/// The value of each contrast that titles name; of two the first, unless the other is named too.
fn contrasts(titles: &[String; 2], words: &Words) -> Box<[(u8, u8)]> {
    let named: BTreeSet<(u8, u8)> = titles.iter().flat_map(|t| words.sides_in(t)).map(|s| (s.0, s.1)).collect();
    let alone = |word: &String| titles.iter().any(|t| t.split(' ').any(|w| w == word));
    let mut out = Vec::new();
    for (at, contrast) in words.contrasts.iter().enumerate() {
        let says = |v: &usize| named.contains(&(at as u8, *v as u8)) || contrast.in_titles[*v].iter().any(alone);
        let values: Vec<usize> = (0..contrast.values.len()).filter(says).collect();
        if let [one] = values[..] {
            out.push((at as u8, one as u8));
        }
    }
    out.into()
}

/// Everything that the catalogue and the general words name.
fn vocabulary(rows: &[&CatalogueItem], of_items: &[Vec<u32>], facts: &Facts) -> Result<Vocabulary, NerError> {
    let mut collector = Collector::default();
    collector.add_general(facts.lexicon, facts.words);
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    for item in rows {
        for raw in [head_noun(item), item.product_en.as_str()].into_iter().filter(|raw| !raw.is_empty()) {
            if seen.insert(raw) {
                for term in parts(raw).map(|p| normalize(p).text) {
                    collector.add_fuzzy(&term, Sense::Product(facts.words.canonical(&term)));
                }
            }
        }
        for category in item.category.split('/') {
            let term = normalize(category).text;
            if term.chars().count() > 1 && seen.insert(category) {
                collector.add(&term, Sense::Product(facts.words.canonical(&term)));
            }
        }
    }
    let used: BTreeSet<u32> = of_items.iter().flatten().copied().collect();
    for fact in used.iter().map(|&f| &facts.facts[f as usize]) {
        for term in &fact.terms {
            match fact.kind {
                Kind::Brand => {
                    let brand = || Sense::Brand(fact.terms[0].clone());
                    collector.add_fuzzy(term, brand());
                    if let Some(sound) = facts.words.sound(term) {
                        collector.add_fuzzy(&sound, brand());
                    }
                }
                Kind::Size => {}
                Kind::Spec if fact.quantities.is_empty() => collector.add(term, Sense::Value(Kind::Spec, term.clone())),
                Kind::Spec => {}
                Kind::Model if term.chars().count() < 2 => {}
                Kind::Model => {
                    collector.add(term, Sense::Value(Kind::Model, term.clone()));
                    for part in parts(&fact.shown) {
                        collector.add(&normalize(part).text, Sense::Value(Kind::Model, term.clone()));
                    }
                    if let Some(stem) = term.strip_suffix(['款', '型', '版']).filter(|s| s.chars().count() > 1) {
                        collector.add(stem, Sense::Value(Kind::Model, term.clone()));
                    }
                }
                kind => {
                    collector.add(term, Sense::Value(kind, term.clone()));
                    let end = match kind {
                        Kind::Color => "色",
                        Kind::Flavor => "味",
                        _ => continue,
                    };
                    if let Some(stem) = term.strip_suffix(end).filter(|s| s.chars().count() > 1) {
                        collector.add(stem, Sense::Value(kind, term.clone()));
                    }
                }
            }
        }
    }
    collector.build()
}
