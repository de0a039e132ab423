//! `fenzhen data`: are the corpora fit to train and measure on?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::output::{GREEN, RED, STRONG, YELLOW, line, paint};
use crate::corpus::{
    ArticleQuery, CorpusTicket, Example, OUT_OF_SCOPE, Report, Severity, read_jsonl, read_taxonomy, validate_catalogue, validate_intents,
    validate_knowledge, validate_tickets,
};
use crate::domain::{Article, CatalogueItem, Lang};

#[derive(Debug, Args)]
pub(super) struct Data {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check schema, duplicates, near-duplicates across splits and label balance (exit code 1 where something is wrong)
    Validate {
        /// Folder of the corpora
        #[arg(default_value = "datasets")]
        dir: PathBuf,
        /// Warnings count as errors
        #[arg(long)]
        strict: bool,
    },
    /// Count rows by split, language and intent
    Stats {
        #[arg(default_value = "datasets")]
        dir: PathBuf,
    },
}

const SPLITS: [&str; 3] = ["train", "valid", "test"];

impl Data {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Validate { dir, strict } => validate(&dir, strict),
            Action::Stats { dir } => stats(&dir),
        }
    }
}

/// Rows that the project asks of each intent: (train, other splits) by language; five times that for what is out of scope.
fn minimum(split: &str, intent: &str, lang: Lang) -> usize {
    let base = match (split, lang) {
        ("train", Lang::Zh) => 40,
        ("train", Lang::En) => 25,
        (_, Lang::Zh) => 8,
        (_, Lang::En) => 6,
    };
    if intent == OUT_OF_SCOPE { 5 * base } else { base }
}

/// All corpora of a folder, judged.
pub(super) fn judge(dir: &Path) -> anyhow::Result<BTreeMap<&'static str, Report>> {
    let taxonomy = read_taxonomy(&dir.join("taxonomy.toml"))?;
    let sets = SPLITS.map(|s| read_jsonl::<Example>(&dir.join(format!("intents/{s}.jsonl"))));
    let [train, valid, test] = sets;
    let (train, valid, test) = (train?, valid?, test?);
    let articles: Vec<Article> = read_jsonl(&dir.join("articles/articles.jsonl"))?;
    let queries: (Vec<ArticleQuery>, Vec<ArticleQuery>) =
        (read_jsonl(&dir.join("articles/queries.valid.jsonl"))?, read_jsonl(&dir.join("articles/queries.test.jsonl"))?);
    let tickets: Vec<CorpusTicket> = read_jsonl(&dir.join("tickets/tickets.jsonl"))?;
    let catalogue: Vec<CatalogueItem> = read_jsonl(&dir.join("catalogue/catalogue.jsonl"))?;
    Ok(BTreeMap::from([
        ("intents", validate_intents(&taxonomy, &[("train", &train), ("valid", &valid), ("test", &test)], minimum)),
        ("articles", validate_knowledge(&taxonomy, &articles, &[("valid", &queries.0), ("test", &queries.1)])),
        ("tickets", validate_tickets(&taxonomy, &tickets)),
        ("catalogue", validate_catalogue(&catalogue)),
    ]))
}

fn validate(dir: &Path, strict: bool) -> anyhow::Result<ExitCode> {
    let mut bad = false;
    for (name, report) in judge(dir)? {
        let sizes = report.sizes.iter().map(|(k, n)| format!("{k} {n}")).collect::<Vec<_>>().join(", ");
        let warnings = report.findings.len() - report.errors();
        let failed = report.errors() > 0 || (strict && warnings > 0);
        bad |= failed;
        let mark = if failed { paint(RED, "✗") } else { paint(GREEN, "✓") };
        line(&format!("{mark} {name}: {sizes}; {} errors, {warnings} warnings", report.errors()))?;
        for finding in &report.findings {
            let severity = match finding.severity {
                Severity::Error => paint(RED, "error"),
                Severity::Warning => paint(YELLOW, "warning"),
            };
            line(&format!("    {severity} {}", finding.message))?;
        }
    }
    Ok(ExitCode::from(u8::from(bad)))
}

fn stats(dir: &Path) -> anyhow::Result<ExitCode> {
    let taxonomy = read_taxonomy(&dir.join("taxonomy.toml"))?;
    let mut counts: BTreeMap<(String, &str, Lang), usize> = BTreeMap::new();
    let mut lengths: BTreeMap<(&str, Lang), Vec<usize>> = BTreeMap::new();
    for split in SPLITS {
        for row in read_jsonl::<Example>(&dir.join(format!("intents/{split}.jsonl")))? {
            lengths.entry((split, row.lang)).or_default().push(row.text.chars().count());
            *counts.entry((row.intent, split, row.lang)).or_default() += 1;
        }
    }
    line(&paint(STRONG, format!("{:18} {:>13} {:>13} {:>13}", "intent (zh + en)", "train", "valid", "test")))?;
    for (intent, _) in taxonomy.intents() {
        let cell = |split| {
            let of = |lang| counts.get(&(intent.to_owned(), split, lang)).copied().unwrap_or(0);
            format!("{:>6} + {:>4}", of(Lang::Zh), of(Lang::En))
        };
        line(&format!("{intent:18} {} {} {}", cell("train"), cell("valid"), cell("test")))?;
    }
    for ((split, lang), mut chars) in lengths {
        chars.sort_unstable();
        let at = |q: usize| chars[(chars.len() - 1) * q / 100];
        line(&format!(
            "{split:6} {lang}: {:5} rows, characters: 10 % under {}, median {}, 90 % under {}, longest {}",
            chars.len(),
            at(10),
            at(50),
            at(90),
            at(100)
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_corpora_are_fit() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets");
        for (name, report) in judge(&dir).unwrap() {
            assert_eq!(report.errors(), 0, "{name}: {:#?}", report.findings.iter().take(10).collect::<Vec<_>>());
        }
    }
}
