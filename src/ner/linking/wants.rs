//! What a message asks of entries: its mentions gathered by what they are said of.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use super::Kind;
use super::candidates::Group;
use super::catalogue::Index;
use super::polarity::Stance;
use super::reading::{Mention, Named, Reading};
use super::trial::counts_time;
use super::values::{Dimension, Quantity, Size};

/// From here on a number without a unit is an amount that is sold: smaller ones are as often something else.
const PLAIN_AMOUNT: f64 = 1000.0;

/// What is asked of entries under one kind (or one dimension, or one contrast).
pub(super) struct Want<'a> {
    pub kind: Kind,
    /// Any of them will do.
    pub any: Vec<&'a Mention>,
    pub not: Vec<&'a Mention>,
}

impl<'a> Want<'a> {
    fn of(kind: Kind, mut mentions: Vec<&'a Mention>) -> Self {
        // A firm amount is what is sold; the loose ones beside it count something else.
        if mentions.iter().any(|m| m.firm && m.stance > Stance::Came) {
            mentions.retain(|m| m.firm);
        }
        let (not, mut said): (Vec<_>, Vec<_>) = mentions.into_iter().partition(|m| m.stance == Stance::Rejected);
        // `wheat please, no, forget wheat`: the last word counts.
        said.retain(|m| !not.iter().any(|n| n.value == m.value && n.range.start > m.range.start));
        // What was ordered goes before what is only named, and what it shall become before both.
        let best = said.iter().map(|m| m.stance).max();
        Want { kind, any: said.into_iter().filter(|m| Some(m.stance) == best).collect(), not }
    }
}

/// Kinds apart, measures apart by dimension.
pub(super) fn wants<'a>(mentions: impl Iterator<Item = &'a Mention>) -> Vec<Want<'a>> {
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
pub(super) fn mentions_of(group: &Group, reading: &Reading, index: &Index) -> Vec<Mention> {
    let elsewhere = |m: &&Mention| {
        // Of a part (240毫升奶嘴) the amount is the whole's; of another thing (白沙发) nothing is.
        let amount = matches!(m.value, Named::Amount(_) | Named::Size(_));
        let other = |at: usize| {
            !amount || reading.products.iter().any(|p| p.range.start == at && !p.scenery && !index.of_product(&p.name).is_empty())
        };
        !group.places.is_empty() && m.bound(&reading.text, &reading.products).is_some_and(|at| !group.places.contains(&at) && other(at))
    };
    let mut mentions: Vec<Mention> = reading.values.iter().filter(|m| !elsewhere(m)).cloned().collect();
    if reading.bare.is_empty() {
        return mentions;
    }
    let facts: FxHashSet<u32> = group.items.iter().flat_map(|&i| index.items[i as usize].facts.iter().copied()).collect();
    let sizes: Vec<&Size> = facts.iter().filter_map(|&f| index.facts[f as usize].size.as_ref()).collect();
    let amounts: Vec<Quantity> = facts.iter().flat_map(|&f| index.facts[f as usize].quantities.iter().copied()).collect();
    for (range, n, stance) in reading.bare.iter().filter(|b| !counts_time(&reading.text[b.0.end..])) {
        let size = Size::Number(*n, *n);
        if sizes.iter().any(|s| s.meets(&size, false) == Some(true)) {
            mentions.push(Mention { range: range.clone(), kind: Kind::Size, value: Named::Size(size), stance: *stance, firm: true });
        } else if let Some(amount) = amounts.iter().find(|q| *n >= PLAIN_AMOUNT && q.low == q.high && q.low as f64 == n * 1000.0) {
            // `the 20000 power bank`: a large number that one of them carries is its amount.
            mentions.push(Mention { range: range.clone(), kind: Kind::Spec, value: Named::Amount(*amount), stance: *stance, firm: true });
        }
    }
    mentions
}
