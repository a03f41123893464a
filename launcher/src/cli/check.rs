//! `repy-launch check`: validates restrictions files alone.

use std::path::PathBuf;

use super::input;
use crate::broker::Unbindable;
use crate::verdict::Ending;

/// Checks each file; warnings go to standard output, errors to standard error.
/// The exit status is 0 if all can be used, else 2.
pub fn check(files: &[PathBuf]) -> u8 {
    let mut ending = Ending::Done;
    let colours = |terminal: bool| terminal && std::env::var_os("NO_COLOR").is_none();
    let out = colours(nix::unistd::isatty(std::io::stdout()).unwrap_or(false));
    let err = colours(nix::unistd::isatty(std::io::stderr()).unwrap_or(false));
    for path in files {
        match input::policy(path, err) {
            Ok(file) => {
                let warnings = &file.parsed.warnings;
                for warning in warnings {
                    println!("{}", warning.render(out).trim_end());
                }
                let ports = Unbindable::find(&file.parsed.policy);
                if let Some(ports) = &ports {
                    println!("warning: {ports}");
                }
                match warnings.len() + usize::from(ports.is_some()) {
                    0 => println!("{}: good", path.display()),
                    1 => println!("{}: good, 1 warning", path.display()),
                    n => println!("{}: good, {n} warnings", path.display()),
                }
            }
            Err(failure) => {
                eprintln!("repy-launch: {failure}");
                ending = Ending::BadInput;
            }
        }
    }
    ending.code()
}
