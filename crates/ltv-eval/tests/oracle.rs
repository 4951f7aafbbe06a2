//! Every metric against a slow implementation straight from its definition.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use ltv_eval::{Metric, Scores, score};
use proptest::prelude::*;

fn sum(x: &[f64]) -> f64 {
    x.iter().sum()
}

/// Height of the Lorenz curve of `x` at every `i / n`.
fn lorenz(x: &[f64]) -> Vec<f64> {
    let mut sorted = x.to_vec();
    sorted.sort_by(|a, b| b.partial_cmp(a).unwrap());
    (0..=x.len()).map(|i| sum(&sorted[..i]) / sum(x)).collect()
}

/// Height of the gain curve at `i / n`: each row takes its share of the first `i` places, a tie
/// being spread evenly over the places it covers.
fn gain(y: &[f64], p: &[f64]) -> Vec<f64> {
    let n = p.len();
    (0..=n)
        .map(|i| {
            let share = |row: usize| {
                let above = p.iter().filter(|&&q| q > p[row]).count() as f64;
                let tied = p.iter().filter(|&&q| q == p[row]).count() as f64;
                ((i as f64 - above) / tied).clamp(0.0, 1.0)
            };
            (0..n).map(|row| y[row] * share(row)).sum::<f64>() / sum(y)
        })
        .collect()
}

/// Height at a fraction of a curve given at `i / n`.
fn at(curve: &[f64], x: f64) -> f64 {
    let place = x * (curve.len() - 1) as f64;
    let i = (place.floor() as usize).min(curve.len() - 2);
    curve[i] + (place - i as f64) * (curve[i + 1] - curve[i])
}

/// Integral of `|a - b|` by midpoints on a fine grid.
fn grid_area(a: &[f64], b: &[f64]) -> f64 {
    const STEPS: usize = 20_000;
    let midpoint = |k: usize| (k as f64 + 0.5) / STEPS as f64;
    (0..STEPS)
        .map(|k| (at(a, midpoint(k)) - at(b, midpoint(k))).abs())
        .sum::<f64>()
        / STEPS as f64
}

/// Gini as the mean absolute difference of all pairs over twice the mean.
fn gini(x: &[f64]) -> f64 {
    let n = x.len() as f64;
    let pairs: f64 = x
        .iter()
        .map(|a| x.iter().map(|b| (a - b).abs()).sum::<f64>())
        .sum();
    pairs / (2.0 * n * sum(x))
}

/// 1 + how many are larger + half of how many others are equal.
fn ranks(x: &[f64]) -> Vec<f64> {
    let rank = |a: &f64| {
        let above = x.iter().filter(|b| *b > a).count() as f64;
        let tied = x.iter().filter(|b| *b == a).count() as f64;
        above + (tied + 1.0) / 2.0
    };
    x.iter().map(rank).collect()
}

fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let (ma, mb) = (sum(a) / a.len() as f64, sum(b) / b.len() as f64);
    let dot =
        |f: fn(f64, f64) -> f64| -> f64 { a.iter().zip(b).map(|(x, y)| f(x - ma, y - mb)).sum() };
    let (xx, yy) = (dot(|x, _| x * x), dot(|_, y| y * y));
    (xx > 0.0 && yy > 0.0).then(|| dot(|x, y| x * y) / (xx * yy).sqrt())
}

fn auc(y: &[f64], p: &[f64]) -> Option<f64> {
    let (mut right, mut pairs) = (0.0, 0.0);
    for i in (0..y.len()).filter(|&i| y[i] > 0.0) {
        for j in (0..y.len()).filter(|&j| y[j] == 0.0) {
            right += if p[i] > p[j] {
                1.0
            } else if p[i] == p[j] {
                0.5
            } else {
                0.0
            };
            pairs += 1.0;
        }
    }
    (pairs > 0.0).then(|| right / pairs)
}

fn close(found: Option<f64>, expected: Option<f64>, tolerance: f64) -> bool {
    match (found, expected) {
        (Some(a), Some(b)) => (a - b).abs() <= tolerance * b.abs().max(1.0),
        (a, b) => a.is_none() && b.is_none(),
    }
}

fn check(scores: &Scores, metric: Metric, expected: Option<f64>) -> Result<(), TestCaseError> {
    let found = scores.value(metric);
    prop_assert!(
        close(found, expected, 1e-11),
        "{metric:?}: {found:?} expected {expected:?}"
    );
    Ok(())
}

fn check_errors(s: &Scores, y: &[f64], p: &[f64]) -> Result<(), TestCaseError> {
    let n = y.len() as f64;
    let e: Vec<f64> = p.iter().zip(y).map(|(p, y)| p - y).collect();
    let bias = sum(&e) / n;
    let known = sum(y) > 0.0;
    let rmse = (e.iter().map(|e| e * e).sum::<f64>() / n).sqrt();
    let mae = e.iter().map(|e| e.abs()).sum::<f64>() / n;
    let variance = e.iter().map(|e| (e - bias).powi(2)).sum::<f64>() / n;
    check(s, Metric::NRMSE, known.then(|| rmse / (sum(y) / n)))?;
    check(s, Metric::NMAE, known.then(|| mae / (sum(y) / n)))?;
    check(s, Metric::CalibrationRatio, known.then(|| sum(p) / sum(y)))?;
    check(s, Metric::Bias, Some(bias))?;
    check(s, Metric::AMBE, Some(bias.abs()))?;
    check(s, Metric::BiasSe, Some((variance / n).sqrt()))
}

fn check_ranks(s: &Scores, y: &[f64], p: &[f64]) -> Result<(), TestCaseError> {
    check(s, Metric::Spearman, correlation(&ranks(y), &ranks(p)))?;
    check(s, Metric::Auc, auc(y, p))?;
    let known = sum(y) > 0.0;
    let different = y.iter().any(|&v| v != y[0]);
    let mean = |curve: &[f64]| sum(&curve[1..]) / y.len() as f64;
    let ratio = (2.0 * mean(&gain(y, p)) - 1.0) / (2.0 * mean(&gain(y, y)) - 1.0);
    check(s, Metric::NormGini, (known && different).then_some(ratio))?;
    let tops = [
        (0.01, Metric::Capture1, Metric::IdealCapture1),
        (0.05, Metric::Capture5, Metric::IdealCapture5),
        (0.1, Metric::Capture10, Metric::IdealCapture10),
        (0.2, Metric::Capture20, Metric::IdealCapture20),
    ];
    for (top, capture, ideal) in tops {
        check(s, capture, known.then(|| at(&gain(y, p), top)))?;
        check(s, ideal, known.then(|| at(&lorenz(y), top)))?;
    }
    Ok(())
}

fn check_curves(s: &Scores, y: &[f64], p: &[f64]) -> Result<(), TestCaseError> {
    let (label, prediction) = (sum(y) > 0.0, sum(p) > 0.0);
    check(s, Metric::LabelGini, label.then(|| gini(y)))?;
    check(s, Metric::PredGini, prediction.then(|| gini(p)))?;
    let area = (label && prediction).then(|| grid_area(&lorenz(y), &lorenz(p)));
    let found = s.value(Metric::MutualGini);
    prop_assert!(
        close(found, area, 1e-5),
        "Mutual Gini {found:?}, on a grid {area:?}"
    );
    Ok(())
}

/// Labels of tied predictions replaced by their mean, then cut by place.
fn check_deciles(s: &Scores, y: &[f64], p: &[f64]) -> Result<(), TestCaseError> {
    let n = y.len();
    let mut rows: Vec<usize> = (0..n).collect();
    rows.sort_by(|&a, &b| p[b].partial_cmp(&p[a]).unwrap());
    let mean = |row: usize| {
        let tied: Vec<f64> = (0..n).filter(|&i| p[i] == p[row]).map(|i| y[i]).collect();
        sum(&tied) / tied.len() as f64
    };
    let mut errors = Vec::new();
    let mut expected = Vec::new();
    for d in 0..10 {
        let part = &rows[n * d / 10..n * (d + 1) / 10];
        if part.is_empty() {
            continue;
        }
        let len = part.len() as f64;
        let label = part.iter().map(|&r| mean(r)).sum::<f64>() / len;
        let prediction = part.iter().map(|&r| p[r]).sum::<f64>() / len;
        expected.push((d + 1, part.len(), prediction, label));
        if label > 0.0 {
            errors.push((prediction - label).abs() / label);
        }
    }
    prop_assert_eq!(s.deciles.len(), expected.len());
    for (found, (d, len, prediction, label)) in s.deciles.iter().zip(expected) {
        prop_assert_eq!((found.decile as usize, found.rows as usize), (d, len));
        prop_assert!(close(Some(found.mean_prediction), Some(prediction), 1e-12));
        prop_assert!(close(Some(found.mean_label), Some(label), 1e-12));
        prop_assert_eq!(found.ratio.is_some(), label > 0.0);
    }
    let mape = (!errors.is_empty()).then(|| sum(&errors) / errors.len() as f64);
    check(s, Metric::DecileMape, mape)
}

fn check_all(y: &[f64], p: &[f64]) -> Result<(), TestCaseError> {
    let scores = score("oracle", y, p).unwrap();
    check_errors(&scores, y, p)?;
    check_ranks(&scores, y, p)?;
    check_curves(&scores, y, p)?;
    check_deciles(&scores, y, p)
}

/// Few distinct values and many zeros, so that ties are everywhere.
fn tied() -> impl Strategy<Value = f64> {
    prop_oneof![3 => Just(0.0), 3 => (0u8..4).prop_map(f64::from), 1 => 0.0..50.0]
}

/// Continuous, with a tail.
fn spread() -> impl Strategy<Value = f64> {
    (-3.0..6.0f64).prop_map(f64::exp)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn tied_data(rows in prop::collection::vec((tied(), tied()), 1..60)) {
        let (y, p): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
        check_all(&y, &p)?;
    }

    #[test]
    fn zero_heavy_labels_and_continuous_predictions(
        rows in prop::collection::vec((tied(), spread()), 1..60),
    ) {
        let (y, p): (Vec<f64>, Vec<f64>) = rows.into_iter().unzip();
        check_all(&y, &p)?;
    }

    #[test]
    fn mutual_gini_of_a_permutation_is_zero(
        (y, p) in prop::collection::vec(prop_oneof![tied(), spread()], 1..80)
            .prop_flat_map(|y| (Just(y.clone()), Just(y).prop_shuffle())),
    ) {
        let found = score("shuffled", &y, &p).unwrap().value(Metric::MutualGini);
        prop_assert_eq!(found, (sum(&y) > 0.0).then_some(0.0));
    }

    #[test]
    fn the_order_of_rows_does_not_matter(
        (rows, shuffled) in prop::collection::vec((tied(), tied()), 1..60)
            .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
    ) {
        let split = |rows: Vec<(f64, f64)>| -> (Vec<f64>, Vec<f64>) { rows.into_iter().unzip() };
        let ((y, p), (z, q)) = (split(rows), split(shuffled));
        let (a, b) = (score("a", &y, &p).unwrap(), score("a", &z, &q).unwrap());
        for metric in Metric::ALL {
            prop_assert!(close(a.value(metric), b.value(metric), 1e-12), "{:?}", metric);
        }
    }

    #[test]
    fn immature_rows_are_as_if_absent(rows in prop::collection::vec((tied(), tied(), any::<bool>()), 1..60)) {
        let y: Vec<f64> = rows.iter().map(|r| if r.2 { f64::NAN } else { r.0 }).collect();
        let p: Vec<f64> = rows.iter().map(|r| r.1).collect();
        let kept: Vec<_> = rows.iter().filter(|r| !r.2).collect();
        let (ky, kp): (Vec<f64>, Vec<f64>) = kept.iter().map(|r| (r.0, r.1)).unzip();
        prop_assert_eq!(score("a", &y, &p).unwrap(), score("a", &ky, &kp).unwrap());
    }
}

#[test]
fn single_rows() {
    for (y, p) in [(0.0, 0.0), (0.0, 2.0), (3.0, 0.0), (3.0, 2.0)] {
        check_all(&[y], &[p]).unwrap();
    }
}

#[test]
fn by_hand() {
    // Labels 4, 0, 2, 0 predicted 3, 2, 2, 1. Errors -1, 2, 0, 1; mean label 1.5.
    let s = score("by hand", &[4.0, 0.0, 2.0, 0.0], &[3.0, 2.0, 2.0, 1.0]).unwrap();
    let is = |metric, expected: f64| {
        let found = s.value(metric).unwrap();
        assert!(
            (found - expected).abs() < 1e-15,
            "{metric:?}: {found} expected {expected}"
        );
    };
    is(Metric::NRMSE, 1.5f64.sqrt() / 1.5);
    is(Metric::NMAE, 1.0 / 1.5);
    is(Metric::Bias, 0.5);
    is(Metric::BiasSe, (1.25f64 / 4.0).sqrt());
    is(Metric::CalibrationRatio, 8.0 / 6.0);
    // Lorenz curves 4/6, 1, 1, 1 and 3/8, 5/8, 7/8, 1.
    is(
        Metric::LabelGini,
        2.0 * (1.0 / 3.0 + 5.0 / 6.0 + 1.0 + 1.0) / 4.0 - 1.0,
    );
    is(
        Metric::PredGini,
        2.0 * (3.0 / 16.0 + 0.5 + 0.75 + 15.0 / 16.0) / 4.0 - 1.0,
    );
    is(
        Metric::MutualGini,
        (2.0 / 3.0 - 3.0 / 8.0 + 3.0 / 8.0 + 1.0 / 8.0) / 4.0,
    );
    // Gain 4/6, 5/6, 1, 1 against 4/6, 1, 1, 1.
    is(
        Metric::NormGini,
        (2.0 * 3.5 / 4.0 - 1.0) / (2.0 * (11.0 / 3.0) / 4.0 - 1.0),
    );
    // Three of four pairs right, one tied.
    is(Metric::Auc, 3.5 / 4.0);
    is(Metric::Capture20, 0.8 * 4.0 / 6.0);
}

#[test]
fn huge_numbers_are_refused_not_shown() {
    let s = score("huge", &[1e308, 1e308, 0.0], &[0.0, 1e300, 1e308]).unwrap();
    assert_eq!(
        s.score(Metric::NRMSE).unwrap().reason,
        Some(ltv_eval::Null::Overflow)
    );
    assert!(
        Metric::ALL
            .iter()
            .filter_map(|&m| s.value(m))
            .all(f64::is_finite)
    );
    assert!(s.curves.is_none());
}
