//! A process is started again with another definition of a saga that is under way.

use crate::common::{
    config, post,
    process::{self, Process},
    until,
};
use minos::{prelude::*, store::SagaFilter};
use std::path::Path as FilePath;

#[message("Hold")]
pub struct Hold {
    nights: u32,
}

/// Nobody holds a room before the desk is open.
fn hold() -> Result<()> {
    match std::env::var_os("DESK_IS_OPEN") {
        Some(_) => Ok(()),
        None => Err(Error::unavailable("the desk is closed")),
    }
}

mod v1 {
    use super::*;

    saga! {
        pub Stay { nights: u32 }

        local price -> euros: u32 {
            on_execute: async |_cx, saga| Ok(saga.nights * 90),
            on_failure: (),
        }

        remote hold {
            on_execute: |saga| Hold { nights: saga.nights },
            retry: { attempts: 1000, first_pause: "20ms", longest_pause: "20ms" },
        }
    }

    #[command(POST "/stays")]
    async fn stay(cx: &mut Context, input: Stay) -> Result<Uuid> {
        cx.start(input).await
    }

    #[command("Hold")]
    async fn hold(_cx: &mut Context, _input: Hold) -> Result<()> {
        super::hold()
    }
}

/// The same with a step more between the two.
mod v2 {
    use super::*;

    saga! {
        pub Stay { nights: u32 }

        local price -> euros: u32 {
            on_execute: async |_cx, saga| Ok(saga.nights * 90),
            on_failure: (),
        }

        local discount -> reduced: u32 {
            on_execute: async |_cx, saga| Ok(saga.euros * 9 / 10),
            on_failure: (),
        }

        remote hold {
            on_execute: |saga| Hold { nights: saga.nights },
        }
    }

    #[command("Hold")]
    async fn hold(_cx: &mut Context, _input: Hold) -> Result<()> {
        super::hold()
    }
}

pub fn start(directory: &FilePath, version: &str, desk_is_open: bool) -> Process {
    let store = format!("sqlite://{}", directory.join("hotel.db").display());
    let mut command = process::service(directory, &format!("sagas::changed::{version}"), &config("hotel", &store));
    if desk_is_open {
        command.env("DESK_IS_OPEN", "1");
    }
    Process::start(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn f41_a_definition_that_changed_is_refused_while_executions_are_under_way() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", dir.path().join("hotel.db").display());
    let first = start(dir.path(), "v1", false);
    let id = post(first.addr().await, "/stays", r#"{"nights":2}"#).await.json().as_str().unwrap().to_owned();
    until("it pauses at its second step", async || first.lines().iter().any(|line| line.contains("the desk is closed"))).await;
    // It is killed, as it is.
    drop(first);
    let refused = start(dir.path(), "v2", true).failure().await;
    for words in [
        "`hotel` cannot start",
        "1 execution has begun under the definition ",
        "of the saga `Stay`, which is ",
        "put the old definition back",
    ] {
        assert!(refused.contains(words), "{words}: {refused}");
    }
    let again = start(dir.path(), "v1", true);
    let said = again.says("saga ended").await;
    assert!(said.contains(&id) && said.contains("committed"), "{said}");
    drop(again);
    let now = start(dir.path(), "v2", true);
    now.addr().await;
    drop(now);
    let store = minos::store::open(&url, "hotel", &minos::metrics::Metrics::new("hotel")).await.unwrap();
    let rows = store.sagas(SagaFilter::default(), None, 10).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert!(
        !rows[0].state.contains("discount") && rows[0].state.contains(r#""euros":180"#),
        "it has ended under its own rules: {}",
        rows[0].state
    );
    store.close().await;
}
