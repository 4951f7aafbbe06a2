//! The bucket distributions of a tile.

use super::View;
use crate::{
    decode::{self, Distribution, Mass},
    heads::{BucketHead, MIDDLE},
};
use ltv_nn::runner::Outputs;

/// The outputs of one horizon in one tile.
pub(super) struct BucketView<'a> {
    segments: Vec<&'a [f32]>,
    buckets: Vec<Bucket<'a>>,
    row: Row<'a>,
}

/// One bucket: its edges, and the tile's rows of its probability and bias.
struct Bucket<'a> {
    left: f64,
    width: f64,
    probability: &'a [f32],
    bias: Option<&'a [f32]>,
}

/// One row.
struct Row<'a> {
    segments: Vec<f64>,
    sizes: &'a [usize],
    masses: Vec<Mass>,
}

impl<'a> BucketView<'a> {
    pub(super) fn new(head: &'a BucketHead, outputs: &'a Outputs<'_, f32>) -> Self {
        let bucket =
            |(u, &(left, width, bias)): (usize, &(f64, f64, Option<ltv_nn::Node>))| Bucket {
                left,
                width,
                probability: outputs.feature(head.distribution, u),
                bias: bias.map(|node| outputs.feature(node, 0)),
            };
        let segments = 0..head.segments.width();
        Self {
            segments: segments
                .map(|s| outputs.feature(head.segments, s))
                .collect(),
            buckets: head.buckets.iter().enumerate().map(bucket).collect(),
            row: Row {
                segments: vec![],
                sizes: &head.sizes,
                masses: vec![],
            },
        }
    }
}

impl View for BucketView<'_> {
    fn row(&mut self, r: usize) -> &dyn Distribution {
        let Row {
            segments, masses, ..
        } = &mut self.row;
        segments.clear();
        segments.extend(self.segments.iter().map(|s| f64::from(s[r])));
        masses.clear();
        masses.extend(self.buckets.iter().map(|b| Mass {
            left: b.left,
            width: b.width,
            probability: f64::from(b.probability[r]),
            bias: b.bias.map_or(MIDDLE, |bias| f64::from(bias[r])),
        }));
        &self.row
    }
}

impl Distribution for Row<'_> {
    fn expectation(&self) -> f64 {
        decode::expectation(&self.masses)
    }

    fn quantile(&self, p: f64) -> f64 {
        decode::quantile(&self.masses, p)
    }

    fn argmax(&self) -> f64 {
        decode::argmax(&self.segments, self.sizes, &self.masses)
    }

    fn positive(&self) -> f64 {
        decode::positive(&self.masses)
    }

    fn reach(&self, value: f64) -> [f64; 2] {
        decode::reach(&self.masses, value)
    }
}
