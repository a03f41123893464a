//! Which calls a run makes, for `repy-launch learn`: each kind once, told to
//! the supervisor with the reports of use.

use std::collections::HashSet;

use policies::channel::control::FromInterpreter;
use policies::channel::seen::{Known, SeenCall, MAXIMUM_ARGUMENT, MOST_CALLS};
use policies::Call;

use crate::heap::{Heap, Value};
use crate::host::{Channel, Host};

/// Most different calls that are kept: a program that makes more gets rules
/// without conditions anyway.
const MOST: usize = 1000;

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Recorder {
    seen: HashSet<(Call, Vec<Vec<u8>>)>,
    untold: Vec<SeenCall>,
}

/// The arguments that a rule for a call sensibly looks at: names, hosts, ports.
fn telling(call: Call) -> &'static [usize] {
    match call {
        Call::Open | Call::FileInit => &[0, 1],
        Call::RemoveFile | Call::GetHostByNameEx => &[0],
        Call::OpenConn => &[0, 1, 3],
        Call::SendMess => &[0, 1, 4],
        Call::RecvMess | Call::WaitForConn => &[1],
        _ => &[],
    }
}

impl Recorder {
    /// Notes a call.
    pub fn record(&mut self, heap: &Heap, call: Call, arguments: &[Value]) {
        let telling = telling(call);
        let text = |place: &usize| match arguments.get(*place) {
            None | Some(Value::Unset) => Vec::new(),
            Some(Value::Str(text)) => heap.bytes(*text).to_vec(),
            Some(other) => super::show::text_of(heap, *other),
        };
        let key: Vec<Vec<u8>> = telling.iter().map(text).collect();
        if self.seen.len() >= MOST || self.seen.contains(&(call, key.clone())) {
            return;
        }
        let arguments = arguments.iter().enumerate().map(|(place, argument)| {
            let at = telling.iter().position(|wanted| *wanted == place);
            match (argument, at.and_then(|at| key.get(at))) {
                (Value::Unset, _) => Known::Absent,
                (_, Some(text)) if text.len() <= MAXIMUM_ARGUMENT => Known::Text(text.clone()),
                _ => Known::Unknown,
            }
        });
        let arguments = arguments.collect();
        self.untold.push(SeenCall { call, line: 0, arguments, open: false, guess: false });
        self.seen.insert((call, key));
    }

    /// Tells the supervisor of what is new.
    pub fn tell(&mut self, host: &mut dyn Host) {
        for some in self.untold.chunks(MOST_CALLS) {
            // A supervisor that is gone cannot be told.
            let _sent = host.send_frame(Channel::Control, &FromInterpreter::Calls(some.to_vec()).encode());
        }
        self.untold.clear();
    }
}
