//! What the whole tagger answers: the promised examples, precision and recall on the hand-written set, any string at all.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde::Deserialize;

use super::*;
use crate::text::normalize;

/// Rows in the manner of the shop's catalogue: brands, models and attributes that the hand-written set speaks of.
const CATALOGUE: &str = r#"
{"sku":"1","title":"素行 衬衫","brand":"素行","brand_en":"Suxing","product":"衬衫","product_en":"shirt","attributes":{"color":"雾蓝色","size":"M"}}
{"sku":"2","title":"NORDA 羽绒服","brand":"NORDA","brand_en":"NORDA","product":"羽绒服","product_en":"down jacket","attributes":{"color":"粉色","size":"XL","model":"极地"}}
{"sku":"3","title":"Veloz 跑鞋","brand":"Veloz","brand_en":"Veloz","product":"跑鞋","product_en":"running shoes","attributes":{"size":"42码"}}
{"sku":"4","title":"云朵家 四件套","brand":"云朵家","brand_en":"Cloudhome","product":"四件套","product_en":"4-piece bedding set","attributes":{"spec":"1.8米床"}}
{"sku":"5","title":"果沐 护手霜","brand":"果沐","brand_en":"Guomu","product":"护手霜","product_en":"hand cream","attributes":{"flavor":"樱花味","spec":"3支装"}}
{"sku":"6","title":"晨钟 破壁机","brand":"晨钟","brand_en":"Chenzhong","product":"破壁机","product_en":"high-speed blender","attributes":{"spec":"1.75L","model":"P7"}}
{"sku":"7","title":"栗木 书架","brand":"栗木","brand_en":"Limu","product":"书架","product_en":"bookshelf","attributes":{"spec":"5层","color":"原木色"}}
{"sku":"8","title":"Lumio 灯泡","brand":"Lumio","brand_en":"Lumio","product":"灯泡","product_en":"LED bulb","attributes":{"model":"E27","spec":"9W","color":"暖光"}}
{"sku":"9","title":"声野 蓝牙耳机","brand":"声野","brand_en":"Shengye","product":"蓝牙耳机","product_en":"wireless earbuds","attributes":{"model":"Air 2 Pro"}}
{"sku":"10","title":"声野 数据线","brand":"声野","brand_en":"Shengye","product":"数据线","product_en":"charging cable","attributes":{"model":"Type-C","spec":"2米"}}
{"sku":"11","title":"小栗熊 连体衣","brand":"小栗熊","brand_en":"Littlebear","product":"连体衣","product_en":"baby romper","attributes":{"size":"73码"}}
{"sku":"12","title":"茶屿 龙井茶","brand":"茶屿","brand_en":"Chayu","product":"龙井茶","product_en":"Longjing tea","attributes":{"spec":"100g"}}
{"sku":"13","title":"PawPal 猫砂","brand":"PawPal","brand_en":"PawPal","product":"猫砂","product_en":"cat litter","attributes":{"material":"豆腐"}}
{"sku":"14","title":"雪衡 冰箱","brand":"雪衡","brand_en":"Xueheng","product":"冰箱","product_en":"fridge","attributes":{"model":"BX418","spec":"418L"}}
{"sku":"15","title":"青黛 口红","brand":"青黛","brand_en":"Qingdai","product":"口红","product_en":"lipstick","attributes":{"color":"正红色"}}
{"sku":"","title":"","brand":"","product":"","attributes":{"color":"","size":"L"}}
"#;

fn tagger() -> GazetteerTagger {
    let items: Vec<CatalogueItem> = CATALOGUE.lines().filter(|l| !l.is_empty()).map(|l| serde_json::from_str(l).unwrap()).collect();
    GazetteerTagger::build(&items).unwrap()
}

fn tag(text: &str) -> Vec<Entity> {
    tagger().tag(text, &normalize(text))
}

/// Asserts the entities of a text, written `text/TYPE(start..end)=value`.
#[track_caller]
fn check(text: &str, expect: &[&str]) {
    let found: Vec<String> = tag(text)
        .into_iter()
        .map(|e| format!("{}/{}({}..{}){}", e.text, e.kind.as_str(), e.start, e.end, e.value.map_or(String::new(), |v| format!("={v}"))))
        .collect();
    assert_eq!(found, expect, "{text}");
}

#[test]
fn the_examples_of_the_contract_hold() {
    check("买的粉色XL码羽绒服还没发货,什么时候能到?", &["粉色/COLOR(2..4)=pink", "XL/SIZE(4..6)=xl", "羽绒服/PRODUCT(7..10)"]);
    check("草莓味沐浴露250ml", &["草莓味/FLAVOR(0..3)=strawberry", "沐浴露/PRODUCT(3..6)", "250ml/SPEC(6..11)=250ml"]);
    assert_eq!(tagger().version(), "gazetteer@1");
}

#[test]
fn offsets_are_those_of_the_original() {
    check("😀買的  粉色ＸＬ码羽絨服", &["粉色/COLOR(5..7)=pink", "ＸＬ/SIZE(7..9)=xl", "羽絨服/PRODUCT(10..13)"]);
    check(
        "the\u{200b} RED  Running\u{3000}Shoes, 2㎏",
        &["RED/COLOR(5..8)=red", "Running\u{3000}Shoes/PRODUCT(10..23)", "2㎏/SPEC(25..27)=2000g"],
    );
    check("e\u{301} 红色", &["红色/COLOR(3..5)=red"]);
}

#[test]
fn identifiers_win_and_addresses_hide_what_is_in_them() {
    check("see www.shop.cn/red-dress-250ml", &[]);
    check("SF1234567890123的250ml", &["SF1234567890123/TRACKING_NO(0..15)", "250ml/SPEC(16..21)=250ml"]);
}

#[test]
fn the_longest_name_wins_and_shields_take_their_words() {
    check("灰常喜欢,红包和绿色通道", &[]);
    check("咖啡色的咖啡机", &["咖啡色/COLOR(0..3)=brown", "咖啡机/PRODUCT(4..7)"]);
    check("hundreds of redness", &[]);
    check("雾蓝色衬衫", &["雾蓝色/COLOR(0..3)=blue", "衬衫/PRODUCT(3..5)"]);
    check("豆腐猫砂", &["豆腐/MATERIAL(0..2)", "猫砂/PRODUCT(2..4)"]);
}

#[derive(Deserialize)]
struct Row {
    text: String,
    entities: Vec<Expected>,
}

#[derive(Deserialize)]
struct Expected {
    #[serde(rename = "type")]
    kind: EntityType,
    text: String,
    start: usize,
    end: usize,
    value: Option<String>,
}

#[derive(Default)]
struct Counts {
    right: usize,
    found: usize,
    expected: usize,
}

/// Recall below which the set fails; precision has its floor in [`CONFIDENCE`].
const RECALL_FLOORS: [(EntityType, f32); 14] = [
    (EntityType::Product, 0.93),
    (EntityType::Brand, 0.95),
    (EntityType::Model, 0.85),
    (EntityType::Color, 0.87),
    (EntityType::Size, 0.88),
    (EntityType::Flavor, 0.90),
    (EntityType::Material, 0.89),
    (EntityType::Spec, 0.90),
    (EntityType::OrderId, 0.75),
    (EntityType::TrackingNo, 0.75),
    (EntityType::Phone, 0.80),
    (EntityType::Email, 0.60),
    (EntityType::Amount, 0.93),
    (EntityType::Date, 0.95),
];

#[test]
fn precision_and_recall_on_the_hand_written_set_are_those_of_the_tables() {
    let tagger = tagger();
    let rows: Vec<Row> = include_str!("../../tests/data/entities.jsonl").lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let mut counts: BTreeMap<EntityType, Counts> = BTreeMap::new();
    for row in &rows {
        let found = tagger.tag(&row.text, &normalize(&row.text));
        for e in &row.entities {
            let slice: String = row.text.chars().skip(e.start).take(e.end - e.start).collect();
            assert_eq!(slice, e.text, "a wrong offset in {}", row.text);
            counts.entry(e.kind).or_default().expected += 1;
            if !found.iter().any(|f| same(f, e)) {
                println!("missed {}/{} ({:?}) in {}", e.text, e.kind.as_str(), e.value, row.text);
            }
        }
        for f in &found {
            let right = row.entities.iter().any(|e| same(f, e));
            let count = counts.entry(f.kind).or_default();
            count.found += 1;
            count.right += usize::from(right);
            if !right {
                println!("wrong {}/{} ({:?}) in {}", f.text, f.kind.as_str(), f.value, row.text);
            }
        }
    }
    for (kind, count) in &counts {
        let (precision, recall) = (count.right as f32 / count.found.max(1) as f32, count.right as f32 / count.expected.max(1) as f32);
        println!("{:12} precision {precision:.3} recall {recall:.3} ({} expected, {} found)", kind.as_str(), count.expected, count.found);
    }
    for ((kind, count), (floor_kind, floor)) in counts.iter().zip(RECALL_FLOORS) {
        assert_eq!(*kind, floor_kind, "every type is in the set");
        let (precision, recall) = (count.right as f32 / count.found as f32, count.right as f32 / count.expected as f32);
        assert!((precision - confidence(*kind)).abs() <= 0.05, "the precision of {} is {precision:.3}", kind.as_str());
        assert!(recall >= floor, "the recall of {} is {recall:.3}", kind.as_str());
    }
}

/// The same span and type, and the same value where the set gives one.
fn same(found: &Entity, expected: &Expected) -> bool {
    (found.kind, found.start, found.end) == (expected.kind, expected.start, expected.end)
        && (expected.value.is_none() || found.value == expected.value)
}

/// The best of many runs, so that a busy machine does not decide.
fn best(text: &str) -> Duration {
    let (tagger, normalized) = (tagger(), normalize(text));
    let run = || {
        let start = Instant::now();
        std::hint::black_box(tagger.tag(text, &normalized));
        start.elapsed()
    };
    (0..200).map(|_| run()).min().unwrap_or_default()
}

#[test]
#[cfg_attr(debug_assertions, ignore = "the limits are those of an optimised build")]
fn short_and_long_messages_are_tagged_in_time() {
    let short = best("买的粉色XL码羽绒服还没发货,什么时候能到?");
    assert!(short <= Duration::from_micros(20), "{short:?}");
    let rows = include_str!("../../tests/data/entities.jsonl").lines().map(|l| serde_json::from_str::<Row>(l).unwrap().text);
    let text: String = rows.collect::<Vec<_>>().join(" ").chars().take(10_000).collect();
    for long in [text, "XL 50cm ".repeat(1250), "11/20 Nov 20 ".repeat(780), "s m l ".repeat(1700)] {
        let took = best(&long);
        assert!(took <= Duration::from_millis(5), "{took:?} for {} bytes", long.len());
    }
}

fn assert_sound(tagger: &GazetteerTagger, text: &str) {
    let chars: Vec<char> = text.chars().collect();
    let entities = tagger.tag(text, &normalize(text));
    for e in &entities {
        assert!(e.start < e.end && e.end <= chars.len(), "{e:?}");
        assert_eq!(chars[e.start..e.end].iter().collect::<String>(), e.text);
    }
    assert!(entities.windows(2).all(|w| w[0].end <= w[1].start), "{entities:?}");
}

proptest! {
    #[test]
    fn any_string_gives_sound_entities(text in "\\PC{0,80}") {
        thread_local!(static TAGGER: GazetteerTagger = tagger());
        TAGGER.with(|t| assert_sound(t, &text));
    }

    #[test]
    fn pieces_of_messages_give_sound_entities(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..12)) {
        thread_local!(static TAGGER: GazetteerTagger = tagger());
        TAGGER.with(|t| assert_sound(t, &pieces.concat()));
    }
}

const PIECES: &[&str] = &[
    "粉色",
    "XL",
    "码",
    "羽绒服",
    "250",
    "ml",
    "㎏",
    "１２",
    "元",
    "块",
    "多",
    "11",
    "月",
    "20",
    "号",
    "/",
    ".",
    "-",
    "上",
    "周",
    "五",
    "三",
    "天前",
    " ",
    "\u{200b}",
    "e\u{301}",
    "😀",
    "שלום",
    "مرحبا",
    "size ",
    "US ",
    "$",
    "@a.cn",
    "13812345678",
    "点",
    "下午",
    "昨天",
    "x",
    "装",
    "半",
    "㍿",
    "ﬁ",
    "red",
    "s",
    "'",
    "pack of ",
    "几",
    "十",
    "万",
    "99999999999",
];
