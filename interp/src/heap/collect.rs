//! The backup cycle collector, and the check of all counts.
//!
//! Counts free what can be freed by counting. Cycles remain: for every
//! container, the shares that other containers hold are subtracted from its
//! count. What is left over is held from outside (registers, frames, tables of
//! the machine); everything reachable from there lives; the rest is a cycle
//! that nobody can reach.
//!
//! As in CPython 2.7, a cycle with a `__del__` in it is not freed.

use super::{Heap, Kind, Value, FIRST_COLLECTION, INLINE_SLOTS, KINDS, KIND_ROWS};

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

impl Heap {
    /// Calls `visit` for each share an object holds.
    pub(crate) fn for_each_child(&self, kind: Kind, index: u32, visit: &mut dyn FnMut(Value)) {
        let at = index as usize;
        match kind {
            Kind::Str | Kind::Long | Kind::Complex | Kind::XRange | Kind::Trace => {}
            Kind::List => self.lists.slots[at].items.iter().for_each(|item| visit(*item)),
            Kind::Tuple => self.tuples.slots[at].items.as_slice().iter().for_each(|item| visit(*item)),
            Kind::Dict => self.dicts.slots[at].table.iter().for_each(|entry| {
                visit(entry.key);
                visit(entry.value);
            }),
            Kind::Set => self.sets.slots[at].table.iter().for_each(|entry| visit(entry.key)),
            Kind::Slice => {
                let data = self.slices.slots[at];
                visit(data.start);
                visit(data.stop);
                visit(data.step);
            }
            Kind::Function => {
                let data = &self.functions.slots[at];
                data.defaults.iter().for_each(|value| visit(*value));
                data.cells.iter().for_each(|cell| visit(Value::Cell(*cell)));
                visit(Value::Dict(data.globals));
                if let Some(table) = &data.attributes {
                    table.iter().for_each(|entry| {
                        visit(entry.key);
                        visit(entry.value);
                    });
                }
            }
            Kind::Cell => visit(self.cells.slots[at].value),
            Kind::Class => {
                let data = &self.classes.slots[at];
                data.attributes.iter().for_each(|entry| {
                    visit(entry.key);
                    visit(entry.value);
                });
                data.bases.iter().for_each(|base| visit(Value::Class(*base)));
                visit(Value::Str(data.name));
            }
            Kind::Instance => {
                let data = &self.instances.slots[at];
                let count = self.shapes.count(data.shape);
                data.inline.iter().take(count).for_each(|value| visit(*value));
                if count > INLINE_SLOTS {
                    data.more.iter().for_each(|value| visit(*value));
                }
                visit(data.payload);
                visit(Value::Class(data.class));
            }
            Kind::Method => {
                let data = self.methods.slots[at];
                visit(data.function);
                visit(data.object);
                visit(Value::Class(data.class));
            }
            Kind::BoundNative => visit(self.bound_natives.slots[at].object),
            Kind::Iter => visit(self.iters.slots[at].source),
            Kind::Api => {
                let data = &self.apis.slots[at];
                visit(Value::Str(data.label));
                if let Some(table) = &data.attributes {
                    table.iter().for_each(|entry| {
                        visit(entry.key);
                        visit(entry.value);
                    });
                }
            }
            Kind::SafeDict => visit(Value::Dict(self.safe_dicts.slots[at].dict)),
        }
    }

    /// Frees all unreachable cycles; the number of objects found in them.
    pub fn collect(&mut self) -> usize {
        if self.grave.busy {
            return 0;
        }
        // What has been dropped is given back first: it may be all that is needed, and its shares would hold others.
        self.bury_all();
        // What is left of each count once shares from containers are taken off.
        let mut outside: [Vec<u32>; KIND_ROWS] = Default::default();
        for &kind in CONTAINERS {
            outside[kind as usize] = self.counts[kind as usize].clone();
        }
        for &kind in CONTAINERS {
            for index in 0..self.slots(kind) as u32 {
                if self.counts[kind as usize][index as usize] != 0 {
                    self.for_each_child(kind, index, &mut |child| {
                        if let Some((kind, index)) = child.counted() {
                            if let Some(count) = outside[kind as usize].get_mut(index as usize) {
                                *count = count.wrapping_sub(1);
                            }
                        }
                    });
                }
            }
        }
        // Everything reachable from what is held outside lives: marked with u32::MAX.
        let mut work: Vec<(Kind, u32)> = Vec::new();
        for &kind in CONTAINERS {
            let row = &mut outside[kind as usize];
            for (index, count) in row.iter_mut().enumerate() {
                if *count != 0 && self.counts[kind as usize][index] != 0 {
                    *count = u32::MAX;
                    work.push((kind, index as u32));
                }
            }
        }
        let mark = |heap: &Heap, outside: &mut [Vec<u32>; KIND_ROWS], work: &mut Vec<(Kind, u32)>| {
            while let Some((kind, index)) = work.pop() {
                heap.for_each_child(kind, index, &mut |child| {
                    if let Some((kind, index)) = child.counted() {
                        if let Some(count) = outside[kind as usize].get_mut(index as usize) {
                            if *count != u32::MAX {
                                *count = u32::MAX;
                                work.push((kind, index));
                            }
                        }
                    }
                });
            }
        };
        mark(self, &mut outside, &mut work);
        // Cycles with a __del__ live on, and all they hold.
        for (index, count) in outside[Kind::Instance as usize].iter_mut().enumerate() {
            if *count == 0
                && self.counts[Kind::Instance as usize][index] != 0
                && self.classes[self.instances.slots[index].class].has_del
            {
                *count = u32::MAX;
                work.push((Kind::Instance, index as u32));
            }
        }
        mark(self, &mut outside, &mut work);
        let mut garbage = Vec::new();
        for &kind in CONTAINERS {
            for (index, count) in outside[kind as usize].iter().enumerate() {
                if *count == 0 && self.counts[kind as usize][index] != 0 {
                    garbage.push(Value::from_counted(kind, index as u32));
                }
            }
        }
        // Hold all, break all, let go of all: then counting does the rest.
        for value in &garbage {
            self.retain(*value);
        }
        for value in &garbage {
            self.break_cycle(*value);
        }
        for value in &garbage {
            self.release(*value);
        }
        self.bury_all();
        let quarter = (self.limit / 4).max(FIRST_COLLECTION);
        self.collect_at = self.used + self.used.clamp(FIRST_COLLECTION, quarter);
        garbage.len()
    }

    /// Gives back what an object of a dead cycle holds, where a cycle can pass through.
    fn break_cycle(&mut self, value: Value) {
        match value {
            Value::List(list) => {
                let items = std::mem::take(&mut self.lists[list].items);
                self.recharge_list(list);
                items.into_iter().for_each(|item| self.release(item));
            }
            Value::Dict(dict) => self.dict_clear(dict),
            Value::Set(set) => {
                let entries = self.sets[set].table.take_entries();
                self.recharge_set(set);
                entries.into_iter().for_each(|entry| self.release(entry.key));
            }
            Value::Cell(cell) => {
                let old = std::mem::replace(&mut self.cells[cell].value, Value::Unset);
                self.release(old);
            }
            Value::Class(class) => {
                self.class_epoch = self.class_epoch.wrapping_add(1);
                self.class_epoch = self.class_epoch.wrapping_add(1);
                let table = std::mem::take(&mut self.classes[class].attributes);
                self.recharge_class(class);
                self.release_table(table);
            }
            Value::Instance(instance) => {
                let data = &mut self.instances[instance];
                let count = self.shapes.count(data.shape);
                for slot in 0..count {
                    let old = std::mem::replace(self.instances[instance].slot_mut(slot), Value::Unset);
                    self.release(old);
                }
                let payload = std::mem::replace(&mut self.instances[instance].payload, Value::Unset);
                self.release(payload);
            }
            Value::Api(api) => {
                if let Some(table) = self.apis[api].attributes.take() {
                    self.release_table(*table);
                }
            }
            Value::Function(function) => {
                if let Some(table) = self.functions[function].attributes.take() {
                    self.release_table(*table);
                }
            }
            // Every cycle passes through one of the kinds above: the others
            // cannot be changed after they are made.
            _ => {}
        }
    }

    /// Compares every count with the shares found by a full trace: those held
    /// by objects, plus `outside` (what registers, tables and the caller hold).
    /// Gives the first differences as text. For tests and debug builds.
    pub fn check_counts(&self, outside: &[Value]) -> Result<(), String> {
        let mut found: [Vec<u32>; KIND_ROWS] = Default::default();
        for &kind in KINDS {
            found[kind as usize] = vec![0; self.slots(kind)];
        }
        let mut add = |value: Value| {
            if let Some((kind, index)) = value.counted() {
                found[kind as usize][index as usize] += 1;
            }
        };
        for &kind in KINDS {
            for index in 0..self.slots(kind) as u32 {
                if self.counts[kind as usize][index as usize] != 0 {
                    self.for_each_child(kind, index, &mut add);
                }
            }
        }
        for &(kind, index) in &self.grave.dead {
            self.for_each_child(kind, index, &mut add);
        }
        self.grave.held(&mut add);
        outside.iter().copied().for_each(&mut add);
        self.intern.iter().for_each(|entry| add(entry.key));
        add(self.empty_tuple);
        add(self.raised);
        add(self.raised_trace);
        self.finalizers.iter().copied().for_each(&mut add);
        self.finalized.iter().map(|entry| entry.0).for_each(&mut add);
        for index in 0..super::BUILTINS.len() as u64 {
            add(Value::Class(super::Class(index)));
        }
        for &kind in KINDS {
            for (index, count) in self.counts[kind as usize].iter().enumerate() {
                let traced = found[kind as usize][index];
                if *count != traced {
                    return Err(format!("{kind:?}#{index}: count {count}, traced {traced}"));
                }
            }
        }
        Ok(())
    }
}
