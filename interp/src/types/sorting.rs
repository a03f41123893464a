//! `list.sort`: directly for values of one simple kind, by the merge sort of the kernel otherwise, and with calls of the
//! program's `key` and `cmp` functions where there are some.
use super::chain::chain_pending;
use super::hook;
use super::kernel::sort::{sort_now, SortMachine, SortStep};
use super::lists::{keyword, only_keywords, this};
use super::support::{fail, release_all, small_integer_argument, type_name};
use crate::heap::{Builtin, Heap, List, Outcome, Value};
use crate::vm::native::{call, pause, value, Args, CallArgs, Flow, NativeReturn, Resume};
use crate::vm::Vm;
use std::cell::RefCell;

/// Most items sorted in one step.
const CHUNK: usize = 16 << 10;

/// `list.sort(cmp=None, key=None, reverse=False)`
pub fn sort(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let list = this(vm, &args)?;
    only_keywords(vm, &args, &["cmp", "key", "reverse"])?;
    let argument = |at: usize, name: &str| args.get(at).or_else(|| keyword(vm, &args, name));
    let callable = |given: Option<Value>| given.filter(|given| !given.is_none());
    let (compare, key) = (callable(argument(1, "cmp")), callable(argument(2, "key")));
    let reverse = argument(3, "reverse");
    let reverse = match reverse {
        Some(given) => small_integer_argument(vm, given)? != 0,
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
    let sorter =
        Sorter { list, items, keys: Vec::new(), compare, key, reverse, machine: None, paused: false };
    Box::new(sorter).go_on(vm, None)
}

/// Sorts values among which only built-in comparisons happen.
pub fn sort_plain(vm: &mut Vm, items: &mut Vec<Value>, reverse: bool) -> Outcome<()> {
    if reverse {
        items.reverse();
    }
    let order = match kind(&vm.heap, items) {
        Kind::Ints => {
            items.sort_by_key(|item| item.as_int().unwrap_or(0));
            Ok(())
        }
        kind => {
            let mut entries: Vec<Entry> =
                items.iter().map(|&item| entry(&vm.heap, kind, item, item)).collect();
            let sorted = sort_entries(vm, kind, &mut entries);
            items.clear();
            items.extend(entries.iter().map(|entry| entry.item));
            sorted
        }
    };
    vm.spend(items.len() * (items.len().max(2).ilog2() as usize) / 8);
    if reverse {
        items.reverse();
    }
    order
}

/// What the keys have in common.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ints,
    /// No NaN among them.
    Floats,
    Strings,
    /// Pairs of ints.
    IntPairs,
    /// Tuples that begin with an int.
    IntTuples,
    /// Tuples that begin with a string.
    StringTuples,
    Mixed,
}

fn first_kind(heap: &Heap, item: Value) -> Kind {
    match item {
        Value::Int(_) => Kind::Ints,
        Value::Float(x) if !x.get().is_nan() => Kind::Floats,
        Value::Str(_) => Kind::Strings,
        Value::Tuple(tuple) => match heap.tuple(tuple) {
            [Value::Int(_), Value::Int(_)] => Kind::IntPairs,
            [Value::Int(_), ..] => Kind::IntTuples,
            [Value::Str(_), ..] => Kind::StringTuples,
            _ => Kind::Mixed,
        },
        _ => Kind::Mixed,
    }
}

fn kind(heap: &Heap, items: &[Value]) -> Kind {
    let mut items = items.iter();
    let mut kind = items.next().map_or(Kind::Ints, |&first| first_kind(heap, first));
    for &item in items {
        kind = kind.with(first_kind(heap, item));
        if kind == Kind::Mixed {
            break;
        }
    }
    kind
}

impl Kind {
    /// What keys of both kinds have in common.
    #[inline]
    fn with(self, other: Kind) -> Kind {
        match (self, other) {
            _ if self == other => self,
            (Kind::IntPairs | Kind::IntTuples, Kind::IntPairs | Kind::IntTuples) => Kind::IntTuples,
            _ => Kind::Mixed,
        }
    }
}

#[inline]
fn bytes(heap: &Heap, item: Value) -> &[u8] {
    match item {
        Value::Str(text) => heap.bytes(text),
        _ => &[],
    }
}

/// An item, what it is sorted by (the same where there is no key function), and a number that orders keys of the same
/// kind wherever it differs.
#[derive(Clone, Copy)]
struct Entry {
    rank: u64,
    /// The second number of a pair.
    second: u64,
    key: Value,
    item: Value,
}

fn entry(heap: &Heap, kind: Kind, key: Value, item: Value) -> Entry {
    const SIGN: u64 = 1 << 63;
    if let (Kind::IntPairs, Value::Tuple(tuple)) = (kind, key) {
        if let [Value::Int(first), Value::Int(second)] = *heap.tuple(tuple) {
            return Entry { rank: first as u64 ^ SIGN, second: second as u64 ^ SIGN, key, item };
        }
    }
    let first = match (kind, key) {
        (Kind::IntTuples | Kind::StringTuples, Value::Tuple(tuple)) => {
            heap.tuple(tuple).first().copied().unwrap_or(Value::None)
        }
        _ => key,
    };
    let rank = match first {
        _ if kind == Kind::Mixed => 0,
        Value::Int(i) => i as u64 ^ SIGN,
        Value::Str(text) => prefix(heap.bytes(text)),
        // The order of the bits, negative numbers turned around; both zeros are one.
        Value::Float(x) => {
            let bits = (x.get() + 0.0).to_bits();
            if bits & SIGN == 0 {
                bits | SIGN
            } else {
                !bits
            }
        }
        _ => 0,
    };
    Entry { rank, second: 0, key, item }
}

/// The first eight bytes as a number that orders the same way (shorter texts are padded with zeros, so equal prefixes
/// are compared in full).
fn prefix(text: &[u8]) -> u64 {
    let mut first = [0u8; 8];
    let length = text.len().min(8);
    first[..length].copy_from_slice(&text[..length]);
    u64::from_be_bytes(first)
}

/// Whether `a` comes before `b`.
#[inline]
fn precedes(vm: &mut Vm, kind: Kind, a: &Entry, b: &Entry) -> Outcome<bool> {
    if a.rank != b.rank {
        return Ok(a.rank < b.rank);
    }
    match kind {
        Kind::Ints | Kind::Floats => Ok(false),
        Kind::IntPairs => Ok(a.second < b.second),
        Kind::Strings => Ok(bytes(&vm.heap, a.key) < bytes(&vm.heap, b.key)),
        _ => hook::less(vm, a.key, b.key),
    }
}

/// Sorts entries of one kind, stably.
fn sort_entries(vm: &mut Vm, kind: Kind, entries: &mut Vec<Entry>) -> Outcome<()> {
    match kind {
        Kind::Ints | Kind::Floats => {
            entries.sort_by_key(|entry| entry.rank);
            Ok(())
        }
        Kind::Strings => {
            let heap = &vm.heap;
            entries
                .sort_by(|a, b| a.rank.cmp(&b.rank).then_with(|| bytes(heap, a.key).cmp(bytes(heap, b.key))));
            Ok(())
        }
        Kind::IntPairs => {
            entries.sort_by_key(|entry| (entry.rank, entry.second));
            Ok(())
        }
        Kind::IntTuples | Kind::StringTuples => {
            // What follows the first items may be in no order at all (NaN), which the library's sort does not forgive.
            merge_sort(entries, |a, b| precedes(vm, kind, a, b))
        }
        Kind::Mixed => {
            let cell = RefCell::new(vm);
            let order = sort_now(entries.len(), |a, b| {
                hook::less(&mut cell.borrow_mut(), entries[a as usize].key, entries[b as usize].key)
            })?;
            *entries = order.into_iter().map(|at| entries[at as usize]).collect();
            Ok(())
        }
    }
}

/// A stable merge sort whose comparison may fail and need not be consistent.
fn merge_sort(
    entries: &mut Vec<Entry>,
    mut less: impl FnMut(&Entry, &Entry) -> Outcome<bool>,
) -> Outcome<()> {
    const RUN: usize = 16;
    for run in entries.chunks_mut(RUN) {
        for at in 1..run.len() {
            let moving = run[at];
            let mut to = at;
            while to > 0 && less(&moving, &run[to - 1])? {
                to -= 1;
            }
            run.copy_within(to..at, to + 1);
            run[to] = moving;
        }
    }
    let mut spare: Vec<Entry> = Vec::with_capacity(entries.len());
    let mut width = RUN;
    while width < entries.len() {
        spare.clear();
        for pair in entries.chunks(width * 2) {
            let (left, right) = pair.split_at(width.min(pair.len()));
            let (mut a, mut b) = (0, 0);
            if right.is_empty() || !less(&right[0], &left[left.len() - 1])? {
                spare.extend_from_slice(pair);
                continue;
            }
            while a < left.len() && b < right.len() {
                if less(&right[b], &left[a])? {
                    spare.push(right[b]);
                    b += 1;
                } else {
                    spare.push(left[a]);
                    a += 1;
                }
            }
            spare.extend_from_slice(&left[a..]);
            spare.extend_from_slice(&right[b..]);
        }
        std::mem::swap(entries, &mut spare);
        width *= 2;
    }
    Ok(())
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
    /// It let others run and has no key to take.
    paused: bool,
}

impl Sorter {
    fn go_on(mut self: Box<Self>, vm: &mut Vm, answer: Option<bool>) -> NativeReturn {
        if let Some(key) = self.key {
            while self.keys.len() < self.items.len() {
                let item = self.items[self.keys.len()];
                let rested = std::mem::take(&mut self.paused);
                if vm.is_tired() && !rested {
                    self.paused = true;
                    return pause(self);
                }
                let Some(result) = hook::direct(vm, key, &[item]) else {
                    vm.heap.retain(item);
                    return call(vm.heap.share(key), CallArgs::One(item), self);
                };
                match result {
                    Ok(Flow::Value(result)) => self.keys.push(result),
                    Ok(flow) => return Ok(chain_pending(flow, self)),
                    Err(raised) => {
                        self.abandon(vm);
                        return Err(raised);
                    }
                }
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
                let keyed = self.key.is_some();
                let by = if keyed { &self.keys } else { &self.items };
                let kind = kind(&vm.heap, by);
                let mut entries: Vec<Entry> = by
                    .iter()
                    .zip(&self.items)
                    .map(|(&key, &item)| entry(&vm.heap, kind, key, item))
                    .collect();
                let sorted = sort_entries(vm, kind, &mut entries);
                vm.spend(entries.len());
                self.items = entries.iter().map(|entry| entry.item).collect();
                if keyed {
                    self.keys = entries.iter().map(|entry| entry.key).collect();
                }
                return match sorted {
                    Ok(()) => self.finish(vm),
                    Err(raised) => {
                        self.abandon(vm);
                        Err(raised)
                    }
                };
            }
            Some(compare) => {
                let count = self.items.len();
                let mut answer = answer;
                loop {
                    let machine = self.machine.get_or_insert_with(|| SortMachine::new(count));
                    let (a, b) = match machine.advance(answer) {
                        SortStep::Done(order) => break order,
                        SortStep::Compare(a, b) => (a as usize, b as usize),
                    };
                    let values = if self.key.is_some() { &self.keys } else { &self.items };
                    let (a, b) = (values[a], values[b]);
                    // The short way of a built-in gives an int at once; the turn of others comes by a call.
                    if let (false, Some(order)) = (vm.is_tired(), quick_order(vm, compare, a, b)) {
                        answer = Some(order < 0);
                        continue;
                    }
                    let arguments = CallArgs::Two(vm.heap.share(a), vm.heap.share(b));
                    return call(vm.heap.share(compare), arguments, self);
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

/// What a built-in comparison function says by its short way.
fn quick_order(vm: &mut Vm, compare: Value, a: Value, b: Value) -> Option<i64> {
    let Value::Native(native) = compare else { return None };
    let row = vm.native(native);
    // A method might change something.
    let quick = row.quick.filter(|_| !row.method)?;
    vm.spend(1);
    match quick(vm, &mut [a, b]) {
        Value::Int(order) => Some(order),
        other => {
            vm.heap.release(other);
            None
        }
    }
}

impl Resume for Sorter {
    fn resume(mut self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        if self.key.is_some() && self.keys.len() < self.items.len() {
            if self.paused {
                return self.go_on(vm, None);
            }
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

/// A large sort without program code: chunks are sorted one at a time and then merged, with a check point after each
/// chunk's worth of work.
struct Merge {
    /// What the sort is for; its items and keys are in the runs meanwhile.
    sorter: Box<Sorter>,
    /// What the keys looked at so far have in common, and how many that are.
    kind: Kind,
    known: usize,
    /// The items and keys (empty without a key function) of the sort, and how many have gone into runs.
    items: Vec<Value>,
    keys: Vec<Value>,
    taken: usize,
    /// Sorted runs of this level that wait to be merged, in order.
    waiting: std::collections::VecDeque<Vec<Entry>>,
    /// Runs of the next level.
    merged: std::collections::VecDeque<Vec<Entry>>,
    /// The merge under way: both runs, positions in them, and the output.
    halves: [Vec<Entry>; 2],
    at: [usize; 2],
    out: Vec<Entry>,
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
        Box::new(Merge {
            sorter,
            kind: Kind::Ints,
            known: 0,
            items,
            keys,
            taken: 0,
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
        let by = if self.sorter.key.is_some() { &self.keys } else { &self.items };
        if self.known < by.len() {
            // First the kind of all keys.
            let end = by.len().min(self.known + 4 * CHUNK);
            let found = kind(&vm.heap, &by[self.known..end]);
            self.kind = if self.known == 0 { found } else { self.kind.with(found) };
            self.known = end;
            return Ok(false);
        }
        if self.taken < by.len() {
            let range = self.taken..by.len().min(self.taken + CHUNK);
            let pairs = by[range.clone()].iter().zip(&self.items[range.clone()]);
            let mut chunk: Vec<Entry> =
                pairs.map(|(&key, &item)| entry(&vm.heap, self.kind, key, item)).collect();
            self.taken = range.end;
            let sorted = sort_entries(vm, self.kind, &mut chunk);
            self.waiting.push_back(chunk);
            return sorted.map(|()| false);
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
                (Some(a), Some(b)) => usize::from(precedes(vm, self.kind, b, a)?),
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
        let halves = self.halves.iter().zip(self.at).flat_map(|(half, at)| &half[at.min(half.len())..]);
        let order =
            self.merged.iter().flatten().chain(&self.out).chain(halves).chain(self.waiting.iter().flatten());
        // The vectors are used again: those in front of `taken` are in the runs, the others are still in place.
        if self.sorter.key.is_some() {
            for ((item, key), entry) in self.items.iter_mut().zip(&mut self.keys).zip(order) {
                (*item, *key) = (entry.item, entry.key);
            }
        } else {
            for (item, entry) in self.items.iter_mut().zip(order) {
                *item = entry.item;
            }
        }
        self.sorter.items = std::mem::take(&mut self.items);
        self.sorter.keys = std::mem::take(&mut self.keys);
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
        // Every value is in these two, whatever runs it has gone into.
        self.items.iter().chain(&self.keys).copied().for_each(visit);
    }
}
