//! Attributes: the full look-up, and the caches of attribute sites.

use super::Vm;
use crate::compile::{AttributeCache, AttributeSite, Way, FUNCTION, IN_INSTANCE, NATIVE};
use crate::heap::{Builtin, Class, Instance, Outcome, Raised, Shape, Str, Style, Value};

/// What [`Vm::prepare_method`] found.
pub(crate) enum Callee {
    /// Call this with the object as first argument. Owned.
    WithObject(Value),
    /// Call this without. Owned.
    Alone(Value),
}

/// What a class attribute becomes when it is read through an object.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Binding {
    /// A program function.
    Function,
    /// A built-in method.
    Native,
    /// Itself.
    Plain,
}

impl Vm {
    fn binding(&self, value: Value) -> Binding {
        match value {
            Value::Function(_) => Binding::Function,
            Value::Native(native) if self.native(native).method => Binding::Native,
            _ => Binding::Plain,
        }
    }

    /// `object.name`: owned. `name` is interned; both borrowed.
    ///
    /// # Errors
    /// AttributeError with the text of 2.7.
    pub fn get_attribute(&mut self, object: Value, name: Str) -> Outcome<Value> {
        match self.find_attribute(object, name)? {
            Some(value) => Ok(value),
            None => {
                let name = self.heap.text(name);
                Err(self.no_attribute(object, &name))
            }
        }
    }

    /// [`Vm::get_attribute`], `None` if there is none of that name.
    pub fn find_attribute(&mut self, object: Value, name: Str) -> Outcome<Option<Value>> {
        match object {
            Value::Instance(instance) => {
                if let Some(value) = self.heap.instance_attribute(instance, name) {
                    return Ok(Some(self.heap.share(value)));
                }
                let class = self.heap.instances[instance].class;
                if let Some((value, _)) = self.heap.class_attribute(class, name) {
                    return Ok(Some(self.bind(value, object, class)));
                }
                if let Some(value) = self.exception_attribute(instance, name) {
                    return Ok(Some(value));
                }
                if let Some(getter) = self.getter(class, name) {
                    let target = self.heap.plain_payload(instance).unwrap_or(object);
                    return Ok(Some(getter(self, target)?));
                }
                Ok(None)
            }
            Value::Class(class) => {
                let found = self.heap.class_attribute(class, name);
                Ok(found.map(|(value, _)| match value {
                    Value::Function(_) => {
                        self.heap.retain(value);
                        self.heap.new_method(value, Value::Unset, class)
                    }
                    _ => self.heap.share(value),
                }))
            }
            Value::Function(function) => {
                let hash = self.heap.hash_str(name);
                let found = self.heap.functions[function].attributes.as_ref().and_then(|table| {
                    table.find_str(&self.heap, hash, name).map(|position| table.value(position))
                });
                Ok(found.map(|value| self.heap.share(value)))
            }
            Value::Method(method) => {
                let function = self.heap.methods[method].function;
                match function {
                    Value::Function(_) => self.find_attribute(function, name),
                    _ => Ok(None),
                }
            }
            _ => {
                if let Value::Api(api) = object {
                    let hash = self.heap.hash_str(name);
                    let found = self.heap.apis[api].attributes.as_ref().and_then(|table| {
                        table.find_str(&self.heap, hash, name).map(|position| table.value(position))
                    });
                    if let Some(value) = found {
                        return Ok(Some(self.heap.share(value)));
                    }
                }
                let class = self.heap.class_of(object);
                if let Some((value, _)) = self.heap.class_attribute(class, name) {
                    return Ok(Some(self.bind(value, object, class)));
                }
                match self.getter(class, name) {
                    Some(getter) => Ok(Some(getter(self, object)?)),
                    None => Ok(None),
                }
            }
        }
    }

    /// What a class attribute is when read through an object: owned.
    fn bind(&mut self, value: Value, object: Value, class: Class) -> Value {
        match self.binding(value) {
            Binding::Function => {
                self.heap.retain(value);
                self.heap.retain(object);
                self.heap.new_method(value, object, class)
            }
            Binding::Native => {
                let Value::Native(native) = value else { return value };
                self.heap.retain(object);
                self.heap.new_bound_native(native, object)
            }
            Binding::Plain => {
                if let Value::Method(method) = value {
                    // An unbound method kept in a class binds to instances of its own class.
                    let data = self.heap.methods[method];
                    if data.object.is_unset() && self.heap.is_subclass(class, data.class) {
                        self.heap.retain(data.function);
                        self.heap.retain(object);
                        return self.heap.new_method(data.function, object, class);
                    }
                }
                self.heap.share(value)
            }
        }
    }

    /// AttributeError for a missing attribute.
    #[cold]
    pub fn no_attribute(&mut self, object: Value, name: &str) -> Raised {
        let message = match object {
            Value::Api(_) => name.to_owned(),
            Value::Class(class) => {
                let data = &self.heap.classes[class];
                let own = self.heap.text(data.name);
                match data.style {
                    Style::Old => format!("class {own} has no attribute '{name}'"),
                    _ => format!("type object '{own}' has no attribute '{name}'"),
                }
            }
            Value::Instance(instance) => {
                let data = &self.heap.classes[self.heap.instances[instance].class];
                let own = self.heap.text(data.name);
                match data.style {
                    Style::Old => format!("{own} instance has no attribute '{name}'"),
                    _ if data.module == "exceptions" => {
                        format!("'exceptions.{own}' object has no attribute '{name}'")
                    }
                    _ => format!("'{own}' object has no attribute '{name}'"),
                }
            }
            Value::Method(_) => format!("'function' object has no attribute '{name}'"),
            _ => format!("'{}' object has no attribute '{name}'", self.type_name(object)),
        };
        self.heap.raise(Builtin::AttributeError, &message)
    }

    /// `object.name = value`. Borrows `object`, takes `value` over; `name` is interned.
    ///
    /// # Errors
    /// AttributeError, TypeError, as 2.7.
    pub fn set_attribute(&mut self, object: Value, name: Str, value: Value) -> Outcome<()> {
        match object {
            Value::Instance(instance) => {
                let class = &self.heap.classes[self.heap.instances[instance].class];
                if class.style == Style::Builtin && class.layout != Builtin::BaseException {
                    // A plain `object()`.
                    self.heap.release(value);
                    return self.cannot_change(object, name);
                }
                if self.set_exception_attribute(instance, name, value)? {
                    return Ok(());
                }
                self.heap.set_instance_attribute(instance, name, value);
                Ok(())
            }
            Value::Class(class) => {
                if self.heap.classes[class].style == Style::Builtin {
                    let own = self.heap.text(self.heap.classes[class].name);
                    self.heap.release(value);
                    return self
                        .type_error(&format!("can't set attributes of built-in/extension type '{own}'"));
                }
                self.heap.set_class_attribute(class, name, value);
                Ok(())
            }
            Value::Function(function) => {
                let table = self.heap.functions[function].attributes.take().unwrap_or_default();
                let table = self.set_in_table(table, name, value);
                self.heap.functions[function].attributes = Some(table);
                Ok(())
            }
            Value::Api(api) => {
                let table = self.heap.apis[api].attributes.take().unwrap_or_default();
                let table = self.set_in_table(table, name, value);
                self.heap.apis[api].attributes = Some(table);
                Ok(())
            }
            Value::SafeDict(_) => {
                self.heap.release(value);
                self.type_error("'SafeDict' attributes are read-only!")
            }
            _ => {
                self.heap.release(value);
                self.cannot_change(object, name)
            }
        }
    }

    fn set_in_table(
        &mut self,
        mut table: Box<crate::heap::Table<Value>>,
        name: Str,
        value: Value,
    ) -> Box<crate::heap::Table<Value>> {
        let hash = self.heap.hash_str(name);
        match table.find_str(&self.heap, hash, name) {
            Some(position) => {
                let old = table.set_value(position, value);
                self.heap.release(old);
            }
            None => {
                self.heap.retain(Value::Str(name));
                table.insert_new(hash, Value::Str(name), value);
            }
        }
        table
    }

    /// AttributeError for setting or deleting where nothing can be changed.
    fn cannot_change<T>(&mut self, object: Value, attribute: Str) -> Outcome<T> {
        let class = self.heap.class_of(object);
        let name = attribute;
        let exists = self.heap.class_attribute(class, name).is_some();
        let (own, name) = (self.type_name(object), self.heap.text(name));
        let message = match object {
            Value::Method(_) => format!("'instancemethod' object has no attribute '{name}'"),
            // Members of a structure of 2.7's; the other types compute their attributes.
            Value::Complex(_) | Value::Slice(_) if self.getter(class, attribute).is_some() => {
                return self.type_error("readonly attribute");
            }
            _ if self.getter(class, attribute).is_some() => {
                format!("attribute '{name}' of '{own}' objects is not writable")
            }
            _ if exists => format!("'{own}' object attribute '{name}' is read-only"),
            _ => format!("'{own}' object has no attribute '{name}'"),
        };
        Err(self.heap.raise(Builtin::AttributeError, &message))
    }

    /// `del object.name`. Borrows both; `name` is interned.
    ///
    /// # Errors
    /// AttributeError, TypeError, as 2.7.
    pub fn delete_attribute(&mut self, object: Value, name: Str) -> Outcome<()> {
        match object {
            Value::Instance(instance) => {
                if self.heap.delete_instance_attribute(instance, name) {
                    return Ok(());
                }
                let class = self.heap.instances[instance].class;
                let text = self.heap.text(name);
                match self.heap.classes[class].style {
                    Style::Old => Err(self.no_attribute(object, &text)),
                    _ => Err(self.heap.raise(Builtin::AttributeError, &text)),
                }
            }
            Value::Class(class) => {
                let style = self.heap.classes[class].style;
                if style == Style::Builtin {
                    let own = self.heap.text(self.heap.classes[class].name);
                    return self
                        .type_error(&format!("can't set attributes of built-in/extension type '{own}'"));
                }
                if self.heap.delete_class_attribute(class, name) {
                    return Ok(());
                }
                let text = self.heap.text(name);
                match style {
                    Style::Old => Err(self.no_attribute(object, &text)),
                    _ => Err(self.heap.raise(Builtin::AttributeError, &text)),
                }
            }
            Value::Function(function) => {
                let mut table = self.heap.functions[function].attributes.take().unwrap_or_default();
                let gone = self.take_from_table(&mut table, name);
                self.heap.functions[function].attributes = Some(table);
                self.drop_attribute(gone?);
                Ok(())
            }
            Value::Api(api) => {
                let mut table = self.heap.apis[api].attributes.take().unwrap_or_default();
                let gone = self.take_from_table(&mut table, name);
                self.heap.apis[api].attributes = Some(table);
                self.drop_attribute(gone?);
                Ok(())
            }
            Value::SafeDict(_) => self.type_error("'SafeDict' attributes are read-only!"),
            _ => self.cannot_change(object, name),
        }
    }

    /// Name and value of an attribute that goes, handed over.
    fn take_from_table(
        &mut self,
        table: &mut crate::heap::Table<Value>,
        name: Str,
    ) -> Outcome<(Value, Value)> {
        let hash = self.heap.hash_str(name);
        let Some(position) = table.find_str(&self.heap, hash, name) else {
            let text = self.heap.text(name);
            return Err(self.heap.raise(Builtin::AttributeError, &text));
        };
        Ok(table.remove(position))
    }

    fn drop_attribute(&mut self, (name, value): (Value, Value)) {
        self.heap.release(name);
        self.heap.release(value);
    }

    // ---- caches ----

    /// [`Vm::get_attribute`] when the cache has missed; fills it.
    #[inline(never)]
    pub(crate) fn get_attribute_filling(&mut self, object: Value, site: &AttributeSite) -> Outcome<Value> {
        if let Value::Instance(instance) = object {
            let shape = self.heap.instances[instance].shape;
            if let Some(slot) = self.heap.shapes.slot(shape, site.name) {
                site.fill(AttributeCache { key: shape.0, epoch: 0, slot: slot as u32, class: IN_INSTANCE });
                let value = self.heap.instances[instance].slot(slot);
                return Ok(self.heap.share(value));
            }
            let class = self.heap.instances[instance].class;
            let epoch = self.heap.class_epoch;
            if let Some((value @ Value::Function(function), _)) = self.heap.class_attribute(class, site.name)
            {
                let slot = function.0 as u32;
                site.fill(AttributeCache { key: shape.0, epoch, slot, class: FUNCTION });
                return Ok(self.bind(value, object, class));
            }
            if let Some((slot, owner, value)) = self.plain_class_attribute(class, site.name) {
                site.fill(AttributeCache { key: shape.0, epoch, slot, class: owner.0 as u32 });
                return Ok(self.heap.share(value));
            }
        }
        self.get_attribute(object, site.name)
    }

    /// Position, owner and value of a class attribute that binds to nothing.
    fn plain_class_attribute(&self, class: Class, name: Str) -> Option<(u32, Class, Value)> {
        let hash = self.heap.hash_str(name);
        for &owner in &self.heap.classes[class].mro {
            let table = &self.heap.classes[owner].attributes;
            if let Some(position) = table.find_str(&self.heap, hash, name) {
                let value = table.value(position);
                return binds_to_nothing(value).then_some((position as u32, owner, value));
            }
        }
        None
    }

    /// What `object.site(…)` calls. Borrows the object. The fast path is in the
    /// machine's loop; here are the misses, which fill the cache.
    #[inline(never)]
    pub(crate) fn prepare_method(&mut self, object: Value, site: &AttributeSite) -> Outcome<Callee> {
        let (key, class) = match object {
            Value::Instance(instance) => {
                if let Some(value) = self.heap.instance_attribute(instance, site.name) {
                    return Ok(Callee::Alone(self.heap.share(value)));
                }
                let data = &self.heap.instances[instance];
                (data.shape.0, data.class)
            }
            Value::Class(_) => {
                // An unbound method called with a fitting object: no method object is needed,
                // but the check of the object is, so this stays the full way.
                return Ok(Callee::Alone(self.get_attribute(object, site.name)?));
            }
            Value::Function(_) | Value::Method(_) => {
                return Ok(Callee::Alone(self.get_attribute(object, site.name)?));
            }
            Value::Api(api) if self.heap.apis[api].attributes.is_some() => {
                return Ok(Callee::Alone(self.get_attribute(object, site.name)?));
            }
            _ => {
                let class = self.heap.class_of(object);
                (class_key(class), class)
            }
        };
        let hash = self.heap.hash_str(site.name);
        for at in 0..self.heap.classes[class].mro.len() {
            let owner = self.heap.classes[class].mro[at];
            let table = &self.heap.classes[owner].attributes;
            let Some(position) = table.find_str(&self.heap, hash, site.name) else { continue };
            let value = table.value(position);
            let (slot, kind) = match (self.binding(value), value) {
                (Binding::Function, Value::Function(function)) => (function.0 as u32, FUNCTION),
                (Binding::Native, Value::Native(native)) => (native.0 as u32, NATIVE),
                _ => return Ok(Callee::Alone(self.bind(value, object, class))),
            };
            site.fill(AttributeCache { key, epoch: self.heap.class_epoch, slot, class: kind });
            return Ok(Callee::WithObject(self.heap.share(value)));
        }
        Ok(Callee::Alone(self.get_attribute(object, site.name)?))
    }

    /// [`Vm::set_attribute`] when the cache has missed; fills it. Takes `value` over.
    #[inline(never)]
    pub(crate) fn set_attribute_filling(
        &mut self,
        object: Value,
        site: &AttributeSite,
        value: Value,
    ) -> Outcome<()> {
        if let Value::Instance(instance) = object {
            let shape = self.heap.instances[instance].shape;
            let class = self.heap.instances[instance].class;
            let data = &self.heap.classes[class];
            // Exceptions have attributes of their own; a plain `object()` has none.
            let special = data.layout == Builtin::BaseException || data.style == Style::Builtin;
            if !special {
                match self.heap.shapes.slot(shape, site.name) {
                    Some(slot) => {
                        site.fill(AttributeCache {
                            key: shape.0,
                            epoch: 0,
                            slot: slot as u32,
                            class: IN_INSTANCE,
                        });
                        let old = std::mem::replace(self.heap.instances[instance].slot_mut(slot), value);
                        self.heap.release(old);
                    }
                    None => {
                        let next = self.heap.shapes.with(shape, site.name);
                        let slot = self.heap.shapes.count(next) - 1;
                        site.fill(AttributeCache {
                            key: shape.0,
                            epoch: 0,
                            slot: slot as u32,
                            class: next.0,
                        });
                        self.heap.add_slot(instance, next, slot, value);
                    }
                }
                return Ok(());
            }
        }
        self.set_attribute(object, site.name, value)
    }

    /// Adds an attribute in the place a cache says. Takes `value` over.
    #[inline(always)]
    pub(crate) fn add_cached(&mut self, instance: Instance, way: &Way, value: Value) {
        self.heap.add_slot(instance, Shape(way.class.get()), way.slot.get() as usize, value);
    }
}

/// Whether a class attribute is itself when it is read through an instance.
#[inline(always)]
pub(crate) fn binds_to_nothing(value: Value) -> bool {
    !matches!(value, Value::Function(_) | Value::Native(_) | Value::Method(_) | Value::Unset)
}

/// The cache key of a value without shape: counted down from the top.
#[inline(always)]
pub(crate) fn class_key(class: Class) -> u32 {
    u32::MAX - 1 - class.0 as u32
}
