//! Published predictions over HTTP and gRPC: look-ups by id, in one version at a time, and predictions on demand.
//!
//! ```text
//!   connection (TLS) --> guard: request id, token, limits, time, metrics, log --> routes --> desk --> store
//!                                                                                   gRPC ----^
//!   in the background: which version is live; did tokens or certificate change; how many requests were there?
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | what a server is told, checked once |
//! | [`server`] | a port, its connections, and how they end |
//! | [`on_demand`] | what a model offers that predicts for users whom the store does not know |
//! | [`log`] | what the server says of itself, to whoever writes it down |
//! | [`tokens`] | who may ask |
//! | [`grpc`] | the messages of the gRPC service |
//! | [`error`] | what can go wrong, and whose fault it is |
//!
//! Nothing here knows a network or a table engine. Why these parts: docs/decisions/0028-server.md; what is
//! asked and answered: docs/formats/http.md.

mod api;
mod assets;
mod background;
pub mod config;
mod desk;
pub mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod grpc;
mod guard;
pub mod log;
mod metrics;
pub mod on_demand;
mod openapi;
mod overview;
mod problem;
mod routes;
pub mod server;
mod shared;
mod tls;
pub mod tokens;
mod traffic;

pub use config::{Config, Fallback, Limits, TlsFiles};
pub use error::ServeError;
pub use log::Log;
pub use on_demand::{OnDemand, OnDemandModel};
pub use server::{Drained, Server, signalled};
