//! The compiler: a checked tree to register code.
//!
//! One pass over the tree finds the scopes ([`scope`]), a second emits code
//! ([`function`], [`expression`], [`statement`]). Depth is bounded by the tree.

mod builder;
mod code;
mod dis;
mod expression;
mod function;
mod op;
mod quick;
mod scope;
mod statement;

use std::rc::Rc;

pub use code::{
    AttributeCache, AttributeSite, Capture, Code, GlobalSite, HandlerRange, Inner, Way, FUNCTION,
    IN_INSTANCE, NATIVE, NOWHERE, NO_ARITY, WAYS,
};
pub use dis::disassemble;
pub use op::{Op, Reg};

use function::Finalizers;

use crate::check::Checked;
use crate::heap::{Heap, Str};
use crate::syntax::ast::Module;
use crate::syntax::Span;

/// A program that parses but cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// Where.
    pub span: Span,
    /// Why.
    pub message: String,
}

/// Who may bind the module's globals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum World {
    /// The text itself, and whoever has its `_context`: a program.
    Closed,
    /// Other texts too: a session's statement, the code of a `VirtualNamespace`.
    Open,
}

/// Compiles a module. The code's constants are objects of `heap`.
///
/// # Errors
/// Limits of the machine (expressions too complex, more than 120 parameters) and
/// `del` of a variable that an inner function uses.
pub fn compile(
    heap: &mut Heap,
    module: &Checked<Module<'_>>,
    world: World,
) -> Result<Rc<Code>, CompileError> {
    let scopes = scope::Scopes::analyse(module);
    let names: Vec<Str> = module.symbols.iter().map(|(_, name)| heap.intern(name.as_bytes())).collect();
    let none = module.symbols.find("None");
    let open = world == World::Open || module.symbols.find("_context").is_some();
    let mentions = |name| module.symbols.find(name).is_some();
    let finalizers = match mentions("__del__") {
        true => Finalizers::Anywhere,
        false if open || mentions("VirtualNamespace") => Finalizers::Perhaps,
        false => Finalizers::Nowhere,
    };
    let context = function::Context { module, scopes: &scopes, names: &names, finalizers, none, open };
    function::compile_module(heap, &context)
}
