//! The Repy API: one table of calls, and the engines behind them.
//!
//! [`install`] puts it into a machine; [`namespace`] makes the namespace a
//! program runs in. Natives are derived from [`table::TABLE`] by [`bind`],
//! their code is in [`calls`], what they keep between calls in
//! [`state::Api`]. The engines know nothing of the machine and are tested
//! alone: [`file`], [`files`], [`locks`], [`crate::meter`], [`crate::host`].

pub mod ask;
pub mod bind;
pub mod calls;
pub mod copy;
pub mod deliver;
pub mod error;
pub mod file;
pub mod files;
pub mod locks;
pub mod network;
pub mod record;
pub mod safe_dict;
pub mod senders;
pub mod show;
pub mod state;
pub mod table;

#[cfg(test)]
mod tests;

use crate::heap::{Builtin, Dict, Outcome, Value};
use crate::vm::Vm;
use state::{Api, HiddenClasses, Setup};
use table::TABLE;

/// Puts the API into a machine. Once, before any program is loaded.
pub fn install(vm: &mut Vm, setup: Setup) {
    let hidden = HiddenClasses {
        socket_error: vm.heap.new_builtin_class("error", "socket", Builtin::IOError),
        address_error: vm.heap.new_builtin_class("gaierror", "socket", Builtin::IOError),
        thread_error: vm.heap.new_builtin_class("error", "thread", Builtin::Exception),
    };
    let mut api = Api::new(setup, hidden);
    // Functions first, so that they are one range of rows.
    let mut first = None;
    let mut count = 0;
    for row in (0..TABLE.len()).filter(|row| TABLE[*row].class.is_none()) {
        let native = vm.define(&bind::native(row));
        first.get_or_insert(native.0);
        count += 1;
    }
    let first = first.unwrap_or(0);
    api.functions = first..first + count;
    for (row, call) in TABLE.iter().enumerate() {
        if let Some(class) = call.class {
            vm.define_methods(class, &[bind::native(row)]);
        }
    }
    vm.define_methods(Builtin::SafeDict, safe_dict::METHODS);
    vm.set_constructor(Builtin::SafeDict.class(), safe_dict::construct);
    let class = vm.heap.share(Value::Class(Builtin::SafeDict.class()));
    vm.set_builtin("SafeDict", class);
    vm.line_hook = Some(calls::files::next_line);
    vm.print_hook = Some(calls::log::write);
    vm.host = Some(Box::new(api));
}

/// The namespace of a program: the API's functions, `mycontext`, `_context`
/// and, unless the program is a plain script, `callfunc` and `callargs`.
/// Owned.
pub fn namespace(vm: &mut Vm, arguments: Option<&[Vec<u8>]>) -> Outcome<Dict> {
    let globals = vm.heap.new_dict();
    let mut native = Api::of(vm).0.functions.clone();
    for call in TABLE.iter().filter(|call| call.class.is_none()) {
        let Some(row) = native.next() else { break };
        set(vm, globals, call.name, Value::Native(crate::heap::NativeId(row)))?;
    }
    let context = Value::Dict(vm.heap.new_dict());
    set(vm, globals, "mycontext", context)?;
    vm.heap.retain(Value::Dict(globals));
    let view = vm.heap.new_safe_dict(globals);
    set(vm, globals, "_context", view)?;
    if let Some(arguments) = arguments {
        let callfunc = vm.heap.new_str(b"initialize");
        set(vm, globals, "callfunc", callfunc)?;
        let items = arguments.iter().map(|argument| vm.heap.new_str(argument)).collect();
        let callargs = vm.heap.new_list(items);
        set(vm, globals, "callargs", callargs)?;
    }
    Ok(globals)
}

/// Sets a name. Takes `item` over.
fn set(vm: &mut Vm, globals: Dict, name: &str, item: Value) -> Outcome<()> {
    let name = vm.heap.intern(name.as_bytes());
    vm.heap.dict_set(globals, Value::Str(name), item)
}
