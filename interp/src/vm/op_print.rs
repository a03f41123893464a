//! Instructions of `print`.

use super::native::Flow;
use super::slow::Registers;
use super::Vm;
use crate::compile::{Code, Reg};
use crate::heap::{Outcome, Str, Value};

/// What printing a piece comes to.
pub(super) enum Printed {
    /// It is printed.
    Done,
    /// `a` is no str.
    NotStr,
    /// The thread waits; then it goes on behind the instruction.
    Wait(Flow),
    /// The thread waits for the space before the text; then the instruction is run again.
    WaitForSpace(Flow),
}

impl Vm {
    /// If `a` is a str: prints it. `text` says that the program gave it as one.
    pub(super) fn op_print(
        &mut self,
        regs: &mut Registers,
        code: &Code,
        a: Reg,
        text: bool,
    ) -> Outcome<Printed> {
        let piece = match regs[usize::from(a)] {
            Value::Str(piece) => piece,
            Value::Unset => return Err(self.unbound(code, a)),
            _ => return Ok(Printed::NotStr),
        };
        if let Some(flow) = self.print_space()? {
            // The space is paid for first, then the text is printed.
            return Ok(Printed::WaitForSpace(flow));
        }
        let flow = self.print_text(piece, text)?;
        self.consume(regs, code.locals, a);
        Ok(match flow {
            Some(flow) => Printed::Wait(flow),
            None => Printed::Done,
        })
    }

    /// Ends the line.
    pub(super) fn op_print_newline(&mut self) -> Outcome<Option<Flow>> {
        self.softspace = false;
        let newline = self.heap.byte_str(b'\n');
        self.print_piece(newline)
    }

    /// `d` = whether a space is due on the file-like object `f` (kept); then it is due if `set`.
    pub(super) fn op_soft_space(&mut self, regs: &mut Registers, d: Reg, f: Reg, set: bool) -> Outcome<()> {
        let due = self.swap_softspace(regs[usize::from(f)], set)?;
        self.put(regs, d, Value::bool(due));
        Ok(())
    }

    /// Makes a space due on `f` (kept) unless the str `a` (kept) ends in other white space.
    pub(super) fn op_soft_space_after(&mut self, regs: &mut Registers, f: Reg, a: Reg) -> Outcome<()> {
        if let Value::Str(text) = regs[usize::from(a)] {
            let due = space_due(self.heap.bytes(text));
            self.swap_softspace(regs[usize::from(f)], due)?;
        }
        Ok(())
    }

    /// Prints the space that is due, if one is. As [`Vm::print_piece`].
    fn print_space(&mut self) -> Outcome<Option<Flow>> {
        if !std::mem::take(&mut self.softspace) {
            return Ok(None);
        }
        let space = self.heap.byte_str(b' ');
        self.print_piece(space)
    }

    /// Prints an item; `text` says that the program gave a str. As [`Vm::print_piece`].
    fn print_text(&mut self, piece: Str, text: bool) -> Outcome<Option<Flow>> {
        self.softspace = !text || space_due(self.heap.bytes(piece));
        self.print_piece(piece)
    }

    /// Prints one piece; what is left to do if the thread must wait.
    fn print_piece(&mut self, piece: Str) -> Outcome<Option<Flow>> {
        match self.print_hook {
            Some(hook) => match hook(self, Value::Str(piece))? {
                Flow::Value(value) => {
                    self.heap.release(value);
                    Ok(None)
                }
                flow => Ok(Some(flow)),
            },
            None => {
                self.output.write(self.heap.bytes(piece));
                Ok(None)
            }
        }
    }

    /// Whether a space is due on a file-like object, and whether one is from now on.
    fn swap_softspace(&mut self, file: Value, due: bool) -> Outcome<bool> {
        let name = self.names.softspace;
        let before = match self.find_attribute(file, name)? {
            Some(value) => {
                let due = self.truth(value);
                self.heap.release(value);
                due
            }
            None => false,
        };
        if before != due {
            self.set_attribute(file, name, Value::Int(i64::from(due)))?;
        }
        Ok(before)
    }
}

/// Whether `print` puts a space after this str.
pub(super) fn space_due(bytes: &[u8]) -> bool {
    match bytes.last() {
        Some(b' ') | None => true,
        Some(last) => !(last.is_ascii_whitespace() || *last == 0x0b),
    }
}
