//! The engine's folder: made whole or not at all, locked, opened, trimmed and removed.
//!
//! An index's directory holds `lock`, `stamp.json`, and `shard/`, which is the engine's own. A shard is made under another name
//! and renamed when it is whole, after the stamp is written: the process may die at any moment and the directory opens again.

use std::fs::{self, File, TryLockError};
use std::io::{ErrorKind, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use qdrant_edge::{
    Distance, EdgeConfig, EdgeOptimizersConfig, EdgeShard, EdgeSparseVectorParams, EdgeVectorParams, HnswIndexConfig, Modifier,
    OperationResult, QuantizationConfig, ScalarQuantizationConfig, ScalarType, WalOptions,
};

use super::super::RetrieveError;
use super::super::layout::{DENSE, GRAPH_BUILDING, GRAPH_LINKS, TERMS};
use super::super::stamp::sync_dir;
use super::EXACT_UP_TO;
use super::convert;

/// Name of a shard on its way out.
const DISCARDED: &str = "shard.old";
/// Bytes of new files and pages that a write may begin, however small it is.
const ROOM_FOR_ANY_WRITE: usize = 4 * 1024 * 1024;

/// The engine's folder in an index's directory.
pub(super) fn folder(dir: &Path) -> PathBuf {
    dir.join("shard")
}

pub(super) fn unusable(path: &Path, source: std::io::Error) -> RetrieveError {
    RetrieveError::Directory { path: path.to_owned(), source }
}

/// Makes the directory and locks it for this index; the lock falls with the file.
pub(super) fn lock(dir: &Path) -> Result<File, RetrieveError> {
    fs::create_dir_all(dir).map_err(|source| unusable(dir, source))?;
    let lock = File::create(dir.join("lock")).map_err(|source| unusable(dir, source))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(RetrieveError::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(unusable(dir, source)),
    }
}

/// Bytes that a write of so many points may take at most.
pub(super) fn room_to_write(points: usize, dim: usize) -> usize {
    // Four bytes a dimension in the segment and five in the log, a ticket's terms and payload in both, and the half more.
    ROOM_FOR_ANY_WRITE + points * (14 * dim + 8 * 1024)
}

/// Bytes that building the graph anew over so many points may take at most: the old segments stay until the new one is whole.
pub(super) fn room_to_optimize(points: usize, dim: usize) -> usize {
    // Files begin at 32 MiB, of which some file systems give all; then four bytes a dimension, links, terms and payload.
    16 * ROOM_FOR_ANY_WRITE + points * (4 * dim + 2 * 1024)
}

/// Whether the disk has room for so many bytes: takes them, and gives them back.
///
/// It cannot see another process that fills the disk between now and the write.
pub(super) fn check_room(dir: &Path, bytes: usize) -> Result<(), RetrieveError> {
    let path = dir.join("room");
    let taken = File::create(&path).and_then(|mut file| {
        let block = [0; 64 * 1024];
        (0..bytes.div_ceil(block.len())).try_for_each(|_| file.write_all(&block))
    });
    let given_back = fs::remove_file(&path);
    taken.and(given_back).map_err(|source| unusable(dir, source))
}

/// How the engine keeps and searches points of `dim` dimensions.
pub(super) fn config(dim: usize, log_file_bytes: usize) -> EdgeConfig {
    EdgeConfig {
        // On disk, behind the system's cache: the graph is walked over the 8-bit copies, and whole vectors rank the best of them.
        vectors: [(DENSE.to_owned(), EdgeVectorParams::builder(dim, Distance::Cosine).on_disk(true).build())].into(),
        sparse_vectors: [(
            TERMS.to_owned(),
            EdgeSparseVectorParams { modifier: Some(Modifier::Idf), on_disk: Some(true), ..Default::default() },
        )]
        .into(),
        on_disk_payload: true,
        quantization_config: Some(QuantizationConfig::from(ScalarQuantizationConfig {
            r#type: ScalarType::Int8,
            quantile: Some(0.99),
            always_ram: Some(true),
        })),
        // The graph, too: a walk reads few of its pages, and those stay in the cache.
        hnsw_config: HnswIndexConfig { m: GRAPH_LINKS, ef_construct: GRAPH_BUILDING, on_disk: Some(true), ..HnswIndexConfig::default() },
        optimizers: EdgeOptimizersConfig {
            // In KiB of vectors.
            indexing_threshold: Some((EXACT_UP_TO * dim * size_of::<f32>()).div_ceil(1024)),
            // The engine's own number follows the machine's processors; an index should not depend on where it was built.
            default_segment_number: Some(2),
            ..EdgeOptimizersConfig::default()
        },
        wal_options: Some(WalOptions { segment_capacity: log_file_bytes, ..WalOptions::default() }),
    }
}

/// Makes an empty shard.
pub(super) fn create(dir: &Path, config: &EdgeConfig) -> Result<(), RetrieveError> {
    let making = dir.join("shard.new");
    remove(&making)
        .and_then(|()| remove(&dir.join(DISCARDED)))
        .and_then(|()| fs::create_dir(&making))
        .map_err(|source| unusable(&making, source))?;
    guarded(|| {
        let shard = EdgeShard::new(&making, config.clone())?;
        for operation in convert::payload_indexes()? {
            shard.update(operation)?;
        }
        drop(shard);
        Ok(())
    })
    .map_err(|detail| RetrieveError::Engine { action: "make an empty index", detail })?;
    fs::rename(&making, folder(dir)).and_then(|()| sync_dir(dir)).map_err(|source| unusable(dir, source))
}

/// Removes the shard, if there is one: first by its name, so that no half of it is ever opened.
pub(super) fn discard(dir: &Path) -> Result<(), RetrieveError> {
    let discarded = dir.join(DISCARDED);
    let renamed = remove(&discarded).and_then(|()| match fs::rename(folder(dir), &discarded) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => sync_dir(dir),
    });
    renamed.and_then(|()| remove(&discarded)).map_err(|source| unusable(dir, source))
}

/// Copies an index into a folder that is empty or missing. The index must be flushed, and nobody may write to it meanwhile.
pub(super) fn copy(dir: &Path, to: &Path) -> Result<(), RetrieveError> {
    fs::create_dir_all(to).map_err(|source| unusable(to, source))?;
    if fs::read_dir(to).map_err(|source| unusable(to, source))?.next().is_some() {
        return Err(unusable(to, std::io::Error::new(ErrorKind::DirectoryNotEmpty, "it is not empty")));
    }
    // The stamp last: a copy that was cut short is seen to be none.
    for name in ["shard", "stamp.json"] {
        copy_all(&dir.join(name), &to.join(name)).map_err(|source| unusable(to, source))?;
    }
    sync_dir(to).map_err(|source| unusable(to, source))
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    if !from.is_dir() {
        fs::copy(from, to)?;
        return File::open(to)?.sync_all();
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let name = entry?.file_name();
        copy_all(&from.join(&name), &to.join(&name))?;
    }
    Ok(())
}

fn remove(folder: &Path) -> std::io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Opens the shard.
pub(super) fn load(dir: &Path, config: &EdgeConfig) -> Result<EdgeShard, RetrieveError> {
    let shard = folder(dir);
    trim_log(&shard).map_err(|source| unusable(&shard, source))?;
    guarded(|| EdgeShard::load(&shard, Some(config.clone()))).map_err(|detail| RetrieveError::Corrupt { dir: dir.to_owned(), detail })
}

/// The full files of the write-ahead log, oldest first. They are called `closed-` and the number of their first record.
pub(super) fn full_log_files(shard: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(shard.join("wal")).into_iter().flatten().flatten();
    let mut files: Vec<(u64, PathBuf)> =
        entries.filter_map(|entry| Some((entry.file_name().to_str()?.strip_prefix("closed-")?.parse().ok()?, entry.path()))).collect();
    files.sort();
    files.into_iter().map(|(_, path)| path).collect()
}

/// Removes the full files of the log but the newest, from which the engine goes on counting its records.
///
/// Only while the shard is closed: every record in them is in the flushed segments then, and nothing ever reads them.
pub(super) fn trim_log(shard: &Path) -> std::io::Result<()> {
    let files = full_log_files(shard);
    files.iter().take(files.len().saturating_sub(1)).try_for_each(fs::remove_file)
}

/// Calls the engine; its errors and its panics (see the head of [`super`]) become a message.
///
/// What a panic leaves behind is no worse than what an error does: the engine's locks do not poison, and its files are those
/// of a process that died there, which it repairs at the next opening.
pub(super) fn guarded<T>(call: impl FnOnce() -> OperationResult<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(panic) => Err(panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|&message| message.to_owned()))
            .unwrap_or_else(|| "the engine panicked".to_owned())),
    }
}
