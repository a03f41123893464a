//! One look at a live sandbox from outside, by interfaces of the kernel alone.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use procfs::process::{FDTarget, Limit, LimitValue, Process};
use procfs::ProcError;

use super::{group, State};
use crate::registry::record::Expect;
use crate::registry::Found;
use crate::report::sha256;
use crate::sys::dump;

/// What was seen, or why nothing could be.
type Seen = Result<String, String>;

/// A sandbox being looked at.
pub struct Sight<'f> {
    found: &'f Found,
    process: Result<Process, String>,
    filters: OnceCell<Result<Vec<Vec<u8>>, String>>,
}

/// What the plan says, in words.
pub fn expected(expect: &Expect) -> String {
    match expect {
        Expect::GroupFile { path, value } => {
            let name = Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned());
            format!("{} is {value}", name.unwrap_or_default())
        }
        Expect::Member { group } => format!("it is in {group}"),
        Expect::Runs => "it is neither frozen nor stopped".to_owned(),
        Expect::Status { key, value } => format!("{key} is {value}"),
        Expect::Limit { name, value } => format!("RLIMIT_{name} is {value}"),
        Expect::OwnNamespace { kind } => format!("a {kind} namespace of its own"),
        Expect::IdMap { kind, inner, outer } => {
            format!("{kind} {inner} inside is {outer} outside, and no other")
        }
        Expect::Mounts { reserved, idmapped } => format!(
            "the vessel is its only mount: nosuid nodev noexec nosymfollow{}{}",
            if *idmapped { " idmapped" } else { "" },
            if reserved.is_empty() { String::new() } else { format!("; read-only: {}", reserved.join(" ")) }
        ),
        Expect::MemoryFilesystem { bytes, inodes } => {
            format!("the vessel is in memory: tmpfs size={}k nr_inodes={inodes}", bytes / 1024)
        }
        Expect::Root { .. } => "its root directory is the vessel".to_owned(),
        Expect::Descriptors { .. } => "it holds no descriptor of anything outside".to_owned(),
        Expect::Executable { .. } => "the interpreter is what runs".to_owned(),
        Expect::NoEnvironment => "its environment is empty".to_owned(),
        Expect::OnlyLoopback => "its network has no interface but loopback".to_owned(),
        Expect::Ports { .. } => "its sockets are bound to granted ports alone".to_owned(),
        Expect::Filter { instructions, sha256 } => {
            format!(
                "the installed filter has {instructions} instructions, sha256 {}",
                &sha256[..sha256.len().min(16)]
            )
        }
        Expect::Tried { what, .. } => what.clone(),
        Expect::ChildOfLauncher => "it is the launcher's child".to_owned(),
    }
}

impl<'f> Sight<'f> {
    /// Opens the sandbox's directory of /proc: whatever process gets its number
    /// later is not looked at.
    pub fn new(found: &'f Found) -> Sight<'f> {
        let process = Process::new(found.record.sandbox.pid).map_err(|error| told(&error));
        Sight { found, process, filters: OnceCell::new() }
    }

    /// Looks; what came of it, and what was seen.
    pub fn look(&self, expect: &Expect) -> (State, String) {
        match self.compare(expect) {
            Ok((true, seen)) => (State::Ok, seen),
            Ok((false, seen)) => (State::Differs, seen),
            Err(reason) => (State::CannotSee, reason),
        }
    }

    fn process(&self) -> Result<&Process, String> {
        self.process.as_ref().map_err(Clone::clone)
    }

    /// A path below the sandbox's directory of /proc.
    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.found.record.sandbox.pid))
    }

    fn text(&self, name: &str) -> Seen {
        let mut text = String::new();
        let file = self.process()?.open_relative(name).map_err(|error| told(&error))?;
        file.take(1 << 20).read_to_string(&mut text).map_err(|error| reason(&error))?;
        Ok(text)
    }

    fn status(&self, key: &str) -> Seen {
        let text = self.text("status")?;
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let value = line.ok_or_else(|| format!("this kernel does not tell {key}"))?;
        Ok(value.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    fn compare(&self, expect: &Expect) -> Result<(bool, String), String> {
        match expect {
            Expect::GroupFile { path, value } => match group::read(Path::new(path)) {
                Ok(found) => Ok((group::is_value(value, &found), found.trim().to_owned())),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok((false, "it is gone".to_owned())),
                Err(error) => Err(reason(&error)),
            },
            Expect::Member { group } => self.member(group),
            Expect::Runs => self.runs(),
            Expect::Status { key, value } => {
                let found = self.status(key)?;
                Ok((found == *value, found))
            }
            Expect::Limit { name, value } => self.limit(name, *value),
            Expect::OwnNamespace { kind } => self.own_namespace(kind),
            Expect::IdMap { kind, inner, outer } => {
                let found = self.text(&format!("{kind}_map"))?;
                let words: Vec<&str> = found.split_whitespace().collect();
                let (inner, outer) = (inner.to_string(), outer.to_string());
                Ok((words == [inner.as_str(), outer.as_str(), "1"], words.join(" ")))
            }
            Expect::Mounts { reserved, idmapped } => self.mounts(reserved, *idmapped),
            Expect::MemoryFilesystem { bytes, inodes } => self.memory_filesystem(*bytes, *inodes),
            Expect::Root { device, inode } => self.file("root", *device, *inode),
            Expect::Executable { device, inode } => self.file("exe", *device, *inode),
            Expect::Descriptors { network } => self.descriptors(*network),
            Expect::NoEnvironment => {
                let length = self.text("environ")?.len();
                Ok((length == 0, format!("{length} bytes")))
            }
            Expect::OnlyLoopback => {
                let mut names: Vec<String> =
                    self.process()?.dev_status().map_err(|error| told(&error))?.into_keys().collect();
                names.sort();
                Ok((names.iter().all(|name| name == "lo"), names.join(" ")))
            }
            Expect::Ports { udp, tcp, send_anywhere } => self.ports(udp, tcp, *send_anywhere),
            Expect::Filter { sha256, .. } => self.filter(sha256),
            Expect::Tried { holds: true, .. } => Ok((true, "it was seen to hold".to_owned())),
            Expect::Tried { holds: false, .. } => Err("something else would have refused it too".to_owned()),
            Expect::ChildOfLauncher => {
                let found = self.status("PPid")?;
                Ok((found == self.found.record.launcher.pid.to_string(), format!("PPid {found}")))
            }
        }
    }

    fn member(&self, group: &str) -> Result<(bool, String), String> {
        let pid = self.found.record.sandbox.pid.to_string();
        match group::read(&Path::new(group).join("cgroup.procs")) {
            Ok(members) if members.lines().any(|member| member == pid) => Ok((true, "it is".to_owned())),
            Ok(members) => {
                let members: Vec<&str> = members.lines().take(10).collect();
                Ok((false, format!("it is not; its members: {}", members.join(" "))))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok((false, "the group is gone".to_owned()))
            }
            Err(error) => Err(reason(&error)),
        }
    }

    /// Frozen by either version of the freezer, or stopped by a signal or tracer.
    fn runs(&self) -> Result<(bool, String), String> {
        let state = self.status("State")?;
        if state.starts_with(['T', 't']) {
            return Ok((false, format!("State: {state}")));
        }
        for (file, frozen) in self.freezers()? {
            let found = group::read(&file).unwrap_or_default();
            if found.lines().any(|line| line == frozen || (frozen == "FROZEN" && line == "FREEZING")) {
                return Ok((false, format!("{}: {frozen}", file.display())));
            }
        }
        Ok((true, format!("State: {state}")))
    }

    /// The freezer files that concern the sandbox, and the line that says frozen.
    fn freezers(&self) -> Result<Vec<(PathBuf, &'static str)>, String> {
        let groups = self.text("cgroup")?;
        let hierarchies = crate::cgroup::hierarchies().map_err(|error| reason(&error))?;
        let files = hierarchies.into_iter().filter_map(|(controllers, mount)| match controllers {
            None => {
                let path = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
                Some((mount.join(path).join("cgroup.events"), "frozen 1"))
            }
            Some(names) if names.iter().any(|name| name == "freezer") => {
                let path = groups.lines().find_map(|line| {
                    let mut parts = line.splitn(3, ':').skip(1);
                    let freezer = parts.next()?.split(',').any(|name| name == "freezer");
                    freezer.then(|| parts.next()?.strip_prefix('/')).flatten()
                })?;
                Some((mount.join(path).join("freezer.state"), "FROZEN"))
            }
            Some(_) => None,
        });
        Ok(files.collect())
    }

    fn limit(&self, name: &str, value: u64) -> Result<(bool, String), String> {
        let limits = self.process()?.limits().map_err(|error| told(&error))?;
        let Limit { soft_limit, hard_limit } = match name {
            "AS" => limits.max_address_space,
            "FSIZE" => limits.max_file_size,
            "NOFILE" => limits.max_open_files,
            "NPROC" => limits.max_processes,
            "STACK" => limits.max_stack_size,
            "CORE" => limits.max_core_file_size,
            "MEMLOCK" => limits.max_locked_memory,
            "MSGQUEUE" => limits.max_msgqueue_size,
            "RTPRIO" => limits.max_realtime_priority,
            "NICE" => limits.max_nice_priority,
            _ => return Err("this version does not know that limit".to_owned()),
        };
        let number = |limit: LimitValue| match limit {
            LimitValue::Value(value) => value,
            LimitValue::Unlimited => u64::MAX,
        };
        let (soft, hard) = (number(soft_limit), number(hard_limit));
        // What the kernel calls unlimited is a number as well.
        Ok((soft == value && hard == value, format!("soft {soft}, hard {hard}")))
    }

    fn own_namespace(&self, kind: &str) -> Result<(bool, String), String> {
        let kinds = ["user", "mnt", "net", "pid", "ipc", "uts", "cgroup"];
        if !kinds.contains(&kind) {
            return Err("this version does not know that namespace".to_owned());
        }
        let link = |pid: i32| {
            fs::read_link(format!("/proc/{pid}/ns/{kind}"))
                .map(|link| link.to_string_lossy().into_owned())
                .map_err(|error| reason(&error))
        };
        let (inside, outside) = (link(self.found.record.sandbox.pid)?, link(self.found.record.launcher.pid)?);
        Ok((inside != outside, format!("{inside}, the launcher's {outside}")))
    }

    fn mounts(&self, reserved: &[String], idmapped: bool) -> Result<(bool, String), String> {
        let mounts = self.process()?.mountinfo().map_err(|error| told(&error))?.0;
        let mut left: BTreeSet<PathBuf> = reserved.iter().map(|name| Path::new("/").join(name)).collect();
        left.insert(PathBuf::from("/"));
        for mount in &mounts {
            let at = &mount.mount_point;
            if !left.remove(at) {
                return Ok((false, format!("also mounted: {}", at.display())));
            }
            let mut wanted = vec!["nosuid", "nodev", "noexec", "nosymfollow"];
            wanted.extend(idmapped.then_some("idmapped"));
            wanted.extend((at != Path::new("/")).then_some("ro"));
            if let Some(lacks) = wanted.into_iter().find(|option| !mount.mount_options.contains_key(*option))
            {
                return Ok((false, format!("{} is mounted without {lacks}", at.display())));
            }
        }
        match left.first() {
            Some(missing) => Ok((false, format!("{} is not mounted", missing.display()))),
            None => Ok((true, format!("{} mounts", mounts.len()))),
        }
    }

    /// The kernel tells the bounds of the root filesystem with its mount.
    fn memory_filesystem(&self, bytes: u64, inodes: u64) -> Result<(bool, String), String> {
        let mounts = self.process()?.mountinfo().map_err(|error| told(&error))?.0;
        let root = mounts.iter().find(|mount| mount.mount_point == Path::new("/"));
        let root = root.ok_or_else(|| "nothing is mounted at /".to_owned())?;
        let option = |key: &str| root.super_options.get(key).cloned().flatten().unwrap_or_default();
        let (size, entries) = (option("size"), option("nr_inodes"));
        let holds =
            root.fs_type == "tmpfs" && size == format!("{}k", bytes / 1024) && entries == inodes.to_string();
        Ok((holds, format!("{} size={size} nr_inodes={entries}", root.fs_type)))
    }

    fn file(&self, name: &str, device: u64, inode: u64) -> Result<(bool, String), String> {
        let found = fs::metadata(self.path(name)).map_err(|error| reason(&error))?;
        let same = (found.dev(), found.ino()) == (device, inode);
        Ok((same, format!("device {}, inode {}", found.dev(), found.ino())))
    }

    /// Every descriptor: the channels of the contract, the interpreter's own
    /// waiting tools, sockets where there is a network, and files of its mounts.
    fn descriptors(&self, network: bool) -> Result<(bool, String), String> {
        let process = self.process()?;
        let mounts: Vec<i32> =
            process.mountinfo().map_err(|error| told(&error))?.iter().map(|mount| mount.mnt_id).collect();
        let own_root = self.found.record.rows.iter().any(|row| row.step == "root directory");
        let mut count = 0;
        for info in process.fd().map_err(|error| told(&error))? {
            // Closed in between.
            let Ok(info) = info else { continue };
            count += 1;
            let good = match &info.target {
                FDTarget::Pipe(_) => matches!(info.fd, 1 | 2),
                FDTarget::Socket(_) => network || info.fd == 3,
                FDTarget::MemFD(_) => info.fd == 5,
                FDTarget::AnonInode(_) => true,
                FDTarget::Path(path) if path == Path::new("/dev/null") => self.is_null(info.fd),
                // A memory file is shown by a path that no mount has.
                FDTarget::Path(path) if path.starts_with("/memfd:start-block (deleted)") => info.fd == 5,
                FDTarget::Path(_) if own_root => {
                    self.mount_of(info.fd).is_none_or(|mount| mounts.contains(&mount))
                }
                // Without a mount namespace the vessel is a mount that is attached nowhere.
                FDTarget::Path(_) => self.is_of_vessel(info.fd),
                _ => false,
            };
            if !good {
                return Ok((false, format!("number {} is {:?}", info.fd, info.target)));
            }
        }
        Ok((true, format!("{count} descriptors")))
    }

    fn is_null(&self, number: i32) -> bool {
        let found = fs::metadata(self.path(&format!("fd/{number}")));
        found.is_ok_and(|found| found.file_type().is_char_device() && found.rdev() == libc::makedev(1, 3))
    }

    /// Whether a descriptor's file lies in the vessel's file system.
    fn is_of_vessel(&self, number: i32) -> bool {
        let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
        let held = device(&self.path(&format!("fd/{number}")));
        held.is_none_or(|held| device(Path::new(&self.found.record.vessel)) == Some(held))
    }

    /// The mount that a descriptor's file lies in; None if it was closed just now.
    fn mount_of(&self, number: i32) -> Option<i32> {
        let text = self.text(&format!("fdinfo/{number}")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim().parse().ok()
    }

    /// Listening and unconnected sockets that the program holds: a connected one
    /// has the port that the kernel picked.
    fn ports(&self, udp: &[u16], tcp: &[u16], send_anywhere: bool) -> Result<(bool, String), String> {
        let held: BTreeSet<u64> = self
            .process()?
            .fd()
            .map_err(|error| told(&error))?
            .flatten()
            .filter_map(|info| match info.target {
                FDTarget::Socket(inode) => Some(inode),
                _ => None,
            })
            .collect();
        // Sockets come from the broker: they are in the launcher's network.
        let outside = Process::new(self.found.record.launcher.pid).map_err(|error| told(&error))?;
        let mut count = 0;
        for socket in outside.tcp().map_err(|error| told(&error))? {
            if held.contains(&socket.inode) {
                count += 1;
                let port = socket.local_address.port();
                if socket.state == procfs::net::TcpState::Listen && !tcp.contains(&port) {
                    return Ok((false, format!("it listens on TCP port {port}")));
                }
            }
        }
        for socket in outside.udp().map_err(|error| told(&error))? {
            if held.contains(&socket.inode) {
                count += 1;
                let port = socket.local_address.port();
                let connected = socket.remote_address.port() != 0;
                if !connected && !send_anywhere && !udp.contains(&port) {
                    return Ok((false, format!("it holds UDP port {port}")));
                }
            }
        }
        Ok((true, format!("{count} sockets")))
    }

    fn filter(&self, sha256: &str) -> Result<(bool, String), String> {
        let read = || {
            dump::filters(self.found.record.sandbox.pid).map_err(|errno| match errno.0 {
                libc::ETIMEDOUT => "the process does not hold still (is it frozen?)".to_owned(),
                libc::EPERM | libc::EACCES => {
                    "the kernel shows filters only to root, and not to a process that has one itself"
                        .to_owned()
                }
                libc::EIO => "this kernel was built without reading filters back".to_owned(),
                code => reason(&io::Error::from_raw_os_error(code)),
            })
        };
        let filters = self.filters.get_or_init(read).as_ref().map_err(Clone::clone)?;
        // The one installed last is the first; others came with the launcher.
        match filters.first() {
            Some(bytes) => {
                let found = sha256::hex(bytes);
                Ok((found == sha256, format!("{} instructions, sha256 {found}", bytes.len() / 8)))
            }
            None => Ok((false, "no filter".to_owned())),
        }
    }
}

fn told(error: &ProcError) -> String {
    match error {
        ProcError::PermissionDenied(_) => "permission denied".to_owned(),
        ProcError::NotFound(_) => "not there (the process ended, or this kernel lacks it)".to_owned(),
        other => other.to_string(),
    }
}

fn reason(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => nix::errno::Errno::from_raw(number).desc().to_owned(),
        None => error.to_string(),
    }
}
