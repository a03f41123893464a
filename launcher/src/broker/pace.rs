//! How often something may happen: a token bucket of one second.

use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub struct Pace {
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Pace {
    /// A full bucket.
    pub fn new(per_second: f64, now: Instant) -> Pace {
        Pace { per_second, left: per_second, at: now }
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed * self.per_second).min(self.per_second);
        self.at = self.at.max(now);
    }

    /// Takes one, if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        self.fill(now);
        let there = self.left >= 1.0;
        if there {
            self.left -= 1.0;
        }
        there
    }

    /// Whether there is one.
    pub fn has(&mut self, now: Instant) -> bool {
        self.fill(now);
        self.left >= 1.0
    }

    /// When there is one.
    pub fn next(&self, now: Instant) -> Instant {
        let missing = (1.0 - self.left).max(0.0) / self.per_second;
        (self.at + Duration::from_secs_f64(missing)).max(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_one_second_and_then_the_rate() {
        let start = Instant::now();
        let mut pace = Pace::new(10.0, start);
        assert_eq!((0..100).filter(|_| pace.take(start)).count(), 10);
        assert!(!pace.has(start));
        let next = pace.next(start);
        assert!(next > start && next <= start + Duration::from_millis(101));
        assert!(pace.take(next + Duration::from_millis(1)));
        // However long nothing happens, one second's worth is there.
        let later = start + Duration::from_secs(1000);
        assert_eq!((0..100).filter(|_| pace.take(later)).count(), 10);
        // A clock that seems to run back gives nothing.
        assert!(!pace.take(start));
    }
}
