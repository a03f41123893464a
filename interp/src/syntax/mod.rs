//! The front end: bytes to a typed tree.
//!
//! One reading of the bytes serves everything after it: the safety check and
//! the compiler both work on the tree built here, so they cannot disagree
//! about what a program says.

pub mod ast;
pub(crate) mod finding;
mod lexer;
mod literal;
pub(crate) mod node;
mod parser;
mod snippet;
mod source;
mod symbol;
mod token;
mod tree;

pub use node::Node;
pub use snippet::{escape, Snippet};
pub use source::{Source, Span};
pub use symbol::{Symbol, Symbols};
pub use tree::Tree;

use finding::{Fault, Finding, What};

/// What a source text may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the text; at most 1 GiB is ever accepted.
    pub source_bytes: u32,
    /// Tokens of the text. A token takes at most about 100 bytes of memory in
    /// the tree.
    pub tokens: u32,
    /// A secret of the run that keeps the author of a text from choosing names
    /// that collide in the table of names. Any value.
    pub hash_seed: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { source_bytes: 16 << 20, tokens: 8_000_000, hash_seed: 0 }
    }
}

/// Reads a program. The tree is worth something only if there are no findings:
/// what was found stands in it as a placeholder or not at all.
pub(crate) fn parse<'t>(
    tree: &'t Tree,
    text: &[u8],
    file: &str,
    limits: &Limits,
) -> (ast::Module<'t>, Vec<Finding>) {
    let limit = limits.source_bytes.min(1 << 30) as usize;
    if text.len() > limit {
        let kept = text.get(..limit.min(1000)).unwrap_or_default();
        let fault = Fault {
            class: "MemoryError",
            message: "".into(),
            title: format!("the program has more than {limit} bytes").into(),
            help: "split it into smaller programs".into(),
        };
        return unreadable(Source::new(file, kept), 0, fault);
    }
    let source = Source::new(file, text);
    // Anything that stopped at a NUL would run another program than was checked.
    if let Some(place) = text.iter().position(|byte| *byte == 0) {
        let fault = Fault {
            class: "TypeError",
            message: "compile() expected string without null bytes".into(),
            title: "the program holds a NUL byte".into(),
            help: "a program is a text in ASCII or UTF-8; inside a string write \\0".into(),
        };
        return unreadable(source, place as u32, fault);
    }
    parser::parse(tree, source, limits)
}

/// The reading of a text that is refused as a whole.
fn unreadable(source: Source, place: u32, fault: Fault) -> (ast::Module<'static>, Vec<Finding>) {
    let module = ast::Module { source, symbols: Symbols::default(), body: &[] };
    let finding = Finding { span: Span::new(place, place + 1), what: What::Syntax(fault) };
    (module, vec![finding])
}
