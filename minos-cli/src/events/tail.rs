//! `minos events tail`.

use super::{Event, PAGE, tell};
use crate::{
    admin::{Admin, AdminError, part},
    error::{CliError, CliResult},
    output,
};
use serde::Deserialize;
use serde_json::Value;
use std::{thread, time::Duration};

/// How long a service that has gone is left alone before it is asked again.
const PAUSE: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub(crate) struct Tail {
    /// Only events of aggregates of this name. More than one may be named.
    #[arg(long)]
    aggregate: Vec<String>,
    /// Begins at this position, instead of near the end.
    #[arg(long)]
    from: Option<u64>,
    /// How many of the last events are shown.
    #[arg(long, short = 'n', default_value_t = 10, conflicts_with = "from")]
    lines: usize,
    /// Goes on to show what comes, until Ctrl-C.
    #[arg(long, short)]
    follow: bool,
}

/// A part of the log.
#[derive(Deserialize)]
struct Log {
    events: Vec<Value>,
    read: u64,
}

impl Tail {
    pub(super) fn run(&self, admin: &Admin, json: bool) -> CliResult {
        let mut read = match self.from {
            Some(from) => from.saturating_sub(1),
            None => {
                let log: Log = admin.get(&self.path(&format!("last={}", self.lines)))?;
                tell(admin, json, log.events)?;
                log.read
            }
        };
        let mut is_gone = false;
        loop {
            if self.from.is_none() && !self.follow {
                return Ok(());
            }
            let asked = admin.get(&self.path(&format!("after={read}&limit={PAGE}&wait={}", self.follow)));
            let log: Log = match asked {
                Ok(log) => log,
                // Whoever follows waits for a service that is started again.
                Err(error @ AdminError::Unreachable { .. }) if self.follow => {
                    if !is_gone {
                        eprintln!("waiting: {error}");
                    }
                    is_gone = true;
                    thread::sleep(PAUSE);
                    continue;
                }
                Err(error) => return Err(CliError::from(error)),
            };
            is_gone = false;
            let is_end = log.events.is_empty() && log.read <= read;
            tell(admin, json, log.events)?;
            read = read.max(log.read);
            if is_end && !self.follow {
                return Ok(());
            }
        }
    }

    fn path(&self, query: &str) -> String {
        let names: Vec<String> = self.aggregate.iter().map(|name| part(name)).collect();
        match names.is_empty() {
            true => format!("/events?{query}"),
            false => format!("/events?{query}&aggregate={}", names.join(",")),
        }
    }
}

/// One line each, and no table: nobody knows how wide the next ones are.
fn tell(admin: &Admin, json: bool, events: Vec<Value>) -> CliResult {
    for event in events {
        if json {
            output::line(event)?;
            continue;
        }
        let Event { position, aggregate, uuid, version, name, at, data, .. } = admin.read(event)?;
        output::line(format_args!("{position} {} {aggregate}/{uuid} {version} {name} {}", tell::seconds(&at), tell::content(&data)))?;
    }
    Ok(())
}
