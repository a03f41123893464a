//! Assume breach, on this kernel: the attempts of the breach program, none of which
//! may reach its effect, looked at from outside too; each with its twin.

use super::bed::*;
use super::{Done, Test, Verdict};
use crate::ensure;
use integration::attempts::{EXEC, REPLACED, VESSEL};
use integration::outside::{Outside, LEAKED};
use integration::run::User;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

pub const TESTS: &[Test] = &[
    ("breach-files-as-root", || breach("files", 0)),
    ("breach-files-delegated", || breach("files", USER)),
    ("breach-paths-as-root", || breach("paths", 0)),
    ("breach-paths-delegated", || breach("paths", USER)),
    ("breach-places-as-root", || breach("places", 0)),
    ("breach-places-delegated", || breach("places", USER)),
    ("breach-processes-as-root", || breach("processes", 0)),
    ("breach-processes-delegated", || breach("processes", USER)),
    ("breach-locks-as-root", || breach("locks", 0)),
    ("breach-locks-delegated", || breach("locks", USER)),
    ("breach-signals-as-root", || breach("signals", 0)),
    ("breach-signals-delegated", || breach("signals", USER)),
    ("breach-network-as-root", || breach("network", 0)),
    ("breach-network-delegated", || breach("network", USER)),
    ("breach-kernel-as-root", || breach("kernel", 0)),
    ("breach-kernel-delegated", || breach("kernel", USER)),
];

/// Every how manieth attempt is made, unless VM_STRIDE says otherwise: emulated, one
/// takes a second. Which ones depends on the user and the kernel, so that several
/// kernels together make all.
const STRIDE: usize = 5;
/// Its place outside, for twins.
const EXEC_OUTSIDE: i32 = 8;
/// What a kernel built without the thing itself answers outside.
const ABSENT: [i32; 7] = [
    libc::ENOENT, // a device
    libc::ENOSYS,
    libc::EAFNOSUPPORT,
    libc::EPROTONOSUPPORT,
    libc::ESOCKTNOSUPPORT,
    libc::ENODEV,
    libc::EOPNOTSUPP,
];

fn shell(group: &Path, user: u32, line: &str) -> Finished {
    let mut command = Command::new("/proc/self/exe");
    command.arg("enter").arg(group).arg(user.to_string()).args(["/bin/sh", "-c", line]);
    command.current_dir("/").env_remove("TMPDIR");
    finish(command, Duration::from_secs(60))
}

fn quoted(words: &[String]) -> String {
    words.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect::<Vec<_>>().join(" ")
}

/// An attempt in the sandbox, with a descriptor left open by a careless parent.
fn inside(outside: &Outside, session: &Session, user: u32, vessel: &Path, attempt: &str) -> Finished {
    let policy = vessel.join("policy.test").display().to_string();
    let place = format!("vessel_path={}", vessel.display());
    let vessel = vessel.display().to_string();
    let mut words: Vec<String> = Vec::new();
    words.extend(["/bin/repy-launch", "--policy", &policy, "--vessel", &vessel].map(str::to_owned));
    // Any file that can be read serves as the program.
    words.extend(["--interp", "/bin/breach", "--wall", "30", &policy, attempt].map(str::to_owned));
    words.extend(outside.words(VESSEL, EXEC));
    words.push(place);
    shell(&session.own, user, &format!("exec {} supervisor=$$ {LEAKED}</etc/passwd", quoted(&words)))
}

fn breach(class: &str, user: u32) -> Verdict {
    let session = Session::new("breach", user)?;
    let who = if user == 0 { User::Caller } else { User::Ordinary };
    let mut outside = Outside::new(who);
    // The wide policy, network too: the most a program can be granted.
    let text = integration::setting::wide_policy_with("diskused", "20000000");
    let mut list = Command::new("/bin/breach");
    list.arg("list");
    let rows = finish(list, Duration::from_secs(60)).stdout;
    let (mut denied, mut twins, mut absent, mut wrong) = (0, 0, Vec::new(), Vec::new());
    let stride = std::env::var("VM_STRIDE").ok().and_then(|text| text.parse().ok()).unwrap_or(STRIDE).max(1);
    let first = (version().1 as usize + usize::from(user != 0)) % stride;
    let rows =
        rows.lines().map(|row| row.split(' ').collect::<Vec<_>>()).filter(|row| row.get(1) == Some(&class));
    for row in rows.skip(first).step_by(stride) {
        let [name, _, kind] = row[..] else { continue };
        let vessel = outside.vessel(&format!("vessel-{name}"), &text);
        let run = inside(&outside, &session, user, &vessel, name);
        if run.stdout.contains("REACHED") || run.stdout.contains("UNKNOWN") {
            wrong.push(format!("{name}: inside: {}", run.stdout.trim_end()));
        } else if ![0, 5, 6, 7, 70, 71].contains(&run.code) {
            wrong.push(format!("{name}: {}", run.all()));
        } else {
            denied += 1;
        }
        wrong.extend(outside.differences(&vessel, &text).into_iter().map(|what| format!("{name}: {what}")));
        if kind == "outside-as-root" && user != 0 || REPLACED.contains(&name) {
            outside.restore(&vessel);
            let _ = std::fs::remove_dir_all(&vessel);
            continue;
        }
        let twin = if kind == "inside" {
            inside(&outside, &session, user, &vessel, &format!("twin:{name}"))
        } else {
            let mut words: Vec<String> = ["/bin/breach", "program", name].map(str::to_owned).into();
            words.extend(outside.words(VESSEL, EXEC_OUTSIDE));
            words.push(format!("supervisor={}", outside.victim()));
            words.push(format!("vessel_path={}", vessel.display()));
            let place = vessel.display();
            let line = format!(
                "cd {place} && exec {} {VESSEL}<. {EXEC_OUTSIDE}</bin/breach {LEAKED}</etc/passwd",
                quoted(&words)
            );
            shell(&session.own, user, &line)
        };
        let answer = twin.stdout.trim_end();
        let error = answer.strip_prefix("REFUSED ").and_then(|number| number.parse().ok());
        if answer.contains("REACHED") {
            twins += 1;
        } else if kind != "inside" && error.is_some_and(|number| ABSENT.contains(&number)) {
            absent.push(name.to_owned());
        } else {
            wrong.push(format!("{name}: its twin ({kind}) failed: {}", twin.all()));
        }
        outside.restore(&vessel);
        let _ = std::fs::remove_dir_all(&vessel);
    }
    ensure!(wrong.is_empty(), "{} of {denied}:\n{}", wrong.len(), wrong.join("\n"));
    ensure!(denied > 0, "no attempt was made");
    let absent =
        if absent.is_empty() { String::new() } else { format!(", not in this kernel: {}", absent.join(" ")) };
    Ok(Done::Passed(format!("{denied} denied, {twins} twins reached{absent}")))
}
