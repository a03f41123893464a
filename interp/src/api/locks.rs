//! Locks: not re-entrant, without an owner, waiters served in order.

use std::collections::{HashMap, VecDeque};

/// All locks of a run. `W` names a waiting thread. A lock that is neither held
/// nor waited for takes no memory here.
#[derive(Debug)]
pub struct Locks<W> {
    held: HashMap<u64, VecDeque<W>>,
}

impl<W> Default for Locks<W> {
    fn default() -> Self {
        Locks { held: HashMap::new() }
    }
}

/// `release()` of a lock that is not held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotHeld;

impl NotHeld {
    /// The text of the `thread.error`.
    pub const TEXT: &'static str = "release unlocked lock";
}

impl<W: Copy + PartialEq> Locks<W> {
    /// Takes the lock if it is free.
    pub fn try_acquire(&mut self, lock: u64) -> bool {
        match self.held.entry(lock) {
            std::collections::hash_map::Entry::Occupied(_) => false,
            std::collections::hash_map::Entry::Vacant(entry) => {
                entry.insert(VecDeque::new());
                true
            }
        }
    }

    /// Puts `who` in the line of a held lock: it will be handed the lock by
    /// a [`Locks::release`].
    pub fn wait(&mut self, lock: u64, who: W) {
        self.held.entry(lock).or_default().push_back(who);
    }

    /// Releases the lock, or hands it to the first in line, who must then be
    /// woken as its holder.
    pub fn release(&mut self, lock: u64) -> Result<Option<W>, NotHeld> {
        let waiting = self.held.get_mut(&lock).ok_or(NotHeld)?;
        let next = waiting.pop_front();
        if next.is_none() {
            self.held.remove(&lock);
        } else if waiting.is_empty() {
            waiting.shrink_to_fit();
        }
        Ok(next)
    }

    /// Forgets a lock that nobody refers to any more.
    pub fn forget(&mut self, lock: u64) {
        self.held.remove(&lock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handed_on_in_order() {
        let mut locks = Locks::default();
        assert_eq!(locks.release(1), Err(NotHeld));
        assert!(locks.try_acquire(1));
        assert!(!locks.try_acquire(1));
        assert!(locks.try_acquire(2));
        locks.wait(1, 'a');
        locks.wait(1, 'b');
        assert_eq!(locks.release(1), Ok(Some('a')));
        assert!(!locks.try_acquire(1), "it is a's now");
        assert_eq!(locks.release(1), Ok(Some('b')));
        assert_eq!(locks.release(1), Ok(None));
        assert_eq!(locks.release(1), Err(NotHeld));
        assert!(locks.try_acquire(1));
        locks.forget(1);
        assert!(locks.try_acquire(1));
    }
}
