//! A line editor: bytes of a terminal in, lines out. It knows no terminal: what
//! is to be seen is a text that [`Editor::drawn`] makes.

/// The byte of Ctrl-C.
pub const INTERRUPT: u8 = 3;

/// Most characters of a line.
const LONGEST: usize = 8192;
/// What the Tab key enters.
const INDENT: &str = "    ";

/// What a byte did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edited {
    /// Nothing that can be seen.
    Nothing,
    /// The line looks different.
    Changed,
    /// A line is complete.
    Line(String),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-L.
    Clear,
    /// Ctrl-D on an empty line.
    End,
}

/// Where in an escape sequence the input is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Plain,
    /// Behind ESC.
    Escape,
    /// Behind `ESC [` or `ESC O`, with the digits so far.
    Sequence(u32),
    /// Within a character of several bytes.
    Letter(Vec<u8>),
}

/// One line being edited, and those before it.
#[derive(Clone, Debug)]
pub struct Editor {
    text: Vec<char>,
    cursor: usize,
    history: Vec<String>,
    /// Place in the history; its length for the line itself.
    place: usize,
    draft: String,
    state: State,
}

impl Editor {
    /// An empty line after these.
    pub fn new(history: &[String]) -> Editor {
        Editor {
            text: Vec::new(),
            cursor: 0,
            place: history.len(),
            history: history.to_vec(),
            draft: String::new(),
            state: State::Plain,
        }
    }

    /// Takes the line as it is.
    pub fn take(&mut self) -> String {
        self.cursor = 0;
        self.state = State::Plain;
        let line: String = std::mem::take(&mut self.text).into_iter().collect();
        if !line.trim().is_empty() && self.history.last() != Some(&line) {
            self.history.push(line.clone());
        }
        self.place = self.history.len();
        line
    }

    /// Takes a byte of the terminal.
    pub fn feed(&mut self, byte: u8) -> Edited {
        match std::mem::replace(&mut self.state, State::Plain) {
            State::Plain => self.plain(byte),
            State::Escape if byte == b'[' || byte == b'O' => {
                self.state = State::Sequence(0);
                Edited::Nothing
            }
            State::Escape => Edited::Nothing,
            State::Sequence(digits) => self.sequence(digits, byte),
            State::Letter(bytes) => {
                self.state = State::Letter(bytes);
                self.letter(byte)
            }
        }
    }

    fn plain(&mut self, byte: u8) -> Edited {
        let control = |letter: u8| letter & 0x1f;
        match byte {
            b'\r' | b'\n' => Edited::Line(self.take()),
            INTERRUPT => {
                self.text.clear();
                self.cursor = 0;
                self.place = self.history.len();
                Edited::Interrupt
            }
            0x1b => {
                self.state = State::Escape;
                Edited::Nothing
            }
            0x7f | 0x08 => self.delete(self.cursor.checked_sub(1)),
            b'\t' => {
                INDENT.chars().for_each(|letter| self.insert(letter));
                Edited::Changed
            }
            byte if byte == control(b'D') && self.text.is_empty() => Edited::End,
            byte if byte == control(b'D') => self.delete(Some(self.cursor)),
            byte if byte == control(b'A') => self.move_to(0),
            byte if byte == control(b'E') => self.move_to(self.text.len()),
            byte if byte == control(b'B') => self.move_to(self.cursor.saturating_sub(1)),
            byte if byte == control(b'F') => self.move_to(self.cursor + 1),
            byte if byte == control(b'K') => {
                self.text.truncate(self.cursor);
                Edited::Changed
            }
            byte if byte == control(b'U') => {
                self.text.drain(..self.cursor);
                self.move_to(0)
            }
            byte if byte == control(b'W') => {
                let before = &self.text[..self.cursor];
                let word = before.iter().rposition(|letter| *letter != ' ').unwrap_or(0);
                let start =
                    before[..word].iter().rposition(|letter| *letter == ' ').map_or(0, |space| space + 1);
                self.text.drain(start..self.cursor);
                self.move_to(start)
            }
            byte if byte == control(b'P') => self.remember(self.place.checked_sub(1)),
            byte if byte == control(b'N') => self.remember(Some(self.place + 1)),
            byte if byte == control(b'L') => Edited::Clear,
            0..=0x1f => Edited::Nothing,
            byte => self.letter(byte),
        }
    }

    /// A byte of a character in UTF-8.
    fn letter(&mut self, byte: u8) -> Edited {
        let mut bytes = match std::mem::replace(&mut self.state, State::Plain) {
            State::Letter(bytes) => bytes,
            _ => Vec::new(),
        };
        bytes.push(byte);
        match std::str::from_utf8(&bytes) {
            Ok(text) => {
                text.chars().for_each(|letter| self.insert(letter));
                Edited::Changed
            }
            Err(error) if error.error_len().is_none() => {
                self.state = State::Letter(bytes);
                Edited::Nothing
            }
            Err(_) => Edited::Nothing,
        }
    }

    fn sequence(&mut self, digits: u32, byte: u8) -> Edited {
        match (byte, digits) {
            (b'0'..=b'9', _) => {
                self.state = State::Sequence((digits * 10 + u32::from(byte - b'0')) % 1000);
                Edited::Nothing
            }
            (b';', _) => {
                self.state = State::Sequence(digits);
                Edited::Nothing
            }
            (b'A', _) => self.remember(self.place.checked_sub(1)),
            (b'B', _) => self.remember(Some(self.place + 1)),
            (b'C', _) => self.move_to(self.cursor + 1),
            (b'D', _) => self.move_to(self.cursor.saturating_sub(1)),
            (b'H', _) | (b'~', 1 | 7) => self.move_to(0),
            (b'F', _) | (b'~', 4 | 8) => self.move_to(self.text.len()),
            (b'~', 3) => self.delete(Some(self.cursor)),
            _ => Edited::Nothing,
        }
    }

    fn insert(&mut self, letter: char) {
        if self.text.len() < LONGEST {
            self.text.insert(self.cursor, letter);
            self.cursor += 1;
        }
    }

    fn delete(&mut self, at: Option<usize>) -> Edited {
        match at.filter(|at| *at < self.text.len()) {
            Some(at) => {
                self.text.remove(at);
                self.move_to(at)
            }
            None => Edited::Nothing,
        }
    }

    fn move_to(&mut self, place: usize) -> Edited {
        self.cursor = place.min(self.text.len());
        Edited::Changed
    }

    /// Shows another line of the history, or the one that was begun.
    fn remember(&mut self, place: Option<usize>) -> Edited {
        let Some(place) = place.filter(|place| *place <= self.history.len()) else { return Edited::Nothing };
        if self.place == self.history.len() {
            self.draft = self.text.iter().collect();
        }
        self.place = place;
        let line = self.history.get(place).unwrap_or(&self.draft);
        self.text = line.chars().collect();
        self.move_to(usize::MAX)
    }

    /// What shows the line on one row of so many columns, the cursor in its place.
    /// What a terminal would obey is shown as a question mark.
    pub fn drawn(&self, prompt: &str, columns: usize) -> String {
        let room = columns.saturating_sub(prompt.len() + 1).max(8);
        let start = self.cursor.saturating_sub(room);
        let seen: String = self.text[start..]
            .iter()
            .take(room)
            .map(|letter| if letter.is_control() { '?' } else { *letter })
            .collect();
        let mut drawn = format!("\r{prompt}{seen}\x1b[K\r");
        let column = prompt.len() + self.cursor - start;
        if column > 0 {
            drawn.push_str(&format!("\x1b[{column}C"));
        }
        drawn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(input: &[u8], history: &[&str]) -> Vec<String> {
        let history: Vec<String> = history.iter().map(|line| (*line).to_owned()).collect();
        let mut editor = Editor::new(&history);
        let fed = input.iter().map(|byte| editor.feed(*byte));
        fed.filter_map(|edited| if let Edited::Line(line) = edited { Some(line) } else { None }).collect()
    }

    #[test]
    fn keys_do_what_they_do_everywhere() {
        for (keys, line) in [
            (&b"print 1\r"[..], "print 1"),
            (b"prnt\x1b[D\x1b[D\x1b[Di\r", "pirnt"),
            (b"ab\x7fc\r", "ac"),
            (b"bc\x01a\x05d\r", "abcd"),
            (b"bc\x1b[Ha\x1b[Fd\r", "abcd"),
            (b"abc\x1b[D\x1b[3~\r", "ab"),
            (b"one two\x17three\r", "one three"),
            (b"junk\x15x\r", "x"),
            (b"ab\x02\x0b\r", "a"),
            ("\u{e4}\u{20ac}x\r".as_bytes(), "\u{e4}\u{20ac}x"),
            (b"\xffa\r", "a"),
            (b"\tx\r", "    x"),
            (b"a\x1b[1;5Cb\x1bqc\r", "abc"),
        ] {
            assert_eq!(lines(keys, &[]), [line], "{keys:?}");
        }
    }

    #[test]
    fn the_history_goes_both_ways_and_keeps_what_was_begun() {
        assert_eq!(lines(b"\x1b[A\r", &["one", "two"]), ["two"]);
        assert_eq!(lines(b"\x1b[A\x1b[A\x1b[A\r", &["one", "two"]), ["one"]);
        assert_eq!(lines(b"new\x10\x10\x0e\x0e\r", &["one", "two"]), ["new"]);
        assert_eq!(lines(b"three\r\x1b[A\r", &["one"]), ["three", "three"]);
    }

    #[test]
    fn the_end_and_interrupts() {
        let mut editor = Editor::new(&[]);
        assert_eq!(editor.feed(4), Edited::End);
        editor.feed(b'x');
        assert_eq!(editor.feed(4), Edited::Nothing);
        assert_eq!(editor.feed(INTERRUPT), Edited::Interrupt);
        assert_eq!(editor.take(), "");
        assert_eq!(editor.feed(12), Edited::Clear);
    }

    #[test]
    fn a_long_line_scrolls_and_stays_on_its_row() {
        let mut editor = Editor::new(&[]);
        (0..100).for_each(|_| drop(editor.feed(b'x')));
        let drawn = editor.drawn(">>> ", 20);
        assert_eq!(drawn, format!("\r>>> {}\x1b[K\r\x1b[19C", "x".repeat(15)));
        editor.feed(1);
        assert_eq!(editor.drawn(">>> ", 20), format!("\r>>> {}\x1b[K\r\x1b[4C", "x".repeat(15)));
    }
}
