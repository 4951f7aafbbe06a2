//! Against mpmath, direct integration over both rates, simulation, and the literature.

use super::*;
use crate::btyd::{
    TimeUnit,
    special::ln_gamma,
    testing::{assert_close, cdnow, differences, integral, pareto_customers, seen},
};
use proptest::prelude::*;

/// Fader and Hardie's parameters for CDNOW: alpha < beta.
const PAPER: ParetoNbd = ParetoNbd {
    r: 0.553,
    alpha: 10.578,
    s: 0.606,
    beta: 11.669,
};
/// The other case, alpha >= beta.
const OTHER: ParetoNbd = ParetoNbd {
    r: 0.553,
    alpha: 20.5,
    s: 1.7,
    beta: 3.25,
};

fn log_likelihood(model: ParetoNbd, h: History) -> f64 {
    model.log_likelihood(&Histories::new(TimeUnit::Week, [h]).unwrap())
}

/// mpmath 1.3, 40 digits: the note's likelihood, P(alive) and conditional expectation with both
/// cases of `A_0` and `hyp2f1`, as printed.
#[test]
fn agrees_with_the_published_formulas() {
    #[rustfmt::skip]
    let table = [
        (PAPER, seen(0, 0.0, 38.86), -0.521_046_294_080_890_3, 0.295_286_604_616_894_15, 0.107_081_468_215_308_85),
        (PAPER, seen(2, 30.43, 38.86), -9.554_283_245_150_406, 0.869_167_559_153_011_2, 1.455_123_193_257_602_4),
        (PAPER, seen(26, 30.86, 31.0), -39.131_671_540_302_775, 0.997_918_731_055_158_3, 20.117_026_077_370_505),
        (PAPER, seen(1, 1.5, 38.86), -4.418_807_771_420_275, 0.162_811_203_113_828_68, 0.165_806_358_467_866_33),
        (PAPER, seen(300, 30.0, 39.0), 293.163_474_557_500_5, 3.226_252_779_856_225e-24, 6.343_313_526_266_504e-22),
        (OTHER, seen(0, 0.0, 38.86), -0.077_072_620_670_575_67, 0.007_706_847_755_968_104, 0.001_589_432_772_746_882_5),
        (OTHER, seen(2, 30.43, 38.86), -12.808_850_400_492_63, 0.635_515_894_554_394_1, 0.605_086_528_678_107_5),
        (OTHER, seen(26, 30.86, 31.0), -47.661_119_408_387_44, 0.992_805_599_056_487_6, 10.335_103_776_464_536),
        (OTHER, seen(1, 1.5, 38.86), -4.609_573_623_435_975, 0.006_676_489_857_812_11, 0.003_866_872_937_612_559_4),
        (OTHER, seen(300, 30.0, 39.0), 226.069_950_268_806_1, 3.065_465_312_233_819e-20, 3.432_751_354_417_557_8e-18),
    ];
    for (model, h, value, alive, in_39) in table {
        assert_close(log_likelihood(model, h), value, 1e-11);
        assert_close(model.alive(&h), alive, 1e-11);
        assert_close(model.expected_after(&h, 39.0), in_39, 1e-11);
    }
}

#[test]
fn the_two_cases_meet() {
    for h in [seen(0, 0.0, 9.0), seen(5, 7.0, 9.0), seen(5, 9.0, 9.0)] {
        let at = |beta| log_likelihood(ParetoNbd { beta, ..PAPER }, h);
        let (below, equal, above) = (at(10.578 - 1e-9), at(10.578), at(10.578 + 1e-9));
        assert_close(below, equal, 1e-9);
        assert_close(above, equal, 1e-9);
    }
}

fn mixed(m: &ParetoNbd, f: impl Fn(f64, f64) -> f64) -> f64 {
    let density = |shape: f64, rate: f64, v: f64| {
        (shape * rate.ln() - ln_gamma(shape) + (shape - 1.0) * v.ln() - rate * v).exp()
    };
    integral(|lambda| {
        let weight = density(m.r, m.alpha, lambda);
        if weight < 1e-300 {
            return 0.0;
        }
        weight * integral(|mu| density(m.s, m.beta, mu) * f(lambda, mu))
    })
}

#[test]
fn agrees_with_direct_integration() {
    for model in [
        ParetoNbd {
            r: 0.9,
            alpha: 2.5,
            s: 1.3,
            beta: 8.2,
        },
        ParetoNbd {
            r: 1.4,
            alpha: 6.0,
            s: 0.8,
            beta: 1.1,
        },
    ] {
        for h in [seen(0, 0.0, 5.0), seen(3, 2.0, 5.0), seen(4, 5.0, 5.0)] {
            let x = h.repeats as i32;
            let stays = |l: f64, mu: f64| l.powi(x) * (-(l + mu) * h.age).exp();
            let leaves = |l: f64, mu: f64| {
                let between =
                    (-(l + mu) * h.recency).exp() * -(-(l + mu) * (h.age - h.recency)).exp_m1();
                l.powi(x) * mu / (l + mu) * between
            };
            let both = mixed(&model, |l, mu| stays(l, mu) + leaves(l, mu));
            assert_close(log_likelihood(model, h).exp(), both, 1e-8);
            assert_close(model.alive(&h), mixed(&model, stays) / both, 1e-8);
            let t = 7.0;
            let ahead = mixed(&model, |l, mu| stays(l, mu) * l * -(-mu * t).exp_m1() / mu);
            assert_close(model.expected_after(&h, t), ahead / both, 1e-8);
            let some = mixed(&model, |l, mu| {
                stays(l, mu) * l / (l + mu) * -(-(l + mu) * t).exp_m1()
            });
            let law = model.distribution(&h, t, 1000);
            assert_close(law.positive(), some / both, 1e-8);
            assert_close(1.0 - model.nothing_after(&h, t), some / both, 1e-8);
            let two = mixed(&model, |l, mu| {
                // Two before t: alive at t, or left in between (Poisson over exponential time).
                let k = l + mu;
                let alive = (l * t).powi(2) / 2.0 * (-k * t).exp();
                let gone = mu * l * l / k.powi(3) * poisson_more_than_two(k * t);
                stays(l, mu) * (alive + gone)
            });
            assert!(
                (law.0[2] - two / both).abs() < 1e-9,
                "{} {}",
                law.0[2],
                two / both
            );
        }
    }
}

/// `1 - exp(-m) (1 + m + m^2 / 2)`, without cancellation for small `m`.
fn poisson_more_than_two(m: f64) -> f64 {
    if m > 0.1 {
        return 1.0 - (-m).exp() * (1.0 + m + m * m / 2.0);
    }
    let terms = (3..12).scan(m * m / 2.0, |term, n| {
        *term *= m / f64::from(n);
        Some(*term)
    });
    (-m).exp() * terms.sum::<f64>()
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
    for at in [
        [0.553, 10.578, 0.606, 11.669],
        [2.0, 9.0, 1.7, 0.4],
        [0.3, 0.2, 4.0, 60.0],
    ] {
        let found = ParetoNbd::from(at).total(histories.groups()).by;
        let expected = differences(at, |p| ParetoNbd::from(p).log_likelihood(&histories));
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (found - expected).abs() < 1e-7 * (1.0 + expected.abs()),
                "{found} {expected}"
            );
        }
    }
}

/// Fader, Hardie and Lee (2005), table 2: CDNOW, weeks, r 0.553, alpha 10.578, s 0.606, beta 11.669,
/// log-likelihood -9595.0.
#[test]
fn the_published_fit_is_found() {
    let Some((customers, _)) = cdnow(true) else {
        return;
    };
    let histories = Histories::new(TimeUnit::Week, customers).unwrap();
    let fit = ParetoNbd::fit(&histories, &FitOptions::default()).unwrap();
    println!("{fit:?}");
    let ParetoNbd { r, alpha, s, beta } = fit.model;
    for (found, published) in [(r, 0.553), (alpha, 10.578), (s, 0.606), (beta, 11.669)] {
        assert!((found - published).abs() < 6e-4, "{found} {published}");
    }
    assert!(
        (fit.log_likelihood + 9595.0).abs() < 0.06,
        "{}",
        fit.log_likelihood
    );
    assert_close(
        fit.model.log_likelihood(&histories),
        fit.log_likelihood,
        1e-12,
    );
}

#[test]
fn known_parameters_are_found_again() {
    let truth = [0.8, 6.0, 0.9, 12.0];
    let histories = Histories::new(TimeUnit::Day, pareto_customers(truth, 40_000, 7)).unwrap();
    let fit = ParetoNbd::fit(&histories, &FitOptions::default()).unwrap();
    let ParetoNbd { r, alpha, s, beta } = fit.model;
    for (found, truth) in [r, alpha, s, beta].into_iter().zip(truth) {
        assert!((found / truth - 1.0).abs() < 0.1, "{fit:?}");
    }
    // Twice the gain over the truth is chi-squared with 4 degrees of freedom: 18.5 at 0.999.
    let gain = fit.log_likelihood - ParetoNbd::from(truth).log_likelihood(&histories);
    assert!((0.0..18.5 / 2.0).contains(&gain), "{gain} {fit:?}");
}

#[test]
fn fits_do_not_depend_on_threads() {
    let customers = pareto_customers([0.8, 6.0, 0.9, 12.0], 5_000, 3);
    let histories = Histories::new(TimeUnit::Day, customers).unwrap();
    let fit = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let run = || ParetoNbd::fit(&histories, &FitOptions::default()).unwrap();
        pool.unwrap().install(run)
    };
    assert_eq!(fit(1), fit(3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn laws(
        r in 0.05..5.0, alpha in 0.1..50.0, s in 0.05..5.0, beta in 0.1..50.0,
        repeats in 0u32..40, part in 0.05..1.0, age in 0.5..60.0, t in 0.1..400.0,
    ) {
        let model = ParetoNbd { r, alpha, s, beta };
        let h = seen(repeats, if repeats == 0 { 0.0 } else { part * age }, age);
        let alive = model.alive(&h);
        prop_assert!((0.0..=1.0).contains(&alive));
        let expected = model.expected_after(&h, t);
        let rate = (r + f64::from(repeats)) / (alpha + age);
        prop_assert!(expected >= 0.0 && expected <= alive * rate * t * (1.0 + 1e-9));
        prop_assert!(model.expected_after(&h, 1.5 * t) >= expected * (1.0 - 1e-12));
        let law = model.distribution(&h, t, 100_000).0;
        let total: f64 = law.iter().sum();
        let mean: f64 = law.iter().enumerate().map(|(n, p)| n as f64 * p).sum();
        prop_assert!((total - 1.0).abs() < 1e-9);
        prop_assert!((mean - expected).abs() < 1e-6 * (1.0 + expected), "{mean} {expected}");
        prop_assert!(log_likelihood(model, h).is_finite());
    }
}
