//! What the folders of all trained models have in common: a `model.json` that names the text pipeline, numbers as safetensors, and
//! a way to write them that never shows half of one.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use serde::de::DeserializeOwned;

use crate::text::TEXT_VERSION;

/// Everything about a model but its numbers.
pub const META: &str = "model.json";
/// The numbers.
pub const WEIGHTS: &str = "weights.safetensors";
/// The card, for people.
pub const CARD: &str = "README.md";

/// What is read, for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// `classifier`
    pub noun: &'static str,
    /// The command that makes one anew.
    pub train: &'static str,
}

#[derive(Debug, thiserror::Error)]
pub enum ArtefactError {
    #[error("{}: {source}", .path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the {}'s {file} is broken: {why}", .kind.noun)]
    Broken { kind: Kind, file: &'static str, why: String },
    #[error(
        "the {} was made by version {found} of the text pipeline, this program has version {wanted}; train it again: `{}`",
        .kind.noun,
        .kind.train
    )]
    TextVersion { kind: Kind, found: u32, wanted: u32 },
}

impl ArtefactError {
    /// What was read; `None` where it is the disk that failed.
    pub fn kind(&self) -> Option<Kind> {
        match self {
            ArtefactError::Broken { kind, .. } | ArtefactError::TextVersion { kind, .. } => Some(*kind),
            ArtefactError::Io { .. } => None,
        }
    }
}

impl Kind {
    /// An error about one of its files.
    pub fn broken(self, file: &'static str) -> impl Fn(&dyn Display) -> ArtefactError {
        move |why| ArtefactError::Broken { kind: self, file, why: why.to_string() }
    }

    /// Reads a `model.json`.
    ///
    /// # Errors
    /// When it is missing, of another text version, or of another shape; in this order, since an older program's has another shape.
    pub fn meta<T: DeserializeOwned>(self, files: Read<'_>) -> Result<T, ArtefactError> {
        let broken = self.broken(META);
        let value: serde_json::Value = serde_json::from_slice(&self.needed(files, META)?).map_err(|e| broken(&e))?;
        let found = value["text_version"].as_u64().ok_or_else(|| broken(&"it has no text_version"))? as u32;
        if found != TEXT_VERSION {
            return Err(ArtefactError::TextVersion { kind: self, found, wanted: TEXT_VERSION });
        }
        serde_json::from_value(value).map_err(|e| broken(&e))
    }

    /// A file that must be there.
    ///
    /// # Errors
    /// When it is not.
    pub fn needed(self, files: Read<'_>, file: &'static str) -> Result<Cow<'static, [u8]>, ArtefactError> {
        files(file)?.ok_or_else(|| self.broken(file)(&"it is missing"))
    }

    /// The lines of a file that must be there.
    ///
    /// # Errors
    /// When it is not, or is no UTF-8.
    pub fn lines(self, files: Read<'_>, file: &'static str) -> Result<Vec<Box<str>>, ArtefactError> {
        let bytes = self.needed(files, file)?;
        let text = std::str::from_utf8(&bytes).map_err(|e| self.broken(file)(&e))?;
        Ok(text.lines().map(Into::into).collect())
    }
}

/// Reads a file of an artefact by its name; `None` where there is no such file.
pub type Read<'a> = &'a dyn Fn(&'static str) -> Result<Option<Cow<'static, [u8]>>, ArtefactError>;

/// Of files that the program was built with; an empty one is none.
pub fn built_in(
    files: &'static [(&'static str, &'static [u8])],
) -> impl Fn(&'static str) -> Result<Option<Cow<'static, [u8]>>, ArtefactError> {
    move |name| Ok(files.iter().find(|f| f.0 == name && !f.1.is_empty()).map(|f| Cow::Borrowed(f.1)))
}

/// Of a folder.
pub fn folder(dir: &Path) -> impl Fn(&'static str) -> Result<Option<Cow<'static, [u8]>>, ArtefactError> + '_ {
    move |name| {
        let path = dir.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(Cow::Owned(bytes))),
            // A folder that is not there at all is told by its own name.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && dir.is_dir() => Ok(None),
            Err(source) => Err(ArtefactError::Io { path, source }),
        }
    }
}

/// Writes an artefact: into a new folder beside `dir`, which then takes its place, so that a reader never sees half of one.
///
/// # Errors
/// The disk's, and those of `write`; nothing is left of what was written then.
pub fn replace(dir: &Path, write: impl FnOnce(&Path) -> Result<(), ArtefactError>) -> Result<(), ArtefactError> {
    let (fresh, old) = (dir.with_extension("new"), dir.with_extension("old"));
    for leftover in [&fresh, &old].into_iter().filter(|p| p.exists()) {
        fs::remove_dir_all(leftover).map_err(io(leftover))?;
    }
    fs::create_dir_all(&fresh).map_err(io(&fresh))?;
    let written = write(&fresh);
    if written.is_err() {
        // A full disk must not stay full of the half that fitted.
        let _ = fs::remove_dir_all(&fresh);
    }
    written?;
    if dir.exists() {
        fs::rename(dir, &old).map_err(io(dir))?;
    }
    fs::rename(&fresh, dir).map_err(io(dir))?;
    if old.exists() {
        fs::remove_dir_all(&old).map_err(io(&old))?;
    }
    Ok(())
}

/// Writes a file of an artefact.
///
/// # Errors
/// The disk's.
pub fn put(dir: &Path, name: &str, bytes: &[u8]) -> Result<(), ArtefactError> {
    let path = dir.join(name);
    fs::write(&path, bytes).map_err(io(&path))
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> ArtefactError + use<> {
    let path = path.to_owned();
    move |source| ArtefactError::Io { path, source }
}

/// The tensors of a weights file.
pub struct Numbers {
    kind: Kind,
    tensors: HashMap<String, Tensor>,
}

impl Numbers {
    /// # Errors
    /// When the file is missing or is none.
    pub fn read(kind: Kind, files: Read<'_>) -> Result<Self, ArtefactError> {
        let tensors = candle_core::safetensors::load_buffer(&kind.needed(files, WEIGHTS)?, &Device::Cpu);
        Ok(Numbers { kind, tensors: tensors.map_err(|e| kind.broken(WEIGHTS)(&e))? })
    }

    /// The last dimension of a tensor.
    pub fn width(&self, name: &str) -> Option<usize> {
        self.tensors.get(name).and_then(|t| t.dims().last().copied())
    }

    /// A tensor's numbers, row after row.
    ///
    /// # Errors
    /// When it is missing, has another number of them, or one that is not finite.
    pub fn get(&self, name: &str, want: usize) -> Result<Vec<f32>, ArtefactError> {
        let broken = self.kind.broken(WEIGHTS);
        let tensor = self.tensors.get(name).ok_or_else(|| broken(&format!("no {name}")))?;
        let values = tensor.to_dtype(DType::F32).and_then(|t| t.flatten_all()?.to_vec1::<f32>()).map_err(|e| broken(&e))?;
        if values.len() != want || values.iter().any(|v| !v.is_finite()) {
            return Err(broken(&format!("{name} has {} numbers, {want} finite ones are needed", values.len())));
        }
        Ok(values)
    }
}

/// Tensors as a weights file, in the order of their names, so that the same numbers are the same bytes.
///
/// # Errors
/// The temporary folder's.
pub fn safetensors(tensors: &HashMap<String, Tensor>) -> candle_core::Result<Vec<u8>> {
    let file = tempfile::NamedTempFile::new()?;
    candle_core::safetensors::save(tensors, file.path())?;
    Ok(fs::read(file.path())?)
}
