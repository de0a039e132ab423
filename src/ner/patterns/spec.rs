//! Measures that a thing is sold by: volume, weight, length, capacity, power, how many in a pack.
//!
//! The value has one unit a dimension, so that `0.25L` and `250毫升` meet: `250ml`, `1500g`, `180cm` (under 1 cm: `3.5mm`),
//! `128gb`, `150x200cm`, `2pcs`, `10000mah`, `65w`, `1.5hp`, `24in`.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::numerals::{self, NUMBER, plain};
use super::{Context, Cues, Found, Rule, group, range_of, rule};
use crate::domain::EntityType::Spec;
use crate::text::normalize;

pub(super) fn rules() -> &'static [Rule] {
    &RULES
}

const COUNTERS: &str =
    "件|支|瓶|袋|盒|包|片|双|对|罐|条|个|只|卷|块|把|粒|枚|颗|杯|组|份|桶|提|听|抽|日|天|人|套|本|张|箱|板|管|枝|盏|根|节";

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let number = r"[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?";
    let latin = Cues::DIGIT.and(Cues::LATIN);
    vec![
        rule(
            Spec,
            latin,
            &format!(
                r"(?P<n>{number})(?: ?-?)(?P<u>ml|cl|l|liters?|litres?|mg|kg|g|grams?|fl oz|oz|ounces?|lbs?|mah|kw|w|watts?|v|hz|gb|tb|cm|mm|m|inch(?:es)?|meters?|metres?)(?-u:\b)"
            ),
            measure,
        ),
        rule(
            Spec,
            Cues::NUMBER.and(Cues::UNIT),
            &format!("(?P<n>{NUMBER})(?P<u>毫升|升|毫克|千克|公斤|克|斤|厘米|毫米|公分|米|英寸|寸|匹|瓦)(?P<t>[0-9]{{1,2}})?"),
            measure,
        ),
        rule(
            Spec,
            Cues::DIGIT.and(Cues::SEPARATOR),
            &format!(r"(?P<a>{number})(?:cm|mm|m|米)? ?[*×] ?(?P<b>{number})(?: ?(?P<u>cm|mm|m|厘米|毫米|公分|米))?"),
            area,
        ),
        rule(
            Spec,
            Cues::DIGIT.and(Cues::UNIT),
            &format!("(?P<a>{number})(?:米(?P<at>[0-9]{{1,2}})?)?乘(?P<b>{number})(?P<u>米|厘米|公分)(?P<bt>[0-9]{{1,2}})?"),
            area,
        ),
        rule(Spec, latin, &format!(r"(?P<a>{number})(?:cm|mm|m)? ?x ?(?P<b>{number})(?: ?(?P<u>cm|mm|m|厘米|毫米|公分|米))?"), area),
        rule(Spec, Cues::NUMBER.and(Cues::UNIT), &format!("(?P<n>{NUMBER})(?:{COUNTERS})装"), pack),
        rule(Spec, Cues::DIGIT.and(Cues::UNIT), "(?P<n>[0-9]{2,4})(?:支|片|粒|抽|颗|枚)", pack),
        rule(Spec, Cues::DIGIT.and(Cues::UNIT), "(?P<n>[0-9]{2,4})块", pieces),
        rule(Spec, Cues::DIGIT.and(Cues::UNIT), "(?P<id>(?P<n>[0-9]{1,2})人(?:份|座|位)?)(?:帐|款|用|的?沙发|餐桌)", pack),
        rule(Spec, latin, r"(?P<n>[0-9]{1,4})[ -]?(?:pack|pk|pcs|pc|count|ct|piece|sheets|capsules|tablets)", pack),
        rule(Spec, Cues::LATIN, r"(?:pack|set|box) of (?P<n>[0-9]{1,4}|two|three|four|five|six|ten|twelve)", pack),
        rule(Spec, Cues::LATIN, r"(?P<n>two|three|four|five|six|ten|twelve)[ -]pack", pack),
    ]
});

/// The canonical values of everything measured in a catalogue's attribute; empty where nothing is.
pub(in crate::ner) fn canonical(raw: &str) -> Vec<String> {
    let normalized = normalize(raw);
    let context = Context::new(raw, &normalized);
    let mut found: Vec<Found> = Vec::new();
    for rule in rules().iter().filter(|rule| context.cues.has(rule.needs)) {
        found.extend(rule.regex.captures_iter(context.text).filter_map(|captures| (rule.read)(&context, &captures)));
    }
    // A measure inside of a longer one (the 200cm of 150x200cm) is not one of its own.
    let longest =
        |f: &&Found| !found.iter().any(|o| o.range.start <= f.range.start && f.range.end <= o.range.end && o.range.len() > f.range.len());
    let mut values: Vec<String> = found.iter().filter(longest).filter_map(|f| f.value.clone()).collect();
    values.sort();
    values.dedup();
    values
}

fn measure(context: &Context, captures: &Captures) -> Option<Found> {
    let unit = captures.name("u")?;
    let mut range = captures.name("n")?.start()..unit.end();
    let mut n = numerals::parse(group(captures, "n")?)?;
    // `2米7`.
    if let Some(decimals) = captures.name("t").filter(|_| unit.as_str() == "米" && n.fract() == 0.0) {
        n = format!("{n}.{}", decimals.as_str()).parse().ok()?;
        range.end = decimals.end();
    }
    let after = context.after(range.end);
    let chinese_count = !captures[0].starts_with(|c: char| c.is_ascii_digit());
    let (value, name) = match unit.as_str() {
        "ml" | "毫升" => (n, "ml"),
        "cl" => (n * 10.0, "ml"),
        "l" | "liter" | "liters" | "litre" | "litres" | "升" => (n * 1000.0, "ml"),
        "mg" | "毫克" => (n / 1000.0, "g"),
        // Storage is written like a weight, in capitals: 128G.
        "g" if [16.0, 32.0, 64.0, 128.0, 256.0, 512.0].contains(&n) && context.is_upper(range.clone()) => (n, "gb"),
        // Networks: 4G, 5G.
        "g" if (2.0..=5.0).contains(&n) && n.fract() == 0.0 => return None,
        "g" | "gram" | "grams" | "克" => (n, "g"),
        "kg" | "公斤" | "千克" => (n * 1000.0, "g"),
        "斤" => (n * 500.0, "g"),
        "fl oz" | "oz" | "ounce" | "ounces" => (n, "oz"),
        "lb" | "lbs" => (n, "lb"),
        "mah" => (n, "mah"),
        "kw" => (n * 1000.0, "w"),
        "w" | "watt" | "watts" | "瓦" => (n, "w"),
        "v" => (n, "v"),
        "hz" => (n, "hz"),
        "gb" => (n, "gb"),
        "tb" => (n * 1000.0, "gb"),
        "mm" | "毫米" if n < 10.0 => (n, "mm"),
        "mm" | "毫米" => (n / 10.0, "cm"),
        "cm" | "厘米" | "公分" => (n, "cm"),
        // The 3M company; `一米八` is somebody's height; `10m ago`.
        "m" if context.is_upper(range.clone()) || after.starts_with(" ago") => return None,
        "米" if chinese_count && after.starts_with(['一', '二', '三', '四', '五', '六', '七', '八', '九']) => return None,
        "m" | "meter" | "meters" | "metre" | "metres" | "米" => (n * 100.0, "cm"),
        "inch" | "inches" | "英寸" | "寸" => (n, "in"),
        "匹" => (n, "hp"),
        _ => return None,
    };
    if is_body_measure(context, &range, value, name) {
        return None;
    }
    Some(Found { range, value: Some(format!("{}{name}", plain(value))) })
}

/// Words of a question about a size. A measure in such a text is rather the customer's than the thing's.
const BODY: [&str; 31] = [
    "身高",
    "体重",
    "净高",
    "多大码",
    "什么码",
    "哪个码",
    "选几码",
    "几码",
    "多大的",
    "穿",
    "斤左右",
    "臀围",
    "胸围",
    "腰围",
    "头围",
    "手围",
    "肩宽",
    "脚长",
    "背长",
    "手掌",
    "岁",
    "个月",
    "tall",
    "weigh",
    "height",
    "what size",
    "which size",
    "my size",
    "chest",
    "waist",
    "shoulder",
];

static HEIGHT_AND_WEIGHT: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = "1[4-9][0-9] ?(?:cm|公分)?[ /,、]{1,2}(?:and )?[0-9]{2,3} ?(?:kg|kilo|公斤|斤|lb)";
    Regex::new(pattern).unwrap_or_else(|e| panic!("the pattern {pattern} does not compile: {e}"))
});

/// `170cm 65kg`, asked for a size, or a pet's weight: measures of who uses a thing.
fn is_body_measure(context: &Context, range: &Range<usize>, value: f64, unit: &str) -> bool {
    let (length, weight) = match unit {
        "cm" => ((5.0..=210.0).contains(&value), false),
        "g" => (false, (2_000.0..=150_000.0).contains(&value)),
        "lb" => (false, (4.0..=330.0).contains(&value)),
        _ => (false, false),
    };
    if !length && !weight {
        return false;
    }
    let (before, after) = (context.before(range.start).trim_end(), context.after(range.end).trim_start());
    // `170 65kg`, `65公斤1米76`, `猫7斤`.
    let beside = weight
        && (height_before(before)
            || after.starts_with("1米")
            || ["猫", "狗", "咪", "宝宝", "孩子", "我", "cat", "dog"].iter().any(|who| before.ends_with(who)));
    beside
        || *context
            .topics
            .body
            .get_or_init(|| BODY.iter().any(|word| context.text.contains(word)) || HEIGHT_AND_WEIGHT.is_match(context.text))
}

/// Whether the text ends in a number that is a person's height in centimetres.
fn height_before(text: &str) -> bool {
    let text = text.trim_end_matches(['/', ',', ' ']);
    let digits = text.len() - text.bytes().rev().take_while(u8::is_ascii_digit).count();
    text[digits..].parse().is_ok_and(|n: u32| (140..=200).contains(&n))
}

fn area(_: &Context, captures: &Captures) -> Option<Found> {
    let (a, b) = (side(captures, "a", "at")?, side(captures, "b", "bt")?);
    let scale = match group(captures, "u") {
        Some("mm" | "毫米") => 0.1,
        Some("m" | "米") => 100.0,
        Some(_) => 1.0,
        // Without a unit the numbers must look like a bed's or a rug's.
        None if a >= 30.0 && b >= 30.0 => 1.0,
        None if (0.9..=3.0).contains(&a) && (1.5..=3.0).contains(&b) && (a.fract() > 0.0 || b.fract() > 0.0) => 100.0,
        None => return None,
    };
    Some(Found { range: range_of(captures)?, value: Some(format!("{}x{}cm", plain(a * scale), plain(b * scale))) })
}

/// `500块` of a puzzle; everywhere else it is money.
fn pieces(context: &Context, captures: &Captures) -> Option<Found> {
    let range = range_of(captures)?;
    (counts_pieces(context) && !context.after(range.end).starts_with('钱')).then(|| pack(context, captures)).flatten()
}

/// Whether 块 counts the pieces of a toy in this text.
pub(super) fn counts_pieces(context: &Context) -> bool {
    context.mentions(&context.topics.pieces, &["积木", "拼图"])
}

/// One side of an area; `1米8` has its decimals behind the unit.
fn side(captures: &Captures, whole: &str, decimals: &str) -> Option<f64> {
    let whole = group(captures, whole)?;
    match group(captures, decimals) {
        Some(decimals) => format!("{whole}.{decimals}").parse().ok(),
        None => numerals::parse(whole),
    }
}

fn pack(context: &Context, captures: &Captures) -> Option<Found> {
    let range = range_of(captures)?;
    // `3个装不下`, `2包装修材料`: the counter and 装 do not belong together.
    if context.after(range.end).starts_with(['修', '不', '箱', '好', '潢', '破', '坏']) || context.before(range.start).ends_with('第')
    {
        return None;
    }
    let word = group(captures, "n")?;
    let n = match word {
        "two" => 2.0,
        "three" => 3.0,
        "four" => 4.0,
        "five" => 5.0,
        "six" => 6.0,
        "ten" => 10.0,
        "twelve" => 12.0,
        _ => numerals::parse(word)?,
    };
    if n < 1.0 || word == "一" || (captures[0].ends_with(['支', '片', '粒', '抽', '颗', '枚']) && n < 10.0) {
        return None;
    }
    Some(Found { range, value: Some(format!("{}pcs", plain(n))) })
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::{Spec, canonical};

    #[test]
    fn measures_meet_in_one_unit() {
        check(Spec, "250ml 250毫升 0.25L", "250ml=250ml; 250毫升=250ml; 0.25L=250ml");
        check(Spec, "500g装,1.5kg,两公斤,三斤", "500g=500g; 1.5kg=1500g; 两公斤=2000g; 三斤=1500g");
        check(Spec, "128GB和128G,1TB", "128GB=128gb; 128G=128gb; 1TB=1000gb");
        check(Spec, "1.8米的床,2米7,3.5mm,24寸", "1.8米=180cm; 2米7=270cm; 3.5mm=3.5mm; 24寸=24in");
        check(
            Spec,
            "150x200cm,1.5×2米,2.2*2.4,1米8乘2米",
            "150x200cm=150x200cm; 1.5×2米=150x200cm; 2.2*2.4=220x240cm; 1米8乘2米=180x200cm",
        );
        check(Spec, "10000mAh 65W 1.5匹", "10000mAh=10000mah; 65W=65w; 1.5匹=1.5hp");
    }

    #[test]
    fn packs_are_counted() {
        check(Spec, "两件装,3支装,20片装,60支,500块的积木", "两件装=2pcs; 3支装=3pcs; 20片装=20pcs; 60支=60pcs; 500块=500pcs");
        check(Spec, "3-pack, pack of 2, 12 pcs, two-pack", "3-pack=3pcs; pack of 2=2pcs; 12 pcs=12pcs; two-pack=2pcs");
    }

    #[test]
    fn people_networks_and_small_counts_are_no_measures() {
        check(Spec, "身高170cm体重65公斤穿什么码,175 140斤", "");
        check(Spec, "175 140斤,猫7斤", "");
        check(Spec, "162cm/54kg, S or M?", "");
        check(Spec, "5G手机,3M胶带,买了2支,一米八,10m ago,第3包装", "");
    }

    #[test]
    fn attributes_are_read_without_context() {
        assert_eq!(canonical("补充装1L"), ["1000ml"]);
        assert_eq!(canonical("1.8米床"), ["180cm"]);
        assert_eq!(canonical("150x200cm"), ["150x200cm"]);
        assert!(canonical("高枕").is_empty());
    }
}
