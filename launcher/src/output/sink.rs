//! Where output goes. Writing never waits for a reader: the launcher's standard
//! output may be shared with other processes, so it is not made non-blocking;
//! each kind of file is written in the way that cannot block.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{self, OFlag};
use nix::poll::{poll, PollFd, PollFlags, PollTimeout};
use nix::sys::socket::{send, MsgFlags};
use nix::sys::stat::{self, Mode};
use nix::unistd;

/// A pipe that has room takes at least this much without waiting (PIPE_BUF).
const ATOMIC: usize = 4096;

/// One of the launcher's own output streams.
#[derive(Debug)]
pub struct Sink {
    file: OwnedFd,
    way: Way,
    terminal: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// An open file of our own that does not block, or a regular file.
    Plain,
    /// Asked each time whether there is room, then written in small parts.
    Polled,
    /// A socket, told with each piece not to wait.
    Socket,
}

impl Sink {
    /// Takes over a stream of the launcher.
    ///
    /// # Errors
    /// No descriptor is left, or the stream is not open.
    pub fn new(stream: BorrowedFd<'_>) -> io::Result<Sink> {
        let found = stat::fstat(stream)?;
        let terminal = unistd::isatty(stream).unwrap_or(false);
        let shared =
            |way| -> io::Result<Sink> { Ok(Sink { file: stream.try_clone_to_owned()?, way, terminal }) };
        match found.st_mode & libc::S_IFMT {
            libc::S_IFREG => shared(Way::Plain),
            libc::S_IFSOCK => shared(Way::Socket),
            libc::S_IFIFO | libc::S_IFCHR => {
                // The same pipe or terminal opened once more: an open file of our
                // own, whose non-blocking mode nobody else sees.
                let path = format!("/proc/self/fd/{}", stream.as_raw_fd());
                let flags = OFlag::O_WRONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
                match fcntl::open(path.as_str(), flags, Mode::empty()) {
                    Ok(file) => Ok(Sink { file, way: Way::Plain, terminal }),
                    Err(_) => shared(Way::Polled),
                }
            }
            _ => shared(Way::Polled),
        }
    }

    /// Whether a person looks at it.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Writes what fits now. Ok(0) means that there is no room.
    ///
    /// # Errors
    /// EPIPE: the reader is gone; ENOSPC and the like.
    pub fn write(&self, data: &[u8]) -> io::Result<usize> {
        let written = match self.way {
            Way::Plain => unistd::write(&self.file, data),
            Way::Socket => send(self.file.as_raw_fd(), data, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL),
            Way::Polled if !self.has_room() => return Ok(0),
            Way::Polled => unistd::write(&self.file, &data[..data.len().min(ATOMIC)]),
        };
        match written {
            Ok(written) => Ok(written),
            Err(Errno::EAGAIN | Errno::EINTR) => Ok(0),
            Err(errno) => Err(errno.into()),
        }
    }

    fn has_room(&self) -> bool {
        let mut set = [PollFd::new(self.file.as_fd(), PollFlags::POLLOUT)];
        matches!(poll(&mut set, PollTimeout::ZERO), Ok(ready) if ready > 0)
    }
}

impl AsFd for Sink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    fn fill(sink: &Sink) -> usize {
        let mut total = 0;
        for _ in 0..100_000 {
            match sink.write(&[b'x'; 5_000]).unwrap() {
                0 => return total,
                written => total += written,
            }
        }
        panic!("the sink never fills");
    }

    #[test]
    fn a_full_pipe_takes_nothing_and_does_not_block() {
        let (reader, writer) = io::pipe().unwrap();
        let sink = Sink::new(writer.as_fd()).unwrap();
        assert!(fill(&sink) >= 4096);
        // The shared open file was left as it was.
        let flags = OFlag::from_bits_truncate(fcntl::fcntl(&writer, fcntl::FcntlArg::F_GETFL).unwrap());
        assert!(!flags.contains(OFlag::O_NONBLOCK));
        drop(reader);
        assert_eq!(sink.write(b"x").unwrap_err().raw_os_error(), Some(libc::EPIPE));
    }

    #[test]
    fn the_way_of_asking_first_does_not_block_either() {
        let (mut reader, writer) = io::pipe().unwrap();
        let sink = Sink { file: writer.into(), way: Way::Polled, terminal: false };
        let total = fill(&sink);
        let mut room = [0; 8192];
        reader.read_exact(&mut room).unwrap();
        assert!(total >= 4096 && sink.write(b"more").unwrap() == 4);
    }

    #[test]
    fn a_full_socket_takes_nothing_and_does_not_block() {
        let (reader, writer) = UnixStream::pair().unwrap();
        let sink = Sink::new(writer.as_fd()).unwrap();
        assert!(fill(&sink) > 0);
        drop(reader);
        assert!(sink.write(b"x").is_err());
    }
}
