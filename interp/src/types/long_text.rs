//! Operations on large strings that make or look at every byte, a piece at a time: see [`super::stepwise`].
use super::kernel::padded::Padded;
use super::stepwise::{self, Stepwise, BYTES};
use super::support::substring;
use crate::heap::{Outcome, Str, Value};
use crate::vm::native::{value, NativeReturn};
use crate::vm::Vm;

/// Bytes handled in one step where each takes some work.
const SLOW_BYTES: usize = BYTES / 2;
/// Pieces made in one step: each is an object.
const PIECES: usize = 16 << 10;

/// Changes bytes: what it is given it appends to the output, changed.
pub type Map = Box<dyn FnMut(&[u8], &mut Vec<u8>)>;

/// A text made of another one by a function of its bytes, in order.
pub struct MapText {
    text: Str,
    at: usize,
    map: Map,
    out: Vec<u8>,
}

impl MapText {
    /// Borrows the text; the room for `size` bytes of output has been asked for.
    pub fn new(vm: &mut Vm, text: Str, size: usize, map: Map) -> MapText {
        vm.heap.retain(Value::Str(text));
        MapText { text, at: 0, map, out: Vec::with_capacity(size) }
    }
}

impl Stepwise for MapText {
    fn step(&mut self, vm: &mut Vm) -> Outcome<Option<Value>> {
        let bytes = vm.heap.bytes(self.text);
        let end = bytes.len().min(self.at + SLOW_BYTES);
        (self.map)(&bytes[self.at..end], &mut self.out);
        self.at = end;
        if end < bytes.len() {
            return Ok(None);
        }
        let out = std::mem::take(&mut self.out);
        Ok(Some(vm.heap.new_str_from(out)))
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::Str(self.text));
    }
}

/// What a piece of a text says about the whole.
type Test = Box<dyn FnMut(&[u8]) -> Option<bool>>;

/// A predicate over the bytes of a text: each piece says whether to go on.
pub struct TestText {
    text: Str,
    at: usize,
    /// Looks at a piece: a verdict ends the test.
    test: Test,
    /// The verdict after the last piece.
    last: Box<dyn Fn() -> bool>,
}

impl TestText {
    /// Whether all bytes of a text (borrowed, not empty) pass.
    pub fn all(vm: &mut Vm, text: Str, holds: fn(&u8) -> bool) -> TestText {
        vm.heap.retain(Value::Str(text));
        let test = move |piece: &[u8]| (!piece.iter().all(holds)).then_some(false);
        TestText { text, at: 0, test: Box::new(test), last: Box::new(|| true) }
    }

    /// Whether some byte of a text (borrowed) is wanted and none is unwanted.
    pub fn some(vm: &mut Vm, text: Str, wanted: fn(&u8) -> bool, unwanted: fn(&u8) -> bool) -> TestText {
        vm.heap.retain(Value::Str(text));
        let seen = std::rc::Rc::new(std::cell::Cell::new(false));
        let found = std::rc::Rc::clone(&seen);
        let test = move |piece: &[u8]| {
            found.set(found.get() || piece.iter().any(wanted));
            piece.iter().any(unwanted).then_some(false)
        };
        TestText { text, at: 0, test: Box::new(test), last: Box::new(move || seen.get()) }
    }
}

impl Stepwise for TestText {
    fn step(&mut self, vm: &mut Vm) -> Outcome<Option<Value>> {
        let bytes = vm.heap.bytes(self.text);
        let end = bytes.len().min(self.at + BYTES);
        if let Some(verdict) = (self.test)(&bytes[self.at..end]) {
            return Ok(Some(Value::bool(verdict)));
        }
        self.at = end;
        Ok((end == bytes.len()).then(|| Value::bool((self.last)())))
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::Str(self.text));
    }
}

/// A part of a text that is put together.
#[derive(Clone, Copy)]
pub enum Part {
    /// A byte so many times.
    Fill(u8, usize),
    /// What lies between two positions of a text, which the whole owns.
    Text(Str, usize, usize),
    /// So many bytes of a text from a position on, a step apart.
    Stepped(Str, i64, i64, usize),
}

/// A text put together from parts; the room has been asked for.
pub struct Assemble {
    parts: Vec<Part>,
    /// The part under way, and what of it is done.
    part: usize,
    done: usize,
    out: Vec<u8>,
}

impl Assemble {
    /// Borrows the texts; `size` is that of the result.
    pub fn new(vm: &mut Vm, parts: Vec<Part>, size: usize) -> Assemble {
        let whole = Assemble { parts, part: 0, done: 0, out: Vec::with_capacity(size) };
        let mut shares = Vec::new();
        whole.owned(&mut |share| shares.push(share));
        shares.into_iter().for_each(|share| vm.heap.retain(share));
        whole
    }
}

impl Stepwise for Assemble {
    fn step(&mut self, vm: &mut Vm) -> Outcome<Option<Value>> {
        let mut left = BYTES;
        while left > 0 {
            let Some(&part) = self.parts.get(self.part) else {
                let out = std::mem::take(&mut self.out);
                return Ok(Some(vm.heap.new_str_from(out)));
            };
            let size = match part {
                Part::Fill(_, size) => size,
                Part::Text(_, start, end) => end - start,
                Part::Stepped(.., count) => count,
            };
            let count = (size - self.done).min(left);
            match part {
                Part::Fill(byte, _) => self.out.resize(self.out.len() + count, byte),
                Part::Text(text, start, _) => {
                    let from = start + self.done;
                    self.out.extend_from_slice(&vm.heap.bytes(text)[from..from + count]);
                }
                Part::Stepped(text, start, step, _) => {
                    let bytes = vm.heap.bytes(text);
                    let place = |at: usize| (start + step * at as i64) as usize;
                    self.out.extend((self.done..self.done + count).map(|at| bytes[place(at)]));
                }
            }
            left -= count;
            self.done += count;
            if self.done == size {
                self.part += 1;
                self.done = 0;
            }
        }
        Ok(None)
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        for part in &self.parts {
            if let Part::Text(text, ..) | Part::Stepped(text, ..) = *part {
                visit(Value::Str(text));
            }
        }
    }
}

/// A text with wide fills, put together in steps.
pub fn put_together(vm: &mut Vm, padded: Padded) -> NativeReturn {
    let (bytes, fills) = padded.into_parts();
    let size = bytes.len() + fills.iter().map(|fill| fill.count).sum::<usize>();
    let whole = vm.heap.new_str_from(bytes);
    let Value::Str(text) = whole else { return value(whole) };
    if fills.is_empty() {
        return value(whole);
    }
    let mut parts = Vec::with_capacity(fills.len() * 2 + 1);
    let mut at = 0;
    for fill in fills {
        parts.extend([Part::Text(text, at, fill.at), Part::Fill(fill.byte, fill.count)]);
        at = fill.at;
    }
    parts.push(Part::Text(text, at, vm.heap.bytes(text).len()));
    let assemble = Assemble::new(vm, parts, size);
    vm.heap.release(whole);
    stepwise::start(vm, assemble)
}

/// Where the next piece of a text lies, from a position on: the piece, and where to look for the following one.
/// `None` at the end.
pub type NextPiece = Box<dyn FnMut(&[u8], usize) -> Option<((usize, usize), usize)>>;

/// A text cut into pieces from left to right.
pub struct Cut {
    text: Str,
    at: usize,
    next: NextPiece,
    pieces: Vec<Value>,
    /// The pieces were found from the end.
    reversed: bool,
}

impl Cut {
    /// Borrows the text.
    pub fn new(vm: &mut Vm, text: Str, start: usize, reversed: bool, next: NextPiece) -> Cut {
        vm.heap.retain(Value::Str(text));
        Cut { text, at: start, next, pieces: Vec::new(), reversed }
    }
}

impl Stepwise for Cut {
    fn step(&mut self, vm: &mut Vm) -> Outcome<Option<Value>> {
        let from = self.at;
        vm.heap.make_room(self.pieces.len().saturating_mul(16) + PIECES * 56)?;
        for _ in 0..PIECES {
            let Some(((start, end), next)) = (self.next)(vm.heap.bytes(self.text), self.at) else {
                let mut pieces = std::mem::take(&mut self.pieces);
                if self.reversed {
                    pieces.reverse();
                }
                return Ok(Some(vm.heap.new_list(pieces)));
            };
            self.at = next;
            let piece = substring(&mut vm.heap, self.text, start, end);
            self.pieces.push(piece);
            if self.at.abs_diff(from) >= BYTES {
                break;
            }
        }
        Ok(None)
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::Str(self.text));
        self.pieces.iter().copied().for_each(visit);
    }
}
