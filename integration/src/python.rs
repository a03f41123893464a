//! Finds the interpreters that tests and benchmarks compare with, where they are installed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// CPython 2.7: `$PYTHON27`, else `python2.7` by PATH, else below the version manager pyenv.
pub fn python27() -> Option<PathBuf> {
    let named = std::env::var_os("PYTHON27").map(PathBuf::from);
    named
        .into_iter()
        .chain(by_path("python2.7"))
        .chain(below_pyenv("2.7", "python2.7"))
        .find(|path| answers(path))
}

/// The newest CPython 3: `python3` by PATH or below pyenv.
pub fn python3() -> Option<PathBuf> {
    by_path("python3")
        .into_iter()
        .chain(below_pyenv("3.", "python3"))
        .filter(|path| answers(path))
        .max_by_key(|path| {
            let text = Command::new(path).arg("--version").output().map(|o| o.stdout).unwrap_or_default();
            let numbers: Vec<u32> = String::from_utf8_lossy(&text)
                .split(|c: char| !c.is_ascii_digit())
                .filter_map(|part| part.parse().ok())
                .collect();
            numbers
        })
}

/// Lua 5.4 by PATH, if it starts.
pub fn lua() -> Option<PathBuf> {
    by_path("lua5.4").into_iter().find(|path| starts(path, &["-v"]))
}

/// Another interpreter of Python by PATH, if it starts.
pub fn installed(name: &str) -> Option<PathBuf> {
    by_path(name).into_iter().find(|path| answers(path))
}

fn by_path(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|directory| directory.join(name)).filter(|path| path.is_file()).collect()
}

fn below_pyenv(version: &str, name: &str) -> Vec<PathBuf> {
    let root = std::env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv")));
    let Some(root) = root else { return Vec::new() };
    let Ok(listing) = std::fs::read_dir(root.join("versions")) else { return Vec::new() };
    let mut found: Vec<PathBuf> = listing
        .filter_map(Result::ok)
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(version))
        .map(|entry| entry.path().join("bin").join(name))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    found
}

/// A version manager's stand-in exists as a file but does not run without a chosen version.
fn answers(path: &Path) -> bool {
    starts(path, &["-c", "pass"])
}

fn starts(path: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new(path);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
