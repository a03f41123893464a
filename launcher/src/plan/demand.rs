//! What a policy asks of the kernel: the part of it that kernel controls can
//! carry, each with the line it came from.

/// A quantity and the line of the policy that set it. Line 0 means that the
/// policy has no such line and the default holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sourced<T> {
    /// The quantity.
    pub value: T,
    /// Line in the policy file, counted from 1; 0 for a default.
    pub line: u32,
}

/// How far a policy lets the program open files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileAccess {
    /// No rule lets any file be opened.
    None,
    /// Files may be opened for reading only.
    Read(Names),
    /// Files may be opened for writing and created.
    Write(Names),
}

/// Which files a policy lets the program open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// Any name.
    Any,
    /// Only these, as the rules write them.
    Only(Vec<String>),
}

/// The part of a policy that kernel controls can carry.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// `memory`, in bytes.
    pub memory: Sourced<u64>,
    /// `cpu`, a share of one processor (may exceed 1).
    pub cpu: Sourced<f64>,
    /// `diskused`, in bytes.
    pub diskused: Sourced<u64>,
    /// `filesopened`.
    pub filesopened: Sourced<u32>,
    /// `insockets`.
    pub insockets: Sourced<u32>,
    /// `outsockets`.
    pub outsockets: Sourced<u32>,
    /// The widest access that any `open` or `file.__init__` rule gives.
    pub files: Sourced<FileAccess>,
    /// Whether `listdir` may be allowed.
    pub list: Sourced<bool>,
    /// Whether `removefile` may be allowed.
    pub remove: Sourced<bool>,
    /// Whether `waitforconn` may be allowed (accepted connections).
    pub accept: Sourced<bool>,
    /// Whether any call of the network may be allowed: then the sandbox has a
    /// network channel to the broker.
    pub network: Sourced<bool>,
    /// Whether `sendmess` is allowed to every destination: only then may the
    /// sandbox hold an unconnected socket and name addresses itself.
    pub send_anywhere: Sourced<bool>,
}
