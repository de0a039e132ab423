//! `fenzhen data validate`: the shipped corpora by their own rules, any labelled files by those that hold for all.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::super::output::{GREEN, Hinted, RED, YELLOW, line, paint};
use super::{SPLITS, doubt, with_bar};
use crate::corpus::{
    ArticleQuery, CorpusTicket, Example, Finding, OUT_OF_SCOPE, ReplyRow, Report, Severity, read_jsonl, read_tagged, read_taxonomy,
    validate_alike, validate_catalogue, validate_intents, validate_knowledge, validate_labelled, validate_replies, validate_tagged,
    validate_tickets,
};
use crate::domain::{Article, CatalogueItem, Lang};

#[derive(Debug, Args)]
pub(super) struct Validate {
    /// A folder of corpora (with taxonomy.toml and intents/), or labelled files or a folder of them: each is a split, the first the one to train on
    #[arg(default_value = "datasets", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Warnings count as errors
    #[arg(long)]
    strict: bool,
    /// Findings as JSON
    #[arg(long)]
    json: bool,
    /// The labels there may be; without it taxonomy.toml beside the files or one folder up, if it is there
    #[arg(long, value_name = "TAXONOMY.toml")]
    labels_from: Option<PathBuf>,
    /// Findings of a kind that are listed; the others are counted
    #[arg(long, value_name = "N", default_value_t = 10)]
    show: usize,
}

impl Validate {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let reports = match self.paths.as_slice() {
            [dir] if self.labels_from.is_none() && is_corpora(dir) => judge(dir)?,
            _ => BTreeMap::from([("files", self.judge_files()?)]),
        };
        let bad = reports.values().any(|report| self.fails(report));
        if self.json {
            let corpora: Vec<Value> = reports.iter().map(|(name, report)| as_json(name, report)).collect();
            let [errors, warnings] = [Report::errors, Report::warnings].map(|count| reports.values().map(count).sum::<usize>());
            let all = json!({ "ok": !bad, "errors": errors, "warnings": warnings, "corpora": corpora });
            line(&serde_json::to_string_pretty(&all)?)?;
        } else {
            reports.iter().try_for_each(|(name, report)| self.show(name, report))?;
        }
        Ok(ExitCode::from(u8::from(bad)))
    }

    fn fails(&self, report: &Report) -> bool {
        report.errors() > 0 || (self.strict && report.warnings() > 0)
    }

    fn judge_files(&self) -> anyhow::Result<Report> {
        let files = labelled_files(&self.paths)?;
        let known = self.labels_from.clone().or_else(|| taxonomy_near(&files));
        let taxonomy = known.as_deref().map(read_taxonomy).transpose()?;
        if let Some(path) = &known
            && !self.json
        {
            line(&format!("labels as in {}", path.display()))?;
        }
        let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
        with_bar(&paths, 1, "validate", |tick| validate_labelled(&files, taxonomy.as_ref(), self.show, tick))
    }

    fn show(&self, name: &str, report: &Report) -> anyhow::Result<()> {
        let sizes = report.sizes.iter().map(|(k, n)| format!("{k} {n}")).collect::<Vec<_>>().join(", ");
        let mark = if self.fails(report) { paint(RED, "✗") } else { paint(GREEN, "✓") };
        line(&format!("{mark} {name}: {sizes}; {} errors, {} warnings", report.errors(), report.warnings()))?;
        for (at, finding) in report.findings.iter().enumerate() {
            let severity = match finding.severity {
                Severity::Error => paint(RED, "error"),
                Severity::Warning => paint(YELLOW, "warning"),
            };
            let place = finding.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
            line(&format!("    {severity} {place}{}", finding.message))?;
            let last = report.findings.get(at + 1).is_none_or(|next| next.kind != finding.kind);
            if let Some(rest) = report.more.get(&finding.kind).filter(|_| last) {
                line(&format!("    {severity} and {rest} more of this kind ({})", finding.kind.as_str()))?;
            }
        }
        report.notes.iter().try_for_each(|note| doubt(note))
    }
}

fn as_json(name: &str, report: &Report) -> Value {
    let finding = |f: &Finding| {
        let (file, line) = f.place.as_ref().map(|p| (p.path.display().to_string(), p.line)).unzip();
        json!({ "severity": f.severity.as_str(), "kind": f.kind.as_str(), "file": file, "line": line, "message": f.message })
    };
    let more: BTreeMap<&str, usize> = report.more.iter().map(|(kind, &n)| (kind.as_str(), n)).collect();
    let findings: Vec<Value> = report.findings.iter().map(finding).collect();
    json!({ "name": name, "rows": report.sizes, "errors": report.errors(), "warnings": report.warnings(), "findings": findings, "more": more, "notes": report.notes })
}

/// Whether a folder is laid out as `datasets` is; one that is not there is taken for such, and named when it is read.
fn is_corpora(dir: &Path) -> bool {
    (dir.join("taxonomy.toml").exists() && dir.join("intents").is_dir()) || (dir.extension().is_none() && !dir.exists())
}

/// The files named, and of folders the splits in them or else all JSON Lines.
fn labelled_files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut found: Vec<PathBuf> =
                SPLITS.map(|split| path.join(format!("{split}.jsonl"))).into_iter().filter(|p| p.exists()).collect();
            if found.is_empty() {
                let entries = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
                let entries = entries.with_context(|| path.display().to_string())?;
                found = entries.into_iter().map(|entry| entry.path()).collect();
                found.retain(|p| p.extension().is_some_and(|e| e == "jsonl"));
                found.sort();
            }
            if found.is_empty() {
                let hint = "name the files, or make some: fenzhen data import FILE --out NEW.jsonl".to_owned();
                return Err(Hinted { message: format!("{}: no .jsonl files in this folder", path.display()), hint }.into());
            }
            files.extend(found);
        } else if path.extension().is_some_and(|e| ["csv", "tsv", "txt", "yml", "yaml"].iter().any(|other| e.eq_ignore_ascii_case(other))) {
            let hint = format!("make labelled rows of it first: fenzhen data import {} --out NEW.jsonl", path.display());
            return Err(Hinted { message: format!("{}: labelled rows are JSON Lines", path.display()), hint }.into());
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

fn taxonomy_near(files: &[PathBuf]) -> Option<PathBuf> {
    // `parent` of a bare name is the empty path, which is where we are; of that there is none.
    let folder = files.first()?.parent()?;
    let above = folder.parent().unwrap_or(Path::new(".."));
    [folder, above].map(|folder| folder.join("taxonomy.toml")).into_iter().find(|path| path.exists())
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
fn judge(dir: &Path) -> anyhow::Result<BTreeMap<&'static str, Report>> {
    let taxonomy = read_taxonomy(&dir.join("taxonomy.toml"))?;
    let sets = SPLITS.map(|s| read_jsonl::<Example>(&dir.join(format!("intents/{s}.jsonl"))));
    let [train, valid, test] = sets;
    let (train, valid, test) = (train?, valid?, test?);
    let articles: Vec<Article> = read_jsonl(&dir.join("articles/articles.jsonl"))?;
    let queries: (Vec<ArticleQuery>, Vec<ArticleQuery>) =
        (read_jsonl(&dir.join("articles/queries.valid.jsonl"))?, read_jsonl(&dir.join("articles/queries.test.jsonl"))?);
    let tickets: Vec<CorpusTicket> = read_jsonl(&dir.join("tickets/tickets.jsonl"))?;
    let catalogue: Vec<CatalogueItem> = read_jsonl(&dir.join("catalogue/catalogue.jsonl"))?;
    let tagged = SPLITS.map(|s| read_tagged(&dir.join(format!("ner/{s}.jsonl"))));
    let [spans_train, spans_valid, spans_test] = tagged;
    let (spans_train, spans_valid, spans_test) = (spans_train?, spans_valid?, spans_test?);
    let causes = read_jsonl(&dir.join("similar/causes.train.jsonl"))?;
    let mut asked = read_jsonl(&dir.join("similar/articles.train.jsonl"))?;
    asked.append(&mut read_jsonl(&dir.join("similar/articles.trades.jsonl"))?);
    let questions = read_jsonl(&dir.join("similar/questions.train.jsonl"))?;
    let replies: (Vec<ReplyRow>, Vec<ReplyRow>) =
        (read_jsonl(&dir.join("replies/train.jsonl"))?, read_jsonl(&dir.join("replies/test.jsonl"))?);
    let pairs = read_jsonl(&dir.join("replies/pairs.train.jsonl"))?;
    let of_queries = queries.0.iter().chain(&queries.1).map(|q| q.text.as_str());
    let of_replies = replies.1.iter().map(|r| r.text.as_str());
    let measured: Vec<&str> = of_queries.chain(tickets.iter().map(|t| t.body.as_str())).chain(of_replies).collect();
    Ok(BTreeMap::from([
        ("similar", validate_alike(&taxonomy, &causes, &asked, &questions, &measured)),
        ("intents", validate_intents(&taxonomy, &[("train", &train), ("valid", &valid), ("test", &test)], minimum)),
        ("articles", validate_knowledge(&taxonomy, &articles, &[("valid", &queries.0), ("test", &queries.1)])),
        ("tickets", validate_tickets(&taxonomy, &tickets)),
        ("replies", validate_replies(&articles, [&replies.0, &replies.1], &asked, &pairs, [&queries.0, &queries.1])),
        ("catalogue", validate_catalogue(&catalogue)),
        ("ner", validate_tagged(&[("train", &spans_train), ("valid", &spans_valid), ("test", &spans_test)])),
    ]))
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
