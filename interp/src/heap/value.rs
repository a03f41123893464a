//! The value: sixteen bytes, `Copy`, either immediate or a handle into one of
//! the typed arenas of [`super::Heap`].
//!
//! `Value` has no `Drop`: whoever holds an *owned* value must hand it on or
//! give it to [`super::Heap::release`]; whoever only looks at one holds it
//! *borrowed*. The rules are spelt out in the module documentation of
//! [`super`].

use std::fmt;

/// Number of rows of the count table: a power of two above the number of
/// counted kinds, so that indexing by kind needs no bounds check.
pub const KIND_ROWS: usize = 32;

macro_rules! handles {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
            pub struct $name(pub(crate) u32);

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
            /// `True` and `False`
            Bool(bool),
            /// An `int`: 64 bits, as CPython 2.7 on these machines.
            Int(i64),
            /// A `float`
            Float(f64),
            /// A built-in function or method, an entry of the native table.
            Native(super::NativeId),
            $($(#[$doc])* $name($name),)*
        }

        impl Value {
            /// Kind and arena position of a counted value, `None` for an immediate one.
            #[inline(always)]
            pub fn counted(self) -> Option<(Kind, u32)> {
                match self {
                    $(Value::$name(handle) => Some((Kind::$name, handle.0)),)*
                    _ => None,
                }
            }

            /// The value of a kind and an arena position.
            #[inline(always)]
            pub(crate) fn from_counted(kind: Kind, index: u32) -> Value {
                match kind {
                    $(Kind::$name => Value::$name($name(index)),)*
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
            (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
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
            Value::Bool(b) => Some(i64::from(b)),
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
            Value::Bool(b) => write!(out, "Bool({b})"),
            Value::Int(i) => write!(out, "Int({i})"),
            Value::Float(x) => write!(out, "Float({x})"),
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
