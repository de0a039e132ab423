//! `fenzhen eval replies`: when the machine answers by itself, and whether it should have.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;

use super::output::{DIM, bar, line, paint};
use super::{Global, runtime, stock};
use crate::app::App;
use crate::corpus::{ReplyRow, read_jsonl, shipped};
use crate::domain::{Article, Mode};
use crate::eval::{ReplyMetrics, ReplyOutcome};
use crate::pipeline::Message;

#[derive(Debug, Args)]
pub(super) struct Replies {
    /// JSON Lines of {"id", "lang", "kind", "text", "articles"?, "near"?, "note"?}; kind is answerable, unanswerable, policy, human or injection
    #[arg(long, default_value = "datasets/replies/test.jsonl", value_name = "FILE")]
    data: PathBuf,
    /// The knowledge base that the rows are about (JSON Lines as for `articles import`), instead of the shipped one
    #[arg(long, value_name = "FILE")]
    articles: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Also write what became of each row (JSON Lines)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl Replies {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<ExitCode> {
        let rows: Vec<ReplyRow> = read_jsonl(&self.data)?;
        anyhow::ensure!(!rows.is_empty(), "{} holds no row", self.data.display());
        let articles: Vec<Article> = self.articles.as_deref().map_or_else(|| Ok(shipped::articles()), read_jsonl)?;
        let known: std::collections::HashSet<&str> = articles.iter().map(|a| a.id.as_str()).collect();
        if let Some((row, id)) = rows.iter().find_map(|r| r.articles.iter().find(|a| !known.contains(a.as_str())).map(|a| (&r.id, a))) {
            anyhow::bail!(
                "{row} of {} names the article {id}, which the knowledge base does not hold: name it with --articles",
                self.data.display()
            );
        }
        let config = global.start(None)?;
        // A shop of its own, so that the figures do not depend on what a service has learned.
        let folder = tempfile::tempdir()?;
        let outcomes = runtime()?.block_on(async {
            let app = App::open_elsewhere(&config, folder.path()).await?;
            let tickets = if self.articles.is_none() { shipped::tickets() } else { Vec::new() };
            stock(&app, &articles, &tickets).await?;
            let progress = bar(rows.len() as u64, "ask");
            let mut outcomes = Vec::with_capacity(rows.len());
            for row in rows {
                let message = Message { text: &row.text, lang: None, mode: Mode::Full, top_k: 5 };
                let triage = app.pipeline.triage(&message).await?;
                // What is handed over has no reply: the article that it would have been from.
                let best = || triage.articles.first().map(|a| a.article_id.clone());
                let sources = triage.reply.map_or_else(|| best().into_iter().collect(), |r| r.sources);
                let (action, reasons, confidence) = (triage.decision.action, triage.decision.reasons, triage.decision.confidence);
                outcomes.push(ReplyOutcome { row, action, reasons, sources, confidence, ms: triage.timing_ms.total });
                progress.inc(1);
            }
            progress.finish_and_clear();
            anyhow::Ok(outcomes)
        })?;
        if let Some(path) = &self.out {
            let lines: Vec<String> = outcomes.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
            std::fs::write(path, lines.join("\n") + "\n").with_context(|| path.display().to_string())?;
            anstream::eprintln!("{}", paint(DIM, format!("written to {}", path.display())));
        }
        let metrics = ReplyMetrics::of(&outcomes);
        line(&if self.json { serde_json::to_string_pretty(&metrics)? } else { metrics.show() })?;
        Ok(ExitCode::SUCCESS)
    }
}
