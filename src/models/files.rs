//! Bytes on disk: written beside and renamed, made durable, hashed as they stream.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

/// Puts a value as JSON in the place of a file: a reader finds the old text or the new one, whatever happens. One writer at a time.
///
/// # Errors
/// The disk's; the file is then as it was.
pub(super) fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.push(b'\n');
    let beside = beside(path);
    let written = (|| {
        let mut file = File::create(&beside)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    })();
    if written.is_err() {
        // What a full disk left is of no use; the error says more than a failure to remove it would.
        let _ = fs::remove_file(&beside);
    }
    written?;
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

/// Makes a rename or a new entry outlive a power cut.
pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// The sha256 of a file in hexadecimal.
pub(super) fn sha256_of(path: &Path) -> io::Result<String> {
    Ok(copy_hashing(&mut File::open(path)?, &mut io::sink())?.1)
}

/// Copies all bytes; answers how many, and their sha256 in hexadecimal.
pub(super) fn copy_hashing(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<(u64, String)> {
    let (mut hasher, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0u8; 1 << 18]);
    loop {
        let n = from.read(&mut buffer)?;
        if n == 0 {
            return Ok((bytes, hasher.finalize().iter().map(|b| format!("{b:02x}")).collect()));
        }
        hasher.update(&buffer[..n]);
        to.write_all(&buffer[..n])?;
        bytes += n as u64;
    }
}
