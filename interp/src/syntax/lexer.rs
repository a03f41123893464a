//! Bytes to tokens, as CPython 2.7 cuts them.

use super::ast::MAX_INDENT;
use super::finding::Fault;
use super::source::Span;
use super::symbol::{Symbol, Symbols};
use super::token::{keyword, Kind, Token};

/// How wide a tab is in indentation unless a comment says otherwise.
const TAB: u32 = 8;

/// Comments by which editors are told the width of a tab; 2.7 obeys them too.
const TAB_COMMENTS: [&[u8]; 4] = [b"tab-width:", b":tabstop=", b":ts=", b"set tabsize="];

/// How many bytes of a comment 2.7 searches for those.
const TAB_COMMENT_BYTES: usize = 79;

/// Cuts a text into tokens, one at a time.
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    /// True where the next byte is the first of a line that counts.
    line_start: bool,
    /// True if a token since the last Newline makes one necessary at the end.
    line_open: bool,
    /// Brackets not yet closed, with their places.
    pub brackets: Vec<u32>,
    indents: Vec<u32>,
    tab: u32,
    /// Dedent tokens still to be given out.
    dedents: u32,
    /// A [`Kind::Bad`] token follows the dedents.
    bad_follows: bool,
    /// What the last [`Kind::Bad`] token is about.
    pub fault: Option<Fault>,
    pub symbols: Symbols,
    /// Tokens that may still be read.
    tokens_left: u32,
}

impl<'a> Lexer<'a> {
    pub fn new(text: &'a [u8], tokens: u32, hash_seed: u64) -> Self {
        Lexer {
            text,
            at: 0,
            line_start: true,
            line_open: false,
            brackets: Vec::new(),
            indents: vec![0],
            tab: TAB,
            dedents: 0,
            bad_follows: false,
            fault: None,
            symbols: Symbols::new(hash_seed),
            tokens_left: tokens,
        }
    }

    /// The next token. After [`Kind::End`] comes only that again.
    pub fn next(&mut self) -> Token {
        match self.tokens_left.checked_sub(1) {
            Some(left) => self.tokens_left = left,
            None => {
                let fault = Fault {
                    class: "MemoryError",
                    message: "".into(),
                    title: "the program has too many tokens".into(),
                    help: "split it into smaller programs".into(),
                };
                let at = self.at;
                self.give_up();
                let token = self.bad(at, fault);
                return Token { span: Span::new(at as u32, at as u32 + 1), ..token };
            }
        }
        if self.dedents > 0 {
            self.dedents -= 1;
            return self.token(Kind::Dedent, self.at);
        }
        if std::mem::take(&mut self.bad_follows) {
            return self.token(Kind::Bad, self.at);
        }
        if std::mem::take(&mut self.line_start) {
            if let Some(token) = self.indentation() {
                return token;
            }
        }
        self.within_line()
    }

    /// Goes to the end of the text; only the tokens of the end follow.
    pub fn give_up(&mut self) {
        self.at = self.text.len();
        self.line_start = false;
        self.bad_follows = false;
        // Enough for a Newline, the Dedents and End.
        self.tokens_left = self.tokens_left.max(2 * MAX_INDENT as u32);
    }

    /// Leaves all brackets, so that the next line end counts again; used after
    /// an error.
    pub fn leave_brackets(&mut self) {
        self.brackets.clear();
    }

    fn peek(&self, ahead: usize) -> u8 {
        // NUL never occurs in a text that is parsed: it is refused before.
        self.text.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn token(&self, kind: Kind, start: usize) -> Token {
        Token { kind, span: Span::new(start as u32, self.at as u32), symbol: Symbol::default() }
    }

    fn bad(&mut self, start: usize, fault: Fault) -> Token {
        self.fault = Some(fault);
        self.line_open = true;
        self.token(Kind::Bad, start)
    }

    /// Reads indentation up to the first line that is not blank. Gives the
    /// token it makes, or none if the indentation stays the same.
    fn indentation(&mut self) -> Option<Token> {
        let (start, column) = loop {
            let start = self.at;
            let mut column = 0;
            loop {
                match self.peek(0) {
                    b' ' => column += 1,
                    b'\t' => column = (column / self.tab + 1) * self.tab,
                    b'\x0c' => column = 0,
                    _ => break,
                }
                self.at += 1;
            }
            match self.peek(0) {
                b'#' => self.comment(),
                b'\n' | b'\r' => {}
                0 => break (start, 0),
                _ => break (start, column),
            }
            self.line_end();
        };
        let current = self.indents.last().copied().unwrap_or(0);
        if column == current {
            return None;
        }
        if column > current {
            if self.indents.len() >= MAX_INDENT {
                let fault = Fault::indentation(
                    "too many levels of indentation",
                    format!("{} levels are possible; move inner blocks into functions", MAX_INDENT - 1),
                );
                return Some(self.bad(start, fault));
            }
            self.indents.push(column);
            return Some(self.token(Kind::Indent, start));
        }
        let mut popped = 0;
        while self.indents.last().is_some_and(|indent| *indent > column) {
            self.indents.pop();
            popped += 1;
        }
        self.dedents = popped - 1;
        if self.indents.last() != Some(&column) {
            self.fault = Some(Fault::indentation(
                "unindent does not match any outer indentation level",
                "indent the line exactly as much as the block it belongs to",
            ));
            self.bad_follows = true;
        }
        Some(self.token(Kind::Dedent, self.at))
    }

    /// Skips a line end of any kind, if there is one.
    fn line_end(&mut self) -> bool {
        match self.peek(0) {
            b'\n' => self.at += 1,
            b'\r' => self.at += if self.peek(1) == b'\n' { 2 } else { 1 },
            _ => return false,
        }
        true
    }

    /// Skips a comment up to its line end.
    fn comment(&mut self) {
        let start = self.at;
        let rest = &self.text[start..];
        let length = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        self.at += length;
        if self.at == self.text.len() && length < TAB_COMMENT_BYTES {
            return; // nothing follows that it could apply to
        }
        let searched = &rest[..length.min(TAB_COMMENT_BYTES)];
        for form in TAB_COMMENTS {
            let Some(place) = searched.windows(form.len()).position(|part| part == form) else {
                continue;
            };
            let digits = searched[place + form.len()..].trim_ascii_start();
            let mut width: u32 = 0;
            for digit in digits.iter().take_while(|byte| byte.is_ascii_digit()) {
                width = width.saturating_mul(10).saturating_add(u32::from(digit - b'0'));
            }
            if (1..=40).contains(&width) {
                self.tab = width;
            }
        }
    }

    /// The next token of a line.
    fn within_line(&mut self) -> Token {
        loop {
            while matches!(self.peek(0), b' ' | b'\t' | b'\x0c') {
                self.at += 1;
            }
            match self.peek(0) {
                b'#' => self.comment(),
                b'\\' => {
                    let start = self.at;
                    self.at += 1;
                    if !self.line_end() && self.at < self.text.len() {
                        let fault = Fault::syntax(
                            "unexpected character after line continuation character",
                            "a backslash joins lines only as the very last character of a line; \
                             mind spaces behind it",
                        );
                        return self.bad(start, fault);
                    }
                }
                b'\n' | b'\r' => {
                    let start = self.at;
                    self.line_end();
                    if self.brackets.is_empty() {
                        self.line_start = true;
                        self.line_open = false;
                        let mut token = self.token(Kind::Newline, start);
                        token.span.end = start as u32;
                        return token;
                    }
                }
                0 if self.at >= self.text.len() => return self.end(),
                _ => break,
            }
        }
        self.line_open = true;
        let start = self.at;
        match self.peek(0) {
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word(start),
            b'0'..=b'9' => self.number(start),
            b'.' if self.peek(1).is_ascii_digit() => self.number(start),
            b'"' | b'\'' => self.string(start, Kind::Str),
            _ => self.operator(start),
        }
    }

    /// The tokens at the end of the text: a Newline if the last line has none,
    /// the Dedents, End for ever.
    fn end(&mut self) -> Token {
        self.tokens_left = self.tokens_left.max(2);
        if self.brackets.is_empty() && self.line_open {
            self.line_open = false;
            return self.token(Kind::Newline, self.at);
        }
        if self.indents.len() > 1 && self.brackets.is_empty() {
            self.indents.pop();
            return self.token(Kind::Dedent, self.at);
        }
        self.token(Kind::End, self.at)
    }

    /// A name, a keyword, or the prefix of a string.
    fn word(&mut self, start: usize) -> Token {
        let rest = &self.text[start..];
        let length =
            rest.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'_').unwrap_or(rest.len());
        let word = &rest[..length];
        self.at += length;
        if length <= 2 && matches!(self.peek(0), b'"' | b'\'') {
            match word {
                b"b" | b"B" | b"r" | b"R" | b"br" | b"bR" | b"Br" | b"BR" => {
                    return self.string(start, Kind::Str)
                }
                b"u" | b"U" | b"ur" | b"uR" | b"Ur" | b"UR" => return self.string(start, Kind::UnicodeStr),
                _ => {}
            }
        }
        // Only ASCII bytes were taken, so this never gives the empty text.
        let text = std::str::from_utf8(word).unwrap_or_default();
        let mut token = self.token(Kind::Name, start);
        match keyword(text) {
            Some(kind) => token.kind = kind,
            None => token.symbol = self.symbols.intern(text),
        }
        token
    }

    /// A string from its opening quote on; a prefix is already skipped. Any
    /// backslash protects the byte behind it, in raw strings too.
    fn string(&mut self, start: usize, kind: Kind) -> Token {
        let quote = self.peek(0);
        let triple = self.peek(1) == quote && self.peek(2) == quote;
        self.at += if triple { 3 } else { 1 };
        loop {
            let rest = &self.text[self.at..];
            let Some(skip) =
                rest.iter().position(|byte| *byte == quote || matches!(byte, b'\\' | b'\n' | b'\r'))
            else {
                self.at = self.text.len();
                let fault = if triple {
                    Fault::syntax(
                        "EOF while scanning triple-quoted string literal",
                        "the string that begins here has no closing quotes",
                    )
                } else {
                    unterminated()
                };
                return self.bad(start, fault);
            };
            self.at += skip;
            match rest[skip] {
                b'\\' => {
                    self.at += 1;
                    if !self.line_end() && self.at < self.text.len() {
                        self.at += 1;
                    }
                }
                b'\n' | b'\r' => {
                    if !triple {
                        return self.bad(start, unterminated());
                    }
                    self.line_end();
                }
                _ if !triple => {
                    self.at += 1;
                    return self.token(kind, start);
                }
                _ if self.peek(1) == quote && self.peek(2) == quote => {
                    self.at += 3;
                    return self.token(kind, start);
                }
                _ => self.at += 1,
            }
        }
    }

    fn skip_digits(&mut self, radix: u32) {
        while char::from(self.peek(0)).is_digit(radix) {
            self.at += 1;
        }
    }

    /// Skips the letter of a long if it is there.
    fn skip_long(&mut self) {
        if matches!(self.peek(0), b'l' | b'L') {
            self.at += 1;
        }
    }

    /// A number. Like 2.7 it ends where it can no longer go on, whatever stands
    /// there: `1if x else 2` is possible.
    fn number(&mut self, start: usize) -> Token {
        if self.peek(0) == b'0' {
            let radix = match self.peek(1) {
                b'x' | b'X' => 16,
                b'o' | b'O' => 8,
                b'b' | b'B' => 2,
                _ => 0,
            };
            if radix != 0 {
                self.at += 2;
                let digits = self.at;
                self.skip_digits(radix);
                if self.at == digits {
                    return self.bad_number(start, "the prefix is followed by no digit");
                }
                self.skip_long();
                return self.token(Kind::Number, start);
            }
        }
        self.skip_digits(10);
        let whole = &self.text[start..self.at];
        let bad_octal = whole.first() == Some(&b'0') && whole.iter().any(|digit| *digit > b'7');
        let fraction = self.peek(0) == b'.';
        if fraction {
            self.at += 1;
            self.skip_digits(10);
        }
        let mut exponent = false;
        if self.peek(0).eq_ignore_ascii_case(&b'e') {
            let sign = usize::from(matches!(self.peek(1), b'+' | b'-'));
            if self.peek(1 + sign).is_ascii_digit() {
                self.at += 1 + sign;
                self.skip_digits(10);
                exponent = true;
            } else if sign == 1 {
                return self.bad_number(start, "the exponent has no digit");
            }
        }
        let imaginary = matches!(self.peek(0), b'j' | b'J');
        if imaginary {
            self.at += 1;
        }
        if imaginary || fraction || exponent {
            return self.token(Kind::Number, start);
        }
        if bad_octal {
            return self
                .bad_number(start, "a number that begins with 0 is octal and has only the digits 0 to 7");
        }
        self.skip_long();
        self.token(Kind::Number, start)
    }

    fn bad_number(&mut self, start: usize, help: &'static str) -> Token {
        self.at = self.at.max(start + 1);
        let fault = Fault { title: "this is no number".into(), ..Fault::syntax("invalid token", help) };
        self.bad(start, fault)
    }

    fn operator(&mut self, start: usize) -> Token {
        use Kind as K;
        let (first, second, third) = (self.peek(0), self.peek(1), self.peek(2));
        // Operator alone, with `=`, doubled, doubled with `=`.
        let family = |alone, assign, doubled, doubled_assign| match (second, third) {
            (b'=', _) => (assign, 2),
            (byte, b'=') if byte == first => (doubled_assign, 3),
            (byte, _) if byte == first => (doubled, 2),
            _ => (alone, 1),
        };
        let simple = |alone, assign| match second {
            b'=' => (assign, 2),
            _ => (alone, 1),
        };
        let (kind, length) = match first {
            b'(' => (K::OpenParen, 1),
            b')' => (K::CloseParen, 1),
            b'[' => (K::OpenBracket, 1),
            b']' => (K::CloseBracket, 1),
            b'{' => (K::OpenBrace, 1),
            b'}' => (K::CloseBrace, 1),
            b',' => (K::Comma, 1),
            b':' => simple(K::Colon, K::Walrus),
            b';' => (K::Semicolon, 1),
            b'.' => (K::Dot, 1),
            b'`' => (K::Backquote, 1),
            b'@' => (K::At, 1),
            b'~' => (K::Tilde, 1),
            b'=' => simple(K::Assign, K::EqualEqual),
            b'+' => simple(K::Plus, K::PlusAssign),
            b'-' if second == b'>' => (K::Arrow, 2),
            b'-' => simple(K::Minus, K::MinusAssign),
            b'*' => family(K::Star, K::StarAssign, K::DoubleStar, K::DoubleStarAssign),
            b'/' => family(K::Slash, K::SlashAssign, K::DoubleSlash, K::DoubleSlashAssign),
            b'%' => simple(K::Percent, K::PercentAssign),
            b'&' => simple(K::Ampersand, K::AmpersandAssign),
            b'|' => simple(K::Bar, K::BarAssign),
            b'^' => simple(K::Caret, K::CaretAssign),
            b'<' if second == b'>' => (K::NotEqual, 2),
            b'<' => family(K::Less, K::LessEqual, K::ShiftLeft, K::ShiftLeftAssign),
            b'>' => family(K::Greater, K::GreaterEqual, K::ShiftRight, K::ShiftRightAssign),
            b'!' if second == b'=' => (K::NotEqual, 2),
            _ => return self.stranger(start),
        };
        self.at += length;
        match kind {
            K::OpenParen | K::OpenBracket | K::OpenBrace => self.brackets.push(start as u32),
            K::CloseParen | K::CloseBracket | K::CloseBrace => {
                self.brackets.pop();
            }
            _ => {}
        }
        self.token(kind, start)
    }

    /// A byte that begins no token.
    fn stranger(&mut self, start: usize) -> Token {
        let rest = &self.text[start..];
        let fault = if rest[0] < 0x80 {
            self.at += 1;
            let help = match rest[0] {
                b'!' => "write `not x` for negation and `!=` for inequality",
                b'?' => "there is no such operator; use an `if` statement",
                b'$' => "names consist of letters, digits and `_`",
                _ => "remove it, or put it into a string",
            };
            Fault::invalid(format!("the character `{}` means nothing here", rest[0].escape_ascii()), help)
        } else {
            let length = rest.iter().position(|byte| *byte < 0x80).unwrap_or(rest.len());
            self.at += length;
            let help = match &rest[..length] {
                [0xe2, 0x80, 0x98..=0x9f, ..] => "use the straight quotes ' and \"",
                [0xef, 0xbb, 0xbf, ..] if start == 0 => {
                    "the file begins with a byte order mark; save it without one"
                }
                [0xc2, 0xa0, ..] => "this is a non-breaking space; use an ordinary one",
                _ => "outside of strings and comments a program is written in ASCII",
            };
            let kind = match std::str::from_utf8(&rest[..length]) {
                Ok(_) => "a character that is not ASCII stands outside of strings and comments",
                Err(_) => "bytes that are no text stand outside of strings and comments",
            };
            Fault::invalid(kind, help)
        };
        self.bad(start, fault)
    }
}

fn unterminated() -> Fault {
    Fault::syntax(
        "EOL while scanning string literal",
        "the string has no closing quote on its line; use triple quotes for text of several lines",
    )
}
