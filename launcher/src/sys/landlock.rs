//! Probing Landlock bit by bit. The landlock crate knows ABI numbers; what a
//! kernel supports is asked of it right by right, so that a kernel with a
//! back-ported right, or a newer one than the crate knows, is told truly.

use std::os::fd::{FromRawFd, OwnedFd};

use super::{check, Sys};

/// `struct landlock_ruleset_attr`; older kernels accept the longer structure
/// as long as what they do not know is zero.
#[repr(C)]
#[derive(Default)]
struct RulesetAttributes {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const CREATE_RULESET_VERSION: u32 = 1;

/// The ABI number of the running kernel, from 1 on.
///
/// # Errors
/// ENOSYS where it was not compiled in, EOPNOTSUPP where it is not enabled.
pub fn abi() -> Sys<u32> {
    // SAFETY: with this flag the kernel reads no structure.
    check(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<RulesetAttributes>(),
            0usize,
            CREATE_RULESET_VERSION,
        )
    })
    .map(|version| version as u32)
}

/// Whether the kernel accepts a ruleset that handles exactly these rights.
pub fn accepts(fs: u64, net: u64, scoped: u64) -> bool {
    let attributes = RulesetAttributes { handled_access_fs: fs, handled_access_net: net, scoped };
    // SAFETY: the pointer and size describe a live structure.
    let created = check(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &attributes as *const RulesetAttributes,
            std::mem::size_of::<RulesetAttributes>(),
            0u32,
        )
    });
    match created {
        Ok(number) => {
            // SAFETY: the descriptor was just created; dropping it closes it.
            drop(unsafe { OwnedFd::from_raw_fd(number as i32) });
            true
        }
        Err(_) => false,
    }
}
