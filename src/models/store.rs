//! The model cache on disk: one folder a model, `installed.json` written last.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::convert::{self, CONVERTER_VERSION};
use super::download::{self, Progress};
use super::files::{sha256_of, write_json};
use super::manifest::{Manifest, ModelEntry};
use super::{ModelError, io_error};

/// What was installed, from where, with which hashes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Installed {
    pub id: String,
    pub converter: u32,
    /// Manifest file name to the source that it came from.
    pub sources: BTreeMap<String, String>,
    /// File in the model's folder to its sha256.
    pub files: BTreeMap<String, String>,
}

/// Whether a model can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Ready,
    Missing,
    Damaged,
    /// Made by an older or newer converter.
    Outdated,
}

/// The cache folder. Cheap to make; reads the disk at each call.
#[derive(Debug, Clone)]
pub struct ModelStore {
    root: PathBuf,
}

impl ModelStore {
    pub fn new(root: impl Into<PathBuf>) -> Self {
        ModelStore { root: root.into() }
    }

    pub fn dir(&self, id: &str) -> PathBuf {
        self.root.join(id)
    }

    /// Reads `installed.json`, without looking at the files' bytes.
    ///
    /// # Errors
    /// [`ModelError::Missing`], [`ModelError::OtherConverter`], or the disk's.
    pub fn installed(&self, id: &str) -> Result<Installed, ModelError> {
        let dir = self.dir(id);
        let missing = || ModelError::Missing { id: id.to_owned(), dir: dir.clone() };
        let path = dir.join("installed.json");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(missing()),
            Err(e) => return Err(io_error(&path)(e)),
        };
        let installed: Installed = serde_json::from_str(&text).map_err(|_| missing())?;
        if installed.converter != CONVERTER_VERSION {
            return Err(ModelError::OtherConverter { id: id.to_owned(), found: installed.converter, wanted: CONVERTER_VERSION });
        }
        Ok(installed)
    }

    /// Reads every byte and compares the hashes; answers the folder and what is in it.
    ///
    /// # Errors
    /// As [`ModelStore::installed`], and [`ModelError::Damaged`].
    pub fn verify(&self, id: &str) -> Result<(PathBuf, Installed), ModelError> {
        let installed = self.installed(id)?;
        let dir = self.dir(id);
        for (file, wanted) in &installed.files {
            let damaged = || ModelError::Damaged { id: id.to_owned(), file: file.clone() };
            if sha256_of(&dir.join(file)).map_err(|_| damaged())? != *wanted {
                return Err(damaged());
            }
        }
        Ok((dir, installed))
    }

    pub fn state(&self, id: &str) -> State {
        match self.verify(id) {
            Ok(_) => State::Ready,
            Err(ModelError::Missing { .. }) => State::Missing,
            Err(ModelError::OtherConverter { .. }) => State::Outdated,
            Err(_) => State::Damaged,
        }
    }

    /// Fetches and converts a model unless it is there and whole. Answers whether anything was done.
    ///
    /// # Errors
    /// [`ModelError::NoSource`] with what each source said; conversion and disk errors. The folder is then as before, but for
    /// parts of downloads that the next pull goes on with.
    pub fn pull(&self, manifest: &Manifest, id: &str, progress: &dyn Progress) -> Result<bool, ModelError> {
        let entry = manifest.get(id)?;
        if self.verify(id).is_ok() {
            return Ok(false);
        }
        let dir = self.dir(id);
        fs::create_dir_all(&dir).map_err(io_error(&dir))?;
        let mut sources = BTreeMap::new();
        let mut fetched = BTreeMap::new();
        for file in &entry.files {
            let (from, path) = fetch_any(entry, &file.name, &dir, progress)?;
            sources.insert(file.name.clone(), from);
            fetched.insert(file.name.as_str(), path);
        }
        let part = |name: &str| {
            fetched
                .get(name)
                .cloned()
                .ok_or_else(|| ModelError::Convert { what: id.to_owned(), why: format!("the manifest names no {name}") })
        };
        progress.begin("convert", 0);
        let made = convert::encoder(&part("weights")?, &part("tokenizer")?, &dir);
        progress.end();
        let mut files = BTreeMap::new();
        for name in made? {
            let path = dir.join(name);
            files.insert(name.to_owned(), sha256_of(&path).map_err(io_error(&path))?);
        }
        let (path, installed) = (dir.join("installed.json"), Installed { id: id.to_owned(), converter: CONVERTER_VERSION, sources, files });
        write_json(&path, &installed).map_err(io_error(&path))?;
        for path in fetched.values() {
            fs::remove_file(path).map_err(io_error(path))?;
        }
        Ok(true)
    }
}

/// Tries the sources of a file in order. Answers which one served it and where it lies.
fn fetch_any(entry: &ModelEntry, name: &str, dir: &Path, progress: &dyn Progress) -> Result<(String, PathBuf), ModelError> {
    let mut tried = Vec::new();
    for source in entry.files.iter().filter(|f| f.name == name).flat_map(|f| &f.sources) {
        // The hash in the name tells which source a file left by an interrupted pull came from.
        let target = dir.join(format!("{name}.{}", source.sha256.get(..12).unwrap_or_default()));
        if sha256_of(&target).is_ok_and(|found| found == source.sha256) {
            return Ok((source.to_string(), target));
        }
        match download::fetch(source, &target, progress) {
            Ok(()) => return Ok((source.to_string(), target)),
            Err(why) => tried.push(format!("  {source}: {why}")),
        }
    }
    Err(ModelError::NoSource { file: format!("{} of {}", name, entry.id), tried })
}
