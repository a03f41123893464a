//! A delegated scope from the user's systemd.
//!
//! A login session's group belongs to root. The user's service manager can move
//! the launcher into a scope of its own, below which the user may make groups.
//! It is asked by executing `systemd-run --scope`, which becomes the launcher
//! again: the process id, the terminal and the signals stay the same.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// Set for the second start, so that it is never asked twice.
const MARK: &str = "REPY_LAUNCH_IN_SCOPE";

/// Whether the user's systemd can be asked.
pub(super) fn possible() -> bool {
    let uid = nix::unistd::geteuid();
    !uid.is_root()
        && std::env::var_os(MARK).is_none()
        && Path::new("/run/systemd/system").is_dir()
        && Path::new(&format!("/run/user/{uid}/bus")).exists()
        && std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join("systemd-run").is_file()))
}

/// Starts this launcher again inside a delegated scope. Returns only if that
/// fails.
pub fn enter_scope() -> io::Error {
    let own = match std::env::current_exe() {
        Ok(own) => own,
        Err(error) => return error,
    };
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let uid = nix::unistd::geteuid();
    let mut command = Command::new("systemd-run");
    command.args(["--user", "--scope", "--quiet", "--collect", "-p", "Delegate=yes", "--"]);
    command.arg(own).args(arguments.iter().skip(1));
    command.env(MARK, "1").env("XDG_RUNTIME_DIR", format!("/run/user/{uid}"));
    command.exec()
}
