//! `map`, `filter`, `reduce`, `min`, `max` and `sum`: the functions that call a function for every item.
use crate::heap::{Builtin, Outcome, Value};
use crate::syntax::ast::{BinaryOperator, CompareOperator};
use crate::types::chain::chain_pending;
use crate::types::support::{fail, release_all, unpack};
use crate::types::{self, comparing, hook};
use crate::vm::native::{call, pause, value, Args, CallArgs, CallRequest, Flow, NativeReturn, Resume};
use crate::vm::Vm;

/// Items to go through: a list is read as it is at each step (the function may change it), what cannot change is read
/// in place, other iterables are read at the start.
enum Source {
    /// A list, tuple, str or xrange: owned.
    Sequence(Value),
    /// Items, owned.
    Items(Vec<Value>),
}

impl Source {
    fn new(vm: &mut Vm, iterable: Value) -> Outcome<Source> {
        if let Value::List(_) | Value::Tuple(_) | Value::Str(_) | Value::XRange(_) = iterable {
            return Ok(Source::Sequence(vm.heap.share(iterable)));
        }
        Ok(Source::Items(hook::collect(vm, iterable)?))
    }

    /// The item at a position, borrowed.
    fn get(&self, vm: &Vm, at: usize) -> Option<Value> {
        match self {
            Source::Sequence(Value::List(list)) => vm.heap.list(*list).get(at).copied(),
            Source::Sequence(Value::Tuple(tuple)) => vm.heap.tuple(*tuple).get(at).copied(),
            Source::Sequence(Value::Str(text)) => {
                vm.heap.bytes(*text).get(at).map(|&byte| Value::Str(vm.heap.byte_str(byte)))
            }
            Source::Sequence(Value::XRange(range)) => {
                let data = vm.heap.xranges[*range];
                let inside = (at as i64) < data.length;
                inside.then(|| Value::Int(data.start.wrapping_add(data.step.wrapping_mul(at as i64))))
            }
            Source::Sequence(_) => None,
            Source::Items(items) => items.get(at).copied(),
        }
    }

    fn release(self, vm: &mut Vm) {
        match self {
            Source::Sequence(sequence) => vm.heap.release(sequence),
            Source::Items(items) => release_all(&mut vm.heap, items),
        }
    }

    fn held(&self, visit: &mut dyn FnMut(Value)) {
        match self {
            Source::Sequence(sequence) => visit(*sequence),
            Source::Items(items) => items.iter().copied().for_each(visit),
        }
    }
}

/// Whether a loop that has come to this position is to let others run; counts the steps.
fn is_due(vm: &mut Vm, at: usize) -> bool {
    const STEPS: usize = 256;
    if !at.is_multiple_of(STEPS) {
        return false;
    }
    vm.spend(STEPS / 4);
    vm.is_tired()
}

/// Grows `out` by one with a check of the memory limit now and then.
fn push(vm: &mut Vm, out: &mut Vec<Value>, item: Value) -> Outcome<()> {
    if out.len() == out.capacity() {
        if let Err(raised) = vm.heap.make_room(out.len().max(4).saturating_mul(32)) {
            vm.heap.release(item);
            return Err(raised);
        }
        vm.spend(out.len() / 16);
    }
    out.push(item);
    Ok(())
}

/// Sequences that `map` goes through without a vector for each row.
const FEW_SOURCES: usize = 4;

struct Map {
    /// Owned; `Unset` for `None`.
    function: Value,
    sources: Vec<Source>,
    at: usize,
    out: Vec<Value>,
    /// It let others run and has no result to take.
    paused: bool,
}

/// `map(function, sequence, …)`
pub fn map(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let Some((&function, iterables)) = args.positional.split_first().filter(|(_, rest)| !rest.is_empty())
    else {
        return fail(vm, Builtin::TypeError, "map() requires at least two args");
    };
    let mut sources = Vec::with_capacity(iterables.len());
    for (at, &iterable) in iterables.iter().enumerate() {
        match Source::new(vm, iterable) {
            Ok(source) => sources.push(source),
            Err(raised) => {
                sources.into_iter().for_each(|source| source.release(vm));
                let exception = vm.heap.peek_raised(&raised);
                let alone = function.is_none() && iterables.len() == 1;
                if vm.heap.is_instance(exception, Builtin::TypeError.class()) && !alone {
                    let text = format!("argument {} to map() must support iteration", at + 2);
                    return fail(vm, Builtin::TypeError, text);
                }
                return Err(raised);
            }
        }
    }
    let function = if function.is_none() { Value::Unset } else { vm.heap.share(function) };
    Box::new(Map { function, sources, at: 0, out: Vec::new(), paused: false }).go_on(vm)
}

impl Map {
    fn go_on(mut self: Box<Self>, vm: &mut Vm) -> NativeReturn {
        loop {
            if is_due(vm, self.at) && !std::mem::take(&mut self.paused) {
                self.paused = true;
                return pause(self);
            }
            self.paused = false;
            if let ([source], false) = (&self.sources[..], self.function.is_unset()) {
                // One sequence and a built-in function: no call need be set up.
                let Some(item) = source.get(vm, self.at) else { return self.end(vm) };
                vm.heap.retain(item);
                let result = hook::direct(vm, self.function, &[item]);
                self.at += 1;
                let Some(result) = result else {
                    return call(vm.heap.share(self.function), CallArgs::One(item), self);
                };
                vm.heap.release(item);
                let pushed = match result {
                    Ok(Flow::Value(result)) => push(vm, &mut self.out, result),
                    Ok(flow) => return Ok(chain_pending(flow, self)),
                    Err(raised) => Err(raised),
                };
                if let Err(raised) = pushed {
                    self.abandon(vm);
                    return Err(raised);
                }
                if vm.is_tired() {
                    self.paused = true;
                    return pause(self);
                }
                continue;
            }
            let mut few = [Value::None; FEW_SOURCES];
            let mut many = Vec::new();
            let row = match few.get_mut(..self.sources.len()) {
                Some(row) => row,
                None => {
                    many.resize(self.sources.len(), Value::None);
                    &mut many[..]
                }
            };
            let mut ended = true;
            for (place, source) in row.iter_mut().zip(&self.sources) {
                if let Some(item) = source.get(vm, self.at) {
                    *place = vm.heap.share(item);
                    ended = false;
                }
            }
            if ended {
                return self.end(vm);
            }
            self.at += 1;
            let item = match (self.function, &*row) {
                (Value::Unset, [one]) => *one,
                (Value::Unset, row) => vm.heap.new_tuple(row),
                (function, row) => match hook::direct(vm, function, row) {
                    Some(result) => {
                        row.iter().for_each(|item| vm.heap.release(*item));
                        match result {
                            Ok(Flow::Value(result)) => result,
                            Ok(flow) => return Ok(chain_pending(flow, self)),
                            Err(raised) => {
                                self.abandon(vm);
                                return Err(raised);
                            }
                        }
                    }
                    None => {
                        let args = match *row {
                            [first, second] => CallArgs::Two(first, second),
                            _ => CallArgs::Many(row.to_vec()),
                        };
                        return call(vm.heap.share(function), args, self);
                    }
                },
            };
            if let Err(raised) = push(vm, &mut self.out, item) {
                self.abandon(vm);
                return Err(raised);
            }
            if vm.is_tired() {
                self.paused = true;
                return pause(self);
            }
        }
    }
}

impl Map {
    fn end(mut self: Box<Self>, vm: &mut Vm) -> NativeReturn {
        let out = std::mem::take(&mut self.out);
        self.abandon(vm);
        value(vm.heap.new_list(out))
    }
}

impl Resume for Map {
    fn resume(mut self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        if self.paused {
            return self.go_on(vm);
        }
        if let Err(raised) = push(vm, &mut self.out, result) {
            self.abandon(vm);
            return Err(raised);
        }
        self.go_on(vm)
    }
    fn abandon(self: Box<Self>, vm: &mut Vm) {
        vm.heap.release(self.function);
        release_all(&mut vm.heap, self.out);
        self.sources.into_iter().for_each(|source| source.release(vm));
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        visit(self.function);
        self.out.iter().copied().for_each(&mut *visit);
        self.sources.iter().for_each(|source| source.held(visit));
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    List,
    Tuple,
    Str,
}

struct Filter {
    /// Owned; `Unset` for `None`.
    function: Value,
    source: Source,
    at: usize,
    out: Vec<Value>,
    /// What a str is filtered to.
    text: Vec<u8>,
    kept: Kept,
    /// It let others run and has no verdict to take.
    paused: bool,
}

/// `filter(function, sequence)`
pub fn filter(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    unpack(vm, "filter", args.positional.len(), 2, 2)?;
    let (function, iterable) = (args.positional[0], args.positional[1]);
    let kept = match types::support::unwrap(&vm.heap, iterable) {
        Value::Str(_) => Kept::Str,
        Value::Tuple(_) => Kept::Tuple,
        _ => Kept::List,
    };
    let source = Source::new(vm, iterable)?;
    let plain =
        function.is_none() || matches!(function, Value::Class(class) if class == Builtin::Bool.class());
    let function = if plain { Value::Unset } else { vm.heap.share(function) };
    let (out, text) = (Vec::new(), Vec::new());
    Box::new(Filter { function, source, at: 0, out, text, kept, paused: false }).go_on(vm, None)
}

impl Filter {
    /// `verdict` is whether the item at the present position stays.
    fn go_on(mut self: Box<Self>, vm: &mut Vm, mut verdict: Option<bool>) -> NativeReturn {
        loop {
            let Some(item) = self.source.get(vm, self.at) else { return self.finish(vm) };
            if verdict.is_none() && !self.paused && (is_due(vm, self.at) || vm.is_tired()) {
                self.paused = true;
                return pause(self);
            }
            self.paused = false;
            if verdict.is_none() && !self.function.is_unset() {
                let item = vm.heap.share(item);
                let Some(result) = hook::direct(vm, self.function, &[item]) else {
                    return call(vm.heap.share(self.function), CallArgs::One(item), self);
                };
                vm.heap.release(item);
                match result {
                    Ok(Flow::Value(result)) => {
                        verdict = Some(vm.truth(result));
                        vm.heap.release(result);
                    }
                    Ok(flow) => return Ok(chain_pending(flow, self)),
                    Err(raised) => {
                        self.abandon(vm);
                        return Err(raised);
                    }
                }
                // The item may have gone from its list meanwhile.
                continue;
            }
            let stays = match verdict.take() {
                Some(stays) => Ok(stays),
                None => hook::truth(vm, item),
            };
            self.at += 1;
            let done = match stays {
                Ok(false) => Ok(()),
                Ok(true) => self.keep(vm, item),
                Err(raised) => Err(raised),
            };
            if let Err(raised) = done {
                self.abandon(vm);
                return Err(raised);
            }
        }
    }

    /// Borrows the item.
    fn keep(&mut self, vm: &mut Vm, item: Value) -> Outcome<()> {
        match item {
            Value::Str(text) if self.kept == Kept::Str => {
                if self.text.len() == self.text.capacity() {
                    vm.heap.make_room(self.text.len().saturating_mul(2))?;
                }
                self.text.extend_from_slice(vm.heap.bytes(text));
                Ok(())
            }
            _ => {
                let item = vm.heap.share(item);
                push(vm, &mut self.out, item)
            }
        }
    }

    fn finish(mut self: Box<Self>, vm: &mut Vm) -> NativeReturn {
        let out = std::mem::take(&mut self.out);
        let result = match self.kept {
            Kept::List => vm.heap.new_list(out),
            Kept::Tuple => vm.heap.new_tuple_from(out),
            Kept::Str => {
                let text = std::mem::take(&mut self.text);
                vm.heap.new_str_from(text)
            }
        };
        self.abandon(vm);
        value(result)
    }
}

impl Resume for Filter {
    fn resume(self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        if self.paused {
            return self.go_on(vm, None);
        }
        let verdict = hook::truth(vm, result);
        vm.heap.release(result);
        match verdict {
            Ok(verdict) => self.go_on(vm, Some(verdict)),
            Err(raised) => {
                self.abandon(vm);
                Err(raised)
            }
        }
    }
    fn abandon(self: Box<Self>, vm: &mut Vm) {
        vm.heap.release(self.function);
        release_all(&mut vm.heap, self.out);
        self.source.release(vm);
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        visit(self.function);
        self.out.iter().copied().for_each(&mut *visit);
        self.source.held(visit);
    }
}

struct Reduce {
    /// Owned.
    function: Value,
    source: Source,
    at: usize,
    /// What was reached when it let others run: owned.
    reached: Option<Value>,
}

/// `reduce(function, sequence, initial)`
pub fn reduce(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    unpack(vm, "reduce", args.positional.len(), 2, 3)?;
    let source = match Source::new(vm, args.positional[1]) {
        Ok(source) => source,
        Err(raised) => {
            let exception = vm.heap.peek_raised(&raised);
            if vm.heap.is_instance(exception, Builtin::TypeError.class()) {
                return fail(vm, Builtin::TypeError, "reduce() arg 2 must support iteration");
            }
            return Err(raised);
        }
    };
    let mut at = 0;
    let start = match args.get(2) {
        Some(initial) => Some(initial),
        None => {
            at = 1;
            source.get(vm, 0)
        }
    };
    let Some(start) = start else {
        source.release(vm);
        return fail(vm, Builtin::TypeError, "reduce() of empty sequence with no initial value");
    };
    let start = vm.heap.share(start);
    let function = vm.heap.share(args.positional[0]);
    Box::new(Reduce { function, source, at, reached: None }).resume(vm, start)
}

impl Resume for Reduce {
    fn resume(mut self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        let rested = self.reached.take();
        let mut is_rested = rested.is_some();
        let mut result = rested.unwrap_or(result);
        loop {
            let Some(item) = self.source.get(vm, self.at) else {
                self.abandon(vm);
                return value(result);
            };
            if !is_rested && (is_due(vm, self.at) || vm.is_tired()) {
                self.reached = Some(result);
                return pause(self);
            }
            is_rested = false;
            self.at += 1;
            let item = vm.heap.share(item);
            let Some(next) = hook::direct(vm, self.function, &[result, item]) else {
                return call(vm.heap.share(self.function), CallArgs::Two(result, item), self);
            };
            vm.heap.release(result);
            vm.heap.release(item);
            match next {
                Ok(Flow::Value(next)) => result = next,
                Ok(flow) => return Ok(chain_pending(flow, self)),
                Err(raised) => {
                    self.abandon(vm);
                    return Err(raised);
                }
            }
        }
    }
    fn abandon(self: Box<Self>, vm: &mut Vm) {
        vm.heap.release(self.function);
        release_all(&mut vm.heap, self.reached);
        self.source.release(vm);
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        visit(self.function);
        self.reached.into_iter().for_each(&mut *visit);
        self.source.held(visit);
    }
}

/// `min` and `max` under way.
struct Extreme {
    /// The key function, owned; `Unset` without one.
    key: Value,
    source: Source,
    at: usize,
    largest: bool,
    /// The best item so far and its key (the item itself without a key function), owned.
    best: Option<(Value, Value)>,
    waiting: Waiting,
}

/// What [`Extreme`] waits for.
enum Waiting {
    /// Its next turn.
    Turn,
    /// The key of the item at the present position.
    Key,
    /// Whether the item at the present position, with this key (owned), is better.
    Verdict(Value),
}

/// The least or largest of a few numbers of one kind: borrowed. `None` leaves it to [`Extreme`].
fn plain_extreme(vm: &mut Vm, given: &[Value], largest: bool) -> Option<Value> {
    const FEW: usize = 8192;
    let items = match *given {
        [Value::List(list)] => vm.heap.list(list),
        [Value::Tuple(tuple)] => vm.heap.tuple(tuple),
        [_] => return None,
        _ => given,
    };
    if items.len() > FEW {
        return None;
    }
    let (first, rest) = items.split_first()?;
    let mut best = *first;
    for &item in rest {
        let better = match (item, best) {
            (Value::Int(item), Value::Int(best)) if largest => item > best,
            (Value::Int(item), Value::Int(best)) => item < best,
            (Value::Float(item), Value::Float(best)) if largest => item.get() > best.get(),
            (Value::Float(item), Value::Float(best)) => item.get() < best.get(),
            _ => return None,
        };
        if better {
            best = item;
        }
    }
    vm.spend(items.len() / 16);
    matches!(best, Value::Int(_) | Value::Float(_)).then_some(best)
}

fn extreme(vm: &mut Vm, args: Args<'_>, name: &str, largest: bool) -> NativeReturn {
    let mut key = Value::Unset;
    for &(keyword, given) in args.keywords {
        if vm.heap.bytes(keyword) != b"key" || args.keywords.len() > 1 {
            return fail(vm, Builtin::TypeError, format!("{name}() got an unexpected keyword argument"));
        }
        key = given;
    }
    if let (Value::Unset, Some(found)) = (key, plain_extreme(vm, args.positional, largest)) {
        return value(vm.heap.share(found));
    }
    let source = match *args.positional {
        [] => {
            return fail(vm, Builtin::TypeError, format!("{name} expected 1 arguments, got 0"));
        }
        [iterable] => Source::new(vm, iterable)?,
        _ => {
            args.positional.iter().for_each(|&item| vm.heap.retain(item));
            Source::Items(args.positional.to_vec())
        }
    };
    if source.get(vm, 0).is_none() {
        source.release(vm);
        return fail(vm, Builtin::ValueError, format!("{name}() arg is an empty sequence"));
    }
    vm.heap.retain(key);
    let mut extreme = Extreme { key, source, at: 0, largest, best: None, waiting: Waiting::Turn };
    match extreme.advance(vm) {
        Ok(Some(flow)) => Ok(extreme.wait(flow)),
        Ok(None) => extreme.finish(vm),
        Err(raised) => {
            extreme.give_back(vm);
            Err(raised)
        }
    }
}

/// `max(…)`
pub fn max(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    extreme(vm, args, "max", true)
}

/// `min(…)`
pub fn min(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    extreme(vm, args, "min", false)
}

/// What a loop waits for: program code, a comparison, or its next turn.
enum Pause {
    Call(Value, Value),
    Flow(Flow),
    Turn,
}

impl Extreme {
    /// Goes on until something has to be waited for.
    fn advance(&mut self, vm: &mut Vm) -> Outcome<Option<Pause>> {
        let first = self.at;
        while let Some(item) = self.source.get(vm, self.at) {
            if self.at != first && is_due(vm, self.at) {
                self.waiting = Waiting::Turn;
                return Ok(Some(Pause::Turn));
            }
            if !self.key.is_unset() {
                self.waiting = Waiting::Key;
                let item = vm.heap.share(item);
                return Ok(Some(Pause::Call(vm.heap.share(self.key), item)));
            }
            let key = vm.heap.share(item);
            if let Some(flow) = self.weigh(vm, key)? {
                return Ok(Some(Pause::Flow(flow)));
            }
        }
        Ok(None)
    }

    /// Compares the key (owned) of the item at the present position with the best one.
    fn weigh(&mut self, vm: &mut Vm, key: Value) -> Outcome<Option<Flow>> {
        let verdict = match (self.best, self.largest) {
            (None, _) => Ok(Ok(true)),
            (Some((_, best)), true) => quick_less(vm, best, key),
            (Some((_, best)), false) => quick_less(vm, key, best),
        };
        match verdict {
            Ok(Ok(better)) => {
                self.judge(vm, key, better);
                Ok(None)
            }
            Ok(Err(flow)) => {
                self.waiting = Waiting::Verdict(key);
                Ok(Some(flow))
            }
            Err(raised) => {
                vm.heap.release(key);
                Err(raised)
            }
        }
    }

    /// Takes the key of the present item over and goes to the next one.
    fn judge(&mut self, vm: &mut Vm, key: Value, better: bool) {
        let item = self.source.get(vm, self.at).unwrap_or(Value::None);
        self.at += 1;
        if !better {
            return vm.heap.release(key);
        }
        let item = vm.heap.share(item);
        if let Some((old, old_key)) = self.best.replace((item, key)) {
            vm.heap.release(old);
            vm.heap.release(old_key);
        }
    }

    fn wait(self, pause: Pause) -> Flow {
        match pause {
            Pause::Call(callee, item) => {
                let then: Box<dyn Resume> = Box::new(self);
                Flow::Call(Box::new(CallRequest { callee, args: CallArgs::One(item), then }))
            }
            Pause::Flow(flow) => chain_pending(flow, Box::new(self)),
            Pause::Turn => Flow::Yield(Box::new(Box::new(self))),
        }
    }

    fn finish(self, vm: &mut Vm) -> NativeReturn {
        let best = self.best.map_or(Value::None, |(item, _)| vm.heap.share(item));
        self.give_back(vm);
        value(best)
    }

    fn give_back(self, vm: &mut Vm) {
        vm.heap.release(self.key);
        self.source.release(vm);
        if let Waiting::Verdict(key) = self.waiting {
            vm.heap.release(key);
        }
        if let Some((item, key)) = self.best {
            vm.heap.release(item);
            vm.heap.release(key);
        }
    }
}

/// `a < b`, or a flow that gives it later.
fn quick_less(vm: &mut Vm, a: Value, b: Value) -> Outcome<Result<bool, Flow>> {
    match (a, b) {
        (
            Value::Int(_) | Value::Float(_) | Value::Str(_),
            Value::Int(_) | Value::Float(_) | Value::Str(_),
        ) => hook::less(vm, a, b).map(Ok),
        _ => comparing::ask(vm, CompareOperator::Less, a, b),
    }
}

impl Resume for Extreme {
    fn resume(mut self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        let first = match std::mem::replace(&mut self.waiting, Waiting::Turn) {
            Waiting::Turn => Ok(None),
            Waiting::Key => self.weigh(vm, result),
            Waiting::Verdict(key) => {
                self.judge(vm, key, matches!(result, Value::Bool(yes) if yes.get()));
                Ok(None)
            }
        };
        let pause = match first {
            Ok(Some(flow)) => Ok(Some(Pause::Flow(flow))),
            Ok(None) => self.advance(vm),
            Err(raised) => Err(raised),
        };
        match pause {
            Ok(Some(pause)) => Ok(self.wait(pause)),
            Ok(None) => self.finish(vm),
            Err(raised) => {
                self.give_back(vm);
                Err(raised)
            }
        }
    }
    fn abandon(self: Box<Self>, vm: &mut Vm) {
        self.give_back(vm);
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        visit(self.key);
        self.source.held(visit);
        if let Waiting::Verdict(key) = self.waiting {
            visit(key);
        }
        if let Some((item, key)) = self.best {
            visit(item);
            visit(key);
        }
    }
}

struct Sum {
    source: Source,
    at: usize,
    /// What was reached when it let others run: owned.
    reached: Option<Value>,
}

/// `sum(sequence, start)`
pub fn sum(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    unpack(vm, "sum", args.positional.len(), 1, 2)?;
    let start = args.get(1).unwrap_or(Value::Int(0));
    let source = Source::new(vm, args.positional[0])?;
    if types::support::as_str(&vm.heap, start).is_some() {
        source.release(vm);
        return fail(vm, Builtin::TypeError, "sum() can't sum strings [use ''.join(seq) instead]");
    }
    let start = vm.heap.share(start);
    Box::new(Sum { source, at: 0, reached: None }).resume(vm, start)
}

impl Resume for Sum {
    fn resume(mut self: Box<Self>, vm: &mut Vm, mut total: Value) -> NativeReturn {
        let rested = self.reached.take();
        let mut is_rested = rested.is_some();
        total = rested.unwrap_or(total);
        loop {
            let Some(item) = self.source.get(vm, self.at) else {
                self.abandon(vm);
                return value(total);
            };
            if is_due(vm, self.at) && !is_rested {
                self.reached = Some(total);
                return pause(self);
            }
            is_rested = false;
            self.at += 1;
            let next = match (total, item) {
                (Value::Int(a), Value::Int(b)) => a.checked_add(b).map(Value::Int),
                (Value::Float(a), Value::Float(b)) => Some(Value::float(a.get() + b.get())),
                (Value::Float(a), Value::Int(b)) => Some(Value::float(a.get() + b as f64)),
                _ => None,
            };
            if let Some(next) = next {
                total = next;
                continue;
            }
            vm.spend(1);
            let flow = types::binary(vm, BinaryOperator::Add, false, total, item);
            vm.heap.release(total);
            match flow {
                Ok(Flow::Value(next)) => total = next,
                Ok(pending) => return Ok(chain_pending(pending, self)),
                Err(raised) => {
                    self.abandon(vm);
                    return Err(raised);
                }
            }
        }
    }
    fn abandon(self: Box<Self>, vm: &mut Vm) {
        release_all(&mut vm.heap, self.reached);
        self.source.release(vm);
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        self.reached.into_iter().for_each(&mut *visit);
        self.source.held(visit);
    }
}
