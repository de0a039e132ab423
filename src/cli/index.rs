//! `fenzhen index`: the search indexes, made from the records.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};

use super::output::{DIM, GREEN, RED, advance, bar, line, paint};
use super::{DataFolder, Global, runtime};
use crate::app::App;
use crate::config;
use crate::pipeline::Difference;
use crate::store::IndexKind;

#[derive(Debug, Args)]
pub(super) struct Index {
    #[command(flatten)]
    folder: DataFolder,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Build both indexes anew from the records
    ///
    /// The embedded engine is emptied first, so a running service must be stopped. A server's index goes on answering until the new one is
    /// whole, and an interrupted build is gone on with.
    Build,
    /// Compare the indexes with the records, entry by entry (exit code 1 where they differ)
    Verify,
    /// Fill another engine from the records, with the vectors that the present one holds
    ///
    /// Nothing is encoded again that need not be. It may be interrupted and called again. What serves is not touched: set retrieve.dense and
    /// retrieve.lexical to the new engine afterwards, and restart. Elasticsearch keeps vectors only where retrieve.dense names it already.
    #[command(after_help = "Example: fenzhen index migrate --from edge --to qdrant")]
    Migrate {
        /// The engine whose vectors are copied
        #[arg(long, value_enum)]
        from: EngineName,
        #[arg(long, value_enum)]
        to: EngineName,
    },
    /// Put copies of both indexes aside
    ///
    /// The embedded engine's go into a folder, from which they can be copied back to index/ in the data folder; servers keep their own.
    Snapshot {
        /// New or empty folder
        #[arg(long, value_name = "DIR", default_value = "index-snapshot")]
        to: PathBuf,
    },
    /// Ask the engines how they are
    Health,
    /// Measure the embedded engine on this machine, with invented tickets
    ///
    /// Makes an index of its own, away from the records: how fast it fills, how much memory and disk it takes, how fast and how well it finds.
    Bench(super::bench::Bench),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum EngineName {
    Edge,
    Qdrant,
    Elasticsearch,
}

impl From<EngineName> for config::Engine {
    fn from(name: EngineName) -> Self {
        match name {
            EngineName::Edge => config::Engine::Edge,
            EngineName::Qdrant => config::Engine::Qdrant,
            EngineName::Elasticsearch => config::Engine::Elasticsearch,
        }
    }
}

impl Index {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        if let Action::Bench(bench) = &self.action {
            return bench.run(global).map(|()| ExitCode::SUCCESS);
        }
        let config = global.start(Some(&self.folder))?;
        runtime()?.block_on(async {
            if let Action::Migrate { from, to } = self.action {
                return migrate(&config, from, to).await;
            }
            let building = matches!(self.action, Action::Build);
            let app = if building { App::open_to_rebuild(&config).await? } else { App::open(&config).await? };
            let mut right = true;
            for (name, knowledge) in [("articles", &app.articles), ("tickets", &app.tickets)] {
                let index = Arc::clone(knowledge.index());
                match &self.action {
                    Action::Build => {
                        let bar = bar(0, if name == "articles" { "index articles" } else { "index tickets" });
                        let done = knowledge.rebuild(None, Some(&|done, all| advance(&bar, done, all))).await?;
                        bar.finish_and_clear();
                        line(&format!("{} {} {name} indexed", paint(GREEN, "✓"), done.entries))?;
                    }
                    Action::Verify => right &= verified(name, &knowledge.difference().await?)?,
                    Action::Snapshot { to } => {
                        let to = to.join(name);
                        let place = tokio::task::spawn_blocking(move || index.snapshot(&to)).await??;
                        line(&format!("{} {name}: {place}", paint(GREEN, "✓")))?;
                    }
                    Action::Health => {
                        for health in tokio::task::spawn_blocking(move || index.health()).await?? {
                            let place = paint(DIM, format!("{} {}", health.place, health.version));
                            line(&format!("{} {name}: {} entries in {} {place}", paint(GREEN, "✓"), health.points, health.engine))?;
                        }
                    }
                    Action::Migrate { .. } | Action::Bench(_) => {}
                }
            }
            Ok(ExitCode::from(u8::from(!right)))
        })
    }
}

async fn migrate(config: &config::Config, from: EngineName, to: EngineName) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(from != to, "--from and --to name the same engine: to build it anew, use `fenzhen index build`");
    let mut told = |kind: IndexKind| -> Box<dyn Fn(usize, usize) + Send + Sync> {
        let bar = bar(0, if kind == IndexKind::Article { "migrate articles" } else { "migrate tickets" });
        Box::new(move |done, all| advance(&bar, done, all))
    };
    for (kind, done) in App::migrate(config, from.into(), to.into(), &mut told).await? {
        line(&format!(
            "{} {} {}s: {} vectors copied, {} texts encoded",
            paint(GREEN, "✓"),
            done.entries,
            kind.as_str(),
            done.copied,
            done.encoded
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn verified(name: &str, difference: &Difference) -> anyhow::Result<bool> {
    if difference.is_none() {
        line(&format!("{} {name}: the index holds what the records hold", paint(GREEN, "✓")))?;
        return Ok(true);
    }
    let some = |ids: &[String]| ids.iter().take(5).cloned().collect::<Vec<_>>().join(", ").replace(char::is_control, "#");
    let kinds = [
        ("not indexed", &difference.missing),
        ("indexed in another form", &difference.stale),
        ("indexed but not in the records", &difference.extra),
    ];
    let faults: Vec<String> =
        kinds.iter().filter(|k| !k.1.is_empty()).map(|(what, ids)| format!("{} {what} ({})", ids.len(), some(ids))).collect();
    line(&format!("{} {name}: {}; `fenzhen index build` mends it", paint(RED, "✗"), faults.join(", ")))?;
    Ok(false)
}
