//! Instructions on items and slices, and those that build and take apart containers.

use super::slow::Registers;
use super::Vm;
use crate::compile::{Code, Reg};
use crate::heap::{Dict, Outcome, Value};

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
                        self.consume(regs, code.locals, a);
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
        let (container, index) = (regs[usize::from(a)], regs[usize::from(b)]);
        if let (Value::Dict(dict), Value::Str(key)) = (container, index) {
            if let Some(item) = self.heap.dict_get_str(dict, key) {
                self.heap.retain(item);
                self.consume(regs, code.locals, a);
                self.consume(regs, code.locals, b);
                self.put(regs, d, item);
                return Ok(());
            }
        }
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

    #[inline(never)]
    fn item_int_slow(&mut self, regs: &mut Registers, code: &Code, d: Reg, a: Reg, i: i32) -> Outcome<()> {
        let container = regs[usize::from(a)];
        if container.is_unset() {
            return Err(self.unbound(code, a));
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
                self.consume(regs, code.locals, a);
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
            (Value::Unset, _) => {
                self.heap.release(value);
                Err(self.unbound(code, a))
            }
            (_, Value::Unset) => {
                self.heap.release(value);
                Err(self.unbound(code, b))
            }
            (Value::Dict(dict), _) => self.heap.dict_set(dict, index, value),
            _ => self.set_item(container, index, value),
        };
        self.consume(regs, code.locals, a);
        self.consume(regs, code.locals, b);
        result
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
        let container = regs[usize::from(a)];
        let result = if container.is_unset() {
            Err(self.unbound(code, a))
        } else {
            self.slice_step(container, regs[usize::from(b)], regs[usize::from(c)])
        };
        self.consume(regs, code.locals, a);
        self.consume(regs, code.locals, b);
        self.consume(regs, code.locals, c);
        let value = result?;
        self.put(regs, d, value);
        Ok(())
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
                for (d, item) in into.into_iter().zip(items) {
                    self.put(regs, d, item);
                }
                return Ok(());
            }
        }
        let mut items = [Value::Unset; N];
        let found = match source {
            Value::Tuple(tuple) => <[Value; N]>::try_from(self.heap.tuple(tuple)).ok(),
            Value::List(list) => <[Value; N]>::try_from(self.heap.list(list)).ok(),
            Value::Unset => return Err(self.unbound(code, a)),
            _ => None,
        };
        match found {
            Some(found) => {
                items = found;
                items.iter().for_each(|item| self.heap.retain(*item));
                self.consume(regs, code.locals, a);
            }
            None => {
                let result = self.unpack(source, N);
                self.consume(regs, code.locals, a);
                for (place, item) in items.iter_mut().zip(result?) {
                    *place = item;
                }
            }
        }
        for (d, item) in into.into_iter().zip(items) {
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
