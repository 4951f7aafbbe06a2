//! The replay: every policy on everybody, with the budget share of the split experiment. The same
//! question with less noise, since both policies see all users, and the same ones in each resample.

use super::{
    RoiOptions, Users,
    deliver::{ranking, scores},
    document::{Policy, Replay},
    resample::{Plan, Returns},
};
use ltv_core::progress::Progress;

/// The control's model.
pub const CONTROL: &str = "control";
/// The treatment's model.
pub const TREATMENT: &str = "treatment";
/// What users did in the observation window, over cost.
pub const TRIVIAL: &str = "trivial sort";
/// Whoever costs least, which is all that a model without a prediction knows.
pub const CHEAPEST: &str = "cheapest";
/// A random order, whatever users cost.
pub const RANDOM: &str = "random";
/// What they really brought, over cost.
pub const ORACLE: &str = "oracle";

/// Policies by name, each with its order of users.
type Policies = Vec<(&'static str, Vec<u32>)>;

fn policies(users: &Users<'_>) -> Policies {
    let by = |predicted: &[f64]| ranking(&scores(predicted, &users.pool.cost), users.order);
    vec![
        (CONTROL, by(users.predicted[0])),
        (TREATMENT, by(users.predicted[1])),
        (TRIVIAL, by(users.signal)),
        (CHEAPEST, by(&vec![1.0; users.pool.len()])),
        (RANDOM, ranking(&vec![0.0; users.pool.len()], users.order)),
        (ORACLE, by(&users.pool.values[users.t])),
    ]
}

/// The replay, and the policies' orders of users.
pub(super) fn replay(
    users: &Users<'_>,
    budget_share: f64,
    options: &RoiOptions,
    progress: &dyn Progress,
) -> (Replay, Policies) {
    let policies = policies(users);
    let budget = budget_share * users.pool.total_cost();
    let plans: Vec<Plan<'_>> = policies.iter().map(|p| plan(p, users, budget)).collect();
    let returns = Returns::paired(&plans, (options.bootstrap, "roi/replay"), progress);
    let one = |(i, (name, order)): (usize, &(&'static str, Vec<u32>))| {
        let found = users.pool.deliver(order, None, budget);
        Policy {
            name: (*name).to_owned(),
            delivered: found.users,
            spend: found.spend,
            roi: returns.roi(i, users.outcomes),
            uplift: returns.uplift(i, 0, users.outcomes),
        }
    };
    let found = Replay {
        budget,
        budget_share,
        policies: policies.iter().enumerate().map(one).collect(),
    };
    (found, policies)
}

fn plan<'a>(policy: &'a (&'static str, Vec<u32>), users: &'a Users<'_>, budget: f64) -> Plan<'a> {
    Plan {
        pool: &users.pool,
        order: &policy.1,
        budget,
    }
}
