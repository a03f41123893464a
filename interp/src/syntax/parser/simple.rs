//! Simple statements: those without a block.

use super::super::ast::{Assert, Assign, AugAssign, Expr, Print, Raise, Stmt, StmtKind};
use super::super::finding::Fault;
use super::super::node::Node;
use super::super::token::Kind;
use super::expr::augmented_operator;
use super::target::Action;
use super::{Frame, Parser, Result, ScopeKind};

impl<'t> Parser<'_, 't> {
    /// One line of simple statements.
    pub(super) fn simple_line(&mut self, body: &mut Vec<Stmt<'t>>) -> Result<()> {
        loop {
            let start = self.start();
            self.statement = self.token.kind;
            let kind = self.simple()?;
            let span = self.span_from(start);
            body.push(Stmt { kind, span });
            if !self.eat(Kind::Semicolon) || self.at(Kind::Newline) {
                break;
            }
        }
        self.expect(Kind::Newline)?;
        Ok(())
    }

    fn simple(&mut self) -> Result<StmtKind<'t>> {
        match self.token.kind {
            Kind::Print => self.print(),
            Kind::Del => self.del(),
            Kind::Pass => self.word(StmtKind::Pass),
            Kind::Break => self.break_statement(),
            Kind::Continue => self.continue_statement(),
            Kind::Return => self.return_statement(),
            Kind::Raise => self.raise(),
            Kind::Assert => self.assert(),
            Kind::Global => self.global(),
            Kind::Exec => self.exec(),
            Kind::Import => self.import(),
            Kind::From => self.import_from(),
            _ => self.expression_statement(),
        }
    }

    fn word(&mut self, kind: StmtKind<'t>) -> Result<StmtKind<'t>> {
        self.advance();
        Ok(kind)
    }

    /// What stands on the right of an assignment.
    fn assigned(&mut self) -> Result<Expr<'t>> {
        match self.at(Kind::Yield) {
            true => self.yield_expression(),
            false => self.test_list(),
        }
    }

    fn expression_statement(&mut self) -> Result<StmtKind<'t>> {
        let mut value = self.assigned()?;
        if let Some(operator) = augmented_operator(self.token.kind) {
            let target = self.target(value, Action::Augment);
            let operator_span = self.advance().span;
            let value = self.assigned()?;
            return Ok(StmtKind::AugAssign(self.tree.put(AugAssign {
                target,
                operator,
                operator_span,
                value,
            })));
        }
        if !self.at(Kind::Assign) {
            return Ok(StmtKind::Expr(value));
        }
        self.advance();
        let next = self.assigned()?;
        let before = std::mem::replace(&mut value, next);
        let first = self.target(before, Action::Assign);
        let targets = self.row(first, |parser| {
            if !parser.eat(Kind::Assign) {
                return Ok(None);
            }
            let next = parser.assigned()?;
            let before = std::mem::replace(&mut value, next);
            Ok(Some(parser.target(before, Action::Assign)))
        })?;
        Ok(StmtKind::Assign(self.tree.put(Assign { targets, value })))
    }

    fn print(&mut self) -> Result<StmtKind<'t>> {
        self.advance();
        let mut print = Print { destination: None, values: &[], newline: true };
        if self.eat(Kind::ShiftRight) {
            print.destination = Some(self.test()?);
            if !self.eat(Kind::Comma) {
                return Ok(StmtKind::Print(self.tree.put(print)));
            }
        } else if !self.starts_expression() {
            return Ok(StmtKind::Print(self.tree.put(print)));
        }
        let first = self.test()?;
        let mut newline = true;
        print.values = self.row(first, |parser| {
            if !parser.eat(Kind::Comma) {
                return Ok(None);
            }
            if !parser.starts_expression() {
                newline = false;
                return Ok(None);
            }
            parser.test().map(Some)
        })?;
        print.newline = newline;
        Ok(StmtKind::Print(self.tree.put(print)))
    }

    fn del(&mut self) -> Result<StmtKind<'t>> {
        self.advance();
        let mut targets = Vec::new();
        loop {
            let value = self.expression()?;
            targets.push(self.target(value, Action::Delete));
            if !self.eat(Kind::Comma) || !self.starts_expression() {
                return Ok(StmtKind::Delete(self.tree.row(&targets)));
            }
        }
    }

    fn break_statement(&mut self) -> Result<StmtKind<'t>> {
        let span = self.advance().span;
        let scope = self.scope();
        if scope.kind != ScopeKind::Unknown && !scope.frames.contains(&Frame::Loop) {
            self.refuse(span, "'break' outside loop", "only `for` and `while` can be left with it");
        }
        Ok(StmtKind::Break)
    }

    fn continue_statement(&mut self) -> Result<StmtKind<'t>> {
        let span = self.advance().span;
        let scope = self.scope();
        let unknown = scope.kind == ScopeKind::Unknown;
        let inner = scope.frames.iter().rposition(|frame| *frame == Frame::Loop);
        let within = &scope.frames[inner.unwrap_or(0)..];
        if within.contains(&Frame::FinallyEnd) {
            self.refuse(
                span,
                "'continue' not supported inside 'finally' clause",
                "set a variable in `finally` and continue behind it",
            );
        } else if inner.is_none() && !unknown {
            self.refuse(span, "'continue' not properly in loop", "only `for` and `while` can be continued");
        }
        Ok(StmtKind::Continue)
    }

    fn return_statement(&mut self) -> Result<StmtKind<'t>> {
        let span = self.advance().span;
        if matches!(self.scope().kind, ScopeKind::Module | ScopeKind::Class) {
            self.refuse(
                span,
                "'return' outside function",
                "use `exitall()` to end the program, or put the code into a function",
            );
        }
        let value = match self.starts_expression() {
            true => Some(self.test_list()?),
            false => None,
        };
        Ok(StmtKind::Return(value))
    }

    fn raise(&mut self) -> Result<StmtKind<'t>> {
        self.advance();
        let mut raise = Raise { kind: None, value: None, traceback: None };
        if self.starts_expression() {
            raise.kind = Some(self.test()?);
            if self.at(Kind::From) {
                let fault = Fault::invalid(
                    "`raise ... from` belongs to Python 3",
                    "put what the cause says into the message of the new exception",
                );
                return Err(self.fail(self.token.span, fault));
            }
            if self.eat(Kind::Comma) {
                raise.value = Some(self.test()?);
                if self.eat(Kind::Comma) {
                    raise.traceback = Some(self.test()?);
                }
            }
        }
        Ok(StmtKind::Raise(self.tree.put(raise)))
    }

    fn assert(&mut self) -> Result<StmtKind<'t>> {
        self.advance();
        let test = self.test()?;
        let message = match self.eat(Kind::Comma) {
            true => Some(self.test()?),
            false => None,
        };
        Ok(StmtKind::Assert(self.tree.put(Assert { test, message })))
    }

    /// Notes a refused statement that began at `start`.
    fn refused(&mut self, start: u32, node: Node) -> Result<StmtKind<'t>> {
        let span = self.span_from(start);
        self.foreign(span, node);
        Ok(StmtKind::Pass)
    }

    fn global(&mut self) -> Result<StmtKind<'t>> {
        let start = self.advance().span.start;
        self.expect(Kind::Name)?;
        while self.eat(Kind::Comma) {
            self.expect(Kind::Name)?;
        }
        self.refused(start, Node::Global)
    }

    fn exec(&mut self) -> Result<StmtKind<'t>> {
        let start = self.advance().span.start;
        self.expression()?;
        if self.eat(Kind::In) {
            self.test()?;
            if self.eat(Kind::Comma) {
                self.test()?;
            }
        }
        self.refused(start, Node::Exec)
    }

    fn import(&mut self) -> Result<StmtKind<'t>> {
        let start = self.advance().span.start;
        loop {
            self.dotted_name()?;
            self.import_as()?;
            if !self.eat(Kind::Comma) {
                return self.refused(start, Node::Import);
            }
        }
    }

    fn dotted_name(&mut self) -> Result<()> {
        self.expect(Kind::Name)?;
        while self.eat(Kind::Dot) {
            self.expect(Kind::Name)?;
        }
        Ok(())
    }

    fn import_as(&mut self) -> Result<()> {
        if self.eat(Kind::As) {
            self.expect(Kind::Name)?;
        }
        Ok(())
    }

    fn import_from(&mut self) -> Result<StmtKind<'t>> {
        let start = self.advance().span.start;
        let relative = self.at(Kind::Dot);
        while self.eat(Kind::Dot) {}
        if !relative || self.at(Kind::Name) {
            self.dotted_name()?;
        }
        self.expect(Kind::Import)?;
        if self.eat(Kind::Star) {
            return self.refused(start, Node::From);
        }
        let parenthesized = self.eat(Kind::OpenParen);
        loop {
            self.expect(Kind::Name)?;
            self.import_as()?;
            if !self.eat(Kind::Comma) || (parenthesized && self.at(Kind::CloseParen)) {
                break;
            }
            if !parenthesized && self.at(Kind::Newline) {
                let fault = Fault::syntax(
                    "trailing comma not allowed without surrounding parentheses",
                    "remove the comma",
                );
                return Err(self.fail(self.previous.span, fault));
            }
        }
        if parenthesized {
            self.expect(Kind::CloseParen)?;
        }
        self.refused(start, Node::From)
    }
}
