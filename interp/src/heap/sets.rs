//! The algebra of sets. Items keep the hashes they were put in with.

use super::{Entry, Heap, Outcome, Set, Table};

/// An operator of two sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algebra {
    /// `a | b`
    Union,
    /// `a & b`
    Intersection,
    /// `a - b`
    Difference,
    /// `a ^ b`
    Symmetric,
}

impl Heap {
    /// `a` and `b` combined to a new set: owned. The items of `a` come first. The room has been asked for.
    pub fn combine_sets(&mut self, operator: Algebra, a: Set, b: Set, frozen: bool) -> Set {
        let mut kept = self.spare.set();
        let (x, y) = (&self.sets[a].table, &self.sets[b].table);
        let has = |table: &Table<()>, entry: &Entry<()>| table.find(self, entry.hash, entry.key).is_some();
        match operator {
            Algebra::Union => {
                kept.reserve(x.len());
                kept.extend(x.iter());
            }
            Algebra::Intersection => kept.extend(x.iter().filter(|entry| has(y, entry))),
            _ => kept.extend(x.iter().filter(|entry| !has(y, entry))),
        }
        if matches!(operator, Algebra::Union | Algebra::Symmetric) {
            kept.extend(y.iter().filter(|entry| !has(x, entry)));
        }
        kept.iter().for_each(|entry| self.retain(entry.key));
        self.new_set_from(Table::of_distinct(kept), frozen)
    }

    /// Changes `a` to `a` and `b` combined.
    ///
    /// # Errors
    /// MemoryError.
    pub fn change_set(&mut self, operator: Algebra, a: Set, b: Set) -> Outcome<()> {
        let (x, y) = (&self.sets[a].table, &self.sets[b].table);
        let has = |table: &Table<()>, entry: &&Entry<()>| table.find(self, entry.hash, entry.key).is_some();
        let both = || x.iter().filter(|entry| has(y, entry)).copied();
        let gone: Vec<Entry<()>> = match operator {
            Algebra::Union => Vec::new(),
            Algebra::Intersection => x.iter().filter(|entry| !has(y, entry)).copied().collect(),
            // Looked up from the smaller side.
            Algebra::Difference if y.len() < x.len() => {
                y.iter().filter(|entry| has(x, entry)).copied().collect()
            }
            _ => both().collect(),
        };
        let added: Vec<Entry<()>> = match operator {
            Algebra::Union | Algebra::Symmetric => y.iter().filter(|entry| !has(x, entry)).copied().collect(),
            _ => Vec::new(),
        };
        for entry in gone {
            self.set_remove_hashed(a, entry.hash, entry.key);
        }
        for entry in added {
            self.set_add_hashed(a, entry.hash, entry.key)?;
        }
        Ok(())
    }

    /// A set that takes a table over: owned.
    pub fn new_set_from(&mut self, table: Table<()>, frozen: bool) -> Set {
        let set = self.new_set(frozen);
        self.sets[set].table = table;
        self.recharge_set(set);
        set
    }
}
