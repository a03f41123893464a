//! Buffers of small containers that are gone, for the next ones: making and dropping a small list, dict or set then
//! never asks the allocator.

use super::bytes::room_for;
use super::table::SMALL;
use super::{Entry, Value};

/// Items that kept buffers of lists have room for.
const SIZES: [usize; 3] = [8, 16, 32];

/// Largest list whose buffer is kept, in items.
pub(super) const LARGEST: usize = SIZES[2];

/// Buffers of one size kept at most.
const MOST: usize = 64;

/// Buffers of strings of one of the larger sizes kept at most.
const MOST_LARGE: usize = 16;

/// Sizes of the buffers of strings that are kept: 24, 40, 56 … bytes, as [`room_for`] gives them.
const TEXT_SIZES: usize = 32;

/// How many of them are small.
const SMALL_TEXT_SIZES: usize = 8;

/// Largest of them, in bytes.
pub(super) const LARGEST_TEXT: usize = TEXT_SIZES * 16 + 8;

/// Which of the sizes holds `room` bytes.
#[inline(always)]
fn text_size(room: usize) -> usize {
    (room / 16).wrapping_sub(1)
}

/// The buffers, all of them empty.
#[derive(Debug, Default)]
pub(super) struct Spare {
    lists: [Vec<Vec<Value>>; SIZES.len()],
    dicts: Vec<Vec<Entry<Value>>>,
    sets: Vec<Vec<Entry<()>>>,
    texts: [Vec<Vec<u8>>; TEXT_SIZES],
}

/// Which of the sizes has room for `count` items.
#[inline]
fn size_for(count: usize) -> usize {
    usize::from(count > SIZES[0]) + usize::from(count > SIZES[1])
}

impl Spare {
    /// An empty buffer for a string of `size` bytes, more than fit in place.
    #[inline]
    pub(super) fn text(&mut self, size: usize) -> Vec<u8> {
        let room = room_for(size);
        match self.texts.get_mut(text_size(room)).and_then(Vec::pop) {
            Some(buffer) => buffer,
            None if room <= LARGEST_TEXT => Vec::with_capacity(room),
            None => Vec::with_capacity(size),
        }
    }

    /// Keeps the buffer of a string that is gone.
    #[inline]
    pub(super) fn keep_text(&mut self, mut bytes: Vec<u8>) {
        let room = bytes.capacity();
        let size = text_size(room);
        if let Some(kept) = self.texts.get_mut(size) {
            let most = if size < SMALL_TEXT_SIZES { MOST } else { MOST_LARGE };
            if room_for(room) == room && kept.len() < most {
                bytes.clear();
                kept.push(bytes);
            }
        }
    }

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
