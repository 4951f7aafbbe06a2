//! Experiments: many models, trained on the same dataset and judged on the same users.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | what is compared |
//! | [`compare`](mod@compare) | training what is missing, judging everything |
//! | [`backtest`](mod@backtest) | the same at several dates of the past |
//! | [`judged`] | the users that models are judged on |
//! | [`roi`](mod@roi) | two models as the policies of an advertiser |
//! | [`run`] | a trained contestant on disk |
//! | [`open`](mod@open) | a model file of any kind, ready to predict |
//! | `train` | one contestant with one seed; a peer alone |
//! | [`error`] | what can go wrong, and whose fault it is |
//!
//! ```text
//! OUT/
//!   runs/NAME@SEED/      run.json, predictions.parquet, model files; whole or not there
//!   comparison.json      every metric of every contestant, with intervals
//!   comparison.md        the tables, to read
//! ```

pub mod backtest;
pub mod compare;
pub mod config;
pub mod error;
pub mod judged;
pub mod open;
pub mod roi;
pub mod run;
mod train;

pub use backtest::{Backtest, BacktestConfig, backtest};
pub use compare::{Outcome, compare};
pub use config::CompareConfig;
pub use error::LabError;
pub use judged::Judged;
pub use open::{Opened, open};
pub use roi::{CostSource, RoiRequest, roi};
pub use train::fit_peer;
