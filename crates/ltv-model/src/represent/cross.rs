//! Features crossed with features, beside the backbone.

use super::Inputs;
use crate::spec::Spec;
use ltv_core::config::Cross;
use ltv_nn::{Node, Real, graph::Builder};

/// What the towers of every horizon read beside the backbone's output; nothing by default.
pub(super) fn build<T: Real>(b: &mut Builder<T>, spec: &Spec, inputs: Inputs) -> Option<Node> {
    match spec.model.cross {
        Cross::None => None,
        Cross::DeepFm => Some(deepfm(b, spec, inputs)),
        Cross::Dcn => Some(dcn(b, spec, inputs.read)),
    }
}

/// First and second order of a factorisation machine (Guo et al., IJCAI 2017, eq. 2).
///
/// There they are two numbers, added to the deep part's in one logit. Here no single logit waits
/// for them: each horizon has towers of tens of outputs. So both stay vectors of an embedding's
/// dimensions, the first order a linear map of the inputs, the second the sum over all pairs of
/// fields taken dimension by dimension, and every tower weighs them beside the deep part. A tower
/// without hidden layer and with equal weights would be the paper's sum.
fn deepfm<T: Real>(b: &mut Builder<T>, spec: &Spec, inputs: Inputs) -> Node {
    let dim = spec.model.embedding;
    let layer = b.dense(&[("fm.first", dim)], inputs.read.width());
    let first = b.linear(inputs.read, layer, false);
    let embedded: Vec<usize> = (0..spec.fields.len() * dim).collect();
    let fields = b.columns(inputs.raw, &embedded);
    let second = b.interact(fields, dim);
    b.concat(&[first, second])
}

/// `x_{l+1} = x_0 * (W_l x_l + b_l) + x_l` (Wang et al., WWW 2021, eq. 1), beside the deep part
/// (their parallel structure). With a rank, `W = U V` (their eq. 2), each factor with a bias.
fn dcn<T: Real>(b: &mut Builder<T>, spec: &Spec, read: Node) -> Node {
    let width = read.width();
    let all: Vec<usize> = (0..width).collect();
    let first = match read.is_row_major() {
        true => b.columns(read, &all),
        false => read,
    };
    let rank = spec.model.cross_rank;
    (1..=spec.model.cross_layers).fold(first, |x, l| {
        let mut inner = x;
        if rank > 0 {
            let layer = b.dense(&[(&format!("cross{l}.down"), rank)], width);
            inner = b.linear(inner, layer, false);
        }
        let name = if rank > 0 { "up" } else { "full" };
        let layer = b.dense(&[(&format!("cross{l}.{name}"), width)], inner.width());
        let mapped = b.linear(inner, layer, false);
        let product = b.multiply(first, mapped);
        b.add(product, x)
    })
}
