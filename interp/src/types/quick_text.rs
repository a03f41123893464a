//! The short ways of more methods of short strings: see [`super::quick`].
use super::kernel::bytes::{self, Align};
use super::quick::{changed, short};
use crate::heap::{Str, Value};
use crate::vm::Vm;

/// Widths up to this are filled here, in bytes.
const NARROW: usize = 1024;

/// What a question about a short text gives.
#[inline(always)]
fn asked(vm: &Vm, args: &[Value], ask: impl Fn(&[u8]) -> bool) -> Value {
    match *args {
        [Value::Str(text)] => short(vm, text).map_or(Value::Unset, |text| Value::bool(ask(text))),
        _ => Value::Unset,
    }
}

/// `text.islower()`
pub fn islower(vm: &mut Vm, args: &mut [Value]) -> Value {
    asked(vm, args, bytes::is_lower)
}

/// `text.isupper()`
pub fn isupper(vm: &mut Vm, args: &mut [Value]) -> Value {
    asked(vm, args, bytes::is_upper)
}

/// `text.istitle()`
pub fn istitle(vm: &mut Vm, args: &mut [Value]) -> Value {
    asked(vm, args, bytes::is_title)
}

/// `text.capitalize()`
pub fn capitalize(vm: &mut Vm, args: &mut [Value]) -> Value {
    changed(vm, args, |byte| byte.to_ascii_uppercase(), bytes::capitalize_in_place)
}

/// `text.swapcase()`
pub fn swapcase(vm: &mut Vm, args: &mut [Value]) -> Value {
    changed(vm, args, bytes::swapped, |text| text.iter_mut().for_each(|byte| *byte = bytes::swapped(*byte)))
}

/// `text.title()`
pub fn title(vm: &mut Vm, args: &mut [Value]) -> Value {
    changed(vm, args, |byte| byte.to_ascii_uppercase(), |text| bytes::title_in_place(text, &mut false))
}

/// A text filled up to a width with blanks or a given byte.
#[inline(always)]
fn justified(vm: &mut Vm, args: &[Value], align: Align) -> Value {
    let (this, width, fill) = match *args {
        [Value::Str(this), Value::Int(width)] => (this, width, b' '),
        [Value::Str(this), Value::Int(width), Value::Str(fill)] => match *vm.heap.bytes(fill) {
            [byte] => (this, width, byte),
            _ => return Value::Unset,
        },
        _ => return Value::Unset,
    };
    filled(vm, this, width, |size, width| (0, bytes::left_fill(size, width, align)), fill)
}

/// A short text with a fill up to a moderate width. `place` says, for the size of the text and the width, how much of the
/// text and of the fill comes first.
#[inline(always)]
fn filled(
    vm: &mut Vm,
    this: Str,
    width: i64,
    place: impl Fn(usize, usize) -> (usize, usize),
    fill: u8,
) -> Value {
    let text = vm.heap.bytes(this);
    let width = usize::try_from(width).unwrap_or(0);
    if width <= text.len() {
        return vm.heap.share(Value::Str(this));
    }
    if width > NARROW {
        return Value::Unset;
    }
    let (before, left) = place(text.len(), width);
    let (first, rest) = text.split_at(before);
    let mut out = std::mem::take(&mut vm.scratch);
    out.extend_from_slice(first);
    out.resize(before + left, fill);
    out.extend_from_slice(rest);
    out.resize(width, fill);
    let whole = vm.heap.new_str(&out);
    vm.give_scratch(out);
    whole
}

/// `text.ljust(width)`, `text.ljust(width, fill)`
pub fn ljust(vm: &mut Vm, args: &mut [Value]) -> Value {
    justified(vm, args, Align::Left)
}

/// `text.rjust(width)`, `text.rjust(width, fill)`
pub fn rjust(vm: &mut Vm, args: &mut [Value]) -> Value {
    justified(vm, args, Align::Right)
}

/// `text.center(width)`, `text.center(width, fill)`
pub fn center(vm: &mut Vm, args: &mut [Value]) -> Value {
    justified(vm, args, Align::Center)
}

/// `text.zfill(width)`
pub fn zfill(vm: &mut Vm, args: &mut [Value]) -> Value {
    let [Value::Str(this), Value::Int(width)] = *args else { return Value::Unset };
    let sign = usize::from(matches!(vm.heap.bytes(this).first(), Some(b'+' | b'-')));
    filled(vm, this, width, |size, width| (sign, width - size), b'0')
}

/// `text.expandtabs()`
pub fn expandtabs(vm: &mut Vm, args: &mut [Value]) -> Value {
    const TAB: usize = 8;
    let [Value::Str(this)] = *args else { return Value::Unset };
    let mut out = std::mem::take(&mut vm.scratch);
    let Some(text) = short(vm, this) else {
        vm.give_scratch(out);
        return Value::Unset;
    };
    // Where the line began, in the output.
    let mut line = 0;
    for &byte in text {
        match byte {
            b'\t' => out.extend_from_slice(&[b' '; TAB][(out.len() - line) % TAB..]),
            _ => out.push(byte),
        }
        if byte == b'\n' || byte == b'\r' {
            line = out.len();
        }
    }
    let whole = vm.heap.new_str(&out);
    vm.give_scratch(out);
    whole
}
