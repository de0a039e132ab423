//! `fenzhen models`: fetch, list, verify.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Global;
use super::output::{DIM, DownloadBar, GREEN, RED, YELLOW, line, paint};
use crate::models::{Manifest, ModelStore, State};

#[derive(Debug, Args)]
pub(super) struct Models {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Fetch what is missing, check its sha256, convert it once; a second run does nothing and needs no network
    Pull {
        /// Models to fetch; all of the manifest where none is named
        models: Vec<String>,
    },
    /// Show the models of the manifest and their state
    List,
    /// Read every byte of the installed models and compare the hashes (exit code 1 where one is not right)
    Verify { models: Vec<String> },
    /// Show where a model comes from, its licence and its files
    Show { model: String },
}

impl Models {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let cache = global.start(None)?.models.cache.join("models");
        let (manifest, store) = (Manifest::shipped()?, ModelStore::new(cache));
        let all = || manifest.models.iter().map(|m| m.id.clone()).collect::<Vec<_>>();
        match self.action {
            Action::Pull { models } => {
                let bar = DownloadBar::default();
                for id in if models.is_empty() { all() } else { models } {
                    let fetched = store.pull(&manifest, &id, &bar)?;
                    let what = if fetched { "installed" } else { "is there" };
                    line(&format!("{} {id} {what} {}", paint(GREEN, "✓"), paint(DIM, store.dir(&id).display())))?;
                }
                Ok(ExitCode::SUCCESS)
            }
            Action::List => {
                for model in &manifest.models {
                    let state = match store.state(&model.id) {
                        State::Ready => paint(GREEN, "ready"),
                        State::Missing => paint(YELLOW, "missing"),
                        State::Outdated => paint(YELLOW, "outdated"),
                        State::Damaged => paint(RED, "damaged"),
                    };
                    line(&format!("{:28} {state:18} {:10} {:8} {}", model.id, model.job, model.licence, model.about))?;
                }
                Ok(ExitCode::SUCCESS)
            }
            Action::Verify { models } => {
                let mut broken = 0;
                for id in if models.is_empty() { all() } else { models } {
                    manifest.get(&id)?;
                    match store.verify(&id) {
                        Ok((dir, _)) => line(&format!("{} {id} {}", paint(GREEN, "✓"), paint(DIM, dir.display())))?,
                        Err(e) => {
                            broken += 1;
                            line(&format!("{} {e}; {}", paint(RED, "✗"), e.hint()))?;
                        }
                    }
                }
                Ok(ExitCode::from(u8::from(broken > 0)))
            }
            Action::Show { model } => {
                let entry = manifest.get(&model)?;
                line(&format!("{}\n{}\nlicence  {}\nfolder   {}", entry.id, entry.about, entry.licence, store.dir(&entry.id).display()))?;
                for file in &entry.files {
                    line(&file.name)?;
                    for source in &file.sources {
                        line(&format!("  {source}, {} ({} bytes, sha256 {})", source.path, source.size, source.sha256))?;
                    }
                }
                match store.installed(&entry.id) {
                    Ok(installed) => {
                        for (file, hash) in installed.files {
                            line(&format!("installed {file} sha256 {hash}"))?;
                        }
                    }
                    Err(e) => line(&format!("{e}; {}", e.hint()))?,
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}
