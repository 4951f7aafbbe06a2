//! The layers between inputs and towers.

use crate::spec::Spec;
use ltv_core::config::Backbone;
use ltv_nn::{Node, Real, graph::Builder};
use std::ops::Range;

/// One output for each horizon.
pub(super) fn build<T: Real>(b: &mut Builder<T>, spec: &Spec, x: Node) -> Vec<Node> {
    let horizons = spec.horizons.len();
    match spec.model.backbone {
        Backbone::SharedBottom => vec![experts(b, spec, &[String::new()], x)[0]; horizons],
        Backbone::Mmoe => mmoe(b, spec, x),
        Backbone::Ple => ple(b, spec, x),
    }
}

/// Stacks of layers `NAMEl1`, `NAMEl2`, ... of the bottom's sizes that all read `x`: `relu(...
/// relu(l1(x)))` (section 3.2). Their first layers are one product.
fn experts<T: Real>(b: &mut Builder<T>, spec: &Spec, names: &[String], x: Node) -> Vec<Node> {
    // A network that is trained has had it decided by the number of rows (`ModelConfig::for_rows`).
    let (sizes, rate) = (
        &spec.model.bottom,
        spec.model.dropout.given().unwrap_or(0.0),
    );
    let first: Vec<String> = names.iter().map(|name| format!("{name}l1")).collect();
    let parts: Vec<(&str, usize)> = first.iter().map(|n| (n.as_str(), sizes[0])).collect();
    let layer = b.dense(&parts, x.width());
    let hidden = b.linear(x, layer, true);
    let hidden = b.dropout(hidden, rate);
    let mut list = vec![];
    for (e, name) in names.iter().enumerate() {
        let mut h = hidden.slice(e * sizes[0]..(e + 1) * sizes[0]);
        for (i, &outputs) in sizes.iter().enumerate().skip(1) {
            let layer = b.dense(&[(&format!("{name}l{}", i + 1), outputs)], h.width());
            h = b.linear(h, layer, true);
            h = b.dropout(h, rate);
        }
        list.push(h);
    }
    list
}

/// Gates that all read `x`: `softmax(W x + b)` over so many choices each, in one product.
fn gates<T: Real>(b: &mut Builder<T>, parts: &[(String, usize)], x: Node) -> Vec<Node> {
    let parts: Vec<(&str, usize)> = parts.iter().map(|(n, k)| (n.as_str(), *k)).collect();
    let layer = b.dense(&parts, x.width());
    let logits = b.linear(x, layer, false);
    let mut at = 0;
    let gate = |&(_, choices): &(&str, usize)| {
        at += choices;
        b.softmax(logits.slice(at - choices..at)).probabilities
    };
    parts.iter().map(gate).collect()
}

/// `f_t = sum_e softmax(W_t x)_e expert_e(x)` (Ma et al., KDD 2018, eq. 6 and 7).
fn mmoe<T: Real>(b: &mut Builder<T>, spec: &Spec, x: Node) -> Vec<Node> {
    let count = spec.model.experts;
    let names: Vec<String> = (0..count).map(|e| format!("expert{e}.")).collect();
    let experts = experts(b, spec, &names, x);
    let parts: Vec<(String, usize)> = (0..spec.horizons.len())
        .map(|t| (format!("gate{t}"), count))
        .collect();
    let gates = gates(b, &parts, x);
    gates
        .into_iter()
        .map(|gate| b.weigh(gate, &experts))
        .collect()
}

/// Level by level, every horizon's gate weighs its own and the shared experts, and the shared gate
/// weighs all (Tang et al., RecSys 2020, eq. 1 to 6); the last level has no shared gate.
fn ple<T: Real>(b: &mut Builder<T>, spec: &Spec, x: Node) -> Vec<Node> {
    let parties = spec.horizons.len() + 1;
    let mut inputs = vec![x; parties];
    for level in 1..=spec.model.levels {
        inputs = extract(b, spec, level, &inputs);
    }
    inputs
}

/// One level. `inputs`: what the experts and the gate of every horizon read, and at last those
/// that are shared; what comes out is the same for the next level.
fn extract<T: Real>(b: &mut Builder<T>, spec: &Spec, level: usize, inputs: &[Node]) -> Vec<Node> {
    let horizons = inputs.len() - 1;
    let (own, shared) = (spec.model.task_experts, spec.model.experts);
    let name = |party: usize| match party == horizons {
        true => format!("level{level}.shared"),
        false => format!("level{level}.t{party}"),
    };
    let count = |party: usize| if party == horizons { shared } else { own };
    // Whoever reads the same input shares a product.
    let groups: Vec<Range<usize>> = match level {
        1 => std::iter::once(0..inputs.len()).collect(),
        _ => (0..inputs.len()).map(|p| p..p + 1).collect(),
    };
    let mut all = vec![];
    for group in &groups {
        let of = |p: usize| (0..count(p)).map(move |e| (p, e));
        let numbered = group.clone().flat_map(of);
        let names: Vec<String> = numbered
            .map(|(p, e)| format!("{}.expert{e}.", name(p)))
            .collect();
        all.extend(experts(b, spec, &names, inputs[group.start]));
    }
    let last = level == spec.model.levels;
    let choices = |p: usize| {
        if p == horizons {
            all.len()
        } else {
            own + shared
        }
    };
    let gated = if last { horizons } else { horizons + 1 };
    let mut weights = vec![];
    for group in &groups {
        let with_gate = group.clone().filter(|&p| p < gated);
        let parts: Vec<_> = with_gate
            .map(|p| (format!("{}.gate", name(p)), choices(p)))
            .collect();
        if !parts.is_empty() {
            weights.extend(gates(b, &parts, inputs[group.start]));
        }
    }
    let (mine, ours) = all.split_at(horizons * own);
    let heard = |p: usize| match p == horizons {
        true => all.clone(),
        false => [&mine[p * own..(p + 1) * own], ours].concat(),
    };
    let outputs = weights.into_iter().enumerate();
    outputs.map(|(p, gate)| b.weigh(gate, &heard(p))).collect()
}
