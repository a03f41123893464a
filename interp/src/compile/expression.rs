//! Code for expressions.

use super::builder::{ConstantKey, Label};
use super::function::{Finalizers, Function, Place};
use super::op::{binary_int_op, binary_op, Op, Reg};
use super::scope::has_comprehension;
use super::CompileError;
use crate::heap::Value;
use crate::syntax::ast::*;

type Done = Result<(), CompileError>;

/// Items built from temporaries at once; longer displays are built in steps.
const CHUNK: usize = 24;

/// Positional arguments passed in registers; more go through a list.
const MAX_ARGUMENTS: usize = 60;

impl Function<'_> {
    /// Computes `e` into a new temporary.
    pub fn in_temporary(&mut self, e: &Expr<'_>) -> Result<Reg, CompileError> {
        let d = self.code.temporary()?;
        self.into(e, d)?;
        Ok(d)
    }

    /// A register that holds `e`: the local itself where that is the same, else
    /// a temporary: `scratch` if given, or a new one. `later` are expressions evaluated
    /// before the register is read.
    pub fn operand(
        &mut self,
        e: &Expr<'_>,
        scratch: Option<Reg>,
        later: &[&Expr],
    ) -> Result<Reg, CompileError> {
        if let ExprKind::Name(symbol) = e.kind {
            if let Place::Local(register) = self.place(symbol) {
                let simple = later.iter().all(|e| is_simple(e));
                let unchanged = !self.context.scopes.scopes[self.scope].comprehended.contains(&symbol)
                    || !later.iter().any(|e| has_comprehension(e));
                if unchanged && (self.is_set(register) || simple) {
                    return Ok(register);
                }
            }
        }
        let d = match scratch {
            Some(d) => d,
            None => self.code.temporary()?,
        };
        self.into(e, d)?;
        Ok(d)
    }

    /// Computes `e` into `d`, a temporary that is free or a local. A local is written by
    /// the last instruction only.
    pub fn into(&mut self, e: &Expr<'_>, d: Reg) -> Done {
        let mark = self.code.next;
        self.code.span = e.span;
        let in_steps = matches!(
            e.kind,
            ExprKind::And(_) | ExprKind::Or(_) | ExprKind::ListComp(_) | ExprKind::Compare(_)
        ) || match &e.kind {
            ExprKind::List(items) | ExprKind::Tuple(items) => items.len() > CHUNK,
            ExprKind::Dict(pairs) => !pairs.is_empty(),
            _ => false,
        };
        if in_steps && !self.code.is_temporary(d) {
            let t = self.code.temporary()?;
            self.evaluate(e, t)?;
            self.code.emit(Op::Take { d, a: t });
        } else {
            self.evaluate(e, d)?;
        }
        self.code.next = mark;
        Ok(())
    }

    /// A register for intermediate results of what ends in `d`.
    fn scratch(&mut self, d: Reg) -> Result<Reg, CompileError> {
        if self.code.is_temporary(d) {
            Ok(d)
        } else {
            self.code.temporary()
        }
    }

    fn evaluate(&mut self, e: &Expr<'_>, d: Reg) -> Done {
        match &e.kind {
            ExprKind::Name(symbol) => self.load_name(*symbol, d)?,
            ExprKind::Int(value) => self.load_int(*value, d),
            ExprKind::Float(value) => {
                let k = self.code.constant(ConstantKey::Float(value.to_bits()), || Value::float(*value));
                self.code.emit(Op::Constant { d, k });
            }
            ExprKind::Str(bytes) => {
                let k = self.str_constant(bytes);
                self.code.emit(Op::Constant { d, k });
            }
            ExprKind::Long(literal) => {
                let radix = literal.radix;
                let Ok(magnitude) = dashu_int::IBig::from_str_radix(literal.digits, radix) else {
                    return self.code.error("a number could not be read");
                };
                let value = self.heap.new_long(if literal.negative { -magnitude } else { magnitude });
                let k = self.code.add_constant(value);
                self.code.emit(Op::Constant { d, k });
            }
            ExprKind::Imaginary(imaginary) => {
                let value = self.heap.new_complex(0.0, *imaginary);
                let k = self.code.add_constant(value);
                self.code.emit(Op::Constant { d, k });
            }
            ExprKind::Tuple(items) => match self.constant_tuple(items) {
                Some(k) => self.code.emit(Op::Constant { d, k }),
                None => self.display(items, d, true)?,
            },
            ExprKind::List(items) => self.display(items, d, false)?,
            ExprKind::Dict(pairs) => {
                self.code.emit(Op::NewDict { d });
                for (key, value) in *pairs {
                    let mark = self.code.next;
                    let c = self.operand(value, None, &[key])?;
                    let b = self.operand(key, None, &[])?;
                    self.code.span = key.span;
                    self.code.emit(Op::Store { a: d, b, c });
                    self.code.next = mark;
                }
            }
            ExprKind::ListComp(comp) => {
                self.code.emit(Op::NewList { d, a: d, count: 0 });
                self.clauses(comp, comp.clauses, d)?;
            }
            ExprKind::Attribute(value, symbol) => {
                let scratch = self.scratch(d)?;
                let a = self.operand(value, Some(scratch), &[])?;
                let name = self.name(*symbol);
                let site = self.code.site(name)?;
                self.code.span = e.span;
                self.code.emit(Op::Attribute { d, a, site });
            }
            ExprKind::Subscript(subscript) => self.subscript(subscript, e, d)?,
            ExprKind::Call(call) => self.call(call, e, d)?,
            ExprKind::Unary(operator, operand) => {
                let scratch = self.scratch(d)?;
                let a = self.operand(operand, Some(scratch), &[])?;
                self.code.span = e.span;
                self.code.emit(Op::Unary { d, a, operator: *operator });
            }
            ExprKind::Not(operand) => {
                let scratch = self.scratch(d)?;
                let a = self.operand(operand, Some(scratch), &[])?;
                self.code.span = e.span;
                self.code.emit(Op::Not { d, a });
            }
            ExprKind::Binary(binary) => self.binary(binary, d)?,
            ExprKind::Compare(compare) => self.compare(compare, d)?,
            ExprKind::And(items) | ExprKind::Or(items) => {
                let end = self.code.label();
                let (last, others) = match items.split_last() {
                    Some(split) => split,
                    None => return self.code.error("an operator without operands"),
                };
                for item in others {
                    self.into(item, d)?;
                    self.code.span = item.span;
                    let to = self.code.to(end);
                    self.code.emit(match e.kind {
                        ExprKind::And(_) => Op::KeepFalse { a: d, to },
                        _ => Op::KeepTrue { a: d, to },
                    });
                }
                self.into(last, d)?;
                self.code.place(end);
            }
        }
        Ok(())
    }

    /// Loads an int.
    pub fn load_int(&mut self, value: i64, d: Reg) {
        match i32::try_from(value) {
            Ok(value) => self.code.emit(Op::Int { d, value }),
            Err(_) => {
                let k = self.code.constant(ConstantKey::Int(value), || Value::Int(value));
                self.code.emit(Op::Constant { d, k });
            }
        }
    }

    /// The number of a str constant.
    pub fn str_constant(&mut self, bytes: &[u8]) -> u32 {
        let heap = &mut *self.heap;
        self.code.constant(ConstantKey::Str(bytes.to_vec()), || {
            // Words are interned, as CPython does, so that dict keys are found by their handle.
            if bytes.len() <= 40 {
                let text = heap.intern(bytes);
                heap.share(Value::Str(text))
            } else {
                heap.new_str(bytes)
            }
        })
    }

    /// The number of a tuple whose items are all constants.
    fn constant_tuple(&mut self, items: &[Expr]) -> Option<u32> {
        let plain = |e: &Expr| is_simple(e) || self.is_none(e);
        if items.is_empty() || items.len() > CHUNK || !items.iter().all(plain) {
            return None;
        }
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            values.push(match &item.kind {
                ExprKind::Int(value) => Value::Int(*value),
                ExprKind::Float(value) => Value::float(*value),
                ExprKind::Str(bytes) => {
                    let k = self.str_constant(bytes);
                    self.code.constant_value(k)
                }
                _ => Value::None,
            });
        }
        values.iter().for_each(|value| self.heap.retain(*value));
        let tuple = self.heap.new_tuple(&values);
        Some(self.code.add_constant(tuple))
    }

    fn display(&mut self, items: &[Expr], d: Reg, tuple: bool) -> Done {
        if items.len() <= CHUNK {
            let t = self.code.temporaries(items.len() as u16)?;
            for (at, item) in items.iter().enumerate() {
                self.into(item, t + at as Reg)?;
            }
            let count = items.len() as u8;
            self.code.emit(match tuple {
                true => Op::NewTuple { d, a: t, count },
                false => Op::NewList { d, a: t, count },
            });
            return Ok(());
        }
        self.code.emit(Op::NewList { d, a: d, count: 0 });
        for item in items {
            let mark = self.code.next;
            let b = self.operand(item, None, &[])?;
            self.code.emit(Op::Append { a: d, b });
            self.code.next = mark;
        }
        if tuple {
            self.code.emit(Op::ListToTuple { a: d });
        }
        Ok(())
    }

    fn clauses(&mut self, comp: &ListComp<'_>, clauses: &[Clause], list: Reg) -> Done {
        let Some((clause, rest)) = clauses.split_first() else {
            let mark = self.code.next;
            let b = self.operand(&comp.element, None, &[])?;
            self.code.span = comp.element.span;
            self.code.emit(Op::Append { a: list, b });
            self.code.next = mark;
            return Ok(());
        };
        match clause {
            Clause::If(test) => {
                let end = self.code.label();
                self.jump_if(test, false, end)?;
                self.clauses(comp, rest, list)?;
                self.code.place(end);
            }
            Clause::For { target, iterable, .. } => {
                let mark = self.code.next;
                let before = self.assigned;
                let t = self.code.temporaries(3)?;
                let next = self.code.label();
                self.iteration(iterable, t, next)?;
                let body = self.code.here();
                let item = self.code.next;
                let d = self.item_register(target)?;
                self.store_item(target, d)?;
                self.code.next = item;
                self.clauses(comp, rest, list)?;
                self.code.place(next);
                self.code.span = iterable.span;
                let to = self.code.to(body);
                self.code.emit(Op::Next { t, d, to });
                self.assigned = before;
                self.code.next = mark;
            }
        }
        Ok(())
    }

    /// Starts iterating over `iterable` with the state in `t`, `t + 1`, `t + 2` and
    /// jumps to `next`.
    pub fn iteration(&mut self, iterable: &Expr<'_>, t: Reg, next: Label) -> Done {
        let mark = self.code.next;
        if let ExprKind::Call(call) = &iterable.kind {
            if let ExprKind::Name(symbol) = call.function.kind {
                let name = self.context.module.symbols.name(symbol);
                let plain = call.keywords.is_empty() && call.star.is_none() && call.double_star.is_none();
                if (name == "range" || name == "xrange")
                    && plain
                    && (1..=3).contains(&call.positional.len())
                    && self.place(symbol) == Place::Global
                {
                    let count = call.positional.len() as u8;
                    // The arguments may need one register more than the state has.
                    let extra = u16::from(count) + 1;
                    if extra > 3 {
                        self.code.temporaries(extra - 3)?;
                    }
                    self.into(&call.function, t)?;
                    for (at, argument) in call.positional.iter().enumerate() {
                        self.into(argument, t + 1 + at as Reg)?;
                    }
                    self.code.span = iterable.span;
                    let to = self.code.to(next);
                    self.code.emit(Op::Range { t, count, to });
                    self.code.emit(Op::Call { d: t, t, count });
                    self.code.emit(Op::Iterate { t });
                    self.code.emit(Op::Jump { to });
                    self.code.next = mark;
                    return Ok(());
                }
            }
        }
        self.into(iterable, t)?;
        self.code.span = iterable.span;
        self.code.emit(Op::Iterate { t });
        let to = self.code.to(next);
        self.code.emit(Op::Jump { to });
        self.code.next = mark;
        Ok(())
    }

    /// The register [`Op::Next`] writes an item for `target` to.
    pub fn item_register(&mut self, target: &Target<'_>) -> Result<Reg, CompileError> {
        if let TargetKind::Name(symbol) = target.kind {
            if let Place::Local(register) = self.place(symbol) {
                return Ok(register);
            }
        }
        self.code.temporary()
    }

    /// Stores the item from [`Function::item_register`].
    pub fn store_item(&mut self, target: &Target<'_>, d: Reg) -> Done {
        match target.kind {
            TargetKind::Name(symbol) if self.place(symbol) == Place::Local(d) => self.note_set(d),
            _ => self.store(target, d)?,
        }
        Ok(())
    }

    fn subscript(&mut self, subscript: &Subscript<'_>, e: &Expr<'_>, d: Reg) -> Done {
        let scratch = self.scratch(d)?;
        match &subscript.index {
            Index::Item(index) => {
                let a = self.operand(&subscript.value, Some(scratch), &[index])?;
                if let ExprKind::Int(i) = index.kind {
                    if let Ok(i) = i32::try_from(i) {
                        self.code.span = e.span;
                        self.code.emit(Op::ItemInt { d, a, i });
                        return Ok(());
                    }
                }
                let b = self.operand(index, None, &[])?;
                self.code.span = e.span;
                self.code.emit(Op::Item { d, a, b });
            }
            Index::Slice(lower, upper) => {
                let later: Vec<&Expr> = [*lower, *upper].into_iter().flatten().collect();
                let a = self.operand(&subscript.value, Some(scratch), &later)?;
                let (b, c) = self.bounds(*lower, *upper)?;
                self.code.span = e.span;
                self.code.emit(Op::Slice { d, a, b, c });
            }
            other => {
                let a = self.in_scratch(&subscript.value, scratch)?;
                let b = self.index(other)?;
                self.code.span = e.span;
                self.code.emit(Op::Item { d, a, b });
            }
        }
        Ok(())
    }

    fn in_scratch(&mut self, e: &Expr<'_>, scratch: Reg) -> Result<Reg, CompileError> {
        self.into(e, scratch)?;
        Ok(scratch)
    }

    /// The bounds of a simple slice in two registers; a missing one is unset.
    pub fn bounds(&mut self, lower: Option<&Expr>, upper: Option<&Expr>) -> Result<(Reg, Reg), CompileError> {
        let b = match lower {
            Some(e) => {
                let later: Vec<&Expr> = upper.into_iter().collect();
                self.operand(e, None, &later)?
            }
            None => {
                let b = self.code.temporary()?;
                self.code.emit(Op::Drop { d: b });
                b
            }
        };
        let c = match upper {
            Some(e) => self.operand(e, None, &[])?,
            None => {
                let c = self.code.temporary()?;
                self.code.emit(Op::Drop { d: c });
                c
            }
        };
        Ok((b, c))
    }

    /// Any index but a simple slice, in a new temporary.
    pub fn index(&mut self, index: &Index<'_>) -> Result<Reg, CompileError> {
        let d = self.code.temporary()?;
        self.index_into(index, d)?;
        Ok(d)
    }

    fn index_into(&mut self, index: &Index<'_>, d: Reg) -> Done {
        let mark = self.code.next;
        match index {
            Index::Item(e) => self.into(e, d)?,
            Index::Ellipsis => {
                let k = self.code.add_constant(Value::Ellipsis);
                self.code.emit(Op::Constant { d, k });
            }
            Index::Slice(a, b) => self.slice_object([*a, *b, None], d)?,
            Index::ExtendedSlice(a, b, c) => {
                self.slice_object([*a, *b, *c], d)?;
            }
            Index::Dimensions(parts) => {
                self.code.emit(Op::NewList { d, a: d, count: 0 });
                for part in *parts {
                    let mark = self.code.next;
                    let b = self.index(part)?;
                    self.code.emit(Op::Append { a: d, b });
                    self.code.next = mark;
                }
                self.code.emit(Op::ListToTuple { a: d });
            }
        }
        self.code.next = mark;
        Ok(())
    }

    fn slice_object(&mut self, parts: [Option<&Expr>; 3], d: Reg) -> Done {
        let t = self.code.temporaries(3)?;
        for (at, part) in parts.into_iter().enumerate() {
            let register = t + at as Reg;
            match part {
                Some(e) => self.into(e, register)?,
                None => self.code.emit(Op::None { d: register }),
            }
        }
        self.code.emit(Op::NewSlice { d, a: t });
        Ok(())
    }

    fn binary(&mut self, binary: &Binary<'_>, d: Reg) -> Done {
        let scratch = self.scratch(d)?;
        let later: Vec<&Expr> = binary.rest.iter().map(|step| &step.operand).collect();
        let mut a = self.operand(&binary.first, Some(scratch), &later)?;
        for (at, step) in binary.rest.iter().enumerate() {
            let last = at + 1 == binary.rest.len();
            let target = if last { d } else { scratch };
            let mark = self.code.next;
            self.binary_step(step.operator, target, a, &step.operand, step.operator_span, false)?;
            self.code.next = mark;
            a = target;
        }
        Ok(())
    }

    /// One operator with its right operand.
    pub fn binary_step(
        &mut self,
        operator: BinaryOperator,
        d: Reg,
        a: Reg,
        right: &Expr<'_>,
        span: crate::syntax::Span,
        inplace: bool,
    ) -> Done {
        if let ExprKind::Int(i) = &right.kind {
            let i = *i;
            if let Some(op) = i32::try_from(i).ok().and_then(|i| binary_int_op(operator, d, a, i, inplace)) {
                self.code.span = span;
                self.code.emit(op);
                return Ok(());
            }
        }
        if let (ExprKind::Int(i), BinaryOperator::And | BinaryOperator::Xor) = (&right.kind, operator) {
            if let Ok(mask) = u32::try_from(*i) {
                self.code.span = span;
                self.code.emit(match operator {
                    BinaryOperator::And => Op::AndMask { d, a, inplace, mask },
                    _ => Op::XorMask { d, a, inplace, mask },
                });
                return Ok(());
            }
        }
        let b = self.operand(right, None, &[])?;
        self.code.span = span;
        self.code.emit(binary_op(operator, d, a, b, inplace));
        Ok(())
    }

    fn compare(&mut self, compare: &Compare<'_>, d: Reg) -> Done {
        if let [step] = compare.rest {
            let a = self.operand(&compare.first, Some(d), &[&step.operand])?;
            let b = self.operand(&step.operand, None, &[])?;
            self.code.span = step.operator_span;
            self.code.emit(Op::Compare { d, a, b, operator: step.operator });
            return Ok(());
        }
        let left = self.in_temporary(&compare.first)?;
        let right = self.code.temporary()?;
        let copy = self.code.temporary()?;
        let stop = self.code.label();
        let end = self.code.label();
        for (at, step) in compare.rest.iter().enumerate() {
            let last = at + 1 == compare.rest.len();
            self.into(&step.operand, right)?;
            self.code.span = step.operator_span;
            if !last {
                self.code.emit(Op::Copy { d: copy, a: right });
            }
            self.code.emit(Op::Compare { d, a: left, b: right, operator: step.operator });
            if last {
                let to = self.code.to(end);
                self.code.emit(Op::Jump { to });
            } else {
                let to = self.code.to(stop);
                self.code.emit(Op::KeepFalse { a: d, to });
                self.code.emit(Op::Take { d: left, a: copy });
            }
        }
        self.code.place(stop);
        self.code.emit(Op::Drop { d: copy });
        self.code.place(end);
        Ok(())
    }

    /// Jumps to `label` if the truth of `e` is `wanted`; else falls through.
    pub fn jump_if(&mut self, e: &Expr<'_>, wanted: bool, label: Label) -> Done {
        let mark = self.code.next;
        match &e.kind {
            ExprKind::Not(operand) => self.jump_if(operand, !wanted, label)?,
            ExprKind::Int(value) => {
                if (*value != 0) == wanted {
                    self.jump_always(label);
                }
            }
            ExprKind::And(items) | ExprKind::Or(items) => {
                // `and` is decided by a false item, `or` by a true one.
                let deciding = matches!(e.kind, ExprKind::Or(_));
                if deciding == wanted {
                    for item in *items {
                        self.jump_if(item, wanted, label)?;
                    }
                } else {
                    let through = self.code.label();
                    let Some((last, others)) = items.split_last() else { return Ok(()) };
                    for item in others {
                        self.jump_if(item, deciding, through)?;
                    }
                    self.jump_if(last, wanted, label)?;
                    self.code.place(through);
                }
            }
            ExprKind::Compare(compare) if self.is_plain_chain(compare) => {
                self.jump_chain(compare, wanted, label)?;
            }
            ExprKind::Name(symbol) if self.truth_name(*symbol).is_some() => {
                if self.truth_name(*symbol) == Some(wanted) {
                    self.code.span = e.span;
                    self.jump_always(label);
                }
            }
            _ => {
                let a = self.operand(e, None, &[])?;
                self.code.span = e.span;
                let to = self.code.to(label);
                self.code.emit(if wanted { Op::JumpTrue { a, to } } else { Op::JumpFalse { a, to } });
            }
        }
        self.code.next = mark;
        Ok(())
    }

    /// Whether a comparison has one operator, or more between operands that can be looked at twice.
    fn is_plain_chain(&self, compare: &Compare<'_>) -> bool {
        match compare.rest.split_last() {
            Some((last, inner)) => {
                inner.is_empty()
                    || !has_comprehension(&last.operand)
                        && inner.iter().all(|step| match step.operand.kind {
                            ExprKind::Name(_) => self.is_quiet(&step.operand),
                            _ => is_simple(&step.operand),
                        })
            }
            None => false,
        }
    }

    /// `a < b < c` as two comparisons, of which the second is only made if the first holds.
    fn jump_chain(&mut self, compare: &Compare<'_>, wanted: bool, label: Label) -> Done {
        let Some((last, inner)) = compare.rest.split_last() else { return Ok(()) };
        let through = self.code.label();
        let mut left = &compare.first;
        for step in inner {
            let mark = self.code.next;
            self.jump_compare(left, step, false, if wanted { through } else { label })?;
            self.code.next = mark;
            left = &step.operand;
        }
        self.jump_compare(left, last, wanted, label)?;
        self.code.place(through);
        Ok(())
    }

    /// A jump on a test that always holds; it may be the one that closes a loop.
    fn jump_always(&mut self, label: Label) {
        let to = self.code.to(label);
        self.code.emit(Op::Loop { to });
    }

    pub fn is_none(&self, e: &Expr<'_>) -> bool {
        matches!(e.kind, ExprKind::Name(symbol) if self.place(symbol) == Place::None)
    }

    fn jump_compare(&mut self, first: &Expr<'_>, step: &CompareStep, wanted: bool, label: Label) -> Done {
        use CompareOperator::*;
        let right = &step.operand;
        let to = self.code.to(label);
        if matches!(step.operator, Is | IsNot) && self.is_none(right) {
            let a = self.operand(first, None, &[])?;
            self.code.span = step.operator_span;
            self.code.emit(if (step.operator == Is) == wanted {
                Op::JumpNone { a, to }
            } else {
                Op::JumpNotNone { a, to }
            });
            return Ok(());
        }
        let a = self.operand(first, None, &[right])?;
        if let ExprKind::Int(i) = right.kind {
            if let Ok(i) = i16::try_from(i) {
                let op = match (step.operator, wanted) {
                    (Less, true) => Op::JumpLessInt { a, i, to },
                    (LessEqual, true) => Op::JumpLessEqualInt { a, i, to },
                    (Greater, true) => Op::JumpGreaterInt { a, i, to },
                    (GreaterEqual, true) => Op::JumpGreaterEqualInt { a, i, to },
                    (Less, false) => Op::JumpNotLessInt { a, i, to },
                    (LessEqual, false) => Op::JumpNotLessEqualInt { a, i, to },
                    (Greater, false) => Op::JumpNotGreaterInt { a, i, to },
                    (GreaterEqual, false) => Op::JumpNotGreaterEqualInt { a, i, to },
                    (Equal, true) | (NotEqual, false) => Op::JumpEqualInt { a, i, to },
                    (Equal, false) | (NotEqual, true) => Op::JumpNotEqualInt { a, i, to },
                    _ => Op::Jump { to: u32::MAX },
                };
                if !matches!(op, Op::Jump { .. }) {
                    self.code.span = step.operator_span;
                    self.code.emit(op);
                    return Ok(());
                }
            }
        }
        if let (ExprKind::Str(bytes), Equal | NotEqual) = (&right.kind, step.operator) {
            if let Ok(k) = u16::try_from(self.str_constant(bytes)) {
                self.code.span = step.operator_span;
                self.code.emit(if (step.operator == Equal) == wanted {
                    Op::JumpEqualConst { a, k, to }
                } else {
                    Op::JumpNotEqualConst { a, k, to }
                });
                return Ok(());
            }
        }
        if matches!(step.operator, In | NotIn) {
            let constant = match &right.kind {
                ExprKind::Str(bytes) => Some(self.str_constant(bytes)),
                ExprKind::Tuple(items) => self.constant_tuple(items),
                _ => None,
            };
            if let Some(k) = constant.and_then(|k| u16::try_from(k).ok()) {
                self.code.span = step.operator_span;
                self.code.emit(if (step.operator == In) == wanted {
                    Op::JumpInConst { a, k, to }
                } else {
                    Op::JumpNotInConst { a, k, to }
                });
                return Ok(());
            }
        }
        let b = self.operand(right, None, &[])?;
        self.code.span = step.operator_span;
        self.code.emit(match (step.operator, wanted) {
            (Less, true) => Op::JumpLess { a, b, to },
            (LessEqual, true) => Op::JumpLessEqual { a, b, to },
            (Greater, true) => Op::JumpGreater { a, b, to },
            (GreaterEqual, true) => Op::JumpGreaterEqual { a, b, to },
            (Less, false) => Op::JumpNotLess { a, b, to },
            (LessEqual, false) => Op::JumpNotLessEqual { a, b, to },
            (Greater, false) => Op::JumpNotGreater { a, b, to },
            (GreaterEqual, false) => Op::JumpNotGreaterEqual { a, b, to },
            (Equal, true) | (NotEqual, false) => Op::JumpEqual { a, b, to },
            (Equal, false) | (NotEqual, true) => Op::JumpNotEqual { a, b, to },
            (Is, true) | (IsNot, false) => Op::JumpIs { a, b, to },
            (Is, false) | (IsNot, true) => Op::JumpIsNot { a, b, to },
            (In, true) | (NotIn, false) => Op::JumpIn { a, b, to },
            (In, false) | (NotIn, true) => Op::JumpNotIn { a, b, to },
        });
        Ok(())
    }

    fn call(&mut self, call: &Call<'_>, e: &Expr<'_>, d: Reg) -> Done {
        self.call_itself(call, e, d)?;
        if self.context.finalizers != Finalizers::Nowhere {
            // What was local to the callee is gone before its result is used.
            self.code.emit(Op::Finalizers);
        }
        Ok(())
    }

    fn call_itself(&mut self, call: &Call<'_>, e: &Expr<'_>, d: Reg) -> Done {
        let plain = call.keywords.is_empty()
            && call.star.is_none()
            && call.double_star.is_none()
            && call.positional.len() <= MAX_ARGUMENTS;
        if plain {
            let count = call.positional.len() as u8;
            if let ExprKind::Attribute(object, symbol) = &call.function.kind {
                let t = self.code.temporaries(2)?;
                let a = self.operand(object, Some(t + 1), &[])?;
                let name = self.name(*symbol);
                let site = self.code.site(name)?;
                self.code.span = call.function.span;
                self.code.emit(Op::Method { t, a, site });
                self.arguments(call.positional)?;
                self.code.span = e.span;
                self.code.emit(Op::CallMethod { d, t, count });
            } else if let Some((g, argument)) = self.quick_builtin(call)? {
                let t = self.code.temporaries(2)?;
                let a = self.operand(argument, Some(t + 1), &[])?;
                self.code.span = e.span;
                self.code.emit(Op::Builtin { d, t, a, g });
                self.code.emit(Op::Call { d, t, count: 1 });
            } else if let Some((g, is_len)) = self.late_global(call)? {
                if let (true, [value]) = (is_len, call.positional) {
                    let t = self.code.temporaries(2)?;
                    let a = self.operand(value, Some(t + 1), &[])?;
                    self.code.span = e.span;
                    self.code.emit(Op::Len { d, a, t, g });
                    return Ok(());
                }
                let t = self.code.temporary()?;
                self.arguments(call.positional)?;
                self.code.span = e.span;
                self.code.emit(Op::CallGlobal { d, t, count, g });
            } else {
                let t = self.in_temporary(&call.function)?;
                self.arguments(call.positional)?;
                self.code.span = e.span;
                self.code.emit(Op::Call { d, t, count });
            }
            return Ok(());
        }
        let t = self.in_temporary(&call.function)?;
        let mut count = call.positional.len() as u8;
        let mut packed = None;
        if call.positional.len() > MAX_ARGUMENTS {
            // Too many for registers: they go through a list in place of *star.
            count = 0;
            packed = Some(());
        } else {
            self.arguments(call.positional)?;
        }
        let mut names = Vec::new();
        if packed.is_none() {
            for keyword in call.keywords {
                self.in_temporary(&keyword.value)?;
                names.push(self.name(keyword.name));
            }
        }
        let mut extra = 0;
        if packed.is_some() {
            if call.star.is_some() || call.double_star.is_some() || !call.keywords.is_empty() {
                return self.code.error("more than 60 arguments together with keywords or a star");
            }
            let list = self.code.temporary()?;
            self.code.emit(Op::NewList { d: list, a: list, count: 0 });
            for argument in call.positional {
                let mark = self.code.next;
                let b = self.operand(argument, None, &[])?;
                self.code.emit(Op::Append { a: list, b });
                self.code.next = mark;
            }
            extra |= 1;
        }
        if let Some(star) = &call.star {
            self.in_temporary(star)?;
            extra |= 1;
        }
        if let Some(double_star) = &call.double_star {
            self.in_temporary(double_star)?;
            extra |= 2;
        }
        let k = self.code.keyword_names(names)?;
        self.code.span = e.span;
        self.code.emit(if extra == 0 {
            Op::CallKeywords { d, t, count, k }
        } else {
            Op::CallSpread { d, t, count, extra, k }
        });
        Ok(())
    }

    /// The built-in called and its one argument, if it has a short way and nobody can bind its name: then it can be
    /// looked up after the argument.
    fn quick_builtin<'e>(&mut self, call: &'e Call<'_>) -> Result<Option<(u16, &'e Expr<'e>)>, CompileError> {
        let ExprKind::Name(symbol) = call.function.kind else { return Ok(None) };
        let [argument] = call.positional else { return Ok(None) };
        let name = self.context.module.symbols.name(symbol);
        if !crate::types::quick::OF_ONE.contains(&name) || !self.is_free(symbol) {
            return Ok(None);
        }
        let name = self.name(symbol);
        Ok(Some((self.code.global(name)?, argument)))
    }

    /// The global called, if it can be looked up after the arguments: they call nothing that could bind it anew.
    /// What they raise comes after a name that is not bound; built-in names always are. And whether it is the
    /// built-in `len`.
    fn late_global(&mut self, call: &Call<'_>) -> Result<Option<(u16, bool)>, CompileError> {
        let ExprKind::Name(symbol) = call.function.kind else { return Ok(None) };
        if self.place(symbol) != Place::Global {
            return Ok(None);
        }
        let name = self.name(symbol);
        let bound = self.context.scopes.scopes[0].binds(symbol);
        let quiet = call.positional.iter().all(|e| self.is_quiet(e));
        let calm = call.positional.iter().all(is_calm) && self.context.finalizers == Finalizers::Nowhere;
        let known = bound || (!self.context.open && crate::builtins::is_function(self.heap.bytes(name)));
        if !known || !(quiet || calm) {
            return Ok(None);
        }
        let g = self.code.global(name)?;
        if bound && !quiet {
            self.code.span = call.function.span;
            self.code.emit(Op::NeedGlobal { g });
        }
        Ok(Some((g, !bound && self.heap.bytes(name) == LEN)))
    }

    /// Whether an expression is a local that is set, a constant, or such a local with one
    /// arithmetic step by a constant.
    fn is_quiet(&self, e: &Expr<'_>) -> bool {
        match &e.kind {
            ExprKind::Name(symbol) => {
                matches!(self.place(*symbol), Place::Local(register) if self.is_set(register))
            }
            ExprKind::Binary(binary) => match binary.rest {
                [step] => self.is_quiet(&binary.first) && matches!(step.operand.kind, ExprKind::Int(_)),
                _ => false,
            },
            _ => is_simple(e),
        }
    }

    fn arguments(&mut self, arguments: &[Expr]) -> Done {
        for argument in arguments {
            self.in_temporary(argument)?;
        }
        Ok(())
    }
}

/// The name of the built-in function that has an instruction of its own.
const LEN: &[u8] = b"len";

/// Whether evaluating `e` runs nothing of the program: it calls nothing and formats nothing.
fn is_calm(e: &Expr<'_>) -> bool {
    match &e.kind {
        ExprKind::Name(_) => true,
        ExprKind::Attribute(object, _) => is_calm(object),
        ExprKind::Unary(_, operand) | ExprKind::Not(operand) => is_calm(operand),
        ExprKind::Subscript(subscript) => {
            is_calm(&subscript.value)
                && match &subscript.index {
                    Index::Item(index) => is_calm(index),
                    Index::Slice(lower, upper) => [lower, upper].into_iter().flatten().all(|e| is_calm(e)),
                    _ => false,
                }
        }
        ExprKind::Binary(binary) => {
            is_calm(&binary.first)
                && binary.rest.iter().all(|step| match step.operator {
                    BinaryOperator::Modulo => matches!(step.operand.kind, ExprKind::Int(_)),
                    _ => is_calm(&step.operand),
                })
        }
        ExprKind::Tuple(items) | ExprKind::List(items) => items.iter().all(is_calm),
        _ => is_simple(e),
    }
}

/// Whether evaluating `e` can have no effect and raise nothing that matters for order.
fn is_simple(e: &Expr<'_>) -> bool {
    matches!(e.kind, ExprKind::Int(_) | ExprKind::Float(_) | ExprKind::Str(_))
}
