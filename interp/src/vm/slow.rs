//! Slow paths of single instructions, kept out of the loop.

use std::rc::Rc;

use super::native::Flow;
use super::Vm;
use crate::compile::{Capture, Code, Reg, NO_ARITY};
use crate::heap::{Builtin, Class, FunctionData, List, Outcome, Raised, Str, Tuple, Value};
use crate::syntax::ast::{BinaryOperator, BinaryOperator as Op, CompareOperator, UnaryOperator};
use crate::types::comparing;
use crate::types::kernel::search::find;
use crate::types::long_text::{Assemble, Part};
use crate::types::support::release_all;

/// A window of registers.
pub(crate) type Registers = [Value; super::WINDOW];

/// Texts up to this size are put together, and searched, without a look at limits, in bytes.
const JOINED: usize = 16 << 10;

/// Lists up to this size are added up without a look at limits, in items.
const SMALL_LIST: usize = 256;

/// Done, or to be finished by the scheduler.
pub(crate) type Step = Outcome<Option<Flow>>;

impl Vm {
    /// Writes a register and drops what was in it.
    #[inline(always)]
    pub(crate) fn put(&mut self, regs: &mut Registers, d: Reg, value: Value) {
        if regs[d as usize].is_counted() {
            self.put_counted(regs, d, value);
        } else {
            regs[d as usize] = value;
        }
    }

    /// [`Vm::put`] where something counted is in the register.
    #[inline(never)]
    fn put_counted(&mut self, regs: &mut Registers, d: Reg, value: Value) {
        let old = std::mem::replace(&mut regs[d as usize], value);
        self.heap.release(old);
    }

    #[inline(never)]
    pub(crate) fn drop_value(&mut self, value: Value) {
        self.heap.release(value);
    }

    /// Drops a temporary that has been read.
    #[inline(always)]
    pub(crate) fn consume(&mut self, regs: &mut Registers, locals: Reg, r: Reg) {
        if r >= locals && regs[r as usize].is_counted() {
            self.drop_register(regs, r);
        }
    }

    /// [`Vm::consume`] of two registers.
    #[inline(always)]
    pub(crate) fn consume_both(&mut self, regs: &mut Registers, locals: Reg, a: Reg, b: Reg) {
        if a >= locals || b >= locals {
            self.drop_both(regs, locals, a, b);
        }
    }

    #[inline(never)]
    fn drop_both(&mut self, regs: &mut Registers, locals: Reg, a: Reg, b: Reg) {
        for r in [a, b] {
            if r >= locals {
                let old = std::mem::replace(&mut regs[r as usize], Value::Unset);
                self.heap.release(old);
            }
        }
    }

    /// [`Vm::put`] as the last thing an instruction does.
    #[inline(always)]
    pub(crate) fn put_last(&mut self, regs: &mut Registers, d: Reg, value: Value) -> Outcome<()> {
        if regs[d as usize].is_counted() {
            return self.put_counted_last(regs, d, value);
        }
        regs[d as usize] = value;
        Ok(())
    }

    #[inline(never)]
    fn put_counted_last(&mut self, regs: &mut Registers, d: Reg, value: Value) -> Outcome<()> {
        let old = std::mem::replace(&mut regs[d as usize], value);
        self.heap.release(old);
        Ok(())
    }

    /// [`Vm::consume`] of a register that holds a list.
    #[inline(always)]
    pub(crate) fn consume_list(&mut self, regs: &mut Registers, locals: Reg, r: Reg, list: List) {
        if r >= locals {
            regs[r as usize] = Value::Unset;
            self.heap.release_list(list);
        }
    }

    /// [`Vm::consume`] of a register that holds a str.
    #[inline(always)]
    pub(crate) fn consume_str(&mut self, regs: &mut Registers, locals: Reg, r: Reg, text: Str) {
        if r >= locals {
            regs[r as usize] = Value::Unset;
            self.heap.release_str(text);
        }
    }

    #[inline(never)]
    fn drop_register(&mut self, regs: &mut Registers, r: Reg) {
        let old = std::mem::replace(&mut regs[r as usize], Value::Unset);
        self.heap.release(old);
    }

    /// UnboundLocalError for a register without a value.
    #[cold]
    pub(crate) fn unbound(&mut self, code: &Code, r: Reg) -> Raised {
        let name = match code.local_names.get(usize::from(r)) {
            Some(name) => self.heap.text(*name),
            None => String::from("?"),
        };
        self.heap.raise(
            Builtin::UnboundLocalError,
            &format!("local variable '{name}' referenced before assignment"),
        )
    }

    #[cold]
    pub(crate) fn unbound_free(&mut self, code: &Code, index: u16) -> Raised {
        let name = match code.free_names.get(usize::from(index)) {
            Some(name) => self.heap.text(*name),
            None => String::from("?"),
        };
        self.heap.raise(
            Builtin::NameError,
            &format!("free variable '{name}' referenced before assignment in enclosing scope"),
        )
    }

    #[cold]
    pub(crate) fn unbound_wide(&mut self, code: &Code, index: u16) -> Raised {
        let name = match code.wide_names.get(usize::from(index)) {
            Some(name) => self.heap.text(*name),
            None => String::from("?"),
        };
        self.heap.raise(
            Builtin::UnboundLocalError,
            &format!("local variable '{name}' referenced before assignment"),
        )
    }

    /// An owned share of a register: moved out of a temporary, shared with a local.
    #[inline(always)]
    pub(crate) fn own(&mut self, regs: &mut Registers, code: &Code, r: Reg) -> Outcome<Value> {
        let value = regs[r as usize];
        if r >= code.locals {
            regs[r as usize] = Value::Unset;
        } else {
            if value.is_unset() {
                return Err(self.unbound(code, r));
            }
            self.heap.retain(value);
        }
        Ok(value)
    }

    /// A binary operator where the fast paths do not apply.
    #[inline(never)]
    #[allow(clippy::too_many_arguments)] // The operands of one instruction.
    pub(crate) fn binary_slow(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        operator: BinaryOperator,
        d: Reg,
        a: Reg,
        b: Reg,
        inplace: bool,
    ) -> Step {
        let (left, right) = (regs[a as usize], regs[b as usize]);
        if let (Value::Str(x), Value::Str(y), BinaryOperator::Add) = (left, right, operator) {
            return self.concat_step(regs, code, d, (a, x), (b, y));
        }
        if let (Value::List(x), Value::List(y), BinaryOperator::Add) = (left, right, operator) {
            // In place, or because the left list dies here.
            let dies = a >= code.locals && self.heap.count(left) == 1;
            if (inplace || dies) && x != y && self.append_items(x, y) {
                self.heap.retain(left);
                self.consume_both(regs, code.locals, a, b);
                self.put(regs, d, left);
                return Ok(None);
            }
            let sum = if inplace { None } else { self.add_lists(x, y) };
            if let Some(sum) = sum {
                self.consume_both(regs, code.locals, a, b);
                self.put(regs, d, sum);
                return Ok(None);
            }
        }
        if let Value::Long(_) = left {
            if let Some(result) = crate::types::operators::moderate_longs(self, operator, left, right) {
                self.consume_both(regs, code.locals, a, b);
                self.put(regs, d, result);
                return Ok(None);
            }
        }
        if let (Value::Tuple(x), Value::Tuple(y), BinaryOperator::Add) = (left, right, operator) {
            if let Some(sum) = self.add_tuples(x, y) {
                self.consume_both(regs, code.locals, a, b);
                self.put(regs, d, sum);
                return Ok(None);
            }
        }
        if left.is_unset() {
            self.consume(regs, code.locals, b);
            return Err(self.unbound(code, a));
        }
        if right.is_unset() {
            self.consume(regs, code.locals, a);
            return Err(self.unbound(code, b));
        }
        if let (Value::Set(_), Value::Set(_), Op::Or | Op::And | Op::Subtract | Op::Xor) =
            (left, right, operator)
        {
            let result = crate::types::sets::operator(self, operator, inplace, left, left, right);
            self.consume(regs, code.locals, a);
            self.consume(regs, code.locals, b);
            return self.finish_step(regs, d, result);
        }
        let result = crate::types::binary(self, operator, inplace, left, right);
        self.consume(regs, code.locals, a);
        self.consume(regs, code.locals, b);
        self.finish_step(regs, d, result)
    }

    /// `x + y` of two small lists: owned.
    fn add_lists(&mut self, x: List, y: List) -> Option<Value> {
        let size = self.heap.list(x).len() + self.heap.list(y).len();
        if size > SMALL_LIST {
            return None;
        }
        let mut items = self.heap.list_buffer(size);
        items.extend_from_slice(self.heap.list(x));
        items.extend_from_slice(self.heap.list(y));
        items.iter().for_each(|item| self.heap.retain(*item));
        self.spend(size / 16);
        Some(self.heap.new_list(items))
    }

    /// `x + y` of two small tuples: owned.
    fn add_tuples(&mut self, x: Tuple, y: Tuple) -> Option<Value> {
        const FEW: usize = 16;
        let (first, second) = (self.heap.tuple(x), self.heap.tuple(y));
        let size = first.len() + second.len();
        let mut items = [Value::None; FEW];
        items.get_mut(..first.len())?.copy_from_slice(first);
        items.get_mut(first.len()..size)?.copy_from_slice(second);
        items[..size].iter().for_each(|item| self.heap.retain(*item));
        Some(self.heap.new_tuple(&items[..size]))
    }

    /// Appends the items of `y` to another list `x`, if `y` is small. False if nothing was done.
    fn append_items(&mut self, x: List, y: List) -> bool {
        let second = self.heap.list(y).len();
        if second > SMALL_LIST {
            return false;
        }
        if let Err(raised) = self.heap.reserve_list(x, second) {
            let exception = self.heap.take_raised(raised);
            self.heap.release(exception);
            return false;
        }
        let items = std::mem::take(&mut self.heap.lists[y].items);
        items.iter().for_each(|item| self.heap.retain(*item));
        self.heap.lists[x].items.extend_from_slice(&items);
        self.heap.lists[y].items = items;
        true
    }

    /// `d = a + b` of two strings.
    #[inline(never)]
    pub(super) fn concat_step(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        d: Reg,
        (a, x): (Reg, Str),
        (b, y): (Reg, Str),
    ) -> Step {
        let (left, right) = (Value::Str(x), Value::Str(y));
        let (first, second) = (self.heap.bytes(x).len(), self.heap.bytes(y).len());
        let dies = (a >= code.locals || a == d) && self.heap.count(left) == 1;
        // What an expression made in between gets a buffer that fits; what a variable holds grows by doubling.
        let fits = dies && self.heap.fits(x, first + second);
        if fits && self.heap.append_str(x, y) {
            self.consume_str(regs, code.locals, b, y);
            if a != d {
                regs[usize::from(a)] = Value::Unset;
                self.put(regs, d, left);
            }
            return Ok(None);
        }
        if !(fits || dies && a == d) && first + second <= JOINED {
            // What the result replaces gives it its buffer.
            if let Value::Str(old) = regs[usize::from(d)] {
                if d != a && d != b && first + second > crate::heap::INLINE && self.heap.rejoin_str(old, x, y)
                {
                    self.consume_str(regs, code.locals, a, x);
                    if a != b {
                        self.consume_str(regs, code.locals, b, y);
                    }
                    return Ok(None);
                }
            }
            let whole = self.heap.joined_str(x, y);
            self.consume_str(regs, code.locals, a, x);
            if a != b {
                self.consume_str(regs, code.locals, b, y);
            }
            self.put(regs, d, whole);
            return Ok(None);
        }
        if crate::types::stepwise::is_large(first + second) && !dies {
            let result = self.join_large(x, y, (first, second));
            self.consume(regs, code.locals, a);
            self.consume(regs, code.locals, b);
            return self.finish_step(regs, d, result);
        }
        if a >= code.locals || a == d {
            // The left string dies here: it can be appended to in place.
            regs[a as usize] = Value::Unset;
        } else {
            self.heap.retain(left);
        }
        let share = a == b;
        if share {
            self.heap.retain(right);
        }
        let result = self.heap.concat_str(x, y);
        if share {
            self.heap.release(right);
        } else {
            self.consume(regs, code.locals, b);
        }
        let value = result?;
        self.put(regs, d, value);
        Ok(None)
    }

    /// `left + right` of large strings of these sizes, neither of which can be appended to.
    #[cold]
    #[inline(never)]
    fn join_large(&mut self, left: Str, right: Str, sizes: (usize, usize)) -> super::native::NativeReturn {
        self.heap.make_room(sizes.0 + sizes.1)?;
        let parts = vec![Part::Text(left, 0, sizes.0), Part::Text(right, 0, sizes.1)];
        let whole = Assemble::new(self, parts, sizes.0 + sizes.1);
        crate::types::stepwise::start(self, whole)
    }

    /// The same with a small constant on the right.
    #[inline(never)]
    pub(crate) fn binary_int_slow(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        operator: BinaryOperator,
        d: Reg,
        a: Reg,
        (i, inplace): (i32, bool),
    ) -> Step {
        let left = regs[a as usize];
        if left.is_unset() {
            return Err(self.unbound(code, a));
        }
        if let Value::Long(_) = left {
            let right = Value::Int(i64::from(i));
            if let Some(result) = crate::types::operators::moderate_longs(self, operator, left, right) {
                self.consume(regs, code.locals, a);
                self.put(regs, d, result);
                return Ok(None);
            }
        }
        let result = crate::types::binary(self, operator, inplace, left, Value::Int(i64::from(i)));
        self.consume(regs, code.locals, a);
        self.finish_step(regs, d, result)
    }

    /// The same with a 32-bit mask.
    #[inline(never)]
    #[allow(clippy::too_many_arguments)] // The operands of one instruction.
    pub(crate) fn binary_mask_slow(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        operator: BinaryOperator,
        d: Reg,
        a: Reg,
        inplace: bool,
        mask: u32,
    ) -> Step {
        let left = regs[a as usize];
        if left.is_unset() {
            return Err(self.unbound(code, a));
        }
        let result = crate::types::binary(self, operator, inplace, left, Value::Int(i64::from(mask)));
        self.consume(regs, code.locals, a);
        self.finish_step(regs, d, result)
    }

    /// A unary operator.
    #[inline(never)]
    pub(crate) fn unary_slow(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        operator: UnaryOperator,
        d: Reg,
        a: Reg,
    ) -> Step {
        let operand = regs[a as usize];
        if operand.is_unset() {
            return Err(self.unbound(code, a));
        }
        let result = crate::types::unary(self, operator, operand);
        self.consume(regs, code.locals, a);
        self.finish_step(regs, d, result)
    }

    /// Stores a native's result, or hands its wish on.
    #[inline]
    pub(crate) fn finish_step(
        &mut self,
        regs: &mut Registers,
        d: Reg,
        result: super::native::NativeReturn,
    ) -> Step {
        let flow = result?;
        if let Flow::Value(value) = flow {
            // There is nothing to drop in it.
            std::mem::forget(flow);
            self.put(regs, d, value);
            return Ok(None);
        }
        Ok(Some(flow))
    }

    /// A comparison where the fast paths do not apply.
    #[inline(never)]
    pub(crate) fn compare_slow(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        operator: CompareOperator,
        a: Reg,
        b: Reg,
    ) -> Outcome<bool> {
        let (left, right) = (regs[a as usize], regs[b as usize]);
        let result = if left.is_unset() {
            Err(self.unbound(code, a))
        } else if right.is_unset() {
            Err(self.unbound(code, b))
        } else {
            self.compare_patiently(operator, left, right)
        };
        if self.postponed.is_some() {
            // The instruction will be run again.
            return result;
        }
        self.consume(regs, code.locals, a);
        self.consume(regs, code.locals, b);
        result
    }

    /// Compares for an instruction: what would take long is postponed.
    fn compare_patiently(&mut self, operator: CompareOperator, left: Value, right: Value) -> Outcome<bool> {
        if let Some(answer) = self.compared.take() {
            return answer.map_err(|exception| self.heap.raise_value(exception));
        }
        if let Some(order) = self.heap.plain_order(left, right) {
            match operator {
                CompareOperator::Equal => return Ok(order.is_eq()),
                CompareOperator::NotEqual => return Ok(order.is_ne()),
                CompareOperator::Less => return Ok(order.is_lt()),
                CompareOperator::LessEqual => return Ok(order.is_le()),
                CompareOperator::Greater => return Ok(order.is_gt()),
                CompareOperator::GreaterEqual => return Ok(order.is_ge()),
                _ => {}
            }
        }
        let long = comparing::is_long_search(self, operator, left, right);
        self.patience = if long { -1 } else { comparing::PATIENCE };
        let result = if long {
            Err(self.heap.raise_bare(Builtin::SystemError))
        } else {
            self.compare(operator, left, right)
        };
        let patience = std::mem::replace(&mut self.patience, i64::MAX);
        if result.is_err() && patience < 0 {
            let flow = comparing::for_instruction(self, operator, left, right)?;
            self.postponed = Some(flow);
        }
        result
    }

    /// `a in b` of two registers.
    #[inline(never)]
    pub(crate) fn contains_step(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        a: Reg,
        b: Reg,
    ) -> Outcome<bool> {
        let (item, container) = (regs[a as usize], regs[b as usize]);
        let found = match (item, container) {
            (Value::Str(part), Value::Str(text)) => match *self.heap.bytes(part) {
                [byte] => self.heap.strs[text].body.holds(byte),
                ref part if self.heap.bytes(text).len() <= JOINED => {
                    find(self.heap.bytes(text), part).is_some()
                }
                _ => return self.compare_slow(regs, code, CompareOperator::In, a, b),
            },
            (Value::Str(key), Value::Dict(dict)) => self.heap.dict_get_str(dict, key).is_some(),
            (Value::Int(key), Value::Dict(dict)) => self.heap.dict_get_int(dict, key).is_some(),
            (Value::Tuple(_), Value::Dict(dict)) => self.heap.dict_get(dict, item)?.is_some(),
            (Value::Int(_) | Value::Str(_) | Value::Tuple(_), Value::Set(set)) => {
                self.heap.set_contains(set, item)?
            }
            _ => return self.compare_slow(regs, code, CompareOperator::In, a, b),
        };
        self.consume_both(regs, code.locals, a, b);
        Ok(found)
    }

    /// A comparison with a constant.
    #[inline(never)]
    pub(crate) fn compare_const_slow(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        operator: CompareOperator,
        a: Reg,
        right: Value,
    ) -> Outcome<bool> {
        let left = regs[a as usize];
        let result = if left.is_unset() {
            Err(self.unbound(code, a))
        } else {
            self.compare_patiently(operator, left, right)
        };
        if self.postponed.is_none() {
            self.consume(regs, code.locals, a);
        }
        result
    }

    /// A global or built-in: borrowed.
    #[inline(never)]
    pub(crate) fn global_slow(&mut self, code: &Code, g: u16) -> Outcome<Value> {
        let site = &code.globals[usize::from(g)];
        let dict = code.home.get();
        let table = &self.heap.dicts[dict].table;
        let version = u64::from(table.version());
        if site.version.get() == version {
            return Ok(site.builtin.get());
        }
        let hash = self.heap.hash_str(site.name);
        if let Some(position) = table.find_str(&self.heap, hash, site.name) {
            site.position.set(position as u32);
            return Ok(table.value(position));
        }
        if let Some(position) = self.builtins.find_str(&self.heap, hash, site.name) {
            let value = self.builtins.value(position);
            site.builtin.set(value);
            site.version.set(version);
            return Ok(value);
        }
        let name = self.heap.text(site.name);
        // Functions of 2.7 say "global name", module and class bodies just "name".
        let message = if code.is_function {
            format!("global name '{name}' is not defined")
        } else {
            format!("name '{name}' is not defined")
        };
        Err(self.heap.raise(Builtin::NameError, &message))
    }

    /// `globals[g] = value` where the cache has missed. Takes `value` over.
    #[inline(never)]
    pub(crate) fn set_global_slow(&mut self, code: &Code, g: u16, value: Value) -> Outcome<()> {
        let site = &code.globals[usize::from(g)];
        let dict = code.home.get();
        self.heap.dict_set(dict, Value::Str(site.name), value)?;
        let hash = self.heap.hash_str(site.name);
        let table = &self.heap.dicts[dict].table;
        if let Some(position) = table.find_str(&self.heap, hash, site.name) {
            site.position.set(position as u32);
        }
        Ok(())
    }

    /// `del` of a global.
    pub(crate) fn delete_global(&mut self, code: &Code, g: u16) -> Outcome<()> {
        let name = code.globals[usize::from(g)].name;
        let removed = self.heap.dict_remove(code.home.get(), Value::Str(name))?;
        match removed {
            Some(value) => {
                self.heap.release(value);
                Ok(())
            }
            None => {
                let name = self.heap.text(name);
                Err(self.heap.raise(Builtin::NameError, &format!("name '{name}' is not defined")))
            }
        }
    }

    /// `function` with its defaults from `t` on: owned.
    pub(crate) fn make_function(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        t: Reg,
        count: u8,
        f: u16,
    ) -> Value {
        let inner = &code.functions[usize::from(f)];
        let mut defaults = Vec::with_capacity(usize::from(count));
        for at in 0..count {
            defaults.push(std::mem::replace(&mut regs[usize::from(t + at)], Value::Unset));
        }
        let mut cells = Vec::with_capacity(inner.captures.len());
        for capture in &inner.captures {
            let cell = match *capture {
                Capture::Register(register) => match regs[usize::from(register)] {
                    Value::Cell(cell) => Some(cell),
                    _ => None,
                },
                Capture::Free(index) => match regs[0] {
                    Value::Function(function) => {
                        self.heap.functions[function].cells.get(usize::from(index)).copied()
                    }
                    _ => None,
                },
            };
            let cell = match cell {
                Some(cell) => {
                    self.heap.retain(Value::Cell(cell));
                    cell
                }
                None => self.heap.new_cell(Value::Unset),
            };
            cells.push(cell);
        }
        Value::Function(self.heap.new_function(FunctionData {
            arity: inner.code.arity,
            alone: if cells.is_empty() { inner.code.arity } else { NO_ARITY },
            code: Rc::clone(&inner.code),
            globals: code.home.get(),
            defaults: defaults.into(),
            cells: cells.into(),
            attributes: None,
        }))
    }

    /// The class of a finished class body: owned.
    pub(crate) fn make_class(&mut self, regs: &mut Registers, code: &Code) -> Outcome<Value> {
        let Value::Dict(dict) = regs[2] else {
            return Err(self.heap.raise(Builtin::SystemError, "no class body"));
        };
        let mut bases: Vec<Class> = Vec::new();
        if let Value::Tuple(tuple) = regs[1] {
            for at in 0..self.heap.tuple(tuple).len() {
                match self.heap.tuple(tuple)[at] {
                    Value::Class(class) => bases.push(class),
                    other => {
                        let name = self.type_name(other);
                        let message = match other {
                            Value::Function(_) | Value::Native(_) => format!(
                                "Error when calling the metaclass bases\n    {name}() takes at most 2 arguments (3 given)"
                            ),
                            _ => format!(
                                "Error when calling the metaclass bases\n    cannot create '{name}' instances"
                            ),
                        };
                        return self.type_error(&message);
                    }
                }
            }
        }
        let table = std::mem::take(&mut self.heap.dicts[dict].table);
        self.heap.recharge_dict(dict);
        let class = self.heap.new_class(code.name, &bases, table)?;
        Ok(Value::Class(class))
    }

    /// Method call, keyword call: `t` is the callee, then `count` values, then those of
    /// `names`, then the star arguments as `extra` says. Puts all positional
    /// arguments behind `stack[at]`; gives their number and the keywords.
    pub(crate) fn spread(
        &mut self,
        stack: &mut Vec<Value>,
        at: usize,
        count: usize,
        code: &Code,
        names: u16,
        extra: u8,
    ) -> Outcome<(usize, super::call::Extra)> {
        let names = &code.keywords[usize::from(names)];
        let mut place = at + 1 + count;
        let mut keywords: Vec<(crate::heap::Str, Value)> = Vec::with_capacity(names.len());
        for name in names.iter() {
            keywords.push((*name, std::mem::replace(&mut stack[place], Value::Unset)));
            place += 1;
        }
        let mut star = Value::Unset;
        let mut double_star = Value::Unset;
        if extra & 1 != 0 {
            star = std::mem::replace(&mut stack[place], Value::Unset);
            place += 1;
        }
        if extra & 2 != 0 {
            double_star = std::mem::replace(&mut stack[place], Value::Unset);
        }
        let result = self.spread_stars(stack, at, count, &mut keywords, star, double_star);
        self.heap.release(star);
        self.heap.release(double_star);
        match result {
            Ok(count) => Ok((count, super::call::Extra { keywords })),
            Err(raised) => {
                self.clear(stack, at, count + 1);
                keywords.into_iter().for_each(|(_, value)| self.heap.release(value));
                Err(raised)
            }
        }
    }

    fn callee_name(&self, callee: Value) -> String {
        match callee {
            Value::Function(function) => {
                format!("{}()", self.heap.text(self.heap.functions[function].code.name))
            }
            Value::Method(method) => self.callee_name(self.heap.methods[method].function),
            Value::Native(native) => format!("{}()", self.native(native).name),
            Value::BoundNative(bound) => {
                format!("{}()", self.native(self.heap.bound_natives[bound].native).name)
            }
            Value::Class(class) => {
                let data = &self.heap.classes[class];
                let s = if data.style == crate::heap::Style::Old { " constructor" } else { "" };
                format!("{}{s}", self.heap.text(data.name))
            }
            _ => format!("{} object", self.type_name(callee)),
        }
    }

    /// A key of a `**` as a keyword: the interned name, which those of parameters are, or the key itself, kept for
    /// the call since the dict may die before it begins. A name that a program makes up must not stay for ever.
    fn outliving_name(&mut self, key: Str) -> Str {
        let name = self.heap.known_name(key);
        if name == key {
            let kept = self.heap.share(Value::Str(key));
            self.spread_names.push(kept);
        }
        name
    }

    fn spread_stars(
        &mut self,
        stack: &mut Vec<Value>,
        at: usize,
        count: usize,
        keywords: &mut Vec<(crate::heap::Str, Value)>,
        star: Value,
        double_star: Value,
    ) -> Outcome<usize> {
        if !double_star.is_unset() {
            let Some(dict) = self.as_dict(self.unwrap_payload(double_star)) else {
                let (callee, name) = (self.callee_name(stack[at]), self.type_name(double_star));
                return self.type_error(&format!("{callee} argument after ** must be a mapping, not {name}"));
            };
            let done = std::mem::take(&mut self.spread_names);
            release_all(&mut self.heap, done);
            for index in 0..self.heap.dicts[dict].table.slots().len() {
                let entry = self.heap.dicts[dict].table.slots()[index];
                let key = match entry.key {
                    Value::Unset => continue,
                    Value::Str(key) => self.outliving_name(key),
                    _ => {
                        let callee = self.callee_name(stack[at]);
                        let text = match stack[at] {
                            // A function without keywords does not look at them.
                            Value::Native(native) if !self.native(native).keywords => {
                                format!("{callee} takes no keyword arguments")
                            }
                            _ => format!("{callee} keywords must be strings"),
                        };
                        return self.type_error(&text);
                    }
                };
                if keywords.iter().any(|(known, _)| *known == key) {
                    let (callee, key) = (self.callee_name(stack[at]), self.heap.text(key));
                    return self
                        .type_error(&format!("{callee} got multiple values for keyword argument '{key}'"));
                }
                let value = self.heap.share(entry.value);
                keywords.push((key, value));
            }
        }
        let mut total = count;
        if !star.is_unset() {
            if self.try_iterate(star).map(|iteration| self.finish(iteration)).is_err() {
                let (callee, name) = (self.callee_name(stack[at]), self.type_name(star));
                return self
                    .type_error(&format!("{callee} argument after * must be an iterable, not {name}"));
            }
            let items = self.collect_items(star)?;
            super::thread::Thread::reach(stack, at + 1 + count + items.len(), &mut self.heap);
            total += items.len();
            for (index, item) in items.into_iter().enumerate() {
                stack[at + 1 + count + index] = item;
            }
        }
        Ok(total)
    }
}
