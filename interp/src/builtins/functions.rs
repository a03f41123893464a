//! The built-in functions that call no program code.
use super::functional;
use crate::heap::{Builtin, Class, Outcome, Style, Value};
use crate::types::kernel::long;
use crate::types::support::{
    as_str, fail, integer, integer_argument, number, release_all, type_name, unpack, unwrap, Number,
};
use crate::types::{self, hook, stepwise, text};
use crate::vm::native::{value, Args, NativeDef, NativeReturn, ANY};
use crate::vm::Vm;
use dashu_int::IBig;
use std::cmp::Ordering;

fn chr(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let code = integer_argument(vm, args.positional[0])?;
    match u8::try_from(code) {
        Ok(byte) => value(vm.heap.byte(byte)),
        Err(_) => fail(vm, Builtin::ValueError, "chr() arg not in range(256)"),
    }
}

fn ord(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let item = args.positional[0];
    match as_str(&vm.heap, item).map(|text| vm.heap.bytes(text)) {
        Some(&[byte]) => value(Value::Int(i64::from(byte))),
        Some(bytes) => {
            let text = format!("ord() expected a character, but string of length {} found", bytes.len());
            fail(vm, Builtin::TypeError, text)
        }
        None => {
            let name = type_name(&vm.heap, item);
            fail(vm, Builtin::TypeError, format!("ord() expected string of length 1, but {name} found"))
        }
    }
}

fn cmp(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    unpack(vm, "cmp", args.positional.len(), 2, 2)?;
    value(Value::Int(match hook::compare(vm, args.positional[0], args.positional[1])? {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }))
}

fn divmod(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    unpack(vm, "divmod", args.positional.len(), 2, 2)?;
    types::div_mod(vm, args.positional[0], args.positional[1])
}

fn pow(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    unpack(vm, "pow", args.positional.len(), 2, 3)?;
    types::power_mod(vm, args.positional[0], args.positional[1], args.get(2).unwrap_or(Value::None))
}

fn hex(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    types::in_base(vm, args.positional[0], "hex", long::hex)
}

fn oct(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    types::in_base(vm, args.positional[0], "oct", long::oct)
}

fn id(_: &mut Vm, args: Args<'_>) -> NativeReturn {
    value(Value::Int(text::identity(args.positional[0])))
}

fn repr(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    types::repr(vm, args.positional[0])
}

fn len(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let item = args.positional[0];
    let heap = &vm.heap;
    let length = match unwrap(heap, item) {
        Value::Str(text) => heap.bytes(text).len(),
        Value::List(list) => heap.list(list).len(),
        Value::Tuple(tuple) => heap.tuple(tuple).len(),
        Value::Dict(dict) => heap.dicts[dict].table.len(),
        Value::Set(set) => heap.sets[set].table.len(),
        Value::SafeDict(safe) => heap.dicts[heap.safe_dicts[safe].dict].table.len(),
        Value::XRange(range) => heap.xranges[range].length as usize,
        Value::Instance(instance) if heap.classes[heap.instances[instance].class].style == Style::Old => {
            let name = heap.text(heap.classes[heap.instances[instance].class].name);
            return fail(vm, Builtin::AttributeError, format!("{name} instance has no attribute '__len__'"));
        }
        view if heap.view_of(view).is_some() => match heap.view_of(view) {
            Some((dict, _)) => heap.dicts[dict].table.len(),
            None => 0,
        },
        _ => {
            let name = type_name(heap, item);
            return fail(vm, Builtin::TypeError, format!("object of type '{name}' has no len()"));
        }
    };
    value(Value::Int(length as i64))
}

/// Whether `test` holds for one of the classes in a class or (nested) tuple of classes.
fn any_class(
    vm: &mut Vm,
    classes: Value,
    message: &str,
    test: &dyn Fn(&Vm, Class) -> bool,
    depth: u32,
) -> Outcome<bool> {
    if depth > 900 {
        return fail(vm, Builtin::RuntimeError, "maximum recursion depth exceeded in __instancecheck__");
    }
    match classes {
        Value::Class(class) => Ok(test(vm, class)),
        Value::Tuple(tuple) => {
            for at in 0..vm.heap.tuple(tuple).len() {
                let inner = vm.heap.tuple(tuple)[at];
                if any_class(vm, inner, message, test, depth + 1)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        _ => fail(vm, Builtin::TypeError, message),
    }
}

fn isinstance(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    unpack(vm, "isinstance", args.positional.len(), 2, 2)?;
    let item = args.positional[0];
    let message = "isinstance() arg 2 must be a class, type, or tuple of classes and types";
    let holds = any_class(vm, args.positional[1], message, &|vm, class| vm.heap.is_instance(item, class), 0)?;
    value(Value::bool(holds))
}

fn issubclass(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    unpack(vm, "issubclass", args.positional.len(), 2, 2)?;
    let Value::Class(class) = args.positional[0] else {
        return fail(vm, Builtin::TypeError, "issubclass() arg 1 must be a class");
    };
    let message = "issubclass() arg 2 must be a class or tuple of classes";
    let holds = any_class(vm, args.positional[1], message, &|vm, base| vm.heap.is_subclass(class, base), 0)?;
    value(Value::bool(holds))
}

/// A bound of `range`.
fn range_bound(vm: &mut Vm, item: Value, which: &str) -> Outcome<IBig> {
    match (number(&vm.heap, item), integer(&vm.heap, item)) {
        (Some(Number::Int(_) | Number::Long(_)), Some(bound)) => Ok(bound),
        _ => {
            if let Some(raised) = types::old_instance_lacks(vm, item, "__trunc__") {
                return Err(raised);
            }
            let name = type_name(&vm.heap, item);
            fail(vm, Builtin::TypeError, format!("range() integer {which} argument expected, got {name}."))
        }
    }
}

fn range(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let given = args.positional;
    unpack(vm, "range", given.len(), 1, 3)?;
    // As soon as one bound is too large for a machine word, all items are longs.
    let small: Option<Vec<i64>> = given
        .iter()
        .map(|item| match crate::types::support::number(&vm.heap, *item) {
            Some(crate::types::support::Number::Long(long)) => i64::try_from(&vm.heap.longs[long].value).ok(),
            Some(crate::types::support::Number::Int(small)) => Some(small),
            _ => None,
        })
        .collect();
    if let Some(small) = small {
        let (start, stop, step) = match small[..] {
            [stop] => (0, stop, 1),
            [start, stop] => (start, stop, 1),
            [start, stop, step] => (start, stop, step),
            _ => (0, 0, 1),
        };
        if step == 0 {
            return fail(vm, Builtin::ValueError, "range() step argument must not be zero");
        }
        let length = types::range_length(i128::from(start), i128::from(stop), i128::from(step));
        let length = range_size(vm, length)?;
        if length > 4 * stepwise::ITEMS {
            let range = stepwise::Range { next: start, step, length, items: Vec::with_capacity(length) };
            return stepwise::start(vm, range);
        }
        let mut items = Vec::with_capacity(length);
        items.extend((0..length as i64).map(|at| Value::Int(start.wrapping_add(step.wrapping_mul(at)))));
        return value(vm.heap.new_list(items));
    }
    let (start, stop, step) = match *given {
        [stop] => (IBig::ZERO, range_bound(vm, stop, "end")?, IBig::ONE),
        [start, stop] => {
            // 2.7 looks at the end first.
            let stop = range_bound(vm, stop, "end")?;
            (range_bound(vm, start, "start")?, stop, IBig::ONE)
        }
        [start, stop, step] => {
            let stop = range_bound(vm, stop, "end")?;
            (range_bound(vm, start, "start")?, stop, range_bound(vm, step, "step")?)
        }
        _ => (IBig::ZERO, IBig::ZERO, IBig::ONE),
    };
    if step.is_zero() {
        return fail(vm, Builtin::ValueError, "range() step argument must not be zero");
    }
    let ascending = step > IBig::ZERO;
    let distance = if ascending { &stop - &start } else { &start - &stop };
    let length = if distance > IBig::ZERO {
        let width = if ascending { step.clone() } else { -&step };
        (distance - IBig::ONE) / width + IBig::ONE
    } else {
        IBig::ZERO
    };
    let length = range_size(vm, i128::try_from(&length).unwrap_or(i128::MAX))?;
    vm.heap.make_room(length.saturating_mul(64))?;
    let mut items = Vec::with_capacity(length);
    let mut next = start;
    for _ in 0..length {
        items.push(vm.heap.new_long(next.clone()));
        next += &step;
    }
    value(vm.heap.new_list(items))
}

/// Checks that a list of `length` items is possible and asks for its room.
fn range_size(vm: &mut Vm, length: i128) -> Outcome<usize> {
    match usize::try_from(length).ok().filter(|&length| length <= i64::MAX as usize / 16) {
        Some(length) => {
            vm.heap.make_room(length.saturating_mul(16))?;
            vm.spend(length / 16);
            Ok(length)
        }
        None => fail(vm, Builtin::OverflowError, "range() result has too many items"),
    }
}

fn zip(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let mut columns: Vec<Vec<Value>> = Vec::with_capacity(args.positional.len());
    for (at, &source) in args.positional.iter().enumerate() {
        match hook::collect(vm, source) {
            Ok(items) => columns.push(items),
            Err(raised) => {
                release_all(&mut vm.heap, columns.into_iter().flatten());
                let exception = vm.heap.peek_raised(&raised);
                if vm.heap.is_instance(exception, Builtin::TypeError.class()) {
                    let text = format!("zip argument #{} must support iteration", at + 1);
                    return fail(vm, Builtin::TypeError, text);
                }
                return Err(raised);
            }
        }
    }
    let rows = columns.iter().map(Vec::len).min().unwrap_or(0);
    let width = columns.len();
    if let Err(raised) = vm.heap.make_room(rows.saturating_mul(72 + 16 * width)) {
        release_all(&mut vm.heap, columns.into_iter().flatten());
        return Err(raised);
    }
    vm.spend(rows * width / 4);
    let mut out = Vec::with_capacity(rows);
    let mut row = Vec::with_capacity(width);
    for at in 0..rows {
        row.clear();
        row.extend(columns.iter().map(|column| column[at]));
        out.push(vm.heap.new_tuple(&row));
    }
    for column in columns {
        release_all(&mut vm.heap, column.into_iter().skip(rows));
    }
    value(vm.heap.new_list(out))
}

/// The built-in functions by name.
pub const FUNCTIONS: &[NativeDef] = &[
    NativeDef::function("abs", 1, 1, types::absolute),
    NativeDef::function("chr", 1, 1, chr),
    NativeDef::function("cmp", 0, ANY, cmp),
    NativeDef::function("divmod", 0, ANY, divmod),
    NativeDef::function("filter", 0, ANY, functional::filter),
    NativeDef::function("hex", 1, 1, hex),
    NativeDef::function("id", 1, 1, id),
    NativeDef::function("isinstance", 0, ANY, isinstance),
    NativeDef::function("issubclass", 0, ANY, issubclass),
    NativeDef::function("len", 1, 1, len),
    NativeDef::function("map", 0, ANY, functional::map),
    NativeDef::function("max", 0, ANY, functional::max).with_keywords(),
    NativeDef::function("min", 0, ANY, functional::min).with_keywords(),
    NativeDef::function("oct", 1, 1, oct),
    NativeDef::function("ord", 1, 1, ord),
    NativeDef::function("pow", 0, ANY, pow),
    NativeDef::function("range", 0, ANY, range),
    NativeDef::function("reduce", 0, ANY, functional::reduce),
    NativeDef::function("repr", 1, 1, repr),
    NativeDef::function("round", 0, 2, types::round).with_keywords(),
    NativeDef::function("sum", 0, ANY, functional::sum),
    NativeDef::function("zip", 0, ANY, zip),
];
