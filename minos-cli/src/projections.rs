//! `minos projections`.

use crate::{
    admin::{Admin, AdminError, part},
    error::CliResult,
    output,
    table::Table,
};
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::Value;
use std::{thread, time::Duration};

/// How often it is asked how far a rebuild is.
const ASK: Duration = Duration::from_millis(200);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Lists them: how far each has come, and what is parked.
    List,
    /// Rebuilds one from the first event, beside the one that is read, which it replaces at the end.
    Rebuild {
        /// Its name.
        name: String,
        /// Returns at once, and does not show how far it is.
        #[arg(long)]
        detach: bool,
    },
}

/// How one stands.
#[derive(Deserialize)]
struct Standing {
    name: String,
    inline: bool,
    head: u64,
    live: Option<View>,
    rebuild: Option<View>,
    parked: usize,
}

#[derive(Deserialize)]
struct View {
    generation: u64,
    position: u64,
}

pub(crate) fn run(admin: &Admin, json: bool, command: Command) -> CliResult {
    match command {
        Command::List if json => output::line(admin.get::<Value>("/projections")?),
        Command::List => output::print(&table(&admin.get::<Vec<Standing>>("/projections")?)),
        Command::Rebuild { name, detach } => {
            let begun: Value = admin.put(&format!("/projections/{}/rebuild", part(&name)))?;
            if json {
                output::line(begun)?;
            }
            if detach { Ok(()) } else { watch(admin, json, &name) }
        }
    }
}

/// Shows how far it is, until it is the one that is read.
fn watch(admin: &Admin, json: bool, name: &str) -> CliResult {
    let bar = if json { ProgressBar::hidden() } else { ProgressBar::new(0) };
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} events, {per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(name.to_owned());
    loop {
        let all: Vec<Standing> = admin.get("/projections")?;
        let Some(standing) = all.into_iter().find(|standing| standing.name == name) else {
            return Err(AdminError::Refused(format!("the service has no projection `{name}` any more")).into());
        };
        bar.set_length(standing.head);
        match standing.rebuild {
            Some(rebuild) => bar.set_position(rebuild.position),
            None => {
                bar.set_position(standing.head);
                let is_hidden = bar.is_hidden();
                bar.finish_with_message(format!("{name} is rebuilt"));
                // Where there is no terminal, there is no bar.
                if is_hidden && !json {
                    output::line(format_args!("{name} is rebuilt: {} events", standing.head))?;
                }
                return Ok(());
            }
        }
        thread::sleep(ASK);
    }
}

fn table(all: &[Standing]) -> String {
    let mut table = Table::new(["NAME", "KIND", "VIEW", "POSITION", "BEHIND", "REBUILD", "PARKED"]);
    for standing in all {
        let live = standing.live.as_ref().map_or_else(|| "-".to_owned(), |view| format!("#{}", view.generation));
        let kind = if standing.inline { "inline" } else { "behind" };
        let rebuild = standing.rebuild.as_ref().map_or_else(|| "-".to_owned(), |view| percent(view.position, standing.head));
        // An inline one is always where the log is.
        let position = if standing.inline { standing.head } else { standing.live.as_ref().map_or(0, |view| view.position) };
        table.row([
            standing.name.clone(),
            kind.to_owned(),
            live,
            position.to_string(),
            standing.head.saturating_sub(position).to_string(),
            rebuild,
            standing.parked.to_string(),
        ]);
    }
    table.text()
}

fn percent(position: u64, head: u64) -> String {
    format!("{} %", position.saturating_mul(100).checked_div(head).unwrap_or(100).min(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_read_column_by_column() {
        let all = r#"[
            {"name":"Balance","inline":false,"head":120,"live":{"generation":2,"position":100},"rebuild":{"generation":3,"position":30},"parked":1},
            {"name":"Owner","inline":true,"head":120,"live":{"generation":1,"position":0},"rebuild":null,"parked":0}
        ]"#;
        assert_eq!(
            table(&serde_json::from_str::<Vec<Standing>>(all).unwrap()),
            "NAME     KIND    VIEW  POSITION  BEHIND  REBUILD  PARKED\n\
             Balance  behind  #2    100       20      25 %     1\n\
             Owner    inline  #1    120       0       -        0\n"
        );
        assert_eq!(percent(0, 0), "100 %");
    }
}
