//! Operations on large strings and lists, done a piece at a time with a check point after each, so that timers and other
//! events go on meanwhile. Small ones never come here.
use super::kernel::search;
use super::support::{as_str, fail, release_all, substring};
use crate::heap::{Builtin, List, Outcome, Str, Value};
use crate::vm::native::{pause, value, NativeReturn, Resume};
use crate::vm::Vm;

/// Bytes handled in one step: at worst some three milliseconds, for a search that has to compare much.
pub const BYTES: usize = 1 << 20;
/// Items handled in one step.
pub const ITEMS: usize = 64 << 10;
/// Fuel a step costs: more than a thread's turn, so that others get theirs.
pub const STEP_COST: usize = 200_000;

/// Whether an operation on so many bytes is worth doing in steps.
pub fn is_large(bytes: usize) -> bool {
    bytes > 2 * BYTES
}

/// Work in steps.
pub trait Stepwise {
    /// One step; the result (owned) when it was the last.
    fn step(&mut self, vm: &mut Vm) -> Outcome<Option<Value>>;
    /// Calls `visit` for every share the state holds.
    fn owned(&self, visit: &mut dyn FnMut(Value));
}

/// [`Stepwise`] as the machine resumes it.
struct Stepper<S>(S);

impl<S: Stepwise + 'static> Resume for Stepper<S> {
    fn resume(mut self: Box<Self>, vm: &mut Vm, _: Value) -> NativeReturn {
        match self.0.step(vm) {
            Ok(Some(result)) => {
                self.abandon(vm);
                value(result)
            }
            Ok(None) => {
                vm.spend(STEP_COST);
                pause(self)
            }
            Err(raised) => {
                self.abandon(vm);
                Err(raised)
            }
        }
    }
    fn abandon(self: Box<Self>, vm: &mut Vm) {
        let mut all = Vec::new();
        self.0.owned(&mut |share| all.push(share));
        release_all(&mut vm.heap, all);
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        self.0.owned(visit);
    }
}

/// Nothing but a check point: others get their turn.
pub struct Turn;

impl Resume for Turn {
    fn resume(self: Box<Self>, _: &mut Vm, _: Value) -> NativeReturn {
        value(Value::None)
    }
    fn abandon(self: Box<Self>, _: &mut Vm) {}
    fn held(&self, _: &mut dyn FnMut(Value)) {}
}

/// Starts work in steps. The state owns its shares.
pub fn start<S: Stepwise + 'static>(vm: &mut Vm, state: S) -> NativeReturn {
    Box::new(Stepper(state)).resume(vm, Value::None)
}

/// What a search gives.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// `find`: -1 for none.
    First,
    /// `rfind`: -1 for none.
    Last,
    /// `index`: ValueError for none.
    FirstOrError,
    /// `rindex`: ValueError for none.
    LastOrError,
    /// `count`
    Count,
}

/// A search for a needle that is short against a step.
pub struct Search {
    text: Str,
    needle: Str,
    wanted: Wanted,
    /// What is left to search.
    start: usize,
    end: usize,
    count: usize,
}

impl Search {
    /// A search of `text[start..end]`. Borrows both strings.
    pub fn new(vm: &mut Vm, text: Str, needle: Str, wanted: Wanted, start: usize, end: usize) -> Search {
        vm.heap.retain(Value::Str(text));
        vm.heap.retain(Value::Str(needle));
        Search { text, needle, wanted, start, end, count: 0 }
    }
}

impl Stepwise for Search {
    fn step(&mut self, vm: &mut Vm) -> Outcome<Option<Value>> {
        let (text, needle) = (vm.heap.bytes(self.text), vm.heap.bytes(self.needle));
        let reach = BYTES + needle.len() - 1;
        let at_last = self.end - self.start <= reach;
        let found = match self.wanted {
            Wanted::First | Wanted::FirstOrError => {
                let window = &text[self.start..self.end.min(self.start + reach)];
                search::find(window, needle).map(|at| self.start + at)
            }
            Wanted::Last | Wanted::LastOrError => {
                let from = self.start.max(self.end.saturating_sub(reach));
                search::rfind(&text[from..self.end], needle).map(|at| from + at)
            }
            Wanted::Count => {
                let window = &text[self.start..self.end.min(self.start + reach)];
                let mut behind = 0;
                for at in search::Occurrences::new(window, needle) {
                    self.count += 1;
                    behind = at + needle.len();
                }
                self.start = (self.start + behind).max((self.start + BYTES).min(self.end));
                return Ok(at_last.then_some(Value::Int(self.count as i64)));
            }
        };
        match (found, self.wanted) {
            (Some(at), _) => Ok(Some(Value::Int(at as i64))),
            (None, Wanted::FirstOrError | Wanted::LastOrError) if at_last => {
                fail(vm, Builtin::ValueError, "substring not found")
            }
            (None, _) if at_last => Ok(Some(Value::Int(-1))),
            (None, Wanted::Last | Wanted::LastOrError) => {
                self.end -= BYTES;
                Ok(None)
            }
            _ => {
                self.start += BYTES;
                Ok(None)
            }
        }
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::Str(self.text));
        visit(Value::Str(self.needle));
    }
}

/// `text.replace(old, new, most)` in two passes: count, then build.
pub struct Replace {
    text: Str,
    old: Str,
    new: Str,
    most: usize,
    at: usize,
    count: usize,
    /// The output, once the occurrences are counted.
    out: Option<Vec<u8>>,
}

impl Replace {
    /// Borrows all strings; `old` is not empty.
    pub fn new(vm: &mut Vm, text: Str, old: Str, new: Str, most: usize) -> Replace {
        for share in [text, old, new] {
            vm.heap.retain(Value::Str(share));
        }
        Replace { text, old, new, most, at: 0, count: 0, out: None }
    }

    /// The occurrences that begin in the next step's window, as far as they are still wanted.
    fn window(&self, vm: &Vm) -> (Vec<usize>, usize) {
        let (text, old) = (vm.heap.bytes(self.text), vm.heap.bytes(self.old));
        let window = &text[self.at..text.len().min(self.at + BYTES + old.len() - 1)];
        let left = self.most - self.count;
        let found: Vec<usize> =
            search::Occurrences::new(window, old).take(left).map(|inner| self.at + inner).collect();
        let behind = found.last().map_or(0, |last| last + old.len());
        (found, behind.max((self.at + BYTES).min(text.len())))
    }
}

impl Stepwise for Replace {
    fn step(&mut self, vm: &mut Vm) -> Outcome<Option<Value>> {
        let length = vm.heap.bytes(self.text).len();
        let (found, next) = self.window(vm);
        self.count += found.len();
        let Some(out) = &mut self.out else {
            self.at = next;
            if next < length && self.count < self.most {
                return Ok(None);
            }
            if self.count == 0 {
                return Ok(Some(vm.heap.share(Value::Str(self.text))));
            }
            let (old, new) = (vm.heap.bytes(self.old).len(), vm.heap.bytes(self.new).len());
            let size = new.saturating_mul(self.count).saturating_add(length - old * self.count);
            vm.heap.make_room(size)?;
            self.out = Some(Vec::with_capacity(size));
            (self.at, self.count) = (0, 0);
            return Ok(None);
        };
        let (text, old, new) = (vm.heap.bytes(self.text), vm.heap.bytes(self.old), vm.heap.bytes(self.new));
        let mut from = self.at;
        for at in found {
            out.extend_from_slice(&text[from..at]);
            out.extend_from_slice(new);
            from = at + old.len();
        }
        out.extend_from_slice(&text[from..next]);
        self.at = next;
        if next < length {
            return Ok(None);
        }
        let out = std::mem::take(out);
        Ok(Some(vm.heap.new_str_from(out)))
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        [self.text, self.old, self.new].iter().for_each(|&share| visit(Value::Str(share)));
    }
}

/// `text.split(separator, most)`
pub struct Split {
    text: Str,
    separator: Str,
    most: usize,
    /// Where the present piece begins, and where to go on looking.
    piece: usize,
    at: usize,
    pieces: Vec<Value>,
}

impl Split {
    /// Borrows both strings; the separator is not empty.
    pub fn new(vm: &mut Vm, text: Str, separator: Str, most: usize) -> Split {
        vm.heap.retain(Value::Str(text));
        vm.heap.retain(Value::Str(separator));
        Split { text, separator, most, piece: 0, at: 0, pieces: Vec::new() }
    }
}

impl Stepwise for Split {
    fn step(&mut self, vm: &mut Vm) -> Outcome<Option<Value>> {
        // Each piece costs an object: fewer bytes a step than a plain search.
        let window = BYTES / 4;
        let (text, separator) = (vm.heap.bytes(self.text), vm.heap.bytes(self.separator));
        let (length, width) = (text.len(), separator.len());
        let end = length.min(self.at + window + width - 1);
        let left = self.most - self.pieces.len();
        let found: Vec<usize> = search::Occurrences::new(&text[self.at..end], separator)
            .take(left)
            .map(|inner| self.at + inner)
            .collect();
        vm.heap.make_room((self.pieces.len() + found.len()).saturating_mul(32) + found.len() * 40)?;
        for &at in &found {
            let piece = substring(&mut vm.heap, self.text, self.piece, at);
            self.pieces.push(piece);
            self.piece = at + width;
        }
        let next = (self.at + window).min(length);
        self.at = if found.is_empty() { next } else { next.max(self.piece) };
        if self.at < length && self.pieces.len() < self.most {
            return Ok(None);
        }
        let last = substring(&mut vm.heap, self.text, self.piece, length);
        self.pieces.push(last);
        let pieces = std::mem::take(&mut self.pieces);
        Ok(Some(vm.heap.new_list(pieces)))
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::Str(self.text));
        visit(Value::Str(self.separator));
        self.pieces.iter().copied().for_each(visit);
    }
}

/// `separator.join(items)`: the items are taken and measured, then copied, then given back.
pub struct Join {
    separator: Str,
    /// The list the items come from, owned; none when they were handed over.
    source: Option<List>,
    items: Vec<Value>,
    at: usize,
    size: usize,
    out: Option<Vec<u8>>,
    /// The result, while the items are given back.
    result: Option<Value>,
}

impl Join {
    /// Takes the items over, borrows the separator.
    pub fn new(vm: &mut Vm, separator: Str, items: Vec<Value>) -> Join {
        vm.heap.retain(Value::Str(separator));
        Join { separator, source: None, items, at: 0, size: 0, out: None, result: None }
    }

    /// Joins the items of a list. Borrows both.
    pub fn of_list(vm: &mut Vm, separator: Str, list: List) -> Join {
        vm.heap.retain(Value::List(list));
        let items = Vec::with_capacity(vm.heap.list(list).len());
        Join { source: Some(list), ..Join::new(vm, separator, items) }
    }

    /// Takes and measures the next items; whether these were the last.
    fn measure(&mut self, vm: &mut Vm) -> Outcome<bool> {
        if let Some(list) = self.source {
            let all = vm.heap.list(list);
            let end = all.len().min(self.at + ITEMS);
            self.items.extend_from_slice(all.get(self.at..end).unwrap_or_default());
            for &item in &self.items[self.at..] {
                vm.heap.retain(item);
            }
        }
        let end = self.items.len().min(self.at + ITEMS);
        let glue = vm.heap.bytes(self.separator).len();
        for at in self.at..end {
            let Some(text) = as_str(&vm.heap, self.items[at]) else {
                let given = super::support::type_name(&vm.heap, self.items[at]);
                return fail(
                    vm,
                    Builtin::TypeError,
                    format!("sequence item {at}: expected string, {given} found"),
                );
            };
            let added = vm.heap.bytes(text).len() + if at > 0 { glue } else { 0 };
            self.size = self.size.saturating_add(added);
        }
        self.at = end;
        let length = self.source.map_or(self.items.len(), |list| vm.heap.list(list).len());
        Ok(end >= length)
    }
}

impl Stepwise for Join {
    fn step(&mut self, vm: &mut Vm) -> Outcome<Option<Value>> {
        if let Some(result) = self.result {
            let keep = self.items.len().saturating_sub(ITEMS);
            release_all(&mut vm.heap, self.items.drain(keep..));
            if self.items.is_empty() {
                self.result = None;
                return Ok(Some(result));
            }
            return Ok(None);
        }
        let Some(out) = &mut self.out else {
            if self.measure(vm)? {
                vm.heap.make_room(self.size)?;
                self.out = Some(Vec::with_capacity(self.size));
                self.at = 0;
            }
            return Ok(None);
        };
        let enough = out.len() + BYTES;
        let end = self.items.len().min(self.at + ITEMS);
        while self.at < end && out.len() < enough {
            if self.at > 0 {
                out.extend_from_slice(vm.heap.bytes(self.separator));
            }
            if let Some(text) = as_str(&vm.heap, self.items[self.at]) {
                out.extend_from_slice(vm.heap.bytes(text));
            }
            self.at += 1;
        }
        if self.at == self.items.len() {
            let out = std::mem::take(out);
            self.result = Some(vm.heap.new_str_from(out));
        }
        Ok(None)
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::Str(self.separator));
        if let Some(list) = self.source {
            visit(Value::List(list));
        }
        if let Some(result) = self.result {
            visit(result);
        }
        self.items.iter().copied().for_each(visit);
    }
}

/// `text * times`; the room has been asked for.
pub struct RepeatText {
    text: Str,
    size: usize,
    out: Vec<u8>,
}

impl RepeatText {
    /// Borrows the text; `size` is that of the result, a multiple of the text's.
    pub fn new(vm: &mut Vm, text: Str, size: usize) -> RepeatText {
        vm.heap.retain(Value::Str(text));
        RepeatText { text, size, out: Vec::with_capacity(size) }
    }
}

impl Stepwise for RepeatText {
    fn step(&mut self, vm: &mut Vm) -> Outcome<Option<Value>> {
        let text = vm.heap.bytes(self.text);
        let end = self.size.min(self.out.len() + 2 * BYTES);
        while self.out.len() < end {
            // The text is periodic: go on from where in its period we are.
            let from = self.out.len() % text.len();
            let count = (text.len() - from).min(end - self.out.len());
            let done = self.out.len();
            if from == 0 && done >= text.len() {
                let count = (done - done % text.len()).min(end - done);
                self.out.extend_from_within(..count);
            } else {
                self.out.extend_from_slice(&text[from..from + count]);
            }
        }
        if end < self.size {
            return Ok(None);
        }
        let out = std::mem::take(&mut self.out);
        Ok(Some(vm.heap.new_str_from(out)))
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::Str(self.text));
    }
}

/// `list * times` and `tuple * times`; the room has been asked for.
pub struct RepeatItems {
    /// What is repeated, owned.
    source: Value,
    items: Vec<Value>,
    size: usize,
}

impl RepeatItems {
    /// Borrows the sequence; `size` is that of the result.
    pub fn new(vm: &mut Vm, source: Value, size: usize) -> RepeatItems {
        vm.heap.retain(source);
        RepeatItems { source, items: Vec::with_capacity(size), size }
    }
}

impl Stepwise for RepeatItems {
    fn step(&mut self, vm: &mut Vm) -> Outcome<Option<Value>> {
        let end = self.size.min(self.items.len() + ITEMS * 2);
        while self.items.len() < end {
            let source = match self.source {
                Value::List(list) => vm.heap.list(list),
                Value::Tuple(tuple) => vm.heap.tuple(tuple),
                _ => &[],
            };
            // The program may have emptied the list meanwhile.
            let Some(&item) = source.get(self.items.len() % source.len().max(1)) else {
                self.size = self.items.len();
                break;
            };
            vm.heap.retain(item);
            self.items.push(item);
        }
        if self.items.len() < self.size {
            return Ok(None);
        }
        let items = std::mem::take(&mut self.items);
        Ok(Some(match self.source {
            Value::List(_) => vm.heap.new_list(items),
            _ => vm.heap.new_tuple_from(items),
        }))
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        visit(self.source);
        self.items.iter().copied().for_each(visit);
    }
}

/// A part of a list or tuple: so many items from a position on, a step apart.
#[derive(Clone, Copy)]
pub struct Stretch {
    /// The list or tuple.
    pub source: Value,
    /// The first item.
    pub start: i64,
    /// The distance.
    pub step: i64,
    /// Number of items.
    pub count: usize,
}

/// A list or tuple of parts of others; the room has been asked for.
pub struct CopyItems {
    /// The parts; each owns a share of its source.
    parts: Vec<Stretch>,
    /// The part under way, and what of it is done.
    part: usize,
    done: usize,
    items: Vec<Value>,
}

impl CopyItems {
    /// Borrows the sources.
    pub fn new(vm: &mut Vm, parts: Vec<Stretch>) -> CopyItems {
        parts.iter().for_each(|part| vm.heap.retain(part.source));
        let size = parts.iter().map(|part| part.count).sum();
        CopyItems { parts, part: 0, done: 0, items: Vec::with_capacity(size) }
    }
}

impl Stepwise for CopyItems {
    fn step(&mut self, vm: &mut Vm) -> Outcome<Option<Value>> {
        let mut left = ITEMS * 2;
        while left > 0 {
            let Some(&part) = self.parts.get(self.part) else {
                let items = std::mem::take(&mut self.items);
                return Ok(Some(match self.parts.first() {
                    Some(Stretch { source: Value::Tuple(_), .. }) => vm.heap.new_tuple_from(items),
                    _ => vm.heap.new_list(items),
                }));
            };
            let count = (part.count - self.done).min(left);
            let source = match part.source {
                Value::List(list) => vm.heap.list(list),
                Value::Tuple(tuple) => vm.heap.tuple(tuple),
                _ => &[],
            };
            let from = self.items.len();
            let first = part.start + part.step * self.done as i64;
            if part.step == 1 {
                // The program may have made the list shorter meanwhile.
                let first = (first as usize).min(source.len());
                self.items.extend_from_slice(&source[first..source.len().min(first + count)]);
            } else {
                let places = (0..count as i64).map(|at| first + part.step * at);
                self.items.extend(places.filter_map(|place| source.get(place as usize).copied()));
            }
            self.items[from..].iter().for_each(|&item| vm.heap.retain(item));
            left -= count;
            self.done += count;
            if self.done == part.count {
                self.part += 1;
                self.done = 0;
            }
        }
        Ok(None)
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        self.parts.iter().for_each(|part| visit(part.source));
        self.items.iter().copied().for_each(visit);
    }
}

/// `range(start, stop, step)` of small integers; the room has been asked for.
pub struct Range {
    /// The next item.
    pub next: i64,
    /// The distance.
    pub step: i64,
    /// Number of items of the whole list.
    pub length: usize,
    /// Items made so far.
    pub items: Vec<Value>,
}

impl Stepwise for Range {
    fn step(&mut self, vm: &mut Vm) -> Outcome<Option<Value>> {
        let count = (self.length - self.items.len()).min(ITEMS * 4);
        for _ in 0..count {
            self.items.push(Value::Int(self.next));
            self.next = self.next.wrapping_add(self.step);
        }
        if self.items.len() < self.length {
            return Ok(None);
        }
        let items = std::mem::take(&mut self.items);
        Ok(Some(vm.heap.new_list(items)))
    }
    fn owned(&self, _: &mut dyn FnMut(Value)) {}
}
