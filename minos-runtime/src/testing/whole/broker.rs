//! The broker of one process, which remembers what was sent, and keeps what nobody is there for.

use crate::{
    broker::{Broker, BrokerError, BrokerResult, Consumer, LocalBroker, Source},
    message::{Direction, Envelope, MessageKind},
    sync::lock,
};
use futures_util::future::{BoxFuture, FutureExt, ready};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::sync::oneshot;
use uuid::Uuid;

/// Where the test waits for answers.
pub(super) const ANSWERS: &str = "the-test.replies";

pub(super) struct TestBroker {
    local: LocalBroker,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The requests of services, each once.
    sent: Vec<Envelope>,
    /// Those that nobody handles.
    kept: Vec<Envelope>,
    /// Who waits for answers.
    waiting: HashMap<String, oneshot::Sender<Envelope>>,
    /// How many events of others there were, by stream.
    versions: HashMap<(String, Uuid), u64>,
}

impl TestBroker {
    pub(super) fn new(local: LocalBroker) -> Self {
        TestBroker { local, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Whether somebody listens to this topic.
    pub(super) fn is_heard(&self, topic: &str) -> bool {
        self.local.carried().unwrap_or_default().iter().any(|known| known == topic)
    }

    /// What services have sent to this topic, to have it done or undone, in the order in which they did.
    pub(super) fn sent(&self, topic: &str) -> Vec<Envelope> {
        let asks = |message: &Envelope| {
            message.step().is_none_or(|call| !call.release && !call.asks && matches!(call.direction, Direction::Execute | Direction::Undo))
        };
        self.state().sent.iter().filter(|message| message.topic == topic && asks(message)).cloned().collect()
    }

    /// What was kept for this topic, of which somebody is there now.
    pub(super) fn take_kept(&self, topic: &str) -> Vec<Envelope> {
        let kept = &mut self.state().kept;
        let (found, rest) = std::mem::take(kept).into_iter().partition(|message| message.topic == topic);
        *kept = rest;
        found
    }

    /// The version of the next event of a stream of another service.
    pub(super) fn next_version(&self, aggregate: &str, uuid: Uuid) -> u64 {
        let mut state = self.state();
        let version = state.versions.entry((aggregate.to_owned(), uuid)).or_default();
        *version += 1;
        *version
    }

    /// Asks, and is told the answer.
    pub(super) fn ask(&self, mut request: Envelope) -> (BoxFuture<'static, BrokerResult>, oneshot::Receiver<Envelope>) {
        let (tell, told) = oneshot::channel();
        self.state().waiting.insert(request.id.to_string(), tell);
        request.reply_to = Some(ANSWERS.to_owned());
        (self.local.publish(request), told)
    }

    fn note(&self, message: &Envelope, is_kept: bool) {
        let mut state = self.state();
        // What the relay repeats is the same message.
        if state.sent.iter().any(|known| known.id == message.id) {
            return;
        }
        state.sent.push(message.clone());
        if is_kept {
            state.kept.push(message.clone());
        }
    }
}

impl Broker for TestBroker {
    fn describe(&self) -> String {
        "of a test".to_owned()
    }

    fn carried(&self) -> Option<Vec<String>> {
        self.local.carried()
    }

    fn publish(&self, message: Envelope) -> BoxFuture<'static, BrokerResult> {
        match message.kind {
            MessageKind::Reply if message.topic == ANSWERS => {
                let asker = message.key.as_ref().and_then(|key| self.state().waiting.remove(key));
                if let Some(asker) = asker {
                    // The test may have given up.
                    let _ = asker.send(message);
                }
                ready(Ok(())).boxed()
            }
            MessageKind::Request => {
                let is_heard = self.is_heard(&message.topic);
                self.note(&message, !is_heard);
                if is_heard { self.local.publish(message) } else { ready(Ok(())).boxed() }
            }
            MessageKind::Reply | MessageKind::Event => self.local.publish(message),
        }
    }

    fn tell(&self, message: Envelope) -> BoxFuture<'static, BrokerResult> {
        // Who asks waits now, and not for somebody who comes later.
        if message.kind == MessageKind::Request && !self.is_heard(&message.topic) {
            self.note(&message, false);
            return ready(Err(BrokerError::NoHandler(message.topic))).boxed();
        }
        self.publish(message)
    }

    fn subscribe(&self, service: &str, sources: Vec<Source>, consumer: Arc<dyn Consumer>) -> BoxFuture<'_, BrokerResult> {
        self.local.subscribe(service, sources, consumer)
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.local.close()
    }
}
