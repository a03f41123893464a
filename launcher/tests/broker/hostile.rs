//! A broken interpreter on the channel, and what the broker itself cannot do.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::wait::WaitStatus;
use policies::channel::network::{Failure, Reply, Request, RequestFrame, MAXIMUM_FRAME, MAXIMUM_PAYLOAD};

use crate::apart::{apart, Server};
use crate::peer::*;
use crate::Test;

pub const TESTS: &[Test] = &[
    ("the_broker_holds_nothing_it_does_not_need", holds_nothing),
    ("what_is_no_request_ends_the_broker", no_request),
    ("random_bytes_end_it_cleanly", random_bytes),
    ("half_a_frame_ends_it", half_frames),
    ("a_number_in_use_ends_it", number_in_use),
    ("replies_that_are_not_read_do_not_fill_memory", unread_replies),
    ("a_flood_of_large_messages_stays_bounded", large_messages),
    ("too_many_requests_under_way_are_refused", too_many),
    ("a_flood_of_requests_is_slowed_down", flood),
    ("without_a_free_descriptor_it_says_so", no_descriptor),
    ("descriptors_sent_to_it_are_dropped", descriptors),
    ("a_broker_that_cannot_confine_itself_ends_and_says_where", unconfined),
    ("it_dies_with_its_supervisor", parent_death),
];

fn holds_nothing() {
    let port = free_port();
    let mut peer = Peer::new(&wide(&[port]));
    assert!(peer.call(Request::Facts).0.is_ok());
    for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        assert_eq!(peer.status(set), "0000000000000000", "{set}");
    }
    assert_eq!(peer.status("NoNewPrivs"), "1");
    assert_eq!(peer.status("Seccomp"), "2");
    assert_eq!(peer.status("Threads"), "1");
    if is_root() {
        assert_eq!(peer.status("CapBnd"), "0000000000000000");
        assert_eq!(peer.status("Groups"), "");
        let own = (2_000_000_000u32 + (1 << 23) + std::process::id()).to_string();
        assert_eq!(peer.status("Uid").split_whitespace().collect::<Vec<_>>(), [own.as_str(); 4]);
        // Nothing of this process's descriptors: null, the channel, two netlink
        // sockets, two files, its epoll, and the report of the start is closed.
        let mut names: Vec<String> = std::fs::read_dir(format!("/proc/{}/fd", peer.broker.pid))
            .expect("its descriptors")
            .map(|entry| {
                let path = entry.expect("an entry").path();
                let target = std::fs::read_link(path).expect("a link").to_string_lossy().into_owned();
                target.split(':').next().unwrap_or_default().to_owned()
            })
            .collect();
        names.sort();
        names.dedup();
        let known = ["/dev/null", "/etc/hosts", "/etc/resolv.conf", "anon_inode", "socket"];
        for name in &names {
            let file = name.starts_with("/run/") || name.starts_with("/mnt/");
            assert!(known.contains(&name.as_str()) || file, "{names:?}");
        }
    }
    peer.finish();
}

fn is_protocol_end(peer: &Peer) -> bool {
    matches!(peer.end(), WaitStatus::Exited(_, 65))
}

fn no_request() {
    for bytes in
        [&[0u8][..], &[1, 99, 0, 0, 0, 0], &[255; 100], b"GET / HTTP/1.0\r\n\r\n", &[0; MAXIMUM_FRAME + 1]]
    {
        let peer = Peer::new(&wide(&[]));
        peer.raw(bytes);
        assert!(is_protocol_end(&peer), "{:?}: {:?}", &bytes[..bytes.len().min(10)], peer.end());
    }
    // An empty packet looks like the end of the channel.
    let peer = Peer::new(&wide(&[]));
    peer.raw(&[]);
    assert!(matches!(peer.end(), WaitStatus::Exited(_, 0)));
}

/// A small generator, so that a failure can be repeated.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn random_bytes() {
    let mut numbers = Numbers(0x5eed);
    let good: Vec<Vec<u8>> = [
        listen("127.0.0.1", 1),
        message("localhost", 9, b"payload", Some(local("0", 0))),
        connect("0", 1, Some(local("", 0)), Duration::from_millis(1)),
        Request::Lookup { name: b"localhost".to_vec() },
        Request::Close { socket: 1 },
        Request::Sender { host: None, local: None, written: vec![] },
        Request::Cancel { request: 1 },
    ]
    .into_iter()
    .enumerate()
    .map(|(id, request)| RequestFrame { id: id as u32, request }.encode().expect("a frame"))
    .collect();
    for _ in 0..60 {
        let mut peer = Peer::new(&wide(&[]));
        for _ in 0..50 {
            let mut bytes = good[numbers.next() as usize % good.len()].clone();
            let flips = numbers.next() % 3;
            for _ in 0..flips {
                let at = numbers.next() as usize % bytes.len();
                bytes[at] = numbers.next() as u8;
            }
            if peer.try_raw(&bytes).is_err() {
                break;
            }
            while peer.is_open() && peer.reply_within(Duration::ZERO).is_some() {}
        }
        // It lives and serves, or has ended as it should: never by a signal.
        match peer.end_if_ended() {
            None => {}
            Some(WaitStatus::Exited(_, 65 | 0)) => continue,
            Some(other) => panic!("{other:?}"),
        }
        peer.finish_somehow();
    }
}

fn half_frames() {
    let whole = RequestFrame { id: 1, request: listen("127.0.0.1", 12345) }.encode().expect("a frame");
    for length in 1..whole.len() {
        let peer = Peer::new(&wide(&[]));
        peer.raw(&whole[..length]);
        assert!(is_protocol_end(&peer), "{length}");
    }
}

fn number_in_use() {
    let peer = Peer::new(&wide(&[]));
    // It waits for a connection, so its number is in use.
    let (_held, _listener, port) = crate::outgoing::full();
    let bytes = RequestFrame { id: 7, request: connect("127.0.0.1", port, None, LONG) };
    let bytes = bytes.encode().expect("a frame");
    peer.raw(&bytes);
    peer.raw(&bytes);
    assert!(is_protocol_end(&peer));
}

fn unread_replies() {
    let mut peer = Peer::new(&wide(&[]));
    let frame = |id| RequestFrame { id, request: Request::Facts }.encode().expect("a frame");
    let start = Instant::now();
    let mut sent = 0u32;
    // Until nothing more is taken for a while.
    let mut full = Instant::now();
    while full.elapsed() < Duration::from_millis(500) && start.elapsed() < LONG {
        match peer.try_raw(&frame(sent)) {
            Ok(_) => {
                sent += 1;
                full = Instant::now();
            }
            Err(_) => std::thread::sleep(Duration::from_millis(1)),
        }
    }
    assert!(sent < 100_000, "{sent} requests were taken without a reply being read");
    assert!(peer.memory() < 16 << 20, "{} bytes", peer.memory());
    // Read, they are all there, and it goes on.
    for id in 0..sent {
        assert_eq!(peer.reply_within(LONG).map(|(id, _)| id), Some(id));
    }
    assert!(peer.call(Request::Facts).0.is_ok());
    peer.finish();
}

fn large_messages() {
    // They wait for a name that nobody tells, and may not all be kept.
    apart("", || {
        let _dead = Server::new();
        let mut peer = Peer::new(&wide(&[]));
        let payload = vec![1u8; MAXIMUM_PAYLOAD];
        let asked: Vec<u32> =
            (0..200).map(|_| peer.ask(message("slow.example", 9, &payload, None))).collect();
        let busy = peer.reply_within(LONG).expect("a reply");
        assert_eq!(busy.1 .0, Err(Failure::Busy));
        assert!(peer.memory() < 16 << 20, "{} bytes", peer.memory());
        for id in &asked {
            peer.ask(Request::Cancel { request: *id });
        }
        for id in &asked[1..] {
            if *id != busy.0 {
                assert!(matches!(peer.answer(*id).0, Err(Failure::Busy | Failure::Cancelled)));
            }
        }
        assert!(peer.call(Request::Facts).0.is_ok());
        peer.finish();
    });
}

fn too_many() {
    apart("", || {
        let _dead = Server::new();
        let mut peer = Peer::new(&wide(&[]));
        let asked: Vec<u32> =
            (0..1100).map(|_| peer.ask(Request::Lookup { name: b"slow.example".to_vec() })).collect();
        for id in &asked[1024..] {
            assert_eq!(peer.answer(*id).0, Err(Failure::Busy));
        }
        assert!(peer.children() <= 8, "{} children", peer.children());
        // What needs no name goes on.
        assert!(peer.call(Request::Facts).0.is_ok());
        peer.finish();
    });
}

fn flood() {
    let mut peer = Peer::new(&wide(&[]));
    let frame = RequestFrame { id: 1, request: Request::Close { socket: 1 } }.encode().expect("a frame");
    let start = Instant::now();
    let mut answered = 0u32;
    while start.elapsed() < Duration::from_millis(1500) {
        for _ in 0..50 {
            if peer.try_raw(&frame).is_err() {
                break;
            }
        }
        while peer.reply_within(Duration::ZERO).is_some() {
            answered += 1;
        }
    }
    // 50 000 in a second, and one second's worth at the start.
    let most = 50_000.0 * (start.elapsed().as_secs_f64() + 1.0);
    assert!(f64::from(answered) <= most + 1000.0, "{answered} answers in {:?}", start.elapsed());
    assert!(answered > 0);
    peer.finish_somehow();
}

fn no_descriptor() {
    // In a process of its own: a limit cannot be raised again.
    apart("", || {
        use nix::sys::resource::{setrlimit, Resource};
        setrlimit(Resource::RLIMIT_NOFILE, 40, 40).expect("set");
        let ports: Vec<u16> = (20_000..20_060).collect();
        let mut peer = Peer::new(&wide(&ports).replace("insockets 5", "insockets 60"));
        let mut sockets = Vec::new();
        let failure = loop {
            match peer.call(receive("127.0.0.1", ports[sockets.len()])) {
                (Ok(Reply::Socket { socket, .. }), Some(descriptor)) => {
                    // Only the broker's copies are to fill its limit.
                    drop(descriptor);
                    sockets.push(socket);
                }
                (Err(failure), None) => break failure,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(failure, Failure::System { errno: libc::EMFILE, text: "Too many open files".into() });
        assert!(sockets.len() > 10, "{}", sockets.len());
        // What is given back can be used again.
        for socket in &sockets {
            assert_eq!(peer.call(Request::Close { socket: *socket }).0, Ok(Reply::Closed { known: true }));
        }
        let again = peer.socket(receive("127.0.0.1", ports[0]));
        peer.close(again);
        assert!(peer.call(Request::Lookup { name: b"localhost".to_vec() }).0.is_ok());
        peer.finish();
    });
}

fn descriptors() {
    use nix::sys::socket::{sendmsg, ControlMessage, MsgFlags};
    use std::os::fd::AsRawFd;
    let mut peer = Peer::new(&wide(&[]));
    let (reader, writer) = nix::unistd::pipe().expect("a pipe");
    let bytes = RequestFrame { id: 900, request: Request::Facts }.encode().expect("a frame");
    let numbers = [writer.as_raw_fd()];
    sendmsg::<()>(
        peer.raw_channel(),
        &[std::io::IoSlice::new(&bytes)],
        &[ControlMessage::ScmRights(&numbers)],
        MsgFlags::empty(),
        None,
    )
    .expect("sent");
    assert!(peer.answer(900).0.is_ok());
    // The only other copy is closed: the pipe has ended.
    drop(writer);
    let mut set = [nix::poll::PollFd::new(reader.as_fd(), nix::poll::PollFlags::POLLIN)];
    assert_eq!(nix::poll::poll(&mut set, nix::poll::PollTimeout::from(20_000u16)), Ok(1));
    assert_eq!(nix::unistd::read(&reader, &mut [0u8; 1]), Ok(0));
    peer.finish();
}

fn unconfined() {
    use launcher::broker::{start, AddressOptions, End, Settings};
    use launcher::plan::identity::Ids;
    use launcher::sys::process::{self, Cloned};
    use nix::sys::socket::{socketpair, AddressFamily, SockFlag, SockType};
    use nix::sys::wait::{waitid, Id, WaitPidFlag};
    // In a user namespace without any id, no id can be taken.
    let cloned = match process::clone_into(libc::CLONE_NEWUSER as u64, None) {
        Err(errno) => return eprintln!("skipped: no user namespaces here: {errno:?}"),
        Ok(cloned) => cloned,
    };
    let status = |pidfd: std::os::fd::BorrowedFd<'_>| match waitid(Id::PIDFd(pidfd), WaitPidFlag::WEXITED) {
        Ok(WaitStatus::Exited(_, status)) => status,
        other => panic!("{other:?}"),
    };
    match cloned {
        Cloned::Child => {
            let text = wide(&[]);
            let Ok(parsed) = policies::Policy::parse(text.as_bytes(), "test") else { process::exit_now(1) };
            let settings = Settings {
                policy: parsed.policy,
                restrictions: true,
                addresses: AddressOptions::default(),
                ids: Some(Ids { uid: 1, gid: 1 }),
                enforced: Default::default(),
            };
            let pair = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC);
            let started = pair.map(|(_, theirs)| start(&settings, theirs, None));
            let Ok(Ok(broker)) = started else { process::exit_now(2) };
            process::exit_now(status(broker.pidfd.as_fd()));
        }
        Cloned::Parent { pidfd, .. } => {
            assert_eq!(End::of_status(status(pidfd.as_fd())), "it failed at changing to its own ids");
        }
    }
}

fn parent_death() {
    use launcher::sys::process::{self, Cloned};
    // A supervisor of its own, which is killed.
    let (reader, writer) = nix::unistd::pipe().expect("a pipe");
    let Ok(cloned) = process::clone_into(0, None) else { panic!("no child") };
    match cloned {
        Cloned::Child => {
            let peer = Peer::new(&wide(&[]));
            let _ = nix::unistd::write(&writer, &peer.broker.pid.to_le_bytes());
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        Cloned::Parent { pidfd, .. } => {
            drop(writer);
            let mut number = [0u8; 4];
            assert_eq!(nix::unistd::read(&reader, &mut number), Ok(4));
            let broker = nix::unistd::Pid::from_raw(i32::from_le_bytes(number));
            assert!(nix::sys::signal::kill(broker, None::<Signal>).is_ok(), "it lives");
            process::kill_and_reap(pidfd.as_fd());
            let start = Instant::now();
            let gone = || {
                let stat = std::fs::read_to_string(format!("/proc/{broker}/stat")).unwrap_or_default();
                stat.is_empty() || stat.contains(") Z ")
            };
            while !gone() {
                assert!(start.elapsed() < Duration::from_secs(10), "the broker outlived its supervisor");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}
