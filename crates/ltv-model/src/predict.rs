//! A bundle, ready to predict.

use crate::{
    bundle::{Bundle, Document},
    decode::{self, Decoding, Distribution},
    decoder::Decoder,
    error::ModelError,
    odmn::{self, Odmn},
    targets,
};
use ltv_core::{
    Horizons,
    encoding::{EncodedRows, Encoding},
    predictor::{Predictions, Predictor},
};
use ltv_nn::{Runner, trainer::Weights};

/// A model with its scoring network.
pub struct Model {
    document: Document,
    id: String,
    blake3: String,
    runner: Runner<f32>,
    decoder: Decoder,
}

impl Model {
    /// Builds the scoring network, without the ordinal towers that decoding does not need.
    ///
    /// # Errors
    /// When values are to be matched and the bundle has no curves for it.
    pub fn new(bundle: Bundle, decoding: Decoding) -> Result<Self, ModelError> {
        let Bundle {
            document,
            weights,
            id,
            blake3,
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
        let mut decoder = Decoder::new(net.heads, &document.spec, decoding);
        match (decoding, &document.matching, &document.recalibration) {
            (Decoding::Matched, None, _) => return Err(ModelError::NoMatching),
            (Decoding::Matched, Some(matching), _) => decoder = decoder.matched(matching),
            (Decoding::Expectation, _, Some(maps)) => {
                decoder = decoder.recalibrated(maps, &document.spec);
            }
            _ => {}
        }
        Ok(Self {
            id,
            blake3,
            decoder,
            runner: Runner::new(net.graph, scoring),
            document,
        })
    }

    /// Everything about the model but its weights.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// BLAKE3 checksum of the bundle's content, in hexadecimal.
    pub fn blake3(&self) -> &str {
        &self.blake3
    }

    /// Its scoring network, with its weights.
    pub fn network(&self) -> &Runner<f32> {
        &self.runner
    }

    /// What makes values of the network's outputs.
    pub fn decoder(&self) -> &Decoder {
        &self.decoder
    }

    /// How its values are decoded.
    pub fn decoding(&self) -> Decoding {
        self.decoder.decoding()
    }

    /// Quantiles of the predicted distributions at `levels`, each in `(0, 1)`: `[rows, horizons, levels]`, in
    /// order across horizons where the model guarantees that, as those of [`Predictor::predict`].
    pub fn quantiles(&self, rows: &EncodedRows, levels: &[f64]) -> Vec<f64> {
        let mut all = self.read(rows, levels, |distribution, p| distribution.quantile(p));
        self.put_in_order(&mut all, levels.len());
        all
    }

    /// `P(value <= x)` of the predicted distributions for each `x` of `at`: `[rows, horizons, at]`. Where the model
    /// guarantees order, the chance of more than `x` does not fall from a horizon to the next: each `x` is
    /// projected by itself, which keeps chances in order of `x` too.
    pub fn shares(&self, rows: &EncodedRows, at: &[f64]) -> Vec<f64> {
        let mut all = self.read(rows, at, |distribution, x| 1.0 - distribution.reach(x)[1]);
        self.put_in_order(&mut all, at.len());
        all.iter_mut().for_each(|share| *share = 1.0 - *share);
        all
    }

    /// Projects `[rows, horizons, points]` across horizons, where the model guarantees order.
    fn put_in_order(&self, all: &mut [f64], points: usize) {
        let horizons = self.document.horizons.len();
        let Some(weights) = self.decoder.order() else {
            return;
        };
        let mut path = vec![0.0; horizons];
        for row in all.chunks_exact_mut((horizons * points).max(1)) {
            for p in 0..points {
                (0..horizons).for_each(|t| path[t] = row[t * points + p]);
                if decode::project(&mut path, weights) {
                    (0..horizons).for_each(|t| row[t * points + p] = path[t]);
                }
            }
        }
    }

    /// What `read` says of every distribution at each of `points`, `[rows, horizons, points]`.
    fn read(
        &self,
        rows: &EncodedRows,
        points: &[f64],
        read: impl Fn(&dyn Distribution, f64) -> f64 + Sync,
    ) -> Vec<f64> {
        let batch = targets::inputs(&self.document.spec, self.runner.graph().shape(), rows);
        let (horizons, each) = (self.document.horizons.len(), points.len());
        let width = horizons * each;
        let mut out = vec![0.0; rows.rows * width];
        self.runner.run(&batch, &mut out, width, |outputs, out| {
            self.decoder.each(outputs, |r, t, distribution| {
                let slots = &mut out[(r * horizons + t) * each..][..each];
                for (slot, &point) in slots.iter_mut().zip(points) {
                    *slot = read(distribution, point);
                }
            });
        });
        out
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
        let width = self.decoder.width();
        let mut out = vec![0.0; rows.rows * width];
        self.runner.run(&batch, &mut out, width, |outputs, rows| {
            self.decoder.everything(outputs, rows)
        });
        self.decoder.predictions(&out)
    }

    fn locate(&self, rows: &EncodedRows, labels: &[f64]) -> (Predictions, Vec<f64>) {
        let batch = targets::inputs(&self.document.spec, self.runner.graph().shape(), rows);
        let (width, horizons) = (self.decoder.width(), self.document.horizons.len());
        let per_row = width + 2 * horizons;
        let mut out = vec![0.0; rows.rows * per_row];
        self.runner.run(&batch, &mut out, per_row, |outputs, out| {
            let mut decoded = vec![0.0; outputs.rows * width];
            self.decoder.everything(outputs, &mut decoded);
            let labels = &labels[outputs.base * horizons..][..outputs.rows * horizons];
            let located = self.decoder.locate(outputs, labels);
            let parts = decoded.chunks(width).zip(located.chunks(2 * horizons));
            for (out, (decoded, located)) in out.chunks_exact_mut(per_row).zip(parts) {
                out[..width].copy_from_slice(decoded);
                out[width..].copy_from_slice(located);
            }
        });
        let (decoded, located): (Vec<&[f64]>, Vec<&[f64]>) = out
            .chunks_exact(per_row)
            .map(|row| row.split_at(width))
            .unzip();
        (
            self.decoder.predictions(&decoded.concat()),
            located.concat(),
        )
    }
}
