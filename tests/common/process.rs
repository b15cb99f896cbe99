//! A service as a process of its own: to be told to stop, killed, starved or locked out.
//!
//! The process is the test's own program once more, with the one test [`TEST`], which does nothing when nobody asks for it.

use super::until;
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard},
    thread::JoinHandle,
};

/// The test that is the service. It calls [`run`].
pub const TEST: &str = "the_service";
const CONFIG: &str = "SERVICE_UNDER_TEST_CONFIG";
const MODULE: &str = "SERVICE_UNDER_TEST_MODULE";

/// Runs this `main` if a process of the service was asked for, and ends the process as it ends.
pub fn run(main: fn() -> ExitCode) {
    if std::env::var_os(CONFIG).is_some() {
        std::process::exit(if main() == ExitCode::SUCCESS { 0 } else { 1 });
    }
}

/// The service that was asked for.
pub fn asked_for() -> minos::Result<minos::Service> {
    Ok(minos::Service::from_config(std::env::var(CONFIG)?)?.module(std::env::var(MODULE)?))
}

/// The command that runs the handlers of this module with this configuration, which is written into the directory.
pub fn service(directory: &Path, module: &str, config: &str) -> Command {
    let file = directory.join("minos.toml");
    std::fs::write(&file, config.replace("level = \"error\"", "level = \"info\"")).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", TEST, "--nocapture", "--test-threads=1"]).env(CONFIG, file).env(MODULE, module);
    command
}

/// A running process. It ends with this value, however the test ends.
pub struct Process {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<()>,
}

impl Process {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let heard = lines.clone();
        let read = move || stderr.lines().map_while(Result::ok).for_each(|line| heard.lock().unwrap().push(line));
        Process { child, lines, reader: std::thread::spawn(read) }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to standard error.
    pub fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap()
    }

    /// What comes behind these words in the first line that has them, as soon as it is there.
    pub async fn says(&self, words: &str) -> String {
        let mut found = None;
        until(words, async || {
            let all_said = self.reader.is_finished();
            found = self.lines().iter().find_map(|line| line.split_once(words)).map(|(_, rest)| rest.to_owned());
            assert!(found.is_some() || !all_said, "it ended without saying {words:?}: {:#?}", self.lines());
            found.is_some()
        })
        .await;
        found.unwrap_or_default()
    }

    /// Where it answers, as soon as it does.
    pub async fn addr(&self) -> SocketAddr {
        self.says("listening on http://").await.trim().parse().unwrap()
    }

    /// Sends it a signal by name: `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id())]).status().unwrap();
        assert!(sent.success(), "the signal was not sent");
    }

    /// How it ended, if it has.
    pub fn has_ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// How it ended, as soon as it has.
    pub async fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("it has ended", async || {
            status = self.has_ended();
            status.is_some()
        })
        .await;
        status.unwrap()
    }

    /// How a start failed: the one line for the operator.
    pub async fn failure(mut self) -> String {
        assert_eq!(self.ended().await.code(), Some(1), "{:?}", self.lines());
        until("all is said", async || self.reader.is_finished()).await;
        let lines = self.lines();
        let errors: Vec<_> = lines.iter().filter(|line| line.starts_with("error: ")).collect();
        assert_eq!(errors.len(), 1, "{lines:?}");
        errors[0].clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
