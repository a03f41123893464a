//! The other side of network tests: small servers that say `ready` and serve until killed.
//!
//! `peer http ADDRESS:PORT`: answers every request with a short page and keeps the connection open.
//! `peer ntp ADDRESS:PORT`: answers an NTP question.
//! `peer dns ADDRESS:PORT COUNT ADDRESS`: answers with COUNT addresses, counting up from ADDRESS; COUNT 0 never answers.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let result = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["http", at] => http(at),
        ["ntp", at] => ntp(at),
        ["dns", at, count, first] => {
            dns(at, count.parse().unwrap_or(1), first.parse().unwrap_or(Ipv4Addr::LOCALHOST))
        }
        _ => {
            eprintln!("usage: peer http ADDRESS | ntp ADDRESS | dns ADDRESS COUNT FIRST");
            std::process::exit(2);
        }
    };
    if let Err(error) = result {
        eprintln!("peer {words:?}: {error}");
        std::process::exit(1);
    }
}

fn ready() {
    println!("ready");
}

fn http(at: &str) -> std::io::Result<()> {
    let listener = TcpListener::bind(at)?;
    ready();
    for stream in listener.incoming().flatten() {
        std::thread::spawn(move || answer(stream));
    }
    Ok(())
}

fn answer(mut stream: TcpStream) {
    let mut request = Vec::new();
    let mut block = [0u8; 4096];
    while let Ok(count) = stream.read(&mut block) {
        if count == 0 {
            return;
        }
        request.extend_from_slice(&block[..count]);
        if request.ends_with(b"\r\n\r\n") {
            request.clear();
            let page = "<html><body>a page of the test</body></html>";
            let head = "HTTP/1.1 200 OK\r\nContent-type: text/html\r\n";
            if write!(stream, "{head}Content-length: {}\r\n\r\n{page}", page.len()).is_err() {
                return;
            }
        }
    }
}

fn ntp(at: &str) -> std::io::Result<()> {
    let socket = UdpSocket::bind(at)?;
    ready();
    let mut question = [0u8; 1024];
    loop {
        let (count, from) = socket.recv_from(&mut question)?;
        if count < 48 {
            continue;
        }
        let mut reply = [0u8; 48];
        reply[0] = 0x1c; // version 3, server
        reply[1] = 1; // a primary clock
        reply[12..16].copy_from_slice(b"TEST");
        // 3 900 000 000.5 seconds since 1900
        reply[40..44].copy_from_slice(&3_900_000_000u32.to_be_bytes());
        reply[44..48].copy_from_slice(&0x8000_0000u32.to_be_bytes());
        socket.send_to(&reply, from)?;
    }
}

fn dns(at: &str, count: u16, first: Ipv4Addr) -> std::io::Result<()> {
    let socket = UdpSocket::bind(at)?;
    let listener = TcpListener::bind(at)?;
    ready();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whoever does not ask properly gets no answer.
            let _ = answer_by_stream(stream, count, first);
        }
    });
    let mut question = [0u8; 1024];
    loop {
        let (length, from) = socket.recv_from(&mut question)?;
        let Some(mut reply) = addresses(&question[..length], count, first) else { continue };
        // Longer than a datagram may be: cut, with the truncation bit, as servers do.
        if reply.len() > 512 {
            reply.truncate(512);
            reply[2] |= 2;
        }
        socket.send_to(&reply, from)?;
    }
}

fn answer_by_stream(mut stream: TcpStream, count: u16, first: Ipv4Addr) -> std::io::Result<()> {
    let mut length = [0u8; 2];
    stream.read_exact(&mut length)?;
    let mut question = vec![0u8; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut question)?;
    let reply = addresses(&question, count, first).unwrap_or_default();
    let length = u16::try_from(reply.len()).map_err(std::io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes()[..], &reply].concat())
}

/// The answer with `count` addresses; none to what is no question.
fn addresses(question: &[u8], count: u16, first: Ipv4Addr) -> Option<Vec<u8>> {
    if count == 0 || question.len() < 17 {
        return None;
    }
    let asked = &question[12..];
    let end = asked.iter().position(|b| *b == 0).map(|i| i + 5).filter(|end| *end <= asked.len())?;
    let mut reply = question[..2].to_vec();
    reply.extend([0x81, 0x80, 0, 1]);
    reply.extend(count.to_be_bytes());
    reply.extend([0, 0, 0, 0]);
    reply.extend(&asked[..end]);
    for i in 0..count {
        let address = Ipv4Addr::from(u32::from(first).wrapping_add(u32::from(i)));
        reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        reply.extend(address.octets());
    }
    Some(reply)
}
