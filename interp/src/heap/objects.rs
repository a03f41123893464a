//! What lies in the arenas: the data behind the handles of [`super::Value`].

use std::rc::Rc;

use super::{Bytes, Cell, Class, Dict, Str, Table, Value};
use crate::compile::Code;

/// A `str`.
#[derive(Clone, Debug)]
pub struct StrData {
    /// The bytes. Read them with [`super::Heap::bytes`].
    pub(crate) body: Bytes,
    /// Low half of the seeded hash, 0 if not computed yet (see [`super::hash`]).
    pub(crate) hash: std::cell::Cell<u32>,
    /// Whether this is the one string of its bytes in the intern table.
    pub(crate) interned: bool,
}

/// A `list`.
#[derive(Clone, Debug, Default)]
pub struct ListData {
    /// The items, owned. Make room with [`super::Heap::reserve_list`] before growing it.
    pub items: Vec<Value>,
    /// Bytes of `items` that are counted in [`super::Heap::used`].
    pub(crate) charged: usize,
}

/// A `tuple`.
#[derive(Clone, Debug, Default)]
pub struct TupleData {
    /// The items, owned.
    pub(crate) items: TupleItems,
}

/// The items of a tuple: up to three in place.
#[derive(Clone, Debug)]
pub(crate) enum TupleItems {
    /// Length and items.
    Inline(u8, [Value; 3]),
    /// A larger tuple.
    Heap(Box<[Value]>),
}

impl Default for TupleItems {
    fn default() -> Self {
        TupleItems::Inline(0, [Value::Unset; 3])
    }
}

impl TupleItems {
    #[inline(always)]
    pub(crate) fn as_slice(&self) -> &[Value] {
        match self {
            TupleItems::Inline(length, items) => &items[..usize::from(*length).min(3)],
            TupleItems::Heap(items) => items,
        }
    }
}

/// A `dict`.
#[derive(Clone, Debug, Default)]
pub struct DictData {
    /// Keys and values, owned. Change it with the methods of [`super::Heap`].
    pub table: Table<Value>,
    pub(crate) charged: usize,
}

/// A `set` or `frozenset`.
#[derive(Clone, Debug, Default)]
pub struct SetData {
    /// The items, owned. Change it with the methods of [`super::Heap`].
    pub table: Table<()>,
    /// Whether it is a `frozenset`.
    pub frozen: bool,
    pub(crate) charged: usize,
}

/// A `complex`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ComplexData {
    /// Real part.
    pub real: f64,
    /// Imaginary part.
    pub imag: f64,
}

/// A `slice`: three values, each possibly `None`.
#[derive(Clone, Copy, Debug)]
pub struct SliceData {
    /// Lower bound.
    pub start: Value,
    /// Upper bound.
    pub stop: Value,
    /// Step.
    pub step: Value,
}

/// An `xrange`: `start`, `start + step`, … `length` items.
#[derive(Clone, Copy, Debug, Default)]
pub struct XRangeData {
    /// First item.
    pub start: i64,
    /// Distance.
    pub step: i64,
    /// Number of items.
    pub length: i64,
}

/// A function of the program.
#[derive(Clone, Debug)]
pub struct FunctionData {
    /// The compiled body; shared by all functions made from one `def`.
    pub code: Rc<Code>,
    /// [`Code::arity`], kept here because every call looks at it.
    pub arity: u16,
    /// The same where nothing of the function but its code is needed while it runs: it uses no variables
    /// of enclosing functions.
    pub alone: u16,
    /// The namespace its globals live in.
    pub globals: Dict,
    /// Defaults of the last parameters.
    pub defaults: Box<[Value]>,
    /// The variables of enclosing functions it uses.
    pub cells: Box<[Cell]>,
    /// Attributes the program has set on it.
    pub attributes: Option<Box<Table<Value>>>,
}

/// An instance whose `__del__` has been called.
#[derive(Debug)]
pub struct Finalized {
    /// Owned until `__del__` has returned and it is seen whether it kept the instance alive.
    pub object: Value,
    /// The thread that called it.
    pub thread: u64,
    /// At which depth of its calls.
    pub depth: usize,
    /// Those whose turn comes after it, owned.
    pub waiting: std::collections::VecDeque<Value>,
}

/// An instance of a class of the program, or an exception.
#[derive(Clone, Debug)]
pub struct InstanceData {
    /// Its class.
    pub class: Class,
    /// Which attribute lies in which slot; each class has its own shapes.
    pub shape: super::Shape,
    /// What a built-in base holds: the args tuple of an exception, the list of
    /// an instance of a subclass of `list`; `Unset` if there is none.
    pub payload: Value,
    /// The first attributes.
    pub(crate) inline: [Value; INLINE_SLOTS],
    /// The others, with free places at the end.
    pub(crate) more: Box<[Value]>,
    /// Whether `__del__` has been run or queued.
    pub(crate) finalized: bool,
}

/// Attributes kept in the instance itself.
pub const INLINE_SLOTS: usize = 4;

impl InstanceData {
    /// The value in a slot.
    #[inline(always)]
    pub fn slot(&self, slot: usize) -> Value {
        if slot < INLINE_SLOTS {
            self.inline[slot]
        } else {
            self.more[slot - INLINE_SLOTS]
        }
    }

    /// The place of a slot.
    #[inline(always)]
    pub fn slot_mut(&mut self, slot: usize) -> &mut Value {
        if slot < INLINE_SLOTS {
            &mut self.inline[slot]
        } else {
            &mut self.more[slot - INLINE_SLOTS]
        }
    }
}

/// A bound method of a program function (`object` set) or an unbound one.
#[derive(Clone, Copy, Debug)]
pub struct MethodData {
    /// The function: a program function or anything else that was in the class.
    pub function: Value,
    /// The object, `Unset` for an unbound method.
    pub object: Value,
    /// The class it was found through.
    pub class: Class,
}

/// A built-in method with its object.
#[derive(Clone, Copy, Debug)]
pub struct BoundNativeData {
    /// The method.
    pub native: super::NativeId,
    /// The object.
    pub object: Value,
}

/// What an iterator yields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IterMode {
    /// Items of a sequence, characters of a string, keys of a dict, items of a set, lines of a file.
    Items,
    /// Values of a dict.
    Values,
    /// Pairs of a dict.
    Pairs,
}

/// An iterator object.
#[derive(Clone, Copy, Debug)]
pub struct IterData {
    /// What is iterated over, `Unset` once exhausted.
    pub source: Value,
    /// The next position.
    pub position: usize,
    /// Number of keys when it began (dicts and sets).
    pub expected: usize,
    /// What it yields.
    pub mode: IterMode,
    /// Whether it is no iterator but a view of a dict (`viewkeys` and its sisters): what is
    /// iterated over anew each time, and what shows changes of the dict.
    pub view: bool,
}

/// An object of the API.
#[derive(Clone, Debug)]
pub struct ApiData {
    /// Its class, one of the API classes.
    pub class: Class,
    /// Identity, never used twice in a run: what the API looks its data up with.
    pub id: u64,
    /// Inner handle as shown in `repr`.
    pub label: Str,
    /// Attributes the program has set on it.
    pub attributes: Option<Box<Table<Value>>>,
}

/// A `SafeDict`.
#[derive(Clone, Copy, Debug)]
pub struct SafeDictData {
    /// The dict behind it.
    pub dict: Dict,
}

/// A shared variable.
#[derive(Clone, Copy, Debug)]
pub struct CellData {
    /// Its value, `Unset` while unbound.
    pub value: Value,
}

/// The way an exception has come, innermost call first.
#[derive(Clone, Debug, Default)]
pub struct TraceData {
    /// Code and place of each call it has left.
    pub entries: Vec<(Rc<Code>, u32)>,
}

const _: () = assert!(std::mem::size_of::<InstanceData>() + 4 <= 128);
