//! Simulated customers, the CDNOW customers and slow oracles, for tests.

use super::{History, Spend};
use arrow::{
    array::AsArray,
    datatypes::{Float64Type, Int32Type, TimestampMicrosecondType},
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution, Exp, Gamma};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::Path,
};

pub(super) fn assert_close(found: f64, expected: f64, relative: f64) {
    assert!(
        (found - expected).abs() <= relative * expected.abs(),
        "{found} is not {expected}"
    );
}

pub(super) fn seen(repeats: u32, recency: f64, age: f64) -> History {
    History {
        repeats,
        recency,
        age,
    }
}

/// Derivative of a function of some parameters by each of them, by central differences.
pub(super) fn differences<const N: usize>(at: [f64; N], f: impl Fn([f64; N]) -> f64) -> [f64; N] {
    std::array::from_fn(|i| {
        let step = 1e-5 * at[i];
        let moved = |by: f64| {
            let mut p = at;
            p[i] += by;
            f(p)
        };
        (8.0 * (moved(step) - moved(-step)) - (moved(2.0 * step) - moved(-2.0 * step)))
            / (12.0 * step)
    })
}

/// Integral over `[0, infinity)` by the trapezoidal rule in the logarithm, which converges
/// exponentially for smooth integrands: a slow oracle that shares no code with the models.
pub(super) fn integral(f: impl Fn(f64) -> f64) -> f64 {
    let (low, step, n) = (-46.0, 0.1, 600);
    let terms = (0..n).map(|i| {
        let x = f64::exp(low + step * f64::from(i));
        f(x) * x * step
    });
    terms.filter(|t| t.is_finite()).sum()
}

/// Integral over `(0, 1)`, by the same rule in the log-odds. The function gets `p` and `1 - p`.
pub(super) fn unit_integral(f: impl Fn(f64, f64) -> f64) -> f64 {
    integral(|odds| {
        let q = 1.0 / (1.0 + odds);
        f(odds * q, q) * q * q
    })
}

fn gamma(shape: f64, rate: f64) -> Gamma<f64> {
    Gamma::new(shape, 1.0 / rate).unwrap()
}

/// How long customer `i` is observed: 27 to 39 time units.
fn age(i: u32) -> f64 {
    27.0 + f64::from(i % 85) / 7.0
}

/// Times of purchases in `(0, age]`, where a customer of this rate leaves when `leaves` says so.
fn purchases(
    rng: &mut ChaCha8Rng,
    rate: f64,
    age: f64,
    mut leaves: impl FnMut(&mut ChaCha8Rng) -> bool,
) -> History {
    let gap = Exp::new(rate.max(1e-12)).unwrap();
    let (mut now, mut history) = (0.0, seen(0, 0.0, age));
    loop {
        now += gap.sample(rng);
        if now > age {
            return history;
        }
        history.repeats += 1;
        history.recency = now;
        if leaves(rng) {
            return history;
        }
    }
}

/// Customers of a BG/NBD model with continuous times.
pub(crate) fn bgnbd_customers([r, alpha, a, b]: [f64; 4], n: u32, seed: u64) -> Vec<History> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (rates, chances) = (gamma(r, alpha), Beta::new(a, b).unwrap());
    let one = |i| {
        let (rate, p) = (rates.sample(&mut rng), chances.sample(&mut rng));
        purchases(&mut rng, rate, age(i), |rng| {
            rand_distr::Bernoulli::new(p).unwrap().sample(rng)
        })
    };
    (0..n).map(one).collect()
}

/// Customers of a Pareto/NBD model with continuous times.
pub(super) fn pareto_customers([r, alpha, s, beta]: [f64; 4], n: u32, seed: u64) -> Vec<History> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (rates, leaving) = (gamma(r, alpha), gamma(s, beta));
    let one = |i| {
        let (rate, mu) = (rates.sample(&mut rng), leaving.sample(&mut rng));
        let life = Exp::new(mu.max(1e-12)).unwrap().sample(&mut rng);
        let until = age(i).min(life);
        History {
            age: age(i),
            ..purchases(&mut rng, rate, until, |_| false)
        }
    };
    (0..n).map(one).collect()
}

/// Customers of a Gamma-Gamma model with 1 to 12 purchase days.
pub(super) fn spenders([p, q, rate]: [f64; 3], n: u32, seed: u64) -> Vec<Spend> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let nus = gamma(q, rate);
    let one = |i| {
        let days = 1 + i % 12;
        let nu = nus.sample(&mut rng);
        let sum = gamma(p * f64::from(days), nu).sample(&mut rng);
        Spend {
            days,
            mean: sum / f64::from(days),
        }
    };
    (0..n).map(one).collect()
}

/// Value by day (since 1970) of every CDNOW customer.
type Days = BTreeMap<i32, BTreeMap<i64, f64>>;

/// CDNOW customers up to 1997-09-30: histories in weeks, and the spend of repeat days of those who
/// have any. `None`, with the reason printed, where the data is absent.
pub(super) fn cdnow(sample: bool) -> Option<(Vec<History>, Vec<Spend>)> {
    const END: i64 = 10_134; // 1997-09-30
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let log = shared.join("cdnow.parquet");
    if !log.exists() {
        println!("skipped: {} is not there", log.display());
        return None;
    }
    let wanted: BTreeSet<i32> = std::fs::read_to_string(shared.join("cdnow_sample_ids.csv"))
        .unwrap()
        .lines()
        .skip(1)
        .map(|line| line.trim().parse().unwrap())
        .collect();
    let mut customers = days(&log, END);
    customers.retain(|id, _| !sample || wanted.contains(id));
    let weeks = |from: i64, to: i64| (to - from) as f64 / 7.0;
    let mut spends = vec![];
    let mut histories = vec![];
    for days in customers.values() {
        let (first, last) = (*days.keys().next().unwrap(), *days.keys().last().unwrap());
        let repeats = days.len() as u32 - 1;
        histories.push(seen(repeats, weeks(first, last), weeks(first, END)));
        if repeats > 0 {
            let sum: f64 = days.values().skip(1).sum();
            let mean = sum / f64::from(repeats);
            spends.push(Spend {
                days: repeats,
                mean,
            });
        }
    }
    Some((histories, spends))
}

fn days(log: &Path, end: i64) -> Days {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(log).unwrap()).unwrap();
    let mut customers = Days::new();
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let column = |name| batch.column_by_name(name).unwrap();
        let users = column("user_id").as_primitive::<Int32Type>().values();
        let times = column("timestamp")
            .as_primitive::<TimestampMicrosecondType>()
            .values();
        let values = column("value").as_primitive::<Float64Type>().values();
        for ((user, time), value) in users.iter().zip(times).zip(values) {
            let day = time.div_euclid(86_400_000_000);
            if day <= end {
                *customers.entry(*user).or_default().entry(day).or_default() += value;
            }
        }
    }
    customers
}
