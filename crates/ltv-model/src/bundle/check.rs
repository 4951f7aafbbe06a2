//! Whether a document can be that of a model, before a network is built from it. Whoever wrote the
//! file, what passes here panics nowhere.

use super::Document;
use crate::{
    buckets::{Bucket, Buckets},
    matching::{Curve, Matching},
    recalibration::Recalibration,
    represent::{self, Count},
    spec::{DaySequence, Spec},
    tensors::Content,
};
use ltv_core::encoding::Encoding;

/// Most buckets of a sub-distribution that a network is built for.
const MOST_BUCKETS: usize = 4096;

type Check = Result<(), String>;

fn ensure(holds: bool, problem: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(problem()) }
}

/// Checks everything that building the network and predicting with it rely on.
pub(super) fn document(document: &Document, content: &Content<'_>) -> Check {
    let Document {
        spec,
        encoding,
        horizons,
        ..
    } = document;
    let core = |e: ltv_core::Error| e.to_string();
    document.config.check().map_err(core)?;
    spec.model.check().map_err(core)?;
    spec.model.check_horizons(horizons.len()).map_err(core)?;
    ensure(spec.horizons.len() == horizons.len(), || {
        let (n, m) = (spec.horizons.len(), horizons.len());
        format!("buckets of {n} horizons for {m}")
    })?;
    check_encoding(encoding)?;
    ensure(spec.fields == encoding.field_cells(), || {
        "spec.fields are not the cells of the encoding".into()
    })?;
    let apart = encoding.numbers() - encoding.trends();
    ensure(spec.numbers == apart, || {
        "spec.numbers is not that of the encoding".into()
    })?;
    ensure(
        spec.trends == encoding.trends() && [0, horizons.len()].contains(&spec.trends),
        || "spec.trends is not that of the encoding, or not one for each horizon".into(),
    )?;
    for (days, buckets) in horizons.days().iter().zip(&spec.horizons) {
        check_buckets(buckets).map_err(|problem| format!("ltv_{days}: {problem}"))?;
    }
    if let Some(maps) = &document.recalibration {
        check_recalibration(maps, horizons.len())?;
    }
    if let Some(matching) = &document.matching {
        check_matching(matching, horizons.len())?;
    }
    let none_told = spec.sequences.is_empty();
    ensure(
        none_told || spec.sequences == DaySequence::all(encoding),
        || "spec.sequences are not those of the encoding".into(),
    )?;
    spec.check_inputs().map_err(core)?;
    spec.check_sequences().map_err(core)?;
    // A network much larger than the file is refused before it takes memory.
    let (weights, tensors) = least(spec);
    ensure(
        weights <= content.values() && tensors <= content.count(),
        || format!("its network has {weights} weights or more, the file fewer"),
    )
}

/// A lower bound of the network's weights and tensors: all up to the towers, and of each horizon
/// one tower's first layer.
fn least(spec: &Spec) -> (usize, usize) {
    let Count {
        weights,
        tensors,
        width,
    } = represent::count(spec);
    let horizons = spec.horizons.len();
    let towers = width
        .saturating_mul(spec.model.tower)
        .saturating_mul(horizons);
    (
        weights.saturating_add(towers),
        tensors.saturating_add(horizons),
    )
}

fn check_encoding(encoding: &Encoding) -> Check {
    ensure(encoding.fields() > 0, || "no features".into())?;
    encoding.check().map_err(|e| e.to_string())
}

fn check_recalibration(maps: &[Recalibration], horizons: usize) -> Check {
    let n = maps.len();
    ensure(n == horizons, || {
        format!("recalibration: {n} of {horizons} horizons")
    })?;
    ensure(maps.iter().all(Recalibration::is_sound), || {
        let (least, most) = (Recalibration::LEAST, Recalibration::MOST);
        format!("recalibration: a slope not between {least} and {most}, or a factor not positive")
    })
}

fn check_matching(matching: &Matching, horizons: usize) -> Check {
    let n = matching.curves.len();
    ensure(n == horizons, || {
        format!("matching: {n} curves for {horizons} horizons")
    })?;
    let mut curves = matching.curves.iter().map(Curve::check);
    curves
        .try_for_each(|checked| checked)
        .map_err(|problem| format!("matching: a curve of {problem}"))
}

fn check_buckets(buckets: &Buckets) -> Check {
    ensure(
        buckets.mean > 0.0 && (1.0 / (buckets.mean * buckets.mean)).is_normal(),
        || format!("mean {} is not positive", buckets.mean),
    )?;
    ensure((0.0..=1.0).contains(&buckets.mass_above), || {
        format!("mass_above {} is not in [0, 1]", buckets.mass_above)
    })?;
    ensure(
        buckets.largest >= 0.0 && buckets.largest.is_finite(),
        || format!("largest {} is not zero or positive", buckets.largest),
    )?;
    let segments = &buckets.segments;
    ensure((2..=8).contains(&segments.len()), || {
        format!("{} sub-distributions", segments.len())
    })?;
    let sizes = |n: usize| (1..=MOST_BUCKETS).contains(&n);
    ensure(segments.iter().all(|s| sizes(s.buckets.len())), || {
        "a sub-distribution without a bucket, or with too many".into()
    })?;
    let flat: Vec<&Bucket> = buckets.flat().collect();
    let whole = |b: &&Bucket| {
        let numbers = b.left >= 0.0 && b.width >= 0.0 && (b.left + b.width).is_finite();
        numbers && (0.0..=1.0).contains(&b.bias)
    };
    ensure(flat.iter().all(whole), || {
        "a bucket's left or width is not zero or positive, or its bias not in [0, 1]".into()
    })?;
    // Left and width, added up again, may be off by a rounding from the largest label.
    let ascending = |w: &[&Bucket]| {
        w[0].left < w[1].left && w[0].left + w[0].width <= w[1].left * (1.0 + 1e-12)
    };
    ensure(flat.windows(2).all(ascending), || {
        "buckets are not ascending".into()
    })?;
    let rows = flat.iter().try_fold(0u64, |n, b| n.checked_add(b.rows));
    ensure(rows.is_some(), || "more rows than can be counted".into())
}
