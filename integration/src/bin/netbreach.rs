//! A taken-over interpreter that knows the broker's frames: put in the interpreter's place, it
//! asks for sockets and tries to do more with them than the policy allows.
//!
//! Arguments: the attempt, the own port granted, and the port of the target on 127.0.0.1 and
//! 127.0.0.2. It prints what came of each step.

use std::net::Ipv4Addr;

use policies::channel::control::FromInterpreter;
use policies::channel::network::{Host, Local, Reply, ReplyFrame, Request, RequestFrame, Written};
use policies::Call;

/// The network channel (contract with the launcher).
const CHANNEL: i32 = 6;
/// The addresses of the targets: allowed, and not.
const ALLOWED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

fn main() {
    let words: Vec<String> = std::env::args().skip(2).collect();
    let number = |index: usize| words.get(index).and_then(|word| word.parse::<u16>().ok()).unwrap_or(0);
    let (own, target) = (number(1), number(2));
    match words.first().map(String::as_str) {
        Some("own-socket") => {
            let (reply, socket) =
                ask(Request::Receive { local: local(own), written: vec![Written::Field; 2] });
            println!("receive: {}", word(&reply));
            println!("elsewhere: {}", send_to(socket, ELSEWHERE, target));
        }
        Some("connected-socket") => {
            let host = Some((Host::Written(ALLOWED.to_string().into_bytes()), target));
            let (reply, socket) =
                ask(Request::Sender { host, local: None, written: vec![Written::Field; 2] });
            println!("sender: {}", word(&reply));
            println!("elsewhere: {}", send_to(socket, ELSEWHERE, target));
        }
        Some("answers") => {
            // Whether an answer arrives at a socket to send by; at one to receive by it does.
            let free = Request::Sender { host: None, local: None, written: vec![] };
            let own = Request::Receive { local: local(own), written: vec![Written::Field; 2] };
            for (name, request) in [("sender", free), ("receiver", own)] {
                let (reply, socket) = ask(request);
                println!("{name}: {}, {}", word(&reply), send_to(socket, ALLOWED, target));
                println!("{name}: {}", answer(socket));
            }
        }
        Some("ask") => {
            println!("elsewhere: {}", word(&ask(message(ELSEWHERE, target, "127.0.0.2")).0));
            println!("claimed: {}", word(&ask(message(ELSEWHERE, target, "127.0.0.1")).0));
            let free = Request::Sender { host: None, local: None, written: vec![] };
            println!("free socket: {}", word(&ask(free).0));
            let bound = |port| Request::Listen { local: local(port), written: vec![Written::Field; 2] };
            println!("other port: {}", word(&ask(bound(own + 1)).0));
            println!("allowed: {}", word(&ask(message(ALLOWED, target, "127.0.0.1")).0));
        }
        Some("hoard") => hoard(target, false),
        Some("hoard-not") => hoard(target, true),
        Some("questions") => questions(),
        Some("flood") => flood(words.get(3).map_or("", String::as_str), own, target),
        Some("hurry") => hurry(),
        Some("shout") => loop {
            println!("{}", "x".repeat(4000));
        },
        Some("garbage") => {
            println!("facts: {}", word(&ask(Request::Facts).0));
            send(b"this is no frame");
            wait();
        }
        Some("idle") => {
            println!("facts: {}", word(&ask(Request::Facts).0));
            wait();
        }
        other => println!("UNKNOWN {other:?}"),
    }
}

fn local(port: u16) -> Local {
    Local { text: b"127.0.0.1".to_vec(), port }
}

/// Asks for connection after connection, and says of each that it is closed.
fn hoard(target: u16, closes: bool) {
    for _ in 0..6 {
        let (reply, socket) = ask(Request::Connect {
            host: Host::Written(ALLOWED.to_string().into_bytes()),
            port: target,
            local: None,
            timeout_ns: 5_000_000_000,
            written: vec![Written::Field; 2],
        });
        println!("connect: {}", word(&reply));
        if closes {
            // SAFETY: the descriptor came with the reply and is used nowhere else.
            unsafe { libc::close(socket) };
        }
        if let Ok(Reply::Socket { socket, .. }) = reply.result {
            ask(Request::Close { socket });
        }
    }
}

/// Asks the supervisor about a rule, on and on, and never takes an answer.
fn questions() -> ! {
    const CONTROL: i32 = 3;
    for question in 0.. {
        let arguments = "x".repeat(100);
        let frame = FromInterpreter::Prompt { question, call: Call::Sleep, rule: 0, arguments }.encode();
        // SAFETY: the pointer and length describe `frame`; no address is given. It waits for room.
        unsafe { libc::send(CONTROL, frame.as_ptr().cast(), frame.len(), libc::MSG_NOSIGNAL) };
    }
    wait()
}

/// Asks on and on for the same, takes no answer, and says after each thousand how many it asked.
fn flood(what: &str, own: u16, target: u16) -> ! {
    let host = || Host::Written(ALLOWED.to_string().into_bytes());
    let request = match what {
        "facts" => Request::Facts,
        "names" => Request::Lookup { name: b"no.such.name.example".to_vec() },
        "listeners" => Request::Listen { local: local(own), written: vec![Written::Field; 2] },
        "receivers" => Request::Receive { local: local(own), written: vec![Written::Field; 2] },
        "senders" => Request::Sender { host: None, local: None, written: vec![] },
        "connections" => Request::Connect {
            host: host(),
            port: target,
            local: None,
            timeout_ns: u64::MAX,
            written: vec![Written::Field; 2],
        },
        "messages" => Request::Send {
            host: host(),
            port: target,
            local: None,
            payload: vec![b'x'; 60_000],
            written: vec![Written::Field; 3],
        },
        "places" => Request::Locate { host: b"no.such.name.example".to_vec() },
        "closes" => Request::Close { socket: 1 },
        "cancels" => Request::Cancel { request: 1 },
        other => {
            println!("UNKNOWN {other:?}");
            std::process::exit(9)
        }
    };
    for id in 1.. {
        let frame = RequestFrame { id, request: request.clone() };
        send(&frame.encode().unwrap_or_default());
        if id.is_power_of_two() {
            println!("asked {id}");
        }
    }
    wait()
}

/// Asks as fast as it gets answers, a few questions ahead; says how many answers it got in
/// how many seconds.
fn hurry() {
    const AHEAD: u32 = 64;
    let frame = |id| RequestFrame { id, request: Request::Facts }.encode().unwrap_or_default();
    let start = std::time::Instant::now();
    (0..AHEAD).for_each(|id| send(&frame(id)));
    let mut answers = 0u64;
    while start.elapsed().as_secs_f64() < 3.0 {
        receive();
        answers += 1;
        send(&frame(AHEAD));
    }
    println!("{answers} {}", start.elapsed().as_secs_f64());
}

/// A message to an address, which claims in its arguments to go to `claim`.
fn message(to: Ipv4Addr, port: u16, claim: &str) -> Request {
    Request::Send {
        host: Host::Written(to.to_string().into_bytes()),
        port,
        local: None,
        payload: b"asked".to_vec(),
        written: vec![Written::Text(claim.into()), Written::Field, Written::Field],
    }
}

fn word(reply: &ReplyFrame) -> String {
    match &reply.result {
        Ok(Reply::Socket { .. }) => "socket".into(),
        Ok(Reply::Sent { .. }) => "sent".into(),
        Ok(_) => "granted".into(),
        Err(failure) => format!("{failure:?}").split([' ', '{', '(']).next().unwrap_or_default().into(),
    }
}

fn ask(request: Request) -> (ReplyFrame, i32) {
    let frame = RequestFrame { id: 1, request };
    send(&frame.encode().unwrap_or_default());
    receive()
}

fn send(bytes: &[u8]) {
    // SAFETY: the pointer and length describe `bytes`; no address is given.
    unsafe { libc::send(CHANNEL, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL) };
}

/// Takes a reply and the descriptor that came with it, or -1.
fn receive() -> (ReplyFrame, i32) {
    let mut bytes = vec![0u8; 80_000];
    let mut control = [0u64; 8];
    let mut slice = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: all-zero is a valid header; its pointers are set to live buffers with their sizes.
    let (count, descriptor) = unsafe {
        let mut header: libc::msghdr = std::mem::zeroed();
        header.msg_iov = &mut slice;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = std::mem::size_of_val(&control) as _;
        let count = libc::recvmsg(CHANNEL, &mut header, 0);
        let first = libc::CMSG_FIRSTHDR(&header);
        let passed = if first.is_null() { -1 } else { libc::CMSG_DATA(first).cast::<i32>().read_unaligned() };
        (count, passed)
    };
    let reply = usize::try_from(count).ok().and_then(|count| ReplyFrame::decode(bytes.get(..count)?).ok());
    match reply {
        Some(reply) => (reply, descriptor),
        None => {
            println!("NO REPLY ({count})");
            std::process::exit(9);
        }
    }
}

/// Sends on a datagram socket to an address of one's own choice.
fn send_to(socket: i32, to: Ipv4Addr, port: u16) -> String {
    let end = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(to).to_be() },
        sin_zero: [0; 8],
    };
    // SAFETY: pointers and lengths describe live objects.
    let count = unsafe {
        libc::sendto(
            socket,
            b"direct".as_ptr().cast(),
            6,
            libc::MSG_NOSIGNAL,
            std::ptr::from_ref(&end).cast(),
            std::mem::size_of_val(&end) as u32,
        )
    };
    if count == 6 {
        "sent".into()
    } else {
        std::io::Error::last_os_error().to_string()
    }
}

/// Waits half a second for a datagram.
fn answer(socket: i32) -> &'static str {
    let mut buffer = [0u8; 64];
    for _ in 0..50 {
        // SAFETY: the pointer and length describe `buffer`; no address is asked for.
        let count = unsafe {
            libc::recvfrom(
                socket,
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
                std::ptr::null_mut(),
            )
        };
        if count > 0 {
            return "answered";
        }
        // SAFETY: no descriptor is waited for.
        unsafe { libc::poll(std::ptr::null_mut(), 0, 10) };
    }
    "nothing"
}

/// Waits until it is killed.
fn wait() -> ! {
    loop {
        // SAFETY: no descriptor is waited for.
        unsafe { libc::poll(std::ptr::null_mut(), 0, 1000) };
    }
}
