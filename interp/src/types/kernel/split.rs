//! Cutting and joining byte strings: `split`, `rsplit`, `splitlines`, `partition`, `replace`, `join`.
use super::error::{Fault, Outcome};
use super::float::is_space;
use super::search::{self, Occurrences};

/// A piece of a text: start and end.
pub type Piece = (usize, usize);

/// `text.split(None, most)`.
pub fn split_space(text: &[u8], most: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = 0;
    loop {
        while at < text.len() && is_space(text[at]) {
            at += 1;
        }
        if at == text.len() {
            return pieces;
        }
        if pieces.len() == most {
            let end = text.iter().rposition(|&b| !is_space(b)).map_or(at, |last| last + 1);
            // With a limit the last piece keeps inner white space, and trailing white space too.
            let end = if most == usize::MAX { end } else { text.len() };
            pieces.push((at, end));
            return pieces;
        }
        let start = at;
        while at < text.len() && !is_space(text[at]) {
            at += 1;
        }
        pieces.push((start, at));
    }
}

/// `text.rsplit(None, most)`, in text order.
pub fn rsplit_space(text: &[u8], most: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut end = text.len();
    loop {
        while end > 0 && is_space(text[end - 1]) {
            end -= 1;
        }
        if end == 0 {
            break;
        }
        if pieces.len() == most {
            pieces.push((0, end));
            break;
        }
        let stop = end;
        while end > 0 && !is_space(text[end - 1]) {
            end -= 1;
        }
        pieces.push((end, stop));
    }
    pieces.reverse();
    pieces
}

/// `text.split(separator, most)`.
pub fn split(text: &[u8], separator: &[u8], most: usize) -> Outcome<Vec<Piece>> {
    if separator.is_empty() {
        return Err(Fault::value("empty separator"));
    }
    let mut pieces = Vec::new();
    let mut start = 0;
    for found in Occurrences::new(text, separator).take(most) {
        pieces.push((start, found));
        start = found + separator.len();
    }
    pieces.push((start, text.len()));
    Ok(pieces)
}

/// `text.rsplit(separator, most)`, in text order.
pub fn rsplit(text: &[u8], separator: &[u8], most: usize) -> Outcome<Vec<Piece>> {
    if separator.is_empty() {
        return Err(Fault::value("empty separator"));
    }
    let mut pieces = Vec::new();
    let mut end = text.len();
    while pieces.len() < most {
        let Some(found) = search::rfind(&text[..end], separator) else { break };
        pieces.push((found + separator.len(), end));
        end = found;
    }
    pieces.push((0, end));
    pieces.reverse();
    Ok(pieces)
}

/// `text.splitlines(keep)`: ends are `\n`, `\r` and `\r\n`.
pub fn split_lines(text: &[u8], keep: bool) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = 0;
    while let Some((start, end, next)) = next_line(text, at) {
        pieces.push((start, if keep { next } else { end }));
        at = next;
    }
    pieces
}

/// The line that begins at a position: its start, its end, and where the next one begins.
pub fn next_line(text: &[u8], start: usize) -> Option<(usize, usize, usize)> {
    if start >= text.len() {
        return None;
    }
    // Most lines are short: a search is set up for the others only.
    const NEAR: usize = 16;
    let rest = &text[start..];
    let found = match rest.iter().take(NEAR).position(|&b| b == b'\n' || b == b'\r') {
        None if rest.len() > NEAR => memchr::memchr2(b'\n', b'\r', &rest[NEAR..]).map(|at| NEAR + at),
        found => found,
    };
    let end = found.map_or(text.len(), |at| start + at);
    let next = match text.get(end..) {
        Some([b'\r', b'\n', ..]) => end + 2,
        Some([_, ..]) => end + 1,
        _ => end,
    };
    Some((start, end, next))
}

/// `text.replace(old, new, most)`; `None` when nothing changes. The result is at most `limit` bytes.
pub fn replace(text: &[u8], old: &[u8], new: &[u8], most: usize, limit: usize) -> Outcome<Option<Vec<u8>>> {
    let count = match search::find(text, old) {
        None => 0,
        Some(_) if old.is_empty() => (text.len() + 1).min(most),
        Some(first) => search::count(&text[first..], old, most),
    };
    // 2.7's own oddity: with a limit, nothing is put into an empty text.
    let odd = old.is_empty() && text.is_empty() && most != usize::MAX;
    if count == 0 || odd || (old.is_empty() && new.is_empty()) {
        return Ok(None);
    }
    let grown =
        new.len().checked_mul(count).and_then(|added| added.checked_add(text.len() - old.len() * count));
    let size = grown.filter(|&size| size <= limit).ok_or_else(Fault::memory)?;
    if let ([from], [to]) = (old, new) {
        if count < most {
            return Ok(Some(exchanged(text, *from, *to, count)));
        }
    }
    let mut out = Vec::with_capacity(size);
    if old.is_empty() {
        for (at, &byte) in text.iter().enumerate() {
            if at < count {
                out.extend_from_slice(new);
            }
            out.push(byte);
        }
        if count > text.len() {
            out.extend_from_slice(new);
        }
        return Ok(Some(out));
    }
    let mut start = 0;
    for found in Occurrences::new(text, old).take(count) {
        out.extend_from_slice(&text[start..found]);
        out.extend_from_slice(new);
        start = found + old.len();
    }
    out.extend_from_slice(&text[start..]);
    Ok(Some(out))
}

/// A copy of a text with each of the `count` bytes `from` changed to another one.
fn exchanged(text: &[u8], from: u8, to: u8, count: usize) -> Vec<u8> {
    // Where few are changed it is quicker to look for them than to decide for each byte.
    if count > text.len() / 16 {
        return text.iter().map(|&byte| if byte == from { to } else { byte }).collect();
    }
    let mut out = text.to_vec();
    for at in memchr::memchr_iter(from, text) {
        out[at] = to;
    }
    out
}

/// Size of `separator.join(items)` for items of the given sizes, if it is at most `limit`.
pub fn join_size(sizes: impl Iterator<Item = usize>, separator: usize, limit: usize) -> Outcome<usize> {
    let mut total = 0usize;
    for (at, size) in sizes.enumerate() {
        let added = if at == 0 { size } else { size.saturating_add(separator) };
        total = total.saturating_add(added);
        if total > limit {
            return Err(Fault::memory());
        }
    }
    Ok(total)
}
