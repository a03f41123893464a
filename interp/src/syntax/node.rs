//! The kinds of nodes a Python 2.7 program consists of, under the names that
//! V1's messages use for them.

/// Declares [`Node`] and the names of its values.
macro_rules! nodes {
    ($($node:ident)*) => {
        /// A kind of node. The names are those of the tree that V1 checked
        /// (Python 2.7's `compiler.ast`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Node {
            $(
                #[doc = concat!("`", stringify!($node), "`")]
                $node,
            )*
        }

        impl Node {
            /// All kinds.
            pub const ALL: &'static [Node] = &[$(Node::$node),*];

            /// The name in messages.
            pub fn name(self) -> &'static str {
                match self {
                    $(Node::$node => stringify!($node),)*
                }
            }
        }
    };
}

nodes! {
    Add And AssAttr AssList AssName AssTuple Assert Assign AugAssign Backquote Bitand Bitor
    Bitxor Break CallFunc Class Compare Const Continue Decorators Dict DictComp Discard Div
    Ellipsis Exec FloorDiv For From Function GenExpr Getattr Global If IfExp Import Invert
    Keyword Lambda LeftShift List ListComp ListCompFor ListCompIf Mod Module Mul Name Not Or
    Pass Power Print Printnl Raise Return RightShift Set SetComp Slice Sliceobj Stmt Sub
    Subscript TryExcept TryFinally Tuple UnaryAdd UnarySub While With Yield
}
