//! `list` and `tuple`: methods and constructors. Sorting is in [`super::sorting`].
use super::chain::chain;
use super::comparing;
use super::gather::{gather, give_back, Then};
use super::quick;
use super::stepwise::{ITEMS, STEP_COST};
use super::support::{fail, integer_argument, number, release_all, type_name, unwrap, Number};
use crate::heap::{Builtin, List, Outcome, Style, Value};
use crate::syntax::ast::CompareOperator;
use crate::vm::native::{value, Args, Flow, NativeDef, NativeReturn, Resume, ANY};
use crate::vm::Vm;

/// The list of a method's object.
#[inline]
pub(super) fn this(vm: &mut Vm, args: &Args<'_>) -> Outcome<List> {
    match args.get(0).map(|object| unwrap(&vm.heap, object)) {
        Some(Value::List(list)) => Ok(list),
        _ => fail(vm, Builtin::TypeError, "descriptor requires a 'list' object"),
    }
}

fn append(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let list = this(vm, &args)?;
    let item = vm.heap.share(args.positional[1]);
    vm.heap.list_push(list, item)?;
    value(Value::None)
}

/// `list += iterable` and `list.extend(iterable)`: `result` (borrowed) is what they give.
pub fn extend(vm: &mut Vm, list: List, iterable: Value, result: Value) -> NativeReturn {
    vm.heap.retain(Value::List(list));
    vm.heap.retain(result);
    gather(vm, iterable, Extend { list, result })
}

/// Both are owned.
struct Extend {
    list: List,
    result: Value,
}

impl Then for Extend {
    fn go(self, vm: &mut Vm, items: Vec<Value>) -> NativeReturn {
        if let Err(raised) = vm.heap.reserve_list(self.list, items.len()) {
            release_all(&mut vm.heap, items);
            return Err(self.failed(vm, raised));
        }
        vm.heap.lists[self.list].items.extend(items);
        vm.heap.release(Value::List(self.list));
        value(self.result)
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::List(self.list));
        visit(self.result);
    }
}

fn extend_method(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let list = this(vm, &args)?;
    extend(vm, list, args.positional[1], Value::None)
}

fn insert(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let list = this(vm, &args)?;
    let at = integer_argument(vm, args.positional[1])?;
    vm.heap.reserve_list(list, 1)?;
    let item = vm.heap.share(args.positional[2]);
    let items = &mut vm.heap.lists[list].items;
    let length = items.len() as i64;
    let at = if at < 0 { (at + length).max(0) } else { at.min(length) };
    items.insert(at as usize, item);
    vm.spend((length - at) as usize / 256);
    value(Value::None)
}

fn pop(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let list = this(vm, &args)?;
    let Some(at) = args.get(1) else {
        return match vm.heap.lists[list].items.pop() {
            Some(last) => value(last),
            None => fail(vm, Builtin::IndexError, "pop from empty list"),
        };
    };
    let at = integer_argument(vm, at)?;
    let items = &mut vm.heap.lists[list].items;
    let length = items.len() as i64;
    if length == 0 {
        return fail(vm, Builtin::IndexError, "pop from empty list");
    }
    let at = if at < 0 { at.saturating_add(length) } else { at };
    if !(0..length).contains(&at) {
        return fail(vm, Builtin::IndexError, "pop index out of range");
    }
    let item = items.remove(at as usize);
    vm.spend((length - at) as usize / 256);
    value(item)
}

/// What a search through a sequence is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Index,
    Count,
    Remove,
}

/// A search for the items that equal a value.
struct Finder {
    /// A list or tuple; a share of it and of the value is held only while the search is suspended.
    sequence: Value,
    wanted: Value,
    at: usize,
    end: usize,
    purpose: Purpose,
    count: i64,
    /// A comparison under way will answer for the item at the present position.
    asked: bool,
}

/// Searches; see [`Finder`]. Borrows both values.
fn search(
    vm: &mut Vm,
    sequence: Value,
    wanted: Value,
    (start, end): (usize, usize),
    purpose: Purpose,
) -> NativeReturn {
    let mut finder = Finder { sequence, wanted, at: start, end, purpose, count: 0, asked: false };
    match finder.advance(vm, None)? {
        Found::Done(at) => finder.finish(vm, at),
        Found::Pending(flow) => {
            vm.heap.retain(sequence);
            vm.heap.retain(wanted);
            Ok(finder.wait(flow))
        }
    }
}

enum Found {
    Done(Option<usize>),
    /// Wait for a comparison, or (`None`) let others run.
    Pending(Option<Flow>),
}

impl Finder {
    fn advance(&mut self, vm: &mut Vm, mut answer: Option<bool>) -> Outcome<Found> {
        let mut left = ITEMS;
        loop {
            let item = match self.sequence {
                Value::List(list) => vm.heap.list(list).get(self.at).copied(),
                Value::Tuple(tuple) => vm.heap.tuple(tuple).get(self.at).copied(),
                _ => None,
            };
            let Some(item) = item.filter(|_| self.at < self.end) else { return Ok(Found::Done(None)) };
            let same = match (answer.take(), item, self.wanted) {
                (Some(answer), ..) => answer,
                (None, Value::Int(a), Value::Int(b)) => a == b,
                _ if left == 0 => return Ok(Found::Pending(None)),
                _ => match comparing::ask(vm, CompareOperator::Equal, item, self.wanted)? {
                    Ok(answer) => answer,
                    Err(flow) => return Ok(Found::Pending(Some(flow))),
                },
            };
            if same && self.purpose != Purpose::Count {
                return Ok(Found::Done(Some(self.at)));
            }
            self.count += i64::from(same);
            self.at += 1;
            left = left.saturating_sub(1);
            if self.at.is_multiple_of(256) {
                vm.spend(64);
            }
        }
    }

    /// Suspends the search, which holds its shares by now.
    fn wait(mut self, flow: Option<Flow>) -> Flow {
        self.asked = flow.is_some();
        match flow {
            Some(flow) => super::chain::chain_pending(flow, Box::new(self)),
            None => Flow::Yield(Box::new(Box::new(self))),
        }
    }

    fn finish(&self, vm: &mut Vm, at: Option<usize>) -> NativeReturn {
        match (self.purpose, self.sequence, at) {
            (Purpose::Count, ..) => value(Value::Int(self.count)),
            (Purpose::Index, _, Some(at)) => value(Value::Int(at as i64)),
            (Purpose::Remove, Value::List(list), Some(at)) if at < vm.heap.list(list).len() => {
                let item = vm.heap.lists[list].items.remove(at);
                vm.heap.release(item);
                value(Value::None)
            }
            (Purpose::Remove, ..) => fail(vm, Builtin::ValueError, "list.remove(x): x not in list"),
            (Purpose::Index, Value::List(_), None) => {
                let text = super::repr(vm, self.wanted);
                chain(vm, text, Box::new(NotInList))
            }
            (Purpose::Index, _, None) => fail(vm, Builtin::ValueError, "tuple.index(x): x not in tuple"),
        }
    }
}

impl Resume for Finder {
    fn resume(mut self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        let answer = self.asked.then_some(matches!(result, Value::Bool(yes) if yes.get()));
        match self.advance(vm, answer) {
            Ok(Found::Done(at)) => {
                let done = self.finish(vm, at);
                self.abandon(vm);
                done
            }
            Ok(Found::Pending(flow)) => {
                vm.spend(STEP_COST);
                Ok(self.wait(flow))
            }
            Err(raised) => {
                self.abandon(vm);
                Err(raised)
            }
        }
    }
    fn abandon(self: Box<Self>, vm: &mut Vm) {
        vm.heap.release(self.sequence);
        vm.heap.release(self.wanted);
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        visit(self.sequence);
        visit(self.wanted);
    }
}

/// Start and end arguments of `index`, clamped.
fn range(vm: &mut Vm, args: &Args<'_>, length: usize) -> Outcome<(usize, usize)> {
    let length = length as i64;
    let mut bounds = [0, i64::MAX];
    for (bound, at) in bounds.iter_mut().zip(2..) {
        if let Some(given) = args.get(at) {
            *bound = match super::support::index_saturating(&vm.heap, given) {
                Some(given) => given,
                None => {
                    let text = "slice indices must be integers or have an __index__ method";
                    return fail(vm, Builtin::TypeError, text);
                }
            };
        }
        if *bound < 0 {
            *bound = bound.saturating_add(length).max(0);
        }
    }
    Ok((bounds[0] as usize, bounds[1] as usize))
}

/// Raises `<repr> is not in list` once the repr is there.
struct NotInList;

impl Resume for NotInList {
    fn resume(self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        let mut text = match result {
            Value::Str(text) => vm.heap.bytes(text).to_vec(),
            _ => Vec::new(),
        };
        vm.heap.release(result);
        text.extend_from_slice(b" is not in list");
        Err(vm.heap.raise_bytes(Builtin::ValueError.class(), &text))
    }
    fn abandon(self: Box<Self>, _: &mut Vm) {}
    fn held(&self, _: &mut dyn FnMut(Value)) {}
}

fn index(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let list = this(vm, &args)?;
    let bounds = range(vm, &args, vm.heap.list(list).len())?;
    search(vm, Value::List(list), args.positional[1], bounds, Purpose::Index)
}

fn count(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let sequence = args.get(0).map_or(Value::None, |object| unwrap(&vm.heap, object));
    search(vm, sequence, args.positional[1], (0, usize::MAX), Purpose::Count)
}

fn remove(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let list = this(vm, &args)?;
    search(vm, Value::List(list), args.positional[1], (0, usize::MAX), Purpose::Remove)
}

fn reverse(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let list = this(vm, &args)?;
    vm.heap.lists[list].items.reverse();
    value(Value::None)
}

fn init(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let list = this(vm, &args)?;
    vm.heap.retain(Value::List(list));
    match args.get(1) {
        Some(iterable) => gather(vm, iterable, Fill(list)),
        None => Fill(list).go(vm, Vec::new()),
    }
}

/// `list.__init__`: the list, owned, gets new items.
struct Fill(List);

impl Then for Fill {
    fn go(self, vm: &mut Vm, items: Vec<Value>) -> NativeReturn {
        let old = std::mem::replace(&mut vm.heap.lists[self.0].items, items);
        vm.heap.recharge_list(self.0);
        release_all(&mut vm.heap, old);
        give_back(self, vm);
        value(Value::None)
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::List(self.0));
    }
}

fn show(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let object = args.get(0).map_or(Value::None, |object| unwrap(&vm.heap, object));
    super::repr(vm, object)
}

/// Methods of `list`.
pub const LIST_METHODS: &[NativeDef] = &[
    NativeDef::method("append", 1, 1, append).quickly(quick::append),
    NativeDef::method("count", 1, 1, count),
    NativeDef::method("extend", 1, 1, extend_method),
    NativeDef::method("index", 1, 3, index),
    NativeDef::method("insert", 2, 2, insert),
    NativeDef::method("pop", 0, 1, pop).quickly(quick::pop),
    NativeDef::method("remove", 1, 1, remove),
    NativeDef::method("reverse", 0, 0, reverse),
    NativeDef::method("sort", 0, 3, super::sorting::sort).with_keywords(),
    NativeDef::method("__init__", 0, 1, init),
    NativeDef::method("__repr__", 0, 0, show),
];

fn tuple_index(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let Some(Value::Tuple(tuple)) = args.get(0).map(|object| unwrap(&vm.heap, object)) else {
        return fail(vm, Builtin::TypeError, "descriptor 'index' requires a 'tuple' object");
    };
    let bounds = range(vm, &args, vm.heap.tuple(tuple).len())?;
    search(vm, Value::Tuple(tuple), args.positional[1], bounds, Purpose::Index)
}

/// Methods of `tuple`.
pub const TUPLE_METHODS: &[NativeDef] = &[
    NativeDef::method("count", 1, 1, count),
    NativeDef::method("index", 1, 3, tuple_index),
    NativeDef::method("__repr__", 0, 0, show),
];

/// The class a constructor was called for, and the arguments behind it.
pub(super) fn split_class<'a>(vm: &mut Vm, args: &Args<'a>) -> Outcome<(crate::heap::Class, &'a [Value])> {
    match args.positional.split_first() {
        Some((Value::Class(class), rest)) => Ok((*class, rest)),
        _ => fail(vm, Builtin::TypeError, "a class is needed"),
    }
}

/// Wraps what a constructor made when the class is one of the program's. Takes `payload` over.
pub(super) fn finish(vm: &mut Vm, class: crate::heap::Class, payload: Value) -> NativeReturn {
    if vm.heap.classes[class].style == Style::Builtin {
        return value(payload);
    }
    value(vm.heap.new_instance(class, payload))
}

/// Checks `name() takes at most 1 argument`, keywords included, for a plain built-in class; a class of the program may
/// take what its `__init__` takes.
pub(super) fn at_most(
    vm: &mut Vm,
    class: crate::heap::Class,
    name: &str,
    args: &Args<'_>,
    most: usize,
) -> Outcome<()> {
    let given = args.positional.len() - 1 + args.keywords.len();
    if vm.heap.classes[class].style != Style::Builtin {
        return Ok(());
    }
    if given > most {
        let s = if most == 1 { "" } else { "s" };
        return fail(
            vm,
            Builtin::TypeError,
            format!("{name}() takes at most {most} argument{s} ({given} given)"),
        );
    }
    Ok(())
}

/// A keyword argument by name.
pub(super) fn keyword(vm: &Vm, args: &Args<'_>, name: &str) -> Option<Value> {
    args.keywords.iter().find(|(key, _)| vm.heap.bytes(*key) == name.as_bytes()).map(|pair| pair.1)
}

/// Refuses keywords other than `names`.
pub(super) fn only_keywords(vm: &mut Vm, args: &Args<'_>, names: &[&str]) -> Outcome<()> {
    for (key, _) in args.keywords {
        let key = vm.heap.text(*key);
        if !names.contains(&key.as_str()) {
            let text = format!("'{key}' is an invalid keyword argument for this function");
            return fail(vm, Builtin::TypeError, text);
        }
    }
    Ok(())
}

/// `list(…)`
pub fn construct_list(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let (class, given) = split_class(vm, &args)?;
    at_most(vm, class, "list", &args, 1)?;
    let program = vm.heap.classes[class].style != Style::Builtin;
    if !program {
        only_keywords(vm, &args, &["sequence"])?;
    }
    // For a class of the program, `__init__` fills the list.
    match given.first().copied().or_else(|| keyword(vm, &args, "sequence")) {
        Some(iterable) if !program => gather(vm, iterable, Made { class, tuple: false }),
        _ => Made { class, tuple: false }.go(vm, Vec::new()),
    }
}

/// A list or tuple of the items.
struct Made {
    class: crate::heap::Class,
    tuple: bool,
}

impl Then for Made {
    fn go(self, vm: &mut Vm, items: Vec<Value>) -> NativeReturn {
        let made = if self.tuple { vm.heap.new_tuple_from(items) } else { vm.heap.new_list(items) };
        finish(vm, self.class, made)
    }
    fn owned(&self, _: &mut dyn FnMut(Value)) {}
}

/// `tuple(…)`
pub fn construct_tuple(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let (class, given) = split_class(vm, &args)?;
    at_most(vm, class, "tuple", &args, 1)?;
    if vm.heap.classes[class].style == Style::Builtin {
        only_keywords(vm, &args, &["sequence"])?;
    }
    match given.first().copied().or_else(|| keyword(vm, &args, "sequence")) {
        Some(tuple @ Value::Tuple(_)) => {
            let tuple = vm.heap.share(tuple);
            finish(vm, class, tuple)
        }
        Some(iterable) => gather(vm, iterable, Made { class, tuple: true }),
        None => Made { class, tuple: true }.go(vm, Vec::new()),
    }
}

/// `slice(…)`
pub fn construct_slice(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let (_, given) = split_class(vm, &args)?;
    if !args.keywords.is_empty() {
        return fail(vm, Builtin::TypeError, "slice() does not take keyword arguments");
    }
    super::support::unpack(vm, "slice", given.len(), 1, 3)?;
    let mut parts = [Value::None; 3];
    match *given {
        [stop] => parts[1] = stop,
        _ => parts[..given.len()].copy_from_slice(given),
    }
    parts.iter().for_each(|&part| vm.heap.retain(part));
    value(vm.heap.new_slice(parts[0], parts[1], parts[2]))
}

/// `xrange(…)`
pub fn construct_xrange(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let (_, given) = split_class(vm, &args)?;
    if !args.keywords.is_empty() {
        return fail(vm, Builtin::TypeError, "xrange() does not take keyword arguments");
    }
    let numbers = match *given {
        [] => return fail(vm, Builtin::TypeError, "xrange() requires 1-3 int arguments"),
        [stop] => [0, integer_argument(vm, stop)?, 1],
        [start, stop] => [integer_argument(vm, start)?, integer_argument(vm, stop)?, 1],
        [start, stop, step] => {
            [integer_argument(vm, start)?, integer_argument(vm, stop)?, integer_argument(vm, step)?]
        }
        _ => return fail(vm, Builtin::TypeError, "xrange() requires 1-3 int arguments"),
    };
    let [start, stop, step] = numbers;
    if step == 0 {
        return fail(vm, Builtin::ValueError, "xrange() arg 3 must not be zero");
    }
    let length = range_length(i128::from(start), i128::from(stop), i128::from(step));
    match i64::try_from(length) {
        Ok(length) => value(vm.heap.new_xrange(start, step, length)),
        Err(_) => fail(vm, Builtin::OverflowError, "xrange() result has too many items"),
    }
}

/// Number of items of a range.
pub fn range_length(start: i128, stop: i128, step: i128) -> i128 {
    if step > 0 && start < stop {
        (stop - start - 1) / step + 1
    } else if step < 0 && start > stop {
        (start - stop - 1) / -step + 1
    } else {
        0
    }
}

fn slice_indices(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let Some(Value::Slice(slice)) = args.get(0) else { return value(Value::None) };
    let length = match number(&vm.heap, args.positional[1]) {
        Some(Number::Int(length)) => length,
        Some(Number::Long(long)) if i64::try_from(&vm.heap.longs[long].value).is_ok() => {
            super::support::index_saturating(&vm.heap, args.positional[1]).unwrap_or(0)
        }
        Some(Number::Long(_)) => {
            return fail(vm, Builtin::OverflowError, "cannot fit 'long' into an index-sized integer")
        }
        _ => {
            let name = type_name(&vm.heap, args.positional[1]);
            return fail(
                vm,
                Builtin::TypeError,
                format!("'{name}' object cannot be interpreted as an index"),
            );
        }
    };
    let data = vm.heap.slices[slice];
    let part = |vm: &mut Vm, given: Value| match given {
        Value::None => Ok(None),
        given => match super::support::index_saturating(&vm.heap, given) {
            Some(given) => Ok(Some(given)),
            None => fail(
                vm,
                Builtin::TypeError,
                "slice indices must be integers or None or have an __index__ method",
            ),
        },
    };
    let step = part(vm, data.step)?.unwrap_or(1);
    if step == 0 {
        return fail(vm, Builtin::ValueError, "slice step cannot be zero");
    }
    let (first, last) = if step < 0 { (i64::MAX, i64::MIN) } else { (0, i64::MAX) };
    // As 2.7 computes it, whose sums overflow for a negative length.
    let fit = |bound: i64| match bound {
        bound if bound < 0 => match bound.wrapping_add(length) {
            bound if bound < 0 => -i64::from(step < 0),
            bound => bound,
        },
        bound if bound >= length => length - i64::from(step < 0),
        bound => bound,
    };
    let start = fit(part(vm, data.start)?.unwrap_or(first));
    let stop = fit(part(vm, data.stop)?.unwrap_or(last));
    value(vm.heap.new_tuple(&[Value::Int(start), Value::Int(stop), Value::Int(step)]))
}

fn slice_part(vm: &mut Vm, object: Value, part: fn(&crate::heap::SliceData) -> Value) -> Outcome<Value> {
    let Value::Slice(slice) = object else { return Ok(Value::None) };
    let part = part(&vm.heap.slices[slice]);
    Ok(vm.heap.share(part))
}

/// Attributes of `slice`.
pub const GETTERS: &[(Builtin, &str, crate::vm::native::Getter)] = &[
    (Builtin::Slice, "start", |vm, object| slice_part(vm, object, |data| data.start)),
    (Builtin::Slice, "stop", |vm, object| slice_part(vm, object, |data| data.stop)),
    (Builtin::Slice, "step", |vm, object| slice_part(vm, object, |data| data.step)),
];

/// Methods of `slice`.
pub const SLICE_METHODS: &[NativeDef] = &[NativeDef::method("indices", 1, 1, slice_indices)];

/// `object()` and `object.__init__`: nothing to do.
pub fn object_init(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let plain = match args.get(0) {
        Some(object) => {
            let class = vm.heap.class_of(object);
            let init = vm.heap.intern(b"__init__");
            vm.heap.class_attribute(class, init).is_some_and(|(_, owner)| owner == Builtin::Object.class())
        }
        None => false,
    };
    if plain && (args.positional.len() > 1 || !args.keywords.is_empty()) {
        return fail(vm, Builtin::TypeError, "object() takes no parameters");
    }
    value(Value::None)
}

/// `object(…)`
pub fn construct_object(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let (class, given) = split_class(vm, &args)?;
    let init = vm.heap.intern(b"__init__");
    let own_init =
        vm.heap.class_attribute(class, init).is_some_and(|(_, owner)| owner != Builtin::Object.class());
    if !own_init && (!given.is_empty() || !args.keywords.is_empty()) {
        return fail(vm, Builtin::TypeError, "object() takes no parameters");
    }
    value(vm.heap.new_instance(class, Value::Unset))
}

fn object_show(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let object = args.get(0).unwrap_or(Value::None);
    super::text::plain_object(vm, object)
}

fn object_str(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    super::repr(vm, args.get(0).unwrap_or(Value::None))
}

/// Methods of `object`.
pub const OBJECT_METHODS: &[NativeDef] = &[
    NativeDef::method("__init__", 0, ANY, object_init).with_keywords(),
    NativeDef::method("__repr__", 0, 0, object_show),
    NativeDef::method("__str__", 0, 0, object_str),
];
