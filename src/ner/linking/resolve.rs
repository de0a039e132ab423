//! From a reading to entries: who is a candidate, who contradicts, what narrows, what to ask.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Kind;
use super::catalogue::{Index, Item};
use super::compare::Grade;
use super::confidence::{Evidence, LinkingModel};
use super::polarity::Stance;
use super::reading::{Mention, Named, ProductMention, Reading};
use super::values::{Dimension, Quantity, Size};
use super::words::Words;
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

/// What is asked of entries under one kind (or one dimension, or one contrast).
struct Want<'a> {
    kind: Kind,
    /// Any of them will do.
    any: Vec<&'a Mention>,
    not: Vec<&'a Mention>,
}

impl<'a> Want<'a> {
    fn of(kind: Kind, mut mentions: Vec<&'a Mention>) -> Self {
        // A firm amount is what is sold; the loose ones beside it count something else.
        if mentions.iter().any(|m| m.firm && m.stance > Stance::Came) {
            mentions.retain(|m| m.firm);
        }
        let (not, said): (Vec<_>, Vec<_>) = mentions.into_iter().partition(|m| m.stance == Stance::Rejected);
        // What was ordered goes before what is only named, and what it shall become before both.
        let best = said.iter().map(|m| m.stance).max();
        Want { kind, any: said.into_iter().filter(|m| Some(m.stance) == best).collect(), not }
    }
}

/// Kinds apart, measures apart by dimension.
fn wants<'a>(mentions: impl Iterator<Item = &'a Mention>) -> Vec<Want<'a>> {
    let mut groups: BTreeMap<(Kind, Option<Dimension>), Vec<&Mention>> = BTreeMap::new();
    for mention in mentions {
        let dimension = match mention.value {
            Named::Amount(q) => Some(q.dimension),
            _ => None,
        };
        groups.entry((mention.kind, dimension)).or_default().push(mention);
    }
    // `BTreeMap` is in the order of the kinds.
    groups.into_iter().map(|((kind, _), mentions)| Want::of(kind, mentions)).collect()
}

/// What is named of a group's product: not what stands right before another one, and with the bare numbers that are its sizes.
fn mentions_of(group: &Group, reading: &Reading, index: &Index) -> Vec<Mention> {
    let elsewhere = |m: &&Mention| {
        // Of a part (240毫升奶嘴) the amount is the whole's; of another thing (白沙发) nothing is.
        let amount = matches!(m.value, Named::Amount(_) | Named::Size(_));
        let other = |at: usize| {
            !amount || reading.products.iter().any(|p| p.range.start == at && !p.scenery && !index.of_product(&p.name).is_empty())
        };
        !group.places.is_empty() && m.bound(&reading.text, &reading.products).is_some_and(|at| !group.places.contains(&at) && other(at))
    };
    let mut mentions: Vec<Mention> = reading.values.iter().filter(|m| !elsewhere(m)).cloned().collect();
    let mut sizes: Vec<&Size> = group.items.iter().filter_map(|&i| index.fact_of(i, Kind::Size)?.size.as_ref()).collect();
    sizes.dedup();
    for (range, n, stance) in reading.bare.iter().filter(|b| !counts_time(&reading.text[b.0.end..])) {
        let size = Size::Number(*n, *n);
        if sizes.iter().any(|s| s.meets(&size, false) == Some(true)) {
            mentions.push(Mention { range: range.clone(), kind: Kind::Size, value: Named::Size(size), stance: *stance, firm: true });
        }
    }
    mentions
}

/// What an entry has to do with everything that is named.
#[derive(Debug, Clone, Default)]
struct Verdict {
    /// Grade for each want.
    grades: Vec<Option<Grade>>,
    contradicts: BTreeSet<Kind>,
    carried: usize,
}

/// Everything that the candidates of one product name come to.
struct Trial {
    pool: Vec<u32>,
    verdicts: Vec<Verdict>,
    survivors: Vec<usize>,
    /// Kinds that survivors, or the nearest, carry.
    carried: usize,
    softly: bool,
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

/// Entries of one product that the message may speak of.
struct Group {
    items: Vec<u32>,
    /// Where in the text it is named.
    places: Vec<usize>,
}

/// Who can be meant before anything is compared.
struct Pools {
    groups: Vec<Group>,
    /// Whether what is named is sold at all.
    sold: bool,
    /// Whether a product's name was found as it is written.
    exact: bool,
}

fn pools(reading: &Reading, index: &Index) -> Pools {
    let meant: Vec<&ProductMention> = reading.products.iter().filter(|p| p.stance != Stance::Rejected).collect();
    let mut sold: Vec<(&ProductMention, Vec<u32>)> =
        meant.iter().map(|p| (*p, index.of_product(&p.name))).filter(|(_, items)| !items.is_empty()).collect();
    // A name that is meant and not in passing, and spelt right, goes before the others.
    if sold.iter().any(|(p, _)| !p.scenery) {
        sold.retain(|(p, _)| !p.scenery);
    }
    if sold.iter().any(|(p, _)| !p.misspelt && p.name.chars().count() > 1) {
        sold.retain(|(p, _)| !p.misspelt);
    }
    let exact = sold.iter().any(|(p, _)| !p.misspelt);
    // The head first: what stands before it either narrows it or only describes it.
    sold.sort_by_key(|(p, _)| p.modifier);
    let mut groups: Vec<Group> = Vec::new();
    for (product, items) in sold {
        match groups.iter().position(|group| intersects(&group.items, &items)) {
            Some(at) => {
                let group = &mut groups[at];
                group.items.retain(|i| items.binary_search(i).is_ok());
                group.places.push(product.range.start);
            }
            None if product.modifier && !groups.is_empty() => {}
            None => groups.push(Group { items, places: vec![product.range.start] }),
        }
    }
    let rejected = reading.products.iter().filter(|p| p.stance == Stance::Rejected);
    let rejected: BTreeSet<u32> = rejected.flat_map(|p| index.of_product(&p.name)).collect();
    let allowed = |items: &mut Vec<u32>| items.retain(|i| !rejected.contains(i));
    for group in &mut groups {
        let mut kept = group.items.clone();
        allowed(&mut kept);
        if !kept.is_empty() {
            group.items = kept;
        }
    }
    if !groups.is_empty() {
        return Pools { groups, sold: reading.maker.is_none(), exact };
    }
    let parts = &Words::shipped().parts;
    let unsold = meant.iter().any(|p| !p.scenery && !p.misspelt && !parts.contains(&p.name)) || reading.maker.is_some();
    let wants = wants(reading.values.iter());
    let mut items = by_values(index, &wants).filter(|g| !g.is_empty()).unwrap_or_else(|| by_titles(reading, index));
    allowed(&mut items);
    let groups = if items.is_empty() { vec![] } else { vec![Group { items, places: vec![] }] };
    Pools { groups, sold: !unsold, exact: false }
}

fn intersects(a: &[u32], b: &[u32]) -> bool {
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    short.iter().any(|i| long.binary_search(i).is_ok())
}

/// Entries of a named model, else of a flavour, a material or a brand; `None` where none of these is named.
fn by_values(index: &Index, wants: &[Want]) -> Option<Vec<u32>> {
    let of = |kind: Kind| {
        let named: Vec<&Named> = wants.iter().filter(|w| w.kind == kind).flat_map(|w| w.any.iter().map(|m| &m.value)).collect();
        if named.is_empty() {
            return Vec::new();
        }
        let says = |at: &usize| {
            let fact = &index.facts[*at];
            let item = index.by_fact[*at].first().map(|&i| &index.items[i as usize]);
            fact.kind == kind && item.is_some_and(|item| named.iter().any(|n| index.grade(item, kind, n, true) >= Grade::Family))
        };
        let mut items: Vec<u32> = (0..index.facts.len()).filter(says).flat_map(|at| index.by_fact[at].iter().copied()).collect();
        items.sort_unstable();
        items.dedup();
        items
    };
    for kind in [Kind::Model, Kind::Flavor, Kind::Material, Kind::Brand] {
        let items = of(kind);
        if !items.is_empty() {
            return Some(items);
        }
    }
    None
}

/// Entries whose titles are nearest, by shared words and pairs of characters (inverse document frequency).
fn by_titles(reading: &Reading, index: &Index) -> Vec<u32> {
    /// Postings longer than this say nothing and cost time.
    const COMMON: usize = 20_000;
    let all = index.items.len().max(1) as f64;
    let mut scores: HashMap<u32, (f64, u32)> = HashMap::new();
    for &gram in &reading.grams {
        let items = index.with_gram(gram);
        if items.len() > COMMON {
            continue;
        }
        let weight = (all / items.len().max(1) as f64).ln().max(0.1);
        for &item in items {
            let score = scores.entry(item).or_default();
            score.0 += weight;
            score.1 += 1;
        }
    }
    let Some(top) = scores.values().map(|s| s.0).max_by(f64::total_cmp) else { return Vec::new() };
    // One shared pair is chance.
    let mut items: Vec<u32> = scores.into_iter().filter(|(_, (score, grams))| *grams >= 2 && *score >= 0.99 * top).map(|s| s.0).collect();
    items.sort_unstable();
    items
}

impl Index {
    /// Entries of a product's canonical name: its own and those that it is a wider name of; sorted.
    pub(super) fn of_product(&self, name: &str) -> Vec<u32> {
        let words = Words::shipped();
        let mut items: Vec<u32> = Vec::new();
        let mut add = |map: &HashMap<String, Vec<u32>>, name: &str| items.extend(map.get(name).into_iter().flatten());
        add(&self.by_name, name);
        add(&self.by_ending, name);
        for covered in words.wider.get(name).into_iter().flatten() {
            add(&self.by_name, covered);
        }
        if items.is_empty() {
            // 床品四件套 is a 四件套: the whole name of what is sold ends the longer one.
            let ends = crate::ner::lexicon::endings(name).skip(1).filter(|e| e.chars().count() > 1);
            if let Some(found) = ends.map(|e| words.canonical(e)).find_map(|e| self.by_name.get(&e)) {
                items.extend(found);
            }
        }
        items.sort_unstable();
        items.dedup();
        items
    }
}

impl Trial {
    fn of(pool: Vec<u32>, reading: &Reading, index: &Index, wants: &[Want]) -> Trial {
        let mut memory: HashMap<(usize, u32), Grade> = HashMap::new();
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

    fn item<'i>(&self, at: usize, index: &'i Index) -> &'i Item {
        &index.items[self.pool[at] as usize]
    }

    /// Of those that contradict nothing, the ones that say what is named go before those that say nothing of it.
    fn prefer_carriers(&mut self, wants: usize) {
        for want in 0..wants {
            let best = self.survivors.iter().filter_map(|&i| self.verdicts[i].grades[want]).max();
            if let Some(best) = best.filter(|&b| b > Grade::Silent) {
                let verdicts = &self.verdicts;
                self.survivors.retain(|&i| verdicts[i].grades[want] == Some(best));
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
        let place: HashMap<u32, usize> = self.survivors.iter().map(|&i| (self.pool[i], i)).collect();
        let mut scores: HashMap<usize, f64> = HashMap::new();
        for &gram in &reading.rest {
            let with: Vec<usize> = index.with_gram(gram).iter().filter_map(|item| place.get(item).copied()).collect();
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

fn verdict(item: &Item, reading: &Reading, index: &Index, wants: &[Want], memory: &mut HashMap<(usize, u32), Grade>) -> Verdict {
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
        verdict.grades.push(Some(grade));
    }
    // A word of two meanings (原木 is a colour and a material) is meant in the one that fits.
    for at in 0..wants.len() {
        let twin = |m: &Mention| {
            let other = |(w, g): (&Want, &Option<Grade>)| {
                w.kind != wants[at].kind && *g > Some(Grade::Silent) && w.any.iter().any(|o| o.range == m.range)
            };
            wants.iter().zip(&verdict.grades).any(other)
        };
        if verdict.grades[at] == Some(Grade::Contradicts) && !wants[at].any.is_empty() && wants[at].any.iter().all(|m| twin(m)) {
            verdict.grades[at] = Some(Grade::Silent);
        }
    }
    for (want, grade) in wants.iter().zip(&verdict.grades) {
        if *grade == Some(Grade::Contradicts) {
            verdict.contradicts.insert(want.kind);
        }
        verdict.carried += usize::from(*grade > Some(Grade::Silent));
    }
    contrast(item, reading, &mut verdict);
    verdict
}

/// Long or short, men's or women's: an entry of the other side contradicts.
fn contrast(item: &Item, reading: &Reading, verdict: &mut Verdict) {
    for &(group, own) in &item.contrasts {
        let said: Vec<(u8, Stance)> = reading.contrasts.iter().filter(|c| c.0 == group).map(|c| (c.1, c.2)).collect();
        if said.is_empty() {
            continue;
        }
        let best = said.iter().map(|s| s.1).max().unwrap_or(Stance::Neutral);
        let wanted = said.iter().any(|s| s.0 == own && s.1 != Stance::Rejected && (s.1 == best || s.1 >= Stance::Neutral));
        let rejected = said.iter().any(|s| s.0 == own && s.1 == Stance::Rejected);
        let other = said.iter().any(|s| s.0 != own && s.1 != Stance::Rejected);
        if rejected && !wanted || other && !wanted {
            verdict.contradicts.insert(Kind::Product);
        } else if wanted {
            verdict.carried += 1;
        }
    }
}

/// A plainer name means the thing that bears it: white is not off-white, Air 2 not Air 2 Pro, where the same product has both.
fn demote(pool: &[u32], verdicts: &mut [Verdict], index: &Index, wants: &[Want]) {
    for want in 0..wants.len() {
        let mut best: HashMap<u32, Grade> = HashMap::new();
        for (&i, v) in pool.iter().zip(verdicts.iter()) {
            let top = best.entry(index.items[i as usize].line).or_insert(Grade::Contradicts);
            *top = (*top).max(v.grades[want].unwrap_or(Grade::Silent));
        }
        for (&i, v) in pool.iter().zip(verdicts.iter_mut()) {
            let top = best[&index.items[i as usize].line];
            if v.grades[want] == Some(Grade::Wider) && top > Grade::Wider {
                v.grades[want] = Some(Grade::Contradicts);
                v.contradicts.insert(wants[want].kind);
                v.carried = v.carried.saturating_sub(1);
            }
        }
    }
}

/// A wide name (大衣) of a material that none of the candidates is made of: something else is meant.
fn unmade(reading: &Reading, index: &Index, verdicts: &mut [Verdict], wants: &[Want]) {
    let wide = !reading.products.is_empty() && reading.products.iter().all(|p| !index.by_name.contains_key(&p.name));
    for (at, want) in wants.iter().enumerate().filter(|(_, w)| wide && w.kind == Kind::Material && w.any.iter().any(|m| m.firm)) {
        if !verdicts.iter().any(|v| v.grades[at] > Some(Grade::Silent)) {
            verdicts.iter_mut().for_each(|v| drop(v.contradicts.insert(want.kind)));
        }
    }
}

/// `P9` where the candidates are P5 and P7: of their form, and none of them.
fn codes(pool: &[u32], verdicts: &mut [Verdict], reading: &Reading, index: &Index) {
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
                (v.contradicts.len(), std::cmp::Reverse(v.carried), std::cmp::Reverse(titles), sku(i))
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
            shown.sort_by_cached_key(|&i| sku(i));
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
