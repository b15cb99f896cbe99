//! `minos events`: what happened to one aggregate, and what happens to all of them.

mod tail;
mod tell;

use crate::{
    admin::{Admin, part},
    error::CliResult,
    output,
    table::Table,
};
use clap::Subcommand;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

/// How many events are asked for at once: as many as the API tells.
const PAGE: usize = 1000;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Shows what happened to one aggregate, from the first event on.
    Show {
        /// The name of the aggregate, such as `Order`.
        aggregate: String,
        /// Which one.
        uuid: Uuid,
        /// Begins behind this version.
        #[arg(long, default_value_t = 0)]
        after: u64,
    },
    /// Shows the end of the log of all events, and what comes.
    Tail(tail::Tail),
}

/// An event, as the API tells it.
#[derive(Deserialize)]
struct Event {
    position: u64,
    aggregate: String,
    uuid: Uuid,
    version: u64,
    name: String,
    at: String,
    user: Option<String>,
    data: Value,
}

/// A part of what happened to one aggregate.
#[derive(Deserialize)]
struct Stream {
    version: u64,
    events: Vec<Value>,
}

pub(crate) fn run(admin: &Admin, json: bool, command: Command) -> CliResult {
    match command {
        Command::Show { aggregate, uuid, after } => show(admin, json, &aggregate, uuid, after),
        Command::Tail(tail) => tail.run(admin, json),
    }
}

fn show(admin: &Admin, json: bool, aggregate: &str, uuid: Uuid, mut after: u64) -> CliResult {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let Stream { version, events } = admin.get(&format!("/streams/{}/{uuid}?after={after}&limit={PAGE}", part(aggregate)))?;
        let last = events.last().and_then(|event| event["version"].as_u64());
        all.extend(events);
        match last {
            Some(last) if last < version => after = last,
            _ => break,
        }
    }
    if json {
        return output::line(Value::from(all));
    }
    let mut table = Table::new(["VERSION", "AT", "EVENT", "USER", "CONTENT"]);
    for event in all {
        let Event { version, at, name, user, data, .. } = admin.read(event)?;
        table.row([version.to_string(), tell::seconds(&at), name, user.unwrap_or_else(|| "-".to_owned()), tell::content(&data)]);
    }
    output::print(&table.text())
}
