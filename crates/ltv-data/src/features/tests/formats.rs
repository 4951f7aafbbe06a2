//! Types, units and codecs of the input.

use super::house::{self, Cell};
use crate::{BuildOptions, build_dataset};
use arrow::{
    array::{ArrayRef, AsArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray},
    compute::cast,
    datatypes::{DataType, TimeUnit},
};
use ltv_core::{
    config::{FeatureConfig, Label},
    progress::Silent,
};
use parquet::{
    arrow::ArrowWriter,
    basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel},
    file::properties::WriterProperties,
};
use std::{fs::File, path::Path, sync::Arc};

fn log() -> RecordBatch {
    let n = 60i64;
    let time: ArrayRef = Arc::new(Int64Array::from_iter_values(
        (0..n).map(|i| (18_990 + i % 17) * 86_400 + i * 1_301 % 86_400),
    ));
    let time = cast(&time, &DataType::Timestamp(TimeUnit::Second, None)).unwrap();
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "user_id",
            Arc::new(Int64Array::from_iter_values((0..n).map(|i| i % 13))),
        ),
        ("timestamp", time),
        (
            "value",
            Arc::new(Float64Array::from_iter_values(
                (0..n).map(|i| (i % 7) as f64),
            )),
        ),
        (
            "word",
            Arc::new(StringArray::from_iter_values(
                (0..n).map(|i| format!("w{}", i % 3)),
            )),
        ),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn config() -> FeatureConfig {
    let mut config = house::full_config(19_004, 5, Label::Value);
    config.sequences.truncate(2);
    config.aggregates = Default::default();
    config.aggregates.first = vec!["word".into()];
    config
}

fn dataset(batch: &RecordBatch, codec: Compression) -> Vec<RecordBatch> {
    dataset_of(batch, codec, &config())
}

fn dataset_of(batch: &RecordBatch, codec: Compression, config: &FeatureConfig) -> Vec<RecordBatch> {
    let folder = tempfile::tempdir().unwrap();
    let (log, out) = (folder.path().join("log.parquet"), folder.path().join("out"));
    let properties = WriterProperties::builder().set_compression(codec).build();
    let file = File::create(&log).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    let options = BuildOptions {
        partitions: Some(2),
        threads: 1,
        ..BuildOptions::default()
    };
    let manifest = build_dataset(&[log], None, config, &out, &options, &Silent).unwrap();
    let read = |path: &str| house::read_batches(Path::new(&out.join(path)));
    manifest.files.iter().flat_map(|f| read(&f.path)).collect()
}

fn with(batch: &RecordBatch, name: &str, to: &DataType) -> RecordBatch {
    let schema = batch.schema();
    let columns = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| {
            let new = if field.name() == name {
                cast(column, to).unwrap()
            } else {
                column.clone()
            };
            (field.name().clone(), new)
        });
    RecordBatch::try_from_iter(columns).unwrap()
}

#[test]
fn every_codec_gives_the_same() {
    let expected = dataset(&log(), Compression::UNCOMPRESSED);
    assert!(expected.iter().map(|b| b.num_rows()).sum::<usize>() > 5);
    for codec in [
        Compression::SNAPPY,
        Compression::GZIP(GzipLevel::default()),
        Compression::BROTLI(BrotliLevel::default()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::LZ4,
        Compression::LZ4_RAW,
    ] {
        assert_eq!(dataset(&log(), codec), expected, "{codec}");
    }
}

#[test]
fn every_type_gives_the_same() {
    use DataType::*;
    let expected = dataset(&log(), Compression::SNAPPY);
    let check = |name: &str, to: DataType| {
        let found = dataset(&with(&log(), name, &to), Compression::SNAPPY);
        assert_eq!(found, expected, "{name} as {to}");
    };
    for unit in [
        TimeUnit::Second,
        TimeUnit::Millisecond,
        TimeUnit::Microsecond,
        TimeUnit::Nanosecond,
    ] {
        check("timestamp", Timestamp(unit, None));
        check("timestamp", Timestamp(unit, Some("+00:00".into())));
    }
    for to in [Int8, Int16, Int32, UInt8, UInt16, UInt32] {
        check("user_id", to);
    }
    for to in [Float32, Int16, UInt64, Decimal128(12, 3), Decimal256(50, 6)] {
        check("value", to);
    }
    let dictionary = |values| Dictionary(Box::new(Int8), Box::new(values));
    for to in [LargeUtf8, Utf8View, dictionary(Utf8)] {
        check("word", to);
    }
    let texts = dataset(&with(&log(), "user_id", &Utf8), Compression::SNAPPY);
    for to in [LargeUtf8, Utf8View, dictionary(Utf8)] {
        assert_eq!(
            dataset(&with(&log(), "user_id", &to), Compression::SNAPPY),
            texts,
            "{to}"
        );
    }
    assert!(
        texts
            .iter()
            .all(|b| b.column(0).as_string::<i32>().iter().is_sorted())
    );
}

#[test]
fn dates_and_zones_name_the_same_days() {
    use DataType::*;
    let dates = dataset(&with(&log(), "timestamp", &Date32), Compression::SNAPPY);
    assert_eq!(
        dataset(&with(&log(), "timestamp", &Date64), Compression::SNAPPY),
        dates
    );
    // The same instants, written in another zone: the day is that of UTC all the same.
    let expected = dataset(&log(), Compression::SNAPPY);
    let zoned = with(
        &log(),
        "timestamp",
        &Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
    );
    let zoned = with(
        &zoned,
        "timestamp",
        &Timestamp(TimeUnit::Microsecond, Some("+08:00".into())),
    );
    assert_eq!(dataset(&zoned, Compression::SNAPPY), expected);
}

/// Both events of a user come first, whatever the signs, and the smaller word is theirs.
#[test]
fn zeros_and_nans_of_either_sign_are_one() {
    let mut config = config();
    config.events.order = Some("place".into());
    config.aggregates.first_numeric = vec!["place".into()];
    let built = |places: [f64; 4]| {
        let columns: [(&str, ArrayRef); 5] = [
            ("user_id", Arc::new(Int64Array::from(vec![1, 1, 2, 2]))),
            ("timestamp", Arc::new(Date32Array::from(vec![19_000; 4]))),
            ("value", Arc::new(Float64Array::from(vec![-0.0; 4]))),
            (
                "word",
                Arc::new(StringArray::from(vec!["b", "a", "b", "a"])),
            ),
            ("place", Arc::new(Float64Array::from(places.to_vec()))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        dataset_of(&batch, Compression::SNAPPY, &config)
    };
    let plain = built([0.0, 0.0, f64::NAN, f64::NAN]);
    let text = |batch: &RecordBatch| {
        let words = batch.column_by_name("first_word").unwrap();
        words
            .as_string::<i32>()
            .iter()
            .all(|word| word == Some("a"))
    };
    assert!(plain.iter().all(text), "{plain:?}");
    let signed = built([-0.0, 0.0, -f64::NAN, f64::NAN]);
    // `==` alone would not tell the zeros apart.
    assert_eq!(format!("{plain:?}"), format!("{signed:?}"));
    assert!(!format!("{plain:?}").contains("-0.0"));
}

#[test]
fn a_day_before_1970_is_a_day_like_any_other() {
    let config = house::full_config(-50, 7, Label::Value);
    let events = [
        house::Event::new(1, -70, 100),
        house::Event::new(1, -62, 30),
    ];
    let built = house::build(&events, None, &config, &BuildOptions::default()).unwrap();
    let row = &built.rows[&1];
    assert_eq!(row[0], ("reg_day".to_string(), Cell::Number(-70.0)));
    assert!(row.contains(&("ltv_3".to_string(), Cell::Number(0.3))));
}
