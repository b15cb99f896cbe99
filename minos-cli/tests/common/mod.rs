//! Places in which the program is run.

#![allow(dead_code, unreachable_pub, reason = "not every test needs all of it")]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::Arc,
};
use tempfile::TempDir;

/// Where the package `minos` is.
pub const MINOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A directory, which goes with the last of those that are in it.
#[derive(Clone)]
pub struct Place {
    path: PathBuf,
    _holder: Arc<TempDir>,
}

impl Place {
    /// An empty one.
    pub fn new() -> Self {
        let holder = TempDir::new().unwrap();
        Place { path: holder.path().canonicalize().unwrap(), _holder: Arc::new(holder) }
    }

    /// One below it.
    pub fn at(&self, path: &str) -> Self {
        Place { path: self.path.join(path), _holder: self._holder.clone() }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(&self.path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The program, in it. It builds where this test was built, so that what both need is built once.
    pub fn minos(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_minos"));
        command.args(arguments).current_dir(&self.path).env("CARGO_TARGET_DIR", target()).env_remove("MINOS_PATH").stdin(Stdio::null());
        // What Cargo tells this test of its own package is nothing to what is built from here: build scripts that look at it would run again.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
                command.env_remove(name);
            }
        }
        command
    }

    pub fn told(&self, arguments: &[&str]) -> String {
        let output = self.minos(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// What is told besides, though it went well.
    pub fn noted(&self, arguments: &[&str]) -> String {
        let output = self.minos(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Why it is refused.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.minos(arguments).output().unwrap();
        assert!(!output.status.success(), "{arguments:?}: {}", text(&output));
        String::from_utf8(output.stderr).unwrap()
    }

    /// The versions that Minos itself is built with: they are here already.
    pub fn lock(&self) {
        fs::copy(Path::new(MINOS).join("Cargo.lock"), self.path.join("Cargo.lock")).unwrap();
    }

    /// Starts a service that was built, and returns what it has told by the time that it listens.
    pub fn starts(&self, service: &str) -> Vec<String> {
        let mut command = Command::new(target().join("debug").join(service));
        command
            .current_dir(self.path.join("services").join(service))
            .env("MINOS_HTTP_ADDR", "127.0.0.1:0")
            .env("MINOS_ADMIN_ADDR", "127.0.0.1:0");
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let (says, said) = std::sync::mpsc::channel();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        std::thread::spawn(move || lines.for_each(|line| drop(says.send(line))));
        let mut told = Vec::new();
        // Until it ends, or says nothing for long.
        while let Ok(line) = said.recv_timeout(std::time::Duration::from_secs(60)) {
            let listens = line.contains("listening on http://");
            told.push(line);
            if listens {
                break;
            }
        }
        let _ = child.kill();
        child.wait().unwrap();
        assert!(told.last().is_some_and(|line| line.contains("listening on http://")), "{service} does not start: {told:#?}");
        told
    }

    pub fn cargo(&self, arguments: &[&str]) {
        let output =
            Command::new(env!("CARGO")).args(arguments).current_dir(&self.path).env("CARGO_TARGET_DIR", target()).output().unwrap();
        assert!(output.status.success(), "cargo {arguments:?}: {}", text(&output));
    }
}

/// Where what is made here is built: where this test was, so that most of it is there already.
fn target() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_minos")).ancestors().nth(2).unwrap()
}

fn text(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
