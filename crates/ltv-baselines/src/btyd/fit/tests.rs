//! On made-up likelihoods whose maximum is known, or which have none.

use super::*;

/// `-(ln a - 1)^2 - 100 (ln b - ln a)^2`, a narrow valley with its top at `a = b = e`.
fn valley(p: &[f64; 2]) -> Slope<2> {
    let (a, b) = (p[0].ln(), p[1].ln());
    Slope {
        value: -(a - 1.0).powi(2) - 100.0 * (b - a).powi(2),
        by: [
            (-2.0 * (a - 1.0) + 200.0 * (b - a)) / p[0],
            -200.0 * (b - a) / p[1],
        ],
    }
}

fn search<F: Fn(&[f64; 2]) -> Slope<2>>(likelihood: F) -> Search<F, 2> {
    Search {
        model: "test",
        likelihood,
        customers: 1.0,
        typical: [1.0, 10.0],
        starts: vec![[0.1, 50.0]],
    }
}

#[test]
fn a_valley_is_followed_to_its_end() {
    let found = search(valley).run(&FitOptions::default()).unwrap();
    let e = 1f64.exp();
    assert!(
        (found.parameters[0] - e).abs() < 1e-7,
        "{:?}",
        found.parameters
    );
    assert!((found.parameters[1] - e).abs() < 1e-7);
    assert!(found.slope <= ENOUGH && found.evaluations > 2);
}

#[test]
fn a_penalty_moves_the_maximum_by_its_definition() {
    let options = FitOptions {
        penalty: 0.01,
        ..FitOptions::default()
    };
    let found = search(valley).run(&options).unwrap();
    // At the minimum of -likelihood + penalty * sum of squares by the logarithms.
    let p = found.parameters;
    let slope = valley(&p).by;
    for i in 0..2 {
        let total = -slope[i] * p[i] + 2.0 * 0.01 * p[i] * p[i];
        assert!(total.abs() < 1e-7, "{total}");
    }
    assert!(p[0] < 2.7);
}

#[test]
fn without_a_maximum_there_is_an_error() {
    let rising = |p: &[f64; 2]| Slope {
        value: p[0].ln(),
        by: [1.0 / p[0], 0.0],
    };
    let error = search(rising).run(&FitOptions::default()).err().unwrap();
    assert!(matches!(error, BtydError::NotConverged { .. }), "{error}");
    let broken = |_: &[f64; 2]| Slope {
        value: f64::NAN,
        by: [f64::NAN; 2],
    };
    assert!(search(broken).run(&FitOptions::default()).is_err());
}

#[test]
fn options_are_checked() {
    for penalty in [-1.0, f64::NAN, f64::INFINITY] {
        let options = FitOptions {
            penalty,
            ..FitOptions::default()
        };
        assert!(search(valley).run(&options).is_err());
    }
}

#[test]
fn sums_are_the_same_on_any_number_of_threads() {
    let items: Vec<f64> = (0..10_000)
        .map(|i| (f64::from(i) * 0.7).sin() * 1e9)
        .collect();
    let total = || {
        sum(&items, |part| Slope {
            value: part.iter().sum(),
            by: [part.len() as f64],
        })
    };
    let on = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(total)
    };
    assert_eq!(on(1), on(3));
    assert_eq!(on(1).by, [10_000.0]);
}

#[test]
fn documents_may_hold_what_a_search_can_find() {
    let (low, high) = ((-FURTHEST).exp(), FURTHEST.exp());
    assert!(SHAPES.0 < low && low < 1.01 * SHAPES.0);
    assert!(SHAPES.1 > high && high > 0.99 * SHAPES.1);
    // Clocks on which the largest age, of a day in weeks or of all days there are, is 10.
    assert!(TIMES.0 < low / 7.0 / 10.0);
    assert!(TIMES.1 > high * f64::from(u32::MAX) / 10.0);
}
