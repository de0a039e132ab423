//! Files read once, from front to back, in bounded memory: what is no text is named before it is read as one.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::CorpusError;

/// Bytes that a row may have. A message is a thousand times shorter; what is longer has lost its line breaks or its quotes.
pub(super) const MAX_ROW: usize = 1 << 20;

/// Told the number of bytes with each read.
pub type Tick<'a> = &'a dyn Fn(u64);

pub(super) struct Counted<'a> {
    file: File,
    tick: Tick<'a>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.file.read(buffer)?;
        (self.tick)(n as u64);
        Ok(n)
    }
}

/// A text file that is open, its byte order mark behind it.
pub(super) struct Source<'a> {
    pub path: PathBuf,
    pub reader: BufReader<Counted<'a>>,
    /// Of the line that was read last, from 1.
    line: usize,
    bytes: Vec<u8>,
}

impl<'a> Source<'a> {
    /// # Errors
    /// A file that cannot be opened, is a folder, empty, UTF-16, packed, or a spreadsheet's own format.
    pub fn open(path: &Path, tick: Tick<'a>) -> Result<Self, CorpusError> {
        let io = |source| CorpusError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let reader = BufReader::with_capacity(1 << 16, Counted { file, tick });
        let mut source = Self { path: path.to_owned(), reader, line: 0, bytes: Vec::new() };
        if source.reader.get_ref().file.metadata().map_err(io)?.is_dir() {
            return Err(source.fault(None, "is a folder", "name its files, for example FOLDER/*.yml"));
        }
        let head = source.reader.fill_buf().map_err(io)?;
        let (why, hint) = match head {
            [] => ("the file is empty", "check the path, or the program that should have written it"),
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                ("the file is UTF-16", "save it as UTF-8, for example: iconv -f UTF-16 -t UTF-8 FILE > NEW")
            }
            [0x1f, 0x8b, ..] => ("the file is packed (gzip)", "unpack it first: gunzip FILE"),
            [b'P', b'K', 3, 4, ..] => ("the file is a spreadsheet or an archive", "save the sheet as CSV (UTF-8), or unpack the archive"),
            [0xef, 0xbb, 0xbf, ..] => {
                source.reader.consume(3);
                ("", "")
            }
            _ => ("", ""),
        };
        if why.is_empty() { Ok(source) } else { Err(source.fault(None, why, hint)) }
    }

    pub fn fault(&self, line: Option<usize>, why: impl Into<String>, hint: impl Into<String>) -> CorpusError {
        CorpusError::Input { path: self.path.clone(), line, why: why.into(), hint: hint.into() }
    }

    pub fn io(&self, source: std::io::Error) -> CorpusError {
        CorpusError::Io { path: self.path.clone(), source }
    }

    /// What lies ahead, up to 64 KiB, without moving on.
    pub fn peek(&mut self) -> Result<&[u8], CorpusError> {
        // The first buffer was filled when the file was opened: nothing is read here unless the file is at its end.
        let path = &self.path;
        self.reader.fill_buf().map_err(|source| CorpusError::Io { path: path.clone(), source })
    }

    /// The next line that is not blank, without its line break, and its number; `None` at the end.
    ///
    /// After an error about a line the next one can be read.
    ///
    /// # Errors
    /// A line that is no UTF-8 or longer than [`MAX_ROW`]; a disk that cannot be read.
    pub fn next_line(&mut self) -> Result<Option<(usize, &str)>, CorpusError> {
        loop {
            self.bytes.clear();
            let limit = MAX_ROW as u64 + 1;
            let read = self.reader.by_ref().take(limit).read_until(b'\n', &mut self.bytes);
            if read.map_err(|e| self.io(e))? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if self.bytes.len() > MAX_ROW && self.bytes.last() != Some(&b'\n') {
                self.skip_line()?;
                return Err(self.fault(Some(self.line), "the line is longer than 1 MiB", "is this the right file? A row is one line"));
            }
            if !self.bytes.iter().all(u8::is_ascii_whitespace) {
                break;
            }
        }
        let line = self.line;
        let text = utf8(&self.bytes).map_err(|why| self.fault(Some(line), why, UTF8_HINT))?;
        Ok(Some((line, text.trim_end_matches(['\n', '\r']))))
    }

    fn skip_line(&mut self) -> Result<(), CorpusError> {
        loop {
            let (used, done) = match self.reader.fill_buf() {
                Err(e) => return Err(self.io(e)),
                Ok([]) => return Ok(()),
                Ok(buffer) => match buffer.iter().position(|&b| b == b'\n') {
                    Some(at) => (at + 1, true),
                    None => (buffer.len(), false),
                },
            };
            self.reader.consume(used);
            if done {
                return Ok(());
            }
        }
    }

    /// The rest of the file as one text, of at most `limit` bytes.
    ///
    /// # Errors
    /// A longer file, bytes that are no UTF-8 (with their line), a disk that cannot be read.
    pub fn read_whole(&mut self, limit: usize, too_long: &str) -> Result<String, CorpusError> {
        let mut bytes = Vec::new();
        let read = self.reader.by_ref().take(limit as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|e| self.io(e))?;
        if bytes.len() > limit {
            let why = format!("the file is longer than {} MiB", limit >> 20);
            return Err(self.fault(None, why, too_long));
        }
        let wrong = |e: std::str::Utf8Error| {
            let before = &bytes[..e.valid_up_to()];
            let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
            let end = bytes[line_start..].iter().position(|&b| b == b'\n').map_or(bytes.len(), |at| line_start + at);
            let line = before.iter().filter(|&&b| b == b'\n').count() + 1;
            self.fault(Some(line), utf8(&bytes[line_start..end]).err().unwrap_or_default(), UTF8_HINT)
        };
        std::str::from_utf8(&bytes).map(str::to_owned).map_err(wrong)
    }
}

pub(super) const UTF8_HINT: &str = "save the file as UTF-8, for example: iconv -f GB18030 -t UTF-8 FILE > NEW";

/// The bytes of a row or a field as text, or what is wrong with them.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|e| {
        let at = e.valid_up_to();
        format!("byte {} (0x{:02X}) is not UTF-8", at + 1, bytes[at])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    fn opening(bytes: &[u8]) -> String {
        let (_dir, path) = written(bytes);
        Source::open(&path, &|_| ()).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_no_text_is_named() {
        assert!(opening(b"").contains("empty"));
        assert!(opening(b"\xff\xfea\0").contains("UTF-16"));
        assert!(opening(b"\x1f\x8b\x08").contains("gzip"));
        assert!(opening(b"PK\x03\x04").contains("spreadsheet"));
    }

    #[test]
    fn lines_are_counted_through_marks_breaks_and_faults() {
        let long = "x".repeat(MAX_ROW + 5);
        let (_dir, path) = written(&[b"\xef\xbb\xbfone\r\n\n  \ntwo\n\xc4\xe3\n", long.as_bytes(), b"\nlast"].concat());
        let read = std::cell::Cell::new(0);
        let tick = |n| read.set(read.get() + n);
        let mut source = Source::open(&path, &tick).unwrap();
        let next = |s: &mut Source| s.next_line().map(|l| l.map(|(n, t)| (n, t.to_owned()))).map_err(|e| e.to_string());
        assert_eq!(next(&mut source), Ok(Some((1, "one".into()))));
        assert_eq!(next(&mut source), Ok(Some((4, "two".into()))));
        let fault = next(&mut source).unwrap_err();
        assert!(fault.contains("line 5") && fault.contains("byte 1 (0xC4)"), "{fault}");
        assert!(next(&mut source).unwrap_err().contains("line 6: the line is longer"));
        assert_eq!(next(&mut source), Ok(Some((7, "last".into()))));
        assert_eq!(next(&mut source), Ok(None));
        assert_eq!(read.get(), std::fs::metadata(&path).unwrap().len());
    }

    #[test]
    fn a_line_of_just_the_limit_is_read() {
        let (_dir, path) = written(&["x".repeat(MAX_ROW).as_bytes(), b"\ny"].concat());
        let mut source = Source::open(&path, &|_| ()).unwrap();
        assert_eq!(source.next_line().unwrap().unwrap().1.len(), MAX_ROW);
        assert_eq!(source.next_line().unwrap().unwrap(), (2, "y"));
    }
}
