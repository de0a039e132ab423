//! `fenzhen index`: the search indexes, made from the records.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::output::{GREEN, RED, bar, line, paint};
use super::{DataFolder, Global, runtime};
use crate::app::App;

#[derive(Debug, Args)]
pub(super) struct Index {
    #[command(flatten)]
    folder: DataFolder,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Build both indexes anew from the records (a running service must be stopped first)
    Build,
    /// Compare the indexes with the records (exit code 1 where they differ)
    Verify,
}

impl Index {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let config = global.start(Some(&self.folder))?;
        runtime()?.block_on(async {
            let app = App::open(&config).await?;
            let mut right = true;
            for (name, knowledge) in [("articles", &app.articles), ("tickets", &app.tickets)] {
                match self.action {
                    Action::Build => {
                        let bar = bar(0, if name == "articles" { "index articles" } else { "index tickets" });
                        let n = knowledge
                            .rebuild(Some(&|done, all| {
                                bar.set_length(all as u64);
                                bar.set_position(done as u64);
                            }))
                            .await?;
                        bar.finish_and_clear();
                        line(&format!("{} {n} {name} indexed", paint(GREEN, "✓")))?;
                    }
                    Action::Verify => {
                        let (missing, extra) = knowledge.difference().await?;
                        if missing.is_empty() && extra.is_empty() {
                            line(&format!("{} {name}: the index holds what the records hold", paint(GREEN, "✓")))?;
                        } else {
                            right = false;
                            let some = |ids: &[String]| ids.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
                            line(&format!(
                                "{} {name}: {} not indexed ({}), {} indexed but not in the records ({}); `fenzhen index build` mends it",
                                paint(RED, "✗"),
                                missing.len(),
                                some(&missing),
                                extra.len(),
                                some(&extra)
                            ))?;
                        }
                    }
                }
            }
            Ok(ExitCode::from(u8::from(!right)))
        })
    }
}
