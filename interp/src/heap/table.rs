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

/// A key has to be compared by [`Heap::keys_equal`].
struct Asks;

/// What is at the first place a key can be at.
pub(super) enum First<'a, V> {
    /// Position and entry.
    Entry(usize, &'a Entry<V>),
    /// Nothing: the key is not in the table.
    Absent,
    /// The table has to be searched.
    Unknown,
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

    /// [`Table::search`] by a test that calls nothing: `same` says whether a key with the same hash is the one, `None` if
    /// that takes more than a look. `Err` asks for [`Table::search`] then. What becomes of it needs no stack.
    #[inline(always)]
    fn search_plain(&self, hash: u64, same: impl Fn(Value) -> Option<bool>) -> Result<Option<usize>, Asks> {
        if self.index.is_empty() {
            for (position, entry) in self.entries.iter().enumerate() {
                if entry.hash == hash && !entry.key.is_unset() {
                    match same(entry.key) {
                        Some(true) => return Ok(Some(position)),
                        Some(false) => {}
                        None => return Err(Asks),
                    }
                }
            }
            return Ok(None);
        }
        let mask = self.index.len() - 1;
        let mut place = hash as usize & mask;
        loop {
            let found = self.index[place] as usize;
            if let Some(entry) = self.entries.get(found) {
                if entry.hash == hash {
                    match same(entry.key) {
                        Some(true) => return Ok(Some(found)),
                        Some(false) => {}
                        None => return Err(Asks),
                    }
                }
            } else if found == EMPTY as usize {
                return Ok(None);
            }
            place = (place + ((hash >> 32) as usize | 1)) & mask;
        }
    }

    /// The entry at the first place of a hash: most searches end there.
    #[inline(always)]
    fn first(&self, short: u32) -> First<'_, V> {
        let Some(&found) = self.index.get(short as usize & self.index.len().wrapping_sub(1)) else {
            return First::Unknown;
        };
        match self.entries.get(found as usize) {
            Some(entry) => First::Entry(found as usize, entry),
            None if found == EMPTY => First::Absent,
            None => First::Unknown,
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
        match self.first_int(hash as u32, wanted) {
            First::Entry(position, _) => Some(position),
            First::Absent => None,
            First::Unknown => self.search_int(heap, hash, wanted),
        }
    }

    /// The entry of an int, if it is at its first place or the table is small.
    #[inline(always)]
    pub(super) fn first_int(&self, short: u32, wanted: i64) -> First<'_, V> {
        if self.index.is_empty() {
            for (position, entry) in self.entries.iter().enumerate() {
                match entry.key {
                    Value::Int(other) if other == wanted => return First::Entry(position, entry),
                    Value::Int(_) | Value::Unset => {}
                    _ if entry.hash as u32 == short => return First::Unknown,
                    _ => {}
                }
            }
            return First::Absent;
        }
        match self.first(short) {
            First::Entry(_, Entry { key: Value::Int(other), .. }) if *other != wanted => First::Unknown,
            First::Entry(_, entry) if !matches!(entry.key, Value::Int(_)) => First::Unknown,
            first => first,
        }
    }

    #[inline(never)]
    pub(super) fn search_int(&self, heap: &Heap, hash: u64, wanted: i64) -> Option<usize> {
        let plain = |other| match other {
            Value::Int(i) => Some(i == wanted),
            _ => None,
        };
        self.search_plain(hash, plain).unwrap_or_else(|Asks| self.find_other(heap, hash, Value::Int(wanted)))
    }

    /// [`Table::find`] for a tuple.
    #[inline(never)]
    fn find_tuple(&self, heap: &Heap, hash: u64, wanted: Tuple) -> Option<usize> {
        let plain = |other| match other {
            Value::Tuple(tuple) if tuple == wanted => Some(true),
            Value::Tuple(tuple) => heap.same_plain(tuple, wanted),
            _ => None,
        };
        self.search_plain(hash, plain)
            .unwrap_or_else(|Asks| self.find_other(heap, hash, Value::Tuple(wanted)))
    }

    /// The entry of a tuple, if it is at its first place or the table is small, and a look finds it the same.
    #[inline(always)]
    pub(super) fn first_tuple(&self, heap: &Heap, short: u32, wanted: Tuple) -> First<'_, V> {
        let same = |entry: &Entry<V>| match entry.key {
            Value::Tuple(other) => other == wanted || heap.same_plain(other, wanted) == Some(true),
            _ => false,
        };
        if self.index.is_empty() {
            return match self.entries.iter().position(|entry| entry.hash as u32 == short) {
                None => First::Absent,
                Some(position) => match &self.entries[position] {
                    entry if same(entry) => First::Entry(position, entry),
                    _ => First::Unknown,
                },
            };
        }
        match self.first(short) {
            First::Entry(_, entry) if entry.hash as u32 != short || !same(entry) => First::Unknown,
            first => first,
        }
    }

    /// [`Table::find`] for anything.
    #[inline(never)]
    fn find_other(&self, heap: &Heap, hash: u64, key: Value) -> Option<usize> {
        self.search(hash, |other| heap.keys_equal(other, key))
    }

    /// [`Table::find`] for a string.
    #[inline(never)]
    pub fn find_str(&self, heap: &Heap, hash: u64, wanted: Str) -> Option<usize> {
        match self.first_str(heap, hash as u32, wanted) {
            First::Entry(position, _) => Some(position),
            First::Absent => None,
            First::Unknown => self.search_str(heap, hash, wanted),
        }
    }

    /// The entry of a string, if it is at its first place or the table is small, and a look finds it the same.
    #[inline(always)]
    pub(super) fn first_str(&self, heap: &Heap, short: u32, wanted: Str) -> First<'_, V> {
        if self.index.is_empty() {
            for (position, entry) in self.entries.iter().enumerate() {
                if entry.hash as u32 == short {
                    match entry.key {
                        Value::Str(text) if text == wanted => return First::Entry(position, entry),
                        Value::Unset => {}
                        Value::Str(text) if heap.same_short(text, wanted) == Some(true) => {
                            return First::Entry(position, entry)
                        }
                        _ => return First::Unknown,
                    }
                }
            }
            return First::Absent;
        }
        let first = self.first(short);
        let First::Entry(_, entry) = &first else { return first };
        match entry.key {
            Value::Str(text) if text == wanted => first,
            Value::Str(text) if entry.hash as u32 == short && heap.same_short(text, wanted) == Some(true) => {
                first
            }
            _ => First::Unknown,
        }
    }

    #[inline(never)]
    pub(super) fn search_str(&self, heap: &Heap, hash: u64, wanted: Str) -> Option<usize> {
        let plain = |other| match other {
            Value::Str(text) if text == wanted => Some(true),
            Value::Str(text) => heap.same_short(text, wanted),
            _ => None,
        };
        self.search_plain(hash, plain).unwrap_or_else(|Asks| self.find_other(heap, hash, Value::Str(wanted)))
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
            self.used * 2 >= self.index.len()
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
