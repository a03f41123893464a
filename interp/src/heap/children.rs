//! What an object holds: visited, taken from it, and compared with the counts.

use std::ops::Range;

use super::grave::WIDE;
use super::{Heap, Kind, Value, INLINE_SLOTS, KINDS, KIND_ROWS};

impl Heap {
    /// Calls `visit` for each share that these of an object's items hold; a position to go on from if there are more.
    /// Only lists, tuples, dicts and sets have many: all others are visited whole.
    pub(super) fn for_some_children(
        &self,
        kind: Kind,
        index: u32,
        items: Range<usize>,
        visit: &mut dyn FnMut(Value),
    ) -> Option<usize> {
        /// What lies in a range of a slice, and whether more follows.
        fn part<T>(all: &[T], range: Range<usize>) -> (&[T], Option<usize>) {
            let end = range.end.min(all.len());
            (all.get(range.start..end).unwrap_or_default(), (end < all.len()).then_some(end))
        }
        let at = index as usize;
        match kind {
            Kind::List => {
                let (items, more) = part(&self.lists.slots[at].items, items);
                items.iter().for_each(|item| visit(*item));
                more
            }
            Kind::Tuple => {
                let (items, more) = part(self.tuples.slots[at].items.as_slice(), items);
                items.iter().for_each(|item| visit(*item));
                more
            }
            Kind::Dict => {
                let (entries, more) = part(self.dicts.slots[at].table.slots(), items);
                entries.iter().filter(|entry| !entry.key.is_unset()).for_each(|entry| {
                    visit(entry.key);
                    visit(entry.value);
                });
                more
            }
            Kind::Set => {
                let (entries, more) = part(self.sets.slots[at].table.slots(), items);
                entries.iter().for_each(|entry| visit(entry.key));
                more
            }
            _ => {
                self.for_each_child(kind, index, visit);
                None
            }
        }
    }

    /// Calls `visit` for each share an object holds.
    pub(crate) fn for_each_child(&self, kind: Kind, index: u32, visit: &mut dyn FnMut(Value)) {
        let at = index as usize;
        match kind {
            Kind::Str | Kind::Long | Kind::Complex | Kind::XRange | Kind::Trace => {}
            Kind::List | Kind::Tuple | Kind::Dict | Kind::Set => {
                self.for_some_children(kind, index, 0..usize::MAX, visit);
            }
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

    /// Gives back what an object of a dead cycle holds, where a cycle can pass through.
    pub(super) fn break_cycle(&mut self, value: Value) {
        match value {
            Value::List(list) if self.lists[list].items.len() > WIDE => {
                let items = std::mem::take(&mut self.lists[list].items);
                let charged = std::mem::take(&mut self.lists[list].charged);
                self.leave_items(items, charged);
            }
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
        if let Some(collection) = &self.collection {
            collection.held(&mut add);
        }
        outside.iter().copied().for_each(&mut add);
        self.intern.iter().for_each(|entry| add(entry.key));
        add(self.empty_tuple);
        add(self.raised);
        add(self.raised_trace);
        self.finalizers.iter().copied().for_each(&mut add);
        for finalized in &self.finalized {
            add(finalized.object);
            finalized.waiting.iter().copied().for_each(&mut add);
        }
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
