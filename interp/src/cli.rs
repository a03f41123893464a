//! The command line of `repy-interp`: started by the launcher it takes what
//! it needs from inherited descriptors; by hand it runs nothing unless told
//! that nothing holds the program.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use policies::start::Mode;
use policies::Policy;

use crate::check;
use crate::host::{Host, RealHost};
use crate::run::{confined, to_the_end, Nowhere, Order};
use crate::syntax::Limits;
use crate::vm::Vm;

const USAGE: &str = "\
usage: repy-interp --unconfined [--simple] [--execinfo] [--policy FILE] [--memory BYTES] PROGRAM [ARGUMENT...]
       repy-interp --check PROGRAM
       repy-interp --dis PROGRAM
       repy-interp --manual repy-language|repy-api

Programs are run by repy-launch, which confines this interpreter with the
kernel's means before it starts. Run by hand, nothing holds a program but this
interpreter's own checks; --unconfined says that you know.

  --unconfined     run PROGRAM here and now, in the current directory
  --simple         run it once as a plain script, without initialize and exit
  --execinfo       print program and arguments first
  --policy FILE    check the rules and meter the limits of this restrictions file
                   (default: everything allowed, wide limits, no network)
  --memory BYTES   raise MemoryError for what would pass this (default: the policy's)
  --check          only read PROGRAM and say what is wrong with it
  --dis            print the compiled program
  --manual PAGE    print a manual page, for `man -l`
";

/// Exit status of a wrong command line or an unreadable file.
const WRONG: u8 = 2;

/// Largest program and policy files, in bytes.
const LARGEST: u64 = 16 << 20;

#[derive(Debug, Default, PartialEq)]
enum Action {
    #[default]
    None,
    Run,
    Check,
    Disassemble,
    Manual,
}

#[derive(Debug, Default, PartialEq)]
struct Options {
    action: Action,
    simple: bool,
    execinfo: bool,
    policy: Option<OsString>,
    memory: Option<u64>,
    words: Vec<OsString>,
}

/// Runs the command line (without the program's own name): the exit status.
pub fn main(words: impl Iterator<Item = OsString>) -> u8 {
    if let Some(status) = confined() {
        return status;
    }
    match parse(words) {
        Ok(Some(options)) => act(options),
        Ok(None) => {
            tell(USAGE);
            0
        }
        Err(text) => wrong(&text),
    }
}

/// Prints; a reader that has gone is no error.
fn tell(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn wrong(text: &str) -> u8 {
    eprintln!("repy-interp: {text}");
    WRONG
}

/// Reads the words; `None` asks for the usage text.
fn parse(mut words: impl Iterator<Item = OsString>) -> Result<Option<Options>, String> {
    let mut options = Options::default();
    while let Some(word) = words.next() {
        let mut value = |name: &str| words.next().ok_or(format!("{name} needs a value (see --help)"));
        match word.as_bytes() {
            b"--help" | b"-h" => return Ok(None),
            b"--unconfined" => options.action = Action::Run,
            b"--check" => options.action = Action::Check,
            b"--dis" => options.action = Action::Disassemble,
            b"--manual" => options.action = Action::Manual,
            b"--simple" => options.simple = true,
            b"--execinfo" => options.execinfo = true,
            b"--policy" => options.policy = Some(value("--policy")?),
            b"--memory" => {
                let bytes = value("--memory")?;
                let number = bytes.to_str().and_then(|bytes| bytes.parse().ok());
                options.memory = Some(
                    number.ok_or(format!("--memory takes a number of bytes, not '{}'", bytes.display()))?,
                );
            }
            b"--" => {
                options.words.extend(words);
                break;
            }
            text if text.starts_with(b"-") && text.len() > 1 => {
                return Err(format!("unknown option '{}' (see --help)", word.display()));
            }
            _ => {
                options.words.push(word);
                options.words.extend(words);
                break;
            }
        }
    }
    Ok(Some(options))
}

fn act(options: Options) -> u8 {
    let Some(program) = options.words.first() else {
        return wrong("no program was given (see --help)");
    };
    if options.action == Action::None {
        return wrong(&format!(
            "nothing holds this program: run it with `repy-launch --policy FILE {0}`, \
             or with `repy-interp --unconfined {0}` if it may do as it likes",
            program.display()
        ));
    }
    if options.action == Action::Manual {
        return match crate::manual::page(program.as_bytes()) {
            Some(page) => {
                tell(&page);
                0
            }
            None => wrong("the pages are repy-language and repy-api"),
        };
    }
    let text = match read(Path::new(program)) {
        Ok(text) => text,
        Err(text) => return wrong(&text),
    };
    match options.action {
        Action::Check => inspect(&program.as_bytes().escape_ascii().to_string(), &text, false),
        Action::Disassemble => inspect(&program.as_bytes().escape_ascii().to_string(), &text, true),
        _ => unconfined(options, text),
    }
}

/// Reads a whole regular file of bounded size.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let shown = path.display();
    let state = std::fs::metadata(path).map_err(|error| format!("cannot read '{shown}': {error}"))?;
    if !state.is_file() {
        return Err(format!("cannot read '{shown}': it is not a regular file"));
    }
    if state.len() > LARGEST {
        return Err(format!("cannot read '{shown}': it is larger than {LARGEST} bytes"));
    }
    std::fs::read(path).map_err(|error| format!("cannot read '{shown}': {error}"))
}

/// `--check` and `--dis`.
fn inspect(name: &str, text: &[u8], disassemble: bool) -> u8 {
    let tree = crate::syntax::Tree::new();
    let module = match check::read(&tree, text, name, &Limits::default()) {
        Ok(module) => module,
        Err(refusal) => {
            eprint!("{refusal}");
            return 3;
        }
    };
    if disassemble {
        let mut vm = Vm::new(0, usize::MAX / 4, Box::new(Nowhere));
        match crate::compile::compile(&mut vm.heap, &module, crate::compile::World::Closed) {
            Ok(code) => tell(&crate::compile::disassemble(&vm.heap, &code)),
            Err(error) => {
                let (line, column) = module.source.line_column(error.span.start);
                eprintln!("{name}:{line}:{column}: {}", error.message);
                return 3;
            }
        }
    }
    0
}

fn unconfined(options: Options, program: Vec<u8>) -> u8 {
    let policy = match options.policy.as_deref().map(|path| policy(Path::new(path))).transpose() {
        Ok(policy) => policy,
        Err(text) => {
            eprint!("{text}");
            return WRONG;
        }
    };
    let mut host = match RealHost::by_hand(Path::new(".")) {
        Ok(host) => host,
        Err(error) => return wrong(&format!("cannot open the current directory: {error}")),
    };
    let mut words = options.words.into_iter().map(OsString::into_vec);
    let name = words.next().unwrap_or_default();
    let mut seed = [0; 8];
    if let Err(error) = host.random(&mut seed) {
        return wrong(&format!("no random numbers: {error}"));
    }
    let disk_used = match disk_used(&mut host) {
        Ok(bytes) => bytes,
        Err(error) => return wrong(&format!("cannot read the current directory: {error}")),
    };
    let order = Order {
        name,
        program,
        arguments: words.collect(),
        restrictions: true,
        policy,
        simple: options.simple,
        profile: false,
        execinfo: options.execinfo,
        reserved: Vec::new(),
        disk_used,
        started: host.now(),
        max_accepted: 1024,
        seed: u64::from_ne_bytes(seed),
        memory: options.memory,
        mode: Mode::Run,
        asks: false,
    };
    to_the_end(Box::new(host), order)
}

/// What the vessel holds, as `diskused` counts.
fn disk_used(host: &mut RealHost) -> crate::host::HostResult<u64> {
    let mut bytes = 0u64;
    for name in host.list_directory()? {
        // An entry that goes away meanwhile does not count.
        let size = host.entry_size(&name).unwrap_or(0);
        bytes = bytes.saturating_add(size).saturating_add(crate::meter::ENTRY_BYTES);
    }
    Ok(bytes)
}

fn policy(path: &Path) -> Result<Policy, String> {
    let text = read(path).map_err(|text| format!("repy-interp: {text}\n"))?;
    match Policy::parse(&text, &path.to_string_lossy()) {
        Ok(parsed) => Ok(parsed.policy),
        Err(diagnostics) => Err(diagnostics.iter().map(|diagnostic| format!("{diagnostic}\n")).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<Option<Options>, String> {
        parse(words.iter().map(OsString::from))
    }

    #[test]
    fn words_after_the_program_are_the_programs() {
        let options = parsed(&["--unconfined", "--simple", "--memory", "100", "a.repy", "--check", "x"]);
        let expected = Options {
            action: Action::Run,
            simple: true,
            memory: Some(100),
            words: ["a.repy", "--check", "x"].map(OsString::from).to_vec(),
            ..Options::default()
        };
        assert_eq!(options, Ok(Some(expected)));
        assert_eq!(parsed(&["--help"]), Ok(None));
        for bad in [&["--policy"][..], &["--memory", "x"], &["--nonsense"], &["--memory", "-1"]] {
            assert!(parsed(bad).is_err(), "{bad:?}");
        }
    }
}
