//! `fenzhen data informative`: which recorded messages an agent should label next.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::super::learning::{Judge, Since, encode, encoder_if_installed, for_each_recorded, open_records, shortened, write_lines};
use super::super::output::{DIM, GREEN, STRONG, YELLOW, line, paint, percent};
use super::super::{DataFolder, Global, runtime};
use crate::eval::{Candidate, Informative, Likeness, Pool, for_each_word, most_informative};
use crate::store::Recorded;
use crate::text::{Features, normalize};

#[derive(Debug, Args)]
#[command(
    after_help = "A message is worth a label when the classifier hesitates between two intents, when others like it wait, and when it holds words that the classifier does not know; of messages that are alike one is listed. Messages with feedback are left out."
)]
pub(super) struct InformativeCommand {
    #[command(flatten)]
    folder: DataFolder,
    /// Messages to list
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=5000))]
    count: u32,
    /// Messages recorded from this day (2026-01-31) or time (2026-01-31T08:00:00Z) on
    #[arg(long, value_name = "DATE")]
    since: Option<Since>,
    /// Tell likeness by spelling and not by the encoder's vectors
    #[arg(long)]
    no_encoder: bool,
    /// JSON, for programs
    #[arg(long)]
    json: bool,
    /// Write the list here, as JSON Lines
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Candidates for each message wanted, and the fewest: the list is chosen among them, pair by pair.
const POOL: (usize, usize) = (20, 1000);
const LARGEST_POOL: usize = 5000;

impl InformativeCommand {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let config = global.start(Some(&self.folder))?;
        let judge = Judge::open(&config)?;
        let count = self.count as usize;
        let mut pool = Pool::new((POOL.0 * count).clamp(POOL.1, LARGEST_POOL));
        let mut scratch = Features::default();
        let messages = runtime()?.block_on(async {
            let store = open_records(&config).await?;
            let chosen = Recorded { since: self.since.as_ref().map(|s| s.0.as_str()), unjudged: true };
            let messages = for_each_recorded(&store, &config, chosen, |triage| {
                let clean = normalize(&triage.text).text;
                let mut words = Vec::new();
                for_each_word(&mut scratch, &clean, &mut |word| words.push((word.to_owned(), judge.knows(word))));
                let distribution = judge.distribution(&clean, triage.lang);
                let candidate = Candidate::new(triage.id, triage.created_at, triage.text, triage.lang, &distribution, &words);
                pool.add(clean, candidate);
            })
            .await?;
            store.close().await;
            anyhow::Ok(messages)
        })?;
        let candidates = pool.finish();
        let likeness = if self.no_encoder {
            Likeness::of_texts(&candidates)
        } else {
            match encoder_if_installed(&config)? {
                Ok(encoder) => {
                    let texts: Vec<String> = candidates.iter().map(|c| c.text.clone()).collect();
                    Likeness::of_vectors(&candidates, encode(&encoder, &texts, "encode")?)
                }
                Err(why) => {
                    anstream::eprintln!("{} likeness is told by spelling: {why}", paint(YELLOW, "note:"));
                    Likeness::of_texts(&candidates)
                }
            }
        };
        let list = most_informative(&candidates, &likeness, count);
        if let Some(path) = &self.out {
            write_lines(path, list.iter().map(|row| Ok(serde_json::to_string(row)?)))?;
        }
        match (&self.out, self.json) {
            (_, true) => line(&serde_json::to_string_pretty(&list)?)?,
            (Some(path), false) => {
                line(&format!("{} {} of {messages} messages in {}", paint(GREEN, "✓"), list.len(), path.display()))?;
            }
            (None, false) => show(&list, messages)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(list: &[Informative], messages: u64) -> anyhow::Result<()> {
    line(&paint(DIM, format!("{} of {messages} recorded messages without feedback, the most informative first", list.len())))?;
    for (at, row) in list.iter().enumerate() {
        let candidate = &row.candidate;
        let guess = format!("{} {}", candidate.guess.id, percent(candidate.guess.confidence));
        line(&format!("{:>4}  {}", at + 1, paint(STRONG, shortened(&candidate.text, 100))))?;
        line(&format!("      {guess}  {}  {}", paint(DIM, &candidate.triage_id), row.why.join("; ")))?;
    }
    Ok(())
}
