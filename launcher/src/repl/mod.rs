//! `repy-launch repl`: the terminal's side of a session. Lines are edited and
//! remembered here; what they mean is the interpreter's business alone.

pub mod editor;
mod history;
mod screen;

use std::collections::VecDeque;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};

use policies::channel::control::{FromInterpreter, ToInterpreter, MAXIMUM_TEXT};

use crate::supervise::partner::Partner;
use crate::terminal::errln;
use editor::{Edited, Editor};
use history::History;
pub use screen::restore;
use screen::Screen;

const FIRST: &str = ">>> ";
const MORE: &str = "... ";
/// Bytes read at a time.
const PIECE: usize = 4096;
/// Most bytes typed ahead of a running statement.
const AHEAD: usize = 64 * 1024;

/// The operator's side of a session.
pub struct Console {
    /// The terminal, if standard input is one.
    screen: Option<Screen>,
    editor: Editor,
    history: History,
    /// Bytes that came and were not looked at yet.
    ahead: VecDeque<u8>,
    /// The line so far, if it comes through a pipe: as it is, whatever its bytes.
    piped: Vec<u8>,
    /// The statement so far.
    statement: Vec<u8>,
    /// The interpreter has said that it waits for a line.
    ready: bool,
    /// It waits, and what it printed before is shown.
    waiting: bool,
    /// The statement so far needs more lines.
    incomplete: bool,
    /// Standard input is at its end.
    ended: bool,
    left: bool,
}

impl Console {
    /// On the terminal, or on whatever standard input is.
    ///
    /// # Errors
    /// The terminal cannot be set up.
    pub fn new() -> io::Result<Console> {
        let screen = match crate::terminal::is_terminal(io::stdin()) {
            true => Some(Screen::take()?),
            false => None,
        };
        let history = if screen.is_some() { History::load() } else { History::none() };
        Ok(Console {
            screen,
            editor: Editor::new(history.lines()),
            history,
            ahead: VecDeque::new(),
            piped: Vec::new(),
            statement: Vec::new(),
            ready: false,
            waiting: false,
            incomplete: false,
            ended: false,
            left: false,
        })
    }

    /// Takes what was typed, as far as the interpreter waits for it.
    fn go_on(&mut self) -> Vec<ToInterpreter> {
        let mut said = Vec::new();
        while self.waiting && !self.left {
            let Some(byte) = self.ahead.pop_front() else { break };
            match &self.screen {
                Some(_) => self.typed(byte, &mut said),
                None => self.piped(byte, &mut said),
            }
        }
        if self.ended && self.ahead.is_empty() && self.waiting {
            self.finish(&mut said);
        }
        said
    }

    /// Standard input has ended: what is there still runs.
    fn finish(&mut self, said: &mut Vec<ToInterpreter>) {
        let line = match self.screen {
            Some(_) => self.editor.take().into_bytes(),
            None => std::mem::take(&mut self.piped),
        };
        if !line.is_empty() || self.incomplete {
            self.incomplete = false;
            self.line(&line, said);
        } else {
            self.left = true;
        }
    }

    fn typed(&mut self, byte: u8, said: &mut Vec<ToInterpreter>) {
        match self.editor.feed(byte) {
            Edited::Nothing => {}
            Edited::Changed => self.draw(),
            Edited::Line(line) => {
                self.draw();
                show("\n");
                self.history.add(&line);
                self.line(line.as_bytes(), said);
            }
            Edited::Interrupt => {
                show("^C\n");
                self.statement.clear();
                self.incomplete = false;
                self.draw();
            }
            Edited::Clear => {
                show("\x1b[H\x1b[2J");
                self.draw();
            }
            Edited::End if self.incomplete => {}
            Edited::End => {
                show("\n");
                self.left = true;
            }
        }
    }

    fn piped(&mut self, byte: u8, said: &mut Vec<ToInterpreter>) {
        if byte == b'\n' {
            let line = std::mem::take(&mut self.piped);
            self.line(&line, said);
        } else if self.piped.len() <= MAXIMUM_TEXT {
            // One more than a statement has: it will be refused.
            self.piped.push(byte);
        }
    }

    /// One more line of the statement.
    fn line(&mut self, line: &[u8], said: &mut Vec<ToInterpreter>) {
        self.statement.extend_from_slice(line);
        self.statement.push(b'\n');
        if self.statement.len() > MAXIMUM_TEXT {
            errln!(
                "repy-launch: a statement has at most {MAXIMUM_TEXT} bytes; put longer ones into a program"
            );
            self.statement.clear();
            self.incomplete = false;
            self.draw();
            return;
        }
        self.waiting = false;
        said.push(ToInterpreter::Statement(self.statement.clone()));
    }

    fn draw(&self) {
        if let (Some(screen), true) = (&self.screen, self.waiting) {
            let prompt = if self.incomplete { MORE } else { FIRST };
            show(&self.editor.drawn(prompt, screen.columns()));
        }
    }
}

impl Partner for Console {
    fn readable(&self) -> Option<BorrowedFd<'_>> {
        static STDIN: std::sync::OnceLock<io::Stdin> = std::sync::OnceLock::new();
        let room = self.screen.is_some() || self.ahead.len() < AHEAD;
        (!self.ended && room).then(|| STDIN.get_or_init(io::stdin).as_fd())
    }

    fn on_readable(&mut self) -> Vec<ToInterpreter> {
        let mut piece = [0; PIECE];
        // Unbuffered: what poll says is what is there.
        let count = nix::unistd::read(io::stdin(), &mut piece);
        let mut said = Vec::new();
        match count {
            Ok(0) => self.ended = true,
            Ok(count) => {
                for byte in piece.iter().take(count) {
                    // While a statement runs, Ctrl-C is for it and not for the line.
                    if self.screen.is_some() && !self.waiting && *byte == editor::INTERRUPT {
                        self.ahead.clear();
                        said.push(ToInterpreter::Interrupt);
                    } else if self.ahead.len() < AHEAD {
                        self.ahead.push_back(*byte);
                    }
                }
            }
            Err(nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN) => {}
            Err(_) => self.ended = true,
        }
        said.extend(self.go_on());
        said
    }

    fn hear(&mut self, frame: FromInterpreter) -> Vec<ToInterpreter> {
        match frame {
            FromInterpreter::Ready { incomplete } => {
                self.incomplete = incomplete;
                if !incomplete {
                    self.statement.clear();
                }
                self.ready = true;
                Vec::new()
            }
            FromInterpreter::Prompt { question, .. } => {
                vec![ToInterpreter::PromptAnswer { question, allow: false }]
            }
            _ => Vec::new(),
        }
    }

    fn settle(&mut self) -> Vec<ToInterpreter> {
        if std::mem::take(&mut self.ready) {
            self.waiting = true;
            self.draw();
        }
        self.go_on()
    }

    fn before_output(&mut self) {
        if self.screen.is_some() && self.waiting && !self.left {
            show("\r\x1b[K");
        }
    }

    fn after_output(&mut self) {
        if !self.left {
            self.draw();
        }
    }

    fn has_left(&self) -> bool {
        self.left
    }
}

/// Writes to the terminal.
fn show(text: &str) {
    let mut out = io::stdout();
    // A terminal that has gone away is noticed when it is read.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
