//! Goes over the whole tree with the tables.
//!
//! The recursion is bounded as the tree is: see the module [`ast`].
//!
//! [`ast`]: crate::syntax::ast

use super::names;
use super::nodes;
use crate::syntax::ast::{
    BinaryOperator, Block, Clause, Expr, ExprKind, Index, Module, Stmt, StmtKind, Subscript, Target,
    TargetKind, UnaryOperator,
};
use crate::syntax::finding::{Finding, What};
use crate::syntax::{Node, Span, Symbol};

/// What V1's messages call the place of a name.
const NAME: &str = "name";
const ATTRIBUTE: &str = "attrname";

/// Adds what the tables refuse in a module to the findings of the parser.
pub(super) fn walk(module: &Module<'_>, findings: &mut Vec<Finding>) {
    let refused = module.symbols.iter().map(|(_, name)| names::refused(name.as_bytes()).is_some()).collect();
    let mut walk = Walk { module, refused, findings };
    walk.admit(Node::Module, Span::default());
    walk.block(module.body);
}

struct Walk<'a> {
    module: &'a Module<'a>,
    /// By [`Symbol::index`]: true if a program may not use the name.
    refused: Vec<bool>,
    findings: &'a mut Vec<Finding>,
}

impl Walk<'_> {
    /// Every node of the tree passes here.
    fn admit(&mut self, node: Node, span: Span) {
        if !nodes::allowed(node) {
            self.findings.push(Finding { span, what: What::Foreign(node) });
        }
    }

    /// Every identifier of the tree passes here.
    fn name(&mut self, place: &'static str, symbol: Symbol, span: Span) {
        let allowed = self.refused.get(symbol.index()) == Some(&false);
        if !allowed {
            let name = self.module.symbols.name(symbol).to_owned();
            self.findings.push(Finding { span, what: What::Name(place, name) });
        }
    }

    /// The name at the end of an attribute access.
    fn attribute(&mut self, symbol: Symbol, whole: Span) {
        let length = self.module.symbols.name(symbol).len() as u32;
        let span = Span::new(whole.end.saturating_sub(length), whole.end);
        self.name(ATTRIBUTE, symbol, span);
    }

    fn block(&mut self, block: Block<'_>) {
        for statement in block {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        let span = statement.span;
        match &statement.kind {
            StmtKind::Expr(value) => {
                self.admit(Node::Discard, span);
                self.expr(value);
            }
            StmtKind::Assign(assign) => {
                self.admit(Node::Assign, span);
                self.targets(assign.targets);
                self.expr(&assign.value);
            }
            StmtKind::AugAssign(assign) => {
                self.admit(Node::AugAssign, span);
                self.target(&assign.target);
                self.expr(&assign.value);
            }
            StmtKind::Delete(targets) => self.targets(targets),
            StmtKind::Print(print) => {
                let node = match print.newline {
                    true => Node::Printnl,
                    false => Node::Print,
                };
                self.admit(node, span);
                self.exprs(&print.destination);
                self.exprs(print.values);
            }
            StmtKind::Assert(assert) => {
                self.admit(Node::Assert, span);
                self.expr(&assert.test);
                self.exprs(&assert.message);
            }
            StmtKind::Raise(raise) => {
                self.admit(Node::Raise, span);
                self.exprs(&raise.kind);
                self.exprs(&raise.value);
                self.exprs(&raise.traceback);
            }
            StmtKind::Return(value) => {
                self.admit(Node::Return, span);
                self.exprs(value);
            }
            StmtKind::Pass => self.admit(Node::Pass, span),
            StmtKind::Break => self.admit(Node::Break, span),
            StmtKind::Continue => self.admit(Node::Continue, span),
            StmtKind::If(statement) => {
                self.admit(Node::If, span);
                for arm in statement.arms {
                    self.expr(&arm.test);
                    self.block(arm.body);
                }
                self.block(statement.otherwise);
            }
            StmtKind::While(statement) => {
                self.admit(Node::While, span);
                self.expr(&statement.test);
                self.block(statement.body);
                self.block(statement.otherwise);
            }
            StmtKind::For(statement) => {
                self.admit(Node::For, span);
                self.target(&statement.target);
                self.expr(&statement.iterable);
                self.block(statement.body);
                self.block(statement.otherwise);
            }
            StmtKind::Try(statement) => {
                if !statement.handlers.is_empty() {
                    self.admit(Node::TryExcept, span);
                }
                self.block(statement.body);
                for handler in statement.handlers {
                    self.exprs(&handler.kind);
                    if let Some(target) = &handler.target {
                        self.target(target);
                    }
                    self.block(handler.body);
                }
                self.block(statement.otherwise);
                if let Some(finally) = &statement.finally {
                    self.admit(Node::TryFinally, span);
                    self.block(finally);
                }
            }
            StmtKind::Def(function) => {
                self.admit(Node::Function, span);
                self.name(NAME, function.name, function.name_span);
                // V1 did not look at these. Nothing could use such a name
                // anyway, so no program is lost, and one rule holds for all.
                for (name, place) in function.parameters.names {
                    self.name(NAME, *name, *place);
                }
                for parameter in function.parameters.positional {
                    self.exprs(&parameter.default);
                }
                self.block(function.body);
            }
            StmtKind::Class(class) => {
                self.admit(Node::Class, span);
                self.name(NAME, class.name, class.name_span);
                self.exprs(class.bases);
                self.block(class.body);
            }
        }
    }

    fn targets(&mut self, targets: &[Target<'_>]) {
        for target in targets {
            self.target(target);
        }
    }

    fn target(&mut self, target: &Target<'_>) {
        let span = target.span;
        match &target.kind {
            TargetKind::Name(symbol) => {
                self.admit(Node::AssName, span);
                self.name(NAME, *symbol, span);
            }
            TargetKind::Attribute(value, symbol) => {
                self.admit(Node::AssAttr, span);
                self.expr(value);
                self.attribute(*symbol, span);
            }
            TargetKind::Subscript(subscript) => self.subscript(subscript, span),
            TargetKind::Unpack(parts) => {
                self.admit(Node::AssTuple, span);
                self.targets(parts);
            }
        }
    }

    fn subscript(&mut self, subscript: &Subscript<'_>, span: Span) {
        self.admit(Node::Subscript, span);
        self.expr(&subscript.value);
        self.index(&subscript.index, span);
    }

    fn index(&mut self, index: &Index<'_>, span: Span) {
        match index {
            Index::Item(item) => self.expr(item),
            Index::Slice(lower, upper) => {
                self.admit(Node::Slice, span);
                self.exprs(*lower);
                self.exprs(*upper);
            }
            Index::ExtendedSlice(lower, upper, step) => {
                self.admit(Node::Sliceobj, span);
                self.exprs(*lower);
                self.exprs(*upper);
                self.exprs(*step);
            }
            Index::Ellipsis => self.admit(Node::Ellipsis, span),
            Index::Dimensions(parts) => {
                for part in *parts {
                    self.index(part, span);
                }
            }
        }
    }

    fn exprs<'e, 't: 'e>(&mut self, exprs: impl IntoIterator<Item = &'e Expr<'t>>) {
        for expr in exprs {
            self.expr(expr);
        }
    }

    fn expr(&mut self, expr: &Expr<'_>) {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Name(symbol) => {
                self.admit(Node::Name, span);
                self.name(NAME, *symbol, span);
            }
            ExprKind::Int(_)
            | ExprKind::Long(_)
            | ExprKind::Float(_)
            | ExprKind::Imaginary(_)
            | ExprKind::Str(_) => self.admit(Node::Const, span),
            ExprKind::Tuple(items) => {
                self.admit(Node::Tuple, span);
                self.exprs(*items);
            }
            ExprKind::List(items) => {
                self.admit(Node::List, span);
                self.exprs(*items);
            }
            ExprKind::Dict(items) => {
                self.admit(Node::Dict, span);
                for (key, value) in *items {
                    self.expr(key);
                    self.expr(value);
                }
            }
            ExprKind::ListComp(comprehension) => {
                self.admit(Node::ListComp, span);
                self.expr(&comprehension.element);
                for clause in comprehension.clauses {
                    self.clause(clause);
                }
            }
            ExprKind::Attribute(value, symbol) => {
                self.admit(Node::Getattr, span);
                self.expr(value);
                self.attribute(*symbol, span);
            }
            ExprKind::Subscript(subscript) => self.subscript(subscript, span),
            ExprKind::Call(call) => {
                self.admit(Node::CallFunc, span);
                self.expr(&call.function);
                self.exprs(call.positional);
                for keyword in call.keywords {
                    self.admit(Node::Keyword, keyword.name_span);
                    self.name(NAME, keyword.name, keyword.name_span);
                    self.expr(&keyword.value);
                }
                self.exprs(call.star);
                self.exprs(call.double_star);
            }
            ExprKind::Unary(operator, value) => {
                let node = match operator {
                    UnaryOperator::Negate => Node::UnarySub,
                    UnaryOperator::Plus => Node::UnaryAdd,
                    UnaryOperator::Invert => Node::Invert,
                };
                self.admit(node, span);
                self.expr(value);
            }
            ExprKind::Not(value) => {
                self.admit(Node::Not, span);
                self.expr(value);
            }
            ExprKind::Binary(binary) => {
                self.expr(&binary.first);
                for step in binary.rest {
                    self.admit(operator_node(step.operator), step.operator_span);
                    self.expr(&step.operand);
                }
            }
            ExprKind::Compare(compare) => {
                self.admit(Node::Compare, span);
                self.expr(&compare.first);
                for step in compare.rest {
                    self.expr(&step.operand);
                }
            }
            ExprKind::And(parts) => {
                self.admit(Node::And, span);
                self.exprs(*parts);
            }
            ExprKind::Or(parts) => {
                self.admit(Node::Or, span);
                self.exprs(*parts);
            }
        }
    }

    fn clause(&mut self, clause: &Clause<'_>) {
        match clause {
            Clause::For { target, iterable, span } => {
                self.admit(Node::ListCompFor, *span);
                self.target(target);
                self.expr(iterable);
            }
            Clause::If(test) => {
                self.admit(Node::ListCompIf, test.span);
                self.expr(test);
            }
        }
    }
}

fn operator_node(operator: BinaryOperator) -> Node {
    match operator {
        BinaryOperator::Add => Node::Add,
        BinaryOperator::Subtract => Node::Sub,
        BinaryOperator::Multiply => Node::Mul,
        BinaryOperator::Divide => Node::Div,
        BinaryOperator::FloorDivide => Node::FloorDiv,
        BinaryOperator::Modulo => Node::Mod,
        BinaryOperator::Power => Node::Power,
        BinaryOperator::ShiftLeft => Node::LeftShift,
        BinaryOperator::ShiftRight => Node::RightShift,
        BinaryOperator::And => Node::Bitand,
        BinaryOperator::Xor => Node::Bitxor,
        BinaryOperator::Or => Node::Bitor,
    }
}
