//! `--scratch`: the vessel of the run is a filesystem in memory that is full
//! exactly at `diskused`, with a copy of the vessel's files.

use super::demand::Demand;
use super::identity::{Identity, Ids, Mapper};

/// What each entry costs beside its content, and the size of the blocks that a
/// filesystem in memory gives out.
pub const ENTRY: u64 = 4096;

/// Who makes the filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// The launcher, as root: what belongs to `disk` in the vessel belongs to
    /// the sandbox in the copy.
    Launcher {
        /// The vessel's owner.
        disk: Ids,
    },
    /// The sandbox's process, in its own user namespace.
    Sandbox,
}

/// The filesystem in memory that takes the vessel's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScratchPlan {
    /// Bytes of content it can hold: whole blocks.
    pub bytes: u64,
    /// Files it can hold.
    pub entries: u64,
    /// To whom it belongs, as the maker names them.
    pub owner: Ids,
    /// Who makes it.
    pub by: Maker,
}

/// The filesystem for a policy.
///
/// A file counts as its size and [`ENTRY`], and takes less than that in whole
/// blocks. So rounding down to blocks refuses no write that the account admits,
/// and what lies in memory never exceeds the limit by a byte.
pub(super) fn scratch(demand: &Demand, identity: Identity, disk: Ids) -> ScratchPlan {
    let limit = demand.diskused.value;
    let (owner, by) = match identity {
        Identity::Mapped { inner, by: Mapper::Child, .. } => (inner, Maker::Sandbox),
        Identity::Mapped { outer, by: Mapper::Launcher, .. } => (outer, Maker::Launcher { disk }),
        Identity::Become(ids) | Identity::Keep(ids) => (ids, Maker::Launcher { disk }),
    };
    ScratchPlan { bytes: limit / ENTRY * ENTRY, entries: limit / ENTRY, owner, by }
}

impl ScratchPlan {
    /// `size=` of the filesystem. Zero would mean "without limit"; no file can
    /// be made where the limit is less than a block.
    pub fn size(&self) -> u64 {
        self.bytes.max(ENTRY)
    }

    /// `nr_inodes=` of the filesystem: the root directory is one.
    pub fn inodes(&self) -> u64 {
        self.entries + 1
    }
}
