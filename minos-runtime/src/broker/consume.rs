//! Takes what the broker delivers, and has it handled: in order within a key, once for each handler, and again if it may help.

use super::{Broker, BrokerError, Consumer, Questions, Topics, Undecodable, lanes::Lanes, park, traced};
use crate::{
    aggregate::{EventMeta, is_newer},
    auth::{Denied, Identity},
    config::{BrokerConfig, RetryPolicy},
    context::{Permit, SagaStep, is_outage, store_error},
    error::{Error, ErrorKind, Result},
    failpoint,
    handler::{Content, HandlerDef, Job, Kind, Once, Parts, PathSource, Request, Response, Runner},
    message::{Envelope, MessageKind, dead_letter_topic, service_of},
    metrics::Metrics,
    saga::{Call, Manager},
    stop::Stopper,
    store::{Cause, Handled, Mark, NewDeadLetter, StoreError, Unit},
};
use futures_util::future::{self, BoxFuture, FutureExt};
use std::{sync::Arc, time::Instant};
use tokio::sync::{Semaphore, oneshot};
use uuid::Uuid;

/// The longest lane that is kept as it is, in bytes: an index of a database has room for some thousands.
const LONGEST_LANE: usize = 512;
/// How many characters of a longer one are kept, for the operator.
const READABLE: usize = 100;
/// Who could not handle what nobody can read.
const UNREADABLE: &str = "unreadable";

/// Has the messages of one service handled.
#[derive(Clone)]
pub struct Dispatcher(Arc<State>);

pub(super) struct State {
    pub(super) runner: Runner,
    pub(super) broker: Arc<dyn Broker>,
    pub(super) topics: Topics,
    pub(super) questions: Questions,
    pub(super) policy: RetryPolicy,
    pub(super) parked: park::Parked,
    pub(super) sagas: Option<Manager>,
    lanes: Lanes,
    running: Arc<Semaphore>,
    stopping: Stopper,
}

impl Dispatcher {
    /// A dispatcher for these handlers, and for the answers to the steps of these sagas. Reads which keys are parked.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn new(
        runner: Runner,
        broker: Arc<dyn Broker>,
        topics: Topics,
        questions: Questions,
        sagas: Option<Manager>,
        config: &BrokerConfig,
    ) -> Result<Self> {
        let parked = park::Parked::load(&runner.environment().store).await.map_err(store_error)?;
        runner.environment().metrics.parked_keys.set(parked.count());
        Ok(Dispatcher(Arc::new(State {
            runner,
            broker,
            topics,
            questions,
            policy: RetryPolicy::of(config),
            parked,
            sagas,
            lanes: Lanes::new(),
            running: Arc::new(Semaphore::new(config.concurrency)),
            stopping: Stopper::new(),
        })))
    }

    /// What the service listens to.
    pub fn topics(&self) -> &Topics {
        &self.0.topics
    }

    pub(super) fn state(&self) -> &Arc<State> {
        &self.0
    }

    /// Stops trying what fails, and waits for what runs. What was not handled is delivered again at the next start.
    pub async fn stop(&self) {
        self.0.stopping.say();
        self.0.lanes.idle().await;
    }
}

impl Consumer for Dispatcher {
    fn deliver(&self, mut message: Envelope) -> BoxFuture<'static, Result<(), BrokerError>> {
        let for_saga = message.is_for_saga();
        if message.kind == MessageKind::Reply && !for_saga {
            self.0.questions.answered(message);
            return future::ready(Ok(())).boxed();
        }
        let handlers = self.0.topics.handlers(&message);
        if handlers.is_empty() && !for_saga {
            return future::ready(Ok(())).boxed();
        }
        let (done, wait) = oneshot::channel();
        let lane = lane(&message);
        let state = self.0.clone();
        state.metrics().deliveries.inc();
        self.0.lanes.put(
            lane.clone(),
            Box::pin(async move {
                let name = failpoint::detail(format_args!("{}", message.name));
                failpoint::pass(failpoint::CONSUME_BEFORE, format_args!("{name}"));
                let mut span = traced::handling(&state.runner.environment().spans, &mut message);
                let result = if for_saga { state.step_answered(message).await } else { state.handle(&handlers, &message, &lane).await };
                traced::end(&mut span, &result);
                drop(span);
                failpoint::pass(failpoint::CONSUME_AFTER, format_args!("{name}"));
                state.metrics().deliveries.dec();
                // Who delivered may have gone; then it is delivered again.
                let _ = done.send(result);
            }),
        );
        wait.map(|result| result.unwrap_or_else(|_| Err(stopping()))).boxed()
    }

    fn undecodable(&self, message: Undecodable) -> BoxFuture<'static, Result<(), BrokerError>> {
        let state = self.0.clone();
        async move { state.keep_raw(message).await }.boxed()
    }
}

/// The lane of a message: that of its key on its topic, or one of its own. It is the key of its marks and dead letters, too, so it is one that every
/// store can keep: what is too long, or has a NUL in it, is told apart by a hash.
pub(super) fn lane(message: &Envelope) -> String {
    keepable(match (message.step(), &message.key) {
        // Whoever waits for it is in the lane of its key. What is known of the step guards it against attempts that come later.
        (Some(call), _) if call.frees() => format!("{}/{}/{}", message.topic, call.execution, call.step),
        (_, Some(key)) => format!("{}/{key}", message.topic),
        (_, None) => format!("{}/{}", message.topic, message.id),
    })
}

/// The same if every store can keep it as a key; otherwise its beginning with a hash of all of it.
pub(super) fn keepable(key: String) -> String {
    if key.len() <= LONGEST_LANE && !key.contains('\0') {
        return key;
    }
    let readable = key.chars().take(READABLE).map(|c| if c == '\0' { '\u{fffd}' } else { c });
    readable.chain(['~']).chain(Uuid::new_v5(&Uuid::NAMESPACE_OID, key.as_bytes()).to_string().chars()).collect()
}

pub(super) fn stopping() -> BrokerError {
    BrokerError::Unavailable("the service is stopping".to_owned())
}

impl State {
    pub(super) fn metrics(&self) -> &Metrics {
        &self.runner.environment().metrics
    }

    async fn handle(&self, handlers: &[&'static HandlerDef], message: &Envelope, lane: &str) -> Result<(), BrokerError> {
        if let Some(call) = message.step() {
            for def in handlers {
                self.participate(def, message, call).await?;
            }
            return Ok(());
        }
        for def in handlers {
            self.handle_one(def, message, lane).await?;
        }
        Ok(())
    }

    async fn handle_one(&self, def: &'static HandlerDef, message: &Envelope, lane: &str) -> Result<(), BrokerError> {
        if self.parked.holds(|| def.subscriber(), lane) && self.put_behind(def, message).await? {
            return Ok(());
        }
        let mut attempt = 0;
        loop {
            if self.stopping.was_said() {
                return Err(stopping());
            }
            attempt += 1;
            let started = Instant::now();
            // Taken for the attempt only: what waits for its next attempt keeps nobody from running.
            let result = self.attempt(def, message, lane).await;
            let error = match result {
                Ok(()) => {
                    tracing::debug!(handler = def.function, name = message.name, correlation = %message.correlation, micros = started.elapsed().as_micros() as u64, "handled");
                    return Ok(());
                }
                Err(error) => error,
            };
            // Another replica has put an earlier one of this key aside.
            if matches!(error.downcast_ref(), Some(StoreError::Parked { .. })) {
                if self.put_behind(def, message).await? {
                    return Ok(());
                }
                continue;
            }
            if !error.is_transient() || (attempt >= self.policy.attempts && !is_outage(&error) && !is_newer(&error)) {
                return self.give_up(def, message, error, attempt).await;
            }
            self.metrics().retries.inc();
            tracing::warn!(handler = def.function, name = message.name, correlation = %message.correlation, attempt, error = error.chain(), "will be tried again");
            self.pause(attempt).await;
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.was_said()
    }

    /// Room for one more handler that runs.
    pub(super) async fn permit(&self) -> Arc<Permit> {
        Permit::take(&self.running).await
    }

    pub(super) async fn pause(&self, attempt: u32) {
        tokio::select! {
            () = tokio::time::sleep(self.policy.pause(attempt)) => {}
            () = self.stopping.hear().said() => {}
        }
    }

    /// Runs the handler once. A command's answer is sent by its unit of work; a query has none, so its answer is sent from here.
    async fn attempt(&self, def: &'static HandlerDef, message: &Envelope, lane: &str) -> Result<()> {
        let once = match (def.kind, message.version) {
            (Kind::Query, _) => None,
            (_, Some(version)) => Some(Once::Version { key: lane.to_owned(), version }),
            (_, None) => Some(Once::Key { key: message.id.to_string(), fingerprint: None }),
        };
        let (reply_to, permit) = ((def.kind != Kind::Query).then_some(message), self.permit().await);
        let job = Job { once, reply_to, lane: Some(lane.to_owned()), permit: Some(permit), ..Job::new(def, self.admitted(def, message)?) };
        let answer = self.runner.run(job).await?;
        if def.kind == Kind::Query {
            self.reply(message, &answer).await;
        }
        Ok(())
    }

    /// A message as a request for its handler, if whoever its sender vouches for may call that. Where the service is open, everybody may.
    ///
    /// # Errors
    /// That they may not, now or later.
    pub(super) fn admitted(&self, def: &'static HandlerDef, message: &Envelope) -> Result<Request> {
        let acts_as = self.runner.environment().acts_as.as_ref();
        let request = request(def, message, acts_as);
        if acts_as.is_some() && matches!(def.kind, Kind::Command | Kind::Query) {
            def.access.admit(request.user()).map_err(refused)?;
        }
        Ok(request)
    }

    async fn reply(&self, message: &Envelope, answer: &Response) {
        let now = self.runner.environment().clock.now();
        let Some(reply) = message.reply(answer.status().as_u16(), answer.body().clone(), now) else { return };
        if let Err(error) = self.broker.tell(reply).await {
            tracing::warn!(name = message.name, correlation = %message.correlation, %error, "an answer could not be sent");
        }
    }

    /// Who waits for the answer gets the error; otherwise it is the operator's.
    async fn give_up(&self, def: &'static HandlerDef, message: &Envelope, error: Error, attempts: u32) -> Result<(), BrokerError> {
        if message.reply_to.is_some() {
            tracing::info!(handler = def.function, name = message.name, correlation = %message.correlation, error = error.chain(), "refused");
            self.reply(message, &super::ask::failure(&error)).await;
            return Ok(());
        }
        let cause = error.chain();
        tracing::error!(handler = def.function, name = message.name, correlation = %message.correlation, attempts, error = cause, "put among the dead letters");
        self.put_aside(def, message, &cause, attempts).await.map(|_| ())
    }

    /// Puts a message behind the dead letters of its key. Returns false if there is none any more: then it is to be handled.
    async fn put_behind(&self, def: &'static HandlerDef, message: &Envelope) -> Result<bool, BrokerError> {
        self.put_aside(def, message, "waits behind an earlier dead letter of its key", 0).await
    }

    /// Puts a message among the dead letters and marks it as handled. Returns false if there is nothing behind which it could wait.
    async fn put_aside(&self, def: &'static HandlerDef, message: &Envelope, cause: &str, attempts: u32) -> Result<bool, BrokerError> {
        let (subscriber, key) = (def.subscriber(), lane(message));
        let handled = match message.version {
            Some(version) => Handled::Version { key: key.clone(), version },
            None => Handled::Message { key: message.id.to_string(), answer: park::unanswered() },
        };
        let letter = park::letter(&subscriber, &key, message, cause, attempts);
        let kept = self.keep(&Mark { subscriber: subscriber.clone().into(), handled, lane: None }, &letter, message.cause()).await?;
        match kept {
            Kept::Stored => self.parked.park(subscriber, key),
            Kept::NothingBefore => self.parked.release(&subscriber, &key),
            Kept::Known => {}
        }
        self.metrics().parked_keys.set(self.parked.count());
        Ok(kept != Kept::NothingBefore)
    }

    /// Stores a dead letter and its mark in one unit, unless it is there already. The store may be down, so this is tried until the service stops.
    async fn keep(&self, mark: &Mark, letter: &NewDeadLetter, cause: Cause) -> Result<Kept, BrokerError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let environment = self.runner.environment();
            let mut unit = Unit::new(environment.clock.now(), cause.clone());
            unit.mark = Some(mark.clone());
            unit.dead_letters.push(letter.clone());
            if letter.attempts > 0 && self.tells() {
                let notice = park::notice(environment, letter, &cause, unit.at);
                unit.messages.extend(notice.into_row().ok());
            }
            match environment.store.commit(unit).await {
                Ok(_) => {
                    self.metrics().dead_letters.inc();
                    return Ok(Kept::Stored);
                }
                Err(StoreError::Duplicate { .. }) => return Ok(Kept::Known),
                Err(StoreError::NotParked { .. }) => return Ok(Kept::NothingBefore),
                Err(error) => tracing::error!(%error, "a dead letter could not be stored; will be tried again"),
            }
            self.pause(attempt).await;
            if self.stopping.was_said() {
                return Err(stopping());
            }
        }
    }

    /// Whether anybody may listen to what is told of dead letters.
    fn tells(&self) -> bool {
        let topic = dead_letter_topic(&self.runner.environment().service);
        self.broker.carried().is_none_or(|carried| carried.contains(&topic))
    }

    /// Puts what cannot be read among the dead letters. No key waits behind it: it does not say whose it is.
    async fn keep_raw(&self, message: Undecodable) -> Result<(), BrokerError> {
        let Undecodable { id, topic, place, headers, content, cause } = message;
        tracing::error!(place, cause, "a message that cannot be read was put among the dead letters");
        let mark = Mark {
            subscriber: UNREADABLE.into(),
            handled: Handled::Message { key: id.to_string(), answer: park::unanswered() },
            lane: None,
        };
        let subscriber = UNREADABLE.to_owned();
        let letter = NewDeadLetter { subscriber, key: place, topic, headers, content: content.into(), cause, attempts: 1 };
        self.keep(&mark, &letter, Cause { correlation: id, causation: id, user: None, trace: None }).await.map(|_| ())
    }
}

/// What became of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// It is stored.
    Stored,
    /// Its message was handled, or put aside, before.
    Known,
    /// It was to wait behind another one, and there is none any more.
    NothingBefore,
}

/// What a caller is told who may not.
fn refused(denied: Denied) -> Error {
    let kind = if denied == Denied::Unknown { ErrorKind::Unauthenticated } else { ErrorKind::Forbidden };
    Error::new(kind, denied.to_string())
}

/// A message as a request for its handler. To an event that nobody has asked for, the service itself reacts, if it is closed.
pub(crate) fn request(def: &HandlerDef, message: &Envelope, acts_as: Option<&Identity>) -> Request {
    // Effects outside, and sagas that the handler runs, are known by this id. Each attempt at a step is the same work again, as that of its first message.
    let id = message.step().map_or(message.id, |call| Call::first(&call.step, call.direction).message_id(call.execution));
    let mut parts = Parts::new(id, message.correlation);
    parts.isolated = message.step().is_some_and(|call| call.isolated);
    // If nobody hears what the step holds, nobody releases it.
    parts.step = message.step().zip(message.reply_to.as_deref()).map(|(call, topic)| SagaStep {
        saga: call.saga.clone(),
        execution: call.execution,
        service: service_of(topic).to_owned(),
        step: call.step.clone(),
    });
    parts.user = match (&message.user, def.kind) {
        (None, Kind::Event) => acts_as.cloned().into(),
        (user, _) => user.clone().into(),
    };
    parts.trace = message.traceparent;
    parts.content = if message.content.is_empty() { Content::None } else { Content::Json(message.content.clone()) };
    parts.path = PathSource::Content(path_names(def));
    if let (Some(aggregate), Some(uuid), Some(version)) = (&message.aggregate, message.uuid, message.version) {
        parts.event = Some(EventMeta { aggregate: aggregate.clone(), uuid, version, at: message.occurred_at, name: message.name.clone() });
    }
    Request::new(parts)
}

/// The names of the route's parameters: a message brings them in its content.
fn path_names(def: &HandlerDef) -> Vec<&'static str> {
    let Some((_, path)) = def.routes.first() else { return Vec::new() };
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).map(|name| name.trim_start_matches('*')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn every_lane_can_be_kept() {
        let lane = |key: &str| {
            let cause = Cause::nobody();
            lane(&Envelope::request(Uuid::nil(), "Pay", Some(key.to_owned()), "{}", Timestamp::UNIX_EPOCH, cause))
        };
        assert_eq!(lane("ada"), "Pay/ada");
        let long = "ä".repeat(5000);
        let (one, other) = (lane(&format!("{long}1")), lane(&format!("{long}2")));
        assert!(one.starts_with("Pay/ää") && one.len() <= LONGEST_LANE && one != other, "{one}");
        assert_eq!(one, lane(&format!("{long}1")), "the same at each delivery");
        let (one, other) = (lane("a\0b"), lane("a\u{fffd}b"));
        assert!(!one.contains('\0') && one.starts_with("Pay/a\u{fffd}b~") && one != other, "{one}");
    }
}
