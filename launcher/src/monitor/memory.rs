//! Memory of the sandbox by looking, for runs without a control group.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use nix::unistd::{sysconf, SysconfVar};

/// Looks at the resident set of one process. The kept /proc file is bound to
/// that process: after its end, reading fails, and never tells of another that
/// got its number.
#[derive(Debug)]
pub struct ResidentSet {
    statm: File,
    page: u64,
    last: u64,
    peak: u64,
}

impl ResidentSet {
    /// Begins to look at process `pid`.
    ///
    /// # Errors
    /// /proc cannot be read.
    pub fn new(pid: i32) -> io::Result<ResidentSet> {
        let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten().unwrap_or(4096);
        Ok(ResidentSet {
            statm: File::open(format!("/proc/{pid}/statm"))?,
            page: page as u64,
            last: 0,
            peak: 0,
        })
    }

    /// Bytes resident now; None after the process has ended.
    pub fn read(&mut self) -> Option<u64> {
        let mut buffer = [0; 128];
        let length = self.statm.read_at(&mut buffer, 0).ok()?;
        let pages = super::number(&buffer[..length], 1)?;
        let bytes = pages.saturating_mul(self.page);
        self.last = bytes;
        self.peak = self.peak.max(bytes);
        Some(bytes)
    }

    /// What was seen last.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The most that was seen.
    pub fn peak(&self) -> u64 {
        self.peak
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_growing_process_is_seen_to_grow() {
        let mut seen = ResidentSet::new(std::process::id() as i32).unwrap();
        let before = seen.read().unwrap();
        let held = vec![1u8; 64 << 20];
        let after = seen.read().unwrap();
        assert!(after >= before + (32 << 20), "{before} {after}");
        assert!(seen.peak() >= after && held.len() == 64 << 20);
    }

    #[test]
    fn a_dead_process_has_none() {
        let mut child = std::process::Command::new("sleep").arg("100").spawn().unwrap();
        let mut seen = ResidentSet::new(child.id() as i32).unwrap();
        assert!(seen.read().is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(seen.read(), None);
    }
}
