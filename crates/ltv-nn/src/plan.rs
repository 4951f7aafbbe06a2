//! Settles before the first row what the backward pass will do with gradients: which writes
//! overwrite and which add, what must be zeroed, and where each gradient lives.

use crate::graph::Node;
use std::ops::Range;

/// What an operation's backward pass reads and writes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wiring {
    /// Nodes whose gradient it reads: its outputs.
    pub reads: Vec<Node>,
    /// Edges whose gradient it writes, in the order in which it writes them.
    pub writes: Vec<crate::graph::Edge>,
}

/// The outcome.
#[derive(Debug, Clone, Default)]
pub(crate) struct Plan {
    /// Place of every feature's gradient in the gradient arena, in features.
    pub(crate) grad_at: Vec<usize>,
    /// For every edge, whether its write adds.
    pub(crate) accumulate: Vec<bool>,
    /// Before operation `i` runs backward, these gradients are set to zero.
    pub(crate) zero: Vec<Vec<Range<usize>>>,
    /// Features of the gradient arena.
    pub(crate) grad_features: usize,
}

/// A block of features allotted at once: its gradient is placed as a whole.
#[derive(Debug, Clone, Copy)]
struct Block {
    start: usize,
    end: usize,
    /// First and last backward step that touches it.
    live: Option<(usize, usize)>,
    place: usize,
}

impl Plan {
    /// `blocks`: the allotments of features, ascending; `ops`: the wiring in forward order.
    pub(crate) fn new(blocks: &[Range<usize>], edges: usize, ops: &[Wiring]) -> Self {
        let features = blocks.last().map_or(0, |b| b.end);
        let mut plan = Self {
            grad_at: vec![0; features],
            accumulate: vec![false; edges],
            zero: vec![vec![]; ops.len()],
            grad_features: 0,
        };
        plan.settle_writes(features, ops);
        plan.place(blocks, ops);
        plan
    }

    /// Walks the operations backwards, remembering which features have a gradient so far.
    fn settle_writes(&mut self, features: usize, ops: &[Wiring]) {
        let mut written = vec![false; features];
        for (i, op) in ops.iter().enumerate().rev() {
            for node in &op.reads {
                // An output that nobody differentiates through has gradient zero.
                self.zero_missing(i, node.at..node.at + node.width, &mut written);
            }
            for edge in &op.writes {
                let range = edge.node.at..edge.node.at + edge.node.width;
                if written[range.clone()].iter().any(|&w| w) {
                    self.zero_missing(i, range, &mut written);
                    self.accumulate[edge.id] = true;
                } else {
                    written[range].fill(true);
                }
            }
        }
    }

    fn zero_missing(&mut self, op: usize, range: Range<usize>, written: &mut [bool]) {
        // Ranges of different nodes stay apart: their gradients may live in different places.
        let mut open: Option<Range<usize>> = None;
        for f in range {
            if written[f] {
                self.zero[op].extend(open.take());
            } else {
                written[f] = true;
                open = Some(open.map_or(f..f + 1, |r| r.start..f + 1));
            }
        }
        self.zero[op].extend(open);
    }

    /// Gives each block the lowest place that is free while its gradient is alive.
    fn place(&mut self, ranges: &[Range<usize>], ops: &[Wiring]) {
        let mut blocks: Vec<Block> = ranges
            .iter()
            .map(|r| Block {
                start: r.start,
                end: r.end,
                live: None,
                place: 0,
            })
            .collect();
        for (step, op) in ops.iter().rev().enumerate() {
            for node in op
                .reads
                .iter()
                .copied()
                .chain(op.writes.iter().map(|e| e.node))
            {
                let i = blocks.partition_point(|b| b.end <= node.at);
                let (from, _) = blocks[i].live.unwrap_or((step, step));
                blocks[i].live = Some((from, step));
            }
        }
        // Largest first: the usual heuristic for packing intervals.
        let mut order: Vec<usize> = (0..blocks.len())
            .filter(|&i| blocks[i].live.is_some())
            .collect();
        order.sort_by_key(|&i| (std::cmp::Reverse(blocks[i].end - blocks[i].start), i));
        let mut placed: Vec<usize> = vec![];
        for i in order {
            blocks[i].place = lowest_place(&blocks, &placed, i);
            placed.push(i);
            let block = blocks[i];
            let size = block.end - block.start;
            self.grad_features = self.grad_features.max(block.place + size);
            for f in 0..size {
                self.grad_at[block.start + f] = block.place + f;
            }
        }
    }
}

fn lowest_place(blocks: &[Block], placed: &[usize], i: usize) -> usize {
    let overlaps = |a: Option<(usize, usize)>, b: Option<(usize, usize)>| match (a, b) {
        (Some((a0, a1)), Some((b0, b1))) => a0 <= b1 && b0 <= a1,
        _ => false,
    };
    let size = blocks[i].end - blocks[i].start;
    let mut busy: Vec<(usize, usize)> = placed
        .iter()
        .map(|&j| &blocks[j])
        .filter(|b| overlaps(b.live, blocks[i].live))
        .map(|b| (b.place, b.place + b.end - b.start))
        .collect();
    busy.sort_unstable();
    let mut place = 0;
    for (from, to) in busy {
        if place + size <= from {
            break;
        }
        place = place.max(to);
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Edge;

    fn node(at: usize, width: usize) -> Node {
        Node {
            at,
            width,
            row_major: false,
            differentiable: true,
        }
    }

    #[test]
    fn second_write_adds_and_gaps_are_zeroed() {
        // x (0..4) -> a reads x[0..2], b reads x[0..4]; backward order: b then a.
        let ops = [
            Wiring {
                reads: vec![node(0, 4)],
                writes: vec![],
            },
            Wiring {
                reads: vec![],
                writes: vec![Edge {
                    node: node(0, 4),
                    id: 0,
                }],
            },
            Wiring {
                reads: vec![],
                writes: vec![Edge {
                    node: node(0, 2),
                    id: 1,
                }],
            },
        ];
        let plan = Plan::new(std::slice::from_ref(&(0..4)), 2, &ops);
        assert_eq!(plan.accumulate, [true, false]);
        assert_eq!(plan.zero[1].first(), Some(&(2..4)));
        assert!(plan.zero[0].is_empty());
    }

    #[test]
    fn spent_gradients_give_their_place_away() {
        // a chain of three equally wide nodes: only two gradients are alive at a time
        let link = |i: usize| Wiring {
            reads: vec![node(8 * (i + 1), 8)],
            writes: vec![Edge {
                node: node(8 * i, 8),
                id: i,
            }],
        };
        let plan = Plan::new(
            &[0..8, 8..16, 16..24, 24..32],
            3,
            &[link(0), link(1), link(2)],
        );
        assert_eq!(plan.grad_features, 16);
        assert!((0..3).all(|i| plan.grad_at[8 * i] != plan.grad_at[8 * (i + 1)]));
    }
}
