//! What runs every night: new events become features, labels that have become known are learned, the new model is
//! judged, everyone is scored and published; or yesterday's model stays.
//!
//! ```text
//!  data -> check -> train -> judge -> gate -> score -> movement -> publish -> report -> prune
//!            |                         |                  |
//!            stops: nothing of         yesterday's        stops: yesterday's snapshot
//!            this day is used          model scores       stays live
//! ```
//!
//! Each stage writes one artefact whole or not at all, and then a line in the [`ledger`]. A run that was killed
//! goes on behind the last line, to the same bytes; a run that is done is not done again.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | every option |
//! | [`day`] | one day, stage by stage |
//! | [`ledger`] | what is remembered of runs, stages and models |
//! | [`registry`] | models and which of them serves |
//! | [`summary`] | what is said of a day in the end |
//! | `data`, `model`, `judge`, `serve`, `prune` | the stages |
//! | `census` | what is counted of a dataset, to compare it with the day before |
//! | [`gate`] | what must hold, and whether it does |

mod census;
pub mod config;
mod data;
pub mod day;
pub mod error;
pub mod gate;
mod judge;
pub mod ledger;
mod model;
mod prune;
pub mod registry;
mod serve;
mod stage;
pub mod summary;

pub use config::DailyConfig;
pub use day::{Call, plan, run};
pub use error::DailyError;
pub use summary::{Outcome, Summary};
