//! `fenzhen data`: labelled data in, checked, split, counted, and out again; and what is to be learned from recorded messages.

mod annotate;
mod drift;
mod export;
mod feedback;
mod import;
mod informative;
mod split;
mod suspects;
mod validate;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};

use super::Global;
use super::output::{STRONG, YELLOW, byte_bar, line, paint};
use crate::corpus::{CorpusError, Example, Format, Tick, read_jsonl, read_taxonomy};
use crate::domain::Lang;

#[derive(Debug, Args)]
pub(super) struct Data {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make labelled rows (JSON Lines) of CSV, TSV, JSON Lines, fastText or Rasa NLU files
    Import(import::Import),
    /// Divide a labelled file into train, valid and test: stratified, seeded, groups and equal texts kept together
    Split(split::Split),
    /// Check schema, labels, duplicates, near-duplicates across splits, encoding and balance (exit code 1 where something is wrong)
    Validate(validate::Validate),
    /// Mark the products in messages, or check marked ones, in the terminal: training rows for the tagger
    Annotate(annotate::Annotate),
    /// List the recorded messages whose label would teach the classifier most
    Informative(informative::InformativeCommand),
    /// List the rows of a training set that are likely to have the wrong label
    Suspects(suspects::SuspectsCommand),
    /// Hold recorded messages against the training data: labels, languages, words, lengths, confidence, sentence vectors
    Drift(drift::DriftCommand),
    /// Write a labelled file as CSV, TSV, JSON Lines, fastText or Rasa NLU; or what agents said, as training rows (--feedback)
    Export(export::Export),
    /// Count rows by split, language and intent
    Stats {
        #[arg(default_value = "datasets")]
        dir: PathBuf,
    },
}

const SPLITS: [&str; 3] = ["train", "valid", "test"];

impl Data {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Import(command) => command.run(),
            Action::Split(command) => command.run(),
            Action::Validate(command) => command.run(),
            Action::Annotate(command) => command.run(global),
            Action::Informative(command) => command.run(global),
            Action::Suspects(command) => command.run(global),
            Action::Drift(command) => command.run(global),
            Action::Export(command) => command.run(global),
            Action::Stats { dir } => stats(&dir),
        }
    }
}

/// Names of formats, and others that a flag takes.
fn format_names(more: &[&'static str]) -> PossibleValuesParser {
    PossibleValuesParser::new(more.iter().copied().chain(Format::ALL.map(Format::as_str)))
}

/// Works under a bar of the bytes that are read; files are read `times` times.
fn with_bar<T>(files: &[&Path], times: u64, what: &'static str, work: impl FnOnce(Tick) -> Result<T, CorpusError>) -> anyhow::Result<T> {
    let total: u64 = files.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|m| m.len()).sum();
    let bar = byte_bar(times * total, what);
    let done = work(&|bytes| bar.inc(bytes));
    bar.finish_and_clear();
    Ok(done?)
}

/// A line that asks for attention.
fn doubt(text: &str) -> anyhow::Result<()> {
    line(&format!("{} {text}", paint(YELLOW, "!")))
}

/// Up to so many of a list, and how many there are besides.
fn some_of(items: impl ExactSizeIterator<Item = String>, most: usize) -> String {
    let rest = items.len().saturating_sub(most);
    let shown = items.take(most).collect::<Vec<_>>().join(", ");
    if rest > 0 { format!("{shown}, and {rest} more") } else { shown }
}

fn languages(counts: &BTreeMap<Lang, u64>) -> String {
    counts.iter().map(|(lang, n)| format!("{lang} {n}")).collect::<Vec<_>>().join(", ")
}

fn stats(dir: &Path) -> anyhow::Result<ExitCode> {
    let taxonomy = read_taxonomy(&dir.join("taxonomy.toml"))?;
    let mut counts: BTreeMap<(String, &str, Lang), usize> = BTreeMap::new();
    let mut lengths: BTreeMap<(&str, Lang), Vec<usize>> = BTreeMap::new();
    for split in SPLITS {
        for row in read_jsonl::<Example>(&dir.join(format!("intents/{split}.jsonl")))? {
            lengths.entry((split, row.lang)).or_default().push(row.text.chars().count());
            *counts.entry((row.intent, split, row.lang)).or_default() += 1;
        }
    }
    line(&paint(STRONG, format!("{:18} {:>13} {:>13} {:>13}", "intent (zh + en)", "train", "valid", "test")))?;
    for (intent, _) in taxonomy.intents() {
        let cell = |split| {
            let of = |lang| counts.get(&(intent.to_owned(), split, lang)).copied().unwrap_or(0);
            format!("{:>6} + {:>4}", of(Lang::Zh), of(Lang::En))
        };
        line(&format!("{intent:18} {} {} {}", cell("train"), cell("valid"), cell("test")))?;
    }
    for ((split, lang), mut chars) in lengths {
        chars.sort_unstable();
        let at = |q: usize| chars[(chars.len() - 1) * q / 100];
        line(&format!(
            "{split:6} {lang}: {:5} rows, characters: 10 % under {}, median {}, 90 % under {}, longest {}",
            chars.len(),
            at(10),
            at(50),
            at(90),
            at(100)
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
