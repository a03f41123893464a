//! Instructions that move values between registers, constants and variables of every kind.

use super::slow::Registers;
use super::Vm;
use crate::compile::{Code, Reg};
use crate::heap::{Builtin, Outcome, Value};

impl Vm {
    /// `d = a`, keeping `a` even if it is a temporary.
    #[inline(always)]
    pub(super) fn op_copy(&mut self, regs: &mut Registers, code: &Code, d: Reg, a: Reg) -> Outcome<()> {
        let value = regs[usize::from(a)];
        if value.is_unset() {
            return Err(self.unbound(code, a));
        }
        self.heap.retain(value);
        self.put(regs, d, value);
        Ok(())
    }

    /// `d = a`, `d + 1 = b` of two locals, into free temporaries.
    #[inline(always)]
    pub(super) fn op_copy_two(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        d: Reg,
        a: Reg,
        b: Reg,
    ) -> Outcome<()> {
        let (first, second) = (regs[usize::from(a)], regs[usize::from(b)]);
        if first.is_unset() || second.is_unset() {
            let which = if first.is_unset() { a } else { b };
            return Err(self.unbound(code, which));
        }
        self.heap.retain(first);
        self.heap.retain(second);
        regs[usize::from(d)] = first;
        regs[usize::from(d.wrapping_add(1))] = second;
        Ok(())
    }

    /// `d = constants[k]`
    #[inline(always)]
    pub(super) fn op_constant(&mut self, regs: &mut Registers, code: &Code, d: Reg, k: u32) -> Outcome<()> {
        let value = code.constants[k as usize];
        self.heap.retain(value);
        self.put(regs, d, value);
        Ok(())
    }

    /// `del` of a local: raises if it is unset.
    #[inline(never)]
    pub(super) fn op_delete_local(&mut self, regs: &mut Registers, code: &Code, d: Reg) -> Outcome<()> {
        if regs[usize::from(d)].is_unset() {
            return Err(self.unbound(code, d));
        }
        self.put(regs, d, Value::Unset);
        Ok(())
    }

    /// `d = globals[g]`, else the built-in.
    #[inline(always)]
    pub(super) fn op_global(&mut self, regs: &mut Registers, code: &Code, d: Reg, g: u16) -> Outcome<()> {
        let site = &code.globals[g as usize];
        let table = &self.heap.dicts[code.home.get()].table;
        if let Some(entry) = table.slots().get(site.position.get() as usize) {
            if matches!(entry.key, Value::Str(name) if name == site.name) {
                let value = entry.value;
                self.heap.retain(value);
                self.put(regs, d, value);
                return Ok(());
            }
        }
        if site.version.get() == u64::from(table.version()) {
            let value = site.builtin.get();
            self.heap.retain(value);
            self.put(regs, d, value);
            return Ok(());
        }
        let value = self.global_slow(code, g)?;
        self.heap.retain(value);
        self.put(regs, d, value);
        Ok(())
    }

    /// `globals[g] = a`
    #[inline(never)]
    pub(super) fn op_set_global(&mut self, regs: &mut Registers, code: &Code, a: Reg, g: u16) -> Outcome<()> {
        let value = self.own(regs, code, a)?;
        let site = &code.globals[g as usize];
        let table = &mut self.heap.dicts[code.home.get()].table;
        let position = site.position.get() as usize;
        if let Some(entry) = table.slots().get(position) {
            if matches!(entry.key, Value::Str(name) if name == site.name) {
                let old = table.set_value(position, value);
                self.heap.note_lost(old);
                self.heap.release(old);
                return Ok(());
            }
        }
        self.set_global_slow(code, g, value)?;
        Ok(())
    }

    /// `d = *cell in register c`, a variable of this function shared with inner ones.
    #[inline(always)]
    pub(super) fn op_cell_get(&mut self, regs: &mut Registers, code: &Code, d: Reg, c: Reg) -> Outcome<()> {
        let value = match regs[usize::from(c)] {
            Value::Cell(cell) => self.heap.cells[cell].value,
            _ => Value::Unset,
        };
        if value.is_unset() {
            return Err(self.unbound(code, c));
        }
        self.heap.retain(value);
        self.put(regs, d, value);
        Ok(())
    }

    /// `*cell = a`
    #[inline(never)]
    pub(super) fn op_cell_set(&mut self, regs: &mut Registers, code: &Code, c: Reg, a: Reg) -> Outcome<()> {
        let value = self.own(regs, code, a)?;
        if let Value::Cell(cell) = regs[usize::from(c)] {
            let old = std::mem::replace(&mut self.heap.cells[cell].value, value);
            self.heap.release(old);
        }
        Ok(())
    }

    /// Puts the value of register `d` into a new cell and the cell into `d`.
    #[inline(never)]
    pub(super) fn op_cell_new(&mut self, regs: &mut Registers, d: Reg) -> Outcome<()> {
        let value = std::mem::replace(&mut regs[usize::from(d)], Value::Unset);
        let cell = self.heap.new_cell(value);
        regs[usize::from(d)] = Value::Cell(cell);
        Ok(())
    }

    /// `d = *cells[index]` of the running function.
    #[inline(always)]
    pub(super) fn op_free(&mut self, regs: &mut Registers, code: &Code, d: Reg, index: u16) -> Outcome<()> {
        let value = match regs[0] {
            Value::Function(function) => match self.heap.functions[function].cells.get(index as usize) {
                Some(cell) => self.heap.cells[*cell].value,
                None => Value::Unset,
            },
            _ => Value::Unset,
        };
        if value.is_unset() {
            return Err(self.unbound_free(code, index));
        }
        self.heap.retain(value);
        self.put(regs, d, value);
        Ok(())
    }

    /// The wide list of a function with many locals, in `d`, `count` places.
    #[inline(never)]
    pub(super) fn op_wide_new(&mut self, regs: &mut Registers, d: Reg, count: u16) -> Outcome<()> {
        let list = self.heap.new_list(vec![Value::Unset; count as usize]);
        self.put(regs, d, list);
        Ok(())
    }

    /// `d = wide[index]`
    #[inline(never)]
    pub(super) fn op_wide_get(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        d: Reg,
        w: Reg,
        index: u16,
    ) -> Outcome<()> {
        let value = match regs[usize::from(w)] {
            Value::List(list) => self.heap.list(list)[index as usize],
            _ => Value::Unset,
        };
        if value.is_unset() {
            return Err(self.unbound_wide(code, index));
        }
        self.heap.retain(value);
        self.put(regs, d, value);
        Ok(())
    }

    /// `wide[index] = a`
    #[inline(never)]
    pub(super) fn op_wide_set(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        w: Reg,
        a: Reg,
        index: u16,
    ) -> Outcome<()> {
        let value = self.own(regs, code, a)?;
        if let Value::List(list) = regs[usize::from(w)] {
            let place = &mut self.heap.lists[list].items[index as usize];
            let old = std::mem::replace(place, value);
            self.heap.release(old);
        }
        Ok(())
    }

    /// `del wide[index]`
    #[inline(never)]
    pub(super) fn op_wide_delete(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        w: Reg,
        index: u16,
    ) -> Outcome<()> {
        if let Value::List(list) = regs[usize::from(w)] {
            let place = &mut self.heap.lists[list].items[index as usize];
            let old = std::mem::replace(place, Value::Unset);
            if old.is_unset() {
                return Err(self.unbound_wide(code, index));
            }
            self.heap.release(old);
        }
        Ok(())
    }

    /// `d = names[g]` of a class body whose dict is in `n`, else the global.
    #[inline(never)]
    pub(super) fn op_class_get(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        d: Reg,
        n: Reg,
        g: u16,
    ) -> Outcome<()> {
        let name = code.globals[g as usize].name;
        let found = match regs[usize::from(n)] {
            Value::Dict(dict) => {
                let hash = self.heap.hash_str(name);
                let table = &self.heap.dicts[dict].table;
                table.find_str(&self.heap, hash, name).map(|at| table.value(at))
            }
            _ => None,
        };
        let value = match found {
            Some(value) => value,
            None => self.global_slow(code, g)?,
        };
        self.heap.retain(value);
        self.put(regs, d, value);
        Ok(())
    }

    /// `names[g] = a` of a class body.
    #[inline(never)]
    pub(super) fn op_class_set(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        n: Reg,
        a: Reg,
        g: u16,
    ) -> Outcome<()> {
        let value = self.own(regs, code, a)?;
        let name = code.globals[g as usize].name;
        if let Value::Dict(dict) = regs[usize::from(n)] {
            self.heap.dict_set(dict, Value::Str(name), value)?;
        }
        Ok(())
    }

    /// `del names[g]` of a class body.
    #[inline(never)]
    pub(super) fn op_class_delete(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        n: Reg,
        g: u16,
    ) -> Outcome<()> {
        let name = code.globals[g as usize].name;
        let removed = match regs[usize::from(n)] {
            Value::Dict(dict) => self.heap.dict_remove(dict, Value::Str(name))?,
            _ => None,
        };
        match removed {
            Some(value) => self.heap.release(value),
            None => {
                let name = self.heap.text(name);
                let message = format!("name '{name}' is not defined");
                return Err(self.heap.raise(Builtin::NameError, &message));
            }
        }
        Ok(())
    }
}
