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
        Err(other) => Outcome::Reached(format!("judged by its arguments: error {other}")),
    }
}

fn io_uring(_: &Given) -> Outcome {
    let parameters = [0u8; 120];
    probe(SYS_io_uring_setup, &[1, address(&parameters)])
}
fn io_uring_enter(_: &Given) -> Outcome {
    probe(SYS_io_uring_enter, &[-1, 0, 0, 0])
}
fn io_uring_register(_: &Given) -> Outcome {
    probe(SYS_io_uring_register, &[-1, 0, 0, 0])
}
fn bpf(_: &Given) -> Outcome {
    probe(SYS_bpf, &[0, 0, 0])
}
fn perf(_: &Given) -> Outcome {
    probe(SYS_perf_event_open, &[0, 0, -1, -1, 0])
}
fn userfaultfd(_: &Given) -> Outcome {
    probe(SYS_userfaultfd, &[0])
}
fn add_key(_: &Given) -> Outcome {
    let (kind, name) = (path("user"), path("breach"));
    probe(SYS_add_key, &[text(&kind), text(&name), address(b"x"), 1, -1])
}
fn request_key(_: &Given) -> Outcome {
    let (kind, name) = (path("user"), path("absent"));
    probe(SYS_request_key, &[text(&kind), text(&name), 0, 0])
}
fn keyctl(_: &Given) -> Outcome {
    probe(SYS_keyctl, &[0, -3, 0])
}
fn mount(_: &Given) -> Outcome {
    let name = path("nowhere");
    probe(SYS_mount, &[text(&name), text(&name), text(&name), 0, 0])
}
fn umount(_: &Given) -> Outcome {
    let name = path("nowhere");
    probe(SYS_umount2, &[text(&name), 0])
}
fn pivot_root(_: &Given) -> Outcome {
    let name = path("nowhere");
    probe(SYS_pivot_root, &[text(&name), text(&name)])
}
fn open_tree(_: &Given) -> Outcome {
    let name = path("nowhere");
    probe(SYS_open_tree, &[AT_FDCWD as i64, text(&name), 0])
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
    probe(SYS_fsconfig, &[-1, 0, 0, 0, 0])
}
fn fsmount(_: &Given) -> Outcome {
    probe(SYS_fsmount, &[-1, 0, 0])
}
fn fspick(_: &Given) -> Outcome {
    let name = path("nowhere");
    probe(SYS_fspick, &[AT_FDCWD as i64, text(&name), 0])
}
fn mount_setattr(_: &Given) -> Outcome {
    probe(SYS_mount_setattr, &[-1, 0, 0, 0, 0])
}
fn landlock_create(_: &Given) -> Outcome {
    // Version query: gives the ABI number.
    probe(SYS_landlock_create_ruleset, &[0, 0, 1])
}
fn landlock_restrict(_: &Given) -> Outcome {
    probe(SYS_landlock_restrict_self, &[-1, 0])
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
fn quotactl(_: &Given) -> Outcome {
    probe(SYS_quotactl, &[-1, 0, 0, 0])
}
fn clock_set(_: &Given) -> Outcome {
    probe(SYS_clock_settime, &[-99, 0])
}
fn clock_adjust(_: &Given) -> Outcome {
    probe(SYS_clock_adjtime, &[-99, 0])
}
fn aio_setup(_: &Given) -> Outcome {
    probe(SYS_io_setup, &[0, 0])
}
fn message_queue(_: &Given) -> Outcome {
    let name = path("breach");
    probe(SYS_mq_open, &[text(&name), O_RDONLY as i64])
}
fn shared_memory(_: &Given) -> Outcome {
    probe(SYS_shmget, &[0, 4096, 0])
}
fn semaphore(_: &Given) -> Outcome {
    probe(SYS_semget, &[0, 0, 0])
}
fn system_v_queue(_: &Given) -> Outcome {
    probe(SYS_msgget, &[1, 0])
}
fn fanotify(_: &Given) -> Outcome {
    probe(SYS_fanotify_init, &[-1, 0])
}
fn signalfd(_: &Given) -> Outcome {
    let mask = 0u64;
    probe(SYS_signalfd4, &[-1, address(&mask), 8, 0])
}
fn membarrier(_: &Given) -> Outcome {
    probe(SYS_membarrier, &[0, 0])
}
fn set_mempolicy(_: &Given) -> Outcome {
    probe(SYS_set_mempolicy, &[0, 0, 0])
}
fn move_pages(_: &Given) -> Outcome {
    probe(SYS_move_pages, &[0, 0, 0, 0, 0, 0])
}
fn vmsplice(_: &Given) -> Outcome {
    probe(SYS_vmsplice, &[-1, 0, 0, 0])
}
fn splice(_: &Given) -> Outcome {
    probe(SYS_splice, &[-1, 0, -1, 0, 1, 0])
}
fn tee(_: &Given) -> Outcome {
    probe(SYS_tee, &[-1, -1, 1, 0])
}
fn lock_memory(_: &Given) -> Outcome {
    probe(SYS_mlockall, &[0])
}
fn seccomp_listener(_: &Given) -> Outcome {
    probe(SYS_seccomp, &[1, 8, 0])
}
fn process_madvise(_: &Given) -> Outcome {
    probe(SYS_process_madvise, &[-1, 0, 0, 0, 0])
}
fn rseq_again(_: &Given) -> Outcome {
    probe(SYS_process_mrelease, &[-1, 0])
}

/// An ioctl on the output pipe. TIOCSTI types into a terminal; the kernel compares
/// only the lower 32 bits of the number, so the upper ones are made dirty.
fn ioctl_dirty(request: u64) -> Outcome {
    probe(SYS_ioctl, &[1, (request | 0xdead_0000_0000_0000) as i64, address(b"x")])
}
fn tiocsti(_: &Given) -> Outcome {
    probe(SYS_ioctl, &[1, TIOCSTI as i64, address(b"x")])
}
fn tiocsti_dirty(_: &Given) -> Outcome {
    ioctl_dirty(TIOCSTI)
}
fn tioclinux_dirty(_: &Given) -> Outcome {
    ioctl_dirty(0x541c)
}
fn tiocgwinsz(_: &Given) -> Outcome {
    let mut size = [0u16; 4];
    probe(SYS_ioctl, &[1, TIOCGWINSZ as i64, address_mut(&mut size)])
}
fn fiemap(given: &Given) -> Outcome {
    probe(SYS_ioctl, &[given.number("vessel_fd"), 0xc020_660b, 0])
}
fn set_flags(given: &Given) -> Outcome {
    let flags = 0x10i64;
    probe(SYS_ioctl, &[given.number("vessel_fd"), 0x4008_6602, address(&flags)])
}
fn ficlone(given: &Given) -> Outcome {
    probe(SYS_ioctl, &[given.number("vessel_fd"), 0x4004_9409, 1])
}

#[cfg(target_arch = "x86_64")]
fn int80(_: &Given) -> Outcome {
    match crate::sys::int80(20) {
        n if n > 0 => Outcome::Reached(format!("getpid answered {n}")),
        n => Outcome::Refused(-n),
    }
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
    "io-uring-enter" io_uring_enter;
    "io-uring-register" io_uring_register;
    "bpf" bpf;
    "perf-event" perf;
    "userfaultfd" userfaultfd;
    "add-key" add_key;
    "request-key" request_key;
    "keyctl" keyctl;
    "mount" mount;
    "umount" umount;
    "pivot-root" pivot_root;
    "open-tree" open_tree;
    "move-mount" move_mount;
    "fsopen" fsopen;
    "fsconfig" fsconfig;
    "fsmount" fsmount;
    "fspick" fspick;
    "mount-setattr" mount_setattr;
    "landlock-create" landlock_create;
    "landlock-restrict" landlock_restrict;
    "module-load" module_load;
    "module-unload" module_unload;
    "kexec" kexec;
    "reboot" reboot;
    "swap-on" swap_on;
    "acct" acct;
    "syslog" syslog;
    "quotactl" quotactl;
    "clock-set" clock_set;
    "clock-adjust" clock_adjust;
    "aio-setup" aio_setup;
    "message-queue" message_queue;
    "shared-memory" shared_memory;
    "semaphore" semaphore;
    "system-v-queue" system_v_queue;
    "fanotify" fanotify;
    "signalfd" signalfd;
    "membarrier" membarrier;
    "set-mempolicy" set_mempolicy;
    "move-pages" move_pages;
    "vmsplice" vmsplice;
    "splice" splice;
    "tee" tee;
    "lock-memory" lock_memory;
    "seccomp-listener" seccomp_listener;
    "process-madvise" process_madvise;
    "process-mrelease" rseq_again;
    "ioctl-tiocsti" tiocsti;
    "ioctl-tiocsti-dirty" tiocsti_dirty;
    "ioctl-tioclinux-dirty" tioclinux_dirty;
    "ioctl-window-size" tiocgwinsz;
    "ioctl-fiemap" fiemap;
    "ioctl-set-flags" set_flags;
    "ioctl-clone-file" ficlone;
    "number-beyond-table" number_beyond_table;
    "number-negative" negative_number;
    "number-future" future_number;
}

/// The attempts that only x86-64 knows.
#[cfg(target_arch = "x86_64")]
pub const FOREIGN: &[Attempt] = &[
    Attempt { name: "int80", class: "kernel", run: int80, twin: Twin::Outside },
    Attempt { name: "x32-getpid", class: "kernel", run: x32_getpid, twin: Twin::Outside },
    Attempt { name: "x32-open", class: "kernel", run: x32_open, twin: Twin::Outside },
    Attempt { name: "x32-fork", class: "kernel", run: x32_fork, twin: Twin::Outside },
];
/// Elsewhere there are none.
#[cfg(not(target_arch = "x86_64"))]
pub const FOREIGN: &[Attempt] = &[];
