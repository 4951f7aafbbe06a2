//! Predictions over rows: what they are made of, their order, and rows that lack something.

use super::*;
use crate::btyd::testing::assert_close;
use proptest::prelude::*;

fn fit<M>(model: M, unit: TimeUnit) -> Fit<M> {
    Fit {
        model,
        unit,
        log_likelihood: -1.5,
        customers: 3,
        evaluations: 4,
        slope: 1e-10,
        at_limit: false,
    }
}

fn bgnbd(unit: TimeUnit) -> Counts {
    let model = BgNbd {
        r: 0.243,
        alpha: 4.414,
        a: 0.793,
        b: 2.426,
    };
    Counts::BgNbd(fit(model, unit))
}

fn pareto() -> Counts {
    let model = ParetoNbd {
        r: 0.553,
        alpha: 10.578,
        s: 0.606,
        beta: 11.669,
    };
    Counts::ParetoNbd(fit(model, TimeUnit::Week))
}

const SPEND: GammaGamma = GammaGamma {
    p: 6.25,
    q: 3.74,
    gamma: 15.44,
};

fn parameters(counts: Counts) -> Parameters {
    let spend = Some(fit(SPEND, TimeUnit::Day));
    Parameters { counts, spend }
}

fn settings(label: Label, window: u32) -> Settings {
    let columns = ["value_sum", "recency", "other", "active_days"];
    Settings {
        model_id: "m".into(),
        horizons: Horizons::new(vec![1, 30, 90, 365, 3650]).unwrap(),
        encoding: Encoding {
            cohort: None,
            features: vec![],
            plain: columns.map(String::from).to_vec(),
        },
        window,
        label,
    }
}

fn model(counts: Counts, label: Label, window: u32) -> BuyTillYouDie {
    BuyTillYouDie::new(parameters(counts), settings(label, window)).unwrap()
}

/// Rows of (active days, recency, value sum).
fn rows(all: &[(f64, f64, f64)]) -> EncodedRows {
    EncodedRows {
        rows: all.len(),
        plain: all
            .iter()
            .flat_map(|&(days, last, sum)| [sum, last, 9.9, days])
            .collect(),
        ..EncodedRows::default()
    }
}

#[test]
fn a_value_is_days_times_value_of_a_day() {
    let input = rows(&[(3.0, 20.0, 90.0), (1.0, 0.0, 8.0)]);
    let days = model(bgnbd(TimeUnit::Week), Label::ActiveDays, 28).predict(&input);
    let value = model(bgnbd(TimeUnit::Week), Label::Value, 28).predict(&input);
    let Counts::BgNbd(counts) = bgnbd(TimeUnit::Week) else {
        unreachable!()
    };
    let h = History {
        repeats: 2,
        recency: 20.0 / 7.0,
        age: 27.0 / 7.0,
    };
    let expected = counts.model.expected_after(&h, 30.0 / 7.0);
    assert_close(days.values[1], expected, 1e-14);
    let each = SPEND.expected(Some(Spend {
        days: 3,
        mean: 30.0,
    }));
    assert_close(value.values[1], expected * each, 1e-14);
    let each = SPEND.expected(Some(Spend { days: 1, mean: 8.0 }));
    assert_close(value.values[6] / days.values[6], each, 1e-13);
    assert_eq!(days.positive, value.positive);
    // Closed form of P(a purchase in 30 days).
    let end = counts.model.alpha + 27.0 / 7.0;
    let nobody = (end / (end + 30.0 / 7.0)).powf(2.243);
    assert_close(
        days.positive[1],
        counts.model.alive(&h) * (1.0 - nobody),
        1e-12,
    );
    assert_eq!(value.projected, [false, false]);
}

#[test]
fn who_has_not_begun_to_buy_is_worth_nothing() {
    let nan = f64::NAN;
    for counts in [bgnbd(TimeUnit::Day), pareto()] {
        for label in [Label::Value, Label::ActiveDays] {
            let model = model(counts, label, 7);
            // Between users who buy, so that places are kept.
            let input = [
                (2.0, 4.0, 5.0),
                (0.0, nan, 0.0),
                (nan, 3.0, 5.0),
                (-1.0, 2.0, 3.0),
                (0.4, 2.0, 3.0),
                (2.0, 4.0, 5.0),
            ];
            let found = model.predict(&rows(&input));
            assert_eq!((found.values.len(), found.quantiles.len()), (30, 90));
            assert!(found.values[5..25].iter().all(|v| *v == 0.0));
            assert!(found.positive[5..25].iter().all(|v| *v == 0.0));
            assert!(found.quantiles[15..75].iter().all(|v| *v == 0.0));
            assert!(found.values[..5].iter().all(|v| *v > 0.0));
            assert_eq!(found.values[..5], found.values[25..]);
        }
    }
}

#[test]
fn rows_that_lack_something_are_customers_who_never_came_back() {
    let nan = f64::NAN;
    for counts in [bgnbd(TimeUnit::Day), pareto()] {
        let model = model(counts, Label::Value, 7);
        let once = model.predict(&rows(&[(1.0, 0.0, 0.0)]));
        assert!(once.values.iter().all(|v| *v > 0.0));
        // One day, whose value is not known or not positive, has the mean of all; and so have more
        // whose last one is not known.
        for row in [
            (1.0, 0.0, nan),
            (1.0, 0.0, -5.0),
            (1.0, 4.0, 0.0),
            (2.0, nan, nan),
        ] {
            assert_eq!(model.predict(&rows(&[row])), once, "{row:?}");
        }
        assert_ne!(model.predict(&rows(&[(1.0, 0.0, 5.0)])), once);
    }
}

#[test]
fn a_window_of_one_day_has_no_age() {
    for counts in [bgnbd(TimeUnit::Day), pareto()] {
        let model = model(counts, Label::Value, 1);
        let found = model.predict(&rows(&[(1.0, 0.0, 5.0), (9.0, 9.0, 5.0), (0.0, 0.0, 0.0)]));
        assert!(found.values[..10].iter().all(|v| v.is_finite() && *v > 0.0));
    }
}

#[test]
fn rows_are_read_as_histories() {
    let reader = Reader::new(&settings(Label::Value, 28).encoding, Label::Value, 28).unwrap();
    let input = rows(&[
        (3.0, 20.0, 90.0),
        (1.0, 9.0, 8.0),
        // More days than the window has, and a last day outside it or too early for the days.
        (99.0, 99.0, 56.0),
        (4.0, 1.0, -1.0),
    ]);
    let history = |repeats, recency| History {
        repeats,
        recency,
        age: 27.0,
    };
    let spend = |days, mean| Some(Spend { days, mean });
    let seen: Vec<_> = reader
        .read(&input)
        .flatten()
        .map(|s| (s.history, s.spend))
        .collect();
    let expected = [
        (history(2, 20.0), spend(3, 30.0)),
        (history(0, 0.0), spend(1, 8.0)),
        (history(27, 27.0), spend(28, 2.0)),
        (history(3, 3.0), None),
    ];
    assert_eq!(seen, expected);
    // Whatever is read can be fitted to.
    let all = reader.read(&input).flatten().map(|s| s.history);
    assert!(crate::btyd::Histories::new(TimeUnit::Day, all).is_ok());
}

#[test]
fn quantiles_are_those_of_the_simulated_sum() {
    use rand::SeedableRng;
    use rand_distr::{Bernoulli, Beta, Distribution, Exp, Gamma};
    let model = model(bgnbd(TimeUnit::Day), Label::Value, 28);
    let found = model.predict(&rows(&[(6.0, 27.0, 120.0)]));
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    let rates = Gamma::new(0.243 + 5.0, 1.0 / (4.414 + 27.0)).unwrap();
    let chances = Beta::new(0.793, 2.426 + 5.0).unwrap();
    let spends = Gamma::new(3.74 + 6.25 * 6.0, 1.0 / (15.44 + 120.0)).unwrap();
    let Counts::BgNbd(counts) = bgnbd(TimeUnit::Day) else {
        unreachable!()
    };
    let h = History {
        repeats: 5,
        recency: 27.0,
        age: 27.0,
    };
    let alive = Bernoulli::new(counts.model.alive(&h)).unwrap();
    let mut sums: Vec<f64> = (0..200_000)
        .map(|_| {
            let (rate, p) = (rates.sample(&mut rng), chances.sample(&mut rng));
            let value = Gamma::new(6.25, 1.0 / spends.sample(&mut rng)).unwrap();
            let gap = Exp::new(rate).unwrap();
            let (mut living, mut now, mut sum) = (alive.sample(&mut rng), 0.0, 0.0);
            while living {
                now += gap.sample(&mut rng);
                living = now <= 30.0;
                if living {
                    sum += value.sample(&mut rng);
                    living = !Bernoulli::new(p).unwrap().sample(&mut rng);
                }
            }
            sum
        })
        .collect();
    sums.sort_by(f64::total_cmp);
    let positive = sums.iter().filter(|s| **s > 0.0).count() as f64 / sums.len() as f64;
    assert!(
        (found.positive[1] - positive).abs() < 0.005,
        "{positive} {}",
        found.positive[1]
    );
    for (i, level) in LEVELS.into_iter().enumerate() {
        // Half a percent of the rank either way: some four standard errors.
        let at = |p: f64| sums[(p * sums.len() as f64) as usize];
        let q = found.quantiles[3 + i];
        assert!(
            at(level - 0.005) <= q && q <= at(level + 0.005),
            "{level}: {q} {}",
            at(level)
        );
    }
    let mean = sums.iter().sum::<f64>() / sums.len() as f64;
    assert!(
        (found.values[1] / mean - 1.0).abs() < 0.02,
        "{mean} {}",
        found.values[1]
    );
}

#[test]
fn parameters_survive_a_document() {
    for parameters in [
        parameters(bgnbd(TimeUnit::Week)),
        Parameters {
            counts: pareto(),
            spend: None,
        },
    ] {
        let text = serde_json::to_string(&parameters).unwrap();
        assert!(text.contains(r#""unit":"week""#), "{text}");
        assert_eq!(
            serde_json::from_str::<Parameters>(&text).unwrap(),
            parameters
        );
    }
}

#[test]
fn what_cannot_predict_is_refused() {
    let new = |p: Parameters, s: Settings| BuyTillYouDie::new(p, s).err().unwrap();
    let good = || parameters(pareto());
    assert_eq!(new(good(), settings(Label::Value, 0)), BtydError::Window);
    let alone = Parameters {
        spend: None,
        ..good()
    };
    assert_eq!(
        new(alone, settings(Label::Value, 7)),
        BtydError::NoSpendModel
    );
    assert!(BuyTillYouDie::new(alone, settings(Label::ActiveDays, 7)).is_ok());
    let endless = GammaGamma { q: 1.0, ..SPEND };
    let endless = Parameters {
        spend: Some(fit(endless, TimeUnit::Day)),
        ..good()
    };
    assert_eq!(
        new(endless, settings(Label::Value, 7)),
        BtydError::NoMean { q: 1.0 }
    );
    let mut lacking = settings(Label::Value, 7);
    lacking.encoding.plain.retain(|c| c != "value_sum");
    assert_eq!(
        new(good(), lacking),
        BtydError::Column {
            column: "value_sum"
        }
    );
    let broken = BgNbd {
        r: 0.0,
        alpha: 1.0,
        a: 1.0,
        b: 1.0,
    };
    let broken = Parameters {
        counts: Counts::BgNbd(fit(broken, TimeUnit::Day)),
        spend: None,
    };
    assert!(matches!(
        new(broken, settings(Label::ActiveDays, 7)),
        BtydError::Parameter { .. }
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn predictions_keep_their_promises(
        r in 0.05..3.0, scale in 0.1..30.0, s in 0.05..3.0, other in 0.1..9.0,
        pareto: bool, value: bool, window in 1u32..40,
        input in prop::collection::vec((-1.0..45.0, -2.0..50.0, -10.0..1e4), 1..6),
    ) {
        let counts = if pareto {
            Counts::ParetoNbd(fit(ParetoNbd { r, alpha: scale, s, beta: other }, TimeUnit::Day))
        } else {
            Counts::BgNbd(fit(BgNbd { r, alpha: scale, a: s, b: other }, TimeUnit::Week))
        };
        let label = if value { Label::Value } else { Label::ActiveDays };
        let model = model(counts, label, window);
        let out = model.predict(&rows(&input));
        let horizons = model.horizons().days().to_vec();
        prop_assert_eq!(out.values.len(), input.len() * horizons.len());
        for row in 0..input.len() {
            for h in 0..horizons.len() {
                let i = row * horizons.len() + h;
                let q = &out.quantiles[3 * i..3 * i + 3];
                prop_assert!(out.values[i].is_finite() && out.values[i] >= 0.0);
                prop_assert!((0.0..=1.0).contains(&out.positive[i]));
                prop_assert!(0.0 <= q[0] && q[0] <= q[1] && q[1] <= q[2] && q[2].is_finite());
                if !value {
                    let most = f64::from(horizons[h]);
                    prop_assert!(out.values[i] <= most && q[2] <= most);
                }
                if h > 0 {
                    prop_assert!(out.values[i] >= out.values[i - 1]);
                    prop_assert!(out.positive[i] >= out.positive[i - 1]);
                    let before = &out.quantiles[3 * i - 3..3 * i];
                    prop_assert!(q.iter().zip(before).all(|(now, then)| now >= then));
                }
            }
        }
        // Together or one by one, in any order.
        let single: Vec<f64> = input.iter().flat_map(|r| model.predict(&rows(&[*r])).values).collect();
        prop_assert_eq!(single, out.values);
    }
}
