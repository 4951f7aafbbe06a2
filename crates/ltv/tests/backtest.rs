//! `ltv backtest` through the real binary: a date sees what was known then and nothing else, what is
//! there is not trained again, what was killed goes on, and the page draws in a real browser.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../../ltv-eval/tests/browser/mod.rs"]
mod browser;
mod support;

use arrow::{
    array::{Array, AsArray},
    compute::cast,
    datatypes::{DataType, Date32Type, Float64Type, Int64Type},
};
use ltv_eval::{Comparison, Metric};
use ltv_lab::{Backtest, backtest::FOLLOWED};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::{collections::BTreeSet, fs, process::Stdio, thread::sleep, time::Duration};
use support::Workspace;

const CONFIG: &str = r#"
data = "all"
events = ["sim/events"]
as_of = ["2023-03-01", "2023-04-15", "2023-05-01"]
judge_days = 60
seeds = [1, 2]
bootstrap = 20

[network]
model = { embedding = 2, bottom = [8], tower = 4, buckets = 5 }
fit = { epochs = 2, batch = 128, checkpoint_steps = 4 }

[[models]]
name = "ODMN"
decodings = ["expectation", "median"]
network = {}

[[models]]
name = "each"
horizons = [30, 90]
each_horizon = true
network.model = { head = "ziln" }

[[models]]
name = "BG/NBD"
peer = { kind = "btyd", penalty = 0.01 }

[[models]]
name = "RFM"
peer = { kind = "rfm", recency = 3, frequency = 3, monetary = 3 }

[[models]]
name = "trivial sort"
peer = { kind = "trivial_sort" }

[[models]]
name = "train mean"
peer = { kind = "train_mean" }
"#;

/// The models without a network or the event log.
fn rules() -> String {
    let start = CONFIG.find("[network]").unwrap();
    let rules = CONFIG.find("[[models]]\nname = \"trivial sort\"").unwrap();
    format!("{}{}", &CONFIG[..start], &CONFIG[rules..])
}

const FEATURES: &str = "features --preset simulator --events sim/events --users sim/users --quiet";
const LINE: &str = "backtest --config backtest.toml --quiet";

/// Simulated users as one dataset that knows the whole of their lives, and the file above.
fn place(config: &str) -> Workspace {
    let at = Workspace::new();
    at.ok("simulate --users 4000 --quiet --out sim");
    at.ok(&format!("{FEATURES} --as-of 2024-07-29 --out all"));
    at.write("backtest.toml", config);
    at
}

fn document(at: &Workspace, name: &str) -> Backtest {
    let text = fs::read_to_string(at.path(&format!("{name}/backtest.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The oracle: a dataset that was really made on each date, and a comparison on it. Every model file
/// and every prediction is the same to the byte.
#[test]
fn a_date_is_what_a_dataset_made_on_that_date_would_be() {
    let at = place(CONFIG);
    at.ok(&format!("{LINE} --out out --judge-days 5000"));
    let models = CONFIG.split_once("[network]").unwrap().1;
    let mut compared = 0;
    for date in ["2023-03-01", "2023-04-15", "2023-05-01"] {
        at.ok(&format!("{FEATURES} --as-of {date} --out then"));
        let config = format!(
            "data = \"then\"\ntest = \"all\"\nevents = [\"sim/events\"]\nseeds = [1, 2]\n\
             bootstrap = 20\n[network]{models}"
        );
        at.write("compare.toml", config);
        at.ok(&format!(
            "compare --config compare.toml --quiet --out compared-{date}"
        ));
        let (ours, theirs) = (
            at.results(&format!("out/{date}")),
            at.results(&format!("compared-{date}")),
        );
        assert_eq!(
            ours.keys().collect::<Vec<_>>(),
            theirs.keys().collect::<Vec<_>>()
        );
        for (path, bytes) in &ours {
            assert!(*bytes == theirs[path], "{date}: {} differs", path.display());
            compared += 1;
        }
    }
    // For each date ten models, eight predictions, two tables.
    assert_eq!(compared, 60);
    let model =
        |date: &str| fs::read(at.path(&format!("out/{date}/runs/odmn@1/model.ltv"))).unwrap();
    assert_ne!(
        model("2023-03-01"),
        model("2023-05-01"),
        "the date makes no difference"
    );
}

#[test]
fn what_is_there_is_used_again() {
    let at = place(CONFIG);
    let text = at.ok(&format!("{LINE} --out whole --report"));
    assert!(text.contains("24, 24 of them trained now"), "{text}");
    let before = at.results("whole");
    let again = at.ok(&format!("{LINE} --out whole --report"));
    assert!(again.contains("0 of them trained now"), "{again}");
    assert!(
        before == at.results("whole"),
        "nothing changed, but results did"
    );
    let mut whole = before.clone();
    whole.retain(|path, _| !path.ends_with("report.html"));
    at.ok(&format!("{LINE} --out other --threads 4"));
    assert!(at.results("other") == whole, "results depend on threads");
    // A date more: it alone is trained, and the others stay as they are.
    at.write(
        "backtest.toml",
        CONFIG.replace("as_of = [", "as_of = [\"2023-06-01\", "),
    );
    let more = at.ok(&format!("{LINE} --out whole"));
    assert!(more.contains("32, 8 of them trained now"), "{more}");
    let after = at.results("whole");
    let moved = before
        .iter()
        .filter(|(path, bytes)| after[*path] != **bytes);
    let moved: Vec<_> = moved.map(|(path, _)| path.display().to_string()).collect();
    assert_eq!(moved, ["backtest.json", "backtest.md"]);
    // Other users are judged: what was predicted for the former ones is of no use.
    let fewer = at.ok(&format!("{LINE} --out whole --judge-days 30"));
    assert!(fewer.contains("32, 32 of them trained now"), "{fewer}");
}

/// Kills the process in the middle of its second date, and goes on.
#[test]
fn what_was_killed_goes_on() {
    let at = place(CONFIG);
    at.ok(&format!("{LINE} --out whole"));
    let mut child = at
        .ltv(&format!("{LINE} --out killed"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let second = at.path("killed/2023-04-15/runs/odmn@1/run.json");
    while child.try_wait().unwrap().is_none() && !second.exists() {
        sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(second.exists() && !at.path("killed/backtest.json").exists());
    at.ok(&format!("{LINE} --out killed"));
    assert!(at.results("whole") == at.results("killed"));
}

/// Numbers of the document against each other, and against what they are made of.
#[test]
fn the_document_adds_up() {
    let at = place(CONFIG);
    at.ok(&format!("{LINE} --out out"));
    let found = document(&at, "out");
    let models = [
        "ODMN",
        "ODMN (median)",
        "each",
        "BG/NBD",
        "RFM",
        "trivial sort",
        "train mean",
    ];
    assert_eq!(found.models, models);
    for (d, date) in found.dates.iter().enumerate() {
        assert_eq!(date.until - date.as_of, 60);
        let path = at.path(&format!("out/{}/comparison.json", date.as_of));
        let comparison = Comparison::from_json(&fs::read_to_string(path).unwrap()).unwrap();
        assert_eq!(comparison.rows, date.judged_rows);
        for &horizon in &found.horizons {
            let result = comparison.horizon(horizon).unwrap();
            let label = date.labels.iter().find(|l| l.horizon == horizon).unwrap();
            assert_eq!(label.judged_rows, result.rows);
            for entry in &result.entries {
                let model = entry.contestant.as_str();
                for metric in FOLLOWED {
                    let over = found.metric(model, horizon, metric).unwrap();
                    assert_eq!(over.values[d], entry.metric(metric).unwrap().mean);
                }
                check_cohorts(
                    &found,
                    (d, model, horizon),
                    entry.metric(Metric::CalibrationRatio).unwrap().mean,
                );
                // The fresh model is as good as the comparison says.
                let fresh = |s: &&ltv_lab::backtest::Stale| {
                    s.model == model
                        && s.horizon == horizon
                        && s.as_of == date.as_of
                        && s.age_days == 0
                };
                let fresh = found.staleness.iter().find(fresh).unwrap();
                for (value, metric) in fresh.values.iter().zip(ltv_lab::backtest::AGED) {
                    let expected = entry.metric(metric).unwrap().mean;
                    assert!(
                        (value.unwrap_or(-1.0) - expected.unwrap_or(-1.0)).abs() < 1e-12,
                        "{model} {horizon} {metric:?}"
                    );
                }
            }
        }
    }
    // 7 rows on 4 horizons, one of them on 2, for 3 dates: each with itself and with those before.
    assert_eq!(found.staleness.len(), 26 * 6);
    assert_eq!(found.stability.len(), 26 * 2);
    the_mean_moves_as_labels_do(&found);
}

/// Cohorts hold the judged users, and their totals make the ratio of all.
fn check_cohorts(found: &Backtest, (d, model, horizon): (usize, &str, u32), ratio: Option<f64>) {
    let date = &found.dates[d];
    let own = found
        .cohorts
        .iter()
        .filter(|c| c.as_of == date.as_of && c.model == model && c.horizon == horizon);
    let (mut users, mut actual, mut predicted) = (0, 0.0, 0.0);
    for cohort in own {
        users += cohort.users;
        actual += cohort.label_mean * cohort.users as f64;
        predicted += cohort.prediction_mean * cohort.users as f64;
    }
    let label = date.labels.iter().find(|l| l.horizon == horizon).unwrap();
    assert_eq!(users, label.judged_rows);
    if users > 0 {
        assert!((actual / users as f64 - label.judged_mean.unwrap()).abs() < 1e-9);
        assert!(
            (predicted / actual - ratio.unwrap()).abs() < 1e-9,
            "{model} {horizon}"
        );
    }
}

/// The training mean of one date over that of the date before, by hand.
fn the_mean_moves_as_labels_do(found: &Backtest) {
    let mean = |d: usize| found.dates[d].labels[0].train_mean.unwrap();
    let moved = found
        .stability
        .iter()
        .filter(|s| s.model == "train mean" && s.horizon == 30);
    for (d, moved) in moved.enumerate() {
        assert_eq!((moved.spearman, moved.decile_changed), (None, 0.0));
        let expected = mean(d + 1) / mean(d) - 1.0;
        assert!((moved.mean_change.unwrap() - expected).abs() < 1e-9);
    }
}

/// One user of the dataset, as its file has it.
struct User {
    registered: i32,
    trains: bool,
    channel: Option<String>,
    label: Option<f64>,
}

/// Reads the file without the program's own readers.
fn users(at: &Workspace) -> Vec<User> {
    let file = fs::File::open(at.path("all/part-00000.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let mut all = vec![];
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        let column =
            |name: &str, to: &DataType| cast(batch.column_by_name(name).unwrap(), to).unwrap();
        let (ids, days) = (
            column("user_id", &DataType::Int64),
            column("reg_day", &DataType::Date32),
        );
        let (channels, labels) = (
            column("channel", &DataType::Utf8),
            column("ltv_30", &DataType::Float64),
        );
        let ids = ids.as_primitive::<Int64Type>();
        let days = days.as_primitive::<Date32Type>();
        let channels = channels.as_string::<i32>();
        let labels = labels.as_primitive::<Float64Type>();
        all.extend((0..batch.num_rows()).map(|i| User {
            registered: days.value(i),
            // The default split: the first tenth by hash validates.
            trains: ltv_core::seed::user_fraction(ids.value(i)) >= 0.1,
            channel: channels.is_valid(i).then(|| channels.value(i).to_owned()),
            label: labels.is_valid(i).then(|| labels.value(i)),
        }));
    }
    all
}

/// The index of two samples of cells, by its definition.
fn index<T: Ord>(before: &[T], after: &[T]) -> f64 {
    let cells: BTreeSet<&T> = before.iter().chain(after).collect();
    let share = |all: &[T], cell: &T| {
        let held = all.iter().filter(|c| *c == cell).count();
        (held as f64 / all.len() as f64).max(1e-4)
    };
    let part = |cell: &&T| {
        let (p, q) = (share(before, cell), share(after, cell));
        (q - p) * (q / p).ln()
    };
    cells.iter().map(part).sum()
}

/// Drift of a category and of a label, counted anew from the file.
#[test]
fn drift_is_what_counting_by_hand_gives() {
    let at = place(&rules());
    at.ok(&format!("{LINE} --out out"));
    let (found, users) = (document(&at, "out"), users(&at));
    for date in &found.dates {
        let (from, until) = (date.as_of.0, date.until.0);
        let trains = |u: &&User| u.trains && u.registered + 7 + 30 <= from;
        let judged = |u: &&User| (from..until).contains(&u.registered);
        let before: Vec<&User> = users.iter().filter(trains).collect();
        let after: Vec<&User> = users.iter().filter(judged).collect();
        assert_eq!(
            (date.train_rows, date.judged_rows),
            (before.len() as u64, after.len() as u64)
        );
        let channels = |all: &[&User]| all.iter().map(|u| u.channel.clone()).collect::<Vec<_>>();
        let expected = index(&channels(&before), &channels(&after));
        let channel = date.features.iter().find(|f| f.name == "channel").unwrap();
        assert!((channel.psi.unwrap().value - expected).abs() < 1e-9);

        let labels = |all: &[&User]| all.iter().filter_map(|u| u.label).collect::<Vec<f64>>();
        let mut sorted = labels(&before);
        sorted.sort_by(f64::total_cmp);
        let tenth = |k: usize| sorted[(k * sorted.len()).div_ceil(10) - 1];
        let mut ends: Vec<f64> = (1..10).map(tenth).collect();
        ends.dedup();
        let bins = |all: &[&User]| -> Vec<usize> {
            let bin = |y: f64| ends.iter().filter(|&&end| end < y).count();
            labels(all).into_iter().map(bin).collect()
        };
        let label = &date.labels[0];
        assert!((label.psi.unwrap().value - index(&bins(&before), &bins(&after))).abs() < 1e-9);
        let mean = labels(&after).iter().sum::<f64>() / labels(&after).len() as f64;
        assert!((label.judged_mean.unwrap() - mean).abs() < 1e-9);
    }
}

#[test]
fn the_summary_fits_a_screen() {
    let at = place(&rules());
    let text = at.ok(&format!("{LINE} --out out"));
    insta::assert_snapshot!("summary", text);
    assert!(text.lines().count() < 45);
    assert!(text.lines().skip(1).all(|l| l.chars().count() <= 120));
    let json = at.ok(&format!("{LINE} --out out --json"));
    let found: Backtest = serde_json::from_str(&json).unwrap();
    assert_eq!(found, document(&at, "out"));
    let tables = fs::read_to_string(at.path("out/backtest.md")).unwrap();
    for part in [
        "### ltv_30: NRMSE",
        "### Drift of features",
        "what age costs",
        "| 2023-04 |",
    ] {
        assert!(tables.contains(part), "no '{part}' in\n{tables}");
    }
}

#[test]
fn dates_come_from_flags_too() {
    let mut text = rules();
    let list = text.find("as_of").unwrap();
    let end = list + text[list..].find('\n').unwrap();
    text.replace_range(list..end, "");
    let at = place(&text);
    let line = format!("{LINE} --out out --from 2023-03-01 --to 2023-05-20 --every 40 --seeds 1");
    let summary = at.ok(&line);
    assert!(
        summary.contains("2023-04-10") && summary.contains("2023-05-20"),
        "{summary}"
    );
    assert_eq!(document(&at, "out").dates.len(), 3);
}

#[test]
fn the_page_draws_in_a_browser() {
    let Some(program) = browser::find() else {
        eprintln!("skipped: no chromium, chromium-browser or google-chrome on the path");
        return;
    };
    let at = place(CONFIG);
    at.ok(&format!("{LINE} --out out --report"));
    let page = fs::read_to_string(at.path("out/report.html")).unwrap();
    for part in [
        "What age costs",
        "Drift of features",
        "registration month",
        "ltv backtest",
    ] {
        assert!(page.contains(part), "no '{part}'");
    }
    let shots = support::screenshots();
    let charts = browser::check_page(&program, &at.path("out/report.html"), &shots, "backtest");
    assert!(charts.unwrap() > 20);
}

#[test]
fn mistakes_are_named_before_anything_is_trained() {
    let at = place(CONFIG);
    let dates = "as_of = [\"2023-03-01\", \"2023-04-15\", \"2023-05-01\"]";
    let wrong = |from: &str, to: &str, rest: &str| {
        assert!(CONFIG.contains(from), "{from}");
        at.write("wrong.toml", CONFIG.replace(from, to));
        at.error(&format!(
            "backtest --config wrong.toml --out wrong --quiet {rest}"
        ))
    };
    let cases = [
        (dates, "", "", "give as-of dates"),
        (
            dates,
            "",
            "--from 2023-05-01 --to 2023-04-01",
            "dates.from: 2023-05-01 is after to = 2023-04-01",
        ),
        (dates, "", "--from 2023-05-01", "missing field `to`"),
        (
            dates,
            "as_of = [\"2025-01-01\"]",
            "",
            "nothing is known of 2025-01-01",
        ),
        // The first user has not been there for the window and the shortest horizon.
        (
            dates,
            "as_of = [\"2022-01-20\"]",
            "",
            "as of 2022-01-20: all: no user to train on",
        ),
        (
            dates,
            "as_of = [\"2024-07-01\"]",
            "",
            "as of 2024-07-01: all: nobody to judge on",
        ),
        ("judge_days = 60", "judge_days = 0", "", "judge_days"),
        ("judge_days", "test = \"all\"\njudge_days", "", "test"),
        ("data = \"all\"", "data = \"nowhere\"", "", "nowhere"),
        (
            "events = [\"sim/events\"]",
            "",
            "",
            "models 'BG/NBD': it needs the event log",
        ),
        ("bootstrap = 20", "bootstrap = 5", "", "bootstrap"),
        (
            "recency = 3",
            "recency = 0",
            "",
            "models 'RFM': peer.recency",
        ),
        ("", "", "--from 2023-03-01 --to 2023-04-01", "not both"),
    ];
    for (from, to, rest, expected) in cases {
        let error = wrong(from, to, rest);
        assert!(error.contains(expected), "{from} -> {to} {rest}: {error}");
        assert!(!at.path("wrong").exists(), "{expected}: said too late");
    }
    let none = at.error("backtest --out wrong --quiet");
    assert!(none.contains("--config"), "{none}");
    let date = at.error(&format!("{LINE} --out wrong --from yesterday"));
    assert!(date.contains("yesterday"), "{date}");
    at.write("mine/notes.txt", "mine");
    let taken = at.error(&format!("{LINE} --out mine"));
    assert!(
        taken.contains("holds 'notes.txt', which is no part of a backtest"),
        "{taken}"
    );
    at.write("mine.html", "<title>mine</title>");
    let page = at.error(&format!("{LINE} --out wrong --report mine.html"));
    assert!(page.contains("not a report page"), "{page}");
}
