//! `repy-launch check`.

use std::path::PathBuf;

use clap::Args;

/// Check a restrictions file, and programs against it, without running anything
///
/// Exit status: 0 good (warnings do not change it), 2 the restrictions file cannot be used, 3 a program would be refused.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  repy-launch check restrictions.test\n  repy-launch check restrictions.test server.repy client.repy\n  \
                        repy-launch check --json restrictions.test server.repy | jq '.programs[].warnings'"
)]
pub struct CheckLine {
    /// The restrictions file
    #[arg(value_name = "POLICY")]
    pub policy: PathBuf,
    /// Programs to be read: they are not run
    #[arg(value_name = "PROGRAM")]
    pub programs: Vec<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Only what is wrong, no warnings
    #[arg(short, long)]
    pub quiet: bool,
    /// Say what was looked at too
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
}
