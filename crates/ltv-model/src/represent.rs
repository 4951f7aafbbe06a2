//! What the towers of each horizon read of a user: embeddings and numbers, through an encoder of
//! days, a backbone and feature crosses (paper section 3.2; decision record 0012).
//!
//! ```text
//! fields, numbers -> [sequence] -> read -> [backbone] -> one node for each horizon -> towers
//!                                   |                               ^
//!                                   +-----> [cross] ----------------+ side by side
//! ```

mod backbone;
mod count;
mod cross;
#[cfg(test)]
mod oracle;
mod sequence;
#[cfg(test)]
mod tests;

use crate::spec::Spec;
pub(crate) use count::{Count, count};
use ltv_nn::{Node, Real, graph::Builder};

/// The input of a network.
#[derive(Clone, Copy)]
struct Inputs {
    /// All embeddings, field by field, then all numbers; row-major.
    raw: Node,
    /// What backbone and crosses read: the same, or its days encoded.
    read: Node,
}

/// One representation for each horizon, `[k]` each; one node for all where the backbone and the
/// crosses are shared by all.
pub(crate) fn build<T: Real>(b: &mut Builder<T>, spec: &Spec) -> Vec<Node> {
    let inputs = sequence::build(b, spec);
    let mut nodes = backbone::build(b, spec, inputs.read);
    let Some(crossed) = cross::build(b, spec, inputs) else {
        return nodes;
    };
    let mut last: Option<(Node, Node)> = None;
    for node in &mut nodes {
        let joined = match last {
            Some((alone, joined)) if alone == *node => joined,
            _ => b.concat(&[*node, crossed]),
        };
        last = Some((*node, joined));
        *node = joined;
    }
    nodes
}
