//! The gate of the scores, beside those that are live.

use super::Check;
use crate::config::Gate;
use ltv_score::diff::Diff;

/// Relative movement of half of the users from which on it matters how values are distributed.
const MOVED: f64 = 0.1;

/// The checks of new scores beside those that are live.
pub(crate) fn scores(
    diff: Option<&Diff>,
    order_violations: Option<u64>,
    aged_out: u64,
    gate: &Gate,
) -> Vec<Check> {
    let mut checks = vec![];
    if let Some(order_violations) = order_violations {
        let what = "users whose values fall with the horizon".to_owned();
        let (found, limit) = (order_violations as f64, gate.order_violations as f64);
        let passed = order_violations <= gate.order_violations;
        checks.push(Check::new(
            "scores",
            "order_violations",
            what,
            found,
            limit,
            passed,
        ));
    }
    let Some(diff) = diff else {
        return checks;
    };
    // Who is too old to be scored any more is not lost.
    let lost = diff.gone.saturating_sub(aged_out) as f64 / diff.old.rows.max(1) as f64;
    let (what, limit) = (
        "share of published users who are gone".to_owned(),
        gate.users_lost,
    );
    checks.push(Check::new(
        "scores",
        "users_lost",
        what,
        lost,
        limit,
        lost <= limit,
    ));
    for movement in &diff.horizons {
        let days = movement.horizon;
        if movement.old_of_both > 0.0 {
            let change = movement.new_of_both / movement.old_of_both - 1.0;
            let what = format!("change of ltv_{days} of the same users, in sum");
            let passed = change.abs() <= gate.movement;
            checks.push(Check::new(
                "scores",
                "movement",
                what,
                change,
                gate.movement,
                passed,
            ));
        }
        if let Some(psi) = movement.psi {
            let what = format!("how far the distribution of ltv_{days} has moved");
            // Where values lie close together, small steps lead from one bin to the next.
            let moved = movement.relative.is_some_and(|[median, ..]| median > MOVED);
            let passed = psi.value - 4.0 * psi.noise <= gate.movement_psi || !moved;
            let limit = gate.movement_psi;
            checks.push(Check::new(
                "scores",
                "movement_psi",
                what,
                psi.value,
                limit,
                passed,
            ));
        }
    }
    checks
}
