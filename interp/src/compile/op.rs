//! The instruction set: eight bytes each, three-address, on a window of 256
//! registers.
//!
//! Register 0 holds the running function, parameters follow, then other
//! locals, then temporaries. **A temporary (a register at or above
//! `Code::locals`) is consumed by the instruction that reads it**, unless the
//! instruction says otherwise; a local is only looked at. A free temporary never
//! holds a counted value.

use crate::syntax::ast::{BinaryOperator, CompareOperator, UnaryOperator};

/// A register.
pub type Reg = u8;

/// An instruction. `d` is the register written, `a` `b` `c` those read,
/// `to` the place of an instruction in the same code.
#[derive(Clone, Copy, Debug, PartialEq)]
#[allow(missing_docs)] // The fields are named as said above.
pub enum Op {
    /// `d = a`, keeping `a` even if it is a temporary.
    Copy { d: Reg, a: Reg },
    /// `d = a`, `d + 1 = b` of two locals, into free temporaries.
    CopyTwo { d: Reg, a: Reg, b: Reg },
    /// `d = a`, a slice bound that may be unset, keeping `a`.
    CopyBound { d: Reg, a: Reg },
    /// `d = a` of a temporary.
    Take { d: Reg, a: Reg },
    /// `d = constants[k]`
    Constant { d: Reg, k: u32 },
    /// `d = value`
    Int { d: Reg, value: i32 },
    /// `d = None`
    None { d: Reg },
    /// `d = True` or `False`, names that the module never binds
    Truth { d: Reg, value: bool },
    /// `d` becomes unset; its old value is dropped. For temporaries and `del`ed locals.
    Drop { d: Reg },
    /// At the head of a function: its locals behind the parameters are unset. Registers
    /// from `from` to before `to`, which hold nothing counted.
    Clear { from: Reg, to: Reg },
    /// `del` of a local: raises if it is unset.
    DeleteLocal { d: Reg },

    /// `d = globals[g]`, else the built-in.
    Global { d: Reg, g: u16 },
    /// `globals[g] = a`
    SetGlobal { a: Reg, g: u16 },
    /// `del globals[g]`
    DeleteGlobal { g: u16 },
    /// `d = *cell in register c`, a variable of this function shared with inner ones.
    CellGet { d: Reg, c: Reg },
    /// `*cell = a`
    CellSet { c: Reg, a: Reg },
    /// Puts the value of register `d` into a new cell and the cell into `d`.
    CellNew { d: Reg },
    /// `d = *cells[index]` of the running function.
    Free { d: Reg, index: u16 },
    /// The wide list of a function with many locals, in `d`, `count` places.
    WideNew { d: Reg, count: u16 },
    /// `d = wide[index]`
    WideGet { d: Reg, w: Reg, index: u16 },
    /// `wide[index] = a`
    WideSet { w: Reg, a: Reg, index: u16 },
    /// `del wide[index]`
    WideDelete { w: Reg, index: u16 },
    /// `d = names[g]` of a class body whose dict is in `n`, else the global.
    ClassGet { d: Reg, n: Reg, g: u16 },
    /// `names[g] = a` of a class body.
    ClassSet { n: Reg, a: Reg, g: u16 },
    /// `del names[g]` of a class body.
    ClassDelete { n: Reg, g: u16 },

    /// `d = a + b`; `inplace` for `+=`.
    Add { d: Reg, a: Reg, b: Reg, inplace: bool },
    /// `d = a - b`
    Sub { d: Reg, a: Reg, b: Reg, inplace: bool },
    /// `d = a * b`
    Mul { d: Reg, a: Reg, b: Reg, inplace: bool },
    /// `d = a / b`
    Div { d: Reg, a: Reg, b: Reg, inplace: bool },
    /// `d = a // b`
    FloorDiv { d: Reg, a: Reg, b: Reg, inplace: bool },
    /// `d = a % b`
    Mod { d: Reg, a: Reg, b: Reg, inplace: bool },
    /// `d = a & b`
    And { d: Reg, a: Reg, b: Reg, inplace: bool },
    /// `d = a | b`
    Or { d: Reg, a: Reg, b: Reg, inplace: bool },
    /// `d = a ^ b`
    Xor { d: Reg, a: Reg, b: Reg, inplace: bool },
    /// `d = a << b`
    Shl { d: Reg, a: Reg, b: Reg, inplace: bool },
    /// `d = a >> b`
    Shr { d: Reg, a: Reg, b: Reg, inplace: bool },
    /// `d = a ** b`
    Pow { d: Reg, a: Reg, b: Reg, inplace: bool },
    /// `d = a + i`
    AddInt { d: Reg, a: Reg, i: i32, inplace: bool },
    /// `d = a - i`
    SubInt { d: Reg, a: Reg, i: i32, inplace: bool },
    /// `d = a * i`
    MulInt { d: Reg, a: Reg, i: i32, inplace: bool },
    /// `d = a // i`, `i` positive
    FloorDivInt { d: Reg, a: Reg, i: i32, inplace: bool },
    /// `d = a / i`, `i` positive
    DivInt { d: Reg, a: Reg, i: i32, inplace: bool },
    /// `d = a % i`, `i` positive
    ModInt { d: Reg, a: Reg, i: i32, inplace: bool },
    /// `d = a & i`
    AndInt { d: Reg, a: Reg, i: i32, inplace: bool },
    /// `d = a | i`
    OrInt { d: Reg, a: Reg, i: i32, inplace: bool },
    /// `d = a ^ i`
    XorInt { d: Reg, a: Reg, i: i32, inplace: bool },
    /// `d = a & mask`, as the 32-bit masks of hash functions
    AndMask { d: Reg, a: Reg, inplace: bool, mask: u32 },
    /// `d = a ^ mask`
    XorMask { d: Reg, a: Reg, inplace: bool, mask: u32 },
    /// `d = a << i`, `i` in 0..=62
    ShlInt { d: Reg, a: Reg, i: i32, inplace: bool },
    /// `d = a >> i`, `i` in 0..=63
    ShrInt { d: Reg, a: Reg, i: i32, inplace: bool },
    /// `d = op a`
    Unary { d: Reg, a: Reg, operator: UnaryOperator },
    /// `d = not a`
    Not { d: Reg, a: Reg },

    /// `d = a < b` …
    Compare { d: Reg, a: Reg, b: Reg, operator: CompareOperator },
    /// Jumps if `a < b`.
    JumpLess { a: Reg, b: Reg, to: u32 },
    /// Jumps if `a <= b`.
    JumpLessEqual { a: Reg, b: Reg, to: u32 },
    /// Jumps if `a > b`.
    JumpGreater { a: Reg, b: Reg, to: u32 },
    /// Jumps if `a >= b`.
    JumpGreaterEqual { a: Reg, b: Reg, to: u32 },
    /// Jumps if `a == b`.
    JumpEqual { a: Reg, b: Reg, to: u32 },
    /// Jumps if `a != b`.
    JumpNotEqual { a: Reg, b: Reg, to: u32 },
    /// Jumps unless `a < b`.
    JumpNotLess { a: Reg, b: Reg, to: u32 },
    /// Jumps unless `a <= b`.
    JumpNotLessEqual { a: Reg, b: Reg, to: u32 },
    /// Jumps unless `a > b`.
    JumpNotGreater { a: Reg, b: Reg, to: u32 },
    /// Jumps unless `a >= b`.
    JumpNotGreaterEqual { a: Reg, b: Reg, to: u32 },
    /// Jumps if `a < i`.
    JumpLessInt { a: Reg, i: i16, to: u32 },
    /// Jumps if `a <= i`.
    JumpLessEqualInt { a: Reg, i: i16, to: u32 },
    /// Jumps if `a > i`.
    JumpGreaterInt { a: Reg, i: i16, to: u32 },
    /// Jumps if `a >= i`.
    JumpGreaterEqualInt { a: Reg, i: i16, to: u32 },
    /// Jumps if `a == i`.
    JumpEqualInt { a: Reg, i: i16, to: u32 },
    /// Jumps if `a != i`.
    JumpNotEqualInt { a: Reg, i: i16, to: u32 },
    /// Jumps unless `a < i`.
    JumpNotLessInt { a: Reg, i: i16, to: u32 },
    /// Jumps unless `a <= i`.
    JumpNotLessEqualInt { a: Reg, i: i16, to: u32 },
    /// Jumps unless `a > i`.
    JumpNotGreaterInt { a: Reg, i: i16, to: u32 },
    /// Jumps unless `a >= i`.
    JumpNotGreaterEqualInt { a: Reg, i: i16, to: u32 },
    /// Jumps if `a == constants[k]`.
    JumpEqualConst { a: Reg, k: u16, to: u32 },
    /// Jumps if `a != constants[k]`.
    JumpNotEqualConst { a: Reg, k: u16, to: u32 },
    /// Jumps if `a is b`.
    JumpIs { a: Reg, b: Reg, to: u32 },
    /// Jumps if `a is not b`.
    JumpIsNot { a: Reg, b: Reg, to: u32 },
    /// Jumps if `a is None`.
    JumpNone { a: Reg, to: u32 },
    /// Jumps if `a is not None`.
    JumpNotNone { a: Reg, to: u32 },
    /// Jumps if `a in b`.
    JumpIn { a: Reg, b: Reg, to: u32 },
    /// Jumps if `a not in b`.
    JumpNotIn { a: Reg, b: Reg, to: u32 },
    /// Jumps if `a in constants[k]`.
    JumpInConst { a: Reg, k: u16, to: u32 },
    /// Jumps if `a not in constants[k]`.
    JumpNotInConst { a: Reg, k: u16, to: u32 },
    /// Jumps if `a` is true.
    JumpTrue { a: Reg, to: u32 },
    /// Jumps if `a` is false.
    JumpFalse { a: Reg, to: u32 },
    /// Jumps, keeping the temporary `a`, if it is true; else consumes it.
    KeepTrue { a: Reg, to: u32 },
    /// Jumps, keeping the temporary `a`, if it is false; else consumes it.
    KeepFalse { a: Reg, to: u32 },
    /// Jumps.
    Jump { to: u32 },
    /// Jumps back: a check point.
    Loop { to: u32 },

    /// `d = a.site`
    Attribute { d: Reg, a: Reg, site: u16 },
    /// `a.site = b`
    SetAttribute { a: Reg, b: Reg, site: u16 },
    /// `del a.site`
    DeleteAttribute { a: Reg, site: u16 },
    /// Prepares `a.site(…)`; `a` is a local or `t + 1`. Afterwards `t` holds what to
    /// call and `t + 1` its first argument, or is unset if there is none.
    Method { t: Reg, a: Reg, site: u16 },
    /// `d = a[b]`
    Item { d: Reg, a: Reg, b: Reg },
    /// `d = a[i]`
    ItemInt { d: Reg, a: Reg, i: i32 },
    /// `a[b] = c`
    SetItem { a: Reg, b: Reg, c: Reg },
    /// `a[i] = c`
    SetItemInt { a: Reg, c: Reg, i: i32 },
    /// `del a[b]`
    DeleteItem { a: Reg, b: Reg },
    /// `d = a[b:c]`, a missing bound is unset
    Slice { d: Reg, a: Reg, b: Reg, c: Reg },
    /// `a[b:c] = v`
    SetSlice { a: Reg, b: Reg, c: Reg, v: Reg },
    /// `del a[b:c]`
    DeleteSlice { a: Reg, b: Reg, c: Reg },
    /// `d = slice(a, a + 1, a + 2)` of three temporaries
    NewSlice { d: Reg, a: Reg },

    /// `d = [a, a + 1, …]`, `count` temporaries
    NewList { d: Reg, a: Reg, count: u8 },
    /// `d = (a, a + 1, …)`
    NewTuple { d: Reg, a: Reg, count: u8 },
    /// `d = {}`
    NewDict { d: Reg },
    /// `a.append(b)`, keeping `a`
    Append { a: Reg, b: Reg },
    /// `a = tuple(a)` of a list in a temporary
    ListToTuple { a: Reg },
    /// `a[key in b] = c`, keeping `a`
    Store { a: Reg, b: Reg, c: Reg },
    /// Unpacks `a` into `count` temporaries from `t` on.
    Unpack { a: Reg, t: Reg, count: u8 },
    /// Unpacks `a` into the locals `d` and `e`.
    UnpackTwo { a: Reg, d: Reg, e: Reg },
    /// Unpacks `a` into the locals `d`, `e` and `f`.
    UnpackThree { a: Reg, d: Reg, e: Reg, f: Reg },
    /// Unpacks `a` into `count` items, left in a list in `d`, for many targets.
    UnpackMany { d: Reg, a: Reg, count: u16 },

    /// Turns the iterable in `t` into an iteration in `t`, `t + 1`, `t + 2`.
    Iterate { t: Reg },
    /// Takes the next item into `d` and jumps; falls through at the end, with the iteration dropped.
    Next { t: Reg, d: Reg, to: u32 },
    /// If `t` is the built-in `range` or `xrange` and the `count` temporaries behind it are
    /// ints: makes the iteration and jumps.
    Range { t: Reg, count: u8, to: u32 },

    /// `d = t(t + 1, …)`, `count` positional arguments
    Call { d: Reg, t: Reg, count: u8 },
    /// `d = globals[g](a)` by the short way of a built-in, passing over the next instruction; if that cannot be, `t` and
    /// `t + 1` are laid out for the next one, a call.
    Builtin { d: Reg, t: Reg, a: Reg, g: u16 },
    /// `d = globals[g](t + 1, …)`
    CallGlobal { d: Reg, t: Reg, count: u8, g: u16 },
    /// Raises unless `globals[g]` is bound: it is called by a `CallGlobal` to come, after what its arguments raise.
    NeedGlobal { g: u16 },
    /// `d = globals[g](a)`, where `g` is named `len`; `t` and `t + 1` are for a call of it, and `a` may be `t + 1`.
    Len { d: Reg, a: Reg, t: Reg, g: u16 },
    /// The call that [`Op::Method`] prepared; `count` does not count the object.
    CallMethod { d: Reg, t: Reg, count: u8 },
    /// A call with keywords: `count` positional, then the values of `keywords[k]`.
    CallKeywords { d: Reg, t: Reg, count: u8, k: u16 },
    /// The same, followed by `*star` and `**double_star` as far as `extra` says (1: star, 2: double star).
    CallSpread { d: Reg, t: Reg, count: u8, extra: u8, k: u16 },
    /// Returns `a`.
    Return { a: Reg },
    /// Returns `None`.
    ReturnNone,
    /// `d = function of functions[f]` with the `count` defaults from `t` on.
    Function { d: Reg, t: Reg, count: u8, f: u16 },
    /// `d = class` from bases in register 1 and the dict in register 2.
    Class { d: Reg },

    /// `raise` with `count` of kind, value, traceback in `t`, `t + 1`, `t + 2`.
    Raise { t: Reg, count: u8 },
    /// `raise` alone: the exception handled last.
    RaiseAgain,
    /// At the head of an `except` or `finally`: makes the exception in `t` the one handled last.
    Handling { t: Reg },
    /// Before a return: the exception handled by the caller comes back.
    EndHandling,
    /// Goes on with the exception in `t`, `t + 1`.
    Reraise { t: Reg },
    /// Jumps unless the exception in `t` (kept) matches `a`.
    Match { t: Reg, a: Reg, to: u32 },
    /// At the end of a `finally`: goes on with the exception in `t` if there is one; else falls through.
    EndFinally { t: Reg },
    /// Jumps if `t` (kept) holds the int `i`.
    IfReason { t: Reg, i: u16, to: u32 },
    /// AssertionError without argument (`count` 0) or with that in `t`.
    AssertFail { t: Reg, count: u8 },

    /// If `a` is a str: prints it and jumps; else goes on, keeping it.
    PrintStr { a: Reg, to: u32 },
    /// `d = str(a)` for `print`.
    ToStr { d: Reg, a: Reg },
    /// Prints the str in `a`, which is what an object that is no str gave.
    Print { a: Reg },
    /// Ends the line.
    PrintNewline,
    /// Jumps if `a` (kept) is a str.
    IfStr { a: Reg, to: u32 },
    /// `d` = whether a space is due on the file-like object `f` (kept); then it is due if `set`.
    SoftSpace { d: Reg, f: Reg, set: bool },
    /// Makes a space due on `f` (kept) unless the str `a` (kept) ends in other white space.
    SoftSpaceAfter { f: Reg, a: Reg },
    /// Runs `__del__` methods that are due.
    Finalizers,
}

const _: () = assert!(std::mem::size_of::<Op>() == 8);

/// The three-register instruction of a binary operator.
pub fn binary_op(operator: BinaryOperator, d: Reg, a: Reg, b: Reg, inplace: bool) -> Op {
    match operator {
        BinaryOperator::Add => Op::Add { d, a, b, inplace },
        BinaryOperator::Subtract => Op::Sub { d, a, b, inplace },
        BinaryOperator::Multiply => Op::Mul { d, a, b, inplace },
        BinaryOperator::Divide => Op::Div { d, a, b, inplace },
        BinaryOperator::FloorDivide => Op::FloorDiv { d, a, b, inplace },
        BinaryOperator::Modulo => Op::Mod { d, a, b, inplace },
        BinaryOperator::Power => Op::Pow { d, a, b, inplace },
        BinaryOperator::ShiftLeft => Op::Shl { d, a, b, inplace },
        BinaryOperator::ShiftRight => Op::Shr { d, a, b, inplace },
        BinaryOperator::And => Op::And { d, a, b, inplace },
        BinaryOperator::Xor => Op::Xor { d, a, b, inplace },
        BinaryOperator::Or => Op::Or { d, a, b, inplace },
    }
}

/// The instruction of a binary operator with a small constant on the right, if there is one.
pub fn binary_int_op(operator: BinaryOperator, d: Reg, a: Reg, i: i32, inplace: bool) -> Option<Op> {
    Some(match operator {
        BinaryOperator::Add => Op::AddInt { d, a, i, inplace },
        BinaryOperator::Subtract => Op::SubInt { d, a, i, inplace },
        BinaryOperator::Multiply => Op::MulInt { d, a, i, inplace },
        BinaryOperator::Divide if i > 0 => Op::DivInt { d, a, i, inplace },
        BinaryOperator::FloorDivide if i > 0 => Op::FloorDivInt { d, a, i, inplace },
        BinaryOperator::Modulo if i > 0 => Op::ModInt { d, a, i, inplace },
        BinaryOperator::And => Op::AndInt { d, a, i, inplace },
        BinaryOperator::Xor => Op::XorInt { d, a, i, inplace },
        BinaryOperator::Or => Op::OrInt { d, a, i, inplace },
        BinaryOperator::ShiftLeft if (0..=62).contains(&i) => Op::ShlInt { d, a, i, inplace },
        BinaryOperator::ShiftRight if (0..=63).contains(&i) => Op::ShrInt { d, a, i, inplace },
        _ => return None,
    })
}

impl Op {
    /// Whether a jump of the instruction is a check point, so that it may be one of a loop.
    pub fn is_checked_jump(&self) -> bool {
        !matches!(
            self,
            Op::PrintStr { .. }
                | Op::IfStr { .. }
                | Op::KeepTrue { .. }
                | Op::KeepFalse { .. }
                | Op::Jump { .. }
                | Op::Range { .. }
                | Op::Match { .. }
                | Op::IfReason { .. }
        )
    }

    /// The place the instruction may jump to.
    pub fn target_mut(&mut self) -> Option<&mut u32> {
        match self {
            Op::PrintStr { to, .. }
            | Op::IfStr { to, .. }
            | Op::JumpLess { to, .. }
            | Op::JumpLessEqual { to, .. }
            | Op::JumpGreater { to, .. }
            | Op::JumpGreaterEqual { to, .. }
            | Op::JumpEqual { to, .. }
            | Op::JumpNotEqual { to, .. }
            | Op::JumpNotLess { to, .. }
            | Op::JumpNotLessEqual { to, .. }
            | Op::JumpNotGreater { to, .. }
            | Op::JumpNotGreaterEqual { to, .. }
            | Op::JumpLessInt { to, .. }
            | Op::JumpLessEqualInt { to, .. }
            | Op::JumpGreaterInt { to, .. }
            | Op::JumpGreaterEqualInt { to, .. }
            | Op::JumpEqualInt { to, .. }
            | Op::JumpNotEqualInt { to, .. }
            | Op::JumpNotLessInt { to, .. }
            | Op::JumpNotLessEqualInt { to, .. }
            | Op::JumpNotGreaterInt { to, .. }
            | Op::JumpNotGreaterEqualInt { to, .. }
            | Op::JumpEqualConst { to, .. }
            | Op::JumpNotEqualConst { to, .. }
            | Op::JumpIs { to, .. }
            | Op::JumpIsNot { to, .. }
            | Op::JumpNone { to, .. }
            | Op::JumpNotNone { to, .. }
            | Op::JumpIn { to, .. }
            | Op::JumpNotIn { to, .. }
            | Op::JumpInConst { to, .. }
            | Op::JumpNotInConst { to, .. }
            | Op::JumpTrue { to, .. }
            | Op::JumpFalse { to, .. }
            | Op::KeepTrue { to, .. }
            | Op::KeepFalse { to, .. }
            | Op::Jump { to, .. }
            | Op::Loop { to, .. }
            | Op::Next { to, .. }
            | Op::Range { to, .. }
            | Op::Match { to, .. }
            | Op::IfReason { to, .. } => Some(to),
            _ => None,
        }
    }
}
