//! The tree in one line of text, as `judge.py` writes CPython 2.7's tree.

use dashu_int::UBig;
use interp::syntax::ast::*;
use interp::syntax::Symbol;

/// Writes a module.
pub fn shape(module: &Module) -> String {
    Shape(module).block(&module.body)
}

struct Shape<'a>(&'a Module<'a>);

impl Shape<'_> {
    fn name(&self, symbol: Symbol) -> &str {
        self.0.symbols.name(symbol)
    }

    fn placed(&self, symbol: Symbol, start: u32) -> String {
        let (line, column) = self.0.source.line_column(start);
        format!("{}@{line}:{}", self.name(symbol), column - 1)
    }

    fn join<T>(&self, items: &[T], one: impl Fn(&T) -> String) -> String {
        let parts: Vec<String> = items.iter().map(one).collect();
        parts.join(" ")
    }

    fn block(&self, block: &Block) -> String {
        format!("({})", self.join(block, |one| self.statement(one)))
    }

    fn exprs(&self, items: &[Expr]) -> String {
        format!("({})", self.join(items, |one| self.expr(one)))
    }

    fn targets(&self, items: &[Target]) -> String {
        format!("({})", self.join(items, |one| self.target(one)))
    }

    fn maybe(&self, item: Option<&Expr>) -> String {
        item.map_or("-".to_owned(), |one| self.expr(one))
    }

    fn statement(&self, statement: &Stmt) -> String {
        let line = self.0.source.line(statement.span.start);
        format!("{line}:{}", self.kind(&statement.kind, line))
    }

    fn kind(&self, kind: &StmtKind, line: u32) -> String {
        match kind {
            StmtKind::Expr(value) => format!("(expr {})", self.expr(value)),
            StmtKind::Assign(assign) => {
                format!("(assign {} {})", self.targets(assign.targets), self.expr(&assign.value))
            }
            StmtKind::AugAssign(assign) => format!(
                "(aug {} {} {})",
                binary(assign.operator),
                self.target(&assign.target),
                self.expr(&assign.value)
            ),
            StmtKind::Delete(targets) => format!("(del {})", self.targets(targets)),
            StmtKind::Print(print) => format!(
                "(print {} {} {})",
                self.maybe(print.destination.as_ref()),
                self.exprs(print.values),
                if print.newline { "True" } else { "False" }
            ),
            StmtKind::Assert(assert) => {
                format!("(assert {} {})", self.expr(&assert.test), self.maybe(assert.message.as_ref()))
            }
            StmtKind::Raise(raise) => format!(
                "(raise {} {} {})",
                self.maybe(raise.kind.as_ref()),
                self.maybe(raise.value.as_ref()),
                self.maybe(raise.traceback.as_ref())
            ),
            StmtKind::Return(value) => format!("(return {})", self.maybe(value.as_ref())),
            StmtKind::Pass => "pass".to_owned(),
            StmtKind::Break => "break".to_owned(),
            StmtKind::Continue => "continue".to_owned(),
            StmtKind::If(statement) => self.arms(statement.arms, &statement.otherwise),
            StmtKind::While(statement) => format!(
                "(while {} {} {})",
                self.expr(&statement.test),
                self.block(&statement.body),
                self.block(&statement.otherwise)
            ),
            StmtKind::For(statement) => format!(
                "(for {} {} {} {})",
                self.target(&statement.target),
                self.expr(&statement.iterable),
                self.block(&statement.body),
                self.block(&statement.otherwise)
            ),
            StmtKind::Try(statement) => self.attempt(statement, line),
            StmtKind::Def(function) => self.function(function),
            StmtKind::Class(class) => format!(
                "(class {} {} {})",
                self.name(class.name),
                self.exprs(class.bases),
                self.block(&class.body)
            ),
        }
    }

    /// CPython nests `elif` as an `if` in an `else`.
    fn arms(&self, arms: &[IfArm], otherwise: &Block) -> String {
        let [first, rest @ ..] = arms else {
            return "no arm".to_owned();
        };
        let tail = match rest.first() {
            None => self.block(otherwise),
            Some(next) => {
                let line = self.0.source.line(next.test.span.start);
                format!("({line}:{})", self.arms(rest, otherwise))
            }
        };
        format!("(if {} {} {tail})", self.expr(&first.test), self.block(&first.body))
    }

    fn attempt(&self, statement: &Try, line: u32) -> String {
        let handlers = self.join(statement.handlers, |handler| {
            let target = handler.target.as_ref();
            format!(
                "(except {} {} {})",
                self.maybe(handler.kind.as_ref()),
                target.map_or("-".to_owned(), |target| self.target(target)),
                self.block(&handler.body)
            )
        });
        let guarded = format!(
            "(try {} ({handlers}) {})",
            self.block(&statement.body),
            self.block(&statement.otherwise)
        );
        match &statement.finally {
            None => guarded,
            Some(finally) if statement.handlers.is_empty() => {
                format!("(finally {} {})", self.block(&statement.body), self.block(finally))
            }
            Some(finally) => format!("(finally ({line}:{guarded}) {})", self.block(finally)),
        }
    }

    fn function(&self, function: &FunctionDef) -> String {
        let parameters = self.join(function.parameters.positional, |parameter| {
            format!("{}={}", self.pattern(&parameter.pattern), self.maybe(parameter.default.as_ref()))
        });
        let name = |symbol: Option<Symbol>| symbol.map_or("-", |symbol| self.name(symbol));
        format!(
            "(def {} ({parameters}) {} {} {})",
            self.name(function.name),
            name(function.parameters.star),
            name(function.parameters.double_star),
            self.block(&function.body)
        )
    }

    fn pattern(&self, pattern: &Pattern) -> String {
        match pattern {
            Pattern::Name(symbol) => self.name(*symbol).to_owned(),
            Pattern::Unpack(parts) => format!("({})", self.join(parts, |one| self.pattern(one))),
        }
    }

    fn target(&self, target: &Target) -> String {
        match &target.kind {
            TargetKind::Name(symbol) => self.placed(*symbol, target.span.start),
            TargetKind::Attribute(value, name) => {
                format!("(. {} {})", self.expr(value), self.name(*name))
            }
            TargetKind::Subscript(subscript) => self.subscript(subscript),
            TargetKind::Unpack(parts) => format!("(tuple {})", self.targets(parts)),
        }
    }

    fn subscript(&self, subscript: &Subscript) -> String {
        format!("(sub {} {})", self.expr(&subscript.value), self.index(&subscript.index))
    }

    fn index(&self, index: &Index) -> String {
        match index {
            Index::Item(item) => self.expr(item),
            Index::Slice(lower, upper) => {
                format!("(slice {} {} -)", self.maybe(*lower), self.maybe(*upper))
            }
            Index::ExtendedSlice(lower, upper, step) => {
                let step = match step {
                    Some(Expr { kind: ExprKind::Name(name), .. }) if self.name(*name) == "None" => {
                        "None".to_owned()
                    }
                    Some(step) => self.expr(step),
                    None => "None".to_owned(),
                };
                format!("(slice {} {} {step})", self.maybe(*lower), self.maybe(*upper))
            }
            Index::Ellipsis => "...".to_owned(),
            Index::Dimensions(parts) => {
                format!("(dims ({}))", self.join(parts, |one| self.index(one)))
            }
        }
    }

    fn expr(&self, expr: &Expr) -> String {
        match &expr.kind {
            ExprKind::Name(symbol) => self.placed(*symbol, expr.span.start),
            ExprKind::Int(value) => format!("i{value}"),
            ExprKind::Long(long) => {
                let value = UBig::from_str_radix(long.digits, long.radix).expect("digits");
                let sign = if long.negative && value != UBig::ZERO { "-" } else { "" };
                format!("l{sign}{value}")
            }
            ExprKind::Float(value) => format!("f{:016x}", value.to_bits()),
            ExprKind::Imaginary(value) => format!("j{:016x}", value.to_bits()),
            ExprKind::Str(value) => {
                let digits: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("s{digits}")
            }
            ExprKind::Tuple(items) => format!("(tuple {})", self.exprs(items)),
            ExprKind::List(items) => format!("(list {})", self.exprs(items)),
            ExprKind::Dict(items) => {
                let items =
                    self.join(items, |(key, value)| format!("{}:{}", self.expr(key), self.expr(value)));
                format!("(dict {items})")
            }
            ExprKind::ListComp(comprehension) => {
                let clauses = self.join(comprehension.clauses, |clause| match clause {
                    Clause::For { target, iterable, .. } => {
                        format!("for {} {}", self.target(target), self.expr(iterable))
                    }
                    Clause::If(test) => format!("if {}", self.expr(test)),
                });
                format!("(listcomp {} {clauses})", self.expr(&comprehension.element))
            }
            ExprKind::Attribute(value, name) => {
                format!("(. {} {})", self.expr(value), self.name(*name))
            }
            ExprKind::Subscript(subscript) => self.subscript(subscript),
            ExprKind::Call(call) => {
                let keywords = self.join(call.keywords, |keyword| {
                    format!("{}={}", self.name(keyword.name), self.expr(&keyword.value))
                });
                format!(
                    "(call {} {} ({keywords}) {} {})",
                    self.expr(&call.function),
                    self.exprs(call.positional),
                    self.maybe(call.star),
                    self.maybe(call.double_star)
                )
            }
            ExprKind::Unary(operator, value) => {
                let operator = match operator {
                    UnaryOperator::Negate => "USub",
                    UnaryOperator::Plus => "UAdd",
                    UnaryOperator::Invert => "Invert",
                };
                format!("({operator} {})", self.expr(value))
            }
            ExprKind::Not(value) => format!("(Not {})", self.expr(value)),
            ExprKind::Binary(row) => {
                let mut text = self.expr(&row.first);
                for step in row.rest {
                    text = format!("({} {text} {})", binary(step.operator), self.expr(&step.operand));
                }
                text
            }
            ExprKind::Compare(row) => {
                let rest = self.join(row.rest, |step| {
                    format!("{} {}", comparison(step.operator), self.expr(&step.operand))
                });
                format!("(compare {} {rest})", self.expr(&row.first))
            }
            ExprKind::And(parts) => format!("(And {})", self.exprs(parts)),
            ExprKind::Or(parts) => format!("(Or {})", self.exprs(parts)),
        }
    }
}

/// What Python's `ast` calls a binary operator.
fn binary(operator: BinaryOperator) -> &'static str {
    match operator {
        BinaryOperator::Add => "Add",
        BinaryOperator::Subtract => "Sub",
        BinaryOperator::Multiply => "Mult",
        BinaryOperator::Divide => "Div",
        BinaryOperator::FloorDivide => "FloorDiv",
        BinaryOperator::Modulo => "Mod",
        BinaryOperator::Power => "Pow",
        BinaryOperator::ShiftLeft => "LShift",
        BinaryOperator::ShiftRight => "RShift",
        BinaryOperator::And => "BitAnd",
        BinaryOperator::Xor => "BitXor",
        BinaryOperator::Or => "BitOr",
    }
}

/// What Python's `ast` calls a comparison.
fn comparison(operator: CompareOperator) -> &'static str {
    match operator {
        CompareOperator::Less => "Lt",
        CompareOperator::LessEqual => "LtE",
        CompareOperator::Greater => "Gt",
        CompareOperator::GreaterEqual => "GtE",
        CompareOperator::Equal => "Eq",
        CompareOperator::NotEqual => "NotEq",
        CompareOperator::Is => "Is",
        CompareOperator::IsNot => "IsNot",
        CompareOperator::In => "In",
        CompareOperator::NotIn => "NotIn",
    }
}
