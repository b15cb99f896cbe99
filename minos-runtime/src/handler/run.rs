//! Runs one handler: again on fresh state when it conflicts, once for one message, and commits what it did.

use super::{HandlerDef, Kept, Kind, Request, Response, traced};
use crate::{
    aggregate::{prepare, taken},
    context::{Context, Environment, HotGuard, Permit, Reads, is_outage, store_error},
    error::{Error, ErrorKind, Result},
    failpoint,
    message::{Envelope, is_error},
    metrics::HandlerLabels,
    store::{Cause, Committed, Handled, Mark, StepMark, StoreError, Unit},
    trace::Trace,
};
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, StatusCode};
use prometheus_client::metrics::counter::Counter;
use std::{any::Any, future::poll_fn, panic::AssertUnwindSafe, pin::pin, sync::Arc, task::Poll, time::Duration};
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

/// How often a handler runs before a conflict is given back to the caller. Handlers queue up after the first conflict, so only writers of
/// other processes can make it conflict so often.
const ATTEMPTS: u32 = 16;

/// How long the store may take to prove that it works, before a handler that took too long is blamed.
const PING: Duration = Duration::from_secs(2);

/// A second attempt to create what exists fails like the first.
const ATTEMPTS_TO_CREATE: u32 = 3;

/// How long an answer waits for the read models that are to show what was done, and how it says that one does not yet.
const SHOWN_WITHIN: Duration = Duration::from_secs(5);
const NOT_SHOWN_IN: HeaderName = HeaderName::from_static("minos-not-shown-in");

/// Runs the handlers of one service.
#[derive(Clone)]
pub struct Runner {
    environment: Arc<Environment>,
    /// How long a handler may run, each time that it does.
    limit: Option<Duration>,
}

/// One run of a handler.
pub struct Job<'j> {
    /// The handler.
    pub def: &'static HandlerDef,
    /// What it is to handle.
    pub request: Request,
    /// That it is to be handled once.
    pub once: Option<Once>,
    /// The message that waits for the answer, if one does. The answer is sent by the unit of work itself.
    pub reply_to: Option<&'j Envelope>,
    /// The dead letter that this run deals with.
    pub resolves: Option<u64>,
    /// The key under which the message would be put among the dead letters, if it has a mark. While there is one, nothing is committed.
    pub lane: Option<String>,
    /// When somebody else cuts it off.
    pub deadline: Option<Instant>,
    /// What lets it run, where only so many do at once.
    pub permit: Option<Arc<Permit>>,
    /// Where it is counted when it is committed, if whoever runs it has looked that up before.
    pub handled: Option<&'j Counter>,
    /// Where what it leads to belongs in its trace: whoever runs it says so.
    pub(crate) place: Option<Trace>,
}

impl<'j> Job<'j> {
    /// A run of which nothing else is said.
    pub fn new(def: &'static HandlerDef, request: Request) -> Self {
        Job {
            def,
            request,
            once: None,
            reply_to: None,
            resolves: None,
            lane: None,
            deadline: None,
            permit: None,
            handled: None,
            place: None,
        }
    }
}

/// That something is to be handled once, however often it comes.
#[derive(Debug, Clone)]
pub enum Once {
    /// What comes in numbered order: an event of a stream.
    Version {
        /// The stream.
        key: String,
        /// The number.
        version: u64,
    },
    /// A request with an id of its own. A repetition gets the answer of the first.
    Key {
        /// The id.
        key: String,
        /// What was asked, so that the same id for something else is refused; none for messages, whose ids are made by Minos.
        fingerprint: Option<Uuid>,
    },
    /// A step of a saga, which is settled by the first attempt that succeeds. Whoever runs it knows what became of the attempts before.
    Step {
        /// The step.
        key: String,
        /// The attempt.
        attempt: u64,
    },
}

impl Runner {
    /// Runs handlers in this environment.
    pub fn new(environment: Arc<Environment>) -> Self {
        Runner { environment, limit: None }
    }

    /// The same for handlers that nobody waits for: one that takes longer each time that it runs fails, as [`ErrorKind::Timeout`]. A commit is never cut
    /// off.
    #[must_use]
    pub fn limited(&self, limit: Duration) -> Self {
        Runner { environment: self.environment.clone(), limit: Some(limit) }
    }

    /// What the handlers share.
    pub fn environment(&self) -> &Arc<Environment> {
        &self.environment
    }

    /// Runs a handler to its committed end.
    ///
    /// # Errors
    /// What the handler answers, or why it could not be committed. Then nothing of it was written.
    pub async fn run(&self, mut job: Job<'_>) -> Result<Response> {
        let (metrics, labels) = (&self.environment.metrics, HandlerLabels { kind: job.def.kind.name(), handler: job.def.function });
        let mut span = traced::begin(&self.environment.spans, &job);
        job.place = span.place();
        let result = self.run_to_commit(&mut job).instrument(span.entered()).await;
        if let Err(error) = &result {
            traced::fail(&mut span, error);
        }
        match (&result, job.handled) {
            (Ok(_), Some(handled)) => handled.inc(),
            (Ok(_), None) => metrics.handled.get_or_create(&labels).inc(),
            (Err(_), _) => metrics.failed.get_or_create(&labels).inc(),
        };
        result
    }

    /// Opens what is sealed in the event that it handles: from here on it stays in memory.
    #[cfg(feature = "sensitive")]
    async fn open(&self, job: &mut Job<'_>) -> Result<()> {
        let Some((event, content)) = job.request.event() else { return Ok(()) };
        if let Some(opened) = self.environment.open_content(&event.aggregate, event.uuid, content).await.map_err(store_error)? {
            job.request = job.request.with_content(opened);
        }
        Ok(())
    }

    async fn run_to_commit(&self, job: &mut Job<'_>) -> Result<Response> {
        #[cfg(feature = "sensitive")]
        self.open(job).await?;
        let job = &*job;
        let subscriber = job.once.as_ref().map(|_| job.def.subscriber());
        let mut _turn = None;
        if let (Some(Once::Key { key, .. }), Some(subscriber)) = (&job.once, &subscriber) {
            // Two of one key at once take turns here, so that the handler runs once, and not only commits once.
            _turn = Some(self.environment.hot.queue_for(subscriber, key).await);
            if let Some(answer) = self.repeated(job, subscriber).await? {
                return Ok(answer);
            }
        }
        let mut held: Vec<HotGuard> = Vec::new();
        // For all attempts that follow, also behind one that was outdated.
        let mut has_conflicted = false;
        let mut attempt = 0;
        loop {
            attempt += 1;
            pass(failpoint::HANDLER_BEFORE, job);
            let mut cx = self.context(job, has_conflicted, std::mem::take(&mut held));
            let Some(answer) = self.attempt(job, &mut cx).await? else {
                self.environment.metrics.conflicts.inc();
                if attempt >= ATTEMPTS {
                    return Err(Error::new(ErrorKind::Conflict, "others change what this reads faster than it is done: try again"));
                }
                continue;
            };
            self.complete(cx.unit(), job, subscriber.clone(), &answer)?;
            if cx.unit().is_empty() {
                return Ok(answer);
            }
            let began: Vec<_> = cx.unit().sagas.iter().map(|write| write.row.id).collect();
            let shown_in = cx.shown_in();
            let (unit, guards) = cx.finish();
            pass(failpoint::HANDLER_COMMIT_BEFORE, job);
            match self.environment.commit(unit).await {
                Ok(committed) => {
                    pass(failpoint::HANDLER_COMMIT_AFTER, job);
                    if !began.is_empty() {
                        self.environment.coordinator()?.began(began);
                    }
                    drop(guards);
                    return Ok(self.shown(answer, &shown_in, committed, job.deadline).await);
                }
                Err(StoreError::Conflict { stream, expected, actual }) => {
                    self.environment.metrics.conflicts.inc();
                    drop(guards);
                    let limit = if expected == 0 { ATTEMPTS_TO_CREATE } else { ATTEMPTS };
                    if attempt >= limit {
                        return Err(store_error(StoreError::Conflict { stream, expected, actual }));
                    }
                    has_conflicted = true;
                    held.push(self.environment.hot.queue(&stream).await);
                    if attempt > 2 {
                        tokio::time::sleep(jitter(attempt)).await;
                    }
                }
                // Somebody else has begun it: the next attempt finds it.
                Err(StoreError::SagaExists { .. } | StoreError::SagaMoved { .. }) if attempt < ATTEMPTS_TO_CREATE => {
                    self.environment.metrics.conflicts.inc();
                }
                Err(StoreError::DocumentConflict { .. } | StoreError::KeyExists(_)) if attempt < ATTEMPTS => {
                    self.environment.metrics.conflicts.inc();
                    has_conflicted = true;
                    if attempt > 2 {
                        tokio::time::sleep(jitter(attempt)).await;
                    }
                }
                Err(StoreError::Duplicate { subscriber, key }) => {
                    return match self.repeated(job, &subscriber).await? {
                        Some(answer) => Ok(answer),
                        None => Err(store_error(StoreError::Duplicate { subscriber, key })),
                    };
                }
                Err(error) => return Err(store_error(error)),
            }
        }
    }

    /// The answer, once these read models show what was committed. If one does not in time, the answer says so: what was done is done.
    async fn shown(&self, answer: Response, names: &[&'static str], committed: Committed, deadline: Option<Instant>) -> Response {
        if names.is_empty() || committed.position == 0 {
            return answer;
        }
        let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        let patience = SHOWN_WITHIN.min(left.saturating_sub(left / 5));
        match self.environment.not_shown(names, committed, patience).await {
            Some(name) => answer.with_header(NOT_SHOWN_IN, HeaderValue::from_static(name)),
            None => answer,
        }
    }

    /// What the handler works with, this time that it runs.
    fn context(&self, job: &Job<'_>, has_conflicted: bool, held: Vec<HotGuard>) -> Context {
        let request = &job.request;
        let reads = if job.def.kind == Kind::Query { Reads::ToAnswer } else { Reads::Recalling };
        let limit = self.limit.and_then(|limit| Instant::now().checked_add(limit));
        let deadline = job.deadline.into_iter().chain(limit).min();
        let mut cx = Context::new(self.environment.clone(), Cause { trace: job.place, ..request.cause() }, reads);
        cx.again(has_conflicted, held);
        cx.for_step(request.parts().step.clone(), request.parts().isolated);
        cx.until(deadline, job.permit.clone());
        cx
    }

    /// Runs the handler once, without committing. `None` if it was told what is not so any more.
    async fn attempt(&self, job: &Job<'_>, cx: &mut Context) -> Result<Option<Response>> {
        let result = self.handle(cx, job).await.and_then(|answer| match job.once {
            Some(Once::Step { .. }) if is_error(answer.status) => Err(as_error(&answer)),
            _ => Ok(answer),
        });
        if !result.as_ref().is_err_and(is_outage) && cx.is_outdated(result.is_ok()).await? {
            return Ok(None);
        }
        result.map(Some)
    }

    /// What the handler answers.
    async fn handle(&self, context: &mut Context, job: &Job<'_>) -> Result<Response> {
        let mut handling = pin!(
            AssertUnwindSafe(async { (job.def.handle)(context, &job.request).await })
                .catch_unwind()
                .map(|done| done.unwrap_or_else(|panic| Err(panicked(job.def, &*panic))))
        );
        let Some(limit) = self.limit else { return handling.await };
        // What is done at once needs no timer.
        match poll_fn(|cx| Poll::Ready(handling.as_mut().poll(cx))).await {
            Poll::Ready(answer) => answer,
            Poll::Pending => match tokio::time::timeout(limit, handling).await {
                Ok(answer) => answer,
                Err(_) => Err(Box::pin(self.too_slow(job.def, limit)).await),
            },
        }
    }

    /// Why a handler took too long: by its own fault, or because the store stands still, which is no reason to give up its message.
    async fn too_slow(&self, def: &HandlerDef, limit: Duration) -> Error {
        let silent = || StoreError::Unavailable(format!("`{}` waited for it for {limit:?}", def.function));
        if let Err(error) = tokio::time::timeout(PING, self.environment.store.ping()).await.unwrap_or_else(|_| Err(silent())) {
            return store_error(error);
        }
        let (function, place) = (def.function, def.place());
        let message = format!("the handler `{function}` at {place} took longer than {limit:?}, which is `broker.handler_timeout`");
        Error::new(ErrorKind::Timeout, message)
    }

    /// Adds to the unit what is not the handler's business: the inbox mark, and the answer to who waits for it.
    fn complete(&self, unit: &mut Unit, job: &Job<'_>, subscriber: Option<String>, answer: &Response) -> Result<()> {
        let parts = job.request.parts();
        let prepared = match (&parts.step, parts.isolated) {
            (_, false) => None,
            (Some(step), true) => Some(prepare(unit, step)?),
            (None, true) => {
                return Err(Error::rejected(
                    "nobody would hear that this is prepared: a step of an isolated saga says where it is answered",
                ));
            }
        };
        let holds = taken(unit);
        if let Some(mut reply) = job.reply_to.and_then(|request| request.reply(answer.status.as_u16(), answer.body.clone(), unit.at)) {
            if let Some(call) = &mut reply.saga {
                call.holds = !holds.is_empty();
            }
            self.environment.fits(&reply.name, reply.content.len())?;
            unit.messages.push(reply.into_row()?);
        }
        unit.resolved.extend(job.resolves);
        if let (Some(once), Some(subscriber)) = (&job.once, subscriber) {
            let handled = match once {
                Once::Version { key, version } => Handled::Version { key: key.clone(), version: *version },
                Once::Key { key, fingerprint } => {
                    Handled::Message { key: key.clone(), answer: answer.store(Kept { fingerprint: *fingerprint, ..Kept::default() })? }
                }
                // What it keeps it does until it hears how the saga ends.
                Once::Step { key, attempt } if prepared.is_some() || !holds.is_empty() => {
                    let request = job.reply_to.cloned().map(Box::new);
                    let becomes = StepMark::Open { attempt: *attempt, ask_at: self.environment.ask_at(unit.at) };
                    Handled::Step { key: key.clone(), becomes, answer: answer.store(Kept { holds, prepared, request, ..Kept::default() })? }
                }
                Once::Step { key, attempt } => {
                    Handled::Step { key: key.clone(), becomes: StepMark::Done(*attempt), answer: answer.store(Kept::default())? }
                }
            };
            unit.mark = Some(Mark { subscriber: subscriber.into(), handled, lane: job.lane.clone() });
        }
        Ok(())
    }

    /// The answer that was given when this was handled before.
    async fn repeated(&self, job: &Job<'_>, subscriber: &str) -> Result<Option<Response>> {
        let Some(once) = &job.once else { return Ok(None) };
        let (Once::Version { key, .. } | Once::Key { key, .. }) = once else { return Ok(None) };
        let Some(row) = self.environment.store.handled(subscriber, key).await.map_err(store_error)? else { return Ok(None) };
        match (once, row.answer) {
            (Once::Version { .. }, _) => Ok(Some(Response::default())),
            // A message whose answer is forgotten: whoever waited for it has long gone.
            (Once::Key { fingerprint: None, .. }, None) => Ok(Some(Response::new(StatusCode::NO_CONTENT))),
            (Once::Key { .. }, None) | (Once::Step { .. }, _) => Ok(None),
            (Once::Key { fingerprint, .. }, Some(answer)) => {
                let (answer, kept) = Response::restore(&answer)?;
                if kept.fingerprint != *fingerprint {
                    return Err(Error::rejected("this idempotency key was used before, for another request"));
                }
                Ok(Some(answer))
            }
        }
    }
}

fn pass(point: &'static str, job: &Job<'_>) {
    match job.reply_to.and_then(Envelope::step) {
        Some(call) => failpoint::pass(point, format_args!("{call}")),
        None => failpoint::pass(point, format_args!("{}", job.def.function)),
    }
}

fn jitter(attempt: u32) -> Duration {
    Duration::from_millis(fastrand::u64(1..=u64::from(attempt) * 4))
}

/// An answer that says an error. To a saga that says that nothing was done, so nothing may be.
fn as_error(answer: &Response) -> Error {
    let told = String::from_utf8_lossy(&answer.body);
    let why = if told.is_empty() { answer.status.to_string() } else { told.into_owned() };
    Error::of_status(answer.status, why)
}

fn panicked(def: &HandlerDef, panic: &(dyn Any + Send)) -> Error {
    Error::panicked(format_args!("the handler `{}` at {}", def.function, def.place()), panic)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock,
        context::Resources,
        handler::Parts,
        metrics::Metrics,
        store::{DocumentWrite, MemoryStore, Store, UniqueWrite},
    };
    use futures_util::future::{self, BoxFuture};
    use std::sync::atomic::{AtomicUsize, Ordering};

    static RUNS: AtomicUsize = AtomicUsize::new(0);

    fn pay<'a>(_: &'a mut Context, _: &'a Request) -> BoxFuture<'a, Result<Response>> {
        RUNS.fetch_add(1, Ordering::SeqCst);
        future::ready(Ok(Response::default())).boxed()
    }

    static PAY: HandlerDef = HandlerDef {
        kind: Kind::Command,
        function: "pay",
        names: &["Pay"],
        routes: &[],
        access: crate::auth::Access::CLOSED,
        handle: pay,
        about: crate::handler::About::NOTHING,
        module: "x",
        file: "x.rs",
        line: 1,
    };

    #[tokio::test]
    async fn a_message_whose_answer_was_forgotten_is_still_known() {
        let store = Arc::new(MemoryStore::new());
        let environment = Environment::new("x", store.clone(), clock::system(), Resources::default(), Metrics::new("x"));
        let runner = Runner::new(Arc::new(environment));
        let id = Uuid::now_v7();
        let run = async || {
            let request = Request::new(Parts::new(id, id));
            let once = Some(Once::Key { key: id.to_string(), fingerprint: None });
            runner.run(Job { once, ..Job::new(&PAY, request) }).await.unwrap().status
        };
        assert_eq!((run().await, run().await), (StatusCode::OK, StatusCode::OK));
        store.forget_answers(jiff::Timestamp::MAX).await.unwrap();
        assert_eq!((run().await, RUNS.load(Ordering::SeqCst)), (StatusCode::NO_CONTENT, 1));
    }

    static WRITES: AtomicUsize = AtomicUsize::new(0);

    /// Writes a document of which it has read an old version the first time, and takes a name.
    fn write<'a>(cx: &'a mut Context, _: &'a Request) -> BoxFuture<'a, Result<Response>> {
        let expected = Some(WRITES.fetch_add(1, Ordering::SeqCst) as u64);
        let document = DocumentWrite { collection: "foos".into(), key: "a".to_owned(), body: Some("{}".to_owned()), expected };
        cx.unit().documents.push(document);
        cx.unit().unique.push(name(Uuid::from_u128(1)));
        future::ready(Ok(Response::default())).boxed()
    }

    static WRITE: HandlerDef = HandlerDef { function: "write", names: &["Write"], handle: write, ..PAY };

    fn name(uuid: Uuid) -> UniqueWrite {
        UniqueWrite { aggregate: "Foo".into(), field: "name".into(), value: "1".to_owned(), uuid, takes: true }
    }

    #[tokio::test]
    async fn an_old_document_is_a_reason_to_run_again_and_a_name_that_another_has_is_none() {
        let store = Arc::new(MemoryStore::new());
        let environment = Environment::new("x", store.clone(), clock::system(), Resources::default(), Metrics::new("x"));
        let runner = Runner::new(Arc::new(environment));
        let run = async || runner.run(Job::new(&WRITE, Request::new(Parts::new(Uuid::now_v7(), Uuid::now_v7())))).await;
        let unit = || Unit::new(jiff::Timestamp::UNIX_EPOCH, crate::store::Cause::nobody());
        let there = DocumentWrite { collection: "foos".into(), key: "a".to_owned(), body: Some("[]".to_owned()), expected: None };
        store.commit(Unit { documents: vec![there], ..unit() }).await.unwrap();
        run().await.unwrap();
        assert_eq!(WRITES.load(Ordering::SeqCst), 2);
        let (free, taken) = (UniqueWrite { takes: false, ..name(Uuid::from_u128(1)) }, name(Uuid::from_u128(2)));
        store.commit(Unit { unique: vec![free, taken], ..unit() }).await.unwrap();
        let error = run().await.unwrap_err();
        assert_eq!((error.status(), error.is_transient(), WRITES.load(Ordering::SeqCst)), (StatusCode::CONFLICT, false, 3), "{error:?}");
    }
}
