//! The catalogue prepared for linking: facts, names, and an index of the words of its titles.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use rustc_hash::FxHashMap;

use super::Kind;
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

/// Hashed pairs of Chinese characters and Latin words of a normalised text.
pub(crate) fn grams(text: &str) -> BTreeSet<u64> {
    use std::hash::{Hash, Hasher};
    let hash = |piece: &dyn Fn(&mut rustc_hash::FxHasher)| {
        let mut hasher = rustc_hash::FxHasher::default();
        piece(&mut hasher);
        hasher.finish()
    };
    let mut out = BTreeSet::new();
    let mut before: Option<char> = None;
    for c in text.chars() {
        if let (Some(a), true) = (before, is_han(c)) {
            out.insert(hash(&|h| (a, c).hash(h)));
        }
        before = is_han(c).then_some(c);
    }
    for (_, word) in latin_words(text).filter(|(_, w)| w.len() > 2 && !COMMON.contains(w) && !w.bytes().all(|b| b.is_ascii_digit())) {
        let one = singular(word);
        out.insert(hash(&|h| one.as_str().hash(h)));
    }
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

/// What the head nouns of an item are, each with whether it is a whole name.
fn names(item: &CatalogueItem, words: &Words) -> Vec<String> {
    let mut names: Vec<String> = [item.product.as_str(), item.product_en.as_str()]
        .into_iter()
        .chain(item.category.split('/'))
        .flat_map(parts)
        .map(|raw| words.canonical(&normalize(raw).text))
        .filter(|n| !n.is_empty())
        .collect();
    names.dedup();
    names
}

struct Facts<'a> {
    words: &'a Words,
    lexicon: &'a Lexicon,
    facts: Vec<Fact>,
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
        for (at, item) in rows.iter().enumerate() {
            let titles = [normalize(&item.title).text, normalize(&item.title_en).text];
            let mut of_item = std::mem::take(&mut of_items[at]);
            if item.attributes.is_empty() {
                of_item.extend(title_facts(&titles[0], &index.vocabulary, &mut facts));
            }
            let mut named = names(item, words);
            // Titles say more than the head noun: 冬被, teddy bear.
            for title in &titles {
                // What it comes with or is for is not what it is.
                let end = [" with ", " for ", "适用", "自带", "赠", "送"].iter().filter_map(|w| title.find(w)).min().unwrap_or(title.len());
                let hits = index.vocabulary.find(&title[..end]);
                named.extend(hits.iter().flat_map(|h| index.vocabulary.senses(h)).filter_map(|s| match s {
                    Sense::Product(name) => Some(name.clone()),
                    _ => None,
                }));
            }
            named.sort();
            named.dedup();
            let head = words.canonical(&normalize(head_noun(item)).text);
            let head = if head.is_empty() { named.first().cloned().unwrap_or_default() } else { head };
            of_item.push(facts.of(Kind::Product, &[head.as_str()]));
            index.post(at as u32, &named, &titles);
            let line = (normalize(if item.brand.is_empty() { &item.brand_en } else { &item.brand }).text, head);
            let next = lines.len() as u32;
            let line = *lines.entry(line).or_insert(next);
            if line as usize == index.lines.len() {
                index.lines.push(Vec::new());
            }
            index.lines[line as usize].push(at as u32);
            index.by_sku.insert(item.sku.clone(), at as u32);
            index.items.push(Item {
                sku: item.sku.as_str().into(),
                title: item.title.as_str().into(),
                line,
                quantities: title_quantities(&titles, &of_item, &facts.facts),
                contrasts: contrasts(&titles, words),
                facts: of_item.into(),
            });
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

    fn post(&mut self, at: u32, named: &[String], titles: &[String; 2]) {
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
        for gram in titles.iter().flat_map(|t| grams(t)).collect::<BTreeSet<u64>>() {
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
fn title_quantities(titles: &[String; 2], of_item: &[u32], facts: &[Fact]) -> Box<[Quantity]> {
    let held: Vec<Quantity> = of_item.iter().flat_map(|&f| facts[f as usize].quantities.iter().copied()).collect();
    let mut out: Vec<Quantity> = titles.iter().flat_map(|t| measured(t)).filter(|q| !held.contains(q)).collect();
    out.sort();
    out.dedup();
    out.into()
}

/// The value of each contrast that titles name; of two the first, unless the other is named too.
fn contrasts(titles: &[String; 2], words: &Words) -> Box<[(u8, u8)]> {
    let says = |word: &String| titles.iter().any(|t| super::reading::word_in(t, word).is_some());
    let alone = |word: &String| titles.iter().any(|t| t.split(' ').any(|w| w == word));
    let mut out = Vec::new();
    for (at, contrast) in words.contrasts.iter().enumerate() {
        let named = |v: &usize| contrast.values[*v].iter().any(says) || contrast.in_titles[*v].iter().any(alone);
        let values: Vec<usize> = (0..contrast.values.len()).filter(named).collect();
        if let [one] = values[..] {
            out.push((at as u8, one as u8));
        }
    }
    out.into()
}

/// English names of attribute values, learned from the catalogue itself: the part of the English title that comes and goes with
/// the value. `dusty rose` stands in just the titles of 豆沙色.
fn aliases(rows: &[&CatalogueItem], of_items: &[Vec<u32>], facts: &Facts) -> Vec<(u32, String)> {
    /// Of the overlap (Jaccard index) of the items with the part and those with the value.
    const ENOUGH: f64 = 0.3;
    let mut ids: HashMap<String, u32> = HashMap::new();
    let mut count: Vec<u32> = Vec::new();
    let (mut pairs, mut of_fact): (FxHashMap<(u32, u32), u32>, FxHashMap<u32, u32>) = Default::default();
    let mut segments: Vec<Vec<(u32, bool)>> = Vec::with_capacity(rows.len());
    let kinds = |f: u32| matches!(facts.facts[f as usize].kind, Kind::Color | Kind::Flavor | Kind::Material | Kind::Model | Kind::Spec);
    for (item, of_item) in rows.iter().zip(of_items) {
        let title = normalize(&item.title_en).text;
        let own = normalize(&format!("{} {}", item.product_en, item.brand_en)).text;
        let mut parts = title.split(',').map(str::trim);
        let head = parts.next().unwrap_or_default();
        let words = head.split(' ').filter(|w| w.len() > 3 && !own.contains(*w) && !COMMON.contains(w)).map(|w| (w, true));
        let mut seen: Vec<(u32, bool)> = Vec::new();
        for (part, word) in parts
            .map(|p| (p, false))
            .chain(words)
            .filter(|(p, _)| !p.is_empty() && !p.contains(|c: char| c.is_ascii_digit()) && p.len() > 1)
        {
            let next = ids.len() as u32;
            let id = *ids.entry(part.to_owned()).or_insert(next);
            if id as usize == count.len() {
                count.push(0);
            }
            count[id as usize] += 1;
            seen.push((id, word));
        }
        for &fact in of_item.iter().filter(|f| kinds(**f)) {
            *of_fact.entry(fact).or_default() += 1;
            for &(id, _) in &seen {
                *pairs.entry((id, fact)).or_default() += 1;
            }
        }
        segments.push(seen);
    }
    let mut names: Vec<&String> = vec![&EMPTY; ids.len()];
    for (name, &id) in &ids {
        names[id as usize] = name;
    }
    let mut out: BTreeSet<(u32, String)> = BTreeSet::new();
    for (of_item, seen) in of_items.iter().zip(&segments) {
        let mut scored: Vec<(f64, u32, u32, bool)> = Vec::new();
        for &(id, word) in seen {
            for &fact in of_item.iter().filter(|f| kinds(**f)) {
                let both = f64::from(pairs[&(id, fact)]);
                let overlap = both / (f64::from(count[id as usize]) + f64::from(of_fact[&fact]) - both);
                let known = &facts.facts[fact as usize];
                let family = known.kind.entity().and_then(|kind| facts.lexicon.family(kind, names[id as usize]));
                let agrees = family.is_some_and(|f| known.families.iter().any(|k| k == f));
                // A word of the head stands for a model only, and only where nothing else can be meant.
                let fits = !word || (known.kind == Kind::Model && overlap > 0.99 && is_name(names[id as usize], facts));
                if fits {
                    scored.push((overlap + if agrees { 1.0 } else { 0.0 }, id, fact, word));
                }
            }
        }
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let (mut used_ids, mut used_facts) = (Vec::new(), Vec::new());
        for (score, id, fact, word) in scored {
            if score < ENOUGH || used_ids.contains(&id) || (!word && used_facts.contains(&fact)) {
                continue;
            }
            used_ids.push(id);
            used_facts.push(fact);
            out.insert((fact, names[id as usize].clone()));
        }
    }
    out.into_iter().collect()
}

static EMPTY: String = String::new();

/// Whether a word of a title can be a proper name: the general vocabulary does not have it.
fn is_name(word: &str, facts: &Facts) -> bool {
    let kinds = [EntityType::Color, EntityType::Material, EntityType::Flavor];
    !word.contains('-')
        && kinds.iter().all(|&k| facts.lexicon.family(k, word).is_none())
        && !facts.words.contrasts.iter().flat_map(|c| c.values.iter().flatten()).any(|w| w == word)
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
