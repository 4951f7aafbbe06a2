//! Gates on numbers made up for them.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::{
    data::{fresh_labels, log_days, mixes},
    *,
};
use crate::{
    census::{ByValue, Census, Moments},
    config::Gate,
    judge::{Cohort, Judged},
};
use ltv_core::{Day, Horizons};
use ltv_data::features::LogDay;
use ltv_eval::{Bootstrap, EvalInput, NamedPredictions, Psi, Segments, evaluate};
use ltv_score::diff::{Diff, Movement, Side};

/// The options of checks that failed.
fn failed(checks: &[Check]) -> Vec<&str> {
    let failed = checks.iter().filter(|check| !check.passed);
    failed.map(|check| check.option.as_str()).collect()
}

/// A log of six weeks with weekends, and a last day of so many events of such a value.
fn log(events: u64, value: f64) -> Vec<LogDay> {
    let mut days: Vec<LogDay> = (0..42)
        .map(|day| {
            let events = if day % 7 > 4 { 1300 } else { 1000 } + day % 5 * 10;
            LogDay {
                day: Day(day as i32),
                events,
                value: events as f64 * (2.0 + 0.1 * (day % 3) as f64),
            }
        })
        .collect();
    days.push(LogDay {
        day: Day(42),
        events,
        value: events as f64 * value,
    });
    days
}

#[test]
fn a_day_of_the_log_is_held_to_those_before_it() {
    let gate = Gate::default();
    let found = |events, value| {
        let checks = log_days(&log(events, value), Day(42), &gate);
        checks
            .iter()
            .filter(|c| !c.passed)
            .map(|c| c.option.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(found(1100, 2.1), [""; 0]);
    assert_eq!(found(1600, 2.1), [""; 0], "a good day");
    assert_eq!(found(2300, 2.1), ["day_events"]);
    assert_eq!(found(50, 2.1), ["day_events"]);
    assert_eq!(found(0, 0.0), ["day_events"]);
    assert_eq!(found(1100, 6.3), ["day_value"]);
    assert_eq!(found(1100, 0.7), ["day_value"]);
    let open = Gate {
        day_events: f64::INFINITY,
        day_value: f64::INFINITY,
        ..Gate::default()
    };
    assert_eq!(failed(&log_days(&log(0, 0.0), Day(42), &open)), [""; 0]);
    // Not enough days to compare with.
    assert_eq!(log_days(&log(9, 9.0)[38..], Day(42), &gate), []);
}

fn moments(values: impl IntoIterator<Item = f64>) -> Moments {
    let mut moments = Moments::default();
    values.into_iter().for_each(|x| moments.add(x));
    moments
}

#[test]
fn labels_of_a_few_users_prove_nothing() {
    let gate = Gate::default();
    let before = moments((0..2000).map(|i| f64::from(i % 10)));
    let check = |fresh: Moments| fresh_labels(30, &fresh, &before, &gate).is_none_or(|c| c.passed);
    assert!(check(moments((0..200).map(|i| f64::from(i % 10)))));
    assert!(!check(moments((0..200).map(|i| 4.0 * f64::from(i % 10)))));
    assert!(!check(moments([0.0; 200])));
    assert!(check(moments([0.0; 3])), "three users without value");
    assert!(check(Moments::default()));
}

/// Newcomers of a day and of the four weeks before, by channel.
fn newcomers(before: &[u64], now: &[u64]) -> Census {
    let by = |counts: &[u64]| -> ByValue {
        let counts = counts.iter().enumerate().filter(|(_, n)| **n > 0);
        counts
            .map(|(i, &n)| (("channel".to_owned(), i.to_string()), n))
            .collect()
    };
    Census {
        newcomers: now.iter().sum(),
        newcomers_by: by(now),
        predecessors: before.iter().sum(),
        predecessors_by: by(before),
        days: 1,
        ..Census::default()
    }
}

#[test]
fn a_mix_of_newcomers_is_held_to_the_one_before() {
    let gate = Gate::default();
    let before = [2800, 2800, 2800, 1400, 1400];
    let found = |now: &[u64]| failed(&mixes(&newcomers(&before, now), &gate)).len();
    assert_eq!(found(&[100, 100, 100, 50, 50]), 0);
    assert_eq!(found(&[300, 10, 30, 30, 30]), 1);
    assert_eq!(
        found(&[120, 120, 120, 0, 40]),
        2,
        "moved, and one is missing"
    );
    let open = Gate {
        values_psi: f64::INFINITY,
        ..Gate::default()
    };
    assert_eq!(
        failed(&mixes(&newcomers(&before, &[400, 0, 0, 0, 0]), &open)),
        [""; 0]
    );
}

/// Draws of one population, of any size, by a simple generator of its own.
#[test]
fn chance_moves_no_mix() {
    let gate = Gate::default();
    let shares = [0.3, 0.25, 0.2, 0.15, 0.1];
    let mut state = 88_172_645_463_325_252_u64;
    let mut draw = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as f64 / u64::MAX as f64
    };
    let mut wrong = 0;
    for round in 0..3000 {
        let size = [10, 20, 40, 80, 300][round % 5];
        let [mut before, mut now] = [[0_u64; 5]; 2];
        for (side, n) in [(&mut before, 28 * size), (&mut now, size)] {
            for _ in 0..n {
                let u = draw();
                let mut sum = 0.0;
                let place = shares.iter().position(|p| {
                    sum += p;
                    u < sum
                });
                side[place.unwrap_or(4)] += 1;
            }
        }
        wrong += failed(&mixes(&newcomers(&before, &now), &gate)).len();
    }
    assert!(wrong <= 1, "{wrong} of 3000 days");
}

/// Judges predictions of 400 users: what they are worth times so much, for each set.
fn judged(candidate: f64, champion: Option<f64>, rows: usize) -> Judged {
    let labels: Vec<f64> = (0..rows).map(|i| f64::from(i as u32 % 7)).collect();
    let set = |name: &str, factor: f64| NamedPredictions {
        name: name.to_owned(),
        values: labels.iter().map(|y| factor * (y + 0.5)).collect(),
    };
    let mut predictions = vec![set(CANDIDATE, candidate), set(TRIVIAL, 1.0)];
    predictions.extend(champion.map(|factor| set(CHAMPION, factor)));
    let mut results = evaluate(&EvalInput {
        horizons: &Horizons::new(vec![30]).unwrap(),
        labels: &labels,
        predictions: &predictions,
        segments: &[Segments {
            name: "channel".into(),
            codes: (0..rows as u32).map(|i| u32::from(i >= 20)).collect(),
            labels: vec!["few".into(), "many".into()],
        }],
        bootstrap: Some(Bootstrap {
            replicates: 50,
            seed: 1,
        }),
        reference: champion.map(|_| CHAMPION),
    })
    .unwrap()
    .results;
    Judged {
        format: String::new(),
        version: 1,
        candidate: String::new(),
        champion: None,
        horizons: vec![Cohort {
            from: Day(0),
            to: Day(1),
            result: results.pop().unwrap(),
        }],
        unknown: vec![90],
    }
}

#[test]
fn a_model_is_held_to_the_truth_and_to_the_one_before() {
    let gate = Gate::default();
    let found = |candidate, champion| {
        let checks = model(&judged(candidate, champion, 400), &gate);
        failed(&checks)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    // The bias of half a unit is a ratio of 1.17.
    assert_eq!(found(1.0, None), [""; 0]);
    assert_eq!(found(3.0, None), ["calibration", "calibration_by"]);
    // As wrong as the one that would score instead: no reason to keep that one.
    assert_eq!(found(3.0, Some(3.0)), [""; 0]);
    assert_eq!(
        found(3.0, Some(1.0)),
        ["calibration", "calibration_by", "worse"]
    );
    assert_eq!(found(1.0, Some(3.0)), [""; 0]);
    let few = model(&judged(3.0, None, 40), &gate);
    assert_eq!(failed(&few), [""; 0]);
    assert!(
        few.iter()
            .any(|check| check.what.contains("40 users, too few"))
    );
    assert!(
        few.iter()
            .any(|check| check.what.contains("label of 90 days yet"))
    );
}

fn moved(by: f64, median: f64, gone: u64) -> Diff {
    let side = || Side {
        as_of: Day(0),
        model_id: String::new(),
        decoding: String::new(),
        rows: 1000,
    };
    let movement = Movement {
        horizon: 30,
        old_total: 100.0,
        new_total: 100.0 * by,
        old_of_both: 100.0,
        new_of_both: 100.0 * by,
        up: 0,
        down: 0,
        relative: Some([median, median, median]),
        psi: Psi::new(&[100, 900], &[900, 100]),
        reading: None,
    };
    Diff {
        format: String::new(),
        version: 1,
        old: side(),
        new: side(),
        both: 1000 - gone,
        gone,
        arrived: 0,
        moved_by: 0.1,
        horizons: vec![movement],
    }
}

#[test]
fn scores_are_held_to_those_that_are_live() {
    let gate = Gate::default();
    let found = |diff: &Diff, aged_out| {
        let checks = scores(Some(diff), Some(0), aged_out, &gate);
        failed(&checks)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&moved(1.1, 0.05, 0), 0), [""; 0]);
    assert_eq!(found(&moved(0.7, 0.05, 0), 0), ["movement"]);
    assert_eq!(found(&moved(1.1, 0.2, 0), 0), ["movement_psi"]);
    assert_eq!(found(&moved(1.0, 0.05, 50), 0), ["users_lost"]);
    assert_eq!(found(&moved(1.0, 0.05, 50), 45), [""; 0]);
    assert_eq!(
        failed(&scores(None, Some(3), 0, &gate)),
        ["order_violations"]
    );
    assert_eq!(failed(&scores(None, None, 0, &gate)), [""; 0]);
}

#[test]
fn what_is_accepted_passes_and_says_so() {
    let check = Check::new("data", "day_events", "events".into(), 3.0, 1.9, false);
    assert_eq!(check.reason(), "events: 3.0000, and gate.day_events is 1.9");
    let verdict = Verdict::of(vec![check.clone()], true);
    assert!(verdict.passed && verdict.accepted);
    let verdict = Verdict::of(vec![check], false);
    assert!(!verdict.passed && !verdict.accepted);
    let text = serde_json::to_string(&Check::blind("data", "nothing there".into(), false)).unwrap();
    let again: Check = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (again.limit, again.reason().as_str()),
        (None, "nothing there")
    );
}
