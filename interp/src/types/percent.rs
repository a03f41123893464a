//! The `%` operator of strings: fetches arguments, converts them (through the program's `__str__` where there is one)
//! and lays them out.
use super::chain::chain_pending;
use super::hook;
use super::kernel::padded::Padded;
use super::kernel::percent::{self as kernel, Amount, Body, Directive};
use super::kernel::{bigjob, long};
use super::long_text;
use super::stepwise::{self, is_large, Turn, BYTES, STEP_COST};
use super::support::{as_str, fail, lift, number, room, type_name, unwrap, work, Number};
use crate::heap::{Builtin, Outcome, Raised, Str, Value};
use crate::vm::native::{value, Flow, NativeReturn, Resume};
use crate::vm::Vm;
use dashu_int::IBig;

/// Longs of more words than this are converted in steps.
const LONG_WORDS: usize = 300;
/// Specifiers between two check points.
const CHECK_POINT: usize = 16 << 10;

struct Formatter {
    /// The format string, owned.
    format: Str,
    /// The right operand, owned.
    arguments: Value,
    at: usize,
    out: Padded,
    /// Arguments taken so far.
    taken: usize,
    /// A specifier that waits for its converted value, with width and precision.
    waiting: Option<(Directive, i64, i64)>,
    /// The mapping was asked for a key: then nothing is left over.
    keyed: bool,
    /// A large text (owned) that is being copied to the output, and how far.
    copying: Option<(Str, usize)>,
    /// Blanks that follow it.
    blanks: usize,
    /// Specifiers since the last check point.
    steps: usize,
}

/// `format % arguments`. Borrows both.
pub fn format(vm: &mut Vm, format: Str, arguments: Value) -> NativeReturn {
    if let Some(text) = super::percent_quick::format(vm, format, arguments) {
        return value(text);
    }
    let out = Padded::with_capacity(vm.heap.bytes(format).len() + 32);
    let mut formatter = Formatter {
        format,
        arguments,
        at: 0,
        out,
        taken: 0,
        waiting: None,
        keyed: false,
        copying: None,
        blanks: 0,
        steps: 0,
    };
    let step = match formatter.advance(vm) {
        Ok(step) => step,
        Err(raised) => {
            formatter.end_copying(vm);
            return Err(raised);
        }
    };
    match step {
        Step::Done => long_text::put_together(vm, formatter.out),
        Step::Pending(flow) => {
            // Only a suspended formatter holds shares.
            vm.heap.retain(Value::Str(format));
            vm.heap.retain(arguments);
            Ok(chain_pending(flow, Box::new(formatter)))
        }
    }
}

enum Step {
    Done,
    Pending(Flow),
}

fn run(mut formatter: Box<Formatter>, vm: &mut Vm) -> NativeReturn {
    match formatter.advance(vm) {
        Ok(Step::Done) => {
            let out = std::mem::take(&mut formatter.out);
            formatter.abandon(vm);
            long_text::put_together(vm, out)
        }
        Ok(Step::Pending(flow)) => Ok(chain_pending(flow, formatter)),
        Err(raised) => {
            formatter.abandon(vm);
            Err(raised)
        }
    }
}

impl Formatter {
    fn advance(&mut self, vm: &mut Vm) -> Result<Step, Raised> {
        loop {
            self.steps += 1;
            if self.copy(vm) || self.steps.is_multiple_of(CHECK_POINT) {
                vm.spend(STEP_COST);
                return Ok(Step::Pending(Flow::Yield(Box::new(Box::new(Turn)))));
            }
            let bytes = vm.heap.bytes(self.format);
            let rest = &bytes[self.at..];
            let literal = super::kernel::search::find_byte(rest, b'%').unwrap_or(rest.len());
            let finished = literal == rest.len();
            if self.out.size() + literal > room(vm) {
                return Err(vm.heap.raise_bare(Builtin::MemoryError));
            }
            self.out.extend_from_slice(&vm.heap.bytes(self.format)[self.at..self.at + literal]);
            self.at += literal + 1;
            if finished {
                self.check_all_used(vm)?;
                return Ok(Step::Done);
            }
            let parsed = kernel::parse_directive(vm.heap.bytes(self.format), self.at);
            let (directive, next) = lift(vm, parsed)?;
            self.at = next;
            if let Some(flow) = self.convert(vm, directive)? {
                return Ok(Step::Pending(flow));
            }
        }
    }

    /// Copies a piece of a large text; whether there is more of it.
    fn copy(&mut self, vm: &mut Vm) -> bool {
        let Some((text, at)) = self.copying else { return false };
        let bytes = vm.heap.bytes(text);
        let end = bytes.len().min(at + BYTES);
        self.out.extend_from_slice(&bytes[at..end]);
        if end < bytes.len() {
            self.copying = Some((text, end));
            return true;
        }
        self.end_copying(vm);
        self.out.fill(b' ', std::mem::take(&mut self.blanks));
        false
    }

    fn end_copying(&mut self, vm: &mut Vm) {
        if let Some((text, _)) = self.copying.take() {
            vm.heap.release(Value::Str(text));
        }
    }

    fn check_all_used(&self, vm: &mut Vm) -> Outcome<()> {
        let left = match self.arguments {
            Value::Tuple(tuple) => self.taken < vm.heap.tuple(tuple).len(),
            other => self.taken == 0 && !self.keyed && !self.is_mapping(vm, other),
        };
        if left {
            return fail(vm, Builtin::TypeError, "not all arguments converted during string formatting");
        }
        Ok(())
    }

    fn is_mapping(&self, vm: &Vm, item: Value) -> bool {
        matches!(unwrap(&vm.heap, item), Value::Dict(_) | Value::SafeDict(_) | Value::List(_))
            || matches!(item, Value::Instance(i) if vm.heap.classes[vm.heap.instances[i].class].style == crate::heap::Style::Old)
    }

    /// The next argument, borrowed.
    fn next_argument(&mut self, vm: &mut Vm) -> Outcome<Value> {
        let found = match self.arguments {
            Value::Tuple(tuple) => vm.heap.tuple(tuple).get(self.taken).copied(),
            other if self.taken == 0 && !self.keyed => Some(other),
            _ => None,
        };
        self.taken += 1;
        match found {
            Some(found) => Ok(found),
            None => fail(vm, Builtin::TypeError, "not enough arguments for format string"),
        }
    }

    fn amount(&mut self, vm: &mut Vm, amount: Amount) -> Outcome<Option<i64>> {
        match amount {
            Amount::Absent => Ok(None),
            Amount::Given(given) => Ok(Some(given)),
            Amount::Star => {
                let argument = self.next_argument(vm)?;
                match argument.as_int() {
                    Some(given) => Ok(Some(given)),
                    None => fail(vm, Builtin::TypeError, "* wants int"),
                }
            }
        }
    }

    /// Converts one argument; a flow comes back when program code must run first.
    fn convert(&mut self, vm: &mut Vm, mut directive: Directive) -> Result<Option<Flow>, Raised> {
        let mut keyed = None;
        if let Some((start, end)) = directive.key {
            if matches!(self.arguments, Value::Tuple(_) | Value::Str(_))
                || !self.is_mapping(vm, self.arguments)
            {
                return fail(vm, Builtin::TypeError, "format requires a mapping");
            }
            let key = vm.heap.bytes(self.format)[start..end].to_vec();
            let key = vm.heap.new_str_from(key);
            let found = hook::get_item(vm, self.arguments, key);
            vm.heap.release(key);
            keyed = Some(found?);
            self.keyed = true;
        }
        let result = self.convert_value(vm, &mut directive, keyed);
        if let Some(owned) = keyed {
            vm.heap.release(owned);
        }
        result
    }

    fn convert_value(
        &mut self,
        vm: &mut Vm,
        directive: &mut Directive,
        keyed: Option<Value>,
    ) -> Result<Option<Flow>, Raised> {
        let mut width = self.amount(vm, directive.width)?.unwrap_or(-1);
        if width < 0 && directive.width == Amount::Star {
            directive.left = true;
            width = width.saturating_neg();
        }
        let precision = match self.amount(vm, directive.precision)? {
            Some(given) => given.max(0),
            None => -1,
        };
        if directive.at >= vm.heap.bytes(self.format).len() {
            return fail(vm, Builtin::ValueError, "incomplete format");
        }
        if directive.conversion == b'%' {
            self.render(vm, directive, width, Body::Text(b"%"))?;
            return Ok(None);
        }
        let argument = match keyed {
            Some(found) => found,
            None => self.next_argument(vm)?,
        };
        match directive.conversion {
            b's' | b'r' => {
                let text = if directive.conversion == b's' {
                    super::to_str(vm, argument)?
                } else {
                    super::repr(vm, argument)?
                };
                match text {
                    Flow::Value(text) => {
                        let done = self.put_text(vm, directive, width, precision, text);
                        vm.heap.release(text);
                        done.map(|()| None)
                    }
                    pending => {
                        self.waiting = Some((directive.clone(), width, precision));
                        Ok(Some(pending))
                    }
                }
            }
            b'd' | b'i' | b'u' | b'o' | b'x' | b'X' => {
                self.put_integer(vm, directive, width, precision, argument)
            }
            b'e' | b'E' | b'f' | b'F' | b'g' | b'G' => {
                let float = match number(&vm.heap, argument) {
                    Some(Number::Complex(_)) | None => {
                        let given = type_name(&vm.heap, argument);
                        return fail(vm, Builtin::TypeError, format!("float argument required, not {given}"));
                    }
                    Some(real) => super::operators::to_float(vm, real)?,
                };
                if usize::try_from(precision).unwrap_or(0) > room(vm) {
                    return Err(vm.heap.raise_bare(Builtin::MemoryError));
                }
                let text = kernel::float_text(directive.conversion, directive.alternate, precision, float);
                self.render(vm, directive, width, Body::Number(&text))?;
                Ok(None)
            }
            b'c' => {
                let byte = character(vm, argument)?;
                self.render(vm, directive, width, Body::Text(&[byte]))?;
                Ok(None)
            }
            _ => {
                let fault = kernel::unsupported(vm.heap.bytes(self.format), directive);
                lift(vm, Err(fault))
            }
        }
    }

    fn put_integer(
        &mut self,
        vm: &mut Vm,
        directive: &Directive,
        width: i64,
        precision: i64,
        argument: Value,
    ) -> Result<Option<Flow>, Raised> {
        if usize::try_from(precision).unwrap_or(0) > room(vm) {
            return Err(vm.heap.raise_bare(Builtin::MemoryError));
        }
        let conversion = directive.conversion;
        let large = match number(&vm.heap, argument) {
            Some(Number::Int(small)) => {
                if precision < 0 && !directive.alternate {
                    let mut buffer = [0u8; 24];
                    let text = kernel::plain_digits(conversion, small, &mut buffer);
                    if width < 0 && !directive.plus && !directive.blank {
                        self.out.extend_from_slice(text);
                    } else {
                        self.render(vm, directive, width, Body::Number(text))?;
                    }
                    return Ok(None);
                }
                let text = kernel::small_integer_text(conversion, directive.alternate, precision, small);
                self.render(vm, directive, width, Body::Digits(&text))?;
                return Ok(None);
            }
            Some(Number::Long(handle)) => Some(vm.heap.longs[handle].value.clone()),
            Some(Number::Float(float)) => match long::from_f64(float) {
                Ok(whole) => match long::to_i64(&whole) {
                    Some(small) => {
                        let text =
                            kernel::small_integer_text(conversion, directive.alternate, precision, small);
                        self.render(vm, directive, width, Body::Digits(&text))?;
                        return Ok(None);
                    }
                    None => Some(whole),
                },
                Err(_) => None,
            },
            _ => None,
        };
        let Some(large) = large else {
            let shown = if conversion == b'i' { 'd' } else { conversion as char };
            let given = type_name(&vm.heap, argument);
            let text = format!("%{shown} format: a number is required, not {given}");
            return fail(vm, Builtin::TypeError, text);
        };
        if long::words(&large) > LONG_WORDS {
            let then: fn(&mut Vm, Vec<u8>) -> NativeReturn = |vm, text| value(vm.heap.new_str_from(text));
            let flow = match conversion {
                b'o' => work(vm, move |fuel| bigjob::radix_text(fuel, large, 3, false), then)?,
                b'x' | b'X' => {
                    work(vm, move |fuel| bigjob::radix_text(fuel, large, 4, conversion == b'X'), then)?
                }
                _ => work(vm, move |fuel| bigjob::decimal_text(fuel, large), then)?,
            };
            if let Flow::Value(text) = flow {
                let done = self.put_decimal(vm, directive, width, precision, text);
                vm.heap.release(text);
                return done.map(|()| None);
            }
            self.waiting = Some((directive.clone(), width, precision));
            return Ok(Some(flow));
        }
        let text = kernel::integer_text(conversion, directive.alternate, precision, &large, None);
        self.render(vm, directive, width, Body::Digits(&text))?;
        Ok(None)
    }

    /// The digits of a long that was converted in steps.
    fn put_decimal(
        &mut self,
        vm: &mut Vm,
        directive: &Directive,
        width: i64,
        precision: i64,
        text: Value,
    ) -> Outcome<()> {
        let Value::Str(text) = text else { return Ok(()) };
        let size = vm.heap.bytes(text).len();
        if is_large(size) && usize::try_from(precision).unwrap_or(0) < size {
            return self.copy_digits(vm, directive, width, text);
        }
        let digits = vm.heap.bytes(text).to_vec();
        let sign = IBig::from(if digits.first() == Some(&b'-') { -1 } else { 1 });
        let text =
            kernel::integer_text(directive.conversion, directive.alternate, precision, &sign, Some(&digits));
        self.render(vm, directive, width, Body::Digits(&text))
    }

    /// Copies many digits (borrowed) to the output, behind their sign and prefix, in steps.
    fn copy_digits(&mut self, vm: &mut Vm, directive: &Directive, width: i64, digits: Str) -> Outcome<()> {
        let bytes = vm.heap.bytes(digits);
        let negative = bytes.first() == Some(&b'-');
        let sign: &[u8] = match (negative, directive.plus, directive.blank) {
            (true, ..) => b"-",
            (_, true, _) => b"+",
            (_, _, true) => b" ",
            _ => b"",
        };
        let prefix: &[u8] = match directive.conversion {
            b'o' if directive.alternate => b"0",
            b'x' if directive.alternate => b"0x",
            b'X' if directive.alternate => b"0X",
            _ => b"",
        };
        let start = usize::from(negative);
        let size = sign.len() + prefix.len() + bytes.len() - start;
        let fill = usize::try_from(width).unwrap_or(0).saturating_sub(size);
        if self.out.size().saturating_add(size).saturating_add(fill) > room(vm) {
            return Err(vm.heap.raise_bare(Builtin::MemoryError));
        }
        self.out.reserve(size);
        let zeros = directive.zero && !directive.left;
        if !directive.left && !zeros {
            self.out.fill(b' ', fill);
        }
        self.out.extend_from_slice(sign);
        self.out.extend_from_slice(prefix);
        if zeros {
            self.out.fill(b'0', fill);
        }
        self.blanks = if directive.left { fill } else { 0 };
        vm.heap.retain(Value::Str(digits));
        self.copying = Some((digits, start));
        Ok(())
    }

    fn put_text(
        &mut self,
        vm: &mut Vm,
        directive: &Directive,
        width: i64,
        precision: i64,
        text: Value,
    ) -> Outcome<()> {
        let Some(text) = as_str(&vm.heap, text) else { return Ok(()) };
        let limit = room(vm);
        let bytes = vm.heap.bytes(text);
        let size = bytes.len();
        if stepwise::is_large(size) && precision < 0 && usize::try_from(width).unwrap_or(0) <= size {
            if self.out.size() + size > limit {
                return Err(vm.heap.raise_bare(Builtin::MemoryError));
            }
            vm.heap.retain(Value::Str(text));
            self.out.reserve(size);
            self.copying = Some((text, 0));
            return Ok(());
        }
        let keep = usize::try_from(precision).unwrap_or(usize::MAX).min(bytes.len());
        let done = kernel::render(
            &mut self.out,
            directive,
            width,
            directive.left,
            Body::Text(&bytes[..keep]),
            limit,
        );
        lift(vm, done)
    }

    fn render(&mut self, vm: &mut Vm, directive: &Directive, width: i64, body: Body<'_>) -> Outcome<()> {
        let limit = room(vm);
        let done = kernel::render(&mut self.out, directive, width, directive.left, body, limit);
        lift(vm, done)
    }
}

fn character(vm: &mut Vm, argument: Value) -> Outcome<u8> {
    if let Some(text) = as_str(&vm.heap, argument) {
        return match *vm.heap.bytes(text) {
            [byte] => Ok(byte),
            _ => fail(vm, Builtin::TypeError, "%c requires int or char"),
        };
    }
    let code = super::support::integer_argument(vm, argument)?;
    if code < 0 {
        return fail(vm, Builtin::OverflowError, "unsigned byte integer is less than minimum");
    }
    match u8::try_from(code) {
        Ok(byte) => Ok(byte),
        Err(_) => fail(vm, Builtin::OverflowError, "unsigned byte integer is greater than maximum"),
    }
}

impl Resume for Formatter {
    fn resume(mut self: Box<Self>, vm: &mut Vm, result: Value) -> NativeReturn {
        if let Some((directive, width, precision)) = self.waiting.take() {
            let done = if matches!(directive.conversion, b's' | b'r') {
                self.put_text(vm, &directive, width, precision, result)
            } else {
                self.put_decimal(vm, &directive, width, precision, result)
            };
            vm.heap.release(result);
            if let Err(raised) = done {
                self.abandon(vm);
                return Err(raised);
            }
        }
        run(self, vm)
    }
    fn abandon(mut self: Box<Self>, vm: &mut Vm) {
        self.end_copying(vm);
        vm.heap.release(Value::Str(self.format));
        vm.heap.release(self.arguments);
    }
    fn held(&self, visit: &mut dyn FnMut(Value)) {
        if let Some((text, _)) = self.copying {
            visit(Value::Str(text));
        }
        visit(Value::Str(self.format));
        visit(self.arguments);
    }
}
