//! Feature encodings: fitted in one pass over the training rows, applied column at a time.
//!
//! What a fitted encoding is, and what its cells mean, is said in [`ltv_core::encoding`]. Fitting
//! sees training rows only, so that nothing of the validation and test users leaks into it.

mod ages;
mod apply;
mod fit;
mod numbers;
mod words;

#[cfg(test)]
mod tests;

pub(crate) use apply::Lookups;
pub use apply::{Encoder, encode_batch};
pub use fit::{EncodingPlan, Fitted, fit, fit_with_progress};
