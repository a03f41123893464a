//! The arithmetic operators on any two values.
use super::kernel::complex::{self, Complex};
use super::kernel::{bigjob, float, long, Fault};
use super::stepwise;
use super::support::{fail, integer, lift, number, raise_fault, type_name, unwrap, with_room, work, Number};
use crate::heap::{Builtin, Outcome, Value};
use crate::syntax::ast::{BinaryOperator, UnaryOperator};
use crate::vm::native::{value, NativeReturn};
use crate::vm::Vm;
use dashu_int::IBig;
use BinaryOperator as Op;

/// Quotient and remainder.
type Divided = Result<(IBig, IBig), Fault>;

/// Cost in nanoseconds above which arithmetic on longs is done in steps.
const LONG_STEP: u64 = 1_500_000;

fn symbol(operator: Op, inplace: bool) -> &'static str {
    match (operator, inplace) {
        (Op::Add, false) => "+",
        (Op::Subtract, false) => "-",
        (Op::Multiply, false) => "*",
        (Op::Divide, false) => "/",
        (Op::FloorDivide, false) => "//",
        (Op::Modulo, false) => "%",
        (Op::Power, false) => "** or pow()",
        (Op::ShiftLeft, false) => "<<",
        (Op::ShiftRight, false) => ">>",
        (Op::And, false) => "&",
        (Op::Xor, false) => "^",
        (Op::Or, false) => "|",
        (Op::Add, true) => "+=",
        (Op::Subtract, true) => "-=",
        (Op::Multiply, true) => "*=",
        (Op::Divide, true) => "/=",
        (Op::FloorDivide, true) => "//=",
        (Op::Modulo, true) => "%=",
        (Op::Power, true) => "** or pow()",
        (Op::ShiftLeft, true) => "<<=",
        (Op::ShiftRight, true) => ">>=",
        (Op::And, true) => "&=",
        (Op::Xor, true) => "^=",
        (Op::Or, true) => "|=",
    }
}

/// A binary operator on any two values; see [`super::binary`].
pub fn binary(vm: &mut Vm, operator: Op, inplace: bool, left: Value, right: Value) -> NativeReturn {
    let (a, b) = (unwrap(&vm.heap, left), unwrap(&vm.heap, right));
    if let (Some(x), Some(y)) = (number(&vm.heap, a), number(&vm.heap, b)) {
        return arithmetic(vm, operator, inplace, x, y, (left, right));
    }
    match (operator, a, b) {
        (Op::Modulo, Value::Str(format), _) => return super::percent::format(vm, format, right),
        (Op::Add, Value::Str(x), Value::Str(y)) => {
            vm.heap.retain(a);
            return value(vm.heap.concat_str(x, y)?);
        }
        (Op::Add, Value::Str(_), _) => {
            let (x, y) = (type_name(&vm.heap, left), type_name(&vm.heap, right));
            return fail(vm, Builtin::TypeError, format!("cannot concatenate '{x}' and '{y}' objects"));
        }
        (Op::Add, Value::List(x), _) if inplace => {
            return super::lists::extend(vm, x, right, left);
        }
        (Op::Add, Value::List(x), Value::List(y)) => {
            let size = vm.heap.list(x).len() + vm.heap.list(y).len();
            vm.heap.make_room(size.saturating_mul(16))?;
            if size > 4 * stepwise::ITEMS {
                return concatenate(vm, [(a, vm.heap.list(x).len()), (b, vm.heap.list(y).len())]);
            }
            let mut items = vm.heap.list_buffer(size);
            items.extend_from_slice(vm.heap.list(x));
            items.extend_from_slice(vm.heap.list(y));
            for &item in &items {
                vm.heap.retain(item);
            }
            vm.spend(size / 16);
            return value(vm.heap.new_list(items));
        }
        (Op::Add, Value::Tuple(x), Value::Tuple(y)) => {
            let size = vm.heap.tuple(x).len() + vm.heap.tuple(y).len();
            vm.heap.make_room(size.saturating_mul(16))?;
            if size > 4 * stepwise::ITEMS {
                return concatenate(vm, [(a, vm.heap.tuple(x).len()), (b, vm.heap.tuple(y).len())]);
            }
            if size <= 8 {
                let mut items = [Value::None; 8];
                let (first, second) = (vm.heap.tuple(x), vm.heap.tuple(y));
                items[..first.len()].copy_from_slice(first);
                items[first.len()..size].copy_from_slice(second);
                items[..size].iter().for_each(|item| vm.heap.retain(*item));
                return value(vm.heap.new_tuple(&items[..size]));
            }
            let mut items = Vec::with_capacity(size);
            items.extend_from_slice(vm.heap.tuple(x));
            items.extend_from_slice(vm.heap.tuple(y));
            for &item in &items {
                vm.heap.retain(item);
            }
            return value(vm.heap.new_tuple_from(items));
        }
        (Op::Add, Value::List(_) | Value::Tuple(_), _) => {
            let name = if matches!(a, Value::List(_)) { "list" } else { "tuple" };
            let other = type_name(&vm.heap, right);
            let text = format!("can only concatenate {name} (not \"{other}\") to {name}");
            return fail(vm, Builtin::TypeError, text);
        }
        (Op::Multiply, Value::Str(_) | Value::List(_) | Value::Tuple(_), _) => {
            return repeat(vm, inplace, left, a, right);
        }
        // An augmented assignment asks the right operand only if the left one is no container.
        (Op::Multiply, Value::Dict(_) | Value::Set(_) | Value::XRange(_), _) if inplace => {}
        (Op::Multiply, _, Value::Str(_) | Value::List(_) | Value::Tuple(_)) => {
            return repeat(vm, false, right, b, left);
        }
        (Op::Subtract | Op::And | Op::Or | Op::Xor, Value::Set(_), Value::Set(_)) => {
            return super::sets::operator(vm, operator, inplace, left, a, b);
        }
        (Op::Subtract | Op::And | Op::Or | Op::Xor, _, _)
            if super::sets::is_set_view(vm, a) || super::sets::is_set_view(vm, b) =>
        {
            return super::sets::view_operator(vm, operator, a, b);
        }
        _ => {}
    }
    unsupported(vm, operator, inplace, left, right)
}

#[cold]
fn unsupported(vm: &mut Vm, operator: Op, inplace: bool, left: Value, right: Value) -> NativeReturn {
    let (x, y) = (type_name(&vm.heap, left), type_name(&vm.heap, right));
    let sign = symbol(operator, inplace);
    fail(vm, Builtin::TypeError, format!("unsupported operand type(s) for {sign}: '{x}' and '{y}'"))
}

/// Two large lists or tuples, with their lengths, one behind the other.
fn concatenate(vm: &mut Vm, parts: [(Value, usize); 2]) -> NativeReturn {
    let stretch = |(source, count)| stepwise::Stretch { source, start: 0, step: 1, count };
    let copy = stepwise::CopyItems::new(vm, parts.map(stretch).to_vec());
    stepwise::start(vm, copy)
}

/// `sequence * count`.
fn repeat(vm: &mut Vm, inplace: bool, whole: Value, sequence: Value, count: Value) -> NativeReturn {
    let times = match number(&vm.heap, count) {
        Some(Number::Int(times)) => times,
        Some(Number::Long(long)) => match i64::try_from(&vm.heap.longs[long].value) {
            Ok(times) => times,
            Err(_) => {
                return fail(vm, Builtin::OverflowError, "cannot fit 'long' into an index-sized integer");
            }
        },
        _ if super::numbers::is_old_instance(vm, count) => {
            return fail(vm, Builtin::TypeError, "object cannot be interpreted as an index");
        }
        _ => {
            let name = type_name(&vm.heap, count);
            return fail(
                vm,
                Builtin::TypeError,
                format!("can't multiply sequence by non-int of type '{name}'"),
            );
        }
    };
    let times = usize::try_from(times).unwrap_or(0);
    if let Value::Str(text) = sequence {
        if times == 1 && matches!(whole, Value::Str(_)) {
            return value(vm.heap.share(whole));
        }
        let size = vm.heap.bytes(text).len().saturating_mul(times);
        vm.heap.make_room(size)?;
        if stepwise::is_large(size) {
            let repeat = stepwise::RepeatText::new(vm, text, size);
            return stepwise::start(vm, repeat);
        }
        vm.spend(size / 256);
        return value(vm.heap.new_str_repeated(text, times));
    }
    let length = match sequence {
        Value::List(list) => vm.heap.list(list).len(),
        Value::Tuple(tuple) => vm.heap.tuple(tuple).len(),
        _ => 0,
    };
    // Nothing, however often, is nothing.
    let times = if length == 0 { 0 } else { times };
    let Some(size) = length.checked_mul(times) else {
        return Err(vm.heap.raise_bare(Builtin::MemoryError));
    };
    vm.heap.make_room(size.saturating_mul(16))?;
    vm.spend(size / 16);
    if let (Value::List(list), true) = (sequence, inplace) {
        if times == 0 {
            let old = std::mem::take(&mut vm.heap.lists[list].items);
            vm.heap.recharge_list(list);
            super::support::release_all(&mut vm.heap, old);
        } else {
            vm.heap.reserve_list(list, size - length)?;
            for at in 0..size - length {
                let item = vm.heap.list(list)[at];
                let item = vm.heap.share(item);
                vm.heap.lists[list].items.push(item);
            }
        }
        return value(vm.heap.share(whole));
    }
    if size > 4 * stepwise::ITEMS {
        let repeat = stepwise::RepeatItems::new(vm, sequence, size);
        return stepwise::start(vm, repeat);
    }
    let mut items = vm.heap.list_buffer(size);
    let source = match sequence {
        Value::List(list) => vm.heap.list(list),
        Value::Tuple(tuple) => vm.heap.tuple(tuple),
        _ => &[],
    };
    match *source {
        [one] => {
            items.resize(size, one);
            if one.is_counted() {
                items.iter().for_each(|item| vm.heap.retain(*item));
            }
        }
        _ => {
            for _ in 0..times {
                items.extend_from_slice(source);
            }
            items.iter().for_each(|item| vm.heap.retain(*item));
        }
    }
    value(match sequence {
        Value::List(_) => vm.heap.new_list(items),
        _ => vm.heap.new_tuple(&items),
    })
}

fn arithmetic(
    vm: &mut Vm,
    operator: Op,
    inplace: bool,
    x: Number,
    y: Number,
    operands: (Value, Value),
) -> NativeReturn {
    match (x, y) {
        (Number::Int(a), Number::Int(b)) => {
            if let (Value::Bool(p), Value::Bool(q)) = operands {
                let (p, q) = (p.get(), q.get());
                match operator {
                    Op::And => return value(Value::bool(p & q)),
                    Op::Or => return value(Value::bool(p | q)),
                    Op::Xor => return value(Value::bool(p ^ q)),
                    _ => {}
                }
            }
            small(vm, operator, a, b)
        }
        (Number::Complex(_), _) | (_, Number::Complex(_)) => {
            // Before a long is made a complex, which it may be too large for.
            if operator.is_bitwise() {
                return unsupported(vm, operator, inplace, operands.0, operands.1);
            }
            let (a, b) = (to_complex(vm, x)?, to_complex(vm, y)?);
            complex_operator(vm, operator, inplace, a, b, operands)
        }
        (Number::Float(_), _) | (_, Number::Float(_)) => {
            if operator.is_bitwise() {
                return unsupported(vm, operator, inplace, operands.0, operands.1);
            }
            let (a, b) = (to_float(vm, x)?, to_float(vm, y)?);
            float_operator(vm, operator, a, b)
        }
        _ => long_operator(vm, operator, operands.0, operands.1),
    }
}

/// A real number as a float; OverflowError for a long that is too large.
pub fn to_float(vm: &mut Vm, x: Number) -> Outcome<f64> {
    match x {
        Number::Int(i) => Ok(i as f64),
        Number::Float(x) => Ok(x),
        Number::Complex(c) => Ok(c.real),
        Number::Long(long) => {
            let result = long::to_f64(&vm.heap.longs[long].value);
            lift(vm, result)
        }
    }
}

fn to_complex(vm: &mut Vm, x: Number) -> Outcome<Complex> {
    Ok(match x {
        Number::Complex(c) => c,
        other => Complex::new(to_float(vm, other)?, 0.0),
    })
}

fn complex_operator(
    vm: &mut Vm,
    operator: Op,
    inplace: bool,
    a: Complex,
    b: Complex,
    operands: (Value, Value),
) -> NativeReturn {
    let result = match operator {
        Op::Add => Ok(complex::add(a, b)),
        Op::Subtract => Ok(complex::subtract(a, b)),
        Op::Multiply => Ok(complex::multiply(a, b)),
        Op::Divide => complex::divide(a, b),
        Op::FloorDivide => complex::div_mod(a, b).map(|(quotient, _)| quotient),
        Op::Modulo => complex::modulo(a, b),
        Op::Power => complex::power(a, b),
        _ => return unsupported(vm, operator, inplace, operands.0, operands.1),
    };
    let result = lift(vm, result)?;
    value(vm.heap.new_complex(result.real, result.imag))
}

fn float_operator(vm: &mut Vm, operator: Op, a: f64, b: f64) -> NativeReturn {
    let result = match operator {
        Op::Add => Ok(a + b),
        Op::Subtract => Ok(a - b),
        Op::Multiply => Ok(a * b),
        Op::Divide => float::divide(a, b),
        Op::FloorDivide => float::div_mod(a, b).map(|(quotient, _)| quotient),
        Op::Modulo => float::modulo(a, b),
        _ => float::power(a, b),
    };
    value(Value::float(lift(vm, result)?))
}

/// Two small integers: overflow goes over to longs.
fn small(vm: &mut Vm, operator: Op, a: i64, b: i64) -> NativeReturn {
    let wide = |result: Option<i64>, wide: fn(IBig, IBig) -> IBig, vm: &mut Vm| match result {
        Some(result) => value(Value::Int(result)),
        None => {
            let result = wide(IBig::from(a), IBig::from(b));
            value(vm.heap.new_long(result))
        }
    };
    match operator {
        Op::Add => wide(a.checked_add(b), |a, b| a + b, vm),
        Op::Subtract => wide(a.checked_sub(b), |a, b| a - b, vm),
        Op::Multiply => wide(a.checked_mul(b), |a, b| a * b, vm),
        Op::Divide | Op::FloorDivide | Op::Modulo => {
            let result = long::small_div_mod(a, b);
            match lift(vm, result)? {
                Some((quotient, _)) if operator != Op::Modulo => value(Value::Int(quotient)),
                Some((_, remainder)) => value(Value::Int(remainder)),
                // Only the least int divided by -1 leaves the range.
                // 2.7 falls back on long division here, and its rest stays a long.
                None if operator == Op::Modulo => value(vm.heap.new_long(IBig::ZERO)),
                None => value(vm.heap.new_long(-IBig::from(a))),
            }
        }
        Op::Power => {
            if b < 0 {
                let result = float::power(a as f64, b as f64);
                return value(Value::float(lift(vm, result)?));
            }
            match u32::try_from(b).ok().and_then(|exponent| a.checked_pow(exponent)) {
                Some(result) => value(Value::Int(result)),
                None if a == 0 || a == 1 => value(Value::Int(a)),
                None if a == -1 => value(Value::Int(if b % 2 == 0 { 1 } else { -1 })),
                None => long_power(vm, IBig::from(a), IBig::from(b)),
            }
        }
        Op::ShiftLeft => {
            if b < 0 {
                return fail(vm, Builtin::ValueError, "negative shift count");
            }
            if a == 0 {
                return value(Value::Int(0));
            }
            if b < 64 {
                let shifted = a << b;
                if shifted >> b == a {
                    return value(Value::Int(shifted));
                }
            }
            shift_left(vm, IBig::from(a), IBig::from(b))
        }
        Op::ShiftRight => {
            if b < 0 {
                return fail(vm, Builtin::ValueError, "negative shift count");
            }
            value(Value::Int(a >> b.min(63)))
        }
        Op::And => value(Value::Int(a & b)),
        Op::Or => value(Value::Int(a | b)),
        Op::Xor => value(Value::Int(a ^ b)),
    }
}

fn shift_left(vm: &mut Vm, a: IBig, count: IBig) -> NativeReturn {
    let count = long::shift_count(&count);
    let count = lift(vm, count)?;
    let result = with_room(vm, |_, limit| long::shift_left(&a, count, limit))?;
    value(vm.heap.new_long(result))
}

fn long_value(vm: &mut Vm, result: IBig) -> NativeReturn {
    value(vm.heap.new_long(result))
}

fn long_power(vm: &mut Vm, base: IBig, exponent: IBig) -> NativeReturn {
    if exponent.sign() == dashu_int::Sign::Negative {
        let (base, exponent) = (long::to_f64(&base), long::to_f64(&exponent));
        let (base, exponent) = (lift(vm, base)?, lift(vm, exponent)?);
        return float_operator(vm, Op::Power, base, exponent);
    }
    let Ok(exponent) = usize::try_from(&exponent) else {
        if base.is_zero() || base.is_one() {
            return long_value(vm, base);
        }
        if base == IBig::NEG_ONE {
            let even = (exponent & IBig::ONE).is_zero();
            return long_value(vm, if even { IBig::ONE } else { base });
        }
        return Err(vm.heap.raise_bare(Builtin::MemoryError));
    };
    vm.heap.make_room(long::bytes_of_bits(long::power_bits_least(&base, exponent)))?;
    let size = long::power_bits(&base, exponent) / 64 + 1;
    if long::mul_cost(size, size) < LONG_STEP / 4 {
        vm.spend(long::mul_cost(size, size) as usize / 5);
        return long_value(vm, base.pow(exponent));
    }
    work(
        vm,
        move |fuel| bigjob::power(fuel, base, exponent, usize::MAX),
        |vm, result| {
            let result = lift(vm, result)?;
            value(vm.heap.new_long(result))
        },
    )
}

/// The operations on longs that have a short way.
fn quick(vm: &Vm, operator: Op, left: Value, right: Value) -> Option<IBig> {
    const SEVERAL: usize = 3;
    match (operator, left, right) {
        (Op::Multiply, Value::Long(long), Value::Int(small))
        | (Op::Multiply, Value::Int(small), Value::Long(long)) => {
            let number = &vm.heap.longs[long].value;
            let size = long::words(number);
            ((SEVERAL..4096).contains(&size) && small != 0).then(|| long::multiply_small(number, small))
        }
        (Op::Divide | Op::FloorDivide, Value::Long(a), Value::Long(b)) => {
            long::quick_quotient(&vm.heap.longs[a].value, &vm.heap.longs[b].value)
        }
        (Op::Modulo, Value::Long(a), Value::Long(b)) => {
            long::quick_remainder(&vm.heap.longs[a].value, &vm.heap.longs[b].value)
        }
        _ => None,
    }
}

/// `left operator right` of two longs of moderate size, or one and an int, for the operators that always have a result:
/// owned.
pub fn moderate_longs(vm: &mut Vm, operator: Op, left: Value, right: Value) -> Option<Value> {
    const MODERATE: usize = 64;
    let moderate = |number: &IBig| long::words(number) <= MODERATE;
    let result = match (left, right) {
        (Value::Long(a), Value::Long(b)) => {
            let (a, b) = (&vm.heap.longs[a].value, &vm.heap.longs[b].value);
            if !moderate(a) || !moderate(b) {
                return None;
            }
            match operator {
                Op::Add => a + b,
                Op::Subtract => a - b,
                Op::And => a & b,
                Op::Or => a | b,
                Op::Xor => a ^ b,
                Op::Multiply => a * b,
                _ => return None,
            }
        }
        (Value::Long(a), Value::Int(b)) => {
            let a = &vm.heap.longs[a].value;
            if !moderate(a) {
                return None;
            }
            match operator {
                Op::Add => a + b,
                Op::Subtract => a - b,
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(vm.heap.new_long(result))
}

/// Two integers of which at least one is a long (or a result would be): the result is a long.
fn long_operator(vm: &mut Vm, operator: Op, left: Value, right: Value) -> NativeReturn {
    let (left, right) = (unwrap(&vm.heap, left), unwrap(&vm.heap, right));
    if let Some(result) = quick(vm, operator, left, right) {
        return value(vm.heap.new_long(result));
    }
    let holder_a;
    let holder_b;
    let a = match left {
        Value::Long(handle) => &vm.heap.longs[handle].value,
        other => {
            holder_a = IBig::from(other.as_int().unwrap_or(0));
            &holder_a
        }
    };
    let b = match right {
        Value::Long(handle) => &vm.heap.longs[handle].value,
        other => {
            holder_b = IBig::from(other.as_int().unwrap_or(0));
            &holder_b
        }
    };
    let (size_a, size_b) = (long::words(a), long::words(b));
    let result = match operator {
        Op::Add => a + b,
        Op::Subtract => a - b,
        Op::Multiply => {
            let cost = long::mul_cost(size_a, size_b);
            if cost > 20_000 {
                let (a, b) = (a.clone(), b.clone());
                vm.heap.make_room((size_a + size_b) * 8)?;
                vm.spend((cost / 20) as usize);
                if cost > LONG_STEP {
                    return work(vm, move |fuel| bigjob::signed_product(fuel, a, b), long_value);
                }
                return long_value(vm, a * b);
            }
            a * b
        }
        Op::Divide | Op::FloorDivide | Op::Modulo => {
            let cost = long::div_cost(size_a, size_b);
            if cost > LONG_STEP {
                let (a, b) = (a.clone(), b.clone());
                let then: fn(&mut Vm, Divided) -> NativeReturn = if operator == Op::Modulo {
                    |vm, result| {
                        let (_, remainder) = lift(vm, result)?;
                        long_value(vm, remainder)
                    }
                } else {
                    |vm, result| {
                        let (quotient, _) = lift(vm, result)?;
                        long_value(vm, quotient)
                    }
                };
                return work(vm, move |fuel| bigjob::floor_div_mod(fuel, a, b), then);
            }
            match long::div_mod(a, b) {
                Ok((_, remainder)) if operator == Op::Modulo => remainder,
                Ok((quotient, _)) => quotient,
                Err(fault) => return Err(raise_fault(&mut vm.heap, fault)),
            }
        }
        Op::Power => {
            let (a, b) = (a.clone(), b.clone());
            return long_power(vm, a, b);
        }
        Op::ShiftLeft => {
            let (a, b) = (a.clone(), b.clone());
            return shift_left(vm, a, b);
        }
        Op::ShiftRight => match long::shift_count(b) {
            Ok(count) => long::shift_right(a, count),
            Err(fault) => return Err(raise_fault(&mut vm.heap, fault)),
        },
        Op::And => a & b,
        Op::Or => a | b,
        Op::Xor => a ^ b,
    };
    let steps = (size_a + size_b) / 64;
    if steps > 0 {
        vm.spend(steps);
    }
    value(vm.heap.new_long(result))
}

/// A unary operator on any value; see [`super::unary`].
pub fn unary(vm: &mut Vm, operator: UnaryOperator, operand: Value) -> NativeReturn {
    match (operator, number(&vm.heap, operand)) {
        (UnaryOperator::Plus, Some(Number::Int(i))) => value(Value::Int(i)),
        (UnaryOperator::Plus, Some(_)) => {
            let plain = unwrap(&vm.heap, operand);
            value(vm.heap.share(plain))
        }
        (UnaryOperator::Negate, Some(Number::Int(i))) => match i.checked_neg() {
            Some(negated) => value(Value::Int(negated)),
            None => value(vm.heap.new_long(-IBig::from(i))),
        },
        (UnaryOperator::Negate, Some(Number::Float(x))) => value(Value::float(-x)),
        (UnaryOperator::Negate, Some(Number::Complex(c))) => value(vm.heap.new_complex(-c.real, -c.imag)),
        (UnaryOperator::Negate, Some(Number::Long(long))) => {
            let negated = -&vm.heap.longs[long].value;
            value(vm.heap.new_long(negated))
        }
        (UnaryOperator::Invert, Some(Number::Int(i))) => value(Value::Int(!i)),
        (UnaryOperator::Invert, Some(Number::Long(long))) => {
            let inverted = !&vm.heap.longs[long].value;
            value(vm.heap.new_long(inverted))
        }
        _ => {
            let sign = match operator {
                UnaryOperator::Plus => "+",
                UnaryOperator::Negate => "-",
                UnaryOperator::Invert => "~",
            };
            if let Some(raised) = old_instance_lacks(
                vm,
                operand,
                match operator {
                    UnaryOperator::Plus => "__pos__",
                    UnaryOperator::Negate => "__neg__",
                    UnaryOperator::Invert => "__invert__",
                },
            ) {
                return Err(raised);
            }
            let name = type_name(&vm.heap, operand);
            fail(vm, Builtin::TypeError, format!("bad operand type for unary {sign}: '{name}'"))
        }
    }
}

/// The AttributeError of an old-style instance that is asked for a special method; `None` for other values.
pub fn old_instance_lacks(vm: &mut Vm, value: Value, method: &str) -> Option<crate::heap::Raised> {
    let Value::Instance(instance) = value else { return None };
    let class = vm.heap.instances[instance].class;
    match vm.heap.classes[class].style {
        crate::heap::Style::Old => Some(vm.no_attribute(value, method)),
        _ => None,
    }
}

/// `divmod(a, b)`
pub fn div_mod(vm: &mut Vm, left: Value, right: Value) -> NativeReturn {
    let (Some(x), Some(y)) = (number(&vm.heap, left), number(&vm.heap, right)) else {
        let (x, y) = (type_name(&vm.heap, left), type_name(&vm.heap, right));
        let text = format!("unsupported operand type(s) for divmod(): '{x}' and '{y}'");
        return fail(vm, Builtin::TypeError, text);
    };
    match (x, y) {
        (Number::Complex(_), _) | (_, Number::Complex(_)) => {
            let (a, b) = (to_complex(vm, x)?, to_complex(vm, y)?);
            let result = complex::div_mod(a, b);
            let (quotient, remainder) = lift(vm, result)?;
            let quotient = vm.heap.new_complex(quotient.real, quotient.imag);
            let remainder = vm.heap.new_complex(remainder.real, remainder.imag);
            value(vm.heap.new_tuple(&[quotient, remainder]))
        }
        (Number::Float(_), _) | (_, Number::Float(_)) => {
            let (a, b) = (to_float(vm, x)?, to_float(vm, y)?);
            let result = float::div_mod(a, b);
            let (quotient, remainder) = lift(vm, result)?;
            value(vm.heap.new_tuple(&[Value::float(quotient), Value::float(remainder)]))
        }
        (Number::Int(a), Number::Int(b)) if a != i64::MIN || b != -1 => {
            let result = long::small_div_mod(a, b);
            let (quotient, remainder) = lift(vm, result)?.unwrap_or_default();
            value(vm.heap.new_tuple(&[Value::Int(quotient), Value::Int(remainder)]))
        }
        _ => {
            let (a, b) = (integer(&vm.heap, left), integer(&vm.heap, right));
            let (Some(a), Some(b)) = (a, b) else { return value(Value::None) };
            fn pair(vm: &mut Vm, result: Divided) -> NativeReturn {
                let (quotient, remainder) = lift(vm, result)?;
                let quotient = vm.heap.new_long(quotient);
                let remainder = vm.heap.new_long(remainder);
                value(vm.heap.new_tuple(&[quotient, remainder]))
            }
            if long::div_cost(long::words(&a), long::words(&b)) > LONG_STEP {
                return work(vm, move |fuel| bigjob::floor_div_mod(fuel, a, b), pair);
            }
            pair(vm, long::div_mod(&a, &b))
        }
    }
}

/// Whether 2.7 computes `pow(base, exponent, modulus)` without a product that passes 64 bits: its result is an int then.
fn stays_small(base: i64, exponent: i64, modulus: i64) -> bool {
    let (mut square, mut exponent, mut result) = (base, exponent, 1i64);
    while exponent > 0 {
        if exponent & 1 != 0 {
            let Some(product) = result.checked_mul(square) else { return false };
            result = product;
        }
        exponent >>= 1;
        if exponent == 0 {
            break;
        }
        let Some(product) = square.checked_mul(square) else { return false };
        square = product.wrapping_rem(modulus);
        result = result.wrapping_rem(modulus);
    }
    true
}

/// `pow(base, exponent, modulus)` of ints, the exponent not negative and the modulus not 0: what it gives, and whether that is an int.
fn small_power_mod(base: i64, exponent: i64, modulus: i64) -> (i64, bool) {
    let size = modulus.unsigned_abs();
    let multiply = |a: u64, b: u64| match (a | b) >> 32 {
        0 => a * b % size,
        _ => (u128::from(a) * u128::from(b) % u128::from(size)) as u64,
    };
    let mut square = i128::from(base).rem_euclid(i128::from(size)) as u64;
    let (mut left, mut result) = (exponent, 1 % size);
    while left > 0 {
        if left & 1 != 0 {
            result = multiply(result, square);
        }
        square = multiply(square, square);
        left >>= 1;
    }
    // The result has the sign of the modulus.
    let signed = i128::from(result) + if modulus < 0 && result != 0 { i128::from(modulus) } else { 0 };
    (signed as i64, stays_small(base, exponent, modulus))
}

/// `pow(a, b, c)`; without `c` it is the operator.
pub fn power_mod(vm: &mut Vm, base: Value, exponent: Value, modulus: Value) -> NativeReturn {
    if modulus.is_none() {
        return binary(vm, Op::Power, false, base, exponent);
    }
    let numbers = (number(&vm.heap, base), number(&vm.heap, exponent), number(&vm.heap, modulus));
    // Two ints do not look at the third operand before they complain.
    if let (Some(Number::Int(_)), Some(Number::Int(..0))) = (numbers.0, numbers.1) {
        let text = "pow() 2nd argument cannot be negative when 3rd argument specified";
        return fail(vm, Builtin::TypeError, text);
    }
    // 2.7 asks every operand in turn: a float complains at once, a complex if the first two are numbers.
    for operand in [numbers.0, numbers.1, numbers.2] {
        match operand {
            Some(Number::Float(_)) => {
                let text = "pow() 3rd argument not allowed unless all arguments are integers";
                return fail(vm, Builtin::TypeError, text);
            }
            Some(Number::Complex(_)) if numbers.0.is_some() && numbers.1.is_some() => {
                return fail(vm, Builtin::ValueError, "complex modulo");
            }
            _ => {}
        }
    }
    let (Some(x), Some(y), Some(z)) = numbers else {
        // An old-style instance leaves it to a method of the first operand.
        let old =
            [base, exponent, modulus].iter().any(|&operand| super::numbers::is_old_instance(vm, operand));
        if old && numbers.0.is_none() {
            return Err(vm.no_attribute(base, "__pow__"));
        }
        let mut names = [base, exponent, modulus].map(|value| type_name(&vm.heap, value));
        // The first two have been made longs by then if one of them is.
        // Types that bring their own operators are not coerced with.
        let coerced = match modulus {
            Value::Str(_) | Value::Set(_) => false,
            Value::Instance(instance) => {
                vm.heap.classes[vm.heap.instances[instance].class].style == crate::heap::Style::Old
            }
            _ => true,
        };
        match (numbers.0, numbers.1) {
            _ if !coerced => {}
            (Some(Number::Long(_)), Some(Number::Int(_))) => names[1] = "long".into(),
            (Some(Number::Int(_)), Some(Number::Long(_))) => names[0] = "long".into(),
            _ => {}
        }
        let text =
            format!("unsupported operand type(s) for pow(): '{}', '{}', '{}'", names[0], names[1], names[2]);
        return fail(vm, Builtin::TypeError, text);
    };
    if let (Number::Int(x), Number::Int(y @ 0..), Number::Int(z)) = (x, y, z) {
        if z != 0 {
            let (result, is_int) = small_power_mod(x, y, z);
            return value(if is_int { Value::Int(result) } else { vm.heap.new_long(IBig::from(result)) });
        }
    }
    let (a, b, c) = (integer(&vm.heap, base), integer(&vm.heap, exponent), integer(&vm.heap, modulus));
    let (Some(a), Some(b), Some(c)) = (a, b, c) else { return value(Value::None) };
    if b.sign() == dashu_int::Sign::Negative {
        let text = "pow() 2nd argument cannot be negative when 3rd argument specified";
        return fail(vm, Builtin::TypeError, text);
    }
    if c.is_zero() {
        return fail(vm, Builtin::ValueError, "pow() 3rd argument cannot be 0");
    }
    let exponent = b.into_parts().1;
    work(
        vm,
        move |fuel| bigjob::power_mod(fuel, a, exponent, c),
        |vm, result| {
            let result = lift(vm, result)?;
            value(vm.heap.new_long(result))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::small_power_mod;
    use dashu_int::IBig;

    #[test]
    fn powers_of_ints_with_a_modulus_are_those_of_longs() {
        let values = [
            0,
            1,
            -1,
            2,
            3,
            -7,
            1000,
            99_991,
            1 << 31,
            (1 << 32) + 5,
            -(1 << 40),
            i64::MAX,
            i64::MIN,
            i64::MIN + 1,
        ];
        for base in values {
            for exponent in values.into_iter().filter(|exponent| (0..2000).contains(exponent)) {
                for modulus in values.into_iter().filter(|modulus| *modulus != 0) {
                    let power = IBig::from(base).pow(exponent as usize);
                    let rest = &power % IBig::from(modulus);
                    let floored = match rest.is_zero() || (rest < IBig::ZERO) == (modulus < 0) {
                        true => rest,
                        false => rest + IBig::from(modulus),
                    };
                    let (result, _) = small_power_mod(base, exponent, modulus);
                    assert_eq!(IBig::from(result), floored, "pow({base}, {exponent}, {modulus})");
                }
            }
        }
    }
}
