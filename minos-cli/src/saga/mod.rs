//! `minos saga`: executions of sagas, and the repair of those that cannot go on.

mod show;

use crate::{
    admin::Admin,
    error::{CliError, CliResult},
    output::{self, Confirmation},
    table::Table,
};
use clap::{Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::{Value, json};
use show::{Execution, stuck_steps, tell};
use uuid::Uuid;

/// How many are asked for at once: as many as the API tells.
const PAGE: usize = 100;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Lists executions, in the order in which they began.
    List {
        /// Only those of this saga.
        #[arg(long)]
        saga: Option<String>,
        /// Only those that stand like this.
        #[arg(long)]
        status: Option<Status>,
        /// At most so many.
        #[arg(long, short = 'n', default_value_t = 1000)]
        limit: usize,
    },
    /// Shows one: each step with its attempts, times and last error.
    Show {
        /// Which one.
        id: Uuid,
        /// Shows it as a flow chart in the language of Mermaid.
        #[arg(long)]
        diagram: bool,
    },
    /// Tries a step again that is stuck, or that pauses.
    Retry {
        /// Which execution.
        id: Uuid,
        /// Which step; not needed if only one is stuck.
        step: Option<String>,
    },
    /// Goes on without a step that is stuck: with what it yields, if it was done by hand; or as one that has not happened and never will.
    Skip {
        /// Which execution.
        id: Uuid,
        /// Which step; not needed if only one is stuck.
        step: Option<String>,
        /// What it yields, as JSON; `null` for a step that yields nothing.
        #[arg(long, value_parser = json_value)]
        value: Option<Value>,
        #[command(flatten)]
        confirmation: Confirmation,
    },
    /// Undoes everything that one has done.
    Rollback {
        /// Which execution.
        id: Uuid,
        #[command(flatten)]
        confirmation: Confirmation,
    },
}

/// How an execution stands.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum Status {
    Running,
    Committing,
    Compensating,
    Committed,
    RolledBack,
    NeedsOperator,
}

/// One in the list.
#[derive(Deserialize)]
struct Row {
    id: Uuid,
    saga: String,
    key: Option<String>,
    status: String,
    started_at: String,
    changed_at: String,
}

fn json_value(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{error}; a text is written in quotes: '\"text\"'"))
}

pub(crate) fn run(admin: &Admin, json: bool, command: Command) -> CliResult {
    match command {
        Command::List { saga, status, limit } => list(admin, json, saga.as_deref(), status, limit),
        Command::Show { id, diagram: true } => output::line(admin.text(&format!("/sagas/{id}/diagram"))?.trim_end()),
        Command::Show { id, .. } => told(admin, json, admin.get(&format!("/sagas/{id}"))?),
        Command::Retry { id, step } => {
            let step = named(admin, id, step)?;
            told(admin, json, admin.put(&format!("/sagas/{id}/steps/{}/retry", crate::admin::part(&step)))?)
        }
        Command::Skip { id, step, value, confirmation } => {
            let step = named(admin, id, step)?;
            let how = value.as_ref().map_or("as if it had not happened".to_owned(), |value| format!("as if it had yielded {value}"));
            confirmation.ask(&format!("execution {id} goes on without step `{step}`, {how}"))?;
            // `null` is a value, too: without one, nothing is said of it.
            let body = value.map_or_else(|| json!({}), |value| json!({ "value": value }));
            told(admin, json, admin.put_with(&format!("/sagas/{id}/steps/{}/skip", crate::admin::part(&step)), &body)?)
        }
        Command::Rollback { id, confirmation } => {
            confirmation.ask(&format!("everything that execution {id} has done is undone"))?;
            told(admin, json, admin.put(&format!("/sagas/{id}/rollback"))?)
        }
    }
}

/// The step that was named, or the only one that is stuck.
fn named(admin: &Admin, id: Uuid, step: Option<String>) -> CliResult<String> {
    if let Some(step) = step {
        return Ok(step);
    }
    let execution: Execution = admin.get(&format!("/sagas/{id}"))?;
    let mut stuck = stuck_steps(&execution);
    match (stuck.pop(), stuck.is_empty()) {
        (Some(one), true) => Ok(one),
        (None, _) => Err(CliError::said(format!("no step of {id} is stuck; `minos saga show {id}` tells how they stand"))),
        (Some(last), false) => {
            stuck.push(last);
            Err(CliError::said(format!("more than one step of {id} is stuck: say which one, of {}", stuck.join(", "))))
        }
    }
}

fn told(admin: &Admin, json: bool, execution: Value) -> CliResult {
    if json {
        return output::line(execution);
    }
    output::print(&tell(&admin.read(execution)?))
}

fn list(admin: &Admin, json: bool, saga: Option<&str>, status: Option<Status>, limit: usize) -> CliResult {
    let status = status.and_then(|status| status.to_possible_value()).map(|value| value.get_name().to_owned());
    let filter: String = [("saga", saga), ("status", status.as_deref())]
        .into_iter()
        .filter_map(|(name, value)| value.map(|value| format!("&{name}={}", crate::admin::part(value))))
        .collect();
    let mut all: Vec<Value> = Vec::new();
    while all.len() < limit {
        let after = all.last().and_then(|row| row["id"].as_str()).map(|id| format!("&after={id}")).unwrap_or_default();
        let wanted = PAGE.min(limit - all.len());
        let page: Vec<Value> = admin.get(&format!("/sagas?limit={wanted}{filter}{after}"))?;
        let count = page.len();
        all.extend(page);
        if count < wanted {
            break;
        }
    }
    if json {
        return output::line(Value::from(all));
    }
    let mut table = Table::new(["ID", "SAGA", "KEY", "STATUS", "STARTED", "CHANGED"]);
    for row in all {
        let Row { id, saga, key, status, started_at, changed_at } = admin.read(row)?;
        table.row([id.to_string(), saga, key.unwrap_or_else(|| "-".to_owned()), status, started_at, changed_at]);
    }
    output::print(&table.text())
}
