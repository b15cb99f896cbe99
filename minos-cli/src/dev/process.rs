//! The process in which all services run.

use super::{addresses::Place, console::Console};
use crate::error::{CliError, CliResult};
use std::{path::Path, process::Stdio, time::Duration};
use tokio::{
    net::TcpStream,
    process::{Child, ChildStdin, Command},
    time::{Instant, sleep, timeout},
};

/// How long services may take until they answer: what they stand on may have to wake up.
const START: Duration = Duration::from_secs(60);
/// How often it is looked whether they do.
const LOOK: Duration = Duration::from_millis(50);
/// How long they may take to end: longer than they themselves allow it to take.
const STOP: Duration = Duration::from_secs(25);

/// The process. It ends with this value, and with the one that has it.
pub(super) struct Process {
    child: Child,
    /// The process ends when the other end of this is gone.
    _held: Option<ChildStdin>,
}

impl Process {
    pub(super) fn start(program: &Path, root: &Path, places: &[Place], registry: &str, console: &Console) -> CliResult<Self> {
        let mut command = Command::new(program);
        command.env("MINOS_DEV_REGISTRY", registry);
        for (n, place) in places.iter().enumerate() {
            command.env(format!("MINOS_DEV_HTTP_{n}"), place.http.to_string());
            command.env(format!("MINOS_DEV_ADMIN_{n}"), place.admin.to_string());
            command.env(format!("MINOS_DEV_URL_{n}"), place.url());
        }
        command.current_dir(root).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C is for us: the services are told to stop once, and not twice, which would end them at once.
        #[cfg(unix)]
        command.process_group(0);
        let mut child = command.spawn().map_err(|error| CliError::said(format!("{} cannot be run: {error}", program.display())))?;
        let held = child.stdin.take();
        if let Some(out) = child.stdout.take() {
            console.relay(out, false);
        }
        if let Some(err) = child.stderr.take() {
            console.relay(err, true);
        }
        Ok(Process { child, _held: held })
    }

    /// Waits until all answer.
    pub(super) async fn ready(&mut self, places: &[Place]) -> CliResult {
        let by = Instant::now() + START;
        for place in places {
            while TcpStream::connect(place.http).await.is_err() {
                if let Ok(Some(status)) = self.child.try_wait() {
                    return Err(CliError::said(format!("the services have not started: {status}; see above")));
                }
                if Instant::now() > by {
                    return Err(CliError::said(format!("{} does not answer within {} s", place.name, START.as_secs())));
                }
                sleep(LOOK).await;
            }
        }
        Ok(())
    }

    /// Waits until it ends by itself, and tells how.
    pub(super) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Ends it in order: what it has begun is finished.
    pub(super) async fn stop(mut self) {
        self.terminate();
        if timeout(STOP, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }

    #[cfg(unix)]
    fn terminate(&self) {
        let id = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
        if let Some(id) = id {
            // If it has gone already, that is as well.
            let _ = rustix::process::kill_process(id, rustix::process::Signal::TERM);
        }
    }

    #[cfg(not(unix))]
    fn terminate(&mut self) {
        let _ = self.child.start_kill();
    }
}
