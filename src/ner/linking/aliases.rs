//! English names of attribute values, learned from the catalogue itself.

use std::collections::{BTreeSet, HashMap};

use rustc_hash::FxHashMap;

use super::Kind;
use super::catalogue::{COMMON, Facts};
use crate::domain::{CatalogueItem, EntityType};
use crate::text::normalize;

/// English names of attribute values, learned from the catalogue itself: the part of the English title that comes and goes with
/// the value. `dusty rose` stands in just the titles of 豆沙色.
pub(super) fn aliases(rows: &[&CatalogueItem], of_items: &[Vec<u32>], facts: &Facts) -> Vec<(u32, String)> {
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
