//! `minos dead-letters`: what a service could not handle, and what to do about it.

use crate::{
    admin::Admin,
    error::{CliError, CliResult},
    output::{self, Confirmation},
    table::Table,
};
use clap::Subcommand;
use serde::Deserialize;
use serde_json::Value;

/// How many are asked for at once: as many as the API tells.
const PAGE: usize = 100;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Lists them, the oldest first.
    List,
    /// Shows one, with all of its content.
    Show {
        /// Its number.
        id: u64,
    },
    /// Handles one again, and what waits behind it.
    Replay {
        /// Its number.
        id: u64,
    },
    /// Drops one for good.
    Discard {
        /// Its number.
        id: u64,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

/// One, as the API tells it.
#[derive(Deserialize)]
struct Letter {
    id: u64,
    at: String,
    subscriber: String,
    key: String,
    topic: String,
    cause: String,
    attempts: u32,
}

pub(crate) fn run(admin: &Admin, json: bool, command: Command) -> CliResult {
    match command {
        Command::List => list(admin, json),
        Command::Show { id } => show(admin, json, id),
        Command::Replay { id } => {
            let replayed: Value = admin.put(&format!("/dead-letters/{id}/replay"))?;
            match json {
                true => output::line(replayed),
                false => output::line(format_args!("handled: {}", replayed["handled"])),
            }
        }
        Command::Discard { id, confirmation } => {
            let letter: Letter = admin.get(&format!("/dead-letters/{id}"))?;
            let Letter { subscriber, topic, key, .. } = letter;
            confirmation.ask(&format!("dead letter {id} (of {topic}, key {key}, for {subscriber}) is dropped for good"))?;
            let discarded: Value = admin.delete(&format!("/dead-letters/{id}"))?;
            if json { output::line(discarded) } else { output::line(format_args!("dead letter {id} is dropped")) }
        }
    }
}

fn list(admin: &Admin, json: bool) -> CliResult {
    let mut all: Vec<Value> = Vec::new();
    loop {
        let after = all.last().and_then(|letter| letter["id"].as_u64()).unwrap_or_default();
        let page: Vec<Value> = admin.get(&format!("/dead-letters?after={after}&limit={PAGE}"))?;
        let count = page.len();
        all.extend(page);
        if count < PAGE {
            break;
        }
    }
    if json {
        return output::line(Value::from(all));
    }
    let mut table = Table::new(["ID", "AT", "TOPIC", "KEY", "SUBSCRIBER", "ATTEMPTS", "CAUSE"]);
    for letter in all {
        let Letter { id, at, subscriber, key, topic, cause, attempts } = admin.read(letter)?;
        table.row([id.to_string(), at, topic, key, subscriber, attempts.to_string(), cause]);
    }
    output::print(&table.text())
}

fn show(admin: &Admin, json: bool, id: u64) -> CliResult {
    let letter: Value = admin.get(&format!("/dead-letters/{id}"))?;
    if json {
        return output::line(letter);
    }
    let fields = letter.as_object().ok_or_else(|| CliError::said("the operator's API tells something else than a dead letter"))?;
    let mut table = Table::bare();
    for name in ["id", "at", "topic", "key", "subscriber", "attempts", "cause"] {
        let value = fields.get(name).map(plain).unwrap_or_default();
        table.row([name.to_owned(), value]);
    }
    for (name, value) in fields.get("headers").and_then(Value::as_object).into_iter().flatten() {
        table.row([format!("header {name}"), plain(value)]);
    }
    output::print(&table.text())?;
    let content = fields.get("content").map(plain).or_else(|| fields.get("content_hex").map(|hex| format!("(hexadecimal) {}", plain(hex))));
    output::line(format_args!("\n{}", content.unwrap_or_default()))
}

/// A text without its quotes.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
