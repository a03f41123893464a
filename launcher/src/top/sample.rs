//! What one line of the table says: a run's use between two looks, against its
//! limits.

use std::collections::HashMap;

use policies::{Kind, RESOURCES};
use procfs::process::{FDTarget, Process};
use serde::Serialize;

use crate::ps::format::{age, user};
use crate::registry::identity::Identity;
use crate::registry::live::Live;
use crate::registry::{self, Found};

/// An amount and its limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Gauge {
    /// Used.
    pub used: f64,
    /// The limit of the policy.
    pub limit: f64,
}

impl Gauge {
    /// How much of the limit is used; of a limit of zero, nothing.
    pub fn part(self) -> f64 {
        if self.limit > 0.0 {
            self.used / self.limit
        } else {
            0.0
        }
    }
}

/// One run.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Launcher.
    pub launcher: i32,
    /// Sandbox.
    pub sandbox: i32,
    /// `--name`, or the program's name.
    pub name: String,
    /// Its user.
    pub user: String,
    /// Seconds since its start.
    pub uptime: f64,
    /// Processor share.
    pub cpu: Gauge,
    /// Bytes of memory.
    pub memory: Gauge,
    /// Bytes of disk space.
    pub disk: Gauge,
    /// Units in a second, by name: only rates that were used.
    pub rates: Vec<(&'static str, Gauge)>,
    /// Most events at one time.
    pub events: Gauge,
    /// Sockets the program holds now; None where this user may not look.
    pub sockets: Option<u64>,
    /// Refusals by limits and rules.
    pub denials: u64,
    /// The run itself.
    #[serde(skip)]
    pub found: Found,
}

/// Looks at all runs again and again.
#[derive(Debug, Default)]
pub struct Sampler {
    before: HashMap<Identity, Live>,
    /// The pair of looks that the last figures come from.
    shown: HashMap<Identity, (Live, Live)>,
}

impl Sampler {
    /// Looks now.
    pub fn look(&mut self) -> Vec<Row> {
        let found = registry::find();
        let living: Vec<Identity> = found.iter().map(|run| run.record.launcher).collect();
        self.before.retain(|launcher, _| living.contains(launcher));
        self.shown.retain(|launcher, _| living.contains(launcher));
        found.into_iter().map(|run| self.row(run)).collect()
    }

    fn row(&mut self, found: Found) -> Row {
        let launcher = found.record.launcher;
        let now = found.live.clone().or_else(|| self.before.get(&launcher).cloned()).unwrap_or_default();
        let before = self.before.insert(launcher, now.clone()).unwrap_or_default();
        // The launcher tells once in a second: until it tells anew, the figures stay.
        if now.elapsed > before.elapsed {
            self.shown.insert(launcher, (before, now));
        }
        let (before, now) = self.shown.get(&launcher).cloned().unwrap_or_default();
        compare(found, &before, &now)
    }
}

fn compare(found: Found, before: &Live, now: &Live) -> Row {
    let record = &found.record;
    let seconds = now.elapsed - before.elapsed;
    let limit = |name: &str| record.limits.get(name).copied().unwrap_or(0.0);
    let each_second = |difference: f64| if seconds > 0.0 { (difference / seconds).max(0.0) } else { 0.0 };
    let total = |live: &Live, name: &str| live.resources.get(name).map_or(0, |use_of| use_of.total) as f64;
    let rates = RESOURCES
        .iter()
        .filter(|facts| facts.kind == Kind::Renewable)
        .map(|facts| {
            let used = each_second(total(now, facts.name) - total(before, facts.name));
            (facts.name, Gauge { used, limit: limit(facts.name) })
        })
        .filter(|(_, gauge)| gauge.used > 0.0)
        .collect();
    let program = std::path::Path::new(&record.program).file_name();
    Row {
        launcher: record.launcher.pid,
        sandbox: record.sandbox.pid,
        name: record
            .name
            .clone()
            .or_else(|| Some(program?.to_string_lossy().into_owned()))
            .unwrap_or_default(),
        user: user(found.owner),
        uptime: age(record),
        cpu: Gauge { used: each_second(now.cpu - before.cpu), limit: limit("cpu") },
        memory: Gauge { used: now.memory as f64, limit: limit("memory") },
        disk: Gauge { used: now.disk as f64, limit: limit("diskused") },
        rates,
        events: Gauge {
            used: now.resources.get("events").map_or(0, |use_of| use_of.peak) as f64,
            limit: limit("events"),
        },
        sockets: sockets(record.sandbox.pid),
        denials: now.denials(),
        found,
    }
}

/// Sockets besides the channels, which have the numbers up to 6.
fn sockets(pid: i32) -> Option<u64> {
    let descriptors = Process::new(pid).and_then(|process| process.fd()).ok()?;
    let mut count = 0;
    for info in descriptors {
        count += u64::from(info.is_ok_and(|info| info.fd > 6 && matches!(info.target, FDTarget::Socket(_))));
    }
    Some(count)
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::registry::live::ResourceUse;
    use crate::registry::record::Record;
    use std::collections::BTreeMap;

    /// A run that is not there, for tests of the table.
    pub fn found(name: &str) -> Found {
        let limits = [("cpu", 0.5), ("memory", 1e7), ("diskused", 1e6), ("events", 10.0), ("netsend", 100.0)];
        Found {
            record: Record {
                record_version: 1,
                launcher_version: String::new(),
                name: Some(name.to_owned()),
                launcher: Identity { pid: i32::MAX, started: 1 },
                sandbox: Identity { pid: i32::MAX, started: 1 },
                uid: 0,
                began: 0.0,
                policy: "/p".to_owned(),
                policy_sha256: String::new(),
                program: "/x/prog.repy".to_owned(),
                vessel: "/v".to_owned(),
                interpreter: "/i".to_owned(),
                layers: BTreeMap::new(),
                groups: Vec::new(),
                limits: limits.map(|(name, limit)| (name.to_owned(), limit)).into(),
                rows: Vec::new(),
            },
            live: None,
            owner: 0,
            path: std::path::PathBuf::new(),
        }
    }

    fn live(elapsed: f64, cpu: f64, sent: u64) -> Live {
        let resources =
            [("netsend".to_owned(), ResourceUse { total: sent, ..ResourceUse::default() })].into();
        Live { elapsed, cpu, resources, ..Live::default() }
    }

    #[test]
    fn figures_are_of_the_time_between_two_looks() {
        let row = compare(found("a"), &live(1.0, 0.25, 100), &live(3.0, 0.75, 300));
        assert_eq!(row.cpu, Gauge { used: 0.25, limit: 0.5 });
        assert_eq!(row.cpu.part(), 0.5);
        assert_eq!(row.rates, [("netsend", Gauge { used: 100.0, limit: 100.0 })]);
        assert_eq!(row.sockets, None);
    }

    #[test]
    fn figures_stay_until_the_launcher_tells_anew() {
        let mut sampler = Sampler::default();
        let mut run = found("a");
        let mut look = |state: Option<Live>| {
            run.live = state;
            sampler.row(run.clone()).cpu.used
        };
        assert_eq!(look(Some(live(1.0, 0.5, 0))), 0.5);
        assert_eq!(look(Some(live(2.0, 0.6, 0))), 0.6 - 0.5);
        assert_eq!(look(Some(live(2.0, 0.6, 0))), 0.6 - 0.5);
        // Caught half written.
        assert_eq!(look(None), 0.6 - 0.5);
        assert_eq!(look(Some(live(4.0, 0.6, 0))), 0.0);
    }
}
