//! The life of a program: the initialize run, what it leaves pending, the
//! exit run; or one plain run under `--simple`.

use policies::channel::control::Outcome;
use policies::Resource;

use super::turn::{Loop, Turn};
use crate::api::error::Kill;
use crate::api::state::Api;
use crate::heap::{Builtin, Dict, Value};
use crate::host::Stream;
use crate::meter::Count;
use crate::vm::{self, Event, ThreadId, Uncaught, Vm};

/// A program ready to run.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// The compiled text: owned by the caller.
    pub code: Value,
    /// Its namespace: owned by the caller.
    pub globals: Dict,
    /// Whether it runs once, as a plain script.
    pub simple: bool,
    /// Whether the supervisor is told where the time goes.
    pub profile: bool,
}

/// How a run ended: for the supervisor, and in the exit status.
pub type Ending = Outcome;

/// Runs a program to its end. What was printed and written to files has gone
/// out when this returns.
pub fn run_program(vm: &mut Vm, program: Program) -> Ending {
    let mut turns = Loop::default();
    turns.profile = program.profile.then(Default::default);
    let ending = live(vm, program, &mut turns);
    let (api, _) = Api::of(vm);
    api.flush_output();
    if !matches!(ending, Outcome::LimitPassed { .. } | Outcome::InternalError(_)) {
        api.files.flush_all(&mut *api.host, &mut api.meters);
    }
    let now = api.host.now();
    turns.report(api, now);
    if let Some(profile) = &mut turns.profile {
        profile.finish(api);
    }
    ending
}

fn live(vm: &mut Vm, program: Program, turns: &mut Loop) -> Ending {
    if program.simple {
        return match run_main(vm, program, turns, false) {
            Some(ending) => ending,
            None => Outcome::Finished,
        };
    }
    if let Some(ending) = main_event(vm, program, turns, true) {
        return ending;
    }
    set_text(vm, program.globals, "callfunc", b"exit");
    main_event(vm, program, turns, false).unwrap_or(Outcome::Finished)
}

/// The initialize or the exit run, with its `events` item.
fn main_event(vm: &mut Vm, program: Program, turns: &mut Loop, settle: bool) -> Option<Ending> {
    let (api, _) = Api::of(vm);
    if api.take(Count::Events).is_err() {
        let text = "The program cannot run: 'resource events' leaves it no event \
                    (the restrictions file must allow at least one).\n";
        api.host.write_stream(Stream::Error, text.as_bytes());
        return Some(Outcome::LimitPassed { resource: Resource::Events, used: 1, limit: 0 });
    }
    run_main(vm, program, turns, settle)
}

/// Runs the text once; with `settle`, goes on until nothing is pending. An
/// ending if the whole run is over.
fn run_main(vm: &mut Vm, program: Program, turns: &mut Loop, settle: bool) -> Option<Ending> {
    let code = vm.heap.share(program.code);
    let main = vm.spawn(code, Vec::new(), "MainThread");
    let mut running = true;
    loop {
        let pending = settle && Api::of(vm).0.is_pending();
        if !running && !pending {
            return None;
        }
        match turns.turn(vm) {
            Turn::Again => {}
            // Only a main thread that waits for ever keeps it from this.
            Turn::Settled => return None,
            Turn::Kill(kill) => return Some(killed(kill)),
            Turn::Ended(thread, Ok(result)) => {
                vm.heap.release(result);
                ended(vm, thread, main);
                running &= thread != main;
            }
            Turn::Ended(thread, Err(uncaught)) => {
                return Some(raised(vm, thread == main, uncaught));
            }
        }
    }
}

/// A thread's event is over.
fn ended(vm: &mut Vm, thread: ThreadId, main: ThreadId) {
    let (api, _) = Api::of(vm);
    if api.threads.remove(&thread).is_some() || thread == main {
        api.give_back_event();
    }
}

/// The ending that a kill comes to.
pub(super) fn killed(kill: Kill) -> Ending {
    match kill {
        Kill::ExitAll => Outcome::ExitAll,
        Kill::Disk(full) => {
            Outcome::LimitPassed { resource: Resource::DiskUsed, used: full.would_be, limit: full.limit }
        }
        Kill::BrokerLost => {
            Outcome::InternalError("the broker is gone or does not keep to the protocol".to_owned())
        }
    }
}

/// An exception reached the top of a thread: the whole run ends. SystemExit
/// in the main thread does so silently.
fn raised(vm: &mut Vm, main: bool, uncaught: Uncaught) -> Ending {
    if main && vm.heap.is_instance(uncaught.exception, Builtin::SystemExit.class()) {
        vm.heap.release(uncaught.exception);
        vm.heap.release(uncaught.trace);
        return Outcome::Finished;
    }
    let text = text_of(vm, uncaught.exception);
    let block = vm.traceback(&uncaught, &text);
    // A reason is one line: a text may have many, and the last of them may say anything or nothing.
    let reason = vm.last_line(uncaught.exception, text.split('\n').next().unwrap_or_default());
    vm.heap.release(uncaught.exception);
    vm.heap.release(uncaught.trace);
    let (api, _) = Api::of(vm);
    api.flush_output();
    api.host.write_stream(Stream::Error, block.as_bytes());
    Outcome::UncaughtException(reason)
}

/// Calls and back jumps that an exception's own `__str__` may take.
const PATIENCE: i64 = 2_000_000;

/// `str(exception)`. A `__str__` of the program is called, alone and not for
/// long: nothing else of the program runs any more.
fn text_of(vm: &mut Vm, exception: Value) -> String {
    let Some(method) = vm.program_str(exception) else { return vm.exception_text(exception) };
    vm.kill_all();
    let (method, object) = (vm.heap.share(method), vm.heap.share(exception));
    vm.spawn(method, vec![object], "MainThread");
    let mut left = PATIENCE;
    while left > 0 {
        left -= vm::SLICE;
        match vm.run(vm::SLICE) {
            Event::Ended(_, Ok(result)) => {
                let text = match result {
                    Value::Str(text) => vm.heap.text(text),
                    _ => "<exception str() failed>".to_owned(),
                };
                vm.heap.release(result);
                return text;
            }
            Event::Ended(_, Err(uncaught)) => {
                vm.heap.release(uncaught.exception);
                vm.heap.release(uncaught.trace);
                break;
            }
            // It waits for something: it will not be woken.
            Event::Idle => break,
            Event::Fuel => {}
        }
    }
    vm.kill_all();
    "<exception str() failed>".to_owned()
}

/// Sets a name of the program's namespace to a string.
pub(crate) fn set_text(vm: &mut Vm, globals: Dict, name: &str, text: &[u8]) {
    let name = vm.heap.intern(name.as_bytes());
    let text = vm.heap.new_str(text);
    if let Err(raised) = vm.heap.dict_set(globals, Value::Str(name), text) {
        // A string key can always be hashed; memory for one entry that
        // replaces another is not asked for.
        let exception = vm.heap.take_raised(raised);
        vm.heap.release(exception);
    }
}
