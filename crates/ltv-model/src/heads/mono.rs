//! Mono Units: what a horizon adds to its logits after seeing the one before it (paper section
//! 3.4; DESIGN 3.8).

use crate::{buckets::Buckets, spec::Spec};
use ltv_core::config::Mono;
use ltv_nn::{Node, Real, graph::Builder};

/// For DCT and then every BCT of horizon `t`, what to add to its logits; nothing for a horizon
/// without an upstream and for sub-distributions of one bucket.
///
/// - paper: `relu(o W1^T + b1) W2^T + b2`, `o` the upstream bucket distribution, `W` non-negative.
///   Softmax ignores what all logits share, so this need not shift mass upward.
/// - strict: on the upstream survival function, with a second ReLU, the outputs being the
///   increments between successive logits. Each increment is non-negative and never falls when
///   mass moves right upstream: likelihood-ratio dominance within each softmax, hence first-order
///   dominance of the whole (own logits held fixed).
pub(super) fn shifts<T: Real>(
    b: &mut Builder<T>,
    spec: &Spec,
    t: usize,
    buckets: &Buckets,
    upstream: Option<Node>,
) -> Vec<Option<Node>> {
    let sizes: Vec<usize> = std::iter::once(buckets.segments.len())
        .chain(buckets.segments.iter().map(|s| s.buckets.len()))
        .collect();
    let Some(o) = upstream else {
        return vec![None; sizes.len()];
    };
    let strict = spec.model.mono == Mono::Strict;
    let x = if strict { b.survival(o) } else { o };
    let names: Vec<(usize, String)> = (0..sizes.len())
        .filter(|&i| sizes[i] > 1)
        .map(|i| {
            let unit = if i == 0 {
                "mono_dct".into()
            } else {
                format!("mono_bct{}", i - 1)
            };
            (i, format!("t{t}.{unit}"))
        })
        .collect();
    let width = spec.model.mono_hidden;
    let first: Vec<String> = names.iter().map(|(_, n)| format!("{n}.1")).collect();
    let parts: Vec<(&str, usize)> = first.iter().map(|n| (n.as_str(), width)).collect();
    let layer = b.non_negative(&parts, x.width());
    let hidden = b.linear(x, layer, true);
    let mut shifts = vec![None; sizes.len()];
    for (j, (i, name)) in names.iter().enumerate() {
        let outputs = if strict { sizes[*i] - 1 } else { sizes[*i] };
        let layer = b.non_negative(&[(&format!("{name}.2"), outputs)], width);
        let shift = b.linear(hidden.slice(j * width..(j + 1) * width), layer, strict);
        shifts[*i] = Some(if strict { b.cumulate(shift) } else { shift });
    }
    shifts
}
