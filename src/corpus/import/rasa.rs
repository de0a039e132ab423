//! Rasa NLU training data: YAML (Rasa 2 and 3) and JSON (`rasa_nlu_data`).
//!
//! <https://legacy-docs-oss.rasa.com/docs/rasa/training-data-format>. Entities are marked inside the examples; an intent corpus has no use
//! for the marks, so the text is taken as a customer would write it. Synonyms, lookup tables, stories and responses are passed over.

use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;
use serde_yaml_ng::Value;

use super::super::source::Source;
use super::super::{CorpusError, json_fault};
use super::{Row, Rows};

/// Rasa's formats are read whole.
pub(in super::super) const MAX_RASA: usize = 64 << 20;

/// `[red](color)`, `[red](color:RED)`, `[red]{"entity": "color"}`, `[red][{"entity": "color"}, ...]`.
static MARKUP: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"\[([^\[\]]+)\](?:\([^()]+\)|\{[^{}]+\}|\[\s*\{[^{}]*\}(?:\s*,\s*\{[^{}]*\})*\s*\])";
    Regex::new(pattern).expect("the pattern is constant: a test compiles it")
});

/// Whether Rasa would take a part of the text for an entity.
pub(in super::super) fn has_markup(text: &str) -> bool {
    MARKUP.is_match(text)
}

/// The text without its entity marks, and their number.
fn plain(text: &str) -> (String, u64) {
    (MARKUP.replace_all(text, "$1").into_owned(), MARKUP.find_iter(text).count() as u64)
}

/// # Errors
/// A file that is too long, no YAML or JSON, without training examples, or with examples of another shape.
pub(super) fn rows(mut source: Source<'_>) -> Result<Rows<'_>, CorpusError> {
    let text = source.read_whole(MAX_RASA, "split it into several files and name them all")?;
    let rows = if text.trim_start().starts_with('{') { from_json(&source, &text) } else { from_yaml(&source, &text) }?;
    Ok(Box::new(rows.into_iter().map(Ok)))
}

fn from_yaml(source: &Source, text: &str) -> Result<Vec<Row>, CorpusError> {
    let shape = "see https://legacy-docs-oss.rasa.com/docs/rasa/training-data-format";
    let document: Value = serde_yaml_ng::from_str(text).map_err(|e| {
        let why = e.to_string();
        let why = why.split(" at line ").next().unwrap_or_default().to_owned();
        source.fault(
            e.location().map(|l| l.line()),
            format!("no YAML: {why}"),
            "mend the line; indent with spaces, and quote what holds a colon",
        )
    })?;
    let items = match document.get("nlu") {
        Some(Value::Sequence(items)) => items,
        Some(_) => return Err(source.fault(None, "`nlu:` is no list", shape)),
        None => {
            return Err(source.fault(
                None,
                "no `nlu:` section",
                "name the files with the training examples (data/nlu.yml), not the domain or the stories",
            ));
        }
    };
    let mut block = Block { source, lines: Lines::from(text, |line| line.trim_start().starts_with("nlu:")), rows: Vec::new() };
    for item in items {
        let intent = item.get("intent").and_then(scalar);
        let line = block
            .lines
            .find(|line| line.trim_start_matches([' ', '-']).starts_with(if intent.is_some() { "intent:" } else { "examples:" }));
        block.examples(intent.as_deref(), item.get("examples"), line)?;
    }
    Ok(block.rows)
}

/// The examples of one intent after the other.
struct Block<'a> {
    source: &'a Source<'a>,
    lines: Lines<'a>,
    rows: Vec<Row>,
}

impl Block<'_> {
    /// Examples of no intent (synonyms, lookup tables) are walked over, so that their lines are not taken for others'.
    fn examples(&mut self, intent: Option<&str>, examples: Option<&Value>, line: usize) -> Result<(), CorpusError> {
        match examples {
            Some(Value::String(block)) => {
                for example in block.lines().map(str::trim).filter(|e| !e.is_empty()) {
                    let at = self.lines.seek(|line| line.trim() == example);
                    let line = at.unwrap_or(self.lines.last);
                    // `examples: >` makes one line of all.
                    let folded = at.is_none() && example.contains(" - ") && block.trim() == example;
                    let Some(text) = example.strip_prefix('-').filter(|_| !folded) else {
                        let hint = "write `examples: |`, and below it one example a line: `- text`";
                        return Err(self.source.fault(Some(line), "an example that is no line of its own beginning with `-`", hint));
                    };
                    self.push(intent, text, line);
                }
            }
            Some(Value::Sequence(items)) => {
                for item in items {
                    let Some(text) = item.get("text").or(Some(item)).and_then(scalar) else {
                        return Err(self.source.fault(Some(line), "an example that has no text", "write `- text: ...`"));
                    };
                    let begin = text.trim().lines().next().unwrap_or_default().trim();
                    let line = self.lines.find(|line| !begin.is_empty() && line.contains(begin));
                    self.push(intent, &text, line);
                }
            }
            // An intent without examples is shown as one that has an empty one.
            _ => self.push(intent, "", line),
        }
        Ok(())
    }

    fn push(&mut self, intent: Option<&str>, text: &str, line: usize) {
        if let Some(intent) = intent {
            let (text, marks) = plain(text.trim());
            self.rows.push(Row { text, intent: intent.to_owned(), line, marks, ..Row::default() });
        }
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

/// The lines of a file, gone through once: the parser tells no lines, and what it yields comes in the file's order.
struct Lines<'a> {
    rest: std::iter::Skip<std::iter::Enumerate<std::str::Lines<'a>>>,
    /// The number of the line found last.
    last: usize,
}

impl<'a> Lines<'a> {
    /// From the first line of a kind on.
    fn from(text: &'a str, begin: impl Fn(&str) -> bool) -> Self {
        let rest = text.lines().enumerate();
        let before = rest.clone().take_while(|(_, line)| !begin(line)).count();
        Self { rest: rest.skip(before), last: before + 1 }
    }

    /// Goes to the next line of a kind; stays where it is when there is none near by. (Texts with escapes are not found: looking for
    /// each of them through the whole file would take for ever.)
    fn seek(&mut self, kind: impl Fn(&str) -> bool) -> Option<usize> {
        const AHEAD: usize = 100;
        let mut rest = self.rest.clone();
        let (at, _) = rest.by_ref().take(AHEAD).find(|(_, line)| kind(line))?;
        (self.rest, self.last) = (rest, at + 1);
        Some(self.last)
    }

    fn find(&mut self, kind: impl Fn(&str) -> bool) -> usize {
        self.seek(kind).unwrap_or(self.last)
    }
}

#[derive(Deserialize)]
struct JsonFile {
    rasa_nlu_data: JsonData,
}

#[derive(Deserialize)]
struct JsonData {
    common_examples: Vec<JsonExample>,
}

#[derive(Deserialize)]
struct JsonExample {
    text: String,
    #[serde(default)]
    intent: Option<String>,
    #[serde(default)]
    entities: Vec<serde::de::IgnoredAny>,
}

fn from_json(source: &Source, text: &str) -> Result<Vec<Row>, CorpusError> {
    let file: JsonFile = serde_json::from_str(text).map_err(|e| {
        let hint = "the shape is {\"rasa_nlu_data\": {\"common_examples\": [{\"text\": \"...\", \"intent\": \"...\"}]}}";
        source.fault(Some(e.line()), json_fault(&e), hint)
    })?;
    // Keys stand in the file's order: the next "text" is the next example's.
    let mut rest = text.match_indices("\"text\"");
    let (mut line, mut counted) = (1, 0);
    let row = |example: JsonExample| {
        for (at, key) in rest.by_ref() {
            let value = text[at + key.len()..].trim_start().strip_prefix(':').map(str::trim_start).unwrap_or_default();
            let first: Option<Result<String, _>> = serde_json::Deserializer::from_str(value).into_iter().next();
            if first.and_then(Result::ok).is_some_and(|value| value == example.text) {
                line += text[counted..at].matches('\n').count();
                counted = at;
                break;
            }
        }
        let marks = example.entities.len() as u64;
        Row { text: example.text, intent: example.intent.unwrap_or_default(), line, marks, ..Row::default() }
    };
    Ok(file.rasa_nlu_data.common_examples.into_iter().map(row).collect())
}
