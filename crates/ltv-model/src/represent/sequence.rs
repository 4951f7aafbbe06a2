//! Inputs, and what reads the days among them.

use super::Inputs;
use crate::spec::Spec;
use ltv_core::config::DayEncoder;
use ltv_nn::{Node, Real, graph::Builder, ops::FieldSpec};

/// Embeds all fields, and encodes the days where `model.sequence` says so: the encoder's output,
/// day by day, then stands beside all other inputs in place of the days.
pub(super) fn build<T: Real>(b: &mut Builder<T>, spec: &Spec) -> Inputs {
    let fields = fields(b, spec);
    let raw = b.input(&fields, spec.numbers);
    let days = spec.days();
    if days == 0 {
        return Inputs { raw, read: raw };
    }
    let order = token_columns(spec);
    let mut taken = vec![false; raw.width()];
    order.iter().for_each(|&c| taken[c] = true);
    let rest: Vec<usize> = (0..raw.width()).filter(|&c| !taken[c]).collect();
    let tokens = b.columns(raw, &order);
    let encoded = match spec.model.sequence {
        DayEncoder::Transformer => transformer(b, spec, tokens, days),
        DayEncoder::Wavelet => wavelet(b, spec, tokens, days),
        DayEncoder::Concat | DayEncoder::Cnn => cnn(b, spec, tokens, days),
    };
    if rest.is_empty() {
        return Inputs { raw, read: encoded };
    }
    let rest = b.columns(raw, &rest);
    let read = b.concat(&[rest, encoded]);
    Inputs { raw, read }
}

/// One table for each field, named after it; the days of an encoded sequence share the table of
/// its first.
fn fields<T: Real>(b: &mut Builder<T>, spec: &Spec) -> Vec<FieldSpec> {
    let dim = spec.model.embedding;
    let mut list: Vec<FieldSpec> = vec![];
    for (i, &cells) in spec.fields.iter().enumerate() {
        let field = match shared_with(spec, i) {
            Some(first) => list[first],
            None => FieldSpec {
                table: b.table(&format!("emb{i}"), cells, dim),
            },
        };
        list.push(field);
    }
    list
}

/// The earlier field whose table field `i` shares, if it does.
pub(super) fn shared_with(spec: &Spec, i: usize) -> Option<usize> {
    if spec.days() == 0 {
        return None;
    }
    let of = |s: &&crate::spec::DaySequence| (s.field + 1..s.field + s.days).contains(&i);
    spec.sequences.iter().find(of).map(|s| s.field)
}

/// Columns of the raw input, day by day: the embeddings and numbers of all sequences.
fn token_columns(spec: &Spec) -> Vec<usize> {
    let dim = spec.model.embedding;
    let embedded = spec.fields.len() * dim;
    let mut order = vec![];
    for day in 0..spec.days() {
        for s in &spec.sequences {
            order.extend((s.field + day) * dim..(s.field + day + 1) * dim);
            order.extend(s.number.map(|n| embedded + n + day));
        }
    }
    order
}

/// A dense layer that every day passes through alone.
fn each_day<T: Real>(
    b: &mut Builder<T>,
    x: Node,
    parts: &[(String, usize)],
    days: usize,
    relu: bool,
) -> Node {
    let parts: Vec<(&str, usize)> = parts.iter().map(|(n, k)| (n.as_str(), *k)).collect();
    let layer = b.dense(&parts, x.width() / days);
    b.convolve(x, layer, days, relu)
}

/// Layers of convolutions with ReLU over days, zeros before the first and after the last.
fn cnn<T: Real>(b: &mut Builder<T>, spec: &Spec, tokens: Node, days: usize) -> Node {
    let model = &spec.model;
    (1..=model.sequence_layers).fold(tokens, |x, i| {
        let name = format!("seq.conv{i}");
        let inputs = model.kernel * x.width() / days;
        let layer = b.dense(&[(&name, model.sequence_width)], inputs);
        b.convolve(x, layer, days, true)
    })
}

/// An encoder with a learned position for each day (Vaswani et al., NIPS 2017), normalised before
/// each part rather than after it, which trains without a warm-up (Xiong et al., ICML 2020):
/// `x += mix(attention(norm(x)))`, `x += narrow(relu(wide(norm(x))))`; the wide layer has twice
/// the channels.
fn transformer<T: Real>(b: &mut Builder<T>, spec: &Spec, tokens: Node, days: usize) -> Node {
    let width = spec.model.sequence_width;
    let x = each_day(b, tokens, &[("seq.in".into(), width)], days, false);
    let mut x = b.offset(x, "seq.position.p");
    for i in 1..=spec.model.sequence_layers {
        let part = |name: &str, k: usize| (format!("seq.block{i}.{name}"), k * width);
        let y = b.layer_norm(x, &part("norm1", 1).0, days);
        let parts = ["query", "key", "value"].map(|name| part(name, 1));
        let y = each_day(b, y, &parts, days, false);
        let y = b.attention(y, days, spec.model.heads);
        let y = each_day(b, y, &[part("mix", 1)], days, false);
        x = b.add(x, y);
        let y = b.layer_norm(x, &part("norm2", 1).0, days);
        let y = each_day(b, y, &[part("wide", 2)], days, true);
        let y = each_day(b, y, &[part("narrow", 1)], days, false);
        x = b.add(x, y);
    }
    b.layer_norm(x, "seq.norm", days)
}

/// Channels of every day, their Haar coefficients over days, and what thresholds leave of them: a
/// slow rise and a single spike are numbers of their own (the multi-resolution part of Xing et
/// al., KDD 2021, with wavelets that are fixed instead of learned).
fn wavelet<T: Real>(b: &mut Builder<T>, spec: &Spec, tokens: Node, days: usize) -> Node {
    let width = spec.model.sequence_width;
    let x = each_day(b, tokens, &[("seq.in".into(), width)], days, false);
    let x = b.haar(x, days);
    b.shrink(x, "seq.threshold.h")
}
