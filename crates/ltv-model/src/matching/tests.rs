//! Curves of populations whose distributions are known.

use super::*;
use crate::decode::{self, Component, Distribution, LogNormals, Mass};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// Buckets 0, [1, 5] and [5, 100].
struct User([Mass; 3]);

impl Distribution for User {
    fn expectation(&self) -> f64 {
        decode::expectation(&self.0)
    }
    fn quantile(&self, p: f64) -> f64 {
        decode::quantile(&self.0, p)
    }
    fn argmax(&self) -> f64 {
        f64::NAN
    }
    fn positive(&self) -> f64 {
        decode::positive(&self.0)
    }
    fn cumulate(&self, values: &[f64], each: &mut dyn FnMut(usize, f64, f64)) {
        decode::cumulate(&self.0, values, each);
    }
}

/// `level` in `[0, 1]`: how good a user is.
fn user(level: f64) -> User {
    let (low, high) = (0.3 * level, 0.3 * level * level);
    let mass = |left, width, probability, bias| Mass {
        left,
        width,
        probability,
        bias,
    };
    User([
        mass(0.0, 0.0, 1.0 - low - high, 0.0),
        mass(1.0, 4.0, low, 0.4),
        mass(5.0, 95.0, high, 0.1 + 0.2 * level),
    ])
}

fn steps(from: f64, to: f64, n: u32) -> impl Iterator<Item = f64> {
    (0..=n).map(move |i| from + (to - from) * f64::from(i) / f64::from(n))
}

fn grid() -> Arc<[f64]> {
    let mut grid = vec![0.0];
    grid.extend(steps(1.0, 5.0, 64));
    grid.extend(steps(5.0, 100.0, 64).skip(1));
    grid.into()
}

fn curve<D: Distribution>(grid: Arc<[f64]>, users: &[D]) -> Curve {
    let mut population = Population::new(grid);
    users.iter().for_each(|user| population.add(user));
    population.curve().unwrap()
}

/// By how much the shares of values up to `v` miss what is predicted, at most.
fn apart<D: Distribution>(users: &[D], values: &[f64], at: impl Iterator<Item = f64>) -> f64 {
    let n = users.len() as f64;
    let of = |v: f64| {
        let mut sum = 0.0;
        users
            .iter()
            .for_each(|u| u.cumulate(&[v], &mut |_, _, at_most| sum += at_most));
        let found = values.iter().filter(|value| **value <= v).count() as f64;
        (found / n - sum / n).abs()
    };
    at.map(of).fold(0.0, f64::max)
}

fn sum(values: &[f64]) -> f64 {
    values.iter().sum()
}

/// The area between two Lorenz curves of as many values, best first.
fn mutual_gini(a: &[f64], b: &[f64]) -> f64 {
    let lorenz = |values: &[f64]| {
        let mut sorted = values.to_vec();
        sorted.sort_by(|x, y| y.total_cmp(x));
        let (total, mut so_far) = (sum(&sorted), 0.0);
        let share = |v: &f64| {
            so_far += v / total;
            so_far
        };
        sorted.iter().map(share).collect::<Vec<_>>()
    };
    let gaps = lorenz(a)
        .into_iter()
        .zip(lorenz(b))
        .map(|(x, y)| (x - y).abs());
    gaps.sum::<f64>() / a.len() as f64
}

fn users(n: u32, seed: u64) -> Vec<User> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..n).map(|_| user(rng.random())).collect()
}

#[test]
fn values_are_spread_as_labels_are_predicted_to_be() {
    let users = users(20_000, 1);
    let curve = curve(grid(), &users);
    // Of ten thousandths of the tail there is no more than one user each.
    assert!(curve.knots().len() > 600, "{}", curve.knots().len());
    let expectations: Vec<f64> = users.iter().map(User::expectation).collect();
    let values: Vec<f64> = expectations.iter().map(|x| curve.at(*x)).collect();
    // A step between ranks, and the thousandth that users who are worth nothing get.
    let worst = apart(&users, &values, steps(0.1, 99.0, 500));
    assert!(worst < 1.0 / 480.0 + 1e-4, "{worst}");
    let total = sum(&values) / sum(&expectations);
    assert!((total - 1.0).abs() < 2e-3, "{total}");

    let mut order: Vec<usize> = (0..users.len()).collect();
    order.sort_by(|i, j| expectations[*i].total_cmp(&expectations[*j]));
    let in_order =
        |w: &[usize]| expectations[w[0]] == expectations[w[1]] || values[w[0]] < values[w[1]];
    assert!(order.windows(2).all(in_order));

    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let labels: Vec<f64> = users.iter().map(|u| u.quantile(rng.random())).collect();
    let (ours, mean) = (
        mutual_gini(&values, &labels),
        mutual_gini(&expectations, &labels),
    );
    assert!(ours < 0.005 && mean > 0.15, "{ours} against {mean}");
}

/// Other users of the same kind: what is matched is a population, not a list.
#[test]
fn it_holds_for_users_who_were_no_part_of_it() {
    let curve = curve(grid(), &users(20_000, 3));
    let others = users(20_000, 4);
    let values: Vec<f64> = others.iter().map(|u| curve.at(u.expectation())).collect();
    let worst = apart(&others, &values, steps(0.1, 99.0, 500));
    assert!(worst < 0.015, "{worst}");
}

#[test]
fn log_normals_too() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let user = |_| {
        let level: f64 = rng.random();
        LogNormals {
            positive: 0.1 + 0.5 * level,
            components: vec![Component {
                share: 1.0,
                location: 1.0 + level,
                scale: 0.5 + level,
            }],
            cap: 500.0,
        }
    };
    let users: Vec<LogNormals> = (0..10_000).map(user).collect();
    let grid: Vec<f64> = [0.0]
        .into_iter()
        .chain(steps(-3.0, 500f64.log10(), 288).map(|x| 10f64.powf(x)))
        .collect();
    let curve = curve(grid.into(), &users);
    let values: Vec<f64> = users.iter().map(|u| curve.at(u.expectation())).collect();
    let worst = apart(&users, &values, steps(0.1, 400.0, 300));
    assert!(worst < 1.0 / 480.0 + 1e-4, "{worst}");
}

/// Whom the network does not tell apart shares what the ranks of all of them have.
#[test]
fn ties_share() {
    let group = |level, n| (0..n).map(move |_| user(level));
    let all: Vec<User> = group(0.2, 3000).chain(group(0.9, 1000)).collect();
    let curve = curve(grid(), &all);
    let values: Vec<f64> = all.iter().map(|u| curve.at(u.expectation())).collect();
    let expectations: Vec<f64> = all.iter().map(User::expectation).collect();
    assert_eq!(curve.knots().len(), 2);
    let (ours, theirs) = (sum(&values), sum(&expectations));
    assert!((ours / theirs - 1.0).abs() < 1e-3, "{ours}, {theirs}");
    // The share of labels above zero is less than a quarter: all of it is the better users'.
    assert!(values[0] < 1e-3 * expectations[0] + 1e-9 && values[3999] > 9.0);
    let same: Vec<User> = group(0.5, 50).collect();
    let flat = self::curve(grid(), &same);
    let x = same[0].expectation();
    assert!((flat.at(x) / x - 1.0).abs() < 1e-3, "{} of {x}", flat.at(x));
}

#[test]
fn parts_add_up_and_nobody_has_no_curve() {
    let (a, b) = (users(500, 6), users(700, 7));
    let mut parts = Population::new(grid());
    assert_eq!(parts.curve(), None);
    for part in [&a, &b] {
        let mut own = Population::new(grid());
        part.iter().for_each(|u| own.add(u));
        parts.merge(&own);
    }
    let all: Vec<User> = a.into_iter().chain(b).collect();
    let (parts, whole) = (parts.curve().unwrap(), curve(grid(), &all));
    let near = |a: &f64, b: &f64| (a - b).abs() <= 1e-9 * b.abs();
    let pairs = parts
        .knots()
        .iter()
        .flatten()
        .zip(whole.knots().iter().flatten());
    assert!(
        parts.knots().len() == whole.knots().len() && pairs.into_iter().all(|(a, b)| near(a, b))
    );
}

proptest! {
    /// Whatever the users, a curve rises, and can be loaded.
    #[test]
    fn curves_rise(
        levels in prop::collection::vec(prop_oneof![Just(0.0), Just(1.0), 0.0f64..1.0], 1..300),
        mut at in prop::collection::vec(0.0f64..20.0, 2..20),
    ) {
        let users: Vec<User> = levels.iter().map(|level| user(*level)).collect();
        let curve = curve(grid(), &users);
        prop_assert!(curve.check().is_ok(), "{:?}", curve.check());
        at.sort_by(f64::total_cmp);
        for w in at.windows(2) {
            let rise = curve.at(w[1]) - curve.at(w[0]);
            prop_assert!(rise >= (w[1] - w[0]) * LEAST_SLOPE * (1.0 - 1e-9) - 1e-12, "{w:?}: {rise}");
        }
    }
}
