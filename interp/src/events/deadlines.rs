//! The one heap of moments: sleeping threads, pending timers, meters to be
//! paid, connections that may time out.
//!
//! An indexed binary heap: adding, cancelling and taking the earliest cost
//! O(log n), nothing is left behind by a cancelled entry, and entries of the
//! same moment come out in the order in which they went in. An entry costs 36
//! bytes here besides its payload.

/// Names an entry; a key is never valid for two entries of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    slot: u32,
    generation: u32,
}

impl Key {
    /// The key as one number: a timer handle's identity.
    pub fn bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.slot)
    }

    /// The key of a number.
    pub fn from_bits(bits: u64) -> Key {
        Key { slot: bits as u32, generation: (bits >> 32) as u32 }
    }
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    /// Where the entry stands in the heap.
    place: u32,
    payload: Option<T>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    moment: u64,
    order: u64,
    slot: u32,
}

/// See the module. Moments are nanoseconds of the monotonic clock.
#[derive(Debug)]
pub struct Deadlines<T> {
    heap: Vec<Entry>,
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
    order: u64,
}

impl<T> Default for Deadlines<T> {
    fn default() -> Self {
        Deadlines { heap: Vec::new(), slots: Vec::new(), free: Vec::new(), order: 0 }
    }
}

impl<T> Deadlines<T> {
    /// Bytes one entry takes.
    pub const ENTRY_BYTES: usize = size_of::<Entry>() + size_of::<Slot<T>>() + size_of::<u32>();

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The earliest moment.
    pub fn next(&self) -> Option<u64> {
        self.heap.first().map(|entry| entry.moment)
    }

    /// Adds an entry.
    pub fn add(&mut self, moment: u64, payload: T) -> Key {
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(Slot { generation: 0, place: 0, payload: None });
                (self.slots.len() - 1) as u32
            }
        };
        let entry = &mut self.slots[slot as usize];
        entry.payload = Some(payload);
        let key = Key { slot, generation: entry.generation };
        self.order += 1;
        self.heap.push(Entry { moment, order: self.order, slot });
        self.rise(self.heap.len() - 1);
        key
    }

    /// Takes an entry out before its moment; `None` if it is gone already.
    pub fn cancel(&mut self, key: Key) -> Option<T> {
        let slot = self.slots.get(key.slot as usize)?;
        if slot.generation != key.generation || slot.payload.is_none() {
            return None;
        }
        self.remove(slot.place as usize)
    }

    /// Takes the earliest entry if its moment has come.
    pub fn take_due(&mut self, now: u64) -> Option<T> {
        if self.next()? > now {
            return None;
        }
        self.remove(0)
    }

    /// The payload of an entry still waiting.
    pub fn get(&self, key: Key) -> Option<&T> {
        let slot = self.slots.get(key.slot as usize)?;
        if slot.generation != key.generation {
            return None;
        }
        slot.payload.as_ref()
    }

    /// Every payload, in no particular order.
    pub fn payloads(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|slot| slot.payload.as_ref())
    }

    fn remove(&mut self, place: usize) -> Option<T> {
        let entry = *self.heap.get(place)?;
        self.heap.swap_remove(place);
        if place < self.heap.len() {
            self.rise(place);
            self.sink(place);
        }
        let slot = &mut self.slots[entry.slot as usize];
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(entry.slot);
        slot.payload.take()
    }

    fn settle(&mut self, place: usize) {
        let slot = self.heap[place].slot;
        self.slots[slot as usize].place = place as u32;
    }

    fn rise(&mut self, mut place: usize) {
        while place > 0 {
            let parent = (place - 1) / 2;
            if self.heap[parent] <= self.heap[place] {
                break;
            }
            self.heap.swap(parent, place);
            self.settle(place);
            place = parent;
        }
        self.settle(place);
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            let left = 2 * place + 1;
            if left >= self.heap.len() {
                break;
            }
            let right = left + 1;
            let least =
                if right < self.heap.len() && self.heap[right] < self.heap[left] { right } else { left };
            if self.heap[place] <= self.heap[least] {
                break;
            }
            self.heap.swap(place, least);
            self.settle(place);
            place = least;
        }
        self.settle(place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    // A pending timer is promised to cost at most 100 bytes here.
    const _: () = assert!(Deadlines::<crate::api::state::Due>::ENTRY_BYTES <= 100);

    #[test]
    fn equal_moments_keep_their_order_and_keys_die() {
        let mut deadlines = Deadlines::default();
        let keys: Vec<Key> = (0..10).map(|n| deadlines.add(5, n)).collect();
        assert_eq!(deadlines.cancel(keys[3]), Some(3));
        assert_eq!(deadlines.cancel(keys[3]), None);
        assert_eq!(deadlines.take_due(4), None);
        let mut seen = Vec::new();
        while let Some(n) = deadlines.take_due(5) {
            seen.push(n);
        }
        assert_eq!(seen, [0, 1, 2, 4, 5, 6, 7, 8, 9]);
        assert_eq!(deadlines.cancel(keys[0]), None);
        let again = deadlines.add(1, 77);
        assert_eq!(deadlines.get(again), Some(&77));
        assert_eq!(deadlines.get(keys[9]), None);
    }

    proptest! {
        #[test]
        fn behaves_as_a_sorted_list(steps in proptest::collection::vec((0u8..4, 0u64..50), 0..300)) {
            let mut deadlines = Deadlines::default();
            let mut model: Vec<(u64, usize, Key)> = Vec::new();
            let mut now = 0;
            for (index, (what, number)) in steps.into_iter().enumerate() {
                match what {
                    0 | 1 => model.push((number, index, deadlines.add(number, index))),
                    2 if !model.is_empty() => {
                        let (_, payload, key) = model.remove(number as usize % model.len());
                        prop_assert_eq!(deadlines.cancel(key), Some(payload));
                    }
                    _ => {
                        now = number;
                        model.sort_by_key(|(moment, index, _)| (*moment, *index));
                        let due = model.first().filter(|first| first.0 <= now).map(|first| first.1);
                        if due.is_some() {
                            model.remove(0);
                        }
                        prop_assert_eq!(deadlines.take_due(now), due);
                    }
                }
                prop_assert_eq!(deadlines.len(), model.len());
                prop_assert_eq!(deadlines.next(), model.iter().map(|entry| entry.0).min());
            }
            let _ = now;
        }
    }
}
