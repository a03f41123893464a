//! How the broker is made, and what it gives up before it reads a request.
//!
//! In this order: control group; a session of its own; all capabilities (as
//! root it keeps CAP_NET_BIND_SERVICE where a granted port needs it, and becomes
//! a user of the run's own); death with the supervisor; every descriptor but
//! those it works with; limits; no_new_privs; Landlock (no file, no signal and no
//! abstract socket outside, TCP and UDP ports where the kernel has them); no
//! executable memory; last the system call filter.

use std::io;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::panic::{catch_unwind, AssertUnwindSafe};

use landlock::{
    Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope, ABI,
};
use seccompiler::BpfProgram;

use super::decide::Judge;
use super::own::OwnAddresses;
use super::ports::{may_bind_low_ports, needs_low_ports, PortRules};
use super::resolve::{pool::CHILDREN, Files};
use super::service::{Parts, Service};
use super::{netlink, End, Settings};
use crate::apply::CgroupEntry;
use crate::plan::identity::Ids;
use crate::plan::layer::Layer;
use crate::supervise::broker::RunningBroker;
use crate::sys::process::{self, Cloned};
use crate::sys::{self, descriptor, Errno, Sys};

/// Most processes: the broker and the children that resolve names.
pub const PROCESSES: u32 = 1 + CHILDREN as u32;

/// Most address space, in bytes; a backstop behind the group's memory limit.
const ADDRESS_SPACE: u64 = 256 << 20;

// Where the broker's descriptors lie. The filter names the channel's number.
const CHANNEL: RawFd = 3;
const ROUTE: RawFd = 4;
const DIAG: RawFd = 5;
const HOSTS: RawFd = 6;
const RESOLVER: RawFd = 7;

/// The exit status of a broker that failed at its first step; the others follow.
pub const FIRST_STEP: i32 = 100;

/// The steps, as messages name them.
pub const STEPS: [&str; 11] = [
    "it failed at joining its control group",
    "it failed at dropping its capabilities",
    "it failed at changing to its own ids",
    "it failed at asking to die with the supervisor",
    "it failed at placing its descriptors",
    "it failed at setting its limits",
    "it failed at setting no_new_privs",
    "it failed at enforcing its Landlock rules",
    "it failed at forbidding executable memory",
    "it failed at installing its system call filter",
    "it failed at creating its epoll",
];

/// What the child needs, made before it.
struct Prepared {
    channel: OwnedFd,
    null: OwnedFd,
    route: Option<OwnedFd>,
    diag: Option<OwnedFd>,
    files: Files,
    supervisor: OwnedFd,
    tasks: Vec<OwnedFd>,
    rules: Option<PortRules>,
    filter: Option<BpfProgram>,
    ids: Option<Ids>,
    keeps_low_ports: bool,
    deny_write_execute: bool,
    open_files: u64,
}

fn about(doing: &str, error: impl std::fmt::Display) -> io::Error {
    io::Error::other(format!("{doing}: {error}"))
}

/// See [`super::start`].
pub(super) fn start(
    settings: &Settings,
    channel: OwnedFd,
    group: Option<CgroupEntry>,
) -> io::Result<RunningBroker> {
    let group = group.unwrap_or_default();
    let prepared = prepare(settings, channel, group.v1_tasks)?;
    let judge = Judge::new(settings.policy.clone(), settings.restrictions);
    let directory = group.v2_directory.as_ref().map(|directory| directory.as_fd());
    let cloned = process::clone_into(0, directory)
        .map_err(|Errno(code)| about("making its process", io::Error::from_raw_os_error(code)))?;
    match cloned {
        Cloned::Child => live(settings, prepared, judge),
        // Not waited for: under a small processor share the rest takes its
        // time, and the supervisor has others to watch. A step that fails ends
        // the child with a status that names it.
        Cloned::Parent { pidfd, pid } => Ok(RunningBroker { pidfd, pid }),
    }
}

fn prepare(settings: &Settings, channel: OwnedFd, tasks: Vec<OwnedFd>) -> io::Result<Prepared> {
    // Above every number that descriptors are placed at.
    let up = |fd: OwnedFd| {
        descriptor::above_contract(fd).map_err(|Errno(code)| io::Error::from_raw_os_error(code))
    };
    let up_if = |fd: Option<OwnedFd>| fd.map(up).transpose();
    let Files { hosts, resolver } = Files::open();
    let null = descriptor::open(c"/dev/null", libc::O_RDWR)
        .map_err(|Errno(code)| about("opening /dev/null", io::Error::from_raw_os_error(code)))?;
    let supervisor = process::own_pidfd().map_err(|Errno(code)| io::Error::from_raw_os_error(code))?;
    let filter = if settings.enforces(Layer::Seccomp) {
        Some(crate::filter::broker().map_err(|error| about("compiling its filter", error))?)
    } else {
        None
    };
    let rules =
        settings.enforces(Layer::Landlock).then(|| PortRules::of(&settings.policy, settings.restrictions));
    Ok(Prepared {
        channel: up(channel)?,
        null: up(null)?,
        route: up_if(netlink::open_route().ok())?,
        diag: up_if(netlink::open_diag().ok())?,
        files: Files { hosts: up_if(hosts)?, resolver: up_if(resolver)? },
        supervisor: up(supervisor)?,
        tasks: tasks.into_iter().map(up).collect::<io::Result<_>>()?,
        rules,
        filter,
        ids: settings.ids,
        keeps_low_ports: needs_low_ports(&settings.policy) && may_bind_low_ports(),
        deny_write_execute: settings.enforces(Layer::Mdwe) && process::knows_deny_write_execute(),
        open_files: settings.open_files(),
    })
}

/// The Landlock ruleset: every file right this kernel knows and no rule for
/// one; ports; scopes. None where the kernel has no Landlock, which the plan of
/// the run has weighed already.
fn ruleset(rules: &PortRules) -> Result<Option<RulesetCreated>, landlock::RulesetError> {
    let Ok(abi) = sys::landlock::abi() else { return Ok(None) };
    let knows = |fs: u64, net: u64, scoped: u64| sys::landlock::accepts(fs, net, scoped);
    let fs: BitFlags<AccessFs> =
        AccessFs::from_all(newest(abi)).iter().filter(|right| knows(*right as u64, 0, 0)).collect();
    let ports: [(AccessNet, Option<&Vec<u16>>); 4] = [
        (AccessNet::BindTcp, Some(&rules.bind_tcp)),
        (AccessNet::ConnectTcp, rules.connect_tcp.as_ref()),
        (AccessNet::BindUdp, Some(&rules.bind_udp)),
        (AccessNet::ConnectSendUdp, rules.send_udp.as_ref()),
    ];
    // A right that the kernel lacks is carried by the broker's own checks; one
    // without a list may reach every port.
    let ports: Vec<(AccessNet, &Vec<u16>)> = ports
        .into_iter()
        .filter(|(right, _)| knows(0, *right as u64, 0))
        .filter_map(|(right, ports)| Some((right, ports?)))
        .collect();
    let scopes: BitFlags<Scope> = [Scope::Signal, Scope::AbstractUnixSocket]
        .into_iter()
        .filter(|scope| knows(0, 0, *scope as u64))
        .collect();

    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(fs)?;
    if !ports.is_empty() {
        ruleset = ruleset.handle_access(ports.iter().map(|(right, _)| *right).collect::<BitFlags<_>>())?;
    }
    if !scopes.is_empty() {
        ruleset = ruleset.scope(scopes)?;
    }
    let mut ruleset = ruleset.create()?;
    for (right, ports) in ports {
        for port in ports {
            ruleset = ruleset.add_rule(NetPort::new(*port, right))?;
        }
    }
    Ok(Some(ruleset))
}

/// Makes the ruleset and enforces it.
fn enforce(rules: &PortRules) -> Sys<()> {
    let failed = |_| match Errno::last() {
        // What fails before the kernel is asked is a ruleset that is no good.
        Errno(0) => Errno(libc::EINVAL),
        errno => errno,
    };
    let Some(ruleset) = ruleset(rules).map_err(failed)? else { return Ok(()) };
    let status = ruleset.restrict_self().map_err(failed)?;
    if status.ruleset == RulesetStatus::FullyEnforced && status.no_new_privs {
        Ok(())
    } else {
        Err(Errno(libc::EINVAL))
    }
}

/// The newest ABI of the crate that a kernel with ABI `number` has.
fn newest(number: u32) -> ABI {
    match number {
        0 | 1 => ABI::V1,
        2 => ABI::V2,
        3 => ABI::V3,
        4 => ABI::V4,
        5 => ABI::V5,
        6 => ABI::V6,
        7 => ABI::V7,
        8 => ABI::V8,
        _ => ABI::V9,
    }
}

/// The child, from its first instruction to its end.
fn live(settings: &Settings, prepared: Prepared, judge: Judge) -> ! {
    // A test build unwinds: the copy of the supervisor's stack must not run on.
    let status = catch_unwind(AssertUnwindSafe(|| match confine(settings, prepared, judge) {
        Ok(mut service) => service.run().status(),
        Err(step) => FIRST_STEP + step as i32,
    }));
    process::exit_now(status.unwrap_or(End::Broken.status()))
}

/// Goes through the steps; fails with the number of one.
fn confine(settings: &Settings, prepared: Prepared, judge: Judge) -> Result<Service, usize> {
    let mut step = 0usize;
    let mut parts = None;
    let go = || -> Sys<Service> {
        for tasks in &prepared.tasks {
            descriptor::write_all(tasks.as_fd(), b"0")?;
        }
        step = 1;
        process::leave_inheritance();
        give_up_capabilities(&prepared, &mut step)?;
        process::hide_memory()?;
        step = 3;
        // After the last change of ids, which clears it.
        die_with(&prepared.supervisor)?;
        step = 4;
        parts = Some(place(&prepared)?);
        step = 5;
        for (resource, value) in limits(&prepared) {
            process::limit(resource, value)?;
        }
        step = 6;
        process::no_new_privileges()?;
        step = 7;
        // Made here: a ruleset's descriptor cannot be moved out of the way of
        // those that have been placed.
        if let Some(rules) = &prepared.rules {
            enforce(rules)?;
        }
        step = 8;
        if prepared.deny_write_execute {
            process::deny_write_execute()?;
        }
        // Works without: the name is for people.
        let _ = nix::sys::prctl::set_name(c"repy-broker");
        step = 9;
        if let Some(filter) = &prepared.filter {
            seccompiler::apply_filter(filter).map_err(|_| Errno::last())?;
        }
        step = 10;
        let Placed { channel, route, diag, files } = parts.take().ok_or(Errno(libc::EINVAL))?;
        let own = OwnAddresses::new(settings.addresses.clone(), route);
        Ok(Service::new(Parts { channel, judge, own, diag, files })?)
    };
    let outcome = go();
    // What it owns are numbers that are closed, or belong to others by now.
    std::mem::forget(prepared);
    outcome.map_err(|_| step)
}

/// Asks to be killed with the supervisor, and looks whether it is still there.
fn die_with(supervisor: &OwnedFd) -> Sys<()> {
    process::die_with_parent()?;
    if process::is_alive(supervisor.as_fd()) {
        Ok(())
    } else {
        Err(Errno(libc::ESRCH))
    }
}

/// The broker's descriptors at their places.
struct Placed {
    channel: OwnedFd,
    route: Option<OwnedFd>,
    diag: Option<OwnedFd>,
    files: Files,
}

/// Puts the descriptors at their places and closes all others.
fn place(prepared: &Prepared) -> Sys<Placed> {
    let mut kept: Vec<RawFd> = vec![0, 1, 2];
    for number in 0..3 {
        descriptor::place(prepared.null.as_fd(), number)?;
    }
    let mut put = |source: Option<&OwnedFd>, number: RawFd| -> Sys<bool> {
        if let Some(source) = source {
            descriptor::place(source.as_fd(), number)?;
            kept.push(number);
        }
        Ok(source.is_some())
    };
    let there = [
        put(Some(&prepared.channel), CHANNEL)?,
        put(prepared.route.as_ref(), ROUTE)?,
        put(prepared.diag.as_ref(), DIAG)?,
        put(prepared.files.hosts.as_ref(), HOSTS)?,
        put(prepared.files.resolver.as_ref(), RESOLVER)?,
    ];
    descriptor::close_all_but(kept)?;
    let take = |there: bool, number: RawFd| there.then(|| descriptor::take_over(number));
    Ok(Placed {
        channel: descriptor::take_over(CHANNEL),
        route: take(there[1], ROUTE),
        diag: take(there[2], DIAG),
        files: Files { hosts: take(there[3], HOSTS), resolver: take(there[4], RESOLVER) },
    })
}

/// Empties the capability sets but for low ports, and takes the broker's ids.
fn give_up_capabilities(prepared: &Prepared, step: &mut usize) -> Sys<()> {
    use caps::{CapSet, Capability, CapsHashSet};
    let failed = |_| Errno::last();
    if caps::has_cap(None, CapSet::Effective, Capability::CAP_SETPCAP).unwrap_or(false) {
        // Locks the securebits, too: from here on ids and capabilities are
        // changed apart, so that one can be kept.
        process::drop_bounding_set()?;
    }
    if let Some(ids) = prepared.ids {
        *step = 2;
        process::become_user(ids.uid, ids.gid)?;
        *step = 1;
    }
    let mut kept = CapsHashSet::new();
    if prepared.keeps_low_ports {
        kept.insert(Capability::CAP_NET_BIND_SERVICE);
    }
    caps::clear(None, CapSet::Ambient).map_err(failed)?;
    caps::clear(None, CapSet::Inheritable).map_err(failed)?;
    caps::set(None, CapSet::Effective, &kept).map_err(failed)?;
    caps::set(None, CapSet::Permitted, &kept).map_err(failed)
}

/// The limits of the process.
fn limits(prepared: &Prepared) -> Vec<(u32, u64)> {
    let mut limits = vec![
        (libc::RLIMIT_NOFILE, prepared.open_files),
        (libc::RLIMIT_AS, ADDRESS_SPACE),
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_FSIZE, 0),
        (libc::RLIMIT_MEMLOCK, 0),
        (libc::RLIMIT_MSGQUEUE, 0),
    ];
    // Counted for each user: only where the broker is a user of its own.
    if prepared.ids.is_some() {
        limits.push((libc::RLIMIT_NPROC, u64::from(PROCESSES)));
    }
    limits
}
