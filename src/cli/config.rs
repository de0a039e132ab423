//! `fenzhen config`: what is in force, and is it right?

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Global;
use super::output::{GREEN, line, paint};

#[derive(Debug, Args)]
pub(super) struct ConfigCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Print every key with the value in force and where it comes from
    Show,
    /// Report all faults of the configuration at once (exit code 2 where there is one), the policy and artefacts that it names included
    Check,
}

impl ConfigCommand {
    pub(super) fn run(self, global: &Global) -> anyhow::Result<ExitCode> {
        let loaded = global.load(&[])?;
        match self.action {
            Action::Show => line(loaded.show().trim_end())?,
            Action::Check => {
                crate::app::read_policy(loaded.config.gate.policy.as_deref())?;
                super::serve::check_keys(&loaded.config)?;
                line(&format!("{} the configuration is right", paint(GREEN, "✓")))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
