//! The candidates of one product under everything that is named: who survives, and what narrows further.

use std::collections::HashMap;

use rustc_hash::FxHashMap;

use super::Kind;
use super::catalogue::{Index, Item};
use super::compare::Grade;
use super::polarity::Stance;
use super::reading::{Named, Reading};
use super::values::{Dimension, Quantity, Size};
use super::verdict::{Verdict, codes, demote, unmade, verdict};
use super::wants::Want;

/// Everything that the candidates of one product name come to.
pub(super) struct Trial {
    pub pool: Vec<u32>,
    pub verdicts: Vec<Verdict>,
    pub survivors: Vec<usize>,
    /// Kinds that survivors, or the nearest, carry.
    pub carried: usize,
    pub softly: bool,
}

impl Trial {
    pub(super) fn of(pool: Vec<u32>, reading: &Reading, index: &Index, wants: &[Want]) -> Trial {
        let mut memory: FxHashMap<(usize, u32), Grade> = FxHashMap::default();
        let mut verdicts: Vec<Verdict> =
            pool.iter().map(|&i| verdict(&index.items[i as usize], reading, index, wants, &mut memory)).collect();
        demote(&pool, &mut verdicts, index, wants);
        unmade(reading, index, &mut verdicts, wants);
        codes(&pool, &mut verdicts, reading, index);
        let mut trial = Trial {
            survivors: (0..pool.len()).filter(|&i| verdicts[i].contradicts.is_empty()).collect(),
            pool,
            verdicts,
            carried: 0,
            softly: false,
        };
        trial.prefer_carriers(wants.len());
        trial.unmet_number(reading, index);
        let before = trial.survivors.len();
        trial.by_numbers(reading, index);
        trial.by_extreme(reading, index, wants);
        trial.by_words(reading, index);
        trial.softly = trial.survivors.len() != before;
        trial.carried = trial
            .survivors
            .iter()
            .map(|&i| trial.verdicts[i].carried)
            .max()
            .unwrap_or_else(|| trial.verdicts.iter().map(|v| v.carried).max().unwrap_or(0));
        trial
    }

    pub(super) fn item<'i>(&self, at: usize, index: &'i Index) -> &'i Item {
        &index.items[self.pool[at] as usize]
    }

    /// Of those that contradict nothing, the ones that say what is named go before those that say nothing of it.
    fn prefer_carriers(&mut self, wants: usize) {
        for want in 0..wants {
            let best = self.survivors.iter().map(|&i| self.verdicts[i].grades[want]).max();
            if let Some(best) = best.filter(|&b| b > Grade::Silent) {
                let verdicts = &self.verdicts;
                self.survivors.retain(|&i| verdicts[i].grades[want] == best);
            }
        }
    }

    /// Numbers without a unit (`the 10000 one`, `36的`) choose where they are a size or an amount of some and not of all.
    fn by_numbers(&mut self, reading: &Reading, index: &Index) {
        for (_, code) in &reading.codes {
            let fits = |i: &usize| model_tails(self.item(*i, index), index).any(|tail| tail == *code);
            let has: Vec<usize> = self.survivors.iter().copied().filter(|i| fits(i)).collect();
            if !has.is_empty() && has.len() < self.survivors.len() {
                self.survivors = has;
            }
        }
        for (range, n, _) in &reading.bare {
            if counts_time(&reading.text[range.end..]) {
                continue;
            }
            let has: Vec<usize> = self.survivors.iter().copied().filter(|&i| has_number(self.item(i, index), *n, index)).collect();
            if !has.is_empty() && has.len() < self.survivors.len() {
                self.survivors = has;
            }
        }
    }

    /// A bare number that looks like a size of the candidates and is none of theirs: `跑鞋 46 黑色`.
    fn unmet_number(&mut self, reading: &Reading, index: &Index) {
        if reading.bare.is_empty() {
            return;
        }
        let sizes: Vec<(f64, f64)> = self
            .survivors
            .iter()
            .filter_map(|&i| {
                self.item(i, index).facts.iter().find_map(|&f| match index.facts[f as usize].size {
                    Some(Size::Number(a, b)) => Some((a, b)),
                    _ => None,
                })
            })
            .collect();
        if sizes.len() < self.survivors.len()
            || sizes.is_empty()
            || reading.values.iter().any(|m| m.kind == Kind::Size && m.stance > Stance::Came)
        {
            return;
        }
        let (low, high) = sizes.iter().fold((f64::MAX, f64::MIN), |(l, h), s| (l.min(s.0), h.max(s.1)));
        let near: Vec<f64> = reading
            .bare
            .iter()
            .filter(|(r, n, _)| {
                (low - 6.0..=high + 6.0).contains(n) && n.fract() == 0.0 && *n >= 20.0 && ends_plainly(&reading.text[r.end..])
            })
            .map(|b| b.1)
            .collect();
        let met = |n: &f64| sizes.iter().any(|(a, b)| (a..=b).contains(&n));
        if !near.is_empty() && !near.iter().any(met) {
            for &i in &self.survivors {
                self.verdicts[i].contradicts.insert(Kind::Size);
            }
            self.survivors.clear();
        }
    }

    /// `要大的那个`, `the little one`: the most or the least of what they are measured by.
    fn by_extreme(&mut self, reading: &Reading, index: &Index, wants: &[Want]) {
        if self.survivors.len() < 2 {
            return;
        }
        let sized = self.survivors.iter().any(|&i| self.item(i, index).facts.iter().any(|&f| index.facts[f as usize].kind == Kind::Size));
        let word = |sizes: &[&str]| {
            let named = wants.iter().filter(|w| w.kind == Kind::Size).flat_map(|w| &w.any);
            !sized && named.into_iter().any(|m| matches!(&m.value, Named::Size(Size::Word(w)) if sizes.contains(&w.as_str())))
        };
        let (most, least) = (reading.most || word(&["l", "xl", "2xl"]), reading.least || word(&["s", "xs"]));
        if most == least {
            return;
        }
        let amounts: Vec<Option<Quantity>> = self.survivors.iter().map(|&i| main_amount(self.item(i, index), index)).collect();
        let Some(Some(first)) = amounts.first() else { return };
        if amounts.iter().any(|a| a.is_none_or(|a| a.dimension != first.dimension)) {
            return;
        }
        let key = |a: &Option<Quantity>| a.map_or(0, |a| a.low);
        let wanted = if most { amounts.iter().map(key).max() } else { amounts.iter().map(key).min() };
        let kept: Vec<usize> = self.survivors.iter().zip(&amounts).filter(|(_, a)| Some(key(a)) == wanted).map(|(&i, _)| i).collect();
        self.survivors = kept;
    }

    /// Words of the message that some titles have and others have not.
    fn by_words(&mut self, reading: &Reading, index: &Index) {
        if self.survivors.len() < 2 || reading.rest.is_empty() {
            return;
        }
        let place: FxHashMap<u32, usize> = self.survivors.iter().map(|&i| (self.pool[i], i)).collect();
        let mut scores: HashMap<usize, f64> = HashMap::new();
        for &gram in &reading.rest {
            let items = index.with_gram(gram);
            // The shorter list is walked.
            let with: Vec<usize> = if items.len() < 4 * self.survivors.len() {
                items.iter().filter_map(|item| place.get(item).copied()).collect()
            } else {
                self.survivors.iter().copied().filter(|&i| items.binary_search(&self.pool[i]).is_ok()).collect()
            };
            if !with.is_empty() && with.len() < self.survivors.len() {
                for i in with {
                    *scores.entry(i).or_default() += 1.0;
                }
            }
        }
        let Some(top) = scores.values().copied().max_by(f64::total_cmp) else { return };
        self.survivors.retain(|i| scores.get(i).is_some_and(|s| *s >= top));
    }
}

/// Whether a time or a number of something else follows (`3 weeks ago`).
pub(super) fn counts_time(after: &str) -> bool {
    const WORDS: [&str; 34] = [
        "day", "week", "month", "year", "hour", "min", "time", "star", "people", "am", "pm", "th", "st", "%", "$", "€", "£", "usd", "rmb",
        "yuan", "天", "年", "月", "日", "号下", "点", "次", "块", "元", "岁", "楼", "分", "折", "周",
    ];
    let after = after.trim_start();
    WORDS.iter().any(|w| after.starts_with(w))
}

fn ends_plainly(after: &str) -> bool {
    let rest = after.trim_start_matches(' ');
    !counts_time(rest)
        && rest.chars().next().is_none_or(|c| {
            ",.?!;换改吗吧呢的行可有码号还那和或,".contains(c)
                || (c.is_ascii_alphabetic() && after.starts_with(' '))
                || crate::text::is_han(c)
        })
}

fn main_amount(item: &Item, index: &Index) -> Option<Quantity> {
    item.facts.iter().flat_map(|&f| &index.facts[f as usize].quantities).min_by_key(|q| q.dimension == Dimension::Count).copied()
}

/// Whether an entry has a number as its size, the number of its model, or an amount in the unit that it is usually said in.
fn has_number(item: &Item, n: f64, index: &Index) -> bool {
    let facts = || item.facts.iter().map(|&f| &index.facts[f as usize]);
    let size = facts().filter_map(|f| f.size.as_ref()).any(|s| s.meets(&Size::Number(n, n), false) == Some(true));
    let model = model_tails(item, index).any(|tail| tail == format!("{n}"));
    let amount = |q: &Quantity| {
        let scales: &[f64] = match q.dimension {
            Dimension::Volume | Dimension::Mass => &[1.0, 1000.0],
            Dimension::Length | Dimension::Area => &[1.0, 100.0],
            _ => &[1.0],
        };
        scales.iter().any(|s| (n * s * 1000.0).round() as i64 == q.low) && (n >= 5.0 || n.fract() > 0.0)
    };
    size || model || facts().flat_map(|f| &f.quantities).any(amount)
}

/// What is said of a model for short: `15pro` of `iphone15pro`.
fn model_tails<'i>(item: &'i Item, index: &'i Index) -> impl Iterator<Item = &'i str> {
    let models = item.facts.iter().map(|&f| &index.facts[f as usize]).filter(|f| f.kind == Kind::Model);
    models.flat_map(|f| &f.terms).map(|t| t.trim_start_matches(|c: char| !c.is_ascii_digit())).filter(|t| !t.is_empty())
}
