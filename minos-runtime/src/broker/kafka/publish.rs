//! Takes messages in the order in which they are published, until the broker has acknowledged each or it is known why not.

use super::{
    feeder::{CLOSED, Feeder, Input},
    fence::Fences,
    ledger::Outgoing,
    settings::Settings,
    topics::Topics,
    troubles::Troubles,
};
use crate::{
    broker::{BrokerError, BrokerResult},
    message::Envelope,
    stop::Stopper,
};
use futures_util::future::{self, BoxFuture, FutureExt};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::{mpsc, oneshot};

/// How many bytes may wait to be sent, before more is refused.
const MOST: usize = 256 << 20;

/// Takes messages for the producer.
pub(super) struct Publisher {
    outgoing: mpsc::UnboundedSender<Input>,
    fences: Arc<Fences>,
    limit: usize,
    /// The bytes of all messages whose futures are there.
    waiting: Arc<AtomicUsize>,
    closing: Stopper,
}

/// The bytes of a message that somebody waits for.
struct Counted {
    waiting: Arc<AtomicUsize>,
    size: usize,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.size, Ordering::Relaxed);
    }
}

impl Publisher {
    /// Starts the task that feeds the producer. It ends when this is dropped.
    pub(super) fn start(settings: Settings, topics: Topics, troubles: Arc<Troubles>) -> Self {
        let (outgoing, inputs) = mpsc::unbounded_channel();
        let fences = Arc::new(Fences::default());
        let limit = settings.max_message;
        tokio::spawn(Feeder::new(settings, topics, troubles, fences.clone()).run(inputs));
        Publisher { outgoing, fences, limit, waiting: Arc::default(), closing: Stopper::new() }
    }

    pub(super) fn publish(&self, message: Envelope) -> BoxFuture<'static, BrokerResult> {
        let size = message.size();
        if size > self.limit {
            return future::ready(Err(BrokerError::TooLarge { topic: message.topic, size, limit: self.limit })).boxed();
        }
        let (broken, held) = self.fences.pass(&message.topic);
        let before = self.waiting.fetch_add(size, Ordering::Relaxed);
        let counted = Counted { waiting: self.waiting.clone(), size };
        let full = (before > MOST).then_some("too much waits to be sent already");
        if let Some(why) = self.closing.was_said().then_some(CLOSED).or(full) {
            broken.set(BrokerError::Unavailable(why.to_owned()));
        }
        let (answer, told) = oneshot::channel();
        // If the task has ended, the answer is dropped.
        let _ = self.outgoing.send(Input::Message(Outgoing::new(message, broken.clone(), answer)));
        async move {
            let _held = (held, counted);
            told.await.unwrap_or_else(|_| {
                broken.set(BrokerError::Unavailable(CLOSED.to_owned()));
                broken.result()
            })
        }
        .boxed()
    }

    pub(super) async fn close(&self) {
        self.closing.say();
        let (done, ended) = oneshot::channel();
        if self.outgoing.send(Input::Close(done)).is_ok() {
            // If the task ends before it answers, it has ended.
            let _ = ended.await;
        }
    }
}
