//! Isolated sagas: what their steps do is seen when all is done, or never.

use crate::{
    bank::{Script, Trouble},
    common::{Answer, config, get, post, send, until},
    shop::Gates,
};
use minos::{Running, prelude::*, saga::Repair};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};
use tempfile::TempDir;

struct Office {
    clerk: Running,
    books: Running,
    script: Script,
    gates: Gates,
    /// `sagas.ask_after`
    ask_after: &'static str,
    dir: TempDir,
    from: String,
    to: String,
    entry: Uuid,
    receipt: Uuid,
}

/// Both services on files of this directory.
async fn start(dir: &TempDir, script: &Script, gates: &Gates, ask_after: &str) -> (Running, Running) {
    let service = |name| service(dir, script, gates, ask_after, name);
    let mut both = Service::start_all([service("clerk"), service("books")]).await.unwrap();
    let books = both.pop().unwrap();
    (both.pop().unwrap(), books)
}

fn service(dir: &TempDir, script: &Script, gates: &Gates, ask_after: &str, name: &str) -> Service {
    let url = format!("sqlite://{}", file(dir, name).display());
    let text = config(name, &url).replace("request_timeout = \"2s\"", "request_timeout = \"20s\"\ndrain_timeout = \"1s\"");
    let text = format!(
        "{text}\n[admin]\naddr = \"127.0.0.1:0\"\n[sagas]\nattempts = 4\nfirst_pause = \"5ms\"\npatience = \"200ms\"\nask_after = \"{ask_after}\""
    );
    Service::from_toml(&text).unwrap().module(format!("sagas::ledger::{name}")).with(script.clone()).with(gates.clone())
}

/// Where a service has its store.
fn file(dir: &TempDir, name: &str) -> PathBuf {
    dir.path().join(format!("{name}.db"))
}

impl Office {
    async fn with(script: Script) -> Self {
        let office = Office::without_table(script).await;
        office.make_table().await;
        office
    }

    async fn without_table(script: Script) -> Self {
        Office::asking_after("60s", script).await
    }

    /// What is prepared asks so soon how it ends.
    async fn asking_after(ask_after: &'static str, script: Script) -> Self {
        let (dir, gates) = (tempfile::tempdir().unwrap(), Gates::default());
        let (clerk, books) = start(&dir, &script, &gates, ask_after).await;
        let open = async |cents: &str| post(books.addr(), "/purses", cents).await.json().as_str().unwrap().to_owned();
        let (from, to) = (open("100").await, open("100").await);
        Office { clerk, books, script, gates, ask_after, dir, from, to, entry: Uuid::now_v7(), receipt: Uuid::now_v7() }
    }

    async fn make_table(&self) {
        assert_eq!(post(self.books.addr(), "/table", "").await.status, 204);
    }

    async fn restarted(self) -> Self {
        self.restarted_after(async |_| ()).await
    }

    /// Started again, after this was done to the directory.
    async fn restarted_after(self, meanwhile: impl AsyncFnOnce(&TempDir)) -> Self {
        tokio::join!(self.clerk.stop(), self.books.stop());
        meanwhile(&self.dir).await;
        // What waits at a gate of before may still be there.
        let gates = Gates::default();
        let (clerk, books) = start(&self.dir, &self.script, &gates, self.ask_after).await;
        Office { clerk, books, gates, ..self }
    }

    /// What is kept at the participant until it hears how the saga ends.
    async fn kept(&self) -> Vec<String> {
        let mut kept: Vec<_> = self.books.outcomes().list(10).await.unwrap().into_iter().map(|kept| kept.step).collect();
        kept.sort_unstable();
        kept
    }

    async fn transfer(&self) -> Uuid {
        let Office { from, to, entry, receipt, .. } = self;
        let input = json!({ "from": from, "to": to, "cents": 30, "entry": entry, "receipt": receipt }).to_string();
        post(self.clerk.addr(), "/transfers", &input).await.json().as_str().unwrap().parse().unwrap()
    }

    async fn ran(&self, step: &str) {
        until(step, async || self.script.runs().iter().any(|run| run == step)).await;
    }

    async fn status(&self, id: Uuid) -> &'static str {
        self.clerk.sagas().show(id).await.unwrap().status.name()
    }

    async fn ends_as(&self, status: &str, id: Uuid) {
        until(status, async || self.status(id).await == status).await;
    }

    async fn purses(&self) -> [i64; 2] {
        let cents = async |purse: &str| get(self.books.addr(), &format!("/purses/{purse}")).await.json()["cents"].as_i64().unwrap();
        [cents(&self.from).await, cents(&self.to).await]
    }

    async fn payments(&self) -> Value {
        get(self.books.addr(), "/payments").await.json()
    }

    async fn found(&self) -> [u16; 2] {
        let entry = get(self.books.addr(), &format!("/entries/{}", self.entry)).await.status;
        [entry, get(self.clerk.addr(), &format!("/receipts/{}", self.receipt)).await.status]
    }

    async fn fill(&self, purse: &str) -> Answer {
        send(self.books.addr(), "PUT", &format!("/purses/{purse}/cents"), "", "5").await.unwrap()
    }

    /// What others were told of it.
    fn told(&self) -> Vec<String> {
        let mut told: Vec<_> = self.script.runs();
        told.retain(|run| run.starts_with("told") || run.starts_with("counted") || run.contains("Updated") || run.contains("Created"));
        told.sort();
        told
    }

    /// Nothing of it can be seen, and nobody else can get in between.
    async fn is_hidden(&self) {
        assert_eq!((self.purses().await, self.found().await), ([100, 100], [404, 404]));
        assert_eq!((self.payments().await, self.told()), (json!([]), vec![]));
    }

    /// All of it can be seen, once, and nobody holds anything.
    async fn is_seen(&self) {
        assert_eq!((self.purses().await, self.found().await), ([69, 130], [200, 200]));
        assert_eq!(self.payments().await, json!([{ "step": "take", "cents": -30 }]));
        let all =
            ["EntryCreated", "PurseUpdated", "PurseUpdated", "PurseUpdated", "counted 30", "told of fee", "told of give", "told of take"];
        until("all is told", async || self.told().len() >= all.len()).await;
        assert_eq!(self.told(), all);
        assert_eq!(get(self.clerk.addr(), &format!("/receipts/{}", self.receipt)).await.json()["cents"], 30);
        self.is_free().await;
    }

    async fn is_free(&self) {
        assert_eq!((self.fill(&self.from).await.status, self.fill(&self.to).await.status), (204, 204));
    }

    async fn stop(self) {
        tokio::join!(self.clerk.stop(), self.books.stop());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_seen_before_all_is_done() {
    let office = Office::with(Script::default()).await;
    let id = office.transfer().await;
    office.ran("stop").await;
    office.is_hidden().await;
    let values = office.clerk.sagas().show(id).await.unwrap().values;
    let value = |name: &str| values.get(name).and_then(Value::as_i64);
    assert_eq!(
        (value("left"), value("seen"), value("had"), value("after_fee")),
        (Some(70), Some(70), Some(130), Some(69)),
        "it sees itself"
    );
    for purse in [&office.from, &office.to] {
        let refused = office.fill(purse).await;
        assert!(refused.status == 409 && refused.detail().contains("is held by the saga `Transfer`"), "{refused:?}");
    }
    for (addr, path) in
        [(office.books.addr(), format!("/entries/{}", office.entry)), (office.clerk.addr(), format!("/receipts/{}", office.receipt))]
    {
        let refused = post(addr, &path, "1").await;
        assert!(refused.status == 409 && refused.detail().contains("is held by the saga `Transfer`"), "{refused:?}");
    }
    office.gates.open("stop", 1);
    office.ends_as("committed", id).await;
    office.is_seen().await;
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_was_there_if_it_fails() {
    for step in ["give", "close"] {
        let office = Office::with(Script::default().with(step, &[Trouble::Refuse])).await;
        office.gates.open("stop", 1);
        let id = office.transfer().await;
        office.ends_as("rolled_back", id).await;
        office.is_hidden().await;
        office.is_free().await;
        // What was never there can be made now.
        let made = post(office.books.addr(), &format!("/entries/{}", office.entry), "1").await;
        assert_eq!((made.status, made.json()["cents"].as_i64()), (200, Some(1)), "{step}: {made:?}");
        assert_eq!(post(office.clerk.addr(), &format!("/receipts/{}", office.receipt), "1").await.status, 200);
        assert_eq!(office.found().await, [200, 200]);
        assert_eq!(post(office.books.addr(), &format!("/entries/{}", office.entry), "1").await.status, 409, "but once");
        office.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_prepared_stays_prepared_over_a_restart() {
    let office = Office::with(Script::default()).await;
    let id = office.transfer().await;
    office.ran("stop").await;
    let office = office.restarted().await;
    office.is_hidden().await;
    assert_eq!(office.fill(&office.from).await.status, 409);
    office.gates.open("stop", 1);
    office.ends_as("committed", id).await;
    office.is_seen().await;
    office.stop().await;
}

/// It is decided, and cannot be applied: that does not go back, neither by itself nor by an operator nor by a restart.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_decided_is_applied_as_soon_as_it_can_be() {
    let office = Office::without_table(Script::default()).await;
    office.gates.open("stop", 1);
    let id = office.transfer().await;
    office.ends_as("needs_operator", id).await;
    let shown = office.clerk.sagas().show(id).await.unwrap();
    assert!(shown.decided && shown.steps["take"].error.as_ref().unwrap().message.contains("payments"), "{shown:?}");
    assert_eq!(office.purses().await, [100, 100]);
    assert_eq!(office.found().await, [404, 200], "what the coordinator has prepared is applied with the decision");
    assert_eq!(office.fill(&office.from).await.status, 409);
    let refused = office.clerk.sagas().repair(id, Repair::Rollback, None).await.unwrap_err();
    assert!(refused.to_string().contains("can only go forward"), "{refused}");
    let office = office.restarted().await;
    office.make_table().await;
    office.clerk.sagas().repair(id, Repair::Retry { step: "take".into() }, None).await.unwrap();
    office.ends_as("committed", id).await;
    office.is_seen().await;
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_prepared_too_late_is_dropped() {
    let office = Office::with(Script::default().with("take", &[Trouble::Sleep(800)])).await;
    let answer = post(office.clerk.addr(), "/transfers/quickly", &json!({ "from": office.from, "cents": 30 }).to_string()).await;
    assert_eq!(answer.status, 504, "{answer:?}");
    office.is_hidden().await;
    office.is_free().await;
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_has_released_cannot_be_committed() {
    let office = Office::with(Script::default()).await;
    let id = office.transfer().await;
    office.ran("stop").await;
    // Of the coordinator's own: it is seen before anything is decided.
    office.clerk.release("Receipt", office.receipt, None).await.unwrap();
    office.gates.open("stop", 1);
    office.ends_as("rolled_back", id).await;
    office.is_hidden().await;
    office.is_free().await;
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_kept_from_view_is_refused() {
    let office = Office::with(Script::default()).await;
    for (what, why) in [("run", "run a saga"), ("start", "start a saga"), ("mail", "have an effect outside")] {
        let refused = post(office.clerk.addr(), &format!("/leaks/{what}"), "").await;
        assert!(refused.status == 422 && refused.detail().contains(why), "{what}: {refused:?}");
    }
    office.stop().await;
}

/// A copy of a service's store while nobody has it open, and the way back.
fn backed_up(dir: &TempDir, name: &str) {
    fs::copy(file(dir, name), file(dir, &format!("{name}-backup"))).unwrap();
}

fn restored(dir: &TempDir, name: &str) {
    fs::copy(file(dir, &format!("{name}-backup")), file(dir, name)).unwrap();
}

/// All attempts are used up before the participant can do it, also while its coordinator is away: nobody but itself has to ask.
#[tokio::test(flavor = "multi_thread")]
async fn who_has_prepared_asks_what_was_decided_when_that_was_given_up() {
    let office = Office::asking_after("200ms", Script::default()).await;
    office.gates.open("stop", 1);
    let id = office.transfer().await;
    office.ends_as("needs_operator", id).await;
    assert_eq!(office.kept().await, ["fee", "give", "stop", "take"]);
    let (script, gates, ask_after) = (office.script.clone(), office.gates.clone(), office.ask_after);
    let office = office
        .restarted_after(async |dir| {
            let books = service(dir, &script, &gates, ask_after, "books").start().await.unwrap();
            assert_eq!(post(books.addr(), "/table", "").await.status, 204);
            let before = books.outcomes().list(1).await.unwrap()[0].ask_at;
            until("it has asked, and was not heard", async || books.outcomes().list(1).await.unwrap()[0].ask_at > before).await;
            books.stop().await;
        })
        .await;
    office.ends_as("committed", id).await;
    assert_eq!(office.clerk.sagas().show(id).await.unwrap().repairs, [], "without an operator");
    office.is_seen().await;
    until("nothing is kept", async || office.kept().await.is_empty()).await;
    office.stop().await;
}

/// The participant has forgotten what it was told. Its coordinator has ended long ago, and asks for nothing any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_participant_that_was_restored_asks_how_it_has_ended() {
    for (trouble, ends) in [(&[][..], "committed"), (&[Trouble::Refuse], "rolled_back")] {
        let office = Office::asking_after("200ms", Script::default().with("close", trouble)).await;
        office.make_table().await;
        let id = office.transfer().await;
        office.ran("stop").await;
        let office = office.restarted_after(async |dir| backed_up(dir, "books")).await;
        office.gates.open("stop", 1);
        office.ends_as(ends, id).await;
        let office = office.restarted_after(async |dir| restored(dir, "books")).await;
        assert_eq!(office.status(id).await, ends);
        until("it was told", async || office.kept().await.is_empty()).await;
        if ends == "committed" {
            assert_eq!((office.purses().await, office.found().await), ([69, 130], [200, 200]));
            assert_eq!(office.payments().await, json!([{ "step": "take", "cents": -30 }]));
        } else {
            assert_eq!((office.purses().await, office.found().await), ([100, 100], [404, 404]));
        }
        office.is_free().await;
        office.stop().await;
    }
}

/// The coordinator has forgotten the execution. It may have been decided: only an operator can know.
#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_knows_is_neither_applied_nor_dropped_but_by_the_operator() {
    let office = Office::asking_after("200ms", Script::default()).await;
    office.make_table().await;
    let office = office.restarted_after(async |dir| backed_up(dir, "clerk")).await;
    let id = office.transfer().await;
    office.ran("stop").await;
    let office = office.restarted_after(async |dir| restored(dir, "clerk")).await;
    let alarm = r#"minos_saga_alarms_total{service="clerk",saga="Transfer",step="fee",why="unknown"}"#;
    until("the operator is told", async || office.clerk.metrics().contains(alarm)).await;
    assert_eq!((office.purses().await, office.kept().await), ([100, 100], ["fee", "give", "take"].map(str::to_owned).to_vec()));
    assert_eq!(office.fill(&office.from).await.status, 409, "it is still held");
    let admin = office.books.admin_addr().unwrap();
    let kept = get(admin, "/kept-steps").await.json();
    assert_eq!(
        (&kept[1]["saga"], &kept[1]["service"], &kept[1]["prepared"]),
        (&json!("Transfer"), &json!("clerk"), &json!(true)),
        "{kept}"
    );
    assert_eq!(send(admin, "PUT", &format!("/kept-steps/ask?execution={id}"), "", "").await.unwrap().json(), json!({ "asked": 3 }));
    let settle = async |step: &str, how: &str| send(admin, "PUT", &format!("/kept-steps/{id}/{step}/{how}"), "", "").await.unwrap().status;
    for (step, how) in [("take", "apply"), ("give", "drop"), ("fee", "drop")] {
        assert_eq!(settle(step, how).await, 200);
        until(step, async || !office.kept().await.contains(&step.to_owned())).await;
        assert_eq!(settle(step, how).await, 404, "once");
    }
    // What `fee` has prepared for the same purse was applied with `take`: a purse is seen as a whole.
    assert_eq!(office.purses().await, [69, 100]);
    assert_eq!((office.fill(&office.from).await.status, office.fill(&office.to).await.status), (204, 204));
    office.stop().await;
}
