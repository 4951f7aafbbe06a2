//! Tests of the whole way from files to a dataset.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod bad_input;
mod engine;
mod formats;
mod history;
mod house;
mod leaks;
mod reference;
mod text;
mod update;
mod yardstick;
