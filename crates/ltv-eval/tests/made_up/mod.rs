//! Made-up but plausible reports: four horizons of revenue with a heavy tail, a model that knows
//! something, baselines that know less.
#![allow(
    dead_code,
    missing_docs,
    reason = "each user of this file needs a part of it"
)]

use ltv_core::Horizons;
use ltv_eval::{
    Bootstrap, EvalInput, Evaluation, NamedPredictions, evaluate,
    page::{
        Fact, FeatureDrop, GroupTotal, Importance, LabelHistogram, Part, QuantileCount,
        ReportInput, Reproduce, SetQuantiles, SetTotal, Totals, TrainingRun,
    },
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) const DAYS: [u32; 4] = [30, 90, 180, 365];
const CHANNELS: [&str; 5] = ["search", "organic", "video ads", "referral", "partner apps"];

pub(crate) struct World {
    pub(crate) users: usize,
    pub(crate) sets: Vec<String>,
    pub(crate) cohorts: usize,
    pub(crate) labels: Vec<f64>,
    pub(crate) predictions: Vec<NamedPredictions>,
}

fn normal(random: &mut impl Rng) -> f64 {
    (0..12)
        .map(|_| random.random_range(0.0..1.0f64))
        .sum::<f64>()
        - 6.0
}

/// Users with labels, and sets that see the log of the truth through more and more noise.
pub(crate) fn world(users: usize, sets: &[&str], cohorts: usize) -> World {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut labels = Vec::new();
    let mut values = vec![Vec::new(); sets.len()];
    for _ in 0..users {
        let (size, alive) = (normal(&mut random), random.random_range(0.0..1.0) < 0.38);
        let noise: Vec<f64> = sets.iter().map(|_| normal(&mut random)).collect();
        for (t, days) in DAYS.iter().enumerate() {
            let growth = (f64::from(*days) / 30.0).powf(0.7);
            let worth = if alive {
                growth * (1.0 + 1.1 * size + 0.3 * normal(&mut random)).exp()
            } else {
                0.0
            };
            labels.push((100.0 * worth).round() / 100.0);
            for (s, of_set) in values.iter_mut().enumerate() {
                let blur = 0.5 + 0.25 * s as f64;
                let hint = if alive { 0.8 } else { -1.2 } + 0.9 * size + blur * noise[s];
                let wobble = 0.04 * normal(&mut random) * (1.0 + t as f64);
                of_set.push(growth * (hint + wobble - 0.35 * blur + 0.31).exp());
            }
        }
    }
    let named = |(name, values): (&&str, Vec<f64>)| NamedPredictions {
        name: (*name).to_owned(),
        values,
    };
    World {
        users,
        sets: sets.iter().map(|s| (*s).to_owned()).collect(),
        cohorts,
        labels,
        predictions: sets.iter().zip(values).map(named).collect(),
    }
}

impl World {
    pub(crate) fn evaluation(&self) -> Evaluation {
        let horizons = Horizons::new(DAYS.to_vec()).expect("ascending");
        evaluate(&EvalInput {
            horizons: &horizons,
            labels: &self.labels,
            predictions: &self.predictions,
            segments: &[],
            bootstrap: Some(Bootstrap {
                replicates: 60,
                seed: 7,
            }),
            reference: self.sets.get(1).map(String::as_str),
        })
        .expect("made-up data is sound")
    }

    fn column(&self, values: &[f64], horizon: usize) -> Vec<f64> {
        values
            .iter()
            .skip(horizon)
            .step_by(DAYS.len())
            .copied()
            .collect()
    }

    fn group(&self, name: String, horizon: usize, of: impl Fn(usize) -> bool) -> GroupTotal {
        let sum = |values: &[f64]| -> f64 {
            let column = self.column(values, horizon);
            column
                .iter()
                .enumerate()
                .filter(|(u, _)| of(*u))
                .map(|(_, v)| v)
                .sum()
        };
        let predicted = self.predictions.iter().map(|p| SetTotal {
            set: p.name.clone(),
            total: sum(&p.values),
        });
        GroupTotal {
            name,
            users: (0..self.users).filter(|u| of(*u)).count() as u64,
            actual: sum(&self.labels),
            predicted: predicted.collect(),
        }
    }

    fn totals(&self, horizon: usize) -> Vec<Totals> {
        let month = |c: usize| format!("{}-{:02}", 2022 + c / 12, c % 12 + 1);
        let cohorts = (0..self.cohorts)
            .map(|c| self.group(month(c), horizon, |u| u * self.cohorts / self.users == c));
        let channels = CHANNELS.iter().enumerate().map(|(c, name)| {
            self.group((*name).to_owned(), horizon, |u| {
                (u * u + u / 7) % 11 % 5 == c
            })
        });
        let totals = |name: &str, ordered, groups| Totals {
            name: name.to_owned(),
            ordered,
            groups,
        };
        vec![
            totals("registration month", true, cohorts.collect()),
            totals("channel", false, channels.collect()),
        ]
    }

    fn histogram(&self, horizon: usize) -> LabelHistogram {
        let edges: Vec<f64> = (0..=40)
            .map(|i| 0.1 * 10f64.powf(f64::from(i) / 10.0))
            .collect();
        let column = self.column(&self.labels, horizon);
        let bin = |w: &[f64]| column.iter().filter(|v| (w[0]..w[1]).contains(*v)).count() as u64;
        LabelHistogram {
            counts: edges.windows(2).map(bin).collect(),
            zeros: column.iter().filter(|v| **v == 0.0).count() as u64,
            edges,
            bucket_edges: vec![0.9, 2.4, 5.8, 11.0, 19.5, 37.0, 82.0, 210.0],
        }
    }

    fn quantiles(&self, horizon: usize) -> Vec<SetQuantiles> {
        let column = self.column(&self.labels, horizon);
        let of = |p: &NamedPredictions| {
            let values = self.column(&p.values, horizon);
            let quantile = |(level, factor): (f64, f64)| {
                let bound = |v: f64| if level < 0.2 { 0.0 } else { v * factor };
                let count = |f: &dyn Fn(f64, f64) -> bool| {
                    column
                        .iter()
                        .zip(&values)
                        .filter(|(y, v)| f(**y, bound(**v)))
                        .count() as u64
                };
                QuantileCount {
                    level,
                    below: count(&|y, q| y < q),
                    at_or_below: count(&|y, q| y <= q),
                    users: self.users as u64,
                }
            };
            SetQuantiles {
                set: p.name.clone(),
                central: None,
                quantiles: [(0.1, 0.0), (0.5, 0.35), (0.9, 3.2)].map(quantile).to_vec(),
            }
        };
        self.predictions.iter().take(2).map(of).collect()
    }

    /// A report with every part in it.
    pub(crate) fn report(&self) -> ReportInput {
        let evaluation = self.evaluation();
        let mut input = ReportInput::from_evaluation("Lifetime value, August 2026", &evaluation);
        input.subtitle =
            "The model of 1 August on users who registered between January 2022 and June \
                          2023, against three baselines."
                .to_owned();
        input.unit = "USD".to_owned();
        input.facts.insert(0, Fact::new("Model", "odmn-4c1f9a02"));
        input.facts.insert(1, Fact::new("As of", "2026-08-01"));
        for (t, part) in input.horizons.iter_mut().enumerate() {
            part.quantiles = Part::Given(self.quantiles(t));
            part.labels = Part::Given(self.histogram(t));
            part.totals = Part::Given(self.totals(t));
            if let Part::Given(sets) = &mut part.deciles {
                for decile in sets.iter_mut().take(1).flat_map(|s| &mut s.deciles) {
                    let width = 0.3 * decile.actual / f64::from(decile.decile).sqrt();
                    decile.interval = Some((decile.actual - width, decile.actual + width));
                }
            }
        }
        if let Part::Given(sets) = &mut input.order {
            let first = &mut sets[0];
            first.projected = first.any;
            first.pairs.iter_mut().for_each(|p| p.after = Some(0.0));
        }
        input.training = Part::Given(self.training());
        input.importance = Part::Given(importance());
        input.reproduce = Part::Given(reproduce());
        input
    }

    fn training(&self) -> Vec<TrainingRun> {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut run = |seed: u64| {
            let loss = |step: u64, floor: f64, rise: f64| {
                let s = step as f64;
                floor + 2.1 * (-s / 900.0).exp() + rise * (s / 6000.0).powi(3)
            };
            let mut noisy = |v: f64, by: f64| v + by * normal(&mut random);
            TrainingRun {
                name: format!("seed {seed}"),
                set: self.sets[0].clone(),
                training: (1..=120)
                    .map(|i| (i * 50, noisy(loss(i * 50, 1.05, 0.0), 0.02)))
                    .collect(),
                validation: (1..=24)
                    .map(|i| (i * 250, noisy(loss(i * 250, 1.16, 0.1), 0.005)))
                    .collect(),
                best_step: Some(3500 + 250 * (seed % 3)),
            }
        };
        (1..=3).map(&mut run).collect()
    }
}

fn importance() -> Importance {
    let names = [
        "sum of payments, days 0 to 6",
        "days active",
        "channel",
        "payments, count",
        "largest payment",
        "day of first payment",
        "country",
        "sessions, days 4 to 6",
        "device",
        "app version",
        "weekday of registration",
        "language",
    ];
    let feature = |(i, name): (usize, &&str)| {
        let drop = 0.11 * 0.62f64.powi(i as i32) - 0.0006;
        FeatureDrop {
            name: (*name).to_owned(),
            drop,
            interval: Some((drop - 0.004 - 0.05 * drop, drop + 0.004 + 0.05 * drop)),
        }
    };
    Importance {
        measure: "Loss of normalised Gini over 90 days when a feature is shuffled among users"
            .to_owned(),
        features: names.iter().enumerate().map(feature).collect(),
    }
}

fn reproduce() -> Reproduce {
    Reproduce {
        facts: vec![
            Fact::new("Program", "ltv 0.1.0"),
            Fact::new("Dataset", "b3:91c07e55d2f4 (48 columns, 3,000 users)"),
            Fact::new("Seed", "42"),
        ],
        command: "ltv evaluate --model model.ltv --data dataset/ --bootstrap 1000 --seed 42".to_owned(),
        config: "[data]\nhorizons = [30, 90, 180, 365]\nwindow = 7\n\n[model]\nkind = \"odmn\"\n\
                 sub_distributions = 2\nbuckets = 16\n\n[train]\nbatch = 512\nlearning_rate = 0.003\n\
                 # <script>alert(1)</script> stays text\n"
            .to_owned(),
    }
}

/// The report that people look at.
pub(crate) fn demo() -> ReportInput {
    world(3000, &["odmn", "xgboost", "ziln", "recent spend"], 18).report()
}

/// Names that try to break out of everything they are put in.
pub(crate) fn hostile() -> ReportInput {
    let names = [
        "</script><script>window.broken=1</script>",
        "\"><img src=x onerror=window.broken=1>",
        "__proto__",
        "@c3 {b} <!--",
    ];
    let mut input = world(400, &names, 3).report();
    input.title = "</title><script>window.broken=1</script>".to_owned();
    input.subtitle = "&lt;b&gt; <b>'\"".to_owned();
    input.unit = "<i>€".to_owned();
    input
}
