//! A network and name files of a test's own: the test runs in a child of this
//! process, in namespaces with nothing but loopback. Root makes them as root;
//! others in a user namespace, where the broker keeps its ids.

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use launcher::sys::process::{self, Cloned};
use nix::mount::{mount, MsFlags};
use nix::sys::wait::{waitid, Id, WaitPidFlag, WaitStatus};

use crate::peer::LONG;

/// Whether this process is in a user namespace of its own.
pub static MAPPED: AtomicBool = AtomicBool::new(false);

/// Runs `test` apart, with this hosts file and 127.0.0.1 as the name server.
pub fn apart(hosts: &str, test: impl FnOnce()) {
    let user = nix::unistd::geteuid();
    let group = nix::unistd::getegid();
    let mut flags = libc::CLONE_NEWNS | libc::CLONE_NEWNET;
    if !user.is_root() {
        flags |= libc::CLONE_NEWUSER;
    }
    match process::clone_into(flags as u64, None) {
        Err(errno) => eprintln!("skipped: no namespaces here: {errno:?}"),
        Ok(Cloned::Child) => {
            let run = || {
                if !user.is_root() {
                    MAPPED.store(true, Ordering::Relaxed);
                    for (file, text) in [
                        ("setgroups", "deny".to_owned()),
                        ("uid_map", format!("0 {user} 1")),
                        ("gid_map", format!("0 {group} 1")),
                    ] {
                        std::fs::write(format!("/proc/self/{file}"), text).expect("mapped");
                    }
                }
                prepare(hosts);
                test();
            };
            let failed = catch_unwind(AssertUnwindSafe(run)).is_err();
            process::exit_now(i32::from(failed));
        }
        Ok(Cloned::Parent { pidfd, .. }) => {
            let status = waitid(Id::PIDFd(pidfd.as_fd()), WaitPidFlag::WEXITED).expect("its status");
            assert!(matches!(status, WaitStatus::Exited(_, 0)), "the test apart failed: {status:?}");
        }
    }
}

fn prepare(hosts: &str) {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
    let up = Command::new("ip").args(["link", "set", "lo", "up"]).status().expect("ip runs");
    assert!(up.success(), "loopback is up");
    for (file, text) in
        [("hosts", hosts), ("resolv.conf", "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n")]
    {
        let path = std::env::temp_dir().join(format!("repy-broker-{}-{file}", std::process::id()));
        std::fs::write(&path, text).expect("written");
        let target = format!("/etc/{file}");
        // Where there is none to cover, the broker finds none either.
        if std::path::Path::new(&target).exists() {
            mount(Some(&path), target.as_str(), none, MsFlags::MS_BIND, none).expect("covered");
        }
        // The mount keeps the file.
        std::fs::remove_file(&path).expect("removed");
    }
}

/// The name server, played by the test.
pub struct Server(UdpSocket);

impl Server {
    /// Listens; a dead server is one that is never looked at.
    pub fn new() -> Server {
        let socket = UdpSocket::bind("127.0.0.1:53").expect("port 53 of this namespace");
        socket.set_read_timeout(Some(LONG)).expect("set");
        Server(socket)
    }

    /// Answers the next question: with as many addresses from 10.0.0.0 on, cut
    /// to `longest` bytes.
    pub fn answer(&self, addresses: u32, longest: usize) -> Vec<u8> {
        let mut buffer = [0u8; 600];
        let (count, from) = self.0.recv_from(&mut buffer).expect("a question");
        let asked = &buffer[..count];
        self.0.send_to(&reply(asked, addresses, longest), from).expect("answered");
        asked.to_vec()
    }
}

/// An answer to a question for addresses.
pub fn reply(asked: &[u8], addresses: u32, longest: usize) -> Vec<u8> {
    let mut out = asked.to_vec();
    // Where there are none: no such name.
    out[2..4].copy_from_slice(&[0x81, if addresses == 0 { 0x83 } else { 0x80 }]);
    out[6..8].copy_from_slice(&(addresses as u16).to_be_bytes());
    for number in 0..addresses {
        out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        out.extend((0x0a00_0000u32 + number).to_be_bytes());
    }
    if out.len() > longest {
        out.truncate(longest);
        out[2] |= 2;
    }
    out
}
