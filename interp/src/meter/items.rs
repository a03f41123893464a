//! Countable resources (events, open files, sockets) and the disk account.

/// A counter with a limit: `events`, `filesopened`, `insockets`, `outsockets`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Items {
    limit: u64,
    held: u64,
}

impl Items {
    /// A counter of at most `limit` items, none held. A fraction is dropped
    /// (the policy refuses fractions before this is reached).
    pub fn new(limit: f64) -> Items {
        Items { limit: if limit.is_nan() { 0 } else { limit.max(0.0) as u64 }, held: 0 }
    }

    /// Takes one item; false when the limit is reached (nothing is taken).
    #[must_use]
    pub fn take(&mut self) -> bool {
        if self.held >= self.limit {
            return false;
        }
        self.held += 1;
        true
    }

    /// Gives one item back; giving back more than was taken is ignored.
    pub fn give_back(&mut self) {
        self.held = self.held.saturating_sub(1);
    }

    /// Items held now.
    pub fn held(&self) -> u64 {
        self.held
    }

    /// Whether one more item would pass the limit.
    pub fn is_full(&self) -> bool {
        self.held >= self.limit
    }
}

/// Bytes every directory entry counts for besides its size.
pub const ENTRY_BYTES: u64 = 4096;

/// What the vessel holds against `diskused`: the sum of size and 4096 bytes
/// per entry, exact because every change passes through here before it is
/// made. What lies in write buffers counts as if it were on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    limit: u64,
    used: u64,
}

/// A change that would pass `diskused`: the run ends, nothing is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskFull {
    /// Bytes the vessel would have held.
    pub would_be: u64,
    /// The limit in bytes.
    pub limit: u64,
}

impl Disk {
    /// An account of `limit` bytes with `used` of them taken at the start.
    pub fn new(limit: f64, used: u64) -> Disk {
        Disk { limit: if limit.is_nan() { 0 } else { limit.max(0.0) as u64 }, used }
    }

    /// Adds `bytes`, or refuses and changes nothing. Adding none is always
    /// allowed, also when the vessel was over its limit before the run.
    pub fn grow(&mut self, bytes: u64) -> Result<(), DiskFull> {
        let would_be = self.used.saturating_add(bytes);
        if bytes > 0 && would_be > self.limit {
            return Err(DiskFull { would_be, limit: self.limit });
        }
        self.used = would_be;
        Ok(())
    }

    /// Takes `bytes` off the account.
    pub fn shrink(&mut self, bytes: u64) {
        self.used = self.used.saturating_sub(bytes);
    }

    /// Replaces the account by a recount from outside (another run may write
    /// in the same directory) plus what lies in this run's write buffers.
    pub fn recount(&mut self, on_disk: u64, buffered: u64) {
        self.used = on_disk.saturating_add(buffered);
    }

    /// Bytes counted now.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// The limit in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_stop_at_the_limit_and_come_back() {
        let mut items = Items::new(2.0);
        assert!(items.take() && items.take() && items.is_full());
        assert!(!items.take());
        assert_eq!(items.held(), 2);
        items.give_back();
        assert!(items.take());
        let mut none = Items::new(0.0);
        assert!(!none.take());
        none.give_back();
        assert!(!none.take());
        assert!(!Items::new(f64::NAN).take());
    }

    #[test]
    fn the_disk_account_is_exact_at_the_edge() {
        let mut disk = Disk::new(10_000.0, 4096);
        assert_eq!(disk.grow(5904), Ok(()));
        assert_eq!(disk.grow(1), Err(DiskFull { would_be: 10_001, limit: 10_000 }));
        assert_eq!(disk.used(), 10_000);
        disk.shrink(1);
        assert_eq!(disk.grow(1), Ok(()));
        disk.recount(20_000, 5);
        assert_eq!(disk.used(), 20_005);
        assert_eq!(disk.grow(0), Ok(()));
        assert!(disk.grow(u64::MAX).is_err());
    }
}
