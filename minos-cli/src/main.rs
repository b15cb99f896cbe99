//! The `minos` command.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// The gateway gives back at each request what it took: many small pieces, and one buffer of some kilobytes, with which the allocator of glibc is slow.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    minos_cli::run()
}
