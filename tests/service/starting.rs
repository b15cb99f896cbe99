//! Starts that fail, each with one line that says what to do.

use crate::{
    common::{
        config, get, not_run,
        process::{self, Process},
        send, until,
    },
    setup::{Calls, open, service},
};
use std::{fs, os::unix::process::CommandExt, path::Path, process::Command};

#[tokio::test]
async fn mistakes_between_handlers_are_told_with_both_places() {
    let error = service("memory:", "twice", &Calls::default()).start().await.err().unwrap().to_string();
    let lines: Vec<_> = ["first", "second"].iter().map(|name| format!("`{name}` at tests/service/app/twice.rs:")).collect();
    for what in ["two handlers for the topic `Same`", "two handlers for `POST /same`"] {
        assert!(error.contains(what), "{error}");
    }
    assert!(lines.iter().all(|line| error.matches(line.as_str()).count() == 2), "{error}");
    assert!(error.contains("nothing can deliver `NoSuchThingCreated` to `waits_for_ever` at tests/service/app/twice.rs:"), "{error}");
    let unknown = mistake(&error, "`NoSuchThingCreated`");
    assert!(unknown.contains("; if it is another service's, say so by `#[aggregate_ref] pub struct NoSuchThing { … }`"), "{error}");
    let no_set = "nothing can deliver `OrderUpdated.address.create` to `no_set` at tests/service/app/twice.rs:";
    assert!(error.contains(no_set) && error.contains("are `lines`, `tags`"), "{error}");
    for what in ["two aggregates named `Lamp`", "two events of `Lamp` are named `LampLit`"] {
        assert_eq!(mistake(&error, what).matches("tests/service/app/twice.rs:").count(), 2, "{error}");
    }
    assert_eq!(mistake(&error, "has an event `LampDeleted` by itself").matches("tests/service/app/twice.rs:").count(), 1, "{error}");
    let one_name = mistake(&error, "app::twice::same");
    assert_eq!(one_name.matches("tests/service/app/twice.rs:").count(), 2, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_handles_events_of_another_service_starts_without_it_and_says_what_does_not_come() {
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start(process::service(directory.path(), "service::app::tide", &config("test", "memory:")));
    assert_eq!(get(process.addr().await, "/health/ready").await.status, 200);
    for (function, event) in [("came", "TideCreated"), ("rose", "TideUpdated.height"), ("turned", "TideTurned")] {
        let told = process.says(&format!("`{function}` gets no `{event}` here: `Tide` is another service's")).await;
        assert!(told.contains("give both the same `kafka://…`"), "{told}");
    }
}

/// The one of several mistakes that says this.
fn mistake<'e>(error: &'e str, what: &str) -> &'e str {
    error.split("; (").find(|mistake| mistake.contains(what)).unwrap_or_default()
}

fn url(directory: &Path) -> String {
    format!("sqlite://{}", directory.join("test.db").display())
}

/// The accounts in a process, with this configuration.
fn accounts(directory: &Path, config: &str) -> Command {
    process::service(directory, "service::app::account", config)
}

/// Why it does not start.
async fn failure(command: Command) -> String {
    Process::start(command).failure().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap();
    let told = failure(accounts(directory.path(), &config("test", "memory:").replace("127.0.0.1:0", &addr.to_string()))).await;
    assert_eq!(
        told,
        format!("error: `test` cannot start: {addr} is already in use: stop the other program, or set MINOS_HTTP_ADDR to another address")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_not_permitted_is_told() {
    let first_free: u16 = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or_default();
    if first_free < 2 {
        return not_run("a port that is not permitted, since every user may use every port here");
    }
    let directory = tempfile::tempdir().unwrap();
    let addr = format!("127.0.0.1:{}", first_free - 1);
    let mut command = accounts(directory.path(), &config("test", "memory:").replace("127.0.0.1:0", &addr));
    if fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0) {
        // Root may use any port, so it is done as `nobody`, who has to be let at the configuration.
        fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        command.uid(65534).gid(65534);
    }
    let told = failure(command).await;
    assert_eq!(
        told,
        format!("error: `test` cannot start: {addr} may not be used by this user: take a port from 1024 on with MINOS_HTTP_ADDR")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_of_another_machine_is_told() {
    let directory = tempfile::tempdir().unwrap();
    // Reserved for documentation: no machine has it.
    let told = failure(accounts(directory.path(), &config("test", "memory:").replace("127.0.0.1:0", "192.0.2.1:80"))).await;
    assert!(told.starts_with("error: `test` cannot start: 192.0.2.1:80 is no address of this machine: set `http.addr`"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_is_told_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("minos.toml");
    let place = file.display();
    for (text, told) in [
        ("[service]\nname = \"test\"\n[http]\nadr = \"x\"", format!("{place}:4: unknown field `adr`, expected one of `addr`")),
        ("[service]\nname = \"test\"\n[http]\nmax_body = \"much\"", format!("{place}:4: `much` is no size")),
        ("[service]\nname = 7", format!("{place}:2: invalid type: integer `7`, expected a string")),
        ("[service", format!("{place}:1: ")),
        ("", format!("{place} does not say who this is: it needs `[service] name = \"foo\"`")),
        ("[service]\nname = \"test\"\n[store]\nurl = \"mongodb://x\"", "`test` cannot start: ".to_owned()),
    ] {
        let error = failure(accounts(directory.path(), text)).await;
        assert!(error.starts_with(&format!("error: {told}")), "{text:?}: {error}, and not {told}");
    }
    let mut command = accounts(directory.path(), &config("test", "memory:"));
    command.env("MINOS_HTTP_ADRR", "127.0.0.1:0");
    assert_eq!(failure(command).await, "error: MINOS_HTTP_ADRR is no key of the configuration: did you mean MINOS_HTTP_ADDR?");
    let command = accounts(directory.path(), &config("test", "memory:"));
    fs::remove_file(&file).unwrap();
    let error = failure(command).await;
    assert!(error.starts_with(&format!("error: there is no {place} in ")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_is_over_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = accounts(directory.path(), &config("test", "memory:").replace("127.0.0.1:0", "192.0.2.1:80"));
    command.env("MINOS_HTTP_ADDR", "127.0.0.1:0").env("MINOS_STORE_URL", url(directory.path()));
    let process = Process::start(command);
    assert_eq!(get(process.addr().await, "/health").await.status, 200);
    assert!(directory.path().join("test.db").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_another_process_has_is_told_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let command = || accounts(directory.path(), &config("test", &url(directory.path())));
    let first = Process::start(command());
    let addr = first.addr().await;
    let id = open(addr).await;
    let told = failure(command()).await;
    let file = directory.path().join("test.db");
    let fix = "stop that one, or give this one a file of its own with MINOS_STORE_URL";
    assert_eq!(told, format!("error: `test` cannot start: the store is locked: {} is in use by another process: {fix}", file.display()));
    assert_eq!(get(addr, &format!("/accounts/{id}")).await.status, 200, "the first one goes on");
    drop(first);
    let again = Process::start(command());
    assert_eq!(get(again.addr().await, &format!("/accounts/{id}")).await.status, 200, "a killed process leaves no lock");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_told_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("test.db");
    let command = || accounts(directory.path(), &config("test", &url(directory.path())));
    fs::write(&file, "Dear diary, ".repeat(1000)).unwrap();
    assert_eq!(
        failure(command()).await,
        format!(
            "error: `test` cannot start: the store cannot be read: {} is no SQLite database: move it away, or give the service another file with MINOS_STORE_URL",
            file.display()
        )
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "Dear diary, ".repeat(1000));

    // A good database, of which a disk has made noise behind the first page.
    fs::remove_file(&file).unwrap();
    let mut process = Process::start(command());
    let addr = process.addr().await;
    let id = open(addr).await;
    process.signal("TERM");
    assert!(process.ended().await.success());
    let good = fs::read(&file).unwrap();
    assert!(good.len() > 8192 && !directory.path().join("test.db-wal").exists(), "after a stop, the file alone is the database");
    let noise = |damaged: &dyn Fn(&[u8]) -> bool| {
        let (first, pages) = good.split_at(4096);
        let pages = pages.chunks(4096).map(|page| if damaged(page) { vec![0x55; page.len()] } else { page.to_vec() });
        fs::write(&file, [vec![first.to_vec()], pages.collect()].concat().concat()).unwrap();
    };
    let fix = format!("restore a backup, or try `sqlite3 {} .recover`", file.display());
    noise(&|_| true);
    let told = failure(command()).await;
    assert!(told.starts_with("error: `test` cannot start: the store cannot be read: ") && told.ends_with(&fix), "{told}");

    // Only the pages with what is asked for are damaged, which is found when it is asked for.
    noise(&|page| page.windows(id.len()).any(|text| text == id.as_bytes()));
    let process = Process::start(command());
    let addr = process.addr().await;
    let answer = send(addr, "GET", &format!("/accounts/{id}"), "", "").await.unwrap();
    assert_eq!((answer.status, answer.body.contains("test.db")), (500, false), "{answer:?}");
    let told = process.says("failed method=GET").await;
    assert!(told.contains(&fix), "{told}");
    until("it is not ready", async || get(addr, "/health/ready").await.status == 503).await;
}
