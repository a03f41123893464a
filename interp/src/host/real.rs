//! The host of a real run: the descriptors the launcher left open, or, by
//! hand, a directory opened here.

use std::ffi::CString;
use std::net::SocketAddrV4;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{openat, AtFlags, OFlag};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{recv, send, sendto, MsgFlags, SockaddrIn};
use nix::sys::stat::{fstat, fstatat, FileStat, Mode, SFlag};
use nix::sys::uio::{pread, pwrite};
use nix::time::{clock_gettime, ClockId};
use nix::unistd::{ftruncate, unlinkat, write, UnlinkatFlags};

use super::descriptors::{self, Inherited};
use super::{Access, Channel, FileId, Frame, Host, HostResult, Ready, SocketId, Stream, SystemError};

/// Largest frame of either channel, in bytes.
const FRAME: usize = 64 * 1024;
/// Events taken from the kernel at a time.
const BATCH: usize = 64;
/// How long a full channel is waited for before its reader counts as gone.
const FULL_CHANNEL: u64 = 10_000_000_000;

const CONTROL_TOKEN: u64 = u64::MAX;
const NETWORK_TOKEN: u64 = u64::MAX - 1;

/// Slots that are used again after they become free.
#[derive(Debug)]
struct Slots<T> {
    slots: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Slots<T> {
    fn new() -> Self {
        Slots { slots: Vec::new(), free: Vec::new() }
    }

    fn add(&mut self, item: T) -> u32 {
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = Some(item);
            return index;
        }
        self.slots.push(Some(item));
        // One slot per open descriptor: the kernel's own limit is far lower.
        (self.slots.len() - 1) as u32
    }

    fn get(&self, index: u32) -> HostResult<&T> {
        self.slots.get(index as usize).and_then(Option::as_ref).ok_or(SystemError(libc::EBADF))
    }

    fn remove(&mut self, index: u32) -> Option<T> {
        let item = self.slots.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(item)
    }
}

/// A [`Host`] on real descriptors.
#[derive(Debug)]
pub struct RealHost {
    vessel: OwnedFd,
    control: Option<OwnedFd>,
    network: Option<OwnedFd>,
    epoll: Epoll,
    files: Slots<OwnedFd>,
    sockets: Slots<OwnedFd>,
    frame: Vec<u8>,
}

impl RealHost {
    /// The host of a confined run.
    pub fn confined(inherited: Inherited) -> HostResult<(RealHost, OwnedFd)> {
        let Inherited { control, vessel, start, network } = inherited;
        let host = RealHost::with(vessel, Some(control), network)?;
        Ok((host, start))
    }

    /// The host of a run by hand on `directory`, with neither supervisor nor
    /// broker.
    pub fn by_hand(directory: &std::path::Path) -> HostResult<RealHost> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let vessel = nix::fcntl::open(directory, flags, Mode::empty())?;
        RealHost::with(vessel, None, None)
    }

    /// A host on a vessel directory and, where given, the two channels.
    pub fn with(vessel: OwnedFd, control: Option<OwnedFd>, network: Option<OwnedFd>) -> HostResult<RealHost> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        for (channel, token) in [(&control, CONTROL_TOKEN), (&network, NETWORK_TOKEN)] {
            if let Some(channel) = channel {
                let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
                epoll.add(channel, EpollEvent::new(flags, token))?;
            }
        }
        Ok(RealHost {
            vessel,
            control,
            network,
            epoll,
            files: Slots::new(),
            sockets: Slots::new(),
            frame: Vec::new(),
        })
    }

    fn channel(&self, channel: Channel) -> HostResult<&OwnedFd> {
        let descriptor = match channel {
            Channel::Control => &self.control,
            Channel::Network => &self.network,
        };
        descriptor.as_ref().ok_or(SystemError(libc::EPIPE))
    }

    fn state(&self, name: &[u8]) -> HostResult<FileStat> {
        Ok(fstatat(&self.vessel, c_name(name)?.as_c_str(), AtFlags::AT_SYMLINK_NOFOLLOW)?)
    }
}

fn c_name(name: &[u8]) -> HostResult<CString> {
    if name.contains(&b'/') || name.is_empty() {
        return Err(SystemError(libc::EACCES));
    }
    CString::new(name).map_err(|_| SystemError(libc::EINVAL))
}

fn offset(position: u64) -> HostResult<i64> {
    i64::try_from(position).map_err(|_| SystemError(libc::EINVAL))
}

/// Repeats a call that a signal interrupted.
fn again<T>(mut call: impl FnMut() -> nix::Result<T>) -> HostResult<T> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            result => return Ok(result?),
        }
    }
}

impl Host for RealHost {
    fn now(&mut self) -> u64 {
        // The call cannot fail for this clock; standing still is the harmless
        // answer if it ever did.
        clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |time| {
            (time.tv_sec() as u64).saturating_mul(1_000_000_000).saturating_add(time.tv_nsec() as u64)
        })
    }

    fn write_stream(&mut self, stream: Stream, mut bytes: &[u8]) {
        let descriptor = descriptors::stream(stream == Stream::Error);
        while !bytes.is_empty() {
            match write(descriptor, bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    if descriptors::wait_for(descriptor, libc::POLLOUT, None).is_err() {
                        return;
                    }
                }
                Err(_) => return,
            }
        }
    }

    fn random(&mut self, buffer: &mut [u8]) -> HostResult<()> {
        Ok(descriptors::fill_random(buffer)?)
    }

    fn open_file(&mut self, name: &[u8], access: Access) -> HostResult<(FileId, u64)> {
        let careful = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let (flags, mode) = match access {
            Access::Read => (OFlag::O_RDONLY, Mode::empty()),
            Access::ReadWrite => (OFlag::O_RDWR, Mode::empty()),
            Access::Create => {
                (OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL, Mode::from_bits_truncate(0o644))
            }
        };
        let name = c_name(name)?;
        let file = match again(|| openat(&self.vessel, name.as_c_str(), flags | careful, mode)) {
            // A socket, or a FIFO or device without a reader.
            Err(SystemError(libc::ENXIO | libc::ENODEV)) => return Err(SystemError(libc::EACCES)),
            result => result?,
        };
        let state = fstat(&file)?;
        let kind = SFlag::from_bits_truncate(state.st_mode) & SFlag::S_IFMT;
        if kind == SFlag::S_IFDIR {
            return Err(SystemError(libc::EISDIR));
        }
        if kind != SFlag::S_IFREG || state.st_nlink != 1 {
            return Err(SystemError(libc::EACCES));
        }
        let size = u64::try_from(state.st_size).unwrap_or(0);
        Ok((FileId(self.files.add(file)), size))
    }

    fn read_at(&mut self, file: FileId, buffer: &mut [u8], position: u64) -> HostResult<usize> {
        let descriptor = self.files.get(file.0)?;
        let mut filled = 0;
        while filled < buffer.len() {
            let at = offset(position.saturating_add(filled as u64))?;
            let count = again(|| pread(descriptor, &mut buffer[filled..], at))?;
            if count == 0 {
                break;
            }
            filled += count;
        }
        Ok(filled)
    }

    fn write_at(&mut self, file: FileId, bytes: &[u8], position: u64) -> HostResult<()> {
        let descriptor = self.files.get(file.0)?;
        let mut done = 0;
        while done < bytes.len() {
            let at = offset(position.saturating_add(done as u64))?;
            done += again(|| pwrite(descriptor, &bytes[done..], at))?;
        }
        Ok(())
    }

    fn truncate(&mut self, file: FileId) -> HostResult<()> {
        let descriptor = self.files.get(file.0)?;
        again(|| ftruncate(descriptor, 0))
    }

    fn file_size(&mut self, file: FileId) -> HostResult<u64> {
        let state = fstat(self.files.get(file.0)?)?;
        Ok(u64::try_from(state.st_size).unwrap_or(0))
    }

    fn close_file(&mut self, file: FileId) {
        drop(self.files.remove(file.0));
    }

    fn list_directory(&mut self) -> HostResult<Vec<Vec<u8>>> {
        let flags =
            OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let directory = again(|| openat(&self.vessel, c".", flags, Mode::empty()))?;
        let mut names = Vec::new();
        while descriptors::directory_entries(&directory, &mut names)? {}
        Ok(names)
    }

    fn entry_size(&mut self, name: &[u8]) -> HostResult<u64> {
        Ok(u64::try_from(self.state(name)?.st_size).unwrap_or(0))
    }

    fn remove_file(&mut self, name: &[u8]) -> HostResult<()> {
        let name = c_name(name)?;
        Ok(unlinkat(&self.vessel, name.as_c_str(), UnlinkatFlags::NoRemoveDir)?)
    }

    fn send_frame(&mut self, channel: Channel, bytes: &[u8]) -> HostResult<()> {
        let descriptor = self.channel(channel)?;
        let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
        let mut waited = false;
        loop {
            match send(descriptor.as_raw_fd(), bytes, flags) {
                Ok(_) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) if !waited => {
                    waited = true;
                    descriptors::wait_for(descriptor.as_fd(), libc::POLLOUT, Some(FULL_CHANNEL))?;
                }
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn receive_frame(&mut self, channel: Channel) -> HostResult<Frame> {
        let mut buffer = std::mem::take(&mut self.frame);
        buffer.resize(FRAME, 0);
        let result = self
            .channel(channel)
            .and_then(|descriptor| again(|| descriptors::receive_frame(descriptor, &mut buffer)));
        let frame = match result {
            // No frame of ours is empty: this is the end of the channel.
            Ok((0, _)) => Err(SystemError(libc::EPIPE)),
            Ok((count, socket)) => Ok(Frame {
                bytes: buffer.get(..count).unwrap_or_default().to_vec(),
                socket: socket.map(|socket| SocketId(self.sockets.add(socket))),
            }),
            Err(error) => Err(error),
        };
        self.frame = buffer;
        frame
    }

    fn has_network(&self) -> bool {
        self.network.is_some()
    }

    fn accept(&mut self, listener: SocketId) -> HostResult<(SocketId, SocketAddrV4)> {
        let descriptor = self.sockets.get(listener.0)?;
        let (socket, peer) = again(|| descriptors::accept(descriptor))?;
        Ok((SocketId(self.sockets.add(socket)), peer))
    }

    fn receive(&mut self, socket: SocketId, buffer: &mut [u8]) -> HostResult<usize> {
        let descriptor = self.sockets.get(socket.0)?;
        again(|| recv(descriptor.as_raw_fd(), buffer, MsgFlags::MSG_DONTWAIT))
    }

    fn peek(&mut self, socket: SocketId) -> HostResult<usize> {
        let descriptor = self.sockets.get(socket.0)?;
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_PEEK;
        again(|| recv(descriptor.as_raw_fd(), &mut [0], flags))
    }

    fn send(&mut self, socket: SocketId, bytes: &[u8]) -> HostResult<usize> {
        let descriptor = self.sockets.get(socket.0)?;
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        again(|| send(descriptor.as_raw_fd(), bytes, flags))
    }

    fn receive_from(&mut self, socket: SocketId, buffer: &mut [u8]) -> HostResult<(usize, SocketAddrV4)> {
        let descriptor = self.sockets.get(socket.0)?;
        again(|| descriptors::receive_from(descriptor, buffer))
    }

    fn send_to(&mut self, socket: SocketId, bytes: &[u8], to: Option<SocketAddrV4>) -> HostResult<usize> {
        let descriptor = self.sockets.get(socket.0)?.as_raw_fd();
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        again(|| match to {
            None => send(descriptor, bytes, flags),
            Some(to) => sendto(descriptor, bytes, &SockaddrIn::from(to), flags),
        })
    }

    fn readiness(&mut self, socket: SocketId) -> HostResult<(bool, bool)> {
        let descriptor = self.sockets.get(socket.0)?;
        let events =
            again(|| descriptors::wait_for(descriptor.as_fd(), libc::POLLIN | libc::POLLOUT, Some(0)))?;
        let ended = events & (libc::POLLHUP | libc::POLLERR) != 0;
        Ok((ended || events & libc::POLLIN != 0, ended || events & libc::POLLOUT != 0))
    }

    fn watch(&mut self, socket: SocketId) -> HostResult<()> {
        let descriptor = self.sockets.get(socket.0)?;
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP | EpollFlags::EPOLLET;
        match self.epoll.add(descriptor, EpollEvent::new(flags, u64::from(socket.0))) {
            Ok(()) | Err(Errno::EEXIST) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }

    fn close_socket(&mut self, socket: SocketId) {
        // Closing the last descriptor takes it out of the epoll set too.
        drop(self.sockets.remove(socket.0));
    }

    fn as_any(&mut self) -> &mut dyn std::any::Any {
        self
    }

    fn wait(&mut self, until: Option<u64>, ready: &mut Vec<Ready>) {
        let mut timeout = EpollTimeout::ZERO;
        match until {
            None => timeout = EpollTimeout::NONE,
            Some(until) => {
                let now = self.now();
                if until > now {
                    // epoll_wait counts milliseconds; timers want better.
                    let events = descriptors::wait_for(self.epoll.0.as_fd(), libc::POLLIN, Some(until - now));
                    if events.unwrap_or(0) == 0 {
                        return;
                    }
                }
            }
        }
        let mut events = [EpollEvent::empty(); BATCH];
        let count = self.epoll.wait(&mut events, timeout).unwrap_or(0);
        for event in events.iter().take(count) {
            let flags = event.events();
            let ended = flags.intersects(EpollFlags::EPOLLHUP | EpollFlags::EPOLLERR);
            ready.push(match event.data() {
                CONTROL_TOKEN => Ready::Control,
                NETWORK_TOKEN => Ready::Network,
                token => Ready::Socket {
                    socket: SocketId(token as u32),
                    readable: ended || flags.intersects(EpollFlags::EPOLLIN | EpollFlags::EPOLLRDHUP),
                    writable: ended || flags.contains(EpollFlags::EPOLLOUT),
                },
            });
        }
    }
}
