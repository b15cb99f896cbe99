//! What is remembered never decides: two processes of one service, of which one has written what the other remembers.

use super::{Handle, HandlerDef, Job, Kind, Parts, Request, Response, Runner};
use crate::{
    aggregate::Aggregate,
    clock,
    context::{Context, Environment, Resources},
    error::{Error, ErrorKind, Result},
    metrics::Metrics,
    store::{Cause, MemoryStore, NewEvent, SharedStore, StreamId, Unit},
};
use futures_util::future::{BoxFuture, FutureExt};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering::SeqCst},
};
use uuid::Uuid;

const ONE: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);

#[derive(Serialize, Deserialize)]
struct Account {
    balance: i64,
}

impl Aggregate for Account {
    const NAME: &'static str = "Account";
    const FIELDS: &'static [&'static str] = &["balance"];
}

/// How often handlers of a process ran.
#[derive(Default)]
struct Runs(AtomicUsize);

fn ran(cx: &Context) -> Result<()> {
    cx.resource::<Runs>()?.0.fetch_add(1, SeqCst);
    Ok(())
}

fn open<'a>(cx: &'a mut Context, _: &'a Request) -> BoxFuture<'a, Result<Response>> {
    async {
        Account::create_as(cx, ONE, Account { balance: 10 }).await?;
        Account::create_as(cx, OTHER, Account { balance: 0 }).await?;
        Ok(Response::default())
    }
    .boxed()
}

fn open_one<'a>(cx: &'a mut Context, _: &'a Request) -> BoxFuture<'a, Result<Response>> {
    async {
        Account::create_as(cx, ONE, Account { balance: 10 }).await?;
        Ok(Response::default())
    }
    .boxed()
}

fn pay_in<'a>(cx: &'a mut Context, _: &'a Request) -> BoxFuture<'a, Result<Response>> {
    async {
        ran(cx)?;
        let mut account = Account::get(cx, ONE).await?;
        account.balance += 5;
        account.save(cx).await?;
        Response::json(&account.balance)
    }
    .boxed()
}

/// Takes out more than there was at first.
fn take_out<'a>(cx: &'a mut Context, _: &'a Request) -> BoxFuture<'a, Result<Response>> {
    async {
        ran(cx)?;
        let mut account = Account::get(cx, ONE).await?;
        if account.balance < 15 {
            return Err(Error::rejected("not enough"));
        }
        account.balance -= 15;
        account.save(cx).await?;
        Response::json(&account.balance)
    }
    .boxed()
}

fn balance<'a>(cx: &'a mut Context, _: &'a Request) -> BoxFuture<'a, Result<Response>> {
    async {
        ran(cx)?;
        Response::json(&Account::get(cx, ONE).await?.balance)
    }
    .boxed()
}

/// Writes down elsewhere what it reads.
fn copy<'a>(cx: &'a mut Context, _: &'a Request) -> BoxFuture<'a, Result<Response>> {
    async {
        ran(cx)?;
        let balance = Account::get(cx, ONE).await?.balance;
        let mut other = Account::get(cx, OTHER).await?;
        other.balance = balance;
        other.save(cx).await?;
        Response::json(&other.balance)
    }
    .boxed()
}

/// Looks, and looks again.
fn look_twice<'a>(cx: &'a mut Context, _: &'a Request) -> BoxFuture<'a, Result<Response>> {
    async {
        ran(cx)?;
        let mut account = Account::get(cx, ONE).await?;
        let before = account.balance;
        account.refresh(cx).await?;
        account.balance += 1;
        account.save(cx).await?;
        Response::json(&(before, account.balance))
    }
    .boxed()
}

/// Writes it and is refused in the end, by what it read.
fn write_and_fail<'a>(cx: &'a mut Context, _: &'a Request) -> BoxFuture<'a, Result<Response>> {
    async {
        ran(cx)?;
        let mut account = Account::get(cx, ONE).await?;
        account.balance -= 15;
        account.save(cx).await?;
        if account.balance < 0 { Err(Error::rejected("not enough")) } else { Response::json(&account.balance) }
    }
    .boxed()
}

/// Tells the world what it has read.
fn tell<'a>(cx: &'a mut Context, _: &'a Request) -> BoxFuture<'a, Result<Response>> {
    async {
        ran(cx)?;
        let mut account = Account::get(cx, ONE).await?;
        let balance = account.balance;
        let told = cx.effect("tell", async |_| Ok::<_, Error>(balance)).await?;
        cx.resource::<Told>()?.0.lock().unwrap().push(told);
        account.balance = 0;
        account.save(cx).await?;
        Ok(Response::default())
    }
    .boxed()
}

/// Copies an account into a new one. When it runs for the second time, another process writes what it has read.
fn copy_anew<'a>(cx: &'a mut Context, _: &'a Request) -> BoxFuture<'a, Result<Response>> {
    async {
        ran(cx)?;
        let balance = Account::get(cx, ONE).await?.balance;
        if cx.resource::<Runs>()?.0.load(SeqCst) == 2 {
            cx.resource::<Process>()?.call(&PAY_IN).await?;
        }
        Account::create_as(cx, OTHER, Account { balance }).await?;
        Response::json(&balance)
    }
    .boxed()
}

/// What the world was told.
#[derive(Default)]
struct Told(Mutex<Vec<i64>>);

const fn def(kind: Kind, function: &'static str, handle: Handle) -> HandlerDef {
    HandlerDef {
        kind,
        function,
        names: &[],
        routes: &[],
        access: crate::auth::Access::CLOSED,
        handle,
        about: super::About::NOTHING,
        module: "x",
        file: "x.rs",
        line: 1,
    }
}

static OPEN: HandlerDef = def(Kind::Command, "open", open);
static PAY_IN: HandlerDef = def(Kind::Command, "pay_in", pay_in);
static TAKE_OUT: HandlerDef = def(Kind::Command, "take_out", take_out);
static BALANCE: HandlerDef = def(Kind::Command, "balance", balance);
static ASK: HandlerDef = def(Kind::Query, "ask", balance);
static COPY: HandlerDef = def(Kind::Command, "copy", copy);
static TELL: HandlerDef = def(Kind::Command, "tell", tell);
static WRITE_AND_FAIL: HandlerDef = def(Kind::Command, "write_and_fail", write_and_fail);
static COPY_ANEW: HandlerDef = def(Kind::Command, "copy_anew", copy_anew);
static OPEN_ONE: HandlerDef = def(Kind::Command, "open_one", open_one);
static LOOK_TWICE: HandlerDef = def(Kind::Command, "look_twice", look_twice);

/// A process of the service.
struct Process(Runner);

impl Process {
    fn new(store: &SharedStore, bytes: usize) -> Self {
        Process::with(store, bytes, Resources::default())
    }

    fn with(store: &SharedStore, bytes: usize, mut resources: Resources) -> Self {
        resources.insert(Runs::default());
        resources.insert(Told::default());
        let environment = Environment::new("bank", store.clone(), clock::system(), resources, Metrics::new("bank"));
        Process(Runner::new(Arc::new(environment.remembering(bytes))))
    }

    async fn call(&self, def: &'static HandlerDef) -> Result<String> {
        let id = Uuid::now_v7();
        let request = Request::new(Parts::new(id, id));
        let answer = self.0.run(Job::new(def, request)).await?;
        Ok(String::from_utf8_lossy(answer.body()).into_owned())
    }

    /// Its answer, and how often the handler ran for it.
    async fn told(&self, def: &'static HandlerDef) -> (Result<String, ErrorKind>, usize) {
        let runs = || self.0.environment().resources.get::<Runs>().map_or(0, |runs| runs.0.load(SeqCst));
        let before = runs();
        let answer = self.call(def).await.map_err(|error| error.kind());
        (answer, runs() - before)
    }

    /// What it remembers of a stream: its version.
    fn remembers(&self, uuid: Uuid) -> Option<u64> {
        self.0.environment().recent.events(&StreamId::new("Account", uuid)).map(|events| events.len() as u64)
    }
}

/// Two processes, of which the first remembers that there are 10 in the account, and the second has made them 15.
async fn outdated() -> (Process, Process) {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let (one, two) = (Process::new(&store, 1 << 20), Process::new(&store, 1 << 20));
    one.call(&OPEN).await.unwrap();
    assert_eq!(one.remembers(ONE), Some(1));
    assert_eq!(two.call(&PAY_IN).await.unwrap(), "15");
    assert_eq!((one.remembers(ONE), two.remembers(ONE)), (Some(1), Some(2)));
    (one, two)
}

#[tokio::test]
async fn who_writes_what_another_process_has_written_runs_again() {
    let (one, two) = outdated().await;
    assert_eq!(one.told(&PAY_IN).await, (Ok("20".to_owned()), 2));
    assert_eq!(two.call(&BALANCE).await.unwrap(), "20");
}

#[tokio::test]
async fn nobody_is_refused_for_what_was_once() {
    let (one, _two) = outdated().await;
    assert_eq!(one.told(&TAKE_OUT).await, (Ok("0".to_owned()), 2));
    assert_eq!(one.told(&TAKE_OUT).await, (Err(ErrorKind::Rejected), 1));
    let (one, _two) = outdated().await;
    assert_eq!(one.told(&WRITE_AND_FAIL).await, (Ok("0".to_owned()), 2), "what is not committed was not checked by the commit");
}

#[tokio::test]
async fn nobody_is_answered_what_was_once() {
    let (one, _two) = outdated().await;
    assert_eq!(one.told(&BALANCE).await, (Ok("15".to_owned()), 2));
    let (one, _two) = outdated().await;
    assert_eq!(one.told(&ASK).await, (Ok("15".to_owned()), 1), "a query reads the store at once");
}

#[tokio::test]
async fn nothing_is_written_for_what_was_once() {
    let (one, _two) = outdated().await;
    assert_eq!(one.told(&COPY).await, (Ok("15".to_owned()), 2));
}

#[tokio::test]
async fn nothing_that_cannot_be_taken_back_is_done_for_what_was_once() {
    let (one, _two) = outdated().await;
    assert_eq!(one.told(&TELL).await.1, 2);
    assert_eq!(*one.0.environment().resources.get::<Told>().unwrap().0.lock().unwrap(), [15]);
}

#[tokio::test]
async fn who_looks_again_sees_what_is_new() {
    let (one, _two) = outdated().await;
    assert_eq!(one.told(&LOOK_TWICE).await, (Ok("[15,16]".to_owned()), 2), "and nothing rests on the first look");
}

/// What an isolated saga has prepared and dropped stands in the way of a new one only as long as nobody has looked.
#[tokio::test]
async fn who_has_conflicted_knows_it_when_it_was_outdated_too() {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let mut resources = Resources::default();
    resources.insert(Process::new(&store, 1 << 20));
    let one = Process::with(&store, 1 << 20, resources);
    one.call(&OPEN_ONE).await.unwrap();
    let mut dropped = Unit::new(Timestamp::UNIX_EPOCH, Cause { correlation: ONE, causation: ONE, user: None, trace: None });
    let released = NewEvent { name: "$released".into(), data: format!("{{\"execution\":\"{ONE}\"}}") };
    dropped.append(&StreamId::new("Account", OTHER), 0, vec![released]);
    store.commit(dropped).await.unwrap();
    assert_eq!(one.told(&COPY_ANEW).await, (Ok("15".to_owned()), 3), "once with a conflict, and once outdated");
}

#[tokio::test(start_paused = true)]
async fn what_others_write_too_is_read_from_the_store_for_a_while() {
    let (one, two) = outdated().await;
    one.call(&PAY_IN).await.unwrap();
    two.call(&PAY_IN).await.unwrap();
    assert_eq!(one.remembers(ONE), None);
    assert_eq!(one.told(&PAY_IN).await, (Ok("30".to_owned()), 1));
    assert_eq!(one.remembers(ONE), None);
    tokio::time::advance(std::time::Duration::from_secs(11)).await;
    assert_eq!(one.told(&PAY_IN).await, (Ok("35".to_owned()), 1));
    assert_eq!(one.remembers(ONE), Some(6));
}

#[tokio::test]
async fn what_is_remembered_is_what_is_stored() {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let one = Process::new(&store, 1 << 20);
    one.call(&OPEN).await.unwrap();
    for _ in 0..3 {
        one.call(&PAY_IN).await.unwrap();
    }
    let stream = StreamId::new("Account", ONE);
    let mut stored = store.stream(stream.clone(), 0).await.unwrap();
    // Its place among all events is not known when it is remembered, and nobody who folds it asks.
    stored.iter_mut().for_each(|event| event.position = 0);
    assert_eq!(one.0.environment().recent.events(&stream).unwrap(), stored);
}

/// It may have been committed.
#[tokio::test]
async fn what_was_written_perhaps_is_not_remembered_as_it_was_before() {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let one = Process::new(&store, 1 << 20);
    one.call(&OPEN).await.unwrap();
    assert_eq!((one.remembers(ONE), one.remembers(OTHER)), (Some(1), Some(1)));
    store.close().await;
    assert_eq!(one.told(&PAY_IN).await.0, Err(ErrorKind::Unavailable));
    assert_eq!((one.remembers(ONE), one.remembers(OTHER)), (None, Some(1)));
}

/// A client that has gone takes its handler with it, and not what the store has begun to commit.
#[tokio::test]
async fn a_commit_that_nobody_waits_for_leaves_nothing_remembered() {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let one = Process::new(&store, 1 << 20);
    one.call(&OPEN).await.unwrap();
    let mut unit = Unit::new(Timestamp::UNIX_EPOCH, Cause { correlation: ONE, causation: ONE, user: None, trace: None });
    unit.append(&StreamId::new("Account", ONE), 1, vec![NewEvent { name: "AccountUpdated".into(), data: "{}".to_owned() }]);
    let recent = &one.0.environment().recent;
    let writing = recent.writing(&unit);
    assert_eq!(one.remembers(ONE), Some(1));
    drop(writing);
    assert_eq!(one.remembers(ONE), None);
    // Who has read it before that was committed.
    recent.read(&StreamId::new("Account", ONE), &store.stream(StreamId::new("Account", ONE), 0).await.unwrap());
    assert_eq!(one.remembers(ONE), None, "not for a while");
}

#[tokio::test]
async fn long_streams_and_all_beyond_the_limit_are_forgotten() {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let (one, none, small) = (Process::new(&store, 1 << 20), Process::new(&store, 0), Process::new(&store, 500));
    one.call(&OPEN).await.unwrap();
    for _ in 1..64 {
        one.call(&PAY_IN).await.unwrap();
    }
    assert_eq!(one.remembers(ONE), Some(64));
    one.call(&PAY_IN).await.unwrap();
    assert_eq!(one.remembers(ONE), None);
    for process in [&one, &none, &small] {
        assert!(process.call(&PAY_IN).await.is_ok());
        assert_eq!(process.remembers(ONE), None);
    }
}
