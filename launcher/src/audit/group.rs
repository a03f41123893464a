//! Reads files of control groups by the paths of a record. A record may come from
//! another user, so nothing but a control group's own file is ever opened: looking
//! at a device or a pipe could have effects.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use nix::fcntl::{self, OFlag};
use nix::sys::stat::Mode;
use nix::sys::statfs::{fstatfs, FsType};

/// File systems of control groups (`linux/magic.h`): version 1 and version 2.
const MAGIC: [FsType; 2] = [FsType(0x0027_e0eb), FsType(0x6367_7270)];

/// The text of a control group's file.
///
/// # Errors
/// It cannot be read, or is no such file.
pub fn read(path: &Path) -> io::Result<String> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let place = fcntl::open(path, flags, Mode::empty())?;
    if !MAGIC.contains(&fstatfs(place.as_fd())?.filesystem_type()) {
        return Err(io::Error::other("it is not a file of a control group"));
    }
    let mut text = String::new();
    File::open(format!("/proc/self/fd/{}", place.as_raw_fd()))?.take(1 << 20).read_to_string(&mut text)?;
    Ok(text)
}

/// Whether a limit file says what was written to it: the kernel rounds amounts of
/// memory down to whole pages.
pub fn is_value(written: &str, found: &str) -> bool {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    if words(written) == words(found) {
        return true;
    }
    match (written.trim().parse::<u64>(), found.trim().parse::<u64>()) {
        (Ok(written), Ok(found)) => written > page() && found <= written && written - found < page(),
        _ => false,
    }
}

fn page() -> u64 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
    size.and_then(|size| u64::try_from(size).ok()).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rounding_is_forgiven() {
        assert!(is_value("20000000", "19996672\n"));
        assert!(is_value("1000 10000", "1000 10000\n"));
        assert!(is_value("1", "1\n") && is_value("0", "0"));
        for (written, found) in [
            ("20000000", "19992576"),
            ("20000000", "20004096"),
            ("1", "2"),
            ("1", "0"),
            ("1", "max"),
            ("1 2", "2 1"),
        ] {
            assert!(!is_value(written, found), "{written} {found}");
        }
    }

    #[test]
    fn nothing_but_a_control_group_is_opened() {
        for path in ["/etc/passwd", "/dev/null", "/proc/self/status"] {
            assert!(read(Path::new(path)).is_err(), "{path}");
        }
    }
}
