//! Labelled rows in other people's formats: what [`import`](super::import()) reads, written.

use std::path::Path;

use super::import::{Format, LABEL, MAX_RASA, has_markup};
use super::source::{Source, Tick};
use super::{Beside, CorpusError, LabelledRow};

/// What an export wrote.
#[derive(Debug, Default, PartialEq)]
pub struct Exported {
    pub rows: u64,
    /// Texts whose line breaks became spaces, since the format has none.
    pub unbroken: u64,
}

/// Writes a labelled file in another format; `out` is not finished, which is left to the caller.
///
/// CSV, TSV and JSON Lines hold text, intent and language; fastText and Rasa hold no language.
///
/// # Errors
/// A broken row, and what the format cannot hold: spaces in a fastText label, labels in a fastText text, a text that Rasa would read
/// entities in, a Rasa file of more than 64 MiB.
pub fn export(file: &Path, format: Format, out: &mut Beside, tick: Tick) -> Result<Exported, CorpusError> {
    let mut source = Source::open(file, tick)?;
    let mut writer = Writer::new(format, out);
    let mut done = Exported::default();
    writer.begin()?;
    while let Some((line, json)) = source.next_line()?.map(|(line, json)| (line, json.to_owned())) {
        let row = LabelledRow::parse(&source, line, &json)?;
        writer.row(row, &mut done).map_err(|e| match e {
            Refused::Row { why, hint } => source.fault(Some(line), why, hint),
            Refused::Disk(e) => e,
        })?;
        done.rows += 1;
    }
    writer.end()?;
    Ok(done)
}

/// Why a row could not be written.
enum Refused {
    Row { why: String, hint: &'static str },
    Disk(CorpusError),
}

impl From<CorpusError> for Refused {
    fn from(e: CorpusError) -> Self {
        Refused::Disk(e)
    }
}

fn refused(why: impl Into<String>, hint: &'static str) -> Refused {
    Refused::Row { why: why.into(), hint }
}

struct Writer<'a> {
    format: Format,
    out: &'a mut Beside,
    /// Rasa's examples stand by intent: intents in the order in which they came, with their texts.
    by_intent: Vec<(String, Vec<String>)>,
    bytes: usize,
}

impl<'a> Writer<'a> {
    fn new(format: Format, out: &'a mut Beside) -> Self {
        Self { format, out, by_intent: Vec::new(), bytes: 0 }
    }

    fn begin(&mut self) -> Result<(), CorpusError> {
        match self.format {
            Format::Csv | Format::Tsv => self.record(&["text", "intent", "lang"]),
            _ => Ok(()),
        }
    }

    fn row(&mut self, row: LabelledRow, done: &mut Exported) -> Result<(), Refused> {
        match self.format {
            Format::Csv | Format::Tsv => Ok(self.record(&[&row.text, &row.intent, row.lang.as_str()])?),
            Format::Jsonl => {
                let example = super::Example { text: row.text, intent: row.intent, lang: row.lang };
                let json = serde_json::to_string(&example).map_err(|e| refused(e.to_string(), ""))?;
                Ok(self.out.line(&json)?)
            }
            Format::Fasttext => self.fasttext(&row, done),
            Format::Rasa => self.rasa(row),
        }
    }

    /// One record of a table. `csv` writes into a buffer, so that a fault of the disk comes with the file's name.
    fn record(&mut self, fields: &[&str]) -> Result<(), CorpusError> {
        let delimiter = if self.format == Format::Tsv { b'\t' } else { b',' };
        // A field that begins with a space is quoted too: readers differ in what they make of it.
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).quote_style(quoting(fields)).from_writer(Vec::new());
        let written = writer.write_record(fields).map_err(std::io::Error::other);
        let line = written.and_then(|()| writer.into_inner().map_err(|e| std::io::Error::other(e.to_string())));
        let line = line.and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other)).map_err(|e| self.out.io(e))?;
        self.out.line(line.trim_end_matches('\n'))
    }

    fn fasttext(&mut self, row: &LabelledRow, done: &mut Exported) -> Result<(), Refused> {
        if row.intent.is_empty() || row.intent.contains(char::is_whitespace) {
            return Err(refused(
                format!("fastText's labels have no spaces: {:?}", row.intent),
                "rename the label (fenzhen data import --map 'old label=new_label')",
            ));
        }
        if row.text.split_whitespace().any(|word| word.starts_with(LABEL)) {
            return Err(refused(
                format!("the text holds {LABEL}, which fastText would take for a label"),
                "take the row out, or mend its text",
            ));
        }
        let breaks = |c: char| matches!(c, '\n' | '\r');
        done.unbroken += u64::from(row.text.contains(breaks));
        Ok(self.out.line(&format!("{LABEL}{} {}", row.intent, row.text.replace(breaks, " ")))?)
    }

    fn rasa(&mut self, row: LabelledRow) -> Result<(), Refused> {
        if has_markup(&row.text) {
            return Err(refused(
                "Rasa would read an entity in the text, and there is no way to tell it not to",
                "take the row out, or mend its text",
            ));
        }
        self.bytes += row.text.len() + 16;
        if self.bytes > MAX_RASA {
            return Err(refused(
                "Rasa reads its files whole, and this one would pass 64 MiB",
                "split the file first (head, tail), and export the parts",
            ));
        }
        match self.by_intent.iter_mut().find(|(intent, _)| *intent == row.intent) {
            Some((_, texts)) => texts.push(row.text),
            None => self.by_intent.push((row.intent, vec![row.text])),
        }
        Ok(())
    }

    fn end(&mut self) -> Result<(), CorpusError> {
        if self.format != Format::Rasa {
            return Ok(());
        }
        self.out.line("version: \"3.1\"\n\nnlu:")?;
        for (intent, texts) in std::mem::take(&mut self.by_intent) {
            self.out.line(&format!("- intent: {}", scalar(&intent)))?;
            if texts.iter().all(|text| is_plain(text)) {
                self.out.line("  examples: |")?;
                texts.iter().try_for_each(|text| self.out.line(&format!("    - {text}")))?;
            } else {
                self.out.line("  examples:")?;
                texts.iter().try_for_each(|text| self.out.line(&format!("  - text: {}", scalar(text))))?;
            }
        }
        Ok(())
    }
}

fn quoting(fields: &[&str]) -> csv::QuoteStyle {
    if fields.iter().any(|field| field.starts_with([' ', '\u{feff}'])) { csv::QuoteStyle::Always } else { csv::QuoteStyle::Necessary }
}

/// Whether a text can stand as it is in a line of a YAML block.
fn is_plain(text: &str) -> bool {
    !text.trim().is_empty()
        && text
            .chars()
            .all(|c| c == '\t' || !(c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}'..='\u{ffff}')))
}

/// A YAML scalar on one line. JSON's strings are YAML's, once what YAML holds to be unprintable is escaped.
fn scalar(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}'..='\u{ffff}') => {
                out.push_str(&format!("\\u{:04X}", u32::from(c)))
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::corpus::{Example, ImportOptions, import, read_jsonl};
    use crate::domain::Lang;
    use crate::text::{detect, normalize};

    /// Exports rows, imports the file again, and gives back both sides in an order that does not depend on the format's.
    fn there_and_back(rows: &[Example], format: Format) -> (Vec<Example>, Vec<Example>) {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let write = |name: &str| Beside::create(&path(name)).unwrap();
        let mut file = write("rows.jsonl");
        rows.iter().for_each(|row| file.line(&serde_json::to_string(row).unwrap()).unwrap());
        file.finish().unwrap();
        let mut out = write("exported");
        let done = export(&path("rows.jsonl"), format, &mut out, &|_| ()).unwrap();
        assert_eq!(done.rows, rows.len() as u64);
        out.finish().unwrap();
        let mut out = write("again.jsonl");
        let options = ImportOptions { format: Some(format), ..ImportOptions::default() };
        let summary = import(&[path("exported")], &options, &mut out, &|_| ());
        let summary = summary.unwrap_or_else(|e| panic!("{e}\n{}", std::fs::read_to_string(path("exported")).unwrap()));
        assert_eq!(summary.rows, rows.len() as u64, "{summary:?}");
        out.finish().unwrap();
        let (mut a, mut b): (Vec<Example>, Vec<Example>) = (rows.to_vec(), read_jsonl(&path("again.jsonl")).unwrap());
        for side in [&mut a, &mut b] {
            side.sort_by(|x, y| (&x.intent, &x.text).cmp(&(&y.intent, &y.text)));
        }
        (a, b)
    }

    /// Rows that every format can hold; the language is what detection says, since two of them hold none.
    fn rows() -> impl Strategy<Value = Vec<Example>> {
        let text = prop_oneof![
            "[a-z ,\"'|\\-\\[\\]{}:#&*!%@\\\\]{1,30}",
            "[我的订单“”，。:\\- \t]{1,20}",
            "\\PC{1,20}",
            "[a-c\n\r\"\u{7f}\u{85}\u{2028}\u{feff}\0]{1,9}"
        ];
        let label = prop_oneof!["[a-z_]{1,12}", "退款|true|null|12|- x|a: b|no|#x|'"];
        let row = (text, label).prop_map(|(text, intent): (String, String)| {
            let text = text.trim().to_owned();
            Example { lang: detect(&normalize(&text).text).unwrap_or(Lang::Zh), intent, text }
        });
        prop::collection::vec(row.prop_filter("a text that says nothing is not taken", |r| !normalize(&r.text).is_empty()), 1..8)
    }

    proptest! {
        // Each case writes files durably, which takes its time.
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn tables_and_json_hold_every_row(rows in rows()) {
            for format in [Format::Csv, Format::Tsv, Format::Jsonl] {
                let (a, b) = there_and_back(&rows, format);
                prop_assert_eq!(a, b, "{:?}", format);
            }
        }

        #[test]
        fn fasttext_holds_every_row_but_its_line_breaks(rows in rows()) {
            let rows: Vec<Example> = rows.into_iter().map(|r| Example {
                text: r.text.replace(['\n', '\r'], " "), intent: r.intent.replace(' ', "_"), lang: r.lang,
            }).collect();
            let (a, b) = there_and_back(&rows, Format::Fasttext);
            prop_assert_eq!(a, b);
        }

        #[test]
        fn rasa_holds_every_row_without_markup(rows in rows()) {
            let rows: Vec<Example> = rows.into_iter().filter(|r| !has_markup(&r.text)).collect();
            prop_assume!(!rows.is_empty());
            let (a, b) = there_and_back(&rows, Format::Rasa);
            prop_assert_eq!(a, b);
        }
    }

    fn refusal(json: &str, format: Format) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.jsonl");
        std::fs::write(&path, json).unwrap();
        let mut out = Beside::create(&dir.path().join("out")).unwrap();
        export(&path, format, &mut out, &|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn what_a_format_cannot_hold_is_refused_with_its_line() {
        let row = |text: &str, intent: &str| {
            format!("{{\"text\":\"ok\",\"intent\":\"a\",\"lang\":\"en\"}}\n{{\"text\":\"{text}\",\"intent\":\"{intent}\",\"lang\":\"en\"}}")
        };
        for (json, format, said) in [
            (row("x", "two words"), Format::Fasttext, "line 2: fastText's labels have no spaces"),
            (row("x __label__y", "a"), Format::Fasttext, "line 2: the text holds __label__"),
            (row("a [red](color) coat", "a"), Format::Rasa, "line 2: Rasa would read an entity"),
            ("{\"text\":\"x\",\"lang\":\"en\"}".into(), Format::Csv, "line 1: missing field `intent`"),
        ] {
            let error = refusal(&json, format);
            assert!(error.contains(said), "{error}");
        }
    }
}
