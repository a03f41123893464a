//! Names that V1 leaves readable but not callable: calling one raises `RunBuiltinException` with the name, which a
//! program can catch only as an `Exception`.
use crate::heap::Builtin;
use crate::vm::native::{Args, NativeDef, NativeReturn, ANY};
use crate::vm::Vm;

fn refuse(vm: &mut Vm, name: &str) -> NativeReturn {
    let name = vm.heap.new_str(name.as_bytes());
    // The exception's one argument is a tuple of the name, so that `str` gives `('eval',)`.
    let arguments = vm.heap.new_tuple(&[name]);
    let exception = [arguments];
    Err(vm.heap.raise_with(Builtin::RunBuiltinException.class(), &exception))
}

macro_rules! poisoned {
    ($($name:ident)*) => {
        /// The refusing functions.
        pub const POISONED: &[NativeDef] = &[$({
            fn call(vm: &mut Vm, _: Args<'_>) -> NativeReturn {
                refuse(vm, stringify!($name))
            }
            NativeDef::function(stringify!($name), 0, ANY, call).with_keywords()
        },)*];
    };
}

poisoned! {
    all any apply basestring bin buffer bytearray bytes callable classmethod coerce compile delattr dir enumerate eval
    execfile exit format getattr globals hasattr hash help input intern iter locals memoryview next print property quit
    raw_input reload reversed setattr sorted staticmethod super unichr unicode vars __import__
    BufferError BytesWarning GeneratorExit ImportWarning UnicodeWarning
}

/// The `RunBuiltinException` of a misused `type()`.
pub fn misused_type(vm: &mut Vm) -> NativeReturn {
    refuse(vm, "type() may only take exactly one non-keyword argument.")
}
