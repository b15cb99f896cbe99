//! `sagas.lock`: what the executions that are under way somewhere rely on, written down beside the code.

use super::{SagaDef, canonical, hash};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs, io,
    path::{Path, PathBuf},
};
use thiserror::Error;

/// The variable that has the file written.
const WRITE: &str = "MINOS_SAGAS_LOCK";
const HEAD: &str = "# What executions of sagas that are under way rely on. `MINOS_SAGAS_LOCK=write cargo test` writes it anew.\n";

/// Why `sagas.lock` and the sagas of the program do not fit.
#[derive(Debug, Error)]
pub enum LockError {
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
    /// Two sagas have one name.
    #[error("two sagas are named `{0}`, and the name is that of their executions")]
    DoubleName(&'static str),
    /// Some sagas are not as they were.
    #[error(
        "the sagas are not those of {}:\n{differences}Executions that have begun cannot go on under another definition, so the service would refuse to start: \
         give the changed saga a new name, and keep the old one until its executions have ended. If none is under way anywhere, \
         `{WRITE}=write cargo test` writes the file anew", .path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// Line by line: `-` what was, `+` what is.
        differences: String,
    },
}

/// Holds the sagas of this program against the file, which is a test of yours:
///
/// ```no_run
/// #[test]
/// fn sagas_are_as_they_were() -> Result<(), minos_runtime::saga::LockError> {
///     minos_runtime::saga::check_lock("sagas.lock")
/// }
/// ```
///
/// With `MINOS_SAGAS_LOCK=write` in the environment, the file is written. It belongs into the repository.
///
/// # Errors
/// If a saga is not as it was, is new, or is not there any more: the error tells the difference.
pub fn check_lock(path: impl AsRef<Path>) -> Result<(), LockError> {
    let path = path.as_ref();
    let text = lock_text()?;
    if std::env::var_os(WRITE).is_some_and(|value| value == "write") {
        return fs::write(path, text).map_err(|error| LockError::File { path: path.to_owned(), what: "written", error });
    }
    let known = match fs::read_to_string(path) {
        Ok(known) => known,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(LockError::File { path: path.to_owned(), what: "read", error }),
    };
    let differences = differences(&known, &text);
    if differences.is_empty() { Ok(()) } else { Err(LockError::Changed { path: path.to_owned(), differences }) }
}

/// What the file has to say of the sagas of this program.
///
/// # Errors
/// If two of them have one name.
pub fn lock_text() -> Result<String, LockError> {
    let mut sagas = BTreeMap::new();
    for def in inventory::iter::<SagaDef> {
        if sagas.insert(def.name, format!("\n{}  hash {}\n", canonical(def), hash(def))).is_some() {
            return Err(LockError::DoubleName(def.name));
        }
    }
    Ok(HEAD.to_owned() + &sagas.into_values().collect::<String>())
}

/// The sagas of a file, by their first lines.
fn sagas(text: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut all = BTreeMap::<_, Vec<_>>::new();
    let mut last = None;
    for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        if line.starts_with("saga ") {
            last = Some(line);
        }
        if let Some(saga) = last {
            all.entry(saga).or_default().push(line);
        }
    }
    all
}

fn differences(known: &str, text: &str) -> String {
    let (before, after) = (sagas(known), sagas(text));
    let mut told = String::new();
    for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let (was, is) = (before.get(name).map(Vec::as_slice).unwrap_or_default(), after.get(name).map(Vec::as_slice).unwrap_or_default());
        if was == is {
            continue;
        }
        // What is the same at both ends is context enough.
        let start = was.iter().zip(is).take_while(|(was, is)| was == is).count();
        let _ = writeln!(told, "  {name}");
        for line in &was[start..] {
            let _ = writeln!(told, "- {line}");
        }
        for line in &is[start..] {
            let _ = writeln!(told, "+ {line}");
        }
    }
    told
}
