//! Classes: built-in types, exceptions, and the program's old- and new-style classes.

use super::{Class, Function, Heap, Raised, Shape, Str, Table, Value};

macro_rules! builtin_classes {
    ($($variant:ident, $name:literal, $module:literal, $base:ident;)*) => {
        /// The built-in classes; the class of variant `X` is [`Builtin::class`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Builtin {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        /// Name, module and base of each built-in class, in the order of [`Builtin`].
        pub const BUILTINS: &[(Builtin, &str, &str, Builtin)] =
            &[$((Builtin::$variant, $name, $module, Builtin::$base),)*];
    };
}

builtin_classes! {
    Object, "object", "__builtin__", Object;
    Type, "type", "__builtin__", Object;
    ClassObj, "classobj", "__builtin__", Object;
    OldInstance, "instance", "__builtin__", Object;
    NoneType, "NoneType", "__builtin__", Object;
    NotImplementedType, "NotImplementedType", "__builtin__", Object;
    EllipsisType, "ellipsis", "__builtin__", Object;
    Int, "int", "__builtin__", Object;
    Bool, "bool", "__builtin__", Int;
    Float, "float", "__builtin__", Object;
    Long, "long", "__builtin__", Object;
    Complex, "complex", "__builtin__", Object;
    Str, "str", "__builtin__", Object;
    List, "list", "__builtin__", Object;
    Tuple, "tuple", "__builtin__", Object;
    Dict, "dict", "__builtin__", Object;
    Set, "set", "__builtin__", Object;
    FrozenSet, "frozenset", "__builtin__", Object;
    Slice, "slice", "__builtin__", Object;
    XRange, "xrange", "__builtin__", Object;
    Function, "function", "__builtin__", Object;
    NativeFunction, "builtin_function_or_method", "__builtin__", Object;
    MethodDescriptor, "method_descriptor", "__builtin__", Object;
    Method, "instancemethod", "__builtin__", Object;
    Cell, "cell", "__builtin__", Object;
    KeyIterator, "dictionary-keyiterator", "__builtin__", Object;
    ValueIterator, "dictionary-valueiterator", "__builtin__", Object;
    ItemIterator, "dictionary-itemiterator", "__builtin__", Object;
    Iterator, "iterator", "__builtin__", Object;
    KeysView, "dict_keys", "__builtin__", Object;
    ValuesView, "dict_values", "__builtin__", Object;
    ItemsView, "dict_items", "__builtin__", Object;
    SafeDict, "SafeDict", "safe", Object;
    BaseException, "BaseException", "exceptions", Object;
    SystemExit, "SystemExit", "exceptions", BaseException;
    KeyboardInterrupt, "KeyboardInterrupt", "exceptions", BaseException;
    GeneratorExit, "GeneratorExit", "exceptions", BaseException;
    Exception, "Exception", "exceptions", BaseException;
    StopIteration, "StopIteration", "exceptions", Exception;
    StandardError, "StandardError", "exceptions", Exception;
    ArithmeticError, "ArithmeticError", "exceptions", StandardError;
    FloatingPointError, "FloatingPointError", "exceptions", ArithmeticError;
    OverflowError, "OverflowError", "exceptions", ArithmeticError;
    ZeroDivisionError, "ZeroDivisionError", "exceptions", ArithmeticError;
    AssertionError, "AssertionError", "exceptions", StandardError;
    AttributeError, "AttributeError", "exceptions", StandardError;
    BufferError, "BufferError", "exceptions", StandardError;
    EOFError, "EOFError", "exceptions", StandardError;
    EnvironmentError, "EnvironmentError", "exceptions", StandardError;
    IOError, "IOError", "exceptions", EnvironmentError;
    OSError, "OSError", "exceptions", EnvironmentError;
    ImportError, "ImportError", "exceptions", StandardError;
    LookupError, "LookupError", "exceptions", StandardError;
    IndexError, "IndexError", "exceptions", LookupError;
    KeyError, "KeyError", "exceptions", LookupError;
    MemoryError, "MemoryError", "exceptions", StandardError;
    NameError, "NameError", "exceptions", StandardError;
    UnboundLocalError, "UnboundLocalError", "exceptions", NameError;
    ReferenceError, "ReferenceError", "exceptions", StandardError;
    RuntimeError, "RuntimeError", "exceptions", StandardError;
    NotImplementedError, "NotImplementedError", "exceptions", RuntimeError;
    SyntaxError, "SyntaxError", "exceptions", StandardError;
    IndentationError, "IndentationError", "exceptions", SyntaxError;
    TabError, "TabError", "exceptions", IndentationError;
    SystemError, "SystemError", "exceptions", StandardError;
    TypeError, "TypeError", "exceptions", StandardError;
    ValueError, "ValueError", "exceptions", StandardError;
    UnicodeError, "UnicodeError", "exceptions", ValueError;
    UnicodeDecodeError, "UnicodeDecodeError", "exceptions", UnicodeError;
    UnicodeEncodeError, "UnicodeEncodeError", "exceptions", UnicodeError;
    UnicodeTranslateError, "UnicodeTranslateError", "exceptions", UnicodeError;
    Warning, "Warning", "exceptions", Exception;
    DeprecationWarning, "DeprecationWarning", "exceptions", Warning;
    PendingDeprecationWarning, "PendingDeprecationWarning", "exceptions", Warning;
    RuntimeWarning, "RuntimeWarning", "exceptions", Warning;
    SyntaxWarning, "SyntaxWarning", "exceptions", Warning;
    UserWarning, "UserWarning", "exceptions", Warning;
    FutureWarning, "FutureWarning", "exceptions", Warning;
    ImportWarning, "ImportWarning", "exceptions", Warning;
    UnicodeWarning, "UnicodeWarning", "exceptions", Warning;
    BytesWarning, "BytesWarning", "exceptions", Warning;
    RunBuiltinException, "RunBuiltinException", "safe", Exception;
    NamespaceViolationError, "NamespaceViolationError", "namespace", Exception;
    ApiFile, "file", "__builtin__", Object;
    ApiSocket, "socket", "__builtin__", Object;
    ApiLock, "lock", "__builtin__", Object;
    ApiTimerHandle, "timerhandle", "__builtin__", Object;
    ApiCommHandle, "commhandle", "__builtin__", Object;
    ApiVirtualNamespace, "VirtualNamespace", "__builtin__", Object;
}

impl Builtin {
    /// The class.
    #[inline(always)]
    pub const fn class(self) -> Class {
        Class(self as u64)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        BUILTINS[self as usize].1
    }
}

/// Kinds of classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A built-in type.
    Builtin,
    /// A class of the program with a new-style base.
    New,
    /// A class of the program without.
    Old,
}

/// A class.
#[derive(Clone, Debug)]
pub struct ClassData {
    /// Its name.
    pub name: Str,
    /// Module as shown in `repr`; empty for classes of the program.
    pub module: &'static str,
    /// What kind of class it is.
    pub style: Style,
    /// Direct bases, owned.
    pub bases: Vec<Class>,
    /// Order of attribute lookup, the class itself first, not owned
    /// (the bases keep them): C3 for new-style, depth first for old-style classes.
    pub mro: Vec<Class>,
    /// Its own attributes, by interned name.
    pub attributes: Table<Value>,
    /// The built-in class that decides what instances hold in their payload:
    /// `Object` for none, `BaseException` for exceptions.
    pub layout: Builtin,
    /// Shape of an instance without attributes.
    pub root_shape: Shape,
    /// Whether instances have a `__del__`.
    pub has_del: bool,
    /// The `__init__` that calling the class needs and nothing else, for this epoch.
    pub(crate) init: Option<(u32, Function)>,
    pub(crate) charged: usize,
}

impl Heap {
    /// The class of a value, as `type()` gives it (for an old-style instance, `instance`).
    pub fn type_of(&self, value: Value) -> Class {
        match value {
            Value::Instance(instance) => {
                let class = self.instances[instance].class;
                match self.classes[class].style {
                    Style::Old => Builtin::OldInstance.class(),
                    _ => class,
                }
            }
            Value::Class(class) => match self.classes[class].style {
                Style::Old => Builtin::ClassObj.class(),
                _ => Builtin::Type.class(),
            },
            _ => self.class_of(value),
        }
    }

    /// The class attributes of a value are looked up in: like [`Heap::type_of`],
    /// but an old-style instance gives its own class. The common ones in place.
    #[inline(always)]
    pub fn class_of_common(&self, value: Value) -> Class {
        match value {
            Value::Str(_) => Builtin::Str.class(),
            Value::List(_) => Builtin::List.class(),
            Value::Dict(_) => Builtin::Dict.class(),
            _ => self.class_of(value),
        }
    }

    /// [`Heap::class_of_common`], out of line.
    #[inline(never)]
    pub fn class_of(&self, value: Value) -> Class {
        match value {
            Value::Instance(instance) => self.instances[instance].class,
            Value::Api(api) => self.apis[api].class,
            Value::Set(set) if self.sets[set].frozen => Builtin::FrozenSet.class(),
            Value::Iter(iter) if self.iters[iter].view => match self.iters[iter].mode {
                super::IterMode::Items => Builtin::KeysView.class(),
                super::IterMode::Values => Builtin::ValuesView.class(),
                super::IterMode::Pairs => Builtin::ItemsView.class(),
            },
            Value::Iter(iter) => match (self.iters[iter].source, self.iters[iter].mode) {
                (_, super::IterMode::Values) => Builtin::ValueIterator.class(),
                (_, super::IterMode::Pairs) => Builtin::ItemIterator.class(),
                (Value::Dict(_), _) => Builtin::KeyIterator.class(),
                _ => Builtin::Iterator.class(),
            },
            _ => builtin_of(value).class(),
        }
    }

    /// Whether `class` is `base` or has it among its ancestors.
    pub fn is_subclass(&self, class: Class, base: Class) -> bool {
        class == base || self.classes[class].mro.contains(&base)
    }

    /// `isinstance(value, base)` for one class.
    pub fn is_instance(&self, value: Value, base: Class) -> bool {
        match value {
            Value::Instance(_) => {
                self.is_subclass(self.class_of(value), base) || self.is_subclass(self.type_of(value), base)
            }
            _ => self.is_subclass(self.type_of(value), base),
        }
    }

    /// An attribute of a class or its ancestors: borrowed value and defining class.
    pub fn class_attribute(&self, class: Class, name: Str) -> Option<(Value, Class)> {
        let hash = self.hash_str(name);
        for &owner in &self.classes[class].mro {
            let attributes = &self.classes[owner].attributes;
            if let Some(position) = attributes.find_str(self, hash, name) {
                return Some((attributes.value(position), owner));
            }
        }
        None
    }

    /// Sets an attribute of a class. Takes `value` over; `name` is interned and borrowed.
    pub fn set_class_attribute(&mut self, class: Class, name: Str, value: Value) {
        let hash = self.hash_str(name);
        match self.classes[class].attributes.find_str(self, hash, name) {
            Some(position) => {
                let old = self.classes[class].attributes.set_value(position, value);
                if is_callable(old) || is_callable(value) {
                    self.class_epoch = self.class_epoch.wrapping_add(1);
                }
                self.release(old);
            }
            None => {
                self.class_epoch = self.class_epoch.wrapping_add(1);
                self.retain(Value::Str(name));
                self.classes[class].attributes.insert_new(hash, Value::Str(name), value);
                self.recharge_class(class);
            }
        }
        if self.bytes(name) == b"__del__" {
            self.classes[class].has_del = true;
        }
    }

    /// Removes an attribute of a class; false if it has none of that name.
    pub fn delete_class_attribute(&mut self, class: Class, name: Str) -> bool {
        let hash = self.hash_str(name);
        let Some(position) = self.classes[class].attributes.find_str(self, hash, name) else {
            return false;
        };
        self.class_epoch = self.class_epoch.wrapping_add(1);
        let (key, value) = self.classes[class].attributes.remove(position);
        self.release(key);
        self.release(value);
        true
    }

    /// Makes a class of the program from its name, bases and attributes. Takes
    /// the attribute table over; name and bases are borrowed.
    pub fn new_class(
        &mut self,
        name: Str,
        bases: &[Class],
        attributes: Table<Value>,
    ) -> Result<Class, Raised> {
        match self.plan_class(bases) {
            Ok((style, layout, order)) => {
                let has_del = order.iter().any(|&base| self.classes[base].has_del)
                    || attributes.find_bytes(self, b"__del__").is_some();
                for &base in bases {
                    self.retain(Value::Class(base));
                }
                self.retain(Value::Str(name));
                let root_shape = self.shapes.new_root();
                let class = Class(self.allocate_class(ClassData {
                    name,
                    module: "",
                    style,
                    bases: bases.to_vec(),
                    mro: Vec::new(),
                    attributes,
                    layout,
                    root_shape,
                    has_del,
                    init: None,
                    charged: 0,
                }));
                let mut mro = vec![class];
                mro.extend(order);
                self.classes[class].mro = mro;
                self.recharge_class(class);
                Ok(class)
            }
            Err(message) => {
                self.release_table(attributes);
                Err(self.raise(Builtin::TypeError, &message))
            }
        }
    }

    /// Style, layout and lookup order (without the class itself) of a class with these bases.
    fn plan_class(&self, bases: &[Class]) -> Result<(Style, Builtin, Vec<Class>), String> {
        let old = bases.iter().all(|&base| self.classes[base].style == Style::Old);
        if old {
            let mut order = Vec::new();
            for &base in bases {
                for &class in &self.classes[base].mro {
                    if !order.contains(&class) {
                        order.push(class);
                    }
                }
            }
            return Ok((Style::Old, Builtin::Object, order));
        }
        let mut layout = Builtin::Object;
        for &base in bases {
            if let Some((builtin, ..)) = BUILTINS.get(base.index()) {
                if NOT_A_BASE.contains(builtin) {
                    return Err(format!(
                        "Error when calling the metaclass bases\n    type '{}' is not an acceptable base type",
                        builtin.name()
                    ));
                }
            }
            let wanted = self.classes[base].layout;
            if layout == Builtin::Object || layout == wanted {
                layout = wanted;
            } else if wanted != Builtin::Object {
                return Err("Error when calling the metaclass bases\n    \
                            multiple bases have instance lay-out conflict"
                    .to_owned());
            }
        }
        for (position, base) in bases.iter().enumerate() {
            if bases[..position].contains(base) {
                return Err(format!(
                    "Error when calling the metaclass bases\n    duplicate base class {}",
                    self.text(self.classes[*base].name)
                ));
            }
        }
        let order = self.merge_orders(bases)?;
        Ok((Style::New, layout, order))
    }

    /// The C3 merge of the bases' orders.
    fn merge_orders(&self, bases: &[Class]) -> Result<Vec<Class>, String> {
        let mut rows: Vec<Vec<Class>> = bases.iter().map(|&base| self.classes[base].mro.clone()).collect();
        rows.push(bases.to_vec());
        let mut order = Vec::new();
        loop {
            rows.retain(|row| !row.is_empty());
            if rows.is_empty() {
                return Ok(order);
            }
            let next = rows
                .iter()
                .map(|row| row[0])
                .find(|candidate| !rows.iter().any(|row| row[1..].contains(candidate)));
            let Some(next) = next else {
                let names: Vec<String> =
                    bases.iter().map(|&base| self.text(self.classes[base].name)).collect();
                return Err(format!(
                    "Error when calling the metaclass bases\n    Cannot create a consistent method \
                     resolution\norder (MRO) for bases {}",
                    names.join(", ")
                ));
            };
            order.push(next);
            for row in &mut rows {
                if row[0] == next {
                    row.remove(0);
                }
            }
        }
    }
}

/// The built-in class of a value by its kind alone: a table.
#[inline(always)]
const fn builtin_of(value: Value) -> Builtin {
    match value {
        Value::Unset | Value::None | Value::Trace(_) => Builtin::NoneType,
        Value::NotImplemented => Builtin::NotImplementedType,
        Value::Ellipsis => Builtin::EllipsisType,
        Value::Bool(_) => Builtin::Bool,
        Value::Int(_) => Builtin::Int,
        Value::Float(_) => Builtin::Float,
        Value::Native(_) | Value::BoundNative(_) => Builtin::NativeFunction,
        Value::Str(_) => Builtin::Str,
        Value::Long(_) => Builtin::Long,
        Value::Complex(_) => Builtin::Complex,
        Value::List(_) => Builtin::List,
        Value::Tuple(_) => Builtin::Tuple,
        Value::Dict(_) => Builtin::Dict,
        Value::Set(_) => Builtin::Set,
        Value::Slice(_) => Builtin::Slice,
        Value::XRange(_) => Builtin::XRange,
        Value::Function(_) => Builtin::Function,
        Value::Cell(_) => Builtin::Cell,
        Value::Method(_) => Builtin::Method,
        Value::Class(_) => Builtin::Type,
        Value::SafeDict(_) => Builtin::SafeDict,
        Value::Instance(_) | Value::Api(_) | Value::Iter(_) => Builtin::Object,
    }
}

/// Whether caches of methods may hold the value itself.
fn is_callable(value: Value) -> bool {
    matches!(value, Value::Function(_) | Value::Native(_))
}

/// Built-in classes that cannot be subclassed.
const NOT_A_BASE: &[Builtin] = &[
    Builtin::Bool,
    Builtin::NoneType,
    Builtin::NotImplementedType,
    Builtin::EllipsisType,
    Builtin::Slice,
    Builtin::XRange,
    Builtin::Function,
    Builtin::NativeFunction,
    Builtin::MethodDescriptor,
    Builtin::Method,
    Builtin::ClassObj,
    Builtin::OldInstance,
    Builtin::SafeDict,
    Builtin::ApiFile,
    Builtin::ApiSocket,
    Builtin::ApiLock,
    Builtin::ApiTimerHandle,
    Builtin::ApiCommHandle,
    Builtin::ApiVirtualNamespace,
];
