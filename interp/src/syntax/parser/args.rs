//! Arguments of calls.

use super::super::ast::{Call, Expr, ExprKind, Keyword};
use super::super::finding::{Fault, What};
use super::super::node::Node;
use super::super::source::Span;
use super::super::symbol::Symbol;
use super::super::token::Kind;
use super::{Parser, Result};

/// 2.7 passes at most so many arguments written one by one.
const MAX_ARGUMENTS: usize = 255;

/// The arguments of a call as far as they are read.
struct Arguments<'t> {
    positional: Vec<Expr<'t>>,
    keywords: Vec<Keyword<'t>>,
    star: Option<&'t Expr<'t>>,
    double_star: Option<&'t Expr<'t>>,
}

impl<'t> Parser<'_, 't> {
    /// A call of `function`, which began at `start`, from the `(` on.
    pub(super) fn call(&mut self, function: Expr<'t>, start: u32) -> Result<Expr<'t>> {
        self.advance();
        let mut height = function.height;
        let mut call =
            Arguments { positional: Vec::new(), keywords: Vec::new(), star: None, double_star: None };
        self.arguments(&mut call, &mut height)?;
        self.expect(Kind::CloseParen)?;
        let span = self.span_from(start);
        if call.positional.len() + call.keywords.len() > MAX_ARGUMENTS {
            let fault = Fault::syntax(
                "more than 255 arguments",
                "pass a list, or use `*` before a sequence of arguments",
            );
            self.note(span, What::Syntax(fault));
        }
        self.check_repeated(&call.keywords);
        let call = Call {
            function,
            positional: self.tree.row(&call.positional),
            keywords: self.tree.row(&call.keywords),
            star: call.star,
            double_star: call.double_star,
        };
        self.node(ExprKind::Call(self.tree.put(call)), start, height)
    }

    fn arguments(&mut self, call: &mut Arguments<'t>, height: &mut u16) -> Result<()> {
        let mut generator: Option<Span> = None;
        let mut count = 0;
        while !self.at(Kind::CloseParen) {
            if self.at(Kind::DoubleStar) {
                self.advance();
                let value = self.argument_value(height)?;
                call.double_star = Some(self.tree.put(value));
                break;
            }
            count += 1;
            if self.at(Kind::Star) {
                if call.star.is_some() {
                    return Err(self.unexpected(None));
                }
                self.advance();
                let value = self.argument_value(height)?;
                call.star = Some(self.tree.put(value));
                if self.at(Kind::Comma) {
                    self.advance();
                    if self.at(Kind::CloseParen) {
                        return Err(self.unexpected(None));
                    }
                }
                if !self.at(Kind::CloseParen) && self.previous.kind != Kind::Comma {
                    break;
                }
                continue;
            }
            if let Some(span) = self.argument(call, height)? {
                generator = Some(span);
            }
            if !self.eat(Kind::Comma) {
                break;
            }
        }
        if let Some(span) = generator {
            if count > 1 || call.star.is_some() || call.double_star.is_some() {
                let fault = Fault::syntax(
                    "Generator expression must be parenthesized if not sole argument",
                    "use a list: [... for ... in ...]",
                );
                self.note(span, What::Syntax(fault));
            }
        }
        Ok(())
    }

    fn argument_value(&mut self, height: &mut u16) -> Result<Expr<'t>> {
        let value = self.test()?;
        *height = (*height).max(value.height);
        Ok(value)
    }

    /// One positional or keyword argument. Gives the place of a generator
    /// expression without parentheses.
    fn argument(&mut self, call: &mut Arguments<'t>, height: &mut u16) -> Result<Option<Span>> {
        let start = self.start();
        let value = self.argument_value(height)?;
        if self.at(Kind::Assign) {
            let name_span = self.span_from(start);
            let name = self.keyword_name(&value, name_span);
            self.advance();
            let value = self.argument_value(height)?;
            if self.at(Kind::For) {
                return Err(self.unexpected(None));
            }
            if let Some(name) = name {
                call.keywords.push(Keyword { name, name_span, value });
            }
            return Ok(None);
        }
        if self.at(Kind::For) {
            self.generator_clauses()?;
            let placeholder = self.placeholder(start, Node::GenExpr);
            let span = placeholder.span;
            call.positional.push(placeholder);
            return Ok(Some(span));
        }
        let span = value.span;
        if !call.keywords.is_empty() {
            let fault =
                Fault::syntax("non-keyword arg after keyword arg", "put the arguments without a name first");
            self.note(span, What::Syntax(fault));
        } else if call.star.is_some() {
            let fault = Fault::syntax(
                "only named arguments may follow *expression",
                "put the arguments without a name before `*`",
            );
            self.note(span, What::Syntax(fault));
        }
        call.positional.push(value);
        Ok(None)
    }

    /// The name on the left of `=` in a call.
    fn keyword_name(&mut self, value: &Expr<'_>, span: Span) -> Option<Symbol> {
        match value.kind {
            ExprKind::Name(name) => {
                self.check_assignable(name, span);
                Some(name)
            }
            _ => {
                let fault = Fault::syntax(
                    "keyword can't be an expression",
                    "write a name before `=`, or `==` to compare",
                );
                self.note(span, What::Syntax(fault));
                None
            }
        }
    }

    fn check_repeated(&mut self, keywords: &[Keyword<'_>]) {
        if keywords.len() < 2 {
            return;
        }
        // Few keywords: compare each with those before it. Many: sort.
        let mut names: Vec<(Symbol, Span)> =
            keywords.iter().map(|keyword| (keyword.name, keyword.name_span)).collect();
        names.sort_unstable();
        for pair in names.windows(2) {
            if let [(name, _), (same, span)] = pair {
                if name == same {
                    self.refuse(*span, "keyword argument repeated", "give each argument once");
                }
            }
        }
    }
}
