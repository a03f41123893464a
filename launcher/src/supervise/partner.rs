//! Who talks with the interpreter besides the supervisor itself: an operator at
//! a terminal, or a command that gathers what is told.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use policies::channel::control::{FromInterpreter, ToInterpreter};
use policies::channel::seen::{Finding, SeenCall};

/// Takes part in the loop of a run. Nothing it does may wait.
pub trait Partner {
    /// What it waits for, if anything.
    fn readable(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Its descriptor is readable: what is to be said to the interpreter.
    fn on_readable(&mut self) -> Vec<ToInterpreter> {
        Vec::new()
    }

    /// A frame of the interpreter (untrusted) and the answer to it.
    fn hear(&mut self, frame: FromInterpreter) -> Vec<ToInterpreter>;

    /// The run has gone on for another second.
    fn on_second(&mut self) {}

    /// What was printed before the last frame has been passed on: what is to be
    /// said now.
    fn settle(&mut self) -> Vec<ToInterpreter> {
        Vec::new()
    }

    /// Output of the program is about to be written.
    fn before_output(&mut self) {}

    /// It has been written.
    fn after_output(&mut self) {}

    /// How long the run goes on after a signal has ended it: what the interpreter has seen up
    /// to the signal arrives meanwhile.
    fn last_words(&self) -> Duration {
        Duration::ZERO
    }

    /// Whether the run is to be ended: the operator has left.
    fn has_left(&self) -> bool {
        false
    }
}

/// Most findings, and most calls, that are kept.
const MOST: usize = 2_000;

/// Gathers what a program's text holds, or what calls a run makes.
#[derive(Debug, Default)]
pub struct Collector {
    /// What is wrong with the text.
    pub findings: Vec<Finding>,
    /// Calls.
    pub calls: Vec<SeenCall>,
    /// What the operator is told is being done, once that has taken a second.
    pub doing: Option<String>,
}

/// The interpreter tells what it recorded ten times in a second.
const LAST_WORDS: Duration = Duration::from_millis(250);

impl Partner for std::rc::Rc<std::cell::RefCell<Collector>> {
    fn last_words(&self) -> Duration {
        LAST_WORDS
    }

    fn on_second(&mut self) {
        if let Some(doing) = self.borrow_mut().doing.take() {
            crate::terminal::progress(&doing);
        }
    }

    fn hear(&mut self, frame: FromInterpreter) -> Vec<ToInterpreter> {
        let mut collector = self.borrow_mut();
        match frame {
            FromInterpreter::Findings(mut some) if collector.findings.len() < MOST => {
                collector.findings.append(&mut some);
            }
            FromInterpreter::Calls(mut some) if collector.calls.len() < MOST => {
                collector.calls.append(&mut some);
            }
            FromInterpreter::Prompt { question, .. } => {
                return vec![ToInterpreter::PromptAnswer { question, allow: false }];
            }
            _ => {}
        }
        Vec::new()
    }
}
