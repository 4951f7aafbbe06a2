//! The fit loop: batches, schedules, early stopping, checkpoints.
//!
//! | module | holds |
//! |---|---|
//! | [`fit`](mod@fit) | the loop, from a dataset to a bundle |
//! | [`prepare`] | what is fitted before the first step: encoding, buckets, network |
//! | [`validate`] | the likelihood of validation rows |
//! | `level` | how far the trend over cohorts is followed, from the latest of them |
//! | `recalibrate` | how widely expectations are spread, from validation rows |
//! | `matching` | the curves of the decoding `matched`, from the latest users and labels |
//! | `observe` | what a training tells whoever watches |
//! | `recent` | the latest users of whom something is known, and how old they are |
//! | [`checkpoint`] | everything needed to go on after a kill |
//! | [`schedule`] | learning rates over steps |
//! | `warm` | going on from an earlier model |

pub mod checkpoint;
pub mod error;
pub mod fit;
mod level;
mod matching;
mod observe;
pub mod prepare;
mod recalibrate;
mod recent;
pub mod schedule;
pub mod validate;
mod warm;

pub use error::TrainError;
pub use fit::{FitRun, fit, fit_or_begin_anew};
pub use observe::RECORD_STEPS;
