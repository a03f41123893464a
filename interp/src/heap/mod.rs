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
mod children;
mod class;
mod collect;
mod grave;
mod hash;
mod objects;
mod sets;
mod shape;
mod spare;
mod table;
mod text;
mod value;

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

use dashu_int::IBig;

pub use bytes::{Bytes, INLINE};
pub use class::{Builtin, ClassData, Style, BUILTINS};
pub use collect::{PIECE, SMALL_PIECE};
pub use objects::*;
pub use sets::Algebra;
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
            /// Changes when an attribute is added to or removed from any class, and when a
            /// method of one is replaced.
            pub class_epoch: u32,
            /// Changes when a dict loses a function, or gets another value for it: what calls of global
            /// functions have remembered holds for one such number.
            pub(crate) rebindings: u64,
            /// Seed of the hashes.
            seed: u64,
            /// Bytes in use.
            used: usize,
            /// Bytes the program may use.
            limit: usize,
            /// `used` at which the next collection is due.
            collect_at: usize,
            /// The collection under way.
            collection: Option<Box<collect::Collection>>,
            grave: grave::Grave,
            spare: spare::Spare,
            /// Instances whose `__del__` is to be called, owned, in order.
            pub finalizers: VecDeque<Value>,
            /// Those whose `__del__` has been called.
            pub finalized: Vec<Finalized>,
            /// API objects that are gone: class and identity.
            pub dropped: Vec<(Class, u64)>,
            raised: Value,
            /// The way of the exception raised, a trace or unset.
            raised_trace: Value,
            intern: Table<()>,
            one_byte: Box<[Str; 256]>,
            empty_tuple: Value,
            /// The code of functions that are gone.
            no_code: std::rc::Rc<crate::compile::Code>,
        }

        impl Heap {
            fn empty(seed: u64, limit: usize) -> Heap {
                Heap {
                    counts: Default::default(),
                    $($field: Arena::default(),)*
                    shapes: Shapes::default(),
                    class_epoch: 1,
                    rebindings: 0,
                    seed,
                    used: 0,
                    limit,
                    collect_at: FIRST_COLLECTION,
                    collection: None,
                    grave: grave::Grave::default(),
                    spare: spare::Spare::default(),
                    finalizers: VecDeque::new(),
                    finalized: Vec::new(),
                    dropped: Vec::new(),
                    raised: Value::Unset,
                    raised_trace: Value::Unset,
                    intern: Table::new(),
                    one_byte: Box::new([Str(0); 256]),
                    empty_tuple: Value::Unset,
                    no_code: std::rc::Rc::new(crate::compile::Code::empty()),
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

/// Calls an exception has left for which the buffer is kept.
const SHORT_TRACE: usize = 8;

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

// After the macro, which they use.
mod keyed;
mod make;

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
                init: None,
                charged: 0,
            }
        ))
    }

    /// Notes that a dict has lost this value: a call may have remembered it.
    #[inline(always)]
    pub(crate) fn note_lost(&mut self, value: Value) {
        if matches!(value, Value::Function(_)) {
            self.rebindings += 1;
        }
    }

    /// The code of what is no function of a program.
    pub(crate) fn no_code(&self) -> std::rc::Rc<crate::compile::Code> {
        std::rc::Rc::clone(&self.no_code)
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

    /// [`Heap::retain`] of a function.
    #[inline(always)]
    pub(crate) fn retain_function(&mut self, function: Function) {
        self.counts[Kind::Function as usize][function.index()] += 1;
    }

    /// [`Heap::retain`] of an instance.
    #[inline(always)]
    pub(crate) fn retain_instance(&mut self, instance: Instance) {
        self.counts[Kind::Instance as usize][instance.index()] += 1;
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

    /// [`Heap::release`] of a list.
    #[inline(always)]
    pub(crate) fn release_list(&mut self, list: List) {
        let count = &mut self.counts[Kind::List as usize][list.index()];
        *count -= 1;
        if *count == 0 {
            self.free(Kind::List, list.0 as u32);
        }
    }

    /// [`Heap::release`] of a str.
    #[inline(always)]
    pub(crate) fn release_str(&mut self, text: Str) {
        let count = &mut self.counts[Kind::Str as usize][text.index()];
        *count -= 1;
        if *count == 0 {
            self.free(Kind::Str, text.0 as u32);
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
        // First, so that what a large structure leaves behind is given back in pieces.
        if self.grave.busy {
            self.grave.dead.push((kind, index));
            return;
        }
        let freed = match kind {
            Kind::Tuple => self.free_flat_tuple(index),
            Kind::List => self.free_flat_list(index),
            Kind::Slice => self.free_slice(index),
            _ => false,
        };
        if freed {
            return;
        }
        self.grave.busy = true;
        self.destroy(kind, index);
        self.grave.busy = false;
        self.bury_more();
    }

    /// Frees a small tuple of what holds nothing else; false if it is of another kind.
    #[inline]
    fn free_flat_tuple(&mut self, index: u32) -> bool {
        let TupleItems::Inline(length, items) = self.tuples.slots[index as usize].items else { return false };
        if items.iter().all(|item| !item.is_counted()) {
            // Nothing is to be given back, and nobody looks at what is left in the slot.
            self.used = self.used.saturating_sub(std::mem::size_of::<TupleData>() + 4);
            self.tuples.free.push(index);
            return true;
        }
        let items = &items[..usize::from(length).min(items.len())];
        // Not even if every item is the same object: freeing it here would go down a level of the native stack.
        let enough = items.len() as u32;
        let dies = |heap: &Heap, item: Value| match item.counted() {
            Some((Kind::Str, _)) | None => false,
            Some((kind, at)) => heap.counts[kind as usize][at as usize] <= enough,
        };
        if items.iter().any(|item| dies(self, *item)) {
            return false;
        }
        self.tuples.slots[index as usize].items = TupleItems::default();
        self.used = self.used.saturating_sub(std::mem::size_of::<TupleData>() + 4);
        self.tuples.free.push(index);
        items.iter().for_each(|item| self.release(*item));
        true
    }

    /// Frees a small list in which nothing dies but strings, without the work list; false if it is of another kind.
    #[inline]
    fn free_flat_list(&mut self, index: u32) -> bool {
        let data = &mut self.lists.slots[index as usize];
        if data.items.len() > spare::LARGEST {
            return false;
        }
        // As for tuples: nothing may die even if every item is the same object.
        let enough = data.items.len() as u32;
        let dies = |item: &Value| match item.counted() {
            Some((Kind::Str, _)) | None => false,
            Some((kind, at)) => self.counts[kind as usize][at as usize] <= enough,
        };
        if data.items.iter().any(dies) {
            return false;
        }
        let items = std::mem::take(&mut data.items);
        let charged = std::mem::take(&mut data.charged);
        self.used = self.used.saturating_sub(charged + std::mem::size_of::<ListData>() + 4);
        self.lists.free.push(index);
        items.iter().for_each(|item| self.release(*item));
        self.spare.keep_list(items);
        true
    }

    /// Frees a slice of ints and the like; false if it is of anything else.
    #[inline]
    fn free_slice(&mut self, index: u32) -> bool {
        let data = &self.slices.slots[index as usize];
        if [data.start, data.stop, data.step].iter().any(|part| part.is_counted()) {
            return false;
        }
        self.recycle(Kind::Slice, index);
        true
    }

    /// The items of a small tuple of `N`, of which the caller's share is given back: owned. `None` for any other, which
    /// stays as it is.
    #[inline]
    pub(crate) fn open_tuple<const N: usize>(&mut self, tuple: Tuple) -> Option<[Value; N]> {
        let data = &mut self.tuples.slots[tuple.index()];
        let items = match &data.items {
            TupleItems::Inline(length, items) if usize::from(*length) == N => {
                <[Value; N]>::try_from(items.get(..N)?).ok()?
            }
            _ => return None,
        };
        let count = &mut self.counts[Kind::Tuple as usize][tuple.index()];
        *count -= 1;
        if *count == 0 {
            data.items = TupleItems::default();
            self.recycle(Kind::Tuple, tuple.0 as u32);
        } else {
            items.iter().for_each(|item| self.retain(*item));
        }
        Some(items)
    }

    #[inline]
    fn free_str(&mut self, index: u32) {
        let body = &mut self.strs.slots[index as usize].body;
        if let Bytes::Heap(bytes) = body {
            self.used = self.used.saturating_sub(bytes.capacity());
            let bytes = std::mem::take(bytes);
            *body = Bytes::EMPTY;
            self.spare.keep_text(bytes);
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
                let charged = std::mem::take(&mut data.charged);
                if items.len() > grave::WIDE {
                    self.leave_items(items, charged);
                } else {
                    self.used = self.used.saturating_sub(charged);
                    for item in &items {
                        self.release(*item);
                    }
                    self.spare.keep_list(items);
                }
            }
            Kind::Tuple => match std::mem::take(&mut self.tuples.slots[at].items) {
                TupleItems::Inline(length, items) => {
                    for item in items.iter().take(usize::from(length)) {
                        self.release(*item);
                    }
                    self.used = self.used.saturating_sub(std::mem::size_of::<TupleData>() + 4);
                    self.tuples.free.push(index);
                    return;
                }
                TupleItems::Heap(items) if items.len() > grave::WIDE => {
                    let charged = items.len() * 16;
                    self.leave_items(items.into_vec(), charged);
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
                let charged = std::mem::take(&mut data.charged);
                self.drop_entries(entries, charged);
            }
            Kind::Set => {
                let data = &mut self.sets.slots[at];
                let entries = data.table.take_entries();
                let charged = std::mem::take(&mut data.charged);
                if entries.len() > grave::WIDE {
                    self.leave_keys(entries, charged);
                } else {
                    self.used = self.used.saturating_sub(charged);
                    for entry in &entries {
                        self.release(entry.key);
                    }
                    self.spare.keep_set(entries);
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
                // What is no longer used shows by its shares.
                data.code = std::rc::Rc::clone(&self.no_code);
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
                let entries = &mut self.traces.slots[at].entries;
                self.used = self.used.saturating_sub(entries.len() * 16);
                // The next exception uses the buffer again, unless it is a large one.
                entries.clear();
                entries.shrink_to(SHORT_TRACE);
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
                    self.finalizers.push_back(Value::Instance(Instance(u64::from(index))));
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
                    self.used = self.used.saturating_sub(more.len() * 16);
                    for value in &more {
                        self.release(*value);
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

    /// Gives back the entries of a dict, for which `charged` bytes are counted. Takes them over.
    pub(crate) fn drop_entries(&mut self, entries: Vec<Entry<Value>>, charged: usize) {
        if entries.len() > grave::WIDE {
            return self.leave_entries(entries, charged);
        }
        self.used = self.used.saturating_sub(charged);
        for entry in &entries {
            self.release(entry.key);
            if !entry.key.is_unset() {
                self.release(entry.value);
            }
        }
        self.spare.keep_dict(entries);
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

    /// Whether a collection is due or under way (asked at check points).
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
        self.bury_all();
        if self.used.saturating_add(bytes) <= self.limit {
            return Ok(());
        }
        self.collect();
        self.bury_all();
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
                let free = self.traces.free.last().copied();
                let entries = free.map(|at| std::mem::take(&mut self.traces.slots[at as usize].entries));
                let data = TraceData { entries: entries.unwrap_or_default() };
                let trace = Trace(new_slot!(self, Trace, traces, data));
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
