//! From a reading to the answer: the best of the candidates' trials, what it shows, and what is to be asked.

use std::collections::{BTreeMap, HashMap};

use super::Kind;
use super::candidates::pools;
use super::catalogue::Index;
use super::confidence::{Evidence, LinkingModel};
use super::polarity::Stance;
use super::reading::{Mention, Named, Reading};
use super::trial::Trial;
use super::values::Size;
use super::wants::{Want, mentions_of, wants};
use crate::domain::{Candidate, Resolution, ResolveMatch};

/// Candidates answered with, and those nearest where nothing fits.
const MOST: usize = 20;
const NEAREST: usize = 5;

/// An answer with everything that fits and how it came about.
#[derive(Debug, Clone)]
pub struct Resolved {
    pub resolution: Resolution,
    /// SKUs that fit, all of them, sorted.
    pub skus: Vec<String>,
    pub evidence: Evidence,
    /// Named values that the entries carry.
    carried: usize,
}

impl Resolved {
    /// Lays the probabilities over the answer.
    pub(super) fn judge(&mut self, model: &LinkingModel) {
        let right = model.probability(&self.evidence);
        let answer = &mut self.resolution;
        answer.confidence = right;
        // Of several each is as probable; the nearest of none are what is left.
        let share = match answer.matched {
            ResolveMatch::One => right,
            ResolveMatch::Several => right / answer.total.max(1) as f32,
            ResolveMatch::None => (1.0 - right) / answer.candidates.len().max(1) as f32,
        };
        answer.candidates.iter_mut().for_each(|c| c.confidence = share);
    }
}

pub(super) fn resolve(reading: &Reading, index: &Index) -> Resolved {
    let pools = pools(reading, index);
    let mut best: Option<Resolved> = None;
    for group in &pools.groups {
        let mentions = mentions_of(group, reading, index);
        let wants = wants(mentions.iter());
        let trial = Trial::of(group.items.clone(), reading, index, &wants);
        let mut resolved = answer(trial, reading, index, &wants);
        describe(&mut resolved.resolution, reading, &wants);
        resolved.evidence.named = wants.iter().filter(|w| !w.any.is_empty()).count().min(5) as f64;
        let key = |r: &Resolved| (!r.skus.is_empty(), r.carried);
        if best.as_ref().is_none_or(|b| key(&resolved) > key(b)) {
            best = Some(resolved);
        }
    }
    let mut resolved = best.unwrap_or_else(|| {
        let mut resolved = nothing();
        describe(&mut resolved.resolution, reading, &wants(reading.values.iter()));
        resolved
    });
    if !pools.sold {
        // What is named is not sold here: what comes near is shown, and not as what fits.
        unsold(&mut resolved);
    }
    let count = resolved.skus.len();
    let evidence = &mut resolved.evidence;
    evidence.one = f64::from(u8::from(count == 1));
    evidence.none = f64::from(u8::from(count == 0));
    evidence.survivors = (count.max(1) as f64).ln();
    evidence.exact = f64::from(u8::from(pools.exact));
    evidence.others = pools.groups.len().saturating_sub(1).min(3) as f64;
    evidence.unread = 1.0 - reading.read;
    resolved
}

fn unsold(resolved: &mut Resolved) {
    resolved.skus.clear();
    let answer = &mut resolved.resolution;
    (answer.matched, answer.sku, answer.ask, answer.total) = (ResolveMatch::None, None, None, 0);
    answer.candidates.truncate(NEAREST);
    for candidate in answer.candidates.iter_mut().filter(|c| !c.differs.iter().any(|d| d == "product")) {
        candidate.differs = vec![Kind::Product.as_str().to_owned()];
    }
}

fn nothing() -> Resolved {
    let resolution = Resolution {
        matched: ResolveMatch::None,
        sku: None,
        candidates: Vec::new(),
        ask: Some(Kind::Product.as_str().into()),
        attributes: BTreeMap::new(),
        rejected: BTreeMap::new(),
        confidence: 0.0,
        total: 0,
    };
    Resolved { resolution, skus: Vec::new(), evidence: Evidence::default(), carried: 0 }
}

fn answer(trial: Trial, reading: &Reading, index: &Index, wants: &[Want]) -> Resolved {
    let mut resolved = nothing();
    resolved.carried = trial.carried;
    let said = wants.iter().filter(|w| !w.any.is_empty()).count() + usize::from(!reading.products.is_empty());
    resolved.evidence.carried = (trial.carried + usize::from(!reading.products.is_empty())) as f64 / said.max(1) as f64;
    resolved.evidence.softly = f64::from(u8::from(trial.softly));
    let sku = |i: usize| trial.item(i, index).sku.to_string();
    let candidate = |i: usize, differs: Vec<Kind>| Candidate {
        sku: sku(i),
        title: trial.item(i, index).title.to_string(),
        confidence: 0.0,
        differs: differs.into_iter().map(|k| k.as_str().to_owned()).collect(),
    };
    resolved.skus = trial.survivors.iter().map(|&i| sku(i)).collect();
    resolved.skus.sort();
    let answer = &mut resolved.resolution;
    answer.total = trial.survivors.len();
    match trial.survivors[..] {
        [] => {
            let mut nearest: Vec<usize> = (0..trial.pool.len()).collect();
            let shared = |i: usize| reading.grams.iter().filter(|&&g| index.with_gram(g).binary_search(&trial.pool[i]).is_ok()).count();
            nearest.sort_by_cached_key(|&i| {
                let v = &trial.verdicts[i];
                let titles = if trial.pool.len() <= 2_000 { shared(i) } else { 0 };
                // Entries are in the order of their SKUs.
                (v.contradicts.len(), std::cmp::Reverse(v.carried), std::cmp::Reverse(titles), trial.pool[i])
            });
            nearest.truncate(NEAREST);
            answer.candidates =
                nearest.into_iter().map(|i| candidate(i, trial.verdicts[i].contradicts.iter().copied().collect())).collect();
            answer.ask = None;
        }
        [only] => {
            answer.matched = ResolveMatch::One;
            answer.sku = Some(sku(only));
            answer.ask = None;
            answer.candidates = vec![candidate(only, Vec::new())];
        }
        _ => {
            answer.matched = ResolveMatch::Several;
            let differs = differing(&trial, index);
            answer.ask = differs.first().map(|k| k.as_str().to_owned());
            let mut kinds = differs;
            kinds.sort_unstable();
            let mut shown = trial.survivors.clone();
            shown.sort_unstable_by_key(|&i| trial.pool[i]);
            answer.candidates = shown.into_iter().take(MOST).map(|i| candidate(i, kinds.clone())).collect();
        }
    }
    resolved
}

/// The kinds in which survivors differ, first the one whose answer leaves the fewest (by entropy); the product before all.
fn differing(trial: &Trial, index: &Index) -> Vec<Kind> {
    const KINDS: [Kind; 8] = [Kind::Product, Kind::Model, Kind::Color, Kind::Size, Kind::Flavor, Kind::Material, Kind::Spec, Kind::Brand];
    let all = trial.survivors.len() as f64;
    let mut scored: Vec<(f64, Kind)> = Vec::new();
    for kind in KINDS {
        let mut counts: HashMap<Option<&str>, usize> = HashMap::new();
        for &i in &trial.survivors {
            *counts.entry(index.fact_of(trial.pool[i], kind).map(|f| f.shown.as_str())).or_default() += 1;
        }
        let entropy: f64 = counts.values().map(|&n| n as f64 / all).map(|p| -p * p.ln()).sum();
        if counts.len() > 1 {
            scored.push((if kind == Kind::Product { f64::INFINITY } else { entropy }, kind));
        }
    }
    // Stable: of equals the one that is asked first stays first.
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.into_iter().map(|s| s.1).collect()
}

/// What is named and what is rejected, for people and programs.
fn describe(answer: &mut Resolution, reading: &Reading, wants: &[Want]) {
    fn put(map: &mut BTreeMap<String, String>, kind: Kind, value: String) {
        let all = map.entry(kind.as_str().to_owned()).or_default();
        if !all.split('|').any(|v| v == value) {
            if !all.is_empty() {
                all.push('|');
            }
            all.push_str(&value);
        }
    }
    let show = |m: &Mention| match &m.value {
        Named::Term { term, family, .. } => family.clone().unwrap_or_else(|| term.clone()),
        Named::Amount(q) => q.show(),
        Named::Size(Size::Word(w)) => w.clone(),
        Named::Size(Size::Number(a, b)) if a == b => format!("{a}"),
        Named::Size(Size::Number(a, b)) => format!("{a}-{b}"),
        Named::Size(Size::Us(n)) => format!("us {n}"),
        Named::Size(Size::Uk(n)) => format!("uk {n}"),
    };
    for want in wants {
        want.any.iter().for_each(|m| put(&mut answer.attributes, want.kind, show(m)));
        want.not.iter().for_each(|m| put(&mut answer.rejected, want.kind, show(m)));
    }
    for product in &reading.products {
        let map = if product.stance == Stance::Rejected { &mut answer.rejected } else { &mut answer.attributes };
        put(map, Kind::Product, product.name.clone());
    }
}
