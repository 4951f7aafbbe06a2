//! Datasets written by past versions must still load. What they hold was noted when they were
//! committed; the files never change.
#![allow(clippy::unwrap_used, reason = "tests")]

use arrow::array::AsArray;
use ltv_core::{
    Day,
    config::{EncodingOptions, Label, Split},
};
use ltv_data::{
    Dataset,
    encoding::{EncodingPlan, fit},
    stream::{StreamOptions, stream_with_raw},
};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// Written by 0.1.0 from `ltv simulate --users 60`, with value labels, a window of 3 days, profile
/// and kept columns, in two parts.
#[test]
fn dataset_of_version_1() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dataset-v1");
    let dataset = Dataset::open(folder).unwrap();
    dataset.verify().unwrap();
    let manifest = dataset.manifest();
    assert_eq!(
        (manifest.version, manifest.rows, manifest.events),
        (1, 34, 511)
    );
    assert_eq!(manifest.as_of, "2022-09-01".parse::<Day>().unwrap());
    assert_eq!(manifest.horizons.days(), [30, 90]);
    assert_eq!((manifest.window_days, manifest.label), (3, Label::Value));
    assert_eq!(manifest.keep, ["cost"]);
    assert_eq!(manifest.dropped["events_later"], 3187);

    let plan = EncodingPlan {
        cohort: false,
        cells: EncodingOptions {
            min_category_rows: 1,
            ..EncodingOptions::default()
        },
        numbers: true,
        horizons: None,
        news: None,
    };
    let fitted = fit(&dataset, &Split::default(), &plan).unwrap();
    assert_eq!(fitted.encoding.fields(), 15);
    let options = StreamOptions {
        horizons: Some(fitted.horizons.clone()),
        keep: true,
        ..StreamOptions::scoring(Arc::new(fitted.encoding))
    };
    let (mut statuses, mut mature) = (BTreeMap::new(), [0, 0]);
    for item in stream_with_raw(&dataset, options).unwrap() {
        let (encoded, raw) = item.unwrap();
        let names = raw.column_by_name("status").unwrap().as_string::<i32>();
        for name in names.iter().flatten() {
            *statuses.entry(name.to_string()).or_insert(0u64) += 1;
        }
        for labels in encoded.labels.chunks(2) {
            (0..2).for_each(|t| mature[t] += u32::from(!labels[t].is_nan()));
        }
    }
    assert_eq!(statuses, manifest.statuses);
    assert_eq!(mature, [28, 18]);
}
