//! `fenzhen data split`: one labelled file in, train, valid and test out.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::super::output::{GREEN, line, paint};
use super::{doubt, languages, some_of, with_bar};
use crate::corpus::{PARTS, SplitOptions, SplitSummary, split};

#[derive(Debug, Args)]
pub(super) struct Split {
    /// Labelled rows (JSON Lines)
    file: PathBuf,
    /// Folder for train.jsonl, valid.jsonl and test.jsonl
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Share of the rows for validation; with 0 there is no such file
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    valid: f64,
    /// Share of the rows for the test
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    test: f64,
    /// Another seed makes other parts; the same rows and seed make the same, in whatever order the rows come
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Rows with the same value of this field stay together (customer, conversation)
    #[arg(long, value_name = "FIELD")]
    group: Option<String>,
    /// Texts that are nearly the same stay together; equal ones always do
    #[arg(long)]
    by_near_duplicates: bool,
}

impl Split {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let options = SplitOptions {
            valid: self.valid,
            test: self.test,
            seed: self.seed,
            group: self.group,
            near_duplicates: self.by_near_duplicates,
        };
        let summary = with_bar(&[&self.file], 2, "split", |tick| split(&self.file, &self.out, &options, tick))?;
        show(&summary, &options)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn show(summary: &SplitSummary, options: &SplitOptions) -> anyhow::Result<()> {
    let all: u64 = summary.parts.iter().map(|part| part.rows).sum();
    let share = |rows: u64| 100.0 * rows as f64 / all as f64;
    for part in &summary.parts {
        let counts = format!("{:7} rows ({:4.1} %), {} labels, {}", part.rows, share(part.rows), part.labels, languages(&part.languages));
        line(&format!("{} {}: {counts}", paint(GREEN, "✓"), part.path.display()))?;
    }
    let together = summary.groups as u64 != all;
    if together {
        line(&format!("  {} groups of rows that stay together, the largest of {}", summary.groups, summary.largest_group))?;
    }
    if !summary.too_small.is_empty() {
        let small = summary.too_small.iter().map(|s| format!("{} ({}) {}", s.intent, s.lang, s.rows));
        doubt(&format!("{} labels have too few rows for every part, and are in train only: {}", small.len(), some_of(small, 12)))?;
    }
    for (name, wanted) in PARTS.into_iter().zip([None, Some(options.valid), Some(options.test)]) {
        let part = summary.parts.iter().find(|part| part.path.file_stem().is_some_and(|stem| stem == name));
        if let (Some(part), Some(wanted)) = (part, wanted)
            && together
            && (share(part.rows) - 100.0 * wanted).abs() > 20.0 * wanted
        {
            let why = "groups are not taken apart: another --seed may do better, or another --group";
            doubt(&format!("{name} has {:.1} % of the rows where {:.1} % were asked for; {why}", share(part.rows), 100.0 * wanted))?;
        }
    }
    Ok(())
}
