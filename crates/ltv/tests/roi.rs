//! `ltv roi` through the real binary: the experiment is what a slow second computation from snapshots,
//! user table and labels says it is, nothing depends on threads, and the better model wins.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use arrow::{
    array::{Array, AsArray},
    compute::concat_batches,
    datatypes::{Date32Type, Float64Type, Int64Type},
    record_batch::RecordBatch,
};
use ltv_core::assignment::Assigner;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs::{self, File},
};
use support::Workspace;

/// A small network, one that has hardly learnt, and a rule that knows little.
const CONFIG: &str = r#"
data = "train"
test = "test"
seeds = [1]
bootstrap = 20

[network]
model = { embedding = 2, bottom = [16], tower = 8, buckets = 5 }
fit = { epochs = 4, batch = 128 }

[[models]]
name = "odmn"
network = {}

[[models]]
name = "hasty"
network.fit = { epochs = 1 }

[[models]]
name = "mean"
peer = { kind = "train_mean" }
"#;

const ODMN: &str = "compared/runs/odmn@1/model.ltv";
const MEAN: &str = "compared/runs/mean@1/model.json";
const HASTY: &str = "compared/runs/hasty@1/model.ltv";
/// Day before which models were trained.
const AS_OF: &str = "2023-04-01";

/// Simulated users, a later dataset of them, and two models.
fn place() -> Workspace {
    let at = Workspace::new();
    at.ok("simulate --users 8000 --quiet --out sim");
    let features = "features --preset simulator --events sim/events --users sim/users --quiet \
                    --horizons 7,14,30,90";
    at.ok(&format!("{features} --as-of {AS_OF} --out train"));
    at.ok(&format!("{features} --as-of 2024-07-29 --out test"));
    at.write("compare.toml", CONFIG);
    at.ok("compare --config compare.toml --quiet --out compared");
    at
}

fn line(rest: &str) -> String {
    format!("roi --data test --cost cost --leave-out-free --arm-share 0.4 --quiet {rest}")
}

fn document(at: &Workspace, rest: &str) -> Value {
    let mut found: Value = serde_json::from_str(&at.ok(&format!("{} --json", line(rest)))).unwrap();
    found.as_object_mut().unwrap().remove("timing");
    found
}

fn number(value: &Value, pointer: &str) -> f64 {
    let found = value.pointer(pointer);
    found
        .and_then(Value::as_f64)
        .unwrap_or_else(|| panic!("{pointer} in {value:#}"))
}

fn table(at: &Workspace, folder: &str) -> Vec<RecordBatch> {
    let mut all = vec![];
    for entry in fs::read_dir(at.path(folder)).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "parquet") {
            let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap());
            all.extend(reader.unwrap().build().unwrap().map(Result::unwrap));
        }
    }
    all
}

/// A column of numbers by user.
fn by_user(at: &Workspace, folder: &str, column: &str) -> BTreeMap<i64, f64> {
    let mut found = BTreeMap::new();
    for batch in table(at, folder) {
        let users = batch.column_by_name("user_id").unwrap();
        let values = batch.column_by_name(column).unwrap();
        let values = values.as_primitive::<Float64Type>();
        for (row, &user) in users
            .as_primitive::<Int64Type>()
            .values()
            .iter()
            .enumerate()
        {
            if values.is_valid(row) {
                found.insert(user, values.value(row));
            }
        }
    }
    found
}

/// A user of the slow computation.
struct Person {
    id: i64,
    cost: f64,
    ltv: [f64; 3],
    predicted: [f64; 2],
}

/// Everybody who registered since the training, cost something and whose values are known.
fn people(at: &Workspace) -> Vec<Person> {
    let mut registered = BTreeMap::new();
    for batch in table(at, "test") {
        let days = batch.column_by_name("reg_day").unwrap();
        let users = batch.column_by_name("user_id").unwrap();
        let users = users.as_primitive::<Int64Type>().values();
        registered.extend(
            users
                .iter()
                .copied()
                .zip(days.as_primitive::<Date32Type>().values().to_vec()),
        );
    }
    let since: ltv_core::Day = AS_OF.parse().unwrap();
    let labels = [7, 14, 30].map(|n| by_user(at, "test", &format!("ltv_{n}")));
    let predicted = [HASTY, ODMN].map(|model| {
        let _ = fs::remove_dir_all(at.path("snap"));
        at.ok(&format!(
            "score --model {model} --data test --quiet --out snap"
        ));
        by_user(at, "snap", "ltv_30")
    });
    let mut people = vec![];
    for (id, cost) in by_user(at, "sim/users", "cost") {
        let known = registered.get(&id).is_some_and(|&day| day >= since.0);
        if known && cost > 0.0 && labels[2].contains_key(&id) {
            people.push(Person {
                id,
                cost,
                ltv: [0, 1, 2].map(|t| labels[t][&id]),
                predicted: [0, 1].map(|m| predicted[m][&id]),
            });
        }
    }
    people
}

/// Delivers one by one; users delivered to, what they cost, their returns.
fn deliver(arm: &[&Person], model: usize, budget: f64) -> (u64, f64, [f64; 3]) {
    let assigner = Assigner::new("ltv");
    let mut queue = arm.to_vec();
    queue.sort_by(|a, b| {
        let score = |p: &Person| p.predicted[model] / p.cost;
        let tie = |p: &Person| assigner.draw(&p.id.to_string()).order;
        score(b).total_cmp(&score(a)).then(tie(a).cmp(&tie(b)))
    });
    let (mut users, mut spend, mut values) = (0, 0.0, [0.0; 3]);
    for person in queue {
        if spend + person.cost > budget * (1.0 + 1e-9) {
            break;
        }
        users += 1;
        spend += person.cost;
        values
            .iter_mut()
            .zip(person.ltv)
            .for_each(|(sum, v)| *sum += v);
    }
    (users, spend, values.map(|v| v / spend))
}

#[test]
fn the_experiment_is_what_a_slow_count_says() {
    let at = place();
    let found = document(
        &at,
        &format!("--control {HASTY} --treatment {ODMN} --bootstrap 0"),
    );
    let people = people(&at);
    assert_eq!(number(&found, "/users") as usize, people.len());
    let assigner = Assigner::new("ltv");
    let arm = |from: f64| -> Vec<&Person> {
        let within = |p: &&Person| {
            let fraction = assigner.draw(&p.id.to_string()).fraction;
            fraction >= from && fraction < from + 0.4
        };
        people.iter().filter(within).collect()
    };
    let arms = [arm(0.0), arm(0.4)];
    let costs = arms
        .each_ref()
        .map(|arm| arm.iter().map(|p| p.cost).sum::<f64>());
    let budget = 0.3 * costs[0].min(costs[1]);
    let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9 * b.abs(), "{a} {b}");
    close(number(&found, "/split/budget"), budget);
    let mut returns = vec![];
    for (m, name) in ["control", "treatment"].into_iter().enumerate() {
        let (users, spend, roi) = deliver(&arms[m], m, budget);
        let at = |key: &str| number(&found, &format!("/split/{name}/{key}"));
        assert_eq!(
            (at("users") as usize, at("delivered") as u64),
            (arms[m].len(), users)
        );
        close(at("spend"), spend);
        (0..3).for_each(|t| close(at(&format!("roi/{t}/value")), roi[t]));
        returns.push(roi);
    }
    let [control, treatment] = returns[..] else {
        panic!("{returns:?}")
    };
    for (t, (control, treatment)) in control.into_iter().zip(treatment).enumerate() {
        let uplift = treatment / control - 1.0;
        close(number(&found, &format!("/split/uplift/{t}/value")), uplift);
    }
    // The replay on everybody, with the same share of their cost.
    let everybody: Vec<&Person> = people.iter().collect();
    let share = budget / costs[0].min(costs[1]);
    let budget = share * everybody.iter().map(|p| p.cost).sum::<f64>();
    for m in 0..2 {
        let (users, _, roi) = deliver(&everybody, m, budget);
        let at = |key: &str| number(&found, &format!("/replay/policies/{m}/{key}"));
        assert_eq!(at("delivered") as u64, users);
        (0..3).for_each(|t| close(at(&format!("roi/{t}/value")), roi[t]));
    }
    // Bids of everybody: means over a target of 1.
    let n = people.len() as f64;
    close(
        number(&found, "/bids/values/0/worth"),
        people.iter().map(|p| p.ltv[2]).sum::<f64>() / n,
    );
    let mean = people.iter().map(|p| p.predicted[1]).sum::<f64>() / n;
    close(
        number(&found, "/bids/values/0/treatment/max_cpa/value"),
        mean,
    );
}

/// The page of the format has a word on every key.
fn documented(value: &Value) {
    let text = include_str!("../../../docs/formats/roi.md");
    match value {
        Value::Array(items) => items.iter().for_each(documented),
        Value::Object(fields) => {
            for (key, value) in fields {
                assert!(text.contains(&format!("`{key}`")), "no word on {key}");
                documented(value);
            }
        }
        _ => (),
    }
}

/// The guide has a word on every flag of this command.
#[test]
fn the_guide_names_every_flag() {
    let help = Workspace::new().ok("roi --help");
    let own = help.split("Common options:").next().unwrap();
    let flags = own.lines().filter_map(|l| l.trim().strip_prefix("--"));
    let flags: Vec<&str> = flags.filter_map(|l| l.split_whitespace().next()).collect();
    assert!(flags.len() > 20, "{flags:?}");
    let guide = include_str!("../../../docs/guide/roi.md");
    for flag in flags {
        assert!(
            guide.contains(&format!("`--{flag}`")),
            "no word on --{flag}"
        );
    }
}

#[test]
fn the_better_model_wins_and_the_same_model_does_not() {
    let at = place();
    let both = format!("--control {MEAN} --treatment {ODMN} --by channel,device --bootstrap 100");
    let found = document(&at, &both);
    let uplift = |t: usize| {
        number(
            &found,
            &format!("/replay/policies/1/uplift/{t}/interval/low"),
        )
    };
    assert!(uplift(2) > 0.0, "{:#}", found["replay"]);
    // Nobody beats whoever knows what is to come, and the network beats chance.
    let roi = |policy: usize| number(&found, &format!("/replay/policies/{policy}/roi/2/value"));
    assert!((0..5).all(|policy| roi(policy) < roi(5)) && roi(1) > roi(4));
    let holds = found["split"]["checks"].as_array().unwrap();
    assert!(holds.len() > 5 && holds[0]["holds"] == true);
    assert!(holds.iter().all(|c| c["holds"] != false));
    assert!(
        holds
            .iter()
            .all(|c| c["holds"].is_null() == c["p"].is_null())
    );
    assert_eq!(found["bids"]["values"][1]["column"], "channel");
    // Organic users cost nothing, and are not there.
    let labels = found["bids"]["values"].as_array().unwrap();
    assert!(labels.iter().all(|v| v["label"] != "app-store"));
    assert!(number(&found, "/about/cost/free") > 0.0);

    let again = format!("{both} --threads 1 --out roi.json --report roi.html");
    let text = at.ok(&line(&again));
    assert!(text.lines().count() < 50, "{text}");
    assert!(text.lines().all(|l| l.chars().count() <= 100), "{text}");
    let written: Value = serde_json::from_slice(&fs::read(at.path("roi.json")).unwrap()).unwrap();
    assert_eq!(written, found, "results depend on threads");
    let parsed: ltv_eval::roi::Roi = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(serde_json::to_value(&parsed).unwrap(), written);
    documented(&written);
    let page = fs::read_to_string(at.path("roi.html")).unwrap();
    for part in [
        "not a causal effect",
        "Value captured, 30 days",
        "A/A: control",
        "channel: ads-b",
    ] {
        assert!(page.contains(part), "no '{part}' on the page");
    }

    let same = document(
        &at,
        &format!("--control {ODMN} --treatment {ODMN} --bootstrap 100"),
    );
    let text = at.ok(&line(&format!(
        "--control {ODMN} --treatment {HASTY} --bootstrap 0"
    )));
    let files = [ODMN, HASTY].map(|file| text.contains(&format!("({file})")));
    assert_eq!(
        files, [true; 2],
        "two networks cannot be told apart: {text}"
    );
    for t in 0..3 {
        assert_eq!(
            number(&same, &format!("/replay/policies/1/uplift/{t}/value")),
            0.0
        );
        let arms = format!("/split/uplift/{t}/interval");
        assert!(
            number(&same, &format!("{arms}/low")) < 0.0
                && number(&same, &format!("{arms}/high")) > 0.0
        );
        let a_a = number(&same, &format!("/split/same_model/{t}/value"));
        assert_eq!(a_a, number(&same, &format!("/split/uplift/{t}/value")));
    }
}

#[test]
fn costs_can_be_stated() {
    let at = place();
    let line = |model: &str| {
        format!(
            "roi --data test --quiet --json --bootstrap 0 --arm-share 0.4 --control {MEAN} --treatment {ODMN} {model}"
        )
    };
    let found = |model: &str| -> Value { serde_json::from_str(&at.ok(&line(model))).unwrap() };
    let flat = found("--cost-model constant:2");
    assert_eq!(flat["about"]["cost"]["invented"], true);
    let users = number(&flat, "/users");
    assert_eq!(number(&flat, "/cost"), 2.0 * users);
    // One cost for all: half of it doubles the return, and delivers to the same users.
    let half = found("--cost-model constant:1");
    for t in 0..3 {
        let roi = format!("/split/treatment/roi/{t}/value");
        assert!((number(&half, &roi) / number(&flat, &roi) - 2.0).abs() < 1e-9);
    }
    // Drawn costs stay as they are under another salt, while arms change.
    let (a, b) = (
        found("--cost-model lognormal:1,0.5"),
        found("--cost-model lognormal:1,0.5 --salt x"),
    );
    assert!((number(&a, "/cost") / number(&b, "/cost") - 1.0).abs() < 1e-12);
    assert_ne!(
        a["split"]["control"]["users"],
        b["split"]["control"]["users"]
    );
    let prices = "by:channel:pre-install=1,app-store=1,fission=1,ads-a=1,ads-b=3";
    let by = found(&format!("--cost-model {prices}"));
    assert!(number(&by, "/cost") > users);
    let error = at.error(&line("--cost-model by:channel:pre-install=1"));
    assert!(error.contains("has no cost: add "), "{error}");
}

/// A flag wins over what the file says, also over what the file says of its rival.
#[test]
fn flags_win_over_their_rivals_in_the_file() {
    let at = place();
    let found = |file: &str, flags: &str| -> Value {
        at.write(
            "roi.toml",
            format!("bootstrap = 0\narm_share = 0.4\n{file}\n"),
        );
        let line = format!(
            "roi --data test --quiet --json --config roi.toml --control {MEAN} --treatment {MEAN} {flags}"
        );
        serde_json::from_str(&at.ok(&line)).unwrap()
    };
    let both = "budget = 50\ncost_model = 'constant:2'";
    let file = found(both, "");
    assert_eq!(number(&file, "/split/budget"), 50.0);
    let flags = found(both, "--budget-share 0.2 --cost cost --leave-out-free");
    assert!((number(&flags, "/split/budget_share") - 0.2).abs() < 1e-12);
    assert_eq!(flags["about"]["cost"]["source"], "column 'cost'");
    let back = "budget_share = 0.2\ncost = 'cost'";
    let flags = found(back, "--budget 40 --cost-model constant:2");
    assert_eq!(number(&flags, "/split/budget"), 40.0);
    assert_eq!(flags["about"]["cost"]["source"], "constant:2");
}

/// A user without a cost, one of a negative cost and one of an infinite cost are named.
#[test]
fn costs_that_are_none_are_refused() {
    let at = Workspace::new();
    at.ok("simulate --users 3000 --quiet --out sim");
    let users = table(&at, "sim/users");
    let users = concat_batches(&users[0].schema(), &users).unwrap();
    let rows = users.num_rows();
    let features = "features --preset simulator --events sim/events --users users.parquet --quiet \
                    --horizons 30 --as-of";
    for (bad, said) in [
        (None, "NaN"),
        (Some(-1.0), "-1"),
        (Some(f64::INFINITY), "inf"),
    ] {
        // Of the last ten users, some of whom registered in time; all others cost 1.
        let columns: Vec<(&str, _)> = users
            .schema_ref()
            .fields()
            .iter()
            .map(|field| {
                let cost = (0..rows).map(|row| if row + 10 >= rows { bad } else { Some(1.0) });
                let array = match field.name().as_str() {
                    "cost" => support::floats(cost),
                    name => users.column_by_name(name).unwrap().clone(),
                };
                (field.name().as_str(), array)
            })
            .collect();
        at.parquet("users.parquet", &columns);
        at.ok(&format!("{features} 2022-09-01 --out train"));
        at.ok(&format!("{features} 2024-07-29 --out test"));
        at.write(
            "compare.toml",
            "data = 'train'\ntest = 'test'\nseeds = [1]\nbootstrap = 20\n[[models]]\nname = 'mean'\n\
             peer = { kind = 'train_mean' }\n",
        );
        at.ok("compare --config compare.toml --quiet --out compared");
        let error = at.error(&format!(
            "roi --quiet --data test --cost cost --leave-out-free --control {MEAN} --treatment {MEAN}"
        ));
        let expected = format!(": a cost of {said}; costs must be there");
        assert!(error.contains("test: column 'cost', user 299"), "{error}");
        assert!(error.contains(&expected), "{error}");
    }
}
