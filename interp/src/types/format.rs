//! `str.format`: fields are fetched, converted and laid out one after another; a program's `__str__` suspends it.
//!
//! Attributes whose names the language refuses are refused here too, so that a format string reaches nothing that
//! program text could not.
use super::chain::chain_pending;
use super::hook;
use super::kernel::format_fields::{self, Chunk, First, Step};
use super::kernel::format_spec::{self, Spec};
use super::kernel::padded::Padded;
use super::kernel::{bigjob, long};
use super::long_text;
use super::stepwise::{is_large, Turn, BYTES, STEP_COST};
use super::support::{as_str, fail, lift, number, release_all, room, unwrap, with_room, work, Number};
use crate::heap::{Builtin, Outcome, Raised, Str, Value};
use crate::vm::native::{value, Args, Flow, NativeReturn, Resume};
use crate::vm::Vm;
use dashu_int::IBig;
use std::cell::Cell;
use std::rc::Rc;

/// Longs of more words than this are converted in steps.
const LONG_WORDS: usize = 300;
/// Parts of a format string between two check points.
const CHECK_POINT: usize = 8 << 10;

/// How the fields seen so far chose their arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbering {
    Unknown,
    Automatic(usize),
    Manual,
}

/// What all nesting levels share; values are owned by the outermost machine.
struct Arguments {
    positional: Vec<Value>,
    keywords: Vec<(Str, Value)>,
    numbering: Cell<Numbering>,
}

enum Waiting {
    Nothing,
    /// The value is being converted by `!r` or `!s`; the specification comes next.
    Conversion((usize, usize), bool),
    /// The specification of this value (owned) is being expanded.
    Specification(Value),
    /// The value's text is being made, to be laid out by this specification.
    Text(Spec),
    /// The digits of a long are being made, to be laid out by this specification for a type of this name.
    Digits(Spec, String),
    /// This text (owned) is copied to the output, from this position on.
    Copy(Str, usize),
    /// Its next turn.
    Turn,
}

struct Machine {
    /// The format string, owned.
    format: Str,
    arguments: Rc<Arguments>,
    /// Nesting level: 0 outermost.
    level: u8,
    chunks: Vec<Chunk>,
    at: usize,
    out: Padded,
    waiting: Waiting,
}

/// `text.format(…)`
pub fn format(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    if args.positional.is_empty() {
        return fail(vm, Builtin::TypeError, "descriptor 'format' of 'str' object needs an argument");
    }
    let Some(text) = args.get(0).and_then(|text| as_str(&vm.heap, text)) else {
        return fail(vm, Builtin::TypeError, "descriptor 'format' requires a 'str' object");
    };
    if let Some(done) = super::format_quick::format(vm, text, &args.positional[1..], args.keywords) {
        return value(done);
    }
    let positional = args.positional[1..].to_vec();
    positional.iter().for_each(|&item| vm.heap.retain(item));
    let keywords = args.keywords.to_vec();
    for &(name, item) in &keywords {
        vm.heap.retain(Value::Str(name));
        vm.heap.retain(item);
    }
    let arguments = Rc::new(Arguments { positional, keywords, numbering: Cell::new(Numbering::Unknown) });
    vm.heap.retain(Value::Str(text));
    start(vm, text, arguments, 0)
}

/// Takes `format` over.
fn start(vm: &mut Vm, format: Str, arguments: Rc<Arguments>, level: u8) -> NativeReturn {
    let machine = Box::new(Machine {
        format,
        arguments,
        level,
        chunks: Vec::new(),
        at: 0,
        out: Padded::default(),
        waiting: Waiting::Nothing,
    });
    if level > 1 {
        machine.abandon(vm);
        return fail(vm, Builtin::ValueError, "Max string recursion exceeded");
    }
    let chunks = format_fields::chunks(vm.heap.bytes(format));
    match lift(vm, chunks) {
        Ok(chunks) => run(Box::new(Machine { chunks, ..*machine }), vm, None),
        Err(raised) => {
            machine.abandon(vm);
            Err(raised)
        }
    }
}

fn run(mut machine: Box<Machine>, vm: &mut Vm, mut result: Option<Value>) -> NativeReturn {
    loop {
        if machine.at % CHECK_POINT == CHECK_POINT - 1
            && matches!(machine.waiting, Waiting::Nothing)
            && result.is_none()
        {
            machine.waiting = Waiting::Turn;
            vm.spend(STEP_COST);
            return Ok(Flow::Yield(Box::new(machine)));
        }
        let step = match result.take() {
            Some(owned) => machine.take(vm, owned),
            None => machine.next(vm),
        };
        match step {
            Ok(None) => {
                if machine.at >= machine.chunks.len() && matches!(machine.waiting, Waiting::Nothing) {
                    let out = std::mem::take(&mut machine.out);
                    machine.abandon(vm);
                    return long_text::put_together(vm, out);
                }
            }
            Ok(Some(Flow::Value(owned))) => result = Some(owned),
            Ok(Some(flow)) => return Ok(chain_pending(flow, machine)),
            Err(raised) => {
                machine.abandon(vm);
                return Err(raised);
            }
        }
    }
}

impl Machine {
    fn next(&mut self, vm: &mut Vm) -> Result<Option<Flow>, Raised> {
        let Some(chunk) = self.chunks.get(self.at).cloned() else { return Ok(None) };
        self.at += 1;
        match chunk {
            Chunk::Literal(start, end) => {
                if self.out.size() + (end - start) > room(vm) {
                    return Err(vm.heap.raise_bare(Builtin::MemoryError));
                }
                self.out.extend_from_slice(&vm.heap.bytes(self.format)[start..end]);
                Ok(None)
            }
            Chunk::Field { name, conversion, spec, nested } => {
                let item = self.fetch(vm, name)?;
                let text = match conversion {
                    0 => return self.specify(vm, item, spec, nested),
                    b's' => super::to_str(vm, item),
                    b'r' => super::repr(vm, item),
                    other => {
                        let shown = other as char;
                        let text = if (33..127).contains(&other) {
                            format!("Unknown conversion specifier {shown}")
                        } else {
                            format!("Unknown conversion specifier \\x{other:x}")
                        };
                        vm.heap.release(item);
                        return fail(vm, Builtin::ValueError, text);
                    }
                };
                vm.heap.release(item);
                self.waiting = Waiting::Conversion(spec, nested);
                text.map(Some)
            }
        }
    }

    /// Goes on with a result: owned.
    fn take(&mut self, vm: &mut Vm, result: Value) -> Result<Option<Flow>, Raised> {
        match std::mem::replace(&mut self.waiting, Waiting::Nothing) {
            Waiting::Nothing => {
                vm.heap.release(result);
                Ok(None)
            }
            Waiting::Turn => self.next(vm),
            Waiting::Copy(text, at) => self.copy(vm, text, at),
            Waiting::Digits(spec, name) => {
                if let Value::Str(text) = result {
                    let size = vm.heap.bytes(text).len();
                    if is_large(size) && !spec.thousands && spec.width.unwrap_or(0) <= size {
                        return self.copy_digits(vm, text, &spec);
                    }
                }
                let digits = match result {
                    Value::Str(text) => vm.heap.bytes(text).to_vec(),
                    _ => Vec::new(),
                };
                vm.heap.release(result);
                let sign = IBig::from(if digits.first() == Some(&b'-') { -1 } else { 1 });
                let digits = digits.strip_prefix(b"-").unwrap_or(&digits);
                let laid_out = with_room(vm, |_, limit| {
                    format_spec::format_integer(&sign, &spec, &name, Some(digits), limit)
                })?;
                self.push(vm, &laid_out)?;
                Ok(None)
            }
            Waiting::Conversion(spec, nested) => self.specify(vm, result, spec, nested),
            Waiting::Specification(item) => {
                let spec = match result {
                    Value::Str(text) => vm.heap.bytes(text).to_vec(),
                    _ => Vec::new(),
                };
                vm.heap.release(result);
                self.lay_out(vm, item, &spec)
            }
            Waiting::Text(spec) => {
                let laid_out = match as_str(&vm.heap, result) {
                    Some(text) => {
                        with_room(vm, |heap, limit| format_spec::format_text(heap.bytes(text), &spec, limit))
                    }
                    None => Ok(Padded::default()),
                };
                vm.heap.release(result);
                self.push(vm, &laid_out?)?;
                Ok(None)
            }
        }
    }

    /// Copies many digits (taken over) that fill their width to the output, behind their sign and prefix.
    fn copy_digits(&mut self, vm: &mut Vm, digits: Str, spec: &Spec) -> Result<Option<Flow>, Raised> {
        let bytes = vm.heap.bytes(digits);
        let (size, negative) = (bytes.len(), bytes.first() == Some(&b'-'));
        if self.out.size() + size + 3 > room(vm) {
            vm.heap.release(Value::Str(digits));
            return Err(vm.heap.raise_bare(Builtin::MemoryError));
        }
        self.out.reserve(size + 3);
        self.out.extend(format_spec::sign_of(negative, spec));
        if spec.alternate {
            self.out.extend_from_slice(format_spec::prefix_of(spec.kind.unwrap_or(b'd')));
        }
        self.copy(vm, digits, usize::from(negative))
    }

    /// Copies a piece of a text (taken over) to the output.
    fn copy(&mut self, vm: &mut Vm, text: Str, at: usize) -> Result<Option<Flow>, Raised> {
        let bytes = vm.heap.bytes(text);
        let end = bytes.len().min(at + BYTES);
        self.out.extend_from_slice(&bytes[at..end]);
        if end < bytes.len() {
            self.waiting = Waiting::Copy(text, end);
            vm.spend(STEP_COST);
            return Ok(Some(Flow::Yield(Box::new(Box::new(Turn)))));
        }
        vm.heap.release(Value::Str(text));
        Ok(None)
    }

    fn push(&mut self, vm: &mut Vm, text: &Padded) -> Outcome<()> {
        if self.out.size() + text.size() > room(vm) {
            return Err(vm.heap.raise_bare(Builtin::MemoryError));
        }
        self.out.append(text);
        Ok(())
    }

    /// Takes `item` over.
    fn specify(
        &mut self,
        vm: &mut Vm,
        item: Value,
        spec: (usize, usize),
        nested: bool,
    ) -> Result<Option<Flow>, Raised> {
        let spec = vm.heap.bytes(self.format)[spec.0..spec.1].to_vec();
        if !nested || !spec.iter().any(|b| matches!(b, b'{' | b'}')) {
            return self.lay_out(vm, item, &spec);
        }
        let spec = vm.heap.new_str_from(spec);
        let Value::Str(inner) = spec else { return Ok(None) };
        self.waiting = Waiting::Specification(item);
        start(vm, inner, self.arguments.clone(), self.level + 1).map(Some)
    }

    /// Takes `item` over.
    fn lay_out(&mut self, vm: &mut Vm, item: Value, spec: &[u8]) -> Result<Option<Flow>, Raised> {
        let done = self.lay_out_borrowed(vm, item, spec);
        vm.heap.release(item);
        done
    }

    fn lay_out_borrowed(&mut self, vm: &mut Vm, item: Value, spec: &[u8]) -> Result<Option<Flow>, Raised> {
        if spec.is_empty() {
            return match item {
                Value::Str(text) => {
                    let size = vm.heap.bytes(text).len();
                    if self.out.size() + size > room(vm) {
                        return Err(vm.heap.raise_bare(Builtin::MemoryError));
                    }
                    self.out.reserve(size);
                    vm.heap.retain(item);
                    self.copy(vm, text, 0)
                }
                _ => {
                    self.waiting =
                        Waiting::Text(format_spec::parse(b"").unwrap_or_else(|_| unreachable_spec()));
                    super::to_str(vm, item).map(Some)
                }
            };
        }
        let parsed = format_spec::parse(spec);
        let spec = lift(vm, parsed)?;
        let plain = unwrap(&vm.heap, item);
        let name = super::support::type_name(&vm.heap, item);
        let text = match (plain, number(&vm.heap, plain)) {
            (Value::Str(text), _) => {
                with_room(vm, |heap, limit| format_spec::format_text(heap.bytes(text), &spec, limit))?
            }
            (_, Some(Number::Int(small))) => {
                let number = IBig::from(small);
                with_room(vm, |_, limit| format_spec::format_integer(&number, &spec, &name, None, limit))?
            }
            (_, Some(Number::Long(long)))
                if long::words(&vm.heap.longs[long].value) > LONG_WORDS && in_digits(&spec) =>
            {
                let number = vm.heap.longs[long].value.clone();
                let then: fn(&mut Vm, Vec<u8>) -> NativeReturn = |vm, text| value(vm.heap.new_str_from(text));
                let kind = spec.kind;
                let upper = kind == Some(b'X');
                self.waiting = Waiting::Digits(spec, name);
                return match kind {
                    Some(b'b') => work(vm, move |fuel| bigjob::radix_text(fuel, number, 1, false), then),
                    Some(b'o') => work(vm, move |fuel| bigjob::radix_text(fuel, number, 3, false), then),
                    Some(b'x' | b'X') => {
                        work(vm, move |fuel| bigjob::radix_text(fuel, number, 4, upper), then)
                    }
                    _ => work(vm, move |fuel| bigjob::decimal_text(fuel, number), then),
                }
                .map(Some);
            }
            (_, Some(Number::Long(long))) => with_room(vm, |heap, limit| {
                format_spec::format_integer(&heap.longs[long].value, &spec, &name, None, limit)
            })?,
            (_, Some(Number::Float(float))) => {
                with_room(vm, |_, limit| format_spec::format_float(float, &spec, &name, limit))?
            }
            (_, Some(Number::Complex(c))) => {
                with_room(vm, |_, limit| format_spec::format_complex(c.real, c.imag, &spec, limit))?
            }
            _ => {
                self.waiting = Waiting::Text(spec);
                return super::to_str(vm, item).map(Some);
            }
        };
        self.push(vm, &text)?;
        Ok(None)
    }

    /// The object a field name leads to: owned.
    fn fetch(&mut self, vm: &mut Vm, name: (usize, usize)) -> Outcome<Value> {
        let steps = format_fields::steps(vm.heap.bytes(self.format), name);
        let (first, steps) = lift(vm, steps)?;
        let mut item = self.first(vm, first)?;
        for step in steps {
            let next = self.step(vm, item, &step);
            vm.heap.release(item);
            item = next?;
        }
        Ok(item)
    }

    fn first(&self, vm: &mut Vm, first: First) -> Outcome<Value> {
        let index = match (first, self.arguments.numbering.get()) {
            (First::Name((start, end)), _) => {
                let wanted = vm.heap.bytes(self.format)[start..end].to_vec();
                let found = self
                    .arguments
                    .keywords
                    .iter()
                    .find(|(name, _)| vm.heap.bytes(*name) == wanted)
                    .map(|pair| pair.1);
                return match found {
                    Some(found) => Ok(vm.heap.share(found)),
                    None => {
                        let key = vm.heap.new_str_from(wanted);
                        Err(vm.heap.raise_with(Builtin::KeyError.class(), &[key]))
                    }
                };
            }
            (First::Automatic, Numbering::Manual) => {
                let text = "cannot switch from manual field specification to automatic field numbering";
                return fail(vm, Builtin::ValueError, text);
            }
            (First::Index(_), Numbering::Automatic(_)) => {
                let text = "cannot switch from automatic field numbering to manual field specification";
                return fail(vm, Builtin::ValueError, text);
            }
            (First::Automatic, numbering) => {
                let index = if let Numbering::Automatic(next) = numbering { next } else { 0 };
                self.arguments.numbering.set(Numbering::Automatic(index + 1));
                index
            }
            (First::Index(index), _) => {
                self.arguments.numbering.set(Numbering::Manual);
                index
            }
        };
        match self.arguments.positional.get(index) {
            Some(&found) => Ok(vm.heap.share(found)),
            None => fail(vm, Builtin::IndexError, "tuple index out of range"),
        }
    }

    fn step(&self, vm: &mut Vm, item: Value, step: &Step) -> Outcome<Value> {
        match *step {
            Step::Attribute((start, end)) => {
                let name = vm.heap.bytes(self.format)[start..end].to_vec();
                if refused(&name) {
                    let shown = String::from_utf8_lossy(&name).into_owned();
                    let text = format!("attribute name '{shown}' is not allowed in a format string");
                    return fail(vm, Builtin::ValueError, text);
                }
                hook::get_attribute(vm, item, &name)
            }
            // 2.7 looks a number up as a long, and says so if it is not there.
            Step::Index(index) if vm.as_dict(unwrap(&vm.heap, item)).is_some() => {
                let key = vm.heap.new_long(IBig::from(index));
                let found = hook::get_item(vm, item, key);
                vm.heap.release(key);
                found
            }
            Step::Index(index) => hook::get_item(vm, item, Value::Int(index as i64)),
            Step::Key((start, end)) => {
                let key = vm.heap.bytes(self.format)[start..end].to_vec();
                let key = vm.heap.new_str_from(key);
                let found = hook::get_item(vm, item, key);
                vm.heap.release(key);
                found
            }
        }
    }
}

/// Whether an integer is laid out digit by digit, and not as a float or a character.
fn in_digits(spec: &Spec) -> bool {
    matches!(spec.kind.unwrap_or(b'd'), b'b' | b'd' | b'o' | b'x' | b'X' | b'n') && spec.precision.is_none()
}

fn unreachable_spec() -> Spec {
    Spec {
        fill: None,
        align: None,
        sign: None,
        alternate: false,
        width: None,
        thousands: false,
        precision: None,
        kind: None,
    }
}

/// Whether a format string may not reach an attribute of this name: what the language refuses in
/// program text, and the four `__x__` names as well, since a method bound to an object of the API
/// or of the machine is nothing a text should show.
fn refused(name: &[u8]) -> bool {
    name.windows(2).any(|pair| pair == b"__") || crate::check::names::refused(name).is_some()
}

impl Resume for Machine {
    fn resume(self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        run(self, vm, Some(result))
    }
    fn abandon(self: Box<Self>, vm: &mut Vm) {
        vm.heap.release(Value::Str(self.format));
        match self.waiting {
            Waiting::Specification(item) => vm.heap.release(item),
            Waiting::Copy(text, _) => vm.heap.release(Value::Str(text)),
            _ => {}
        }
        if self.level == 0 {
            release_all(&mut vm.heap, self.arguments.positional.iter().copied());
            for &(name, item) in &self.arguments.keywords {
                vm.heap.release(Value::Str(name));
                vm.heap.release(item);
            }
        }
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::Str(self.format));
        match self.waiting {
            Waiting::Specification(item) => visit(item),
            Waiting::Copy(text, _) => visit(Value::Str(text)),
            _ => {}
        }
        if self.level == 0 {
            self.arguments.positional.iter().copied().for_each(&mut *visit);
            for &(name, item) in &self.arguments.keywords {
                visit(Value::Str(name));
                visit(item);
            }
        }
    }
}
