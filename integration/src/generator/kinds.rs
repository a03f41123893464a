//! The kinds of values that expressions are made of, and plain values of each.

use super::random::Random;

/// What a hole of a template asks for. The letter is the one templates use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `A`: anything.
    Any,
    /// `N`: a number.
    Number,
    /// `I`: int or long.
    Integer,
    /// `F`: float.
    Float,
    /// `C`: complex.
    Complex,
    /// `B`: bool.
    Bool,
    /// `S`: str.
    Text,
    /// `L`: list.
    List,
    /// `T`: tuple.
    Tuple,
    /// `D`: dict of at most one item, so that its order cannot be seen.
    Dict,
    /// `E`: set of at most one member.
    Set,
    /// `Z`: frozenset of at most one member.
    Frozen,
    /// `M`: dict of several items.
    BigDict,
    /// `W`: set of several members.
    BigSet,
    /// `Q`: anything to iterate over in a visible order.
    Sequence,
    /// `i`: a small integer literal, also negative.
    Small,
    /// `e`: an exponent that keeps powers short.
    Exponent,
    /// `w`: a width or a count of copies.
    Width,
    /// `s`: a distance to shift by.
    Shift,
    /// `c`: a text of one character.
    Character,
    /// `f`: a function of one argument.
    Function,
    /// `g`: a function of two arguments.
    Function2,
    /// `K`: a type.
    Type,
    /// `X`: an exception class.
    Exception,
}

impl Kind {
    /// The kind of a template's letter.
    pub fn of_letter(letter: char) -> Option<Kind> {
        Some(match letter {
            'A' => Kind::Any,
            'N' => Kind::Number,
            'I' => Kind::Integer,
            'F' => Kind::Float,
            'C' => Kind::Complex,
            'B' => Kind::Bool,
            'S' => Kind::Text,
            'L' => Kind::List,
            'T' => Kind::Tuple,
            'D' => Kind::Dict,
            'E' => Kind::Set,
            'Z' => Kind::Frozen,
            'M' => Kind::BigDict,
            'W' => Kind::BigSet,
            'Q' => Kind::Sequence,
            'i' => Kind::Small,
            'e' => Kind::Exponent,
            'w' => Kind::Width,
            's' => Kind::Shift,
            'c' => Kind::Character,
            'f' => Kind::Function,
            'g' => Kind::Function2,
            'K' => Kind::Type,
            'X' => Kind::Exception,
            _ => return None,
        })
    }

    /// The kind a word of `rows.txt` names.
    pub fn of_row(word: &str) -> Option<Kind> {
        Some(match word {
            "int" | "long" => Kind::Integer,
            "float" => Kind::Float,
            "complex" => Kind::Complex,
            "bool" => Kind::Bool,
            "str" => Kind::Text,
            "list" => Kind::List,
            "tuple" => Kind::Tuple,
            "dict" => Kind::Dict,
            "set" => Kind::Set,
            "frozenset" => Kind::Frozen,
            _ => return None,
        })
    }

    /// Kinds of which values are always literals or names, never made by a production.
    pub fn is_literal(self) -> bool {
        use Kind::*;
        matches!(self, Small | Exponent | Width | Shift | Character | Function | Function2 | Type | Exception)
    }

    /// Plain values, simplest first.
    pub fn plain(self) -> &'static [&'static str] {
        match self {
            Kind::Any => &[
                "0", "''", "None", "[]", "()", "1.5", "{}", "True", "'ab'", "-3", "2L", "1j", "(1, 2)", "[0]",
            ],
            Kind::Number => &["0", "1", "-1", "2.5", "7L", "True", "-0.0", "3", "10"],
            Kind::Integer => &[
                "0",
                "1",
                "-1",
                "2",
                "7",
                "-13",
                "100",
                "3L",
                "-5L",
                "255",
                "65",
                "4294967296",
                "9223372036854775807",
                "(-9223372036854775808)",
                "18446744073709551616",
                "-123456789012345678901234567890",
                "0L",
                "1000003",
                "2147483647",
                "4611686018427387904",
                "0x7f",
                "3037000500",
                "10L",
            ],
            Kind::Float => &[
                "0.0",
                "1.0",
                "-1.5",
                "0.1",
                "2.5",
                "1e16",
                "1e-5",
                "123456.789",
                "-0.0",
                "1e100",
                "1e999",
                "-1e999",
                "0.5",
                "3.14159",
                "1e22",
                "5e-324",
                "1.7976931348623157e308",
                "100.0",
                "(1e999 - 1e999)",
                "9007199254740993.0",
            ],
            Kind::Complex => &["0j", "1j", "(1+2j)", "(-0.5-1e10j)", "(2.5+0j)"],
            Kind::Bool => &["True", "False"],
            Kind::Text => &[
                "''",
                "'a'",
                "'ab'",
                "'abc'",
                "'Hello World'",
                "' a b '",
                "'a,b,,c'",
                "'12'",
                "'-7'",
                "'3.5'",
                "'1e3'",
                "'x\\ny'",
                "'\\xff\\x00'",
                "'aAbB'",
                "'aaaa'",
                "'\\t'",
                "\"it's\"",
                "'ABC def 123'",
                "'%s'",
                "'%d|%5s'",
                "'{0}'",
                "'0x1f'",
                "'a\\tb\\nc\\r\\nd'",
                "'zz'",
                "'%(a)s'",
                "'\\\\'",
            ],
            Kind::List => &[
                "[]",
                "[1]",
                "[1, 2, 3]",
                "['b', 'a']",
                "[3, 1, 2]",
                "[[1], [2]]",
                "[None, 0, '']",
                "[1.5, 2L, True]",
                "[(1, 'x')]",
                "['a', 'b', 'a']",
                "([1, 2] * 3)",
            ],
            Kind::Tuple => {
                &["()", "(1,)", "(1, 2)", "('a', 'b')", "(3, 1, 2)", "((1, 2), 'x')", "(0, '', None)"]
            }
            Kind::Dict => &["{}", "{1: 2}", "{'a': 1}", "{'k': [1]}", "{(1, 2): 'x'}", "{None: 0}"],
            Kind::Set => &["set()", "set([1])", "set('a')", "set([(1, 2)])"],
            Kind::Frozen => &["frozenset()", "frozenset([1])", "frozenset('b')"],
            Kind::BigDict => {
                &["{1: 2, 'a': 3}", "{'a': 1, 'b': 2, 'c': 3}", "{0: 0, 1: 1, 2: 4}", "{1: 'x', None: []}"]
            }
            Kind::BigSet => &["set([1, 2, 3])", "set('abc')", "frozenset([2, 3])", "set([1, 'a', None])"],
            Kind::Sequence => &[
                "[]",
                "'ab'",
                "(1, 2)",
                "[3, 1, 2]",
                "xrange(3)",
                "['x', 'y']",
                "range(4)",
                "xrange(5, 0, -2)",
            ],
            Kind::Small => {
                &["0", "1", "-1", "2", "-2", "3", "5", "-4", "7", "100", "-100", "True", "2L", "None"]
            }
            Kind::Exponent => &["0", "1", "2", "3", "5", "8", "-1", "-2", "2L", "0.5", "-0.5", "2.0", "True"],
            Kind::Width => &["0", "1", "2", "3", "4", "5", "7", "10", "-1", "3L", "True", "20"],
            Kind::Shift => {
                &["0", "1", "2", "5", "31", "32", "62", "63", "64", "65", "100", "3L", "-1", "True"]
            }
            Kind::Character => {
                &["'a'", "'b'", "' '", "','", "'\\n'", "'l'", "'A'", "'x'", "'\\xff'", "'1'", "''", "'ab'"]
            }
            Kind::Function => {
                &["str", "repr", "len", "abs", "bool", "negative", "int", "float", "twice", "None"]
            }
            Kind::Function2 => &["cmp", "plus", "max", "pair", "divmod", "backwards"],
            Kind::Type => &[
                "int",
                "str",
                "list",
                "tuple",
                "dict",
                "float",
                "long",
                "bool",
                "complex",
                "set",
                "frozenset",
                "object",
                "xrange",
                "slice",
                "ValueError",
                "Old",
                "New",
                "(int, str)",
                "5",
            ],
            Kind::Exception => &[
                "ValueError",
                "KeyError",
                "Exception",
                "IndexError",
                "IOError",
                "StopIteration",
                "Own",
                "OSError",
                "TypeError",
                "RuntimeError",
                "ZeroDivisionError",
                "SyntaxError",
                "SystemExit",
                "EnvironmentError",
            ],
        }
    }

    /// A plain value, any of them.
    pub fn any_plain(self, random: &mut Random) -> &'static str {
        let plain = self.plain();
        plain[random.below(plain.len())]
    }
}
