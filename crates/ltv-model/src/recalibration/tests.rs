//! Slopes of labels whose spread is known.

use super::*;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn sums(rows: impl IntoIterator<Item = [f64; 2]>) -> Sums {
    let mut sums = Sums::default();
    rows.into_iter()
        .for_each(|[x, label]| sums.add(x, x, label));
    sums
}

/// `n` expectations, spread evenly in their logarithm over `0.01..10`.
fn expectations(n: u32, seed: u64) -> impl Iterator<Item = f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(move |_| 10f64.powf(rng.random_range(-2.0..1.0)))
}

#[test]
fn labels_on_a_power_of_expectations() {
    for (factor, slope) in [(1.0, 1.0), (3.0, 0.8), (0.2, 1.3)] {
        let rows = expectations(5000, 1).map(|x| [x, factor * x.powf(slope)]);
        let (found, [variance, _]) = sums(rows).slope().unwrap();
        assert!((found - slope).abs() < 1e-4, "{found} for {slope}");
        assert!(variance < 1e-6, "{variance}");
    }
}

/// statsmodels 0.15.0: `GLM(y, add_constant(log(x)), Poisson()).fit(cov_type="HC0")`.
#[test]
fn as_a_library_for_statistics_has_it() {
    let x = [
        0.2, 0.35, 0.5, 0.8, 1.1, 1.7, 2.4, 3.6, 5.0, 9.0, 14.0, 30.0,
    ];
    let y = [0.0, 1.0, 0.0, 2.0, 0.0, 3.0, 1.0, 0.0, 9.0, 4.0, 20.0, 11.0];
    // Ten times over, so that there are rows enough.
    let rows = (0..10).flat_map(|_| x.into_iter().zip(y).map(|(x, y)| [x, y]));
    let (slope, [variance, _]) = sums(rows).slope().unwrap();
    let variance = 10.0 * variance;
    assert!((slope - SLOPE).abs() < 1e-9, "{slope}");
    assert!((variance - VARIANCE).abs() < 1e-9, "{variance}");
}
const SLOPE: f64 = 0.771_637_970_111_586;
const VARIANCE: f64 = 0.024_511_816_490_094;

/// Users are told apart by twice their logarithmic distance: half of it is taken back, and what was
/// expected of all together stays.
#[test]
fn too_wide_a_spread_is_taken_back() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let truth: Vec<f64> = expectations(50_000, 2).map(f64::sqrt).collect();
    let mut sums = Sums::default();
    for (i, &mean) in truth.iter().enumerate() {
        let expectation = mean * mean;
        // With odds of one in ten the tenfold: noisier than a Poisson variable.
        let label = if rng.random_bool(0.1) {
            10.0 * mean
        } else {
            0.0
        };
        let label = if i % 5 == 0 { f64::NAN } else { label };
        sums.add(expectation, 0.5 * expectation, label);
    }
    let map = sums.recalibration();
    assert!((map.slope - 0.5).abs() < 0.03, "{map:?}");
    let today = truth.iter().map(|mean| 0.5 * mean * mean);
    let values: f64 = today.clone().map(|x| map.at(x, f64::INFINITY)).sum();
    assert!((values / today.sum::<f64>() - 1.0).abs() < 1e-3);
}

/// As payments are: one user in twenty has a label, of any size, and expectations are right. Slopes stay near
/// 1 whether or not the few large labels are among the rows.
#[test]
fn few_rows_say_little() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let mut off = vec![];
    for seed in 0..200 {
        let row = |x: f64| {
            // A log-normal factor of mean 1 and a standard deviation of 1.3 in logarithms.
            let normal: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
            let label = 20.0 * x * (1.3 * normal - 0.845).exp();
            [x, if rng.random_bool(0.05) { label } else { 0.0 }]
        };
        let found = sums(expectations(120, seed).map(row)).recalibration();
        off.push((found.slope - 1.0).abs());
    }
    off.sort_by(f64::total_cmp);
    assert!(
        off[100] < 0.1 && off[180] < 0.3,
        "{} {}",
        off[100],
        off[180]
    );
}

#[test]
fn nothing_to_go_by() {
    let none: [[[f64; 2]; 2]; 4] = [
        [[1.0, 0.0], [2.0, 0.0]],
        [[1.0, 1.0], [1.0, 3.0]],
        [[0.0, 1.0], [0.0, 2.0]],
        [[1.0, f64::NAN], [2.0, f64::NAN]],
    ];
    assert_eq!(
        sums([[1.0, 0.1], [10.0, 10.0]]).recalibration(),
        Recalibration::NONE,
        "two rows lie on any line"
    );
    for rows in none.map(|rows| rows.repeat(100)) {
        assert_eq!(
            sums(rows.iter().copied()).recalibration(),
            Recalibration::NONE,
            "{rows:?}"
        );
    }
    assert_eq!(recalibrated(&[Sums::default(), Sums::default()]), None);
}

#[test]
fn values_end_where_labels_do() {
    let map = Recalibration {
        slope: 1.5,
        factor: 2.0,
    };
    assert_eq!(
        [0.0, 1.0, 4.0, 9.0, 99.0].map(|x| map.at(x, 30.0)),
        [0.0, 2.0, 16.0, 30.0, 99.0]
    );
    assert!(map.at(f64::NAN, 30.0).is_nan());
}

proptest! {
    /// Whatever the rows, a map can be made with, and keeps users in order.
    #[test]
    fn order_is_kept(
        rows in prop::collection::vec((1e-6f64..1e6, 0.0f64..1e6), 90..160),
        a in 0.0f64..1e6,
        b in 0.0f64..1e6,
    ) {
        let map = sums(rows.into_iter().map(|(x, y)| [x, y])).recalibration();
        prop_assert!(map.is_sound(), "{map:?}");
        let (low, high) = (map.at(a.min(b), 1e7), map.at(a.max(b), 1e7));
        prop_assert!(low <= high && low >= 0.0 && high.is_finite());
    }

    /// The slope maximises the pseudo-likelihood: it is no less anywhere near.
    #[test]
    fn nothing_near_is_likelier(rows in prop::collection::vec((0.1f64..10.0, 0.0f64..9.0), 100..140)) {
        let Some((slope, _)) = sums(rows.iter().map(|&(x, y)| [x, y])).slope() else {
            return Ok(());
        };
        // The constant that is best for a slope is known in closed form.
        let likelihood = |slope: f64| {
            let powers: f64 = rows.iter().map(|(x, _)| x.powf(slope)).sum();
            let labels: f64 = rows.iter().map(|(_, y)| y).sum();
            let mean = |x: f64| labels / powers * x.powf(slope);
            rows.iter().map(|&(x, y)| y * mean(x).ln() - mean(x)).sum::<f64>()
        };
        for step in [-0.05, 0.05] {
            prop_assert!(likelihood(slope) >= likelihood(slope + step) - 1e-6, "{slope}");
        }
    }
}
