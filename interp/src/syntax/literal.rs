//! The values of number and string tokens.

use std::borrow::Cow;

use super::ast::{ExprKind, LongLiteral};
use super::finding::Fault;
use super::tree::Tree;

/// The value of a number token; `negative` if a minus sign belongs to it.
pub(super) fn number<'t>(tree: &'t Tree, text: &str, negative: bool) -> ExprKind<'t> {
    let sign = if negative { "-" } else { "" };
    if let Some(digits) = text.strip_suffix(['j', 'J']) {
        return ExprKind::Imaginary(float(sign, digits));
    }
    let (body, long) = match text.strip_suffix(['l', 'L']) {
        Some(body) => (body, true),
        None => (text, false),
    };
    let prefix = body.get(..2).unwrap_or_default();
    let (radix, digits) = match prefix {
        "0x" | "0X" => (16, &body[2..]),
        "0o" | "0O" => (8, &body[2..]),
        "0b" | "0B" => (2, &body[2..]),
        _ if body.contains(['.', 'e', 'E']) => return ExprKind::Float(float(sign, body)),
        _ if body.len() > 1 && body.starts_with('0') => (8, &body[1..]),
        _ => (10, body),
    };
    if !long {
        // Nearly always a few digits.
        if radix == 10 && digits.len() < 18 {
            if let Ok(value) = digits.parse::<i64>() {
                return ExprKind::Int(if negative { -value } else { value });
            }
        }
        // Gives up at the first digit too many, so this is cheap for any length.
        if let Ok(magnitude) = i128::from_str_radix(digits, radix) {
            let value = if negative { -magnitude } else { magnitude };
            if let Ok(value) = i64::try_from(value) {
                return ExprKind::Int(value);
            }
        }
    }
    ExprKind::Long(tree.put(LongLiteral { negative, radix, digits: tree.text(digits) }))
}

/// A decimal floating-point number, infinite if too large. Rust reads every
/// form that the lexer accepts, except that it needs a digit before the exponent.
fn float(sign: &str, text: &str) -> f64 {
    let text = format!("{sign}{text}");
    text.parse().unwrap_or(f64::NAN)
}

/// Splits a string token into prefix letters and the bytes between the quotes.
fn split(token: &[u8]) -> (&[u8], &[u8]) {
    let quote = token.iter().position(|byte| matches!(byte, b'"' | b'\'')).unwrap_or(token.len());
    let (prefix, quoted) = token.split_at(quote);
    let width = match quoted {
        [a, b, c, _, _, _, ..] if a == b && a == c => 3,
        _ => 1,
    };
    let body = quoted.get(width..quoted.len().saturating_sub(width)).unwrap_or_default();
    (prefix, body)
}

/// Makes every line end a single LF.
fn unify_line_ends(body: &[u8]) -> Cow<'_, [u8]> {
    if !body.contains(&b'\r') {
        return Cow::Borrowed(body);
    }
    let mut unified = Vec::with_capacity(body.len());
    let mut bytes = body.iter().peekable();
    while let Some(byte) = bytes.next() {
        if *byte == b'\r' {
            bytes.next_if_eq(&&b'\n');
            unified.push(b'\n');
        } else {
            unified.push(*byte);
        }
    }
    Cow::Owned(unified)
}

/// The bytes of a byte string token that stand for themselves, all of them; none if there is more to it.
pub(super) fn plain(token: &[u8]) -> Option<&[u8]> {
    let (prefix, body) = split(token);
    let raw = prefix.iter().any(|letter| matches!(letter, b'r' | b'R'));
    let special = |byte: &u8| *byte == b'\r' || *byte == b'\\' && !raw;
    (!body.iter().any(special)).then_some(body)
}

/// Appends the value of a byte string token. The error gives the range of the
/// wrong escape within the token.
pub(super) fn string(token: &[u8], value: &mut Vec<u8>) -> Result<(), Fault> {
    let (prefix, body) = split(token);
    let body = unify_line_ends(body);
    if prefix.iter().any(|letter| matches!(letter, b'r' | b'R')) {
        value.extend_from_slice(&body);
        return Ok(());
    }
    let mut rest = &body[..];
    while let Some(plain) = rest.iter().position(|byte| *byte == b'\\') {
        value.extend_from_slice(&rest[..plain]);
        rest = &rest[plain + 1..];
        let Some((letter, behind)) = rest.split_first() else {
            return Ok(()); // the lexer lets no string end in a lone backslash
        };
        rest = behind;
        match letter {
            b'\n' => {}
            b'\\' | b'\'' | b'"' => value.push(*letter),
            b'a' => value.push(7),
            b'b' => value.push(8),
            b't' => value.push(9),
            b'n' => value.push(10),
            b'v' => value.push(11),
            b'f' => value.push(12),
            b'r' => value.push(13),
            b'0'..=b'7' => {
                let mut number = u32::from(letter - b'0');
                for _ in 0..2 {
                    if let Some((digit @ b'0'..=b'7', behind)) = rest.split_first() {
                        number = number * 8 + u32::from(digit - b'0');
                        rest = behind;
                    }
                }
                value.push(number as u8); // 2.7 drops the ninth bit too
            }
            b'x' => {
                let digits = rest.get(..2).and_then(|two| {
                    two.iter().try_fold(0, |sum, digit| Some(sum * 16 + char::from(*digit).to_digit(16)?))
                });
                let Some(number) = digits else {
                    return Err(Fault {
                        class: "ValueError",
                        message: "invalid \\x escape".into(),
                        title: "`\\x` in a string is not followed by two hexadecimal digits".into(),
                        help: "write `\\\\x` for a backslash and an x, or use r\"...\"".into(),
                    });
                };
                value.push(number as u8);
                rest = &rest[2..];
            }
            other => value.extend_from_slice(&[b'\\', *other]),
        }
    }
    value.extend_from_slice(rest);
    Ok(())
}

/// What Python 2.7's `repr` shows of a unicode literal. Only for messages, so
/// escapes that 2.7 would refuse are just kept.
pub(super) fn unicode_repr(tokens: &[&[u8]]) -> String {
    let mut shown = String::from("u'");
    for token in tokens {
        let (prefix, body) = split(token);
        let raw = prefix.iter().any(|letter| matches!(letter, b'r' | b'R'));
        let body = unify_line_ends(body);
        let text = String::from_utf8_lossy(&body);
        let mut rest = text.chars();
        while let Some(first) = rest.next() {
            let code = match first {
                '\\' => unicode_escape(&mut rest, raw),
                plain => Some(plain as u32),
            };
            if let Some(code) = code {
                show(code, &mut shown);
            }
        }
    }
    shown.push('\'');
    shown
}

/// The code an escape stands for; none for a joined line.
fn unicode_escape(rest: &mut std::str::Chars<'_>, raw: bool) -> Option<u32> {
    let mut behind = rest.clone();
    let letter = behind.next().unwrap_or('\\');
    let width = match letter {
        'u' => 4,
        'U' if !raw => 8,
        'x' if !raw => 2,
        _ => 0,
    };
    if width > 0 {
        let digits = behind.as_str().get(..width).unwrap_or_default();
        if let Ok(code) = u32::from_str_radix(digits, 16) {
            *rest = behind.as_str().get(width..).unwrap_or_default().chars();
            return Some(code);
        }
        return Some(u32::from(b'\\'));
    }
    let plain = match letter {
        _ if raw => return Some(u32::from(b'\\')),
        '\n' => None,
        '\\' | '\'' | '"' => Some(letter as u32),
        'a' => Some(7),
        'b' => Some(8),
        't' => Some(9),
        'n' => Some(10),
        'v' => Some(11),
        'f' => Some(12),
        'r' => Some(13),
        '0'..='7' => {
            let octal = rest.as_str();
            let width = octal.bytes().take(3).take_while(|byte| matches!(byte, b'0'..=b'7')).count();
            *rest = octal[width..].chars();
            return u32::from_str_radix(&octal[..width], 8).ok();
        }
        _ => return Some(u32::from(b'\\')),
    };
    *rest = behind;
    plain
}

fn show(code: u32, shown: &mut String) {
    match code {
        9 => shown.push_str("\\t"),
        10 => shown.push_str("\\n"),
        13 => shown.push_str("\\r"),
        0x27 => shown.push_str("\\'"),
        0x5c => shown.push_str("\\\\"),
        0x20..=0x7e => shown.push(code as u8 as char),
        0..=0xff => shown.push_str(&format!("\\x{code:02x}")),
        0x100..=0xffff => shown.push_str(&format!("\\u{code:04x}")),
        _ => shown.push_str(&format!("\\U{code:08x}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(token: &str) -> Vec<u8> {
        let mut value = Vec::new();
        string(token.as_bytes(), &mut value).expect("the string is right");
        value
    }

    #[test]
    fn escapes_are_those_of_python_2() {
        assert_eq!(value(r#""\a\b\t\n\v\f\r\\\'\"""#), b"\x07\x08\t\n\x0b\x0c\r\\'\"");
        assert_eq!(value(r"'\1234\8\q\777\08\0'"), b"S4\\8\\q\xff\x008\0");
        assert_eq!(value(r"'\x41\xfF'"), b"A\xff");
        assert_eq!(value(r"'\u0041\N{x}'"), b"\\u0041\\N{x}");
        assert_eq!(value("'a\\\nb'"), b"ab");
        assert_eq!(value("'a\\\r\nb'"), b"ab");
        assert_eq!(value("'''a\r\nb\rc\n'''"), b"a\nb\nc\n");
        assert_eq!(value("''"), b"");
        assert_eq!(value("''''''"), b"");
        assert_eq!(value("bR'''\\n'\"'''"), b"\\n'\"");
        assert_eq!(value(r"r'a\'b\\'"), br"a\'b\\");
        for wrong in [r"'\x4'", r"'\xg0'", r"'\x'"] {
            let fault = string(wrong.as_bytes(), &mut Vec::new()).expect_err(wrong);
            assert_eq!(fault.message, "invalid \\x escape");
        }
    }

    #[test]
    fn numbers_are_those_of_python_2() {
        let shown = |text, negative| format!("{:?}", number(&Tree::new(), text, negative));
        assert_eq!(shown("0", false), "Int(0)");
        assert_eq!(shown("00", false), "Int(0)");
        assert_eq!(shown("0777", false), "Int(511)");
        assert_eq!(shown("0o17", false), "Int(15)");
        assert_eq!(shown("0xFf", false), "Int(255)");
        assert_eq!(shown("0B101", true), "Int(-5)");
        assert_eq!(shown("9223372036854775807", false), format!("Int({})", i64::MAX));
        assert_eq!(shown("9223372036854775808", true), format!("Int({})", i64::MIN));
        for (text, radix, digits) in [
            ("9223372036854775808", 10, "9223372036854775808"),
            ("0xffffffffffffffff", 16, "ffffffffffffffff"),
            ("017L", 8, "17"),
            ("0l", 10, "0"),
        ] {
            let tree = Tree::new();
            let ExprKind::Long(long) = number(&tree, text, false) else {
                panic!("{text} is a long");
            };
            assert_eq!((long.radix, long.digits), (radix, digits));
        }
        assert_eq!(shown("1.5", true), "Float(-1.5)");
        assert_eq!(shown("0.0", true), "Float(-0.0)");
        assert_eq!(shown("08.5", false), "Float(8.5)");
        assert_eq!(shown("1.", false), "Float(1.0)");
        assert_eq!(shown(".5e1", false), "Float(5.0)");
        assert_eq!(shown("1e999", false), "Float(inf)");
        assert_eq!(shown("09j", false), "Imaginary(9.0)");
        assert_eq!(shown("0j", true), "Imaginary(-0.0)");
    }

    #[test]
    fn unicode_is_shown_as_python_2_does() {
        let shown = |tokens: &[&str]| {
            let tokens: Vec<&[u8]> = tokens.iter().map(|token| token.as_bytes()).collect();
            unicode_repr(&tokens)
        };
        assert_eq!(shown(&["u'abc'"]), "u'abc'");
        assert_eq!(shown(&[r#"u"it's""#, "'x'"]), r"u'it\'sx'");
        assert_eq!(shown(&[r"u'\u20ac\xe9\n\\\101'"]), r"u'\u20ac\xe9\n\\A'");
        assert_eq!(shown(&[r"ur'\n\u0041'"]), r"u'\\nA'");
        assert_eq!(shown(&["u'é😀'"]), r"u'\xe9\U0001f600'");
    }
}
