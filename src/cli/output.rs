//! What people see: lines that survive a closed pipe, errors with hints, progress bars.

use std::io::Write;
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

use crate::artefact::ArtefactError;
use crate::config::ConfigError;
use crate::corpus::CorpusError;
use crate::eval::{CompareError, PredictionError};
use crate::models::{ModelError, Progress, RegistryError};
use crate::pipeline::FollowError;
use crate::retrieve::RetrieveError;
use crate::store::StoreError;

pub(super) const STRONG: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const RED: Style = AnsiColor::Red.on_default().bold();
pub(super) const GREEN: Style = AnsiColor::Green.on_default().bold();
pub(super) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
pub(super) const CYAN: Style = AnsiColor::Cyan.on_default();

/// A styled piece of text; the stream takes the style off where it is not a terminal.
pub(super) fn paint(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A line on standard output. A reader that has gone (`| head`) ends the program quietly.
pub(super) fn line(text: &str) -> anyhow::Result<()> {
    match writeln!(anstream::stdout(), "{text}") {
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => Ok(other?),
    }
}

/// Prints an error, its causes, and what to do.
pub(super) fn report(error: &anyhow::Error) -> ExitCode {
    let gone = |e: &(dyn std::error::Error + 'static)| {
        e.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(gone) {
        // Whoever read the output has had enough.
        return ExitCode::SUCCESS;
    }
    let mut text = format!("{} {error}\n", paint(RED, "error:"));
    for cause in error.chain().skip(1) {
        // Errors that are shown whole by their parents are not shown again.
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text += &format!("  caused by: {cause}\n");
        }
    }
    if let Some(hint) = error.chain().find_map(hint) {
        text += &format!("\n{} {hint}\n", paint(CYAN, "hint:"));
    }
    // Nothing can be done about a closed error stream.
    let _ = write!(anstream::stderr(), "{text}");
    let usage = error.chain().any(|e| e.is::<ConfigError>());
    ExitCode::from(if usage { 2 } else { 1 })
}

/// An error of the command line's own, with what to do.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Hinted {
    pub message: String,
    pub hint: String,
}

fn hint(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(e) = error.downcast_ref::<Hinted>() {
        return Some(e.hint.clone());
    }
    if let Some(e) = error.downcast_ref::<ModelError>() {
        return Some(e.hint().to_owned());
    }
    if let Some(e) = error.downcast_ref::<FollowError>() {
        return Some(e.hint());
    }
    if let Some(e) = error.downcast_ref::<RegistryError>() {
        return Some(e.hint());
    }
    if let Some(e) = error.downcast_ref::<StoreError>() {
        return Some(e.hint().to_owned());
    }
    if let Some(e) = error.downcast_ref::<RetrieveError>() {
        return match e {
            RetrieveError::Locked { .. } => {
                Some("a running `fenzhen serve` holds it: ask that one (`fenzhen triage --server URL`), or stop it first".into())
            }
            RetrieveError::Directory { .. } => Some("choose a folder that you may write to with --data".into()),
            // It says itself what to do.
            RetrieveError::Remote { .. } | RetrieveError::OtherStamp { .. } => None,
            _ => Some("`fenzhen index build` makes the index anew from the records".into()),
        };
    }
    if let Some(e) = error.downcast_ref::<ArtefactError>() {
        if matches!(e, ArtefactError::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull) {
            return Some(
                "make room and train again; what was there before is untouched, and a tuned branch is taken up where it was".into(),
            );
        }
        let train = e.kind().map_or("fenzhen train", |kind| kind.train);
        return Some(format!("train it anew (`{train}`), or do without: the shipped one answers then"));
    }
    if let Some(e) = error.downcast_ref::<CorpusError>() {
        return e.hint().filter(|hint| !hint.is_empty()).map(str::to_owned);
    }
    if error.is::<ConfigError>() {
        return Some("`fenzhen config show` prints every key with its value and where it comes from".into());
    }
    if error.is::<PredictionError>() {
        return Some("give a report folder or a predictions.jsonl that `fenzhen eval intents --out DIR` wrote".into());
    }
    if error.is::<CompareError>() {
        return Some("measure both on the same messages: `fenzhen eval intents --data FILE --out DIR`, once for each artefact".into());
    }
    if error.is::<crate::train::RecipeError>() {
        return Some("training/intent.toml, ner.toml, linking.toml and gate.toml show every key".into());
    }
    None
}

/// A bar on standard error; invisible where that is no terminal.
pub(super) fn bar(total: u64, what: &'static str) -> ProgressBar {
    let template = "{msg:20} {bar:32} {pos}/{len} {per_sec} {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style).with_message(what)
}

/// Shows work whose length may grow while it is done.
pub(super) fn advance(bar: &ProgressBar, done: usize, all: usize) {
    bar.set_length(all as u64);
    bar.set_position(done as u64);
}

const BYTES: &str = "  {msg:40} {bar:28} {bytes}/{total_bytes} {bytes_per_sec} {eta}";

/// A bar of bytes on standard error; invisible where that is no terminal.
pub(super) fn byte_bar(total: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template(BYTES).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(total).with_style(style).with_message(what)
}

/// Download progress as a bar, or as lines where standard error is no terminal.
#[derive(Default)]
pub(super) struct DownloadBar {
    bar: std::sync::Mutex<Option<ProgressBar>>,
}

impl Progress for DownloadBar {
    fn begin(&self, what: &str, total: u64) {
        let bar = if total > 0 {
            byte_bar(total, "")
        } else {
            let bar = ProgressBar::new_spinner();
            bar.enable_steady_tick(std::time::Duration::from_millis(100));
            bar
        };
        if bar.is_hidden() {
            let _ = writeln!(anstream::stderr(), "  {what} ...");
        }
        bar.set_message(what.to_owned());
        if let Ok(mut slot) = self.bar.lock() {
            *slot = Some(bar);
        }
    }

    fn at(&self, done: u64) {
        if let Ok(slot) = self.bar.lock()
            && let Some(bar) = slot.as_ref()
        {
            bar.set_position(done);
        }
    }

    fn end(&self) {
        if let Ok(mut slot) = self.bar.lock()
            && let Some(bar) = slot.take()
        {
            bar.finish();
        }
    }
}

pub(super) fn percent(p: f32) -> String {
    format!("{:.0} %", 100.0 * p)
}
