//! Who can be meant, before anything is compared: entries of the named product, of a named model, flavour, material or brand, or those
//! whose titles are nearest.

use std::collections::{BTreeSet, HashMap};

use super::Kind;
use super::catalogue::Index;
use super::compare::Grade;
use super::polarity::Stance;
use super::reading::{Named, ProductMention, Reading};
use super::wants::{Want, wants};
use super::words::Words;

/// Entries of one product that the message may speak of.
pub(super) struct Group {
    pub items: Vec<u32>,
    /// Where in the text it is named.
    pub places: Vec<usize>,
}

/// Who can be meant before anything is compared.
pub(super) struct Pools {
    pub groups: Vec<Group>,
    /// Whether what is named is sold at all.
    pub sold: bool,
    /// Whether a product's name was found as it is written.
    pub exact: bool,
}

pub(super) fn pools(reading: &Reading, index: &Index) -> Pools {
    let meant: Vec<&ProductMention> = reading.products.iter().filter(|p| p.stance != Stance::Rejected).collect();
    let mut sold: Vec<(&ProductMention, Vec<u32>)> =
        meant.iter().map(|p| (*p, index.of_product(&p.name))).filter(|(_, items)| !items.is_empty()).collect();
    // A name that is meant and not in passing, and spelt right, goes before the others.
    if sold.iter().any(|(p, _)| !p.scenery) {
        sold.retain(|(p, _)| !p.scenery);
    }
    if sold.iter().any(|(p, _)| !p.misspelt && p.name.chars().count() > 1) {
        sold.retain(|(p, _)| !p.misspelt);
    }
    let exact = sold.iter().any(|(p, _)| !p.misspelt);
    // Only named in passing, so that something else is meant, which nobody here knows.
    let passing = sold.iter().all(|(p, _)| p.passing);
    // The head first: what stands before it either narrows it or only describes it.
    sold.sort_by_key(|(p, _)| p.modifier);
    let mut groups: Vec<Group> = Vec::new();
    for (product, items) in sold {
        match groups.iter().position(|group| intersects(&group.items, &items)) {
            Some(at) => {
                let group = &mut groups[at];
                group.items.retain(|i| items.binary_search(i).is_ok());
                group.places.push(product.range.start);
            }
            None if product.modifier && !groups.is_empty() => {}
            None => groups.push(Group { items, places: vec![product.range.start] }),
        }
    }
    let rejected = reading.products.iter().filter(|p| p.stance == Stance::Rejected);
    let rejected: BTreeSet<u32> = rejected.flat_map(|p| index.of_product(&p.name)).collect();
    let allowed = |items: &mut Vec<u32>| items.retain(|i| !rejected.contains(i));
    for group in &mut groups {
        let mut kept = group.items.clone();
        allowed(&mut kept);
        if !kept.is_empty() {
            group.items = kept;
        }
    }
    if !groups.is_empty() {
        return Pools { groups, sold: reading.maker.is_none() && !passing, exact };
    }
    let parts = &Words::shipped().parts;
    let unsold = meant.iter().any(|p| !p.scenery && !p.misspelt && !parts.contains(&p.name)) || reading.maker.is_some();
    let wants = wants(reading.values.iter());
    let mut items = by_values(index, &wants).filter(|g| !g.is_empty()).unwrap_or_else(|| by_titles(reading, index));
    allowed(&mut items);
    let groups = if items.is_empty() { vec![] } else { vec![Group { items, places: vec![] }] };
    Pools { groups, sold: !unsold, exact: false }
}

fn intersects(a: &[u32], b: &[u32]) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    short.iter().any(|i| long.binary_search(i).is_ok())
}

/// Entries of a named model, else of a flavour, a material or a brand; `None` where none of these is named.
fn by_values(index: &Index, wants: &[Want]) -> Option<Vec<u32>> {
    let of = |kind: Kind| {
        let named: Vec<&Named> = wants.iter().filter(|w| w.kind == kind).flat_map(|w| w.any.iter().map(|m| &m.value)).collect();
        if named.is_empty() {
            return Vec::new();
        }
        let says = |at: &usize| {
            let fact = &index.facts[*at];
            let item = index.by_fact[*at].first().map(|&i| &index.items[i as usize]);
            fact.kind == kind && item.is_some_and(|item| named.iter().any(|n| index.grade(item, kind, n, true) >= Grade::Family))
        };
        let mut items: Vec<u32> = (0..index.facts.len()).filter(says).flat_map(|at| index.by_fact[at].iter().copied()).collect();
        items.sort_unstable();
        items.dedup();
        // Who names a model means it, and not what fits it.
        if items.iter().any(|&i| !index.items[i as usize].accessory) {
            items.retain(|&i| !index.items[i as usize].accessory);
        }
        items
    };
    for kind in [Kind::Model, Kind::Flavor, Kind::Material, Kind::Brand] {
        let items = of(kind);
        if !items.is_empty() {
            return Some(items);
        }
    }
    None
}

/// Entries whose titles are nearest, by shared words and pairs of characters (inverse document frequency).
fn by_titles(reading: &Reading, index: &Index) -> Vec<u32> {
    /// Postings longer than this say nothing and cost time.
    const COMMON: usize = 20_000;
    let all = index.items.len().max(1) as f64;
    let mut scores: HashMap<u32, (f64, u32)> = HashMap::new();
    for &gram in &reading.grams {
        let items = index.with_gram(gram);
        if items.len() > COMMON {
            continue;
        }
        let weight = (all / items.len().max(1) as f64).ln().max(0.1);
        for &item in items {
            let score = scores.entry(item).or_default();
            score.0 += weight;
            score.1 += 1;
        }
    }
    let Some(top) = scores.values().map(|s| s.0).max_by(f64::total_cmp) else { return Vec::new() };
    // One shared pair is chance.
    let mut items: Vec<u32> = scores.into_iter().filter(|(_, (score, grams))| *grams >= 2 && *score >= 0.99 * top).map(|s| s.0).collect();
    items.sort_unstable();
    items
}

impl Index {
    /// Entries of a product's canonical name: its own and those that it is a wider name of; sorted.
    pub(super) fn of_product(&self, name: &str) -> Vec<u32> {
        let words = Words::shipped();
        let mut items: Vec<u32> = Vec::new();
        let mut add = |map: &HashMap<String, Vec<u32>>, name: &str| items.extend(map.get(name).into_iter().flatten());
        add(&self.by_name, name);
        add(&self.by_ending, name);
        for covered in words.wider.get(name).into_iter().flatten() {
            add(&self.by_name, covered);
        }
        if items.is_empty() {
            // 床品四件套 is a 四件套: the whole name of what is sold ends the longer one.
            let ends = crate::ner::lexicon::endings(name).skip(1).filter(|e| e.chars().count() > 1);
            if let Some(found) = ends.map(|e| words.canonical(e)).find_map(|e| self.by_name.get(&e)) {
                items.extend(found);
            }
        }
        items.sort_unstable();
        items.dedup();
        items
    }
}
