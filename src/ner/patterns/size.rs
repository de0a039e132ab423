//! Sizes of clothes and shoes; the value is `xl`, `42`, `36-37`, `us 9`, `one size`.
//!
//! A single letter is a size only where something says so: 码, 号, `size`, or a colour or garment that it is attached to.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::numerals::parse;
use super::{Context, Cues, Found, Rule, group, range_of, rule};
use crate::domain::EntityType::Size;
use crate::text::{is_han, normalize};

pub(super) fn rules() -> &'static [Rule] {
    &RULES
}

const LETTERS: &str = "x{0,4}[sml]|[2-6]x[sl]";

static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let digit = Cues::LATIN.and(Cues::DIGIT);
    vec![
        rule(Size, Cues::LATIN, "(?P<l>x{1,4}[sl]|[2-6]x[sl])", letters),
        rule(Size, Cues::LATIN.and(Cues::HAN), "(?P<id>(?P<l>[sml]))(?:码|号)", letters),
        rule(
            Size,
            Cues::LATIN.and(Cues::HAN),
            &format!("(?:色|款|裤|衣|服|衫|裙|[要换发买拍穿选成或和跟是]|还是)(?:的|了|个|条|件)?(?P<id>(?P<l>{LETTERS}))"),
            attached,
        ),
        rule(Size, Cues::LATIN, &format!("size:? ?(?P<id>(?P<l>{LETTERS}))"), letters),
        rule(Size, Cues::LATIN, &format!("(?:in|in an?|to an?|for an?) (?P<id>(?P<l>{LETTERS}))"), letters),
        rule(Size, Cues::LATIN.and(Cues::HAN), "(?P<id>(?P<l>[sml]))(?:换|还是|或|和)", attached),
        rule(Size, Cues::LATIN, r"(?-u:\b)(?P<l>[sml])(?-u:\b)", capital),
        rule(Size, Cues::LATIN, "(?P<id>(?P<l>[sml])) size", letters),
        rule(
            Size,
            Cues::SIZE.and(Cues::NUMBER),
            r"(?P<n>[0-9]{2,3}(?:\.5)?|[二三四五]十[一二三四五六七八九]?)(?:[-到~/](?P<n2>[0-9]{2,3}))?码半?",
            number,
        ),
        rule(
            Size,
            Cues::HAN.and(Cues::DIGIT),
            r"(?:尺码|鞋码|码数|平时穿|穿|脚)(?:是|为|:)? ?(?P<id>(?P<n>[2-5][0-9](?:\.5)?)(?:号|半)?)",
            worn,
        ),
        rule(Size, Cues::HAN.and(Cues::DIGIT), r"(?P<id>(?P<n>3[4-9]|4[0-8]))(?:换|改成)", bare),
        rule(Size, Cues::HAN.and(Cues::DIGIT), r"(?:换|换成|改成|拍成)了?(?P<id>(?P<n>3[4-9]|4[0-8]))", bare),
        rule(
            Size,
            digit,
            r"(?:ordered|clicked|received|got|sent|need|says|even says|to|for|from|wear) (?P<id>(?P<n>(?:3[4-9]|4[0-8])(?:\.5)?))",
            bare,
        ),
        rule(Size, digit, r"size:? ?(?:(?P<r>uk|us|eu|au) ?)?(?P<n>[0-9]{1,2}(?:\.5)?)", number),
        rule(Size, digit, r"(?P<r>uk|us|eu|eur) ?(?:size )?(?P<n>[0-9]{1,2}(?:\.5)?)", region),
    ]
});

fn letters(_: &Context, captures: &Captures) -> Option<Found> {
    Some(Found { range: range_of(captures)?, value: Some(letter_value(group(captures, "l")?)) })
}

/// `an L instead of an M`: in capitals, in a text that is not all capitals, with nothing of another script at its sides.
fn capital(context: &Context, captures: &Captures) -> Option<Found> {
    let found = letters(context, captures)?;
    let (before, after) = (context.before(found.range.start), context.after(found.range.end));
    // `M豆`, `M&S`, `5 M`, `Model S`, `S Korea`.
    let part_of_more = before.ends_with(is_han)
        || before.ends_with(['\'', '&', '-', '.'])
        || before.trim_end().ends_with(|c: char| c.is_ascii_digit())
        || ["model ", "type ", "class ", "mr ", "galaxy "].iter().any(|word| before.ends_with(word))
        || after.starts_with(is_han)
        || after.starts_with(['\'', '&', '-', '+'])
        || [" & ", " shape", " korea", " africa", " america"].iter().any(|word| after.starts_with(word))
        || after.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric()));
    let shouted = context.is_shouted() && !context.cues.has(Cues::HAN);
    (!part_of_more && !shouted && context.is_upper(found.range.clone())).then_some(found)
}

/// `xxl` and `2xl` are one size.
fn letter_value(letters: &str) -> String {
    let xs = letters.chars().filter(|&c| c == 'x').count();
    match (xs, letters.chars().next_back()) {
        (2.., Some(last)) => format!("{xs}x{last}"),
        _ => letters.to_owned(),
    }
}

/// `红色M` and `要L的`, and not `衣服S型挂钩`.
fn attached(context: &Context, captures: &Captures) -> Option<Found> {
    let found = letters(context, captures)?;
    let after = context.after(found.range.end);
    (!after.starts_with(['型', '钩', '豆', '形', '级', '卡', '+', '-', '\''])).then_some(found)
}

fn number(_: &Context, captures: &Captures) -> Option<Found> {
    let range = range_of(captures)?;
    let n = parse(group(captures, "n")?).filter(|n| (1.0..=200.0).contains(n))?;
    let mut value = super::numerals::plain(n);
    if let Some(to) = group(captures, "n2") {
        value = format!("{value}-{to}");
    }
    if captures[0].ends_with('半') {
        value.push_str(".5");
    }
    if let Some(region) = group(captures, "r").filter(|r| !r.starts_with("eu")) {
        value = format!("{region} {value}");
    }
    Some(Found { range, value: Some(value) })
}

/// `穿42的`, and not `穿20天`.
fn worn(context: &Context, captures: &Captures) -> Option<Found> {
    let found = number(context, captures)?;
    (!context.after(found.range.end).starts_with(['天', '年', '次', '块', '元', '岁', '斤', '度', '分', '个', '件', 'c', '.', '%']))
        .then_some(found)
}

/// A bare number is a size where the text speaks of what has sizes and nothing is counted by it.
fn bare(context: &Context, captures: &Captures) -> Option<Found> {
    const SIZED: [&str; 18] = [
        "鞋", "靴", "码", "裤", "裙", "jeans", "legging", "trousers", "dress", "size", "eu ", "shoe", "boot", "sneaker", "trainer",
        "sandal", "heels", "loafer",
    ];
    const GO_ON: [&str; 9] = [" please", " instead", " but", " and", " not", " or", " pls", " thanks", " if"];
    let found = number(context, captures)?;
    let after = context.after(found.range.end);
    let ends = match after.chars().next() {
        Some(' ') => GO_ON.iter().any(|word| after.starts_with(word)),
        Some(c) => ",.?!;换改吗吧呢的行可".contains(c),
        None => true,
    };
    (ends && context.mentions(&context.topics.sized, &SIZED)).then_some(found)
}

/// `give us 9 days`: the pronoun is told by its small letters.
fn region(context: &Context, captures: &Captures) -> Option<Found> {
    let region = captures.name("r")?;
    if region.as_str() == "us" && !context.is_upper(region.range()) && !context.before(region.start()).ends_with("in ") {
        return None;
    }
    number(context, captures)
}

/// The canonical value of a catalogue's attribute, where the whole of it is a size.
pub(in crate::ner) fn canonical(raw: &str) -> Option<String> {
    static WHOLE: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = format!(
            r"^(?:size )?(?:(?P<l>{LETTERS})|(?:(?P<r>uk|us|eu|au) ?)?(?P<n>[0-9]{{1,3}}(?:\.5)?)(?:[-到~/](?P<n2>[0-9]{{2,3}}))?)(?:码|号)?(?:半)?$"
        );
        Regex::new(&pattern).unwrap_or_else(|e| panic!("the pattern {pattern} of a size does not compile: {e}"))
    });
    let normalized = normalize(raw);
    let captures = WHOLE.captures(&normalized.text)?;
    let context = Context::new(raw, &normalized);
    if captures.name("l").is_some() { letters(&context, &captures)?.value } else { number(&context, &captures)?.value }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::{Size, canonical};

    #[test]
    fn letters_are_sizes_where_something_says_so() {
        check(Size, "粉色XL码羽绒服,XXL,2xl,M码", "XL=xl; XXL=2xl; 2xl=2xl; M=m");
        check(Size, "红色M,要L的,换成S码", "M=m; L=l; S=s");
        check(Size, "size M please, XL in black", "M=m; XL=xl");
        check(Size, "M or L? got an S, M换L", "M=m; L=l; S=s; M=m; L=l");
        check(Size, "M豆,S型挂钩,衣服S型,M&S voucher,Model S,5 M", "");
    }

    #[test]
    fn numbers_are_sizes_with_their_word() {
        check(Size, "42码,37码半,36-37码,四十二码", "42码=42; 37码半=37.5; 36-37码=36-37; 四十二码=42");
        check(Size, "size 8, EU 42, US 9, UK7, size us 9.5", "size 8=8; EU 42=42; US 9=us 9; UK7=uk 7; size us 9.5=us 9.5");
        check(Size, "平时穿38的运动鞋", "38=38");
        check(Size, "鞋子37换38,怎么弄", "37=37; 38=38");
        check(Size, "shoes to 42 please, not size 40", "42=42; size 40=40");
        check(Size, "give us 9 days,6位验证码,穿20天,大一码,got 40 shoes", "");
    }

    #[test]
    fn attributes_are_read_without_context() {
        for (raw, value) in [("S", Some("s")), ("XXL", Some("2xl")), ("28码", Some("28")), ("36-37码", Some("36-37")), ("高枕", None)] {
            assert_eq!(canonical(raw).as_deref(), value, "{raw}");
        }
    }
}
