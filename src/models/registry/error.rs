//! What can go wrong with a trained model, each with what to do.

use std::io;
use std::path::{Path, PathBuf};

use crate::domain::Version;

/// Whatever it is, what was in force before still is.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("{0:?} is no name for a model: use up to 64 of a-z, 0-9, - and _, beginning with a letter")]
    BadName(String),
    #[error("{0:?} is no name for an alias: use up to 32 of a-z, 0-9, - and _, beginning with a letter; `shipped` is taken")]
    BadAlias(String),
    #[error("{} is no artefact: {why}", .path.display())]
    NotAnArtefact { path: PathBuf, why: String },
    #[error("the artefact's model.json says {found:?}, not {wanted:?}")]
    OtherName { found: String, wanted: String },
    #[error("there is no trained model {name:?}; there {}", list(.known))]
    UnknownModel { name: String, known: Vec<String> },
    #[error("{name} has no version {version}; it {}", has(.known))]
    UnknownVersion { name: String, version: String, known: Vec<u32> },
    #[error("{name} has no alias {alias:?}")]
    UnknownAlias { name: String, alias: String },
    #[error("{name}@{version}: {file} is not as it was registered: it was changed, damaged or lost")]
    Damaged { name: String, version: u32, file: String },
    #[error("{name}@{version} cannot be used: {why}")]
    Refused { name: String, version: Version, why: String },
    #[error("{0} has no earlier champion to go back to")]
    NothingBefore(String),
    #[error("another program has held {} for {seconds} s", .path.display())]
    Busy { path: PathBuf, seconds: u64 },
    #[error("{} is broken: {why}", .path.display())]
    Broken { path: PathBuf, why: String },
    #[error("{}: {source}", .path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

fn list(known: &[String]) -> String {
    match known {
        [] => "is none yet".into(),
        [one] => format!("is {one}"),
        many => format!("are {}", many.join(", ")),
    }
}

fn has(known: &[u32]) -> String {
    match known {
        [] => "has none in the registry yet".into(),
        [one] => format!("has {one}"),
        [first, .., last] if known.len() > 8 => format!("has {} from {first} to {last}", known.len()),
        many => format!("has {}", many.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")),
    }
}

impl RegistryError {
    /// What the user can do about it.
    pub fn hint(&self) -> String {
        match self {
            RegistryError::BadName(_) | RegistryError::OtherName { .. } => {
                "the name stands in the recipe (`name = ...`) and in the artefact's model.json".into()
            }
            RegistryError::BadAlias(_) => "for example champion, challenger or before-sale".into(),
            RegistryError::NotAnArtefact { .. } => {
                "name the folder that `fenzhen train` wrote: it holds model.json with name, text_version, data_hash and scores".into()
            }
            RegistryError::UnknownModel { .. } | RegistryError::UnknownVersion { .. } | RegistryError::UnknownAlias { .. } => {
                "`fenzhen models list` shows names, versions and aliases".into()
            }
            RegistryError::Damaged { name, .. } => {
                format!("import the artefact again from where it was trained; until then another version of {name} can be promoted")
            }
            RegistryError::Refused { .. } => {
                "nothing was changed: train it again with this program, or choose another version (`fenzhen models list`)".into()
            }
            RegistryError::NothingBefore(name) => format!("`fenzhen models promote {name}@VERSION` chooses one by its number"),
            RegistryError::Busy { .. } => "wait for the other `fenzhen models` command or training to end, then try again".into(),
            RegistryError::Broken { path, .. } => {
                format!("move {} away; the versions are untouched, and `fenzhen models promote` makes it anew", path.display())
            }
            RegistryError::Io { source, .. } if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
                "the disk is full and nothing was registered or moved: make room (`fenzhen models gc`), or set models.registry to a folder on another disk".into()
            }
            RegistryError::Io { .. } => "check that the folder is there and may be written to; models.registry names another".into(),
        }
    }
}

/// For `map_err`.
pub(super) fn io_error(path: &Path) -> impl FnOnce(io::Error) -> RegistryError + '_ {
    move |source| RegistryError::Io { path: path.to_owned(), source }
}
