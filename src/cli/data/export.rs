//! `fenzhen data export`: labelled rows for other programs.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::super::output::{GREEN, Hinted, STRONG, line, paint};
use super::super::{DataFolder, Global};
use super::feedback::{FeedbackChoice, export_feedback};
use super::{doubt, format_names, with_bar};
use crate::corpus::{Beside, Format, export};

#[derive(Debug, Args)]
pub(super) struct Export {
    /// Labelled rows (JSON Lines)
    #[arg(required_unless_present = "feedback", conflicts_with = "feedback")]
    file: Option<PathBuf>,
    /// What to write
    #[arg(long, value_parser = format_names(&[]), default_value = "jsonl")]
    format: String,
    /// Instead of a file: the messages that agents gave feedback on, with the right labels; the last word on a message counts
    #[arg(long)]
    feedback: bool,
    #[command(flatten)]
    folder: DataFolder,
    #[command(flatten)]
    choice: FeedbackChoice,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

impl Export {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let Some(file) = &self.file else { return export_feedback(global, &self.folder, &self.choice, &self.out) };
        let format: Format =
            self.format.parse().map_err(|message| Hinted { message, hint: "`fenzhen data export --help` lists the formats".into() })?;
        let mut out = Beside::create(&self.out)?;
        let done = with_bar(&[file], 1, "export", |tick| export(file, format, &mut out, tick))?;
        out.finish()?;
        line(&format!("{} {} rows in {} ({})", paint(GREEN, "✓"), done.rows, paint(STRONG, self.out.display()), format.as_str()))?;
        if done.unbroken > 0 {
            doubt(&format!("{} texts had line breaks, which fastText has not: spaces stand for them", done.unbroken))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
