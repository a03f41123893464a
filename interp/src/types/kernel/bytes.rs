//! The methods of 2.7's byte strings that look at or change characters; "C" locale throughout.
use super::error::{Fault, Outcome};
use super::float::is_space;

/// A predicate such as `isalpha`: true for a non-empty text all of whose bytes satisfy `holds`.
pub fn all_of(text: &[u8], holds: impl Fn(&u8) -> bool) -> bool {
    // No early exit inside a chunk: the compiler turns this into vector comparisons.
    let (chunks, rest) = text.as_chunks::<CHUNK>();
    !text.is_empty()
        && chunks.iter().all(|chunk| chunk.iter().fold(true, |all, byte| all & holds(byte)))
        && rest.iter().all(holds)
}

/// Bytes looked at without an early exit.
const CHUNK: usize = 32;

/// A predicate such as `isupper`: true for a text with a byte that is wanted and none that is not.
pub fn some_of(text: &[u8], wanted: impl Fn(&u8) -> bool, unwanted: impl Fn(&u8) -> bool) -> bool {
    let mut found = false;
    for chunk in text.chunks(CHUNK) {
        if chunk.iter().fold(false, |any, byte| any | unwanted(byte)) {
            return false;
        }
        found = found || chunk.iter().fold(false, |any, byte| any | wanted(byte));
    }
    found
}

/// `text.isspace()`
pub fn is_space_text(text: &[u8]) -> bool {
    all_of(text, |&b| is_space(b))
}

/// `text.islower()`
pub fn is_lower(text: &[u8]) -> bool {
    some_of(text, u8::is_ascii_lowercase, u8::is_ascii_uppercase)
}

/// `text.isupper()`
pub fn is_upper(text: &[u8]) -> bool {
    some_of(text, u8::is_ascii_uppercase, u8::is_ascii_lowercase)
}

/// `text.istitle()`
pub fn is_title(text: &[u8]) -> bool {
    let mut cased = false;
    let mut previous = false;
    for byte in text {
        if byte.is_ascii_uppercase() {
            if previous {
                return false;
            }
            previous = true;
            cased = true;
        } else if byte.is_ascii_lowercase() {
            if !previous {
                return false;
            }
            cased = true;
        } else {
            previous = false;
        }
    }
    cased
}

/// `text.capitalize()`
pub fn capitalize(text: &[u8]) -> Vec<u8> {
    let mut out = text.to_vec();
    capitalize_in_place(&mut out);
    out
}

/// [`capitalize`] of a text that is changed itself.
pub fn capitalize_in_place(text: &mut [u8]) {
    text.make_ascii_lowercase();
    if let Some(first) = text.first_mut() {
        first.make_ascii_uppercase();
    }
}

/// `text.swapcase()`
pub fn swapcase(text: &[u8]) -> Vec<u8> {
    text.iter().map(|&byte| swapped(byte)).collect()
}

/// A byte with its case swapped.
pub fn swapped(byte: u8) -> u8 {
    if byte.is_ascii_alphabetic() {
        byte ^ 0x20
    } else {
        byte
    }
}

/// `text.title()`
pub fn title(text: &[u8]) -> Vec<u8> {
    let mut out = text.to_vec();
    title_in_place(&mut out, &mut false);
    out
}

/// Changes a piece of a text to title case; `previous` says whether a letter came before it.
pub fn title_in_place(piece: &mut [u8], previous: &mut bool) {
    let mut behind = *previous;
    for byte in piece {
        let letter = byte.is_ascii_alphabetic();
        // The bit that makes a letter a small one.
        let cased = (*byte & !0x20) | (u8::from(behind) << 5);
        *byte = if letter { cased } else { *byte };
        behind = letter;
    }
    *previous = behind;
}

/// Which ends `strip`, `lstrip` and `rstrip` take from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Strip at the start.
    pub left: bool,
    /// Strip at the end.
    pub right: bool,
}

/// `text.strip(set)`; without a set, white space goes. Returns the range that stays.
pub fn strip(text: &[u8], set: Option<&[u8]>, ends: Ends) -> (usize, usize) {
    match set {
        None => strip_by(text, ends, |b| is_space(*b)),
        Some(&[one]) => strip_by(text, ends, |b| *b == one),
        Some(set) => {
            let mut table = [false; 256];
            set.iter().for_each(|&b| table[b as usize] = true);
            strip_by(text, ends, |b| table[*b as usize])
        }
    }
}

fn strip_by(text: &[u8], ends: Ends, goes: impl Fn(&u8) -> bool) -> (usize, usize) {
    let start = if ends.left { text.iter().position(|b| !goes(b)).unwrap_or(text.len()) } else { 0 };
    let end = if ends.right {
        text[start..].iter().rposition(|b| !goes(b)).map_or(start, |at| start + at + 1)
    } else {
        text.len()
    };
    (start, end)
}

/// Where `ljust`, `rjust` and `center` put the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// `ljust`
    Left,
    /// `rjust`
    Right,
    /// `center`: an odd rest goes left when the width is odd too.
    Center,
}

/// Pads to `width` with `fill`; the result is at most `limit` bytes.
pub fn justify(text: &[u8], width: i64, fill: u8, align: Align, limit: usize) -> Outcome<Vec<u8>> {
    let width = usize::try_from(width).unwrap_or(0);
    if width <= text.len() {
        return Ok(text.to_vec());
    }
    if width > limit {
        return Err(Fault::memory());
    }
    let left = left_fill(text.len(), width, align);
    let mut out = Vec::with_capacity(width);
    out.resize(left, fill);
    out.extend_from_slice(text);
    out.resize(width, fill);
    Ok(out)
}

/// How much of the fill comes before a text of this size.
pub fn left_fill(size: usize, width: usize, align: Align) -> usize {
    let rest = width - size;
    match align {
        Align::Left => 0,
        Align::Right => rest,
        Align::Center => rest / 2 + (rest & width & 1),
    }
}

/// `text.zfill(width)`
pub fn zfill(text: &[u8], width: i64, limit: usize) -> Outcome<Vec<u8>> {
    let mut out = justify(text, width, b'0', Align::Right, limit)?;
    let fill = out.len() - text.len();
    if fill > 0 && matches!(text.first(), Some(b'+' | b'-')) {
        out.swap(0, fill);
    }
    Ok(out)
}

/// `text.expandtabs(size)`
pub fn expand_tabs(text: &[u8], size: i64, limit: usize) -> Outcome<Vec<u8>> {
    let width = usize::try_from(size).unwrap_or(0);
    let mut total = 0usize;
    let mut column = 0usize;
    for run in text.split_inclusive(|&byte| byte == b'\t') {
        let (plain, tab) = pass_plain(run, &mut column);
        let step = if tab { tab_step(&mut column, width) } else { 0 };
        total = total
            .checked_add(plain)
            .and_then(|total| total.checked_add(step))
            .ok_or_else(|| Fault::overflow("result too long"))?;
    }
    if total > limit {
        return Err(Fault::memory());
    }
    let mut out = Vec::with_capacity(total);
    push_expanded(&mut out, text, size, &mut 0);
    Ok(out)
}

/// Appends a piece of a text with its tabs expanded; `column` is where it begins.
pub fn push_expanded(out: &mut Vec<u8>, piece: &[u8], size: i64, column: &mut usize) {
    let width = usize::try_from(size).unwrap_or(0);
    for run in piece.split_inclusive(|&byte| byte == b'\t') {
        let (plain, tab) = pass_plain(run, column);
        out.extend_from_slice(&run[..plain]);
        if tab {
            match (tab_step(column, width), b"        ") {
                (step @ 0..=8, blanks) => out.extend_from_slice(&blanks[..step]),
                (step, _) => out.resize(out.len() + step, b' '),
            }
        }
    }
}

/// How many bytes of a run that ends at a tab or with the text stand before the tab, and whether there is one; the column
/// goes on to the tab.
fn pass_plain(run: &[u8], column: &mut usize) -> (usize, bool) {
    let (plain, tab) = match run {
        [plain @ .., b'\t'] => (plain, true),
        _ => (run, false),
    };
    let found = match plain.len() {
        // A search is not worth setting up.
        0..=16 => plain.iter().rposition(|&byte| byte == b'\n' || byte == b'\r'),
        _ => memchr::memrchr2(b'\n', b'\r', plain),
    };
    match found {
        Some(at) => *column = plain.len() - at - 1,
        None => *column = column.wrapping_add(plain.len()),
    }
    (plain.len(), tab)
}

/// Blanks a tab expands to; keeps the column.
fn tab_step(column: &mut usize, width: usize) -> usize {
    if width == 0 {
        return 0;
    }
    let step = width - *column % width;
    *column = column.wrapping_add(step);
    step
}

/// `text.translate(table, deletions)`; no table keeps the bytes.
pub fn translate(text: &[u8], table: Option<&[u8]>, deletions: &[u8]) -> Outcome<Vec<u8>> {
    let table: Option<&[u8; 256]> = match table {
        None => None,
        Some(table) => {
            let wrong = || Fault::value("translation table must be 256 characters long");
            Some(table.try_into().map_err(|_| wrong())?)
        }
    };
    let mapped = |byte: u8| table.map_or(byte, |table| table[usize::from(byte)]);
    if deletions.is_empty() {
        return Ok(match table {
            None => text.to_vec(),
            Some(table) => text.iter().map(|&byte| table[usize::from(byte)]).collect(),
        });
    }
    let mut stays = [1u8; 256];
    deletions.iter().for_each(|&byte| stays[usize::from(byte)] = 0);
    // Each byte is written, and written over by the next one if it goes.
    let mut out = vec![0; text.len()];
    let mut end = 0;
    for &byte in text {
        if let Some(place) = out.get_mut(end) {
            *place = mapped(byte);
        }
        end += usize::from(stays[usize::from(byte)]);
    }
    out.truncate(end);
    Ok(out)
}

/// `text * count`
pub fn repeat(text: &[u8], count: i64, limit: usize) -> Outcome<Vec<u8>> {
    let count = usize::try_from(count).unwrap_or(0);
    match text.len().checked_mul(count) {
        Some(size) if size <= limit => Ok(text.repeat(count)),
        _ => Err(Fault::memory()),
    }
}

/// Clamps optional start and end arguments as the search methods do; negative ones count from the end.
pub fn clamp(length: usize, start: i64, end: i64) -> Option<(usize, usize)> {
    let length = length as i64;
    let fix = |at: i64| if at < 0 { at.saturating_add(length).max(0) } else { at };
    let (start, end) = (fix(start), fix(end).min(length));
    (start <= end).then_some((start as usize, end as usize))
}
