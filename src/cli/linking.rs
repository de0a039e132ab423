//! `fenzhen eval resolve` and `fenzhen train linking`: which product a message means, measured and fitted.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Args, ValueEnum};

use super::output::{DIM, line, paint};
use super::train::put_down;
use crate::corpus::{ResolveRow, data_hash, read_jsonl, shipped};
use crate::domain::CatalogueItem;
use crate::eval::{ResolveMetrics, ResolveOutcome, scaled};
use crate::ner::EntityTagger;
use crate::pipeline::Shelf;
use crate::text::normalize;
use crate::train::{LinkingRecipe, linking_card, train_linking};

#[derive(Debug, Args)]
pub(super) struct Resolve {
    /// Which of the shipped sets
    #[arg(long, value_enum, default_value = "valid")]
    split: Split,
    /// JSON Lines of {"text", "lang", "expect", "skus", "note"?}, instead of a shipped set
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// The catalogue that the SKUs are of (JSON Lines), instead of the shipped one
    #[arg(long, value_name = "FILE")]
    catalogue: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
    /// Measure time and memory on a catalogue of so many SKUs instead: copies of it under other brands
    #[arg(long, value_name = "SKUS")]
    scale: Option<usize>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Split {
    Valid,
    Test,
}

impl Resolve {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let of_split = match self.split {
            Split::Valid => "datasets/ner/resolve.valid.jsonl",
            Split::Test => "datasets/ner/resolve.test.jsonl",
        };
        let rows: Vec<ResolveRow> = read_jsonl(self.data.as_deref().unwrap_or(Path::new(of_split)))?;
        anyhow::ensure!(!rows.is_empty(), "the set holds no row");
        let items = match &self.catalogue {
            Some(path) => read_jsonl::<CatalogueItem>(path)?,
            None => shipped::catalogue(),
        };
        if let Some(skus) = self.scale {
            return scale(&items, skus, &rows);
        }
        let shelf = Shelf::stock(&items)?;
        let outcomes: Vec<ResolveOutcome> = rows.into_iter().map(|row| ask(&shelf, row)).collect();
        let metrics = ResolveMetrics::of(&outcomes);
        line(if self.json { serde_json::to_string_pretty(&metrics)? } else { metrics.show() }.trim_end())?;
        Ok(ExitCode::SUCCESS)
    }
}

fn ask(shelf: &Shelf, row: ResolveRow) -> ResolveOutcome {
    let clean = normalize(&row.text);
    let answer = shelf.products.resolve(&row.text, &clean, &shelf.tagger.tag(&row.text, &clean));
    ResolveOutcome {
        row,
        matched: answer.resolution.matched,
        skus: answer.skus,
        ask: answer.resolution.ask,
        confidence: answer.resolution.confidence,
    }
}

/// Builds a large shelf and asks it the set's messages over and over, on one thread.
fn scale(items: &[CatalogueItem], skus: usize, rows: &[ResolveRow]) -> anyhow::Result<ExitCode> {
    const ROUNDS: usize = 5;
    let items = scaled(items, skus);
    let (before, begin) = (resident(), Instant::now());
    let shelf = Shelf::stock(&items)?;
    let (built, memory) = (begin.elapsed(), resident().saturating_sub(before));
    let mut took: Vec<f64> = Vec::with_capacity(ROUNDS * rows.len());
    for _ in 0..ROUNDS {
        for row in rows {
            let begin = Instant::now();
            std::hint::black_box(ask(&shelf, row.clone()));
            took.push(begin.elapsed().as_secs_f64() * 1e3);
        }
    }
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took[((took.len() - 1) as f64 * share) as usize];
    line(
        &serde_json::json!({
            "skus": items.len(), "build_s": built.as_secs_f64(), "memory_mib": memory / (1 << 20), "resolves": took.len(),
            "p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99), "max_ms": at(1.0),
        })
        .to_string(),
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Bytes of memory in use, 0 where the system does not say.
fn resident() -> u64 {
    let pages = || std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse::<u64>().ok();
    pages().unwrap_or(0) * 4096
}

/// Fits the confidence; `base` is the recipe's folder.
pub(super) fn train(recipe: &LinkingRecipe, base: &Path, out: &Path) -> anyhow::Result<()> {
    let [catalogue, valid, test] = [&recipe.data.catalogue, &recipe.data.valid, &recipe.data.test].map(|p| base.join(p));
    let hash = data_hash(&[&catalogue, &valid])?;
    let items: Vec<CatalogueItem> = read_jsonl(&catalogue)?;
    let sets: [Vec<ResolveRow>; 2] = [read_jsonl(&valid)?, read_jsonl(&test)?];
    anstream::eprintln!("{}", paint(DIM, format!("{} messages, three times each", sets[0].len())));
    let shelf = Shelf::stock(&items)?;
    let artefact = train_linking(recipe, &items, &shelf.tagger, [&sets[0], &sets[1]], hash)?;
    put_down(out, "linking", &artefact, &linking_card(&artefact))
}
