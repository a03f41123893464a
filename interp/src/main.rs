//! The confined interpreter of the Repy language.

use std::process::ExitCode;

#[global_allocator]
static MEMORY: interp::host::LargePages = interp::host::LargePages;

fn main() -> ExitCode {
    ExitCode::from(interp::cli::main(std::env::args_os().skip(1)))
}
