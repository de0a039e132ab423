//! Files that are there whole or not at all: written beside their place and renamed when they are complete.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::CorpusError;

/// A file in the making, `NAME.part` beside `NAME`.
///
/// A program that dies leaves `NAME` as it was, and its part is overwritten by the next; an error removes the part. Two
/// programs cannot write one file at once: the part is locked. What is no regular file (`/dev/stdout`) is written straight.
#[derive(Debug)]
pub struct Beside {
    path: PathBuf,
    /// None where the file is written straight.
    part: Option<PathBuf>,
    out: BufWriter<File>,
}

impl Beside {
    /// # Errors
    /// A folder in the file's place, no folder to put it in, no right to write, another program that writes it.
    pub fn create(path: &Path) -> Result<Self, CorpusError> {
        // A link is written through, not replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let refuse = |why: &str, hint: &str| CorpusError::Input { path: path.clone(), line: None, why: why.into(), hint: hint.into() };
        let kind = fs::metadata(&path).ok().map(|m| m.file_type());
        if kind.is_some_and(|k| k.is_dir()) {
            return Err(refuse("is a folder", "name the file to be written"));
        }
        if path.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
            return Err(refuse("its folder does not exist", "make the folder first (mkdir -p)"));
        }
        let part = kind.is_none_or(|k| k.is_file()).then(|| with_suffix(&path, ".part"));
        let target = part.as_deref().unwrap_or(&path);
        let io = |source| CorpusError::Io { path: target.to_owned(), source };
        let file = OpenOptions::new().write(true).create(part.is_some()).truncate(false).open(target).map_err(io)?;
        if part.is_some() {
            // A file system without locks can do without.
            if let Err(TryLockError::WouldBlock) = file.try_lock() {
                return Err(refuse("another program is writing it", "wait for that one, or choose another --out"));
            }
            file.set_len(0).map_err(io)?;
        }
        Ok(Self { path, part, out: BufWriter::with_capacity(1 << 16, file) })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a text and a line break.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn line(&mut self, text: &str) -> Result<(), CorpusError> {
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.write_all(b"\n"));
        written.map_err(|source| self.io(source))
    }

    pub(super) fn io(&self, source: io::Error) -> CorpusError {
        CorpusError::Io { path: self.path.clone(), source }
    }

    /// Puts the file in its place, durably.
    ///
    /// # Errors
    /// When the disk is full or gone; the file is then as it was before.
    pub fn finish(mut self) -> Result<(), CorpusError> {
        self.complete()?;
        self.take_place()
    }

    /// Puts files that belong together in their places. Old ones are taken away first: whatever happens in between, old and new
    /// never stand side by side.
    ///
    /// # Errors
    /// When the disk is full or gone.
    pub fn finish_together(mut files: Vec<Self>) -> Result<(), CorpusError> {
        files.iter_mut().try_for_each(Self::complete)?;
        for file in files.iter().filter(|f| f.part.is_some() && f.path.exists()) {
            fs::remove_file(&file.path).map_err(|e| file.io(e))?;
        }
        files.iter_mut().try_for_each(Self::take_place)
    }

    fn complete(&mut self) -> Result<(), CorpusError> {
        let sync = |out: &BufWriter<File>, part: bool| if part { out.get_ref().sync_all() } else { Ok(()) };
        self.out.flush().and_then(|()| sync(&self.out, self.part.is_some())).map_err(|e| self.io(e))
    }

    fn take_place(&mut self) -> Result<(), CorpusError> {
        if let Some(part) = &self.part {
            fs::rename(part, &self.path).map_err(|e| self.io(e))?;
            self.part = None;
        }
        Ok(())
    }
}

impl Write for Beside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if let Some(part) = &self.part {
            // Not finished: what is there is of no use, and the next run overwrites it anyhow.
            let _ = fs::remove_file(part);
        }
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_there_whole_or_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.jsonl");
        fs::write(&path, "old").unwrap();
        let mut file = Beside::create(&path).unwrap();
        file.line("new").unwrap();
        assert!(Beside::create(&path).unwrap_err().to_string().contains("another program"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        drop(file);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the part is gone");
        // A part that a killed program left is no obstacle, and nothing of it stays.
        fs::write(dir.path().join("a.jsonl.part"), "half a file, longer than the next").unwrap();
        let mut file = Beside::create(&path).unwrap();
        file.line("new").unwrap();
        file.finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_and_a_missing_folder_are_named_and_a_device_is_written_straight() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Beside::create(dir.path()).unwrap_err().to_string().contains("is a folder"));
        assert!(Beside::create(&dir.path().join("no/a")).unwrap_err().to_string().contains("folder does not exist"));
        if cfg!(unix) {
            let mut null = Beside::create(Path::new("/dev/null")).unwrap();
            null.line("x").unwrap();
            null.finish().unwrap();
        }
    }
}
