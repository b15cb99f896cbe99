//! `minos add`: an aggregate, command, query, event handler or saga more in a service, in a file of its own.

mod event;
mod insert;

use crate::{
    error::{CliError, CliResult},
    new::{fill, format},
    output,
    project::{Member, Project, TypeName, here, unreadable},
};
use clap::ValueEnum;
use event::{Handled, Owner};
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
        fill(self.template(), &[("Name", name.as_str()), ("module", &name.module()), ("path", &path)])
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

/// Whether a type of this name is defined in a text; what is known here of another service's aggregate is none.
fn declares(text: &str, name: &str) -> bool {
    definitions(text, name).any(|before| !is_reference(before))
}

/// Whether it is said in a text that this aggregate is another service's.
fn refers_to(text: &str, name: &str) -> bool {
    definitions(text, name).any(is_reference)
}

/// What stands before each definition of a type of this name.
fn definitions<'t>(text: &'t str, name: &'t str) -> impl Iterator<Item = &'t str> {
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    ["struct ", "enum "].iter().flat_map(move |word| {
        text.match_indices(word)
            .filter(move |(at, _)| text[at + word.len()..].strip_prefix(name).is_some_and(ends))
            .map(|(at, _)| &text[..at])
    })
}

/// Whether what stands before a definition says that it is the part of another service's aggregate.
fn is_reference(before: &str) -> bool {
    let mut lines = before.rsplit('\n');
    let own = lines.next().unwrap_or_default();
    // What stands before its attributes has ended; they may go over several lines.
    let above = lines.map(str::trim).take_while(|line| line.starts_with("//") || !(line.is_empty() || line.ends_with(['}', ';'])));
    [own.trim_start()]
        .into_iter()
        .chain(above)
        .any(|line| line.starts_with("#[aggregate_ref") || line.starts_with("#[minos::aggregate_ref"))
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
        let (module, text) = self.module(&project, &member)?;
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
    fn module(&self, project: &Project, member: &Member) -> CliResult<(String, String)> {
        if self.kind == Kind::Event {
            let handled = Handled::parse(&self.name)?;
            let owner = handled.owner(project, member)?;
            let (aggregate, text) = (handled.aggregate(), handled.source(&owner, member)?);
            match owner {
                Owner::Itself => {}
                Owner::Other(other) => eprintln!(
                    "`{aggregate}` is of the service {other}: `minos dev` runs both in one process, and as processes of their own they need Kafka between them"
                ),
                Owner::Unknown => {
                    eprintln!("no service of the project has an aggregate `{aggregate}`: its events have to come from elsewhere, by Kafka");
                }
            }
            return Ok((handled.module(), text));
        }
        let name: TypeName = self.name.parse().map_err(CliError::Said)?;
        check_new(project, self.kind, &name)?;
        Ok((name.module(), self.kind.source(&name)))
    }
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
        for part in [
            "#[aggregate_ref]\npub struct Order {}",
            "#[minos::aggregate_ref]\n/// A part.\n#[derive(Debug)]\nstruct Order {}",
            "#[aggregate_ref] struct Order;",
            "use x::Y;\n#[aggregate_ref]\n#[derive(\n    Clone,\n    Debug,\n)]\npub struct Order {}",
        ] {
            assert!(!declares(part, "Order") && refers_to(part, "Order"), "{part}");
        }
        let both = "#[aggregate_ref]\npub struct Person {}\n\n#[aggregate]\npub struct Order {\n";
        assert!(declares(both, "Order") && !refers_to(both, "Order") && refers_to(both, "Person"));
        assert!(handles("    #[command(\"PlaceOrder\", POST \"/x\")]", "PlaceOrder"));
        assert!(!handles("let x = \"PlaceOrder\";", "PlaceOrder") && !handles("#[command(\"PlaceOrders\")]", "PlaceOrder"));
    }
}
