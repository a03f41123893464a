//! Random expressions from the table of productions.

use super::kinds::Kind;
use super::random::Random;
use super::tree::{Part, Tree};
use std::collections::BTreeMap;

/// The table's text; its head says how to read it.
const TABLE: &str = include_str!("productions.txt");

/// Deepest nesting of productions in one expression.
const DEEPEST: usize = 4;

/// A way to make an expression.
#[derive(Debug, Clone)]
pub struct Production {
    /// The row of `rows.txt` it exercises.
    pub row: String,
    /// What it makes.
    pub kind: Kind,
    template: Vec<Piece>,
}

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Hole(Kind),
}

/// All productions, by what they make.
#[derive(Debug)]
pub struct Grammar {
    /// Every production, in the order of the table.
    pub productions: Vec<Production>,
    by_kind: BTreeMap<&'static str, Vec<usize>>,
    by_row: Vec<Vec<usize>>,
}

fn template(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match (c, rest.peek().copied()) {
            ('{', Some('{')) | ('}', Some('}')) => {
                rest.next();
                plain.push(c);
            }
            ('{', Some(letter)) if Kind::of_letter(letter).is_some() => {
                rest.next();
                rest.next();
                // Whatever fills the hole must bind closer than what follows it.
                let bracket = matches!(rest.peek(), Some('.' | '['));
                plain.push_str(if bracket { "(" } else { "" });
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
                pieces.extend(Kind::of_letter(letter).map(Piece::Hole));
                plain.push_str(if bracket { ")" } else { "" });
            }
            _ => plain.push(c),
        }
    }
    pieces.push(Piece::Text(plain));
    pieces
}

/// The production of a row that follows a pattern, if the row does.
fn of_pattern(row: &str) -> Option<Production> {
    let words: Vec<&str> = row.split(' ').collect();
    let make = |kind, text: String| Some(Production { row: row.into(), kind, template: template(&text) });
    match words.as_slice() {
        ["operator", sign, "unlike"] if !matches!(*sign, "%" | "in" | "+=") => match *sign {
            "*" => make(Kind::Any, "({A} * {w})".into()),
            "**" => make(Kind::Any, "({A} ** {e})".into()),
            "<<" | ">>" => make(Kind::Any, format!("({{A}} {sign} {{s}})")),
            _ => make(Kind::Any, format!("({{A}} {sign} {{A}})")),
        },
        ["operator", sign, left] if Kind::of_row(left).is_some() => {
            let sign = sign.trim_start_matches("unary");
            let hole = Kind::of_row(left).map(letter)?;
            make(
                Kind::Any,
                if sign == "not" { format!("(not {{{hole}}})") } else { format!("({sign}{{{hole}}})") },
            )
        }
        ["operator", sign, left, right]
            if !matches!(*sign, "in" | "not" | "[]" | "[:]" | "[::]") || *right != "int" =>
        {
            let (a, b) = (Kind::of_row(left)?, Kind::of_row(right)?);
            let comparison = matches!(*sign, "<" | "<=" | ">" | ">=" | "==" | "!=");
            let right = match *sign {
                "**" => 'e',
                "<<" | ">>" => 's',
                "*" if a == Kind::Integer && b == Kind::Integer => 'I',
                _ => letter(b),
            };
            let kind = if comparison {
                Kind::Bool
            } else if [a, b].contains(&Kind::Complex) {
                Kind::Complex
            } else if [a, b].contains(&Kind::Float) {
                Kind::Float
            } else {
                Kind::Integer
            };
            make(kind, format!("({{{}}} {sign} {{{right}}})", letter(a)))
        }
        ["poisoned", name] => make(Kind::Any, format!("{name}({{A}})")),
        ["exception", name] => make(Kind::Text, format!("repr({name}({{A}}, {{A}}))")),
        _ => None,
    }
}

fn letter(kind: Kind) -> char {
    let letters = "ANIFCBSLTDEZMWQiewscfgKX";
    letters.chars().find(|letter| Kind::of_letter(*letter) == Some(kind)).unwrap_or('A')
}

impl Grammar {
    /// Reads the table and adds the productions that `rows` imply.
    ///
    /// # Panics
    /// If a line of the table cannot be read.
    pub fn new(rows: &BTreeMap<String, String>) -> Grammar {
        let mut productions = Vec::new();
        for line in TABLE.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let mut fields = line.splitn(3, " | ");
            let mut field = || fields.next().unwrap_or_else(|| panic!("productions.txt: {line}"));
            let (row, kind, text) = (field().to_string(), field(), field());
            let kind = kind
                .chars()
                .next()
                .and_then(Kind::of_letter)
                .unwrap_or_else(|| panic!("productions.txt: {line}"));
            productions.push(Production { row, kind, template: template(text) });
        }
        for row in rows.keys() {
            if !productions.iter().any(|p: &Production| p.row == *row) {
                productions.extend(of_pattern(row));
            }
        }
        let mut by_kind: BTreeMap<&'static str, Vec<usize>> = BTreeMap::new();
        let mut rows_seen: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, production) in productions.iter().enumerate() {
            for name in groups_of(production.kind) {
                by_kind.entry(name).or_default().push(index);
            }
            rows_seen.entry(&production.row).or_default().push(index);
        }
        let by_row = rows_seen.into_values().collect();
        Grammar { by_kind, by_row, productions }
    }

    /// An expression whose outermost production is taken from the rows with equal weight.
    pub fn expression(&self, random: &mut Random) -> Tree {
        let row = random.below(self.by_row.len());
        let production = &self.productions[*random.pick(&self.by_row[row])];
        self.build(production, random, DEEPEST)
    }

    /// An expression meant to be of `kind`, nested at most `depth` deep; `names` may stand for values.
    pub fn of_kind(&self, kind: Kind, random: &mut Random, depth: usize, names: &[(String, Kind)]) -> Tree {
        let mut tree = self.make(kind, random, depth);
        if !names.is_empty() {
            put_names(&mut tree, random, names);
        }
        tree
    }

    fn make(&self, kind: Kind, random: &mut Random, depth: usize) -> Tree {
        // One hole in twelve gets a value of another type: errors are behaviour too.
        let kind = if !kind.is_literal() && random.chance(8) { Kind::Any } else { kind };
        let candidates = self.by_kind.get(group(kind)).map_or(&[][..], Vec::as_slice);
        if kind.is_literal() || depth == 0 || candidates.is_empty() || random.chance(45) {
            return Tree::leaf(kind, kind.any_plain(random));
        }
        let production = &self.productions[*random.pick(candidates)];
        self.build(production, random, depth)
    }

    fn build(&self, production: &Production, random: &mut Random, depth: usize) -> Tree {
        let parts = production.template.iter().map(|piece| match piece {
            Piece::Text(text) => Part::Text(text.clone()),
            Piece::Hole(kind) => Part::Hole(self.make(*kind, random, depth - 1)),
        });
        Tree { kind: production.kind, parts: parts.collect() }
    }
}

fn put_names(tree: &mut Tree, random: &mut Random, names: &[(String, Kind)]) {
    let leaf = !tree.parts.iter().any(|part| matches!(part, Part::Hole(_)));
    if leaf && !tree.kind.is_literal() && random.chance(60) {
        let fitting: Vec<_> =
            names.iter().filter(|(_, kind)| *kind == tree.kind || tree.kind == Kind::Any).collect();
        if !fitting.is_empty() {
            *tree = Tree::leaf(tree.kind, random.pick(&fitting).0.clone());
        }
        return;
    }
    for part in &mut tree.parts {
        if let Part::Hole(hole) = part {
            put_names(hole, random, names);
        }
    }
}

fn group(kind: Kind) -> &'static str {
    match kind {
        Kind::Any => "any",
        Kind::Number => "number",
        Kind::Integer => "integer",
        Kind::Float => "float",
        Kind::Complex => "complex",
        Kind::Bool => "bool",
        Kind::Text => "text",
        Kind::List => "list",
        Kind::Tuple => "tuple",
        Kind::Dict => "dict",
        Kind::Set => "set",
        Kind::Frozen => "frozenset",
        Kind::BigDict => "big dict",
        Kind::BigSet => "big set",
        Kind::Sequence => "sequence",
        _ => "literal",
    }
}

/// The kinds of hole that a value of `kind` fits.
fn groups_of(kind: Kind) -> Vec<&'static str> {
    let mut names = vec![group(kind)];
    match kind {
        Kind::BigDict | Kind::BigSet => return names,
        Kind::Integer | Kind::Float | Kind::Bool => names.push("number"),
        Kind::Text | Kind::List | Kind::Tuple => names.push("sequence"),
        _ => {}
    }
    if kind != Kind::Any {
        names.push("any");
    }
    names
}
