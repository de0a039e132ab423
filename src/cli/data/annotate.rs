//! `fenzhen data annotate`: spans of messages, marked or corrected by a person in the terminal.

use std::collections::HashSet;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use serde::Deserialize;

use super::super::Global;
use super::super::output::{CYAN, DIM, GREEN, RED, STRONG, line, paint};
use super::super::tagging::{stock, tag_as_served};
use crate::app::open_tagger;
use crate::corpus::{ANNOTATE_HELP, Beside, Command, TaggedRow, TaggedSpan, product_types, read_tagged};
use crate::domain::{Entity, Lang};
use crate::ner::EntityTagger;
use crate::pipeline::Shelf;
use crate::text::{detect, normalize};

#[derive(Debug, Args)]
#[command(after_long_help = ANNOTATE_HELP)]
pub(super) struct Annotate {
    /// Messages, one a line; or JSON Lines of {"text", "lang"?, "entities"?}, whose spans are shown to be checked
    file: PathBuf,
    /// The corpus that is made (JSON Lines). Rows whose text stands in it already are not asked again
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Do not propose spans: rows without any come bare
    #[arg(long)]
    bare: bool,
    /// Propose what patterns and catalogue see, without the encoder
    #[arg(long)]
    fast: bool,
    /// Folder of a tagger, or a registered version, that proposes; without it the one that is served
    #[arg(long, value_name = "DIR|NAME@VERSION")]
    artefact: Option<String>,
    /// Catalogue that is read with the messages (JSON Lines); without it the demo shop's
    #[arg(long, value_name = "FILE")]
    catalogue: Option<PathBuf>,
}

/// A row as it comes: of a corpus, or of whoever has nothing but texts.
#[derive(Deserialize)]
struct Given {
    text: String,
    lang: Option<Lang>,
    kind: Option<String>,
    entities: Option<Vec<TaggedSpan>>,
}

impl Annotate {
    pub(super) fn run(&self, global: &Global) -> anyhow::Result<ExitCode> {
        let mut done: Vec<TaggedRow> = if self.out.exists() { read_tagged(&self.out)? } else { Vec::new() };
        let known: HashSet<String> = done.iter().map(|r| r.text.clone()).collect();
        let (rows, open) = given(&self.file)?;
        let mut rows: Vec<(TaggedRow, bool)> = rows.into_iter().zip(open).filter(|(row, _)| !known.contains(&row.text)).collect();
        if !done.is_empty() {
            line(&paint(DIM, format!("goes on: {} rows are in {}", done.len(), self.out.display())))?;
        }
        if !self.bare {
            self.propose(&mut rows, global)?;
        }
        let mut rows: Vec<TaggedRow> = rows.into_iter().map(|r| r.0).collect();
        line(&paint(DIM, format!("{} rows to look at; Enter keeps one, ? lists what else can be typed", rows.len())))?;
        let kept = annotate(&mut rows, &mut done, &self.out, &mut std::io::stdin().lock())?;
        line(&format!("{} {kept} rows kept, {} in {}", paint(GREEN, "✓"), done.len(), self.out.display()))?;
        Ok(ExitCode::SUCCESS)
    }

    /// Fills in what the tagger sees where nobody has marked anything.
    fn propose(&self, rows: &mut [(TaggedRow, bool)], global: &Global) -> anyhow::Result<()> {
        let shelf: Shelf = stock(self.catalogue.as_deref())?;
        let types = product_types();
        let open: Vec<String> = rows.iter().filter(|r| r.1).map(|r| r.0.text.clone()).collect();
        let found: Vec<Vec<Entity>> = if self.fast {
            open.iter().map(|text| shelf.tagger.tag(text, &normalize(text))).collect()
        } else {
            let config = global.start(None)?;
            let model = open_tagger(&config, self.artefact.as_deref())?;
            tag_as_served(&shelf, &open, model, config)?.1
        };
        for ((row, _), found) in rows.iter_mut().filter(|r| r.1).zip(found) {
            let span = |e: Entity| TaggedSpan { start: e.start, end: e.end, kind: e.kind.as_str().to_owned(), text: e.text };
            row.entities = found.into_iter().map(span).filter(|s| types.contains(&s.kind)).collect();
        }
        Ok(())
    }
}

/// The rows of a file, and whether each has no spans of its own yet.
fn given(path: &Path) -> anyhow::Result<(Vec<TaggedRow>, Vec<bool>)> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let mut seen = HashSet::new();
    let mut out = (Vec::new(), Vec::new());
    for (number, content) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let given = if content.trim_start().starts_with('{') {
            let what = || format!("{}, line {}: a row is {{\"text\": ..., \"lang\"?, \"entities\"?}}", path.display(), number + 1);
            serde_json::from_str::<Given>(content).with_context(what)?
        } else {
            Given { text: content.to_owned(), lang: None, kind: None, entities: None }
        };
        let lang = given.lang.or_else(|| detect(&given.text)).unwrap_or(Lang::Zh);
        let open = given.entities.is_none();
        let row = TaggedRow { lang, kind: given.kind, entities: given.entities.unwrap_or_default(), text: given.text };
        if let Some(fault) = row.fault() {
            anyhow::bail!("{}, line {}: {fault}", path.display(), number + 1);
        }
        if seen.insert(row.text.clone()) {
            out.0.push(row);
            out.1.push(open);
        }
    }
    anyhow::ensure!(!out.0.is_empty(), "{} holds no message", path.display());
    Ok(out)
}

/// Shows row after row and does what is typed; each row that is kept is in the file at once. Answers how many were.
fn annotate(rows: &mut [TaggedRow], done: &mut Vec<TaggedRow>, out: &Path, input: &mut dyn BufRead) -> anyhow::Result<usize> {
    let types = product_types();
    let before = done.len();
    // Which rows were kept, in their order: what `b` goes back to.
    let mut kept: Vec<usize> = Vec::new();
    let mut at = 0;
    let total = rows.len();
    while let Some(row) = rows.get_mut(at) {
        line(&format!("\n{} {}", paint(DIM, format!("{}/{total} {}", at + 1, row.lang)), shown(row)))?;
        let mut typed = String::new();
        if input.read_line(&mut typed)? == 0 {
            break;
        }
        let command = match Command::parse(&typed, &types) {
            Ok(command) => command,
            Err(why) => {
                line(&paint(RED, why))?;
                continue;
            }
        };
        match command {
            Command::Quit => break,
            Command::Help => line(ANNOTATE_HELP)?,
            Command::Skip => at += 1,
            Command::Back => {
                at = at.saturating_sub(1);
                if kept.last() == Some(&at) {
                    kept.pop();
                    done.pop();
                    write(done, out)?;
                }
            }
            Command::Keep => {
                done.push(row.clone());
                kept.push(at);
                write(done, out)?;
                at += 1;
            }
            change => {
                if let Err(why) = row.apply(&change) {
                    line(&paint(RED, why))?;
                }
            }
        }
    }
    Ok(done.len() - before)
}

fn write(done: &[TaggedRow], out: &Path) -> anyhow::Result<()> {
    let mut file = Beside::create(out)?;
    for row in done {
        file.line(&serde_json::to_string(row)?)?;
    }
    Ok(file.finish()?)
}

/// The text with its spans numbered.
fn shown(row: &TaggedRow) -> String {
    let chars: Vec<char> = row.text.chars().collect();
    let text = |from: usize, to: usize| chars.get(from..to).unwrap_or_default().iter().filter(|c| !c.is_control()).collect::<String>();
    let mut out = String::new();
    let mut at = 0;
    for (number, span) in row.entities.iter().enumerate() {
        out += &text(at, span.start);
        let words = paint(STRONG, text(span.start, span.end));
        out += &format!("{}{words}{}", paint(CYAN, format!("[{} {} ", number + 1, span.kind)), paint(CYAN, "]"));
        at = span.end;
    }
    out + &text(at, chars.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_corrected_kept_at_once_and_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let (file, out) = (dir.path().join("in.txt"), dir.path().join("out.jsonl"));
        std::fs::write(&file, "要红裙子\n\n要红裙子\nthe hat\nskip me\n").unwrap();
        let (mut rows, open) = given(&file).unwrap();
        assert_eq!((rows.len(), open), (3, vec![true; 3]));
        let mut done = Vec::new();
        let typed = "+ pr 裙子\nnonsense\n\nb\n+ co 红\n\n\ns\n";
        let kept = annotate(&mut rows, &mut done, &out, &mut typed.as_bytes()).unwrap();
        assert_eq!(kept, 2);
        let written = read_tagged(&out).unwrap();
        assert_eq!(written.iter().map(|r| (r.text.as_str(), r.entities.len())).collect::<Vec<_>>(), [("要红裙子", 2), ("the hat", 0)]);
        std::fs::write(&file, "{\"text\": \"red\", \"entities\": [{\"start\":0,\"end\":9,\"type\":\"COLOR\",\"text\":\"red\"}]}").unwrap();
        assert!(given(&file).unwrap_err().to_string().contains("line 1"));
    }
}
