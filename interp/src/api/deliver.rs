//! What listeners have waiting becomes callbacks: connections and datagrams, as
//! long as events are free and the rate is paid for.

use std::net::SocketAddrV4;

use policies::PortKind;

use super::network::{adopt, Listener, Network};
use super::state::{drain_dropped, Api, Due, Role};
use crate::events::spawn;
use crate::heap::{Heap, Value};
use crate::host::SystemError;
use crate::meter::{Count, Rate};
use crate::vm::Vm;

/// Connections and datagrams handed to callbacks in one turn of a listener,
/// so that a flood on one leaves the others their turn.
const TURN: usize = 16;
/// The longest datagram, in bytes.
const DATAGRAM: usize = 65_536;
/// How soon a listener looks again where the kernel had no descriptor or no
/// memory for it, and the shortest time between two collections for its sake;
/// in nanoseconds.
const RELIEF: u64 = 100_000_000;
/// A collection for a visitor's sake takes at most one part in so many.
const RELIEF_SHARE: u64 = 20;

/// When garbage is collected because a visitor waits: the program may have
/// forgotten connections in cycles, which only that closes.
#[derive(Debug, Default)]
pub(super) struct Reclaim {
    /// A visitor waits.
    pub wanted: bool,
    /// Program code has run since it was done last.
    pub worth_it: bool,
    /// Not before this moment.
    pub earliest: u64,
}

impl Listener {
    /// The kernel gave nothing: because nothing waits there, or for want of
    /// something that nobody tells of when it is there again.
    fn missed(&mut self, error: SystemError, now: u64) -> Hindrance {
        self.ready = !error.would_block();
        if self.ready {
            Hindrance::Until(now.saturating_add(RELIEF))
        } else {
            Hindrance::Nothing
        }
    }
}

/// What stands in a listener's way.
enum Hindrance {
    /// Nothing is waiting in the kernel.
    Nothing,
    /// Until this moment: the rate is not paid for, or the kernel had nothing
    /// to give.
    Until(u64),
    /// No event is free, or too many accepted connections are alive.
    Full,
}

/// Gives every ready listener its turn: connections and datagrams become
/// callbacks, as long as events are free and the rate is paid for.
pub fn deliver(vm: &mut Vm) {
    let (api, _) = Api::of(vm);
    if !std::mem::take(&mut api.network.look_again) {
        return;
    }
    let mut next_moment = None;
    for index in 0..api.network.listeners.len() {
        for turn in 0..=TURN {
            let (api, _) = Api::of(vm);
            if turn == TURN {
                api.network.look_again = true;
                break;
            }
            match deliver_one(vm, index) {
                Ok(()) => {}
                Err(Hindrance::Until(moment)) => {
                    next_moment = Some(next_moment.unwrap_or(u64::MAX).min(moment));
                    break;
                }
                Err(Hindrance::Nothing | Hindrance::Full) => break,
            }
        }
    }
    if let Some(moment) = next_moment.filter(|moment| *moment < u64::MAX) {
        Api::of(vm).0.deadlines.add(moment, Due::Listeners);
    }
}

/// Notes that program code has run.
pub fn program_ran(network: &mut Network) {
    network.reclaim.worth_it = true;
}

/// When [`reclaim`] has something to do; none while no visitor waits.
pub fn reclaims_at(network: &Network) -> Option<u64> {
    let Reclaim { wanted, worth_it, earliest } = network.reclaim;
    (wanted && worth_it).then_some(earliest)
}

/// Closes connections that are forgotten in cycles, where a visitor waits for
/// one to be closed.
pub fn reclaim(vm: &mut Vm, now: u64) {
    let (api, _) = Api::of(vm);
    if reclaims_at(&api.network).is_none_or(|earliest| now < earliest) {
        return;
    }
    vm.heap.collect();
    drain_dropped(vm);
    let (api, _) = Api::of(vm);
    // A listener that is still full says so again.
    api.network.look_again();
    api.network.reclaim = Reclaim::default();
    let end = api.host.now();
    let pause = end.saturating_sub(now).saturating_mul(RELIEF_SHARE).max(RELIEF);
    api.network.reclaim.earliest = end.saturating_add(pause);
}

fn deliver_one(vm: &mut Vm, index: usize) -> Result<(), Hindrance> {
    let (api, heap) = Api::of(vm);
    let now = api.host.now();
    let Api { network, host, meters, counts_events, .. } = api;
    let Some(Some(listener)) = network.listeners.get_mut(index) else { return Err(Hindrance::Nothing) };
    if !listener.ready {
        return Err(Hindrance::Nothing);
    }
    if *counts_events && meters.is_full(Count::Events) {
        return Err(Hindrance::Full);
    }
    if listener.kind == PortKind::Connection && network.accepted_alive >= network.max_accepted {
        network.reclaim.wanted = true;
        return Err(Hindrance::Full);
    }
    let rate = if listener.loopback { Rate::LoopRecv } else { Rate::NetRecv };
    let free = meters.free_at(rate, now);
    if free > now {
        return Err(Hindrance::Until(free));
    }
    let arguments = match listener.kind {
        PortKind::Message => {
            if network.buffer.len() < DATAGRAM {
                network.buffer.resize(DATAGRAM, 0);
            }
            let buffer = network.buffer.get_mut(..DATAGRAM).unwrap_or_default();
            let (count, from) = match host.receive_from(listener.socket, buffer) {
                Ok(received) => received,
                // An error of an earlier send may be reported here: what lies
                // behind it is taken at the next look.
                Err(error) => return Err(listener.missed(error, now)),
            };
            let message = network.buffer.get(..count).unwrap_or_default();
            let message = heap.new_str(message);
            let handle = heap.share(listener.handle);
            let loopback = listener.loopback || network.is_loopback(*from.ip());
            let rate = if loopback { Rate::LoopRecv } else { Rate::NetRecv };
            let _paid_at = meters.after(rate, count as u64, now);
            if count == 0 {
                // Empty datagrams are dropped.
                heap.release(message);
                heap.release(handle);
                return Ok(());
            }
            [end_of(heap, from), [message, handle]].concat()
        }
        PortKind::Connection => {
            let (socket, from) = match host.accept(listener.socket) {
                Ok(accepted) => accepted,
                Err(error) => {
                    network.reclaim.wanted |= !error.would_block();
                    return Err(listener.missed(error, now));
                }
            };
            let listen_handle = heap.share(listener.handle);
            let loopback = network.is_loopback(*from.ip());
            network.accepted += 1;
            network.accepted_alive += 1;
            let mut arguments = end_of(heap, from).to_vec();
            // No program thread makes it: named after the main one, as the
            // original's selector names its handles.
            let (object, handle) = adopt(api, heap, Role::Main, socket, None, loopback);
            arguments.extend([object, handle, listen_handle]);
            arguments
        }
    };
    let (api, heap) = Api::of(vm);
    let Some(Some(listener)) = api.network.listeners.get(index) else { return Err(Hindrance::Nothing) };
    let function = heap.share(listener.function);
    if api.counts_events {
        // It was seen to be free above.
        let _taken = api.meters.take(Count::Events);
    }
    let number = api.next_thread_number();
    spawn(vm, function, arguments, Role::Callback(number));
    Ok(())
}

/// Address and port as values: owned.
fn end_of(heap: &mut Heap, end: SocketAddrV4) -> [Value; 2] {
    [heap.new_str(end.ip().to_string().as_bytes()), Value::Int(i64::from(end.port()))]
}
