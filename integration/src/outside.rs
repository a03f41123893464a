//! What a breach test prepares outside the sandbox, and looks at afterwards:
//! "denied" means that the effect is absent there, not only that an error number was seen.

use crate::run::{User, ORDINARY};
use crate::scratch::Scratch;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

/// Content of the file that nothing inside may read.
pub const SECRET: &str = "outside secret\n";
/// Content of the file that nothing inside may write.
pub const UNTOUCHED: &str = "untouched\n";
/// The descriptor left open in the launcher, as a careless parent would.
pub const LEAKED: i32 = 9;

/// mov eax, 42; ret - as a file that an attempt maps.
const CODE: &[u8] = &[0xb8, 42, 0, 0, 0, 0xc3];

/// Listeners, files and a process that attempts aim at.
#[derive(Debug)]
pub struct Outside {
    scratch: Scratch,
    user: User,
    tcp: TcpListener,
    udp: UdpSocket,
    unix: UnixListener,
    unix_path: PathBuf,
    abstract_listener: UnixListener,
    abstract_name: String,
    victim: Child,
    /// What an attempt compares with what it finds: the host's network and name.
    facts: [String; 2],
}

impl Outside {
    /// Prepares everything for attempts made as `user`.
    ///
    /// # Panics
    /// If something cannot be prepared.
    pub fn new(user: User) -> Outside {
        let scratch = Scratch::new("outside");
        let readable = scratch.write("secret", SECRET);
        put_scratch_file(&scratch, user);
        std::fs::set_permissions(&readable, std::fs::Permissions::from_mode(0o644)).expect("mode set");
        std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(0o777)).expect("mode set");

        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        tcp.set_nonblocking(true).expect("non-blocking");
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port");
        udp.set_nonblocking(true).expect("non-blocking");
        let unix_path = scratch.join("socket");
        let unix = UnixListener::bind(&unix_path).expect("a socket file");
        unix.set_nonblocking(true).expect("non-blocking");
        std::fs::set_permissions(&unix_path, std::fs::Permissions::from_mode(0o777)).expect("mode set");
        // Two tests of one process may prepare at once: the directory's name is their own.
        let own = scratch.path().file_name().map(|name| name.to_string_lossy().into_owned());
        let abstract_name = own.unwrap_or_default();
        let address = SocketAddr::from_abstract_name(&abstract_name).expect("an abstract name");
        let abstract_listener = UnixListener::bind_addr(&address).expect("an abstract socket");
        abstract_listener.set_nonblocking(true).expect("non-blocking");
        let victim = victim(user);
        let asked = std::process::Command::new(crate::bin("breach")).arg("network").output();
        let network = asked.map(|run| String::from_utf8_lossy(&run.stdout).trim().to_owned());
        let host_name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let facts =
            [format!("network={}", network.unwrap_or_default()), format!("hostname={}", host_name.trim())];
        Outside { facts, scratch, user, tcp, udp, unix, unix_path, abstract_listener, abstract_name, victim }
    }

    /// A fresh vessel with the things attempts expect to find in it.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn vessel(&self, name: &str, policy: &str) -> PathBuf {
        let owner = (self.user == User::Ordinary).then_some(ORDINARY);
        let vessel = self.scratch.directory(name, owner);
        let put = |name: &str, content: &[u8]| {
            let path = vessel.join(name);
            std::fs::write(&path, content).expect("a file in the vessel");
            if let Some((uid, gid)) = owner {
                std::os::unix::fs::chown(&path, Some(uid), Some(gid)).expect("owner set");
            }
            path
        };
        put("policy.test", policy.as_bytes());
        put("own", b"own file\n");
        put("twin-removable", b"x");
        put("code", &{
            let mut page = CODE.to_vec();
            page.resize(4096, 0);
            page
        });
        let copy = put("program-copy", &std::fs::read(crate::bin("breach")).expect("the breach program"));
        std::fs::set_permissions(copy, std::fs::Permissions::from_mode(0o755)).expect("mode set");
        let script = put("script", b"#!/bin/true\n");
        std::fs::set_permissions(script, std::fs::Permissions::from_mode(0o755)).expect("mode set");
        let link =
            |to: PathBuf, name: &str| std::os::unix::fs::symlink(to, vessel.join(name)).expect("a link");
        link(self.scratch.join("secret"), "link-outside");
        link(self.scratch.path().to_path_buf(), "link-directory");
        link(self.scratch.join("scratchfile.made"), "link-dangling");
        let directory = vessel.join("own-directory");
        std::fs::create_dir(&directory).expect("a directory in the vessel");
        if let Some((uid, gid)) = owner {
            std::os::unix::fs::chown(&directory, Some(uid), Some(gid)).expect("owner set");
        }
        plant_device(&vessel.join("planted-device"));
        vessel
    }

    /// The words that tell an attempt where things are.
    ///
    /// # Panics
    /// If a socket has lost its address.
    pub fn words(&self, vessel_descriptor: i32, exec_descriptor: i32) -> Vec<String> {
        let path = |name: &str| self.scratch.join(name).to_string_lossy().into_owned();
        let [network, host_name] = self.facts.clone();
        vec![
            network,
            host_name,
            format!("outside={}", path("secret")),
            format!("scratchfile={}", path("scratchfile")),
            format!("scratchdir={}", self.scratch.path().display()),
            "policy=policy.test".into(),
            "own=own".into(),
            format!("program={}", crate::run::program_of(self.user, "breach").display()),
            format!("victim={}", self.victim.id()),
            format!("tcp_port={}", self.tcp.local_addr().expect("bound").port()),
            format!("udp_port={}", self.udp.local_addr().expect("bound").port()),
            format!("unix={}", self.unix_path.display()),
            format!("abstract={}", self.abstract_name),
            format!("leaked_fd={LEAKED}"),
            format!("vessel_fd={vessel_descriptor}"),
            format!("exec_fd={exec_descriptor}"),
        ]
    }

    /// The number of the other process.
    pub fn victim(&self) -> u32 {
        self.victim.id()
    }

    /// Everything that differs from what was prepared, as sentences; empty if nothing was reached.
    pub fn differences(&mut self, vessel: &Path, policy: &str) -> Vec<String> {
        let mut found = Vec::new();
        let mut say = |condition: bool, text: &str| {
            if condition {
                found.push(text.to_string());
            }
        };
        let content = std::fs::read_to_string(self.scratch.join("scratchfile")).unwrap_or_default();
        say(content != UNTOUCHED, "the outside file was written");
        let mode =
            std::fs::metadata(self.scratch.join("scratchfile")).map(|m| m.mode() & 0o7777).unwrap_or(0);
        say(mode != 0o666, "the outside file's mode was changed");
        say(self.scratch.join("scratchfile.made").symlink_metadata().is_ok(), "a file was made outside");
        let text = std::fs::read_to_string(vessel.join("policy.test")).unwrap_or_default();
        say(text != policy, "the policy was changed");
        let links = std::fs::metadata(self.scratch.join("scratchfile")).map(|m| m.nlink()).unwrap_or(0);
        say(links != 1, "the outside file was linked");
        for name in [
            "made-link",
            "made-fifo",
            "made-device",
            "made-directory",
            "made-privileged",
            "stolen",
            "own-moved",
        ] {
            say(vessel.join(name).symlink_metadata().is_ok(), &format!("{name} appeared in the vessel"));
        }
        let mode = std::fs::metadata(vessel).map(|m| m.mode() & 0o7777).unwrap_or(0);
        say(mode != 0o755, "the vessel's mode was changed");
        say(accepted(self.tcp.accept()), "a TCP connection arrived");
        say(accepted(self.udp.recv_from(&mut [0u8; 64])), "a datagram arrived");
        say(accepted(self.unix.accept()), "a connection arrived at the socket file");
        say(accepted(self.abstract_listener.accept()), "a connection arrived at the abstract socket");
        let ended = self.victim.try_wait().ok().flatten().is_some();
        say(ended, "the other process was ended");
        if ended {
            self.victim = victim(self.user);
        }
        found
    }

    /// Puts everything back after an attempt that was meant to succeed.
    ///
    /// # Panics
    /// If a file cannot be written.
    pub fn restore(&mut self, vessel: &Path) {
        put_scratch_file(&self.scratch, self.user);
        let made = self.scratch.join("scratchfile.made");
        let _ = std::fs::remove_file(&made).or_else(|_| std::fs::remove_dir(&made));
        let _ = std::fs::remove_file(vessel.join("stolen"));
        // It may have been sent a signal that it has not died of yet.
        let _ = self.victim.kill();
        let _ = self.victim.wait();
        self.victim = victim(self.user);
        let _ = self.differences(vessel, "");
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.victim.kill();
        let _ = self.victim.wait();
    }
}

/// A process of the same user that does nothing and dies of SIGUSR1.
fn victim(user: User) -> Child {
    let mut command = crate::run::system_command(user, "sleep");
    command.arg("3600").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap_or_else(|e| panic!("cannot start sleep: {e}"))
}

/// The file outside that attempts try to change, whatever has become of the one before.
fn put_scratch_file(scratch: &Scratch, user: User) {
    let _ = std::fs::remove_file(scratch.join("scratchfile"));
    let path = scratch.write("scratchfile", UNTOUCHED);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).expect("mode set");
    if user == User::Ordinary {
        std::os::unix::fs::chown(&path, Some(ORDINARY.0), Some(ORDINARY.1)).expect("owner set");
    }
}

/// `/dev/zero` in the vessel, as something that was left there before the run. Only root can,
/// and not on every file system; without it the attempt finds nothing.
fn plant_device(path: &Path) {
    use nix::sys::stat::{makedev, mknod, Mode, SFlag};
    let _ = mknod(path, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), makedev(1, 5));
}

fn accepted<T>(result: std::io::Result<T>) -> bool {
    match result {
        Ok(_) => true,
        Err(e) => e.kind() != ErrorKind::WouldBlock,
    }
}
