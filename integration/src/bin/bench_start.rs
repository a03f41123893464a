//! Start-to-exit of example 1.1, in ratios taken in one run: the launcher against
//! a static program that does nothing and, where it is installed, against
//! `bwrap --unshare-all` around the same program: with no more than the program needs,
//! and with a full profile, a system call filter among it.
//!
//! `bench_start [ROUNDS [PAUSE]]`: rounds are interleaved, so that a machine that becomes
//! slower in between slows every row. With a pause (milliseconds) before each start the
//! processors go to sleep in between, as they do before the command of a person.
//!
//! Copies of the binaries are run, as they are after an installation: what a linker has
//! just written lies in the page cache in single pages, and starts up to a third slower.

use integration::bin;
use integration::scratch::Scratch;
use std::fs::File;
use std::io::Seek;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

struct Row {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    times: Vec<Duration>,
    /// What the command reads from a descriptor that it inherits.
    inherited: Option<File>,
}

impl Row {
    fn new(name: &'static str, program: impl Into<PathBuf>, arguments: &[&str]) -> Row {
        let arguments = arguments.iter().map(|a| a.to_string()).collect();
        Row { name, program: program.into(), arguments, times: Vec::new(), inherited: None }
    }

    /// Starts the command (std uses vfork and exec where it can), waits, and notes the time.
    fn round(&mut self, directory: &Path, pause: Duration) {
        std::thread::sleep(pause);
        if let Some(Err(error)) = self.inherited.as_mut().map(File::rewind) {
            panic!("cannot go back to the beginning of the filter: {error}");
        }
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(directory);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let status = command.status();
        let elapsed = start.elapsed();
        match status {
            Ok(status) if status.success() => self.times.push(elapsed),
            other => {
                eprintln!("{}: {:?} {:?}: {other:?}", self.name, self.program, self.arguments);
                std::process::exit(1);
            }
        }
    }

    fn percentile(&mut self, percent: usize) -> f64 {
        self.times.sort();
        let index = (self.times.len() - 1) * percent / 100;
        self.times[index].as_secs_f64() * 1e6
    }
}

fn main() {
    let number = |place: usize| std::env::args().nth(place).and_then(|word| word.parse::<u32>().ok());
    let rounds = number(1).unwrap_or(100) as usize;
    let pause = Duration::from_millis(number(2).unwrap_or(0).into());
    let scratch = Scratch::new("bench-start");
    let vessel = scratch.directory("vessel", None);
    let root = integration::project_root();
    let policy = root.join("policies/restrictions.test").to_string_lossy().into_owned();
    let program = root.join("examples/example.1.1.repy").to_string_lossy().into_owned();
    let copy = |name: &str| {
        let path = scratch.path().join(name);
        std::fs::copy(bin(name), &path).unwrap_or_else(|error| panic!("cannot copy {name}: {error}"));
        path
    };
    let (plain, launcher) = (copy("plain_true"), copy("repy-launch"));
    copy("repy-interp");

    let launch = ["--policy", &policy, &program];
    let mut rows = vec![Row::new("static program that does nothing", &plain, &[])];
    if integration::is_root() {
        rows.push(Row::new("repy-launch, every layer", &launcher, &launch));
    }
    let without = ["--without", "cgroup", "--policy", &policy, &program];
    rows.push(Row::new("repy-launch --without cgroup", &launcher, &without));
    if installed("bwrap") {
        let need = Bubblewrap { program: &plain, vessel: &vessel };
        rows.push(Row::new("bwrap --unshare-all, what the program needs", "bwrap", &need.least()));
        let filter = scratch.write("filter.bpf", filter());
        rows.push(need.full(&filter));
    } else {
        println!("(bwrap is not installed: its rows are missing; Debian's package is bubblewrap)");
    }

    // What a start leaves to the kernel (namespaces, groups) slows whatever comes next: rows
    // come behind each other by chance.
    let mut order: Vec<usize> = (0..rows.len()).collect();
    let mut random = 0x2545_f491_4f6c_dd1d;
    for round in 0..=rounds {
        shuffle(&mut order, &mut random);
        for &place in &order {
            let row = &mut rows[place];
            row.round(&vessel, pause);
            if round == 0 {
                row.times.clear(); // the first fills the caches
            }
        }
    }
    print_table(&mut rows, rounds, pause);
}

/// Puts the places in an order by chance (Fisher and Yates, numbers by xorshift).
fn shuffle(order: &mut [usize], random: &mut u64) {
    for last in (1..order.len()).rev() {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        order.swap(last, (*random % (last as u64 + 1)) as usize);
    }
}

fn installed(program: &str) -> bool {
    let found = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// The same kind of static program as the first row runs, in bubblewrap.
struct Bubblewrap<'a> {
    program: &'a Path,
    vessel: &'a Path,
}

impl Bubblewrap<'_> {
    /// New namespaces, own /proc, /dev and /tmp, no capabilities.
    fn least(&self) -> Vec<&str> {
        let mut words = vec!["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"];
        words.extend(["--ro-bind", "/usr", "/usr", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]);
        words.extend(self.program());
        words
    }

    /// Beside that the tree of bubblewrap's own example of a shell (links into /usr, users,
    /// groups and name servers), and a filter.
    fn full(&self, filter: &Path) -> Row {
        let file = File::open(filter).unwrap_or_else(|error| panic!("cannot open the filter: {error}"));
        nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))
            .unwrap_or_else(|error| panic!("cannot pass the filter on: {error}"));
        let descriptor = std::os::fd::AsRawFd::as_raw_fd(&file).to_string();
        let mut words = vec!["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"];
        words.extend(["--seccomp", &descriptor, "--ro-bind", "/usr", "/usr"]);
        words.extend(["--dir", "/tmp", "--dir", "/var", "--symlink", "../tmp", "var/tmp"]);
        words.extend(["--proc", "/proc", "--dev", "/dev"]);
        for path in ["/etc/resolv.conf", "/etc/passwd", "/etc/group"] {
            words.extend(["--ro-bind-try", path, path]);
        }
        for (target, path) in
            [("usr/lib", "/lib"), ("usr/lib64", "/lib64"), ("usr/bin", "/bin"), ("usr/sbin", "/sbin")]
        {
            words.extend(["--symlink", target, path]);
        }
        words.extend(self.program());
        Row {
            inherited: Some(file),
            ..Row::new("bwrap --unshare-all, full profile with a filter", "bwrap", &words)
        }
    }

    fn program(&self) -> [&str; 9] {
        let (program, vessel) = (text(self.program), text(self.vessel));
        ["--bind", vessel, "/vessel", "--ro-bind", program, "/program", "--chdir", "/vessel", "/program"]
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap_or_else(|| panic!("{}: the path is not UTF-8", path.display()))
}

/// About as many calls as the interpreter's own filter allows, those of the program among them.
const ALLOWED: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_close,
    libc::SYS_openat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_lseek,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_munmap,
    libc::SYS_brk,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_ioctl,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_sched_yield,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_dup,
    libc::SYS_nanosleep,
    libc::SYS_getpid,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_accept4,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_execve,
    libc::SYS_uname,
    libc::SYS_fcntl,
    libc::SYS_ftruncate,
    libc::SYS_fsync,
    libc::SYS_getdents64,
    libc::SYS_unlinkat,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    libc::SYS_getrusage,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_sigaltstack,
    libc::SYS_prctl,
    libc::SYS_gettid,
    libc::SYS_tgkill,
    libc::SYS_futex,
    libc::SYS_sched_getaffinity,
    libc::SYS_set_tid_address,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_timerfd_create,
    libc::SYS_timerfd_settime,
    libc::SYS_ppoll,
    libc::SYS_set_robust_list,
    libc::SYS_prlimit64,
    libc::SYS_getrandom,
    libc::SYS_rseq,
    libc::SYS_wait4,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_arch_prctl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
];

/// A filter as one writes it by hand: the right architecture, then one comparison for each
/// allowed call, and EPERM for all others.
fn filter() -> Vec<u8> {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const ARCHITECTURE: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
    let mut program = Vec::new();
    let mut instruction = |code: u16, otherwise: u8, value: u32| {
        program.extend(code.to_ne_bytes());
        program.extend([0, otherwise]);
        program.extend(value.to_ne_bytes());
    };
    instruction(LOAD, 0, 4); // seccomp_data.arch
    instruction(EQUAL, 1, ARCHITECTURE); // another: the comparisons below find no call
    instruction(LOAD, 0, 0); // seccomp_data.nr
    for number in ALLOWED {
        instruction(EQUAL, 1, u32::try_from(*number).unwrap_or(u32::MAX));
        instruction(RETURN, 0, libc::SECCOMP_RET_ALLOW);
    }
    instruction(RETURN, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32);
    program
}

fn print_table(rows: &mut [Row], rounds: usize, pause: Duration) {
    let plain = rows[0].percentile(50);
    let mut bwrap = |with: &str| {
        let found = rows.iter_mut().find(|row| row.name.starts_with("bwrap") && row.name.ends_with(with));
        found.map(|row| row.percentile(50))
    };
    let (least, full) = (bwrap("needs"), bwrap("filter"));
    let pause = if pause.is_zero() { String::new() } else { format!(" after {} ms each", pause.as_millis()) };
    println!(
        "| command ({rounds} interleaved rounds{pause}, microseconds) | p50 | p10 | p90 | x plain | x bwrap, least | x bwrap, full |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    for row in rows {
        let (low, middle, high) = (row.percentile(10), row.percentile(50), row.percentile(90));
        let against = |bwrap: Option<f64>| bwrap.map_or("-".into(), |bwrap| format!("{:.2}", middle / bwrap));
        println!(
            "| {} | {middle:.0} | {low:.0} | {high:.0} | {:.2} | {} | {} |",
            row.name,
            middle / plain,
            against(least),
            against(full)
        );
    }
}
