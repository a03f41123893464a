//! Compiled code.

use crate::heap::Str;

/// Properties of a code object.
#[derive(Clone, Copy, Debug, Default)]
pub struct CodeFlags {
    /// The last parameter but the keywords one is `*args`.
    pub star: bool,
    /// The last parameter is `**kwargs`.
    pub double_star: bool,
}

/// The code of a module, class body or function.
#[derive(Debug)]
pub struct Code {
    /// Function or class name, `<module>` for a module; interned.
    pub name: Str,
    /// Properties.
    pub flags: CodeFlags,
}
