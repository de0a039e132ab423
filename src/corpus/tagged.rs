//! Texts with marked spans.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{CorpusError, read_jsonl};
use crate::domain::Lang;

/// A text with its spans. A row may carry more, which nobody reads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaggedRow {
    pub text: String,
    pub lang: Lang,
    /// `message` or `title`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    pub entities: Vec<TaggedSpan>,
}

/// Code points `start..end` of the text, and what they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaggedSpan {
    pub start: usize,
    pub end: usize,
    #[serde(rename = "type")]
    pub kind: String,
    pub text: String,
}

impl TaggedRow {
    /// What is wrong with the spans, if anything.
    pub fn fault(&self) -> Option<String> {
        let chars: Vec<char> = self.text.chars().collect();
        self.entities.iter().find_map(|span| {
            let inside = chars.get(span.start..span.end).filter(|inside| !inside.is_empty());
            match inside.map(|inside| inside.iter().collect::<String>()) {
                None => Some(format!("the span {}..{} is empty or leaves the text of {} characters", span.start, span.end, chars.len())),
                Some(inside) if inside != span.text => Some(format!(
                    "at {}..{} stands {inside:?}, not {:?}: offsets count Unicode code points",
                    span.start, span.end, span.text
                )),
                Some(_) => None,
            }
        })
    }

    /// The first two spans that overlap.
    pub fn overlap(&self) -> Option<(&TaggedSpan, &TaggedSpan)> {
        let mut spans: Vec<&TaggedSpan> = self.entities.iter().collect();
        spans.sort_by_key(|s| s.start);
        spans.windows(2).find(|w| w[1].start < w[0].end).map(|w| (w[0], w[1]))
    }
}

/// Reads rows of [`TaggedRow`] (JSON Lines).
///
/// # Errors
/// An unreadable file, a broken row, a span that does not fit its text; with the line.
pub fn read_tagged(path: &Path) -> Result<Vec<TaggedRow>, CorpusError> {
    let rows: Vec<TaggedRow> = read_jsonl(path)?;
    // Blank lines are no rows: the text tells better than a number which one it is.
    match rows.iter().find_map(|row| Some((row, row.fault()?))) {
        Some((row, fault)) => {
            let shown: String = row.text.chars().take(40).collect();
            let hint = "correct its `entities`: start and end count Unicode code points of `text`, end exclusive".into();
            Err(CorpusError::Input { path: path.to_owned(), line: None, why: format!("in the row {shown:?} {fault}"), hint })
        }
        None => Ok(rows),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str, spans: &[(usize, usize, &str)]) -> TaggedRow {
        let span = |&(start, end, text): &(usize, usize, &str)| TaggedSpan { start, end, kind: "COLOR".into(), text: text.into() };
        TaggedRow { text: text.into(), lang: Lang::Zh, kind: None, entities: spans.iter().map(span).collect() }
    }

    #[test]
    fn spans_that_do_not_fit_are_told() {
        assert_eq!(row("要😀红色", &[(2, 4, "红色")]).fault(), None);
        assert!(row("要红色", &[(0, 2, "红色")]).fault().is_some_and(|f| f.contains("要红")));
        assert!(row("要红色", &[(1, 9, "红色")]).fault().is_some_and(|f| f.contains("3 characters")));
        assert!(row("要红色", &[(2, 1, "")]).fault().is_some());
        assert!(row("要红色", &[(1, 3, "红色"), (2, 3, "色")]).overlap().is_some());
    }
}
