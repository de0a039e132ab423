//! Figures of a tagger on rows with marked spans.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::format::percent;
use crate::corpus::{TaggedRow, TaggedSpan};
use crate::domain::{Entity, Lang};
use crate::ner::learned::{Counts, Place, SpanScores, SpanTally};

/// What a tagger made of a set.
#[derive(Debug, Clone, Serialize)]
pub struct SpanReport {
    pub model: String,
    pub data: String,
    /// Exact spans: start, end and type.
    pub all: SpanScores,
    pub languages: BTreeMap<Lang, SpanScores>,
    /// As `all.types`, where an overlap with a span of the same type is enough.
    pub partial: BTreeMap<String, Counts>,
    /// Spans found with the right borders and another type: how often, by the type that is there and the one found.
    pub confused: BTreeMap<String, BTreeMap<String, usize>>,
    /// Rows with a fault, those with most faults first.
    pub errors: Vec<SpanError>,
}

#[derive(Debug, Clone, Serialize)]
pub struct SpanError {
    /// Number of the row in the set, from 1.
    pub row: usize,
    pub text: String,
    pub missed: Vec<TaggedSpan>,
    pub wrong: Vec<TaggedSpan>,
}

impl SpanReport {
    /// Measures what was `found` in each of the rows, of the types that stand in `types`.
    pub fn of(model: &str, data: &str, types: &[String], rows: &[TaggedRow], found: &[Vec<Entity>]) -> Self {
        let mut all = SpanTally::default();
        let mut languages: BTreeMap<Lang, SpanTally> = BTreeMap::new();
        let mut partial: BTreeMap<String, Counts> = BTreeMap::new();
        let mut confused: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
        let mut errors = Vec::new();
        for (number, (row, found)) in rows.iter().zip(found).enumerate() {
            let there: Vec<&TaggedSpan> = row.entities.iter().filter(|e| types.contains(&e.kind)).collect();
            let spans: Vec<(TaggedSpan, f32)> =
                found.iter().map(|e| (span(e), e.confidence)).filter(|(s, _)| types.contains(&s.kind)).collect();
            let places: Vec<Place> = there.iter().map(|s| place(s)).collect();
            let judged: Vec<(Place, f32)> = spans.iter().map(|(s, p)| (place(s), *p)).collect();
            all.add(&places, &judged);
            languages.entry(row.lang).or_default().add(&places, &judged);
            for span in &there {
                let counts = partial.entry(span.kind.clone()).or_default();
                counts.there += 1;
                counts.right += usize::from(spans.iter().any(|(s, _)| s.kind == span.kind && overlap(s, span)));
            }
            for (span, _) in &spans {
                partial.entry(span.kind.clone()).or_default().found += 1;
                let other = there.iter().find(|s| s.start == span.start && s.end == span.end && s.kind != span.kind);
                if let Some(other) = other {
                    *confused.entry(other.kind.clone()).or_default().entry(span.kind.clone()).or_default() += 1;
                }
            }
            let missed: Vec<TaggedSpan> = there.iter().filter(|t| !spans.iter().any(|(s, _)| s == **t)).map(|t| (*t).clone()).collect();
            let wrong: Vec<TaggedSpan> = spans.into_iter().map(|(s, _)| s).filter(|s| !there.contains(&s)).collect();
            if !missed.is_empty() || !wrong.is_empty() {
                errors.push(SpanError { row: number + 1, text: row.text.clone(), missed, wrong });
            }
        }
        errors.sort_by_key(|e| (std::cmp::Reverse(e.missed.len() + e.wrong.len()), e.row));
        let languages = languages.into_iter().map(|(lang, tally)| (lang, tally.scores())).collect();
        SpanReport { model: model.to_owned(), data: data.to_owned(), all: all.scores(), languages, partial, confused, errors }
    }

    /// For people, with the first `errors` faulty rows.
    pub fn markdown(&self, errors: usize) -> String {
        let mut out = format!("# {} on {}\n\nExact spans: start, end and type.\n\n", self.model, self.data);
        out += "| rows | texts | spans | precision | recall | F1 | ECE (15 bins) |\n|---|---|---|---|---|---|---|\n";
        let languages = self.languages.iter().map(|(lang, s)| (lang.to_string(), s));
        for (name, s) in std::iter::once(("all".to_owned(), &self.all)).chain(languages) {
            let figures = [s.precision, s.recall, s.f1].map(percent);
            let _ = writeln!(out, "| {name} | {} | {} | {} | {:.3} |", s.n, s.counts.there, figures.join(" | "), s.ece);
        }
        out += "\n| type | there | found | exact F1 | partial F1 | taken for |\n|---|---|---|---|---|---|\n";
        for (kind, counts) in &self.all.types {
            let partial = self.partial.get(kind).copied().unwrap_or_default();
            let taken = self.confused.get(kind).into_iter().flatten().map(|(other, n)| format!("{other} {n}"));
            let taken = taken.collect::<Vec<_>>().join(", ");
            let _ = writeln!(
                out,
                "| {kind} | {} | {} | {} | {} | {taken} |",
                counts.there,
                counts.found,
                percent(counts.f1()),
                percent(partial.f1())
            );
        }
        if errors > 0 && !self.errors.is_empty() {
            let _ = write!(out, "\n## Rows with faults: {}, the first {}\n\n", self.errors.len(), errors.min(self.errors.len()));
            for e in self.errors.iter().take(errors) {
                let list = |spans: &[TaggedSpan]| spans.iter().map(|s| format!("{} {:?}", s.kind, s.text)).collect::<Vec<_>>().join(", ");
                let _ = writeln!(out, "- {}: {}", e.row, super::format::short(&e.text, 120));
                for (what, spans) in [("missed", &e.missed), ("wrong", &e.wrong)] {
                    if !spans.is_empty() {
                        let _ = writeln!(out, "  - {what}: {}", list(spans));
                    }
                }
            }
        }
        out
    }
}

fn span(e: &Entity) -> TaggedSpan {
    TaggedSpan { start: e.start, end: e.end, kind: e.kind.as_str().to_owned(), text: e.text.clone() }
}

fn place(s: &TaggedSpan) -> Place {
    (s.start, s.end, s.kind.clone())
}

fn overlap(a: &TaggedSpan, b: &TaggedSpan) -> bool {
    a.start < b.end && b.start < a.end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::EntityType;

    #[test]
    fn exact_partial_and_confused_are_told_apart() {
        let text = "a red wool coat";
        let gold = |start, end, kind: &str| TaggedSpan { start, end, kind: kind.into(), text: text[start..end].into() };
        let row = TaggedRow {
            text: text.into(),
            lang: Lang::En,
            kind: None,
            entities: vec![gold(2, 5, "COLOR"), gold(6, 10, "MATERIAL"), gold(11, 15, "PRODUCT")],
        };
        let found =
            |start: usize, end: usize, kind| Entity { kind, text: text[start..end].into(), start, end, confidence: 1.0, value: None };
        let found = vec![found(2, 5, EntityType::Color), found(6, 10, EntityType::Brand), found(6, 15, EntityType::Product)];
        let types = ["COLOR", "MATERIAL", "PRODUCT", "BRAND"].map(str::to_owned);
        let report = SpanReport::of("m", "d", &types, &[row], &[found]);
        assert_eq!(report.all.counts, Counts { right: 1, found: 3, there: 3 });
        assert_eq!(report.partial["PRODUCT"].right, 1);
        assert_eq!(report.confused["MATERIAL"]["BRAND"], 1);
        assert_eq!((report.errors[0].missed.len(), report.errors[0].wrong.len()), (2, 2));
        assert!(report.markdown(5).contains("| MATERIAL | 1 | 0 | 0.0 % | 0.0 % | BRAND 1 |"), "{}", report.markdown(5));
    }
}
