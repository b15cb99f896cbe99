//! What is told on standard output, and what is asked before something that cannot be undone.

use crate::error::{CliError, CliResult};
use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};

/// Writes a text. Whoever reads it may have read enough (`minos events tail | head`): then the command is done.
pub(crate) fn print(text: &str) -> CliResult {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => CliError::ReadEnough,
        _ => CliError::said(format!("standard output cannot be written: {error}")),
    })
}

/// Writes a line.
pub(crate) fn line(text: impl std::fmt::Display) -> CliResult {
    print(&format!("{text}\n"))
}

/// Whether something is done that cannot be undone.
#[derive(clap::Args, Clone, Copy)]
pub(crate) struct Confirmation {
    /// Does it without asking.
    #[arg(long, short)]
    pub(crate) yes: bool,
}

impl Confirmation {
    /// Asks whoever sits at the terminal. `what` says what is done: "dead letter 7 is dropped for good".
    pub(crate) fn ask(self, what: &str) -> CliResult {
        if self.yes {
            return Ok(());
        }
        let input = io::stdin();
        if !input.is_terminal() {
            return Err(CliError::said(format!("{what}, which cannot be undone: say `--yes` if that is meant")));
        }
        eprint!("{what}, which cannot be undone. Go on? [y/N] ");
        let mut answer = String::new();
        input.lock().read_line(&mut answer).map_err(|error| CliError::said(format!("the terminal cannot be read: {error}")))?;
        match answer.trim() {
            "y" | "Y" | "yes" => Ok(()),
            _ => Err(CliError::said("nothing was done")),
        }
    }
}
