//! Comparisons that may take long: values with many items, or the same items many times over.
//!
//! The machine compares in one go as long as that is quick ([`PATIENCE`]); what takes longer is begun again here, with a
//! stack of levels instead of native recursion and a check point after each [`STEP`].
use super::chain::chain;
use super::stepwise::{self, Search, Wanted};
use crate::heap::{Builtin, Dict, Outcome, Set, Value};
use crate::syntax::ast::CompareOperator as Op;
use crate::vm::native::{pause, value, Flow, NativeReturn, Resume};
use crate::vm::Vm;
use std::cmp::Ordering;

/// Items compared in one go before a comparison is done in steps.
pub const PATIENCE: i64 = 30_000;
/// Items compared between two check points.
const STEP: i64 = 100_000;
/// Bytes of text that are as much work as an item.
const BYTES_PER_ITEM: usize = 64;

/// What is asked about two values.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// A comparison operator: a bool.
    Operator(Op),
    /// `cmp`: -1, 0 or 1.
    Cmp,
}

/// Asks it for a native. Borrows both values.
pub fn compare(vm: &mut Vm, question: Question, a: Value, b: Value) -> NativeReturn {
    vm.patience = PATIENCE;
    let answer = match question {
        Question::Operator(operator) => vm.compare(operator, a, b).map(Value::bool),
        Question::Cmp => vm.order(a, b).map(order_value),
    };
    let left = std::mem::replace(&mut vm.patience, i64::MAX);
    match answer {
        Ok(answer) => value(answer),
        Err(raised) if left < 0 => {
            let exception = vm.heap.take_raised(raised);
            vm.heap.release(exception);
            in_steps(vm, question, a, b)
        }
        Err(raised) => Err(raised),
    }
}

/// [`compare`] with an operator, where the answer is mostly there at once: `Err` is a flow that gives it later.
pub fn ask(vm: &mut Vm, operator: Op, a: Value, b: Value) -> Outcome<Result<bool, Flow>> {
    match compare(vm, Question::Operator(operator), a, b)? {
        Flow::Value(Value::Bool(answer)) => Ok(Ok(answer.get())),
        flow => Ok(Err(flow)),
    }
}

/// The answer of an instruction that has to wait: kept in the machine, and the instruction is run again.
pub fn for_instruction(vm: &mut Vm, operator: Op, a: Value, b: Value) -> NativeReturn {
    let flow = in_steps(vm, Question::Operator(operator), a, b);
    match flow {
        Err(raised) => Memo.fail(vm, raised),
        Ok(Flow::Value(answer)) => Box::new(Memo).resume(vm, answer),
        Ok(flow) => Ok(Flow::Yield(Box::new(Box::new(Kept(Some(flow)))))),
    }
}

/// Whether `item in container` is better done in steps from the start.
pub fn is_long_search(vm: &Vm, operator: Op, item: Value, container: Value) -> bool {
    match (operator, item, container) {
        (Op::In | Op::NotIn, Value::Str(part), Value::Str(text)) => {
            let width = vm.heap.bytes(part).len();
            stepwise::is_large(vm.heap.bytes(text).len()) && (1..stepwise::BYTES).contains(&width)
        }
        _ => false,
    }
}

/// Puts the answer where the instruction looks for it.
struct Memo;

impl Memo {
    fn fail(self, vm: &mut Vm, raised: crate::heap::Raised) -> NativeReturn {
        let exception = vm.heap.take_raised(raised);
        vm.compared = Some(Err(exception));
        value(Value::None)
    }
}

impl Resume for Memo {
    fn resume(self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        vm.compared = Some(Ok(matches!(result, Value::Bool(yes) if yes.get())));
        value(Value::None)
    }
    fn abandon(self: Box<Self>, _: &mut Vm) {}
    fn held(&self, _: &mut dyn FnMut(Value)) {}
}

/// Work for an instruction: exceptions are kept for it as well.
struct Kept(Option<Flow>);

impl Resume for Kept {
    fn resume(mut self: Box<Self>, vm: &mut Vm, _: Value) -> NativeReturn {
        let Some(Flow::Yield(work)) = self.0.take() else { return value(Value::None) };
        match work.resume(vm, Value::None) {
            Err(raised) => Memo.fail(vm, raised),
            Ok(Flow::Value(answer)) => Box::new(Memo).resume(vm, answer),
            Ok(flow) => {
                self.0 = Some(flow);
                pause(self)
            }
        }
    }
    fn abandon(self: Box<Self>, vm: &mut Vm) {
        if let Some(Flow::Yield(work)) = self.0 {
            work.abandon(vm);
        }
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        if let Some(Flow::Yield(work)) = &self.0 {
            work.held(visit);
        }
    }
}

fn order_value(order: Ordering) -> Value {
    Value::Int(match order {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    })
}

fn in_steps(vm: &mut Vm, question: Question, a: Value, b: Value) -> NativeReturn {
    let mut comparing = Box::new(Comparing { question, levels: Vec::new(), above: 0 });
    if let Question::Operator(operator @ (Op::In | Op::NotIn)) = question {
        let container = vm.unwrap_payload(b);
        if let (Value::Str(text), Value::Str(part)) = (container, vm.unwrap_payload(a)) {
            let search = Search::new(vm, text, part, Wanted::First, 0, vm.heap.bytes(text).len());
            let flow = stepwise::start(vm, search);
            return chain(vm, flow, Box::new(Found(operator == Op::NotIn)));
        }
        vm.heap.retain(container);
        vm.heap.retain(a);
        comparing.levels.push(Level::Members { container, item: a, at: 0 });
        return comparing.resume(vm, Value::None);
    }
    match comparing.begin(vm, a, b) {
        Ok(Some(answer)) => value(answer),
        Ok(None) => comparing.resume(vm, Value::None),
        Err(raised) => Err(raised),
    }
}

/// Whether a search has found something.
struct Found(bool);

impl Resume for Found {
    fn resume(self: Box<Self>, _: &mut Vm, result: Value) -> NativeReturn {
        value(Value::bool((result.as_int() >= Some(0)) != self.0))
    }
    fn abandon(self: Box<Self>, _: &mut Vm) {}
    fn held(&self, _: &mut dyn FnMut(Value)) {}
}

/// Two containers that are compared for equality, or the one a value is looked for in. All shares are owned.
enum Level {
    /// Both lists or both tuples.
    Sequences {
        a: Value,
        b: Value,
        at: usize,
    },
    Dicts {
        a: Dict,
        b: Dict,
        at: usize,
    },
    Sets {
        a: Set,
        b: Set,
        at: usize,
    },
    /// The lowest level of `in`.
    Members {
        container: Value,
        item: Value,
        at: usize,
    },
}

enum Next {
    Pair(Value, Value),
    /// All were equal.
    End,
    /// They differ, whatever follows.
    Different,
    /// Go on with the same level.
    Again,
}

fn items(vm: &Vm, sequence: Value) -> &[Value] {
    match sequence {
        Value::List(list) => vm.heap.list(list),
        Value::Tuple(tuple) => vm.heap.tuple(tuple),
        _ => &[],
    }
}

impl Level {
    fn owned(&self) -> [Value; 2] {
        match *self {
            Level::Sequences { a, b, .. } => [a, b],
            Level::Dicts { a, b, .. } => [Value::Dict(a), Value::Dict(b)],
            Level::Sets { a, b, .. } => [Value::Set(a), Value::Set(b)],
            Level::Members { container, item, .. } => [container, item],
        }
    }

    fn next(&mut self, vm: &Vm) -> Next {
        match self {
            Level::Sequences { a, b, at } => {
                let pair = (items(vm, *a).get(*at), items(vm, *b).get(*at));
                *at += 1;
                match pair {
                    (Some(&x), Some(&y)) => Next::Pair(x, y),
                    _ => Next::End,
                }
            }
            Level::Dicts { a, b, at } => {
                let Some(entry) = vm.heap.dicts[*a].table.slots().get(*at) else { return Next::End };
                *at += 1;
                if entry.key.is_unset() {
                    return Next::Again;
                }
                let other = &vm.heap.dicts[*b].table;
                match other.find(&vm.heap, entry.hash, entry.key) {
                    Some(position) => Next::Pair(entry.value, other.value(position)),
                    None => Next::Different,
                }
            }
            Level::Sets { a, b, at } => {
                let Some(entry) = vm.heap.sets[*a].table.slots().get(*at) else { return Next::End };
                *at += 1;
                if entry.key.is_unset() {
                    return Next::Again;
                }
                match vm.heap.sets[*b].table.find(&vm.heap, entry.hash, entry.key) {
                    Some(_) => Next::Again,
                    None => Next::Different,
                }
            }
            Level::Members { container, item, at } => match items(vm, *container).get(*at) {
                Some(&member) => {
                    *at += 1;
                    Next::Pair(member, *item)
                }
                None => Next::End,
            },
        }
    }
}

/// A comparison under way.
struct Comparing {
    question: Question,
    levels: Vec<Level>,
    /// Levels that led to the lowest one, when items that differ were compared in their turn.
    above: usize,
}

impl Comparing {
    /// Begins with two values that no level holds yet; the answer if it is there at once.
    fn begin(&mut self, vm: &mut Vm, a: Value, b: Value) -> Outcome<Option<Value>> {
        let (x, y) = (vm.unwrap_payload(a), vm.unwrap_payload(b));
        let equality = matches!(self.question, Question::Operator(Op::Equal | Op::NotEqual));
        if !equality {
            if let (Value::List(_), Value::List(_)) | (Value::Tuple(_), Value::Tuple(_)) = (x, y) {
                self.push(vm, Level::Sequences { a: x, b: y, at: 0 })?;
                return Ok(None);
            }
            return Ok(Some(match self.question {
                Question::Operator(operator) => Value::bool(vm.compare(operator, a, b)?),
                Question::Cmp => order_value(vm.order(a, b)?),
            }));
        }
        let answer = self.open(vm, a, b)?;
        Ok(answer.map(|equal| self.equality(equal)))
    }

    /// Takes a share of both.
    fn push(&mut self, vm: &mut Vm, level: Level) -> Outcome<()> {
        if self.levels.len() + self.above + vm.depth > crate::vm::RECURSION_LIMIT {
            return Err(vm.heap.raise(Builtin::RuntimeError, "maximum recursion depth exceeded in cmp"));
        }
        level.owned().into_iter().for_each(|share| vm.heap.retain(share));
        self.levels.push(level);
        Ok(())
    }

    /// Whether two values are equal, if that is quick; else there is one more level.
    fn open(&mut self, vm: &mut Vm, a: Value, b: Value) -> Outcome<Option<bool>> {
        if a.same(b) {
            return Ok(Some(true));
        }
        let (x, y) = (vm.unwrap_payload(a), vm.unwrap_payload(b));
        let (same_size, level) = match (x, y) {
            (Value::List(_), Value::List(_)) | (Value::Tuple(_), Value::Tuple(_)) => {
                (items(vm, x).len() == items(vm, y).len(), Level::Sequences { a: x, b: y, at: 0 })
            }
            (Value::Set(x), Value::Set(y)) => {
                let size = |set| vm.heap.sets[set].table.len();
                (size(x) == size(y), Level::Sets { a: x, b: y, at: 0 })
            }
            _ => match (vm.as_dict(x), vm.as_dict(y)) {
                (Some(x), Some(y)) => {
                    let size = |dict| vm.heap.dicts[dict].table.len();
                    (size(x) == size(y), Level::Dicts { a: x, b: y, at: 0 })
                }
                _ => return vm.equal(a, b).map(Some),
            },
        };
        if !same_size {
            return Ok(Some(false));
        }
        self.push(vm, level)?;
        Ok(None)
    }

    fn equality(&self, equal: bool) -> Value {
        let wanted = !matches!(self.question, Question::Operator(Op::NotEqual | Op::NotIn));
        Value::bool(equal == wanted)
    }

    fn pop(&mut self, vm: &mut Vm) {
        if let Some(level) = self.levels.pop() {
            level.owned().into_iter().for_each(|share| vm.heap.release(share));
        }
    }

    /// Compares for a step: the answer when it is known.
    fn step(&mut self, vm: &mut Vm) -> Outcome<Option<Value>> {
        let mut left = STEP;
        while left > 0 {
            left -= 1;
            let Some(level) = self.levels.last_mut() else { return Ok(Some(self.equality(true))) };
            let next = level.next(vm);
            let mut equal = match next {
                Next::Again => continue,
                Next::Pair(x, y) => {
                    if let (Value::Str(x), Value::Str(y)) = (x, y) {
                        let size = vm.heap.bytes(x).len();
                        left -=
                            if size == vm.heap.bytes(y).len() { (size / BYTES_PER_ITEM) as i64 } else { 0 };
                    }
                    match self.open(vm, x, y)? {
                        Some(equal) => equal,
                        None => continue,
                    }
                }
                Next::Different => {
                    self.pop(vm);
                    false
                }
                Next::End => {
                    if self.levels.len() == 1 {
                        return self.ended(vm).map(Some);
                    }
                    self.pop(vm);
                    true
                }
            };
            // The verdict on an item of the level that is on top now.
            loop {
                match self.levels.last() {
                    None => return Ok(Some(self.equality(equal))),
                    Some(Level::Members { .. }) if equal => return Ok(Some(self.equality(true))),
                    Some(Level::Members { .. }) => break,
                    Some(_) if equal => break,
                    Some(&Level::Sequences { a, b, at }) if self.levels.len() == 1 && self.is_order() => {
                        match self.differ(vm, a, b, at - 1)? {
                            Some(answer) => return Ok(Some(answer)),
                            None => break,
                        }
                    }
                    Some(_) => {
                        self.pop(vm);
                        equal = false;
                    }
                }
            }
        }
        Ok(None)
    }

    fn is_order(&self) -> bool {
        !matches!(self.question, Question::Operator(Op::Equal | Op::NotEqual | Op::In | Op::NotIn))
    }

    /// The lowest level has come to its end without a difference.
    fn ended(&self, vm: &Vm) -> Outcome<Value> {
        let order = match self.levels.first() {
            Some(Level::Members { .. }) => return Ok(self.equality(false)),
            Some(Level::Sequences { a, b, .. }) if self.is_order() => {
                items(vm, *a).len().cmp(&items(vm, *b).len())
            }
            _ => return Ok(self.equality(true)),
        };
        Ok(match self.question {
            Question::Cmp => order_value(order),
            Question::Operator(Op::Less) => Value::bool(order == Ordering::Less),
            Question::Operator(Op::LessEqual) => Value::bool(order != Ordering::Greater),
            Question::Operator(Op::Greater) => Value::bool(order == Ordering::Greater),
            Question::Operator(_) => Value::bool(order != Ordering::Less),
        })
    }

    /// The items at a position differ: they decide the order.
    fn differ(&mut self, vm: &mut Vm, a: Value, b: Value, at: usize) -> Outcome<Option<Value>> {
        let (Some(&x), Some(&y)) = (items(vm, a).get(at), items(vm, b).get(at)) else {
            return self.ended(vm).map(Some);
        };
        vm.heap.retain(x);
        vm.heap.retain(y);
        self.pop(vm);
        self.above += 1;
        let answer = self.begin(vm, x, y);
        vm.heap.release(x);
        vm.heap.release(y);
        answer
    }
}

impl Resume for Comparing {
    fn resume(mut self: Box<Self>, vm: &mut Vm, _: Value) -> NativeReturn {
        match self.step(vm) {
            Ok(Some(answer)) => {
                self.abandon(vm);
                value(answer)
            }
            Ok(None) => {
                vm.spend(stepwise::STEP_COST);
                pause(self)
            }
            Err(raised) => {
                self.abandon(vm);
                Err(raised)
            }
        }
    }
    fn abandon(mut self: Box<Self>, vm: &mut Vm) {
        while !self.levels.is_empty() {
            self.pop(vm);
        }
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        self.levels.iter().flat_map(Level::owned).for_each(visit);
    }
}
