//! The launch alone, by hand: builds the sandbox for a policy, runs a static
//! binary in it and tells how it ended. No supervision and no control group:
//! for looking at the chain, for measuring it, and for the tests of the chain.
//!
//! confine [--without LAYER] [--times N] [--timings] [--plan] [--reserve NAME] POLICY VESSEL INTERP [ARGUMENT...]

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};

use launcher::apply::{self, CgroupEntry};
use launcher::facts::{Host, Support};
use launcher::plan::demand::Demand;
use launcher::plan::layer::Layer;
use launcher::request::{Request, Reserved};

fn main() {
    let mut words = std::env::args_os().skip(1).peekable();
    let mut waived = vec![Layer::Cgroup];
    let (mut timings, mut show, mut times) = (false, false, 1u32);
    let mut reserved = Vec::new();
    while let Some(option) = words.next_if(|word| word.to_string_lossy().starts_with("--")) {
        match option.to_string_lossy().as_ref() {
            "--without" => {
                waived.extend(words.next().and_then(|name| Layer::from_name(&name.to_string_lossy())))
            }
            "--times" => times = words.next().and_then(|n| n.to_string_lossy().parse().ok()).unwrap_or(1),
            "--timings" => timings = true,
            "--plan" => show = true,
            "--reserve" => reserved.extend(words.next()),
            other => fail(2, &format!("unknown option {other}")),
        }
    }
    let (Some(policy), Some(vessel), Some(interpreter)) = (words.next(), words.next(), words.next()) else {
        fail(2, "usage: confine [OPTIONS] POLICY VESSEL INTERP [ARGUMENT...]")
    };
    let text = std::fs::read(&policy).unwrap_or_else(|error| fail(2, &error.to_string()));
    let parsed = policies::Policy::parse(&text, &policy.to_string_lossy())
        .unwrap_or_else(|diagnostics| fail(2, &format!("{diagnostics:?}")));
    let request = Request {
        demand: Demand::of(&parsed.policy, true),
        reserved: reserved
            .into_iter()
            .map(|name| Reserved {
                exists: std::path::Path::new(&vessel).join(&name).exists(),
                name,
                role: "reserved",
            })
            .collect(),
        vessel: vessel.into(),
        interpreter: interpreter.into(),
        arguments: words.collect(),
        waived: waived.into_iter().collect(),
        scratch: false,
        max_accepted: 1024,
        start_block: b"start block".to_vec(),
    };
    let mut code = 0;
    for _ in 0..times {
        let host =
            Host::probe(&request, Support::no("not looked for")).unwrap_or_else(|e| fail(2, &e.to_string()));
        let plan =
            launcher::plan::plan(&request, &host).unwrap_or_else(|refusal| fail(4, &refusal.to_string()));
        if show {
            print!("{plan}");
        }
        let launched = apply::launch(&plan, &request, &host.vessel, CgroupEntry::default(), || {}, timings)
            .unwrap_or_else(|error| fail(if error.usage { 2 } else { 4 }, &error.to_string()));
        for timing in &launched.timings {
            eprintln!("{:>26} {:>7} us", timing.step, timing.took.as_micros());
        }
        code = outcome(&launched);
    }
    std::process::exit(code);
}

fn fail(code: i32, message: &str) -> ! {
    eprintln!("confine: {message}");
    std::process::exit(code)
}

/// Copies the output until the end, then says how the process ended, as a
/// shell does: the exit status, or 128 and the signal.
fn outcome(launched: &apply::Launched) -> i32 {
    use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
    use nix::sys::wait::{waitid, Id, WaitPidFlag, WaitStatus};
    let mut open = [true, true];
    while open != [false, false] {
        let streams = [&launched.stdout, &launched.stderr];
        let mut waiting: Vec<PollFd<'_>> = (0..2)
            .filter(|index| open[*index])
            .map(|index| PollFd::new(streams[index].as_fd(), PollFlags::POLLIN))
            .collect();
        if poll(&mut waiting, PollTimeout::NONE).is_err() {
            continue;
        }
        for (index, stream) in
            streams.iter().enumerate().filter(|(index, _)| open[*index]).collect::<Vec<_>>()
        {
            let mut buffer = [0u8; 65536];
            match nix::unistd::read(stream.as_fd(), &mut buffer) {
                Ok(0) => open[index] = false,
                Ok(count) if index == 0 => drop(std::io::stdout().write_all(&buffer[..count])),
                Ok(count) => drop(std::io::stderr().write_all(&buffer[..count])),
                Err(_) => {}
            }
        }
    }
    debug_assert!(launched.pidfd.as_raw_fd() > 2);
    match waitid(Id::PIDFd(launched.pidfd.as_fd()), WaitPidFlag::WEXITED) {
        Ok(WaitStatus::Exited(_, code)) => code,
        Ok(WaitStatus::Signaled(_, signal, _)) => {
            eprintln!("confine: killed by {signal}");
            128 + signal as i32
        }
        other => fail(70, &format!("{other:?}")),
    }
}
