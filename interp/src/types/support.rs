//! What the types' code shares: errors of kernels as exceptions, argument conversion, numbers of any kind.
use super::kernel::{Fault, FaultKind};
use crate::heap::{Builtin, Heap, Outcome, Raised, Str, Value};
use crate::vm::native::{pause, NativeReturn, Resume};
use crate::vm::Vm;
use dashu_int::IBig;

use super::kernel::job::{Fuel, Job, STEP_FUEL};
use std::future::Future;

/// Raises what a kernel reports.
#[cold]
pub fn raise_fault(heap: &mut Heap, fault: Fault) -> Raised {
    let class = match fault.kind {
        FaultKind::Type => Builtin::TypeError,
        FaultKind::Value => Builtin::ValueError,
        FaultKind::Overflow => {
            // C's errno of an overflow in `**`: two arguments.
            if fault.message == "(34, 'Numerical result out of range')" {
                let text = heap.new_str(b"Numerical result out of range");
                return heap.raise_with(Builtin::OverflowError.class(), &[Value::Int(34), text]);
            }
            Builtin::OverflowError
        }
        FaultKind::ZeroDivision => Builtin::ZeroDivisionError,
        FaultKind::Index => Builtin::IndexError,
        FaultKind::Key => Builtin::KeyError,
        FaultKind::Attribute => Builtin::AttributeError,
        FaultKind::Memory => return heap.raise_bare(Builtin::MemoryError),
        FaultKind::Runtime => Builtin::RuntimeError,
    };
    heap.raise(class, &fault.message)
}

/// A kernel's outcome as the heap's.
#[inline]
pub fn lift<T>(vm: &mut Vm, outcome: Result<T, Fault>) -> Outcome<T> {
    outcome.map_err(|fault| raise_fault(&mut vm.heap, fault))
}

/// Raises with a formatted message.
#[cold]
pub fn fail<T>(vm: &mut Vm, class: Builtin, message: impl AsRef<str>) -> Outcome<T> {
    Err(vm.heap.raise(class, message.as_ref()))
}

/// Largest buffer that is kept for the next text, in bytes.
const MOST_SCRATCH: usize = 16 << 10;

impl Vm {
    /// Puts back what was taken from [`Vm::scratch`].
    #[inline]
    pub(crate) fn give_scratch(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() <= MOST_SCRATCH {
            buffer.clear();
            self.scratch = buffer;
        }
    }

    /// The string of what was written to [`Vm::scratch`], which is put back: owned.
    #[inline]
    pub(crate) fn scratch_str(&mut self, buffer: Vec<u8>) -> Value {
        let text = self.heap.new_str(&buffer);
        self.give_scratch(buffer);
        text
    }
}

/// Bytes a single new object may take now.
pub fn room(vm: &Vm) -> usize {
    vm.heap.limit().saturating_sub(vm.heap.used()).max(64 << 10)
}

/// Runs a kernel that takes the largest size its result may have; if there is no room, collects garbage and tries again.
pub fn with_room<T>(vm: &mut Vm, kernel: impl Fn(&Heap, usize) -> Result<T, Fault>) -> Outcome<T> {
    match kernel(&vm.heap, room(vm)) {
        Err(Fault { kind: FaultKind::Memory, .. }) => {
            vm.heap.collect();
            let again = kernel(&vm.heap, room(vm));
            lift(vm, again)
        }
        other => lift(vm, other),
    }
}

/// The class name messages show for a value.
pub fn type_name(heap: &Heap, value: Value) -> String {
    let data = &heap.classes[heap.type_of(value)];
    let name = heap.text(data.name);
    // Built-in exceptions go by their full name.
    if data.module == "exceptions" {
        format!("exceptions.{name}")
    } else {
        name
    }
}

/// What an instance of a subclass of a built-in type wraps; other values as they are.
#[inline(always)]
pub fn unwrap(heap: &Heap, value: Value) -> Value {
    match value {
        Value::Instance(instance) => heap.plain_payload(instance).unwrap_or(value),
        _ => value,
    }
}

/// The string of a `str` or an instance of a subclass.
#[inline]
pub fn as_str(heap: &Heap, value: Value) -> Option<Str> {
    match unwrap(heap, value) {
        Value::Str(text) => Some(text),
        _ => None,
    }
}

/// A number of any kind; `Long` is borrowed from the heap.
#[derive(Clone, Copy, Debug)]
pub enum Number {
    /// `int` or `bool`
    Int(i64),
    /// `long`
    Long(crate::heap::Long),
    /// `float`
    Float(f64),
    /// `complex`
    Complex(super::kernel::complex::Complex),
}

/// The number of a numeric value (subclasses included).
#[inline]
pub fn number(heap: &Heap, value: Value) -> Option<Number> {
    Some(match unwrap(heap, value) {
        Value::Int(i) => Number::Int(i),
        Value::Bool(b) => Number::Int(i64::from(b.get())),
        Value::Float(x) => Number::Float(x.get()),
        Value::Long(long) => Number::Long(long),
        Value::Complex(complex) => {
            let data = heap.complexes[complex];
            Number::Complex(super::kernel::complex::Complex::new(data.real, data.imag))
        }
        _ => return None,
    })
}

/// The integer of an int, bool or long, as one of any size.
pub fn integer(heap: &Heap, value: Value) -> Option<IBig> {
    match number(heap, value)? {
        Number::Int(i) => Some(IBig::from(i)),
        Number::Long(long) => Some(heap.longs[long].value.clone()),
        _ => None,
    }
}

/// An argument that must be an integer (`an integer is required`); floats are cut with a deprecated silence in 2.7, so
/// they count as errors where 2.7's `i` and `n` formats refuse them.
pub fn integer_argument(vm: &mut Vm, value: Value) -> Outcome<i64> {
    match number(&vm.heap, value) {
        Some(Number::Int(i)) => Ok(i),
        Some(Number::Long(long)) => match i64::try_from(&vm.heap.longs[long].value) {
            Ok(i) => Ok(i),
            Err(_) => fail(vm, Builtin::OverflowError, "Python int too large to convert to C long"),
        },
        Some(Number::Float(_)) => fail(vm, Builtin::TypeError, "integer argument expected, got float"),
        Some(Number::Complex(_)) => fail(vm, Builtin::TypeError, "can't convert complex to int"),
        None => match super::operators::old_instance_lacks(vm, value, "__trunc__") {
            Some(raised) => Err(raised),
            None => fail(vm, Builtin::TypeError, "an integer is required"),
        },
    }
}

/// [`integer_argument`] for what is a C `int` in 2.7.
pub fn small_integer_argument(vm: &mut Vm, value: Value) -> Outcome<i64> {
    let given = integer_argument(vm, value)?;
    if given > i64::from(i32::MAX) {
        return fail(vm, Builtin::OverflowError, "signed integer is greater than maximum");
    }
    if given < i64::from(i32::MIN) {
        return fail(vm, Builtin::OverflowError, "signed integer is less than minimum");
    }
    Ok(given)
}

/// An index: saturates where 2.7's slice arguments do.
pub fn index_saturating(heap: &Heap, value: Value) -> Option<i64> {
    match number(heap, value)? {
        Number::Int(i) => Some(i),
        Number::Long(long) => {
            let value = &heap.longs[long].value;
            Some(i64::try_from(value).unwrap_or(if value.sign() == dashu_int::Sign::Negative {
                i64::MIN
            } else {
                i64::MAX
            }))
        }
        _ => None,
    }
}

/// A bound of `find`, `index`, `count`…: absent or `None` gives the default.
pub fn bound_argument(vm: &mut Vm, value: Option<Value>, default: i64) -> Outcome<i64> {
    match value {
        None | Some(Value::None) => Ok(default),
        Some(value) => match index_saturating(&vm.heap, value) {
            Some(i) => Ok(i),
            None => fail(
                vm,
                Builtin::TypeError,
                "slice indices must be integers or None or have an __index__ method",
            ),
        },
    }
}

/// The bytes of an argument that must be a string.
pub fn str_argument(vm: &mut Vm, value: Value, message: &str) -> Outcome<Str> {
    match as_str(&vm.heap, value) {
        Some(text) => Ok(text),
        None => fail(vm, Builtin::TypeError, message),
    }
}

/// Releases many values.
pub fn release_all(heap: &mut Heap, values: impl IntoIterator<Item = Value>) {
    for value in values {
        heap.release(value);
    }
}

/// Long work of a kernel, done in steps; `then` makes the result.
pub struct Work<T> {
    job: Job<T>,
    then: fn(&mut Vm, T) -> NativeReturn,
}

/// Starts long work: does the first step and, if that was not all, pauses.
pub fn work<T: 'static, F: Future<Output = T> + 'static>(
    vm: &mut Vm,
    start: impl FnOnce(Fuel) -> F,
    then: fn(&mut Vm, T) -> NativeReturn,
) -> NativeReturn {
    Box::new(Work { job: Job::new(start), then }).resume(vm, Value::None)
}

/// Machine steps that a unit of kernel fuel (a nanosecond) stands for: one in ten.
const FUEL_PER_STEP: u64 = 10;

impl<T: 'static> Resume for Work<T> {
    fn resume(mut self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        vm.heap.release(result);
        match self.job.resume(STEP_FUEL) {
            Some(value) => (self.then)(vm, value),
            None => {
                vm.spend((STEP_FUEL / FUEL_PER_STEP) as usize);
                pause(self)
            }
        }
    }
    fn abandon(self: Box<Self>, _: &mut Vm) {}
    fn held(&self, _: &mut dyn FnMut(Value)) {}
}

/// A new string of part of another: owned. Short ones are copied without a buffer of their own.
#[inline]
pub fn substring(heap: &mut Heap, text: Str, start: usize, end: usize) -> Value {
    heap.new_substr(text, start, end)
}

/// Checks the number of arguments of a function that unpacks a tuple (`get expected at least 1 arguments, got 0`).
pub fn unpack(vm: &mut Vm, name: &str, given: usize, least: usize, most: usize) -> Outcome<()> {
    if (least..=most).contains(&given) {
        return Ok(());
    }
    let (words, count) = match (least == most, given < least) {
        (true, _) => ("", least),
        (false, true) => ("at least ", least),
        (false, false) => ("at most ", most),
    };
    fail(vm, Builtin::TypeError, format!("{name} expected {words}{count} arguments, got {given}"))
}
