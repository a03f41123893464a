//! Collections while the program changes the heap: what it can reach stays as it was, what it cannot reach goes in the end.

use std::collections::HashMap;

use proptest::prelude::*;

use super::super::{Heap, List, Value};

/// Variables of the program.
const REGISTERS: usize = 5;

/// What the program does next; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Act {
    /// A new object into a variable.
    New(usize),
    /// The object of the first variable also holds that of the second.
    Hold(usize, usize),
    /// The object of a variable forgets the n-th of those it holds.
    Forget(usize, usize),
    /// The first variable becomes the n-th of what the object of the second holds.
    Load(usize, usize, usize),
    /// The first variable becomes the second.
    Copy(usize, usize),
    /// A variable forgets its object.
    Clear(usize),
    /// A collection goes on by so many shares.
    Collect(usize),
}

fn acts() -> impl Strategy<Value = Act> {
    let any = 0..REGISTERS;
    prop_oneof![
        3 => any.clone().prop_map(Act::New),
        4 => (any.clone(), any.clone()).prop_map(|(a, b)| Act::Hold(a, b)),
        2 => (any.clone(), 0usize..8).prop_map(|(a, n)| Act::Forget(a, n)),
        3 => (any.clone(), any.clone(), 0usize..8).prop_map(|(a, b, n)| Act::Load(a, b, n)),
        2 => (any.clone(), any.clone()).prop_map(|(a, b)| Act::Copy(a, b)),
        2 => any.prop_map(Act::Clear),
        9 => (1usize..200).prop_map(Act::Collect),
    ]
}

/// The heap, and what the program believes: objects by number, as lists that begin with it.
struct Run {
    heap: Heap,
    registers: [Option<u64>; REGISTERS],
    values: [Value; REGISTERS],
    holds: HashMap<u64, Vec<u64>>,
    made: u64,
}

impl Run {
    fn new() -> Run {
        Run {
            heap: Heap::new(1, 64 << 20),
            registers: [None; REGISTERS],
            values: [Value::None; REGISTERS],
            holds: HashMap::new(),
            made: 0,
        }
    }

    fn list(&self, register: usize) -> Option<(u64, List)> {
        match (self.registers[register], self.values[register]) {
            (Some(number), Value::List(list)) => Some((number, list)),
            _ => None,
        }
    }

    /// Puts an owned value into a variable.
    fn set(&mut self, register: usize, number: Option<u64>, value: Value) {
        self.registers[register] = number;
        let old = std::mem::replace(&mut self.values[register], value);
        self.heap.release(old);
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::New(register) => {
                self.made += 1;
                let value = self.heap.new_list(vec![Value::Int(self.made as i64)]);
                self.holds.insert(self.made, Vec::new());
                self.set(register, Some(self.made), value);
            }
            Act::Hold(a, b) => {
                let (Some((holder, list)), Some((held, _))) = (self.list(a), self.list(b)) else { return };
                let value = self.heap.share(self.values[b]);
                self.heap.lists[list].items.push(value);
                self.heap.recharge_list(list);
                self.holds.get_mut(&holder).expect("it was made").push(held);
            }
            Act::Forget(a, n) => {
                let Some((holder, list)) = self.list(a) else { return };
                let held = self.holds.get_mut(&holder).expect("it was made");
                if !held.is_empty() {
                    let n = n % held.len();
                    held.remove(n);
                    let value = self.heap.lists[list].items.remove(n + 1);
                    self.heap.release(value);
                }
            }
            Act::Load(a, b, n) => {
                let Some((holder, list)) = self.list(b) else { return };
                let held = &self.holds[&holder];
                if !held.is_empty() {
                    let n = n % held.len();
                    let (number, value) = (held[n], self.heap.lists[list].items[n + 1]);
                    self.heap.retain(value);
                    self.set(a, Some(number), value);
                }
            }
            Act::Copy(a, b) => {
                let value = self.heap.share(self.values[b]);
                self.set(a, self.registers[b], value);
            }
            Act::Clear(register) => self.set(register, None, Value::None),
            Act::Collect(most) => {
                self.heap.collect_some(most);
            }
        }
    }

    /// What the variables reach is as the program left it; how many objects that is.
    fn look(&self) -> usize {
        let mut seen = HashMap::new();
        let mut work: Vec<(u64, Value)> = Vec::new();
        for (number, value) in self.registers.iter().zip(self.values) {
            work.extend(number.map(|number| (number, value)));
        }
        while let Some((number, value)) = work.pop() {
            let Value::List(list) = value else { panic!("object {number} is no list any more") };
            if let Some(before) = seen.insert(number, list) {
                assert_eq!(before, list, "object {number} lies at two places");
                continue;
            }
            assert_ne!(self.heap.count(value), 0, "object {number} was freed");
            let items = &self.heap.lists[list].items;
            assert!(matches!(items.first(), Some(Value::Int(i)) if *i == number as i64), "object {number}");
            let held = &self.holds[&number];
            assert_eq!(items.len(), held.len() + 1, "what object {number} holds");
            work.extend(held.iter().copied().zip(items[1..].iter().copied()));
        }
        let outside: Vec<Value> = self.values.to_vec();
        self.heap.check_counts(&outside).unwrap_or_else(|difference| panic!("{difference}"));
        seen.len()
    }

    /// Lists in use.
    fn lists(&self) -> usize {
        self.heap.lists.slots.len() - self.heap.lists.free.len()
    }
}

proptest! {
    #[test]
    fn what_can_be_reached_stays_and_the_rest_goes(acts in prop::collection::vec(acts(), 1..400)) {
        let mut run = Run::new();
        for act in &acts {
            run.act(act);
            run.look();
        }
        let reached = run.look();
        run.heap.collect();
        prop_assert_eq!(run.look(), reached);
        prop_assert_eq!(run.lists(), reached);
        let used = run.heap.used();
        prop_assert_eq!(run.heap.collect(), 0);
        prop_assert_eq!(run.heap.used(), used);
        for register in 0..REGISTERS {
            run.act(&Act::Clear(register));
        }
        run.heap.collect();
        prop_assert_eq!(run.lists(), 0);
    }
}

/// An undisturbed collection in pieces finds what one in a single go does.
#[test]
fn pieces_come_to_the_same_as_the_whole() {
    let mut run = Run::new();
    for _ in 0..100 {
        for act in [Act::New(0), Act::New(1), Act::Hold(0, 1), Act::Hold(1, 0), Act::Hold(2, 0), Act::New(2)]
        {
            run.act(&act);
        }
    }
    let before = run.lists();
    let mut pieces = 1;
    while !run.heap.collect_some(50) {
        pieces += 1;
        run.look();
    }
    assert!(pieces > 10, "{pieces} pieces for {before} objects");
    let reached = run.look();
    assert_eq!(run.lists(), reached);
    assert!(reached < 10 && before > 200, "{reached} of {before} left");
}
