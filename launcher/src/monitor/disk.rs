//! Disk use of the vessel: what `diskused` limits, counted from outside.
//!
//! The interpreter keeps an exact account before each write; this count is the
//! net below it, and brings in what others do to the directory. It is made anew
//! when the directory changes, and spaced so that counting costs, beyond a burst of
//! ten milliseconds, one part in five hundred of a processor in the long run.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::dir::{Dir, OwningIter};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::stat::{fstat, fstatat, FileStat, Mode};
use nix::unistd;

use crate::terminal::SlowWork;

/// What each entry costs beside its content, as in the original.
const ENTRY: u64 = 4096;

/// Entries counted before the supervisor looks at its other duties again.
const STEP: usize = 2_000;

/// Counting takes at most one part in this many of the time, in the long run.
const SPACING: u32 = 500;

/// Time for counting that is there before it was saved up: what happens after a
/// quiet while, and at the start, is seen soon.
const BURST: Duration = Duration::from_millis(10);

/// While a count of many entries is under way, it takes one part in this many of the
/// time: what is over the limit shall not wait for the next parts.
const WITHIN: u32 = 20;

/// What it costs to be woken for a count, beside the count.
const WAKING: Duration = Duration::from_micros(40);

/// From the start to the first count: most programs that are shorter than this
/// change little.
const WARM_UP: Duration = Duration::from_millis(20);

/// From the start to the first watch; before it the directory is counted again
/// and again. Taking a watch down costs the kernel 15 to 25 ms (it waits until no
/// processor can still be using it): several times as much as the whole run of a
/// short program, which therefore has none.
const UNWATCHED: Duration = Duration::from_millis(250);

/// The least and the most time between two counts.
const SHORTEST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(60);

/// What one file costs: its size and 4096. More only where the filesystem holds
/// far more for it than its size explains (space reserved past the end); what
/// filesystems reserve ahead of a growing file (XFS: up to its size again) is
/// nobody's fault and not counted.
fn cost(status: &FileStat) -> u64 {
    let size = u64::try_from(status.st_size).unwrap_or(0);
    let held = u64::try_from(status.st_blocks).unwrap_or(0).saturating_mul(512);
    let explained = size.saturating_mul(2).saturating_add(128 << 10);
    ENTRY + if held > explained { held } else { size }
}

/// Counts a whole directory at once: for the start, before anything runs.
///
/// # Errors
/// The directory cannot be read.
pub fn count(directory: BorrowedFd<'_>) -> io::Result<u64> {
    let mut walk = Walk::new(directory)?;
    let mut work = SlowWork::new("counting the files of the vessel");
    loop {
        if let Some(total) = walk.step(directory, STEP)? {
            return Ok(total);
        }
        work.goes_on();
    }
}

/// A count in progress.
#[derive(Debug)]
struct Walk {
    entries: OwningIter,
    total: u64,
}

impl Walk {
    fn new(directory: BorrowedFd<'_>) -> io::Result<Walk> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let entries = Dir::openat(directory, ".", flags, Mode::empty())?.into_iter();
        Ok(Walk { entries, total: 0 })
    }

    /// Counts `most` more entries; the total once all are counted.
    fn step(&mut self, directory: BorrowedFd<'_>, most: usize) -> io::Result<Option<u64>> {
        for _ in 0..most {
            let Some(entry) = self.entries.next() else { return Ok(Some(self.total)) };
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            match fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                Ok(status) => self.total = self.total.saturating_add(cost(&status)),
                // Removed in between.
                Err(Errno::ENOENT) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(None)
    }
}

/// Bytes of files in the vessel that have no name any more and that process
/// `pid` still holds open.
fn unlinked(pid: i32, device: u64) -> io::Result<u64> {
    let path = format!("/proc/{pid}/fd");
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut descriptors = Dir::open(path.as_str(), flags, Mode::empty())?;
    let here = descriptors.as_fd().try_clone_to_owned()?;
    let mut total = 0u64;
    let mut seen: Vec<u64> = Vec::new();
    for entry in descriptors.iter() {
        let entry = entry?;
        let Ok(status) = fstatat(&here, entry.file_name(), AtFlags::empty()) else { continue };
        let regular = status.st_mode & libc::S_IFMT == libc::S_IFREG;
        if regular && status.st_nlink == 0 && status.st_dev == device && !seen.contains(&status.st_ino) {
            seen.push(status.st_ino);
            total = total.saturating_add(cost(&status));
        }
    }
    Ok(total)
}

/// Whether these events of inotify are of files that were made or written: then no
/// file lost its name. Anything else, a queue that overflowed among it, may be more.
fn all_keep_names(mut events: &[u8]) -> bool {
    // struct inotify_event: i32 wd, u32 mask, u32 cookie, u32 length of the name, the name.
    const HEAD: usize = 16;
    while let Some((head, rest)) = events.split_at_checked(HEAD) {
        let word = |at: usize| u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        if word(4) & !(libc::IN_CREATE | libc::IN_MODIFY) != 0 {
            return false;
        }
        let Some(next) = rest.get(word(12) as usize..) else { return false };
        events = next;
    }
    true
}

/// How changes are noticed.
#[derive(Debug)]
enum Watching {
    /// The run is too young.
    NotYet,
    /// By the kernel.
    By(Inotify),
    /// Not at all, since the kernel has no watch left: the directory is counted
    /// again and again.
    Impossible,
}

impl Watching {
    fn begin(directory: &OwnedFd) -> Watching {
        let events = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_ONLYDIR;
        let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
        match Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC) {
            Ok(watch) if watch.add_watch(path.as_str(), events).is_ok() => Watching::By(watch),
            _ => Watching::Impossible,
        }
    }
}

/// Follows the disk use of a running sandbox.
#[derive(Debug)]
pub struct DiskWatch {
    directory: OwnedFd,
    device: u64,
    pid: i32,
    watch: Watching,
    walk: Option<Walk>,
    /// Time the count in progress has taken.
    spent: Duration,
    changed: bool,
    /// Whether the queue of the watch may hold something: it is readable, or was not looked at
    /// since the last count.
    noticed: bool,
    /// Whether files may be held that have no name any more.
    removed: bool,
    next: Instant,
    /// When the watch begins.
    watched_from: Instant,
    budget: Budget,
    used: u64,
    peak: u64,
    limit: u64,
}

/// Processor time this thread has used: on a busy host a count takes longer by the
/// clock, and must not become rarer for that.
fn cost_so_far() -> Duration {
    let clock = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID;
    nix::time::clock_gettime(clock).map(Duration::from).unwrap_or_default()
}

/// What counting may cost: a token bucket of processor time.
#[derive(Debug)]
struct Budget {
    saved: Duration,
    owed: Duration,
    at: Instant,
}

impl Budget {
    /// Takes off what a count took; gives the time to the next.
    fn charge(&mut self, took: Duration, now: Instant) -> Duration {
        let earned = now.saturating_duration_since(self.at) / SPACING;
        self.at = now;
        let (have, due) = (self.saved + earned, self.owed + took + WAKING);
        self.saved = have.saturating_sub(due).min(BURST);
        self.owed = due.saturating_sub(have);
        (self.owed * SPACING).clamp(SHORTEST, LONGEST)
    }
}

impl DiskWatch {
    /// Begins to follow `directory`, in which `used` bytes were counted before
    /// the start of process `pid`. A count that passes `limit` is complete there.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn new(directory: OwnedFd, pid: i32, used: u64, limit: u64, now: Instant) -> io::Result<DiskWatch> {
        let device = fstat(&directory)?.st_dev;
        Ok(DiskWatch {
            directory,
            device,
            pid,
            changed: true,
            noticed: true,
            removed: true,
            watch: Watching::NotYet,
            walk: None,
            spent: Duration::ZERO,
            next: now + WARM_UP,
            watched_from: now + UNWATCHED,
            budget: Budget { saved: BURST, owed: Duration::ZERO, at: now },
            used,
            peak: used,
            limit,
        })
    }

    /// The descriptor that becomes readable when the directory changes; None
    /// while a count is due anyway, or while it is too early for the next.
    pub fn readable(&self, now: Instant) -> Option<BorrowedFd<'_>> {
        if self.changed || self.walk.is_some() || now < self.next {
            return None;
        }
        match &self.watch {
            Watching::By(watch) => Some(watch.as_fd()),
            _ => None,
        }
    }

    /// The next time at which [`DiskWatch::look`] has something to do.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let due =
            self.changed || self.walk.is_some() || !matches!(self.watch, Watching::By(_)) || now < self.next;
        due.then_some(self.next)
    }

    /// The descriptor of [`DiskWatch::readable`] is readable.
    pub fn notice(&mut self) {
        self.noticed = true;
    }

    /// Counts, if the directory has changed and the time has come. Gives the new
    /// figure whenever a count is complete.
    ///
    /// # Errors
    /// The directory cannot be read any more.
    pub fn look(&mut self, now: Instant) -> io::Result<Option<u64>> {
        if now < self.next {
            return Ok(None);
        }
        // What a tick for something else finds: nothing to do.
        if self.walk.is_none() && !self.noticed {
            return Ok(None);
        }
        if self.walk.is_none() {
            self.take_events(now);
            if !self.changed {
                return Ok(None);
            }
        }
        let started = cost_so_far();
        if self.walk.is_none() {
            self.changed = false;
            self.walk = Some(Walk::new(self.directory.as_fd())?);
            self.spent = Duration::ZERO;
        }
        let total = match &mut self.walk {
            // What is over the limit already need not be counted to its end.
            Some(walk) => {
                walk.step(self.directory.as_fd(), STEP)?.or(Some(walk.total).filter(|t| *t > self.limit))
            }
            None => None,
        };
        let Some(total) = total else {
            let took = cost_so_far().saturating_sub(started);
            self.spent += took;
            self.next = now + (took * WITHIN).clamp(SHORTEST, LONGEST);
            return Ok(None);
        };
        self.walk = None;
        // The process may have ended in between: then it holds nothing.
        let held = if self.removed { unlinked(self.pid, self.device).unwrap_or(0) } else { 0 };
        self.removed = held > 0 || !matches!(self.watch, Watching::By(_));
        // What came while it was counted.
        self.noticed = true;
        self.used = total.saturating_add(held);
        self.peak = self.peak.max(self.used);
        let took = self.spent + cost_so_far().saturating_sub(started);
        self.next = now + self.budget.charge(took, now);
        Ok(Some(self.used))
    }

    /// Counts once more, at the end of the run.
    ///
    /// # Errors
    /// The directory cannot be read any more.
    pub fn finish(&mut self) -> io::Result<u64> {
        self.used = count(self.directory.as_fd())?;
        self.peak = self.peak.max(self.used);
        Ok(self.used)
    }

    /// Bytes counted last.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Most bytes that any count found.
    pub fn peak(&self) -> u64 {
        self.peak
    }

    /// Reads what the watch noticed. The events tell nothing that a count does
    /// not; an overflowing queue counts as a change too.
    fn take_events(&mut self, now: Instant) {
        if matches!(self.watch, Watching::NotYet) && now >= self.watched_from {
            // Then counted once more: what changed before the watch began is seen by that
            // count, what changes during it by the watch.
            self.watch = Watching::begin(&self.directory);
            self.changed = true;
        }
        let Watching::By(watch) = &self.watch else {
            self.changed = true;
            return;
        };
        let mut buffer = [0u8; 16 << 10];
        // Bounded: a sandbox that writes all the time refills the queue.
        for _ in 0..16 {
            match unistd::read(watch, &mut buffer) {
                Ok(length) if length > 0 => {
                    self.changed = true;
                    self.removed |= !all_keep_names(&buffer[..length]);
                    // The rest of the queue was shorter than what may come in one piece.
                    if length < buffer.len() / 2 {
                        break;
                    }
                }
                _ => break,
            }
        }
        self.noticed = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Scratch;
    use std::fs::{self, File};
    use std::io::Write;

    fn open(scratch: &Scratch) -> OwnedFd {
        File::open(scratch.path()).unwrap().into()
    }

    /// Looks until a count is complete.
    fn counted(watch: &mut DiskWatch) -> u64 {
        for _ in 0..1_000 {
            if watch.readable(Instant::now()).is_some() {
                watch.notice();
            }
            if let Some(total) = watch.look(Instant::now()).unwrap() {
                return total;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("no count in two seconds");
    }

    #[test]
    fn size_and_4096_for_each_entry() {
        let scratch = Scratch::new("disk");
        let directory = open(&scratch);
        assert_eq!(count(directory.as_fd()).unwrap(), 0);
        fs::write(scratch.path().join("one"), "x").unwrap();
        fs::write(scratch.path().join("two"), vec![0; 10_000]).unwrap();
        assert_eq!(count(directory.as_fd()).unwrap(), 1 + 10_000 + 2 * 4096);
        // A sparse file counts as long as it looks.
        File::create(scratch.path().join("sparse")).unwrap().set_len(1 << 30).unwrap();
        assert_eq!(count(directory.as_fd()).unwrap(), (1 << 30) + 10_001 + 3 * 4096);
        // A link is itself, never its target.
        std::os::unix::fs::symlink("sparse", scratch.path().join("link")).unwrap();
        assert_eq!(count(directory.as_fd()).unwrap(), (1 << 30) + 10_001 + 6 + 4 * 4096);
    }

    #[test]
    fn space_reserved_past_the_end_counts() {
        let scratch = Scratch::new("disk");
        let directory = open(&scratch);
        let file = File::create(scratch.path().join("reserved")).unwrap();
        let flags = nix::fcntl::FallocateFlags::FALLOC_FL_KEEP_SIZE;
        if nix::fcntl::fallocate(&file, flags, 0, 4 << 20).is_err() {
            return; // not every filesystem can
        }
        assert!(count(directory.as_fd()).unwrap() >= 4 << 20);
    }

    #[test]
    fn changes_are_noticed_and_quiet_costs_nothing() {
        let scratch = Scratch::new("disk");
        let mut watch =
            DiskWatch::new(open(&scratch), std::process::id() as i32, 0, u64::MAX, Instant::now()).unwrap();
        assert_eq!(counted(&mut watch), 0);
        // On a busy host a count takes longer, and the pause after it too.
        let quiet = (0..1_000).any(|_| {
            std::thread::sleep(Duration::from_millis(10));
            watch.look(Instant::now()).unwrap().is_none() && watch.next(Instant::now()).is_none()
        });
        assert!(quiet);
        assert!(watch.readable(Instant::now()).is_some());
        let mut file = File::create(scratch.path().join("file")).unwrap();
        file.write_all(&[0; 5_000]).unwrap();
        assert_eq!(counted(&mut watch), 5_000 + 4096);
        fs::remove_file(scratch.path().join("file")).unwrap();
        // Without a name, and still held by this very process.
        assert_eq!(counted(&mut watch), 5_000 + 4096);
        drop(file);
        fs::write(scratch.path().join("other"), "").unwrap();
        assert_eq!(counted(&mut watch), 4096);
        assert_eq!((watch.used(), watch.peak()), (4096, 5_000 + 4096));
    }

    #[test]
    fn what_changes_just_before_the_watch_begins_is_counted() {
        let scratch = Scratch::new("disk");
        let start = Instant::now();
        let mut watch =
            DiskWatch::new(open(&scratch), std::process::id() as i32, 0, u64::MAX, start).unwrap();
        let before = start + UNWATCHED - Duration::from_millis(1);
        assert_eq!(watch.look(before).unwrap(), Some(0));
        fs::write(scratch.path().join("file"), "").unwrap();
        assert_eq!(watch.look(start + LONGEST).unwrap(), Some(4096));
    }

    #[test]
    fn counting_costs_one_part_in_five_hundred_after_a_burst() {
        let start = Instant::now();
        let took = Duration::from_millis(4);
        let mut budget = Budget { saved: BURST, owed: Duration::ZERO, at: start };
        let mut now = start;
        let mut waits = Vec::new();
        for _ in 0..40 {
            let wait = budget.charge(took, now);
            waits.push(wait);
            now += wait;
        }
        assert_eq!(waits[..2], [SHORTEST; 2], "{waits:?}");
        assert!(waits[39] >= took * SPACING && waits[39] < took * (SPACING + 20), "{waits:?}");
        let share = (took * 40).as_secs_f64() / now.duration_since(start).as_secs_f64();
        assert!(share < 1.1 / f64::from(SPACING), "{share}");
        // A quiet while saves up as much again, and no more.
        assert_eq!(budget.charge(took, now + Duration::from_secs(3600)), SHORTEST);
        assert!(budget.saved <= BURST);
    }

    #[test]
    fn a_large_directory_is_counted_in_parts() {
        let scratch = Scratch::new("disk");
        for i in 0..STEP + 10 {
            File::create(scratch.path().join(format!("{i}"))).unwrap();
        }
        let mut watch =
            DiskWatch::new(open(&scratch), std::process::id() as i32, 0, u64::MAX, Instant::now()).unwrap();
        std::thread::sleep(WARM_UP);
        assert_eq!(watch.look(Instant::now()).unwrap(), None);
        assert_eq!(counted(&mut watch), (STEP as u64 + 10) * 4096);
        assert_eq!(watch.finish().unwrap(), (STEP as u64 + 10) * 4096);
    }
}
