//! Where the time of a command went: stages, and parts of stages.

use crate::progress::duration;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    time::{Duration, Instant},
};

/// The stages of one command so far. Those of one kind, `epoch 1` and `epoch 2`, are one.
#[derive(Debug)]
pub(crate) struct Timing {
    began: Instant,
    stages: Vec<Stage>,
}

#[derive(Debug, Clone, PartialEq)]
struct Stage {
    name: String,
    times: u32,
    time: Duration,
    /// In the order in which they came up.
    parts: Parts,
}

/// Parts of a stage and their times.
pub(crate) type Parts = Vec<(&'static str, Duration)>;

/// Adds to a part.
pub(crate) fn spend(parts: &mut Parts, part: &'static str, time: Duration) {
    match parts.iter_mut().find(|(name, _)| *name == part) {
        Some((_, sum)) => *sum += time,
        None => parts.push((part, time)),
    }
}

/// The same for programs.
#[derive(Debug, Serialize)]
pub(crate) struct Summary<'a> {
    seconds: f64,
    stages: Vec<StageSummary<'a>>,
}

#[derive(Debug, Serialize)]
struct StageSummary<'a> {
    stage: &'a str,
    times: u32,
    seconds: f64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<&'a str, f64>,
}

/// Lines of stages at most; shorter stages are put together.
const MOST: usize = 6;
/// Stages that took less of the whole than this are put together too,
const LEAST: f64 = 0.01;
/// and parts of them are not worth a line.
const LEAST_PART: f64 = 0.02;

impl Timing {
    /// Of a command that begins now.
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            stages: vec![],
        }
    }

    /// Adds a stage that is over.
    pub(crate) fn add(&mut self, name: &str, time: Duration, parts: Parts) {
        let kind = name.trim_end_matches(|c: char| c.is_ascii_digit());
        let kind = kind.trim_end();
        let place = self.stages.iter().position(|stage| stage.name == kind);
        let place = place.unwrap_or_else(|| {
            self.stages.push(Stage {
                name: kind.to_owned(),
                times: 0,
                time: Duration::ZERO,
                parts: vec![],
            });
            self.stages.len() - 1
        });
        let stage = &mut self.stages[place];
        stage.times += 1;
        stage.time += time;
        for (part, time) in parts {
            spend(&mut stage.parts, part, time);
        }
    }

    /// Whether nothing that takes time was done.
    pub(crate) fn is_empty(&self) -> bool {
        self.stages.is_empty()
    }

    /// For programs, until now.
    pub(crate) fn summary(&self) -> Summary<'_> {
        let part = |(name, time): &(&'static str, Duration)| (*name, time.as_secs_f64());
        let stages = self.stages.iter().map(|stage| StageSummary {
            stage: &stage.name,
            times: stage.times,
            seconds: stage.time.as_secs_f64(),
            parts: stage.parts.iter().map(part).collect(),
        });
        Summary {
            seconds: self.began.elapsed().as_secs_f64(),
            stages: stages.collect(),
        }
    }

    /// For people, until now.
    pub(crate) fn text(&self) -> String {
        table(&self.stages, self.began.elapsed())
    }
}

/// Stages with their shares of the whole, the rest last.
fn table(stages: &[Stage], whole: Duration) -> String {
    let mut lines: Vec<(String, Duration)> = vec![];
    let mut longest: Vec<&Stage> = stages.iter().collect();
    longest.sort_by_key(|stage| std::cmp::Reverse(stage.time));
    longest.retain(|stage| share(stage.time, whole) >= LEAST);
    longest.truncate(MOST);
    let shown = |stage: &&Stage| longest.iter().any(|other| other.name == stage.name);
    for stage in stages.iter().filter(shown) {
        let times = match stage.times {
            1 => String::new(),
            n => format!(", {n} times"),
        };
        lines.push((format!("{}{times}", stage.name), stage.time));
        let worth = |(_, time): &&(&str, Duration)| share(*time, whole) >= LEAST_PART;
        let parts = stage.parts.iter().filter(worth);
        lines.extend(parts.map(|(name, time)| (format!("  {name}"), *time)));
    }
    let known: Duration = longest.iter().map(|stage| stage.time).sum();
    lines.push(("everything else".into(), whole.saturating_sub(known)));
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let mut text = format!("time: {}\n", duration(whole.as_secs_f64()));
    for (name, time) in lines {
        let (took, percent) = (duration(time.as_secs_f64()), 100.0 * share(time, whole));
        let _ = writeln!(text, "  {name:width$}  {took:>12}  {percent:>3.0} %");
    }
    text
}

fn share(part: Duration, whole: Duration) -> f64 {
    part.as_secs_f64() / whole.as_secs_f64().max(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn timing() -> Timing {
        let mut timing = Timing::new();
        timing.add("fit encoding", seconds(10), vec![]);
        for epoch in 1..=12 {
            let parts = vec![("steps", seconds(5)), ("checkpoints", seconds(1))];
            timing.add(&format!("epoch {epoch}"), seconds(7), parts);
        }
        timing
    }

    #[test]
    fn stages_of_one_kind_are_added_up() {
        let text = table(&timing().stages, seconds(100));
        let expected = "time: 1 min 40 s
  fit encoding           10.0 s   10 %
  epoch, 12 times    1 min 24 s   84 %
    steps            1 min 00 s   60 %
    checkpoints          12.0 s   12 %
  everything else         6.0 s    6 %
";
        assert_eq!(text, expected);
    }

    #[test]
    fn short_stages_are_put_together() {
        let mut timing = timing();
        for (i, letter) in ('a'..='y').enumerate() {
            timing.add(&letter.to_string(), seconds(1 + i as u64 % 2), vec![]);
        }
        let text = table(&timing.stages, seconds(200));
        let stages = text
            .lines()
            .filter(|l| l.starts_with("  ") && !l.starts_with("   "));
        assert_eq!(stages.count(), MOST + 1, "{text}");
    }

    #[test]
    fn programs_get_every_stage() {
        let timing = timing();
        let summary = serde_json::to_value(timing.summary()).expect("it is JSON");
        let epochs = &summary["stages"][1];
        assert_eq!(
            (&epochs["stage"], &epochs["times"]),
            (&"epoch".into(), &12.into())
        );
        assert_eq!(epochs["seconds"], 84.0);
        assert_eq!(epochs["parts"]["steps"], 60.0);
        assert_eq!(summary["stages"][0].get("parts"), None);
    }
}
