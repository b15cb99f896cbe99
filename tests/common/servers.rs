//! A PostgreSQL and a Kafka of a test's own, by `scripts/services`: to be restarted and killed while others go on.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

/// Names of servers.
pub const POSTGRES: &str = "postgres";
pub const KAFKA: &str = "kafka";

/// Running servers. They are cleared away with this value, however the test ends.
pub struct Servers {
    directory: TempDir,
    /// Empty if it was not asked for.
    pub postgres: String,
    /// Empty if it was not asked for.
    pub kafka: String,
}

impl Servers {
    /// Starts these, if tests with servers are wanted here: without the variables that name some it is told that the test did not run, and in CI that
    /// is a failure.
    pub fn start(test: &str, wanted: &[&str]) -> Option<Self> {
        for name in wanted {
            let variable = variable(name);
            if std::env::var_os(&variable).is_none() {
                assert!(std::env::var_os("CI").is_none(), "`{variable}` is not set: CI has to run `{test}`");
                let how = "`scripts/services up` starts servers, `scripts/services env` names them";
                // Not by `eprintln`, whose text the harness keeps for itself while the test passes.
                let _ = writeln!(io::stderr(), "NOT RUN: `{test}`, because `{variable}` is not set: {how}");
                return None;
            }
        }
        let mut servers = Servers { directory: tempfile::tempdir().unwrap(), postgres: String::new(), kafka: String::new() };
        for name in wanted {
            servers.run(&["start", name]);
        }
        let env = servers.run(&["env"]);
        let url = |name: &str| {
            env.lines().find_map(|line| line.strip_prefix(&format!("export {}=", variable(name)))).unwrap_or_default().to_owned()
        };
        (servers.postgres, servers.kafka) = (url(POSTGRES), url(KAFKA));
        Some(servers)
    }

    /// Runs a command of the script: `["restart", "postgres", "immediate"]`.
    pub fn run(&self, command: &[&str]) -> String {
        let (worked, said) = script(&self.own(), command);
        assert!(worked, "{command:?}: {said}");
        said
    }

    /// A directory for the test's own files, which ends with the servers.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    fn own(&self) -> PathBuf {
        self.directory.path().join("services")
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let (worked, said) = script(&self.own(), &["clean"]);
        if !worked {
            eprintln!("the servers of the test were not ended: {said}");
        }
    }
}

fn variable(server: &str) -> String {
    format!("MINOS_TEST_{}_URL", server.to_uppercase())
}

/// Whether the script succeeded, and what it said.
fn script(directory: &Path, command: &[&str]) -> (bool, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/services");
    let output = Command::new(path).args(command).env("MINOS_TEST_SERVICES_DIR", directory).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}
