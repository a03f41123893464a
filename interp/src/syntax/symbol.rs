//! Interned identifiers.

use std::collections::HashMap;

/// An identifier of one module: an index into that module's [`Symbols`].
///
/// Two symbols of the same module are equal exactly if their texts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(u32);

impl Symbol {
    /// The position in the module's table, counted from 0 without gaps, so
    /// that a side table can be a plain vector.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The identifiers of one module, in the order of their first appearance.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    names: Vec<Box<str>>,
    index: HashMap<Box<str>, Symbol>,
}

impl Symbols {
    /// The symbol of a name, new if the name has not been seen.
    pub fn intern(&mut self, name: &str) -> Symbol {
        if let Some(symbol) = self.index.get(name) {
            return *symbol;
        }
        // A source is shorter than 4 GiB, so it has fewer names than that.
        let symbol = Symbol(self.names.len() as u32);
        self.names.push(name.into());
        self.index.insert(name.into(), symbol);
        symbol
    }

    /// The text of a symbol; always a non-empty ASCII identifier. The empty
    /// text for a symbol of another module that this table does not reach.
    pub fn name(&self, symbol: Symbol) -> &str {
        self.names.get(symbol.index()).map_or("", |name| name)
    }

    /// The symbol of a name if the module uses it anywhere.
    pub fn find(&self, name: &str) -> Option<Symbol> {
        self.index.get(name).copied()
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// True if there is no name at all.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// All names; the position is [`Symbol::index`].
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Symbol, &str)> {
        self.names.iter().enumerate().map(|(index, name)| (Symbol(index as u32), &**name))
    }
}
