//! The one table of resources: what a `resource` line may name.

/// How a resource is used up, and what happens past its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A share of one processor; past it the whole process is paused.
    Share,
    /// A rate that drains each second; past it the call waits.
    Renewable,
    /// An amount of bytes; past it the program is killed.
    Hard,
    /// A number of things held at once; past it the call raises.
    Items,
    /// Ports granted one by one; another port raises.
    Named,
}

/// A resource of the restrictions language, in the order canonical text lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Resource {
    /// Processor time, as a share of one processor.
    Cpu,
    /// Resident memory.
    Memory,
    /// Bytes in the vessel directory, 4096 more for each entry.
    DiskUsed,
    /// Initialize, exit, timers, listeners and callbacks alive at once.
    Events,
    /// Bytes written to files each second.
    FileWrite,
    /// Bytes read from files each second.
    FileRead,
    /// File objects open at once.
    FilesOpened,
    /// Listening handles alive at once.
    InSockets,
    /// Sockets made by `openconn` alive at once.
    OutSockets,
    /// Bytes sent to other hosts each second.
    NetSend,
    /// Bytes received from other hosts each second.
    NetRecv,
    /// Bytes sent to this host each second.
    LoopSend,
    /// Bytes received from this host each second.
    LoopRecv,
    /// Bytes printed each second.
    LogRate,
    /// Random numbers drawn each second.
    Random,
    /// A local UDP port.
    MessPort,
    /// A local TCP port.
    ConnPort,
}

/// What the table says of one resource.
#[derive(Clone, Copy, Debug)]
pub struct ResourceFacts {
    /// The resource this row describes.
    pub resource: Resource,
    /// The word of the restrictions language.
    pub name: &'static str,
    /// The unit of its value, for people.
    pub unit: &'static str,
    /// What happens past the limit.
    pub kind: Kind,
    /// Whether a policy without this resource is refused. An absent resource that is not
    /// required is zero (Repy V1: no events, no sockets, a rate that never drains).
    pub required: bool,
    /// One line of explanation.
    pub meaning: &'static str,
}

const fn row(
    resource: Resource,
    name: &'static str,
    unit: &'static str,
    kind: Kind,
    required: bool,
    meaning: &'static str,
) -> ResourceFacts {
    ResourceFacts { resource, name, unit, kind, required, meaning }
}

/// Every resource, indexed by `Resource as usize`.
pub const RESOURCES: [ResourceFacts; 17] = {
    use {Kind::*, Resource::*};
    [
        row(
            Cpu,
            "cpu",
            "share of one processor",
            Share,
            true,
            "processor time; past it the program is paused",
        ),
        row(Memory, "memory", "bytes", Hard, true, "resident memory; past it the program is killed"),
        row(
            DiskUsed,
            "diskused",
            "bytes",
            Hard,
            true,
            "bytes in the vessel directory, 4096 more for each entry; past it the program is killed",
        ),
        row(
            Events,
            "events",
            "items",
            Items,
            false,
            "initialize, exit, timers, listeners and callbacks alive at once",
        ),
        row(FileWrite, "filewrite", "bytes per second", Renewable, false, "bytes written to files"),
        row(FileRead, "fileread", "bytes per second", Renewable, false, "bytes read from files"),
        row(FilesOpened, "filesopened", "items", Items, false, "file objects open at once"),
        row(InSockets, "insockets", "items", Items, false, "recvmess and waitforconn handles alive at once"),
        row(OutSockets, "outsockets", "items", Items, false, "sockets made by openconn alive at once"),
        row(NetSend, "netsend", "bytes per second", Renewable, false, "bytes sent to other hosts"),
        row(NetRecv, "netrecv", "bytes per second", Renewable, false, "bytes received from other hosts"),
        row(
            LoopSend,
            "loopsend",
            "bytes per second",
            Renewable,
            false,
            "bytes sent over the loopback interface",
        ),
        row(
            LoopRecv,
            "looprecv",
            "bytes per second",
            Renewable,
            false,
            "bytes received over the loopback interface",
        ),
        row(LogRate, "lograte", "bytes per second", Renewable, false, "bytes printed"),
        row(Random, "random", "numbers per second", Renewable, false, "random numbers drawn"),
        row(MessPort, "messport", "UDP port", Named, false, "a local UDP port the program may use"),
        row(ConnPort, "connport", "TCP port", Named, false, "a local TCP port the program may use"),
    ]
};

impl Resource {
    /// Every resource, in table order.
    pub fn all() -> impl Iterator<Item = Resource> {
        RESOURCES.iter().map(|facts| facts.resource)
    }

    /// The table row of this resource.
    pub fn facts(self) -> &'static ResourceFacts {
        &RESOURCES[self as usize]
    }

    /// The word of the restrictions language.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// What happens past the limit.
    pub fn kind(self) -> Kind {
        self.facts().kind
    }

    /// The resource a word names; words are case-sensitive.
    pub fn from_name(name: &str) -> Option<Resource> {
        RESOURCES.iter().find(|facts| facts.name == name).map(|facts| facts.resource)
    }

    /// The resource of a table index (the wire form).
    pub fn from_index(index: u8) -> Option<Resource> {
        RESOURCES.get(usize::from(index)).map(|facts| facts.resource)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_at_their_own_index_and_names_are_unique() {
        for (index, facts) in RESOURCES.iter().enumerate() {
            assert_eq!(facts.resource as usize, index, "{}", facts.name);
            assert_eq!(Resource::from_name(facts.name), Some(facts.resource));
            assert_eq!(Resource::from_index(index as u8), Some(facts.resource));
        }
        assert_eq!(Resource::from_index(RESOURCES.len() as u8), None);
    }

    #[test]
    fn names_are_case_sensitive() {
        assert_eq!(Resource::from_name("Cpu"), None);
        assert_eq!(Resource::from_name("cpu"), Some(Resource::Cpu));
    }
}
