//! Where the time goes: a sample of the calls under way each time a slice of a
//! thread is used up, weighted with the time since the sample before.
//!
//! Samples are taken by the machine's own count of calls and back jumps, so
//! they need no signal, no other thread and no system call, and work inside the
//! sandbox. What an event leaves of its slice the next one goes on with: short
//! events are sampled as often as their share of the time asks for.

use std::collections::HashMap;

use policies::channel::control::{FromInterpreter, MAXIMUM_TEXT};

use crate::api::state::Api;
use crate::host::Channel;
use crate::vm::Vm;

/// Deepest stack that is told in full; of deeper ones the middle is left out.
const DEPTH: usize = 64;
/// Most different stacks between two reports.
const STACKS: usize = 10_000;
/// Where samples past [`STACKS`] are counted.
const OTHERS: &str = "(others)";
/// How often the last samples are tried to be sent while the supervisor is
/// busy, ten milliseconds apart.
const TRIES: u32 = 200;
/// Wait between two tries, in nanoseconds.
const TRY_AGAIN: u64 = 10_000_000;

/// The samples not yet sent.
#[derive(Debug, Default)]
pub struct Profile {
    /// Nanoseconds by folded stack.
    stacks: HashMap<String, u64>,
    /// Nanoseconds run since the last sample.
    since: u64,
    /// Calls and back jumps left until the next sample.
    left: i64,
}

impl Profile {
    /// The fuel of the next slice, given what a whole one has.
    pub fn fuel(&self, whole: i64) -> i64 {
        if self.left > 0 {
            self.left.min(whole)
        } else {
            whole
        }
    }

    /// Some code has run: whether its slice is used up, what is left of it, and
    /// the nanoseconds it took.
    pub fn ran(&mut self, vm: &Vm, used_up: bool, left: i64, elapsed: u64) {
        self.since = self.since.saturating_add(elapsed);
        self.left = left;
        if !used_up {
            return;
        }
        self.left = 0;
        let stack = folded(vm);
        let known = self.stacks.contains_key(&stack) || self.stacks.len() < STACKS;
        let stack = if known { stack } else { OTHERS.to_owned() };
        *self.stacks.entry(stack).or_default() += std::mem::take(&mut self.since);
    }

    /// Sends samples while the channel takes them; whether all are sent.
    pub fn send(&mut self, api: &mut Api) -> bool {
        while !self.stacks.is_empty() {
            let mut text = String::new();
            let mut taken = Vec::new();
            for (stack, nanoseconds) in &self.stacks {
                let line = format!("{stack} {}\n", nanoseconds / 1000);
                if text.len() + line.len() > MAXIMUM_TEXT {
                    break;
                }
                text.push_str(&line);
                taken.push(stack.clone());
            }
            let frame = FromInterpreter::Profile(text).encode();
            if api.host.send_frame(Channel::Control, &frame).is_err() {
                return false;
            }
            for stack in taken {
                self.stacks.remove(&stack);
            }
        }
        true
    }

    /// Sends what is left at the end of the run, waiting for the supervisor for
    /// a while.
    pub fn finish(&mut self, api: &mut Api) {
        for _ in 0..TRIES {
            if self.send(api) {
                return;
            }
            let until = api.host.now().saturating_add(TRY_AGAIN);
            api.host.wait(Some(until), &mut Vec::new());
        }
    }
}

/// The calls of the thread that ran last, outermost first, as flame graphs take
/// them: `kind of event;function:line;function:line`.
fn folded(vm: &Vm) -> String {
    let mut calls = vm.calls_of(vm.current);
    if calls.len() > DEPTH {
        calls.splice(DEPTH / 2..calls.len() - DEPTH / 2, ["(deep)".to_owned()]);
    }
    let thread = vm.thread_name(vm.current);
    // All timers are one kind, and all connections.
    let kind = match thread.split(':').next() {
        Some("_EVENT") => "timer",
        Some("_COMMH") => "connection",
        _ => "main",
    };
    let mut stack = kind.to_owned();
    for call in calls {
        // Half of a frame's text at most.
        if stack.len() + call.len() > MAXIMUM_TEXT / 2 {
            break;
        }
        stack.push(';');
        stack.push_str(&call);
    }
    stack
}
