//! A bundle, ready to predict.

use crate::{
    bundle::{Bundle, Document},
    decode::{self, Decoding, Mass},
    error::ModelError,
    odmn::{self, Head, Odmn},
    targets,
};
use ltv_core::{
    Horizons,
    encoding::{EncodedRows, Encoding},
    predictor::{Predictions, Predictor},
};
use ltv_nn::{Node, Runner, runner::Outputs, trainer::Weights};

/// A model with its scoring network.
pub struct Model {
    document: Document,
    id: String,
    decoding: Decoding,
    runner: Runner<f32>,
    heads: Vec<HeadView>,
}

/// What decoding reads of one horizon.
struct HeadView {
    head: Head,
    sizes: Vec<usize>,
}

/// Everything decoded for one row.
#[derive(Debug, Clone, Default)]
struct Row {
    values: Vec<f64>,
    quantiles: Vec<f64>,
    positive: Vec<f64>,
    projected: bool,
}

/// The quantiles that are always given.
const QUANTILES: [f64; 3] = [0.1, 0.5, 0.9];

impl Model {
    /// Builds the scoring network, without the ordinal towers that decoding does not need.
    ///
    /// # Errors
    /// When the bundle's weights do not fit its own network.
    pub fn new(bundle: Bundle, decoding: Decoding) -> Result<Self, ModelError> {
        let Bundle {
            document,
            weights,
            id,
        } = bundle;
        let net: Odmn<f32> = odmn::inference(&document.spec);
        let source = odmn::training::<f32>(&document.spec).graph.layout().clone();
        let layout = net.graph.layout();
        let mut scoring = Weights {
            dense: vec![0.0; layout.dense],
            tables: vec![0.0; layout.table],
        };
        for param in &layout.params {
            if let Some(from) = source.find(&param.name) {
                scoring.of_mut(param).copy_from_slice(weights.of(from));
            }
        }
        let sizes = document
            .spec
            .horizons
            .iter()
            .map(|h| h.segments.iter().map(|s| s.buckets.len()).collect());
        let heads = net
            .heads
            .into_iter()
            .zip(sizes)
            .map(|(head, sizes)| HeadView { head, sizes });
        Ok(Self {
            id,
            decoding,
            heads: heads.collect(),
            runner: Runner::new(net.graph, scoring),
            document,
        })
    }

    /// Everything about the model but its weights.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// How its values are decoded.
    pub fn decoding(&self) -> Decoding {
        self.decoding
    }

    fn decode(&self, outputs: &Outputs<'_, f32>, rows: &mut [Row]) {
        let mut masses = vec![];
        for (r, row) in rows.iter_mut().enumerate() {
            let horizons = self.heads.len();
            row.quantiles = vec![0.0; horizons * QUANTILES.len()];
            for (t, view) in self.heads.iter().enumerate() {
                view.read(outputs, r, &mut masses);
                row.values
                    .push(view.value(self.decoding, outputs, r, &masses));
                for (q, p) in QUANTILES.iter().enumerate() {
                    row.quantiles[t * QUANTILES.len() + q] = decode::quantile(&masses, *p);
                }
                row.positive.push(decode::positive(&masses));
            }
            if self.document.spec.model.monotone {
                row.order();
            }
        }
    }
}

impl Row {
    /// Order across horizons, guaranteed: values, each quantile, and P(value > 0).
    fn order(&mut self) {
        self.projected = decode::project(&mut self.values);
        decode::project(&mut self.positive);
        let n = QUANTILES.len();
        for q in 0..n {
            let mut path: Vec<f64> = self.quantiles.iter().skip(q).step_by(n).copied().collect();
            if decode::project(&mut path) {
                path.iter()
                    .enumerate()
                    .for_each(|(t, v)| self.quantiles[t * n + q] = *v);
            }
        }
    }
}

impl HeadView {
    fn read(&self, outputs: &Outputs<'_, f32>, r: usize, masses: &mut Vec<Mass>) {
        masses.clear();
        for (u, &(left, width, bias)) in self.head.buckets.iter().enumerate() {
            let at = |node: Node, j: usize| f64::from(outputs.feature(node, j)[r]);
            let probability = at(self.head.distribution, u);
            let bias = bias.map_or(0.0, |s| at(s, 0));
            masses.push(Mass {
                left,
                width,
                probability,
                bias,
            });
        }
    }

    fn value(
        &self,
        decoding: Decoding,
        outputs: &Outputs<'_, f32>,
        r: usize,
        masses: &[Mass],
    ) -> f64 {
        match decoding {
            Decoding::Expectation => decode::expectation(masses),
            Decoding::Quantile(p) => decode::quantile(masses, p),
            Decoding::Argmax => {
                let node = self.head.segments;
                let share = |s: usize| f64::from(outputs.feature(node, s)[r]);
                let segments: Vec<f64> = (0..node.width()).map(share).collect();
                decode::argmax(&segments, &self.sizes, masses)
            }
        }
    }
}

impl Predictor for Model {
    fn model_id(&self) -> &str {
        &self.id
    }

    fn horizons(&self) -> &Horizons {
        &self.document.horizons
    }

    fn encoding(&self) -> &Encoding {
        &self.document.encoding
    }

    fn predict(&self, rows: &EncodedRows) -> Predictions {
        let batch = targets::inputs(&self.document.spec, self.runner.graph().shape(), rows);
        let mut out = vec![Row::default(); rows.rows];
        self.runner.run(&batch, &mut out, 1, |outputs, rows| {
            self.decode(outputs, rows)
        });
        let mut predictions = Predictions {
            rows: rows.rows,
            ..Predictions::default()
        };
        for row in out {
            predictions.values.extend(row.values);
            predictions.quantiles.extend(row.quantiles);
            predictions.positive.extend(row.positive);
            predictions.projected.push(row.projected);
        }
        predictions
    }
}
