use super::*;
use crate::{
    PeerConfig, Streaming, fit,
    peer::{Fitted, Peer},
    testing::{self, User, frame},
};
use ltv_core::predictor::Predictor;
use proptest::prelude::*;

fn fitted(config: RfmConfig, users: &[User], days: &[u32]) -> Peer {
    let rows = testing::rows(users);
    let config = PeerConfig::Rfm(config);
    fit(&config, &frame(days), &rows, &rows, 1, 1).unwrap()
}

fn table(peer: &Peer) -> &RfmTable {
    match &peer.document().model {
        Fitted::Rfm(table) => table,
        other => panic!("{other:?}"),
    }
}

fn user(recency: f64, days: f64, value: f64, label: f64) -> User {
    ([recency, days, value, 0.0], 1, vec![label])
}

#[test]
fn means_by_hand() {
    let users = [
        user(1.0, 1.0, 5.0, 0.0),
        user(1.0, 1.0, 5.0, 4.0),
        user(1.0, 2.0, 5.0, 9.0),
        user(1.0, 2.0, 5.0, f64::NAN),
    ];
    let config = RfmConfig {
        frequency: 2,
        prior_rows: 0.0,
        ..RfmConfig::default()
    };
    let peer = fitted(config.clone(), &users, &[30]);
    // Recency and value are the same for all: only frequency is cut, at its median.
    let edges: Vec<_> = table(&peer).axes.iter().map(|a| a.edges.clone()).collect();
    assert_eq!(edges, [vec![], vec![1.0], vec![]]);
    let found = peer.predict(&testing::rows(&users).rows);
    assert_eq!(found.values, [2.0, 2.0, 9.0, 9.0]);
    assert_eq!(found.positive, [0.5, 0.5, 1.0, 1.0]);
    assert_eq!(found.quantiles[..3], [0.0, 0.0, 4.0]);
    assert_eq!(table(&peer).rows, [2, 2]);

    // With two rows of everybody in each cell: mean of all is 13/3, two thirds are above 0.
    let peer = fitted(
        RfmConfig {
            prior_rows: 2.0,
            ..config
        },
        &users,
        &[30],
    );
    let found = peer.predict(&testing::rows(&users).rows);
    let expected = [(4.0 + 26.0 / 3.0) / 4.0, (9.0 + 26.0 / 3.0) / 3.0];
    for (value, expected) in [
        (found.values[0], expected[0]),
        (found.values[2], expected[1]),
    ] {
        assert!((value - expected).abs() < 1e-12, "{value} {expected}");
    }
    assert!((found.positive[0] - (1.0 + 4.0 / 3.0) / 4.0).abs() < 1e-12);
    // Weights of 0, 4 and 9 in the first cell: 5/3, 5/3, 2/3.
    assert_eq!(found.quantiles[..3], [0.0, 4.0, 9.0]);
}

#[test]
fn strangers_fall_into_cells_too() {
    let users: Vec<User> = (0..100)
        .map(|i| {
            user(
                f64::from(i % 7),
                f64::from(i % 5),
                f64::from(i),
                f64::from(i),
            )
        })
        .collect();
    let peer = fitted(RfmConfig::default(), &users, &[30]);
    let odd = [
        user(f64::NAN, f64::NAN, f64::NAN, 0.0),
        user(-1.0, -1.0, f64::NEG_INFINITY, 0.0),
        user(1e300, 1e300, f64::INFINITY, 0.0),
    ];
    let found = peer.predict(&testing::rows(&odd).rows);
    assert_eq!(found.values[0], found.values[1]);
    assert!(found.values.iter().all(|v| v.is_finite() && *v >= 0.0));
}

#[test]
fn one_pass_is_not_enough() {
    let mut fit = Streaming::new(PeerConfig::Rfm(RfmConfig::default()), frame(&[30]), 1).unwrap();
    fit.add(&testing::rows(&[user(1.0, 1.0, 1.0, 1.0)]).rows)
        .unwrap();
    assert!(fit.clone().finish(0).is_err());
    assert!(fit.again());
    fit.add(&testing::rows(&[user(1.0, 1.0, 1.0, 1.0)]).rows)
        .unwrap();
    assert!(!fit.again());
    assert!(fit.finish(0).is_ok());
}

fn arbitrary_users() -> impl Strategy<Value = Vec<User>> {
    let label = prop_oneof![
        3 => Just(0.0),
        4 => (0u8..50).prop_map(f64::from),
        1 => Just(f64::NAN)
    ];
    let one = (0u8..7, 0u8..7, -5i8..100, label);
    prop::collection::vec(one, 1..80).prop_map(|list| {
        let made =
            |(r, f, m, y): (u8, u8, i8, f64)| user(f64::from(r), f64::from(f), f64::from(m), y);
        let mut list: Vec<User> = list.into_iter().map(made).collect();
        // At least one label is mature.
        list[0].2[0] = 3.0;
        list
    })
}

/// The cell of `value` by the definition: how many distinct quantiles of `all` lie below it.
fn slow_cell(all: &[f64], cells: usize, value: f64) -> usize {
    let mut sorted: Vec<f64> = all.iter().map(|x| x.max(0.0)).collect();
    sorted.sort_by(f64::total_cmp);
    let largest = sorted[sorted.len() - 1];
    let rank = |i: usize| (i * sorted.len()).div_ceil(cells).max(1) - 1;
    let mut cuts: Vec<f64> = (1..cells).map(|i| sorted[rank(i)]).collect();
    cuts.retain(|&c| c < largest);
    cuts.dedup();
    cuts.iter().filter(|&&c| c < value.max(0.0)).count()
}

proptest! {
    /// Against a second, slow implementation; and without a prior the cells' means average to the
    /// mean of all.
    #[test]
    fn cells_and_means(users in arbitrary_users(), cells in 1usize..6, prior in 0u8..3) {
        let config = RfmConfig {
            recency: cells,
            frequency: cells,
            monetary: cells,
            prior_rows: f64::from(prior),
            ordered: false,
        };
        let peer = fitted(config, &users, &[30]);
        let found = peer.predict(&testing::rows(&users).rows);
        let axis = |a: usize| users.iter().map(|u| u.0[a]).collect::<Vec<_>>();
        let place = |u: &User| [0, 1, 2].map(|a| slow_cell(&axis(a), cells, u.0[a]));
        let mature: Vec<&User> = users.iter().filter(|u| !u.2[0].is_nan()).collect();
        let mean = |of: &[&User]| of.iter().map(|u| u.2[0]).sum::<f64>() / of.len() as f64;
        let all = mean(&mature);
        for (i, u) in users.iter().enumerate() {
            let own: Vec<&User> =
                mature.iter().filter(|v| place(v) == place(u)).copied().collect();
            let (n, k) = (own.len() as f64, f64::from(prior));
            let expected = if own.is_empty() { all } else { (n * mean(&own) + k * all) / (n + k) };
            prop_assert!((found.values[i] - expected).abs() < 1e-9, "{} {}", found.values[i], expected);
            let q = &found.quantiles[i * 3..][..3];
            prop_assert!(q[0] <= q[1] && q[1] <= q[2]);
            prop_assert!((0.0..=1.0).contains(&found.positive[i]));
        }
        if prior == 0 {
            let own = users.iter().zip(&found.values).filter(|(u, _)| !u.2[0].is_nan());
            let total: f64 = own.map(|(_, v)| v).sum();
            prop_assert!((total / mature.len() as f64 - all).abs() < 1e-9);
        }
    }
}
