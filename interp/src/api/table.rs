//! The one table of the API: every call and method, its parameters, the rule
//! it is checked by and what it charges. The wrapper, the registration and the
//! tests of bad arguments are derived from it.

use policies::Call;

use super::bind::Bound;
use super::calls::{files, misc, namespaces, net, timers};
use crate::heap::Builtin;
use crate::meter::{Count, Rate};
use crate::vm::native::NativeReturn;
use crate::vm::Vm;

/// What an argument must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `int` or `long`, not `bool`.
    Integer,
    /// The same, or None.
    IntegerOrNone,
    /// `int`, `long` or `float`, not `bool`.
    Number,
    /// The same, or None.
    NumberOrNone,
    /// `bool`, `int` or `long`.
    Flag,
    /// `str`.
    Text,
    /// `str` or None.
    TextOrNone,
    /// A function or bound method of the program, or an API function.
    Function,
    /// A tuple or list.
    Sequence,
    /// A list of strings.
    TextList,
    /// A timer handle.
    Timer,
    /// A comm handle.
    Comm,
    /// A dict or SafeDict, passed on as the object it is.
    Context,
    /// Anything: the call says itself what it takes.
    Any,
}

/// One parameter.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// The keyword it can be given by.
    pub name: &'static str,
    /// What it must be.
    pub kind: Kind,
    /// Whether it must be given.
    pub required: bool,
}

/// What a call uses up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    /// A renewable resource.
    Rate(Rate),
    /// A countable resource.
    Item(Count),
    /// The disk account.
    Disk,
}

/// The code of a call: arguments are bound, of the right kind, and copied.
pub type Act = fn(&mut Vm, &Bound) -> NativeReturn;

/// One row.
#[derive(Clone, Copy)]
pub struct ApiCall {
    /// The name programs use.
    pub name: &'static str,
    /// The implementation's name, as the original's error texts show it.
    pub target: &'static str,
    /// The class of a method; `None` for a function.
    pub class: Option<Builtin>,
    /// The parameters in order, a method's object not counted.
    pub parameters: &'static [Parameter],
    /// Whether arguments may be given by keyword.
    pub keywords: bool,
    /// The rule that decides on it.
    pub rule: Option<Call>,
    /// What it uses up.
    pub charges: &'static [Charge],
    /// Its code.
    pub act: Act,
}

/// Most parameters of a call.
pub const MOST_PARAMETERS: usize = 5;

const fn required(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, required: true }
}

const fn optional(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, required: false }
}

const fn function(name: &'static str, parameters: &'static [Parameter], rule: Call, act: Act) -> ApiCall {
    let rule = Some(rule);
    ApiCall { name, target: name, class: None, parameters, keywords: true, rule, charges: &[], act }
}

const fn method(class: Builtin, name: &'static str, parameters: &'static [Parameter], act: Act) -> ApiCall {
    ApiCall {
        name,
        target: name,
        class: Some(class),
        parameters,
        keywords: true,
        rule: None,
        charges: &[],
        act,
    }
}

impl ApiCall {
    const fn target(self, target: &'static str) -> ApiCall {
        ApiCall { target, ..self }
    }

    const fn positional_only(self) -> ApiCall {
        ApiCall { keywords: false, ..self }
    }

    const fn rule(self, rule: Call) -> ApiCall {
        ApiCall { rule: Some(rule), ..self }
    }

    const fn charges(self, charges: &'static [Charge]) -> ApiCall {
        ApiCall { charges, ..self }
    }
}

use Builtin::{ApiFile, ApiLock, ApiSocket, ApiVirtualNamespace};

const OPEN: &[Parameter] = &[required("filename", Kind::Text), optional("mode", Kind::Text)];
const OPENS: &[Charge] = &[Charge::Item(Count::FilesOpened), Charge::Disk];
const READS: &[Charge] = &[Charge::Rate(Rate::FileRead)];
const WRITES: &[Charge] = &[Charge::Rate(Rate::FileWrite), Charge::Disk];
const SENDS: &[Charge] = &[Charge::Rate(Rate::NetSend), Charge::Rate(Rate::LoopSend)];
const RECEIVES: &[Charge] = &[Charge::Rate(Rate::NetRecv), Charge::Rate(Rate::LoopRecv)];
const LISTENS: &[Charge] = &[Charge::Item(Count::InSockets), Charge::Item(Count::Events)];
const LISTEN: &[Parameter] = &[
    required("localip", Kind::Text),
    required("localport", Kind::Integer),
    required("function", Kind::Function),
];
const SIZE: &[Parameter] = &[optional("size", Kind::Integer)];

/// Every call of the API.
pub const TABLE: &[ApiCall] = &[
    // Miscellaneous.
    function("getruntime", &[], Call::GetRuntime, misc::getruntime),
    function("randomfloat", &[], Call::RandomFloat, misc::randomfloat).charges(&[Charge::Rate(Rate::Random)]),
    function("exitall", &[], Call::ExitAll, misc::exitall),
    function("getlock", &[], Call::GetLock, misc::getlock),
    function("get_thread_name", &[], Call::GetThreadName, misc::get_thread_name),
    function("sleep", &[required("seconds", Kind::Number)], Call::Sleep, misc::sleep).positional_only(),
    // Files.
    function("open", OPEN, Call::Open, files::open).target("emulated_open").charges(OPENS),
    function("file", OPEN, Call::Open, files::open).target("emulated_open").charges(OPENS),
    function("listdir", &[], Call::ListDir, files::listdir),
    function("removefile", &[required("filename", Kind::Any)], Call::RemoveFile, files::removefile)
        .positional_only()
        .charges(&[Charge::Disk]),
    method(ApiFile, "read", SIZE, files::read).positional_only().rule(Call::FileRead).charges(READS),
    method(ApiFile, "readline", SIZE, files::readline)
        .positional_only()
        .rule(Call::FileReadline)
        .charges(READS),
    method(ApiFile, "readlines", SIZE, files::readlines)
        .positional_only()
        .rule(Call::FileReadlines)
        .charges(READS),
    method(ApiFile, "next", &[], files::next).rule(Call::FileNext).charges(READS),
    method(ApiFile, "write", &[required("data", Kind::Text)], files::write)
        .rule(Call::FileWrite)
        .charges(WRITES),
    method(ApiFile, "writelines", &[required("lines", Kind::TextList)], files::writelines)
        .rule(Call::FileWritelines)
        .charges(WRITES),
    method(
        ApiFile,
        "seek",
        &[required("offset", Kind::Integer), optional("whence", Kind::Integer)],
        files::seek,
    )
    .rule(Call::FileSeek),
    method(ApiFile, "flush", &[], files::flush).rule(Call::FileFlush),
    method(ApiFile, "close", &[], files::close).rule(Call::FileClose),
    // Timers and locks.
    function(
        "settimer",
        &[
            required("waittime", Kind::Number),
            required("function", Kind::Function),
            required("args", Kind::Sequence),
        ],
        Call::SetTimer,
        timers::settimer,
    )
    .charges(&[Charge::Item(Count::Events)]),
    function("canceltimer", &[required("timerhandle", Kind::Timer)], Call::CancelTimer, timers::canceltimer),
    method(ApiLock, "acquire", &[optional("blocking", Kind::Flag)], timers::acquire),
    method(ApiLock, "release", &[], timers::release),
    // Network.
    function(
        "gethostbyname_ex",
        &[required("name", Kind::Text)],
        Call::GetHostByNameEx,
        net::gethostbyname_ex,
    )
    .positional_only()
    .charges(&[Charge::Rate(Rate::NetSend), Charge::Rate(Rate::NetRecv)]),
    function("getmyip", &[], Call::GetMyIp, net::getmyip),
    function(
        "sendmess",
        &[
            required("desthost", Kind::Text),
            required("destport", Kind::Integer),
            required("message", Kind::Text),
            optional("localip", Kind::TextOrNone),
            optional("localport", Kind::IntegerOrNone),
        ],
        Call::SendMess,
        net::sendmess,
    )
    .charges(SENDS),
    function("recvmess", LISTEN, Call::RecvMess, net::recvmess).charges(LISTENS),
    function(
        "openconn",
        &[
            required("desthost", Kind::Text),
            required("destport", Kind::Integer),
            optional("localip", Kind::TextOrNone),
            optional("localport", Kind::IntegerOrNone),
            optional("timeout", Kind::NumberOrNone),
        ],
        Call::OpenConn,
        net::openconn,
    )
    .charges(&[Charge::Item(Count::OutSockets)]),
    function("waitforconn", LISTEN, Call::WaitForConn, net::waitforconn).charges(LISTENS),
    function("stopcomm", &[required("commhandle", Kind::Comm)], Call::StopComm, net::stopcomm),
    method(ApiSocket, "send", &[required("message", Kind::Text)], net::send)
        .rule(Call::SocketSend)
        .charges(SENDS),
    method(ApiSocket, "recv", &[required("bytes", Kind::Integer)], net::recv)
        .rule(Call::SocketRecv)
        .charges(RECEIVES),
    method(ApiSocket, "close", &[], net::close).rule(Call::SocketClose),
    method(ApiSocket, "willblock", &[], net::willblock),
    // Namespaces.
    function(
        "VirtualNamespace",
        &[required("code", Kind::Text), optional("name", Kind::Text)],
        Call::VirtualNamespace,
        namespaces::make,
    )
    .target("get_VirtualNamespace"),
    method(ApiVirtualNamespace, "evaluate", &[required("context", Kind::Context)], namespaces::evaluate),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_within_bounds_and_agree_with_the_rules() {
        for row in TABLE {
            assert!(row.parameters.len() <= MOST_PARAMETERS, "{}", row.name);
            let first_optional = row.parameters.iter().position(|parameter| !parameter.required);
            let last_required = row.parameters.iter().rposition(|parameter| parameter.required);
            if let (Some(optional), Some(required)) = (first_optional, last_required) {
                assert!(required < optional, "{}: optional before required", row.name);
            }
            if let Some(rule) = row.rule {
                let names: Vec<&str> = row.parameters.iter().map(|parameter| parameter.name).collect();
                assert_eq!(names, rule.facts().parameters, "{}", row.name);
                let required = row.parameters.iter().filter(|parameter| parameter.required).count();
                assert_eq!(required, rule.facts().required, "{}", row.name);
            }
        }
    }

    #[test]
    fn every_rule_has_a_call() {
        for rule in Call::all() {
            let found = TABLE.iter().any(|row| row.rule == Some(rule));
            // open checks file.__init__ too, print checks the log.
            let elsewhere = [Call::FileInit, Call::LogWrite, Call::LogWritelines].contains(&rule);
            assert!(found || elsewhere, "{}", rule.name());
        }
    }
}
