//! The program that stands in the interpreter's place when a breach is assumed: it
//! makes one attempt and says how it came out.
//!
//! `breach list` names all attempts with their class and twin.
//! `breach PROGRAM NAME key=value…` makes one; `twin:NAME` its twin inside;
//! `syscall:N` calls number N with zeros. The launcher gives PROGRAM itself.
//!
//! It prints one line: `REACHED …` (the effect), or `REFUSED errno`.

mod attempt;
mod files;
mod kernel;
mod network;
mod processes;
mod resources;
mod sys;

use attempt::{Attempt, Given, Outcome, Twin};

fn attempts() -> impl Iterator<Item = &'static Attempt> {
    [
        files::ATTEMPTS,
        processes::ATTEMPTS,
        network::ATTEMPTS,
        kernel::ATTEMPTS,
        kernel::FOREIGN,
        resources::ATTEMPTS,
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
    let Some(name) = words.get(2) else {
        println!("usage: breach list | breach PROGRAM ATTEMPT key=value…");
        return;
    };
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
