//! What an operator does with a service that runs: by the program itself, on a service in this process.

use minos::prelude::*;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

#[aggregate]
pub struct Parcel {
    pub to: String,
}

/// Whether what was broken is mended.
#[derive(Clone, Default)]
pub struct Mended(Arc<AtomicBool>);

#[derive(Deserialize)]
pub struct SendParcel {
    to: String,
}

#[command("SendParcel", POST "/parcels")]
async fn send_parcel(cx: &mut Context, input: SendParcel) -> Result<Uuid> {
    Ok(Parcel::create(cx, Parcel { to: input.to }).await?.uuid())
}

#[event("ParcelCreated")]
async fn sent(cx: &mut Context, event: ParcelCreated) -> Result<()> {
    ensure!(event.to != "nowhere" || cx.resource::<Mended>()?.0.load(Ordering::SeqCst), "there is no such place");
    Ok(())
}

saga! {
    pub Deliver { parcel: Uuid }
    pivot local load { on_execute: async |_cx, _saga| Ok(()) }
    retriable local ring -> rang: u32 {
        on_execute: async |cx, _saga| {
            ensure!(cx.resource::<Mended>()?.0.load(Ordering::SeqCst), "the bell is broken");
            Ok(1)
        },
        retry: { attempts: 1, first_pause: "1ms", longest_pause: "1ms" },
    }
}

#[command("StartDelivery", POST "/deliveries")]
async fn deliver(cx: &mut Context, input: Deliver) -> Result<Uuid> {
    cx.start(input).await
}

/// A service of its own for each test.
struct World {
    running: minos::Running,
    mended: Mended,
}

impl World {
    async fn start() -> Self {
        let mended = Mended::default();
        let config = "[service]\nname = \"post\"\n[http]\naddr = \"127.0.0.1:0\"\n[admin]\naddr = \"127.0.0.1:0\"\n[store]\nurl = \"memory:\"\n\
                      [broker]\nattempts = 1\n[log]\nlevel = \"off\"";
        let running = Service::from_toml(config).unwrap().module(module_path!()).with(mended.clone()).start().await.unwrap();
        World { running, mended }
    }

    fn admin(&self) -> SocketAddr {
        self.running.admin_addr().unwrap()
    }

    async fn call(&self, topic: &str, input: Value) -> Uuid {
        let answer = self.running.call(topic, &input).await.unwrap();
        answer_of(answer)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_minos"));
        command.args(arguments).env("MINOS_ADMIN", self.admin().to_string()).stdin(Stdio::null());
        command
    }

    async fn minos(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// What it tells.
    async fn told(&self, arguments: &[&str]) -> String {
        let output = self.minos(arguments).await;
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.told(arguments).await).unwrap()
    }

    /// Why it is refused.
    async fn refused(&self, arguments: &[&str]) -> String {
        let output = self.minos(arguments).await;
        assert!(!output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    async fn until_listed(&self, arguments: &[&str]) -> Value {
        for _ in 0..500 {
            let all = self.json(arguments).await;
            if all.as_array().is_some_and(|all| !all.is_empty()) {
                return all[0].clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("nothing is listed by {arguments:?}")
    }
}

fn answer_of(response: Response) -> Uuid {
    serde_json::from_slice(response.body()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_is_shown() {
    let world = World::start().await;
    let uuid = world.call("SendParcel", json!({ "to": "Rome" })).await.to_string();
    let table = world.told(&["events", "show", "Parcel", &uuid]).await;
    assert!(table.starts_with("VERSION  AT") && table.contains(r#"ParcelCreated  -     {"to":"Rome"}"#), "{table}");
    let all = world.json(&["events", "show", "Parcel", &uuid, "--json"]).await;
    assert_eq!((&all[0]["version"], &all[0]["data"]), (&json!(1), &json!({ "to": "Rome" })));
    let nothing = world.refused(&["events", "show", "Packet", &uuid]).await;
    assert_eq!(nothing, format!("error: nothing has ever happened to Packet/{uuid}: is the name of the aggregate right?\n"));
    for n in 0..12 {
        world.call("SendParcel", json!({ "to": format!("street {n}") })).await;
    }
    let tail = world.told(&["events", "tail", "-n", "2"]).await;
    assert_eq!(tail.lines().count(), 2);
    assert!(tail.lines().last().unwrap().ends_with(r#" 1 ParcelCreated {"to":"street 11"}"#), "{tail}");
    assert_eq!(world.told(&["events", "tail", "--from", "1"]).await.lines().count(), 13);
    assert_eq!(world.told(&["events", "tail", "--aggregate", "Packet"]).await, "");
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_sees_what_comes() {
    let world = World::start().await;
    let mut child =
        world.command(&["events", "tail", "--follow", "--json", "--aggregate", "Parcel"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    world.call("SendParcel", json!({ "to": "Rome" })).await;
    let first = tokio::task::spawn_blocking(move || lines.next().unwrap().unwrap()).await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&first).unwrap()["data"], json!({ "to": "Rome" }));
    child.kill().unwrap();
    child.wait().unwrap();
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_replayed_and_discarded() {
    let world = World::start().await;
    world.call("SendParcel", json!({ "to": "nowhere" })).await;
    let letter = world.until_listed(&["dead-letters", "list", "--json"]).await;
    let id = letter["id"].to_string();
    let table = world.told(&["dead-letters", "list"]).await;
    assert!(table.contains("there is no such place") && table.starts_with("ID  AT"), "{table}");
    let shown = world.told(&["dead-letters", "show", &id]).await;
    assert!(shown.contains("header") && shown.contains("\n\n{") && shown.contains("nowhere"), "{shown}");
    assert!(world.refused(&["dead-letters", "replay", &id]).await.contains("there is no such place"));
    let asked = world.refused(&["dead-letters", "discard", &id]).await;
    assert!(asked.contains("is dropped for good, which cannot be undone: say `--yes`"), "{asked}");
    assert_eq!(world.json(&["dead-letters", "list", "--json"]).await.as_array().unwrap().len(), 1, "nothing was done");
    world.mended.0.store(true, Ordering::SeqCst);
    assert_eq!(world.told(&["dead-letters", "replay", &id]).await, "handled: 1\n");
    world.mended.0.store(false, Ordering::SeqCst);
    world.call("SendParcel", json!({ "to": "nowhere" })).await;
    let id = world.until_listed(&["dead-letters", "list", "--json"]).await["id"].to_string();
    assert_eq!(world.told(&["dead-letters", "discard", &id, "--yes"]).await, format!("dead letter {id} is dropped\n"));
    assert_eq!(world.json(&["dead-letters", "list", "--json"]).await, json!([]));
    assert!(world.refused(&["dead-letters", "discard", &id, "--yes"]).await.contains(&format!("there is no dead letter {id}")));
    world.running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saga_that_is_stuck_is_shown_retried_and_skipped() {
    let world = World::start().await;
    let id = deliveries(&world).await;
    let table = world.told(&["saga", "list", "--status", "needs_operator"]).await;
    assert!(table.contains("Deliver") && table.contains(&id), "{table}");
    let shown = world.told(&["saga", "show", &id]).await;
    assert!(shown.contains("stuck (execute)") && shown.contains("the bell is broken") && shown.contains("stuck: ring."), "{shown}");
    assert!(world.told(&["saga", "show", &id, "--diagram"]).await.starts_with("flowchart TD"));
    let refused = world.refused(&["saga", "rollback", &id, "--yes"]).await;
    assert_eq!(refused, "error: it is past its point of no return, and can only go forward\n");
    assert!(world.refused(&["saga", "skip", &id]).await.contains("say `--yes`"));
    world.mended.0.store(true, Ordering::SeqCst);
    world.told(&["saga", "retry", &id]).await;
    world.until_listed(&["saga", "list", "--status", "committed", "--json"]).await;
    assert!(world.refused(&["saga", "retry", &id]).await.contains("no step of"), "it has ended");
    world.mended.0.store(false, Ordering::SeqCst);
    let id = deliveries(&world).await;
    let wrong = world.refused(&["saga", "skip", &id, "ring", "--value", "loud"]).await;
    assert!(wrong.contains("a text is written in quotes"), "{wrong}");
    let skipped = world.json(&["saga", "skip", &id, "--value", "7", "--yes", "--json"]).await;
    assert_eq!((&skipped["status"], &skipped["values"]["rang"]), (&json!("committed"), &json!(7)), "{skipped}");
    world.running.stop().await;
}

/// Starts one, which waits for the operator in the end.
async fn deliveries(world: &World) -> String {
    world.running.call("StartDelivery", &json!({ "parcel": Uuid::now_v7() })).await.unwrap();
    let stuck = world.until_listed(&["saga", "list", "--status", "needs_operator", "--saga", "Deliver", "--json"]).await;
    stuck["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn shells_complete_what_there_is() {
    let world = World::start().await;
    let text = world.told(&["completions", "bash"]).await;
    assert!(text.contains("dead-letters") && text.contains("rollback"), "{text}");
    world.running.stop().await;
}
