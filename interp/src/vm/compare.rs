//! Truth, equality, order, membership: never calls program code.

use std::cmp::Ordering;

use super::{Vm, RECURSION_LIMIT};
use crate::heap::{Builtin, Outcome, Style, Value};
use crate::syntax::ast::CompareOperator;

impl Vm {
    /// The truth of a value.
    #[inline]
    pub fn truth(&self, value: Value) -> bool {
        match value {
            Value::Bool(b) => b.get(),
            Value::None => false,
            Value::Int(i) => i != 0,
            Value::Str(text) => !self.heap.bytes(text).is_empty(),
            Value::List(list) => !self.heap.list(list).is_empty(),
            Value::Float(x) => x.get() != 0.0,
            other => self.truth_slow(other),
        }
    }

    fn truth_slow(&self, value: Value) -> bool {
        match value {
            Value::Tuple(tuple) => !self.heap.tuple(tuple).is_empty(),
            Value::Dict(dict) => !self.heap.dicts[dict].table.is_empty(),
            Value::Set(set) => !self.heap.sets[set].table.is_empty(),
            Value::SafeDict(safe) => {
                let dict = self.heap.safe_dicts[safe].dict;
                !self.heap.dicts[dict].table.is_empty()
            }
            Value::Long(long) => !self.heap.longs[long].value.is_zero(),
            Value::Complex(complex) => {
                let data = self.heap.complexes[complex];
                data.real != 0.0 || data.imag != 0.0
            }
            Value::XRange(xrange) => self.heap.xranges[xrange].length != 0,
            Value::Instance(instance) => match self.heap.plain_payload(instance) {
                Some(payload) => self.truth(payload),
                None => true,
            },
            _ => true,
        }
    }

    /// `a == b`.
    ///
    /// # Errors
    /// RuntimeError if the values nest too deeply.
    #[inline]
    pub fn equal(&mut self, a: Value, b: Value) -> Outcome<bool> {
        match (a, b) {
            (Value::Int(x), Value::Int(y)) => Ok(x == y),
            (Value::Str(x), Value::Str(y)) => Ok(self.heap.same_bytes(x, y)),
            _ => self.equal_at(a, b, self.depth),
        }
    }

    /// Identity or equality, as containers compare their items.
    fn same_or_equal(&mut self, a: Value, b: Value, depth: usize) -> Outcome<bool> {
        match (a, b) {
            (Value::Int(x), Value::Int(y)) => Ok(x == y),
            (Value::Str(x), Value::Str(y)) => Ok(self.heap.same_bytes(x, y)),
            _ if a.same(b) => Ok(true),
            _ => self.equal_at(a, b, depth),
        }
    }

    /// Counts an item against the patience; past it, raises what makes the comparison begin again in steps.
    #[inline(always)]
    fn tire(&mut self) -> Outcome<()> {
        self.patience -= 1;
        if self.patience < 0 {
            return Err(self.heap.raise_bare(Builtin::SystemError));
        }
        Ok(())
    }

    /// How many pairs of items at the beginning of two sequences are plainly the same or equal; they count against
    /// the patience, and it bounds them.
    fn alike(&mut self, a: Value, b: Value) -> usize {
        let (x, y) = match (a, b) {
            (Value::List(x), Value::List(y)) => (self.heap.list(x), self.heap.list(y)),
            (Value::Tuple(x), Value::Tuple(y)) => (self.heap.tuple(x), self.heap.tuple(y)),
            _ => return 0,
        };
        let most = usize::try_from(self.patience).unwrap_or(0);
        let pairs = x.iter().zip(y).take(most);
        let count = pairs
            .take_while(|(x, y)| match (**x, **y) {
                (Value::Int(x), Value::Int(y)) => x == y,
                (Value::Str(x), Value::Str(y)) => x == y || self.heap.same_bytes(x, y),
                (x, y) => x.same(y),
            })
            .count();
        self.patience -= count as i64;
        count
    }

    fn too_deep<T>(&mut self) -> Outcome<T> {
        Err(self.heap.raise(Builtin::RuntimeError, "maximum recursion depth exceeded in cmp"))
    }

    fn equal_at(&mut self, a: Value, b: Value, depth: usize) -> Outcome<bool> {
        if depth > RECURSION_LIMIT {
            return self.too_deep();
        }
        let (a, b) = (self.unwrap_payload(a), self.unwrap_payload(b));
        if let Some((x, y)) = self.views_as_sets(a, b)? {
            let equal = self.equal_at(x, y, depth);
            self.heap.release(x);
            self.heap.release(y);
            return equal;
        }
        match (a, b) {
            (Value::Str(x), Value::Str(y)) => Ok(self.heap.same_bytes(x, y)),
            (Value::List(x), Value::List(y)) => {
                if self.heap.list(x).len() != self.heap.list(y).len() {
                    return Ok(false);
                }
                let mut at = self.alike(a, b);
                while let (Some(&x), Some(&y)) = (self.heap.list(x).get(at), self.heap.list(y).get(at)) {
                    self.tire()?;
                    if !self.same_or_equal(x, y, depth + 1)? {
                        return Ok(false);
                    }
                    at += 1;
                }
                Ok(true)
            }
            (Value::Tuple(x), Value::Tuple(y)) => {
                if self.heap.tuple(x).len() != self.heap.tuple(y).len() {
                    return Ok(false);
                }
                for at in self.alike(a, b)..self.heap.tuple(x).len() {
                    self.tire()?;
                    let (x, y) = (self.heap.tuple(x)[at], self.heap.tuple(y)[at]);
                    if !self.same_or_equal(x, y, depth + 1)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::Dict(_) | Value::SafeDict(_), Value::Dict(_) | Value::SafeDict(_)) => {
                let (Some(x), Some(y)) = (self.as_dict(a), self.as_dict(b)) else { return Ok(false) };
                if self.heap.dicts[x].table.len() != self.heap.dicts[y].table.len() {
                    return Ok(false);
                }
                for at in 0..self.heap.dicts[x].table.slots().len() {
                    let entry = self.heap.dicts[x].table.slots()[at];
                    if entry.key.is_unset() {
                        continue;
                    }
                    let table = &self.heap.dicts[y].table;
                    let Some(position) = table.find(&self.heap, entry.hash, entry.key) else {
                        return Ok(false);
                    };
                    let other = table.value(position);
                    self.tire()?;
                    if !self.same_or_equal(entry.value, other, depth + 1)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::Slice(x), Value::Slice(y)) => {
                let (x, y) = (self.heap.slices[x], self.heap.slices[y]);
                Ok(self.same_or_equal(x.start, y.start, depth + 1)?
                    && self.same_or_equal(x.stop, y.stop, depth + 1)?
                    && self.same_or_equal(x.step, y.step, depth + 1)?)
            }
            // NaN is not even equal to itself.
            (Value::Float(x), Value::Float(y)) => Ok(x.get() == y.get()),
            _ => Ok(self.heap.keys_equal(a, b)),
        }
    }

    /// Views of dicts compare as sets, with each other and with sets: both as sets, owned.
    fn views_as_sets(&mut self, a: Value, b: Value) -> Outcome<Option<(Value, Value)>> {
        if !matches!(a, Value::Iter(_)) && !matches!(b, Value::Iter(_)) {
            return Ok(None);
        }
        let fits = |value: Value| crate::types::is_set_view(self, value) || matches!(value, Value::Set(_));
        if !fits(a) || !fits(b) {
            return Ok(None);
        }
        let x = crate::types::from_view(self, a)?;
        match crate::types::from_view(self, b) {
            Ok(y) => Ok(Some((x, y))),
            Err(raised) => {
                self.heap.release(x);
                Err(raised)
            }
        }
    }

    /// The dict behind a dict or SafeDict.
    pub fn as_dict(&self, value: Value) -> Option<crate::heap::Dict> {
        match value {
            Value::Dict(dict) => Some(dict),
            Value::SafeDict(safe) => Some(self.heap.safe_dicts[safe].dict),
            _ => None,
        }
    }

    /// What an instance of a subclass of a built-in type wraps, else the value itself.
    #[inline]
    pub fn unwrap_payload(&self, value: Value) -> Value {
        match value {
            Value::Instance(instance) => self.heap.plain_payload(instance).unwrap_or(value),
            _ => value,
        }
    }

    /// `a operator b` for the comparison operators.
    ///
    /// # Errors
    /// RuntimeError if the values nest too deeply; TypeError for the order of complex
    /// numbers, and for `in` something that is no container.
    pub fn compare(&mut self, operator: CompareOperator, a: Value, b: Value) -> Outcome<bool> {
        use CompareOperator::*;
        match operator {
            Is => Ok(a.same(b)),
            IsNot => Ok(!a.same(b)),
            Equal => self.equal(a, b),
            NotEqual => Ok(!self.equal(a, b)?),
            In => self.contains(b, a),
            NotIn => Ok(!self.contains(b, a)?),
            Less | LessEqual | Greater | GreaterEqual => self.ordered(operator, a, b, self.depth),
        }
    }

    fn ordered(&mut self, operator: CompareOperator, a: Value, b: Value, depth: usize) -> Outcome<bool> {
        if depth > RECURSION_LIMIT {
            return self.too_deep();
        }
        let holds = |order: Ordering| match operator {
            CompareOperator::Less => order == Ordering::Less,
            CompareOperator::LessEqual => order != Ordering::Greater,
            CompareOperator::Greater => order == Ordering::Greater,
            _ => order != Ordering::Less,
        };
        let (a, b) = (self.unwrap_payload(a), self.unwrap_payload(b));
        if let Some((x, y)) = self.views_as_sets(a, b)? {
            let result = self.ordered(operator, x, y, depth);
            self.heap.release(x);
            self.heap.release(y);
            return result;
        }
        match (a, b) {
            (Value::Str(x), Value::Str(y)) => Ok(holds(self.heap.bytes(x).cmp(self.heap.bytes(y)))),
            (Value::List(x), Value::List(y)) => {
                let mut at = self.alike(a, b);
                loop {
                    let pair = (self.heap.list(x).get(at).copied(), self.heap.list(y).get(at).copied());
                    let (Some(x), Some(y)) = pair else {
                        let (x, y) = (self.heap.list(x).len(), self.heap.list(y).len());
                        return Ok(holds(x.cmp(&y)));
                    };
                    self.tire()?;
                    if !self.same_or_equal(x, y, depth + 1)? {
                        return self.ordered(operator, x, y, depth + 1);
                    }
                    at += 1;
                }
            }
            (Value::Tuple(x), Value::Tuple(y)) => {
                if let Some(order) = self.heap.plain_order(a, b) {
                    return Ok(holds(order));
                }
                let mut at = self.alike(a, b);
                loop {
                    let pair = (self.heap.tuple(x).get(at).copied(), self.heap.tuple(y).get(at).copied());
                    let (Some(x), Some(y)) = pair else {
                        let (x, y) = (self.heap.tuple(x).len(), self.heap.tuple(y).len());
                        return Ok(holds(x.cmp(&y)));
                    };
                    self.tire()?;
                    if !self.same_or_equal(x, y, depth + 1)? {
                        return self.ordered(operator, x, y, depth + 1);
                    }
                    at += 1;
                }
            }
            (Value::Set(x), Value::Set(y)) => {
                let (small, large, strict) = match operator {
                    CompareOperator::Less => (x, y, true),
                    CompareOperator::LessEqual => (x, y, false),
                    CompareOperator::Greater => (y, x, true),
                    _ => (y, x, false),
                };
                let (small, large) = (&self.heap.sets[small].table, &self.heap.sets[large].table);
                let subset =
                    small.iter().all(|entry| large.find(&self.heap, entry.hash, entry.key).is_some());
                Ok(subset && (!strict || small.len() < large.len()))
            }
            (Value::Complex(_), _) | (_, Value::Complex(_)) if self.heap.numbers_equal(a, b).is_some() => {
                self.type_error("no ordering relation is defined for complex numbers")
            }
            _ => match self.heap.compare_numbers(a, b) {
                Some(Some(order)) => Ok(holds(order)),
                // NaN is in no order with anything.
                Some(None) => Ok(false),
                None => Ok(holds(self.order_at(a, b, depth)?)),
            },
        }
    }

    /// `cmp(a, b)`: the three-way order of any two values.
    ///
    /// # Errors
    /// As [`Vm::compare`]; also TypeError for sets.
    pub fn order(&mut self, a: Value, b: Value) -> Outcome<Ordering> {
        self.order_at(a, b, self.depth)
    }

    fn order_at(&mut self, a: Value, b: Value, depth: usize) -> Outcome<Ordering> {
        if depth > RECURSION_LIMIT {
            return self.too_deep();
        }
        if a.same(b) {
            return Ok(Ordering::Equal);
        }
        let (a, b) = (self.unwrap_payload(a), self.unwrap_payload(b));
        match (a, b) {
            (Value::Str(x), Value::Str(y)) => Ok(self.heap.bytes(x).cmp(self.heap.bytes(y))),
            (Value::List(_), Value::List(_)) | (Value::Tuple(_), Value::Tuple(_)) => {
                if self.equal_at(a, b, depth)? {
                    Ok(Ordering::Equal)
                } else if self.ordered(CompareOperator::Less, a, b, depth)? {
                    Ok(Ordering::Less)
                } else {
                    Ok(Ordering::Greater)
                }
            }
            (Value::Dict(_) | Value::SafeDict(_), Value::Dict(_) | Value::SafeDict(_)) => {
                self.order_dicts(a, b, depth)
            }
            (Value::Set(x), Value::Set(y)) if self.heap.sets[x].frozen == self.heap.sets[y].frozen => {
                self.type_error("cannot compare sets using cmp()")
            }
            (Value::Set(_), Value::Set(_)) => {
                if self.equal_at(a, b, depth)? {
                    Ok(Ordering::Equal)
                } else if self.ordered(CompareOperator::Less, a, b, depth)? {
                    Ok(Ordering::Less)
                } else if self.ordered(CompareOperator::Greater, a, b, depth)? {
                    Ok(Ordering::Greater)
                } else {
                    Ok(self.order_unlike(a, b))
                }
            }
            (Value::Complex(_), _) | (_, Value::Complex(_)) if self.heap.numbers_equal(a, b).is_some() => {
                if self.equal_at(a, b, depth)? {
                    return Ok(Ordering::Equal);
                }
                self.type_error("no ordering relation is defined for complex numbers")
            }
            (Value::Slice(x), Value::Slice(y)) => {
                let (x, y) = (self.heap.slices[x], self.heap.slices[y]);
                for (x, y) in [(x.start, y.start), (x.stop, y.stop), (x.step, y.step)] {
                    let order = self.order_at(x, y, depth + 1)?;
                    if order != Ordering::Equal {
                        return Ok(order);
                    }
                }
                Ok(Ordering::Equal)
            }
            _ => {
                if let Some(order) = self.heap.compare_numbers(a, b) {
                    // NaN: neither less nor equal nor greater: 2.7 goes by the places of the types.
                    let place = |value: Value| match value {
                        Value::Bool(_) => 0,
                        Value::Float(_) => 1,
                        Value::Int(_) => 2,
                        _ => 3,
                    };
                    let by_type = place(a).cmp(&place(b)).then(Ordering::Greater);
                    return Ok(order.unwrap_or(by_type));
                }
                if self.heap.keys_equal(a, b) {
                    return Ok(Ordering::Equal);
                }
                Ok(self.order_unlike(a, b))
            }
        }
    }

    /// The order of values that have none of their own: `None` first, then numbers,
    /// then by the name of the type, then by identity.
    fn order_unlike(&self, a: Value, b: Value) -> Ordering {
        let rank = |value: Value| match value {
            Value::None => 0u8,
            _ if self.heap.numbers_equal(value, value).is_some() => 1,
            // An old-style instance could have been a number: 2.7 takes it for one.
            _ if self.style(value) == Some(Style::Old) => 1,
            _ => 2,
        };
        let by_rank = rank(a).cmp(&rank(b));
        if by_rank != Ordering::Equal {
            return by_rank;
        }
        let (x, y) = (self.heap.type_of(a), self.heap.type_of(b));
        let names = (self.type_name(a), self.type_name(b));
        let identity = |value: Value| match (value.counted(), value) {
            (Some((_, index)), _) => u64::from(index) + 1,
            (None, Value::Native(native)) => native.0 + 1,
            _ => 0,
        };
        // Two old-style instances are compared by address whatever their classes.
        let by_name = match (self.style(a), self.style(b)) {
            (Some(Style::Old), Some(Style::Old)) => Ordering::Equal,
            _ if rank(a) == 1 => Ordering::Equal,
            _ => names.0.cmp(&names.1),
        };
        by_name.then(x.index().cmp(&y.index())).then(identity(a).cmp(&identity(b)))
    }

    pub(super) fn style(&self, value: Value) -> Option<Style> {
        match value {
            Value::Instance(instance) => {
                let class = self.heap.instances[instance].class;
                Some(self.heap.classes[class].style)
            }
            _ => None,
        }
    }

    /// 2.7's order of dicts: by length, then by the least key in which they differ.
    fn order_dicts(&mut self, a: Value, b: Value, depth: usize) -> Outcome<Ordering> {
        let (Some(x), Some(y)) = (self.as_dict(a), self.as_dict(b)) else { return Ok(Ordering::Equal) };
        let by_length = self.heap.dicts[x].table.len().cmp(&self.heap.dicts[y].table.len());
        if by_length != Ordering::Equal {
            return Ok(by_length);
        }
        let first = self.least_difference(x, y, depth)?;
        let Some((first_key, first_value)) = first else { return Ok(Ordering::Equal) };
        let Some((second_key, second_value)) = self.least_difference(y, x, depth)? else {
            return Ok(Ordering::Equal);
        };
        let by_key = self.order_at(first_key, second_key, depth + 1)?;
        if by_key != Ordering::Equal {
            return Ok(by_key);
        }
        self.order_at(first_value, second_value, depth + 1)
    }

    fn least_difference(
        &mut self,
        x: crate::heap::Dict,
        y: crate::heap::Dict,
        depth: usize,
    ) -> Outcome<Option<(Value, Value)>> {
        let mut least: Option<(Value, Value)> = None;
        let mut at = 0;
        while let Some(entry) = self.heap.dicts[x].table.slots().get(at).copied() {
            at += 1;
            if entry.key.is_unset() {
                continue;
            }
            if let Some((key, _)) = least {
                if self.order_at(key, entry.key, depth + 1)? != Ordering::Greater {
                    continue;
                }
            }
            let table = &self.heap.dicts[y].table;
            let same = match table.find(&self.heap, entry.hash, entry.key) {
                Some(position) => {
                    let other = table.value(position);
                    self.same_or_equal(entry.value, other, depth + 1)?
                }
                None => false,
            };
            if !same {
                least = Some((entry.key, entry.value));
            }
        }
        Ok(least)
    }

    /// The int that a number of any kind is equal to.
    fn whole_number(&self, number: Value) -> Option<i64> {
        let whole = |x: f64| (x == x.trunc() && x.abs() < 9.2e18).then_some(x as i64);
        match self.unwrap_payload(number) {
            Value::Float(x) => whole(x.get()),
            Value::Complex(complex) => {
                let data = self.heap.complexes[complex];
                whole(data.real).filter(|_| data.imag == 0.0)
            }
            Value::Long(long) => i64::try_from(&self.heap.longs[long].value).ok(),
            other => other.as_int(),
        }
    }

    /// `item in container`.
    ///
    /// # Errors
    /// TypeError if `container` cannot contain anything, or for an unhashable key.
    pub fn contains(&mut self, container: Value, item: Value) -> Outcome<bool> {
        match container {
            Value::Dict(dict) => Ok(self.heap.dict_get(dict, item)?.is_some()),
            Value::List(list) => {
                let mut at = 0;
                while let Some(&other) = self.heap.list(list).get(at) {
                    self.tire()?;
                    if self.same_or_equal(other, item, self.depth)? {
                        return Ok(true);
                    }
                    at += 1;
                }
                Ok(false)
            }
            Value::Tuple(tuple) => {
                for at in 0..self.heap.tuple(tuple).len() {
                    self.tire()?;
                    let other = self.heap.tuple(tuple)[at];
                    if self.same_or_equal(other, item, self.depth)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Value::Str(text) => match self.unwrap_payload(item) {
                Value::Str(part) => {
                    let (text, part) = (self.heap.bytes(text), self.heap.bytes(part));
                    Ok(match *part {
                        [byte] => text.contains(&byte),
                        [] => true,
                        _ => find_bytes(text, part),
                    })
                }
                other => {
                    let name = self.type_name(other);
                    self.type_error(&format!("'in <string>' requires string as left operand, not {name}"))
                }
            },
            Value::Set(set) => match item {
                // A set is looked up as if it were frozen.
                Value::Set(other) if !self.heap.sets[other].frozen => {
                    self.heap.sets[other].frozen = true;
                    let found = self.heap.set_contains(set, item);
                    self.heap.sets[other].frozen = false;
                    found
                }
                _ => self.heap.set_contains(set, item),
            },
            Value::XRange(xrange) => {
                let data = self.heap.xranges[xrange];
                Ok(self.whole_number(item).is_some_and(|wanted| {
                    let distance = i128::from(wanted) - i128::from(data.start);
                    let step = i128::from(data.step);
                    distance % step == 0 && (0..i128::from(data.length)).contains(&(distance / step))
                }))
            }
            Value::SafeDict(_) => {
                let dict = self.checked_dict(container, item)?;
                Ok(self.heap.dict_get(dict, item)?.is_some())
            }
            Value::Instance(instance) => match self.heap.plain_payload(instance) {
                Some(payload) => self.contains(payload, item),
                None => {
                    let name = self.type_name(container);
                    self.type_error(&format!("argument of type '{name}' is not iterable"))
                }
            },
            _ => {
                let Ok(mut iteration) = self.try_iterate(container) else {
                    let name = self.type_name(container);
                    return self.type_error(&format!("argument of type '{name}' is not iterable"));
                };
                loop {
                    match self.next(&mut iteration)? {
                        Some(other) => {
                            let same = self.same_or_equal(other, item, self.depth);
                            self.heap.release(other);
                            match same {
                                Ok(false) => {}
                                decided => {
                                    self.finish(iteration);
                                    return decided;
                                }
                            }
                        }
                        None => return Ok(false),
                    }
                }
            }
        }
    }
}

/// Whether `part` (at least two bytes) occurs in `text`.
fn find_bytes(text: &[u8], part: &[u8]) -> bool {
    crate::types::kernel::search::find(text, part).is_some()
}
