//! `repy-launch doctor`.

use std::path::PathBuf;

use clap::Args;

/// Say what this host offers, and the remedy for each gap: exit 0, or 4 if a layer is missing
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:\n  repy-launch doctor\n  repy-launch doctor --vessel /srv/vessel\n  \
                        repy-launch doctor --json | jq -r '.layers[] | select(.state == \"missing\").remedy'\n  \
                        repy-launch doctor --sweep")]
pub struct DoctorLine {
    /// The vessel of later runs [default: the current directory, or an empty one where that can be none]
    #[arg(long, value_name = "DIR")]
    pub vessel: Option<PathBuf>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Only remove control groups left by launchers that were killed
    #[arg(long)]
    pub sweep: bool,
    /// Only what is missing
    #[arg(short, long)]
    pub quiet: bool,
    /// What each layer needs, too
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
}
