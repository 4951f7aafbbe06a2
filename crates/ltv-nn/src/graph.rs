//! Building a graph: nodes, edges, parameters, loss terms.

use crate::{
    BatchShape, Layout, Real,
    layout::{Kind, Table},
    ops::Op,
    plan::Plan,
};
use std::ops::Range;

/// The output of an operation, or a slice of one: `width` features of every row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Node {
    pub(crate) at: usize,
    pub(crate) width: usize,
    /// Rows contiguous instead of features: only for embedded inputs, which are gathered by row.
    pub(crate) row_major: bool,
    /// Whether gradients flow back into it.
    pub(crate) differentiable: bool,
}

impl Node {
    /// Number of features.
    pub fn width(self) -> usize {
        self.width
    }

    /// Where its features lie among all features of a row: a slice of a node lies inside it.
    pub fn features(self) -> Range<usize> {
        self.at..self.at + self.width
    }

    /// Whether rows are contiguous instead of features: so are embedded inputs, which only dense
    /// layers and [`Builder::columns`] read.
    pub fn is_row_major(self) -> bool {
        self.row_major
    }

    /// The features `range` of this node: a view, nothing is copied.
    ///
    /// # Panics
    /// When the range does not lie inside the node, or the node is row-major.
    pub fn slice(self, range: Range<usize>) -> Self {
        assert!(
            range.end <= self.width && !self.row_major,
            "slice {range:?} of {self:?}"
        );
        Self {
            at: self.at + range.start,
            width: range.len(),
            ..self
        }
    }

    /// The same values with no way back for gradients: stop-gradient (paper eq. 2 and 3).
    pub fn detached(self) -> Self {
        Self {
            differentiable: false,
            ..self
        }
    }
}

/// A node seen from an operation that sends a gradient back into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Edge {
    pub(crate) node: Node,
    pub(crate) id: usize,
}

impl Edge {
    /// The way back into some features of the node.
    pub(crate) fn slice(self, range: Range<usize>) -> Self {
        Self {
            node: self.node.slice(range),
            ..self
        }
    }
}

/// A part of the total loss: `total = sum of coefficient * value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Term {
    /// What it is, for reports.
    pub name: String,
    /// Its factor in the total.
    pub coefficient: f64,
}

/// Where the embedded input comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct InputSpec {
    /// Table of every field.
    pub(crate) tables: Vec<usize>,
    /// First column of every field in the row-major input.
    pub(crate) columns: Vec<usize>,
    /// Columns taken by embeddings; numbers follow.
    pub(crate) embedded: usize,
}

/// Collects operations; [`Builder::build`] settles the rest.
pub struct Builder<T> {
    pub(crate) ops: Vec<Box<dyn Op<T>>>,
    pub(crate) layout: Layout,
    pub(crate) shape: BatchShape,
    pub(crate) terms: Vec<Term>,
    pub(crate) input: InputSpec,
    pub(crate) scratch: usize,
    pub(crate) noise_sources: u64,
    blocks: Vec<Range<usize>>,
    edges: usize,
    training: bool,
}

impl<T: Real> Builder<T> {
    /// A graph to train.
    pub fn training() -> Self {
        Self::new(true)
    }

    /// A graph to predict with: no gradients, no losses.
    pub fn inference() -> Self {
        Self::new(false)
    }

    fn new(training: bool) -> Self {
        Self {
            ops: vec![],
            layout: Layout::default(),
            shape: BatchShape {
                fields: 0,
                numbers: 0,
                classes: 0,
                targets: 0,
            },
            terms: vec![],
            input: InputSpec::default(),
            scratch: 0,
            noise_sources: 0,
            blocks: vec![],
            edges: 0,
            training,
        }
    }

    /// Whether this graph is to be trained.
    pub fn is_training(&self) -> bool {
        self.training
    }

    /// Declares a column of class targets.
    pub fn class_column(&mut self) -> usize {
        self.shape.classes += 1;
        self.shape.classes - 1
    }

    /// Declares a column of numeric targets.
    pub fn target_column(&mut self) -> usize {
        self.shape.targets += 1;
        self.shape.targets - 1
    }

    /// Allots a new node.
    pub(crate) fn node(&mut self, width: usize) -> Node {
        let at = self.blocks.last().map_or(0, |b| b.end);
        self.blocks.push(at..at + width);
        Node {
            at,
            width,
            row_major: false,
            differentiable: self.training,
        }
    }

    /// Asks for the way back into a node; none when it is detached.
    pub(crate) fn edge(&mut self, node: Node) -> Option<Edge> {
        node.differentiable.then(|| {
            self.edges += 1;
            Edge {
                node,
                id: self.edges - 1,
            }
        })
    }

    /// Declares a loss term and returns its number; operations of one name share a term.
    pub(crate) fn term(&mut self, name: &str, coefficient: f64) -> usize {
        if let Some(i) = self.terms.iter().position(|t| t.name == name) {
            return i;
        }
        self.terms.push(Term {
            name: name.to_string(),
            coefficient,
        });
        self.terms.len() - 1
    }

    /// Asks for scratch space of so many features.
    pub(crate) fn need_scratch(&mut self, features: usize) {
        self.scratch = self.scratch.max(features);
    }

    /// Declares a dense layer of `inputs -> sum of outputs`, made of named parts `NAME.w`
    /// `[outputs, inputs]` and `NAME.b` `[1, outputs]`. The parts lie side by side, so that one
    /// product serves them all.
    pub fn dense(&mut self, parts: &[(&str, usize)], inputs: usize) -> Dense {
        self.declare(parts, inputs, Kind::Dense)
    }

    /// A dense layer whose weights are used through softplus (its biases are free).
    pub fn non_negative(&mut self, parts: &[(&str, usize)], inputs: usize) -> Dense {
        self.declare(parts, inputs, Kind::NonNegative)
    }

    fn declare(&mut self, parts: &[(&str, usize)], inputs: usize, kind: Kind) -> Dense {
        let layout = &mut self.layout;
        layout.align();
        let weights = layout.dense;
        for (name, outputs) in parts {
            layout.add(format!("{name}.w"), *outputs, inputs, kind);
        }
        layout.align();
        let biases = layout.dense;
        for (name, outputs) in parts {
            layout.add(format!("{name}.b"), 1, *outputs, Kind::Dense);
        }
        let outputs = parts.iter().map(|p| p.1).sum();
        Dense {
            weights,
            biases,
            inputs,
            outputs,
            derived: kind == Kind::NonNegative,
        }
    }

    /// Declares an embedding table `NAME` of `rows` cells.
    pub fn table(&mut self, name: &str, rows: usize, dim: usize) -> usize {
        let offset = self.layout.add(name.to_string(), rows, dim, Kind::Table);
        self.layout.tables.push(Table {
            offset,
            rows,
            dim,
            fields: vec![],
        });
        self.layout.tables.len() - 1
    }

    /// Settles gradients and memory. `tile`: rows worked on at a time, rounded up to a multiple
    /// of 16; 64 to 128 keep a network of a few thousand features in cache.
    pub fn build(mut self, tile: usize) -> Graph<T> {
        self.layout.align();
        let wiring: Vec<_> = self.ops.iter().map(|op| op.wiring()).collect();
        let plan = Plan::new(&self.blocks, self.edges, &wiring);
        Graph {
            features: self.blocks.last().map_or(0, |b| b.end),
            tile: tile.max(1).next_multiple_of(16),
            plan,
            ops: self.ops,
            layout: self.layout,
            shape: self.shape,
            terms: self.terms,
            input: self.input,
            scratch: self.scratch,
        }
    }
}

/// A declared dense layer, to be used once: each use would overwrite the gradient of the others. So
/// it can be neither copied nor cloned.
///
/// ```compile_fail,E0382
/// let mut b = ltv_nn::graph::Builder::<f32>::training();
/// let x = b.input(&[], 3);
/// let layer = b.dense(&[("layer", 3)], 3);
/// let y = b.linear(x, layer, true);
/// b.linear(y, layer, true);
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct Dense {
    pub(crate) weights: usize,
    pub(crate) biases: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Weights through softplus.
    pub(crate) derived: bool,
}

/// A network: operations in order, with the places of their values, gradients and parameters.
pub struct Graph<T> {
    pub(crate) ops: Vec<Box<dyn Op<T>>>,
    pub(crate) plan: Plan,
    pub(crate) features: usize,
    pub(crate) tile: usize,
    pub(crate) layout: Layout,
    pub(crate) shape: BatchShape,
    pub(crate) terms: Vec<Term>,
    pub(crate) input: InputSpec,
    pub(crate) scratch: usize,
}

impl<T: Real> Graph<T> {
    /// The parameters.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// What a batch must look like.
    pub fn shape(&self) -> BatchShape {
        self.shape
    }

    /// The loss terms.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// Rows worked on at a time.
    pub fn tile(&self) -> usize {
        self.tile
    }

    /// Multiply-adds of one row's forward pass in matrix products.
    pub fn multiply_adds(&self) -> u64 {
        self.ops.iter().map(|op| op.multiply_adds()).sum()
    }
}
