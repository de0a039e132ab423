//! `fenzhen data export --feedback`: what agents said, as training rows.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::super::learning::{PAGE, Since, open_records, shortened, write_lines};
use super::super::output::{GREEN, Hinted, YELLOW, bar, line, paint};
use super::super::{DataFolder, Global, runtime};
use crate::domain::Outcome;
use crate::train::{Conflict, Harvest};

/// Which feedback is exported.
#[derive(Debug, Args)]
pub(super) struct FeedbackChoice {
    /// Feedback from this day (2026-01-31) or time (2026-01-31T08:00:00Z) on
    #[arg(long, value_name = "DATE")]
    since: Option<Since>,
    /// Only these outcomes: accepted, edited, rejected
    #[arg(long, value_delimiter = ',', value_name = "OUTCOME")]
    outcome: Vec<Outcome>,
}

/// Conflicts that are told one by one.
const CONFLICTS_SHOWN: usize = 10;

/// Writes `{"text", "intent", "lang"}` for every message whose right label an agent confirmed or gave.
pub(super) fn export_feedback(global: &Global, folder: &DataFolder, choice: &FeedbackChoice, out: &Path) -> anyhow::Result<ExitCode> {
    let config = global.start(Some(folder))?;
    let (mut harvest, mut left_out) = (Harvest::default(), 0u64);
    runtime()?.block_on(async {
        let store = open_records(&config).await?;
        let since = choice.since.as_ref().map(|s| s.0.as_str());
        let progress = bar(store.judged_count(since).await?, "read feedback");
        let mut after = 0;
        loop {
            let page = store.judged(after, since, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.seq;
            progress.inc(page.len() as u64);
            for judged in &page {
                if choice.outcome.is_empty() || choice.outcome.contains(&judged.feedback.outcome) {
                    harvest.add(judged);
                } else {
                    left_out += 1;
                }
            }
        }
        progress.finish_and_clear();
        store.close().await;
        anyhow::Ok(())
    })?;
    let (rows, report) = harvest.finish();
    if rows.is_empty() {
        let why = match (report.judged, left_out) {
            (0, 0) => "agents have said nothing there".to_owned(),
            (n, 0) => format!("{n} triages have feedback, and none says what is right"),
            (n, other) => format!("{n} triages have such feedback and {other} another, and none says what is right"),
        };
        let message = format!("nothing to export from {}: {why}", config.data.dir.display());
        let hint = "feedback comes in over POST /v1/feedback; a rejection tells the right label only with `intent`".into();
        return Err(Hinted { message, hint }.into());
    }
    write_lines(out, rows.iter().map(|row| Ok(serde_json::to_string(row)?)))?;
    line(&format!("{} {} rows in {}, from {} triages with feedback", paint(GREEN, "✓"), report.rows, out.display(), report.judged))?;
    for (n, what) in [
        (report.without_label as u64, "rejected without a label: left out"),
        (left_out, "of another outcome: left out"),
        (report.repeated as u64, "with a text that came before: one row a text"),
    ] {
        if n > 0 {
            line(&format!("  {n} {what}"))?;
        }
    }
    tell_conflicts(&report.conflicts)?;
    Ok(ExitCode::SUCCESS)
}

fn tell_conflicts(conflicts: &[Conflict]) -> anyhow::Result<()> {
    if conflicts.is_empty() {
        return Ok(());
    }
    let rule = "the label given most often was kept, of several the last";
    line(&format!("{} {} texts were given different labels; {rule}:", paint(YELLOW, "!"), conflicts.len()))?;
    for conflict in conflicts.iter().take(CONFLICTS_SHOWN) {
        let labels: Vec<String> = conflict.labels.iter().map(|(label, n)| format!("{label} {n}")).collect();
        line(&format!("    {}  {}", labels.join(", "), shortened(&conflict.text, 60)))?;
    }
    if let Some(more) = conflicts.len().checked_sub(CONFLICTS_SHOWN).filter(|n| *n > 0) {
        line(&format!("    and {more} more"))?;
    }
    Ok(())
}
