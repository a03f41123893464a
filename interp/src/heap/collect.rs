//! The backup cycle collector, in pieces.
//!
//! Counts free what can be freed by counting. Cycles remain: for every
//! container, the shares that other containers hold are subtracted from its
//! count. What is left over is held from outside (registers, frames, tables of
//! the machine); everything reachable from there lives; the rest is a cycle
//! that nobody can reach.
//!
//! On a large heap this takes long, and the other events of the program are not
//! to wait for it: the work is done a piece at a time between their turns. The
//! program changes the heap meanwhile, so what the search comes to is only a
//! suspicion. Suspects that hold each other form groups, and each group is
//! looked at once more in one go ([`Collection::judge`]): if every share of its
//! members is held by members, nobody can reach them, however they
//! were found; what has a share from elsewhere lives, and all it holds. A living
//! object is never freed; garbage that the program hid by what it did meanwhile
//! is found the next time. Nobody can touch what has been condemned, so that is
//! taken apart in pieces again.
//!
//! As in CPython 2.7, a cycle with a `__del__` in it is not freed.

use super::{Heap, Kind, Value, FIRST_COLLECTION, KIND_ROWS};

/// Kinds that can be part of a cycle.
const CONTAINERS: &[Kind] = &[
    Kind::List,
    Kind::Tuple,
    Kind::Dict,
    Kind::Set,
    Kind::Slice,
    Kind::Function,
    Kind::Cell,
    Kind::Class,
    Kind::Instance,
    Kind::Method,
    Kind::BoundNative,
    Kind::Iter,
    Kind::Api,
    Kind::SafeDict,
];

/// Shares visited in one piece between the turns of busy threads: about a third of a millisecond on a large heap, whose
/// objects the processor has to wait for (10 to 20 ns a share).
pub const PIECE: usize = 20_000;

/// A program that makes new objects meanwhile lengthens the piece by one share for so many bytes, so that the
/// collection ends before the heap has grown by much,
const PACE: usize = 4;

/// but by no more than this: a few milliseconds.
const LONGEST: usize = 300_000;

/// The same after a thread that ended or waits: there may be very many short ones.
pub const SMALL_PIECE: usize = PIECE / 16;

/// Objects or items of a large one that are looked at before the rest of the piece is counted
/// (few in tests, so that a program comes between any two of them).
const STRIDE: usize = if cfg!(test) { 3 } else { 512 };

/// Slots that are only read or copied cost so much less than a share that is visited.
const CHEAP: usize = 8;

/// Marks an object that lives.
const LIVES: u32 = u32::MAX;

/// Marks a slot that was free when the collection began: what lies there now came later, and lives.
const CAME_LATER: u32 = 1 << 31;

/// The part of the work a collection is at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    /// Counts are copied.
    Copy,
    /// Shares that containers hold are taken off.
    Subtract,
    /// What is held from outside is marked.
    Roots,
    /// What the marked hold is marked.
    Mark,
    /// Instances with a `__del__` are marked.
    Finalizers,
    /// What those hold is marked.
    MarkMore,
    /// What is not marked is suspect.
    Gather,
    /// Suspects that hold each other are put into one group.
    Join,
    /// Groups are judged, one after the other.
    Judge,
    /// The condemned of a group are held, so that none goes while the others are taken apart.
    Hold,
    /// They are taken apart.
    Break,
    /// They are let go of.
    LetGo,
}

/// What may be garbage.
#[derive(Debug)]
struct Suspect {
    kind: Kind,
    index: u32,
    /// On the way to the one that stands for its group.
    parent: u32,
    /// The next of its group, in a ring.
    next: u32,
    /// Shares that members of its group hold.
    inner: u32,
}

/// A collection under way.
#[derive(Debug)]
pub(super) struct Collection {
    stage: Stage,
    /// For each slot, stage by stage: its count; what is left of it; [`LIVES`] or 0; the number of a suspect, from 1.
    state: [Vec<u32>; KIND_ROWS],
    /// Where the stage is: the row of [`CONTAINERS`], the slot, the item.
    row: usize,
    slot: usize,
    item: usize,
    /// Objects whose shares are to be marked, from an item on.
    work: Vec<(Kind, u32, usize)>,
    suspects: Vec<Suspect>,
    condemned: Vec<Value>,
    /// Suspects that one object holds: a buffer.
    held: Vec<usize>,
    /// Bytes in use after the last piece.
    seen: usize,
    /// Bytes counted for all this.
    charged: usize,
    /// Objects freed so far.
    freed: usize,
}

impl Heap {
    /// Frees all unreachable cycles; the number of objects found in them.
    pub fn collect(&mut self) -> usize {
        if self.grave.busy {
            return 0;
        }
        // What has been dropped is given back first: it may be all that is needed, and its shares would hold others.
        self.bury_all();
        // One that has begun does not know what has happened since.
        let before = if self.collection.is_some() { self.collect_up_to(usize::MAX).unwrap_or(0) } else { 0 };
        let freed = self.collect_up_to(usize::MAX).unwrap_or(0);
        self.bury_all();
        self.schedule_collection();
        before + freed
    }

    /// Does a piece of the collection under way, or begins one; whether it is done with that.
    /// `most` is the number of shares to be visited. With little memory left it is done in one go.
    pub fn collect_some(&mut self, most: usize) -> bool {
        if self.grave.busy {
            return false;
        }
        if self.used > self.limit - self.limit / 16 {
            self.collect();
            return true;
        }
        let seen = self.collection.as_ref().map_or(self.used, |collection| collection.seen);
        let grown = self.used.saturating_sub(seen);
        let done = self.collect_up_to(most + (grown / PACE).min(LONGEST)).is_some();
        if done {
            self.schedule_collection();
        }
        done
    }

    /// Goes on until it is done, when it tells the number of objects freed, or has visited about `most` shares.
    fn collect_up_to(&mut self, most: usize) -> Option<usize> {
        let mut collection = match self.collection.take() {
            Some(collection) => collection,
            None => Box::new(Collection::new()),
        };
        // Due until it is done.
        self.collect_at = 0;
        let mut left = most;
        loop {
            match collection.step(self) {
                None => {
                    self.used = self.used.saturating_sub(collection.charged);
                    return Some(collection.freed);
                }
                Some(cost) => left = left.saturating_sub(cost.max(1)),
            }
            if left == 0 {
                collection.recharge(self);
                collection.seen = self.used;
                self.collection = Some(collection);
                return None;
            }
        }
    }

    /// The next collection is due when the heap has grown by as much as it holds: at least by
    /// [`FIRST_COLLECTION`], at most by a quarter of the limit, and by half of what is left of it.
    fn schedule_collection(&mut self) {
        let quarter = (self.limit / 4).max(FIRST_COLLECTION);
        let wanted = self.used.clamp(FIRST_COLLECTION, quarter);
        let room = (self.limit.saturating_sub(self.used) / 2).max(self.limit / 64);
        self.collect_at = self.used + wanted.min(room);
    }
}

impl Collection {
    fn new() -> Collection {
        Collection {
            stage: Stage::Copy,
            state: Default::default(),
            row: 0,
            slot: 0,
            item: 0,
            work: Vec::new(),
            suspects: Vec::new(),
            condemned: Vec::new(),
            held: Vec::new(),
            seen: 0,
            charged: 0,
            freed: 0,
        }
    }

    /// Calls `visit` for each share the collection holds.
    pub(super) fn held(&self, visit: &mut dyn FnMut(Value)) {
        let held = match self.stage {
            Stage::Hold => &self.condemned[..self.slot],
            Stage::Break => &self.condemned[..],
            Stage::LetGo => &self.condemned[self.slot..],
            _ => &[],
        };
        held.iter().copied().for_each(visit);
    }

    /// Counts the memory it takes itself.
    fn recharge(&mut self, heap: &mut Heap) {
        let rows: usize = self.state.iter().map(|row| row.capacity() * 4).sum();
        let bytes = rows
            + self.work.capacity() * std::mem::size_of::<(Kind, u32, usize)>()
            + self.suspects.capacity() * std::mem::size_of::<Suspect>()
            + self.condemned.capacity() * std::mem::size_of::<Value>();
        heap.used = heap.used.saturating_sub(self.charged) + bytes;
        self.charged = bytes;
    }

    /// Begins a stage.
    fn enter(&mut self, stage: Stage) {
        (self.stage, self.row, self.slot, self.item) = (stage, 0, 0, 0);
    }

    /// Does the next bit of work; about how many shares were visited. `None` when all is done.
    fn step(&mut self, heap: &mut Heap) -> Option<usize> {
        match self.stage {
            Stage::Copy => Some(self.slots(heap, Stage::Subtract, Collection::copy)),
            Stage::Subtract => Some(self.subtract(heap)),
            Stage::Roots => Some(self.slots(heap, Stage::Mark, Collection::mark_roots)),
            Stage::Mark => Some(self.mark(heap, Stage::Finalizers)),
            Stage::Finalizers => Some(self.slots(heap, Stage::MarkMore, Collection::mark_finalizers)),
            Stage::MarkMore => Some(self.mark(heap, Stage::Gather)),
            Stage::Gather => Some(self.slots(heap, Stage::Join, Collection::gather)),
            Stage::Join => Some(self.join(heap)),
            Stage::Judge => self.judge_next(heap),
            Stage::Hold => Some(self.condemned_do(heap, Stage::Break, |heap, value| heap.retain(value))),
            Stage::Break => Some(self.condemned_do(heap, Stage::LetGo, Heap::break_cycle)),
            Stage::LetGo => Some(self.condemned_do(heap, Stage::Judge, Heap::release)),
        }
    }

    /// Does something with the next slots of a row of containers; goes over to the `then` stage after the last.
    fn slots(
        &mut self,
        heap: &mut Heap,
        then: Stage,
        each: fn(&mut Collection, &Heap, Kind, std::ops::Range<usize>),
    ) -> usize {
        let Some(&kind) = CONTAINERS.get(self.row) else {
            self.enter(then);
            return 1;
        };
        // The copy is as long as the arena is now; later stages look at what was copied, and at what came since.
        let all = heap.slots(kind);
        let end = all.min(self.slot + STRIDE * CHEAP);
        let range = self.slot..end;
        let cost = range.len() / CHEAP;
        each(self, heap, kind, range);
        if end == all {
            (self.row, self.slot) = (self.row + 1, 0);
        } else {
            self.slot = end;
        }
        cost
    }

    fn copy(&mut self, heap: &Heap, kind: Kind, range: std::ops::Range<usize>) {
        let counts = &heap.counts[kind as usize][range];
        let row = &mut self.state[kind as usize];
        row.extend(counts.iter().map(|count| if *count == 0 { CAME_LATER } else { *count }));
    }

    /// Takes off what the next containers hold.
    fn subtract(&mut self, heap: &Heap) -> usize {
        let Some(&kind) = CONTAINERS.get(self.row) else {
            self.enter(Stage::Roots);
            return 1;
        };
        let mut cost = 0;
        while cost < STRIDE {
            let Some(&count) = heap.counts[kind as usize].get(self.slot) else {
                (self.row, self.slot, self.item) = (self.row + 1, 0, 0);
                break;
            };
            cost += 1;
            if count == 0 {
                (self.slot, self.item) = (self.slot + 1, 0);
                continue;
            }
            let items = self.item..self.item + STRIDE;
            let more = heap.for_some_children(kind, self.slot as u32, items, &mut |child| {
                cost += 1;
                if let Some((kind, index)) = child.counted() {
                    if let Some(left) = self.state[kind as usize].get_mut(index as usize) {
                        *left = left.wrapping_sub(1);
                    }
                }
            });
            match more {
                Some(item) => self.item = item,
                None => (self.slot, self.item) = (self.slot + 1, 0),
            }
        }
        cost
    }

    /// Marks what is held from outside, and what came after the copy.
    fn mark_roots(&mut self, heap: &Heap, kind: Kind, range: std::ops::Range<usize>) {
        for index in range {
            let left = self.state[kind as usize].get_mut(index);
            let lives = left.is_none_or(|left| {
                let lives = *left != 0;
                if lives {
                    *left = LIVES;
                }
                lives
            });
            if lives && heap.counts[kind as usize][index] != 0 {
                self.work.push((kind, index as u32, 0));
            }
        }
    }

    /// Marks what the next objects of the work list hold.
    fn mark(&mut self, heap: &Heap, then: Stage) -> usize {
        let Some((kind, index, item)) = self.work.pop() else {
            self.enter(then);
            return 1;
        };
        let mut cost = 1;
        let (state, work) = (&mut self.state, &mut self.work);
        // It may be gone, or hold less than it did.
        if heap.counts[kind as usize][index as usize] == 0 {
            return cost;
        }
        let more = heap.for_some_children(kind, index, item..item + STRIDE, &mut |child| {
            cost += 1;
            if let Some((kind, index)) = child.counted() {
                if let Some(left) = state[kind as usize].get_mut(index as usize) {
                    if *left != LIVES {
                        *left = LIVES;
                        work.push((kind, index, 0));
                    }
                }
            }
        });
        if let Some(item) = more {
            work.push((kind, index, item));
        }
        cost
    }

    /// Cycles with a `__del__` live on, and all they hold.
    fn mark_finalizers(&mut self, heap: &Heap, kind: Kind, range: std::ops::Range<usize>) {
        if kind != Kind::Instance {
            return;
        }
        for index in range {
            let Some(left) = self.state[kind as usize].get_mut(index) else { break };
            if *left == 0 && is_finalized(heap, kind, index as u32) {
                *left = LIVES;
                self.work.push((kind, index as u32, 0));
            }
        }
    }

    /// Notes what nobody outside seems to hold.
    fn gather(&mut self, heap: &Heap, kind: Kind, range: std::ops::Range<usize>) {
        for index in range {
            let Some(state) = self.state[kind as usize].get_mut(index) else { break };
            if *state != 0 || heap.counts[kind as usize][index] == 0 {
                *state = LIVES;
                continue;
            }
            let number = self.suspects.len() as u32;
            *state = number + 1;
            self.suspects.push(Suspect { kind, index: index as u32, parent: number, next: number, inner: 0 });
        }
    }

    /// The number of a suspect among those that a share may be of.
    fn suspect(&self, value: Value) -> Option<usize> {
        let (kind, index) = value.counted()?;
        match self.state[kind as usize].get(index as usize) {
            Some(&LIVES) | None => None,
            Some(number) => (*number as usize).checked_sub(1),
        }
    }

    /// The one that stands for a suspect's group.
    fn group(&mut self, number: usize) -> usize {
        let mut at = number;
        loop {
            let parent = self.suspects[at].parent as usize;
            if parent == at {
                return at;
            }
            // Ways are halved as they are walked.
            let grandparent = self.suspects[parent].parent;
            self.suspects[at].parent = grandparent;
            at = grandparent as usize;
        }
    }

    /// Puts the next suspects and those they hold into one group.
    fn join(&mut self, heap: &Heap) -> usize {
        let Some(&Suspect { kind, index, .. }) = self.suspects.get(self.slot) else {
            self.enter(Stage::Judge);
            return 1;
        };
        let mut held = std::mem::take(&mut self.held);
        let mut more = None;
        if heap.counts[kind as usize][index as usize] != 0 {
            let items = self.item..self.item + STRIDE;
            more = heap.for_some_children(kind, index, items, &mut |child| held.extend(self.suspect(child)));
        }
        let cost = held.len() + 1;
        for other in held.drain(..) {
            let (a, b) = (self.group(self.slot), self.group(other));
            if a != b {
                self.suspects[b].parent = a as u32;
                // Two rings become one when two of their members exchange what follows them.
                let next = self.suspects[a].next;
                self.suspects[a].next = std::mem::replace(&mut self.suspects[b].next, next);
            }
        }
        self.held = held;
        match more {
            Some(item) => self.item = item,
            None => (self.slot, self.item) = (self.slot + 1, 0),
        }
        cost
    }

    /// Judges the next group. `None` after the last.
    fn judge_next(&mut self, heap: &Heap) -> Option<usize> {
        // The stages that follow a verdict count the condemned in `slot`.
        let first = self.row;
        let suspect = self.suspects.get(first)?;
        self.row += 1;
        if suspect.parent as usize != first {
            return Some(1);
        }
        let cost = self.judge(heap, first);
        if !self.condemned.is_empty() {
            self.freed += self.condemned.len();
            (self.stage, self.slot) = (Stage::Hold, 0);
        }
        Some(cost)
    }

    /// Looks at a group in one go, as it is now: condemns the members that no share from elsewhere keeps alive.
    fn judge(&mut self, heap: &Heap, first: usize) -> usize {
        let mut members = Vec::new();
        let mut at = first;
        loop {
            members.push(at);
            at = self.suspects[at].next as usize;
            if at == first {
                break;
            }
        }
        let mut cost = members.len();
        // Shares that members hold of members.
        let mut held = std::mem::take(&mut self.held);
        for &member in &members {
            let Suspect { kind, index, .. } = self.suspects[member];
            if heap.counts[kind as usize][index as usize] == 0 {
                continue;
            }
            heap.for_each_child(kind, index, &mut |child| held.extend(self.suspect(child)));
            cost += held.len();
            for other in held.drain(..) {
                if self.group(other) == first {
                    self.suspects[other].inner += 1;
                }
            }
        }
        // A member with another share, or a `__del__`, lives, and what it holds; one that is gone is no concern.
        let lives = |collection: &Collection, member: usize| {
            let Suspect { kind, index, inner, .. } = collection.suspects[member];
            let count = heap.counts[kind as usize][index as usize];
            count == 0 || count != inner || is_finalized(heap, kind, index)
        };
        let mut work: Vec<usize> = members.iter().copied().filter(|member| lives(self, *member)).collect();
        for &member in &work {
            self.acquit(member);
        }
        while let Some(member) = work.pop() {
            let Suspect { kind, index, .. } = self.suspects[member];
            if heap.counts[kind as usize][index as usize] == 0 {
                continue;
            }
            heap.for_each_child(kind, index, &mut |child| held.extend(self.suspect(child)));
            cost += held.len();
            for other in held.drain(..) {
                if self.group(other) == first {
                    self.acquit(other);
                    work.push(other);
                }
            }
        }
        self.held = held;
        for member in members {
            let Suspect { kind, index, .. } = self.suspects[member];
            if self.state[kind as usize][index as usize] == member as u32 + 1 {
                self.condemned.push(Value::from_counted(kind, index));
                self.acquit(member);
            }
        }
        cost
    }

    /// A suspect is none any more.
    fn acquit(&mut self, member: usize) {
        let Suspect { kind, index, .. } = self.suspects[member];
        self.state[kind as usize][index as usize] = LIVES;
    }

    /// Does something with the next of the condemned; goes over to the `then` stage after the last.
    fn condemned_do(&mut self, heap: &mut Heap, then: Stage, each: fn(&mut Heap, Value)) -> usize {
        let end = self.condemned.len().min(self.slot + STRIDE);
        for at in self.slot..end {
            let value = self.condemned[at];
            // Before, so that the books are true at any moment.
            self.slot = at + 1;
            each(heap, value);
        }
        let cost = end + 1 - self.slot.min(end);
        self.slot = end;
        if end == self.condemned.len() {
            (self.stage, self.slot) = (then, 0);
            if then == Stage::Judge {
                self.condemned.clear();
            }
        }
        cost
    }
}

/// Whether an instance's class has a `__del__`.
fn is_finalized(heap: &Heap, kind: Kind, index: u32) -> bool {
    let at = index as usize;
    kind == Kind::Instance
        && heap.counts[kind as usize][at] != 0
        && heap.classes[heap.instances.slots[at].class].has_del
}

#[cfg(test)]
mod tests;
