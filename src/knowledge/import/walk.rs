//! The files of a folder: sorted, hidden ones passed over, each once whatever links lead to it.

use std::collections::{HashSet, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};

use super::ImportError;
use super::gather::Gather;

/// Files that one import takes.
const MOST_FILES: usize = 50_000;

/// Paths in a folder and all below it, in the order of their names. Folders that cannot be read are skipped with their reason.
///
/// # Errors
/// More than [`MOST_FILES`] files.
pub(super) fn files(root: &Path, gather: &mut Gather) -> Result<Vec<PathBuf>, ImportError> {
    files_up_to(root, MOST_FILES, gather)
}

fn files_up_to(root: &Path, most: usize, gather: &mut Gather) -> Result<Vec<PathBuf>, ImportError> {
    let mut files = Vec::new();
    let mut seen = HashSet::new();
    // Links wait until all that is really there has been seen, so that a file keeps its own path.
    let (mut folders, mut links) = (VecDeque::from([root.to_owned()]), VecDeque::new());
    loop {
        let folder = match folders.pop_front() {
            Some(folder) => folder,
            None => match links.pop_front() {
                Some(link) => {
                    let kind = fs::metadata(&link).map(|meta| (meta.is_dir(), meta.is_file()));
                    match kind {
                        Ok((true, _)) => folders.push_back(link),
                        Ok((_, true)) if new(&link, &mut seen) => files.push(link),
                        Ok(_) => {}
                        Err(fault) => {
                            gather.skip(link.display().to_string(), format!("the link leads nowhere ({fault}): mend or delete it"))
                        }
                    }
                    continue;
                }
                None => break,
            },
        };
        if !new(&folder, &mut seen) {
            continue;
        }
        let mut entries: Vec<PathBuf> = match fs::read_dir(&folder) {
            Ok(entries) => entries.filter_map(Result::ok).map(|entry| entry.path()).collect(),
            Err(fault) => {
                gather.skip(folder.display().to_string(), format!("the folder cannot be read ({fault}): check its rights"));
                continue;
            }
        };
        entries.sort();
        for path in entries.into_iter().filter(|path| !hidden(path)) {
            match fs::symlink_metadata(&path).map(|meta| meta.file_type()) {
                Ok(kind) if kind.is_symlink() => links.push_back(path),
                Ok(kind) if kind.is_dir() => folders.push_back(path),
                Ok(kind) if kind.is_file() && new(&path, &mut seen) => files.push(path),
                // Pipes and devices; what went away meanwhile.
                _ => {}
            }
        }
        if files.len() > most {
            return Err(ImportError::TooMany { place: root.display().to_string(), most });
        }
    }
    files.sort();
    Ok(files)
}

/// Whether it was not seen before, by whatever path.
fn new(path: &Path, seen: &mut HashSet<PathBuf>) -> bool {
    seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()))
}

fn hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::ImportOptions;
    use super::*;

    #[test]
    fn each_file_is_found_once_by_its_own_path() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join(path);
        for folder in ["b/deep", "c", ".git", "other"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        for file in ["z.md", "b/deep/a.md", "c/a.md", ".git/config", ".hidden.md"] {
            fs::write(at(file), "x").unwrap();
        }
        symlink(at("b"), at("a")).unwrap();
        symlink(dir.path(), at("b/deep/up")).unwrap();
        symlink(at("z.md"), at("c/again.md")).unwrap();
        symlink(at("nowhere"), at("c/broken.md")).unwrap();
        let options = ImportOptions::default();
        let mut gather = Gather::new(&options);
        let found = files(dir.path(), &mut gather).unwrap();
        assert_eq!(found, [at("b/deep/a.md"), at("c/a.md"), at("z.md")]);
        let skipped = gather.finish().skipped;
        assert!(skipped.len() == 1 && skipped[0].place.ends_with("broken.md"), "{skipped:?}");
    }

    #[test]
    fn links_that_lead_outside_are_followed() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(other.path().join("a.md"), "x").unwrap();
        symlink(other.path(), dir.path().join("more")).unwrap();
        let options = ImportOptions::default();
        assert_eq!(files(dir.path(), &mut Gather::new(&options)).unwrap(), [dir.path().join("more/a.md")]);
    }

    #[test]
    fn too_many_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..4 {
            fs::write(dir.path().join(format!("{n}.md")), "x").unwrap();
        }
        let options = ImportOptions::default();
        assert!(files_up_to(dir.path(), 4, &mut Gather::new(&options)).is_ok());
        let fault = files_up_to(dir.path(), 3, &mut Gather::new(&options)).unwrap_err().to_string();
        assert!(fault.contains("more than 3 files") && fault.contains("subfolders"), "{fault}");
    }
}
