//! Dicts and sets: making, reading and changing them by key.

use super::*;

/// Where a key is in a table.
enum Spot {
    /// At this position.
    At(usize),
    /// Nowhere; this is its hash.
    Absent(u64),
    /// To be searched for by this hash.
    Search(u64),
    /// Its hash has to be found out.
    Unknown,
}

impl Heap {
    /// An empty dict: owned.
    pub fn new_dict(&mut self) -> Dict {
        Dict(new_slot!(self, Dict, dicts, DictData::default()))
    }

    /// A dict that takes a table over: owned.
    pub fn new_dict_from(&mut self, table: Table<Value>) -> Dict {
        let dict = Dict(new_slot!(self, Dict, dicts, DictData { table, charged: 0 }));
        self.recharge_dict(dict);
        dict
    }

    /// Brings the books up to date after the table of a dict has been changed directly.
    pub fn recharge_dict(&mut self, dict: Dict) {
        let data = &mut self.dicts[dict];
        let now = data.table.outside();
        self.used = (self.used + now).saturating_sub(data.charged);
        data.charged = now;
    }

    pub(crate) fn recharge_class(&mut self, class: Class) {
        let data = &mut self.classes[class];
        let now = data.attributes.outside();
        self.used = (self.used + now).saturating_sub(data.charged);
        data.charged = now;
    }

    /// The value of a key that is a string, borrowed.
    #[inline(never)]
    pub fn dict_get_str(&self, dict: Dict, key: Str) -> Option<Value> {
        let Some(short) = self.hash_known(key) else { return self.dict_search_str(dict, key) };
        match self.dicts[dict].table.first_str(self, short, key) {
            table::First::Entry(_, entry) => Some(entry.value),
            table::First::Absent => None,
            table::First::Unknown => self.dict_search_str(dict, key),
        }
    }

    #[inline(never)]
    fn dict_search_str(&self, dict: Dict, key: Str) -> Option<Value> {
        let table = &self.dicts[dict].table;
        table.search_str(self, self.hash_str(key), key).map(|position| table.value(position))
    }

    /// The value of a key that is an int, borrowed.
    #[inline(never)]
    pub fn dict_get_int(&self, dict: Dict, key: i64) -> Option<Value> {
        match self.dicts[dict].table.first_int(key as u32, key) {
            table::First::Entry(_, entry) => Some(entry.value),
            table::First::Absent => None,
            table::First::Unknown => self.dict_search_int(dict, key),
        }
    }

    #[inline(never)]
    fn dict_search_int(&self, dict: Dict, key: i64) -> Option<Value> {
        let table = &self.dicts[dict].table;
        table.search_int(self, self.hash_int(key), key).map(|position| table.value(position))
    }

    /// Where a key is by the first look, which calls next to nothing.
    #[inline(always)]
    fn spot<V: Copy>(&self, table: &Table<V>, key: Value) -> Spot {
        let (first, hash) = match key {
            Value::Int(key) => (table.first_int(key as u32, key), self.hash_int(key)),
            Value::Str(key) => match self.hash_known(key) {
                Some(short) => (table.first_str(self, short, key), self.hash_from_short(short)),
                None => return Spot::Unknown,
            },
            Value::Tuple(key) => match self.hash_flat(key) {
                Some(hash) => (table.first_tuple(self, hash as u32, key), hash),
                None => return Spot::Unknown,
            },
            _ => return Spot::Unknown,
        };
        match first {
            table::First::Entry(position, _) => Spot::At(position),
            table::First::Absent => Spot::Absent(hash),
            table::First::Unknown => Spot::Search(hash),
        }
    }

    /// The value of a key, borrowed; TypeError for an unhashable key.
    #[inline]
    pub fn dict_get(&mut self, dict: Dict, key: Value) -> Outcome<Option<Value>> {
        match key {
            Value::Str(key) => Ok(self.dict_get_str(dict, key)),
            Value::Int(key) => Ok(self.dict_get_int(dict, key)),
            _ => self.dict_get_any(dict, key),
        }
    }

    #[inline(never)]
    fn dict_get_any(&mut self, dict: Dict, key: Value) -> Outcome<Option<Value>> {
        let table = &self.dicts[dict].table;
        let hash = match self.spot(table, key) {
            Spot::At(position) => return Ok(Some(table.value(position))),
            Spot::Absent(_) => return Ok(None),
            Spot::Search(hash) => hash,
            Spot::Unknown => self.hash(key)?,
        };
        let table = &self.dicts[dict].table;
        Ok(table.find(self, hash, key).map(|position| table.value(position)))
    }

    /// The value of a string key, borrowed.
    pub fn dict_get_bytes(&self, dict: Dict, key: &[u8]) -> Option<Value> {
        let table = &self.dicts[dict].table;
        table.find_bytes(self, key).map(|position| table.value(position))
    }

    /// Sets a key. Borrows `key`; takes `value` over (released if it raises).
    #[inline(never)]
    pub fn dict_set(&mut self, dict: Dict, key: Value, value: Value) -> Outcome<()> {
        match self.spot(&self.dicts[dict].table, key) {
            Spot::At(position) => {
                let old = self.dicts[dict].table.set_value(position, value);
                self.note_lost(old);
                self.release(old);
                Ok(())
            }
            Spot::Absent(hash) => self.dict_insert(dict, hash, key, value),
            Spot::Search(hash) => self.dict_set_hashed(dict, hash, key, value),
            Spot::Unknown => match self.hash(key) {
                Ok(hash) => self.dict_set_hashed(dict, hash, key, value),
                Err(raised) => {
                    self.release(value);
                    Err(raised)
                }
            },
        }
    }

    /// [`Heap::dict_set`] of a key whose hash is known.
    #[inline(never)]
    pub(crate) fn dict_set_hashed(&mut self, dict: Dict, hash: u64, key: Value, value: Value) -> Outcome<()> {
        match self.dicts[dict].table.find(self, hash, key) {
            Some(position) => {
                let old = self.dicts[dict].table.set_value(position, value);
                self.note_lost(old);
                self.release(old);
                Ok(())
            }
            None => self.dict_insert(dict, hash, key, value),
        }
    }

    /// Adds a key that is known to be absent. Borrows `key`; takes `value` over (released if it raises).
    #[inline(never)]
    fn dict_insert(&mut self, dict: Dict, hash: u64, key: Value, value: Value) -> Outcome<()> {
        let table = &self.dicts[dict].table;
        let growth = table.growth();
        if growth != 0 {
            let has_buffer = table.has_buffer();
            if let Err(raised) = self.make_room(growth) {
                self.release(value);
                return Err(raised);
            }
            if !has_buffer {
                self.dicts[dict].table.adopt(self.spare.dict());
            }
        }
        self.retain(key);
        self.dicts[dict].table.insert_new(hash, key, value);
        if growth != 0 {
            self.recharge_dict(dict);
        }
        Ok(())
    }

    /// Removes a key and gives its value: owned; `None` if it is absent.
    pub fn dict_remove(&mut self, dict: Dict, key: Value) -> Outcome<Option<Value>> {
        let hash = self.hash(key)?;
        let table = &self.dicts[dict].table;
        let Some(position) = table.find(self, hash, key) else { return Ok(None) };
        let (key, value) = self.dicts[dict].table.remove(position);
        self.note_lost(value);
        self.release(key);
        Ok(Some(value))
    }

    /// Empties a dict.
    pub fn dict_clear(&mut self, dict: Dict) {
        let entries = self.dicts[dict].table.take_entries();
        entries.iter().for_each(|entry| self.note_lost(entry.value));
        let charged = std::mem::take(&mut self.dicts[dict].charged);
        self.drop_entries(entries, charged);
    }

    /// Exchanges what a dict without keys and another one hold; whoever reads `empty` meanwhile sees that its size changed.
    pub(crate) fn swap_dicts(&mut self, empty: Dict, other: Dict) {
        let old = std::mem::take(&mut self.dicts[empty].table);
        let mut new = std::mem::replace(&mut self.dicts[other].table, old);
        new.follow(&self.dicts[other].table);
        self.dicts[empty].table = new;
        self.recharge_dict(empty);
        self.recharge_dict(other);
    }

    /// A set or frozenset, empty: owned.
    pub fn new_set(&mut self, frozen: bool) -> Set {
        Set(new_slot!(self, Set, sets, SetData { table: Table::new(), frozen, charged: 0 }))
    }

    /// Brings the books up to date after the table of a set has been changed directly.
    pub fn recharge_set(&mut self, set: Set) {
        let data = &mut self.sets[set];
        let now = data.table.outside();
        self.used = (self.used + now).saturating_sub(data.charged);
        data.charged = now;
    }

    /// Adds an item; whether it was new. Borrows `item`.
    #[inline(never)]
    pub fn set_add(&mut self, set: Set, item: Value) -> Outcome<bool> {
        match self.spot(&self.sets[set].table, item) {
            Spot::At(_) => Ok(false),
            Spot::Absent(hash) => self.set_insert(set, hash, item),
            Spot::Search(hash) => self.set_add_hashed(set, hash, item),
            Spot::Unknown => {
                let hash = self.hash(item)?;
                self.set_add_hashed(set, hash, item)
            }
        }
    }

    /// [`Heap::set_add`] of an item whose hash is known.
    pub(crate) fn set_add_hashed(&mut self, set: Set, hash: u64, item: Value) -> Outcome<bool> {
        match self.sets[set].table.find(self, hash, item) {
            Some(_) => Ok(false),
            None => self.set_insert(set, hash, item),
        }
    }

    /// Adds an item that is known to be absent. Borrows `item`.
    #[inline(never)]
    fn set_insert(&mut self, set: Set, hash: u64, item: Value) -> Outcome<bool> {
        let table = &self.sets[set].table;
        let growth = table.growth();
        if growth != 0 {
            let has_buffer = table.has_buffer();
            self.make_room(growth)?;
            if !has_buffer {
                self.sets[set].table.adopt(self.spare.set());
            }
        }
        self.retain(item);
        self.sets[set].table.insert_new(hash, item, ());
        if growth != 0 {
            self.recharge_set(set);
        }
        Ok(true)
    }

    /// Whether a set has an item.
    #[inline(never)]
    pub fn set_contains(&mut self, set: Set, item: Value) -> Outcome<bool> {
        match self.spot(&self.sets[set].table, item) {
            Spot::At(_) => Ok(true),
            Spot::Absent(_) => Ok(false),
            Spot::Search(hash) => Ok(self.sets[set].table.find(self, hash, item).is_some()),
            Spot::Unknown => {
                let hash = self.hash(item)?;
                Ok(self.sets[set].table.find(self, hash, item).is_some())
            }
        }
    }

    /// Removes an item; whether it was there.
    pub fn set_remove(&mut self, set: Set, item: Value) -> Outcome<bool> {
        let hash = self.hash(item)?;
        Ok(self.set_remove_hashed(set, hash, item))
    }

    /// [`Heap::set_remove`] of an item whose hash is known.
    pub(crate) fn set_remove_hashed(&mut self, set: Set, hash: u64, item: Value) -> bool {
        let Some(position) = self.sets[set].table.find(self, hash, item) else { return false };
        let (key, ()) = self.sets[set].table.remove(position);
        self.release(key);
        true
    }
}
