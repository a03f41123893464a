//! Compound statements: those with blocks.

use super::super::ast::{Block, ClassDef, For, FunctionDef, Handler, If, IfArm, Stmt, StmtKind, Try, While};
use super::super::finding::{Fault, What};
use super::super::node::Node;
use super::super::source::Span;
use super::super::token::Kind;
use super::target::Action;
use super::{Frame, Headed, Parser, Result, Scope, ScopeKind};

impl<'t> Parser<'_, 't> {
    pub(super) fn if_statement(&mut self) -> Result<Headed<'t>> {
        let mut arms = Vec::with_capacity(1);
        let mut header_end = 0;
        loop {
            self.advance();
            let test = self.test()?;
            let (body, end) = self.suite()?;
            if arms.is_empty() {
                header_end = end;
            }
            arms.push(IfArm { test, body });
            if !self.at(Kind::Elif) {
                break;
            }
        }
        let otherwise = self.else_block()?;
        let kind = StmtKind::If(self.tree.put(If { arms: self.tree.row(&arms), otherwise }));
        Ok((kind, header_end))
    }

    /// An `else` with its block, or nothing.
    fn else_block(&mut self) -> Result<Block<'t>> {
        match self.eat(Kind::Else) {
            true => Ok(self.suite()?.0),
            false => Ok(&[]),
        }
    }

    pub(super) fn while_statement(&mut self) -> Result<Headed<'t>> {
        let place = self.advance().span;
        let test = self.test()?;
        let (body, end) = self.framed_suite(Frame::Loop, place)?;
        let otherwise = self.else_block()?;
        let kind = StmtKind::While(self.tree.put(While { test, body, otherwise }));
        Ok((kind, end))
    }

    pub(super) fn for_statement(&mut self) -> Result<Headed<'t>> {
        let place = self.advance().span;
        let target = self.target_list(Kind::In)?;
        self.expect(Kind::In)?;
        let iterable = self.test_list()?;
        let (body, end) = self.framed_suite(Frame::Loop, place)?;
        let otherwise = self.else_block()?;
        let kind = StmtKind::For(self.tree.put(For { target, iterable, body, otherwise }));
        Ok((kind, end))
    }

    pub(super) fn try_statement(&mut self) -> Result<Headed<'t>> {
        let place = self.advance().span;
        let (body, end) = self.framed_suite(Frame::Guarded, place)?;
        let mut statement = Try { body, handlers: &[], otherwise: &[], finally: None };
        let mut handlers = Vec::new();
        let mut bare: Option<Span> = None;
        while self.at(Kind::Except) {
            if let Some(span) = bare.take() {
                let fault = Fault::syntax("default 'except:' must be last", "move it to the end");
                self.note(span, What::Syntax(fault));
            }
            let handler = self.handler()?;
            if handler.kind.is_none() {
                bare = Some(handler.span);
            }
            handlers.push(handler);
        }
        statement.handlers = self.tree.row(&handlers);
        if !handlers.is_empty() {
            statement.otherwise = self.else_block()?;
        }
        if self.eat(Kind::Finally) {
            statement.finally = Some(self.framed_suite(Frame::FinallyEnd, place)?.0);
        } else if handlers.is_empty() {
            return Err(self.unexpected(Some(Kind::Except)));
        }
        Ok((StmtKind::Try(self.tree.put(statement)), end))
    }

    fn handler(&mut self) -> Result<Handler<'t>> {
        let place = self.advance().span;
        let mut kind = None;
        let mut target = None;
        if !self.at(Kind::Colon) {
            kind = Some(self.test()?);
            if self.eat(Kind::As) || self.eat(Kind::Comma) {
                let value = self.test()?;
                target = Some(self.target(value, Action::Assign));
            }
        }
        let (body, end) = self.suite()?;
        Ok(Handler { kind, target, body, span: Span::new(place.start, end) })
    }

    /// `with`, refused; what stands in its block is read for further findings.
    pub(super) fn with_statement(&mut self) -> Result<Headed<'t>> {
        let start = self.advance().span.start;
        loop {
            self.test()?;
            if self.eat(Kind::As) {
                let value = self.expression()?;
                self.target(value, Action::Assign);
            }
            if !self.eat(Kind::Comma) {
                break;
            }
        }
        let test = self.placeholder(start, Node::With);
        let (body, end) = self.suite()?;
        let kind =
            StmtKind::If(self.tree.put(If { arms: self.tree.row(&[IfArm { test, body }]), otherwise: &[] }));
        Ok((kind, end))
    }

    /// Decorators, refused, with the definition they stand before.
    pub(super) fn decorators(&mut self, body: &mut Vec<Stmt<'t>>) -> Result<()> {
        let start = self.start();
        while self.eat(Kind::At) {
            self.test()?;
            let span = self.span_from(start);
            self.expect(Kind::Newline)?;
            if !self.at(Kind::At) {
                self.foreign(span, Node::Decorators);
            }
        }
        match self.token.kind {
            Kind::Def | Kind::Class => self.statement(body),
            _ => Err(self.unexpected(Some(Kind::Def))),
        }
    }

    /// A block that is a function or class of its own.
    fn scoped_suite(&mut self, kind: ScopeKind) -> Result<(Block<'t>, u32)> {
        self.scopes.push(Scope::new(kind));
        let suite = self.suite();
        self.scopes.pop();
        suite
    }

    pub(super) fn def_statement(&mut self) -> Result<Headed<'t>> {
        self.advance();
        let name = self.expect(Kind::Name)?;
        self.check_assignable(name.symbol, name.span);
        self.expect(Kind::OpenParen)?;
        let parameters = self.parameters(Kind::CloseParen)?;
        self.expect(Kind::CloseParen)?;
        let (body, end) = self.scoped_suite(ScopeKind::Function)?;
        let kind = StmtKind::Def(self.tree.put(FunctionDef {
            name: name.symbol,
            name_span: name.span,
            parameters,
            body,
        }));
        Ok((kind, end))
    }

    pub(super) fn class_statement(&mut self) -> Result<Headed<'t>> {
        self.advance();
        let name = self.expect(Kind::Name)?;
        self.check_assignable(name.symbol, name.span);
        let mut bases = Vec::new();
        if self.eat(Kind::OpenParen) {
            while !self.at(Kind::CloseParen) {
                bases.push(self.test()?);
                if !self.eat(Kind::Comma) {
                    break;
                }
            }
            self.expect(Kind::CloseParen)?;
        }
        let (body, end) = self.scoped_suite(ScopeKind::Class)?;
        let kind = StmtKind::Class(self.tree.put(ClassDef {
            name: name.symbol,
            name_span: name.span,
            bases: self.tree.row(&bases),
            body,
        }));
        Ok((kind, end))
    }
}
