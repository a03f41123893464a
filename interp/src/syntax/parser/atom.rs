//! Operands: names, literals, displays, and what is applied to them.

use super::super::ast::{Clause, Expr, ExprKind, Index, ListComp, Subscript};
use super::super::finding::What;
use super::super::literal;
use super::super::node::Node;
use super::super::source::Span;
use super::super::token::Kind;
use super::{Parser, Result};

impl<'a, 't> Parser<'a, 't> {
    pub(super) fn atom(&mut self) -> Result<Expr<'t>> {
        let start = self.start();
        match self.token.kind {
            Kind::Name => {
                let symbol = self.advance().symbol;
                self.node(ExprKind::Name(symbol), start, 0)
            }
            Kind::Number => {
                let span = self.advance().span;
                self.number(span)
            }
            Kind::Str | Kind::UnicodeStr => self.strings(),
            Kind::OpenParen => self.nested(Self::parenthesized),
            Kind::OpenBracket => self.nested(Self::list),
            Kind::OpenBrace => self.nested(Self::braces),
            Kind::Backquote => self.nested(Self::backquotes),
            _ => Err(self.unexpected(None)),
        }
    }

    pub(super) fn number(&mut self, span: Span) -> Result<Expr<'t>> {
        let text = std::str::from_utf8(self.slice(span)).unwrap_or_default();
        self.node(literal::number(self.tree, text, false), span.start, 0)
    }

    /// Adjacent string literals, joined.
    fn strings(&mut self) -> Result<Expr<'t>> {
        let start = self.start();
        let span = self.advance().span;
        let unicode = self.previous.kind == Kind::UnicodeStr;
        if !unicode && !matches!(self.token.kind, Kind::Str | Kind::UnicodeStr) {
            // Nearly always one literal without an escape: its bytes are its value.
            if let Some(plain) = literal::plain(self.slice(span)) {
                return self.node(ExprKind::Str(self.tree.row(plain)), start, 0);
            }
        }
        let mut value = Vec::new();
        let mut tokens = Vec::new();
        self.string(span, &mut tokens, (!unicode).then_some(&mut value));
        let mut any = unicode;
        while matches!(self.token.kind, Kind::Str | Kind::UnicodeStr) {
            any |= self.at(Kind::UnicodeStr);
            let span = self.advance().span;
            self.string(span, &mut tokens, (!any).then_some(&mut value));
        }
        if any {
            let span = self.span_from(start);
            self.note(span, What::Unicode(literal::unicode_repr(&tokens)));
        }
        self.node(ExprKind::Str(self.tree.row(&value)), start, 0)
    }

    /// One string literal of a row, and its value if that is wanted.
    fn string(&mut self, span: Span, tokens: &mut Vec<&'a [u8]>, value: Option<&mut Vec<u8>>) {
        let text = self.slice(span);
        tokens.push(text);
        if let Some(Err(fault)) = value.map(|value| literal::string(text, value)) {
            self.note(span, What::Syntax(fault));
        }
    }

    /// `(…)`: a parenthesized expression, a tuple, and the refused forms.
    fn parenthesized(&mut self) -> Result<Expr<'t>> {
        let start = self.advance().span.start;
        if self.eat(Kind::CloseParen) {
            return self.node(ExprKind::Tuple(&[]), start, 0);
        }
        let inner = self.start();
        if self.at(Kind::Yield) {
            let value = self.yield_expression()?;
            self.expect(Kind::CloseParen)?;
            return Ok(value);
        }
        let first = self.test()?;
        if self.at(Kind::For) {
            self.generator_clauses()?;
            self.expect(Kind::CloseParen)?;
            return Ok(self.placeholder(start, Node::GenExpr));
        }
        let tuple = self.at(Kind::Comma);
        let mut value = self.list_from(first, inner, Self::test)?;
        self.expect(Kind::CloseParen)?;
        if tuple {
            value.span = self.span_from(start);
        }
        Ok(value)
    }

    /// `[…]`: a list or a list comprehension.
    fn list(&mut self) -> Result<Expr<'t>> {
        let start = self.advance().span.start;
        if self.eat(Kind::CloseBracket) {
            return self.node(ExprKind::List(&[]), start, 0);
        }
        let first = self.test()?;
        let mut height = first.height;
        if self.at(Kind::For) {
            let clauses = self.list_clauses(&mut height)?;
            self.expect(Kind::CloseBracket)?;
            let element = first;
            let comprehension = ListComp { element, clauses };
            return self.node(ExprKind::ListComp(self.tree.put(comprehension)), start, height);
        }
        let items = self.row(first, |parser| {
            if !parser.eat(Kind::Comma) || parser.at(Kind::CloseBracket) {
                return Ok(None);
            }
            let item = parser.test()?;
            height = height.max(item.height);
            Ok(Some(item))
        })?;
        self.expect(Kind::CloseBracket)?;
        self.node(ExprKind::List(items), start, height)
    }

    /// The `for` and `if` clauses of a list comprehension.
    fn list_clauses(&mut self, height: &mut u16) -> Result<&'t [Clause<'t>]> {
        let mut clauses = Vec::new();
        loop {
            let start = self.start();
            if self.eat(Kind::For) {
                let target = self.target_list(Kind::In)?;
                self.expect(Kind::In)?;
                let begin = self.start();
                let first = self.old_test()?;
                let lone = self.at(Kind::Comma);
                let iterable = self.list_from(first, begin, Self::old_test)?;
                // `in a,` with nothing behind the comma is no tuple in 2.7.
                if let (true, ExprKind::Tuple(items)) = (lone, &iterable.kind) {
                    if items.len() == 1 {
                        return Err(self.unexpected(None));
                    }
                }
                *height = (*height).max(iterable.height);
                clauses.push(Clause::For { target, iterable, span: self.span_from(start) });
            } else if self.eat(Kind::If) {
                let test = self.old_test()?;
                *height = (*height).max(test.height);
                clauses.push(Clause::If(test));
            } else {
                return Ok(self.tree.row(&clauses));
            }
        }
    }

    /// The clauses of a generator expression or of a set or dict
    /// comprehension, which are refused as a whole.
    pub(super) fn generator_clauses(&mut self) -> Result<()> {
        loop {
            if self.eat(Kind::For) {
                self.target_list(Kind::In)?;
                self.expect(Kind::In)?;
                self.or_test()?;
            } else if self.eat(Kind::If) {
                self.old_test()?;
            } else {
                return Ok(());
            }
        }
    }

    /// `{…}`: a dict, and the refused sets and comprehensions.
    fn braces(&mut self) -> Result<Expr<'t>> {
        let start = self.advance().span.start;
        if self.eat(Kind::CloseBrace) {
            return self.node(ExprKind::Dict(&[]), start, 0);
        }
        let key = self.test()?;
        if !self.at(Kind::Colon) {
            return self.set(start);
        }
        self.advance();
        let value = self.test()?;
        if self.at(Kind::For) {
            self.generator_clauses()?;
            self.expect(Kind::CloseBrace)?;
            return Ok(self.placeholder(start, Node::DictComp));
        }
        let mut height = key.height.max(value.height);
        let items = self.row((key, value), |parser| {
            if !parser.eat(Kind::Comma) || parser.at(Kind::CloseBrace) {
                return Ok(None);
            }
            let key = parser.test()?;
            parser.expect(Kind::Colon)?;
            let value = parser.test()?;
            height = height.max(key.height).max(value.height);
            Ok(Some((key, value)))
        })?;
        self.expect(Kind::CloseBrace)?;
        self.node(ExprKind::Dict(items), start, height)
    }

    /// A set or a set comprehension whose first element is read.
    fn set(&mut self, start: u32) -> Result<Expr<'t>> {
        let mut node = Node::Set;
        if self.at(Kind::For) {
            self.generator_clauses()?;
            node = Node::SetComp;
        } else {
            while self.eat(Kind::Comma) {
                if self.at(Kind::CloseBrace) {
                    break;
                }
                self.test()?;
            }
        }
        self.expect(Kind::CloseBrace)?;
        Ok(self.placeholder(start, node))
    }

    fn backquotes(&mut self) -> Result<Expr<'t>> {
        let start = self.advance().span.start;
        // No comma at the end is possible here: 2.7's `testlist1`.
        self.test()?;
        while self.eat(Kind::Comma) {
            self.test()?;
        }
        self.expect(Kind::Backquote)?;
        Ok(self.placeholder(start, Node::Backquote))
    }

    /// `yield` with or without values.
    pub(super) fn yield_expression(&mut self) -> Result<Expr<'t>> {
        let start = self.advance().span.start;
        if self.starts_expression() {
            self.test_list()?;
        }
        Ok(self.placeholder(start, Node::Yield))
    }

    /// Attributes, subscripts and calls behind an operand that began at `start`.
    pub(super) fn trailers(&mut self, mut value: Expr<'t>, start: u32) -> Result<Expr<'t>> {
        loop {
            let parts = value.height;
            value = match self.token.kind {
                Kind::Dot => {
                    self.advance();
                    let name = self.expect(Kind::Name)?.symbol;
                    self.node(ExprKind::Attribute(self.tree.put(value), name), start, parts)?
                }
                Kind::OpenBracket => self.nested(|parser| parser.subscript(value, start))?,
                Kind::OpenParen => self.nested(|parser| parser.call(value, start))?,
                _ => return Ok(value),
            };
        }
    }

    fn subscript(&mut self, value: Expr<'t>, start: u32) -> Result<Expr<'t>> {
        self.advance();
        let mut height = value.height;
        let begin = self.start();
        let first = self.index(&mut height)?;
        let index = if self.at(Kind::Comma) {
            let mut dimensions = vec![first];
            while self.eat(Kind::Comma) {
                if self.at(Kind::CloseBracket) {
                    break;
                }
                dimensions.push(self.index(&mut height)?);
            }
            self.join_dimensions(&dimensions, begin)?
        } else {
            first
        };
        self.expect(Kind::CloseBracket)?;
        if let Index::Item(item) = &index {
            height = height.max(item.height);
        }
        let subscript = Subscript { value, index };
        self.node(ExprKind::Subscript(self.tree.put(subscript)), start, height)
    }

    /// Several dimensions: a plain tuple unless one is a slice or `...`.
    fn join_dimensions(&mut self, dimensions: &[Index<'t>], begin: u32) -> Result<Index<'t>> {
        if !dimensions.iter().all(|part| matches!(part, Index::Item(_))) {
            return Ok(Index::Dimensions(self.tree.row(dimensions)));
        }
        let items: Vec<Expr<'t>> = dimensions
            .iter()
            .filter_map(|part| match part {
                Index::Item(item) => Some(*item),
                _ => None,
            })
            .collect();
        let height = items.iter().map(|item| item.height).max().unwrap_or(0);
        let tuple = self.node(ExprKind::Tuple(self.tree.row(&items)), begin, height)?;
        Ok(Index::Item(tuple))
    }

    /// One dimension between square brackets.
    fn index(&mut self, height: &mut u16) -> Result<Index<'t>> {
        if self.at(Kind::Dot) {
            for _ in 0..3 {
                self.expect(Kind::Dot)?;
            }
            return Ok(Index::Ellipsis);
        }
        let lower = match self.at(Kind::Colon) {
            true => None,
            false => Some(self.bound(height)?),
        };
        match (lower, self.eat(Kind::Colon)) {
            (Some(item), false) => Ok(Index::Item(*item)),
            (lower, _) => {
                let upper = match self.starts_expression() {
                    true => Some(self.bound(height)?),
                    false => None,
                };
                if !self.eat(Kind::Colon) {
                    return Ok(Index::Slice(lower, upper));
                }
                let step = match self.starts_expression() {
                    true => Some(self.bound(height)?),
                    false => None,
                };
                Ok(Index::ExtendedSlice(lower, upper, step))
            }
        }
    }

    fn bound(&mut self, height: &mut u16) -> Result<&'t Expr<'t>> {
        let bound = self.test()?;
        *height = (*height).max(bound.height);
        Ok(self.tree.put(bound))
    }
}
