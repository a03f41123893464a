//! Tokens.

use super::source::Span;
use super::symbol::Symbol;

/// One token. Values of numbers and strings are read from the text later, only
/// by who needs them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub kind: Kind,
    pub span: Span,
    /// The name for [`Kind::Name`].
    pub symbol: Symbol,
}

/// Declares [`Kind`] together with the tables of keywords and of names used in
/// messages, so that none of them can be forgotten.
macro_rules! kinds {
    (special { $($special:ident => $special_text:literal,)* }
     keywords { $($keyword:ident => $keyword_text:literal,)* }
     operators { $($operator:ident => $operator_text:literal,)* }) => {
        /// What a token is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Kind {
            $($special,)*
            $($keyword,)*
            $($operator,)*
        }

        impl Kind {
            /// How messages call it.
            pub fn text(self) -> &'static str {
                match self {
                    $(Kind::$special => $special_text,)*
                    $(Kind::$keyword => concat!("`", $keyword_text, "`"),)*
                    $(Kind::$operator => concat!("`", $operator_text, "`"),)*
                }
            }

            /// True for a reserved word of Python 2.7.
            pub fn is_keyword(self) -> bool {
                matches!(self, $(Kind::$keyword)|*)
            }
        }

        /// The reserved word with this text.
        pub(super) fn keyword(text: &str) -> Option<Kind> {
            match text {
                $($keyword_text => Some(Kind::$keyword),)*
                _ => None,
            }
        }
    };
}

kinds! {
    special {
        End => "the end of the file",
        Newline => "the end of the line",
        Indent => "a deeper indentation",
        Dedent => "a smaller indentation",
        Name => "a name",
        Number => "a number",
        Str => "a string",
        UnicodeStr => "a unicode string",
        // What is wrong lies in `Lexer::fault`.
        Bad => "something that is no Repy",
    }
    keywords {
        And => "and",
        As => "as",
        Assert => "assert",
        Break => "break",
        Class => "class",
        Continue => "continue",
        Def => "def",
        Del => "del",
        Elif => "elif",
        Else => "else",
        Except => "except",
        Exec => "exec",
        Finally => "finally",
        For => "for",
        From => "from",
        Global => "global",
        If => "if",
        Import => "import",
        In => "in",
        Is => "is",
        Lambda => "lambda",
        Not => "not",
        Or => "or",
        Pass => "pass",
        Print => "print",
        Raise => "raise",
        Return => "return",
        Try => "try",
        While => "while",
        With => "with",
        Yield => "yield",
    }
    operators {
        OpenParen => "(",
        CloseParen => ")",
        OpenBracket => "[",
        CloseBracket => "]",
        OpenBrace => "{",
        CloseBrace => "}",
        Comma => ",",
        Colon => ":",
        Semicolon => ";",
        Dot => ".",
        Backquote => "\\`",
        At => "@",
        Assign => "=",
        Plus => "+",
        Minus => "-",
        Star => "*",
        DoubleStar => "**",
        Slash => "/",
        DoubleSlash => "//",
        Percent => "%",
        Ampersand => "&",
        Bar => "|",
        Caret => "^",
        Tilde => "~",
        ShiftLeft => "<<",
        ShiftRight => ">>",
        Less => "<",
        Greater => ">",
        LessEqual => "<=",
        GreaterEqual => ">=",
        EqualEqual => "==",
        NotEqual => "!=",
        PlusAssign => "+=",
        MinusAssign => "-=",
        StarAssign => "*=",
        SlashAssign => "/=",
        DoubleSlashAssign => "//=",
        PercentAssign => "%=",
        AmpersandAssign => "&=",
        BarAssign => "|=",
        CaretAssign => "^=",
        ShiftLeftAssign => "<<=",
        ShiftRightAssign => ">>=",
        DoubleStarAssign => "**=",
        // The two below are Python 3 only; known so that messages can name them.
        Walrus => ":=",
        Arrow => "->",
    }
}
