//! The token bucket of one renewable resource, in integers.
//!
//! The rule is the original's: a counter C falls by the limit L each second
//! (never below 0), a charge q raises it, and whoever finds C above L waits
//! until it is back at L. So one second's worth is free, one call may overdraw
//! without bound and is paid for afterwards, and over any time T after the
//! start at most `L * (T + 1)` units and one call pass.
//!
//! Unlike the original nothing is held while waiting: a charge after an act is
//! booked at once and yields the moment at which it is paid, and callers who
//! must wait *before* an act stand in one queue, so that the ones behind the
//! first look again after the first has been charged.

use std::collections::VecDeque;

/// Charges are counted in units of 1e-15, so that one nanosecond of a limit
/// given in millionths per second is a whole number.
const FINE: u128 = 1_000_000_000_000_000;
/// Nanoseconds in a second.
const SECOND: u128 = 1_000_000_000;
/// The largest limit that is told apart, in millionths of a unit per second
/// (about 1.8e13 units: no machine reaches it in a second).
const LARGEST: f64 = u64::MAX as f64;

/// One renewable resource's meter. Times are nanoseconds of the monotonic
/// clock; time running backwards is ignored, and time a machine spends
/// suspended is not on that clock and earns nothing.
#[derive(Debug, Clone)]
pub struct Bucket {
    /// Limit in millionths of a unit per second; 0 never drains.
    rate: u64,
    /// The counter C, in units of 1e-15.
    level: u128,
    /// When `level` was last brought up to date.
    updated: u64,
}

impl Bucket {
    /// A bucket with `limit` units per second (negative and NaN count as 0),
    /// empty at the moment `now`.
    pub fn new(limit: f64, now: u64) -> Bucket {
        let millionths = limit * 1e6;
        let rate = if millionths.is_nan() || millionths <= 0.0 {
            0
        } else if millionths >= LARGEST {
            u64::MAX
        } else {
            // A limit between 0 and a millionth still drains, if slowly.
            (millionths.round() as u64).max(1)
        };
        Bucket { rate, level: 0, updated: now }
    }

    /// Whether the limit is 0, so that every charge must be refused.
    pub fn never_drains(&self) -> bool {
        self.rate == 0
    }

    fn drain(&mut self, now: u64) {
        let elapsed = now.saturating_sub(self.updated);
        if elapsed > 0 {
            self.level = self.level.saturating_sub(u128::from(self.rate) * u128::from(elapsed));
            self.updated = now;
        }
    }

    /// The moment from which a caller may go on: `now` itself when the past
    /// is paid for. Saturates for debts that end after the clock does.
    pub fn free_at(&mut self, now: u64) -> u64 {
        self.drain(now);
        let burst = u128::from(self.rate) * SECOND;
        if self.level <= burst {
            return now;
        }
        if self.rate == 0 {
            return u64::MAX;
        }
        let wait = (self.level - burst).div_ceil(u128::from(self.rate));
        now.saturating_add(u64::try_from(wait).unwrap_or(u64::MAX))
    }

    /// Books `units` and returns the moment at which they are paid for.
    pub fn charge(&mut self, units: u64, now: u64) -> u64 {
        self.drain(now);
        self.level = self.level.saturating_add(u128::from(units) * FINE);
        self.free_at(now)
    }
}

/// Who waits before an act, first come first served. `W` names a waiter (a
/// thread of the virtual machine).
#[derive(Debug, Clone)]
pub struct Gate<W> {
    waiting: VecDeque<W>,
}

/// What a caller at a [`Gate`] has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// Go on: the past is paid for and nobody was waiting before.
    Now,
    /// Wait until this moment (nanoseconds) and ask again.
    Until(u64),
    /// Others are waiting; the caller is woken when it becomes the first.
    Queued,
}

impl<W: Copy + PartialEq> Default for Gate<W> {
    fn default() -> Self {
        Gate { waiting: VecDeque::new() }
    }
}

impl<W: Copy + PartialEq> Gate<W> {
    /// Asks for passage for `who`, who is not waiting yet. Unless the answer
    /// is [`Pass::Now`], `who` is waiting from here on.
    pub fn arrive(&mut self, bucket: &mut Bucket, who: W, now: u64) -> Pass {
        if !self.waiting.is_empty() {
            self.waiting.push_back(who);
            return Pass::Queued;
        }
        let free = bucket.free_at(now);
        if free <= now {
            return Pass::Now;
        }
        self.waiting.push_back(who);
        Pass::Until(free)
    }

    /// Asks again for `who`, who is waiting and keeps its place.
    pub fn again(&mut self, bucket: &mut Bucket, who: W, now: u64) -> Pass {
        match self.waiting.front() {
            Some(front) if *front != who => return Pass::Queued,
            _ => {}
        }
        let free = bucket.free_at(now);
        if free > now {
            return Pass::Until(free);
        }
        self.waiting.pop_front();
        Pass::Now
    }

    /// The one at the front, to be woken after the one before it has acted.
    pub fn front(&self) -> Option<W> {
        self.waiting.front().copied()
    }

    /// Forgets `who`, wherever it stands (its thread has ended).
    pub fn leave(&mut self, who: W) {
        self.waiting.retain(|waiting| *waiting != who);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_second_is_free_and_the_rest_is_paid_for() {
        let mut bucket = Bucket::new(100.0, 0);
        assert_eq!(bucket.charge(100, 0), 0);
        assert_eq!(bucket.charge(50, 0), S / 2);
        assert_eq!(bucket.free_at(S / 2), S / 2);
        // Two idle hours earn one burst, not two hours' worth.
        assert_eq!(bucket.charge(100, 7200 * S), 7200 * S);
        assert_eq!(bucket.charge(100, 7200 * S), 7201 * S);
    }

    #[test]
    fn rates_hold_within_one_percent_over_ten_seconds() {
        for limit in [0.5, 3.0, 1000.0, 1e6, 123_456.789] {
            for chunk in [1u64, 7, 4096, 1_000_000] {
                let mut bucket = Bucket::new(limit, 0);
                let mut gate = Gate::default();
                let (mut now, mut units) = (0u64, 0u64);
                let mut waiting = false;
                let mut at_one_second = None;
                let horizon = (11.0f64.max(40.0 * chunk as f64 / limit)) as u64 * S;
                while now < horizon && units < 3_000_000 * chunk {
                    let pass = if waiting {
                        gate.again(&mut bucket, 1u32, now)
                    } else {
                        gate.arrive(&mut bucket, 1, now)
                    };
                    match pass {
                        Pass::Now => waiting = false,
                        Pass::Until(then) => {
                            now = then;
                            waiting = true;
                            continue;
                        }
                        Pass::Queued => unreachable!("only one waiter"),
                    }
                    units += chunk;
                    now = bucket.charge(chunk, now);
                    let seconds = now as f64 / 1e9;
                    assert!(units as f64 <= limit * (seconds + 1.0) + chunk as f64 + 1e-6);
                    if at_one_second.is_none() && now > 0 {
                        at_one_second = Some((now, units));
                    }
                }
                let (start, before) = at_one_second.expect("every limit is reached");
                let rate = (units - before) as f64 / ((now - start) as f64 / 1e9);
                assert!((rate / limit - 1.0).abs() < 0.01, "limit {limit} chunk {chunk}: {rate}");
            }
        }
    }

    #[test]
    fn waiting_callers_are_served_in_order_and_see_the_charges_before_them() {
        let mut bucket = Bucket::new(10.0, 0);
        let mut gate = Gate::default();
        bucket.charge(20, 0);
        assert_eq!(gate.arrive(&mut bucket, 'a', 0), Pass::Until(S));
        assert_eq!(gate.arrive(&mut bucket, 'b', 0), Pass::Queued);
        assert_eq!(gate.arrive(&mut bucket, 'c', 0), Pass::Queued);
        assert_eq!(gate.again(&mut bucket, 'b', S), Pass::Queued);
        assert_eq!(gate.again(&mut bucket, 'a', S), Pass::Now);
        bucket.charge(10, S);
        assert_eq!(gate.front(), Some('b'));
        assert_eq!(gate.again(&mut bucket, 'b', S), Pass::Until(2 * S));
        gate.leave('b');
        assert_eq!(gate.front(), Some('c'));
        assert_eq!(gate.arrive(&mut bucket, 'd', 2 * S), Pass::Queued);
        assert_eq!(gate.again(&mut bucket, 'c', 2 * S), Pass::Now);
        assert_eq!(gate.again(&mut bucket, 'd', 2 * S), Pass::Now);
        assert_eq!(gate.front(), None);
    }

    #[test]
    fn extremes_neither_panic_nor_wrap() {
        assert!(Bucket::new(0.0, 5).never_drains());
        assert!(Bucket::new(f64::NAN, 5).never_drains());
        assert!(Bucket::new(-1.0, 5).never_drains());
        assert!(!Bucket::new(1e-300, 5).never_drains());
        let mut huge = Bucket::new(f64::INFINITY, 5);
        assert_eq!(huge.charge(u64::MAX / 1_000_000, 5), 5);
        let mut tiny = Bucket::new(1e-6, 5);
        for _ in 0..3 {
            tiny.charge(u64::MAX, 6);
        }
        assert_eq!(tiny.free_at(u64::MAX), u64::MAX);
        let mut back = Bucket::new(10.0, 100);
        assert_eq!(back.charge(1, 50), 50);
    }
}
