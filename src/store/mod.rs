//! The records: articles, tickets, catalogue, triages with what agents said of them, and what the vector index has still to learn of them, in one SQLite file.
//!
//! A change of an article or ticket and its row of the index outbox are one transaction: after a crash the index catches up from
//! [`Store::index_backlog`]. The store never embeds, never searches and never reads a clock (times are arguments).
//!
//! Concurrency: one connection writes and several read, on a write-ahead log, so a long import does not stop readers and two writers
//! of this process wait for each other in the pool's queue. A second process (the CLI beside `serve`) waits up to [`BUSY`] for the
//! file's lock. Write transactions begin IMMEDIATE: none reads first and finds at its first write that another was faster.
//! Failure: a method that fails, or whose future is dropped, has changed nothing. `synchronous=FULL`: what was acknowledged is on disk.

mod articles;
mod catalogue;
mod drafts;
mod error;
mod feedback;
mod idempotency;
mod outbox;
mod reports;
mod tickets;
mod triages;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{QueryBuilder, Sqlite, Transaction};
use utoipa::ToSchema;

pub use articles::ArticleFilter;
pub use drafts::Published;
pub use error::StoreError;
pub use feedback::{Feedback, Judged};
pub use idempotency::{Answer, Idempotency};
pub use outbox::{IndexJob, IndexKind, IndexOp};
pub use reports::Unanswered;
pub use triages::{Recorded, RecordedTriage};

static MIGRATIONS: Migrator = sqlx::migrate!("src/store/migrations");

/// How long a writer waits for the lock of another process.
pub const BUSY: Duration = Duration::from_secs(5);

/// Readers at once; more queue in the pool.
const READERS: u32 = 4;

/// Rows a statement. Twelve columns times this stays far below SQLite's 32,766 bound values.
const CHUNK: usize = 500;

/// The first bytes of every SQLite file that is not empty.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What a bulk write did, row by row. A row that is already there word for word is `unchanged` and is not indexed again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ImportCounts {
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub deleted: u64,
}

impl ImportCounts {
    fn add(&mut self, other: ImportCounts) {
        self.created += other.created;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.deleted += other.deleted;
    }
}

/// The records of one data directory. A clone is another handle on the same file.
#[derive(Debug, Clone)]
pub struct Store {
    read: SqlitePool,
    write: SqlitePool,
}

impl Store {
    /// Opens the file, making it and its folders where they are not there, and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`], [`StoreError::NotADatabase`], [`StoreError::NewerSchema`], or the migration's.
    pub async fn open(path: &Path) -> Result<Store, StoreError> {
        inspect(path)?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY);
        let write = forever(1).connect_with(options.clone()).await.map_err(|e| StoreError::at_open(path, e))?;
        MIGRATIONS.run(&write).await.map_err(|e| StoreError::at_migration(path, e))?;
        // Not `read_only`: such a connection cannot open a log that nobody has open. This one only refuses to write.
        let read = forever(READERS).connect_lazy_with(options.pragma("query_only", "ON"));
        Ok(Store { read, write })
    }

    /// A store that is gone with its last clone: one connection for everything, since each would see its own database.
    pub async fn in_memory() -> Result<Store, StoreError> {
        let write = forever(1).connect_with(SqliteConnectOptions::new().in_memory(true)).await?;
        MIGRATIONS.run(&write).await.map_err(|e| StoreError::at_migration(Path::new(":memory:"), e))?;
        Ok(Store { read: write.clone(), write })
    }

    /// Whether the file still answers.
    pub async fn health(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.read).await?;
        Ok(())
    }

    /// Waits for the work under way and closes the file; every later call fails. Readers go first: the last connection
    /// folds the log into the file, and only the writer may.
    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }

    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.write.begin_with("BEGIN IMMEDIATE").await?)
    }
}

/// A pool whose connections stay: opening one costs more than keeping it, and in memory the connection is the database.
fn forever(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new().max_connections(connections).idle_timeout(None).max_lifetime(None)
}

/// Says in the reader's words what SQLite would answer with a code, and leaves a file alone that is not SQLite's.
fn inspect(path: &Path) -> Result<(), StoreError> {
    let unwritable = |source| StoreError::Unwritable { path: path.to_owned(), source };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(unwritable)?;
    }
    let file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(unwritable)?;
    let mut head = Vec::new();
    file.take(MAGIC.len() as u64).read_to_end(&mut head).map_err(unwritable)?;
    if head.is_empty() || head == MAGIC { Ok(()) } else { Err(StoreError::NotADatabase { path: path.to_owned() }) }
}

/// The records of `incoming` that differ from what is stored, in order, and the counts. An id that comes twice counts
/// twice: its last form stands.
fn changes<'a, T: PartialEq>(stored: &[T], incoming: &'a [T], id: fn(&T) -> &str) -> (Vec<&'a T>, ImportCounts) {
    let mut known: HashMap<&str, &T> = stored.iter().map(|row| (id(row), row)).collect();
    let mut changed = Vec::new();
    let mut counts = ImportCounts::default();
    for record in incoming {
        match known.insert(id(record), record) {
            None => counts.created += 1,
            Some(before) if before == record => {
                counts.unchanged += 1;
                continue;
            }
            Some(_) => counts.updated += 1,
        }
        changed.push(record);
    }
    (changed, counts)
}

/// `(?, ?, ...)` with the ids bound.
fn push_ids<'a>(query: &mut QueryBuilder<Sqlite>, ids: impl Iterator<Item = &'a str>) {
    let mut list = query.push("(").separated(", ");
    for id in ids {
        list.push_bind(id);
    }
    list.push_unseparated(")");
}
