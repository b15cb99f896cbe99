//! Hands messages to the producer, in the order in which they were published, and makes the producer anew when it failed.

use super::{
    fence::{Broken, Fences},
    producer::{Answer, NotQueued, Producer, Signals},
    settings::Settings,
    topics::{Known, Topics, Unusable},
    troubles::{self, Troubles},
};
use crate::{
    broker::{BrokerError, BrokerResult},
    message::Envelope,
    stop::{Stop, Stopper},
};
use futures_util::future::{self, BoxFuture, FutureExt};
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Notify, mpsc, oneshot};

/// How long a topic that refused messages is not tried again.
const COOL_DOWN: Duration = Duration::from_secs(5);
/// How long the broker is waited for before a topic is looked for again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// How many bytes may wait to be sent, before more is refused.
const MOST: usize = 256 << 20;
const CLOSED: &str = "it was closed";
/// How long the end waits for the broker's answers.
const FLUSH: Duration = Duration::from_secs(5);

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

/// What the task gets.
#[expect(clippy::large_enum_variant, reason = "nearly all are messages")]
enum Input {
    Message(Outgoing),
    /// Send what there is, and end.
    Close(oneshot::Sender<()>),
}

struct Outgoing {
    message: Envelope,
    broken: Broken,
    answer: Answer,
}

/// What is known of a topic to which something is sent.
enum State {
    Usable,
    /// It is being looked for; these wait.
    Looking(Vec<Outgoing>),
    Refused {
        why: String,
        since: Instant,
    },
}

struct Feeder {
    settings: Settings,
    topics: Topics,
    troubles: Arc<Troubles>,
    signals: Signals,
    states: HashMap<String, State>,
    found: mpsc::UnboundedSender<(String, Result<Known, Unusable>)>,
    producer: Option<Producer>,
    closing: Stop,
}

impl Publisher {
    /// Starts the task that feeds the producer. It ends when this is dropped.
    pub(super) fn start(settings: Settings, topics: Topics, troubles: Arc<Troubles>) -> Self {
        let (outgoing, inputs) = mpsc::unbounded_channel();
        let (failed, failures) = mpsc::unbounded_channel();
        let (found, finds) = mpsc::unbounded_channel();
        let fences = Arc::new(Fences::default());
        let limit = settings.max_message;
        let signals = Signals { fences: fences.clone(), troubles: troubles.clone(), room: Arc::new(Notify::new()), failed };
        let closing = Stopper::new();
        let feeder = Feeder { settings, topics, troubles, signals, states: HashMap::new(), found, producer: None, closing: closing.hear() };
        tokio::spawn(feeder.run(inputs, failures, finds));
        Publisher { outgoing, fences, limit, waiting: Arc::default(), closing }
    }

    pub(super) fn publish(&self, message: Envelope, refused: Option<&str>) -> BoxFuture<'static, BrokerResult> {
        let size = message.size();
        if size > self.limit {
            return future::ready(Err(BrokerError::TooLarge { topic: message.topic, size, limit: self.limit })).boxed();
        }
        let (broken, held) = self.fences.pass(&message.topic);
        let before = self.waiting.fetch_add(size, Ordering::Relaxed);
        let counted = Counted { waiting: self.waiting.clone(), size };
        let full = (before > MOST).then_some("too much waits to be sent already");
        if let Some(why) = refused.or(self.closing.was_said().then_some(CLOSED)).or(full) {
            broken.set(&unavailable(why));
        }
        let (answer, told) = oneshot::channel();
        // If the task has ended, the answer is dropped.
        let _ = self.outgoing.send(Input::Message(Outgoing { message, broken: broken.clone(), answer }));
        async move {
            let _held = (held, counted);
            told.await.unwrap_or_else(|_| {
                broken.set(&unavailable(CLOSED));
                Err(refusal(&broken))
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

fn unavailable(why: &str) -> BrokerError {
    BrokerError::Unavailable(why.to_owned())
}

fn refusal(broken: &Broken) -> BrokerError {
    broken.why().cloned().unwrap_or_else(|| unavailable("something before it was refused"))
}

/// Refuses a message, and with it what comes behind it. Something before it may have been refused already, for a reason of its own.
fn refuse(out: Outgoing, why: &BrokerError) {
    out.broken.set(why);
    // Who published it may have gone.
    let _ = out.answer.send(Err(refusal(&out.broken)));
}

/// The refusal of one topic.
fn refused(topic: &str, why: &str) -> BrokerError {
    BrokerError::Refused { topic: topic.to_owned(), why: why.to_owned() }
}

impl Feeder {
    async fn run(
        mut self,
        mut inputs: mpsc::UnboundedReceiver<Input>,
        mut failures: mpsc::UnboundedReceiver<(Option<String>, String)>,
        mut finds: mpsc::UnboundedReceiver<(String, Result<Known, Unusable>)>,
    ) {
        loop {
            tokio::select! {
                biased;
                Some((topic, why)) = failures.recv() => self.failed(topic, why).await,
                Some((topic, result)) = finds.recv() => self.found(topic, result).await,
                input = inputs.recv() => match input {
                    Some(Input::Message(out)) => self.take(out).await,
                    Some(Input::Close(done)) => {
                        self.close().await;
                        let _ = done.send(());
                        return;
                    }
                    None => return self.discard().await,
                },
            }
        }
    }

    async fn take(&mut self, out: Outgoing) {
        if out.broken.why().is_some() {
            return refuse(out, &unavailable(""));
        }
        match self.states.get_mut(&out.message.topic) {
            Some(State::Usable) => self.send(out).await,
            Some(State::Looking(waiting)) => waiting.push(out),
            Some(State::Refused { why, since }) if since.elapsed() < COOL_DOWN => {
                let why = refused(&out.message.topic, why);
                refuse(out, &why);
            }
            Some(State::Refused { .. }) | None => {
                let topic = out.message.topic.clone();
                self.states.insert(topic.clone(), State::Looking(vec![out]));
                self.look(topic, Duration::ZERO);
            }
        }
    }

    fn look(&self, topic: String, pause: Duration) {
        let (topics, found) = (self.topics.clone(), self.found.clone());
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let name = topic.clone();
            if let Ok(result) = tokio::task::spawn_blocking(move || topics.ensure(&name)).await {
                let _ = found.send((topic, result));
            }
        });
    }

    async fn found(&mut self, topic: String, result: Result<Known, Unusable>) {
        let unusable = match result {
            // Until the broker is there again, messages wait: the order is kept, and nothing is given up.
            Err(Unusable::Unreachable(_)) => return self.look(topic, LOOK_AGAIN),
            Err(Unusable::Refused(why)) => Some(why),
            Ok(Known { limit: Some(limit), .. }) if limit < self.settings.max_batch => {
                let wanted = self.settings.max_batch;
                let why = format!(
                    "it takes at most {limit} bytes, and `broker.max_message` is {wanted}: set that to {limit}, or raise the topic's `max.message.bytes`"
                );
                self.troubles.set(&troubles::sending(&topic), &why);
                Some(why)
            }
            Ok(_) => None,
        };
        let state = match &unusable {
            Some(why) => State::Refused { why: why.clone(), since: Instant::now() },
            None => State::Usable,
        };
        let why = unusable.map(|why| refused(&topic, &why));
        let Some(State::Looking(waiting)) = self.states.insert(topic, state) else { return };
        for out in waiting {
            match &why {
                Some(why) => refuse(out, why),
                None => self.send(out).await,
            }
        }
    }

    async fn send(&mut self, out: Outgoing) {
        let Outgoing { message, broken, mut answer } = out;
        loop {
            if self.producer.as_ref().is_some_and(Producer::has_failed) {
                self.discard().await;
            }
            if answer.is_closed() {
                return; // Nobody waits for it any more: it is handed over again, or was given up.
            }
            // It may have been handed over before the failure that ended the last producer.
            if broken.why().is_some() {
                let _ = answer.send(Err(refusal(&broken)));
                return;
            }
            let producer = match &self.producer {
                Some(producer) => producer,
                None => match Producer::new(&self.settings, self.signals.clone()) {
                    Ok(producer) => self.producer.insert(producer),
                    Err(error) => return refuse(Outgoing { message, broken, answer }, &unavailable(&error.to_string())),
                },
            };
            match producer.queue(&message, answer) {
                Ok(()) => return,
                Err(NotQueued::Full(again)) => {
                    answer = again;
                    tokio::select! {
                        () = self.signals.room.notified() => {}
                        () = self.closing.said() => return refuse(Outgoing { message, broken, answer }, &unavailable(CLOSED)),
                    }
                }
                Err(NotQueued::TooLarge(answer)) => {
                    let (size, limit) = (message.size(), self.settings.max_message);
                    let _ = answer.send(Err(BrokerError::TooLarge { topic: message.topic, size, limit }));
                    return;
                }
                Err(NotQueued::Failed(answer, why)) => {
                    let why = unavailable(&why);
                    self.signals.fences.break_all(&why);
                    refuse(Outgoing { message, broken, answer }, &why);
                    return self.discard().await;
                }
            }
        }
    }

    /// A producer has failed, and all that was handed over is refused. If it was because of a topic, that one is looked at before it is
    /// used again, and not at once.
    async fn failed(&mut self, topic: Option<String>, why: String) {
        tracing::warn!(topic, error = why, "the producer is made anew");
        if let Some(topic) = topic {
            self.troubles.set(&troubles::sending(&topic), &why);
            self.states.insert(topic, State::Refused { why, since: Instant::now() });
        }
        if self.producer.as_ref().is_some_and(Producer::has_failed) {
            self.discard().await;
        }
    }

    /// Drops the producer with all that it still has. Whoever waits for that is told.
    async fn discard(&mut self) {
        if let Some(producer) = self.producer.take() {
            // It waits for its threads.
            let _ = tokio::task::spawn_blocking(move || producer.end()).await;
        }
    }

    async fn close(&mut self) {
        for (_, state) in self.states.drain() {
            if let State::Looking(waiting) = state {
                waiting.into_iter().for_each(|out| refuse(out, &unavailable(CLOSED)));
            }
        }
        let Some(producer) = self.producer.take() else { return };
        let ended = tokio::task::spawn_blocking(move || {
            let flushed = producer.flush(FLUSH);
            producer.end();
            flushed
        });
        if !ended.await.unwrap_or(false) {
            tracing::warn!("not everything could be sent before the end: it is sent at the next start");
        }
    }
}
