//! The one table of calls: what a `call` line may name.

use crate::Resource;

/// A call of the Repy API that rules decide on, in the order of the original's list.
#[allow(missing_docs)] // each is named in CALLS, with its signature
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Call {
    CancelTimer,
    ExitAll,
    FileClose,
    FileFlush,
    FileInit,
    FileNext,
    FileRead,
    FileReadline,
    FileReadlines,
    FileSeek,
    FileWrite,
    FileWritelines,
    ListDir,
    RemoveFile,
    GetHostByNameEx,
    GetMyIp,
    Open,
    OpenConn,
    RecvMess,
    SendMess,
    SetTimer,
    Sleep,
    SocketClose,
    SocketRecv,
    SocketSend,
    StopComm,
    WaitForConn,
    LogWrite,
    LogWritelines,
    RandomFloat,
    GetRuntime,
    GetLock,
    GetThreadName,
    VirtualNamespace,
}

/// What the table says of one call.
#[derive(Clone, Copy, Debug)]
pub struct CallFacts {
    /// The call this row describes.
    pub call: Call,
    /// The word of the restrictions language.
    pub name: &'static str,
    /// The parameters a rule's argument numbers count, in order. A method's object is not counted.
    pub parameters: &'static [&'static str],
    /// How many of them a program must give.
    pub required: usize,
    /// Which of them are host addresses: a rule on them also matches the resolved address
    /// (see [`crate::Argument::Host`]).
    pub hosts: &'static [usize],
    /// Resources that must not be zero for it ever to succeed: of each group at least one.
    pub needs: &'static [&'static [Resource]],
}

const fn row(
    call: Call,
    name: &'static str,
    parameters: &'static [&'static str],
    required: usize,
    hosts: &'static [usize],
    needs: &'static [&'static [Resource]],
) -> CallFacts {
    CallFacts { call, name, parameters, required, hosts, needs }
}

/// Every call, indexed by `Call as usize`.
pub const CALLS: [CallFacts; 34] = {
    use Call::*;
    [
        row(CancelTimer, "canceltimer", &["timerhandle"], 1, &[], &[]),
        row(ExitAll, "exitall", &[], 0, &[], &[]),
        row(FileClose, "file.close", &[], 0, &[], &[]),
        row(FileFlush, "file.flush", &[], 0, &[], &[]),
        row(FileInit, "file.__init__", &["filename", "mode"], 1, &[], &[&[Resource::FilesOpened]]),
        row(FileNext, "file.next", &[], 0, &[], &[&[Resource::FileRead]]),
        row(FileRead, "file.read", &["size"], 0, &[], &[&[Resource::FileRead]]),
        row(FileReadline, "file.readline", &["size"], 0, &[], &[&[Resource::FileRead]]),
        row(FileReadlines, "file.readlines", &["size"], 0, &[], &[&[Resource::FileRead]]),
        row(FileSeek, "file.seek", &["offset", "whence"], 1, &[], &[]),
        row(FileWrite, "file.write", &["data"], 1, &[], &[&[Resource::FileWrite]]),
        row(FileWritelines, "file.writelines", &["lines"], 1, &[], &[&[Resource::FileWrite]]),
        row(ListDir, "listdir", &[], 0, &[], &[]),
        row(RemoveFile, "removefile", &["filename"], 1, &[], &[]),
        row(
            GetHostByNameEx,
            "gethostbyname_ex",
            &["name"],
            1,
            &[],
            &[&[Resource::NetSend], &[Resource::NetRecv]],
        ),
        row(GetMyIp, "getmyip", &[], 0, &[], &[]),
        row(Open, "open", &["filename", "mode"], 1, &[], &[&[Resource::FilesOpened]]),
        row(
            OpenConn,
            "openconn",
            &["desthost", "destport", "localip", "localport", "timeout"],
            2,
            &[0, 2],
            &[&[Resource::OutSockets]],
        ),
        row(
            RecvMess,
            "recvmess",
            &["localip", "localport", "function"],
            3,
            &[0],
            &[&[Resource::InSockets], &[Resource::MessPort]],
        ),
        row(
            SendMess,
            "sendmess",
            &["desthost", "destport", "message", "localip", "localport"],
            3,
            &[0, 3],
            &[&[Resource::NetSend, Resource::LoopSend]],
        ),
        row(SetTimer, "settimer", &["waittime", "function", "args"], 3, &[], &[&[Resource::Events]]),
        row(Sleep, "sleep", &["seconds"], 1, &[], &[]),
        row(SocketClose, "socket.close", &[], 0, &[], &[]),
        row(SocketRecv, "socket.recv", &["bytes"], 1, &[], &[&[Resource::NetRecv, Resource::LoopRecv]]),
        row(SocketSend, "socket.send", &["message"], 1, &[], &[&[Resource::NetSend, Resource::LoopSend]]),
        row(StopComm, "stopcomm", &["commhandle"], 1, &[], &[]),
        row(
            WaitForConn,
            "waitforconn",
            &["localip", "localport", "function"],
            3,
            &[0],
            &[&[Resource::InSockets], &[Resource::ConnPort]],
        ),
        row(LogWrite, "log.write", &["text"], 1, &[], &[&[Resource::LogRate]]),
        row(LogWritelines, "log.writelines", &["lines"], 1, &[], &[&[Resource::LogRate]]),
        row(RandomFloat, "randomfloat", &[], 0, &[], &[&[Resource::Random]]),
        row(GetRuntime, "getruntime", &[], 0, &[], &[]),
        row(GetLock, "getlock", &[], 0, &[], &[]),
        row(GetThreadName, "get_thread_name", &[], 0, &[], &[]),
        row(VirtualNamespace, "VirtualNamespace", &["code", "name"], 1, &[], &[]),
    ]
};

impl Call {
    /// Every call, in table order.
    pub fn all() -> impl Iterator<Item = Call> {
        CALLS.iter().map(|facts| facts.call)
    }

    /// The table row of this call.
    pub fn facts(self) -> &'static CallFacts {
        &CALLS[self as usize]
    }

    /// The word of the restrictions language.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The call a word names; words are case-sensitive.
    pub fn from_name(name: &str) -> Option<Call> {
        CALLS.iter().find(|facts| facts.name == name).map(|facts| facts.call)
    }

    /// The call of a table index (the wire form).
    pub fn from_index(index: u8) -> Option<Call> {
        CALLS.get(usize::from(index)).map(|facts| facts.call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_at_their_own_index_and_names_are_unique() {
        for (index, facts) in CALLS.iter().enumerate() {
            assert_eq!(facts.call as usize, index, "{}", facts.name);
            assert_eq!(Call::from_name(facts.name), Some(facts.call));
            assert_eq!(Call::from_index(index as u8), Some(facts.call));
            assert!(facts.required <= facts.parameters.len());
            assert!(facts.hosts.iter().all(|&host| host < facts.parameters.len()));
        }
        assert_eq!(Call::from_index(CALLS.len() as u8), None);
    }
}
