//! Operations on the tokens of a sequence, which a node holds one after the other.

use super::{Nodes, rectified};
use crate::{
    OnnxError,
    graph::{Graph, Value},
    proto::AttributeProto,
};
use ltv_nn::formula::Formula;

/// The operator of a formula about tokens, with an output of so many features.
pub(super) fn one(
    g: &mut Graph,
    nodes: &mut Nodes,
    formula: &Formula<'_, f32>,
    width: usize,
) -> Result<Value, OnnxError> {
    let value = match formula {
        Formula::Convolve {
            x,
            weights,
            biases,
            tokens,
            relu,
        } => {
            let channels = x.width() / tokens;
            let x = nodes.read(g, *x)?;
            convolve(g, x, (weights, biases), (*tokens, channels), *relu)
        }
        Formula::Shrink { x, thresholds } => {
            let x = nodes.read(g, *x)?;
            shrink(g, x, thresholds)
        }
        Formula::Attention { x, tokens, heads } => {
            let dim = width / (tokens * heads);
            let x = nodes.read(g, *x)?;
            attention(g, x, *tokens, *heads, dim)
        }
        Formula::LayerNorm {
            x,
            tokens,
            gain,
            offset,
            floor,
        } => {
            let x = nodes.read(g, *x)?;
            layer_norm(g, x, *tokens, (gain, offset), *floor)
        }
        Formula::Haar { x, tokens } => {
            let channels = x.width() / tokens;
            let x = nodes.read(g, *x)?;
            haar(g, x, *tokens, channels)
        }
        _ => return Err(OnnxError::internal("an operation without an operator")),
    };
    Ok(value)
}

/// A convolution over tokens, zeros before the first and after the last.
fn convolve(
    g: &mut Graph,
    x: Value,
    (w, b): (&[f32], &[f32]),
    (tokens, channels): (usize, usize),
    relu: bool,
) -> Value {
    let outputs = b.len();
    let kernel = w.len() / (outputs * channels);
    // Ours are `[outputs, kernel, channels]`, theirs `[outputs, channels, kernel]`.
    let mut turned = vec![0.0; w.len()];
    for o in 0..outputs {
        for c in 0..channels {
            for k in 0..kernel {
                turned[(o * channels + c) * kernel + k] = w[(o * kernel + k) * channels + c];
            }
        }
    }
    let w = g.floats(&[outputs, channels, kernel], &turned);
    let b = g.floats(&[outputs], b);
    let x = g.reshape(x, &[tokens, channels]);
    let x = g.transpose(x, &[0, 2, 1]);
    let reach = (kernel / 2) as i64;
    let pads = vec![AttributeProto::ints("pads", vec![reach, reach])];
    let y = g.op_with("Conv", &[x, w, b], pads);
    let y = rectified(g, y, relu);
    let y = g.transpose(y, &[0, 2, 1]);
    g.reshape(y, &[tokens * outputs])
}

/// Every token to every token, in so many heads of `dim` channels.
fn attention(g: &mut Graph, x: Value, tokens: usize, heads: usize, dim: usize) -> Value {
    let x = g.reshape(x, &[tokens, 3, heads, dim]);
    let part = |g: &mut Graph, i: i64, order: &[i64]| {
        let which = g.int(i);
        let part = g.gather(x, which, 2);
        g.transpose(part, order)
    };
    let across = [0, 2, 1, 3];
    let queries = part(g, 0, &across);
    let keys = part(g, 1, &[0, 2, 3, 1]);
    let values = part(g, 2, &across);
    let scores = g.op("MatMul", &[queries, keys]);
    let scale = g.floats(&[], &[(1.0 / (dim as f64).sqrt()) as f32]);
    let scores = g.op("Mul", &[scores, scale]);
    let p = g.op_with("Softmax", &[scores], vec![AttributeProto::int("axis", -1)]);
    let y = g.op("MatMul", &[p, values]);
    let y = g.transpose(y, &across);
    g.reshape(y, &[tokens * heads * dim])
}

/// Every token normalised by itself.
fn layer_norm(
    g: &mut Graph,
    x: Value,
    tokens: usize,
    (gain, offset): (&[f32], &[f32]),
    floor: f64,
) -> Value {
    let channels = gain.len();
    let x = g.reshape(x, &[tokens, channels]);
    let (gain, offset) = (g.floats(&[channels], gain), g.floats(&[channels], offset));
    let attributes = vec![
        AttributeProto::int("axis", -1),
        AttributeProto::float("epsilon", floor as f32),
    ];
    let y = g.op_with("LayerNormalization", &[x, gain, offset], attributes);
    g.reshape(y, &[tokens * channels])
}

/// The Haar transform over tokens, as the matrix that it is.
fn haar(g: &mut Graph, x: Value, tokens: usize, channels: usize) -> Value {
    let padded = tokens.next_power_of_two();
    let mut matrix = vec![0.0; padded * tokens];
    for token in 0..tokens {
        for (row, value) in coefficients(token, padded).into_iter().enumerate() {
            matrix[row * tokens + token] = value as f32;
        }
    }
    let matrix = g.floats(&[padded, tokens], &matrix);
    let x = g.reshape(x, &[tokens, channels]);
    let y = g.op("MatMul", &[matrix, x]);
    g.reshape(y, &[padded * channels])
}

/// The transform of a one at a token and zeros elsewhere: the mean's coefficient, then differences from
/// the coarsest level, of one, to the finest, of half as many as there are tokens.
fn coefficients(token: usize, padded: usize) -> Vec<f64> {
    let mut out = vec![0.0; padded];
    let levels = padded.ilog2();
    out[0] = 0.5f64.powf(f64::from(levels) / 2.0);
    // Level `l` halves blocks of `2^l` tokens; there are `padded / 2^l` of them.
    for level in 1..=levels {
        let (block, blocks) = (token >> level, padded >> level);
        let second = token >> (level - 1) & 1 == 1;
        let size = 0.5f64.powf(f64::from(level) / 2.0);
        out[blocks + block] = if second { -size } else { size };
    }
    out
}

/// Soft thresholds: the difference of two ReLUs.
fn shrink(g: &mut Graph, x: Value, thresholds: &[f32]) -> Value {
    let h = g.floats(&[1, thresholds.len()], thresholds);
    let above = g.op("Sub", &[x, h]);
    let above = g.op("Relu", &[above]);
    let minus = g.op("Neg", &[x]);
    let below = g.op("Sub", &[minus, h]);
    let below = g.op("Relu", &[below]);
    g.op("Sub", &[above, below])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four tokens, by hand: sums and differences over the square root of two, twice.
    #[test]
    fn haar_of_four_tokens() {
        let s = 0.5f64.sqrt();
        let expected = [
            [0.5, 0.5, s, 0.0],
            [0.5, 0.5, -s, 0.0],
            [0.5, -0.5, 0.0, s],
            [0.5, -0.5, 0.0, -s],
        ];
        for (token, expected) in expected.iter().enumerate() {
            for (found, expected) in coefficients(token, 4).iter().zip(expected) {
                assert!((found - expected).abs() < 1e-15, "{token}: {found}");
            }
        }
        assert_eq!(coefficients(0, 1), [1.0]);
    }
}
