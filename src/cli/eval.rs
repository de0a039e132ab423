//! `fenzhen eval`: figures.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Subcommand};
use futures_util::{StreamExt, TryStreamExt};

use super::Global;
use super::output::{DIM, STRONG, bar, line, paint};
use super::runtime;
use super::triage::ModeArgument;
use crate::app::{load_encoder, open_classifier, open_encoder};
use crate::classify::{Cascade, Classifier, Encoding};
use crate::config::Config;
use crate::corpus::{Example, read_jsonl, shipped};
use crate::domain::{Lang, Mode};
use crate::embed::{Role, TokenStates};
use crate::eval::{
    Comparison, Difference, Disagreement, Header, Metrics, compare, markdown, p_value, percent, points, predict, read_predictions, short,
    thousands, write_report,
};
use crate::ner::EntityTagger;
use crate::pipeline::{IntentModel, Shelf};
use crate::text::{detect, normalize};

#[derive(Debug, Args)]
pub(super) struct Eval {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Debug, Subcommand)]
enum Suite {
    /// The intent classifier on labelled messages: accuracy, calibration, coverage, out of scope, confusions, worst errors, intents
    Intents(Intents),
    /// The product tagger on marked messages: exact and partial spans by type, types taken for others, the rows with faults
    Ner(super::tagging::EvalNer),
    /// Cross-validation of a recipe: each part of the training rows held out once
    Cross(super::study::Cross),
    /// Learning curve of a recipe: would more training rows help?
    Curve(super::study::Curve),
    /// Public sets of labelled messages and of tagged texts: trains on each and measures its test rows (training/public.toml)
    Public(super::public::Public),
    /// Two reports on the same messages: says whether one classifier is better, or whether it was luck
    Compare(Compare),
    /// Which product a message means: right SKU, contradictions, calibration; or time and memory on a large catalogue
    Resolve(super::linking::Resolve),
    /// Texts that mean the same: do tickets find those of their cause, questions their article, pairs each other? Beside characters and
    /// the pretrained encoder, in one run
    Retrieval(super::retrieval::EvalRetrieval),
    /// Automatic replies: precision, coverage, wrong ones, what humans should have had, reasons, risk against coverage
    Replies(super::replies::Replies),
    /// Microseconds a message of the sparse classifier and of the entities, on one thread, as JSON
    Speed {
        /// Messages, one a line
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// The encoder's share as well: what the sentence vector takes, and what the tagger takes beside it
        #[arg(long)]
        encoder: bool,
    },
}

#[derive(Debug, Args)]
struct Intents {
    /// JSON Lines of {"text", "intent", "lang"}, or a folder that holds test.jsonl
    #[arg(long, default_value = "datasets/intents/test.jsonl", value_name = "PATH")]
    data: PathBuf,
    /// Folder of an artefact, or a registered version: intent@4, intent@challenger, intent@shipped. Without it the one that is served
    #[arg(long, value_name = "DIR|NAME@VERSION")]
    artefact: Option<String>,
    /// Which path answers: the sparse terms alone, always with the encoder, or the encoder where the sparse terms do not settle it
    #[arg(long, value_enum, default_value = "full")]
    mode: ModeArgument,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Write the report folder: predictions.jsonl, metrics.json, report.md, report.html
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the rows of these sets as SVMlight files (train.svm, test.svm), for other libraries to be fitted on the same features
    #[arg(long, value_name = "DIR")]
    features: Option<PathBuf>,
    /// The training set, for --features
    #[arg(long, default_value = "datasets/intents/train.jsonl", value_name = "FILE")]
    train: PathBuf,
}

#[derive(Debug, Args)]
struct Compare {
    /// Report folder of `eval intents --out`, or its predictions.jsonl
    a: PathBuf,
    /// Another, on the same messages
    b: PathBuf,
    /// Print everything as JSON, each message that one alone got right included
    #[arg(long)]
    json: bool,
}

/// The precisions whose thresholds a report shows.
const GOALS: [f64; 2] = [0.9, 0.95];

impl Eval {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let args = match self.suite {
            Suite::Intents(args) => args,
            Suite::Ner(args) => return args.run(global),
            Suite::Cross(args) => return args.run(global),
            Suite::Curve(args) => return args.run(global),
            Suite::Public(public) => return public.run(global),
            Suite::Compare(args) => return args.run(),
            Suite::Speed { file, encoder } => return speed(&file, encoder.then(|| global.start(None)).transpose()?.as_ref()),
            Suite::Resolve(args) => return args.run(),
            Suite::Retrieval(args) => return args.run(global),
            Suite::Replies(args) => return args.run(global),
        };
        let classifier = open_classifier(&global.start(None)?, args.artefact.as_deref())?;
        let path = if args.data.is_dir() { args.data.join("test.jsonl") } else { args.data.clone() };
        let examples: Vec<Example> = read_jsonl(&path)?;
        anyhow::ensure!(!examples.is_empty(), "{} holds no row", path.display());
        if let Some(dir) = &args.features {
            std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
            write_features(&classifier, &read_jsonl::<Example>(&args.train)?, &dir.join("train.svm"))?;
            write_features(&classifier, &examples, &dir.join("test.svm"))?;
            line(&format!("rows of {} and {} in {}", args.train.display(), path.display(), dir.display()))?;
        }
        let mode = if classifier.encoding() == Encoding::None { Mode::Fast } else { args.mode.into() };
        let vectors = match mode {
            Mode::Fast => None,
            _ => Some(vectors(&classifier, &examples, global)?),
        };
        // In mode auto the fast path answers where it reaches the precision that the shipped policy asks for.
        let settles = if mode == Mode::Auto { Some(crate::decide::Policy::shipped()?.precision.intent) } else { None };
        let predictions = predict(&classifier, &examples, vectors.as_deref(), settles);
        let metrics = Metrics::of(&header(&classifier, &path, mode), &predictions);
        if let Some(dir) = &args.out {
            write_report(dir, &metrics, &predictions)?;
            anstream::eprintln!("{}", paint(DIM, format!("written to {}", dir.display())));
        }
        let report = if args.json { serde_json::to_string_pretty(&metrics)? } else { markdown(&metrics, &predictions) };
        line(report.trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}

fn header(classifier: &Cascade, data: &Path, mode: Mode) -> Header {
    let meta = classifier.meta();
    let shown = |precision: f64| GOALS.iter().any(|goal| (goal - precision).abs() < 1e-9);
    Header {
        model: classifier.version().to_owned(),
        data: data.display().to_string(),
        date: time::OffsetDateTime::now_utc().date().to_string(),
        thresholds: meta
            .full
            .as_ref()
            .filter(|_| mode != Mode::Fast)
            .unwrap_or(&meta.fast)
            .thresholds
            .iter()
            .filter(|t| shown(t.precision))
            .copied()
            .collect(),
        labels: meta.labels.clone(),
    }
}

/// The vectors that the classifier's full path wants, by the encoder that serves.
fn vectors(classifier: &Cascade, examples: &[Example], global: &Global) -> anyhow::Result<Vec<Vec<f32>>> {
    /// Messages asked for at once: fewer than the encoder's queue holds.
    const WIDTH: usize = 64;
    let mut config = global.start(None)?;
    config.encoder.queue = config.encoder.queue.max(2 * WIDTH);
    // No customer waits here, and the machine may be busy.
    config.encoder.timeout_ms = config.encoder.timeout_ms.max(600_000);
    let encoder = open_encoder(&config)?;
    let model = IntentModel::new(Arc::new(classifier.clone()), crate::app::arithmetic(config.encoder.arithmetic))?;
    let progress = bar(examples.len() as u64, "encode");
    let vectors = runtime()?.block_on(async {
        let encode = |e: &Example| {
            let text = e.text.clone();
            let (encoder, model) = (&encoder, &model);
            async move { model.vector(encoder, &text).await }
        };
        let stream = futures_util::stream::iter(examples.iter().map(encode)).buffered(WIDTH);
        stream.inspect(|_| progress.inc(1)).try_collect::<Vec<_>>().await
    })?;
    progress.finish_and_clear();
    Ok(vectors)
}

/// Messages shown of those that one alone got right.
const SHOWN: usize = 10;

impl Compare {
    fn run(&self) -> anyhow::Result<ExitCode> {
        let found = compare(&read_predictions(&self.a)?, &read_predictions(&self.b)?)?;
        if self.json {
            line(&serde_json::to_string_pretty(&found)?)?;
        } else {
            self.print(&found)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn print(&self, found: &Comparison) -> anyhow::Result<()> {
        line(&format!("A  {}\nB  {}\n\n{}\n", self.a.display(), self.b.display(), paint(STRONG, &found.verdict.sentence)))?;
        line(&paint(DIM, format!("{:18}{:>10}{:>10}{:>10}   {}", "", "A", "B", "B - A", "95 % interval")))?;
        for (name, part) in &found.scores {
            let test = part.mcnemar;
            line(&format!(
                "{name}, n = {}: {} right in A alone, {} in B alone, {}",
                thousands(part.n),
                thousands(test.only_a),
                thousands(test.only_b),
                p_value(test.p)
            ))?;
            line(&figure("accuracy", part.accuracy, percent, points))?;
            line(&figure("macro-F1", part.macro_f1, percent, points))?;
            line(&figure("ECE", part.ece, decimal, decimal))?;
        }
        alone("A", &found.only_a)?;
        alone("B", &found.only_b)
    }
}

fn decimal(value: f64) -> String {
    format!("{value:.3}")
}

/// A figure of both, as `say` writes it, and the difference, as `differ` does.
fn figure(name: &str, d: Difference, say: fn(f64) -> String, differ: fn(f64) -> String) -> String {
    let interval = format!("{} to {}", differ(d.interval.low), differ(d.interval.high));
    format!("  {name:16}{:>10}{:>10}{:>10}   {interval}", say(d.a), say(d.b), differ(d.difference))
}

fn alone(who: &str, rows: &[Disagreement]) -> anyhow::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let more = if rows.len() > SHOWN { format!(", {SHOWN} of them (--json prints all)") } else { String::new() };
    line(&format!("\n{}", paint(STRONG, format!("Right in {who} alone: {}{more}", thousands(rows.len())))))?;
    for row in rows.iter().take(SHOWN) {
        let said = paint(DIM, format!("{}, not {} ({})", row.label, row.wrong, percent(row.confidence)));
        line(&format!("  {:5}  {}  {said}", row.row, short(&row.text, 80)))?;
    }
    Ok(())
}

/// The mean over all messages, the best of ten rounds after one that warms up.
fn speed(file: &Path, encoder: Option<&Config>) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let messages: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    anyhow::ensure!(!messages.is_empty(), "{} holds no message", file.display());
    let (classifier, shelf) = (Cascade::shipped()?, Shelf::stock(&shipped::catalogue())?);
    let round = |work: &dyn Fn(&str)| {
        let begin = std::time::Instant::now();
        messages.iter().for_each(|m| work(m));
        begin.elapsed().as_secs_f64() * 1e6 / messages.len() as f64
    };
    let best = |work: &dyn Fn(&str)| (0..11).map(|_| round(work)).skip(1).fold(f64::INFINITY, f64::min);
    let classify = best(&|m| {
        let clean = normalize(m);
        std::hint::black_box(classifier.classify(&clean, detect(&clean.text).unwrap_or(Lang::Zh), None, 4));
    });
    // Probabilities without the terms that explain them: what other libraries' `predict` does.
    let judge = best(&|m| {
        let clean = normalize(m);
        let lang = detect(&clean.text).unwrap_or(Lang::Zh);
        std::hint::black_box(classifier.judge(&classifier.row(&clean.text), lang, None));
    });
    let features = best(&|m| drop(std::hint::black_box(classifier.row(&normalize(m).text))));
    let normalise = best(&|m| drop(std::hint::black_box(normalize(m))));
    let entities = best(&|m| {
        std::hint::black_box(shelf.tagger.tag(m, &normalize(m)));
    });
    let mut figures = serde_json::json!({
        "messages": messages.len(), "classify_us": classify, "judge_us": judge, "features_us": features, "normalise_us": normalise,
        "entities_us": entities,
    });
    if let Some(config) = encoder {
        let [sentence, tagger] = passes(config, &messages, &shelf)?;
        figures["sentence_us"] = sentence.into();
        figures["tagger_us"] = tagger.into();
    }
    line(&figures.to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// Microseconds of the sentence vector, and of the tagger on the same trunk states: its branch, where the tokens stand, and the tags. One
/// text at a time on one core; the mean over the messages of the best of five rounds.
fn passes(config: &Config, messages: &[&str], shelf: &Shelf) -> anyhow::Result<[f64; 2]> {
    let encoder = load_encoder(config)?;
    let tagger = crate::app::load_tagger(None, crate::app::arithmetic(config.encoder.arithmetic)).map_err(anyhow::Error::msg)?;
    let branch = tagger.branch().context("the shipped tagger has no branch")?;
    let mut best = [f64::INFINITY; 2];
    for _ in 0..6 {
        let mut spent = [0.0; 2];
        for message in messages {
            let begin = std::time::Instant::now();
            let states = encoder.trunk(&[encoder.tokenize(message, Role::Query)?])?;
            std::hint::black_box(encoder.sentences(&states)?);
            let between = std::time::Instant::now();
            let offsets = encoder.offsets(message, Role::Query)?;
            let states = branch.token_states(&states)?.concat();
            let tokens = TokenStates { states, width: branch.dimension(), offsets };
            std::hint::black_box(tagger.tag(message, &normalize(message), shelf, Some(&tokens)));
            spent[0] += (between - begin).as_secs_f64();
            spent[1] += between.elapsed().as_secs_f64();
        }
        best = [0, 1].map(|i| f64::min(best[i], spent[i] * 1e6 / messages.len() as f64));
    }
    Ok(best)
}

/// `label column:value ... # lang`, columns from 1 as the format has it.
fn write_features(classifier: &Cascade, examples: &[Example], path: &Path) -> anyhow::Result<()> {
    let labels = &classifier.meta().labels;
    let mut text = String::new();
    for example in examples {
        let Some(label) = labels.iter().position(|l| *l == example.intent) else { continue };
        write!(text, "{label}")?;
        for (column, value) in classifier.row(&normalize(&example.text).text) {
            write!(text, " {}:{value}", column + 1)?;
        }
        writeln!(text, " # {}", example.lang)?;
    }
    std::fs::write(path, text).with_context(|| path.display().to_string())
}
