//! What a run uses, told by its supervisor once in a second.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use serde::{Deserialize, Serialize};

use super::identity::Identity;
use super::place::{Directory, LIVE};

/// Use of one resource.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResourceUse {
    /// Sum of all charges, or items ever taken.
    pub total: u64,
    /// Most at one time.
    pub peak: u64,
    /// How often the limit refused.
    pub denials: u64,
    /// Seconds that calls waited.
    pub waited: f64,
}

/// The state of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// Seconds since the launcher started.
    pub elapsed: f64,
    /// Processor time of the sandbox, in seconds.
    pub cpu: f64,
    /// Memory now, in bytes.
    pub memory: u64,
    /// Most memory, in bytes.
    pub memory_peak: u64,
    /// Disk use when it was last counted.
    pub disk: u64,
    /// Quota periods in which the share was used up, or stops without a group.
    pub throttled: u64,
    /// Seconds held back.
    pub throttled_seconds: f64,
    /// Calls refused by rules.
    pub refusals: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Bytes printed.
    pub printed: u64,
    /// Bytes of output dropped.
    pub dropped: u64,
    /// The broker's process, once it runs.
    pub broker: Option<i32>,
    /// By name of the restrictions language, as the interpreter told.
    pub resources: std::collections::BTreeMap<String, ResourceUse>,
}

/// The text is filled up to a multiple of this, so that a shorter one covers a
/// longer one.
const BLOCK: usize = 4096;

impl Live {
    /// Understands a file; None if it was caught half written.
    pub fn parse(text: &[u8]) -> Option<Live> {
        serde_json::from_slice(text).ok()
    }

    /// Refusals of all kinds.
    pub fn denials(&self) -> u64 {
        self.resources.values().map(|use_of| use_of.denials).sum::<u64>().saturating_add(self.refusals)
    }
}

/// The file with the state, held open: renewing it is one call.
#[derive(Debug)]
pub struct File {
    file: std::fs::File,
    name: OsString,
}

impl File {
    pub(super) fn create(directory: &Directory, own: Identity) -> io::Result<File> {
        let name = own.file_name(LIVE);
        // Left by a launcher of the same number and start: there can be none.
        directory.remove(&name);
        let file: OwnedFd = directory.create(&name)?;
        Ok(File { file: file.into(), name })
    }

    pub(super) fn write(&mut self, live: &Live) {
        let Ok(mut text) = serde_json::to_vec(live) else { return };
        text.resize(text.len().next_multiple_of(BLOCK), b' ');
        // Without room nobody sees the run's use, and the run goes on.
        let _ = self.file.write_all_at(&text, 0);
    }

    pub(super) fn remove(&self, directory: &Directory) {
        directory.remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_padded_text_is_understood_and_a_torn_one_is_not() {
        let live = Live { cpu: 1.5, refusals: 2, ..Live::default() };
        let mut text = serde_json::to_vec(&live).unwrap();
        text.resize(BLOCK, b' ');
        assert_eq!(Live::parse(&text), Some(live));
        text[0] = b' ';
        assert_eq!(Live::parse(&text), None);
    }
}
