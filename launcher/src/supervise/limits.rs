//! Limits that the supervisor holds by looking, and what it can tell of use.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use crate::cgroup::{Group, Integrity, Use};
use crate::monitor::cpu::{DutyCycle, RunTime, Step, TICK};
use crate::monitor::disk::DiskWatch;
use crate::monitor::memory::ResidentSet;
use crate::registry::live::Live;

use super::ending::{Cause, Limits};

/// Looks at one sandbox.
#[derive(Debug)]
pub struct Watch {
    limits: Limits,
    group: Option<Group>,
    disk: DiskWatch,
    disk_at_start: u64,
    run_time: Option<RunTime>,
    /// The broker works for the program: its time counts, too. Without a control
    /// group only.
    broker_time: Option<RunTime>,
    cpu_share: f64,
    /// Where the control group does not hold the program's own memory by itself:
    /// there is none, or the vessel lies in memory too.
    resident: Option<ResidentSet>,
    cycle: Option<DutyCycle>,
    scratch: bool,
    /// When the program's own period begins; None after that and without a group.
    starts_until: Option<Instant>,
    last_tick: Instant,
    next_tick: Instant,
    memory_peak: u64,
    /// The last figure of the processor clock, for a process that is gone.
    run: Duration,
}

/// Until a run is this old its processor share holds over a longer period, for the start of
/// the interpreter.
pub const START: Duration = Duration::from_millis(100);

/// The least time between two looks at memory.
const SHORTEST: Duration = Duration::from_millis(1);

/// Time to the next look at memory that grew by `grown` in `elapsed` and has `left` to its
/// limit: half of what it takes to get there at that pace. So a program that nears its limit
/// quickly is looked at more often, and passes it by what it grows in a millisecond or two.
fn pause(grown: u64, elapsed: Duration, left: u64) -> Duration {
    let pace = grown as f64 / elapsed.as_secs_f64().max(1e-6);
    Duration::try_from_secs_f64(left as f64 / pace / 2.0).map_or(TICK, |time| time.clamp(SHORTEST, TICK))
}

/// What a look asks the supervisor to do.
#[derive(Debug, Default)]
pub struct Asked {
    /// Kill for this.
    pub kill: Option<Cause>,
    /// Stop or continue the process.
    pub step: Option<Step>,
    /// Tell the interpreter this disk use.
    pub disk_used: Option<u64>,
    /// For the report.
    pub note: Option<String>,
}

/// What a run used, for the report.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    /// Processor time.
    pub cpu: Duration,
    /// What the control group counted, if there was one.
    pub group: Option<Use>,
    /// Without one: how often the process was stopped, and for how long.
    pub stops: Option<(u64, Duration)>,
    /// Whether the vessel lay in memory.
    pub scratch: bool,
    /// Most memory, in bytes.
    pub memory_peak: u64,
    /// Disk use before the start, at the end, and at most, in bytes.
    pub disk: (u64, u64, u64),
}

impl Watch {
    /// Begins to look at process `pid`.
    ///
    /// # Errors
    /// The vessel or /proc cannot be read (without a control group, /proc is
    /// what holds memory and processor share, and is needed).
    pub fn new(
        pid: i32,
        group: Option<Group>,
        (vessel, disk_used): (OwnedFd, u64),
        scratch: bool,
        limits: Limits,
        cpu_share: f64,
        now: Instant,
    ) -> io::Result<Watch> {
        let run_time = RunTime::new(pid);
        let (run_time, resident, cycle) = if group.is_some() {
            (run_time.ok(), scratch.then(|| ResidentSet::new(pid)).transpose()?, None)
        } else {
            let run_time = run_time?;
            let run = run_time.read().unwrap_or_default();
            // One thread cannot use more than one processor.
            let cycle = (cpu_share < 1.0).then(|| DutyCycle::new(cpu_share, run, now));
            (Some(run_time), Some(ResidentSet::new(pid)?), cycle)
        };
        let starts_until = group.is_some().then_some(now + START);
        Ok(Watch {
            limits,
            group,
            starts_until,
            disk: DiskWatch::new(vessel, pid, disk_used, limits.disk, now)?,
            disk_at_start: disk_used,
            run_time,
            broker_time: None,
            cpu_share,
            resident,
            cycle,
            scratch,
            last_tick: now,
            next_tick: now + TICK,
            memory_peak: 0,
            run: Duration::ZERO,
        })
    }

    /// The control group, if the run has one.
    pub fn group(&mut self) -> Option<&mut Group> {
        self.group.as_mut()
    }

    /// From now on the processor time of the broker counts in the program's
    /// share. A control group counts it by itself.
    pub fn count_broker(&mut self, pid: i32, now: Instant) {
        if self.group.is_some() {
            return;
        }
        // Not readable: it has ended, and with it the run.
        self.broker_time = RunTime::new(pid).ok();
        // Two processes can use two processors.
        if self.cycle.is_none() && self.cpu_share < 2.0 {
            self.cycle = self.run_time().map(|run| DutyCycle::new(self.cpu_share, run, now));
        }
    }

    /// Processor time of the program and, where it counts here, of the broker.
    fn run_time(&self) -> Option<Duration> {
        let run = self.run_time.as_ref().and_then(RunTime::read)?;
        Some(run + self.broker_time.as_ref().and_then(RunTime::read).unwrap_or_default())
    }

    /// The descriptor that tells of changes in the vessel. Where memory is looked at anyway,
    /// they are found then, and need not wake anybody.
    pub fn disk_readable(&self, now: Instant) -> Option<BorrowedFd<'_>> {
        self.disk.readable(now).filter(|_| self.resident.is_none())
    }

    /// The disk watch has something to tell.
    pub fn disk_changed(&mut self) {
        self.disk.notice();
    }

    /// When memory is looked at next, where that is done by a tick. What has time
    /// until then need not wake anybody.
    pub fn tick_at(&self) -> Option<Instant> {
        self.resident.is_some().then_some(self.next_tick)
    }

    /// When the next look is due.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let look = match self.resident.is_some() {
            true => Some(self.next_tick),
            false => self.disk.next(now),
        };
        look.into_iter().chain(self.starts_until).min()
    }

    /// The start is over: the share holds over the program's period.
    fn end_start(&mut self, now: Instant, asked: &mut Asked) {
        if self.starts_until.is_none_or(|until| now < until) {
            return;
        }
        self.starts_until = None;
        if let Some(Err(error)) = self.group.as_ref().map(Group::hold_share) {
            asked.kill = Some(Cause::GroupLost(error.to_string()));
        }
    }

    /// Looks at what is due. With a control group that is disk use alone, unless
    /// the vessel lies in memory: the kernel holds the rest.
    pub fn look(&mut self, now: Instant) -> Asked {
        let mut asked = Asked::default();
        let tick = self.resident.is_some() && now >= self.next_tick;
        if tick {
            self.disk.notice();
        }
        match self.disk.look(now) {
            Ok(None) => {}
            Ok(Some(used)) => {
                asked.disk_used = Some(used);
                if used > self.limits.disk {
                    asked.kill = Some(Cause::Disk { used });
                }
            }
            Err(error) => asked.kill = Some(Cause::MonitorLost(error.to_string())),
        }
        self.end_start(now, &mut asked);
        if tick {
            self.tick(now, &mut asked);
        }
        asked
    }

    fn tick(&mut self, now: Instant, asked: &mut Asked) {
        self.next_tick = now + TICK;
        let last_tick = std::mem::replace(&mut self.last_tick, now);
        let limit = self.limits.memory;
        let mut soon = None;
        if let Some(resident) = &mut self.resident {
            let before = resident.last();
            if let Some(used) = resident.read() {
                if used > limit {
                    asked.kill = Some(Cause::Memory { used });
                }
                let elapsed = now.saturating_duration_since(last_tick);
                soon = Some(now + pause(used.saturating_sub(before), elapsed, limit.saturating_sub(used)));
            }
        }
        let run = if self.group.is_none() { self.run_time() } else { None };
        if let (Some(cycle), Some(run)) = (&mut self.cycle, run) {
            self.run = run;
            asked.step = Some(cycle.look(run, now)).filter(|step| *step != Step::Leave);
            // A stopped process does not grow and needs no look before it may go on:
            // the tick stays within a tenth of a second all the same.
            self.next_tick = cycle.next().clamp(now + Duration::from_millis(1), now + TICK * 10);
            soon = soon.filter(|_| !cycle.is_stopped());
        }
        self.next_tick = soon.map_or(self.next_tick, |soon| self.next_tick.min(soon));
    }

    /// Once in a second: whether the group's limits still hold.
    pub fn check(&mut self) -> Asked {
        let mut asked = Asked::default();
        let Some(group) = &self.group else { return asked };
        match group.check() {
            Integrity::Whole => {}
            Integrity::Restored(what) => {
                asked.note = Some(format!("a limit was loosened and set again: {what}"))
            }
            Integrity::Lost(what) => asked.kill = Some(Cause::GroupLost(what)),
        }
        // Kernels before 5.19 keep no peak of version 2 groups.
        self.memory_peak = self.memory_peak.max(group.usage().memory.unwrap_or(0));
        asked
    }

    /// Processor time, memory and disk use now, for those who look at the run.
    pub fn live(&self) -> Live {
        let mut live = Live { disk: self.disk.used(), ..Live::default() };
        let run = self.run_time.as_ref().and_then(RunTime::read).unwrap_or(self.run);
        match &self.group {
            Some(group) => {
                let counted = group.usage();
                live.cpu = counted.cpu.unwrap_or(run).as_secs_f64();
                live.memory = counted.memory.unwrap_or(0);
                live.memory_peak = counted.memory_peak.unwrap_or(self.memory_peak).max(live.memory);
                live.throttled = counted.throttled_periods;
                live.throttled_seconds = counted.throttled.as_secs_f64();
                // The group counts a scratch vessel too.
                if let Some(resident) = &self.resident {
                    (live.memory, live.memory_peak) = (resident.last(), resident.peak());
                }
            }
            None => {
                live.cpu = run.as_secs_f64();
                if let Some(resident) = &self.resident {
                    live.memory = resident.last();
                    live.memory_peak = resident.peak();
                }
                if let Some((stops, time)) = self.cycle.map(|cycle| cycle.stops()) {
                    live.throttled = stops;
                    live.throttled_seconds = time.as_secs_f64();
                }
            }
        }
        live
    }

    /// Whether the process is held stopped for its processor share.
    pub fn is_stopped(&self) -> bool {
        self.cycle.is_some_and(|cycle| cycle.is_stopped())
    }

    /// Reads the processor clock of a process that has ended, before it is
    /// waited for.
    pub fn last_words(&mut self) {
        if let Some(run) = self.run_time() {
            self.run = run;
        }
    }

    /// What was used in all; removes the control group.
    pub fn finish(mut self) -> Used {
        let used = self.disk.finish().unwrap_or(self.disk.used());
        let group = self.group.take().map(|group| {
            let counted = group.usage();
            group.remove();
            counted
        });
        let children = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN);
        let resident = children.map_or(0, |usage| u64::try_from(usage.max_rss()).unwrap_or(0) * 1024);
        let peak = match group.filter(|_| self.resident.is_none()) {
            Some(counted) => counted.memory_peak.unwrap_or(self.memory_peak),
            None => resident.max(self.resident.as_ref().map_or(0, ResidentSet::peak)),
        };
        Used {
            cpu: group.and_then(|counted| counted.cpu).unwrap_or(self.run),
            group,
            stops: self.cycle.map(|cycle| cycle.stops()),
            scratch: self.scratch,
            memory_peak: peak,
            disk: (self.disk_at_start, used, self.disk.peak()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_look_comes_before_memory_can_pass_its_limit() {
        const MB: u64 = 1_000_000;
        let at = |grown, elapsed, left| pause(grown, Duration::from_millis(elapsed), left);
        assert_eq!(at(0, 10, 0), TICK);
        assert_eq!(at(0, 10, 50 * MB), TICK);
        assert_eq!(at(MB, 10, 50 * MB), TICK);
        assert_eq!(at(10 * MB, 10, 10 * MB), TICK / 2);
        // The pace counts, not the time over which it was seen.
        assert_eq!(at(MB, 1, 10 * MB), TICK / 2);
        assert_eq!(at(10 * MB, 10, 1), SHORTEST);
        assert_eq!(at(u64::MAX, 0, u64::MAX), SHORTEST);
    }
}
