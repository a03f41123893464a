//! Instructions on attributes.

use super::attribute::{class_key, Callee};
use super::slow::Registers;
use super::Vm;
use crate::compile::{Code, Reg, IN_INSTANCE};
use crate::heap::{Class, Outcome, Value};

impl Vm {
    /// `d = a.site`
    #[inline(always)]
    pub(super) fn op_attribute(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        d: Reg,
        a: Reg,
        site: u16,
    ) -> Outcome<()> {
        let object = regs[usize::from(a)];
        let site = &code.sites[site as usize];
        if let Value::Instance(instance) = object {
            let data = &self.heap.instances[instance];
            if let Some(cache) = Vm::cached(site, data.shape.0) {
                let value =
                    if cache.class == IN_INSTANCE { data.slot(cache.slot as usize) } else { Value::Unset };
                if !value.is_unset() {
                    self.heap.retain(value);
                    self.consume(regs, code.locals, a);
                    self.put(regs, d, value);
                    return Ok(());
                }
            }
        } else if object.is_unset() {
            return Err(self.unbound(code, a));
        }
        let result = self.get_attribute_filling(object, site);
        self.consume(regs, code.locals, a);
        let value = result?;
        self.put(regs, d, value);
        Ok(())
    }

    /// `a.site = b`
    #[inline(always)]
    pub(super) fn op_set_attribute(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        a: Reg,
        b: Reg,
        site: u16,
    ) -> Outcome<()> {
        let object = regs[usize::from(a)];
        let value = self.own(regs, code, b)?;
        let site = &code.sites[site as usize];
        if let Value::Instance(instance) = object {
            let data = &mut self.heap.instances[instance];
            if let Some(cache) = Vm::cached(site, data.shape.0) {
                if cache.class == IN_INSTANCE {
                    let place = data.slot_mut(cache.slot as usize);
                    let old = std::mem::replace(place, value);
                    self.heap.release(old);
                } else {
                    self.add_cached(instance, cache, value);
                }
                self.consume(regs, code.locals, a);
                return Ok(());
            }
        } else if object.is_unset() {
            self.heap.release(value);
            return Err(self.unbound(code, a));
        }
        let result = self.set_attribute_filling(object, site, value);
        self.consume(regs, code.locals, a);
        result?;
        Ok(())
    }

    /// `del a.site`
    #[inline(always)]
    pub(super) fn op_delete_attribute(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        a: Reg,
        site: u16,
    ) -> Outcome<()> {
        let object = regs[usize::from(a)];
        if object.is_unset() {
            return Err(self.unbound(code, a));
        }
        let result = self.delete_attribute(object, code.sites[site as usize].name);
        self.consume(regs, code.locals, a);
        result?;
        Ok(())
    }

    /// Prepares `a.site(…)`; `a` is a local or `t + 1`. Afterwards `t` holds what to
    /// call and `t + 1` its first argument, or is unset if there is none.
    #[inline(always)]
    pub(super) fn op_method(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        t: Reg,
        a: Reg,
        site: u16,
    ) -> Outcome<()> {
        let object = regs[usize::from(a)];
        let site = &code.sites[site as usize];
        let key = match object {
            Value::Instance(instance) => self.heap.instances[instance].shape.0,
            Value::Class(_) | Value::Function(_) | Value::Method(_) | Value::Api(_) => u32::MAX,
            Value::Unset => return Err(self.unbound(code, a)),
            other => class_key(self.heap.class_of(other)),
        };
        let first = t.wrapping_add(1);
        if let Some(cache) = Vm::cached(site, key) {
            if cache.epoch == self.heap.class_epoch && key != u32::MAX {
                let owner = &self.heap.classes[Class(u64::from(cache.class))];
                let value = owner.attributes.value(cache.slot as usize);
                if let Value::Function(_) | Value::Native(_) = value {
                    self.heap.retain(value);
                    self.put(regs, t, value);
                    if a != first {
                        self.heap.retain(object);
                        self.put(regs, first, object);
                    }
                    return Ok(());
                }
            }
        }
        match self.prepare_method(object, site)? {
            Callee::WithObject(value) => {
                self.put(regs, t, value);
                if a != first {
                    self.heap.retain(object);
                    self.put(regs, first, object);
                }
            }
            Callee::Alone(value) => {
                self.put(regs, t, value);
                self.put(regs, first, Value::Unset);
            }
        }
        Ok(())
    }
}
