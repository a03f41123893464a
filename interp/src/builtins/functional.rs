//! `map`, `filter`, `reduce`, `min`, `max` and `sum`: the functions that call a function for every item.
use crate::heap::{Builtin, Outcome, Value};
use crate::syntax::ast::BinaryOperator;
use crate::types::chain::chain_pending;
use crate::types::support::{fail, release_all, unpack};
use crate::types::{self, hook};
use crate::vm::native::{call, value, Args, Flow, NativeReturn, Resume};
use crate::vm::Vm;

/// Items to go through: a list is read as it is at each step (the function may change it), other iterables are read at
/// the start.
enum Source {
    /// A list, owned.
    List(crate::heap::List),
    /// Items, owned.
    Items(Vec<Value>),
}

impl Source {
    fn new(vm: &mut Vm, iterable: Value) -> Outcome<Source> {
        if let Value::List(list) = iterable {
            vm.heap.retain(iterable);
            return Ok(Source::List(list));
        }
        Ok(Source::Items(hook::collect(vm, iterable)?))
    }

    /// The item at a position, borrowed.
    fn get(&self, vm: &Vm, at: usize) -> Option<Value> {
        match self {
            Source::List(list) => vm.heap.list(*list).get(at).copied(),
            Source::Items(items) => items.get(at).copied(),
        }
    }

    fn release(self, vm: &mut Vm) {
        match self {
            Source::List(list) => vm.heap.release(Value::List(list)),
            Source::Items(items) => release_all(&mut vm.heap, items),
        }
    }

    fn held(&self, visit: &mut dyn FnMut(Value)) {
        match self {
            Source::List(list) => visit(Value::List(*list)),
            Source::Items(items) => items.iter().copied().for_each(visit),
        }
    }
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

struct Map {
    /// Owned; `Unset` for `None`.
    function: Value,
    sources: Vec<Source>,
    at: usize,
    out: Vec<Value>,
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
                if vm.heap.is_instance(exception, Builtin::TypeError.class()) {
                    let text = format!("argument {} to map() must support iteration", at + 2);
                    return fail(vm, Builtin::TypeError, text);
                }
                return Err(raised);
            }
        }
    }
    let function = if function.is_none() { Value::Unset } else { vm.heap.share(function) };
    Box::new(Map { function, sources, at: 0, out: Vec::new() }).go_on(vm)
}

impl Map {
    fn go_on(mut self: Box<Self>, vm: &mut Vm) -> NativeReturn {
        loop {
            let row: Vec<Option<Value>> = self.sources.iter().map(|source| source.get(vm, self.at)).collect();
            if row.iter().all(Option::is_none) {
                let out = std::mem::take(&mut self.out);
                self.abandon(vm);
                return value(vm.heap.new_list(out));
            }
            self.at += 1;
            let row: Vec<Value> =
                row.into_iter().map(|item| vm.heap.share(item.unwrap_or(Value::None))).collect();
            if !self.function.is_unset() {
                return call(vm.heap.share(self.function), row, self);
            }
            let item = match row[..] {
                [one] => one,
                _ => vm.heap.new_tuple(&row),
            };
            if let Err(raised) = push(vm, &mut self.out, item) {
                self.abandon(vm);
                return Err(raised);
            }
        }
    }
}

impl Resume for Map {
    fn resume(mut self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
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
    kept: Kept,
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
    Box::new(Filter { function, source, at: 0, out: Vec::new(), kept }).go_on(vm, None)
}

impl Filter {
    /// `verdict` is whether the item at the present position stays.
    fn go_on(mut self: Box<Self>, vm: &mut Vm, mut verdict: Option<bool>) -> NativeReturn {
        loop {
            let Some(item) = self.source.get(vm, self.at) else { return self.finish(vm) };
            if verdict.is_none() && !self.function.is_unset() {
                let item = vm.heap.share(item);
                return call(vm.heap.share(self.function), vec![item], self);
            }
            let stays = match verdict.take() {
                Some(stays) => Ok(stays),
                None => hook::truth(vm, item),
            };
            self.at += 1;
            let done = match stays {
                Ok(false) => Ok(()),
                Ok(true) => {
                    let item = vm.heap.share(item);
                    push(vm, &mut self.out, item)
                }
                Err(raised) => Err(raised),
            };
            if let Err(raised) = done {
                self.abandon(vm);
                return Err(raised);
            }
        }
    }

    fn finish(mut self: Box<Self>, vm: &mut Vm) -> NativeReturn {
        let out = std::mem::take(&mut self.out);
        let result = match self.kept {
            Kept::List => vm.heap.new_list(out),
            Kept::Tuple => vm.heap.new_tuple(&out),
            Kept::Str => {
                let mut bytes = Vec::with_capacity(out.len());
                for &item in &out {
                    if let Value::Str(text) = item {
                        bytes.extend_from_slice(vm.heap.bytes(text));
                    }
                }
                release_all(&mut vm.heap, out);
                vm.heap.new_str_from(bytes)
            }
        };
        self.abandon(vm);
        value(result)
    }
}

impl Resume for Filter {
    fn resume(self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
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
    Box::new(Reduce { function, source, at }).resume(vm, start)
}

impl Resume for Reduce {
    fn resume(mut self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        let Some(item) = self.source.get(vm, self.at) else {
            self.abandon(vm);
            return value(result);
        };
        self.at += 1;
        let item = vm.heap.share(item);
        call(vm.heap.share(self.function), vec![result, item], self)
    }
    fn abandon(self: Box<Self>, vm: &mut Vm) {
        vm.heap.release(self.function);
        self.source.release(vm);
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        visit(self.function);
        self.source.held(visit);
    }
}

/// `min` and `max` with a key function.
struct Extreme {
    /// The key function, owned.
    key: Value,
    source: Source,
    at: usize,
    largest: bool,
    /// The best item so far and its key, owned.
    best: Option<(Value, Value)>,
}

fn extreme(vm: &mut Vm, args: Args<'_>, name: &str, largest: bool) -> NativeReturn {
    let mut key = None;
    for &(keyword, given) in args.keywords {
        if vm.heap.bytes(keyword) != b"key" || args.keywords.len() > 1 {
            return fail(vm, Builtin::TypeError, format!("{name}() got an unexpected keyword argument"));
        }
        key = Some(given);
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
    let Some(first) = source.get(vm, 0) else {
        source.release(vm);
        return fail(vm, Builtin::ValueError, format!("{name}() arg is an empty sequence"));
    };
    if let Some(key) = key {
        let key = vm.heap.share(key);
        return Box::new(Extreme { key, source, at: 0, largest, best: None }).ask(vm);
    }
    let mut best = vm.heap.share(first);
    let mut at = 1;
    while let Some(item) = source.get(vm, at) {
        let better = if largest { hook::less(vm, best, item) } else { hook::less(vm, item, best) };
        match better {
            Ok(true) => {
                vm.heap.retain(item);
                vm.heap.release(best);
                best = item;
            }
            Ok(false) => {}
            Err(raised) => {
                vm.heap.release(best);
                source.release(vm);
                return Err(raised);
            }
        }
        at += 1;
    }
    vm.spend(at / 4);
    source.release(vm);
    value(best)
}

/// `max(…)`
pub fn max(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    extreme(vm, args, "max", true)
}

/// `min(…)`
pub fn min(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    extreme(vm, args, "min", false)
}

impl Extreme {
    fn ask(self: Box<Self>, vm: &mut Vm) -> NativeReturn {
        match self.source.get(vm, self.at) {
            Some(item) => {
                let item = vm.heap.share(item);
                call(vm.heap.share(self.key), vec![item], self)
            }
            None => {
                let best = self.best.map_or(Value::None, |(item, _)| vm.heap.share(item));
                self.abandon(vm);
                value(best)
            }
        }
    }
}

impl Resume for Extreme {
    fn resume(mut self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        let better = match self.best {
            None => Ok(true),
            Some((_, best)) if self.largest => hook::less(vm, best, result),
            Some((_, best)) => hook::less(vm, result, best),
        };
        match better {
            Ok(true) => {
                let item = self.source.get(vm, self.at).unwrap_or(Value::None);
                vm.heap.retain(item);
                if let Some((old, old_key)) = self.best.replace((item, result)) {
                    vm.heap.release(old);
                    vm.heap.release(old_key);
                }
            }
            Ok(false) => vm.heap.release(result),
            Err(raised) => {
                vm.heap.release(result);
                self.abandon(vm);
                return Err(raised);
            }
        }
        self.at += 1;
        self.ask(vm)
    }
    fn abandon(self: Box<Self>, vm: &mut Vm) {
        vm.heap.release(self.key);
        self.source.release(vm);
        if let Some((item, key)) = self.best {
            vm.heap.release(item);
            vm.heap.release(key);
        }
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        visit(self.key);
        self.source.held(visit);
        if let Some((item, key)) = self.best {
            visit(item);
            visit(key);
        }
    }
}

struct Sum {
    source: Source,
    at: usize,
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
    Box::new(Sum { source, at: 0 }).resume(vm, start)
}

impl Resume for Sum {
    fn resume(mut self: Box<Self>, vm: &mut Vm, mut total: Value) -> NativeReturn {
        loop {
            let Some(item) = self.source.get(vm, self.at) else {
                self.abandon(vm);
                return value(total);
            };
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
        self.source.release(vm);
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        self.source.held(visit);
    }
}
