//! The paper's A/B experiment (section 5.4, Table 4) on users whose value is known: two models as the
//! policies of an advertiser.
//!
//! Users are ranked by predicted value over cost and delivered to until a budget is spent; the return
//! of a policy over `N` days is what those users brought in `N` days, over what they cost.
//!
//! | file | answers |
//! |---|---|
//! | `deliver` | who is delivered to under a budget |
//! | `resample` | how sure returns and uplifts are |
//! | `experiment` | two arms, each with its own model and the same budget |
//! | `replay` | every policy on everybody |
//! | `srm` | whether arms have the users they should have |
//! | `power` | how many users a test needs |
//! | `bids` | what a user of each channel may cost |
//! | `curve` | what each budget captures |
//! | `document`, `text` | what comes out, for programs and on one screen |
//! | `warnings` | what a reader must know before believing it |
//!
//! Nothing here is causal: what a user is worth is taken not to depend on whether ads were delivered,
//! and neither auctions nor other users answer to what one does.

mod bids;
mod curve;
mod deliver;
pub mod document;
mod experiment;
pub mod power;
mod replay;
mod resample;
mod srm;
mod text;
mod warnings;

pub use document::Roi;
pub use power::Wanted;
pub use replay::{CHEAPEST, CONTROL, ORACLE, RANDOM, TREATMENT, TRIVIAL};
pub use srm::LEVEL;

use crate::{Bootstrap, EvalError, Segments};
use curve::total;
use deliver::Pool;
use document::About;
use ltv_core::progress::Progress;

/// Costs that can be reckoned with: within these bounds neither the sum of any number of users' costs, nor
/// a value over one, nor the square of either leaves the numbers there are.
pub const COSTS: std::ops::RangeInclusive<f64> = 1e-50..=1e50;

/// What each arm may spend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Budget {
    /// An amount.
    Amount(f64),
    /// A share of what the users of the cheaper arm would cost.
    Share(f64),
}

/// How the experiment is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoiOptions {
    /// Share of users in each arm, above 0, at most a half.
    pub arm_share: f64,
    /// What each arm may spend.
    pub budget: Budget,
    /// Value that each unit of cost must bring, for bids.
    pub target_roas: f64,
    /// Intervals, when wanted. Time grows with replicates x users.
    pub bootstrap: Option<Bootstrap>,
    /// What a planned test must see.
    pub wanted: Wanted,
}

impl Default for RoiOptions {
    /// The paper's arms of a tenth, three tenths of their cost, a target of 1.
    fn default() -> Self {
        Self {
            arm_share: 0.1,
            budget: Budget::Share(0.3),
            target_roas: 1.0,
            bootstrap: None,
            wanted: Wanted::default(),
        }
    }
}

/// Users, predictions and what really happened; all columns have the same users in the same order.
#[derive(Debug, Clone, Default)]
pub struct RoiInput {
    /// Outcomes in days, ascending.
    pub outcomes: Vec<u32>,
    /// The one whose prediction users are ranked by; one of the outcomes.
    pub horizon: u32,
    /// Realised values, a column for each outcome: finite, at least 0.
    pub values: Vec<Vec<f64>>,
    /// What delivering to each costs, in [`COSTS`].
    pub cost: Vec<f64>,
    /// Predictions of the horizon by the control's model: finite, at least 0.
    pub control: Vec<f64>,
    /// The same by the treatment's model.
    pub treatment: Vec<f64>,
    /// What users did in the observation window, for the trivial sort: finite, at least 0.
    pub signal: Vec<f64>,
    /// Decides the arm, in `[0, 1)`.
    pub fraction: Vec<f64>,
    /// A random order of users, which decides between equals.
    pub order: Vec<u64>,
    /// Columns to check and to bid by.
    pub segments: Vec<Segments>,
}

/// Makes the experiment, the replay and the plans.
///
/// In memory a user takes 8 bytes for each column of the input and about 30 more, and 1 more for each
/// thread that resamples.
///
/// # Errors
/// When options are outside their range, an arm is empty, or the budget buys nobody or everybody of
/// an arm; when columns do not fit, which is a defect.
pub fn roi(
    about: About,
    input: RoiInput,
    options: &RoiOptions,
    progress: &dyn Progress,
) -> Result<Roi, EvalError> {
    options.check()?;
    let input = input.checked()?;
    let t = input.outcomes.iter().position(|&d| d == input.horizon);
    let t = t.unwrap_or_default();
    let users = Users {
        pool: Pool {
            cost: input.cost,
            values: input.values,
        },
        outcomes: &input.outcomes,
        t,
        predicted: [&input.control, &input.treatment],
        signal: &input.signal,
        order: &input.order,
    };
    let arms: Vec<srm::Arm> = input
        .fraction
        .iter()
        .map(|&f| srm::Arm::of(f, options.arm_share))
        .collect();
    let replicates = options.bootstrap.map_or(0, |b| u64::from(b.replicates));
    progress.start("deliver and resample", Some(3 * replicates));
    let (mut split, errors) = experiment::split(&users, &arms, options, progress)?;
    split.checks = srm::checks(&arms, &input.segments, options.arm_share);
    let (replay, policies) = replay::replay(&users, split.budget_share, options, progress);
    progress.finish();
    let sizes = [split.control.users, split.treatment.users];
    let spread = |t: usize, policy: usize| {
        let bought = users.pool.bought(&policies[policy].1, replay.budget);
        let pool = &users.pool;
        let user = |&row: &u32| (pool.values[t][row as usize], pool.cost[row as usize]);
        power::relative_variance(bought.iter().map(user), pool.len())
    };
    let planned = (0..users.outcomes.len()).map(|t| {
        let spreads = [spread(t, 0), spread(t, 1)];
        options
            .wanted
            .planned(users.outcomes[t], spreads, sizes, errors[t])
    });
    Ok(Roi {
        format: document::FORMAT.to_owned(),
        version: document::VERSION,
        about,
        horizon: input.horizon,
        outcomes: input.outcomes.clone(),
        users: users.pool.len() as u64,
        cost: users.pool.total_cost(),
        values: users.pool.values.iter().map(|v| total(v)).collect(),
        bootstrap: options.bootstrap,
        power: document::Power {
            wanted: options.wanted,
            outcomes: planned.collect(),
        },
        bids: bids::bids(
            &users.pool,
            t,
            users.predicted,
            (&input.segments, options.target_roas),
        ),
        curve: curve::curve(&users.pool, users.outcomes, &policies),
        split,
        replay,
    })
}

/// What every part looks at.
struct Users<'a> {
    pool: Pool,
    outcomes: &'a [u32],
    /// Place of the horizon among the outcomes.
    t: usize,
    /// By control's and by treatment's model.
    predicted: [&'a [f64]; 2],
    signal: &'a [f64],
    order: &'a [u64],
}

impl RoiOptions {
    /// Checks every option.
    ///
    /// # Errors
    /// When one is outside its range; the message says which.
    pub fn check(&self) -> Result<(), EvalError> {
        let above = |x: f64| x > 0.0 && x.is_finite();
        let wanted = self.wanted;
        let within = |x: f64| x > 0.0 && x < 1.0;
        let rules = [
            (
                self.arm_share > 0.0 && self.arm_share <= 0.5,
                "arm_share",
                "give a share above 0, at most 0.5",
            ),
            (
                above(self.target_roas),
                "target_roas",
                "give a number above 0",
            ),
            (
                above(wanted.uplift),
                "uplift",
                "give an uplift above 0, such as 0.05 for 5 %",
            ),
            (
                within(wanted.alpha),
                "alpha",
                "give a probability between 0 and 1",
            ),
            (
                within(wanted.power) && wanted.power > wanted.alpha / 2.0,
                "power",
                "give a probability between alpha and 1",
            ),
            match self.budget {
                Budget::Amount(x) => (above(x), "budget", "give an amount above 0"),
                Budget::Share(x) => (
                    x > 0.0 && x <= 1.0,
                    "budget_share",
                    "give a share above 0, at most 1",
                ),
            },
        ];
        if let Some((_, option, problem)) = rules.iter().find(|(good, ..)| !good) {
            return Err(EvalError::Option { option, problem });
        }
        self.bootstrap.map_or(Ok(()), |b| b.check())
    }
}

impl RoiInput {
    /// Columns fit each other, and numbers are what they should be.
    fn checked(self) -> Result<Self, EvalError> {
        let users = self.cost.len();
        if users >= u32::MAX as usize {
            return Err(EvalError::TooManyRows { rows: users });
        }
        let positive = |x: &f64| COSTS.contains(x);
        let value = |&x: &f64| x.is_finite() && x >= 0.0;
        let columns = [&self.control, &self.treatment, &self.signal];
        let lengths = columns.into_iter().chain(&self.values).map(Vec::len);
        let lengths = lengths.chain([self.fraction.len(), self.order.len()]);
        if let Some(found) = lengths.into_iter().find(|&n| n != users) {
            return Err(EvalError::Shape {
                what: "a column of users".into(),
                expected: users,
                found,
            });
        }
        let good = self.cost.iter().all(positive)
            && columns.into_iter().chain(&self.values).flatten().all(value)
            && self.values.len() == self.outcomes.len()
            && self.outcomes.contains(&self.horizon);
        self.segments.iter().try_for_each(|s| s.check(users))?;
        match good {
            true => Ok(self),
            false => Err(EvalError::Internal {
                problem: "a cost, value or prediction is out of range, or an outcome is missing"
                    .into(),
            }),
        }
    }
}
