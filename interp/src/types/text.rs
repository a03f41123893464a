//! `repr` and `str` of everything.
//!
//! Containers are walked with a stack of levels, never by native recursion; an instance whose class defines `__repr__`
//! or `__str__` suspends the walk until the program's function has returned.
use super::exceptions;
use super::kernel::{bigjob, complex, float, long, percent, strrepr};
use super::long_text::{Map, MapText};
use super::stepwise;
use super::support::{fail, type_name, work};
use crate::heap::{Builtin, Class, Heap, Instance, Outcome, Raised, Str, Style, Value};
use crate::vm::native::{call, pause, value, CallArgs, NativeReturn, Resume};
use crate::vm::Vm;

/// Nesting past which 2.7 gives up, its recursion limit taken as the measure.
const DEPTH: usize = 980;
/// Values written between two check points: a millisecond or two.
const CHECK_POINT: usize = 20_000;
/// Texts up to this size are copied from the buffer they are made in, in bytes.
const SHORT: usize = 1024;
/// Longs of more words than this are converted in steps.
const LONG_WORDS: usize = 300;

/// Which text is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `repr`
    Repr,
    /// `str`
    Str,
}

/// `repr(item)`; see [`super::repr`].
pub fn repr(vm: &mut Vm, item: Value) -> NativeReturn {
    text(vm, item, Mode::Repr)
}

/// `str(item)`; see [`super::to_str`].
pub fn to_str(vm: &mut Vm, item: Value) -> NativeReturn {
    if matches!(item, Value::Str(_)) {
        return value(vm.heap.share(item));
    }
    text(vm, item, Mode::Str)
}

fn text(vm: &mut Vm, item: Value, mode: Mode) -> NativeReturn {
    match item {
        Value::Int(i) => {
            let mut buffer = [0u8; 20];
            let digits = decimal(i, &mut buffer);
            return value(vm.heap.new_str(digits));
        }
        Value::Long(long) if long::words(&vm.heap.longs[long].value) > LONG_WORDS => {
            return long_text(vm, long, mode);
        }
        Value::Str(text) if mode == Mode::Repr && stepwise::is_large(vm.heap.bytes(text).len()) => {
            return large_repr(vm, text);
        }
        _ => {}
    }
    let mut out = std::mem::take(&mut vm.scratch);
    if scalar(&vm.heap, &mut out, item, mode) {
        let shown = if out.len() > SHORT { vm.heap.new_str_from(out) } else { vm.scratch_str(out) };
        return value(shown);
    }
    vm.give_scratch(out);
    let item = vm.heap.share(item);
    Box::new(Printer { out: Vec::new(), levels: Vec::new(), next: Some((item, mode)), room: 0, written: 0 })
        .run(vm)
}

/// `repr` of a large string.
fn large_repr(vm: &mut Vm, text: Str) -> NativeReturn {
    let bytes = vm.heap.bytes(text);
    let (size, quote) = (bytes.len(), strrepr::quote(bytes));
    vm.heap.make_room(strrepr::repr_bound(vm.heap.bytes(text)))?;
    let mut left = size;
    let map: Map = Box::new(move |piece, out| {
        if left == size {
            out.push(quote);
        }
        strrepr::push_escaped(out, piece, quote);
        left -= piece.len();
        if left == 0 {
            out.push(quote);
        }
    });
    let mapped = MapText::new(vm, text, size + 2, map);
    stepwise::start(vm, mapped)
}

/// Decimal text of a small integer, without allocating.
pub fn decimal(i: i64, buffer: &mut [u8; 20]) -> &[u8] {
    let mut at = percent::decimal_digits(i.unsigned_abs(), buffer);
    if i < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    &buffer[at..]
}

fn long_text(vm: &mut Vm, long: crate::heap::Long, mode: Mode) -> NativeReturn {
    let number = vm.heap.longs[long].value.clone();
    vm.heap.make_room(long::words(&number).saturating_mul(20))?;
    let plain = |vm: &mut Vm, text: Vec<u8>| value(vm.heap.new_str_from(text));
    let suffixed = |vm: &mut Vm, mut text: Vec<u8>| {
        text.push(b'L');
        value(vm.heap.new_str_from(text))
    };
    match mode {
        Mode::Str => work(vm, move |fuel| bigjob::decimal_text(fuel, number), plain),
        Mode::Repr => work(vm, move |fuel| bigjob::decimal_text(fuel, number), suffixed),
    }
}

/// The identity of a value as `id()` and `repr` show it: distinct for distinct objects, and no address of this process.
pub fn identity(item: Value) -> i64 {
    match item.counted() {
        Some((kind, index)) => 0x7f00_0000_0000 + ((kind as i64) << 33) + (i64::from(index) << 4),
        None => match item {
            Value::Int(i) => 0x10_0000 + (i.rotate_left(5) & (i64::MAX >> 1)),
            Value::Float(x) => 0x20_0000 + ((x.get().to_bits().rotate_left(9) >> 2) as i64),
            Value::Native(native) => 0x30_0000 + ((native.0 as i64) << 4),
            Value::Bool(b) => 0x40_0000 + (i64::from(b.get()) << 4),
            Value::NotImplemented => 0x40_0020,
            Value::Ellipsis => 0x40_0030,
            _ => 0x40_0040,
        },
    }
}

/// Appends the text of a value that needs no walk; false if it does.
pub fn scalar(heap: &Heap, out: &mut Vec<u8>, item: Value, mode: Mode) -> bool {
    match item {
        Value::Unset | Value::None => out.extend_from_slice(b"None"),
        Value::NotImplemented => out.extend_from_slice(b"NotImplemented"),
        Value::Ellipsis => out.extend_from_slice(b"Ellipsis"),
        Value::Bool(b) => out.extend_from_slice(if b.get() { b"True" } else { b"False" }),
        Value::Int(i) => out.extend_from_slice(decimal(i, &mut [0; 20])),
        Value::Float(x) => match mode {
            Mode::Repr => out.extend(float::repr(x.get())),
            Mode::Str => out.extend(float::to_str(x.get())),
        },
        Value::Str(text) => match mode {
            Mode::Repr => strrepr::push_repr(out, heap.bytes(text)),
            Mode::Str => out.extend_from_slice(heap.bytes(text)),
        },
        Value::Long(long) => {
            long::push_decimal(out, &heap.longs[long].value);
            if mode == Mode::Repr {
                out.push(b'L');
            }
        }
        Value::Complex(c) => {
            let data = heap.complexes[c];
            out.extend(complex::text(complex::Complex::new(data.real, data.imag), mode == Mode::Repr));
        }
        Value::XRange(range) => {
            let data = heap.xranges[range];
            let stop = data.start.wrapping_add(data.step.wrapping_mul(data.length));
            let text = match (data.start, data.step) {
                (0, 1) => format!("xrange({stop})"),
                (start, 1) => format!("xrange({start}, {stop})"),
                (start, step) => format!("xrange({start}, {stop}, {step})"),
            };
            out.extend_from_slice(text.as_bytes());
        }
        Value::Class(class) => push_class(heap, out, class, mode),
        Value::Function(function) => {
            let name = heap.text(heap.functions[function].code.name);
            out.extend_from_slice(format!("<function {name} at 0x{:x}>", identity(item)).as_bytes());
        }
        Value::Cell(_) | Value::Iter(_) if heap.view_of(item).is_none() => {
            let name = type_name(heap, item);
            out.extend_from_slice(format!("<{name} object at 0x{:x}>", identity(item)).as_bytes());
        }
        Value::Api(_) => crate::api::show::push_repr(heap, item, out, usize::MAX, 0),
        _ => return false,
    }
    true
}

fn push_class(heap: &Heap, out: &mut Vec<u8>, class: Class, mode: Mode) {
    let data = &heap.classes[class];
    let name = heap.text(data.name);
    let text = match (data.style, data.module) {
        (Style::Old, module) if mode == Mode::Str => format!("{module}.{name}"),
        (Style::Old, module) => format!("<class {module}.{name} at 0x{:x}>", identity(Value::Class(class))),
        (Style::Builtin, "__builtin__") => format!("<type '{name}'>"),
        (Style::Builtin, module @ "exceptions") => format!("<type '{module}.{name}'>"),
        (_, module) => format!("<class '{module}.{name}'>"),
    };
    out.extend_from_slice(text.as_bytes());
}

/// A container being walked; `holder` is owned.
struct Level {
    holder: Value,
    at: usize,
    kind: Shape,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    List,
    Tuple,
    /// A dict; the flag says that the value of the entry at `at` comes next.
    Dict(bool),
    Set,
    Slice,
    /// Only the closing text is left.
    Close(&'static [u8]),
    /// `<bound method C.f of …>`
    Closing,
}

struct Printer {
    out: Vec<u8>,
    levels: Vec<Level>,
    next: Option<(Value, Mode)>,
    /// Size at which room for more is asked for.
    room: usize,
    /// Values written since the last check point.
    written: usize,
}

enum Step {
    Go,
    Call(NativeReturn),
}

impl Printer {
    fn run(mut self: Box<Self>, vm: &mut Vm) -> NativeReturn {
        loop {
            if self.written >= CHECK_POINT {
                self.written = 0;
                vm.spend(CHECK_POINT * 10);
                return pause(self);
            }
            let step = match self.next.take() {
                Some((item, mode)) => {
                    self.written += 1;
                    let step = self.put(vm, item, mode);
                    vm.heap.release(item);
                    step
                }
                None => {
                    if self.levels.is_empty() {
                        let out = std::mem::take(&mut self.out);
                        return value(vm.heap.new_str_from(out));
                    }
                    self.advance(&mut vm.heap).map(|()| Step::Go)
                }
            };
            match step {
                Ok(Step::Go) => {}
                Ok(Step::Call(Ok(crate::vm::native::Flow::Value(text)))) => {
                    if let Value::Str(text) = text {
                        self.out.extend_from_slice(vm.heap.bytes(text));
                    }
                    vm.heap.release(text);
                }
                Ok(Step::Call(Ok(flow))) => return Ok(super::chain::chain_pending(flow, self)),
                Ok(Step::Call(Err(raised))) | Err(raised) => {
                    self.abandon(vm);
                    return Err(raised);
                }
            }
            if self.out.len() >= self.room {
                vm.spend(self.room / 64);
                let wanted = self.out.len().max(1024) * 2;
                if let Err(raised) = vm.heap.make_room(wanted) {
                    self.abandon(vm);
                    return Err(raised);
                }
                self.room = wanted;
            }
        }
    }

    /// Writes one value, or opens a level for it.
    fn put(&mut self, vm: &mut Vm, item: Value, mode: Mode) -> Result<Step, Raised> {
        if let Value::Long(long) = item {
            if long::words(&vm.heap.longs[long].value) > LONG_WORDS {
                return Ok(Step::Call(long_text(vm, long, mode)));
            }
        }
        if let Value::Str(text) = item {
            let bound = strrepr::repr_bound(vm.heap.bytes(text));
            vm.heap.make_room(bound)?;
        }
        if scalar(&vm.heap, &mut self.out, item, mode) {
            return Ok(Step::Go);
        }
        match item {
            Value::List(_) => self.open(vm, item, b"[", Shape::List, b"[...]"),
            Value::Tuple(_) => self.open(vm, item, b"(", Shape::Tuple, b"(...)"),
            Value::Dict(_) => self.open(vm, item, b"{", Shape::Dict(false), b"{...}"),
            Value::SafeDict(safe) => {
                let dict = Value::Dict(vm.heap.safe_dicts[safe].dict);
                self.open(vm, dict, b"{", Shape::Dict(false), b"{...}")
            }
            Value::Set(set) => {
                let name: &[u8] = if vm.heap.sets[set].frozen { b"frozenset" } else { b"set" };
                self.open_set(vm, item, name)
            }
            Value::Iter(_) => {
                let name = type_name(&vm.heap, item);
                self.out.extend_from_slice(name.as_bytes());
                self.out.push(b'(');
                let items = vm.collect_items(item)?;
                self.push(vm, item, Shape::Close(b")"))?;
                self.next = Some((vm.heap.new_list(items), Mode::Repr));
                Ok(Step::Go)
            }
            Value::Slice(_) => self.open(vm, item, b"slice(", Shape::Slice, b"slice(...)"),
            Value::Native(native) => {
                let row = *vm.native(native);
                let text = if row.method {
                    format!("<method '{}' of '{}' objects>", row.name, owner_of(&vm.heap, native))
                } else {
                    format!("<built-in function {}>", row.name)
                };
                self.out.extend_from_slice(text.as_bytes());
                Ok(Step::Go)
            }
            Value::BoundNative(method) => {
                let data = vm.heap.bound_natives[method];
                let name = vm.native(data.native).name;
                let class = type_name(&vm.heap, data.object);
                let id = identity(data.object);
                self.out.extend_from_slice(
                    format!("<built-in method {name} of {class} object at 0x{id:x}>").as_bytes(),
                );
                Ok(Step::Go)
            }
            Value::Method(method) => {
                let data = vm.heap.methods[method];
                let class = vm.heap.text(vm.heap.classes[data.class].name);
                let name = match data.function {
                    Value::Function(function) => vm.heap.text(vm.heap.functions[function].code.name),
                    Value::Native(native) => vm.native(native).name.to_owned(),
                    _ => "?".to_owned(),
                };
                if data.object.is_unset() {
                    self.out.extend_from_slice(format!("<unbound method {class}.{name}>").as_bytes());
                    return Ok(Step::Go);
                }
                self.out.extend_from_slice(format!("<bound method {class}.{name} of ").as_bytes());
                self.push(vm, item, Shape::Closing)?;
                self.next = Some((vm.heap.share(data.object), Mode::Repr));
                Ok(Step::Go)
            }
            Value::Instance(instance) => self.put_instance(vm, item, instance, mode),
            _ => Ok(Step::Go),
        }
    }

    fn put_instance(
        &mut self,
        vm: &mut Vm,
        item: Value,
        instance: Instance,
        mode: Mode,
    ) -> Result<Step, Raised> {
        if let Some(call) = program_text(vm, item, instance, mode)? {
            return Ok(Step::Call(call));
        }
        let class = vm.heap.instances[instance].class;
        let data = &vm.heap.classes[class];
        if data.layout == Builtin::BaseException {
            return self.put_exception(vm, item, instance, mode);
        }
        if let Some(payload) = vm.heap.plain_payload(instance) {
            if let Value::Set(_) = payload {
                let name = vm.heap.bytes(vm.heap.classes[class].name).to_vec();
                return self.open_set(vm, payload, &name);
            }
            return self.put(vm, payload, mode);
        }
        let (name, module) = (vm.heap.text(data.name), data.module);
        let text = match data.style {
            Style::Old => format!("<{module}.{name} instance at 0x{:x}>", identity(item)),
            Style::Builtin if module == "__builtin__" => format!("<{name} object at 0x{:x}>", identity(item)),
            _ => format!("<{module}.{name} object at 0x{:x}>", identity(item)),
        };
        self.out.extend_from_slice(text.as_bytes());
        Ok(Step::Go)
    }

    fn put_exception(
        &mut self,
        vm: &mut Vm,
        item: Value,
        instance: Instance,
        mode: Mode,
    ) -> Result<Step, Raised> {
        let payload = vm.heap.instances[instance].payload;
        if mode == Mode::Str {
            match exceptions::str_parts(vm, instance)? {
                exceptions::StrParts::Nothing => {}
                exceptions::StrParts::Text(text) => self.out.extend_from_slice(&text),
                exceptions::StrParts::One(inner, inner_mode) => {
                    self.push(vm, item, Shape::Close(b""))?;
                    self.next = Some((vm.heap.share(inner), inner_mode));
                }
            }
            return Ok(Step::Go);
        }
        let name = vm.heap.classes[vm.heap.instances[instance].class].name;
        self.out.extend_from_slice(vm.heap.bytes(name));
        match payload {
            Value::Tuple(_) => {
                self.next = Some((vm.heap.share(payload), Mode::Repr));
            }
            _ => self.out.extend_from_slice(b"()"),
        }
        Ok(Step::Go)
    }

    fn open_set(&mut self, vm: &mut Vm, set: Value, name: &[u8]) -> Result<Step, Raised> {
        let again = [name, b"(...)"].concat();
        let start = [name, b"(["].concat();
        self.open(vm, set, &start, Shape::Set, &again)
    }

    fn open(
        &mut self,
        vm: &mut Vm,
        item: Value,
        start: &[u8],
        kind: Shape,
        again: &[u8],
    ) -> Result<Step, Raised> {
        if self.levels.iter().any(|level| level.holder.same(item)) {
            self.out.extend_from_slice(again);
            return Ok(Step::Go);
        }
        self.out.extend_from_slice(start);
        self.push(vm, item, kind)?;
        Ok(Step::Go)
    }

    fn push(&mut self, vm: &mut Vm, item: Value, kind: Shape) -> Outcome<()> {
        if self.levels.len() >= DEPTH {
            let what = if matches!(kind, Shape::Close(_)) { "str" } else { "repr" };
            let text = format!("maximum recursion depth exceeded while getting the {what} of an object");
            return fail(vm, Builtin::RuntimeError, text);
        }
        vm.heap.retain(item);
        self.levels.push(Level { holder: item, at: 0, kind });
        Ok(())
    }

    /// Fetches the next item of the innermost level, or closes it.
    fn advance(&mut self, heap: &mut Heap) -> Outcome<()> {
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        let at = level.at;
        let mut next = None;
        let close: &[u8] = match (level.kind, level.holder) {
            (Shape::List, Value::List(list)) => {
                next = heap.list(list).get(at).copied();
                b"]"
            }
            (Shape::Tuple, Value::Tuple(tuple)) => {
                next = heap.tuple(tuple).get(at).copied();
                if heap.tuple(tuple).len() == 1 {
                    b",)"
                } else {
                    b")"
                }
            }
            (Shape::Set, Value::Set(set)) => {
                let mut slots =
                    heap.sets[set].table.slots()[at.min(heap.sets[set].table.slots().len())..].iter();
                let skipped = slots.position(|entry| !entry.key.is_unset());
                if let Some(skipped) = skipped {
                    next = Some(heap.sets[set].table.slots()[at + skipped].key);
                    if at > 0 {
                        self.out.extend_from_slice(b", ");
                    }
                    level.at = at + skipped + 1;
                    self.next = next.map(|item| (heap.share(item), Mode::Repr));
                    return Ok(());
                }
                b"])"
            }
            (Shape::Slice, Value::Slice(slice)) => {
                let data = heap.slices[slice];
                next = [data.start, data.stop, data.step].get(at).copied();
                b")"
            }
            (Shape::Dict(value_next), Value::Dict(dict)) => {
                let slots = heap.dicts[dict].table.slots();
                if value_next {
                    level.kind = Shape::Dict(false);
                    level.at = at + 1;
                    if let Some(entry) = slots.get(at).filter(|entry| !entry.key.is_unset()) {
                        self.out.extend_from_slice(b": ");
                        let item = entry.value;
                        self.next = Some((heap.share(item), Mode::Repr));
                    }
                    return Ok(());
                }
                if let Some(skipped) =
                    slots.get(at..).and_then(|rest| rest.iter().position(|e| !e.key.is_unset()))
                {
                    if slots[..at].iter().any(|entry| !entry.key.is_unset()) {
                        self.out.extend_from_slice(b", ");
                    }
                    level.at = at + skipped;
                    level.kind = Shape::Dict(true);
                    let item = slots[at + skipped].key;
                    self.next = Some((heap.share(item), Mode::Repr));
                    return Ok(());
                }
                b"}"
            }
            (Shape::Close(text), _) => text,
            _ => b">",
        };
        if let Some(item) = next {
            if at > 0 {
                self.out.extend_from_slice(b", ");
            }
            level.at = at + 1;
            self.next = Some((heap.share(item), Mode::Repr));
            return Ok(());
        }
        self.out.extend_from_slice(close);
        if let Some(level) = self.levels.pop() {
            heap.release(level.holder);
        }
        Ok(())
    }
}

impl Resume for Printer {
    fn resume(mut self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        if let Value::Str(text) = result {
            let size = vm.heap.bytes(text).len();
            if let Err(raised) = vm.heap.make_room(size + self.out.len()) {
                vm.heap.release(result);
                self.abandon(vm);
                return Err(raised);
            }
            self.out.extend_from_slice(vm.heap.bytes(text));
        }
        vm.heap.release(result);
        self.run(vm)
    }
    fn abandon(self: Box<Self>, vm: &mut Vm) {
        for level in self.levels {
            vm.heap.release(level.holder);
        }
        if let Some((item, _)) = self.next {
            vm.heap.release(item);
        }
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        self.levels.iter().for_each(|level| visit(level.holder));
        if let Some((item, _)) = self.next {
            visit(item);
        }
    }
}

/// Checks what a program's `__str__` or `__repr__` returned.
struct Checked(Mode);

impl Resume for Checked {
    fn resume(self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        match super::support::as_str(&vm.heap, result) {
            Some(text) => {
                if matches!(result, Value::Str(_)) {
                    return value(result);
                }
                vm.heap.retain(Value::Str(text));
                vm.heap.release(result);
                value(Value::Str(text))
            }
            None => {
                let name = type_name(&vm.heap, result);
                vm.heap.release(result);
                let method = if self.0 == Mode::Str { "__str__" } else { "__repr__" };
                fail(vm, Builtin::TypeError, format!("{method} returned non-string (type {name})"))
            }
        }
    }
    fn abandon(self: Box<Self>, _: &mut Vm) {}
    fn held(&self, _: &mut dyn FnMut(Value)) {}
}

/// The call of the program's `__str__` or `__repr__` for an instance, if its class has one that counts.
fn program_text(vm: &mut Vm, item: Value, instance: Instance, mode: Mode) -> Outcome<Option<NativeReturn>> {
    let class = vm.heap.instances[instance].class;
    let old = vm.heap.classes[class].style == Style::Old;
    let both = [(vm.names.str, Mode::Str), (vm.names.repr, Mode::Repr)];
    let names = match mode {
        Mode::Str => &both[..],
        Mode::Repr => &both[1..],
    };
    for &(name, of) in names {
        if old {
            // An old-style instance may carry the method itself.
            if let Some(own) = vm.heap.instance_attribute(instance, name) {
                let own = vm.heap.share(own);
                return Ok(Some(call(own, Vec::new(), Box::new(Checked(of)))));
            }
        }
        let Some((found, owner)) = vm.heap.class_attribute(class, name) else { continue };
        if vm.heap.classes[owner].style == Style::Builtin {
            // `str` of an exception, a str, an int… does not ask `__repr__`.
            if of == Mode::Str && owner != Builtin::Object.class() {
                return Ok(None);
            }
            continue;
        }
        let (callee, args) = match found {
            Value::Function(_) | Value::Native(_) => {
                (vm.heap.share(found), CallArgs::One(vm.heap.share(item)))
            }
            other => (vm.heap.share(other), CallArgs::Many(Vec::new())),
        };
        return Ok(Some(call(callee, args, Box::new(Checked(of)))));
    }
    Ok(None)
}

/// `object.__repr__(item)`: class and identity, whatever the class defines.
pub fn plain_object(vm: &mut Vm, item: Value) -> NativeReturn {
    let class = vm.heap.class_of(item);
    let data = &vm.heap.classes[class];
    let name = vm.heap.text(data.name);
    let text = match (data.style, data.module) {
        (Style::Old, module) => format!("<{module}.{name} instance at 0x{:x}>", identity(item)),
        (Style::Builtin, "__builtin__") => format!("<{name} object at 0x{:x}>", identity(item)),
        (_, module) => format!("<{module}.{name} object at 0x{:x}>", identity(item)),
    };
    value(vm.heap.new_str(text.as_bytes()))
}

/// Name of the built-in class a method belongs to.
fn owner_of(heap: &Heap, native: crate::heap::NativeId) -> &'static str {
    let holds = |builtin: &Builtin| {
        let attributes = &heap.classes[builtin.class()].attributes;
        attributes.iter().any(|entry| matches!(entry.value, Value::Native(other) if other == native))
    };
    crate::heap::BUILTINS.iter().map(|row| row.0).find(holds).map_or("object", Builtin::name)
}
