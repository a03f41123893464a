//! The front end against CPython 2.7's own compiler on random sources: where
//! one accepts, the other must, and both must build the same tree. Skipped (and said so) where there is no 2.7;
//! `PYTHON27` names another program, `FRONT_END_ROUNDS` how many sources are
//! made, `FRONT_END_SEED` repeats a run.

mod shape;

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use interp::check::read;
use interp::syntax::{Limits, Tree};

/// A small generator of random numbers (splitmix64): the seed is printed, so a
/// failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

/// Lines that 2.7 accepts; they are cut into pieces and mixed.
const SEEDS: &[&str] = &[
    "x = 1",
    "x, y = 1, 2",
    "x += 1",
    "x[1:2, ...] = y",
    "x.y[1] -= 2L",
    "del x, y.z, w[0]",
    "print",
    "print x, y,",
    "print >>f, 'a' \"b\"",
    "assert x, y",
    "raise E, 'a', t",
    "raise",
    "x = [a for a in b if c for d in 1, 2]",
    "x = {1: 2, 'a': b}",
    "x = (1,)",
    "f(a, b=1, *c, **d)",
    "x = a < b <= c != d is not e not in f",
    "x = not a and b or -c ** ~d",
    "x = y = z",
    "x = 0xff + 0o17 + 017 + 0b1 + 1.5e-3 + .5 + 2j",
    "x = r'\\' b\"\\x41\\n\" '''a\nb'''",
    "if a: pass\nelif b:\n  c\nelse:\n  d",
    "while a:\n  break\nelse: b",
    "for a, b in c:\n  continue",
    "try:\n  a\nexcept E, e:\n  b\nexcept F as g: c\nelse:\n  d\nfinally:\n  e",
    "def f(a, (b, c)=(1, 2), *d, **e):\n  return a",
    "class C(A, B):\n  x = 1\n  def m(self): return",
    "lambda a, b=1: a",
    "x = a if b else c",
    "with a as b, c: d",
    "@d\ndef f(): yield 1",
    "import a.b as c",
    "from a import (b, c as d)",
    "exec a in b, c",
    "`a, b`",
    "{a for a in b}",
    "{a: b for a in c}",
    "f(a for a in b)",
    "def f():\n  global x, y\n  x = yield",
    "for x in 1, 2: pass",
    "(x) = (yield)",
    "a <> b",
    "a[::2]",
    "a[1:]",
    "a[:, 1]",
    "(a, [b, c]) = d",
    "x = u'a'",
    "if a:\n\tb\n        c",
    "x = -1 ** -2 - -3 * ~4",
    "x = -1 .real + -(1)",
    "x = - -1 + -1L + -2.5 + -3j",
    "x = -9223372036854775808 - 1",
    "x = 99999999999999999999 + -0xfffffffffffffffffffff",
    "x = a - b + c * d / e // f % g << h >> i & j ^ k | l",
    "x = a or b and not c or d",
    "x = (a + b) * c, (d, e)",
    "x = a[b][c](d).e(f)(*g)",
    "x = a[1:2:], a[:], a[::], a[1:2:3, ...]",
    "try:\n  a\nexcept: b\nfinally:\n  c",
    "try: a\nfinally: b",
    "if a:\n  if b: c\n  else: d\nelse:\n  if e: f",
    "x = [[a for b in c] for d in e if f]",
    "def f((a), b=c, *d): pass",
    "x = a is not b not in c",
    "'doc'",
    "x = ()",
    "[a, (b, c)] = d",
    "a; b; c;",
    "a = \\\n  b",
    "# comment\na # b",
    "for a in b:\n  try: c\n  finally:\n    break",
];

/// Pieces that are put between others.
const PIECES: &[&str] = &[
    "(", ")", "[", "]", "{", "}", ",", ":", ";", ".", "=", "==", "+", "-", "*", "**", "/", "//", "%", "&",
    "|", "^", "~", "<<", ">>", "<", ">", "<=", "<>", "!=", "+=", "**=", ">>=", "`", "@", "\n", "\n  ",
    "\n    ", "\n\t", " ", "\\\n", "and", "as", "assert", "break", "class", "continue", "def", "del", "elif",
    "else", "except", "exec", "finally", "for", "from", "global", "if", "import", "in", "is", "lambda",
    "not", "or", "pass", "print", "raise", "return", "try", "while", "with", "yield", "a", "b", "None", "1",
    "0", "1.5", "2j", "3L", "'s'", "\"t\"", "r'u'", "...", "#", "\r\n", "\r", "\x0c",
];

/// Cuts a text where tokens meet, roughly.
fn cut(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    let mut word = false;
    for letter in text.chars() {
        let now = letter.is_alphanumeric() || letter == '_';
        match pieces.last_mut() {
            Some(last) if (word && now) || (letter == ' ' && last.ends_with([' ', '\n'])) => {
                last.push(letter);
            }
            _ => pieces.push(letter.to_string()),
        }
        word = now;
    }
    pieces
}

fn source(random: &mut Random) -> String {
    let mut pieces = Vec::new();
    for _ in 0..1 + random.below(3) {
        pieces.extend(cut(random.pick(SEEDS)));
        pieces.push("\n".to_owned());
    }
    for _ in 0..random.below(4) {
        let at = random.below(pieces.len());
        match random.below(5) {
            0 => {
                pieces.remove(at);
            }
            1 => pieces[at] = random.pick(PIECES).to_owned(),
            2 => {
                let with = random.below(pieces.len());
                pieces.swap(at, with);
            }
            3 => {
                let again = pieces[at].clone();
                pieces.insert(at, again);
            }
            _ => pieces.insert(at, format!(" {} ", random.pick(PIECES))),
        }
        if pieces.is_empty() {
            pieces.push("\n".to_owned());
        }
    }
    pieces.concat()
}

/// The tree if we take the source for Repy, the refusal if we do not take it
/// for Python 2.7; none if that cannot be told, since the dialect refuses it.
fn ours(source: &str) -> Option<Result<String, String>> {
    match read(&Tree::new(), source.as_bytes(), "x", &Limits::default()) {
        Ok(module) => Some(Ok(shape::shape(&module))),
        Err(refusal) if refusal.summary().contains("safety_exceptions.") => None,
        Err(refusal) => Some(Err(refusal.to_string())),
    }
}

/// True if there may be a string of several lines. CPython says that such a
/// string, and a statement that begins with it, is where the string ends.
fn several_lines(source: &str) -> bool {
    source.contains("\\\n") || source.contains("\'\'\'") || source.contains("\"\"\"")
}

/// Takes the lines of statements out of a tree.
fn without_lines(tree: &str) -> String {
    let mut kept = String::new();
    for part in tree.split_inclusive(['(', ' ']) {
        match part.split_once(':') {
            Some((line, rest)) if line.bytes().all(|byte| byte.is_ascii_digit()) => {
                kept.push_str(rest);
            }
            _ => kept.push_str(part),
        }
    }
    kept
}

#[test]
fn cpython_agrees_on_random_sources() {
    let number = |name: &str, default| {
        let value = std::env::var(name).ok();
        value.and_then(|value| value.parse().ok()).unwrap_or(default)
    };
    let clock = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(1, |time| time.as_nanos() as u64);
    let seed = number("FRONT_END_SEED", clock);
    let rounds = number("FRONT_END_ROUNDS", 3000);
    let python = std::env::var_os("PYTHON27").unwrap_or_else(|| "python2.7".into());
    let judge = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/front_end/judge.py");
    let works = Command::new(&python)
        .args(["-c", "print 1"])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success());
    if !works {
        eprintln!("skipped: CPython 2.7 is not installed");
        return;
    }
    println!("FRONT_END_SEED={seed}");
    let mut child = Command::new(&python)
        .arg(judge)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python2.7 starts");
    let mut to = child.stdin.take().expect("stdin");
    let mut from = BufReader::new(child.stdout.take().expect("stdout"));
    let mut random = Random(seed);
    let (mut accepted, mut compared) = (0, 0);
    let mut differences = Vec::new();
    for _ in 0..rounds {
        let source = source(&mut random);
        write!(to, "{}\n{source}", source.len()).expect("sent");
        to.flush().expect("sent");
        let mut theirs = String::new();
        from.read_line(&mut theirs).expect("answered");
        let theirs = theirs.trim();
        let Some(ours) = ours(&source) else {
            continue;
        };
        compared += 1;
        accepted += u64::from(ours.is_ok());
        let same = match &ours {
            Ok(tree) => match theirs.strip_prefix("ok ") {
                Some(theirs) if several_lines(&source) => without_lines(theirs) == without_lines(tree),
                theirs => theirs == Some(tree),
            },
            Err(_) => !theirs.starts_with("ok "),
        };
        if !same {
            let (Ok(ours) | Err(ours)) = ours;
            differences.push(format!("--- {source:?}\n2.7:  {theirs}\nours: {ours}"));
        }
    }
    drop(to);
    child.wait().expect("ends");
    println!("{compared} of {rounds} compared, {accepted} accepted");
    differences.truncate(20);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
