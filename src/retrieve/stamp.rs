//! What an index was built with, kept beside it.

use std::fmt;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::RetrieveError;

/// What an index was built with: vectors and terms made otherwise do not meet those in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexStamp {
    /// Name and version of the sentence encoder.
    pub encoder: String,
    /// Length of its vectors.
    pub dim: usize,
    /// [`crate::text::TEXT_VERSION`] of the terms.
    pub text_version: u32,
}

/// Version of what this room itself decides: term hash and weights, names of vectors and payload. Raise it with every change.
const LAYOUT: u32 = 2;

const FILE: &str = "stamp.json";

#[derive(Serialize, Deserialize)]
struct Kept {
    layout: u32,
    #[serde(flatten)]
    stamp: IndexStamp,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Kept { layout, stamp: IndexStamp { encoder, dim, text_version } } = self;
        write!(f, "encoder {encoder} of {dim} dimensions, text version {text_version}, layout {layout}")
    }
}

impl IndexStamp {
    /// Whether `dir` holds a stamp. It must be this one.
    ///
    /// # Errors
    /// [`RetrieveError::OtherStamp`]; [`RetrieveError::Corrupt`] for a file that is no stamp; [`RetrieveError::Directory`].
    pub(super) fn check(&self, dir: &Path) -> Result<bool, RetrieveError> {
        let path = dir.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(source) => return Err(RetrieveError::Directory { path, source }),
        };
        let found: Kept = serde_json::from_slice(&bytes)
            .map_err(|error| RetrieveError::Corrupt { dir: dir.to_owned(), detail: format!("{FILE}: {error}") })?;
        if found.layout == LAYOUT && found.stamp == *self {
            return Ok(true);
        }
        let wanted = self.kept();
        Err(RetrieveError::OtherStamp { place: format!("in {}", dir.display()), found: found.to_string(), wanted: wanted.to_string() })
    }

    /// Stands for the stamp in the names of a server's indexes: 12 hex digits.
    pub(super) fn digest(&self) -> String {
        let digest = Sha256::digest(self.kept().to_string());
        digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The fault of a server's index whose name has another digest.
    pub(super) fn unlike(&self, place: &str) -> RetrieveError {
        RetrieveError::OtherStamp {
            place: place.to_owned(),
            found: "another encoder or version".to_owned(),
            wanted: self.kept().to_string(),
        }
    }

    /// Writes the stamp whole or not at all.
    pub(super) fn write(&self, dir: &Path) -> std::io::Result<()> {
        let next = dir.join("stamp.json.new");
        let mut file = File::create(&next)?;
        file.write_all(&serde_json::to_vec_pretty(&self.kept())?)?;
        file.sync_all()?;
        fs::rename(&next, dir.join(FILE))?;
        sync_dir(dir)
    }

    fn kept(&self) -> Kept {
        Kept { layout: LAYOUT, stamp: self.clone() }
    }
}

/// Takes the stamp away, if there is one.
pub(super) fn remove(dir: &Path) -> std::io::Result<()> {
    match fs::remove_file(dir.join(FILE)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => sync_dir(dir),
    }
}

/// Makes renames and removals in a directory durable.
pub(super) fn sync_dir(dir: &Path) -> std::io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp() -> IndexStamp {
        IndexStamp { encoder: "minilm@1".to_owned(), dim: 4, text_version: 1 }
    }

    #[test]
    fn what_was_written_is_found_again() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!stamp().check(dir.path()).unwrap());
        stamp().write(dir.path()).unwrap();
        assert!(stamp().check(dir.path()).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
        remove(dir.path()).unwrap();
        remove(dir.path()).unwrap();
        assert!(!stamp().check(dir.path()).unwrap());
    }

    #[test]
    fn another_encoder_text_version_or_layout_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        stamp().write(dir.path()).unwrap();
        for other in [IndexStamp { encoder: "e5@2".to_owned(), ..stamp() }, IndexStamp { text_version: 2, ..stamp() }] {
            let error = other.check(dir.path()).unwrap_err();
            assert!(matches!(error, RetrieveError::OtherStamp { .. }), "{error}");
            assert!(error.to_string().contains("minilm@1") && error.to_string().contains("rebuild"), "{error}");
        }
        let text = fs::read_to_string(dir.path().join(FILE)).unwrap();
        fs::write(dir.path().join(FILE), text.replace("\"layout\": 2", "\"layout\": 1")).unwrap();
        assert!(matches!(stamp().check(dir.path()), Err(RetrieveError::OtherStamp { .. })));
    }

    #[test]
    fn a_torn_stamp_is_corrupt() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "{\"encoder\": \"mi").unwrap();
        assert!(matches!(stamp().check(dir.path()), Err(RetrieveError::Corrupt { .. })));
    }
}
