//! Whether an entry is what is named.

use super::Kind;
use super::catalogue::{Fact, Index, Item};
use super::reading::Named;
use super::values::{Dimension, Quantity, Size};
use crate::text::is_han;

/// How well an entry answers to a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    Contradicts,
    /// Nothing follows: it says nothing of the kind, or the two do not compare.
    Silent,
    /// A plainer name covers it: navy is blue.
    Wider,
    /// One family.
    Family,
    Exact,
}

impl Index {
    /// Grade of an entry for one named value of a kind.
    pub(crate) fn grade(&self, item: &Item, kind: Kind, named: &Named, firm: bool) -> Grade {
        if let Named::Amount(q) = named {
            return self.grade_amount(item, *q, firm);
        }
        let facts = item.facts.iter().map(|&f| &self.facts[f as usize]).filter(|f| f.kind == kind);
        let grade = facts.map(|f| self.grade_fact(item, f, named)).max().unwrap_or(Grade::Silent);
        // What is only implied contradicts nothing.
        if firm { grade } else { grade.max(Grade::Silent) }
    }

    fn grade_fact(&self, item: &Item, fact: &Fact, named: &Named) -> Grade {
        match named {
            Named::Size(size) => match &fact.size {
                None => Grade::Silent,
                Some(own) => match own.meets(size, self.is_womens(item)) {
                    Some(true) => Grade::Exact,
                    Some(false) => Grade::Contradicts,
                    None => Grade::Silent,
                },
            },
            Named::Term { term, rows, family } => self.grade_term(fact, term, rows, family.as_deref()),
            Named::Amount(_) => Grade::Silent,
        }
    }

    fn is_womens(&self, item: &Item) -> bool {
        let words = super::words::Words::shipped();
        words.contrasts.iter().position(|c| c.name == "gender").is_some_and(|g| item.contrasts.contains(&(g as u8, 1)))
    }

    fn grade_term(&self, fact: &Fact, term: &str, rows: &[u32], family: Option<&str>) -> Grade {
        if fact.terms.iter().any(|t| t == term) || fact.rows.iter().any(|r| rows.contains(r)) {
            return Grade::Exact;
        }
        match fact.kind {
            Kind::Spec if !fact.quantities.is_empty() => return Grade::Silent,
            Kind::Model => {
                let within = fact.terms.iter().any(|t| t.starts_with(term) && term.chars().count() > 1);
                return if within { Grade::Wider } else { Grade::Contradicts };
            }
            Kind::Brand | Kind::Spec | Kind::Product | Kind::Size => return Grade::Contradicts,
            Kind::Color | Kind::Flavor | Kind::Material => {}
        }
        let own = |f: &str| fact.families.iter().any(|k| k == f);
        if fact.kind != Kind::Color && fact.terms.iter().any(|t| holds(t, term) || holds(term, t)) {
            return Grade::Exact;
        }
        let Some(family) = family else {
            return if fact.kind == Kind::Color && fact.terms.iter().any(|t| shade_of(t, term)) {
                Grade::Wider
            } else {
                Grade::Contradicts
            };
        };
        if own(family) {
            return Grade::Family;
        }
        const WOODS: [&str; 4] = ["oak", "walnut", "pine", "beech"];
        if fact.kind == Kind::Material && family == "solid wood" && WOODS.iter().any(|w| own(w)) {
            return Grade::Wider;
        }
        if fact.kind == Kind::Color {
            if fact.families.iter().any(|f| self.lexicon.color_base(f) == family) || fact.terms.iter().any(|t| shade_of(t, term)) {
                return Grade::Wider;
            }
            if own(self.lexicon.color_base(family)) {
                return Grade::Silent;
            }
        }
        Grade::Contradicts
    }

    fn grade_amount(&self, item: &Item, named: Quantity, firm: bool) -> Grade {
        let facts = || item.facts.iter().map(|&f| &self.facts[f as usize]);
        let held: Vec<Quantity> = facts().flat_map(|f| f.quantities.iter().copied()).collect();
        let answers: Vec<bool> = held.iter().filter_map(|q| q.meets(named)).collect();
        let of_title: Vec<bool> = item.quantities.iter().filter_map(|q| q.meets(named)).collect();
        if answers.contains(&true) || of_title.contains(&true) {
            return Grade::Exact;
        }
        // 73cm of a baby's size 73.
        let as_size = Size::Number(named.low as f64 / 1000.0, named.high as f64 / 1000.0);
        if named.dimension == Dimension::Length && facts().filter_map(|f| f.size.as_ref()).any(|s| s.meets(&as_size, false) == Some(true)) {
            return Grade::Exact;
        }
        // A bed's width says little of a quilt.
        let crosses =
            held.iter().chain(&*item.quantities).any(|q| (q.dimension == Dimension::Area) != (named.dimension == Dimension::Area));
        if !firm
            || (crosses
                && [Dimension::Area, Dimension::Length].contains(&named.dimension)
                && !held.iter().any(|q| q.dimension == named.dimension))
        {
            return Grade::Silent;
        }
        if !answers.is_empty() || (!of_title.is_empty() && named.dimension != Dimension::Persons) {
            return Grade::Contradicts;
        }
        // What its siblings count or measure and it does not, it has not: one bottle beside a pack of two.
        let sibling = |&i: &u32| {
            let sibling = &self.items[i as usize];
            sibling.facts.iter().flat_map(|&f| &self.facts[f as usize].quantities).any(|q| q.dimension == named.dimension)
        };
        if named.dimension == Dimension::Count && self.lines[item.line as usize].iter().take(200).any(sibling) {
            Grade::Contradicts
        } else {
            Grade::Silent
        }
    }
}

/// Whether a value's name is part of another (鹅绒 of 白鹅绒), word by word for Latin letters.
fn holds(long: &str, short: &str) -> bool {
    if short.contains(is_han) { short.chars().count() > 1 && long.contains(short) } else { long.split([' ', '-']).any(|w| w == short) }
}

/// Whether a colour's name is a plainer one's with something before it: 荧光绿 is green, mint green too.
fn shade_of(long: &str, plain: &str) -> bool {
    let stem = plain.strip_suffix('色').filter(|s| !s.is_empty()).unwrap_or(plain);
    if stem.contains(is_han) { stem.chars().count() == 1 && long.contains(stem) } else { long.split([' ', '-']).next_back() == Some(stem) }
}
