//! Which variable is where: locals, cells shared with inner functions, free
//! variables, globals.
//!
//! Repy has no `global` statement: a name assigned anywhere in a function is
//! local to it, any other is looked up in the functions around it and then
//! among the globals. Variables of list comprehensions belong to the function.

use super::quick::{NumberMap, NumberSet};
use crate::syntax::ast::*;
use crate::syntax::{Span, Symbol};

/// Position of a scope in [`Scopes`].
pub type ScopeId = usize;

/// Kinds of scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScopeKind {
    /// The module: all names are globals.
    Module,
    /// A function.
    Function,
    /// A class body.
    Class,
}

/// One scope.
#[derive(Debug)]
pub struct Scope {
    /// What it is.
    pub kind: ScopeKind,
    parent: Option<ScopeId>,
    /// Names bound here, in order of appearance.
    pub bound: Vec<Symbol>,
    bound_set: NumberSet<Symbol>,
    used: Vec<Symbol>,
    /// Bound names that inner functions use.
    pub cells: NumberSet<Symbol>,
    /// Names of functions around it that it, or a function inside it, uses.
    pub free: Vec<Symbol>,
    /// Names that `del` is applied to, with the place.
    pub deleted: NumberMap<Symbol, Span>,
    /// Names bound by list comprehensions.
    pub comprehended: NumberSet<Symbol>,
}

impl Scope {
    /// Whether the name is bound here.
    pub fn binds(&self, name: Symbol) -> bool {
        self.bound_set.contains(&name)
    }
}

/// All scopes of a module.
#[derive(Debug)]
pub struct Scopes {
    /// The scopes; the module's is the first.
    pub scopes: Vec<Scope>,
    by_place: NumberMap<u32, ScopeId>,
}

impl Scopes {
    /// The scope of the `def` or `class` whose name stands at this place.
    pub fn of(&self, name_span: Span) -> ScopeId {
        self.by_place.get(&name_span.start).copied().unwrap_or(0)
    }

    /// Finds all scopes of a module.
    pub fn analyse(module: &Module<'_>) -> Scopes {
        let mut scopes = Scopes { scopes: Vec::new(), by_place: NumberMap::default() };
        let root = scopes.open(ScopeKind::Module, None);
        scopes.block(root, module.body);
        for id in 1..scopes.scopes.len() {
            for name in std::mem::take(&mut scopes.scopes[id].used) {
                scopes.resolve(id, name);
            }
        }
        scopes
    }

    fn open(&mut self, kind: ScopeKind, parent: Option<ScopeId>) -> ScopeId {
        self.scopes.push(Scope {
            kind,
            parent,
            bound: Vec::new(),
            bound_set: NumberSet::default(),
            used: Vec::new(),
            cells: NumberSet::default(),
            free: Vec::new(),
            deleted: NumberMap::default(),
            comprehended: NumberSet::default(),
        });
        self.scopes.len() - 1
    }

    /// A use of `name` in scope `id`: marks the cell and the way to it.
    fn resolve(&mut self, id: ScopeId, name: Symbol) {
        if self.scopes[id].binds(name) {
            return;
        }
        let mut between = vec![id];
        let mut at = self.scopes[id].parent;
        while let Some(outer) = at {
            let scope = &mut self.scopes[outer];
            if scope.kind == ScopeKind::Function && scope.binds(name) {
                scope.cells.insert(name);
                for id in between {
                    if !self.scopes[id].free.contains(&name) {
                        self.scopes[id].free.push(name);
                    }
                }
                return;
            }
            between.push(outer);
            at = scope.parent;
        }
    }

    fn bind(&mut self, id: ScopeId, name: Symbol) {
        let scope = &mut self.scopes[id];
        if scope.bound_set.insert(name) {
            scope.bound.push(name);
        }
    }

    fn block(&mut self, id: ScopeId, block: Block<'_>) {
        for statement in block {
            self.statement(id, statement);
        }
    }

    fn statement(&mut self, id: ScopeId, statement: &Stmt<'_>) {
        match &statement.kind {
            StmtKind::Expr(e) => self.expr(id, e),
            StmtKind::Assign(assign) => {
                self.expr(id, &assign.value);
                assign.targets.iter().for_each(|target| self.target(id, target, false));
            }
            StmtKind::AugAssign(assign) => {
                if let TargetKind::Name(name) = assign.target.kind {
                    self.scopes[id].used.push(name);
                }
                self.target(id, &assign.target, false);
                self.expr(id, &assign.value);
            }
            StmtKind::Delete(targets) => targets.iter().for_each(|target| self.delete(id, target)),
            StmtKind::Print(print) => {
                print.destination.iter().for_each(|e| self.expr(id, e));
                print.values.iter().for_each(|e| self.expr(id, e));
            }
            StmtKind::Assert(assert) => {
                self.expr(id, &assert.test);
                assert.message.iter().for_each(|e| self.expr(id, e));
            }
            StmtKind::Raise(raise) => {
                for e in [&raise.kind, &raise.value, &raise.traceback].into_iter().flatten() {
                    self.expr(id, e);
                }
            }
            StmtKind::Return(e) => e.iter().for_each(|e| self.expr(id, e)),
            StmtKind::Pass | StmtKind::Break | StmtKind::Continue => {}
            StmtKind::If(branch) => {
                for arm in branch.arms {
                    self.expr(id, &arm.test);
                    self.block(id, arm.body);
                }
                self.block(id, branch.otherwise);
            }
            StmtKind::While(loop_) => {
                self.expr(id, &loop_.test);
                self.block(id, loop_.body);
                self.block(id, loop_.otherwise);
            }
            StmtKind::For(loop_) => {
                self.expr(id, &loop_.iterable);
                self.target(id, &loop_.target, false);
                self.block(id, loop_.body);
                self.block(id, loop_.otherwise);
            }
            StmtKind::Try(attempt) => {
                self.block(id, attempt.body);
                for handler in attempt.handlers {
                    handler.kind.iter().for_each(|e| self.expr(id, e));
                    handler.target.iter().for_each(|target| self.target(id, target, false));
                    self.block(id, handler.body);
                }
                self.block(id, attempt.otherwise);
                attempt.finally.iter().for_each(|block| self.block(id, block));
            }
            StmtKind::Def(def) => {
                self.bind(id, def.name);
                for parameter in def.parameters.positional {
                    parameter.default.iter().for_each(|e| self.expr(id, e));
                }
                let inner = self.open(ScopeKind::Function, Some(id));
                self.by_place.insert(def.name_span.start, inner);
                for parameter in def.parameters.positional {
                    self.pattern(inner, &parameter.pattern);
                }
                def.parameters.star.iter().for_each(|name| self.bind(inner, *name));
                def.parameters.double_star.iter().for_each(|name| self.bind(inner, *name));
                self.block(inner, def.body);
            }
            StmtKind::Class(class) => {
                self.bind(id, class.name);
                class.bases.iter().for_each(|e| self.expr(id, e));
                let inner = self.open(ScopeKind::Class, Some(id));
                self.by_place.insert(class.name_span.start, inner);
                self.block(inner, class.body);
            }
        }
    }

    fn pattern(&mut self, id: ScopeId, pattern: &Pattern<'_>) {
        match pattern {
            Pattern::Name(name) => self.bind(id, *name),
            Pattern::Unpack(parts) => parts.iter().for_each(|part| self.pattern(id, part)),
        }
    }

    fn delete(&mut self, id: ScopeId, target: &Target<'_>) {
        match &target.kind {
            TargetKind::Name(name) => {
                self.bind(id, *name);
                self.scopes[id].deleted.entry(*name).or_insert(target.span);
            }
            TargetKind::Unpack(parts) => parts.iter().for_each(|part| self.delete(id, part)),
            _ => self.target(id, target, false),
        }
    }

    fn target(&mut self, id: ScopeId, target: &Target<'_>, comprehension: bool) {
        match &target.kind {
            TargetKind::Name(name) => {
                self.bind(id, *name);
                if comprehension {
                    self.scopes[id].comprehended.insert(*name);
                }
            }
            TargetKind::Attribute(value, _) => self.expr(id, value),
            TargetKind::Subscript(subscript) => {
                self.expr(id, &subscript.value);
                self.index(id, &subscript.index);
            }
            TargetKind::Unpack(parts) => parts.iter().for_each(|part| self.target(id, part, comprehension)),
        }
    }

    fn index(&mut self, id: ScopeId, index: &Index<'_>) {
        match index {
            Index::Item(e) => self.expr(id, e),
            Index::Slice(a, b) => [a, b].into_iter().flatten().for_each(|e| self.expr(id, e)),
            Index::ExtendedSlice(a, b, c) => {
                [a, b, c].into_iter().flatten().for_each(|e| self.expr(id, e));
            }
            Index::Ellipsis => {}
            Index::Dimensions(parts) => parts.iter().for_each(|part| self.index(id, part)),
        }
    }

    fn expr(&mut self, id: ScopeId, e: &Expr<'_>) {
        match &e.kind {
            ExprKind::Name(name) => self.scopes[id].used.push(*name),
            ExprKind::Int(_)
            | ExprKind::Long(_)
            | ExprKind::Float(_)
            | ExprKind::Imaginary(_)
            | ExprKind::Str(_) => {}
            ExprKind::Tuple(items) | ExprKind::List(items) | ExprKind::And(items) | ExprKind::Or(items) => {
                items.iter().for_each(|e| self.expr(id, e));
            }
            ExprKind::Dict(pairs) => pairs.iter().for_each(|(key, value)| {
                self.expr(id, value);
                self.expr(id, key);
            }),
            ExprKind::ListComp(comp) => {
                for clause in comp.clauses {
                    match clause {
                        Clause::For { target, iterable, .. } => {
                            self.expr(id, iterable);
                            self.target(id, target, true);
                        }
                        Clause::If(test) => self.expr(id, test),
                    }
                }
                self.expr(id, &comp.element);
            }
            ExprKind::Attribute(value, _) => self.expr(id, value),
            ExprKind::Subscript(subscript) => {
                self.expr(id, &subscript.value);
                self.index(id, &subscript.index);
            }
            ExprKind::Call(call) => {
                self.expr(id, &call.function);
                call.positional.iter().for_each(|e| self.expr(id, e));
                call.keywords.iter().for_each(|keyword| self.expr(id, &keyword.value));
                [&call.star, &call.double_star].into_iter().flatten().for_each(|e| self.expr(id, e));
            }
            ExprKind::Unary(_, operand) | ExprKind::Not(operand) => self.expr(id, operand),
            ExprKind::Binary(binary) => {
                self.expr(id, &binary.first);
                binary.rest.iter().for_each(|step| self.expr(id, &step.operand));
            }
            ExprKind::Compare(compare) => {
                self.expr(id, &compare.first);
                compare.rest.iter().for_each(|step| self.expr(id, &step.operand));
            }
        }
    }
}

/// Whether an expression contains a list comprehension.
pub fn has_comprehension(e: &Expr<'_>) -> bool {
    match &e.kind {
        ExprKind::ListComp(_) => true,
        ExprKind::Name(_)
        | ExprKind::Int(_)
        | ExprKind::Long(_)
        | ExprKind::Float(_)
        | ExprKind::Imaginary(_)
        | ExprKind::Str(_) => false,
        ExprKind::Tuple(items) | ExprKind::List(items) | ExprKind::And(items) | ExprKind::Or(items) => {
            items.iter().any(has_comprehension)
        }
        ExprKind::Dict(pairs) => pairs.iter().any(|(k, v)| has_comprehension(k) || has_comprehension(v)),
        ExprKind::Attribute(value, _) => has_comprehension(value),
        ExprKind::Subscript(subscript) => {
            has_comprehension(&subscript.value) || index_has_comprehension(&subscript.index)
        }
        ExprKind::Call(call) => {
            has_comprehension(&call.function)
                || call.positional.iter().any(has_comprehension)
                || call.keywords.iter().any(|keyword| has_comprehension(&keyword.value))
                || [call.star, call.double_star].into_iter().flatten().any(has_comprehension)
        }
        ExprKind::Unary(_, operand) | ExprKind::Not(operand) => has_comprehension(operand),
        ExprKind::Binary(binary) => {
            has_comprehension(&binary.first)
                || binary.rest.iter().any(|step| has_comprehension(&step.operand))
        }
        ExprKind::Compare(compare) => {
            has_comprehension(&compare.first)
                || compare.rest.iter().any(|step| has_comprehension(&step.operand))
        }
    }
}

/// Whether an index contains a list comprehension.
pub fn index_has_comprehension(index: &Index<'_>) -> bool {
    match index {
        Index::Item(e) => has_comprehension(e),
        Index::Slice(a, b) => [*a, *b].into_iter().flatten().any(has_comprehension),
        Index::ExtendedSlice(a, b, c) => [*a, *b, *c].into_iter().flatten().any(has_comprehension),
        Index::Ellipsis => false,
        Index::Dimensions(parts) => parts.iter().any(index_has_comprehension),
    }
}
