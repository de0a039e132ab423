//! What can go wrong with the records, in words for the person who runs the service.

use std::io;
use std::path::{Path, PathBuf};

use sqlx::migrate::MigrateError;

/// Primary result codes of SQLite (<https://sqlite.org/rescode.html>).
const READONLY: &str = "8";
const CANTOPEN: &str = "14";
const NOTADB: &str = "26";

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{} cannot be opened for writing: {source}", path.display())]
    Unwritable { path: PathBuf, source: io::Error },

    #[error("{} is not a SQLite database", path.display())]
    NotADatabase { path: PathBuf },

    #[error("{} was written by a newer version of fenzhen (schema {version}, which this version does not know)", path.display())]
    NewerSchema { path: PathBuf, version: i64 },

    #[error("the schema of {} could not be brought up to date: {source}", path.display())]
    Migration { path: PathBuf, source: MigrateError },

    #[error("the catalogue entry {sku:?} cannot be read or written as JSON: {source}")]
    Catalogue { sku: String, source: serde_json::Error },

    #[error("the recorded triage {id:?} cannot be read: {source}")]
    Triage { id: String, source: serde_json::Error },

    #[error("the store failed: {0}")]
    Database(#[from] sqlx::Error),
}

impl StoreError {
    /// What the reader can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            StoreError::Unwritable { .. } => "check the path and its permissions; data.dir (--data) names another folder",
            StoreError::NotADatabase { .. } => "move the file away, or name another folder with data.dir (--data)",
            StoreError::NewerSchema { .. } => "run the newer version, or restore the backup made before the upgrade",
            StoreError::Migration { .. } => "restore the file from a backup, or name another folder with data.dir (--data)",
            StoreError::Catalogue { .. } => "import the catalogue again",
            StoreError::Triage { .. } => "it was written by another program, or damaged: restore the file from a backup",
            StoreError::Database(_) => "check that the disk is not full and that no other program holds the file",
        }
    }

    pub(super) fn at_open(path: &Path, error: sqlx::Error) -> StoreError {
        let code = error.as_database_error().and_then(|e| e.code()).map(|code| primary(&code));
        match code.as_deref() {
            Some(READONLY | CANTOPEN) => StoreError::Unwritable { path: path.to_owned(), source: io::Error::other(error) },
            Some(NOTADB) => StoreError::NotADatabase { path: path.to_owned() },
            _ => StoreError::Database(error),
        }
    }

    pub(super) fn at_migration(path: &Path, error: MigrateError) -> StoreError {
        match error {
            // A version that was applied and that this binary does not carry.
            MigrateError::VersionMissing(version) => StoreError::NewerSchema { path: path.to_owned(), version },
            MigrateError::Execute(error) => StoreError::at_open(path, error),
            source => StoreError::Migration { path: path.to_owned(), source },
        }
    }
}

/// The low byte of an extended result code is the primary one.
fn primary(code: &str) -> String {
    code.parse::<u32>().map_or_else(|_| code.to_owned(), |extended| (extended & 0xff).to_string())
}
