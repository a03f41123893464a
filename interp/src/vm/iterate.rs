//! Iteration over anything that can be iterated over.

use super::native::Flow;
use super::Vm;
use crate::heap::{Builtin, IterMode, Outcome, Style, Value};

/// An iteration under way. It owns its source: give it to [`Vm::finish`]
/// unless it has come to its end.
#[derive(Debug)]
pub struct Iteration {
    /// What is iterated over; `Unset` after the end.
    pub(crate) source: Value,
    /// Next position; of a range: the next item.
    pub(crate) position: i64,
    /// Number of keys at the start, or items left of an xrange.
    pub(crate) expected: i64,
}

impl Vm {
    /// Begins to iterate over a value. Borrows it.
    ///
    /// # Errors
    /// TypeError if it cannot be iterated over.
    pub fn iterate(&mut self, value: Value) -> Outcome<Iteration> {
        match self.try_iterate(value) {
            Ok(iteration) => Ok(iteration),
            Err(()) => Err(self.not_iterable(value)),
        }
    }

    pub(crate) fn not_iterable(&mut self, value: Value) -> crate::heap::Raised {
        if let Value::Instance(instance) = value {
            let class = self.heap.instances[instance].class;
            if self.heap.classes[class].style == Style::Old {
                return self.heap.raise(Builtin::TypeError, "iteration over non-sequence");
            }
        }
        let name = self.type_name(value);
        if let Value::Api(_) = value {
            return self.heap.raise(
                Builtin::TypeError,
                &format!("You tried to iterate a non-iterator of type <type '{name}'>"),
            );
        }
        self.heap.raise(Builtin::TypeError, &format!("'{name}' object is not iterable"))
    }

    /// [`Vm::iterate`] without an exception.
    #[allow(clippy::result_unit_err)] // The caller knows the only reason.
    pub fn try_iterate(&mut self, value: Value) -> Result<Iteration, ()> {
        if let Some((dict, mode)) = self.heap.view_of(value) {
            self.heap.retain(Value::Dict(dict));
            let source = self.heap.new_iter(Value::Dict(dict), mode);
            return Ok(Iteration { source, position: 0, expected: 0 });
        }
        let expected = match value {
            Value::List(_) | Value::Tuple(_) | Value::Str(_) | Value::Iter(_) => 0,
            Value::Dict(dict) => self.heap.dicts[dict].table.len() as i64,
            Value::Set(set) => self.heap.sets[set].table.len() as i64,
            Value::SafeDict(safe) => {
                let dict = self.heap.safe_dicts[safe].dict;
                self.heap.dicts[dict].table.len() as i64
            }
            Value::XRange(xrange) => {
                let data = self.heap.xranges[xrange];
                self.heap.retain(value);
                return Ok(Iteration { source: value, position: data.start, expected: data.length });
            }
            Value::Api(api) if self.heap.apis[api].class == Builtin::ApiFile.class() => 0,
            Value::Instance(instance) => match self.heap.plain_payload(instance) {
                Some(payload) => return self.try_iterate(payload),
                // Exceptions of 2.7 are sequences of their arguments.
                None => match self.exception_args(value) {
                    Some(args) => return self.try_iterate(args),
                    None => return Err(()),
                },
            },
            _ => return Err(()),
        };
        self.heap.retain(value);
        Ok(Iteration { source: value, position: 0, expected })
    }

    /// The next item: owned; `None` at the end, with the iteration finished.
    ///
    /// # Errors
    /// RuntimeError if a dict or set has changed its size; the iteration is finished then too.
    #[inline]
    pub fn next(&mut self, iteration: &mut Iteration) -> Outcome<Option<Value>> {
        match self.step(iteration) {
            Ok(None) => {
                let source = std::mem::replace(&mut iteration.source, Value::Unset);
                self.heap.release(source);
                Ok(None)
            }
            Ok(item) => Ok(item),
            Err(raised) => {
                let source = std::mem::replace(&mut iteration.source, Value::Unset);
                self.heap.release(source);
                Err(raised)
            }
        }
    }

    /// Ends an iteration early.
    pub fn finish(&mut self, iteration: Iteration) {
        self.heap.release(iteration.source);
    }

    /// An estimate of the number of items left.
    pub fn length_hint(&self, iteration: &Iteration) -> usize {
        match iteration.source {
            Value::List(list) => self.heap.list(list).len(),
            Value::Tuple(tuple) => self.heap.tuple(tuple).len(),
            Value::Str(text) => self.heap.bytes(text).len(),
            Value::Dict(_) | Value::Set(_) | Value::SafeDict(_) | Value::XRange(_) => {
                usize::try_from(iteration.expected).unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// One step, leaving the source alone: item owned.
    pub(crate) fn step(&mut self, iteration: &mut Iteration) -> Outcome<Option<Value>> {
        let at = iteration.position as usize;
        let item = match iteration.source {
            Value::List(list) => self.heap.list(list).get(at).copied(),
            Value::Tuple(tuple) => self.heap.tuple(tuple).get(at).copied(),
            Value::Str(text) => match self.heap.bytes(text).get(at).copied() {
                Some(byte) => Some(Value::Str(self.heap.byte_str(byte))),
                None => None,
            },
            Value::Dict(dict) => return self.step_table(iteration, dict, IterMode::Items),
            Value::SafeDict(safe) => {
                let dict = self.heap.safe_dicts[safe].dict;
                return self.step_table(iteration, dict, IterMode::Items);
            }
            Value::Set(set) => {
                let table = &self.heap.sets[set].table;
                if table.len() as i64 != iteration.expected {
                    iteration.expected = -1;
                    return Err(self.heap.raise(Builtin::RuntimeError, "Set changed size during iteration"));
                }
                let slots = table.slots();
                let mut at = at;
                while slots.get(at).is_some_and(|entry| entry.key.is_unset()) {
                    at += 1;
                }
                iteration.position = at as i64;
                slots.get(at).map(|entry| entry.key)
            }
            Value::XRange(xrange) => {
                if iteration.expected <= 0 {
                    return Ok(None);
                }
                let item = iteration.position;
                iteration.expected -= 1;
                iteration.position = item.wrapping_add(self.heap.xranges[xrange].step);
                return Ok(Some(Value::Int(item)));
            }
            Value::Iter(iter) => {
                let mut data = self.heap.iters[iter];
                if data.source.is_unset() {
                    return Ok(None);
                }
                let mut inner = Iteration {
                    source: data.source,
                    position: data.position as i64,
                    expected: data.expected as i64,
                };
                let result = match data.source {
                    Value::Dict(dict) => self.step_table(&mut inner, dict, data.mode),
                    _ => self.step(&mut inner),
                };
                data.position = inner.position as usize;
                data.expected = inner.expected as usize;
                if !matches!(result, Ok(Some(_))) {
                    data.source = Value::Unset;
                    self.heap.iters[iter] = data;
                    self.heap.release(inner.source);
                } else {
                    self.heap.iters[iter] = data;
                }
                return result;
            }
            Value::Api(_) => {
                let Some(hook) = self.line_hook else { return Ok(None) };
                return match hook(self, iteration.source)? {
                    Flow::Value(Value::Unset) => Ok(None),
                    Flow::Value(line) => Ok(Some(line)),
                    // Only a `for` statement can wait for a line.
                    _ => Err(self
                        .heap
                        .raise(Builtin::RuntimeError, "a file can only be read here without waiting")),
                };
            }
            _ => None,
        };
        iteration.position += 1;
        if let Some(item) = item {
            self.heap.retain(item);
        }
        Ok(item)
    }

    fn step_table(
        &mut self,
        iteration: &mut Iteration,
        dict: crate::heap::Dict,
        mode: IterMode,
    ) -> Outcome<Option<Value>> {
        let table = &self.heap.dicts[dict].table;
        if table.len() as i64 != iteration.expected {
            iteration.expected = -1;
            return Err(self.heap.raise(Builtin::RuntimeError, "dictionary changed size during iteration"));
        }
        let slots = table.slots();
        let mut at = iteration.position as usize;
        while slots.get(at).is_some_and(|entry| entry.key.is_unset()) {
            at += 1;
        }
        iteration.position = at as i64 + 1;
        let Some(entry) = slots.get(at).copied() else { return Ok(None) };
        Ok(Some(match mode {
            IterMode::Items => self.heap.share(entry.key),
            IterMode::Values => self.heap.share(entry.value),
            IterMode::Pairs => {
                self.heap.retain(entry.key);
                self.heap.retain(entry.value);
                self.heap.new_tuple(&[entry.key, entry.value])
            }
        }))
    }

    /// All items of an iterable in a vector: owned items.
    ///
    /// # Errors
    /// As [`Vm::iterate`] and [`Vm::next`]; MemoryError.
    pub fn collect_items(&mut self, value: Value) -> Outcome<Vec<Value>> {
        if let Value::List(_) | Value::Tuple(_) = value {
            return crate::types::hook::collect(self, value);
        }
        let mut iteration = self.iterate(value)?;
        let hint = self.length_hint(&iteration);
        if let Err(raised) = self.heap.make_room(hint.saturating_mul(16)) {
            self.finish(iteration);
            return Err(raised);
        }
        let mut items = Vec::with_capacity(hint);
        loop {
            match self.next(&mut iteration) {
                Ok(Some(item)) => items.push(item),
                Ok(None) => return Ok(items),
                Err(raised) => {
                    items.into_iter().for_each(|item| self.heap.release(item));
                    return Err(raised);
                }
            }
            if items.len() == items.capacity() {
                if let Err(raised) = self.heap.make_room(items.len() * 32) {
                    self.finish(iteration);
                    items.into_iter().for_each(|item| self.heap.release(item));
                    return Err(raised);
                }
            }
        }
    }
}
