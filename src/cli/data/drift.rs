//! `fenzhen data drift`: are the messages still those that the classifier was trained for?

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::super::learning::{Judge, Since, encode, encoder_if_installed, for_each_recorded, open_records};
use super::super::output::line;
use super::super::{DataFolder, Global, runtime};
use crate::config::Config;
use crate::corpus::{Example, read_jsonl};
use crate::eval::{Measured, Profile, drift, embedding_drift};
use crate::store::Recorded;
use crate::text::normalize;

#[derive(Debug, Args)]
#[command(
    after_help = "Labels are the classifier's for recorded messages and the given ones of the training file. Below its first limit a figure is stable, from the second on drifted, between them to be watched; what chance brings about in one case of twenty is stable. The shipped training set holds about as many rows of every intent, and traffic does not: once you have labelled messages of your own (`data export --feedback`), name them with --against."
)]
pub(super) struct DriftCommand {
    #[command(flatten)]
    folder: DataFolder,
    /// The training set, JSON Lines of {"text", "intent", "lang"}
    #[arg(long, default_value = "datasets/intents/train.jsonl", value_name = "FILE")]
    against: PathBuf,
    /// Labelled messages that were not trained on, for the confidences; valid.jsonl beside the training set where it is absent
    #[arg(long, value_name = "FILE")]
    valid: Option<PathBuf>,
    /// Messages recorded from this day (2026-01-31) or time (2026-01-31T08:00:00Z) on
    #[arg(long, value_name = "DATE")]
    since: Option<Since>,
    /// Most messages of either side that are encoded, drawn at random
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=100_000), value_name = "N")]
    sample: u32,
    /// Leave the sentence vectors out
    #[arg(long)]
    no_encoder: bool,
    /// JSON, for programs
    #[arg(long)]
    json: bool,
}

impl DriftCommand {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let config = global.start(Some(&self.folder))?;
        let judge = Judge::open(&config)?;
        let training: Vec<Example> = read_jsonl(&self.against)?;
        anyhow::ensure!(!training.is_empty(), "{} holds no row", self.against.display());
        let mut measured = Measured { threshold: judge.threshold, ..Measured::default() };
        measured.validation = self.confidences(&judge, &mut measured.skipped)?;

        let (mut before, mut now) = (Profile::default(), Profile::default());
        let [mut trained_on, mut recorded] = [1, 2].map(|seed| Sample::new(self.sample as usize, seed));
        for row in &training {
            before.add(&normalize(&row.text).text, row.lang, &row.intent, None);
            trained_on.add(&row.text);
        }
        runtime()?.block_on(async {
            let store = open_records(&config).await?;
            let chosen = Recorded { since: self.since.as_ref().map(|s| s.0.as_str()), unjudged: false };
            for_each_recorded(&store, &config, chosen, |triage| {
                let clean = normalize(&triage.text).text;
                let (label, confidence) = judge.best(&clean, triage.lang);
                now.add(&clean, triage.lang, label, Some(confidence));
                recorded.add(&triage.text);
            })
            .await?;
            store.close().await;
            anyhow::Ok(())
        })?;
        self.vectors(&config, &trained_on.texts, &recorded.texts, &mut measured)?;
        let report = drift(&before, &now, measured);
        line(&if self.json { serde_json::to_string_pretty(&report)? } else { report.markdown().trim_end().to_owned() })?;
        Ok(ExitCode::SUCCESS)
    }

    /// The classifier's confidences on validation messages.
    fn confidences(&self, judge: &Judge, skipped: &mut Vec<String>) -> anyhow::Result<Option<Vec<f64>>> {
        let beside = self.against.parent().unwrap_or(Path::new("")).join("valid.jsonl");
        let path = match &self.valid {
            Some(path) => path,
            None if beside.exists() => &beside,
            None => {
                skipped.push(format!("the confidences, since there is no {} (--valid names another file)", beside.display()));
                return Ok(None);
            }
        };
        let rows: Vec<Example> = read_jsonl(path)?;
        Ok(Some(rows.iter().map(|row| judge.best(&normalize(&row.text).text, row.lang).1).collect()))
    }

    fn vectors(&self, config: &Config, trained_on: &[String], recorded: &[String], measured: &mut Measured) -> anyhow::Result<()> {
        if self.no_encoder {
            measured.skipped.push("the sentence vectors, as was asked for".into());
            return Ok(());
        }
        match encoder_if_installed(config)? {
            Ok(encoder) => {
                let before = encode(&encoder, trained_on, "encode training set")?;
                let now = encode(&encoder, recorded, "encode messages")?;
                measured.embedding = embedding_drift(&before, &now);
            }
            Err(why) => measured.skipped.push(format!("the sentence vectors: {why}")),
        }
        Ok(())
    }
}

/// A sample of texts of which each is as likely to be in as any other, however many come (Vitter, 1985, algorithm R).
struct Sample {
    size: usize,
    seen: usize,
    texts: Vec<String>,
    random: ChaCha8Rng,
}

impl Sample {
    fn new(size: usize, seed: u64) -> Self {
        Sample { size, seen: 0, texts: Vec::new(), random: ChaCha8Rng::seed_from_u64(seed) }
    }

    fn add(&mut self, text: &str) {
        self.seen += 1;
        if self.texts.len() < self.size {
            self.texts.push(text.to_owned());
        } else if let Some(place) = self.texts.get_mut(self.random.random_range(0..self.seen)) {
            *place = text.to_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_bounded_and_reaches_all_of_the_stream() {
        let mut sample = Sample::new(100, 1);
        (0..10_000).for_each(|i| sample.add(&i.to_string()));
        assert_eq!(sample.texts.len(), 100);
        let late = sample.texts.iter().filter(|t| t.parse::<u32>().is_ok_and(|n| n >= 5000)).count();
        assert!((30..70).contains(&late), "{late} of 100 come from the second half");
        let mut short = Sample::new(100, 1);
        short.add("one");
        assert_eq!(short.texts, ["one"]);
    }
}
