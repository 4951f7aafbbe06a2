//! Delivery: users in order of predicted return, until a budget is spent.
//!
//! The score of a policy is predicted value / cost; users of equal scores stand in a random order that
//! does not depend on the policy, since the order of files may well say something about users. Ads
//! are delivered from the top. The first user whom the rest of the budget cannot pay ends it: who comes
//! later is not looked at, even if cheap enough. So a smaller budget buys a part of what a larger one
//! buys, and what is left over is less than one user's cost.

use crate::sum::Sum;

/// What is known of users, column by column.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Pool {
    /// What delivering to each costs, above 0.
    pub(super) cost: Vec<f64>,
    /// What each brought, one column for each outcome.
    pub(super) values: Vec<Vec<f64>>,
}

/// What a delivery came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Delivered {
    /// Users delivered to.
    pub(super) users: u64,
    /// What they cost.
    pub(super) spend: f64,
    /// What they brought, by outcome.
    pub(super) values: Vec<f64>,
}

/// A budget that equals what everybody costs must not fail on the last digit of a sum.
const SLACK: f64 = 1e-9;

impl Pool {
    /// Number of users.
    pub(super) fn len(&self) -> usize {
        self.cost.len()
    }

    /// The users of these rows.
    pub(super) fn of(&self, rows: &[u32]) -> Self {
        let pick = |column: &Vec<f64>| rows.iter().map(|&r| column[r as usize]).collect();
        Self {
            cost: pick(&self.cost),
            values: self.values.iter().map(pick).collect(),
        }
    }

    /// What everybody costs.
    pub(super) fn total_cost(&self) -> f64 {
        self.cost.iter().copied().collect::<Sum>().value()
    }

    /// Delivers in this order; `weights` says how often each user occurs, once without.
    pub(super) fn deliver(&self, order: &[u32], weights: Option<&[u8]>, budget: f64) -> Delivered {
        let mut all = self.walk(order, weights, &[budget]);
        all.pop().unwrap_or_else(|| self.nothing())
    }

    /// What each of these ascending budgets buys.
    pub(super) fn walk(
        &self,
        order: &[u32],
        weights: Option<&[u8]>,
        budgets: &[f64],
    ) -> Vec<Delivered> {
        let mut state = self.nothing();
        let mut values = vec![Sum::default(); self.values.len()];
        let mut found = Vec::with_capacity(budgets.len());
        let snapshot = |state: &Delivered, values: &[Sum]| Delivered {
            values: values.iter().map(|v| v.value()).collect(),
            ..*state
        };
        'users: for &row in order {
            let row = row as usize;
            for _ in 0..weights.map_or(1, |w| w[row]) {
                let spend = state.spend + self.cost[row];
                while let Some(budget) = budgets.get(found.len())
                    && spend > budget * (1.0 + SLACK)
                {
                    found.push(snapshot(&state, &values));
                }
                if found.len() == budgets.len() {
                    break 'users;
                }
                state.spend = spend;
                state.users += 1;
                let own = self.values.iter().map(|column| column[row]);
                values.iter_mut().zip(own).for_each(|(sum, v)| sum.add(v));
            }
        }
        found.resize_with(budgets.len(), || snapshot(&state, &values));
        found
    }

    /// Rows of those whom a budget buys.
    pub(super) fn bought(&self, order: &[u32], budget: f64) -> Vec<u32> {
        let users = self.deliver(order, None, budget).users as usize;
        order[..users].to_vec()
    }

    fn nothing(&self) -> Delivered {
        Delivered {
            users: 0,
            spend: 0.0,
            values: vec![0.0; self.values.len()],
        }
    }
}

impl Delivered {
    /// Value over cost, by outcome; NaN where nothing was spent.
    pub(super) fn roi(&self) -> Vec<f64> {
        self.values.iter().map(|v| v / self.spend).collect()
    }
}

/// Rows by descending score, equal ones by ascending `ties`.
pub(super) fn ranking(scores: &[f64], ties: &[u64]) -> Vec<u32> {
    use rayon::prelude::*;
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    let key = |row: u32| (scores[row as usize] + 0.0, ties[row as usize]);
    order.par_sort_unstable_by(|&a, &b| {
        let ((x, p), (y, q)) = (key(a), key(b));
        y.total_cmp(&x).then(p.cmp(&q)).then(a.cmp(&b))
    });
    order
}

/// Predicted value over cost.
pub(super) fn scores(predicted: &[f64], cost: &[f64]) -> Vec<f64> {
    predicted.iter().zip(cost).map(|(p, c)| p / c).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use proptest::prelude::*;

    /// Four users at 2, 3, 1, 4; predicted 2, 6, 1, 12: returns 1, 2, 1, 3. In order: the fourth, the
    /// second, then the first and third by their tie.
    #[test]
    fn a_delivery_by_hand() {
        let pool = Pool {
            cost: vec![2.0, 3.0, 1.0, 4.0],
            values: vec![vec![1.0, 0.0, 5.0, 8.0]],
        };
        let order = ranking(&scores(&[2.0, 6.0, 1.0, 12.0], &pool.cost), &[9, 0, 3, 1]);
        assert_eq!(order, [3, 1, 2, 0]);
        let found = pool.deliver(&order, None, 8.0);
        // The fourth, second and third cost 8, to the cent.
        assert_eq!(
            (found.users, found.spend, found.roi()),
            (3, 8.0, vec![13.0 / 8.0])
        );
        let found = pool.deliver(&order, None, 7.9);
        assert_eq!((found.users, found.roi()), (2, vec![8.0 / 7.0]));
        // The first does not fit and ends it, although a cheaper one follows.
        assert_eq!(pool.deliver(&order, None, 3.5).users, 0);
        assert_eq!(pool.deliver(&order, None, 1e9).spend, pool.total_cost());
        // The fourth twice, the second not at all.
        let found = pool.deliver(&order, Some(&[1, 0, 1, 2]), 9.0);
        assert_eq!((found.users, found.spend, found.values[0]), (3, 9.0, 21.0));
        assert_eq!(pool.bought(&order, 7.9), [3, 1]);
    }

    #[test]
    fn all_of_it_is_spent_whatever_the_order_of_summation() {
        let cost: Vec<f64> = (1..2000).map(|i| 0.1 * f64::from(i % 17 + 1)).collect();
        let pool = Pool {
            cost,
            values: vec![],
        };
        let ties: Vec<u64> = (0..1999u64)
            .map(|i| i.wrapping_mul(0x9E37_79B9) % 1009)
            .collect();
        let order = ranking(&vec![1.0; 1999], &ties);
        assert_eq!(pool.deliver(&order, None, pool.total_cost()).users, 1999);
    }

    /// The definition, user by user: sort (copies and all), then pay while it can be paid.
    fn brute(rows: &[(f64, u8, f64, u8, f64)], budget: f64) -> (u64, f64, f64) {
        let mut queue = vec![];
        for (row, &(predicted, tie, cost, copies, value)) in rows.iter().enumerate() {
            queue.extend(vec![
                (-predicted / cost, tie, row, cost, value);
                copies.into()
            ]);
        }
        queue.sort_by(|a, b| a.partial_cmp(b).unwrap());
        let (mut users, mut left, mut value) = (0, budget, 0.0);
        for (.., cost, worth) in queue {
            if left - cost < -1e-6 {
                break;
            }
            left -= cost;
            users += 1;
            value += worth;
        }
        (users, budget - left, value)
    }

    proptest! {
        #[test]
        fn deliveries_are_those_of_the_definition(
            rows in prop::collection::vec(
                (0u8..6, any::<u8>(), 1u8..8, 0u8..4, 0u8..9), 1..40),
            budgets in prop::collection::vec(0u16..400, 1..6),
        ) {
            let rows: Vec<(f64, u8, f64, u8, f64)> = rows
                .into_iter()
                .map(|(p, tie, c, w, v)| (p.into(), tie, f64::from(c) / 4.0, w, v.into()))
                .collect();
            let mut budgets: Vec<f64> = budgets.into_iter().map(|b| f64::from(b) / 8.0).collect();
            budgets.sort_by(f64::total_cmp);
            let pool = Pool {
                cost: rows.iter().map(|r| r.2).collect(),
                values: vec![rows.iter().map(|r| r.4).collect()],
            };
            let predicted: Vec<f64> = rows.iter().map(|r| r.0).collect();
            let ties: Vec<u64> = rows.iter().map(|r| r.1.into()).collect();
            let weights: Vec<u8> = rows.iter().map(|r| r.3).collect();
            let order = ranking(&scores(&predicted, &pool.cost), &ties);
            for (found, &budget) in pool.walk(&order, Some(&weights), &budgets).iter().zip(&budgets) {
                let (users, spend, value) = brute(&rows, budget);
                prop_assert_eq!(found.users, users);
                prop_assert!((found.spend - spend).abs() < 1e-9);
                prop_assert!((found.values[0] - value).abs() < 1e-9);
                prop_assert_eq!(found, &pool.deliver(&order, Some(&weights), budget));
            }
        }
    }
}
