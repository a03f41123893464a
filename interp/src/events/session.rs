//! A session: statements come one after the other from the supervisor, and
//! events run between them as in any other run.

use policies::channel::control::{FromInterpreter, Outcome};

use super::life::killed;
use super::turn::{Loop, Turn};
use crate::api::state::Api;
use crate::check::{read_statement, Reading, ECHO};
use crate::compile::World;
use crate::heap::{Dict, Value};
use crate::host::{Channel, Stream};
use crate::meter::{Count, Rate};
use crate::syntax::{Limits, Tree};
use crate::vm::native::{call, value, Args, NativeDef, NativeReturn, Resume};
use crate::vm::{ThreadId, Uncaught, Vm};

/// How tracebacks call what was typed.
const NAME: &str = "<stdin>";

/// The line that mapped the API into Python's own prompt: here it is there already.
const PORTABILITY: &[&[u8]] = &[b"from", b"repyportability", b"import", b"*"];

/// What runs now.
enum Running {
    /// The session waits.
    Nothing,
    /// A statement.
    Statement(ThreadId),
    /// The `__str__` of an exception that nobody caught; whether a statement
    /// raised it.
    Words(ThreadId, Uncaught, bool),
}

/// Runs statements in a namespace until the supervisor closes the session.
pub fn run_session(vm: &mut Vm, globals: Dict) -> Outcome {
    let row = vm.define(&NativeDef::function(ECHO, 1, 1, echo));
    vm.set_builtin(ECHO, Value::Native(row));
    let mut turns = Loop::of_session();
    if Api::of(vm).0.take(Count::Events).is_err() {
        return Outcome::LimitPassed { resource: policies::Resource::Events, used: 1, limit: 0 };
    }
    let mut running = Running::Nothing;
    ready(vm, false);
    let outcome = loop {
        let Some(session) = &mut turns.session else { break Outcome::Finished };
        if std::mem::take(&mut session.interrupted) {
            running = interrupt(vm, running);
        }
        if session.closed {
            break Outcome::Finished;
        }
        if let (Running::Nothing, Some(text)) = (&running, session.statements.pop_front()) {
            running = begin(vm, globals, &text);
        }
        match turns.turn(vm) {
            Turn::Again | Turn::Settled => {}
            Turn::Kill(kill) => break killed(kill),
            Turn::Ended(thread, result) => running = ended(vm, running, thread, result),
        }
    };
    let (api, _) = Api::of(vm);
    api.flush_output();
    api.files.flush_all(&mut *api.host, &mut api.meters);
    let now = api.host.now();
    turns.report(api, now);
    outcome
}

/// Tells the supervisor that a statement may come.
fn ready(vm: &mut Vm, incomplete: bool) {
    let (api, _) = Api::of(vm);
    api.flush_output();
    // A supervisor that is gone is noticed when the loop listens.
    let _sent = api.host.send_frame(Channel::Control, &FromInterpreter::Ready { incomplete }.encode());
}

/// Starts a statement, or says why it cannot be.
fn begin(vm: &mut Vm, globals: Dict, text: &[u8]) -> Running {
    let words = text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    if words.eq(PORTABILITY.iter().copied()) {
        ready(vm, false);
        return Running::Nothing;
    }
    let tree = Tree::new();
    let module = match read_statement(&tree, text, NAME, &Limits::default()) {
        Reading::Complete(module) => module,
        Reading::Incomplete => {
            ready(vm, true);
            return Running::Nothing;
        }
        Reading::Refused(refusal) => return refused(vm, &refusal.render()),
    };
    match vm.load_in(&module, globals, World::Open) {
        Ok(code) => Running::Statement(vm.spawn(code, Vec::new(), "MainThread")),
        Err(error) => refused(vm, &format!("error: {}\n", error.message)),
    }
}

fn refused(vm: &mut Vm, text: &str) -> Running {
    Api::of(vm).0.host.write_stream(Stream::Error, text.as_bytes());
    ready(vm, false);
    Running::Nothing
}

/// A thread is over: the statement, a `__str__`, or an event.
fn ended(vm: &mut Vm, running: Running, thread: ThreadId, result: Result<Value, Uncaught>) -> Running {
    match running {
        Running::Words(words, uncaught, statement) if words == thread => {
            let text = match result {
                Ok(Value::Str(text)) => {
                    let shown = vm.heap.text(text);
                    vm.heap.release(Value::Str(text));
                    shown
                }
                other => {
                    drop_result(vm, other);
                    "<exception str() failed>".to_owned()
                }
            };
            show(vm, uncaught, &text);
            done(vm, statement)
        }
        Running::Statement(statement) if statement == thread => match result {
            Ok(result) => {
                vm.heap.release(result);
                vm.drop_unused_code();
                done(vm, true)
            }
            Err(uncaught) => say(vm, uncaught, true),
        },
        running => {
            let (api, _) = Api::of(vm);
            if api.threads.remove(&thread).is_some() {
                api.give_back_event();
            }
            match result {
                Ok(result) => vm.heap.release(result),
                // An event's exception ends the event, not the session.
                Err(uncaught) => match running {
                    Running::Nothing => return say(vm, uncaught, false),
                    _ => {
                        let text = vm.exception_text(uncaught.exception);
                        show(vm, uncaught, &text);
                    }
                },
            }
            running
        }
    }
}

fn done(vm: &mut Vm, statement: bool) -> Running {
    if statement {
        ready(vm, false);
    }
    Running::Nothing
}

fn drop_result(vm: &mut Vm, result: Result<Value, Uncaught>) {
    match result {
        Ok(result) => vm.heap.release(result),
        Err(uncaught) => {
            vm.heap.release(uncaught.exception);
            vm.heap.release(uncaught.trace);
        }
    }
}

/// Shows an exception; a `__str__` of the program's is called first.
fn say(vm: &mut Vm, uncaught: Uncaught, statement: bool) -> Running {
    if let Some(method) = vm.program_str(uncaught.exception) {
        let (method, object) = (vm.heap.share(method), vm.heap.share(uncaught.exception));
        let thread = vm.spawn(method, vec![object], "MainThread");
        return Running::Words(thread, uncaught, statement);
    }
    let text = vm.exception_text(uncaught.exception);
    show(vm, uncaught, &text);
    done(vm, statement)
}

fn show(vm: &mut Vm, uncaught: Uncaught, text: &str) {
    let block = vm.short_traceback(&uncaught, text);
    drop_result(vm, Err(uncaught));
    let (api, _) = Api::of(vm);
    api.flush_output();
    api.host.write_stream(Stream::Error, block.as_bytes());
}

/// Ctrl-C: the running statement ends, and nothing else.
fn interrupt(vm: &mut Vm, running: Running) -> Running {
    let (thread, uncaught) = match running {
        Running::Nothing => return Running::Nothing,
        Running::Statement(thread) => (thread, None),
        Running::Words(thread, uncaught, _) => (thread, Some(uncaught)),
    };
    vm.kill(thread);
    let (api, _) = Api::of(vm);
    for rate in Rate::ALL {
        api.meters.leave(rate, thread.0);
    }
    api.flush_output();
    api.host.write_stream(Stream::Error, b"KeyboardInterrupt\n");
    if let Some(uncaught) = uncaught {
        drop_result(vm, Err(uncaught));
    }
    done(vm, true)
}

/// Shows the value of an expression, unless it is None.
fn echo(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let shown = args.get(0).unwrap_or(Value::None);
    match vm.builtin(b"repr") {
        Some(repr) if !shown.is_none() => {
            let (repr, shown) = (vm.heap.share(repr), vm.heap.share(shown));
            call(repr, vec![shown], Box::new(Echo))
        }
        _ => value(Value::None),
    }
}

/// Prints what `repr` gave.
struct Echo;

impl Resume for Echo {
    fn resume(self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        let (api, heap) = Api::of(vm);
        if let Value::Str(text) = result {
            let line = [heap.bytes(text), b"\n"].concat();
            api.print(&line);
        }
        vm.heap.release(result);
        value(Value::None)
    }

    fn abandon(self: Box<Self>, _vm: &mut Vm) {}

    fn held(&self, _visit: &mut dyn FnMut(Value)) {}
}
