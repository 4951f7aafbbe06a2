//! Against mpmath, direct integration over rates and chances, simulation, and the literature.

use super::*;
use crate::btyd::{
    TimeUnit,
    special::ln_gamma,
    testing::{assert_close, bgnbd_customers, cdnow, differences, integral, seen, unit_integral},
};
use proptest::prelude::*;

const PAPER: BgNbd = BgNbd {
    r: 0.243,
    alpha: 4.414,
    a: 0.793,
    b: 2.426,
};

fn log_likelihood(model: BgNbd, h: History) -> f64 {
    model.log_likelihood(&Histories::new(TimeUnit::Week, [h]).unwrap())
}

/// mpmath 1.3, 40 digits: the paper's likelihood (section 7) and eq. 10 with `hyp2f1`, as printed.
#[test]
fn agrees_with_the_published_formulas() {
    #[rustfmt::skip]
    let table = [
        (seen(0, 0.0, 38.86), -0.554_713_276_438_158_5, 0.195_098_052_011_262_64, 2.178_395_955_534_215),
        (seen(2, 30.43, 38.86), -9.458_606_307_066_27, 1.226_028_174_767_144_1, 10.120_518_988_765_318),
        (seen(26, 30.86, 31.0), -37.726_579_473_394_44, 20.749_726_140_857_29, 129.685_623_284_265_78),
        (seen(1, 1.5, 38.86), -4.434_764_590_706_396, 0.196_330_210_555_201_22, 1.783_075_055_974_882),
        (seen(300, 30.0, 39.0), 337.432_422_971_122_3, 3.990_607_735_616_867e-26, 2.625_573_024_982_6e-25),
    ];
    for (h, value, in_39, in_1000) in table {
        assert_close(log_likelihood(PAPER, h), value, 1e-12);
        assert_close(PAPER.expected_after(&h, 39.0), in_39, 1e-11);
        assert_close(PAPER.expected_after(&h, 1000.0), in_1000, 1e-11);
    }
    assert_close(PAPER.expected(52.0), 1.446_050_595_396_403_7, 1e-12);
}

/// Next to `a = 1`, where eq. 10 divides 0 by 0, and where `a + b` is just above 1 or far from it.
#[test]
fn the_expectation_has_no_singular_parameters() {
    #[rustfmt::skip]
    let table = [
        (1.000_000_001, 2.0, 1.199_242_053_922_925_8, 0.271_105_318_576_883_8),
        (2.5, 0.7, 0.311_620_543_571_554_3, 0.211_553_030_789_001_43),
        (0.3, 0.700_000_1, 1.825_535_435_290_122_3, 0.282_504_142_198_376_2),
    ];
    for (a, b, after_two, after_none) in table {
        let model = BgNbd { a, b, ..PAPER };
        assert_close(
            model.expected_after(&seen(2, 5.0, 10.0), 20.0),
            after_two,
            1e-11,
        );
        assert_close(
            model.expected_after(&seen(0, 0.0, 10.0), 20.0),
            after_none,
            1e-11,
        );
    }
    let exact = BgNbd { a: 1.0, ..PAPER };
    let near = BgNbd {
        a: 1.0 + 1e-7,
        ..PAPER
    };
    let h = seen(3, 5.0, 10.0);
    assert_close(
        near.expected_after(&h, 20.0),
        exact.expected_after(&h, 20.0),
        1e-6,
    );
}

/// A customer of rate `lambda` and chance `p`: section 3 of the paper, before any mixing.
fn individual(h: &History, lambda: f64, p: f64, q: f64) -> (f64, f64) {
    let x = h.repeats as i32;
    let stays = q.powi(x) * lambda.powi(x) * (-lambda * h.age).exp();
    let leaves = if x > 0 {
        p * q.powi(x - 1) * lambda.powi(x) * (-lambda * h.recency).exp()
    } else {
        0.0
    };
    (stays, leaves)
}

fn mixed(m: &BgNbd, f: impl Fn(f64, f64, f64) -> f64) -> f64 {
    let ln_beta = ln_gamma(m.a) + ln_gamma(m.b) - ln_gamma(m.a + m.b);
    integral(|lambda| {
        let rate =
            m.r * m.alpha.ln() - ln_gamma(m.r) + (m.r - 1.0) * lambda.ln() - m.alpha * lambda;
        if rate < -700.0 {
            return 0.0;
        }
        rate.exp()
            * unit_integral(|p, q| {
                let chance = (m.a - 1.0) * p.ln() + (m.b - 1.0) * q.ln() - ln_beta;
                chance.exp() * f(lambda, p, q)
            })
    })
}

#[test]
fn agrees_with_direct_integration() {
    let model = BgNbd {
        r: 0.9,
        alpha: 2.5,
        a: 1.3,
        b: 2.2,
    };
    for h in [seen(0, 0.0, 5.0), seen(3, 2.0, 5.0), seen(4, 5.0, 5.0)] {
        let both = mixed(&model, |l, p, q| {
            let (stays, leaves) = individual(&h, l, p, q);
            stays + leaves
        });
        let stays = mixed(&model, |l, p, q| individual(&h, l, p, q).0);
        assert_close(log_likelihood(model, h).exp(), both, 1e-8);
        assert_close(model.alive(&h), stays / both, 1e-8);
        // A living customer makes (1 - exp(-lambda p t)) / p purchases.
        let t = 7.0;
        let ahead = mixed(&model, |l, p, q| {
            individual(&h, l, p, q).0 * -(-l * p * t).exp_m1() / p
        });
        assert_close(model.expected_after(&h, t), ahead / both, 1e-8);
        let none = mixed(&model, |l, p, q| individual(&h, l, p, q).0 * (-l * t).exp());
        let positive = model.distribution(&h, t, 1000).positive();
        assert_close(positive, (stays - none) / both, 1e-8);
    }
}

/// The paper's eq. 8, for a customer nothing is known about.
#[test]
fn the_distribution_agrees_with_the_published_one() {
    let m = PAPER;
    let t: f64 = 30.0;
    let law = m.distribution(&History::default(), t, 200).0;
    let ln_beta = |a: f64, b: f64| ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b);
    let mass = |n: f64| {
        (ln_gamma(m.r + n) - ln_gamma(m.r) - ln_gamma(n + 1.0)
            + m.r * (m.alpha / (m.alpha + t)).ln()
            + n * (t / (m.alpha + t)).ln())
        .exp()
    };
    for (n, &found) in law.iter().enumerate().take(15) {
        let x = n as f64;
        let first = (ln_beta(m.a, m.b + x) - ln_beta(m.a, m.b)).exp() * mass(x);
        let fewer: f64 = (0..n).map(|j| mass(j as f64)).sum();
        let second = if n == 0 {
            0.0
        } else {
            (ln_beta(m.a + 1.0, m.b + x - 1.0) - ln_beta(m.a, m.b)).exp() * (1.0 - fewer)
        };
        assert_close(found, first + second, 1e-9);
    }
}

#[test]
fn slopes_agree_with_finite_differences() {
    let all = [
        seen(0, 0.0, 9.0),
        seen(1, 3.0, 9.0),
        seen(7, 8.5, 9.0),
        seen(2, 9.0, 9.0),
    ];
    let histories = Histories::new(TimeUnit::Week, all).unwrap();
    for at in [[0.243, 4.414, 0.793, 2.426], [3.0, 0.5, 0.05, 7.0]] {
        let found = BgNbd::from(at).total(histories.groups()).by;
        let expected = differences(at, |p| BgNbd::from(p).log_likelihood(&histories));
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-7 * (1.0 + expected.abs()),
                "{found} {expected}"
            );
        }
    }
}

/// Fader, Hardie and Lee (2005), table 2: CDNOW, weeks, r 0.243, alpha 4.414, a 0.793, b 2.426,
/// log-likelihood -9582.4.
#[test]
fn the_published_fit_is_found() {
    let Some((customers, _)) = cdnow(true) else {
        return;
    };
    let histories = Histories::new(TimeUnit::Week, customers).unwrap();
    let fit = BgNbd::fit(&histories, &FitOptions::default()).unwrap();
    println!("{fit:?}");
    let BgNbd { r, alpha, a, b } = fit.model;
    for (found, published) in [(r, 0.243), (alpha, 4.414), (a, 0.793), (b, 2.426)] {
        assert!((found - published).abs() < 6e-4, "{found} {published}");
    }
    assert!(
        (fit.log_likelihood + 9582.4).abs() < 0.06,
        "{}",
        fit.log_likelihood
    );
    assert_close(
        fit.model.log_likelihood(&histories),
        fit.log_likelihood,
        1e-12,
    );
    assert_eq!((fit.customers, fit.unit), (2357, TimeUnit::Week));
}

#[test]
fn known_parameters_are_found_again() {
    let truth = [0.6, 5.0, 0.9, 2.5];
    let customers = bgnbd_customers(truth, 40_000, 7);
    let histories = Histories::new(TimeUnit::Day, customers).unwrap();
    let fit = BgNbd::fit(&histories, &FitOptions::default()).unwrap();
    let BgNbd { r, alpha, a, b } = fit.model;
    for (found, truth) in [r, alpha, a, b].into_iter().zip(truth) {
        assert!((found / truth - 1.0).abs() < 0.12, "{fit:?}");
    }
    // Twice the gain over the truth is chi-squared with 4 degrees of freedom: 18.5 at 0.999.
    let gain = fit.log_likelihood - BgNbd::from(truth).log_likelihood(&histories);
    assert!((0.0..18.5 / 2.0).contains(&gain), "{gain} {fit:?}");
}

#[test]
fn fits_do_not_depend_on_order_threads_or_clock() {
    let customers = bgnbd_customers([0.6, 5.0, 0.9, 2.5], 5_000, 3);
    let fit = |threads, unit, all: Vec<History>| {
        let histories = Histories::new(unit, all).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let run = || BgNbd::fit(&histories, &FitOptions::default()).unwrap();
        pool.unwrap().install(run)
    };
    let one = fit(1, TimeUnit::Day, customers.clone());
    let reversed = customers.iter().rev().copied().collect();
    assert_eq!(one, fit(3, TimeUnit::Day, reversed));
    let weeks = customers
        .iter()
        .map(|h| seen(h.repeats, h.recency / 7.0, h.age / 7.0));
    let weeks = fit(2, TimeUnit::Week, weeks.collect());
    assert_close(weeks.model.alpha * 7.0, one.model.alpha, 1e-5);
    assert_close(weeks.model.a, one.model.a, 1e-5);
}

/// As in lifetimes: what is minimised is taken on a clock whose largest age is 10.
#[test]
fn a_penalty_pulls_as_defined() {
    let customers = bgnbd_customers([0.6, 5.0, 0.9, 2.5], 3_000, 5);
    let histories = Histories::new(TimeUnit::Day, customers.clone()).unwrap();
    let options = FitOptions {
        penalty: 0.01,
        ..FitOptions::default()
    };
    let fit = BgNbd::fit(&histories, &options).unwrap().model;
    let factor = 10.0 / histories.scale().0;
    let scaled = customers
        .iter()
        .map(|h| seen(h.repeats, h.recency * factor, h.age * factor));
    let scaled = Histories::new(TimeUnit::Day, scaled).unwrap();
    let objective = |p: [f64; 4]| {
        let squares: f64 = p.iter().map(|v| v * v).sum();
        -BgNbd::from(p).log_likelihood(&scaled) / 3_000.0 + 0.01 * squares
    };
    let at = [fit.r, fit.alpha * factor, fit.a, fit.b];
    for slope in differences(at, objective) {
        assert!(slope.abs() < 1e-6, "{slope}");
    }
    assert!(fit.a + fit.b < 3.0);
}

/// Customers who all have the same rate and never leave: `r` and `alpha` grow without end, and
/// what is predicted is that rate.
#[test]
fn alike_customers_have_a_limit() {
    let customers = bgnbd_customers([1e7, 5e7, 1e-3, 1e4], 5_000, 2);
    let histories = Histories::new(TimeUnit::Day, customers).unwrap();
    let fit = BgNbd::fit(&histories, &FitOptions::default()).unwrap();
    assert!(fit.at_limit, "{fit:?}");
    assert_close(fit.model.expected(10.0), 2.0, 0.02);
}

#[test]
fn data_without_repeats_is_refused() {
    let one = |h| {
        BgNbd::fit(
            &Histories::new(TimeUnit::Day, [h]).unwrap(),
            &FitOptions::default(),
        )
    };
    assert_eq!(
        one(seen(0, 0.0, 3.0)),
        Err(BtydError::NoRepeats { customers: 1 })
    );
    assert_eq!(
        one(seen(0, 0.0, 0.0)),
        Err(BtydError::ZeroAge { customers: 1 })
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn laws(
        r in 0.05..5.0, alpha in 0.1..50.0, a in 0.05..5.0, b in 0.05..9.0,
        repeats in 0u32..40, part in 0.05..1.0, age in 0.5..60.0, t in 0.1..400.0,
    ) {
        let model = BgNbd { r, alpha, a, b };
        let h = seen(repeats, if repeats == 0 { 0.0 } else { part * age }, age);
        let alive = model.alive(&h);
        prop_assert!((0.0..=1.0).contains(&alive));
        let expected = model.expected_after(&h, t);
        prop_assert!(expected.is_finite() && expected >= 0.0);
        // At most what a customer who never leaves would buy.
        let rate = (r + f64::from(repeats)) / (alpha + age);
        prop_assert!(expected <= alive * rate * t * (1.0 + 1e-9));
        prop_assert!(model.expected_after(&h, 1.5 * t) >= expected * (1.0 - 1e-12));
        let law = model.distribution(&h, t, 100_000).0;
        let total: f64 = law.iter().sum();
        let mean: f64 = law.iter().enumerate().map(|(n, p)| n as f64 * p).sum();
        prop_assert!((total - 1.0).abs() < 1e-9);
        prop_assert!((mean - expected).abs() < 1e-7 * (1.0 + expected), "{mean} {expected}");
        // A history is a density over its recency: with everything else fixed it is finite.
        prop_assert!(log_likelihood(model, h).is_finite());
    }
}

/// The largest rates that a document may hold, on the longest horizon: more purchases than anybody
/// can count, in a moment.
#[test]
fn expectations_end() {
    let wild = BgNbd {
        r: SHAPES.1,
        alpha: TIMES.0,
        a: SHAPES.0,
        b: SHAPES.1,
    };
    wild.check().unwrap();
    let found = wild.expected_after(&History::default(), 3650.0);
    assert!((found / MOST as f64 - 1.0).abs() < 1e-6, "{found}");
    // Rates that differ much: most customers buy nothing, few without end.
    let wild = BgNbd { r: 1e-3, ..wild };
    let found = wild.expected_after(&History::default(), 3650.0);
    assert!(found.is_finite() && found > 0.0, "{found}");
    assert!(BgNbd { r: 2e6, ..wild }.check().is_err());
    assert!(
        BgNbd {
            alpha: 1e-9,
            ..wild
        }
        .check()
        .is_err()
    );
    assert!(BgNbd { a: 1e-7, ..wild }.check().is_err());
    assert!(
        BgNbd {
            b: f64::NAN,
            ..wild
        }
        .check()
        .is_err()
    );
}
