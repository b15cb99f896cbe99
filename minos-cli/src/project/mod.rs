//! A project: a Cargo workspace with services of Minos, each in a directory of its own below `services/`.

mod name;

pub(crate) use name::{ServiceName, TypeName, snake};

use crate::error::{CliError, CliResult};
use std::{
    fs,
    path::{Path, PathBuf},
};
use toml::{Table, Value};

/// The directory of services.
pub(crate) const SERVICES: &str = "services";
/// The configuration of each.
pub(crate) const CONFIG: &str = "minos.toml";

/// A project.
pub(crate) struct Project {
    /// Its directory.
    pub(crate) root: PathBuf,
    /// Its `Cargo.toml`.
    pub(crate) manifest: Table,
}

/// A service of a project.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    /// The name of its package.
    pub(crate) name: String,
    /// Its directory.
    pub(crate) directory: PathBuf,
}

impl Member {
    /// The name of its library, as code says it.
    pub(crate) fn module(&self) -> String {
        self.name.replace('-', "_")
    }

    /// The first of its sources that this holds of.
    pub(crate) fn finds(&self, holds: impl Fn(&str) -> bool) -> CliResult<Option<PathBuf>> {
        let sources = sources(&self.directory.join("src"))?;
        Ok(sources.into_iter().find(|path| fs::read_to_string(path).is_ok_and(|text| holds(&text))))
    }
}

impl Project {
    /// The project that this directory is in; else the only one directly below it.
    pub(crate) fn find(from: &Path) -> CliResult<Self> {
        let from = absolute(from)?;
        for directory in from.ancestors() {
            if let Some(project) = Project::at(directory)? {
                return Ok(project);
            }
        }
        let mut below = Vec::new();
        for directory in directories(&from)? {
            below.extend(Project::at(&directory)?);
        }
        match (below.pop(), below.is_empty()) {
            (Some(only), true) => {
                eprintln!("in the project {}", only.root.display());
                Ok(only)
            }
            (Some(last), false) => {
                let names: Vec<String> = below.iter().chain([&last]).map(|project| project.root.display().to_string()).collect();
                Err(CliError::said(format!("there is more than one project here: go into one of {}", names.join(", "))))
            }
            (None, _) => Err(CliError::said(format!("{} is in no project of Minos: `minos new project <name>` makes one", from.display()))),
        }
    }

    /// The project whose directory this is.
    pub(crate) fn at(directory: &Path) -> CliResult<Option<Self>> {
        let path = directory.join("Cargo.toml");
        let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
        // What is no TOML is Cargo's to tell, and no project of ours.
        let Ok(manifest) = text.parse::<Table>() else { return Ok(None) };
        let is_ours = manifest.get("workspace").and_then(|workspace| workspace.get("metadata")?.get("minos")).is_some();
        Ok(is_ours.then(|| Project { root: directory.to_owned(), manifest }))
    }

    /// Its services, in the order of their names: the directories that have a package and a configuration.
    pub(crate) fn services(&self) -> CliResult<Vec<Member>> {
        let mut all = Vec::new();
        for directory in directories(&self.root.join(SERVICES))? {
            let manifest = directory.join("Cargo.toml");
            if !directory.join(CONFIG).is_file() || !manifest.is_file() {
                continue;
            }
            let text = fs::read_to_string(&manifest).map_err(|error| unreadable(&manifest, &error))?;
            let table: Table = text.parse().map_err(|error| CliError::said(format!("{} makes no sense: {error}", manifest.display())))?;
            let name = table.get("package").and_then(|package| package.get("name")?.as_str());
            let name = name.ok_or_else(|| CliError::said(format!("{} has no `package.name`", manifest.display())))?;
            all.push(Member { name: name.to_owned(), directory });
        }
        Ok(all)
    }

    /// The service of this name; without one, that whose directory we are in, or the only one.
    pub(crate) fn service(&self, name: Option<&str>, from: &Path) -> CliResult<Member> {
        let all = self.services()?;
        let names = || all.iter().map(|member| member.name.as_str()).collect::<Vec<_>>().join(", ");
        if all.is_empty() {
            return Err(CliError::said("the project has no service yet: `minos new service <name>` makes one"));
        }
        if let Some(name) = name {
            let found = all.iter().find(|member| member.name == name);
            return found.cloned().ok_or_else(|| CliError::said(format!("there is no service `{name}`: there are {}", names())));
        }
        let from = absolute(from)?;
        match (all.iter().find(|member| from.starts_with(&member.directory)), &all[..]) {
            (Some(here), _) => Ok(here.clone()),
            (None, [only]) => Ok(only.clone()),
            _ => Err(CliError::said(format!("say which service: `--service` with one of {}", names()))),
        }
    }

    /// The first of all the services' sources that this holds of.
    pub(crate) fn finds(&self, holds: impl Fn(&str) -> bool) -> CliResult<Option<(Member, PathBuf)>> {
        for member in self.services()? {
            if let Some(path) = member.finds(&holds)? {
                return Ok(Some((member, path)));
            }
        }
        Ok(None)
    }

    /// What the file of a service says at this key, such as `["http", "addr"]`.
    pub(crate) fn setting(member: &Member, key: [&str; 2]) -> Option<Value> {
        let table: Table = fs::read_to_string(member.directory.join(CONFIG)).ok()?.parse().ok()?;
        table.get(key[0])?.get(key[1]).cloned()
    }
}

/// The directory of the process.
pub(crate) fn here() -> CliResult<PathBuf> {
    std::env::current_dir().map_err(|error| CliError::said(format!("the directory of this process is gone: {error}")))
}

fn absolute(path: &Path) -> CliResult<PathBuf> {
    path.canonicalize().map_err(|error| unreadable(path, &error))
}

/// What cannot be read.
pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::said(format!("{} cannot be read: {error}", path.display()))
}

/// The directories in this one, in the order of their names; none, if it is not there.
fn directories(path: &Path) -> CliResult<Vec<PathBuf>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(path, &error)),
    };
    let mut all: Vec<PathBuf> = entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).filter(|path| path.is_dir()).collect();
    all.sort();
    Ok(all)
}

/// All files of Rust below a directory.
fn sources(directory: &Path) -> CliResult<Vec<PathBuf>> {
    let (mut all, mut todo) = (Vec::new(), vec![directory.to_owned()]);
    while let Some(directory) = todo.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                all.push(path);
            }
        }
    }
    all.sort();
    Ok(all)
}
