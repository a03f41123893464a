//! The built-in names: functions, classes, constants, and the names that are there only to refuse
//! ([`poisoned`]).

mod functional;
mod functions;
mod poisoned;

use crate::heap::{Builtin, Value};
use crate::vm::native::NativeDef;
use crate::vm::Vm;

pub use functions::FUNCTIONS;
pub use poisoned::{misused_type, POISONED};

/// The classes programs can name.
pub const CLASSES: &[Builtin] = &[
    Builtin::Object,
    Builtin::Type,
    Builtin::Int,
    Builtin::Bool,
    Builtin::Float,
    Builtin::Long,
    Builtin::Complex,
    Builtin::Str,
    Builtin::List,
    Builtin::Tuple,
    Builtin::Dict,
    Builtin::Set,
    Builtin::FrozenSet,
    Builtin::Slice,
    Builtin::XRange,
    Builtin::BaseException,
    Builtin::SystemExit,
    Builtin::KeyboardInterrupt,
    Builtin::Exception,
    Builtin::StopIteration,
    Builtin::StandardError,
    Builtin::ArithmeticError,
    Builtin::FloatingPointError,
    Builtin::OverflowError,
    Builtin::ZeroDivisionError,
    Builtin::AssertionError,
    Builtin::AttributeError,
    Builtin::EOFError,
    Builtin::EnvironmentError,
    Builtin::IOError,
    Builtin::OSError,
    Builtin::ImportError,
    Builtin::LookupError,
    Builtin::IndexError,
    Builtin::KeyError,
    Builtin::MemoryError,
    Builtin::NameError,
    Builtin::UnboundLocalError,
    Builtin::ReferenceError,
    Builtin::RuntimeError,
    Builtin::NotImplementedError,
    Builtin::SyntaxError,
    Builtin::IndentationError,
    Builtin::TabError,
    Builtin::SystemError,
    Builtin::TypeError,
    Builtin::ValueError,
    Builtin::UnicodeError,
    Builtin::UnicodeDecodeError,
    Builtin::UnicodeEncodeError,
    Builtin::UnicodeTranslateError,
    Builtin::Warning,
    Builtin::DeprecationWarning,
    Builtin::PendingDeprecationWarning,
    Builtin::RuntimeWarning,
    Builtin::SyntaxWarning,
    Builtin::UserWarning,
    Builtin::FutureWarning,
];

/// Names that read as constants.
pub const CONSTANTS: &[(&str, Value)] = &[
    ("None", Value::None),
    ("True", Value::bool(true)),
    ("False", Value::bool(false)),
    ("NotImplemented", Value::NotImplemented),
    ("Ellipsis", Value::Ellipsis),
    ("__debug__", Value::bool(true)),
];

/// Names that read as empty strings.
pub const EMPTY_STRINGS: &[&str] = &["copyright", "credits", "license", "__name__", "__doc__"];

/// Whether a name is that of a built-in function, which is there as long as no program binds the name.
pub fn is_function(name: &[u8]) -> bool {
    FUNCTIONS.iter().any(|row| row.name.as_bytes() == name)
}

/// Defines every built-in name in the machine (those of the API are the API's own).
pub fn install(vm: &mut Vm) {
    let define = |vm: &mut Vm, row: &NativeDef| {
        let native = vm.define(row);
        vm.set_builtin(row.name, Value::Native(native));
    };
    FUNCTIONS.iter().chain(POISONED).for_each(|row| define(vm, row));
    for class in CLASSES {
        let class_value = vm.heap.share(Value::Class(class.class()));
        vm.set_builtin(class.name(), class_value);
    }
    for &(name, constant) in CONSTANTS {
        vm.set_builtin(name, constant);
    }
    for name in EMPTY_STRINGS {
        let empty = vm.heap.new_str(b"");
        vm.set_builtin(name, empty);
    }
}
