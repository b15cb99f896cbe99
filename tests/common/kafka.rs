//! A Kafka of a test's own, by `scripts/services`.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

const URL: &str = "MINOS_TEST_KAFKA_URL";

/// A running Kafka. It is cleared away with this value.
pub struct Kafka {
    directory: PathBuf,
    pub url: String,
}

impl Kafka {
    /// Starts one, if tests with Kafka are wanted here: without `MINOS_TEST_KAFKA_URL` it is told that this one did not run, and in CI that is a failure.
    pub fn start(test: &str) -> Option<Self> {
        if std::env::var_os(URL).is_none() {
            assert!(std::env::var_os("CI").is_none(), "`{URL}` is not set: CI has to run `{test}` with a Kafka");
            eprintln!(
                "NOT RUN: `{test}`, because `{URL}` is not set: `scripts/services up` starts a Kafka, `scripts/services env` names it"
            );
            return None;
        }
        let directory = std::env::temp_dir().join(format!("minos-{test}-{}", std::process::id()));
        let mut kafka = Kafka { directory, url: String::new() };
        kafka.services(&["start", "kafka"]);
        let env = kafka.services(&["env"]);
        let url = env.lines().find_map(|line| line.split_once("MINOS_TEST_KAFKA_URL=")).expect("a Kafka runs").1;
        kafka.url = url.to_owned();
        Some(kafka)
    }

    /// Runs `scripts/services` for this one.
    pub fn services(&self, command: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/services");
        let output = Command::new(script).arg(command[0]).arg("--dir").arg(&self.directory).args(&command[1..]).output().unwrap();
        assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        self.services(&["clean"]);
    }
}
