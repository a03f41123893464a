//! The machine: what runs compiled code.
//!
//! Natives (built-in functions, methods, API calls) are described in [`native`].
//!
//! # Running programs
//! ```ignore
//! let mut vm = Vm::new(seed, memory_limit, output);
//! let globals = vm.heap.new_dict();                    // the namespace
//! let main = vm.load(&module, globals)?;               // a function: owned
//! vm.spawn(main, vec![], "MainThread");
//! loop {
//!     match vm.run(1_000_000) {
//!         Event::Ended(thread, Ok(value)) => …         // release the value
//!         Event::Ended(thread, Err(uncaught)) => …     // vm.traceback(&uncaught, &text)
//!         Event::Fuel => …                             // timers, stop requests, limits
//!         Event::Idle => …                             // wait for events, then vm.wake(…)
//!     }
//! }
//! ```
//! The event loop is the caller's. Natives may call `vm.spawn`; `vm.interrupt = true` makes
//! `run` return at the next check point after the current slice.

mod access;
mod attribute;
mod call;
mod compare;
mod construct;
mod drive;
mod exception;
mod iterate;
mod leave;
pub mod native;
mod op_call;
mod op_compare;
mod op_item;
mod op_loop;
mod op_name;
mod op_number;
mod op_object;
mod op_print;
mod op_raise;
mod op_spread;
mod run;
mod slow;
#[cfg(test)]
mod tests;
mod thread;
mod traceback;

use std::any::Any;
use std::rc::Rc;

pub use iterate::Iteration;
pub use thread::{Event, Thread, ThreadId, Uncaught, SLICE};

use crate::check::Checked;
use crate::compile::{Code, CompileError, World};
use crate::heap::{Builtin, Class, Dict, FunctionData, Heap, NativeId, Outcome, Str, Table, Value};
use crate::syntax::ast::Module;
use native::{Getter, NativeDef, NativeFn, NativeReturn, QuickFn};

/// Registers of a window: all that `u8` operands can reach, so that no access is checked.
pub(crate) const WINDOW: usize = 256;

/// Numbers of the classes that may have a short way of being called.
pub(crate) const QUICK_CLASSES: usize = 16;

/// Deepest nesting of calls, as in CPython 2.7.
pub const RECURSION_LIMIT: usize = 1000;

/// Where `print` writes to.
pub trait Output {
    /// Takes bytes the program printed: a call for each piece of a print statement.
    fn write(&mut self, bytes: &[u8]);
}

/// Gives the next line of a file: an owned str, `Unset` at the end. Instead of
/// waiting inside it may return `block(None)`; it is called again once the thread is woken.
pub type LineHook = fn(&mut Vm, Value) -> NativeReturn;

/// Prints one piece of a `print` statement: a str, borrowed. May raise, and may
/// wait; what it gives is dropped.
pub type PrintHook = fn(&mut Vm, Value) -> NativeReturn;

/// Attribute access that the API decides: gives an owned value.
pub type AttributeHook = fn(&mut Vm, Value, Str) -> Outcome<Option<Value>>;

/// Names the machine needs itself; interned.
pub(crate) struct Names {
    pub init: Str,
    pub str: Str,
    pub repr: Str,
    pub del: Str,
    pub args: Str,
    pub message: Str,
    pub softspace: Str,
}

/// The machine.
pub struct Vm {
    /// All objects.
    pub heap: Heap,
    /// What the embedder (the API) keeps; natives of the API downcast it.
    pub host: Option<Box<dyn Any>>,
    /// Where `print` writes to.
    pub output: Box<dyn Output>,
    /// The thread that runs, or ran last.
    pub current: ThreadId,
    /// What [`Vm::run`] has left of the fuel it was given last.
    pub unspent: i64,
    /// Set by a native that wants [`Vm::run`] to return soon.
    pub interrupt: bool,
    /// Lines of API files for `for line in file`.
    pub line_hook: Option<LineHook>,
    /// What `print` does instead of writing to `output`.
    pub print_hook: Option<PrintHook>,
    pub(crate) current_name: String,
    /// Steps until the scheduler gets its turn; may go below 0.
    pub(crate) fuel: i64,
    pub(crate) threads: thread::Threads,
    pub(crate) names: Names,
    pub(crate) softspace: bool,
    /// A buffer for texts that are put together, small and empty between two uses.
    pub(crate) scratch: Vec<u8>,
    /// Depth of calls of the running thread, for natives that recurse.
    pub(crate) depth: usize,
    /// Items that comparisons may still look at in one go; below 0 they raise, to be begun again in steps.
    pub(crate) patience: i64,
    /// The answer (or exception, owned) of a comparison that was done in steps, for the instruction that waits for it.
    pub(crate) compared: Option<Result<bool, Value>>,
    /// Set with a raised token: what an instruction has begun and the machine is to go on with.
    pub(crate) postponed: Option<native::Flow>,
    /// Names that the last `**` gave and nothing else may own: owned until the next one.
    pub(crate) spread_names: Vec<Value>,
    natives: Vec<NativeDef>,
    native_owners: Vec<Option<Class>>,
    pub(crate) builtins: Table<Value>,
    pub(crate) builtins_version: u64,
    constructors: Vec<Option<NativeFn>>,
    /// Short ways of built-in classes, which have the first numbers of all.
    quick_constructors: [Option<QuickFn>; QUICK_CLASSES],
    getters: std::collections::HashMap<(Class, Str), Getter>,
    pub(crate) modules: Vec<Rc<Code>>,
    pub(crate) range: Value,
    pub(crate) xrange: Value,
    pub(crate) len: Value,
}

impl Vm {
    /// A machine with all built-in types and functions.
    ///
    /// `seed` seeds the hashes; `limit` is the memory of the program in bytes.
    pub fn new(seed: u64, limit: usize, output: Box<dyn Output>) -> Vm {
        let mut heap = Heap::new(seed, limit);
        let names = Names {
            init: heap.intern(b"__init__"),
            str: heap.intern(b"__str__"),
            repr: heap.intern(b"__repr__"),
            del: heap.intern(b"__del__"),
            args: heap.intern(b"args"),
            message: heap.intern(b"message"),
            softspace: heap.intern(b"softspace"),
        };
        let mut vm = Vm {
            heap,
            host: None,
            output,
            current: ThreadId(u64::MAX),
            unspent: 0,
            interrupt: false,
            line_hook: None,
            print_hook: None,
            current_name: String::new(),
            fuel: 0,
            threads: thread::Threads::default(),
            names,
            softspace: false,
            scratch: Vec::new(),
            depth: 0,
            patience: i64::MAX,
            compared: None,
            postponed: None,
            spread_names: Vec::new(),
            natives: Vec::new(),
            native_owners: Vec::new(),
            builtins: Table::new(),
            builtins_version: 0,
            constructors: Vec::new(),
            quick_constructors: [None; QUICK_CLASSES],
            getters: std::collections::HashMap::new(),
            modules: Vec::new(),
            range: Value::Unset,
            xrange: Value::Unset,
            len: Value::Unset,
        };
        for (class, rows) in crate::types::METHODS {
            vm.define_methods(*class, rows);
        }
        for (class, name, getter) in crate::types::GETTERS {
            let name = vm.heap.intern(name.as_bytes());
            vm.getters.insert((class.class(), name), *getter);
        }
        for (class, constructor) in crate::types::CONSTRUCTORS {
            vm.set_constructor(class.class(), *constructor);
        }
        for (class, quick) in crate::types::quick::CONSTRUCTORS {
            vm.quick_constructors[class.class().index()] = Some(*quick);
        }
        crate::builtins::install(&mut vm);
        vm.range = vm.builtin(b"range").unwrap_or(Value::Unset);
        vm.len = vm.builtin(b"len").unwrap_or(Value::Unset);
        vm.xrange = vm.builtin(b"xrange").unwrap_or(Value::Unset);
        vm
    }

    /// Registers a native.
    pub fn define(&mut self, row: &NativeDef) -> NativeId {
        self.natives.push(*row);
        self.native_owners.push(None);
        NativeId(self.natives.len() as u64 - 1)
    }

    /// The row of a native.
    #[inline(always)]
    pub fn native(&self, native: NativeId) -> &NativeDef {
        &self.natives[native.0 as usize]
    }

    /// The class a native is a method of.
    pub fn native_owner(&self, native: NativeId) -> Option<Class> {
        self.native_owners[native.0 as usize]
    }

    /// Sets a built-in name. Takes `value` over. Only before programs run:
    /// code remembers what it has found.
    pub fn set_builtin(&mut self, name: &str, value: Value) {
        let name = self.heap.intern(name.as_bytes());
        let hash = self.heap.hash_str(name);
        self.builtins_version += 1;
        match self.builtins.find_str(&self.heap, hash, name) {
            Some(position) => {
                let old = self.builtins.set_value(position, value);
                self.heap.release(old);
            }
            None => {
                self.heap.retain(Value::Str(name));
                self.builtins.insert_new(hash, Value::Str(name), value);
            }
        }
    }

    /// The names of all built-ins.
    pub fn builtin_names(&self) -> Vec<String> {
        let text = |key| match key {
            Value::Str(name) => Some(self.heap.text(name)),
            _ => None,
        };
        self.builtins.iter().filter_map(|entry| text(entry.key)).collect()
    }

    /// A built-in by name, borrowed.
    pub fn builtin(&self, name: &[u8]) -> Option<Value> {
        self.builtins.find_bytes(&self.heap, name).map(|position| self.builtins.value(position))
    }

    /// Registers natives as methods of a built-in class.
    pub fn define_methods(&mut self, class: Builtin, rows: &[NativeDef]) {
        for row in rows {
            let native = self.define(row);
            self.native_owners[native.0 as usize] = Some(class.class());
            let name = self.heap.intern(row.name.as_bytes());
            self.heap.set_class_attribute(class.class(), name, Value::Native(native));
        }
    }

    /// Sets what calling a built-in class does.
    pub fn set_constructor(&mut self, class: Class, constructor: NativeFn) {
        if self.constructors.len() <= class.index() {
            self.constructors.resize(class.index() + 1, None);
        }
        self.constructors[class.index()] = Some(constructor);
    }

    /// What calling a built-in class does.
    pub fn constructor(&self, class: Class) -> Option<NativeFn> {
        self.constructors.get(class.index()).copied().flatten()
    }

    /// The short way of calling a built-in class.
    pub(crate) fn quick_constructor(&self, class: Class) -> Option<QuickFn> {
        *self.quick_constructors.get(class.index())?
    }

    /// Registers an attribute of a built-in class that is no method.
    pub fn set_getter(&mut self, class: Class, name: &str, getter: Getter) {
        let name = self.heap.intern(name.as_bytes());
        self.getters.insert((class, name), getter);
    }

    /// The getter of an attribute, looked up through the ancestors of `class`.
    pub(crate) fn getter(&self, class: Class, name: Str) -> Option<Getter> {
        self.heap.classes[class].mro.iter().find_map(|owner| self.getters.get(&(*owner, name)).copied())
    }

    /// Compiles a module and makes a function that runs it with `globals` as its
    /// namespace (borrowed): owned. The code may be run any number of times,
    /// and with other namespaces by [`Vm::with_globals`].
    ///
    /// # Errors
    /// See [`crate::compile::compile`].
    pub fn load(&mut self, module: &Checked<Module<'_>>, globals: Dict) -> Result<Value, CompileError> {
        self.load_in(module, globals, World::Closed)
    }

    /// [`Vm::load`] for a text that shares its namespace with others, or does not.
    ///
    /// # Errors
    /// See [`crate::compile::compile`].
    pub fn load_in(
        &mut self,
        module: &Checked<Module<'_>>,
        globals: Dict,
        world: World,
    ) -> Result<Value, CompileError> {
        let code = crate::compile::compile(&mut self.heap, module, world)?;
        self.modules.push(Rc::clone(&code));
        Ok(self.function_of(code, globals))
    }

    /// A function with the code of `function` (from [`Vm::load`]) and another namespace: owned.
    pub fn with_globals(&mut self, function: Value, globals: Dict) -> Option<Value> {
        let Value::Function(function) = function else { return None };
        let mut code = Rc::clone(&self.heap.functions[function].code);
        // A code has one namespace, so that looking for a global need not ask in which it runs.
        if is_used_elsewhere(&code) {
            code = Rc::new(code.copy(&mut self.heap));
            self.modules.push(Rc::clone(&code));
        }
        Some(self.function_of(code, globals))
    }

    fn function_of(&mut self, code: Rc<Code>, globals: Dict) -> Value {
        code.settle(globals);
        Value::Function(self.heap.new_function(FunctionData {
            arity: code.arity,
            alone: code.arity,
            code,
            globals,
            defaults: Box::default(),
            cells: Box::default(),
            attributes: None,
        }))
    }

    /// Gives back the codes of modules that nothing can run any more.
    pub fn drop_unused_code(&mut self) {
        let mut modules = std::mem::take(&mut self.modules);
        modules.retain(|code| {
            let used = is_used(code);
            if !used {
                code.release(&mut self.heap);
            }
            used
        });
        self.modules = modules;
    }

    /// Takes fuel for work done in a native. Natives with long loops call it
    /// every few hundred steps.
    #[inline]
    pub fn spend(&mut self, steps: usize) {
        self.fuel = self.fuel.saturating_sub(i64::try_from(steps).unwrap_or(i64::MAX));
    }

    /// Whether the running thread has had its turn: long loops of natives pause then.
    #[inline]
    pub fn is_tired(&self) -> bool {
        self.fuel < 0
    }

    /// TypeError with a text.
    #[cold]
    pub fn type_error<T>(&mut self, message: &str) -> Outcome<T> {
        Err(self.heap.raise(Builtin::TypeError, message))
    }

    /// The name of a value's type, as messages show it.
    pub fn type_name(&self, value: Value) -> String {
        crate::types::support::type_name(&self.heap, value)
    }

    /// The special method of an instance (`__str__`, `__repr__` …) that the program
    /// has defined: borrowed function. Natives call it with the instance.
    pub fn program_method(&self, value: Value, name: Str) -> Option<Value> {
        let Value::Instance(instance) = value else { return None };
        let class = self.heap.instances[instance].class;
        match self.heap.class_attribute(class, name) {
            Some((function @ Value::Function(_), _)) => Some(function),
            _ => None,
        }
    }

    /// [`Vm::program_method`] `__str__`.
    pub fn program_str(&self, value: Value) -> Option<Value> {
        self.program_method(value, self.names.str)
    }

    /// [`Vm::program_method`] `__repr__`.
    pub fn program_repr(&self, value: Value) -> Option<Value> {
        self.program_method(value, self.names.repr)
    }
}

/// Whether more than one function, or a frame, holds the code of a module, or anything one inside it. The module
/// list, the function and whoever asks hold one share each.
fn is_used_elsewhere(code: &Rc<Code>) -> bool {
    Rc::strong_count(code) > 3 || code.functions.iter().any(|inner| is_used(&inner.code))
}

/// Whether a function or a frame still holds the code or one inside it. The
/// module list itself and the code around hold one share each.
fn is_used(code: &Rc<Code>) -> bool {
    Rc::strong_count(code) > 1 || code.functions.iter().any(|inner| is_used(&inner.code))
}
