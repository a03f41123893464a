//! Instructions on attributes.

use super::attribute::{binds_to_nothing, class_key, Callee};
use super::slow::Registers;
use super::Vm;
use crate::compile::{AttributeSite, Code, Reg, FUNCTION, IN_INSTANCE, NATIVE};
use crate::heap::{Class, Function, Instance, NativeId, Outcome, Value};

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
        let site = &code.sites[usize::from(site)];
        if let Value::Instance(instance) = regs[usize::from(a)] {
            let data = &self.heap.instances[instance];
            if let Some(way) = site.find(data.shape.0) {
                if way.class.get() == IN_INSTANCE {
                    let value = data.slot(way.slot.get() as usize);
                    self.heap.retain(value);
                    self.consume(regs, code.locals, a);
                    self.put(regs, d, value);
                    return Ok(());
                }
            }
        }
        self.attribute_slow(regs, code, d, a, site)
    }

    #[inline(never)]
    fn attribute_slow(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        d: Reg,
        a: Reg,
        site: &AttributeSite,
    ) -> Outcome<()> {
        let object = regs[usize::from(a)];
        let value = match object {
            Value::Unset => return Err(self.unbound(code, a)),
            Value::Instance(instance) => self.cached_class_value(instance, site),
            _ => None,
        };
        let result = match value {
            Some(value @ Value::Function(_)) => {
                let Value::Instance(instance) = object else { return self.no_instance() };
                let class = self.heap.instances[instance].class;
                self.heap.retain(value);
                self.heap.retain(object);
                Ok(self.heap.new_method(value, object, class))
            }
            Some(value) => Ok(self.heap.share(value)),
            None => self.get_attribute_filling(object, site),
        };
        self.consume(regs, code.locals, a);
        let value = result?;
        self.put(regs, d, value);
        Ok(())
    }

    #[cold]
    fn no_instance(&mut self) -> Outcome<()> {
        Err(self.heap.raise(crate::heap::Builtin::SystemError, "a method was found without an object"))
    }

    /// A value of the class that a cache knows; a function is to be bound.
    fn cached_class_value(&self, instance: Instance, site: &AttributeSite) -> Option<Value> {
        let key = self.heap.instances[instance].shape.0;
        let way = site.find(key)?;
        if way.epoch.get() != self.heap.class_epoch || way.class.get() == IN_INSTANCE {
            return None;
        }
        match way.class.get() {
            FUNCTION => return Some(Value::Function(Function(u64::from(way.slot.get())))),
            NATIVE => return None,
            _ => {}
        }
        let owner = &self.heap.classes[Class(u64::from(way.class.get()))];
        let value = owner.attributes.value(way.slot.get() as usize);
        // It may have been replaced by one that binds.
        binds_to_nothing(value).then_some(value)
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
        let site = &code.sites[usize::from(site)];
        if let Value::Instance(instance) = regs[usize::from(a)] {
            let value = regs[usize::from(b)];
            let data = &mut self.heap.instances[instance];
            let known = site.find(data.shape.0).filter(|way| way.class.get() == IN_INSTANCE);
            if let (Some(way), false) = (known, value.is_unset()) {
                let old = std::mem::replace(data.slot_mut(way.slot.get() as usize), value);
                if b >= code.locals {
                    regs[usize::from(b)] = Value::Unset;
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
        self.set_attribute_slow(regs, code, a, b, site)
    }

    #[inline(never)]
    fn set_attribute_slow(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        a: Reg,
        b: Reg,
        site: &AttributeSite,
    ) -> Outcome<()> {
        let value = self.own(regs, code, b)?;
        let object = regs[usize::from(a)];
        let result = match object {
            Value::Unset => {
                self.heap.release(value);
                return Err(self.unbound(code, a));
            }
            Value::Instance(instance) => {
                let shape = self.heap.instances[instance].shape.0;
                match site.find(shape) {
                    Some(way) if way.epoch.get() == 0 && way.class.get() != IN_INSTANCE => {
                        self.add_cached(instance, way, value);
                        Ok(())
                    }
                    _ => self.set_attribute_filling(object, site, value),
                }
            }
            _ => self.set_attribute_filling(object, site, value),
        };
        self.consume(regs, code.locals, a);
        result
    }

    /// `del a.site`
    #[inline(never)]
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
        let site = &code.sites[usize::from(site)];
        let first = t.wrapping_add(1);
        // Instances first, by a test that is predicted well.
        if let Value::Instance(instance) = object {
            if let Some(way) = site.find(self.heap.instances[instance].shape.0) {
                if way.epoch.get() == self.heap.class_epoch && way.class.get() == FUNCTION {
                    let function = Function(u64::from(way.slot.get()));
                    self.heap.retain_function(function);
                    regs[usize::from(t)] = Value::Function(function);
                    if a != first {
                        self.heap.retain_instance(instance);
                        regs[usize::from(first)] = object;
                    }
                    return Ok(());
                }
            }
        }
        let key = match object {
            Value::Instance(instance) => self.heap.instances[instance].shape.0,
            Value::Class(_) | Value::Function(_) | Value::Method(_) | Value::Api(_) => u32::MAX,
            Value::Unset => return Err(self.unbound(code, a)),
            other => class_key(self.heap.class_of_common(other)),
        };
        if let (Some(way), false) = (site.find(key), key == u32::MAX) {
            if way.epoch.get() == self.heap.class_epoch && way.class.get() == NATIVE {
                // Both are temporaries, and free unless `a` is one of them.
                regs[usize::from(t)] = Value::Native(NativeId(u64::from(way.slot.get())));
                if a != first {
                    self.heap.retain(object);
                    regs[usize::from(first)] = object;
                }
                return Ok(());
            }
        }
        self.method_slow(regs, t, a, site)
    }

    #[inline(never)]
    fn method_slow(&mut self, regs: &mut Registers, t: Reg, a: Reg, site: &AttributeSite) -> Outcome<()> {
        let object = regs[usize::from(a)];
        let first = t.wrapping_add(1);
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
