//! Parts of the kernel that a Repy program has no use for, and foreign doors into it.

use crate::attempt::{Attempt, Given, Outcome, Twin};
use crate::sys::{address, address_mut, call, path, text};
use libc::*;

/// Calls `number` with arguments that a kernel which has the call judges invalid:
/// outside the sandbox any answer but ENOSYS or EPERM shows that it was reached.
fn probe(number: i64, arguments: &[i64]) -> Outcome {
    match call(number, arguments) {
        Ok(value) => Outcome::Reached(format!("returned {value}")),
        Err(ENOSYS) => Outcome::Refused(ENOSYS),
        Err(other) => Outcome::judged(other),
    }
}

fn io_uring(_: &Given) -> Outcome {
    let parameters = [0u8; 120];
    probe(SYS_io_uring_setup, &[1, address(&parameters)])
}
/// Opens a file by a ring, without the call that the filter would see.
fn io_uring_open(given: &Given) -> Outcome {
    let name = path(given.text("outside"));
    Outcome::when(ring_open(text(&name)), |descriptor| descriptor >= 0)
}
/// struct io_uring_params: entries, …, offsets of the submission queue at word 10, of the
/// completion queue at word 20.
fn ring_open(name: i64) -> Result<i64, i32> {
    let parameters = [0u32; 30];
    let ring = call(SYS_io_uring_setup, &[1, address(&parameters)])?;
    let protection = (PROT_READ | PROT_WRITE) as i64;
    let map = |offset: i64| call(SYS_mmap, &[0, 4096, protection, MAP_SHARED as i64, ring, offset]);
    let (queue, answers, entries) = (map(0)?, map(0x800_0000)?, map(0x1000_0000)?);
    let offset = |word: usize| i64::from(crate::sys::read_u32(address(&parameters[word])));
    let mut entry = [0u8; 64];
    entry[0] = 18; // IORING_OP_OPENAT
    entry[4..8].copy_from_slice(&AT_FDCWD.to_ne_bytes());
    entry[16..24].copy_from_slice(&name.to_ne_bytes());
    crate::sys::put(entries, &entry);
    crate::sys::put(queue + offset(16), &0u32.to_ne_bytes());
    crate::sys::put(queue + offset(11), &1u32.to_ne_bytes());
    call(SYS_io_uring_enter, &[ring, 1, 1, 1, 0, 0])?;
    let result = crate::sys::read_u32(answers + offset(25) + 8) as i32;
    if result < 0 {
        Err(-result)
    } else {
        Ok(i64::from(result))
    }
}
fn bpf(_: &Given) -> Outcome {
    // BPF_MAP_CREATE: an array of one entry.
    let attributes = [2u32, 4, 4, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    Outcome::of(call(SYS_bpf, &[0, address(&attributes), 72]))
}
fn perf(_: &Given) -> Outcome {
    // A software counter of one processor, whatever runs there.
    let mut attributes = [0u32; 32];
    attributes[0] = 1;
    attributes[1] = 128;
    Outcome::of(call(SYS_perf_event_open, &[address(&attributes), -1, 0, -1, 0]))
}
fn userfaultfd(_: &Given) -> Outcome {
    probe(SYS_userfaultfd, &[0])
}
fn add_key(_: &Given) -> Outcome {
    let (kind, name) = (path("user"), path("breach"));
    probe(SYS_add_key, &[text(&kind), text(&name), address(b"x"), 1, -1])
}
fn keyctl(_: &Given) -> Outcome {
    probe(SYS_keyctl, &[0, -3, 0])
}
fn mount(_: &Given) -> Outcome {
    // A type that no kernel has: whether the caller may mount is asked before.
    let (here, kind) = (path("."), path("breachfs"));
    match call(SYS_mount, &[text(&here), text(&here), text(&kind), 0, 0]) {
        Err(ENODEV) => Outcome::judged(ENODEV),
        other => Outcome::of(other),
    }
}
fn umount(_: &Given) -> Outcome {
    let name = path(".");
    match call(SYS_umount2, &[text(&name), 0]) {
        Err(EINVAL) => Outcome::judged(EINVAL),
        other => Outcome::of(other),
    }
}
fn pivot_root(_: &Given) -> Outcome {
    let name = path("nowhere");
    probe(SYS_pivot_root, &[text(&name), text(&name)])
}
fn open_tree(_: &Given) -> Outcome {
    // OPEN_TREE_CLONE: a mount of its own, of this directory.
    let name = path(".");
    Outcome::of(call(SYS_open_tree, &[AT_FDCWD as i64, text(&name), 1]))
}
fn move_mount(_: &Given) -> Outcome {
    let name = path("nowhere");
    probe(SYS_move_mount, &[AT_FDCWD as i64, text(&name), AT_FDCWD as i64, text(&name), 0])
}
fn fsopen(_: &Given) -> Outcome {
    let name = path("nowhere");
    probe(SYS_fsopen, &[text(&name), 0])
}
fn fsconfig(_: &Given) -> Outcome {
    let (kind, flag) = (path("tmpfs"), path("ro"));
    let opened = call(SYS_fsopen, &[text(&kind), 0]);
    Outcome::of(opened.and_then(|context| call(SYS_fsconfig, &[context, 0, text(&flag), 0, 0])))
}
fn fsmount(_: &Given) -> Outcome {
    probe(SYS_fsmount, &[-1, 0, 0])
}
fn fspick(_: &Given) -> Outcome {
    let name = path("nowhere");
    probe(SYS_fspick, &[AT_FDCWD as i64, text(&name), 0])
}
fn mount_setattr(_: &Given) -> Outcome {
    // Nothing to set: whether the caller may is asked all the same.
    let (name, attributes) = (path("."), [0u64; 4]);
    Outcome::of(call(SYS_mount_setattr, &[AT_FDCWD as i64, text(&name), 0, address(&attributes), 32]))
}
fn module_load(_: &Given) -> Outcome {
    probe(SYS_finit_module, &[-1, 0, 0])
}
fn module_unload(_: &Given) -> Outcome {
    let name = path("nowhere");
    probe(SYS_delete_module, &[text(&name), 0])
}
fn kexec(_: &Given) -> Outcome {
    probe(SYS_kexec_load, &[0, 99, 0, -1])
}
fn reboot(_: &Given) -> Outcome {
    // Wrong magic numbers: refused by every kernel, but only after the filter.
    probe(SYS_reboot, &[0, 0, 0, 0])
}
fn swap_on(_: &Given) -> Outcome {
    let name = path("nowhere");
    probe(SYS_swapon, &[text(&name), 0])
}
fn acct(_: &Given) -> Outcome {
    let name = path("nowhere");
    probe(SYS_acct, &[text(&name)])
}
fn syslog(_: &Given) -> Outcome {
    probe(SYS_syslog, &[10, 0, 0])
}
fn clock_set(_: &Given) -> Outcome {
    // No time and no zone: only the right to set them is looked at.
    Outcome::of(call(SYS_settimeofday, &[0, 0]))
}
fn clock_adjust(_: &Given) -> Outcome {
    // ADJ_TICK with a length that no kernel takes.
    let mut values = [0u64; 32];
    values[0] = 0x4000;
    match call(SYS_adjtimex, &[address_mut(&mut values)]) {
        Err(EINVAL) => Outcome::judged(EINVAL),
        other => Outcome::of(other),
    }
}
fn fanotify(_: &Given) -> Outcome {
    probe(SYS_fanotify_init, &[-1, 0])
}

/// An ioctl on the output pipe. TIOCSTI types into a terminal; the kernel compares
/// only the lower 32 bits of the number, so the upper ones are made dirty.
fn ioctl_dirty(request: u64) -> Outcome {
    probe(SYS_ioctl, &[1, (request | 0xdead_0000_0000_0000) as i64, address(b"x")])
}
/// A terminal of this program's own, where there is a device for it.
fn terminal() -> Result<i64, i32> {
    let name = path("/dev/ptmx");
    let master = call(SYS_openat, &[AT_FDCWD as i64, text(&name), (O_RDWR | O_NOCTTY) as i64])?;
    let unlocked = 0i32;
    call(SYS_ioctl, &[master, TIOCSPTLCK as i64, address(&unlocked)])?;
    call(SYS_ioctl, &[master, TIOCGPTPEER as i64, (O_RDWR | O_NOCTTY) as i64])
}
/// A character typed into a terminal: one of its own, or whatever the first three descriptors are.
fn typed(upper: u64) -> Outcome {
    let request = (TIOCSTI | upper) as i64;
    let own = terminal();
    // Without a device for terminals (a guest), that is the reason to tell.
    let mut last = own.and(Err(ENOTTY));
    for candidate in [own, Ok(0), Ok(1), Ok(2)] {
        match candidate.and_then(|fd| call(SYS_ioctl, &[fd, request, address(b"x")])) {
            Ok(value) => return Outcome::Reached(format!("returned {value}")),
            Err(EIO) => last = Err(EIO),
            Err(_) => {}
        }
    }
    // The host may have switched it off for everybody.
    if last == Err(EIO) {
        Outcome::judged(EIO)
    } else {
        Outcome::of(last)
    }
}
fn tiocsti(_: &Given) -> Outcome {
    typed(0)
}
fn tiocsti_dirty(_: &Given) -> Outcome {
    typed(0xdead_0000_0000_0000)
}
fn window_size_dirty(_: &Given) -> Outcome {
    let mut size = [0u16; 4];
    let request = (TIOCGWINSZ | 0xdead_0000_0000_0000) as i64;
    Outcome::of(terminal().and_then(|fd| call(SYS_ioctl, &[fd, request, address_mut(&mut size)])))
}
fn tioclinux_dirty(_: &Given) -> Outcome {
    ioctl_dirty(0x541c)
}
fn set_flags(given: &Given) -> Outcome {
    let flags = 0x10i64;
    probe(SYS_ioctl, &[given.number("vessel_fd"), 0x4008_6602, address(&flags)])
}

#[cfg(target_arch = "x86_64")]
fn int80(_: &Given) -> Outcome {
    match crate::sys::int80(20) {
        n if n > 0 => Outcome::Reached(format!("getpid answered {n}")),
        n => Outcome::Refused(-n),
    }
}
#[cfg(target_arch = "x86_64")]
fn int80_fork(_: &Given) -> Outcome {
    match crate::sys::int80(2) {
        0 => {
            let _ = call(SYS_exit_group, &[0]);
            Outcome::Refused(0)
        }
        n if n > 0 => Outcome::Reached(format!("returned {n}")),
        n => Outcome::Refused(-n),
    }
}
#[cfg(target_arch = "x86_64")]
fn io_privilege(_: &Given) -> Outcome {
    Outcome::of(call(SYS_iopl, &[3]))
}
#[cfg(target_arch = "x86_64")]
fn io_ports(_: &Given) -> Outcome {
    Outcome::of(call(SYS_ioperm, &[0x80, 1, 1]))
}
#[cfg(target_arch = "x86_64")]
fn x32_getpid(_: &Given) -> Outcome {
    foreign(0x4000_0000 + 39)
}
#[cfg(target_arch = "x86_64")]
fn x32_open(_: &Given) -> Outcome {
    foreign(0x4000_0000 + 2)
}
#[cfg(target_arch = "x86_64")]
fn x32_fork(_: &Given) -> Outcome {
    match foreign(0x4000_0000 + 57) {
        Outcome::Reached(text) => {
            if text == "returned 0" {
                let _ = call(SYS_exit_group, &[0]);
            }
            Outcome::Reached(text)
        }
        other => other,
    }
}
/// A number of the x32 interface: kernels without it answer ENOSYS, which also shows the door was open.
fn foreign(number: i64) -> Outcome {
    match call(number, &[]) {
        Err(number) => Outcome::Reached(format!("answered with error {number}")),
        Ok(value) => Outcome::Reached(format!("returned {value}")),
    }
}
fn number_beyond_table(_: &Given) -> Outcome {
    foreign(9999)
}
fn negative_number(_: &Given) -> Outcome {
    foreign(-5)
}
fn future_number(_: &Given) -> Outcome {
    foreign(600)
}

macro_rules! attempts {
    ($($name:literal $function:ident;)*) => {
        /// The attempts of this class.
        pub const ATTEMPTS: &[Attempt] =
            &[$(Attempt { name: $name, class: "kernel", run: $function, twin: Twin::Outside }),*];
    };
}

attempts! {
    "io-uring-setup" io_uring;
    "io-uring-open" io_uring_open;
    "ioctl-window-size-dirty" window_size_dirty;
    "userfaultfd" userfaultfd;
    "add-key" add_key;
    "keyctl" keyctl;
    "pivot-root" pivot_root;
    "move-mount" move_mount;
    "fsopen" fsopen;
    "fsmount" fsmount;
    "fspick" fspick;
    "module-load" module_load;
    "module-unload" module_unload;
    "kexec" kexec;
    "reboot" reboot;
    "swap-on" swap_on;
    "acct" acct;
    "syslog" syslog;
    "fanotify" fanotify;
    "ioctl-tioclinux-dirty" tioclinux_dirty;
    "ioctl-set-flags" set_flags;
    "number-beyond-table" number_beyond_table;
    "number-negative" negative_number;
    "number-future" future_number;
}

/// The attempts whose twin only root can show.
pub const PRIVILEGED: &[Attempt] = &[
    Attempt { name: "bpf", class: "kernel", run: bpf, twin: Twin::OutsideAsRoot },
    Attempt { name: "perf-event", class: "kernel", run: perf, twin: Twin::OutsideAsRoot },
    Attempt { name: "mount", class: "kernel", run: mount, twin: Twin::OutsideAsRoot },
    Attempt { name: "umount", class: "kernel", run: umount, twin: Twin::OutsideAsRoot },
    Attempt { name: "open-tree", class: "kernel", run: open_tree, twin: Twin::OutsideAsRoot },
    Attempt { name: "fsconfig", class: "kernel", run: fsconfig, twin: Twin::OutsideAsRoot },
    Attempt { name: "mount-setattr", class: "kernel", run: mount_setattr, twin: Twin::OutsideAsRoot },
    Attempt { name: "clock-set", class: "kernel", run: clock_set, twin: Twin::OutsideAsRoot },
    Attempt { name: "clock-adjust", class: "kernel", run: clock_adjust, twin: Twin::OutsideAsRoot },
    Attempt { name: "ioctl-tiocsti", class: "kernel", run: tiocsti, twin: Twin::OutsideAsRoot },
    Attempt { name: "ioctl-tiocsti-dirty", class: "kernel", run: tiocsti_dirty, twin: Twin::OutsideAsRoot },
];

/// The attempts that only x86-64 knows.
#[cfg(target_arch = "x86_64")]
pub const FOREIGN: &[Attempt] = &[
    Attempt { name: "int80", class: "kernel", run: int80, twin: Twin::Outside },
    Attempt { name: "int80-fork", class: "kernel", run: int80_fork, twin: Twin::Outside },
    Attempt { name: "io-privilege", class: "kernel", run: io_privilege, twin: Twin::OutsideAsRoot },
    Attempt { name: "io-ports", class: "kernel", run: io_ports, twin: Twin::OutsideAsRoot },
    Attempt { name: "x32-getpid", class: "kernel", run: x32_getpid, twin: Twin::Outside },
    Attempt { name: "x32-open", class: "kernel", run: x32_open, twin: Twin::Outside },
    Attempt { name: "x32-fork", class: "kernel", run: x32_fork, twin: Twin::Outside },
];
/// Elsewhere there are none.
#[cfg(not(target_arch = "x86_64"))]
pub const FOREIGN: &[Attempt] = &[];
