//! `fenzhen data import`: other people's files in, labelled rows out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::super::output::{GREEN, Hinted, STRONG, line, paint};
use super::{doubt, format_names, languages, some_of, with_bar};
use crate::corpus::{Beside, ImportOptions, Summary, import, read_taxonomy};

#[derive(Debug, Args)]
pub(super) struct Import {
    /// Files to read, one after the other
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The file to write: JSON Lines {"text", "intent", "lang"}
    #[arg(long, value_name = "FILE.jsonl")]
    out: PathBuf,
    /// What the files are; `auto` looks at their names and how they begin
    #[arg(long, default_value = "auto", value_parser = format_names(&["auto"]))]
    format: String,
    /// Column of the text: a name, a number from 1, or for JSON a path (message.text); without it, a usual name
    #[arg(long, value_name = "COLUMN")]
    text: Option<String>,
    /// Column of the label
    #[arg(long, value_name = "COLUMN")]
    intent: Option<String>,
    /// Column of the language, or zh, en, auto (by the letters); without it, a column with a usual name, else auto
    #[arg(long, value_name = "COLUMN|zh|en|auto")]
    lang: Option<String>,
    /// The first row of a table is data: columns go by number, text 1 and intent 2 unless said otherwise
    #[arg(long)]
    no_header: bool,
    /// Quotes in tables are characters like any other
    #[arg(long)]
    no_quotes: bool,
    /// What stands between the fields of a table: one character, or `tab`
    #[arg(long, value_name = "CHARACTER", value_parser = delimiter)]
    delimiter: Option<u8>,
    /// Of several fastText labels the first counts
    #[arg(long)]
    first_label: bool,
    /// Rename a label; may be given many times
    #[arg(long = "map", value_name = "OLD=NEW", value_parser = renaming)]
    maps: Vec<(String, String)>,
    /// Refuse labels that this taxonomy does not know
    #[arg(long, value_name = "TAXONOMY.toml")]
    labels_from: Option<PathBuf>,
    /// Leave out rows whose text and label stand in an earlier row
    #[arg(long)]
    drop_duplicates: bool,
}

fn delimiter(said: &str) -> Result<u8, String> {
    match said.as_bytes() {
        b"tab" | b"\\t" => Ok(b'\t'),
        [b'"' | b'\n' | b'\r'] => Err("quotes and line breaks are taken".into()),
        [byte] if byte.is_ascii() => Ok(*byte),
        _ => Err("one ASCII character, or `tab`".into()),
    }
}

/// New labels hold no `=`, old ones may.
fn renaming(said: &str) -> Result<(String, String), String> {
    let (old, new) = said.rsplit_once('=').map(|(old, new)| (old.trim(), new.trim())).unwrap_or_default();
    if old.is_empty() || new.is_empty() { Err("write it as 'old label=new_label'".into()) } else { Ok((old.into(), new.into())) }
}

impl Import {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut map = BTreeMap::new();
        for (old, new) in &self.maps {
            if map.insert(old.clone(), new.clone()).is_some_and(|before| before != *new) {
                let hint = "an old label has one new one: leave one --map out".to_owned();
                return Err(Hinted { message: format!("--map renames {old:?} twice"), hint }.into());
            }
        }
        let taxonomy = self.labels_from.as_deref().map(read_taxonomy).transpose()?;
        let options = ImportOptions {
            format: self.format.parse().ok(),
            text: self.text,
            intent: self.intent,
            lang: self.lang,
            no_header: self.no_header,
            no_quotes: self.no_quotes,
            delimiter: self.delimiter,
            first_label: self.first_label,
            map,
            labels: taxonomy.map(|t| t.intents().map(|(id, _)| id.to_owned()).collect()),
            drop_duplicates: self.drop_duplicates,
        };
        let mut out = Beside::create(&self.out)?;
        let paths: Vec<&Path> = self.files.iter().map(PathBuf::as_path).collect();
        let summary = with_bar(&paths, 1, "import", |tick| import(&self.files, &options, &mut out, tick))?;
        out.finish()?;
        show(&summary, &self.out)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn show(summary: &Summary, out: &Path) -> anyhow::Result<()> {
    line(&format!("{} {} rows in {}", paint(GREEN, "✓"), summary.rows, paint(STRONG, out.display())))?;
    let files = summary.files.iter().map(|(path, format)| format!("{} ({})", path.display(), format.as_str()));
    line(&format!("  from       {}", some_of(files, 5)))?;
    line(&format!("  languages  {}", languages(&summary.languages)))?;
    let mut labels: Vec<(&String, u64)> = summary.labels.iter().map(|(label, (n, _))| (label, *n)).collect();
    labels.sort_by_key(|&(label, n)| (std::cmp::Reverse(n), label));
    line(&format!("  labels     {}: {}", labels.len(), some_of(labels.iter().map(|(label, n)| format!("{label} {n}")), 12)))?;
    for (why, tally) in &summary.dropped {
        let places = tally.first.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let rest = if tally.count > tally.first.len() as u64 { ", ..." } else { "" };
        line(&format!("  left out   {} rows {}: {places}{rest}", tally.count, why.words()))?;
    }
    if summary.marks > 0 {
        line(&format!("  texts      {} entity marks taken off", summary.marks))?;
    }
    show_doubts(summary)
}

fn show_doubts(summary: &Summary) -> anyhow::Result<()> {
    if summary.clashes.count > 0 {
        doubt(&format!(
            "{} rows have a text that stands before with another label (all of them: fenzhen data validate)",
            summary.clashes.count
        ))?;
        for clash in &summary.clashes.first {
            let ((here, label), (before, other)) = (&clash.here, &clash.before);
            line(&format!("    {here} {label}, {before} {other}: {:?}", clash.text))?;
        }
    }
    if summary.repeated > 0 {
        doubt(&format!("{} rows repeat an earlier one, text and label (--drop-duplicates leaves them out)", summary.repeated))?;
    }
    if summary.too_many_to_compare {
        doubt("there are more texts than are remembered: not all that repeat were found")?;
    }
    if summary.more_labels > 0 {
        doubt(&format!("{} further labels of fastText lines were left out (--first-label)", summary.more_labels))?;
    }
    if summary.without_letters > 0 {
        doubt(&format!(
            "{} rows have no letters to tell the language by, and are taken for zh (--lang zh or en says it)",
            summary.without_letters
        ))?;
    }
    let single: Vec<String> =
        summary.labels.iter().filter(|(_, (n, _))| *n == 1).map(|(label, (_, at))| format!("{label} ({at})")).collect();
    for (what, items) in [
        ("labels with one example, which can be learnt or measured, not both", single),
        ("labels of the taxonomy without an example", summary.empty_classes.clone()),
        ("labels that are nearly the same (--map joins them)", summary.look_alikes.iter().map(|group| group.join(" = ")).collect()),
        ("labels of --map that no row has", summary.unused_maps.clone()),
    ] {
        if !items.is_empty() {
            doubt(&format!("{} {what}: {}", items.len(), some_of(items.into_iter(), 8)))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read_as_they_are_written() {
        assert_eq!(renaming("old label = new"), Ok(("old label".into(), "new".into())));
        assert_eq!(renaming("a=b=c"), Ok(("a=b".into(), "c".into())));
        assert!(["a", "=b", "a=", ""].iter().all(|said| renaming(said).is_err()));
        assert_eq!([";", "tab", "\\t"].map(delimiter), [Ok(b';'), Ok(b'\t'), Ok(b'\t')]);
        assert!(["", "；", ";;", "\""].iter().all(|said| delimiter(said).is_err()));
    }
}
