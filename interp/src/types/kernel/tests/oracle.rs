//! CPython 2.7 as the oracle: evaluates expressions in one process and gives each one's `repr` or error.
use std::io::Write;
use std::process::{Command, Stdio};

const SCRIPT: &str = "import sys\nexec(sys.argv[1])\nfor line in sys.stdin:\n    try:\n        out = repr(eval(line))\n    except Exception as e:\n        out = '!%s: %s' % (e.__class__.__name__, e)\n    sys.stdout.write(out.replace('\\n', '\\\\n') + '\\n')\n";

/// Results of the expressions, or `None` where CPython 2.7 is not installed. `PYTHON27` names another program.
pub fn evaluate(prelude: &str, expressions: &[String]) -> Option<Vec<String>> {
    let program = std::env::var_os("PYTHON27").unwrap_or_else(|| "python2.7".into());
    let mut child = Command::new(program)
        .env("PYENV_VERSION", "2.7.18")
        .args(["-c", SCRIPT, prelude])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut input = child.stdin.take()?;
    let text = expressions.join("\n") + "\n";
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output().ok()?;
    writer.join().ok()?.ok()?;
    let lines: Vec<String> = String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect();
    (lines.len() == expressions.len()).then_some(lines)
}

/// Asserts that `ours` equals what the oracle says; counted as skipped (and said) where there is none.
pub fn compare(what: &str, prelude: &str, expressions: &[String], ours: &[String]) {
    let Some(expected) = evaluate(prelude, expressions) else {
        println!("skipped: {} comparisons of {what} (CPython 2.7 is not installed)", expressions.len());
        return;
    };
    let mut differences = 0;
    for ((expression, ours), expected) in expressions.iter().zip(ours).zip(&expected) {
        if ours != expected {
            differences += 1;
            if differences <= 25 {
                println!("{what}: {expression}\n  ours     {ours}\n  expected {expected}");
            }
        }
    }
    assert_eq!(differences, 0, "{what}: {differences} of {} differ", expressions.len());
}
