#![no_main]
//! The whole way of a program: read, compiled, and run for a number of steps on a host that
//! is not there. Whatever it does ends in a value, an exception that can be shown, or the
//! end of its steps.
use interp::api::{self, state::Setup};
use interp::host::fake::FakeHost;
use interp::meter::{Limits as Amounts, Meters};
use interp::run::Nowhere;
use interp::syntax::{Limits, Tree};
use interp::vm::{Event, Vm};
use libfuzzer_sys::fuzz_target;

/// The program's own, under the sanitizer.
#[global_allocator]
static MEMORY: interp::host::LargePages = interp::host::LargePages;

/// Slices of 20 000 instructions that a program gets.
const SLICES: usize = 4;

fuzz_target!(|text: &[u8]| {
    let tree = Tree::new();
    let Ok(module) = interp::check::read(&tree, text, "fuzz.repy", &Limits::default()) else { return };
    let mut vm = Vm::new(1, 20_000_000, Box::new(Nowhere));
    // A megabyte printed takes an instruction of the program and a long time of the machine: rates
    // hold it, as in a run.
    let amounts = Amounts { rates: [1e6; 8], ..Amounts::wide() };
    // What a program prints and writes must not fill the fuzzer's own memory.
    let mut host = FakeHost::new();
    host.kept = Some(1 << 20);
    host.disk_room = Some(16 << 20);
    let setup = Setup {
        host: Box::new(host),
        meters: Meters::new(&amounts, 0, 0),
        policy: None,
        ports: None,
        reserved: Vec::new(),
        origin: 0,
        max_accepted: 8,
        counts_events: true,
    };
    api::install(&mut vm, setup);
    let Ok(globals) = api::namespace(&mut vm, Some(&[])) else { return };
    let Ok(main) = vm.load(&module, globals) else { return };
    vm.spawn(main, Vec::new(), "MainThread");
    for _ in 0..SLICES {
        match vm.run(20_000) {
            Event::Ended(_, Ok(value)) => vm.heap.release(value),
            Event::Ended(_, Err(uncaught)) => {
                let shown = vm.exception_text(uncaught.exception);
                drop(vm.traceback(&uncaught, &shown));
                vm.heap.release(uncaught.exception);
                vm.heap.release(uncaught.trace);
            }
            Event::Fuel => {}
            Event::Idle => break,
        }
    }
});
