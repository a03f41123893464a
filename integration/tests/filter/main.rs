//! The system call filters against their policy files: each line probed on the live
//! filter, the installed program compared with the compiled one, and no line that nothing
//! needs.
#![allow(missing_docs)]

mod used;

use integration::attempts::{for_each, inside, Row};
use integration::network::{Network, SERVER_ADDRESS};
use integration::outside::Outside;
use integration::processes::{descendants, is_alive, wait_until};
use integration::run::{finish, users, User};
use integration::scratch::Scratch;
use integration::setting::{wide_policy, Setting};
use launcher::filter::parse::{Comparison, Condition, Outcome, Rule};
use launcher::filter::{self, emulate};
use launcher::plan::demand::Demand;
use launcher::plan::seccomp::{sections, FilterPlan, VESSEL_DESCRIPTOR};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;
use used::{PROGRAM, RARE};

/// The most that either file may hold.
const MOST: usize = 80;

/// What the policy file says of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    Allow,
    Fail(u16),
    Kill,
}

fn holds(condition: &Condition, arguments: &[u64; 6]) -> bool {
    let mask = if condition.wide { u64::MAX } else { u64::from(u32::MAX) };
    let argument = arguments[usize::from(condition.argument)] & mask;
    match condition.comparison {
        Comparison::Equal => argument == condition.value & mask,
        Comparison::Different => argument != condition.value & mask,
        Comparison::Masked(bits) => argument & bits & mask == condition.value & mask,
    }
}

fn decide(rules: &[Rule<'_>], number: i64, arguments: &[u64; 6]) -> Decision {
    let matching = || {
        rules
            .iter()
            .filter(|rule| rule.number == Some(number))
            .filter(|rule| rule.conditions.iter().all(|condition| holds(condition, arguments)))
    };
    let failing = matching().find_map(|rule| match rule.outcome {
        Outcome::Fail(error) => Some(error),
        Outcome::Allow => None,
    });
    match failing {
        Some(error) => Decision::Fail(error),
        None if matching().next().is_some() => Decision::Allow,
        None => Decision::Kill,
    }
}

/// Arguments that fulfil a line; all ones where it asks nothing, which every call refuses
/// by itself and waits for nothing.
fn fulfilling(rule: &Rule<'_>) -> [u64; 6] {
    let mut arguments = [u64::MAX; 6];
    for condition in &rule.conditions {
        let argument = &mut arguments[usize::from(condition.argument)];
        *argument = match condition.comparison {
            Comparison::Equal => condition.value,
            Comparison::Different => condition.value ^ 1,
            Comparison::Masked(bits) => (*argument & !bits) | condition.value,
        };
    }
    arguments
}

/// The calls to probe a line with: as it wants, with dirty upper halves, and with each
/// condition broken in turn.
fn probes(rule: &Rule<'_>) -> Vec<[u64; 6]> {
    let good = fulfilling(rule);
    let mut dirty = good;
    let mut all = vec![good];
    for condition in &rule.conditions {
        let index = usize::from(condition.argument);
        if !condition.wide {
            dirty[index] ^= 0x7ead_0000_0000_0000;
        }
        let mut broken = good;
        broken[index] = match condition.comparison {
            Comparison::Equal => condition.value ^ 1,
            Comparison::Different => condition.value,
            Comparison::Masked(bits) => good[index] ^ (bits & bits.wrapping_neg()),
        };
        all.push(broken);
        if condition.wide {
            // What is compared whole differs by its upper half alone too.
            broken[index] = good[index] ^ (1 << 63);
            all.push(broken);
        }
    }
    all.push(dirty);
    all.dedup();
    all
}

fn words(arguments: &[u64; 6]) -> String {
    arguments.map(|argument| format!("{argument:x}")).join(",")
}

fn filter_plan(policy: &str, exec_descriptor: i32) -> FilterPlan {
    let parsed = policies::Policy::parse(policy.as_bytes(), "policy").unwrap_or_else(|e| panic!("{e:?}"));
    let sections = sections(&Demand::of(&parsed.policy, true)).into_iter().map(|(section, _)| section);
    FilterPlan { vessel_descriptor: VESSEL_DESCRIPTOR, exec_descriptor, sections: sections.collect() }
}

/// The only call that cannot be made with arbitrary arguments: it takes its frame from the stack.
const UNPROBED: &[&str] = &["rt_sigreturn"];

/// A policy that grants nothing but what must be there.
const BARE: &str =
    "resource cpu .5\nresource memory 50000000\nresource diskused 20000000\nresource events 3\n\
                    resource lograte 100000\ncall sleep allow\ncall log.write allow\n";

#[test]
fn each_line_of_the_interpreters_filter_does_what_it_says() {
    // Nothing is at the number: the real one, at or above the limit of open files, is known to the launcher.
    const NOBODY: i32 = 1_000_000;
    for (policy, least) in [(wide_policy(), 45), (BARE.to_owned(), 30)] {
        let wide = filter_plan(&wide_policy(), NOBODY);
        let all = filter::interpreter_rules(&wide).expect("parses");
        let rules = filter::interpreter_rules(&filter_plan(&policy, NOBODY)).expect("parses");
        assert!(rules.len() >= least && rules.len() < MOST, "{} lines", rules.len());
        // Every line of the file is probed, those of sections that the policy has not too.
        let mut calls = Vec::new();
        for rule in all.iter().filter(|rule| rule.name != "execveat" && !UNPROBED.contains(&rule.name)) {
            let Some(number) = rule.number else { continue };
            for arguments in probes(rule) {
                let expected = decide(&rules, number, &arguments);
                let name = format!("{}:{number}:{}", rule.line, words(&arguments));
                calls.push((Row { name, class: rule.name.into(), twin: String::new() }, expected));
            }
        }
        let requests: Vec<Row> = calls.iter().map(|(row, _)| row.clone()).collect();
        let found = for_each(User::Caller, &requests, |outside, row| live(outside, row, &policy));
        let wrong: Vec<String> = calls
            .iter()
            .zip(found)
            .filter(|((_, expected), found)| expected != found)
            .map(|((row, expected), found)| {
                format!("line {} {}: expected {expected:?}, found {found:?}", row.name, row.class)
            })
            .collect();
        println!("{} calls on {} lines", calls.len(), all.len());
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// What the live filter of a sandbox does with a call.
fn live(outside: &mut Outside, row: &Row, policy: &str) -> Decision {
    let vessel = outside.vessel("vessel", policy);
    let call = row.name.split_once(':').map_or("", |(_, call)| call);
    let run = inside(outside, User::Caller, &vessel, &format!("call:{call}"), &[]);
    let _ = std::fs::remove_dir_all(&vessel);
    match (run.code(), run.stdout.trim_end()) {
        (71, "") => Decision::Kill,
        (_, "REFUSED 2") if ["openat", "readlink", "readlinkat"].contains(&row.class.as_str()) => {
            Decision::Fail(libc::ENOENT as u16)
        }
        (_, "REFUSED 38") => Decision::Fail(libc::ENOSYS as u16),
        _ => Decision::Allow,
    }
}

#[test]
fn each_line_of_the_brokers_filter_does_what_it_says() {
    let rules = filter::broker_rules().expect("parses");
    assert!(rules.len() >= 30 && rules.len() < MOST, "{} lines", rules.len());
    let scratch = Scratch::new("filter");
    let program = filter::broker().expect("compiles");
    let text: String = program.iter().map(|i| format!("{} {} {} {}\n", i.code, i.jt, i.jf, i.k)).collect();
    let file = scratch.write("filter", text);
    let mut wrong = Vec::new();
    for rule in rules.iter().filter(|rule| !UNPROBED.contains(&rule.name)) {
        let Some(number) = rule.number else { continue };
        for arguments in probes(rule) {
            let mut command = Command::new(integration::bin("breach"));
            command.arg("under").arg(&file).arg(format!("{number}:{}", words(&arguments)));
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let run = finish(command, Duration::from_secs(30));
            let found = match (run.code(), run.stdout.trim_end()) {
                (code, "") if code == 128 + libc::SIGSYS => Decision::Kill,
                (_, "REFUSED 38") => Decision::Fail(libc::ENOSYS as u16),
                _ => Decision::Allow,
            };
            let expected = decide(&rules, number, &arguments);
            if found != expected {
                let words = words(&arguments);
                wrong.push(format!(
                    "line {} {} {words}: expected {expected:?}, found {found:?}: {:?}",
                    rule.line, rule.name, run.stdout
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A policy's filter has no more than the policy needs.
#[test]
fn a_policy_without_files_or_network_has_no_call_for_them() {
    let named = |policy: &str| {
        let plan = filter_plan(policy, 200);
        let rules = filter::interpreter_rules(&plan).expect("parses");
        let allowed = rules.iter().filter(|rule| rule.outcome == Outcome::Allow);
        allowed.map(|rule| rule.name).collect::<std::collections::BTreeSet<_>>()
    };
    let (bare, wide) = (named(BARE), named(&wide_policy()));
    for name in ["openat", "pwrite64", "ftruncate", "getdents64", "unlinkat", "accept4", "recvfrom"] {
        assert!(!bare.contains(name), "a bare policy allows {name}");
        assert!(wide.contains(name), "a wide policy lacks {name}");
    }
    let files = format!("{BARE}resource filesopened 3\ncall open arg 1 is r allow\ncall file.__init__ arg 1 is r allow\ncall file.read allow\n");
    let reading = named(&files);
    assert!(reading.contains("openat") && !reading.contains("pwrite64") && !reading.contains("recvfrom"));
}

/// A run of the real interpreter, held until this is dropped.
struct Held {
    child: std::process::Child,
    _setting: Setting,
}

impl Held {
    fn start(user: User, policy: &str, program: &str) -> Held {
        let setting = Setting::new("filter", user);
        let mut child = setting.launch(policy, program).command().spawn().expect("the launcher starts");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("a line");
        assert_eq!(line, "started\n");
        Held { child, _setting: setting }
    }

    /// The filters of each process of the run, as the kernel gives them back.
    fn filters(&self) -> Vec<Vec<String>> {
        let ask = |pid: &u32| {
            let output = Command::new(integration::bin("breach"))
                .arg("filters")
                .arg(pid.to_string())
                .output()
                .expect("breach runs");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            text.split("\n\n").filter(|program| !program.is_empty()).map(str::to_owned).collect()
        };
        descendants(self.child.id()).iter().map(ask).collect()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let below = descendants(self.child.id());
        let _ = self.child.kill();
        let _ = self.child.wait();
        wait_until(Duration::from_secs(10), || !below.iter().any(|pid| is_alive(*pid)));
    }
}

fn listing(program: &[filter::Instruction]) -> String {
    program.iter().map(|i| format!("{} {} {} {}", i.code, i.jt, i.jf, i.k)).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_installed_filters_are_the_compiled_ones() {
    if !integration::is_root() {
        integration::skipped("only root may read a filter back");
        return;
    }
    for user in users() {
        for policy in [wide_policy(), BARE.to_owned()] {
            let held = Held::start(user, &policy, "print 'started'\nsleep(60)\n");
            let filters = held.filters();
            assert_eq!(filters.len(), 1, "one process, {filters:?}");
            assert_eq!(filters[0].len(), 1, "one filter");
            let found = (64..4096).any(|exec| {
                let compiled = filter::interpreter(&filter_plan(&policy, exec)).expect("compiles");
                listing(&compiled) == filters[0][0].trim_end()
            });
            assert!(found, "as {user:?}: the installed filter is not the compiled one:\n{}", filters[0][0]);
            // The emulator, which decides what the other tests expect, is the kernel's equal
            // on this very program: both were compared with the file's lines.
        }
        let port =
            std::net::UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()).expect("a port").port();
        let policy = wide_policy().replace("messport 12345", &format!("messport {port}"));
        let program = format!(
            "def got(ip, port, text, handle):\n  pass\nrecvmess('127.0.0.1', {port}, got)\nprint 'started'\nsleep(60)\n"
        );
        let held = Held::start(user, &policy, &program);
        let compiled = listing(&filter::broker().expect("compiles"));
        let filters = held.filters();
        let broker = filters.iter().any(|of_one| of_one.iter().any(|one| one.trim_end() == compiled));
        assert!(broker, "as {user:?}: no process has the broker's filter ({} processes)", filters.len());
    }
}

#[test]
fn emulator_and_policy_file_agree_on_every_probe() {
    for (rules, program) in [
        (
            filter::interpreter_rules(&filter_plan(&wide_policy(), 200)).expect("parses"),
            filter::interpreter(&filter_plan(&wide_policy(), 200)).expect("compiles"),
        ),
        (filter::broker_rules().expect("parses"), filter::broker().expect("compiles")),
    ] {
        for rule in &rules {
            let Some(number) = rule.number else { continue };
            for arguments in probes(rule) {
                let architecture = if cfg!(target_arch = "aarch64") { 0xc000_00b7 } else { 0xc000_003e };
                let call = emulate::CallData { architecture, number: number as u32, arguments };
                let action = emulate::run(&program, &call).expect("a plain filter");
                let expected = match decide(&rules, number, &arguments) {
                    Decision::Allow => libc::SECCOMP_RET_ALLOW,
                    Decision::Fail(error) => libc::SECCOMP_RET_ERRNO | u32::from(error),
                    Decision::Kill => libc::SECCOMP_RET_KILL_PROCESS,
                };
                assert_eq!(action, expected, "line {} {} {arguments:x?}", rule.line, rule.name);
            }
        }
    }
}

#[test]
fn the_report_of_a_forbidden_call_says_how_to_find_it_or_names_it() {
    for user in users() {
        let mut outside = Outside::new(user);
        let vessel = outside.vessel("vessel", &wide_policy());
        let run = inside(&outside, user, &vessel, &format!("call:{}:0,0,0", libc::SYS_unshare), &[]);
        run.expect_code(71);
        let text = run.stderr.as_str();
        assert!(text.contains("unshare") || text.contains("dmesg") || text.contains("journalctl"), "{text}");
        assert!(!text.contains("ptrace"), "{text}");
        outside.restore(&vessel);
    }
}

/// What a set of ordinary programs calls, by whose filter it stood under.
/// In a network of their own, with a name server.
fn calls() -> Option<Vec<(String, i64, [u64; 6])>> {
    let mut network = Network::new("used")?;
    network.names("", &format!("nameserver {SERVER_ADDRESS}\n"));
    network.serve(&["dns", &format!("{SERVER_ADDRESS}:53"), "200", "198.51.100.1"]);
    let setting = Setting::new("used", User::Caller);
    let port = |kind: &str| match kind {
        "udp" => std::net::UdpSocket::bind("127.0.0.1:0").and_then(|s| s.local_addr()),
        _ => std::net::TcpListener::bind("127.0.0.1:0").and_then(|s| s.local_addr()),
    };
    let (udp, tcp) = (port("udp").expect("a port").port(), port("tcp").expect("a port").port());
    let policy = wide_policy()
        .replace("messport 12345", &format!("messport {udp}"))
        .replace("connport 12345", &format!("connport {tcp}"));
    let policy = setting.write("policy.test", policy);
    let program = PROGRAM.replace("UDP", &udp.to_string()).replace("TCP", &tcp.to_string());
    let program = setting.write("program.repy", program);
    let mut command = Command::new(integration::bin("breach"));
    command.arg("trace").arg(integration::bin("repy-launch")).arg("--policy").arg(policy);
    command.arg("--vessel").arg(setting.vessel()).arg(program);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = finish(network.inside(&command), Duration::from_secs(120));
    let line = |line: &str| {
        let mut words = line.split(' ');
        let (kind, number) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
        let mut arguments = [0u64; 6];
        for (argument, word) in arguments.iter_mut().zip(words.next()?.split(',')) {
            *argument = u64::from_str_radix(word, 16).ok()?;
        }
        Some((kind, number, arguments))
    };
    let calls: Vec<_> = run.stdout.lines().filter_map(line).collect();
    assert!(calls.len() > 100, "only {} calls seen; stderr:\n{}", calls.len(), run.stderr);
    Some(calls)
}

/// A line as it stands in its file, without the reason.
fn text_of(kind: &str, rule: &Rule<'_>) -> &'static str {
    let file = if kind == "interp" { filter::INTERPRETER } else { filter::BROKER };
    let line = file.lines().nth(rule.line as usize - 1).unwrap_or_default();
    line.split('#').next().unwrap_or_default().trim()
}

#[test]
fn no_line_of_either_filter_is_there_for_nothing() {
    if !integration::is_root() {
        integration::skipped("only root may look at the calls of a sandbox");
        return;
    }
    let Some(used) = calls() else { return };
    let wide = filter_plan(&wide_policy(), 1_000_000);
    let interpreter = filter::interpreter_rules(&wide).expect("parses");
    let broker = filter::broker_rules().expect("parses");
    let (mut idle, mut needed) = (Vec::new(), 0);
    for (kind, rule) in interpreter.iter().map(|r| ("interp", r)).chain(broker.iter().map(|r| ("broker", r)))
    {
        let Some(number) = rule.number else { continue };
        let hit = used.iter().any(|(whose, called, arguments)| {
            whose == kind
                && *called == number
                // The number of the one exec is the launcher's choice.
                && (rule.name == "execveat" || rule.conditions.iter().all(|c| holds(c, arguments)))
        });
        needed += usize::from(hit);
        let text = text_of(kind, rule);
        if !hit && !RARE.iter().any(|(whose, line, _)| *whose == kind && *line == text) {
            idle.push(format!("{kind} line {}: {text} # {}", rule.line, rule.reason));
        }
    }
    println!("{needed} lines of {} used", interpreter.len() + broker.len());
    assert!(idle.is_empty(), "nothing uses these lines:\n{}", idle.join("\n"));
    assert!(needed >= 50, "only {needed} lines were seen in use");
    for (whose, line, reason) in RARE {
        let rules = if *whose == "interp" { &interpreter } else { &broker };
        assert!(rules.iter().any(|rule| text_of(whose, rule) == *line), "{whose} {line}: {reason}");
    }
}
