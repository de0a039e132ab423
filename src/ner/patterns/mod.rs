//! What has a form and not a name: identifiers, amounts of money, dates, measures, sizes, model numbers.
//!
//! Each family is a table of rules: what the text must hold for the rule to be tried, a regular expression over the
//! normalised text, and a reader that turns a match into a span with its value or refuses it. Rules may overlap: the merge
//! in the parent module picks.

mod amount;
mod date;
mod model;
mod numerals;
mod size;
mod spec;

use std::cell::OnceCell;
use std::ops::Range;

use regex::{Captures, Regex};

use super::{Source, Span, stands_alone};
use crate::domain::EntityType;
use crate::text::{IdentifierKind, Normalized, find_identifiers, is_han};

pub(super) use date::end_with_time;
pub(super) use numerals::parse as parse_number;
pub(super) use size::canonical as canonical_size;
pub(super) use spec::canonical as canonical_specs;

/// What a text holds, seen in one pass: a rule that needs more is not tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cues(u16);

impl Cues {
    /// An ASCII digit.
    const DIGIT: Cues = Cues(1);
    /// A digit or a Chinese numeral.
    const NUMBER: Cues = Cues(1 << 1);
    /// A Latin letter.
    const LATIN: Cues = Cues(1 << 2);
    /// The sign of a currency.
    const SIGN: Cues = Cues(1 << 3);
    /// A character of Chinese money words.
    const MONEY: Cues = Cues(1 << 4);
    /// A character of Chinese dates: year, month, day.
    const CALENDAR: Cues = Cues(1 << 5);
    /// A character of Chinese week words.
    const WEEK: Cues = Cues(1 << 6);
    /// Before or after, as in `三天前`.
    const AGO: Cues = Cues(1 << 7);
    /// A character of Chinese units and counters.
    const UNIT: Cues = Cues(1 << 8);
    /// `码`.
    const SIZE: Cues = Cues(1 << 9);
    /// What stands between the numbers of a date or of a measure.
    const SEPARATOR: Cues = Cues(1 << 10);
    /// A Chinese character.
    const HAN: Cues = Cues(1 << 11);

    const fn and(self, other: Cues) -> Cues {
        Cues(self.0 | other.0)
    }

    fn has(self, needed: Cues) -> bool {
        self.0 & needed.0 == needed.0
    }

    fn of(text: &str) -> Cues {
        text.chars().fold(Cues(0), |cues, c| cues.and(Cues::of_char(c)))
    }

    fn of_char(c: char) -> Cues {
        match c {
            '0'..='9' => Cues::DIGIT.and(Cues::NUMBER),
            'a'..='z' => Cues::LATIN,
            '$' | '£' | '€' | '¥' => Cues::SIGN,
            '/' | '.' | '-' | '*' | '×' => Cues::SEPARATOR,
            _ if !is_han(c) => Cues(0),
            '零' | '一' | '二' | '两' | '三' | '四' | '五' | '六' | '七' | '八' | '九' | '十' | '百' | '千' | '万' | '几' | '半' => {
                Cues::NUMBER.and(Cues::HAN)
            }
            '块' => Cues::MONEY.and(Cues::UNIT).and(Cues::HAN),
            '元' | '币' | '美' | '欧' | '镑' => Cues::MONEY.and(Cues::HAN),
            '年' | '月' | '日' | '号' => Cues::CALENDAR.and(Cues::HAN),
            '周' | '期' | '拜' => Cues::WEEK.and(Cues::HAN),
            '前' | '后' => Cues::AGO.and(Cues::HAN),
            '升' | '克' | '斤' | '米' | '分' | '寸' | '匹' | '瓦' | '装' | '支' | '片' | '粒' | '抽' | '颗' | '枚' | '人' => {
                Cues::UNIT.and(Cues::HAN)
            }
            '码' => Cues::SIZE.and(Cues::HAN),
            _ => Cues::HAN,
        }
    }
}

/// A text under reading. Upper case is gone from `text`; where it decides (`128G`, `US 9`) the original is asked.
struct Context<'a> {
    text: &'a str,
    original: &'a str,
    normalized: &'a Normalized,
    cues: Cues,
    topics: Topics,
}

/// What the whole text speaks of; looked up once a text, whatever the number of matches that ask.
#[derive(Default)]
struct Topics {
    body: OnceCell<bool>,
    sized: OnceCell<bool>,
    pieces: OnceCell<bool>,
    capitals: OnceCell<bool>,
}

impl<'a> Context<'a> {
    fn new(original: &'a str, normalized: &'a Normalized) -> Self {
        let text = normalized.text.as_str();
        Context { text, original, normalized, cues: Cues::of(text), topics: Topics::default() }
    }

    fn mentions(&self, topic: &OnceCell<bool>, words: &[&str]) -> bool {
        *topic.get_or_init(|| words.iter().any(|word| self.text.contains(word)))
    }

    /// Whether the customer wrote without a small letter anywhere.
    fn is_shouted(&self) -> bool {
        *self.topics.capitals.get_or_init(|| !self.original.chars().any(char::is_lowercase))
    }

    fn before(&self, at: usize) -> &str {
        &self.text[..at]
    }

    fn after(&self, at: usize) -> &str {
        &self.text[at..]
    }

    /// Whether the customer wrote this range without a small letter.
    fn is_upper(&self, range: Range<usize>) -> bool {
        let Some((start, end)) = self.normalized.to_original(range) else { return false };
        !self.original.chars().skip(start).take(end - start).any(char::is_lowercase)
    }
}

/// What a reader makes of a match.
struct Found {
    range: Range<usize>,
    value: Option<String>,
}

struct Rule {
    kind: EntityType,
    needs: Cues,
    regex: Regex,
    read: fn(&Context, &Captures) -> Option<Found>,
}

/// A pattern of the tables is our own text: one that does not compile is a mistake that the first test finds.
fn rule(kind: EntityType, needs: Cues, pattern: &str, read: fn(&Context, &Captures) -> Option<Found>) -> Rule {
    let regex = Regex::new(pattern).unwrap_or_else(|e| panic!("the pattern {pattern} of a table does not compile: {e}"));
    Rule { kind, needs, regex, read }
}

/// The range of the group `id`, the whole match where there is no such group.
fn range_of(captures: &Captures) -> Option<Range<usize>> {
    captures.name("id").or_else(|| captures.get(0)).map(|m| m.range())
}

fn group<'t>(captures: &Captures<'t>, name: &str) -> Option<&'t str> {
    captures.name(name).map(|m| m.as_str())
}

/// Adds everything that has a form.
pub(super) fn find(original: &str, normalized: &Normalized, spans: &mut Vec<Span>) {
    let text = normalized.text.as_str();
    identifiers(text, spans);
    let context = Context::new(original, normalized);
    for table in [amount::rules(), date::rules(), spec::rules(), size::rules(), model::rules()] {
        for rule in table.iter().filter(|rule| context.cues.has(rule.needs)) {
            for captures in rule.regex.captures_iter(text) {
                if let Some(Found { range, value }) = (rule.read)(&context, &captures)
                    && stands_alone(text, range.clone())
                {
                    spans.push(Span { range, kind: Some(rule.kind), source: Source::Pattern, value, head: false });
                }
            }
        }
    }
}

/// Addresses of pages are taken too, without an entity, so that nothing inside of one is.
fn identifiers(text: &str, spans: &mut Vec<Span>) {
    // No identifier has fewer digits, and the search costs more than the rest of a short message.
    let digits = text.bytes().filter(u8::is_ascii_digit).take(4).count();
    if digits < 4 && !text.contains('@') && !text.contains("www.") && !text.contains("://") {
        return;
    }
    spans.extend(find_identifiers(text).into_iter().map(|identifier| Span {
        range: identifier.start..identifier.end,
        kind: match identifier.kind {
            IdentifierKind::Url => None,
            IdentifierKind::Email => Some(EntityType::Email),
            IdentifierKind::Phone => Some(EntityType::Phone),
            IdentifierKind::OrderId => Some(EntityType::OrderId),
            IdentifierKind::TrackingNo => Some(EntityType::TrackingNo),
        },
        source: Source::Identifier,
        value: None,
        head: false,
    }));
}

/// Reads a pattern's own spelling for tests: kind, text and value of everything one family finds.
#[cfg(test)]
fn found(original: &str, kind: EntityType) -> Vec<(String, Option<String>)> {
    let normalized = crate::text::normalize(original);
    let mut spans = Vec::new();
    find(original, &normalized, &mut spans);
    let entities = super::merge(original, &normalized, spans);
    entities.into_iter().filter(|e| e.kind == kind).map(|e| (e.text, e.value)).collect()
}

/// Asserts what one family finds in a text, as `text=value` or `text` alone, separated by `; `.
#[cfg(test)]
#[track_caller]
fn check(kind: EntityType, original: &str, expect: &str) {
    let got: Vec<String> =
        found(original, kind).into_iter().map(|(text, value)| value.map_or(text.clone(), |v| format!("{text}={v}"))).collect();
    assert_eq!(got.join("; "), expect, "{original}");
}
