//! The split experiment: two arms, each with its own model and the same budget.

use super::{
    Budget, RoiOptions, Users,
    deliver::{Delivered, Pool, ranking, scores},
    document::{Arm, Figure, Split},
    resample::{Plan, Returns},
    srm,
};
use crate::{bootstrap::Bootstrap, error::EvalError};
use ltv_core::progress::Progress;

/// One arm's users, in the order of each model.
struct Side {
    pool: Pool,
    /// By control's and by treatment's model.
    orders: [Vec<u32>; 2],
}

impl Side {
    fn new(users: &Users<'_>, arms: &[srm::Arm], wanted: srm::Arm) -> Self {
        let rows = (0..arms.len() as u32).filter(|&row| arms[row as usize] == wanted);
        let rows: Vec<u32> = rows.collect();
        let pool = users.pool.of(&rows);
        let ties: Vec<u64> = rows.iter().map(|&r| users.order[r as usize]).collect();
        let orders = users.predicted.map(|predicted| {
            let own: Vec<f64> = rows.iter().map(|&r| predicted[r as usize]).collect();
            ranking(&scores(&own, &pool.cost), &ties)
        });
        Self { pool, orders }
    }

    fn plan(&self, model: usize, budget: f64) -> Plan<'_> {
        Plan {
            pool: &self.pool,
            order: &self.orders[model],
            budget,
        }
    }

    fn arm(&self, model: usize, budget: f64, roi: Vec<Figure>) -> Arm {
        let Delivered { users, spend, .. } = self.pool.deliver(&self.orders[model], None, budget);
        Arm {
            users: self.pool.len() as u64,
            cost: self.pool.total_cost(),
            delivered: users,
            spend,
            roi,
        }
    }
}

/// The experiment, its checks left to the caller, and the resampled standard error of the log of the
/// ratio of returns, by outcome.
pub(super) fn split(
    users: &Users<'_>,
    arms: &[srm::Arm],
    options: &RoiOptions,
    progress: &dyn Progress,
) -> Result<(Split, Vec<Option<f64>>), EvalError> {
    let control = Side::new(users, arms, srm::Arm::Control);
    let treatment = Side::new(users, arms, srm::Arm::Treatment);
    let budget = budget(&control, &treatment, options)?;
    let streams = |purpose: &'static str| (options.bootstrap, purpose);
    let first = returns(&[control.plan(0, budget)], streams("roi/control"), progress);
    // The treatment arm under its own model and, with the same resamples, under the control's.
    let second = [treatment.plan(1, budget), treatment.plan(0, budget)];
    let all = first.beside(returns(&second, streams("roi/treatment"), progress));
    let errors = (0..users.outcomes.len()).map(|t| all.log_error(1, 0, t));
    let cheaper = control.pool.total_cost().min(treatment.pool.total_cost());
    let split = Split {
        arm_share: options.arm_share,
        budget,
        budget_share: budget / cheaper,
        control: control.arm(0, budget, all.roi(0, users.outcomes)),
        treatment: treatment.arm(1, budget, all.roi(1, users.outcomes)),
        uplift: all.uplift(1, 0, users.outcomes),
        same_model: all.uplift(2, 0, users.outcomes),
        checks: vec![],
    };
    Ok((split, errors.collect()))
}

fn returns(
    plans: &[Plan<'_>],
    streams: (Option<Bootstrap>, &str),
    progress: &dyn Progress,
) -> Returns {
    Returns::paired(plans, streams, progress)
}

/// One budget for both arms, which buys somebody and not everybody in each.
fn budget(control: &Side, treatment: &Side, options: &RoiOptions) -> Result<f64, EvalError> {
    let mut whole = f64::INFINITY;
    for (side, name) in [(control, "control"), (treatment, "treatment")] {
        if side.pool.len() < 2 {
            return Err(EvalError::EmptyArm {
                arm: name,
                users: side.pool.len(),
            });
        }
        whole = whole.min(side.pool.total_cost());
    }
    let budget = match options.budget {
        Budget::Amount(amount) if amount > whole => {
            return Err(EvalError::BudgetLarge {
                budget: amount,
                whole,
            });
        }
        Budget::Amount(amount) => amount,
        Budget::Share(share) => share * whole,
    };
    for (side, model) in [(control, 0), (treatment, 1)] {
        if side.pool.deliver(&side.orders[model], None, budget).users == 0 {
            let first = side.orders[model][0];
            return Err(EvalError::BudgetSmall {
                budget,
                first: side.pool.cost[first as usize],
            });
        }
    }
    Ok(budget)
}
