//! `repy-launch doctor`.

use std::path::PathBuf;

use clap::Args;

/// Say what this host offers, and the remedy for each gap: exit 0, or 4 if a layer is missing
#[derive(Clone, Debug, Args)]
pub struct DoctorLine {
    /// The vessel of later runs
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub vessel: PathBuf,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Only remove control groups left by launchers that were killed
    #[arg(long)]
    pub sweep: bool,
}
