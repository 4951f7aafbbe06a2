//! Batch scoring: record batch in, record batch out, snapshots, and the evaluation of a model on a
//! dataset.
//!
//! | module | holds |
//! |---|---|
//! | [`batch`] | the engine-neutral core: a record batch of users to a record batch of scores |
//! | `coalesce` | record batches of many rows, from those of another engine |
//! | [`snapshot`] | the scores of every user of a dataset, committed whole or not at all |
//! | [`elsewhere`] | snapshots whose parts are made by another engine |
//! | [`diff`](mod@diff) | what moved from one snapshot to another |
//! | [`conversions`](mod@conversions) | values as conversions, in the formats of ad platforms |
//! | [`prune`] | the latest snapshots of a folder stay, older ones go |
//! | [`forget`] | users vanish from snapshots |
//! | [`evaluate`] | labels against the predictions of a model and of the baselines |
//! | [`importance`](mod@importance) | what predictions owe to each feature |
//! | [`error`] | what can go wrong, and whose fault it is |
//! | `model`, `users`, `part`, `output` | does the model fit the dataset; ids and their order; a part of a snapshot; its files |
//!
//! Nothing here knows a network: a model is a [`ltv_core::predictor::Predictor`].

pub mod batch;
mod coalesce;
pub mod conversions;
pub mod diff;
pub mod elsewhere;
pub mod error;
pub mod evaluate;
pub mod forget;
pub mod importance;
mod model;
mod output;
mod part;
pub mod prune;
pub mod snapshot;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod users;

pub use batch::{score_batch, snapshot_schema};
pub use coalesce::coalesced;
pub use conversions::{ConversionOptions, Exported, check_conversions, conversions};
pub use diff::{Diff, DiffOptions, diff};
pub use elsewhere::{Expected, ScoredPart, commit_parts, score_part};
pub use error::ScoreError;
pub use evaluate::{EvaluateOptions, Evidence, assess_dataset, evaluate_dataset};
pub use importance::{Importance, ImportanceOptions, importance};
pub use model::check_fit;
pub use part::PAST_HORIZON;
pub use snapshot::{PastHorizon, ScoreOptions, score};
