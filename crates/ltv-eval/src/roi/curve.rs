//! The budget curve: what each policy captures as its budget grows from nothing to what everybody
//! costs.

use super::{
    deliver::{Delivered, Pool},
    document::{Captured, Curve, CurvePolicy},
};
use crate::sum::Sum;

/// Steps of the budget.
const STEPS: u32 = 40;

/// The curves of policies, each with its order of users.
pub(super) fn curve(pool: &Pool, outcomes: &[u32], policies: &[(&str, Vec<u32>)]) -> Curve {
    let shares: Vec<f64> = (0..=STEPS)
        .map(|i| f64::from(i) / f64::from(STEPS))
        .collect();
    let cost = pool.total_cost();
    let budgets: Vec<f64> = shares.iter().map(|share| share * cost).collect();
    let totals: Vec<f64> = pool.values.iter().map(|v| total(v)).collect();
    let one = |(name, order): &(&str, Vec<u32>)| {
        let found = pool.walk(order, None, &budgets);
        CurvePolicy {
            name: (*name).to_owned(),
            delivered: found.iter().map(|d| d.users).collect(),
            spend: found.iter().map(|d| d.spend).collect(),
            outcomes: (0..outcomes.len())
                .map(|t| captured(outcomes[t], t, &found, totals[t]))
                .collect(),
        }
    };
    Curve {
        policies: policies.iter().map(one).collect(),
        budget_shares: shares,
    }
}

fn captured(days: u32, t: usize, found: &[Delivered], total: f64) -> Captured {
    let over = |d: &Delivered, whole: f64| (whole > 0.0).then(|| d.values[t] / whole);
    Captured {
        days,
        share: found.iter().map(|d| over(d, total)).collect(),
        roi: found.iter().map(|d| over(d, d.spend)).collect(),
    }
}

/// The sum of a column.
pub(super) fn total(column: &[f64]) -> f64 {
    column.iter().copied().collect::<Sum>().value()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Four users at 1, worth 4, 3, 2, 1, in the best order: a quarter of the budget captures 4 / 10.
    #[test]
    fn a_curve_by_hand() {
        let pool = Pool {
            cost: vec![1.0; 4],
            values: vec![vec![1.0, 2.0, 3.0, 4.0], vec![0.0; 4]],
        };
        let found = curve(&pool, &[7, 30], &[("oracle", vec![3, 2, 1, 0])]);
        assert_eq!(found.budget_shares.len(), 41);
        let oracle = &found.policies[0];
        assert_eq!((oracle.delivered[0], oracle.delivered[9]), (0, 0));
        let at = |share: f64| (share * 40.0) as usize;
        for (share, captured) in [(0.25, 0.4), (0.5, 0.7), (0.75, 0.9), (1.0, 1.0)] {
            assert_eq!(oracle.outcomes[0].share[at(share)], Some(captured));
        }
        assert_eq!(oracle.outcomes[0].roi[at(0.5)], Some(3.5));
        assert_eq!(
            (oracle.outcomes[0].roi[0], oracle.outcomes[1].share[40]),
            (None, None)
        );
    }
}
