//! The table control → first kernel → equivalent carrier of docs/kernels.md, made from
//! the plan and its equivalents and compared with what is written there.

use super::control::Action;
use super::landlock::LATER_RIGHTS;
use super::tests::{demand, host, request};
use super::{plan, Layer, OLDEST_KERNEL};
use crate::request::Request;

/// (control, layer, first kernel, what holds where it is absent)
fn rows() -> Vec<[String; 4]> {
    let mut rows: Vec<[String; 4]> = Vec::new();
    let made = plan(&request(demand()), &host()).expect("a host with everything");
    let wanted = Request { scratch: true, ..request(demand()) };
    let scratch = plan(&wanted, &host()).expect("a host with everything");
    let scratch = scratch.controls.iter().filter(|control| matches!(control.action, Action::Scratch(_)));
    for control in made.controls.iter().chain(scratch) {
        let name = control.action.name().to_owned();
        let absent = match control.action {
            Action::DenyWriteExecute => "seccomp (mmap and mprotect never with PROT_EXEC)",
            _ => "nothing: every supported kernel has it",
        };
        let layer = control.layer.map_or("(always)", Layer::name).to_owned();
        if rows.last().is_none_or(|last| last[0] != name) {
            rows.push([name, layer, control.kernel.to_owned(), absent.to_owned()]);
        }
    }
    for row in LATER_RIGHTS {
        let carriers: Vec<_> = row.carriers.iter().map(|layer| layer.name()).collect();
        rows.push([
            format!("landlock {}", row.name),
            Layer::Landlock.name().to_owned(),
            row.kernel.to_owned(),
            format!("{} ({})", carriers.join(" and "), row.how),
        ]);
    }
    rows
}

fn number(kernel: &str) -> (u32, u32) {
    let (major, minor) = kernel.split_once('.').expect("two numbers");
    (major.parse().expect("a number"), minor.parse().expect("a number"))
}

#[test]
fn the_documented_table_is_that_of_the_code() {
    let head =
        "| control | layer | first kernel | where it is absent, the same is held by |\n|---|---|---|---|\n";
    let lines: String = rows().iter().map(|row| format!("| {} |\n", row.join(" | "))).collect();
    let table = format!("{head}{lines}");
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/kernels.md");
    let text = std::fs::read_to_string(path).expect("docs/kernels.md");
    assert!(text.contains(&table), "docs/kernels.md lacks this table:\n{table}");
}

#[test]
fn what_no_equivalent_carries_is_in_every_supported_kernel() {
    for [name, _, kernel, absent] in rows() {
        let old = number(&kernel) <= OLDEST_KERNEL;
        assert_eq!(old, absent.starts_with("nothing"), "{name}, from {kernel}: {absent}");
    }
}
