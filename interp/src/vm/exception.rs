//! Exceptions: their attributes, `raise`, matching.

use super::Vm;
use crate::heap::{Builtin, Class, Instance, Outcome, Raised, Str, Style, Value};

impl Vm {
    /// Whether instances of a class are exceptions with `args`.
    pub fn is_exception_class(&self, class: Class) -> bool {
        self.heap.classes[class].layout == Builtin::BaseException
    }

    /// The `args` tuple of an exception, borrowed; `None` for anything else.
    pub fn exception_args(&self, value: Value) -> Option<Value> {
        let Value::Instance(instance) = value else { return None };
        let data = &self.heap.instances[instance];
        match data.payload {
            payload @ Value::Tuple(_) if self.is_exception_class(data.class) => Some(payload),
            _ => None,
        }
    }

    /// `args` and `message` of an exception: owned.
    pub(crate) fn exception_attribute(&mut self, instance: Instance, name: Str) -> Option<Value> {
        let args = self.exception_args(Value::Instance(instance))?;
        if name == self.names.args {
            return Some(self.heap.share(args));
        }
        if name == self.names.message {
            let Value::Tuple(tuple) = args else { return None };
            return Some(match *self.heap.tuple(tuple) {
                [only] => self.heap.share(only),
                _ => self.heap.new_str(b""),
            });
        }
        None
    }

    /// `exception.args = value`; false if it is no such thing. Takes `value` over unless false.
    ///
    /// # Errors
    /// TypeError if the value cannot be iterated over.
    pub(crate) fn set_exception_attribute(
        &mut self,
        instance: Instance,
        name: Str,
        value: Value,
    ) -> Outcome<bool> {
        if name != self.names.args || self.exception_args(Value::Instance(instance)).is_none() {
            return Ok(false);
        }
        let tuple = match value {
            Value::Tuple(_) => value,
            _ => match self.collect_items(value) {
                Ok(items) => {
                    self.heap.release(value);
                    self.heap.new_tuple(&items)
                }
                Err(raised) => {
                    self.heap.release(value);
                    return Err(raised);
                }
            },
        };
        let old = std::mem::replace(&mut self.heap.instances[instance].payload, tuple);
        self.heap.release(old);
        Ok(true)
    }

    /// Whether an exception matches the expression of an `except` clause.
    pub fn exception_matches(&self, exception: Value, kind: Value) -> bool {
        match kind {
            Value::Tuple(tuple) => {
                self.heap.tuple(tuple).iter().any(|kind| self.exception_matches(exception, *kind))
            }
            Value::Class(class) => match exception {
                Value::Instance(instance) if self.can_be_raised(class) => {
                    self.heap.is_subclass(self.heap.instances[instance].class, class)
                }
                _ => false,
            },
            _ => exception.same(kind),
        }
    }

    /// What `raise kind, value` comes to when no program code has to be called.
    /// Takes both over (`value` is `None` if it was not given).
    pub(crate) fn plan_raise(&mut self, kind: Value, value: Value) -> RaisePlan {
        let mut kind = kind;
        // A tuple stands for its first item.
        while let Value::Tuple(tuple) = kind {
            let Some(&first) = self.heap.tuple(tuple).first() else { break };
            self.heap.retain(first);
            self.heap.release(kind);
            kind = first;
        }
        match kind {
            Value::Class(class) if self.can_be_raised(class) => {
                if let Value::Instance(instance) = value {
                    if self.heap.is_subclass(self.heap.instances[instance].class, class) {
                        self.heap.release(kind);
                        return RaisePlan::Raise(value);
                    }
                }
                let args = match value {
                    Value::None => Vec::new(),
                    Value::Tuple(tuple) => {
                        let items = self.heap.tuple(tuple).to_vec();
                        items.iter().for_each(|item| self.heap.retain(*item));
                        self.heap.release(value);
                        items
                    }
                    other => vec![other],
                };
                RaisePlan::Make(kind, args)
            }
            Value::Instance(instance)
                if self.heap.classes[self.heap.instances[instance].class].style == Style::Old
                    || self.exception_args(kind).is_some() =>
            {
                if value.is_none() {
                    return RaisePlan::Raise(kind);
                }
                self.heap.release(kind);
                self.heap.release(value);
                RaisePlan::Error(
                    self.heap.raise(Builtin::TypeError, "instance exception may not have a separate value"),
                )
            }
            other => {
                let name = self.type_name(other);
                self.heap.release(other);
                self.heap.release(value);
                let message =
                    format!("exceptions must be old-style classes or derived from BaseException, not {name}");
                RaisePlan::Error(self.heap.raise(Builtin::TypeError, &message))
            }
        }
    }

    fn can_be_raised(&self, class: Class) -> bool {
        self.heap.classes[class].style == Style::Old || self.is_exception_class(class)
    }

    /// An iterable unpacked into exactly `count` items: owned.
    pub(crate) fn unpack(&mut self, source: Value, count: usize) -> Outcome<Vec<Value>> {
        let mut iteration = match self.try_iterate(source) {
            Ok(iteration) => iteration,
            Err(()) => return Err(self.not_iterable(source)),
        };
        let mut items = Vec::with_capacity(count);
        let problem: Raised = loop {
            match self.next(&mut iteration) {
                Ok(Some(item)) if items.len() < count => items.push(item),
                Ok(Some(item)) => {
                    self.heap.release(item);
                    self.finish(iteration);
                    break self.heap.raise(Builtin::ValueError, "too many values to unpack");
                }
                Ok(None) if items.len() == count => return Ok(items),
                Ok(None) => {
                    let given = items.len();
                    let s = if given == 1 { "" } else { "s" };
                    break self
                        .heap
                        .raise(Builtin::ValueError, &format!("need more than {given} value{s} to unpack"));
                }
                Err(raised) => break raised,
            }
        };
        items.into_iter().for_each(|item| self.heap.release(item));
        Err(problem)
    }
}

/// What a `raise` statement comes to.
pub(crate) enum RaisePlan {
    /// Raise this instance: owned.
    Raise(Value),
    /// Call the class with these arguments, then raise the result: owned.
    Make(Value, Vec<Value>),
    /// It cannot be raised.
    Error(Raised),
}
