//! Articles from files, folders and pages: Markdown, HTML, tables, our own JSON, and what other help centres export.
//!
//! One bad file or row costs itself, and is named with its reason; the rest is imported. What comes out has passed
//! [`Article::check`], has an id of its own within the import, and is plain text. Nothing is written anywhere.

mod document;
mod fields;
mod format;
mod gather;
mod html;
mod json;
mod link;
mod markdown;
mod plain;
mod table;
mod walk;
mod web;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use self::document::{Document, UNKNOWN};
pub use self::format::Format;
use self::format::{Reader, by_ending, ending};
use self::gather::Gather;
use crate::domain::{Article, Lang};

/// Bytes of a file. A manual of a thousand pages is shorter.
const MOST_BYTES: u64 = 5 << 20;

/// What the caller knows of the articles. Nothing said means: look.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Of a folder's files, those that are named as another format are skipped.
    pub format: Option<Format>,
    /// For articles of which neither they themselves nor their letters tell it.
    pub lang: Option<Lang>,
    /// For articles that name none; else the folders that a file is in stand for it.
    pub category: Option<String>,
}

/// What an import has found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Imported {
    /// In the order of the files and their rows.
    pub articles: Vec<Article>,
    pub skipped: Vec<Skipped>,
}

/// What was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// A file, `file:line`, `file#row`, or an address.
    pub place: String,
    /// For people.
    pub why: String,
}

impl std::fmt::Display for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.why)
    }
}

/// Why nothing was imported; the texts are for people.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("{place}: cannot be read ({source}): check the path and its rights")]
    Io {
        place: String,
        #[source]
        source: io::Error,
    },
    #[error("{place}: is neither a file nor a folder nor an address that begins with http:// or https://")]
    NoPlace { place: String },
    #[error("{url}: {why}")]
    Web { url: String, why: String },
    #[error("{place}: holds more than {most} files: import its subfolders one by one")]
    TooMany { place: String, most: usize },
    #[error("{place}: holds no article: {}", first(.skipped))]
    Nothing { place: String, skipped: Vec<Skipped> },
}

fn first(skipped: &[Skipped]) -> String {
    match skipped {
        [] => "there is no file in it that is not hidden; check the path".to_owned(),
        [one] => one.to_string(),
        [one, more @ ..] => format!("{one} (and {} more)", more.len()),
    }
}

/// Reads all articles of a file, a folder or a page.
///
/// # Errors
/// A place that cannot be read, or in which there is no article at all.
pub fn import(place: &str, options: &ImportOptions) -> Result<Imported, ImportError> {
    let mut gather = Gather::new(options);
    let path = Path::new(place);
    if web::is_web(place) {
        page(place, &mut gather)?;
    } else if place.contains("://") {
        return Err(ImportError::NoPlace { place: place.to_owned() });
    } else {
        let kind = fs::metadata(path).map_err(|source| ImportError::Io { place: place.to_owned(), source })?;
        if kind.is_dir() {
            for path in walk::files(path, &mut gather)? {
                let inside = path.strip_prefix(place).unwrap_or(&path).to_owned();
                file(&path, &inside, false, &mut gather);
            }
        } else if kind.is_file() {
            file(path, Path::new(path.file_name().unwrap_or_default()), true, &mut gather);
        } else {
            return Err(ImportError::NoPlace { place: place.to_owned() });
        }
    }
    let found = gather.finish();
    if found.articles.is_empty() {
        return Err(ImportError::Nothing { place: place.to_owned(), skipped: found.skipped });
    }
    Ok(found)
}

fn page(place: &str, gather: &mut Gather) -> Result<(), ImportError> {
    let answer = web::fetch(place)?;
    let (_, inside) = place.split_once("://").unwrap_or(("", place));
    let inside = inside.split('#').next().unwrap_or_default().trim_end_matches('/');
    let (before_query, query) = inside.split_once('?').unwrap_or((inside, ""));
    // The dots of a host are no endings.
    let ending = before_query.split_once('/').and_then(|(_, path)| ending(path)).filter(|e| by_ending(e).is_some());
    let mut path = ending.as_ref().map_or(before_query, |e| &before_query[..before_query.len() - e.len() - 1]).to_owned();
    if !query.is_empty() {
        path.push('?');
        path.push_str(query);
    }
    match utf8(&answer.bytes) {
        Ok(text) => {
            let (url, content_type) = (Some(answer.url.as_str()), Some(answer.content_type.as_str()));
            Document { place: place.to_owned(), path, ending, url, content_type, alone: true, text }.read(gather);
        }
        Err(why) => gather.skip(place.to_owned(), why),
    }
    Ok(())
}

fn file(path: &Path, inside: &Path, alone: bool, gather: &mut Gather) {
    let place = path.display().to_string();
    let parts: Vec<_> = inside.components().map(|part| part.as_os_str().to_string_lossy()).collect();
    let inside = parts.join("/");
    let ending = ending(&inside);
    let named = ending.as_deref().and_then(by_ending);
    if let Some(why) = passed_over(alone, named, gather.options.format) {
        return gather.skip(place, why);
    }
    // `v1.5 notes` has no ending that means something.
    let stem = ending.as_ref().filter(|_| named.is_some()).map_or(inside.as_str(), |e| &inside[..inside.len() - e.len() - 1]).to_owned();
    let bytes = match bytes(path) {
        Ok(bytes) => bytes,
        Err(why) => return gather.skip(place, why),
    };
    match utf8(&bytes) {
        Ok(text) => Document { place, path: stem, ending, url: None, content_type: None, alone, text }.read(gather),
        Err(why) => gather.skip(place, why),
    }
}

/// Why a file of a folder is not opened at all.
fn passed_over(alone: bool, named: Option<Reader>, format: Option<Format>) -> Option<String> {
    match (named, format) {
        _ if alone => None,
        (None, None) => Some(UNKNOWN.to_owned()),
        (Some(named), Some(format)) if named != Reader::from(format) => Some(format!("not named as {format}, which was asked for")),
        _ => None,
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
    read.map_err(|e| format!("cannot be read ({e}): check its rights"))?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(format!("longer than {} MiB: split it into several files", MOST_BYTES >> 20));
    }
    Ok(bytes)
}

/// A text without its byte order mark.
///
/// # Errors
/// Bytes that are no UTF-8, or nothing at all; for people.
fn utf8(bytes: &[u8]) -> Result<&str, String> {
    match bytes {
        [] => return Err("the file is empty: check the program that should have written it".to_owned()),
        [b'P', b'K', 3, 4, ..] => {
            return Err("a spreadsheet, a document or an archive: save it as CSV (UTF-8) or HTML, or unpack it".to_owned());
        }
        [b'%', b'P', b'D', b'F', ..] => return Err("a PDF: save its text as Markdown or HTML".to_owned()),
        [0x1f, 0x8b, ..] => return Err("packed with gzip: unpack it first".to_owned()),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => return Err("UTF-16: save it as UTF-8".to_owned()),
        _ => {}
    }
    let text = std::str::from_utf8(bytes.strip_prefix(&[0xef, 0xbb, 0xbf]).unwrap_or(bytes)).map_err(|e| {
        let line = bytes.iter().take(e.valid_up_to()).filter(|&&b| b == b'\n').count() + 1;
        format!("line {line} is not UTF-8: save it as UTF-8 (in Excel \"CSV UTF-8\"), or: iconv -f GB18030 -t UTF-8 FILE > NEW")
    })?;
    Ok(text)
}

#[cfg(test)]
mod tests;
