//! `minos dev`: all services of a project in one process, which is built and started again whenever a file changes. While something does not compile, the
//! services go on as they were.

mod addresses;
mod build;
mod console;
mod platform;
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
use platform::{GATEWAY, Platform};
use process::Process;
pub(crate) use program::directory as program_of;
use signals::Signals;
use std::{net::SocketAddr, path::Path};
use watch::Changes;

#[derive(clap::Args)]
pub(crate) struct Dev {
    /// Only this service. More than one may be named; without one, all run.
    #[arg(long)]
    service: Vec<String>,
    /// Where the gateway listens, which is one address for all services.
    #[arg(long, value_name = "ADDR", default_value_t = GATEWAY)]
    gateway: SocketAddr,
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
        let mut platform = Platform::start(self.gateway, &mut addresses, &console).await?;
        let mut running: Option<(Process, Built)> = None;
        loop {
            let project = Project::at(root)?;
            let project = project.ok_or_else(|| CliError::said(format!("{} is no project of Minos any more", root.display())))?;
            let step = self.renew(&project, &console, &mut addresses, &mut platform, &mut running);
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
                    platform.hold();
                    running = None;
                    console.own(format_args!("the services have ended: {how}; they are started again when a file changes"));
                    if matches!(next(&mut changes, &mut running, &mut signals).await, Next::Stop) {
                        break;
                    }
                }
                Next::Stop => break,
            }
        }
        if running.is_some() {
            console.own(format_args!("stopping; Ctrl-C again ends it at once"));
        }
        let services = async {
            if let Some((process, _)) = running {
                process.stop().await;
            }
        };
        tokio::select! {
            () = platform.stop(services) => {}
            () = signals.next() => {}
        }
        Ok(())
    }

    /// Builds what there is now, and puts it in the place of what runs, if it is anything else.
    async fn renew(
        &self,
        project: &Project,
        console: &Console,
        addresses: &mut Addresses,
        platform: &mut Platform,
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
        platform.hold();
        if let Some((process, _)) = running.take() {
            console.own(format_args!("the services start again, and requests to the gateway wait for them"));
            process.stop().await;
        }
        platform.forget().await;
        let places = addresses.of(&members)?;
        for place in &places {
            if let Some(moved) = &place.moved {
                console.own(format_args!("{}: {moved}", place.name));
            }
        }
        console.expect(places.iter().map(|place| place.name.clone()).collect());
        let mut process = Process::start(&built.program, &project.root, &places, &platform.registry(), console)?;
        // Kept before it is ready: whatever happens now, somebody has to stop it.
        let ready = process.ready(&places).await;
        *running = Some((process, built));
        if let Err(error) = ready {
            *running = None;
            return Err(error);
        }
        if let Some((process, _)) = running {
            tokio::select! {
                () = platform.open(&places, console) => {}
                // That is told by who waits for it.
                _ = process.ended() => return Ok(()),
            }
        }
        for place in &places {
            console.own(format_args!("{} answers on http://{}, and its console is http://{}/console", place.name, place.http, place.admin));
        }
        console.own(format_args!("all of them answer on http://{0}; what they can be asked: http://{0}/docs", platform.gateway()));
        if let Some(operators) = platform.operators() {
            console.own(format_args!("the console of all of them is http://{operators}/console"));
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
