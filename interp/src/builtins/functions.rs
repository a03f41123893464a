//! The built-in functions that call no program code.
use super::functional;
use crate::heap::{Builtin, Class, Outcome, Style, Value};
use crate::types::comparing::{self, Question};
use crate::types::kernel::long;
use crate::types::support::{
    as_str, fail, integer, integer_argument, number, type_name, unpack, unwrap, Number,
};
use crate::types::{self, quick, stepwise, text};
use crate::vm::native::{value, Args, NativeDef, NativeReturn, ANY};
use crate::vm::{Iteration, Vm};
use dashu_int::IBig;

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
    comparing::compare(vm, Question::Cmp, args.positional[0], args.positional[1])
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
    let items = Vec::with_capacity(length);
    stepwise::start(vm, LongRange { next: start, step, length, items })
}

/// `range` of longs under way; the room has been asked for.
struct LongRange {
    next: IBig,
    step: IBig,
    length: usize,
    items: Vec<Value>,
}

impl stepwise::Stepwise for LongRange {
    fn step(&mut self, vm: &mut Vm) -> Outcome<Option<Value>> {
        let end = self.length.min(self.items.len() + stepwise::ITEMS / 4);
        while self.items.len() < end {
            self.items.push(vm.heap.new_long(self.next.clone()));
            self.next += &self.step;
        }
        if end < self.length {
            return Ok(None);
        }
        let items = std::mem::take(&mut self.items);
        Ok(Some(vm.heap.new_list(items)))
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        self.items.iter().copied().for_each(visit);
    }
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
    if let Some(rows) = zip_few(vm, args.positional) {
        return value(rows);
    }
    let mut zip =
        Zip { columns: Vec::with_capacity(args.positional.len()), rows: Vec::new(), row: Vec::new() };
    let mut hint = usize::MAX;
    for (at, &source) in args.positional.iter().enumerate() {
        match vm.try_iterate(source) {
            Ok(iteration) => {
                hint = hint.min(vm.length_hint(&iteration));
                zip.columns.push(iteration);
            }
            Err(()) => {
                zip.columns.into_iter().for_each(|column| vm.finish(column));
                let text = format!("zip argument #{} must support iteration", at + 1);
                return fail(vm, Builtin::TypeError, text);
            }
        }
    }
    if zip.columns.is_empty() {
        return value(vm.heap.new_list(Vec::new()));
    }
    if let Err(raised) = vm.heap.make_room(hint.saturating_mul(72 + 16 * zip.columns.len())) {
        zip.columns.into_iter().for_each(|column| vm.finish(column));
        return Err(raised);
    }
    zip.rows.reserve_exact(hint);
    stepwise::start(vm, zip)
}

/// Items up to which sequences are zipped in one go.
const FEW: usize = 1024;

/// Sequences up to which that is done.
const FEW_COLUMNS: usize = 8;

/// The length of a sequence that `zip` reads by position.
fn zipped_length(vm: &Vm, source: Value) -> Option<usize> {
    Some(match source {
        Value::List(list) => vm.heap.list(list).len(),
        Value::Tuple(tuple) => vm.heap.tuple(tuple).len(),
        Value::Str(text) => vm.heap.bytes(text).len(),
        Value::XRange(range) => vm.heap.xranges[range].length as usize,
        _ => return None,
    })
}

/// `zip` of a few short sequences: owned.
fn zip_few(vm: &mut Vm, columns: &[Value]) -> Option<Value> {
    let mut row = [Value::Unset; FEW_COLUMNS];
    let row = row.get_mut(..columns.len())?;
    let mut count = FEW + 1;
    for &column in columns {
        count = count.min(zipped_length(vm, column)?);
    }
    if count.saturating_mul(columns.len()) > FEW || columns.is_empty() {
        return None;
    }
    vm.spend(count * columns.len() / 16);
    let mut rows = vm.heap.list_buffer(count);
    for at in 0..count {
        for (place, &column) in row.iter_mut().zip(columns) {
            *place = match column {
                Value::List(list) => vm.heap.list(list)[at],
                Value::Tuple(tuple) => vm.heap.tuple(tuple)[at],
                Value::Str(text) => Value::Str(vm.heap.byte_str(vm.heap.bytes(text)[at])),
                Value::XRange(range) => {
                    let data = vm.heap.xranges[range];
                    Value::Int(data.start.wrapping_add(data.step.wrapping_mul(at as i64)))
                }
                _ => Value::None,
            };
            vm.heap.retain(*place);
        }
        rows.push(vm.heap.new_tuple(row));
    }
    Some(vm.heap.new_list(rows))
}

/// `zip` under way: all columns advance together.
struct Zip {
    columns: Vec<Iteration>,
    /// Finished rows, owned.
    rows: Vec<Value>,
    /// The items of the present row, owned.
    row: Vec<Value>,
}

impl stepwise::Stepwise for Zip {
    fn step(&mut self, vm: &mut Vm) -> Outcome<Option<Value>> {
        let mut left = stepwise::ITEMS / 2;
        vm.spend(self.columns.len());
        while left > 0 {
            for column in &mut self.columns {
                left = left.saturating_sub(1);
                match vm.next(column)? {
                    Some(item) => self.row.push(item),
                    None => {
                        let rows = std::mem::take(&mut self.rows);
                        return Ok(Some(vm.heap.new_list(rows)));
                    }
                }
            }
            if self.rows.len() == self.rows.capacity() {
                vm.heap.make_room(self.rows.len().saturating_mul(32))?;
            }
            let row = vm.heap.new_tuple(&self.row);
            self.row.clear();
            self.rows.push(row);
        }
        Ok(None)
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        self.columns.iter().for_each(|column| visit(column.source));
        self.rows.iter().chain(&self.row).copied().for_each(visit);
    }
}

/// The built-in functions by name.
pub const FUNCTIONS: &[NativeDef] = &[
    NativeDef::function("abs", 1, 1, types::absolute).quickly(quick::abs),
    NativeDef::function("chr", 1, 1, chr).quickly(quick::chr),
    NativeDef::function("cmp", 0, ANY, cmp).quickly(quick::cmp),
    NativeDef::function("divmod", 0, ANY, divmod),
    NativeDef::function("filter", 0, ANY, functional::filter),
    NativeDef::function("hex", 1, 1, hex).quickly(quick::hex),
    NativeDef::function("id", 1, 1, id),
    NativeDef::function("isinstance", 0, ANY, isinstance).quickly(quick::isinstance),
    NativeDef::function("issubclass", 0, ANY, issubclass),
    NativeDef::function("len", 1, 1, len).quickly(quick::len),
    NativeDef::function("map", 0, ANY, functional::map),
    NativeDef::function("max", 0, ANY, functional::max).with_keywords().quickly(quick::max),
    NativeDef::function("min", 0, ANY, functional::min).with_keywords().quickly(quick::min),
    NativeDef::function("oct", 1, 1, oct),
    NativeDef::function("ord", 1, 1, ord).quickly(quick::ord),
    NativeDef::function("pow", 0, ANY, pow),
    NativeDef::function("range", 0, ANY, range).quickly(quick::range),
    NativeDef::function("reduce", 0, ANY, functional::reduce),
    NativeDef::function("repr", 1, 1, repr).quickly(quick::repr),
    NativeDef::function("round", 0, 2, types::round).with_keywords(),
    NativeDef::function("sum", 0, ANY, functional::sum).quickly(quick::sum),
    NativeDef::function("zip", 0, ANY, zip),
];
