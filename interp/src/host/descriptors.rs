//! The one place of the host layer that is not safe Rust: descriptors that
//! come into being outside this program (left by the launcher, passed by the
//! broker), and the few calls for which the safe wrappers lack a flag or an
//! address.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::sys::stat::{fstat, SFlag};
use policies::channel::control::{FromInterpreter, Outcome};

/// The descriptors the launcher leaves open, in the numbers agreed on.
#[derive(Debug)]
pub struct Inherited {
    /// 3: the channel to the supervisor.
    pub control: OwnedFd,
    /// 4: the vessel directory.
    pub vessel: OwnedFd,
    /// 5: the start block.
    pub start: OwnedFd,
    /// 6: the channel to the broker, when the policy grants any network.
    pub network: Option<OwnedFd>,
}

const CONTROL: RawFd = 3;
const VESSEL: RawFd = 4;
const START: RawFd = 5;
const NETWORK: RawFd = 6;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// What kind of file a number refers to, if any.
fn kind(number: RawFd) -> Option<SFlag> {
    // SAFETY: the borrow lives for this one fstat call, which fails cleanly
    // with EBADF when the number is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    let state = fstat(borrowed).ok()?;
    Some(SFlag::from_bits_truncate(state.st_mode) & SFlag::S_IFMT)
}

impl Inherited {
    /// Takes the launcher's descriptors over. `None` when this process was
    /// not started by the launcher (a number is closed or of another kind),
    /// or when they were taken before.
    pub fn take() -> Option<Inherited> {
        let expected = [(CONTROL, SFlag::S_IFSOCK), (VESSEL, SFlag::S_IFDIR), (START, SFlag::S_IFREG)];
        if expected.iter().any(|(number, wanted)| kind(*number) != Some(*wanted)) {
            return None;
        }
        if TAKEN.swap(true, Ordering::SeqCst) {
            return None;
        }
        let network = kind(NETWORK) == Some(SFlag::S_IFSOCK);
        // SAFETY: the numbers were just seen to be open; the launcher opened
        // them for us and nothing else in this process knows them, and TAKEN
        // makes sure that they get one owner only.
        unsafe {
            Some(Inherited {
                control: OwnedFd::from_raw_fd(CONTROL),
                vessel: OwnedFd::from_raw_fd(VESSEL),
                start: OwnedFd::from_raw_fd(START),
                network: network.then(|| OwnedFd::from_raw_fd(NETWORK)),
            })
        }
    }
}

fn check(result: libc::ssize_t) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno::last())
}

/// Fills the whole buffer from the kernel's random source.
pub fn fill_random(buffer: &mut [u8]) -> Result<(), Errno> {
    let mut filled = 0;
    while filled < buffer.len() {
        let rest = &mut buffer[filled..];
        // SAFETY: the pointer and length describe `rest`, which is writable.
        let result = check(unsafe { libc::getrandom(rest.as_mut_ptr().cast(), rest.len(), 0) });
        match result {
            Ok(count) => filled += count,
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

fn no_address() -> libc::sockaddr_in {
    libc::sockaddr_in { sin_family: 0, sin_port: 0, sin_addr: libc::in_addr { s_addr: 0 }, sin_zero: [0; 8] }
}

fn to_rust(address: &libc::sockaddr_in) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)), u16::from_be(address.sin_port))
}

const ADDRESS_LENGTH: libc::socklen_t = size_of::<libc::sockaddr_in>() as libc::socklen_t;

/// Takes a waiting connection: close-on-exec, non-blocking, with its peer.
pub fn accept(listener: &OwnedFd) -> Result<(OwnedFd, SocketAddrV4), Errno> {
    let mut address = no_address();
    let mut length = ADDRESS_LENGTH;
    // SAFETY: `address` and `length` are valid for writing, and the kernel
    // writes no more than the `length` bytes it was told of.
    let number = unsafe {
        libc::accept4(
            listener.as_raw_fd(),
            (&raw mut address).cast(),
            &raw mut length,
            libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
        )
    };
    if number < 0 {
        return Err(Errno::last());
    }
    // SAFETY: the kernel just made this descriptor for us alone.
    let socket = unsafe { OwnedFd::from_raw_fd(number) };
    Ok((socket, to_rust(&address)))
}

/// Takes one datagram without waiting, cut to the buffer, with its source.
pub fn receive_from(socket: &OwnedFd, buffer: &mut [u8]) -> Result<(usize, SocketAddrV4), Errno> {
    let mut address = no_address();
    let mut length = ADDRESS_LENGTH;
    // SAFETY: buffer, address and length are valid for writing in the sizes
    // given.
    let result = unsafe {
        libc::recvfrom(
            socket.as_raw_fd(),
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            libc::MSG_DONTWAIT,
            (&raw mut address).cast(),
            &raw mut length,
        )
    };
    check(result).map(|count| (count, to_rust(&address)))
}

/// Takes one frame without waiting, and the first descriptor passed with it;
/// others are closed. A frame longer than the buffer gives EMSGSIZE.
pub fn receive_frame(channel: &OwnedFd, buffer: &mut [u8]) -> Result<(usize, Option<OwnedFd>), Errno> {
    // Room for the header and up to four descriptors, aligned for the header.
    let mut control = [0u64; 8];
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: an all-zero msghdr is a valid value of this plain C structure.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control);
    // SAFETY: the header points to `buffer` and `control`, both live and
    // writable in the sizes given.
    let count = check(unsafe {
        libc::recvmsg(channel.as_raw_fd(), &raw mut header, libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC)
    })?;
    let mut passed = None;
    // SAFETY: the header was filled by recvmsg and its control buffer lives.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    while !message.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return only pointers to whole
        // headers within the control buffer, which is aligned for them.
        let (level, kind, length) =
            unsafe { ((*message).cmsg_level, (*message).cmsg_type, (*message).cmsg_len) };
        if level == libc::SOL_SOCKET && kind == libc::SCM_RIGHTS {
            // SAFETY: computes the size of a header, touches no memory.
            let head = unsafe { libc::CMSG_LEN(0) } as usize;
            for index in 0..length.saturating_sub(head) / size_of::<RawFd>() {
                // SAFETY: cmsg_len says that the message holds `index + 1`
                // descriptors, and the kernel gave them to this process
                // alone; unaligned because the data follows a header.
                let number = unsafe { libc::CMSG_DATA(message).cast::<RawFd>().add(index).read_unaligned() };
                // SAFETY: as above: a new descriptor without another owner.
                let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
                if passed.is_none() {
                    passed = Some(descriptor);
                }
            }
        }
        // SAFETY: as for CMSG_FIRSTHDR.
        message = unsafe { libc::CMSG_NXTHDR(&raw const header, message) };
    }
    if header.msg_flags & libc::MSG_TRUNC != 0 {
        return Err(Errno::EMSGSIZE);
    }
    Ok((count, passed))
}

/// Waits for events on a descriptor, `nanoseconds` long at most (`None`: for
/// ever), and returns those that have come.
pub fn wait_for(
    descriptor: BorrowedFd<'_>,
    events: libc::c_short,
    nanoseconds: Option<u64>,
) -> Result<libc::c_short, Errno> {
    let mut entry = libc::pollfd { fd: descriptor.as_raw_fd(), events, revents: 0 };
    let time = nanoseconds.map(|nanoseconds| libc::timespec {
        tv_sec: libc::time_t::try_from(nanoseconds / 1_000_000_000).unwrap_or(libc::time_t::MAX),
        tv_nsec: (nanoseconds % 1_000_000_000) as libc::c_long,
    });
    let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: one entry is described by pointer and count; the time is null
    // or points to a live timespec; no signal mask is given.
    let result = unsafe { libc::ppoll(&raw mut entry, 1, time, std::ptr::null()) };
    if result < 0 {
        return Err(Errno::last());
    }
    Ok(entry.revents)
}

/// Reads a piece of a directory's entries and appends their names (without
/// `.` and `..`); false at the end.
pub fn directory_entries(directory: &OwnedFd, names: &mut Vec<Vec<u8>>) -> Result<bool, Errno> {
    let mut buffer = [0u64; 4096];
    // SAFETY: the buffer is writable in the size given; getdents64 wants 8
    // byte alignment, which u64 has.
    let count = check(unsafe {
        libc::syscall(libc::SYS_getdents64, directory.as_raw_fd(), buffer.as_mut_ptr(), size_of_val(&buffer))
            as libc::ssize_t
    })?;
    // SAFETY: u64 has no padding and any byte may be read; the length is that
    // of the same array.
    let bytes = unsafe { std::slice::from_raw_parts(buffer.as_ptr().cast::<u8>(), size_of_val(&buffer)) };
    // A record: inode 8 bytes, offset 8, record length 2, type 1, name to NUL.
    let mut rest = bytes.get(..count).unwrap_or_default();
    while let Some((low, high)) = rest.get(16).copied().zip(rest.get(17).copied()) {
        let length = usize::from(u16::from_ne_bytes([low, high]));
        let Some(record) = rest.get(..length) else { break };
        let name = record.get(19..).unwrap_or_default();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        if name != b"." && name != b".." && !name.is_empty() {
            names.push(name.to_vec());
        }
        if length == 0 {
            break;
        }
        rest = &rest[length..];
    }
    Ok(count > 0)
}

/// The process's own two output streams; never closed by us.
pub fn stream(error: bool) -> BorrowedFd<'static> {
    // SAFETY: 1 and 2 stay open for the whole life of the process: the
    // launcher (or the C start-up of std) filled them and nothing closes
    // them.
    unsafe { BorrowedFd::borrow_raw(if error { 2 } else { 1 }) }
}

/// From here on a panic of this (confined) process is said on the error stream
/// and to the supervisor, and ends it with status 70: never by an abort, which
/// in a process of number 1 looks like any other fault.
pub fn end_panics_orderly() {
    std::panic::set_hook(Box::new(|info| {
        let text = format!("repy-interp: internal error: {info}\n");
        let outcome = Outcome::InternalError(info.to_string());
        let frame = FromInterpreter::Final(outcome.clone()).encode();
        let status = i32::from(outcome.exit_status());
        // SAFETY: both writes take live buffers in the sizes given, and fail
        // cleanly if a descriptor is closed; _exit ends the process at once.
        unsafe {
            libc::write(2, text.as_ptr().cast(), text.len());
            libc::send(CONTROL, frame.as_ptr().cast(), frame.len(), libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT);
            libc::_exit(status)
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn descriptors_travel_and_only_one_is_kept() {
        use nix::sys::socket::{
            sendmsg, socketpair, AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, UnixAddr,
        };
        let (ours, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .expect("a pair of sockets");
        let passed = [theirs.as_raw_fd(), theirs.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&passed)];
        let parts = [std::io::IoSlice::new(b"hello")];
        sendmsg::<UnixAddr>(theirs.as_raw_fd(), &parts, &rights, MsgFlags::empty(), None).expect("sent");
        sendmsg::<UnixAddr>(theirs.as_raw_fd(), &parts, &[], MsgFlags::empty(), None).expect("sent");
        let mut buffer = [0; 16];
        let (count, descriptor) = receive_frame(&ours, &mut buffer).expect("a frame");
        assert_eq!((&buffer[..count], descriptor.is_some()), (&b"hello"[..], true));
        assert_eq!(receive_frame(&ours, &mut buffer[..2]).err(), Some(Errno::EMSGSIZE));
        assert_eq!(receive_frame(&ours, &mut buffer).err(), Some(Errno::EAGAIN));
        let events = wait_for(ours.as_fd(), libc::POLLIN, Some(0)).expect("polled");
        assert_eq!(events, 0);
        drop((theirs, descriptor));
        assert_eq!(receive_frame(&ours, &mut buffer).map(|(count, _)| count), Ok(0));
    }

    #[test]
    fn random_fills_everything() {
        let mut buffer = [0; 1000];
        fill_random(&mut buffer).expect("random bytes");
        assert!(buffer.iter().filter(|byte| **byte == 0).count() < 100);
    }
}
