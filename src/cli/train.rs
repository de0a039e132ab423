//! `fenzhen train`: a recipe in, an artefact out.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use clap::{Args, Subcommand};

use super::output::{DIM, GREEN, STRONG, bar, line, paint};
use super::{Global, runtime};
use crate::app::App;
use crate::config::Config;
use crate::corpus::{ArticleQuery, CorpusTicket, data_hash, read_jsonl};
use crate::decide::MatchFeatures;
use crate::domain::{Article, SearchFilter};
use crate::embed::Role;
use crate::text::normalize;
use crate::train::{ClassifierRecipe, GateRecipe, MatchExamples, card, gate_card, read_recipe, train_classifier, train_gate};

#[derive(Debug, Args)]
pub(super) struct Train {
    #[command(subcommand)]
    model: Model,
}

#[derive(Debug, Subcommand)]
enum Model {
    /// The intent classifier (training/intent.toml)
    Classifier(Recipe),
    /// The probabilities of search hits and the thresholds for replies (training/gate.toml); needs the encoder
    Gate(Recipe),
}

#[derive(Debug, Args)]
struct Recipe {
    /// The recipe (TOML); its paths are relative to itself
    recipe: PathBuf,
    /// Lay a value over the recipe: --set model.alpha=0.1
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Folder of the artefact, instead of the recipe's `out`
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Recipe {
    fn base(&self) -> PathBuf {
        self.recipe.parent().map(Path::to_owned).unwrap_or_default()
    }

    fn out(&self, of_recipe: &Path) -> PathBuf {
        self.out.clone().unwrap_or_else(|| self.base().join(of_recipe))
    }
}

impl Train {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.model {
            Model::Classifier(recipe) => classifier(&recipe),
            Model::Gate(recipe) => gate(&recipe, &global.start(None)?),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

fn classifier(args: &Recipe) -> anyhow::Result<()> {
    let recipe: ClassifierRecipe = read_recipe(&args.recipe, &args.settings)?;
    let begin = Instant::now();
    let classifier = train_classifier(&recipe, &args.base(), &mut |step| {
        anstream::eprintln!("{} {step}", paint(DIM, format!("{:6.2} s", begin.elapsed().as_secs_f64())));
    })?;
    let out = args.out(&recipe.out);
    let card = card(&classifier);
    classifier.save(&out, &card)?;
    let meta = classifier.meta();
    for (name, s) in &meta.scores {
        line(&format!(
            "{name:9} n {:5}  accuracy {:5.1} %  macro-F1 {:5.1} %  ECE {:.3}  at the 95 % threshold: coverage {:.1} %, precision {:.1} %",
            s.n,
            100.0 * s.accuracy,
            100.0 * s.macro_f1,
            s.ece,
            100.0 * s.coverage_at_95,
            100.0 * s.precision_at_95
        ))?;
    }
    line(&format!(
        "{} {} features, {} labels in {}",
        paint(GREEN, "✓"),
        classifier.fitted().vectorizer.vocabulary.len(),
        meta.labels.len(),
        paint(STRONG, out.display())
    ))
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
        app.pipeline.store.import_articles(&articles, false).await?;
        app.pipeline.store.upsert_tickets(&tickets.iter().cloned().map(CorpusTicket::into_record).collect::<Vec<_>>()).await?;
        let progress = bar((articles.len() + tickets.len()) as u64, "index");
        app.catch_up(&|done, _| progress.set_position(done as u64)).await?;
        progress.finish_and_clear();
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
    std::fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
    let card = gate_card(&artefact);
    let json = serde_json::to_string_pretty(&artefact)? + "\n";
    for (name, text) in [("README.md", &card), ("gate.json", &json)] {
        let (path, fresh) = (out.join(name), out.join(format!("{name}.new")));
        std::fs::write(&fresh, text).and_then(|()| std::fs::rename(&fresh, &path)).with_context(|| path.display().to_string())?;
    }
    line(card.trim_end())?;
    line(&format!("{} gate in {}", paint(GREEN, "✓"), out.display()))
}

/// Candidates of the queries of validation and test.
pub(super) async fn article_examples(app: &App, queries: &[Vec<ArticleQuery>; 2], tell: &dyn Fn()) -> anyhow::Result<[MatchExamples; 2]> {
    let mut out = [MatchExamples::default(), MatchExamples::default()];
    for (set, queries) in out.iter_mut().zip(queries) {
        for query in queries {
            let clean = normalize(&query.text);
            let intent = app.pipeline.classifier.classify(&clean, query.lang, usize::MAX);
            let vector: Arc<[f32]> = app.pipeline.encoder.encode(&query.text, Role::Query).await?.into();
            let found = app.pipeline.match_articles(&clean, vector, &intent).await?;
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
        let clean = normalize(&ticket.body);
        let intent = app.pipeline.classifier.classify(&clean, ticket.lang, usize::MAX);
        let vector: Arc<[f32]> = app.pipeline.encoder.encode(&ticket.body, Role::Query).await?.into();
        let found = app.pipeline.match_tickets(&clean, vector, &intent, SearchFilter::default(), crate::pipeline::DEPTH + 1).await?;
        let others: Vec<_> = found.into_iter().filter(|m| m.record.id != ticket.id).take(crate::pipeline::DEPTH).collect();
        // The ticket itself was among the hits: margins are taken again without it.
        let features = crate::pipeline::features_again(&others, &intent);
        let candidates = others.iter().zip(features).map(|(m, f)| (f, cause_of(&m.record.id) == Some(&ticket.cause))).collect();
        let set = causes.binary_search(&ticket.cause.as_str()).unwrap_or(0) % 2;
        out[set].queries.push((candidates, true));
        tell();
    }
    Ok(out)
}
