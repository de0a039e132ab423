//! What customers call things beyond the names of a catalogue: `words.toml`, read once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use serde::Deserialize;

use super::Kind;
use crate::text::normalize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    same: Vec<Vec<String>>,
    wider: Vec<Wider>,
    parts: Vec<String>,
    contrast: Vec<ContrastRow>,
    value: BTreeMap<String, Vec<Vec<String>>>,
    implied: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    size_word: BTreeMap<String, Vec<String>>,
    extreme: Extreme,
    shield: List,
    maker: Names,
    cues: Cues,
    pinyin: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Wider {
    names: Vec<String>,
    covers: Vec<String>,
}

#[derive(Deserialize)]
struct ContrastRow {
    name: String,
    values: Vec<Vec<String>>,
}

#[derive(Deserialize)]
struct Extreme {
    most: Vec<String>,
    least: Vec<String>,
}

#[derive(Deserialize)]
struct List {
    words: Vec<String>,
}

#[derive(Deserialize)]
struct Names {
    names: Vec<String>,
}

/// Words that say how a customer stands to a name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cues {
    pub rejected: Vec<String>,
    pub came: Vec<String>,
    pub wanted: Vec<String>,
    pub target: Vec<String>,
    pub neutral: Vec<String>,
    pub behind: Vec<String>,
}

impl Cues {
    fn clean(self) -> Cues {
        let [rejected, came, wanted, target, neutral, behind] =
            [self.rejected, self.came, self.wanted, self.target, self.neutral, self.behind].map(|words| clean(&words));
        Cues { rejected, came, wanted, target, neutral, behind }
    }
}

/// Kinds of things that exclude one another: long and short, men's and women's.
pub(crate) struct Contrast {
    pub name: String,
    /// The words of each value.
    pub values: Vec<Vec<String>>,
    /// Words that say so only where they stand alone in a title (`男`).
    pub in_titles: Vec<Vec<String>>,
}

pub(crate) struct Words {
    /// A product's name to the first name of its group.
    same: HashMap<String, String>,
    /// A wider name to the groups that it covers.
    pub wider: HashMap<String, Vec<String>>,
    pub parts: HashSet<String>,
    pub contrasts: Vec<Contrast>,
    /// All words of the contrasts, and of which contrast and value each is.
    sides: (AhoCorasick, Vec<(u8, u8)>),
    /// A value's name to the rows that it stands in.
    rows: HashMap<(Kind, String), Vec<u32>>,
    /// Words that only imply a family.
    pub implied: Vec<(Kind, String, String)>,
    pub size_words: HashMap<String, String>,
    pub most: Vec<String>,
    pub least: Vec<String>,
    pub shield: Vec<String>,
    pub makers: Vec<String>,
    pub cues: Cues,
    pinyin: HashMap<char, String>,
}

static WORDS: LazyLock<Words> = LazyLock::new(|| {
    // Our own text: broken, it would fail every test.
    let file: File = toml::from_str(include_str!("words.toml")).unwrap_or_else(|e| panic!("words.toml: {e}"));
    Words::of(file)
});

fn clean(words: &[String]) -> Vec<String> {
    words.iter().map(|w| normalize(w).text).filter(|w| !w.is_empty()).collect()
}

impl Words {
    pub(crate) fn shipped() -> &'static Words {
        &WORDS
    }

    fn of(file: File) -> Words {
        let mut same = HashMap::new();
        for group in &file.same {
            let names = clean(group);
            for name in &names {
                same.entry(name.clone()).or_insert_with(|| names[0].clone());
            }
        }
        let canonical = |name: &str| same.get(name).cloned().unwrap_or_else(|| name.to_owned());
        let mut wider: HashMap<String, Vec<String>> = HashMap::new();
        for row in &file.wider {
            let covers: Vec<String> = clean(&row.covers).iter().map(|c| canonical(c)).collect();
            for name in clean(&row.names) {
                wider.entry(name).or_default().extend(covers.iter().cloned());
            }
        }
        let mut rows: HashMap<(Kind, String), Vec<u32>> = HashMap::new();
        let mut row = 0;
        for (kind, values) in &file.value {
            let Some(kind) = Kind::of_attribute(kind) else { continue };
            for names in values {
                for name in clean(names) {
                    rows.entry((kind, name)).or_default().push(row);
                }
                row += 1;
            }
        }
        let title_only = |w: &&String| w.ends_with(' ');
        let contrasts = file.contrast.into_iter().map(|c| Contrast {
            in_titles: c.values.iter().map(|v| clean(&v.iter().filter(title_only).cloned().collect::<Vec<_>>())).collect(),
            values: c.values.iter().map(|v| clean(&v.iter().filter(|w| !title_only(w)).cloned().collect::<Vec<_>>())).collect(),
            name: c.name,
        });
        let contrasts: Vec<Contrast> = contrasts.collect();
        let sides = contrasts.iter().enumerate().flat_map(|(c, contrast)| {
            contrast.values.iter().enumerate().flat_map(move |(v, words)| words.iter().map(move |w| (w.as_str(), (c as u8, v as u8))))
        });
        let (names, sides): (Vec<&str>, Vec<(u8, u8)>) = sides.unzip();
        let automaton = AhoCorasick::new(names).unwrap_or_else(|e| panic!("the words of the contrasts: {e}"));
        let implied =
            file.implied.iter().filter_map(|(kind, families)| Some((Kind::of_attribute(kind)?, families))).flat_map(|(kind, families)| {
                families.iter().flat_map(move |(family, words)| clean(words).into_iter().map(move |w| (kind, w, family.clone())))
            });
        Words {
            implied: implied.collect(),
            sides: (automaton, sides),
            contrasts,
            wider,
            parts: clean(&file.parts).into_iter().collect(),
            rows,
            size_words: file.size_word.iter().flat_map(|(size, words)| clean(words).into_iter().map(|w| (w, size.clone()))).collect(),
            most: clean(&file.extreme.most),
            least: clean(&file.extreme.least),
            shield: clean(&file.shield.words),
            makers: clean(&file.maker.names),
            cues: file.cues.clean(),
            pinyin: file.pinyin.iter().flat_map(|(sound, chars)| chars.chars().map(|c| (c, sound.clone()))).collect(),
            same,
        }
    }

    /// The name under which a product's names meet.
    pub(crate) fn canonical(&self, name: &str) -> String {
        let one = crate::ner::lexicon::singular(name);
        self.same.get(name).or_else(|| self.same.get(&one)).cloned().unwrap_or(one)
    }

    /// Sides of contrasts that a normalised text names: contrast, value, place.
    pub(crate) fn sides_in<'t>(&'t self, text: &'t str) -> impl Iterator<Item = (u8, u8, Range<usize>)> {
        let (automaton, sides) = &self.sides;
        let alone = automaton.find_overlapping_iter(text).filter(move |m| crate::ner::stands_alone(text, m.range()));
        alone.map(move |m| (sides[m.pattern().as_usize()].0, sides[m.pattern().as_usize()].1, m.range()))
    }

    pub(crate) fn product_names(&self) -> impl Iterator<Item = &str> {
        self.same.keys().chain(self.wider.keys()).map(String::as_str)
    }

    pub(crate) fn value_names(&self) -> impl Iterator<Item = (Kind, &str)> {
        self.rows.keys().map(|(kind, name)| (*kind, name.as_str()))
    }

    /// The rows that a value's name stands in.
    pub(crate) fn rows(&self, kind: Kind, name: &str) -> &[u32] {
        self.rows.get(&(kind, name.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// A Chinese brand as it is typed by ear (`yunduojia`); `None` where a character's sound is not known.
    pub(crate) fn sound(&self, name: &str) -> Option<String> {
        let chars: Vec<char> = name.chars().filter(|c| !c.is_whitespace()).collect();
        (chars.len() >= 2).then(|| chars.iter().map(|c| self.pinyin.get(c).map(String::as_str)).collect::<Option<String>>()).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_one_thing_meet() {
        let words = Words::shipped();
        for (a, b) in [("尿不湿", "diapers"), ("nappy", "纸尿裤"), ("毛衣", "pullover"), ("puffer", "羽绒外套")] {
            assert_eq!(words.canonical(a), words.canonical(b), "{a} {b}");
        }
        assert_eq!(words.sound("云朵家").as_deref(), Some("yunduojia"));
        assert!(!words.rows(Kind::Color, "藏蓝").is_empty());
    }
}
