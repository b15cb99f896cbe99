//! The build: what Cargo tells of it goes where it always does.

use super::program;
use crate::{
    error::{CliError, CliResult},
    project::{CONFIG, Member, Project},
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::SystemTime,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// What was built. Two are equal if there is no reason to start one in place of the other.
#[derive(PartialEq)]
pub(super) struct Built {
    /// The program.
    pub(super) program: PathBuf,
    modified: Option<SystemTime>,
    /// What it reads when it starts.
    configurations: Vec<Option<String>>,
}

/// Builds all services. The future may be dropped: then Cargo ends.
pub(super) async fn build(project: &Project, members: &[Member]) -> CliResult<Built> {
    let directory = program::write(project, members)?;
    let program = cargo(&project.root, &directory).await?;
    let modified = fs::metadata(&program).and_then(|meta| meta.modified()).ok();
    let configurations = members.iter().map(|member| fs::read_to_string(member.directory.join(CONFIG)).ok()).collect();
    Ok(Built { program, modified, configurations })
}

async fn cargo(root: &Path, directory: &Path) -> CliResult<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--message-format", "json-render-diagnostics", "--manifest-path"]).arg(directory.join("Cargo.toml"));
    if std::env::var_os("CARGO_TARGET_DIR").is_none() {
        command.arg("--target-dir").arg(root.join("target"));
    }
    command.current_dir(root).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    // Ctrl-C is for us: what was begun is ended in order.
    #[cfg(unix)]
    command.process_group(0);
    let mut child = command.spawn().map_err(|error| CliError::said(format!("`cargo` cannot be run: {error}; is Rust installed?")))?;
    let group = Group::of(&child);
    let mut program = None;
    if let Some(out) = child.stdout.take() {
        let mut lines = BufReader::new(out).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            program = executable(&line).or(program);
        }
    }
    let status = child.wait().await.map_err(|error| CliError::said(format!("`cargo` is lost: {error}")))?;
    group.has_ended();
    match program {
        Some(program) if status.success() => Ok(program),
        _ => Err(CliError::said("the services cannot be built: see above")),
    }
}

/// Cargo, and the compilers that it has started: they end with this value, unless they have before.
struct Group(#[cfg(unix)] Option<rustix::process::Pid>);

#[cfg(unix)]
impl Group {
    fn of(child: &Child) -> Self {
        Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw))
    }

    fn has_ended(mut self) {
        self.0 = None;
    }
}

#[cfg(unix)]
impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::TERM);
        }
    }
}

#[cfg(not(unix))]
impl Group {
    fn of(_: &Child) -> Self {
        Group()
    }

    fn has_ended(self) {}
}

/// The program, if a line of Cargo tells it.
fn executable(line: &str) -> Option<PathBuf> {
    let told: Value = serde_json::from_str(line).ok()?;
    let is_it = told["reason"] == "compiler-artifact" && told["target"]["name"] == program::NAME;
    told["executable"].as_str().filter(|_| is_it).map(PathBuf::from)
}
