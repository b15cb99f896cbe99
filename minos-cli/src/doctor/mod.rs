//! `minos doctor`: looks after the configuration of services and what they stand on, and says what to do. It changes nothing.

mod auth;
mod broker;
mod finding;
mod kafka;
mod ports;
mod redact;
mod store;
mod tools;

use crate::{
    error::{CliError, CliResult},
    output,
    project::{CONFIG, Member, Project, here},
};
use finding::{Finding, Findings, Level};
use minos_runtime::Config;
use std::path::Path;
use toml::Table;

#[derive(clap::Args)]
pub(crate) struct Doctor {
    /// Only this service of the project. More than one may be named.
    #[arg(long)]
    service: Vec<String>,
}

/// A service, with what it is told.
struct Patient {
    member: Member,
    /// With the environment; none, if it makes no sense.
    config: Option<Config>,
    /// The file alone.
    file: Table,
}

impl Doctor {
    pub(crate) fn run(&self, json: bool) -> CliResult {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| CliError::said(format!("no threads can be started: {error}")))?;
        let findings = runtime.block_on(self.look())?;
        if json {
            output::line(findings.json())?
        } else {
            output::print(&findings.text())?
        }
        if findings.worst() == Level::Fail { Err(CliError::Told) } else { Ok(()) }
    }

    async fn look(&self) -> CliResult<Findings> {
        let mut findings = Findings::default();
        let (root, members) = self.members()?;
        let patients: Vec<Patient> = members.into_iter().map(|member| configuration(member, &mut findings)).collect();
        for patient in &patients {
            let Some(config) = &patient.config else { continue };
            let name = &patient.member.name;
            findings.extend(name, store::look(config, &patient.member.directory).await);
            findings.extend(name, broker::look(config, &patient.member.directory, patients.len()).await);
            findings.extend(name, ports::look(config).await);
            findings.extend(name, auth::look(&patient.file, &patient.member.directory));
            findings.extend(name, ports::discovery(&patient.file).await);
        }
        let configs: Vec<(&str, &Config)> =
            patients.iter().filter_map(|patient| Some((patient.member.name.as_str(), patient.config.as_ref()?))).collect();
        findings.extend("", ports::shared(&configs));
        let needs_kafka = configs.iter().any(|(_, config)| config.broker.url.starts_with("kafka:"));
        findings.extend("", tools::look(&root, needs_kafka));
        Ok(findings)
    }

    /// Where to look, and the services: those of the project, or the one whose configuration lies here.
    fn members(&self) -> CliResult<(std::path::PathBuf, Vec<Member>)> {
        let here = here()?;
        let project = match Project::find(&here) {
            Ok(project) => project,
            Err(_) if self.service.is_empty() && here.join(CONFIG).is_file() => {
                let member = Member { name: String::new(), directory: here.clone() };
                return Ok((here, vec![member]));
            }
            Err(error) => return Err(error),
        };
        let mut members = project.services()?;
        if !self.service.is_empty() {
            members = self.service.iter().map(|name| project.service(Some(name), &here)).collect::<CliResult<_>>()?;
        }
        if members.is_empty() {
            return Err(CliError::said("the project has no service yet: `minos new service <name>` makes one"));
        }
        Ok((project.root, members))
    }
}

/// Reads the configuration as the service would.
fn configuration(member: Member, findings: &mut Findings) -> Patient {
    let path = member.directory.join(CONFIG);
    let file = std::fs::read_to_string(&path).ok().and_then(|text| text.parse().ok()).unwrap_or_default();
    let read = Config::load(&path);
    let named = read.as_ref().map_or_else(|_| member.name.clone(), |config| config.service.name.clone());
    let member = Member { name: if member.name.is_empty() { named } else { member.name }, ..member };
    let finding = match &read {
        Ok(_) => Finding::ok("configuration", shown(&path)),
        Err(error) => Finding::fail("configuration", error.to_string(), "mend the file or the variable that is named"),
    };
    findings.extend(&member.name, [finding]);
    Patient { member, config: read.ok(), file }
}

fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}
