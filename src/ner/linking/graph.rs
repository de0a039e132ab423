//! What entries have to do with one another: variants, what fits what, what takes whose place.

use std::collections::HashMap;

use super::catalogue::Index;
use super::{Kind, Linker};
use crate::domain::{CatalogueItem, Relations, Variant};

/// Variants answered with.
const MOST: usize = 100;

/// Relations that entries state, both ways. Only entries that have any take room.
#[derive(Default)]
pub(super) struct Graph {
    compatible: HashMap<u32, Vec<u32>>,
    /// What is no SKU of the catalogue.
    words: HashMap<u32, Vec<String>>,
    replaces: HashMap<u32, u32>,
    replaced_by: HashMap<u32, Vec<u32>>,
}

impl Graph {
    pub(super) fn build(items: &[CatalogueItem], index: &Index) -> Graph {
        let mut graph = Graph::default();
        for item in items.iter().filter(|i| !i.compatible_with.is_empty() || i.replaces.is_some()) {
            let Some(&at) = index.by_sku.get(&item.sku) else { continue };
            for other in &item.compatible_with {
                match index.by_sku.get(other.trim()) {
                    Some(&other) if other != at => {
                        for (a, b) in [(at, other), (other, at)] {
                            let list = graph.compatible.entry(a).or_default();
                            if !list.contains(&b) {
                                list.push(b);
                            }
                        }
                    }
                    Some(_) => {}
                    None if other.trim().is_empty() => {}
                    None => graph.words.entry(at).or_default().push(other.trim().to_owned()),
                }
            }
            if let Some(&old) = item.replaces.as_deref().and_then(|sku| index.by_sku.get(sku)).filter(|&&old| old != at) {
                graph.replaces.insert(at, old);
                graph.replaced_by.entry(old).or_default().push(at);
            }
        }
        graph
    }
}

impl Linker {
    /// What an entry has to do with others; `None` for a SKU that the catalogue does not have.
    pub fn relations(&self, sku: &str) -> Option<Relations> {
        let &at = self.index.by_sku.get(sku)?;
        let all =
            |map: &HashMap<u32, Vec<u32>>| map.get(&at).map_or(Vec::new(), |items| items.iter().map(|&i| self.variant(at, i)).collect());
        let line = &self.index.lines[self.index.items[at as usize].line as usize];
        let mut variants: Vec<Variant> = line.iter().filter(|&&i| i != at).map(|&i| self.variant(at, i)).collect();
        variants.sort_by(|a, b| a.differs.len().cmp(&b.differs.len()).then_with(|| a.sku.cmp(&b.sku)));
        variants.truncate(MOST);
        Some(Relations {
            variants,
            compatible: all(&self.graph.compatible),
            compatible_with: self.graph.words.get(&at).cloned().unwrap_or_default(),
            replaces: self.graph.replaces.get(&at).map(|&i| self.variant(at, i)),
            replaced_by: all(&self.graph.replaced_by),
        })
    }

    fn variant(&self, of: u32, at: u32) -> Variant {
        let item = &self.index.items[at as usize];
        Variant {
            sku: item.sku.to_string(),
            title: item.title.to_string(),
            differs: self.index.differences(of, at).into_iter().map(|k| k.as_str().to_owned()).collect(),
        }
    }
}

impl Index {
    /// The kinds in which two entries differ.
    pub(super) fn differences(&self, a: u32, b: u32) -> Vec<Kind> {
        const KINDS: [Kind; 8] =
            [Kind::Product, Kind::Brand, Kind::Model, Kind::Color, Kind::Size, Kind::Flavor, Kind::Material, Kind::Spec];
        let shown = |at, kind| self.fact_of(at, kind).map(|f| f.shown.as_str());
        KINDS.into_iter().filter(|&kind| shown(a, kind) != shown(b, kind)).collect()
    }
}
