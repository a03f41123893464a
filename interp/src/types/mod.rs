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
//!
//! What needs no heap is in [`kernel`]. Natives that call program code or work long are states
//! ([`crate::vm::native::Resume`]); [`chain`] puts them together.

pub mod chain;
pub mod comparing;
mod dicts;
pub mod exceptions;
mod format;
mod format_quick;
pub mod gather;
pub mod hook;
pub mod kernel;
mod lists;
pub mod long_text;
mod numbers;
pub(crate) mod operators;
mod percent;
pub mod percent_quick;
pub mod quick;
pub mod quick_text;
pub(crate) mod sets;
mod sorting;
pub mod stepwise;
mod strings;
pub mod support;
mod tables;
pub mod text;

use crate::heap::{Builtin, Value};
use crate::syntax::ast::{BinaryOperator, UnaryOperator};
use crate::vm::native::{Getter, NativeDef, NativeFn, NativeReturn};
use crate::vm::Vm;

pub use lists::range_length;
pub use numbers::{absolute, in_base, round};
pub use operators::{div_mod, old_instance_lacks, power_mod, to_float};
pub use sets::{from_view, is_set_view};
pub use sorting::sort_plain;

/// Methods of the built-in classes.
pub const METHODS: &[(Builtin, &[NativeDef])] = &[
    (Builtin::Object, lists::OBJECT_METHODS),
    (Builtin::Str, strings::METHODS),
    (Builtin::List, lists::LIST_METHODS),
    (Builtin::Tuple, lists::TUPLE_METHODS),
    (Builtin::Dict, dicts::METHODS),
    (Builtin::Set, sets::SET_METHODS),
    (Builtin::FrozenSet, sets::FROZEN_METHODS),
    (Builtin::Slice, lists::SLICE_METHODS),
    (Builtin::Int, numbers::INTEGER_METHODS),
    (Builtin::Long, numbers::INTEGER_METHODS),
    (Builtin::Float, numbers::FLOAT_METHODS),
    (Builtin::Complex, numbers::COMPLEX_METHODS),
    (Builtin::BaseException, exceptions::METHODS),
    (Builtin::KeyIterator, dicts::ITERATOR_METHODS),
    (Builtin::ValueIterator, dicts::ITERATOR_METHODS),
    (Builtin::ItemIterator, dicts::ITERATOR_METHODS),
];

/// Attributes of built-in classes that are no methods.
pub const GETTERS: &[(Builtin, &str, Getter)] = &concat_getters();

/// The tables of the modules.
const GETTER_TABLES: [&[(Builtin, &str, Getter)]; 3] =
    [numbers::GETTERS, exceptions::GETTERS, lists::GETTERS];

const GETTER_COUNT: usize = GETTER_TABLES[0].len() + GETTER_TABLES[1].len() + GETTER_TABLES[2].len();

/// The tables of the modules as one.
const fn concat_getters() -> [(Builtin, &'static str, Getter); GETTER_COUNT] {
    let mut all = [numbers::GETTERS[0]; GETTER_COUNT];
    let (mut table, mut at, mut to) = (0, 0, 0);
    while table < GETTER_TABLES.len() {
        if at < GETTER_TABLES[table].len() {
            all[to] = GETTER_TABLES[table][at];
            at += 1;
            to += 1;
        } else {
            table += 1;
            at = 0;
        }
    }
    all
}

/// What calling a built-in class does; the first argument is the class. Exception classes without a row of their own
/// use that of `BaseException`.
pub const CONSTRUCTORS: &[(Builtin, NativeFn)] = &[
    (Builtin::Object, lists::construct_object),
    (Builtin::Type, numbers::construct_type),
    (Builtin::Int, numbers::construct_int),
    (Builtin::Long, numbers::construct_long),
    (Builtin::Bool, numbers::construct_bool),
    (Builtin::Float, numbers::construct_float),
    (Builtin::Complex, numbers::construct_complex),
    (Builtin::Str, numbers::construct_str),
    (Builtin::List, lists::construct_list),
    (Builtin::Tuple, lists::construct_tuple),
    (Builtin::Dict, dicts::construct),
    (Builtin::Set, sets::construct_set),
    (Builtin::FrozenSet, sets::construct_frozen),
    (Builtin::Slice, lists::construct_slice),
    (Builtin::XRange, lists::construct_xrange),
    (Builtin::BaseException, exceptions::construct),
];

/// A binary operator on any two values, when the machine's own fast paths do
/// not apply: TypeError if there is no such operation. `inplace` says that it is
/// an augmented assignment, where lists and sets change in place. Borrows both.
pub fn binary(
    vm: &mut Vm,
    operator: BinaryOperator,
    inplace: bool,
    left: Value,
    right: Value,
) -> NativeReturn {
    operators::binary(vm, operator, inplace, left, right)
}

/// A unary operator on any value. Borrows it.
pub fn unary(vm: &mut Vm, operator: UnaryOperator, operand: Value) -> NativeReturn {
    operators::unary(vm, operator, operand)
}

/// `repr(value)`: a str. Borrows it.
pub fn repr(vm: &mut Vm, item: Value) -> NativeReturn {
    text::repr(vm, item)
}

/// `str(value)`: a str. Borrows it.
pub fn to_str(vm: &mut Vm, item: Value) -> NativeReturn {
    text::to_str(vm, item)
}
