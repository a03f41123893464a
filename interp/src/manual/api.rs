//! repy-api(3).

use policies::manual::Roff;

use crate::api::table::{ApiCall, Charge, Kind, Parameter, TABLE};
use crate::heap::Builtin;

/// What each call does; methods with the name of their object's kind.
const DESCRIBED: &[(&str, &str)] = &[
    ("getruntime", "Seconds since the program was started, as a float that never runs back."),
    ("randomfloat", "A random float from 0 up to, but not including, 1, from the system's own source."),
    ("exitall", "Ends the program at once, all its events too; nothing can catch it. The exit run does not happen."),
    ("getlock", "A new lock, not held."),
    ("get_thread_name", "The name of the event that is running."),
    ("sleep", "Waits for so many seconds; other events go on."),
    ("open", "Opens a file of the vessel. mode is r, rb, w, wb, a, ab or one of these with +; default r. Names have letters, digits, '.', '_' and '-'."),
    ("file", "The same as open."),
    ("listdir", "The names of the files in the vessel, as a list."),
    ("removefile", "Removes a file of the vessel that the program has not open."),
    ("file.read", "The next size bytes, or the rest of the file."),
    ("file.readline", "The next line with its line end, at most size bytes; an empty string at the end."),
    ("file.readlines", "The lines of the rest of the file, as a list."),
    ("file.next", "The next line; raises StopIteration at the end. `for line in file` calls it."),
    ("file.write", "Writes a string at the current place."),
    ("file.writelines", "Writes each string of a list."),
    ("file.seek", "Goes to a place: from the start (whence 0), from here (1) or from the end (2)."),
    ("file.flush", "Writes out what is still in memory."),
    ("file.close", "Writes out what is still in memory and closes the file."),
    ("settimer", "Calls function with the arguments args after waittime seconds, as an event. Gives a handle."),
    ("canceltimer", "Cancels a timer: True if it had not gone off, else False."),
    ("lock.acquire", "Takes the lock; waits for it unless blocking is 0 or False. True if it was taken."),
    ("lock.release", "Gives the lock back, whichever event holds it."),
    ("gethostbyname_ex", "The name of a host, its other names and its addresses."),
    ("getmyip", "The address of this host that others reach it by."),
    ("sendmess", "Sends one UDP message, from a granted port if localport is given. Gives how many bytes were sent."),
    ("recvmess", "Calls function(remoteip, remoteport, message, commhandle) as an event for each UDP message to a granted port. Gives a handle."),
    ("openconn", "Connects by TCP and gives a socket. Waits at most timeout seconds (default 5)."),
    ("waitforconn", "Calls function(remoteip, remoteport, socket, commhandle, listenhandle) as an event for each TCP connection to a granted port. Gives a handle."),
    ("stopcomm", "Ends what recvmess or waitforconn began: True if it was still going on."),
    ("socket.send", "Sends some of a string; gives how many bytes. Waits until some can be sent."),
    ("socket.recv", "Up to so many bytes. Waits for some; raises an exception when the other side has closed."),
    ("socket.close", "Closes the connection: True if it was open."),
    ("socket.willblock", "Whether recv and whether send would wait now, as a pair."),
    ("VirtualNamespace", "Checks a text as a program of its own. name is for its tracebacks."),
    ("namespace.evaluate", "Runs the text with a SafeDict or dict as its namespace, and gives it back."),
];

/// The page.
pub fn page() -> String {
    let mut page = Roff::new("repy-api", 3, "the calls of Repy programs");
    page.section("DESCRIPTION").text(
        "Calls that every program has without importing anything. Before a call acts, the rules of restrictions(5) decide on \
         it; then its resources are charged. A call that a rule does not allow raises Exception; one with arguments of the \
         wrong kind raises TypeError.",
    );
    for (title, class) in [
        ("FUNCTIONS", None),
        ("FILES", Some(Builtin::ApiFile)),
        ("SOCKETS", Some(Builtin::ApiSocket)),
        ("LOCKS", Some(Builtin::ApiLock)),
        ("VIRTUAL NAMESPACES", Some(Builtin::ApiVirtualNamespace)),
    ] {
        page.section(title);
        for call in TABLE.iter().filter(|call| call.class == class) {
            page.item(&signature(call), &text(call));
        }
    }
    page.section("SEE ALSO").text("repy-launch(1), restrictions(5), repy-language(7)");
    page.finish()
}

fn described(call: &ApiCall) -> Option<&'static str> {
    let name = qualified(call);
    DESCRIBED.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

fn qualified(call: &ApiCall) -> String {
    let object = match call.class {
        None => return call.name.to_owned(),
        Some(Builtin::ApiFile) => "file",
        Some(Builtin::ApiSocket) => "socket",
        Some(Builtin::ApiLock) => "lock",
        Some(_) => "namespace",
    };
    format!("{object}.{}", call.name)
}

fn signature(call: &ApiCall) -> String {
    let parameters: Vec<String> = call
        .parameters
        .iter()
        .map(
            |Parameter { name, required, .. }| {
                if *required {
                    (*name).to_owned()
                } else {
                    format!("[{name}]")
                }
            },
        )
        .collect();
    format!("{}({})", qualified(call), parameters.join(", "))
}

fn text(call: &ApiCall) -> String {
    let mut text = described(call).unwrap_or("").to_owned();
    if !call.parameters.is_empty() {
        let kinds: Vec<String> = call
            .parameters
            .iter()
            .map(|Parameter { name, kind, .. }| format!("{name}: {}", word(*kind)))
            .collect();
        text.push_str(&format!(" Takes {}.", kinds.join("; ")));
    }
    if let Some(rule) = call.rule {
        text.push_str(&format!(" Decided by: call {}.", rule.name()));
    }
    let charges: Vec<&str> = call
        .charges
        .iter()
        .map(|charge| match charge {
            Charge::Rate(rate) => rate.name(),
            Charge::Item(count) => count.name(),
            Charge::Disk => "diskused",
        })
        .collect();
    if !charges.is_empty() {
        text.push_str(&format!(" Charges {}.", charges.join(", ")));
    }
    text
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer => "an int or long",
        Kind::IntegerOrNone => "an int or long, or None",
        Kind::Number => "a number",
        Kind::NumberOrNone => "a number or None",
        Kind::Flag => "a bool or int",
        Kind::Text => "a string",
        Kind::TextOrNone => "a string or None",
        Kind::Function => "a function",
        Kind::Sequence => "a tuple or list",
        Kind::TextList => "a list of strings",
        Kind::Timer => "a handle of settimer",
        Kind::Comm => "a handle of recvmess or waitforconn",
        Kind::Context => "a dict or SafeDict",
        Kind::Any => "a string",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_is_described_and_nothing_else() {
        for call in TABLE {
            assert!(described(call).is_some(), "{}", qualified(call));
        }
        assert_eq!(DESCRIBED.len(), TABLE.len());
    }
}
