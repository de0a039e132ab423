//! A message read against the vocabulary: what it names, and how it stands to it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::Kind;
use super::catalogue::{Index, grams};
use super::polarity::{Cues, Stance};
use super::terms::Sense;
use super::values::{Quantity, Size, quantities};
use super::words::Words;
use crate::domain::{Entity, EntityType};
use crate::ner::stands_alone;
use crate::text::{Normalized, is_han, normalize};

/// A value as it is named.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Named {
    Term { term: String, rows: Vec<u32>, family: Option<String> },
    Amount(Quantity),
    Size(Size),
}

/// A value in its place.
#[derive(Debug, Clone)]
pub(crate) struct Mention {
    pub range: Range<usize>,
    pub kind: Kind,
    pub value: Named,
    pub stance: Stance,
    /// Whether an entry without it is contradicted; loose counts only help.
    pub firm: bool,
}

impl Mention {
    /// Where the product begins that the value stands right before: 白袜子, 白色的袜子, white socks.
    pub(crate) fn bound(&self, text: &str, products: &[ProductMention]) -> Option<usize> {
        let between = |p: &ProductMention| {
            p.range.start >= self.range.end && matches!(&text[self.range.end..p.range.start], "" | " " | "的" | "色" | "色的" | "色 ")
        };
        products.iter().filter(|p| between(p)).map(|p| p.range.start).min()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct ProductMention {
    pub range: Range<usize>,
    /// Canonical.
    pub name: String,
    pub stance: Stance,
    /// In passing: `onto my sofa`, `和袜子一起`.
    pub scenery: bool,
    /// Surely so: where nothing else is named, something else is meant.
    pub passing: bool,
    /// Right before another one, which it may only describe: 床的床笠, 龙井礼盒.
    pub modifier: bool,
    pub misspelt: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Reading {
    /// Normalised.
    pub text: String,
    pub products: Vec<ProductMention>,
    pub values: Vec<Mention>,
    /// Contrast, value, stance.
    pub contrasts: Vec<(u8, u8, Stance)>,
    /// Numbers without a unit.
    pub bare: Vec<(Range<usize>, f64, Stance)>,
    /// Letters with digits that no name has.
    pub codes: Vec<(Range<usize>, String)>,
    /// A maker that the catalogue does not have.
    pub maker: Option<String>,
    pub most: bool,
    pub least: bool,
    /// Of what nothing else read.
    pub rest: Vec<u64>,
    /// Of the whole.
    pub grams: Vec<u64>,
    /// Share of the characters that were read, in [0, 1].
    pub read: f64,
}

/// Characters looked at: what a product is stands near the beginning of the longest message, and no message may cost seconds.
const MOST_BYTES: usize = 6_000;

static CODE: LazyLock<Regex> = LazyLock::new(|| compiled(r"[a-z]{1,4}[ -]?[0-9]{1,4}[a-z]?"));
static TAIL: LazyLock<Regex> = LazyLock::new(|| compiled(r"[0-9]{1,3} ?(?:pro ?max|pro|plus|max|mini|ultra)"));
static LETTER: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?:x{0,4}[sml]|[2-6]x[sl]?|[2-6]xl)(?:码|号)?|nb(?:码|号)?"));
static REGION: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?P<r>us|uk|eu|eur) ?(?:size )?(?P<n>[0-9]{1,2}(?:\.5)?)(?:码|号)?"));
/// What goes on behind a model's name and makes it another model.
static SUFFIX: LazyLock<Regex> = LazyLock::new(|| compiled(r"^ ?(?:pro ?max|pro|max|plus|ultra|mini|lite|fe)(?-u:\b)"));
static RANGE: LazyLock<Regex> = LazyLock::new(|| compiled(r"(?P<a>[0-9]{2}) ?(?:到|至|-|~|/|to) ?(?P<b>[0-9]{2})"));

fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|e| panic!("the pattern {pattern} does not compile: {e}"))
}

/// Where a word stands in a text by itself.
pub(crate) fn word_in(text: &str, word: &str) -> Option<usize> {
    text.match_indices(word).map(|m| m.0).find(|&at| stands_alone(text, at..at + word.len()))
}

impl Reading {
    pub(crate) fn of(original: &str, normalized: &Normalized, entities: &[Entity], index: &Index) -> Reading {
        let words = Words::shipped();
        let mut text = normalized.text.as_str();
        if text.len() > MOST_BYTES {
            text = &text[..(0..=MOST_BYTES).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)];
        }
        let mut reading = Reading { text: text.to_owned(), ..Default::default() };
        let mut taken = vec![false; text.len()];
        let cues = Cues::of(text);
        let spans = entity_spans(original, normalized, entities, text);

        let masked = |range: &Range<usize>| {
            spans.iter().any(|(r, e)| Kind::of_entity(e.kind).is_none() && r.start < range.end && range.start < r.end)
        };
        let (found, bare) = quantities(text);
        for hit in index.vocabulary.find(text) {
            // A bed or a number of pieces inside of an amount (1.8米床) is part of it.
            reading.hear(&hit.range, index.vocabulary.senses(&hit), text, &cues, false, index);
            taken[hit.range.clone()].fill(true);
        }
        for f in found.into_iter().filter(|f| !masked(&f.range)) {
            let stance = cues.stance(text, f.range.start, f.range.end);
            // Names that merely hold a number (四件套) were read as names.
            if taken[f.range.clone()].iter().all(|&t| t) {
                continue;
            }
            taken[f.range.clone()].fill(true);
            reading.values.push(Mention { range: f.range, kind: Kind::Spec, value: Named::Amount(f.quantity), stance, firm: f.firm });
        }
        reading.sizes(original, normalized, text, &mut taken, &cues);
        for (range, entity) in &spans {
            let covered = taken[range.clone()].iter().filter(|&&t| t).count();
            reading.entity(range, entity, covered, text, &cues, index);
            if Kind::of_entity(entity.kind).is_some() {
                taken[range.clone()].fill(true);
            }
        }
        reading.codes(text, &mut taken, &masked);
        let free = |r: &Range<usize>| !masked(r) && !taken[r.clone()].contains(&true);
        let bare = bare.into_iter().filter(|(r, _)| free(r));
        reading.bare = bare.map(|(range, n)| (range.clone(), n, cues.stance(text, range.start, range.end))).collect();
        reading.contrasts(text, words, &cues);
        reading.most = words.most.iter().any(|w| word_in(text, w).is_some());
        reading.least = words.least.iter().any(|w| word_in(text, w).is_some());

        if !reading.products.iter().any(|p| p.stance != Stance::Rejected && is_strong(&p.name, index)) {
            let near = index.vocabulary.near(text, &|range| taken[range.clone()].iter().filter(|&&t| t).count() * 2 > range.len());
            for hit in near {
                reading.hear(&hit.range, index.vocabulary.senses(&hit), text, &cues, true, index);
                taken[hit.range].fill(true);
            }
        }
        reading.scenery();
        let rest: String = text.char_indices().map(|(at, c)| if taken[at] { ' ' } else { c }).collect();
        reading.rest = grams(&rest);
        reading.grams = grams(text);
        let letters = |s: &str| s.chars().filter(|c| c.is_alphanumeric()).count().max(1) as f64;
        reading.read = 1.0 - (letters(&rest) - 1.0).max(0.0) / letters(text);
        reading
    }

    /// Takes a term in every sense that it has.
    fn hear(&mut self, range: &Range<usize>, senses: &[Sense], text: &str, cues: &Cues, misspelt: bool, index: &Index) {
        let stance = cues.stance(text, range.start, range.end);
        for sense in senses {
            match sense {
                Sense::Product(name) => {
                    self.products.push(ProductMention {
                        range: range.clone(),
                        name: name.clone(),
                        stance,
                        scenery: false,
                        passing: false,
                        modifier: false,
                        misspelt,
                    });
                }
                Sense::Brand(brand) => self.values.push(Mention {
                    range: range.clone(),
                    kind: Kind::Brand,
                    value: Named::Term { term: brand.clone(), rows: vec![], family: None },
                    stance,
                    firm: true,
                }),
                Sense::Value(Kind::Model, term) if SUFFIX.is_match(&text[range.end..]) && term.contains(|c: char| c.is_ascii_digit()) => {
                    let suffix = SUFFIX.find(&text[range.end..]).map_or("", |m| m.as_str());
                    let value = Named::Term { term: format!("{term}{}", suffix.replace(' ', "")), rows: vec![], family: None };
                    self.values.push(Mention { range: range.clone(), kind: Kind::Model, value, stance, firm: true });
                }
                Sense::Value(kind, term) => {
                    self.values.push(Mention { range: range.clone(), kind: *kind, value: term_of(*kind, term, index), stance, firm: true });
                }
                Sense::Implied(kind, family) => {
                    let value = Named::Term { term: String::new(), rows: vec![], family: Some(family.clone()) };
                    self.values.push(Mention { range: range.clone(), kind: *kind, value, stance: Stance::Neutral, firm: false });
                }
                Sense::Size(size) => {
                    self.values.push(Mention {
                        range: range.clone(),
                        kind: Kind::Size,
                        value: Named::Size(Size::read(size)),
                        stance,
                        firm: true,
                    });
                }
                // A maker is wanted where its product follows.
                Sense::Maker(maker) if self.maker.is_none() && stance != Stance::Rejected => self.maker = Some(maker.clone()),
                Sense::Maker(_) | Sense::Shield => {}
            }
        }
    }

    /// Letters and ranges that are sizes wherever the candidates have sizes.
    fn sizes(&mut self, original: &str, normalized: &Normalized, text: &str, taken: &mut [bool], cues: &Cues) {
        for c in RANGE.captures_iter(text) {
            let Some(range) = c.get(0).map(|m| m.range()) else { continue };
            let (Some(a), Some(b)) = (c["a"].parse::<f64>().ok(), c["b"].parse::<f64>().ok()) else { continue };
            if a < b
                && b - a <= 3.0
                && (16.0..60.0).contains(&a)
                && stands_alone(text, range.clone())
                && !taken[range.clone()].contains(&true)
            {
                let stance = cues.stance(text, range.start, range.end);
                taken[range.clone()].fill(true);
                self.values.push(Mention { range, kind: Kind::Size, value: Named::Size(Size::Number(a, b)), stance, firm: true });
            }
        }
        for c in REGION.captures_iter(text) {
            let (Some(range), Ok(n)) = (c.get(0).map(|m| m.range()), c["n"].parse::<f64>()) else { continue };
            // `give us 9 days` is no size.
            let pronoun = &c["r"] == "us" && super::trial::counts_time(&text[range.end..]);
            if pronoun || !stands_alone(text, range.clone()) || taken[range.clone()].contains(&true) {
                continue;
            }
            let size = match &c["r"] {
                "us" => Size::Us(n),
                "uk" => Size::Uk(n),
                _ => Size::Number(n, n),
            };
            let stance = cues.stance(text, range.start, range.end);
            taken[range.clone()].fill(true);
            self.values.push(Mention { range, kind: Kind::Size, value: Named::Size(size), stance, firm: true });
        }
        for m in LETTER.find_iter(text) {
            let range = m.range();
            if taken[range.clone()].contains(&true) || !stands_alone(text, range.clone()) {
                continue;
            }
            let letters = m.as_str().trim_end_matches(['码', '号']);
            let (before, after) = (&text[..range.start], &text[range.end..]);
            let part = before.ends_with(['\'', '’', '&', '.', '-'])
                || after.starts_with(['\'', '’', '&'])
                || before.trim_end().ends_with(|c: char| c.is_ascii_digit());
            let upper = normalized.to_original(range.clone()).is_some_and(|(s, e)| {
                original.chars().skip(s).take(e - s).any(char::is_uppercase)
                    && original.chars().any(char::is_lowercase) | original.chars().any(is_han)
            });
            let beside = before.ends_with(is_han) || after.starts_with(is_han) || m.as_str().ends_with(['码', '号']);
            let said = ["size ", "in ", "in a ", "in an ", "the ", ", "].iter().any(|w| before.ends_with(w));
            if part || !(letters.len() > 1 || upper || beside || said) {
                continue;
            }
            let stance = cues.stance(text, range.start, range.end);
            taken[range.clone()].fill(true);
            self.values.push(Mention { range, kind: Kind::Size, value: Named::Size(Size::read(&letter(letters))), stance, firm: true });
        }
    }

    /// What a tagger found and the vocabulary did not.
    fn entity(&mut self, range: &Range<usize>, entity: &Entity, covered: usize, text: &str, cues: &Cues, index: &Index) {
        let Some(kind) = Kind::of_entity(entity.kind) else { return };
        let stance = cues.stance(text, range.start, range.end);
        let term = normalize(&entity.text).text;
        let value = match kind {
            Kind::Size => match &entity.value {
                // Numbers of sizes were not read before; words and letters were.
                Some(value) if covered == 0 || matches!(Size::read(value), Size::Number(..) | Size::Us(_) | Size::Uk(_)) => {
                    self.values.retain(|m| !(m.kind == Kind::Spec && m.range.start < range.end && range.start < m.range.end && !m.firm));
                    Named::Size(Size::read(value))
                }
                _ => return,
            },
            Kind::Spec => return,
            _ if covered > 0 => return,
            Kind::Product => {
                self.products.push(ProductMention {
                    range: range.clone(),
                    name: Words::shipped().canonical(&term),
                    stance,
                    scenery: false,
                    passing: false,
                    modifier: false,
                    misspelt: false,
                });
                return;
            }
            Kind::Model => Named::Term { term: term.replace([' ', '-'], ""), rows: vec![], family: None },
            Kind::Brand => return,
            _ => term_of(kind, &term, index),
        };
        self.values.push(Mention { range: range.clone(), kind, value, stance, firm: true });
    }

    fn codes(&mut self, text: &str, taken: &mut [bool], masked: &dyn Fn(&Range<usize>) -> bool) {
        for m in TAIL.find_iter(text).chain(CODE.find_iter(text)) {
            if stands_alone(text, m.range()) && !taken[m.range()].contains(&true) && !masked(&m.range()) {
                self.codes.push((m.range(), m.as_str().replace([' ', '-'], "")));
            }
        }
    }

    fn contrasts(&mut self, text: &str, words: &Words, cues: &Cues) {
        let mut said: BTreeMap<(u8, u8), Stance> = BTreeMap::new();
        for (contrast, value, range) in words.sides_in(text) {
            let stance = cues.stance(text, range.start, range.end);
            let best = said.entry((contrast, value)).or_insert(stance);
            *best = (*best).max(stance);
        }
        self.contrasts = said.into_iter().map(|((contrast, value), stance)| (contrast, value, stance)).collect();
    }

    /// Marks products in passing, and those that only say what the next one is of (床的床笠).
    fn scenery(&mut self) {
        const CUES: [&str; 29] = [
            "和",
            "跟",
            "配",
            "搭",
            "像",
            "比",
            "染",
            "onto my",
            "on my",
            "in my",
            "into my",
            "with my",
            "with my new",
            "w/ my",
            "w/ my new",
            "on top of",
            "on top of a",
            "on top of my",
            "on top of the",
            "under my",
            "beside my",
            "next to my",
            "than my",
            "like my",
            "over my",
            "and my",
            "along with",
            "together with",
            "onto the",
        ];
        // What a household has, which is as often what the message is about.
        const WEAK: [&str; 2] = ["our", "my whole"];
        let text = &self.text;
        let starts: Vec<usize> = self.products.iter().map(|p| p.range.start).collect();
        for product in &mut self.products {
            let (before, after) = (text[..product.range.start].trim_end(), &text[product.range.end..]);
            let ends = |cue: &&str| before.strip_suffix(*cue).is_some_and(|b| cue.contains(is_han) || !b.ends_with(char::is_alphanumeric));
            let (strong, weak) = (CUES.iter().any(ends), WEAK.iter().any(ends));
            let next = starts.iter().any(|&s| s == product.range.end || (after.starts_with('的') && s == product.range.end + "的".len()));
            let in_amount = self.values.iter().any(|m| {
                matches!(m.value, Named::Amount(q) if q.dimension == super::values::Dimension::Length)
                    && m.range.end <= product.range.start
                    && matches!(&text[m.range.end..product.range.start], "" | "的" | " ")
            }) && text[product.range.clone()].chars().count() == 1
                || ["床", "bed"].contains(&&text[product.range.clone()])
                    && before.trim_end_matches(['的', '米', 'm']).ends_with(|c: char| c.is_ascii_digit());
            (product.scenery, product.modifier, product.passing) = (strong || weak || in_amount, next, strong);
        }
    }
}

/// Whether a name is enough to know what is spoken of: sold here, and not a single wide word.
fn is_strong(name: &str, index: &Index) -> bool {
    (index.by_name.contains_key(name) || index.by_ending.contains_key(name)) && name.chars().count() > 1
}

pub(crate) fn term_of(kind: Kind, term: &str, index: &Index) -> Named {
    let spelt = if kind == Kind::Model { term.replace([' ', '-'], "") } else { term.to_owned() };
    let mut rows = Words::shipped().rows(kind, term).to_vec();
    rows.extend(Words::shipped().rows(kind, &spelt));
    let family = kind.entity().and_then(|k| index.lexicon.family(k, term)).map(str::to_owned);
    Named::Term { term: spelt, rows, family }
}

/// `xxl` and `2xl` are one size, `2x` too.
fn letter(letters: &str) -> String {
    let letters = if letters.ends_with('x') { format!("{letters}l") } else { letters.to_owned() };
    match (letters.chars().filter(|&c| c == 'x').count(), letters.chars().next_back()) {
        (n @ 2.., Some(last)) if !letters.starts_with(|c: char| c.is_ascii_digit()) => format!("{n}x{last}"),
        _ => letters,
    }
}

/// Entities with their bytes in the normalised text.
fn entity_spans<'e>(original: &str, normalized: &Normalized, entities: &'e [Entity], text: &str) -> Vec<(Range<usize>, &'e Entity)> {
    if entities.is_empty() {
        return Vec::new();
    }
    // Bytes of the normalised text by code point of the original.
    let mut places: Vec<Option<(usize, usize)>> = vec![None; original.chars().count() + 1];
    for (bytes, origin) in normalized.places().take_while(|(bytes, _)| bytes.end <= text.len()) {
        for place in places.iter_mut().take(origin.end).skip(origin.start) {
            *place = Some(place.map_or((bytes.start, bytes.end), |p| (p.0.min(bytes.start), p.1.max(bytes.end))));
        }
    }
    let span = |e: &Entity| {
        let inside: Vec<(usize, usize)> = places.get(e.start..e.end)?.iter().flatten().copied().collect();
        Some(inside.first()?.0..inside.last()?.1)
    };
    entities.iter().filter_map(|e| Some((span(e)?, e))).filter(|(_, e)| e.kind != EntityType::Date || e.text.chars().count() > 1).collect()
}
