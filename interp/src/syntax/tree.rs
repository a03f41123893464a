//! Where the nodes of a tree lie.

use bumpalo::Bump;

/// The memory of trees: nodes are put into it one behind the other and given back all at once, when it goes.
///
/// A tree has some ten nodes for each line. Asking the allocator for each of them and giving each back took more time
/// than all the rest of the parser.
#[derive(Debug, Default)]
pub struct Tree(Bump);

impl Tree {
    /// Memory for a tree.
    pub fn new() -> Tree {
        Tree::default()
    }

    /// Puts a node in.
    #[inline]
    pub(crate) fn put<T: Copy>(&self, node: T) -> &T {
        self.0.alloc(node)
    }

    /// Puts a row of nodes (or bytes) in.
    #[inline]
    pub(crate) fn row<T: Copy>(&self, nodes: &[T]) -> &[T] {
        match nodes {
            [] => &[],
            [node] => std::slice::from_ref(self.put(*node)),
            _ => self.0.alloc_slice_copy(nodes),
        }
    }

    /// Puts a text in.
    pub(crate) fn text(&self, text: &str) -> &str {
        self.0.alloc_str(text)
    }
}
