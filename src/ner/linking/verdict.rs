//! What each entry has to do with what is named: what it carries and what it contradicts.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::Kind;
use super::catalogue::{Index, Item};
use super::compare::Grade;
use super::polarity::Stance;
use super::reading::{Mention, Reading};
use super::wants::Want;

/// What an entry has to do with everything that is named.
#[derive(Debug, Clone, Default)]
pub(super) struct Verdict {
    /// Grade for each want.
    pub grades: Vec<Grade>,
    pub contradicts: BTreeSet<Kind>,
    pub carried: usize,
}

pub(super) fn verdict(
    item: &Item,
    reading: &Reading,
    index: &Index,
    wants: &[Want],
    memory: &mut FxHashMap<(usize, u32), Grade>,
) -> Verdict {
    let mut verdict = Verdict { grades: Vec::with_capacity(wants.len()), ..Default::default() };
    for (at, want) in wants.iter().enumerate() {
        // Terms are compared once a fact; amounts and sizes look at the whole entry.
        let plain = !matches!(want.kind, Kind::Spec | Kind::Size);
        let fact = if plain { item.facts.iter().copied().find(|&f| index.facts[f as usize].kind == want.kind) } else { None };
        let known = fact.and_then(|f| memory.get(&(at, f)).copied());
        let grade = known.unwrap_or_else(|| {
            let any = want.any.iter().map(|m| index.grade(item, want.kind, &m.value, m.firm)).max();
            let not = want.not.iter().map(|m| index.grade(item, want.kind, &m.value, false)).max();
            let grade = if not.is_some_and(|g| g >= Grade::Family) && any.is_none_or(|g| g < Grade::Exact) {
                Grade::Contradicts
            } else {
                any.unwrap_or(Grade::Silent)
            };
            if let Some(fact) = fact {
                memory.insert((at, fact), grade);
            }
            grade
        });
        verdict.grades.push(grade);
    }
    // A word of two meanings (原木 is a colour and a material) is meant in the one that fits.
    for at in 0..wants.len() {
        if verdict.grades[at] != Grade::Contradicts {
            continue;
        }
        let twin = |m: &Mention| {
            let other =
                |(w, g): (&Want, &Grade)| w.kind != wants[at].kind && *g > Grade::Silent && w.any.iter().any(|o| o.range == m.range);
            wants.iter().zip(&verdict.grades).any(other)
        };
        if !wants[at].any.is_empty() && wants[at].any.iter().all(|&m| twin(m)) {
            verdict.grades[at] = Grade::Silent;
        }
    }
    for (want, grade) in wants.iter().zip(&verdict.grades) {
        if *grade == Grade::Contradicts {
            verdict.contradicts.insert(want.kind);
        }
        verdict.carried += usize::from(*grade > Grade::Silent);
    }
    contrast(item, reading, &mut verdict);
    verdict
}

/// Long or short, men's or women's: an entry of the other side contradicts.
fn contrast(item: &Item, reading: &Reading, verdict: &mut Verdict) {
    for &(group, own) in &item.contrasts {
        let said = || reading.contrasts.iter().filter(|c| c.0 == group).map(|c| (c.1, c.2));
        let Some(best) = said().map(|s| s.1).max() else { continue };
        let wanted = said().any(|s| s.0 == own && s.1 != Stance::Rejected && (s.1 == best || s.1 >= Stance::Neutral));
        let rejected = said().any(|s| s.0 == own && s.1 == Stance::Rejected);
        let other = said().any(|s| s.0 != own && s.1 != Stance::Rejected);
        if !wanted && (rejected || other) {
            verdict.contradicts.insert(Kind::Product);
        } else if wanted {
            verdict.carried += 1;
        }
    }
}

/// A plainer name means the thing that bears it: white is not off-white, Air 2 not Air 2 Pro, where the same product has both.
pub(super) fn demote(pool: &[u32], verdicts: &mut [Verdict], index: &Index, wants: &[Want]) {
    for (at, want) in wants.iter().enumerate() {
        if !verdicts.iter().any(|v| v.grades[at] == Grade::Wider) {
            continue;
        }
        let mut best: FxHashMap<u32, Grade> = FxHashMap::default();
        for (&i, v) in pool.iter().zip(verdicts.iter()) {
            let top = best.entry(index.items[i as usize].line).or_insert(Grade::Contradicts);
            *top = (*top).max(v.grades[at]);
        }
        for (&i, v) in pool.iter().zip(verdicts.iter_mut()) {
            let top = best[&index.items[i as usize].line];
            if v.grades[at] == Grade::Wider && top > Grade::Wider {
                v.grades[at] = Grade::Contradicts;
                v.contradicts.insert(want.kind);
                v.carried = v.carried.saturating_sub(1);
            }
        }
    }
}

/// A wide name (大衣) of a material that none of the candidates is made of: something else is meant.
pub(super) fn unmade(reading: &Reading, index: &Index, verdicts: &mut [Verdict], wants: &[Want]) {
    let wide = !reading.products.is_empty() && reading.products.iter().all(|p| !index.by_name.contains_key(&p.name));
    for (at, want) in wants.iter().enumerate().filter(|(_, w)| wide && w.kind == Kind::Material && w.any.iter().any(|m| m.firm)) {
        if !verdicts.iter().any(|v| v.grades[at] > Grade::Silent) {
            verdicts.iter_mut().for_each(|v| _ = v.contradicts.insert(want.kind));
        }
    }
}

/// `P9` where the candidates are P5 and P7: of their form, and none of them.
pub(super) fn codes(pool: &[u32], verdicts: &mut [Verdict], reading: &Reading, index: &Index) {
    let letters = |code: &str| code.chars().take_while(|c| c.is_ascii_alphabetic()).collect::<String>();
    for (_, code) in &reading.codes {
        let models = |i: u32| {
            index.items[i as usize].facts.iter().map(|&f| &index.facts[f as usize]).filter(|f| f.kind == Kind::Model).flat_map(|f| &f.terms)
        };
        let alike = |model: &&String| !letters(code).is_empty() && letters(model) == letters(code) && model.len().abs_diff(code.len()) <= 1;
        let known = pool.iter().any(|&i| models(i).any(|m| m == code || m.ends_with(code.as_str())));
        if known || !pool.iter().any(|&i| models(i).any(|m| alike(&m))) {
            continue;
        }
        for (&i, v) in pool.iter().zip(verdicts.iter_mut()) {
            if models(i).next().is_some() {
                v.contradicts.insert(Kind::Model);
            }
        }
    }
}
