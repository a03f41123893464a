//! The typed tree of a Repy program: Python 2.7 without the constructs that
//! Repy refuses. What cannot be expressed here cannot be run.
//!
//! # What users of the tree may rely on
//! * **Depth is bounded.** An expression is at most [`MAX_HEIGHT`] nodes deep
//!   and blocks nest at most [`MAX_INDENT`] deep, so a recursive walk needs a
//!   small, known amount of native stack, and so does dropping the tree.
//!   What people (and generators of programs) write in long rows is held in
//!   vectors instead: `elif` arms, `a + b + c …`, `a and b and c …`,
//!   `a < b < c …`, clauses of list comprehensions.
//! * **Everything a compiler would have to refuse is refused already**: targets
//!   can be assigned, `return` is inside a function, `break` and `continue`
//!   inside a loop (and `continue` not inside `finally`), no two parameters
//!   have the same name, a bare `except:` is the last.
//! * `True` and `False` are ordinary names, as in 2.7. `None` is a name too; it
//!   appears in no target but that of `del` (2.7 accepts `del None` and raises
//!   NameError when it runs), and in no parameter, `def` or `class` name.

use super::source::{Source, Span};
use super::symbol::{Symbol, Symbols};

/// The greatest [`Expr::height`].
pub const MAX_HEIGHT: u16 = 400;

/// The greatest number of open indentations, that of CPython 2.7.
pub const MAX_INDENT: usize = 100;

/// One parsed source text.
#[derive(Debug)]
pub struct Module<'t> {
    /// The text, its name and its lines.
    pub source: Source,
    /// The identifiers that occur in the text.
    pub symbols: Symbols,
    /// The statements of the text, in order.
    pub body: Block<'t>,
}

/// A sequence of statements; the body of a compound statement has at least one.
pub type Block<'t> = &'t [Stmt<'t>];

/// A statement.
#[derive(Clone, Copy, Debug)]
pub struct Stmt<'t> {
    /// What it is.
    pub kind: StmtKind<'t>,
    /// A simple statement: all of it. A compound statement: its header up to
    /// and including the colon.
    pub span: Span,
}

/// The statements of the dialect.
#[derive(Clone, Copy, Debug)]
pub enum StmtKind<'t> {
    /// An expression for its effect; the value is dropped.
    Expr(Expr<'t>),
    /// `a = b = value`.
    Assign(&'t Assign<'t>),
    /// `a += value`.
    AugAssign(&'t AugAssign<'t>),
    /// `del a, b[1], c.d`.
    Delete(&'t [Target<'t>]),
    /// `print`, `print a, b,`, `print >>f, a`.
    Print(&'t Print<'t>),
    /// `assert test, message`.
    Assert(&'t Assert<'t>),
    /// `raise`, `raise kind, value, traceback`.
    Raise(&'t Raise<'t>),
    /// `return`, `return value`.
    Return(Option<Expr<'t>>),
    /// `pass`.
    Pass,
    /// `break`.
    Break,
    /// `continue`.
    Continue,
    /// `if`, any number of `elif`, `else`.
    If(&'t If<'t>),
    /// `while` with `else`.
    While(&'t While<'t>),
    /// `for` with `else`.
    For(&'t For<'t>),
    /// `try` with `except`, `else`, `finally`.
    Try(&'t Try<'t>),
    /// `def`.
    Def(&'t FunctionDef<'t>),
    /// `class`.
    Class(&'t ClassDef<'t>),
}

/// `targets[0] = targets[1] = … = value`: the value is computed first, then
/// stored into the targets from left to right.
#[derive(Clone, Copy, Debug)]
pub struct Assign<'t> {
    /// At least one.
    pub targets: &'t [Target<'t>],
    /// The value.
    pub value: Expr<'t>,
}

/// `target op= value`.
#[derive(Clone, Copy, Debug)]
pub struct AugAssign<'t> {
    /// A name, attribute or subscript, never a sequence of targets.
    pub target: Target<'t>,
    /// The operator without its `=`.
    pub operator: BinaryOperator,
    /// Where the operator stands.
    pub operator_span: Span,
    /// The right side.
    pub value: Expr<'t>,
}

/// `print >>destination, values`.
#[derive(Clone, Copy, Debug)]
pub struct Print<'t> {
    /// The expression behind `>>`.
    pub destination: Option<Expr<'t>>,
    /// What is printed.
    pub values: &'t [Expr<'t>],
    /// False if the statement ends in a comma.
    pub newline: bool,
}

/// `assert test, message`.
#[derive(Clone, Copy, Debug)]
pub struct Assert<'t> {
    /// The condition.
    pub test: Expr<'t>,
    /// The argument of the AssertionError.
    pub message: Option<Expr<'t>>,
}

/// `raise kind, value, traceback`; each part needs the one before it.
#[derive(Clone, Copy, Debug)]
pub struct Raise<'t> {
    /// The class or instance; none raises the current exception again.
    pub kind: Option<Expr<'t>>,
    /// The instance or the arguments.
    pub value: Option<Expr<'t>>,
    /// The traceback.
    pub traceback: Option<Expr<'t>>,
}

/// `if … elif … else`.
#[derive(Clone, Copy, Debug)]
pub struct If<'t> {
    /// The `if` arm and the `elif` arms, tried in order; at least one.
    pub arms: &'t [IfArm<'t>],
    /// The `else` block; empty if there is none.
    pub otherwise: Block<'t>,
}

/// One `if` or `elif` with its block.
#[derive(Clone, Copy, Debug)]
pub struct IfArm<'t> {
    /// The condition.
    pub test: Expr<'t>,
    /// What is run if it holds.
    pub body: Block<'t>,
}

/// `while test: body else: otherwise`.
#[derive(Clone, Copy, Debug)]
pub struct While<'t> {
    /// The condition.
    pub test: Expr<'t>,
    /// The loop's body.
    pub body: Block<'t>,
    /// The `else` block; empty if there is none.
    pub otherwise: Block<'t>,
}

/// `for target in iterable: body else: otherwise`.
#[derive(Clone, Copy, Debug)]
pub struct For<'t> {
    /// Where each item is stored.
    pub target: Target<'t>,
    /// What is iterated over.
    pub iterable: Expr<'t>,
    /// The loop's body.
    pub body: Block<'t>,
    /// The `else` block; empty if there is none.
    pub otherwise: Block<'t>,
}

/// `try` in all its forms. With both `handlers` and a `finally`, the finally
/// block encloses the rest.
#[derive(Clone, Copy, Debug)]
pub struct Try<'t> {
    /// The guarded statements.
    pub body: Block<'t>,
    /// The `except` clauses, tried in order; none if there is only `finally`.
    pub handlers: &'t [Handler<'t>],
    /// The `else` block; empty if there is none.
    pub otherwise: Block<'t>,
    /// The `finally` block.
    pub finally: Option<Block<'t>>,
}

/// `except kind, target:` or `except kind as target:`.
#[derive(Clone, Copy, Debug)]
pub struct Handler<'t> {
    /// What is caught; none catches everything and is the last handler.
    pub kind: Option<Expr<'t>>,
    /// Where the exception is stored: any target.
    pub target: Option<Target<'t>>,
    /// What is run.
    pub body: Block<'t>,
    /// The clause's header.
    pub span: Span,
}

/// `def name(parameters): body`.
#[derive(Clone, Copy, Debug)]
pub struct FunctionDef<'t> {
    /// The function's name.
    pub name: Symbol,
    /// Where the name stands.
    pub name_span: Span,
    /// The parameters.
    pub parameters: Parameters<'t>,
    /// The body.
    pub body: Block<'t>,
}

/// The parameters of a function. All names in them are different.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parameters<'t> {
    /// Positional ones. A parameter with a default is followed only by such.
    pub positional: &'t [Parameter<'t>],
    /// `*args`.
    pub star: Option<Symbol>,
    /// `**kwargs`.
    pub double_star: Option<Symbol>,
    /// All names above with their places, in the order of the text.
    pub names: &'t [(Symbol, Span)],
}

/// One positional parameter.
#[derive(Clone, Copy, Debug)]
pub struct Parameter<'t> {
    /// A name or a nested sequence of names.
    pub pattern: Pattern<'t>,
    /// The default, evaluated once when `def` runs.
    pub default: Option<Expr<'t>>,
    /// The name or the pattern.
    pub span: Span,
}

/// The left side of a parameter: `a` or `(a, (b, c))`.
#[derive(Clone, Copy, Debug)]
pub enum Pattern<'t> {
    /// An ordinary parameter.
    Name(Symbol),
    /// A parameter unpacked when the function is called. `(a,)` is a pattern of
    /// one; `(a)` is just `a`.
    Unpack(&'t [Pattern<'t>]),
}

/// `class name(bases): body`; with no bases the class is an old-style one.
#[derive(Clone, Copy, Debug)]
pub struct ClassDef<'t> {
    /// The class's name.
    pub name: Symbol,
    /// Where the name stands.
    pub name_span: Span,
    /// The base classes.
    pub bases: &'t [Expr<'t>],
    /// The body.
    pub body: Block<'t>,
}

/// A place that can be assigned to or deleted.
#[derive(Clone, Copy, Debug)]
pub struct Target<'t> {
    /// What it is.
    pub kind: TargetKind<'t>,
    /// All of it.
    pub span: Span,
}

/// The kinds of targets.
#[derive(Clone, Copy, Debug)]
pub enum TargetKind<'t> {
    /// A variable.
    Name(Symbol),
    /// `value.name`.
    Attribute(&'t Expr<'t>, Symbol),
    /// `value[index]`.
    Subscript(&'t Subscript<'t>),
    /// `a, b` or `[a, b]`, unpacked (or deleted) from left to right. `[]` is
    /// possible and takes an empty sequence.
    Unpack(&'t [Target<'t>]),
}

/// An expression.
#[derive(Clone, Copy, Debug)]
pub struct Expr<'t> {
    /// What it is.
    pub kind: ExprKind<'t>,
    /// All of it, without parentheses around it.
    pub span: Span,
    /// 1 more than the greatest height of its parts; at most [`MAX_HEIGHT`].
    pub height: u16,
}

/// The expressions of the dialect.
#[derive(Clone, Copy, Debug)]
pub enum ExprKind<'t> {
    /// A variable, or `None`.
    Name(Symbol),
    /// An integer that fits 64 bits. A minus sign before a number is part of
    /// the number, as in 2.7, so the least integer is an int too.
    Int(i64),
    /// A long: written with `L`, or too large for an int.
    Long(&'t LongLiteral<'t>),
    /// A floating-point number; may be infinite (`1e999`).
    Float(f64),
    /// `2.5j`: a complex number with real part +0.0.
    Imaginary(f64),
    /// A byte string, adjacent literals joined.
    Str(&'t [u8]),
    /// `(a, b)`, `a, b`, `()`.
    Tuple(&'t [Expr<'t>]),
    /// `[a, b]`.
    List(&'t [Expr<'t>]),
    /// `{key: value}`. 2.7 evaluates each value before its key.
    Dict(&'t [(Expr<'t>, Expr<'t>)]),
    /// `[element for …]`; its variables belong to the enclosing scope.
    ListComp(&'t ListComp<'t>),
    /// `value.name`; the name's bytes are the last of the span.
    Attribute(&'t Expr<'t>, Symbol),
    /// `value[index]`.
    Subscript(&'t Subscript<'t>),
    /// A call.
    Call(&'t Call<'t>),
    /// `-a`, `+a`, `~a`.
    Unary(UnaryOperator, &'t Expr<'t>),
    /// `not a`.
    Not(&'t Expr<'t>),
    /// A row of binary operators of the same precedence.
    Binary(&'t Binary<'t>),
    /// A row of comparisons.
    Compare(&'t Compare<'t>),
    /// `a and b and c`; at least two.
    And(&'t [Expr<'t>]),
    /// `a or b or c`; at least two.
    Or(&'t [Expr<'t>]),
}

/// The text of a long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LongLiteral<'t> {
    /// True if a minus sign stands before the number.
    pub negative: bool,
    /// 2, 8, 10 or 16.
    pub radix: u32,
    /// The digits in that radix: ASCII, at least one, without sign, prefix or `L`.
    pub digits: &'t str,
}

/// `value[index]`.
#[derive(Clone, Copy, Debug)]
pub struct Subscript<'t> {
    /// What is subscripted.
    pub value: Expr<'t>,
    /// With what.
    pub index: Index<'t>,
}

/// What stands between square brackets.
#[derive(Clone, Copy, Debug)]
pub enum Index<'t> {
    /// An expression; `a[1, 2]` is an item whose expression is a tuple.
    Item(Expr<'t>),
    /// `lower:upper` without a second colon. Alone it is 2.7's simple slice;
    /// within [`Index::Dimensions`] it is a slice object with step None.
    Slice(Option<&'t Expr<'t>>, Option<&'t Expr<'t>>),
    /// `lower:upper:step`: a slice object. A missing part is None.
    ExtendedSlice(Option<&'t Expr<'t>>, Option<&'t Expr<'t>>, Option<&'t Expr<'t>>),
    /// `...`: the object Ellipsis.
    Ellipsis,
    /// `a[1:2, 3]`, `a[..., 0]`, `a[1:2,]`: a tuple that has at least one slice
    /// or Ellipsis. Contains no further `Dimensions`.
    Dimensions(&'t [Index<'t>]),
}

/// A call. Evaluated in this order: function, positional, keywords, star,
/// double star, wherever `*star` stands in the text.
#[derive(Clone, Copy, Debug)]
pub struct Call<'t> {
    /// What is called.
    pub function: Expr<'t>,
    /// Positional arguments.
    pub positional: &'t [Expr<'t>],
    /// Keyword arguments; all names are different.
    pub keywords: &'t [Keyword<'t>],
    /// `*star`.
    pub star: Option<&'t Expr<'t>>,
    /// `**double_star`.
    pub double_star: Option<&'t Expr<'t>>,
}

/// `name=value` in a call.
#[derive(Clone, Copy, Debug)]
pub struct Keyword<'t> {
    /// The name.
    pub name: Symbol,
    /// Where the name stands.
    pub name_span: Span,
    /// The value.
    pub value: Expr<'t>,
}

/// `first op operand op operand …`, applied from left to right. All operators
/// of one row have the same precedence; a power has exactly one step, since
/// powers group from right to left.
#[derive(Clone, Copy, Debug)]
pub struct Binary<'t> {
    /// The leftmost operand.
    pub first: Expr<'t>,
    /// The operators with their right operands; at least one.
    pub rest: &'t [BinaryStep<'t>],
}

/// One operator of a row with its right operand.
#[derive(Clone, Copy, Debug)]
pub struct BinaryStep<'t> {
    /// The operator.
    pub operator: BinaryOperator,
    /// Where it stands.
    pub operator_span: Span,
    /// Its right operand.
    pub operand: Expr<'t>,
}

/// `first op operand op operand …`: true if each neighbouring pair compares
/// true; evaluated from left to right until one does not.
#[derive(Clone, Copy, Debug)]
pub struct Compare<'t> {
    /// The leftmost operand.
    pub first: Expr<'t>,
    /// The operators with their right operands; at least one.
    pub rest: &'t [CompareStep<'t>],
}

/// One comparison of a row with its right operand.
#[derive(Clone, Copy, Debug)]
pub struct CompareStep<'t> {
    /// The operator.
    pub operator: CompareOperator,
    /// Where it stands.
    pub operator_span: Span,
    /// Its right operand.
    pub operand: Expr<'t>,
}

/// `[element for … in … if …]`.
#[derive(Clone, Copy, Debug)]
pub struct ListComp<'t> {
    /// What each round adds.
    pub element: Expr<'t>,
    /// The clauses, outermost first; the first is a `for`.
    pub clauses: &'t [Clause<'t>],
}

/// A clause of a list comprehension.
#[derive(Clone, Copy, Debug)]
pub enum Clause<'t> {
    /// `for target in iterable`.
    For {
        /// Where each item is stored.
        target: Target<'t>,
        /// What is iterated over; a tuple if written as `1, 2, 3`.
        iterable: Expr<'t>,
        /// All of the clause.
        span: Span,
    },
    /// `if test`.
    If(Expr<'t>),
}

/// The binary operators, also used for augmented assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOperator {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `//`
    FloorDivide,
    /// `%`
    Modulo,
    /// `**`
    Power,
    /// `<<`
    ShiftLeft,
    /// `>>`
    ShiftRight,
    /// `&`
    And,
    /// `^`
    Xor,
    /// `|`
    Or,
}

impl BinaryOperator {
    /// Whether it is for whole numbers (and sets) only.
    pub fn is_bitwise(self) -> bool {
        use BinaryOperator::{And, Or, ShiftLeft, ShiftRight, Xor};
        matches!(self, ShiftLeft | ShiftRight | And | Or | Xor)
    }
}

/// The unary operators other than `not`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnaryOperator {
    /// `-`
    Negate,
    /// `+`
    Plus,
    /// `~`
    Invert,
}

/// The comparison operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CompareOperator {
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `==`
    Equal,
    /// `!=` or `<>`
    NotEqual,
    /// `is`
    Is,
    /// `is not`
    IsNot,
    /// `in`
    In,
    /// `not in`
    NotIn,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_stay_small() {
        // A program of a million nodes should take tens of megabytes, not hundreds.
        assert!(std::mem::size_of::<Expr>() <= 48);
        assert!(std::mem::size_of::<Stmt>() <= 64);
        assert!(std::mem::size_of::<Target>() <= 40);
    }
}
