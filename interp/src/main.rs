//! The confined interpreter of the Repy language.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(interp::cli::main(std::env::args_os().skip(1)))
}
