//! `ltv`: customer lifetime value, from events to scores. Flags become options, options become
//! calls of the libraries, and errors become exit codes; nothing else lives here.
//!
//! [`main`] is the whole program; [`invoke`] is one command of it within another program, such as a
//! Python process, which draws progress and stops work itself.

mod cli;
mod commands;
mod embedded;
mod exit;
mod log;
mod options;
mod outputs;
mod page;
mod progress;
mod report;
mod signals;
mod tensorboard;
mod timing;

pub use commands::score::score_options;
pub use embedded::{Outcome, Refused, check_label, invoke, resolve};

use clap::Parser;
use std::ffi::OsString;

/// Runs the program with these arguments, of which the first is its own name, and returns its exit
/// code. Panics, signals and threads of the whole process are its own from then on.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    exit::install_panic_hook();
    let arguments: Vec<_> = arguments.into_iter().collect();
    let cli = match cli::Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return exit::refuse(&error, &arguments),
    };
    cli.command.log_format().choose();
    exit::run(|| commands::run(cli.command))
}
