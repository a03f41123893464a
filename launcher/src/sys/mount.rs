//! The mount calls that work on descriptors (`open_tree`, `move_mount`,
//! `mount_setattr`): nix wraps only the older ones, which name paths and need a
//! second call to change flags.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::{check, Sys};

/// What a mount of the sandbox never does: honour setuid bits, open devices,
/// execute files, follow symbolic links.
pub const HELD: u64 =
    libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC | libc::MOUNT_ATTR_NOSYMFOLLOW;

/// Flags and commands of `fsopen`, `fsconfig` and `fsmount`, which libc lacks.
const FSOPEN_CLOEXEC: u32 = 1;
const FSCONFIG_SET_STRING: u32 = 1;
const FSCONFIG_CMD_CREATE: u32 = 6;
const FSMOUNT_CLOEXEC: u32 = 1;

/// Detaches a copy of the mount of a directory or file: a new mount of that
/// one entry, without the mounts below it.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN; EINVAL where the entry belongs to another mount
/// namespace, or where, for a user namespace, other mounts lie below it.
pub fn detach(directory: BorrowedFd<'_>, name: &CStr) -> Sys<OwnedFd> {
    let flags = libc::OPEN_TREE_CLONE
        | libc::OPEN_TREE_CLOEXEC
        | libc::AT_SYMLINK_NOFOLLOW as u32
        | libc::AT_EMPTY_PATH as u32;
    // SAFETY: `name` is a valid C string; the call creates a descriptor.
    let tree =
        check(unsafe { libc::syscall(libc::SYS_open_tree, directory.as_raw_fd(), name.as_ptr(), flags) })?;
    // SAFETY: the descriptor was just created.
    Ok(unsafe { OwnedFd::from_raw_fd(tree as i32) })
}

/// As [`detach`], of the current directory. `clone3` translates it into the
/// new mount namespace, which it does not do for descriptors.
///
/// # Errors
/// As [`detach`].
pub fn detach_current() -> Sys<OwnedFd> {
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: the path is a constant C string; the call creates a descriptor.
    let tree = check(unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, c".".as_ptr(), flags) })?;
    // SAFETY: the descriptor was just created.
    Ok(unsafe { OwnedFd::from_raw_fd(tree as i32) })
}

/// Makes a filesystem in memory as a mount that is attached nowhere and has the
/// attributes [`HELD`]. `options` are its keys and values.
///
/// # Errors
/// EPERM without CAP_SYS_ADMIN over the mount namespace; EINVAL for an option
/// that the kernel does not know.
pub fn memory_filesystem(options: &[(&CStr, CString)]) -> Sys<OwnedFd> {
    // SAFETY: the name is a constant C string; the call creates a descriptor.
    let made = check(unsafe { libc::syscall(libc::SYS_fsopen, c"tmpfs".as_ptr(), FSOPEN_CLOEXEC) })?;
    // SAFETY: the descriptor was just created.
    let filesystem = unsafe { OwnedFd::from_raw_fd(made as i32) };
    let configure = |command: u32, key: *const libc::c_char, value: *const libc::c_char| {
        // SAFETY: both pointers are null or valid C strings for the length of the call.
        check(unsafe { libc::syscall(libc::SYS_fsconfig, filesystem.as_raw_fd(), command, key, value, 0) })
    };
    for (key, value) in options {
        configure(FSCONFIG_SET_STRING, key.as_ptr(), value.as_ptr())?;
    }
    configure(FSCONFIG_CMD_CREATE, std::ptr::null(), std::ptr::null())?;
    // SAFETY: takes a live descriptor and integers; the call creates a descriptor.
    let tree =
        check(unsafe { libc::syscall(libc::SYS_fsmount, filesystem.as_raw_fd(), FSMOUNT_CLOEXEC, HELD) })?;
    // SAFETY: the descriptor was just created.
    Ok(unsafe { OwnedFd::from_raw_fd(tree as i32) })
}

/// Sets attributes of a detached mount and takes it out of all propagation;
/// with a user namespace, maps its ids through it as well.
///
/// # Errors
/// EINVAL where the filesystem does not support id-mapped mounts; EPERM
/// without privilege over the filesystem.
pub fn set_attributes(tree: BorrowedFd<'_>, set: u64, idmap: Option<BorrowedFd<'_>>) -> Sys<()> {
    let attributes = libc::mount_attr {
        attr_set: set | if idmap.is_some() { libc::MOUNT_ATTR_IDMAP } else { 0 },
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: idmap.map_or(0, |namespace| namespace.as_raw_fd() as u64),
    };
    // SAFETY: the pointer and size describe a live structure; the path is empty
    // and constant.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &attributes as *const libc::mount_attr,
            std::mem::size_of::<libc::mount_attr>(),
        )
    })
    .map(drop)
}

/// `MOVE_MOUNT_F_EMPTY_PATH`: the source is the descriptor itself.
const MOVE_SOURCE_IS_DESCRIPTOR: u32 = 0x4;

/// Attaches a detached mount over `name` in `directory`, or over the current
/// directory if none is given.
///
/// # Errors
/// As `move_mount(2)`.
pub fn attach(tree: BorrowedFd<'_>, directory: Option<BorrowedFd<'_>>, name: &CStr) -> Sys<()> {
    let target = directory.map_or(libc::AT_FDCWD, |directory| directory.as_raw_fd());
    // SAFETY: both paths are valid C strings for the length of the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            target,
            name.as_ptr(),
            MOVE_SOURCE_IS_DESCRIPTOR,
        )
    })
    .map(drop)
}
