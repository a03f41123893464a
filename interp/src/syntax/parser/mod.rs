//! Tokens to the tree: a recursive-descent parser.
//!
//! It reads all of Python 2.7, also what Repy refuses, so that every refused
//! construct can be named at its place; such a construct is noted and replaced
//! by a placeholder in the tree. A program with any note is never run.
//!
//! Native recursion is bounded by [`MAX_NESTING`] and the number of open
//! indentations, whatever the text.

mod args;
mod atom;
mod compound;
mod expr;
mod hints;
mod params;
mod simple;
mod target;

use super::ast::{Block, Expr, ExprKind, Module, Stmt, StmtKind, MAX_HEIGHT};
use super::finding::{Fault, Finding, What};
use super::lexer::Lexer;
use super::node::Node;
use super::source::{Source, Span};
use super::symbol::Symbol;
use super::token::{Kind, Token};
use super::tree::Tree;
use super::Limits;

/// How deep brackets, lambdas, powers and the like may stand in one another.
/// CPython 2.7 gives up at about 98 parentheses.
const MAX_NESTING: u32 = 200;

/// How deep loops and `try` may stand in one another within one function or
/// class: 2.7's own limit.
const MAX_BLOCKS: usize = 20;

/// After so many findings the rest of the text is not read.
pub(super) const MAX_FINDINGS: usize = 50;

/// An error has been noted and the construct cannot be read on.
struct Stop;

type Result<T> = std::result::Result<T, Stop>;

/// What a statement stands in, as far as `break`, `continue` and `return` care.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Frame {
    Loop,
    /// The guarded part of a `try`.
    Guarded,
    FinallyEnd,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ScopeKind {
    Module,
    Function,
    Class,
    /// The place behind a header that could not be read: nothing in it is
    /// called misplaced.
    Unknown,
}

struct Scope {
    kind: ScopeKind,
    frames: Vec<Frame>,
}

impl Scope {
    fn new(kind: ScopeKind) -> Self {
        Scope { kind, frames: Vec::new() }
    }
}

/// Reads a text that holds no NUL. The tree is complete only if there are no
/// findings.
pub(super) fn parse<'t>(tree: &'t Tree, source: Source, limits: &Limits) -> (Module<'t>, Vec<Finding>) {
    let text = source.text();
    let mut parser = Parser::new(tree, text, limits);
    parser.advance();
    let body = parser.module();
    let Parser { lexer, findings, .. } = parser;
    let symbols = lexer.symbols;
    let module = Module { symbols, body, source };
    (module, findings)
}

struct Parser<'a, 't> {
    tree: &'t Tree,
    text: &'a [u8],
    lexer: Lexer<'a>,
    token: Token,
    previous: Token,
    /// How many levels of [`MAX_NESTING`] are in use.
    depth: u32,
    findings: Vec<Finding>,
    scopes: Vec<Scope>,
    /// How many indented blocks are open.
    blocks: u32,
    /// The statement before was in error: clauses that belong to it are skipped.
    after_error: bool,
    /// The first token of the current simple statement.
    statement: Kind,
    none: Symbol,
    debug: Symbol,
    /// Empty vectors for the statements of blocks.
    spare: Vec<Vec<Stmt<'t>>>,
}

impl<'a, 't> Parser<'a, 't> {
    fn new(tree: &'t Tree, text: &'a [u8], limits: &Limits) -> Self {
        let mut lexer = Lexer::new(text, limits.tokens, limits.hash_seed);
        let none = lexer.symbols.intern("None");
        let debug = lexer.symbols.intern("__debug__");
        let token = Token { kind: Kind::Newline, span: Span::default(), symbol: none };
        Parser {
            tree,
            text,
            lexer,
            token,
            previous: token,
            depth: 0,
            findings: Vec::new(),
            blocks: 0,
            scopes: vec![Scope::new(ScopeKind::Module)],
            after_error: false,
            statement: Kind::Newline,
            none,
            debug,
            spare: Vec::new(),
        }
    }

    /// Goes to the next token and gives the one left behind.
    fn advance(&mut self) -> Token {
        self.previous = self.token;
        self.token = self.lexer.next();
        self.previous
    }

    fn at(&self, kind: Kind) -> bool {
        self.token.kind == kind
    }

    fn eat(&mut self, kind: Kind) -> bool {
        let found = self.at(kind);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, kind: Kind) -> Result<Token> {
        if self.at(kind) {
            Ok(self.advance())
        } else {
            Err(self.unexpected(Some(kind)))
        }
    }

    /// Where the current token begins.
    fn start(&self) -> u32 {
        self.token.span.start
    }

    /// From `start` to the end of what has been read.
    fn span_from(&self, start: u32) -> Span {
        Span::new(start, self.previous.span.end.max(start))
    }

    fn slice(&self, span: Span) -> &'a [u8] {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    fn note(&mut self, span: Span, what: What) {
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(Finding { span, what });
        }
        if self.findings.len() >= MAX_FINDINGS {
            self.lexer.give_up();
        }
    }

    /// Notes an error after which the construct cannot be read on.
    fn fail(&mut self, span: Span, fault: Fault) -> Stop {
        self.note(span, What::Syntax(fault));
        Stop
    }

    /// Notes that a construct is none of Repy's.
    fn foreign(&mut self, span: Span, node: Node) {
        self.note(span, What::Foreign(node));
    }

    /// Notes what 2.7's compiler refuses.
    fn refuse(
        &mut self,
        span: Span,
        message: impl Into<std::borrow::Cow<'static, str>>,
        help: impl Into<std::borrow::Cow<'static, str>>,
    ) {
        self.note(span, What::Compile(Fault::syntax(message, help)));
    }

    /// Makes an expression that began at `start` and ends at what has been read.
    fn node(&mut self, kind: ExprKind<'t>, start: u32, parts: u16) -> Result<Expr<'t>> {
        let span = self.span_from(start);
        if parts >= MAX_HEIGHT {
            return Err(self.too_deep(span));
        }
        Ok(Expr { kind, span, height: parts + 1 })
    }

    /// What stands in the tree for a construct outside the dialect. Its height
    /// of 0 tells it from all others.
    fn placeholder(&mut self, start: u32, node: Node) -> Expr<'t> {
        let span = self.span_from(start);
        self.foreign(span, node);
        Expr { kind: ExprKind::Tuple(&[]), span, height: 0 }
    }

    fn too_deep(&mut self, span: Span) -> Stop {
        let fault = Fault {
            class: "MemoryError",
            message: "".into(),
            title: "the expression is nested too deeply".into(),
            help: "compute parts of it in statements before".into(),
        };
        self.fail(Span::new(span.start, span.start + 1), fault)
    }

    /// Runs a part of the parser one level deeper.
    fn nested<T>(&mut self, part: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_NESTING {
            return Err(self.too_deep(self.token.span));
        }
        self.depth += 1;
        let result = part(self);
        self.depth -= 1;
        result
    }

    fn module(&mut self) -> Block<'t> {
        let mut body = Vec::new();
        loop {
            match self.token.kind {
                Kind::End => return self.tree.row(&body),
                // A line that holds nothing but a joined line end.
                Kind::Newline => {
                    self.advance();
                }
                _ => self.statements(&mut body),
            }
        }
    }

    /// Reads statements up to the end of their block, that is up to a Dedent
    /// (left for the caller) or the end of the text.
    fn statements(&mut self, body: &mut Vec<Stmt<'t>>) {
        loop {
            match self.token.kind {
                Kind::End | Kind::Dedent => {
                    if self.at(Kind::Dedent) && self.blocks == 0 {
                        // Only after an error in indentation.
                        self.advance();
                        continue;
                    }
                    return;
                }
                Kind::Newline if self.blocks == 0 => {
                    self.advance();
                }
                Kind::Indent => self.unexpected_indent(body),
                _ => {
                    if self.statement(body).is_err() {
                        self.recover(body);
                        self.after_error = true;
                    } else {
                        self.after_error = false;
                    }
                }
            }
        }
    }

    fn unexpected_indent(&mut self, body: &mut Vec<Stmt<'t>>) {
        if !self.after_error {
            let fault = Fault::indentation(
                "unexpected indent",
                "begin the line where the statement before it begins",
            );
            let span = Span::new(self.token.span.end, self.token.span.end + 1);
            self.note(span, What::Syntax(fault));
        }
        self.indented(body);
    }

    /// The statements between an Indent, which is the current token, and its
    /// Dedent.
    fn indented(&mut self, body: &mut Vec<Stmt<'t>>) {
        self.advance();
        self.blocks += 1;
        self.statements(body);
        self.blocks -= 1;
        self.eat(Kind::Dedent);
    }

    /// Goes on behind the line with the error; a block that belongs to it is
    /// read for further errors.
    fn recover(&mut self, body: &mut Vec<Stmt<'t>>) {
        self.lexer.leave_brackets();
        loop {
            match self.token.kind {
                Kind::End | Kind::Dedent | Kind::Indent => break,
                Kind::Newline => {
                    self.advance();
                    break;
                }
                _ => {
                    self.advance();
                }
            }
        }
        if self.at(Kind::Indent) {
            self.scopes.push(Scope::new(ScopeKind::Unknown));
            self.indented(body);
            self.scopes.pop();
        }
    }

    /// One statement of any kind, or one line of simple statements.
    fn statement(&mut self, body: &mut Vec<Stmt<'t>>) -> Result<()> {
        let start = self.start();
        let kind = match self.token.kind {
            Kind::If => self.if_statement()?,
            Kind::While => self.while_statement()?,
            Kind::For => self.for_statement()?,
            Kind::Try => self.try_statement()?,
            Kind::With => self.with_statement()?,
            Kind::Def => self.def_statement()?,
            Kind::Class => self.class_statement()?,
            Kind::At => return self.decorators(body),
            Kind::Elif | Kind::Else | Kind::Except | Kind::Finally if self.after_error => {
                // It belongs to the statement that could not be read; so does
                // its block, which `recover` reads.
                return Err(Stop);
            }
            _ => return self.simple_line(body),
        };
        let (kind, header_end) = kind;
        body.push(Stmt { kind, span: Span::new(start, header_end) });
        Ok(())
    }

    /// The block behind a header, from the colon on. Gives the end of the
    /// header with the statements; these are none only after an error.
    fn suite(&mut self) -> Result<(Block<'t>, u32)> {
        let colon = self.expect(Kind::Colon)?;
        let mut body = self.spare.pop().unwrap_or_default();
        if !self.at(Kind::Newline) {
            self.simple_line(&mut body)?;
            return Ok((self.block(body), colon.span.end));
        }
        self.advance();
        let findings = self.findings.len();
        if self.at(Kind::Indent) {
            self.indented(&mut body);
        }
        // An indentation alone is no block: a joined line may end the file.
        if body.is_empty() && self.findings.len() == findings {
            let fault = Fault::indentation(
                "expected an indented block",
                "write at least `pass`, further to the right than the line above",
            );
            let place = match self.at(Kind::End) {
                true => colon.span,
                false => self.token.span,
            };
            self.note(place, What::Syntax(fault));
        }
        // Whatever went wrong inside was put right inside.
        self.after_error = false;
        Ok((self.block(body), colon.span.end))
    }

    /// Puts the statements of a block into the tree.
    fn block(&mut self, mut body: Vec<Stmt<'t>>) -> Block<'t> {
        let block = self.tree.row(&body);
        body.clear();
        self.spare.push(body);
        block
    }

    /// Puts a row into the tree: `first` and what `more` gives until it gives none. Most rows have one item.
    #[inline]
    fn row<T: Copy>(
        &mut self,
        first: T,
        mut more: impl FnMut(&mut Self) -> Result<Option<T>>,
    ) -> Result<&'t [T]> {
        let Some(second) = more(self)? else { return Ok(self.tree.row(&[first])) };
        let mut items = vec![first, second];
        while let Some(next) = more(self)? {
            items.push(next);
        }
        Ok(self.tree.row(&items))
    }

    fn scope(&mut self) -> &mut Scope {
        if self.scopes.is_empty() {
            self.scopes.push(Scope::new(ScopeKind::Module));
        }
        let last = self.scopes.len() - 1;
        &mut self.scopes[last]
    }

    /// A block within a loop or `try`.
    fn framed_suite(&mut self, frame: Frame, place: Span) -> Result<(Block<'t>, u32)> {
        if self.scope().frames.len() >= MAX_BLOCKS {
            self.refuse(
                place,
                "too many statically nested blocks",
                format!("{MAX_BLOCKS} loops and `try` within one another are possible; use a function"),
            );
        }
        self.scope().frames.push(frame);
        let suite = self.suite();
        self.scope().frames.pop();
        suite
    }
}

/// Marks a statement kind together with the end of its header.
type Headed<'t> = (StmtKind<'t>, u32);
