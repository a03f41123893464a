//! Goes over a tree once and notes which names are bound and read where.
//!
//! The recursion is bounded as the tree is.

use std::collections::HashSet;

use super::Bound;
use crate::syntax::ast::{
    Block, Call, Clause, Expr, ExprKind, Index, Module, Stmt, StmtKind, Target, TargetKind,
};
use crate::syntax::{Span, Symbol};

/// Literals of one name that are kept.
const LITERALS: usize = 4;

/// What is known of a name's value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Binding {
    /// The texts of literals it is bound to.
    pub literals: Vec<Vec<u8>>,
    /// Whether it is bound to anything else too.
    pub other: bool,
}

/// The names of a program.
#[derive(Debug, Default)]
pub struct Names {
    /// Every name that is bound anywhere.
    pub bound: Bound,
    /// Functions defined within classes: an attribute of that name may be one.
    pub methods: HashSet<Symbol>,
    /// Names that are read, in the order of the text.
    pub read: Vec<(Symbol, Span)>,
}

impl Names {
    /// Those of a program.
    pub fn of(module: &Module<'_>) -> Names {
        let mut names = Names::default();
        walk(module, &mut |event| names.note(event));
        names
    }

    fn note(&mut self, event: Event<'_>) {
        match event {
            Event::Bind(symbol, value) => {
                let known = self.bound.entry(symbol).or_default();
                match value.and_then(literal) {
                    Some(text) if known.literals.len() < LITERALS => known.literals.push(text),
                    _ => known.other = true,
                }
            }
            Event::Method(symbol) => {
                self.methods.insert(symbol);
            }
            Event::Read(symbol, span) => self.read.push((symbol, span)),
            Event::Call(..) | Event::Print(_) => {}
        }
    }
}

/// The Python text of a literal.
pub fn literal(value: &Expr<'_>) -> Option<Vec<u8>> {
    match &value.kind {
        ExprKind::Str(text) => Some(text.to_vec()),
        ExprKind::Int(number) => Some(number.to_string().into_bytes()),
        _ => None,
    }
}

/// What is met on the way through a program.
#[derive(Clone, Copy, Debug)]
pub enum Event<'t> {
    /// A name is bound, to this value if it is a plain assignment.
    Bind(Symbol, Option<&'t Expr<'t>>),
    /// A function is defined within a class.
    Method(Symbol),
    /// A name is read.
    Read(Symbol, Span),
    /// Something is called.
    Call(&'t Call<'t>, Span),
    /// `print` without a target.
    Print(Span),
}

/// Goes over the whole program in the order of the text.
pub fn walk<'t>(module: &'t Module<'t>, note: &mut dyn FnMut(Event<'t>)) {
    Walk { note }.block(module.body, false);
}

struct Walk<'v, 't> {
    note: &'v mut dyn FnMut(Event<'t>),
}

impl<'t> Walk<'_, 't> {
    fn block(&mut self, block: Block<'t>, class: bool) {
        for statement in block {
            self.statement(statement, class);
        }
    }

    fn statement(&mut self, statement: &'t Stmt<'t>, class: bool) {
        match &statement.kind {
            StmtKind::Expr(value) => self.expr(value),
            StmtKind::Assign(assign) => {
                self.expr(&assign.value);
                for target in assign.targets {
                    self.target(target, Some(&assign.value));
                }
            }
            StmtKind::AugAssign(assign) => {
                self.expr(&assign.value);
                self.target(&assign.target, None);
            }
            StmtKind::Delete(targets) => targets.iter().for_each(|target| self.target(target, None)),
            StmtKind::Print(print) => {
                self.exprs(&print.destination);
                self.exprs(print.values);
                if print.destination.is_none() {
                    (self.note)(Event::Print(statement.span));
                }
            }
            StmtKind::Assert(assert) => {
                self.expr(&assert.test);
                self.exprs(&assert.message);
            }
            StmtKind::Raise(raise) => {
                self.exprs(&raise.kind);
                self.exprs(&raise.value);
                self.exprs(&raise.traceback);
            }
            StmtKind::Return(value) => self.exprs(value),
            StmtKind::Pass | StmtKind::Break | StmtKind::Continue => {}
            StmtKind::If(statement) => {
                for arm in statement.arms {
                    self.expr(&arm.test);
                    self.block(arm.body, class);
                }
                self.block(statement.otherwise, class);
            }
            StmtKind::While(statement) => {
                self.expr(&statement.test);
                self.block(statement.body, class);
                self.block(statement.otherwise, class);
            }
            StmtKind::For(statement) => {
                self.expr(&statement.iterable);
                self.target(&statement.target, None);
                self.block(statement.body, class);
                self.block(statement.otherwise, class);
            }
            StmtKind::Try(statement) => {
                self.block(statement.body, class);
                for handler in statement.handlers {
                    self.exprs(&handler.kind);
                    if let Some(target) = &handler.target {
                        self.target(target, None);
                    }
                    self.block(handler.body, class);
                }
                self.block(statement.otherwise, class);
                if let Some(finally) = statement.finally {
                    self.block(finally, class);
                }
            }
            StmtKind::Def(function) => {
                (self.note)(Event::Bind(function.name, None));
                if class {
                    (self.note)(Event::Method(function.name));
                }
                for (name, _) in function.parameters.names {
                    (self.note)(Event::Bind(*name, None));
                }
                for parameter in function.parameters.positional {
                    self.exprs(&parameter.default);
                }
                self.block(function.body, false);
            }
            StmtKind::Class(class) => {
                (self.note)(Event::Bind(class.name, None));
                self.exprs(class.bases);
                self.block(class.body, true);
            }
        }
    }

    fn target(&mut self, target: &'t Target<'t>, value: Option<&'t Expr<'t>>) {
        match &target.kind {
            TargetKind::Name(symbol) => (self.note)(Event::Bind(*symbol, value)),
            TargetKind::Attribute(object, _) => self.expr(object),
            TargetKind::Subscript(subscript) => {
                self.expr(&subscript.value);
                self.index(&subscript.index);
            }
            TargetKind::Unpack(parts) => parts.iter().for_each(|part| self.target(part, None)),
        }
    }

    fn index(&mut self, index: &'t Index<'t>) {
        match index {
            Index::Item(item) => self.expr(item),
            Index::Slice(lower, upper) => {
                self.exprs(*lower);
                self.exprs(*upper);
            }
            Index::ExtendedSlice(lower, upper, step) => {
                self.exprs(*lower);
                self.exprs(*upper);
                self.exprs(*step);
            }
            Index::Ellipsis => {}
            Index::Dimensions(parts) => parts.iter().for_each(|part| self.index(part)),
        }
    }

    fn exprs(&mut self, exprs: impl IntoIterator<Item = &'t Expr<'t>>) {
        for expr in exprs {
            self.expr(expr);
        }
    }

    fn expr(&mut self, expr: &'t Expr<'t>) {
        match &expr.kind {
            ExprKind::Name(symbol) => (self.note)(Event::Read(*symbol, expr.span)),
            ExprKind::Int(_)
            | ExprKind::Long(_)
            | ExprKind::Float(_)
            | ExprKind::Imaginary(_)
            | ExprKind::Str(_) => {}
            ExprKind::Tuple(items) | ExprKind::List(items) | ExprKind::And(items) | ExprKind::Or(items) => {
                self.exprs(*items);
            }
            ExprKind::Dict(items) => {
                for (key, value) in *items {
                    self.expr(key);
                    self.expr(value);
                }
            }
            ExprKind::ListComp(comprehension) => {
                for clause in comprehension.clauses {
                    match clause {
                        Clause::For { target, iterable, .. } => {
                            self.expr(iterable);
                            self.target(target, None);
                        }
                        Clause::If(test) => self.expr(test),
                    }
                }
                self.expr(&comprehension.element);
            }
            ExprKind::Attribute(value, _) | ExprKind::Unary(_, value) | ExprKind::Not(value) => {
                self.expr(value);
            }
            ExprKind::Subscript(subscript) => {
                self.expr(&subscript.value);
                self.index(&subscript.index);
            }
            ExprKind::Call(call) => {
                self.expr(&call.function);
                self.exprs(call.positional);
                self.exprs(call.keywords.iter().map(|keyword| &keyword.value));
                self.exprs(call.star);
                self.exprs(call.double_star);
                (self.note)(Event::Call(call, expr.span));
            }
            ExprKind::Binary(binary) => {
                self.expr(&binary.first);
                self.exprs(binary.rest.iter().map(|step| &step.operand));
            }
            ExprKind::Compare(compare) => {
                self.expr(&compare.first);
                self.exprs(compare.rest.iter().map(|step| &step.operand));
            }
        }
    }
}
