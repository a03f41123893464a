//! The layers of the sandbox, as the operator names them.

use std::fmt;

/// One layer of the sandbox. Every layer is required unless the operator
/// waives it by name (`--without LAYER`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// Control groups: memory, processor share, number of processes.
    Cgroup,
    /// A user namespace of the run's own, and with it its process, IPC, host
    /// name and cgroup namespaces.
    Userns,
    /// A mount namespace whose only mount is the vessel.
    Mountns,
    /// An empty network namespace.
    Netns,
    /// Landlock rights on the vessel directory and the interpreter's file.
    Landlock,
    /// The system call filter.
    Seccomp,
    /// Memory that was writable never becomes executable.
    Mdwe,
    /// As root: the vessel seen through an id-mapped mount, so that the
    /// sandbox is not root on the host while files stay their owner's.
    Idmap,
}

/// What is said about one layer.
struct Row {
    layer: Layer,
    name: &'static str,
    holds: &'static str,
    remedy: &'static str,
}

/// One row per layer: its name on the command line, what it holds, and how an
/// operator provides it.
const TABLE: [Row; 8] = [
    Row {
        layer: Layer::Cgroup,
        name: "cgroup",
        holds: "the memory limit, the cpu share and the limit of one process, for the whole sandbox",
        remedy: "run as root, or in a delegated group: systemd-run --user --scope -p Delegate=yes repy-launch ...",
    },
    Row {
        layer: Layer::Userns,
        name: "userns",
        holds: "ids, processes, IPC and host name of its own, so that no other process can be seen or signalled",
        remedy: "allow user namespaces: sysctl user.max_user_namespaces=10000, kernel.unprivileged_userns_clone=1, \
                 and on Ubuntu 24.04 kernel.apparmor_restrict_unprivileged_userns=0 or an AppArmor profile with \
                 'userns,' for repy-launch; in a container's options, as root --cap-add SYS_ADMIN, as an ordinary user \
                 --security-opt seccomp=unconfined",
    },
    Row {
        layer: Layer::Mountns,
        name: "mountns",
        holds: "a root directory that is the vessel alone, and the reserved files read-only",
        remedy: "allow user namespaces (see userns) or run as root; in a container's options, as root \
                 --cap-add SYS_ADMIN, with Docker --security-opt seccomp=unconfined too",
    },
    Row {
        layer: Layer::Netns,
        name: "netns",
        holds: "an empty network: no interface, no address, no unix socket by abstract name",
        remedy: "allow user namespaces (see userns) or run as root, on a kernel with CONFIG_NET_NS",
    },
    Row {
        layer: Layer::Landlock,
        name: "landlock",
        holds: "files: only the rights the policy gives, only below the vessel; execution: only the interpreter",
        remedy: "use a kernel from 5.15 on with CONFIG_SECURITY_LANDLOCK and 'landlock' in the lsm= boot parameter",
    },
    Row {
        layer: Layer::Seccomp,
        name: "seccomp",
        holds: "the list of permitted system calls and their arguments: no sockets, processes, or new kernel interfaces",
        remedy: "use a kernel with CONFIG_SECCOMP_FILTER; in a container permit the seccomp call",
    },
    Row {
        layer: Layer::Mdwe,
        name: "mdwe",
        holds: "memory that was written never becomes executable",
        remedy: "use a kernel from 6.3 on, or keep the seccomp layer, which carries the same on older kernels",
    },
    Row {
        layer: Layer::Idmap,
        name: "idmap",
        holds: "an unprivileged host uid of the run's own while the vessel's files stay their owner's",
        remedy: "keep the vessel on a filesystem that supports id-mapped mounts (ext4, xfs, btrfs; tmpfs from \
                 kernel 6.3 on; not overlayfs), or start repy-launch as an ordinary user",
    },
];

impl Layer {
    /// All layers, in the order they are reported.
    pub const ALL: [Layer; 8] = [
        Layer::Cgroup,
        Layer::Userns,
        Layer::Mountns,
        Layer::Netns,
        Layer::Landlock,
        Layer::Seccomp,
        Layer::Mdwe,
        Layer::Idmap,
    ];

    fn row(self) -> &'static Row {
        // The table has one row per layer in the order of the enum (tested).
        &TABLE[self as usize]
    }

    /// The name the operator writes after `--without` and reads in reports.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// What the layer holds, as a noun phrase without a full stop.
    pub fn holds(self) -> &'static str {
        self.row().holds
    }

    /// How an operator provides the layer where it is missing.
    pub fn remedy(self) -> &'static str {
        self.row().remedy
    }

    /// The layer of this name, if there is one.
    pub fn from_name(name: &str) -> Option<Layer> {
        TABLE.iter().find(|row| row.name == name).map(|row| row.layer)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of layers, such as those waived on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layers(u8);

impl Layers {
    /// The empty set.
    pub const NONE: Layers = Layers(0);

    /// Adds one layer.
    pub fn insert(&mut self, layer: Layer) {
        self.0 |= 1 << layer as u8;
    }

    /// Whether the set holds `layer`.
    pub fn contains(self, layer: Layer) -> bool {
        self.0 & (1 << layer as u8) != 0
    }

    /// The layers of the set, in reporting order.
    pub fn iter(self) -> impl Iterator<Item = Layer> {
        Layer::ALL.into_iter().filter(move |layer| self.contains(*layer))
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Layer> for Layers {
    fn from_iter<T: IntoIterator<Item = Layer>>(layers: T) -> Layers {
        let mut set = Layers::NONE;
        for layer in layers {
            set.insert(layer);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_has_its_own_row() {
        for layer in Layer::ALL {
            assert_eq!(layer.row().layer, layer);
            assert_eq!(Layer::from_name(layer.name()), Some(layer));
        }
        assert_eq!(Layer::from_name("everything"), None);
    }

    #[test]
    fn sets_hold_what_was_put_in() {
        let set: Layers = [Layer::Netns, Layer::Cgroup].into_iter().collect();
        assert!(set.contains(Layer::Cgroup) && set.contains(Layer::Netns) && !set.contains(Layer::Idmap));
        assert_eq!(set.iter().collect::<Vec<_>>(), [Layer::Cgroup, Layer::Netns]);
        assert!(Layers::NONE.is_empty() && !set.is_empty());
    }
}
