//! `repy-launch manual` and `repy-launch completions`.

use clap::{Args, ValueEnum};

/// Print a manual page
#[derive(Clone, Debug, Args)]
#[command(hide = true)]
pub struct ManualLine {
    /// Which one
    #[arg(value_enum, default_value = "repy-launch")]
    pub page: Page,
}

/// The pages that the launcher prints.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Page {
    /// repy-launch(1).
    RepyLaunch,
    /// restrictions(5).
    Restrictions,
}

/// Print completions for a shell
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Examples:\n  repy-launch completions bash > ~/.local/share/bash-completion/completions/repy-launch\n  \
                        repy-launch completions zsh > ~/.zfunc/_repy-launch\n  \
                        repy-launch completions fish > ~/.config/fish/completions/repy-launch.fish"
)]
pub struct CompletionsLine {
    /// bash, zsh or fish
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// The shells there are completions for.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[allow(missing_docs)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
}
