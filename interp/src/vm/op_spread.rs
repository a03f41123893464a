//! Calls with keywords and stars, as far as they are few and fit: everything else goes the long way, errors included.

use std::rc::Rc;

use super::slow::Registers;
use super::{Vm, RECURSION_LIMIT, WINDOW};
use crate::compile::{Code, Reg};
use crate::heap::{Dict, Function, Str, Value};

/// Parameters and keywords that are placed here, at most.
const FEW: usize = 16;

/// Items of a `*` that are laid out here, at most.
const FEW_ITEMS: usize = 64;

/// A few keywords with their values, borrowed.
struct Named {
    pairs: [(Str, Value); FEW],
    count: usize,
}

impl Named {
    fn push(&mut self, key: Str, value: Value) -> Option<()> {
        let known = &self.pairs[..self.count];
        if known.iter().any(|(other, _)| *other == key) {
            return None;
        }
        *self.pairs.get_mut(self.count)? = (key, value);
        self.count += 1;
        Some(())
    }

    fn get(&self) -> &[(Str, Value)] {
        &self.pairs[..self.count]
    }
}

/// Where the operands of a call lie: `positional` values from `first` on, those of the keywords, the stars.
struct Layout<'n> {
    first: usize,
    positional: usize,
    names: &'n [Str],
    extra: u8,
}

impl Layout<'_> {
    /// The first place behind the positional ones.
    fn keywords(&self) -> usize {
        self.first + self.positional
    }
    fn stars(&self) -> usize {
        self.keywords() + self.names.len()
    }
    fn star(&self) -> Option<usize> {
        (self.extra & 1 != 0).then(|| self.stars())
    }
    fn double_star(&self) -> Option<usize> {
        (self.extra & 2 != 0).then(|| self.stars() + usize::from(self.extra & 1))
    }
    fn end(&self) -> usize {
        self.stars() + usize::from(self.extra & 1) + usize::from(self.extra >> 1)
    }
}

impl Vm {
    /// The code of the function or method in `t` if it can be entered with these arguments: so many by position, those
    /// of `names` behind them, then the stars that `extra` says. All are laid out then. And the number of positional
    /// ones, with the object of a method.
    #[inline(never)]
    pub(super) fn enters_spread(
        &mut self,
        regs: &mut Registers,
        t: Reg,
        (positional, extra): (usize, u8),
        names: &[Str],
        depth: usize,
    ) -> (usize, Option<Rc<Code>>) {
        let first = usize::from(t) + 1;
        let mut call = Layout { first, positional, names, extra };
        let given = call.end() - first;
        let opened = self.open_callee(regs, t, given, positional);
        call.positional += opened.map_or(0, |opened| opened - given);
        let entered = match regs[usize::from(t)] {
            Value::Function(function) => self.enters_laid_out(regs, t, &call, function, depth),
            _ => None,
        };
        (call.positional, entered)
    }

    fn enters_laid_out(
        &mut self,
        regs: &mut Registers,
        t: Reg,
        call: &Layout,
        function: Function,
        depth: usize,
    ) -> Option<Rc<Code>> {
        if call.extra == 0 && depth < RECURSION_LIMIT && self.fuel >= 1 {
            if let Some(code) = self.bind_keywords(regs, call, function) {
                return Some(code);
            }
        }
        let items = self.few_items(regs, call)?;
        let dict = self.few_keys(regs, call)?;
        let total = call.positional + items;
        // What is laid out must be entered then: there is room, fuel and depth for it.
        let room = call.first + total + 2 * FEW + 4 <= WINDOW;
        if !room || depth >= RECURSION_LIMIT || self.fuel < 2 {
            return None;
        }
        if call.names.is_empty() && dict.is_none_or(|dict| self.heap.dicts[dict].table.is_empty()) {
            if !self.takes(function, call.first, total) {
                return None;
            }
            self.lay_out_items(regs, call, items);
            if let Some(code) = self.enters(function, total, depth) {
                return Some(code);
            }
            return self.bind_in_place(regs, t, total, function, depth);
        }
        self.enters_named(regs, call, (items, dict), function)
    }

    /// Lays out the arguments of a call with keywords alone of a function without stars: moved within the registers.
    /// Its code; `None` if that cannot be, and nothing has been changed.
    fn bind_keywords(&mut self, regs: &mut Registers, call: &Layout, function: Function) -> Option<Rc<Code>> {
        let data = &self.heap.functions[function];
        let code = &data.code;
        let (parameters, defaults) = (usize::from(code.parameters), data.defaults.len());
        let count = call.positional;
        if code.star || code.double_star || parameters > FEW || call.first + FEW + call.names.len() > WINDOW {
            return None;
        }
        let mut named = [Value::Unset; FEW];
        for (key, value) in call.names.iter().zip(&regs[call.keywords()..]) {
            let at = (count..parameters).find(|at| code.local_names[at + 1] == *key)?;
            if !named[at].is_unset() {
                return None;
            }
            named[at] = *value;
        }
        if (count..parameters).any(|at| named[at].is_unset() && at + defaults < parameters)
            || count > parameters
        {
            return None;
        }
        let code = Rc::clone(code);
        regs[call.keywords()..call.stars()].fill(Value::Unset);
        for at in count..parameters {
            regs[call.first + at] = match named[at] {
                Value::Unset => {
                    let value = self.heap.functions[function].defaults[at + defaults - parameters];
                    self.heap.share(value)
                }
                value => value,
            };
        }
        self.fuel -= 1;
        Some(code)
    }

    /// Whether a function can be called with so many arguments by position, from `first` on.
    fn takes(&self, function: Function, first: usize, count: usize) -> bool {
        let data = &self.heap.functions[function];
        let parameters = usize::from(data.code.parameters);
        let covered = parameters <= count + data.defaults.len() && (count <= parameters || data.code.star);
        covered && first + parameters + 4 <= WINDOW
    }

    /// The number of items of the `*`, if they are few and lie in a list or tuple.
    fn few_items(&self, regs: &Registers, call: &Layout) -> Option<usize> {
        let Some(star) = call.star() else { return Some(0) };
        let length = match regs[star] {
            Value::Tuple(tuple) => self.heap.tuple(tuple).len(),
            Value::List(list) => self.heap.list(list).len(),
            _ => return None,
        };
        (length <= FEW_ITEMS).then_some(length)
    }

    /// The dict of the `**`, if there is one, it is a plain one and small.
    fn few_keys(&self, regs: &Registers, call: &Layout) -> Option<Option<Dict>> {
        let Some(double_star) = call.double_star() else { return Some(None) };
        match regs[double_star] {
            Value::Dict(dict) if self.heap.dicts[dict].table.slots().len() <= FEW => Some(Some(dict)),
            _ => None,
        }
    }

    /// Replaces the stars of a call without keywords by the items.
    fn lay_out_items(&mut self, regs: &mut Registers, call: &Layout, items: usize) {
        let at = call.keywords();
        let stars = [call.star(), call.double_star()].map(|place| {
            place.map_or(Value::Unset, |place| std::mem::replace(&mut regs[place], Value::Unset))
        });
        let source = match stars[0] {
            Value::Tuple(tuple) => self.heap.tuple(tuple),
            Value::List(list) => self.heap.list(list),
            _ => &[],
        };
        regs[at..at + items].copy_from_slice(source);
        regs[at..at + items].iter().for_each(|item| self.heap.retain(*item));
        stars.into_iter().for_each(|star| self.heap.release(star));
    }

    /// The keywords of a call and their values, borrowed; `None` if one is given twice, is no str, or they are many.
    fn named(&self, regs: &Registers, call: &Layout, dict: Option<Dict>) -> Option<Named> {
        let mut named = Named { pairs: [(self.names.init, Value::Unset); FEW], count: 0 };
        for (key, value) in call.names.iter().zip(&regs[call.keywords()..]) {
            named.push(*key, *value)?;
        }
        if let Some(dict) = dict {
            for entry in self.heap.dicts[dict].table.slots() {
                match entry.key {
                    Value::Unset => {}
                    Value::Str(key) => named.push(self.heap.known_name(key), entry.value)?,
                    _ => return None,
                }
            }
        }
        Some(named)
    }

    /// Lays out the arguments of a call with keywords as the function wants them. Its code, if it can be entered
    /// now; else nothing has been changed.
    fn enters_named(
        &mut self,
        regs: &mut Registers,
        call: &Layout,
        (items, dict): (usize, Option<Dict>),
        function: Function,
    ) -> Option<Rc<Code>> {
        let data = &self.heap.functions[function];
        let code = Rc::clone(&data.code);
        let (parameters, defaults) = (usize::from(code.parameters), data.defaults.len());
        let total = call.positional + items;
        if parameters > FEW || (total > parameters && !code.star) {
            return None;
        }
        let named = self.named(regs, call, dict)?;
        // The values by the parameters they are for.
        let mut placed = [Value::Unset; FEW];
        let mut others = [false; FEW];
        for (at, (key, value)) in named.get().iter().enumerate() {
            match code.local_names.get(1..=parameters)?.iter().position(|name| name == key) {
                Some(parameter) if parameter >= total => placed[parameter] = *value,
                Some(_) => return None,
                None if code.double_star => others[at] = true,
                None => return None,
            }
        }
        let missing = (total..parameters).any(|at| placed[at].is_unset() && at + defaults < parameters);
        if missing {
            return None;
        }
        let rest = match code.double_star {
            true => Value::Dict(self.dict_of(&named, &others)?),
            false => Value::Unset,
        };
        // From here on nothing fails. The values are shared before what holds them is given back.
        placed.iter().for_each(|value| self.heap.retain(*value));
        let mut given = [Value::Unset; FEW + 2];
        let operands = &mut regs[call.keywords()..call.end()];
        given[..operands.len()].copy_from_slice(operands);
        operands.fill(Value::Unset);
        if let Some(star) = call.star() {
            let source = match given[star - call.keywords()] {
                Value::Tuple(tuple) => self.heap.tuple(tuple),
                Value::List(list) => self.heap.list(list),
                _ => &[],
            };
            let at = call.keywords();
            regs[at..at + items].copy_from_slice(source);
            regs[at..at + items].iter().for_each(|item| self.heap.retain(*item));
        }
        for at in total..parameters {
            regs[call.first + at] = match placed[at] {
                Value::Unset => {
                    let value = self.heap.functions[function].defaults[at + defaults - parameters];
                    self.heap.share(value)
                }
                value => value,
            };
        }
        if code.star {
            self.put_surplus(regs, call.first + parameters, total.saturating_sub(parameters));
        }
        if code.double_star {
            regs[call.first + parameters + usize::from(code.star)] = rest;
        }
        given.into_iter().for_each(|value| self.heap.release(value));
        self.fuel -= 1;
        Some(code)
    }

    /// A dict of those keywords that `chosen` says: owned; `None` if there is no room for it.
    fn dict_of(&mut self, named: &Named, chosen: &[bool; FEW]) -> Option<Dict> {
        let dict = self.heap.new_dict();
        for (at, (key, value)) in named.get().iter().enumerate() {
            if !chosen[at] {
                continue;
            }
            let value = self.heap.share(*value);
            if let Err(raised) = self.heap.dict_set(dict, Value::Str(*key), value) {
                let exception = self.heap.take_raised(raised);
                self.heap.release(exception);
                self.heap.release(Value::Dict(dict));
                return None;
            }
        }
        Some(dict)
    }
}
