//! Buy-till-you-die models: how often a customer comes back, until they never do.
//!
//! A customer is summed up by three numbers ([`History`]): repeat purchase days `x`, the time of
//! the last one `t_x`, and how long they have been known `T`. A count model tells how many purchase
//! days follow; the Gamma-Gamma model tells what a purchase day is worth. The two are independent,
//! so that the expected value is the product of the two expectations.
//!
//! | module | holds |
//! |---|---|
//! | [`history`] | what customers did, equal histories counted once |
//! | [`bgnbd`] | BG/NBD: a customer may leave after any purchase |
//! | [`pareto_nbd`] | Pareto/NBD: a customer may leave at any time |
//! | [`gamma_gamma`] | Gamma-Gamma: the mean value of a purchase day |
//! | [`fit`] | maximum likelihood |
//! | [`predict`] | a fitted model as a [`Predictor`](ltv_core::predictor::Predictor) |
//! | [`error`] | why data cannot be fitted or a model cannot predict |
//!
//! Purchases count once a day, and the registration day holds the first: time 0 is that day.

pub mod bgnbd;
pub mod error;
pub mod fit;
pub mod gamma_gamma;
pub mod history;
pub mod pareto_nbd;
pub mod predict;

mod counts;
mod special;
#[cfg(test)]
pub(crate) mod testing;

pub use bgnbd::BgNbd;
pub use error::BtydError;
pub use fit::{Fit, FitOptions};
pub use gamma_gamma::GammaGamma;
pub use history::{Histories, History, Spend, Spends, TimeUnit};
pub use pareto_nbd::ParetoNbd;
pub use predict::{BuyTillYouDie, Counts, Parameters, Reader, Seen, Settings};
