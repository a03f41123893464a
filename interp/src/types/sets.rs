//! `set` and `frozenset`: operators, methods and constructors.
use super::hook;
use super::lists::{finish, split_class};
use super::stepwise;
use super::support::{fail, release_all, unpack, unwrap};
use super::tables::{are_small, Outcomes, SetTask};
use crate::heap::{Algebra, Builtin, IterMode, Outcome, Set, Style, Value};
use crate::syntax::ast::BinaryOperator as Op;
use crate::vm::native::{value, Args, NativeDef, NativeReturn, ANY};
use crate::vm::Vm;

#[inline]
fn this(vm: &mut Vm, args: &Args<'_>) -> Outcome<Set> {
    match args.get(0).map(|object| unwrap(&vm.heap, object)) {
        Some(Value::Set(set)) => Ok(set),
        _ => fail(vm, Builtin::TypeError, "descriptor requires a 'set' object"),
    }
}

/// A copy of a set: owned.
fn copy_of(vm: &mut Vm, set: Set, frozen: bool) -> Outcome<Set> {
    let size = vm.heap.sets[set].table.outside();
    vm.heap.make_room(size)?;
    vm.spend(vm.heap.sets[set].table.len() / 8);
    let table = vm.heap.sets[set].table.clone();
    for entry in table.iter() {
        let key = entry.key;
        vm.heap.retain(key);
    }
    Ok(vm.heap.new_set_from(table, frozen))
}

/// A set made of what an argument yields: owned. Sets are not copied item by item.
fn as_set(vm: &mut Vm, item: Value, frozen: bool) -> Outcome<Set> {
    if let Value::Set(set) = unwrap(&vm.heap, item) {
        return copy_of(vm, set, frozen);
    }
    let set = vm.heap.new_set(frozen);
    let outcome = add_from(vm, set, item);
    if let Err(raised) = outcome {
        vm.heap.release(Value::Set(set));
        return Err(raised);
    }
    Ok(set)
}

fn add_all(vm: &mut Vm, set: Set, items: &[Value]) -> Outcome<()> {
    vm.spend(items.len() / 4);
    for &item in items {
        vm.heap.set_add(set, item)?;
    }
    Ok(())
}

/// Adds what an iterable yields.
fn add_from(vm: &mut Vm, set: Set, iterable: Value) -> Outcome<()> {
    if let Value::Dict(dict) = iterable {
        vm.spend(vm.heap.dicts[dict].table.len() / 8);
        for at in 0..vm.heap.dicts[dict].table.slots().len() {
            let entry = vm.heap.dicts[dict].table.slots()[at];
            if !entry.key.is_unset() {
                vm.heap.set_add_hashed(set, entry.hash, entry.key)?;
            }
        }
        return Ok(());
    }
    if let Value::List(list) = iterable {
        // Adding runs no code of the program: the list stays as it is.
        vm.spend(vm.heap.list(list).len() / 4);
        let mut at = 0;
        while let Some(&item) = vm.heap.list(list).get(at) {
            vm.heap.set_add(set, item)?;
            at += 1;
        }
        return Ok(());
    }
    let items = hook::collect(vm, iterable)?;
    let outcome = add_all(vm, set, &items);
    release_all(&mut vm.heap, items);
    outcome
}

/// Removes what an iterable yields, one by one as 2.7 does.
fn remove_from(vm: &mut Vm, set: Set, iterable: Value) -> Outcome<()> {
    let items = hook::collect(vm, iterable)?;
    vm.spend(items.len() / 4);
    let outcome = items.iter().try_for_each(|&item| vm.heap.set_remove(set, item).map(|_| ()));
    release_all(&mut vm.heap, items);
    outcome
}

/// Leaves what an iterable yields too: its items stay, not those of the set, as in 2.7.
fn meet_from(vm: &mut Vm, set: Set, iterable: Value) -> Outcome<()> {
    let items = hook::collect(vm, iterable)?;
    vm.spend(items.len() / 4);
    let met = vm.heap.new_set(false);
    let outcome = items.iter().try_for_each(|&item| {
        if vm.heap.set_contains(set, item)? {
            vm.heap.set_add(met, item)?;
        }
        Ok(())
    });
    release_all(&mut vm.heap, items);
    if outcome.is_ok() {
        vm.heap.swap_sets(set, met);
    }
    vm.heap.release(Value::Set(met));
    outcome
}

/// An operator as the heap's.
fn algebra(operator: Op) -> Algebra {
    match operator {
        Op::Or => Algebra::Union,
        Op::And => Algebra::Intersection,
        Op::Subtract => Algebra::Difference,
        _ => Algebra::Symmetric,
    }
}

/// Fuel and room for an operator with two sets.
fn prepare(vm: &mut Vm, a: Set, b: Set) -> Outcome<()> {
    let count = vm.heap.sets[a].table.len() + vm.heap.sets[b].table.len();
    vm.spend(count / 4);
    vm.heap.make_room(count * 40)
}

/// Changes `target` to the result of an operator with `other`.
fn apply(vm: &mut Vm, operator: Op, target: Set, other: Set) -> Outcome<()> {
    prepare(vm, target, other)?;
    vm.heap.change_set(algebra(operator), target, other)
}

/// `a - b`, `a & b`, `a | b`, `a ^ b` and their augmented forms, for two sets. Borrows all; `left` is what `a` came from.
pub fn operator(vm: &mut Vm, operator: Op, inplace: bool, left: Value, a: Value, b: Value) -> NativeReturn {
    let (Value::Set(x), Value::Set(y)) = (a, b) else { return value(Value::None) };
    let frozen = vm.heap.sets[x].frozen;
    if !are_small(vm, &[a, b]) {
        if inplace && !frozen {
            vm.heap.retain(a);
            let result = Outcomes::Value(vm.heap.share(left));
            let task = SetTask::new(vm, x, &[b], operator, result);
            return stepwise::start(vm, task);
        }
        let class = vm.heap.class_of(left);
        let task = SetTask::of(vm, frozen, a, &[b], operator, Outcomes::Set(class))?;
        return stepwise::start(vm, task);
    }
    if inplace && !frozen {
        apply(vm, operator, x, y)?;
        return value(vm.heap.share(left));
    }
    prepare(vm, x, y)?;
    let result = vm.heap.combine_sets(algebra(operator), x, y, frozen);
    // The result is of the left operand's class.
    let class = vm.heap.class_of(left);
    finish(vm, class, Value::Set(result))
}

/// Whether a value is a view of a dict that set operators accept: not that of its values.
pub fn is_set_view(vm: &Vm, item: Value) -> bool {
    matches!(vm.heap.view_of(item), Some((_, IterMode::Items | IterMode::Pairs)))
}

/// `a & b` and its sisters where one of the two is a view of a dict: a new set.
pub fn view_operator(vm: &mut Vm, operator: Op, a: Value, b: Value) -> NativeReturn {
    if !are_small(vm, &[a, b]) {
        let class = Builtin::Set.class();
        let task = SetTask::of(vm, false, a, &[b], operator, Outcomes::Set(class))?;
        return stepwise::start(vm, task);
    }
    let result = as_set(vm, a, false)?;
    match apply_all(vm, operator, result, &[b]) {
        Ok(()) => value(Value::Set(result)),
        Err(raised) => {
            vm.heap.release(Value::Set(result));
            Err(raised)
        }
    }
}

/// A view (or a set) as a set of its own: owned.
pub fn from_view(vm: &mut Vm, item: Value) -> Outcome<Value> {
    Ok(Value::Set(as_set(vm, item, false)?))
}

/// A method that gives a new set: `operator` applied with every argument in turn.
fn combined(vm: &mut Vm, args: &Args<'_>, operator: Op) -> NativeReturn {
    let set = this(vm, args)?;
    let frozen = vm.heap.sets[set].frozen;
    if !are_small(vm, args.positional) {
        let class = vm.heap.class_of(args.positional[0]);
        let (first, others) = (Value::Set(set), &args.positional[1..]);
        let task = SetTask::of(vm, frozen, first, others, operator, Outcomes::Set(class))?;
        return stepwise::start(vm, task);
    }
    if let [_, Value::Set(other)] = *args.positional {
        prepare(vm, set, other)?;
        let result = vm.heap.combine_sets(algebra(operator), set, other, frozen);
        let class = vm.heap.class_of(args.positional[0]);
        return finish(vm, class, Value::Set(result));
    }
    let result = copy_of(vm, set, frozen)?;
    match apply_all(vm, operator, result, &args.positional[1..]) {
        Ok(()) => {
            let class = vm.heap.class_of(args.positional[0]);
            finish(vm, class, Value::Set(result))
        }
        Err(raised) => {
            vm.heap.release(Value::Set(result));
            Err(raised)
        }
    }
}

fn apply_all(vm: &mut Vm, operator: Op, target: Set, others: &[Value]) -> Outcome<()> {
    for &other in others {
        match (operator, unwrap(&vm.heap, other)) {
            (_, Value::Set(other)) => {
                apply(vm, operator, target, other)?;
                continue;
            }
            (Op::Or, _) => {
                add_from(vm, target, other)?;
                continue;
            }
            (Op::Subtract, _) => {
                remove_from(vm, target, other)?;
                continue;
            }
            (Op::And, _) => {
                meet_from(vm, target, other)?;
                continue;
            }
            _ => {}
        }
        let other = as_set(vm, other, true)?;
        let outcome = apply(vm, operator, target, other);
        vm.heap.release(Value::Set(other));
        outcome?;
    }
    Ok(())
}

/// A method that changes the set itself.
fn changed(vm: &mut Vm, args: &Args<'_>, operator: Op) -> NativeReturn {
    let set = this(vm, args)?;
    if !are_small(vm, args.positional) {
        vm.heap.retain(Value::Set(set));
        let task = SetTask::new(vm, set, &args.positional[1..], operator, Outcomes::Value(Value::None));
        return stepwise::start(vm, task);
    }
    apply_all(vm, operator, set, &args.positional[1..])?;
    value(Value::None)
}

fn union(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    combined(vm, &args, Op::Or)
}

fn intersection(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    combined(vm, &args, Op::And)
}

fn difference(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    combined(vm, &args, Op::Subtract)
}

fn symmetric_difference(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    combined(vm, &args, Op::Xor)
}

fn update(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    changed(vm, &args, Op::Or)
}

fn intersection_update(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    changed(vm, &args, Op::And)
}

fn difference_update(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    changed(vm, &args, Op::Subtract)
}

fn symmetric_difference_update(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    changed(vm, &args, Op::Xor)
}

fn add(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let set = this(vm, &args)?;
    vm.heap.set_add(set, args.positional[1])?;
    value(Value::None)
}

/// The value to look up: a set stands for the frozenset of its items.
fn lookup(vm: &mut Vm, item: Value) -> Outcome<(Value, Option<Value>)> {
    if let Value::Set(set) = unwrap(&vm.heap, item) {
        if !vm.heap.sets[set].frozen {
            let frozen = Value::Set(copy_of(vm, set, true)?);
            return Ok((frozen, Some(frozen)));
        }
    }
    Ok((item, None))
}

fn removed(vm: &mut Vm, args: &Args<'_>) -> Outcome<bool> {
    let set = this(vm, args)?;
    let (item, owned) = lookup(vm, args.positional[1])?;
    let found = vm.heap.set_remove(set, item);
    if let Some(owned) = owned {
        vm.heap.release(owned);
    }
    found
}

fn discard(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    removed(vm, &args)?;
    value(Value::None)
}

fn remove(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    if !removed(vm, &args)? {
        return super::dicts::key_error(vm, args.positional[1]);
    }
    value(Value::None)
}

fn pop(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let set = this(vm, &args)?;
    let Some(key) = vm.heap.sets[set].table.iter().next_back().map(|entry| entry.key) else {
        return fail(vm, Builtin::KeyError, "pop from an empty set");
    };
    vm.heap.retain(key);
    vm.heap.set_remove(set, key)?;
    value(key)
}

fn clear(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let set = this(vm, &args)?;
    let entries = vm.heap.sets[set].table.take_entries();
    vm.heap.recharge_set(set);
    release_all(&mut vm.heap, entries.into_iter().map(|entry| entry.key));
    value(Value::None)
}

fn copy(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let set = this(vm, &args)?;
    let frozen = vm.heap.sets[set].frozen;
    if frozen && matches!(args.positional[0], Value::Set(_)) {
        return value(vm.heap.share(args.positional[0]));
    }
    if !are_small(vm, &[Value::Set(set)]) {
        let class = if frozen { Builtin::FrozenSet } else { Builtin::Set }.class();
        let task = SetTask::of(vm, frozen, Value::Set(set), &[], Op::Or, Outcomes::Set(class))?;
        return stepwise::start(vm, task);
    }
    value(Value::Set(copy_of(vm, set, frozen)?))
}

/// Whether every item of `a` is in `b`.
fn within(vm: &mut Vm, a: Set, b: Set) -> Outcome<bool> {
    if vm.heap.sets[a].table.len() > vm.heap.sets[b].table.len() {
        return Ok(false);
    }
    let (x, y) = (&vm.heap.sets[a].table, &vm.heap.sets[b].table);
    Ok(x.iter().all(|entry| y.find(&vm.heap, entry.hash, entry.key).is_some()))
}

fn compared(
    vm: &mut Vm,
    args: &Args<'_>,
    test: fn(&mut Vm, Set, Set) -> Outcome<bool>,
    large: Outcomes,
) -> NativeReturn {
    let set = this(vm, args)?;
    if !are_small(vm, args.positional) {
        vm.heap.retain(Value::Set(set));
        let task = SetTask::new(vm, set, &args.positional[1..], Op::Or, large);
        return stepwise::start(vm, task);
    }
    if let Value::Set(other) = unwrap(&vm.heap, args.positional[1]) {
        vm.spend(vm.heap.sets[other].table.len() / 8);
        let outcome = test(vm, set, other);
        return value(Value::bool(outcome?));
    }
    let other = as_set(vm, args.positional[1], true)?;
    let outcome = test(vm, set, other);
    vm.heap.release(Value::Set(other));
    value(Value::bool(outcome?))
}

fn issubset(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    compared(vm, &args, within, Outcomes::Within)
}

fn issuperset(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    compared(vm, &args, |vm, set, other| within(vm, other, set), Outcomes::Has(true))
}

fn isdisjoint(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let disjoint = |vm: &mut Vm, set: Set, other: Set| {
        let (x, y) = (&vm.heap.sets[set].table, &vm.heap.sets[other].table);
        let (x, y) = if x.len() < y.len() { (y, x) } else { (x, y) };
        Ok(y.iter().all(|entry| x.find(&vm.heap, entry.hash, entry.key).is_none()))
    };
    let other = args.positional[1];
    if !matches!(unwrap(&vm.heap, other), Value::Set(_)) && are_small(vm, args.positional) {
        // Item by item: the first that is found decides, whatever follows.
        let set = this(vm, &args)?;
        let items = hook::collect(vm, other)?;
        let mut found = Ok(false);
        for &item in &items {
            found = vm.heap.set_contains(set, item);
            if !matches!(found, Ok(false)) {
                break;
            }
        }
        release_all(&mut vm.heap, items);
        return value(Value::bool(!found?));
    }
    compared(vm, &args, disjoint, Outcomes::Has(false))
}

fn init(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let set = this(vm, &args)?;
    unpack(vm, "set", args.positional.len() - 1, 0, 1)?;
    if !are_small(vm, &args.positional[1..]) {
        let entries = vm.heap.sets[set].table.take_entries();
        vm.heap.recharge_set(set);
        release_all(&mut vm.heap, entries.into_iter().map(|entry| entry.key));
        return changed(vm, &args, Op::Or);
    }
    let items = match args.get(1) {
        Some(iterable) => hook::collect(vm, iterable)?,
        None => Vec::new(),
    };
    let entries = vm.heap.sets[set].table.take_entries();
    release_all(&mut vm.heap, entries.into_iter().map(|entry| entry.key));
    let outcome = add_all(vm, set, &items);
    release_all(&mut vm.heap, items);
    outcome?;
    value(Value::None)
}

fn show(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    super::repr(vm, args.get(0).unwrap_or(Value::None))
}

fn construct(vm: &mut Vm, args: Args<'_>, frozen: bool) -> NativeReturn {
    let (class, given) = split_class(vm, &args)?;
    let name = if frozen { "frozenset" } else { "set" };
    let program = vm.heap.classes[class].style != Style::Builtin;
    if !program {
        if !args.keywords.is_empty() {
            return fail(vm, Builtin::TypeError, format!("{name}() does not take keyword arguments"));
        }
        unpack(vm, name, given.len(), 0, 1)?;
    }
    let set = match given.first() {
        Some(&item @ Value::Set(set)) if frozen && vm.heap.sets[set].frozen && !program => {
            return value(vm.heap.share(item));
        }
        // A set of the program's class is filled by `__init__`; a frozenset cannot be.
        Some(&item) if (frozen || !program) && !are_small(vm, &[item]) => {
            let task = SetTask::of(vm, frozen, item, &[], Op::Or, Outcomes::Set(class))?;
            return stepwise::start(vm, task);
        }
        Some(&item) if frozen || !program => as_set(vm, item, frozen)?,
        _ => vm.heap.new_set(frozen),
    };
    finish(vm, class, Value::Set(set))
}

/// `set(…)`
pub fn construct_set(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    construct(vm, args, false)
}

/// `frozenset(…)`
pub fn construct_frozen(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    construct(vm, args, true)
}

/// Methods of `set`.
pub const SET_METHODS: &[NativeDef] = &[
    NativeDef::method("add", 1, 1, add),
    NativeDef::method("clear", 0, 0, clear),
    NativeDef::method("copy", 0, 0, copy),
    NativeDef::method("difference", 0, ANY, difference),
    NativeDef::method("difference_update", 0, ANY, difference_update),
    NativeDef::method("discard", 1, 1, discard),
    NativeDef::method("intersection", 0, ANY, intersection),
    NativeDef::method("intersection_update", 0, ANY, intersection_update),
    NativeDef::method("isdisjoint", 1, 1, isdisjoint),
    NativeDef::method("issubset", 1, 1, issubset),
    NativeDef::method("issuperset", 1, 1, issuperset),
    NativeDef::method("pop", 0, 0, pop),
    NativeDef::method("remove", 1, 1, remove),
    NativeDef::method("symmetric_difference", 1, 1, symmetric_difference),
    NativeDef::method("symmetric_difference_update", 1, 1, symmetric_difference_update),
    NativeDef::method("union", 0, ANY, union),
    NativeDef::method("update", 0, ANY, update),
    NativeDef::method("__init__", 0, ANY, init),
    NativeDef::method("__repr__", 0, 0, show),
];

/// Methods of `frozenset`.
pub const FROZEN_METHODS: &[NativeDef] = &[
    NativeDef::method("copy", 0, 0, copy),
    NativeDef::method("difference", 0, ANY, difference),
    NativeDef::method("intersection", 0, ANY, intersection),
    NativeDef::method("isdisjoint", 1, 1, isdisjoint),
    NativeDef::method("issubset", 1, 1, issubset),
    NativeDef::method("issuperset", 1, 1, issuperset),
    NativeDef::method("symmetric_difference", 1, 1, symmetric_difference),
    NativeDef::method("union", 0, ANY, union),
    NativeDef::method("__repr__", 0, 0, show),
];
