//! The `minos` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    minos_cli::run()
}
