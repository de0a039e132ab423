//! The command line: a file a command. Parses, calls the rooms, prints for people (or JSON for programs), and turns errors into
//! `error:` with its causes and a `hint:`.

mod articles;
mod bench;
mod catalogue;
mod config;
mod data;
mod embed;
mod eval;
mod health;
mod index;
mod learning;
mod linking;
mod models;
mod output;
mod public;
mod replies;
mod retrieval;
mod serve;
mod service;
mod study;
mod tagging;
mod train;
mod triage;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::app::App;
use crate::config::{Config, Loaded};
use crate::domain::{Article, TicketRecord};
use crate::models::timestamp;

/// Triage for customer support, Chinese and English: intent with an honest probability, entities, similar tickets, answers, and a decision.
#[derive(Debug, Parser)]
#[command(
    name = "fenzhen",
    version,
    after_help = "Begin with:\n  fenzhen models pull                 fetch the pretrained models (about 75 MB, once)\n  fenzhen serve --demo                serve a demo shop on http://127.0.0.1:8080\n  fenzhen triage \"我的快递三天没动了\"   triage one message in the terminal"
)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Args)]
struct Global {
    /// Configuration file (TOML); `fenzhen config show` prints every key
    #[arg(long, global = true, value_name = "FILE", env = "FENZHEN_CONFIG")]
    config: Option<PathBuf>,
    /// Any configuration key, for example --option encoder.queue=64
    #[arg(long = "option", global = true, value_name = "KEY=VALUE")]
    options: Vec<String>,
}

/// For commands that work on a shop's records.
#[derive(Debug, Clone, Args)]
struct DataFolder {
    /// Folder of records and indexes (data.dir)
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl DataFolder {
    fn setting(&self) -> Option<String> {
        self.data.as_ref().map(|d| d.display().to_string())
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the HTTP API and the start page
    Serve(serve::Serve),
    /// Triage a message, standard input or a file of messages
    Triage(triage::TriageCommand),
    /// Train a model from a recipe
    Train(train::Train),
    /// Measure a model on a labelled set
    Eval(eval::Eval),
    /// Print sentence vectors, one JSON array a line
    Embed(embed::Embed),
    /// Import, check, split, describe and export labelled data; learn from recorded messages and feedback
    Data(data::Data),
    /// Build and check the search indexes
    Index(index::Index),
    /// Import knowledge-base articles
    Articles(articles::Articles),
    /// Import and check what the shop sells
    Catalogue(catalogue::Catalogue),
    /// Fetch pretrained models; list, compare, promote and roll back trained ones
    Models(models::Models),
    /// Show and check the configuration
    Config(config::ConfigCommand),
    /// Ask a running service whether it is ready (exit code 0 or 1)
    Health(health::Health),
    /// Print the OpenAPI document
    Openapi,
}

/// The program.
pub fn main() -> ExitCode {
    one_thread_a_product();
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(e) => output::report(&e),
    }
}

/// candle's products stay on the thread that asks for them; `embed::worker` says why. candle reads nothing but the environment for it.
#[expect(unsafe_code, reason = "the environment is changed before any other thread exists, which is when it is sound")]
fn one_thread_a_product() {
    if std::env::var_os("CANDLE_NUM_THREADS").is_none() {
        // SAFETY: called first thing in `main`, while this is the only thread.
        unsafe { std::env::set_var("CANDLE_NUM_THREADS", "1") };
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let global = &cli.global;
    match cli.command {
        Command::Serve(command) => command.run(global),
        Command::Triage(command) => command.run(global),
        Command::Train(command) => command.run(global),
        Command::Eval(command) => command.run(global),
        Command::Embed(command) => command.run(global),
        Command::Data(command) => command.run(global),
        Command::Index(command) => command.run(global),
        Command::Articles(command) => command.run(global),
        Command::Catalogue(command) => command.run(global),
        Command::Models(command) => command.run(global),
        Command::Config(command) => command.run(global),
        Command::Health(command) => command.run(),
        Command::Openapi => {
            output::line(&crate::http::openapi().to_pretty_json()?)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

impl Global {
    /// The configuration of all layers; `more` are flags of the command.
    fn load(&self, more: &[(&str, Option<String>)]) -> anyhow::Result<Loaded> {
        let mut flags = Vec::new();
        for option in &self.options {
            let (key, value) = option.split_once('=').ok_or_else(|| anyhow::anyhow!("--option {option}: write it as KEY=VALUE"))?;
            flags.push((key.trim().to_owned(), value.to_owned()));
        }
        flags.extend(more.iter().filter_map(|(key, value)| Some(((*key).to_owned(), value.clone()?))));
        Ok(Config::load(
            self.config.as_deref(),
            std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))),
            &flags,
        )?)
    }

    /// As [`Self::load`], with the log running; for commands that work.
    fn start(&self, data: Option<&DataFolder>) -> anyhow::Result<Config> {
        let config = self.load(&[("data.dir", data.and_then(DataFolder::setting))])?.config;
        crate::telemetry::install_log(if config.log.level == "info" { "warn" } else { &config.log.level }, false);
        Ok(config)
    }
}

/// A runtime for commands that need one.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Puts articles and tickets into a shop and makes them ready to be found.
async fn stock(app: &App, articles: &[Article], tickets: &[TicketRecord]) -> anyhow::Result<()> {
    let store = &app.pipeline.store;
    store.import_articles(articles, false, &timestamp()).await?;
    store.upsert_tickets(tickets).await?;
    let progress = output::bar((articles.len() + tickets.len()) as u64, "index");
    app.catch_up(&|done, all| output::advance(&progress, done, all)).await?;
    progress.finish_and_clear();
    Ok(())
}
