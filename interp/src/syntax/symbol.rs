//! Interned identifiers.

/// An identifier of one module: an index into that module's [`Symbols`].
///
/// Two symbols of the same module are equal exactly if their texts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Symbol(u32);

impl Symbol {
    /// The position in the module's table, counted from 0 without gaps, so
    /// that a side table can be a plain vector.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The identifiers of one module, in the order of their first appearance.
///
/// An own table rather than a map of the standard library: names lie in one
/// buffer, and the hash is seeded by the caller, so that reading a program
/// needs no system call and its author cannot make all names collide.
#[derive(Clone, Debug)]
pub struct Symbols {
    seed: u64,
    /// All names, one behind the other.
    text: String,
    /// Where each name ends in `text`; it starts where the one before ends.
    ends: Vec<u32>,
    /// Open addressing over symbol numbers plus 1; 0 is a free place. Its
    /// length is a power of two and at most half of it is used.
    slots: Vec<u32>,
}

impl Default for Symbols {
    fn default() -> Self {
        Symbols::new(0)
    }
}

impl Symbols {
    /// An empty table; `seed` is a secret of the run, any value.
    pub fn new(seed: u64) -> Self {
        Symbols { seed, text: String::new(), ends: Vec::new(), slots: vec![0; 64] }
    }

    /// The symbol of a name, new if the name has not been seen.
    pub fn intern(&mut self, name: &str) -> Symbol {
        let place = match self.search(name) {
            Ok(symbol) => return symbol,
            Err(place) => place,
        };
        // A source is far shorter than 4 GiB, so it has fewer names than that.
        let number = self.ends.len() as u32;
        self.text.push_str(name);
        self.ends.push(self.text.len() as u32);
        self.slots[place] = number + 1;
        if self.ends.len() * 2 > self.slots.len() {
            self.grow();
        }
        Symbol(number)
    }

    /// The text of a symbol; always a non-empty ASCII identifier. The empty
    /// text for a symbol of another module that this table does not reach.
    pub fn name(&self, symbol: Symbol) -> &str {
        let index = symbol.index();
        let Some(end) = self.ends.get(index) else {
            return "";
        };
        let start = match index.checked_sub(1) {
            Some(before) => self.ends[before],
            None => 0,
        };
        &self.text[start as usize..*end as usize]
    }

    /// The symbol of a name if the module uses it anywhere.
    pub fn find(&self, name: &str) -> Option<Symbol> {
        self.search(name).ok()
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// True if there is no name at all.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All names in the order of [`Symbol::index`].
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Symbol, &str)> {
        (0..self.ends.len()).map(|index| {
            let symbol = Symbol(index as u32);
            (symbol, self.name(symbol))
        })
    }

    /// The symbol of a name, or the free slot where it belongs.
    fn search(&self, name: &str) -> Result<Symbol, usize> {
        let mask = self.slots.len() - 1;
        let mut place = hash(self.seed, name.as_bytes()) as usize & mask;
        loop {
            let Some(number) = self.slots[place].checked_sub(1) else {
                return Err(place);
            };
            if self.name(Symbol(number)) == name {
                return Ok(Symbol(number));
            }
            place = (place + 1) & mask;
        }
    }

    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        let mut slots = vec![0; mask + 1];
        for (symbol, name) in self.iter() {
            let mut place = hash(self.seed, name.as_bytes()) as usize & mask;
            while slots[place] != 0 {
                place = (place + 1) & mask;
            }
            slots[place] = symbol.0 + 1;
        }
        self.slots = slots;
    }
}

/// A keyed hash: each block of 8 bytes is mixed in by a 64 x 64 bit
/// multiplication whose halves are folded together.
fn hash(seed: u64, bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        (product as u64) ^ (product >> 64) as u64
    };
    let key = seed | 1;
    let mut state = seed ^ (bytes.len() as u64).wrapping_mul(FACTOR);
    for block in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..block.len()].copy_from_slice(block);
        state = fold(state ^ u64::from_le_bytes(word), FACTOR ^ key);
    }
    fold(state ^ FACTOR, key ^ 0xd6e8_feb8_6659_fd93)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_again_while_the_table_grows() {
        let mut symbols = Symbols::new(7);
        let names: Vec<String> = (0..5000).map(|n| format!("name{n}")).collect();
        for (index, name) in names.iter().enumerate() {
            assert_eq!(symbols.intern(name).index(), index);
        }
        for (index, name) in names.iter().enumerate() {
            let symbol = symbols.intern(name);
            assert_eq!(symbol.index(), index);
            assert_eq!(symbols.name(symbol), name);
            assert_eq!(symbols.find(name), Some(symbol));
        }
        assert_eq!(symbols.find("absent"), None);
        assert_eq!(symbols.len(), names.len());
        assert_eq!(symbols.iter().len(), names.len());
        assert_eq!(symbols.name(Symbol(99_999)), "");
    }
}
