//! Faults of a configuration: which key, from where, what is wrong, and what was perhaps meant.

use std::fmt;
use std::path::PathBuf;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Default,
    File(PathBuf),
    /// The variable's name.
    Env(String),
    Flag,
    /// A list that several sources have added to.
    Several(Vec<Source>),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Env(name) => f.write_str(name),
            Source::Flag => f.write_str("command line"),
            Source::Several(sources) => {
                for (at, source) in sources.iter().enumerate() {
                    write!(f, "{}{source}", if at == 0 { "" } else { " and " })?;
                }
                Ok(())
            }
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// `section.key`, or empty where a source as a whole is at fault.
    pub key: String,
    pub source: Source,
    pub message: String,
}

impl Fault {
    pub(super) fn new(key: impl Into<String>, source: Source, message: impl Into<String>) -> Fault {
        Fault { key: key.into(), source, message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {}", self.source, self.message),
            key => write!(f, "{}: {key} {}", self.source, self.message),
        }
    }
}

/// Everything that is wrong, one fault a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError {
    /// Never empty.
    pub faults: Vec<Fault>,
}

impl From<Fault> for ConfigError {
    fn from(fault: Fault) -> Self {
        ConfigError { faults: vec![fault] }
    }
}

/// `; did you mean ...?` with the nearest of the known names, or nothing when none is near.
///
/// A key in the wrong section, or without one, is near too: then only its last part is compared.
pub(super) fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let score = |candidate: &str| distance(name, candidate).min(distance(&last(name), &last(candidate)) + 1);
    let nearest = known.map(|candidate| (score(candidate), candidate)).min();
    match nearest {
        Some((score, candidate)) if score <= 1 + last(name).chars().count() / 4 => format!("; did you mean {candidate}?"),
        _ => String::new(),
    }
}

/// Levenshtein's edit distance, in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
