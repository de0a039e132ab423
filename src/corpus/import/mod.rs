//! Other people's files as labelled rows: CSV, TSV, JSON Lines, fastText, Rasa NLU.
//!
//! Rows pass one at a time from reader to writer, so that a file's size does not matter (Rasa's formats excepted: they can only be read
//! whole). What is broken stops the import with its line; what is merely empty is left out, counted and named.

mod fasttext;
mod jsonl;
mod rasa;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::repeats::{Labels, MAX_LABELS, Origin, Seen};
use super::source::{Source, Tick};
use super::{Beside, CorpusError, Example, Place, excerpt};
use crate::domain::Lang;
use crate::text::{detect, normalize};

pub(super) use fasttext::LABEL;
pub(super) use rasa::{MAX_RASA, has_markup};

/// A format that labelled texts come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Csv,
    Tsv,
    Jsonl,
    Fasttext,
    Rasa,
}

impl Format {
    pub const ALL: [Format; 5] = [Format::Csv, Format::Tsv, Format::Jsonl, Format::Fasttext, Format::Rasa];

    pub fn as_str(self) -> &'static str {
        match self {
            Format::Csv => "csv",
            Format::Tsv => "tsv",
            Format::Jsonl => "jsonl",
            Format::Fasttext => "fasttext",
            Format::Rasa => "rasa",
        }
    }
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Format::ALL.into_iter().find(|f| f.as_str() == s).ok_or_else(|| format!("unknown format {s:?}"))
    }
}

/// How to read the files. Nothing said means: look and guess.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    pub format: Option<Format>,
    /// Columns by name, by number from 1, or for JSON by path (`message.text`).
    pub text: Option<String>,
    pub intent: Option<String>,
    /// A column, or `zh`, `en`, `auto`.
    pub lang: Option<String>,
    pub no_header: bool,
    /// Quotes are characters like any other.
    pub no_quotes: bool,
    pub delimiter: Option<u8>,
    /// Of several fastText labels the first counts.
    pub first_label: bool,
    /// Old label to new label.
    pub map: BTreeMap<String, String>,
    /// The labels there may be, after `map`.
    pub labels: Option<BTreeSet<String>>,
    pub drop_duplicates: bool,
}

/// Names that columns are known by, the likelier first.
const TEXT_NAMES: &[&str] = &["text", "utterance", "query", "sentence", "message", "question", "instruction", "content"];
const INTENT_NAMES: &[&str] = &["intent", "label", "category", "class", "target", "label_text", "topic"];
const LANG_NAMES: &[&str] = &["lang", "language", "locale"];

/// A row as a reader finds it.
#[derive(Debug, Default, PartialEq)]
struct Row {
    text: String,
    intent: String,
    lang: Option<String>,
    line: usize,
    /// Entity marks that were taken off the text.
    marks: u64,
    /// Labels after the first.
    more_labels: u64,
}

type Rows<'a> = Box<dyn Iterator<Item = Result<Row, CorpusError>> + 'a>;

/// Where a row's language comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
enum LangFrom<'a> {
    /// A column, if one has a usual name.
    Guess,
    Column(&'a str),
    /// Not from the file.
    Nowhere,
}

impl ImportOptions {
    fn lang_from(&self) -> LangFrom<'_> {
        match self.lang.as_deref() {
            None => LangFrom::Guess,
            Some("zh" | "en" | "auto") => LangFrom::Nowhere,
            Some(column) => LangFrom::Column(column),
        }
    }

    fn fixed_lang(&self) -> Option<Lang> {
        self.lang.as_deref().and_then(|l| l.parse().ok())
    }

    fn delimiter_of(&self, format: Format) -> u8 {
        self.delimiter.unwrap_or(if format == Format::Tsv { b'\t' } else { b',' })
    }
}

/// A count with its first cases.
#[derive(Debug, Clone, PartialEq)]
pub struct Tally<T> {
    pub count: u64,
    pub first: Vec<T>,
}

impl<T> Default for Tally<T> {
    fn default() -> Self {
        Self { count: 0, first: Vec::new() }
    }
}

impl<T> Tally<T> {
    fn add(&mut self, case: T) {
        self.count += 1;
        if self.first.len() < 5 {
            self.first.push(case);
        }
    }
}

/// Why a row was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dropped {
    EmptyText,
    NoLabel,
    /// Text and label stand in an earlier row.
    Duplicate,
}

/// A text that has another label in an earlier row.
#[derive(Debug, Clone, PartialEq)]
pub struct Clash {
    pub text: String,
    pub here: (Place, String),
    pub before: (Place, String),
}

/// What an import did.
#[derive(Debug, Default)]
pub struct Summary {
    /// Written; the rest was dropped.
    pub rows: u64,
    pub files: Vec<(PathBuf, Format)>,
    /// Rows of each label, and where the first stands.
    pub labels: BTreeMap<String, (u64, Place)>,
    pub languages: BTreeMap<Lang, u64>,
    /// Rows without a letter: their language is the program's default.
    pub without_letters: u64,
    pub dropped: BTreeMap<Dropped, Tally<Place>>,
    /// Rows kept although an earlier one is the same.
    pub repeated: u64,
    pub clashes: Tally<Clash>,
    pub marks: u64,
    pub more_labels: u64,
    /// Old labels of the mapping that no row has.
    pub unused_maps: Vec<String>,
    /// Labels of the taxonomy that no row has.
    pub empty_classes: Vec<String>,
    /// Labels that differ in case, spaces or marks only.
    pub look_alikes: Vec<Vec<String>>,
    /// There were more texts than are compared with each other.
    pub too_many_to_compare: bool,
}

/// Reads files and writes their labelled rows as JSON Lines; `out` is not finished, which is left to the caller.
///
/// # Errors
/// A file that cannot be read or whose format cannot be told, a missing column, a row that is broken, a language other than
/// Chinese and English, labels that the taxonomy does not know, more than 10,000 labels, no row at all.
pub fn import(files: &[PathBuf], options: &ImportOptions, out: &mut Beside, tick: Tick) -> Result<Summary, CorpusError> {
    let paths: Vec<Arc<Path>> = files.iter().map(|f| Arc::from(f.as_path())).collect();
    let mut import = Import {
        options,
        paths,
        summary: Summary::default(),
        labels: Labels::default(),
        seen: Seen::default(),
        unknown: BTreeMap::new(),
        mapped: BTreeSet::new(),
    };
    for (at, file) in files.iter().enumerate() {
        let mut source = Source::open(file, tick)?;
        let format = match options.format {
            Some(format) => format,
            None => detect_format(&mut source)?,
        };
        let rows = read_rows(source, format, options)?;
        import.summary.files.push((file.clone(), format));
        for row in rows {
            import.take(at, row?, out)?;
        }
    }
    import.conclude()
}

struct Import<'a> {
    options: &'a ImportOptions,
    paths: Vec<Arc<Path>>,
    summary: Summary,
    labels: Labels,
    seen: Seen,
    /// Labels that the taxonomy does not know: rows, and the first place.
    unknown: BTreeMap<String, (u64, Place)>,
    /// Old labels that were met.
    mapped: BTreeSet<&'a str>,
}

impl<'a> Import<'a> {
    fn place(&self, file: usize, line: usize) -> Place {
        Place { path: self.paths[file].clone(), line }
    }

    fn fault(&self, at: &Place, why: String, hint: &str) -> CorpusError {
        CorpusError::Input { path: at.path.to_path_buf(), line: Some(at.line), why, hint: hint.into() }
    }

    fn drop(&mut self, why: Dropped, at: Place) {
        self.summary.dropped.entry(why).or_default().add(at);
    }

    fn take(&mut self, file: usize, row: Row, out: &mut Beside) -> Result<(), CorpusError> {
        let at = self.place(file, row.line);
        let clean = normalize(&row.text);
        if clean.is_empty() {
            self.drop(Dropped::EmptyText, at);
            return Ok(());
        }
        let found = row.intent.trim();
        let options: &'a ImportOptions = self.options;
        let label = match options.map.get_key_value(found) {
            Some((old, new)) => {
                self.mapped.insert(old);
                new.as_str()
            }
            None => found,
        };
        if label.is_empty() {
            self.drop(Dropped::NoLabel, at);
            return Ok(());
        }
        let known = self.options.labels.as_ref().is_none_or(|labels| labels.contains(label));
        let Some((number, _)) = self.labels.number(label) else {
            let why = format!("more than {MAX_LABELS} different labels: {} is one too many", excerpt(label));
            return Err(self.fault(&at, why, "is it the right column? --intent names the column of the labels"));
        };
        if !known {
            self.unknown.entry(label.to_owned()).or_insert_with(|| (0, at.clone())).0 += 1;
        }
        if let Some(first) = self.seen.meet(&clean.text, Origin::new(file, row.line, number)) {
            if first.label != number {
                let before = (self.place(first.file.into(), first.line as usize), self.labels.name(first.label).to_owned());
                self.summary.clashes.add(Clash { text: row.text.clone(), here: (at.clone(), label.to_owned()), before });
            } else if self.options.drop_duplicates {
                self.drop(Dropped::Duplicate, at);
                return Ok(());
            } else {
                self.summary.repeated += 1;
            }
        }
        let lang = self.language(&row, &clean.text, &at)?;
        let example = Example { text: row.text.trim().to_owned(), intent: label.to_owned(), lang };
        out.line(&serde_json::to_string(&example).map_err(|e| self.fault(&at, e.to_string(), ""))?)?;
        let summary = &mut self.summary;
        summary.rows += 1;
        summary.marks += row.marks;
        summary.more_labels += row.more_labels;
        *summary.languages.entry(lang).or_default() += 1;
        summary.labels.entry(example.intent).or_insert_with(|| (0, at)).0 += 1;
        Ok(())
    }

    fn language(&mut self, row: &Row, clean: &str, at: &Place) -> Result<Lang, CorpusError> {
        if let Some(lang) = self.options.fixed_lang() {
            return Ok(lang);
        }
        if let Some(said) = row.lang.as_deref().map(str::trim).filter(|l| !l.is_empty()) {
            return language_named(said).ok_or_else(|| {
                let why = format!("the language is {}: Chinese (zh) and English (en) are known", excerpt(said));
                self.fault(at, why, "take such rows out, or find the languages by their letters: --lang auto")
            });
        }
        // As a message is treated that the service cannot tell the language of.
        Ok(detect(clean).unwrap_or_else(|| {
            self.summary.without_letters += 1;
            Lang::Zh
        }))
    }

    fn conclude(mut self) -> Result<Summary, CorpusError> {
        let path = self.paths.first().map(|p| p.to_path_buf()).unwrap_or_default();
        let refuse = |why: String, hint: &str| CorpusError::Input { path: path.clone(), line: None, why, hint: hint.into() };
        if !self.unknown.is_empty() {
            let shown: Vec<String> = self
                .unknown
                .iter()
                .take(20)
                .map(|(label, (rows, at))| format!("\n  {} ({rows} rows, first {at})", excerpt(label)))
                .collect();
            let rest = self.unknown.len().saturating_sub(shown.len());
            let rest = if rest > 0 { format!("\n  and {rest} more") } else { String::new() };
            return Err(refuse(
                format!("{} labels are not in the taxonomy:{}{rest}", self.unknown.len(), shown.concat()),
                "rename them (--map 'old label=new_label', once a label), or add them to the taxonomy",
            ));
        }
        if self.summary.rows == 0 {
            let why: Vec<String> = self.summary.dropped.iter().map(|(why, t)| format!(", {} {}", t.count, why.words())).collect();
            return Err(refuse(
                format!("no row could be taken{}", why.concat()),
                "is it the right file, and are --text and --intent the right columns?",
            ));
        }
        let used: BTreeSet<&String> = self.labels.names.iter().collect();
        self.summary.empty_classes = self.options.labels.iter().flatten().filter(|l| !used.contains(l)).cloned().collect();
        self.summary.unused_maps = self.options.map.keys().filter(|old| !self.mapped.contains(old.as_str())).cloned().collect();
        self.summary.look_alikes = self.labels.look_alikes().into_iter().map(|g| g.into_iter().map(str::to_owned).collect()).collect();
        self.summary.too_many_to_compare = self.seen.full;
        Ok(self.summary)
    }
}

impl Dropped {
    /// As in "12 with an empty text".
    pub fn words(self) -> &'static str {
        match self {
            Dropped::EmptyText => "with an empty text",
            Dropped::NoLabel => "without a label",
            Dropped::Duplicate => "that repeat an earlier row",
        }
    }
}

fn language_named(name: &str) -> Option<Lang> {
    let name = name.to_lowercase();
    match name.split(['-', '_']).next()? {
        "zh" | "zho" | "chi" | "cn" | "chinese" | "中文" | "汉语" | "简体中文" => Some(Lang::Zh),
        "en" | "eng" | "english" | "英文" | "英语" => Some(Lang::En),
        _ => None,
    }
}

fn read_rows<'a>(source: Source<'a>, format: Format, options: &'a ImportOptions) -> Result<Rows<'a>, CorpusError> {
    let columns = options.text.is_some() || options.intent.is_some() || matches!(options.lang_from(), LangFrom::Column(_));
    if columns && matches!(format, Format::Fasttext | Format::Rasa) {
        let why = format!("the format {} has no columns to name", format.as_str());
        return Err(source.fault(None, why, "leave --text and --intent out, and give --lang as zh, en or auto; or name another --format"));
    }
    match format {
        Format::Csv | Format::Tsv => table::rows(source, options.delimiter_of(format), options),
        Format::Jsonl => jsonl::rows(source, options),
        Format::Fasttext => Ok(fasttext::rows(source, options.first_label)),
        Format::Rasa => rasa::rows(source),
    }
}

/// The format by the file's name, and where that says nothing by how the file begins.
fn detect_format(source: &mut Source) -> Result<Format, CorpusError> {
    let extension = source.path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_lowercase();
    match extension.as_str() {
        "csv" => Ok(Format::Csv),
        "tsv" | "tab" => Ok(Format::Tsv),
        "jsonl" | "ndjson" => Ok(Format::Jsonl),
        "yml" | "yaml" => Ok(Format::Rasa),
        _ => {
            let head = String::from_utf8_lossy(source.peek()?).into_owned();
            by_content(&head).map_err(|(why, hint)| source.fault(None, why, hint))
        }
    }
}

fn by_content(head: &str) -> Result<Format, (&'static str, &'static str)> {
    let mut lines = head.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default().trim();
    let rasa_key = |line: &str| ["nlu:", "version:", "- intent:"].iter().any(|key| line.starts_with(key));
    if first.starts_with('[') && !first.contains("](") {
        return Err(("one JSON array", "write one object a line: jq -c '.[]' FILE > NEW.jsonl"));
    }
    if first.starts_with('{') {
        let rasa = head.contains("\"rasa_nlu_data\"");
        return match serde_json::from_str::<serde_json::Value>(first) {
            _ if rasa => Ok(Format::Rasa),
            Ok(_) => Ok(Format::Jsonl),
            Err(_) if !head.contains('\n') => Ok(Format::Jsonl),
            Err(_) => Err(("JSON that is neither one object a line nor Rasa NLU", "write one object a line: jq -c . FILE > NEW.jsonl")),
        };
    }
    if first.starts_with("## intent:") {
        return Err(("Markdown of Rasa 1", "make YAML of it: rasa data convert nlu -f yaml --data FILE --out NEW"));
    }
    if first.contains(LABEL) {
        Ok(Format::Fasttext)
    } else if std::iter::once(first).chain(lines).take(20).any(rasa_key) {
        Ok(Format::Rasa)
    } else if first.contains('\t') {
        Ok(Format::Tsv)
    } else if first.contains([',', ';']) {
        Ok(Format::Csv)
    } else {
        Err(("its format cannot be told by its name or its beginning", "say it: --format csv, tsv, jsonl, fasttext or rasa"))
    }
}

#[cfg(test)]
mod tests;
