//! Statements of a session, one after the other, as at Python's own prompt.

use super::{walk, Checked, Refusal};
use crate::syntax::ast::{Block, Call, Expr, ExprKind, Module, Stmt, StmtKind};
use crate::syntax::finding::{Finding, What};
use crate::syntax::{self, Limits, Symbol};

/// What a session calls with the value of every expression statement: a name
/// that no program can write.
pub const ECHO: &str = "__echo__";

/// What a piece of text is.
#[derive(Debug)]
pub enum Reading {
    /// It can be run. Expressions in it, outside functions and classes, are shown.
    Complete(Checked<Module>),
    /// More lines belong to it.
    Incomplete,
    /// It cannot be run.
    Refused(Refusal),
}

/// Reads a statement. `text` ends in a line end for each line that was entered;
/// a block ends at an empty line.
pub fn read_statement(text: &[u8], file: &str, limits: &Limits) -> Reading {
    let (mut module, mut findings) = syntax::parse(text, file, limits);
    walk::walk(&module, &mut findings);
    let ended = text.ends_with(b"\n\n");
    if findings.iter().any(|finding| is_open(finding, text, ended)) {
        return Reading::Incomplete;
    }
    if !findings.is_empty() {
        return Reading::Refused(Refusal::new(&module.source, findings));
    }
    if !ended && module.body.last().is_some_and(has_block) {
        return Reading::Incomplete;
    }
    let echo = module.symbols.intern(ECHO);
    show(&mut module.body, echo);
    Reading::Complete(Checked(module))
}

/// Whether what is wrong is only that the text ends here.
fn is_open(finding: &Finding, text: &[u8], ended: bool) -> bool {
    let What::Syntax(fault) = &finding.what else { return false };
    let rest = text.get(finding.span.end as usize..).unwrap_or_default();
    let at_end = rest.trim_ascii().is_empty();
    if fault.message.starts_with("EOF while scanning triple") || fault.title.ends_with("is never closed") {
        return true;
    }
    if text.ends_with(b"\\\n") {
        return true;
    }
    let open = fault.message.starts_with("unexpected EOF") || fault.message == "expected an indented block";
    !ended && open && (at_end || rest.starts_with(b"\n") && rest.trim_ascii().starts_with(b"#"))
        || !ended && fault.message.starts_with("unexpected EOF")
}

/// Whether a statement goes on until an empty line.
fn has_block(statement: &Stmt) -> bool {
    matches!(
        statement.kind,
        StmtKind::If(_)
            | StmtKind::While(_)
            | StmtKind::For(_)
            | StmtKind::Try(_)
            | StmtKind::Def(_)
            | StmtKind::Class(_)
    )
}

/// Makes every expression statement a call of [`ECHO`] with its value.
fn show(block: &mut Block, echo: Symbol) {
    for statement in block {
        let span = statement.span;
        match &mut statement.kind {
            StmtKind::Expr(value) => {
                let name = Expr { kind: ExprKind::Name(echo), span, height: 1 };
                let height = value.height + 1;
                let shown = std::mem::replace(value, Expr { kind: ExprKind::Int(0), span, height: 1 });
                let call = Call {
                    function: name,
                    positional: vec![shown],
                    keywords: Vec::new(),
                    star: None,
                    double_star: None,
                };
                *value = Expr { kind: ExprKind::Call(Box::new(call)), span, height };
            }
            StmtKind::If(inner) => {
                inner.arms.iter_mut().for_each(|arm| show(&mut arm.body, echo));
                show(&mut inner.otherwise, echo);
            }
            StmtKind::While(inner) => {
                show(&mut inner.body, echo);
                show(&mut inner.otherwise, echo);
            }
            StmtKind::For(inner) => {
                show(&mut inner.body, echo);
                show(&mut inner.otherwise, echo);
            }
            StmtKind::Try(inner) => {
                show(&mut inner.body, echo);
                inner.handlers.iter_mut().for_each(|handler| show(&mut handler.body, echo));
                show(&mut inner.otherwise, echo);
                inner.finally.iter_mut().for_each(|finally| show(finally, echo));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> &'static str {
        match read_statement(text.as_bytes(), "<stdin>", &Limits::default()) {
            Reading::Complete(_) => "complete",
            Reading::Incomplete => "incomplete",
            Reading::Refused(_) => "refused",
        }
    }

    #[test]
    fn a_statement_ends_where_pythons_prompt_ends_it() {
        for complete in ["x = 1\n", "\n", "# nothing\n", "f(1,\n2)\n", "if x:\n  y\n\n", "x = '''a\n\nb'''\n"]
        {
            assert_eq!(kind(complete), "complete", "{complete:?}");
        }
        for incomplete in [
            "f(1,\n",
            "f(1,\n\n",
            "x = '''a\n",
            "x = 1 + \\\n",
            "def f():\n",
            "def f():\n  # what for\n",
            "def f():\n  return 1\n",
            "if x: print 1\n",
            "try:\n",
            "try:\n  x\n",
            "class C:\n  def f(self):\n",
            "x = {\n 1: 2,\n",
            "if x:\n  y\nelse:\n",
        ] {
            assert_eq!(kind(incomplete), "incomplete", "{incomplete:?}");
        }
        for refused in
            ["import os\n", "x = = 1\n", "def f():\n\n", "x = 'a\n", "try:\n  x\n\n", "u''\n", "x +\n"]
        {
            assert_eq!(kind(refused), "refused", "{refused:?}");
        }
    }
}
