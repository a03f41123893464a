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
pub struct Module {
    /// The text, its name and its lines.
    pub source: Source,
    /// The identifiers that occur in the text.
    pub symbols: Symbols,
    /// The statements of the text, in order.
    pub body: Block,
}

/// A sequence of statements; the body of a compound statement has at least one.
pub type Block = Vec<Stmt>;

/// A statement.
#[derive(Debug)]
pub struct Stmt {
    /// What it is.
    pub kind: StmtKind,
    /// A simple statement: all of it. A compound statement: its header up to
    /// and including the colon.
    pub span: Span,
}

/// The statements of the dialect.
#[derive(Debug)]
pub enum StmtKind {
    /// An expression for its effect; the value is dropped.
    Expr(Expr),
    /// `a = b = value`.
    Assign(Box<Assign>),
    /// `a += value`.
    AugAssign(Box<AugAssign>),
    /// `del a, b[1], c.d`.
    Delete(Vec<Target>),
    /// `print`, `print a, b,`, `print >>f, a`.
    Print(Box<Print>),
    /// `assert test, message`.
    Assert(Box<Assert>),
    /// `raise`, `raise kind, value, traceback`.
    Raise(Box<Raise>),
    /// `return`, `return value`.
    Return(Option<Expr>),
    /// `pass`.
    Pass,
    /// `break`.
    Break,
    /// `continue`.
    Continue,
    /// `if`, any number of `elif`, `else`.
    If(Box<If>),
    /// `while` with `else`.
    While(Box<While>),
    /// `for` with `else`.
    For(Box<For>),
    /// `try` with `except`, `else`, `finally`.
    Try(Box<Try>),
    /// `def`.
    Def(Box<FunctionDef>),
    /// `class`.
    Class(Box<ClassDef>),
}

/// `targets[0] = targets[1] = … = value`: the value is computed first, then
/// stored into the targets from left to right.
#[derive(Debug)]
pub struct Assign {
    /// At least one.
    pub targets: Vec<Target>,
    /// The value.
    pub value: Expr,
}

/// `target op= value`.
#[derive(Debug)]
pub struct AugAssign {
    /// A name, attribute or subscript, never a sequence of targets.
    pub target: Target,
    /// The operator without its `=`.
    pub operator: BinaryOperator,
    /// Where the operator stands.
    pub operator_span: Span,
    /// The right side.
    pub value: Expr,
}

/// `print >>destination, values`.
#[derive(Debug)]
pub struct Print {
    /// The expression behind `>>`.
    pub destination: Option<Expr>,
    /// What is printed.
    pub values: Vec<Expr>,
    /// False if the statement ends in a comma.
    pub newline: bool,
}

/// `assert test, message`.
#[derive(Debug)]
pub struct Assert {
    /// The condition.
    pub test: Expr,
    /// The argument of the AssertionError.
    pub message: Option<Expr>,
}

/// `raise kind, value, traceback`; each part needs the one before it.
#[derive(Debug)]
pub struct Raise {
    /// The class or instance; none raises the current exception again.
    pub kind: Option<Expr>,
    /// The instance or the arguments.
    pub value: Option<Expr>,
    /// The traceback.
    pub traceback: Option<Expr>,
}

/// `if … elif … else`.
#[derive(Debug)]
pub struct If {
    /// The `if` arm and the `elif` arms, tried in order; at least one.
    pub arms: Vec<IfArm>,
    /// The `else` block; empty if there is none.
    pub otherwise: Block,
}

/// One `if` or `elif` with its block.
#[derive(Debug)]
pub struct IfArm {
    /// The condition.
    pub test: Expr,
    /// What is run if it holds.
    pub body: Block,
}

/// `while test: body else: otherwise`.
#[derive(Debug)]
pub struct While {
    /// The condition.
    pub test: Expr,
    /// The loop's body.
    pub body: Block,
    /// The `else` block; empty if there is none.
    pub otherwise: Block,
}

/// `for target in iterable: body else: otherwise`.
#[derive(Debug)]
pub struct For {
    /// Where each item is stored.
    pub target: Target,
    /// What is iterated over.
    pub iterable: Expr,
    /// The loop's body.
    pub body: Block,
    /// The `else` block; empty if there is none.
    pub otherwise: Block,
}

/// `try` in all its forms. With both `handlers` and a `finally`, the finally
/// block encloses the rest.
#[derive(Debug)]
pub struct Try {
    /// The guarded statements.
    pub body: Block,
    /// The `except` clauses, tried in order; none if there is only `finally`.
    pub handlers: Vec<Handler>,
    /// The `else` block; empty if there is none.
    pub otherwise: Block,
    /// The `finally` block.
    pub finally: Option<Block>,
}

/// `except kind, target:` or `except kind as target:`.
#[derive(Debug)]
pub struct Handler {
    /// What is caught; none catches everything and is the last handler.
    pub kind: Option<Expr>,
    /// Where the exception is stored: any target.
    pub target: Option<Target>,
    /// What is run.
    pub body: Block,
    /// The clause's header.
    pub span: Span,
}

/// `def name(parameters): body`.
#[derive(Debug)]
pub struct FunctionDef {
    /// The function's name.
    pub name: Symbol,
    /// Where the name stands.
    pub name_span: Span,
    /// The parameters.
    pub parameters: Parameters,
    /// The body.
    pub body: Block,
}

/// The parameters of a function. All names in them are different.
#[derive(Debug, Default)]
pub struct Parameters {
    /// Positional ones. A parameter with a default is followed only by such.
    pub positional: Vec<Parameter>,
    /// `*args`.
    pub star: Option<Symbol>,
    /// `**kwargs`.
    pub double_star: Option<Symbol>,
    /// All names above with their places, in the order of the text.
    pub names: Vec<(Symbol, Span)>,
}

/// One positional parameter.
#[derive(Debug)]
pub struct Parameter {
    /// A name or a nested sequence of names.
    pub pattern: Pattern,
    /// The default, evaluated once when `def` runs.
    pub default: Option<Expr>,
    /// The name or the pattern.
    pub span: Span,
}

/// The left side of a parameter: `a` or `(a, (b, c))`.
#[derive(Debug)]
pub enum Pattern {
    /// An ordinary parameter.
    Name(Symbol),
    /// A parameter unpacked when the function is called. `(a,)` is a pattern of
    /// one; `(a)` is just `a`.
    Unpack(Vec<Pattern>),
}

/// `class name(bases): body`; with no bases the class is an old-style one.
#[derive(Debug)]
pub struct ClassDef {
    /// The class's name.
    pub name: Symbol,
    /// Where the name stands.
    pub name_span: Span,
    /// The base classes.
    pub bases: Vec<Expr>,
    /// The body.
    pub body: Block,
}

/// A place that can be assigned to or deleted.
#[derive(Debug)]
pub struct Target {
    /// What it is.
    pub kind: TargetKind,
    /// All of it.
    pub span: Span,
}

/// The kinds of targets.
#[derive(Debug)]
pub enum TargetKind {
    /// A variable.
    Name(Symbol),
    /// `value.name`.
    Attribute(Box<Expr>, Symbol),
    /// `value[index]`.
    Subscript(Box<Subscript>),
    /// `a, b` or `[a, b]`, unpacked (or deleted) from left to right. `[]` is
    /// possible and takes an empty sequence.
    Unpack(Vec<Target>),
}

/// An expression.
#[derive(Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// All of it, without parentheses around it.
    pub span: Span,
    /// 1 more than the greatest height of its parts; at most [`MAX_HEIGHT`].
    pub height: u16,
}

/// The expressions of the dialect.
#[derive(Debug)]
pub enum ExprKind {
    /// A variable, or `None`.
    Name(Symbol),
    /// An integer that fits 64 bits. A minus sign before a number is part of
    /// the number, as in 2.7, so the least integer is an int too.
    Int(i64),
    /// A long: written with `L`, or too large for an int.
    Long(Box<LongLiteral>),
    /// A floating-point number; may be infinite (`1e999`).
    Float(f64),
    /// `2.5j`: a complex number with real part +0.0.
    Imaginary(f64),
    /// A byte string, adjacent literals joined.
    Str(Box<[u8]>),
    /// `(a, b)`, `a, b`, `()`.
    Tuple(Vec<Expr>),
    /// `[a, b]`.
    List(Vec<Expr>),
    /// `{key: value}`. 2.7 evaluates each value before its key.
    Dict(Vec<(Expr, Expr)>),
    /// `[element for …]`; its variables belong to the enclosing scope.
    ListComp(Box<ListComp>),
    /// `value.name`; the name's bytes are the last of the span.
    Attribute(Box<Expr>, Symbol),
    /// `value[index]`.
    Subscript(Box<Subscript>),
    /// A call.
    Call(Box<Call>),
    /// `-a`, `+a`, `~a`.
    Unary(UnaryOperator, Box<Expr>),
    /// `not a`.
    Not(Box<Expr>),
    /// A row of binary operators of the same precedence.
    Binary(Box<Binary>),
    /// A row of comparisons.
    Compare(Box<Compare>),
    /// `a and b and c`; at least two.
    And(Vec<Expr>),
    /// `a or b or c`; at least two.
    Or(Vec<Expr>),
}

/// The text of a long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LongLiteral {
    /// True if a minus sign stands before the number.
    pub negative: bool,
    /// 2, 8, 10 or 16.
    pub radix: u32,
    /// The digits in that radix: ASCII, at least one, without sign, prefix or `L`.
    pub digits: Box<str>,
}

/// `value[index]`.
#[derive(Debug)]
pub struct Subscript {
    /// What is subscripted.
    pub value: Expr,
    /// With what.
    pub index: Index,
}

/// What stands between square brackets.
#[derive(Debug)]
pub enum Index {
    /// An expression; `a[1, 2]` is an item whose expression is a tuple.
    Item(Expr),
    /// `lower:upper` without a second colon. Alone it is 2.7's simple slice;
    /// within [`Index::Dimensions`] it is a slice object with step None.
    Slice(Option<Expr>, Option<Expr>),
    /// `lower:upper:step`: a slice object. A missing part is None.
    ExtendedSlice(Option<Expr>, Option<Expr>, Option<Expr>),
    /// `...`: the object Ellipsis.
    Ellipsis,
    /// `a[1:2, 3]`, `a[..., 0]`, `a[1:2,]`: a tuple that has at least one slice
    /// or Ellipsis. Contains no further `Dimensions`.
    Dimensions(Vec<Index>),
}

/// A call. Evaluated in this order: function, positional, keywords, star,
/// double star, wherever `*star` stands in the text.
#[derive(Debug)]
pub struct Call {
    /// What is called.
    pub function: Expr,
    /// Positional arguments.
    pub positional: Vec<Expr>,
    /// Keyword arguments; all names are different.
    pub keywords: Vec<Keyword>,
    /// `*star`.
    pub star: Option<Expr>,
    /// `**double_star`.
    pub double_star: Option<Expr>,
}

/// `name=value` in a call.
#[derive(Debug)]
pub struct Keyword {
    /// The name.
    pub name: Symbol,
    /// Where the name stands.
    pub name_span: Span,
    /// The value.
    pub value: Expr,
}

/// `first op operand op operand …`, applied from left to right. All operators
/// of one row have the same precedence; a power has exactly one step, since
/// powers group from right to left.
#[derive(Debug)]
pub struct Binary {
    /// The leftmost operand.
    pub first: Expr,
    /// The operators with their right operands; at least one.
    pub rest: Vec<BinaryStep>,
}

/// One operator of a row with its right operand.
#[derive(Debug)]
pub struct BinaryStep {
    /// The operator.
    pub operator: BinaryOperator,
    /// Where it stands.
    pub operator_span: Span,
    /// Its right operand.
    pub operand: Expr,
}

/// `first op operand op operand …`: true if each neighbouring pair compares
/// true; evaluated from left to right until one does not.
#[derive(Debug)]
pub struct Compare {
    /// The leftmost operand.
    pub first: Expr,
    /// The operators with their right operands; at least one.
    pub rest: Vec<CompareStep>,
}

/// One comparison of a row with its right operand.
#[derive(Debug)]
pub struct CompareStep {
    /// The operator.
    pub operator: CompareOperator,
    /// Where it stands.
    pub operator_span: Span,
    /// Its right operand.
    pub operand: Expr,
}

/// `[element for … in … if …]`.
#[derive(Debug)]
pub struct ListComp {
    /// What each round adds.
    pub element: Expr,
    /// The clauses, outermost first; the first is a `for`.
    pub clauses: Vec<Clause>,
}

/// A clause of a list comprehension.
#[derive(Debug)]
pub enum Clause {
    /// `for target in iterable`.
    For {
        /// Where each item is stored.
        target: Target,
        /// What is iterated over; a tuple if written as `1, 2, 3`.
        iterable: Expr,
        /// All of the clause.
        span: Span,
    },
    /// `if test`.
    If(Expr),
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
