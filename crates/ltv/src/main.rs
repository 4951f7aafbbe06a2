//! The program `ltv`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ltv::main(std::env::args_os()).into()
}
