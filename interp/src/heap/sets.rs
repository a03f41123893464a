//! The algebra of sets. Items keep the hashes they were put in with.

use super::{table, Entry, Heap, Outcome, Set, Table, Value};

/// An operator of two sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algebra {
    /// `a | b`
    Union,
    /// `a & b`: of two equal items the smaller set's stays, `b`'s if neither is smaller, as in CPython 2.7.
    Intersection,
    /// `a - b`
    Difference,
    /// `a ^ b`
    Symmetric,
}

impl Heap {
    /// `a` and `b` combined to a new set: owned. The items of `a` come first. The room has been asked for.
    pub fn combine_sets(&mut self, operator: Algebra, a: Set, b: Set, frozen: bool) -> Set {
        if operator == Algebra::Union && self.sets[a].table.len() > table::SMALL {
            return self.union_of(a, b, frozen);
        }
        let mut kept = self.spare.set();
        let (x, y) = (&self.sets[a].table, &self.sets[b].table);
        let has = |table: &Table<()>, entry: &Entry<()>| table.find(self, entry.hash, entry.key).is_some();
        match operator {
            Algebra::Union => {
                kept.reserve(x.len());
                kept.extend(x.iter());
            }
            Algebra::Intersection if x.len() < y.len() => kept.extend(x.iter().filter(|entry| has(y, entry))),
            Algebra::Intersection => {
                kept.extend(y.iter().filter(|entry| has(x, entry)));
            }
            _ => kept.extend(x.iter().filter(|entry| !has(y, entry))),
        }
        if matches!(operator, Algebra::Union | Algebra::Symmetric) {
            kept.extend(y.iter().filter(|entry| !has(x, entry)));
        }
        kept.iter().for_each(|entry| self.retain(entry.key));
        self.new_set_from(Table::of_distinct(kept), frozen)
    }

    /// `a | b`: the table of `a` is copied as it is, its index too.
    fn union_of(&mut self, a: Set, b: Set, frozen: bool) -> Set {
        let mut table = self.sets[a].table.clone();
        for entry in self.sets[b].table.iter() {
            if self.sets[a].table.find(self, entry.hash, entry.key).is_none() {
                table.insert_new(entry.hash, entry.key, ());
            }
        }
        table.iter().for_each(|entry| self.retain(entry.key));
        self.new_set_from(table, frozen)
    }

    /// Changes `a` to `a` and `b` combined.
    ///
    /// # Errors
    /// MemoryError.
    pub fn change_set(&mut self, operator: Algebra, a: Set, b: Set) -> Outcome<()> {
        if operator == Algebra::Intersection {
            let made = self.combine_sets(operator, a, b, false);
            self.swap_sets(a, made);
            self.release(Value::Set(made));
            return Ok(());
        }
        if operator == Algebra::Union && self.sets[a].table.is_empty() && !self.sets[b].table.is_empty() {
            let made = self.union_of(b, a, false);
            self.swap_sets(a, made);
            self.release(Value::Set(made));
            return Ok(());
        }
        let (x, y) = (&self.sets[a].table, &self.sets[b].table);
        let has = |table: &Table<()>, entry: &&Entry<()>| table.find(self, entry.hash, entry.key).is_some();
        let both = || x.iter().filter(|entry| has(y, entry)).copied();
        let gone: Vec<Entry<()>> = match operator {
            Algebra::Union => Vec::new(),
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

    /// Exchanges what two sets hold; whoever reads `a` meanwhile sees that its size changed, if it did.
    pub fn swap_sets(&mut self, a: Set, b: Set) {
        let old = std::mem::take(&mut self.sets[a].table);
        let mut new = std::mem::replace(&mut self.sets[b].table, old);
        new.follow(&self.sets[b].table);
        self.sets[a].table = new;
        self.recharge_set(a);
        self.recharge_set(b);
    }

    /// A set that takes a table over: owned.
    pub fn new_set_from(&mut self, table: Table<()>, frozen: bool) -> Set {
        let set = self.new_set(frozen);
        self.sets[set].table = table;
        self.recharge_set(set);
        set
    }
}
