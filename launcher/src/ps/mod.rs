//! `repy-launch ps` and `repy-launch stop`: the live runs of this host.

pub mod format;

use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use serde_json::{json, Value};
use std::os::fd::AsFd;

use crate::cli::arguments::{PsLine, StopLine};
use crate::registry::{self, Found};
use crate::sys::pidfd;
use crate::terminal::{errln, out, outln};
use crate::verdict::Ending;
use format::{bytes, clean, duration, user};

/// How long `stop` waits for a launcher that was told to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Lists the live runs.
pub fn list(line: &PsLine) -> u8 {
    let runs = registry::find();
    if line.json {
        let list: Vec<Value> = runs.iter().map(describe).collect();
        outln!("{}", Value::from(list));
    } else if line.quiet {
        runs.iter().for_each(|found| outln!("{}", found.record.launcher.pid));
    } else {
        out!("{}", table(&runs, line.verbose));
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

fn table(runs: &[Found], whole: bool) -> String {
    let mut head = vec!["PID", "SANDBOX", "NAME", "USER", "UPTIME", "CPU", "MEMORY", "PROGRAM"];
    if whole {
        head.extend(["POLICY", "VESSEL"]);
    }
    let mut rows = vec![head.into_iter().map(str::to_owned).collect::<Vec<_>>()];
    for found in runs {
        let record = &found.record;
        let live = found.live.clone().unwrap_or_default();
        let mut row = vec![
            record.launcher.pid.to_string(),
            record.sandbox.pid.to_string(),
            record.name.as_deref().map_or_else(|| "-".to_owned(), clean),
            user(found.owner),
            duration(format::age(record)),
            format!("{:.2}s", live.cpu),
            bytes(live.memory as f64),
            clean(&record.program),
        ];
        if whole {
            row.extend([clean(&record.policy), clean(&record.vessel)]);
        }
        rows.push(row);
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
pub fn stop(line: &StopLine) -> u8 {
    match pick(&line.run).and_then(|found| end(&found).map(|()| found)) {
        Ok(found) => {
            let record = &found.record;
            let name = clean(record.name.as_deref().unwrap_or(&record.program));
            match (line.quiet, line.verbose) {
                (true, _) => {}
                (_, false) => outln!("stopped {name}"),
                (_, true) => outln!(
                    "stopped {name}: launcher {}, sandbox {}, {} under {}, after {}",
                    record.launcher.pid,
                    record.sandbox.pid,
                    clean(&record.program),
                    clean(&record.policy),
                    duration(format::age(record))
                ),
            }
            Ending::Done.code()
        }
        Err(reason) => {
            errln!("repy-launch: {reason}");
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
    let second = Duration::from_secs(1);
    let wait = |patience| PollTimeout::try_from(patience).unwrap_or(PollTimeout::NONE);
    if poll(&mut set, wait(second)) == Ok(0) {
        crate::terminal::progress(&format!("waiting for {} to end", name()));
    }
    match poll(&mut set, wait(PATIENCE - second)) {
        Ok(0) => Err(format!("{} was told to stop and has not ended after {} s", name(), PATIENCE.as_secs())),
        _ => Ok(()),
    }
}
