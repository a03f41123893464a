//! What the interpreter itself counts and paces: rates, items, the disk.
//!
//! The kernel holds memory, processor time and (where it can) the disk; for
//! the rates below it has no carrier, so these meters are the only one.
//! Nothing here sleeps or holds anything while a caller waits: answers are
//! moments of the monotonic clock, and the scheduler does the waiting.

mod bucket;
mod items;

pub use bucket::{Bucket, Gate, Pass};
pub use items::{Disk, DiskFull, Items, ENTRY_BYTES};

/// A renewable resource metered by the interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Rate {
    /// Bytes written to files.
    FileWrite,
    /// Bytes read from files.
    FileRead,
    /// Bytes sent to other hosts.
    NetSend,
    /// Bytes received from other hosts.
    NetRecv,
    /// Bytes sent to this host.
    LoopSend,
    /// Bytes received from this host.
    LoopRecv,
    /// Bytes printed.
    LogRate,
    /// Random numbers drawn.
    Random,
}

/// A countable resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Count {
    /// Runs, timers and callbacks.
    Events,
    /// Open file objects.
    FilesOpened,
    /// Listening handles.
    InSockets,
    /// Sockets made by `openconn`.
    OutSockets,
}

impl Rate {
    /// Every rate, in the order of the discriminants.
    pub const ALL: [Rate; 8] = [
        Rate::FileWrite,
        Rate::FileRead,
        Rate::NetSend,
        Rate::NetRecv,
        Rate::LoopSend,
        Rate::LoopRecv,
        Rate::LogRate,
        Rate::Random,
    ];

    /// The resource's name in a restrictions file.
    pub fn name(self) -> &'static str {
        match self {
            Rate::FileWrite => "filewrite",
            Rate::FileRead => "fileread",
            Rate::NetSend => "netsend",
            Rate::NetRecv => "netrecv",
            Rate::LoopSend => "loopsend",
            Rate::LoopRecv => "looprecv",
            Rate::LogRate => "lograte",
            Rate::Random => "random",
        }
    }
}

impl Count {
    /// Every countable resource, in the order of the discriminants.
    pub const ALL: [Count; 4] = [Count::Events, Count::FilesOpened, Count::InSockets, Count::OutSockets];

    /// The resource's name in a restrictions file.
    pub fn name(self) -> &'static str {
        match self {
            Count::Events => "events",
            Count::FilesOpened => "filesopened",
            Count::InSockets => "insockets",
            Count::OutSockets => "outsockets",
        }
    }
}

/// What has been used of one resource, for the report.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Used {
    /// Units charged, or items taken, since the start.
    pub total: u64,
    /// The most held at once; for a rate the largest single charge.
    pub peak: u64,
    /// Calls refused because of the limit.
    pub denials: u64,
    /// Nanoseconds that calls were made to wait.
    pub waited: u64,
}

/// A thread of the virtual machine, as the gates name it.
pub type Waiter = u64;

/// A rate whose limit is 0: the text of the exception the program sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WontDrain(pub Rate);

impl std::fmt::Display for WontDrain {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Resource '{}' limit set to 0, won't drain!", self.0.name())
    }
}

/// A countable resource at its limit: the text of the exception.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitExceeded(pub Count);

impl std::fmt::Display for LimitExceeded {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Resource '{}' limit exceeded!!", self.0.name())
    }
}

/// All meters of one run.
#[derive(Debug, Clone)]
pub struct Meters {
    buckets: [Bucket; 8],
    gates: [Gate<Waiter>; 8],
    rates_used: [Used; 8],
    items: [Items; 4],
    items_used: [Used; 4],
    disk: Disk,
    disk_used: Used,
    disk_changes: u64,
    changed: bool,
}

/// The limits [`Meters`] start from, in the units of the restrictions file.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Units per second of each [`Rate`].
    pub rates: [f64; 8],
    /// Items of each [`Count`].
    pub items: [f64; 4],
    /// Bytes of `diskused`.
    pub disk: f64,
}

impl Limits {
    /// Limits that no test or trusted program reaches.
    pub fn wide() -> Limits {
        Limits { rates: [1e12; 8], items: [1e9; 4], disk: 1e15 }
    }
}

impl Meters {
    /// Meters at the moment `now` (monotonic nanoseconds), with `disk_used`
    /// bytes already in the vessel.
    pub fn new(limits: &Limits, disk_used: u64, now: u64) -> Meters {
        Meters {
            buckets: limits.rates.map(|limit| Bucket::new(limit, now)),
            gates: Default::default(),
            rates_used: Default::default(),
            items: limits.items.map(Items::new),
            items_used: Default::default(),
            disk: Disk::new(limits.disk, disk_used),
            disk_used: Used { total: disk_used, peak: disk_used, ..Used::default() },
            disk_changes: 0,
            changed: true,
        }
    }

    /// The charge of 0 before an act, for a thread that is not waiting yet.
    pub fn before(&mut self, rate: Rate, who: Waiter, now: u64) -> Result<Pass, WontDrain> {
        let index = rate as usize;
        if self.buckets[index].never_drains() {
            self.rates_used[index].denials += 1;
            self.changed = true;
            return Err(WontDrain(rate));
        }
        let pass = self.gates[index].arrive(&mut self.buckets[index], who, now);
        self.count_wait(index, pass, now);
        Ok(pass)
    }

    /// Asks again for a thread that [`Meters::before`] made wait.
    pub fn before_again(&mut self, rate: Rate, who: Waiter, now: u64) -> Pass {
        let index = rate as usize;
        let pass = self.gates[index].again(&mut self.buckets[index], who, now);
        self.count_wait(index, pass, now);
        pass
    }

    /// Books the time a caller is told to wait; one in the queue is counted
    /// from the moment on at which it is the first.
    fn count_wait(&mut self, index: usize, pass: Pass, now: u64) {
        if let Pass::Until(moment) = pass {
            let used = &mut self.rates_used[index];
            used.waited = used.waited.saturating_add(moment.saturating_sub(now));
            self.changed = true;
        }
    }

    /// The true charge after an act: the moment from which the caller may go
    /// on. The units count at once, whatever the caller does.
    pub fn after(&mut self, rate: Rate, units: u64, now: u64) -> u64 {
        let index = rate as usize;
        let free = self.buckets[index].charge(units, now);
        let used = &mut self.rates_used[index];
        used.total = used.total.saturating_add(units);
        used.peak = used.peak.max(units);
        used.waited = used.waited.saturating_add(free.saturating_sub(now));
        self.changed |= units > 0;
        free
    }

    /// Whether a rate's past is paid for and nobody waits for it: what the
    /// network listeners look at before they receive.
    pub fn is_free(&mut self, rate: Rate, now: u64) -> bool {
        let index = rate as usize;
        self.gates[index].front().is_none() && self.buckets[index].free_at(now) <= now
    }

    /// When the rate's past is paid for; `u64::MAX` for a limit of 0.
    pub fn free_at(&mut self, rate: Rate, now: u64) -> u64 {
        let index = rate as usize;
        if self.buckets[index].never_drains() {
            return u64::MAX;
        }
        self.buckets[index].free_at(now)
    }

    /// The thread now first in line for `rate`, to be woken after the one
    /// before it has acted.
    pub fn first_in_line(&self, rate: Rate) -> Option<Waiter> {
        self.gates[rate as usize].front()
    }

    /// Forgets a thread that has ended, wherever it stands in line.
    pub fn leave(&mut self, rate: Rate, who: Waiter) {
        self.gates[rate as usize].leave(who);
    }

    /// Takes one item.
    pub fn take(&mut self, count: Count) -> Result<(), LimitExceeded> {
        let index = count as usize;
        self.changed = true;
        if !self.items[index].take() {
            self.items_used[index].denials += 1;
            return Err(LimitExceeded(count));
        }
        let used = &mut self.items_used[index];
        used.total += 1;
        used.peak = used.peak.max(self.items[index].held());
        Ok(())
    }

    /// Gives one item back.
    pub fn give_back(&mut self, count: Count) {
        self.items[count as usize].give_back();
    }

    /// Whether the next [`Meters::take`] would be refused.
    pub fn is_full(&self, count: Count) -> bool {
        self.items[count as usize].is_full()
    }

    /// Items held now.
    pub fn held(&self, count: Count) -> u64 {
        self.items[count as usize].held()
    }

    /// Adds bytes to the disk account before they are written.
    pub fn disk_grow(&mut self, bytes: u64) -> Result<(), DiskFull> {
        let result = self.disk.grow(bytes);
        match result {
            Ok(()) if bytes > 0 => {
                self.disk_used.total = self.disk.used();
                self.disk_used.peak = self.disk_used.peak.max(self.disk.used());
                self.disk_changes += 1;
                self.changed = true;
            }
            Ok(()) => {}
            Err(_) => self.disk_used.denials += 1,
        }
        result
    }

    /// Takes bytes off the disk account.
    pub fn disk_shrink(&mut self, bytes: u64) {
        self.disk.shrink(bytes);
        self.disk_changes += 1;
        self.disk_used.total = self.disk.used();
        self.changed = true;
    }

    /// A recount from outside, see [`Disk::recount`].
    pub fn disk_recount(&mut self, on_disk: u64, buffered: u64) {
        self.disk.recount(on_disk, buffered);
        self.disk_used.total = self.disk.used();
        self.disk_used.peak = self.disk_used.peak.max(self.disk.used());
    }

    /// How often this run has changed the account.
    pub fn disk_changes(&self) -> u64 {
        self.disk_changes
    }

    /// The disk account.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// What was used so far: rates, counts (both in the order of `ALL`), disk.
    pub fn used(&self) -> (&[Used; 8], &[Used; 4], Used) {
        (&self.rates_used, &self.items_used, self.disk_used)
    }

    /// Whether anything changed since the last call.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_the_originals() {
        let mut limits = Limits::wide();
        limits.rates[Rate::LogRate as usize] = 0.0;
        limits.items[Count::FilesOpened as usize] = 1.0;
        let mut meters = Meters::new(&limits, 0, 0);
        let error = meters.before(Rate::LogRate, 1, 0).expect_err("limit is 0");
        assert_eq!(error.to_string(), "Resource 'lograte' limit set to 0, won't drain!");
        assert_eq!(meters.before(Rate::Random, 1, 0), Ok(Pass::Now));
        assert_eq!(meters.take(Count::FilesOpened), Ok(()));
        let error = meters.take(Count::FilesOpened).expect_err("limit is 1");
        assert_eq!(error.to_string(), "Resource 'filesopened' limit exceeded!!");
        let (_, items, _) = meters.used();
        assert_eq!(items[Count::FilesOpened as usize], Used { total: 1, peak: 1, denials: 1, waited: 0 });
    }

    #[test]
    fn tables_are_in_the_order_of_their_discriminants() {
        for (index, rate) in Rate::ALL.iter().enumerate() {
            assert_eq!(*rate as usize, index);
        }
        for (index, count) in Count::ALL.iter().enumerate() {
            assert_eq!(*count as usize, index);
        }
    }
}
