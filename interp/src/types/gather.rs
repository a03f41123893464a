//! Taking all items of an iterable, in steps if there are many, and then going on with them.
use super::stepwise::{ITEMS, STEP_COST};
use super::support::release_all;
use crate::heap::{Outcome, Raised, Value};
use crate::vm::native::{pause, NativeReturn, Resume};
use crate::vm::{Iteration, Vm};

/// What is done with the items.
pub trait Then: Sized + 'static {
    /// Goes on with the items: owned.
    fn go(self, vm: &mut Vm, items: Vec<Value>) -> NativeReturn;

    /// The iterable gave an exception: the state gives back what it holds and may raise another one.
    fn failed(self, vm: &mut Vm, raised: Raised) -> Raised {
        give_back(self, vm);
        raised
    }

    /// Calls `visit` for every share the state holds.
    fn owned(&self, visit: &mut dyn FnMut(Value));
}

/// Gives back all that a state holds.
pub fn give_back<T: Then>(then: T, vm: &mut Vm) {
    let mut all = Vec::new();
    then.owned(&mut |share| all.push(share));
    release_all(&mut vm.heap, all);
}

/// Takes all items of `iterable` (borrowed) and goes on with them.
pub fn gather<T: Then>(vm: &mut Vm, iterable: Value, then: T) -> NativeReturn {
    let mut part = match Part::new(vm, iterable) {
        Ok(part) => part,
        Err(raised) => return Err(then.failed(vm, raised)),
    };
    match part.take(vm) {
        Ok(true) => then.go(vm, part.items),
        Ok(false) => {
            vm.spend(STEP_COST);
            pause(Box::new(Gather { part, then }))
        }
        Err(raised) => Err(then.failed(vm, raised)),
    }
}

/// Items taken so far.
struct Part {
    iteration: Iteration,
    items: Vec<Value>,
}

impl Part {
    fn new(vm: &mut Vm, iterable: Value) -> Outcome<Part> {
        let iteration = vm.iterate(iterable)?;
        let hint = vm.length_hint(&iteration);
        if let Err(raised) = vm.heap.make_room(hint.saturating_mul(16)) {
            vm.finish(iteration);
            return Err(raised);
        }
        Ok(Part { iteration, items: Vec::with_capacity(hint) })
    }

    /// Takes the next items; whether these were the last. An error gives back all that was taken.
    fn take(&mut self, vm: &mut Vm) -> Outcome<bool> {
        let at = self.iteration.position as usize;
        let all = match self.iteration.source {
            Value::List(list) => Some(vm.heap.list(list)),
            Value::Tuple(tuple) => Some(vm.heap.tuple(tuple)),
            _ => None,
        };
        let Some(all) = all else { return self.take_each(vm) };
        let end = all.len().min(at + ITEMS);
        let from = self.items.len();
        self.items.extend_from_slice(all.get(at..end).unwrap_or_default());
        let last = end == all.len();
        self.items[from..].iter().for_each(|&item| vm.heap.retain(item));
        self.iteration.position = end.max(at) as i64;
        vm.spend((self.items.len() - from) / 16);
        if last {
            let source = std::mem::replace(&mut self.iteration.source, Value::Unset);
            vm.heap.release(source);
        }
        Ok(last)
    }

    fn take_each(&mut self, vm: &mut Vm) -> Outcome<bool> {
        for _ in 0..ITEMS {
            if self.items.len() == self.items.capacity() {
                if let Err(raised) = vm.heap.make_room(self.items.len().saturating_mul(32)) {
                    self.give_up(vm);
                    return Err(raised);
                }
            }
            match vm.next(&mut self.iteration) {
                Ok(Some(item)) => self.items.push(item),
                Ok(None) => {
                    vm.spend(self.items.len() % ITEMS / 8);
                    return Ok(true);
                }
                Err(raised) => {
                    self.give_up(vm);
                    return Err(raised);
                }
            }
        }
        Ok(false)
    }

    fn give_up(&mut self, vm: &mut Vm) {
        release_all(&mut vm.heap, self.items.drain(..));
        let source = std::mem::replace(&mut self.iteration.source, Value::Unset);
        vm.heap.release(source);
    }
}

struct Gather<T> {
    part: Part,
    then: T,
}

impl<T: Then> Resume for Gather<T> {
    fn resume(mut self: Box<Self>, vm: &mut Vm, _: Value) -> NativeReturn {
        match self.part.take(vm) {
            Ok(true) => {
                let Gather { part, then } = *self;
                then.go(vm, part.items)
            }
            Ok(false) => {
                vm.spend(STEP_COST);
                pause(self)
            }
            Err(raised) => Err(self.then.failed(vm, raised)),
        }
    }
    fn abandon(self: Box<Self>, vm: &mut Vm) {
        let Gather { mut part, then } = *self;
        part.give_up(vm);
        give_back(then, vm);
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        visit(self.part.iteration.source);
        self.part.items.iter().copied().for_each(&mut *visit);
        self.then.owned(visit);
    }
}
