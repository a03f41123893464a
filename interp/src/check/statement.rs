//! Statements of a session, one after the other, as at Python's own prompt.

use super::{walk, Checked, Refusal};
use crate::syntax::ast::{
    Block, Call, Expr, ExprKind, For, Handler, If, IfArm, Module, Stmt, StmtKind, Try, While,
};
use crate::syntax::finding::{Finding, What};
use crate::syntax::{self, Limits, Symbol, Tree};

/// What a session calls with the value of every expression statement: a name
/// that no program can write.
pub const ECHO: &str = "__echo__";

/// What a piece of text is.
#[derive(Debug)]
pub enum Reading<'t> {
    /// It can be run. Expressions in it, outside functions and classes, are shown.
    Complete(Checked<Module<'t>>),
    /// More lines belong to it.
    Incomplete,
    /// It cannot be run.
    Refused(Refusal),
}

/// Reads a statement. `text` ends in a line end for each line that was entered;
/// a block ends at an empty line.
pub fn read_statement<'t>(tree: &'t Tree, text: &[u8], file: &str, limits: &Limits) -> Reading<'t> {
    let (mut module, mut findings) = syntax::parse(tree, text, file, limits);
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
    module.body = show(tree, module.body, echo);
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
fn has_block(statement: &Stmt<'_>) -> bool {
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

/// The block with a call of [`ECHO`] in place of every expression statement, with its value.
fn show<'t>(tree: &'t Tree, block: Block<'t>, echo: Symbol) -> Block<'t> {
    let inner = |block| show(tree, block, echo);
    let shown = |statement: &Stmt<'t>| {
        let kind = match statement.kind {
            StmtKind::Expr(value) => {
                let function = Expr { kind: ExprKind::Name(echo), span: statement.span, height: 1 };
                let positional = tree.row(&[value]);
                let call =
                    tree.put(Call { function, positional, keywords: &[], star: None, double_star: None });
                let height = value.height + 1;
                StmtKind::Expr(Expr { kind: ExprKind::Call(call), span: statement.span, height })
            }
            StmtKind::If(all) => {
                let arms: Vec<IfArm> =
                    all.arms.iter().map(|arm| IfArm { body: inner(arm.body), ..*arm }).collect();
                StmtKind::If(tree.put(If { arms: tree.row(&arms), otherwise: inner(all.otherwise) }))
            }
            StmtKind::While(all) => StmtKind::While(tree.put(While {
                body: inner(all.body),
                otherwise: inner(all.otherwise),
                ..*all
            })),
            StmtKind::For(all) => StmtKind::For(tree.put(For {
                body: inner(all.body),
                otherwise: inner(all.otherwise),
                ..*all
            })),
            StmtKind::Try(all) => {
                let handlers: Vec<Handler> = all
                    .handlers
                    .iter()
                    .map(|handler| Handler { body: inner(handler.body), ..*handler })
                    .collect();
                StmtKind::Try(tree.put(Try {
                    body: inner(all.body),
                    handlers: tree.row(&handlers),
                    otherwise: inner(all.otherwise),
                    finally: all.finally.map(inner),
                }))
            }
            other => other,
        };
        Stmt { kind, span: statement.span }
    };
    let statements: Vec<Stmt> = block.iter().map(shown).collect();
    tree.row(&statements)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str) -> &'static str {
        match read_statement(&Tree::new(), text.as_bytes(), "<stdin>", &Limits::default()) {
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
