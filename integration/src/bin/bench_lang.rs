//! The language benchmarks (`integration/benches/lang`, plain scripts that also run under CPython).
//!
//! `bench_lang [--rounds N] [--only TEXT] [--programs DIRECTORY]...` prints user CPU of `repy-interp` and its ratio to
//! the other interpreters installed: CPython 2.7 and 3, PyPy, and Lua for the programs that have a twin in it. Rounds are interleaved, so that a machine that becomes slower slows every column;
//! ratios are those of medians.
//!
//! `bench_lang --check` counts the instructions of the small form of every program (callgrind) and fails if one needs
//! over 3 % more than `counts.json` says; `--record` writes that file. Counts do not depend on how busy a machine is,
//! only on the compiler: another compiler than the recorded one makes the check say so and end as skipped.
//!
//! `bench_lang --sizes` prints what an int in a list and an instance with four attributes take (resident memory of the
//! process), and how many lines a second are parsed, checked and compiled.

use integration::{bin, project_root, python, scratch::Scratch};
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A count may grow by this much before the check fails.
const TOLERANCE: f64 = 1.03;

/// Rounds of the table unless `--rounds` says otherwise.
const ROUNDS: usize = 5;

type Outcome<T> = Result<T, Box<dyn Error>>;

struct Program {
    name: String,
    path: PathBuf,
}

/// A way to run a program.
struct Runner {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
    /// The suffix of the programs it runs, where it is of another language: such a program lies beside ours.
    twin: Option<&'static str>,
}

#[derive(Default)]
struct Options {
    rounds: Option<usize>,
    only: String,
    directories: Vec<PathBuf>,
    check: bool,
    record: bool,
    sizes: bool,
}

fn main() {
    let done = options().and_then(|options| {
        if options.sizes {
            sizes()
        } else if options.check || options.record {
            counts(&options)
        } else {
            table(&options)
        }
    });
    if let Err(problem) = done {
        eprintln!("bench_lang: {problem}");
        std::process::exit(1);
    }
}

fn options() -> Outcome<Options> {
    let mut options = Options::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            "--rounds" => options.rounds = Some(value()?.parse()?),
            "--only" => options.only = value()?,
            "--programs" => options.directories.push(value()?.into()),
            "--check" => options.check = true,
            "--record" => options.record = true,
            "--sizes" => options.sizes = true,
            _ => return Err(format!("unknown option {word}; see the head of bench_lang.rs").into()),
        }
    }
    Ok(options)
}

fn own_directory() -> PathBuf {
    project_root().join("integration/benches/lang")
}

fn programs(options: &Options) -> Outcome<Vec<Program>> {
    let mut found = Vec::new();
    for directory in std::iter::once(own_directory()).chain(options.directories.iter().cloned()) {
        let listing =
            fs::read_dir(&directory).map_err(|e| format!("cannot list {}: {e}", directory.display()))?;
        for entry in listing {
            let path = entry?.path();
            let suffix = path.extension().and_then(|s| s.to_str()).unwrap_or("");
            let name = path.file_stem().and_then(|s| s.to_str()).unwrap_or("").to_string();
            if ["repy", "py"].contains(&suffix) && name.contains(&options.only) {
                found.push(Program { name, path });
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn ours() -> Runner {
    let arguments = ["--unconfined", "--simple"].map(String::from).to_vec();
    Runner { name: "repy".into(), program: bin("repy-interp"), arguments, twin: None }
}

fn runners() -> Vec<Runner> {
    let plain = |name: &str, program: PathBuf| Runner {
        name: name.into(),
        program,
        arguments: Vec::new(),
        twin: None,
    };
    let mut runners = vec![ours()];
    runners.extend(python::python27().map(|path| plain("python2.7", path)));
    runners.extend(python::python3().map(|path| plain("python3", path)));
    runners.extend(python::installed("pypy3").map(|path| plain("pypy3", path)));
    let lua = python::lua().map(|path| Runner { twin: Some("lua"), ..plain("lua5.4", path) });
    runners.extend(lua);
    runners
}

impl Runner {
    /// The form of a program that it runs, if there is one.
    fn form(&self, program: &Program) -> Option<PathBuf> {
        match self.twin {
            None => Some(program.path.clone()),
            Some(suffix) => Some(program.path.with_extension(suffix)).filter(|path| path.exists()),
        }
    }

    /// Runs the program; its user CPU in seconds and its output.
    fn run(&self, program: &Path) -> Outcome<(f64, Vec<u8>)> {
        use nix::sys::resource::{getrusage, UsageWho};
        use nix::sys::time::TimeValLike;
        // One child at a time, waited for: the difference is that child's.
        let before = getrusage(UsageWho::RUSAGE_CHILDREN)?.user_time().num_microseconds();
        let output =
            Command::new(&self.program).args(&self.arguments).arg(program).stdin(Stdio::null()).output()?;
        let after = getrusage(UsageWho::RUSAGE_CHILDREN)?.user_time().num_microseconds();
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("{} {}: {}\n{text}", self.name, program.display(), output.status).into());
        }
        Ok(((after - before).max(1) as f64 / 1e6, output.stdout))
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn table(options: &Options) -> Outcome<()> {
    let runners = runners();
    let rounds = options.rounds.unwrap_or(ROUNDS).max(1);
    print!("{:16} {:>9}", "program", "repy ms");
    for runner in &runners[1..] {
        print!(" {:>11} {:>7}", format!("{} ms", runner.name), "ratio");
    }
    println!();
    let mut logs: Vec<Vec<f64>> = vec![Vec::new(); runners.len()];
    let mut failed = Vec::new();
    for program in programs(options)? {
        match measure(&runners, &program, rounds) {
            Ok(medians) => {
                print!("{:16} {:9.1}", program.name, medians[0] * 1e3);
                for (column, value) in medians.iter().enumerate().skip(1) {
                    if value.is_nan() {
                        print!(" {:>11} {:>7}", "-", "-");
                        continue;
                    }
                    let ratio = value / medians[0];
                    logs[column].push(ratio.ln());
                    print!(" {:11.1} {ratio:6.2}x", value * 1e3);
                }
                println!();
            }
            Err(problem) => {
                println!("{:16} {problem}", program.name);
                failed.push(program.name);
            }
        }
    }
    print!("{:16} {:>9}", "geometric mean", "");
    for ratios in logs.iter().skip(1) {
        let mean = (ratios.iter().sum::<f64>() / ratios.len().max(1) as f64).exp();
        print!(" {:>11} {mean:6.2}x", "");
    }
    println!("\nratio: how many times as long the other one takes; medians of {rounds} interleaved rounds");
    if failed.is_empty() {
        Ok(())
    } else {
        Err(format!("failed: {failed:?}").into())
    }
}

/// Median user CPU of the program under each runner; all must print the same.
fn measure(runners: &[Runner], program: &Program, rounds: usize) -> Outcome<Vec<f64>> {
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); runners.len()];
    let mut expected: Option<Vec<u8>> = None;
    for _ in 0..rounds {
        for (runner, times) in runners.iter().zip(&mut times) {
            let Some(path) = runner.form(program) else { continue };
            let (seconds, output) = runner.run(&path)?;
            times.push(seconds);
            match &expected {
                Some(first) if *first != output => {
                    return Err(
                        format!("{} and {} print different lines", runners[0].name, runner.name).into()
                    );
                }
                Some(_) => {}
                None => expected = Some(output),
            }
        }
    }
    Ok(times.iter_mut().map(|values| median(values)).collect())
}

/// The program with its last line replaced by its `# small:` line.
fn small_form(text: &str) -> Option<String> {
    let small = text.lines().find_map(|line| line.strip_prefix("# small: "))?;
    let body = text.trim_end_matches('\n');
    let (body, _) = body.rsplit_once('\n')?;
    Some(format!("{body}\n{small}\n"))
}

fn counts(options: &Options) -> Outcome<()> {
    if python::installed("valgrind").is_none() && Command::new("valgrind").arg("--version").output().is_err()
    {
        println!("skipped: valgrind is not installed (apt install valgrind)");
        return Ok(());
    }
    let file = own_directory().join("counts.json");
    let stored: Value =
        fs::read_to_string(&file).ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(json!({}));
    let compiler = compiler()?;
    if options.check && stored["compiler"] != json!(compiler) {
        println!(
            "skipped: counts.json is of {}, this is {compiler}; record anew with --record",
            stored["compiler"]
        );
        return Ok(());
    }
    let scratch = Scratch::new("bench-counts");
    let mut new = BTreeMap::new();
    let mut slower = Vec::new();
    println!("{:16} {:>14} {:>14} {:>8}", "program", "instructions", "stored", "change");
    for program in programs(options)? {
        let text = fs::read_to_string(&program.path)?;
        let Some(small) = small_form(&text) else { continue };
        let count = instructions(&scratch, &scratch.write("small.repy", small))?;
        let before = stored["counts"][&program.name].as_u64();
        let ratio = before.map(|before| count as f64 / before as f64);
        let change =
            ratio.map_or_else(|| "new".to_string(), |ratio| format!("{:+.1} %", (ratio - 1.0) * 100.0));
        println!(
            "{:16} {count:14} {:>14} {change:>8}",
            program.name,
            before.map_or_else(String::new, |n| n.to_string())
        );
        if ratio.is_some_and(|ratio| ratio > TOLERANCE) {
            slower.push(format!("{} ({change})", program.name));
        }
        new.insert(program.name, count);
    }
    if options.record {
        let mut text = serde_json::to_string_pretty(&json!({ "compiler": compiler, "counts": new }))?;
        text.push('\n');
        fs::write(&file, text).map_err(|e| format!("cannot write {}: {e}", file.display()))?;
        println!("wrote {}", file.display());
        return Ok(());
    }
    if slower.is_empty() {
        return Ok(());
    }
    Err(format!(
        "over 3 % more instructions: {slower:?}; if that is meant, run bench_lang --record and say why"
    )
    .into())
}

fn compiler() -> Outcome<String> {
    let output = Command::new("rustc").arg("-V").output().map_err(|e| format!("cannot run rustc -V: {e}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// Instructions of a whole run, start and end of the process included.
fn instructions(scratch: &Scratch, program: &Path) -> Outcome<u64> {
    let runner = ours();
    let trace = scratch.join("callgrind.out");
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg(format!("--callgrind-out-file={}", trace.display()))
        .arg(&runner.program)
        .args(&runner.arguments)
        .arg(program)
        .stdin(Stdio::null())
        .output()?;
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    let count = log.lines().find_map(|line| {
        let (_, number) = line.split_once("Collected : ")?;
        number.trim().parse().ok()
    });
    match count {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(format!("{} under callgrind: {}\n{log}", program.display(), output.status).into()),
    }
}

/// Objects made, and lines compiled, by `--sizes`.
const MANY: usize = 400_000;

/// A list with room for all the objects, so that its growing does not count.
const INTS: &str = "l = [None] * MANY\nfor i in range(MANY):\n  l[i] = i\n";

const INSTANCES: &str =
    "class A:\n  def __init__(self, i):\n    self.a = i\n    self.b = i\n    self.c = i\n    self.d = i\n\
                         l = [None] * MANY\nfor i in range(MANY):\n  l[i] = A(i)\n";

/// Ten lines of many kinds.
const LINES: &str = "def work_MANY(a, b):\n  total = 0\n  for i in range(a):\n    if i % 3 == 0 and b.get(i) is not None:\n      \
                     total += b[i] * 2\n    else:\n      total = total - len('abc' + str(i))\n  names = [x.strip() for x in \
                     b.keys()]\n  return {'total': total, 'names': names[1:]}\n\n";

fn sizes() -> Outcome<()> {
    let scratch = Scratch::new("bench-sizes");
    let runner = ours();
    let with = |text: &str, count: usize| text.replace("MANY", &count.to_string());
    // The peak of all children so far is what the system gives, so the small ones come first.
    let peak = |text: String| -> Outcome<(f64, f64)> {
        let (seconds, _) = runner.run(&scratch.write("sizes.repy", text))?;
        use nix::sys::resource::{getrusage, UsageWho};
        Ok((seconds, getrusage(UsageWho::RUSAGE_CHILDREN)?.max_rss() as f64 * 1024.0))
    };
    let (start, _) = peak("pass\n".into())?;
    // Differences of two programs that do the same: the pages of the interpreter's own code
    // and data that they touch count too.
    let (_, few) = peak(with(INTS, 100))?;
    let (_, some) = peak(with(INTS, MANY))?;
    let (_, ints) = peak(with(INTS, 5 * MANY))?;
    let (_, instances) = peak(with(INSTANCES, MANY))?;
    let functions: String = (0..MANY / 10).map(|n| LINES.replace("MANY", &n.to_string())).collect();
    let (seconds, _) = peak(functions)?;
    let int = (ints - some) / (4 * MANY) as f64;
    let instance = (instances - few) / MANY as f64 - int;
    println!("an int in a list               {int:8.1} bytes (at most 16 wanted)");
    println!("an instance with 4 attributes  {instance:8.1} bytes (at most 128 wanted)");
    println!(
        "parse, check and compile       {:8.0} lines/s (at least 500000 wanted)",
        MANY as f64 / (seconds - start).max(1e-6)
    );
    Ok(())
}
