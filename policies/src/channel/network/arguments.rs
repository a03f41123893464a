//! What the rules see of a request: made from what the act will use, not from what the frame claims.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use super::{Local, Request, Written};
use crate::{Argument, Call};

/// The parts of a request that rules look at.
struct Used<'a> {
    written: &'a [Written],
    port: Option<u16>,
    own: Option<&'a Local>,
    payload: Option<&'a [u8]>,
}

impl Request {
    /// The call whose rules decide on this request.
    pub fn call(&self) -> Option<Call> {
        Some(match self {
            Request::Listen { .. } => Call::WaitForConn,
            Request::Receive { .. } => Call::RecvMess,
            Request::Send { .. } | Request::Sender { .. } => Call::SendMess,
            Request::Connect { .. } => Call::OpenConn,
            Request::Lookup { .. } => Call::GetHostByNameEx,
            Request::OwnAddress => Call::GetMyIp,
            Request::Facts | Request::Locate { .. } | Request::Close { .. } | Request::Cancel { .. } => {
                return None
            }
        })
    }

    fn used(&self) -> Option<Used<'_>> {
        let (written, port, own, payload) = match self {
            Request::Listen { local, written } | Request::Receive { local, written } => {
                (written, None, Some(local), None)
            }
            Request::Send { port, local, payload, written, .. } => {
                (written, Some(*port), local.as_ref(), Some(&payload[..]))
            }
            Request::Sender { host, local, written } => {
                // A message there will be; no rule that could grant the socket looks at its text.
                (written, host.as_ref().map(|(_, port)| *port), local.as_ref(), Some(&[][..]))
            }
            Request::Connect { port, local, written, .. } => (written, Some(*port), local.as_ref(), None),
            _ => return None,
        };
        Some(Used { written, port, own, payload })
    }

    /// The arguments that the rules decide on, from what will really be used: `destination` is the
    /// text and address the broker resolved, `local` the own address it will bind. Each parameter
    /// that a typed field holds is taken from there, whatever the frame claims beside it.
    pub fn arguments<'a>(
        &'a self,
        destination: Option<(&'a [u8], Ipv4Addr)>,
        local: Option<Ipv4Addr>,
    ) -> Vec<Argument<'a>> {
        let Some(used) = self.used() else {
            return match self {
                Request::Lookup { name } => vec![Argument::text(name)],
                _ => Vec::new(),
            };
        };
        let Used { written, port, own, payload } = used;
        let parameters = self.call().map_or(&[][..], |call| call.facts().parameters);
        let number = |port: u16| Argument::Text(Cow::Owned(port.to_string().into_bytes()));
        let host = |text: &'a [u8], address: Option<Ipv4Addr>| match address {
            Some(address) => Argument::Host { text: Cow::Borrowed(text), address },
            None => Argument::Text(Cow::Borrowed(text)),
        };
        // What the act uses is shown even where the frame says that the program did not give it.
        let used = |parameter: &str| match parameter {
            "desthost" => destination.is_some(),
            "destport" => port.is_some(),
            "message" => payload.is_some(),
            "localip" | "localport" => own.is_some(),
            _ => false,
        };
        let count = parameters.iter().rposition(|parameter| used(parameter)).map_or(0, |last| last + 1);
        let mut arguments = Vec::with_capacity(written.len().max(count));
        for position in 0..written.len().max(count) {
            let parameter = parameters.get(position).copied().unwrap_or("");
            let claimed = written.get(position).unwrap_or(&Written::Absent);
            arguments.push(match (parameter, claimed, own) {
                ("desthost", ..) => match destination {
                    Some((text, address)) => host(text, Some(address)),
                    None => Argument::Absent,
                },
                ("destport", ..) => port.map_or(Argument::Absent, number),
                ("message", ..) => {
                    payload.map_or(Argument::Absent, |bytes| Argument::Text(Cow::Borrowed(bytes)))
                }
                ("localip", _, Some(own)) => host(&own.text, local),
                ("localport", _, Some(own)) => number(own.port),
                (_, Written::Absent | Written::Field, _) => Argument::Absent,
                ("localip", Written::Text(text), None) => neutral(text, &[b"", b"0.0.0.0"]),
                ("localport", Written::Text(text), None) => neutral(text, &[b"0"]),
                (_, Written::Text(text), _) => Argument::Text(Cow::Borrowed(text)),
            });
        }
        arguments
    }
}

/// The text of an own end that the act does not use: only the spellings of "any".
fn neutral<'a>(text: &'a [u8], spellings: &[&[u8]]) -> Argument<'a> {
    if spellings.contains(&text) {
        Argument::Text(Cow::Borrowed(text))
    } else {
        Argument::Text(Cow::Borrowed(b"None"))
    }
}
