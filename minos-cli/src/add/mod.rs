//! `minos add`: an aggregate, command, query, event handler or saga more in a service, in a file of its own.

mod insert;

use crate::{
    error::{CliError, CliResult},
    new::{fill, format},
    output,
    project::{Project, TypeName, here, unreadable},
};
use clap::ValueEnum;
use serde_json::json;
use std::{fs, path::Path};

/// What there can be more of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// An aggregate, with commands and a query.
    Aggregate,
    /// A command.
    Command,
    /// A query.
    Query,
    /// A handler of an event.
    Event,
    /// A saga, and the command that runs it.
    Saga,
}

#[derive(clap::Args)]
pub(crate) struct Add {
    /// What.
    kind: Kind,
    /// Its name, such as `PlaceOrder`; of an event that of the event, such as `OrderCreated` or `Account.MoneyDeposited`.
    name: String,
    /// In which service; not needed in its directory, or if there is only one.
    #[arg(long)]
    service: Option<String>,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Aggregate => "aggregate",
            Kind::Command => "command",
            Kind::Query => "query",
            Kind::Event => "event handler",
            Kind::Saga => "saga",
        }
    }

    fn template(self) -> &'static str {
        match self {
            Kind::Aggregate => include_str!("../../templates/add/aggregate.rs"),
            Kind::Command => include_str!("../../templates/add/command.rs"),
            Kind::Query => include_str!("../../templates/add/query.rs"),
            Kind::Event => include_str!("../../templates/add/event.rs"),
            Kind::Saga => include_str!("../../templates/add/saga.rs"),
        }
    }

    /// The text of its module.
    pub(crate) fn source(self, name: &TypeName) -> String {
        let path = if self == Kind::Aggregate { name.paths() } else { name.path() };
        self.fill(name.as_str(), &name.module(), &path)
    }

    fn fill(self, name: &str, module: &str, path: &str) -> String {
        fill(self.template(), &[("Name", name), ("module", module), ("path", path)])
    }
}

/// Refuses what the project has already, under a name that can be there but once: aggregates and topics are shared by all services.
pub(crate) fn check_new(project: &Project, kind: Kind, name: &TypeName) -> CliResult {
    let name = name.as_str();
    let taken = match kind {
        Kind::Aggregate => project.finds(|text| declares(text, name))?,
        Kind::Command | Kind::Query | Kind::Saga => project.finds(|text| declares(text, name) || handles(text, name))?,
        Kind::Event => None,
    };
    match taken {
        None => Ok(()),
        Some((member, path)) => Err(CliError::said(format!(
            "`{name}` is there already, in the service {}, in {}: take another name",
            member.name,
            path.strip_prefix(&member.directory).unwrap_or(&path).display()
        ))),
    }
}

/// Whether a type of this name stands in a text.
fn declares(text: &str, name: &str) -> bool {
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    ["struct ", "enum "].iter().any(|word| text.split(word).skip(1).any(|rest| rest.strip_prefix(name).is_some_and(ends)))
}

/// Whether a topic of this name is handled in a text.
fn handles(text: &str, name: &str) -> bool {
    let quoted = format!("\"{name}\"");
    let is_handler = |line: &str| line.trim_start().starts_with("#[command(") || line.trim_start().starts_with("#[query(");
    text.lines().any(|line| is_handler(line) && line.contains(&quoted))
}

impl Add {
    pub(crate) fn run(&self, json: bool) -> CliResult {
        let here = here()?;
        let project = Project::find(&here)?;
        let member = project.service(self.service.as_deref(), &here)?;
        let (module, text) = self.module(&project)?;
        let src = member.directory.join("src");
        let lib = src.join("lib.rs");
        let root = fs::read_to_string(&lib).map_err(|error| unreadable(&lib, &error))?;
        let (path, folder) = (src.join(format!("{module}.rs")), src.join(&module));
        if path.exists() || folder.exists() || insert::has(&root, &module) {
            return Err(CliError::said(format!("the service {} has a module `{module}` already: take another name", member.name)));
        }
        let changed = insert::module(&root, &module);
        write(&path, &format(&text, &src))?;
        if let Err(error) = write(&lib, &changed) {
            // Nothing half-written: without its line, the file would be nobody's.
            let _ = fs::remove_file(&path);
            return Err(error);
        }
        let file = path.strip_prefix(&project.root).unwrap_or(&path).display().to_string();
        match json {
            true => output::line(json!({ "added": self.kind.word(), "name": self.name, "service": member.name, "path": file })),
            false => output::line(format_args!("added the {} {} to the service {}, in {file}", self.kind.word(), self.name, member.name)),
        }
    }

    /// The name and the text of the module.
    fn module(&self, project: &Project) -> CliResult<(String, String)> {
        if self.kind == Kind::Event {
            let module = format!("on_{}", event_module(project, &self.name)?);
            return Ok((module.clone(), self.kind.fill(&self.name, &module, "")));
        }
        let name: TypeName = self.name.parse().map_err(CliError::Said)?;
        check_new(project, self.kind, &name)?;
        Ok((name.module(), self.kind.source(&name)))
    }
}

/// The name of an event as that of a module; an event of an aggregate that nobody has could never come.
fn event_module(project: &Project, name: &str) -> CliResult<String> {
    let is_word =
        |word: &str| word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let (first, rest) = name.split_once('.').unwrap_or((name, ""));
    if !name.split('.').all(is_word) {
        return Err(CliError::said(format!("`{name}` is no name of an event: such are `OrderCreated` and `Account.MoneyDeposited`")));
    }
    let is_general =
        ["Created", "Updated", "Deleted"].iter().find_map(|end| first.strip_suffix(end)).filter(|aggregate| !aggregate.is_empty());
    let aggregate = match (is_general, rest) {
        (Some(aggregate), _) => aggregate,
        (None, "") => {
            return Err(CliError::said(format!(
                "`{name}` does not say whose event it is: `OrderCreated`, `OrderUpdated`, `OrderUpdated.field`, `OrderDeleted`, or `Order.{name}` for an event of the domain"
            )));
        }
        (None, _) => first,
    };
    if project.finds(|text| declares(text, aggregate))?.is_none() {
        eprintln!("no service of the project has an aggregate `{aggregate}`: its events have to come from elsewhere, by Kafka");
    }
    Ok(name.split('.').map(crate::project::snake).collect::<Vec<_>>().join("_"))
}

fn write(path: &Path, text: &str) -> CliResult {
    fs::write(path, text).map_err(|error| CliError::said(format!("{} cannot be written: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_and_topics_are_found_in_texts() {
        assert!(declares("pub struct Order {\n", "Order") && declares("enum Order{", "Order") && declares("struct Order;", "Order"));
        assert!(!declares("pub struct OrderLine {", "Order") && !declares("use Order;", "Order"));
        assert!(handles("    #[command(\"PlaceOrder\", POST \"/x\")]", "PlaceOrder"));
        assert!(!handles("let x = \"PlaceOrder\";", "PlaceOrder") && !handles("#[command(\"PlaceOrders\")]", "PlaceOrder"));
    }
}
