//! A host for tests: files in memory, a clock that moves only when told (or
//! waited on), random bytes from a counter, sockets as queues.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddrV4;

use super::{Access, Channel, FileId, Frame, Host, HostResult, Ready, SocketId, Stream, SystemError};

/// A socket of the [`FakeHost`].
#[derive(Debug, Default)]
pub struct FakeSocket {
    /// What arrives, piece by piece, with its source.
    pub incoming: VecDeque<(Vec<u8>, Option<SocketAddrV4>)>,
    /// The other side has closed (after `incoming`).
    pub ended: bool,
    /// Connections waiting on a listener.
    pub connections: VecDeque<(SocketId, SocketAddrV4)>,
    /// What was sent, call by call, with its destination.
    pub sent: Vec<(Vec<u8>, Option<SocketAddrV4>)>,
    /// How many more bytes may be sent before sending would wait.
    pub room: usize,
}

/// The longest file where room is limited.
const FARTHEST: usize = 16 << 20;

/// See the module.
#[derive(Debug, Default)]
pub struct FakeHost {
    /// The clock, in nanoseconds.
    pub clock: u64,
    /// The vessel's files.
    pub files: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What was written to the two streams.
    pub output: Vec<u8>,
    /// See `output`.
    pub error: Vec<u8>,
    /// The most that is kept of each stream; the rest is gone as in a pipe that somebody
    /// reads. None: all of it.
    pub kept: Option<usize>,
    /// Bytes the vessel's disk still has room for; writes past it fail.
    pub disk_room: Option<u64>,
    /// Sockets by number; closed ones are gone.
    pub sockets: BTreeMap<u32, FakeSocket>,
    /// Frames sent, in order.
    pub frames_sent: Vec<(Channel, Vec<u8>)>,
    /// Frames to be received.
    pub frames: VecDeque<(Channel, Vec<u8>, Option<SocketId>)>,
    /// Whether a network channel exists.
    pub network: bool,
    /// How often [`Host::wait`] was called.
    pub waits: u64,
    open: BTreeMap<u32, Vec<u8>>,
    next: u32,
    drawn: u64,
}

impl FakeHost {
    /// A host with an empty vessel at time 0.
    pub fn new() -> FakeHost {
        FakeHost::default()
    }

    /// Number of files open now.
    pub fn open_files(&self) -> usize {
        self.open.len()
    }

    /// Adds a socket with plenty of room.
    pub fn add_socket(&mut self) -> SocketId {
        self.next += 1;
        self.sockets.insert(self.next, FakeSocket { room: usize::MAX, ..FakeSocket::default() });
        SocketId(self.next)
    }

    fn file(&mut self, file: FileId) -> HostResult<&mut Vec<u8>> {
        let name = self.open.get(&file.0).ok_or(SystemError(libc::EBADF))?;
        // A removed file that is still open lives on under its name here:
        // the API never lets that happen.
        Ok(self.files.entry(name.clone()).or_default())
    }

    fn socket(&mut self, socket: SocketId) -> HostResult<&mut FakeSocket> {
        self.sockets.get_mut(&socket.0).ok_or(SystemError(libc::EBADF))
    }
}

impl Host for FakeHost {
    fn now(&mut self) -> u64 {
        self.clock
    }

    fn write_stream(&mut self, stream: Stream, bytes: &[u8]) {
        let kept = match stream {
            Stream::Output => &mut self.output,
            Stream::Error => &mut self.error,
        };
        let room = self.kept.map_or(bytes.len(), |most| most.saturating_sub(kept.len()));
        kept.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }

    fn random(&mut self, buffer: &mut [u8]) -> HostResult<()> {
        for byte in buffer {
            self.drawn =
                self.drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (self.drawn >> 56) as u8;
        }
        Ok(())
    }

    fn open_file(&mut self, name: &[u8], access: Access) -> HostResult<(FileId, u64)> {
        match (access, self.files.contains_key(name)) {
            (Access::Create, true) => return Err(SystemError(libc::EEXIST)),
            (Access::Create, false) => {
                self.files.insert(name.to_vec(), Vec::new());
            }
            (_, false) => return Err(SystemError(libc::ENOENT)),
            (_, true) => {}
        }
        self.next += 1;
        self.open.insert(self.next, name.to_vec());
        let id = FileId(self.next);
        let size = self.file(id)?.len() as u64;
        Ok((id, size))
    }

    fn read_at(&mut self, file: FileId, buffer: &mut [u8], position: u64) -> HostResult<usize> {
        let contents = self.file(file)?;
        let start = usize::try_from(position).unwrap_or(usize::MAX).min(contents.len());
        let count = buffer.len().min(contents.len() - start);
        buffer[..count].copy_from_slice(&contents[start..start + count]);
        Ok(count)
    }

    fn write_at(&mut self, file: FileId, bytes: &[u8], position: u64) -> HostResult<()> {
        if let Some(room) = self.disk_room {
            let fits = bytes.len().min(room as usize);
            self.disk_room = Some(room - fits as u64);
            if fits < bytes.len() {
                return Err(SystemError(libc::ENOSPC));
            }
        }
        let limited = self.disk_room.is_some();
        let contents = self.file(file)?;
        let start = position as usize;
        let end = start.saturating_add(bytes.len());
        // A file with a hole takes no room on a disk, and its whole length in this host.
        if limited && end > FARTHEST.max(contents.len()) {
            return Err(SystemError(libc::EFBIG));
        }
        if contents.len() < end {
            contents.resize(end, 0);
        }
        contents[start..end].copy_from_slice(bytes);
        Ok(())
    }

    fn truncate(&mut self, file: FileId) -> HostResult<()> {
        self.file(file)?.clear();
        Ok(())
    }

    fn file_size(&mut self, file: FileId) -> HostResult<u64> {
        Ok(self.file(file)?.len() as u64)
    }

    fn close_file(&mut self, file: FileId) {
        self.open.remove(&file.0);
    }

    fn list_directory(&mut self) -> HostResult<Vec<Vec<u8>>> {
        Ok(self.files.keys().cloned().collect())
    }

    fn entry_size(&mut self, name: &[u8]) -> HostResult<u64> {
        self.files.get(name).map(|contents| contents.len() as u64).ok_or(SystemError(libc::ENOENT))
    }

    fn remove_file(&mut self, name: &[u8]) -> HostResult<()> {
        self.files.remove(name).map(drop).ok_or(SystemError(libc::ENOENT))
    }

    fn send_frame(&mut self, channel: Channel, bytes: &[u8]) -> HostResult<()> {
        self.frames_sent.push((channel, bytes.to_vec()));
        Ok(())
    }

    fn receive_frame(&mut self, channel: Channel) -> HostResult<Frame> {
        let position = self.frames.iter().position(|(of, ..)| *of == channel);
        let frame = position.and_then(|position| self.frames.remove(position));
        let (_, bytes, socket) = frame.ok_or(SystemError(libc::EAGAIN))?;
        Ok(Frame { bytes, socket })
    }

    fn has_network(&self) -> bool {
        self.network
    }

    fn accept(&mut self, listener: SocketId) -> HostResult<(SocketId, SocketAddrV4)> {
        self.socket(listener)?.connections.pop_front().ok_or(SystemError(libc::EAGAIN))
    }

    fn receive(&mut self, socket: SocketId, buffer: &mut [u8]) -> HostResult<usize> {
        let socket = self.socket(socket)?;
        match socket.incoming.front_mut() {
            Some((bytes, _)) => {
                let count = buffer.len().min(bytes.len());
                buffer[..count].copy_from_slice(&bytes[..count]);
                bytes.drain(..count);
                if bytes.is_empty() {
                    socket.incoming.pop_front();
                }
                Ok(count)
            }
            None if socket.ended => Ok(0),
            None => Err(SystemError(libc::EAGAIN)),
        }
    }

    fn peek(&mut self, socket: SocketId) -> HostResult<usize> {
        let socket = self.socket(socket)?;
        match (socket.incoming.is_empty(), socket.ended) {
            (false, _) => Ok(1),
            (true, true) => Ok(0),
            (true, false) => Err(SystemError(libc::EAGAIN)),
        }
    }

    fn send(&mut self, socket: SocketId, bytes: &[u8]) -> HostResult<usize> {
        let socket = self.socket(socket)?;
        if socket.ended {
            return Err(SystemError(libc::EPIPE));
        }
        let count = bytes.len().min(socket.room);
        if count == 0 && !bytes.is_empty() {
            return Err(SystemError(libc::EAGAIN));
        }
        socket.room -= count;
        socket.sent.push((bytes[..count].to_vec(), None));
        Ok(count)
    }

    fn receive_from(&mut self, socket: SocketId, buffer: &mut [u8]) -> HostResult<(usize, SocketAddrV4)> {
        let nowhere = SocketAddrV4::new(std::net::Ipv4Addr::UNSPECIFIED, 0);
        let (bytes, from) = self.socket(socket)?.incoming.pop_front().ok_or(SystemError(libc::EAGAIN))?;
        let count = buffer.len().min(bytes.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        Ok((count, from.unwrap_or(nowhere)))
    }

    fn send_to(&mut self, socket: SocketId, bytes: &[u8], to: Option<SocketAddrV4>) -> HostResult<usize> {
        self.socket(socket)?.sent.push((bytes.to_vec(), to));
        Ok(bytes.len())
    }

    fn readiness(&mut self, socket: SocketId) -> HostResult<(bool, bool)> {
        let socket = self.socket(socket)?;
        let readable = socket.ended || !socket.incoming.is_empty() || !socket.connections.is_empty();
        Ok((readable, socket.ended || socket.room > 0))
    }

    fn watch(&mut self, socket: SocketId) -> HostResult<()> {
        self.socket(socket).map(drop)
    }

    fn close_socket(&mut self, socket: SocketId) {
        self.sockets.remove(&socket.0);
    }

    fn as_any(&mut self) -> &mut dyn std::any::Any {
        self
    }

    fn wait(&mut self, until: Option<u64>, ready: &mut Vec<Ready>) {
        self.waits += 1;
        for (channel, ..) in &self.frames {
            ready.push(match channel {
                Channel::Control => Ready::Control,
                Channel::Network => Ready::Network,
            });
        }
        for (number, socket) in &self.sockets {
            let readable = socket.ended || !socket.incoming.is_empty() || !socket.connections.is_empty();
            if readable {
                ready.push(Ready::Socket { socket: SocketId(*number), readable, writable: true });
            }
        }
        if ready.is_empty() {
            self.clock = self.clock.max(until.unwrap_or(self.clock));
        }
    }
}
