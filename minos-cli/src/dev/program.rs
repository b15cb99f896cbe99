//! The program that runs all services: a crate of its own below `target/`, which is written anew each time.

use crate::{
    error::{CliError, CliResult},
    new::fill,
    project::{Member, Project},
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use toml::{Table, Value};

/// The name of its package.
pub(super) const NAME: &str = "minos-dev";

/// Where it is in the project of this directory.
pub(crate) fn directory(root: &Path) -> PathBuf {
    root.join("target").join(NAME)
}

/// Writes it, and returns its directory. What is there already as it should be is not touched, so that nothing is built twice.
pub(super) fn write(project: &Project, members: &[Member]) -> CliResult<PathBuf> {
    for member in members {
        let lib = member.directory.join("src/lib.rs");
        let has_it = fs::read_to_string(&lib).is_ok_and(|text| text.contains("pub fn service("));
        if !has_it {
            return Err(CliError::said(format!(
                "{} has no `pub fn service(config: minos::Config) -> minos::Service`: with it, `minos dev` runs the service {}",
                lib.display(),
                member.name
            )));
        }
    }
    let directory = directory(&project.root);
    put(&directory.join("src/main.rs"), &main(members))?;
    put(&directory.join("Cargo.toml"), &manifest(project, members)?)?;
    // The versions of the project.
    if let Ok(lock) = fs::read_to_string(project.root.join("Cargo.lock")) {
        let ours = directory.join("Cargo.lock");
        let is_older = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
        if is_older(&ours) < is_older(&project.root.join("Cargo.lock")) {
            put(&ours, &lock)?;
        }
    }
    Ok(directory)
}

fn main(members: &[Member]) -> String {
    let service = |(n, member): (usize, &Member)| {
        let directory = Value::String(member.directory.display().to_string());
        format!("        {}::service(config({n}, {directory})?),\n", member.module())
    };
    let services: String = members.iter().enumerate().map(service).collect();
    fill(include_str!("../../templates/dev/main.rs"), &[("services", &services)])
}

fn manifest(project: &Project, members: &[Member]) -> CliResult<String> {
    let minos = project.manifest.get("workspace").and_then(|workspace| workspace.get("dependencies")?.get("minos"));
    let minos = minos.ok_or_else(|| CliError::said("`Cargo.toml` of the project has no `minos` in `[workspace.dependencies]`"))?;
    let mut dependencies = Table::from_iter([("minos".to_owned(), with_feature(at_root(minos, &project.root), "discovery"))]);
    for member in members {
        let path = Value::String(member.directory.display().to_string());
        dependencies.insert(member.name.clone(), Value::Table(Table::from_iter([("path".to_owned(), path)])));
    }
    let text = |text: &str| Value::String(text.to_owned());
    let package = [("name", text(NAME)), ("version", text("0.0.0")), ("edition", text("2024")), ("publish", Value::Boolean(false))];
    let mut manifest = Table::new();
    manifest.insert("package".to_owned(), Value::Table(package.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()));
    // It is in the project's directory, and not of its workspace.
    manifest.insert("workspace".to_owned(), Value::Table(Table::from_iter([("resolver".to_owned(), text("3"))])));
    manifest.insert("dependencies".to_owned(), Value::Table(dependencies));
    // What the workspace says of all builds counts here, too, so that most is built once.
    for key in ["profile", "patch"] {
        if let Some(value) = project.manifest.get(key) {
            manifest.insert(key.to_owned(), at_root(value, &project.root));
        }
    }
    Ok(format!("# Written by `minos dev`, and written again each time.\n{manifest}"))
}

/// The same dependency, with a feature more.
fn with_feature(dependency: Value, feature: &str) -> Value {
    let mut table = match dependency {
        Value::Table(table) => table,
        version => Table::from_iter([("version".to_owned(), version)]),
    };
    if let Value::Array(features) = table.entry("features").or_insert_with(|| Value::Array(Vec::new()))
        && !features.iter().any(|one| one.as_str() == Some(feature))
    {
        features.push(Value::String(feature.to_owned()));
    }
    Value::Table(table)
}

/// The same from anywhere: paths are those of the project.
fn at_root(value: &Value, root: &Path) -> Value {
    match value {
        Value::Table(table) => Value::Table(
            table
                .iter()
                .map(|(key, value)| {
                    let value = match value {
                        Value::String(path) if key == "path" => Value::String(root.join(path).display().to_string()),
                        other => at_root(other, root),
                    };
                    (key.clone(), value)
                })
                .collect(),
        ),
        other => other.clone(),
    }
}

fn put(path: &Path, text: &str) -> CliResult {
    if fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(path, text));
    written.map_err(|error| CliError::said(format!("{} cannot be written: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_the_project_hold_from_anywhere() {
        let manifest = "[workspace.dependencies]\nminos = { path = \"../minos\", features = [\"x\"] }\n\
                        [profile.dev]\nopt-level = 1\n[patch.crates-io]\nfoo = { path = \"vendor/foo\" }\n";
        let project = Project { root: "/home/shop".into(), manifest: manifest.parse().unwrap() };
        let member = Member { name: "stock-room".to_owned(), directory: "/home/shop/services/stock-room".into() };
        let written: Table = self::manifest(&project, std::slice::from_ref(&member)).unwrap().parse().unwrap();
        assert_eq!(written["dependencies"]["minos"]["path"].as_str(), Some("/home/shop/../minos"));
        let features =
            |value: &Value| value["features"].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(features(&written["dependencies"]["minos"]), ["x", "discovery"], "services register");
        let other = with_feature(Value::String("0.1".to_owned()), "discovery");
        assert_eq!((other["version"].as_str(), features(&other)), (Some("0.1"), vec!["discovery".to_owned()]));
        assert_eq!(written["dependencies"]["stock-room"]["path"].as_str(), Some("/home/shop/services/stock-room"));
        assert_eq!(written["patch"]["crates-io"]["foo"]["path"].as_str(), Some("/home/shop/vendor/foo"));
        assert_eq!(written["profile"]["dev"]["opt-level"].as_integer(), Some(1));
        let main = main(&[member]);
        assert!(main.contains("        stock_room::service(config(0, \"/home/shop/services/stock-room\")?),\n"), "{main}");
    }
}
