//! The supervisor's own meter of `lograte`. The interpreter keeps the exact one;
//! this one holds a sandbox whose interpreter no longer obeys.

use std::time::{Duration, Instant};

/// A counter that drains at the limit, with one second's worth free.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    rate: f64,
    burst: f64,
    used: f64,
    last: Instant,
}

/// When more may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// At once.
    Now,
    /// After this long.
    After(Duration),
    /// Never: the limit is zero and the free part is used up.
    Never,
}

impl Meter {
    /// A meter of `rate` bytes per second that lets `burst` pass at once.
    pub fn new(rate: f64, burst: f64, now: Instant) -> Meter {
        Meter { rate, burst, used: 0.0, last: now }
    }

    /// Counts what was taken.
    pub fn charge(&mut self, bytes: usize, now: Instant) {
        self.drain(now);
        self.used += bytes as f64;
    }

    /// Whether the past is paid for.
    pub fn ready(&mut self, now: Instant) -> Ready {
        self.drain(now);
        let over = self.used - self.burst;
        if over <= 0.0 {
            Ready::Now
        } else if self.rate > 0.0 {
            // At least a millisecond, so that waiting never becomes spinning, and
            // at most an hour, so that no rate overflows the clock.
            Ready::After(Duration::from_secs_f64((over / self.rate).clamp(0.001, 3_600.0)))
        } else {
            Ready::Never
        }
    }

    fn drain(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.last).as_secs_f64();
        self.used = (self.used - self.rate * elapsed).max(0.0);
        self.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_second_is_free_then_the_rate_holds() {
        let start = Instant::now();
        let mut meter = Meter::new(1_000.0, 1_000.0, start);
        assert_eq!(meter.ready(start), Ready::Now);
        meter.charge(3_000, start);
        assert_eq!(meter.ready(start), Ready::After(Duration::from_secs(2)));
        assert_eq!(meter.ready(start + Duration::from_secs(2)), Ready::Now);
        // A long pause gives no more than one burst.
        let later = start + Duration::from_secs(100);
        assert_eq!(meter.ready(later), Ready::Now);
        meter.charge(1_001, later);
        assert!(matches!(meter.ready(later), Ready::After(_)));
    }

    #[test]
    fn a_rate_of_zero_lets_the_free_part_pass_and_no_more() {
        let start = Instant::now();
        let mut meter = Meter::new(0.0, 10.0, start);
        meter.charge(10, start);
        assert_eq!(meter.ready(start), Ready::Now);
        meter.charge(1, start);
        assert_eq!(meter.ready(start + Duration::from_secs(1_000)), Ready::Never);
    }
}
