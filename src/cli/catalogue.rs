//! `fenzhen catalogue`: what the shop sells, from a file, without a running service.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use clap::{Args, Subcommand};

use super::output::{DIM, GREEN, RED, YELLOW, line, paint};
use super::{DataFolder, Global, runtime};
use crate::corpus::{CatalogueFile, read_catalogue};
use crate::store::Store;

#[derive(Debug, Args)]
pub(super) struct Catalogue {
    #[command(flatten)]
    folder: DataFolder,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Args)]
struct Source {
    /// CSV with a header, a JSON array, or JSON Lines of {"sku", "title", "brand"?, "category"?, "attributes"?, ...}
    file: PathBuf,
    /// Name a field for a column of the CSV: --map 款式编码=sku --map 花色=color
    #[arg(long = "map", value_name = "COLUMN=FIELD", value_parser = pair)]
    columns: Vec<(String, String)>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Import SKUs; all rows or none
    Import {
        #[command(flatten)]
        source: Source,
        /// Delete the SKUs that are not in the file
        #[arg(long)]
        replace: bool,
        /// Import the sound rows and name the broken ones
        #[arg(long)]
        skip_bad: bool,
    },
    /// Check a file and import nothing
    Validate {
        #[command(flatten)]
        source: Source,
    },
}

/// Faults and warnings shown of each.
const SHOWN: usize = 20;

fn pair(text: &str) -> Result<(String, String), String> {
    let (column, field) = text.split_once('=').filter(|(c, f)| !c.is_empty() && !f.is_empty()).ok_or("write it as COLUMN=FIELD")?;
    Ok((column.to_owned(), field.to_owned()))
}

impl Catalogue {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        match self.action {
            Action::Validate { source } => {
                let file = read(&source)?;
                let sound = file.faults.is_empty();
                let sign = if sound { paint(GREEN, "✓") } else { paint(RED, "✗") };
                line(&format!(
                    "{sign} {}: {} sound rows, {} broken, {} warnings",
                    source.file.display(),
                    file.items.len(),
                    file.faults.len(),
                    file.warnings.len()
                ))?;
                Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
            }
            Action::Import { source, replace, skip_bad } => {
                let file = read(&source)?;
                refuse(&source.file, &file, skip_bad)?;
                let config = global.start(Some(&self.folder))?;
                let begin = Instant::now();
                let counts = runtime()?.block_on(async {
                    std::fs::create_dir_all(&config.data.dir).with_context(|| config.data.dir.display().to_string())?;
                    let store = Store::open(&config.data.dir.join("fenzhen.db")).await?;
                    anyhow::Ok(store.put_catalogue(&file.items, replace).await?)
                })?;
                line(&format!(
                    "{} {} SKUs: {} created, {} updated, {} unchanged, {} deleted {}",
                    paint(GREEN, "✓"),
                    file.items.len(),
                    counts.created,
                    counts.updated,
                    counts.unchanged,
                    counts.deleted,
                    paint(DIM, format!("in {:.1} s", begin.elapsed().as_secs_f64()))
                ))?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// Reads the file and says what is wrong with it.
fn read(source: &Source) -> anyhow::Result<CatalogueFile> {
    let file = read_catalogue(&source.file, &source.columns)?;
    for fault in file.faults.iter().take(SHOWN) {
        anstream::eprintln!("{} line {}: {}", paint(RED, "✗"), fault.line, fault.why);
    }
    for warning in file.warnings.iter().take(SHOWN) {
        anstream::eprintln!("{} {warning}", paint(YELLOW, "!"));
    }
    for (what, n) in [("broken rows", file.faults.len()), ("warnings", file.warnings.len())] {
        if n > SHOWN {
            anstream::eprintln!("{}", paint(DIM, format!("and {} more {what}", n - SHOWN)));
        }
    }
    Ok(file)
}

fn refuse(path: &Path, file: &CatalogueFile, skip_bad: bool) -> anyhow::Result<()> {
    if !skip_bad && !file.faults.is_empty() {
        let broken = file.faults.len();
        anyhow::bail!("{}: {broken} broken rows, nothing was imported; mend them, or import the others with --skip-bad", path.display());
    }
    anyhow::ensure!(!file.items.is_empty(), "{} holds no row that can be imported", path.display());
    Ok(())
}
