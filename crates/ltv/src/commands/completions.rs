//! `ltv completions`: what a shell needs to complete commands and flags.

use crate::{cli::Cli, exit::Failure, report::print};
use clap::{Args, CommandFactory};
use clap_complete::Shell;

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  ltv completions bash > ~/.local/share/bash-completion/completions/ltv"
)]
pub(crate) struct Flags {
    /// The shell
    shell: Shell,
}

/// Prints the completion script.
pub(crate) fn run(flags: &Flags) -> Result<(), Failure> {
    let mut script = vec![];
    clap_complete::generate(flags.shell, &mut Cli::command(), "ltv", &mut script);
    print(&String::from_utf8_lossy(&script))
}
