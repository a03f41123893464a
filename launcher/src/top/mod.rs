//! `repy-launch top`: a live table of the runs of this host.

mod draw;
pub mod keys;
mod sample;

use std::io::{self, IsTerminal, Read, Write};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::termios::{self, SetArg, Termios};

use crate::cli::arguments::TopLine;
use crate::ps;
use crate::supervise::signals::Signals;
use crate::sys::terminal;
use crate::terminal::{colours, errln, progress};
use crate::verdict::Ending;
use draw::Canvas;
use keys::{Ask, View};
use sample::{Row, Sampler};

/// How often the table is renewed: as often as launchers tell anew.
const EVERY: Duration = Duration::from_secs(1);

/// Between the two looks of `--once`: one more telling of each launcher lies between.
const BETWEEN: Duration = Duration::from_millis(1_100);

/// Shows the table; the exit status.
pub fn run(line: &TopLine) -> u8 {
    let shown = if line.once || line.json || !io::stdout().is_terminal() { once(line) } else { live(line) };
    match shown {
        Ok(()) => Ending::Done.code(),
        // The reader of a pipe has gone: it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ending::Done.code(),
        Err(error) => {
            errln!("repy-launch: top: {error}");
            Ending::Internal.code()
        }
    }
}

fn once(line: &TopLine) -> io::Result<()> {
    let mut sampler = Sampler::default();
    let mut rows = sampler.look();
    if !rows.is_empty() {
        progress("looking for a second");
        std::thread::sleep(BETWEEN);
        rows = sampler.look();
    }
    let mut view = View { sort: line.sort, ..View::default() };
    view.arrange(&mut rows);
    let mut out = io::stdout().lock();
    if line.json {
        writeln!(out, "{}", json(&rows))
    } else {
        let (width, _) = terminal::size(io::stdout().as_fd()).unwrap_or((columns(), 0));
        let colour = line.color || colours(io::stdout());
        let canvas = Canvas { width: usize::from(width).max(40), height: None, colour, interactive: false };
        writeln!(out, "{}", draw::draw(&rows, &view, canvas))
    }
}

/// Width for what is no terminal.
fn columns() -> u16 {
    std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).unwrap_or(160)
}

fn json(rows: &[Row]) -> serde_json::Value {
    rows.iter()
        .map(|row| {
            let mut value = ps::describe(&row.found);
            let now = serde_json::to_value(row).unwrap_or_default();
            value["now"] = now;
            value
        })
        .collect()
}

/// A terminal that sends each key at once and shows none, until dropped.
struct Screen {
    before: Termios,
}

impl Screen {
    fn take() -> io::Result<Screen> {
        let input = io::stdin();
        let before = termios::tcgetattr(&input)?;
        let mut raw = before.clone();
        termios::cfmakeraw(&mut raw);
        termios::tcsetattr(&input, SetArg::TCSAFLUSH, &raw)?;
        let screen = Screen { before };
        // Another screen, and no cursor.
        write_out("\x1b[?1049h\x1b[?25l")?;
        Ok(screen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // There is nobody to tell if the terminal is gone.
        let _ = write_out("\x1b[?25h\x1b[?1049l");
        let _ = termios::tcsetattr(io::stdin(), SetArg::TCSAFLUSH, &self.before);
    }
}

fn write_out(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn live(line: &TopLine) -> io::Result<()> {
    let signals = Signals::install()?;
    let _screen = Screen::take()?;
    let mut sampler = Sampler::default();
    let mut view = View { sort: line.sort, ..View::default() };
    let mut rows = sampler.look();
    let mut next = Instant::now() + EVERY;
    let mut said: Option<String> = None;
    loop {
        view.arrange(&mut rows);
        show(&rows, &view, said.as_deref())?;
        let ask = match key(&signals, next)? {
            Heard::Signal => Ask::Quit,
            Heard::Key(bytes) => {
                said = None;
                view.key(&bytes, rows.len())
            }
            Heard::Nothing => Ask::Draw,
        };
        match ask {
            Ask::Quit => return Ok(()),
            Ask::Stop => {
                said = rows.get(view.selected).and_then(|row| ps::end(&row.found).err());
                rows = sampler.look();
            }
            Ask::Draw => {}
        }
        if Instant::now() >= next {
            rows = sampler.look();
            next = Instant::now() + EVERY;
        }
    }
}

fn show(rows: &[Row], view: &View, said: Option<&str>) -> io::Result<()> {
    let (width, height) = terminal::size(io::stdout().as_fd()).unwrap_or((80, 24));
    let canvas = Canvas {
        width: usize::from(width).max(40),
        height: Some(usize::from(height).max(4)),
        colour: colours(io::stdout()),
        interactive: true,
    };
    let mut text = draw::draw(rows, view, canvas);
    if let Some(said) = said {
        text.push_str(&format!("\r{said}"));
    }
    // From the first column of the first line; each line is cleared to its end.
    write_out(&format!("\x1b[H{}\x1b[K", text.replace('\n', "\x1b[K\r\n")))
}

enum Heard {
    Key(Vec<u8>),
    Signal,
    Nothing,
}

/// Waits for a key, a signal, or the time of the next look.
fn key(signals: &Signals, until: Instant) -> io::Result<Heard> {
    let input = io::stdin();
    let mut set =
        [PollFd::new(input.as_fd(), PollFlags::POLLIN), PollFd::new(signals.readable(), PollFlags::POLLIN)];
    let wait = until.saturating_duration_since(Instant::now()).as_millis() as i32 + 1;
    match poll(&mut set, PollTimeout::try_from(wait).unwrap_or(PollTimeout::ZERO)) {
        Ok(0) | Err(nix::errno::Errno::EINTR) => return Ok(Heard::Nothing),
        Err(errno) => return Err(errno.into()),
        Ok(_) => {}
    }
    if set[1].any() == Some(true) {
        return Ok(Heard::Signal);
    }
    let mut bytes = [0u8; 16];
    match input.lock().read(&mut bytes)? {
        // The terminal is gone.
        0 => Ok(Heard::Signal),
        length => Ok(Heard::Key(bytes[..length].to_vec())),
    }
}
