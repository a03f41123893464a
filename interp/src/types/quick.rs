//! The short ways of the built-in functions and methods that programs call most: see [`QuickFn`].
//!
//! Each takes the arguments it knows by a pattern and leaves everything else, errors included, to the native itself by
//! giving [`Value::Unset`]. Texts are bounded by [`SHORT`], so that none asks for fuel or room.
use super::kernel::bytes::{self, Ends};
use super::kernel::float::{self, is_space};
use super::kernel::percent::plain_digits;
use super::kernel::{search, strrepr};
use super::numbers::short_decimal;
use super::text::{decimal, scalar, Mode};
use crate::heap::{Builtin, List, Str, Value};
use crate::vm::native::QuickFn;
use crate::vm::Vm;

/// Longest text that is worked on here, in bytes.
const SHORT: usize = 1024;

/// The bytes of a short text.
#[inline(always)]
pub(super) fn short(vm: &Vm, text: Str) -> Option<&[u8]> {
    let bytes = vm.heap.bytes(text);
    (bytes.len() <= SHORT).then_some(bytes)
}

/// A truth, if there is one.
#[inline(always)]
fn truth(holds: Option<bool>) -> Value {
    holds.map_or(Value::Unset, Value::bool)
}

/// `len(item)`
pub fn len(vm: &mut Vm, args: &mut [Value]) -> Value {
    let length = match *args {
        [Value::Str(text)] => vm.heap.bytes(text).len(),
        [Value::List(list)] => vm.heap.list(list).len(),
        [Value::Tuple(tuple)] => vm.heap.tuple(tuple).len(),
        [Value::Dict(dict)] => vm.heap.dicts[dict].table.len(),
        [Value::Set(set)] => vm.heap.sets[set].table.len(),
        [Value::XRange(range)] => return Value::Int(vm.heap.xranges[range].length),
        _ => return Value::Unset,
    };
    Value::Int(length as i64)
}

/// `ord(text)`
pub fn ord(vm: &mut Vm, args: &mut [Value]) -> Value {
    if let [Value::Str(text)] = *args {
        if let [byte] = *vm.heap.bytes(text) {
            return Value::Int(i64::from(byte));
        }
    }
    Value::Unset
}

/// `chr(code)`
pub fn chr(vm: &mut Vm, args: &mut [Value]) -> Value {
    match *args {
        [Value::Int(code)] => u8::try_from(code).map_or(Value::Unset, |byte| vm.heap.byte(byte)),
        _ => Value::Unset,
    }
}

/// `abs(number)`
pub fn abs(_: &mut Vm, args: &mut [Value]) -> Value {
    match *args {
        [Value::Int(i)] => i.checked_abs().map_or(Value::Unset, Value::Int),
        [Value::Float(x)] => Value::float(x.get().abs()),
        _ => Value::Unset,
    }
}

/// `min(a, b)` and `max(a, b)` of two ints or two floats.
#[inline(always)]
fn extreme(args: &[Value], largest: bool) -> Value {
    let second = match *args {
        [Value::Int(a), Value::Int(b)] => (b > a) == largest && a != b,
        [Value::Float(a), Value::Float(b)] if largest => b.get() > a.get(),
        [Value::Float(a), Value::Float(b)] => b.get() < a.get(),
        _ => return Value::Unset,
    };
    args[usize::from(second)]
}

/// `max(a, b)`
pub fn max(_: &mut Vm, args: &mut [Value]) -> Value {
    extreme(args, true)
}

/// `min(a, b)`
pub fn min(_: &mut Vm, args: &mut [Value]) -> Value {
    extreme(args, false)
}

/// `isinstance(item, class)`
pub fn isinstance(vm: &mut Vm, args: &mut [Value]) -> Value {
    match *args {
        [item, Value::Class(class)] => Value::bool(vm.heap.is_instance(item, class)),
        _ => Value::Unset,
    }
}

/// `cmp(a, b)`
pub fn cmp(vm: &mut Vm, args: &mut [Value]) -> Value {
    let order = match *args {
        [Value::Int(a), Value::Int(b)] => a.cmp(&b),
        [Value::Str(a), Value::Str(b)] => vm.heap.bytes(a).cmp(vm.heap.bytes(b)),
        _ => return Value::Unset,
    };
    Value::Int(order as i64)
}

/// `repr(item)`
pub fn repr(vm: &mut Vm, args: &mut [Value]) -> Value {
    match *args {
        [Value::Str(text)] if vm.heap.bytes(text).len() <= SHORT => {
            let mut out = std::mem::take(&mut vm.scratch);
            strrepr::push_repr(&mut out, vm.heap.bytes(text));
            let shown = vm.heap.new_str(&out);
            vm.give_scratch(out);
            shown
        }
        [Value::Int(i)] => vm.heap.new_str(decimal(i, &mut [0; 20])),
        [item @ (Value::Bool(_) | Value::Float(_) | Value::None)] => shown(vm, item, Mode::Repr),
        _ => Value::Unset,
    }
}

/// The text of a value that no code of the program has a say in, and that is not long.
#[inline(never)]
fn shown(vm: &mut Vm, item: Value, mode: Mode) -> Value {
    let mut out = std::mem::take(&mut vm.scratch);
    let known = scalar(&vm.heap, &mut out, item, mode);
    let shown = if known { vm.heap.new_str(&out) } else { Value::Unset };
    vm.give_scratch(out);
    shown
}

/// `str(item)`
pub fn to_str(vm: &mut Vm, args: &mut [Value]) -> Value {
    match *args {
        [Value::Int(i)] => vm.heap.new_str(decimal(i, &mut [0; 20])),
        [item @ Value::Str(_)] => vm.heap.share(item),
        [item @ (Value::Bool(_) | Value::Float(_) | Value::None)] => shown(vm, item, Mode::Str),
        _ => Value::Unset,
    }
}

/// `int(item)`
pub fn to_int(vm: &mut Vm, args: &mut [Value]) -> Value {
    match *args {
        [item @ Value::Int(_)] => item,
        [Value::Str(text)] => short_decimal(vm.heap.bytes(text)).map_or(Value::Unset, Value::Int),
        [Value::Float(x)] if x.get().abs() < 1e18 => Value::Int(x.get() as i64),
        _ => Value::Unset,
    }
}

/// `float(item)`
pub fn to_float(vm: &mut Vm, args: &mut [Value]) -> Value {
    match *args {
        [item @ Value::Float(_)] => item,
        [Value::Int(i)] => Value::float(i as f64),
        [Value::Str(text)] => match short(vm, text).map(float::parse) {
            Some(Ok(x)) => Value::float(x),
            _ => Value::Unset,
        },
        _ => Value::Unset,
    }
}

/// `type(item)`
pub fn type_of(vm: &mut Vm, args: &mut [Value]) -> Value {
    match *args {
        [item @ (Value::Int(_)
        | Value::Str(_)
        | Value::List(_)
        | Value::Tuple(_)
        | Value::Dict(_)
        | Value::Float(_))] => {
            let class = vm.heap.type_of(item);
            vm.heap.share(Value::Class(class))
        }
        _ => Value::Unset,
    }
}

/// `bool(item)`
pub fn to_bool(vm: &mut Vm, args: &mut [Value]) -> Value {
    match *args {
        [item @ (Value::Int(_)
        | Value::Bool(_)
        | Value::None
        | Value::Str(_)
        | Value::List(_)
        | Value::Float(_))] => Value::bool(vm.truth(item)),
        _ => Value::Unset,
    }
}

/// `list(items)`
pub fn to_list(vm: &mut Vm, args: &mut [Value]) -> Value {
    match *args {
        [] => vm.heap.new_list(Vec::new()),
        [Value::List(list)] if vm.heap.list(list).len() <= SHORT => {
            vm.heap.new_list_from(list, 0, vm.heap.list(list).len())
        }
        [Value::Str(text)] if vm.heap.bytes(text).len() <= SHORT => {
            let length = vm.heap.bytes(text).len();
            let mut items = vm.heap.list_buffer(length);
            for at in 0..length {
                let byte = vm.heap.bytes(text)[at];
                items.push(vm.heap.byte(byte));
            }
            vm.heap.new_list(items)
        }
        _ => Value::Unset,
    }
}

/// `tuple(items)`
pub fn to_tuple(vm: &mut Vm, args: &mut [Value]) -> Value {
    const FEW: usize = 16;
    let mut few = [Value::Unset; FEW];
    match *args {
        [item @ Value::Tuple(_)] => vm.heap.share(item),
        [Value::List(list)] => {
            let items = vm.heap.list(list);
            let Some(few) = few.get_mut(..items.len()) else { return Value::Unset };
            few.copy_from_slice(items);
            few.iter().for_each(|item| vm.heap.retain(*item));
            vm.heap.new_tuple(few)
        }
        _ => Value::Unset,
    }
}

/// `hex(number)`
pub fn hex(vm: &mut Vm, args: &mut [Value]) -> Value {
    let [Value::Int(number)] = *args else { return Value::Unset };
    if number < 0 {
        return Value::Unset;
    }
    let mut buffer = [0; 24];
    let size = plain_digits(b'x', number, &mut buffer).len();
    let start = buffer.len() - size - 2;
    buffer[start..start + 2].copy_from_slice(b"0x");
    vm.heap.new_str(&buffer[start..])
}

/// `sum(list)` of few ints
pub fn sum(vm: &mut Vm, args: &mut [Value]) -> Value {
    let [Value::List(list)] = *args else { return Value::Unset };
    let items = vm.heap.list(list);
    let mut total = 0i64;
    for item in items.iter().take(SHORT + 1) {
        let Value::Int(item) = *item else { return Value::Unset };
        let Some(next) = total.checked_add(item) else { return Value::Unset };
        total = next;
    }
    if items.len() > SHORT {
        return Value::Unset;
    }
    Value::Int(total)
}

/// `range(stop)` of few ints
pub fn range(vm: &mut Vm, args: &mut [Value]) -> Value {
    match *args {
        [Value::Int(stop)] if (1..=SHORT as i64).contains(&stop) => {
            let mut items = vm.heap.list_buffer(stop as usize);
            items.extend((0..stop).map(Value::Int));
            vm.heap.new_list(items)
        }
        _ => Value::Unset,
    }
}

/// Whether a short text has bytes and all of them pass.
#[inline(always)]
fn all(vm: &mut Vm, args: &[Value], holds: impl Fn(&u8) -> bool) -> Value {
    match *args {
        [Value::Str(text)] => truth(short(vm, text).map(|text| bytes::all_of(text, holds))),
        _ => Value::Unset,
    }
}

/// `text.isalnum()`
pub fn isalnum(vm: &mut Vm, args: &mut [Value]) -> Value {
    all(vm, args, u8::is_ascii_alphanumeric)
}

/// `text.isalpha()`
pub fn isalpha(vm: &mut Vm, args: &mut [Value]) -> Value {
    all(vm, args, u8::is_ascii_alphabetic)
}

/// `text.isdigit()`
pub fn isdigit(vm: &mut Vm, args: &mut [Value]) -> Value {
    all(vm, args, u8::is_ascii_digit)
}

/// `text.isspace()`
pub fn isspace(vm: &mut Vm, args: &mut [Value]) -> Value {
    all(vm, args, |byte| is_space(*byte))
}

/// A short text changed byte by byte.
#[inline(always)]
pub(super) fn changed(vm: &mut Vm, args: &[Value], one: impl Fn(u8) -> u8, all: impl Fn(&mut [u8])) -> Value {
    let [Value::Str(text)] = *args else { return Value::Unset };
    match *vm.heap.bytes(text) {
        [byte] => vm.heap.byte(one(byte)),
        ref bytes if bytes.len() > SHORT => Value::Unset,
        _ => vm.heap.new_str_changed(text, all),
    }
}

/// `text.upper()`
pub fn upper(vm: &mut Vm, args: &mut [Value]) -> Value {
    changed(vm, args, |byte| byte.to_ascii_uppercase(), <[u8]>::make_ascii_uppercase)
}

/// `text.lower()`
pub fn lower(vm: &mut Vm, args: &mut [Value]) -> Value {
    changed(vm, args, |byte| byte.to_ascii_lowercase(), <[u8]>::make_ascii_lowercase)
}

/// `text.strip()` and its sisters without an argument, or with one byte.
#[inline(always)]
fn stripped(vm: &mut Vm, args: &[Value], ends: Ends) -> Value {
    let (this, set) = match *args {
        [Value::Str(this)] => (this, None),
        [Value::Str(this), Value::Str(set)] => (this, Some(set)),
        _ => return Value::Unset,
    };
    let Some(whole) = short(vm, this) else { return Value::Unset };
    let (start, end) = match set.map(|set| vm.heap.bytes(set)) {
        None => bytes::strip(whole, None, ends),
        Some(set @ [_]) => bytes::strip(whole, Some(set), ends),
        Some(_) => return Value::Unset,
    };
    if (start, end) == (0, whole.len()) {
        return vm.heap.share(Value::Str(this));
    }
    vm.heap.new_substr(this, start, end)
}

/// `text.strip(…)`
pub fn strip(vm: &mut Vm, args: &mut [Value]) -> Value {
    stripped(vm, args, Ends { left: true, right: true })
}

/// `text.lstrip(…)`
pub fn lstrip(vm: &mut Vm, args: &mut [Value]) -> Value {
    stripped(vm, args, Ends { left: true, right: false })
}

/// `text.rstrip(…)`
pub fn rstrip(vm: &mut Vm, args: &mut [Value]) -> Value {
    stripped(vm, args, Ends { left: false, right: true })
}

/// What a question about two texts gives, if the first is short.
#[inline(always)]
fn of_two(vm: &Vm, args: &[Value], ask: impl Fn(&[u8], &[u8]) -> Value) -> Value {
    match *args {
        [Value::Str(this), Value::Str(part)] => match short(vm, this) {
            Some(text) => ask(text, vm.heap.bytes(part)),
            None => Value::Unset,
        },
        _ => Value::Unset,
    }
}

/// `text.startswith(part)`
pub fn startswith(vm: &mut Vm, args: &mut [Value]) -> Value {
    of_two(vm, args, |text, part| Value::bool(text.starts_with(part)))
}

/// `text.endswith(part)`
pub fn endswith(vm: &mut Vm, args: &mut [Value]) -> Value {
    of_two(vm, args, |text, part| Value::bool(text.ends_with(part)))
}

/// `text.find(part)`
pub fn find(vm: &mut Vm, args: &mut [Value]) -> Value {
    of_two(vm, args, |text, part| Value::Int(search::find(text, part).map_or(-1, |at| at as i64)))
}

/// `text.rfind(part)`
pub fn rfind(vm: &mut Vm, args: &mut [Value]) -> Value {
    of_two(vm, args, |text, part| Value::Int(search::rfind(text, part).map_or(-1, |at| at as i64)))
}

/// `text.count(part)`
pub fn count(vm: &mut Vm, args: &mut [Value]) -> Value {
    of_two(vm, args, |text, part| match part {
        [] => Value::Unset,
        _ => Value::Int(search::count(text, part, usize::MAX) as i64),
    })
}

/// `dict.get(key)` and `dict.get(key, other)` of a str or int.
pub fn dict_get(vm: &mut Vm, args: &mut [Value]) -> Value {
    let (dict, key, other) = match *args {
        [Value::Dict(dict), key] => (dict, key, Value::None),
        [Value::Dict(dict), key, other] => (dict, key, other),
        _ => return Value::Unset,
    };
    let found = match key {
        Value::Str(key) => vm.heap.dict_get_str(dict, key),
        Value::Int(_) => match vm.heap.dict_get(dict, key) {
            Ok(found) => found,
            // An int has a hash.
            Err(_) => return Value::Unset,
        },
        _ => return Value::Unset,
    };
    vm.heap.share(found.unwrap_or(other))
}

/// `dict.has_key(key)` of a str or int.
pub fn has_key(vm: &mut Vm, args: &mut [Value]) -> Value {
    match *args {
        [Value::Dict(dict), Value::Int(key)] => Value::bool(vm.heap.dict_get_int(dict, key).is_some()),
        [Value::Dict(dict), Value::Str(key)] => Value::bool(vm.heap.dict_get_str(dict, key).is_some()),
        _ => Value::Unset,
    }
}

/// `list.append(item)` where there is room, or the list is small.
pub fn append(vm: &mut Vm, args: &mut [Value]) -> Value {
    let [Value::List(list), ref mut item] = *args else { return Value::Unset };
    let items = &mut vm.heap.lists[list].items;
    if items.len() == items.capacity() && !widened(vm, list) {
        return Value::Unset;
    }
    vm.heap.lists[list].items.push(std::mem::replace(item, Value::Unset));
    Value::None
}

/// Makes room for one more item of a small list; whether that was done.
#[inline(never)]
fn widened(vm: &mut Vm, list: List) -> bool {
    if vm.heap.list(list).len() > SHORT {
        return false;
    }
    match vm.heap.reserve_list(list, 1) {
        Ok(()) => true,
        Err(raised) => {
            let exception = vm.heap.take_raised(raised);
            vm.heap.release(exception);
            false
        }
    }
}

/// `list.pop()`
pub fn pop(vm: &mut Vm, args: &mut [Value]) -> Value {
    match *args {
        [Value::List(list)] => vm.heap.lists[list].items.pop().unwrap_or(Value::Unset),
        _ => Value::Unset,
    }
}

/// The names of the functions and classes whose short way takes one argument.
pub const OF_ONE: &[&str] = &[
    "abs", "bool", "chr", "float", "hex", "int", "list", "ord", "range", "repr", "str", "sum", "tuple",
    "type",
];

/// The short ways of calling built-in classes, without the class as first argument.
pub const CONSTRUCTORS: &[(Builtin, QuickFn)] = &[
    (Builtin::Type, type_of),
    (Builtin::Int, to_int),
    (Builtin::Float, to_float),
    (Builtin::Str, to_str),
    (Builtin::Bool, to_bool),
    (Builtin::List, to_list),
    (Builtin::Tuple, to_tuple),
];
