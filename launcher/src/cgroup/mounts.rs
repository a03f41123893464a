//! Where the control group hierarchies are mounted and which group this process
//! is in, from /proc/self/mountinfo and /proc/self/cgroup.

use std::io;
use std::path::{Path, PathBuf};

use super::read_text;

/// A mounted hierarchy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hierarchy {
    /// Its controllers if it is of version 1; None for the one of version 2.
    pub controllers: Option<Vec<String>>,
    /// Where it is mounted.
    pub mount: PathBuf,
    /// The directory of this process's own group.
    pub own: PathBuf,
}

/// The hierarchies that this process sees.
///
/// # Errors
/// /proc is not mounted or cannot be read.
pub fn read() -> io::Result<Vec<Hierarchy>> {
    Ok(parse(&read_text(Path::new("/proc/self/mountinfo"))?, &read_text(Path::new("/proc/self/cgroup"))?))
}

fn parse(mountinfo: &str, cgroup: &str) -> Vec<Hierarchy> {
    let mut found: Vec<Hierarchy> = Vec::new();
    for line in mountinfo.lines() {
        let Some((root, mount, controllers)) = mount_of(line) else { continue };
        let Some(own) = own_path(cgroup, controllers.as_deref()) else { continue };
        // A container may see its group as the root of the mount.
        let Some(below) = below(&root, &own) else { continue };
        let own = if below.as_os_str().is_empty() { mount.clone() } else { mount.join(below) };
        if !found.iter().any(|other| other.controllers == controllers) {
            found.push(Hierarchy { controllers, mount, own });
        }
    }
    found
}

/// Root, mount point and controllers (None: version 2) of a cgroup mount.
fn mount_of(line: &str) -> Option<(PathBuf, PathBuf, Option<Vec<String>>)> {
    // id parent major:minor root mountpoint options optional... - type source superoptions
    let (front, back) = line.split_once(" - ")?;
    let mut front = front.split(' ').skip(3);
    let (root, mount) = (front.next()?, front.next()?);
    let mut back = back.split(' ');
    let kind = back.next()?;
    let options = back.nth(1).unwrap_or("");
    let controllers = match kind {
        "cgroup2" => None,
        "cgroup" => Some(options.split(',').filter(|word| !is_option(word)).map(str::to_owned).collect()),
        _ => return None,
    };
    Some((unescape(root), unescape(mount), controllers))
}

/// Words among a hierarchy's super options that name no controller.
fn is_option(word: &str) -> bool {
    matches!(word, "rw" | "ro" | "xattr" | "noprefix" | "clone_children" | "none")
        || word.starts_with("name=")
        || word.starts_with("release_agent=")
}

/// The path of the own group in the hierarchy with these controllers.
fn own_path(cgroup: &str, controllers: Option<&[String]>) -> Option<PathBuf> {
    cgroup.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (id, names, path) = (parts.next()?, parts.next()?, parts.next()?);
        let same = match controllers {
            None => id == "0" && names.is_empty(),
            Some(controllers) => {
                !controllers.is_empty() && controllers.iter().all(|c| names.split(',').any(|name| name == c))
            }
        };
        same.then(|| PathBuf::from(path))
    })
}

/// `path` seen from `root`; a group outside the root of the mount cannot be reached.
fn below(root: &Path, path: &Path) -> Option<PathBuf> {
    let relative = path.strip_prefix(root).ok()?;
    let inside = relative.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    inside.then(|| relative.to_owned())
}

/// mountinfo writes blanks and backslashes as \ooo.
fn unescape(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = bytes.get(at + 1..at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if bytes[at] == b'\\' => {
                plain.push(byte);
                at += 4;
            }
            _ => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hierarchy(controllers: Option<&[&str]>, mount: &str, own: &str) -> Hierarchy {
        let controllers = controllers.map(|list| list.iter().map(|c| c.to_string()).collect());
        Hierarchy { controllers, mount: mount.into(), own: own.into() }
    }

    #[test]
    fn version_2_under_systemd() {
        let mounts = "26 25 0:23 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(
            parse(mounts, "0::/user.slice/user-1000.slice/session-3.scope\n"),
            [hierarchy(None, "/sys/fs/cgroup", "/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope")]
        );
    }

    #[test]
    fn a_hybrid_host() {
        let mounts = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                      35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
                      40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                      42 31 0:39 / /proc rw - proc proc rw\n";
        let own = "9:name=systemd:/\n4:memory:/a/b\n1:cpu,cpuacct:/\n0::/\n";
        assert_eq!(
            parse(mounts, own),
            [
                hierarchy(
                    Some(&["cpu", "cpuacct"]),
                    "/sys/fs/cgroup/cpu,cpuacct",
                    "/sys/fs/cgroup/cpu,cpuacct"
                ),
                hierarchy(Some(&["memory"]), "/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/a/b"),
                hierarchy(None, "/sys/fs/cgroup/unified", "/sys/fs/cgroup/unified"),
            ]
        );
    }

    #[test]
    fn a_container_sees_its_group_as_the_root() {
        let mounts = "35 31 0:32 /docker/x /cg\\040roup/memory rw - cgroup cgroup rw,memory\n";
        assert_eq!(
            parse(mounts, "4:memory:/docker/x/in\n"),
            [hierarchy(Some(&["memory"]), "/cg roup/memory", "/cg roup/memory/in")]
        );
        // A group outside the mounted part is out of reach.
        assert_eq!(parse(mounts, "4:memory:/elsewhere\n"), []);
        assert_eq!(parse(mounts, "4:memory:/docker/x/../y\n"), []);
    }

    #[test]
    fn nonsense_is_no_hierarchy() {
        assert_eq!(parse("x\n\n - \n1 2 3 - cgroup2\n", "0::/\n"), []);
        assert_eq!(parse("", ""), []);
    }
}
