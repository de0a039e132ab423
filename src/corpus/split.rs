//! A labelled file in parts for training, validation and test.
//!
//! Rows that belong together (same text, same group, nearly the same text) go to one part, so that no part is asked what another has
//! seen. Intents and languages keep their shares in each part. The same rows and seed make the same parts, in whatever order they come.
//!
//! The file is read twice, and some forty bytes a row are kept in between (for near-duplicates the texts too).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rustc_hash::FxHashSet;
use serde_json::Value;

use super::near::{Texts, near_pairs};
use super::repeats::{Labels, MAX_LABELS, fingerprint};
use super::source::{Source, Tick};
use super::{Beside, CorpusError, LabelledRow};
use crate::domain::Lang;
use crate::text::normalize;

#[derive(Debug, Clone)]
pub struct SplitOptions {
    /// Shares of the rows, each in [0, 1) and together less than 1; a part with the share 0 is not written.
    pub valid: f64,
    pub test: f64,
    pub seed: u64,
    /// A field of the rows: those that have the same value stay together.
    pub group: Option<String>,
    /// Texts that share most of their character trigrams stay together.
    pub near_duplicates: bool,
}

/// The parts, in the order of [`SplitSummary::parts`].
pub const PARTS: [&str; 3] = ["train", "valid", "test"];

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Part {
    pub path: PathBuf,
    pub rows: u64,
    /// Distinct intents.
    pub labels: usize,
    pub languages: BTreeMap<Lang, u64>,
}

/// An intent in a language that has too few rows to be in every part.
#[derive(Debug, Clone, PartialEq)]
pub struct TooSmall {
    pub intent: String,
    pub lang: Lang,
    pub rows: u64,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct SplitSummary {
    pub parts: Vec<Part>,
    /// They are in train.
    pub too_small: Vec<TooSmall>,
    /// Groups of rows that stay together, single rows among them, and the rows of the largest.
    pub groups: usize,
    pub largest_group: usize,
}

/// Splits `file` into `train.jsonl`, `valid.jsonl` and `test.jsonl` of the folder `dir`, which is made where it is not there.
///
/// A row is written as it was read, fields that we do not know included; rows keep their order.
///
/// # Errors
/// A broken row, one without the group's field, shares that leave nothing to train on, a part that would overwrite `file`, a disk
/// that is full. Nothing is written then.
pub fn split(file: &Path, dir: &Path, options: &SplitOptions, tick: Tick) -> Result<SplitSummary, CorpusError> {
    let refuse = |path: &Path, why: String, hint: &str| CorpusError::Input { path: path.to_owned(), line: None, why, hint: hint.into() };
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| CorpusError::Io { path, source }
    };
    let shares = [1.0 - options.valid - options.test, options.valid, options.test];
    if !shares.iter().all(|s| (0.0..=1.0).contains(s)) || shares[0] <= 0.0 {
        let why = format!("the shares {} and {} leave nothing to train on", options.valid, options.test);
        return Err(refuse(file, why, "--valid and --test are shares of the rows, together less than 1"));
    }
    let whole = std::fs::canonicalize(file).map_err(io(file))?;
    if !whole.is_file() {
        return Err(refuse(file, "is no regular file, and is read twice".into(), "write it into a file first"));
    }
    let paths = PARTS.map(|part| dir.join(format!("{part}.jsonl")));
    for (path, share) in paths.iter().zip(shares) {
        if std::fs::canonicalize(path).is_ok_and(|p| p == whole) {
            return Err(refuse(path, "would overwrite the file that is split".into(), "choose another folder with --out"));
        }
        if share == 0.0 && path.exists() {
            return Err(refuse(
                path,
                "is left from another split, and this one has no such part".into(),
                "remove it, or choose another folder with --out",
            ));
        }
    }
    let mut corpus = Corpus::read(file, options, tick)?;
    if options.near_duplicates {
        corpus.join_near_duplicates();
    }
    let (part_of, mut summary) = corpus.deal(&shares, options.seed);
    std::fs::create_dir_all(dir).map_err(io(dir))?;
    summary.parts = write(file, &paths, &part_of, &shares, tick)?;
    Ok(summary)
}

/// What is kept of the rows.
#[derive(Default)]
struct Corpus {
    /// Content of each row as a number, which orders rows independently of the file's order.
    keys: Vec<u64>,
    /// Intent and language of each row.
    strata: Vec<u32>,
    labels: Labels,
    together: Together,
    /// The first row of each text, and that text, where near-duplicates are asked for.
    texts: Texts<u32>,
}

impl Corpus {
    fn read(file: &Path, options: &SplitOptions, tick: Tick) -> Result<Self, CorpusError> {
        let mut source = Source::open(file, tick)?;
        let mut corpus = Self::default();
        let (mut by_text, mut by_group, mut compared) = (Vec::new(), Vec::new(), FxHashSet::default());
        while let Some((line, json)) = source.next_line()?.map(|(line, json)| (line, json.to_owned())) {
            let row = LabelledRow::parse(&source, line, &json)?;
            let at = corpus.together.add();
            let Some((label, _)) = corpus.labels.number(&row.intent) else {
                let why = format!("more than {MAX_LABELS} different labels");
                return Err(source.fault(Some(line), why, "is it the right file? `fenzhen data import` takes --intent COLUMN"));
            };
            corpus.strata.push(2 * u32::from(label) + row.lang as u32);
            corpus.keys.push(fingerprint(&format!("{}\0{}\0{}", row.text, row.intent, row.lang)));
            let clean = normalize(&row.text).text;
            let text = fingerprint(&clean);
            by_text.push((text, at));
            if options.near_duplicates && compared.insert(text) && !corpus.texts.push(at, clean) {
                let why = format!("{}, are too many to look for near-duplicates", Texts::<u32>::LIMIT);
                return Err(source.fault(None, why, "split without --by-near-duplicates, or by a field: --group FIELD"));
            }
            if let Some(field) = &options.group
                && let Some(value) = group_of(&source, line, &row, field)?
            {
                by_group.push((fingerprint(&value), at));
            }
        }
        corpus.together.join_equal(by_text);
        corpus.together.join_equal(by_group);
        if corpus.keys.is_empty() {
            return Err(source.fault(None, "the file holds no rows", "check the path"));
        }
        corpus.sort_labels();
        Ok(corpus)
    }

    /// Numbers the labels by name, so that nothing depends on which came first.
    fn sort_labels(&mut self) {
        let mut names = std::mem::take(&mut self.labels.names);
        let old = names.clone();
        names.sort_unstable();
        let new: Vec<u32> = old.iter().map(|name| names.partition_point(|n| n < name) as u32).collect();
        self.strata.iter_mut().for_each(|s| *s = 2 * new[*s as usize / 2] + *s % 2);
        self.labels.names = names;
    }

    fn join_near_duplicates(&mut self) {
        let texts: Vec<&str> = self.texts.all.iter().map(|(_, text)| text.as_str()).collect();
        let rows: Vec<u32> = self.texts.all.iter().map(|(row, _)| *row).collect();
        let apart = |together: &mut Together, a: usize, b: usize| together.root(rows[a]) != together.root(rows[b]);
        near_pairs(&texts, &mut self.together, apart, |together, a, b| together.join(rows[a], rows[b]));
    }

    /// The part of each row.
    ///
    /// Groups are dealt out in random order, the large ones first: each goes to the part that it brings nearest to its shares of
    /// intents and languages (squared distances, each intent and language weighing the same). For single rows that is exact.
    fn deal(mut self, shares: &[f64; 3], seed: u64) -> (Vec<u8>, SplitSummary) {
        let rows = self.keys.len();
        let kinds = 2 * self.labels.names.len();
        let mut sizes = vec![0u64; kinds];
        self.strata.iter().for_each(|&s| sizes[s as usize] += 1);
        let quotas = quotas(&sizes, shares);
        let in_all_parts = |kind: usize| (1..3).all(|part| shares[part] == 0.0 || quotas[part][kind] > 0);

        // A group is known by the least of its keys. Equal keys are equal rows, and those are in one group: the order is one.
        let roots = self.together.roots();
        for (row, &root) in roots.iter().enumerate().take(rows) {
            self.keys[root as usize] = self.keys[root as usize].min(self.keys[row]);
        }
        let mut members: Vec<u32> = (0..rows as u32).collect();
        let group_of = |row: u32| (self.keys[roots[row as usize] as usize], roots[row as usize]);
        members.sort_unstable_by_key(|&row| group_of(row));
        let mut groups: Vec<&[u32]> = members.chunk_by(|&a, &b| group_of(a) == group_of(b)).collect();
        groups.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        groups.sort_by_key(|group| std::cmp::Reverse(group.len()));

        let mut filled = [vec![0u64; kinds], vec![0u64; kinds], vec![0u64; kinds]];
        let wanted = quotas.each_ref().map(|quota| quota.iter().sum::<u64>() as f64);
        let mut totals = [0usize; 3];
        let mut part_of = vec![0u8; rows];
        for group in &groups {
            let mut counts: BTreeMap<usize, u64> = BTreeMap::new();
            group.iter().for_each(|&row| *counts.entry(self.strata[row as usize] as usize).or_default() += 1);
            // How much farther from its quota a part would be.
            let cost = |part: usize| -> f64 {
                let of = |(&kind, &count): (&usize, &u64)| {
                    let (before, count) = (filled[part][kind] as f64 - quotas[part][kind] as f64, count as f64);
                    (count * count + 2.0 * count * before) / sizes[kind] as f64
                };
                counts.iter().map(of).sum()
            };
            // Of parts that gain alike the one that lacks more rows on the whole.
            let lack = |part: usize| totals[part] as f64 - wanted[part];
            let may_leave = counts.keys().all(|&kind| in_all_parts(kind));
            let open = (0..3).filter(|&part| part == 0 || (shares[part] > 0.0 && may_leave));
            let best = open.min_by(|&a, &b| cost(a).total_cmp(&cost(b)).then_with(|| lack(a).total_cmp(&lack(b))));
            let part = best.unwrap_or(0);
            totals[part] += group.len();
            counts.iter().for_each(|(&kind, &count)| filled[part][kind] += count);
            group.iter().for_each(|&row| part_of[row as usize] = part as u8);
        }
        let too_small: Vec<TooSmall> = (0..kinds)
            .filter(|&kind| sizes[kind] > 0 && !in_all_parts(kind))
            .map(|kind| TooSmall { intent: self.labels.names[kind / 2].clone(), lang: Lang::ALL[kind % 2], rows: sizes[kind] })
            .collect();
        let largest_group = groups.first().map_or(0, |group| group.len());
        (part_of, SplitSummary { too_small, groups: groups.len(), largest_group, ..SplitSummary::default() })
    }
}

/// The value of the field that groups are made of; none where it is null.
fn group_of(source: &Source, line: usize, row: &LabelledRow, field: &str) -> Result<Option<String>, CorpusError> {
    let fault = |why: String, hint: &str| Err(source.fault(Some(line), why, hint));
    let own = match field {
        "intent" | "text" | "lang" => {
            return fault(format!("rows cannot be grouped by {field:?}"), "name a field such as customer or conversation");
        }
        other => row.more.get(other),
    };
    match own {
        Some(Value::Null) => Ok(None),
        Some(Value::Array(_) | Value::Object(_)) => {
            fault(format!("the field {field:?} holds no plain value"), "name a field of strings or numbers")
        }
        // A string and a number that look alike are two values.
        Some(value) => Ok(Some(value.to_string())),
        None => {
            let there: Vec<&String> = row.more.keys().collect();
            fault(
                format!("no field {field:?}; beside text, intent and lang there are {there:?}"),
                "name another with --group, or give every row one (null: a group of its own)",
            )
        }
    }
}

/// Rows of each kind for each part.
///
/// A kind that has half a row or more for each part has at least one there; of a smaller one all rows are for train. What is left of the
/// parts by rounding down goes to the kinds that lost most by it.
fn quotas(sizes: &[u64], shares: &[f64; 3]) -> [Vec<u64>; 3] {
    let fits = |size: u64| shares.iter().all(|&share| share == 0.0 || share * size as f64 >= 0.5);
    let mut quotas = [sizes.to_vec(), vec![0; sizes.len()], vec![0; sizes.len()]];
    for part in 1..3 {
        let exact = |kind: usize| shares[part] * sizes[kind] as f64;
        let mut kinds: Vec<usize> = (0..sizes.len()).filter(|&kind| shares[part] > 0.0 && sizes[kind] > 0 && fits(sizes[kind])).collect();
        let total = kinds.iter().map(|&kind| exact(kind)).sum::<f64>().round() as u64;
        for &kind in &kinds {
            quotas[part][kind] = (exact(kind).floor() as u64).max(1).min(quotas[0][kind].saturating_sub(1));
        }
        let given: u64 = quotas[part].iter().sum();
        kinds.sort_by(|&a, &b| exact(b).fract().total_cmp(&exact(a).fract()).then(sizes[b].cmp(&sizes[a])));
        // Those of less than a row have been given one already; and something must be left to train on.
        let losers = kinds.into_iter().filter(|&kind| exact(kind) >= 1.0 && quotas[0][kind] > quotas[part][kind] + 1);
        let losers: Vec<usize> = losers.take(total.saturating_sub(given) as usize).collect();
        losers.into_iter().for_each(|kind| quotas[part][kind] += 1);
        let taken = quotas[part].clone();
        quotas[0].iter_mut().zip(taken).for_each(|(left, taken)| *left -= taken);
    }
    quotas
}

/// Rows that stay together (disjoint sets with path halving; a set's root is its first row).
#[derive(Default)]
struct Together {
    parent: Vec<u32>,
}

impl Together {
    fn add(&mut self) -> u32 {
        let row = self.parent.len() as u32;
        self.parent.push(row);
        row
    }

    fn root(&mut self, mut row: u32) -> u32 {
        while self.parent[row as usize] != row {
            let above = self.parent[row as usize];
            self.parent[row as usize] = self.parent[above as usize];
            row = above;
        }
        row
    }

    fn join(&mut self, a: u32, b: u32) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b) as usize] = a.min(b);
    }

    /// Joins the rows that have the same key.
    fn join_equal(&mut self, mut keys: Vec<(u64, u32)>) {
        keys.sort_unstable();
        keys.windows(2).filter(|pair| pair[0].0 == pair[1].0).for_each(|pair| self.join(pair[0].1, pair[1].1));
    }

    /// The root of each row.
    fn roots(mut self) -> Vec<u32> {
        for row in 0..self.parent.len() as u32 {
            self.parent[row as usize] = self.root(row);
        }
        self.parent
    }
}

fn write(file: &Path, paths: &[PathBuf; 3], part_of: &[u8], shares: &[f64; 3], tick: Tick) -> Result<Vec<Part>, CorpusError> {
    let mut source = Source::open(file, tick)?;
    let mut outs: Vec<Option<Beside>> = Vec::new();
    for (path, share) in paths.iter().zip(shares) {
        outs.push(if *share > 0.0 { Some(Beside::create(path)?) } else { None });
    }
    let mut parts: Vec<Part> = paths.iter().map(|path| Part { path: path.clone(), ..Part::default() }).collect();
    let mut labels: Vec<std::collections::HashSet<String>> = vec![Default::default(); parts.len()];
    let changed = |source: &Source| source.fault(None, "changed while it was split", "split it again when nothing writes it");
    let mut rows = part_of.iter();
    while let Some((line, json)) = source.next_line()?.map(|(line, json)| (line, json.to_owned())) {
        let row = LabelledRow::parse(&source, line, &json)?;
        let part = rows.next().map(|&part| usize::from(part)).ok_or_else(|| changed(&source))?;
        let out = outs[part].as_mut().ok_or_else(|| changed(&source))?;
        out.line(&json)?;
        parts[part].rows += 1;
        *parts[part].languages.entry(row.lang).or_default() += 1;
        if !labels[part].contains(&row.intent) {
            labels[part].insert(row.intent);
        }
    }
    if rows.next().is_some() {
        return Err(changed(&source));
    }
    Beside::finish_together(outs.into_iter().flatten().collect())?;
    for (part, labels) in parts.iter_mut().zip(labels) {
        part.labels = labels.len();
    }
    Ok(parts.into_iter().zip(shares).filter(|(_, share)| **share > 0.0).map(|(part, _)| part).collect())
}

#[cfg(test)]
mod tests;
