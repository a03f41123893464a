//! Comparisons, truth, and the jumps that depend on them.

use super::slow::Registers;
use super::Vm;
use crate::compile::{Code, Op, Reg};
use crate::heap::{Builtin, Outcome, Str, Value};
use crate::syntax::ast::CompareOperator;

/// Whether an operator asks for equality or order.
fn is_of_texts(operator: CompareOperator) -> bool {
    use CompareOperator as C;
    matches!(operator, C::Less | C::LessEqual | C::Greater | C::GreaterEqual | C::Equal | C::NotEqual)
}

impl Vm {
    /// Whether an instruction that compares and jumps is to jump, whatever its operands.
    #[inline(never)]
    pub(super) fn branch_slow(&mut self, regs: &mut Registers, code: &Code, op: Op) -> Outcome<bool> {
        use CompareOperator as C;
        let (operator, a, b, wanted) = match op {
            Op::JumpLess { a, b, .. } => (C::Less, a, b, true),
            Op::JumpLessEqual { a, b, .. } => (C::LessEqual, a, b, true),
            Op::JumpGreater { a, b, .. } => (C::Greater, a, b, true),
            Op::JumpGreaterEqual { a, b, .. } => (C::GreaterEqual, a, b, true),
            Op::JumpNotLess { a, b, .. } => (C::Less, a, b, false),
            Op::JumpNotLessEqual { a, b, .. } => (C::LessEqual, a, b, false),
            Op::JumpNotGreater { a, b, .. } => (C::Greater, a, b, false),
            Op::JumpNotGreaterEqual { a, b, .. } => (C::GreaterEqual, a, b, false),
            Op::JumpEqual { a, b, .. } => (C::Equal, a, b, true),
            Op::JumpNotEqual { a, b, .. } => (C::Equal, a, b, false),
            _ => return self.branch_int_slow(regs, code, op),
        };
        if let (Value::Str(x), Value::Str(y)) = (regs[usize::from(a)], regs[usize::from(b)]) {
            return Ok(self.compare_texts(regs, code, operator, (a, x), (b, y)) == wanted);
        }
        Ok(self.compare_slow(regs, code, operator, a, b)? == wanted)
    }

    /// Whether two strings, which are consumed, are equal or in an order.
    #[inline]
    fn compare_texts(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        operator: CompareOperator,
        (a, x): (Reg, Str),
        (b, y): (Reg, Str),
    ) -> bool {
        use CompareOperator as C;
        let holds = if matches!(operator, C::Equal | C::NotEqual) {
            self.heap.same_bytes(x, y) == (operator == C::Equal)
        } else {
            let order = match (self.heap.bytes(x), self.heap.bytes(y)) {
                ([x], [y]) => x.cmp(y),
                (x, y) => x.cmp(y),
            };
            match operator {
                C::Less => order.is_lt(),
                C::LessEqual => order.is_le(),
                C::Greater => order.is_gt(),
                _ => order.is_ge(),
            }
        };
        self.consume_str(regs, code.locals, a, x);
        if a != b {
            self.consume_str(regs, code.locals, b, y);
        }
        holds
    }

    fn branch_int_slow(&mut self, regs: &mut Registers, code: &Code, op: Op) -> Outcome<bool> {
        use CompareOperator as C;
        let (operator, a, i, wanted) = match op {
            Op::JumpLessInt { a, i, .. } => (C::Less, a, i, true),
            Op::JumpLessEqualInt { a, i, .. } => (C::LessEqual, a, i, true),
            Op::JumpGreaterInt { a, i, .. } => (C::Greater, a, i, true),
            Op::JumpGreaterEqualInt { a, i, .. } => (C::GreaterEqual, a, i, true),
            Op::JumpNotLessInt { a, i, .. } => (C::Less, a, i, false),
            Op::JumpNotLessEqualInt { a, i, .. } => (C::LessEqual, a, i, false),
            Op::JumpNotGreaterInt { a, i, .. } => (C::Greater, a, i, false),
            Op::JumpNotGreaterEqualInt { a, i, .. } => (C::GreaterEqual, a, i, false),
            Op::JumpEqualInt { a, i, .. } => (C::Equal, a, i, true),
            Op::JumpNotEqualInt { a, i, .. } => (C::Equal, a, i, false),
            _ => return Err(self.heap.raise(Builtin::SystemError, "unknown instruction")),
        };
        let right = Value::Int(i64::from(i));
        Ok(self.compare_const_slow(regs, code, operator, a, right)? == wanted)
    }

    /// `d = not a`
    #[inline(never)]
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
    #[inline(never)]
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
            (Value::Str(x), Value::Str(y)) if is_of_texts(operator) => {
                self.compare_texts(regs, code, operator, (a, x), (b, y))
            }
            _ => match operator {
                CompareOperator::In => self.contains_step(regs, code, a, b)?,
                CompareOperator::NotIn => !self.contains_step(regs, code, a, b)?,
                _ => self.compare_slow(regs, code, operator, a, b)?,
            },
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
                self.consume_str(regs, code.locals, a, x);
                same
            }
            _ => self.compare_const_slow(regs, code, CompareOperator::Equal, a, right)?,
        };
        Ok(holds)
    }

    /// Whether `a is b`.
    #[inline(never)]
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

    /// Whether `a` is true, where it is neither int nor bool.
    #[inline(never)]
    pub(super) fn truth_step(&mut self, regs: &mut Registers, code: &Code, a: Reg) -> Outcome<bool> {
        let value = regs[usize::from(a)];
        if value.is_unset() {
            return Err(self.unbound(code, a));
        }
        let truth = self.truth(value);
        self.consume(regs, code.locals, a);
        Ok(truth)
    }

    /// Whether `a in constants[k]`.
    #[inline(never)]
    pub(super) fn op_in_const(&mut self, regs: &mut Registers, code: &Code, a: Reg, k: u16) -> Outcome<bool> {
        let container = code.constants[usize::from(k)];
        if let (Value::Str(part), Value::Str(text)) = (regs[usize::from(a)], container) {
            if let [byte] = *self.heap.bytes(part) {
                let found = self.heap.strs[text].body.holds(byte);
                self.consume_str(regs, code.locals, a, part);
                return Ok(found);
            }
        }
        self.compare_const_slow(regs, code, CompareOperator::In, a, container)
    }

    /// Whether `a` is true; kept if that is `wanted`, else consumed.
    #[inline(never)]
    pub(super) fn op_keep(&mut self, regs: &mut Registers, code: &Code, a: Reg, wanted: bool) -> bool {
        let truth = self.truth(regs[usize::from(a)]);
        if truth != wanted {
            self.consume(regs, code.locals, a);
        }
        truth
    }
}
