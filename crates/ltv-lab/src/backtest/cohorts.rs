//! Judged users by the month of their registration.

use super::document::Cohort;
use crate::{LabError, Outcome};
use ltv_core::Day;
use ltv_eval::{Metric, score};

/// Every month of every model and horizon.
///
/// # Errors
/// When predictions cannot be read.
pub(super) fn cohorts(outcome: &Outcome, as_of: Day) -> Result<Vec<Cohort>, LabError> {
    let mut all = vec![];
    for (t, &horizon) in outcome.judged.horizons.days().iter().enumerate() {
        let labels = outcome.judged.column(t);
        let months = months(outcome, &labels);
        for (row, contestant) in outcome.comparison.contestants.iter().enumerate() {
            if !contestant.horizons.contains(&horizon) {
                continue;
            }
            let columns = outcome.columns(row, horizon)?;
            for (name, rows) in &months {
                let cohort = Cohort {
                    as_of,
                    model: contestant.name.clone(),
                    horizon,
                    cohort: name.clone(),
                    users: rows.len() as u64,
                    label_mean: 0.0,
                    prediction_mean: 0.0,
                    ratio: None,
                    norm_gini: None,
                };
                all.push(measured(cohort, rows, &labels, &columns)?);
            }
        }
    }
    Ok(all)
}

/// For each month with a mature label its name and rows.
fn months(outcome: &Outcome, labels: &[f64]) -> Vec<(String, Vec<usize>)> {
    let segments = &outcome.judged.months;
    let names = segments.labels.iter().cloned();
    let mut months: Vec<(String, Vec<usize>)> = names.map(|name| (name, vec![])).collect();
    for (row, &code) in segments.codes.iter().enumerate() {
        if !labels[row].is_nan() {
            months[code as usize].1.push(row);
        }
    }
    months.retain(|(_, rows)| !rows.is_empty());
    months
}

fn measured(
    cohort: Cohort,
    rows: &[usize],
    labels: &[f64],
    columns: &[Vec<f64>],
) -> Result<Cohort, LabError> {
    let of = |column: &[f64]| -> Vec<f64> { rows.iter().map(|&row| column[row]).collect() };
    let labels = of(labels);
    let (mut means, mut ginis) = (vec![], vec![]);
    for column in columns {
        let column = of(column);
        ginis.push(score(&cohort.model, &labels, &column)?.value(Metric::NormGini));
        means.push(average(&column));
    }
    let (label_mean, prediction_mean) = (average(&labels), average(&means));
    Ok(Cohort {
        label_mean,
        prediction_mean,
        ratio: (label_mean > 0.0).then(|| prediction_mean / label_mean),
        norm_gini: super::mean_of_all(&ginis),
        ..cohort
    })
}

fn average(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
