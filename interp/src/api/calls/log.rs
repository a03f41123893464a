//! What `print` does with each piece: the rule, the rate, the output.

use policies::Call;

use crate::api::state::{gate, pay, permit, Api};
use crate::heap::Value;
use crate::meter::Rate;
use crate::vm::native::{value, NativeReturn};
use crate::vm::Vm;

/// Prints one piece (a string). The machine calls it for every piece of a
/// `print` statement without a target.
pub fn write(vm: &mut Vm, piece: Value) -> NativeReturn {
    permit(vm, Call::LogWrite, &[piece])?;
    gate(vm, Rate::LogRate, &[piece], |vm, values| {
        let (api, heap) = Api::of(vm);
        let Some(Value::Str(text)) = values.first() else { return value(Value::None) };
        let bytes = heap.bytes(*text);
        api.print(bytes);
        let length = bytes.len() as u64;
        pay(vm, Rate::LogRate, length, Value::None)
    })
}
