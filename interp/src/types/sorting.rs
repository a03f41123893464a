//! `list.sort`: directly for values of one simple kind, by the merge sort of the kernel otherwise, and with calls of the
//! program's `key` and `cmp` functions where there are some.
use super::hook;
use super::kernel::sort::{sort_now, SortMachine, SortStep};
use super::lists::{keyword, only_keywords, this};
use super::support::{fail, integer_argument, release_all, type_name};
use crate::heap::{Builtin, List, Outcome, Raised, Value};
use crate::vm::native::{call, pause, value, Args, NativeReturn, Resume};
use crate::vm::Vm;
use std::cell::RefCell;

/// Most items sorted in one step.
const CHUNK: usize = 16 << 10;

/// `list.sort(cmp=None, key=None, reverse=False)`
pub fn sort(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let list = this(vm, &args)?;
    only_keywords(vm, &args, &["cmp", "key", "reverse"])?;
    let argument = |at: usize, name: &str| args.get(at).or_else(|| keyword(vm, &args, name));
    let (compare, key, reverse) = (argument(1, "cmp"), argument(2, "key"), argument(3, "reverse"));
    let (compare, key) = (compare.filter(|given| !given.is_none()), key.filter(|given| !given.is_none()));
    let reverse = match reverse {
        Some(given) => integer_argument(vm, given)? != 0,
        None => false,
    };
    let mut items = std::mem::take(&mut vm.heap.lists[list].items);
    vm.heap.recharge_list(list);
    if compare.is_none() && key.is_none() && items.len() <= CHUNK {
        let sorted = sort_plain(vm, &mut items, reverse);
        vm.heap.lists[list].items = items;
        vm.heap.recharge_list(list);
        sorted?;
        return value(Value::None);
    }
    for given in [compare, key].into_iter().flatten() {
        vm.heap.retain(given);
    }
    vm.heap.retain(Value::List(list));
    let sorter = Sorter { list, items, keys: Vec::new(), compare, key, reverse, machine: None };
    Box::new(sorter).go_on(vm, None)
}

/// Sorts values among which only built-in comparisons happen.
pub fn sort_plain(vm: &mut Vm, items: &mut Vec<Value>, reverse: bool) -> Outcome<()> {
    if reverse {
        items.reverse();
    }
    let result = sort_simple(vm, items);
    if reverse {
        items.reverse();
    }
    result
}

fn sort_simple(vm: &mut Vm, items: &mut Vec<Value>) -> Outcome<()> {
    let steps = items.len() * (items.len().max(2).ilog2() as usize) / 8;
    match kind(items) {
        Kind::Ints => items.sort_by_key(|item| item.as_int().unwrap_or(0)),
        Kind::Floats => {
            items.sort_by(|a, b| match (a, b) {
                (Value::Float(a), Value::Float(b)) => {
                    a.get().partial_cmp(&b.get()).unwrap_or(std::cmp::Ordering::Equal)
                }
                _ => std::cmp::Ordering::Equal,
            });
        }
        Kind::Strings => {
            let heap = &vm.heap;
            let mut decorated: Vec<(u64, Value)> =
                items.iter().map(|&item| (prefix(bytes(heap, item)), item)).collect();
            decorated.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| bytes(heap, a.1).cmp(bytes(heap, b.1))));
            for (place, (_, item)) in items.iter_mut().zip(decorated) {
                *place = item;
            }
        }
        Kind::Mixed => {
            let order = order_of(vm, items)?;
            *items = order.into_iter().map(|at| items[at as usize]).collect();
        }
    }
    vm.spend(steps);
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ints,
    Floats,
    Strings,
    Mixed,
}

fn kind(items: &[Value]) -> Kind {
    if items.iter().all(|item| matches!(item, Value::Int(_))) {
        Kind::Ints
    } else if items.iter().all(|item| matches!(item, Value::Str(_))) {
        Kind::Strings
    } else if items.iter().all(|item| matches!(item, Value::Float(x) if !x.get().is_nan())) {
        Kind::Floats
    } else {
        Kind::Mixed
    }
}

#[inline]
fn bytes(heap: &crate::heap::Heap, item: Value) -> &[u8] {
    match item {
        Value::Str(text) => heap.bytes(text),
        _ => &[],
    }
}

/// The first eight bytes as a number that orders the same way (shorter texts are padded with zeros, so equal prefixes
/// are compared in full).
fn prefix(text: &[u8]) -> u64 {
    let mut first = [0u8; 8];
    let length = text.len().min(8);
    first[..length].copy_from_slice(&text[..length]);
    u64::from_be_bytes(first)
}

/// The positions of `items` in sorted order, by built-in comparison.
fn order_of(vm: &mut Vm, items: &[Value]) -> Result<Vec<u32>, Raised> {
    let heap = &vm.heap;
    match kind(items) {
        Kind::Ints => {
            let mut order: Vec<(i64, u32)> =
                items.iter().map(|item| item.as_int().unwrap_or(0)).zip(0..).collect();
            order.sort_by_key(|pair| pair.0);
            return Ok(order.into_iter().map(|pair| pair.1).collect());
        }
        Kind::Strings => {
            let mut order: Vec<(u64, Value, u32)> =
                items.iter().zip(0..).map(|(&item, at)| (prefix(bytes(heap, item)), item, at)).collect();
            order.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| bytes(heap, a.1).cmp(bytes(heap, b.1))));
            return Ok(order.into_iter().map(|entry| entry.2).collect());
        }
        _ => {}
    }
    let vm = RefCell::new(vm);
    sort_now(items.len(), |a, b| {
        let mut vm = vm.borrow_mut();
        vm.spend(1);
        hook::less(&mut vm, items[a as usize], items[b as usize])
    })
}

/// A sort that calls the program.
struct Sorter {
    /// The list, owned; empty while it is sorted.
    list: List,
    /// Its items, owned.
    items: Vec<Value>,
    /// Their keys, owned, as far as they are known.
    keys: Vec<Value>,
    compare: Option<Value>,
    key: Option<Value>,
    reverse: bool,
    machine: Option<SortMachine>,
}

impl Sorter {
    fn go_on(mut self: Box<Self>, vm: &mut Vm, answer: Option<bool>) -> NativeReturn {
        if let Some(key) = self.key {
            if self.keys.len() < self.items.len() {
                let item = vm.heap.share(self.items[self.keys.len()]);
                return call(vm.heap.share(key), vec![item], self);
            }
        }
        if self.machine.is_none() && self.reverse {
            // Reversing before and after keeps equal items in their order.
            self.items.reverse();
            self.keys.reverse();
        }
        let order = match self.compare {
            None if self.items.len() > CHUNK => return Merge::start(self, vm),
            None => {
                let order = order_of(vm, if self.key.is_some() { &self.keys } else { &self.items });
                match order {
                    Ok(order) => order,
                    Err(raised) => {
                        self.abandon(vm);
                        return Err(raised);
                    }
                }
            }
            Some(compare) => {
                let count = self.items.len();
                let machine = self.machine.get_or_insert_with(|| SortMachine::new(count));
                match machine.advance(answer) {
                    SortStep::Done(order) => order,
                    SortStep::Compare(a, b) => {
                        let values = if self.key.is_some() { &self.keys } else { &self.items };
                        let (a, b) = (values[a as usize], values[b as usize]);
                        let arguments = vec![vm.heap.share(a), vm.heap.share(b)];
                        return call(vm.heap.share(compare), arguments, self);
                    }
                }
            }
        };
        self.items = order.into_iter().map(|at| self.items[at as usize]).collect();
        self.finish(vm)
    }

    /// Puts the sorted items back.
    fn finish(mut self: Box<Self>, vm: &mut Vm) -> NativeReturn {
        if self.reverse {
            self.items.reverse();
        }
        let changed = !vm.heap.list(self.list).is_empty();
        self.abandon(vm);
        if changed {
            return fail(vm, Builtin::ValueError, "list modified during sort");
        }
        value(Value::None)
    }
}

impl Resume for Sorter {
    fn resume(mut self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        if self.key.is_some() && self.keys.len() < self.items.len() {
            self.keys.push(result);
            return self.go_on(vm, None);
        }
        let Some(order) = result.as_int() else {
            let name = type_name(&vm.heap, result);
            vm.heap.release(result);
            self.abandon(vm);
            return fail(vm, Builtin::TypeError, format!("comparison function must return int, not {name}"));
        };
        self.go_on(vm, Some(order < 0))
    }

    fn abandon(self: Box<Self>, vm: &mut Vm) {
        let other = std::mem::replace(&mut vm.heap.lists[self.list].items, self.items);
        vm.heap.recharge_list(self.list);
        release_all(&mut vm.heap, other);
        release_all(&mut vm.heap, self.keys);
        release_all(&mut vm.heap, [self.compare, self.key].into_iter().flatten());
        vm.heap.release(Value::List(self.list));
    }

    fn held(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::List(self.list));
        self.items.iter().chain(&self.keys).copied().for_each(&mut *visit);
        [self.compare, self.key].into_iter().flatten().for_each(visit);
    }
}

/// An item and what it is sorted by (the same where there is no key function).
type Pair = (Value, Value);

/// A large sort without program code: chunks are sorted one at a time and then merged, with a check point after each
/// chunk's worth of work.
struct Merge {
    /// What the sort is for; its items and keys are in the runs meanwhile.
    sorter: Box<Sorter>,
    kind: Kind,
    /// Items not looked at yet, last chunk first.
    chunks: Vec<Vec<Pair>>,
    /// Sorted runs of this level that wait to be merged, in order.
    waiting: std::collections::VecDeque<Vec<Pair>>,
    /// Runs of the next level.
    merged: std::collections::VecDeque<Vec<Pair>>,
    /// The merge under way: both runs, positions in them, and the output.
    halves: [Vec<Pair>; 2],
    at: [usize; 2],
    out: Vec<Pair>,
}

impl Merge {
    fn start(mut sorter: Box<Sorter>, vm: &mut Vm) -> NativeReturn {
        let items = std::mem::take(&mut sorter.items);
        let keys = std::mem::take(&mut sorter.keys);
        if let Err(raised) = vm.heap.make_room(items.len().saturating_mul(96)) {
            (sorter.items, sorter.keys) = (items, keys);
            sorter.abandon(vm);
            return Err(raised);
        }
        let by = if sorter.key.is_some() { &keys } else { &items };
        let kind = kind(by);
        let pairs: Vec<Pair> = by.iter().copied().zip(items.iter().copied()).collect();
        let chunks = pairs.chunks(CHUNK).rev().map(<[Pair]>::to_vec).collect();
        Box::new(Merge {
            sorter,
            kind,
            chunks,
            waiting: Default::default(),
            merged: Default::default(),
            halves: Default::default(),
            at: [0; 2],
            out: Vec::new(),
        })
        .resume(vm, Value::None)
    }

    /// One chunk's worth of work; true when all is one run.
    fn step(&mut self, vm: &mut Vm) -> Outcome<bool> {
        if let Some(mut chunk) = self.chunks.pop() {
            let keys: Vec<Value> = chunk.iter().map(|pair| pair.0).collect();
            let order = order_of(vm, &keys);
            if let Ok(order) = &order {
                chunk = order.iter().map(|&at| chunk[at as usize]).collect();
            }
            self.waiting.push_back(chunk);
            return order.map(|_| false);
        }
        let mut budget = CHUNK;
        loop {
            let [left, right] = &self.halves;
            if left.is_empty() && right.is_empty() {
                if self.waiting.len() + self.merged.len() <= 1 {
                    return Ok(true);
                }
                if self.waiting.len() < 2 {
                    // A run without a partner goes up as it is.
                    self.merged.extend(self.waiting.pop_front());
                    std::mem::swap(&mut self.waiting, &mut self.merged);
                    continue;
                }
                self.halves = [
                    self.waiting.pop_front().unwrap_or_default(),
                    self.waiting.pop_front().unwrap_or_default(),
                ];
                self.out = Vec::with_capacity(self.halves[0].len() + self.halves[1].len());
                self.at = [0; 2];
                continue;
            }
            if budget == 0 {
                return Ok(false);
            }
            budget -= 1;
            let side = match (left.get(self.at[0]), right.get(self.at[1])) {
                (Some(a), Some(b)) => usize::from(precedes(vm, self.kind, b.0, a.0)?),
                (Some(_), None) => 0,
                (None, Some(_)) => 1,
                (None, None) => {
                    self.merged.push_back(std::mem::take(&mut self.out));
                    self.halves = Default::default();
                    continue;
                }
            };
            self.out.push(self.halves[side][self.at[side]]);
            self.at[side] += 1;
        }
    }

    /// Gives the items and keys back to the sort, in the order reached.
    fn gather(&mut self) {
        let mut pairs: Vec<Pair> = Vec::new();
        pairs.extend(self.merged.drain(..).flatten());
        pairs.append(&mut self.out);
        for (half, at) in self.halves.iter().zip(self.at) {
            pairs.extend_from_slice(&half[at.min(half.len())..]);
        }
        self.halves = Default::default();
        pairs.extend(self.waiting.drain(..).flatten());
        pairs.extend(self.chunks.drain(..).rev().flatten());
        self.sorter.items = pairs.iter().map(|pair| pair.1).collect();
        if self.sorter.key.is_some() {
            self.sorter.keys = pairs.iter().map(|pair| pair.0).collect();
        }
    }
}

/// Whether `a` is less than `b`, both of a known kind.
fn precedes(vm: &mut Vm, kind: Kind, a: Value, b: Value) -> Outcome<bool> {
    match (kind, a, b) {
        (Kind::Ints, Value::Int(a), Value::Int(b)) => Ok(a < b),
        (Kind::Floats, Value::Float(a), Value::Float(b)) => Ok(a.get() < b.get()),
        (Kind::Strings, Value::Str(a), Value::Str(b)) => Ok(vm.heap.bytes(a) < vm.heap.bytes(b)),
        _ => hook::less(vm, a, b),
    }
}

impl Resume for Merge {
    fn resume(mut self: Box<Self>, vm: &mut Vm, _: Value) -> NativeReturn {
        let done = self.step(vm);
        vm.spend(CHUNK * 4);
        match done {
            Ok(false) => pause(self),
            Ok(true) => {
                self.gather();
                self.sorter.finish(vm)
            }
            Err(raised) => {
                self.abandon(vm);
                Err(raised)
            }
        }
    }
    fn abandon(mut self: Box<Self>, vm: &mut Vm) {
        self.gather();
        self.sorter.abandon(vm);
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        self.sorter.held(visit);
        let keyed = self.sorter.key.is_some();
        let runs = self.chunks.iter().chain(&self.waiting).chain(&self.merged).flatten();
        let halves = self.halves.iter().zip(self.at).flat_map(|(half, at)| &half[at.min(half.len())..]);
        for &(key, item) in runs.chain(&self.out).chain(halves) {
            visit(item);
            if keyed {
                visit(key);
            }
        }
    }
}
