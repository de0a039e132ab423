//! `fenzhen eval public`: the public sets, trained and measured by one command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use serde::{Deserialize, Serialize};

use super::Global;
use super::output::{DIM, line, paint};
use super::train::Teller;
use crate::app::open_training_encoder;
use crate::classify::{Cascade, Scores};
use crate::train::{ClassifierRecipe, Corpus, EncoderKind, TrainingEncoder, Workplace, recipe_of, train_classifier};

#[derive(Debug, Args)]
pub(super) struct Public {
    /// Folder of the public sets (intent/banking77/train.jsonl and so on)
    #[arg(long, value_name = "DIR", env = "FENZHEN_DATA")]
    data: PathBuf,
    /// Sets, settings and splits
    #[arg(long, default_value = "training/public.toml", value_name = "FILE")]
    suite: PathBuf,
    /// Only these sets
    #[arg(long = "set-name", value_name = "NAME")]
    sets: Vec<String>,
    /// Lay a value over every recipe: --set encoder.kind=none
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Folder of the results; a set that is there already with the same recipe and data is not trained again
    #[arg(long, default_value = "eval/report/public", value_name = "DIR")]
    out: PathBuf,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Suite {
    recipe: toml::Table,
    set: Vec<Set>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Set {
    name: String,
    about: String,
    train: Vec<PathBuf>,
    #[serde(default)]
    valid: Vec<PathBuf>,
    test: Vec<PathBuf>,
    #[serde(default)]
    settings: Vec<String>,
}

/// What is kept of a set.
#[derive(Debug, Serialize, Deserialize)]
struct Measured {
    set: String,
    about: String,
    /// Recipe and data: another one is measured anew.
    run: String,
    train_rows: usize,
    labels: usize,
    seconds: f64,
    scores: BTreeMap<String, Scores>,
}

impl Public {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let text = std::fs::read_to_string(&self.suite).with_context(|| self.suite.display().to_string())?;
        let suite: Suite = toml::from_str(&text).with_context(|| self.suite.display().to_string())?;
        if let Some(unknown) = self.sets.iter().find(|s| suite.set.iter().all(|k| k.name != **s)) {
            let names: Vec<&str> = suite.set.iter().map(|s| s.name.as_str()).collect();
            anyhow::bail!("there is no set {unknown:?}: the suite has {}", names.join(", "));
        }
        std::fs::create_dir_all(&self.out).with_context(|| self.out.display().to_string())?;
        let mut encoder = None;
        let mut measured = Vec::new();
        for set in suite.set.iter().filter(|s| self.sets.is_empty() || self.sets.contains(&s.name)) {
            measured.push(self.measure(&suite.recipe, set, global, &mut encoder)?);
        }
        if self.json {
            line(&serde_json::to_string_pretty(&measured)?)?;
        } else {
            line(&table(&measured))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn measure(&self, common: &toml::Table, set: &Set, global: &Global, encoder: &mut Option<TrainingEncoder>) -> anyhow::Result<Measured> {
        let mut table = common.clone();
        let data = table.entry("data").or_insert_with(|| toml::Table::new().into());
        let data = data.as_table_mut().context("recipe.data is no section")?;
        for (key, files) in [("train", &set.train), ("valid", &set.valid), ("test", &set.test)] {
            if !files.is_empty() {
                data.insert(key.to_owned(), toml::Value::try_from(files)?);
            }
        }
        let settings: Vec<String> = set.settings.iter().chain(&self.settings).cloned().collect();
        let recipe: ClassifierRecipe = recipe_of(table, &self.suite, &settings)?;
        recipe.check()?;
        let corpus = Corpus::read(&recipe, &self.data)?;
        let run = format!("{} {}", corpus.hash, serde_json::to_string(&recipe)?);
        let (dir, kept) = (self.out.join(&set.name), self.out.join(format!("{}.json", set.name)));
        if let Ok(text) = std::fs::read_to_string(&kept)
            && let Ok(measured) = serde_json::from_str::<Measured>(&text)
            && measured.run == run
        {
            anstream::eprintln!("{} {}: as measured before", paint(DIM, "·"), set.name);
            return Ok(measured);
        }
        if recipe.encoder.kind != EncoderKind::None && encoder.is_none() {
            *encoder = Some(open_training_encoder(&global.start(None)?)?);
        }
        anstream::eprintln!("{}: {} training rows, {} labels", set.name, corpus.train.len(), corpus.labels.len());
        let begin = Instant::now();
        let classifier = train(&recipe, &corpus, encoder.as_ref(), &dir, &run)?;
        let measured = Measured {
            set: set.name.clone(),
            about: set.about.clone(),
            run,
            train_rows: corpus.train.len(),
            labels: corpus.labels.len(),
            seconds: begin.elapsed().as_secs_f64(),
            scores: classifier.meta().scores.clone(),
        };
        let fresh = kept.with_extension("new");
        std::fs::write(&fresh, serde_json::to_string_pretty(&measured)?).with_context(|| fresh.display().to_string())?;
        std::fs::rename(&fresh, &kept).with_context(|| kept.display().to_string())?;
        Ok(measured)
    }
}

fn train(recipe: &ClassifierRecipe, corpus: &Corpus, encoder: Option<&TrainingEncoder>, out: &Path, run: &str) -> anyhow::Result<Cascade> {
    let workplace = Workplace::open(out, run.to_owned())?;
    let teller = Teller::start();
    let classifier = train_classifier(recipe, corpus, encoder, &workplace, &|news| teller.tell(&news))?;
    teller.finish();
    workplace.close();
    Ok(classifier)
}

fn table(measured: &[Measured]) -> String {
    let mut out = "| set | path | n | accuracy | macro-F1 | ECE (15 bins) | coverage / precision at 95 % | outside: n, AUROC, recall at 5 % | training |\n|---|---|---|---|---|---|---|---|---|".to_owned();
    for m in measured {
        for path in ["fast", "full"] {
            let Some(all) = m.scores.get(&format!("test.{path}")) else { continue };
            // Accuracy and calibration are of the rows inside, where there are others.
            let s = m.scores.get(&format!("test.{path}.inside")).unwrap_or(all);
            let outside = match all.outside {
                0 => "–".to_owned(),
                n => format!("{n}, {:.1}, {:.1}", 100.0 * all.scope_auroc, 100.0 * all.scope_recall_5),
            };
            out += &format!(
                "\n| {} | {path} | {} | {:.1} | {:.1} | {:.3} | {:.1} / {:.1} | {outside} | {:.0} s |",
                m.set,
                s.n,
                100.0 * s.accuracy,
                100.0 * s.macro_f1,
                s.ece,
                100.0 * s.coverage_at_95,
                100.0 * s.precision_at_95,
                m.seconds
            );
        }
    }
    out
}
