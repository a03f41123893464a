//! The numbers that a policy's lines become.

/// The limits of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory, swap excluded.
    pub memory: u64,
    /// The processor share.
    pub cpu: CpuQuota,
    /// Processes and threads of the sandbox.
    pub processes: u32,
    /// Whether a broker will join the run: then memory and processes are held
    /// for each of the two, and the processor share for both together.
    pub broker: bool,
}

/// A processor share as the kernel takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuQuota {
    /// Microseconds of processor time in each period; at least 1000, the least
    /// the kernel takes.
    pub quota: u64,
    /// Length of a period in microseconds, 10 000 to 1 000 000.
    pub period: u64,
}

/// The least share a quota can express: 1 ms in each second.
pub const LEAST_SHARE: f64 = 0.001;

impl CpuQuota {
    /// The quota of `share` processors: a period of 10 ms, so that a program
    /// never stands still for long, or as long as a quota of 1 ms needs, up to
    /// a second. None for shares below [`LEAST_SHARE`] and for no numbers.
    pub fn of_share(share: f64) -> Option<CpuQuota> {
        if !(LEAST_SHARE..=1e6).contains(&share) {
            return None;
        }
        let period = (1_000.0 / share).ceil().clamp(10_000.0, 1_000_000.0);
        // A share such as .29 has no exact binary form: without the nudge
        // 0.29 * 10000 would become 2899.
        let quota = (share * period + 1e-6).floor().max(1_000.0);
        Some(CpuQuota { quota: quota as u64, period: period as u64 })
    }

    /// The share that this quota gives.
    pub fn share(self) -> f64 {
        self.quota as f64 / self.period as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas() {
        let quota = |share| CpuQuota::of_share(share).map(|q| (q.quota, q.period));
        assert_eq!(quota(0.1), Some((1_000, 10_000)));
        assert_eq!(quota(0.5), Some((5_000, 10_000)));
        assert_eq!(quota(0.29), Some((2_900, 10_000)));
        assert_eq!(quota(0.05), Some((1_000, 20_000)));
        assert_eq!(quota(0.001), Some((1_000, 1_000_000)));
        assert_eq!(quota(1.0), Some((10_000, 10_000)));
        assert_eq!(quota(1.5), Some((15_000, 10_000)));
        for none in [0.0, 0.0009, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(quota(none), None, "{none}");
        }
    }

    #[test]
    fn a_quota_never_gives_more_than_the_share() {
        for thousandths in 1..3_000 {
            let share = f64::from(thousandths) / 1000.0;
            let quota = CpuQuota::of_share(share).unwrap();
            assert!(quota.quota >= 1_000 && quota.period <= 1_000_000);
            assert!(quota.share() <= share + 1e-6, "{share}: {quota:?}");
            assert!(quota.share() >= share * 0.99, "{share}: {quota:?}");
        }
    }
}
