//! From the nodes of a tile to decoded rows: values, quantiles and P(value > 0), in order across
//! horizons.

mod buckets;
mod log_normals;

use crate::{
    buckets::Buckets,
    decode::{self, Decoding, Distribution},
    heads::Head,
    matching::{Curve, Matching},
    recalibration::Recalibration,
    spec::Spec,
};
use ltv_core::predictor::Predictions;
use ltv_nn::runner::Outputs;

/// The quantiles that are always given.
pub const QUANTILES: [f64; 3] = [0.1, 0.5, 0.9];

/// Decodes the distributions of every horizon.
///
/// A row is flat: values `[horizons]`, quantiles `[horizons, 3]`, P(value > 0) `[horizons]`, and 1
/// where the order projection had to touch the values, else 0.
pub struct Decoder {
    heads: Vec<Head>,
    decoding: Decoding,
    /// What follows the expectation, for each horizon; empty where nothing does.
    maps: Vec<Map>,
    /// One weight for each horizon; `None` leaves horizons free of order.
    order: Option<Vec<f64>>,
}

impl Decoder {
    /// For the heads of a network and what it was built from. It has no maps, so that values of
    /// `expectation` are the distributions' own, and those of `matched` too.
    pub fn new(heads: Vec<Head>, spec: &Spec, decoding: Decoding) -> Self {
        Self {
            heads,
            decoding,
            maps: vec![],
            order: spec.model.monotone.then(|| spec.order_weights()),
        }
    }

    /// The same, with values that follow the curves.
    pub(crate) fn matched(self, matching: &Matching) -> Self {
        Self {
            decoding: Decoding::Matched,
            maps: matching.curves.iter().cloned().map(Map::Matched).collect(),
            ..self
        }
    }

    /// The same, with expectations that are recalibrated.
    pub(crate) fn recalibrated(self, by: &[Recalibration], spec: &Spec) -> Self {
        let map = |(by, buckets): (&Recalibration, &Buckets)| {
            Map::Recalibrated(*by, buckets.largest_label())
        };
        Self {
            decoding: Decoding::Expectation,
            maps: by.iter().zip(&spec.horizons).map(map).collect(),
            ..self
        }
    }

    /// The outputs that it decodes, one for each horizon.
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// What follows the expectation, for each horizon; empty where nothing does.
    pub fn maps(&self) -> &[Map] {
        &self.maps
    }

    /// Weights of the order projection, one for each horizon; none where horizons are free of order.
    pub fn order(&self) -> Option<&[f64]> {
        self.order.as_deref()
    }

    /// Makes values of the expectations of a row.
    fn map(&self, values: &mut [f64]) {
        for (value, map) in values.iter_mut().zip(&self.maps) {
            *value = map.at(*value);
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
        for (t, head) in self.heads.iter().enumerate() {
            let mut view = view(head, outputs);
            for (r, row) in rows.chunks_exact_mut(horizons).enumerate() {
                row[t] = view.row(r).value(self.decoding);
            }
        }
        rows.chunks_exact_mut(horizons)
            .for_each(|row| self.map(row));
    }

    /// Decodes everything about a tile into `rows`, `[rows, width]`.
    pub fn everything(&self, outputs: &Outputs<'_, f32>, rows: &mut [f64]) {
        let horizons = self.heads.len();
        for (t, head) in self.heads.iter().enumerate() {
            let mut view = view(head, outputs);
            for (r, row) in rows.chunks_exact_mut(self.width()).enumerate() {
                let distribution = view.row(r);
                row[t] = distribution.value(self.decoding);
                for (q, p) in QUANTILES.iter().enumerate() {
                    row[horizons + t * QUANTILES.len() + q] = distribution.quantile(*p);
                }
                row[horizons * (1 + QUANTILES.len()) + t] = distribution.positive();
            }
        }
        for row in rows.chunks_exact_mut(self.width()) {
            if let Some(weights) = &self.order {
                order(row, weights);
            }
            if !self.maps.is_empty() {
                let values = &mut row[..horizons];
                self.map(values);
                // Maps of two horizons may cross where the model's own values do not.
                if let Some(weights) = &self.order {
                    decode::project(values, weights);
                }
            }
        }
    }

    /// Where the labels of a tile's rows, `[rows, horizons]`, lie in the distributions:
    /// `P(value < label)` and `P(value <= label)`, `[rows, horizons, 2]`, without projection.
    pub fn locate(&self, outputs: &Outputs<'_, f32>, labels: &[f64]) -> Vec<f64> {
        let horizons = self.heads.len();
        let mut shares = vec![f64::NAN; outputs.rows * horizons * 2];
        for (t, head) in self.heads.iter().enumerate() {
            let mut view = view(head, outputs);
            for r in 0..outputs.rows {
                let cell = r * horizons + t;
                let found = view.row(r).reach(labels[cell]);
                shares[2 * cell..2 * cell + 2].copy_from_slice(&found);
            }
        }
        shares
    }

    /// Shows the distribution of every row and horizon of a tile, with their numbers.
    pub(crate) fn each(
        &self,
        outputs: &Outputs<'_, f32>,
        mut see: impl FnMut(usize, usize, &dyn Distribution),
    ) {
        for (t, head) in self.heads.iter().enumerate() {
            let mut view = view(head, outputs);
            (0..outputs.rows).for_each(|r| see(r, t, view.row(r)));
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

/// What follows an expectation.
#[derive(Debug, Clone, PartialEq)]
pub enum Map {
    /// A curve.
    Matched(Curve),
    /// With the largest label.
    Recalibrated(Recalibration, f64),
}

impl Map {
    fn at(&self, x: f64) -> f64 {
        match self {
            Self::Matched(curve) => curve.at(x),
            Self::Recalibrated(by, largest) => by.at(x, *largest),
        }
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

/// The outputs of one horizon in one tile.
trait View {
    /// The distribution of a row of the tile.
    fn row(&mut self, r: usize) -> &dyn Distribution;
}

fn view<'a>(head: &'a Head, outputs: &'a Outputs<'_, f32>) -> Box<dyn View + 'a> {
    match head {
        Head::Buckets(head) => Box::new(buckets::BucketView::new(head, outputs)),
        Head::LogNormals(head) => Box::new(log_normals::LogNormalView::new(head, outputs)),
    }
}
