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

impl Parser<'_> {
    /// An expression: 2.7's `test`.
    pub(super) fn test(&mut self) -> Result<Expr> {
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
    pub(super) fn old_test(&mut self) -> Result<Expr> {
        if self.at(Kind::Lambda) {
            return self.lambda(true);
        }
        self.or_test()
    }

    /// `value if condition else other`, from the `if` on.
    fn conditional(&mut self, start: u32) -> Result<Expr> {
        self.advance();
        self.or_test()?;
        self.expect(Kind::Else)?;
        self.nested(Self::test)?;
        Ok(self.placeholder(start, Node::IfExp))
    }

    /// `lambda parameters: value`.
    fn lambda(&mut self, old: bool) -> Result<Expr> {
        let start = self.advance().span.start;
        self.parameters(Kind::Colon)?;
        self.expect(Kind::Colon)?;
        self.nested(if old { Self::old_test } else { Self::test })?;
        Ok(self.placeholder(start, Node::Lambda))
    }

    pub(super) fn or_test(&mut self) -> Result<Expr> {
        self.logical(Kind::Or, Self::and_test, ExprKind::Or)
    }

    fn and_test(&mut self) -> Result<Expr> {
        self.logical(Kind::And, Self::not_test, ExprKind::And)
    }

    #[inline]
    fn logical(
        &mut self,
        operator: Kind,
        part: impl Fn(&mut Self) -> Result<Expr>,
        make: fn(Vec<Expr>) -> ExprKind,
    ) -> Result<Expr> {
        let start = self.start();
        let first = part(self)?;
        if !self.at(operator) {
            return Ok(first);
        }
        let mut height = first.height;
        let mut parts = vec![first];
        while self.eat(operator) {
            let next = part(self)?;
            height = height.max(next.height);
            parts.push(next);
        }
        self.node(make(parts), start, height)
    }

    fn not_test(&mut self) -> Result<Expr> {
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
            value = self.node(ExprKind::Not(Box::new(value)), start, height)?;
        }
        Ok(value)
    }

    fn comparison(&mut self) -> Result<Expr> {
        let start = self.start();
        let first = self.expression()?;
        let Some(mut operator) = self.compare_operator()? else {
            return Ok(first);
        };
        let mut height = first.height;
        let mut rest = Vec::with_capacity(1);
        loop {
            let (operator_kind, operator_span) = operator;
            let operand = self.expression()?;
            height = height.max(operand.height);
            rest.push(CompareStep { operator: operator_kind, operator_span, operand });
            match self.compare_operator()? {
                Some(next) => operator = next,
                None => break,
            }
        }
        let compare = Compare { first, rest };
        self.node(ExprKind::Compare(Box::new(compare)), start, height)
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
    pub(super) fn expression(&mut self) -> Result<Expr> {
        self.binary(0)
    }

    /// A row of binary operators that bind at least as tightly as `level`.
    fn binary(&mut self, level: u8) -> Result<Expr> {
        let start = self.start();
        let mut first = self.factor()?;
        while let Some((mut operator, precedence)) = binary_operator(self.token.kind) {
            if precedence < level {
                break;
            }
            let mut height = first.height;
            let mut rest = Vec::with_capacity(1);
            loop {
                let operator_span = self.advance().span;
                let operand = self.binary(precedence + 1)?;
                height = height.max(operand.height);
                rest.push(BinaryStep { operator, operator_span, operand });
                match binary_operator(self.token.kind) {
                    Some((next, same)) if same == precedence => operator = next,
                    _ => break,
                }
            }
            let binary = Binary { first, rest };
            first = self.node(ExprKind::Binary(Box::new(binary)), start, height)?;
        }
        Ok(first)
    }

    /// Signs and what follows them.
    fn factor(&mut self) -> Result<Expr> {
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
            value = self.node(ExprKind::Unary(sign, Box::new(value)), start, height)?;
        }
        Ok(value)
    }

    /// A number behind a minus sign. As in 2.7 the sign becomes part of the
    /// number and is taken from `signs`, unless something binds tighter.
    fn negative_number(&mut self, start: u32, signs: &mut Vec<(UnaryOperator, u32)>) -> Result<Expr> {
        let token = self.advance();
        if matches!(self.token.kind, Kind::Dot | Kind::OpenBracket | Kind::OpenParen | Kind::DoubleStar) {
            let number = self.number(token.span)?;
            return self.power_of(number, token.span.start);
        }
        signs.pop();
        let text = std::str::from_utf8(self.slice(token.span)).unwrap_or_default();
        self.node(literal::number(text, true), start, 0)
    }

    /// An operand with what is applied to it, and a power of that.
    fn power(&mut self) -> Result<Expr> {
        let start = self.start();
        let atom = self.atom()?;
        self.power_of(atom, start)
    }

    fn power_of(&mut self, atom: Expr, start: u32) -> Result<Expr> {
        let first = self.trailers(atom, start)?;
        if !self.at(Kind::DoubleStar) {
            return Ok(first);
        }
        let operator_span = self.advance().span;
        let operand = self.nested(Self::factor)?;
        let height = first.height.max(operand.height);
        let step = BinaryStep { operator: BinaryOperator::Power, operator_span, operand };
        let binary = Binary { first, rest: vec![step] };
        self.node(ExprKind::Binary(Box::new(binary)), start, height)
    }

    /// One or more expressions; a tuple if there is a comma: 2.7's `testlist`.
    pub(super) fn test_list(&mut self) -> Result<Expr> {
        let start = self.start();
        let first = self.test()?;
        self.list_from(first, start, Self::test)
    }

    /// The rest of a list of expressions whose first is read.
    pub(super) fn list_from(
        &mut self,
        first: Expr,
        start: u32,
        part: fn(&mut Self) -> Result<Expr>,
    ) -> Result<Expr> {
        if !self.at(Kind::Comma) {
            return Ok(first);
        }
        let mut height = first.height;
        let mut items = vec![first];
        while self.eat(Kind::Comma) {
            if !self.starts_expression() {
                break;
            }
            let item = part(self)?;
            height = height.max(item.height);
            items.push(item);
        }
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
