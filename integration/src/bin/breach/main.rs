//! The program that stands in the interpreter's place when a breach is assumed: it
//! makes one attempt and says how it came out.
//!
//! `breach list` names all attempts with their class and twin; `breach network` prints the
//! cookie of its own network. `filters PID`, `trace COMMAND…` and `under FILE CALL` look at
//! filters from outside (see `trace`); `call:N:ARGUMENTS` as an attempt makes one call.
//! `breach PROGRAM NAME key=value…` makes one; `twin:NAME` its twin inside;
//! `syscall:N` calls number N with zeros; `fill:METHOD` fills the vessel (see `fill`). The launcher gives PROGRAM itself.
//!
//! It prints one line: `REACHED …` (the effect), or `REFUSED errno`.

mod attempt;
mod bombs;
mod families;
mod files;
mod fill;
mod kernel;
mod locks;
mod network;
mod paths;
mod places;
mod processes;
mod resources;
mod signals;
mod sys;
mod trace;

use attempt::{Attempt, Given, Outcome, Twin};

fn attempts() -> impl Iterator<Item = &'static Attempt> {
    [
        files::ATTEMPTS,
        paths::ATTEMPTS,
        paths::LEGACY,
        places::ATTEMPTS,
        processes::ATTEMPTS,
        locks::ATTEMPTS,
        signals::ATTEMPTS,
        network::ATTEMPTS,
        families::ATTEMPTS,
        kernel::ATTEMPTS,
        kernel::PRIVILEGED,
        kernel::FOREIGN,
        resources::ATTEMPTS,
        bombs::ATTEMPTS,
    ]
    .into_iter()
    .flatten()
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if words.get(1).is_some_and(|w| w == "list") {
        for attempt in attempts() {
            let twin = match attempt.twin {
                Twin::Outside => "outside",
                Twin::OutsideAsRoot => "outside-as-root",
                Twin::Inside(_) => "inside",
            };
            println!("{} {} {twin}", attempt.name, attempt.class);
        }
        return;
    }
    if words.get(1).is_some_and(|w| w == "network") {
        println!("{}", network::own_network());
        return;
    }
    match (words.get(1).map(String::as_str), words.get(2)) {
        (Some("filters"), Some(pid)) => {
            let _ = trace::filters(pid.parse().unwrap_or(0));
            return;
        }
        (Some("under"), Some(file)) => {
            trace::under(file, words.get(3).map_or("", String::as_str));
            return;
        }
        (Some("trace"), Some(_)) => {
            trace::trace(&words[2..]);
            return;
        }
        _ => {}
    }
    let Some(name) = words.get(2) else {
        println!("usage: breach list | breach PROGRAM ATTEMPT key=value…");
        return;
    };
    if let Some(method) = name.strip_prefix("fill:") {
        say(&fill::fill(method).unwrap_or_else(|| "UNKNOWN\n".to_owned()));
        return;
    }
    let pairs = words[3..].iter().filter_map(|w| w.split_once('='));
    let given = Given(pairs.map(|(k, v)| (k.to_string(), v.to_string())).collect());
    match outcome(name, &given) {
        Some(Outcome::Reached(text)) => say(&format!("REACHED {text}\n")),
        Some(Outcome::Refused(number)) => say(&format!("REFUSED {number}\n")),
        None => say("UNKNOWN\n"),
    }
}

fn outcome(name: &str, given: &Given) -> Option<Outcome> {
    if let Some(number) = name.strip_prefix("syscall:") {
        return number.parse().ok().map(|n| Outcome::of(sys::call(n, &[])));
    }
    if let Some(text) = name.strip_prefix("call:") {
        return trace::single(text);
    }
    if let Some(name) = name.strip_prefix("twin:") {
        let attempt = attempts().find(|a| a.name == name)?;
        return match attempt.twin {
            Twin::Inside(run) => Some(run(given)),
            _ => None,
        };
    }
    attempts().find(|a| a.name == name).map(|a| (a.run)(given))
}

/// Straight to the descriptor: what the sandbox lets through is one `write`.
fn say(line: &str) {
    let _ = sys::call(libc::SYS_write, &[1, line.as_ptr() as i64, line.len() as i64]);
}
