//! Event log and user table to a dataset: one row of features and labels for each user.
//!
//! ```text
//!  events, users (Parquet)
//!      | input      find files, check schemas; normalise: user_id, day, time_ns, num_*, cat_*
//!      | spill      split by a hash of the user into P parts (not when P = 1; in passes when P > 128)
//!      v
//!  part p of P, in memory
//!      | audit      count what must come out
//!      | query      one SQL statement (sql), run by embedded DataFusion
//!      | output     part-0000p.parquet
//!      v
//!  manifest.json    last
//! ```
//!
//! P depends on the input alone, and every sum is a sum of decimals, so the same input gives the
//! same bytes whatever the number of threads. An earlier dataset can be brought up to date
//! ([`update_dataset`]): the rows that cannot have changed are taken over, and the same bytes come out. P grows with the input, up to a million parts of a
//! million and a half events, so that memory is what the running parts need; only the events of
//! one user are never divided. No more than some 130 files are open at a time.

mod audit;
mod base;
mod build;
mod calendar;
mod columns;
mod days;
mod elsewhere;
mod groups;
mod history;
mod input;
mod normalise;
mod output;
mod query;
mod spill;
pub mod sql;
mod target;
#[cfg(test)]
mod tests;
mod update;

pub use build::{BuildOptions, build_dataset};
pub use days::LogDay;
pub use elsewhere::{QueryPlan, calendar_of};
pub use history::{Purchases, purchases};
pub use input::{Role, Wanted};
pub use sql::{feature_sql, printed_sql};
pub use update::{Updated, make_dataset, update_dataset};
