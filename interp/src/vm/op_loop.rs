//! Instructions of loops.

use super::native::Flow;
use super::slow::Registers;
use super::Vm;
use crate::compile::Reg;
use crate::heap::{IterMode, Outcome, Str, Value};

/// What [`Vm::op_next`] comes to.
pub(super) enum Next {
    /// There is an item.
    Item,
    /// The iteration has ended.
    End,
    /// The thread waits; then the instruction is run again.
    Wait(Flow),
}

impl Vm {
    /// Turns the iterable in `t` into an iteration in `t`, `t + 1`, `t + 2`.
    #[inline(never)]
    pub(super) fn op_iterate(&mut self, regs: &mut Registers, t: Reg) -> Outcome<()> {
        let source = regs[usize::from(t)];
        match source {
            Value::List(_) => regs[usize::from(t + 1)] = Value::Int(0),
            _ => {
                let iteration = self.iterate(source)?;
                self.put(regs, t, iteration.source);
                regs[usize::from(t + 1)] = Value::Int(iteration.position);
                regs[usize::from(t + 2)] = Value::Int(iteration.expected);
            }
        }
        Ok(())
    }

    /// Takes the next item into `d` and jumps; falls through at the end, with the iteration dropped.
    #[inline(always)]
    pub(super) fn op_next(&mut self, regs: &mut Registers, t: Reg, d: Reg) -> Outcome<Next> {
        // The two commonest first, one predictable test each.
        if let (Value::Int(next), Value::Int(step)) = (regs[usize::from(t)], regs[usize::from(t + 1)]) {
            if let Value::Int(left) = regs[usize::from(t + 2)] {
                if left > 0 {
                    regs[usize::from(t)] = Value::Int(next.wrapping_add(step));
                    regs[usize::from(t + 2)] = Value::Int(left - 1);
                    self.put(regs, d, Value::Int(next));
                    return Ok(Next::Item);
                }
            }
            return Ok(Next::End);
        }
        if let (Value::List(list), Value::Int(i)) = (regs[usize::from(t)], regs[usize::from(t + 1)]) {
            if let Some(&item) = self.heap.list(list).get(i as usize) {
                regs[usize::from(t + 1)] = Value::Int(i + 1);
                self.heap.retain(item);
                self.put(regs, d, item);
                return Ok(Next::Item);
            }
            self.put(regs, t, Value::Unset);
            return Ok(Next::End);
        }
        if let Value::Str(text) = regs[usize::from(t)] {
            return Ok(if self.next_byte(regs, t, d, text) { Next::Item } else { Next::End });
        }
        self.next_slow(regs, t, d)
    }

    /// The next byte of a string; false at the end, with the iteration dropped.
    #[inline(never)]
    fn next_byte(&mut self, regs: &mut Registers, t: Reg, d: Reg, text: Str) -> bool {
        let at = regs[usize::from(t.wrapping_add(1))].as_int().unwrap_or(i64::MAX);
        let Some(&byte) = self.heap.bytes(text).get(at as usize) else {
            self.put(regs, t, Value::Unset);
            return false;
        };
        regs[usize::from(t.wrapping_add(1))] = Value::Int(at + 1);
        let item = self.heap.byte(byte);
        let old = std::mem::replace(&mut regs[usize::from(d)], item);
        self.heap.release(old);
        true
    }

    /// The next item of anything but a range or list.
    #[inline(never)]
    fn next_slow(&mut self, regs: &mut Registers, t: Reg, d: Reg) -> Outcome<Next> {
        let (Value::Tuple(tuple), Value::Int(i)) = (regs[usize::from(t)], regs[usize::from(t + 1)]) else {
            return self.next_rest(regs, t, d);
        };
        match self.heap.tuple(tuple).get(i as usize).copied() {
            Some(item) => {
                regs[usize::from(t + 1)] = Value::Int(i + 1);
                self.heap.retain(item);
                self.put(regs, d, item);
                Ok(Next::Item)
            }
            None => {
                self.put(regs, t, Value::Unset);
                Ok(Next::End)
            }
        }
    }

    /// The next item of what is no range, list, str or tuple.
    #[inline(never)]
    fn next_rest(&mut self, regs: &mut Registers, t: Reg, d: Reg) -> Outcome<Next> {
        match (regs[usize::from(t)], regs[usize::from(t + 1)]) {
            (source @ (Value::Dict(_) | Value::Set(_) | Value::Iter(_)), Value::Int(position)) => {
                let expected = regs[usize::from(t + 2)].as_int().unwrap_or(0);
                if let Some(item) = self.next_key(source, position, expected) {
                    // The places of removed keys are passed over the long way.
                    if !matches!(source, Value::Iter(_)) {
                        regs[usize::from(t + 1)] = Value::Int(position + 1);
                    }
                    self.put(regs, d, item);
                    return Ok(Next::Item);
                }
                return self.next_step(regs, t, d, source, position);
            }
            (source @ Value::Api(_), _) if self.line_hook.is_some() => {
                let result = match self.line_hook {
                    Some(hook) => hook(self, source),
                    None => Ok(Flow::Value(Value::Unset)),
                };
                match result? {
                    Flow::Value(Value::Unset) => self.put(regs, t, Value::Unset),
                    Flow::Value(line) => {
                        self.put(regs, d, line);
                        return Ok(Next::Item);
                    }
                    flow => return Ok(Next::Wait(flow)),
                }
            }
            (source, Value::Int(position)) => return self.next_step(regs, t, d, source, position),
            _ => {}
        }
        Ok(Next::End)
    }

    /// The item at the next place of a dict, set or iterator of a dict, if it is there and nothing has changed: owned.
    #[inline]
    fn next_key(&mut self, source: Value, position: i64, expected: i64) -> Option<Value> {
        let item = match source {
            Value::Dict(dict) => {
                let table = &self.heap.dicts[dict].table;
                let entry = table.slots().get(position as usize)?;
                if table.len() as i64 != expected {
                    return None;
                }
                entry.key
            }
            Value::Set(set) => {
                let table = &self.heap.sets[set].table;
                let entry = table.slots().get(position as usize)?;
                if table.len() as i64 != expected {
                    return None;
                }
                entry.key
            }
            Value::Iter(iter) => {
                let data = self.heap.iters[iter];
                let Value::Dict(dict) = data.source else { return None };
                let table = &self.heap.dicts[dict].table;
                let entry = *table.slots().get(data.position)?;
                if table.len() != data.expected || entry.key.is_unset() {
                    return None;
                }
                self.heap.iters[iter].position = data.position + 1;
                match data.mode {
                    IterMode::Items => entry.key,
                    IterMode::Values => entry.value,
                    IterMode::Pairs => {
                        self.heap.retain(entry.key);
                        self.heap.retain(entry.value);
                        return Some(self.heap.new_pair(entry.key, entry.value));
                    }
                }
            }
            _ => return None,
        };
        if item.is_unset() {
            return None;
        }
        Some(self.heap.share(item))
    }

    /// The next item of anything, the long way.
    fn next_step(
        &mut self,
        regs: &mut Registers,
        t: Reg,
        d: Reg,
        source: Value,
        position: i64,
    ) -> Outcome<Next> {
        let expected = regs[usize::from(t + 2)].as_int().unwrap_or(0);
        let mut iteration = super::Iteration { source, position, expected };
        let item = self.step(&mut iteration)?;
        regs[usize::from(t + 1)] = Value::Int(iteration.position);
        regs[usize::from(t + 2)] = Value::Int(iteration.expected);
        match item {
            Some(item) => {
                self.put(regs, d, item);
                Ok(Next::Item)
            }
            None => {
                self.put(regs, t, Value::Unset);
                Ok(Next::End)
            }
        }
    }

    /// If `t` is the built-in `range` or `xrange` and the `count` temporaries behind it are
    /// ints: makes the iteration and jumps.
    #[inline(never)]
    pub(super) fn op_range(&mut self, regs: &mut Registers, t: Reg, count: u8) -> bool {
        let callee = regs[usize::from(t)];
        let builtin = callee.same(self.range) || callee.same(self.xrange);
        let arg = |at: Reg| match regs[(t + at) as usize] {
            Value::Int(i) => Some(i),
            _ => None,
        };
        let parts = match count {
            1 => (Some(0), arg(1), Some(1)),
            2 => (arg(1), arg(2), Some(1)),
            _ => (arg(1), arg(2), arg(3)),
        };
        if let (true, (Some(start), Some(stop), Some(step))) = (builtin, parts) {
            if let Some(length) = range_length(start, stop, step) {
                self.put(regs, t, Value::Int(start));
                regs[usize::from(t + 1)] = Value::Int(step);
                regs[usize::from(t + 2)] = Value::Int(length);
                return true;
            }
        }
        false
    }
}

/// Number of items of `range(start, stop, step)`; `None` for a step of 0 or a length past 63 bits.
pub(crate) fn range_length(start: i64, stop: i64, step: i64) -> Option<i64> {
    if step == 0 {
        return None;
    }
    let (low, high, step) =
        if step > 0 { (start, stop, i128::from(step)) } else { (stop, start, -i128::from(step)) };
    if low >= high {
        return Some(0);
    }
    let length = (i128::from(high) - i128::from(low) - 1) / step + 1;
    i64::try_from(length).ok()
}
