//! `repy-launch ps` and `repy-launch stop`: the live runs of this host.

pub mod format;

use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use serde_json::{json, Value};
use std::os::fd::AsFd;

use crate::registry::{self, Found};
use crate::sys::pidfd;
use crate::verdict::Ending;
use format::{bytes, clean, duration, user};

/// How long `stop` waits for a launcher that was told to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Lists the live runs.
pub fn list(as_json: bool) -> u8 {
    let runs = registry::find();
    if as_json {
        let list: Vec<Value> = runs.iter().map(describe).collect();
        println!("{}", Value::from(list));
    } else {
        print!("{}", table(&runs));
    }
    Ending::Done.code()
}

/// A run as `ps --json` and `top --json` show it.
pub fn describe(found: &Found) -> Value {
    let record = &found.record;
    json!({
        "launcher": record.launcher.pid,
        "sandbox": record.sandbox.pid,
        "name": record.name,
        "user": user(found.owner),
        "began": record.began,
        "program": record.program,
        "policy": record.policy,
        "vessel": record.vessel,
        "layers": record.layers,
        "groups": record.groups,
        "limits": record.limits,
        "use": found.live,
    })
}

fn table(runs: &[Found]) -> String {
    let mut rows = vec![["PID", "SANDBOX", "NAME", "USER", "UPTIME", "CPU", "MEMORY", "PROGRAM"]
        .map(str::to_owned)
        .to_vec()];
    for found in runs {
        let record = &found.record;
        let live = found.live.clone().unwrap_or_default();
        rows.push(vec![
            record.launcher.pid.to_string(),
            record.sandbox.pid.to_string(),
            record.name.as_deref().map_or_else(|| "-".to_owned(), clean),
            user(found.owner),
            duration(format::age(record)),
            format!("{:.2}s", live.cpu),
            bytes(live.memory as f64),
            clean(&record.program),
        ]);
    }
    format::columns(&rows)
}

/// The run that a word means: a name, or the number of a launcher or sandbox.
///
/// # Errors
/// None or several: a sentence for people.
pub fn pick(word: &str) -> Result<Found, String> {
    let number: Option<i32> = word.parse().ok();
    let mut runs: Vec<Found> = registry::find()
        .into_iter()
        .filter(|found| {
            let record = &found.record;
            record.name.as_deref() == Some(word)
                || number.is_some_and(|pid| record.launcher.pid == pid || record.sandbox.pid == pid)
        })
        .collect();
    match (runs.pop(), runs.len()) {
        (Some(only), 0) => Ok(only),
        (None, _) => Err(format!("no live run '{word}' that you may see (repy-launch ps lists them)")),
        (Some(last), _) => {
            let pids: Vec<String> =
                runs.iter().chain([&last]).map(|found| found.record.launcher.pid.to_string()).collect();
            Err(format!("'{word}' means several runs: say which by its number, {}", pids.join(" or ")))
        }
    }
}

/// Stops one run and waits until its launcher has ended.
pub fn stop(word: &str) -> u8 {
    match pick(word).and_then(|found| end(&found).map(|()| found)) {
        Ok(found) => {
            println!("stopped {}", clean(found.record.name.as_deref().unwrap_or(&found.record.program)));
            Ending::Done.code()
        }
        Err(reason) => {
            eprintln!("repy-launch: {reason}");
            Ending::BadInput.code()
        }
    }
}

/// Sends SIGTERM to the launcher: to that very process, not to one which got its
/// number meanwhile.
///
/// # Errors
/// It may not be signalled, or does not end.
pub fn end(found: &Found) -> Result<(), String> {
    let launcher = found.record.launcher;
    let name = || format!("the launcher {}", launcher.pid);
    let about = |errno: i32| format!("{} cannot be stopped: {}", name(), Errno::from_raw(errno).desc());
    let process = match pidfd::open(launcher.pid) {
        Ok(process) => process,
        Err(errno) if errno.0 == libc::ESRCH => return Ok(()),
        Err(errno) => return Err(about(errno.0)),
    };
    // The descriptor first: what lives now and has the start time is what it stands for.
    if !launcher.is_alive() {
        return Ok(());
    }
    match pidfd::send(process.as_fd(), libc::SIGTERM) {
        Ok(()) => {}
        Err(errno) if errno.0 == libc::ESRCH => return Ok(()),
        Err(errno) => return Err(about(errno.0)),
    }
    // One that was stopped with Ctrl-Z hears the signal only when it goes on.
    let _ = pidfd::send(process.as_fd(), libc::SIGCONT);
    let mut set = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    match poll(&mut set, PollTimeout::try_from(PATIENCE).unwrap_or(PollTimeout::NONE)) {
        Ok(0) => Err(format!("{} was told to stop and has not ended after {} s", name(), PATIENCE.as_secs())),
        _ => Ok(()),
    }
}
