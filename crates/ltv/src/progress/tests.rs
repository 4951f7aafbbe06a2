//! What a display writes, in each of its forms.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use serde_json::Value;
use std::sync::Arc;

type Written = Arc<Mutex<Vec<String>>>;

/// A display that says everything at once, and what it has written.
fn display(style: Style) -> (Display, Written) {
    let written = Written::default();
    let into = written.clone();
    let display = Display {
        style,
        pace: Pace {
            most: Duration::ZERO,
            least: Duration::ZERO,
        },
        stage: Mutex::new(None),
        timing: Mutex::new(Timing::new()),
        write: Box::new(move |line| into.lock().unwrap().push(line.to_owned())),
        listener: std::sync::Arc::new(ltv_core::progress::Silent),
    };
    (display, written)
}

/// A stage of 40 units, 10 of which are done after a while; and one without a total.
fn go(display: &Display) {
    display.start("epoch 3", Some(40));
    std::thread::sleep(Duration::from_millis(20));
    display.advance(10);
    display.note("validation loss 1.5");
    display.spend("making batches", Duration::from_millis(3));
    display.start("measure", None);
    display.finish();
}

#[test]
fn lines_say_how_far_how_fast_and_how_long() {
    let (display, written) = display(Style::Lines);
    go(&display);
    display.say("next");
    let lines = written.lock().unwrap();
    let [progress, closing, measure, next] = &lines[..] else {
        panic!("{lines:?}")
    };
    assert!(progress.starts_with("epoch 3: 10 of 40, "), "{progress}");
    assert!(
        progress.contains("/s, ") && progress.ends_with(" s left"),
        "{progress}"
    );
    assert!(closing.starts_with("epoch 3: 10 in "), "{closing}");
    assert!(closing.ends_with("/s; validation loss 1.5"), "{closing}");
    assert!(measure.starts_with("measure: 0.0 s"), "{measure}");
    assert_eq!(next, "next");
}

#[test]
fn a_log_holds_the_same_facts() {
    let (display, written) = display(Style::Log);
    go(&display);
    let lines = written.lock().unwrap();
    let entries = lines.iter().map(|line| serde_json::from_str(line).unwrap());
    let entries: Vec<Value> = entries.collect();
    let events: Vec<_> = entries
        .iter()
        .map(|e| e["event"].as_str().unwrap())
        .collect();
    let expected = [
        "stage_started",
        "stage_progress",
        "note",
        "stage_finished",
        "stage_started",
        "stage_finished",
    ];
    assert_eq!(events, expected);
    let progress = &entries[1];
    assert_eq!(
        (&progress["done"], &progress["total"]),
        (&10.into(), &40.into())
    );
    let number = |key: &str| progress[key].as_f64().unwrap();
    // Three times as much is left as is done.
    let ratio = number("seconds_left") / number("seconds");
    assert!((ratio - 3.0).abs() < 0.2, "{progress}");
    assert!((number("rate") * number("seconds") / 10.0 - 1.0).abs() < 0.1);
    assert_eq!(entries[2]["stage"], "epoch 3");
    assert_eq!(entries[3]["message"], "validation loss 1.5");
    assert_eq!(entries[3].get("seconds_left"), None);
    assert_eq!(entries[4].get("total"), None);
}

#[test]
fn the_quiet_one_adds_up_times_and_warns() {
    let (display, written) = display(Style::Quiet);
    go(&display);
    display.say("nothing");
    display.warn("mind this");
    assert_eq!(*written.lock().unwrap(), ["warning: mind this"]);
    let summary = serde_json::to_value(display.timing().summary()).unwrap();
    assert_eq!(summary["stages"][0]["stage"], "epoch");
    assert_eq!(summary["stages"][0]["parts"]["making batches"], 0.003);
}

#[test]
fn lines_come_by_time_or_by_twentieths() {
    let mut stage = Stage::new("a", Some(100), None);
    let hour = Duration::from_secs(3600);
    let due = |stage: &Stage, most, least| stage.is_due(Pace { most, least });
    assert!(due(&stage, Duration::ZERO, hour));
    stage.done = 4;
    assert!(!due(&stage, hour, Duration::ZERO));
    stage.done = 5;
    assert!(due(&stage, hour, Duration::ZERO));
    assert!(!due(&stage, hour, hour));
    stage.done = 100;
    assert!(!due(&stage, Duration::ZERO, Duration::ZERO));
    stage.total = None;
    assert!(!due(&stage, hour, Duration::ZERO));
}
