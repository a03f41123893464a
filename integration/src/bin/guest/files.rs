//! Landlock by itself, on the rights this kernel has, and filesystems whose ids
//! can and cannot be mapped.

use super::bed::*;
use super::{Done, Test, Verdict, PASSED};
use crate::ensure;
use std::fs;
use std::os::unix::fs::{chown, MetadataExt};
use std::path::Path;

pub const TESTS: &[Test] = &[
    ("landlock-holds-files-alone", landlock_alone),
    ("landlock-rights-follow-the-policy", landlock_rights),
    ("landlock-rights-of-this-kernel", landlock_of_this_kernel),
    ("files-stay-their-owners", files_stay_their_owners),
    ("vessel-on-tmpfs", vessel_on_tmpfs),
    ("vessel-on-ext4", vessel_on_ext4),
];

/// What the filter wants of every open.
const HELD: i32 = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;

fn open(name: &str, flags: i32) -> String {
    format!("openat:4,={name},{flags},420")
}

/// A run of the probe with a file of its own in the vessel.
fn probe(user: u32, group: &Delegated, text: &str, words: &[String]) -> Result<Run, String> {
    let inner = group.below(&format!("run-{}", fs::read_dir(group.path()).map_or(0, Iterator::count)))?;
    let run = Run::instead(user, Some(&inner), text, "probe");
    let own = run.vessel().join("own");
    write(&own, "own\n")?;
    chown(&own, Some(user), Some(user)).map_err(|error| error.to_string())?;
    Ok(words.iter().fold(run, |run, word| run.argument(word)))
}

/// The host's files are all in sight (no mount namespace of its own): Landlock alone
/// keeps the program from them. Without it, it reads them.
fn landlock_alone() -> Verdict {
    for user in USERS {
        let group = Delegated::new("landlock", user)?;
        let words = [open("/etc/passwd", HELD), open("../../../etc/passwd", HELD), open("own", HELD)];
        let run = probe(user, &group, &policy(&[]), &words)?.without(&["mountns"]).run().expect(0)?;
        let lines: Vec<&str> = run.stdout.lines().collect();
        let denied = format!("openat failed {}", libc::EACCES);
        // The second may name a file that does not exist: by error number either is a denial.
        ensure!(lines.len() == 3 && lines[0] == denied && lines[1].contains("failed"), "{}", run.all());
        ensure!(!lines[2].contains("failed"), "its own file too: {}", run.all());
        let run =
            probe(user, &group, &policy(&[]), &words)?.without(&["mountns", "landlock"]).run().expect(0)?;
        let first = run.stdout.lines().next().unwrap_or_default().to_owned();
        ensure!(!first.contains("failed"), "the attempt is broken: {}", run.all());
    }
    PASSED
}

/// Reading, writing and listing, without the filter: Landlock alone.
fn landlock_rights() -> Verdict {
    if !kernel_from(6, 12) {
        return Ok(Done::Skipped("before Linux 6.12 Landlock needs the filter beside it".to_owned()));
    }
    let limits =
        "resource cpu .9\nresource memory 64000000\nresource diskused 10000000\nresource filesopened 5\n";
    let read = "call open arg 1 is r allow\ncall file.__init__ arg 1 is r allow\n";
    let write = "call open allow\ncall file.__init__ allow\n";
    let (writing, making) = (libc::O_WRONLY | HELD, libc::O_WRONLY | libc::O_CREAT | HELD);
    let words =
        [open("own", HELD), open("own", writing), open("new", making), open(".", libc::O_DIRECTORY | HELD)];
    let table: [(&str, [bool; 4]); 4] = [
        ("", [false, false, false, false]),
        (read, [true, false, false, false]),
        (write, [true, true, true, false]),
        ("call listdir allow\n", [false, false, false, true]),
    ];
    for user in USERS {
        let group = Delegated::new("rights", user)?;
        for (rules, expected) in table {
            let run = probe(user, &group, &format!("{limits}{rules}"), &words)?.without(&["seccomp"]).run();
            let run = run.expect(0)?;
            let found: Vec<bool> = run.stdout.lines().map(|line| !line.contains("failed")).collect();
            ensure!(found == expected, "{rules:?}: expected {expected:?}: {}", run.all());
            let denied = format!("failed {}", libc::EACCES);
            let others = run.stdout.lines().find(|line| line.contains("failed") && !line.ends_with(&denied));
            ensure!(others.is_none(), "not Landlock's answer: {}", run.all());
        }
    }
    PASSED
}

/// Which rights are carried by something else here, as the report says; the table is
/// that of the documentation.
fn landlock_of_this_kernel() -> Verdict {
    let group = Delegated::new("abi", USER)?;
    let run = Run::new(USER, Some(group.path()), &policy(&[]), HELLO).run().expect(0)?;
    let notes = run.report["notes"].to_string();
    for (word, (major, minor)) in [
        ("landlock TRUNCATE", (6, 2)),
        ("mdwe", (6, 3)),
        ("landlock TCP bind and connect", (6, 7)),
        ("landlock IOCTL_DEV", (6, 10)),
        ("landlock scopes", (6, 12)),
    ] {
        let carried = notes.contains(&format!("{word} needs kernel")) || notes.contains(&format!("{word} ("));
        let expected = !kernel_from(major, minor);
        ensure!(carried == expected, "{word}: expected a note {expected}: {notes}");
    }
    let said = run.report["notes"].as_array().map_or(0, Vec::len);
    let mut doctor = std::process::Command::new("/bin/repy-launch");
    doctor.arg("doctor").current_dir("/");
    let doctor = finish(doctor, std::time::Duration::from_secs(60));
    let abi: u32 = doctor
        .stdout
        .split_once("ABI ")
        .map(|(_, rest)| rest.chars().take_while(char::is_ascii_digit).collect::<String>())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0);
    // A distribution may bring a fix's ABI to an older kernel, but no right goes away.
    let least = match version() {
        (6, minor) => {
            [(12, 6), (10, 5), (7, 4), (2, 3)].iter().find(|(from, _)| minor >= *from).map_or(2, |row| row.1)
        }
        (major, _) if major > 6 => 6,
        _ => 1,
    };
    ensure!(abi >= least, "ABI {abi}, expected {least}: {}", doctor.all());
    Ok(Done::Passed(format!("Landlock ABI {abi}, {said} controls carried by an equivalent")))
}

/// As root the sandbox is nobody the host knows, and what it writes still belongs to
/// the vessel's owner.
fn files_stay_their_owners() -> Verdict {
    let program = "f = open('made', 'w')\nf.write('x')\nf.close()\nprint open('own').read(),\n";
    for user in USERS {
        let group = Delegated::new("owner", user)?;
        let run = Run::new(
            user,
            Some(group.path()),
            &policy(&[]),
            &format!("if callfunc == 'exit':\n  exitall()\n{program}"),
        );
        let own = run.vessel().join("own");
        write(&own, "mine\n")?;
        chown(&own, Some(user), Some(user)).map_err(|error| error.to_string())?;
        let finished = run.run().expect(0)?;
        ensure!(finished.stdout == "mine\n", "{}", finished.all());
        let made = fs::metadata(run.vessel().join("made")).map_err(|error| error.to_string())?;
        ensure!(made.uid() == user && made.gid() == user, "made belongs to {}:{}", made.uid(), made.gid());
    }
    PASSED
}

/// The vessel in a directory of this filesystem.
fn vessel_in(place: &str, user: u32) -> Result<(Delegated, Run), String> {
    let group = Delegated::new("place", user)?;
    std::env::set_var("TMPDIR", place);
    let run = Run::new(user, Some(group.path()), &policy(&[]), HELLO);
    Ok((group, run))
}

/// tmpfs maps ids from Linux 6.3 on; before that root is refused by name, and an
/// ordinary user needs no map.
fn vessel_on_tmpfs() -> Verdict {
    for user in USERS {
        let (_group, run) = vessel_in("/tmp", user)?;
        let run = run.run();
        if user == 0 && !kernel_from(6, 3) {
            let run = run.expect(4)?;
            ensure!(run.stderr.contains("layer 'idmap'") && run.stdout.is_empty(), "{}", run.all());
        } else {
            ensure!(run.code == 0 && run.stdout == "Hello World\n", "{}", run.all());
        }
    }
    PASSED
}

fn vessel_on_ext4() -> Verdict {
    let mounts = read("/proc/self/mounts");
    if !Path::new("/disk").exists() || !mounts.contains(" /disk ext4 ") {
        return Ok(Done::Skipped("no ext4 in this guest".to_owned()));
    }
    for user in USERS {
        let (_group, run) = vessel_in("/disk", user)?;
        let run = run.run().expect(0)?;
        ensure!(run.stdout == "Hello World\n", "{}", run.all());
    }
    PASSED
}
