//! The table of constructs: each one either belongs to the dialect or is
//! refused with a reason and a way to do without it.

use crate::syntax::Node;

/// What the check says about a construct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Part of Repy.
    Allowed,
    /// Not part of Repy.
    Refused {
        /// How people call it.
        called: &'static str,
        /// Why it is refused: the second half of a sentence.
        why: &'static str,
        /// What to write.
        instead: &'static str,
    },
}

/// What is said about a construct that has no row: it is refused too.
const UNKNOWN: Verdict = Verdict::Refused {
    called: "this construct",
    why: "it is not on the list of what Repy has",
    instead: "write it otherwise",
};

const fn refused(called: &'static str, why: &'static str, instead: &'static str) -> Verdict {
    Verdict::Refused { called, why, instead }
}

/// The verdict on every construct, in the order of [`Node::ALL`].
pub const NODES: &[(Node, Verdict)] = &[
    (Node::Add, Verdict::Allowed),
    (Node::And, Verdict::Allowed),
    (Node::AssAttr, Verdict::Allowed),
    (Node::AssList, Verdict::Allowed),
    (Node::AssName, Verdict::Allowed),
    (Node::AssTuple, Verdict::Allowed),
    (Node::Assert, Verdict::Allowed),
    (Node::Assign, Verdict::Allowed),
    (Node::AugAssign, Verdict::Allowed),
    (Node::Backquote, refused("the backquote", "it is easily overlooked", "call `repr(value)`")),
    (Node::Bitand, Verdict::Allowed),
    (Node::Bitor, Verdict::Allowed),
    (Node::Bitxor, Verdict::Allowed),
    (Node::Break, Verdict::Allowed),
    (Node::CallFunc, Verdict::Allowed),
    (Node::Class, Verdict::Allowed),
    (Node::Compare, Verdict::Allowed),
    (Node::Const, Verdict::Allowed),
    (Node::Continue, Verdict::Allowed),
    (
        Node::Decorators,
        refused(
            "a decorator",
            "what a function is shall be seen where it is defined",
            "write the definition first and then `name = decorator(name)`",
        ),
    ),
    (Node::Dict, Verdict::Allowed),
    (
        Node::DictComp,
        refused(
            "a dict comprehension",
            "the dialect has list comprehensions only",
            "write `dict([(key, value) for ... in ...])`",
        ),
    ),
    (Node::Discard, Verdict::Allowed),
    (Node::Div, Verdict::Allowed),
    (Node::Ellipsis, Verdict::Allowed),
    (
        Node::Exec,
        refused(
            "`exec`",
            "it would run code that nobody has checked",
            "write `VirtualNamespace(code, name).evaluate(context)`, which checks the code",
        ),
    ),
    (Node::FloorDiv, Verdict::Allowed),
    (Node::For, Verdict::Allowed),
    (
        Node::From,
        refused(
            "`from ... import`",
            "a program reaches nothing but what the sandbox gives it",
            "use the API calls and built-in functions; copy library code into the program",
        ),
    ),
    (Node::Function, Verdict::Allowed),
    (
        Node::GenExpr,
        refused(
            "a generator expression",
            "there are no generators",
            "write a list comprehension, in square brackets: [... for ... in ...]",
        ),
    ),
    (Node::Getattr, Verdict::Allowed),
    (
        Node::Global,
        refused(
            "`global`",
            "functions cannot bind the program's variables",
            "keep shared values in the dictionary `mycontext`: mycontext['count'] = 1",
        ),
    ),
    (Node::If, Verdict::Allowed),
    (
        Node::IfExp,
        refused(
            "a conditional expression (`x if c else y`)",
            "the dialect is older than it",
            "use an `if` statement, or `c and x or y` where x is never false",
        ),
    ),
    (
        Node::Import,
        refused(
            "`import`",
            "a program reaches nothing but what the sandbox gives it",
            "use the API calls and built-in functions; copy library code into the program",
        ),
    ),
    (Node::Invert, Verdict::Allowed),
    (Node::Keyword, Verdict::Allowed),
    (
        Node::Lambda,
        refused(
            "`lambda`",
            "functions have names",
            "write a function with `def` before the statement and use its name",
        ),
    ),
    (Node::LeftShift, Verdict::Allowed),
    (Node::List, Verdict::Allowed),
    (Node::ListComp, Verdict::Allowed),
    (Node::ListCompFor, Verdict::Allowed),
    (Node::ListCompIf, Verdict::Allowed),
    (Node::Mod, Verdict::Allowed),
    (Node::Module, Verdict::Allowed),
    (Node::Mul, Verdict::Allowed),
    (Node::Name, Verdict::Allowed),
    (Node::Not, Verdict::Allowed),
    (Node::Or, Verdict::Allowed),
    (Node::Pass, Verdict::Allowed),
    (Node::Power, Verdict::Allowed),
    (Node::Print, Verdict::Allowed),
    (Node::Printnl, Verdict::Allowed),
    (Node::Raise, Verdict::Allowed),
    (Node::Return, Verdict::Allowed),
    (Node::RightShift, Verdict::Allowed),
    (Node::Set, refused("a set display", "the dialect is older than it", "write `set([a, b])`")),
    (
        Node::SetComp,
        refused(
            "a set comprehension",
            "the dialect has list comprehensions only",
            "write `set([... for ... in ...])`",
        ),
    ),
    (Node::Slice, Verdict::Allowed),
    (Node::Sliceobj, Verdict::Allowed),
    (Node::Stmt, Verdict::Allowed),
    (Node::Sub, Verdict::Allowed),
    (Node::Subscript, Verdict::Allowed),
    (Node::TryExcept, Verdict::Allowed),
    (Node::TryFinally, Verdict::Allowed),
    (Node::Tuple, Verdict::Allowed),
    (Node::UnaryAdd, Verdict::Allowed),
    (Node::UnarySub, Verdict::Allowed),
    (Node::While, Verdict::Allowed),
    (
        Node::With,
        refused(
            "`with`",
            "the methods it calls have names that Repy refuses",
            "write `try:` ... `finally:` and close or release there",
        ),
    ),
    (
        Node::Yield,
        refused("`yield`", "there are no generators", "collect the values in a list and return it"),
    ),
];

/// Which constructs are allowed, by number: the table in the form that is
/// looked at once per node.
const ALLOWED: [bool; Node::ALL.len()] = {
    let mut allowed = [false; Node::ALL.len()];
    let mut row = 0;
    while row < NODES.len() {
        allowed[NODES[row].0 as usize] = matches!(NODES[row].1, Verdict::Allowed);
        row += 1;
    }
    allowed
};

/// True if a construct is part of Repy.
#[inline]
pub fn allowed(node: Node) -> bool {
    ALLOWED[node as usize]
}

/// What the check says about a construct.
pub fn verdict(node: Node) -> Verdict {
    match NODES.get(node as usize) {
        Some((listed, verdict)) if *listed == node => *verdict,
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_has_its_row_in_order() {
        let listed: Vec<Node> = NODES.iter().map(|(node, _)| *node).collect();
        assert_eq!(listed, Node::ALL);
    }

    #[test]
    fn exactly_v1s_constructs_are_refused() {
        let refused: Vec<&str> = NODES
            .iter()
            .filter(|(_, verdict)| *verdict != Verdict::Allowed)
            .map(|(node, _)| node.name())
            .collect();
        assert_eq!(
            refused,
            [
                "Backquote",
                "Decorators",
                "DictComp",
                "Exec",
                "From",
                "GenExpr",
                "Global",
                "IfExp",
                "Import",
                "Lambda",
                "Set",
                "SetComp",
                "With",
                "Yield"
            ]
        );
    }
}
