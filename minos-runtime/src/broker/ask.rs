//! Questions to other services, and their answers.

use super::{Audience, Broker, BrokerError, Source, traced};
use crate::{
    context::Courier,
    error::{Error, ErrorKind, Result},
    handler::Response,
    message::{Envelope, Failure, MessageKind, reply_topic},
    sync::lock,
    telemetry::Spans,
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::sync::oneshot;
use uuid::Uuid;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The questions of one service that wait for an answer.
#[derive(Clone)]
pub struct Questions(Arc<State>);

struct State {
    broker: Arc<dyn Broker>,
    topic: String,
    waiting: Mutex<HashMap<String, oneshot::Sender<Envelope>>>,
    spans: Spans,
}

impl Questions {
    /// Questions that this service asks.
    pub fn new(service: &str, broker: Arc<dyn Broker>) -> Self {
        Questions::traced(service, broker, Spans::default())
    }

    /// The same, which tells how long they wait.
    pub(crate) fn traced(service: &str, broker: Arc<dyn Broker>, spans: Spans) -> Self {
        Questions(Arc::new(State { broker, topic: reply_topic(service), waiting: Mutex::default(), spans }))
    }

    /// The topic of the answers.
    pub fn topic(&self) -> &str {
        &self.0.topic
    }

    /// The same for the broker. Only the process that asked knows the question, so each one gets all answers.
    pub fn source(&self) -> Source {
        Source { topic: self.0.topic.clone(), kind: MessageKind::Reply, audience: Audience::EveryProcess }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Envelope>>> {
        lock(&self.0.waiting)
    }

    /// An answer has come. Nobody may wait for it any more.
    pub(super) fn answered(&self, reply: Envelope) {
        let asker = reply.key.as_ref().and_then(|key| self.waiting().remove(key));
        if let Some(asker) = asker {
            // Who asked may have given up just now.
            let _ = asker.send(reply);
        }
    }
}

/// Leaves the list of those who wait, however the question ends.
struct Waiting<'q> {
    questions: &'q Questions,
    id: Uuid,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.questions.waiting().remove(&self.id.to_string());
    }
}

impl Courier for Questions {
    fn max_message(&self) -> Option<usize> {
        self.0.broker.max_message()
    }

    fn ask(&self, mut request: Envelope) -> BoxFuture<'_, Result<Bytes>> {
        Box::pin(async move {
            let name = request.name.clone();
            let (send, answer) = oneshot::channel();
            self.waiting().insert(request.id.to_string(), send);
            let _waiting = Waiting { questions: self, id: request.id };
            request.reply_to = Some(self.0.topic.clone());
            let mut span = traced::asking(&self.0.spans, &mut request);
            let exchange = async {
                self.0.broker.tell(request).await.map_err(|error| not_sent(&name, error))?;
                answer.await.map_err(|_| Error::unavailable("the service is stopping"))
            };
            let reply = tokio::time::timeout(PATIENCE, exchange).await.map_err(|_| unanswered(&name)).and_then(|reply| reply);
            let outcome = reply.and_then(|reply| reply.outcome().map_err(|error| error.context(format!("`{name}` failed"))));
            if let Err(error) = &outcome {
                span.fail(|| error.to_string());
            }
            outcome
        })
    }
}

fn not_sent(name: &str, error: BrokerError) -> Error {
    match error {
        BrokerError::NoHandler(_) => Error::unavailable(format!("no service handles `{name}`")),
        error @ BrokerError::TooLarge { .. } => Error::new(ErrorKind::TooLarge, error.to_string()),
        error => Error::unavailable(format!("`{name}` could not be sent")).caused_by(error),
    }
}

fn unanswered(name: &str) -> Error {
    Error::new(ErrorKind::Timeout, format!("`{name}` was not answered within {} s", PATIENCE.as_secs()))
}

/// The answer that tells an error.
pub(super) fn failure(error: &Error) -> Response {
    let status = error.status();
    let detail = if status.is_server_error() { error.kind().title().to_owned() } else { error.to_string() };
    Response::json(&Failure { detail, conflict: error.kind() == ErrorKind::Conflict }).unwrap_or_default().with_status(status)
}
