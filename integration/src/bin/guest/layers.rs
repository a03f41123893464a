//! Each layer waived by name: what then happens, and that it is said.

use super::bed::*;
use super::{Test, Verdict, PASSED};
use crate::ensure;

pub const TESTS: &[Test] = &[
    ("without-each-layer-as-root", || without_each(0)),
    ("without-each-layer-delegated", || without_each(USER)),
    ("without-the-equivalent-too", without_equivalents),
];

/// The layer named in a refusal, or none where the program runs.
fn refused(layer: &str, user: u32) -> Option<&'static str> {
    match layer {
        // A right that this kernel's Landlock lacks is carried by the waived layer.
        "seccomp" if !kernel_from(6, 12) => Some("landlock"),
        // An ordinary user makes the other namespaces inside the user namespace.
        "userns" if user != 0 => Some("mountns"),
        "userns" if !kernel_from(6, 12) => Some("landlock"),
        "netns" if !kernel_from(6, 7) => Some("landlock"),
        _ => None,
    }
}

fn without_each(user: u32) -> Verdict {
    for layer in ["cgroup", "userns", "mountns", "netns", "landlock", "seccomp", "mdwe", "idmap"] {
        let session = Session::new(layer, user)?;
        let run = Run::new(user, Some(&session.own), TUTORIAL, HELLO).without(&[layer]).run();
        match refused(layer, user) {
            Some(named) => {
                ensure!(run.code == 4 && run.stdout.is_empty(), "without {layer}: {}", run.all());
                ensure!(run.stderr.contains(&format!("layer '{named}'")), "without {layer}: {}", run.all());
            }
            None => {
                ensure!(run.code == 0 && run.stdout == "Hello World\n", "without {layer}: {}", run.all());
                ensure!(run.report["layers"][layer] == "waived", "without {layer}: {}", run.all());
                let warned = run.stderr.contains(&format!("without layer '{layer}'"));
                ensure!(warned, "without {layer}, unsaid: {}", run.all());
                let others = run.report["layers"].as_object().cloned().unwrap_or_default();
                let waived = others.values().filter(|state| *state == "waived").count();
                ensure!(waived == 1, "without {layer}: {}", run.all());
            }
        }
        ensure!(session.group.runs().is_empty(), "without {layer}: left: {:?}", session.group.runs());
    }
    PASSED
}

/// What carries a control that the kernel lacks cannot be waived without it.
fn without_equivalents() -> Verdict {
    let session = Session::new("equivalents", USER)?;
    let run = |layers: &[&str]| Run::new(USER, Some(&session.own), TUTORIAL, HELLO).without(layers).run();
    // Landlock is given up as well: what is left is MDWE, which the filter carries before 6.3.
    let held = run(&["seccomp", "landlock"]);
    if kernel_from(6, 3) {
        ensure!(held.code == 0, "{}", held.all());
    } else {
        ensure!(held.code == 4 && held.stderr.contains("layer 'mdwe'"), "{}", held.all());
    }
    let free = run(&["seccomp", "landlock", "mdwe"]);
    ensure!(free.code == 0 && free.stdout == "Hello World\n", "{}", free.all());
    PASSED
}
