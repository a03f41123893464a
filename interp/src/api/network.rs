//! The interpreter's side of the network: listeners, connections, and requests
//! to the broker, which makes every socket and decides on every address.

use std::collections::{HashMap, VecDeque};
use std::net::Ipv4Addr;

use policies::channel::network::{Failure as Refused, Reply, ReplyFrame, Request, RequestFrame, Written};
use policies::PortKind;

use super::calls::misc::new_object;
use super::deliver::Reclaim;
use super::error::{ApiError, Class, Failure, Kill};
use super::senders::{Sender, Senders};
use super::state::{end_run, fail, Api, Role};
use crate::events::wake;
use crate::heap::{Builtin, Heap, Value};
use crate::host::{Channel, SocketId, SystemError};
use crate::meter::Count;
use crate::vm::native::{block, NativeReturn, Resume};
use crate::vm::{ThreadId, Vm};

/// A live handle of `waitforconn` or `recvmess`.
#[derive(Debug)]
pub struct Listener {
    /// TCP or UDP.
    pub kind: PortKind,
    /// The descriptor.
    pub socket: SocketId,
    /// The broker's number.
    pub number: u32,
    /// The address as the program wrote it, and the port.
    pub key: (Vec<u8>, u16),
    /// What is called: owned.
    pub function: Value,
    /// The comm handle: owned.
    pub handle: Value,
    /// Identity of that handle.
    pub id: u64,
    /// Whether what it receives is loopback traffic whatever the source.
    pub loopback: bool,
    /// Whether something may be waiting in the kernel.
    pub(super) ready: bool,
}

/// A TCP connection the program has a socket of.
#[derive(Debug)]
pub struct Connection {
    /// The descriptor; `None` once closed.
    pub socket: Option<SocketId>,
    /// The broker's number, for those of `openconn`.
    pub number: Option<u32>,
    /// Identity of its comm handle.
    comm: u64,
    /// The text of that handle.
    label: Box<str>,
    /// Whether its traffic is loopback traffic.
    pub loopback: bool,
    /// Threads that wait to receive, in order.
    pub readers: VecDeque<ThreadId>,
    /// Threads that wait to send, in order.
    pub writers: VecDeque<ThreadId>,
    /// Whether the kernel already tells of changes.
    pub watched: bool,
}

/// What a comm handle stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comm {
    /// A listener, by its index.
    Listener(usize),
    /// A connection, by the identity of its socket object.
    Connection(u64),
}

/// See the module.
#[derive(Debug)]
pub struct Network {
    /// Listeners; a stopped one leaves its place to the next.
    pub listeners: Vec<Option<Listener>>,
    /// Connections by the identity of their socket object.
    pub connections: HashMap<u64, Connection>,
    /// What live comm handles stand for.
    pub comms: HashMap<u64, Comm>,
    /// Listeners the broker has been asked for.
    pub opening: usize,
    /// Connections accepted so far.
    pub accepted: u64,
    pub(super) accepted_alive: u32,
    pub(super) max_accepted: u32,
    by_socket: HashMap<SocketId, Comm>,
    asked: HashMap<u32, Asked>,
    last_request: u32,
    last_id: u64,
    facts_asked: bool,
    /// Networks of the loopback interface.
    loopback: Vec<(Ipv4Addr, u8)>,
    /// Whether the broker gives sockets that send anywhere.
    pub free_datagrams: bool,
    /// Sockets that only send.
    pub senders: Senders,
    pub(super) buffer: Vec<u8>,
    pub(super) look_again: bool,
    /// Where visitors wait for a connection to be closed.
    pub(super) reclaim: Reclaim,
}

/// A request under way.
#[derive(Debug)]
enum Asked {
    /// Nobody waits for the answer.
    Nobody,
    /// A thread does.
    Thread(ThreadId),
    /// The answer has come and is about to be taken.
    Answered(Box<Answer>),
}

/// What came of a request, with the socket that came along.
pub type Answer = (Result<Reply, Refused>, Option<SocketId>);

impl Network {
    /// Nothing yet.
    pub fn new(max_accepted: u32) -> Network {
        Network {
            listeners: Vec::new(),
            connections: HashMap::new(),
            comms: HashMap::new(),
            opening: 0,
            accepted: 0,
            accepted_alive: 0,
            max_accepted,
            by_socket: HashMap::new(),
            asked: HashMap::new(),
            last_request: 0,
            last_id: 0,
            facts_asked: false,
            loopback: vec![(Ipv4Addr::new(127, 0, 0, 0), 8)],
            free_datagrams: false,
            senders: Senders::default(),
            buffer: Vec::new(),
            look_again: false,
            reclaim: Reclaim::default(),
        }
    }

    /// A new identity for a handle or socket object.
    pub fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Number of live listeners.
    pub fn listening(&self) -> usize {
        self.listeners.iter().flatten().count()
    }

    /// Whether traffic to or from an address is loopback traffic.
    pub fn is_loopback(&self, address: Ipv4Addr) -> bool {
        self.loopback.iter().any(|(network, prefix)| {
            let mask = u32::MAX.checked_shl(32 - u32::from(*prefix)).unwrap_or(0);
            u32::from(address) & mask == u32::from(*network) & mask
        })
    }

    /// The listener of a kind on exactly this address and port.
    pub fn find(&self, kind: PortKind, address: &[u8], port: u16) -> Option<usize> {
        self.listeners.iter().position(|listener| {
            listener.as_ref().is_some_and(|listener| {
                listener.kind == kind && listener.key.1 == port && listener.key.0 == address
            })
        })
    }

    /// Adds a listener and returns its index.
    pub fn add_listener(&mut self, listener: Listener) -> usize {
        let (id, socket) = (listener.id, listener.socket);
        let index = match self.listeners.iter().position(Option::is_none) {
            Some(index) => index,
            None => {
                self.listeners.push(None);
                self.listeners.len() - 1
            }
        };
        self.listeners[index] = Some(listener);
        self.comms.insert(id, Comm::Listener(index));
        self.by_socket.insert(socket, Comm::Listener(index));
        self.look_again = true;
        index
    }

    /// Listeners look for work at the next turn.
    pub fn look_again(&mut self) {
        self.look_again = true;
    }

    /// Whether listeners have something to look at right now.
    pub fn wants_turn(&self) -> bool {
        self.look_again
    }

    /// A buffer of at least this size, to be given back.
    pub fn take_buffer(&mut self, size: usize) -> Vec<u8> {
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        buffer
    }

    /// Takes the buffer back.
    pub fn give_buffer(&mut self, buffer: Vec<u8>) {
        self.buffer = buffer;
    }

    /// The text of the handle of the connection with this number of the
    /// broker; empty if there is none.
    pub fn handle_of(&self, number: u32) -> &str {
        let comm = self.connections.values().find(|connection| connection.number == Some(number));
        comm.map_or("", |connection| &*connection.label)
    }

    /// Every value owned here.
    pub fn held(&self, visit: &mut dyn FnMut(Value)) {
        for listener in self.listeners.iter().flatten() {
            visit(listener.function);
            visit(listener.handle);
        }
    }
}

impl Listener {
    /// A listener that has just been made.
    pub fn new(
        kind: PortKind,
        socket: SocketId,
        number: u32,
        key: (Vec<u8>, u16),
        function: Value,
        handle: (Value, u64),
        loopback: bool,
    ) -> Listener {
        let (handle, id) = handle;
        Listener { kind, socket, number, key, function, handle, id, loopback, ready: true }
    }
}

/// An argument as the broker's rules see it: held by a field of the request,
/// as text, or not given.
pub fn written(heap: &Heap, values: &[Value], fields: &[usize]) -> Vec<Written> {
    let longest = policies::channel::network::MAXIMUM_WRITTEN;
    values
        .iter()
        .enumerate()
        .map(|(place, value)| match value {
            Value::Unset => Written::Absent,
            _ if fields.contains(&place) => Written::Field,
            other => {
                let mut text = super::show::text_of(heap, *other);
                text.truncate(longest);
                Written::Text(text)
            }
        })
        .collect()
}

/// What goes on when the broker has answered.
pub type Then = fn(&mut Vm, &[Value], Answer) -> NativeReturn;

/// Asks the broker and goes on with `then` when the answer is there. Borrows
/// `values`.
pub fn ask(vm: &mut Vm, request: Request, values: &[Value], then: Then) -> NativeReturn {
    let thread = vm.current;
    let (api, heap) = Api::of(vm);
    if !api.host.has_network() {
        let text = "The network is not there: this run was started by hand, without a broker.";
        return fail(vm, Failure::Raise(ApiError::new(Class::Exception, text)));
    }
    match send(api, request, Asked::Thread(thread)) {
        Ok(Some(id)) => {
            let values = values.iter().map(|value| heap.share(*value)).collect();
            block(Some(Box::new(Waiting { id, values, then })))
        }
        // A field too long for a frame: no host has such a name, no datagram
        // that size exists. The calls check both before; nothing else is left.
        Ok(None) => {
            let text = "An argument is too long.";
            fail(vm, Failure::Raise(ApiError::new(Class::Exception, text)))
        }
        Err(kill) => end_run(vm, kill),
    }
}

/// Sends a request; `None` if it cannot be put into a frame.
fn send(api: &mut Api, request: Request, asked: Asked) -> Result<Option<u32>, Kill> {
    let network = &mut api.network;
    if !network.facts_asked {
        network.facts_asked = true;
        send(api, Request::Facts, Asked::Nobody)?;
    }
    let network = &mut api.network;
    network.last_request = network.last_request.wrapping_add(1);
    let id = network.last_request;
    let Ok(bytes) = (RequestFrame { id, request }).encode() else { return Ok(None) };
    network.asked.insert(id, asked);
    api.host.send_frame(Channel::Network, &bytes).map_err(|_| Kill::BrokerLost)?;
    Ok(Some(id))
}

/// Asks for something whose answer nobody waits for.
pub fn tell(api: &mut Api, request: Request) {
    // A broker that is gone is noticed at the next receive.
    if api.host.has_network() && send(api, request, Asked::Nobody).is_err() {
        api.end.get_or_insert(Kill::BrokerLost);
    }
}

/// Closes a socket that sends, here and at the broker.
pub fn close_sender(api: &mut Api, sender: Sender) {
    api.host.close_socket(sender.socket);
    tell(api, Request::Close { socket: sender.number });
}

/// A thread that waits for the broker.
struct Waiting {
    id: u32,
    values: Vec<Value>,
    then: Then,
}

impl Resume for Waiting {
    fn resume(self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        vm.heap.release(result);
        let (api, _) = Api::of(vm);
        let answer = match api.network.asked.remove(&self.id) {
            Some(Asked::Answered(answer)) => *answer,
            // Only the answer wakes this thread.
            _ => (Err(Refused::Cancelled), None),
        };
        let outcome = (self.then)(vm, &self.values, answer);
        super::copy::release_all(&mut vm.heap, &self.values);
        outcome
    }

    fn abandon(self: Box<Self>, vm: &mut Vm) {
        super::copy::release_all(&mut vm.heap, &self.values);
        let (api, _) = Api::of(vm);
        if let Some(asked) = api.network.asked.get_mut(&self.id) {
            *asked = Asked::Nobody;
            tell(api, Request::Cancel { request: self.id });
        }
    }

    fn held(&self, visit: &mut dyn FnMut(Value)) {
        self.values.iter().for_each(|held| visit(*held));
    }
}

/// Takes the broker's answers.
pub fn take_answers(vm: &mut Vm) {
    loop {
        let (api, _) = Api::of(vm);
        let frame = match api.host.receive_frame(Channel::Network) {
            Ok(frame) => frame,
            Err(error) if error.would_block() => return,
            Err(_) => {
                api.end.get_or_insert(Kill::BrokerLost);
                return;
            }
        };
        let Ok(ReplyFrame { id, result }) = ReplyFrame::decode(&frame.bytes) else {
            api.end.get_or_insert(Kill::BrokerLost);
            return;
        };
        let result = arrived(api, result, frame.socket.is_some());
        if let Ok(Reply::Facts { loopback, free_datagrams }) = &result {
            api.network.loopback.extend(loopback.iter().copied());
            api.network.free_datagrams = *free_datagrams;
        }
        match api.network.asked.remove(&id) {
            Some(Asked::Thread(thread)) => {
                let answer = Asked::Answered(Box::new((result, frame.socket)));
                api.network.asked.insert(id, answer);
                wake(vm, thread, Value::None);
            }
            // Nobody wants it: what came along is closed on both sides.
            _ => {
                if let Some(socket) = frame.socket {
                    api.host.close_socket(socket);
                }
                if let Ok(Reply::Socket { socket, .. }) = result {
                    tell(api, Request::Close { socket });
                }
            }
        }
    }
}

/// An answer as it came: where this process has no descriptor left, the kernel
/// drops the socket on the way.
fn arrived(api: &mut Api, result: Result<Reply, Refused>, with_socket: bool) -> Result<Reply, Refused> {
    match result {
        Ok(Reply::Socket { socket, .. }) if !with_socket => {
            tell(api, Request::Close { socket });
            let error = SystemError(libc::EMFILE);
            Err(Refused::System { errno: error.0, text: error.text().to_owned() })
        }
        other => other,
    }
}

/// The exception for what the broker refused; `None` for refusals that need
/// the call's arguments.
pub fn refused(failure: &Refused) -> Option<ApiError> {
    use policies::channel::network::ExceptionClass;
    let (class, number, text) = failure.exception()?;
    Some(match class {
        ExceptionClass::Exception => ApiError::new(Class::Exception, text),
        ExceptionClass::SocketError => ApiError::numbered(Class::SocketError, number, text),
        ExceptionClass::GaiError => ApiError::numbered(Class::AddressError, number, text),
    })
}

/// A socket became ready.
pub fn socket_ready(vm: &mut Vm, socket: SocketId, readable: bool, writable: bool) {
    let (api, _) = Api::of(vm);
    match api.network.by_socket.get(&socket) {
        Some(Comm::Listener(index)) => {
            if let Some(Some(listener)) = api.network.listeners.get_mut(*index) {
                listener.ready |= readable;
                api.network.look_again = true;
            }
        }
        Some(Comm::Connection(id)) => {
            let id = *id;
            let Some(connection) = api.network.connections.get_mut(&id) else { return };
            // All of a kind look again; the first to find nothing waits anew.
            let mut woken = VecDeque::new();
            if readable {
                woken.append(&mut connection.readers);
            }
            if writable {
                woken.append(&mut connection.writers);
            }
            for thread in woken {
                wake(vm, thread, Value::None);
            }
        }
        None => {}
    }
}

/// Makes the socket object and its comm handle for a connected socket: both
/// owned.
pub fn adopt(
    api: &mut Api,
    heap: &mut Heap,
    role: Role,
    socket: SocketId,
    number: Option<u32>,
    loopback: bool,
) -> (Value, Value) {
    let label = api.next_handle("_COMMH:", role);
    let id = api.network.next_id();
    let object = new_object(heap, Builtin::ApiSocket, id, &label);
    let handle_id = api.network.next_id();
    let handle = new_object(heap, Builtin::ApiCommHandle, handle_id, &label);
    api.network.comms.insert(handle_id, Comm::Connection(id));
    api.network.by_socket.insert(socket, Comm::Connection(id));
    api.network.connections.insert(
        id,
        Connection {
            socket: Some(socket),
            number,
            comm: handle_id,
            label: label.into(),
            loopback,
            readers: VecDeque::new(),
            writers: VecDeque::new(),
            watched: false,
        },
    );
    (object, handle)
}

/// Closes a connection: true the first time. Threads that wait on it look
/// again and find it closed.
pub fn close_connection(vm: &mut Vm, id: u64) -> bool {
    let (api, _) = Api::of(vm);
    let Some(connection) = api.network.connections.get_mut(&id) else { return false };
    let Some(socket) = connection.socket.take() else { return false };
    let number = connection.number;
    let mut woken = std::mem::take(&mut connection.readers);
    woken.append(&mut connection.writers);
    api.network.by_socket.remove(&socket);
    api.host.close_socket(socket);
    match number {
        Some(number) => {
            api.meters.give_back(Count::OutSockets);
            tell(api, Request::Close { socket: number });
        }
        None => {
            api.network.accepted_alive = api.network.accepted_alive.saturating_sub(1);
            api.network.look_again = true;
        }
    }
    for thread in woken {
        wake(vm, thread, Value::None);
    }
    true
}

/// The program no longer refers to a socket object.
pub fn forget_socket(vm: &mut Vm, id: u64) {
    close_connection(vm, id);
    let (api, _) = Api::of(vm);
    if let Some(connection) = api.network.connections.remove(&id) {
        api.network.comms.remove(&connection.comm);
    }
}

/// Takes a listener out and closes its descriptor; the broker still has to be
/// told. Returns the broker's number.
pub fn stop_listener(vm: &mut Vm, index: usize) -> Option<u32> {
    let (api, heap) = Api::of(vm);
    let listener = api.network.listeners.get_mut(index)?.take()?;
    api.network.by_socket.remove(&listener.socket);
    api.network.comms.remove(&listener.id);
    api.host.close_socket(listener.socket);
    api.meters.give_back(Count::InSockets);
    if api.network.listening() == 0 {
        api.give_back_event();
    }
    heap.release(listener.function);
    heap.release(listener.handle);
    Some(listener.number)
}
