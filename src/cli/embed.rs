//! `fenzhen embed`: sentence vectors for other programs, and for holding the encoder against others.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::Global;
use super::output::{DIM, line, paint};
use crate::app::open_pretrained_encoder;
use crate::embed::{Role, SentenceEncoder};

#[derive(Debug, Args)]
pub(super) struct Embed {
    /// A file of texts, one a line
    file: PathBuf,
    #[arg(long, value_enum, default_value_t = RoleArgument::Query)]
    role: RoleArgument,
    /// One forward pass a text, and the times of the passes on standard error: the latency of single messages
    #[arg(long)]
    single: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleArgument {
    Query,
    Passage,
}

impl Embed {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let encoder = open_pretrained_encoder(&global.start(None)?)?;
        let text = std::fs::read_to_string(&self.file).with_context(|| self.file.display().to_string())?;
        let texts: Vec<String> = text.lines().filter(|l| !l.trim().is_empty()).map(str::to_owned).collect();
        let role = match self.role {
            RoleArgument::Query => Role::Query,
            RoleArgument::Passage => Role::Passage,
        };
        let begin = Instant::now();
        let vectors = if self.single {
            let mut times = Vec::with_capacity(texts.len());
            let mut vectors = Vec::with_capacity(texts.len());
            for text in &texts {
                let begin = Instant::now();
                vectors.extend(encoder.encode_bulk(std::slice::from_ref(text), role)?);
                times.push(begin.elapsed().as_secs_f64() * 1e3);
            }
            times.sort_by(f64::total_cmp);
            let at = |q: usize| times.get((times.len().saturating_sub(1)) * q / 100).copied().unwrap_or(0.0);
            anstream::eprintln!("{}", paint(DIM, format!("n {} p50 {:.2} ms p99 {:.2} ms", times.len(), at(50), at(99))));
            vectors
        } else {
            encoder.encode_bulk(&texts, role)?
        };
        anstream::eprintln!("{}", paint(DIM, format!("{} texts in {:.3} s", texts.len(), begin.elapsed().as_secs_f64())));
        for vector in vectors {
            line(&serde_json::to_string(&vector)?)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
