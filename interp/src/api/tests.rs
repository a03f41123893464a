//! Programs run on the fake host: what the calls return, raise and charge.

mod arguments;
mod files;
mod life;
mod meters;
mod network;
mod odd_network;
#[path = "../../tests/odd_values/mod.rs"]
mod odd_values;

use policies::channel::control::Outcome;
use policies::{Call, Policy, PolicyBuilder, Resource};

use super::state::Api;
use super::table::{ApiCall, Kind, Parameter};
use crate::host::fake::FakeHost;
use crate::run::{run, Finished, Order};
use crate::vm::Vm;

/// What a run left behind.
struct Ran {
    vm: Vm,
    outcome: Outcome,
}

impl Ran {
    fn host(&mut self) -> &mut FakeHost {
        let (api, _) = Api::of(&mut self.vm);
        api.host.as_any().downcast_mut::<FakeHost>().expect("tests run on the fake host")
    }

    fn output(&mut self) -> String {
        String::from_utf8_lossy(&self.host().output).into_owned()
    }

    fn error(&mut self) -> String {
        String::from_utf8_lossy(&self.host().error).into_owned()
    }
}

/// A policy that allows every call and is generous, for tests to narrow.
fn generous() -> PolicyBuilder {
    let mut policy = PolicyBuilder::new(1.0, 1 << 30, 1 << 30);
    for resource in Resource::all() {
        if !matches!(resource, Resource::Cpu | Resource::Memory | Resource::DiskUsed) {
            policy = policy.set(resource, if resource.name().ends_with("port") { 80.0 } else { 1e6 });
        }
    }
    Call::all().fold(policy, PolicyBuilder::allow)
}

fn order(text: &str) -> Order {
    Order {
        name: b"test.repy".to_vec(),
        program: text.as_bytes().to_vec(),
        restrictions: true,
        max_accepted: 100,
        ..Order::default()
    }
}

/// Runs an order on a host.
fn run_on(host: FakeHost, order: Order) -> Ran {
    let mut finished = run(Box::new(host), order);
    check_counts(&mut finished);
    Ran { vm: finished.vm, outcome: finished.outcome }
}

/// Every share of every object is accounted for: calls neither leak nor take
/// what is not theirs.
fn check_counts(finished: &mut Finished) {
    let mut held = finished.kept.clone();
    finished.vm.held(&mut |value| held.push(value));
    if let Some(api) = Api::of_ref(&finished.vm) {
        api.held(&mut |value| held.push(value));
    }
    finished.vm.heap.check_counts(&held).expect("counts agree");
}

/// Runs a text once, as a plain script, with everything allowed.
fn script(text: &str) -> Ran {
    run_on(FakeHost::new(), Order { simple: true, ..order(text) })
}

/// Runs a text as a program: initialize, events, exit.
fn program(text: &str) -> Ran {
    run_on(FakeHost::new(), order(text))
}

/// Runs a script under a policy.
fn under(policy: Policy, text: &str) -> Ran {
    run_on(FakeHost::new(), Order { simple: true, policy: Some(policy), ..order(text) })
}

/// What a script prints; fails the test if it does not end well.
fn printed(text: &str) -> String {
    let mut ran = script(text);
    let output = ran.output();
    let error = ran.error();
    assert_eq!(ran.outcome, Outcome::Finished, "{error}\n{output}");
    output
}

/// The `str()` of what an expression raises, after its class name.
fn raised(setup: &str, expression: &str) -> String {
    let text = format!(
        "{setup}\ntry:\n  {expression}\n  print 'no exception'\nexcept Exception, e:\n  print str(e)\n"
    );
    let output = printed(&text);
    output.trim_end_matches('\n').to_owned()
}
