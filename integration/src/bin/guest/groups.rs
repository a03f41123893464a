//! Control groups of version 2 with all controllers: the limits hold, and nothing
//! of a group is left.

use super::bed::*;
use super::{Done, Test, Verdict, PASSED};
use crate::ensure;
use std::fs;
use std::path::Path;
use std::time::Duration;

pub const TESTS: &[Test] = &[
    ("hello-as-root", || hello(0)),
    ("hello-delegated", || hello(USER)),
    ("hello-from-the-root-group", hello_from_the_root_group),
    ("hello-again-in-the-same-group", hello_again),
    ("hello-beside-a-shell", hello_beside_a_shell),
    ("no-delegation-is-refused", no_delegation),
    ("born-in-the-group", born_in_the_group),
    ("limits-are-in-the-kernels-files", limit_files),
    ("memory-hog-as-root", || memory_hog(0)),
    ("memory-hog-delegated", || memory_hog(USER)),
    ("native-memory-hog", native_memory_hog),
    ("cpu-share-as-root", || cpu_share(0)),
    ("cpu-share-delegated", || cpu_share(USER)),
    ("one-process", one_process),
    ("a-loosened-limit-is-set-again", loosened_limit),
    ("the-broker-has-a-leaf-of-its-own", broker_leaf),
    ("an-ancestors-limit-is-not-the-programs", ancestors_limit),
    ("a-dead-launchers-leaf-is-swept", stale_leaf),
];

const BUSY: &str = "print 'started'\nwhile True:\n  pass\n";

/// Example 1.1, confined by every layer, nothing waived.
fn hello(user: u32) -> Verdict {
    let group = Delegated::new("hello", user)?;
    for policy in [TUTORIAL, &policy(&[])] {
        let inner = group.below(if policy == TUTORIAL { "network" } else { "plain" })?;
        let run = Run::new(user, Some(&inner), policy, HELLO).run().expect(0)?;
        ensure!(run.stdout == "Hello World\n", "{}", run.all());
        let layers = run.report["layers"].as_object().cloned().unwrap_or_default();
        ensure!(layers.len() == 8, "{}", run.all());
        for (layer, state) in &layers {
            let expected = if layer == "idmap" && user != 0 { "not needed" } else { "enforced" };
            ensure!(state == expected, "layer {layer}: {}", run.all());
        }
        ensure!(runs_in(&inner).is_empty(), "a leaf is left: {:?}", runs_in(&inner));
    }
    PASSED
}

/// As root from where init is: the hierarchy's root, full of other processes.
fn hello_from_the_root_group() -> Verdict {
    let run = Run::new(0, None, &policy(&[]), HELLO).run().expect(0)?;
    ensure!(run.stdout == "Hello World\n", "{}", run.all());
    let left = runs_in(Path::new(CGROUPS));
    ensure!(left.is_empty(), "a leaf is left: {left:?}");
    PASSED
}

/// The launcher divides the group it was started in, and leaves it as it was: the next
/// one can start there, and nothing of the first is left.
fn hello_again() -> Verdict {
    for user in USERS {
        let group = Delegated::new("again", user)?;
        for text in [policy(&[]), TUTORIAL.to_owned()] {
            Run::new(user, Some(group.path()), &text, HELLO).run().expect(0)?;
            let left: Vec<_> = fs::read_dir(group.path())
                .into_iter()
                .flatten()
                .flatten()
                .filter(|entry| entry.path().is_dir())
                .map(|entry| entry.file_name())
                .collect();
            ensure!(left.is_empty(), "as {user}: left: {left:?}");
            let handed = read(group.path().join("cgroup.subtree_control"));
            ensure!(handed.is_empty(), "still handing out {handed}");
        }
    }
    PASSED
}

/// The launcher's own group holds another process too, so that it cannot be divided:
/// the group above is used, if it is the user's.
fn hello_beside_a_shell() -> Verdict {
    for user in USERS {
        let session = Session::new("shell", user)?;
        // Twice: what the first did to the groups must not be in the second's way.
        for _ in 0..2 {
            let run = Run::new(user, Some(&session.own), &policy(&[]), HELLO).run().expect(0)?;
            ensure!(run.stdout == "Hello World\n", "{}", run.all());
            ensure!(session.group.runs().is_empty(), "a leaf is left: {:?}", session.group.runs());
        }
    }
    PASSED
}

/// An ordinary user whose groups are all root's.
fn no_delegation() -> Verdict {
    let run = Run::new(USER, None, &policy(&[]), HELLO).run().expect(4)?;
    ensure!(
        run.stderr.contains("layer 'cgroup'") && run.stderr.contains("--without cgroup"),
        "{}",
        run.all()
    );
    ensure!(run.stdout.is_empty(), "{}", run.all());
    let run = Run::new(USER, None, &policy(&[]), HELLO).without(&["cgroup"]).run().expect(0)?;
    ensure!(run.report["layers"]["cgroup"] == "waived", "{}", run.all());
    PASSED
}

/// The launcher's own group has no room for another process: a child born there and
/// moved afterwards could not be made. So it is in its leaf from the first instruction.
fn born_in_the_group() -> Verdict {
    for user in USERS {
        let session = Session::new("born", user)?;
        let own = &session.own;
        write(&own.join("pids.max"), "2")?;
        let run = Run::instead(user, Some(own), &policy(&[]), "probe").argument("hello").run().expect(0)?;
        ensure!(run.stdout == "hello\n", "{}", run.all());
        ensure!(number(&own.join("pids.events"), "max") == 0, "a process was refused: {}", run.all());
        // The twin: that limit does refuse a process.
        let mut twin = std::process::Command::new("/proc/self/exe");
        twin.arg("enter").arg(own).arg("0").args(["sh", "-c", "true & wait; echo made"]);
        let twin = finish(twin, Duration::from_secs(30));
        ensure!(number(&own.join("pids.events"), "max") > 0, "the limit refuses nothing: {}", twin.all());
    }
    PASSED
}

fn sleeper(user: u32, group: &Delegated, policy: &str) -> Run {
    Run::instead(user, Some(group.path()), policy, "probe").argument("sleep")
}

/// Starts a run that lasts in `group`, and waits until its limits are set.
pub fn sleeping(run: Run, group: &Delegated) -> Result<(Run, std::process::Child), String> {
    let child = run.start()?;
    let started = until(30, || {
        let leaf = group.runs().first().cloned();
        // The share is set once the interpreter has been executed.
        leaf.is_some_and(|leaf| {
            !processes(&leaf).is_empty() && !read(leaf.join("cpu.max")).starts_with("max")
        })
    });
    if started {
        return Ok((run, child));
    }
    let mut child = child;
    let _ = child.kill();
    Err(format!("it does not run: {}", wait(child, Duration::from_secs(5)).all()))
}

/// Waits until the program's own period of the processor share holds: the start has a longer one.
fn begun(group: &Path) {
    until(10, || read(group.join("cpu.max")) == "1000 10000");
}

/// What the policy says is what the kernel's files say, with a broker's leaf beside
/// and without.
fn limit_files() -> Verdict {
    for user in USERS {
        for network in [false, true] {
            let group = Delegated::new("files", user)?;
            let text =
                if network { TUTORIAL.to_owned() } else { policy(&[("memory", "20000000"), ("cpu", ".10")]) };
            let (run, mut child) = sleeping(sleeper(user, &group, &text), &group)?;
            let outer = group.runs().first().cloned().unwrap_or_default();
            let leaf = if network { outer.join("program") } else { outer.clone() };
            begun(&outer);
            let limit: u64 = read(leaf.join("memory.max")).parse().unwrap_or(0);
            let mut wrong = Vec::new();
            let mut same = |what: &str, found: String, expected: &str| {
                if found != expected {
                    wrong.push(format!("{what} is {found:?}, not {expected:?}"));
                }
            };
            // The kernel rounds down to pages.
            same("memory.max", limit.to_string(), &(20_000_000 / 4096 * 4096).to_string());
            same("cpu.max", read(outer.join("cpu.max")), "1000 10000");
            same("pids.max", read(leaf.join("pids.max")), "1");
            same("pids.current", read(leaf.join("pids.current")), "1");
            same("memory.oom.group", read(leaf.join("memory.oom.group")), "1");
            if leaf.join("memory.swap.max").exists() {
                same("memory.swap.max", read(leaf.join("memory.swap.max")), "0");
            }
            let inside = processes(&leaf);
            same("processes", inside.len().to_string(), "1");
            let pid = inside.first().copied().unwrap_or(0);
            let expected =
                leaf.strip_prefix(CGROUPS).map(|p| format!("0::/{}", p.display())).unwrap_or_default();
            same("its group", read(format!("/proc/{pid}/cgroup")), &expected);
            // The launcher itself is held by none of this.
            let own = read(format!("/proc/{}/cgroup", child.id()));
            same("the launcher is in the leaf", (own == expected).to_string(), "false");
            let _ = child.kill();
            let _ = child.wait();
            drop(run);
            ensure!(wrong.is_empty(), "as {user}, network {network}: {}", wrong.join("; "));
        }
    }
    PASSED
}

/// A Repy program over its memory: exit 5, and the kernel's own counters say so.
fn memory_hog(user: u32) -> Verdict {
    let hog = "keep = []\ni = 0\nwhile i < COUNT:\n  keep.append('x' * 1000)\n  keep[i] = keep[i] + str(i)\n  i = i + 1\n\
               print 'done', len(keep)\n";
    let mut peaks = Vec::new();
    for text in [policy(&[("memory", "20000000")]), TUTORIAL.replace("resource cpu .10", "resource cpu 1")] {
        let group = Delegated::new("hog", user)?;
        let run =
            Run::new(user, Some(group.path()), &text, &hog.replace("COUNT", "1000000")).run().expect(5)?;
        ensure!(run.stderr.contains("over limit '20000000"), "{}", run.all());
        let memory = &run.report["resources"]["memory"];
        let peak = memory["peak"].as_u64().unwrap_or(u64::MAX);
        ensure!(peak <= 20_000_000 + 4096, "over the limit: {}", run.all());
        peaks.push(peak);
        for (key, least) in [("max", 1), ("oom", 1), ("oom_kill", 1)] {
            let seen = group.count("memory.events", key);
            ensure!(seen >= least, "memory.events {key} {seen}: {}", run.all());
        }
        if kernel_from(5, 17) {
            let seen = group.count("memory.events", "oom_group_kill");
            ensure!(seen == 1, "memory.events oom_group_kill {seen}");
        }
        ensure!(group.runs().is_empty(), "a leaf is left: {:?}", group.runs());
        let run = Run::new(user, Some(group.path()), &text, &hog.replace("COUNT", "2000")).run().expect(0)?;
        ensure!(run.stdout.starts_with("done"), "{}", run.all());
    }
    Ok(Done::Passed(format!("peaks {peaks:?} of 20000000 bytes")))
}

/// A native program that fills memory as fast as it can.
fn native_memory_hog() -> Verdict {
    let mut peaks = Vec::new();
    for user in USERS {
        for attempt in ["private-memory", "shared-memory-map"] {
            let group = Delegated::new("native", user)?;
            let text = policy(&[]);
            let run = Run::instead(user, Some(group.path()), &text, "breach").argument(attempt).run();
            ensure!(!run.stdout.contains("REACHED"), "{attempt}: {}", run.all());
            if run.code == 5 {
                let peak = run.report["resources"]["memory"]["peak"].as_u64().unwrap_or(u64::MAX);
                ensure!(peak <= 50_000_000 + 4096, "over the limit: {}", run.all());
                ensure!(group.count("memory.events", "oom_kill") >= 1, "{}", run.all());
                peaks.push(peak);
            } else {
                // The backstop, or the filter (shared memory), was there first.
                ensure!(run.stdout.contains("REFUSED") || run.code == 71, "{attempt}: {}", run.all());
            }
        }
    }
    Ok(Done::Passed(format!("peaks {peaks:?} of 50000000 bytes")))
}

/// A tenth of a processor over six seconds.
fn cpu_share(user: u32) -> Verdict {
    let program = "if callfunc == 'initialize':\n  i = 0\n  while getruntime() < 6.0:\n    i = i + 1\n";
    let mut figures = Vec::new();
    for text in [policy(&[("cpu", ".1")]), TUTORIAL.to_owned()] {
        let group = Delegated::new("cpu", user)?;
        let run = Run::new(user, Some(group.path()), &text, program).run().expect(0)?;
        let cpu = &run.report["resources"]["cpu"];
        let used = cpu["used_seconds"].as_f64().unwrap_or(f64::MAX);
        let wall = run.report["elapsed_seconds"].as_f64().unwrap_or(0.0);
        // At most the share over every period begun and what starting took before the
        // share was set (emulated, that is much); and most of it (a busy host takes time away).
        let expected = 0.05 * wall..=0.1 * (wall + 0.02) + 0.15;
        ensure!(expected.contains(&used), "used {used} s of {wall} s, not {expected:?}: {}", run.all());
        let throttled = cpu["throttled_periods"].as_u64().unwrap_or(0);
        ensure!(throttled > 0, "never throttled: {}", run.all());
        ensure!(group.count("cpu.stat", "usage_usec") > 0, "no processor time counted");
        figures.push(format!("{:.1} % of {wall:.1} s, {throttled} periods throttled", 100.0 * used / wall));
    }
    Ok(Done::Passed(figures.join("; ")))
}

/// The leaf has room for one process: whoever is put into it from outside can make no
/// other. (From inside, the filter and RLIMIT_NPROC refuse first.)
fn one_process() -> Verdict {
    // A kernel without all of Landlock needs the filter for that layer too.
    let waived = ["seccomp", "landlock", "mdwe"];
    for user in USERS {
        let group = Delegated::new("pids", user)?;
        let (_run, mut child) = sleeping(sleeper(user, &group, &policy(&[])), &group)?;
        let leaf = group.runs().first().cloned().unwrap_or_default();
        let fork = |place: &Path| {
            let mut command = std::process::Command::new("/proc/self/exe");
            command.arg("enter").arg(place).args(["0", "sh", "-c", "true & wait; echo made"]);
            finish(command, Duration::from_secs(30))
        };
        let held = fork(&leaf);
        let counted = number(&leaf.join("pids.events"), "max");
        // The twin: the group of the whole machine has no such limit.
        let free = fork(Path::new(CGROUPS));
        terminate(&child);
        child.wait().map_err(|error| error.to_string())?;
        ensure!(!held.stdout.contains("made"), "as {user}: {}", held.all());
        ensure!(counted > 0, "pids.events counts nothing: {}", held.all());
        ensure!(free.stdout == "made\n", "{}", free.all());

        let group = Delegated::new("fork", user)?;
        let run = Run::instead(user, Some(group.path()), &policy(&[]), "breach").argument("fork");
        let held = run.without(&waived).run().expect(0)?;
        ensure!(held.stdout == format!("REFUSED {}\n", libc::EAGAIN), "as {user}: {}", held.all());
    }
    PASSED
}

/// Somebody with the right to do so loosens limits during a run.
fn loosened_limit() -> Verdict {
    for user in USERS {
        let group = Delegated::new("loose", user)?;
        let text = policy(&[("memory", "20000000"), ("cpu", ".10")]);
        let (run, mut child) = sleeping(sleeper(user, &group, &text), &group)?;
        let leaf = group.runs().first().cloned().unwrap_or_default();
        begun(&leaf);
        let before = read(leaf.join("memory.max"));
        write(&leaf.join("memory.max"), "max")?;
        write(&leaf.join("cpu.max"), "max")?;
        let restored = until(10, || {
            read(leaf.join("memory.max")) == before && read(leaf.join("cpu.max")) == "1000 10000"
        });
        let found = format!("{} {}", read(leaf.join("memory.max")), read(leaf.join("cpu.max")));
        terminate(&child);
        let ended = child.wait().map_err(|error| error.to_string())?;
        ensure!(restored, "still {found}");
        let notes = run.report()["notes"].to_string();
        ensure!(notes.contains("memory.max") && notes.contains("cpu.max"), "{ended}: {}", run.report());
    }
    PASSED
}

fn terminate(child: &std::process::Child) {
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    // One that has ended already cannot be signalled, and need not be.
    let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
}

/// With the first request for network a broker starts, under the same share of the
/// processor, with memory and processes of its own.
fn broker_leaf() -> Verdict {
    for user in USERS {
        let session = Session::new("broker", user)?;
        let run = Run::new(user, Some(&session.own), TUTORIAL, &talk("sleep(3)"));
        let child = run.start()?;
        let broker = || session.group.runs().first().map(|outer| outer.join("broker")).unwrap_or_default();
        let there = until(60, || processes(&broker()).len() == 1);
        let found: Vec<String> =
            ["memory.max", "pids.max", "memory.oom.group"].map(|f| read(broker().join(f))).into();
        let pid = processes(&broker()).first().copied().unwrap_or(0);
        let status = || read(format!("/proc/{pid}/status"));
        let is_held = || {
            let status = status();
            let no_capability = status.lines().any(|line| line.trim_end() == "CapEff:\t0000000000000000");
            no_capability && status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2")
        };
        // It is in its leaf from the start, and gives up what it does not need then.
        let held = until(60, is_held);
        let status = status();
        let ended = wait(child, Duration::from_secs(60));
        ensure!(there, "no broker in its leaf: {}", ended.all());
        // How much it may have is the broker's own affair; that there is a bound is not.
        let processes_bounded = found[1].parse().is_ok_and(|most: u32| (1..=16).contains(&most));
        let memory_bounded = found[0].parse().is_ok_and(|most: u64| (16 << 20..=64 << 20).contains(&most));
        ensure!(processes_bounded && memory_bounded && found[2] == "1", "the broker's limits: {found:?}");
        let ended = ended.expect(0)?;
        ensure!(ended.stdout == "heard hello\n", "{}", ended.all());
        ensure!(held, "the broker is free: {status}: {}", ended.all());
        ensure!(session.group.runs().is_empty(), "a leaf is left: {:?}", session.group.runs());
    }
    PASSED
}

/// A limit above the run's group kills the program: that is not the program's limit,
/// and is not said to be.
fn ancestors_limit() -> Verdict {
    let group = Delegated::new("above", 0)?;
    let inner = group.below("inner")?;
    write(&group.path().join("cgroup.subtree_control"), "+cpu +memory +pids")?;
    write(&group.path().join("memory.max"), "20000000")?;
    let run = Run::instead(0, Some(&inner), &policy(&[]), "breach").argument("private-memory").run();
    ensure!(run.code == 137, "{}", run.all());
    ensure!(run.stderr.contains("short of memory"), "{}", run.all());
    PASSED
}

/// A launcher that is killed cannot remove its leaf; the next start does, and removes
/// nothing else.
fn stale_leaf() -> Verdict {
    for user in USERS {
        for text in [policy(&[]), TUTORIAL.to_owned()] {
            let session = Session::new("stale", user)?;
            let group = &session.group;
            let run = Run::new(user, Some(&session.own), &text, BUSY);
            let mut child = run.start()?;
            let busy = until(60, || group.runs().iter().any(|leaf| !processes(leaf).is_empty()));
            let before = group.runs();
            child.kill().map_err(|error| error.to_string())?;
            child.wait().map_err(|error| error.to_string())?;
            ensure!(busy, "it does not run");
            let empty = until(2, || before.iter().all(|leaf| processes(leaf).is_empty()));
            ensure!(empty, "a process is left: {:?}", processes(group.path()));
            ensure!(group.runs() == before, "the leaf is gone already: {:?}", group.runs());
            let other = group.path().join("repy-not-one-of-ours");
            fs::create_dir(&other).map_err(|error| error.to_string())?;
            Run::new(user, Some(&session.own), &text, HELLO).run().expect(0)?;
            fs::remove_dir(&other).map_err(|error| format!("what was not ours was removed: {error}"))?;
            ensure!(group.runs().is_empty(), "as {user}: left: {:?}", group.runs());
        }
    }
    PASSED
}
