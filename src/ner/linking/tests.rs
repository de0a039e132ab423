//! The whole of linking on a small catalogue; the shipped one is measured by `fenzhen eval resolve`.

use proptest::prelude::*;

use super::*;
use crate::ner::{EntityTagger, GazetteerTagger};
use crate::text::normalize;

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
{"sku":"M1","title":"晨钟毛绒拖鞋 灰色 42-43码"}
{"sku":"","title":"没有编号","product":"跑鞋"}
{"sku":"X","title":"","product":"跑鞋"}
"#;

fn items() -> Vec<CatalogueItem> {
    CATALOGUE.lines().filter(|l| !l.is_empty()).map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn linker(items: &[CatalogueItem]) -> Linker {
    Linker::build(items, &Lexicon::shipped().unwrap()).unwrap()
}

fn ask(linker: &Linker, tagger: &dyn EntityTagger, text: &str) -> Resolved {
    let clean = normalize(text);
    linker.resolve(text, &clean, &tagger.tag(text, &clean))
}

/// SKUs with what is asked for.
#[track_caller]
fn check(text: &str, expect: &str) {
    let items = items();
    let (linker, tagger) = (linker(&items), GazetteerTagger::build(&items).unwrap());
    let answer = ask(&linker, &tagger, text);
    let asked = answer.resolution.ask.clone().map_or(String::new(), |a| format!(" ? {a}"));
    assert_eq!(format!("{}{asked}", answer.skus.join(" ")), expect, "{text}: {answer:#?}");
    // What the tagger finds may be better or worse: the catalogue's own words are read without it.
    let clean = normalize(text);
    assert_eq!(
        linker.resolve(text, &clean, &[]).resolution.matched == ResolveMatch::None,
        answer.skus.is_empty(),
        "{text} without entities"
    );
}

#[test]
fn a_pink_xl_down_jacket_never_brings_a_black_or_a_small_one() {
    check("买的粉色XL码羽绒服还没发货", "J1");
    check("my pink down jackets in XL", "J1");
    check("粉色XL码T恤", "");
    check("蓝色羽绒服", "J4");
    check("羽绒服", "J1 J2 J3 J4 ? color");
}

#[test]
fn flavour_and_measure_choose() {
    check("草莓味沐浴露250ml", "B1");
    check("strawberry flavour body wash 0.5L", "B2");
    check("果沐沐浴露有柚子味吗", "B3");
    check("500ml的柚子味沐浴露", "");
    check("沐浴露漏了，草莓的", "B1 B2 ? spec");
    check("大瓶的草莓沐浴露", "B2");
}

#[test]
fn brands_models_and_plainer_names_lead_to_entries() {
    check("iPhone15 Pro的手机壳", "P1");
    check("iphone 15手机壳", "P2");
    check("iPhone 15 Pro Max手机壳", "");
    check("Suxing的有吗", "T1");
    check("耳机没声音", "H1");
    check("沐浴录漏了", "B1 B2 B3 ? flavor");
}

#[test]
fn sizes_compare_within_and_over_systems() {
    check("跑鞋42码", "S1");
    check("跑鞋37", "S2");
    check("running shoes US 9", "S1");
    check("跑鞋EU 44", "");
}

#[test]
fn a_title_speaks_where_the_fields_are_empty() {
    check("灰色拖鞋42码", "M1");
    check("粉色拖鞋", "");
    check("拖鞋39码", "");
}

#[test]
fn nothing_named_brings_nothing() {
    check("粉色的XL有吗", " ? product");
    check("电钻坏了", "");
    check("", " ? product");
    check("耐克的跑鞋42码", "");
}

#[test]
fn what_is_rejected_or_came_is_not_wanted() {
    check("羽绒服XL，不要黑色，粉色的", "J1");
    check("羽绒服我要粉色的XL，给我发成黑色的了", "J1");
    check("pink down jacket XL, not S", "J1");
}

#[test]
fn relations_go_both_ways() {
    let mut items = items();
    items[0].replaces = Some("J3".into());
    items[0].compatible_with = vec!["T1".into(), "J1".into(), "滑雪".into(), " ".into()];
    items[1].replaces = Some("gone".into());
    let linker = linker(&items);
    let of = |sku: &str| linker.relations(sku).unwrap();
    assert_eq!(of("J3").replaced_by[0].sku, "J1");
    assert_eq!((of("T1").compatible[0].sku.as_str(), of("J1").compatible_with), ("J1", vec!["滑雪".to_owned()]));
    assert_eq!(of("J1").variants[0].differs, ["color"]);
    assert!(linker.relations("gone").is_none() && of("J2").replaces.is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_message_and_no_catalogue_is_too_strange(text in "\\PC{0,80}", title in "\\PC{0,30}", value in "\\PC{0,12}") {
        let mut items = items();
        let mut odd = CatalogueItem::new("odd", &title);
        for key in ["color", "size", "spec", "model", "flavor", "material", ""] {
            odd.attributes.insert(key.into(), value.clone());
        }
        odd.product = value.clone();
        odd.brand = title.clone();
        items.push(odd);
        let linker = linker(&items);
        let clean = normalize(&text);
        let answer = linker.resolve(&text, &clean, &[]);
        prop_assert_eq!(answer.resolution.total, answer.skus.len());
        prop_assert!((0.0..=1.0).contains(&answer.resolution.confidence));
    }
}
