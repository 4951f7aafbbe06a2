//! Event files of a training, killed and resumed, read back by TensorBoard itself where it is
//! installed.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use serde_json::Value;
use std::{
    fs,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};
use support::Workspace;

/// Prints, as JSON, every scalar of a folder as TensorBoard shows it: tag to pairs of step and value.
const READER: &str = "
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1], size_guidance={'scalars': 0})
events.Reload()
tags = events.Tags()['scalars']
print(json.dumps({tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags}))
";

/// A Python with TensorBoard: that of `LTV_TENSORBOARD_PYTHON`, or the first on the path.
fn python() -> Option<String> {
    let python = std::env::var("LTV_TENSORBOARD_PYTHON").unwrap_or_else(|_| "python3".into());
    let mut command = Command::new(&python);
    command.args(["-c", "import tensorboard"]);
    let output = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    output
        .is_ok_and(|status| status.success())
        .then_some(python)
}

fn scalars(python: &str, at: &Workspace, folder: &str) -> Value {
    let mut command = Command::new(python);
    command.args(["-c", READER]).arg(at.path(folder));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", support::text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn dataset() -> Workspace {
    let at = Workspace::new();
    at.ok("simulate --users 4000 --quiet --out sim");
    at.ok(
        "features --preset simulator --events sim/events --users sim/users --quiet \
           --as-of 2024-04-01 --out data",
    );
    at
}

const LINE: &str = "train --data data --quiet --epochs 3 --batch 128 --checkpoint-steps 7 \
                    --validation-steps 13 --patience 1000";

/// Runs until it has saved something new, and kills it there; says whether it was still running.
fn killed(at: &Workspace, line: &str) -> bool {
    let part = at.path("part");
    let before = fs::read(&part).unwrap_or_default();
    let mut child = at.ltv(line).stdout(Stdio::null()).spawn().unwrap();
    let mut killed = false;
    while child.try_wait().unwrap().is_none() {
        if fs::read(&part).is_ok_and(|now| now != before) {
            child.kill().unwrap();
            killed = true;
            break;
        }
        sleep(Duration::from_millis(1));
    }
    child.wait().unwrap();
    killed
}

/// Values without the speed, which differs.
fn steady(mut scalars: Value) -> Value {
    let speed = scalars
        .as_object_mut()
        .unwrap()
        .remove("speed/rows_per_second");
    assert!(speed.is_some_and(|s| !s.as_array().unwrap().is_empty()));
    scalars
}

#[test]
fn a_resumed_training_is_drawn_once() {
    let Some(python) = python() else {
        println!("skipped: no Python with tensorboard; LTV_TENSORBOARD_PYTHON may name one");
        return;
    };
    let at = dataset();
    let text = at.ok(&format!(
        "{LINE} --json --out whole.ltv --tensorboard whole"
    ));
    let report: Value = serde_json::from_str(&text).unwrap();
    let whole = steady(scalars(&python, &at, "whole"));
    let line = format!("{LINE} --out killed.ltv --checkpoint part --tensorboard killed");
    let kills = ["", " --resume", " --resume"].map(|r| killed(&at, &format!("{line}{r}")));
    assert!(kills.contains(&true), "over before it could be killed");
    at.ok(&format!("{line} --resume"));
    let files = fs::read_dir(at.path("killed")).unwrap().count();
    assert_eq!(files, 4, "each call has its file");
    assert_eq!(steady(scalars(&python, &at, "killed")), whole);

    check_looks(&whole, &report["record"]["validations"]);
    check_losses(&whole);
    // A run from the start replaces all of it.
    let short = LINE.replace("--epochs 3", "--epochs 1");
    at.ok(&format!("{short} --out whole.ltv --tensorboard killed"));
    let again = scalars(&python, &at, "killed");
    let steps = |all: &Value| all["loss/total"].as_array().unwrap().len();
    assert!(steps(&again) < steps(&whole), "{again}");
}

/// The validations that the bundle records, to the precision of `f32`.
fn check_looks(scalars: &Value, looks: &Value) {
    let looks = looks.as_array().unwrap();
    for (tag, key) in [
        ("validation/likelihood", "likelihood"),
        ("validation/training_loss", "training_loss"),
    ] {
        let points = scalars[tag].as_array().unwrap();
        assert_eq!(points.len(), looks.len());
        for (point, look) in points.iter().zip(looks) {
            assert_eq!(point[0], look["step"]);
            let (shown, meant) = (point[1].as_f64().unwrap(), look[key].as_f64().unwrap());
            assert!((shown / meant - 1.0).abs() < 1e-6, "{tag}: {point}, {look}");
        }
    }
}

/// Every tenth step has the total, terms that make it up, and the rates of the configuration.
fn check_losses(scalars: &Value) {
    let points = |tag: &str| scalars[tag].as_array().unwrap().clone();
    let total = points("loss/total");
    for (i, point) in total.iter().enumerate() {
        assert_eq!(point[0], 10 * i);
    }
    let tags = scalars.as_object().unwrap().keys();
    let terms: Vec<_> = tags
        .filter(|tag| tag.starts_with("loss/") && *tag != "loss/total")
        .collect();
    assert!(terms.len() > 4, "{terms:?}");
    for tag in terms {
        assert_eq!(points(tag).len(), total.len(), "{tag}");
    }
    for rate in ["rate/layers", "rate/embeddings"] {
        let constant = |p: &Value| (p[1].as_f64().unwrap() / 0.001 - 1.0).abs() < 1e-6;
        assert!(points(rate).iter().all(constant));
    }
    let (first, last) = (&total[0][1], &total[total.len() - 1][1]);
    assert!(last.as_f64() < first.as_f64(), "it learns: {first} {last}");
}

/// Event files change nothing of what is trained, and a folder that cannot be one is refused first.
#[test]
fn events_are_no_part_of_the_model() {
    let at = dataset();
    let line = "train --data data --quiet --epochs 1";
    at.ok(&format!("{line} --out plain.ltv"));
    at.ok(&format!("{line} --out watched.ltv --tensorboard runs/one"));
    let bundle = |name: &str| fs::read(at.path(name)).unwrap();
    assert!(bundle("plain.ltv") == bundle("watched.ltv"));
    let names: Vec<_> = fs::read_dir(at.path("runs/one")).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    at.write("file", "");
    let error = at.error(&format!("{line} --out new.ltv --tensorboard file"));
    assert!(
        error.contains("file: is a file; --tensorboard takes a folder"),
        "{error}"
    );
    assert!(!at.path("new.ltv").exists());
}
