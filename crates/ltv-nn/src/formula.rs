//! What a network computes, told to whoever wants to compute it elsewhere: its operations in order,
//! with the features that they read and write and the parameters that they use.

use crate::{Node, Real, graph::Dense};

/// One operation of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Step<'a, T> {
    /// What it writes.
    pub out: Node,
    /// How.
    pub formula: Formula<'a, T>,
}

/// How an operation makes its output. The formula and the shapes are those of the
/// [`Builder`](crate::graph::Builder)'s method that each names; matrices are row-major. Parameters are
/// as they are used: those that go through softplus have gone through it.
#[derive(Debug, Clone, PartialEq)]
pub enum Formula<'a, T> {
    /// [`input`](crate::graph::Builder::input).
    Input {
        /// All embedding tables, one after the other.
        tables: &'a [T],
        /// For every field where its table starts in `tables`, and the table's dimension.
        fields: &'a [(usize, usize)],
        /// Numbers that follow the embeddings: the first ones of a row.
        numbers: usize,
    },
    /// [`aside`](crate::graph::Builder::aside).
    Aside {
        /// The first of its numbers among the numbers of a row.
        first: usize,
    },
    /// [`linear`](crate::graph::Builder::linear).
    Linear {
        /// The input.
        x: Node,
        /// Weights, `[outputs, inputs]`.
        weights: &'a [T],
        /// Biases, `[outputs]`.
        biases: &'a [T],
        /// Whether a ReLU follows.
        relu: bool,
    },
    /// [`convolve`](crate::graph::Builder::convolve).
    Convolve {
        /// The input.
        x: Node,
        /// Weights, `[outputs, kernel * channels]`.
        weights: &'a [T],
        /// Biases, `[outputs]`.
        biases: &'a [T],
        /// Tokens of a row.
        tokens: usize,
        /// Whether a ReLU follows.
        relu: bool,
    },
    /// [`columns`](crate::graph::Builder::columns).
    Columns {
        /// The input.
        x: Node,
        /// Which of its features, in order.
        order: &'a [usize],
    },
    /// [`concat`](crate::graph::Builder::concat).
    Concat {
        /// The nodes, in order.
        parts: Vec<Node>,
    },
    /// [`add`](crate::graph::Builder::add).
    Add {
        /// One.
        a: Node,
        /// The other.
        b: Node,
    },
    /// [`multiply`](crate::graph::Builder::multiply).
    Multiply {
        /// One.
        a: Node,
        /// The other.
        b: Node,
    },
    /// [`offset`](crate::graph::Builder::offset).
    Offset {
        /// The input.
        x: Node,
        /// What is added, one number for each feature.
        by: &'a [T],
    },
    /// [`shrink`](crate::graph::Builder::shrink).
    Shrink {
        /// The input.
        x: Node,
        /// Thresholds, one for each feature.
        thresholds: &'a [T],
    },
    /// [`softmax`](crate::graph::Builder::softmax): its probabilities.
    Softmax {
        /// The logits.
        logits: Node,
    },
    /// [`sigmoid`](crate::graph::Builder::sigmoid).
    Sigmoid {
        /// The input.
        x: Node,
    },
    /// [`mixture`](crate::graph::Builder::mixture).
    Mixture {
        /// Probabilities of the segments.
        p: Node,
        /// Those within each, where it has several.
        q: Vec<Option<Node>>,
    },
    /// [`survival`](crate::graph::Builder::survival).
    Survival {
        /// The distribution.
        o: Node,
    },
    /// [`cumulate`](crate::graph::Builder::cumulate).
    Cumulate {
        /// The increments.
        m: Node,
    },
    /// [`weigh`](crate::graph::Builder::weigh).
    Weigh {
        /// One number for each expert.
        gates: Node,
        /// The experts.
        experts: Vec<Node>,
    },
    /// [`interact`](crate::graph::Builder::interact).
    Interact {
        /// The fields; the output is as wide as one of them.
        x: Node,
    },
    /// [`attention`](crate::graph::Builder::attention).
    Attention {
        /// Queries, keys and values.
        x: Node,
        /// Tokens of a row.
        tokens: usize,
        /// Heads.
        heads: usize,
    },
    /// [`layer_norm`](crate::graph::Builder::layer_norm).
    LayerNorm {
        /// The input.
        x: Node,
        /// Tokens of a row.
        tokens: usize,
        /// Factors, one for each channel.
        gain: &'a [T],
        /// What is added, one number for each channel.
        offset: &'a [T],
        /// What is added to the variance.
        floor: f64,
    },
    /// [`haar`](crate::graph::Builder::haar).
    Haar {
        /// The input.
        x: Node,
        /// Tokens of a row.
        tokens: usize,
    },
}

/// The parameters of a network.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameters<'a, T> {
    pub(crate) dense: &'a [T],
    /// Softplus of the non-negative ones, elsewhere rubbish.
    pub(crate) derived: &'a [T],
    pub(crate) tables: &'a [T],
}

impl<'a, T: Real> Parameters<'a, T> {
    /// So many dense parameters from `at` on.
    pub(crate) fn vector(self, at: usize, count: usize) -> &'a [T] {
        &self.dense[at..at + count]
    }

    /// Weights and biases of a layer.
    pub(crate) fn layer(self, layer: &Dense) -> (&'a [T], &'a [T]) {
        let all = if layer.derived {
            self.derived
        } else {
            self.dense
        };
        let weights = &all[layer.weights..][..layer.inputs * layer.outputs];
        (weights, self.vector(layer.biases, layer.outputs))
    }
}
