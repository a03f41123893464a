//! Which layer keeps each promise of a policy: the vocabulary of `explain` and `audit`.
//!
//! Pure tables, without a host: a launcher says beside them what the host at hand
//! lacks, and with which value each object is set.

use crate::{Call, Resource};

/// Where a control lives, from the strongest to the weakest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layer {
    /// An object of the kernel: holds even if the interpreter is broken.
    Kernel,
    /// The launcher's own process, outside the sandbox: holds even if the interpreter is broken.
    Supervisor,
    /// The process that makes sockets, outside the sandbox: holds even if the interpreter is broken.
    Broker,
    /// The interpreter itself: holds while it works as built.
    Interpreter,
}

impl Layer {
    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            Layer::Kernel => "kernel",
            Layer::Supervisor => "supervisor",
            Layer::Broker => "broker",
            Layer::Interpreter => "interpreter",
        }
    }
}

/// One thing that enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // each is described in CONTROLS
#[repr(u8)]
pub enum Control {
    CgroupMemory,
    CgroupCpu,
    AddressSpace,
    FileSize,
    OpenFiles,
    Scratch,
    VesselRights,
    VesselCalls,
    SocketCalls,
    NetworkNamespace,
    BrokerPorts,
    MonitorMemory,
    MonitorDisk,
    MonitorCpu,
    LogPipe,
    Binds,
    Destinations,
    SocketCount,
    Rules,
    Grants,
    Counter,
    Bucket,
    DiskAccount,
    Allocation,
}

/// What the table says of one control.
#[derive(Clone, Copy, Debug)]
pub struct ControlFacts {
    /// The control this row describes.
    pub control: Control,
    /// Stable name, for tools.
    pub name: &'static str,
    /// Where it lives.
    pub layer: Layer,
    /// The object to look at.
    pub object: &'static str,
    /// What it does.
    pub effect: &'static str,
}

const fn control(
    control: Control,
    name: &'static str,
    layer: Layer,
    object: &'static str,
    effect: &'static str,
) -> ControlFacts {
    ControlFacts { control, name, layer, object, effect }
}

/// Every control, indexed by `Control as usize`.
#[rustfmt::skip]
pub const CONTROLS: [ControlFacts; 24] = {
    use {Control::*, Layer::*};
    [
        control(CgroupMemory, "cgroup-memory", Kernel, "memory.max with memory.swap.max 0 (v1: memory.limit_in_bytes)", "kills the sandbox at the limit"),
        control(CgroupCpu, "cgroup-cpu", Kernel, "cpu.max (v1: cpu.cfs_quota_us)", "pauses the sandbox when its share of a period is used"),
        control(AddressSpace, "rlimit-as", Kernel, "RLIMIT_AS", "fails allocations far past the limit; a backstop"),
        control(FileSize, "rlimit-fsize", Kernel, "RLIMIT_FSIZE", "no single file grows past the limit"),
        control(OpenFiles, "rlimit-nofile", Kernel, "RLIMIT_NOFILE", "no more descriptors than all item limits together need"),
        control(Scratch, "scratch", Kernel, "tmpfs size= and nr_inodes=", "exact: the vessel itself is full at the limit, whoever writes"),
        control(VesselRights, "landlock-files", Kernel, "Landlock rights on the vessel directory", "no file outside, and inside only what some rule can allow"),
        control(VesselCalls, "seccomp-files", Kernel, "seccomp filter", "the system calls for it are there only if some rule can allow them"),
        control(SocketCalls, "seccomp-sockets", Kernel, "seccomp filter", "no system call makes, binds or connects a socket"),
        control(NetworkNamespace, "network-namespace", Kernel, "empty network namespace", "no interface but a loopback that is down"),
        control(BrokerPorts, "landlock-ports", Kernel, "Landlock port rules of the broker", "the broker itself binds and connects TCP ports that are granted only"),
        control(MonitorMemory, "monitor-memory", Supervisor, "memory events, VmRSS every 10 ms", "kills, and says why"),
        control(MonitorDisk, "monitor-disk", Supervisor, "recount of the vessel directory when it changes", "kills, and says why"),
        control(MonitorCpu, "monitor-cpu", Supervisor, "SIGSTOP and SIGCONT from schedstat", "pauses the sandbox where there is no cgroup"),
        control(LogPipe, "log-pipe", Supervisor, "the pipe behind standard output", "reads no faster than the rate"),
        control(Binds, "broker-binds", Broker, "bind and listen", "made for granted ports and allowed addresses only"),
        control(Destinations, "broker-destinations", Broker, "connect, sendto and name look-up", "decided by the same rules on the address really used"),
        control(SocketCount, "broker-count", Broker, "sockets handed out", "no more than the limit at once"),
        control(Rules, "rules", Interpreter, "rule matching", "decides on the exact arguments; a refused call raises"),
        control(Grants, "grants", Interpreter, "list of granted ports", "another port raises"),
        control(Counter, "counter", Interpreter, "items held", "raises at the limit"),
        control(Bucket, "bucket", Interpreter, "bytes or numbers charged", "a call past the rate waits"),
        control(DiskAccount, "disk-account", Interpreter, "exact account before each write", "ends the program before the byte past the limit is written"),
        control(Allocation, "allocation", Interpreter, "size asked for", "MemoryError for one allocation past the limit"),
    ]
};

impl Control {
    /// The table row of this control.
    pub fn facts(self) -> &'static ControlFacts {
        &CONTROLS[self as usize]
    }
}

/// What carries one line of a policy.
#[derive(Clone, Copy, Debug)]
pub struct Carriage {
    /// Strongest first.
    pub controls: &'static [Control],
    /// What an operator must know besides; may be empty.
    pub note: &'static str,
}

impl Carriage {
    /// Whether something outside the interpreter holds it.
    pub fn is_outside(&self) -> bool {
        self.controls.iter().any(|control| control.facts().layer != Layer::Interpreter)
    }

    /// The controls of one layer.
    pub fn of(&self, layer: Layer) -> impl Iterator<Item = Control> {
        self.controls.iter().copied().filter(move |control| control.facts().layer == layer)
    }
}

/// What carries a resource.
pub fn of_resource(resource: Resource) -> Carriage {
    use Control::*;
    let (controls, note): (&'static [Control], &'static str) = match resource {
        Resource::Cpu => (
            &[CgroupCpu, MonitorCpu],
            "the interpreter is one thread, so a share above 1 is never used up",
        ),
        Resource::Memory => (
            &[CgroupMemory, AddressSpace, MonitorMemory, Allocation],
            "with --scratch the kernel's limit is memory plus diskused, and the monitor holds memory itself",
        ),
        Resource::DiskUsed => (&[Scratch, FileSize, MonitorDisk, DiskAccount], "counted as bytes, 4096 more for each entry"),
        Resource::Events => (
            &[Counter],
            "events are no processes: whatever the policy says, the sandbox can create none (pids.max 1, no clone)",
        ),
        Resource::FilesOpened => (&[OpenFiles, Counter], "the kernel holds the sum of all item limits, not this one alone"),
        Resource::InSockets | Resource::OutSockets => (
            &[OpenFiles, SocketCount, Counter],
            "the kernel holds the sum of all item limits, not this one alone",
        ),
        Resource::LogRate => (&[LogPipe, Bucket], ""),
        Resource::FileWrite
        | Resource::FileRead
        | Resource::NetSend
        | Resource::NetRecv
        | Resource::LoopSend
        | Resource::LoopRecv
        | Resource::Random => (&[Bucket], "a broken interpreter would not be held to this rate"),
        Resource::MessPort => (&[SocketCalls, NetworkNamespace, Binds, Grants], "Landlock has no rules for UDP ports"),
        Resource::ConnPort => (&[SocketCalls, NetworkNamespace, BrokerPorts, Binds, Grants], ""),
    };
    Carriage { controls, note }
}

/// What carries the rules of a call.
pub fn of_call(call: Call) -> Carriage {
    use Control::*;
    const AFTER_OPEN: &str =
        "what may be opened is held by the kernel; what is done with an open file only by the file's mode";
    let (controls, note): (&'static [Control], &'static str) = match call {
        Call::Open | Call::FileInit => (
            &[VesselRights, VesselCalls, Rules],
            "the kernel holds whole files and directions; a name that need not exist yet is held by the interpreter alone",
        ),
        Call::ListDir | Call::RemoveFile => (&[VesselRights, VesselCalls, Rules], "the kernel holds whether it is allowed at all"),
        Call::FileNext | Call::FileRead | Call::FileReadline | Call::FileReadlines | Call::FileSeek => (&[Rules], AFTER_OPEN),
        Call::FileWrite | Call::FileWritelines | Call::FileFlush | Call::FileClose => (&[Rules], AFTER_OPEN),
        Call::WaitForConn | Call::RecvMess => (&[SocketCalls, NetworkNamespace, Binds, Rules], ""),
        Call::OpenConn => (&[SocketCalls, NetworkNamespace, BrokerPorts, Destinations, Rules], ""),
        Call::SendMess => (
            &[SocketCalls, NetworkNamespace, Destinations, Rules],
            "where some destination is refused the broker sends, or hands out sockets bound to an allowed one",
        ),
        Call::GetHostByNameEx | Call::GetMyIp => (&[SocketCalls, NetworkNamespace, Destinations, Rules], ""),
        Call::SocketClose | Call::SocketRecv | Call::SocketSend | Call::StopComm => {
            (&[Rules], "what a socket may reach was decided when it was made")
        }
        Call::CancelTimer
        | Call::ExitAll
        | Call::SetTimer
        | Call::Sleep
        | Call::LogWrite
        | Call::LogWritelines
        | Call::RandomFloat
        | Call::GetRuntime
        | Call::GetLock
        | Call::GetThreadName
        | Call::VirtualNamespace => (&[Rules], "happens inside the interpreter: nothing outside is asked for"),
    };
    Carriage { controls, note }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, RESOURCES};

    #[test]
    fn rows_stand_at_their_own_index_and_names_are_unique() {
        for (index, facts) in CONTROLS.iter().enumerate() {
            assert_eq!(facts.control as usize, index, "{}", facts.name);
            assert_eq!(CONTROLS.iter().filter(|other| other.name == facts.name).count(), 1, "{}", facts.name);
        }
    }

    fn everything() -> impl Iterator<Item = Carriage> {
        Resource::all().map(of_resource).chain(Call::all().map(of_call))
    }

    #[test]
    fn every_line_has_a_carrier_and_the_strongest_stands_first() {
        for carriage in everything() {
            assert!(!carriage.controls.is_empty());
            assert!(
                carriage.controls.is_sorted_by_key(|control| control.facts().layer),
                "{:?}",
                carriage.controls
            );
        }
    }

    #[test]
    fn every_control_carries_something() {
        for facts in &CONTROLS {
            assert!(
                everything().any(|carriage| carriage.controls.contains(&facts.control)),
                "{}",
                facts.name
            );
        }
    }

    #[test]
    fn hard_limits_and_ports_are_held_outside_the_interpreter() {
        for facts in &RESOURCES {
            if matches!(facts.kind, Kind::Share | Kind::Hard | Kind::Named) {
                let carriage = of_resource(facts.resource);
                assert!(
                    carriage.is_outside() && carriage.of(Layer::Kernel).next().is_some(),
                    "{}",
                    facts.name
                );
            }
        }
        assert!(!of_resource(Resource::FileWrite).is_outside());
        assert!(!of_resource(Resource::Events).is_outside());
        assert!(of_resource(Resource::LogRate).is_outside());
    }
}
