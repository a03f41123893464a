//! The network calls: names, messages, connections.

use policies::address::parse_literal;
use policies::channel::network::{
    Failure as Refused, Host, Local, Reply, Request, Written, MAXIMUM_HOST, MAXIMUM_PAYLOAD,
};
use policies::{Argument, Call, PortKind};
use std::net::SocketAddrV4;

use super::misc::new_object;
use super::{integer, number};
use crate::api::bind::Bound;
use crate::api::error::{ApiError, Class};
use crate::api::network::{
    adopt, ask, close_connection, close_sender, refused, stop_listener, tell, written, Answer, Comm, Listener,
};
use crate::api::senders::Sender;
use crate::api::state::{drain_dropped, fail, gate, pay, permit, raise, Api, Due};
use crate::api::{copy::release_all, show};
use crate::heap::{Builtin, Heap, Raised, Value};
use crate::host::{SocketId, SystemError};
use crate::meter::{Count, Rate};
use crate::vm::native::{block, value, NativeReturn, Resume};
use crate::vm::Vm;

/// Bytes one `send` takes at most: the original's send buffer less one.
const LONGEST_SEND: usize = 19_999;
/// Bytes one `recv` gives at most; more never waits in the kernel's buffer.
const LONGEST_RECEIVE: usize = 256 * 1024;
/// What a name look-up is charged, to `netsend` and to `netrecv`.
const LOOKUP_BYTES: u64 = 4096;
/// Connection attempts without a timeout of their own, in seconds.
const PATIENCE: f64 = 5.0;

fn plain<T>(vm: &mut Vm, text: impl Into<Vec<u8>>) -> Result<T, Raised> {
    Err(raise(vm, &ApiError::new(Class::Exception, text)))
}

fn closed_text(vm: &mut Vm) -> NativeReturn {
    plain(vm, "Socket closed")
}

/// A port argument within `least..=65535`.
fn port(vm: &mut Vm, which: &str, given: Value, least: i64) -> Result<u16, Raised> {
    let number = integer(&vm.heap, given).filter(|number| *number >= least);
    match number.and_then(|number| u16::try_from(number).ok()) {
        Some(port) => Ok(port),
        None => plain(vm, format!("{which} port number must be an integer, between 1 and 65535.")),
    }
}

/// A host as the request carries it. A longer text names no host.
fn host(vm: &mut Vm, text: &[u8]) -> Result<Host, Raised> {
    if text.len() > MAXIMUM_HOST || text.contains(&0) {
        let error = ApiError::numbered(Class::AddressError, -2, "Name or service not known".to_owned());
        return Err(raise(vm, &error));
    }
    Ok(Host::Written(text.to_vec()))
}

/// Own address and port of `openconn` and `sendmess`: both or neither, and
/// the spellings of "any".
fn local(vm: &mut Vm, bound: &Bound, at: usize) -> Result<Option<Local>, Raised> {
    let (address, number) = (bound.get(at), bound.get(at + 1));
    let absent = |value: Value| value.is_unset() || value.is_none();
    if absent(address) != absent(number) {
        return plain(vm, "Localip and localport must be specified simultaneously.");
    }
    if absent(address) {
        return Ok(None);
    }
    let port = port(vm, "Local", number, 0)?;
    let text = bound.text(&vm.heap, at).to_vec();
    if text.len() > MAXIMUM_HOST {
        let text = String::from_utf8_lossy(&text).into_owned();
        return plain(vm, format!("IP '{text}' is not allowed."));
    }
    if port == 0 && (text.is_empty() || text == b"0.0.0.0") {
        return Ok(None);
    }
    Ok(Some(Local { text, port }))
}

/// Refuses an own port that the policy does not grant.
fn granted(vm: &mut Vm, kind: PortKind, port: u16) -> Result<(), Raised> {
    let (api, _) = Api::of(vm);
    let Some(ports) = &api.ports else { return Ok(()) };
    if port == 0 || ports.contains(&(kind == PortKind::Connection, port)) {
        return Ok(());
    }
    plain(vm, format!("Resource '{} {port}' not allowed!!!", kind.resource().name()))
}

/// Checks the rules, unless they compare resolved addresses: then the broker,
/// which knows them, decides alone.
fn permit_here(vm: &mut Vm, call: Call, bound: &Bound) -> Result<(), Raised> {
    let (api, _) = Api::of(vm);
    if api.policy.as_ref().is_some_and(|policy| policy.looks_at_address(call)) {
        return Ok(());
    }
    permit(vm, call, bound.written())
}

/// Raises what the broker refused; refusals by a rule are worded here.
fn raise_refused(vm: &mut Vm, call: Call, bound: &Bound, failure: &Refused) -> NativeReturn {
    if let Some(error) = refused(failure) {
        return Err(raise(vm, &error));
    }
    match failure {
        Refused::Refused { destination, local } => {
            let (api, heap) = Api::of(vm);
            let Some(policy) = &api.policy else { return plain(vm, "The broker refused the call.") };
            let names = call.facts().parameters;
            let texts: Vec<Argument<'_>> = bound
                .written()
                .iter()
                .enumerate()
                .map(|(place, argument)| {
                    let address = match names.get(place) {
                        Some(&"desthost") => *destination,
                        Some(&"localip") => *local,
                        _ => None,
                    };
                    match (argument, address) {
                        (Value::Unset, _) => Argument::Absent,
                        (Value::Str(text), Some(address)) => Argument::host(heap.bytes(*text), address),
                        (other, _) => Argument::Text(show::text_of(heap, *other).into()),
                    }
                })
                .collect();
            let given: Vec<Value> =
                bound.written().iter().copied().filter(|argument| !argument.is_unset()).collect();
            let given = String::from_utf8_lossy(&show::repr_of_tuple(heap, &given)).into_owned();
            let message = policy.refusal(call, &texts).message(&given);
            api.refusals += 1;
            plain(vm, message)
        }
        Refused::InUseHere(number) => {
            let handle = Api::of(vm).0.network.handle_of(*number);
            let text = format!(" Duplicate handle exists with name: {handle}");
            plain(vm, text)
        }
        _ => plain(vm, "The request was given up."),
    }
}

/// An answer of a kind that was not asked for: the broker is broken.
fn broken(vm: &mut Vm, socket: Option<SocketId>) -> NativeReturn {
    let (api, _) = Api::of(vm);
    if let Some(socket) = socket {
        api.host.close_socket(socket);
    }
    crate::api::state::end_run(vm, crate::api::error::Kill::BrokerLost)
}

// ---- names ----

/// `gethostbyname_ex(name)`
pub fn gethostbyname_ex(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::GetHostByNameEx, bound.written())?;
    gate(vm, Rate::NetSend, &[bound.get(0)], |vm, values| {
        gate(vm, Rate::NetRecv, values, |vm, values| {
            let Some(Value::Str(name)) = values.first() else { return value(Value::None) };
            let name = vm.heap.bytes(*name).to_vec();
            let Host::Written(name) = host(vm, &name)? else { return value(Value::None) };
            ask(vm, Request::Lookup { name }, values, looked_up)
        })
    })
}

fn looked_up(vm: &mut Vm, values: &[Value], (result, socket): Answer) -> NativeReturn {
    let thread = vm.current;
    let result = match result {
        Ok(Reply::HostEntry { name, aliases, addresses }) => {
            let heap = &mut vm.heap;
            let name = heap.new_str(&name);
            let aliases = aliases.into_iter().map(|alias| heap.new_str_from(alias)).collect();
            let addresses =
                addresses.iter().map(|address| heap.new_str(address.to_string().as_bytes())).collect();
            let parts = [name, heap.new_list(aliases), heap.new_list(addresses)];
            heap.new_tuple(&parts)
        }
        Ok(_) => return broken(vm, socket),
        Err(failure) => {
            let (api, _) = Api::of(vm);
            let now = api.host.now();
            // The question went out, whatever came of it.
            let _paid_at = api.meters.after(Rate::NetSend, LOOKUP_BYTES, now);
            let bound = Bound::from_all(&[&[Value::Unset], values].concat());
            return raise_refused(vm, Call::GetHostByNameEx, &bound, &failure);
        }
    };
    let (api, _) = Api::of(vm);
    let now = api.host.now();
    let sent = api.meters.after(Rate::NetSend, LOOKUP_BYTES, now);
    let received = api.meters.after(Rate::NetRecv, LOOKUP_BYTES, now);
    let free = sent.max(received);
    if free <= now {
        return value(result);
    }
    api.deadlines.add(free, Due::Wake(thread, result));
    block(None)
}

/// `getmyip()`
pub fn getmyip(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::GetMyIp, bound.written())?;
    ask(vm, Request::OwnAddress, &[], |vm, _, (result, socket)| match result {
        Ok(Reply::Address(address)) => value(vm.heap.new_str(address.to_string().as_bytes())),
        Ok(_) => broken(vm, socket),
        Err(failure) => raise_refused(vm, Call::GetMyIp, &Bound::from_all(&[]), &failure),
    })
}

// ---- messages ----

/// `sendmess(desthost, destport, message, localip=None, localport=None)`
pub fn sendmess(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    if let Some(sender) = connected_sender(vm, bound) {
        // Everything below was checked when the socket was handed out.
        return gate(vm, send_rate(sender.loopback), &bound.all(), send_to_literal);
    }
    let own = local(vm, bound, 3)?;
    port(vm, "Destination", bound.get(1), 1)?;
    permit_here(vm, Call::SendMess, bound)?;
    if let Some(own) = &own {
        granted(vm, PortKind::Message, own.port)?;
    }
    if bound.text(&vm.heap, 2).len() > MAXIMUM_PAYLOAD {
        return Err(too_long(vm));
    }
    let address = parse_literal(bound.text(&vm.heap, 0));
    match address {
        Some(address) => {
            let loopback = Api::of(vm).0.network.is_loopback(address);
            gate(vm, send_rate(loopback), &bound.all(), send_to_literal)
        }
        None => {
            let text = bound.text(&vm.heap, 0).to_vec();
            let Host::Written(host) = host(vm, &text)? else { return value(Value::None) };
            ask(vm, Request::Locate { host }, &bound.all(), located)
        }
    }
}

fn too_long(vm: &mut Vm) -> Raised {
    raise(vm, &ApiError::system(Class::SocketError, SystemError(libc::EMSGSIZE), None))
}

fn send_rate(loopback: bool) -> Rate {
    if loopback {
        Rate::LoopSend
    } else {
        Rate::NetSend
    }
}

/// The destination of a `sendmess` without an own end, as the program wrote it.
fn plain_destination<'h>(heap: &'h Heap, bound: &Bound) -> Option<(&'h [u8], u16)> {
    if bound.written().len() != 3 {
        return None;
    }
    let port = integer(heap, bound.get(1)).and_then(|port| u16::try_from(port).ok())?;
    Some((bound.text(heap, 0), port))
}

/// The socket that is connected to the destination of a `sendmess`, if there is
/// one.
fn connected_sender(vm: &mut Vm, bound: &Bound) -> Option<Sender> {
    let (api, heap) = Api::of(vm);
    let (host, port) = plain_destination(heap, bound)?;
    api.network.senders.towards(host, port)
}

/// The destination is an address: sent here by a socket that may, else by the
/// broker.
fn send_to_literal(vm: &mut Vm, all: &[Value]) -> NativeReturn {
    let bound = Bound::from_all(all);
    if let Some(sender) = connected_sender(vm, &bound) {
        return send_by(vm, all, sender.socket, None, sender.loopback);
    }
    let own = local(vm, &bound, 3)?;
    let (api, heap) = Api::of(vm);
    let destination = parse_literal(bound.text(heap, 0))
        .zip(integer(heap, bound.get(1)).and_then(|port| u16::try_from(port).ok()));
    let Some((address, port)) = destination else { return value(Value::None) };
    // What 0.0.0.0 means the broker knows.
    if api.network.free_datagrams && !address.is_unspecified() {
        let socket = match &own {
            None => api.network.senders.anywhere.map(|sender| sender.socket),
            Some(own) => api
                .network
                .find(PortKind::Message, &own.text, own.port)
                .and_then(|index| api.network.listeners.get(index)?.as_ref().map(|found| found.socket)),
        };
        if let Some(socket) = socket {
            let loopback = api.network.is_loopback(address);
            return send_by(vm, all, socket, Some(SocketAddrV4::new(address, port)), loopback);
        }
        if own.is_none() {
            let request = Request::Sender { host: None, local: None, written: Vec::new() };
            return ask(vm, request, all, got_sender);
        }
    } else if let Some(request) = wanted_sender(vm, &bound) {
        return ask(vm, request, all, got_connected_sender);
    }
    let host = host_of(vm, &bound)?;
    send_by_broker(vm, all, host)
}

/// Sends by a socket of this process.
fn send_by(
    vm: &mut Vm,
    all: &[Value],
    socket: SocketId,
    to: Option<SocketAddrV4>,
    loopback: bool,
) -> NativeReturn {
    let bound = Bound::from_all(all);
    let (api, heap) = Api::of(vm);
    let message = bound.text(heap, 2);
    // An error may be the other side's answer to an earlier message, which no
    // call waits for: then the second try is the first that says of this one.
    let sent_now = api.host.send_to(socket, message, to).or_else(|error| {
        if error.would_block() {
            return Err(error);
        }
        api.host.send_to(socket, message, to)
    });
    match sent_now {
        Ok(count) => sent(vm, count as u64, loopback),
        // The broker waits until there is room.
        Err(error) if error.would_block() => {
            let host = host_of(vm, &bound)?;
            send_by_broker(vm, all, host)
        }
        Err(error) => Err(raise(vm, &ApiError::system(Class::SocketError, error, None))),
    }
}

/// The request for a socket connected to the destination, where one is worth
/// it and the broker could grant it.
fn wanted_sender(vm: &mut Vm, bound: &Bound) -> Option<Request> {
    const MESSAGE: usize = 2;
    let (api, heap) = Api::of(vm);
    let (host, port) = plain_destination(heap, bound)?;
    let looked_at = api.policy.as_ref().is_some_and(|policy| policy.looks_at(Call::SendMess, MESSAGE));
    if looked_at || !api.network.senders.is_wanted(host, port) {
        return None;
    }
    let written = vec![Written::Field, Written::Field, Written::Text(Vec::new())];
    Some(Request::Sender { host: Some((Host::Written(host.to_vec()), port)), local: None, written })
}

/// A socket with what the reply says of it.
fn sender_of(reply: &Reply, socket: SocketId) -> Option<Sender> {
    match reply {
        Reply::Socket { socket: number, local: (_, own_port), loopback, .. } => {
            Some(Sender { socket, number: *number, own_port: *own_port, loopback: *loopback })
        }
        _ => None,
    }
}

fn got_sender(vm: &mut Vm, all: &[Value], (result, socket): Answer) -> NativeReturn {
    let (api, _) = Api::of(vm);
    match (&result, socket) {
        (Ok(reply), Some(socket)) => match sender_of(reply, socket) {
            // Another thread asked at the same time.
            Some(sender) if api.network.senders.anywhere.is_some() => close_sender(api, sender),
            Some(sender) => api.network.senders.anywhere = Some(sender),
            None => return broken(vm, Some(socket)),
        },
        // The broker thinks otherwise now: it sends itself.
        (Err(_), _) => api.network.free_datagrams = false,
        (Ok(_), socket) => return broken(vm, socket),
    }
    send_to_literal(vm, all)
}

fn got_connected_sender(vm: &mut Vm, all: &[Value], (result, socket): Answer) -> NativeReturn {
    let bound = Bound::from_all(all);
    let (api, heap) = Api::of(vm);
    let destination = plain_destination(heap, &bound);
    match (&result, socket, destination) {
        (Ok(reply), Some(socket), Some((host, port))) => match sender_of(reply, socket) {
            // Another thread asked at the same time.
            Some(sender) if api.network.senders.towards(host, port).is_some() => close_sender(api, sender),
            Some(sender) => {
                if let Some(old) = api.network.senders.add(host, port, sender) {
                    close_sender(api, old);
                }
            }
            None => return broken(vm, Some(socket)),
        },
        (Ok(_), socket, _) => return broken(vm, socket),
        // Refused, or not now: the broker says of the message itself what is
        // wrong with it, if anything is.
        (Err(_), ..) => {
            let host = host_of(vm, &bound)?;
            return send_by_broker(vm, all, host);
        }
    }
    send_to_literal(vm, all)
}

fn located(vm: &mut Vm, all: &[Value], (result, socket): Answer) -> NativeReturn {
    let bound = Bound::from_all(all);
    match result {
        Ok(Reply::Located { token, loopback, .. }) => {
            let rate = send_rate(loopback);
            let mut all = all.to_vec();
            all.push(Value::Int(i64::from(token)));
            gate(vm, rate, &all, |vm, all| {
                let token = match all.last() {
                    Some(Value::Int(token)) => u32::try_from(*token).unwrap_or(0),
                    _ => 0,
                };
                let all = all.get(..all.len().saturating_sub(1)).unwrap_or_default();
                send_by_broker(vm, all, Host::Located(token))
            })
        }
        Ok(_) => broken(vm, socket),
        Err(failure) => raise_refused(vm, Call::SendMess, &bound, &failure),
    }
}

fn send_by_broker(vm: &mut Vm, all: &[Value], host: Host) -> NativeReturn {
    let bound = Bound::from_all(all);
    let own = local(vm, &bound, 3)?;
    let port = port(vm, "Destination", bound.get(1), 1)?;
    let heap = &vm.heap;
    let fields: &[usize] = if own.is_some() { &[0, 1, 2, 3, 4] } else { &[0, 1, 2] };
    let request = Request::Send {
        host,
        port,
        payload: bound.text(heap, 2).to_vec(),
        written: written(heap, bound.written(), fields),
        local: own,
    };
    ask(vm, request, all, |vm, all, (result, socket)| match result {
        Ok(Reply::Sent { bytes, loopback }) => sent(vm, u64::from(bytes), loopback),
        Ok(_) => broken(vm, socket),
        // The broker forgot what the name stood for: it looks once more.
        Err(Refused::Forgotten) => {
            let bound = Bound::from_all(all);
            let host = host_of(vm, &bound)?;
            send_by_broker(vm, all, host)
        }
        Err(failure) => raise_refused(vm, Call::SendMess, &Bound::from_all(all), &failure),
    })
}

fn host_of(vm: &mut Vm, bound: &Bound) -> Result<Host, Raised> {
    let text = bound.text(&vm.heap, 0).to_vec();
    host(vm, &text)
}

fn sent(vm: &mut Vm, count: u64, loopback: bool) -> NativeReturn {
    pay(vm, send_rate(loopback), count, Value::Int(i64::try_from(count).unwrap_or(i64::MAX)))
}

/// `recvmess(localip, localport, function)`
pub fn recvmess(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    listen(vm, bound, Call::RecvMess, PortKind::Message)
}

/// `waitforconn(localip, localport, function)`
pub fn waitforconn(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    listen(vm, bound, Call::WaitForConn, PortKind::Connection)
}

fn listen(vm: &mut Vm, bound: &Bound, call: Call, kind: PortKind) -> NativeReturn {
    let text = bound.text(&vm.heap, 0).to_vec();
    if text.is_empty() || text == b"0.0.0.0" {
        return plain(vm, "Must specify a local IP address");
    }
    let port = port(vm, "Local", bound.get(1), 1)?;
    permit_here(vm, call, bound)?;
    granted(vm, kind, port)?;
    if text.len() > MAXIMUM_HOST {
        let text = String::from_utf8_lossy(&text).into_owned();
        return plain(vm, format!("IP '{text}' is not allowed."));
    }
    let (api, _) = Api::of(vm);
    if let Some(index) = api.network.find(kind, &text, port) {
        return replace(vm, index, bound.get(2));
    }
    // The first listener takes the selector's item.
    let first = api.network.listening() == 0 && api.network.opening == 0;
    if first {
        if let Err(failure) = api.take(Count::Events) {
            return fail(vm, failure);
        }
    }
    if let Err(failure) = api.take(Count::InSockets) {
        if first {
            api.give_back_event();
        }
        return fail(vm, failure);
    }
    api.network.opening += 1;
    if kind == PortKind::Message {
        // The kernel may have given a sending socket this very port.
        for sender in api.network.senders.leave(port) {
            close_sender(api, sender);
        }
    }
    let written = written(&vm.heap, bound.written(), &[0, 1]);
    let local = Local { text, port };
    let (request, then): (Request, crate::api::network::Then) = match kind {
        PortKind::Connection => (Request::Listen { local, written }, |vm, all, answer| {
            listening(vm, all, answer, Call::WaitForConn, PortKind::Connection)
        }),
        PortKind::Message => (Request::Receive { local, written }, |vm, all, answer| {
            listening(vm, all, answer, Call::RecvMess, PortKind::Message)
        }),
    };
    let asked = ask(vm, request, &bound.all(), then);
    if asked.is_err() {
        not_listening(vm);
    }
    asked
}

/// Gives back what a listener that did not come into being had taken.
fn not_listening(vm: &mut Vm) {
    let (api, _) = Api::of(vm);
    api.network.opening = api.network.opening.saturating_sub(1);
    api.meters.give_back(Count::InSockets);
    if api.network.listening() == 0 && api.network.opening == 0 {
        api.give_back_event();
    }
}

fn listening(vm: &mut Vm, all: &[Value], answer: Answer, call: Call, kind: PortKind) -> NativeReturn {
    let bound = Bound::from_all(all);
    let thread = vm.current;
    match answer {
        (Ok(Reply::Socket { socket: number, loopback, .. }), Some(socket)) => {
            let (api, heap) = Api::of(vm);
            if let Err(error) = api.host.watch(socket) {
                api.host.close_socket(socket);
                tell(api, Request::Close { socket: number });
                not_listening(vm);
                return Err(raise(vm, &ApiError::system(Class::SocketError, error, None)));
            }
            let role = api.role(thread);
            let label = api.next_handle("_COMMH:", role);
            let id = api.network.next_id();
            let handle = new_object(heap, Builtin::ApiCommHandle, id, &label);
            let port = integer(heap, bound.get(1)).and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
            let key = (bound.text(heap, 0).to_vec(), port);
            let function = heap.share(bound.get(2));
            let kept = heap.share(handle);
            api.network.opening = api.network.opening.saturating_sub(1);
            api.network.add_listener(Listener::new(
                kind,
                socket,
                number,
                key,
                function,
                (kept, id),
                loopback,
            ));
            value(handle)
        }
        (Ok(_), socket) => broken(vm, socket),
        (Err(failure), _) => {
            not_listening(vm);
            raise_refused(vm, call, &bound, &failure)
        }
    }
}

/// The same address and port again: another function, another handle.
fn replace(vm: &mut Vm, index: usize, function: Value) -> NativeReturn {
    let thread = vm.current;
    let (api, heap) = Api::of(vm);
    let role = api.role(thread);
    let label = api.next_handle("_COMMH:", role);
    let id = api.network.next_id();
    let handle = new_object(heap, Builtin::ApiCommHandle, id, &label);
    let function = heap.share(function);
    let kept = heap.share(handle);
    if let Some(Some(listener)) = api.network.listeners.get_mut(index) {
        let old = (
            std::mem::replace(&mut listener.function, function),
            std::mem::replace(&mut listener.handle, kept),
            std::mem::replace(&mut listener.id, id),
        );
        api.network.comms.remove(&old.2);
        api.network.comms.insert(id, Comm::Listener(index));
        heap.release(old.0);
        heap.release(old.1);
    }
    value(handle)
}

/// `stopcomm(commhandle)`
pub fn stopcomm(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    let Value::Api(handle) = bound.get(0) else { return value(Value::bool(false)) };
    let (api, heap) = Api::of(vm);
    let id = heap.apis[handle].id;
    let Some(comm) = api.network.comms.get(&id).copied() else { return value(Value::bool(false)) };
    permit(vm, Call::StopComm, bound.written())?;
    match comm {
        Comm::Connection(id) => {
            let closed = close_connection(vm, id);
            value(Value::bool(closed))
        }
        Comm::Listener(index) => {
            let Some(number) = stop_listener(vm, index) else { return value(Value::bool(false)) };
            // It returns when the port can be bound again.
            ask(vm, Request::Close { socket: number }, &[], |_, _, _| value(Value::bool(true)))
        }
    }
}

// ---- connections ----

/// `openconn(desthost, destport, localip=None, localport=None, timeout=None)`
pub fn openconn(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    let own = local(vm, bound, 2)?;
    let port = port(vm, "Destination", bound.get(1), 1)?;
    let timeout = match bound.get(4) {
        Value::Unset | Value::None => PATIENCE,
        given => number(&vm.heap, given),
    };
    // NaN is not greater than 0 either.
    if !timeout.gt(&0.0) {
        return plain(vm, "Timeout parameter must be a numeric value greater than 0.");
    }
    permit_here(vm, Call::OpenConn, bound)?;
    if let Some(own) = &own {
        granted(vm, PortKind::Connection, own.port)?;
    }
    let host = host_of(vm, bound)?;
    if Api::of(vm).0.meters.is_full(Count::OutSockets) {
        // Sockets that are forgotten in cycles are closed by this.
        vm.heap.collect();
        drain_dropped(vm);
    }
    let (api, heap) = Api::of(vm);
    if let Err(failure) = api.take(Count::OutSockets) {
        return fail(vm, failure);
    }
    let fields: &[usize] = if own.is_some() { &[0, 1, 2, 3] } else { &[0, 1] };
    let request = Request::Connect {
        host,
        port,
        local: own,
        timeout_ns: (timeout * 1e9) as u64,
        written: written(heap, bound.written(), fields),
    };
    let asked = ask(vm, request, &bound.all(), connected);
    if asked.is_err() {
        Api::of(vm).0.meters.give_back(Count::OutSockets);
    }
    asked
}

fn connected(vm: &mut Vm, all: &[Value], answer: Answer) -> NativeReturn {
    let thread = vm.current;
    match answer {
        (Ok(Reply::Socket { socket: number, loopback, .. }), Some(socket)) => {
            let (api, heap) = Api::of(vm);
            let role = api.role(thread);
            let (object, handle) = adopt(api, heap, role, socket, Some(number), loopback);
            heap.release(handle);
            value(object)
        }
        (Ok(_), socket) => broken(vm, socket),
        (Err(failure), _) => {
            Api::of(vm).0.meters.give_back(Count::OutSockets);
            raise_refused(vm, Call::OpenConn, &Bound::from_all(all), &failure)
        }
    }
}

/// The open connection of a socket object: its descriptor and whether it is
/// loopback traffic.
fn open_connection(vm: &mut Vm, object: Value) -> Option<(u64, SocketId, bool)> {
    let (api, heap) = Api::of(vm);
    let Value::Api(api_object) = object else { return None };
    let id = heap.apis[api_object].id;
    let connection = api.network.connections.get(&id)?;
    Some((id, connection.socket?, connection.loopback))
}

/// Whether an error means that the other side is gone.
fn peer_is_gone(error: SystemError) -> bool {
    matches!(error.0, libc::EPIPE | libc::ECONNRESET | libc::ESHUTDOWN | libc::ENOTCONN | libc::EBADF)
}

/// Which change a thread waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Reading,
    Writing,
}

/// Waits for a change of a connection, then does `again`. Borrows `values`.
fn wait_for(vm: &mut Vm, id: u64, side: Side, values: &[Value], again: Again) -> NativeReturn {
    let thread = vm.current;
    let values: Vec<Value> = values.iter().map(|held| vm.heap.share(*held)).collect();
    if let Err(raised) = stand_in_line(vm, id, side, thread) {
        release_all(&mut vm.heap, &values);
        return Err(raised);
    }
    block(Some(Box::new(OnSocket { values, again })))
}

fn stand_in_line(vm: &mut Vm, id: u64, side: Side, thread: crate::vm::ThreadId) -> Result<(), Raised> {
    let (api, _) = Api::of(vm);
    let Some(connection) = api.network.connections.get_mut(&id) else { return Ok(()) };
    if let (false, Some(socket)) = (connection.watched, connection.socket) {
        // Registering tells of what is ready already: nothing is missed.
        if let Err(error) = api.host.watch(socket) {
            return Err(raise(vm, &ApiError::system(Class::SocketError, error, None)));
        }
        connection.watched = true;
    }
    match side {
        Side::Reading => connection.readers.push_back(thread),
        Side::Writing => connection.writers.push_back(thread),
    }
    Ok(())
}

/// What a thread does when its socket has changed.
type Again = fn(&mut Vm, &[Value]) -> NativeReturn;

struct OnSocket {
    values: Vec<Value>,
    again: Again,
}

impl Resume for OnSocket {
    fn resume(self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        vm.heap.release(result);
        let outcome = (self.again)(vm, &self.values);
        release_all(&mut vm.heap, &self.values);
        outcome
    }

    fn abandon(self: Box<Self>, vm: &mut Vm) {
        release_all(&mut vm.heap, &self.values);
    }

    fn held(&self, visit: &mut dyn FnMut(Value)) {
        self.values.iter().for_each(|held| visit(*held));
    }
}

/// `socket.send(message)`
pub fn send(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::SocketSend, bound.written())?;
    let Some((_, _, loopback)) = open_connection(vm, bound.object) else {
        return plain(vm, "Socket closed!");
    };
    gate(vm, send_rate(loopback), &[bound.object, bound.get(0)], send_now)
}

fn send_now(vm: &mut Vm, values: &[Value]) -> NativeReturn {
    let [object, message] = *values else { return value(Value::None) };
    let Some((id, socket, loopback)) = open_connection(vm, object) else { return closed_text(vm) };
    let (api, heap) = Api::of(vm);
    let Value::Str(message) = message else { return value(Value::None) };
    let bytes = heap.bytes(message);
    let bytes = bytes.get(..LONGEST_SEND).unwrap_or(bytes);
    match api.host.send(socket, bytes) {
        Ok(count) => sent(vm, count as u64, loopback),
        Err(error) if error.would_block() => wait_for(vm, id, Side::Writing, values, send_now),
        Err(error) if peer_is_gone(error) => closed_text(vm),
        Err(error) => Err(raise(vm, &ApiError::system(Class::SocketError, error, None))),
    }
}

/// `socket.recv(bytes)`
pub fn recv(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::SocketRecv, bound.written())?;
    if number(&vm.heap, bound.get(0)) < 0.0 {
        let text = "negative buffersize in recv";
        return Err(raise(vm, &ApiError::new(Class::ValueError, text)));
    }
    let Some((_, _, loopback)) = open_connection(vm, bound.object) else { return closed_text(vm) };
    let rate = if loopback { Rate::LoopRecv } else { Rate::NetRecv };
    gate(vm, rate, &[bound.object, bound.get(0)], receive_now)
}

fn receive_now(vm: &mut Vm, values: &[Value]) -> NativeReturn {
    let [object, wanted] = *values else { return value(Value::None) };
    let Some((id, socket, loopback)) = open_connection(vm, object) else { return closed_text(vm) };
    let (api, heap) = Api::of(vm);
    let wanted = integer(heap, wanted).and_then(|wanted| usize::try_from(wanted).ok());
    let wanted = wanted.unwrap_or(LONGEST_RECEIVE).min(LONGEST_RECEIVE);
    if wanted == 0 {
        return closed_text(vm);
    }
    let mut buffer = api.network.take_buffer(wanted);
    let received = api.host.receive(socket, buffer.get_mut(..wanted).unwrap_or_default());
    let outcome = match received {
        Ok(0) => closed_text(vm),
        Ok(count) => {
            let text = vm.heap.new_str(buffer.get(..count).unwrap_or_default());
            let rate = if loopback { Rate::LoopRecv } else { Rate::NetRecv };
            pay(vm, rate, count as u64, text)
        }
        Err(error) if error.would_block() => wait_for(vm, id, Side::Reading, values, receive_now),
        Err(error) if peer_is_gone(error) => closed_text(vm),
        Err(error) => Err(raise(vm, &ApiError::system(Class::SocketError, error, None))),
    };
    Api::of(vm).0.network.give_buffer(buffer);
    outcome
}

/// `socket.close()`
pub fn close(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::SocketClose, bound.written())?;
    let id = bound.object_id(&vm.heap);
    let closed = close_connection(vm, id);
    value(Value::bool(closed))
}

/// `socket.willblock()`
pub fn willblock(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    let Some((_, socket, _)) = open_connection(vm, bound.object) else { return closed_text(vm) };
    let (api, _) = Api::of(vm);
    let receive_blocks = match api.host.peek(socket) {
        Ok(0) => return closed_text(vm),
        Ok(_) => false,
        Err(error) if error.would_block() => true,
        Err(error) if peer_is_gone(error) => return closed_text(vm),
        Err(error) => return Err(raise(vm, &ApiError::system(Class::SocketError, error, None))),
    };
    let send_blocks = !api.host.readiness(socket).is_ok_and(|(_, writable)| writable);
    let both = [Value::bool(receive_blocks), Value::bool(send_blocks)];
    value(vm.heap.new_tuple(&both))
}
