//! The built-in types: operators and methods beyond the machine's fast paths.
//!
//! The machine itself handles ints, floats and sequences where no surprise is
//! possible and comes here for all the rest.
//!
//! Divided like this. `vm` has: truth, all comparisons and `in` (`vm/compare.rs`), items and
//! slices of str, list, tuple, dict (`vm/access.rs`), iteration over anything (`vm/iterate.rs`: natives
//! use `vm.iterate(value)?` and `vm.next(&mut iteration)?`), attributes, calls, classes,
//! `raise`, `print`. Here are: [`binary`] and [`unary`] for everything but the int and float fast
//! paths (so also int overflow to long, long, float `**`, complex, `str %`, `*` and `+` of
//! sequences, set operators), [`repr`] and [`to_str`], methods, getters, constructors.

pub mod kernel;

use crate::heap::{Builtin, Value};
use crate::syntax::ast::{BinaryOperator, UnaryOperator};
use crate::vm::native::{value, Getter, NativeDef, NativeFn, NativeReturn};
use crate::vm::Vm;

/// Methods of the built-in classes.
pub const METHODS: &[(Builtin, &[NativeDef])] = &[];

/// Attributes of built-in classes that are no methods.
pub const GETTERS: &[(Builtin, &str, Getter)] = &[];

/// What calling a built-in class does; the first argument is the class.
pub const CONSTRUCTORS: &[(Builtin, NativeFn)] = &[];

/// A binary operator on any two values, when the machine's own fast paths do
/// not apply: TypeError if there is no such operation. `inplace` says that it is
/// an augmented assignment, where lists and sets change in place. Borrows both.
pub fn binary(
    vm: &mut Vm,
    _operator: BinaryOperator,
    _inplace: bool,
    _left: Value,
    _right: Value,
) -> NativeReturn {
    vm.type_error("unsupported operand type(s)")
}

/// A unary operator on any value. Borrows it.
pub fn unary(vm: &mut Vm, _operator: UnaryOperator, _operand: Value) -> NativeReturn {
    vm.type_error("bad operand type")
}

/// `repr(value)`: a str. Borrows it.
pub fn repr(vm: &mut Vm, item: Value) -> NativeReturn {
    value(vm.heap.new_str(format!("{item:?}").as_bytes()))
}

/// `str(value)`: a str. Borrows it.
pub fn to_str(vm: &mut Vm, item: Value) -> NativeReturn {
    repr(vm, item)
}
