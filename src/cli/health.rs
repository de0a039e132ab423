//! `fenzhen health`: for container health checks, without a second program.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::output::line;

#[derive(Debug, Args)]
pub(super) struct Health {
    /// Address of the service
    #[arg(default_value = "http://127.0.0.1:8080")]
    url: String,
}

impl Health {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(3))).build().into();
        match agent.get(format!("{}/readyz", self.url.trim_end_matches('/'))).call() {
            Ok(_) => {
                line("ready")?;
                Ok(ExitCode::SUCCESS)
            }
            Err(e) => {
                line(&format!("not ready: {e}"))?;
                Ok(ExitCode::FAILURE)
            }
        }
    }
}
