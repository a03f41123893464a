//! The heap: typed arenas with explicit reference counts.
//!
//! # Ownership
//! A [`Value`] is sixteen bytes and `Copy`; counted kinds are `u32` handles
//! into the arena of their kind. There is no `Drop`, so ownership is a rule:
//!
//! * **Borrowed** is the normal case for parameters: look, do not release.
//! * **Owned** is what `new_*` functions return and what a native returns.
//!   To keep or return a borrowed value, take a share with [`Heap::retain`] (or
//!   [`Heap::share`], which returns it). To drop an owned one: [`Heap::release`].
//! * Containers own their items: store with `retain`, or hand over an owned one.
//!   Which of the two a function does is the last line of its documentation
//!   ("takes over" / "borrows").
//! * A forgotten release is a leak, a forgotten retain a wrong object of the
//!   same kind, never memory corruption. [`Heap::check_counts`] compares all
//!   counts with a full trace; call it in tests.
//!
//! # Allocating
//! `heap.new_str(b"..")`, `heap.new_list(items)`, `heap.new_tuple(items)`,
//! `heap.new_dict()`, `heap.new_long(ibig)` (gives an `int` if it was asked to
//! with [`Heap::new_integer`]) … never fail. Before building something whose
//! size the program chooses, ask [`Heap::make_room`]`(bytes)?`: it raises
//! MemoryError if the limit would be passed. Growing a list: first
//! [`Heap::reserve_list`]`(list, extra)?`, then push. Dicts and sets:
//! [`Heap::dict_set`], [`Heap::dict_get`], [`Heap::set_add`] … keep the books.
//!
//! # Raising
//! `return Err(heap.raise(Builtin::ValueError, "text"))`. [`Raised`] is a token:
//! the exception itself waits in the heap. Whoever swallows an `Err(Raised)` must
//! call [`Heap::take_raised`] and release what it gives.

mod bytes;
mod class;
mod collect;
mod hash;
mod objects;
mod shape;
mod table;
mod value;

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

use dashu_int::IBig;

pub use bytes::Bytes;
pub use class::{Builtin, ClassData, Style, BUILTINS};
pub use objects::*;
pub use shape::{Shape, Shapes};
pub use table::{Entry, Table};
pub use value::*;

/// A row of the native table, see [`crate::vm::native`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct NativeId(pub u64);

/// An exception has been raised and waits in the heap ([`Heap::take_raised`]).
#[derive(Debug)]
#[must_use = "an exception is either passed on or taken and released"]
pub struct Raised(());

/// Shorthand for what may raise.
pub type Outcome<T> = Result<T, Raised>;

/// A `long`.
#[derive(Clone, Debug)]
pub struct LongData {
    /// Its value, any size.
    pub value: IBig,
}

/// The objects of one kind.
#[derive(Debug)]
pub struct Arena<H, T> {
    slots: Vec<T>,
    free: Vec<u32>,
    handle: PhantomData<H>,
}

impl<H, T> Default for Arena<H, T> {
    fn default() -> Self {
        Arena { slots: Vec::new(), free: Vec::new(), handle: PhantomData }
    }
}

macro_rules! arenas {
    ($($kind:ident, $field:ident, $data:ty;)*) => {
        /// The heap. Arenas are public: `heap.lists[list].items` reads the items of a list.
        #[derive(Debug)]
        pub struct Heap {
            counts: [Vec<u32>; KIND_ROWS],
            $(#[doc = concat!("All objects of kind `", stringify!($kind), "`.")]
            pub $field: Arena<$kind, $data>,)*
            /// All shapes of instances.
            pub shapes: Shapes,
            /// Changes when an attribute is added to or removed from any class.
            pub class_epoch: u32,
            /// Seed of the hashes.
            seed: u64,
            /// Bytes in use.
            used: usize,
            /// Bytes the program may use.
            limit: usize,
            /// `used` at which the next collection is due.
            collect_at: usize,
            /// Bytes given back since the last collection are not subtracted here.
            dead: Vec<(Kind, u32)>,
            draining: bool,
            /// Instances whose `__del__` is to be called, owned.
            pub finalizers: Vec<Value>,
            /// Instances whose `__del__` has been called, by which thread and at which depth of calls:
            /// owned until it has returned and it is seen whether it kept them alive.
            pub finalized: Vec<(Value, u64, usize)>,
            /// API objects that are gone: class and identity.
            pub dropped: Vec<(Class, u64)>,
            raised: Value,
            /// The way of the exception raised, a trace or unset.
            raised_trace: Value,
            intern: Table<()>,
            one_byte: Box<[Str; 256]>,
            empty_tuple: Value,
        }

        impl Heap {
            fn empty(seed: u64, limit: usize) -> Heap {
                Heap {
                    counts: Default::default(),
                    $($field: Arena::default(),)*
                    shapes: Shapes::default(),
                    class_epoch: 1,
                    seed,
                    used: 0,
                    limit,
                    collect_at: FIRST_COLLECTION,
                    dead: Vec::new(),
                    draining: false,
                    finalizers: Vec::new(),
                    finalized: Vec::new(),
                    dropped: Vec::new(),
                    raised: Value::Unset,
                    raised_trace: Value::Unset,
                    intern: Table::new(),
                    one_byte: Box::new([Str(0); 256]),
                    empty_tuple: Value::Unset,
                }
            }

            /// Number of slots of a kind's arena, free ones included.
            pub(crate) fn slots(&self, kind: Kind) -> usize {
                match kind { $(Kind::$kind => self.$field.slots.len(),)* }
            }

            /// Puts a destroyed slot on its free list.
            fn recycle(&mut self, kind: Kind, index: u32) {
                match kind { $(Kind::$kind => {
                    self.used = self.used.saturating_sub(std::mem::size_of::<$data>() + 4);
                    self.$field.free.push(index);
                })* }
            }
        }

        $(impl Index<$kind> for Arena<$kind, $data> {
            type Output = $data;
            #[inline(always)]
            fn index(&self, handle: $kind) -> &$data {
                &self.slots[handle.0 as usize]
            }
        }

        impl IndexMut<$kind> for Arena<$kind, $data> {
            #[inline(always)]
            fn index_mut(&mut self, handle: $kind) -> &mut $data {
                &mut self.slots[handle.0 as usize]
            }
        })*
    };
}

arenas! {
    Str, strs, StrData;
    Long, longs, LongData;
    Complex, complexes, ComplexData;
    List, lists, ListData;
    Tuple, tuples, TupleData;
    Dict, dicts, DictData;
    Set, sets, SetData;
    Slice, slices, SliceData;
    XRange, xranges, XRangeData;
    Function, functions, FunctionData;
    Cell, cells, CellData;
    Class, classes, ClassData;
    Instance, instances, InstanceData;
    Method, methods, MethodData;
    BoundNative, bound_natives, BoundNativeData;
    Iter, iters, IterData;
    Api, apis, ApiData;
    SafeDict, safe_dicts, SafeDictData;
    Trace, traces, TraceData;
}

/// Allocation before the first cycle collection, in bytes.
const FIRST_COLLECTION: usize = 4 << 20;

/// Requests up to this size never raise MemoryError by themselves, in bytes:
/// the limit as a whole is held from outside and at check points.
const SMALL_REQUEST: usize = 64 << 10;

/// One new slot: from the free list, or at the end.
macro_rules! new_slot {
    ($heap:ident, $kind:ident, $field:ident, $data:expr) => {{
        let data = $data;
        $heap.used += std::mem::size_of_val(&data) + 4;
        match $heap.$field.free.pop() {
            Some(index) => {
                $heap.$field.slots[index as usize] = data;
                $heap.counts[Kind::$kind as usize][index as usize] = 1;
                u64::from(index)
            }
            None => {
                let index = $heap.$field.slots.len() as u32;
                $heap.$field.slots.push(data);
                $heap.counts[Kind::$kind as usize].push(1);
                u64::from(index)
            }
        }
    }};
}

impl Heap {
    /// A heap with the built-in classes, for programs that may use `limit` bytes.
    pub fn new(seed: u64, limit: usize) -> Heap {
        let mut heap = Heap::empty(seed, limit);
        heap.intern = Table::with_capacity(512);
        for byte in 0..=255u8 {
            let text = heap.intern(&[byte]);
            heap.one_byte[usize::from(byte)] = text;
        }
        heap.empty_tuple = Value::Tuple(Tuple(new_slot!(heap, Tuple, tuples, TupleData::default())));
        for (builtin, name, module, base) in BUILTINS {
            let class = heap.new_builtin_class(name, module, *base);
            debug_assert_eq!(class, builtin.class());
        }
        heap
    }

    /// A further built-in class (an exception of the API, say), with the layout of its base.
    pub fn new_builtin_class(&mut self, name: &str, module: &'static str, base: Builtin) -> Class {
        let name = self.intern(name.as_bytes());
        self.retain(Value::Str(name));
        let root_shape = self.shapes.new_root();
        let class = Class(self.classes.slots.len() as u64);
        let (bases, order, layout) = if class == Builtin::Object.class() {
            (Vec::new(), Vec::new(), Builtin::Object)
        } else {
            let layout = match BUILTINS.get(class.index()).map(|row| row.0) {
                Some(own) if !matches!(base, Builtin::Object) => match self.classes[base.class()].layout {
                    Builtin::Object => own,
                    inherited => inherited,
                },
                Some(own @ (Builtin::Type | Builtin::ClassObj | Builtin::BaseException)) => own,
                Some(own) => own,
                None => self.classes[base.class()].layout,
            };
            self.retain(Value::Class(base.class()));
            (vec![base.class()], self.classes[base.class()].mro.clone(), layout)
        };
        let mut mro = vec![class];
        mro.extend(order);
        Class(new_slot!(
            self,
            Class,
            classes,
            ClassData {
                name,
                module,
                style: Style::Builtin,
                bases,
                mro,
                attributes: Table::new(),
                layout,
                root_shape,
                has_del: false,
                charged: 0,
            }
        ))
    }

    // ---- counts ----

    /// Takes one more share of a value.
    #[inline(always)]
    pub fn retain(&mut self, value: Value) {
        if let Some((kind, index)) = value.counted() {
            self.counts[kind as usize][index as usize] += 1;
        }
    }

    /// [`Heap::retain`], giving the value back: owned.
    #[inline(always)]
    pub fn share(&mut self, value: Value) -> Value {
        self.retain(value);
        value
    }

    /// Gives a share back; the last one frees the object and, without native
    /// recursion, what only it held. Takes `value` over.
    #[inline(always)]
    pub fn release(&mut self, value: Value) {
        if let Some((kind, index)) = value.counted() {
            let count = &mut self.counts[kind as usize][index as usize];
            *count -= 1;
            if *count == 0 {
                self.free(kind, index);
            }
        }
    }

    /// [`Heap::release`] of a function.
    #[inline(always)]
    pub(crate) fn release_function(&mut self, function: Function) {
        let count = &mut self.counts[Kind::Function as usize][function.index()];
        *count -= 1;
        if *count == 0 {
            self.free(Kind::Function, function.0 as u32);
        }
    }

    /// The number of shares of a counted value.
    #[inline(always)]
    pub fn count(&self, value: Value) -> u32 {
        match value.counted() {
            Some((kind, index)) => self.counts[kind as usize][index as usize],
            None => u32::MAX,
        }
    }

    #[inline(never)]
    fn free(&mut self, kind: Kind, index: u32) {
        if kind == Kind::Str {
            return self.free_str(index);
        }
        self.dead.push((kind, index));
        if self.draining {
            return;
        }
        self.draining = true;
        while let Some((kind, index)) = self.dead.pop() {
            self.destroy(kind, index);
        }
        self.draining = false;
    }

    #[inline]
    fn free_str(&mut self, index: u32) {
        let body = &mut self.strs.slots[index as usize].body;
        if let Bytes::Heap(bytes) = body {
            self.used = self.used.saturating_sub(bytes.capacity());
            *body = Bytes::EMPTY;
        }
        self.used = self.used.saturating_sub(std::mem::size_of::<StrData>() + 4);
        self.strs.free.push(index);
    }

    /// Frees one object whose count is 0 and gives its shares back.
    fn destroy(&mut self, kind: Kind, index: u32) {
        let at = index as usize;
        match kind {
            Kind::Str => return self.free_str(index),
            Kind::Long => {
                let long = std::mem::take(&mut self.longs.slots[at].value);
                self.used = self.used.saturating_sub(long_bytes(&long));
            }
            Kind::Complex | Kind::XRange => {}
            Kind::List => {
                let data = &mut self.lists.slots[at];
                let items = std::mem::take(&mut data.items);
                self.used = self.used.saturating_sub(std::mem::take(&mut data.charged));
                for item in &items {
                    self.release(*item);
                }
            }
            Kind::Tuple => match std::mem::take(&mut self.tuples.slots[at].items) {
                TupleItems::Inline(length, items) => {
                    for item in items.iter().take(usize::from(length)) {
                        self.release(*item);
                    }
                }
                TupleItems::Heap(items) => {
                    self.used = self.used.saturating_sub(items.len() * 16);
                    for item in items.iter() {
                        self.release(*item);
                    }
                }
            },
            Kind::Dict => {
                let data = &mut self.dicts.slots[at];
                let entries = data.table.take_entries();
                self.used = self.used.saturating_sub(std::mem::take(&mut data.charged));
                for entry in &entries {
                    self.release(entry.key);
                    if !entry.key.is_unset() {
                        self.release(entry.value);
                    }
                }
            }
            Kind::Set => {
                let data = &mut self.sets.slots[at];
                let entries = data.table.take_entries();
                self.used = self.used.saturating_sub(std::mem::take(&mut data.charged));
                for entry in &entries {
                    self.release(entry.key);
                }
            }
            Kind::Slice => {
                let data = self.slices.slots[at];
                self.release(data.start);
                self.release(data.stop);
                self.release(data.step);
            }
            Kind::Function => {
                let data = &mut self.functions.slots[at];
                let defaults = std::mem::take(&mut data.defaults);
                let cells = std::mem::take(&mut data.cells);
                let globals = data.globals;
                let attributes = data.attributes.take();
                self.used = self.used.saturating_sub(defaults.len() * 16 + cells.len() * 4);
                for value in defaults.iter() {
                    self.release(*value);
                }
                for cell in cells.iter() {
                    self.release(Value::Cell(*cell));
                }
                self.release(Value::Dict(globals));
                if let Some(table) = attributes {
                    self.release_table(*table);
                }
            }
            Kind::Trace => {
                let entries = std::mem::take(&mut self.traces.slots[at].entries);
                self.used = self.used.saturating_sub(entries.len() * 16);
            }
            Kind::Cell => {
                let value = std::mem::replace(&mut self.cells.slots[at].value, Value::Unset);
                self.release(value);
            }
            Kind::Class => {
                let data = &mut self.classes.slots[at];
                let attributes = std::mem::take(&mut data.attributes);
                let bases = std::mem::take(&mut data.bases);
                data.mro = Vec::new();
                let name = data.name;
                self.used = self.used.saturating_sub(std::mem::take(&mut data.charged));
                self.class_epoch = self.class_epoch.wrapping_add(1);
                self.release_table(attributes);
                for base in bases {
                    self.release(Value::Class(base));
                }
                self.release(Value::Str(name));
            }
            Kind::Instance => {
                let class = self.instances.slots[at].class;
                if self.classes[class].has_del && !self.instances.slots[at].finalized {
                    // It lives on until its __del__ has been called.
                    self.instances.slots[at].finalized = true;
                    self.counts[Kind::Instance as usize][at] = 1;
                    self.finalizers.push(Value::Instance(Instance(u64::from(index))));
                    return;
                }
                let data = &self.instances.slots[at];
                let count = self.shapes.count(data.shape);
                let payload = data.payload;
                let inline = data.inline;
                for value in inline.iter().take(count) {
                    self.release(*value);
                }
                if count > INLINE_SLOTS {
                    let more = std::mem::take(&mut self.instances.slots[at].more);
                    self.used = self.used.saturating_sub(more.capacity() * 16);
                    for value in more {
                        self.release(value);
                    }
                }
                self.release(payload);
                self.release(Value::Class(class));
            }
            Kind::Method => {
                let data = self.methods.slots[at];
                self.release(data.function);
                self.release(data.object);
                self.release(Value::Class(data.class));
            }
            Kind::BoundNative => {
                let object = self.bound_natives.slots[at].object;
                self.release(object);
            }
            Kind::Iter => {
                let source = self.iters.slots[at].source;
                self.release(source);
            }
            Kind::Api => {
                let data = &mut self.apis.slots[at];
                let (class, id, label) = (data.class, data.id, data.label);
                let attributes = data.attributes.take();
                self.dropped.push((class, id));
                self.release(Value::Str(label));
                if let Some(table) = attributes {
                    self.release_table(*table);
                }
            }
            Kind::SafeDict => {
                let dict = self.safe_dicts.slots[at].dict;
                self.release(Value::Dict(dict));
            }
        }
        self.recycle(kind, index);
    }

    /// Gives back everything a table holds.
    pub fn release_table(&mut self, mut table: Table<Value>) {
        for entry in table.take_entries() {
            self.release(entry.key);
            if !entry.key.is_unset() {
                self.release(entry.value);
            }
        }
    }

    // ---- books ----

    /// Bytes in use.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Bytes the program may use.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Whether a collection is due (asked at check points).
    #[inline(always)]
    pub fn wants_collection(&self) -> bool {
        self.used > self.collect_at
    }

    /// Counts bytes an object outside the arenas takes (API buffers, thread stacks).
    pub fn charge(&mut self, bytes: usize) {
        self.used += bytes;
    }

    /// Gives bytes of [`Heap::charge`] back.
    pub fn discharge(&mut self, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
    }

    /// To be asked before a single allocation whose size the program chooses:
    /// MemoryError if it would pass the limit even after a collection.
    #[inline]
    pub fn make_room(&mut self, bytes: usize) -> Outcome<()> {
        if bytes <= SMALL_REQUEST {
            return Ok(());
        }
        self.make_much_room(bytes)
    }

    #[cold]
    fn make_much_room(&mut self, bytes: usize) -> Outcome<()> {
        if self.used.saturating_add(bytes) <= self.limit {
            return Ok(());
        }
        self.collect();
        if self.used.saturating_add(bytes) <= self.limit {
            return Ok(());
        }
        Err(self.raise_bare(Builtin::MemoryError))
    }

    // ---- exceptions ----

    /// Raises a built-in exception with one string argument.
    #[cold]
    #[inline(never)]
    pub fn raise(&mut self, class: Builtin, message: &str) -> Raised {
        self.raise_bytes(class.class(), message.as_bytes())
    }

    /// Raises an exception of a class with one string argument.
    #[cold]
    pub fn raise_bytes(&mut self, class: Class, message: &[u8]) -> Raised {
        let message = self.new_str(message);
        self.raise_with(class, &[message])
    }

    /// Raises an exception without arguments.
    #[cold]
    pub fn raise_bare(&mut self, class: Builtin) -> Raised {
        self.raise_with(class.class(), &[])
    }

    /// Raises an exception of a built-in class. Takes the arguments over.
    pub fn raise_with(&mut self, class: Class, arguments: &[Value]) -> Raised {
        let exception = self.new_exception(class, arguments);
        self.raise_value(exception)
    }

    /// Raises this exception (an instance). Takes it over.
    pub fn raise_value(&mut self, exception: Value) -> Raised {
        let old = std::mem::replace(&mut self.raised, exception);
        self.release(old);
        let old = std::mem::replace(&mut self.raised_trace, Value::Unset);
        self.release(old);
        Raised(())
    }

    /// Raises an exception again, going on with the way it has come. Takes both over.
    pub fn raise_again(&mut self, exception: Value, trace: Value) -> Raised {
        let raised = self.raise_value(exception);
        self.raised_trace = trace;
        raised
    }

    /// Notes that the exception raised leaves a call.
    pub fn note_trace(&mut self, code: &std::rc::Rc<crate::compile::Code>, place: u32) {
        let trace = match self.raised_trace {
            Value::Trace(trace) => trace,
            _ => {
                let trace = Trace(new_slot!(self, Trace, traces, TraceData::default()));
                self.raised_trace = Value::Trace(trace);
                trace
            }
        };
        self.used += 16;
        self.traces[trace].entries.push((std::rc::Rc::clone(code), place));
    }

    /// The exception raised and its way: owned.
    pub fn take_raised_trace(&mut self, raised: Raised) -> (Value, Value) {
        let trace = std::mem::replace(&mut self.raised_trace, Value::Unset);
        (self.take_raised(raised), trace)
    }

    /// The exception of a [`Raised`]: owned.
    pub fn take_raised(&mut self, _raised: Raised) -> Value {
        let trace = std::mem::replace(&mut self.raised_trace, Value::Unset);
        self.release(trace);
        std::mem::replace(&mut self.raised, Value::Unset)
    }

    /// The exception of a [`Raised`], borrowed.
    pub fn peek_raised(&self, _raised: &Raised) -> Value {
        self.raised
    }

    /// An exception of a built-in class, without calling `__init__`. Takes the arguments over.
    pub fn new_exception(&mut self, class: Class, arguments: &[Value]) -> Value {
        let arguments = self.new_tuple(arguments);
        self.new_instance(class, arguments)
    }

    // ---- strings ----

    /// The bytes of a string.
    #[inline(always)]
    pub fn bytes(&self, text: Str) -> &[u8] {
        self.strs[text].body.as_slice()
    }

    /// Whether two strings have the same bytes.
    #[inline(always)]
    pub fn same_bytes(&self, a: Str, b: Str) -> bool {
        if a == b {
            return true;
        }
        let (a, b) = (&self.strs[a], &self.strs[b]);
        // There is one interned string of any bytes.
        if a.interned && b.interned {
            return false;
        }
        a.body.as_slice() == b.body.as_slice()
    }

    /// The bytes of a string as text for messages: bytes above 127 become replacement characters.
    pub fn text(&self, text: Str) -> String {
        String::from_utf8_lossy(self.bytes(text)).into_owned()
    }

    /// A string with a copy of the bytes: owned.
    #[inline]
    pub fn new_str(&mut self, bytes: &[u8]) -> Value {
        if bytes.len() == 1 {
            return self.byte(bytes[0]);
        }
        self.add_str(Bytes::copy(bytes))
    }

    /// A string that takes a buffer over: owned.
    pub fn new_str_from(&mut self, bytes: Vec<u8>) -> Value {
        if bytes.len() == 1 {
            return self.byte(bytes[0]);
        }
        self.add_str(Bytes::take(bytes))
    }

    /// A part of a string: owned.
    #[inline]
    pub fn new_substr(&mut self, text: Str, lower: usize, upper: usize) -> Value {
        let part = &self.bytes(text)[lower..upper];
        if let [byte] = *part {
            return self.byte(byte);
        }
        let body = Bytes::copy(part);
        self.add_str(body)
    }

    /// The string of one byte: owned.
    #[inline(always)]
    pub fn byte(&mut self, byte: u8) -> Value {
        let text = self.one_byte[usize::from(byte)];
        self.share(Value::Str(text))
    }

    /// The string of one byte, borrowed.
    #[inline(always)]
    pub fn byte_str(&self, byte: u8) -> Str {
        self.one_byte[usize::from(byte)]
    }

    #[inline]
    fn add_str(&mut self, body: Bytes) -> Value {
        self.used += body.outside();
        let data = StrData { body, hash: std::cell::Cell::new(0), interned: false };
        Value::Str(Str(new_slot!(self, Str, strs, data)))
    }

    /// The one string of these bytes in the intern table, borrowed (it lives as long as the heap).
    /// Names of attributes and variables are interned, so that handles can be compared.
    pub fn intern(&mut self, bytes: &[u8]) -> Str {
        let hash = self.hash_bytes(bytes);
        if let Some(position) = self.intern.find_bytes(self, bytes) {
            if let Value::Str(text) = self.intern.slots()[position].key {
                return text;
            }
        }
        let value = self.add_str(Bytes::copy(bytes));
        let Value::Str(text) = value else { return Str(0) };
        self.strs[text].interned = true;
        self.hash_str(text);
        self.intern.insert_new(hash, value, ());
        text
    }

    /// The interned string equal to `text`, borrowed.
    pub fn intern_str(&mut self, text: Str) -> Str {
        if self.strs[text].interned {
            return text;
        }
        let bytes = self.bytes(text).to_vec();
        self.intern(&bytes)
    }

    /// The interned string of these bytes if there is one.
    pub fn find_interned(&self, bytes: &[u8]) -> Option<Str> {
        let position = self.intern.find_bytes(self, bytes)?;
        match self.intern.slots()[position].key {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// `left + right`. Takes `left` over and appends in place if nobody else
    /// holds it, which makes `s += c` linear; borrows `right`.
    pub fn concat_str(&mut self, left: Str, right: Str) -> Outcome<Value> {
        let (a, b) = (self.bytes(left).len(), self.bytes(right).len());
        if let Err(raised) = self.make_room(a + b) {
            self.release(Value::Str(left));
            return Err(raised);
        }
        let (at, other) = (left.index(), right.index());
        if self.counts[Kind::Str as usize][at] == 1 && at != other && a + b > 1 && !self.strs[left].interned {
            let before = self.strs[left].body.outside();
            if let Ok([target, source]) = self.strs.slots.get_disjoint_mut([at, other]) {
                target.body.push(source.body.as_slice());
                target.hash.set(0);
                let after = target.body.outside();
                self.used = self.used + after - before;
                return Ok(Value::Str(left));
            }
        }
        let mut body = Bytes::EMPTY;
        if a + b > bytes::INLINE {
            let mut whole = Vec::with_capacity(a + b);
            whole.extend_from_slice(self.bytes(left));
            whole.extend_from_slice(self.bytes(right));
            body = Bytes::Heap(whole);
        } else {
            body.push(self.bytes(left));
            body.push(self.bytes(right));
        }
        self.release(Value::Str(left));
        if a + b == 1 {
            let byte = body.as_slice()[0];
            return Ok(self.byte(byte));
        }
        Ok(self.add_str(body))
    }

    // ---- numbers ----

    /// A `long`, whatever its size: owned.
    pub fn new_long(&mut self, value: IBig) -> Value {
        self.used += long_bytes(&value);
        Value::Long(Long(new_slot!(self, Long, longs, LongData { value })))
    }

    /// An `int` if it fits, else a `long`: owned. (What `int()` gives; sums of
    /// longs stay long, see [`Heap::new_long`].)
    pub fn new_integer(&mut self, value: IBig) -> Value {
        match i64::try_from(&value) {
            Ok(small) => Value::Int(small),
            Err(_) => self.new_long(value),
        }
    }

    /// A `complex`: owned.
    pub fn new_complex(&mut self, real: f64, imag: f64) -> Value {
        Value::Complex(Complex(new_slot!(self, Complex, complexes, ComplexData { real, imag })))
    }

    // ---- sequences ----

    /// A list: owned. Takes the items over.
    pub fn new_list(&mut self, items: Vec<Value>) -> Value {
        let charged = items.capacity() * 16;
        self.used += charged;
        Value::List(List(new_slot!(self, List, lists, ListData { items, charged })))
    }

    /// The items of a list.
    #[inline(always)]
    pub fn list(&self, list: List) -> &[Value] {
        &self.lists[list].items
    }

    /// Makes room for `extra` more items of a list.
    #[inline]
    pub fn reserve_list(&mut self, list: List, extra: usize) -> Outcome<()> {
        let items = &self.lists[list].items;
        if items.capacity() - items.len() < extra {
            self.grow_list(list, extra)?;
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn grow_list(&mut self, list: List, extra: usize) -> Outcome<()> {
        let items = &self.lists[list].items;
        let wanted = items.len() + extra.max(items.len() / 2).max(4);
        self.make_room((wanted - items.len()).saturating_mul(16))?;
        let items = &mut self.lists[list].items;
        items.reserve_exact(wanted - items.len());
        self.recharge_list(list);
        Ok(())
    }

    /// Brings the books up to date after the buffer of a list has been changed directly.
    pub fn recharge_list(&mut self, list: List) {
        let data = &mut self.lists[list];
        let now = data.items.capacity() * 16;
        self.used = (self.used + now).saturating_sub(data.charged);
        data.charged = now;
    }

    /// Appends to a list. Takes `item` over (released if it raises).
    #[inline]
    pub fn list_push(&mut self, list: List, item: Value) -> Outcome<()> {
        if let Err(raised) = self.reserve_list(list, 1) {
            self.release(item);
            return Err(raised);
        }
        self.lists[list].items.push(item);
        Ok(())
    }

    /// A tuple: owned. Takes the items over.
    #[inline]
    pub fn new_tuple(&mut self, items: &[Value]) -> Value {
        let items = match *items {
            [] => {
                let empty = self.empty_tuple;
                return self.share(empty);
            }
            [a] => TupleItems::Inline(1, [a, Value::Unset, Value::Unset]),
            [a, b] => TupleItems::Inline(2, [a, b, Value::Unset]),
            [a, b, c] => TupleItems::Inline(3, [a, b, c]),
            _ => {
                self.used += items.len() * 16;
                TupleItems::Heap(items.into())
            }
        };
        Value::Tuple(Tuple(new_slot!(self, Tuple, tuples, TupleData { items })))
    }

    /// The items of a tuple.
    #[inline(always)]
    pub fn tuple(&self, tuple: Tuple) -> &[Value] {
        self.tuples[tuple].items.as_slice()
    }

    // ---- dicts and sets ----

    /// An empty dict: owned.
    pub fn new_dict(&mut self) -> Dict {
        Dict(new_slot!(self, Dict, dicts, DictData::default()))
    }

    /// A dict that takes a table over: owned.
    pub fn new_dict_from(&mut self, table: Table<Value>) -> Dict {
        let dict = Dict(new_slot!(self, Dict, dicts, DictData { table, charged: 0 }));
        self.recharge_dict(dict);
        dict
    }

    /// Brings the books up to date after the table of a dict has been changed directly.
    pub fn recharge_dict(&mut self, dict: Dict) {
        let data = &mut self.dicts[dict];
        let now = data.table.outside();
        self.used = (self.used + now).saturating_sub(data.charged);
        data.charged = now;
    }

    pub(crate) fn recharge_class(&mut self, class: Class) {
        let data = &mut self.classes[class];
        let now = data.attributes.outside();
        self.used = (self.used + now).saturating_sub(data.charged);
        data.charged = now;
    }

    /// The value of a key, borrowed; TypeError for an unhashable key.
    #[inline]
    pub fn dict_get(&mut self, dict: Dict, key: Value) -> Outcome<Option<Value>> {
        let hash = self.hash(key)?;
        let table = &self.dicts[dict].table;
        Ok(table.find(self, hash, key).map(|position| table.value(position)))
    }

    /// The value of a string key, borrowed.
    pub fn dict_get_bytes(&self, dict: Dict, key: &[u8]) -> Option<Value> {
        let table = &self.dicts[dict].table;
        table.find_bytes(self, key).map(|position| table.value(position))
    }

    /// Sets a key. Borrows `key`; takes `value` over (released if it raises).
    #[inline]
    pub fn dict_set(&mut self, dict: Dict, key: Value, value: Value) -> Outcome<()> {
        let hash = match self.hash(key) {
            Ok(hash) => hash,
            Err(raised) => {
                self.release(value);
                return Err(raised);
            }
        };
        let table = &self.dicts[dict].table;
        match table.find(self, hash, key) {
            Some(position) => {
                let old = self.dicts[dict].table.set_value(position, value);
                self.release(old);
            }
            None => {
                let growth = table.growth();
                if let Err(raised) = self.make_room(growth) {
                    self.release(value);
                    return Err(raised);
                }
                self.retain(key);
                self.dicts[dict].table.insert_new(hash, key, value);
                if growth != 0 {
                    self.recharge_dict(dict);
                }
            }
        }
        Ok(())
    }

    /// Removes a key and gives its value: owned; `None` if it is absent.
    pub fn dict_remove(&mut self, dict: Dict, key: Value) -> Outcome<Option<Value>> {
        let hash = self.hash(key)?;
        let table = &self.dicts[dict].table;
        let Some(position) = table.find(self, hash, key) else { return Ok(None) };
        let (key, value) = self.dicts[dict].table.remove(position);
        self.release(key);
        Ok(Some(value))
    }

    /// Empties a dict.
    pub fn dict_clear(&mut self, dict: Dict) {
        let table = std::mem::take(&mut self.dicts[dict].table);
        self.recharge_dict(dict);
        self.release_table(table);
    }

    /// A set or frozenset, empty: owned.
    pub fn new_set(&mut self, frozen: bool) -> Set {
        Set(new_slot!(self, Set, sets, SetData { table: Table::new(), frozen, charged: 0 }))
    }

    /// Brings the books up to date after the table of a set has been changed directly.
    pub fn recharge_set(&mut self, set: Set) {
        let data = &mut self.sets[set];
        let now = data.table.outside();
        self.used = (self.used + now).saturating_sub(data.charged);
        data.charged = now;
    }

    /// Adds an item; whether it was new. Borrows `item`.
    pub fn set_add(&mut self, set: Set, item: Value) -> Outcome<bool> {
        let hash = self.hash(item)?;
        let table = &self.sets[set].table;
        if table.find(self, hash, item).is_some() {
            return Ok(false);
        }
        let growth = table.growth();
        self.make_room(growth)?;
        self.retain(item);
        self.sets[set].table.insert_new(hash, item, ());
        if growth != 0 {
            self.recharge_set(set);
        }
        Ok(true)
    }

    /// Whether a set has an item.
    pub fn set_contains(&mut self, set: Set, item: Value) -> Outcome<bool> {
        let hash = self.hash(item)?;
        Ok(self.sets[set].table.find(self, hash, item).is_some())
    }

    /// Removes an item; whether it was there.
    pub fn set_remove(&mut self, set: Set, item: Value) -> Outcome<bool> {
        let hash = self.hash(item)?;
        let Some(position) = self.sets[set].table.find(self, hash, item) else { return Ok(false) };
        let (key, ()) = self.sets[set].table.remove(position);
        self.release(key);
        Ok(true)
    }

    // ---- the rest ----

    /// A slice: owned. Takes the parts over.
    pub fn new_slice(&mut self, start: Value, stop: Value, step: Value) -> Value {
        Value::Slice(Slice(new_slot!(self, Slice, slices, SliceData { start, stop, step })))
    }

    /// An xrange: owned.
    pub fn new_xrange(&mut self, start: i64, step: i64, length: i64) -> Value {
        Value::XRange(XRange(new_slot!(self, XRange, xranges, XRangeData { start, step, length })))
    }

    /// A function: owned. Takes all parts over but borrows `globals`.
    pub fn new_function(&mut self, data: FunctionData) -> Function {
        self.used += data.defaults.len() * 16 + data.cells.len() * 4;
        self.retain(Value::Dict(data.globals));
        Function(new_slot!(self, Function, functions, data))
    }

    /// A shared variable: owned. Takes `value` over.
    pub fn new_cell(&mut self, value: Value) -> Cell {
        Cell(new_slot!(self, Cell, cells, CellData { value }))
    }

    /// An instance without attributes: owned. Takes `payload` over, borrows `class`.
    #[inline]
    pub fn new_instance(&mut self, class: Class, payload: Value) -> Value {
        self.retain(Value::Class(class));
        let shape = self.classes[class].root_shape;
        let data = InstanceData {
            class,
            shape,
            payload,
            inline: [Value::Unset; INLINE_SLOTS],
            more: Vec::new(),
            finalized: false,
        };
        Value::Instance(Instance(new_slot!(self, Instance, instances, data)))
    }

    /// What an instance of a subclass of `list`, `dict`, `int` … wraps, borrowed;
    /// `None` for ordinary instances and exceptions.
    pub fn plain_payload(&self, instance: Instance) -> Option<Value> {
        let data = &self.instances[instance];
        match data.payload {
            Value::Unset => None,
            payload => match self.classes[data.class].layout {
                Builtin::BaseException => None,
                _ => Some(payload),
            },
        }
    }

    /// An attribute in the instance itself, borrowed; `name` is interned.
    pub fn instance_attribute(&self, instance: Instance, name: Str) -> Option<Value> {
        let data = &self.instances[instance];
        self.shapes.slot(data.shape, name).map(|slot| data.slot(slot))
    }

    /// Sets an attribute in the instance itself; `name` is interned. Takes `value` over.
    pub fn set_instance_attribute(&mut self, instance: Instance, name: Str, value: Value) {
        let shape = self.instances[instance].shape;
        match self.shapes.slot(shape, name) {
            Some(slot) => {
                let old = std::mem::replace(self.instances[instance].slot_mut(slot), value);
                self.release(old);
            }
            None => {
                let next = self.shapes.with(shape, name);
                self.add_slot(instance, next, value);
            }
        }
    }

    /// Adds one slot: moves the instance to a shape with one attribute more. Takes `value` over.
    #[inline]
    pub(crate) fn add_slot(&mut self, instance: Instance, next: Shape, value: Value) {
        let slot = self.shapes.count(next) - 1;
        let data = &mut self.instances[instance];
        data.shape = next;
        if slot < INLINE_SLOTS {
            data.inline[slot] = value;
        } else {
            let before = data.more.capacity();
            if before == data.more.len() {
                data.more.reserve_exact(4.max(before / 2));
            }
            data.more.push(value);
            self.used += (data.more.capacity() - before) * 16;
        }
    }

    /// Removes an attribute from the instance; false if it has none of that name.
    pub fn delete_instance_attribute(&mut self, instance: Instance, name: Str) -> bool {
        let shape = self.instances[instance].shape;
        let Some(gone) = self.shapes.slot(shape, name) else { return false };
        let names = self.shapes.names(shape);
        let class = self.instances[instance].class;
        let mut next = self.classes[class].root_shape;
        for other in names.iter().filter(|other| **other != name) {
            next = self.shapes.with(next, *other);
        }
        let data = &mut self.instances[instance];
        let old = *data.slot_mut(gone);
        for slot in gone + 1..names.len() {
            let value = data.slot(slot);
            *data.slot_mut(slot - 1) = value;
        }
        if names.len() > INLINE_SLOTS {
            data.more.pop();
        }
        data.shape = next;
        self.release(old);
        true
    }

    /// A method: owned. Takes `function` and `object` over, borrows `class`.
    pub fn new_method(&mut self, function: Value, object: Value, class: Class) -> Value {
        self.retain(Value::Class(class));
        Value::Method(Method(new_slot!(self, Method, methods, MethodData { function, object, class })))
    }

    /// A built-in method bound to an object: owned. Takes `object` over.
    pub fn new_bound_native(&mut self, native: NativeId, object: Value) -> Value {
        let data = BoundNativeData { native, object };
        Value::BoundNative(BoundNative(new_slot!(self, BoundNative, bound_natives, data)))
    }

    /// An iterator: owned. Takes `source` over.
    pub fn new_iter(&mut self, source: Value, mode: IterMode) -> Value {
        let expected = match source {
            Value::Dict(dict) => self.dicts[dict].table.len(),
            Value::Set(set) => self.sets[set].table.len(),
            _ => 0,
        };
        Value::Iter(Iter(new_slot!(
            self,
            Iter,
            iters,
            IterData { source, position: 0, expected, mode, view: false }
        )))
    }

    /// Lets go of instances whose `__del__` has returned: one that it made reachable again
    /// lives on and has its `__del__` called again when it dies again, as in 2.7.
    pub fn settle_finalized(&mut self, thread: u64, depth: usize) {
        let done = |entry: &mut (Value, u64, usize)| entry.1 == thread && entry.2 >= depth;
        let settled: Vec<_> = self.finalized.extract_if(.., done).collect();
        for (object, ..) in settled {
            if let Value::Instance(instance) = object {
                let at = instance.0 as usize;
                if self.counts[Kind::Instance as usize].get(at).is_some_and(|count| *count > 1) {
                    self.instances[instance].finalized = false;
                }
            }
            self.release(object);
        }
    }

    /// A view of a dict: owned. Takes `source` over.
    pub fn new_view(&mut self, source: Value, mode: IterMode) -> Value {
        let view = self.new_iter(source, mode);
        if let Value::Iter(iter) = view {
            self.iters[iter].view = true;
        }
        view
    }

    /// The dict behind a view, and what the view shows of it; `None` for any other value.
    pub fn view_of(&self, value: Value) -> Option<(Dict, IterMode)> {
        let Value::Iter(iter) = value else { return None };
        match self.iters[iter] {
            IterData { source: Value::Dict(dict), view: true, mode, .. } => Some((dict, mode)),
            _ => None,
        }
    }

    /// An API object: owned. Takes `label` over, borrows `class` (a built-in one).
    pub fn new_api(&mut self, class: Class, id: u64, label: Str) -> Value {
        Value::Api(Api(new_slot!(self, Api, apis, ApiData { class, id, label, attributes: None })))
    }

    /// A SafeDict on a dict: owned. Takes `dict` over.
    pub fn new_safe_dict(&mut self, dict: Dict) -> Value {
        Value::SafeDict(SafeDict(new_slot!(self, SafeDict, safe_dicts, SafeDictData { dict })))
    }

    fn allocate_class(&mut self, data: ClassData) -> u64 {
        new_slot!(self, Class, classes, data)
    }
}

/// Bytes a long holds outside its slot: numbers of up to two words lie in place.
fn long_bytes(value: &IBig) -> usize {
    let (_, words) = value.as_sign_words();
    if words.len() <= 2 {
        0
    } else {
        words.len() * 8
    }
}
