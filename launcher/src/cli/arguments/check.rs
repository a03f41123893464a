//! `repy-launch check`.

use std::path::PathBuf;

use clap::Args;

/// Check restrictions files without running anything: exit 0 or 2
#[derive(Clone, Debug, Args)]
pub struct CheckLine {
    /// The restrictions files
    #[arg(required = true, value_name = "POLICY")]
    pub files: Vec<PathBuf>,
}
