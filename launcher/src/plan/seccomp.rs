//! Which parts of the system call filter a policy needs.

use super::demand::{Demand, FileAccess};

/// Number of the vessel's descriptor in the sandbox (contract with the
/// interpreter).
pub const VESSEL_DESCRIPTOR: i32 = 4;

/// A section of the filter policy file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// Always.
    Base,
    /// Files may be opened.
    Files,
    /// Files may be written and created.
    Write,
    /// The vessel may be listed.
    List,
    /// Files may be removed.
    Remove,
    /// Some call of the network may be allowed.
    Network,
    /// Datagrams may go to every destination.
    SendAnywhere,
    /// Connections may be accepted.
    Accept,
}

impl Section {
    /// All sections.
    pub const ALL: [Section; 8] = [
        Section::Base,
        Section::Files,
        Section::Write,
        Section::List,
        Section::Remove,
        Section::Network,
        Section::SendAnywhere,
        Section::Accept,
    ];

    /// Its name in the policy file.
    pub fn name(self) -> &'static str {
        match self {
            Section::Base => "base",
            Section::Files => "files",
            Section::Write => "write",
            Section::List => "list",
            Section::Remove => "remove",
            Section::Network => "network",
            Section::SendAnywhere => "sendanywhere",
            Section::Accept => "accept",
        }
    }

    /// The section of this name.
    pub fn from_name(name: &str) -> Option<Section> {
        Section::ALL.into_iter().find(|section| section.name() == name)
    }
}

/// What the filter of one run depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterPlan {
    /// Number of the vessel's descriptor.
    pub vessel_descriptor: i32,
    /// Number of the descriptor of the interpreter's file.
    pub exec_descriptor: i32,
    /// The sections that hold.
    pub sections: Vec<Section>,
}

/// The sections that a policy asks for, each with the line that asks.
pub fn sections(demand: &Demand) -> Vec<(Section, u32)> {
    let writes = matches!(demand.files.value, FileAccess::Write(_));
    let opens = demand.files.value != FileAccess::None;
    [
        (Section::Base, true, 0),
        (Section::Files, opens, demand.files.line),
        (Section::Write, writes, demand.files.line),
        (Section::List, demand.list.value, demand.list.line),
        (Section::Remove, demand.remove.value, demand.remove.line),
        (Section::Network, demand.network.value, demand.network.line),
        (Section::SendAnywhere, demand.send_anywhere.value, demand.send_anywhere.line),
        (Section::Accept, demand.accept.value, demand.accept.line),
    ]
    .into_iter()
    .filter(|(_, wanted, _)| *wanted)
    .map(|(section, _, line)| (section, line))
    .collect()
}
