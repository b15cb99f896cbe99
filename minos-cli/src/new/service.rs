//! `minos new service`.

use super::{fill, format, staging::Staging};
use crate::{
    add::{self, Kind},
    error::{CliError, CliResult},
    project::{Project, SERVICES, ServiceName, TypeName, here},
};
use std::path::PathBuf;

/// The files of a service, beside that of its aggregate.
const FILES: [(&str, &str); 4] = [
    ("Cargo.toml", include_str!("../../templates/service/Cargo.toml")),
    ("minos.toml", include_str!("../../templates/service/minos.toml")),
    ("src/lib.rs", include_str!("../../templates/service/lib.rs")),
    ("src/main.rs", include_str!("../../templates/service/main.rs")),
];

/// Where the first service listens; those that come later, above.
const HTTP: u16 = 8081;
const ADMIN: u16 = 9090;

/// Makes a service in the project here.
pub(super) fn make(name: &ServiceName, aggregate: Option<&TypeName>) -> CliResult<PathBuf> {
    let project = Project::find(&here()?)?;
    if let Some(other) = project.services()?.into_iter().find(|member| member.module() == name.module()) {
        return Err(CliError::said(format!("there is a service `{}` already, in {}", other.name, other.directory.display())));
    }
    let aggregate = aggregate.cloned().unwrap_or_else(|| name.aggregate());
    add::check_new(&project, Kind::Aggregate, &aggregate)?;
    let (http, admin) = (free(&project, ["http", "addr"], HTTP)?, free(&project, ["admin", "addr"], ADMIN)?);
    let staging = Staging::begin(&project.root.join(SERVICES).join(name.as_str()))?;
    let module = aggregate.module();
    let values = [
        ("name", name.as_str()),
        ("crate", &name.module()),
        ("module", &module),
        ("http", &http.to_string()),
        ("admin", &admin.to_string()),
    ];
    for (path, text) in FILES {
        let text = fill(text, &values);
        staging.write(path, &if path.ends_with(".rs") { format(&text, &project.root) } else { text })?;
    }
    staging.write(&format!("src/{module}.rs"), &format(&Kind::Aggregate.source(&aggregate), &project.root))?;
    staging.put()
}

/// A port that no other service of the project has.
fn free(project: &Project, key: [&str; 2], first: u16) -> CliResult<u16> {
    let mut next = first;
    for member in project.services()? {
        let addr = Project::setting(&member, key);
        let port = addr.as_ref().and_then(|addr| addr.as_str()?.rsplit_once(':')?.1.parse::<u16>().ok());
        next = next.max(port.map_or(0, |port| port.saturating_add(1)));
    }
    Ok(next)
}
