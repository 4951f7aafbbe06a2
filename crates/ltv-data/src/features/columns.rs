//! Which columns go in and which come out.

use crate::Result;
use arrow::datatypes::{DataType, Field, Schema};
use ltv_core::{
    Error,
    config::{FeatureConfig, Measure},
    manifest::{FeatureEntry, FeatureKind},
};
use std::{collections::BTreeSet, sync::Arc};

/// Name of a sequence's column for one day of the window.
pub(crate) fn day_column(sequence: &str, day: u32) -> String {
    format!("{sequence}_d{day}")
}

/// Numeric event columns, each once, in the order of their first use; the value column first.
pub(crate) fn numbers(config: &FeatureConfig) -> Vec<String> {
    let aggregates = &config.aggregates;
    let more = aggregates
        .max
        .iter()
        .chain(&aggregates.first_numeric)
        .cloned();
    distinct(summed(config).into_iter().chain(more))
}

/// Numeric event columns that are added up.
pub(crate) fn summed(config: &FeatureConfig) -> Vec<String> {
    let sums = config.sequences.iter().filter_map(|s| match &s.measure {
        Measure::Sum(column) => Some(column),
        Measure::Count => None,
    });
    let value = config.events.value.iter();
    distinct(value.chain(sums).chain(&config.aggregates.mean).cloned())
}

/// Numeric event columns whose largest value is needed.
pub(crate) fn maximised(config: &FeatureConfig) -> Vec<String> {
    distinct(
        config
            .events
            .value
            .iter()
            .chain(&config.aggregates.max)
            .cloned(),
    )
}

/// Event columns used as categories.
pub(crate) fn categories(config: &FeatureConfig) -> Vec<String> {
    distinct(
        config
            .aggregates
            .first
            .iter()
            .chain(&config.aggregates.mode)
            .cloned(),
    )
}

/// Whether the first event of a user is asked for, and so the time within a day.
pub(crate) fn reads_firsts(config: &FeatureConfig) -> bool {
    let aggregates = &config.aggregates;
    !aggregates.first.is_empty() || !aggregates.first_numeric.is_empty()
}

/// Calendar features: name, column of the calendar table, kind.
pub(crate) fn calendar(config: &FeatureConfig) -> Vec<(&'static str, &'static str, FeatureKind)> {
    use FeatureKind::{Categorical, Numeric};
    let mut all = vec![
        ("reg_weekday", "weekday", Categorical),
        ("reg_month", "month", Categorical),
        ("reg_weekend", "weekend", Categorical),
        ("reg_holiday", "holiday", Categorical),
        ("weekend_share", "weekend_share", Numeric),
        ("holiday_share", "holiday_share", Numeric),
    ];
    let holidays = &config.holidays;
    if holidays.days.is_empty() && holidays.file.is_none() && !holidays.simulator {
        // Without a calendar both would be constant.
        all.retain(|(_, source, _)| !source.starts_with("holiday"));
    }
    all
}

fn distinct(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    names.filter(|n| seen.insert(n.clone())).collect()
}

/// A column of the user table that reaches the dataset.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UserColumn {
    pub(crate) name: String,
    pub(crate) data_type: DataType,
}

/// The columns of the dataset.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub(crate) features: Vec<FeatureEntry>,
    pub(crate) keep: Vec<String>,
    pub(crate) schema: Arc<Schema>,
}

impl Layout {
    /// Lays out the dataset of `config`, given the type of `user_id` and of the columns that
    /// come from the user table.
    pub(crate) fn new(
        config: &FeatureConfig,
        user: &DataType,
        profile: &[UserColumn],
        keep: &[UserColumn],
    ) -> Result<Self> {
        let features = features(config, profile);
        let mut fields = vec![
            Field::new("user_id", user.clone(), false),
            Field::new("reg_day", DataType::Date32, false),
            Field::new("status", DataType::Utf8, false),
        ];
        for feature in &features {
            let data_type = match feature.kind {
                FeatureKind::Categorical => DataType::Utf8,
                FeatureKind::Numeric | FeatureKind::Sequence => DataType::Float64,
            };
            fields.extend(
                feature
                    .columns
                    .iter()
                    .map(|c| Field::new(c, data_type.clone(), true)),
            );
        }
        fields.extend(
            keep.iter()
                .map(|c| Field::new(&c.name, c.data_type.clone(), true)),
        );
        let labels = config.dataset.horizons.columns();
        fields.extend(
            labels
                .iter()
                .map(|c| Field::new(c, DataType::Float64, true)),
        );
        check_clashes(&fields)?;
        let keep = keep.iter().map(|c| c.name.clone()).collect();
        Ok(Self {
            features,
            keep,
            schema: Arc::new(Schema::new(fields)),
        })
    }
}

fn features(config: &FeatureConfig, profile: &[UserColumn]) -> Vec<FeatureEntry> {
    let mut all: Vec<_> = config
        .sequences
        .iter()
        .map(|s| sequence(config, &s.name))
        .collect();
    let single = |name: String, kind| FeatureEntry {
        columns: vec![name.clone()],
        name,
        kind,
    };
    let mut add = |name: String, kind| all.push(single(name, kind));
    let aggregates = &config.aggregates;
    for name in ["n_events", "active_days", "recency"] {
        add(name.into(), FeatureKind::Numeric);
    }
    if config.events.value.is_some() {
        for name in ["value_sum", "value_mean", "value_max"] {
            add(name.into(), FeatureKind::Numeric);
        }
    }
    aggregates
        .mean
        .iter()
        .for_each(|c| add(format!("mean_{c}"), FeatureKind::Numeric));
    aggregates
        .max
        .iter()
        .for_each(|c| add(format!("max_{c}"), FeatureKind::Numeric));
    aggregates
        .first
        .iter()
        .for_each(|c| add(format!("first_{c}"), FeatureKind::Categorical));
    aggregates
        .first_numeric
        .iter()
        .for_each(|c| add(format!("first_{c}"), FeatureKind::Numeric));
    aggregates
        .mode
        .iter()
        .for_each(|c| add(format!("mode_{c}"), FeatureKind::Categorical));
    calendar(config)
        .into_iter()
        .for_each(|(name, _, kind)| add(name.into(), kind));
    for column in profile {
        let kind = match column.data_type {
            DataType::Float64 => FeatureKind::Numeric,
            _ => FeatureKind::Categorical,
        };
        add(column.name.clone(), kind);
    }
    all
}

fn sequence(config: &FeatureConfig, name: &str) -> FeatureEntry {
    let columns = (0..config.dataset.window_days)
        .map(|d| day_column(name, d))
        .collect();
    FeatureEntry {
        name: name.to_string(),
        kind: FeatureKind::Sequence,
        columns,
    }
}

fn check_clashes(fields: &[Field]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for field in fields {
        if !seen.insert(field.name()) {
            let problem = format!(
                "two columns of the dataset would be called '{}': rename a sequence, a profile \
                 or a keep column, or list it once",
                field.name()
            );
            return Err(Error::config("features", problem).into());
        }
    }
    Ok(())
}
