//! The charts, one file for each.

pub(crate) mod calibration;
pub(crate) mod dots;
pub(crate) mod histogram;
pub(crate) mod importance;
pub(crate) mod lines;
pub(crate) mod lorenz;
pub(crate) mod order;
pub(crate) mod quantiles;
pub(crate) mod totals;
pub(crate) mod training;
