//! Values that compare: measures in one unit a dimension, sizes by system, names with their family.
//!
//! `250ml`, `250毫升` and `0.25L` are one [`Quantity`]; `两件装` counts two; 42码 is EU 42, US 9 and UK 8.

use std::ops::Range;
use std::sync::LazyLock;

use regex::{Captures, Regex};

use crate::ner::patterns::parse_number;

/// What is measured or counted, with the unit that [`Quantity`] keeps it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Dimension {
    /// Millilitres.
    Volume,
    /// Grams.
    Mass,
    /// Centimetres.
    Length,
    /// Two lengths, centimetres.
    Area,
    /// Watts.
    Power,
    /// Milliampere hours.
    Charge,
    /// Horsepower of air conditioners (匹).
    Horsepower,
    /// Gigabytes.
    Storage,
    /// Inches of a screen.
    Screen,
    /// Pieces in a pack.
    Count,
    /// People that it is made for.
    Persons,
    /// Tiers of a shelf.
    Tiers,
}

impl Dimension {
    /// The unit as it is shown.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Dimension::Volume => "ml",
            Dimension::Mass => "g",
            Dimension::Length | Dimension::Area => "cm",
            Dimension::Power => "w",
            Dimension::Charge => "mah",
            Dimension::Horsepower => "hp",
            Dimension::Storage => "gb",
            Dimension::Screen => "in",
            Dimension::Count => "pcs",
            Dimension::Persons => "persons",
            Dimension::Tiers => "tiers",
        }
    }
}

/// An amount, in thousandths of the dimension's unit: `low..=high` of a range, both sides of an area, twice the same otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Quantity {
    pub dimension: Dimension,
    pub low: i64,
    pub high: i64,
}

impl Quantity {
    /// Thousandths; what no shop sells becomes `None`.
    fn milli(n: f64) -> Option<i64> {
        (n.is_finite() && (0.0..1e12).contains(&n)).then(|| (n * 1000.0).round() as i64)
    }

    pub(crate) fn of(dimension: Dimension, n: f64) -> Option<Self> {
        let n = Self::milli(n)?;
        Some(Quantity { dimension, low: n, high: n })
    }

    fn two(dimension: Dimension, a: f64, b: f64) -> Option<Self> {
        Some(Quantity { dimension, low: Self::milli(a)?, high: Self::milli(b)? })
    }

    /// As it is shown: `250ml`, `150x200cm`, `2-4persons`.
    pub(crate) fn show(self) -> String {
        let plain = |n: i64| format!("{}", n as f64 / 1000.0);
        let unit = self.dimension.unit();
        match self.dimension {
            Dimension::Area => format!("{}x{}{unit}", plain(self.low), plain(self.high)),
            _ if self.low == self.high => format!("{}{unit}", plain(self.low)),
            _ => format!("{}-{}{unit}", plain(self.low), plain(self.high)),
        }
    }

    /// Whether a named amount is this one; `None` where the two do not compare.
    pub(crate) fn meets(self, named: Quantity) -> Option<bool> {
        use Dimension::{Area, Length};
        match (self.dimension, named.dimension) {
            (Area, Length) => Some(named.low == self.low || named.low == self.high),
            (Length, Area) => Some(named.low == self.low),
            (Area, Area) => Some((self.low, self.high) == (named.low, named.high) || (self.low, self.high) == (named.high, named.low)),
            (a, b) if a == b => Some(named.low <= self.high && self.low <= named.high),
            _ => None,
        }
    }
}

/// An amount in a text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FoundQuantity {
    /// Bytes of the normalised text.
    pub range: Range<usize>,
    pub quantity: Quantity,
    /// It says what is sold, and not how many were bought: a measure, `十双装`, `set of 4`.
    pub firm: bool,
}

const NUMBER: &str = r"(?:[0-9]+(?:,[0-9]{3})+|[0-9]+(?:\.[0-9]+)?(?:万|千)?|[零一二两俩仨三四五六七八九十百千万半]+|(?:one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|half an?|(?:a )?quarter(?: of)?(?: an?)?|(?:an? )?(?:full|whole)|single|double|couple)(?-u:\b))";
const COUNTED: &str = "件|支|瓶|袋|盒|包|片|双|对|罐|条|只|卷|把|粒|枚|颗|杯|组|桶|提|听|抽|套|本|张|箱|管|根|节|块|张床|个";

static AREA: LazyLock<Regex> = LazyLock::new(|| {
    let side = |name: &str| {
        format!(
            r"(?P<{name}>[0-9]+(?:\.[0-9]+)?|[一二两三四五六七八九]+)(?P<{name}u> ?(?:cm|mm|米|公分|厘米|m(?-u:\b)))?(?P<{name}t>[0-9一二三四五六七八九]{{1,2}})?"
        )
    };
    compiled(&format!(r"{}(?:的)? ?(?:[x*×✕]|乘以?|by) ?{}", side("a"), side("b")))
});
static TIMES: LazyLock<Regex> = LazyLock::new(|| {
    compiled(
        r"(?P<n>[0-9]{1,3}) ?[x*×] ?(?P<m>[0-9]+(?:\.[0-9]+)?) ?(?P<u>ml|g|kg|l)(?-u:\b)|(?P<m2>[0-9]+(?:\.[0-9]+)?) ?(?P<u2>ml|g|kg|l|克|毫升|升) ?[x*×] ?(?P<n2>[0-9]{1,3})",
    )
});
static MEASURE: LazyLock<Regex> = LazyLock::new(|| {
    compiled(&format!(
        r"(?P<n>{NUMBER}(?:到|-|~)?)(?P<gap>(?:个| |-)?)(?P<u>毫升|升|毫克|千克|公斤|克|斤|厘米|毫米|公分|米|英寸|寸|匹|瓦|毫安时?|(?:milliamps?|millilit(?:er|re)s?|ml|cl|lit(?:er|re)s?|ltr|l|mg|kilograms?|kilos?|kgs?|kg|g|grams?|gr|oz|lbs?|k ?mah|mah|kw|w|watts?|gb|tb|cm|centimet(?:er|re)s?|mm|m|met(?:er|re)s?|inch(?:es)?|hp|horsepower)(?-u:\b))(?P<t>[0-9一二三四五六七八九半]{{1,2}})?"
    ))
});
static COUNT: LazyLock<Regex> = LazyLock::new(|| {
    compiled(&format!(
        r"(?P<set>(?:pack|set|box|bag|bundle|case) of )?(?P<n>{NUMBER}|双|单)(?:(?P<to>-|到|~)(?P<n2>[0-9]+))?(?P<gap>(?:个| |-)?(?:large |small |full )?)(?P<u>(?P<han>{COUNTED})|(?P<ren>个?人)|(?P<ceng>层)|(?P<ri>天|日|个?月|周|星期)|(?:(?P<man>persons?|people|man|men|berth|p)|(?P<tier>tiers?|shelf|shelves|levels?|layers?)|(?P<day>days?|months?|weeks?)|(?P<en>packs?|pk|pcs|pc|counts?|ct|pieces?|sheets?|pairs?|bottles?|tubes?|bags?|sachets?|chairs?|pouches|rolls?|wipes|masks|pieces))(?-u:\b))(?P<zhuang>装|一?套|一组|的?那?一?箱|一包的|一袋的| ?装)?(?P<pack>[ -]?(?:pack|set|box))?"
    ))
});
static SET_OF: LazyLock<Regex> =
    LazyLock::new(|| compiled(&format!(r"(?:pack|set|box|bundle|for|of|sleeps|fits) (?:of )?(?P<n>{NUMBER})")));
/// 二两: the numeral 两 is a weight behind another one.
static LIANG: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?P<n>[一二三四五六七八九十半]|[0-9]+)两(?P<end>装|的|罐|袋|包|盒|$)"));
static BARE: LazyLock<Regex> = LazyLock::new(|| compiled(r"[0-9]+(?:\.[0-9]+)?"));

/// The patterns are our own text: one that does not compile is a mistake that the first test finds.
fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|e| panic!("the pattern {pattern} does not compile: {e}"))
}

/// The value of a number in digits, Chinese numerals or English words; halves too.
pub(crate) fn number(text: &str) -> Option<f64> {
    let text = text.trim_end_matches(['到', '-', '~', ' ']);
    let word = match text {
        "one" | "single" | "单" => Some(1.0),
        "two" | "double" | "couple" | "俩" | "双" => Some(2.0),
        "three" | "仨" => Some(3.0),
        "four" => Some(4.0),
        "five" => Some(5.0),
        "six" => Some(6.0),
        "seven" => Some(7.0),
        "eight" => Some(8.0),
        "nine" => Some(9.0),
        "ten" => Some(10.0),
        "twelve" => Some(12.0),
        "twenty" => Some(20.0),
        "thirty" => Some(30.0),
        "half a" | "half an" | "半" => Some(0.5),
        "full" | "whole" | "a full" | "a whole" => Some(1.0),
        quarter if quarter.split(' ').any(|w| w == "quarter") => Some(0.25),
        _ => None,
    };
    if word.is_some() {
        return word;
    }
    for (end, scale) in [("万", 10_000.0), ("千", 1_000.0)] {
        if let Some(digits) = text.strip_suffix(end).filter(|d| d.starts_with(|c: char| c.is_ascii_digit())) {
            return digits.parse::<f64>().ok().map(|n| n * scale);
        }
    }
    if let Some(whole) = text.strip_suffix('半').filter(|w| !w.is_empty()) {
        return parse_number(whole).map(|n| n + 0.5);
    }
    parse_number(&text.replace('俩', "两"))
}

/// Every amount of a normalised text, longest first where two overlap, and the bare numbers that are left.
pub(crate) fn quantities(text: &str) -> (Vec<FoundQuantity>, Vec<(Range<usize>, f64)>) {
    let mut found: Vec<FoundQuantity> = Vec::new();
    let mut taken: Vec<Range<usize>> = Vec::new();
    let mut take = |range: Range<usize>, read: Vec<(Quantity, bool)>, found: &mut Vec<FoundQuantity>| {
        if read.is_empty() || taken.iter().any(|t| t.start < range.end && range.start < t.end) || cuts_a_word(text, &range) {
            return;
        }
        taken.push(range.clone());
        found.extend(read.into_iter().map(|(quantity, firm)| FoundQuantity { range: range.clone(), quantity, firm }));
    };
    for c in TIMES.captures_iter(text) {
        take(whole(&c), times(&c), &mut found);
    }
    for c in AREA.captures_iter(text) {
        take(whole(&c), area(&c).map(|q| (q, true)).into_iter().collect(), &mut found);
    }
    for c in LIANG.captures_iter(text) {
        let read = c.name("n").and_then(|n| number(n.as_str())).and_then(|n| Quantity::of(Dimension::Mass, n * 50.0));
        let end = c.name("end").map_or(0, |m| m.start());
        take(whole(&c).start..end, read.map(|q| (q, true)).into_iter().collect(), &mut found);
    }
    for c in MEASURE.captures_iter(text) {
        let (mut range, read) = (whole(&c), measure(&c));
        // Digits behind the unit that were not part of it (`1米床` is; `3L 2-4人` is not).
        if let (Some(t), Some((_, false))) = (c.name("t"), read.as_ref().map(|r| (r.0, r.1))) {
            range.end = t.start();
        }
        take(range, read.map(|(q, _)| (q, true)).into_iter().collect(), &mut found);
    }
    for c in COUNT.captures_iter(text) {
        take(whole(&c), count(&c).into_iter().collect(), &mut found);
    }
    for c in SET_OF.captures_iter(text) {
        let read = c.name("n").and_then(|n| number(n.as_str())).filter(|n| n.fract() == 0.0 && *n <= 100.0);
        let persons = ["for", "sleeps", "fits"].iter().any(|w| c[0].starts_with(w));
        let dimension = if persons { Dimension::Persons } else { Dimension::Count };
        take(
            whole(&c),
            read.and_then(|n| Quantity::of(dimension, n))
                .map(|q| (q, c[0].starts_with("set of") || c[0].starts_with("pack of")))
                .into_iter()
                .collect(),
            &mut found,
        );
    }
    let free = |r: &Range<usize>| !taken.iter().any(|t| t.start < r.end && r.start < t.end);
    let bare = BARE
        .find_iter(text)
        .filter(|m| free(&m.range()) && !cuts_a_word(text, &m.range()))
        .filter_map(|m| Some((m.range(), m.as_str().parse().ok()?)))
        .collect();
    found.sort_by_key(|f| f.range.start);
    (found, bare)
}

fn whole(captures: &Captures) -> Range<usize> {
    captures.get(0).map_or(0..0, |m| m.range())
}

/// Latin letters or digits that go on over the border of a match.
fn cuts_a_word(text: &str, range: &Range<usize>) -> bool {
    let joined =
        |a: Option<char>, b: Option<char>| matches!((a, b), (Some(a), Some(b)) if a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric());
    let (before, inside, after) = (&text[..range.start], &text[range.clone()], &text[range.end..]);
    // `2x250ml`: the x counts; a decimal point before means a cut number.
    let left = before.chars().next_back();
    joined(left.filter(|&c| c != 'x'), inside.chars().next())
        || (left == Some('.') && before.trim_end_matches('.').ends_with(|c: char| c.is_ascii_digit()))
        || joined(inside.chars().next_back(), after.chars().next())
}

fn times(c: &Captures) -> Vec<(Quantity, bool)> {
    let of = |n: &str, m: &str, u: &str| {
        let (n, m, u) = (c.name(n)?.as_str(), c.name(m)?.as_str(), c.name(u)?.as_str());
        Some((number(n)?, scale(u, m.parse().ok()?)?))
    };
    let Some((n, (dimension, amount))) = of("n", "m", "u").or_else(|| of("n2", "m2", "u2")) else { return Vec::new() };
    [Quantity::of(Dimension::Count, n), Quantity::of(dimension, amount)].into_iter().flatten().map(|q| (q, true)).collect()
}

fn area(c: &Captures) -> Option<Quantity> {
    let side = |name: &str| {
        let whole = number(c.name(name)?.as_str())?;
        let unit = c.name(&format!("{name}u")).map(|u| u.as_str().trim());
        let tail = c.name(&format!("{name}t")).map(|t| t.as_str());
        let n = match (unit, tail) {
            (Some("米" | "m"), Some(tail)) => decimals(whole, tail)?,
            (None, Some(tail)) if c.name(name)?.as_str().chars().all(|c| c.is_ascii_digit()) => {
                format!("{}{tail}", c.name(name)?.as_str()).parse().ok()?
            }
            _ => whole,
        };
        let metres = match unit {
            Some("米" | "m") => Some(true),
            Some(_) => Some(false),
            None => None,
        };
        Some((n, metres, unit == Some("mm")))
    };
    let ((a, am, mm), (b, bm, mm2)) = (side("a")?, side("b")?);
    let cm = |n: f64, metres: Option<bool>, other: Option<bool>| match metres.or(other) {
        _ if mm || mm2 => n / 10.0,
        Some(true) if n < 20.0 => n * 100.0,
        None if n < 10.0 => n * 100.0,
        _ => n,
    };
    let (a2, b2) = (cm(a, am, bm), cm(b, bm, am));
    // Without a unit the numbers must look like a bed's or a rug's.
    let named = am.is_some() || bm.is_some();
    let fits = |n: f64| (60.0..=400.0).contains(&n);
    (named && a2 >= 1.0 || fits(a2) && fits(b2)).then(|| Quantity::two(Dimension::Area, a2, b2)).flatten()
}

/// `1米8` has its decimals behind the unit, `一米八` too.
fn decimals(whole: f64, tail: &str) -> Option<f64> {
    if whole.fract() != 0.0 {
        return None;
    }
    let digits = if tail.starts_with(|c: char| c.is_ascii_digit()) {
        tail.to_owned()
    } else if tail == "半" {
        "5".into()
    } else {
        format!("{}", number(tail)?)
    };
    format!("{whole}.{digits}").parse().ok()
}

/// The amount of a unit in the dimension's own.
fn scale(unit: &str, n: f64) -> Option<(Dimension, f64)> {
    use Dimension::{Charge, Horsepower, Length, Mass, Power, Screen, Storage, Volume};
    Some(match unit {
        "ml" | "毫升" | "milliliter" | "milliliters" | "millilitre" | "millilitres" => (Volume, n),
        "cl" => (Volume, n * 10.0),
        "l" | "升" | "ltr" | "liter" | "liters" | "litre" | "litres" => (Volume, n * 1000.0),
        "mg" | "毫克" => (Mass, n / 1000.0),
        "g" | "gr" | "克" | "gram" | "grams" => (Mass, n),
        "kg" | "kgs" | "公斤" | "千克" | "kilo" | "kilos" | "kilogram" | "kilograms" => (Mass, n * 1000.0),
        "斤" => (Mass, n * 500.0),
        "oz" => (Mass, n * 28.35),
        "lb" | "lbs" => (Mass, n * 453.6),
        "mm" | "毫米" => (Length, n / 10.0),
        "cm" | "厘米" | "公分" | "centimeter" | "centimeters" | "centimetre" | "centimetres" => (Length, n),
        "m" | "米" | "meter" | "meters" | "metre" | "metres" => (Length, n * 100.0),
        "w" | "watt" | "watts" | "瓦" => (Power, n),
        "kw" => (Power, n * 1000.0),
        "mah" | "毫安" | "毫安时" | "milliamp" | "milliamps" => (Charge, n),
        "kmah" | "k mah" => (Charge, n * 1000.0),
        "hp" | "horsepower" | "匹" => (Horsepower, n),
        "gb" => (Storage, n),
        "tb" => (Storage, n * 1000.0),
        "inch" | "inches" | "英寸" | "寸" => (Screen, n),
        _ => return None,
    })
}

/// The amount, and whether the digits behind the unit belong to it.
fn measure(c: &Captures) -> Option<(Quantity, bool)> {
    let n = number(c.name("n")?.as_str())?;
    let unit = c.name("u")?.as_str();
    let (n, tail) = match (unit, c.name("t").map(|t| t.as_str())) {
        ("米", Some(tail)) => (decimals(n, tail)?, true),
        (_, Some("半")) => (n + 0.5, true),
        _ => (n, false),
    };
    let (dimension, amount) = scale(unit, n)?;
    Some((Quantity::of(dimension, amount)?, tail))
}

fn count(c: &Captures) -> Option<(Quantity, bool)> {
    let n = number(c.name("n")?.as_str())?;
    let unit = c.name("u")?.as_str();
    let marked = c.name("zhuang").is_some() || c.name("pack").is_some() || c.name("set").is_some();
    let double = ["双", "单"].contains(&&c["n"]) && c.name("ren").is_none();
    if n <= 0.0 || n > 10_000.0 || double {
        return None;
    }
    if c.name("ren").is_some() || c.name("man").is_some() {
        let to = c.name("n2").and_then(|n| n.as_str().parse().ok()).unwrap_or(n);
        return Quantity::two(Dimension::Persons, n, to).map(|q| (q, true));
    }
    if c.name("ceng").is_some() || c.name("tier").is_some() {
        return Quantity::of(Dimension::Tiers, n).map(|q| (q, true));
    }
    if c.name("ri").is_some() || c.name("day").is_some() {
        // 半天 is a manner of speaking.
        if n < 1.0 {
            return None;
        }
        let days = match unit {
            "周" | "星期" | "week" | "weeks" => n * 7.0,
            u if u.contains('月') || u.starts_with("month") => n * 30.0,
            _ => n,
        };
        return Quantity::of(Dimension::Count, days).map(|q| (q, marked));
    }
    let firm = marked || matches!(unit, "pack" | "packs" | "pk" | "pcs" | "ct" | "count");
    Quantity::of(Dimension::Count, n).map(|q| (q, firm))
}

/// A size with its system.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Size {
    /// `s`, `xl`, `2xl`, `one size`.
    Word(String),
    /// A number or a range in the catalogue's system: European shoes, waists, centimetres of babies.
    Number(f64, f64),
    Us(f64),
    Uk(f64),
}

impl Size {
    /// Reads a canonical size as the patterns write it: `xl`, `42`, `36-37`, `us 9`.
    pub(crate) fn read(canonical: &str) -> Size {
        let number = |text: &str| text.trim().parse::<f64>().ok();
        if let Some(n) = canonical.strip_prefix("us ").and_then(number) {
            return Size::Us(n);
        }
        if let Some(n) = canonical.strip_prefix("uk ").and_then(number) {
            return Size::Uk(n);
        }
        let (from, to) = canonical.split_once('-').unwrap_or((canonical, canonical));
        match (number(from), number(to)) {
            (Some(a), Some(b)) => Size::Number(a, b),
            _ => Size::Word(canonical.to_owned()),
        }
    }

    /// Whether a named size is this one of the catalogue; `None` where the systems do not compare.
    ///
    /// Shoes by the common charts: EU = US + 33 for men, + 31 for women, EU = UK + 34 for men, + 33 for women.
    pub(crate) fn meets(&self, named: &Size, women: bool) -> Option<bool> {
        let near = |eu: f64, (a, b): (f64, f64)| eu >= a - 0.5 && eu <= b + 0.5;
        match (self, named) {
            (Size::Word(a), Size::Word(b)) => Some(a == b),
            // A small number of a shoe is American or British.
            (Size::Number(a, _), Size::Number(c, d)) if *a >= 34.0 && *d < 16.0 => {
                Some(self.meets(&Size::Us(*c), women) == Some(true) || self.meets(&Size::Uk(*c), women) == Some(true))
            }
            (Size::Number(a, b), Size::Number(c, d)) => Some(c <= b && a <= d),
            (Size::Number(a, b), Size::Us(n)) if *a >= 34.0 && *b <= 50.0 => Some(near(n + if women { 31.0 } else { 33.0 }, (*a, *b))),
            (Size::Number(a, b), Size::Uk(n)) if *a >= 34.0 && *b <= 50.0 => Some(near(n + if women { 33.0 } else { 34.0 }, (*a, *b))),
            (Size::Us(a), Size::Us(b)) | (Size::Uk(a), Size::Uk(b)) => Some(a == b),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        let (found, bare) = quantities(text);
        let named = found.iter().map(|f| format!("{}{}", f.quantity.show(), if f.firm { "!" } else { "" }));
        named.chain(bare.iter().map(|b| format!("({})", b.1))).collect::<Vec<_>>().join(" ")
    }

    #[track_caller]
    fn check(text: &str, expect: &str) {
        assert_eq!(shown(text), expect, "{text}");
    }

    #[test]
    fn one_amount_has_one_value_however_it_is_written() {
        for text in ["250ml", "250毫升", "0.25l", "250 ml", "半斤", "250克", "0.25kg"] {
            assert!(["250ml!", "250g!"].contains(&shown(text).as_str()), "{text}: {}", shown(text));
        }
        check("10斤", "5000g!");
        check("半升", "500ml!");
        check("三升的", "3000ml!");
        check("二两的", "100g!");
        check("两斤半", "1250g!");
        check("1米2床", "120cm!");
        check("一米八的床", "180cm!");
        check("1.8m bed", "180cm!");
        check("10000毫安", "10000mah!");
        check("两万毫安", "20000mah!");
        check("1.5匹", "1.5hp!");
        check("5 watt", "5w!");
    }

    #[test]
    fn areas_are_read_in_centimetres() {
        for text in ["150x200cm", "1.5米x2米", "一米五乘两米", "150*200", "1.5*2米", "150 x 200"] {
            check(text, "150x200cm!");
        }
        check("2米*2米3", "200x230cm!");
        check("220 x 240", "220x240cm!");
    }

    #[test]
    fn packs_are_firm_and_loose_numbers_are_not() {
        check("两件装", "2pcs!");
        check("十双的那种", "10pcs");
        check("set of 4", "4pcs!");
        check("ten pair pack", "10pcs!");
        check("2 x 400ml", "2pcs! 400ml!");
        check("5层", "5tiers!");
        check("4 shelves", "4tiers!");
        check("三人帐篷", "3persons!");
        check("36的", "(36)");
        check("一个月", "30pcs");
    }

    #[test]
    fn sizes_compare_within_and_over_systems() {
        let eu = Size::read("42");
        assert_eq!(eu.meets(&Size::read("us 9"), false), Some(true));
        assert_eq!(eu.meets(&Size::read("uk 8"), false), Some(true));
        assert_eq!(eu.meets(&Size::read("us 11"), false), Some(false));
        assert_eq!(eu.meets(&Size::read("xl"), false), None);
        assert_eq!(Size::read("36-37").meets(&Size::read("37"), false), Some(true));
        assert_eq!(Size::read("xl").meets(&Size::read("m"), false), Some(false));
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "\\PC{0,60}") {
            let clean = crate::text::normalize(&text).text;
            let (found, bare) = quantities(&clean);
            prop_assert!(found.iter().map(|f| &f.range).chain(bare.iter().map(|b| &b.0)).all(|r| clean.get(r.clone()).is_some()));
        }

        #[test]
        fn units_of_one_dimension_agree(n in 1u32..20_000) {
            let litres = format!("{}l", f64::from(n) / 1000.0);
            let (a, b) = (quantities(&format!("{n}ml")).0, quantities(&litres).0);
            prop_assert_eq!(a[0].quantity, b[0].quantity);
            let (a, b) = (quantities(&format!("{n}克")).0, quantities(&format!("{}公斤", f64::from(n) / 1000.0)).0);
            prop_assert_eq!(a[0].quantity, b[0].quantity);
        }
    }
}
