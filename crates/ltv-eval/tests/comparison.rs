//! Comparisons: values against `evaluate`, verdicts, expected orders, errors, text.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use ltv_core::Horizons;
use ltv_eval::{
    Bootstrap, Comparison, ComparisonInput, Contestant, EvalInput, Metric, NamedPredictions,
    compare,
    comparison::{
        Agreement, CompareError, Expectation, HorizonComparison, SourceError, Standing, Verdict,
    },
    evaluate,
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::cell::RefCell;

const USERS: usize = 800;
const BOOTSTRAP: Bootstrap = Bootstrap {
    replicates: 100,
    seed: 4,
};

/// Contestants and their predictions, `[contestant][run]`, row-major `[rows, horizons]`.
#[derive(Clone)]
struct Arena {
    horizons: Horizons,
    labels: Vec<f64>,
    contestants: Vec<Contestant>,
    predictions: Vec<Vec<Vec<f64>>>,
    expect: Vec<Expectation>,
}

impl Arena {
    /// Two horizons; a fifth of the longer labels is not known yet.
    fn new() -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(9);
        let mut labels = Vec::new();
        for user in 0..USERS {
            let active = random.random_range(0.0..1.0) < 0.4;
            let short = if active {
                random.random_range(0..20u8)
            } else {
                0
            };
            let long = f64::from(short) + f64::from(random.random_range(0..5u8));
            labels.extend([
                f64::from(short),
                if user % 5 == 0 { f64::NAN } else { long },
            ]);
        }
        Self {
            horizons: Horizons::new(vec![30, 90]).unwrap(),
            labels,
            contestants: vec![],
            predictions: vec![],
            expect: vec![],
        }
    }

    /// Adds a contestant that mixes a part of the truth with noise of its own, `runs` times.
    fn mixed(self, name: &str, truth: f64, runs: u64) -> Self {
        let made = (0..runs).map(|run| {
            let seed = name.bytes().map(u64::from).sum::<u64>() * 100 + run;
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut guess = |y: f64| truth * y + (1.0 - truth) * random.random_range(0.0..9.0);
            self.labels
                .iter()
                .map(|y| guess(if y.is_nan() { 4.0 } else { *y }))
                .collect()
        });
        let made = made.collect();
        self.with(name, made)
    }

    fn with(mut self, name: &str, predictions: Vec<Vec<f64>>) -> Self {
        self.contestants.push(Contestant {
            name: name.to_owned(),
            runs: (1..=predictions.len()).map(|run| run.to_string()).collect(),
            ..Contestant::default()
        });
        self.predictions.push(predictions);
        self
    }

    fn try_run(&self) -> Result<Comparison, CompareError> {
        let input = ComparisonInput {
            horizons: &self.horizons,
            labels: &self.labels,
            contestants: &self.contestants,
            bootstrap: BOOTSTRAP,
            expect: &self.expect,
        };
        let width = self.horizons.len();
        compare(&input, &|c: usize, run: usize, t: usize| {
            let all = &self.predictions[c][run];
            Ok(all.chunks_exact(width).map(|row| row[t]).collect())
        })
    }

    fn run(&self) -> Comparison {
        self.try_run().unwrap()
    }
}

fn standing<'a>(result: &'a HorizonComparison, name: &str, metric: Metric) -> &'a Standing {
    let table = result.table(None).unwrap();
    table.row(name).unwrap().standing(metric).unwrap()
}

#[test]
fn one_run_gives_what_evaluate_gives() {
    let arena = Arena::new().mixed("a", 0.8, 1).mixed("b", 0.5, 1);
    let sets = ["a", "b"].map(|name| NamedPredictions {
        name: name.to_owned(),
        values: arena.predictions[usize::from(name == "b")][0].clone(),
    });
    let evaluation = evaluate(&EvalInput {
        horizons: &arena.horizons,
        labels: &arena.labels,
        predictions: &sets,
        segments: &[],
        bootstrap: Some(BOOTSTRAP),
        reference: Some("a"),
    })
    .unwrap();
    let comparison = arena.run();
    for (result, expected) in comparison.results.iter().zip(&evaluation.results) {
        let counts = (result.rows, result.positives, result.immature);
        let scope = &expected.overall;
        assert_eq!(counts, (scope.rows, scope.positives, expected.immature));
        for scores in &scope.scores {
            let entry = result.entry(&scores.set).unwrap();
            for score in &scores.metrics {
                let metric = entry.metric(score.metric).unwrap();
                assert_eq!((metric.mean, metric.sd), (score.value, None));
                assert_eq!(metric.interval, score.interval);
            }
        }
        for score in &scope.set("b").unwrap().differences {
            let row = result.table(None).unwrap().row("b").unwrap();
            if let Some(standing) = row.standing(score.metric) {
                assert_eq!(Some(standing.gap.difference), score.value);
                assert_eq!(standing.gap.difference_interval, score.interval);
            }
        }
    }
    for (set, contestant) in evaluation.sets.iter().zip(&comparison.contestants) {
        let order = set.order.as_ref().unwrap();
        let ours = contestant.order.as_ref().unwrap();
        assert_eq!(
            (ours.any, ours.pairs[0].share),
            (order.any, order.adjacent[0])
        );
    }
}

#[test]
fn runs_are_averaged_values_and_resamples_alike() {
    let arena = Arena::new().mixed("a", 0.8, 3).mixed("b", 0.7, 1);
    let comparison = arena.run();
    // Each run as a contestant of its own.
    let mut alone = Arena::new();
    for (i, run) in arena.predictions[0].iter().enumerate() {
        alone = alone.with(&i.to_string(), vec![run.clone()]);
    }
    let alone = alone.run();
    let (result, single) = (&comparison.results[1], &alone.results[1]);
    let metric = result.entry("a").unwrap().metric(Metric::NRMSE).unwrap();
    let each: Vec<f64> = ["0", "1", "2"]
        .map(|name| {
            single
                .entry(name)
                .unwrap()
                .metric(Metric::NRMSE)
                .unwrap()
                .mean
                .unwrap()
        })
        .to_vec();
    assert_eq!(
        metric.runs,
        each.iter().map(|&v| Some(v)).collect::<Vec<_>>()
    );
    let mean = each.iter().sum::<f64>() / 3.0;
    assert!((metric.mean.unwrap() - mean).abs() < 1e-15);
    let square: f64 = each.iter().map(|v| (v - mean).powi(2)).sum();
    assert!((metric.sd.unwrap() - (square / 2.0).sqrt()).abs() < 1e-12);
    // The mean of three steadies: its interval is no wider than the widest of the runs'.
    let width = |i: ltv_eval::Interval| i.high - i.low;
    let widest = ["0", "1", "2"].map(|name| {
        width(
            single
                .entry(name)
                .unwrap()
                .metric(Metric::NRMSE)
                .unwrap()
                .interval
                .unwrap(),
        )
    });
    assert!(width(metric.interval.unwrap()) <= widest.into_iter().fold(0.0, f64::max));
}

#[test]
fn the_clearly_better_wins_and_the_others_lose() {
    let comparison = Arena::new()
        .mixed("poor", 0.2, 4)
        .mixed("good", 0.9, 4)
        .mixed("fair", 0.6, 4)
        .run();
    for result in &comparison.results {
        for metric in [Metric::NRMSE, Metric::NMAE, Metric::NormGini, Metric::Auc] {
            let good = standing(result, "good", metric);
            assert_eq!(
                (good.verdict, good.rival.as_str()),
                (Verdict::Best, "fair"),
                "{metric:?}"
            );
            let poor = standing(result, "poor", metric);
            assert_eq!(
                (poor.verdict, poor.rival.as_str()),
                (Verdict::Worse, "good")
            );
            assert!(poor.gap.excess > 0.0 && poor.gap.decided());
        }
        let row = result.table(None).unwrap().row("good").unwrap();
        assert!(
            row.standing(Metric::LabelGini).is_none() && row.standing(Metric::BiasSe).is_none()
        );
    }
}

/// Two sets of runs whose bootstrap interval is clear but whose seeds spread more than they differ.
#[test]
fn a_lead_smaller_than_the_spread_of_seeds_is_noise() {
    let arena = Arena::new();
    let scaled = |factor: f64| -> Vec<f64> {
        let known = |y: &f64| if y.is_nan() { 1.0 } else { *y };
        arena.labels.iter().map(|y| factor * known(y)).collect()
    };
    // Errors are proportional to the labels, so the ratio and NMAE differ beyond users' noise.
    let a = vec![scaled(1.05), scaled(1.40)];
    let b = vec![scaled(1.10), scaled(1.45)];
    let comparison = arena.clone().with("a", a).with("b", b).run();
    for metric in [Metric::NMAE, Metric::CalibrationRatio] {
        let loser = standing(&comparison.results[0], "b", metric);
        assert!(loser.gap.excess_interval.unwrap().low > 0.0);
        assert!(loser.gap.seed_margin > loser.gap.excess);
        assert_eq!(loser.verdict, Verdict::WithinNoise);
        let winner = standing(&comparison.results[0], "a", metric);
        assert_eq!(winner.verdict, Verdict::BestWithinNoise);
    }
    // The same difference without spread is beyond noise.
    let sure = arena
        .clone()
        .with("a", vec![scaled(1.05)])
        .with("b", vec![scaled(1.10)])
        .run();
    assert_eq!(
        standing(&sure.results[0], "b", Metric::NMAE).verdict,
        Verdict::Worse
    );
}

#[test]
fn closeness_decides_where_closer_is_better() {
    let arena = Arena::new();
    let off = |by: f64| -> Vec<f64> {
        let known = |y: &f64| if y.is_nan() { 4.0 } else { *y };
        arena.labels.iter().map(|y| known(y) + by).collect()
    };
    let comparison = arena
        .clone()
        .with("high", vec![off(1.0)])
        .with("higher", vec![off(3.0)])
        .run();
    let higher = standing(&comparison.results[0], "higher", Metric::Bias);
    assert!((higher.gap.difference - 2.0).abs() < 1e-12 && (higher.gap.excess - 2.0).abs() < 1e-12);
    // Of two ratios on either side of 1, the nearer is better.
    let scaled = |factor: f64| vec![off(0.0).iter().map(|p| p * factor).collect::<Vec<f64>>()];
    let comparison = arena
        .clone()
        .with("low", scaled(0.9))
        .with("high", scaled(1.3))
        .run();
    let high = standing(&comparison.results[0], "high", Metric::CalibrationRatio);
    assert_eq!((high.verdict, high.rival.as_str()), (Verdict::Worse, "low"));
    assert!((high.gap.difference - 0.4).abs() < 1e-12 && (high.gap.excess - 0.2).abs() < 1e-12);
}

#[test]
fn horizons_metrics_and_tables_limit_who_is_compared() {
    let mut arena = Arena::new()
        .mixed("wide", 0.5, 1)
        .mixed("single", 0.9, 2)
        .mixed("median", 0.8, 1);
    arena.contestants[1].horizons = Some(vec![90]);
    arena.contestants[1].tables = vec!["T".to_owned()];
    arena.contestants[2].metrics = Some(vec![Metric::NMAE]);
    arena.contestants[2].tables = vec!["S".to_owned(), "T".to_owned()];
    let comparison = arena.run();
    assert_eq!(comparison.contestants[1].order, None);
    let [short, long] = &comparison.results[..] else {
        panic!("two horizons")
    };
    assert!(short.entry("single").is_none() && long.entry("single").is_some());
    // On the shorter one nobody competes with "wide" but in NMAE.
    let wide = short.table(None).unwrap().row("wide").unwrap();
    assert_eq!(wide.standings.len(), 1);
    assert_eq!(wide.standings[0].metric, Metric::NMAE);
    let metric = |result: &HorizonComparison, m| result.entry("median").unwrap().metric(m).cloned();
    assert!(metric(short, Metric::NRMSE).unwrap().mean.is_some());
    let names: Vec<_> = long.tables.iter().map(|t| t.table.as_deref()).collect();
    assert_eq!(names, [None, Some("S"), Some("T")]);
    assert_eq!(
        long.table(Some("S"))
            .unwrap()
            .row("median")
            .unwrap()
            .standings,
        []
    );
    let median = long.table(Some("T")).unwrap().row("median").unwrap();
    assert_eq!(median.standing(Metric::NMAE).unwrap().rival, "single");
    assert!(median.standing(Metric::NRMSE).is_none());
}

#[test]
fn expected_orders_are_checked_in_pairs() {
    let mut arena = Arena::new()
        .mixed("good", 0.9, 1)
        .mixed("fair", 0.6, 1)
        .mixed("poor", 0.2, 1)
        .mixed("single", 0.5, 1);
    let twin = arena.predictions[0].clone();
    arena = arena.with("twin", twin);
    arena.contestants[3].horizons = Some(vec![90]);
    let expectation = |name: &str, order: &[&str]| Expectation {
        name: name.to_owned(),
        order: order.iter().map(|&n| n.to_owned()).collect(),
        metrics: vec![Metric::NRMSE, Metric::NormGini],
    };
    arena.expect = vec![
        expectation("right", &["poor", "fair", "good"]),
        expectation("wrong", &["good", "fair", "poor"]),
        expectation("twins", &["poor", "twin", "good"]),
        expectation("alone", &["single", "good"]),
    ];
    let comparison = arena.run();
    let rankings = &comparison.results[0].rankings;
    assert_eq!(rankings.len(), 8);
    let find = |name: &str| rankings.iter().find(|r| r.name == name).unwrap();
    let pairs = |name: &str| {
        find(name)
            .pairs
            .iter()
            .map(|p| p.agreement)
            .collect::<Vec<_>>()
    };
    assert_eq!(find("right").agreement, Some(Agreement::Reproduced));
    assert_eq!(pairs("right"), [Agreement::Reproduced; 3]);
    assert_eq!(find("wrong").agreement, Some(Agreement::Contradicted));
    assert_eq!(pairs("wrong"), [Agreement::Contradicted; 3]);
    let [yes, unsure] = [Agreement::Reproduced, Agreement::Undecided];
    assert_eq!(pairs("twins"), [yes, yes, unsure]);
    assert_eq!(find("twins").agreement, Some(unsure));
    assert_eq!(
        (find("alone").agreement, find("alone").pairs.len()),
        (None, 0)
    );
    assert!(
        comparison.results[1]
            .rankings
            .last()
            .unwrap()
            .agreement
            .is_some()
    );
}

#[test]
fn same_bytes_for_any_number_of_threads() {
    let arena = Arena::new().mixed("a", 0.8, 2).mixed("b", 0.5, 1);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| arena.run().to_json().unwrap())
    };
    assert_eq!(run(1), run(4));
}

#[test]
fn documents_survive_a_round_trip() {
    let comparison = snapshot_arena().run();
    let text = comparison.to_json().unwrap();
    assert_eq!(Comparison::from_json(&text).unwrap(), comparison);
    let newer = text.replacen("\"version\": 1", "\"version\": 2", 1);
    let error = Comparison::from_json(&newer).unwrap_err().to_string();
    assert!(error.contains("expected ltv-comparison version 1, found ltv-comparison version 2"));
}

#[test]
fn mistakes_are_named() {
    let arena = || Arena::new().mixed("a", 0.8, 2).mixed("b", 0.5, 1);
    let message = |arena: Arena| arena.try_run().unwrap_err().to_string();
    let mut bad = arena();
    bad.predictions[0][1][3] = -1.0;
    let text = message(bad);
    assert!(
        text.starts_with("predictions 'a, run 2', column ltv_90, row 2: -1 is not"),
        "{text}"
    );
    let mut bad = arena();
    bad.predictions[1][0].truncate(20);
    assert!(message(bad).starts_with("predictions 'b', column ltv_30 holds 10 values"));
    let mut bad = arena();
    bad.contestants[1].runs.clear();
    assert!(message(bad).contains("'b' has no run"));
    let mut bad = arena();
    bad.contestants[1].horizons = Some(vec![30, 60]);
    assert!(message(bad).contains("give some of [30, 90]"));
    let mut bad = arena();
    bad.contestants[1].name = "a".to_owned();
    assert!(message(bad).contains("'a' is given twice"));
    let mut bad = arena();
    bad.expect = vec![Expectation {
        name: "paper".to_owned(),
        order: vec!["a".to_owned(), "c".to_owned()],
        metrics: vec![Metric::NRMSE],
    }];
    assert_eq!(
        message(bad),
        "expected order 'paper': 'c' is not among the contestants"
    );
    let mut bad = arena();
    bad.contestants.clear();
    assert!(message(bad).contains("at least one contestant"));
}

#[test]
fn a_source_that_fails_is_named() {
    let arena = Arena::new().mixed("a", 0.8, 2);
    let input = ComparisonInput {
        horizons: &arena.horizons,
        labels: &arena.labels,
        contestants: &arena.contestants,
        bootstrap: BOOTSTRAP,
        expect: &[],
    };
    let broken = |_: usize, _: usize, _: usize| Err(SourceError::new("no such file"));
    let text = compare(&input, &broken).unwrap_err().to_string();
    assert_eq!(
        text,
        "predictions of 'a', run '1', column ltv_30: no such file"
    );
}

#[test]
fn every_column_is_read_once_and_in_order() {
    let mut arena = Arena::new().mixed("a", 0.8, 2).mixed("b", 0.5, 1);
    arena.contestants[1].horizons = Some(vec![90]);
    let read = RefCell::new(Vec::new());
    let input = ComparisonInput {
        horizons: &arena.horizons,
        labels: &arena.labels,
        contestants: &arena.contestants,
        bootstrap: BOOTSTRAP,
        expect: &[],
    };
    let source = |c: usize, run: usize, t: usize| {
        read.borrow_mut().push((c, run, t));
        Ok(vec![1.0; USERS])
    };
    compare(&input, &source).unwrap();
    let expected = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (0, 1, 1), (1, 0, 1)];
    assert_eq!(*read.borrow(), expected);
}

/// In the layout of the paper: two tables, two of three models with seeds, a median for NMAE only.
fn snapshot_arena() -> Arena {
    let mut arena = Arena::new()
        .mixed("Two-Stage", 0.45, 1)
        .mixed("ZILN", 0.60, 3)
        .mixed("ODMN", 0.62, 3)
        .mixed("ODMN (median)", 0.75, 3)
        .mixed("MDME", 0.61, 3);
    for (contestant, tables) in arena.contestants.iter_mut().zip([1, 1, 3, 1, 2]) {
        let tables =
            [(1, "Table 1"), (2, "Table 2")].map(|(bit, t)| (tables & bit > 0).then_some(t));
        contestant.tables = tables.into_iter().flatten().map(str::to_owned).collect();
    }
    arena.contestants[3].metrics = Some(vec![Metric::NMAE]);
    arena.contestants[4].horizons = Some(vec![90]);
    arena.expect = vec![Expectation {
        name: "paper, table 1".to_owned(),
        order: ["Two-Stage", "ZILN", "ODMN"].map(str::to_owned).to_vec(),
        metrics: vec![Metric::NRMSE, Metric::MutualGini],
    }];
    arena
}

#[test]
fn text_for_a_terminal() {
    let text = snapshot_arena().run().tables();
    let widest = text.lines().map(|line| line.chars().count()).max();
    assert!(widest.unwrap() <= 120);
    insta::assert_snapshot!(text);
}

#[test]
fn text_as_markdown() {
    insta::assert_snapshot!(snapshot_arena().run().markdown());
}

/// What does not depend on who stands where: everything by name.
fn by_name(comparison: &Comparison) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for result in &comparison.results {
        for entry in &result.entries {
            all.push((
                entry.contestant.clone(),
                format!("{} {entry:?}", result.horizon),
            ));
        }
        for row in &result.table(None).unwrap().rows {
            all.push((
                row.contestant.clone(),
                format!("{} {row:?}", result.horizon),
            ));
        }
    }
    all.sort();
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn order_of_contestants_changes_nothing(
        order in Just([0, 1, 2, 3]).prop_shuffle(),
        truths in proptest::array::uniform4(0.3..0.9f64),
    ) {
        let mut arena = Arena::new();
        for (name, truth) in ["a", "b", "c", "d"].into_iter().zip(truths) {
            arena = arena.mixed(name, truth, 1 + u64::from(name < "c"));
        }
        let mut shuffled = arena.clone();
        shuffled.contestants = order.iter().map(|&c| arena.contestants[c].clone()).collect();
        shuffled.predictions = order.iter().map(|&c| arena.predictions[c].clone()).collect();
        prop_assert_eq!(by_name(&arena.run()), by_name(&shuffled.run()));
    }

    #[test]
    fn a_copy_ties_within_noise(truths in proptest::array::uniform2(0.3..0.9f64), runs in 1..4usize) {
        let arena = Arena::new().mixed("a", truths[0], 1).mixed("b", truths[1], 1);
        // The copy has the same run several times over: no more certain, no less.
        let copies = vec![arena.predictions[0][0].clone(); runs];
        let comparison = arena.with("copy of a", copies).run();
        for result in &comparison.results {
            for row in &result.table(None).unwrap().rows {
                for standing in row.standings.iter().filter(|s| s.rival.contains('a') && s.rival != row.contestant) {
                    let twins = row.contestant != "b";
                    if twins {
                        prop_assert_eq!(standing.verdict, Verdict::BestWithinNoise);
                        prop_assert_eq!((standing.gap.excess, standing.gap.seed_margin), (0.0, 0.0));
                    }
                }
            }
        }
    }
}
