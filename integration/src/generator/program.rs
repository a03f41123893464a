//! Random programs: functions, classes and statements around random expressions.
//!
//! Every loop has a small bound, functions only call functions defined before them, and
//! values that grow are cut back, so that a program ends within milliseconds.

use super::compare::PRELUDE;
use super::expression::Grammar;
use super::kinds::Kind;
use super::random::Random;
use super::tree::{Part, Tree};

/// Rows of `rows.txt` that statements cover (expressions cover theirs by the table).
pub const ROWS: &[&str] = &[
    "statement ",
    "operator += ",
    "operator -= ",
    "operator *= ",
    "operator /= ",
    "operator //= ",
    "operator %= ",
    "operator **= ",
    "operator <<= ",
    "operator >>= ",
    "operator &= ",
    "operator |= ",
    "operator ^= ",
    "function ",
    "scope ",
    "class ",
    "literal ",
];

/// A statement: its clauses one below the other, as `if` and `else` are.
#[derive(Debug, Clone)]
pub struct Statement {
    clauses: Vec<Clause>,
}

#[derive(Debug, Clone)]
struct Clause {
    head: Tree,
    body: Option<Vec<Statement>>,
}

/// A whole program without the prelude.
#[derive(Debug, Clone)]
pub struct Program {
    statements: Vec<Statement>,
}

impl Statement {
    fn write(&self, indent: usize, text: &mut String) {
        for clause in &self.clauses {
            text.push_str(&"  ".repeat(indent));
            text.push_str(&clause.head.text());
            text.push('\n');
            if let Some(body) = &clause.body {
                if body.is_empty() {
                    text.push_str(&"  ".repeat(indent + 1));
                    text.push_str("pass\n");
                }
                for statement in body {
                    statement.write(indent + 1, text);
                }
            }
        }
    }
}

impl Program {
    /// The text that is run.
    pub fn text(&self) -> String {
        format!("{PRELUDE}{}", self.own_text())
    }

    /// The text without the prelude.
    pub fn own_text(&self) -> String {
        let mut text = String::new();
        for statement in &self.statements {
            statement.write(0, &mut text);
        }
        text
    }

    /// Every program that is one step simpler, the largest steps first.
    pub fn simpler(&self) -> Vec<Program> {
        let mut found: Vec<Program> =
            simpler(&self.statements).into_iter().map(|statements| Program { statements }).collect();
        found.sort_by_key(|program| program.own_text().len());
        found
    }
}

fn simpler(statements: &[Statement]) -> Vec<Vec<Statement>> {
    let mut found = Vec::new();
    let half = statements.len() / 2;
    if half > 1 {
        found.push(statements[half..].to_vec());
        found.push(statements[..half].to_vec());
    }
    for (index, statement) in statements.iter().enumerate() {
        let with = |new: Vec<Statement>| {
            let mut copy = statements.to_vec();
            copy.splice(index..=index, new);
            copy
        };
        found.push(with(Vec::new()));
        for (place, clause) in statement.clauses.iter().enumerate() {
            let changed = |head: Tree, body: Option<Vec<Statement>>| {
                let mut copy = statement.clone();
                copy.clauses[place] = Clause { head, body };
                with(vec![copy])
            };
            if let Some(body) = &clause.body {
                found.push(with(body.clone()));
                found.extend(simpler(body).into_iter().map(|body| changed(clause.head.clone(), Some(body))));
            }
            found.extend(
                clause.head.simpler_holes().into_iter().map(|head| changed(head, clause.body.clone())),
            );
        }
    }
    found
}

/// Makes statements; knows which names exist and where it is.
struct Writer<'a> {
    grammar: &'a Grammar,
    random: &'a mut Random,
    names: Vec<(String, Kind)>,
    functions: Vec<(String, usize)>,
    classes: Vec<String>,
    in_function: bool,
    in_loop: bool,
    counter: usize,
}

/// A program of the generator's sequence.
pub fn generate(grammar: &Grammar, random: &mut Random) -> Program {
    let mut writer = Writer {
        grammar,
        random,
        names: Vec::new(),
        functions: Vec::new(),
        classes: Vec::new(),
        in_function: false,
        in_loop: false,
        counter: 0,
    };
    let mut statements = Vec::new();
    let kinds =
        [Kind::Integer, Kind::Text, Kind::List, Kind::Tuple, Kind::Dict, Kind::Float, Kind::Set, Kind::Any];
    for (name, kind) in ["a", "b", "c", "d", "e", "f", "g", "h"].iter().zip(kinds) {
        statements.push(line(format!("{name} = {}", kind.any_plain(writer.random))));
        writer.names.push((name.to_string(), kind));
    }
    for _ in 0..writer.random.between(1, 3) {
        let function = writer.function();
        statements.extend(guarded(vec![function]));
    }
    for _ in 0..writer.random.between(0, 2) {
        let class = writer.class();
        statements.extend(guarded(vec![class]));
    }
    for _ in 0..writer.random.between(4, 9) {
        let statement = writer.statement(3);
        // Most failures are caught, so that the statements after them run too.
        statements.extend(if writer.random.chance(95) { guarded(vec![statement]) } else { vec![statement] });
    }
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        statements.extend(guarded(vec![line(format!("print limited(show({name}))"))]));
    }
    Program { statements }
}

fn line(text: impl Into<String>) -> Statement {
    Statement { clauses: vec![clause(text, None)] }
}

fn clause(text: impl Into<String>, body: Option<Vec<Statement>>) -> Clause {
    Clause { head: Tree::leaf(Kind::Any, text), body }
}

fn block(clauses: Vec<Clause>) -> Statement {
    Statement { clauses }
}

fn guarded(body: Vec<Statement>) -> Vec<Statement> {
    vec![block(vec![
        clause("try:", Some(body)),
        clause("except Exception, problem:", Some(vec![line("print failure(problem)")])),
    ])]
}

/// A head made of text and expressions.
fn head(parts: Vec<Part>) -> Tree {
    Tree { kind: Kind::Any, parts }
}

fn text(piece: impl Into<String>) -> Part {
    Part::Text(piece.into())
}

const AUGMENTED: &[&str] = &["+=", "-=", "*=", "/=", "//=", "%=", "**=", "<<=", ">>=", "&=", "|=", "^="];

impl Writer<'_> {
    fn fresh(&mut self, stem: &str) -> String {
        self.counter += 1;
        format!("{stem}{}", self.counter)
    }

    fn expression(&mut self, kind: Kind) -> Part {
        let depth = self.random.below(3) + 1;
        Part::Hole(self.grammar.of_kind(kind, self.random, depth, &self.names))
    }

    fn name(&mut self) -> String {
        self.random.pick(&self.names).0.clone()
    }

    fn name_of(&mut self, kind: Kind) -> String {
        let fitting: Vec<String> =
            self.names.iter().filter(|(_, k)| *k == kind).map(|(name, _)| name.clone()).collect();
        if fitting.is_empty() {
            self.name()
        } else {
            self.random.pick(&fitting).clone()
        }
    }

    fn kind(&mut self) -> Kind {
        *self.random.pick(&[
            Kind::Any,
            Kind::Integer,
            Kind::Integer,
            Kind::Text,
            Kind::List,
            Kind::Tuple,
            Kind::Float,
            Kind::Bool,
            Kind::Dict,
            Kind::Number,
        ])
    }

    fn body(&mut self, depth: usize) -> Vec<Statement> {
        let count = self.random.between(1, 3);
        (0..count).map(|_| self.statement(depth.saturating_sub(1))).collect()
    }

    fn loop_body(&mut self, depth: usize) -> Vec<Statement> {
        let before = std::mem::replace(&mut self.in_loop, true);
        let body = self.body(depth);
        self.in_loop = before;
        body
    }

    fn statement(&mut self, depth: usize) -> Statement {
        if depth == 0 || self.random.chance(55) {
            self.simple()
        } else {
            self.compound(depth)
        }
    }

    fn simple(&mut self) -> Statement {
        let kind = self.kind();
        let parts = match self.random.below(24) {
            0..=3 => {
                let name = self.name_of(kind);
                vec![text(format!("{name} = small(")), self.expression(kind), text(")")]
            }
            4 => {
                let (a, b) = (self.name(), self.name());
                vec![
                    text(format!("{a}, {b} = small(")),
                    self.expression(kind),
                    text("), "),
                    self.expression(Kind::Any),
                ]
            }
            5 => {
                let (a, b) = (self.name(), self.name());
                vec![text(format!("{a}, {b} = ")), self.expression(Kind::Sequence)]
            }
            6 => {
                let (a, b, c) = (self.name(), self.name(), self.name());
                vec![
                    text(format!("[{a}, ({b}, {c})] = ")),
                    self.expression(Kind::Any),
                    text(", "),
                    self.expression(Kind::Sequence),
                ]
            }
            7 => {
                let (a, b) = (self.name(), self.name());
                vec![text(format!("{a} = {b} = small(")), self.expression(kind), text(")")]
            }
            8..=9 => return self.augmented(),
            10 => {
                let name = self.name_of(Kind::List);
                vec![
                    text(format!("{name}[")),
                    self.expression(Kind::Small),
                    text("] = "),
                    self.expression(Kind::Any),
                ]
            }
            11 => {
                let name = self.name_of(Kind::List);
                let (i, j) = (self.expression(Kind::Small), self.expression(Kind::Small));
                // No dict: by then it may have several items, in an order that shows.
                let kind = *self.random.pick(&[Kind::List, Kind::Tuple, Kind::Text, Kind::Number]);
                vec![text(format!("{name}[")), i, text(":"), j, text("] = "), self.expression(kind)]
            }
            12 => {
                let name = self.name_of(Kind::Dict);
                // Still one item at most, so that its order cannot be seen.
                vec![
                    text(format!("{name}.clear(); {name}[")),
                    self.expression(Kind::Any),
                    text("] = "),
                    self.expression(Kind::Any),
                ]
            }
            13 => {
                let name = self.name_of(Kind::List);
                let i = self.expression(Kind::Small);
                if self.random.chance(50) {
                    vec![text(format!("del {name}[")), i, text("]")]
                } else {
                    vec![text(format!("del {name}[")), i, text(":"), self.expression(Kind::Small), text("]")]
                }
            }
            14..=16 => vec![text("print limited(show("), self.expression(Kind::Any), text(")),")],
            17..=18 => {
                vec![
                    text("print limited(show("),
                    self.expression(kind),
                    text(")), "),
                    self.expression(Kind::Bool),
                ]
            }
            19 => vec![text("assert "), self.expression(Kind::Any), text(", "), self.expression(Kind::Text)],
            20 => return self.call(),
            21 if self.in_function => vec![text("return small("), self.expression(kind), text(")")],
            21 => vec![text("print limited(str("), self.expression(Kind::Number), text("))")],
            22 if self.in_loop => vec![text(*self.random.pick(&["break", "continue"]))],
            22 => vec![text("print")],
            _ => {
                let class = Kind::Exception.any_plain(self.random);
                match self.random.below(3) {
                    0 => vec![text(format!("raise {class}(")), self.expression(Kind::Any), text(")")],
                    1 => vec![text(format!("raise {class}, ")), self.expression(Kind::Any)],
                    _ => vec![text(format!("raise {class}"))],
                }
            }
        };
        block(vec![Clause { head: head(parts), body: None }])
    }

    fn augmented(&mut self) -> Statement {
        let sign = *self.random.pick(AUGMENTED);
        let kind = match sign {
            "*=" => Kind::Width,
            "**=" => Kind::Exponent,
            "<<=" | ">>=" => Kind::Shift,
            _ => self.kind(),
        };
        let name = self.name();
        let target = match self.random.below(4) {
            0 => vec![text(format!("{name}[")), self.expression(Kind::Small), text(format!("] {sign} "))],
            _ => vec![text(format!("{name} {sign} "))],
        };
        let mut parts = target;
        parts.push(self.expression(kind));
        let mut clauses = vec![Clause { head: head(parts), body: None }];
        clauses.push(clause(format!("{name} = small({name})"), None));
        block(clauses)
    }

    fn call(&mut self) -> Statement {
        let mut parts = Vec::new();
        if self.functions.is_empty() || (self.random.chance(30) && !self.classes.is_empty()) {
            let Some(class) = self.classes.last().cloned() else {
                return line("print twice('x'), negative(3)");
            };
            parts.push(text(format!("print limited(show({class}(")));
            parts.push(self.expression(Kind::Any));
            let method = *self.random.pick(&["get()", "put(1)", "put('x')", "value", "missing", "shared"]);
            parts.push(text(format!(").{method}))")));
        } else {
            let functions = self.functions.clone();
            let (name, count) = self.random.pick(&functions).clone();
            parts.push(text(format!("print limited(show({name}(")));
            // Now and then one argument too few or too many.
            let given =
                if self.random.chance(10) { count + 1 } else { count.saturating_sub(self.random.below(2)) };
            for index in 0..given {
                if index > 0 {
                    parts.push(text(", "));
                }
                parts.push(self.expression(Kind::Any));
            }
            if self.random.chance(15) {
                parts.push(text(if given > 0 { ", *" } else { "*" }));
                parts.push(self.expression(Kind::Sequence));
            }
            parts.push(text(")))"));
        }
        block(vec![Clause { head: head(parts), body: None }])
    }

    fn compound(&mut self, depth: usize) -> Statement {
        match self.random.below(6) {
            0 | 1 => {
                let condition = self.expression(Kind::Bool);
                let body = self.body(depth);
                let mut clauses =
                    vec![Clause { head: head(vec![text("if "), condition, text(":")]), body: Some(body) }];
                if self.random.chance(30) {
                    let condition = self.expression(Kind::Any);
                    let body = self.body(depth);
                    clauses.push(Clause {
                        head: head(vec![text("elif "), condition, text(":")]),
                        body: Some(body),
                    });
                }
                if self.random.chance(50) {
                    let body = self.body(depth);
                    clauses.push(clause("else:", Some(body)));
                }
                block(clauses)
            }
            2 => {
                let target = if self.random.chance(20) {
                    format!("{}, {}", self.name(), self.name())
                } else {
                    self.name()
                };
                let over = self.expression(Kind::Sequence);
                let body = self.loop_body(depth);
                // At most five turns: a body may well change what is iterated over.
                let parts = vec![text(format!("for {target} in list(")), over, text(")[:5]:")];
                let mut clauses = vec![Clause { head: head(parts), body: Some(body) }];
                self.maybe_else(depth, &mut clauses);
                block(clauses)
            }
            3 => {
                let counter = self.fresh("k");
                let mut body = vec![line(format!("{counter} += 1"))];
                body.extend(self.loop_body(depth));
                let turns = self.random.between(0, 4);
                let condition =
                    if self.random.chance(25) { text("True") } else { self.expression(Kind::Any) };
                let parts = vec![text(format!("while {counter} < {turns} and ")), condition, text(":")];
                let mut clauses = vec![
                    clause(format!("{counter} = 0"), None),
                    Clause { head: head(parts), body: Some(body) },
                ];
                self.maybe_else(depth, &mut clauses);
                block(clauses)
            }
            4 => self.try_statement(depth),
            _ if !self.in_function => self.function(),
            _ => self.try_statement(depth),
        }
    }

    fn maybe_else(&mut self, depth: usize, clauses: &mut Vec<Clause>) {
        if self.random.chance(35) {
            let body = self.body(depth);
            clauses.push(clause("else:", Some(body)));
        }
    }

    fn try_statement(&mut self, depth: usize) -> Statement {
        let mut clauses = vec![clause("try:", Some(self.body(depth)))];
        let handlers = self.random.below(3);
        for _ in 0..handlers {
            let class = Kind::Exception.any_plain(self.random);
            let other = Kind::Exception.any_plain(self.random);
            let form = match self.random.below(4) {
                0 => format!("except {class}:"),
                1 => format!("except {class} as problem:"),
                2 => format!("except ({class}, {other}), problem:"),
                _ => format!("except {class}, problem:"),
            };
            let mut body = self.body(depth);
            if self.random.chance(20) {
                body.push(line("raise"));
            }
            clauses.push(clause(form, Some(body)));
        }
        if handlers > 0 && self.random.chance(30) {
            let body = self.body(depth);
            clauses.push(clause("else:", Some(body)));
        }
        if handlers == 0 || self.random.chance(35) {
            // `continue` may not stand in a finally block.
            let before = std::mem::replace(&mut self.in_loop, false);
            let body = self.body(depth);
            self.in_loop = before;
            clauses.push(clause("finally:", Some(body)));
        }
        block(clauses)
    }

    fn function(&mut self) -> Statement {
        let name = self.fresh("function");
        let count = self.random.below(4);
        let forms = [
            vec!["p", "q", "r"],
            vec!["p", "q=1", "r='x'"],
            vec!["(p, q)", "r=None", "s=2"],
            vec!["p=[]", "*q", "**r"],
            vec!["p", "q=3", "*r"],
        ];
        let form = self.random.pick(&forms).clone();
        let count = count.min(form.len());
        let parameters = form[..count].join(", ");
        let before = (
            self.names.len(),
            std::mem::replace(&mut self.in_function, true),
            std::mem::take(&mut self.in_loop),
        );
        for letter in ["p", "q", "r", "s"] {
            if parameters.contains(letter) {
                self.names.push((letter.to_string(), Kind::Any));
            }
        }
        let mut body = Vec::new();
        if self.random.chance(50) {
            // A local of the same name as a global: reading the others stays global.
            let local = self.name();
            let value = self.expression(Kind::Any);
            body.push(block(vec![Clause {
                head: head(vec![text(format!("{local} = ")), value]),
                body: None,
            }]));
        }
        body.extend(self.body(3));
        if self.random.chance(30) {
            let inner = self.fresh("inner");
            let value = self.expression(Kind::Any);
            let result =
                block(vec![Clause { head: head(vec![text("return small("), value, text(")")]), body: None }]);
            body.push(block(vec![clause(format!("def {inner}():"), Some(vec![result]))]));
            body.push(line(format!("return {inner}()")));
        } else {
            let value = self.expression(Kind::Any);
            body.push(block(vec![Clause {
                head: head(vec![text("return small("), value, text(")")]),
                body: None,
            }]));
        }
        self.names.truncate(before.0);
        self.in_function = before.1;
        self.in_loop = before.2;
        self.functions.push((name.clone(), count));
        block(vec![clause(format!("def {name}({parameters}):"), Some(body))])
    }

    fn class(&mut self) -> Statement {
        let name = self.fresh("Class");
        let base = match self.random.below(6) {
            0 => String::new(),
            1 => "(object)".into(),
            2 => "(Old)".into(),
            3 => "(New)".into(),
            4 => "(Old, New)".into(),
            _ => self.classes.last().map_or("(object)".into(), |class| format!("({class})")),
        };
        let shared = self.expression(Kind::Any);
        let shared = block(vec![Clause { head: head(vec![text("shared = "), shared]), body: None }]);
        let before = (std::mem::replace(&mut self.in_function, true), self.names.len());
        self.names.push(("self.value".into(), Kind::Any));
        let got = self.expression(Kind::Any);
        let got = block(vec![Clause { head: head(vec![text("return small("), got, text(")")]), body: None }]);
        self.in_function = before.0;
        self.names.truncate(before.1);
        let sign = *self.random.pick(&["+=", "*=", "-=", "|=", "%="]);
        let body = vec![
            shared,
            block(vec![clause("def __init__(self, value):", Some(vec![line("self.value = value")]))]),
            block(vec![clause("def get(self):", Some(vec![got]))]),
            block(vec![clause(
                "def put(self, other):",
                Some(vec![line(format!("self.value {sign} other")), line("return small(self.value)")]),
            )]),
        ];
        self.classes.push(name.clone());
        block(vec![clause(format!("class {name}{base}:"), Some(body))])
    }
}
