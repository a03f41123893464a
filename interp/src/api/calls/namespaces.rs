//! `VirtualNamespace`: program text checked, compiled, and run in a namespace
//! that the program gives.

use policies::Call;

use super::misc::new_object;
use crate::api::bind::Bound;
use crate::api::error::{ApiError, Class};
use crate::api::safe_dict::{copy_entries, refused_key};
use crate::api::state::{permit, raise, Api};
use crate::check;
use crate::compile::World;
use crate::heap::{Builtin, Value};
use crate::syntax::{Limits, Tree};
use crate::vm::native::{call, value, NativeReturn, Resume};
use crate::vm::Vm;

/// `VirtualNamespace(code, name="<string>")`
pub fn make(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    permit(vm, Call::VirtualNamespace, bound.written())?;
    let text = bound.text(&vm.heap, 0).to_vec();
    let name = match bound.get(1) {
        Value::Str(name) => vm.heap.text(name),
        _ => "<string>".to_owned(),
    };
    // Checking and compiling take time in proportion to the text.
    vm.spend(text.len() / 16);
    vm.heap.make_room(text.len().saturating_mul(64))?;
    let limits = Limits::default();
    let tree = Tree::new();
    let module = match check::read(&tree, &text, &name, &limits) {
        Ok(module) => module,
        Err(refusal) => {
            let error = ApiError::new(Class::ValueError, refusal.summary());
            return Err(raise(vm, &error));
        }
    };
    let globals = vm.heap.new_dict();
    let loaded = vm.load_in(&module, globals, World::Open);
    vm.heap.release(Value::Dict(globals));
    let function = match loaded {
        Ok(function) => function,
        Err(error) => {
            let text = format!("Code failed safety check! Error: (\"{}\",)", error.message);
            return Err(raise(vm, &ApiError::new(Class::ValueError, text)));
        }
    };
    let thread = vm.current;
    let (api, heap) = Api::of(vm);
    let role = api.role(thread);
    let label = api.next_handle("", role);
    let id = api.add_namespace(function);
    value(new_object(heap, Builtin::ApiVirtualNamespace, id, &label))
}

/// `namespace.evaluate(context)`
pub fn evaluate(vm: &mut Vm, bound: &Bound) -> NativeReturn {
    let id = bound.object_id(&vm.heap);
    let (api, heap) = Api::of(vm);
    let (dict, context) = match bound.get(0) {
        context @ Value::SafeDict(safe) => (heap.safe_dicts[safe].dict, heap.share(context)),
        Value::Dict(from) => {
            if let Some(why) = refused_key(heap, from) {
                let text = [&b"Provided context is not safe! Exception: "[..], &why].concat();
                return Err(raise(vm, &ApiError::new(Class::ValueError, text)));
            }
            let dict = heap.new_dict();
            let context = heap.new_safe_dict(dict);
            if let Err(raised) = copy_entries(heap, from, dict) {
                heap.release(context);
                return Err(raised);
            }
            (dict, context)
        }
        _ => return value(Value::None),
    };
    let function = api.namespace(id);
    match function.and_then(|function| vm.with_globals(function, dict)) {
        Some(code) => call(code, Vec::new(), Box::new(Evaluating(context))),
        // The object keeps its code as long as it lives.
        None => value(context),
    }
}

/// The context of an evaluation under way: what it returns.
struct Evaluating(Value);

impl Resume for Evaluating {
    fn resume(self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        vm.heap.release(result);
        value(self.0)
    }

    fn abandon(self: Box<Self>, vm: &mut Vm) {
        vm.heap.release(self.0);
    }

    fn held(&self, visit: &mut dyn FnMut(Value)) {
        visit(self.0);
    }
}
