//! What the program prints. The supervisor owns the pipes: it meters them,
//! carries them to its own standard output and error or to the circular log,
//! and holds the program back when nobody takes what it prints.

mod meter;
mod sink;
mod terminal;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::unistd;

use crate::logfile::CircularLog;
use meter::{Meter, Ready};
pub use sink::Sink;
use terminal::Escaper;

/// Most that is read at once, and so most that is held for a slow reader.
const PIECE: usize = 64 << 10;

/// Room for pieces until one fills it: most programs never do, and fresh memory takes time.
const FIRST_ROOM: usize = 8 << 10;

/// After a small piece, the next look at the same pipe waits this long, and
/// twice as long after each further one that comes at once: a sandbox that writes
/// single bytes cannot keep the supervisor busy.
const PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// Of a program that prints often, what it prints in this time is passed on together: a
/// person does not see the difference, and the supervisor is woken less.
const TOGETHER: Duration = Duration::from_millis(50);

/// How often a program prints at least that does so often: this many pieces in a second.
const OFTEN: u32 = 10;

/// A traceback always passes at once, whatever `lograte` says.
const TRACEBACK: f64 = 16_384.0;

/// What passes at once of standard output under a `lograte` of zero: the header
/// of --execinfo.
const HEADER: f64 = 4_096.0;

/// Which of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// Both streams of a run.
#[derive(Debug)]
pub struct Output {
    out: Stream,
    err: Stream,
    log: Option<CircularLog>,
    buffer: Vec<u8>,
}

/// What was carried, for the report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bytes the program wrote to standard output.
    pub stdout: u64,
    /// Bytes it wrote to standard error.
    pub stderr: u64,
    /// Bytes thrown away, because the limit is zero or nobody could take them.
    pub dropped: u64,
}

/// One pipe from the sandbox and the stream it goes to.
#[derive(Debug)]
struct Stream {
    source: Option<OwnedFd>,
    sink: Option<Sink>,
    meter: Meter,
    escaper: Option<Escaper>,
    /// Read and not yet written; `done` bytes at its beginning are written.
    held: Vec<u8>,
    done: usize,
    not_before: Option<Instant>,
    pause: Duration,
    /// Small pieces since this time.
    pieces: (Instant, u32),
    /// Whether there were many in the last second.
    often: bool,
    reader_gone: bool,
    carried: u64,
    dropped: u64,
}

/// What the poll loop should wait for.
#[derive(Debug, Default)]
pub struct Interest<'a> {
    /// Pipes to read from.
    pub readable: [Option<(Which, BorrowedFd<'a>)>; 2],
    /// Streams to write to.
    pub writable: [Option<(Which, BorrowedFd<'a>)>; 2],
    /// The next time at which something changes by itself.
    pub wake: Option<Instant>,
}

impl Output {
    /// Takes over the read ends of the sandbox's pipes. `lograte` is in bytes
    /// per second; `log` takes both streams if given.
    ///
    /// # Errors
    /// The launcher's own streams cannot be used.
    pub fn new(
        stdout: OwnedFd,
        stderr: OwnedFd,
        lograte: f64,
        log: Option<CircularLog>,
        now: Instant,
    ) -> io::Result<Output> {
        let (out, err) = match log {
            Some(_) => (None, None),
            None => (Some(Sink::new(io::stdout().as_fd())?), Some(Sink::new(io::stderr().as_fd())?)),
        };
        Ok(Output::with_sinks((stdout, out), (stderr, err), lograte, log, now))
    }

    fn with_sinks(
        out: (OwnedFd, Option<Sink>),
        err: (OwnedFd, Option<Sink>),
        lograte: f64,
        log: Option<CircularLog>,
        now: Instant,
    ) -> Output {
        let burst = if lograte > 0.0 { lograte } else { HEADER };
        Output {
            out: Stream::new(out, Meter::new(lograte, burst, now), now),
            err: Stream::new(err, Meter::new(lograte, lograte.max(TRACEBACK), now), now),
            log,
            buffer: vec![0; FIRST_ROOM],
        }
    }

    /// What to wait for now.
    pub fn interest(&mut self, now: Instant) -> Interest<'_> {
        let mut interest = Interest::default();
        for (which, stream) in [(Which::Out, &mut self.out), (Which::Err, &mut self.err)] {
            stream.interest(which, now, &mut interest);
        }
        interest
    }

    /// Reads one piece from a pipe that is readable and passes it on.
    pub fn read(&mut self, which: Which, now: Instant) {
        let stream = match which {
            Which::Out => &mut self.out,
            Which::Err => &mut self.err,
        };
        let length = stream.read(&mut self.buffer, self.log.as_mut(), now);
        if length == self.buffer.len() {
            self.buffer.resize(PIECE, 0);
        }
    }

    /// Writes what a stream now has room for.
    pub fn write(&mut self, which: Which) {
        match which {
            Which::Out => self.out.flush(),
            Which::Err => self.err.flush(),
        }
    }

    /// The sandbox has ended: reads what its pipes still hold (bounded by their
    /// size), whatever the meter says.
    pub fn drain(&mut self, now: Instant) {
        for stream in [&mut self.out, &mut self.err] {
            // A pipe holds at most a few pieces; the bound is a second net.
            for _ in 0..64 {
                if stream.source.is_none() {
                    break;
                }
                stream.take_all(&mut self.buffer, self.log.as_mut(), now);
            }
            stream.source = None;
            stream.end();
        }
    }

    /// Adds a line of the launcher's own to standard error (or the log, and then
    /// to the launcher's standard error as well, if that can be written at once).
    pub fn say(&mut self, text: &str) {
        self.add(Which::Err, text.as_bytes());
        if self.log.is_some() {
            if let Ok(sink) = Sink::new(io::stderr().as_fd()) {
                // Nobody there to read it: the log has it.
                let _ = sink.write(text.as_bytes());
            }
        }
    }

    /// Adds something to a stream, unmetered: the message of a stop file.
    pub fn add(&mut self, which: Which, data: &[u8]) {
        let stream = match which {
            Which::Out => &mut self.out,
            Which::Err => &mut self.err,
        };
        match &mut self.log {
            Some(log) => log.write(data),
            None => {
                stream.hold(data);
                stream.flush();
            }
        }
    }

    /// Whether something waits for a reader.
    pub fn is_held(&self) -> bool {
        self.out.is_held() || self.err.is_held()
    }

    /// Gives up what nobody took.
    pub fn abandon(&mut self) {
        for stream in [&mut self.out, &mut self.err] {
            stream.drop_held();
        }
    }

    /// The streams whose reader went away before the end, by name.
    pub fn without_reader(&self) -> impl Iterator<Item = &'static str> + '_ {
        let streams = [(&self.out, "standard output"), (&self.err, "standard error")];
        streams.into_iter().filter(|(stream, _)| stream.reader_gone).map(|(_, name)| name)
    }

    /// What was carried so far.
    pub fn totals(&self) -> Totals {
        Totals {
            stdout: self.out.carried,
            stderr: self.err.carried,
            dropped: self.out.dropped + self.err.dropped + self.log.as_ref().map_or(0, CircularLog::lost),
        }
    }
}

impl Stream {
    fn new((source, sink): (OwnedFd, Option<Sink>), meter: Meter, now: Instant) -> Stream {
        let escaper = sink.as_ref().is_some_and(Sink::is_terminal).then(Escaper::default);
        Stream {
            source: Some(source),
            sink,
            meter,
            escaper,
            held: Vec::new(),
            done: 0,
            not_before: None,
            pause: PAUSE,
            pieces: (now, 0),
            often: false,
            reader_gone: false,
            carried: 0,
            dropped: 0,
        }
    }

    fn is_held(&self) -> bool {
        self.done < self.held.len()
    }

    fn interest<'a>(&'a mut self, which: Which, now: Instant, interest: &mut Interest<'a>) {
        let mut wake = |at: Instant| interest.wake = Some(interest.wake.map_or(at, |other| other.min(at)));
        if self.is_held() {
            // The program waits until its output is taken.
            if let Some(sink) = &self.sink {
                interest.writable[which as usize] = Some((which, sink.as_fd()));
            }
            return;
        }
        if let Some(at) = self.not_before {
            if at > now {
                return wake(at);
            }
        }
        match self.meter.ready(now) {
            Ready::After(pause) => wake(now + pause),
            // Never: it is read and thrown away, or the program would hang.
            Ready::Now | Ready::Never => {
                if let Some(source) = &self.source {
                    interest.readable[which as usize] = Some((which, source.as_fd()));
                }
            }
        }
    }

    /// Reads one piece, whose length it gives, and passes it on.
    fn read(&mut self, buffer: &mut [u8], log: Option<&mut CircularLog>, now: Instant) -> usize {
        let Some(source) = &self.source else { return 0 };
        match unistd::read(source, buffer) {
            Ok(0) => {
                self.source = None;
                self.end();
            }
            Ok(length) => {
                self.rest(length < buffer.len() / 2, now);
                if self.meter.ready(now) == Ready::Never {
                    self.dropped += length as u64;
                } else {
                    self.meter.charge(length, now);
                    self.pass(&buffer[..length], log);
                }
                return length;
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => self.source = None,
        }
        0
    }

    /// Decides when the pipe is looked at again, after a piece.
    fn rest(&mut self, small: bool, now: Instant) {
        let (since, pieces) = self.pieces;
        let passed = now.saturating_duration_since(since);
        if passed < Duration::from_secs(1) {
            self.pieces = (since, pieces.saturating_add(1));
            self.often |= pieces >= OFTEN;
        } else {
            self.pieces = (now, 0);
            self.often = pieces >= OFTEN && passed < Duration::from_secs(2);
        }
        let at_once = self.not_before.is_some_and(|before| now < before + self.pause);
        self.pause = match (self.often, at_once) {
            (true, _) => TOGETHER,
            (false, true) => (self.pause * 2).min(LONGEST_PAUSE),
            (false, false) => PAUSE,
        };
        self.not_before = small.then(|| now + self.pause);
    }

    /// As `read`, without regard to the meter, for the rest after the end.
    fn take_all(&mut self, buffer: &mut [u8], log: Option<&mut CircularLog>, now: Instant) {
        let Some(source) = &self.source else { return };
        match unistd::read(source, buffer) {
            Ok(length) if length > 0 => {
                if self.meter.ready(now) == Ready::Never {
                    self.dropped += length as u64;
                } else {
                    self.pass(&buffer[..length], log);
                }
            }
            Err(Errno::EINTR) => {}
            // The end, or (EAGAIN) somebody else still holds the pipe: what was
            // in it has been read.
            _ => self.source = None,
        }
    }

    fn pass(&mut self, data: &[u8], log: Option<&mut CircularLog>) {
        self.carried += data.len() as u64;
        match log {
            Some(log) => log.write(data),
            None => {
                self.hold(data);
                self.flush();
            }
        }
    }

    fn hold(&mut self, data: &[u8]) {
        match &mut self.escaper {
            Some(escaper) => escaper.escape(data, &mut self.held),
            None => self.held.extend_from_slice(data),
        }
    }

    /// The pipe has ended: a held carriage return comes out.
    fn end(&mut self) {
        if let Some(escaper) = &mut self.escaper {
            escaper.finish(&mut self.held);
        }
        self.flush();
    }

    fn flush(&mut self) {
        while self.is_held() {
            let Some(sink) = &self.sink else { return self.drop_held() };
            match sink.write(&self.held[self.done..]) {
                Ok(0) => return,
                Ok(written) => self.done += written,
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {
                    // Nobody reads any more: the program is told in the same way,
                    // by a pipe without a reader.
                    self.source = None;
                    self.reader_gone = true;
                    return self.drop_held();
                }
                Err(_) => return self.drop_held(),
            }
        }
        self.held.clear();
        self.done = 0;
    }

    fn drop_held(&mut self) {
        self.dropped += (self.held.len() - self.done) as u64;
        self.held.clear();
        self.done = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logfile::Keeping;
    use crate::testing::Scratch;
    use std::io::{Read, Write};

    /// Two pipes into an `Output` and two out of it.
    struct Bench {
        into: [io::PipeWriter; 2],
        from: [io::PipeReader; 2],
        output: Output,
        now: Instant,
    }

    fn bench(lograte: f64, log: Option<CircularLog>) -> Bench {
        let now = Instant::now();
        let (source_out, into_out) = io::pipe().unwrap();
        let (source_err, into_err) = io::pipe().unwrap();
        let (from_out, sink_out) = io::pipe().unwrap();
        let (from_err, sink_err) = io::pipe().unwrap();
        for source in [&source_out, &source_err] {
            let flags = nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK);
            nix::fcntl::fcntl(source, flags).unwrap();
        }
        let sink = |pipe: io::PipeWriter| Sink::new(pipe.as_fd()).ok().filter(|_| log.is_none());
        let (out, err) = (sink(sink_out), sink(sink_err));
        let output =
            Output::with_sinks((source_out.into(), out), (source_err.into(), err), lograte, log, now);
        Bench { into: [into_out, into_err], from: [from_out, from_err], output, now }
    }

    fn readable(bench: &mut Bench) -> Vec<Which> {
        let now = bench.now;
        bench.output.interest(now).readable.into_iter().flatten().map(|(which, _)| which).collect()
    }

    #[test]
    fn bytes_pass_as_they_are() {
        let mut bench = bench(1e6, None);
        bench.into[0].write_all(b"a\x1b\x00\r").unwrap();
        bench.into[1].write_all(b"err").unwrap();
        assert_eq!(readable(&mut bench), [Which::Out, Which::Err]);
        bench.output.read(Which::Out, bench.now);
        bench.output.read(Which::Err, bench.now);
        let mut got = [0; 4];
        bench.from[0].read_exact(&mut got).unwrap();
        assert_eq!(&got, b"a\x1b\x00\r");
        assert_eq!(bench.output.totals(), Totals { stdout: 4, stderr: 3, dropped: 0 });
        // A small piece: a short pause, then again.
        assert_eq!(readable(&mut bench), []);
        bench.now += PAUSE;
        assert_eq!(readable(&mut bench), [Which::Out, Which::Err]);
    }

    #[test]
    fn a_trickle_is_looked_at_less_and_less_often() {
        let mut bench = bench(1e9, None);
        let mut looks = 0;
        for _ in 0..1_000 {
            bench.into[0].write_all(b"x").unwrap();
            if readable(&mut bench).contains(&Which::Out) {
                bench.output.read(Which::Out, bench.now);
                looks += 1;
            }
            bench.now += Duration::from_millis(1);
        }
        assert!((20..40).contains(&looks), "{looks}");
        // After a quiet time the next piece passes at once, and the one after it soon.
        bench.now += Duration::from_secs(2);
        bench.output.read(Which::Out, bench.now);
        bench.now += PAUSE;
        bench.into[0].write_all(b"x").unwrap();
        assert!(readable(&mut bench).contains(&Which::Out));
    }

    #[test]
    fn over_the_rate_it_waits() {
        let mut bench = bench(1_000.0, None);
        bench.into[0].write_all(&[b'x'; 3_000]).unwrap();
        bench.output.read(Which::Out, bench.now);
        assert_eq!(readable(&mut bench), [Which::Err]);
        bench.now += Duration::from_millis(1_900);
        assert_eq!(readable(&mut bench), [Which::Err]);
        bench.now += Duration::from_millis(200);
        assert_eq!(readable(&mut bench), [Which::Out, Which::Err]);
    }

    #[test]
    fn a_stuck_reader_holds_the_program_back_and_loses_nothing() {
        let mut bench = bench(1e9, None);
        let mut sent = 0;
        for _ in 0..100 {
            if readable(&mut bench).contains(&Which::Out) {
                bench.into[0].write_all(&[b'x'; 10_000]).unwrap();
                sent += 10_000;
                bench.output.read(Which::Out, bench.now);
                bench.now += LONGEST_PAUSE;
            }
        }
        assert!(bench.output.is_held() && sent < 200_000, "{sent}");
        let now = bench.now;
        assert_eq!(bench.output.interest(now).writable.iter().flatten().count(), 1);
        let mut got = 0;
        let mut buffer = [0; 4096];
        while got < sent {
            got += bench.from[0].read(&mut buffer).unwrap();
            bench.output.write(Which::Out);
        }
        assert!(!bench.output.is_held() && bench.output.totals().dropped == 0);
    }

    #[test]
    fn without_a_reader_the_program_sees_a_broken_pipe() {
        let mut bench = bench(1e6, None);
        let (gone, _) = io::pipe().unwrap();
        drop(std::mem::replace(&mut bench.from[0], gone));
        bench.into[0].write_all(b"x").unwrap();
        bench.output.read(Which::Out, bench.now);
        assert_eq!(bench.output.without_reader().collect::<Vec<_>>(), ["standard output"]);
        assert_eq!(bench.into[0].write(b"y").unwrap_err().raw_os_error(), Some(libc::EPIPE));
    }

    #[test]
    fn the_rest_is_read_at_the_end_and_a_zero_rate_drops() {
        let mut bench = bench(0.0, None);
        bench.into[0].write_all(&[b'x'; 5_000]).unwrap();
        bench.output.read(Which::Out, bench.now);
        bench.now += PAUSE;
        bench.into[0].write_all(&[b'y'; 5_000]).unwrap();
        bench.output.read(Which::Out, bench.now);
        bench.into[1].write_all(b"traceback").unwrap();
        bench.output.drain(bench.now);
        assert_eq!(bench.output.totals(), Totals { stdout: 5_000, stderr: 9, dropped: 5_000 });
    }

    #[test]
    fn the_log_takes_both_streams() {
        let scratch = Scratch::new("output");
        let base = scratch.path().join("log");
        let mut bench = bench(1e6, Some(CircularLog::open(&base, Keeping::Renaming).unwrap()));
        bench.into[0].write_all(b"one\n").unwrap();
        bench.output.read(Which::Out, bench.now);
        bench.into[1].write_all(b"two\n").unwrap();
        bench.output.read(Which::Err, bench.now);
        bench.output.add(Which::Out, b"bye\n");
        assert_eq!(std::fs::read(&CircularLog::names(&base)[0]).unwrap(), b"one\ntwo\nbye\n");
    }
}
