//! What a network has to beat: boosting, buy-till-you-die, RFM, simple rules.
//!
//! Every peer is fitted by [`fit`] (or block by block by [`Streaming`], where memory must not grow
//! with rows), is a [`ltv_core::predictor::Predictor`] afterwards, and is saved as one file.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | which peer, and its options |
//! | [`rows`] | what a peer is fitted on |
//! | [`fit`] | from rows in memory to a peer |
//! | `log` | the same from purchase histories, for buy-till-you-die models |
//! | [`streaming`] | the same from blocks, for peers that need no library |
//! | [`peer`] | a fitted peer: prediction, its file |
//! | `boost`, `forest` | boosting and random forests, by the XGBoost library (feature `xgboost`) |
//! | [`btyd`] | buy-till-you-die models, fitted to purchase histories |
//! | [`rfm`] | recency, frequency, monetary cells |
//! | `engine` | the only module that knows the XGBoost library |

mod boost;
pub mod btyd;
pub mod config;
mod engine;
mod error;
mod fit;
mod forest;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod log;
mod matrix;
pub mod peer;
pub mod rfm;
pub mod rows;
mod search;
pub mod streaming;
#[cfg(test)]
mod testing;

pub use config::PeerConfig;
pub use error::BaselineError;
pub use fit::fit;
pub use log::{PurchaseLog, fit_log};
pub use peer::Peer;
pub use rows::{Frame, TrainingRows};
pub use streaming::Streaming;

/// Whether this build can fit, load and run peers made of trees (cargo feature `xgboost`).
pub const HAS_XGBOOST: bool = cfg!(feature = "xgboost");
