//! What can be assigned to and deleted.

use super::super::ast::{Expr, ExprKind, Target, TargetKind};
use super::super::finding::{Fault, What};
use super::super::source::Span;
use super::super::symbol::Symbol;
use super::super::token::Kind;
use super::{Parser, Result};

/// What is done with a target.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Assign,
    Augment,
    Delete,
}

impl<'t> Parser<'_, 't> {
    /// One or more targets of a loop, up to `end`.
    pub(super) fn target_list(&mut self, end: Kind) -> Result<Target<'t>> {
        let start = self.start();
        if self.at(end) {
            return Err(self.unexpected(None));
        }
        let first = self.expression()?;
        let list = self.list_from(first, start, Self::expression)?;
        Ok(self.target(list, Action::Assign))
    }

    /// Turns an expression into a target. What cannot be one is noted.
    pub(super) fn target(&mut self, value: Expr<'t>, action: Action) -> Target<'t> {
        let span = value.span;
        let placeholder = value.height == 0;
        let kind = match value.kind {
            ExprKind::Name(name) => {
                if action != Action::Delete {
                    self.check_assignable(name, span);
                }
                TargetKind::Name(name)
            }
            ExprKind::Attribute(object, name) => {
                if action != Action::Delete {
                    self.check_assignable(name, span);
                }
                TargetKind::Attribute(object, name)
            }
            ExprKind::Subscript(subscript) => TargetKind::Subscript(subscript),
            // Noted already: a construct outside the dialect.
            _ if placeholder => TargetKind::Unpack(&[]),
            ExprKind::Tuple([]) => {
                self.not_assignable(span, action, "()");
                TargetKind::Unpack(&[])
            }
            ExprKind::Tuple(items) | ExprKind::List(items) => {
                if action == Action::Augment {
                    let fault = Fault::syntax(
                        "illegal expression for augmented assignment",
                        "change the variables one by one",
                    );
                    self.note(span, What::Syntax(fault));
                }
                let parts: Vec<Target> = items.iter().map(|item| self.target(*item, action)).collect();
                TargetKind::Unpack(self.tree.row(&parts))
            }
            ref other => {
                self.not_assignable(span, action, describe(other));
                TargetKind::Unpack(&[])
            }
        };
        Target { kind, span }
    }

    fn not_assignable(&mut self, span: Span, action: Action, what: &str) {
        let verb = match action {
            Action::Delete => "delete",
            Action::Assign | Action::Augment => "assign to",
        };
        let help = match (action, what) {
            (Action::Delete, _) => "delete variables, attributes and elements: del a, b.c, d[0]",
            (_, "comparison" | "operator" | "function call" | "literal") => {
                "a variable stands on the left; write `==` to compare"
            }
            _ => "a variable, attribute or element stands on the left",
        };
        let fault = Fault::syntax(format!("can't {verb} {what}"), help);
        self.note(span, What::Syntax(fault));
    }

    /// Notes it if a name must not be given a value.
    pub(super) fn check_assignable(&mut self, name: Symbol, span: Span) {
        if name == self.none {
            self.refuse(span, "cannot assign to None", "use another name");
        } else if name == self.debug {
            self.refuse(span, "cannot assign to __debug__", "use another name");
        }
    }
}

/// What 2.7's messages call an expression that is no target.
fn describe(kind: &ExprKind<'_>) -> &'static str {
    match kind {
        ExprKind::Int(_)
        | ExprKind::Long(_)
        | ExprKind::Float(_)
        | ExprKind::Imaginary(_)
        | ExprKind::Str(_)
        | ExprKind::Dict(_) => "literal",
        ExprKind::Call(_) => "function call",
        ExprKind::Compare(_) => "comparison",
        ExprKind::ListComp(_) => "list comprehension",
        ExprKind::Unary(..) | ExprKind::Not(_) | ExprKind::Binary(_) | ExprKind::And(_) | ExprKind::Or(_) => {
            "operator"
        }
        ExprKind::Name(_)
        | ExprKind::Attribute(..)
        | ExprKind::Subscript(_)
        | ExprKind::Tuple(_)
        | ExprKind::List(_) => "this",
    }
}
