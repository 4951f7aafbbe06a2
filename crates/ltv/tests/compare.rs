//! `ltv compare` and report pages through the real binary: what is there is not trained again, what
//! was killed goes on, nothing depends on threads, and pages draw in a real browser.
#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../../ltv-eval/tests/browser/mod.rs"]
mod browser;
mod support;

use std::{fs, process::Stdio, thread::sleep, time::Duration};
use support::Workspace;

const CONFIG: &str = r#"
data = "train"
test = "test"
events = ["sim/events"]
seeds = [1, 2]
bootstrap = 20

[network]
model = { embedding = 2, bottom = [8], tower = 4, buckets = 5 }
fit = { epochs = 2, batch = 128, checkpoint_steps = 4 }

[[models]]
name = "ODMN"
tables = ["Table 1", "Table 3"]
decodings = ["expectation", "argmax", "median"]
network = {}

[[models]]
name = "S"
tables = ["Table 3"]
decodings = ["matched"]
network.model = { mono = "off", alpha = 0.0 }

[[models]]
name = "MDME"
horizons = [365]
tables = ["Table 2"]
network = {}

[[models]]
name = "ZILN"
tables = ["Table 1"]
each_horizon = true
decodings = ["expectation", "matched"]
network.model = { head = "ziln" }

[[models]]
name = "RFM"
peer = { kind = "rfm", recency = 3, frequency = 3, monetary = 3 }

[[models]]
name = "BG/NBD"
peer = { kind = "btyd", penalty = 0.01 }

[[models]]
name = "trivial sort"
peer = { kind = "trivial_sort" }

[[models]]
name = "train mean"
peer = { kind = "train_mean" }

[[expect]]
name = "the paper's Table 1"
order = ["ZILN", "ODMN"]
metrics = ["NRMSE"]
"#;

/// Simulated users as a training dataset and a later one, and the file above.
fn place() -> Workspace {
    let at = Workspace::new();
    at.ok("simulate --users 4000 --quiet --out sim");
    let features = "features --preset simulator --events sim/events --users sim/users --quiet";
    at.ok(&format!("{features} --as-of 2023-04-01 --out train"));
    at.ok(&format!("{features} --as-of 2024-07-29 --out test"));
    at.write("compare.toml", CONFIG);
    at
}

const LINE: &str = "compare --config compare.toml --quiet";

#[test]
fn what_is_there_is_used_again() {
    let at = place();
    let text = at.ok(&format!("{LINE} --out whole --report"));
    for part in [
        "Table 1",
        "Table 2",
        "ODMN (argmax)",
        "ZILN (matched)",
        "MDME",
        "BG/NBD",
        "12 of them trained now",
    ] {
        assert!(text.contains(part), "no '{part}' in\n{text}");
    }
    let page = fs::read_to_string(at.path("whole/report.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("ODMN (argmax)"));
    let before = at.results("whole");
    let again = at.ok(&format!("{LINE} --out whole --report"));
    assert!(again.contains("0 of them trained now"), "{again}");
    assert!(
        before == at.results("whole"),
        "nothing changed, but results did"
    );
    at.ok(&format!("{LINE} --out other --threads 4"));
    let mut other = at.results("other");
    let mut whole = before.clone();
    other.retain(|path, _| !path.ends_with("report.html"));
    whole.retain(|path, _| !path.ends_with("report.html"));
    assert!(other == whole, "results depend on threads");
    // One model changes: it alone is trained, and the others stay as they are.
    at.write("compare.toml", CONFIG.replace("recency = 3", "recency = 2"));
    let changed = at.ok(&format!("{LINE} --out whole"));
    assert!(changed.contains("1 of them trained now"), "{changed}");
    let after = at.results("whole");
    let moved: Vec<_> = before
        .iter()
        .filter(|(path, bytes)| after[*path] != **bytes)
        .collect();
    let moved: Vec<_> = moved
        .iter()
        .map(|(path, _)| path.display().to_string())
        .collect();
    let expected = [
        "comparison.json",
        "comparison.md",
        "runs/rfm@1/model.json",
        "runs/rfm@1/predictions.parquet",
    ];
    assert_eq!(moved, expected);
}

#[test]
fn a_killed_comparison_goes_on_to_the_same_bytes() {
    let at = place();
    at.ok(&format!("{LINE} --out whole"));
    let mut kills = 0;
    for runs in [1, 4, 8] {
        let mut child = at
            .ltv(&format!("{LINE} --out killed"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let there = || {
            let entries = fs::read_dir(at.path("killed/runs"));
            let names = entries.into_iter().flatten().flatten();
            names
                .filter(|e| e.path().join("run.json").is_file())
                .count()
        };
        while child.try_wait().unwrap().is_none() {
            if there() >= runs {
                // Somewhere in the next one.
                sleep(Duration::from_millis(20));
                child.kill().unwrap();
                kills += 1;
                break;
            }
            sleep(Duration::from_millis(1));
        }
        child.wait().unwrap();
    }
    assert!(
        kills > 0,
        "the comparison was over before it could be killed"
    );
    at.ok(&format!("{LINE} --out killed"));
    assert!(at.results("whole") == at.results("killed"));
    let names = fs::read_dir(at.path("killed/runs")).unwrap();
    let left: Vec<_> = names.flatten().map(|e| e.file_name()).collect();
    assert_eq!(left.len(), 12, "{left:?}");
}

#[test]
fn any_model_file_is_judged_and_explained() {
    let at = place();
    at.ok(&format!("{LINE} --seeds 1 --out out"));
    for model in [
        "odmn@1/model.ltv",
        "rfm@1/model.json",
        "trivial-sort@1/model.json",
    ] {
        let line = format!("evaluate --model out/runs/{model} --data test --bootstrap 20 --quiet");
        let text = at.ok(&format!(
            "{line} --by channel --importance --report page.html"
        ));
        assert!(text.contains("registered since 2023-04-01"), "{text}");
        assert!(text.contains("features by what they are worth"), "{text}");
        let name = ["odmn", "rfm", "trivial sort (this file)"];
        assert!(name.iter().any(|n| text.contains(n)), "{model}: {text}");
        let page = fs::read_to_string(at.path("page.html")).unwrap();
        for part in [
            "registration month",
            "Lorenz",
            "when the feature is shuffled",
            "ltv evaluate",
        ] {
            assert!(page.contains(part), "{model}: no '{part}'");
        }
    }
    // A model without a distribution cannot fill a snapshot.
    let line = "score --model out/runs/trivial-sort@1/model.json --data test --quiet --out snap";
    let error = at.error(line);
    assert!(
        error.contains("P(value > 0)") || error.contains("not a model bundle"),
        "{error}"
    );
}

#[test]
fn pages_draw_in_a_browser() {
    let Some(program) = browser::find() else {
        eprintln!("skipped: no chromium, chromium-browser or google-chrome on the path");
        return;
    };
    let at = place();
    at.ok(&format!("{LINE} --out out --report"));
    at.ok(
        "evaluate --model out/runs/odmn@1/model.ltv --data test --bootstrap 20 --quiet \
           --by channel --importance --report page.html",
    );
    let shots = support::screenshots();
    for (page, name) in [("page.html", "evaluate"), ("out/report.html", "compare")] {
        let charts = browser::check_page(&program, &at.path(page), &shots, name).unwrap();
        assert!(charts > 4, "{page}: {charts} charts");
    }
}

#[test]
fn mistakes_are_named_before_anything_is_trained() {
    let at = place();
    let features = "features --preset simulator --events sim/events --users sim/users --quiet";
    at.ok(&format!(
        "{features} --as-of 2023-04-01 --label value --out value"
    ));
    at.ok(&format!(
        "{features} --as-of 2023-04-01 --window-days 3 --out short"
    ));
    let wrong = |from: &str, to: &str| {
        at.write("wrong.toml", CONFIG.replace(from, to));
        at.error("compare --config wrong.toml --out wrong --quiet")
    };
    let cases = [
        ("name = \"S\"", "name = \"odmn\"", "models.name 'odmn'"),
        ("alpha = 0.0", "alpha = -1.0", "models 'S': model.alpha"),
        (
            "horizons = [365]",
            "horizons = [60]",
            "models 'MDME': horizons: 60",
        ),
        (
            "events = [\"sim/events\"]",
            "",
            "models 'BG/NBD': it needs the event log",
        ),
        ("recency = 3", "recency = 0", "models 'RFM': peer.recency"),
        ("kind = \"rfm\"", "kind = \"magic\"", "magic"),
        (
            "peer = { kind = \"train_mean\" }",
            "",
            "models 'train mean': models: give one of",
        ),
        (
            "[\"ZILN\", \"ODMN\"]",
            "[\"ZILN\", \"Y\"]",
            "'Y' is not among the contestants",
        ),
        ("data = \"train\"", "data = \"nowhere\"", "nowhere"),
        ("test = \"test\"", "", "nobody to judge on"),
        ("bootstrap = 20", "bootstrap = 5", "bootstrap"),
        (
            "seeds = [1, 2]",
            "seeds = [1, 1]",
            "seeds: [1, 1] has one twice",
        ),
        (
            "\"argmax\", \"median\"",
            "\"argmax\", \"argmax\"",
            "would be called 'ODMN (argmax)'",
        ),
        ("[\"sim/events\"]", "[\"sim/nothing\"]", "sim/nothing"),
        (
            "metrics = [\"NRMSE\"]",
            "metrics = []",
            "at least one metric",
        ),
        ("data = \"train\"", "data = \"value\"", "dataset.label"),
        (
            "data = \"train\"",
            "data = \"short\"",
            "dataset.window_days",
        ),
    ];
    for (from, to, expected) in cases {
        let error = wrong(from, to);
        assert!(error.contains(expected), "{from} -> {to}: {error}");
    }
    if !cfg!(feature = "xgboost") {
        let error = wrong(
            "peer = { kind = \"train_mean\" }",
            "peer = { kind = \"two_stage\" }",
        );
        assert!(error.contains("--features xgboost"), "{error}");
        assert!(!at.path("wrong/runs/odmn@1").exists(), "said too late");
    }
    assert!(!at.path("wrong/runs/odmn@1").exists(), "said too late");
    let none = at.error("compare --out wrong --quiet");
    assert!(none.contains("--config"), "{none}");
}

#[test]
fn what_is_not_ours_is_not_overwritten() {
    let at = place();
    at.write("mine.html", "<title>mine</title>");
    let page = at.error(&format!("{LINE} --out wrong --report mine.html"));
    assert!(page.contains("not a report page"), "{page}");
    at.write("mine/notes.txt", "mine");
    let taken = at.error(&format!("{LINE} --out mine"));
    assert!(taken.contains("holds 'notes.txt'"), "{taken}");
    at.write("page.html", "<title>mine</title>");
    let page = at.error("evaluate --model x --data test --report page.html");
    assert!(page.contains("not a report page"), "{page}");
}
