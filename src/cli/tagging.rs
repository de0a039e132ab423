//! `fenzhen train ner` and `fenzhen eval ner`: the product tagger.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use futures_util::{StreamExt, TryStreamExt};

use super::output::{GREEN, STRONG, bar, line, paint};
use super::train::{Recipe, Teller};
use super::{Global, runtime};
use crate::app::{arithmetic, open_encoder, open_tagger, open_training_encoder};
use crate::config::Config;
use crate::corpus::{read_jsonl, read_tagged, shipped};
use crate::domain::{CatalogueItem, Entity};
use crate::embed::{Role, SentenceEncoder, Wanted};
use crate::eval::SpanReport;
use crate::ner::learned::SpanScores;
use crate::ner::{EntityTagger, TaggerModel};
use crate::pipeline::{Shelf, Tagger};
use crate::text::normalize;
use crate::train::{TaggerCorpus, TaggerEncoderKind, TaggerRecipe, Workplace, read_recipe, tagger_card, train_tagger};

pub(super) fn train(args: &Recipe, global: &Global) -> anyhow::Result<()> {
    let recipe: TaggerRecipe = read_recipe(&args.recipe, &args.settings)?;
    recipe.check()?;
    let out = args.out(&recipe.out);
    let corpus = TaggerCorpus::read(&recipe, &args.base())?;
    let encoder = match recipe.encoder.kind {
        TaggerEncoderKind::None => None,
        TaggerEncoderKind::Branch => Some(open_training_encoder(&global.start(None)?)?),
    };
    let run = format!("{} {}", corpus.hash, serde_json::to_string(&recipe)?);
    let workplace = Workplace::open(&out, run)?;
    let teller = Teller::start();
    let model = train_tagger(&recipe, &corpus, encoder.as_ref(), &workplace, &|news| teller.tell(&news))?;
    teller.finish();
    model.save(&out, &tagger_card(&model, encoder.as_ref().map(|e| e.name.as_str())))?;
    workplace.close();
    line(&table(&model.meta().scores))?;
    line(&format!("{} {} types in {}", paint(GREEN, "✓"), model.meta().types.len(), paint(STRONG, out.display())))
}

pub(super) fn table(scores: &BTreeMap<String, SpanScores>) -> String {
    let row = |(name, s): (&String, &SpanScores)| {
        format!(
            "{name:32} texts {:5}  spans {:5}  precision {:5.1} %  recall {:5.1} %  F1 {:5.1} %  ECE {:.3}",
            s.n,
            s.counts.there,
            100.0 * s.precision,
            100.0 * s.recall,
            100.0 * s.f1,
            s.ece
        )
    };
    scores.iter().map(row).collect::<Vec<_>>().join("\n")
}

#[derive(Debug, Args)]
pub(super) struct EvalNer {
    /// JSON Lines of {"text", "lang", "entities": [{"start", "end", "type", "text"}]}, or a folder that holds test.jsonl
    #[arg(long, default_value = "datasets/ner/test.jsonl", value_name = "PATH")]
    data: PathBuf,
    /// Folder of an artefact, or a registered version: ner@4, ner@shipped. Without it the one that is served
    #[arg(long, value_name = "DIR|NAME@VERSION")]
    artefact: Option<String>,
    /// Catalogue that is read with the messages (JSON Lines); without it the demo shop's
    #[arg(long, value_name = "FILE")]
    catalogue: Option<PathBuf>,
    /// What patterns and catalogue see alone, without the model: mode fast
    #[arg(long)]
    fast: bool,
    /// Rows with faults that are listed
    #[arg(long, default_value_t = 20, value_name = "N")]
    errors: usize,
    /// Print everything as JSON, all errors included
    #[arg(long)]
    json: bool,
}

impl EvalNer {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<ExitCode> {
        let path = if self.data.is_dir() { self.data.join("test.jsonl") } else { self.data.clone() };
        let rows = read_tagged(&path)?;
        anyhow::ensure!(!rows.is_empty(), "{} holds no row", path.display());
        let shelf = stock(self.catalogue.as_deref())?;
        let texts: Vec<String> = rows.iter().map(|row| row.text.clone()).collect();
        let config = global.start(None)?;
        let model = open_tagger(&config, self.artefact.as_deref())?;
        let types = model.meta().types.clone();
        let (version, found) = if self.fast {
            (shelf.tagger.version().to_owned(), texts.iter().map(|text| shelf.tagger.tag(text, &normalize(text))).collect())
        } else {
            tag_as_served(&shelf, &texts, model, config)?
        };
        let report = SpanReport::of(&version, &path.display().to_string(), &types, &rows, &found);
        let text = if self.json { serde_json::to_string_pretty(&report)? } else { report.markdown(self.errors) };
        line(text.trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Messages asked for at once: fewer than the encoder's queue holds.
const WIDTH: usize = 64;

/// The shelf of a catalogue's file, or of the demo shop.
pub(super) fn stock(catalogue: Option<&Path>) -> anyhow::Result<Shelf> {
    let items: Vec<CatalogueItem> = catalogue.map_or_else(|| Ok(shipped::catalogue()), read_jsonl)?;
    Ok(Shelf::stock(&items)?)
}

/// What a tagger sees in each text, as it serves; and its version.
pub(super) fn tag_as_served(
    shelf: &Shelf,
    texts: &[String],
    model: TaggerModel,
    mut config: Config,
) -> anyhow::Result<(String, Vec<Vec<Entity>>)> {
    // No customer waits here, and the machine may be busy.
    config.encoder.timeout_ms = config.encoder.timeout_ms.max(600_000);
    let tagger = Tagger::new(model, arithmetic(config.encoder.arithmetic)).map_err(anyhow::Error::msg)?;
    let encoder = open_encoder(&config)?;
    let progress = bar(texts.len() as u64, "tag");
    let found = runtime()?.block_on(async {
        let one = |text: &String| {
            let (text, tagger, encoder) = (text.clone(), &tagger, &encoder);
            let wanted = Wanted { tokens: tagger.branch().cloned(), ..Wanted::default() };
            async move {
                let tokens = if wanted.tokens.is_some() { encoder.encode(&text, Role::Query, wanted).await?.tokens } else { None };
                Ok::<_, crate::embed::EncodeError>(tagger.tag(&text, &normalize(&text), shelf, tokens.as_ref()))
            }
        };
        let stream = futures_util::stream::iter(texts.iter().map(one)).buffered(WIDTH);
        stream.inspect(|_| progress.inc(1)).try_collect::<Vec<_>>().await
    })?;
    progress.finish_and_clear();
    Ok((tagger.version().to_owned(), found))
}

/// Puts a set of a suite into a tagger's recipe.
pub(super) fn suite_recipe(
    common: &toml::Table,
    types: &[String],
    files: [&[PathBuf]; 3],
    suite: &Path,
    settings: &[String],
) -> anyhow::Result<TaggerRecipe> {
    let mut table = common.clone();
    table.insert("types".into(), toml::Value::try_from(types)?);
    let data = table.entry("data").or_insert_with(|| toml::Table::new().into());
    let data = data.as_table_mut().context("tagger.data is no section")?;
    for (key, files) in ["train", "valid", "test"].into_iter().zip(files) {
        if !files.is_empty() {
            data.insert(key.to_owned(), toml::Value::try_from(files)?);
        }
    }
    let recipe: TaggerRecipe = crate::train::recipe_of(table, suite, settings)?;
    recipe.check()?;
    Ok(recipe)
}
