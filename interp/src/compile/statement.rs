//! Code for statements.

use super::builder::Label;
use super::function::{Enclosure, Exit, Finalizers, Function, Place};
use super::op::{Op, Reg};
use super::quick::RegSet;
use super::scope::has_comprehension;
use super::CompileError;
use crate::syntax::ast::*;

type Done = Result<(), CompileError>;

/// Targets unpacked into temporaries at once.
const UNPACK: usize = 40;

/// Whether a statement may let go of the last share of an instance, the statements in it left aside. One whose value is
/// a number mostly takes a number's place.
fn may_drop(statement: &StmtKind<'_>) -> bool {
    use ExprKind::{Binary, Compare, Not, Unary};
    match statement {
        StmtKind::Assign(assign) => !matches!(assign.value.kind, Binary(_) | Compare(_) | Not(_) | Unary(..)),
        StmtKind::AugAssign(_) | StmtKind::If(_) | StmtKind::While(_) | StmtKind::Pass => false,
        _ => true,
    }
}

impl Function<'_> {
    /// Compiles a block.
    pub fn block(&mut self, block: Block<'_>) -> Done {
        for statement in block {
            let mark = self.code.next;
            self.code.span = statement.span;
            self.statement(statement)?;
            let drops = match self.context.finalizers {
                Finalizers::Nowhere => false,
                Finalizers::Perhaps => may_drop(&statement.kind),
                Finalizers::Anywhere => true,
            };
            if drops {
                self.code.emit(Op::Finalizers);
            }
            self.code.next = mark;
        }
        Ok(())
    }

    fn statement(&mut self, statement: &Stmt<'_>) -> Done {
        match &statement.kind {
            StmtKind::Expr(e) => {
                if !matches!(e.kind, ExprKind::Str(_) | ExprKind::Int(_) | ExprKind::Float(_)) {
                    let d = self.in_temporary(e)?;
                    self.code.emit(Op::Drop { d });
                }
            }
            StmtKind::Assign(assign) => self.assign(assign)?,
            StmtKind::AugAssign(assign) => self.aug_assign(assign)?,
            StmtKind::Delete(targets) => {
                for target in *targets {
                    self.delete(target)?;
                }
            }
            StmtKind::Print(print) => self.print(print)?,
            StmtKind::Assert(assert) => {
                let end = self.code.label();
                self.jump_if(&assert.test, true, end)?;
                let t = self.code.temporary()?;
                let count = match &assert.message {
                    Some(message) => {
                        self.into(message, t)?;
                        1
                    }
                    None => 0,
                };
                self.code.span = statement.span;
                self.code.emit(Op::AssertFail { t, count });
                self.code.place(end);
            }
            StmtKind::Raise(raise) => {
                let Some(kind) = &raise.kind else {
                    self.code.emit(Op::RaiseAgain);
                    return Ok(());
                };
                let t = self.code.temporaries(3)?;
                self.into(kind, t)?;
                let mut count = 1;
                for e in [&raise.value, &raise.traceback].into_iter().flatten() {
                    self.into(e, t + count)?;
                    count += 1;
                }
                self.code.span = statement.span;
                self.code.emit(Op::Raise { t, count });
            }
            StmtKind::Return(e) => self.return_(e.as_ref())?,
            StmtKind::Pass => {}
            StmtKind::Break => self.leave(Exit::Break)?,
            StmtKind::Continue => self.leave(Exit::Continue)?,
            StmtKind::If(branch) => self.branch(branch)?,
            StmtKind::While(loop_) => self.while_(loop_)?,
            StmtKind::For(loop_) => self.for_(loop_)?,
            StmtKind::Try(attempt) => self.try_(attempt)?,
            StmtKind::Def(def) => {
                let mut count = 0;
                let first = self.code.next;
                for parameter in def.parameters.positional {
                    if let Some(default) = &parameter.default {
                        self.in_temporary(default)?;
                        count += 1;
                    }
                }
                let f = self.inner_function(def)?;
                self.code.span = statement.span;
                let d = match self.place(def.name) {
                    Place::Local(register) => register,
                    _ => self.code.temporary()?,
                };
                self.code.emit(Op::Function { d, t: first as Reg, count, f });
                self.store_name(def.name, d)?;
            }
            StmtKind::Class(class) => {
                let t = self.code.temporaries(2)?;
                let mark = self.code.next;
                if class.bases.len() > 100 {
                    return self.code.error("more than 100 bases");
                }
                let first = self.code.temporaries(class.bases.len() as u16)?;
                for (at, base) in class.bases.iter().enumerate() {
                    self.into(base, first + at as Reg)?;
                }
                self.code.emit(Op::NewTuple { d: t + 1, a: first, count: class.bases.len() as u8 });
                self.code.next = mark;
                let f = self.inner_class(class)?;
                self.code.span = statement.span;
                self.code.emit(Op::Function { d: t, t, count: 0, f });
                self.code.emit(Op::Call { d: t, t, count: 1 });
                self.store_name(class.name, t)?;
            }
        }
        Ok(())
    }

    fn assign(&mut self, assign: &Assign<'_>) -> Done {
        if let [target] = assign.targets {
            if let TargetKind::Name(symbol) = target.kind {
                if let Place::Local(register) = self.place(symbol) {
                    self.into(&assign.value, register)?;
                    self.note_set(register);
                    return Ok(());
                }
            }
            // `a, b = x, y` needs no tuple.
            if let (TargetKind::Unpack(parts), ExprKind::Tuple(items)) = (&target.kind, &assign.value.kind) {
                if parts.len() == items.len() && parts.len() <= UNPACK && !parts.is_empty() {
                    let t = self.code.temporaries(items.len() as u16)?;
                    for (at, item) in items.iter().enumerate() {
                        self.into(item, t + at as Reg)?;
                    }
                    for (at, part) in parts.iter().enumerate() {
                        self.store(part, t + at as Reg)?;
                    }
                    return Ok(());
                }
            }
            // The value is computed before the target's own parts.
            if !matches!(target.kind, TargetKind::Name(_)) {
                let later = target_parts(target);
                if !later.iter().any(|e| has_comprehension(e)) {
                    let a = self.operand(&assign.value, None, &later)?;
                    return self.store(target, a);
                }
            }
        }
        let value = self.in_temporary(&assign.value)?;
        let Some((last, others)) = assign.targets.split_last() else { return Ok(()) };
        for target in others {
            let mark = self.code.next;
            let copy = self.code.temporary()?;
            self.code.emit(Op::Copy { d: copy, a: value });
            self.store(target, copy)?;
            self.code.next = mark;
        }
        self.store(last, value)
    }

    /// Stores register `a` into a target, consuming a temporary.
    pub fn store(&mut self, target: &Target<'_>, a: Reg) -> Done {
        let mark = self.code.next;
        match &target.kind {
            TargetKind::Name(symbol) => {
                self.code.span = target.span;
                self.store_name(*symbol, a)?;
            }
            TargetKind::Attribute(value, symbol) => {
                let object = self.operand(value, None, &[])?;
                let name = self.name(*symbol);
                let site = self.code.site(name)?;
                self.code.span = target.span;
                self.code.emit(Op::SetAttribute { a: object, b: a, site });
            }
            TargetKind::Subscript(subscript) => match &subscript.index {
                Index::Item(index) => {
                    let object = self.operand(&subscript.value, None, &[index])?;
                    if let ExprKind::Int(i) = index.kind {
                        if let Ok(i) = i32::try_from(i) {
                            self.code.span = target.span;
                            self.code.emit(Op::SetItemInt { a: object, c: a, i });
                            self.code.next = mark;
                            return Ok(());
                        }
                    }
                    let b = self.operand(index, None, &[])?;
                    self.code.span = target.span;
                    self.code.emit(Op::SetItem { a: object, b, c: a });
                }
                Index::Slice(lower, upper) => {
                    let object = self.in_temporary(&subscript.value)?;
                    let (b, c) = self.bounds(*lower, *upper)?;
                    self.code.span = target.span;
                    self.code.emit(Op::SetSlice { a: object, b, c, v: a });
                }
                other => {
                    let object = self.in_temporary(&subscript.value)?;
                    let b = self.index(other)?;
                    self.code.span = target.span;
                    self.code.emit(Op::SetItem { a: object, b, c: a });
                }
            },
            TargetKind::Unpack(parts) => self.unpack(parts, target, a)?,
        }
        self.code.next = mark;
        Ok(())
    }

    fn unpack(&mut self, parts: &[Target], target: &Target<'_>, a: Reg) -> Done {
        self.code.span = target.span;
        let locals: Option<Vec<Reg>> = parts.iter().map(|part| self.local_target(part)).collect();
        let direct = match locals.as_deref() {
            Some(&[d, e]) => Some(Op::UnpackTwo { a, d, e }),
            Some(&[d, e, f]) => Some(Op::UnpackThree { a, d, e, f }),
            _ => None,
        };
        if let (Some(op), Some(locals)) = (direct, locals) {
            self.code.emit(op);
            locals.into_iter().for_each(|register| self.note_set(register));
            return Ok(());
        }
        if parts.len() <= UNPACK {
            let t = self.code.temporaries(parts.len() as u16)?;
            self.code.emit(Op::Unpack { a, t, count: parts.len() as u8 });
            for (at, part) in parts.iter().enumerate() {
                self.store(part, t + at as Reg)?;
            }
            return Ok(());
        }
        let Ok(count) = u16::try_from(parts.len()) else {
            return self.code.error("more than 65535 targets");
        };
        let list = self.code.temporary()?;
        self.code.emit(Op::UnpackMany { d: list, a, count });
        for (at, part) in parts.iter().enumerate() {
            let mark = self.code.next;
            let copy = self.code.temporary()?;
            self.code.emit(Op::Copy { d: copy, a: list });
            let item = self.code.temporary()?;
            self.code.emit(Op::ItemInt { d: item, a: copy, i: at as i32 });
            self.store(part, item)?;
            self.code.next = mark;
        }
        self.code.emit(Op::Drop { d: list });
        Ok(())
    }

    /// The register of a target that is a local name.
    fn local_target(&self, target: &Target<'_>) -> Option<Reg> {
        match target.kind {
            TargetKind::Name(symbol) => match self.place(symbol) {
                Place::Local(register) => Some(register),
                _ => None,
            },
            _ => None,
        }
    }

    fn delete(&mut self, target: &Target<'_>) -> Done {
        let mark = self.code.next;
        match &target.kind {
            TargetKind::Name(symbol) => self.delete_name(*symbol, target.span)?,
            TargetKind::Attribute(value, symbol) => {
                let a = self.operand(value, None, &[])?;
                let name = self.name(*symbol);
                let site = self.code.site(name)?;
                self.code.span = target.span;
                self.code.emit(Op::DeleteAttribute { a, site });
            }
            TargetKind::Subscript(subscript) => match &subscript.index {
                Index::Item(index) => {
                    let a = self.operand(&subscript.value, None, &[index])?;
                    let b = self.operand(index, None, &[])?;
                    self.code.span = target.span;
                    self.code.emit(Op::DeleteItem { a, b });
                }
                Index::Slice(lower, upper) => {
                    let a = self.in_temporary(&subscript.value)?;
                    let (b, c) = self.bounds(*lower, *upper)?;
                    self.code.span = target.span;
                    self.code.emit(Op::DeleteSlice { a, b, c });
                }
                other => {
                    let a = self.in_temporary(&subscript.value)?;
                    let b = self.index(other)?;
                    self.code.span = target.span;
                    self.code.emit(Op::DeleteItem { a, b });
                }
            },
            TargetKind::Unpack(parts) => {
                for part in *parts {
                    self.delete(part)?;
                }
            }
        }
        self.code.next = mark;
        Ok(())
    }

    fn aug_assign(&mut self, assign: &AugAssign<'_>) -> Done {
        let (operator, span) = (assign.operator, assign.operator_span);
        match &assign.target.kind {
            TargetKind::Name(symbol) => {
                if let Place::Local(register) = self.place(*symbol) {
                    let comprehended = self.context.scopes.scopes[self.scope].comprehended.contains(symbol);
                    if self.is_set(register) && !(comprehended && has_comprehension(&assign.value)) {
                        return self.binary_step(operator, register, register, &assign.value, span, true);
                    }
                    let a = self.code.temporary()?;
                    self.code.span = assign.target.span;
                    self.code.emit(Op::Copy { d: a, a: register });
                    self.binary_step(operator, register, a, &assign.value, span, true)?;
                    self.note_set(register);
                    return Ok(());
                }
                let a = self.code.temporary()?;
                self.code.span = assign.target.span;
                self.load_name(*symbol, a)?;
                self.binary_step(operator, a, a, &assign.value, span, true)?;
                self.code.span = assign.target.span;
                self.store_name(*symbol, a)
            }
            TargetKind::Attribute(value, symbol) => {
                let object = self.operand(value, None, &[&assign.value])?;
                let name = self.name(*symbol);
                let site = self.code.site(name)?;
                self.code.span = assign.target.span;
                let kept = self.kept_copy(object)?;
                let a = if self.code.is_temporary(kept) { kept } else { self.code.temporary()? };
                self.code.emit(Op::Attribute { d: a, a: kept, site });
                self.binary_step(operator, a, a, &assign.value, span, true)?;
                let site = self.code.site(name)?;
                self.code.span = assign.target.span;
                self.code.emit(Op::SetAttribute { a: object, b: a, site });
                Ok(())
            }
            TargetKind::Subscript(subscript) => match &subscript.index {
                Index::Slice(lower, upper) => {
                    let object = self.in_temporary(&subscript.value)?;
                    let (b, c) = self.bounds(*lower, *upper)?;
                    let t = self.code.temporaries(3)?;
                    self.code.span = assign.target.span;
                    for (at, from) in [object, b, c].into_iter().enumerate() {
                        self.copy_bound(t + at as Reg, from, at > 0);
                    }
                    self.code.emit(Op::Slice { d: t, a: t, b: t + 1, c: t + 2 });
                    self.binary_step(operator, t, t, &assign.value, span, true)?;
                    self.code.span = assign.target.span;
                    self.code.emit(Op::SetSlice { a: object, b, c, v: t });
                    Ok(())
                }
                Index::Item(Expr { kind: ExprKind::Int(i), .. }) if i32::try_from(*i).is_ok() => {
                    let i = *i as i32;
                    let object = self.operand(&subscript.value, None, &[&assign.value])?;
                    let a = self.kept_copy(object)?;
                    let d = if self.code.is_temporary(a) { a } else { self.code.temporary()? };
                    self.code.span = assign.target.span;
                    self.code.emit(Op::ItemInt { d, a, i });
                    self.binary_step(operator, d, d, &assign.value, span, true)?;
                    self.code.span = assign.target.span;
                    self.code.emit(Op::SetItemInt { a: object, c: d, i });
                    Ok(())
                }
                index => {
                    let (object, b);
                    if let Index::Item(e) = index {
                        object = self.operand(&subscript.value, None, &[e, &assign.value])?;
                        b = self.operand(e, None, &[&assign.value])?;
                    } else {
                        object = self.in_temporary(&subscript.value)?;
                        b = self.index(index)?;
                    }
                    let a = self.kept_copy(object)?;
                    let i = self.kept_copy(b)?;
                    let d = if self.code.is_temporary(a) { a } else { self.code.temporary()? };
                    self.code.span = assign.target.span;
                    self.code.emit(Op::Item { d, a, b: i });
                    self.binary_step(operator, d, d, &assign.value, span, true)?;
                    self.code.span = assign.target.span;
                    self.code.emit(Op::SetItem { a: object, b, c: d });
                    Ok(())
                }
            },
            TargetKind::Unpack(_) => self.code.error("augmented assignment to a sequence"),
        }
    }

    /// A register that may be consumed: the local itself, or a copy of a temporary.
    fn kept_copy(&mut self, register: Reg) -> Result<Reg, CompileError> {
        if !self.code.is_temporary(register) {
            return Ok(register);
        }
        let copy = self.code.temporary()?;
        self.code.emit(Op::Copy { d: copy, a: register });
        Ok(copy)
    }

    /// Copies a slice bound, which may be unset on purpose.
    fn copy_bound(&mut self, d: Reg, from: Reg, bound: bool) {
        if bound {
            self.code.emit(Op::CopyBound { d, a: from });
        } else {
            self.code.emit(Op::Copy { d, a: from });
        }
    }

    fn print(&mut self, print: &Print<'_>) -> Done {
        let span = self.code.span;
        let Some(destination) = &print.destination else {
            for value in print.values {
                let mark = self.code.next;
                let a = self.operand(value, None, &[])?;
                self.code.span = value.span;
                self.print_value(a)?;
                self.code.next = mark;
            }
            if print.newline {
                self.code.span = span;
                self.code.emit(Op::PrintNewline);
            }
            return Ok(());
        };
        let f = self.in_temporary(destination)?;
        for value in print.values {
            let mark = self.code.next;
            let a = self.in_temporary(value)?;
            self.code.span = value.span;
            let (own, end) = (self.code.label(), self.code.label());
            let test = self.code.temporary()?;
            self.code.emit(Op::Copy { d: test, a: f });
            let to = self.code.to(own);
            self.code.emit(Op::JumpNotNone { a: test, to });
            self.print_value(a)?;
            let to = self.code.to(end);
            self.code.emit(Op::Jump { to });
            self.code.place(own);
            self.print_to(f, a)?;
            self.code.place(end);
            self.code.next = mark;
        }
        if print.newline {
            self.code.span = span;
            let (own, end) = (self.code.label(), self.code.label());
            let test = self.code.temporary()?;
            self.code.emit(Op::Copy { d: test, a: f });
            let to = self.code.to(own);
            self.code.emit(Op::JumpNotNone { a: test, to });
            self.code.emit(Op::PrintNewline);
            let to = self.code.to(end);
            self.code.emit(Op::Jump { to });
            self.code.place(own);
            self.write_constant(f, b"\n")?;
            self.code.emit(Op::SoftSpace { d: test, f, set: false });
            self.code.place(end);
        }
        self.code.emit(Op::Drop { d: f });
        Ok(())
    }

    /// Prints the value in `a`, consuming a temporary.
    fn print_value(&mut self, a: Reg) -> Done {
        let end = self.code.label();
        let to = self.code.to(end);
        let d = self.code.temporary()?;
        self.code.emit(Op::PrintStr { a, to });
        self.code.emit(Op::ToStr { d, a });
        self.code.emit(Op::Print { a: d });
        self.code.place(end);
        Ok(())
    }

    /// Prints the temporary `a` to the object in `f`, consuming `a`.
    fn print_to(&mut self, f: Reg, a: Reg) -> Done {
        let due = self.code.temporary()?;
        let (no_space, text, end) = (self.code.label(), self.code.label(), self.code.label());
        self.code.emit(Op::SoftSpace { d: due, f, set: false });
        let to = self.code.to(no_space);
        self.code.emit(Op::JumpFalse { a: due, to });
        self.write_constant(f, b" ")?;
        self.code.place(no_space);
        let to = self.code.to(text);
        self.code.emit(Op::IfStr { a, to });
        self.code.emit(Op::ToStr { d: a, a });
        self.write_register(f, a)?;
        self.code.emit(Op::SoftSpace { d: due, f, set: true });
        let to = self.code.to(end);
        self.code.emit(Op::Jump { to });
        self.code.place(text);
        let copy = self.code.temporary()?;
        self.code.emit(Op::Copy { d: copy, a });
        self.write_register(f, copy)?;
        self.code.emit(Op::SoftSpaceAfter { f, a });
        self.code.emit(Op::Drop { d: a });
        self.code.place(end);
        Ok(())
    }

    fn write_constant(&mut self, f: Reg, bytes: &[u8]) -> Done {
        let mark = self.code.next;
        let a = self.code.temporary()?;
        let k = self.str_constant(bytes);
        self.code.emit(Op::Constant { d: a, k });
        self.write_register(f, a)?;
        self.code.next = mark;
        Ok(())
    }

    /// `f.write(a)`, consuming the temporary `a`.
    fn write_register(&mut self, f: Reg, a: Reg) -> Done {
        let mark = self.code.next;
        let t = self.code.temporaries(3)?;
        let name = self.heap.intern(b"write");
        let site = self.code.site(name)?;
        self.code.emit(Op::Copy { d: t + 1, a: f });
        self.code.emit(Op::Method { t, a: t + 1, site });
        self.code.emit(Op::Take { d: t + 2, a });
        self.code.emit(Op::CallMethod { d: t, t, count: 1 });
        self.code.emit(Op::Drop { d: t });
        self.code.next = mark;
        Ok(())
    }

    fn branch(&mut self, branch: &If<'_>) -> Done {
        let end = self.code.label();
        let mut merged: Option<RegSet> = None;
        for (at, arm) in branch.arms.iter().enumerate() {
            let next = self.code.label();
            self.jump_if(&arm.test, false, next)?;
            let before = self.assigned;
            self.block(arm.body)?;
            let last = at + 1 == branch.arms.len() && branch.otherwise.is_empty();
            if !last {
                let to = self.code.to(end);
                self.code.emit(Op::Jump { to });
            }
            let after = std::mem::replace(&mut self.assigned, before);
            merged = Some(match merged {
                Some(set) => set.both(after),
                None => after,
            });
            self.code.place(next);
        }
        self.block(branch.otherwise)?;
        if let Some(set) = merged {
            self.assigned = self.assigned.both(set);
        }
        self.code.place(end);
        Ok(())
    }

    fn while_(&mut self, loop_: &While<'_>) -> Done {
        let (end, test) = (self.code.label(), self.code.label());
        let forever = match loop_.test.kind {
            ExprKind::Int(value) => value != 0,
            ExprKind::Name(symbol) => self.truth_name(symbol) == Some(true),
            _ => false,
        };
        let before = self.assigned;
        if !forever {
            let to = self.code.to(test);
            self.code.emit(Op::Jump { to });
        }
        let body = self.code.here();
        self.enclosures.push(Enclosure::Loop { end, again: test, iteration: None });
        self.block(loop_.body)?;
        self.enclosures.pop();
        self.code.place(test);
        self.assigned = before;
        if forever {
            let to = self.code.to(body);
            self.code.emit(Op::Loop { to });
        } else {
            self.jump_if(&loop_.test, true, body)?;
        }
        let after = self.assigned;
        self.block(loop_.otherwise)?;
        self.assigned = after;
        self.code.place(end);
        Ok(())
    }

    fn for_(&mut self, loop_: &For<'_>) -> Done {
        let (end, next) = (self.code.label(), self.code.label());
        let before = self.assigned;
        let t = self.code.temporaries(3)?;
        self.iteration(&loop_.iterable, t, next)?;
        let body = self.code.here();
        let mark = self.code.next;
        let d = self.item_register(&loop_.target)?;
        self.store_item(&loop_.target, d)?;
        self.code.next = mark;
        self.enclosures.push(Enclosure::Loop { end, again: next, iteration: Some(t) });
        self.block(loop_.body)?;
        self.enclosures.pop();
        self.code.place(next);
        self.code.span = loop_.iterable.span;
        let to = self.code.to(body);
        self.code.emit(Op::Next { t, d, to });
        self.assigned = before;
        let after = self.assigned;
        self.block(loop_.otherwise)?;
        self.assigned = after;
        self.code.place(end);
        Ok(())
    }

    fn return_(&mut self, e: Option<&Expr>) -> Done {
        let e = e.filter(|e| !self.is_none(e));
        let span = self.code.span;
        let guarded = self.enclosures.iter().any(|e| matches!(e, Enclosure::Guarded { .. }));
        let simple = self.enclosures.iter().all(|e| matches!(e, Enclosure::Loop { iteration: None, .. }));
        if simple && !guarded {
            match e {
                Some(e) => {
                    let a = self.operand(e, None, &[])?;
                    self.code.span = span;
                    self.emit_return(Some(a));
                }
                None => self.emit_return(None),
            }
            return Ok(());
        }
        let a = self.code.temporary()?;
        match e {
            Some(e) => self.into(e, a)?,
            None => self.code.emit(Op::None { d: a }),
        }
        self.code.span = span;
        self.leave_with(Exit::Return, Some(a))
    }

    /// Returns `a`, or `None`.
    pub fn emit_return(&mut self, a: Option<Reg>) {
        if self.handling != 0 {
            self.code.emit(Op::EndHandling);
        }
        self.code.emit(match a {
            Some(a) => Op::Return { a },
            None => Op::ReturnNone,
        });
    }

    fn leave(&mut self, exit: Exit) -> Done {
        self.leave_with(exit, None)
    }

    /// Goes out of the enclosing statements: as far as the next `finally`, which goes on later.
    fn leave_with(&mut self, exit: Exit, value: Option<Reg>) -> Done {
        let mut drops = Vec::new();
        let mut jump: Option<Label> = None;
        let mut through: Option<(Reg, usize, Label)> = None;
        for enclosure in self.enclosures.iter_mut().rev() {
            match enclosure {
                Enclosure::Loop { end, again, iteration } => match exit {
                    Exit::Break => {
                        drops.extend(*iteration);
                        jump = Some(*end);
                        break;
                    }
                    Exit::Continue => {
                        jump = Some(*again);
                        break;
                    }
                    Exit::Return => drops.extend(*iteration),
                },
                Enclosure::Guarded { reason, start, exits } => {
                    let number = match exits.iter().position(|known| *known == exit) {
                        Some(number) => number,
                        None => {
                            exits.push(exit);
                            exits.len() - 1
                        }
                    };
                    through = Some((*reason, number + 1, *start));
                    break;
                }
                Enclosure::Finally { reason } => drops.extend([*reason, *reason + 1]),
            }
        }
        for d in drops {
            self.code.emit(Op::Drop { d });
        }
        if let Some((reason, number, start)) = through {
            if let Some(a) = value {
                self.code.emit(Op::Take { d: reason + 1, a });
            }
            self.code.emit(Op::Int { d: reason, value: number as i32 });
            let to = self.code.to(start);
            self.code.emit(Op::Jump { to });
        } else if let Some(label) = jump {
            let to = self.code.to(label);
            self.code.emit(Op::Jump { to });
        } else if let Some(a) = value {
            self.emit_return(Some(a));
        }
        Ok(())
    }

    fn try_(&mut self, attempt: &Try<'_>) -> Done {
        let Some(finally) = &attempt.finally else {
            return self.try_except(attempt);
        };
        let reason = self.code.temporaries(2)?;
        let (start_of_finally, end) = (self.code.label(), self.code.label());
        let start = self.code.here();
        self.enclosures.push(Enclosure::Guarded { reason, start: start_of_finally, exits: Vec::new() });
        let before = self.assigned;
        if attempt.handlers.is_empty() {
            self.block(attempt.body)?;
            self.block(attempt.otherwise)?;
        } else {
            self.try_except(attempt)?;
        }
        let exits = match self.enclosures.pop() {
            Some(Enclosure::Guarded { exits, .. }) => exits,
            _ => Vec::new(),
        };
        let after = std::mem::replace(&mut self.assigned, before);
        self.code.emit(Op::Int { d: reason, value: 0 });
        let to = self.code.to(start_of_finally);
        self.code.emit(Op::Jump { to });
        let handler = self.code.here();
        self.code.handler(start, handler, handler, reason);
        self.code.emit(Op::Handling { t: reason });
        self.code.place(start_of_finally);
        self.enclosures.push(Enclosure::Finally { reason });
        self.block(finally)?;
        self.enclosures.pop();
        self.assigned = self.assigned.either(after);
        self.code.emit(Op::EndFinally { t: reason });
        for (number, exit) in exits.into_iter().enumerate() {
            let other = self.code.label();
            let this = self.code.label();
            let to = self.code.to(this);
            self.code.emit(Op::IfReason { t: reason, i: number as u16 + 1, to });
            let to = self.code.to(other);
            self.code.emit(Op::Jump { to });
            self.code.place(this);
            let mark = self.code.next;
            match exit {
                Exit::Return => {
                    let a = self.code.temporary()?;
                    self.code.emit(Op::Take { d: a, a: reason + 1 });
                    self.leave_with(exit, Some(a))?;
                }
                _ => self.leave_with(exit, None)?,
            }
            self.code.next = mark;
            self.code.place(other);
        }
        self.code.place(end);
        Ok(())
    }

    fn try_except(&mut self, attempt: &Try<'_>) -> Done {
        let t = self.code.temporaries(2)?;
        let end = self.code.label();
        let before = self.assigned;
        let start = self.code.here();
        // While the body runs the two registers are free.
        self.block(attempt.body)?;
        let stop = self.code.here();
        self.block(attempt.otherwise)?;
        let mut merged = std::mem::replace(&mut self.assigned, before);
        let to = self.code.to(end);
        self.code.emit(Op::Jump { to });
        let handler = self.code.here();
        self.code.handler(start, stop, handler, t);
        self.code.emit(Op::Handling { t });
        let mut caught_all = false;
        for clause in attempt.handlers {
            self.code.span = clause.span;
            let next = self.code.label();
            match &clause.kind {
                Some(kind) => {
                    let mark = self.code.next;
                    let a = self.operand(kind, None, &[])?;
                    self.code.span = clause.span;
                    let to = self.code.to(next);
                    self.code.emit(Op::Match { t, a, to });
                    self.code.next = mark;
                }
                None => caught_all = true,
            }
            self.code.emit(Op::Drop { d: t + 1 });
            match &clause.target {
                Some(target) => self.store(target, t)?,
                None => self.code.emit(Op::Drop { d: t }),
            }
            self.block(clause.body)?;
            let to = self.code.to(end);
            self.code.emit(Op::Jump { to });
            merged = merged.both(self.assigned);
            self.assigned = before;
            self.code.place(next);
        }
        if !caught_all {
            self.code.emit(Op::Reraise { t });
        }
        self.assigned = merged;
        self.code.place(end);
        Ok(())
    }
}

/// The expressions in a target that are evaluated after the value.
fn target_parts<'e>(target: &'e Target<'e>) -> Vec<&'e Expr<'e>> {
    match &target.kind {
        TargetKind::Name(_) => Vec::new(),
        TargetKind::Attribute(value, _) => vec![value],
        TargetKind::Subscript(subscript) => {
            let mut parts = vec![&subscript.value];
            index_parts(&subscript.index, &mut parts);
            parts
        }
        TargetKind::Unpack(targets) => targets.iter().flat_map(target_parts).collect(),
    }
}

fn index_parts<'e>(index: &'e Index<'e>, parts: &mut Vec<&'e Expr<'e>>) {
    match index {
        Index::Item(e) => parts.push(e),
        Index::Slice(a, b) => parts.extend([a, b].into_iter().flatten()),
        Index::ExtendedSlice(a, b, c) => parts.extend([a, b, c].into_iter().flatten()),
        Index::Ellipsis => {}
        Index::Dimensions(indices) => indices.iter().for_each(|index| index_parts(index, parts)),
    }
}
