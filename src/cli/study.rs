//! `fenzhen eval cross` and `fenzhen eval curve`: how good a recipe would be, and whether more data would help.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::Global;
use super::output::{DIM, line, paint};
use super::train::Teller;
use crate::app::open_training_encoder;
use crate::classify::{Scores, Z_95, wilson_lower_bound};
use crate::eval::{CurvePoint, Fold, Header, Interval, training_markdown, write_training};
use crate::train::{
    ClassifierRecipe, Corpus, EncoderKind, StudyPoint, TrainingEncoder, Workplace, cross_validate, learning_curve, read_recipe,
};

/// What both studies are of.
#[derive(Debug, Args)]
struct Of {
    /// The recipe (TOML); its paths are relative to itself
    recipe: PathBuf,
    /// Lay a value over the recipe; --set encoder.kind=none leaves the encoder out: seconds instead of minutes
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Write the study as training.json, training.md and training.html here
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Cross {
    #[command(flatten)]
    of: Of,
    /// Parts of the training rows, each held out once
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..=50))]
    folds: u16,
}

#[derive(Debug, Args)]
pub(super) struct Curve {
    #[command(flatten)]
    of: Of,
    /// Shares of the training rows, each trained on and measured on the same held-out rows
    #[arg(long, default_values_t = [0.1, 0.2, 0.4, 0.7, 1.0], value_delimiter = ',', value_parser = share)]
    shares: Vec<f64>,
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| format!("{text:?} is no number"))?;
    if share > 0.0 && share <= 1.0 { Ok(share) } else { Err(format!("{share} is no share: it lies above 0 and at most at 1")) }
}

/// A recipe with everything that it needs to be trained.
struct Material {
    recipe: ClassifierRecipe,
    corpus: Corpus,
    encoder: Option<TrainingEncoder>,
    workplace: Workplace,
}

impl Of {
    fn open(&self, global: &Global) -> anyhow::Result<Material> {
        let recipe: ClassifierRecipe = read_recipe(&self.recipe, &self.settings)?;
        recipe.check()?;
        let base = self.recipe.parent().map(Path::to_owned).unwrap_or_default();
        let corpus = Corpus::read(&recipe, &base)?;
        let encoder = match recipe.encoder.kind {
            EncoderKind::None => None,
            _ => Some(open_training_encoder(&global.start(None)?)?),
        };
        let run = format!("{} {}", corpus.hash, serde_json::to_string(&recipe)?);
        let workplace = Workplace::open(&base.join(&recipe.out).with_extension("study"), run)?;
        Ok(Material { recipe, corpus, encoder, workplace })
    }

    fn show(&self, labels: &[String], points: &[StudyPoint], curve: &[CurvePoint], folds: &[Fold]) -> anyhow::Result<ExitCode> {
        let header = Header {
            model: self.recipe.display().to_string(),
            data: self.settings.join(" "),
            date: time::OffsetDateTime::now_utc().date().to_string(),
            thresholds: vec![],
            labels: labels.to_vec(),
        };
        if let Some(dir) = &self.out {
            write_training(dir, &header, curve, folds)?;
            anstream::eprintln!("{}", paint(DIM, format!("written to {}", dir.display())));
        }
        let text = if self.json { serde_json::to_string_pretty(points)? } else { training_markdown(&header, curve, folds) };
        line(text.trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// By the best path that the recipe has.
fn of_best(point: &StudyPoint) -> Option<&Scores> {
    point.scores.get("full").or_else(|| point.scores.get("fast"))
}

impl Cross {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let Material { recipe, corpus, encoder, workplace } = self.of.open(global)?;
        let teller = Teller::start();
        let points = cross_validate(&recipe, &corpus, self.folds.into(), encoder.as_ref(), &workplace, &|news| teller.tell(&news))?;
        teller.finish();
        workplace.close();
        let fold = |p: &StudyPoint| {
            of_best(p).map(|s| Fold { train_rows: p.train_rows, n: s.n, accuracy: s.accuracy, macro_f1: s.macro_f1, ece: s.ece })
        };
        let folds: Vec<Fold> = points.iter().filter_map(fold).collect();
        self.of.show(&corpus.labels, &points, &[], &folds)
    }
}

impl Curve {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let Material { recipe, corpus, encoder, workplace } = self.of.open(global)?;
        let teller = Teller::start();
        let points = learning_curve(&recipe, &corpus, &self.shares, encoder.as_ref(), &workplace, &|news| teller.tell(&news))?;
        teller.finish();
        workplace.close();
        let point = |p: &StudyPoint| {
            let s = of_best(p)?;
            let right = (s.accuracy * s.n as f64).round() as usize;
            let interval = Interval { low: wilson_lower_bound(right, s.n, Z_95), high: 1.0 - wilson_lower_bound(s.n - right, s.n, Z_95) };
            Some(CurvePoint { train_rows: p.train_rows, accuracy: s.accuracy, interval })
        };
        let curve: Vec<CurvePoint> = points.iter().filter_map(point).collect();
        self.of.show(&corpus.labels, &points, &curve, &[])
    }
}
