//! `repy-launch`: run a Repy program under a restrictions file.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(launcher::cli::main(std::env::args_os().collect()))
}
