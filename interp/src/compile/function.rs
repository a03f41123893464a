//! Functions, class bodies and the module: laying out variables, prologue, and
//! access to names.

use std::rc::Rc;

use super::builder::{Builder, Label, Shell};
use super::code::{Capture, Code, Inner};
use super::op::{Op, Reg};
use super::quick::{NumberMap, RegSet};
use super::scope::{ScopeId, ScopeKind, Scopes};
use super::CompileError;
use crate::heap::{Heap, Str};
use crate::syntax::ast::*;
use crate::syntax::{Span, Symbol};

/// Most parameters a function may have.
const MAX_PARAMETERS: usize = 120;
/// Locals kept in registers; the others lie in a list.
const MAX_REGISTER_LOCALS: u16 = 150;

/// Where instances may die whose `__del__` is then to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finalizers {
    /// Nowhere: no text but this one can have made them, and it does not mention `__del__`.
    Nowhere,
    /// Where other texts may have made them: behind calls, and statements that may drop what is no number.
    Perhaps,
    /// Behind each call and statement.
    Anywhere,
}

/// What all functions of a module share.
pub struct Context<'a> {
    /// The tree.
    pub module: &'a Module<'a>,
    /// Its scopes.
    pub scopes: &'a Scopes,
    /// Interned names by symbol.
    pub names: &'a [Str],
    /// Where `__del__` is looked for.
    pub finalizers: Finalizers,
    /// The symbol of `None` if it occurs.
    pub none: Option<Symbol>,
    /// Whether globals may be bound by what is not in the text.
    pub open: bool,
}

/// Where a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a register.
    Local(Reg),
    /// In a cell in a register.
    Cell(Reg),
    /// In a cell of an enclosing function.
    Free(u16),
    /// In the wide list.
    Wide(u16),
    /// In the dict of a class body, else global.
    ClassName,
    /// Global.
    Global,
    /// The constant `None`.
    None,
}

/// What encloses the statement being compiled, as far as leaving it matters.
pub enum Enclosure {
    /// A loop; `iteration` is the register of a `for`.
    Loop { end: Label, again: Label, iteration: Option<Reg> },
    /// The body (and handlers) of a `try` with `finally`.
    Guarded { reason: Reg, start: Label, exits: Vec<Exit> },
    /// Inside a `finally` block, whose reason is in two registers.
    Finally { reason: Reg },
}

/// A way out of a `try` with `finally`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// `return`; the value is in the second reason register.
    Return,
    /// `break` of the innermost loop around the `try`.
    Break,
    /// `continue` of that loop.
    Continue,
}

/// One function, class body or module being compiled.
pub struct Function<'a> {
    /// What it shares.
    pub context: &'a Context<'a>,
    /// The heap for constants.
    pub heap: &'a mut Heap,
    /// The code.
    pub code: Builder,
    /// Its scope.
    pub scope: ScopeId,
    /// Its kind.
    pub kind: ScopeKind,
    places: NumberMap<Symbol, Place>,
    /// Locals known to be set here.
    pub assigned: RegSet,
    never_assigned: RegSet,
    local_names: Vec<Str>,
    wide_names: Vec<Str>,
    wide: Reg,
    /// First of two locals for the exception of the caller, 0 if there are none.
    pub handling: Reg,
    /// Registers behind the first that a call fills.
    parameters: u16,
    /// Enclosing statements, innermost last.
    pub enclosures: Vec<Enclosure>,
}

/// Compiles the module.
pub fn compile_module(heap: &mut Heap, context: &Context<'_>) -> Result<Rc<Code>, CompileError> {
    let name = heap.intern(b"<module>");
    let mut function = Function::new(context, heap, 0, ScopeKind::Module);
    function.add_local(name);
    let has_handlers = block_has_try(context.module.body);
    function.reserve_handling(has_handlers);
    function.start_temporaries();
    let body = function.block(context.module.body);
    if let Err(error) = body {
        let Function { code, heap, .. } = function;
        code.discard(heap);
        return Err(error);
    }
    function.emit_return(None);
    Ok(Rc::new(function.finish(name, 0, false, false)))
}

impl<'a> Function<'a> {
    fn new(context: &'a Context<'a>, heap: &'a mut Heap, scope: ScopeId, kind: ScopeKind) -> Function<'a> {
        Function {
            context,
            heap,
            code: Builder::new(),
            scope,
            kind,
            places: NumberMap::default(),
            assigned: RegSet::default(),
            never_assigned: RegSet::default(),
            local_names: Vec::new(),
            wide_names: Vec::new(),
            wide: 0,
            handling: 0,
            parameters: 0,
            enclosures: Vec::new(),
        }
    }

    fn add_local(&mut self, name: Str) -> Reg {
        self.local_names.push(name);
        (self.local_names.len() - 1) as Reg
    }

    fn reserve_handling(&mut self, wanted: bool) {
        if wanted {
            let name = self.heap.intern(b"handling");
            self.handling = self.add_local(name);
            self.add_local(name);
        }
    }

    fn start_temporaries(&mut self) {
        let locals = self.local_names.len() as u16;
        self.code.locals = locals;
        self.code.next = locals;
        if self.parameters + 1 < locals {
            self.code.emit(Op::Clear { from: self.parameters as Reg + 1, to: locals as Reg });
        }
    }

    fn finish(self, name: Str, parameters: u8, star: bool, double_star: bool) -> Code {
        let free_names =
            self.context.scopes.scopes[self.scope].free.iter().map(|symbol| self.name(*symbol)).collect();
        self.code.finish(Shell {
            name,
            source: self.context.module.source.clone(),
            is_function: self.kind == ScopeKind::Function,
            parameters,
            star,
            double_star,
            handling: self.handling,
            local_names: self.local_names,
            wide_names: self.wide_names,
            free_names,
        })
    }

    /// The interned name of a symbol.
    pub fn name(&self, symbol: Symbol) -> Str {
        self.context.names[symbol.index()]
    }

    /// Compiles a `def` into a function of the enclosing code.
    pub fn inner_function(&mut self, def: &FunctionDef<'_>) -> Result<u16, CompileError> {
        let id = self.context.scopes.of(def.name_span);
        let name = self.name(def.name);
        let inner = {
            let mut function = Function::new(self.context, self.heap, id, ScopeKind::Function);
            function.code.span = def.name_span;
            match function.body(def, name) {
                Ok(()) => {
                    let parameters = def.parameters.positional.len() as u8;
                    let (star, double_star) =
                        (def.parameters.star.is_some(), def.parameters.double_star.is_some());
                    function.finish(name, parameters, star, double_star)
                }
                Err(error) => {
                    let Function { code, heap, .. } = function;
                    code.discard(heap);
                    return Err(error);
                }
            }
        };
        self.capture(id, inner)
    }

    /// Compiles a class body.
    pub fn inner_class(&mut self, class: &ClassDef<'_>) -> Result<u16, CompileError> {
        let id = self.context.scopes.of(class.name_span);
        let name = self.name(class.name);
        let inner = {
            let mut function = Function::new(self.context, self.heap, id, ScopeKind::Class);
            function.code.span = class.name_span;
            match function.class_body(class, name) {
                Ok(()) => function.finish(name, 1, false, false),
                Err(error) => {
                    let Function { code, heap, .. } = function;
                    code.discard(heap);
                    return Err(error);
                }
            }
        };
        self.capture(id, inner)
    }

    /// Adds a code, with where its free variables come from.
    fn capture(&mut self, id: ScopeId, inner: Code) -> Result<u16, CompileError> {
        let mut captures = Vec::new();
        for &symbol in &self.context.scopes.scopes[id].free {
            captures.push(match self.places.get(&symbol) {
                Some(Place::Cell(register)) => Capture::Register(*register),
                _ => match self.context.scopes.scopes[self.scope].free.iter().position(|f| *f == symbol) {
                    Some(index) => Capture::Free(index as u16),
                    None => return self.code.error("a variable of an enclosing function was not found"),
                },
            });
        }
        self.code.function(Inner { code: Rc::new(inner), captures: captures.into() })
    }

    fn body(&mut self, def: &FunctionDef<'_>, name: Str) -> Result<(), CompileError> {
        let parameters = &def.parameters;
        if parameters.positional.len() > MAX_PARAMETERS {
            return self.code.error("more than 120 parameters");
        }
        let scope = &self.context.scopes.scopes[self.scope];
        for (symbol, span) in &scope.deleted {
            if scope.cells.contains(symbol) {
                self.code.span = *span;
                let name = self.context.module.symbols.name(*symbol);
                return self
                    .code
                    .error(&format!("can not delete variable '{name}' referenced in nested scope"));
            }
        }
        self.add_local(name);
        let nameless = self.heap.intern(b".0");
        let mut registers = Vec::new();
        for parameter in parameters.positional {
            let name = match parameter.pattern {
                Pattern::Name(symbol) => self.name(symbol),
                Pattern::Unpack(_) => nameless,
            };
            let register = self.add_local(name);
            self.assigned.insert(register);
            registers.push(register);
            if let Pattern::Name(symbol) = parameter.pattern {
                self.places.insert(symbol, Place::Local(register));
            }
        }
        for symbol in [parameters.star, parameters.double_star].into_iter().flatten() {
            let name = self.name(symbol);
            let register = self.add_local(name);
            self.assigned.insert(register);
            self.places.insert(symbol, Place::Local(register));
        }
        self.parameters = self.local_names.len() as u16 - 1;
        self.reserve_handling(block_has_try(def.body));
        // Shared variables must be in registers; the others as far as there is room.
        let (shared, own): (Vec<Symbol>, Vec<Symbol>) = scope
            .bound
            .iter()
            .filter(|symbol| !self.places.contains_key(symbol))
            .partition(|symbol| scope.cells.contains(symbol));
        let is_wide = self.local_names.len() + shared.len() + own.len() > usize::from(MAX_REGISTER_LOCALS);
        if is_wide {
            let wide = self.heap.intern(b"wide");
            self.wide = self.add_local(wide);
        }
        let mut fresh_cells = Vec::new();
        for symbol in shared {
            if self.local_names.len() >= usize::from(MAX_REGISTER_LOCALS) {
                return self.code.error("too many variables used by inner functions");
            }
            let name = self.name(symbol);
            let register = self.add_local(name);
            self.places.insert(symbol, Place::Cell(register));
            fresh_cells.push(register);
        }
        for symbol in own {
            let name = self.name(symbol);
            if self.local_names.len() < usize::from(MAX_REGISTER_LOCALS) {
                let register = self.add_local(name);
                self.places.insert(symbol, Place::Local(register));
                if scope.deleted.contains_key(&symbol) {
                    self.never_assigned.insert(register);
                }
            } else {
                if self.wide_names.len() >= usize::from(u16::MAX) {
                    return self.code.error("too many local variables");
                }
                self.wide_names.push(name);
                self.places.insert(symbol, Place::Wide(self.wide_names.len() as u16 - 1));
            }
        }
        for symbol in scope.deleted.keys() {
            if let Some(Place::Local(register)) = self.places.get(symbol) {
                self.never_assigned.insert(*register);
            }
        }
        self.start_temporaries();
        if is_wide {
            self.code.emit(Op::WideNew { d: self.wide, count: self.wide_names.len() as u16 });
        }
        for symbol in &scope.cells {
            if let Some(Place::Local(register)) = self.places.get(symbol).copied() {
                self.code.emit(Op::CellNew { d: register });
                self.places.insert(*symbol, Place::Cell(register));
            }
        }
        for register in fresh_cells {
            self.code.emit(Op::CellNew { d: register });
        }
        for (parameter, register) in parameters.positional.iter().zip(registers) {
            if let Pattern::Unpack(parts) = &parameter.pattern {
                self.code.span = parameter.span;
                let temporary = self.code.temporary()?;
                self.code.emit(Op::Copy { d: temporary, a: register });
                self.unpack_pattern(parts, temporary)?;
                self.code.next = u16::from(temporary);
            }
        }
        self.block(def.body)?;
        self.emit_return(None);
        Ok(())
    }

    fn unpack_pattern(&mut self, parts: &[Pattern], from: Reg) -> Result<(), CompileError> {
        let t = self.code.temporaries(parts.len() as u16)?;
        self.code.emit(Op::Unpack { a: from, t, count: parts.len() as u8 });
        for (at, part) in parts.iter().enumerate() {
            let register = t + at as Reg;
            match part {
                Pattern::Name(symbol) => self.store_name(*symbol, register)?,
                Pattern::Unpack(parts) => self.unpack_pattern(parts, register)?,
            }
        }
        self.code.next = u16::from(t);
        Ok(())
    }

    fn class_body(&mut self, class: &ClassDef<'_>, name: Str) -> Result<(), CompileError> {
        self.add_local(name);
        let bases = self.heap.intern(b"bases");
        self.add_local(bases);
        let dict = self.heap.intern(b"names");
        self.add_local(dict);
        self.parameters = 1;
        self.reserve_handling(block_has_try(class.body));
        self.start_temporaries();
        self.code.emit(Op::NewDict { d: 2 });
        self.block(class.body)?;
        self.code.span = class.name_span;
        let d = self.code.temporary()?;
        self.code.emit(Op::Class { d });
        self.emit_return(Some(d));
        Ok(())
    }

    // ---- names ----

    /// Where a name is.
    pub fn place(&self, symbol: Symbol) -> Place {
        if Some(symbol) == self.context.none {
            return Place::None;
        }
        if let Some(place) = self.places.get(&symbol) {
            return *place;
        }
        let scope = &self.context.scopes.scopes[self.scope];
        if self.kind == ScopeKind::Class && scope.binds(symbol) {
            return Place::ClassName;
        }
        match scope.free.iter().position(|free| *free == symbol) {
            Some(index) => Place::Free(index as u16),
            None => Place::Global,
        }
    }

    /// Whether a local is certainly set here.
    pub fn is_set(&self, register: Reg) -> bool {
        self.assigned.contains(register)
    }

    /// Loads a name into `d`.
    pub fn load_name(&mut self, symbol: Symbol, d: Reg) -> Result<(), CompileError> {
        let op = match self.place(symbol) {
            Place::Local(register) if register == d && self.is_set(register) => return Ok(()),
            Place::Local(register) if self.is_set(register) => {
                self.code.emit_copy(d, register);
                return Ok(());
            }
            Place::Local(register) => Op::Copy { d, a: register },
            Place::Cell(register) => Op::CellGet { d, c: register },
            Place::Free(index) => Op::Free { d, index },
            Place::Wide(index) => Op::WideGet { d, w: self.wide, index },
            Place::None => Op::None { d },
            Place::ClassName => {
                let name = self.name(symbol);
                let g = self.code.global(name)?;
                Op::ClassGet { d, n: 2, g }
            }
            // True and False are names that can be bound, but hardly any module does.
            Place::Global => match self.truth_name(symbol) {
                Some(value) => Op::Truth { d, value },
                None => {
                    let name = self.name(symbol);
                    let g = self.code.global(name)?;
                    Op::Global { d, g }
                }
            },
        };
        self.code.emit(op);
        Ok(())
    }

    /// The value of `True` or `False`, unless the name is bound somewhere or may be.
    pub fn truth_name(&self, symbol: Symbol) -> Option<bool> {
        let value = match self.context.module.symbols.name(symbol) {
            "True" => true,
            "False" => false,
            _ => return None,
        };
        self.is_free(symbol).then_some(value)
    }

    /// Whether a name is one that nobody binds.
    pub fn is_free(&self, symbol: Symbol) -> bool {
        !self.context.open
            && self.place(symbol) == Place::Global
            && !self.context.scopes.scopes[0].binds(symbol)
    }

    /// Stores register `a`, consuming a temporary.
    pub fn store_name(&mut self, symbol: Symbol, a: Reg) -> Result<(), CompileError> {
        let op = match self.place(symbol) {
            Place::Local(register) => {
                self.note_set(register);
                if register == a {
                    return Ok(());
                }
                if self.code.is_temporary(a) {
                    Op::Take { d: register, a }
                } else {
                    Op::Copy { d: register, a }
                }
            }
            Place::Cell(register) => Op::CellSet { c: register, a },
            Place::Wide(index) => Op::WideSet { w: self.wide, a, index },
            Place::ClassName => {
                let name = self.name(symbol);
                let g = self.code.global(name)?;
                Op::ClassSet { n: 2, a, g }
            }
            Place::Free(_) | Place::Global | Place::None => {
                let name = self.name(symbol);
                let g = self.code.global(name)?;
                Op::SetGlobal { a, g }
            }
        };
        self.code.emit(op);
        Ok(())
    }

    /// Notes that a local is set from here on.
    pub fn note_set(&mut self, register: Reg) {
        if !self.never_assigned.contains(register) {
            self.assigned.insert(register);
        }
    }

    /// `del name`.
    pub fn delete_name(&mut self, symbol: Symbol, span: Span) -> Result<(), CompileError> {
        self.code.span = span;
        let op = match self.place(symbol) {
            Place::Local(register) => Op::DeleteLocal { d: register },
            Place::Wide(index) => Op::WideDelete { w: self.wide, index },
            Place::ClassName => {
                let name = self.name(symbol);
                let g = self.code.global(name)?;
                Op::ClassDelete { n: 2, g }
            }
            Place::Cell(_) | Place::Free(_) | Place::Global | Place::None => {
                let name = self.name(symbol);
                let g = self.code.global(name)?;
                Op::DeleteGlobal { g }
            }
        };
        self.code.emit(op);
        Ok(())
    }
}

/// Whether a block has a `try` that belongs to the same code.
fn block_has_try(block: Block<'_>) -> bool {
    block.iter().any(|statement| match &statement.kind {
        StmtKind::Try(_) => true,
        StmtKind::If(branch) => {
            branch.arms.iter().any(|arm| block_has_try(arm.body)) || block_has_try(branch.otherwise)
        }
        StmtKind::While(w) => block_has_try(w.body) || block_has_try(w.otherwise),
        StmtKind::For(f) => block_has_try(f.body) || block_has_try(f.otherwise),
        _ => false,
    })
}
