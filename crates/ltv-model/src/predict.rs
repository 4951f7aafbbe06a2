//! A bundle, ready to predict.

use crate::{
    bundle::{Bundle, Document},
    decode::Decoding,
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
    runner: Runner<f32>,
    decoder: Decoder,
}

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
        Ok(Self {
            id,
            decoder: Decoder::new(net.heads, &document.spec, decoding),
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
        self.decoder.decoding()
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
}
