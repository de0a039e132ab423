//! What the commands share that learn from recorded messages: the records, the classifier that judges them, the encoder where it is
//! installed, times, files.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::str::FromStr;

use anyhow::Context;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, UtcOffset};

use super::output::{Hinted, bar};
use crate::app::{open_classifier, open_encoder, read_policy};
use crate::classify::{Cascade, Classifier, Threshold};
use crate::config::Config;
use crate::domain::Lang;
use crate::embed::{EncoderWorker, Role, SentenceEncoder};
use crate::models::ModelError;
use crate::store::{Recorded, RecordedTriage, Store};
use crate::train::{ClassifierRecipe, FoldParameters};

/// Rows read from the store at a time.
pub(super) const PAGE: u32 = 500;

/// The records of a data folder. Looking makes no folder.
pub(super) async fn open_records(config: &Config) -> anyhow::Result<Store> {
    let path = config.data.dir.join("fenzhen.db");
    if !path.exists() {
        return Err(Hinted {
            message: format!("there are no records in {}", config.data.dir.display()),
            hint: "name the folder that `fenzhen serve` works on with --data".into(),
        }
        .into());
    }
    Ok(Store::open(&path).await?)
}

/// Calls `each` with every chosen triage, by time, under a progress bar; answers how many there were.
///
/// # Errors
/// The store's, and where there is none.
pub(super) async fn for_each_recorded(
    store: &Store,
    config: &Config,
    chosen: Recorded<'_>,
    mut each: impl FnMut(RecordedTriage),
) -> anyhow::Result<u64> {
    let all = store.recorded_count(chosen).await?;
    if all == 0 {
        let what = if chosen.unjudged { "no recorded message without feedback" } else { "no recorded message" };
        let since = chosen.since.map(|s| format!(" since {s}")).unwrap_or_default();
        return Err(Hinted {
            message: format!("there is {what} in {}{since}", config.data.dir.display()),
            hint: "messages are kept when they are sent with \"record\": true (POST /v1/triage)".into(),
        }
        .into());
    }
    let progress = bar(all, "read messages");
    let mut after: Option<(String, String)> = None;
    loop {
        let page = store.recorded_triages(chosen, after.as_ref().map(|(time, id)| (time.as_str(), id.as_str())), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.created_at.clone(), last.id.clone()));
        progress.inc(page.len() as u64);
        page.into_iter().for_each(&mut each);
    }
    progress.finish_and_clear();
    Ok(all)
}

/// The classifier that is served, as far as these commands need it.
pub(super) struct Judge {
    classifier: Cascade,
    /// The probability that the policy asks of an intent.
    pub threshold: Option<f64>,
}

impl Judge {
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        let classifier = open_classifier(config, None)?;
        let precision = read_policy(config.gate.policy.as_deref())?.precision.intent;
        Ok(Judge { threshold: Threshold::at_least(&classifier.meta().fast.thresholds, precision), classifier })
    }

    /// Every label with its probability.
    pub(super) fn distribution(&self, normalized: &str, lang: Lang) -> Vec<(&str, f64)> {
        let judgement = self.classifier.judge(&self.classifier.row(normalized), lang, None);
        self.classifier.labels().iter().map(String::as_str).zip(judgement.probabilities).collect()
    }

    /// The most probable label.
    pub(super) fn best(&self, normalized: &str, lang: Lang) -> (&str, f64) {
        let best = self.distribution(normalized, lang).into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
        best.unwrap_or_default()
    }

    /// Whether a word was learned.
    pub(super) fn knows(&self, word: &str) -> bool {
        let feature = format!("w:{word}");
        // The vocabulary stands in the order of its bytes.
        self.classifier.sparse().vectorizer.vocabulary.binary_search_by(|known| (**known).cmp(&feature)).is_ok()
    }

    /// How the classifier was fitted, for others to be fitted alike.
    pub(super) fn parameters(&self) -> FoldParameters {
        let meta = self.classifier.meta();
        let recipe: Option<ClassifierRecipe> = serde_json::from_value(meta.recipe.clone()).ok();
        let sparse = recipe.map(|r| r.sparse).unwrap_or_default();
        FoldParameters { features: meta.features.clone(), alpha: sparse.alpha, min_df: sparse.min_df }
    }
}

/// The encoder, or why there is none.
pub(super) fn encoder_if_installed(config: &Config) -> anyhow::Result<Result<EncoderWorker, String>> {
    match open_encoder(config) {
        Ok(encoder) => Ok(Ok(encoder)),
        // A damaged or outdated model is as good as none: these commands can do without.
        Err(error) => match error.downcast_ref::<ModelError>() {
            Some(missing) => Ok(Err(format!("{missing} ({})", missing.hint()))),
            None => Err(error),
        },
    }
}

/// Texts encoded between two steps of the bar.
const ENCODED_AT_ONCE: usize = 64;

/// Vectors of messages, under a progress bar.
pub(super) fn encode(encoder: &EncoderWorker, texts: &[String], what: &'static str) -> anyhow::Result<Vec<Vec<f32>>> {
    let progress = bar(texts.len() as u64, what);
    let mut vectors = Vec::with_capacity(texts.len());
    for chunk in texts.chunks(ENCODED_AT_ONCE) {
        vectors.extend(encoder.encode_bulk(chunk, Role::Query)?);
        progress.inc(chunk.len() as u64);
    }
    progress.finish_and_clear();
    Ok(vectors)
}

/// A day or a time on the command line, as [`Recorded::since`] wants it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Since(pub String);

impl FromStr for Since {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let day = Date::parse(s, format_description!("[year]-[month]-[day]")).map(|d| d.midnight().assume_utc());
        let time = day.or_else(|_| OffsetDateTime::parse(s, &Rfc3339));
        let time = time.map_err(|_| format!("{s:?} is neither a day (2026-01-31) nor a time (2026-01-31T08:00:00Z)"))?;
        let utc = time.checked_to_offset(UtcOffset::UTC).ok_or("the time lies outside the calendar")?;
        let text = utc.format(format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]"));
        text.map(Since).map_err(|e| e.to_string())
    }
}

/// Writes a file of lines: beside its place, which it takes when it is whole.
pub(super) fn write_lines(path: &Path, lines: impl Iterator<Item = anyhow::Result<String>>) -> anyhow::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".part");
    let fresh = Path::new(&fresh);
    let write = || -> anyhow::Result<()> {
        let mut file = BufWriter::new(File::create(fresh)?);
        for line in lines {
            writeln!(file, "{}", line?)?;
        }
        file.into_inner().map_err(|e| e.into_error())?.sync_all()?;
        Ok(fs::rename(fresh, path)?)
    };
    let written = write();
    if written.is_err() {
        // Whatever is left of it is of no use.
        let _ = fs::remove_file(fresh);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// The beginning of a text on one line.
pub(super) fn shortened(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= most { line } else { line.chars().take(most).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times_are_understood_and_other_words_are_not() {
        for (text, want) in [
            ("2026-01-31", Some("2026-01-31T00:00:00")),
            ("2026-01-31T08:00:00Z", Some("2026-01-31T08:00:00")),
            ("2026-01-31T08:00:00.75+08:00", Some("2026-01-31T00:00:00")),
            ("2026-02-30", None),
            ("31.01.2026", None),
            ("9999-12-31T23:59:59-12:00", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Since>().ok().map(|s| s.0).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn a_file_is_written_whole_or_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.jsonl");
        write_lines(&path, ["a", "b"].into_iter().map(|l| Ok(l.to_owned()))).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\nb\n");
        let broken = [Ok("c".to_owned()), Err(anyhow::anyhow!("no more"))];
        assert!(format!("{:#}", write_lines(&path, broken.into_iter()).unwrap_err()).contains("no more"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\nb\n");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert!(write_lines(&dir.path().join("no/such/rows"), std::iter::empty()).is_err());
        assert!(write_lines(dir.path(), std::iter::empty()).is_err());
    }

    #[test]
    fn a_text_is_shortened_by_characters() {
        assert_eq!(shortened("货 呢\n\n在哪", 10), "货 呢 在哪");
        assert_eq!(shortened("一二三四五", 3), "一二三…");
    }
}
