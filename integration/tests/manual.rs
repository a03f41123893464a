//! Help, manual pages, completions and suggestions, as the tables say.
#![allow(missing_docs)]

use integration::run::{finish, Finished};
use integration::scratch::Scratch;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

fn run(program: &str, words: &[&str]) -> Finished {
    let mut command = Command::new(integration::bin(program));
    command.args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command, Duration::from_secs(20))
}

/// The files in docs/ and what makes them; `make manual` does the same.
const MADE: [(&str, &str, &[&str]); 7] = [
    ("repy-launch.1", "repy-launch", &["manual", "repy-launch"]),
    ("restrictions.5", "repy-launch", &["manual", "restrictions"]),
    ("repy-language.7", "repy-interp", &["--manual", "repy-language"]),
    ("repy-api.3", "repy-interp", &["--manual", "repy-api"]),
    ("completions/repy-launch.bash", "repy-launch", &["completions", "bash"]),
    ("completions/_repy-launch", "repy-launch", &["completions", "zsh"]),
    ("completions/repy-launch.fish", "repy-launch", &["completions", "fish"]),
];

fn stored(name: &str) -> PathBuf {
    integration::project_root().join("docs").join(name)
}

#[test]
fn pages_and_completions_are_up_to_date() {
    for (name, program, words) in MADE {
        let made = run(program, words);
        made.expect_code(0);
        let stored = std::fs::read_to_string(stored(name)).unwrap_or_default();
        assert!(stored == made.stdout, "docs/{name} is stale: run `make manual` and commit what it changes");
    }
}

/// Whether a program of the system is there; says so if not.
fn installed(program: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {program}")]).output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

#[test]
fn man_finds_nothing_wrong_with_the_pages() {
    if !installed("groff") {
        return;
    }
    for (name, _, _) in MADE.iter().filter(|(name, _, _)| !name.contains('/')) {
        let mut command = Command::new("groff");
        command.args(["-man", "-Tascii", "-ww", "-z"]).arg(stored(name));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let run = finish(command, Duration::from_secs(20));
        run.expect_code(0);
        assert_eq!(run.stderr, "", "{name}");
    }
}

/// What a shell offers behind a command line.
fn offered(shell: &str, script: &str) -> Option<String> {
    if !installed(shell) {
        return None;
    }
    let scratch = Scratch::new("complete");
    let mut command = Command::new(shell);
    let directory = integration::bin("repy-launch").parent().map(Path::to_owned).unwrap_or_default();
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap_or_default());
    let flag: &[&str] = if shell == "fish" { &["--no-config", "-c"] } else { &["-c"] };
    command
        .args(flag)
        .arg(script)
        .env("PATH", path)
        .env("HOME", scratch.path())
        .env("DOCS", stored("completions"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = finish(command, Duration::from_secs(30));
    assert!(run.code() == 0, "{shell}: {run:?}");
    Some(run.stdout)
}

#[test]
fn bash_completes() {
    let script = r#"source "$DOCS/repy-launch.bash"
        f=$(complete -p repy-launch | sed 's/.* -F \([^ ]*\).*/\1/')
        COMP_WORDS=(repy-launch ex); COMP_CWORD=1; $f repy-launch ex repy-launch; echo "${COMPREPLY[@]}"
        COMP_WORDS=(repy-launch doctor --j); COMP_CWORD=2; $f repy-launch --j doctor; echo "${COMPREPLY[@]}""#;
    let Some(offered) = offered("bash", script) else { return };
    assert_eq!(offered, "explain\n--json\n");
}

#[test]
fn fish_completes() {
    let script = r#"source "$DOCS/repy-launch.fish"; complete -C "repy-launch ex"; complete -C "repy-launch doctor --j""#;
    let Some(offered) = offered("fish", script) else { return };
    assert!(offered.contains("explain") && offered.contains("--json"), "{offered}");
}

#[test]
fn zsh_reads_its_completions() {
    let script = r#"fpath=("$DOCS" $fpath); autoload -Uz compinit && compinit -u -D && autoload +X _repy-launch && whence -w _repy-launch; echo ${_comps[repy-launch]}"#;
    let Some(offered) = offered("zsh", script) else { return };
    assert_eq!(offered, "_repy-launch: function\n_repy-launch\n");
}

#[test]
fn help_teaches_with_examples() {
    let long = run("repy-launch", &["--help"]);
    long.expect_code(0).expect_stderr("");
    for text in ["A first run:", "repy-launch learn", "Exit status:", "restrictions(5)"] {
        assert!(long.stdout.contains(text), "{text:?} is missing:\n{}", long.stdout);
    }
    for command in
        ["check", "explain", "learn", "repl", "doctor", "ps", "stop", "audit", "top", "completions"]
    {
        let help = run("repy-launch", &[command, "--help"]);
        help.expect_code(0);
        assert!(help.stdout.contains("Examples:"), "{command}:\n{}", help.stdout);
    }
}

#[test]
fn misspelt_words_are_answered_with_what_was_meant() {
    for (words, meant) in [
        (&["--polcy", "p", "x"][..], "--policy"),
        (&["chekc", "p"], "did you mean 'check'?"),
        (&["--without", "cgruop", "--policy", "p", "x"], "cgroup"),
        (&["explain", "p", "--jsno"], "--json"),
        (&["completions", "fsh"], "fish"),
    ] {
        run("repy-launch", words).expect_code(2).expect_stderr(meant);
    }
}

/// Work that takes more than a second says what it is at, on a terminal and nowhere else.
#[test]
fn long_work_tells_how_far_it_is_on_terminals_only() {
    let scratch = Scratch::new("progress");
    let policy = integration::project_root().join("policies/restrictions.test");
    let program = scratch.write("program.repy", "sleep(0)\n");
    let mut command = Command::new(integration::bin("repy-launch"));
    command.arg("check").arg(&policy);
    // However fast this machine is: as many programs as take some seconds.
    let mut programs = 25;
    let (all, shown) = loop {
        let mut command = Command::new(integration::bin("repy-launch"));
        command.arg("check").arg(&policy).args(std::iter::repeat_n(&program, programs));
        let start = std::time::Instant::now();
        let mut terminal = integration::pty::Terminal::start(&command);
        assert_eq!(terminal.code(), Some(0));
        if start.elapsed() > Duration::from_secs(3) || programs > 10_000 {
            terminal.expect("program.repy: good");
            break (programs, terminal.shown());
        }
        programs *= 2;
    };
    assert!(shown.contains(&format!(" of {all}: ")) && shown.contains(" ...\r\n"), "{}", shown.len());
    let mut quiet = Command::new(integration::bin("repy-launch"));
    quiet.args(["check", "--quiet"]).arg(&policy).args(std::iter::repeat_n(&program, all));
    let mut terminal = integration::pty::Terminal::start(&quiet);
    assert_eq!(terminal.code(), Some(0));
    assert!(!terminal.shown().contains(" of "), "{}", terminal.shown());
    command.args(std::iter::repeat_n(&program, all)).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    finish(command, Duration::from_secs(300)).expect_code(0).expect_stderr("");
}

#[test]
fn colour_is_for_terminals_only_and_not_against_no_color() {
    let scratch = Scratch::new("colour");
    let policy = scratch.write("bad.test", "resource cpu\n");
    let words = ["check", policy.to_str().expect("text")];
    let plain = run("repy-launch", &words);
    plain.expect_code(2);
    assert!(!plain.stderr.contains('\x1b'), "{plain:?}");
    let mut command = Command::new(integration::bin("repy-launch"));
    command.args(words).env_remove("NO_COLOR");
    let shown = |command: &Command| {
        let mut terminal = integration::pty::Terminal::start(command);
        assert_eq!(terminal.code(), Some(2));
        terminal.expect("resource cpu");
        terminal.shown()
    };
    assert!(shown(&command).contains("\x1b["), "colour on a terminal");
    command.env("NO_COLOR", "1");
    let text = shown(&command);
    assert!(!text.contains("\x1b["), "{text:?}");
}
