//! From the names in a message to catalogue entries: the first form, exact and cautious.
//!
//! An entry is a candidate when it carries a named product (or, where none is named, a named brand or model), and it falls
//! out when it contradicts anything that is named: who writes 粉色XL码羽绒服 never sees a black or an S one. Words that this
//! room does not understand count as contradictions too where entry and message differ.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::EntityTagger;
use super::gazetteer::{attribute_kind, head_noun, parts};
use super::lexicon::{Lexicon, endings, singular};
use super::patterns::{canonical_size, canonical_specs, dimension};
use crate::domain::{CatalogueItem, Entity, EntityType, Product};
use crate::text::normalize;

/// How many entries are answered with.
const TOP: usize = 3;

/// A catalogue prepared for [`match_products`]. Immutable; built once for each version of the catalogue.
#[derive(Debug, Clone)]
pub struct ProductIndex {
    items: Vec<Item>,
    /// Distinct attribute values; items hold positions in here.
    facts: Vec<Fact>,
    by_product: HashMap<String, Vec<u32>>,
    by_brand: HashMap<String, Vec<u32>>,
    by_model: HashMap<String, Vec<u32>>,
    lexicon: Lexicon,
}

#[derive(Debug, Clone)]
struct Item {
    sku: String,
    title: String,
    facts: Vec<u32>,
}

/// What an entry says under one kind, as canonical values.
#[derive(Debug, Clone)]
struct Fact {
    kind: EntityType,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Contradicts,
    /// Sizes of two systems, or measures of two dimensions: nothing follows.
    Silent,
    Carries,
}

impl ProductIndex {
    /// Items without a SKU or a title are skipped. Where an item has no attributes, or no product, its title is read by the
    /// tagger (best one of the same catalogue): exports of other systems often say everything there.
    pub fn build(items: &[CatalogueItem], lexicon: &Lexicon, tagger: &dyn EntityTagger) -> Self {
        let mut index = ProductIndex {
            items: Vec::with_capacity(items.len()),
            facts: Vec::new(),
            by_product: HashMap::new(),
            by_brand: HashMap::new(),
            by_model: HashMap::new(),
            lexicon: lexicon.clone(),
        };
        let mut known = HashMap::new();
        let mut read = HashMap::new();
        let mut products: HashMap<[&str; 3], Vec<u32>> = HashMap::new();
        for item in items.iter().filter(|item| !item.sku.is_empty() && !item.title.is_empty()) {
            let at = index.items.len() as u32;
            let names = [head_noun(item), &item.product_en, item.category.rsplit('/').next().unwrap_or_default()];
            let nameless = names.iter().all(|name| name.is_empty());
            products.entry(names).or_default().push(at);
            let mut facts = index.facts_of(item, &mut known);
            if item.attributes.is_empty() || nameless {
                let entities = tagger.tag(&item.title, &normalize(&item.title));
                facts.extend(index.facts_in(&entities, &mut read));
                for name in entities.iter().filter(|entity| nameless && entity.kind == EntityType::Product) {
                    for key in product_keys(&name.text) {
                        index.by_product.entry(key).or_default().push(at);
                    }
                }
            }
            index.items.push(Item { sku: item.sku.clone(), title: item.title.clone(), facts });
        }
        for (names, at) in products {
            let keys: BTreeSet<String> = names.iter().flat_map(|raw| product_keys(raw)).collect();
            for key in keys {
                index.by_product.entry(key).or_default().extend(&at);
            }
        }
        index.post_names();
        index
    }

    /// What the fields of an item say; equal fields of two items are one fact.
    fn facts_of<'a>(&mut self, item: &'a CatalogueItem, known: &mut HashMap<(EntityType, [&'a str; 2]), u32>) -> Vec<u32> {
        let attributes = item.attributes.iter().filter_map(|(key, raw)| Some((attribute_kind(key)?, [raw.as_str(), ""])));
        let named = attributes.chain([(EntityType::Brand, [item.brand.as_str(), item.brand_en.as_str()])]);
        let fact = |(kind, raw): (EntityType, [&'a str; 2])| {
            *known.entry((kind, raw)).or_insert_with(|| {
                let values = raw.iter().flat_map(|raw| self.values(kind, raw)).collect();
                self.facts.push(Fact { kind, values });
                (self.facts.len() - 1) as u32
            })
        };
        named.filter(|(_, raw)| raw.iter().any(|raw| !raw.is_empty())).map(fact).collect()
    }

    /// What the entities of a title say, one fact a kind.
    fn facts_in(&mut self, entities: &[Entity], read: &mut HashMap<(EntityType, Vec<String>), u32>) -> Vec<u32> {
        let mut values: BTreeMap<EntityType, Vec<String>> = BTreeMap::new();
        for entity in entities.iter().filter(|entity| is_attribute(entity.kind)) {
            values.entry(entity.kind).or_default().push(self.named(entity));
        }
        let fact = |(kind, values): (EntityType, Vec<String>)| {
            *read.entry((kind, values.clone())).or_insert_with(|| {
                self.facts.push(Fact { kind, values });
                (self.facts.len() - 1) as u32
            })
        };
        values.into_iter().map(fact).collect()
    }

    /// Fills the maps of brands and models.
    fn post_names(&mut self) {
        for (at, item) in self.items.iter().enumerate() {
            for fact in item.facts.iter().map(|&fact| &self.facts[fact as usize]) {
                let map = match fact.kind {
                    EntityType::Brand => &mut self.by_brand,
                    EntityType::Model => &mut self.by_model,
                    _ => continue,
                };
                for value in &fact.values {
                    map.entry(value.clone()).or_default().push(at as u32);
                }
            }
        }
    }

    pub fn len(&self) -> usize {
        self.items.len()
    }

    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The canonical values of a catalogue's attribute.
    fn values(&self, kind: EntityType, raw: &str) -> Vec<String> {
        parts(raw)
            .flat_map(|part| match kind {
                EntityType::Spec => {
                    let values = canonical_specs(part);
                    if values.is_empty() { vec![normalize(part).text] } else { values }
                }
                _ => vec![self.canonical(kind, part)],
            })
            .filter(|value| !value.is_empty())
            .collect()
    }

    fn canonical(&self, kind: EntityType, raw: &str) -> String {
        let term = normalize(raw).text;
        match kind {
            EntityType::Color | EntityType::Flavor | EntityType::Material => {
                self.lexicon.family(kind, &term).map_or(term.clone(), str::to_owned)
            }
            EntityType::Size => self.size(&term),
            EntityType::Model => term.replace([' ', '-'], ""),
            _ => term,
        }
    }

    fn size(&self, term: &str) -> String {
        canonical_size(term).or_else(|| self.lexicon.family(EntityType::Size, term).map(str::to_owned)).unwrap_or_else(|| term.to_owned())
    }

    /// The canonical value of something named in a message.
    fn named(&self, entity: &Entity) -> String {
        match (&entity.value, entity.kind) {
            (Some(value), EntityType::Brand) => normalize(value).text,
            (Some(value), _) => value.clone(),
            (None, kind) => self.canonical(kind, &entity.text),
        }
    }

    /// The longest ending of a named product that the catalogue knows (床品四件套 is a 四件套), or its own name.
    fn product(&self, name: &str) -> String {
        let keys = product_keys(name);
        keys.iter().find(|key| self.by_product.contains_key(*key)).or(keys.first()).cloned().unwrap_or_default()
    }

    fn verdict(&self, fact: &Fact, named: &[String]) -> Verdict {
        let pairs = named.iter().flat_map(|n| fact.values.iter().map(move |v| (n.as_str(), v.as_str())));
        pairs.map(|(named, value)| self.compare(fact.kind, named, value)).max().unwrap_or(Verdict::Silent)
    }

    fn compare(&self, kind: EntityType, named: &str, value: &str) -> Verdict {
        if named == value {
            return Verdict::Carries;
        }
        match kind {
            // Who asks for blue may get navy; who asks for navy is not told that blue is it, nor that it is not.
            EntityType::Color if self.lexicon.color_base(value) == named => Verdict::Carries,
            EntityType::Color if self.lexicon.color_base(named) == value => Verdict::Silent,
            EntityType::Size => compare_sizes(named, value),
            EntityType::Spec if dimension(named) != dimension(value) => Verdict::Silent,
            _ => Verdict::Contradicts,
        }
    }
}

/// The entries that fit what is named, best first, at most three.
///
/// `confidence` is the share of the named kinds that the entry carries, in [0, 1]; equals are ordered by SKU. Empty where no
/// product, brand or model is named, where the catalogue has none of that name, and where every entry contradicts.
pub fn match_products(entities: &[Entity], index: &ProductIndex) -> Vec<Product> {
    let mut wanted: Vec<(EntityType, Vec<String>)> = Vec::new();
    let mut products: Vec<String> = Vec::new();
    for entity in entities {
        match entity.kind {
            EntityType::Product => products.push(index.product(&entity.text)),
            kind if is_attribute(kind) => match wanted.iter_mut().find(|(k, _)| *k == kind) {
                Some((_, values)) => values.push(index.named(entity)),
                None => wanted.push((kind, vec![index.named(entity)])),
            },
            _ => {}
        }
    }
    let mut candidates: Vec<u32> = if products.is_empty() {
        let of = |kind, map: &HashMap<String, Vec<u32>>| -> Vec<u32> {
            let values = wanted.iter().filter(|(k, _)| *k == kind).flat_map(|(_, values)| values);
            values.filter_map(|value| map.get(value)).flatten().copied().collect()
        };
        [of(EntityType::Brand, &index.by_brand), of(EntityType::Model, &index.by_model)].concat()
    } else {
        products.iter().filter_map(|key| index.by_product.get(key)).flatten().copied().collect()
    };
    candidates.sort_unstable();
    candidates.dedup();

    let named = wanted.len() + usize::from(!products.is_empty());
    let mut verdicts: HashMap<u32, Verdict> = HashMap::new();
    let mut best: Vec<(usize, &Item)> = Vec::with_capacity(TOP + 1);
    'items: for item in candidates.iter().map(|&at| &index.items[at as usize]) {
        let mut carried = usize::from(!products.is_empty());
        for &at in &item.facts {
            let fact = &index.facts[at as usize];
            let Some((_, values)) = wanted.iter().find(|(kind, _)| *kind == fact.kind) else { continue };
            match verdicts.entry(at).or_insert_with(|| index.verdict(fact, values)) {
                Verdict::Contradicts => continue 'items,
                Verdict::Silent => {}
                Verdict::Carries => carried += 1,
            }
        }
        let place = best.partition_point(|(c, i)| (std::cmp::Reverse(*c), &i.sku) < (std::cmp::Reverse(carried), &item.sku));
        if place < TOP {
            best.insert(place, (carried, item));
            best.truncate(TOP);
        }
    }
    best.into_iter()
        .map(|(carried, item)| Product { sku: item.sku.clone(), title: item.title.clone(), confidence: carried as f32 / named as f32 })
        .collect()
}

fn is_attribute(kind: EntityType) -> bool {
    matches!(
        kind,
        EntityType::Brand
            | EntityType::Model
            | EntityType::Color
            | EntityType::Size
            | EntityType::Flavor
            | EntityType::Material
            | EntityType::Spec
    )
}

/// A product under its own name and under its plainer ones: 蓝牙耳机 is also 耳机, a down jacket a jacket.
fn product_keys(raw: &str) -> Vec<String> {
    let term = normalize(raw).text;
    endings(&term).filter(|ending| ending.chars().count() > 1).map(singular).collect()
}

/// Ranges hold what lies in them; a plain shoe number is a European one; letters, numbers and regions do not compare.
fn compare_sizes(named: &str, value: &str) -> Verdict {
    match (number_range(named), number_range(value)) {
        (Some(a), Some(b)) if a.0 <= b.1 && b.0 <= a.1 => Verdict::Carries,
        (Some(_), Some(_)) => Verdict::Contradicts,
        (None, None) if is_letters(named) && is_letters(value) => Verdict::Contradicts,
        (None, None) if named.split(' ').next() == value.split(' ').next() => Verdict::Contradicts,
        _ => Verdict::Silent,
    }
}

fn number_range(size: &str) -> Option<(f32, f32)> {
    let (from, to) = size.split_once('-').unwrap_or((size, size));
    Some((from.parse().ok()?, to.parse().ok()?))
}

fn is_letters(size: &str) -> bool {
    size.len() <= 3 && size.ends_with(['s', 'm', 'l'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ner::GazetteerTagger;

    const CATALOGUE: &str = r#"
{"sku":"J1","title":"羽绒服 粉色 XL","brand":"NORDA","product":"羽绒服","product_en":"down jacket","attributes":{"color":"粉色","size":"XL"}}
{"sku":"J2","title":"羽绒服 黑色 XL","brand":"NORDA","product":"羽绒服","product_en":"down jacket","attributes":{"color":"黑色","size":"XL"}}
{"sku":"J3","title":"羽绒服 粉色 S","brand":"NORDA","product":"羽绒服","product_en":"down jacket","attributes":{"color":"粉色","size":"S"}}
{"sku":"J4","title":"羽绒服 藏青色 XL","brand":"NORDA","product":"羽绒服","product_en":"down jacket","attributes":{"color":"藏青色","size":"XL"}}
{"sku":"T1","title":"T恤 黑色 S","brand":"素行","brand_en":"Suxing","category":"服饰/T恤","product_en":"T-shirt","attributes":{"color":"黑色","size":"S"}}
{"sku":"B1","title":"沐浴露 草莓味 250ml","brand":"果沐","brand_en":"Guomu","product":"沐浴露","product_en":"body wash","attributes":{"flavor":"草莓味","spec":"250ml"}}
{"sku":"B2","title":"沐浴露 草莓味 500ml","brand":"果沐","brand_en":"Guomu","product":"沐浴露","product_en":"body wash","attributes":{"flavor":"草莓味","spec":"500ml"}}
{"sku":"B3","title":"沐浴露 柚子味 250ml","brand":"果沐","brand_en":"Guomu","product":"沐浴露","product_en":"body wash","attributes":{"flavor":"柚子味","spec":"250ml"}}
{"sku":"P1","title":"手机壳 iPhone 15 Pro","product":"手机壳","product_en":"phone case","attributes":{"model":"iPhone 15 Pro","color":"透明色"}}
{"sku":"P2","title":"手机壳 iPhone 15","product":"手机壳","product_en":"phone case","attributes":{"model":"iPhone 15","color":"透明色"}}
{"sku":"S1","title":"跑鞋 42码","brand":"Veloz","product":"跑鞋","product_en":"running shoes","attributes":{"size":"42码"}}
{"sku":"S2","title":"跑鞋 36-37码","brand":"Veloz","product":"跑鞋","product_en":"running shoes","attributes":{"size":"36-37码"}}
{"sku":"H1","title":"蓝牙耳机","brand":"声野","product":"蓝牙耳机","product_en":"wireless earbuds","attributes":{}}
{"sku":"M1","title":"晨钟毛绒拖鞋 黑色/灰色 42-43码"}
{"sku":"","title":"没有编号","product":"跑鞋"}
{"sku":"X","title":"","product":"跑鞋"}
"#;

    fn items() -> Vec<CatalogueItem> {
        CATALOGUE.lines().filter(|l| !l.is_empty()).map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    #[track_caller]
    fn check(text: &str, expect: &[(&str, f32)]) {
        let items = items();
        let tagger = GazetteerTagger::build(&items).unwrap();
        let index = ProductIndex::build(&items, &Lexicon::shipped().unwrap(), &tagger);
        let entities = tagger.tag(text, &normalize(text));
        let found: Vec<(String, f32)> =
            match_products(&entities, &index).into_iter().map(|p| (p.sku, (p.confidence * 100.0).round() / 100.0)).collect();
        let found: Vec<(&str, f32)> = found.iter().map(|(sku, c)| (sku.as_str(), *c)).collect();
        assert_eq!(found, expect, "{text}: {entities:?}");
    }

    #[test]
    fn a_pink_xl_down_jacket_never_brings_a_black_or_a_small_one() {
        check("买的粉色XL码羽绒服还没发货", &[("J1", 1.0)]);
        check("my pink down jackets in XL", &[("J1", 1.0)]);
        check("粉色XL码T恤", &[]);
        check("蓝色羽绒服", &[("J4", 1.0)]);
    }

    #[test]
    fn flavour_and_measure_choose() {
        check("草莓味沐浴露250ml", &[("B1", 1.0)]);
        check("strawberry flavour body wash 0.5L", &[("B2", 1.0)]);
        check("果沐沐浴露有柚子味吗", &[("B3", 1.0)]);
        check("500ml的柚子味沐浴露", &[]);
    }

    #[test]
    fn brands_models_and_plainer_names_lead_to_entries() {
        check("iPhone15 Pro的手机壳", &[("P1", 1.0)]);
        check("Suxing的有吗", &[("T1", 1.0)]);
        check("耳机没声音", &[("H1", 1.0)]);
        check("沐浴露漏了", &[("B1", 1.0), ("B2", 1.0), ("B3", 1.0)]);
        check("蓝色的沐浴露", &[("B1", 0.5), ("B2", 0.5), ("B3", 0.5)]);
    }

    #[test]
    fn sizes_compare_within_their_system() {
        check("跑鞋42码", &[("S1", 1.0)]);
        check("跑鞋37码", &[("S2", 1.0)]);
        check("running shoes US 9", &[("S1", 0.5), ("S2", 0.5)]);
        check("跑鞋EU 44", &[]);
    }

    #[test]
    fn a_title_speaks_where_the_fields_are_empty() {
        check("灰色拖鞋42码", &[("M1", 1.0)]);
        check("粉色拖鞋", &[]);
        check("拖鞋39码", &[]);
    }

    #[test]
    fn nothing_named_brings_nothing() {
        check("粉色的XL有吗", &[]);
        check("NORDA的沐浴露", &[]);
        check("电钻坏了", &[]);
        check("", &[]);
    }
}
