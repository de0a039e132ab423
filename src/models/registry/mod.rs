//! Trained models: versions that never change, and aliases that move.
//!
//! ```text
//! <root>/<name>/versions/<n>/   an artefact's files, read-only, and manifest.json with their sha256
//! <root>/<name>/aliases.json    champion, challenger and others, with their history
//! <root>/<name>/lock            held for milliseconds by whoever gives a number, moves an alias or removes a version
//! ```
//!
//! Any number of programs work on one registry. A version is copied beside its place, made durable and renamed, so that it is
//! whole or not there; `aliases.json` likewise. What a crash leaves behind is ignored, and swept away by the next registration.
//! Reading takes no lock. The registry knows no kind of model: whether one can be loaded, the caller's [`Check`] says.

mod aliases;
mod card;
mod error;
mod keep;
mod moves;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use aliases::{Aliases, CHALLENGER, CHAMPION, Move};
pub use card::{CLASSIFIER, Card, Changed, Diff, ScoreRow};
pub use error::RegistryError;
pub use keep::Removed;

use super::files::{sha256_of, write_json};
use crate::domain::{TrainedModel, TrainedVersion, Version};
use error::io_error;

/// Says whether an artefact can be used by this program, or why not.
pub type Check<'a> = &'a dyn Fn(&Artefact) -> Result<(), String>;

/// A folder of trained models. Cheap to make; reads the disk at each call, and need not be there before the first registration.
#[derive(Debug, Clone)]
pub struct Registry {
    root: PathBuf,
    shipped: Vec<Shipped>,
}

/// The model that the program has without a registry: version `shipped`.
#[derive(Debug, Clone)]
pub struct Shipped {
    pub card: Card,
    /// Where it is from, for people.
    pub origin: String,
    /// Its card in words.
    pub readme: String,
}

/// A version's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artefact {
    pub name: String,
    pub version: u32,
    /// `classifier` and the like.
    pub kind: String,
    pub path: PathBuf,
}

impl std::fmt::Display for Artefact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

/// `manifest.json` of a version, written by the registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Manifest {
    version: u32,
    registered_at: String,
    /// Path inside the version, with `/`.
    files: BTreeMap<String, FileEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct FileEntry {
    bytes: u64,
    sha256: String,
}

/// A version with what only `show` needs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    pub name: String,
    pub aliases: Vec<String>,
    #[serde(flatten)]
    pub version: TrainedVersion,
    /// The folder, or where the shipped one is from.
    pub place: String,
    /// The card in words, where there is one.
    pub card: String,
    /// `model.json`.
    pub model: serde_json::Value,
}

const MANIFEST: &str = "manifest.json";

/// Longest wait for another program's lock; whoever holds it longer has stopped.
const PATIENCE: Duration = Duration::from_secs(10);

impl Registry {
    pub fn open(root: impl Into<PathBuf>) -> Self {
        Registry { root: root.into(), shipped: Vec::new() }
    }

    /// Adds a model that is there without having been registered.
    pub fn with_shipped(mut self, shipped: Shipped) -> Self {
        self.shipped.push(shipped);
        self
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Names of all models, shipped ones included.
    ///
    /// # Errors
    /// The disk's.
    pub fn names(&self) -> Result<Vec<String>, RegistryError> {
        let mut names: Vec<String> = self.shipped.iter().map(|s| s.card.name.clone()).collect();
        for name in entries(&self.root)? {
            if is_word(&name, 64) && !names.contains(&name) && !self.versions(&name)?.is_empty() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// All models. A version that cannot be read is listed with its fault.
    ///
    /// # Errors
    /// [`RegistryError::Broken`], the disk's.
    pub fn list(&self) -> Result<Vec<TrainedModel>, RegistryError> {
        self.names()?.iter().map(|name| self.model(name)).collect()
    }

    /// As [`Self::list`], of one model.
    ///
    /// # Errors
    /// [`RegistryError::UnknownModel`] and as [`Self::list`].
    pub fn model(&self, name: &str) -> Result<TrainedModel, RegistryError> {
        let numbers = self.known(name)?;
        let mut versions: Vec<TrainedVersion> = numbers.iter().rev().map(|n| self.describe(name, *n)).collect();
        versions.extend(self.shipped(name).map(|s| described(&s.card, Version::Shipped)));
        let mut aliases = self.aliases(name)?.aliases;
        if self.shipped(name).is_some() {
            aliases.entry(CHAMPION.to_owned()).or_insert(Version::Shipped);
        }
        Ok(TrainedModel { name: name.to_owned(), aliases, versions })
    }

    /// One version with its card; `what` as for [`Self::version_of`].
    ///
    /// # Errors
    /// Whatever keeps it from being read.
    pub fn show(&self, name: &str, what: &str) -> Result<Shown, RegistryError> {
        let version = self.version_of(name, what)?;
        let card = self.card(name, version)?;
        let aliases = self.model(name)?.aliases.into_iter().filter(|(_, v)| *v == version).map(|(alias, _)| alias).collect();
        let (shown, place, readme) = match version {
            Version::Number(n) => {
                let path = self.path(name, n);
                // A card in words is welcome, and not needed.
                let readme = fs::read_to_string(path.join("README.md")).unwrap_or_default();
                (self.describe(name, n), path.display().to_string(), readme)
            }
            Version::Shipped => {
                let shipped = self.shipped(name).map(|s| (s.origin.clone(), s.readme.clone())).unwrap_or_default();
                (described(&card, Version::Shipped), shipped.0, shipped.1)
            }
        };
        Ok(Shown { name: name.to_owned(), aliases, version: shown, place, card: readme, model: card.whole })
    }

    /// Numbers of the versions, in order.
    ///
    /// # Errors
    /// [`RegistryError::BadName`], the disk's.
    pub fn versions(&self, name: &str) -> Result<Vec<u32>, RegistryError> {
        check_name(name)?;
        let number = |entry: String| match entry.parse() {
            Ok(Version::Number(n)) => Some(n),
            _ => None,
        };
        let mut numbers: Vec<u32> = entries(&self.room(name).join("versions"))?.into_iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// The aliases of a model; one small file is read.
    ///
    /// # Errors
    /// [`RegistryError::BadName`], [`RegistryError::Broken`], the disk's.
    pub fn aliases(&self, name: &str) -> Result<Aliases, RegistryError> {
        check_name(name)?;
        Aliases::read(&self.aliases_file(name))
    }

    /// What a word means: a number, `shipped` or an alias.
    ///
    /// # Errors
    /// [`RegistryError::UnknownModel`], [`RegistryError::UnknownVersion`], [`RegistryError::UnknownAlias`].
    pub fn version_of(&self, name: &str, what: &str) -> Result<Version, RegistryError> {
        let known = self.known(name)?;
        let version = match what.parse() {
            Ok(version) => version,
            Err(_) => {
                let named = self.aliases(name)?.aliases.get(what).copied();
                let champion = (what == CHAMPION && self.shipped(name).is_some()).then_some(Version::Shipped);
                let unknown = || RegistryError::UnknownAlias { name: name.to_owned(), alias: what.to_owned() };
                named.or(champion).ok_or_else(unknown)?
            }
        };
        let there = match version {
            Version::Shipped => self.shipped(name).is_some(),
            Version::Number(n) => known.contains(&n),
        };
        let unknown = || RegistryError::UnknownVersion { name: name.to_owned(), version: version.to_string(), known };
        if there { Ok(version) } else { Err(unknown()) }
    }

    /// The files that a word means; `None`: the shipped model.
    ///
    /// # Errors
    /// As [`Self::version_of`]; a version that cannot be read.
    pub fn resolve(&self, name: &str, what: &str) -> Result<Option<Artefact>, RegistryError> {
        match self.version_of(name, what)? {
            Version::Shipped => Ok(None),
            Version::Number(version) => {
                let path = self.path(name, version);
                Ok(Some(Artefact { name: name.to_owned(), version, kind: Card::read(&path)?.kind, path }))
            }
        }
    }

    /// Reads every byte of a version and compares the hashes.
    ///
    /// # Errors
    /// [`RegistryError::Damaged`] naming the first file that is not as it was, the disk's.
    pub fn verify(&self, name: &str, version: u32) -> Result<(), RegistryError> {
        self.version_of(name, &version.to_string())?;
        let damaged = |file: &str| RegistryError::Damaged { name: name.to_owned(), version, file: file.to_owned() };
        let path = self.path(name, version);
        let manifest = Manifest::read(&path).map_err(|_| damaged(MANIFEST))?;
        for (file, entry) in &manifest.files {
            match sha256_of(&path.join(file)) {
                Ok(found) if found == entry.sha256 => {}
                Ok(_) => return Err(damaged(file)),
                Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(damaged(file)),
                Err(e) => return Err(io_error(&path.join(file))(e)),
            }
        }
        let extra = keep::files_of(&path)?.into_iter().find(|f| f != MANIFEST && !manifest.files.contains_key(f));
        extra.map_or(Ok(()), |file| Err(damaged(&file)))
    }

    /// How `b` differs from `a`; both are a name and a word as for [`Self::version_of`].
    ///
    /// # Errors
    /// As [`Self::version_of`]; a version that cannot be read.
    pub fn diff(&self, a: (&str, &str), b: (&str, &str)) -> Result<Diff, RegistryError> {
        let side = |(name, what): (&str, &str)| {
            let version = self.version_of(name, what)?;
            Ok((format!("{name}@{version}"), self.card(name, version)?))
        };
        let (a, b) = (side(a)?, side(b)?);
        Ok(Diff::of((a.0, &a.1), (b.0, &b.1)))
    }

    /// Keeps a file of the service's own beside the aliases: `file` is one of the program's constants.
    ///
    /// # Errors
    /// [`RegistryError::Busy`], the disk's.
    pub fn write_note(&self, name: &str, file: &str, value: &impl Serialize) -> Result<(), RegistryError> {
        let _lock = self.lock(name)?;
        let path = self.room(name).join(file);
        write_json(&path, value).map_err(io_error(&path))
    }

    /// What [`Self::write_note`] kept.
    ///
    /// # Errors
    /// [`RegistryError::Broken`], the disk's.
    pub fn read_note<T: DeserializeOwned>(&self, name: &str, file: &str) -> Result<Option<T>, RegistryError> {
        check_name(name)?;
        let path = self.room(name).join(file);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| RegistryError::Broken { path, why: e.to_string() }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(io_error(&path)(e)),
        }
    }

    /// The numbers of a model that there is.
    fn known(&self, name: &str) -> Result<Vec<u32>, RegistryError> {
        let numbers = self.versions(name)?;
        if numbers.is_empty() && self.shipped(name).is_none() {
            return Err(RegistryError::UnknownModel { name: name.to_owned(), known: self.names()? });
        }
        Ok(numbers)
    }

    fn shipped(&self, name: &str) -> Option<&Shipped> {
        self.shipped.iter().find(|s| s.card.name == name)
    }

    fn card(&self, name: &str, version: Version) -> Result<Card, RegistryError> {
        match version {
            Version::Number(n) => Card::read(&self.path(name, n)),
            Version::Shipped => {
                let unknown = || RegistryError::UnknownVersion { name: name.to_owned(), version: version.to_string(), known: Vec::new() };
                self.shipped(name).map(|s| s.card.clone()).ok_or_else(unknown)
            }
        }
    }

    fn describe(&self, name: &str, number: u32) -> TrainedVersion {
        let path = self.path(name, number);
        let version = Version::Number(number);
        let mut described = match Card::read(&path) {
            Ok(card) => described(&card, version),
            Err(e) => TrainedVersion { fault: Some(e.to_string()), ..unreadable(version) },
        };
        match Manifest::read(&path) {
            Ok(manifest) => {
                described.bytes = manifest.files.values().map(|f| f.bytes).sum();
                described.registered_at = Some(manifest.registered_at);
            }
            Err(e) => described.fault = described.fault.or_else(|| Some(e.to_string())),
        }
        described
    }

    fn room(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn path(&self, name: &str, version: u32) -> PathBuf {
        self.room(name).join("versions").join(version.to_string())
    }

    fn aliases_file(&self, name: &str) -> PathBuf {
        self.room(name).join("aliases.json")
    }

    /// Takes a model's lock; it is given back when the file is dropped, and by the kernel when its holder dies.
    fn lock(&self, name: &str) -> Result<File, RegistryError> {
        check_name(name)?;
        let room = self.room(name);
        fs::create_dir_all(&room).map_err(io_error(&room))?;
        let path = room.join("lock");
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(io_error(&path))?;
        let begin = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(e)) => return Err(io_error(&path)(e)),
                Err(TryLockError::WouldBlock) if begin.elapsed() > PATIENCE => {
                    return Err(RegistryError::Busy { path, seconds: PATIENCE.as_secs() });
                }
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl Manifest {
    fn read(version: &Path) -> Result<Self, RegistryError> {
        let path = version.join(MANIFEST);
        let bytes = fs::read(&path).map_err(io_error(&path))?;
        serde_json::from_slice(&bytes).map_err(|e| RegistryError::Broken { path, why: e.to_string() })
    }
}

fn unreadable(version: Version) -> TrainedVersion {
    TrainedVersion {
        version,
        kind: String::new(),
        text_version: 0,
        data_hash: String::new(),
        scores: BTreeMap::new(),
        registered_at: None,
        bytes: 0,
        fault: None,
    }
}

fn described(card: &Card, version: Version) -> TrainedVersion {
    TrainedVersion {
        kind: card.kind.clone(),
        text_version: card.text_version,
        data_hash: card.data_hash.clone(),
        scores: card.scores.clone(),
        ..unreadable(version)
    }
}

/// Names in a folder; none where there is no folder.
fn entries(dir: &Path) -> Result<Vec<String>, RegistryError> {
    let listing = match fs::read_dir(dir) {
        Ok(listing) => listing,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(io_error(dir)(e)),
    };
    let mut names = Vec::new();
    for entry in listing {
        names.extend(entry.map_err(io_error(dir))?.file_name().into_string().ok());
    }
    Ok(names)
}

/// Names are folders, and stand in addresses and on command lines.
fn is_word(text: &str, longest: usize) -> bool {
    let rest = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    text.len() <= longest && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(rest)
}

fn check_name(name: &str) -> Result<(), RegistryError> {
    if is_word(name, 64) { Ok(()) } else { Err(RegistryError::BadName(name.to_owned())) }
}
