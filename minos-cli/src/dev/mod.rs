//! `minos dev`: all services of a project in one process, which is built and started again whenever a file changes. While something does not compile, the
//! services go on as they were.

mod addresses;
mod build;
mod console;
mod process;
mod program;
mod signals;
mod watch;

use crate::{
    error::{CliError, CliResult},
    project::{Member, Project, here},
};
use addresses::Addresses;
use build::{Built, build};
use console::Console;
use process::Process;
use signals::Signals;
use std::path::Path;
use watch::Changes;

#[derive(clap::Args)]
pub(crate) struct Dev {
    /// Only this service. More than one may be named; without one, all run.
    #[arg(long)]
    service: Vec<String>,
}

/// What came first.
enum Next {
    /// Files have changed.
    Change,
    /// The services have ended by themselves.
    Ended(String),
    /// Somebody wants this to end.
    Stop,
}

impl Dev {
    pub(crate) fn run(&self) -> CliResult {
        let project = Project::find(&here()?)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| CliError::said(format!("no threads can be started: {error}")))?;
        runtime.block_on(self.serve(&project.root))
    }

    async fn serve(&self, root: &Path) -> CliResult {
        let mut signals = Signals::new()?;
        let mut changes = Changes::of(root)?;
        let mut addresses = Addresses::default();
        let console = Console::new();
        let mut running: Option<(Process, Built)> = None;
        loop {
            let project = Project::at(root)?;
            let project = project.ok_or_else(|| CliError::said(format!("{} is no project of Minos any more", root.display())))?;
            let step = self.renew(&project, &console, &mut addresses, &mut running);
            let renewed = tokio::select! {
                renewed = step => renewed,
                () = signals.next() => break,
            };
            if let Err(error) = renewed {
                console.own(format_args!("{error}"));
                let still = if running.is_some() {
                    "the services go on as they were, until a file changes"
                } else {
                    "waiting for a file to change"
                };
                console.own(format_args!("{still}"));
            }
            match next(&mut changes, &mut running, &mut signals).await {
                Next::Change => {}
                Next::Ended(how) => {
                    running = None;
                    console.own(format_args!("the services have ended: {how}; they are started again when a file changes"));
                    if matches!(next(&mut changes, &mut running, &mut signals).await, Next::Stop) {
                        break;
                    }
                }
                Next::Stop => break,
            }
        }
        if let Some((process, _)) = running {
            console.own(format_args!("stopping; Ctrl-C again ends it at once"));
            tokio::select! {
                () = process.stop() => {}
                () = signals.next() => {}
            }
        }
        Ok(())
    }

    /// Builds what there is now, and puts it in the place of what runs, if it is anything else.
    async fn renew(
        &self,
        project: &Project,
        console: &Console,
        addresses: &mut Addresses,
        running: &mut Option<(Process, Built)>,
    ) -> CliResult {
        let members = self.members(project)?;
        if members.is_empty() {
            return Err(CliError::said("the project has no service yet: `minos new service <name>` makes one"));
        }
        let built = build(project, &members).await?;
        if running.as_ref().is_some_and(|(_, before)| *before == built) {
            console.own(format_args!("nothing has changed for the services"));
            return Ok(());
        }
        if let Some((process, _)) = running.take() {
            process.stop().await;
        }
        let places = addresses.of(&members)?;
        for place in &places {
            if let Some(moved) = &place.moved {
                console.own(format_args!("{}: {moved}", place.name));
            }
        }
        console.expect(places.iter().map(|place| place.name.clone()).collect());
        let mut process = Process::start(&built.program, &project.root, &places, console)?;
        // Kept before it is ready: whatever happens now, somebody has to stop it.
        let ready = process.ready(&places).await;
        *running = Some((process, built));
        if let Err(error) = ready {
            *running = None;
            return Err(error);
        }
        for place in &places {
            console.own(format_args!("{} answers on http://{}, and its operator on http://{}", place.name, place.http, place.admin));
        }
        Ok(())
    }

    fn members(&self, project: &Project) -> CliResult<Vec<Member>> {
        let mut members = project.services()?;
        for name in &self.service {
            if !members.iter().any(|member| member.name == *name) {
                let names: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
                return Err(CliError::said(format!("there is no service `{name}`: there are {}", names.join(", "))));
            }
        }
        members.retain(|member| self.service.is_empty() || self.service.contains(&member.name));
        Ok(members)
    }
}

async fn next(changes: &mut Changes, running: &mut Option<(Process, Built)>, signals: &mut Signals) -> Next {
    let ended = async {
        match running {
            Some((process, _)) => process.ended().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = changes.next() => Next::Change,
        how = ended => Next::Ended(how),
        () = signals.next() => Next::Stop,
    }
}
