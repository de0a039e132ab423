//! `fenzhen eval`: figures.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};

use super::Global;
use super::output::{DIM, line, paint};
use crate::classify::{Classifier, SparseClassifier};
use crate::corpus::{Example, read_jsonl, shipped};
use crate::domain::Lang;
use crate::eval::evaluate_intents;
use crate::pipeline::Shelf;
use crate::text::{detect, normalize};

#[derive(Debug, Args)]
pub(super) struct Eval {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Debug, Subcommand)]
enum Suite {
    /// The intent classifier on labelled messages: accuracy, macro-F1, per-intent table, ECE, risk-coverage, confusions
    Intents(Intents),
    /// Microseconds a message of the sparse classifier and of the entities, on one thread, as JSON
    Speed {
        /// Messages, one a line
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Intents {
    /// JSON Lines of {"text", "intent", "lang"}, or a folder that holds test.jsonl
    #[arg(long, default_value = "datasets/intents/test.jsonl", value_name = "PATH")]
    data: PathBuf,
    /// Another artefact's folder; the configured one where it is absent
    #[arg(long, value_name = "DIR")]
    artefact: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Write intents.json and intents.md here
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the rows of these sets as SVMlight files (train.svm, test.svm), for other libraries to be fitted on the same features
    #[arg(long, value_name = "DIR")]
    features: Option<PathBuf>,
    /// The training set, for --features
    #[arg(long, default_value = "datasets/intents/train.jsonl", value_name = "FILE")]
    train: PathBuf,
}

impl Eval {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let args = match self.suite {
            Suite::Intents(args) => args,
            Suite::Speed { file } => return speed(&file),
        };
        let artefact = match args.artefact.clone() {
            Some(dir) => Some(dir),
            None => global.start(None)?.classifier.artefact,
        };
        let classifier = match artefact {
            Some(dir) => SparseClassifier::load(&dir)?,
            None => SparseClassifier::shipped()?,
        };
        let path = if args.data.is_dir() { args.data.join("test.jsonl") } else { args.data.clone() };
        let examples: Vec<Example> = read_jsonl(&path)?;
        anyhow::ensure!(!examples.is_empty(), "{} holds no row", path.display());
        if let Some(dir) = &args.features {
            std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
            write_features(&classifier, &read_jsonl::<Example>(&args.train)?, &dir.join("train.svm"))?;
            write_features(&classifier, &examples, &dir.join("test.svm"))?;
            line(&format!("rows of {} and {} in {}", args.train.display(), path.display(), dir.display()))?;
        }
        let report = evaluate_intents(&classifier, &examples);
        let json = serde_json::to_string_pretty(&report)?;
        let markdown = report.markdown();
        if let Some(dir) = &args.out {
            std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
            for (name, text) in [("intents.json", &json), ("intents.md", &markdown)] {
                let path = dir.join(name);
                std::fs::write(&path, text).with_context(|| path.display().to_string())?;
            }
            anstream::eprintln!("{}", paint(DIM, format!("written to {}", dir.display())));
        }
        line(if args.json { &json } else { markdown.trim_end() })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The mean over all messages, the best of ten rounds after one that warms up.
fn speed(file: &Path) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let messages: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    anyhow::ensure!(!messages.is_empty(), "{} holds no message", file.display());
    let (classifier, shelf) = (SparseClassifier::shipped()?, Shelf::stock(&shipped::catalogue())?);
    let round = |work: &dyn Fn(&str)| {
        let begin = std::time::Instant::now();
        messages.iter().for_each(|m| work(m));
        begin.elapsed().as_secs_f64() * 1e6 / messages.len() as f64
    };
    let best = |work: &dyn Fn(&str)| (0..11).map(|_| round(work)).skip(1).fold(f64::INFINITY, f64::min);
    let classify = best(&|m| {
        let clean = normalize(m);
        std::hint::black_box(classifier.classify(&clean, detect(&clean.text).unwrap_or(Lang::Zh), 4));
    });
    let entities = best(&|m| {
        std::hint::black_box(shelf.tagger.tag(m, &normalize(m)));
    });
    line(&serde_json::json!({"messages": messages.len(), "classify_us": classify, "entities_us": entities}).to_string())?;
    Ok(ExitCode::SUCCESS)
}

/// `label column:value ... # lang`, columns from 1 as the format has it.
fn write_features(classifier: &SparseClassifier, examples: &[Example], path: &Path) -> anyhow::Result<()> {
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
