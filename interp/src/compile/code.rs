//! Compiled code.

use std::cell::Cell;
use std::rc::Rc;

use super::op::Op;
use crate::heap::{Dict, Function, Heap, Str, Value};
use crate::syntax::{Source, Span};

/// The code of a module, class body or function.
#[derive(Debug)]
pub struct Code {
    /// Function or class name, `<module>` for a module; interned.
    pub name: Str,
    /// The instructions.
    pub ops: Box<[Op]>,
    /// Where each instruction comes from.
    pub spans: Box<[Span]>,
    /// The text it was compiled from.
    pub source: Source,
    /// The namespace its globals live in: that of all functions with this code, see [`Code::settle`].
    pub home: Cell<Dict>,
    /// Bytes counted in the heap's books for it: a copy is.
    pub copied: usize,
    /// Whether it is the code of a `def` (not of a class or module).
    pub is_function: bool,
    /// Number of named parameters, tuple parameters counted once.
    pub parameters: u8,
    /// Whether `*args` follows the parameters.
    pub star: bool,
    /// Whether `**kwargs` follows.
    pub double_star: bool,
    /// The number of arguments with which a call needs no binding; `NO_ARITY` if there is none.
    pub arity: u16,
    /// Registers of locals: register 0, parameters, named locals. The rest are temporaries.
    pub locals: u8,
    /// All registers in use, counted from 0.
    pub registers: u16,
    /// First of two locals that keep the exception handled by the caller while this
    /// code handles its own; 0 if it has no handlers.
    pub handling: u8,
    /// Names of the locals by register, for messages; interned.
    pub local_names: Box<[Str]>,
    /// Constants: the code owns one share of each, given back by [`Code::release`].
    pub constants: Box<[Value]>,
    /// Global names with their caches.
    pub globals: Box<[GlobalSite]>,
    /// Attribute names with their caches.
    pub sites: Box<[AttributeSite]>,
    /// Codes of the functions and classes inside.
    pub functions: Box<[Inner]>,
    /// Names of keyword arguments of calls; interned.
    pub keywords: Box<[Box<[Str]>]>,
    /// Names of wide locals, for messages; interned.
    pub wide_names: Box<[Str]>,
    /// Names of the free variables, for messages; interned.
    pub free_names: Box<[Str]>,
    /// Handlers, innermost first.
    pub handlers: Box<[HandlerRange]>,
}

/// [`Code::home`] of a code that no function has yet.
pub const NOWHERE: Dict = Dict(u32::MAX as u64);

/// [`Code::arity`] of a code whose arguments always need binding.
pub const NO_ARITY: u16 = u16::MAX;

/// A function or class inside a code.
#[derive(Debug)]
pub struct Inner {
    /// Its code.
    pub code: Rc<Code>,
    /// Where the cells of its free variables are found in the code around it.
    pub captures: Box<[Capture]>,
}

/// Where a cell is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capture {
    /// In a register of the function.
    Register(u8),
    /// Among the function's own free variables.
    Free(u16),
}

/// Instructions from `start` to before `end` are guarded by `handler`.
#[derive(Clone, Copy, Debug)]
pub struct HandlerRange {
    /// First instruction guarded.
    pub start: u32,
    /// The first no longer guarded.
    pub end: u32,
    /// Where it goes on; the exception is then in the registers `keep` and `keep + 1`.
    pub handler: u32,
    /// Temporaries from here on are dropped first.
    pub keep: u8,
}

/// A global name used in a code.
#[derive(Debug)]
pub struct GlobalSite {
    /// The name; interned.
    pub name: Str,
    /// Where it was found last: position in the namespace's table.
    pub position: Cell<u32>,
    /// If it was found among the built-ins: for which version of the namespace.
    pub version: Cell<u64>,
    /// The built-in found (not owned: built-ins are never replaced while programs run).
    pub builtin: Cell<Value>,
    /// The function that the name is bound to in the namespace, with the same namespace (not owned).
    pub function: Cell<Function>,
    /// The [`Heap::rebindings`] for which it is.
    pub bound: Cell<u64>,
}

/// Number of ways of an attribute cache.
pub const WAYS: usize = 4;

/// An attribute access in a code.
#[derive(Debug)]
pub struct AttributeSite {
    /// The name; interned.
    pub name: Str,
    /// What was found lately.
    pub cache: [Way; WAYS],
    /// Which way is filled next.
    pub next: Cell<u8>,
}

/// One way of an attribute cache. Its parts are cells of their own, so that a look at one does not copy all.
#[derive(Debug)]
pub struct Way {
    /// See [`AttributeCache::key`].
    pub key: Cell<u32>,
    /// See [`AttributeCache::epoch`].
    pub epoch: Cell<u32>,
    /// See [`AttributeCache::slot`].
    pub slot: Cell<u32>,
    /// See [`AttributeCache::class`].
    pub class: Cell<u32>,
}

/// What one way of an attribute cache holds.
#[derive(Clone, Copy, Debug)]
pub struct AttributeCache {
    /// Shape of the instance, or `NO_SHAPE - class` for values without shapes; 0 is never found.
    pub key: u32,
    /// Class epoch for which it holds (for what was found in a class).
    pub epoch: u32,
    /// Slot of the instance, position in the class's table, or number of the method.
    pub slot: u32,
    /// Class it was found in; or one of the constants below; the shape to move to for a new attribute.
    pub class: u32,
}

/// [`AttributeCache::class`] of an attribute in the instance itself.
pub const IN_INSTANCE: u32 = u32::MAX;

/// [`AttributeCache::class`] of a method that is a function of the program.
pub const FUNCTION: u32 = u32::MAX - 1;

/// [`AttributeCache::class`] of a built-in method.
pub const NATIVE: u32 = u32::MAX - 2;

impl Way {
    /// A way that no key finds.
    const fn empty() -> Way {
        Way { key: Cell::new(u32::MAX), epoch: Cell::new(0), slot: Cell::new(0), class: Cell::new(0) }
    }
}

impl AttributeSite {
    /// A site that knows nothing yet.
    pub fn new(name: Str) -> AttributeSite {
        AttributeSite { name, cache: [const { Way::empty() }; WAYS], next: Cell::new(0) }
    }

    /// What is known about a key, which is not `u32::MAX`.
    #[inline(always)]
    pub fn find(&self, key: u32) -> Option<&Way> {
        self.cache.iter().find(|way| way.key.get() == key)
    }

    /// Notes what was found.
    pub fn fill(&self, cache: AttributeCache) {
        let way = &self.cache[usize::from(self.next.get()) % WAYS];
        way.key.set(cache.key);
        way.epoch.set(cache.epoch);
        way.slot.set(cache.slot);
        way.class.set(cache.class);
        self.next.set(self.next.get().wrapping_add(1));
    }
}

impl GlobalSite {
    /// A site that knows nothing yet.
    pub fn new(name: Str) -> GlobalSite {
        GlobalSite {
            name,
            position: Cell::new(u32::MAX),
            version: Cell::new(u64::MAX),
            builtin: Cell::new(Value::Unset),
            function: Cell::new(Function(0)),
            bound: Cell::new(u64::MAX),
        }
    }
}

impl Code {
    /// Gives the shares of the constants back. To be called once, when nothing
    /// runs or can run the code any more.
    pub fn release(&self, heap: &mut Heap) {
        heap.discharge(self.copied);
        for value in &self.constants {
            heap.release(*value);
        }
        for inner in &self.functions {
            inner.code.release(heap);
        }
    }

    /// A code of nothing, for functions that are gone.
    pub fn empty() -> Code {
        Code {
            name: Str(0),
            ops: Box::default(),
            spans: Box::default(),
            source: Source::new("", b""),
            home: Cell::new(NOWHERE),
            copied: 0,
            is_function: true,
            parameters: 0,
            star: false,
            double_star: false,
            arity: NO_ARITY,
            locals: 1,
            registers: 1,
            handling: 0,
            local_names: Box::default(),
            constants: Box::default(),
            globals: Box::default(),
            sites: Box::default(),
            functions: Box::default(),
            keywords: Box::default(),
            wide_names: Box::default(),
            free_names: Box::default(),
            handlers: Box::default(),
        }
    }

    /// Makes `globals` the namespace of the code and all codes inside. Only while nothing runs them.
    pub fn settle(&self, globals: Dict) {
        self.home.set(globals);
        for site in &self.globals {
            site.position.set(u32::MAX);
            site.version.set(u64::MAX);
            site.bound.set(u64::MAX);
        }
        for inner in &self.functions {
            inner.code.settle(globals);
        }
    }

    /// A copy that has run nowhere yet, for another namespace.
    pub fn copy(&self, heap: &mut Heap) -> Code {
        let copied = std::mem::size_of::<Code>()
            + self.ops.len() * std::mem::size_of::<(Op, Span)>()
            + self.globals.len() * std::mem::size_of::<GlobalSite>()
            + self.sites.len() * std::mem::size_of::<AttributeSite>()
            + self.constants.len() * std::mem::size_of::<Value>()
            + self.local_names.len() * std::mem::size_of::<Str>();
        heap.charge(copied);
        let inner = |heap: &mut Heap, inner: &Inner| Inner {
            code: Rc::new(inner.code.copy(heap)),
            captures: inner.captures.clone(),
        };
        Code {
            name: self.name,
            ops: self.ops.clone(),
            spans: self.spans.clone(),
            source: self.source.clone(),
            home: self.home.clone(),
            copied,
            is_function: self.is_function,
            parameters: self.parameters,
            star: self.star,
            double_star: self.double_star,
            arity: self.arity,
            locals: self.locals,
            registers: self.registers,
            handling: self.handling,
            local_names: self.local_names.clone(),
            constants: self.constants.iter().map(|value| heap.share(*value)).collect(),
            globals: self.globals.iter().map(|site| GlobalSite::new(site.name)).collect(),
            sites: self.sites.iter().map(|site| AttributeSite::new(site.name)).collect(),
            functions: self.functions.iter().map(|of| inner(heap, of)).collect(),
            keywords: self.keywords.clone(),
            wide_names: self.wide_names.clone(),
            free_names: self.free_names.clone(),
            handlers: self.handlers.clone(),
        }
    }

    /// Calls `visit` for each share the code owns.
    pub fn held(&self, visit: &mut dyn FnMut(Value)) {
        self.constants.iter().for_each(|value| visit(*value));
        self.functions.iter().for_each(|inner| inner.code.held(visit));
    }

    /// The line of an instruction.
    pub fn line(&self, at: usize) -> u32 {
        self.source.line(self.spans.get(at).map_or(0, |span| span.start))
    }
}
