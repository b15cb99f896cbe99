//! Whole services: over HTTP and the local broker, on each embedded store.

#![allow(unreachable_pub)]

mod common;

use common::{Answer, config, get, post, send, until};
use minos::{Running, prelude::*};
use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// Counts calls, from inside handlers.
#[derive(Default, Clone)]
struct Calls(Arc<AtomicUsize>);

/// What a handler has seen, and whether its bug is fixed.
#[derive(Default, Clone)]
struct Bug {
    seen: Arc<Mutex<Vec<String>>>,
    fixed: Arc<AtomicBool>,
}

impl Calls {
    fn add(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

mod account {
    use super::Calls;
    use minos::prelude::*;

    #[aggregate]
    pub struct Account {
        pub owner: String,
        pub balance: u64,
    }

    #[aggregate]
    impl Account {
        #[event("MoneyDeposited")]
        fn deposited(&mut self, amount: u64) {
            self.balance += amount;
        }

        #[event("MoneyWithdrawn")]
        fn withdrawn(&mut self, amount: u64) {
            self.balance -= amount;
        }

        /// Rules live in a plain method, which runs once, when the command does.
        pub fn withdraw(&mut self, amount: u64) -> Result<()> {
            ensure!(self.balance >= amount, "insufficient funds");
            self.withdrawn(amount);
            Ok(())
        }

        pub fn is_empty(&self) -> bool {
            self.balance == 0
        }
    }

    #[derive(Deserialize)]
    pub struct Open {
        owner: String,
    }

    #[derive(Deserialize)]
    pub struct Amount {
        amount: u64,
    }

    #[command("OpenAccount", POST "/accounts")]
    async fn open(cx: &mut Context, input: Open) -> Result<Uuid> {
        Ok(Account::create(cx, Account { owner: input.owner, balance: 0 }).await?.uuid())
    }

    #[command("Deposit", POST "/accounts/{uuid}/deposits")]
    async fn deposit(cx: &mut Context, Path(uuid): Path<Uuid>, input: Amount) -> Result<u64> {
        cx.resource::<Calls>()?.add();
        let mut account = Account::get(cx, uuid).await?;
        account.deposited(input.amount);
        account.save(cx).await?;
        Ok(account.balance)
    }

    #[command("Withdraw", POST "/accounts/{uuid}/withdrawals")]
    async fn withdraw(input: Amount, Path(uuid): Path<Uuid>, cx: &mut Context) -> Result<()> {
        let mut account = Account::get(cx, uuid).await?;
        account.owner = account.owner.to_uppercase();
        account.withdraw(input.amount)?;
        account.save(cx).await
    }

    #[command(DELETE "/accounts/{uuid}")]
    async fn close(cx: &mut Context, Path(uuid): Path<Uuid>) -> Result<()> {
        let account = Account::get(cx, uuid).await?;
        ensure!(account.is_empty(), "there is still money in it");
        account.delete(cx).await
    }

    #[query("GetAccount", GET "/accounts/{uuid}")]
    async fn read(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Account>> {
        Account::get(cx, uuid).await
    }

    /// What the event handlers have seen.
    #[aggregate]
    pub struct Statement {
        pub lines: Vec<String>,
    }

    async fn note(cx: &mut Context, account: Uuid, line: String) -> Result<()> {
        match Statement::find_one(cx, account).await? {
            None => Statement::create_as(cx, account, Statement { lines: vec![line] }).await.map(|_| ()),
            Some(mut statement) => {
                statement.lines.push(line);
                statement.save(cx).await
            }
        }
    }

    #[event("AccountCreated")]
    async fn opened(cx: &mut Context, event: AccountCreated) -> Result<()> {
        note(cx, event.uuid(), format!("{}: opened by {}", event.version(), event.owner)).await
    }

    #[event("Account.MoneyDeposited", "Account.MoneyWithdrawn")]
    async fn moved(cx: &mut Context, event: Event<MoneyDeposited>) -> Result<()> {
        note(cx, event.uuid(), format!("{}: {} {}", event.version(), event.name(), event.amount)).await
    }

    #[event("AccountUpdated.owner")]
    async fn renamed(cx: &mut Context, event: AccountUpdated) -> Result<()> {
        note(cx, event.uuid(), format!("{}: now of {}", event.version(), event.get::<String>("owner")?.unwrap_or_default())).await
    }

    #[event("AccountDeleted")]
    async fn closed(cx: &mut Context, event: AccountDeleted) -> Result<()> {
        note(cx, event.uuid(), format!("{}: closed", event.version())).await
    }

    #[query(GET "/statements/{uuid}")]
    async fn statement(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Statement>> {
        Statement::get(cx, uuid).await
    }
}

mod trouble {
    use super::{Bug, Calls};
    use minos::prelude::*;
    use std::sync::atomic::Ordering;

    /// Has a bug that shows with the first event of some jobs.
    #[event("JobCreated", "JobUpdated.mood")]
    async fn follows(cx: &mut Context, event: Event<serde_json::Value>) -> Result<()> {
        let bug = cx.resource::<Bug>()?;
        ensure!(event["mood"] != "blocks" || bug.fixed.load(Ordering::SeqCst), "a bug");
        bug.seen.lock().unwrap().push(format!("{} {}", event.version(), event["mood"]));
        Ok(())
    }

    #[aggregate]
    pub struct Job {
        pub mood: String,
    }

    #[derive(Deserialize)]
    pub struct Start {
        mood: String,
    }

    #[command(POST "/jobs")]
    async fn start(cx: &mut Context, input: Start) -> Result<Uuid> {
        Ok(Job::create(cx, Job { mood: input.mood }).await?.uuid())
    }

    #[command(PUT "/jobs/{uuid}")]
    async fn change(cx: &mut Context, Path(uuid): Path<Uuid>, input: Start) -> Result<()> {
        let mut job = Job::get(cx, uuid).await?;
        job.mood = input.mood;
        job.save(cx).await
    }

    #[event("JobCreated")]
    async fn created(cx: &mut Context, event: JobCreated) -> Result<()> {
        let calls = cx.resource::<Calls>()?.clone();
        match event.mood.as_str() {
            "panics" => panic!("as told"),
            "refuses" => bail!("never"),
            "hesitates" if calls.add() < 3 => Err(Error::internal("not yet")),
            _ => Ok(()),
        }
    }

    #[event("JobUpdated.mood")]
    async fn updated(cx: &mut Context, _event: JobUpdated) -> Result<()> {
        cx.resource::<Calls>()?.add();
        Ok(())
    }

    #[query(GET "/panic")]
    async fn panics() -> Result<String> {
        panic!("the secret is 42");
    }

    #[query(GET "/fail")]
    async fn fails() -> Result<String> {
        Ok(std::fs::read_to_string("/no/such/secret")?)
    }

    #[query(GET "/takes-a-while")]
    async fn takes_a_while(cx: &Context) -> Result<&'static str> {
        cx.resource::<Calls>()?.add();
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        Ok("done")
    }

    #[query(GET "/slow")]
    async fn slow() -> Result<()> {
        std::future::pending().await
    }

    #[derive(Debug, minos::Problem)]
    pub enum Stock {
        #[problem(status = 409)]
        Full,
    }
    impl std::fmt::Display for Stock {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("the stock is full")
        }
    }
    impl std::error::Error for Stock {}

    #[command(POST "/stock")]
    async fn stock() -> Result<()> {
        Err(Stock::Full)?
    }

    #[query(GET "/teapot")]
    async fn teapot(headers: Headers, user: User) -> Result<Response> {
        assert!(user.is_anonymous());
        let text = headers.text("x-tea").unwrap_or("none").to_owned();
        Ok(Response::json(&text)?.with_status("418".parse()?))
    }
}

mod talk {
    use minos::prelude::*;

    #[message("GetAccount", reply = serde_json::Value)]
    pub struct GetAccount {
        pub uuid: Uuid,
    }

    #[message("Deposit", reply = u64, key = uuid)]
    pub struct Deposit {
        pub uuid: Uuid,
        pub amount: u64,
    }

    #[message("NobodyHandlesThis")]
    pub struct Lost {}

    #[derive(Deserialize)]
    pub struct Forward {
        uuid: Uuid,
        amount: u64,
    }

    #[command(POST "/forward")]
    async fn forward(cx: &mut Context, input: Forward) -> Result<()> {
        cx.send(Deposit { uuid: input.uuid, amount: input.amount })
    }

    #[query(POST "/ask")]
    async fn ask(cx: &Context, input: Forward) -> Result<serde_json::Value> {
        cx.ask(GetAccount { uuid: input.uuid }).await
    }

    #[command(POST "/ask-to-deposit")]
    async fn ask_to_deposit(cx: &mut Context, input: Forward) -> Result<u64> {
        cx.ask(Deposit { uuid: input.uuid, amount: input.amount }).await
    }

    #[command(POST "/lose")]
    async fn lose(cx: &mut Context) -> Result<()> {
        cx.send(Lost {})
    }
}

fn service(store: &str, module: &str, calls: &Calls) -> Service {
    Service::from_toml(&config("test", store)).unwrap().module(format!("service::{module}")).with(calls.clone()).with(Bug::default())
}

async fn start(module: &str) -> (Running, SocketAddr, Calls) {
    let calls = Calls::default();
    let running = service("memory:", module, &calls).start().await.unwrap();
    let addr = running.addr();
    (running, addr, calls)
}

async fn open(addr: SocketAddr) -> String {
    let answer = post(addr, "/accounts", r#"{"owner":"ada"}"#).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json().as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_lives_on_every_store() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}", directory.path().join("test.db").display());
    for store in ["memory:", &file] {
        let running = service(store, "account", &Calls::default()).start().await.unwrap();
        let addr = running.addr();
        let id = open(addr).await;
        assert_eq!(post(addr, &format!("/accounts/{id}/deposits"), r#"{"amount":5}"#).await.json(), 5);
        let refused = post(addr, &format!("/accounts/{id}/withdrawals"), r#"{"amount":6}"#).await;
        assert_eq!((refused.status, refused.detail()), (422, "insufficient funds".to_owned()));
        assert_eq!(post(addr, &format!("/accounts/{id}/withdrawals"), r#"{"amount":5}"#).await.status, 204);
        let account = get(addr, &format!("/accounts/{id}")).await.json();
        assert_eq!((&account["owner"], &account["balance"], &account["version"]), (&"ADA".into(), &0.into(), &4.into()));
        assert_eq!(send(addr, "DELETE", &format!("/accounts/{id}"), "", "").await.unwrap().status, 204);
        assert_eq!(get(addr, &format!("/accounts/{id}")).await.status, 404);
        let lines = ["1: opened by ada", "2: MoneyDeposited 5", "3: now of ADA", "4: MoneyWithdrawn 5", "5: closed"];
        until("all events are handled, in order", async || {
            let statement = get(addr, &format!("/statements/{id}")).await;
            statement.status == 200
                && statement.json()["lines"].as_array().is_some_and(|seen| seen.len() == 5 && seen.iter().zip(lines).all(|(a, b)| a == b))
        })
        .await;
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_writers_of_one_aggregate_all_succeed() {
    let directory = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}", directory.path().join("test.db").display());
    let running = service(&file, "account", &Calls::default()).start().await.unwrap();
    let addr = running.addr();
    let ids: Vec<String> = futures(200, |_| async move { open(addr).await }).await;
    let path = format!("/accounts/{}/deposits", ids[0]);
    let answers = futures(200, |_| {
        let path = path.clone();
        async move { post(addr, &path, r#"{"amount":1}"#).await }
    });
    let mut balances: Vec<u64> =
        answers.await.iter().map(|answer| answer.json().as_u64().unwrap_or_else(|| panic!("{answer:?}"))).collect();
    balances.sort();
    assert_eq!(balances, (1..=200).collect::<Vec<_>>(), "each saw the change of the one before");
    let account = get(addr, &format!("/accounts/{}", ids[0])).await.json();
    assert_eq!((&account["balance"], &account["version"]), (&200.into(), &201.into()));
    running.stop().await;
}

async fn futures<T: Send + 'static, F: Future<Output = T> + Send + 'static>(count: usize, make: impl Fn(usize) -> F) -> Vec<T> {
    let tasks: Vec<_> = (0..count).map(|n| tokio::spawn(make(n))).collect();
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.unwrap());
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn one_idempotency_key_is_one_execution() {
    let (running, addr, calls) = start("account").await;
    let path = format!("/accounts/{}/deposits", open(addr).await);
    let answers = futures(10, |_| {
        let path = path.clone();
        async move { send(addr, "POST", &path, "idempotency-key: k1\r\n", r#"{"amount":7}"#).await.unwrap() }
    })
    .await;
    assert!(answers.iter().all(|answer| (answer.status, answer.body.as_str()) == (200, "7")), "{answers:?}");
    assert_eq!(calls.count(), 1);
    let other = send(addr, "POST", &path, "idempotency-key: k1\r\n", r#"{"amount":8}"#).await.unwrap();
    assert_eq!(other.status, 422);
    assert_eq!(send(addr, "POST", &path, "idempotency-key: \r\n", r#"{"amount":8}"#).await.unwrap().status, 400);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_told_and_changes_nothing() {
    let (running, addr, _) = start("account").await;
    let told = async |body: &str| {
        let Answer { status, .. } = post(addr, "/accounts", body).await;
        (status, post(addr, "/accounts", body).await.detail())
    };
    let (status, detail) = told(r#"{"owner":"#).await;
    assert!(status == 400 && detail.contains("no JSON"), "{detail}");
    let (status, detail) = told(r#"{"owner":1}"#).await;
    assert!(status == 422 && detail.contains("expected a string"), "{detail}");
    let (status, detail) = told("{}").await;
    assert!(status == 422 && detail.contains("missing field `owner`"), "{detail}");
    let (status, detail) = told(r#"{"owner":"a","age":1}"#).await;
    assert!(status == 422 && detail.contains("unknown field `age`; there are `owner`"), "{detail}");
    assert_eq!(told("").await.0, 400);
    assert_eq!(told(&format!(r#"{{"owner":"{}"}}"#, "x".repeat(20_000))).await.0, 413);
    assert_eq!(get(addr, "/accounts/nope").await.status, 422);
    assert_eq!(get(addr, "/accounts/%ff").await.status, 400);
    assert_eq!(get(addr, "/nothing").await.status, 404);
    let other = send(addr, "PUT", "/accounts", "", "").await.unwrap();
    assert!(other.status == 405 && other.head.contains("allow: POST, OPTIONS"), "{other:?}");
    let xml = send(addr, "POST", "/accounts", "content-type: text/xml\r\n", "<a/>").await.unwrap();
    assert_eq!(xml.status, 415);
    let deep = format!(r#"{{"owner":"a","x":{}"#, "[".repeat(9_000));
    assert_eq!(told(&deep).await.0, 400);
    let chunked =
        format!("POST /accounts HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n4e20\r\n{}\r\n0\r\n\r\n", "x".repeat(20_000));
    assert_eq!(common::raw(addr, chunked.as_bytes()).await.unwrap().status, 413);
    assert!(running.store().log(0, 10, None).await.unwrap().events.is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_are_let_go() {
    let (running, addr, _) = start("account").await;
    // Headers that never end: the connection is closed.
    let closed = tokio::time::timeout(Duration::from_secs(5), common::raw(addr, b"POST /accounts HTTP/1.1\r\nhost: x\r\n")).await;
    assert!(closed.is_ok(), "the connection was left open");
    let body = common::raw(addr, b"POST /accounts HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100\r\n\r\n{").await.unwrap();
    assert_eq!(body.status, 408, "{body:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_inside_is_not_told_outside() {
    let (running, addr, _) = start("trouble").await;
    for path in ["/panic", "/fail"] {
        let answer = get(addr, path).await;
        assert_eq!((answer.status, answer.json()["title"].as_str()), (500, Some("internal error")));
        assert!(!answer.body.contains("secret"), "{answer:?}");
    }
    assert_eq!(get(addr, "/slow").await.status, 504);
    let stock = post(addr, "/stock", "").await;
    assert_eq!((stock.status, stock.detail()), (409, "the stock is full".to_owned()));
    let tea = send(addr, "GET", "/teapot", "x-tea: green\r\n", "").await.unwrap();
    assert_eq!((tea.status, tea.body.as_str()), (418, "\"green\""));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_handled_parks_its_key_only() {
    let (running, addr, calls) = start("trouble").await;
    let job = async |mood: &str| post(addr, "/jobs", &format!(r#"{{"mood":"{mood}"}}"#)).await.json().as_str().unwrap().to_owned();
    let (bad, good) = (job("refuses").await, job("fine").await);
    job("panics").await;
    let letters = running.dead_letters();
    until("two are put aside", async || letters.list().await.unwrap().len() == 2).await;
    let list = letters.list().await.unwrap();
    assert!(list[0].letter.key.contains(&bad) && list[0].letter.cause == "never" && list[0].letter.attempts == 1, "{list:?}");
    assert!(list[1].letter.cause.contains("panicked: as told") && list[1].letter.attempts == 3, "{list:?}");
    // Another handler of the same key, and other keys, go on.
    for id in [&bad, &good] {
        assert_eq!(send(addr, "PUT", &format!("/jobs/{id}"), "", r#"{"mood":"done"}"#).await.unwrap().status, 204);
    }
    until("both updates are handled", async || calls.count() == 2).await;
    assert!(letters.replay(list[0].id).await.is_err(), "it is refused again");
    letters.discard(list[0].id).await.unwrap();
    letters.discard(list[1].id).await.unwrap();
    assert!(letters.list().await.unwrap().is_empty());
    assert!(letters.discard(list[0].id).await.is_err());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_behind_a_dead_letter_waits_and_is_replayed_in_order() {
    let bug = Bug::default();
    let running = service("memory:", "trouble", &Calls::default()).with(bug.clone()).start().await.unwrap();
    let (addr, letters) = (running.addr(), running.dead_letters());
    let id = post(addr, "/jobs", r#"{"mood":"blocks"}"#).await.json().as_str().unwrap().to_owned();
    let change = async |mood: &str| send(addr, "PUT", &format!("/jobs/{id}"), "", &format!(r#"{{"mood":"{mood}"}}"#)).await.unwrap().status;
    until("the first is put aside", async || letters.list().await.unwrap().len() == 1).await;
    assert_eq!(change("later").await, 204);
    until("the next one waits behind it", async || letters.list().await.unwrap().len() == 2).await;
    let list = letters.list().await.unwrap();
    assert_eq!((list[1].letter.attempts, list[1].letter.cause.as_str()), (0, "waits behind an earlier dead letter of its key"));
    assert!(bug.seen.lock().unwrap().is_empty(), "nothing came before its turn");
    bug.fixed.store(true, Ordering::SeqCst);
    assert_eq!(letters.replay(list[0].id).await.unwrap(), 2);
    assert_eq!(change("at last").await, 204);
    until("the key flows again", async || bug.seen.lock().unwrap().len() == 3).await;
    assert_eq!(*bug.seen.lock().unwrap(), [r#"1 "blocks""#, r#"2 "later""#, r#"3 "at last""#]);
    assert!(letters.list().await.unwrap().is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_tried_again_until_it_succeeds() {
    let (running, addr, calls) = start("trouble").await;
    post(addr, "/jobs", r#"{"mood":"hesitates"}"#).await;
    until("the third attempt succeeds", async || calls.count() == 3).await;
    assert!(running.dead_letters().list().await.unwrap().is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn services_of_one_process_talk() {
    let calls = Calls::default();
    let talk = Service::from_toml(&config("talk", "memory:")).unwrap().module("service::talk");
    let mut running = Service::start_all([service("memory:", "account", &calls), talk]).await.unwrap();
    let (accounts, talk) = (running[0].addr(), running[1].addr());
    let id = open(accounts).await;
    assert_eq!(post(talk, "/forward", &format!(r#"{{"uuid":"{id}","amount":3}}"#)).await.status, 204);
    until("the command arrives", async || get(accounts, &format!("/accounts/{id}")).await.json()["balance"] == 3).await;
    let asked = post(talk, "/ask", &format!(r#"{{"uuid":"{id}","amount":0}}"#)).await;
    assert_eq!(asked.json()["owner"], "ada", "{asked:?}");
    assert_eq!(post(talk, "/ask-to-deposit", &format!(r#"{{"uuid":"{id}","amount":4}}"#)).await.json(), 7);
    let none = post(talk, "/ask", &format!(r#"{{"uuid":"{}","amount":0}}"#, Uuid::nil())).await;
    assert!(none.status == 404 && none.detail().contains("`GetAccount` failed: there is no Account"), "{none:?}");
    assert_eq!(post(talk, "/lose", "").await.status, 204);
    let letters = running[1].dead_letters();
    until("what nobody handles is put aside", async || letters.list().await.unwrap().len() == 1).await;
    for running in running.drain(..) {
        running.stop().await;
    }
}

mod twice {
    use minos::prelude::*;

    #[command("Same", POST "/same")]
    async fn first() {}

    #[query("Same", POST "/same")]
    async fn second() {}

    #[event("NoSuchThingCreated")]
    async fn waits_for_ever(_cx: &mut Context) {}
}

#[tokio::test]
async fn mistakes_between_handlers_are_told_with_both_places() {
    let error = service("memory:", "twice", &Calls::default()).start().await.err().unwrap().to_string();
    let lines: Vec<_> = ["first", "second"].iter().map(|name| format!("`{name}` at tests/service.rs:")).collect();
    for what in ["two handlers for the topic `Same`", "two handlers for `POST /same`"] {
        assert!(error.contains(what), "{error}");
    }
    assert!(lines.iter().all(|line| error.matches(line.as_str()).count() == 2), "{error}");
    assert!(error.contains("nothing can deliver `NoSuchThingCreated` to `waits_for_ever` at tests/service.rs:"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_told() {
    let (running, addr, _) = start("account").await;
    let text = config("test", "memory:").replace("127.0.0.1:0", &addr.to_string());
    let error = Service::from_toml(&text).unwrap().module("service::account").start().await.err().unwrap().to_string();
    assert_eq!(
        error,
        format!("`test` cannot start: {addr} is already in use: stop the other program, or set MINOS_HTTP_ADDR to another address")
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told() {
    let (running, addr, _) = start("account").await;
    assert_eq!(get(addr, "/health").await.json()["status"], "up");
    until("it is ready", async || get(addr, "/health/ready").await.status == 200).await;
    let ready = get(addr, "/health/ready").await.json();
    assert!(ready["parts"]["store"]["works"] == true && ready["parts"]["relay"]["works"] == true, "{ready}");
    running.store().close().await;
    until("it is not ready", async || get(addr, "/health/ready").await.status == 503).await;
    let failed = post(addr, "/accounts", r#"{"owner":"ada"}"#).await;
    assert!(failed.status == 503 && failed.head.contains("retry-after"), "{failed:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_was_begun() {
    let (running, addr, calls) = start("trouble").await;
    let begun = tokio::spawn(async move { get(addr, "/takes-a-while").await });
    until("it has begun", async || calls.count() == 1).await;
    running.stop().await;
    let answer = begun.await.unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "\"done\""));
    assert!(send(addr, "GET", "/takes-a-while", "", "").await.is_err(), "nothing new is taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn head_and_pipelines_and_correlation_are_answered() {
    let (running, addr, _) = start("trouble").await;
    let head = send(addr, "HEAD", "/teapot", "", "").await.unwrap();
    assert_eq!((head.status, head.body.as_str()), (418, ""));
    let two = "GET /health HTTP/1.1\r\nhost: x\r\n\r\nGET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let both = common::raw(addr, two.as_bytes()).await.unwrap();
    assert_eq!(both.body.matches("HTTP/1.1 200").count(), 1, "the second answer follows the first: {both:?}");
    let id = Uuid::now_v7();
    let answer = send(addr, "GET", "/health", &format!("x-correlation-id: {id}\r\n"), "").await.unwrap();
    assert!(answer.head.contains(&format!("x-correlation-id: {id}")), "{answer:?}");
    let huge = send(addr, "GET", "/health", &format!("x: {}\r\n", "y".repeat(200_000)), "").await;
    assert!(huge.map_or(true, |answer| answer.status == 431), "headers have a limit");
    assert_eq!(get(addr, "/health").await.status, 200);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tower_layers_go_around_everything() {
    let layer = tower::util::MapResponseLayer::new(|mut response: minos::http::Response| {
        response.headers_mut().insert("x-layer", "there".parse().unwrap());
        response
    });
    let running = service("memory:", "account", &Calls::default()).layer(layer).start().await.unwrap();
    assert!(get(running.addr(), "/health").await.head.contains("x-layer: there"));
    assert!(get(running.addr(), "/nothing").await.head.contains("x-layer: there"));
    running.stop().await;
}
