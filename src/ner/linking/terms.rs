//! The vocabulary: everything that a message can name, found in one pass, and what it is close to where it is misspelt.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use super::Kind;
use super::words::Words;
use crate::domain::EntityType;
use crate::ner::lexicon::{Lexicon, plural};
use crate::ner::{NerError, stands_alone};
use crate::text::is_han;

/// What a term can mean; most mean one thing, some several (绿茶 is a tea and a scent).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Sense {
    /// A product, under the name where its names meet.
    Product(String),
    /// A brand of the catalogue, as the catalogue writes it, normalised.
    Brand(String),
    /// A maker that the catalogue does not have.
    Maker(String),
    /// A value of an attribute.
    Value(Kind, String),
    /// What a word only implies: a family.
    Implied(Kind, String),
    /// A size in words.
    Size(String),
    /// Nothing that is sold: the text is consumed.
    Shield,
}

/// A term of the vocabulary in a text.
#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub range: Range<usize>,
    /// Position in [`Vocabulary::senses`].
    pub term: usize,
}

/// Terms with their senses. Immutable.
pub(crate) struct Vocabulary {
    automaton: AhoCorasick,
    terms: Vec<String>,
    senses: Vec<Vec<Sense>>,
    /// Chinese terms with one character left out, to the terms.
    masked: HashMap<u64, Vec<u32>>,
    /// Latin words of terms by first letter and length, to the terms.
    spelt: HashMap<(char, usize), Vec<u32>>,
}

/// Collects a vocabulary.
#[derive(Default)]
pub(crate) struct Collector {
    terms: HashMap<String, Vec<Sense>>,
    fuzzy: HashSet<String>,
}

impl Collector {
    pub(crate) fn add(&mut self, term: &str, sense: Sense) {
        let mut push = |term: &str| {
            let senses = self.terms.entry(term.to_owned()).or_default();
            if !senses.contains(&sense) {
                senses.push(sense.clone());
            }
        };
        if term.is_empty() || term.chars().all(|c| c.is_ascii_digit()) {
            return;
        }
        push(term);
        if !term.contains(is_han) {
            if term.contains('-') {
                push(&term.replace('-', " "));
                push(&term.replace('-', ""));
            }
            if let (Sense::Product(_), Some(plural)) = (&sense, plural(term)) {
                push(&plural);
            }
        }
    }

    /// As [`Self::add`], and found where it is misspelt as well.
    pub(crate) fn add_fuzzy(&mut self, term: &str, sense: Sense) {
        self.add(term, sense);
        self.fuzzy.insert(term.to_owned());
    }

    /// The general words: the lexicon's and the linking's own.
    pub(crate) fn add_general(&mut self, lexicon: &Lexicon, words: &Words) {
        for (term, sense) in lexicon.terms() {
            let value = |kind| Sense::Value(kind, term.to_owned());
            match sense.kind {
                None => self.add(term, Sense::Shield),
                Some(EntityType::Product) => self.add_fuzzy(term, Sense::Product(words.canonical(term))),
                Some(EntityType::Color) => {
                    self.add(term, value(Kind::Color));
                    self.add_stem(term, "色", Kind::Color);
                }
                Some(EntityType::Material) => self.add(term, value(Kind::Material)),
                Some(EntityType::Flavor) => {
                    self.add(term, value(Kind::Flavor));
                    self.add_stem(term, "味", Kind::Flavor);
                }
                Some(EntityType::Size) => {
                    if let Some(size) = &sense.value {
                        self.add(term, Sense::Size(size.clone()));
                    }
                }
                _ => {}
            }
        }
        for name in words.product_names() {
            self.add_fuzzy(name, Sense::Product(words.canonical(name)));
        }
        for (kind, name) in words.value_names() {
            self.add(name, Sense::Value(kind, name.to_owned()));
        }
        for (kind, word, family) in &words.implied {
            self.terms.insert(word.clone(), vec![Sense::Implied(*kind, family.clone())]);
        }
        for (word, size) in &words.size_words {
            self.add(word, Sense::Size(size.clone()));
        }
        for word in &words.shield {
            self.terms.insert(word.clone(), vec![Sense::Shield]);
        }
        for maker in &words.makers {
            self.add(maker, Sense::Maker(maker.clone()));
        }
    }

    /// 黑 of 黑色, 白桃 of 白桃味.
    fn add_stem(&mut self, term: &str, end: &str, kind: Kind) {
        // Of single characters only those that are hardly ever anything else: 米 counts metres, 酸 and 甜 are complaints.
        const ALONE: &str = "黑白灰红粉橙橘黄绿蓝紫棕银";
        let usable = |s: &&str| s.chars().all(is_han) && (s.chars().count() > 1 || (!s.is_empty() && ALONE.contains(s)));
        if let Some(stem) = term.strip_suffix(end).filter(usable) {
            self.add(stem, Sense::Value(kind, term.to_owned()));
        }
    }

    pub(crate) fn build(self) -> Result<Vocabulary, NerError> {
        let mut rows: Vec<(String, Vec<Sense>)> = self.terms.into_iter().collect();
        // The order of a hash table must not reach an answer.
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        let (terms, senses): (Vec<String>, Vec<Vec<Sense>>) = rows.into_iter().unzip();
        let automaton = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::ContiguousNFA))
            .build(&terms)
            .map_err(|e| NerError::TooManyTerms(e.to_string()))?;
        let mut masked: HashMap<u64, Vec<u32>> = HashMap::new();
        let mut spelt: HashMap<(char, usize), Vec<u32>> = HashMap::new();
        for (at, term) in terms.iter().enumerate().filter(|(_, t)| self.fuzzy.contains(*t)) {
            let chars: Vec<char> = term.chars().collect();
            if (3..=8).contains(&chars.len()) && chars.iter().all(|&c| is_han(c)) {
                for hole in 0..chars.len() {
                    masked.entry(mask(&chars, hole)).or_default().push(at as u32);
                }
            } else if (5..=20).contains(&chars.len()) && chars.iter().all(|c| c.is_ascii_lowercase()) {
                spelt.entry((chars[0], chars.len())).or_default().push(at as u32);
            }
        }
        Ok(Vocabulary { automaton, terms, senses, masked, spelt })
    }
}

fn mask(chars: &[char], hole: usize) -> u64 {
    use std::hash::Hasher;
    let mut hasher = rustc_hash::FxHasher::default();
    for (at, &c) in chars.iter().enumerate() {
        hasher.write_u32(if at == hole { 0 } else { c as u32 });
    }
    hasher.write_usize(chars.len());
    hasher.finish()
}

impl Vocabulary {
    pub(crate) fn senses(&self, hit: &Hit) -> &[Sense] {
        &self.senses[hit.term]
    }

    /// Terms that stand alone, the longer before what it overlaps; sorted by place.
    pub(crate) fn find(&self, text: &str) -> Vec<Hit> {
        let mut hits: Vec<Hit> = self
            .automaton
            .find_overlapping_iter(text)
            .filter(|m| stands_alone(text, m.range()))
            .map(|m| Hit { range: m.range(), term: m.pattern().as_usize() })
            .collect();
        hits.sort_by_key(|h| (std::cmp::Reverse(h.range.len()), h.range.start));
        let mut taken = vec![false; text.len()];
        hits.retain(|hit| {
            let bytes = &mut taken[hit.range.clone()];
            let free = !bytes.contains(&true);
            if free {
                bytes.fill(true);
            }
            free
        });
        hits.sort_by_key(|h| h.range.start);
        hits
    }

    /// Terms that a stretch of the text is one slip away from: a wrong Chinese character of three or more, a letter of five or
    /// more. Stretches that `skip` covers are left alone.
    pub(crate) fn near(&self, text: &str, skip: &dyn Fn(&Range<usize>) -> bool) -> Vec<Hit> {
        let mut out = Vec::new();
        let chars: Vec<(usize, char)> = text.char_indices().collect();
        let end = |at: usize| chars.get(at).map_or(text.len(), |c| c.0);
        for length in (3..=8).rev() {
            for (from, window) in chars.windows(length).enumerate().filter(|(_, w)| w.iter().all(|c| is_han(c.1))) {
                let range = window[0].0..end(from + length);
                let letters: Vec<char> = window.iter().map(|c| c.1).collect();
                if skip(&range) {
                    continue;
                }
                let found = (0..length).find_map(|hole| self.masked.get(&mask(&letters, hole)).and_then(|terms| terms.first()));
                out.extend(found.map(|&term| Hit { range, term: term as usize }));
            }
        }
        for (range, word) in latin_words(text).filter(|(range, word)| word.len() >= 5 && !skip(range)) {
            let first = word.chars().next().unwrap_or_default();
            let close = (word.len() - 1..=word.len() + 1).filter_map(|length| self.spelt.get(&(first, length))).flatten().find(|&&term| {
                let term = self.terms[term as usize].as_str();
                // A short word with another letter is another word (still, shell); one with a letter too few is rather a slip.
                one_slip(word, term) && (word.len() > 5 || term.len() > word.len()) && !super::catalogue::COMMON.contains(&word)
            });
            out.extend(close.map(|&term| Hit { range, term: term as usize }));
        }
        out
    }
}

/// Words of Latin letters and digits with their place.
pub(crate) fn latin_words(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let borders = text.split(|c: char| !(c.is_ascii_alphanumeric()));
    borders.filter(|w| !w.is_empty()).map(move |word| {
        let at = word.as_ptr() as usize - text.as_ptr() as usize;
        (at..at + word.len(), word)
    })
}

/// Whether two words differ by one letter, or by two neighbours that changed places.
pub(crate) fn one_slip(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a == b || a.len().abs_diff(b.len()) > 1 {
        return false;
    }
    let front = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (ra, rb) = (&a[front..], &b[front..]);
    let back = ra.iter().rev().zip(rb.iter().rev()).take_while(|(x, y)| x == y).count();
    let (ra, rb) = (&ra[..ra.len() - back.min(ra.len())], &rb[..rb.len() - back.min(rb.len())]);
    ra.len() <= 1 && rb.len() <= 1 || (ra.len() == 2 && rb.len() == 2 && ra[0] == rb[1] && ra[1] == rb[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slip_is_one_letter_or_two_neighbours() {
        for (a, b, near) in [
            ("pilow", "pillow", true),
            ("lumino", "lumio", true),
            ("kettel", "kettle", true),
            ("desk", "disk", true),
            ("lamp", "lump", true),
            ("shirt", "skirts", false),
            ("same", "same", false),
        ] {
            assert_eq!(one_slip(a, b), near, "{a} {b}");
        }
    }
}
