//! The context of a handler: what it asks, and the unit of work that it fills.
//!
//! A handler never writes. What it does is collected here, and committed as a whole when it returns `Ok`.

mod environment;
#[cfg(feature = "sensitive")]
mod forget;
mod hot;
#[cfg(feature = "sensitive")]
mod keys;
#[cfg(feature = "sensitive")]
mod master;
mod permit;
mod recent;
mod step;
mod streams;

pub use environment::{Coordinator, Courier, Environment, NewExecution, Resources};
pub(crate) use environment::{MakesDocument, Views};
#[cfg(feature = "sensitive")]
pub use forget::SubjectForgotten;
#[cfg(feature = "sensitive")]
pub(crate) use forget::{DATA_SUBJECT, FORGOTTEN};
pub(crate) use hot::{HotGuard, HotStreams};
pub use permit::Permit;
pub(crate) use recent::{RecentStreams, appended};
pub use step::SagaStep;
pub(crate) use streams::Past;

use crate::{
    auth::{Identity, User},
    error::{Error, ErrorKind, Result},
    message::{Envelope, Message},
    store::{Cause, NewEvent, Statement, StoreError, StreamId, Unit},
    sync::{lock, whole},
    trace::Trace,
};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::Instant;
use uuid::Uuid;

/// What a handler works with: the state of the service, and the unit of work that it fills.
///
/// Commands and event handlers take `&mut Context`, queries take `&Context`: a query changes nothing, and the compiler
/// holds it to that.
pub struct Context {
    environment: Arc<Environment>,
    /// What was done, and why. Its cause says what is being handled.
    unit: Unit,
    /// How many ids were made for effects and messages, so that a second attempt makes the same ones.
    numbered: u32,
    /// Streams on which handlers queue up, because they conflicted there.
    held: Mutex<Vec<HotGuard>>,
    reads: Reads,
    /// The streams that came from what is remembered, and their versions there.
    recalled: Mutex<Vec<(StreamId, u64)>>,
    /// Whether its unit has conflicted when this handler ran before.
    has_conflicted: bool,
    /// The step of a saga that this is done for.
    step: Option<SagaStep>,
    /// Whether nobody else may see what it does before its saga is decided.
    isolated: bool,
    /// When the handler will be cut off.
    deadline: Option<Instant>,
    /// What lets it run, where only so many do at once.
    permit: Option<Arc<Permit>>,
    /// The read models that show what it has done before it is answered.
    shown_in: Vec<&'static str>,
}

/// How a handler reads streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// From the store, at once: it writes nothing.
    ToAnswer,
    /// From the store, in its turn where many write.
    ToWrite,
    /// As `ToWrite`, but from what is remembered first. Whoever runs the handler asks then whether it [was outdated](Context::is_outdated).
    Recalling,
}

impl Context {
    /// A context for one attempt to handle what is the cause: its causation is the id of the request or message, the same for every attempt.
    pub(crate) fn new(environment: Arc<Environment>, cause: Cause, reads: Reads) -> Self {
        Context {
            unit: Unit::new(environment.clock.now(), cause),
            environment,
            numbered: 0,
            held: Mutex::default(),
            reads,
            recalled: Mutex::default(),
            has_conflicted: false,
            step: None,
            isolated: false,
            deadline: None,
            permit: None,
            shown_in: Vec::new(),
        }
    }

    /// Says that it runs again because its unit conflicted, if it did, with the turns that were waited for since. They are kept until the commit.
    pub(crate) fn again(&mut self, has_conflicted: bool, held: Vec<HotGuard>) {
        self.has_conflicted = has_conflicted;
        self.held = Mutex::new(held);
    }

    /// Says that it is for a step of a saga, which may be isolated.
    pub(crate) fn for_step(&mut self, step: Option<SagaStep>, isolated: bool) {
        self.step = step;
        self.isolated = isolated;
    }

    /// Whether nobody else may see what this does before its saga is decided.
    pub(crate) fn is_isolated(&self) -> bool {
        self.isolated
    }

    /// Says that its handler is cut off then, and runs with this permission.
    pub(crate) fn until(&mut self, deadline: Option<Instant>, permit: Option<Arc<Permit>>) {
        self.deadline = deadline;
        self.permit = permit;
    }

    /// What was collected. The guards of hot streams are handed over with it, to be dropped after the commit.
    pub(crate) fn finish(self) -> (Unit, Vec<HotGuard>) {
        let held = whole(self.held.into_inner());
        (self.unit, held)
    }

    /// The time of this unit of work, in UTC. It stands still while the handler runs, and is the time of all its events.
    pub fn now(&self) -> Timestamp {
        self.unit.at
    }

    /// The id of the request or message that is being handled: the same each time that it is tried.
    pub fn id(&self) -> Uuid {
        self.unit.cause.causation
    }

    /// A new uuid, of version 7, which is in the order of time. In tests they are numbered, so that these are the same each time.
    pub fn new_uuid(&self) -> Uuid {
        self.environment.new_uuid()
    }

    /// The same for everything that one request from outside led to, in all services.
    pub fn correlation_id(&self) -> Uuid {
        self.unit.cause.correlation
    }

    /// The id of who asked, if known.
    pub fn user(&self) -> Option<&str> {
        self.unit.cause.user.as_ref().map(Identity::id)
    }

    /// Who asked, with roles and scopes, as far as it is known.
    pub fn caller(&self) -> User {
        self.unit.cause.user.clone().into()
    }

    /// From here on, what is sent and stored is the service's own doing, and no more the caller's: for a handler that is `public`, where it needs other services.
    pub fn act_as_service(&mut self) {
        self.unit.cause.user = User::service(self.service()).identity().cloned();
    }

    /// The place in a trace of whoever asked from outside, to pass on to other systems as `traceparent`. What an event has led to has none: its
    /// [correlation](Context::correlation_id) is the trace.
    pub fn trace(&self) -> Option<Trace> {
        self.unit.cause.trace
    }

    /// The name of this service.
    pub fn service(&self) -> &str {
        &self.environment.service
    }

    /// A value that the service was given with [`Service::with`](crate::Service::with), such as a client of another system.
    ///
    /// # Errors
    /// If the service was given none of this type.
    pub fn resource<T: Send + Sync + 'static>(&self) -> Result<&T> {
        self.environment.resources.get::<T>().ok_or_else(|| {
            let name = std::any::type_name::<T>();
            Error::internal(format!("the service has no `{name}`: give it one with `Service::with`"))
        })
    }

    /// Sends a command to the service that handles it, once this unit is committed. It is delivered at least once and handled
    /// exactly once.
    ///
    /// # Errors
    /// If the message cannot be written as JSON, or is larger than the broker takes.
    pub fn send<M: Message>(&mut self, message: M) -> Result<()> {
        let content = serde_json::to_vec(&message)?;
        self.send_envelope(M::NAME, message.key(), content)
    }

    fn send_envelope(&mut self, name: &str, key: Option<String>, content: Vec<u8>) -> Result<()> {
        self.environment.fits(name, content.len())?;
        let id = self.next_id(name);
        let row = Envelope::request(id, name, key, content, self.unit.at, self.unit.cause.clone()).into_row()?;
        self.unit.messages.push(row);
        Ok(())
    }

    /// Asks another service, and waits for its answer. The question is sent at once and is no part of this unit of work: ask
    /// queries, and [`send`](Context::send) commands.
    ///
    /// # Errors
    /// What the other service answered, or [`ErrorKind::Timeout`] if it did not.
    pub async fn ask<M: Message>(&self, message: M) -> Result<M::Reply> {
        let content = serde_json::to_vec(&message)?;
        let envelope = Envelope::request(Uuid::now_v7(), M::NAME, message.key(), content, self.unit.at, self.unit.cause.clone());
        let answer = self.environment.ask(envelope).await?;
        serde_json::from_slice(&answer)
            .map_err(|error| Error::from(error).context(format!("the answer to `{}` is not of the type that its `reply` says", M::NAME)))
    }

    /// An effect outside the database, such as a mail or a payment. It happens at least once: if the handler is tried again, so is this,
    /// with the same idempotency key, which `effect` gets to pass on.
    ///
    /// The `name` tells the effects of one handler apart.
    ///
    /// # Errors
    /// What the effect itself answers.
    pub async fn effect<T, E, F>(&mut self, name: &str, effect: impl FnOnce(Uuid) -> F) -> Result<T>
    where
        F: Future<Output = Result<T, E>>,
        E: Into<Error>,
    {
        if self.isolated {
            return Err(Error::rejected("a step of an isolated saga cannot have an effect outside: it could not be taken back"));
        }
        self.up_to_date().await?;
        let key = Uuid::new_v5(&self.id(), name.as_bytes());
        effect(key).await.map_err(Into::into)
    }

    /// Adds a statement for the service's own tables. It runs in the transaction of this unit, or not at all.
    pub fn execute(&mut self, sql: impl Into<String>, parameters: impl IntoIterator<Item = serde_json::Value>) {
        self.unit.statements.push(Statement { sql: sql.into(), parameters: parameters.into_iter().collect() });
    }

    /// Reads rows of the service's own tables. Statements that this unit has collected are not seen yet.
    ///
    /// # Errors
    /// If the statement fails, or a row is not a `T`.
    pub async fn select<T: DeserializeOwned>(
        &self,
        sql: impl Into<String>,
        parameters: impl IntoIterator<Item = serde_json::Value> + Send,
    ) -> Result<Vec<T>> {
        let statement = Statement { sql: sql.into(), parameters: parameters.into_iter().collect() };
        let rows = self.environment.store.select(statement).await.map_err(store_error)?;
        rows.into_iter().map(|row| serde_json::from_value(row).map_err(Error::from)).collect()
    }

    /// What all handlers of the service share.
    pub(crate) fn environment(&self) -> &Arc<Environment> {
        &self.environment
    }

    /// The step of a saga that this is done for.
    pub(crate) fn step(&self) -> Option<&SagaStep> {
        self.step.as_ref()
    }

    /// How long this handler may wait for somebody else: as long as the service's patience, and not so long that it is cut off before it can say so.
    pub(crate) fn patience(&self) -> Duration {
        let left = self.deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
        self.environment.patience.min(left.saturating_sub(left / 10))
    }

    /// Waits without anything that others could use meanwhile: the permission to run, and the turns at hot streams.
    pub(crate) async fn aside<T>(&self, wait: impl Future<Output = T>) -> T {
        drop(std::mem::take(&mut *lock(&self.held)));
        match &self.permit {
            Some(permit) => permit.without(wait).await,
            None => wait.await,
        }
    }

    /// What this handler has collected so far.
    pub(crate) fn unit(&mut self) -> &mut Unit {
        &mut self.unit
    }

    /// Lets it be answered when this read model shows what it has done.
    pub(crate) fn show_in(&mut self, projection: &'static str) {
        self.shown_in.push(projection);
    }

    /// The read models that show what it has done before it is answered.
    pub(crate) fn shown_in(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.shown_in)
    }

    /// The next id that this unit makes: the same one each time that the request is tried.
    pub(crate) fn next_id(&mut self, name: &str) -> Uuid {
        self.numbered += 1;
        Uuid::new_v5(&self.id(), format!("{name}#{}", self.numbered).as_bytes())
    }

    /// Whether its unit has conflicted when this handler ran before.
    pub(crate) fn has_conflicted(&self) -> bool {
        self.has_conflicted
    }

    /// Appends events to a stream that is at version `expected`, as this handler sees it.
    pub(crate) fn append(&mut self, stream: StreamId, expected: u64, events: Vec<NewEvent>) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        for event in &events {
            self.environment.fits(&event.name, event.data.len())?;
        }
        if self.unit.append(&stream, expected, events) {
            return Ok(());
        }
        Err(Error::internal(format!("{stream} was saved twice by one handler, through two values of it: `refresh` the second one first")))
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("service", &self.environment.service).field("id", &self.id()).finish_non_exhaustive()
    }
}

/// Whether it is the store that failed, and not the work: no reason to give the work up.
pub(crate) fn is_outage(error: &Error) -> bool {
    error.downcast_ref::<StoreError>().is_some_and(StoreError::is_outage)
}

/// A store's error as handlers see it.
pub(crate) fn store_error(error: StoreError) -> Error {
    let kind = error.kind();
    let message = match kind {
        ErrorKind::Unavailable => "the service's store does not take part right now".to_owned(),
        // What the handlers of a service are called is no business of its clients.
        ErrorKind::Conflict => "somebody else was faster: look again, and try again".to_owned(),
        _ => match &error {
            // Neither whose it is nor what it is: both stay in the cause.
            StoreError::NotUnique { aggregate, field, .. } => format!("there is another {aggregate} with this `{field}`"),
            _ => error.to_string(),
        },
    };
    let answer = Error::new(kind, message);
    // It contradicts what is there, as a conflict does, and is one again each time.
    let answer = if matches!(error, StoreError::NotUnique { .. }) { answer.with_status(http::StatusCode::CONFLICT) } else { answer };
    answer.caused_by(error)
}
