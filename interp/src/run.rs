//! A confined run: what the launcher left us becomes a machine, the machine
//! runs the program, and the supervisor is told how it ended.

use policies::channel::control::{FromInterpreter, Outcome};
use policies::start::{Mode, StartBlock, MAXIMUM_BLOCK};
use policies::{Policy, PortKind, Resource};
use std::os::fd::OwnedFd;

use crate::api::record::Recorder;
use crate::api::state::{Api, Setup};
use crate::api::{self, show};
use crate::check;
use crate::events::{limits_of, run_program, run_session, Program};
use crate::heap::Value;
use crate::host::{Channel, Host, Inherited, RealHost, Stream};
use crate::inspect;
use crate::meter::Meters;
use crate::syntax::ast::Module;
use crate::syntax::Limits;
use crate::vm::Vm;

/// The machine's own output, which the API's print hook stands before.
pub struct Nowhere;

impl crate::vm::Output for Nowhere {
    fn write(&mut self, _bytes: &[u8]) {}
}

/// What a run needs to know, by whichever way it was started.
#[derive(Debug, Default)]
pub struct Order {
    /// The program's name, as tracebacks show it.
    pub name: Vec<u8>,
    /// Its text.
    pub program: Vec<u8>,
    /// Its arguments.
    pub arguments: Vec<Vec<u8>>,
    /// Limits and rules; `None` for wide limits and no rules.
    pub policy: Option<Policy>,
    /// Whether call rules are checked.
    pub restrictions: bool,
    /// Run once as a plain script.
    pub simple: bool,
    /// Tell the supervisor where the time goes (`--profile`).
    pub profile: bool,
    /// Print the header before running.
    pub execinfo: bool,
    /// Names in the vessel that are not the program's.
    pub reserved: Vec<String>,
    /// Bytes in the vessel at the start.
    pub disk_used: u64,
    /// Origin of `getruntime`, monotonic nanoseconds.
    pub started: u64,
    /// Accepted connections alive at once.
    pub max_accepted: u32,
    /// Seed of the hashes.
    pub seed: u64,
    /// Memory of the program in bytes, where the policy does not say.
    pub memory: Option<u64>,
    /// What to do with the program.
    pub mode: Mode,
    /// Whether somebody answers what a `prompt` rule asks.
    pub asks: bool,
}

/// Runs as the launcher's child if this process is one: the exit status.
/// `None` if it was started by hand.
pub fn confined() -> Option<u8> {
    let inherited = Inherited::take()?;
    crate::host::end_panics_orderly();
    let outcome = match RealHost::confined(inherited) {
        Ok((host, start)) => match order(&start) {
            Ok(order) => {
                drop(start);
                return Some(to_the_end(Box::new(host), order));
            }
            Err(text) => refuse(host, text),
        },
        Err(error) => {
            eprintln!("repy-interp: cannot set up: {error}");
            Outcome::InternalError(error.to_string())
        }
    };
    Some(outcome.exit_status())
}

/// Tells both sides of an internal error before the program was seen.
fn refuse(mut host: RealHost, text: String) -> Outcome {
    host.write_stream(Stream::Error, format!("repy-interp: {text}\n").as_bytes());
    let outcome = Outcome::InternalError(text);
    let frame = FromInterpreter::Final(outcome.clone()).encode();
    // A supervisor that is gone cannot be told.
    let _sent = host.send_frame(Channel::Control, &frame);
    outcome
}

/// Reads the start block.
fn order(start: &OwnedFd) -> Result<Order, String> {
    let mut bytes = Vec::new();
    // Most blocks are short, and each fresh page of memory takes time at every start.
    let mut piece = vec![0; 8 * 1024];
    loop {
        let count = nix::sys::uio::pread(start, &mut piece, bytes.len() as i64)
            .map_err(|errno| format!("cannot read the start block: {errno}"))?;
        if count == 0 {
            break;
        }
        bytes.extend_from_slice(piece.get(..count).unwrap_or_default());
        if bytes.len() > MAXIMUM_BLOCK {
            return Err("the start block is too long".to_owned());
        }
    }
    let block =
        StartBlock::decode(&bytes).map_err(|error| format!("the start block is not readable: {error}"))?;
    let policy = Policy::parse(block.policy_text.as_bytes(), &block.policy_name)
        .map_err(|_| "the policy in the start block is not readable".to_owned())?;
    Ok(Order {
        name: block.program_name,
        program: block.program,
        arguments: block.callargs,
        policy: Some(policy.policy),
        restrictions: block.restrictions,
        simple: block.simple,
        profile: block.profile,
        execinfo: block.execinfo,
        reserved: block.reserved,
        disk_used: block.disk_used,
        started: block.started_ns,
        max_accepted: block.max_accepted,
        seed: block.hash_seed,
        memory: None,
        mode: block.mode,
        asks: block.ask,
    })
}

/// A run that is over.
pub struct Finished {
    /// The machine as it is afterwards. Nothing is taken down: the process
    /// ends next.
    pub vm: Vm,
    /// How it ended.
    pub outcome: Outcome,
    /// Code and namespace of the program, owned; empty if it was refused.
    pub kept: Vec<Value>,
}

/// Runs an order to its end, tells the supervisor (if any), and returns the
/// exit status.
pub fn to_the_end(host: Box<dyn Host>, order: Order) -> u8 {
    let Finished { mut vm, outcome, .. } = run(host, order);
    let frame = FromInterpreter::Final(outcome.clone()).encode();
    let (api, _) = Api::of(&mut vm);
    if let Outcome::InternalError(text) = &outcome {
        let text = format!("repy-interp: internal error: {text}\n");
        api.host.write_stream(Stream::Error, text.as_bytes());
    }
    // By hand there is no supervisor, and one that is gone cannot be told.
    let _sent = api.host.send_frame(Channel::Control, &frame);
    let status = outcome.exit_status();
    // Taking every object down one by one would only cost time.
    std::mem::forget(vm);
    status
}

/// Limits up to this are believed: more is asked of the kernel first.
const BELIEVED: usize = 256 << 20;

/// How much of so many bytes the kernel would give in one piece. A limit above what the host has would let a program
/// ask for an allocation that fails, which ends the process; below this one it is a MemoryError.
fn grantable(bytes: usize) -> usize {
    let grants = |size: usize| {
        let mut piece = Vec::<u8>::new();
        let granted = piece.try_reserve_exact(size).is_ok();
        std::hint::black_box(&piece);
        granted
    };
    if bytes <= BELIEVED || grants(bytes) {
        return bytes;
    }
    let (mut granted, mut refused) = (BELIEVED, bytes);
    while refused - granted > granted / 16 {
        let middle = granted + (refused - granted) / 2;
        if grants(middle) {
            granted = middle;
        } else {
            refused = middle;
        }
    }
    granted
}

/// Runs an order on a host.
pub fn run(host: Box<dyn Host>, order: Order) -> Finished {
    let mut host = host;
    let now = host.now();
    let limits = order.policy.as_ref().map_or_else(crate::meter::Limits::wide, limits_of);
    let ports = order.policy.as_ref().map(|policy| {
        let of = |kind| {
            let tcp = kind == PortKind::Connection;
            policy.ports(kind).iter().map(move |grant| (tcp, grant.port))
        };
        of(PortKind::Connection).chain(of(PortKind::Message)).collect()
    });
    let memory = order.policy.as_ref().map(|policy| policy.whole(Resource::Memory));
    let memory = order.memory.or(memory).unwrap_or(u64::MAX / 4);
    let memory = grantable(usize::try_from(memory).unwrap_or(usize::MAX / 4));
    let mut vm = Vm::new(order.seed, memory, Box::new(Nowhere));
    let meters = Meters::new(&limits, order.disk_used, now);
    api::install(
        &mut vm,
        Setup {
            host,
            meters,
            policy: order.policy.filter(|_| order.restrictions),
            ports,
            reserved: order.reserved,
            origin: order.started,
            max_accepted: order.max_accepted,
            counts_events: !order.simple,
        },
    );
    let (api, _) = Api::of(&mut vm);
    api.asks = order.asks;
    api.recorder = (order.mode == Mode::Record).then(Recorder::default);
    let name = String::from_utf8_lossy(&order.name).into_owned();
    let limits = Limits { hash_seed: order.seed, ..Limits::default() };
    let tree = crate::syntax::Tree::new();
    let module = match check::read(&tree, &order.program, &name, &limits) {
        Ok(module) => module,
        Err(refusal) if order.mode == Mode::Inspect => {
            inspect::tell(&mut *Api::of(&mut vm).0.host, &inspect::findings(&refusal), &[]);
            let outcome = Outcome::Refused(refusal.summary().to_owned());
            return Finished { vm, outcome, kept: Vec::new() };
        }
        Err(refusal) => {
            let outcome = refused(&mut vm, &refusal.to_string(), refusal.summary());
            return Finished { vm, outcome, kept: Vec::new() };
        }
    };
    drop(order.program);
    if order.mode == Mode::Inspect {
        return look(vm, &module);
    }
    let arguments = (!order.simple).then_some(order.arguments.as_slice());
    let globals = match api::namespace(&mut vm, arguments) {
        Ok(globals) => globals,
        Err(raised) => {
            let exception = vm.heap.take_raised(raised);
            vm.heap.release(exception);
            let text = "the policy's memory does not hold the program's arguments";
            let outcome = refused(&mut vm, &format!("{text}\n"), text);
            return Finished { vm, outcome, kept: Vec::new() };
        }
    };
    let code = match vm.load(&module, globals) {
        Ok(code) => code,
        Err(error) => {
            let (line, _) = module.source.line_column(error.span.start);
            let text = format!("{name}, line {line}: {}", error.message);
            let outcome = refused(&mut vm, &format!("error: {text}\n"), &text);
            return Finished { vm, outcome, kept: Vec::new() };
        }
    };
    drop(module);
    if order.mode == Mode::Session {
        let outcome = run_session(&mut vm, globals);
        return Finished { vm, outcome, kept: vec![code, Value::Dict(globals)] };
    }
    if order.execinfo {
        print_header(&mut vm, &order.name, arguments);
    }
    let outcome =
        run_program(&mut vm, Program { code, globals, simple: order.simple, profile: order.profile });
    Finished { vm, outcome, kept: vec![code, Value::Dict(globals)] }
}

/// Looks at a program that could be run, and compiles it, which has limits too.
fn look(mut vm: Vm, module: &check::Checked<Module<'_>>) -> Finished {
    let found = inspect::inspect(module, &vm.builtin_names());
    let globals = vm.heap.new_dict();
    let (outcome, findings, kept) = match vm.load(module, globals) {
        Ok(code) => (Outcome::Finished, found.names, vec![code, Value::Dict(globals)]),
        Err(error) => {
            let finding = inspect::at(module, error.span, error.message.clone());
            (Outcome::Refused(error.message), vec![finding], vec![Value::Dict(globals)])
        }
    };
    inspect::tell(&mut *Api::of(&mut vm).0.host, &findings, &found.calls);
    Finished { vm, outcome, kept }
}

/// A program that was read but not accepted.
fn refused(vm: &mut Vm, text: &str, summary: &str) -> Outcome {
    let (api, _) = Api::of(vm);
    api.host.write_stream(Stream::Error, text.as_bytes());
    Outcome::Refused(summary.to_owned())
}

/// What `--execinfo` prints.
fn print_header(vm: &mut Vm, name: &[u8], arguments: Option<&[Vec<u8>]>) {
    let line = "=".repeat(40);
    let mut text = format!("{line}\nRunning program: ").into_bytes();
    text.extend_from_slice(name);
    text.push(b'\n');
    match arguments {
        Some(arguments) => {
            text.extend_from_slice(b"Arguments: ");
            let items = arguments.iter().map(|argument| vm.heap.new_str(argument)).collect();
            let list: Value = vm.heap.new_list(items);
            text.extend_from_slice(&show::repr_of(&vm.heap, list));
            vm.heap.release(list);
        }
        None => text.extend_from_slice(b"(Simple execution mode)"),
    }
    text.extend_from_slice(format!("\n{line}\n").as_bytes());
    let (api, _) = Api::of(vm);
    api.print(&text);
    api.flush_output();
}
