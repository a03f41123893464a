//! The confined interpreter of the Repy language.

use std::io::Write;

use interp::vm::{Event, Output, Vm};

/// `print` to stdout, line by line.
struct Stdout(Vec<u8>);

impl Output for Stdout {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
        if bytes.ends_with(b"\n") || self.0.len() > 1 << 16 {
            self.flush();
        }
    }
}

impl Stdout {
    fn flush(&mut self) {
        let _ = std::io::stdout().write_all(&self.0);
        self.0.clear();
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(file) = arguments.iter().find(|argument| !argument.starts_with("--")) else {
        std::process::exit(2);
    };
    let text = match std::fs::read(file) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("repy-interp: cannot read {file}: {error}");
            std::process::exit(2);
        }
    };
    let module = match interp::check::read(&text, file, &interp::syntax::Limits::default()) {
        Ok(module) => module,
        Err(refusal) => {
            eprintln!("{}", refusal.render());
            std::process::exit(3);
        }
    };
    let mut vm = Vm::new(0x1234_5678_9abc_def1, 1 << 34, Box::new(Stdout(Vec::new())));
    let globals = vm.heap.new_dict();
    if arguments.iter().any(|argument| argument == "--dis") {
        if let Ok(code) = interp::compile::compile(&mut vm.heap, &module) {
            print!("{}", interp::compile::disassemble(&vm.heap, &code));
        }
        return;
    }
    let main = match vm.load(&module, globals) {
        Ok(main) => main,
        Err(error) => {
            eprintln!("{file}:{}: {}", module.source.line(error.span.start), error.message);
            std::process::exit(3);
        }
    };
    vm.spawn(main, Vec::new(), "MainThread");
    loop {
        match vm.run(1 << 20) {
            Event::Ended(_, Ok(value)) => vm.heap.release(value),
            Event::Ended(_, Err(uncaught)) => {
                let text = vm.exception_text(uncaught.exception);
                eprint!("{}", vm.traceback(&uncaught, &text));
                std::process::exit(1);
            }
            Event::Fuel => {}
            Event::Idle => break,
        }
    }
    let mut held = vec![interp::heap::Value::Dict(globals)];
    vm.held(&mut |value| held.push(value));
    if arguments.iter().any(|argument| argument == "--counts") {
        if let Err(difference) = vm.heap.check_counts(&held) {
            eprintln!("counts: {difference}");
            std::process::exit(70);
        }
    }
}
