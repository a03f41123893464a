//! How built-in functions, methods and API calls are written.
//!
//! # A native
//! ```ignore
//! fn upper(vm: &mut Vm, args: Args) -> NativeReturn {
//!     // args.positional[0] is the object of a method, never checked twice:
//!     // a method found in `str` is only called with a str (or a subclass's payload).
//!     let Value::Str(text) = args.positional[0] else { return Err(vm.heap.raise(Builtin::TypeError, "…")) };
//!     let bytes = vm.heap.bytes(text).to_ascii_uppercase();
//!     vm.heap.make_room(bytes.len())?;
//!     value(vm.heap.new_str_from(bytes))
//! }
//! pub const METHODS: &[NativeDef] = &[NativeDef::method("upper", 0, 0, upper)];
//! ```
//! * Arguments are **borrowed**; the result is **owned**: returning an argument needs `vm.heap.share(x)`.
//! * The machine checks the number of arguments against `min..=max` (not counting a method's object)
//!   and refuses keywords unless the row says [`NativeDef::with_keywords`]; then `args.keywords` has them.
//! * Raising: `return Err(vm.heap.raise(Builtin::ValueError, "text"))`, or `?` on anything that raises.
//! * **Calling program code** (a `cmp` function, `__str__`): return
//!   [`call`]`(callee, args, state)`: the machine calls it and then [`Resume::resume`]s the state with the
//!   owned result. If the callee raises, [`Resume::abandon`] is called instead and the exception goes on.
//!   No native ever calls program code directly, so nothing recurses and any call can be preempted.
//! * **Waiting** (sleep, locks, meters, sockets): return [`block`]`(state)`; the thread sleeps until
//!   [`Vm::wake`](super::Vm::wake)`(thread, value or exception)`. `vm.current` is the thread that runs.
//! * **Long work** (a product of huge numbers): after each few milliseconds return [`pause`]`(state)`.
//! * A native must not run long: a loop over something the program chose the size of asks
//!   [`Vm::spend`](super::Vm::spend)`(steps)` for its fuel now and then.
//!
//! # Tables
//! `builtins::FUNCTIONS` (global names), `types::METHODS` (per built-in class), `types::GETTERS`
//! (attributes that are no methods), `types::CONSTRUCTORS` (what calling a built-in class does, with the
//! class as first argument). The API registers its own rows with [`Vm::define`](super::Vm::define).

use super::Vm;
use crate::heap::{Builtin, Heap, Outcome, Raised, Str, Value};

/// Arguments of a native: borrowed.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    /// Positional arguments; the first of a method is its object.
    pub positional: &'a [Value],
    /// Keyword arguments with interned names.
    pub keywords: &'a [(Str, Value)],
}

impl Args<'_> {
    /// The positional argument at `index`, borrowed.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Value> {
        self.positional.get(index).copied()
    }
}

/// The code of a native.
pub type NativeFn = fn(&mut Vm, Args<'_>) -> NativeReturn;

/// A short way of a native for the arguments programs mostly give it: it gives an owned value, and never raises, calls
/// or waits; or `Unset` (then it has changed nothing), and the native itself is called. The object of a method comes
/// first. It may take arguments out by leaving `Unset` in their place; the others stay the caller's. It must not take
/// longer than a few hundred instructions do.
pub type QuickFn = fn(&mut Vm, &mut [Value]) -> Value;

/// What a native returns: see [`Flow`].
pub type NativeReturn = Result<Flow, Raised>;

/// How a native goes on.
pub enum Flow {
    /// It is done: owned.
    Value(Value),
    /// Call something, then resume.
    Call(Box<CallRequest>),
    /// Let others run if their turn has come, then resume with `None`: a check point inside long work.
    Yield(Box<Box<dyn Resume>>),
    /// Sleep until woken; then the value given to `wake` is the result, or goes to the state.
    Block(Option<Box<Box<dyn Resume>>>),
}

// As large as a value (hence the boxes of boxes): it is read as two words, as it is written. A larger one is copied
// in pieces of other sizes, for which the processor waits until what was written has left its buffers.
const _: () = assert!(std::mem::size_of::<NativeReturn>() == 16);

/// A call a native wants made.
pub struct CallRequest {
    /// What to call: owned.
    pub callee: Value,
    /// Positional arguments: owned.
    pub args: CallArgs,
    /// Who gets the result.
    pub then: Box<dyn Resume>,
}

/// Positional arguments of a call a native wants made.
pub enum CallArgs {
    /// One.
    One(Value),
    /// Two.
    Two(Value, Value),
    /// Any number.
    Many(Vec<Value>),
}

impl From<Vec<Value>> for CallArgs {
    fn from(values: Vec<Value>) -> CallArgs {
        CallArgs::Many(values)
    }
}

impl CallArgs {
    /// Calls `visit` for each of them.
    pub fn for_each(&self, mut visit: impl FnMut(Value)) {
        match self {
            CallArgs::One(value) => visit(*value),
            CallArgs::Two(first, second) => [*first, *second].into_iter().for_each(visit),
            CallArgs::Many(values) => values.iter().copied().for_each(visit),
        }
    }
}

/// The state of a native that waits for program code or for an event.
pub trait Resume {
    /// Goes on with the result: owned.
    fn resume(self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn;

    /// Gives back everything the state owns: the callee raised, or the thread was
    /// ended. Must not raise. A sort puts its list back here.
    fn abandon(self: Box<Self>, vm: &mut Vm);

    /// Calls `visit` for every share the state owns (for the check of counts).
    fn held(&self, visit: &mut dyn FnMut(Value));
}

/// The result of a native that is done. Takes `result` over.
#[inline(always)]
pub fn value(result: Value) -> NativeReturn {
    Ok(Flow::Value(result))
}

/// Asks for a call. Takes all over.
pub fn call(callee: Value, args: impl Into<CallArgs>, then: Box<dyn Resume>) -> NativeReturn {
    Ok(Flow::Call(Box::new(CallRequest { callee, args: args.into(), then })))
}

/// A check point inside long work: the state goes on when this thread's turn comes again.
pub fn pause(then: Box<dyn Resume>) -> NativeReturn {
    Ok(Flow::Yield(Box::new(then)))
}

/// Puts the thread to sleep until it is woken.
pub fn block(then: Option<Box<dyn Resume>>) -> NativeReturn {
    Ok(Flow::Block(then.map(Box::new)))
}

/// A row of a native table.
#[derive(Clone, Copy)]
pub struct NativeDef {
    /// Its name, as programs see it.
    pub name: &'static str,
    /// Fewest positional arguments, the object of a method not counted.
    pub min: u8,
    /// Most positional arguments; [`ANY`] for no bound.
    pub max: u8,
    /// Whether keywords are accepted.
    pub keywords: bool,
    /// Whether the first argument is an object.
    pub method: bool,
    /// The code.
    pub call: NativeFn,
    /// What is tried first.
    pub quick: Option<QuickFn>,
}

/// Functions of one argument that 2.7 counts in digits.
const PARSED: [&str; 2] = ["chr", "zfill"];

/// Functions of which 2.7 unpacks the arguments as a tuple, with a text of its own.
const UNPACKED: [&str; 2] = ["fromkeys", "translate"];

/// No upper bound for positional arguments.
pub const ANY: u8 = u8::MAX;

impl NativeDef {
    /// A function.
    pub const fn function(name: &'static str, min: u8, max: u8, call: NativeFn) -> NativeDef {
        NativeDef { name, min, max, keywords: false, method: false, call, quick: None }
    }

    /// A method; `min` and `max` do not count the object.
    pub const fn method(name: &'static str, min: u8, max: u8, call: NativeFn) -> NativeDef {
        NativeDef { name, min, max, keywords: false, method: true, call, quick: None }
    }

    /// The same, accepting keywords.
    pub const fn with_keywords(self) -> NativeDef {
        NativeDef { keywords: true, ..self }
    }

    /// The same, with a short way that is tried first.
    pub const fn quickly(self, quick: QuickFn) -> NativeDef {
        NativeDef { quick: Some(quick), ..self }
    }

    /// Raises the TypeError of 2.7 if the number of arguments is wrong.
    #[inline(always)]
    pub fn check(&self, heap: &mut Heap, positional: usize, keywords: usize) -> Outcome<()> {
        let given = positional.wrapping_sub(usize::from(self.method));
        if (given < usize::from(self.min)
            || given > usize::from(self.max) && (self.max != ANY || given == usize::MAX))
            || (keywords != 0 && !self.keywords)
        {
            return Err(self.wrong_arguments(heap, given, keywords));
        }
        Ok(())
    }

    /// Whether it can be called with this many positional arguments (the object of a method not counted) and no
    /// keywords.
    #[inline(always)]
    pub fn takes(&self, given: usize) -> bool {
        given >= usize::from(self.min) && (given <= usize::from(self.max) || self.max == ANY)
    }

    /// The built-in class whose method this is.
    fn owner(&self) -> Option<Builtin> {
        let same = |row: &NativeDef| row.name == self.name && std::ptr::fn_addr_eq(row.call, self.call);
        crate::types::METHODS.iter().find(|(_, rows)| rows.iter().any(same)).map(|(class, _)| *class)
    }

    #[cold]
    fn wrong_arguments(&self, heap: &mut Heap, given: usize, keywords: usize) -> Raised {
        let name = self.name;
        let text = if given == usize::MAX {
            match self.owner() {
                Some(class) => format!("descriptor '{name}' of '{}' object needs an argument", class.name()),
                None => format!("descriptor '{name}' needs an argument"),
            }
        } else if keywords != 0 && !self.keywords {
            format!("{name}() takes no keyword arguments")
        } else if self.max == 0 {
            format!("{name}() takes no arguments ({given} given)")
        } else if self.min == self.max {
            match self.min {
                1 if PARSED.contains(&name) => format!("{name}() takes exactly 1 argument ({given} given)"),
                1 => format!("{name}() takes exactly one argument ({given} given)"),
                n => format!("{name}() takes exactly {n} arguments ({given} given)"),
            }
        } else if UNPACKED.contains(&name) {
            let (words, wanted) = match given < usize::from(self.min) {
                true => ("least", self.min),
                false => ("most", self.max),
            };
            format!("{name} expected at {words} {wanted} arguments, got {given}")
        } else if given < usize::from(self.min) {
            let s = if self.min == 1 { "" } else { "s" };
            format!("{name}() takes at least {} argument{s} ({given} given)", self.min)
        } else {
            let s = if self.max == 1 { "" } else { "s" };
            format!("{name}() takes at most {} argument{s} ({given} given)", self.max)
        };
        heap.raise(Builtin::TypeError, &text)
    }
}

/// A non-method attribute of a built-in class: gives an owned value.
pub type Getter = fn(&mut Vm, Value) -> Outcome<Value>;
