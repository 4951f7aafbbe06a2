//! Against mpmath, direct integration, simulation, and the literature.

use super::*;
use crate::btyd::testing::{assert_close, cdnow, differences, integral, spenders};

const PAPER: GammaGamma = GammaGamma {
    p: 6.25,
    q: 3.74,
    gamma: 15.44,
};

fn spend(days: u32, mean: f64) -> Spend {
    Spend { days, mean }
}

/// mpmath 1.3, 40 digits: eq. 1a and eq. 5 as printed.
#[test]
fn agrees_with_the_published_formulas() {
    let table = [
        (spend(1, 20.0), -3.594_196_492_949_196, 24.638_487_208_008_9),
        (
            spend(4, 35.25),
            -4.060_831_856_954_866,
            35.246_935_832_732_52,
        ),
        (spend(40, 99.5), -7.151_708_409_287_2, 98.803_117_828_598_56),
    ];
    for (one, value, expected) in table {
        let spends = Spends::new([one]).unwrap();
        assert_close(PAPER.log_likelihood(&spends), value, 1e-12);
        assert_close(PAPER.expected(Some(one)), expected, 1e-13);
    }
    assert_close(PAPER.expected(None), 6.25 * 15.44 / 2.74, 1e-15);
    assert_eq!(GammaGamma { q: 0.9, ..PAPER }.expected(None), f64::INFINITY);
}

#[test]
fn agrees_with_direct_integration() {
    let density = |shape: f64, rate: f64, v: f64| {
        (shape * rate.ln() - ln_gamma(shape) + (shape - 1.0) * v.ln() - rate * v).exp()
    };
    for one in [spend(1, 20.0), spend(6, 35.25)] {
        let x = f64::from(one.days);
        let mixed = |f: &dyn Fn(f64) -> f64| {
            integral(|nu| {
                let own = density(PAPER.p * x, nu * x, one.mean);
                density(PAPER.q, PAPER.gamma, nu) * own * f(nu)
            })
        };
        let both = mixed(&|_| 1.0);
        let value = PAPER.log_likelihood(&Spends::new([one]).unwrap());
        assert_close(value.exp(), both, 1e-9);
        let mean = mixed(&|nu| PAPER.p / nu) / both;
        assert_close(PAPER.expected(Some(one)), mean, 1e-9);
    }
}

#[test]
fn slopes_agree_with_finite_differences() {
    let all = [
        spend(1, 20.0),
        spend(1, 31.0),
        spend(7, 0.4),
        spend(60, 99.0),
    ];
    let spends = Spends::new(all).unwrap();
    for at in [[6.25, 3.74, 15.44], [0.7, 1.2, 300.0]] {
        let model = |[p, q, gamma]: [f64; 3]| GammaGamma { p, q, gamma };
        let found = model(at).total(spends.groups()).by;
        let expected = differences(at, |p| model(p).log_likelihood(&spends));
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-7 * (1.0 + expected.abs()),
                "{found} {expected}"
            );
        }
    }
}

/// Fader and Hardie (2013), section 4: the 946 CDNOW customers with repeat purchases, means over
/// the repeats; p 6.25, q 3.74, gamma 15.44.
#[test]
fn the_published_fit_is_found() {
    let Some((_, spends)) = cdnow(true) else {
        return;
    };
    let spends = Spends::new(spends).unwrap();
    assert_eq!((spends.customers(), spends.skipped()), (946, 0));
    let fit = GammaGamma::fit(&spends, &FitOptions::default()).unwrap();
    println!("{fit:?}");
    let GammaGamma { p, q, gamma } = fit.model;
    for (found, published) in [(p, 6.25), (q, 3.74), (gamma, 15.44)] {
        assert!((found - published).abs() < 6e-3, "{found} {published}");
    }
}

#[test]
fn known_parameters_are_found_again() {
    let truth = [3.0, 4.0, 20.0];
    let fit = |factor: f64| {
        let all = spenders(truth, 30_000, 11).into_iter();
        let scaled = all.map(|s| spend(s.days, s.mean * factor));
        let spends = Spends::new(scaled).unwrap();
        GammaGamma::fit(&spends, &FitOptions::default()).unwrap()
    };
    let one = fit(1.0);
    let GammaGamma { p, q, gamma } = one.model;
    for (found, truth) in [p, q, gamma].into_iter().zip(truth) {
        assert!((found / truth - 1.0).abs() < 0.1, "{one:?}");
    }
    // Twice the gain over the truth is chi-squared with 3 degrees of freedom: 16.3 at 0.999.
    let real = GammaGamma {
        p: truth[0],
        q: truth[1],
        gamma: truth[2],
    };
    let spends = Spends::new(spenders(truth, 30_000, 11)).unwrap();
    let gain = one.log_likelihood - real.log_likelihood(&spends);
    assert!((0.0..16.3 / 2.0).contains(&gain), "{gain} {one:?}");
    // The currency does not matter, were it yen or bitcoin.
    for factor in [1e9, 1e-9] {
        let other = fit(factor).model;
        assert_close(other.p, p, 1e-5);
        assert_close(other.q, q, 1e-5);
        assert_close(other.gamma, gamma * factor, 1e-5);
    }
}

#[test]
fn data_without_spread_is_refused() {
    let fit = |all: Vec<Spend>| GammaGamma::fit(&Spends::new(all).unwrap(), &FitOptions::default());
    assert_eq!(fit(vec![spend(1, 0.0)]), Err(BtydError::NoSpend));
    let alike = fit(vec![spend(3, 9.0); 50]);
    assert!(
        matches!(alike, Err(BtydError::NotConverged { .. })),
        "{alike:?}"
    );
}
