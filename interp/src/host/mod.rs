//! What the interpreter asks of the world, as one trait with two
//! implementations: the real one, on the descriptors the launcher left us, and
//! a deterministic one for tests.
//!
//! Nothing above this module makes a system call. Every call here is one of
//! those listed in `interp/SYSCALLS`, which the launcher's filter is checked
//! against.

#[allow(unsafe_code)]
mod descriptors;
pub mod fake;
#[allow(unsafe_code)]
mod memory;
mod real;

pub use descriptors::{end_panics_orderly, Inherited};
pub use memory::LargePages;
pub use real::RealHost;

use std::net::SocketAddrV4;

/// An error number of the kernel, with the text Python 2.7 shows for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SystemError(pub i32);

impl SystemError {
    /// The C library's text for the number.
    pub fn text(self) -> &'static str {
        match self.0 {
            // The crate's wording differs from the C library's here.
            libc::ENOSPC => "No space left on device",
            libc::EAGAIN => "Resource temporarily unavailable",
            libc::ETIMEDOUT => "Connection timed out",
            libc::EMSGSIZE => "Message too long",
            libc::ELOOP => "Too many levels of symbolic links",
            libc::EISDIR => "Is a directory",
            number => nix::errno::Errno::from_raw(number).desc(),
        }
    }

    /// Whether a call would have had to wait.
    pub fn would_block(self) -> bool {
        self.0 == libc::EAGAIN || self.0 == libc::EWOULDBLOCK
    }
}

impl From<nix::errno::Errno> for SystemError {
    fn from(errno: nix::errno::Errno) -> Self {
        SystemError(errno as i32)
    }
}

impl std::fmt::Display for SystemError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "[Errno {}] {}", self.0, self.text())
    }
}

/// One of the program's two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// What the program prints.
    Output,
    /// Traceback blocks and the interpreter's own messages.
    Error,
}

/// An open file of the vessel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A socket the broker passed, or one accepted from such a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SocketId(pub u32);

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Existing file, reading only.
    Read,
    /// Existing file, reading and writing.
    ReadWrite,
    /// A file that must not exist yet, made for reading and writing.
    Create,
}

/// What became ready during [`Host::wait`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// A socket: it may be read (or has ended), and it may be written.
    Socket {
        /// Which one.
        socket: SocketId,
        /// Data, a connection, an error or the end of the stream waits.
        readable: bool,
        /// There is room to send, or an error waits.
        writable: bool,
    },
    /// A frame of the supervisor waits.
    Control,
    /// A frame of the broker waits.
    Network,
}

/// Which of the two channels a frame belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// To the supervisor.
    Control,
    /// To the broker.
    Network,
}

/// A frame received on a channel, with the socket that came along.
#[derive(Debug, Default)]
pub struct Frame {
    /// The bytes of one frame (at most 64 KiB).
    pub bytes: Vec<u8>,
    /// A socket passed with it, already close-on-exec and non-blocking.
    pub socket: Option<SocketId>,
}

/// The result of a host call.
pub type HostResult<T> = Result<T, SystemError>;

/// Everything the interpreter can ask of the world. No call blocks except
/// [`Host::wait`] and, when its reader stalls, [`Host::write_stream`].
pub trait Host {
    /// Nanoseconds of the monotonic clock (never runs back, stands still
    /// while the machine is suspended).
    fn now(&mut self) -> u64;

    /// Writes all bytes to a stream. A reader that has gone away is not an
    /// error: there is nobody left to tell.
    fn write_stream(&mut self, stream: Stream, bytes: &[u8]);

    /// Fills the buffer from the system's random source.
    fn random(&mut self, buffer: &mut [u8]) -> HostResult<()>;

    /// Opens a file of the vessel: never through a link, and only a regular
    /// file with one name (EACCES for anything else but a directory, EISDIR).
    /// `name` is one path component. Returns the file and its size in bytes.
    fn open_file(&mut self, name: &[u8], access: Access) -> HostResult<(FileId, u64)>;

    /// Reads at a position; fewer bytes than asked only at the end.
    fn read_at(&mut self, file: FileId, buffer: &mut [u8], position: u64) -> HostResult<usize>;

    /// Writes all bytes at a position. On an error some may have landed.
    fn write_at(&mut self, file: FileId, bytes: &[u8], position: u64) -> HostResult<()>;

    /// Cuts a file to length 0.
    fn truncate(&mut self, file: FileId) -> HostResult<()>;

    /// The present size of an open file in bytes.
    fn file_size(&mut self, file: FileId) -> HostResult<u64>;

    /// Closes a file; an unknown one is ignored.
    fn close_file(&mut self, file: FileId);

    /// All names in the vessel, without `.` and `..`, in the kernel's order.
    fn list_directory(&mut self) -> HostResult<Vec<Vec<u8>>>;

    /// The size of a directory entry itself (a link is not followed).
    fn entry_size(&mut self, name: &[u8]) -> HostResult<u64>;

    /// Removes a name that is not a directory.
    fn remove_file(&mut self, name: &[u8]) -> HostResult<()>;

    /// Sends one frame. Waits shortly while the other side's queue is full;
    /// an error means that the other side is gone.
    fn send_frame(&mut self, channel: Channel, bytes: &[u8]) -> HostResult<()>;

    /// Takes one waiting frame: `EAGAIN` when there is none, `EPIPE` when the
    /// other side is gone.
    fn receive_frame(&mut self, channel: Channel) -> HostResult<Frame>;

    /// Whether the launcher gave this run a network channel.
    fn has_network(&self) -> bool;

    /// Takes a waiting connection of a listening socket (non-blocking).
    fn accept(&mut self, listener: SocketId) -> HostResult<(SocketId, SocketAddrV4)>;

    /// Receives up to `buffer.len()` bytes of a stream, 0 at its end.
    fn receive(&mut self, socket: SocketId, buffer: &mut [u8]) -> HostResult<usize>;

    /// Looks at the next byte of a stream without taking it: 0 at its end.
    fn peek(&mut self, socket: SocketId) -> HostResult<usize>;

    /// Sends bytes on a stream; may send only some.
    fn send(&mut self, socket: SocketId, bytes: &[u8]) -> HostResult<usize>;

    /// Takes one datagram, cut to the buffer, and its source.
    fn receive_from(&mut self, socket: SocketId, buffer: &mut [u8]) -> HostResult<(usize, SocketAddrV4)>;

    /// Sends one datagram: to `to`, or to where the socket is connected.
    fn send_to(&mut self, socket: SocketId, bytes: &[u8], to: Option<SocketAddrV4>) -> HostResult<usize>;

    /// Looks without waiting whether a socket can be read and written now
    /// (an ended or broken one can be both).
    fn readiness(&mut self, socket: SocketId) -> HostResult<(bool, bool)>;

    /// From now on [`Host::wait`] tells when the socket becomes ready; told
    /// once per change, so callers try first and wait only after `EAGAIN`.
    fn watch(&mut self, socket: SocketId) -> HostResult<()>;

    /// Closes a socket and stops watching it; an unknown one is ignored.
    fn close_socket(&mut self, socket: SocketId);

    /// Waits until something is ready or the moment `until` (monotonic
    /// nanoseconds; None: for ever) has come, and appends what is ready. A
    /// moment in the past only looks. May return early with nothing.
    fn wait(&mut self, until: Option<u64>, ready: &mut Vec<Ready>);

    /// The implementation itself, for tests that look into it.
    fn as_any(&mut self) -> &mut dyn std::any::Any;
}
