//! Every option of the daily loop.

use ltv_core::{
    Error, Result,
    config::{FeatureConfig, TrainConfig},
};
use ltv_eval::{Direction, Metric};
use ltv_model::Decoding;
use serde::{Deserialize, Serialize};
use std::{num::NonZero, path::PathBuf};

/// All options of `ltv daily`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DailyConfig {
    /// Folder of everything that the loop makes and remembers.
    #[serde(default = "default_work")]
    pub work: PathBuf,
    /// The event log: Parquet files, or folders of them, here or below `s3://bucket/prefix`.
    #[serde(default)]
    pub events: Vec<PathBuf>,
    /// The user table, if there is one.
    #[serde(default)]
    pub users: Vec<PathBuf>,
    /// Where scores are published: a folder, or an address of Redis; nowhere when `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store: Option<PathBuf>,
    /// Whether only values are published, without quantiles and P(value > 0).
    #[serde(default)]
    pub values_only: bool,
    /// How features are made; the as-of date is that of the run.
    pub features: FeatureConfig,
    /// How models are trained.
    #[serde(default = "default_train")]
    pub train: TrainConfig,
    /// When things are made from the start.
    #[serde(default)]
    pub refresh: Refresh,
    /// On whom models are judged.
    #[serde(default)]
    pub judge: Judge,
    /// What must hold.
    #[serde(default)]
    pub gate: Gate,
    /// How users are scored.
    #[serde(default)]
    pub score: Score,
    /// What is kept.
    #[serde(default)]
    pub keep: Keep,
}

fn default_work() -> PathBuf {
    "ltv-daily".into()
}

/// A tenth of the users judge, and are never trained on.
fn default_train() -> TrainConfig {
    let mut train = TrainConfig::default();
    train.split.test = 0.1;
    train
}

/// When things are made from the start.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `features_days` | 7 | days after which the dataset is made from the whole log again | >= 1 |
/// | `late_events` | rebuild | what happens when events of days gone by have arrived | rebuild, wait |
/// | `model_days` | 28 | days after which a model is trained from random weights again | >= 1 |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Refresh {
    /// Days after which the dataset is made from the whole log again; in between, rows that cannot have changed are
    /// taken over.
    pub features_days: NonZero<u32>,
    /// What happens when events of days gone by have arrived since.
    pub late_events: Late,
    /// Days after which a model is trained from random weights again; in between, yesterday's is gone on from.
    pub model_days: NonZero<u32>,
}

/// What happens when events arrive late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Late {
    /// The dataset is made from the whole log.
    Rebuild,
    /// They count once it is made from the whole log anyway.
    Wait,
}

const fn days(n: u32) -> NonZero<u32> {
    match NonZero::new(n) {
        Some(days) => days,
        None => NonZero::<u32>::MIN,
    }
}

impl Default for Refresh {
    fn default() -> Self {
        Self {
            features_days: days(7),
            late_events: Late::Rebuild,
            model_days: days(28),
        }
    }
}

/// On whom models are judged: the test users of the split, of each horizon those of the last cohorts whose labels
/// are known.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `days` | 28 | days of registration of these cohorts | >= 1 |
/// | `by` | `[]` | columns by whose values calibration is looked at too | categorical or kept |
/// | `bootstrap` | 200 | resamples behind intervals | >= 20 |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Judge {
    /// Days of registration of the cohorts.
    pub days: NonZero<u32>,
    /// Columns by whose values calibration is looked at too, such as a channel.
    pub by: Vec<String>,
    /// Resamples behind intervals.
    pub bootstrap: u32,
}

impl Default for Judge {
    fn default() -> Self {
        Self {
            days: days(28),
            by: vec![],
            bootstrap: 200,
        }
    }
}

/// What must hold. Shares are of 1.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `day_events` | 1.9 | factor between events of a new day and of the days before | > 1 |
/// | `day_value` | 1.9 | factor between what an event of a new day is worth and before | > 1 |
/// | `users_lost` | 0.02 | users of earlier days who are gone, in all and by value | [0, 1] |
/// | `labels_changed` | 0.02 | by how much known labels may change in sum | >= 0 |
/// | `fresh_labels` | 3 | factor between labels of the last cohort and of those before | > 1 |
/// | `fresh_users` | 3 | factor between newcomers and those of the days before | > 1 |
/// | `values_psi` | 0.25 | how far the mix of newcomers may move, by value | > 0 |
/// | `metrics` | `["NRMSE", "NormGini"]` | may not get worse than the model before | any with a direction |
/// | `worse` | 0.05 | by this share of the earlier value, beyond the interval | >= 0 |
/// | `calibration` | 0.3 | distance of predicted over true total from 1, beyond the interval | > 0 |
/// | `calibration_by` | 0.6 | the same by value of a column | > 0 |
/// | `trivial` | true | whether ranking must not be worse than by last week's activity | |
/// | `movement` | 0.2 | by how much totals of the same users may move from one published day to the next | > 0 |
/// | `movement_psi` | 0.25 | how far the distribution of values may move | > 0 |
/// | `order_violations` | 0 | users whose values may fall with the horizon, where order is guaranteed | |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Gate {
    /// Largest factor between the number of events of a new day of the log and that of the four weeks before.
    pub day_events: f64,
    /// Largest factor between the mean value of events of a new day and those of the four weeks before.
    pub day_value: f64,
    /// Largest share of the users of earlier days who may be gone, of all and of any value of `judge.by`.
    pub users_lost: f64,
    /// Largest relative change of the sum of labels that were known before.
    pub labels_changed: f64,
    /// Largest factor between the mean labels that have just become known and those of the four weeks before.
    pub fresh_labels: f64,
    /// Largest factor between the number of newcomers of a day and that of the four weeks before.
    pub fresh_users: f64,
    /// Largest population stability index of `judge.by` between newcomers and those of the four weeks before.
    pub values_psi: f64,
    /// Metrics that may not get worse.
    pub metrics: Vec<Metric>,
    /// By how much they may, as a share of the earlier value: worse is what is so with its whole interval.
    pub worse: f64,
    /// Largest distance of the calibration ratio from 1.
    pub calibration: f64,
    /// The same by value of a column.
    pub calibration_by: f64,
    /// Whether the ranking may not be worse than that of sorting by what users did in the window.
    pub trivial: bool,
    /// Largest relative change of the total of users in both snapshots.
    pub movement: f64,
    /// Largest population stability index of values.
    pub movement_psi: f64,
    /// Most order violations where order is guaranteed.
    pub order_violations: u64,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            day_events: 1.9,
            day_value: 1.9,
            users_lost: 0.02,
            labels_changed: 0.02,
            fresh_labels: 3.0,
            fresh_users: 3.0,
            values_psi: 0.25,
            metrics: vec![Metric::NRMSE, Metric::NormGini],
            worse: 0.05,
            calibration: 0.3,
            calibration_by: 0.6,
            trivial: true,
            movement: 0.2,
            movement_psi: 0.25,
            order_violations: 0,
        }
    }
}

/// How users are scored.
///
/// | name | default | purpose |
/// |---|---|---|
/// | `decoding` | expectation | how values are decoded |
/// | `drop_past_horizon` | false | whether users older than the longest horizon get no row |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Score {
    /// How values are decoded.
    pub decoding: Decoding,
    /// Whether users older than the longest horizon get no row.
    pub drop_past_horizon: bool,
}

impl Default for Score {
    fn default() -> Self {
        Self {
            decoding: Decoding::Expectation,
            drop_past_horizon: false,
        }
    }
}

/// What is kept, the latest of each.
///
/// | name | default | purpose | range |
/// |---|---|---|---|
/// | `snapshots` | 7 | snapshots | >= 2 |
/// | `datasets` | 2 | datasets that passed | >= 1 |
/// | `models` | 14 | model files; those that serve or served last are never removed | >= 1 |
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Keep {
    /// Snapshots.
    pub snapshots: NonZero<u32>,
    /// Datasets that passed.
    pub datasets: NonZero<u32>,
    /// Model files.
    pub models: NonZero<u32>,
}

impl Default for Keep {
    fn default() -> Self {
        Self {
            snapshots: days(7),
            datasets: days(2),
            models: days(14),
        }
    }
}

impl DailyConfig {
    /// Checks what can be checked before anything is read.
    ///
    /// # Errors
    /// Names the key and its range.
    pub fn check(&self) -> Result<()> {
        if self.events.is_empty() {
            return Err(Error::config("events", "give the event log"));
        }
        self.features.check()?;
        self.train.check()?;
        if self.train.split.test <= 0.0 {
            let problem =
                "0; models are judged on users who are never trained on: give a share such as 0.1";
            return Err(Error::config("train.split.test", problem));
        }
        if self.judge.bootstrap < 20 {
            let problem = format!("{} is below 20", self.judge.bootstrap);
            return Err(Error::config("judge.bootstrap", problem));
        }
        if self.keep.snapshots.get() < 2 {
            let problem = "1; the day before is compared with: keep 2 or more";
            return Err(Error::config("keep.snapshots", problem));
        }
        self.gate.check()
    }
}

impl Gate {
    fn check(&self) -> Result<()> {
        let limits = [
            ("day_events", self.day_events, 1.0),
            ("day_value", self.day_value, 1.0),
            ("users_lost", self.users_lost, 0.0),
            ("labels_changed", self.labels_changed, 0.0),
            ("fresh_labels", self.fresh_labels, 1.0),
            ("fresh_users", self.fresh_users, 1.0),
            ("values_psi", self.values_psi, 0.0),
            ("worse", self.worse, 0.0),
            ("calibration", self.calibration, 0.0),
            ("calibration_by", self.calibration_by, 0.0),
            ("movement", self.movement, 0.0),
            ("movement_psi", self.movement_psi, 0.0),
        ];
        let compared = |m: &&Metric| matches!(m.direction(), Direction::Lower | Direction::Higher);
        if let Some(metric) = self.metrics.iter().find(|m| !compared(m)) {
            let name = metric.name();
            let problem =
                format!("'{name}' is neither better when lower nor when higher; leave it out");
            return Err(Error::config("gate.metrics", problem));
        }
        // An endless limit switches a check off.
        if let Some((key, value, least)) =
            limits.iter().find(|(_, v, least)| v.is_nan() || v < least)
        {
            let problem =
                format!("{value} is not a number of {least} or more; inf switches it off");
            return Err(Error::config(format!("gate.{key}"), problem));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn defaults_are_sound_but_for_the_log() {
        let text = r#"{"features": {"dataset": {"as_of": "2024-01-01", "label": "active_days"}}}"#;
        let mut config: DailyConfig = serde_json::from_str(text).unwrap();
        assert!(
            config
                .check()
                .unwrap_err()
                .to_string()
                .starts_with("events")
        );
        config.events = vec!["log".into()];
        config.check().unwrap();
        config.train.split.test = 0.0;
        assert!(
            config
                .check()
                .unwrap_err()
                .to_string()
                .contains("train.split.test")
        );
        config.train.split.test = 0.1;
        config.gate.fresh_labels = 0.5;
        assert!(
            config
                .check()
                .unwrap_err()
                .to_string()
                .contains("gate.fresh_labels")
        );
        config.gate.fresh_labels = f64::INFINITY;
        config.check().unwrap();
    }
}
