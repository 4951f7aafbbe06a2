//! Streams against the rows they were made from.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::{
    dataset::Dataset,
    encoding::{EncodingPlan, encode_batch, fit, fit_with_progress},
    split::Rows,
    testing::{Row, batch, rows, write_as, write_rows},
};
use arrow::array::{Array, AsArray, Int64Array};
use ltv_core::{
    Horizons,
    config::{Balance, ClassFactors, EncodingOptions, Mature, Part, Split, has_value},
    encoding::{EncodedRows, Encoding},
    progress::Progress,
    seed::user_fraction,
};
use proptest::prelude::*;
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

fn split() -> Split {
    Split {
        test: 0.2,
        validation: 0.2,
        mature: Mature::Shortest,
        ..Split::default()
    }
}

fn dataset(rows: &[Row], file_rows: usize, group_rows: usize) -> (tempfile::TempDir, Dataset) {
    let folder = tempfile::tempdir().unwrap();
    write_rows(folder.path(), rows, file_rows, group_rows);
    let dataset = Dataset::open(folder.path()).unwrap();
    (folder, dataset)
}

fn fitted(dataset: &Dataset) -> Arc<Encoding> {
    let options = EncodingPlan {
        cohort: false,
        cells: EncodingOptions {
            min_category_rows: 1,
            max_bins: 4,
            ..EncodingOptions::default()
        },
        numbers: true,
        horizons: None,
        news: None,
    };
    Arc::new(fit(dataset, &split(), &options).unwrap().encoding)
}

fn horizons() -> Horizons {
    Horizons::new(vec![30, 90]).unwrap()
}

fn options(encoding: Arc<Encoding>, rows: Rows, batch_rows: usize) -> StreamOptions {
    StreamOptions {
        rows,
        split: split(),
        horizons: Some(horizons()),
        batch_rows,
        ..StreamOptions::scoring(encoding)
    }
}

/// The parts by their definition, one row at a time.
fn part(row: &Row) -> Option<Part> {
    let f = user_fraction(row.user);
    let takes_part = row.labels[0].is_some() && row.status == "active";
    takes_part.then_some(match f {
        f if f < 0.2 => Part::Test,
        f if f < 0.4 => Part::Validation,
        _ => Part::Train,
    })
}

/// One row as comparable bits: cells, numbers, labels.
fn lines(rows: &EncodedRows) -> Vec<String> {
    let piece = |i: usize, len: usize| i * len / rows.rows..(i + 1) * len / rows.rows;
    (0..rows.rows)
        .map(|i| {
            let cells = &rows.cells[piece(i, rows.cells.len())];
            let numbers = &rows.numbers[piece(i, rows.numbers.len())];
            format!(
                "{cells:?} {numbers:?} {:?}",
                &rows.labels[piece(i, rows.labels.len())]
            )
        })
        .collect()
}

fn collect(stream: EncodedStream) -> Vec<EncodedRows> {
    stream.collect::<Result<_, _>>().unwrap()
}

#[test]
fn parts_are_disjoint_and_complete() {
    let rows = rows(500);
    let (_folder, dataset) = dataset(&rows, 140, 33);
    let encoding = fitted(&dataset);
    let counts = [Part::Train, Part::Validation, Part::Test].map(|wanted| {
        let expected: Vec<Row> = rows
            .iter()
            .filter(|r| part(r) == Some(wanted))
            .cloned()
            .collect();
        let batches =
            collect(stream(&dataset, options(encoding.clone(), Rows::Part(wanted), 64)).unwrap());
        let got: Vec<String> = batches.iter().flat_map(lines).collect();
        let reference = encode_batch(&encoding, &batch(&expected), Some(&horizons())).unwrap();
        assert_eq!(got, lines(&reference));
        got.len() as u64
    });
    let fit = fit(&dataset, &split(), &EncodingPlan::default()).unwrap();
    assert_eq!(counts, [fit.train_rows, fit.validation_rows, fit.test_rows]);
    assert!(counts.iter().all(|&n| n > 20));
}

#[test]
fn an_epoch_repeats_and_epochs_differ() {
    let rows = rows(400);
    let (_folder, dataset) = dataset(&rows, 150, 40);
    let encoding = fitted(&dataset);
    let epoch = |seed, epoch| {
        let shuffle = Some(Shuffle {
            seed,
            epoch,
            buffer_rows: 90,
        });
        let options = StreamOptions {
            shuffle,
            ..options(encoding.clone(), Rows::All, 32)
        };
        collect(stream(&dataset, options).unwrap())
            .iter()
            .flat_map(lines)
            .collect::<Vec<_>>()
    };
    assert_eq!(epoch(1, 0), epoch(1, 0));
    assert_ne!(epoch(1, 0), epoch(1, 1));
    assert_ne!(epoch(1, 0), epoch(2, 0));
}

#[test]
fn raw_rows_go_with_their_encoded_rows() {
    let rows = rows(300);
    let (_folder, dataset) = dataset(&rows, 70, 30);
    let options = StreamOptions {
        keep: true,
        ..options(fitted(&dataset), Rows::Part(Part::Test), 25)
    };
    let plain = collect(stream(&dataset, options.clone()).unwrap());
    let both: Vec<_> = stream_with_raw(&dataset, options.clone())
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(
        both.iter().flat_map(|(e, _)| lines(e)).collect::<Vec<_>>(),
        plain.iter().flat_map(lines).collect::<Vec<_>>()
    );
    let mut users = vec![];
    for (encoded, raw) in &both {
        assert_eq!(encoded.rows, raw.num_rows());
        let names: Vec<_> = raw
            .schema()
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .collect();
        assert_eq!(names, ["user_id", "reg_day", "status", "channel", "cost"]);
        let ids: &Int64Array = raw.column(0).as_primitive();
        users.extend(ids.values().iter().copied());
    }
    let expected: Vec<i64> = rows
        .iter()
        .filter(|r| part(r) == Some(Part::Test))
        .map(|r| r.user)
        .collect();
    assert_eq!(users, expected);
    let shuffled = StreamOptions {
        shuffle: Some(Shuffle::new(1, 1)),
        ..options
    };
    assert!(
        stream_with_raw(&dataset, shuffled)
            .unwrap_err()
            .to_string()
            .contains("shuffle")
    );
}

#[test]
fn dropping_a_stream_stops_its_thread() {
    let (_folder, dataset) = dataset(&rows(2000), 500, 100);
    let mut stream = stream(&dataset, options(fitted(&dataset), Rows::All, 1)).unwrap();
    assert_eq!(stream.next().unwrap().unwrap().rows, 1);
    // Returns only when the thread has ended; without the disconnect it would wait for ever.
    drop(stream);
}

#[test]
fn text_ids_split_by_their_hash() {
    use arrow::{array::StringArray, record_batch::RecordBatch};
    let plain = batch(&rows(200));
    let ids: StringArray = (0..200).map(|i| Some(format!("user {i}"))).collect();
    let mut columns = plain.columns().to_vec();
    columns[0] = Arc::new(ids);
    let names: Vec<String> = plain
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    let text = RecordBatch::try_from_iter(names.into_iter().zip(columns)).unwrap();
    let parts = crate::split::parts(&text, &split(), &horizons(), "test").unwrap();
    for (i, (got, row)) in parts.iter().zip(rows(200)).enumerate() {
        let f = ltv_core::seed::user_fraction_text(&format!("user {i}"));
        assert_eq!(*got, part(&row).map(|_| split().part(f)));
    }
    assert!(plain.column(0).is_valid(0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_row_exactly_once(
        n in 1usize..400, file_rows in 20usize..200, group_rows in 5usize..80,
        batch_rows in 1usize..120, buffer_rows in 1usize..200, seed: u64, in_order: bool,
    ) {
        // Row i has ltv_90 = i, so that rows can be told apart.
        let mut rows = rows(n);
        rows[0].labels[0] = Some(1.0);
        rows[0].status = "active";
        let mut all_train = split();
        (all_train.test, all_train.validation) = (0.0, 1e-9);
        for (i, row) in rows.iter_mut().enumerate() {
            row.user = row.user * 2 + 1;
            row.labels[1] = Some(i as f64);
        }
        let (_folder, dataset) = dataset(&rows, file_rows, group_rows);
        let encoding = fit(&dataset, &all_train, &EncodingPlan::default()).unwrap().encoding;
        let shuffle = (!in_order).then_some(Shuffle { seed, epoch: 3, buffer_rows });
        let options = StreamOptions { shuffle, ..options(Arc::new(encoding), Rows::All, batch_rows) };
        let batches = collect(stream(&dataset, options).unwrap());
        let (last, full) = batches.split_last().unwrap();
        prop_assert!(full.iter().all(|b| b.rows == batch_rows));
        prop_assert!((1..=batch_rows).contains(&last.rows));
        let mut seen: Vec<usize> =
            batches.iter().flat_map(|b| b.labels.chunks(2).map(|l| l[1] as usize)).collect();
        if in_order {
            prop_assert!(seen.is_sorted());
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..n).collect::<Vec<_>>());
    }
}

#[test]
fn classes_are_drawn_as_often_as_asked_for() {
    let (_folder, dataset) = dataset(&rows(900), 300, 100);
    let read = |draws: Option<ClassFactors>| {
        let options = StreamOptions {
            draws,
            shuffle: Some(Shuffle::new(3, 1)),
            ..options(fitted(&dataset), Rows::Part(Part::Train), 64)
        };
        let mut counts = [0_u64; 2];
        for block in stream(&dataset, options).unwrap() {
            for labels in block.unwrap().labels.chunks(2) {
                counts[usize::from(has_value(labels))] += 1;
            }
        }
        counts
    };
    let [zeros, positives] = read(None);
    assert_eq!(read(Some(ClassFactors::ONE)), [zeros, positives]);
    let over = Balance::Oversample.factors(zeros, positives);
    let [drawn, same] = read(Some(over));
    assert!(zeros > 0 && zeros < positives);
    assert_eq!(same, positives);
    let expected = over.zero.copies * zeros as f64;
    assert!(
        (drawn as f64 / expected - 1.0).abs() < 0.1,
        "{drawn} for {expected}"
    );
    assert_eq!(read(Some(over)), [drawn, same]);
}

/// Units of a stage, as a display would add them up.
#[derive(Default)]
struct Units(AtomicU64);

impl Progress for Units {
    fn start(&self, _: &str, _: Option<u64>) {}
    fn advance(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }
    fn finish(&self) {}
}

/// Whoever is wanted, and whatever was known: in the end every row of the files has been read.
#[test]
fn what_is_told_adds_up_to_the_rows_of_the_dataset() {
    let (_folder, dataset) = dataset(&rows(3000), 1000, 300);
    let view = dataset.as_known_on(ltv_core::Day(40)).unwrap();
    for dataset in [&dataset, &view] {
        let encoding = fitted(dataset);
        for wanted in [Rows::All, Rows::Mature, Rows::Part(Part::Validation)] {
            let units = Units::default();
            let options = options(encoding.clone(), wanted, 7);
            let mut batches = stream_with_raw(dataset, options.clone())
                .unwrap()
                .told(&units);
            let rows: u64 = batches.by_ref().map(|b| b.unwrap().0.rows as u64).sum();
            assert!(rows > 0 && (wanted == Rows::All || rows < 3000), "{rows}");
            assert_eq!(
                (units.0.load(Ordering::Relaxed), batches.rows()),
                (3000, 3000)
            );

            let units = Units::default();
            let shuffled = StreamOptions {
                shuffle: Some(Shuffle::new(1, 0)),
                ..options
            };
            let batches = stream(dataset, shuffled).unwrap().told(&units);
            assert_eq!(batches.map(|b| b.unwrap().rows as u64).sum::<u64>(), rows);
            assert_eq!(units.0.load(Ordering::Relaxed), 3000);
        }
        let units = Units::default();
        fit_with_progress(dataset, &split(), &EncodingPlan::default(), &units).unwrap();
        assert_eq!(units.0.load(Ordering::Relaxed), 3000);
    }
}

/// Two epochs, shuffled, with rows drawn by class where `draws` says so.
fn epochs(dataset: &Dataset, options: &StreamOptions) -> Vec<Vec<EncodedRows>> {
    let epoch = |epoch| {
        let shuffle = Some(Shuffle {
            seed: 5,
            epoch,
            buffer_rows: 130,
        });
        let options = StreamOptions {
            shuffle,
            ..options.clone()
        };
        collect(stream(dataset, options).unwrap())
    };
    vec![epoch(0), epoch(1)]
}

fn all_lines(epochs: &[Vec<EncodedRows>]) -> Vec<Vec<String>> {
    let batches = epochs.iter().flatten();
    batches.map(lines).collect()
}

#[test]
fn neither_threads_nor_a_cache_change_a_batch() {
    let (_folder, dataset) = dataset(&rows(900), 250, 60);
    let draws = Balance::Oversample.factors(3, 1);
    for draws in [None, Some(draws)] {
        let options = StreamOptions {
            draws,
            ..options(fitted(&dataset), Rows::Part(Part::Train), 32)
        };
        let expected = all_lines(&epochs(&dataset, &options));
        assert!(expected.len() > 20);
        let folder = tempfile::tempdir().unwrap();
        for threads in [1, 2, 5] {
            let cache = EncodedCache::in_folder(folder.path()).unwrap();
            for cache in [None, Some(cache)] {
                let options = StreamOptions {
                    threads,
                    cache: cache.clone(),
                    ..options.clone()
                };
                assert_eq!(all_lines(&epochs(&dataset, &options)), expected);
                assert!(cache.is_none_or(|c| c.bytes() > 0 && c.problem().is_none()));
            }
        }
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}

/// A pass that was left early has kept some row groups; later passes of the same rows read those, and
/// passes of other rows or encodings do not.
#[test]
fn streams_of_different_rows_share_a_cache_and_an_epoch_may_be_left_early() {
    let (folder, dataset) = dataset(&rows(900), 250, 60);
    let cache = EncodedCache::in_folder(folder.path()).unwrap();
    let cached = |options: &StreamOptions| StreamOptions {
        cache: Some(cache.clone()),
        ..options.clone()
    };
    let train = options(fitted(&dataset), Rows::Part(Part::Train), 16);
    let mut early = stream(&dataset, cached(&train)).unwrap();
    early
        .by_ref()
        .take(15)
        .for_each(|rows| assert_eq!(rows.unwrap().rows, 16));
    drop(early);
    let mut other = Encoding::clone(&train.encoding);
    other.features.pop();
    let validation = options(train.encoding.clone(), Rows::Part(Part::Validation), 16);
    let scored = StreamOptions {
        horizons: None,
        news: None,
        ..train.clone()
    };
    let narrow = StreamOptions {
        encoding: Arc::new(other),
        ..train.clone()
    };
    let [mut earlier, mut grown] = [cache.bytes(), 0];
    assert!(earlier > 0);
    for options in [train, validation, scored, narrow] {
        let plain = all_lines(&[collect(stream(&dataset, options.clone()).unwrap())]);
        for pass in 0..2 {
            let kept = collect(stream(&dataset, cached(&options)).unwrap());
            assert_eq!(all_lines(&[kept]), plain);
            grown += u64::from(cache.bytes() > earlier);
            assert!(
                pass == 0 || cache.bytes() == earlier,
                "everything was kept by then"
            );
            earlier = cache.bytes();
        }
    }
    assert_eq!(grown, 4);
}

/// The device that is always full stands for a full disk.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_ends_the_cache_and_not_the_stream() {
    let (_folder, dataset) = dataset(&rows(900), 250, 60);
    let options = options(fitted(&dataset), Rows::Part(Part::Train), 32);
    let full = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/full")
        .unwrap();
    let cache = EncodedCache::over(full);
    let cached = StreamOptions {
        cache: Some(cache.clone()),
        ..options.clone()
    };
    assert_eq!(
        all_lines(&epochs(&dataset, &cached)),
        all_lines(&epochs(&dataset, &options))
    );
    assert!(cache.problem().unwrap().contains("space"));
    assert_eq!(cache.bytes(), 0);
}

/// Some files of a dataset have text as numbered words, others do not; so has one and the same word
/// other numbers in other row groups.
#[test]
fn text_is_read_the_same_however_files_have_it() {
    let all = rows(600);
    let batches: Vec<_> = all.chunks(200).map(batch).collect();
    let written = |numbered: &dyn Fn(usize) -> bool| {
        let folder = tempfile::tempdir().unwrap();
        write_as(folder.path(), &batches, 45, numbered);
        let dataset = Dataset::open(folder.path()).unwrap();
        (folder, dataset)
    };
    let (_plain, plain) = written(&|_| false);
    let how = options(fitted(&plain), Rows::All, 64);
    let expected = collect(stream(&plain, how.clone()).unwrap());
    let reference = encode_batch(&how.encoding, &batch(&all), Some(&horizons())).unwrap();
    let expected: Vec<String> = expected.iter().flat_map(lines).collect();
    assert_eq!(expected, lines(&reference));
    for numbered in [&|_| true, &|file| file == 1] as [&dyn Fn(usize) -> bool; 2] {
        let (_folder, dataset) = written(numbered);
        assert_eq!(fitted(&dataset), how.encoding);
        let found = collect(stream(&dataset, how.clone()).unwrap());
        assert_eq!(found.iter().flat_map(lines).collect::<Vec<_>>(), expected);
        let types = |file: usize| {
            let plan = reader::Plan::new(&dataset, ["channel".into()], None, None);
            let mut types = std::collections::BTreeSet::new();
            reader::read(
                &dataset,
                &plan.unwrap().numbered(),
                &[(file, 1)],
                &mut |chunk| {
                    let channel = chunk.batch.column_by_name("channel").unwrap();
                    types.insert(channel.data_type() == &columns::numbered());
                    Ok(std::ops::ControlFlow::Continue(()))
                },
            )
            .unwrap();
            types.into_iter().collect::<Vec<_>>()
        };
        assert_eq!([types(0), types(1)], [vec![numbered(0)], vec![true]]);
    }
}
