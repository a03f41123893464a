//! The shell command with which anyone can check a line without this tool.

use crate::registry::record::Expect;
use crate::registry::Found;

/// The command for one look. Numbers and quoted paths only: a record may come from
/// another user, and a person may paste this into a shell.
pub fn of(expect: &Expect, found: &Found) -> String {
    let pid = found.record.sandbox.pid;
    let launcher = found.record.launcher.pid;
    match expect {
        Expect::GroupFile { path, .. } => format!("cat {}", quoted(path)),
        Expect::Member { group } => format!("grep -x {pid} {}", quoted(&format!("{group}/cgroup.procs"))),
        Expect::Runs => format!("grep State: /proc/{pid}/status; cat /proc/{pid}/cgroup"),
        Expect::Status { key, .. } => format!("grep {} /proc/{pid}/status", quoted(&format!("^{key}:"))),
        Expect::Limit { name, .. } => format!("prlimit --pid {pid} --{}", option(name)),
        Expect::OwnNamespace { kind } => {
            format!(
                "readlink {} {}",
                quoted(&format!("/proc/{pid}/ns/{kind}")),
                quoted(&format!("/proc/{launcher}/ns/{kind}"))
            )
        }
        Expect::IdMap { kind, .. } => format!("cat {}", quoted(&format!("/proc/{pid}/{kind}_map"))),
        Expect::Mounts { .. } => format!("cat /proc/{pid}/mountinfo"),
        Expect::MemoryFilesystem { .. } => format!("grep ' / / ' /proc/{pid}/mountinfo"),
        Expect::Root { .. } => format!("stat -L -c '%d %i' /proc/{pid}/root"),
        Expect::Descriptors { .. } => format!("ls -l /proc/{pid}/fd"),
        Expect::Executable { .. } => format!("stat -L -c '%d %i' /proc/{pid}/exe"),
        Expect::NoEnvironment => format!("wc -c /proc/{pid}/environ"),
        Expect::OnlyLoopback => format!("cat /proc/{pid}/net/dev"),
        Expect::Ports { .. } => {
            format!("ls -l /proc/{pid}/fd; cat /proc/{launcher}/net/tcp /proc/{launcher}/net/udp")
        }
        Expect::Filter { .. } => FILTER.replace("PID", &pid.to_string()),
        Expect::Tried { .. } => format!("cat {}", quoted(&found.path.to_string_lossy())),
        Expect::ChildOfLauncher => format!("grep PPid: /proc/{pid}/status"),
    }
}

/// The filter as the kernel has it, by root: number of instructions and digest.
const FILTER: &str = "python3 -c 'import ctypes as c,os,hashlib as h;L=c.CDLL(None);t=lambda r,a,d:L.ptrace(r,PID,c.c_void_p(a),d);\
t(0x4206,0,None);t(0x4207,0,None);os.waitpid(PID,0x40000000);n=t(0x420c,0,None);b=c.create_string_buffer(8*n);t(0x420c,0,b);\
t(17,0,None);print(n,h.sha256(b.raw).hexdigest())'";

/// The option of prlimit(1) for a limit.
fn option(name: &str) -> &'static str {
    match name {
        "AS" => "as",
        "FSIZE" => "fsize",
        "NOFILE" => "nofile",
        "NPROC" => "nproc",
        "STACK" => "stack",
        "CORE" => "core",
        "MEMLOCK" => "memlock",
        "MSGQUEUE" => "msgqueue",
        "RTPRIO" => "rtprio",
        "NICE" => "nice",
        _ => "output=RESOURCE",
    }
}

/// A word that a shell takes as it is.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:^@".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let visible: String = text.chars().filter(|letter| !letter.is_control()).collect();
    format!("'{}'", visible.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_paths_as_they_are() {
        assert_eq!(quoted("/sys/fs/cgroup/a-b"), "/sys/fs/cgroup/a-b");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("$(rm x)'\n"), "'$(rm x)'\\'''");
    }
}
