//! Figures of product linking: right SKU, ambiguity, contradictions, calibration, questions asked.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::percent;
use crate::classify::expected_calibration_error;
use crate::corpus::ResolveRow;
use crate::domain::{CatalogueItem, ResolveMatch};

/// A row with the answer to it.
#[derive(Debug, Clone)]
pub struct ResolveOutcome {
    pub row: ResolveRow,
    pub matched: ResolveMatch,
    /// Everything that fits, or nothing.
    pub skus: Vec<String>,
    pub ask: Option<String>,
    pub confidence: f32,
}

impl ResolveOutcome {
    fn is_right(&self) -> bool {
        self.row.is_right(self.matched, &self.skus)
    }
}

/// Right of how many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    pub right: usize,
    pub n: usize,
}

impl Share {
    fn add(&mut self, right: bool) {
        self.right += usize::from(right);
        self.n += 1;
    }

    fn show(self) -> String {
        format!("{} ({} of {})", percent(self.right as f64 / self.n.max(1) as f64), self.right, self.n)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResolveMetrics {
    pub all: Share,
    pub by_expect: BTreeMap<&'static str, Share>,
    pub by_lang: BTreeMap<&'static str, Share>,
    /// Answers that name a SKU which does not fit what was said.
    pub contradictions: usize,
    /// Of `several` answered as such: exactly the entries that fit, and not only some.
    pub whole_sets: Share,
    /// Of `several` answered rightly: the attribute to ask for is one that decides, by the row's note.
    pub asked: Share,
    /// Expected calibration error of the answer's confidence, 10 bins.
    pub ece: f64,
    pub errors: Vec<ResolveError>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResolveError {
    pub text: String,
    pub expect: ResolveMatch,
    pub skus: Vec<String>,
    pub answered: ResolveMatch,
    pub answered_skus: Vec<String>,
    pub confidence: f32,
}

impl ResolveMetrics {
    pub fn of(outcomes: &[ResolveOutcome]) -> Self {
        let mut metrics = ResolveMetrics {
            all: Share::default(),
            by_expect: BTreeMap::new(),
            by_lang: BTreeMap::new(),
            contradictions: 0,
            whole_sets: Share::default(),
            asked: Share::default(),
            ece: expected_calibration_error(&outcomes.iter().map(|o| (f64::from(o.confidence), o.is_right())).collect::<Vec<_>>(), 10),
            errors: Vec::new(),
        };
        for outcome in outcomes {
            let (row, right) = (&outcome.row, outcome.is_right());
            metrics.all.add(right);
            metrics.by_expect.entry(row.expect.as_str()).or_default().add(right);
            metrics.by_lang.entry(row.lang.as_str()).or_default().add(right);
            metrics.contradictions += usize::from(row.is_contradicted(&outcome.skus));
            if right && row.expect == ResolveMatch::Several {
                metrics.whole_sets.add(outcome.skus.len() == row.skus.len());
                let note = row.note.as_deref().unwrap_or_default();
                metrics.asked.add(outcome.ask.as_deref().is_some_and(|ask| note.split([',', ' ']).any(|w| w == ask)));
            }
            if !right {
                metrics.errors.push(ResolveError {
                    text: row.text.clone(),
                    expect: row.expect,
                    skus: row.skus.clone(),
                    answered: outcome.matched,
                    answered_skus: outcome.skus.clone(),
                    confidence: outcome.confidence,
                });
            }
        }
        metrics
    }

    /// For people.
    pub fn show(&self) -> String {
        let mut out = format!("right          {}\n", self.all.show());
        for (name, share) in self.by_expect.iter().chain(&self.by_lang) {
            let _ = writeln!(out, "  {name:12} {}", share.show());
        }
        let _ = writeln!(out, "contradictions {}", self.contradictions);
        let _ = writeln!(out, "whole sets     {}", self.whole_sets.show());
        let _ = writeln!(out, "asks well      {}", self.asked.show());
        let _ = writeln!(out, "ECE            {:.3}", self.ece);
        for e in &self.errors {
            let list = |skus: &[String]| if skus.is_empty() { "-".to_owned() } else { skus.join(" ") };
            let _ = writeln!(
                out,
                "\n{}\n  expected {:7} {}\n  answered {:7} {} ({:.2})",
                e.text,
                e.expect.as_str(),
                list(&e.skus),
                e.answered.as_str(),
                list(&e.answered_skus),
                e.confidence
            );
        }
        out
    }
}

/// A catalogue of `n` SKUs for measurements: the given one, and copies of it under other brands, with titles of their own.
pub fn scaled(items: &[CatalogueItem], n: usize) -> Vec<CatalogueItem> {
    const SYLLABLES: [&str; 24] = [
        "云", "山", "清", "木", "海", "星", "禾", "月", "松", "泉", "岚", "溪", "雪", "谷", "原", "晴", "朗", "墨", "竹", "枫", "岸", "帆",
        "澜", "禧",
    ];
    let mut out: Vec<CatalogueItem> = Vec::with_capacity(n);
    for copy in 0.. {
        for item in items {
            if out.len() >= n {
                return out;
            }
            let mut item = item.clone();
            if copy > 0 {
                let name = |at: usize| SYLLABLES[at % SYLLABLES.len()];
                let brand = format!("{}{}{}", name(copy), name(copy / 24 + 7), name(copy / 5 + 3));
                let rename =
                    |text: &str, old: &str, new: &str| if old.is_empty() { format!("{new} {text}") } else { text.replace(old, new) };
                item.title = rename(&item.title, &item.brand, &brand);
                item.title_en = rename(&item.title_en, &item.brand_en, &format!("Brand{copy}"));
                (item.brand, item.brand_en) = (brand, format!("Brand{copy}"));
                item.sku = format!("{}-{copy}", item.sku);
            }
            out.push(item);
        }
        if items.is_empty() {
            return out;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Lang;

    #[test]
    fn right_means_the_sku_or_a_part_of_the_set() {
        let row = |expect, skus: &[&str]| ResolveRow {
            text: "x".into(),
            lang: Lang::Zh,
            expect,
            skus: skus.iter().map(|s| (*s).to_owned()).collect(),
            note: Some("size".into()),
        };
        let said = |row: ResolveRow, matched, skus: &[&str]| ResolveOutcome {
            row,
            matched,
            skus: skus.iter().map(|s| (*s).to_owned()).collect(),
            ask: Some("size".into()),
            confidence: 1.0,
        };
        use ResolveMatch::{None, One, Several};
        let metrics = ResolveMetrics::of(&[
            said(row(One, &["a"]), One, &["a"]),
            said(row(Several, &["a", "b", "c"]), Several, &["a", "b"]),
            said(row(None, &[]), None, &[]),
            said(row(None, &[]), One, &["a"]),
            said(row(One, &["a"]), Several, &["a", "b"]),
        ]);
        assert_eq!((metrics.all, metrics.contradictions), (Share { right: 3, n: 5 }, 2));
        assert_eq!((metrics.asked, metrics.whole_sets), (Share { right: 1, n: 1 }, Share { right: 0, n: 1 }));
        assert!(metrics.show().contains("contradictions 2"));
    }

    #[test]
    fn a_scaled_catalogue_has_that_many_skus() {
        let items = [CatalogueItem::new("A", "a"), CatalogueItem::new("B", "b")];
        let skus: std::collections::BTreeSet<String> = scaled(&items, 7).into_iter().map(|i| i.sku).collect();
        assert_eq!((skus.len(), scaled(&[], 7).len()), (7, 0));
    }
}
