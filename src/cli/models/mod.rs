//! `fenzhen models`: pretrained models are fetched, trained ones are versioned, compared, promoted and rolled back.

mod shadow;
mod trained;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use super::output::{DIM, DownloadBar, GREEN, RED, STRONG, YELLOW, line, paint};
use super::{DataFolder, Global};
use crate::app::open_registry;
use crate::config::Config;
use crate::models::{Manifest, ModelStore, Registry, State};
use trained::{Exact, Reference};

#[derive(Debug, Args)]
#[command(after_help = "From a training to the service, and back:
  fenzhen train classifier training/intent.toml --out /tmp/intent
  fenzhen models import /tmp/intent                    it becomes intent@1 and never changes
  fenzhen models diff intent@champion intent@1         recipe and scores side by side
  fenzhen models alias intent challenger 1             asked silently beside the champion, never answered with
  fenzhen models shadow                                where the two disagree
  fenzhen models promote intent@1                      served within a second, without a restart
  fenzhen models rollback intent                       the champion before it again

A version is a number, an alias (champion, challenger, your own), or shipped: the model that the program was built with.
Versions and aliases lie in models.registry (\"models\" in data.dir).")]
pub(super) struct Models {
    #[command(subcommand)]
    action: Action,
    #[command(flatten)]
    folder: DataFolder,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Fetch what is missing, check its sha256, convert it once; a second run does nothing and needs no network
    Pull {
        /// Models to fetch; all of the manifest where none is named
        models: Vec<String>,
    },
    /// Show pretrained models with their state, and trained ones with aliases and scores
    List {
        /// JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Read every byte and compare the hashes (exit code 1 where one is not right)
    Verify {
        /// Pretrained models, or trained ones as NAME or NAME@VERSION; all where none is named
        models: Vec<Reference>,
    },
    /// Show where a pretrained model comes from, or a trained one's versions and card
    Show {
        /// NAME, or NAME@VERSION of a trained model (its champion where no version is named)
        model: Reference,
        /// JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Register the folder of a trained artefact as the next version of its model
    Import {
        /// Folder with model.json, as `fenzhen train` writes it
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Make a version the champion: a running service serves it within a second; one that cannot be loaded is refused
    Promote {
        #[arg(value_name = "NAME@VERSION")]
        model: Exact,
    },
    /// Make the champion before this one the champion again
    Rollback { name: String },
    /// Name a version: `challenger` is asked silently beside the champion, other aliases are your own
    Alias {
        name: String,
        alias: String,
        /// A number, `shipped` or another alias; where it is absent, what the alias names is printed
        version: Option<String>,
        /// Take the alias away
        #[arg(long, conflicts_with = "version")]
        remove: bool,
    },
    /// Compare two versions: what differs in their recipes, and their scores side by side
    Diff {
        #[arg(value_name = "NAME@A")]
        a: Exact,
        #[arg(value_name = "NAME@B")]
        b: Exact,
        /// JSON, for programs
        #[arg(long)]
        json: bool,
    },
    /// Remove old versions; never one that an alias names, nor the champion before today's
    Gc {
        /// Newest versions of each model that stay in any case
        #[arg(long, default_value_t = 5, value_name = "N")]
        keep: usize,
        /// Only tell what would be removed
        #[arg(long)]
        dry_run: bool,
    },
    /// Show what the challenger would have said: agreement, and where it differs from the champion
    Shadow(shadow::Args),
}

impl Models {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let config = global.start(Some(&self.folder))?;
        match self.action {
            Action::Pull { models } => Pretrained::of(&config)?.pull(models)?,
            Action::List { json } => list(&config, json)?,
            Action::Verify { models } => return verify(&config, models),
            Action::Show { model, json } => match (Pretrained::of(&config)?, &model) {
                (pretrained, Reference { name, version: None }) if pretrained.manifest.get(name).is_ok() => pretrained.show(name)?,
                _ => trained::show(&open_registry(&config)?, &model, json)?,
            },
            Action::Import { folder } => trained::import(&open_registry(&config)?, &folder)?,
            Action::Promote { model } => trained::promote(&open_registry(&config)?, &model)?,
            Action::Rollback { name } => trained::rollback(&open_registry(&config)?, &name)?,
            Action::Alias { name, alias, version, remove } => {
                trained::alias(&open_registry(&config)?, &name, &alias, version.as_deref(), remove)?
            }
            Action::Diff { a, b, json } => trained::diff(&open_registry(&config)?, &a, &b, json)?,
            Action::Gc { keep, dry_run } => trained::gc(&open_registry(&config)?, keep, dry_run)?,
            Action::Shadow(args) => shadow::run(&config, &args)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(config: &Config, json: bool) -> anyhow::Result<()> {
    let (pretrained, registry) = (Pretrained::of(config)?, open_registry(config)?);
    let trained = registry.list()?;
    if json {
        let row = |m: &crate::models::ModelEntry| json!({"id": m.id, "job": m.job, "licence": m.licence, "about": m.about, "state": word(pretrained.store.state(&m.id))});
        let rows: Vec<_> = pretrained.manifest.models.iter().map(row).collect();
        return line(&serde_json::to_string_pretty(&json!({"pretrained": rows, "trained": trained}))?);
    }
    line(&paint(STRONG, "pretrained"))?;
    for model in &pretrained.manifest.models {
        let state = pretrained.store.state(&model.id);
        let style = match state {
            State::Ready => GREEN,
            State::Missing | State::Outdated => YELLOW,
            State::Damaged => RED,
        };
        let state = paint(style, format!("{:9}", word(state)));
        line(&format!("  {:28} {state} {:10} {:8} {}", model.id, model.job, model.licence, model.about))?;
    }
    line(&format!("\n{} {}", paint(STRONG, "trained"), paint(DIM, registry.root().display())))?;
    for model in &trained {
        trained::rows(model)?;
    }
    Ok(())
}

fn word(state: State) -> &'static str {
    match state {
        State::Ready => "ready",
        State::Missing => "missing",
        State::Outdated => "outdated",
        State::Damaged => "damaged",
    }
}

fn verify(config: &Config, models: Vec<Reference>) -> anyhow::Result<ExitCode> {
    let (pretrained, registry) = (Pretrained::of(config)?, open_registry(config)?);
    let models = match models {
        none if none.is_empty() => {
            let fetched = pretrained.manifest.models.iter().map(|m| m.id.clone());
            let names = fetched.chain(registry.names()?);
            names.map(|name| Reference { name, version: None }).collect()
        }
        named => named,
    };
    let mut whole = true;
    for model in models {
        whole &= if model.version.is_none() && pretrained.manifest.get(&model.name).is_ok() {
            pretrained.verify(&model.name)?
        } else {
            trained::verify(&registry, &model)?
        };
    }
    Ok(ExitCode::from(u8::from(!whole)))
}

/// A line of `verify`; answers whether it is a good one.
fn verdict<E: std::fmt::Display>(what: &str, found: Result<impl std::fmt::Display, (E, String)>) -> anyhow::Result<bool> {
    match found {
        Ok(place) => line(&format!("{} {what} {}", paint(GREEN, "✓"), paint(DIM, place))).map(|()| true),
        Err((error, hint)) => line(&format!("{} {error}; {hint}", paint(RED, "✗"))).map(|()| false),
    }
}

/// The models of the manifest, and the cache that they lie in.
struct Pretrained {
    manifest: Manifest,
    store: ModelStore,
}

impl Pretrained {
    fn of(config: &Config) -> anyhow::Result<Self> {
        Ok(Pretrained { manifest: Manifest::shipped()?, store: ModelStore::new(config.models.cache.join("models")) })
    }

    fn pull(&self, models: Vec<String>) -> anyhow::Result<()> {
        let bar = DownloadBar::default();
        let all = || self.manifest.models.iter().map(|m| m.id.clone()).collect();
        for id in if models.is_empty() { all() } else { models } {
            let fetched = self.store.pull(&self.manifest, &id, &bar)?;
            let what = if fetched { "installed" } else { "is there" };
            line(&format!("{} {id} {what} {}", paint(GREEN, "✓"), paint(DIM, self.store.dir(&id).display())))?;
        }
        Ok(())
    }

    fn verify(&self, id: &str) -> anyhow::Result<bool> {
        verdict(id, self.store.verify(id).map(|found| found.0.display().to_string()).map_err(|e| (e.to_string(), e.hint().to_owned())))
    }

    fn show(&self, id: &str) -> anyhow::Result<()> {
        let entry = self.manifest.get(id)?;
        line(&format!("{}\n{}\nlicence  {}\nfolder   {}", entry.id, entry.about, entry.licence, self.store.dir(&entry.id).display()))?;
        for file in &entry.files {
            line(&file.name)?;
            for source in &file.sources {
                line(&format!("  {source}, {} ({} bytes, sha256 {})", source.path, source.size, source.sha256))?;
            }
        }
        match self.store.installed(&entry.id) {
            Ok(installed) => {
                for (file, hash) in installed.files {
                    line(&format!("installed {file} sha256 {hash}"))?;
                }
            }
            Err(e) => line(&format!("{e}; {}", e.hint()))?,
        }
        Ok(())
    }
}
