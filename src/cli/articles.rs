//! `fenzhen articles import`: knowledge from a file, without a running service.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::output::{GREEN, bar, line, paint};
use super::{DataFolder, Global, runtime};
use crate::app::App;
use crate::corpus::read_jsonl;
use crate::domain::Article;

#[derive(Debug, Args)]
pub(super) struct Articles {
    #[command(flatten)]
    folder: DataFolder,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Import JSON Lines of {"id", "lang", "question", "answer", "intent"?}; all rows or none
    Import {
        file: PathBuf,
        /// Delete the articles that are not in the file
        #[arg(long)]
        replace: bool,
    },
}

impl Articles {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let Action::Import { file, replace } = self.action;
        let rows: Vec<Article> = read_jsonl(&file)?;
        rows.iter().try_for_each(Article::check)?;
        let config = global.start(Some(&self.folder))?;
        runtime()?.block_on(async {
            let app = App::open(&config).await?;
            let counts = app.pipeline.store.import_articles(&rows, replace).await?;
            let bar = bar(rows.len() as u64, "index articles");
            app.catch_up(&|done, all| {
                bar.set_length(all as u64);
                bar.set_position(done as u64);
            })
            .await?;
            bar.finish_and_clear();
            line(&format!(
                "{} {} articles: {} created, {} updated, {} unchanged, {} deleted",
                paint(GREEN, "✓"),
                rows.len(),
                counts.created,
                counts.updated,
                counts.unchanged,
                counts.deleted
            ))?;
            Ok(ExitCode::SUCCESS)
        })
    }
}
