//! `fenzhen data suspects`: which rows of a training set are likely to have the wrong label.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::super::Global;
use super::super::learning::{Judge, shortened, write_lines};
use super::super::output::{DIM, GREEN, STRONG, YELLOW, bar, line, paint};
use crate::corpus::{Example, read_jsonl};
use crate::train::{Suspect, suspects};

#[derive(Debug, Args)]
#[command(
    after_help = "Every row is judged by classifiers that were trained without it (k-fold cross-validation). A row is a suspect when a label other than its own claims it (confident learning); those come first whose own label is the least probable. Look at them: some are right, and hard."
)]
pub(super) struct SuspectsCommand {
    /// JSON Lines of {"text", "intent", "lang"}
    file: PathBuf,
    /// Parts that the rows are dealt into
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..=100))]
    folds: u16,
    /// Rows to list
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Decides which row is dealt where
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// JSON, for programs
    #[arg(long)]
    json: bool,
    /// Write the listed rows here, as JSON Lines
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl SuspectsCommand {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let parameters = Judge::open(&global.start(None)?)?.parameters();
        let rows: Vec<Example> = read_jsonl(&self.file)?;
        anyhow::ensure!(!rows.is_empty(), "{} holds no row", self.file.display());
        let folds = usize::from(self.folds);
        let progress = bar(folds as u64, "judge");
        progress.tick();
        let mut report = suspects(&rows, &parameters, folds, self.seed, &mut || progress.inc(1))?;
        progress.finish_and_clear();
        let found = report.suspects.len();
        report.suspects.truncate(self.count as usize);
        if let Some(path) = &self.out {
            write_lines(path, report.suspects.iter().map(|s| Ok(numbered(s).to_string())))?;
        }
        if self.json {
            let listed: Vec<_> = report.suspects.iter().map(numbered).collect();
            let json = json!({
                "rows": report.rows, "unjudged": report.unjudged, "agreement": report.agreement, "found": found, "suspects": listed,
            });
            line(&serde_json::to_string_pretty(&json)?)?;
            return Ok(ExitCode::SUCCESS);
        }
        let share = 100.0 * report.agreement;
        line(&paint(
            DIM,
            format!("{} rows; the others gave {share:.1} % of them the label that they have; {found} suspects", report.rows),
        ))?;
        if report.unjudged > 0 {
            let what = "rows are the only ones of their label: nothing can judge them";
            line(&format!("{} {} {what}", paint(YELLOW, "!"), report.unjudged))?;
        }
        match &self.out {
            Some(path) => line(&format!("{} {} rows in {}", paint(GREEN, "✓"), report.suspects.len(), path.display()))?,
            None => report.suspects.iter().try_for_each(show)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Rows count from 1 for people, blank lines not counted.
fn numbered(suspect: &Suspect) -> serde_json::Value {
    json!({
        "row": suspect.row + 1, "text": suspect.text, "given": suspect.given, "likely": suspect.likely,
        "given_probability": suspect.given_probability, "likely_probability": suspect.likely_probability,
    })
}

fn show(s: &Suspect) -> anyhow::Result<()> {
    let percent = |p: f64| format!("{:.1} %", 100.0 * p);
    line(&format!(
        "row {:>6}  {} {}, rather {} {}",
        s.row + 1,
        s.given,
        percent(s.given_probability),
        paint(STRONG, &s.likely),
        percent(s.likely_probability)
    ))?;
    line(&format!("            {}", shortened(&s.text, 100)))
}
