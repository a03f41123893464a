//! What a value should be: three representations under one small register
//! machine, on an int loop, recursive calls, attribute access in a method loop,
//! and list items. `docs/adr/0002-value-representation.md` quotes its figures.
//!
//! `cargo bench -p integration --bench value_representation`
//!
//! * `rc`: an enum whose objects are `Rc<RefCell<…>>`; clone and drop count.
//! * `arena`: a `Copy` enum of `u32` handles and numbers as they come; counts
//!   lie beside the slots of an arena.
//! * `arena64`: the same with every payload one 64-bit integer, so that the
//!   compiler passes and copies a value as a pair of registers.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

/// A representation of values, with objects that are rows of values.
trait Model {
    /// A value.
    type Value;
    /// A heap without objects.
    fn new() -> Self;
    /// An int.
    fn int(value: i64) -> Self::Value;
    /// The int in a value.
    fn as_int(value: &Self::Value) -> Option<i64>;
    /// Nothing.
    fn none() -> Self::Value;
    /// One more share of a value.
    fn share(&mut self, value: &Self::Value) -> Self::Value;
    /// Gives a share back.
    fn release(&mut self, value: Self::Value);
    /// An object of `count` places.
    fn object(&mut self, count: usize) -> Self::Value;
    /// What is in a place: a share.
    fn get(&mut self, object: &Self::Value, place: usize) -> Self::Value;
    /// Puts a share into a place.
    fn set(&mut self, object: &Self::Value, place: usize, value: Self::Value);
}

/// Counts in `Rc`.
struct Counted;

/// A value with `Rc` objects.
#[derive(Clone)]
enum RcValue {
    None,
    Int(i64),
    #[allow(dead_code)] // Only its size matters here.
    Float(f64),
    Object(Rc<RefCell<Vec<RcValue>>>),
}

impl Model for Counted {
    type Value = RcValue;
    fn new() -> Self {
        Counted
    }
    fn int(value: i64) -> RcValue {
        RcValue::Int(value)
    }
    fn as_int(value: &RcValue) -> Option<i64> {
        match value {
            RcValue::Int(i) => Some(*i),
            _ => None,
        }
    }
    fn none() -> RcValue {
        RcValue::None
    }
    fn share(&mut self, value: &RcValue) -> RcValue {
        value.clone()
    }
    fn release(&mut self, value: RcValue) {
        drop(value);
    }
    fn object(&mut self, count: usize) -> RcValue {
        RcValue::Object(Rc::new(RefCell::new(vec![RcValue::None; count])))
    }
    fn get(&mut self, object: &RcValue, place: usize) -> RcValue {
        match object {
            RcValue::Object(row) => row.borrow().get(place).cloned().unwrap_or(RcValue::None),
            _ => RcValue::None,
        }
    }
    fn set(&mut self, object: &RcValue, place: usize, value: RcValue) {
        if let RcValue::Object(row) = object {
            if let Some(slot) = row.borrow_mut().get_mut(place) {
                *slot = value;
            }
        }
    }
}

macro_rules! arena {
    ($heap:ident, $value:ident, $handle:ty, $float:ty, $bool:ty) => {
        /// A value with handles.
        #[derive(Clone, Copy)]
        enum $value {
            None,
            #[allow(dead_code)] // Only its size matters here.
            Bool($bool),
            Int(i64),
            #[allow(dead_code)] // Only its size matters here.
            Float($float),
            Object($handle),
        }

        /// Rows with their counts beside them.
        struct $heap {
            counts: Vec<u32>,
            rows: Vec<Vec<$value>>,
            free: Vec<$handle>,
        }

        impl Model for $heap {
            type Value = $value;
            fn new() -> Self {
                $heap { counts: Vec::new(), rows: Vec::new(), free: Vec::new() }
            }
            #[inline(always)]
            fn int(value: i64) -> $value {
                $value::Int(value)
            }
            #[inline(always)]
            fn as_int(value: &$value) -> Option<i64> {
                match *value {
                    $value::Int(i) => Some(i),
                    _ => None,
                }
            }
            #[inline(always)]
            fn none() -> $value {
                $value::None
            }
            #[inline(always)]
            fn share(&mut self, value: &$value) -> $value {
                if let $value::Object(handle) = *value {
                    self.counts[handle as usize] += 1;
                }
                *value
            }
            #[inline(always)]
            fn release(&mut self, value: $value) {
                if let $value::Object(handle) = value {
                    self.counts[handle as usize] -= 1;
                    if self.counts[handle as usize] == 0 {
                        let row = std::mem::take(&mut self.rows[handle as usize]);
                        row.into_iter().for_each(|value| self.release(value));
                        self.free.push(handle);
                    }
                }
            }
            fn object(&mut self, count: usize) -> $value {
                let row = vec![$value::None; count];
                if let Some(handle) = self.free.pop() {
                    self.rows[handle as usize] = row;
                    self.counts[handle as usize] = 1;
                    return $value::Object(handle);
                }
                self.rows.push(row);
                self.counts.push(1);
                $value::Object(self.rows.len() as $handle - 1)
            }
            #[inline(always)]
            fn get(&mut self, object: &$value, place: usize) -> $value {
                match *object {
                    $value::Object(handle) => {
                        let value = self.rows[handle as usize].get(place).copied().unwrap_or($value::None);
                        self.share(&value)
                    }
                    _ => $value::None,
                }
            }
            #[inline(always)]
            fn set(&mut self, object: &$value, place: usize, value: $value) {
                if let $value::Object(handle) = *object {
                    if let Some(slot) = self.rows[handle as usize].get_mut(place) {
                        let old = std::mem::replace(slot, value);
                        self.release(old);
                    }
                }
            }
        }
    };
}

arena!(Handles, HandleValue, u32, f64, bool);
arena!(Wide, WideValue, u64, u64, u64);

/// An instruction of the small machine.
#[derive(Clone, Copy)]
enum Op {
    Int(u8, i32),
    Move(u8, u8),
    Add(u8, u8, u8),
    AddInt(u8, u8, i32),
    MulInt(u8, u8, i32),
    AndInt(u8, u8, i32),
    JumpLess(u8, u8, u32),
    JumpNotLessInt(u8, i16, u32),
    Object(u8, u8),
    Get(u8, u8, u8),
    Set(u8, u8, u8),
    GetItem(u8, u8, u8),
    SetItem(u8, u8, u8),
    /// Calls the code at an address; the window moves up by the register.
    Call(u8, u32),
    Return(u8),
    Stop(u8),
}

/// Runs code until `Stop`; gives the int there.
fn run<M: Model>(code: &[Op]) -> i64 {
    let mut heap = M::new();
    let mut stack: Vec<M::Value> = (0..40_000).map(|_| M::none()).collect();
    let mut frames: Vec<(u32, usize, u8)> = Vec::new();
    let (mut pc, mut base) = (0usize, 0usize);
    'frame: loop {
        let Some(regs) = stack.get_mut(base..).and_then(|rest| rest.first_chunk_mut::<256>()) else {
            return -1;
        };
        macro_rules! put {
            ($d:expr, $v:expr) => {{
                let value = $v;
                let old = std::mem::replace(&mut regs[$d as usize], value);
                heap.release(old);
            }};
        }
        macro_rules! int {
            ($r:expr) => {
                match M::as_int(&regs[$r as usize]) {
                    Some(i) => i,
                    None => return -1,
                }
            };
        }
        loop {
            let op = code[pc];
            pc += 1;
            match op {
                Op::Int(d, value) => put!(d, M::int(i64::from(value))),
                Op::Move(d, a) => put!(d, heap.share(&regs[a as usize])),
                Op::Add(d, a, b) => put!(d, M::int(int!(a).wrapping_add(int!(b)))),
                Op::AddInt(d, a, i) => put!(d, M::int(int!(a).wrapping_add(i64::from(i)))),
                Op::MulInt(d, a, i) => put!(d, M::int(int!(a).wrapping_mul(i64::from(i)))),
                Op::AndInt(d, a, i) => put!(d, M::int(int!(a) & i64::from(i))),
                Op::JumpLess(a, b, to) => {
                    if int!(a) < int!(b) {
                        pc = to as usize;
                    }
                }
                Op::JumpNotLessInt(a, i, to) => {
                    if int!(a) >= i64::from(i) {
                        pc = to as usize;
                    }
                }
                Op::Object(d, count) => put!(d, heap.object(count as usize)),
                Op::Get(d, a, place) => put!(d, heap.get(&regs[a as usize], place as usize)),
                Op::Set(a, place, b) => {
                    let value = heap.share(&regs[b as usize]);
                    heap.set(&regs[a as usize], place as usize, value);
                }
                Op::GetItem(d, a, b) => {
                    let place = int!(b) as usize;
                    put!(d, heap.get(&regs[a as usize], place));
                }
                Op::SetItem(a, b, c) => {
                    let place = int!(b) as usize;
                    let value = heap.share(&regs[c as usize]);
                    heap.set(&regs[a as usize], place, value);
                }
                Op::Call(t, to) => {
                    frames.push((pc as u32, base, t));
                    pc = to as usize;
                    base += t as usize;
                    continue 'frame;
                }
                Op::Return(a) => {
                    let value = std::mem::replace(&mut regs[a as usize], M::none());
                    let Some((back, before, t)) = frames.pop() else { return -1 };
                    pc = back as usize;
                    base = before;
                    let old = std::mem::replace(&mut stack[base + t as usize], value);
                    heap.release(old);
                    continue 'frame;
                }
                Op::Stop(a) => return int!(a),
            }
        }
    }
}

/// Sums and masks in a loop.
const INT_LOOP: &[Op] = &[
    Op::Int(0, 0),
    Op::Int(1, 12_345),
    Op::Int(2, 6_000_000),
    Op::MulInt(1, 1, 69_069),
    Op::AndInt(1, 1, 0xff_ffff),
    Op::AddInt(1, 1, 1),
    Op::AddInt(0, 0, 1),
    Op::JumpLess(0, 2, 3),
    Op::Stop(1),
];

/// fib(27) by recursion.
const CALLS: &[Op] = &[
    Op::Int(1, 27),
    Op::Call(1, 3),
    Op::Stop(1),
    Op::JumpNotLessInt(0, 2, 5),
    Op::Return(0),
    Op::AddInt(1, 0, -1),
    Op::Call(1, 3),
    Op::AddInt(2, 0, -2),
    Op::Call(2, 3),
    Op::Add(1, 1, 2),
    Op::Return(1),
];

/// Two reads and one write of an object's attributes in a call, three million times.
const METHODS: &[Op] = &[
    Op::Object(1, 4),
    Op::Int(2, 0),
    Op::Set(1, 0, 2),
    Op::Int(2, 1),
    Op::Set(1, 1, 2),
    Op::Int(0, 0),
    Op::Int(3, 3_000_000),
    Op::Move(5, 1),
    Op::Call(5, 13),
    Op::AddInt(0, 0, 1),
    Op::JumpLess(0, 3, 7),
    Op::Get(2, 1, 0),
    Op::Stop(2),
    Op::Get(1, 0, 0),
    Op::Get(2, 0, 1),
    Op::Add(1, 1, 2),
    Op::Set(0, 0, 1),
    Op::Return(0),
];

/// Objects in a list, moved around.
const ITEMS: &[Op] = &[
    Op::Object(1, 200),
    Op::Int(0, 0),
    Op::Int(3, 4_000_000),
    Op::AndInt(2, 0, 127),
    Op::Object(4, 2),
    Op::SetItem(1, 2, 4),
    Op::GetItem(5, 1, 2),
    Op::AddInt(0, 0, 1),
    Op::JumpLess(0, 3, 3),
    Op::Stop(0),
];

/// Best of five, in milliseconds.
fn best<M: Model>(code: &[Op], expected: i64) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        let result = run::<M>(std::hint::black_box(code));
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
        assert_eq!(result, expected, "the representations must agree");
    }
    best
}

fn main() {
    println!("{:<10} {:>9} {:>9} {:>9}   milliseconds, best of 5", "", "rc", "arena", "arena64");
    for (name, code) in [("int loop", INT_LOOP), ("calls", CALLS), ("methods", METHODS), ("items", ITEMS)] {
        let expected = run::<Wide>(code);
        let row =
            [best::<Counted>(code, expected), best::<Handles>(code, expected), best::<Wide>(code, expected)];
        println!("{name:<10} {:>9.1} {:>9.1} {:>9.1}", row[0], row[1], row[2]);
    }
}
