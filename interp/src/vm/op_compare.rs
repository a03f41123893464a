//! Comparisons, truth, and the jumps that depend on them.

use super::slow::Registers;
use super::Vm;
use crate::compile::{Code, Reg};
use crate::heap::{Outcome, Value};
use crate::syntax::ast::CompareOperator;

impl Vm {
    /// Whether `a operator b`, by `int` or `float` where both are of that kind.
    #[inline(always)]
    pub(super) fn op_branch(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        (operator, a, b): (CompareOperator, Reg, Reg),
        int: impl Fn(&i64, &i64) -> bool,
        float: impl Fn(&f64, &f64) -> bool,
    ) -> Outcome<bool> {
        match (regs[usize::from(a)], regs[usize::from(b)]) {
            (Value::Int(x), Value::Int(y)) => Ok(int(&x, &y)),
            (Value::Float(x), Value::Float(y)) => Ok(float(&x.get(), &y.get())),
            _ => self.compare_slow(regs, code, operator, a, b),
        }
    }

    /// Whether `a operator i`.
    #[inline(always)]
    pub(super) fn op_branch_int(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        (operator, a, i): (CompareOperator, Reg, i16),
        int: impl Fn(&i64, &i64) -> bool,
        float: impl Fn(&f64, &f64) -> bool,
    ) -> Outcome<bool> {
        match regs[usize::from(a)] {
            Value::Int(x) => Ok(int(&x, &i64::from(i))),
            Value::Float(x) => Ok(float(&x.get(), &f64::from(i))),
            _ => self.compare_const_slow(regs, code, operator, a, Value::Int(i64::from(i))),
        }
    }

    /// `d = not a`
    #[inline(always)]
    pub(super) fn op_not(&mut self, regs: &mut Registers, code: &Code, d: Reg, a: Reg) -> Outcome<()> {
        let value = regs[usize::from(a)];
        if value.is_unset() {
            return Err(self.unbound(code, a));
        }
        let truth = self.truth(value);
        self.consume(regs, code.locals, a);
        self.put(regs, d, Value::bool(!truth));
        Ok(())
    }

    /// `d = a < b` …
    #[inline(always)]
    pub(super) fn op_compare(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        d: Reg,
        a: Reg,
        b: Reg,
        operator: CompareOperator,
    ) -> Outcome<()> {
        let holds = match (regs[usize::from(a)], regs[usize::from(b)]) {
            (Value::Int(x), Value::Int(y)) if operator != CompareOperator::In => match operator {
                CompareOperator::Less => x < y,
                CompareOperator::LessEqual => x <= y,
                CompareOperator::Greater => x > y,
                CompareOperator::GreaterEqual => x >= y,
                CompareOperator::Equal | CompareOperator::Is => x == y,
                CompareOperator::NotEqual | CompareOperator::IsNot => x != y,
                _ => self.compare_slow(regs, code, operator, a, b)?,
            },
            _ => self.compare_slow(regs, code, operator, a, b)?,
        };
        self.put(regs, d, Value::bool(holds));
        Ok(())
    }

    /// Whether `a == constants[k]`.
    #[inline(always)]
    pub(super) fn op_equal_const(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        a: Reg,
        k: u16,
    ) -> Outcome<bool> {
        let right = code.constants[k as usize];
        let holds = match (regs[usize::from(a)], right) {
            (Value::Str(x), Value::Str(y)) => {
                let same = self.heap.same_bytes(x, y);
                self.consume(regs, code.locals, a);
                same
            }
            _ => self.compare_const_slow(regs, code, CompareOperator::Equal, a, right)?,
        };
        Ok(holds)
    }

    /// Whether `a is b`.
    #[inline(always)]
    pub(super) fn op_is(&mut self, regs: &mut Registers, code: &Code, a: Reg, b: Reg) -> Outcome<bool> {
        let (left, right) = (regs[usize::from(a)], regs[usize::from(b)]);
        if left.is_unset() || right.is_unset() {
            let which = if left.is_unset() { a } else { b };
            return Err(self.unbound(code, which));
        }
        let same = left.same(right);
        self.consume(regs, code.locals, a);
        self.consume(regs, code.locals, b);
        Ok(same)
    }

    /// Whether `a is None`.
    #[inline(always)]
    pub(super) fn op_is_none(&mut self, regs: &mut Registers, code: &Code, a: Reg) -> Outcome<bool> {
        let value = regs[usize::from(a)];
        if value.is_unset() {
            return Err(self.unbound(code, a));
        }
        self.consume(regs, code.locals, a);
        Ok(value.is_none())
    }

    /// Whether `a` is true.
    #[inline(always)]
    pub(super) fn op_truth(&mut self, regs: &mut Registers, code: &Code, a: Reg) -> Outcome<bool> {
        let value = regs[usize::from(a)];
        let truth = match value {
            Value::Bool(b) => b.get(),
            Value::Int(i) => i != 0,
            Value::Unset => return Err(self.unbound(code, a)),
            other => {
                let truth = self.truth(other);
                self.consume(regs, code.locals, a);
                truth
            }
        };
        Ok(truth)
    }

    /// Whether `a` is true; kept if that is `wanted`, else consumed.
    #[inline(always)]
    pub(super) fn op_keep(&mut self, regs: &mut Registers, code: &Code, a: Reg, wanted: bool) -> bool {
        let truth = self.truth(regs[usize::from(a)]);
        if truth != wanted {
            self.consume(regs, code.locals, a);
        }
        truth
    }
}
