//! A PostgreSQL and a Kafka of the test's own: to be restarted and killed while others go on.

use std::{path::Path, process::Command};
use tempfile::TempDir;

/// Both servers. They end with this value, however the test ends.
pub struct Pair {
    directory: TempDir,
    pub postgres: String,
    pub kafka: String,
}

impl Pair {
    /// Starts them. `None`, loudly, where they cannot be had; with `CI` set that is a failure.
    pub fn up(test: &str) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        if !script(directory.path(), &["check"]).0 {
            assert!(std::env::var_os("CI").is_none(), "PostgreSQL and Kafka are not here, and `CI` is set");
            eprintln!("NOT RUN: {test}: it needs PostgreSQL and Kafka; `scripts/services check` says what is missing");
            return None;
        }
        let (up, said) = script(directory.path(), &["up"]);
        assert!(up, "{said}");
        let (_, said) = script(directory.path(), &["env"]);
        let value = |name: &str| said.lines().find_map(|line| line.strip_prefix(&format!("export {name}="))).unwrap().to_owned();
        Some(Pair { postgres: value("MINOS_TEST_POSTGRES_URL"), kafka: value("MINOS_TEST_KAFKA_URL"), directory })
    }

    /// Runs a command of the script: `["restart", "postgres", "immediate"]`.
    pub fn run(&self, arguments: &[&str]) {
        let (worked, said) = script(self.directory.path(), arguments);
        assert!(worked, "{arguments:?}: {said}");
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let (worked, said) = script(self.directory.path(), &["clean"]);
        if !worked {
            eprintln!("the servers of the test were not ended: {said}");
        }
    }
}

/// Whether the script succeeded, and what it said.
fn script(directory: &Path, arguments: &[&str]) -> (bool, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/services");
    let output = Command::new(path).args(arguments).env("MINOS_TEST_SERVICES_DIR", directory.join("services")).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}
