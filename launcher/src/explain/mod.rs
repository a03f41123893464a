//! What holds each line of a policy on this host, and what a program would see if it
//! tried something: `repy-launch explain`.
//!
//! Pure: a policy and a plan go in, rows come out. Nothing is started.

mod lacking;
mod obstacle;
mod print;
mod program;
mod query;

pub use lacking::Lack;
pub use print::{table, table_json, Detail};
pub use program::{program, CallRow, ProgramTable};
pub use query::{answer, Answer, QueryError};

use policies::carriers::{self, Carriage, Control};
use policies::{Action, Kind, Limit, Policy, Resource, Rule};
use serde::Serialize;

use crate::plan::control;
use crate::plan::layer::Layer;
use crate::plan::Plan;

/// One line of the policy and everything that holds it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Line of the file, from 1; 0 for a resource the file does not name.
    pub line: u32,
    /// The line in its canonical form.
    pub text: String,
    /// What holds it, strongest first.
    pub held_by: Vec<Holder>,
    /// Whether something outside the interpreter holds it on this host.
    pub outside: bool,
    /// What would hold it still on a host that lacks a layer.
    pub lacking: Vec<Lack>,
    /// What an operator should know besides; may be empty.
    pub note: &'static str,
}

/// One control as it stands on this host.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Holder {
    /// `kernel`, `supervisor`, `broker` or `interpreter`.
    pub layer: &'static str,
    /// Stable name of the control.
    pub control: &'static str,
    /// The object to look at.
    pub object: &'static str,
    /// With which value it is set, where it has one.
    pub value: Option<String>,
    /// What it does.
    pub effect: &'static str,
    /// Why it does not hold here; none where it does.
    pub absent: Option<String>,
}

/// Every line of the policy, in the order of the file; resources that the file
/// leaves out come last, since their limit of zero holds as well.
pub fn rows(policy: &Policy, plan: &Plan) -> Vec<Row> {
    let mut rows: Vec<Row> =
        Resource::all().flat_map(|resource| resource_rows(policy, resource, plan)).collect();
    rows.extend(policy.rules().iter().map(|rule| rule_row(rule, plan)));
    rows.sort_by_key(|row| if row.line == 0 { u32::MAX } else { row.line });
    rows
}

fn resource_rows(policy: &Policy, resource: Resource, plan: &Plan) -> Vec<Row> {
    let carriage = carriers::of_resource(resource);
    let row = |line, value: String| Row {
        line,
        text: format!("resource {} {value}", resource.name()),
        ..held(carriage, plan)
    };
    match policy.limit(resource) {
        Limit::Ports([]) => vec![row(0, "(none)".to_owned())],
        Limit::Ports(grants) => grants.iter().map(|grant| row(grant.line, grant.port.to_string())).collect(),
        _ => {
            let value = policy.amount(resource);
            vec![row(policy.line(resource).unwrap_or(0), format!("{value}"))]
        }
    }
}

/// What is said of a rule that asks.
const PROMPT: &str = "without --ask it denies, and all of these hold; with --ask the interpreter alone asks, and the broker lets \
                      what was asked pass";

fn rule_row(rule: &Rule, plan: &Plan) -> Row {
    let row = held(carriers::of_call(rule.call), plan);
    let note = if rule.action == Action::Prompt { PROMPT } else { row.note };
    Row { line: rule.line, text: rule.to_string(), note, ..row }
}

fn held(carriage: Carriage, plan: &Plan) -> Row {
    let held_by: Vec<Holder> = carriage.controls.iter().map(|control| holder(*control, plan)).collect();
    let outside = held_by.iter().any(|holder| holder.absent.is_none() && holder.layer != "interpreter");
    let lacking = lacking::of(carriage, plan);
    Row { line: 0, text: String::new(), held_by, outside, lacking, note: carriage.note }
}

fn holder(control: Control, plan: &Plan) -> Holder {
    let facts = control.facts();
    Holder {
        layer: facts.layer.name(),
        control: facts.name,
        object: facts.object,
        value: value(control, plan),
        effect: facts.effect,
        absent: absent(control, plan),
    }
}

/// Why a control does not hold under this plan.
fn absent(control: Control, plan: &Plan) -> Option<String> {
    match control {
        Control::Scratch => plan.scratch().is_none().then(|| "only with --scratch".to_owned()),
        Control::MonitorCpu if plan.enforced.contains(Layer::Cgroup) => {
            Some("not needed: the control group holds the share".to_owned())
        }
        _ => layer_of(control).filter(|layer| !plan.enforced.contains(*layer)).map(|layer| {
            let given_up = plan.waived.contains(layer);
            let why = if given_up { "given up by --without" } else { "not part of this run: layer" };
            format!("{why} {layer}")
        }),
    }
}

/// The layer of the plan that a control belongs to; none for what is always there.
fn layer_of(control: Control) -> Option<Layer> {
    match control {
        Control::CgroupMemory | Control::CgroupCpu => Some(Layer::Cgroup),
        Control::VesselRights | Control::BrokerPorts => Some(Layer::Landlock),
        Control::VesselCalls | Control::SocketCalls => Some(Layer::Seccomp),
        Control::NetworkNamespace => Some(Layer::Netns),
        _ => None,
    }
}

/// The value a control is set to by this plan.
fn value(control: Control, plan: &Plan) -> Option<String> {
    let limit = |wanted: &str| {
        plan.controls.iter().find_map(|control| match &control.action {
            control::Action::Limit(limit) if limit.name == wanted => Some(limit.value.to_string()),
            _ => None,
        })
    };
    match control {
        Control::CgroupMemory => plan.group().map(|group| format!("{} bytes", group.memory)),
        Control::CgroupCpu => {
            plan.group().map(|group| format!("{} of every {} us", group.cpu.quota, group.cpu.period))
        }
        Control::Scratch => {
            plan.scratch().map(|scratch| format!("exact: {} bytes, {} files", scratch.bytes, scratch.entries))
        }
        Control::AddressSpace => limit("AS"),
        Control::FileSize => limit("FSIZE"),
        Control::OpenFiles => limit("NOFILE"),
        Control::VesselRights => landlock_text(plan),
        _ => None,
    }
}

fn landlock_text(plan: &Plan) -> Option<String> {
    plan.controls
        .iter()
        .find(|control| matches!(control.action, control::Action::Landlock(_)))
        .map(|control| control.action.to_string())
}

/// What a renewable, hard or item resource does at its limit, as the program sees it.
pub(crate) fn at_limit(resource: Resource) -> &'static str {
    match resource.kind() {
        Kind::Share => "the whole program is paused until its share is paid for",
        Kind::Renewable => "the call waits until the rate allows it",
        Kind::Hard => "the program is killed",
        Kind::Items => "the call raises an exception",
        Kind::Named => "the call raises an exception",
    }
}

#[cfg(test)]
mod tests;
