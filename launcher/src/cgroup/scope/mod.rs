//! A delegated scope from the user's systemd.
//!
//! A login session's group belongs to root. The user's service manager can move
//! the launcher into a scope of its own, below which the user may make groups. It
//! is asked over the user's bus for a transient unit that holds this process: the
//! process id, the terminal and the signals stay the same, and the scope ends with
//! the launcher. All of it has one deadline, and an answer that is not understood
//! is an error: then the run is refused as on a host without a group.

mod bus;
#[cfg(test)]
mod tests;
mod wire;

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bus::Bus;

use crate::terminal::SlowWork;

/// Patience for the whole exchange: the manager may be busy, but a start that hangs
/// is worse than one that is refused.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked whether the move has been made.
const LOOK: Duration = Duration::from_millis(5);

fn socket_of(uid: u32) -> PathBuf {
    PathBuf::from(format!("/run/user/{uid}/bus"))
}

/// Whether the user's systemd can be asked.
pub(super) fn possible() -> bool {
    let uid = nix::unistd::geteuid();
    let own_socket = |path: &Path| {
        fs::metadata(path).is_ok_and(|found| found.file_type().is_socket() && found.uid() == uid.as_raw())
    };
    !uid.is_root() && Path::new("/run/systemd/system").is_dir() && own_socket(&socket_of(uid.as_raw()))
}

/// Moves this process into a delegated scope of its own.
///
/// # Errors
/// The user's systemd cannot be asked, refuses, or does not do it in time; this process is
/// where it was.
pub fn enter_scope() -> io::Result<()> {
    let unit = format!("{}.scope", super::name::Name::of_this_process()?.text());
    let uid = nix::unistd::geteuid().as_raw();
    let own_group = || fs::read_to_string("/proc/self/cgroup");
    let pid = std::process::id();
    enter(&socket_of(uid), &Wish { unit, pid, uid }, own_group, Instant::now() + PATIENCE)
}

/// What is asked for.
struct Wish {
    unit: String,
    pid: u32,
    uid: u32,
}

/// Asks at the bus behind `socket`, and waits until `own_group` (the text of
/// /proc/self/cgroup) names the unit.
fn enter(
    socket: &Path,
    wish: &Wish,
    own_group: impl Fn() -> io::Result<String>,
    deadline: Instant,
) -> io::Result<()> {
    let mut bus = Bus::connect(socket, wish.uid, deadline)?;
    bus.subscribe()?;
    let job = bus.start_scope(&wish.unit, wish.pid)?;
    let mut work = SlowWork::new("waiting for the user's systemd to make a scope");
    loop {
        work.goes_on();
        if own_group()?.lines().any(|line| line.ends_with(&format!("/{}", wish.unit))) {
            return Ok(());
        }
        match bus.job_result(&job, LOOK)? {
            // The move comes before the word about it: the next look will see it.
            Some(result) if result == "done" => {
                if own_group()?.lines().any(|line| line.ends_with(&format!("/{}", wish.unit))) {
                    return Ok(());
                }
                return Err(io::Error::other("systemd made the scope, but this process is not in it"));
            }
            Some(result) => return Err(io::Error::other(format!("systemd's job ended as '{result}'"))),
            None => {}
        }
    }
}
