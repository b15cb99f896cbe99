//! `kill -9`, and what is done after the start that follows. Under load, and many times, it is `tests/crash.rs`.

use crate::{
    app::desk::HELD_UP,
    common::{
        config, get, post,
        process::{self, Process},
        until,
    },
};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_had_not_finished_when_the_process_was_killed_runs_again_to_its_end() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("test.db").display());
    let command = || process::service(directory.path(), "service::app::desk", &config("test", &url));
    let mut ids = Vec::new();
    // Twice, for the second start finds what the first one has left.
    for round in 0..2 {
        let mut held_up = command();
        held_up.env(HELD_UP, "yes");
        let mut process = Process::start(held_up);
        let addr = process.addr().await;
        for n in 0..5 {
            let answer = post(addr, "/letters", &format!(r#"{{"text":"{round}.{n}"}}"#)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            ids.push(answer.json().as_str().unwrap().to_owned());
        }
        for id in &ids {
            process.says(&format!("holds {id}")).await;
            assert_eq!(get(addr, &format!("/stamps/{id}")).await.status, 404, "what is not finished has no effect");
        }
        // Time for progress to be saved that was not made: that it is not cannot be awaited.
        tokio::time::sleep(Duration::from_millis(300)).await;
        process.signal("KILL");
        assert!(!process.ended().await.success());
    }
    let process = Process::start(command());
    let addr = process.addr().await;
    for id in &ids {
        let path = format!("/stamps/{id}");
        until("it is stamped", async || get(addr, &path).await.status == 200).await;
        let stamp = get(addr, &path).await.json();
        assert_eq!((&stamp["stamped"], &stamp["version"]), (&1.into(), &2.into()), "once");
    }
}
