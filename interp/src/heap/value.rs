//! The value: sixteen bytes, `Copy`, either immediate or a handle into one of
//! the typed arenas of [`super::Heap`].
//!
//! `Value` has no `Drop`: whoever holds an *owned* value must hand it on or
//! give it to [`super::Heap::release`]; whoever only looks at one holds it
//! *borrowed*. The rules are spelt out in the module documentation of
//! [`super`].

use std::fmt;

// Every payload is one 64-bit integer on purpose: then the compiler passes and
// copies a value as a pair of registers instead of a block of memory.

/// The payload of [`Value::Float`].
#[derive(Clone, Copy)]
pub struct Real(u64);

impl Real {
    /// The float.
    #[inline(always)]
    pub const fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

/// The payload of [`Value::Bool`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Truth(u64);

impl Truth {
    /// The truth.
    #[inline(always)]
    pub const fn get(self) -> bool {
        self.0 != 0
    }
}

/// Number of rows of the count table: a power of two above the number of
/// counted kinds, so that indexing by kind needs no bounds check.
pub const KIND_ROWS: usize = 32;

macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
            pub struct $name(pub(crate) u64);

            impl $name {
                /// Position in the arena of the kind.
                #[inline(always)]
                pub fn index(self) -> usize {
                    self.0 as usize
                }
            }
        )*

        /// The counted kinds, one arena each.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u8)]
        pub enum Kind {
            $($(#[$doc])* $name,)*
        }

        /// A Repy value. The variants from `Str` on hold counted handles.
        #[derive(Clone, Copy)]
        pub enum Value {
            /// No value: an unbound local, a missing global, a free register.
            Unset,
            /// `None`
            None,
            /// `NotImplemented`
            NotImplemented,
            /// `Ellipsis`
            Ellipsis,
            /// `True` and `False`; made by [`Value::bool`].
            Bool(Truth),
            /// An `int`: 64 bits, as CPython 2.7 on these machines.
            Int(i64),
            /// A `float`; made by [`Value::float`].
            Float(Real),
            /// A built-in function or method, an entry of the native table.
            Native(super::NativeId),
            $($(#[$doc])* $name($name),)*
        }

        impl Value {
            /// Kind and arena position of a counted value, `None` for an immediate one.
            #[inline(always)]
            pub fn counted(self) -> Option<(Kind, u32)> {
                match self {
                    $(Value::$name(handle) => Some((Kind::$name, handle.0 as u32)),)*
                    _ => None,
                }
            }

            /// The value of a kind and an arena position.
            #[inline(always)]
            pub(crate) fn from_counted(kind: Kind, index: u32) -> Value {
                match kind {
                    $(Kind::$name => Value::$name($name(u64::from(index))),)*
                }
            }
        }

        /// All counted kinds in the order of their rows.
        pub const KINDS: &[Kind] = &[$(Kind::$name,)*];
    };
}

handles! {
    /// A `str`: bytes with a cached hash.
    Str,
    /// A `long`.
    Long,
    /// A `complex`.
    Complex,
    /// A `list`.
    List,
    /// A `tuple`.
    Tuple,
    /// A `dict`.
    Dict,
    /// A `set` or a `frozenset` (see [`super::SetData::frozen`]).
    Set,
    /// A `slice`.
    Slice,
    /// An `xrange`.
    XRange,
    /// A function of the program.
    Function,
    /// A variable shared between a function and the functions inside it.
    Cell,
    /// A class, old-style, new-style or built-in (built-in types are classes).
    Class,
    /// An instance of a class of the program, or an exception.
    Instance,
    /// A bound or unbound method of a program function.
    Method,
    /// A built-in method bound to its object: `"".upper` without the call.
    BoundNative,
    /// An iterator object (`d.iterkeys()` and the like).
    Iter,
    /// An object of the API: file, socket, lock, timer handle…
    Api,
    /// A `SafeDict`: a view on a dict whose keys are checked.
    SafeDict,
    /// The way an exception has come; never seen by a program.
    Trace,
}

impl Value {
    /// A `float`.
    #[inline(always)]
    pub const fn float(value: f64) -> Value {
        Value::Float(Real(value.to_bits()))
    }

    /// `True` or `False`.
    #[inline(always)]
    pub const fn bool(value: bool) -> Value {
        Value::Bool(Truth(value as u64))
    }

    /// Whether the value is a counted handle.
    #[inline(always)]
    pub fn is_counted(self) -> bool {
        self.counted().is_some()
    }

    /// Whether the value is `Unset`.
    #[inline(always)]
    pub fn is_unset(self) -> bool {
        matches!(self, Value::Unset)
    }

    /// Whether the value is `None`.
    #[inline(always)]
    pub fn is_none(self) -> bool {
        matches!(self, Value::None)
    }

    /// `is`: the same immediate or the same object. Floats are the same when
    /// their bits are; small ints and short strings are shared, as everywhere.
    #[inline(always)]
    pub fn same(self, other: Value) -> bool {
        match (self, other) {
            (Value::Int(a), Value::Int(b)) => a == b,
            (Value::Float(a), Value::Float(b)) => a.0 == b.0,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Native(a), Value::Native(b)) => a == b,
            (Value::None, Value::None)
            | (Value::Unset, Value::Unset)
            | (Value::NotImplemented, Value::NotImplemented)
            | (Value::Ellipsis, Value::Ellipsis) => true,
            _ => match (self.counted(), other.counted()) {
                (Some(a), Some(b)) => a == b,
                _ => false,
            },
        }
    }

    /// The integer of an `int` or `bool`.
    #[inline(always)]
    pub fn as_int(self) -> Option<i64> {
        match self {
            Value::Int(i) => Some(i),
            Value::Bool(b) => Some(i64::from(b.get())),
            _ => None,
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Value::Unset => out.write_str("Unset"),
            Value::None => out.write_str("None"),
            Value::NotImplemented => out.write_str("NotImplemented"),
            Value::Ellipsis => out.write_str("Ellipsis"),
            Value::Bool(b) => write!(out, "Bool({})", b.get()),
            Value::Int(i) => write!(out, "Int({i})"),
            Value::Float(x) => write!(out, "Float({})", x.get()),
            Value::Native(n) => write!(out, "Native({})", n.0),
            other => match other.counted() {
                Some((kind, index)) => write!(out, "{kind:?}#{index}"),
                None => Ok(()),
            },
        }
    }
}

const _: () = assert!(std::mem::size_of::<Value>() == 16);
const _: () = assert!(KINDS.len() <= KIND_ROWS);
