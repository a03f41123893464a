//! The replacement fields of `str.format`: cutting a format into literals and fields, and a field's name into steps.
use super::error::{Fault, Outcome};

/// One piece of a format string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chunk {
    /// Text to copy: start and end, and whether one brace of the pair at the end was dropped.
    Literal(usize, usize),
    /// A field; positions are in the format.
    Field {
        /// Field name.
        name: (usize, usize),
        /// `r` or `s`, 0 for none.
        conversion: u8,
        /// The specification behind `:`.
        spec: (usize, usize),
        /// The specification holds fields itself.
        nested: bool,
    },
}

/// Cuts a format string.
pub fn chunks(format: &[u8]) -> Outcome<Vec<Chunk>> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < format.len() {
        let start = at;
        while at < format.len() && format[at] != b'{' && format[at] != b'}' {
            at += 1;
        }
        if at == format.len() {
            out.push(Chunk::Literal(start, at));
            break;
        }
        let brace = format[at];
        let next = format.get(at + 1).copied();
        if next == Some(brace) {
            out.push(Chunk::Literal(start, at + 1));
            at += 2;
            continue;
        }
        if brace == b'}' {
            return Err(Fault::value("Single '}' encountered in format string"));
        }
        if next.is_none() {
            return Err(Fault::value("Single '{' encountered in format string"));
        }
        if at > start {
            out.push(Chunk::Literal(start, at));
        }
        at += 1;
        let begin = at;
        let mut depth = 1;
        let mut nested = false;
        while at < format.len() {
            match format[at] {
                b'{' => {
                    depth += 1;
                    nested = true;
                }
                b'}' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        if depth > 0 {
            return Err(Fault::value("unmatched '{' in format"));
        }
        out.push(field(format, begin, at, nested)?);
        at += 1;
    }
    Ok(out)
}

fn field(format: &[u8], begin: usize, end: usize, nested: bool) -> Outcome<Chunk> {
    let stop = format[begin..end].iter().position(|b| matches!(b, b':' | b'!')).map_or(end, |at| begin + at);
    let name = (begin, stop);
    if stop == end {
        if begin == end && end == format.len() {
            return Err(Fault::value("zero length field name in format"));
        }
        return Ok(Chunk::Field { name, conversion: 0, spec: (end, end), nested });
    }
    if format[stop] == b':' {
        return Ok(Chunk::Field { name, conversion: 0, spec: (stop + 1, end), nested });
    }
    let Some(&conversion) = format[..end].get(stop + 1) else {
        return Err(Fault::value("end of format while looking for conversion specifier"));
    };
    match format[..end].get(stop + 2) {
        None => Ok(Chunk::Field { name, conversion, spec: (end, end), nested }),
        Some(b':') => Ok(Chunk::Field { name, conversion, spec: (stop + 3, end), nested }),
        Some(_) => Err(Fault::value("expected ':' after format specifier")),
    }
}

/// The first part of a field name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First {
    /// `{}`: the next argument.
    Automatic,
    /// `{3}`
    Index(usize),
    /// `{name}`
    Name((usize, usize)),
}

/// A step behind the first part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// `.attribute`
    Attribute((usize, usize)),
    /// `[3]`
    Index(usize),
    /// `[key]`
    Key((usize, usize)),
}

fn number(text: &[u8]) -> Outcome<Option<usize>> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Ok(None);
    }
    let mut value = 0u64;
    for digit in text {
        value = value.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
        if value > i64::MAX as u64 {
            return Err(Fault::value("Too many decimal digits in format string"));
        }
    }
    Ok(Some(value as usize))
}

/// Cuts the field name `format[range]` into its first part and steps.
pub fn steps(format: &[u8], range: (usize, usize)) -> Outcome<(First, Vec<Step>)> {
    let (start, end) = range;
    let mut at =
        format[start..end].iter().position(|b| matches!(b, b'.' | b'[')).map_or(end, |at| start + at);
    let first = match number(&format[start..at])? {
        Some(index) => First::Index(index),
        None if at == start => First::Automatic,
        None => First::Name((start, at)),
    };
    let mut out = Vec::new();
    while at < end {
        if format[at] == b'.' {
            let begin = at + 1;
            at =
                format[begin..end].iter().position(|b| matches!(b, b'.' | b'[')).map_or(end, |to| begin + to);
            if at == begin {
                return Err(Fault::value("Empty attribute in format string"));
            }
            out.push(Step::Attribute((begin, at)));
        } else if format[at] == b'[' {
            let begin = at + 1;
            let Some(close) = format[begin..end].iter().position(|&b| b == b']') else {
                return Err(Fault::value("Missing ']' in format string"));
            };
            at = begin + close + 1;
            if close == 0 {
                return Err(Fault::value("Empty attribute in format string"));
            }
            let inner = (begin, begin + close);
            out.push(match number(&format[inner.0..inner.1])? {
                Some(index) => Step::Index(index),
                None => Step::Key(inner),
            });
        } else {
            return Err(Fault::value("Only '.' or '[' may follow ']' in format field specifier"));
        }
    }
    Ok((first, out))
}
