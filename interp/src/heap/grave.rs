//! Freeing in pieces: what a large structure leaves behind is given back a part at a time, so that no statement that
//! drops one keeps the others waiting.
//!
//! An object whose last share is gone is destroyed at once, and so is what only it held, as long as the credit lasts
//! that each check point renews. What is left over is destroyed at the next ones, a little by every object freed
//! meanwhile, and all of it before memory is said to be short.

use super::{Entry, Heap, Kind, Value};

/// Objects and items given back between two check points before freeing is put off: about a millisecond.
const CREDIT: u32 = 30_000;

/// Objects or items a single freed object gives back of what is left over once the credit is used up.
const SHARE: u32 = 32;

/// Items of a container above which they are given back in pieces.
pub(super) const WIDE: usize = 8 << 10;

/// What a large container held: owned, with the bytes that are counted for it.
#[derive(Debug)]
enum Remains {
    Items(Vec<Value>, usize),
    Entries(Vec<Entry<Value>>, usize),
    Keys(Vec<Entry<()>>, usize),
}

/// What waits to be destroyed.
#[derive(Debug)]
pub(super) struct Grave {
    /// Objects without shares.
    pub(super) dead: Vec<(Kind, u32)>,
    remains: Vec<Remains>,
    credit: u32,
    /// Something is being destroyed: what dies meanwhile is put to the others.
    pub(super) busy: bool,
}

impl Default for Grave {
    fn default() -> Self {
        Grave { dead: Vec::new(), remains: Vec::new(), credit: CREDIT, busy: false }
    }
}

impl Grave {
    /// Calls `visit` for each share that is held until it is given back.
    pub(super) fn held(&self, visit: &mut dyn FnMut(Value)) {
        for remains in &self.remains {
            match remains {
                Remains::Items(items, _) => items.iter().copied().for_each(&mut *visit),
                Remains::Entries(entries, _) => entries.iter().for_each(|entry| {
                    visit(entry.key);
                    if !entry.key.is_unset() {
                        visit(entry.value);
                    }
                }),
                Remains::Keys(keys, _) => keys.iter().for_each(|entry| visit(entry.key)),
            }
        }
    }
}

impl Heap {
    /// Whether something dropped still waits to be given back.
    #[inline]
    pub fn has_remains(&self) -> bool {
        !self.grave.dead.is_empty() || !self.grave.remains.is_empty()
    }

    /// A check point: renews the credit and gives back what it allows of what is left over.
    pub fn bury_some(&mut self) {
        self.grave.credit = CREDIT;
        if self.has_remains() && !self.grave.busy {
            self.bury(CREDIT / 2);
        }
    }

    /// Gives back all that is left over.
    pub fn bury_all(&mut self) {
        while self.has_remains() && !self.grave.busy {
            self.bury(u32::MAX);
        }
    }

    /// Goes on after an object has been destroyed.
    #[inline]
    pub(super) fn bury_more(&mut self) {
        if self.has_remains() {
            let most = self.grave.credit.max(SHARE);
            let spent = self.bury(most);
            self.grave.credit = self.grave.credit.saturating_sub(spent);
        }
    }

    /// Destroys up to about `most` objects and items; how many it were.
    fn bury(&mut self, most: u32) -> u32 {
        self.grave.busy = true;
        let mut left = most;
        while left > 0 {
            left -= 1;
            if let Some((kind, index)) = self.grave.dead.pop() {
                self.destroy(kind, index);
            } else if let Some(remains) = self.grave.remains.pop() {
                left = self.bury_part(remains, left);
            } else {
                break;
            }
        }
        self.grave.busy = false;
        most - left
    }

    /// Gives back items of a large container, at most about `left`; what is left of that.
    fn bury_part(&mut self, remains: Remains, left: u32) -> u32 {
        let part = (left as usize + 1).min(WIDE);
        let rest = match remains {
            Remains::Items(mut items, charged) => {
                for item in items.drain(items.len().saturating_sub(part)..) {
                    self.release(item);
                }
                (!items.is_empty()).then_some(Remains::Items(items, charged)).ok_or(charged)
            }
            Remains::Entries(mut entries, charged) => {
                for entry in entries.drain(entries.len().saturating_sub(part)..) {
                    self.release(entry.key);
                    if !entry.key.is_unset() {
                        self.release(entry.value);
                    }
                }
                (!entries.is_empty()).then_some(Remains::Entries(entries, charged)).ok_or(charged)
            }
            Remains::Keys(mut keys, charged) => {
                for entry in keys.drain(keys.len().saturating_sub(part)..) {
                    self.release(entry.key);
                }
                (!keys.is_empty()).then_some(Remains::Keys(keys, charged)).ok_or(charged)
            }
        };
        match rest {
            Ok(rest) => self.grave.remains.push(rest),
            Err(charged) => self.used = self.used.saturating_sub(charged),
        }
        left.saturating_sub(part as u32)
    }

    /// Puts the items of a large container to what is given back in pieces. Takes them over.
    #[cold]
    pub(super) fn leave_items(&mut self, items: Vec<Value>, charged: usize) {
        self.grave.remains.push(Remains::Items(items, charged));
    }

    /// [`Heap::leave_items`] for a dict.
    #[cold]
    pub(super) fn leave_entries(&mut self, entries: Vec<Entry<Value>>, charged: usize) {
        self.grave.remains.push(Remains::Entries(entries, charged));
    }

    /// [`Heap::leave_items`] for a set.
    #[cold]
    pub(super) fn leave_keys(&mut self, keys: Vec<Entry<()>>, charged: usize) {
        self.grave.remains.push(Remains::Keys(keys, charged));
    }
}
