//! The methods of `str`.
use super::format_quick::format_quickly;
use super::gather::{gather, give_back, Then};
use super::kernel::bytes::{self, Align, Ends};
use super::kernel::float::is_space;
use super::kernel::{search, split};
use super::long_text::{Assemble, Cut, Map, MapText, NextPiece, Part, TestText};
use super::quick;
use super::quick_text;
use super::stepwise::{self, is_large, Wanted};
use super::support::{
    as_str, bound_argument, fail, integer_argument, lift, release_all, small_integer_argument, str_argument,
    substring, type_name, unwrap, with_room,
};
use crate::heap::{Builtin, Heap, Outcome, Raised, Str, Value};
use crate::vm::native::{value, Args, NativeDef, NativeReturn, ANY};
use crate::vm::Vm;

const BUFFER: &str = "expected a string or other character buffer object";

/// The object of a method.
#[inline]
fn this(vm: &mut Vm, args: &Args<'_>) -> Outcome<Str> {
    let Some(object) = args.get(0) else {
        return fail(vm, Builtin::TypeError, "descriptor of 'str' needs an argument");
    };
    match as_str(&vm.heap, object) {
        Some(text) => Ok(text),
        None => {
            let name = type_name(&vm.heap, object);
            fail(
                vm,
                Builtin::TypeError,
                format!("descriptor requires a 'str' object but received a '{name}'"),
            )
        }
    }
}

fn text(vm: &mut Vm, bytes: Vec<u8>) -> NativeReturn {
    value(vm.heap.new_str_from(bytes))
}

/// A method that maps the bytes to as many others; `piecewise` does it for a large text.
fn mapped(vm: &mut Vm, args: Args<'_>, map: fn(&[u8]) -> Vec<u8>, piecewise: fn() -> Map) -> NativeReturn {
    let this = this(vm, &args)?;
    let size = vm.heap.bytes(this).len();
    vm.heap.make_room(size)?;
    if is_large(size) {
        let mapped = MapText::new(vm, this, size, piecewise());
        return stepwise::start(vm, mapped);
    }
    vm.spend(size / 256);
    let out = map(vm.heap.bytes(this));
    text(vm, out)
}

/// A piecewise map of bytes that do not depend on each other.
fn each(map: fn(u8) -> u8) -> Map {
    Box::new(move |piece, out| out.extend(piece.iter().map(|&byte| map(byte))))
}

/// Strings up to this size are worked on in one go without a look at limits and fuel, in bytes.
const SHORT: usize = 1024;

/// A method that changes bytes one by one.
#[inline]
fn changed(
    vm: &mut Vm,
    args: Args<'_>,
    change: fn(&mut [u8]),
    map: fn(&[u8]) -> Vec<u8>,
    piecewise: fn() -> Map,
) -> NativeReturn {
    let this = this(vm, &args)?;
    if vm.heap.bytes(this).len() > SHORT {
        return mapped(vm, args, map, piecewise);
    }
    value(vm.heap.new_str_changed(this, change))
}

fn upper(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let piecewise = || each(|byte| byte.to_ascii_uppercase());
    changed(vm, args, <[u8]>::make_ascii_uppercase, <[u8]>::to_ascii_uppercase, piecewise)
}

fn lower(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let piecewise = || each(|byte| byte.to_ascii_lowercase());
    changed(vm, args, <[u8]>::make_ascii_lowercase, <[u8]>::to_ascii_lowercase, piecewise)
}

fn capitalize(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let piecewise: fn() -> Map = || {
        let mut map = bytes::capitalize as fn(&[u8]) -> Vec<u8>;
        Box::new(move |piece, out| {
            out.extend(map(piece));
            map = <[u8]>::to_ascii_lowercase;
        })
    };
    changed(vm, args, bytes::capitalize_in_place, bytes::capitalize, piecewise)
}

fn swapcase(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let change = |text: &mut [u8]| text.iter_mut().for_each(|byte| *byte = bytes::swapped(*byte));
    changed(vm, args, change, bytes::swapcase, || each(bytes::swapped))
}

fn title(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let piecewise: fn() -> Map = || {
        let mut previous = false;
        Box::new(move |piece, out| {
            let start = out.len();
            out.extend_from_slice(piece);
            bytes::title_in_place(&mut out[start..], &mut previous);
        })
    };
    changed(vm, args, |text| bytes::title_in_place(text, &mut false), bytes::title, piecewise)
}

fn tested(vm: &mut Vm, args: Args<'_>, test: fn(&[u8]) -> bool) -> NativeReturn {
    let this = this(vm, &args)?;
    value(Value::bool(test(vm.heap.bytes(this))))
}

/// Whether there are bytes and all of them pass.
fn all(vm: &mut Vm, args: Args<'_>, holds: fn(&u8) -> bool) -> NativeReturn {
    let this = this(vm, &args)?;
    if is_large(vm.heap.bytes(this).len()) {
        let test = TestText::all(vm, this, holds);
        return stepwise::start(vm, test);
    }
    value(Value::bool(bytes::all_of(vm.heap.bytes(this), holds)))
}

/// Whether there is a byte of one kind and none of another.
fn some(vm: &mut Vm, args: Args<'_>, wanted: fn(&u8) -> bool, unwanted: fn(&u8) -> bool) -> NativeReturn {
    let this = this(vm, &args)?;
    if is_large(vm.heap.bytes(this).len()) {
        let test = TestText::some(vm, this, wanted, unwanted);
        return stepwise::start(vm, test);
    }
    value(Value::bool(bytes::some_of(vm.heap.bytes(this), wanted, unwanted)))
}

fn isalnum(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    all(vm, args, u8::is_ascii_alphanumeric)
}

fn isalpha(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    all(vm, args, u8::is_ascii_alphabetic)
}

fn isdigit(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    all(vm, args, u8::is_ascii_digit)
}

fn islower(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    some(vm, args, u8::is_ascii_lowercase, u8::is_ascii_uppercase)
}

fn isupper(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    some(vm, args, u8::is_ascii_uppercase, u8::is_ascii_lowercase)
}

fn isspace(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    all(vm, args, |byte| is_space(*byte))
}

fn istitle(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    tested(vm, args, bytes::is_title)
}

/// The part of the text that the optional bounds of `find` and its sisters leave.
fn window(vm: &mut Vm, args: &Args<'_>, at: usize, length: usize) -> Outcome<Option<(usize, usize)>> {
    if args.positional.len() <= at {
        return Ok(Some((0, length)));
    }
    let start = bound_argument(vm, args.get(at), 0)?;
    let end = bound_argument(vm, args.get(at + 1), i64::MAX)?;
    Ok(bytes::clamp(length, start, end))
}

/// `find` and its sisters.
fn searched(vm: &mut Vm, args: &Args<'_>, wanted: Wanted) -> NativeReturn {
    let this = this(vm, args)?;
    let length = vm.heap.bytes(this).len();
    let range = window(vm, args, 2, length)?;
    let needle = str_argument(vm, args.positional[1], BUFFER)?;
    let width = vm.heap.bytes(needle).len();
    if let Some((start, end)) = range {
        if stepwise::is_large(end - start) && (1..stepwise::BYTES).contains(&width) {
            let search = stepwise::Search::new(vm, this, needle, wanted, start, end);
            return stepwise::start(vm, search);
        }
        vm.spend((end - start) / 256);
    }
    let needle = vm.heap.bytes(needle);
    let part = range.map(|(start, end)| (start, &vm.heap.bytes(this)[start..end]));
    if wanted == Wanted::Count {
        let count = match part {
            None => 0,
            Some((_, part)) if needle.is_empty() => part.len() + 1,
            Some((_, part)) => search::count(part, needle, usize::MAX),
        };
        return value(Value::Int(count as i64));
    }
    let from_right = matches!(wanted, Wanted::Last | Wanted::LastOrError);
    let found = part.and_then(|(start, part)| {
        let found = if from_right { search::rfind(part, needle) } else { search::find(part, needle) };
        found.map(|at| at + start)
    });
    match found {
        Some(at) => value(Value::Int(at as i64)),
        None if matches!(wanted, Wanted::First | Wanted::Last) => value(Value::Int(-1)),
        None => fail(vm, Builtin::ValueError, "substring not found"),
    }
}

fn find(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    searched(vm, &args, Wanted::First)
}

fn rfind(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    searched(vm, &args, Wanted::Last)
}

fn index(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    searched(vm, &args, Wanted::FirstOrError)
}

fn rindex(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    searched(vm, &args, Wanted::LastOrError)
}

fn count(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    searched(vm, &args, Wanted::Count)
}

fn begins_or_ends(vm: &mut Vm, args: &Args<'_>, name: &str, at_end: bool) -> NativeReturn {
    let this = this(vm, args)?;
    let start = bound_argument(vm, args.get(2), 0)?;
    let end = bound_argument(vm, args.get(3), i64::MAX)?;
    let wanted = unwrap(&vm.heap, args.positional[1]);
    if let (Value::Str(wanted), 2) = (wanted, args.positional.len()) {
        let (text, wanted) = (vm.heap.bytes(this), vm.heap.bytes(wanted));
        return value(Value::bool(if at_end { text.ends_with(wanted) } else { text.starts_with(wanted) }));
    }
    let candidates: Vec<Value> = match wanted {
        Value::Str(_) => vec![wanted],
        Value::Tuple(tuple) => vm.heap.tuple(tuple).to_vec(),
        other => {
            let given = type_name(&vm.heap, other);
            let text = format!("{name} first arg must be str, unicode, or tuple, not {given}");
            return fail(vm, Builtin::TypeError, text);
        }
    };
    let length = vm.heap.bytes(this).len();
    for candidate in candidates {
        let candidate = str_argument(vm, candidate, BUFFER)?;
        if let Some((from, to)) = bytes::clamp(length, start, end) {
            let part = vm.heap.bytes(this).get(from..to).unwrap_or_default();
            let candidate = vm.heap.bytes(candidate);
            let holds = if at_end { part.ends_with(candidate) } else { part.starts_with(candidate) };
            if holds && from <= length {
                return value(Value::bool(true));
            }
        }
    }
    value(Value::bool(false))
}

fn startswith(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    begins_or_ends(vm, &args, "startswith", false)
}

fn endswith(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    begins_or_ends(vm, &args, "endswith", true)
}

fn stripped(vm: &mut Vm, args: &Args<'_>, name: &str, ends: Ends) -> NativeReturn {
    let this = this(vm, args)?;
    let set = match args.get(1) {
        None | Some(Value::None) => None,
        Some(set) => match as_str(&vm.heap, set) {
            Some(set) => Some(set),
            None => {
                let text = format!("{name} arg must be None, str or unicode");
                return fail(vm, Builtin::TypeError, text);
            }
        },
    };
    let whole = vm.heap.bytes(this);
    let (start, end) = bytes::strip(whole, set.map(|set| vm.heap.bytes(set)), ends);
    if (start, end) == (0, whole.len()) && matches!(args.positional[0], Value::Str(_)) {
        return value(vm.heap.share(Value::Str(this)));
    }
    vm.heap.make_room(end - start)?;
    value(substring(&mut vm.heap, this, start, end))
}

fn strip(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    stripped(vm, &args, "strip", Ends { left: true, right: true })
}

fn lstrip(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    stripped(vm, &args, "lstrip", Ends { left: true, right: false })
}

fn rstrip(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    stripped(vm, &args, "rstrip", Ends { left: false, right: true })
}

fn justified(vm: &mut Vm, args: &Args<'_>, name: &str, align: Align) -> NativeReturn {
    let this = this(vm, args)?;
    let width = integer_argument(vm, args.positional[1])?;
    let fill = match args.get(2) {
        None => b' ',
        Some(fill) => match as_str(&vm.heap, fill).map(|fill| vm.heap.bytes(fill)) {
            Some(&[byte]) => byte,
            _ => {
                let given = if fill.is_none() { "None".into() } else { type_name(&vm.heap, fill) };
                return fail(
                    vm,
                    Builtin::TypeError,
                    format!("{name}() argument 2 must be char, not {given}"),
                );
            }
        },
    };
    let size = vm.heap.bytes(this).len();
    let total = usize::try_from(width).unwrap_or(0).max(size);
    if is_large(total) {
        let left = bytes::left_fill(size, total, align);
        let parts =
            vec![Part::Fill(fill, left), Part::Text(this, 0, size), Part::Fill(fill, total - size - left)];
        return assembled(vm, parts, total);
    }
    if total == size && matches!(args.positional[0], Value::Str(_)) {
        return value(vm.heap.share(Value::Str(this)));
    }
    let out = with_room(vm, |heap, limit| bytes::justify(heap.bytes(this), width, fill, align, limit))?;
    text(vm, out)
}

/// A large text of parts.
fn assembled(vm: &mut Vm, parts: Vec<Part>, size: usize) -> NativeReturn {
    vm.heap.make_room(size)?;
    let whole = Assemble::new(vm, parts, size);
    stepwise::start(vm, whole)
}

fn ljust(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    justified(vm, &args, "ljust", Align::Left)
}

fn rjust(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    justified(vm, &args, "rjust", Align::Right)
}

fn center(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    justified(vm, &args, "center", Align::Center)
}

fn zfill(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let this = this(vm, &args)?;
    let width = integer_argument(vm, args.positional[1])?;
    let size = vm.heap.bytes(this).len();
    let total = usize::try_from(width).unwrap_or(0).max(size);
    if is_large(total) {
        let signed = usize::from(matches!(vm.heap.bytes(this).first(), Some(b'+' | b'-')));
        let parts =
            vec![Part::Text(this, 0, signed), Part::Fill(b'0', total - size), Part::Text(this, signed, size)];
        return assembled(vm, parts, total);
    }
    let out = with_room(vm, |heap, limit| bytes::zfill(heap.bytes(this), width, limit))?;
    text(vm, out)
}

fn expandtabs(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let this = this(vm, &args)?;
    let size = match args.get(1) {
        None => 8,
        Some(size) => small_integer_argument(vm, size)?,
    };
    let length = vm.heap.bytes(this).len();
    if is_large(length) {
        // Counting first would take as long again: the room is asked for as if every byte were a tab, if that fits.
        let tabs = search::count_byte(vm.heap.bytes(this), b'\t');
        let most = usize::try_from(size).unwrap_or(0).saturating_mul(tabs).saturating_add(length - tabs);
        if vm.heap.used().saturating_add(most) <= vm.heap.limit() {
            let mut column = 0;
            let map: Map = Box::new(move |piece, out| bytes::push_expanded(out, piece, size, &mut column));
            let mapped = MapText::new(vm, this, length, map);
            return stepwise::start(vm, mapped);
        }
    }
    let out = with_room(vm, |heap, limit| bytes::expand_tabs(heap.bytes(this), size, limit))?;
    text(vm, out)
}

fn translate(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let this = this(vm, &args)?;
    let table = match args.positional[1] {
        Value::None => None,
        table => Some(str_argument(vm, table, BUFFER)?),
    };
    let gone = match args.get(2) {
        None => None,
        Some(gone) => Some(str_argument(vm, gone, BUFFER)?),
    };
    let size = vm.heap.bytes(this).len();
    vm.heap.make_room(size)?;
    let fits = table.is_none_or(|table| vm.heap.bytes(table).len() == 256);
    if is_large(size) && fits {
        let table = table.map(|table| vm.heap.bytes(table).to_vec());
        let gone = gone.map_or(Vec::new(), |gone| vm.heap.bytes(gone).to_vec());
        let map: Map = Box::new(move |piece, out| {
            // The table has been checked.
            out.extend(bytes::translate(piece, table.as_deref(), &gone).unwrap_or_default());
        });
        let mapped = MapText::new(vm, this, size, map);
        return stepwise::start(vm, mapped);
    }
    let table = table.map(|table| vm.heap.bytes(table));
    let out = bytes::translate(vm.heap.bytes(this), table, gone.map_or(&[][..], |gone| vm.heap.bytes(gone)));
    let out = lift(vm, out)?;
    text(vm, out)
}

fn pieces(vm: &mut Vm, this: Str, ranges: Vec<split::Piece>) -> NativeReturn {
    vm.heap.make_room(ranges.len().saturating_mul(56) + vm.heap.bytes(this).len())?;
    vm.spend(ranges.len() / 4);
    let mut items = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        items.push(substring(&mut vm.heap, this, start, end));
    }
    value(vm.heap.new_list(items))
}

fn most(vm: &mut Vm, given: Option<Value>) -> Outcome<usize> {
    Ok(match given {
        None => usize::MAX,
        Some(given) => usize::try_from(integer_argument(vm, given)?).unwrap_or(usize::MAX),
    })
}

/// Asks for the room of the pieces of a text, unless the text is short.
fn room_for_pieces(vm: &mut Vm, size: usize, pieces: usize) -> Outcome<()> {
    match size {
        0..=SHORT => Ok(()),
        _ => vm.heap.make_room(pieces.saturating_mul(56).saturating_add(size)),
    }
}

/// `text.split(separator, most)` in one go; the separator is not empty. Owned.
fn split_whole(vm: &mut Vm, this: Str, separator: Str, most: usize) -> Outcome<Value> {
    let (size, wanted) = (vm.heap.bytes(this).len(), vm.heap.bytes(separator));
    let byte = if let [byte] = *wanted { Some(byte) } else { None };
    let count = match byte {
        Some(byte) => search::count_byte(vm.heap.bytes(this), byte).min(most),
        None if size > SHORT => search::count(vm.heap.bytes(this), wanted, most),
        None => 0,
    };
    room_for_pieces(vm, size, count + 1)?;
    // A copy, since making strings moves others.
    let mut copy = std::mem::take(&mut vm.scratch);
    vm.heap.push_bytes(&mut copy, this);
    vm.heap.push_bytes(&mut copy, separator);
    let (text, wanted) = copy.split_at(size);
    let mut items = vm.heap.list_buffer(count + 1);
    let mut start = 0;
    if let Some(byte) = byte {
        for _ in 0..count {
            let Some(width) = search::find_byte(&text[start..], byte) else { break };
            items.push(vm.heap.new_str(&text[start..start + width]));
            start += width + 1;
        }
    } else {
        for found in search::Occurrences::new(text, wanted).take(most) {
            items.push(vm.heap.new_str(&text[start..found]));
            start = found + wanted.len();
        }
    }
    items.push(vm.heap.new_str(&text[start..]));
    vm.give_scratch(copy);
    vm.spend(items.len() / 4);
    Ok(vm.heap.new_list(items))
}

/// A text cut into the pieces that `next` finds, from left to right, in one go: owned. `next` is given a position and gives
/// the piece, and the position of the following one.
#[inline(always)]
fn cut_whole(
    vm: &mut Vm,
    this: Str,
    next: impl Fn(&[u8], usize) -> Option<((usize, usize), usize)>,
) -> Outcome<Value> {
    /// Pieces that room is asked for at once.
    const MANY: usize = 1024;
    let mut text = std::mem::take(&mut vm.scratch);
    vm.heap.push_bytes(&mut text, this);
    let mut items = vm.heap.list_buffer(0);
    let mut at = 0;
    while let Some(((start, end), following)) = next(&text, at) {
        if items.len().is_multiple_of(MANY) {
            if let Err(raised) = room_for_pieces(vm, text.len(), items.len() + MANY) {
                release_all(&mut vm.heap, items);
                vm.give_scratch(text);
                return Err(raised);
            }
        }
        items.push(vm.heap.new_str(&text[start..end]));
        at = following;
    }
    vm.give_scratch(text);
    vm.spend(items.len() / 4);
    Ok(vm.heap.new_list(items))
}

/// The next word from a position on.
#[inline(always)]
fn next_word(text: &[u8], at: usize) -> Option<((usize, usize), usize)> {
    let start = at + text[at..].iter().position(|&byte| !is_space(byte))?;
    let rest = &text[start..];
    let end = start + rest.iter().position(|&byte| is_space(byte)).unwrap_or(rest.len());
    Some(((start, end), end))
}

/// `text.split()` in one go: owned.
fn words_whole(vm: &mut Vm, this: Str) -> Outcome<Value> {
    cut_whole(vm, this, next_word)
}

/// `text.splitlines(keep)` in one go: owned.
fn lines_whole(vm: &mut Vm, this: Str, keep: bool) -> Outcome<Value> {
    cut_whole(vm, this, |text, at| {
        let (start, end, next) = split::next_line(text, at)?;
        Some(((start, if keep { next } else { end }), next))
    })
}

/// The short way of `text.split(…)`.
fn split_quickly(vm: &mut Vm, args: &mut [Value]) -> Value {
    let done = match *args {
        [Value::Str(this)] if vm.heap.bytes(this).len() <= SHORT => words_whole(vm, this),
        [Value::Str(this), Value::Str(separator)]
            if vm.heap.bytes(this).len() <= SHORT && !vm.heap.bytes(separator).is_empty() =>
        {
            split_whole(vm, this, separator, usize::MAX)
        }
        _ => return Value::Unset,
    };
    quick(vm, done)
}

/// The short way of `text.splitlines()`.
fn splitlines_quickly(vm: &mut Vm, args: &mut [Value]) -> Value {
    match *args {
        [Value::Str(this)] if vm.heap.bytes(this).len() <= SHORT => {
            let done = lines_whole(vm, this, false);
            quick(vm, done)
        }
        _ => Value::Unset,
    }
}

/// What a short way gives: what failed is done again, the long way.
#[inline(always)]
fn quick(vm: &mut Vm, done: Outcome<Value>) -> Value {
    match done {
        Ok(done) => done,
        Err(raised) => {
            let exception = vm.heap.take_raised(raised);
            vm.heap.release(exception);
            Value::Unset
        }
    }
}

fn split_either(vm: &mut Vm, args: &Args<'_>, from_right: bool) -> NativeReturn {
    let this = this(vm, args)?;
    let large = is_large(vm.heap.bytes(this).len());
    if let (Some(Value::Str(separator)), false) = (args.get(1), large) {
        let most = match args.get(2) {
            None => usize::MAX,
            Some(Value::Int(most)) => usize::try_from(most).unwrap_or(usize::MAX),
            Some(_) => 0,
        };
        let width = vm.heap.bytes(separator).len();
        // From the right it is the same if nothing is left over and the separator cannot overlap itself.
        let any_side = !from_right || (most == usize::MAX && width == 1);
        if width > 0 && most > 0 && any_side {
            return value(split_whole(vm, this, separator, most)?);
        }
    }
    // Without a limit the side does not matter.
    if args.positional.len() == 1 && !large {
        return value(words_whole(vm, this)?);
    }
    let most = most(vm, args.get(2))?;
    let ranges = match args.get(1) {
        None | Some(Value::None) if is_large(vm.heap.bytes(this).len()) => {
            let start = if from_right { vm.heap.bytes(this).len() } else { 0 };
            let next = if from_right { pieces_from_right(most) } else { pieces_from_left(most) };
            let cut = Cut::new(vm, this, start, from_right, next);
            return stepwise::start(vm, cut);
        }
        None | Some(Value::None) => {
            let whole = vm.heap.bytes(this);
            if from_right {
                split::rsplit_space(whole, most)
            } else {
                split::split_space(whole, most)
            }
        }
        Some(separator) => {
            let separator = str_argument(vm, separator, BUFFER)?;
            let (size, width) = (vm.heap.bytes(this).len(), vm.heap.bytes(separator).len());
            // Without a limit the side does not matter, unless the separator can overlap itself.
            let any_side = !from_right || (most == usize::MAX && width == 1);
            if stepwise::is_large(size) && (1..stepwise::BYTES).contains(&width) && any_side {
                let split = stepwise::Split::new(vm, this, separator, most);
                return stepwise::start(vm, split);
            }
            if is_large(size) && width > 0 {
                // From the right.
                let cut =
                    Cut::new(vm, this, size, true, parts_from_right(vm.heap.bytes(separator).to_vec(), most));
                return stepwise::start(vm, cut);
            }
            let (whole, separator) = (vm.heap.bytes(this), vm.heap.bytes(separator));
            let ranges = if from_right {
                split::rsplit(whole, separator, most)
            } else {
                split::split(whole, separator, most)
            };
            lift(vm, ranges)?
        }
    };
    pieces(vm, this, ranges)
}

/// Words from left to right: see [`split::split_space`].
fn pieces_from_left(most: usize) -> NextPiece {
    let mut left = most;
    Box::new(move |text, at| {
        let start = at + text[at..].iter().position(|&byte| !is_space(byte))?;
        if left == 0 {
            return Some(((start, text.len()), text.len()));
        }
        left -= 1;
        let end =
            text[start..].iter().position(|&byte| is_space(byte)).map_or(text.len(), |width| start + width);
        Some(((start, end), end))
    })
}

/// Words from right to left: see [`split::rsplit_space`].
fn pieces_from_right(most: usize) -> NextPiece {
    let mut left = most;
    Box::new(move |text, at| {
        let end = text[..at].iter().rposition(|&byte| !is_space(byte))? + 1;
        if left == 0 {
            return Some(((0, end), 0));
        }
        left -= 1;
        let start = text[..end].iter().rposition(|&byte| is_space(byte)).map_or(0, |space| space + 1);
        Some(((start, end), start))
    })
}

/// Parts between separators from right to left: see [`split::rsplit`].
fn parts_from_right(separator: Vec<u8>, most: usize) -> NextPiece {
    let mut left = most;
    let mut over = false;
    Box::new(move |text, at| {
        if over {
            return None;
        }
        let found = if left == 0 { None } else { search::rfind(&text[..at], &separator) };
        left = left.saturating_sub(1);
        over = found.is_none();
        Some(found.map_or(((0, at), 0), |found| ((found + separator.len(), at), found)))
    })
}

/// Lines: see [`split::split_lines`].
fn lines(keep: bool) -> NextPiece {
    Box::new(move |text, at| {
        let (start, end, next) = split::next_line(text, at)?;
        Some(((start, if keep { next } else { end }), next))
    })
}

fn split_left(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    split_either(vm, &args, false)
}

fn split_right(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    split_either(vm, &args, true)
}

fn splitlines(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let this = this(vm, &args)?;
    let keep = match args.get(1) {
        None => false,
        Some(keep) => small_integer_argument(vm, keep)? != 0,
    };
    if is_large(vm.heap.bytes(this).len()) {
        let cut = Cut::new(vm, this, 0, false, lines(keep));
        return stepwise::start(vm, cut);
    }
    value(lines_whole(vm, this, keep)?)
}

fn partition_either(vm: &mut Vm, args: &Args<'_>, from_right: bool) -> NativeReturn {
    let this = this(vm, args)?;
    let separator = str_argument(vm, args.positional[1], BUFFER)?;
    let (length, width) = (vm.heap.bytes(this).len(), vm.heap.bytes(separator).len());
    if width == 0 {
        return fail(vm, Builtin::ValueError, "empty separator");
    }
    vm.heap.make_room(length)?;
    value(parted(vm, this, separator, from_right))
}

/// A text before a separator that is not empty, the separator, and what is behind it: owned. The room has been asked for.
fn parted(vm: &mut Vm, this: Str, separator: Str, from_right: bool) -> Value {
    let (whole, wanted) = (vm.heap.bytes(this), vm.heap.bytes(separator));
    let (length, width) = (whole.len(), wanted.len());
    let found = if from_right { search::rfind(whole, wanted) } else { search::find(whole, wanted) };
    let parts = match found {
        Some(at) => [
            vm.heap.new_substr(this, 0, at),
            vm.heap.share(Value::Str(separator)),
            vm.heap.new_substr(this, at + width, length),
        ],
        None => {
            let empty = [vm.heap.new_str(b""), vm.heap.new_str(b"")];
            let whole = vm.heap.share(Value::Str(this));
            if from_right {
                [empty[0], empty[1], whole]
            } else {
                [whole, empty[0], empty[1]]
            }
        }
    };
    vm.heap.new_tuple(&parts)
}

/// The short ways of `text.partition(separator)` and `text.rpartition(separator)`.
#[inline(always)]
fn parted_quickly(vm: &mut Vm, args: &[Value], from_right: bool) -> Value {
    let [Value::Str(this), Value::Str(separator)] = *args else { return Value::Unset };
    if vm.heap.bytes(this).len() > SHORT || vm.heap.bytes(separator).is_empty() {
        return Value::Unset;
    }
    parted(vm, this, separator, from_right)
}

fn partition_quickly(vm: &mut Vm, args: &mut [Value]) -> Value {
    parted_quickly(vm, args, false)
}

fn rpartition_quickly(vm: &mut Vm, args: &mut [Value]) -> Value {
    parted_quickly(vm, args, true)
}

fn partition(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    partition_either(vm, &args, false)
}

fn rpartition(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    partition_either(vm, &args, true)
}

/// `text.replace(old, new, most)` for short texts, `old` not empty: owned.
fn replace_short(vm: &mut Vm, this: Str, old: Str, new: Str, most: usize) -> Value {
    vm.spend(vm.heap.bytes(this).len() / 64);
    let mut out = std::mem::take(&mut vm.scratch);
    let (text, old, new) = (vm.heap.bytes(this), vm.heap.bytes(old), vm.heap.bytes(new));
    let mut start = 0;
    for found in search::Occurrences::new(text, old).take(most) {
        out.extend_from_slice(&text[start..found]);
        out.extend_from_slice(new);
        start = found + old.len();
    }
    let replaced = if start == 0 {
        vm.heap.share(Value::Str(this))
    } else {
        out.extend_from_slice(&text[start..]);
        vm.heap.new_str(&out)
    };
    vm.give_scratch(out);
    replaced
}

/// The short way of `text.replace(old, new)`.
fn replace_quickly(vm: &mut Vm, args: &mut [Value]) -> Value {
    let [Value::Str(this), Value::Str(old), Value::Str(new)] = *args else { return Value::Unset };
    let sizes = [this, old, new].map(|text| vm.heap.bytes(text).len());
    if sizes[0] > SHORT || sizes[1] == 0 || sizes[2] > 64 {
        return Value::Unset;
    }
    replace_short(vm, this, old, new, usize::MAX)
}

/// The short way of `text.join(list)` and `text.join(tuple)`.
fn join_quickly(vm: &mut Vm, args: &mut [Value]) -> Value {
    const FEW: usize = 64;
    let (this, items) = match *args {
        [Value::Str(this), Value::List(list)] => (this, vm.heap.list(list)),
        [Value::Str(this), Value::Tuple(tuple)] => (this, vm.heap.tuple(tuple)),
        _ => return Value::Unset,
    };
    match *items {
        [one @ Value::Str(_)] => return vm.heap.share(one),
        ref items if items.len() > FEW => return Value::Unset,
        _ => {}
    }
    let mut out = std::mem::take(&mut vm.scratch);
    let whole = match push_texts(&vm.heap, &mut out, this, items) {
        true => vm.heap.new_str(&out),
        false => Value::Unset,
    };
    vm.give_scratch(out);
    whole
}

/// Appends strings with a separator between them; false if one is none, or it becomes long.
fn push_texts(heap: &Heap, out: &mut Vec<u8>, separator: Str, items: &[Value]) -> bool {
    let glue = !heap.bytes(separator).is_empty();
    for (at, item) in items.iter().enumerate() {
        let Value::Str(text) = *item else { return false };
        if glue && at > 0 {
            heap.push_bytes(out, separator);
        }
        if heap.bytes(text).len() + out.len() > SHORT {
            return false;
        }
        heap.push_bytes(out, text);
    }
    true
}

fn replace(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let this = this(vm, &args)?;
    let most = most(vm, args.get(3))?;
    let old = str_argument(vm, args.positional[1], BUFFER)?;
    let new = str_argument(vm, args.positional[2], BUFFER)?;
    let (size, width) = (vm.heap.bytes(this).len(), vm.heap.bytes(old).len());
    if size <= SHORT && width > 0 && vm.heap.bytes(new).len() <= 64 {
        return value(replace_short(vm, this, old, new, most));
    }
    if stepwise::is_large(size) && (1..stepwise::BYTES).contains(&width) && most > 0 {
        let replace = stepwise::Replace::new(vm, this, old, new, most);
        return stepwise::start(vm, replace);
    }
    if is_large(size) && width == 0 && most > size {
        let wide = vm.heap.bytes(new).len();
        if wide > 0 && wide < stepwise::BYTES / 64 {
            let total = wide.saturating_mul(size + 1).saturating_add(size);
            vm.heap.make_room(total)?;
            let new = vm.heap.bytes(new).to_vec();
            let mut first = true;
            let map: Map = Box::new(move |piece, out| {
                if std::mem::take(&mut first) {
                    out.extend_from_slice(&new);
                }
                for &byte in piece {
                    out.push(byte);
                    out.extend_from_slice(&new);
                }
            });
            let mapped = MapText::new(vm, this, total, map);
            return stepwise::start(vm, mapped);
        }
    }
    let replaced = with_room(vm, |heap, limit| {
        split::replace(heap.bytes(this), heap.bytes(old), heap.bytes(new), most, limit)
    })?;
    vm.spend(vm.heap.bytes(this).len() / 64);
    match replaced {
        Some(out) => text(vm, out),
        None => value(vm.heap.share(Value::Str(this))),
    }
}

fn join(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let this = this(vm, &args)?;
    match args.positional[1] {
        Value::List(list) if vm.heap.list(list).len() > stepwise::ITEMS => {
            let join = stepwise::Join::of_list(vm, this, list);
            return stepwise::start(vm, join);
        }
        Value::List(list) => {
            let items = std::mem::take(&mut vm.heap.lists[list].items);
            let joined = join_items(vm, this, &items);
            vm.heap.lists[list].items = items;
            return joined;
        }
        Value::Tuple(tuple) if vm.heap.tuple(tuple).len() <= stepwise::ITEMS => {
            let items = vm.heap.tuple(tuple).to_vec();
            return join_items(vm, this, &items);
        }
        _ => {}
    }
    vm.heap.retain(Value::Str(this));
    gather(vm, args.positional[1], Joined(this))
}

/// Joins what an iterable gave with this separator, which is owned.
struct Joined(Str);

impl Then for Joined {
    fn go(self, vm: &mut Vm, items: Vec<Value>) -> NativeReturn {
        let joined = if items.len() > stepwise::ITEMS {
            let join = stepwise::Join::new(vm, self.0, items);
            stepwise::start(vm, join)
        } else {
            let joined = join_items(vm, self.0, &items);
            release_all(&mut vm.heap, items);
            joined
        };
        give_back(self, vm);
        joined
    }
    fn failed(self, vm: &mut Vm, raised: Raised) -> Raised {
        give_back(self, vm);
        let exception = vm.heap.peek_raised(&raised);
        if vm.heap.is_instance(exception, Builtin::TypeError.class()) {
            return vm.heap.raise(Builtin::TypeError, "can only join an iterable");
        }
        raised
    }
    fn owned(&self, visit: &mut dyn FnMut(Value)) {
        visit(Value::Str(self.0));
    }
}

fn join_items(vm: &mut Vm, separator: Str, items: &[Value]) -> NativeReturn {
    if let [one @ Value::Str(_)] = items {
        return value(vm.heap.share(*one));
    }
    let heap = &vm.heap;
    let mut size = heap.bytes(separator).len().saturating_mul(items.len().saturating_sub(1));
    for (at, &item) in items.iter().enumerate() {
        let Some(text) = as_str(heap, item) else {
            let given = type_name(heap, item);
            let text = format!("sequence item {at}: expected string, {given} found");
            return fail(vm, Builtin::TypeError, text);
        };
        size = size.saturating_add(heap.bytes(text).len());
    }
    vm.heap.make_room(size)?;
    vm.spend(items.len() / 8 + size / 1024);
    if size > 4 * SHORT {
        let mut out = Vec::with_capacity(size);
        push_joined(&vm.heap, &mut out, separator, items);
        return text(vm, out);
    }
    let mut out = std::mem::take(&mut vm.scratch);
    push_joined(&vm.heap, &mut out, separator, items);
    let joined = vm.heap.new_str(&out);
    vm.give_scratch(out);
    value(joined)
}

fn push_joined(heap: &Heap, out: &mut Vec<u8>, separator: Str, items: &[Value]) {
    let glue = heap.bytes(separator);
    for (at, &item) in items.iter().enumerate() {
        if at > 0 && !glue.is_empty() {
            match *glue {
                [byte] => out.push(byte),
                _ => out.extend_from_slice(glue),
            }
        }
        if let Some(text) = as_str(heap, item) {
            heap.push_bytes(out, text);
        }
    }
}

fn str_repr(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let this = this(vm, &args)?;
    super::repr(vm, Value::Str(this))
}

fn str_str(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
    let this = this(vm, &args)?;
    value(vm.heap.share(Value::Str(this)))
}

/// `find`, `rfind`, `index` and `rindex` share one name in 2.7's messages about the number of arguments.
const fn finder(name: &'static str, code: crate::vm::native::NativeFn) -> NativeDef {
    NativeDef::method(name, 0, ANY, code)
}

macro_rules! finders {
    ($($wrapper:ident, $inner:ident;)*) => {$(
        fn $wrapper(vm: &mut Vm, args: Args<'_>) -> NativeReturn {
            let given = args.positional.len() - 1;
            if given == 0 || given > 3 {
                let (words, s, bound) = if given == 0 { ("least", "", 1) } else { ("most", "s", 3) };
                let text = format!("find/rfind/index/rindex() takes at {words} {bound} argument{s} ({given} given)");
                return fail(vm, Builtin::TypeError, text);
            }
            $inner(vm, args)
        }
    )*};
}

finders! {
    find_checked, find;
    rfind_checked, rfind;
    index_checked, index;
    rindex_checked, rindex;
}

/// All methods.
pub const METHODS: &[NativeDef] = &[
    NativeDef::method("capitalize", 0, 0, capitalize).quickly(quick_text::capitalize),
    NativeDef::method("center", 1, 2, center).quickly(quick_text::center),
    NativeDef::method("count", 1, 3, count).quickly(quick::count),
    NativeDef::method("endswith", 1, 3, endswith).quickly(quick::endswith),
    NativeDef::method("expandtabs", 0, 1, expandtabs).quickly(quick_text::expandtabs),
    finder("find", find_checked).quickly(quick::find),
    NativeDef::method("format", 0, ANY, super::format::format).with_keywords().quickly(format_quickly),
    finder("index", index_checked),
    NativeDef::method("isalnum", 0, 0, isalnum).quickly(quick::isalnum),
    NativeDef::method("isalpha", 0, 0, isalpha).quickly(quick::isalpha),
    NativeDef::method("isdigit", 0, 0, isdigit).quickly(quick::isdigit),
    NativeDef::method("islower", 0, 0, islower).quickly(quick_text::islower),
    NativeDef::method("isspace", 0, 0, isspace).quickly(quick::isspace),
    NativeDef::method("istitle", 0, 0, istitle).quickly(quick_text::istitle),
    NativeDef::method("isupper", 0, 0, isupper).quickly(quick_text::isupper),
    NativeDef::method("join", 1, 1, join).quickly(join_quickly),
    NativeDef::method("ljust", 1, 2, ljust).quickly(quick_text::ljust),
    NativeDef::method("lower", 0, 0, lower).quickly(quick::lower),
    NativeDef::method("lstrip", 0, 1, lstrip).quickly(quick::lstrip),
    NativeDef::method("partition", 1, 1, partition).quickly(partition_quickly),
    NativeDef::method("replace", 2, 3, replace).quickly(replace_quickly),
    finder("rfind", rfind_checked).quickly(quick::rfind),
    finder("rindex", rindex_checked),
    NativeDef::method("rjust", 1, 2, rjust).quickly(quick_text::rjust),
    NativeDef::method("rpartition", 1, 1, rpartition).quickly(rpartition_quickly),
    NativeDef::method("rsplit", 0, 2, split_right),
    NativeDef::method("rstrip", 0, 1, rstrip).quickly(quick::rstrip),
    NativeDef::method("split", 0, 2, split_left).quickly(split_quickly),
    NativeDef::method("splitlines", 0, 1, splitlines).quickly(splitlines_quickly),
    NativeDef::method("startswith", 1, 3, startswith).quickly(quick::startswith),
    NativeDef::method("strip", 0, 1, strip).quickly(quick::strip),
    NativeDef::method("swapcase", 0, 0, swapcase).quickly(quick_text::swapcase),
    NativeDef::method("title", 0, 0, title).quickly(quick_text::title),
    NativeDef::method("translate", 1, 2, translate),
    NativeDef::method("upper", 0, 0, upper).quickly(quick::upper),
    NativeDef::method("zfill", 1, 1, zfill).quickly(quick_text::zfill),
    NativeDef::method("__repr__", 0, 0, str_repr),
    NativeDef::method("__str__", 0, 0, str_str),
];
