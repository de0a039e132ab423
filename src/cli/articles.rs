//! `fenzhen articles`: knowledge from elsewhere, without a running service.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::output::{DIM, GREEN, STRONG, YELLOW, advance, bar, line, paint};
use super::{DataFolder, Global, runtime};
use crate::app::App;
use crate::domain::Lang;
use crate::knowledge::{self, Format, ImportOptions, Imported};
use crate::models::timestamp;

#[derive(Debug, Args)]
pub(super) struct Articles {
    #[command(flatten)]
    folder: DataFolder,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Import articles from a file, a folder or a page
    ///
    /// Reads Markdown (with or without front matter), HTML, CSV with a header row, JSON Lines of {"id", "lang", "question", "answer", ...}, and
    /// the exports of Zendesk Guide and Chatwoot; the kind is seen from name and content. What cannot be read is passed over and named; all that
    /// can is kept, or none. Articles that say what another one says are listed.
    #[command(after_help = "Examples:\n  fenzhen articles import help-centre/\n  fenzhen articles import zendesk.json --lang zh\n  \
                            fenzhen articles import https://example.com/help/returns --category returns")]
    Import {
        /// File, folder or http(s) address
        place: String,
        /// markdown, html, csv, jsonl, zendesk or chatwoot, where it is not seen by itself
        #[arg(long)]
        format: Option<Format>,
        /// Language of articles that do not tell theirs
        #[arg(long)]
        lang: Option<Lang>,
        /// Category of articles that have none
        #[arg(long)]
        category: Option<String>,
        /// Delete the articles that are not in the import
        #[arg(long)]
        replace: bool,
        /// Say what would be imported, and keep nothing
        #[arg(long)]
        dry_run: bool,
    },
}

/// Rows that are named where something was passed over.
const NAMED: usize = 20;

impl Articles {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let Action::Import { place, format, lang, category, replace, dry_run } = self.action;
        let config = global.start(Some(&self.folder))?;
        let Imported { articles, skipped } = knowledge::import(&place, &ImportOptions { format, lang, category })?;
        for skipped in skipped.iter().take(NAMED) {
            line(&format!("{} {skipped}", paint(YELLOW, "passed over")))?;
        }
        if skipped.len() > NAMED {
            line(&paint(DIM, format!("... and {} more", skipped.len() - NAMED)))?;
        }
        // Half of a base would be deleted where half of a file could not be read.
        anyhow::ensure!(
            !replace || skipped.is_empty(),
            "--replace deletes what the import does not hold, and {} places could not be read: mend them first, or leave --replace out",
            skipped.len()
        );
        if dry_run {
            for article in &articles {
                line(&format!("{} {} {}", paint(STRONG, &article.id), article.lang, article.question))?;
            }
            line(&format!("{} {} articles would be imported", paint(GREEN, "✓"), articles.len()))?;
            return Ok(ExitCode::SUCCESS);
        }
        runtime()?.block_on(async {
            let app = App::open(&config).await?;
            let counts = app.pipeline.store.import_articles(&articles, replace, &timestamp()).await?;
            let bar = bar(articles.len() as u64, "index articles");
            app.catch_up(&|done, all| advance(&bar, done, all)).await?;
            bar.finish_and_clear();
            let ids: Vec<String> = articles.iter().map(|article| article.id.clone()).collect();
            for pair in app.pipeline.duplicates(&ids).await? {
                let sure = paint(DIM, format!("{:.0} %", 100.0 * pair.confidence));
                line(&format!("{} {} seems to say what {} says {sure}", paint(YELLOW, "duplicate?"), pair.id, pair.of))?;
            }
            line(&format!(
                "{} {} articles: {} created, {} updated, {} unchanged, {} deleted",
                paint(GREEN, "✓"),
                articles.len(),
                counts.created,
                counts.updated,
                counts.unchanged,
                counts.deleted
            ))?;
            Ok(ExitCode::SUCCESS)
        })
    }
}
