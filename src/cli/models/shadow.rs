//! `fenzhen models shadow`: the challenger beside the champion.

use std::path::PathBuf;

use super::super::output::{DIM, GREEN, Hinted, RED, STRONG, YELLOW, line, paint, percent};
use super::super::service::Client;
use super::open_registry;
use crate::classify::SHIPPED_NAME;
use crate::config::Config;
use crate::domain::ShadowReport;
use crate::models::registry::CHALLENGER;
use crate::pipeline::SHADOW_FILE;

#[derive(Debug, clap::Args)]
#[command(after_help = "Asks the service that runs on the data folder, or --server; where none runs, shows what the last one wrote down.
A challenger is named with: fenzhen models alias intent challenger VERSION")]
pub(super) struct Args {
    /// The model
    #[arg(default_value = SHIPPED_NAME)]
    name: String,
    /// Ask this service
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Disagreements shown
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
    /// JSON, for programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(config: &Config, args: &Args) -> anyhow::Result<()> {
    let (report, from) = fetch(config, args)?;
    if args.json {
        return line(&serde_json::to_string_pretty(&report)?);
    }
    show(&report, &from, args.limit)
}

/// The report, and where it is from.
fn fetch(config: &Config, args: &Args) -> anyhow::Result<(ShadowReport, String)> {
    if let Some(client) = args.server.as_deref().map(Client::new).or_else(|| Client::running(&config.data.dir)) {
        let answer = client.get(&format!("/v1/models/{}/shadow", args.name))?;
        return Ok((serde_json::from_value(answer)?, client.url().to_owned()));
    }
    let registry = open_registry(config)?;
    registry.model(&args.name)?;
    let file: PathBuf = registry.root().join(&args.name).join(SHADOW_FILE);
    match registry.read_note(&args.name, SHADOW_FILE)? {
        Some(report) => Ok((report, format!("written down in {}", file.display()))),
        None => Err(Hinted {
            message: format!("no service runs on {}, and none has written down what a challenger of {} said", config.data.dir.display(), args.name),
            hint: format!(
                "name one (`fenzhen models alias {} {CHALLENGER} VERSION`) and let messages come: `fenzhen serve`, or `fenzhen triage --file FILE`; \
                 --server URL asks a service elsewhere",
                args.name
            ),
        }
        .into()),
    }
}

fn show(r: &ShadowReport, from: &str, limit: usize) -> anyhow::Result<()> {
    line(&format!(
        "{} beside {} {}",
        paint(STRONG, &r.challenger),
        paint(STRONG, &r.champion),
        paint(DIM, format!("since {}, {from}", r.since))
    ))?;
    let Some(agreement) = r.agreement else {
        return line(&format!("no message yet, {} dropped", r.dropped));
    };
    line(&format!(
        "agreement {}   {} messages: {} agreed, {} disagreed   {} dropped while it was busy",
        paint(GREEN, format!("{:.1} %", 100.0 * agreement)),
        r.messages,
        r.agreed,
        r.disagreed,
        r.dropped
    ))?;
    let m = r.mean_confidence;
    line(&format!("mean confidence: champion {:.3}, challenger {:.3}", m.champion, m.challenger))?;
    if !r.pairs.is_empty() {
        line(&format!("\n{:>6}  {:24} {}", "times", "champion", "challenger"))?;
    }
    for pair in r.pairs.iter().take(limit) {
        line(&format!("{:>6}  {} {}", pair.n, paint(RED, format!("{:24}", pair.champion)), paint(YELLOW, &pair.challenger)))?;
    }
    if !r.disagreements.is_empty() {
        line(&format!("\nlast disagreements {}", paint(DIM, format!("{} kept, --json shows all", r.disagreements.len()))))?;
    }
    for d in r.disagreements.iter().take(limit) {
        let text: String = d.text.replace(['\n', '\r'], " ").chars().take(60).collect();
        let said = |s: &crate::domain::IntentScore| format!("{} {}", s.id, percent(s.confidence));
        line(&format!("  {text}\n    {} {} {}", paint(RED, said(&d.champion)), paint(DIM, "→"), paint(YELLOW, said(&d.challenger))))?;
    }
    Ok(())
}
