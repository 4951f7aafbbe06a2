//! The yardstick's own metrics, run beside ours on made-up data of several kinds. Needs its file,
//! Python and NumPy; skipped, with the reason, where one is missing.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use ltv_eval::{Metric, order_violations, score};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// Where it stands, seen from this crate.
const YARDSTICK: &str = "../../../shared/yardstick/accuracy";

/// Computes the metrics of the cases on standard input.
const DRIVER: &str = "
import json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np, metrics
given = json.load(sys.stdin)
plain = lambda d: {k: None if np.isnan(v) else float(v) for k, v in d.items()}
adjacent, any_ = metrics.order_violation(np.array(given['order']))
json.dump({
    'cases': [plain(metrics.all_metrics(y, p)) for y, p in given['cases']],
    'adjacent': adjacent.tolist(),
    'any': float(any_),
}, sys.stdout)
";

fn python(arguments: &[&str], input: &str) -> std::io::Result<Output> {
    let mut child = Command::new("python3")
        .arg("-B")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    // Dropped at the end of the statement, which ends the input.
    child.stdin.take().unwrap().write_all(input.as_bytes())?;
    child.wait_with_output()
}

/// The folder of the yardstick, or why there is nothing to compare with.
fn available() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(YARDSTICK);
    if !folder.join("metrics.py").exists() {
        return Err(format!("{} holds no metrics.py", folder.display()));
    }
    match python(&["-c", "import numpy"], "") {
        Err(error) => Err(format!("python3 does not start ({error})")),
        Ok(output) if !output.status.success() => Err("python3 has no NumPy".into()),
        Ok(_) => Ok(folder),
    }
}

/// Labels and predictions: zero-heavy and tied to different degrees.
fn cases() -> Vec<(Vec<f64>, Vec<f64>)> {
    let mut random = ChaCha8Rng::seed_from_u64(42);
    let mut draw = || random.random_range(0.0..1.0f64);
    let mut cases = vec![];
    for (rows, zeros, steps) in [
        (500, 0.7, 1e9),
        (400, 0.3, 4.0),
        (1000, 0.0, 20.0),
        (37, 0.9, 2.0),
    ] {
        let (mut labels, mut predictions) = (vec![], vec![]);
        for _ in 0..rows {
            let worth = 1.0 / (1.01 - draw());
            labels.push(if draw() < zeros { 0.0 } else { worth });
            let guess = worth.sqrt() + 3.0 * draw();
            predictions.push((guess * steps).round() / steps);
        }
        labels[0] = 1.0;
        cases.push((labels, predictions));
    }
    cases
}

/// Rows of three horizons that sometimes fall.
fn horizons() -> Vec<[f64; 3]> {
    let mut random = ChaCha8Rng::seed_from_u64(43);
    let mut row = || {
        let start = random.random_range(0.0..1.0f64);
        let steps: [f64; 2] = std::array::from_fn(|_| random.random_range(-0.2..1.0f64));
        [start, start + steps[0], start + steps[0] + steps[1]].map(|v| v.max(0.0))
    };
    (0..300).map(|_| row()).collect()
}

fn close(found: Option<f64>, expected: &Value, what: &str) {
    let same = match (found, expected.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-11 * b.abs().max(1.0),
        (a, b) => a.is_none() && b.is_none(),
    };
    assert!(same, "{what}: {found:?}, but the yardstick says {expected}");
}

#[test]
fn metrics_agree_with_the_yardstick() {
    let folder = match available() {
        Ok(folder) => folder,
        Err(reason) => {
            println!("skipped: {reason}");
            return;
        }
    };
    let (cases, order) = (cases(), horizons());
    let input = json!({ "cases": cases, "order": order }).to_string();
    let output = python(&["-c", DRIVER, folder.to_str().unwrap()], &input).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    for (i, (labels, predictions)) in cases.iter().enumerate() {
        let scores = score("case", labels, predictions).unwrap();
        let expected = answer["cases"][i].as_object().unwrap();
        assert!(expected.len() >= 10, "{expected:?}");
        for (name, value) in expected {
            let metric = match name.as_str() {
                "bias" => Metric::Bias,
                other => Metric::from_name(other).unwrap(),
            };
            close(scores.value(metric), value, &format!("case {i}, {name}"));
        }
    }
    let flat: Vec<f64> = order.into_iter().flatten().collect();
    let found = order_violations(&flat, 3).unwrap();
    close(Some(found.any), &answer["any"], "any crossing");
    for (t, share) in found.adjacent.iter().enumerate() {
        close(Some(*share), &answer["adjacent"][t], "crossing");
    }
}
