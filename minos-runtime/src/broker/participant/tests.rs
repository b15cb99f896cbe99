//! Attempts at a step, made by hand and in every order, and what the participant makes of them.

use crate::{
    broker::{Broker, Dispatcher, LocalBroker, Questions, Topics},
    clock,
    config::BrokerConfig,
    context::{Context, Environment, Resources},
    error::{Error, ErrorKind, Result},
    handler::{HandlerDef, Kind, Request, Response, Runner},
    message::{Direction, Envelope, MessageKind, StepCall, saga_topic},
    metrics::Metrics,
    store::{Cause, InboxRow, MemoryStore, NewEvent, OPEN, SETTLED, SharedStore, StreamId},
    sync::lock,
};
use futures_util::future::{BoxFuture, FutureExt};
use http::StatusCode;
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

/// What the handler does when it runs; it pays if nothing is left.
enum Act {
    Pay,
    Refuse(Error),
    Panic,
    /// Pays, and answers with this status.
    Answer(StatusCode),
    /// Pays when the gate is opened.
    Wait,
    /// Pays, and holds the account.
    Hold,
    /// Pays, and tells it.
    Tell,
}

#[derive(Default)]
struct Script {
    acts: Mutex<VecDeque<Act>>,
    /// The id with which each run began.
    ids: Mutex<Vec<Uuid>>,
    entered: Notify,
}

struct Gate(Semaphore);

fn pay<'a>(cx: &'a mut Context, request: &'a Request) -> BoxFuture<'a, Result<Response>> {
    async move {
        let _: Value = <Value as crate::handler::FromRequest>::from_request(request)?;
        let (act, run) = {
            let script = cx.resource::<Arc<Script>>()?;
            lock(&script.ids).push(cx.id());
            script.entered.notify_one();
            (lock(&script.acts).pop_front().unwrap_or(Act::Pay), lock(&script.ids).len())
        };
        let (mut status, mut holds) = (StatusCode::OK, None);
        match act {
            Act::Refuse(error) => return Err(error),
            Act::Panic => panic!("as told"),
            Act::Wait => cx.resource::<Arc<Gate>>()?.0.acquire().await?.forget(),
            Act::Answer(told) => status = told,
            Act::Tell => cx.send(Told {})?,
            Act::Hold => holds = cx.step().map(|step| NewEvent { name: "$held".into(), data: serde_json::to_string(step).unwrap() }),
            Act::Pay => {}
        }
        let event = NewEvent { name: "Paid".into(), data: "{}".to_owned() };
        cx.append(StreamId::new("Account", Uuid::now_v7()), 0, [event].into_iter().chain(holds).collect())?;
        Ok(Response::json(&json!({ "run": run }))?.with_status(status))
    }
    .boxed()
}

/// What somebody else is told of a payment.
#[derive(serde::Serialize)]
struct Told {}

impl crate::message::Message for Told {
    const NAME: &'static str = "Told";
    type Reply = ();
}

const fn def(kind: Kind, function: &'static str, names: &'static [&'static str]) -> HandlerDef {
    HandlerDef {
        kind,
        function,
        names,
        routes: &[],
        access: crate::auth::Access::CLOSED,
        handle: pay,
        about: crate::handler::About::NOTHING,
        module: "bank",
        file: "bank.rs",
        line: 1,
    }
}

fn look<'a>(cx: &'a mut Context, _: &'a Request) -> BoxFuture<'a, Result<Response>> {
    async move {
        lock(&cx.resource::<Arc<Script>>()?.ids).push(cx.id());
        Response::json(&"seen")
    }
    .boxed()
}

static PAY: HandlerDef = def(Kind::Command, "pay", &["Pay"]);
static REFUND: HandlerDef = def(Kind::Command, "refund", &["Refund"]);
static TOLD: HandlerDef = def(Kind::Event, "told", &["FooCreated"]);
static LOOK: HandlerDef = HandlerDef { handle: look, ..def(Kind::Query, "look", &["Look"]) };

/// An answer: its status, whether it says that the step is not done, and its content.
#[derive(Debug, PartialEq)]
struct Answered(u16, bool, Value);

fn paid(run: u32) -> Answered {
    Answered(200, false, json!({ "run": run }))
}

struct World {
    broker: LocalBroker,
    store: SharedStore,
    script: Arc<Script>,
    gate: Arc<Gate>,
    dispatcher: Dispatcher,
    execution: Uuid,
    _dir: Option<tempfile::TempDir>,
}

impl World {
    async fn in_memory(acts: impl Into<VecDeque<Act>>) -> Self {
        World::on(Arc::new(MemoryStore::new()), None, acts.into()).await
    }

    #[cfg(feature = "sqlite")]
    async fn on_disk(acts: impl Into<VecDeque<Act>>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = crate::store::SqliteStore::open(dir.path().join("bank.db"), "bank", &Metrics::new("bank")).unwrap();
        World::on(Arc::new(store), Some(dir), acts.into()).await
    }

    async fn on(store: SharedStore, dir: Option<tempfile::TempDir>, acts: VecDeque<Act>) -> Self {
        let script = Arc::new(Script { acts: Mutex::new(acts), ..Script::default() });
        let gate = Arc::new(Gate(Semaphore::new(0)));
        let broker = LocalBroker::new();
        let dispatcher = join(&broker, &store, &script, &gate).await;
        World { broker, store, script, gate, dispatcher, execution: Uuid::now_v7(), _dir: dir }
    }

    fn message(&self, direction: Direction, attempt: u32) -> Envelope {
        let (name, id) = (if direction == Direction::Undo { "Refund" } else { "Pay" }, format!("{direction:?}/{attempt}"));
        let cause = Cause { correlation: self.execution, causation: self.execution, user: None, trace: None };
        let (id, key) = (Uuid::new_v5(&self.execution, id.as_bytes()), Some(self.execution.to_string()));
        let mut message = Envelope::request(id, name, key, "{}", clock::system().now(), cause);
        message.saga = Some(StepCall::new(self.execution, "Order", "pay", direction, attempt));
        message.reply_to = Some(saga_topic("shop"));
        message
    }

    /// Sends an attempt, and takes what is answered when it was handled.
    async fn send(&self, direction: Direction, attempt: u32) -> Vec<Answered> {
        self.deliver(self.message(direction, attempt)).await
    }

    async fn deliver(&self, message: Envelope) -> Vec<Answered> {
        let before = self.replies().await.len();
        let handled = tokio::time::timeout(Duration::from_secs(20), self.broker.publish(message)).await;
        handled.expect("it is handled within 20 s").unwrap();
        let replies = self.replies().await.split_off(before);
        replies.into_iter().map(answered).collect()
    }

    async fn replies(&self) -> Vec<Envelope> {
        self.sent(|message| message.kind == MessageKind::Reply).await
    }

    async fn sent(&self, is_it: impl Fn(&Envelope) -> bool) -> Vec<Envelope> {
        let rows = self.store.outbox(0, 1000).await.unwrap().into_iter();
        rows.map(|row| Envelope::of_row(row).unwrap()).filter(is_it).collect()
    }

    async fn row(&self) -> Option<InboxRow> {
        self.store.handled(&PAY.subscriber(), &format!("saga {}/pay", self.execution)).await.unwrap()
    }

    fn runs(&self) -> usize {
        lock(&self.script.ids).len()
    }

    /// How many payments are in the log.
    async fn payments(&self) -> usize {
        self.events().await.iter().filter(|name| *name == "Paid").count()
    }

    async fn events(&self) -> Vec<String> {
        self.store.log(0, 1000, None).await.unwrap().events.into_iter().map(|event| event.name).collect()
    }

    /// Says that the execution has ended, to what did this.
    async fn release(&self, direction: Direction) {
        let mut message = Envelope { reply_to: None, id: Uuid::now_v7(), ..self.message(direction, 1) };
        message.saga.as_mut().unwrap().release = true;
        assert_eq!(self.deliver(message).await, [], "nobody waits for an answer");
    }

    /// An attempt for an isolated saga.
    fn isolated(&self, direction: Direction) -> Envelope {
        let mut message = Envelope { topic: "Pay".into(), name: "Pay".into(), ..self.message(direction, 1) };
        message.saga.as_mut().unwrap().isolated = true;
        message
    }

    async fn send_isolated(&self, direction: Direction) -> Vec<Answered> {
        self.deliver(self.isolated(direction)).await
    }

    /// Whether the last answer says that something is held.
    async fn told_holds(&self) -> bool {
        self.replies().await.last().unwrap().saga.as_ref().unwrap().holds
    }

    async fn expect(&self, runs: usize, payments: usize) {
        assert_eq!((self.runs(), self.payments().await), (runs, payments), "runs and payments");
        assert!(self.store.dead_letters(None, 0, 10).await.unwrap().is_empty());
    }
}

/// A process of the bank.
async fn join(broker: &LocalBroker, store: &SharedStore, script: &Arc<Script>, gate: &Arc<Gate>) -> Dispatcher {
    let mut resources = Resources::default();
    resources.insert(script.clone());
    resources.insert(gate.clone());
    let environment = Arc::new(Environment::new("bank", store.clone(), clock::system(), resources, Metrics::new("bank")));
    let mut wrong = Vec::new();
    let topics = Topics::of(&[&PAY, &REFUND, &TOLD, &LOOK], &mut wrong);
    assert_eq!(wrong, Vec::<String>::new());
    let (shared, questions, config) =
        (Arc::new(broker.clone()) as Arc<dyn Broker>, Questions::new("bank", Arc::new(broker.clone())), BrokerConfig::default());
    let sources = topics.sources();
    let dispatcher = Dispatcher::new(Runner::new(environment), shared, topics, questions, None, &config).await.unwrap();
    broker.subscribe("bank", sources, Arc::new(dispatcher.clone())).await.unwrap();
    dispatcher
}

fn answered(reply: Envelope) -> Answered {
    let content = if reply.content.is_empty() { Value::Null } else { serde_json::from_slice(&reply.content).unwrap() };
    assert_eq!(reply.topic, "shop.sagas");
    Answered(reply.status.unwrap(), reply.saga.unwrap().not_done, content)
}

fn not_done() -> Answered {
    Answered(200, true, Value::Null)
}

/// What has begun may have had an effect outside, which only its undoing takes back: it must not be told as never done, however long it takes.
#[tokio::test(start_paused = true)]
async fn a_cancellation_does_not_overtake_what_has_begun() {
    let world = World::in_memory([Act::Wait]).await;
    let first = world.broker.publish(world.message(Direction::Execute, 1));
    world.script.entered.notified().await;
    let mut cancel = world.broker.publish(world.message(Direction::Cancel, 1));
    assert!(tokio::time::timeout(Duration::from_secs(3600), &mut cancel).await.is_err(), "{:?}", world.replies().await);
    world.gate.0.add_permits(1);
    first.await.unwrap();
    cancel.await.unwrap();
    assert_eq!(world.replies().await.into_iter().map(answered).collect::<Vec<_>>(), [paid(1), paid(1)]);
    world.expect(1, 1).await;
}

/// Each case on each store.
macro_rules! cases {
    ($($(#[$attribute:meta])* async fn $name:ident($world:ident: [$($act:expr),*]) $body:block)*) => {
        mod memory {
            use super::*;
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() {
                let $world = World::in_memory([$($act),*]).await;
                $body
            })*
        }
        #[cfg(feature = "sqlite")]
        mod sqlite {
            use super::*;
            $($(#[$attribute])* #[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() {
                let $world = World::on_disk([$($act),*]).await;
                $body
            })*
        }
    };
}

cases! {
    async fn a_step_is_done_once_and_always_answered_the_same(world: []) {
        for attempt in [1, 1, 2, 1] {
            assert_eq!(world.send(Direction::Execute, attempt).await, [paid(1)]);
        }
        assert_eq!(world.send(Direction::Cancel, 1).await, [paid(1)], "what was done is told");
        assert_eq!(world.row().await.unwrap().version, SETTLED);
        let ids: Vec<_> = world.replies().await.iter().map(|reply| reply.id).collect();
        assert!(ids[0] == ids[1] && ids[0] == ids[3] && ids[0] != ids[2], "the id of an answer follows from the request's");
        world.expect(1, 1).await;
    }

    async fn f36_a_cancellation_that_overtakes_its_request_wins(world: []) {
        assert_eq!(world.send(Direction::Cancel, 1).await, [not_done()]);
        for attempt in [1, 2] {
            let [Answered(409, false, _)] = world.send(Direction::Execute, attempt).await[..] else { panic!("it is refused") };
        }
        assert_eq!(world.send(Direction::Cancel, 2).await, [not_done()]);
        world.expect(0, 0).await;
    }

    async fn an_error_counts_for_its_attempt_and_those_before(world: [Act::Refuse(Error::rejected("no money")), Act::Panic, Act::Pay]) {
        let refused = || [Answered(422, false, json!({ "detail": "no money" }))];
        assert_eq!(world.send(Direction::Execute, 2).await, refused());
        assert_eq!(world.send(Direction::Execute, 2).await, refused());
        assert_eq!(world.send(Direction::Execute, 1).await, [], "its answer would come too late");
        let panicked = world.send(Direction::Execute, 3).await;
        assert!(matches!(&panicked[..], [Answered(500, false, why)] if why["detail"].as_str().unwrap().contains("as told")), "{panicked:?}");
        assert_eq!(world.row().await.unwrap().version, 3);
        assert_eq!(world.send(Direction::Execute, 4).await, [paid(3)]);
        assert_eq!(world.send(Direction::Execute, 2).await, [paid(3)], "it is settled for every attempt");
        world.expect(3, 1).await;
    }

    async fn what_was_refused_can_be_cancelled(world: [Act::Refuse(Error::rejected("no money"))]) {
        world.send(Direction::Execute, 1).await;
        assert_eq!(world.send(Direction::Cancel, 1).await, [not_done()]);
        let [Answered(409, false, _)] = world.send(Direction::Execute, 2).await[..] else { panic!("it is refused") };
        world.expect(1, 0).await;
    }

    async fn a_step_is_undone_once(world: [Act::Pay, Act::Refuse(Error::unavailable("later")), Act::Pay]) {
        world.send(Direction::Execute, 1).await;
        let [Answered(503, false, _)] = world.send(Direction::Undo, 1).await[..] else { panic!("not yet") };
        for attempt in [2, 2, 3, 1] {
            assert_eq!(world.send(Direction::Undo, attempt).await, [paid(3)]);
        }
        assert_eq!(world.send(Direction::Execute, 1).await, [paid(1)], "the row of the step itself is another one");
        world.expect(3, 2).await;
    }

    async fn what_one_handler_does_and_undoes_are_two_steps(world: []) {
        let undo = || Envelope { topic: "Pay".to_owned(), name: "Pay".to_owned(), ..world.message(Direction::Undo, 1) };
        assert_eq!(world.send(Direction::Execute, 1).await, [paid(1)]);
        assert_eq!(world.deliver(undo()).await, [paid(2)]);
        assert_eq!(world.deliver(undo()).await, [paid(2)]);
        assert_eq!(world.send(Direction::Execute, 1).await, [paid(1)]);
        world.expect(2, 2).await;
    }

    async fn attempts_at_once_run_once(world: [Act::Wait]) {
        let mut second = world.message(Direction::Execute, 2);
        second.key = Some("another lane".to_owned());
        let (first, second) = (world.broker.publish(world.message(Direction::Execute, 1)), world.broker.publish(second));
        world.script.entered.notified().await;
        world.gate.0.add_permits(1);
        first.await.unwrap();
        second.await.unwrap();
        assert_eq!(world.replies().await.into_iter().map(answered).collect::<Vec<_>>(), [paid(1), paid(1)]);
        world.expect(1, 1).await;
    }

    async fn a_cancellation_waits_for_what_runs(world: [Act::Wait]) {
        let mut cancel = world.message(Direction::Cancel, 1);
        cancel.key = Some("another lane".to_owned());
        let first = world.broker.publish(world.message(Direction::Execute, 1));
        world.script.entered.notified().await;
        let cancel = world.broker.publish(cancel);
        world.gate.0.add_permits(1);
        first.await.unwrap();
        cancel.await.unwrap();
        assert_eq!(world.replies().await.into_iter().map(answered).collect::<Vec<_>>(), [paid(1), paid(1)]);
        world.expect(1, 1).await;
    }

    /// Two processes take no turns: the store decides, and who comes second drops what it has done and goes by the row.
    async fn a_cancellation_of_another_process_drops_what_runs(world: [Act::Wait]) {
        let (other, script) = (LocalBroker::new(), Arc::new(Script::default()));
        let second = join(&other, &world.store, &script, &world.gate).await;
        let first = world.broker.publish(world.message(Direction::Execute, 1));
        world.script.entered.notified().await;
        other.publish(world.message(Direction::Cancel, 1)).await.unwrap();
        world.gate.0.add_permits(1);
        first.await.unwrap();
        let replies: Vec<_> = world.replies().await.into_iter().map(answered).collect();
        assert!(matches!(&replies[..], [cancelled, Answered(409, false, _)] if *cancelled == not_done()), "{replies:?}");
        world.expect(1, 0).await;
        second.stop().await;
    }

    async fn what_a_killed_process_had_begun_is_done_by_the_next(world: [Act::Wait]) {
        drop(world.broker.publish(world.message(Direction::Execute, 1)));
        world.script.entered.notified().await;
        let (next, script) = (LocalBroker::new(), Arc::new(Script::default()));
        let second = join(&next, &world.store, &script, &world.gate).await;
        next.publish(world.message(Direction::Execute, 1)).await.unwrap();
        // The first one was only thought dead.
        world.gate.0.add_permits(1);
        world.dispatcher.stop().await;
        let replies: Vec<_> = world.replies().await.into_iter().map(answered).collect();
        assert!(!replies.is_empty() && replies.iter().all(|reply| *reply == paid(1)), "{replies:?}");
        assert_eq!((world.payments().await, world.row().await.unwrap().version), (1, SETTLED));
        second.stop().await;
    }

    /// What happens outside, and sagas that the handler runs, are known by this id: another one would do them twice.
    async fn every_attempt_has_the_same_id(world: [Act::Refuse(Error::unavailable("later"))]) {
        world.send(Direction::Execute, 1).await;
        world.send(Direction::Execute, 2).await;
        world.send(Direction::Undo, 1).await;
        let ids = lock(&world.script.ids).clone();
        assert_eq!(ids[0], ids[1], "an attempt is the same work again");
        assert_ne!(ids[0], ids[2], "undoing it is other work");
    }

    /// The coordinator takes an error for the word that nothing was done.
    async fn an_answer_that_says_an_error_has_done_nothing(world: [Act::Answer(StatusCode::CONFLICT), Act::Pay]) {
        let [Answered(409, false, _)] = world.send(Direction::Execute, 1).await[..] else { panic!("its status is kept") };
        world.expect(1, 0).await;
        assert_eq!(world.send(Direction::Execute, 2).await, [paid(2)]);
        world.expect(2, 1).await;
    }

    async fn an_answer_with_an_odd_status_is_done_for_a_cancellation_too(world: [Act::Answer(StatusCode::SEE_OTHER)]) {
        let done = world.send(Direction::Execute, 1).await;
        assert_eq!(done, [Answered(303, false, json!({ "run": 1 }))]);
        assert_eq!(world.send(Direction::Cancel, 1).await, done);
        world.expect(1, 1).await;
    }

    /// Everything that is no error to the coordinator is a success.
    async fn an_error_is_never_answered_as_a_success(world: [
        Act::Refuse(Error::rejected("elsewhere").with_status(StatusCode::SEE_OTHER)),
        Act::Refuse(Error::rejected("well").with_status(StatusCode::OK))
    ]) {
        for attempt in [1, 2] {
            let answers = world.send(Direction::Execute, attempt).await;
            assert!(matches!(answers[..], [Answered(422, false, _)]), "{answers:?}");
        }
    }

    /// The relay would put it among the dead letters, and the coordinator would hear nothing.
    async fn the_reason_of_an_error_has_a_bound(world: [Act::Refuse(Error::new(ErrorKind::Rejected, "ä".repeat(3_000_000)))]) {
        world.send(Direction::Execute, 1).await;
        let size = world.replies().await[0].content.len();
        assert!(size < 20_000, "{size} bytes");
    }

    async fn f42_what_a_step_holds_is_told_each_time_and_released_once(world: [Act::Hold]) {
        for direction in [Direction::Execute, Direction::Execute, Direction::Cancel] {
            assert_eq!(world.send(direction, 1).await, [paid(1)]);
            assert!(world.told_holds().await, "{direction:?}");
        }
        assert_eq!(world.events().await, ["Paid", "$held"]);
        assert_eq!(world.row().await.unwrap().version, OPEN, "it asks how the saga ends, if it does not hear it");
        for _ in 0..2 {
            world.release(Direction::Execute).await;
            assert_eq!(world.events().await, ["Paid", "$held", "$released"]);
            assert_eq!(world.row().await.unwrap().version, SETTLED);
        }
        assert_eq!(world.send(Direction::Execute, 1).await, [paid(1)], "what was done is still known");
        assert_eq!(world.events().await.len(), 3);
    }

    async fn f42_what_undoes_a_step_may_hold_something_too(world: [Act::Pay, Act::Hold]) {
        world.send(Direction::Execute, 1).await;
        assert!(!world.told_holds().await);
        world.send(Direction::Undo, 1).await;
        assert!(world.told_holds().await);
        world.release(Direction::Execute).await;
        assert_eq!(world.events().await, ["Paid", "Paid", "$held"], "that is another row");
        world.release(Direction::Undo).await;
        assert_eq!(world.events().await, ["Paid", "Paid", "$held", "$released"]);
    }

    async fn f42_what_comes_when_all_has_ended_holds_nothing(world: [Act::Refuse(Error::unavailable("later")), Act::Hold, Act::Hold]) {
        world.send(Direction::Execute, 1).await;
        for direction in [Direction::Execute, Direction::Undo] {
            world.release(direction).await;
            let [Answered(409, false, _)] = world.send(direction, 2).await[..] else { panic!("it is refused") };
        }
        world.expect(1, 0).await;
    }

    async fn f42_the_end_of_another_process_drops_what_runs(world: [Act::Wait]) {
        let (other, script) = (LocalBroker::new(), Arc::new(Script::default()));
        let second = join(&other, &world.store, &script, &world.gate).await;
        let first = world.broker.publish(world.message(Direction::Execute, 1));
        world.script.entered.notified().await;
        let mut end = Envelope { reply_to: None, ..world.message(Direction::Execute, 1) };
        end.saga.as_mut().unwrap().release = true;
        other.publish(end).await.unwrap();
        world.gate.0.add_permits(1);
        first.await.unwrap();
        world.expect(1, 0).await;
        second.stop().await;
    }

    /// Nobody would hear of it, and release it.
    async fn f42_who_does_not_say_where_to_answer_gets_nothing_held(world: [Act::Hold]) {
        world.deliver(Envelope { reply_to: None, ..world.message(Direction::Execute, 1) }).await;
        assert_eq!(world.events().await, ["Paid"]);
    }

    async fn what_is_prepared_is_applied_once(world: [Act::Tell]) {
        let told = async || world.sent(|message| message.name == "Told").await.len();
        assert_eq!(world.send_isolated(Direction::Execute).await, [paid(1)]);
        assert_eq!((world.events().await, world.told_holds().await, told().await), (vec!["$held".to_owned()], true, 0));
        assert_eq!(world.row().await.unwrap().version, OPEN);
        for _ in 0..2 {
            assert_eq!(world.send_isolated(Direction::Commit).await, [Answered(200, false, Value::Null)]);
            assert_eq!((world.events().await, told().await), (["$held", "Paid", "$released"].map(str::to_owned).to_vec(), 1));
        }
        assert_eq!(world.row().await.unwrap().version, SETTLED);
        assert!(matches!(world.send_isolated(Direction::Abort).await[..], [Answered(409, false, _)]), "it is decided");
        world.release(Direction::Execute).await;
        assert_eq!(world.send_isolated(Direction::Execute).await, [paid(1)]);
        world.expect(1, 1).await;
    }

    async fn what_is_prepared_is_dropped_for_good(world: []) {
        world.send_isolated(Direction::Execute).await;
        for _ in 0..2 {
            assert_eq!(world.send_isolated(Direction::Abort).await, [Answered(200, false, Value::Null)]);
            assert_eq!(world.events().await, ["$held", "$released"]);
        }
        assert!(matches!(world.send_isolated(Direction::Commit).await[..], [Answered(409, false, _)]), "it is decided");
        assert_eq!(world.send_isolated(Direction::Execute).await, [paid(1)]);
        assert_eq!(world.events().await, ["$held", "$released"]);
        world.expect(1, 0).await;
    }

    async fn what_is_dropped_before_it_comes_is_never_prepared(world: []) {
        for _ in 0..2 {
            assert_eq!(world.send_isolated(Direction::Abort).await, [Answered(200, false, Value::Null)]);
        }
        for direction in [Direction::Execute, Direction::Commit] {
            let answers = world.send_isolated(direction).await;
            assert!(matches!(answers[..], [Answered(409, false, _)]), "{answers:?}");
        }
        assert!(world.events().await.is_empty());
        world.expect(0, 0).await;
    }

    /// What an operator has done by hand instead.
    async fn what_is_prepared_when_all_has_ended_is_dropped(world: []) {
        world.send_isolated(Direction::Execute).await;
        world.release(Direction::Execute).await;
        assert_eq!(world.events().await, ["$held", "$released"]);
        assert!(matches!(world.send_isolated(Direction::Commit).await[..], [Answered(409, false, _)]), "it is not applied any more");
        world.expect(1, 0).await;
    }

    async fn what_is_dropped_by_another_process_is_not_prepared(world: [Act::Wait]) {
        let (other, script) = (LocalBroker::new(), Arc::new(Script::default()));
        let second = join(&other, &world.store, &script, &world.gate).await;
        let first = world.broker.publish(world.isolated(Direction::Execute));
        world.script.entered.notified().await;
        other.publish(world.isolated(Direction::Abort)).await.unwrap();
        world.gate.0.add_permits(1);
        first.await.unwrap();
        assert!(world.events().await.is_empty());
        second.stop().await;
    }

    async fn what_nobody_would_decide_is_not_prepared(world: []) {
        world.deliver(Envelope { reply_to: None, ..world.isolated(Direction::Execute) }).await;
        assert!(world.events().await.is_empty());
    }

    async fn what_cannot_be_read_is_answered(world: []) {
        let message = Envelope { content: "{".into(), ..world.message(Direction::Execute, 1) };
        let answers = world.deliver(message).await;
        assert!(matches!(answers[..], [Answered(400, false, _)]), "{answers:?}");
        world.expect(0, 0).await;
    }

    async fn nobody_has_to_wait_for_the_answer(world: []) {
        let quiet = |direction| Envelope { reply_to: None, ..world.message(direction, 1) };
        assert_eq!(world.deliver(quiet(Direction::Execute)).await, []);
        assert_eq!(world.deliver(quiet(Direction::Cancel)).await, []);
        assert_eq!(world.send(Direction::Cancel, 2).await, [paid(1)]);
        world.expect(1, 1).await;
    }

    async fn a_name_of_a_step_that_no_store_can_keep_holds_nothing_up(world: []) {
        let mut message = world.message(Direction::Execute, 1);
        if let Some(call) = &mut message.saga {
            call.step = format!("{}\0", "pay".repeat(10_000));
        }
        let key = super::super::key(message.saga.as_ref().unwrap());
        assert!(key.len() <= 512 && !key.contains('\0'), "{key}");
        assert_eq!(world.deliver(message.clone()).await, [paid(1)]);
        assert_eq!(world.deliver(message).await, [paid(1)]);
        world.expect(1, 1).await;
    }

    /// It would lose what makes an event happen once.
    async fn an_event_that_says_it_is_a_step_is_an_event(world: []) {
        let uuid = Uuid::now_v7();
        let event = Envelope {
            kind: MessageKind::Event,
            topic: "Foo".to_owned(),
            key: Some(uuid.to_string()),
            name: "FooCreated".to_owned(),
            aggregate: Some("Foo".to_owned()),
            uuid: Some(uuid),
            version: Some(1),
            reply_to: None,
            ..world.message(Direction::Execute, 1)
        };
        for _ in 0..2 {
            assert_eq!(world.deliver(event.clone()).await, []);
        }
        let row = world.store.handled(&TOLD.subscriber(), &format!("Foo/{uuid}")).await.unwrap();
        assert_eq!(row, Some(InboxRow { version: 1, answer: None }));
        assert_eq!(world.payments().await, 1, "it is committed once");
    }

    async fn a_question_is_answered_each_time_and_leaves_no_row(world: []) {
        let ask = |direction| Envelope { topic: "Look".to_owned(), name: "Look".to_owned(), ..world.message(direction, 1) };
        for runs in 1..=2 {
            assert_eq!(world.deliver(ask(Direction::Execute)).await, [Answered(200, false, json!("seen"))]);
            world.expect(runs, 0).await;
        }
        assert_eq!(world.deliver(ask(Direction::Cancel)).await, [not_done()]);
        world.expect(2, 0).await;
        assert_eq!(world.store.handled(&LOOK.subscriber(), &format!("saga {}/pay", world.execution)).await.unwrap(), None);
    }
}
