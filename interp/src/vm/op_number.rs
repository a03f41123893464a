//! Arithmetic: ints and floats in place, everything else in `slow.rs`.

use super::slow::{Registers, Step};
use super::Vm;
use crate::compile::{Code, Op, Reg};
use crate::heap::{Builtin, Value};
use crate::syntax::ast::{BinaryOperator, UnaryOperator};

/// Texts up to this size are repeated without a look at limits, in bytes.
const SHORT_TEXT: i64 = 1024;

impl Vm {
    /// `d = a operator b` of ints or of floats; false if it is neither, or the result is none.
    #[inline(always)]
    pub(super) fn op_number(
        &mut self,
        regs: &mut Registers,
        (d, a, b): (Reg, Reg, Reg),
        int: impl Fn(i64, i64) -> Option<i64>,
        float: impl Fn(f64, f64) -> Option<f64>,
    ) -> bool {
        match (regs[usize::from(a)], regs[usize::from(b)]) {
            (Value::Int(x), Value::Int(y)) => match int(x, y) {
                Some(z) => self.put(regs, d, Value::Int(z)),
                None => return false,
            },
            (Value::Float(x), Value::Float(y)) => match float(x.get(), y.get()) {
                Some(z) => self.put(regs, d, Value::float(z)),
                None => return false,
            },
            _ => return false,
        }
        true
    }

    /// `d = a operator b` of ints.
    #[inline(always)]
    pub(super) fn op_integer(
        &mut self,
        regs: &mut Registers,
        (d, a, b): (Reg, Reg, Reg),
        int: impl Fn(i64, i64) -> Option<i64>,
    ) -> bool {
        if let (Value::Int(x), Value::Int(y)) = (regs[usize::from(a)], regs[usize::from(b)]) {
            if let Some(z) = int(x, y) {
                self.put(regs, d, Value::Int(z));
                return true;
            }
        }
        false
    }

    /// `d = a operator i` of an int.
    #[inline(always)]
    pub(super) fn op_integer_int(
        &mut self,
        regs: &mut Registers,
        (d, a, i): (Reg, Reg, i32),
        int: impl Fn(i64, i64) -> Option<i64>,
    ) -> bool {
        if let Value::Int(x) = regs[usize::from(a)] {
            if let Some(z) = int(x, i64::from(i)) {
                self.put(regs, d, Value::Int(z));
                return true;
            }
        }
        false
    }

    /// `d = a operator i` of an int or float.
    #[inline(always)]
    pub(super) fn op_number_int(
        &mut self,
        regs: &mut Registers,
        (d, a, i): (Reg, Reg, i32),
        int: impl Fn(i64, i64) -> Option<i64>,
        float: impl Fn(f64, f64) -> f64,
    ) -> bool {
        match regs[usize::from(a)] {
            Value::Int(x) => match int(x, i64::from(i)) {
                Some(z) => self.put(regs, d, Value::Int(z)),
                None => return false,
            },
            Value::Float(x) => self.put(regs, d, Value::float(float(x.get(), f64::from(i)))),
            _ => return false,
        }
        true
    }

    /// `d = a operator mask` of an int, as the 32-bit masks of hash functions.
    #[inline(always)]
    pub(super) fn op_mask(
        &mut self,
        regs: &mut Registers,
        (d, a, mask): (Reg, Reg, u32),
        int: impl Fn(i64, i64) -> i64,
    ) -> bool {
        if let Value::Int(x) = regs[usize::from(a)] {
            self.put(regs, d, Value::Int(int(x, i64::from(mask))));
            return true;
        }
        false
    }

    /// An arithmetic instruction, whatever its operands.
    #[inline(never)]
    pub(super) fn number_slow(&mut self, regs: &mut Registers, code: &Code, op: Op) -> Step {
        use BinaryOperator as B;
        if let Op::Add { d, a, b, .. } = op {
            if let (Value::Str(x), Value::Str(y)) = (regs[usize::from(a)], regs[usize::from(b)]) {
                return self.concat_step(regs, code, d, (a, x), (b, y));
            }
        }
        let repeated = match op {
            Op::Mul { d, a, b, .. } => match (regs[usize::from(a)], regs[usize::from(b)]) {
                (Value::Str(text), Value::Int(times)) => Some((d, a, text, times)),
                _ => None,
            },
            Op::MulInt { d, a, i, .. } => match regs[usize::from(a)] {
                Value::Str(text) => Some((d, a, text, i64::from(i))),
                _ => None,
            },
            _ => None,
        };
        if let Some((d, a, text, times)) = repeated {
            let size =
                i64::try_from(self.heap.bytes(text).len()).ok().and_then(|size| size.checked_mul(times));
            if times > 1 && size.is_some_and(|size| size <= SHORT_TEXT) {
                let whole = self.heap.new_str_repeated(text, times as usize);
                self.consume_str(regs, code.locals, a, text);
                self.put(regs, d, whole);
                return Ok(None);
            }
        }
        if let Op::Mod { d, a, b, .. } = op {
            if let Value::Str(format) = regs[usize::from(a)] {
                if let Some(text) = crate::types::percent_quick::format(self, format, regs[usize::from(b)]) {
                    self.consume_str(regs, code.locals, a, format);
                    if a != b {
                        self.consume(regs, code.locals, b);
                    }
                    self.put(regs, d, text);
                    return Ok(None);
                }
            }
        }
        let (operator, d, a, b, inplace) = match op {
            Op::Add { d, a, b, inplace } => (B::Add, d, a, b, inplace),
            Op::Sub { d, a, b, inplace } => (B::Subtract, d, a, b, inplace),
            Op::Mul { d, a, b, inplace } => (B::Multiply, d, a, b, inplace),
            Op::Div { d, a, b, inplace } => (B::Divide, d, a, b, inplace),
            Op::FloorDiv { d, a, b, inplace } => (B::FloorDivide, d, a, b, inplace),
            Op::Mod { d, a, b, inplace } => (B::Modulo, d, a, b, inplace),
            Op::And { d, a, b, inplace } => (B::And, d, a, b, inplace),
            Op::Or { d, a, b, inplace } => (B::Or, d, a, b, inplace),
            Op::Xor { d, a, b, inplace } => (B::Xor, d, a, b, inplace),
            Op::Shl { d, a, b, inplace } => (B::ShiftLeft, d, a, b, inplace),
            Op::Shr { d, a, b, inplace } => (B::ShiftRight, d, a, b, inplace),
            Op::Pow { d, a, b, inplace } => (B::Power, d, a, b, inplace),
            Op::Unary { d, a, operator } => return self.op_unary(regs, code, d, a, operator),
            _ => return self.number_int_slow(regs, code, op),
        };
        if let (B::Power, Value::Int(x), Value::Int(y)) =
            (operator, regs[usize::from(a)], regs[usize::from(b)])
        {
            if let Some(power) = u32::try_from(y).ok().and_then(|exponent| x.checked_pow(exponent)) {
                self.put(regs, d, Value::Int(power));
                return Ok(None);
            }
        }
        if let Some(value) = of_floats(operator, regs[usize::from(a)], regs[usize::from(b)]) {
            self.put(regs, d, value);
            return Ok(None);
        }
        self.binary_slow(regs, code, operator, d, a, b, inplace)
    }

    fn number_int_slow(&mut self, regs: &mut Registers, code: &Code, op: Op) -> Step {
        use BinaryOperator as B;
        let (operator, d, a, i, inplace) = match op {
            Op::AddInt { d, a, i, inplace } => (B::Add, d, a, i, inplace),
            Op::SubInt { d, a, i, inplace } => (B::Subtract, d, a, i, inplace),
            Op::MulInt { d, a, i, inplace } => (B::Multiply, d, a, i, inplace),
            Op::DivInt { d, a, i, inplace } => (B::Divide, d, a, i, inplace),
            Op::FloorDivInt { d, a, i, inplace } => (B::FloorDivide, d, a, i, inplace),
            Op::ModInt { d, a, i, inplace } => (B::Modulo, d, a, i, inplace),
            Op::AndInt { d, a, i, inplace } => (B::And, d, a, i, inplace),
            Op::OrInt { d, a, i, inplace } => (B::Or, d, a, i, inplace),
            Op::XorInt { d, a, i, inplace } => (B::Xor, d, a, i, inplace),
            Op::ShlInt { d, a, i, inplace } => (B::ShiftLeft, d, a, i, inplace),
            Op::ShrInt { d, a, i, inplace } => (B::ShiftRight, d, a, i, inplace),
            Op::AndMask { d, a, inplace, mask } => {
                return self.binary_mask_slow(regs, code, B::And, d, a, inplace, mask);
            }
            Op::XorMask { d, a, inplace, mask } => {
                return self.binary_mask_slow(regs, code, B::Xor, d, a, inplace, mask);
            }
            _ => return Err(self.heap.raise(Builtin::SystemError, "unknown instruction")),
        };
        self.binary_int_slow(regs, code, operator, d, a, (i, inplace))
    }

    /// `d = operator a`
    fn op_unary(
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

/// What an operator gives for a float and an int or float; `None` where that is left to others.
fn of_floats(operator: BinaryOperator, a: Value, b: Value) -> Option<Value> {
    let (x, y) = match (a, b) {
        (Value::Float(x), Value::Int(y)) => (x.get(), y as f64),
        (Value::Int(x), Value::Float(y)) => (x as f64, y.get()),
        (Value::Float(x), Value::Float(y)) => (x.get(), y.get()),
        _ => return None,
    };
    let z = match operator {
        BinaryOperator::Add => x + y,
        BinaryOperator::Subtract => x - y,
        BinaryOperator::Multiply => x * y,
        BinaryOperator::Divide => float_div(x, y)?,
        BinaryOperator::Power if x > 0.0 => {
            let power = x.powf(y);
            if !power.is_finite() || power == 0.0 {
                return None;
            }
            power
        }
        _ => return None,
    };
    Some(Value::float(z))
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

/// `x // y` by a positive constant.
#[inline(always)]
pub(super) fn int_div(x: i64, y: i64) -> Option<i64> {
    x.checked_div_euclid(y)
}

/// `x % y` by a positive constant.
#[inline(always)]
pub(super) fn int_mod(x: i64, y: i64) -> Option<i64> {
    x.checked_rem_euclid(y)
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
