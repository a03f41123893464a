//! Making and changing objects: strings, numbers, sequences, dicts, sets,
//! instances and the rest.

use dashu_int::IBig;

use super::*;

impl Heap {
    // ---- strings ----

    /// The bytes of a string.
    #[inline(always)]
    pub fn bytes(&self, text: Str) -> &[u8] {
        self.strs[text].body.as_slice()
    }

    /// Whether two strings have the same bytes.
    #[inline(always)]
    pub fn same_bytes(&self, a: Str, b: Str) -> bool {
        if a == b {
            return true;
        }
        let (a, b) = (&self.strs[a], &self.strs[b]);
        // There is one interned string of any bytes.
        if a.interned && b.interned {
            return false;
        }
        a.body.same(&b.body)
    }

    /// Whether two strings that are not the same object have the same bytes, `None` if both are long.
    #[inline(always)]
    pub(super) fn same_short(&self, a: Str, b: Str) -> Option<bool> {
        match (&self.strs[a].body, &self.strs[b].body) {
            (Bytes::Inline(a), Bytes::Inline(b)) => Some(bytes::halves(a) == bytes::halves(b)),
            (Bytes::Heap(_), Bytes::Heap(_)) => None,
            _ => Some(false),
        }
    }

    /// The bytes of a string as text for messages: bytes above 127 become replacement characters.
    pub fn text(&self, text: Str) -> String {
        String::from_utf8_lossy(self.bytes(text)).into_owned()
    }

    /// A string with a copy of the bytes: owned.
    #[inline]
    pub fn new_str(&mut self, bytes: &[u8]) -> Value {
        match *bytes {
            [byte] => self.byte(byte),
            _ if bytes.len() <= bytes::INLINE => self.add_short(bytes::short(bytes)),
            _ => {
                let mut buffer = self.spare.text(bytes.len());
                buffer.extend_from_slice(bytes);
                self.add_str(Bytes::Heap(buffer))
            }
        }
    }

    /// A string that takes a buffer over: owned.
    pub fn new_str_from(&mut self, bytes: Vec<u8>) -> Value {
        if bytes.len() == 1 {
            return self.byte(bytes[0]);
        }
        self.add_str(Bytes::take(bytes))
    }

    /// A part of a string: owned.
    #[inline]
    pub fn new_substr(&mut self, text: Str, lower: usize, upper: usize) -> Value {
        let part = &self.strs[text].body.as_slice()[lower..upper];
        match *part {
            [byte] => self.byte(byte),
            _ if part.len() <= bytes::INLINE => self.add_short(bytes::short(part)),
            _ => {
                let mut buffer = self.spare.text(part.len());
                buffer.extend_from_slice(part);
                self.add_str(Bytes::Heap(buffer))
            }
        }
    }

    /// The string of one byte: owned.
    #[inline(always)]
    pub fn byte(&mut self, byte: u8) -> Value {
        let text = self.one_byte[usize::from(byte)];
        self.share(Value::Str(text))
    }

    /// The string of one byte, borrowed.
    #[inline(always)]
    pub fn byte_str(&self, byte: u8) -> Str {
        self.one_byte[usize::from(byte)]
    }

    /// [`Heap::add_str`] of a short string: its two halves are passed and stored as they are.
    #[inline(always)]
    pub(super) fn add_short(&mut self, text: bytes::Short) -> Value {
        let (low, high) = bytes::halves(&text);
        self.add_halves(low, high)
    }

    #[inline(never)]
    fn add_halves(&mut self, low: u64, high: u64) -> Value {
        let text = (u128::from(low) | u128::from(high) << 64).to_le_bytes();
        let data = StrData { body: Bytes::Inline(text), hash: std::cell::Cell::new(0), interned: false };
        Value::Str(Str(new_slot!(self, Str, strs, data)))
    }

    #[inline]
    pub(super) fn add_str(&mut self, body: Bytes) -> Value {
        self.used += body.outside();
        let data = StrData { body, hash: std::cell::Cell::new(0), interned: false };
        Value::Str(Str(new_slot!(self, Str, strs, data)))
    }

    /// The one string of these bytes in the intern table, borrowed (it lives as long as the heap).
    /// Names of attributes and variables are interned, so that handles can be compared.
    pub fn intern(&mut self, bytes: &[u8]) -> Str {
        let hash = self.hash_bytes(bytes);
        if let Some(position) = self.intern.find_bytes(self, bytes) {
            if let Value::Str(text) = self.intern.slots()[position].key {
                return text;
            }
        }
        let value = self.add_str(Bytes::copy(bytes));
        let Value::Str(text) = value else { return Str(0) };
        self.strs[text].interned = true;
        self.hash_str(text);
        self.intern.insert_new(hash, value, ());
        text
    }

    /// The interned string equal to `text`, borrowed.
    pub fn intern_str(&mut self, text: Str) -> Str {
        if self.strs[text].interned {
            return text;
        }
        let bytes = self.bytes(text).to_vec();
        self.intern(&bytes)
    }

    /// The interned string equal to `text` if there is one, else `text` itself: for
    /// keys a program makes up, which must not stay in the intern table for ever. Borrowed.
    pub fn known_name(&self, text: Str) -> Str {
        self.find_interned(self.bytes(text)).unwrap_or(text)
    }

    /// The interned string of these bytes if there is one.
    pub fn find_interned(&self, bytes: &[u8]) -> Option<Str> {
        let position = self.intern.find_bytes(self, bytes)?;
        match self.intern.slots()[position].key {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// `left + right`, both borrowed, as a new string: owned. The room has been asked for.
    pub fn joined_str(&mut self, left: Str, right: Str) -> Value {
        let (first, second) = (&self.strs[left].body, &self.strs[right].body);
        if let Some(both) = first.joined_inline(second) {
            return match both[bytes::INLINE] {
                1 => self.byte(both[0]),
                _ => self.add_short(both),
            };
        }
        let size = first.as_slice().len() + second.as_slice().len();
        // Something short may well come behind it: a long text need not be copied for that.
        let mut whole = self.spare.text(if size > spare::LARGEST_TEXT { size + 32 } else { size });
        first.append_to(&mut whole);
        second.append_to(&mut whole);
        self.add_str(Bytes::Heap(whole))
    }

    /// Makes a string that nobody else holds `left + right`, in the buffer it has: false, and nothing done, if there is another
    /// holder, or the buffer is too small or much too large.
    #[inline]
    pub fn rejoin_str(&mut self, old: Str, left: Str, right: Str) -> bool {
        if self.counts[Kind::Str as usize][old.index()] != 1 {
            return false;
        }
        let slots = [old.index(), left.index(), right.index()];
        let texts = [left, right].map(|text| self.bytes(text).len());
        let (size, data) = (texts[0] + texts[1], &mut self.strs[old]);
        let suits = match &data.body {
            Bytes::Heap(bytes) => (size..=2 * size).contains(&bytes.capacity()) && size > bytes::INLINE,
            Bytes::Inline(..) => false,
        };
        if !suits || data.interned || slots[0] == slots[1] || slots[0] == slots[2] {
            return false;
        }
        data.hash.set(0);
        let mut body = std::mem::replace(&mut data.body, Bytes::EMPTY);
        if let Bytes::Heap(whole) = &mut body {
            whole.clear();
            self.strs[left].body.append_to(whole);
            self.strs[right].body.append_to(whole);
        }
        self.strs[old].body = body;
        true
    }

    /// `left + right`. Takes `left` over and appends in place if nobody else
    /// holds it, which makes `s += c` linear; borrows `right`.
    pub fn concat_str(&mut self, left: Str, right: Str) -> Outcome<Value> {
        let (a, b) = (self.bytes(left).len(), self.bytes(right).len());
        if let Err(raised) = self.make_room(a + b) {
            self.release(Value::Str(left));
            return Err(raised);
        }
        let (at, other) = (left.index(), right.index());
        if self.counts[Kind::Str as usize][at] == 1 && at != other && a + b > 1 && !self.strs[left].interned {
            if self.widen_str(left, right, a + b) {
                return Ok(Value::Str(left));
            }
            let before = self.strs[left].body.outside();
            if let Ok([target, source]) = self.strs.slots.get_disjoint_mut([at, other]) {
                target.body.push(&source.body);
                target.hash.set(0);
                let after = target.body.outside();
                self.used = self.used + after - before;
                return Ok(Value::Str(left));
            }
        }
        let whole = self.joined_str(left, right);
        self.release(Value::Str(left));
        Ok(whole)
    }

    /// Appends `right` to a string with room for it that nobody else holds; false if it may not be changed.
    #[inline]
    pub fn append_str(&mut self, left: Str, right: Str) -> bool {
        let Ok([target, source]) = self.strs.slots.get_disjoint_mut([left.index(), right.index()]) else {
            return false;
        };
        let done = match &mut target.body {
            _ if target.interned => false,
            Bytes::Heap(bytes) => {
                source.body.append_to(bytes);
                true
            }
            short @ Bytes::Inline(..) => match short.joined_inline(&source.body) {
                Some(both) if both[bytes::INLINE] > 1 => {
                    *short = Bytes::Inline(both);
                    true
                }
                _ => false,
            },
        };
        if done {
            target.hash.set(0);
        }
        done
    }

    /// Whether a string has room for so many bytes.
    #[inline]
    pub fn fits(&self, text: Str, size: usize) -> bool {
        match &self.strs[text].body {
            Bytes::Heap(bytes) => size <= bytes.capacity(),
            Bytes::Inline(..) => size <= bytes::INLINE,
        }
    }

    /// Appends `right` to `left`, which then has so many bytes, in another of the buffers that are kept; false if there
    /// is no need to, or it is too large.
    fn widen_str(&mut self, left: Str, right: Str, size: usize) -> bool {
        if self.fits(left, size) || 2 * size > spare::LARGEST_TEXT {
            return false;
        }
        let mut whole = self.spare.text(2 * size);
        whole.extend_from_slice(self.bytes(left));
        whole.extend_from_slice(self.bytes(right));
        self.used += whole.capacity();
        let data = &mut self.strs[left];
        data.hash.set(0);
        if let Bytes::Heap(old) = std::mem::replace(&mut data.body, Bytes::Heap(whole)) {
            self.used = self.used.saturating_sub(old.capacity());
            self.spare.keep_text(old);
        }
        true
    }

    // ---- numbers ----

    /// A `long`, whatever its size: owned.
    pub fn new_long(&mut self, value: IBig) -> Value {
        self.used += long_bytes(&value);
        Value::Long(Long(new_slot!(self, Long, longs, LongData { value })))
    }

    /// An `int` if it fits, else a `long`: owned. (What `int()` gives; sums of
    /// longs stay long, see [`Heap::new_long`].)
    pub fn new_integer(&mut self, value: IBig) -> Value {
        match i64::try_from(&value) {
            Ok(small) => Value::Int(small),
            Err(_) => self.new_long(value),
        }
    }

    /// A `complex`: owned.
    pub fn new_complex(&mut self, real: f64, imag: f64) -> Value {
        Value::Complex(Complex(new_slot!(self, Complex, complexes, ComplexData { real, imag })))
    }

    // ---- sequences ----

    /// A list: owned. Takes the items over.
    pub fn new_list(&mut self, items: Vec<Value>) -> Value {
        let charged = items.capacity() * 16;
        self.used += charged;
        Value::List(List(new_slot!(self, List, lists, ListData { items, charged })))
    }

    /// A list: owned. Takes the items over.
    #[inline]
    pub(crate) fn new_list_of(&mut self, items: &[Value]) -> Value {
        if items.is_empty() {
            return self.new_list(Vec::new());
        }
        let mut buffer = self.list_buffer(items.len());
        buffer.extend_from_slice(items);
        self.new_list(buffer)
    }

    /// A part of a list as a new one: owned.
    pub(crate) fn new_list_from(&mut self, list: List, lower: usize, upper: usize) -> Value {
        let mut buffer = self.list_buffer(upper - lower);
        buffer.extend_from_slice(&self.lists[list].items[lower..upper]);
        buffer.iter().for_each(|item| self.retain(*item));
        self.new_list(buffer)
    }

    /// An empty buffer for a list of about `count` items.
    #[inline]
    pub fn list_buffer(&mut self, count: usize) -> Vec<Value> {
        match count {
            0..=spare::LARGEST => self.spare.list(count),
            _ => Vec::with_capacity(count),
        }
    }

    /// The items of a list.
    #[inline(always)]
    pub fn list(&self, list: List) -> &[Value] {
        &self.lists[list].items
    }

    /// Makes room for `extra` more items of a list.
    #[inline]
    pub fn reserve_list(&mut self, list: List, extra: usize) -> Outcome<()> {
        let items = &self.lists[list].items;
        if items.capacity() - items.len() < extra {
            self.grow_list(list, extra)?;
        }
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn grow_list(&mut self, list: List, extra: usize) -> Outcome<()> {
        let items = &self.lists[list].items;
        // Small lists double, larger ones grow by half.
        let more = if items.len() < 64 { items.len() } else { items.len() / 2 };
        let wanted = items.len() + extra.max(more).max(4);
        if wanted <= spare::LARGEST {
            let mut buffer = self.spare.list(wanted);
            let old = &mut self.lists[list].items;
            buffer.extend_from_slice(old);
            let old = std::mem::replace(old, buffer);
            self.spare.keep_list(old);
            self.recharge_list(list);
            return Ok(());
        }
        self.make_room((wanted - items.len()).saturating_mul(16))?;
        let items = &mut self.lists[list].items;
        items.reserve_exact(wanted - items.len());
        self.recharge_list(list);
        Ok(())
    }

    /// Brings the books up to date after the buffer of a list has been changed directly.
    pub fn recharge_list(&mut self, list: List) {
        let data = &mut self.lists[list];
        let now = data.items.capacity() * 16;
        self.used = (self.used + now).saturating_sub(data.charged);
        data.charged = now;
    }

    /// Appends to a list. Takes `item` over (released if it raises).
    #[inline]
    pub fn list_push(&mut self, list: List, item: Value) -> Outcome<()> {
        if let Err(raised) = self.reserve_list(list, 1) {
            self.release(item);
            return Err(raised);
        }
        self.lists[list].items.push(item);
        Ok(())
    }

    /// A tuple: owned. Takes the items over.
    #[inline]
    pub fn new_tuple(&mut self, items: &[Value]) -> Value {
        let items = match *items {
            [] => {
                let empty = self.empty_tuple;
                return self.share(empty);
            }
            [a] => TupleItems::Inline(1, [a, Value::Unset, Value::Unset]),
            [a, b] => TupleItems::Inline(2, [a, b, Value::Unset]),
            [a, b, c] => TupleItems::Inline(3, [a, b, c]),
            _ => {
                self.used += items.len() * 16;
                TupleItems::Heap(items.into())
            }
        };
        Value::Tuple(Tuple(new_slot!(self, Tuple, tuples, TupleData { items })))
    }

    /// A tuple of two: owned. Takes the items over.
    #[inline(always)]
    pub(crate) fn new_pair(&mut self, a: Value, b: Value) -> Value {
        let items = TupleItems::Inline(2, [a, b, Value::Unset]);
        Value::Tuple(Tuple(new_slot!(self, Tuple, tuples, TupleData { items })))
    }

    /// A part of a tuple as a new one: owned.
    pub(crate) fn new_tuple_part(&mut self, tuple: Tuple, lower: usize, upper: usize) -> Value {
        let mut buffer = self.list_buffer(upper - lower);
        buffer.extend_from_slice(&self.tuple(tuple)[lower..upper]);
        buffer.iter().for_each(|item| self.retain(*item));
        let part = self.new_tuple(&buffer);
        self.spare.keep_list(buffer);
        part
    }

    /// A tuple that takes a vector over: owned.
    pub fn new_tuple_from(&mut self, items: Vec<Value>) -> Value {
        if items.len() <= 3 {
            return self.new_tuple(&items);
        }
        self.used += items.len() * 16;
        let items = TupleItems::Heap(items.into_boxed_slice());
        Value::Tuple(Tuple(new_slot!(self, Tuple, tuples, TupleData { items })))
    }

    /// The items of a tuple.
    #[inline(always)]
    pub fn tuple(&self, tuple: Tuple) -> &[Value] {
        self.tuples[tuple].items.as_slice()
    }

    // ---- the rest ----

    /// A slice: owned. Takes the parts over.
    pub fn new_slice(&mut self, start: Value, stop: Value, step: Value) -> Value {
        Value::Slice(Slice(new_slot!(self, Slice, slices, SliceData { start, stop, step })))
    }

    /// An xrange: owned.
    pub fn new_xrange(&mut self, start: i64, step: i64, length: i64) -> Value {
        Value::XRange(XRange(new_slot!(self, XRange, xranges, XRangeData { start, step, length })))
    }

    /// A function: owned. Takes all parts over but borrows `globals`.
    pub fn new_function(&mut self, data: FunctionData) -> Function {
        self.used += data.defaults.len() * 16 + data.cells.len() * 4;
        self.retain(Value::Dict(data.globals));
        Function(new_slot!(self, Function, functions, data))
    }

    /// A shared variable: owned. Takes `value` over.
    pub fn new_cell(&mut self, value: Value) -> Cell {
        Cell(new_slot!(self, Cell, cells, CellData { value }))
    }

    /// An instance without attributes: owned. Takes `payload` over, borrows `class`.
    #[inline]
    pub fn new_instance(&mut self, class: Class, payload: Value) -> Value {
        self.retain(Value::Class(class));
        let shape = self.classes[class].root_shape;
        let data = InstanceData {
            class,
            shape,
            payload,
            inline: [Value::Unset; INLINE_SLOTS],
            more: Box::default(),
            finalized: false,
        };
        Value::Instance(Instance(new_slot!(self, Instance, instances, data)))
    }

    /// What an instance of a subclass of `list`, `dict`, `int` … wraps, borrowed;
    /// `None` for ordinary instances and exceptions.
    pub fn plain_payload(&self, instance: Instance) -> Option<Value> {
        let data = &self.instances[instance];
        match data.payload {
            Value::Unset => None,
            payload => match self.classes[data.class].layout {
                Builtin::BaseException => None,
                _ => Some(payload),
            },
        }
    }

    /// An attribute in the instance itself, borrowed; `name` is interned.
    pub fn instance_attribute(&self, instance: Instance, name: Str) -> Option<Value> {
        let data = &self.instances[instance];
        self.shapes.slot(data.shape, name).map(|slot| data.slot(slot))
    }

    /// Sets an attribute in the instance itself; `name` is interned. Takes `value` over.
    pub fn set_instance_attribute(&mut self, instance: Instance, name: Str, value: Value) {
        let shape = self.instances[instance].shape;
        match self.shapes.slot(shape, name) {
            Some(slot) => {
                let old = std::mem::replace(self.instances[instance].slot_mut(slot), value);
                self.release(old);
            }
            None => {
                let next = self.shapes.with(shape, name);
                let slot = self.shapes.count(next) - 1;
                self.add_slot(instance, next, slot, value);
            }
        }
    }

    /// Adds the slot `slot`: moves the instance to a shape with one attribute more. Takes `value` over.
    #[inline]
    pub(crate) fn add_slot(&mut self, instance: Instance, next: Shape, slot: usize, value: Value) {
        let data = &mut self.instances[instance];
        data.shape = next;
        if slot < INLINE_SLOTS {
            data.inline[slot] = value;
        } else {
            let at = slot - INLINE_SLOTS;
            if at >= data.more.len() {
                let mut more = Vec::with_capacity(at + 4.max(at / 2));
                more.extend_from_slice(&data.more);
                more.resize(more.capacity(), Value::Unset);
                self.used += (more.len() - data.more.len()) * 16;
                data.more = more.into_boxed_slice();
            }
            data.more[at] = value;
        }
    }

    /// Removes an attribute from the instance; false if it has none of that name.
    pub fn delete_instance_attribute(&mut self, instance: Instance, name: Str) -> bool {
        let shape = self.instances[instance].shape;
        let Some(gone) = self.shapes.slot(shape, name) else { return false };
        let names = self.shapes.names(shape);
        let class = self.instances[instance].class;
        let mut next = self.classes[class].root_shape;
        for other in names.iter().filter(|other| **other != name) {
            next = self.shapes.with(next, *other);
        }
        let data = &mut self.instances[instance];
        let old = *data.slot_mut(gone);
        for slot in gone + 1..names.len() {
            let value = data.slot(slot);
            *data.slot_mut(slot - 1) = value;
        }
        *data.slot_mut(names.len() - 1) = Value::Unset;
        data.shape = next;
        self.release(old);
        true
    }

    /// A method: owned. Takes `function` and `object` over, borrows `class`.
    pub fn new_method(&mut self, function: Value, object: Value, class: Class) -> Value {
        self.retain(Value::Class(class));
        Value::Method(Method(new_slot!(self, Method, methods, MethodData { function, object, class })))
    }

    /// A built-in method bound to an object: owned. Takes `object` over.
    pub fn new_bound_native(&mut self, native: NativeId, object: Value) -> Value {
        let data = BoundNativeData { native, object };
        Value::BoundNative(BoundNative(new_slot!(self, BoundNative, bound_natives, data)))
    }

    /// An iterator: owned. Takes `source` over.
    pub fn new_iter(&mut self, source: Value, mode: IterMode) -> Value {
        let expected = match source {
            Value::Dict(dict) => self.dicts[dict].table.len(),
            Value::Set(set) => self.sets[set].table.len(),
            _ => 0,
        };
        Value::Iter(Iter(new_slot!(
            self,
            Iter,
            iters,
            IterData { source, position: 0, expected, mode, view: false }
        )))
    }

    /// Takes the next instance whose `__del__` is to be called: `thread` does it at `depth`, and calls nothing of the
    /// others before it has returned, but what dies meanwhile. (Each in the other, a thousand would pass the recursion
    /// limit, and each would see the others half done.)
    pub fn begin_finalizer(&mut self, thread: u64, depth: usize) -> Option<Value> {
        let object = self.finalizers.pop_front()?;
        let waiting = std::mem::take(&mut self.finalizers);
        self.retain(object);
        self.finalized.push(Finalized { object, thread, depth, waiting });
        Some(object)
    }

    /// Lets go of instances whose `__del__` has returned: one that it made reachable again
    /// lives on and has its `__del__` called again when it dies again, as in 2.7.
    pub fn settle_finalized(&mut self, thread: u64, depth: usize) {
        let done = |entry: &mut Finalized| entry.thread == thread && entry.depth >= depth;
        let settled: Vec<_> = self.finalized.extract_if(.., done).collect();
        for Finalized { object, mut waiting, .. } in settled {
            if let Value::Instance(instance) = object {
                let at = instance.0 as usize;
                if self.counts[Kind::Instance as usize].get(at).is_some_and(|count| *count > 1) {
                    self.instances[instance].finalized = false;
                }
            }
            waiting.append(&mut self.finalizers);
            self.finalizers = waiting;
            self.release(object);
        }
    }

    /// A view of a dict: owned. Takes `source` over.
    pub fn new_view(&mut self, source: Value, mode: IterMode) -> Value {
        let view = self.new_iter(source, mode);
        if let Value::Iter(iter) = view {
            self.iters[iter].view = true;
        }
        view
    }

    /// The dict behind a view, and what the view shows of it; `None` for any other value.
    pub fn view_of(&self, value: Value) -> Option<(Dict, IterMode)> {
        let Value::Iter(iter) = value else { return None };
        match self.iters[iter] {
            IterData { source: Value::Dict(dict), view: true, mode, .. } => Some((dict, mode)),
            _ => None,
        }
    }

    /// An API object: owned. Takes `label` over, borrows `class` (a built-in one).
    pub fn new_api(&mut self, class: Class, id: u64, label: Str) -> Value {
        Value::Api(Api(new_slot!(self, Api, apis, ApiData { class, id, label, attributes: None })))
    }

    /// A SafeDict on a dict: owned. Takes `dict` over.
    pub fn new_safe_dict(&mut self, dict: Dict) -> Value {
        Value::SafeDict(SafeDict(new_slot!(self, SafeDict, safe_dicts, SafeDictData { dict })))
    }

    pub(super) fn allocate_class(&mut self, data: ClassData) -> u64 {
        new_slot!(self, Class, classes, data)
    }
}
