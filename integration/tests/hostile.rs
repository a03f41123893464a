//! Hostile programs, each with the verdict it must get: `integration/tests/hostile/*.repy`.
//!
//! The first lines of a program are `# key: value`: `expect` and `also-ok` (verdicts),
//! `policy` (a file in `policies/`), `args`, `limit-s` (when it is stopped with SIGTERM),
//! `setup` (done in the fresh vessel before the run), `must-print`, `must-not-print`.
#![allow(missing_docs)]

use integration::network::Network;
use integration::run::{Launch, User};
use integration::setting::Setting;
use nix::sys::signal::{kill, Signal};
use nix::unistd::Pid;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use std::time::{Duration, Instant};

#[derive(Default)]
struct Case {
    path: PathBuf,
    name: String,
    verdicts: Vec<String>,
    policy: String,
    arguments: Vec<String>,
    limit: u64,
    setup: Vec<String>,
    must_print: Vec<String>,
    must_not_print: Vec<String>,
}

fn directory() -> PathBuf {
    integration::project_root().join("integration/tests/hostile")
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = std::fs::read_dir(directory())
        .expect("the directory of hostile programs")
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "repy"))
        .map(|path| parse(&path))
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(cases.len() >= 250, "only {} programs", cases.len());
    cases
}

fn parse(path: &Path) -> Case {
    let bytes = std::fs::read(path).expect("readable");
    let text = String::from_utf8_lossy(&bytes);
    let name = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let mut case = Case { path: path.into(), name, policy: "default".into(), limit: 30, ..Case::default() };
    for line in text.lines() {
        let Some((key, value)) = line.strip_prefix("# ").and_then(|rest| rest.split_once(": ")) else {
            break;
        };
        let value = value.trim().to_string();
        match key {
            "expect" => case.verdicts.insert(0, value),
            "also-ok" => case.verdicts.extend(value.split('|').map(|v| v.trim().to_string())),
            "policy" => case.policy = value,
            "args" => case.arguments = value.split_whitespace().map(str::to_string).collect(),
            "limit-s" => case.limit = value.parse().expect("limit-s is a number"),
            "setup" => case.setup.push(value),
            "must-print" => case.must_print.push(value),
            "must-not-print" => case.must_not_print.push(value),
            _ => {}
        }
    }
    assert!(!case.verdicts.is_empty(), "{}: no `expect` line", path.display());
    case
}

/// What the header asks to be in the vessel before the run.
fn set_up(vessel: &Path, line: &str) -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = |i: usize| words.get(i).map(|w| vessel.join(w)).ok_or("a name is missing");
    match words[0] {
        "symlink" => std::os::unix::fs::symlink(words[2], at(1)?)?,
        "hardlink" => std::fs::hard_link(at(2)?, at(1)?)?,
        "fifo" => nix::unistd::mkfifo(&at(1)?, nix::sys::stat::Mode::from_bits_truncate(0o666))?,
        "dir" => std::fs::create_dir(at(1)?)?,
        "file" => std::fs::write(at(1)?, words[2..].join(" "))?,
        "socket" => drop(std::os::unix::net::UnixListener::bind(at(1)?)?),
        "mode" => {
            use std::os::unix::fs::PermissionsExt;
            std::fs::write(at(1)?, "x")?;
            let mode = u32::from_str_radix(words[2], 8)?;
            std::fs::set_permissions(at(1)?, std::fs::Permissions::from_mode(mode))?;
        }
        "manyfiles" => {
            for i in 0..words[1].parse::<u32>()? {
                std::fs::write(vessel.join(format!("f{i}")), "")?;
            }
        }
        other => return Err(format!("unknown setup word {other:?}").into()),
    }
    Ok(())
}

/// The verdict's word for an exit code.
fn verdict(code: i32) -> &'static str {
    match code {
        0 => "harmless",
        1 => "exception",
        3 => "rejected",
        5..=7 => "killed",
        _ => "(other)",
    }
}

/// Runs one case; what is wrong with its end, if anything.
fn run(case: &Case, network: Option<&Network>) -> Result<(), String> {
    let setting = Setting::new(&case.name, User::Caller);
    for line in &case.setup {
        set_up(setting.vessel(), line).map_err(|e| format!("setup {line:?}: {e}"))?;
    }
    let policy = directory().join("policies").join(&case.policy);
    let mut launch = Launch::new(User::Caller, policy, &case.path).vessel(setting.vessel());
    for word in &case.arguments {
        launch = launch.argument(word);
    }
    let command = launch.command();
    let mut command = network.map_or(command, |network| network.inside(&launch.command()));
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    let out = drain(child.stdout.take());
    let err = drain(child.stderr.take());
    let start = Instant::now();
    let mut stopped = None;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            break status;
        }
        if stopped.is_none() && start.elapsed() > Duration::from_secs(case.limit) {
            kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).map_err(|e| e.to_string())?;
            stopped = Some(Instant::now());
        }
        if stopped.is_some_and(|s: Instant| s.elapsed() > Duration::from_secs(10)) {
            let _ = child.kill();
            let _ = child.wait();
            return Err("SIGTERM did not end it".into());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let late = stopped.map(|s| s.elapsed());
    let code = status.code().unwrap_or(-1);
    let text = |thread: std::thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&thread.join().unwrap_or_default()).into_owned()
    };
    let (stdout, stderr) = (text(out), text(err));
    let all = format!("{stdout}{stderr}");
    let tail = |s: &str| s.chars().rev().take(600).collect::<Vec<_>>().into_iter().rev().collect::<String>();
    let fail = |what: String| {
        Err(format!(
            "{what}\n    stdout: …{}\n    stderr: …{}",
            tail(&stdout).escape_debug(),
            tail(&stderr).escape_debug()
        ))
    };
    let word = if stopped.is_some() { "throttled" } else { verdict(code) };
    if late.is_some_and(|l| l > Duration::from_secs(2)) {
        return fail(format!("stopped only after {late:?}"));
    }
    if !case.verdicts.iter().any(|v| v == word) {
        return fail(format!("expected {:?}, got {word} (exit {code})", case.verdicts));
    }
    if all.contains("ESCAPED") || all.contains("panicked") || all.contains("RUST_BACKTRACE") {
        return fail("printed a text that must never appear".into());
    }
    // Only a program that ended as it was meant to has come to its last line.
    if word == case.verdicts[0] && stopped.is_none() {
        if let Some(text) = case.must_print.iter().find(|t| !all.contains(t.as_str())) {
            return fail(format!("did not print {text:?}"));
        }
    }
    if let Some(text) = case.must_not_print.iter().find(|t| all.contains(t.as_str())) {
        return fail(format!("printed {text:?}"));
    }
    Ok(())
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        // Bounded: a flood is a part of the test, its text is not.
        let mut kept = Vec::new();
        let mut block = [0u8; 65536];
        let Some(mut pipe) = pipe else { return kept };
        while let Ok(count) = pipe.read(&mut block) {
            if count == 0 {
                break;
            }
            if kept.len() < 4 << 20 {
                kept.extend_from_slice(&block[..count]);
            }
        }
        kept
    })
}

#[test]
fn every_program_gets_its_verdict() {
    let chosen = std::env::var("REPY_CASE").unwrap_or_default();
    let cases: Vec<Case> = cases().into_iter().filter(|c| c.name.contains(&chosen)).collect();
    // Ports are shared by all: programs that use the network take turns.
    let (network, others): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(uses_network);
    let wrong = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    let note = |case: &Case, network: Option<&Network>| {
        if let Err(what) = run(case, network) {
            wrong.lock().unwrap_or_else(|e| e.into_inner()).push(format!("{}: {what}", case.name));
        }
    };
    std::thread::scope(|scope| {
        // In a network of their own, so that nothing they try leaves this machine.
        scope.spawn(|| {
            let own = Network::new("hostile");
            network.iter().for_each(|case| note(case, own.as_ref()));
        });
        for _ in 0..8 {
            scope.spawn(|| {
                while let Some(case) = others.get(next.fetch_add(1, Ordering::Relaxed)) {
                    note(case, None);
                }
            });
        }
    });
    let mut wrong = wrong.into_inner().unwrap_or_else(|e| e.into_inner());
    wrong.sort();
    let total = network.len() + others.len();
    assert!(wrong.is_empty(), "{} of {total} programs:\n{}", wrong.len(), wrong.join("\n"));
    println!("{total} hostile programs got their verdicts");
}

fn uses_network(case: &Case) -> bool {
    let bytes = std::fs::read(&case.path).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    ["waitforconn", "recvmess", "openconn", "sendmess"].iter().any(|call| text.contains(call))
}
