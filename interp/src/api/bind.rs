//! The wrapper around every API call: arguments are bound to parameters,
//! checked for their kind and copied before the call's own code sees them.

use super::error::{ApiError, Class};
use super::state::{self, Api};
use super::table::{ApiCall, Kind, MOST_PARAMETERS, TABLE};
use super::{copy, show};
use crate::heap::{Builtin, Heap, Outcome, Raised, Value};
use crate::vm::native::{Args, NativeDef, NativeFn, NativeReturn, ANY};
use crate::vm::Vm;

/// The arguments of a call, each in its parameter's place: borrowed.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// A method's object, `Unset` for a function.
    pub object: Value,
    values: [Value; MOST_PARAMETERS],
    /// Places up to the last one given.
    written: usize,
}

impl Bound {
    /// The argument at a place; `Unset` if it was not given.
    pub fn get(&self, place: usize) -> Value {
        self.values.get(place).copied().unwrap_or(Value::Unset)
    }

    /// The arguments as the program wrote them, `Unset` where it left one out
    /// before a later one.
    pub fn written(&self) -> &[Value] {
        self.values.get(..self.written).unwrap_or_default()
    }

    /// The string at a place whose kind is a string; empty for others.
    pub fn text<'a>(&self, heap: &'a Heap, place: usize) -> &'a [u8] {
        match self.get(place) {
            Value::Str(text) => heap.bytes(text),
            _ => b"",
        }
    }

    /// The identity of a method's API object.
    pub fn object_id(&self, heap: &Heap) -> u64 {
        match self.object {
            Value::Api(api) => heap.apis[api].id,
            _ => 0,
        }
    }

    /// The object and all arguments, `Unset` for those not given: what a call
    /// that may wait keeps.
    pub fn all(&self) -> Vec<Value> {
        let mut all = vec![self.object];
        all.extend_from_slice(&self.values);
        all
    }

    /// The same from [`Bound::all`].
    pub fn from_all(all: &[Value]) -> Bound {
        let mut values = [Value::Unset; MOST_PARAMETERS];
        for (place, value) in values.iter_mut().zip(all.iter().skip(1)) {
            *place = *value;
        }
        let written = values.iter().rposition(|value| !value.is_unset()).map_or(0, |last| last + 1);
        Bound { object: all.first().copied().unwrap_or(Value::Unset), values, written }
    }
}

/// The native of row `ROW`.
fn entry<const ROW: usize>(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    wrap(vm, args, &TABLE[ROW])
}

macro_rules! entries {
    ($($row:literal)*) => {
        [$(entry::<$row> as NativeFn),*]
    };
}

/// The natives, row by row of [`TABLE`].
const ENTRIES: [NativeFn; TABLE.len()] = entries!(
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35
);

/// The native row of a row of the table. Counts are checked by the wrapper,
/// which words the error as the original does.
pub fn native(row: usize) -> NativeDef {
    let call = &TABLE[row];
    let def = match call.class {
        None => NativeDef::function(call.name, 0, ANY, ENTRIES[row]),
        Some(_) => NativeDef::method(call.name, 0, ANY, ENTRIES[row]),
    };
    def.with_keywords()
}

fn wrap(vm: &mut Vm, args: Args<'_>, call: &ApiCall) -> NativeReturn {
    state::drain_dropped(vm);
    let bound = bind(vm, args, call)?;
    let as_is = call.parameters.iter().any(|parameter| parameter.kind == Kind::Context);
    let plain = as_is || copy::all_plain(vm, bound.written())?;
    check_kinds(vm, args, call, &bound)?;
    if plain {
        return (call.act)(vm, &bound);
    }
    let mut copied = bound;
    let copies = copy::copy_all(vm, bound.written())?;
    copied.values[..copies.len()].copy_from_slice(&copies);
    let outcome = (call.act)(vm, &copied);
    copy::release_all(&mut vm.heap, &copies);
    outcome
}

/// Puts positional and keyword arguments into their places.
fn bind(vm: &mut Vm, args: Args<'_>, call: &ApiCall) -> Outcome<Bound> {
    let (object, given) = match (call.class, args.positional) {
        (Some(_), [object, given @ ..]) => (*object, given),
        (_, given) => (Value::Unset, given),
    };
    let mut bound = Bound { object, values: [Value::Unset; MOST_PARAMETERS], written: given.len() };
    if given.len() > call.parameters.len() || !(args.keywords.is_empty() || call.keywords) {
        return Err(incorrect(vm, args, call));
    }
    bound.values[..given.len()].copy_from_slice(given);
    for (name, value) in args.keywords {
        let name = vm.heap.bytes(*name);
        let place = call.parameters.iter().position(|parameter| parameter.name.as_bytes() == name);
        match place {
            Some(place) if bound.values[place].is_unset() => {
                bound.values[place] = *value;
                bound.written = bound.written.max(place + 1);
            }
            _ => return Err(incorrect(vm, args, call)),
        }
    }
    let missing =
        |(parameter, value): (&super::table::Parameter, &Value)| parameter.required && value.is_unset();
    if call.parameters.iter().zip(&bound.values).any(missing) {
        return Err(incorrect(vm, args, call));
    }
    Ok(bound)
}

fn check_kinds(vm: &mut Vm, args: Args<'_>, call: &ApiCall, bound: &Bound) -> Outcome<()> {
    for (parameter, value) in call.parameters.iter().zip(&bound.values) {
        if !value.is_unset() && !fits(vm, parameter.kind, *value) {
            return Err(incorrect(vm, args, call));
        }
    }
    Ok(())
}

/// Whether a value is of a kind.
pub fn fits(vm: &Vm, kind: Kind, value: Value) -> bool {
    let integer = matches!(value, Value::Int(_) | Value::Long(_));
    let number = integer || matches!(value, Value::Float(_));
    let of = |class: Builtin| match value {
        Value::Api(api) => vm.heap.apis[api].class == class.class(),
        _ => false,
    };
    match kind {
        Kind::Integer => integer,
        Kind::IntegerOrNone => integer || value.is_none(),
        Kind::Number => number,
        Kind::NumberOrNone => number || value.is_none(),
        Kind::Flag => integer || matches!(value, Value::Bool(_)),
        Kind::Text => matches!(value, Value::Str(_)),
        Kind::TextOrNone => matches!(value, Value::Str(_)) || value.is_none(),
        Kind::Function => match value {
            Value::Function(_) => true,
            Value::Method(method) => !vm.heap.methods[method].object.is_unset(),
            Value::Native(native) => Api::of_ref(vm).is_some_and(|api| api.is_api_function(native)),
            Value::BoundNative(bound) => matches!(vm.heap.bound_natives[bound].object, Value::Api(_)),
            _ => false,
        },
        Kind::Sequence => matches!(value, Value::List(_) | Value::Tuple(_)),
        Kind::TextList => match value {
            Value::List(list) => vm.heap.list(list).iter().all(|item| matches!(item, Value::Str(_))),
            _ => false,
        },
        Kind::Timer => of(Builtin::ApiTimerHandle),
        Kind::Comm => of(Builtin::ApiCommHandle),
        Kind::Context => matches!(value, Value::Dict(_) | Value::SafeDict(_)),
        Kind::Any => true,
    }
}

/// The TypeError of wrong arguments.
#[cold]
fn incorrect(vm: &mut Vm, args: Args<'_>, call: &ApiCall) -> Raised {
    let heap = &vm.heap;
    let detail = if call.parameters.is_empty() { "No arguments allowed." } else { "" };
    let mut text =
        format!("Function '{}' called with incorrect arguments. {detail}", call.target).into_bytes();
    text.extend_from_slice(b" Arguments were args:");
    text.extend_from_slice(&show::repr_of_tuple(heap, args.positional));
    text.extend_from_slice(b", kwargs:{");
    for (index, (name, value)) in args.keywords.iter().enumerate() {
        if index > 0 {
            text.extend_from_slice(b", ");
        }
        text.extend_from_slice(&show::repr_of(heap, Value::Str(*name)));
        text.extend_from_slice(b": ");
        text.extend_from_slice(&show::repr_of(heap, *value));
    }
    text.push(b'}');
    state::raise(vm, &ApiError::new(Class::TypeError, text))
}
