//! The sources laid over each other, key by key.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use toml::{Table, Value};

use super::fault::{Fault, Source, did_you_mean};
use super::{DEFAULT, rules};

const PREFIX: &str = "FENZHEN__";
const KEY_VARIABLE: &str = "FENZHEN_API_KEY";
const KEYS: &str = "auth.api_key_sha256";
const CACHE: &str = "models.cache";
const REGISTRY: &str = "models.registry";
const DATA: &str = "data.dir";

/// The values so far. The keys are those of `default.toml`, and each value has the type of its default.
pub(super) struct Layers {
    values: BTreeMap<String, Value>,
    sources: BTreeMap<String, Source>,
    faults: Vec<Fault>,
}

impl Layers {
    pub fn defaults() -> Result<Layers, Fault> {
        let table: Table = DEFAULT.parse().map_err(|e| Fault::new("", Source::Default, place(DEFAULT, &e)))?;
        let mut values = BTreeMap::new();
        for (section, keys) in table {
            if let Value::Table(keys) = keys {
                values.extend(keys.into_iter().map(|(key, value)| (format!("{section}.{key}"), value)));
            }
        }
        let sources = values.keys().map(|key| (key.clone(), Source::Default)).collect();
        Ok(Layers { values, sources, faults: Vec::new() })
    }

    pub fn file(&mut self, path: &Path) {
        let source = Source::File(path.to_owned());
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) => return self.fault("", &source, format!("cannot be read: {e}")),
        };
        let table: Table = match text.parse() {
            Ok(table) => table,
            Err(e) => return self.fault("", &source, place(&text, &e)),
        };
        for (section, value) in table {
            let known = self.sections().contains(section.as_str());
            match value {
                Value::Table(keys) if known => {
                    for (key, value) in keys {
                        self.set(&format!("{section}.{key}"), value, &source);
                    }
                }
                Value::Table(_) => {
                    let hint = did_you_mean(&section, self.sections().into_iter());
                    self.fault(&section, &source, format!("is not a known section{hint}"));
                }
                other if known => self.fault(&section, &source, format!("must be a section, not {}", named(&other))),
                _ => self.unknown(&section, &source),
            }
        }
    }

    pub fn environment(&mut self, env: &BTreeMap<String, String>) {
        for (name, text) in env {
            if let Some(rest) = name.strip_prefix(PREFIX) {
                self.set_text(&rest.to_ascii_lowercase().replace("__", "."), text, &Source::Env(name.clone()));
            }
        }
    }

    pub fn flags(&mut self, flags: &[(String, String)]) {
        for (key, text) in flags {
            self.set_text(key, text, &Source::Flag);
        }
    }

    /// Holds the merged values against their rules. A value that a later source has replaced is not looked at.
    pub fn check(&mut self) {
        for (key, value) in &self.values {
            if let (Some(message), Some(source)) = (rules::broken(key, value), self.sources.get(key)) {
                self.faults.push(Fault::new(key, source.clone(), message));
            }
        }
    }

    /// What stands for empty folders, and the plain key of the environment.
    pub fn derive(&mut self, env: &BTreeMap<String, String>) {
        let set = |name: &str| env.get(name).map(|text| text.trim()).filter(|text| !text.is_empty());
        if self.text(CACHE).is_empty() {
            // The XDG base directory specification: a path that is not absolute is to be ignored.
            let xdg = set("XDG_CACHE_HOME").filter(|path| Path::new(path).is_absolute());
            let (folder, source) = if let Some(path) = set("FENZHEN_CACHE") {
                (Path::new(path).to_owned(), Source::Env("FENZHEN_CACHE".to_owned()))
            } else if let Some(path) = xdg {
                (Path::new(path).join("fenzhen"), Source::Env("XDG_CACHE_HOME".to_owned()))
            } else if let Some(path) = set("HOME") {
                (Path::new(path).join(".cache/fenzhen"), Source::Env("HOME".to_owned()))
            } else {
                self.in_data("cache")
            };
            self.put(CACHE, &folder, source);
        }
        if self.text(REGISTRY).is_empty() {
            let (folder, source) = self.in_data("models");
            self.put(REGISTRY, &folder, source);
        }
        let plain = set(KEY_VARIABLE).map(|key| format!("{:x}", Sha256::digest(key)));
        let Some(Value::Array(hashes)) = self.values.get_mut(KEYS) else { return };
        for hash in hashes.iter_mut() {
            if let Value::String(text) = hash {
                text.make_ascii_lowercase();
            }
        }
        if let Some(hash) = plain.map(Value::String).filter(|hash| !hashes.contains(hash)) {
            hashes.push(hash);
            let variable = Source::Env(KEY_VARIABLE.to_owned());
            let source = match self.sources.remove(KEYS) {
                Some(before) if hashes.len() > 1 => Source::Several(vec![before, variable]),
                _ => variable,
            };
            self.sources.insert(KEYS.to_owned(), source);
        }
    }

    /// A folder in the data folder, which says where it comes from.
    fn in_data(&self, folder: &str) -> (PathBuf, Source) {
        (Path::new(self.text(DATA)).join(folder), self.sources.get(DATA).cloned().unwrap_or(Source::Default))
    }

    fn put(&mut self, key: &str, folder: &Path, source: Source) {
        self.values.insert(key.to_owned(), Value::String(folder.to_string_lossy().into_owned()));
        self.sources.insert(key.to_owned(), source);
    }

    pub fn into_parts(self) -> (BTreeMap<String, Value>, BTreeMap<String, Source>, Vec<Fault>) {
        (self.values, self.sources, self.faults)
    }

    /// Reads a value that comes as text by the type of its default.
    fn set_text(&mut self, key: &str, text: &str, source: &Source) {
        let value = match self.values.get(key) {
            Some(Value::Integer(_)) => text.trim().parse().map_or_else(|_| Value::String(text.to_owned()), Value::Integer),
            Some(Value::Array(_)) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
            }
            _ => Value::String(text.to_owned()),
        };
        self.set(key, value, source);
    }

    fn set(&mut self, key: &str, value: Value, source: &Source) {
        let Some(current) = self.values.get_mut(key) else { return self.unknown(key, source) };
        if current.same_type(&value) {
            *current = value;
            self.sources.insert(key.to_owned(), source.clone());
        } else {
            // What stands under a key of `auth` may be a plain key in the wrong place: it goes to no log.
            let found = if key == KEYS { kind(&value).to_owned() } else { named(&value) };
            let message = format!("must be {}, not {found}", kind(current));
            self.fault(key, source, message);
        }
    }

    fn unknown(&mut self, key: &str, source: &Source) {
        let hint = did_you_mean(key, self.values.keys().map(String::as_str));
        self.fault(key, source, format!("is not a known key{hint}"));
    }

    fn fault(&mut self, key: &str, source: &Source, message: String) {
        self.faults.push(Fault::new(key, source.clone(), message));
    }

    fn sections(&self) -> BTreeSet<&str> {
        self.values.keys().filter_map(|key| key.split_once('.')).map(|(section, _)| section).collect()
    }

    fn text(&self, key: &str) -> &str {
        self.values.get(key).and_then(Value::as_str).unwrap_or_default()
    }
}

/// A type with its article.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(_) => "a whole number",
        Value::Float(_) => "a number with a fraction",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// A type with its value, where the value is short.
fn named(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Table(_) => kind(value).to_owned(),
        Value::String(text) if text.chars().count() > 30 => "a long string".to_owned(),
        short => format!("{} ({short})", kind(short)),
    }
}

/// A syntax error with its line and column, counted from 1.
fn place(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
    format!("line {line}, column {column}: {}", error.message())
}
