//! Instructions on items and slices, and those that build and take apart containers.

use super::slow::Registers;
use super::Vm;
use crate::compile::{Code, Reg};
use crate::heap::{Dict, Outcome, Value};

/// Length of a sequence up to which its slices are made at once, without asking for room.
const MODERATE: usize = 4096;

/// An item counted from the end.
#[inline(always)]
fn from_end(items: &[Value], i: i32) -> Option<Value> {
    items.get(items.len().wrapping_add(i as usize)).copied().filter(|_| i < 0)
}

impl Vm {
    /// `d = a[b]`
    #[inline(always)]
    pub(super) fn op_item(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        d: Reg,
        a: Reg,
        b: Reg,
    ) -> Outcome<()> {
        if let Value::Int(i) = regs[usize::from(b)] {
            match regs[usize::from(a)] {
                Value::List(list) => {
                    if let Some(&item) = self.heap.list(list).get(i as usize) {
                        self.heap.retain(item);
                        self.consume_list(regs, code.locals, a, list);
                        self.put(regs, d, item);
                        return Ok(());
                    }
                }
                Value::Str(text) => {
                    if let Some(&byte) = self.heap.bytes(text).get(i as usize) {
                        let item = self.heap.byte(byte);
                        self.consume(regs, code.locals, a);
                        self.put(regs, d, item);
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
        self.item_slow(regs, code, d, a, b)
    }

    #[inline(never)]
    fn item_slow(&mut self, regs: &mut Registers, code: &Code, d: Reg, a: Reg, b: Reg) -> Outcome<()> {
        let found = match (regs[usize::from(a)], regs[usize::from(b)]) {
            (Value::Dict(dict), Value::Str(key)) => self.heap.dict_get_str(dict, key),
            (Value::Dict(dict), Value::Int(key)) => self.heap.dict_get_int(dict, key),
            (Value::Tuple(tuple), Value::Int(i)) => self.heap.tuple(tuple).get(i as usize).copied(),
            _ => None,
        };
        let Some(item) = found else { return self.item_rest(regs, code, d, a, b) };
        self.heap.retain(item);
        self.consume_both(regs, code.locals, a, b);
        self.put_last(regs, d, item)
    }

    #[inline(never)]
    fn item_rest(&mut self, regs: &mut Registers, code: &Code, d: Reg, a: Reg, b: Reg) -> Outcome<()> {
        let (container, index) = (regs[usize::from(a)], regs[usize::from(b)]);
        let result = match (container, index) {
            (Value::Unset, _) => Err(self.unbound(code, a)),
            (_, Value::Unset) => Err(self.unbound(code, b)),
            (Value::Dict(dict), _) => self.dict_item(dict, index),
            _ => self.item_step(container, index),
        };
        self.consume(regs, code.locals, a);
        self.consume(regs, code.locals, b);
        let item = result?;
        self.put(regs, d, item);
        Ok(())
    }

    /// `dict[key]`: owned.
    fn dict_item(&mut self, dict: Dict, key: Value) -> Outcome<Value> {
        match self.heap.dict_get(dict, key)? {
            Some(value) => Ok(self.heap.share(value)),
            None => Err(self.key_error(key)),
        }
    }

    /// `d = a[i]`
    #[inline(always)]
    pub(super) fn op_item_int(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        d: Reg,
        a: Reg,
        i: i32,
    ) -> Outcome<()> {
        let found = match regs[usize::from(a)] {
            Value::List(list) => self.heap.list(list).get(i as usize).copied(),
            Value::Tuple(tuple) => self.heap.tuple(tuple).get(i as usize).copied(),
            _ => None,
        };
        match found {
            Some(item) => {
                self.heap.retain(item);
                self.consume(regs, code.locals, a);
                self.put(regs, d, item);
                Ok(())
            }
            None => self.item_int_slow(regs, code, d, a, i),
        }
    }

    /// The item of a list, tuple or str at a place that may count from the end, if there is one: borrowed.
    #[inline(always)]
    fn item_from_end(&self, container: Value, i: i32) -> Option<Value> {
        let place =
            |length: usize| if i < 0 { length.wrapping_sub(i.unsigned_abs() as usize) } else { i as usize };
        match container {
            Value::List(list) => {
                let items = self.heap.list(list);
                items.get(place(items.len())).copied()
            }
            Value::Tuple(tuple) => {
                let items = self.heap.tuple(tuple);
                items.get(place(items.len())).copied()
            }
            Value::Str(text) => {
                let bytes = self.heap.bytes(text);
                bytes.get(place(bytes.len())).map(|byte| Value::Str(self.heap.byte_str(*byte)))
            }
            _ => None,
        }
    }

    #[inline(never)]
    fn item_int_slow(&mut self, regs: &mut Registers, code: &Code, d: Reg, a: Reg, i: i32) -> Outcome<()> {
        let found = match regs[usize::from(a)] {
            Value::List(list) => from_end(self.heap.list(list), i),
            Value::Tuple(tuple) => from_end(self.heap.tuple(tuple), i),
            Value::Dict(dict) => self.heap.dict_get_int(dict, i64::from(i)),
            _ => None,
        };
        let Some(item) = found else { return self.item_int_rest(regs, code, d, a, i) };
        self.heap.retain(item);
        self.consume(regs, code.locals, a);
        self.put_last(regs, d, item)
    }

    #[inline(never)]
    fn item_int_rest(&mut self, regs: &mut Registers, code: &Code, d: Reg, a: Reg, i: i32) -> Outcome<()> {
        let container = regs[usize::from(a)];
        if container.is_unset() {
            return Err(self.unbound(code, a));
        }
        if let Some(item) = self.item_from_end(container, i) {
            let item = self.heap.share(item);
            self.consume(regs, code.locals, a);
            self.put(regs, d, item);
            return Ok(());
        }
        let result = self.get_item(container, Value::Int(i64::from(i)));
        self.consume(regs, code.locals, a);
        let item = result?;
        self.put(regs, d, item);
        Ok(())
    }

    /// `a[b] = c`
    #[inline(always)]
    pub(super) fn op_set_item(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        a: Reg,
        b: Reg,
        c: Reg,
    ) -> Outcome<()> {
        if let (Value::List(list), Value::Int(i)) = (regs[usize::from(a)], regs[usize::from(b)]) {
            let value = regs[usize::from(c)];
            if let (Some(place), false) = (self.heap.lists[list].items.get_mut(i as usize), value.is_unset())
            {
                let old = std::mem::replace(place, value);
                if c >= code.locals {
                    regs[usize::from(c)] = Value::Unset;
                } else {
                    self.heap.retain(value);
                }
                if old.is_counted() {
                    self.drop_value(old);
                }
                self.consume_list(regs, code.locals, a, list);
                return Ok(());
            }
        }
        self.set_item_slow(regs, code, a, b, c)
    }

    #[inline(never)]
    fn set_item_slow(&mut self, regs: &mut Registers, code: &Code, a: Reg, b: Reg, c: Reg) -> Outcome<()> {
        let value = self.own(regs, code, c)?;
        let (container, index) = (regs[usize::from(a)], regs[usize::from(b)]);
        let result = match (container, index) {
            (Value::Dict(dict), index) if !index.is_unset() => self.heap.dict_set(dict, index, value),
            _ => self.set_item_rest(code, a, b, [container, index, value]),
        };
        self.consume_both(regs, code.locals, a, b);
        result
    }

    /// `container[index] = value`, not of a dict. Takes the value over.
    #[inline(never)]
    fn set_item_rest(&mut self, code: &Code, a: Reg, b: Reg, parts: [Value; 3]) -> Outcome<()> {
        let [container, index, value] = parts;
        if !container.is_unset() && !index.is_unset() {
            return self.set_item(container, index, value);
        }
        self.heap.release(value);
        Err(self.unbound(code, if container.is_unset() { a } else { b }))
    }

    /// `a[i] = c`
    #[inline(never)]
    pub(super) fn op_set_item_int(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        a: Reg,
        c: Reg,
        i: i32,
    ) -> Outcome<()> {
        let value = self.own(regs, code, c)?;
        let container = regs[usize::from(a)];
        if let Value::List(list) = container {
            if let Some(place) = self.heap.lists[list].items.get_mut(i as usize) {
                let old = std::mem::replace(place, value);
                self.heap.release(old);
                self.consume(regs, code.locals, a);
                return Ok(());
            }
        }
        if container.is_unset() {
            self.heap.release(value);
            return Err(self.unbound(code, a));
        }
        let result = self.set_item(container, Value::Int(i64::from(i)), value);
        self.consume(regs, code.locals, a);
        result?;
        Ok(())
    }

    /// `del a[b]`
    #[inline(never)]
    pub(super) fn op_delete_item(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        a: Reg,
        b: Reg,
    ) -> Outcome<()> {
        let (container, index) = (regs[usize::from(a)], regs[usize::from(b)]);
        let result = if container.is_unset() {
            Err(self.unbound(code, a))
        } else if index.is_unset() {
            Err(self.unbound(code, b))
        } else {
            self.delete_item(container, index)
        };
        self.consume(regs, code.locals, a);
        self.consume(regs, code.locals, b);
        result?;
        Ok(())
    }

    /// `d = a[b:c]`, a missing bound is unset
    #[inline(never)]
    pub(super) fn op_slice(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        d: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
    ) -> Outcome<()> {
        let (container, lower, upper) = (regs[usize::from(a)], regs[usize::from(b)], regs[usize::from(c)]);
        let value = match self.plain_slice(container, lower, upper) {
            Some(value) => value,
            None => {
                let result = if container.is_unset() {
                    Err(self.unbound(code, a))
                } else {
                    self.slice_step(container, lower, upper)
                };
                if let Err(raised) = result {
                    self.consume(regs, code.locals, a);
                    self.consume(regs, code.locals, b);
                    self.consume(regs, code.locals, c);
                    return Err(raised);
                }
                result?
            }
        };
        self.consume(regs, code.locals, a);
        self.consume(regs, code.locals, b);
        self.consume(regs, code.locals, c);
        self.put(regs, d, value);
        Ok(())
    }

    /// A slice of a sequence of moderate length by ints: owned; `None` for any other.
    #[inline(always)]
    fn plain_slice(&mut self, container: Value, lower: Value, upper: Value) -> Option<Value> {
        let length = match container {
            Value::Str(text) => self.heap.bytes(text).len(),
            Value::List(list) => self.heap.list(list).len(),
            Value::Tuple(tuple) => self.heap.tuple(tuple).len(),
            _ => return None,
        };
        if length > MODERATE {
            return None;
        }
        let bound = |value: Value, missing: usize| match value {
            Value::Int(i) if i >= 0 => Some((i as usize).min(length)),
            Value::Int(i) => Some(i.saturating_add(length as i64).max(0) as usize),
            Value::Unset => Some(missing),
            _ => None,
        };
        let (lower, upper) = (bound(lower, 0)?, bound(upper, length)?);
        let lower = lower.min(upper);
        if upper - lower == length && !matches!(container, Value::List(_)) {
            return Some(self.heap.share(container));
        }
        Some(match container {
            Value::Str(text) => self.heap.new_substr(text, lower, upper),
            Value::List(list) => self.heap.new_list_from(list, lower, upper),
            Value::Tuple(tuple) => self.heap.new_tuple_part(tuple, lower, upper),
            _ => return None,
        })
    }

    /// `a[b:c] = v`
    #[inline(never)]
    pub(super) fn op_set_slice(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        a: Reg,
        b: Reg,
        c: Reg,
        v: Reg,
    ) -> Outcome<()> {
        let value = self.own(regs, code, v)?;
        let result = self.set_slice(regs[usize::from(a)], regs[usize::from(b)], regs[usize::from(c)], value);
        self.heap.release(value);
        self.consume(regs, code.locals, a);
        self.consume(regs, code.locals, b);
        self.consume(regs, code.locals, c);
        result?;
        Ok(())
    }

    /// `del a[b:c]`
    #[inline(never)]
    pub(super) fn op_delete_slice(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        a: Reg,
        b: Reg,
        c: Reg,
    ) -> Outcome<()> {
        let result = self.delete_slice(regs[usize::from(a)], regs[usize::from(b)], regs[usize::from(c)]);
        self.consume(regs, code.locals, a);
        self.consume(regs, code.locals, b);
        self.consume(regs, code.locals, c);
        result?;
        Ok(())
    }

    /// `d = slice(a, a + 1, a + 2)` of three temporaries
    #[inline(never)]
    pub(super) fn op_new_slice(&mut self, regs: &mut Registers, d: Reg, a: Reg) -> Outcome<()> {
        let mut parts = [Value::Unset; 3];
        for (at, part) in parts.iter_mut().enumerate() {
            *part = std::mem::replace(&mut regs[a as usize + at], Value::Unset);
        }
        let slice = self.heap.new_slice(parts[0], parts[1], parts[2]);
        self.put(regs, d, slice);
        Ok(())
    }

    /// `d = [a, a + 1, …]`, `count` temporaries
    #[inline(never)]
    pub(super) fn op_new_list(&mut self, regs: &mut Registers, d: Reg, a: Reg, count: u8) -> Outcome<()> {
        let items = &mut regs[a as usize..a as usize + count as usize];
        let list = self.heap.new_list_of(items);
        items.fill(Value::Unset);
        self.put(regs, d, list);
        Ok(())
    }

    /// `d = (a, a + 1, …)`
    #[inline(never)]
    pub(super) fn op_new_tuple(&mut self, regs: &mut Registers, d: Reg, a: Reg, count: u8) -> Outcome<()> {
        if count == 2 {
            let first = std::mem::replace(&mut regs[usize::from(a)], Value::Unset);
            let second = std::mem::replace(&mut regs[usize::from(a + 1)], Value::Unset);
            let tuple = self.heap.new_pair(first, second);
            self.put(regs, d, tuple);
            return Ok(());
        }
        let items = &mut regs[a as usize..a as usize + count as usize];
        let tuple = self.heap.new_tuple(items);
        items.fill(Value::Unset);
        self.put(regs, d, tuple);
        Ok(())
    }

    /// `a.append(b)`, keeping `a`
    #[inline(always)]
    pub(super) fn op_append(&mut self, regs: &mut Registers, code: &Code, a: Reg, b: Reg) -> Outcome<()> {
        let value = self.own(regs, code, b)?;
        if let Value::List(list) = regs[usize::from(a)] {
            let items = &mut self.heap.lists[list].items;
            if items.len() < items.capacity() {
                items.push(value);
            } else {
                self.heap.list_push(list, value)?;
            }
        }
        Ok(())
    }

    /// `a = tuple(a)` of a list in a temporary
    #[inline(never)]
    pub(super) fn op_list_to_tuple(&mut self, regs: &mut Registers, a: Reg) -> Outcome<()> {
        if let Value::List(list) = regs[usize::from(a)] {
            let items = std::mem::take(&mut self.heap.lists[list].items);
            self.heap.recharge_list(list);
            let tuple = self.heap.new_tuple(&items);
            self.put(regs, a, tuple);
        }
        Ok(())
    }

    /// `a[key in b] = c`, keeping `a`
    #[inline(never)]
    pub(super) fn op_store(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        a: Reg,
        b: Reg,
        c: Reg,
    ) -> Outcome<()> {
        let value = self.own(regs, code, c)?;
        if regs[usize::from(b)].is_unset() {
            self.heap.release(value);
            return Err(self.unbound(code, b));
        }
        if let Value::Dict(dict) = regs[usize::from(a)] {
            let result = self.heap.dict_set(dict, regs[usize::from(b)], value);
            self.consume(regs, code.locals, b);
            result?;
        }
        Ok(())
    }

    /// Unpacks `a` into `count` temporaries from `t` on.
    #[inline(never)]
    pub(super) fn op_unpack(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        a: Reg,
        t: Reg,
        count: u8,
    ) -> Outcome<()> {
        let source = regs[usize::from(a)];
        let n = count as usize;
        let first = t as usize;
        match source {
            Value::Tuple(tuple) if self.heap.tuple(tuple).len() == n => {
                for at in 0..n {
                    let item = self.heap.tuple(tuple)[at];
                    self.heap.retain(item);
                    regs[first + at] = item;
                }
                self.consume(regs, code.locals, a);
            }
            Value::Unset => return Err(self.unbound(code, a)),
            _ => {
                let result = self.unpack(source, n);
                self.consume(regs, code.locals, a);
                let items = result?;
                regs[first..first + n].copy_from_slice(&items);
            }
        }
        Ok(())
    }

    /// Unpacks `a` into locals.
    #[inline(never)]
    pub(super) fn op_unpack_into<const N: usize>(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        a: Reg,
        into: [Reg; N],
    ) -> Outcome<()> {
        let source = regs[usize::from(a)];
        if let (Value::Tuple(tuple), true) = (source, a >= code.locals) {
            if let Some(items) = self.heap.open_tuple::<N>(tuple) {
                regs[usize::from(a)] = Value::Unset;
                for (at, d) in into.iter().enumerate() {
                    self.put(regs, *d, items[at]);
                }
                return Ok(());
            }
        }
        let found = match source {
            Value::Tuple(tuple) => <[Value; N]>::try_from(self.heap.tuple(tuple)),
            Value::List(list) => <[Value; N]>::try_from(self.heap.list(list)),
            _ => return self.unpack_into_slow(regs, code, a, into),
        };
        let Ok(items) = found else { return self.unpack_into_slow(regs, code, a, into) };
        items.iter().for_each(|item| self.heap.retain(*item));
        self.consume(regs, code.locals, a);
        // By their places: an iterator over both arrays would keep them in memory.
        for (at, d) in into.iter().enumerate() {
            self.put(regs, *d, items[at]);
        }
        Ok(())
    }

    #[inline(never)]
    fn unpack_into_slow<const N: usize>(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        a: Reg,
        into: [Reg; N],
    ) -> Outcome<()> {
        let source = regs[usize::from(a)];
        if source.is_unset() {
            return Err(self.unbound(code, a));
        }
        let result = self.unpack(source, N);
        self.consume(regs, code.locals, a);
        for (d, item) in into.into_iter().zip(result?) {
            self.put(regs, d, item);
        }
        Ok(())
    }

    /// Unpacks `a` into `count` items, left in a list in `d`, for many targets.
    #[inline(never)]
    pub(super) fn op_unpack_many(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        d: Reg,
        a: Reg,
        count: u16,
    ) -> Outcome<()> {
        let result = self.unpack(regs[usize::from(a)], count as usize);
        self.consume(regs, code.locals, a);
        let items = result?;
        let list = self.heap.new_list(items);
        self.put(regs, d, list);
        Ok(())
    }
}
