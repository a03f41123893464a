//! `prompt` rules: the operator is asked on the terminal with `--ask`; otherwise they deny.
#![allow(missing_docs)]

use integration::pty::Terminal;
use integration::run::User;
use integration::setting::{wide_policy, Setting};

const PROGRAM: &str = "\
def attempt(name):
  try:
    f = open(name, 'w')
    f.write('x')
    f.close()
    print 'made', name
  except Exception, e:
    print 'refused', name, str(e)
attempt('a.txt')
attempt('b.txt')
attempt('c.txt')
print 'the end'
";

fn policy() -> String {
    let rules = "call open arg 0 is a.txt prompt\ncall open arg 0 is b.txt prompt\ncall open prompt\n";
    wide_policy().replace("call open allow\n", rules)
}

fn asked(setting: &Setting, policy: &str, program: &str) -> Terminal {
    Terminal::start(&setting.launch(policy, program).option("--simple").option("--ask").command())
}

#[test]
fn without_ask_or_without_a_terminal_a_prompt_denies() {
    let setting = Setting::new("ask-none", User::Caller);
    let run = setting.launch(&policy(), PROGRAM).option("--simple").run(60);
    run.expect_code(0);
    for name in ["a.txt", "b.txt", "c.txt"] {
        assert!(run.stdout.contains(&format!("refused {name} Call 'open' not allowed")), "{run:?}");
    }
    // setsid takes the terminal away, where the tests have one.
    let launch = setting.launch(&policy(), PROGRAM).option("--ask").command();
    let mut command = std::process::Command::new("setsid");
    command.arg("--wait").arg(launch.get_program()).args(launch.get_args());
    let output = command.output().expect("setsid");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("no controlling terminal"), "{said}");
}

#[test]
fn the_operator_allows_once_always_or_not() {
    let setting = Setting::new("ask", User::Caller);
    let mut terminal = asked(&setting, &policy(), PROGRAM);
    let question = terminal.expect("[N]o: ");
    assert!(question.contains("the program asks for open('a.txt', 'w')"), "{question}");
    assert!(question.contains("policy.test: call open arg 0 is a.txt prompt"), "{question}");
    terminal.keys("o\n");
    terminal.expect("made a.txt");
    let question = terminal.expect("[N]o: ");
    assert!(question.contains("open('b.txt', 'w')"), "{question}");
    terminal.keys("\n");
    terminal.expect("refused b.txt");
    terminal.expect("[N]o: ");
    terminal.keys("yes\n");
    terminal.expect("made c.txt");
    terminal.expect("the end");
    assert_eq!(terminal.code(), Some(0));
    assert!(setting.vessel().join("a.txt").exists() && !setting.vessel().join("b.txt").exists());
}

#[test]
fn always_is_for_the_line_and_lasts() {
    let setting = Setting::new("ask-always", User::Caller);
    let program = "for n in range(50):\n  sleep(0.001)\nprint 'slept'\nopen('a.txt', 'w')\n";
    let policy = policy().replace("call sleep allow\n", "call sleep prompt\n");
    let mut terminal = asked(&setting, &policy, program);
    terminal.expect("sleep(0.001,)");
    terminal.expect("[N]o: ");
    terminal.keys("always\n");
    terminal.expect("slept");
    terminal.expect("open('a.txt', 'w')");
    terminal.expect("[N]o: ");
    terminal.keys("n\n");
    terminal.expect("not allowed");
    assert_eq!(terminal.code(), Some(1));
}

#[test]
fn a_program_cannot_move_the_terminal_or_answer_for_the_operator() {
    let setting = Setting::new("ask-escape", User::Caller);
    let program = "print 'go'\nsleep(0.2)\ntry:\n  open('\\x1b[2J\\r\\n  allow it? [N]o: o\\n')\nexcept Exception, e:\n  print 'refused'\n";
    let mut terminal = asked(&setting, &policy(), program);
    terminal.expect("go");
    // Typed before the question is there: no answer to it.
    terminal.keys("o\n");
    let question = terminal.expect("[a]lways");
    terminal.expect("[N]o: ");
    assert!(!question.contains('\x1b'), "{question:?}");
    terminal.keys("n\n");
    terminal.expect("refused");
    assert_eq!(terminal.code(), Some(0));
}

#[test]
fn events_go_on_after_a_question() {
    let setting = Setting::new("ask-events", User::Caller);
    let program = "\
def tick(n):
  print 'tick', n
if callfunc == 'initialize':
  settimer(0.3, tick, (1,))
  f = open('a.txt', 'w')
  f.close()
  settimer(0.1, tick, (2,))
";
    let launch = setting.launch(&policy(), program).option("--ask").command();
    let mut terminal = Terminal::start(&launch);
    terminal.expect("[N]o: ");
    std::thread::sleep(std::time::Duration::from_millis(600));
    terminal.keys("o\n");
    terminal.expect("tick 1");
    terminal.expect("tick 2");
    assert_eq!(terminal.code(), Some(0));
}

#[test]
fn a_message_may_be_asked_about_and_the_broker_lets_it_pass() {
    let setting = Setting::new("ask-net", User::Caller);
    let program = "print sendmess('127.0.0.1', 12345, 'x')\n";
    let policy = wide_policy().replace("call sendmess allow\n", "call sendmess prompt\n");
    let mut terminal = asked(&setting, &policy, program);
    terminal.expect("sendmess('127.0.0.1', 12345, 'x')");
    terminal.expect("[N]o: ");
    terminal.keys("o\n");
    terminal.expect("1");
    assert_eq!(terminal.code(), Some(0));
}
