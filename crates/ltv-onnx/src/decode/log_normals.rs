//! Zero-inflated log-normals.

use super::{Horizon, apart, levels, normal, read};
use crate::{
    OnnxError,
    graph::{Graph, Value},
    network::Nodes,
};
use ltv_model::{Decoding, decode::LEAST_LOGARITHM, heads::LogNormalHead};
use ltv_nn::ops::LEAST_SQUARED_SCALE;

/// All rows' distributions.
struct LogNormals {
    /// P(value > 0), `[rows, 1]`.
    positive: Value,
    /// Each `[rows, components]`.
    shares: Option<Value>,
    locations: Value,
    scales: Value,
    /// The largest value.
    cap: f64,
}

/// Decodes a horizon. A mixture's quantiles are left out: they are found by a search that operators do
/// not have the functions for.
pub(super) fn decode(
    g: &mut Graph,
    nodes: &mut Nodes,
    head: &LogNormalHead,
    decoding: Decoding,
) -> Result<Horizon, OnnxError> {
    let x = LogNormals::new(g, nodes, head)?;
    if x.shares.is_some() {
        return x.mixture(g, decoding);
    }
    let quantiles = x.quantiles(g, &levels(decoding));
    let (quantiles, own) = apart(g, quantiles, decoding);
    let value = match own {
        Some(own) => own,
        None => x.value(g, decoding),
    };
    Ok(Horizon {
        value,
        quantiles: Some(quantiles),
        positive: x.positive,
    })
}

impl LogNormals {
    fn new(g: &mut Graph, nodes: &mut Nodes, head: &LogNormalHead) -> Result<Self, OnnxError> {
        let outputs = &head.outputs;
        let odds = read(g, nodes, outputs.positive)?;
        let shares = match outputs.shares {
            Some(shares) => {
                let shares = read(g, nodes, shares.probabilities)?;
                let total = g.sum(shares, 1, true);
                Some(g.op("Div", &[shares, total]))
            }
            None => None,
        };
        let raw = read(g, nodes, outputs.scales)?;
        let scales = softplus(g, raw);
        let least = g.double(LEAST_SQUARED_SCALE.sqrt());
        Ok(Self {
            positive: g.op("Sigmoid", &[odds]),
            shares,
            locations: read(g, nodes, outputs.locations)?,
            scales: g.op("Max", &[scales, least]),
            cap: head.cap,
        })
    }

    fn mixture(&self, g: &mut Graph, decoding: Decoding) -> Result<Horizon, OnnxError> {
        if let Decoding::Quantile(_) = decoding {
            let problem = format!(
                "'{decoding}' of a model with model.head = \"mixture\" cannot be exported: ONNX has no \
                 quantiles of a mixture; use expectation, matched or argmax, or train with \
                 model.head = \"mdme\" or \"ziln\""
            );
            return Err(OnnxError::Unsupported {
                option: "decoding",
                problem,
            });
        }
        Ok(Horizon {
            value: self.value(g, decoding),
            quantiles: None,
            positive: self.positive,
        })
    }

    fn value(&self, g: &mut Graph, decoding: Decoding) -> Value {
        let mean = self.conditional_mean(g);
        if decoding == Decoding::Argmax {
            let (half, none) = (g.double(0.5), g.double(0.0));
            let likely = g.op("Greater", &[self.positive, half]);
            return g.op("Where", &[likely, mean, none]);
        }
        g.op("Mul", &[self.positive, mean])
    }

    /// Mean of the values above zero, at most the cap.
    fn conditional_mean(&self, g: &mut Graph) -> Value {
        let square = g.op("Mul", &[self.scales, self.scales]);
        let half = g.double(0.5);
        let shift = g.op("Mul", &[half, square]);
        let exponent = g.op("Add", &[self.locations, shift]);
        let mean = g.op("Exp", &[exponent]);
        let (most, cap) = (g.double(f64::MAX), g.double(self.cap));
        let mut mean = g.op("Min", &[mean, most]);
        if let Some(shares) = self.shares {
            let parts = g.op("Mul", &[shares, mean]);
            mean = g.sum(parts, 1, true);
        }
        g.op("Min", &[mean, cap])
    }

    /// Of one log-normal, `[rows, levels]`: at each level from the side on which less lies.
    fn quantiles(&self, g: &mut Graph, levels: &[f64]) -> Value {
        let count = [1, levels.len()];
        let above: Vec<f64> = levels.iter().map(|p| 1.0 - p).collect();
        let (levels, above) = (g.doubles(&count, levels), g.doubles(&count, &above));
        let (none, half, one) = (g.double(0.0), g.double(0.5), g.double(1.0));
        let zero = g.op("Sub", &[one, self.positive]);
        let rest = g.op("Sub", &[levels, zero]);
        let below = g.op("Div", &[rest, self.positive]);
        let above = g.op("Div", &[above, self.positive]);
        let above = g.op("Min", &[above, half]);
        let is_low = g.op("Less", &[below, half]);
        let side = g.op("Where", &[is_low, below, above]);
        let normal = normal::lower_quantile(g, side);
        let other = g.op("Neg", &[normal]);
        let normal = g.op("Where", &[is_low, normal, other]);
        let shift = g.op("Mul", &[self.scales, normal]);
        let logarithm = g.op("Add", &[self.locations, shift]);
        let (least, most) = (g.double(LEAST_LOGARITHM), g.double(self.cap.ln()));
        let logarithm = g.op("Clip", &[logarithm, least, most]);
        let value = g.op("Exp", &[logarithm]);
        let cap = g.double(self.cap);
        let value = g.op("Min", &[value, cap]);
        let some = g.op("Greater", &[below, none]);
        g.op("Where", &[some, value, none])
    }
}

/// `ln(1 + e^x)`, without overflow: ONNX Runtime has its operator in single precision only.
fn softplus(g: &mut Graph, x: Value) -> Value {
    let (none, one) = (g.double(0.0), g.double(1.0));
    let (above, size) = (g.op("Max", &[x, none]), g.op("Abs", &[x]));
    let minus = g.op("Neg", &[size]);
    let power = g.op("Exp", &[minus]);
    let more = g.op("Add", &[one, power]);
    let logarithm = g.op("Log", &[more]);
    g.op("Add", &[above, logarithm])
}
