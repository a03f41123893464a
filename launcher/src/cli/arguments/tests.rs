//! Command lines and what they ask for.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::*;
use crate::broker::Listed;

fn asked(line: &str) -> Result<Asked, clap::Error> {
    parse(line.split(' ').map(OsString::from).collect())
}

fn run(line: &str) -> Options {
    match asked(line) {
        Ok(Asked::Run(options)) => *options,
        other => panic!("{line}: {other:?}"),
    }
}

fn error(line: &str) -> String {
    match asked(line) {
        Err(error) => {
            assert_eq!(error.exit_code(), 2, "{line}");
            error.to_string()
        }
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn clap_finds_its_own_definition_sound() {
    command().debug_assert();
    original_command().debug_assert();
}

#[test]
fn options_then_program_then_its_arguments() {
    let options = run("repy-launch --policy p --vessel=v prog.repy --report x -v -- y");
    assert_eq!((options.policy, options.vessel), (PathBuf::from("p"), Some(PathBuf::from("v"))));
    assert_eq!(options.program, "prog.repy");
    assert_eq!(options.arguments, ["--report", "x", "-v", "--", "y"]);
    assert!(options.report.is_none() && !options.verbose);
    assert_eq!(options.max_accepted, 1024);
    let options = run("repy-launch --policy p -- -odd a");
    assert_eq!((options.program, options.arguments), ("-odd".into(), vec!["a".into()]));
    let options = run("repy-launch --policy p --journald prog.repy x");
    assert_eq!((options.program, options.arguments), ("prog.repy".into(), vec!["x".into()]));
    assert_eq!(options.journald, Some(PathBuf::from(crate::events::SOCKET)));
    assert_eq!(run("repy-launch --policy p --journald=s x").journald, Some(PathBuf::from("s")));
    let options = run("repy-launch --policy p --without cgroup --without netns x");
    assert!(options.without.contains(Layer::Cgroup) && options.without.contains(Layer::Netns));
}

#[test]
fn mistakes_are_named_with_a_suggestion() {
    assert!(error("repy-launch --polcy p x").contains("--policy"));
    assert!(error("repy-launch").contains("--policy"));
    assert!(error("repy-launch --policy p").contains("PROGRAM"));
    assert!(error("repy-launch --without moat --policy p x").contains("cgroup"));
    assert!(error("repy-launch --policy p --wall nan x").contains("seconds"));
    assert!(error("repy-launch --policy p --wall -1 x").contains("--wall"));
    assert!(error("repy-launch --policy p --name a/b x").contains("letters"));
    assert!(error("repy-launch --policy p --max-accepted 0 x").contains("max-accepted"));
    assert!(error("repy-launch --policy").contains("--policy"));
    assert!(error("repy-launch check").contains("POLICY"));
    assert!(error("repy-launch chekc p").contains("did you mean 'check'?"));
    assert!(error("repy-launch doctor --jsn").contains("--json"));
    assert!(error("repy-launch zzz").contains("--policy"));
    assert_eq!(run("repy-launch --policy p chekc").program, "chekc");
}

#[test]
fn other_commands() {
    let other = |line: &str| match asked(line) {
        Ok(Asked::Other(other)) => *other,
        wrong => panic!("{line}: {wrong:?}"),
    };
    assert!(matches!(other("repy-launch check a b"), Other::Check(line) if line.programs.len() == 1));
    assert!(matches!(
        other("repy-launch explain p --json open"),
        Other::Explain(ExplainLine { what: Some(_), json: true, .. })
    ));
    assert!(matches!(other("repy-launch doctor"), Other::Doctor(DoctorLine { sweep: false, .. })));
    for command in ["check p", "explain p", "learn x", "repl", "doctor", "ps", "stop x", "audit x"] {
        assert!(other(&format!("repy-launch {command} -q")).is_quiet(), "{command}");
        assert!(!other(&format!("repy-launch {command} -v")).is_quiet(), "{command}");
        assert!(error(&format!("repy-launch {command} -q -v")).contains("--verbose"), "{command}");
    }
    // A program of that name has a path.
    assert_eq!(run("repy-launch --policy p check").program, "check");
    assert_eq!(asked("repy-launch --help").unwrap_err().exit_code(), 0);
    assert_eq!(asked("repy-launch --version").unwrap_err().exit_code(), 0);
}

#[test]
fn under_the_originals_name() {
    let options = run("/usr/bin/repy --ip 1.2.3.4 --log=l --nootherips r.test prog --stop a");
    assert_eq!((options.policy, options.program), (PathBuf::from("r.test"), "prog".into()));
    assert_eq!(options.arguments, ["--stop", "a"]);
    assert_eq!(options.logfile, Some(PathBuf::from("l")));
    assert_eq!(options.addresses.listed, [Listed::Address(Ipv4Addr::new(1, 2, 3, 4))]);
    assert!(options.addresses.only_listed);
    let listed = run("repy --iface eth0 --ip 1.2.3.4 --iface lo r p").addresses.listed;
    assert!(
        matches!(&listed[..], [Listed::Interface(first), Listed::Address(_), Listed::Interface(_)] if first == "eth0")
    );
    assert!(error("repy --ip 1.2.3 r p").contains("--ip"));
    // Shortened names of options with a value in a word of its own.
    assert_eq!(run("repy --logf l r p").logfile, Some(PathBuf::from("l")));
    assert!(error("repy --i x r p").contains("--i"));
    // check is no command there.
    assert_eq!(run("repy check prog").policy, PathBuf::from("check"));
    error("repy r.test");
    error("repy");
}
