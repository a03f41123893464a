//! Operators, from the loosest to the tightest.

use super::super::ast::{
    Binary, BinaryOperator, BinaryStep, Compare, CompareOperator, CompareStep, Expr, ExprKind, UnaryOperator,
    MAX_HEIGHT,
};
use super::super::literal;
use super::super::node::Node;
use super::super::source::Span;
use super::super::token::Kind;
use super::{Parser, Result};

/// The binary operators with their precedence; a greater one binds tighter.
/// Power is not among them: it binds tighter than a sign on its left.
fn binary_operator(kind: Kind) -> Option<(BinaryOperator, u8)> {
    Some(match kind {
        Kind::Bar => (BinaryOperator::Or, 0),
        Kind::Caret => (BinaryOperator::Xor, 1),
        Kind::Ampersand => (BinaryOperator::And, 2),
        Kind::ShiftLeft => (BinaryOperator::ShiftLeft, 3),
        Kind::ShiftRight => (BinaryOperator::ShiftRight, 3),
        Kind::Plus => (BinaryOperator::Add, 4),
        Kind::Minus => (BinaryOperator::Subtract, 4),
        Kind::Star => (BinaryOperator::Multiply, 5),
        Kind::Slash => (BinaryOperator::Divide, 5),
        Kind::DoubleSlash => (BinaryOperator::FloorDivide, 5),
        Kind::Percent => (BinaryOperator::Modulo, 5),
        _ => return None,
    })
}

/// The operator of an augmented assignment.
pub(super) fn augmented_operator(kind: Kind) -> Option<BinaryOperator> {
    Some(match kind {
        Kind::PlusAssign => BinaryOperator::Add,
        Kind::MinusAssign => BinaryOperator::Subtract,
        Kind::StarAssign => BinaryOperator::Multiply,
        Kind::SlashAssign => BinaryOperator::Divide,
        Kind::DoubleSlashAssign => BinaryOperator::FloorDivide,
        Kind::PercentAssign => BinaryOperator::Modulo,
        Kind::AmpersandAssign => BinaryOperator::And,
        Kind::BarAssign => BinaryOperator::Or,
        Kind::CaretAssign => BinaryOperator::Xor,
        Kind::ShiftLeftAssign => BinaryOperator::ShiftLeft,
        Kind::ShiftRightAssign => BinaryOperator::ShiftRight,
        Kind::DoubleStarAssign => BinaryOperator::Power,
        _ => return None,
    })
}

impl<'t> Parser<'_, 't> {
    /// An expression: 2.7's `test`.
    pub(super) fn test(&mut self) -> Result<Expr<'t>> {
        if self.at(Kind::Lambda) {
            return self.lambda(false);
        }
        let start = self.start();
        let value = self.or_test()?;
        if self.at(Kind::If) {
            return self.conditional(start);
        }
        Ok(value)
    }

    /// An expression where `if` would begin a clause: 2.7's `old_test`.
    pub(super) fn old_test(&mut self) -> Result<Expr<'t>> {
        if self.at(Kind::Lambda) {
            return self.lambda(true);
        }
        self.or_test()
    }

    /// `value if condition else other`, from the `if` on.
    fn conditional(&mut self, start: u32) -> Result<Expr<'t>> {
        self.advance();
        self.or_test()?;
        self.expect(Kind::Else)?;
        self.nested(Self::test)?;
        Ok(self.placeholder(start, Node::IfExp))
    }

    /// `lambda parameters: value`.
    fn lambda(&mut self, old: bool) -> Result<Expr<'t>> {
        let start = self.advance().span.start;
        self.parameters(Kind::Colon)?;
        self.expect(Kind::Colon)?;
        self.nested(if old { Self::old_test } else { Self::test })?;
        Ok(self.placeholder(start, Node::Lambda))
    }

    pub(super) fn or_test(&mut self) -> Result<Expr<'t>> {
        self.logical(Kind::Or, Self::and_test, ExprKind::Or)
    }

    fn and_test(&mut self) -> Result<Expr<'t>> {
        self.logical(Kind::And, Self::not_test, ExprKind::And)
    }

    #[inline]
    fn logical(
        &mut self,
        operator: Kind,
        part: impl Fn(&mut Self) -> Result<Expr<'t>>,
        make: fn(&'t [Expr<'t>]) -> ExprKind<'t>,
    ) -> Result<Expr<'t>> {
        let start = self.start();
        let first = part(self)?;
        if !self.at(operator) {
            return Ok(first);
        }
        let mut height = first.height;
        let parts = self.row(first, |parser| {
            if !parser.eat(operator) {
                return Ok(None);
            }
            let next = part(parser)?;
            height = height.max(next.height);
            Ok(Some(next))
        })?;
        self.node(make(parts), start, height)
    }

    fn not_test(&mut self) -> Result<Expr<'t>> {
        if !self.at(Kind::Not) {
            return self.comparison();
        }
        let mut starts = Vec::new();
        while self.at(Kind::Not) {
            starts.push(self.start());
            self.advance();
            if starts.len() > usize::from(MAX_HEIGHT) {
                return Err(self.too_deep(self.previous.span));
            }
        }
        let mut value = self.comparison()?;
        for start in starts.into_iter().rev() {
            let height = value.height;
            value = self.node(ExprKind::Not(self.tree.put(value)), start, height)?;
        }
        Ok(value)
    }

    fn comparison(&mut self) -> Result<Expr<'t>> {
        let start = self.start();
        let first = self.expression()?;
        let Some(operator) = self.compare_operator()? else {
            return Ok(first);
        };
        let mut height = first.height;
        let step = self.compare_step(operator, &mut height)?;
        let rest = self.row(step, |parser| match parser.compare_operator()? {
            Some(operator) => parser.compare_step(operator, &mut height).map(Some),
            None => Ok(None),
        })?;
        let compare = Compare { first, rest };
        self.node(ExprKind::Compare(self.tree.put(compare)), start, height)
    }

    /// What follows a comparison operator.
    fn compare_step(
        &mut self,
        (operator, operator_span): (CompareOperator, Span),
        height: &mut u16,
    ) -> Result<CompareStep<'t>> {
        let operand = self.expression()?;
        *height = (*height).max(operand.height);
        Ok(CompareStep { operator, operator_span, operand })
    }

    /// Takes a comparison operator if one comes.
    fn compare_operator(&mut self) -> Result<Option<(CompareOperator, Span)>> {
        let operator = match self.token.kind {
            Kind::Less => CompareOperator::Less,
            Kind::Greater => CompareOperator::Greater,
            Kind::LessEqual => CompareOperator::LessEqual,
            Kind::GreaterEqual => CompareOperator::GreaterEqual,
            Kind::EqualEqual => CompareOperator::Equal,
            Kind::NotEqual => CompareOperator::NotEqual,
            Kind::In => CompareOperator::In,
            Kind::Is => {
                let start = self.advance().span.start;
                let operator = match self.eat(Kind::Not) {
                    true => CompareOperator::IsNot,
                    false => CompareOperator::Is,
                };
                return Ok(Some((operator, self.span_from(start))));
            }
            Kind::Not => {
                let start = self.advance().span.start;
                self.expect(Kind::In)?;
                return Ok(Some((CompareOperator::NotIn, self.span_from(start))));
            }
            _ => return Ok(None),
        };
        Ok(Some((operator, self.advance().span)))
    }

    /// Everything that binds tighter than comparisons: 2.7's `expr`.
    pub(super) fn expression(&mut self) -> Result<Expr<'t>> {
        self.binary(0)
    }

    /// A row of binary operators that bind at least as tightly as `level`.
    fn binary(&mut self, level: u8) -> Result<Expr<'t>> {
        let start = self.start();
        let mut first = self.factor()?;
        while let Some((operator, precedence)) = binary_operator(self.token.kind) {
            if precedence < level {
                break;
            }
            let mut height = first.height;
            let step = self.binary_step(operator, precedence, &mut height)?;
            let rest = self.row(step, |parser| match binary_operator(parser.token.kind) {
                Some((operator, same)) if same == precedence => {
                    parser.binary_step(operator, precedence, &mut height).map(Some)
                }
                _ => Ok(None),
            })?;
            let binary = Binary { first, rest };
            first = self.node(ExprKind::Binary(self.tree.put(binary)), start, height)?;
        }
        Ok(first)
    }

    /// The operator that is the current token, with its right operand.
    fn binary_step(
        &mut self,
        operator: BinaryOperator,
        precedence: u8,
        height: &mut u16,
    ) -> Result<BinaryStep<'t>> {
        let operator_span = self.advance().span;
        let operand = self.binary(precedence + 1)?;
        *height = (*height).max(operand.height);
        Ok(BinaryStep { operator, operator_span, operand })
    }

    /// Signs and what follows them.
    fn factor(&mut self) -> Result<Expr<'t>> {
        if !matches!(self.token.kind, Kind::Minus | Kind::Plus | Kind::Tilde) {
            return self.power();
        }
        let mut signs = Vec::new();
        loop {
            let sign = match self.token.kind {
                Kind::Minus => UnaryOperator::Negate,
                Kind::Plus => UnaryOperator::Plus,
                Kind::Tilde => UnaryOperator::Invert,
                _ => break,
            };
            let start = self.advance().span.start;
            signs.push((sign, start));
            if signs.len() > usize::from(MAX_HEIGHT) {
                return Err(self.too_deep(self.previous.span));
            }
        }
        let mut value = match signs.last() {
            Some((UnaryOperator::Negate, start)) if self.at(Kind::Number) => {
                let start = *start;
                self.negative_number(start, &mut signs)?
            }
            _ => self.power()?,
        };
        for (sign, start) in signs.into_iter().rev() {
            let height = value.height;
            value = self.node(ExprKind::Unary(sign, self.tree.put(value)), start, height)?;
        }
        Ok(value)
    }

    /// A number behind a minus sign. As in 2.7 the sign becomes part of the
    /// number and is taken from `signs`, unless something binds tighter.
    fn negative_number(&mut self, start: u32, signs: &mut Vec<(UnaryOperator, u32)>) -> Result<Expr<'t>> {
        let token = self.advance();
        if matches!(self.token.kind, Kind::Dot | Kind::OpenBracket | Kind::OpenParen | Kind::DoubleStar) {
            let number = self.number(token.span)?;
            return self.power_of(number, token.span.start);
        }
        signs.pop();
        let text = std::str::from_utf8(self.slice(token.span)).unwrap_or_default();
        self.node(literal::number(self.tree, text, true), start, 0)
    }

    /// An operand with what is applied to it, and a power of that.
    fn power(&mut self) -> Result<Expr<'t>> {
        let start = self.start();
        let atom = self.atom()?;
        self.power_of(atom, start)
    }

    fn power_of(&mut self, atom: Expr<'t>, start: u32) -> Result<Expr<'t>> {
        let first = self.trailers(atom, start)?;
        if !self.at(Kind::DoubleStar) {
            return Ok(first);
        }
        let operator_span = self.advance().span;
        let operand = self.nested(Self::factor)?;
        let height = first.height.max(operand.height);
        let step = BinaryStep { operator: BinaryOperator::Power, operator_span, operand };
        let binary = Binary { first, rest: self.tree.row(&[step]) };
        self.node(ExprKind::Binary(self.tree.put(binary)), start, height)
    }

    /// One or more expressions; a tuple if there is a comma: 2.7's `testlist`.
    pub(super) fn test_list(&mut self) -> Result<Expr<'t>> {
        let start = self.start();
        let first = self.test()?;
        self.list_from(first, start, Self::test)
    }

    /// The rest of a list of expressions whose first is read.
    pub(super) fn list_from(
        &mut self,
        first: Expr<'t>,
        start: u32,
        part: fn(&mut Self) -> Result<Expr<'t>>,
    ) -> Result<Expr<'t>> {
        if !self.at(Kind::Comma) {
            return Ok(first);
        }
        let mut height = first.height;
        let items = self.row(first, |parser| {
            if !parser.eat(Kind::Comma) || !parser.starts_expression() {
                return Ok(None);
            }
            let item = part(parser)?;
            height = height.max(item.height);
            Ok(Some(item))
        })?;
        self.node(ExprKind::Tuple(items), start, height)
    }

    /// True if the current token can begin an expression.
    pub(super) fn starts_expression(&self) -> bool {
        matches!(
            self.token.kind,
            Kind::Name
                | Kind::Number
                | Kind::Str
                | Kind::UnicodeStr
                | Kind::OpenParen
                | Kind::OpenBracket
                | Kind::OpenBrace
                | Kind::Backquote
                | Kind::Minus
                | Kind::Plus
                | Kind::Tilde
                | Kind::Not
                | Kind::Lambda
                // Not one, but what is wrong shall be said where it stands.
                | Kind::Bad
        )
    }
}
