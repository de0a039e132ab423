//! The registry's models for people.

use std::path::Path;
use std::str::FromStr;

use serde_json::Value;

use super::super::output::{DIM, GREEN, RED, STRONG, YELLOW, line, paint};
use super::{Registry, verdict};
use crate::app::try_artefact;
use crate::classify::SHIPPED_NAME;
use crate::domain::{ModelScores, Moved, TrainedModel, TrainedVersion, Version};
use crate::embed::Arithmetic;
use crate::models::Artefact;
use crate::models::registry::{CHALLENGER, CHAMPION, Card};
use crate::text::TEXT_VERSION;

/// `NAME` or `NAME@VERSION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub name: String,
    pub version: Option<String>,
}

impl FromStr for Reference {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, version) = match text.split_once('@') {
            Some((name, version)) => (name, Some(version.to_owned())),
            None => (text, None),
        };
        if name.is_empty() || version.as_ref().is_some_and(String::is_empty) {
            return Err("write it as NAME or NAME@VERSION, for example intent@4".into());
        }
        Ok(Reference { name: name.to_owned(), version })
    }
}

/// `NAME@VERSION`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Exact {
    pub name: String,
    pub version: String,
}

impl FromStr for Exact {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(Reference { name, version: Some(version) }) => Ok(Exact { name, version }),
            _ => Err("write it as NAME@VERSION, for example intent@4, intent@challenger or intent@shipped".into()),
        }
    }
}

/// A line a version, newest first.
pub(super) fn rows(model: &TrainedModel) -> anyhow::Result<()> {
    for version in &model.versions {
        let aliases = model.aliases.iter().filter(|(_, v)| **v == version.version);
        let aliases = aliases.map(|(alias, _)| alias.as_str()).collect::<Vec<_>>().join(", ");
        let style = if aliases.split(", ").any(|a| a == CHAMPION) { GREEN } else { YELLOW };
        let name = format!("{}@{}", model.name, version.version);
        let when = version.registered_at.as_deref().unwrap_or("shipped with the program");
        let fault = fault(version).map(|why| paint(RED, format!("  {why}"))).unwrap_or_default();
        line(&format!(
            "  {name:20} {} {:36} {}{fault}",
            paint(style, format!("{aliases:20}")),
            headline(&version.scores),
            paint(DIM, when)
        ))?;
    }
    let lost = model.aliases.iter().filter(|(_, v)| !model.versions.iter().any(|there| there.version == **v));
    for (alias, version) in lost {
        line(&format!("  {}", paint(RED, format!("{}@{version}, the {alias}, is lost", model.name))))?;
    }
    Ok(())
}

fn headline(scores: &ModelScores) -> String {
    let Some((set, figures)) = Card::headline(scores) else { return "no scores".into() };
    let accuracy = figures.get("accuracy").map(|a| format!("accuracy {:.1} %  ", 100.0 * a)).unwrap_or_default();
    let f1 = figures.get("f1").map(|f| format!("F1 {:.1} %  ", 100.0 * f)).unwrap_or_default();
    let ece = figures.get("ece").map(|e| format!("ECE {e:.3}  ")).unwrap_or_default();
    format!("{accuracy}{f1}{ece}({set})")
}

fn fault(version: &TrainedVersion) -> Option<String> {
    let other = || {
        (version.text_version != TEXT_VERSION)
            .then(|| format!("cannot be served: made by text pipeline {}, this program has {TEXT_VERSION}", version.text_version))
    };
    version.fault.clone().or_else(other)
}

pub(super) fn show(registry: &Registry, model: &Reference, json: bool) -> anyhow::Result<()> {
    let what = match &model.version {
        Some(version) => version.clone(),
        // Where none was promoted, and none shipped, there is no champion: the newest is what people mean.
        None => registry
            .version_of(&model.name, CHAMPION)
            .or_else(|e| registry.model(&model.name)?.versions.first().map(|v| v.version).ok_or(e))?
            .to_string(),
    };
    let shown = registry.show(&model.name, &what)?;
    if json {
        return line(&serde_json::to_string_pretty(&shown)?);
    }
    if model.version.is_none() {
        rows(&registry.model(&model.name)?)?;
        line("")?;
    }
    let v = &shown.version;
    line(&format!("{} {}", paint(STRONG, format!("{}@{}", shown.name, v.version)), paint(GREEN, shown.aliases.join(", "))))?;
    if let Some(why) = fault(v) {
        line(&paint(RED, why))?;
    }
    if let Some(at) = &v.registered_at {
        line(&format!("registered    {at}, {} bytes", v.bytes))?;
    }
    line(&format!("place         {}\ntext version  {}\ndata sha256   {}", shown.place, v.text_version, v.data_hash))?;
    match shown.card.trim_end() {
        "" => line(&format!("\n{}", serde_json::to_string_pretty(&shown.model)?)),
        card => line(&format!("\n{card}")),
    }
}

pub(super) fn verify(registry: &Registry, model: &Reference) -> anyhow::Result<bool> {
    let versions = match &model.version {
        Some(what) => vec![registry.version_of(&model.name, what)?],
        None => registry.model(&model.name)?.versions.into_iter().map(|v| v.version).collect(),
    };
    let mut whole = true;
    for version in versions {
        let name = format!("{}@{version}", model.name);
        whole &= match version {
            Version::Shipped => verdict::<String>(&name, Ok("shipped with the program"))?,
            Version::Number(n) => verdict(&name, registry.verify(&model.name, n).map(|()| "").map_err(|e| (e.to_string(), e.hint())))?,
        };
    }
    Ok(whole)
}

pub(super) fn import(registry: &Registry, folder: &Path) -> anyhow::Result<()> {
    let name = Card::read(folder)?.name;
    let version = registry.register(&name, folder)?;
    line(&format!(
        "{} {} {}",
        paint(GREEN, "✓"),
        paint(STRONG, format!("{name}@{version}")),
        paint(DIM, format!("from {}", folder.display()))
    ))?;
    line(&paint(
        DIM,
        format!("compare it: fenzhen models diff {name}@{CHAMPION} {name}@{version}\nserve it:   fenzhen models promote {name}@{version}"),
    ))
}

pub(super) fn promote(registry: &Registry, model: &Exact) -> anyhow::Result<()> {
    told(&registry.promote(&model.name, &model.version, &loadable)?)
}

pub(super) fn rollback(registry: &Registry, name: &str) -> anyhow::Result<()> {
    told(&registry.rollback(name, &loadable)?)
}

pub(super) fn alias(registry: &Registry, name: &str, alias: &str, version: Option<&str>, remove: bool) -> anyhow::Result<()> {
    match (version, remove) {
        (None, false) => line(&format!("{name}@{}", registry.version_of(name, alias)?)),
        _ => told(&registry.alias(name, alias, version, &loadable)?),
    }
}

/// What a service would do with it.
fn loadable(artefact: &Artefact) -> Result<(), String> {
    try_artefact(artefact, Arithmetic::Auto)
}

fn told(moved: &Moved) -> anyhow::Result<()> {
    let version = |v: Option<Version>| v.map_or("nothing".to_owned(), |v| format!("{}@{v}", moved.name));
    let now = paint(STRONG, version(moved.now));
    line(&format!("{} {} is {now}, was {}", paint(GREEN, "✓"), moved.alias, version(moved.before)))?;
    if ![CHAMPION, CHALLENGER].contains(&moved.alias.as_str()) {
        return Ok(());
    }
    line(&paint(
        DIM,
        if moved.name == SHIPPED_NAME {
            "a running service follows within a second".to_owned()
        } else {
            format!("no service follows {}: `fenzhen serve` serves {SHIPPED_NAME}", moved.name)
        },
    ))
}

pub(super) fn diff(registry: &Registry, a: &Exact, b: &Exact, json: bool) -> anyhow::Result<()> {
    let diff = registry.diff((&a.name, &a.version), (&b.name, &b.version))?;
    if json {
        return line(&serde_json::to_string_pretty(&diff)?);
    }
    line(&paint(STRONG, format!("{} → {}", diff.a, diff.b)))?;
    for changed in &diff.changed {
        line(&format!("  {:24} {}", changed.key, change(&changed.a, &changed.b)))?;
    }
    if diff.changed.is_empty() {
        line(&paint(DIM, "  the same recipe and data"))?;
    }
    let figure = |v: Option<f64>| v.map_or("-".to_owned(), |v| if v.fract() == 0.0 { format!("{v}") } else { format!("{v:.4}") });
    line(&format!("\n  {:14} {:18} {:>9} {:>9} {:>9}", "set", "figure", a.version, b.version, "change"))?;
    for row in &diff.scores {
        let by = row.difference.map(|d| if d == 0.0 { "=".to_owned() } else { format!("{d:+.4}") }).unwrap_or_default();
        line(&format!("  {:14} {:18} {:>9} {:>9} {by:>9}", row.set, row.figure, figure(row.a), figure(row.b)))?;
    }
    Ok(())
}

/// Lists tell what came and went; everything else is short enough to be shown.
fn change(a: &Value, b: &Value) -> String {
    if let (Value::Array(a), Value::Array(b)) = (a, b) {
        let gone = a.iter().filter(|v| !b.contains(v)).map(|v| format!("-{}", short(v)));
        let come = b.iter().filter(|v| !a.contains(v)).map(|v| format!("+{}", short(v)));
        let moves: Vec<String> = gone.chain(come).collect();
        let more = if moves.len() > 6 { ", ..." } else { "" };
        return match moves.as_slice() {
            [] => "another order".into(),
            _ => format!("{} → {} entries: {}{more}", a.len(), b.len(), moves.iter().take(6).cloned().collect::<Vec<_>>().join(", ")),
        };
    }
    format!("{} → {}", short(a), short(b))
}

fn short(value: &Value) -> String {
    let text = match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() > 40 { text.chars().take(39).chain(['…']).collect() } else { text }
}

pub(super) fn gc(registry: &Registry, keep: usize, dry_run: bool) -> anyhow::Result<()> {
    let removed = registry.gc(keep, dry_run)?;
    let verb = if dry_run { "would remove" } else { "removed" };
    for r in &removed {
        let what = r.version.map_or("what an interrupted registration left".to_owned(), |n| format!("{}@{n}", r.name));
        line(&format!("{verb} {what} {}", paint(DIM, format!("{} bytes", r.bytes))))?;
    }
    let bytes: u64 = removed.iter().map(|r| r.bytes).sum();
    let done = if removed.is_empty() { "nothing to remove".to_owned() } else { format!("{verb} {bytes} bytes") };
    line(&format!("{} {done} in {}", paint(GREEN, "✓"), registry.root().display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn references_name_a_model_and_maybe_a_version() {
        let exact: Exact = "intent@challenger".parse().unwrap();
        assert_eq!((exact.name.as_str(), exact.version.as_str()), ("intent", "challenger"));
        assert_eq!("intent".parse(), Ok(Reference { name: "intent".into(), version: None }));
        for wrong in ["", "@", "@4", "intent@"] {
            assert!(wrong.parse::<Reference>().is_err() && wrong.parse::<Exact>().is_err_and(|e| e.contains("intent@4")), "{wrong}");
        }
        assert!("intent".parse::<Exact>().is_err());
    }

    #[test]
    fn changes_are_told_briefly() {
        assert_eq!(change(&json!(0.5), &json!(null)), "0.5 → nothing");
        assert_eq!(change(&json!(["a", "b"]), &json!(["b", "c", "d"])), "2 → 3 entries: -a, +c, +d");
        assert_eq!(change(&json!(["a", "b"]), &json!(["b", "a"])), "another order");
        let long = change(&json!("x".repeat(100)), &json!((0..9).collect::<Vec<_>>()));
        assert!(long.starts_with(&format!("{}…", "x".repeat(39))) && long.chars().count() < 90, "{long}");
    }
}
