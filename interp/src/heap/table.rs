//! The hash table of `dict`, `set`, classes and namespaces: compact and in
//! insertion order. Entries lie in one vector; a sparse index of `u32` finds
//! them. Up to [`SMALL`] entries there is no index at all.
//!
//! Probing is double hashing: the low half of the hash gives the first place,
//! the high half an odd step. Hashes are seeded per run; neighbouring ints
//! keep neighbouring places (see [`super::hash`]).

use super::{Heap, Str, Tuple, Value};

/// Entries up to which a table is searched in order, without an index.
pub const SMALL: usize = 8;

const EMPTY: u32 = u32::MAX;
const DELETED: u32 = u32::MAX - 1;

/// One entry; a removed one has the key `Unset`.
#[derive(Clone, Copy, Debug)]
pub struct Entry<V> {
    /// Seeded hash of the key.
    pub hash: u64,
    /// The key, owned by the table.
    pub key: Value,
    /// The value, owned by the table.
    pub value: V,
}

/// A hash table in insertion order.
#[derive(Clone, Debug)]
pub struct Table<V> {
    index: Vec<u32>,
    entries: Vec<Entry<V>>,
    live: usize,
    /// Places of the index that are not empty, removed entries' included.
    used: usize,
    /// Changes whenever a key is added or removed (never for a new value of a key).
    version: u32,
}

impl<V: Copy> Default for Table<V> {
    fn default() -> Self {
        Table::new()
    }
}

impl<V: Copy> Table<V> {
    /// An empty table.
    pub const fn new() -> Table<V> {
        Table { index: Vec::new(), entries: Vec::new(), live: 0, used: 0, version: 0 }
    }

    /// A table with room for `count` entries.
    pub fn with_capacity(count: usize) -> Table<V> {
        let mut table = Table::new();
        table.entries.reserve(count);
        if count > SMALL {
            table.rebuild(count);
        }
        table
    }

    /// A table of entries that are known to be distinct. Takes them over.
    pub fn of_distinct(entries: Vec<Entry<V>>) -> Table<V> {
        let live = entries.len();
        let mut table = Table { index: Vec::new(), entries, live, used: 0, version: 0 };
        if live > SMALL {
            table.rebuild(live);
        }
        table
    }

    /// Whether it has memory for entries already.
    #[inline(always)]
    pub fn has_buffer(&self) -> bool {
        self.entries.capacity() != 0
    }

    /// Gives a table without a buffer one. Takes the buffer over, which is empty.
    #[inline]
    pub fn adopt(&mut self, buffer: Vec<Entry<V>>) {
        self.entries = buffer;
    }

    /// Number of keys.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.live
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.live == 0
    }

    /// A number that changes whenever a key is added or removed.
    #[inline(always)]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// Takes another table's place: the version says whether the number of keys is another one.
    pub fn follow(&mut self, other: &Table<V>) {
        self.version = other.version.wrapping_add(u32::from(self.live != other.live));
    }

    /// All entries in insertion order, removed ones included (key `Unset`).
    #[inline(always)]
    pub fn slots(&self) -> &[Entry<V>] {
        &self.entries
    }

    /// The entries present, in insertion order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry<V>> {
        self.entries.iter().filter(|entry| !entry.key.is_unset())
    }

    /// Bytes held outside the slot.
    #[inline]
    pub fn outside(&self) -> usize {
        self.index.capacity() * 4 + self.entries.capacity() * std::mem::size_of::<Entry<V>>()
    }

    /// Bytes the next insertion may add at most: for the check against the limit.
    #[inline]
    pub fn growth(&self) -> usize {
        if self.entries.len() == self.entries.capacity() || self.is_full() {
            self.outside().max(SMALL * std::mem::size_of::<Entry<V>>())
        } else {
            0
        }
    }

    /// Finds a key by the test `equal`, which is asked only for entries with the same hash.
    #[inline(always)]
    fn search(&self, hash: u64, mut equal: impl FnMut(Value) -> bool) -> Option<usize> {
        if self.index.is_empty() {
            for (position, entry) in self.entries.iter().enumerate() {
                if entry.hash == hash && !entry.key.is_unset() && equal(entry.key) {
                    return Some(position);
                }
            }
            return None;
        }
        let mask = self.index.len() - 1;
        let step = (hash >> 32) as usize | 1;
        let mut place = hash as usize & mask;
        loop {
            let found = self.index[place];
            if found == EMPTY {
                return None;
            }
            if let Some(entry) = self.entries.get(found as usize) {
                if entry.hash == hash && equal(entry.key) {
                    return Some(found as usize);
                }
            }
            place = (place + step) & mask;
        }
    }

    /// Position of `key` in [`Table::slots`].
    #[inline(always)]
    pub fn find(&self, heap: &Heap, hash: u64, key: Value) -> Option<usize> {
        match key {
            Value::Int(wanted) => self.find_int(heap, hash, wanted),
            Value::Str(wanted) => self.find_str(heap, hash, wanted),
            Value::Tuple(wanted) => self.find_tuple(heap, hash, wanted),
            _ => self.find_other(heap, hash, key),
        }
    }

    /// [`Table::find`] for an int.
    #[inline(never)]
    fn find_int(&self, heap: &Heap, hash: u64, wanted: i64) -> Option<usize> {
        self.search(hash, |other| match other {
            Value::Int(i) => i == wanted,
            _ => heap.keys_equal(other, Value::Int(wanted)),
        })
    }

    /// [`Table::find`] for a tuple.
    #[inline(never)]
    fn find_tuple(&self, heap: &Heap, hash: u64, wanted: Tuple) -> Option<usize> {
        self.search(hash, |other| match other {
            Value::Tuple(tuple) => tuple == wanted || heap.same_items(tuple, wanted),
            _ => heap.keys_equal(other, Value::Tuple(wanted)),
        })
    }

    /// [`Table::find`] for what is neither an int nor a string.
    #[inline(never)]
    fn find_other(&self, heap: &Heap, hash: u64, key: Value) -> Option<usize> {
        self.search(hash, |other| heap.keys_equal(other, key))
    }

    /// [`Table::find`] for a string.
    #[inline(never)]
    pub fn find_str(&self, heap: &Heap, hash: u64, wanted: Str) -> Option<usize> {
        self.search(hash, |other| match other {
            // Bytes are compared elsewhere: that keeps this loop small.
            Value::Str(text) => text == wanted || heap.same_text(text, wanted),
            _ => false,
        })
    }

    /// Position of a string key given by its bytes.
    pub fn find_bytes(&self, heap: &Heap, wanted: &[u8]) -> Option<usize> {
        self.search(heap.hash_bytes(wanted), |other| match other {
            Value::Str(text) => heap.bytes(text) == wanted,
            _ => false,
        })
    }

    /// The value at a position given by `find`.
    #[inline(always)]
    pub fn value(&self, position: usize) -> V {
        self.entries[position].value
    }

    /// Replaces the value at a position and gives the old one back.
    #[inline(always)]
    pub fn set_value(&mut self, position: usize, value: V) -> V {
        std::mem::replace(&mut self.entries[position].value, value)
    }

    /// Adds a key that is known to be absent. Takes the key and the value over.
    /// Returns the position.
    #[inline]
    pub fn insert_new(&mut self, hash: u64, key: Value, value: V) -> usize {
        self.version = self.version.wrapping_add(1);
        if self.is_full() {
            self.grow();
        }
        let position = self.entries.len();
        self.entries.push(Entry { hash, key, value });
        self.live += 1;
        if !self.index.is_empty() {
            self.link(hash, position as u32);
        }
        position
    }

    #[inline]
    fn link(&mut self, hash: u64, position: u32) {
        let mask = self.index.len() - 1;
        let step = (hash >> 32) as usize | 1;
        let mut place = hash as usize & mask;
        while self.index[place] < DELETED {
            place = (place + step) & mask;
        }
        self.used += usize::from(self.index[place] == EMPTY);
        self.index[place] = position;
    }

    /// Whether the next insertion needs an index, or a larger one.
    #[inline(always)]
    fn is_full(&self) -> bool {
        if self.index.is_empty() {
            self.entries.len() >= SMALL
        } else {
            self.used * 3 >= self.index.len() * 2
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        self.rebuild(self.live.max(SMALL) * 2);
    }

    /// Drops removed entries and builds the index for `room` entries.
    fn rebuild(&mut self, room: usize) {
        if self.live != self.entries.len() {
            self.entries.retain(|entry| !entry.key.is_unset());
        }
        self.used = 0;
        if room <= SMALL {
            self.index = Vec::new();
            return;
        }
        let size = (room * 3 / 2 + 1).next_power_of_two();
        self.index.clear();
        self.index.resize(size, EMPTY);
        self.used = 0;
        for position in 0..self.entries.len() {
            let hash = self.entries[position].hash;
            self.link(hash, position as u32);
        }
    }

    /// Removes the entry at a position; key and value are the caller's now.
    pub fn remove(&mut self, position: usize) -> (Value, V) {
        self.version = self.version.wrapping_add(1);
        let entry = self.entries[position];
        if !self.index.is_empty() {
            let mask = self.index.len() - 1;
            let step = (entry.hash >> 32) as usize | 1;
            let mut place = entry.hash as usize & mask;
            while self.index[place] != position as u32 {
                place = (place + step) & mask;
            }
            self.index[place] = DELETED;
        }
        self.entries[position].key = Value::Unset;
        self.live -= 1;
        if self.live == 0 {
            self.entries.clear();
        } else {
            while self.entries.last().is_some_and(|entry| entry.key.is_unset()) {
                self.entries.pop();
            }
        }
        (entry.key, entry.value)
    }

    /// Empties the table and gives what it held; all keys and values are the caller's now.
    pub fn take_entries(&mut self) -> Vec<Entry<V>> {
        self.version = self.version.wrapping_add(1);
        self.index = Vec::new();
        self.used = 0;
        self.live = 0;
        std::mem::take(&mut self.entries)
    }
}
