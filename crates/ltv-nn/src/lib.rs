//! A small static-graph network engine over row tiles.
//!
//! Not a tensor library and not a general autodiff: shapes are fixed when a [`Graph`] is built, the
//! backward pass is the reversed list of operations, and a stopped gradient is a missing edge.
//!
//! - A batch is cut into **shards** (a number that depends on the batch alone) and a shard into
//!   **tiles** of up to [`Graph::tile`] rows, small enough for the cache.
//! - Activations are **feature-major**: the rows of one feature are contiguous, so that softmax,
//!   losses and slices run along rows and vectorise, and a slice of a node is a view.
//! - All values of a tile live in one **arena** for each worker, all gradients in another, where a
//!   gradient's place is reused as soon as it is spent.
//! - Every shard has a **gradient buffer** of its own; buffers are added in shard order. So the
//!   same seed gives the same bytes, whatever the number of threads.
//!
//! The engine knows nothing of lifetime value: `ltv-model` builds its networks from [`ops`].

pub mod adam;
pub mod batch;
pub mod formula;
pub mod graph;
pub mod layout;
pub mod ops;
pub mod peak;
mod plan;
pub mod real;
pub mod runner;
mod simd;
mod tile;
pub mod trainer;

#[cfg(test)]
mod check;

pub use adam::Adam;
pub use batch::{Batch, BatchShape};
pub use graph::{Graph, Node};
pub use layout::{Layout, Param};
pub use real::Real;
pub use runner::Runner;
pub use trainer::{Passed, Rates, Trainer, TrainerOptions};
