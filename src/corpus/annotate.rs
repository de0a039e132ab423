//! Marking spans by hand: one row on the desk, and the commands that change its spans.

use super::{TaggedRow, TaggedSpan};
use crate::domain::EntityType;

/// What a line of the annotator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The row is right as it stands.
    Keep,
    /// Marks the `occurrence`-th (from 1) of `text` that is free.
    Add {
        kind: String,
        text: String,
        occurrence: usize,
    },
    /// Takes the span with this number (from 1) away.
    Remove(usize),
    /// Gives the span with this number another type.
    Retype(usize, String),
    /// Takes all spans away.
    Clear,
    /// Leaves the row out.
    Skip,
    /// Goes to the row before.
    Back,
    Help,
    Quit,
}

/// What can be typed, for people.
pub const HELP: &str = "\
Enter            keep the row as it stands
+ TYPE WORDS     mark the words (+ TYPE WORDS #2: where they stand the second time)
- N              take span N away
N TYPE           give span N another type
c                take all spans away
s                leave the row out
b                back to the row before
q                stop; what was kept is in the file, and the next start goes on from there
Types may be shortened as long as one fits: pr, br, mo, co, si, fl, ma, sp";

impl Command {
    /// # Errors
    /// What is not understood, and what could be meant.
    pub fn parse(line: &str, types: &[String]) -> Result<Self, String> {
        let line = line.trim();
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (None, _) => Ok(Command::Keep),
            (Some("c"), None) => Ok(Command::Clear),
            (Some("s"), None) => Ok(Command::Skip),
            (Some("b"), None) => Ok(Command::Back),
            (Some("q"), None) => Ok(Command::Quit),
            (Some("?" | "h" | "help"), None) => Ok(Command::Help),
            (Some("-"), Some(number)) => Ok(Command::Remove(span_number(number)?)),
            (Some("+"), Some(kind)) => {
                let text = line[1..].trim_start()[kind.len()..].trim();
                let (text, occurrence) = match text.rsplit_once(" #") {
                    Some((before, number)) if number.parse::<usize>().is_ok_and(|n| n > 0) => (before.trim(), number.parse().unwrap_or(1)),
                    _ => (text, 1),
                };
                if text.is_empty() {
                    return Err("which words? write + TYPE WORDS".into());
                }
                Ok(Command::Add { kind: type_of(kind, types)?, text: text.to_owned(), occurrence })
            }
            (Some(number), Some(kind)) if number.parse::<usize>().is_ok() => {
                Ok(Command::Retype(span_number(number)?, type_of(kind, types)?))
            }
            _ => Err(format!("{line:?} is not understood; ? lists what can be typed")),
        }
    }
}

fn span_number(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| format!("{text:?} is no number of a span"))
}

/// The one type that begins with a text, in whatever case.
fn type_of(text: &str, types: &[String]) -> Result<String, String> {
    let upper = text.to_uppercase();
    if types.contains(&upper) {
        return Ok(upper);
    }
    let fitting: Vec<&str> = types.iter().filter(|t| t.starts_with(&upper)).map(String::as_str).collect();
    match fitting[..] {
        [one] => Ok(one.to_owned()),
        [] => Err(format!("there is no type {text:?}: {}", types.join(", "))),
        _ => Err(format!("{text:?} could be {}", fitting.join(" or "))),
    }
}

/// The types that the shipped tagger knows: those of products.
pub fn product_types() -> Vec<String> {
    EntityType::OF_PRODUCTS.iter().map(|kind| kind.as_str().to_owned()).collect()
}

impl TaggedRow {
    /// Changes the spans as a command says; the others leave them as they are.
    ///
    /// # Errors
    /// A span that is not there, words that do not stand in the text or stand in another span.
    pub fn apply(&mut self, command: &Command) -> Result<(), String> {
        match command {
            Command::Add { kind, text, occurrence } => self.mark(kind, text, *occurrence),
            Command::Remove(number) => self.at(*number).map(|at| drop(self.entities.remove(at))),
            Command::Retype(number, kind) => self.at(*number).map(|at| self.entities[at].kind.clone_from(kind)),
            Command::Clear => {
                self.entities.clear();
                Ok(())
            }
            Command::Keep | Command::Skip | Command::Back | Command::Help | Command::Quit => Ok(()),
        }
    }

    fn at(&self, number: usize) -> Result<usize, String> {
        match number.checked_sub(1).filter(|at| *at < self.entities.len()) {
            Some(at) => Ok(at),
            None => Err(format!("there is no span {number}: the row has {}", self.entities.len())),
        }
    }

    fn mark(&mut self, kind: &str, words: &str, occurrence: usize) -> Result<(), String> {
        let found: Vec<usize> = self.text.match_indices(words).map(|(byte, _)| self.text[..byte].chars().count()).collect();
        let length = words.chars().count();
        let free = |start: usize| self.entities.iter().all(|e| e.end <= start || start + length <= e.start);
        let places: Vec<usize> = found.iter().copied().filter(|&start| free(start)).collect();
        match (places.get(occurrence - 1), found.is_empty()) {
            (Some(&start), _) => {
                self.entities.push(TaggedSpan { start, end: start + length, kind: kind.to_owned(), text: words.to_owned() });
                self.entities.sort_by_key(|e| e.start);
                Ok(())
            }
            (None, true) => Err(format!("{words:?} does not stand in the text: type it as it is written there")),
            (None, false) if places.is_empty() => Err(format!("{words:?} stands in another span: take that away first (- N)")),
            (None, false) => Err(format!("{words:?} is free {} times only", places.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Lang;

    fn row() -> TaggedRow {
        TaggedRow { text: "红裙子和红 hat XL😀红".into(), lang: Lang::Zh, kind: None, entities: vec![] }
    }

    fn run(row: &mut TaggedRow, line: &str) -> Result<(), String> {
        row.apply(&Command::parse(line, &product_types())?)
    }

    fn spans(row: &TaggedRow) -> Vec<String> {
        row.entities.iter().map(|e| format!("{} {} {}", e.start, e.kind, e.text)).collect()
    }

    #[test]
    fn spans_are_added_changed_and_taken_away() {
        let mut row = row();
        run(&mut row, "+ pr 裙子").unwrap();
        run(&mut row, "+ color 红 #3").unwrap();
        run(&mut row, "+ CO 红").unwrap();
        run(&mut row, " +  pr   hat ").unwrap();
        assert_eq!(spans(&row), ["0 COLOR 红", "1 PRODUCT 裙子", "6 PRODUCT hat", "13 COLOR 红"]);
        assert_eq!(row.fault(), None);
        run(&mut row, "3 brand").unwrap();
        run(&mut row, "- 1").unwrap();
        assert_eq!(spans(&row), ["1 PRODUCT 裙子", "6 BRAND hat", "13 COLOR 红"]);
        run(&mut row, "c").unwrap();
        assert_eq!(spans(&row), [""; 0]);
    }

    #[test]
    fn what_cannot_be_done_is_told() {
        let mut row = row();
        run(&mut row, "+ pr 裙子").unwrap();
        for (line, said) in [
            ("+ pr 裙", "another span"),
            ("+ pr 鞋", "does not stand"),
            ("+ color 红 #9", "3 times"),
            ("+ color", "which words"),
            ("- 7", "the row has 1"),
            ("- 0", "no number"),
            ("1 m", "MODEL or MATERIAL"),
            ("1 gadget", "no type"),
            ("what", "not understood"),
        ] {
            let error = run(&mut row, line).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
        assert_eq!(spans(&row), ["1 PRODUCT 裙子"]);
    }
}
