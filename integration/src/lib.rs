//! Helpers for tests that run the two binaries as a user does.
//!
//! Nothing here knows the inside of a binary: a test gets a path, a directory
//! and a finished process, as a shell script would.
#![deny(unsafe_code)]

pub mod attempts;
pub mod document;
pub mod generator;
pub mod lang;
pub mod live;
pub mod network;
pub mod outside;
pub mod processes;
pub mod pty;
pub mod python;
pub mod run;
pub mod scratch;
pub mod setting;
pub mod timed;
pub mod tutorial;

use std::path::{Path, PathBuf};

/// The path of one of the project's binaries (`repy-launch`, `repy-interp`, …).
///
/// Looked for in `$REPY_BIN_DIR` if that is set, else in the `release` and
/// `debug` directories beside the running test.
///
/// # Panics
/// If it has not been built; the message names the command that builds it.
pub fn bin(name: &str) -> PathBuf {
    let places = bin_directories();
    for place in &places {
        let path = place.join(name);
        if path.is_file() {
            return path;
        }
    }
    panic!("{name} is not built (looked in {places:?}): run `make build` first, or set REPY_BIN_DIR");
}

fn bin_directories() -> Vec<PathBuf> {
    if let Some(dir) = std::env::var_os("REPY_BIN_DIR") {
        return vec![PathBuf::from(dir)];
    }
    // target/<triple>/<profile>/deps/<test> or target/<triple>/<profile>/<program>
    let me = std::env::current_exe().unwrap_or_default();
    let mut places = Vec::new();
    for ancestor in me.ancestors().skip(1).take(4) {
        for profile in ["release", "debug"] {
            places.push(ancestor.join(profile));
        }
    }
    if let Some(beside) = me.parent() {
        places.push(beside.to_path_buf());
    }
    places
}

/// The root of the checkout, for tests that read `examples/`, `policies/` or `docs/`.
pub fn project_root() -> &'static Path {
    // CARGO_MANIFEST_DIR is `<root>/integration`: it always has a parent.
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."))
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Says that a test (or a part of one) was left out, and why. Such a test passes for the
/// harness; `make test` and the CI count these lines and report it as skipped.
pub fn skipped(reason: &str) {
    use std::io::Write;
    // Not a printing macro: the harness shows their output only for tests that fail.
    let _ = std::io::stderr().write_all(format!("\nskipped: {reason}\n").as_bytes());
}

/// Whether a program of the system is installed.
pub fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    places.map(|place: PathBuf| place.join(program)).any(|path| path.is_file())
}
