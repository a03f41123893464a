//! Buffers of small containers that are gone, for the next ones: making and dropping a small list, dict or set then
//! never asks the allocator.

use super::table::SMALL;
use super::{Entry, Value};

/// Items that kept buffers of lists have room for.
const SIZES: [usize; 3] = [8, 16, 32];

/// Largest list whose buffer is kept, in items.
pub(super) const LARGEST: usize = SIZES[2];

/// Buffers of one size kept at most.
const MOST: usize = 64;

/// The buffers, all of them empty.
#[derive(Debug, Default)]
pub(super) struct Spare {
    lists: [Vec<Vec<Value>>; SIZES.len()],
    dicts: Vec<Vec<Entry<Value>>>,
    sets: Vec<Vec<Entry<()>>>,
}

/// Which of the sizes has room for `count` items.
#[inline]
fn size_for(count: usize) -> usize {
    usize::from(count > SIZES[0]) + usize::from(count > SIZES[1])
}

impl Spare {
    /// An empty buffer for a list of `count` items, at most [`LARGEST`].
    #[inline]
    pub(super) fn list(&mut self, count: usize) -> Vec<Value> {
        let size = size_for(count);
        self.lists[size].pop().unwrap_or_else(|| Vec::with_capacity(SIZES[size]))
    }

    /// Keeps a buffer whose items have been given away.
    #[inline]
    pub(super) fn keep_list(&mut self, mut items: Vec<Value>) {
        let size = size_for(items.capacity());
        if items.capacity() == SIZES[size] && self.lists[size].len() < MOST {
            items.clear();
            self.lists[size].push(items);
        }
    }

    /// An empty buffer for a dict without an index.
    #[inline]
    pub(super) fn dict(&mut self) -> Vec<Entry<Value>> {
        self.dicts.pop().unwrap_or_else(|| Vec::with_capacity(SMALL))
    }

    /// Keeps a buffer whose entries have been given away.
    #[inline]
    pub(super) fn keep_dict(&mut self, mut entries: Vec<Entry<Value>>) {
        if entries.capacity() == SMALL && self.dicts.len() < MOST {
            entries.clear();
            self.dicts.push(entries);
        }
    }

    /// An empty buffer for a set without an index.
    #[inline]
    pub(super) fn set(&mut self) -> Vec<Entry<()>> {
        self.sets.pop().unwrap_or_else(|| Vec::with_capacity(SMALL))
    }

    /// Keeps a buffer whose entries have been given away.
    #[inline]
    pub(super) fn keep_set(&mut self, mut entries: Vec<Entry<()>>) {
        if entries.capacity() == SMALL && self.sets.len() < MOST {
            entries.clear();
            self.sets.push(entries);
        }
    }
}
