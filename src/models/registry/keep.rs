//! Taking a model in, and throwing old ones out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::TempDir;

use super::card::Card;
use super::error::{RegistryError, io_error};
use super::{FileEntry, MANIFEST, Manifest, Registry, check_name, entries};
use crate::domain::Version;
use crate::models::files::{copy_hashing, sync_dir, write_json};
use crate::models::timestamp;

/// What was, or would be, removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    pub name: String,
    /// `None`: what interrupted registrations left.
    pub version: Option<u32>,
    pub bytes: u64,
}

/// Copies that are under way, or were when their program died: no versions.
const FRESH: &str = ".new-";

/// Versions that are being removed.
const GOING: &str = ".old-";

impl Registry {
    /// Takes an artefact's folder in as the next version of `name`: a copy, whole and durable when this answers. Two that register
    /// at once get two numbers. Links are followed to files, and to nothing else.
    ///
    /// # Errors
    /// [`RegistryError::NotAnArtefact`], [`RegistryError::OtherName`], [`RegistryError::Busy`], the disk's; nothing is registered then,
    /// and nothing is left.
    pub fn register(&self, name: &str, folder: &Path) -> Result<u32, RegistryError> {
        check_name(name)?;
        let found = Card::read(folder)?.name;
        if found != name {
            return Err(RegistryError::OtherName { found, wanted: name.to_owned() });
        }
        let versions = self.room(name).join("versions");
        let (fresh, _alive) = {
            // The lock keeps a sweeper away until the new folder is marked as somebody's.
            let _lock = self.lock(name)?;
            fs::create_dir_all(&versions).map_err(io_error(&versions))?;
            for leftover in leftovers(&versions)? {
                fs::remove_dir_all(&leftover).map_err(io_error(&leftover))?;
            }
            let fresh = tempfile::Builder::new().prefix(FRESH).permissions(Permissions::from_mode(0o755)).tempdir_in(&versions);
            let fresh = fresh.map_err(io_error(&versions))?;
            let alive = held(fresh.path())?;
            (fresh, alive)
        };
        let identity = |path: &Path| fs::metadata(path).map(|m| (m.dev(), m.ino())).map_err(io_error(path));
        let before = identity(folder)?;
        let files = copy(folder, fresh.path())?;
        if identity(folder)? != before {
            let why = "another training replaced it while it was read; try again".into();
            return Err(RegistryError::NotAnArtefact { path: folder.to_owned(), why });
        }
        self.settle(name, &versions, fresh, files)
    }

    /// Gives a copied artefact its number and its place.
    fn settle(&self, name: &str, versions: &Path, fresh: TempDir, files: BTreeMap<String, FileEntry>) -> Result<u32, RegistryError> {
        let _lock = self.lock(name)?;
        let version = self.versions(name)?.last().copied().unwrap_or(0).max(self.aliases(name)?.last) + 1;
        let manifest = fresh.path().join(MANIFEST);
        write_json(&manifest, &Manifest { version, registered_at: timestamp(), files }).map_err(io_error(&manifest))?;
        read_only(&manifest)?;
        let place = self.path(name, version);
        fs::rename(fresh.path(), &place).map_err(io_error(&place))?;
        // It has moved: there is nothing left to clean up.
        let _ = fresh.keep();
        sync_dir(versions).map_err(io_error(versions))?;
        Ok(version)
    }

    /// Removes versions but for the `keep` newest of each model, those that an alias names, and the champion before today's; and what
    /// interrupted registrations left. With `dry` it only tells.
    ///
    /// # Errors
    /// [`RegistryError::Busy`], [`RegistryError::Broken`], the disk's; what was removed until then is gone.
    pub fn gc(&self, keep: usize, dry: bool) -> Result<Vec<Removed>, RegistryError> {
        let mut out = Vec::new();
        for name in self.names()? {
            if !self.room(&name).is_dir() {
                continue;
            }
            let _lock = self.lock(&name)?;
            let versions = self.room(&name).join("versions");
            let left: Vec<PathBuf> = if versions.is_dir() { leftovers(&versions)? } else { Vec::new() };
            if !left.is_empty() {
                let bytes = left.iter().map(|path| size(path)).sum();
                out.push(Removed { name: name.clone(), version: None, bytes });
            }
            let numbers = self.versions(&name)?;
            let mut aliases = self.aliases(&name)?;
            let mut needed: BTreeSet<Version> = aliases.aliases.values().copied().collect();
            needed.extend(aliases.champions().into_iter().rev().take(2));
            let old = numbers.iter().rev().skip(keep).filter(|n| !needed.contains(&Version::Number(**n)));
            let old: Vec<u32> = old.copied().collect();
            out.extend(old.iter().map(|n| Removed { name: name.clone(), version: Some(*n), bytes: size(&self.path(&name, *n)) }));
            if dry {
                continue;
            }
            if let Some(last) = numbers.last().filter(|n| **n > aliases.last && !old.is_empty()) {
                aliases.last = *last;
                aliases.write(&self.aliases_file(&name))?;
            }
            for number in old {
                // Out of sight first: a version that is half removed is none.
                let (path, going) = (self.path(&name, number), versions.join(format!("{GOING}{number}")));
                fs::rename(&path, &going).map_err(io_error(&path))?;
                fs::remove_dir_all(&going).map_err(io_error(&going))?;
            }
            for path in left {
                fs::remove_dir_all(&path).map_err(io_error(&path))?;
            }
        }
        Ok(out)
    }
}

/// Marks a folder as worked on, for as long as the handle lives.
fn held(folder: &Path) -> Result<File, RegistryError> {
    let handle = File::open(folder).map_err(io_error(folder))?;
    handle.lock().map_err(io_error(folder))?;
    Ok(handle)
}

/// What no living program works on; the model's lock is held.
fn leftovers(versions: &Path) -> Result<Vec<PathBuf>, RegistryError> {
    let mut dead = Vec::new();
    for name in entries(versions)? {
        let path = versions.join(&name);
        // Removals are done under the lock, so that whoever began this one has died.
        let abandoned = name.starts_with(FRESH) && File::open(&path).is_ok_and(|handle| handle.try_lock().is_ok());
        if abandoned || name.starts_with(GOING) {
            dead.push(path);
        }
    }
    Ok(dead)
}

/// Copies the files of a folder, each durable and read-only.
fn copy(from: &Path, to: &Path) -> Result<BTreeMap<String, FileEntry>, RegistryError> {
    let mut out = BTreeMap::new();
    let mut folders = BTreeSet::from([to.to_owned()]);
    for file in files_of(from)? {
        // One that was registered before, and is the registry's own.
        if file == MANIFEST {
            continue;
        }
        let (source, target) = (from.join(&file), to.join(&file));
        if let Some(parent) = target.parent().filter(|p| !folders.contains(*p)) {
            fs::create_dir_all(parent).map_err(io_error(parent))?;
            folders.insert(parent.to_owned());
        }
        let mut reader = File::open(&source).map_err(io_error(&source))?;
        let mut writer = File::create_new(&target).map_err(io_error(&target))?;
        let (bytes, sha256) = copy_hashing(&mut reader, &mut writer).map_err(io_error(&target))?;
        writer.sync_all().map_err(io_error(&target))?;
        read_only(&target)?;
        out.insert(file, FileEntry { bytes, sha256 });
    }
    for folder in folders {
        sync_dir(&folder).map_err(io_error(&folder))?;
    }
    Ok(out)
}

/// Paths of the files of an artefact, with `/`, in order.
///
/// # Errors
/// [`RegistryError::NotAnArtefact`] for what is neither file nor folder, and for links to folders, which may lead anywhere.
pub(super) fn files_of(folder: &Path) -> Result<Vec<String>, RegistryError> {
    let (mut out, mut todo) = (Vec::new(), vec![String::new()]);
    while let Some(inside) = todo.pop() {
        let dir = folder.join(&inside);
        for entry in fs::read_dir(&dir).map_err(io_error(&dir))? {
            let entry = entry.map_err(io_error(&dir))?;
            let not = |why: &str| RegistryError::NotAnArtefact { path: folder.to_owned(), why: format!("{:?} {why}", entry.file_name()) };
            let name = entry.file_name().into_string().map_err(|_| not("has a name that is not UTF-8"))?;
            let path = if inside.is_empty() { name } else { format!("{inside}/{name}") };
            let is_link = entry.file_type().map_err(io_error(&entry.path()))?.is_symlink();
            let meta = fs::metadata(entry.path()).map_err(io_error(&entry.path()))?;
            match (meta.is_file(), meta.is_dir() && !is_link) {
                (true, _) => out.push(path),
                (_, true) => todo.push(path),
                _ => return Err(not("is neither a file nor a folder")),
            }
        }
    }
    out.sort();
    Ok(out)
}

/// Nobody overwrites a version by accident; the hashes tell who does it on purpose.
fn read_only(path: &Path) -> Result<(), RegistryError> {
    fs::set_permissions(path, Permissions::from_mode(0o444)).map_err(io_error(path))
}

/// Bytes of a folder's files, as far as they can be read.
fn size(folder: &Path) -> u64 {
    let files = files_of(folder).unwrap_or_default();
    files.iter().filter_map(|file| fs::metadata(folder.join(file)).ok()).map(|m| m.len()).sum()
}
