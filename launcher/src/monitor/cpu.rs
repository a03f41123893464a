//! Processor time of the sandbox, and its share held by stopping and continuing
//! it, for runs without a control group.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// Reads the processor time of one process (exact to the nanosecond, unlike
/// /proc/PID/stat).
#[derive(Debug)]
pub struct RunTime {
    schedstat: File,
}

impl RunTime {
    /// Begins to look at process `pid`.
    ///
    /// # Errors
    /// /proc cannot be read, or the kernel keeps no such figures.
    pub fn new(pid: i32) -> io::Result<RunTime> {
        Ok(RunTime { schedstat: File::open(format!("/proc/{pid}/schedstat"))? })
    }

    /// Time spent running; also of a process that has ended and not been waited
    /// for. None after that.
    pub fn read(&self) -> Option<Duration> {
        let mut buffer = [0; 128];
        let length = self.schedstat.read_at(&mut buffer, 0).ok()?;
        super::number(&buffer[..length], 0).map(Duration::from_nanos)
    }
}

/// What to do with the process now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// As it is.
    Leave,
    /// Send SIGSTOP.
    Stop,
    /// Send SIGCONT.
    Continue,
}

/// Holds a process to a share of one processor.
///
/// A balance grows by the share with time and falls by what the process ran.
/// Below zero the process is stopped until the balance is back.
#[derive(Clone, Copy, Debug)]
pub struct DutyCycle {
    share: f64,
    balance: f64,
    last: Instant,
    run: Duration,
    stopped: Option<Instant>,
    stops: u64,
    stopped_for: Duration,
}

/// Most that a process can save up by not running: the time of two looks, of which a stop
/// lasts one.
const SAVED: f64 = 0.02;

/// Shortest time between two looks.
pub const TICK: Duration = Duration::from_millis(10);

impl DutyCycle {
    /// Holds to `share` (above zero) from `now` on, having run for `run`.
    pub fn new(share: f64, run: Duration, now: Instant) -> DutyCycle {
        DutyCycle {
            share,
            balance: share * SAVED,
            last: now,
            run,
            stopped: None,
            stops: 0,
            stopped_for: Duration::ZERO,
        }
    }

    /// Decides after a look at `now` that found `run` as processor time in all.
    pub fn look(&mut self, run: Duration, now: Instant) -> Step {
        let elapsed = now.saturating_duration_since(self.last).as_secs_f64();
        let used = run.saturating_sub(self.run).as_secs_f64();
        self.balance = (self.balance + self.share * elapsed - used).min(self.share * SAVED);
        (self.last, self.run) = (now, run);
        match self.stopped {
            None if self.balance < 0.0 => {
                self.stopped = Some(now);
                self.stops += 1;
                Step::Stop
            }
            Some(since) if self.balance >= 0.0 => {
                self.stopped = None;
                self.stopped_for += now.saturating_duration_since(since);
                Step::Continue
            }
            _ => Step::Leave,
        }
    }

    /// When the next look is due.
    pub fn next(&self) -> Instant {
        let pause = match self.stopped {
            None => TICK,
            Some(_) => {
                let missing = (-self.balance / self.share).clamp(0.0, 3_600.0);
                // Shorter stops would be more stops, and each wakes the supervisor twice.
                Duration::from_secs_f64(missing).max(TICK)
            }
        };
        self.last + pause
    }

    /// Whether the process is stopped now.
    pub fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// How often the process was stopped, and for how long altogether.
    pub fn stops(&self) -> (u64, Duration) {
        (self.stops, self.stopped_for)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process that runs whenever it may, on a clock of our own.
    fn simulate(share: f64, seconds: f64) -> f64 {
        let start = Instant::now();
        let (mut now, mut run) = (start, Duration::ZERO);
        let mut cycle = DutyCycle::new(share, run, now);
        let mut running = true;
        while now < start + Duration::from_secs_f64(seconds) {
            let next = cycle.next().max(now + Duration::from_micros(100));
            if running {
                run += next - now;
            }
            now = next;
            match cycle.look(run, now) {
                Step::Stop => running = false,
                Step::Continue => running = true,
                Step::Leave => {}
            }
        }
        run.as_secs_f64() / (now - start).as_secs_f64()
    }

    #[test]
    fn the_share_holds() {
        for share in [0.05, 0.1, 0.25, 0.5, 0.9] {
            let got = simulate(share, 20.0);
            assert!((got / share - 1.0).abs() < 0.02, "{share}: {got}");
        }
        assert!(simulate(1.5, 1.0) > 0.99);
    }

    #[test]
    fn idling_saves_up_little() {
        let start = Instant::now();
        let mut cycle = DutyCycle::new(0.1, Duration::ZERO, start);
        let later = start + Duration::from_secs(100);
        assert_eq!(cycle.look(Duration::ZERO, later), Step::Leave);
        assert_eq!(cycle.look(Duration::from_millis(10), later + TICK), Step::Stop);
    }

    #[test]
    fn processor_time_is_read_also_of_a_zombie() {
        use std::process::{Command, Stdio};
        let mut child = Command::new("sh")
            .args(["-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let time = RunTime::new(child.id() as i32).unwrap();
        let pid = nix::unistd::Pid::from_raw(child.id() as i32);
        use nix::sys::wait::{waitid, Id, WaitPidFlag};
        waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT).unwrap();
        assert!(time.read().unwrap() > Duration::from_millis(1));
        child.wait().unwrap();
        assert_eq!(time.read(), None);
    }
}
