//! Words, configuration, artefact formats and errors that every other crate shares.
//!
//! | module | holds |
//! |---|---|
//! | [`day`] | days since 1970-01-01, the only calendar unit below the binary |
//! | [`horizon`] | the ordered list of prediction horizons |
//! | [`config`] | every option of every command, checked once |
//! | [`encoding`] | fitted feature encodings: raw value to cell number |
//! | [`address`] | paths that name what is not on this machine |
//! | [`assignment`] | who is in which arm of an experiment |
//! | [`artefact`] | writing files whole or not at all, checksums |
//! | [`baseline`] | the simplest predictions, which a model has to beat |
//! | [`labels`] | the distribution of training labels, in bounded memory |
//! | [`manifest`] | the documents that describe datasets and snapshots |
//! | [`order`] | a longer horizon is worth at least as much |
//! | [`predictor`] | what a trained model offers to whoever serves it |
//! | [`progress`] | how far a long task has come |
//! | [`seed`] | independent random streams from one seed, hashing users to a fraction |
//! | [`error`] | whose fault a failure is |

pub mod address;
pub mod artefact;
pub mod assignment;
pub mod baseline;
pub mod config;
pub mod day;
pub mod encoding;
pub mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod horizon;
pub mod labels;
pub mod manifest;
pub mod order;
pub mod predictor;
pub mod progress;
pub mod seed;

pub use day::Day;
pub use error::{Error, Fault, Result};
pub use horizon::Horizons;
