//! `ltv`: customer lifetime value, from events to scores. Flags become options, options become
//! calls of the libraries, and errors become exit codes; nothing else lives here.

mod cli;
mod commands;
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

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    exit::install_panic_hook();
    let cli = cli::Cli::try_parse().unwrap_or_else(|error| exit::refuse(&error));
    cli.command.log_format().choose();
    exit::run(|| commands::run(cli.command))
}
