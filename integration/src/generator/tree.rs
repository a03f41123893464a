//! A generated expression: text with holes that hold smaller expressions.

use super::kinds::Kind;

/// A piece of an expression's text.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Text as it stands.
    Text(String),
    /// A smaller expression.
    Hole(Tree),
}

/// An expression and the type of value it is meant to have.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// What it was generated as; an error is possible whatever it says.
    pub kind: Kind,
    /// Its text, in order.
    pub parts: Vec<Part>,
}

impl Tree {
    /// An expression without holes.
    pub fn leaf(kind: Kind, text: impl Into<String>) -> Tree {
        Tree { kind, parts: vec![Part::Text(text.into())] }
    }

    /// The text of the whole expression.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) {
        for part in &self.parts {
            match part {
                Part::Text(piece) => text.push_str(piece),
                Part::Hole(tree) => tree.write(text),
            }
        }
    }

    fn holes(&self) -> impl Iterator<Item = (usize, &Tree)> {
        self.parts.iter().enumerate().filter_map(|(index, part)| match part {
            Part::Hole(tree) => Some((index, tree)),
            Part::Text(_) => None,
        })
    }

    /// Every expression that is one step simpler: the whole replaced by one of
    /// its holes or by a plain value, or one hole made one step simpler.
    pub fn simpler(&self) -> Vec<Tree> {
        let mut found: Vec<Tree> =
            self.holes().filter(|(_, tree)| !tree.kind.is_literal()).map(|(_, tree)| tree.clone()).collect();
        let own = self.text();
        for plain in self.kind.plain() {
            if plain.len() < own.len() {
                found.push(Tree::leaf(self.kind, *plain));
            }
        }
        found.extend(self.simpler_holes());
        found
    }

    /// Every copy with one hole made one step simpler.
    pub fn simpler_holes(&self) -> Vec<Tree> {
        let mut found = Vec::new();
        for (index, hole) in self.holes() {
            for smaller in hole.simpler() {
                let mut copy = self.clone();
                copy.parts[index] = Part::Hole(smaller);
                found.push(copy);
            }
        }
        found
    }
}
