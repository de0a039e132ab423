//! The report folder: `predictions.jsonl`, `metrics.json`, `report.md` and `report.html`, all from predictions.

mod charts;
mod html;
mod markdown;
mod metrics;
mod training;
mod views;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

pub use charts::learning_curve_svg;
pub use html::{page, training_page};
pub use markdown::{curve_markdown, folds_markdown, markdown, training_markdown};
pub use metrics::{BINS, Figures, Header, Metrics};
pub use training::{CurvePoint, Fold};

use super::prediction::{PREDICTIONS, Prediction, write_predictions};

#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    #[error("{}: {source}", .path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the report's template is broken: {0}")]
    Template(#[from] minijinja::Error),
}

/// What a file of a report is filled with.
type Fill<'a> = &'a dyn Fn(&mut dyn Write) -> std::io::Result<()>;

/// Writes a report folder, which may be there already; other files in it are left alone.
///
/// # Errors
/// The disk's; nothing of an earlier report is lost then.
pub fn write_report(dir: &Path, metrics: &Metrics, predictions: &[Prediction]) -> Result<(), ReportError> {
    let html = page(metrics, predictions)?;
    let markdown = markdown(metrics, predictions);
    write_files(
        dir,
        &[
            (PREDICTIONS, &|to| write_predictions(predictions, to)),
            ("metrics.json", &|to| pretty(metrics, to)),
            ("report.md", &|to| to.write_all(markdown.as_bytes())),
            ("report.html", &|to| to.write_all(html.as_bytes())),
        ],
    )
}

/// Writes `training.json`, `training.md` and `training.html`: a learning curve, the folds of a cross-validation, or both.
///
/// # Errors
/// As [`write_report`].
pub fn write_training(dir: &Path, header: &Header, curve: &[CurvePoint], folds: &[Fold]) -> Result<(), ReportError> {
    let html = training_page(header, curve, folds)?;
    let markdown = training_markdown(header, curve, folds);
    let json = serde_json::json!({ "model": header.model, "data": header.data, "date": header.date, "curve": curve, "folds": folds });
    write_files(
        dir,
        &[
            ("training.json", &|to| pretty(&json, to)),
            ("training.md", &|to| to.write_all(markdown.as_bytes())),
            ("training.html", &|to| to.write_all(html.as_bytes())),
        ],
    )
}

fn pretty(value: &impl serde::Serialize, mut to: &mut dyn Write) -> std::io::Result<()> {
    serde_json::to_writer_pretty(&mut to, value)?;
    to.write_all(b"\n")
}

/// Writes all files beside their places, and only when all are whole, renames them.
fn write_files(dir: &Path, files: &[(&str, Fill<'_>)]) -> Result<(), ReportError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ReportError::Io { path, source }
    };
    std::fs::create_dir_all(dir).map_err(io(dir))?;
    let fresh = |name: &str| dir.join(format!("{name}.new"));
    let write = |(name, fill): &(&str, Fill<'_>)| {
        let path = fresh(name);
        let written = File::create(&path).map(BufWriter::new).and_then(|mut to| fill(&mut to).and_then(|()| to.flush()));
        written.map_err(io(&path))
    };
    let rename = |(name, _): &(&str, Fill<'_>)| {
        let path = dir.join(name);
        std::fs::rename(fresh(name), &path).map_err(io(&path))
    };
    let done = files.iter().try_for_each(write).and_then(|()| files.iter().try_for_each(rename));
    if done.is_err() {
        // What is left of a failed attempt; the error that led here says more than one of these would.
        files.iter().for_each(|(name, _)| drop(std::fs::remove_file(fresh(name))));
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_earlier_files_and_no_halves() {
        let dir = tempfile::tempdir().unwrap();
        let say = |text: &'static str| move |to: &mut dyn Write| to.write_all(text.as_bytes());
        let (old, new) = (say("old"), say("new"));
        write_files(dir.path(), &[("a", &old), ("b", &old)]).unwrap();
        let full = |_: &mut dyn Write| Err(std::io::Error::other("disk full"));
        let error = write_files(dir.path(), &[("a", &new), ("b", &full)]).unwrap_err().to_string();
        assert!(error.contains("b.new: disk full"), "{error}");
        assert_eq!(std::fs::read_to_string(dir.path().join("a")).unwrap(), "old");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
        write_files(dir.path(), &[("a", &new)]).unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("a")).unwrap(), "new");
    }
}
