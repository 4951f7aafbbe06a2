//! Predictions online: a snapshot goes live all at once or not at all, and users are looked up in it
//! within microseconds.
//!
//! ```text
//!   snapshot --> publish: load beside, check, switch --> store --> look up users of one version
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`user`] | ids, whole numbers or text, and their keys |
//! | [`value`] | what is known of a user online, and its bytes |
//! | [`version`](mod@version) | what is known of a published snapshot |
//! | [`store`] | what every store can do: look up, and take a new version |
//! | [`embedded`] | a store in a folder of this machine: memory-mapped, one file for each version |
//! | [`redis`](mod@redis) | a store in Redis or Valkey, for a fleet: one server or a cluster |
//! | [`publish`](mod@publish) | from a snapshot to a version that is live |
//! | [`forget`](mod@forget) | users vanish from all that a store keeps |
//! | [`error`] | what can go wrong, and whose fault it is |
//!
//! Nothing here knows a network or a table engine: rows come as Arrow record batches, with the columns
//! of a snapshot. Why the stores are what they are: docs/decisions/0026-online-stores.md and 0027-redis.md.

#[cfg(test)]
mod behaviour;
pub mod embedded;
pub mod error;
pub mod forget;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod pointer;
pub mod publish;
pub mod redis;
mod sorting;
pub mod store;
#[cfg(test)]
mod testing;
pub mod user;
pub mod value;
pub mod version;

pub use crate::redis::Redis;
pub use embedded::Embedded;
pub use error::OnlineError;
pub use forget::{Forgotten, forget};
pub use publish::{Publication, publish};
pub use store::{Answer, Draft, Erase, Store};
pub use user::{UserId, UserKind};
pub use value::Prediction;
pub use version::Version;
