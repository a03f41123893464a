//! The machine: what runs compiled code.
//!
//! Natives (built-in functions, methods, API calls) are described in [`native`].

pub mod native;

use std::any::Any;

use crate::heap::{Builtin, Class, Heap, NativeId, Outcome, Table, Value};
use native::{NativeDef, NativeFn};

/// A green thread; never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ThreadId(pub u64);

/// Where `print` writes to.
pub trait Output {
    /// Takes bytes the program printed. A call for each piece of a print statement.
    fn write(&mut self, bytes: &[u8]);
}

/// The machine.
pub struct Vm {
    /// All objects.
    pub heap: Heap,
    /// What the embedder (the API) keeps; natives of the API downcast it.
    pub host: Option<Box<dyn Any>>,
    /// Where `print` writes to.
    pub output: Box<dyn Output>,
    /// The thread that runs.
    pub current: ThreadId,
    /// Steps until the scheduler gets its turn; may go below 0.
    pub(crate) fuel: i64,
    natives: Vec<NativeDef>,
    builtins: Table<Value>,
    constructors: Vec<Option<NativeFn>>,
}

impl Vm {
    /// Registers a native.
    pub fn define(&mut self, row: &NativeDef) -> NativeId {
        self.natives.push(*row);
        NativeId(self.natives.len() as u32 - 1)
    }

    /// The row of a native.
    pub fn native(&self, native: NativeId) -> &NativeDef {
        &self.natives[native.0 as usize]
    }

    /// Sets a built-in name. Takes `value` over.
    pub fn set_builtin(&mut self, name: &str, value: Value) {
        let name = self.heap.intern(name.as_bytes());
        let hash = self.heap.hash_str(name);
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

    /// Registers natives as methods of a built-in class.
    pub fn define_methods(&mut self, class: Builtin, rows: &[NativeDef]) {
        for row in rows {
            let native = self.define(row);
            let name = self.heap.intern(row.name.as_bytes());
            self.heap.set_class_attribute(class.class(), name, Value::Native(native));
        }
    }

    /// What calling a built-in class does.
    pub fn constructor(&self, class: Class) -> Option<NativeFn> {
        self.constructors.get(class.index()).copied().flatten()
    }

    /// Takes fuel for work done in a native. Natives with long loops call it
    /// every few hundred steps.
    #[inline]
    pub fn spend(&mut self, steps: usize) {
        self.fuel = self.fuel.saturating_sub(i64::try_from(steps).unwrap_or(i64::MAX));
    }

    /// TypeError with a text.
    #[cold]
    pub fn type_error<T>(&mut self, message: &str) -> Outcome<T> {
        Err(self.heap.raise(Builtin::TypeError, message))
    }
}
