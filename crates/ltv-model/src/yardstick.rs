//! The model that speed is measured on, the same for every program it is compared with.
//!
//! 40 categorical fields (36 of 64 cells, 4 of 10,000), 8 dimensions each; Linear 256, Linear 128;
//! 4 horizons of 8 towers with 64 hidden outputs; 2 sub-distributions of 10 buckets; three Mono
//! Units of 16 hidden outputs for each horizon after the first. Random data.

use crate::{
    buckets::{Bucket, Buckets, Segment},
    odmn::HorizonColumns,
    spec::Spec,
};
use ltv_core::config::{Auto, Cross, ModelConfig};
use ltv_nn::{Batch, BatchShape};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Sizes of the measured model.
#[derive(Debug, Clone, PartialEq)]
pub struct Sizes {
    /// Cells of every field.
    pub fields: Vec<usize>,
    /// Dimensions of an embedding.
    pub embedding: usize,
    /// The shared bottom.
    pub bottom: Vec<usize>,
    /// Horizons.
    pub horizons: usize,
    /// Sub-distributions.
    pub segments: usize,
    /// Buckets of each.
    pub buckets: usize,
    /// Hidden outputs of a tower.
    pub tower: usize,
    /// Hidden outputs of a Mono Unit.
    pub mono: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            fields: (0..40).map(|i| if i < 36 { 64 } else { 10_000 }).collect(),
            embedding: 8,
            bottom: vec![256, 128],
            horizons: 4,
            segments: 2,
            buckets: 10,
            tower: 64,
            mono: 16,
        }
    }
}

impl Sizes {
    /// The network of these sizes; buckets all of one width that grows with the horizon.
    pub fn spec(&self) -> Spec {
        let horizon = |t: usize| {
            let width = 2.0 * (t + 1) as f64;
            let bucket = |u: usize| Bucket {
                left: u as f64 * width,
                width,
                rows: 1,
                bias: 0.5,
            };
            let segment = |s: usize| Segment {
                buckets: (0..self.buckets)
                    .map(|m| bucket(s * self.buckets + m))
                    .collect(),
            };
            Buckets {
                segments: (0..self.segments).map(segment).collect(),
                mean: 1.0,
                mass_above: 0.0,
                largest: 0.0,
            }
        };
        let model = ModelConfig {
            embedding: self.embedding,
            bottom: self.bottom.clone(),
            tower: self.tower,
            mono_hidden: self.mono,
            buckets: self.buckets,
            segments: self.segments,
            dropout: Auto::Is(0.0),
            cross: Cross::None,
            ..ModelConfig::default()
        };
        let horizons = (0..self.horizons).map(horizon).collect();
        Spec {
            fields: self.fields.clone(),
            numbers: 0,
            trends: 0,
            sequences: vec![],
            model,
            horizons,
        }
    }

    /// `rows` random rows, targets included where `columns` of MDME are given.
    pub fn data(
        &self,
        shape: BatchShape,
        columns: &[HorizonColumns],
        rows: usize,
        seed: u64,
    ) -> Batch<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut batch = Batch::new(shape, rows);
        for row in batch.ids.chunks_exact_mut(self.fields.len()) {
            for (id, &cells) in row.iter_mut().zip(&self.fields) {
                *id = rng.random_range(0..cells as u32);
            }
        }
        for column in columns.iter().filter_map(HorizonColumns::buckets) {
            for r in 0..rows {
                let segment = rng.random_range(0..self.segments);
                batch.classes[column.segment * rows + r] = segment as i32;
                let bucket = rng.random_range(0..self.buckets);
                batch.classes[column.buckets[segment] * rows + r] = bucket as i32;
                batch.targets[column.bias * rows + r] = rng.random();
            }
        }
        batch
    }
}
