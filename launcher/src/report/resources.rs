//! The part of the report on each resource.

use std::collections::BTreeMap;

use policies::{Kind, Limit, Policy, Resource, RESOURCES};
use serde::Serialize;

use crate::supervise::Ended;

/// Limit and use of one resource. Keys that make no sense for a resource are
/// left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ResourceReport {
    /// The limit, in `unit`; for ports how many are granted.
    pub limit: f64,
    /// What the limit counts.
    pub unit: &'static str,
    /// Line of the policy that sets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Who holds the limit, the strongest first.
    pub held_by: &'static str,
    /// What was used in all: bytes, numbers, items taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<u64>,
    /// Most at one time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak: Option<u64>,
    /// How often the limit refused something.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denials: Option<u64>,
    /// Who refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub denied_by: Option<&'static str>,
    /// Seconds that calls waited for a rate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waited_seconds: Option<f64>,
    /// Seconds of processor time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_seconds: Option<f64>,
    /// Quota periods in which the program wanted to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub periods: Option<u64>,
    /// Those in which it used up its share; without a control group, how often
    /// it was stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_periods: Option<u64>,
    /// Seconds it was held back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub throttled_seconds: Option<f64>,
}

/// One entry for each resource.
pub fn describe(ended: &Ended, policy: &Policy) -> BTreeMap<&'static str, ResourceReport> {
    RESOURCES.iter().map(|facts| (facts.name, one(facts.resource, ended, policy))).collect()
}

fn one(resource: Resource, ended: &Ended, policy: &Policy) -> ResourceReport {
    let mut report = ResourceReport {
        limit: policy.amount(resource),
        unit: resource.facts().unit,
        line: policy.line(resource),
        held_by: held_by(resource, ended),
        ..ResourceReport::default()
    };
    if let Limit::Ports(_) = policy.limit(resource) {
        report.unit = "ports granted";
    }
    if let Some(counter) = ended.told.counters.iter().find(|counter| counter.resource == resource) {
        report.used = Some(counter.total);
        report.peak = Some(counter.peak);
        report.denials = Some(counter.denials);
        report.denied_by = (counter.denials > 0).then_some("interpreter");
        if resource.kind() == Kind::Renewable {
            report.waited_seconds = Some(counter.waited_ns as f64 / 1e9);
        }
    }
    match resource {
        Resource::Cpu => cpu(&mut report, ended),
        // What was seen from outside counts more than what the interpreter told.
        Resource::Memory => {
            report.used = None;
            report.peak = Some(ended.used.memory_peak);
            killed(&mut report, ended.finding.ending == crate::verdict::Ending::Memory);
        }
        Resource::DiskUsed => {
            let (_, last, peak) = ended.used.disk;
            report.used = Some(last);
            report.peak = Some(peak.max(report.peak.unwrap_or(0)));
            killed(&mut report, ended.finding.ending == crate::verdict::Ending::Disk);
        }
        _ => {}
    }
    report
}

fn cpu(report: &mut ResourceReport, ended: &Ended) {
    report.used_seconds = Some(ended.used.cpu.as_secs_f64());
    if let Some(group) = ended.used.group {
        report.periods = Some(group.periods);
        report.throttled_periods = Some(group.throttled_periods);
        report.throttled_seconds = Some(group.throttled.as_secs_f64());
    } else if let Some((stops, time)) = ended.used.stops {
        report.throttled_periods = Some(stops);
        report.throttled_seconds = Some(time.as_secs_f64());
    }
}

fn killed(report: &mut ResourceReport, yes: bool) {
    if yes {
        report.denials = Some(1);
        report.denied_by = Some(report.held_by);
    }
}

fn held_by(resource: Resource, ended: &Ended) -> &'static str {
    let group = ended.used.group.is_some();
    match resource {
        Resource::Cpu if group => "kernel (control group)",
        // With a scratch vessel the group counts its content too.
        Resource::Memory if group && !ended.used.scratch => "kernel (control group)",
        Resource::Cpu => "supervisor (stops and continues)",
        Resource::Memory => "supervisor (looks every 10 ms)",
        Resource::DiskUsed if ended.used.scratch => "kernel (scratch vessel), interpreter, supervisor",
        Resource::DiskUsed => "interpreter, supervisor",
        Resource::FilesOpened => "interpreter, kernel (open files)",
        Resource::InSockets | Resource::OutSockets => "interpreter, broker, kernel (open files)",
        Resource::MessPort | Resource::ConnPort => "broker, interpreter",
        Resource::LogRate => "interpreter, supervisor",
        _ => "interpreter",
    }
}
