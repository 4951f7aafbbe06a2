//! From the nodes of a tile to decoded rows: values, quantiles and P(value > 0), in order across
//! horizons.

use crate::{
    decode::{self, Decoding, Mass},
    odmn::Head,
    spec::Spec,
};
use ltv_core::predictor::Predictions;
use ltv_nn::runner::Outputs;

/// The quantiles that are always given.
const QUANTILES: [f64; 3] = [0.1, 0.5, 0.9];

/// Decodes the bucket distributions of every horizon.
///
/// A row is flat: values `[horizons]`, quantiles `[horizons, 3]`, P(value > 0) `[horizons]`, and 1
/// where the order projection had to touch the values, else 0.
pub struct Decoder {
    heads: Vec<Head>,
    /// Buckets of each sub-distribution, by horizon.
    sizes: Vec<Vec<usize>>,
    decoding: Decoding,
    /// One weight for each horizon; `None` leaves horizons free of order.
    order: Option<Vec<f64>>,
}

impl Decoder {
    /// For the heads of a network and what it was built from.
    pub fn new(heads: Vec<Head>, spec: &Spec, decoding: Decoding) -> Self {
        let sizes = spec
            .horizons
            .iter()
            .map(|h| h.segments.iter().map(|s| s.buckets.len()).collect());
        Self {
            heads,
            sizes: sizes.collect(),
            decoding,
            order: spec.model.monotone.then(|| spec.order_weights()),
        }
    }

    /// How values are decoded.
    pub fn decoding(&self) -> Decoding {
        self.decoding
    }

    /// Numbers of a decoded row.
    pub fn width(&self) -> usize {
        self.heads.len() * (2 + QUANTILES.len()) + 1
    }

    /// Decodes only the values of a tile into `rows`, `[rows, horizons]`, without projection.
    pub fn values(&self, outputs: &Outputs<'_, f32>, rows: &mut [f64]) {
        let horizons = self.heads.len();
        let mut masses = vec![];
        for (t, head) in self.heads.iter().enumerate() {
            let view = View::new(head, outputs);
            for (r, row) in rows.chunks_exact_mut(horizons).enumerate() {
                view.read(r, &mut masses);
                row[t] = view.value(self.decoding, &self.sizes[t], r, &masses);
            }
        }
    }

    /// Decodes everything about a tile into `rows`, `[rows, width]`.
    pub fn everything(&self, outputs: &Outputs<'_, f32>, rows: &mut [f64]) {
        let horizons = self.heads.len();
        let mut masses = vec![];
        for (t, head) in self.heads.iter().enumerate() {
            let view = View::new(head, outputs);
            for (r, row) in rows.chunks_exact_mut(self.width()).enumerate() {
                view.read(r, &mut masses);
                row[t] = view.value(self.decoding, &self.sizes[t], r, &masses);
                for (q, p) in QUANTILES.iter().enumerate() {
                    row[horizons + t * QUANTILES.len() + q] = decode::quantile(&masses, *p);
                }
                row[horizons * (1 + QUANTILES.len()) + t] = decode::positive(&masses);
            }
        }
        if let Some(weights) = &self.order {
            for row in rows.chunks_exact_mut(self.width()) {
                order(row, weights);
            }
        }
    }

    /// Takes decoded rows apart.
    pub fn predictions(&self, rows: &[f64]) -> Predictions {
        let horizons = self.heads.len();
        let mut out = Predictions {
            rows: rows.len() / self.width(),
            ..Predictions::default()
        };
        for row in rows.chunks_exact(self.width()) {
            let (values, rest) = row.split_at(horizons);
            let (quantiles, rest) = rest.split_at(horizons * QUANTILES.len());
            out.values.extend_from_slice(values);
            out.quantiles.extend_from_slice(quantiles);
            out.positive.extend_from_slice(&rest[..horizons]);
            out.projected.push(rest[horizons] != 0.0);
        }
        out
    }
}

/// Order across horizons, guaranteed: values, each quantile, and P(value > 0).
fn order(row: &mut [f64], weights: &[f64]) {
    let horizons = weights.len();
    let (values, rest) = row.split_at_mut(horizons);
    let (quantiles, rest) = rest.split_at_mut(horizons * QUANTILES.len());
    let (positive, projected) = rest.split_at_mut(horizons);
    projected[0] = f64::from(u8::from(decode::project(values, weights)));
    decode::project(positive, weights);
    let mut path = vec![0.0; horizons];
    for q in 0..QUANTILES.len() {
        let at = |t: usize| t * QUANTILES.len() + q;
        (0..horizons).for_each(|t| path[t] = quantiles[at(t)]);
        if decode::project(&mut path, weights) {
            (0..horizons).for_each(|t| quantiles[at(t)] = path[t]);
        }
    }
}

/// The features of one horizon in one tile.
struct View<'a> {
    segments: Vec<&'a [f32]>,
    buckets: Vec<BucketView<'a>>,
}

/// One bucket: its edges, and the tile's rows of its probability and bias.
struct BucketView<'a> {
    left: f64,
    width: f64,
    probability: &'a [f32],
    bias: Option<&'a [f32]>,
}

impl<'a> View<'a> {
    fn new(head: &Head, outputs: &'a Outputs<'_, f32>) -> Self {
        let bucket =
            |(u, &(left, width, bias)): (usize, &(f64, f64, Option<ltv_nn::Node>))| BucketView {
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
        }
    }

    fn read(&self, r: usize, masses: &mut Vec<Mass>) {
        masses.clear();
        masses.extend(self.buckets.iter().map(|b| Mass {
            left: b.left,
            width: b.width,
            probability: f64::from(b.probability[r]),
            bias: b.bias.map_or(0.0, |bias| f64::from(bias[r])),
        }));
    }

    fn value(&self, decoding: Decoding, sizes: &[usize], r: usize, masses: &[Mass]) -> f64 {
        match decoding {
            Decoding::Expectation => decode::expectation(masses),
            Decoding::Quantile(p) => decode::quantile(masses, p),
            Decoding::Argmax => {
                let segments: Vec<f64> = self.segments.iter().map(|s| f64::from(s[r])).collect();
                decode::argmax(&segments, sizes, masses)
            }
        }
    }
}
