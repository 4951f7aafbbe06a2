//! `ltv`: customer lifetime value, from events to scores. Flags become options, options become
//! calls of the libraries, and errors become exit codes; nothing else lives here.

mod cli;
mod commands;
mod exit;
mod options;
mod outputs;
mod page;
mod progress;
mod report;
mod signals;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    exit::install_panic_hook();
    let cli = cli::Cli::parse();
    exit::run(|| commands::run(cli.command))
}
