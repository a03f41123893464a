//! `--ask`: what a `prompt` rule asks is put to the operator on the controlling
//! terminal. The program's words are shown harmless; only a rule of the policy
//! that really says `prompt` can make the question be asked.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::termios::{tcflush, FlushArg};
use policies::channel::control::{FromInterpreter, ToInterpreter};
use policies::{Action, Policy};

use crate::supervise::partner::Partner;
use crate::terminal::harmless;

/// Most questions that wait; an interpreter of ours has one.
const MOST: usize = 16;
/// Longest line that is read as an answer.
const LINE: usize = 256;

/// One question.
#[derive(Debug)]
struct Question {
    number: u32,
    rule: u32,
    arguments: String,
}

/// The operator at a terminal.
pub struct Operator<T> {
    terminal: T,
    policy: Policy,
    policy_name: String,
    waiting: VecDeque<Question>,
    always: HashSet<u32>,
    line: Vec<u8>,
}

/// A terminal, or what stands for one in a test.
pub trait Terminal: Read + Write + AsFd {
    /// Forgets what was typed before the question was there.
    fn forget_input(&mut self) {}
}

impl Terminal for File {
    fn forget_input(&mut self) {
        // Not a terminal after all: then nothing was typed ahead.
        let _ = tcflush(self.as_fd(), FlushArg::TCIFLUSH);
    }
}

impl<T: Terminal> Operator<T> {
    /// An operator who is asked for the rules of `policy`. Reading from
    /// `terminal` must not wait.
    pub fn new(terminal: T, policy: Policy, policy_name: &str) -> Operator<T> {
        Operator {
            terminal,
            policy,
            policy_name: harmless(policy_name),
            waiting: VecDeque::new(),
            always: HashSet::new(),
            line: Vec::new(),
        }
    }

    /// Writes the first question.
    fn ask(&mut self) {
        let Some(question) = self.waiting.front() else { return };
        let Some(rule) = self.policy.rules().get(question.rule as usize) else { return };
        let by = match rule.line {
            0 => format!("a rule of {}", self.policy_name),
            line => format!("line {line} of {}", self.policy_name),
        };
        let text = format!(
            "\nrepy-launch: the program asks for {}{}\n  by {by}: {}\n  allow it? [o]nce, [a]lways for this line, [N]o: ",
            rule.call.name(),
            harmless(&question.arguments),
            harmless(&rule.to_string()),
        );
        self.terminal.forget_input();
        self.line.clear();
        // A terminal that has gone away answers no below.
        let _ = self.terminal.write_all(text.as_bytes());
        let _ = self.terminal.flush();
    }

    /// Answers the first question, and asks the next.
    fn answer(&mut self, word: &[u8]) -> Vec<ToInterpreter> {
        let Some(question) = self.waiting.pop_front() else { return Vec::new() };
        let allow = match word.to_ascii_lowercase().trim_ascii() {
            b"o" | b"once" | b"y" | b"yes" => true,
            b"a" | b"always" => {
                self.always.insert(question.rule);
                true
            }
            _ => false,
        };
        let mut answers = vec![ToInterpreter::PromptAnswer { question: question.number, allow }];
        while let Some(next) = self.waiting.front().filter(|next| self.always.contains(&next.rule)) {
            answers.push(ToInterpreter::PromptAnswer { question: next.number, allow: true });
            self.waiting.pop_front();
        }
        self.ask();
        answers
    }
}

impl<T: Terminal> Partner for Operator<T> {
    fn readable(&self) -> Option<BorrowedFd<'_>> {
        (!self.waiting.is_empty()).then(|| self.terminal.as_fd())
    }

    fn on_readable(&mut self) -> Vec<ToInterpreter> {
        let mut piece = [0; LINE];
        let count = match self.terminal.read(&mut piece) {
            Ok(0) => return self.answer(b"n"),
            Ok(count) => count,
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted
                ) =>
            {
                return Vec::new();
            }
            Err(_) => return self.answer(b"n"),
        };
        self.line.extend_from_slice(piece.get(..count).unwrap_or_default());
        if self.line.len() > LINE {
            return self.answer(b"n");
        }
        match self.line.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                let line = self.line.get(..end).unwrap_or_default().to_vec();
                self.answer(&line)
            }
            None => Vec::new(),
        }
    }

    fn hear(&mut self, frame: FromInterpreter) -> Vec<ToInterpreter> {
        let FromInterpreter::Prompt { question, call, rule, arguments } = frame else { return Vec::new() };
        let real = self
            .policy
            .rules()
            .get(rule as usize)
            .is_some_and(|rule| rule.action == Action::Prompt && rule.call == call);
        let answer = |allow| vec![ToInterpreter::PromptAnswer { question, allow }];
        if !real || self.waiting.len() >= MOST {
            return answer(false);
        }
        if self.always.contains(&rule) {
            return answer(true);
        }
        self.waiting.push_back(Question { number: question, rule, arguments });
        if self.waiting.len() == 1 {
            self.ask();
        }
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policies::Call;
    use std::os::unix::net::UnixStream;

    impl Terminal for UnixStream {}

    const POLICY: &str = "resource cpu .5\nresource memory 1\nresource diskused 1\n\
                          call open arg 0 is a prompt\ncall open deny\ncall sleep prompt\n";

    fn operator() -> (Operator<UnixStream>, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let policy = Policy::parse(POLICY.as_bytes(), "p").unwrap().policy;
        (Operator::new(ours, policy, "p.test"), theirs)
    }

    fn prompt(question: u32, call: Call, rule: u32, arguments: &str) -> FromInterpreter {
        FromInterpreter::Prompt { question, call, rule, arguments: arguments.to_owned() }
    }

    fn answered(question: u32, allow: bool) -> Vec<ToInterpreter> {
        vec![ToInterpreter::PromptAnswer { question, allow }]
    }

    fn read(terminal: &mut UnixStream) -> String {
        let mut buffer = [0; 4096];
        let count = terminal.read(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    }

    #[test]
    fn the_question_says_what_and_by_which_line_and_nothing_the_terminal_obeys() {
        let (mut operator, mut terminal) = operator();
        assert!(operator.readable().is_none());
        assert_eq!(operator.hear(prompt(1, Call::Open, 0, "('a', '\x1b[2J\r\n')")), vec![]);
        let text = read(&mut terminal);
        assert!(text.contains("open('a', '\\u{1b}[2J\\r\\n')"), "{text}");
        assert!(text.contains("line 4 of p.test: call open arg 0 is a prompt"), "{text}");
        assert!(operator.readable().is_some());
        terminal.write_all(b"on").unwrap();
        assert_eq!(operator.on_readable(), vec![]);
        terminal.write_all(b"ce\n").unwrap();
        assert_eq!(operator.on_readable(), answered(1, true));
        // Once is once.
        assert_eq!(operator.hear(prompt(2, Call::Open, 0, "('a',)")), vec![]);
        terminal.write_all(b"\n").unwrap();
        assert_eq!(operator.on_readable(), answered(2, false));
    }

    #[test]
    fn always_holds_for_the_line_and_for_no_other() {
        let (mut operator, mut terminal) = operator();
        operator.hear(prompt(1, Call::Sleep, 2, "(1,)"));
        operator.hear(prompt(2, Call::Sleep, 2, "(2,)"));
        operator.hear(prompt(3, Call::Open, 0, "('a',)"));
        terminal.write_all(b"A\n").unwrap();
        assert_eq!(operator.on_readable(), [answered(1, true), answered(2, true)].concat());
        assert_eq!(operator.hear(prompt(4, Call::Sleep, 2, "(3,)")), answered(4, true));
        assert!(operator.readable().is_some(), "open is still asked");
    }

    #[test]
    fn a_rule_that_does_not_ask_is_not_asked_about() {
        let (mut operator, _terminal) = operator();
        assert_eq!(operator.hear(prompt(1, Call::Open, 1, "")), answered(1, false));
        assert_eq!(operator.hear(prompt(2, Call::Open, 99, "")), answered(2, false));
        assert_eq!(operator.hear(prompt(3, Call::Open, 2, "")), answered(3, false));
    }

    #[test]
    fn a_flood_and_a_terminal_that_is_gone_are_answered_no() {
        let (mut operator, terminal) = operator();
        for question in 0..MOST as u32 {
            assert_eq!(operator.hear(prompt(question, Call::Sleep, 2, "")), vec![]);
        }
        assert_eq!(operator.hear(prompt(99, Call::Sleep, 2, "")), answered(99, false));
        drop(terminal);
        assert_eq!(operator.on_readable(), answered(0, false));
    }
}
