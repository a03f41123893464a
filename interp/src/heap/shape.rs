//! Shapes: which attribute of an instance lies in which slot.
//!
//! Every class has a tree of shapes of its own, so a shape also tells the
//! class. Setting a new attribute moves an instance one step down the tree.

use super::Str;

/// A shape.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Shape(pub(crate) u32);

/// A node: its parent's attributes plus one.
#[derive(Clone, Debug)]
struct Node {
    /// Parent and the attribute added, none for a root.
    added: Option<(Shape, Str)>,
    /// Number of attributes, which is the slot of the next one.
    count: u32,
    /// Known steps down.
    next: Vec<(Str, Shape)>,
}

/// All shapes.
#[derive(Clone, Debug, Default)]
pub struct Shapes {
    nodes: Vec<Node>,
}

impl Shapes {
    /// A shape without attributes.
    pub fn new_root(&mut self) -> Shape {
        self.nodes.push(Node { added: None, count: 0, next: Vec::new() });
        Shape(self.nodes.len() as u32 - 1)
    }

    /// Number of attributes.
    pub fn count(&self, shape: Shape) -> usize {
        self.nodes[shape.0 as usize].count as usize
    }

    /// The slot of an attribute (names are interned, so handles decide).
    pub fn slot(&self, shape: Shape, name: Str) -> Option<usize> {
        let mut at = shape;
        loop {
            let node = &self.nodes[at.0 as usize];
            let (parent, added) = node.added?;
            if added == name {
                return Some(node.count as usize - 1);
            }
            at = parent;
        }
    }

    /// The shape with one attribute more. Interned names live as long as the heap.
    pub fn with(&mut self, shape: Shape, name: Str) -> Shape {
        let node = &self.nodes[shape.0 as usize];
        if let Some(&(_, next)) = node.next.iter().find(|(known, _)| *known == name) {
            return next;
        }
        let count = node.count + 1;
        self.nodes.push(Node { added: Some((shape, name)), count, next: Vec::new() });
        let next = Shape(self.nodes.len() as u32 - 1);
        self.nodes[shape.0 as usize].next.push((name, next));
        next
    }

    /// The attributes in the order of their slots.
    pub fn names(&self, shape: Shape) -> Vec<Str> {
        let mut names = Vec::new();
        let mut at = shape;
        while let Some((parent, name)) = self.nodes[at.0 as usize].added {
            names.push(name);
            at = parent;
        }
        names.reverse();
        names
    }
}
