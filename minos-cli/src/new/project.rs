//! `minos new project`.

use super::{fill, staging::Staging};
use crate::{
    error::{CliError, CliResult},
    project::{Project, SERVICES, ServiceName, here},
};
use std::path::{Path, PathBuf};

/// The files of a project.
const FILES: [(&str, &str); 8] = [
    ("Cargo.toml", include_str!("../../templates/project/Cargo.toml")),
    ("README.md", include_str!("../../templates/project/README.md")),
    (".gitignore", include_str!("../../templates/project/gitignore")),
    (".dockerignore", include_str!("../../templates/project/dockerignore")),
    (".github/workflows/ci.yml", include_str!("../../templates/project/ci.yml")),
    ("compose.yaml", include_str!("../../templates/project/compose.yaml")),
    ("Dockerfile", include_str!("../../templates/project/Dockerfile")),
    ("services/README.md", include_str!("../../templates/project/services.md")),
];

/// Makes a project in the directory of this process.
pub(super) fn make(name: &ServiceName, minos: Option<&Path>) -> CliResult<PathBuf> {
    let here = here()?;
    for directory in here.ancestors() {
        if Project::at(directory)?.is_some() {
            return Err(CliError::said(format!(
                "{} is a project already, and none is in another: `minos new service {}` makes a service in it",
                directory.display(),
                name.as_str()
            )));
        }
    }
    let minos = dependency(minos)?;
    let staging = Staging::begin(&here.join(name.as_str()))?;
    for (path, text) in FILES {
        staging.write(path, &fill(text, &[("name", name.as_str()), ("minos", &minos), ("services", SERVICES)]))?;
    }
    staging.put()
}

/// What `Cargo.toml` says of `minos`.
fn dependency(path: Option<&Path>) -> CliResult<String> {
    let Some(path) = path else { return Ok(format!("\"{}\"", env!("CARGO_PKG_VERSION"))) };
    let wrong = |why: &str| CliError::said(format!("`--minos-path` is {}, {why}", path.display()));
    let path = path.canonicalize().map_err(|error| wrong(&format!("which cannot be read: {error}")))?;
    let manifest: Option<toml::Table> = std::fs::read_to_string(path.join("Cargo.toml")).ok().and_then(|text| text.parse().ok());
    let name = manifest.as_ref().and_then(|manifest| manifest.get("package")?.get("name")?.as_str());
    if name != Some("minos") {
        return Err(wrong("where the package `minos` is not: name the directory of its `Cargo.toml`"));
    }
    // A TOML string: what has to be escaped is.
    Ok(format!("{{ path = {} }}", toml::Value::String(path.display().to_string())))
}
