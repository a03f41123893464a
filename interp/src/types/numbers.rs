//! Numbers: constructors, attributes and methods of `int`, `long`, `float`, `complex` and `bool`; `str()` and `type()`.
use super::hook;
use super::kernel::{bigjob, complex, float, long, Fault};
use super::lists::{at_most, finish, keyword, only_keywords, split_class};
use super::support::{
    as_str, fail, integer, integer_argument, lift, number, type_name, unwrap, work, Number,
};
use crate::heap::{Builtin, Class, Outcome, Style, Value};
use crate::vm::native::{value, Args, Getter, NativeDef, NativeReturn, Resume};
use crate::vm::Vm;
use dashu_int::ops::BitTest;
use dashu_int::IBig;

/// Wraps the result for a class of the program.
struct Wrap(Class);

impl Resume for Wrap {
    fn resume(self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        let done = finish(vm, self.0, result);
        vm.heap.release(Value::Class(self.0));
        done
    }
    fn abandon(self: Box<Self>, vm: &mut Vm) {
        vm.heap.release(Value::Class(self.0));
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::Class(self.0));
    }
}

fn wrapped(vm: &mut Vm, class: Class, flow: NativeReturn) -> NativeReturn {
    if vm.heap.classes[class].style == Style::Builtin {
        return flow;
    }
    vm.heap.retain(Value::Class(class));
    super::chain::chain(vm, flow, Box::new(Wrap(class)))
}

/// Digits of a literal above which it is read in steps.
const LONG_LITERAL: usize = 5000;

fn from_text(vm: &mut Vm, text: &[u8], base: i64, to_long: bool) -> NativeReturn {
    let name = if to_long { "long" } else { "int" };
    let literal = long::scan(text, base, name);
    let literal = lift(vm, literal)?;
    if let Some(small) = long::small_value(&literal) {
        return value(if to_long { vm.heap.new_long(IBig::from(small)) } else { Value::Int(small) });
    }
    vm.heap.make_room(literal.digits.len())?;
    if literal.digits.len() > LONG_LITERAL {
        let then: fn(&mut Vm, IBig) -> NativeReturn = if to_long {
            |vm, result| value(vm.heap.new_long(result))
        } else {
            |vm, result| value(vm.heap.new_integer(result))
        };
        return work(vm, move |fuel| bigjob::parse(fuel, literal), then);
    }
    let result = long::large_value(&literal);
    value(if to_long { vm.heap.new_long(result) } else { vm.heap.new_integer(result) })
}

/// The value of a short decimal text, without the long way round.
pub(super) fn short_decimal(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    if digits.is_empty() || digits.len() > 18 {
        return None;
    }
    let mut value = 0i64;
    for digit in digits {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + i64::from(digit);
    }
    Some(if negative { -value } else { value })
}

fn construct_integer(vm: &mut Vm, args: Args<'_>, to_long: bool) -> NativeReturn {
    if let ([_, item], [], false) = (args.positional, args.keywords, to_long) {
        match *item {
            Value::Int(_) => return value(*item),
            Value::Str(text) => {
                if let Some(small) = short_decimal(vm.heap.bytes(text)) {
                    return value(Value::Int(small));
                }
            }
            _ => {}
        }
    }
    let (class, given) = split_class(vm, &args)?;
    let name = if to_long { "long" } else { "int" };
    at_most(vm, class, name, &args, 2)?;
    if vm.heap.classes[class].style == Style::Builtin {
        only_keywords(vm, &args, &["x", "base"])?;
    }
    let item = given.first().copied().or_else(|| keyword(vm, &args, "x"));
    let base = given.get(1).copied().or_else(|| keyword(vm, &args, "base"));
    let flow = integer_of(vm, item, base, to_long);
    wrapped(vm, class, flow)
}

fn integer_of(vm: &mut Vm, item: Option<Value>, base: Option<Value>, to_long: bool) -> NativeReturn {
    let name = if to_long { "long" } else { "int" };
    let Some(item) = item else {
        if base.is_some() {
            return fail(vm, Builtin::TypeError, format!("{name}() missing string argument"));
        }
        return value(if to_long { vm.heap.new_long(IBig::ZERO) } else { Value::Int(0) });
    };
    if let Some(base) = base {
        let base = integer_argument(vm, base)?;
        let Some(text) = as_str(&vm.heap, item) else {
            return fail(
                vm,
                Builtin::TypeError,
                format!("{name}() can't convert non-string with explicit base"),
            );
        };
        let text = vm.heap.bytes(text).to_vec();
        return from_text(vm, &text, base, to_long);
    }
    match number(&vm.heap, item) {
        Some(Number::Int(small)) if to_long => value(vm.heap.new_long(IBig::from(small))),
        Some(Number::Int(small)) => value(Value::Int(small)),
        Some(Number::Long(handle)) => {
            if !to_long {
                if let Some(small) = long::to_i64(&vm.heap.longs[handle].value) {
                    return value(Value::Int(small));
                }
            }
            value(vm.heap.share(Value::Long(handle)))
        }
        Some(Number::Float(x)) => {
            if !to_long && x.abs() < 9.0e18 {
                return value(Value::Int(x as i64));
            }
            let whole = long::from_f64(x);
            let whole = lift(vm, whole)?;
            value(if to_long { vm.heap.new_long(whole) } else { vm.heap.new_integer(whole) })
        }
        Some(Number::Complex(_)) => fail(vm, Builtin::TypeError, format!("can't convert complex to {name}")),
        None => match as_str(&vm.heap, item) {
            Some(text) => {
                let text = vm.heap.bytes(text).to_vec();
                match text.iter().position(|&b| b == 0) {
                    None => from_text(vm, &text, 10, to_long),
                    // 2.7 reads up to the null byte and then finds that there is more.
                    Some(end) => {
                        let read = long::scan(&text[..end], 10, name).map(drop);
                        lift(vm, read)?;
                        fail(vm, Builtin::ValueError, format!("null byte in argument for {name}()"))
                    }
                }
            }
            None if is_old_instance(vm, item) => {
                let class = vm.heap.class_of(item);
                let class = vm.heap.text(vm.heap.classes[class].name);
                let text = format!("{class} instance has no attribute '__trunc__'");
                fail(vm, Builtin::AttributeError, text)
            }
            None => {
                // 2.7 asks for `__trunc__`, and the types of real numbers have it unbound.
                if let Some(owner) = truncating_type(vm, item) {
                    let text = format!("descriptor '__trunc__' of '{owner}' object needs an argument");
                    return fail(vm, Builtin::TypeError, text);
                }
                let given = type_name(&vm.heap, item);
                let text = format!("{name}() argument must be a string or a number, not '{given}'");
                fail(vm, Builtin::TypeError, text)
            }
        },
    }
}

/// The type of real numbers that a class is or derives from.
fn truncating_type(vm: &Vm, item: Value) -> Option<&'static str> {
    let Value::Class(class) = item else { return None };
    let types = [(Builtin::Int, "int"), (Builtin::Long, "long"), (Builtin::Float, "float")];
    types.into_iter().find(|(base, _)| vm.heap.is_subclass(class, base.class())).map(|(_, name)| name)
}

pub(super) fn is_old_instance(vm: &Vm, item: Value) -> bool {
    vm.heap.type_of(item) == Builtin::OldInstance.class()
}

/// AttributeError for a missing conversion method of an old-style instance.
fn no_method<T>(vm: &mut Vm, item: Value, method: &str) -> Outcome<T> {
    let class = vm.heap.class_of(item);
    let class = vm.heap.text(vm.heap.classes[class].name);
    fail(vm, Builtin::AttributeError, format!("{class} instance has no attribute '{method}'"))
}

/// `int(…)`
pub fn construct_int(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    construct_integer(vm, args, false)
}

/// `long(…)`
pub fn construct_long(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    construct_integer(vm, args, true)
}

/// `bool(…)`
pub fn construct_bool(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let (class, given) = split_class(vm, &args)?;
    at_most(vm, class, "bool", &args, 1)?;
    only_keywords(vm, &args, &["x"])?;
    match given.first().copied().or_else(|| keyword(vm, &args, "x")) {
        Some(item) => value(Value::bool(hook::truth(vm, item)?)),
        None => value(Value::bool(false)),
    }
}

/// `float(…)`
pub fn construct_float(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let (class, given) = split_class(vm, &args)?;
    at_most(vm, class, "float", &args, 1)?;
    if vm.heap.classes[class].style == Style::Builtin {
        only_keywords(vm, &args, &["x"])?;
    }
    let item = given.first().copied().or_else(|| keyword(vm, &args, "x"));
    let result = match item {
        None => 0.0,
        Some(item) => match number(&vm.heap, item) {
            Some(Number::Complex(_)) => {
                return fail(vm, Builtin::TypeError, "can't convert complex to float")
            }
            Some(real) => super::operators::to_float(vm, real)?,
            None => match as_str(&vm.heap, item) {
                Some(text) => {
                    let parsed = float::parse(vm.heap.bytes(text));
                    lift(vm, parsed)?
                }
                None if is_old_instance(vm, item) => return no_method(vm, item, "__float__"),
                None => {
                    return fail(vm, Builtin::TypeError, "float() argument must be a string or a number");
                }
            },
        },
    };
    finish(vm, class, Value::float(result))
}

/// `complex(…)`
pub fn construct_complex(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let (class, given) = split_class(vm, &args)?;
    at_most(vm, class, "complex", &args, 2)?;
    if vm.heap.classes[class].style == Style::Builtin {
        only_keywords(vm, &args, &["real", "imag"])?;
    }
    let first = given.first().copied().or_else(|| keyword(vm, &args, "real"));
    let second = given.get(1).copied().or_else(|| keyword(vm, &args, "imag"));
    if let Some(text) = first.and_then(|first| as_str(&vm.heap, first)) {
        if second.is_some() {
            return fail(vm, Builtin::TypeError, "complex() can't take second arg if first is a string");
        }
        let parsed = complex::parse(vm.heap.bytes(text));
        let parsed = lift(vm, parsed)?;
        let result = vm.heap.new_complex(parsed.real, parsed.imag);
        return finish(vm, class, result);
    }
    if second.is_some_and(|second| as_str(&vm.heap, second).is_some()) {
        return fail(vm, Builtin::TypeError, "complex() second arg can't be a string");
    }
    let mut parts = [complex::Complex::new(0.0, 0.0); 2];
    for (part, given) in parts.iter_mut().zip([first, second]) {
        let Some(given) = given else { continue };
        *part = match number(&vm.heap, given) {
            Some(Number::Complex(c)) => c,
            Some(real) => complex::Complex::new(super::operators::to_float(vm, real)?, 0.0),
            None if is_old_instance(vm, given) => return no_method(vm, given, "__float__"),
            None => return fail(vm, Builtin::TypeError, "complex() argument must be a string or a number"),
        };
    }
    let [a, b] = parts;
    // complex(a, b) is a + b*1j; parts that are no complex numbers are used as they are.
    let is_complex = |given: Option<Value>| given.map(|given| unwrap(&vm.heap, given));
    let first_complex = matches!(is_complex(first), Some(Value::Complex(_)));
    let second_complex = matches!(is_complex(second), Some(Value::Complex(_)));
    let real = if second_complex { a.real - b.imag } else { a.real };
    let imag = match (second, first_complex) {
        (Some(_), true) => a.imag + b.real,
        (Some(_), false) => b.real,
        (None, _) => a.imag,
    };
    let result = vm.heap.new_complex(real, imag);
    finish(vm, class, result)
}

/// `str(…)`
pub fn construct_str(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    if let ([Value::Class(class), item], []) = (args.positional, args.keywords) {
        if *class == Builtin::Str.class() {
            return super::to_str(vm, *item);
        }
    }
    let (class, given) = split_class(vm, &args)?;
    at_most(vm, class, "str", &args, 1)?;
    if vm.heap.classes[class].style == Style::Builtin {
        only_keywords(vm, &args, &["object"])?;
    }
    let flow = match given.first().copied().or_else(|| keyword(vm, &args, "object")) {
        Some(item) => super::to_str(vm, item),
        None => value(vm.heap.new_str(b"")),
    };
    wrapped(vm, class, flow)
}

/// `type(…)`: exactly one argument; gives no class of a class (see the differences in the documentation).
pub fn construct_type(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let (_, given) = split_class(vm, &args)?;
    let ([item], []) = (given, args.keywords) else {
        return crate::builtins::misused_type(vm);
    };
    let class = match *item {
        Value::Native(native) if vm.native(native).method => Builtin::MethodDescriptor.class(),
        item => vm.heap.type_of(item),
    };
    value(vm.heap.share(Value::Class(class)))
}

fn bit_length(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    match args.get(0).and_then(|object| integer(&vm.heap, object)) {
        Some(number) => value(Value::Int(number.bit_len() as i64)),
        None => value(Value::Int(0)),
    }
}

/// The object itself, as the plain number it wraps.
fn itself(vm: &mut Vm, object: Value) -> Outcome<Value> {
    Ok(match unwrap(&vm.heap, object) {
        Value::Bool(b) => Value::Int(i64::from(b.get())),
        plain => vm.heap.share(plain),
    })
}

fn conjugate(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let object = args.get(0).unwrap_or(Value::None);
    match number(&vm.heap, object) {
        Some(Number::Complex(c)) => value(vm.heap.new_complex(c.real, -c.imag)),
        _ => value(itself(vm, object)?),
    }
}

fn is_integer(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    match args.get(0).and_then(|object| number(&vm.heap, object)) {
        Some(Number::Float(x)) => value(Value::bool(x.is_finite() && x.fract() == 0.0)),
        _ => value(Value::bool(false)),
    }
}

fn as_integer_ratio(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let Some(Number::Float(x)) = args.get(0).and_then(|object| number(&vm.heap, object)) else {
        return value(Value::None);
    };
    if x.is_infinite() {
        return fail(vm, Builtin::OverflowError, "Cannot pass infinity to float.as_integer_ratio.");
    }
    if x.is_nan() {
        return fail(vm, Builtin::ValueError, "Cannot pass NaN to float.as_integer_ratio.");
    }
    let (mut top, mut shift) = (x, 0usize);
    while top.fract() != 0.0 {
        top *= 2.0;
        shift += 1;
    }
    let top = long::from_f64(top);
    let top = lift(vm, top)?;
    let top = vm.heap.new_integer(top);
    let bottom = vm.heap.new_integer(IBig::ONE << shift);
    value(vm.heap.new_tuple(&[top, bottom]))
}

fn hex(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let Some(Number::Float(x)) = args.get(0).and_then(|object| number(&vm.heap, object)) else {
        return value(Value::None);
    };
    value(vm.heap.new_str(&float::hex(x)))
}

fn fromhex(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let given = args.get(0).unwrap_or(Value::None);
    let Some(text) = as_str(&vm.heap, given) else {
        let name = type_name(&vm.heap, given);
        return fail(vm, Builtin::TypeError, format!("expected string or Unicode object, {name} found"));
    };
    let parsed = float::from_hex(vm.heap.bytes(text));
    value(Value::float(lift(vm, parsed)?))
}

fn show(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let object = args.get(0).map_or(Value::None, |object| unwrap(&vm.heap, object));
    super::repr(vm, object)
}

fn show_str(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let object = args.get(0).map_or(Value::None, |object| unwrap(&vm.heap, object));
    super::to_str(vm, object)
}

/// Methods of `int` and `long`.
pub const INTEGER_METHODS: &[NativeDef] = &[
    NativeDef::method("bit_length", 0, 0, bit_length),
    NativeDef::method("conjugate", 0, 0, conjugate),
    NativeDef::method("__repr__", 0, 0, show),
    NativeDef::method("__str__", 0, 0, show_str),
];

/// Methods of `float`.
pub const FLOAT_METHODS: &[NativeDef] = &[
    NativeDef::method("as_integer_ratio", 0, 0, as_integer_ratio),
    NativeDef::method("conjugate", 0, 0, conjugate),
    NativeDef::function("fromhex", 1, 1, fromhex),
    NativeDef::method("hex", 0, 0, hex),
    NativeDef::method("is_integer", 0, 0, is_integer),
    NativeDef::method("__repr__", 0, 0, show),
    NativeDef::method("__str__", 0, 0, show_str),
];

/// Methods of `complex`.
pub const COMPLEX_METHODS: &[NativeDef] = &[
    NativeDef::method("conjugate", 0, 0, conjugate),
    NativeDef::method("__repr__", 0, 0, show),
    NativeDef::method("__str__", 0, 0, show_str),
];

fn real_of(vm: &mut Vm, object: Value) -> Outcome<Value> {
    match number(&vm.heap, object) {
        Some(Number::Complex(c)) => Ok(Value::float(c.real)),
        _ => itself(vm, object),
    }
}

fn imag_of(vm: &mut Vm, object: Value) -> Outcome<Value> {
    Ok(match number(&vm.heap, object) {
        Some(Number::Complex(c)) => Value::float(c.imag),
        Some(Number::Float(_)) => Value::float(0.0),
        Some(Number::Long(_)) => vm.heap.new_long(IBig::ZERO),
        _ => Value::Int(0),
    })
}

fn one_of(vm: &mut Vm, object: Value) -> Outcome<Value> {
    Ok(match number(&vm.heap, object) {
        Some(Number::Long(_)) => vm.heap.new_long(IBig::ONE),
        _ => Value::Int(1),
    })
}

/// Attributes of numbers.
pub const GETTERS: &[(Builtin, &str, Getter)] = &[
    (Builtin::Int, "real", real_of),
    (Builtin::Int, "imag", imag_of),
    (Builtin::Int, "numerator", itself),
    (Builtin::Int, "denominator", one_of),
    (Builtin::Long, "real", real_of),
    (Builtin::Long, "imag", imag_of),
    (Builtin::Long, "numerator", itself),
    (Builtin::Long, "denominator", one_of),
    (Builtin::Float, "real", real_of),
    (Builtin::Float, "imag", imag_of),
    (Builtin::Complex, "real", real_of),
    (Builtin::Complex, "imag", imag_of),
];

/// `abs(x)`
pub fn absolute(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let item = args.positional[0];
    match number(&vm.heap, item) {
        Some(Number::Int(i)) => match i.checked_abs() {
            Some(result) => value(Value::Int(result)),
            None => value(vm.heap.new_long(-IBig::from(i))),
        },
        Some(Number::Float(x)) => value(Value::float(x.abs())),
        Some(Number::Long(handle)) => {
            let magnitude = vm.heap.longs[handle].value.clone().into_parts().1;
            value(vm.heap.new_long(IBig::from(magnitude)))
        }
        Some(Number::Complex(c)) => {
            let result = complex::absolute(c);
            value(Value::float(lift(vm, result)?))
        }
        None if is_old_instance(vm, item) => no_method(vm, item, "__abs__"),
        None => {
            let name = type_name(&vm.heap, item);
            fail(vm, Builtin::TypeError, format!("bad operand type for abs(): '{name}'"))
        }
    }
}

/// Longs of more words than this are converted in steps.
const LARGE_WORDS: usize = 4096;

/// Digits of a long, a sign in front, with a prefix and the `L`.
fn prefixed(vm: &mut Vm, mut digits: Vec<u8>, prefix: &[u8]) -> NativeReturn {
    let sign = usize::from(digits.first() == Some(&b'-'));
    digits.splice(sign..sign, prefix.iter().copied());
    digits.push(b'L');
    value(vm.heap.new_str_from(digits))
}

/// `hex` and `oct` of an int: owned.
fn small_in_base(vm: &mut Vm, number: i64, is_hex: bool) -> Value {
    let mut digits = [0; 24];
    let code = if is_hex { b'x' } else { b'o' };
    let digits = super::kernel::percent::plain_digits(code, number, &mut digits);
    let (sign, digits) = digits.split_at(usize::from(number < 0));
    let prefix: &[u8] = match (is_hex, number) {
        (true, _) => b"0x",
        (false, 0) => b"",
        (false, _) => b"0",
    };
    let mut out = [0; 32];
    let mut size = 0;
    for part in [sign, prefix, digits] {
        out[size..size + part.len()].copy_from_slice(part);
        size += part.len();
    }
    vm.heap.new_str(&out[..size])
}

/// `hex(x)` and `oct(x)`.
pub fn in_base(vm: &mut Vm, item: Value, name: &str, text: fn(&IBig) -> Vec<u8>) -> NativeReturn {
    if let Value::Int(small) = item {
        return value(small_in_base(vm, small, name == "hex"));
    }
    let (is_long, number) = match (number(&vm.heap, item), integer(&vm.heap, item)) {
        (Some(Number::Long(_)), Some(number)) => (true, number),
        (_, Some(number)) => (false, number),
        _ => {
            if let Some(raised) = super::old_instance_lacks(vm, item, &format!("__{name}__")) {
                return Err(raised);
            }
            return fail(vm, Builtin::TypeError, format!("{name}() argument can't be converted to {name}"));
        }
    };
    vm.heap.make_room(long::words(&number).saturating_mul(24))?;
    if long::words(&number) > LARGE_WORDS {
        return match name {
            "hex" => super::support::work(
                vm,
                move |fuel| bigjob::radix_text(fuel, number, 4, false),
                |vm, digits| prefixed(vm, digits, b"0x"),
            ),
            _ => super::support::work(
                vm,
                move |fuel| bigjob::radix_text(fuel, number, 3, false),
                |vm, digits| prefixed(vm, digits, b"0"),
            ),
        };
    }
    let mut out = text(&number);
    if is_long {
        out.push(b'L');
    }
    value(vm.heap.new_str_from(out))
}

/// `round(x, digits)`
pub fn round(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    only_keywords(vm, &args, &["number", "ndigits"])?;
    let item = args.get(0).or_else(|| keyword(vm, &args, "number"));
    let Some(item) = item else {
        return fail(vm, Builtin::TypeError, "Required argument 'number' (pos 1) not found");
    };
    let x = match number(&vm.heap, item) {
        Some(Number::Complex(_)) => return fail(vm, Builtin::TypeError, "can't convert complex to float"),
        Some(real) => super::operators::to_float(vm, real)?,
        None if is_old_instance(vm, item) => return no_method(vm, item, "__float__"),
        None => return fail(vm, Builtin::TypeError, "a float is required"),
    };
    let digits = match args.get(1).or_else(|| keyword(vm, &args, "ndigits")) {
        None => 0,
        Some(digits) => match super::support::index_saturating(&vm.heap, digits) {
            Some(digits) => digits,
            None => {
                let name = type_name(&vm.heap, digits);
                return fail(
                    vm,
                    Builtin::TypeError,
                    format!("'{name}' object cannot be interpreted as an index"),
                );
            }
        },
    };
    let result: Result<f64, Fault> = float::round(x, digits);
    value(Value::float(lift(vm, result)?))
}
