//! fastText's training files: a line is `__label__name the text`.

use super::super::CorpusError;
use super::super::source::Source;
use super::{Row, Rows};

pub(in super::super) const LABEL: &str = "__label__";

/// # Errors
/// In the rows: a line with several labels, unless the first shall count.
pub(super) fn rows(mut source: Source<'_>, first_label: bool) -> Rows<'_> {
    Box::new(std::iter::from_fn(move || match source.next_line() {
        Err(e) => Some(Err(e)),
        Ok(None) => None,
        Ok(Some((line, text))) => {
            let row = parse(line, text);
            Some(if row.more_labels > 0 && !first_label { Err(several(&source, &row)) } else { Ok(row) })
        }
    }))
}

fn several(source: &Source, row: &Row) -> CorpusError {
    let why = format!("{} labels, and a message has one intent", row.more_labels + 1);
    source.fault(Some(row.line), why, "take the others out, or let the first count: --first-label")
}

/// Labels may stand anywhere in a line; mostly they lead it, and then the text is left as it is.
fn parse(line: usize, text: &str) -> Row {
    let mut row = Row { line, ..Row::default() };
    let mut rest = text.trim();
    while let Some(after) = rest.strip_prefix(LABEL) {
        let end = after.find(char::is_whitespace).unwrap_or(after.len());
        row.label(&after[..end]);
        rest = after[end..].trim_start();
    }
    if rest.split_whitespace().any(|word| word.starts_with(LABEL)) {
        let mut words = Vec::new();
        for word in rest.split_whitespace() {
            match word.strip_prefix(LABEL) {
                Some(label) => row.label(label),
                None => words.push(word),
            }
        }
        row.text = words.join(" ");
    } else {
        row.text = rest.to_owned();
    }
    row
}

impl Row {
    fn label(&mut self, label: &str) {
        if self.intent.is_empty() {
            self.intent = label.to_owned();
        } else {
            self.more_labels += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_lead_follow_or_are_missing() {
        let check = |text: &str, intent: &str, words: &str, more: u64| {
            let row = parse(1, text);
            assert_eq!((row.intent.as_str(), row.text.as_str(), row.more_labels), (intent, words, more), "{text}");
        };
        check("__label__refund  I want  my money", "refund", "I want  my money", 0);
        check("__label__a\t__label__b x", "a", "x", 1);
        check("我要退款 __label__refund", "refund", "我要退款", 0);
        check("__label__refund", "refund", "", 0);
        check("no label here", "", "no label here", 0);
        check("__label__a my__label__x  y", "a", "my__label__x  y", 0);
    }
}
