//! The ROI document (docs/formats/roi.md).

use super::power::Wanted;
use crate::bootstrap::{Bootstrap, Interval};
use serde::{Deserialize, Serialize};

/// Name of the document's format.
pub const FORMAT: &str = "ltv-roi";
/// Version of the document's layout, raised whenever a field changes its meaning or goes away.
pub const VERSION: u32 = 1;

/// Two models as the policies of an advertiser, on users whose value is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Roi {
    /// Always [`FORMAT`].
    pub format: String,
    /// Always [`VERSION`].
    pub version: u32,
    /// Models, users and costs, as the caller says.
    pub about: About,
    /// The horizon whose prediction users are ranked by, in days.
    pub horizon: u32,
    /// The outcomes in days, ascending, `horizon` among them.
    pub outcomes: Vec<u32>,
    /// Users, all of them.
    pub users: u64,
    /// What all of them cost.
    pub cost: f64,
    /// What all of them brought, by outcome.
    pub values: Vec<f64>,
    /// How intervals were made, if they were.
    pub bootstrap: Option<Bootstrap>,
    /// The split experiment.
    pub split: Split,
    /// Both policies, and others, applied to everybody.
    pub replay: Replay,
    /// Users that a test needs, by outcome.
    pub power: Power,
    /// Bids by value of each column asked for.
    pub bids: Bids,
    /// Value against spend.
    pub curve: Curve,
}

/// Who and what.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct About {
    /// The model of the control arm.
    pub control: Model,
    /// The model of the treatment arm.
    pub treatment: Model,
    /// What a value counts: `active_days` or `value`.
    pub label: String,
    /// First day of registration, `YYYY-MM-DD`.
    pub registered_from: String,
    /// Where costs are from.
    pub cost: Cost,
    /// What the hash of users is salted with.
    pub salt: String,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// What it is, in a word.
    pub name: String,
    /// Its id: the same id, the same predictions.
    pub model_id: String,
    /// As-of date of its training dataset, `YYYY-MM-DD`.
    pub as_of: String,
}

/// Where costs are from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// A column of the dataset, or the cost model as it was stated.
    pub source: String,
    /// Whether costs were stated and not seen.
    pub invented: bool,
    /// Users left out because they cost nothing.
    pub free: u64,
}

/// The split experiment: two arms of the users, each with its own model and the same budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Share of users of each arm.
    pub arm_share: f64,
    /// What each arm may spend.
    pub budget: f64,
    /// The budget over what the cheaper arm's users cost.
    pub budget_share: f64,
    /// The control arm under its model.
    pub control: Arm,
    /// The treatment arm under its model.
    pub treatment: Arm,
    /// Return of the treatment arm over that of the control arm, minus 1, by outcome.
    pub uplift: Vec<Figure>,
    /// The same with the control's model in both arms: should be around 0.
    pub same_model: Vec<Figure>,
    /// Whether arms have the users they should have: all users, then each value of each column.
    pub checks: Vec<Mismatch>,
}

/// One arm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Arm {
    /// Users in it.
    pub users: u64,
    /// What they would all cost.
    pub cost: f64,
    /// Users delivered to.
    pub delivered: u64,
    /// What these cost.
    pub spend: f64,
    /// Value over cost of these, by outcome.
    pub roi: Vec<Figure>,
}

/// A number of an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The outcome in days.
    pub days: u32,
    /// The number; null where nothing was spent, or where it would be over a return of 0.
    pub value: Option<f64>,
    /// Where it lies in 95 % of resamples.
    pub interval: Option<Interval>,
}

/// Users by arm against the shares wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mismatch {
    /// The column, or `all`.
    pub column: String,
    /// The value of the column, or `all`.
    pub label: String,
    /// Users in the control arm.
    pub control: u64,
    /// Users in the treatment arm.
    pub treatment: u64,
    /// Users in neither.
    pub neither: u64,
    /// Pearson's statistic; null where a cell expects fewer than 5 users.
    pub chi_squared: Option<f64>,
    /// Probability of one as large by chance; null where there is no statistic.
    pub p: Option<f64>,
    /// Whether `p` is at least 0.001, for a column's values 0.001 over the number of those that have a
    /// `p`; null without one.
    pub holds: Option<bool>,
}

/// Every policy on everybody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replay {
    /// What each policy may spend.
    pub budget: f64,
    /// The budget over what everybody costs.
    pub budget_share: f64,
    /// The policies: control, treatment, trivial sort, cheapest, random, oracle.
    pub policies: Vec<Policy>,
}

/// One policy on everybody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub name: String,
    /// Users delivered to.
    pub delivered: u64,
    /// What these cost.
    pub spend: f64,
    /// Value over cost of these, by outcome.
    pub roi: Vec<Figure>,
    /// Its return over the control's, minus 1; intervals are paired.
    pub uplift: Vec<Figure>,
}

/// The size of a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Power {
    /// What the test must see, and how surely.
    #[serde(flatten)]
    pub wanted: Wanted,
    /// By outcome.
    pub outcomes: Vec<Planned>,
}

/// The size of a test of one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    /// The outcome in days.
    pub days: u32,
    /// Users that each arm must have, delivered to or not; null without value.
    pub users: Option<u64>,
    /// The least uplift that arms of the present size show.
    pub detectable: Option<f64>,
    /// Standard error of the log of the ratio of returns at the present size, by the delta method.
    pub standard_error: Option<f64>,
    /// The same from resamples of the split experiment, which deliver again.
    pub resampled: Option<f64>,
}

/// Bids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bids {
    /// Value that each unit of cost must bring.
    pub target_roas: f64,
    /// A line for everybody, then for each value of each column.
    pub values: Vec<Bid>,
}

/// What acquiring a user of one kind may cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bid {
    /// The column, or `all`.
    pub column: String,
    /// The value of the column, or `all`.
    pub label: String,
    /// Users.
    pub users: u64,
    /// What they cost on average.
    pub cost: f64,
    /// What they brought on average over the horizon, with its 95 % interval.
    pub realised: Mean,
    /// Realised mean over target: the most that acquiring one of them was worth.
    pub worth: f64,
    /// By the control's model.
    pub control: Offer,
    /// By the treatment's model.
    pub treatment: Offer,
}

/// A mean over users and its 95 % interval, by the normal approximation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// The mean.
    pub value: f64,
    /// Lower end; null for fewer than 50 users.
    pub low: Option<f64>,
    /// Upper end; null for fewer than 50 users.
    pub high: Option<f64>,
}

/// What a model would bid.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// Mean prediction over target: the highest cost per acquisition. With its 95 % interval over users.
    pub max_cpa: Mean,
    /// Mean prediction over realised mean: above 1 bids too much. Null where nothing was realised.
    pub ratio: Option<Mean>,
    /// What the interval of the ratio says.
    pub verdict: Verdict,
}

/// Whether a bid is right, by the 95 % interval of this ratio alone: of twenty right bids one is expected to
/// be found wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Too high: the interval of the ratio lies above 1.
    Over,
    /// Too low: it lies below 1.
    Under,
    /// It holds 1.
    Level,
    /// There is no interval.
    Unknown,
}

/// What a budget captures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Budgets, as shares of what everybody costs.
    pub budget_shares: Vec<f64>,
    /// The policies, in the order of the replay.
    pub policies: Vec<CurvePolicy>,
}

/// What one policy captures; all lists are by budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CurvePolicy {
    /// Its name.
    pub name: String,
    /// Users delivered to.
    pub delivered: Vec<u64>,
    /// What was spent.
    pub spend: Vec<f64>,
    /// By outcome.
    pub outcomes: Vec<Captured>,
}

/// What one policy captures of one outcome, by budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Captured {
    /// The outcome in days.
    pub days: u32,
    /// Value of those delivered to over that of everybody; null where nobody brought anything.
    pub share: Vec<Option<f64>>,
    /// Value over cost of those delivered to; null where nothing was spent.
    pub roi: Vec<Option<f64>>,
}

impl Roi {
    /// The policy of this name.
    pub fn policy(&self, name: &str) -> Option<&Policy> {
        self.replay.policies.iter().find(|p| p.name == name)
    }

    /// Place of the horizon among the outcomes.
    pub fn place(&self) -> usize {
        let found = self.outcomes.iter().position(|&d| d == self.horizon);
        found.unwrap_or_default()
    }
}
