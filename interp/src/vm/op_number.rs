//! Arithmetic: ints and floats in place, everything else in `slow.rs`.

use super::slow::{Registers, Step};
use super::Vm;
use crate::compile::{Code, Reg};
use crate::heap::Value;
use crate::syntax::ast::{BinaryOperator, UnaryOperator};

/// Operands of `d = a operator b`, and whether it is the `operator=` of a statement.
pub(super) type Binary = (BinaryOperator, Reg, Reg, Reg, bool);

/// The same with a constant on the right.
pub(super) type BinaryInt = (BinaryOperator, Reg, Reg, i32, bool);

impl Vm {
    /// `d = a operator b` of ints and floats.
    #[inline(always)]
    pub(super) fn op_number(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        (operator, d, a, b, inplace): Binary,
        int: impl Fn(i64, i64) -> Option<i64>,
        float: impl Fn(f64, f64) -> Option<f64>,
    ) -> Step {
        let result = match (regs[usize::from(a)], regs[usize::from(b)]) {
            (Value::Int(x), Value::Int(y)) => int(x, y).map(Value::Int),
            (Value::Float(x), Value::Float(y)) => float(x.get(), y.get()).map(Value::float),
            (Value::Float(x), Value::Int(y)) => float(x.get(), y as f64).map(Value::float),
            (Value::Int(x), Value::Float(y)) => float(x as f64, y.get()).map(Value::float),
            _ => None,
        };
        match result {
            Some(value) => {
                self.put(regs, d, value);
                Ok(None)
            }
            None => self.binary_slow(regs, code, operator, d, a, b, inplace),
        }
    }

    /// `d = a operator b` of ints.
    #[inline(always)]
    pub(super) fn op_integer(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        (operator, d, a, b, inplace): Binary,
        int: impl Fn(i64, i64) -> Option<i64>,
    ) -> Step {
        if let (Value::Int(x), Value::Int(y)) = (regs[usize::from(a)], regs[usize::from(b)]) {
            if let Some(z) = int(x, y) {
                self.put(regs, d, Value::Int(z));
                return Ok(None);
            }
        }
        self.binary_slow(regs, code, operator, d, a, b, inplace)
    }

    /// `d = a operator i` of an int.
    #[inline(always)]
    pub(super) fn op_integer_int(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        (operator, d, a, i, inplace): BinaryInt,
        int: impl Fn(i64, i64) -> Option<i64>,
    ) -> Step {
        if let Value::Int(x) = regs[usize::from(a)] {
            if let Some(z) = int(x, i64::from(i)) {
                self.put(regs, d, Value::Int(z));
                return Ok(None);
            }
        }
        self.binary_int_slow(regs, code, operator, d, a, (i, inplace))
    }

    /// `d = a operator i` of an int or float.
    #[inline(always)]
    pub(super) fn op_number_int(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        (operator, d, a, i, inplace): BinaryInt,
        int: impl Fn(i64, i64) -> Option<i64>,
        float: impl Fn(f64, f64) -> f64,
    ) -> Step {
        match regs[usize::from(a)] {
            Value::Int(x) => {
                if let Some(z) = int(x, i64::from(i)) {
                    self.put(regs, d, Value::Int(z));
                    return Ok(None);
                }
            }
            Value::Float(x) => {
                self.put(regs, d, Value::float(float(x.get(), f64::from(i))));
                return Ok(None);
            }
            _ => {}
        }
        self.binary_int_slow(regs, code, operator, d, a, (i, inplace))
    }

    /// `d = a ** b`
    #[inline(always)]
    pub(super) fn op_pow(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        (operator, d, a, b, inplace): Binary,
    ) -> Step {
        if let (Value::Float(x), Value::Float(y)) = (regs[usize::from(a)], regs[usize::from(b)]) {
            let power = x.get().powf(y.get());
            if x.get() > 0.0 && power.is_finite() && power != 0.0 {
                self.put(regs, d, Value::float(power));
                return Ok(None);
            }
        }
        self.binary_slow(regs, code, operator, d, a, b, inplace)
    }

    /// `d = a operator mask`, as the 32-bit masks of hash functions
    #[inline(always)]
    pub(super) fn op_mask(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        (operator, d, a, mask, inplace): (BinaryOperator, Reg, Reg, u32, bool),
        int: impl Fn(i64, i64) -> i64,
    ) -> Step {
        if let Value::Int(x) = regs[usize::from(a)] {
            self.put(regs, d, Value::Int(int(x, i64::from(mask))));
            return Ok(None);
        }
        self.binary_mask_slow(regs, code, operator, d, a, inplace, mask)
    }

    /// `d = operator a`
    #[inline(always)]
    pub(super) fn op_unary(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        d: Reg,
        a: Reg,
        operator: UnaryOperator,
    ) -> Step {
        let value = match (operator, regs[usize::from(a)]) {
            (UnaryOperator::Negate, Value::Int(x)) if x != i64::MIN => Value::Int(-x),
            (UnaryOperator::Negate, Value::Float(x)) => Value::float(-x.get()),
            (UnaryOperator::Invert, Value::Int(x)) => Value::Int(!x),
            _ => return self.unary_slow(regs, code, operator, d, a),
        };
        self.put(regs, d, value);
        Ok(None)
    }
}

/// `x / y` of floats, `None` for a division by zero.
#[inline(always)]
pub(super) fn float_div(x: f64, y: f64) -> Option<f64> {
    if y == 0.0 {
        None
    } else {
        Some(x / y)
    }
}

/// `x // y`, `None` where the result is no int.
#[inline(always)]
pub(super) fn floor_div(x: i64, y: i64) -> Option<i64> {
    if y == 0 || (y == -1 && x == i64::MIN) {
        return None;
    }
    let quotient = x / y;
    Some(if (x % y != 0) && ((x < 0) != (y < 0)) { quotient - 1 } else { quotient })
}

/// `x % y`, `None` where the result is no int.
#[inline(always)]
pub(super) fn floor_mod(x: i64, y: i64) -> Option<i64> {
    if y == 0 || y == -1 {
        return None;
    }
    let rest = x % y;
    Some(if rest != 0 && ((rest < 0) != (y < 0)) { rest + y } else { rest })
}

/// `x << y`, `None` where the result is no int.
#[inline(always)]
pub(super) fn shift_left(x: i64, y: i64) -> Option<i64> {
    if !(0..=62).contains(&y) {
        return None;
    }
    let shifted = x << y;
    if shifted >> y == x {
        Some(shifted)
    } else {
        None
    }
}

/// `x >> y`, `None` where there is no such shift.
#[inline(always)]
pub(super) fn shift_right(x: i64, y: i64) -> Option<i64> {
    if y < 0 {
        return None;
    }
    Some(x >> y.min(63))
}
