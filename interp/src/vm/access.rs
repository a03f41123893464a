//! Items and slices.

use super::native::Flow;
use super::Vm;
use crate::heap::{Builtin, Dict, List, Outcome, Raised, Str, Style, Value};
use crate::types::long_text::{Assemble, Part};
use crate::types::stepwise;

/// Longest text that is sliced at once, without a look at the limits, in bytes.
const SHORT_TEXT: usize = 4096;

/// A slice with its bounds made to fit a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// First index.
    pub start: i64,
    /// Bound, exclusive.
    pub stop: i64,
    /// Step, never 0.
    pub step: i64,
    /// Number of items.
    pub count: usize,
}

impl Vm {
    /// An index as the machine needs it: int, bool, or a long that is clipped.
    pub fn as_index(&self, value: Value) -> Option<i64> {
        match value {
            Value::Int(i) => Some(i),
            Value::Bool(b) => Some(i64::from(b.get())),
            Value::Long(long) => Some(match i64::try_from(&self.heap.longs[long].value) {
                Ok(i) => i,
                Err(_) if self.heap.longs[long].value < dashu_int::IBig::ZERO => i64::MIN,
                Err(_) => i64::MAX,
            }),
            Value::Instance(instance) => {
                self.heap.plain_payload(instance).and_then(|payload| self.as_index(payload))
            }
            _ => None,
        }
    }

    fn index_of(&mut self, value: Value, kind: &str) -> Outcome<i64> {
        if let Value::Long(long) = value {
            if i64::try_from(&self.heap.longs[long].value).is_err() {
                return Err(self
                    .heap
                    .raise(Builtin::IndexError, "cannot fit 'long' into an index-sized integer"));
            }
        }
        match self.as_index(value) {
            Some(i) => Ok(i),
            // An old-style instance might have had an `__index__`.
            None if self.style(value) == Some(Style::Old) => {
                self.type_error("object cannot be interpreted as an index")
            }
            None => {
                let name = self.type_name(value);
                self.type_error(&format!("{kind} indices must be integers, not {name}"))
            }
        }
    }

    /// `container[index]`: owned. Borrows both.
    ///
    /// # Errors
    /// IndexError, KeyError, TypeError, as 2.7.
    pub fn get_item(&mut self, container: Value, index: Value) -> Outcome<Value> {
        match (container, index) {
            (Value::List(list), Value::Slice(_)) => {
                let range = self.slice_range(index, self.heap.list(list).len())?;
                self.heap.make_room(range.count.saturating_mul(16))?;
                let mut items = self.heap.list_buffer(range.count);
                pick(self.heap.list(list), range, &mut items);
                items.iter().for_each(|item| self.heap.retain(*item));
                Ok(self.heap.new_list(items))
            }
            (Value::List(list), _) => {
                let i = self.index_of(index, "list")?;
                match at(self.heap.list(list), i) {
                    Some(item) => Ok(self.heap.share(item)),
                    None => Err(self.heap.raise(Builtin::IndexError, "list index out of range")),
                }
            }
            (Value::Tuple(tuple), Value::Slice(_)) => {
                let range = self.slice_range(index, self.heap.tuple(tuple).len())?;
                self.heap.make_room(range.count.saturating_mul(16))?;
                let items = picked(self.heap.tuple(tuple), range);
                items.iter().for_each(|item| self.heap.retain(*item));
                Ok(self.heap.new_tuple(&items))
            }
            (Value::Tuple(tuple), _) => {
                let i = self.index_of(index, "tuple")?;
                match at(self.heap.tuple(tuple), i) {
                    Some(item) => Ok(self.heap.share(item)),
                    None => Err(self.heap.raise(Builtin::IndexError, "tuple index out of range")),
                }
            }
            (Value::Str(text), Value::Slice(_)) => {
                let range = self.slice_range(index, self.heap.bytes(text).len())?;
                self.heap.make_room(range.count)?;
                if range.count > SHORT_TEXT {
                    let bytes = picked(self.heap.bytes(text), range);
                    return Ok(self.heap.new_str_from(bytes));
                }
                let mut bytes = std::mem::take(&mut self.scratch);
                pick(self.heap.bytes(text), range, &mut bytes);
                let part = self.heap.new_str(&bytes);
                self.give_scratch(bytes);
                Ok(part)
            }
            (Value::Str(text), _) => {
                let i = self.index_of(index, "string")?;
                match at(self.heap.bytes(text), i) {
                    Some(byte) => Ok(self.heap.byte(byte)),
                    None => Err(self.heap.raise(Builtin::IndexError, "string index out of range")),
                }
            }
            (Value::Dict(dict), _) => match self.heap.dict_get(dict, index)? {
                Some(value) => Ok(self.heap.share(value)),
                None => Err(self.key_error(index)),
            },
            (Value::SafeDict(_), _) => {
                let dict = self.checked_dict(container, index)?;
                match self.heap.dict_get(dict, index)? {
                    Some(value) => Ok(self.heap.share(value)),
                    None => Err(self.key_error(index)),
                }
            }
            (Value::XRange(xrange), _) => {
                let data = self.heap.xranges[xrange];
                let Some(i) = self.as_index(index) else {
                    let name = self.type_name(index);
                    return self.type_error(&format!("sequence index must be integer, not '{name}'"));
                };
                let i = if i < 0 { i.saturating_add(data.length) } else { i };
                if i < 0 || i >= data.length {
                    return Err(self.heap.raise(Builtin::IndexError, "xrange object index out of range"));
                }
                Ok(Value::Int(data.start.wrapping_add(i.wrapping_mul(data.step))))
            }
            (Value::Instance(instance), _) => match self.heap.plain_payload(instance) {
                Some(payload) => self.get_item(payload, index),
                None => match self.exception_args(container) {
                    // Exceptions of 2.7 can be indexed: their arguments.
                    Some(args) => self.get_item(args, index),
                    // Instances of new-style classes have the slots of a sequence, all empty.
                    None if self.as_index(index).is_some() => {
                        self.no_items(container, "__getitem__", "does not support indexing")
                    }
                    None => self.no_items(container, "__getitem__", "has no attribute '__getitem__'"),
                },
            },
            (Value::Set(_) | Value::Iter(_), _)
                if self.as_index(index).is_some()
                    && (matches!(container, Value::Set(_)) || self.heap.view_of(container).is_some()) =>
            {
                self.no_items(container, "__getitem__", "does not support indexing")
            }
            _ => self.no_items(container, "__getitem__", "has no attribute '__getitem__'"),
        }
    }

    fn no_items<T>(&mut self, container: Value, special: &str, message: &str) -> Outcome<T> {
        if let Value::Instance(instance) = container {
            let class = self.heap.instances[instance].class;
            if self.heap.classes[class].style == Style::Old {
                return Err(self.no_attribute(container, special));
            }
        }
        let name = self.type_name(container);
        self.type_error(&format!("'{name}' object {message}"))
    }

    /// KeyError with the key as its argument. Borrows it.
    #[cold]
    pub fn key_error(&mut self, key: Value) -> Raised {
        self.heap.retain(key);
        self.heap.raise_with(Builtin::KeyError.class(), &[key])
    }

    /// `container[index] = value`. Borrows `container` and `index`; takes `value` over.
    ///
    /// # Errors
    /// IndexError, TypeError, as 2.7.
    pub fn set_item(&mut self, container: Value, index: Value, value: Value) -> Outcome<()> {
        match (container, index) {
            (Value::List(list), Value::Slice(_)) => {
                let result = self.set_extended_slice(list, index, value);
                self.heap.release(value);
                result
            }
            (Value::List(list), _) => {
                let i = match self.index_of(index, "list") {
                    Ok(i) => i,
                    Err(raised) => {
                        self.heap.release(value);
                        return Err(raised);
                    }
                };
                let items = &mut self.heap.lists[list].items;
                let i = if i < 0 { i.saturating_add(items.len() as i64) } else { i };
                match usize::try_from(i).ok().and_then(|i| items.get_mut(i)) {
                    Some(place) => {
                        let old = std::mem::replace(place, value);
                        self.heap.release(old);
                        Ok(())
                    }
                    None => {
                        self.heap.release(value);
                        Err(self.heap.raise(Builtin::IndexError, "list assignment index out of range"))
                    }
                }
            }
            (Value::Dict(dict), _) => self.heap.dict_set(dict, index, value),
            (Value::SafeDict(_), _) => match self.checked_dict(container, index) {
                Ok(dict) => {
                    // The names that code uses are interned: then a global is found at once.
                    let key = match index {
                        Value::Str(text) => Value::Str(self.heap.known_name(text)),
                        other => other,
                    };
                    self.heap.dict_set(dict, key, value)
                }
                Err(raised) => {
                    self.heap.release(value);
                    Err(raised)
                }
            },
            _ => {
                if let Some(payload) = self.payload_of(container) {
                    return self.set_item(payload, index, value);
                }
                self.heap.release(value);
                self.no_items(container, "__setitem__", "does not support item assignment")
            }
        }
    }

    fn payload_of(&self, value: Value) -> Option<Value> {
        match value {
            Value::Instance(instance) => self.heap.plain_payload(instance),
            _ => None,
        }
    }

    /// `del container[index]`. Borrows both.
    ///
    /// # Errors
    /// IndexError, KeyError, TypeError, as 2.7.
    pub fn delete_item(&mut self, container: Value, index: Value) -> Outcome<()> {
        match (container, index) {
            (Value::List(list), Value::Slice(_)) => {
                let range = self.slice_range(index, self.heap.list(list).len())?;
                let mut gone = Vec::with_capacity(range.count);
                let (mut low, step) = if range.step > 0 {
                    (range.start, range.step)
                } else {
                    (range.start + range.step * (range.count as i64 - 1), -range.step)
                };
                if range.count > 0 {
                    let items = &mut self.heap.lists[list].items;
                    let mut kept = Vec::with_capacity(items.len() - range.count);
                    for (at, item) in items.iter().enumerate() {
                        if gone.len() < range.count && at as i64 == low {
                            gone.push(*item);
                            low += step;
                        } else {
                            kept.push(*item);
                        }
                    }
                    *items = kept;
                    self.heap.recharge_list(list);
                }
                gone.into_iter().for_each(|item| self.heap.release(item));
                Ok(())
            }
            (Value::List(list), _) => {
                let i = self.index_of(index, "list")?;
                let items = &mut self.heap.lists[list].items;
                let i = if i < 0 { i.saturating_add(items.len() as i64) } else { i };
                match usize::try_from(i).ok().filter(|i| *i < items.len()) {
                    Some(i) => {
                        let old = items.remove(i);
                        self.heap.release(old);
                        Ok(())
                    }
                    None => Err(self.heap.raise(Builtin::IndexError, "list assignment index out of range")),
                }
            }
            (Value::Dict(_) | Value::SafeDict(_), _) => {
                let dict = match container {
                    Value::Dict(dict) => dict,
                    _ => self.checked_dict(container, index)?,
                };
                match self.heap.dict_remove(dict, index)? {
                    Some(value) => {
                        self.heap.release(value);
                        Ok(())
                    }
                    None => Err(self.key_error(index)),
                }
            }
            _ => {
                if let Some(payload) = self.payload_of(container) {
                    return self.delete_item(payload, index);
                }
                // The words depend on whether the type has anything of a sequence.
                let message = match container {
                    Value::Str(_)
                    | Value::Tuple(_)
                    | Value::Set(_)
                    | Value::XRange(_)
                    | Value::Iter(_)
                    | Value::Instance(_)
                        if self.as_index(index).is_some() =>
                    {
                        "doesn't support item deletion"
                    }
                    _ => "does not support item deletion",
                };
                self.no_items(container, "__delitem__", message)
            }
        }
    }

    /// The bounds of a slice object for a sequence of `length` items.
    ///
    /// # Errors
    /// TypeError for a part that is no integer, ValueError for a step of 0.
    pub fn slice_range(&mut self, slice: Value, length: usize) -> Outcome<Range> {
        let Value::Slice(slice) = slice else { return self.type_error("slice expected") };
        let data = self.heap.slices[slice];
        let mut part = |value: Value| match value {
            Value::None | Value::Unset => Ok(None),
            value => match self.as_index(value) {
                Some(i) => Ok(Some(i)),
                None => self.type_error("slice indices must be integers or None or have an __index__ method"),
            },
        };
        let (start, stop, step) = (part(data.start)?, part(data.stop)?, part(data.step)?);
        let step = step.unwrap_or(1).max(-i64::MAX);
        if step == 0 {
            return Err(self.heap.raise(Builtin::ValueError, "slice step cannot be zero"));
        }
        let length = length as i64;
        let fit = |i: i64| {
            let i = if i < 0 { i.saturating_add(length) } else { i };
            if i < 0 {
                if step < 0 {
                    -1
                } else {
                    0
                }
            } else if i >= length {
                if step < 0 {
                    length - 1
                } else {
                    length
                }
            } else {
                i
            }
        };
        let start = match start {
            Some(i) => fit(i),
            None if step < 0 => length - 1,
            None => 0,
        };
        let stop = match stop {
            Some(i) => fit(i),
            None if step < 0 => -1,
            None => length,
        };
        let count = if step > 0 && start < stop {
            (stop - start - 1) / step + 1
        } else if step < 0 && stop < start {
            (start - stop - 1) / -step + 1
        } else {
            0
        };
        Ok(Range { start, stop, step, count: count as usize })
    }

    /// The bounds of a simple slice `[lower:upper]` of a sequence of `length` items.
    ///
    /// # Errors
    /// TypeError for a bound that is no integer.
    pub fn simple_range(&mut self, lower: Value, upper: Value, length: usize) -> Outcome<(usize, usize)> {
        let mut bound = |value: Value, missing: i64| match value {
            Value::Int(i) => Ok(i),
            Value::Unset | Value::None => Ok(missing),
            value => match self.as_index(value) {
                Some(i) => Ok(i),
                None => self.type_error("slice indices must be integers or None or have an __index__ method"),
            },
        };
        let (lower, upper) = (bound(lower, 0)?, bound(upper, i64::MAX)?);
        let length = length as i64;
        let fit = |i: i64| (if i < 0 { i.saturating_add(length) } else { i }).clamp(0, length);
        let lower = fit(lower);
        Ok((lower as usize, fit(upper).max(lower) as usize))
    }

    /// `container[lower:upper]`: owned. Borrows all.
    ///
    /// # Errors
    /// TypeError, MemoryError.
    pub fn get_slice(&mut self, container: Value, lower: Value, upper: Value) -> Outcome<Value> {
        match container {
            Value::Str(text) => {
                let length = self.heap.bytes(text).len();
                let (lower, upper) = self.simple_range(lower, upper, length)?;
                if upper - lower == length {
                    return Ok(self.heap.share(container));
                }
                self.heap.make_room(upper - lower)?;
                Ok(self.heap.new_substr(text, lower, upper))
            }
            Value::List(list) => {
                let (lower, upper) = self.simple_range(lower, upper, self.heap.list(list).len())?;
                self.heap.make_room((upper - lower) * 16)?;
                Ok(self.heap.new_list_from(list, lower, upper))
            }
            Value::Tuple(tuple) => {
                let length = self.heap.tuple(tuple).len();
                let (lower, upper) = self.simple_range(lower, upper, length)?;
                if upper - lower == length {
                    return Ok(self.heap.share(container));
                }
                self.heap.make_room((upper - lower) * 16)?;
                let items = self.heap.tuple(tuple)[lower..upper].to_vec();
                items.iter().for_each(|item| self.heap.retain(*item));
                Ok(self.heap.new_tuple(&items))
            }
            _ => {
                if let Some(payload) = self.payload_of(container) {
                    return self.get_slice(payload, lower, upper);
                }
                match container {
                    Value::Dict(_) | Value::SafeDict(_) => self.type_error("unhashable type"),
                    Value::XRange(_) => self.type_error("sequence index must be integer, not 'slice'"),
                    _ => match self.exception_args(container) {
                        Some(args) => self.get_slice(args, lower, upper),
                        None => self.no_items(container, "__getitem__", "has no attribute '__getitem__'"),
                    },
                }
            }
        }
    }

    /// [`Vm::get_slice`] for an instruction: a large one is postponed.
    pub(crate) fn slice_step(&mut self, container: Value, lower: Value, upper: Value) -> Outcome<Value> {
        let length = self.large_sequence(container);
        if length == 0 {
            return self.get_slice(container, lower, upper);
        }
        let (lower, upper) = self.simple_range(lower, upper, length)?;
        if upper - lower == length && !matches!(container, Value::List(_)) {
            return Ok(self.heap.share(container));
        }
        let range = Range { start: lower as i64, stop: upper as i64, step: 1, count: upper - lower };
        self.large_slice(container, range)
    }

    /// [`Vm::get_item`] for an instruction: a large slice is postponed.
    pub(crate) fn item_step(&mut self, container: Value, index: Value) -> Outcome<Value> {
        if let Value::Slice(slice) = index {
            let data = self.heap.slices[slice];
            if let (Value::Str(text), Value::None, Value::None, Value::Int(-1)) =
                (container, data.start, data.stop, data.step)
            {
                if self.heap.bytes(text).len() <= SHORT_TEXT {
                    return Ok(self.heap.new_str_changed(text, <[u8]>::reverse));
                }
            }
            let length = self.large_sequence(container);
            if length != 0 {
                let range = self.slice_range(index, length)?;
                return self.large_slice(container, range);
            }
        }
        self.get_item(container, index)
    }

    /// The length of a sequence that is worth slicing in steps, else 0.
    fn large_sequence(&self, container: Value) -> usize {
        let (length, least) = match container {
            Value::List(list) => (self.heap.list(list).len(), 4 * stepwise::ITEMS),
            Value::Tuple(tuple) => (self.heap.tuple(tuple).len(), 4 * stepwise::ITEMS),
            Value::Str(text) => (self.heap.bytes(text).len(), 2 * stepwise::BYTES),
            _ => return 0,
        };
        if length > least {
            length
        } else {
            0
        }
    }

    fn large_slice(&mut self, source: Value, range: Range) -> Outcome<Value> {
        let Range { start, step, count, .. } = range;
        let flow = match source {
            Value::Str(text) => {
                self.heap.make_room(count)?;
                let part = match step {
                    1 => Part::Text(text, start as usize, start as usize + count),
                    _ => Part::Stepped(text, start, step, count),
                };
                let copy = Assemble::new(self, vec![part], count);
                stepwise::start(self, copy)
            }
            _ => {
                self.heap.make_room(count.saturating_mul(16))?;
                let copy =
                    stepwise::CopyItems::new(self, vec![stepwise::Stretch { source, start, step, count }]);
                stepwise::start(self, copy)
            }
        };
        match flow? {
            Flow::Value(done) => Ok(done),
            flow => {
                self.postponed = Some(flow);
                Err(self.heap.raise_bare(Builtin::SystemError))
            }
        }
    }

    /// `container[lower:upper] = value`. Borrows all.
    ///
    /// # Errors
    /// TypeError, MemoryError.
    pub fn set_slice(&mut self, container: Value, lower: Value, upper: Value, value: Value) -> Outcome<()> {
        match container {
            Value::List(list) => {
                if let Value::List(source) = value {
                    if self.replace_items(list, lower, upper, source) {
                        return Ok(());
                    }
                }
                let Ok(iteration) = self.try_iterate(value) else {
                    return self.type_error("can only assign an iterable");
                };
                self.finish(iteration);
                let items = self.collect_items(value)?;
                let (lower, upper) = match self.simple_range(lower, upper, self.heap.list(list).len()) {
                    Ok(range) => range,
                    Err(raised) => {
                        items.into_iter().for_each(|item| self.heap.release(item));
                        return Err(raised);
                    }
                };
                self.splice(list, lower, upper, items)
            }
            _ => {
                if let Some(payload) = self.payload_of(container) {
                    return self.set_slice(payload, lower, upper, value);
                }
                match container {
                    Value::Dict(_) | Value::SafeDict(_) => self.type_error("unhashable type"),
                    _ => self.no_items(container, "__setslice__", "does not support item assignment"),
                }
            }
        }
    }

    /// `list[lower:upper] = source` in place, if as many items come as go and the bounds are plain; false if not.
    fn replace_items(&mut self, list: List, lower: Value, upper: Value, source: List) -> bool {
        let plain = |bound: Value| matches!(bound, Value::Int(_) | Value::Unset | Value::None);
        if source == list || !plain(lower) || !plain(upper) {
            return false;
        }
        let length = self.heap.list(list).len();
        let Ok((lower, upper)) = self.simple_range(lower, upper, length) else { return false };
        if upper - lower != self.heap.list(source).len() {
            return false;
        }
        let mut items = std::mem::take(&mut self.heap.lists[source].items);
        if self.heap.count(Value::List(source)) == 1 {
            // Nobody else will read the source: it dies with the old items in place of its own.
            self.heap.lists[list].items[lower..upper].swap_with_slice(&mut items);
            self.heap.lists[source].items = items;
            return true;
        }
        items.iter().for_each(|item| self.heap.retain(*item));
        // No code of the program runs while the list is without its items.
        let mut target = std::mem::take(&mut self.heap.lists[list].items);
        for (place, item) in target[lower..upper].iter_mut().zip(&items) {
            let old = std::mem::replace(place, *item);
            self.heap.release(old);
        }
        self.heap.lists[list].items = target;
        self.heap.lists[source].items = items;
        true
    }

    /// `del container[lower:upper]`. Borrows all.
    ///
    /// # Errors
    /// TypeError.
    pub fn delete_slice(&mut self, container: Value, lower: Value, upper: Value) -> Outcome<()> {
        match container {
            Value::List(list) => {
                let (lower, upper) = self.simple_range(lower, upper, self.heap.list(list).len())?;
                self.splice(list, lower, upper, Vec::new())
            }
            _ => {
                if let Some(payload) = self.payload_of(container) {
                    return self.delete_slice(payload, lower, upper);
                }
                match container {
                    Value::Dict(_) | Value::SafeDict(_) => self.type_error("unhashable type"),
                    _ => self.no_items(container, "__delslice__", "does not support item deletion"),
                }
            }
        }
    }

    /// Replaces a part of a list. Takes `items` over.
    fn splice(&mut self, list: List, lower: usize, upper: usize, items: Vec<Value>) -> Outcome<()> {
        let grow = items.len().saturating_sub(upper - lower);
        if let Err(raised) = self.heap.reserve_list(list, grow) {
            items.into_iter().for_each(|item| self.heap.release(item));
            return Err(raised);
        }
        let old: Vec<Value> = self.heap.lists[list].items.splice(lower..upper, items).collect();
        self.heap.recharge_list(list);
        // From the end, as in 2.7: a `__del__` of theirs shows it.
        old.into_iter().rev().for_each(|item| self.heap.release(item));
        Ok(())
    }

    fn set_extended_slice(&mut self, list: List, slice: Value, value: Value) -> Outcome<()> {
        let Ok(iteration) = self.try_iterate(value) else {
            return self.type_error("must assign iterable to extended slice");
        };
        self.finish(iteration);
        let items = self.collect_items(value)?;
        let range = match self.slice_range(slice, self.heap.list(list).len()) {
            Ok(range) => range,
            Err(raised) => {
                items.into_iter().for_each(|item| self.heap.release(item));
                return Err(raised);
            }
        };
        if range.step == 1 {
            let lower = range.start as usize;
            return self.splice(list, lower, lower.max(range.stop.max(0) as usize), items);
        }
        if items.len() != range.count {
            let (given, wanted) = (items.len(), range.count);
            items.into_iter().for_each(|item| self.heap.release(item));
            return Err(self.heap.raise(
                Builtin::ValueError,
                &format!("attempt to assign sequence of size {given} to extended slice of size {wanted}"),
            ));
        }
        let mut at = range.start;
        for item in items {
            let old = std::mem::replace(&mut self.heap.lists[list].items[at as usize], item);
            self.heap.release(old);
            at += range.step;
        }
        Ok(())
    }

    /// The dict behind a SafeDict, once the key has been checked.
    ///
    /// # Errors
    /// TypeError for a key that is no str, ValueError for one that is not safe.
    pub fn checked_dict(&mut self, safe: Value, key: Value) -> Outcome<Dict> {
        let Value::SafeDict(safe) = safe else { return self.type_error("a SafeDict was expected") };
        let Value::Str(text) = self.unwrap_payload(key) else {
            return self.type_error("'SafeDict' keys must be of string type!");
        };
        if !self.is_safe_key(text) {
            let text = self.heap.bytes(text).to_vec();
            let quoted = crate::types::kernel::strrepr::repr(&text);
            let mut message = b"Unsafe key: ".to_vec();
            message.extend_from_slice(&quoted);
            return Err(self.heap.raise_bytes(Builtin::ValueError.class(), &message));
        }
        Ok(self.heap.safe_dicts[safe].dict)
    }

    /// Whether a name may be a key of a SafeDict.
    pub fn is_safe_key(&self, text: Str) -> bool {
        crate::check::names::refused(self.heap.bytes(text)).is_none()
    }
}

/// The item at an index that may be negative.
fn at<T: Copy>(items: &[T], index: i64) -> Option<T> {
    let index = if index < 0 { index.saturating_add(items.len() as i64) } else { index };
    usize::try_from(index).ok().and_then(|index| items.get(index).copied())
}

/// The items of an extended slice.
fn picked<T: Copy>(items: &[T], range: Range) -> Vec<T> {
    let mut result = Vec::with_capacity(range.count);
    pick(items, range, &mut result);
    result
}

/// Appends the items of an extended slice.
fn pick<T: Copy>(items: &[T], range: Range, out: &mut Vec<T>) {
    if range.step == -1 && range.count > 0 {
        let upper = range.start as usize + 1;
        out.extend(items[upper - range.count..upper].iter().rev());
        return;
    }
    if let (Ok(step @ 1..), Some(from)) = (usize::try_from(range.step), items.get(range.start as usize..)) {
        out.extend(from.iter().step_by(step).take(range.count));
        return;
    }
    let mut at = range.start;
    for _ in 0..range.count {
        out.push(items[at as usize]);
        at += range.step;
    }
}
