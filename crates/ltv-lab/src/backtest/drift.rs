//! How far judged users are from the training rows of a date: population stability indices.

use super::document::{FeatureDrift, LabelDrift};
use crate::{LabError, judged::Judged};
use ltv_core::{
    config::{EncodingOptions, Part, Split},
    encoding::{EncodedRows, Encoding},
    labels::LabelHistogram,
};
use ltv_data::{
    Dataset,
    encoding::EncodingPlan,
    split::Rows,
    stream::{StreamOptions, stream},
};
use ltv_eval::{Psi, drift};
use std::sync::Arc;

/// Bins of equal frequency. A value that holds a tenth of the rows is a bin by itself, and so are
/// zero and what is missing; categories have one each, the rare ones together.
const BINS: u32 = 10;

/// What is found of one date.
pub(super) struct Found {
    pub(super) train_rows: u64,
    pub(super) labels: Vec<LabelDrift>,
    pub(super) features: Vec<FeatureDrift>,
}

/// Compares, in three passes and in memory that does not grow with the rows.
///
/// # Errors
/// When nobody trains, or a file cannot be read.
pub(super) fn drift(train: &Dataset, judged: &Judged, split: &Split) -> Result<Found, LabError> {
    let plan = EncodingPlan {
        cells: EncodingOptions {
            max_bins: BINS as usize,
            ..EncodingOptions::default()
        },
        ..EncodingPlan::default()
    };
    let fitted = ltv_data::encoding::fit(train, split, &plan)?;
    let encoding = Arc::new(fitted.encoding);
    let rows = StreamOptions {
        rows: Rows::Part(Part::Train),
        split: split.clone(),
        ..StreamOptions::scoring(encoding.clone())
    };
    let before = cells(train, rows, &encoding)?;
    let rows = judged.options(Encoding::clone(&encoding));
    let after = cells(judged.dataset(), rows, &encoding)?;
    Ok(Found {
        train_rows: fitted.train_rows,
        labels: labels(&fitted.labels, judged),
        features: features(&encoding, &before, &after),
    })
}

/// Rows in each cell of every column.
fn cells(
    dataset: &Dataset,
    options: StreamOptions,
    encoding: &Encoding,
) -> Result<Vec<Vec<u64>>, LabError> {
    let sizes = encoding.field_cells();
    let mut counts: Vec<Vec<u64>> = sizes.iter().map(|&n| vec![0; n]).collect();
    for block in stream(dataset, options)? {
        let block: EncodedRows = block?;
        for row in block.cells.chunks_exact(counts.len().max(1)) {
            for (column, &cell) in counts.iter_mut().zip(row) {
                column[cell as usize] += 1;
            }
        }
    }
    Ok(counts)
}

fn features(encoding: &Encoding, before: &[Vec<u64>], after: &[Vec<u64>]) -> Vec<FeatureDrift> {
    let mut sides = before.iter().zip(after);
    let mut all = vec![];
    for feature in &encoding.features {
        let mut worst: Option<FeatureDrift> = None;
        for (column, (before, after)) in feature.columns.iter().zip(&mut sides) {
            let psi = Psi::new(before, after);
            let value = |psi: &Option<Psi>| psi.map_or(-1.0, |p| p.value);
            if worst.as_ref().is_none_or(|w| value(&w.psi) < value(&psi)) {
                worst = Some(FeatureDrift {
                    name: feature.name.clone(),
                    column: column.clone(),
                    psi,
                });
            }
        }
        all.extend(worst);
    }
    all
}

fn labels(before: &[LabelHistogram], judged: &Judged) -> Vec<LabelDrift> {
    let one = |(t, (&horizon, before)): (usize, (&u32, &LabelHistogram))| {
        let mut after = LabelHistogram::default();
        judged.column(t).into_iter().for_each(|y| after.add(y));
        let ends = drift::edges(before, BINS);
        let mean = |labels: &LabelHistogram| (labels.count() > 0).then(|| labels.mean());
        LabelDrift {
            horizon,
            train_rows: before.count(),
            train_mean: mean(before),
            judged_rows: after.count(),
            judged_mean: mean(&after),
            psi: Psi::new(&drift::counts(before, &ends), &drift::counts(&after, &ends)),
        }
    };
    let horizons = judged.horizons.days().iter().zip(before);
    horizons.enumerate().map(one).collect()
}
