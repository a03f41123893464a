//! Large dicts and sets, a piece at a time: see [`super::stepwise`].
//!
//! What is read this way must not change meanwhile: another event that adds or removes a key makes the operation raise
//! RuntimeError, as a change during a `for` does.
use super::stepwise::{Stepwise, ITEMS};
use super::support::{fail, release_all};
use crate::heap::{Builtin, Class, Dict, IterMode, Outcome, Set, Table, Value};
use crate::syntax::ast::BinaryOperator as Op;
use crate::vm::{Iteration, Vm};

/// Keys handled in one step: each may cost a cache miss or two.
const KEYS: usize = ITEMS / 4;

/// Whether all these operands are small enough to be worked on in one go.
pub fn are_small(vm: &Vm, operands: &[Value]) -> bool {
    operands.iter().map(|&operand| size(vm, operand)).sum::<usize>() <= KEYS
}

fn size(vm: &Vm, item: Value) -> usize {
    match vm.unwrap_payload(item) {
        Value::Str(text) => vm.heap.bytes(text).len(),
        Value::List(list) => vm.heap.list(list).len(),
        Value::Tuple(tuple) => vm.heap.tuple(tuple).len(),
        Value::Set(set) => vm.heap.sets[set].table.len(),
        Value::XRange(range) => vm.heap.xranges[range].length as usize,
        Value::Iter(iter) => size(vm, vm.heap.iters[iter].source),
        other => vm.as_dict(other).map_or(0, |dict| vm.heap.dicts[dict].table.len()),
    }
}

/// What a [`SetTask`] gives in the end.
pub enum Outcomes {
    /// The set itself, as an instance of this class.
    Set(Class),
    /// This value, owned.
    Value(Value),
    /// Whether the set has all items of the last operand (`true`), or none of them.
    Has(bool),
    /// Whether the last operand, a set, has all items of the set.
    Within,
}

/// Changes a set by an operator with each operand in turn, or compares it with one.
pub struct SetTask {
    /// Owned, as all the others.
    target: Set,
    operands: Vec<Value>,
    operator: Op,
    work: Work,
    outcome: Outcomes,
    /// The next operand is a set that was made of what the program gave.
    made: bool,
}

enum Work {
    /// Take the next operand.
    Next,
    /// Put the items into a set: the target, or one made of an operand.
    Add(Iteration, Set),
    Remove(Iteration),
    Toggle(Iteration),
    /// Put those of the items that the first set has into the second, which becomes the target's content.
    Meet(Iteration, Set, Set),
    /// Look the items up in a set; what the answer has to be for each.
    Check(Iteration, Set, bool),
}

impl SetTask {
    /// Takes `target` and `outcome` over, borrows the operands.
    pub fn new(vm: &mut Vm, target: Set, operands: &[Value], operator: Op, outcome: Outcomes) -> SetTask {
        let mut operands = operands.to_vec();
        operands.iter().for_each(|&operand| vm.heap.retain(operand));
        operands.reverse();
        SetTask { target, operands, operator, work: Work::Next, outcome, made: false }
    }

    /// [`SetTask::new`] with a set or anything as the first content of the target. Borrows it.
    pub fn of(
        vm: &mut Vm,
        frozen: bool,
        first: Value,
        operands: &[Value],
        operator: Op,
        outcome: Outcomes,
    ) -> Outcome<SetTask> {
        let iteration = vm.iterate(first)?;
        let target = vm.heap.new_set(frozen);
        let work = Work::Add(iteration, target);
        vm.heap.retain(Value::Set(target));
        Ok(SetTask { work, ..SetTask::new(vm, target, operands, operator, outcome) })
    }

    /// Begins with the next operand; false if there is none.
    fn next(&mut self, vm: &mut Vm) -> Outcome<bool> {
        let Some(&operand) = self.operands.last() else { return Ok(false) };
        let plain = vm.unwrap_payload(operand);
        let checks = matches!(self.outcome, Outcomes::Has(_) | Outcomes::Within);
        let needs_set = checks || matches!(self.operator, Op::And | Op::Xor);
        if needs_set && !matches!(plain, Value::Set(_)) {
            let iteration = vm.iterate(operand)?;
            let made = vm.heap.new_set(true);
            // The operand is replaced by the set made of it.
            self.operands.pop();
            vm.heap.release(operand);
            self.operands.push(Value::Set(made));
            self.made = true;
            vm.heap.retain(Value::Set(made));
            self.work = Work::Add(iteration, made);
            return Ok(true);
        }
        if let (Value::Set(set), false) = (plain, checks) {
            if set == self.target {
                // With itself: all or nothing.
                if matches!(self.operator, Op::Subtract | Op::Xor) {
                    let entries = vm.heap.sets[set].table.take_entries();
                    vm.heap.recharge_set(set);
                    release_all(&mut vm.heap, entries.into_iter().map(|entry| entry.key));
                }
                self.operands.pop();
                vm.heap.release(operand);
                return Ok(true);
            }
        }
        self.work = match (&self.outcome, plain) {
            (Outcomes::Has(all), Value::Set(set)) => {
                let has = *all;
                let iteration = vm.iterate(Value::Set(set))?;
                vm.heap.retain(Value::Set(self.target));
                Work::Check(iteration, self.target, has)
            }
            (Outcomes::Within, Value::Set(set)) => {
                let iteration = vm.iterate(Value::Set(self.target))?;
                vm.heap.retain(Value::Set(set));
                Work::Check(iteration, set, true)
            }
            (_, Value::Set(other)) if self.operator == Op::And => {
                // Which of two equal items stays: see `Algebra::Intersection`.
                let sizes = [self.target, other].map(|set| vm.heap.sets[set].table.len());
                let own = !std::mem::take(&mut self.made) && sizes[0] < sizes[1];
                let (read, asked) = if own { (self.target, other) } else { (other, self.target) };
                let iteration = vm.iterate(Value::Set(read))?;
                vm.heap.retain(Value::Set(asked));
                Work::Meet(iteration, asked, vm.heap.new_set(false))
            }
            _ => {
                let iteration = vm.iterate(operand)?;
                match self.operator {
                    Op::Subtract => Work::Remove(iteration),
                    Op::Xor => Work::Toggle(iteration),
                    _ => {
                        vm.heap.retain(Value::Set(self.target));
                        Work::Add(iteration, self.target)
                    }
                }
            }
        };
        self.operands.pop();
        vm.heap.release(operand);
        Ok(true)
    }

    /// The work under way is over.
    fn rest(&mut self, vm: &mut Vm) {
        if let Work::Meet(_, _, met) = self.work {
            vm.heap.swap_sets(self.target, met);
        }
        let shares = self.work.shares();
        self.work = Work::Next;
        release_all(&mut vm.heap, shares);
    }

    /// Does a piece of the work: a value if that decides the outcome.
    fn piece(&mut self, vm: &mut Vm) -> Outcome<Option<Value>> {
        for _ in 0..KEYS {
            match &mut self.work {
                Work::Next => {
                    if !self.next(vm)? {
                        return self.result(vm).map(Some);
                    }
                }
                Work::Add(iteration, _)
                | Work::Remove(iteration)
                | Work::Toggle(iteration)
                | Work::Meet(iteration, ..)
                | Work::Check(iteration, ..) => match vm.next(iteration)? {
                    Some(item) => {
                        let done = self.put(vm, item);
                        vm.heap.release(item);
                        if !done? {
                            return Ok(Some(Value::bool(false)));
                        }
                    }
                    None => self.rest(vm),
                },
            }
        }
        Ok(None)
    }

    /// Handles one item (borrowed); false if that decides a check.
    fn put(&mut self, vm: &mut Vm, item: Value) -> Outcome<bool> {
        match self.work {
            Work::Add(_, set) => vm.heap.set_add(set, item).map(|_| true),
            Work::Remove(_) => vm.heap.set_remove(self.target, item).map(|_| true),
            Work::Toggle(_) => {
                if !vm.heap.set_remove(self.target, item)? {
                    vm.heap.set_add(self.target, item)?;
                }
                Ok(true)
            }
            Work::Check(_, set, wanted) => Ok(vm.heap.set_contains(set, item)? == wanted),
            Work::Meet(_, asked, met) => {
                if vm.heap.set_contains(asked, item)? {
                    vm.heap.set_add(met, item)?;
                }
                Ok(true)
            }
            Work::Next => Ok(true),
        }
    }

    fn result(&mut self, vm: &mut Vm) -> Outcome<Value> {
        Ok(match self.outcome {
            Outcomes::Set(class) => {
                vm.heap.retain(Value::Set(self.target));
                let set = Value::Set(self.target);
                match vm.heap.classes[class].style {
                    crate::heap::Style::Builtin => set,
                    _ => vm.heap.new_instance(class, set),
                }
            }
            Outcomes::Value(value) => vm.heap.share(value),
            Outcomes::Has(_) | Outcomes::Within => Value::bool(true),
        })
    }
}

impl Work {
    fn shares(&mut self) -> Vec<Value> {
        let mut all = Vec::new();
        self.owned(&mut |share| all.push(share));
        all
    }

    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        match self {
            Work::Next => {}
            Work::Add(iteration, set) | Work::Check(iteration, set, _) => {
                visit(iteration.source);
                visit(Value::Set(*set));
            }
            Work::Remove(iteration) | Work::Toggle(iteration) => visit(iteration.source),
            Work::Meet(iteration, asked, met) => {
                visit(iteration.source);
                visit(Value::Set(*asked));
                visit(Value::Set(*met));
            }
        }
    }
}

impl Stepwise for SetTask {
    fn step(&mut self, vm: &mut Vm) -> Outcome<Option<Value>> {
        self.piece(vm)
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::Set(self.target));
        self.operands.iter().copied().for_each(&mut *visit);
        self.work.owned(&mut *visit);
        if let Outcomes::Value(value) = self.outcome {
            visit(value);
        }
    }
}

/// Puts the entries of a dict into another one.
pub struct Merge {
    target: Dict,
    source: Dict,
    at: usize,
    version: u32,
    /// What comes of it, owned.
    result: Value,
}

impl Merge {
    /// Takes `target` and `result` over, borrows `source`.
    pub fn new(vm: &mut Vm, target: Dict, source: Dict, result: Value) -> Merge {
        vm.heap.retain(Value::Dict(source));
        Merge { target, source, at: 0, version: vm.heap.dicts[source].table.version(), result }
    }
}

fn unchanged(vm: &mut Vm, dict: Dict, version: u32) -> Outcome<()> {
    if vm.heap.dicts[dict].table.version() != version {
        return fail(vm, Builtin::RuntimeError, "dictionary changed size during iteration");
    }
    Ok(())
}

impl Stepwise for Merge {
    fn step(&mut self, vm: &mut Vm) -> Outcome<Option<Value>> {
        unchanged(vm, self.source, self.version)?;
        for _ in 0..KEYS {
            let Some(&entry) = vm.heap.dicts[self.source].table.slots().get(self.at) else {
                return Ok(Some(vm.heap.share(self.result)));
            };
            self.at += 1;
            if !entry.key.is_unset() {
                let item = vm.heap.share(entry.value);
                vm.heap.dict_set(self.target, entry.key, item)?;
            }
        }
        Ok(None)
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::Dict(self.target));
        visit(Value::Dict(self.source));
        visit(self.result);
    }
}

/// `dict.keys()`, `values()` and `items()`; the room has been asked for.
pub struct Listed {
    dict: Dict,
    mode: IterMode,
    at: usize,
    version: u32,
    items: Vec<Value>,
}

impl Listed {
    /// Borrows the dict.
    pub fn new(vm: &mut Vm, dict: Dict, mode: IterMode) -> Listed {
        vm.heap.retain(Value::Dict(dict));
        let table: &Table<Value> = &vm.heap.dicts[dict].table;
        Listed { dict, mode, at: 0, version: table.version(), items: Vec::with_capacity(table.len()) }
    }
}

impl Stepwise for Listed {
    fn step(&mut self, vm: &mut Vm) -> Outcome<Option<Value>> {
        unchanged(vm, self.dict, self.version)?;
        for _ in 0..2 * KEYS {
            let Some(&entry) = vm.heap.dicts[self.dict].table.slots().get(self.at) else {
                let items = std::mem::take(&mut self.items);
                return Ok(Some(vm.heap.new_list(items)));
            };
            self.at += 1;
            if entry.key.is_unset() {
                continue;
            }
            self.items.push(match self.mode {
                IterMode::Items => vm.heap.share(entry.key),
                IterMode::Values => vm.heap.share(entry.value),
                IterMode::Pairs => {
                    let pair = [vm.heap.share(entry.key), vm.heap.share(entry.value)];
                    vm.heap.new_tuple(&pair)
                }
            });
        }
        Ok(None)
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::Dict(self.dict));
        self.items.iter().copied().for_each(visit);
    }
}

/// What the items of an iterable become in a dict.
#[derive(Clone, Copy)]
pub enum Entries {
    /// Each is a key and its value.
    Pairs,
    /// Each is a key of this value, which the filling owns.
    Keys(Value),
}

/// Fills a dict with items that were taken from an iterable; all owned.
pub struct FillDict {
    /// The dict.
    pub target: Dict,
    /// The items.
    pub items: Vec<Value>,
    /// The next one.
    pub at: usize,
    /// What they are.
    pub entries: Entries,
    /// What comes of it.
    pub result: Value,
}

impl Stepwise for FillDict {
    fn step(&mut self, vm: &mut Vm) -> Outcome<Option<Value>> {
        let end = self.items.len().min(self.at + KEYS);
        match self.entries {
            Entries::Pairs => super::dicts::merge_pairs(vm, self.target, &self.items[..end], self.at)?,
            Entries::Keys(item) => {
                for &key in &self.items[self.at..end] {
                    let item = vm.heap.share(item);
                    vm.heap.dict_set(self.target, key, item)?;
                }
            }
        }
        self.at = end;
        Ok((end == self.items.len()).then(|| vm.heap.share(self.result)))
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::Dict(self.target));
        self.items.iter().copied().for_each(&mut *visit);
        if let Entries::Keys(item) = self.entries {
            visit(item);
        }
        visit(self.result);
    }
}
