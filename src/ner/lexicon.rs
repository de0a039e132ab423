//! The general words of retail in both languages, from `lexicon.toml`.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::NerError;
use crate::domain::{EntityType, Lang};
use crate::text::{is_han, normalize};

/// A family (the entity's value) and its words.
type Families = BTreeMap<String, Vec<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    shield: Vec<String>,
    head: Vec<String>,
    product: BTreeMap<Lang, Vec<String>>,
    color: Families,
    color_base: BTreeMap<String, String>,
    material: Families,
    flavor: Families,
    flavor_word: Families,
    size: Families,
    date: Families,
}

/// What a term is taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sense {
    /// `None` shields the text: it is consumed without an entity.
    pub kind: Option<EntityType>,
    pub value: Option<String>,
    /// Whether a product right before it makes one thing with it.
    pub head: bool,
}

impl Sense {
    pub fn of(kind: EntityType, value: Option<String>) -> Self {
        Sense { kind: Some(kind), value, head: false }
    }
}

/// Terms of all kinds, normalised, in all the spellings that are looked for.
#[derive(Debug, Clone)]
pub struct Lexicon {
    terms: HashMap<String, Sense>,
    color_base: BTreeMap<String, String>,
}

impl Lexicon {
    /// The lexicon that comes with the program.
    ///
    /// # Errors
    /// As [`Lexicon::parse`].
    pub fn shipped() -> Result<Self, NerError> {
        Self::parse(include_str!("lexicon.toml"))
    }

    /// Reads a lexicon in the form of the shipped one. Where a word stands in two tables the first in this order has it:
    /// shield, product, color, size, material, flavor, date.
    ///
    /// # Errors
    /// When the text is not TOML of that form.
    pub fn parse(toml: &str) -> Result<Self, NerError> {
        let file: File = toml::from_str(toml)?;
        let mut lexicon = Lexicon { terms: HashMap::new(), color_base: file.color_base };
        for word in &file.shield {
            lexicon.add(word, None, None);
        }
        for word in file.product.values().flatten() {
            lexicon.add(word, Some(EntityType::Product), None);
            if let Some(plural) = plural(word) {
                lexicon.add(&plural, Some(EntityType::Product), None);
            }
        }
        for word in &file.head {
            if let Some(sense) = lexicon.terms.get_mut(&normalize(word).text) {
                sense.head = true;
            }
        }
        lexicon.add_families(&file.color, EntityType::Color);
        lexicon.add_families(&file.size, EntityType::Size);
        lexicon.add_families(&file.material, EntityType::Material);
        lexicon.add_families(&file.flavor_word, EntityType::Flavor);
        for (value, words) in &file.flavor {
            for flavored in words.iter().flat_map(|word| flavored(word)) {
                lexicon.add(&flavored, Some(EntityType::Flavor), Some(value));
            }
        }
        for (value, words) in &file.date {
            let value = (value != "none").then_some(value);
            for word in words {
                lexicon.add(word, Some(EntityType::Date), value);
            }
        }
        Ok(lexicon)
    }

    fn add_families(&mut self, families: &Families, kind: EntityType) {
        for (value, words) in families {
            for word in words {
                self.add(word, Some(kind), Some(value));
            }
        }
    }

    fn add(&mut self, word: &str, kind: Option<EntityType>, value: Option<&String>) {
        for term in spellings(&normalize(word).text) {
            self.terms.entry(term).or_insert_with(|| Sense { kind, value: value.cloned(), head: false });
        }
    }

    pub(super) fn terms(&self) -> impl Iterator<Item = (&str, &Sense)> {
        self.terms.iter().map(|(term, sense)| (term.as_str(), sense))
    }

    #[cfg(test)]
    fn sense(&self, term: &str) -> Option<&Sense> {
        self.terms.get(term)
    }

    /// The family of a normalised attribute: its own, or that of the longest known word it ends in (`雾蓝色` is blue, `misty
    /// blue` too). `None` where the lexicon knows no family.
    pub(super) fn family(&self, kind: EntityType, term: &str) -> Option<&str> {
        let lookup = |word: &str| self.terms.get(word).filter(|sense| sense.kind == Some(kind)).and_then(|sense| sense.value.as_deref());
        let completed = |word: &str| match kind {
            EntityType::Color => lookup(&format!("{word}色")),
            EntityType::Flavor if word.ends_with(is_han) => lookup(&format!("{word}味")),
            EntityType::Flavor => lookup(&format!("{word} flavour")),
            _ => None,
        };
        endings(term).find_map(|ending| lookup(ending).or_else(|| completed(ending)))
    }

    /// The plainer family that covers one, or itself.
    pub(super) fn color_base<'a>(&'a self, family: &'a str) -> &'a str {
        self.color_base.get(family).map_or(family, String::as_str)
    }
}

/// A term and its endings, longest first: word by word for Latin letters, character by character for Chinese.
pub(super) fn endings(term: &str) -> impl Iterator<Item = &str> {
    let starts = term.char_indices().filter(|&(at, c)| at == 0 || is_han(c) || term[..at].ends_with([' ', '-']));
    starts.map(|(at, _)| &term[at..])
}

/// The term itself, and a hyphen written as a space or left out.
fn spellings(term: &str) -> Vec<String> {
    let mut all = vec![term.to_owned()];
    if term.contains('-') && !term.contains(is_han) {
        all.push(term.replace('-', " "));
        all.push(term.replace('-', ""));
    }
    all.retain(|t| !t.is_empty());
    all
}

/// The plural of an English term; `None` for a plural and for Chinese.
pub(super) fn plural(term: &str) -> Option<String> {
    if !term.ends_with(|c: char| c.is_ascii_lowercase()) {
        return None;
    }
    if ["ss", "x", "z", "ch", "sh"].iter().any(|end| term.ends_with(end)) {
        return Some(format!("{term}es"));
    }
    if term.ends_with('s') {
        return None;
    }
    if let Some(stem) = term.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u'])) {
        return Some(format!("{stem}ies"));
    }
    if let Some(stem) = term.strip_suffix("fe").or_else(|| term.strip_suffix('f').filter(|stem| stem.ends_with(['l', 'r', 'a']))) {
        return Some(format!("{stem}ves"));
    }
    Some(format!("{term}s"))
}

/// The singular of an English plural, itself for everything else. Two forms of one word have one singular.
pub(super) fn singular(term: &str) -> String {
    if !term.is_ascii() || term.ends_with("ss") {
        return term.to_owned();
    }
    if let Some(stem) = term.strip_suffix("ies").filter(|stem| stem.len() > 3) {
        return format!("{stem}y");
    }
    if let Some(stem) = term.strip_suffix("es").filter(|stem| ["ss", "x", "z", "ch", "sh"].iter().any(|end| stem.ends_with(end))) {
        return stem.to_owned();
    }
    term.strip_suffix('s').unwrap_or(term).to_owned()
}

/// What customers write for the flavour or scent of a thing.
fn flavored(word: &str) -> Vec<String> {
    if word.contains(is_han) {
        ["味", "口味", "味儿", "味道", "香味", "风味"].iter().map(|end| format!("{word}{end}")).collect()
    } else {
        const ENDS: [&str; 9] = ["flavour", "flavor", "flavoured", "flavored", "scent", "scented", "fragrance", "taste", "flavoring"];
        ENDS.iter().flat_map(|end| [format!("{word} {end}"), format!("{word}-{end}")]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_lexicon_is_as_large_as_promised() {
        let lexicon = Lexicon::shipped().unwrap();
        let count =
            |kind, han: bool| lexicon.terms().filter(|(term, sense)| sense.kind == Some(kind) && term.contains(is_han) == han).count();
        for (kind, zh, en) in
            [(EntityType::Product, 500, 400), (EntityType::Color, 80, 60), (EntityType::Material, 60, 50), (EntityType::Flavor, 40, 30)]
        {
            assert!(count(kind, true) >= zh && count(kind, false) >= en, "{kind:?}: {} zh, {} en", count(kind, true), count(kind, false));
        }
    }

    #[test]
    fn heads_are_products() {
        let file: File = toml::from_str(include_str!("lexicon.toml")).unwrap();
        let lexicon = Lexicon::shipped().unwrap();
        for word in &file.head {
            assert!(lexicon.sense(word).is_some_and(|s| s.head && s.kind == Some(EntityType::Product)), "{word}");
        }
    }

    #[test]
    fn shielded_words_are_no_entities() {
        let lexicon = Lexicon::shipped().unwrap();
        for word in [
            "订单",
            "包裹",
            "快递",
            "快递盒",
            "发票",
            "包邮",
            "客服",
            "手机号",
            "短信",
            "黄牛",
            "红包",
            "白条",
            "花呗",
            "灰常",
            "order",
            "package",
        ] {
            assert_eq!(lexicon.sense(word).map(|s| s.kind), Some(None), "{word}");
        }
        assert!(lexicon.sense("青黛").is_none() && lexicon.sense("case").is_none());
    }

    #[test]
    fn families_are_found_by_the_end_of_a_word() {
        let lexicon = Lexicon::shipped().unwrap();
        for (kind, term, family) in [
            (EntityType::Color, "粉色", Some("pink")),
            (EntityType::Color, "冰川蓝", Some("blue")),
            (EntityType::Color, "deep sea blue", Some("blue")),
            (EntityType::Color, "极光", None),
            (EntityType::Flavor, "白桃", Some("peach")),
            (EntityType::Flavor, "strawberry", Some("strawberry")),
            (EntityType::Material, "304不锈钢", Some("stainless steel")),
        ] {
            assert_eq!(lexicon.family(kind, term), family, "{term}");
        }
        assert_eq!(lexicon.color_base("navy"), "blue");
    }

    #[test]
    fn english_plurals_are_made_and_undone() {
        for (one, many) in
            [("dress", "dresses"), ("battery", "batteries"), ("bookshelf", "bookshelves"), ("toy", "toys"), ("brush", "brushes")]
        {
            assert_eq!(plural(one).as_deref(), Some(many));
        }
        for (one, many) in
            [("dress", "dresses"), ("battery", "batteries"), ("running shoe", "running shoes"), ("box", "boxes"), ("short", "shorts")]
        {
            assert_eq!((singular(many), singular(one)), (one.to_owned(), one.to_owned()));
        }
        assert_eq!(plural("jeans"), None);
    }

    #[test]
    fn a_broken_lexicon_is_an_error() {
        assert!(matches!(Lexicon::parse("shield = 3"), Err(NerError::Lexicon(_))));
    }
}
