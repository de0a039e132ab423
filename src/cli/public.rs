//! `fenzhen eval public`: the public sets, trained and measured by one command.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::Args;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::Global;
use super::output::{DIM, line, paint};
use super::tagging::suite_recipe;
use super::train::Teller;
use crate::app::open_training_encoder;
use crate::classify::{Cascade, Scores};
use crate::ner::learned::SpanScores;
use crate::train::{
    ClassifierRecipe, Corpus, EncoderKind, TaggerCorpus, TaggerEncoderKind, TrainingEncoder, Workplace, recipe_of, train_classifier,
    train_tagger,
};

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
    /// Of the sets with intents.
    recipe: toml::Table,
    set: Vec<Set>,
    /// Recipe of the sets with marked spans.
    tagger: toml::Table,
    tagged: Vec<Tagged>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tagged {
    name: String,
    about: String,
    types: Vec<String>,
    train: Vec<PathBuf>,
    /// Without it, a tenth of the training rows.
    #[serde(default)]
    valid: Vec<PathBuf>,
    test: Vec<PathBuf>,
    #[serde(default)]
    settings: Vec<String>,
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

/// What is kept of a set: the scores are the classifier's or the tagger's.
#[derive(Debug, Serialize, Deserialize)]
struct Measured<S = Scores> {
    set: String,
    about: String,
    /// Recipe and data: another one is measured anew.
    run: String,
    train_rows: usize,
    /// Or types of spans.
    labels: usize,
    seconds: f64,
    scores: BTreeMap<String, S>,
}

impl Public {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let text = std::fs::read_to_string(&self.suite).with_context(|| self.suite.display().to_string())?;
        let suite: Suite = toml::from_str(&text).with_context(|| self.suite.display().to_string())?;
        let names: Vec<&str> = suite.set.iter().map(|s| s.name.as_str()).chain(suite.tagged.iter().map(|s| s.name.as_str())).collect();
        if let Some(unknown) = self.sets.iter().find(|s| !names.contains(&s.as_str())) {
            anyhow::bail!("there is no set {unknown:?}: the suite has {}", names.join(", "));
        }
        std::fs::create_dir_all(&self.out).with_context(|| self.out.display().to_string())?;
        let mut encoder = None;
        let mut measured = Vec::new();
        let wanted = |name: &String| self.sets.is_empty() || self.sets.contains(name);
        for set in suite.set.iter().filter(|s| wanted(&s.name)) {
            measured.push(self.measure(&suite.recipe, set, global, &mut encoder)?);
        }
        let mut tagged = Vec::new();
        for set in suite.tagged.iter().filter(|s| wanted(&s.name)) {
            tagged.push(self.measure_tagged(&suite.tagger, set, global, &mut encoder)?);
        }
        if self.json {
            line(&serde_json::to_string_pretty(&serde_json::json!({"intents": measured, "spans": tagged}))?)?;
        } else {
            let tables = [(measured.is_empty(), table(&measured)), (tagged.is_empty(), tagged_table(&tagged))];
            line(&tables.into_iter().filter(|t| !t.0).map(|t| t.1).collect::<Vec<_>>().join("\n\n"))?;
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
        let dir = self.out.join(&set.name);
        if let Some(measured) = self.kept(&set.name, &run) {
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
        self.keep(&measured)?;
        Ok(measured)
    }

    fn measure_tagged(
        &self,
        common: &toml::Table,
        set: &Tagged,
        global: &Global,
        encoder: &mut Option<TrainingEncoder>,
    ) -> anyhow::Result<Measured<SpanScores>> {
        // Settings for the classifiers mean nothing to a tagger.
        let settings: Vec<String> =
            set.settings.iter().chain(self.settings.iter().filter(|s| !s.starts_with("sparse."))).cloned().collect();
        let recipe = suite_recipe(common, &set.types, [&set.train, &set.valid, &set.test], &self.suite, &settings)?;
        let corpus = TaggerCorpus::read(&recipe, &self.data)?;
        let run = format!("{} {}", corpus.hash, serde_json::to_string(&recipe)?);
        if let Some(measured) = self.kept(&set.name, &run) {
            return Ok(measured);
        }
        if recipe.encoder.kind != TaggerEncoderKind::None && encoder.is_none() {
            *encoder = Some(open_training_encoder(&global.start(None)?)?);
        }
        anstream::eprintln!("{}: {} training rows, {} types", set.name, corpus.train.len(), recipe.types.len());
        let begin = Instant::now();
        let workplace = Workplace::open(&self.out.join(&set.name), run.clone())?;
        let teller = Teller::start();
        let model = train_tagger(&recipe, &corpus, encoder.as_ref(), &workplace, &|news| teller.tell(&news))?;
        teller.finish();
        workplace.close();
        let measured = Measured {
            set: set.name.clone(),
            about: set.about.clone(),
            run,
            train_rows: corpus.train.len(),
            labels: recipe.types.len(),
            seconds: begin.elapsed().as_secs_f64(),
            scores: model.meta().scores.clone(),
        };
        self.keep(&measured)?;
        Ok(measured)
    }

    /// What was measured before with this recipe and data.
    fn kept<S: DeserializeOwned>(&self, name: &str, run: &str) -> Option<Measured<S>> {
        let text = std::fs::read_to_string(self.out.join(format!("{name}.json"))).ok()?;
        let measured: Measured<S> = serde_json::from_str(&text).ok()?;
        let same = measured.run == run;
        if same {
            anstream::eprintln!("{} {name}: as measured before", paint(DIM, "·"));
        }
        same.then_some(measured)
    }

    fn keep<S: Serialize>(&self, measured: &Measured<S>) -> anyhow::Result<()> {
        let kept = self.out.join(format!("{}.json", measured.set));
        let fresh = kept.with_extension("new");
        std::fs::write(&fresh, serde_json::to_string_pretty(measured)?).with_context(|| fresh.display().to_string())?;
        std::fs::rename(&fresh, &kept).with_context(|| kept.display().to_string())
    }
}

fn tagged_table(measured: &[Measured<SpanScores>]) -> String {
    let mut out =
        "| set | texts | spans | precision | recall | F1 | without a catalogue | training |\n|---|---|---|---|---|---|---|---|".to_owned();
    for m in measured {
        let Some(s) = m.scores.get("test") else { continue };
        let [precision, recall, f1] = [s.precision, s.recall, s.f1].map(|v| 100.0 * v);
        let without = m.scores.get("test.no_catalogue").map_or(0.0, |s| 100.0 * s.f1);
        out += &format!(
            "\n| {} | {} | {} | {precision:.1} | {recall:.1} | {f1:.1} | {without:.1} | {:.0} s |",
            m.set, s.n, s.counts.there, m.seconds
        );
    }
    out
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
