//! The gate of the new model, beside the one that serves and plain sorting.

use super::{Check, EVIDENCE};
use crate::{config::Gate, judge::Judged};
use ltv_eval::{Direction, HorizonResult, Metric, Scope, Scores};

/// The new model, among the prediction sets.
pub(crate) const CANDIDATE: &str = "candidate";
/// The model that serves.
pub(crate) const CHAMPION: &str = "champion";
/// Sorting by what users did in the window.
pub(crate) const TRIVIAL: &str = "trivial sort";
/// Test users, and those of them with value, that calibration is judged by.
const LEAST_ROWS: u64 = 50;
const LEAST_POSITIVES: u64 = 30;

/// The checks of a new model beside the one that serves.
pub(crate) fn model(judged: &Judged, gate: &Gate) -> Vec<Check> {
    let unknown = judged.unknown.iter().map(|days| {
        let what = format!("no test user has a known label of {days} days yet: not judged");
        Check::new(
            "model",
            "calibration",
            what,
            f64::NAN,
            gate.calibration,
            true,
        )
    });
    let mut checks: Vec<Check> = unknown.collect();
    for cohort in &judged.horizons {
        let result = &cohort.result;
        let all = (result, &result.overall);
        checks.extend(calibration(all, "", (gate.calibration, "calibration")));
        for segment in &result.segments {
            for scope in &segment.values {
                let of = format!(" of {} '{}'", segment.name, scope.label);
                let limit = (gate.calibration_by, "calibration_by");
                checks.extend(calibration((result, scope), &of, limit));
            }
        }
        let Some(scores) = result.overall.set(CANDIDATE) else {
            continue;
        };
        checks.extend(
            gate.metrics
                .iter()
                .filter_map(|&m| not_worse(result, scores, m, gate)),
        );
        if gate.trivial {
            checks.extend(beats_sorting(result, scores));
        }
    }
    checks
}

/// A calibration ratio must not lie beyond the limit: so surely that it is not chance, and further than that of the
/// model that serves, which would score instead.
fn calibration(
    (result, scope): (&HorizonResult, &Scope),
    of: &str,
    (limit, option): (f64, &str),
) -> Option<Check> {
    let scores = scope.set(CANDIDATE)?;
    let what = format!("predicted over true ltv_{}{of}", result.horizon);
    if scope.rows < LEAST_ROWS || scope.positives < LEAST_POSITIVES {
        let what = format!("{what}: {} users, too few to judge by", scope.rows);
        return Some(Check::blind("model", what, true));
    }
    let ratio = scores.value(Metric::CalibrationRatio)?;
    let (bias, error) = (scores.value(Metric::Bias)?, scores.value(Metric::BiasSe)?);
    let certain = bias.abs() > EVIDENCE * error;
    let distance = (ratio - 1.0).abs();
    let champion = scope
        .set(CHAMPION)
        .and_then(|s| s.value(Metric::CalibrationRatio));
    let better = champion.is_none_or(|theirs| distance > (theirs - 1.0).abs());
    let passed = !(distance > limit && certain && better);
    Some(Check::new("model", option, what, ratio, limit, passed))
}

/// The interval of the paired difference must not lie wholly beyond what is allowed.
fn not_worse(
    result: &HorizonResult,
    scores: &Scores,
    metric: Metric,
    gate: &Gate,
) -> Option<Check> {
    let champion = result.overall.set(CHAMPION)?.value(metric)?;
    let difference = scores.difference(metric)?;
    let (value, interval) = (difference.value?, difference.interval?);
    let allowed = gate.worse * champion.abs();
    let (loss, surely) = match metric.direction() {
        Direction::Lower => (value, interval.low),
        Direction::Higher => (-value, -interval.high),
        // Signs may differ: only what is a distance can be compared.
        _ => return None,
    };
    let what = format!(
        "{} of ltv_{}, lost since the model before, as a share",
        metric.name(),
        result.horizon
    );
    let share = if champion == 0.0 {
        0.0
    } else {
        loss / champion.abs()
    };
    Some(Check::new(
        "model",
        "worse",
        what,
        share,
        gate.worse,
        surely <= allowed,
    ))
}

/// The ranking must not be worse than that of last week's activity.
fn beats_sorting(result: &HorizonResult, scores: &Scores) -> Option<Check> {
    let sorted = result.overall.set(TRIVIAL)?.score(Metric::NormGini)?;
    let own = scores.score(Metric::NormGini)?;
    let (ours, theirs) = (own.value?, sorted.value?);
    let passed = own.interval?.high >= sorted.interval?.low;
    let what = format!(
        "normalised Gini of ltv_{} above that of sorting by activity",
        result.horizon
    );
    Some(Check::new(
        "model",
        "trivial",
        what,
        ours - theirs,
        0.0,
        passed,
    ))
}
