//! `ltv`: customer lifetime value, from events to scores. Flags become options, options become
//! calls of the libraries, and errors become exit codes; nothing else lives here.

mod cli;
mod commands;
mod exit;
mod options;
mod progress;
mod report;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    exit::install_panic_hook();
    let cli = cli::Cli::parse();
    match commands::run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => exit::fail(&failure),
    }
}
