//! `events.lock`: what stored events look like, written down beside the code, with samples of each version that stay readable for ever.

mod judge;
mod persisted;
mod text;

pub use persisted::Persisted;

use judge::judge;
use serde::Serialize;
use std::{
    fs, io,
    path::{Path, PathBuf},
};
use thiserror::Error;

/// A sample that is made by hand: of which aggregate or event, and as JSON.
#[doc(hidden)]
pub(crate) type GivenSample = (&'static str, String);

/// The variable that has the file written.
const WRITE: &str = "MINOS_EVENTS_LOCK";

/// Why `events.lock` and what the program stores do not fit.
#[derive(Debug, Error)]
pub enum EventsLockError {
    /// The file cannot be read or written.
    #[error("{} cannot be {what}: {error}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was to be done with it.
        what: &'static str,
        /// Why.
        error: io::Error,
    },
    /// The file is not as it was written.
    #[error("{}, line {line}, is nothing that was written there: take the file as it was from the repository", .path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// The first line that is not understood.
        line: usize,
    },
    /// There is nothing to look at.
    #[error("this test sees no aggregate: it has to stand in the crate that has them, among its unit tests")]
    Nothing,
    /// Two have one name.
    #[error("`{0}` is there twice, and what is stored is read by its name: give one of them another name")]
    DoubleName(String),
    /// A sample is given of nothing that is stored.
    #[error("a sample is given of `{name}`, which is nothing that this crate stores; that is: {known}")]
    Unknown {
        /// What it is given for.
        name: String,
        /// The names of all that is stored.
        known: String,
    },
    /// A sample that is given cannot be stored.
    #[error("the sample that is given of `{name}` cannot be written: {error}")]
    Sample {
        /// What it is given for.
        name: &'static str,
        /// Why.
        error: serde_json::Error,
    },
    /// What is stored somewhere could not be read any more.
    #[error("what is stored could not be read any more as {} has it:\n{differences}", .path.display())]
    Breaking {
        /// The file.
        path: PathBuf,
        /// Line by line: `-` what was, `+` what is, and what to write.
        differences: String,
    },
    /// What is stored can still be read, and the file does not say all of it.
    #[error(
        "what is stored can be read, and {} does not tell all of it:\n{differences}`{WRITE}=write cargo test` writes it; the file belongs into the \
         repository", .path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// Line by line: `-` what was, `+` what is.
        differences: String,
    },
}

/// Holds what this crate stores against the file: the test that `minos::events_lock!` writes. With `MINOS_EVENTS_LOCK=write` in the environment, the file is
/// written, unless stored events could not be read any more.
///
/// # Errors
/// If they could not be read, or the file does not tell all of them: the error tells the difference, and what to do.
pub fn check_events_lock(path: impl AsRef<Path>) -> Result<(), EventsLockError> {
    check_with(path.as_ref(), Vec::new())
}

/// The same, with samples that are made by hand.
#[doc(hidden)]
pub fn check_with(path: &Path, given: Vec<Result<GivenSample, EventsLockError>>) -> Result<(), EventsLockError> {
    let given = given.into_iter().collect::<Result<Vec<_>, _>>()?;
    let all: Vec<&Persisted> = inventory::iter::<Persisted>.into_iter().collect();
    let write = std::env::var_os(WRITE).is_some_and(|value| value == "write");
    check(path, &all, &given, write)
}

/// A sample of this aggregate or event.
///
/// # Errors
/// If it cannot be written as JSON.
#[doc(hidden)]
pub fn given_sample<T: Serialize>(name: &'static str, value: &T) -> Result<GivenSample, EventsLockError> {
    persisted::stored(value).map(|json| (name, json)).map_err(|error| EventsLockError::Sample { name, error })
}

/// Holds these types against the file.
///
/// # Errors
/// As [`check_events_lock`].
#[doc(hidden)]
pub fn check(path: &Path, all: &[&Persisted], given: &[GivenSample], write: bool) -> Result<(), EventsLockError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(EventsLockError::File { path: path.to_owned(), what: "read", error }),
    };
    let known = text::parse(&text).map_err(|line| EventsLockError::Text { path: path.to_owned(), line })?;
    if all.is_empty() && known.is_empty() {
        return Err(EventsLockError::Nothing);
    }
    let verdict = judge(&known, all, given)?;
    if !verdict.breaking.is_empty() {
        return Err(EventsLockError::Breaking { path: path.to_owned(), differences: verdict.breaking });
    }
    if write {
        let text = text::write(&verdict.next);
        return fs::write(path, text).map_err(|error| EventsLockError::File { path: path.to_owned(), what: "written", error });
    }
    if verdict.changed.is_empty() { Ok(()) } else { Err(EventsLockError::Changed { path: path.to_owned(), differences: verdict.changed }) }
}
