//! The supervisor's end of the control channel. Everything that arrives is
//! untrusted: frames are bounded, decoded totally, and taken at a bounded pace.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::partner::Partner;
use super::profile::Profile;
use nix::errno::Errno;
use nix::sys::socket::{recv, send, shutdown, MsgFlags, Shutdown};
use policies::channel::control::{Counter, FromInterpreter, Outcome, ToInterpreter, MAXIMUM_FRAME};

/// Frames taken at once, then a pause: an honest interpreter sends about one in
/// a second.
const BURST: u32 = 16;
const PAUSE: Duration = Duration::from_millis(100);

/// Most answers that wait to be taken. Who asks on and on and takes none is no
/// interpreter of ours: what it asks for must not fill the supervisor's memory.
const MOST_UNTAKEN: usize = 64;

/// Frames read after the end of the sandbox. A socket buffer holds fewer.
const LAST: u32 = 4_096;

/// What the interpreter told.
pub struct Control {
    channel: OwnedFd,
    open: bool,
    taken: u32,
    not_before: Option<Instant>,
    /// A figure that could not be sent yet.
    unsent: Option<u64>,
    /// What a partner says, in order, until there is room for it.
    saying: VecDeque<ToInterpreter>,
    /// What is for a partner, if there is one.
    partner: Option<Box<dyn Partner>>,
    told: Told,
    buffer: Vec<u8>,
}

/// The last figures and the outcome.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// How the program ended, in the interpreter's words.
    pub outcome: Option<Outcome>,
    /// At most one for each resource.
    pub counters: Vec<Counter>,
    /// Calls refused by rules.
    pub refusals: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Where the time went, as far as that was told.
    pub profile: Profile,
}

impl Control {
    /// Takes over the channel (SEQPACKET).
    pub fn new(channel: OwnedFd) -> Control {
        Control {
            channel,
            open: true,
            taken: 0,
            not_before: None,
            unsent: None,
            saying: VecDeque::new(),
            partner: None,
            told: Told::default(),
            // One byte more than a frame: a longer one is seen to be cut.
            buffer: vec![0; MAXIMUM_FRAME + 1],
        }
    }

    /// From now on a partner hears what is not the supervisor's own business.
    pub fn introduce(&mut self, partner: Option<Box<dyn Partner>>) {
        self.partner = partner;
    }

    /// The partner.
    pub fn partner(&mut self) -> Option<&mut (dyn Partner + 'static)> {
        self.partner.as_deref_mut()
    }

    /// What the partner waits for.
    pub fn partner_readable(&self) -> Option<BorrowedFd<'_>> {
        self.partner.as_ref().filter(|partner| self.open && !partner.has_left())?.readable()
    }

    /// The partner's descriptor is readable.
    pub fn partner_ready(&mut self) {
        let said = self.partner.as_mut().map(|partner| partner.on_readable());
        self.say(said.unwrap_or_default());
    }

    /// What was printed before the frames just read has been passed on.
    pub fn settle_partner(&mut self) {
        let said = self.partner.as_mut().map(|partner| partner.settle());
        self.say(said.unwrap_or_default());
    }

    /// Tells the interpreter that nothing more will be said.
    pub fn close(&mut self) {
        // It is gone already: then that is what its end says.
        let _ = shutdown(self.channel.as_raw_fd(), Shutdown::Write);
    }

    /// Sends what the partner says, as far as there is room.
    fn say(&mut self, said: Vec<ToInterpreter>) {
        self.saying.extend(said);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        while let Some(next) = self.saying.front() {
            match send(self.channel.as_raw_fd(), &next.encode(), flags) {
                Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => return,
                // Sent, or nobody is there any more.
                _ => drop(self.saying.pop_front()),
            }
        }
    }

    /// The channel, if it may be read now.
    pub fn readable(&self, now: Instant) -> Option<BorrowedFd<'_>> {
        let pausing = self.not_before.is_some_and(|at| at > now);
        (self.open && !pausing).then(|| self.channel.as_fd())
    }

    /// When reading may go on.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        self.not_before.filter(|at| self.open && *at > now)
    }

    /// Takes the frames that are there.
    ///
    /// # Errors
    /// A frame that is none: its text is for the report.
    pub fn read(&mut self, now: Instant) -> Result<(), String> {
        self.taken = 0;
        while self.taken < BURST {
            if !self.take_one()? {
                return Ok(());
            }
        }
        self.not_before = Some(now + PAUSE);
        Ok(())
    }

    /// Takes what is left after the end of the sandbox.
    ///
    /// # Errors
    /// As [`Control::read`].
    pub fn finish(&mut self) -> Result<(), String> {
        self.taken = 0;
        while self.taken < LAST && self.take_one()? {}
        Ok(())
    }

    /// What was told so far.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// Tells the interpreter how much disk space is used. Never waits: if the
    /// channel is full, the figure is sent when it changes the next time.
    pub fn tell_disk_used(&mut self, bytes: u64) {
        self.unsent = Some(bytes);
        self.send_again();
    }

    /// Sends what could not be sent before.
    pub fn send_again(&mut self) {
        self.say(Vec::new());
        let Some(bytes) = self.unsent else { return };
        let frame = ToInterpreter::DiskUsed(bytes).encode();
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match send(self.channel.as_raw_fd(), &frame, flags) {
            Err(Errno::EAGAIN | Errno::ENOBUFS | Errno::EINTR) => {}
            // Sent, or nobody is there any more.
            _ => self.unsent = None,
        }
    }

    fn take_one(&mut self) -> Result<bool, String> {
        if !self.open {
            return Ok(false);
        }
        match self.receive() {
            // A frame is never empty: this is the end.
            Ok(0) => {
                self.open = false;
                Ok(false)
            }
            Ok(length) => {
                self.taken += 1;
                let frame = FromInterpreter::decode(&self.buffer[..length])
                    .map_err(|error| format!("a frame of {length} bytes on the control channel: {error}"))?;
                self.hear(frame).map(|()| true)
            }
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(false),
            Err(errno) => {
                self.open = false;
                Err(io::Error::from(errno).to_string())
            }
        }
    }

    /// The next frame. An interpreter that ends with figures of ours unread
    /// resets the channel: the kernel says so once, before it hands over what
    /// the interpreter had sent, its last word among it.
    fn receive(&mut self) -> nix::Result<usize> {
        let flags = MsgFlags::MSG_DONTWAIT;
        match recv(self.channel.as_raw_fd(), &mut self.buffer, flags) {
            Err(Errno::ECONNRESET) => recv(self.channel.as_raw_fd(), &mut self.buffer, flags),
            other => other,
        }
    }

    fn hear(&mut self, frame: FromInterpreter) -> Result<(), String> {
        match frame {
            _ if self.told.outcome.is_some() => Err("a frame after the final one".to_owned()),
            FromInterpreter::Final(outcome) => {
                self.told.outcome = Some(outcome);
                Ok(())
            }
            FromInterpreter::Usage { counters, refusals, accepted } => {
                self.told.counters = counters;
                self.told.refusals = refusals;
                self.told.accepted = accepted;
                Ok(())
            }
            FromInterpreter::Profile(lines) => {
                self.told.profile.add(&lines);
                Ok(())
            }
            frame => {
                let answer = match (&mut self.partner, &frame) {
                    (Some(partner), _) => partner.hear(frame),
                    // Nobody is there to ask, and then a prompt means no.
                    (None, FromInterpreter::Prompt { question, .. }) => {
                        vec![ToInterpreter::PromptAnswer { question: *question, allow: false }]
                    }
                    (None, _) => return Err("a frame that this kind of run has no use for".to_owned()),
                };
                self.say(answer);
                match self.saying.len() {
                    0..=MOST_UNTAKEN => Ok(()),
                    _ => Err("questions whose answers it does not take".to_owned()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::socket::{socketpair, AddressFamily, SockFlag, SockType};

    fn pair() -> (Control, OwnedFd) {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let (ours, theirs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, flags).unwrap();
        (Control::new(ours), theirs)
    }

    fn put(channel: &OwnedFd, frame: &[u8]) {
        send(channel.as_raw_fd(), frame, MsgFlags::empty()).unwrap();
    }

    #[test]
    fn usage_and_the_final_frame_are_kept() {
        let (mut control, other) = pair();
        put(&other, &FromInterpreter::Usage { counters: vec![], refusals: 3, accepted: 1 }.encode());
        put(&other, &FromInterpreter::Final(Outcome::ExitAll).encode());
        drop(other);
        control.read(Instant::now()).unwrap();
        assert_eq!(control.told().refusals, 3);
        assert_eq!(control.told().outcome, Some(Outcome::ExitAll));
        assert!(control.readable(Instant::now()).is_none());
    }

    #[test]
    fn the_last_word_of_an_end_that_left_figures_unread_is_heard() {
        let (mut control, other) = pair();
        control.tell_disk_used(5);
        put(&other, &FromInterpreter::Usage { counters: vec![], refusals: 3, accepted: 1 }.encode());
        put(&other, &FromInterpreter::Final(Outcome::ExitAll).encode());
        drop(other);
        control.finish().unwrap();
        assert_eq!((control.told().refusals, control.told().outcome.clone()), (3, Some(Outcome::ExitAll)));
        assert!(!control.open);
    }

    #[test]
    fn nonsense_is_an_error_and_so_is_anything_after_the_end() {
        for nonsense in [&b"x"[..], &[0xff; 100], &vec![1; MAXIMUM_FRAME + 1]] {
            let (mut control, other) = pair();
            put(&other, nonsense);
            assert!(control.read(Instant::now()).is_err());
        }
        let (mut control, other) = pair();
        for _ in 0..2 {
            put(&other, &FromInterpreter::Final(Outcome::Finished).encode());
        }
        assert!(control.read(Instant::now()).is_err());
    }

    #[test]
    fn a_flood_is_taken_at_a_pace() {
        let (mut control, other) = pair();
        let frame = FromInterpreter::Usage { counters: vec![], refusals: 0, accepted: 0 }.encode();
        while send(other.as_raw_fd(), &frame, MsgFlags::empty()).is_ok() {}
        let now = Instant::now();
        control.read(now).unwrap();
        assert!(control.readable(now).is_none());
        assert_eq!(control.next(now), Some(now + PAUSE));
        assert!(control.readable(now + PAUSE).is_some());
        control.finish().unwrap();
    }

    #[test]
    fn who_asks_on_and_on_and_takes_no_answer_is_found_out() {
        let (mut control, other) = pair();
        let ask = |question| {
            let arguments = String::new();
            FromInterpreter::Prompt { question, call: policies::Call::Sleep, rule: 0, arguments }
        };
        let mut asked = 0;
        let end = loop {
            put(&other, &ask(asked).encode());
            asked += 1;
            if let Err(reason) = control.read(Instant::now()) {
                break reason;
            }
            assert!(asked < 100_000);
        };
        assert!(end.contains("does not take"), "{end}");
        assert!(control.saying.len() <= MOST_UNTAKEN + 1);
        // Who takes them asks as often as it likes.
        let (mut control, other) = pair();
        let mut buffer = [0; 64];
        for question in 0..2 * asked {
            put(&other, &ask(question).encode());
            control.read(Instant::now()).unwrap();
            assert!(recv(other.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT).unwrap() > 0);
        }
    }

    #[test]
    fn disk_figures_are_sent_when_there_is_room() {
        let (mut control, other) = pair();
        for bytes in 0..100_000 {
            control.tell_disk_used(bytes);
        }
        assert!(control.unsent.is_some());
        let mut buffer = [0; 64];
        let mut last = Vec::new();
        while let Ok(length) = recv(other.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            last = buffer[..length].to_vec();
        }
        assert!(matches!(ToInterpreter::decode(&last), Ok(ToInterpreter::DiskUsed(_))));
        control.send_again();
        let length = recv(other.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT).unwrap();
        assert_eq!(ToInterpreter::decode(&buffer[..length]).unwrap(), ToInterpreter::DiskUsed(99_999));
    }
}
