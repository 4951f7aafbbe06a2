//! Both ways of measuring against each other, and what only the one from files does.

use super::*;
use crate::{Bootstrap, EvalInput, Evaluation, Metric, NamedPredictions, Segments, evaluate};
use ltv_core::{Horizons, progress::Silent};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

/// Nothing is small enough for memory.
pub(super) fn limits() -> Limits {
    Limits {
        whole: 0,
        drawn: 50,
        chunk: 7,
        fan_in: 3,
        buffer: 64,
    }
}

/// Rows of two horizons, two sets and one column of three values, the last of them never there.
#[derive(Debug, Clone)]
struct Data {
    labels: Vec<f64>,
    sets: [Vec<f64>; 2],
    codes: Vec<u32>,
}

const SETS: [&str; 2] = ["model", "rule"];
const VALUES: [&str; 3] = ["ads", "friend", "nobody"];

fn horizons() -> Horizons {
    Horizons::new(vec![30, 90]).unwrap()
}

impl Data {
    fn in_memory(&self, bootstrap: Option<Bootstrap>) -> Evaluation {
        let named = |(name, values): (&&str, &Vec<f64>)| NamedPredictions {
            name: (*name).to_owned(),
            values: values.clone(),
        };
        let predictions: Vec<_> = SETS.iter().zip(&self.sets).map(named).collect();
        evaluate(&EvalInput {
            horizons: &horizons(),
            labels: &self.labels,
            predictions: &predictions,
            segments: &[Segments {
                name: "channel".to_owned(),
                codes: self.codes.iter().map(|&code| meaning(code)).collect(),
                labels: VALUES.map(str::to_owned).into(),
            }],
            bootstrap,
            reference: Some("rule"),
        })
        .unwrap()
    }

    fn spilled(&self, block: usize, memory: u64) -> (tempfile::TempDir, Spilled) {
        let folder = tempfile::tempdir().unwrap();
        let options = SpillOptions {
            folder: folder.path().to_path_buf(),
            memory,
        };
        let sets = SETS.map(str::to_owned).to_vec();
        let mut spill = Spill::new(&horizons(), sets, 1, options).unwrap();
        for start in (0..self.codes.len()).step_by(block) {
            let end = (start + block).min(self.codes.len());
            let cells = 2 * start..2 * end;
            let block = Block {
                labels: &self.labels[cells.clone()],
                predictions: &[&self.sets[0][cells.clone()], &self.sets[1][cells]],
                codes: &[&self.codes[start..end]],
            };
            spill.add(&block).unwrap();
        }
        (folder, spill.finish().unwrap())
    }

    fn through_files(&self, limits: Limits, bootstrap: Option<Bootstrap>) -> Evaluation {
        let (_folder, spilled) = self.spilled(5, 0);
        let input = SpillInput {
            segments: &[Codes {
                name: "channel".to_owned(),
                meaning: (0..4).map(meaning).collect(),
                labels: VALUES.map(str::to_owned).into(),
            }],
            bootstrap,
            reference: Some("rule"),
        };
        spilled.evaluate_within(&input, &Silent, limits).unwrap()
    }
}

/// Four codes, two of them put together.
fn meaning(code: u32) -> u32 {
    u32::from(code == 1)
}

/// Every number of the documents but intervals, to 1e-9 of its value. Differences lose digits to each
/// other; [`differences_are_of_the_values`] looks at them.
fn compare(at: &str, found: &Value, expected: &Value) -> Result<(), TestCaseError> {
    match (found, expected) {
        (Value::Object(a), Value::Object(b)) => {
            let keys = |o: &serde_json::Map<String, Value>| -> Vec<String> {
                let own = o
                    .keys()
                    .filter(|k| !["drawn", "interval", "differences"].contains(&k.as_str()));
                own.cloned().collect()
            };
            prop_assert_eq!(keys(a), keys(b), "{}", at);
            for key in keys(a) {
                compare(&format!("{at}/{key}"), &a[&key], &b[&key])?;
            }
        }
        (Value::Array(a), Value::Array(b)) => {
            prop_assert_eq!(a.len(), b.len(), "{}", at);
            for (i, (a, b)) in a.iter().zip(b).enumerate() {
                compare(&format!("{at}/{i}"), a, b)?;
            }
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            prop_assert!(
                (a - b).abs() <= 1e-9 * b.abs().max(1e-3),
                "{at}: {a}, not {b}"
            );
        }
        _ => prop_assert_eq!(found, expected, "{}", at),
    }
    Ok(())
}

fn differences_are_of_the_values(found: &Evaluation) -> Result<(), TestCaseError> {
    for scope in found.results.iter().map(|result| &result.overall) {
        let [model, rule] = &scope.scores[..] else {
            return Err(TestCaseError::fail("two sets"));
        };
        prop_assert!(rule.differences.is_empty());
        for metric in Metric::ALL {
            let expected = model
                .value(metric)
                .zip(rule.value(metric))
                .map(|(a, b)| a - b);
            let found = model.difference(metric).and_then(|score| score.value);
            prop_assert_eq!(found, expected);
        }
    }
    Ok(())
}

fn document(evaluation: &Evaluation) -> Value {
    serde_json::from_str(&evaluation.to_json().unwrap()).unwrap()
}

/// Values with ties, zeros and what lies between; now and then all the same.
fn values() -> impl Strategy<Value = Vec<f64>> {
    let value = prop_oneof![
        3 => Just(0.0),
        1 => Just(-0.0),
        3 => (0u8..6).prop_map(f64::from),
        2 => 0.0..1000.0f64,
        1 => (-9i32..9).prop_map(|e| 10f64.powi(e)),
    ];
    prop_oneof![
        8 => prop::collection::vec(value, 480),
        1 => (0u8..3).prop_map(|v| vec![f64::from(v); 480]),
    ]
}

fn data() -> impl Strategy<Value = Data> {
    let immature = prop::collection::vec(prop::bool::weighted(0.2), 480);
    let codes = prop::collection::vec(0u32..4, 240);
    let rows = prop_oneof![1 => 1usize..4, 3 => 4usize..240];
    let parts = (rows, values(), immature, values(), values(), codes);
    parts.prop_map(
        |(rows, mut labels, immature, mut first, mut second, mut codes)| {
            for (label, immature) in labels.iter_mut().zip(immature) {
                *label = if immature { f64::NAN } else { *label };
            }
            for column in [&mut labels, &mut first, &mut second] {
                column.truncate(2 * rows);
            }
            codes.truncate(rows);
            Data {
                labels,
                sets: [first, second],
                codes,
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// All metrics, differences, deciles, curves, shares and counts, whatever the sizes of chunks
    /// and buffers, and how many levels of merging they take.
    #[test]
    fn files_and_memory_agree(
        data in data(),
        chunk in 1usize..100,
        fan_in in 2usize..9,
        buffer in 8usize..200,
        whole in prop_oneof![Just(0u64), Just(60), Just(1000)],
    ) {
        let limits = Limits { whole, chunk, fan_in, buffer, ..limits() };
        let found = data.through_files(limits, None);
        compare("", &document(&found), &document(&data.in_memory(None)))?;
        differences_are_of_the_values(&found)?;
    }
}

/// A third worth nothing, the others long-tailed; one set that knows something, one of three values.
fn many(rows: usize) -> Data {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut draw = || random.random_range(0.0..1.0f64);
    let (mut labels, mut first, mut second, mut codes) = (vec![], vec![], vec![], vec![]);
    for row in 0..rows {
        let worth = if draw() < 0.35 {
            0.0
        } else {
            (3.0 * draw() + draw()).exp()
        };
        labels.extend([
            worth,
            if row % 7 == 0 {
                f64::NAN
            } else {
                1.5 * worth + draw().round()
            },
        ]);
        let guess = 0.8 * worth + 9.0 * draw();
        first.extend([guess, guess * (1.4 + 0.2 * draw())]);
        let rule = if worth > 5.0 {
            9.0
        } else {
            (2.0 * draw()).round()
        };
        second.extend([rule, rule]);
        codes.push((row % 4) as u32);
    }
    Data {
        labels,
        sets: [first, second],
        codes,
    }
}

/// What fits is measured as ever, down to the bits of intervals.
#[test]
fn small_scopes_are_the_same_to_the_bit() {
    let data = many(600);
    let bootstrap = Some(Bootstrap {
        replicates: 30,
        seed: 5,
    });
    let limits = Limits {
        whole: 600,
        ..limits()
    };
    assert_eq!(
        data.through_files(limits, bootstrap),
        data.in_memory(bootstrap)
    );
}

/// Intervals from a quarter of the rows against those from all of them: their ends differ by noise of
/// 400 replicates (7 % of the width) and of the draw. `DecileMAPE` divides by the means of deciles, of
/// which the drawn rows leave 200 each.
#[test]
fn intervals_from_some_rows_are_near_those_from_all() {
    let data = many(8000);
    let bootstrap = Some(Bootstrap {
        replicates: 400,
        seed: 5,
    });
    let limits = Limits {
        drawn: 2000,
        chunk: 1000,
        buffer: 4096,
        ..limits()
    };
    let (some, all) = (
        data.through_files(limits, bootstrap),
        data.in_memory(bootstrap),
    );
    let said = |evaluation: &Evaluation| {
        let words = "from 2000 users at most";
        [evaluation.summary(), evaluation.details()].map(|text| text.contains(words))
    };
    assert_eq!((said(&some), said(&all)), ([true; 2], [false; 2]));
    let (some, all) = (&some.results[0].overall, &all.results[0].overall);
    assert_eq!((some.drawn, all.drawn), (Some(2000), None));
    let mut checked = 0;
    for (some, all) in some.scores.iter().zip(&all.scores) {
        let pairs = some.metrics.iter().chain(&some.differences);
        for (found, expected) in pairs.zip(all.metrics.iter().chain(&all.differences)) {
            let (Some(a), Some(b)) = (found.interval, expected.interval) else {
                assert_eq!(found.interval.is_some(), expected.interval.is_some());
                continue;
            };
            let (width, what) = (b.high - b.low, found.metric.name());
            let (low, high) = ((a.low - b.low).abs(), (a.high - b.high).abs());
            let most = match found.metric {
                Metric::DecileMape => 0.8 * width,
                _ => 0.3 * width + 1e-12,
            };
            assert!(low <= most && high <= most, "{what}: {a:?} {b:?}");
            checked += 1;
        }
    }
    assert!(checked >= 3 * Metric::COUNT - 6, "{checked}");
}

#[test]
fn what_is_wrong_is_named_by_its_row() {
    let folder = tempfile::tempdir().unwrap();
    let options = SpillOptions {
        folder: folder.path().to_path_buf(),
        memory: 1 << 20,
    };
    let create = |sets: &[&str]| {
        let sets = sets.iter().map(|&s| s.to_owned()).collect();
        Spill::new(&horizons(), sets, 0, options.clone())
    };
    assert_eq!(create(&[]).unwrap_err(), EvalError::NoPredictions);
    assert!(matches!(
        create(&["a", "a"]),
        Err(EvalError::DuplicateName { .. })
    ));
    let mut spill = create(&["a"]).unwrap();
    let mut add = |labels: &[f64], set: &[f64]| {
        spill.add(&Block {
            labels,
            predictions: &[set],
            codes: &[],
        })
    };
    add(&[1.0; 4], &[1.0; 4]).unwrap();
    let error = add(&[1.0, 1.0, -1.0, 1.0], &[1.0; 4])
        .unwrap_err()
        .to_string();
    assert!(error.contains("ltv_30, row 4"), "{error}");
    let error = add(&[1.0; 4], &[1.0, f64::NAN, 1.0, 1.0])
        .unwrap_err()
        .to_string();
    assert!(error.contains("'a', column ltv_90, row 3"), "{error}");
    assert!(matches!(
        add(&[1.0; 4], &[1.0; 2]),
        Err(EvalError::Shape { .. })
    ));
    let nowhere = SpillOptions {
        folder: folder.path().join("no"),
        memory: 1 << 20,
    };
    let error = Spill::new(&horizons(), vec!["a".to_owned()], 0, nowhere).unwrap_err();
    assert_eq!(error.fault(), ltv_core::Fault::User);
}

#[test]
fn rows_come_back_without_immature_ones() {
    let data = many(100);
    let (_folder, spilled) = data.spilled(9, 0);
    let (mut labels, mut first, mut codes) = (vec![], vec![], vec![]);
    spilled
        .read(1, |block| {
            labels.extend_from_slice(block.labels);
            first.extend_from_slice(&block.predictions[0]);
            codes.extend_from_slice(&block.codes[0]);
        })
        .unwrap();
    let mature = || (0..100).filter(|row| row % 7 != 0);
    assert!(
        labels
            .iter()
            .copied()
            .eq(mature().map(|row| data.labels[2 * row + 1]))
    );
    assert!(
        first
            .iter()
            .copied()
            .eq(mature().map(|row| data.sets[0][2 * row + 1]))
    );
    assert!(
        codes
            .iter()
            .copied()
            .eq(mature().map(|row| data.codes[row]))
    );
    assert_eq!((spilled.mature(0), spilled.mature(1)), (100, 85));
}

#[test]
fn a_few_hundred_bytes_a_row_fit() {
    let options = SpillOptions {
        folder: PathBuf::new(),
        memory: 512 << 20,
    };
    let rows = options.rows_in_memory(4, 4, 2);
    assert!((1_000_000..1_500_000).contains(&rows), "{rows}");
}
