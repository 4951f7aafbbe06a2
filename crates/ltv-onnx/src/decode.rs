//! From the outputs of the network to values, quantiles and P(value > 0), in order across horizons:
//! `ltv_model::decoder` in operators, in double precision as there.

mod buckets;
mod log_normals;
mod maps;
mod normal;
mod order;

use crate::{
    OnnxError,
    graph::{Graph, Value},
    network::Nodes,
    proto::Element,
};
use ltv_core::Horizons;
use ltv_model::{
    Decoding,
    decoder::{Decoder, QUANTILES},
    heads::Head,
};
use ltv_nn::Node;

/// What is said of one horizon; each of double precision.
struct Horizon {
    /// Of the decoding, before maps, `[rows, 1]`.
    value: Value,
    /// `[rows, 3]`; none where a quantile cannot be said in operators.
    quantiles: Option<Value>,
    /// `[rows, 1]`.
    positive: Value,
}

/// The outputs of a graph, by name and in the order of a snapshot's columns.
pub(crate) struct Output {
    pub(crate) name: String,
    pub(crate) about: &'static str,
    pub(crate) value: Value,
}

/// Suffixes of the quantiles' names, and what they are.
const NAMES: [(&str, &str); 3] = [
    ("p10", "10 % of the distribution are below"),
    ("p50", "half of the distribution is below"),
    ("p90", "90 % of the distribution are below"),
];

/// Decodes all horizons.
pub(crate) fn build(
    g: &mut Graph,
    nodes: &mut Nodes,
    decoder: &Decoder,
    horizons: &Horizons,
) -> Result<Vec<Output>, OnnxError> {
    let heads = decoder.heads().iter();
    let all: Result<Vec<_>, _> = heads
        .map(|head| horizon(g, nodes, head, decoder.decoding()))
        .collect();
    let all = all?;
    let order = decoder.order().filter(|_| all.len() > 1);
    let project = |g: &mut Graph, x: Value| match order {
        Some(weights) => order::project(g, x, weights),
        None => x,
    };
    let side_by_side = |g: &mut Graph, columns: Vec<Value>| {
        let x = g.concat(&columns);
        project(g, x)
    };
    let mut values = side_by_side(g, all.iter().map(|h| h.value).collect());
    if !decoder.maps().is_empty() {
        let mapped = maps::apply(g, values, decoder.maps())?;
        values = project(g, mapped);
    }
    let positive = side_by_side(g, all.iter().map(|h| h.positive).collect());
    let quantiles: Option<Vec<Value>> = all.iter().map(|h| h.quantiles).collect();
    let mut paths = vec![];
    for (q, (suffix, about)) in NAMES.into_iter().enumerate() {
        if let Some(all) = &quantiles {
            let columns = all.iter().map(|&x| g.slice(x, q..q + 1)).collect();
            paths.push((suffix, about, side_by_side(g, columns)));
        }
    }
    let mut outputs = vec![];
    for (t, name) in horizons.columns().into_iter().enumerate() {
        let mut add = |name: String, about, matrix| {
            let value = g.slice(matrix, t..t + 1);
            outputs.push(Output { name, about, value });
        };
        add(name.clone(), "predicted value", values);
        for &(suffix, about, path) in &paths {
            add(format!("{name}_{suffix}"), about, path);
        }
        add(format!("{name}_positive"), "P(value > 0)", positive);
    }
    Ok(outputs)
}

fn horizon(
    g: &mut Graph,
    nodes: &mut Nodes,
    head: &Head,
    decoding: Decoding,
) -> Result<Horizon, OnnxError> {
    match head {
        Head::Buckets(head) => buckets::decode(g, nodes, head, decoding),
        Head::LogNormals(head) => log_normals::decode(g, nodes, head, decoding),
    }
}

/// The levels at which quantiles are wanted: those that are always given, and the decoding's own.
fn levels(decoding: Decoding) -> Vec<f64> {
    let own = match decoding {
        Decoding::Quantile(p) => Some(p),
        _ => None,
    };
    QUANTILES.into_iter().chain(own).collect()
}

/// Quantiles of [`levels`] taken apart: those that are always given, and the decoding's own.
fn apart(g: &mut Graph, quantiles: Value, decoding: Decoding) -> (Value, Option<Value>) {
    let always = QUANTILES.len();
    if levels(decoding).len() == always {
        return (quantiles, None);
    }
    let own = g.slice(quantiles, always..always + 1);
    (g.slice(quantiles, 0..always), Some(own))
}

/// A node of the network in double precision.
fn read(g: &mut Graph, nodes: &mut Nodes, node: Node) -> Result<Value, OnnxError> {
    let x = nodes.read(g, node)?;
    Ok(g.cast(x, Element::Double))
}
