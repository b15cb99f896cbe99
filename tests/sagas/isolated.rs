//! Isolated sagas: what their steps do is seen when all is done, or never.

use crate::{
    bank::{Script, Trouble},
    common::{Answer, config, get, post, send, until},
    shop::Gates,
};
use minos::{Running, prelude::*, saga::Repair};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Office {
    clerk: Running,
    books: Running,
    script: Script,
    gates: Gates,
    dir: TempDir,
    from: String,
    to: String,
    entry: Uuid,
    receipt: Uuid,
}

/// Both services on files of this directory.
async fn start(dir: &TempDir, script: &Script, gates: &Gates) -> (Running, Running) {
    let service = |name: &str| {
        let url = format!("sqlite://{}", dir.path().join(format!("{name}.db")).display());
        let text = config(name, &url).replace("request_timeout = \"2s\"", "request_timeout = \"20s\"\ndrain_timeout = \"1s\"");
        let text = format!("{text}\n[sagas]\nattempts = 4\nfirst_pause = \"5ms\"\npatience = \"200ms\"");
        Service::from_toml(&text).unwrap().module(format!("sagas::ledger::{name}")).with(script.clone()).with(gates.clone())
    };
    let mut both = Service::start_all([service("clerk"), service("books")]).await.unwrap();
    let books = both.pop().unwrap();
    (both.pop().unwrap(), books)
}

impl Office {
    async fn with(script: Script) -> Self {
        let office = Office::without_table(script).await;
        office.make_table().await;
        office
    }

    async fn without_table(script: Script) -> Self {
        let (dir, gates) = (tempfile::tempdir().unwrap(), Gates::default());
        let (clerk, books) = start(&dir, &script, &gates).await;
        let open = async |cents: &str| post(books.addr(), "/purses", cents).await.json().as_str().unwrap().to_owned();
        let (from, to) = (open("100").await, open("100").await);
        Office { clerk, books, script, gates, dir, from, to, entry: Uuid::now_v7(), receipt: Uuid::now_v7() }
    }

    async fn make_table(&self) {
        assert_eq!(post(self.books.addr(), "/table", "").await.status, 204);
    }

    async fn restarted(self) -> Self {
        tokio::join!(self.clerk.stop(), self.books.stop());
        // What waits at a gate of before may still be there.
        let gates = Gates::default();
        let (clerk, books) = start(&self.dir, &self.script, &gates).await;
        Office { clerk, books, gates, ..self }
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
