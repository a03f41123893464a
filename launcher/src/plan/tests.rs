//! Plans as an operator reads them, for hosts of several kinds.

use super::demand::{Demand, FileAccess, Names, Sourced};
use super::*;
use crate::facts::{Kernel, Landlock, Vessel};
use crate::request::Reserved;
use crate::testing::{plain_request, root_host, user_host};

fn at<T>(value: T, line: u32) -> Sourced<T> {
    Sourced { value, line }
}

/// Hello world: no files, no network.
pub(super) fn demand() -> Demand {
    Demand {
        memory: at(64_000_000, 1),
        cpu: at(0.1, 2),
        diskused: at(100_000_000, 3),
        filesopened: at(5, 4),
        insockets: at(0, 0),
        outsockets: at(0, 0),
        files: at(FileAccess::None, 0),
        list: at(false, 0),
        remove: at(false, 0),
        accept: at(false, 0),
        network: at(false, 0),
        send_anywhere: at(false, 0),
    }
}

pub(super) fn request(demand: Demand) -> Request {
    Request {
        arguments: vec!["hello.repy".into()],
        reserved: vec![
            Reserved { name: "restrictions.test".into(), role: "policy", exists: true },
            Reserved { name: "stop".into(), role: "stop file", exists: false },
        ],
        ..plain_request(demand)
    }
}

/// With one of the files that the policies here name.
fn with_file(host: Host) -> Host {
    let vessel = Vessel { existing: vec!["in.txt".to_owned()], ..host.vessel };
    Host { vessel, ..host }
}

/// A new kernel, started by root.
pub(super) fn host() -> Host {
    with_file(root_host())
}

fn user() -> Host {
    with_file(user_host())
}

/// Debian 12: Landlock ABI 2, no MDWE.
fn debian12() -> Host {
    Host {
        kernel: Kernel::from_release("6.1.0-42-amd64".to_owned()),
        landlock: Some(Landlock { abi: 2, fs: 0x3fff, net: 0, scoped: 0 }),
        mdwe: false,
        ..user()
    }
}

fn shown(request: &Request, host: &Host) -> String {
    match plan(request, host) {
        Ok(plan) => plan.to_string(),
        Err(refusal) => refusal.to_string(),
    }
}

fn waiving(layers: &[Layer]) -> Request {
    Request { waived: layers.iter().copied().collect(), ..request(demand()) }
}

#[test]
fn root_with_nothing_but_output() {
    insta::assert_snapshot!(shown(&request(demand()), &host()));
}

#[test]
fn an_ordinary_user_with_files_and_network() {
    let demand = Demand {
        files: at(FileAccess::Write(Names::Any), 7),
        list: at(true, 8),
        remove: at(true, 9),
        insockets: at(5, 5),
        outsockets: at(5, 6),
        accept: at(true, 10),
        network: at(true, 10),
        ..demand()
    };
    insta::assert_snapshot!(shown(&request(demand), &user()));
}

#[test]
fn a_scratch_vessel_counts_in_the_group_and_is_made_by_whoever_may() {
    let scratch = Request { scratch: true, ..request(demand()) };
    insta::assert_snapshot!(format!("{}\n{}", shown(&scratch, &host()), shown(&scratch, &user())));
    let waived = Request { waived: [Layer::Mountns].into_iter().collect(), ..scratch.clone() };
    assert!(plan(&waived, &host()).is_err());
    // Zero would mean "without limit" to the kernel.
    for (diskused, size, inodes) in
        [(0, 4096, 1), (4095, 4096, 1), (4096, 4096, 2), (8191, 4096, 2), (8192, 8192, 3)]
    {
        let demand = Demand { diskused: at(diskused, 3), ..demand() };
        let made = plan(&Request { demand, ..scratch.clone() }, &host())
            .expect("possible")
            .scratch()
            .expect("scratch");
        assert_eq!((made.size(), made.inodes()), (size, inodes), "{diskused}");
    }
}

#[test]
fn debian_12_needs_no_waiver() {
    let plan = plan(&request(demand()), &debian12()).expect("carried by equivalents");
    assert!(plan.enforced.contains(Layer::Landlock) && plan.enforced.contains(Layer::Mdwe));
    insta::assert_snapshot!(plan.to_string());
}

#[test]
fn an_equivalent_that_is_waived_does_not_count() {
    let refusal = plan(&waiving(&[Layer::Seccomp]), &debian12()).expect_err("no carrier for TRUNCATE");
    assert_eq!(refusal.layer, Some(Layer::Landlock));
    let refusal = plan(&waiving(&[Layer::Seccomp, Layer::Landlock]), &debian12()).expect_err("no MDWE");
    assert_eq!(refusal.layer, Some(Layer::Mdwe));
    assert!(plan(&waiving(&[Layer::Seccomp, Layer::Landlock, Layer::Mdwe]), &debian12()).is_ok());
}

#[test]
fn a_missing_layer_is_refused_by_name_and_can_be_waived() {
    let missing = [
        (Layer::Cgroup, Host { cgroup: Support::no("no group is delegated"), ..user() }),
        (Layer::Userns, Host { userns: Support::no("user.max_user_namespaces is 0"), ..host() }),
        (Layer::Landlock, Host { landlock: None, ..host() }),
        (Layer::Seccomp, Host { seccomp: Support::no("none"), ..host() }),
        (Layer::Idmap, Host { authority: Authority::PlainRoot, ..host() }),
    ];
    let mut texts = String::new();
    for (layer, host) in missing {
        let refusal = plan(&request(demand()), &host).expect_err("missing");
        assert_eq!(refusal.layer, Some(layer));
        texts.push_str(&format!("{refusal}\n\n"));
        let plan = plan(&waiving(&[layer]), &host).expect("waived");
        assert!(plan.waived.contains(layer) && !plan.enforced.contains(layer));
    }
    insta::assert_snapshot!(texts);
}

#[test]
fn an_ordinary_user_cannot_keep_the_namespaces_without_userns() {
    let refusal = plan(&waiving(&[Layer::Userns]), &user()).expect_err("no way to make them");
    assert_eq!(refusal.layer, Some(Layer::Mountns));
    let bare =
        plan(&waiving(&[Layer::Userns, Layer::Mountns, Layer::Netns]), &user()).expect("Landlock and filter");
    insta::assert_snapshot!(bare.to_string());
}

#[test]
fn root_without_userns_changes_its_ids() {
    insta::assert_snapshot!(shown(&waiving(&[Layer::Userns]), &host()));
}

#[test]
fn root_without_idmap_is_the_owner_of_the_vessel() {
    insta::assert_snapshot!(shown(&waiving(&[Layer::Idmap]), &host()));
}

#[test]
fn an_ordinary_user_does_not_need_idmap() {
    let plan = plan(&request(demand()), &user()).expect("all there");
    assert!(plan.not_needed.contains(Layer::Idmap) && !plan.enforced.contains(Layer::Idmap));
}

#[test]
fn named_files_are_held_by_the_kernel_only_while_they_exist() {
    let named = |access: fn(Names) -> FileAccess, names: &[&str]| {
        let names = Names::Only(names.iter().map(|name| (*name).to_owned()).collect());
        request(Demand { files: at(access(names), 7), ..demand() })
    };
    let ruleset = |request: &Request| {
        let plan = plan(request, &host()).expect("fine");
        let notes = plan.notes.iter().filter(|note| note.starts_with("line 7")).count();
        let ruleset = plan.controls.into_iter().find_map(|control| match control.action {
            Action::Landlock(ruleset) => Some(ruleset),
            _ => None,
        });
        (ruleset.expect("Landlock"), notes)
    };
    let (held, notes) = ruleset(&named(FileAccess::Read, &["in.txt", "missing.txt"]));
    assert_eq!((held.vessel, held.files.len(), notes), (0, 1, 0));
    let (held, notes) = ruleset(&named(FileAccess::Write, &["in.txt"]));
    assert_eq!((held.vessel, held.files.len(), notes), (0, 1, 0));
    let (held, notes) = ruleset(&named(FileAccess::Write, &["in.txt", "new.txt"]));
    assert!(held.vessel != 0 && held.files.is_empty());
    assert_eq!(notes, 1);
}

#[test]
fn cpu_shares_become_quotas_the_kernel_takes() {
    for (share, quota, period, at_start) in [
        (0.1, 1_000, 10_000, (10_000, 100_000)),
        (0.29, 2_900, 10_000, (10_000, 34_483)),
        (0.05, 1_000, 20_000, (10_000, 200_000)),
        (0.5, 5_000, 10_000, (10_000, 20_000)),
        (1.0, 10_000, 10_000, (10_000, 10_000)),
        (1.5, 15_000, 10_000, (15_000, 10_000)),
        (0.007, 1_000, 142_858, (7_000, 1_000_000)),
        (0.001, 1_000, 1_000_000, (1_000, 1_000_000)),
    ] {
        let limits =
            limits::group_limits(&Demand { cpu: at(share, 2), ..demand() }, false).expect("a fair share");
        assert_eq!((limits.cpu.quota, limits.cpu.period), (quota, period), "{share}");
        assert_eq!((limits.cpu_at_start.quota, limits.cpu_at_start.period), at_start, "{share}");
        assert!(limits.cpu.part() <= share && limits.cpu_at_start.part() <= share, "{share}");
    }
    for share in [0.0009, 0.0, -1.0, f64::NAN] {
        let refusal =
            limits::group_limits(&Demand { cpu: at(share, 2), ..demand() }, false).expect_err("too small");
        assert!(refusal.reason.contains("line 2"), "{refusal}");
    }
}

#[test]
fn a_low_limit_of_open_files_is_refused_with_the_figures() {
    let refusal = plan(&request(demand()), &Host { open_files: 8, ..user() }).expect_err("too low");
    assert!(refusal.to_string().contains("hard limit of this process is 8"), "{refusal}");
}

#[test]
fn an_old_kernel_is_refused() {
    let old = Host { kernel: Kernel::from_release("5.10.0-30-amd64".to_owned()), ..host() };
    let refusal = plan(&request(demand()), &old).expect_err("too old");
    assert!(refusal.to_string().contains("5.10.0-30-amd64") && refusal.to_string().contains("5.15"));
}
