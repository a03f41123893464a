//! The methods of 2.7's byte strings that look at or change characters; "C" locale throughout.
use super::error::{Fault, Outcome};
use super::float::is_space;

/// A predicate such as `isalpha`: true for a non-empty text all of whose bytes satisfy `holds`.
pub fn all_of(text: &[u8], holds: impl Fn(&u8) -> bool) -> bool {
    !text.is_empty() && text.iter().all(holds)
}

/// `text.isspace()`
pub fn is_space_text(text: &[u8]) -> bool {
    all_of(text, |&b| is_space(b))
}

/// `text.islower()`
pub fn is_lower(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_lowercase) && !text.iter().any(u8::is_ascii_uppercase)
}

/// `text.isupper()`
pub fn is_upper(text: &[u8]) -> bool {
    text.iter().any(u8::is_ascii_uppercase) && !text.iter().any(u8::is_ascii_lowercase)
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
    let mut out = Vec::with_capacity(text.len());
    push_title(&mut out, text, &mut false);
    out
}

/// Appends a piece of a text in title case; `previous` says whether a letter came before it.
pub fn push_title(out: &mut Vec<u8>, piece: &[u8], previous: &mut bool) {
    out.extend(piece.iter().map(|byte| {
        let changed = if *previous { byte.to_ascii_lowercase() } else { byte.to_ascii_uppercase() };
        *previous = byte.is_ascii_alphabetic();
        changed
    }));
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
    for &byte in text {
        let step = tab_step(byte, &mut column, width);
        total = total.checked_add(step).ok_or_else(|| Fault::overflow("result too long"))?;
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
    for &byte in piece {
        let step = tab_step(byte, column, width);
        if byte == b'\t' {
            out.resize(out.len() + step, b' ');
        } else {
            out.push(byte);
        }
    }
}

/// Characters that `byte` expands to; keeps the column.
fn tab_step(byte: u8, column: &mut usize, width: usize) -> usize {
    match byte {
        b'\t' if width == 0 => 0,
        b'\t' => {
            let step = width - *column % width;
            *column = column.wrapping_add(step);
            step
        }
        b'\n' | b'\r' => {
            *column = 0;
            1
        }
        _ => {
            *column = column.wrapping_add(1);
            1
        }
    }
}

/// `text.translate(table, deletions)`; no table keeps the bytes.
pub fn translate(text: &[u8], table: Option<&[u8]>, deletions: &[u8]) -> Outcome<Vec<u8>> {
    if table.is_some_and(|table| table.len() != 256) {
        return Err(Fault::value("translation table must be 256 characters long"));
    }
    let mut gone = [false; 256];
    deletions.iter().for_each(|&b| gone[b as usize] = true);
    let kept = text.iter().filter(|&&b| !gone[b as usize]);
    Ok(match table {
        Some(table) => kept.map(|&b| table[b as usize]).collect(),
        None => kept.copied().collect(),
    })
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
