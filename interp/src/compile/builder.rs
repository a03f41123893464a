//! Building one code object: instructions, labels, tables, registers.

use std::cell::Cell;
use std::collections::HashMap;

use super::code::*;
use super::op::{Op, Reg};
use super::quick::NumberMap;
use super::CompileError;
use crate::heap::{Heap, Str, Value};
use crate::syntax::{Source, Span};

/// A place to jump to, perhaps not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(usize);

/// Keys of the constant table: constants are shared only if kind and bits agree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ConstantKey {
    /// A str.
    Str(Vec<u8>),
    /// A float by its bits.
    Float(u64),
    /// An int.
    Int(i64),
}

/// A code object being built.
pub struct Builder {
    /// The instructions so far.
    pub ops: Vec<Op>,
    spans: Vec<Span>,
    /// The span given to the next instruction.
    pub span: Span,
    labels: Vec<u32>,
    constants: Vec<Value>,
    constant_index: HashMap<ConstantKey, u32>,
    globals: Vec<Str>,
    global_index: NumberMap<Str, u16>,
    sites: Vec<Str>,
    keywords: Vec<Box<[Str]>>,
    functions: Vec<Inner>,
    handlers: Vec<(Label, Label, Label, u8)>,
    /// Number of instructions when a label was last placed: what stands there is no part of what stands before.
    fence: usize,
    /// Number of instructions after the last copy of a local that is certainly set.
    copied: usize,
    /// Registers of locals.
    pub locals: u16,
    /// The next free temporary.
    pub next: u16,
    highest: u16,
}

/// Sites and global names are numbered with 16 bits.
const TABLE_LIMIT: usize = 60_000;

/// Jumps followed one after the other at most.
const LONGEST_CHAIN: usize = 16;

impl Builder {
    /// An empty code object whose locals are not laid out yet.
    pub fn new() -> Builder {
        Builder {
            ops: Vec::new(),
            spans: Vec::new(),
            span: Span::default(),
            labels: Vec::new(),
            constants: Vec::new(),
            constant_index: HashMap::new(),
            globals: Vec::new(),
            global_index: NumberMap::default(),
            sites: Vec::new(),
            keywords: Vec::new(),
            functions: Vec::new(),
            handlers: Vec::new(),
            fence: 0,
            copied: 0,
            locals: 1,
            next: 1,
            highest: 1,
        }
    }

    /// An error at the current place.
    pub fn error<T>(&self, message: &str) -> Result<T, CompileError> {
        Err(CompileError { span: self.span, message: message.to_owned() })
    }

    /// Adds an instruction.
    pub fn emit(&mut self, op: Op) {
        self.ops.push(op);
        self.spans.push(self.span);
    }

    /// Copies a local that is certainly set; two neighbours become one instruction.
    pub fn emit_copy(&mut self, d: Reg, a: Reg) {
        let follows = self.copied == self.ops.len() && self.fence < self.ops.len();
        if follows && self.is_temporary(d) {
            if let Some(last) = self.ops.last_mut() {
                match *last {
                    Op::Copy { d: before, a: first } if before.checked_add(1) == Some(d) => {
                        *last = Op::CopyTwo { d: before, a: first, b: a };
                        return;
                    }
                    _ => {}
                }
            }
        }
        self.emit(Op::Copy { d, a });
        if self.is_temporary(d) {
            self.copied = self.ops.len();
        }
    }

    /// Reserves `count` neighbouring temporaries.
    pub fn temporaries(&mut self, count: u16) -> Result<Reg, CompileError> {
        let first = self.next;
        if first + count > 255 {
            return self.error("expression is too complex");
        }
        self.next += count;
        self.highest = self.highest.max(self.next);
        Ok(first as Reg)
    }

    /// Reserves a temporary.
    pub fn temporary(&mut self) -> Result<Reg, CompileError> {
        self.temporaries(1)
    }

    /// Whether a register is a temporary.
    pub fn is_temporary(&self, register: Reg) -> bool {
        u16::from(register) >= self.locals
    }

    /// A label without a place.
    pub fn label(&mut self) -> Label {
        self.labels.push(u32::MAX);
        Label(self.labels.len() - 1)
    }

    /// Puts a label here.
    pub fn place(&mut self, label: Label) {
        self.labels[label.0] = self.ops.len() as u32;
        self.fence = self.ops.len();
    }

    /// A label here.
    pub fn here(&mut self) -> Label {
        let label = self.label();
        self.place(label);
        label
    }

    /// The operand of a jump to a label; resolved at the end.
    pub fn to(&self, label: Label) -> u32 {
        label.0 as u32
    }

    /// Adds a constant that the table takes over.
    pub fn add_constant(&mut self, value: Value) -> u32 {
        self.constants.push(value);
        self.constants.len() as u32 - 1
    }

    /// The constant of a key, made by `make` (owned) if it is new.
    pub fn constant(&mut self, key: ConstantKey, make: impl FnOnce() -> Value) -> u32 {
        if let Some(known) = self.constant_index.get(&key) {
            return *known;
        }
        let k = self.add_constant(make());
        self.constant_index.insert(key, k);
        k
    }

    /// A constant by its number: borrowed.
    pub fn constant_value(&self, k: u32) -> Value {
        self.constants.get(k as usize).copied().unwrap_or(Value::Unset)
    }

    /// The number of a global name.
    pub fn global(&mut self, name: Str) -> Result<u16, CompileError> {
        if let Some(known) = self.global_index.get(&name) {
            return Ok(*known);
        }
        if self.globals.len() >= TABLE_LIMIT {
            return self.error("too many names in one block of code");
        }
        self.globals.push(name);
        let g = self.globals.len() as u16 - 1;
        self.global_index.insert(name, g);
        Ok(g)
    }

    /// A new attribute site.
    pub fn site(&mut self, name: Str) -> Result<u16, CompileError> {
        if self.sites.len() >= TABLE_LIMIT {
            // Very long code: share the cache of an earlier site of that name.
            return match self.sites.iter().position(|known| *known == name) {
                Some(known) => Ok(known as u16),
                None => self.error("too many attributes in one block of code"),
            };
        }
        self.sites.push(name);
        Ok(self.sites.len() as u16 - 1)
    }

    /// A set of keyword names.
    pub fn keyword_names(&mut self, names: Vec<Str>) -> Result<u16, CompileError> {
        if let Some(known) = self.keywords.iter().position(|known| **known == *names) {
            return Ok(known as u16);
        }
        if self.keywords.len() >= TABLE_LIMIT {
            return self.error("too many calls with keywords in one block of code");
        }
        self.keywords.push(names.into());
        Ok(self.keywords.len() as u16 - 1)
    }

    /// A function or class inside.
    pub fn function(&mut self, inner: Inner) -> Result<u16, CompileError> {
        if self.functions.len() >= TABLE_LIMIT {
            return self.error("too many functions in one block of code");
        }
        self.functions.push(inner);
        Ok(self.functions.len() as u16 - 1)
    }

    /// Guards the instructions between two labels.
    pub fn handler(&mut self, start: Label, end: Label, handler: Label, keep: Reg) {
        self.handlers.push((start, end, handler, keep));
    }

    /// Resolves the labels and makes the code.
    pub fn finish(mut self, shell: Shell) -> Code {
        for op in &mut self.ops {
            if let Some(to) = op.target_mut() {
                *to = self.labels[*to as usize];
            }
        }
        thread_jumps(&mut self.ops);
        let labels = &self.labels;
        let handlers = self
            .handlers
            .iter()
            .map(|(start, end, handler, keep)| HandlerRange {
                start: labels[start.0],
                end: labels[end.0],
                handler: labels[handler.0],
                keep: *keep,
            })
            .filter(|range| range.start < range.end)
            .collect();
        Code {
            name: shell.name,
            ops: self.ops.into(),
            spans: self.spans.into(),
            source: shell.source,
            home: Cell::new(NOWHERE),
            copied: 0,
            is_function: shell.is_function,
            parameters: shell.parameters,
            star: shell.star,
            double_star: shell.double_star,
            arity: if shell.star || shell.double_star { NO_ARITY } else { u16::from(shell.parameters) },
            locals: self.locals as u8,
            registers: self.highest.max(self.locals),
            handling: shell.handling,
            local_names: shell.local_names.into(),
            constants: self.constants.into(),
            globals: self.globals.into_iter().map(GlobalSite::new).collect(),
            sites: self.sites.into_iter().map(AttributeSite::new).collect(),
            functions: self.functions.into(),
            keywords: self.keywords.into(),
            wide_names: shell.wide_names.into(),
            free_names: shell.free_names.into(),
            handlers,
        }
    }

    /// Gives the constants back after an error.
    pub fn discard(self, heap: &mut Heap) {
        self.constants.iter().for_each(|value| heap.release(*value));
        self.functions.iter().for_each(|inner| inner.code.release(heap));
    }
}

/// Jumps to jumps go to the end of the chain at once.
fn thread_jumps(ops: &mut [Op]) {
    for at in 0..ops.len() {
        let mut op = ops[at];
        let checked = op.is_checked_jump();
        let Some(to) = op.target_mut() else { continue };
        let first = *to;
        for _ in 0..LONGEST_CHAIN {
            match ops.get(*to as usize) {
                Some(&Op::Jump { to: next }) => *to = next,
                // Only a jump that is a check point may close a loop.
                Some(&Op::Loop { to: next }) if checked => *to = next,
                _ => break,
            }
        }
        if *to != first {
            ops[at] = op;
        }
    }
}

/// What a code has besides its instructions.
pub struct Shell {
    /// Its name.
    pub name: Str,
    /// Its text.
    pub source: Source,
    /// See [`Code::is_function`].
    pub is_function: bool,
    /// Number of parameters.
    pub parameters: u8,
    /// Whether there is `*args`.
    pub star: bool,
    /// Whether there is `**kwargs`.
    pub double_star: bool,
    /// See [`Code::handling`].
    pub handling: u8,
    /// Names of locals by register.
    pub local_names: Vec<Str>,
    /// Names of wide locals.
    pub wide_names: Vec<Str>,
    /// Names of free variables.
    pub free_names: Vec<Str>,
}
