//! `fenzhen train`: a recipe in, an artefact out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, Subcommand};
use indicatif::ProgressBar;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::output::{DIM, GREEN, STRONG, bar, line, paint};
use super::{Global, runtime, stock};
use crate::app::{App, open_training_encoder};
use crate::classify::Scores;
use crate::config::Config;
use crate::corpus::{ArticleQuery, CorpusTicket, data_hash, read_jsonl};
use crate::decide::MatchFeatures;
use crate::domain::{Article, SearchFilter};
use crate::train::{
    ClassifierRecipe, Corpus, EncoderKind, GateRecipe, MatchExamples, News, Workplace, autotune, card, gate_card, read_recipe, settings_of,
    train_classifier, train_gate,
};

#[derive(Debug, Args)]
pub(super) struct Train {
    #[command(subcommand)]
    model: Model,
}

#[derive(Debug, Subcommand)]
enum Model {
    /// The intent classifier (training/intent.toml)
    ///
    /// Goes on where an interrupted training of the same recipe and data stopped. The same recipe, data and seed give the same bits.
    Classifier {
        #[command(flatten)]
        recipe: Recipe,
        /// Search features and regularisation of the sparse models for so long before training: 60s, 10m
        #[arg(long, value_name = "TIME", value_parser = duration)]
        budget: Option<Duration>,
    },
    /// The product tagger (training/ner.toml)
    ///
    /// Goes on where an interrupted training of the same recipe and data stopped. The same recipe, data and seed give the same bits.
    Ner(Recipe),
    /// The probabilities of search hits and the thresholds for replies (training/gate.toml); needs the encoder
    Gate(Recipe),
    /// How sure a product link is (training/linking.toml)
    Linking(Recipe),
    /// The vectors that tickets, articles and questions are compared by (training/retrieval.toml)
    ///
    /// Goes on where an interrupted training of the same recipe and data stopped. The same recipe, data and seed give the same bits.
    Retrieval(Recipe),
}

#[derive(Debug, Args)]
pub(super) struct Recipe {
    /// The recipe (TOML); its paths are relative to itself
    pub(super) recipe: PathBuf,
    /// Lay a value over the recipe: --set model.alpha=0.1
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) settings: Vec<String>,
    /// Folder of the artefact, instead of the recipe's `out`
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Recipe {
    pub(super) fn base(&self) -> PathBuf {
        self.recipe.parent().map(Path::to_owned).unwrap_or_default()
    }

    pub(super) fn out(&self, of_recipe: &Path) -> PathBuf {
        self.out.clone().unwrap_or_else(|| self.base().join(of_recipe))
    }
}

impl Train {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.model {
            Model::Classifier { recipe, budget } => classifier(&recipe, budget, global),
            Model::Ner(recipe) => super::tagging::train(&recipe, global),
            Model::Retrieval(recipe) => super::retrieval::train(&recipe, global),
            Model::Gate(recipe) => gate(&recipe, &global.start(None)?),
            Model::Linking(args) => {
                let recipe = read_recipe(&args.recipe, &args.settings)?;
                super::linking::train(&recipe, &args.base(), &args.out(&recipe.out))
            }
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

/// `60s`, `10m`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let number: f64 = number.parse().map_err(|_| format!("{text:?} is no time: write 60s, 10m or 1h"))?;
    let seconds = match unit {
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("{text:?} has no unit: write 60s, 10m or 1h")),
    };
    Duration::try_from_secs_f64(number * seconds).map_err(|e| e.to_string())
}

fn classifier(args: &Recipe, budget: Option<Duration>, global: &Global) -> anyhow::Result<()> {
    let mut recipe: ClassifierRecipe = read_recipe(&args.recipe, &args.settings)?;
    recipe.check()?;
    let out = args.out(&recipe.out);
    let corpus = Corpus::read(&recipe, &args.base())?;
    if let Some(budget) = budget {
        let best = autotune(&recipe, &corpus, budget, &mut |trial, number| {
            let (settings, accuracy) = (settings_of(&trial.settings).join(" "), 100.0 * trial.accuracy);
            anstream::eprintln!("trial {number:4}: loss {:.4}, {accuracy:.1} % right: {}", trial.loss, paint(DIM, settings));
        })?;
        let settings = settings_of(&best.settings).into_iter().map(|s| format!("--set {s}")).collect::<Vec<_>>().join(" ");
        line(&format!("best of the search; to get the same model again: {settings}"))?;
        (recipe.features, recipe.sparse) = (best.settings.features, best.settings.parameters);
    }
    let encoder = match recipe.encoder.kind {
        EncoderKind::None => None,
        _ => Some(open_training_encoder(&global.start(None)?)?),
    };
    let run = format!("{} {}", corpus.hash, serde_json::to_string(&recipe)?);
    let workplace = Workplace::open(&out, run)?;
    let teller = Teller::start();
    let classifier = train_classifier(&recipe, &corpus, encoder.as_ref(), &workplace, &|news| teller.tell(&news))?;
    teller.finish();
    let card = card(&classifier, encoder.as_ref().map(|e| e.name.as_str()));
    classifier.save(&out, &card)?;
    workplace.close();
    line(&scores_table(&classifier.meta().scores))?;
    line(&format!(
        "{} {} features, {} labels in {}",
        paint(GREEN, "✓"),
        classifier.sparse().vectorizer.vocabulary.len(),
        classifier.meta().labels.len(),
        paint(STRONG, out.display())
    ))
}

fn scores_table(scores: &BTreeMap<String, Scores>) -> String {
    let row = |(name, s): (&String, &Scores)| {
        let outside = match s.outside {
            0 => String::new(),
            _ => format!("  outside: AUROC {:.1} %, recall at 5 % {:.1} %", 100.0 * s.scope_auroc, 100.0 * s.scope_recall_5),
        };
        format!(
            "{name:13} n {:5}  accuracy {:5.1} %  macro-F1 {:5.1} %  ECE {:.3}  at the 95 % threshold: coverage {:5.1} %, precision {:.1} %{outside}",
            s.n,
            100.0 * s.accuracy,
            100.0 * s.macro_f1,
            s.ece,
            100.0 * s.coverage_at_95,
            100.0 * s.precision_at_95
        )
    };
    scores.iter().map(row).collect::<Vec<_>>().join("\n")
}

/// Shows a training on standard error: a line a step, a bar while something long runs.
pub(super) struct Teller {
    begin: Instant,
    bar: std::sync::Mutex<Option<(String, ProgressBar)>>,
}

impl Teller {
    pub(super) fn start() -> Self {
        Teller { begin: Instant::now(), bar: std::sync::Mutex::new(None) }
    }

    pub(super) fn tell(&self, news: &News<'_>) {
        match *news {
            News::Step(step) => self.say(step),
            News::Progress { what, done, total } => self.advance(what, done, total, ""),
            News::Tuning { step, steps, loss } => self.advance("tune the branch", step, steps, &format!("loss {loss:.3}")),
            News::Epoch { epoch, epochs, score } => {
                let score = score.map_or(String::new(), |s| format!(": {:.1} % on held-out rows", 100.0 * s));
                self.say(&format!("epoch {epoch} of {epochs}{score}"));
            }
            News::Resumed { epoch } => self.say(&format!("goes on after epoch {epoch}, where it was interrupted")),
        }
    }

    pub(super) fn finish(&self) {
        if let Some((_, bar)) = self.bar.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }

    fn say(&self, text: &str) {
        self.finish();
        anstream::eprintln!("{} {text}", paint(DIM, format!("{:7.1} s", self.begin.elapsed().as_secs_f64())));
    }

    fn advance(&self, what: &str, done: usize, total: usize, note: &str) {
        let mut shown = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.as_ref().is_none_or(|(name, _)| name != what) {
            *shown = Some((what.to_owned(), bar(total as u64, "")));
        }
        if let Some((_, bar)) = shown.as_ref() {
            bar.set_position(done as u64);
            bar.set_message(if note.is_empty() { what.to_owned() } else { format!("{what}, {note}") });
        }
    }
}

fn gate(args: &Recipe, config: &Config) -> anyhow::Result<()> {
    let recipe: GateRecipe = read_recipe(&args.recipe, &args.settings)?;
    let base = args.base();
    let [articles, valid, test, tickets] =
        [&recipe.data.articles, &recipe.data.valid, &recipe.data.test, &recipe.data.tickets].map(|p| base.join(p));
    let hash = data_hash(&[&articles, &valid, &tickets])?;
    let (articles, tickets): (Vec<Article>, Vec<CorpusTicket>) = (read_jsonl(&articles)?, read_jsonl(&tickets)?);
    let queries: [Vec<ArticleQuery>; 2] = [read_jsonl(&valid)?, read_jsonl(&test)?];
    // A shop of its own, so that training does not depend on what a service has learned.
    let folder = tempfile::tempdir()?;
    let (article_examples, ticket_examples, encoder) = runtime()?.block_on(async {
        let app = App::open_untrained(config, folder.path()).await?;
        stock(&app, &articles, &tickets.iter().cloned().map(CorpusTicket::into_record).collect::<Vec<_>>()).await?;
        let progress = bar((queries[0].len() + queries[1].len() + tickets.len()) as u64, "search");
        let tell = || progress.inc(1);
        let examples = (
            article_examples(&app, &queries, &tell).await?,
            ticket_examples(&app, &tickets, &tell).await?,
            app.pipeline.encoder.name().to_owned(),
        );
        progress.finish_and_clear();
        anyhow::Ok(examples)
    })?;
    let artefact =
        train_gate(&recipe, [&article_examples[0], &article_examples[1]], [&ticket_examples[0], &ticket_examples[1]], &encoder, hash)?;
    let out = args.out(&recipe.out);
    put_down(&out, "gate", &artefact, &gate_card(&artefact))
}

/// Writes an artefact of one JSON file with its card, each whole or not at all, and shows the card.
pub(super) fn put_down(out: &Path, name: &str, artefact: &impl serde::Serialize, card: &str) -> anyhow::Result<()> {
    std::fs::create_dir_all(out).with_context(|| out.display().to_string())?;
    let json = serde_json::to_string_pretty(artefact)? + "\n";
    for (file, text) in [("README.md", card), (&format!("{name}.json"), &json)] {
        let (path, fresh) = (out.join(file), out.join(format!("{file}.new")));
        std::fs::write(&fresh, text).and_then(|()| std::fs::rename(&fresh, &path)).with_context(|| path.display().to_string())?;
    }
    line(card.trim_end())?;
    line(&format!("{} {name} in {}", paint(GREEN, "✓"), out.display()))
}

/// Candidates of the queries of validation and test.
pub(super) async fn article_examples(app: &App, queries: &[Vec<ArticleQuery>; 2], tell: &dyn Fn()) -> anyhow::Result<[MatchExamples; 2]> {
    let mut out = [MatchExamples::default(), MatchExamples::default()];
    for (set, queries) in out.iter_mut().zip(queries) {
        for query in queries {
            let read = app.pipeline.read(&query.text, Some(query.lang)).await?;
            let found = app.pipeline.match_articles(&read.clean, read.compared, &read.aligned, &read.intent).await?.found;
            let right = |id: &String| query.article.as_ref() == Some(id);
            let candidates: Vec<(MatchFeatures, bool)> = found.iter().map(|m| (m.features, right(&m.record.id))).collect();
            set.queries.push((candidates, query.article.is_some()));
            tell();
        }
    }
    Ok(out)
}

/// Each ticket's body as a query for the others of its cause; causes take turns between the two sets.
pub(super) async fn ticket_examples(app: &App, tickets: &[CorpusTicket], tell: &dyn Fn()) -> anyhow::Result<[MatchExamples; 2]> {
    let mut out = [MatchExamples::default(), MatchExamples::default()];
    let mut causes: Vec<&str> = tickets.iter().map(|t| t.cause.as_str()).collect();
    causes.sort_unstable();
    causes.dedup();
    let cause_of = |id: &str| tickets.iter().find(|t| t.id == id).map(|t| t.cause.as_str());
    for ticket in tickets {
        let read = app.pipeline.read(&ticket.body, Some(ticket.lang)).await?;
        let limit = crate::pipeline::DEPTH + 1;
        let found = app.pipeline.match_tickets(&read.clean, read.compared, &read.intent, SearchFilter::default(), limit).await?.found;
        let others: Vec<_> = found.into_iter().filter(|m| m.record.id != ticket.id).take(crate::pipeline::DEPTH).collect();
        // The ticket itself was among the hits: margins are taken again without it.
        let asked_at = OffsetDateTime::parse(&ticket.created_at, &Rfc3339).with_context(|| format!("created_at of {}", ticket.id))?;
        let features = crate::pipeline::features_again(&others, &read.intent, asked_at);
        let candidates = others.iter().zip(features).map(|(m, f)| (f, cause_of(&m.record.id) == Some(&ticket.cause))).collect();
        let set = causes.binary_search(&ticket.cause.as_str()).unwrap_or(0) % 2;
        out[set].queries.push((candidates, true));
        tell();
    }
    Ok(out)
}
