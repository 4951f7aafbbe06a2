//! Curves of populations whose labels are known.

use super::*;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn population(expectations: &[f64], labels: &[f64]) -> Population {
    let mut population = Population::default();
    expectations.iter().for_each(|x| population.expect(*x));
    labels.iter().for_each(|label| population.see(*label));
    population
}

fn curve(expectations: &[f64], labels: &[f64]) -> Curve {
    population(expectations, labels).curve().unwrap()
}

/// Expectations, and labels of which most are zero, and the higher the likelier and larger they are.
fn users(n: u32, seed: u64) -> (Vec<f64>, Vec<f64>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let user = |_| {
        let level: f64 = rng.random();
        let label = match rng.random_bool(0.5 * level) {
            true => 10.0 * level * -f64::ln(rng.random_range(1e-9..1.0)),
            false => 0.0,
        };
        (5.0 * level * level, label)
    };
    (0..n).map(user).unzip()
}

fn sum(values: &[f64]) -> f64 {
    values.iter().sum()
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values
}

/// The area between two Lorenz curves of as many values.
fn mutual_gini(a: &[f64], b: &[f64]) -> f64 {
    let lorenz = |values: &[f64]| {
        let (total, mut so_far) = (sum(values), 0.0);
        let share = |v: &f64| {
            so_far += v / total;
            so_far
        };
        sorted(values).iter().map(share).collect::<Vec<_>>()
    };
    let gaps = lorenz(a)
        .into_iter()
        .zip(lorenz(b))
        .map(|(x, y)| (x - y).abs());
    gaps.sum::<f64>() / a.len() as f64
}

#[test]
fn values_are_spread_as_labels_are() {
    let (expectations, labels) = users(20_000, 1);
    let curve = curve(&expectations, &labels);
    // Of ten thousandths of the tail there is no more than one user each.
    assert!(curve.knots().len() > 600, "{}", curve.knots().len());
    let values: Vec<f64> = expectations.iter().map(|x| curve.at(*x)).collect();
    let scale = sum(&expectations) / sum(&labels);
    let wanted: Vec<f64> = sorted(&labels).iter().map(|label| scale * label).collect();
    let apart: f64 = sorted(&values)
        .iter()
        .zip(&wanted)
        .map(|(a, b)| (a - b).abs())
        .sum();
    assert!(apart / sum(&wanted) < 0.01, "{apart} of {}", sum(&wanted));
    let total = sum(&values) / sum(&expectations);
    assert!((total - 1.0).abs() < 2e-3, "{total}");

    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|i, j| expectations[*i].total_cmp(&expectations[*j]));
    let in_order =
        |w: &[usize]| expectations[w[0]] == expectations[w[1]] || values[w[0]] < values[w[1]];
    assert!(order.windows(2).all(in_order));
}

/// Other users of the same kind, and fewer labels than users: what is matched is a population, not a
/// list.
#[test]
fn it_holds_for_users_who_were_no_part_of_it() {
    let ((expectations, _), (_, labels)) = (users(20_000, 3), users(8_000, 4));
    let curve = curve(&expectations, &labels);
    let (others, truth) = users(20_000, 5);
    let values: Vec<f64> = others.iter().map(|x| curve.at(*x)).collect();
    let (ours, theirs) = (mutual_gini(&values, &truth), mutual_gini(&others, &truth));
    assert!(ours < 0.01 && theirs > 0.15, "{ours} against {theirs}");
}

/// Whom the network does not tell apart shares what the ranks of all of them have.
#[test]
fn ties_share() {
    let expectations = [[0.2; 3000].as_slice(), [1.0; 1000].as_slice()].concat();
    // A tenth has a label, so that all of it is the better quarter's.
    let labels = [[0.0; 900].as_slice(), [8.0; 100].as_slice()].concat();
    let curve = curve(&expectations, &labels);
    assert_eq!(curve.knots().len(), 2);
    assert!((curve.at(0.2) - 0.0002).abs() < 1e-12, "{}", curve.at(0.2));
    assert!((curve.at(1.0) - 1.6).abs() < 1e-9, "{}", curve.at(1.0));
    let flat = self::curve(&[3.0; 50], &labels);
    assert!((flat.at(3.0) - 3.0).abs() < 1e-9, "{}", flat.at(3.0));
}

/// Half the labels of 2 and 6 are 2: users in the middle of ranks get what lies there.
#[test]
fn by_hand() {
    let curve = curve(&[1.0, 2.0, 3.0, 6.0], &[6.0, 2.0]);
    // The mean label is 4, the mean expectation 3.
    for (x, value) in [(1.0, 1.5), (2.0, 1.501), (3.0, 4.5), (6.0, 4.503)] {
        assert!((curve.at(x) - value).abs() < 1e-9, "{x}: {}", curve.at(x));
    }
}

#[test]
fn where_there_is_no_curve() {
    assert_eq!(population(&[], &[1.0]).curve(), None);
    assert_eq!(population(&[1.0], &[]).curve(), None);
    assert_eq!(population(&[1.0], &[f64::NAN]).curve(), None);
    assert_eq!(population(&[f64::NAN, -1.0], &[1.0]).curve(), None);
    let some = population(&[1.0], &[2.0, f64::NAN]);
    assert_eq!((some.positive(), some.curve().is_some()), (1, true));
    assert!((curve(&[3.0], &[0.0, 0.0]).at(3.0) - 0.003).abs() < 1e-12);
    assert_eq!(matching(&[]), None);
    assert_eq!(matching(&[some.clone(), Population::default()]), None);
    assert_eq!(
        matching(&[some]).map(|m| (m.rows, m.curves.len())),
        Some((1, 1))
    );
}

proptest! {
    /// Whatever the users, a curve rises, and can be loaded.
    #[test]
    fn curves_rise(
        expectations in prop::collection::vec(prop_oneof![Just(0.0), Just(1.0), 0.0f64..9.0], 1..300),
        labels in prop::collection::vec(prop_oneof![Just(0.0), 0.1f64..90.0], 1..300),
        mut at in prop::collection::vec(0.0f64..20.0, 2..20),
    ) {
        let curve = curve(&expectations, &labels);
        prop_assert!(curve.check().is_ok(), "{:?}", curve.check());
        at.sort_by(f64::total_cmp);
        for w in at.windows(2) {
            let rise = curve.at(w[1]) - curve.at(w[0]);
            prop_assert!(rise >= (w[1] - w[0]) * LEAST_SLOPE * (1.0 - 1e-9) - 1e-12, "{w:?}: {rise}");
        }
    }
}
