//! CSV and TSV (RFC 4180): columns by name or number, quotes that must close.
//!
//! The crate `csv` takes broken quotes as they come; a quote that never closes would swallow the rest of the file. So the bytes pass a
//! guard on their way to it, which knows the line of every record and stops at the first broken one.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{BufRead, Read};
use std::rc::Rc;

use super::super::CorpusError;
use super::super::source::{MAX_ROW, Source, UTF8_HINT, utf8};
use super::{INTENT_NAMES, ImportOptions, LANG_NAMES, LangFrom, Row, Rows, TEXT_NAMES};

/// # Errors
/// No header, or a column that is not there; in the rows: too few or too many fields, broken quotes, bytes that are no UTF-8.
pub(super) fn rows<'a>(source: Source<'a>, delimiter: u8, options: &'a ImportOptions) -> Result<Rows<'a>, CorpusError> {
    let mut records = Records::new(source, delimiter, !options.no_quotes);
    let Some(first) = records.next() else {
        return Err(records.fault(None, "the file holds no rows", "check the path, or the program that should have written it"));
    };
    let (line, first) = first?;
    let (header, pending) = if options.no_header { (None, Some(Ok((line, first.clone())))) } else { (Some(&first), None) };
    let columns = Columns::choose(&records, line, header, first.len(), options)?;
    let width = first.len();
    let mut pending = pending;
    Ok(Box::new(std::iter::from_fn(move || {
        let record = pending.take().or_else(|| records.next())?;
        Some(record.and_then(|(line, fields)| {
            if fields.len() != width {
                let why = format!("{} fields, and the first row has {width}", fields.len());
                let hint = "put fields that hold the delimiter into quotes (\"a, b\"); where quotes are characters like any other, say --no-quotes";
                return Err(records.fault(Some(line), &why, hint));
            }
            columns.row(&records, line, &fields)
        }))
    })))
}

/// Records with the lines that they begin in.
struct Records<'a> {
    reader: csv::Reader<Guard<'a>>,
    begins: Rc<RefCell<VecDeque<usize>>>,
    path: std::path::PathBuf,
}

impl<'a> Records<'a> {
    fn new(source: Source<'a>, delimiter: u8, quotes: bool) -> Self {
        let begins = Rc::new(RefCell::new(VecDeque::new()));
        let path = source.path.clone();
        let guard =
            Guard { source, begins: begins.clone(), delimiter, quotes, at: At::Record, line: 1, return_before: false, opened: 1, size: 0 };
        let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).quoting(quotes).from_reader(guard);
        Self { reader, begins, path }
    }

    fn fault(&self, line: Option<usize>, why: &str, hint: &str) -> CorpusError {
        CorpusError::Input { path: self.path.clone(), line, why: why.into(), hint: hint.into() }
    }

    fn next(&mut self) -> Option<Result<(usize, csv::ByteRecord), CorpusError>> {
        let mut record = csv::ByteRecord::new();
        let io = |source| CorpusError::Io { path: self.path.clone(), source };
        match self.reader.read_byte_record(&mut record) {
            Ok(false) => None,
            Ok(true) => Some(Ok((self.begins.borrow_mut().pop_front().unwrap_or_default(), record))),
            Err(e) => Some(Err(match e.into_kind() {
                csv::ErrorKind::Io(e) => e.downcast::<CorpusError>().unwrap_or_else(io),
                other => io(std::io::Error::other(format!("{other:?}"))),
            })),
        }
    }
}

/// Where in a record the guard stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum At {
    /// Before a record.
    Record,
    /// Before a field's first byte.
    Field,
    /// In a field that has begun with spaces.
    Spaces,
    Plain,
    Quoted,
    /// After a quote in a quoted field: its end, or the first of two.
    Closed,
}

struct Guard<'a> {
    source: Source<'a>,
    begins: Rc<RefCell<VecDeque<usize>>>,
    delimiter: u8,
    quotes: bool,
    at: At,
    line: usize,
    return_before: bool,
    /// The line of the quote that opened last.
    opened: usize,
    /// Bytes of the record.
    size: usize,
}

const QUOTE_HINT: &str =
    "a quote inside a quoted field is written twice (\"\"); where quotes are characters like any other, say --no-quotes";

impl Guard<'_> {
    fn pass(&mut self, byte: u8) -> Result<(), CorpusError> {
        let fault = |line, why: &str, hint: &str| Err(self.source.fault(Some(line), why, hint));
        let line_break = matches!(byte, b'\n' | b'\r');
        self.size += 1;
        if self.at == At::Record && !line_break {
            self.begins.borrow_mut().push_back(self.line);
            (self.at, self.size) = (At::Field, 0);
        }
        if self.size > MAX_ROW {
            return match self.at {
                At::Quoted | At::Closed => fault(self.opened, "the quote that opens here is not closed within 1 MiB", QUOTE_HINT),
                _ => fault(self.line, "the row is longer than 1 MiB", "is this the right file, and the right --format?"),
            };
        }
        self.at = match (self.at, byte) {
            (At::Quoted, b'"') => At::Closed,
            (At::Quoted, _) => At::Quoted,
            (At::Closed, b'"') => At::Quoted,
            (_, b'\n' | b'\r') => At::Record,
            (_, b) if b == self.delimiter => At::Field,
            (At::Closed, _) => {
                let why = format!("text after the end of a quoted field (its quote opened in line {})", self.opened);
                return fault(self.line, &why, QUOTE_HINT);
            }
            (At::Field, b'"') if self.quotes => {
                self.opened = self.line;
                At::Quoted
            }
            (At::Spaces, b'"') if self.quotes => {
                return fault(self.line, "a space before a quoted field", "take the spaces after the delimiters out, or say --no-quotes");
            }
            (At::Field | At::Spaces, b' ') => At::Spaces,
            _ => At::Plain,
        };
        // \n, \r\n and \r end a line alike.
        self.line += usize::from(line_break && !(byte == b'\n' && self.return_before));
        self.return_before = byte == b'\r';
        Ok(())
    }
}

impl Read for Guard<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.source.reader.fill_buf()?.len().min(buffer.len());
        let n = self.source.reader.read(&mut buffer[..n])?;
        let passed = buffer[..n].iter().try_for_each(|&byte| self.pass(byte));
        passed.map_err(std::io::Error::other)?;
        if n == 0 && self.at == At::Quoted {
            let fault = self.source.fault(Some(self.opened), "the quote that opens here is never closed", QUOTE_HINT);
            return Err(std::io::Error::other(fault));
        }
        Ok(n)
    }
}

/// Which columns are what, from 0.
#[derive(Debug)]
struct Columns {
    text: usize,
    intent: usize,
    lang: Option<usize>,
}

impl Columns {
    fn choose(
        records: &Records,
        line: usize,
        header: Option<&csv::ByteRecord>,
        width: usize,
        options: &ImportOptions,
    ) -> Result<Self, CorpusError> {
        let decode = |field: &[u8]| utf8(field).map(|name| name.trim().to_owned());
        let names: Option<Vec<String>> =
            header.map(|h| h.iter().map(decode).collect()).transpose().map_err(|why| records.fault(Some(line), &why, UTF8_HINT))?;
        let fault = |why: String, hint: String| records.fault(names.is_some().then_some(line), &why, &hint);
        let there = || match &names {
            _ if width == 1 => "there is one column only: is the delimiter another one (--delimiter ';')?".to_owned(),
            Some(names) => format!("the columns are {}", names.iter().take(20).map(|n| format!("{n:?}")).collect::<Vec<_>>().join(", ")),
            None => format!("the rows have {width} columns, numbered from 1"),
        };
        let by_name = |wanted: &str| -> Result<Option<usize>, CorpusError> {
            let mut found = names.iter().flatten().enumerate().filter(|(_, name)| name.eq_ignore_ascii_case(wanted)).map(|(at, _)| at);
            let first = found.next();
            if let (Some(a), Some(b)) = (first, found.next()) {
                return Err(fault(
                    format!("the columns {} and {} are both called {wanted:?}", a + 1, b + 1),
                    "name the column by its number".into(),
                ));
            }
            Ok(first)
        };
        let said = |wanted: &str, flag: &str| {
            let number = || wanted.parse::<usize>().ok().filter(|n| (1..=width).contains(n)).map(|n| n - 1);
            by_name(wanted)?.or_else(number).ok_or_else(|| {
                fault(format!("no column {wanted:?}; {}", there()), format!("name one of them with {flag}, or by its number from 1"))
            })
        };
        let usual = |wanted: &[&str]| wanted.iter().find_map(|name| by_name(name).transpose()).transpose();
        let needed = |given: &Option<String>, wanted: &[&str], number: usize, flag: &str| match given {
            Some(column) => said(column, flag),
            None if names.is_none() && number < width => Ok(number),
            None => usual(wanted)?.ok_or_else(|| {
                let hint = format!("name the column: {flag} COLUMN; a file without a header wants --no-header");
                fault(format!("no column has a usual name such as {:?}; {}", wanted[0], there()), hint)
            }),
        };
        let chosen = Self {
            text: needed(&options.text, TEXT_NAMES, 0, "--text")?,
            intent: needed(&options.intent, INTENT_NAMES, 1, "--intent")?,
            lang: match options.lang_from() {
                LangFrom::Guess => usual(LANG_NAMES)?,
                LangFrom::Column(column) => Some(said(column, "--lang")?),
                LangFrom::Nowhere => None,
            },
        };
        if chosen.text == chosen.intent {
            return Err(fault(
                format!("text and intent are both column {}", chosen.text + 1),
                "name the other with --text or --intent".into(),
            ));
        }
        Ok(chosen)
    }

    fn row(&self, records: &Records, line: usize, fields: &csv::ByteRecord) -> Result<Row, CorpusError> {
        let get = |at: usize| {
            let field = utf8(fields.get(at).unwrap_or_default());
            field.map(str::to_owned).map_err(|why| records.fault(Some(line), &format!("field {}: {why}", at + 1), UTF8_HINT))
        };
        Ok(Row { text: get(self.text)?, intent: get(self.intent)?, lang: self.lang.map(get).transpose()?, line, ..Row::default() })
    }
}
