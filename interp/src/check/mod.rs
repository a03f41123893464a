//! The safety check: what may be compiled is decided here, by allow-lists.
//!
//! * [`nodes`]: which constructs the dialect has, and what to write instead of
//!   the others;
//! * [`names`]: which identifiers a program may use;
//! * strings: byte strings may hold anything, unicode literals are refused.
//!
//! [`read`] is the only way to a [`Checked`] module, and that is the only thing
//! the compiler takes.

pub mod names;
pub mod nodes;
mod refusal;
mod statement;
mod walk;

#[cfg(test)]
mod tests;

pub use refusal::{Diagnostic, Refusal};
pub use statement::{read_statement, Reading, ECHO};

use crate::syntax::{self, ast::Module, Limits, Tree};

/// Something that has passed the check. Cannot be made or changed elsewhere.
#[derive(Debug)]
pub struct Checked<T>(T);

impl<T> std::ops::Deref for Checked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// Reads and checks a program, or the code of a virtual namespace.
///
/// The module's nodes lie in `tree`. `file` is the name that messages show. The error holds every finding, up to
/// a limit, and V1's summary line. Takes time and memory in proportion to the
/// text, and little native stack whatever the text.
pub fn read<'t>(
    tree: &'t Tree,
    text: &[u8],
    file: &str,
    limits: &Limits,
) -> Result<Checked<Module<'t>>, Refusal> {
    let (module, mut findings) = syntax::parse(tree, text, file, limits);
    walk::walk(&module, &mut findings);
    if findings.is_empty() {
        Ok(Checked(module))
    } else {
        Err(Refusal::new(&module.source, findings))
    }
}
