//! Any labelled files: every row is read, and what is wrong is told with its line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::near::{Texts, near_pairs};
use super::super::repeats::{Labels, MAX_LABELS, Origin, Seen};
use super::super::source::{Source, Tick};
use super::super::{CorpusError, LabelledRow, Place, Taxonomy, excerpt};
use super::encoding::suspicion;
use super::{Kind, Report};
use crate::text::{detect, normalize};

/// Characters of a text beyond which it is no message any more.
const LONG_TEXT: usize = 2_000;

/// A label with less than this share of the rows of the largest is told.
const IMBALANCE: usize = 50;

/// Judges labelled files: each is a split, the first the one to train on. At most `cap` findings of a kind are listed.
///
/// Rows that are broken are findings. Of more than 300,000 rows near-duplicates are not looked for, and of more than seven million
/// texts not all duplicates: the report's notes say so.
///
/// # Errors
/// A file that cannot be read, or is no text; more than 10,000 labels.
pub fn validate_labelled(files: &[PathBuf], taxonomy: Option<&Taxonomy>, cap: usize, tick: Tick) -> Result<Report, CorpusError> {
    let known: Option<BTreeSet<&str>> = taxonomy.map(|t| t.intents().map(|(id, _)| id).collect());
    let mut check = Check {
        paths: files.iter().map(|f| Arc::from(f.as_path())).collect(),
        known,
        cap,
        report: Report::default(),
        labels: Labels::default(),
        seen: Seen::default(),
        counts: vec![BTreeMap::new(); files.len()],
        firsts: BTreeMap::new(),
        texts: Some(Texts::default()),
        fields: BTreeMap::new(),
    };
    for (file, path) in files.iter().enumerate() {
        let mut source = Source::open(path, tick)?;
        let mut rows = 0;
        loop {
            let (line, json) = match source.next_line() {
                Ok(None) => break,
                Ok(Some((line, json))) => (line, json.to_owned()),
                Err(e) => {
                    check.broken(file, e)?;
                    continue;
                }
            };
            match LabelledRow::parse(&source, line, &json) {
                Ok(row) => check.row(file, line, &row).map_err(|(why, hint)| source.fault(Some(line), why, hint))?,
                Err(e) => check.broken(file, e)?,
            }
            rows += 1;
        }
        check.report.sizes.insert(path.display().to_string(), rows);
    }
    Ok(check.conclude())
}

struct Check<'a> {
    paths: Vec<Arc<Path>>,
    known: Option<BTreeSet<&'a str>>,
    cap: usize,
    report: Report,
    labels: Labels,
    seen: Seen,
    /// Rows of each label, by file.
    counts: Vec<BTreeMap<u16, usize>>,
    /// The first place of each label.
    firsts: BTreeMap<u16, Place>,
    /// Texts that are compared with each other, each once; none when there are too many.
    texts: Option<Texts<Origin>>,
    /// Fields that training does not read: rows, and the first place.
    fields: BTreeMap<String, (usize, Place)>,
}

impl Check<'_> {
    fn place(&self, file: usize, line: usize) -> Place {
        Place { path: self.paths[file].clone(), line }
    }

    fn at(&self, origin: Origin) -> Place {
        self.place(origin.file.into(), origin.line as usize)
    }

    fn find(&mut self, kind: Kind, place: Place, message: impl FnOnce() -> String) {
        self.report.find(self.cap, kind, Some(place), message);
    }

    /// A line that is no row is a finding; a file that cannot be read on is an error.
    fn broken(&mut self, file: usize, error: CorpusError) -> Result<(), CorpusError> {
        match error {
            CorpusError::Input { line: Some(line), why, .. } => {
                self.find(Kind::Schema, self.place(file, line), || why);
                Ok(())
            }
            other => Err(other),
        }
    }

    fn row(&mut self, file: usize, line: usize, row: &LabelledRow) -> Result<(), (String, &'static str)> {
        let here = self.place(file, line);
        let clean = normalize(&row.text).text;
        let Some((label, new)) = self.labels.number(&row.intent) else {
            return Err((format!("more than {MAX_LABELS} different labels"), "is `intent` the label, and not the message?"));
        };
        *self.counts[file].entry(label).or_default() += 1;
        if new {
            self.firsts.insert(label, here.clone());
        }
        for field in row.more.keys() {
            // Broken rows could have any number of names.
            if self.fields.len() < 100 || self.fields.contains_key(field) {
                self.fields.entry(field.clone()).or_insert_with(|| (0, here.clone())).0 += 1;
            }
        }
        if row.intent.trim().is_empty() {
            self.find(Kind::Schema, here.clone(), || "an empty label".into());
        } else if self.known.as_ref().is_some_and(|known| !known.contains(row.intent.as_str())) {
            self.find(Kind::UnknownLabel, here.clone(), || format!("the label {} is not in the taxonomy", excerpt(&row.intent)));
        }
        if clean.is_empty() {
            self.find(Kind::EmptyText, here, || format!("an empty text labelled {}", excerpt(&row.intent)));
            return Ok(());
        }
        if let Some(why) = suspicion(&row.text) {
            self.find(Kind::Encoding, here.clone(), || format!("{} holds {why}", excerpt(&row.text)));
        }
        let chars = row.text.chars().count();
        if chars > LONG_TEXT {
            self.find(Kind::LongText, here.clone(), || format!("a text of {chars} characters: {}", excerpt(&row.text)));
        }
        if let Some(looks) = detect(&clean).filter(|&lang| lang != row.lang) {
            self.find(Kind::Language, here.clone(), || format!("{} is said to be {} and looks like {looks}", excerpt(&row.text), row.lang));
        }
        let origin = Origin::new(file, line, label);
        match self.seen.meet(&clean, origin) {
            Some(first) => self.repeated(row, origin, first),
            None => {
                if self.texts.as_mut().is_some_and(|texts| !texts.push(origin, row.text.clone())) {
                    self.texts = None;
                }
            }
        }
        Ok(())
    }

    fn repeated(&mut self, row: &LabelledRow, here: Origin, first: Origin) {
        let (place, before) = (self.at(here), self.at(first));
        let text = excerpt(&row.text);
        if here.label != first.label {
            let labels = (self.labels.name(here.label).to_owned(), self.labels.name(first.label).to_owned());
            self.find(Kind::TwoLabels, place.clone(), || format!("{text} is {} here and {} at {before}", labels.0, labels.1));
        }
        if here.file != first.file {
            self.find(Kind::Leak, place, || format!("{text} stands at {before} too"));
        } else if here.label == first.label {
            self.find(Kind::Repeated, place, || format!("{text} repeats line {}", before.line));
        }
    }

    fn conclude(mut self) -> Report {
        self.judge_labels();
        self.find_near();
        for (field, (rows, first)) in std::mem::take(&mut self.fields) {
            let note = format!("the field {} ({rows} rows, first {first}) is read by nobody but `data split --group`", excerpt(&field));
            self.report.notes.push(note);
        }
        if self.seen.full {
            self.report.notes.push("there are more texts than are remembered: not all duplicates were found".into());
        }
        self.report.findings.sort_by_key(|f| f.kind);
        self.report
    }

    fn judge_labels(&mut self) {
        let totals: BTreeMap<u16, usize> = self.counts.iter().flatten().fold(BTreeMap::new(), |mut totals, (&label, &n)| {
            *totals.entry(label).or_default() += n;
            totals
        });
        let several = self.paths.len() > 1;
        let largest = totals.iter().max_by_key(|(_, n)| **n).map(|(&label, &n)| (self.labels.name(label).to_owned(), n));
        for (&label, first) in &std::mem::take(&mut self.firsts) {
            let (name, total) = (excerpt(self.labels.name(label)), totals.get(&label).copied().unwrap_or(0));
            let files: Vec<usize> = (0..self.paths.len()).filter(|&f| self.counts[f].contains_key(&label)).collect();
            if total == 1 {
                self.find(Kind::SingleExample, first.clone(), || {
                    format!("the label {name} has this one example: it cannot be learnt and measured")
                });
            } else if let Some((other, most)) = largest.as_ref().filter(|(_, most)| total * IMBALANCE < *most) {
                self.find(Kind::Imbalance, first.clone(), || {
                    format!("the label {name} has {total} rows, and {} has {most}", excerpt(other))
                });
            }
            if several && let [only] = files[..] {
                let path = self.paths[only].display().to_string();
                self.find(Kind::OneFileOnly, first.clone(), || format!("the label {name} is in {path} only ({total} rows)"));
            }
        }
        let used: BTreeSet<&str> = self.labels.names.iter().map(String::as_str).collect();
        let empty: Vec<&str> = self.known.iter().flatten().filter(|label| !used.contains(*label)).copied().collect();
        for label in empty {
            self.report.find(self.cap, Kind::EmptyClass, None, || format!("the label {} of the taxonomy has no example", excerpt(label)));
        }
        for alike in self.labels.look_alikes() {
            let names: Vec<String> = alike.iter().map(|name| excerpt(name)).collect();
            self.report.find(self.cap, Kind::LookAlikeLabels, None, || format!("the labels {} are nearly the same", names.join(" and ")));
        }
    }

    /// Texts that are nearly the same in two files, and such with two labels. A row is told once, beside one that it is like.
    fn find_near(&mut self) {
        let Some(texts) = self.texts.take() else {
            self.report.notes.push(format!("{}: near-duplicates were not looked for", Texts::<Origin>::LIMIT));
            return;
        };
        let texts = texts.all;
        let all: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
        let kind = |a: usize, b: usize| match (&texts[a].0, &texts[b].0) {
            (x, y) if x.file != y.file => Some(Kind::NearLeak),
            (x, y) if x.label != y.label => Some(Kind::NearTwoLabels),
            _ => None,
        };
        // For each row another that it is like: across files, and across labels.
        let mut near: BTreeMap<(usize, Kind), usize> = BTreeMap::new();
        let untold = |near: &mut BTreeMap<_, _>, a, b| kind(a, b).is_some_and(|kind| !near.contains_key(&(b, kind)));
        near_pairs(&all, &mut near, untold, |near, a, b| {
            kind(a, b).and_then(|kind| near.insert((b, kind), a));
        });
        for ((b, kind), a) in near {
            let ((here, text), (there, other)) = (&texts[b], &texts[a]);
            let labels = (self.labels.name(here.label).to_owned(), self.labels.name(there.label).to_owned());
            let before = self.at(*there);
            self.find(kind, self.at(*here), || match kind {
                Kind::NearTwoLabels => format!("{} is {}, and {} at {before} is {}", excerpt(text), labels.0, excerpt(other), labels.1),
                _ => format!("{} is nearly {} at {before}", excerpt(text), excerpt(other)),
            });
        }
    }
}

#[cfg(test)]
mod tests;
